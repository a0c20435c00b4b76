/*
 * From the log to the index: what the log has beyond it is folded and put, in parts that are a commit each. While one thread puts
 * a part, another folds the next: it reads what stood in the index before, and from memory what is being put.
 *
 *   this thread   fold 1 | put 1  | put 2  | put 3 …
 *   another                fold 2 | fold 3 | fold 4 …
 *
 * What fits into one part, and what a system has no thread for, is done without another thread.
 */
#include "codec/record.h"
#include "fold/expire.h"
#include "fold/expired.h"
#include "fold/store.h"
#include "fold/thread.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * A part: events enough that a page is written once for many of them, few enough that memory stays small. There are two at a
 * time. The first is smaller, so that there soon is something to put.
 */
enum { PART_EVENTS = 1 << 17, PART_BYTES = 32 << 20, FIRST_SHARE = 4 };

#ifdef ECSHIST_TEST_HOOKS
uint32_t ehi_replay_test_events;
bool ehi_replay_test_alone;
#define TEST_EVENTS ehi_replay_test_events
#define TEST_ALONE ehi_replay_test_alone
#else
#define TEST_EVENTS 0
#define TEST_ALONE false
#endif

/* Why a part ends where it does. */
enum stop { AT_END, IS_FULL, AT_EXPIRY };

struct part {
    struct replay *replay;
    struct ehi_batch *batch;
    struct ehi_db_txn *txn;       /* what it was folded onto; its states borrow from it */
    bool writes;                  /* it is put through that, too */
    struct ehi_position position; /* behind what the batch holds */
    uint64_t done_bytes;          /* of the log */
    uint32_t most_events;
    size_t most_bytes;
    enum stop stop;
    enum ehi_verdict verdict; /* AT_END */
    int rc;
    struct ecshist_error error;
};

struct replay {
    struct ehi_store *store;
    struct ehi_db *db;
    struct part parts[2];
    struct ehi_sieve *sieve;
    struct ehi_expired expired; /* by what lies ahead */
    bool repairs;               /* a torn tail is cut off, the last frame flushed again */
    ecshist_progress_fn progress;
    void *context;
    uint64_t total_bytes;
};

/* -- folding a part ---------------------------------------------------------------------------- */

static int replay_record(struct part *part, const struct ehi_frame *frame,
                         const struct ehi_stored *stored, struct ecshist_error *error)
{
    struct replay *r = part->replay;
    struct ehi_slice record;
    int rc =
        ehi_log_expand(r->store->log, frame, stored, ehi_batch_arena(part->batch), &record, error);
    if (rc != ECSHIST_OK)
        return rc;
    uint64_t seq = stored->seq;
    uint64_t offset = frame->offset + EHI_FRAME_HEADER_BYTES +
                      (uint64_t)(stored->bytes.data - frame->payload.data);
    if (frame->gaps)
        ehi_batch_skip_to(part->batch, seq);
    if (ehi_expired_has(&r->expired, record)) {
        ehi_batch_skip_to(part->batch, seq + 1);
        return ECSHIST_OK;
    }
    bool restated = false;
    if (ehi_get_le16(record.data + EHI_REC_TYPE) == EHI_SERVICE_DELETED)
        restated =
            ehi_expired_restates(&r->expired,
                                 ehi_slice(record.data + EHI_RECORD_HEADER_BYTES,
                                           ehi_get_le16(record.data + EHI_REC_SUBJECT_BYTES)),
                                 seq);
    return ehi_batch_replay(part->batch, record, offset, restated, error);
}

static int other_events(const struct ehi_frame *frame, struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_DAMAGED,
                    "the log's frames hold other events than they say, before event %llu",
                    (unsigned long long)frame->next_seq);
}

/* A history-expired is alone in its frame: the part ends before it. */
static int stop_at_expiry(struct part *part, const struct ehi_frame *frame, uint64_t seq,
                          struct ecshist_error *error)
{
    part->stop = AT_EXPIRY;
    if (frame->record_count == 1)
        return ECSHIST_OK;
    return ehi_fail(error, ECSHIST_DAMAGED,
                    "event %llu of the log, a history-expired, is not alone in its frame",
                    (unsigned long long)seq);
}

static int replay_frame(struct part *part, const struct ehi_frame *frame,
                        struct ecshist_error *error)
{
    struct ehi_slice rest = frame->payload;
    struct ehi_stored stored;
    int rc = ECSHIST_OK;
    /* The log has seen to it that frames follow; before this one some may have been cleaned away. */
    ehi_batch_skip_to(part->batch, frame->first_seq);
    while (rc == ECSHIST_OK && ehi_stored_next(&rest, frame->compressed, &stored)) {
        if (stored.type == EHI_HISTORY_EXPIRED)
            return stop_at_expiry(part, frame, stored.seq, error);
        rc = replay_record(part, frame, &stored, error);
    }
    part->done_bytes += frame->length;
    if (rc == ECSHIST_OK && ehi_batch_head(part->batch)->next_seq != frame->next_seq)
        return other_events(frame, error);
    return rc;
}

static bool is_full(const struct part *part)
{
    return ehi_batch_count(part->batch) >= part->most_events ||
           ehi_batch_bytes(part->batch) >= part->most_bytes;
}

/* Up to where it is full, or the log ends, or an event stands that is folded onto the index itself. */
static int fold(struct part *part, struct ecshist_error *error)
{
    struct ehi_log *log = part->replay->store->log;
    int rc = ECSHIST_OK;
    part->stop = IS_FULL;
    while (rc == ECSHIST_OK && part->stop == IS_FULL && !is_full(part)) {
        struct ehi_frame frame;
        struct ehi_position before = part->position;
        rc = ehi_log_next(log, &part->position, &frame, &part->verdict, error);
        if (rc != ECSHIST_OK)
            break;
        if (part->verdict != EHI_FRAME)
            part->stop = AT_END;
        else
            rc = replay_frame(part, &frame, error);
        if (part->stop == AT_EXPIRY)
            part->position = before;
    }
    ehi_head_set_position(ehi_batch_head(part->batch), &part->position);
    return rc;
}

/* -- putting it -------------------------------------------------------------------------------- */

static int report(const struct replay *r, const struct part *part, struct ecshist_error *error)
{
    if (r->progress != NULL && !r->progress(r->context, part->done_bytes, r->total_bytes))
        return ehi_fail(error, ECSHIST_END, "stopped");
    return ECSHIST_OK;
}

/* The history-expired at the part's end, onto the index that has all before it. */
static int expire(struct part *part, struct ehi_db_txn *txn, struct ecshist_error *error)
{
    struct ehi_log *log = part->replay->store->log;
    struct ehi_frame frame;
    struct ehi_stored stored;
    struct ehi_slice record;
    struct ehi_arena arena = {0};
    struct ehi_db_head head = *ehi_batch_head(part->batch);
    int rc = ehi_log_next(log, &part->position, &frame, &part->verdict, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_slice rest = frame.payload;
    if (part->verdict != EHI_FRAME || !ehi_stored_next(&rest, frame.compressed, &stored))
        return other_events(&frame, error);
    rc = ehi_log_expand(log, &frame, &stored, &arena, &record, error);
    if (rc == ECSHIST_OK && !ehi_record_intact(record, ehi_log_seed(log)))
        rc = ehi_fail(error, ECSHIST_DAMAGED, "event %llu of the log is not whole",
                      (unsigned long long)stored.seq);
    head.next_seq = stored.seq;
    if (rc == ECSHIST_OK)
        rc = ehi_expire(txn, log, &head, record, frame.offset + EHI_FRAME_HEADER_BYTES, error);
    part->done_bytes += frame.length;
    ehi_head_set_position(&head, &part->position);
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_head(txn, &head, error);
    ehi_arena_free(&arena);
    return rc;
}

static int put_through(struct part *part, struct ehi_db_txn *txn, struct ecshist_error *error)
{
    ehi_batch_continue(part->batch, txn, false);
    int rc = ehi_batch_put(part->batch, error);
    if (rc == ECSHIST_OK && part->stop == AT_EXPIRY)
        rc = expire(part, txn, error);
    if (rc == ECSHIST_OK)
        return ehi_db_commit(txn, error);
    ehi_db_abort(txn);
    return rc;
}

static void end_txn(struct part *part)
{
    ehi_db_abort(part->txn);
    part->txn = NULL;
}

/* With what comes behind it, where that is folded onto the index. Ends its transaction. */
static int put(struct part *part, struct ecshist_error *error)
{
    struct ehi_db_txn *txn = part->txn;
    int rc = ECSHIST_OK;
    if (part->writes)
        part->txn = NULL;
    else
        rc = ehi_db_begin(part->replay->db, true, &txn, error);
    if (rc == ECSHIST_OK)
        rc = put_through(part, txn, error);
    end_txn(part);
    return rc == ECSHIST_OK ? report(part->replay, part, error) : rc;
}

/* -- one part after the other ------------------------------------------------------------------ */

static struct ehi_db_head first_head(const struct replay *r)
{
    struct ehi_db_head head = {.index_format = EHI_INDEX_FORMAT, .next_id = 1};
    struct ehi_position start;
    ehi_log_start(r->store->log, &start);
    ehi_head_set_position(&head, &start);
    memcpy(head.store_id, ehi_log_store_id(r->store->log), sizeof(head.store_id));
    return head;
}

/* A part behind all that the index has. */
static int begin(struct replay *r, struct part *part, struct ecshist_error *error)
{
    struct ehi_db_head head = {0};
    bool found;
    int rc = ehi_db_begin(r->db, true, &part->txn, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_get_head(part->txn, &head, &found, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (!found) {
        head = first_head(r);
        r->sieve = ehi_sieve_new();
    }
    part->writes = true;
    part->position = ehi_head_position(&head);
    ehi_batch_begin(part->batch, part->txn, r->store->log, &head);
    ehi_batch_from_scratch(part->batch, r->sieve);
    return ECSHIST_OK;
}

/* A part behind one that was folded, and is not put yet. It needs a place among LMDB's readers; false: there is none. */
static bool begin_behind(struct replay *r, const struct part *before, struct part *part)
{
    if (ehi_db_begin(r->db, false, &part->txn, NULL) != ECSHIST_OK)
        return false;
    part->writes = false;
    part->position = before->position;
    part->done_bytes = before->done_bytes;
    ehi_batch_begin(part->batch, part->txn, r->store->log, ehi_batch_head(before->batch));
    ehi_batch_follow(part->batch, before->batch);
    ehi_batch_from_scratch(part->batch, r->sieve);
    return true;
}

static void *fold_in_thread(void *context)
{
    struct part *part = context;
    part->rc = fold(part, &part->error);
    return NULL;
}

/* Of two errors the one that is earlier in the log. */
static int put_and_fold(struct part *full, struct part *next, struct ecshist_error *error)
{
    pthread_t thread;
    bool started = !TEST_ALONE && ehi_thread_start(&thread, fold_in_thread, next);
    int rc = put(full, error);
    if (started)
        (void)pthread_join(thread, NULL);
    else if (rc == ECSHIST_OK)
        (void)fold_in_thread(next);
    if (rc != ECSHIST_OK || next->rc == ECSHIST_OK)
        return rc;
    if (error != NULL)
        *error = next->error;
    return next->rc;
}

/*
 * Behind a full part the next one is folded while it is put. Behind a history-expired, or where that cannot be, a part is folded
 * onto the index with all that came before.
 */
static int go_on(struct replay *r, struct part **part, struct ecshist_error *error)
{
    struct part *before = *part, *next = &r->parts[before == &r->parts[0]];
    if (before->stop == IS_FULL && begin_behind(r, before, next)) {
        *part = next;
        return put_and_fold(before, next, error);
    }
    int rc = put(before, error);
    if (rc == ECSHIST_OK)
        rc = begin(r, before, error);
    return rc == ECSHIST_OK ? fold(before, error) : rc;
}

/* At the end of what is there. Nothing is shown that a power cut could still take back: whoever wrote the
 * last frame may not have flushed it. */
static int settle(const struct replay *r, const struct part *last, struct ecshist_error *error)
{
    struct ehi_log *log = r->store->log;
    if (!r->repairs)
        return ECSHIST_OK;
    int rc = last->verdict == EHI_TORN_TAIL ? ehi_log_cut(log, &last->position, error) : ECSHIST_OK;
    return rc == ECSHIST_OK ? ehi_log_settle(log, &last->position, error) : rc;
}

static int replay_all(struct replay *r, struct ecshist_error *error)
{
    struct part *part = &r->parts[0];
    int rc = begin(r, part, error);
    if (rc == ECSHIST_OK)
        rc = ehi_expired_read(&r->expired, r->store->log, part->position, error);
    if (rc == ECSHIST_OK) {
        part->most_events /= FIRST_SHARE;
        part->most_bytes /= FIRST_SHARE;
        rc = fold(part, error);
        part->most_events *= FIRST_SHARE;
        part->most_bytes *= FIRST_SHARE;
    }
    while (rc == ECSHIST_OK && part->stop != AT_END)
        rc = go_on(r, &part, error);
    if (rc == ECSHIST_OK)
        rc = settle(r, part, error);
    return rc == ECSHIST_OK ? put(part, error) : rc;
}

static int new_parts(struct replay *r, struct ecshist_error *error)
{
    for (int i = 0; i < 2; i++) {
        struct part *part = &r->parts[i];
        *part = (struct part){.replay = r,
                              .batch = ehi_batch_new(),
                              .most_events = TEST_EVENTS != 0 ? TEST_EVENTS : PART_EVENTS,
                              .most_bytes = PART_BYTES,
                              .error = ECSHIST_ERROR_INIT};
        if (part->batch == NULL)
            return ehi_fail_memory(error);
        ehi_batch_keep_memory(part->batch);
    }
    return ECSHIST_OK;
}

static void free_parts(struct replay *r)
{
    for (int i = 0; i < 2; i++) {
        end_txn(&r->parts[i]);
        ehi_batch_free(r->parts[i].batch);
    }
    free(r->sieve);
}

static int replay_onto(struct ehi_store *store, struct ehi_db *db, bool repairs,
                       ecshist_progress_fn progress, void *context, struct ecshist_error *error)
{
    struct replay r = {
        .store = store, .db = db, .repairs = repairs, .progress = progress, .context = context};
    struct ehi_position none = {0};
    uint64_t segments, file_bytes;
    int rc = ehi_log_sizes(store->log, &none, &segments, &file_bytes, &r.total_bytes, error);
    if (rc != ECSHIST_OK)
        return rc;
    r.total_bytes = file_bytes;
    rc = new_parts(&r, error);
    if (rc == ECSHIST_OK)
        rc = replay_all(&r, error);
    free_parts(&r);
    ehi_expired_free(&r.expired);
    return rc;
}

int ehi_replay(struct ehi_store *store, struct ehi_db *db, ecshist_progress_fn progress,
               void *context, struct ecshist_error *error)
{
    return replay_onto(store, db, !store->frozen, progress, context, error);
}

int ehi_replay_unlocked(struct ehi_store *store, struct ehi_db *db, struct ecshist_error *error)
{
    return replay_onto(store, db, false, NULL, NULL, error);
}
