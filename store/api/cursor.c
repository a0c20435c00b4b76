#include "api/internal.h"
#include "fold/ahead.h"

#include <stdlib.h>
#include <time.h>

/* Whoever has read so many events, and has so many before him, is given a thread that reads ahead. */
enum { AHEAD_AFTER = 4096, AHEAD_LEAST = 8192 };

#ifdef ECSHIST_TEST_HOOKS
int api_test_ahead;
#define FEW_DO (api_test_ahead > 0)
#define NEVER (api_test_ahead < 0)
#else
#define FEW_DO false
#define NEVER false
#endif

struct ecshist_cursor {
    struct ehi_store *store;
    struct ehi_place at;
    struct ehi_ahead *ahead;  /* NULL: the cursor reads by itself */
    unsigned read;            /* events, since it last began to do so */
    uint64_t from_seq;        /* events before it are passed over */
    uint64_t visible_seq;     /* the greatest seq that the index has applied, when last looked */
    uint64_t expired_seq;     /* of the newest history-expired then */
    bool doubtful;            /* the frame may hold events that have expired */
    struct ehi_arena arena;   /* of the event given last */
    struct ehi_stored stored; /* the record looked at last */
    struct ehi_slice given;   /* that of the event given last, as it is stored */
    uint32_t given_checksum;
    const struct ehi_frame *next_frame,
        *given_frame;            /* of the record looked at last; of the event */
    struct ehi_frame kept_frame; /* that, where it was one that was read ahead */
    struct ecshist_event event;
};

static int look(struct ecshist_cursor *cursor, struct ecshist_error *error)
{
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    int rc = ehi_store_begin_read(cursor->store, &db, &txn, &head, error);
    if (rc != ECSHIST_OK)
        return rc;
    cursor->visible_seq = head.next_seq - 1;
    cursor->expired_seq = head.last_expired_seq;
    ehi_db_abort(txn);
    ehi_db_release(db);
    return ECSHIST_OK;
}

ECSHIST_API int ecshist_cursor_open(ecshist_store *store, uint64_t from_seq, ecshist_cursor **out,
                                    struct ecshist_error *error)
{
    if (store == NULL || out == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    int rc = api_check_process(api_store(store), error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ecshist_cursor *cursor = calloc(1, sizeof(*cursor));
    if (cursor == NULL)
        return ehi_fail_memory(error);
    cursor->store = api_store(store);
    cursor->from_seq = from_seq == 0 ? 1 : from_seq;
    ehi_log_enter(cursor->store->log);
    rc = look(cursor, error);
    if (rc == ECSHIST_OK && cursor->from_seq <= cursor->visible_seq)
        rc = ehi_log_seek(cursor->store->log, cursor->from_seq, &cursor->at.position, error);
    if (rc == ECSHIST_OK)
        *out = cursor;
    else
        ecshist_cursor_close(cursor);
    return rc;
}

/* Where the place to begin was not in the log yet when the cursor was opened. */
static int place(struct ecshist_cursor *cursor, struct ecshist_error *error)
{
    if (cursor->at.position.segment != 0)
        return ECSHIST_OK;
    return ehi_log_seek(cursor->store->log, cursor->from_seq, &cursor->at.position, error);
}

static int next_frame(struct ecshist_cursor *cursor, struct ecshist_error *error)
{
    int rc = place(cursor, error);
    if (rc != ECSHIST_OK)
        return rc;
    enum ehi_verdict verdict;
    rc = ehi_log_next(cursor->store->log, &cursor->at.position, &cursor->at.frame, &verdict, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (verdict != EHI_FRAME)
        return ehi_fail(error, ECSHIST_DAMAGED,
                        "the log ends before event %llu, which the index has",
                        (unsigned long long)cursor->from_seq);
    cursor->at.rest = cursor->at.frame.payload;
    cursor->doubtful =
        cursor->at.frame.first_seq < cursor->expired_seq &&
        !ehi_log_cleaned(cursor->store->log, cursor->at.frame.segment, cursor->expired_seq);
    return ECSHIST_OK;
}

/* What has expired is not shown, cleaned or not: the index has no trace of it. */
static int has_expired(struct ecshist_cursor *cursor, struct ehi_slice record, bool *out,
                       struct ecshist_error *error)
{
    struct ehi_event event;
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    *out = false;
    if (ehi_get_le16(record.data + EHI_REC_TYPE) == EHI_HISTORY_EXPIRED)
        return ECSHIST_OK;
    int rc = ehi_event_decode_envelope(record, &event, error);
    if (rc == ECSHIST_OK)
        rc = ehi_store_begin_read(cursor->store, &db, &txn, &head, error);
    if (rc != ECSHIST_OK)
        return rc;
    uint64_t id;
    bool known, has = false;
    rc = ehi_db_find(txn, event.subject, ehi_hash128(event.subject.data, event.subject.length), &id,
                     &known, error);
    if (rc == ECSHIST_OK && known)
        rc = ehi_db_timeline_has(txn, id, event.seq, &has, error);
    *out = !has && event.seq < head.last_expired_seq;
    ehi_db_abort(txn);
    ehi_db_release(db);
    return rc;
}

/* -- ahead ------------------------------------------------------------------------------------- */

/* It is worth a thread. */
static bool is_long_way(const struct ecshist_cursor *cursor)
{
    if (NEVER || cursor->doubtful || cursor->from_seq > cursor->visible_seq ||
        cursor->at.position.segment == 0)
        return false;
    return FEW_DO ||
           (cursor->read >= AHEAD_AFTER && cursor->visible_seq - cursor->from_seq >= AHEAD_LEAST);
}

static void read_ahead(struct ecshist_cursor *cursor)
{
    cursor->read = 0;
    cursor->ahead =
        ehi_ahead_start(cursor->store->log, &cursor->at, cursor->visible_seq, cursor->expired_seq);
}

static void stop_reading_ahead(struct ecshist_cursor *cursor)
{
    if (cursor->given_frame != NULL)
        cursor->kept_frame = *cursor->given_frame;
    cursor->given_frame = &cursor->kept_frame;
    ehi_ahead_stop(cursor->ahead);
    cursor->ahead = NULL;
    cursor->read = 0;
}

/* false: from here the cursor reads by itself. */
static bool next_ahead(struct ecshist_cursor *cursor, struct ehi_slice *record)
{
    const struct ehi_ahead_record *next;
    do
        next = ehi_ahead_next(cursor->ahead, &cursor->at);
    while (next != NULL && next->stored.seq < cursor->from_seq);
    if (next == NULL) {
        stop_reading_ahead(cursor);
        return false;
    }
    *record = next->record;
    cursor->stored = next->stored;
    cursor->next_frame = next->frame;
    /* The frame of the one given before is not there any more. */
    cursor->given = EHI_SLICE_EMPTY;
    cursor->given_frame = NULL;
    return true;
}

/* -- one by one -------------------------------------------------------------------------------- */

static int next_in_frame(struct ecshist_cursor *cursor, struct ehi_slice *record, bool *found,
                         struct ecshist_error *error)
{
    *found = false;
    while (!*found &&
           ehi_stored_next(&cursor->at.rest, cursor->at.frame.compressed, &cursor->stored)) {
        uint64_t seq = cursor->stored.seq;
        bool expired = false;
        if (seq < cursor->from_seq)
            continue;
        ehi_arena_reset(&cursor->arena);
        int rc = ehi_log_expand(cursor->store->log, &cursor->at.frame, &cursor->stored,
                                &cursor->arena, record, error);
        if (rc == ECSHIST_OK && cursor->doubtful)
            rc = has_expired(cursor, *record, &expired, error);
        if (rc != ECSHIST_OK)
            return rc;
        cursor->next_frame = &cursor->at.frame;
        *found = !expired;
        if (expired)
            cursor->from_seq = seq + 1;
    }
    return ECSHIST_OK;
}

static int end_of_log(struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_END, "there is no next event yet");
}

static int next_record(struct ecshist_cursor *cursor, struct ehi_slice *record,
                       struct ecshist_error *error)
{
    for (;;) {
        bool found;
        int rc = next_in_frame(cursor, record, &found, error);
        if (rc != ECSHIST_OK || found)
            return rc;
        if (cursor->from_seq > cursor->visible_seq) {
            rc = look(cursor, error);
            if (rc != ECSHIST_OK)
                return rc;
            if (cursor->from_seq > cursor->visible_seq)
                return end_of_log(error);
        }
        rc = next_frame(cursor, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
}

ECSHIST_API int ecshist_cursor_next(ecshist_cursor *cursor, const ecshist_event **out,
                                    struct ecshist_error *error)
{
    if (cursor == NULL || out == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    struct ehi_slice record;
    int rc = api_check_process(cursor->store, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (cursor->ahead == NULL && is_long_way(cursor))
        read_ahead(cursor);
    if (cursor->ahead != NULL && next_ahead(cursor, &record))
        ehi_arena_reset(&cursor->arena);
    else
        rc = next_record(cursor, &record, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = api_event_init(&cursor->event, record, &cursor->arena, error);
    if (rc != ECSHIST_OK)
        return rc;
    cursor->from_seq = cursor->stored.seq + 1;
    cursor->given = cursor->stored.bytes;
    cursor->given_checksum = cursor->stored.checksum;
    cursor->given_frame = cursor->next_frame;
    cursor->read++;
    *out = &cursor->event;
    return ECSHIST_OK;
}

enum { POLL_MS = 20 };

static void sleep_ms(uint32_t ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

ECSHIST_API int ecshist_cursor_wait(ecshist_cursor *cursor, uint32_t timeout_ms,
                                    struct ecshist_error *error)
{
    if (cursor == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    int rc = api_check_process(cursor->store, error);
    if (rc != ECSHIST_OK)
        return rc;
    for (uint32_t waited = 0;; waited += POLL_MS) {
        if (cursor->from_seq <= cursor->visible_seq)
            return ECSHIST_OK;
        rc = look(cursor, error);
        if (rc != ECSHIST_OK || cursor->from_seq <= cursor->visible_seq)
            return rc;
        if (waited >= timeout_ms)
            return end_of_log(error);
        sleep_ms(POLL_MS);
    }
}

ECSHIST_API void ecshist_cursor_frame_info(const ecshist_cursor *cursor,
                                           struct ecshist_frame_info *info)
{
    const uint8_t *record = cursor->given.data;
    struct ecshist_frame_info all = ECSHIST_FRAME_INFO_INIT;
    if (record != NULL) {
        const struct ehi_frame *frame = cursor->given_frame;
        all.segment_first_seq = frame->segment;
        all.frame_offset = frame->offset;
        all.frame_length = frame->length;
        all.frame_checksum = frame->checksum;
        all.frame_record_count = frame->record_count;
        all.record_offset =
            frame->offset + EHI_FRAME_HEADER_BYTES + (uint64_t)(record - frame->payload.data);
        all.record_length = (uint32_t)cursor->given.length;
        all.record_checksum = cursor->given_checksum;
    }
    all.size = info->size;
    memcpy(info, &all, all.size < sizeof(all) ? all.size : sizeof(all));
}

ECSHIST_API void ecshist_cursor_close(ecshist_cursor *cursor)
{
    if (cursor == NULL)
        return;
    if (api_check_process(cursor->store, NULL) == ECSHIST_OK) {
        ehi_ahead_stop(cursor->ahead);
        ehi_log_leave(cursor->store->log);
    }
    ehi_arena_free(&cursor->arena);
    free(cursor);
}
