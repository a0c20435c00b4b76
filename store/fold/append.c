/*
 * Appending. Threads that come at the same time form a queue; the first of them leads: it takes the
 * queue through the whole pipeline at once, so that they share a frame and its flush. Meanwhile the next queue forms; its first
 * thread is the next leader, and is woken as such. A thread sleeps on its own request, and is woken once.
 */
#include "base/clock.h"
#include "codec/record.h"
#include "fold/behind.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* -- one request onto a batch ------------------------------------------------------------------ */

static void set_result(struct ehi_request *request, size_t i, const struct ehi_outcome *outcome,
                       const char *reason)
{
    if (request->outcomes != NULL)
        request->outcomes[i] = *outcome;
    if (request->results == NULL)
        return;
    struct ecshist_append_result *result = &request->results[i];
    result->outcome = outcome->outcome;
    result->code = outcome->code;
    result->seq = outcome->seq;
    size_t length = strlen(reason);
    length = length < sizeof(result->reason) ? length : sizeof(result->reason) - 1;
    memcpy(result->reason, reason, length);
    result->reason[length] = '\0';
}

static void reason_text(const struct ecshist_error *reason, char *text, size_t size)
{
    if (reason->place[0] != '\0')
        snprintf(text, size, "%s: %s", reason->place, reason->message);
    else
        snprintf(text, size, "%s", reason->message);
}

/* The first refusal is what the whole call returns. */
static void note_refusal(struct ehi_request *request, size_t i, const struct ecshist_error *reason)
{
    if (request->code != ECSHIST_OK)
        return;
    request->code = reason->code;
    size_t size = request->error->size;
    *request->error = *reason;
    request->error->size = size;
    request->error->event_index = i;
}

static void clear_results(struct ehi_request *request)
{
    static const struct ehi_outcome none = {ECSHIST_OUTCOME_NONE, ECSHIST_OK, 0};
    for (size_t i = 0; i < request->count; i++)
        set_result(request, i, &none, "");
}

enum request_fate { TAKEN, TAKEN_BACK };

/* copies: into the batch's memory. Then the record can be stamped, and its owner have it back. */
static int apply_record(struct ehi_batch *batch, struct ehi_slice record, bool copies, bool lenient,
                        struct ehi_outcome *outcome, struct ecshist_error *reason)
{
    if (copies) {
        record = ehi_arena_copy(ehi_batch_arena(batch), record);
        if (record.data == NULL)
            return ehi_fail_memory(reason);
    }
    return ehi_batch_apply(batch, record, lenient, outcome, reason);
}

/* Records lie all over the memory, and nobody has looked at them for a while. */
static void prefetch(struct ehi_slice record)
{
    enum { LINE = 64, MOST = 1024 };
    size_t length = record.length < MOST ? record.length : MOST;
    for (size_t at = 0; at < length; at += LINE)
        __builtin_prefetch(record.data + at);
}

enum { AHEAD = 2 };

/*
 * Applies a request's events. An all-or-nothing request with a refused event after others is
 * TAKEN_BACK: the batch must be folded anew without it. A failure of the machinery is the return.
 */
static int apply_request(struct ehi_batch *batch, struct ehi_request *request, bool copies,
                         enum request_fate *fate, struct ecshist_error *failure)
{
    bool lenient = (request->flags & ECSHIST_APPEND_LENIENT) != 0;
    bool each = (request->flags & ECSHIST_APPEND_EACH) != 0;
    *fate = TAKEN;
    request->code = ECSHIST_OK;
    uint32_t before = ehi_batch_count(batch);
    struct ecshist_error reason = ECSHIST_ERROR_INIT;
    for (size_t i = 0; i < request->count; i++) {
        struct ehi_outcome outcome;
        if (i + AHEAD < request->count)
            prefetch(request->records[i + AHEAD]);
        int rc = apply_record(batch, request->records[i], copies, lenient, &outcome, &reason);
        if (rc != ECSHIST_OK) {
            *failure = reason;
            return rc;
        }
        bool refused = outcome.outcome == ECSHIST_OUTCOME_REFUSED;
        bool told = refused || outcome.outcome == ECSHIST_OUTCOME_IGNORED;
        char text[sizeof(request->results->reason)];
        text[0] = '\0';
        if (told)
            reason_text(&reason, text, sizeof(text));
        if (refused && !each)
            clear_results(request);
        set_result(request, i, &outcome, text);
        if (refused)
            note_refusal(request, i, &reason);
        if (told)
            reason = (struct ecshist_error)ECSHIST_ERROR_INIT;
        if (refused && !each) {
            *fate = ehi_batch_count(batch) == before ? TAKEN : TAKEN_BACK;
            return ECSHIST_OK;
        }
    }
    return ECSHIST_OK;
}

static bool settled(const struct ehi_request *request)
{
    return request->code != ECSHIST_OK && (request->flags & ECSHIST_APPEND_EACH) == 0;
}

/* One pass of the leader: what it does, and what it has of the store for that. */
struct pass {
    struct ehi_store *store;
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    bool hold;                    /* the index is written later (behind.h) */
    struct ehi_position position; /* the log's end */
    uint32_t first;               /* of the batch's records, the first that is this pass's */
};

static int apply_requests(struct pass *pass, struct ehi_request *group, bool *taken_back,
                          struct ecshist_error *failure)
{
    *taken_back = false;
    for (struct ehi_request *r = group; r != NULL && !*taken_back; r = r->next) {
        if (settled(r))
            continue;
        enum request_fate fate;
        int rc = apply_request(pass->store->batch, r, true, &fate, failure);
        if (rc != ECSHIST_OK)
            return rc;
        *taken_back = fate == TAKEN_BACK;
    }
    return ECSHIST_OK;
}

/*
 * The index that stands now. What is held may be of one that was swapped since: it is only read for that, and asking costs a walk along its
 * path. Whoever puts asks.
 */
static int take_index(struct pass *pass, struct ecshist_error *error)
{
    ehi_db_release(pass->db);
    pass->db = NULL;
    if (!pass->hold)
        ehi_behind_wait(pass->store);
    if (pass->hold && pass->store->held.db != NULL)
        pass->db = ehi_db_ref(pass->store->held.db);
    return pass->db != NULL ? ECSHIST_OK : ehi_store_db(pass->store, &pass->db, error);
}

static void end_txn(struct pass *pass)
{
    ehi_db_abort(pass->txn);
    pass->txn = NULL;
}

/* The batch at the log's end. LMDB may have no slot for one more reader; who writes needs none. */
static int begin_pass(struct pass *pass, struct ecshist_error *error)
{
    bool begun = false;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && !begun) {
        rc = take_index(pass, error);
        if (rc == ECSHIST_OK)
            rc = ehi_behind_begin(pass->store, pass->db, pass->hold, &pass->txn, &pass->position,
                                  &begun, error);
        if (rc != ECSHIST_OK && pass->hold && pass->txn == NULL) {
            pass->hold = false;
            rc = ECSHIST_OK;
        }
    }
    pass->first = ehi_batch_count(pass->store->batch);
    return rc;
}

/*
 * All of the group's requests onto the batch; again from the start as long as one must be taken back. What was held
 * goes with it, and comes again from the log.
 */
static int apply_group(struct pass *pass, struct ehi_request *group, struct ecshist_error *failure)
{
    for (struct ehi_request *r = group; r != NULL; r = r->next)
        r->code = ECSHIST_OK;
    for (;;) {
        bool taken_back;
        int rc = begin_pass(pass, failure);
        if (rc == ECSHIST_OK)
            rc = apply_requests(pass, group, &taken_back, failure);
        if (rc != ECSHIST_OK || !taken_back)
            return rc;
        end_txn(pass);
        ehi_behind_forget(pass->store);
    }
}

/* -- the pipeline ------------------------------------------------------------------------------ */

static int reserve_frame(struct ehi_store *store, uint32_t count, struct ecshist_error *error)
{
    if (count <= store->frame_capacity)
        return ECSHIST_OK;
    struct ehi_framed *frame = realloc(store->frame, count * sizeof(*frame));
    if (frame == NULL)
        return ehi_fail_memory(error);
    store->frame = frame;
    store->frame_capacity = count;
    return ECSHIST_OK;
}

/* The pass's records, stamped: they are copies, in the batch's memory. */
static void stamp_records(struct ehi_store *store, const struct ehi_batch_record *records,
                          uint32_t count)
{
    int64_t now_us = store->now_us(store->now_context);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *record = (uint8_t *)(uintptr_t)records[i].record.data;
        ehi_record_stamp(record, records[i].seq, now_us, records[i].flags,
                         ehi_log_seed(store->log));
        store->frame[i].record = records[i].record;
    }
}

static int write_frame(struct pass *pass, struct ecshist_error *error)
{
    struct ehi_store *store = pass->store;
    struct ehi_batch_record *records = ehi_batch_records(store->batch) + pass->first;
    uint32_t count = ehi_batch_count(store->batch) - pass->first;
    int rc = reserve_frame(store, count, error);
    if (rc != ECSHIST_OK)
        return rc;
    stamp_records(store, records, count);
    rc = ehi_log_write(store->log, &pass->position, store->frame, count, records[0].seq, error);
    for (uint32_t i = 0; i < count && rc == ECSHIST_OK; i++)
        records[i].offset = store->frame[i].offset;
    return rc;
}

/* The frame is to be durable; its events stay in the batch. */
static int hold_frame(struct pass *pass, struct ecshist_error *error)
{
    int rc = ehi_log_flush(pass->store->log, error);
    if (rc == ECSHIST_OK)
        ehi_behind_hold(pass->store, pass->db, pass->txn, &pass->position);
    return rc;
}

static int put_batch(struct pass *pass, struct ecshist_error *error)
{
    ehi_head_set_position(ehi_batch_head(pass->store->batch), &pass->position);
    return ehi_batch_put(pass->store->batch, error);
}

static int commit_batch(struct pass *pass, struct ecshist_error *error)
{
    int rc = ehi_db_commit(pass->txn, error);
    pass->txn = NULL;
    ehi_behind_forget(pass->store);
    return rc;
}

/*
 * While the disk writes the frame, the index's rows are put; nobody sees them before the commit, which waits until the events
 * are durable. What fails then only delays that they are seen.
 */
static int index_frame(struct pass *pass, struct ecshist_error *error)
{
    struct ecshist_error flush_error = ECSHIST_ERROR_INIT;
    ehi_log_begin_flush(pass->store->log, &pass->position);
    int rc = put_batch(pass, error);
    int flushed = ehi_log_flush(pass->store->log, &flush_error);
    if (flushed != ECSHIST_OK) {
        *error = flush_error;
        return flushed;
    }
    if (rc == ECSHIST_OK)
        rc = commit_batch(pass, error);
    if (rc == ECSHIST_OK)
        return rc;
    char why[256];
    snprintf(why, sizeof(why), "%s", error->message);
    return ehi_fail(error, ECSHIST_OUTCOME_UNKNOWN,
                    "the events are durable, but the index could not take them (%s): they are seen "
                    "when the store is opened again",
                    why);
}

void ehi_store_poison(struct ehi_store *store)
{
    pthread_mutex_lock(&store->queue_mutex);
    store->poisoned = true;
    pthread_mutex_unlock(&store->queue_mutex);
}

static int fail_poisoned(struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_OUTCOME_UNKNOWN,
                    "an earlier append's outcome is unknown: close the store and open it again");
}

int ehi_store_check_poison(struct ehi_store *store, struct ecshist_error *error)
{
    pthread_mutex_lock(&store->queue_mutex);
    bool poisoned = store->poisoned;
    pthread_mutex_unlock(&store->queue_mutex);
    return poisoned ? fail_poisoned(error) : ECSHIST_OK;
}

/* Nothing is new. What was folded in a transaction that can write does not outlive it: what is held goes to the index. */
static int finish_without_frame(struct pass *pass, struct ecshist_error *error)
{
    if (pass->hold || pass->first == 0)
        return ECSHIST_OK;
    int rc = put_batch(pass, error);
    return rc == ECSHIST_OK ? commit_batch(pass, error) : rc;
}

static int finish_pass(struct pass *pass, struct ecshist_error *error)
{
    if (ehi_batch_count(pass->store->batch) == pass->first)
        return finish_without_frame(pass, error);
    int rc = write_frame(pass, error);
    if (rc == ECSHIST_OK)
        rc = pass->hold ? hold_frame(pass, error) : index_frame(pass, error);
    if (rc == ECSHIST_OUTCOME_UNKNOWN)
        ehi_store_poison(pass->store);
    return rc;
}

static size_t request_bytes(const struct ehi_request *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request->count; i++)
        bytes += request->records[i].length;
    return bytes;
}

static void measure_group(const struct ehi_request *group, size_t *events, size_t *bytes)
{
    *events = *bytes = 0;
    for (const struct ehi_request *r = group; r != NULL; r = r->next) {
        *events += r->count;
        *bytes += request_bytes(r);
    }
}

static int run_pass(struct ehi_store *store, struct ehi_request *group, bool *lost_lock,
                    struct ecshist_error *error)
{
    size_t events, bytes;
    measure_group(group, &events, &bytes);
    struct pass pass = {.store = store, .hold = ehi_behind_may_hold(store, events, bytes)};
    int rc = apply_group(&pass, group, error);
    if (rc == ECSHIST_OK)
        rc = finish_pass(&pass, error);
    if (rc != ECSHIST_OK)
        ehi_behind_forget(store);
    end_txn(&pass);
    *lost_lock = rc == ECSHIST_INDEX && pass.db != NULL && ehi_db_lost_lock(pass.db);
    ehi_db_release(pass.db);
    return rc;
}

static int run_group(struct ehi_store *store, struct ehi_request *group,
                     struct ecshist_error *error)
{
    bool lost_lock = false;
    int rc = ehi_store_lock(store, error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_log_enter(store->log);
    rc = run_pass(store, group, &lost_lock, error);
    /* A new index has a lock of its own. */
    if (lost_lock) {
        rc = ehi_rebuild(store, NULL, NULL, error);
        if (rc == ECSHIST_OK)
            rc = run_pass(store, group, &lost_lock, error);
    }
    ehi_log_leave(store->log);
    ehi_store_unlock(store);
    return rc;
}

/* -- the queue --------------------------------------------------------------------------------- */

/* As much of the queue as one frame may hold; at least its first request. */
static struct ehi_request *take_group(struct ehi_store *store)
{
    struct ehi_request *group = store->first, *last = group;
    size_t events = group->count, bytes = request_bytes(group);
    while (last->next != NULL) {
        events += last->next->count;
        bytes += request_bytes(last->next);
        if (events > ECSHIST_MAX_BATCH_EVENTS || bytes > ECSHIST_MAX_BATCH_BYTES)
            break;
        last = last->next;
    }
    store->first = last->next;
    if (store->first == NULL)
        store->last = &store->first;
    last->next = NULL;
    return group;
}

/* What a request's thread is to do. */
enum request_turn { TURN_WAIT, TURN_LEAD, TURN_DONE };

/* Sleeps until *word is not `is`, or somebody wakes it, or for no reason at all. wait_us: at most; 0: no limit. */
static void sleep_on(atomic_uint *word, unsigned is, int64_t wait_us)
{
    struct timespec limit = {wait_us / 1000000, wait_us % 1000000 * 1000};
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, is, wait_us == 0 ? NULL : &limit, NULL, 0);
}

/*
 * The thread may see the word before it is woken, and go; then the memory is another's, whose sleep may end for no reason. All
 * sleeps here may.
 */
static void wake(atomic_uint *word, unsigned to)
{
    atomic_store(word, to);
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static unsigned group_size(const struct ehi_request *group)
{
    unsigned size = 0;
    for (; group != NULL; group = group->next)
        size++;
    return size;
}

static void finish_group(struct ehi_request *group, int rc, const struct ecshist_error *error)
{
    for (struct ehi_request *r = group; r != NULL;) {
        struct ehi_request *next = r->next; /* a done request is its thread's again */
        if (rc != ECSHIST_OK) {
            clear_results(r);
            size_t size = r->error->size;
            *r->error = *error;
            r->error->size = size;
            r->code = rc;
        }
        if (r != group) /* the first of them is the leader's own */
            wake(&r->turn, TURN_DONE);
        r = next;
    }
}

/*
 * Threads that append one event after the other were let go of a moment ago, and are about to come back: without them the next
 * flush would be for the few that came meanwhile, and the one after it for all others. So they are waited for, for a part of
 * what an append takes. One thread alone never waits, and a batch is worth a flush of its own.
 */
static void wait_for_others(struct ehi_store *store)
{
    enum { PART = 4, MOST_US = 1000, MANY_EVENTS = 64 };
    unsigned expected = store->released;
    int64_t limit_us = store->last_us / PART < MOST_US ? store->last_us / PART : MOST_US;
    if (expected < 2 || store->queued >= expected || store->first->count > MANY_EVENTS ||
        limit_us <= 0)
        return;
    int64_t until_us = ehi_clock_steady_us() + limit_us;
    store->awaited = expected;
    atomic_store(&store->enough, 0);
    while (store->queued < expected) {
        int64_t left_us = until_us - ehi_clock_steady_us();
        if (left_us <= 0)
            break;
        pthread_mutex_unlock(&store->queue_mutex);
        sleep_on(&store->enough, 0, left_us);
        pthread_mutex_lock(&store->queue_mutex);
    }
    store->awaited = 0;
}

/* The leader's: the queue through the pipeline. Whoever is first behind it leads next. */
static void lead(struct ehi_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    wait_for_others(store);
    struct ehi_request *group = take_group(store);
    unsigned size = group_size(group);
    store->queued -= size;
    bool poisoned = store->poisoned;
    pthread_mutex_unlock(&store->queue_mutex);
    int64_t since_us = ehi_clock_steady_us();
    int rc = poisoned ? fail_poisoned(&error) : run_group(store, group, &error);
    int64_t took_us = ehi_clock_steady_us() - since_us;
    pthread_mutex_lock(&store->queue_mutex);
    store->last_us = took_us;
    store->released = size + store->queued;
    struct ehi_request *next = store->first;
    store->leading = next != NULL;
    pthread_mutex_unlock(&store->queue_mutex);
    if (next != NULL)
        wake(&next->turn, TURN_LEAD);
    finish_group(group, rc, &error);
}

/* Into the queue. true: nobody leads, so this one does. */
static bool enter_queue(struct ehi_store *store, struct ehi_request *request)
{
    request->next = NULL;
    *store->last = request;
    store->last = &request->next;
    store->queued++;
    if (store->awaited != 0 && store->queued >= store->awaited) {
        store->awaited = 0;
        wake(&store->enough, 1);
    }
    bool leads = !store->leading;
    store->leading = true;
    return leads;
}

int ehi_store_append(struct ehi_store *store, struct ehi_request *request)
{
    atomic_init(&request->turn, TURN_WAIT);
    pthread_mutex_lock(&store->queue_mutex);
    if (enter_queue(store, request)) {
        lead(store);
        return request->code;
    }
    pthread_mutex_unlock(&store->queue_mutex);
    while (atomic_load(&request->turn) == TURN_WAIT)
        sleep_on(&request->turn, TURN_WAIT, 0);
    if (atomic_load(&request->turn) == TURN_LEAD) {
        pthread_mutex_lock(&store->queue_mutex);
        lead(store);
    }
    return request->code;
}

int ehi_store_dry_run(struct ehi_store *store, struct ehi_request *request)
{
    struct ehi_batch *batch = ehi_batch_new();
    if (batch == NULL)
        return ehi_fail_memory(request->error);
    struct ehi_db *db = NULL;
    struct ehi_db_txn *txn = NULL;
    struct ehi_db_head head;
    ehi_log_enter(store->log);
    int rc = ehi_store_begin_read(store, &db, &txn, &head, request->error);
    if (rc == ECSHIST_OK) {
        enum request_fate fate;
        ehi_batch_begin(batch, txn, store->log, &head);
        rc = apply_request(batch, request, false, &fate, request->error);
        if (rc == ECSHIST_OK)
            rc = request->code;
        else
            clear_results(request);
    }
    ehi_db_abort(txn);
    ehi_db_release(db);
    ehi_log_leave(store->log);
    ehi_batch_free(batch);
    return rc;
}
