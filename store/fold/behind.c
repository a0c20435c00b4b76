#include "fold/behind.h"

#include "base/clock.h"
#include "fold/thread.h"
#include "fold/words.h"

#include <sys/statvfs.h>
#include <time.h>

/* So many events are held at the most, of so much of the batch's memory, and so long: then an append puts them. */
enum { HOLD_EVENTS = 2048, HOLD_BYTES = 8 << 20, HOLD_US = 200000 };
/* No append has come so long after that: the flusher puts them. */
enum { GRACE_US = 20000 };
/* Nothing is held for so long after somebody wanted it. */
enum { WANTED_US = 100000 };
/* How often a reader looks whether he has what he wants: each 100 us, then each 10 ms. */
enum { ATTEMPTS = 200, SLOW_ATTEMPTS = 1000 };

/* -- whether --------------------------------------------------------------------------------------- */

/*
 * What is held can always be put: it must not be acknowledged, and then find the disk full. An event changes some eight pages
 * of the index at the most, and each is copied and may be split.
 */
static void measure_room(struct ehi_store *store)
{
    enum { EVENT_PAGES_BYTES = 65536, BYTES_SHARE = 8 };
    struct ehi_held *held = &store->held;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_db *db = NULL;
    struct statvfs disk;
    uint64_t room = 0;
    if (ehi_store_db(store, &db, &error) == ECSHIST_OK && fstatvfs(store->dir_fd, &disk) == 0)
        room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (db != NULL && room > ehi_db_room(db))
        room = ehi_db_room(db);
    ehi_db_release(db);
    uint64_t events = room / EVENT_PAGES_BYTES, bytes = room / BYTES_SHARE;
    held->most_events = events < HOLD_EVENTS ? (size_t)events : HOLD_EVENTS;
    held->most_bytes = bytes < HOLD_BYTES ? (size_t)bytes : HOLD_BYTES;
}

#ifdef ECSHIST_TEST_HOOKS
int64_t ehi_behind_test_hold_us;
#define HOOK_HOLD_US ehi_behind_test_hold_us
#else
#define HOOK_HOLD_US 0
#endif

/* Clocks of two time namespaces differ: then the moment may lie ahead. */
static bool wanted_lately(struct ehi_words *words, int64_t now_us)
{
    if (HOOK_HOLD_US != 0)
        return HOOK_HOLD_US < 0;
    int64_t wanted_us = atomic_load_explicit(&words->wanted_us, memory_order_relaxed);
    int64_t since_us = now_us - wanted_us;
    return wanted_us != 0 && since_us > -WANTED_US && since_us < WANTED_US;
}

static bool start_flusher(struct ehi_store *store);

bool ehi_behind_may_hold(struct ehi_store *store, size_t events, size_t bytes)
{
    struct ehi_held *held = &store->held;
    int64_t now_us = ehi_clock_steady_us();
    if (store->words == NULL || events > HOLD_EVENTS || wanted_lately(store->words, now_us) ||
        (held->due_us != 0 && held->due_us <= now_us) || !start_flusher(store))
        return false;
    if (held->db == NULL) {
        measure_room(store);
    } else {
        events += ehi_batch_count(store->batch);
        bytes += ehi_batch_bytes(store->batch);
    }
    return events <= held->most_events && bytes <= held->most_bytes;
}

bool ehi_behind_is(const struct ehi_store *store, const struct ehi_db_head *head)
{
    if (store->words != NULL)
        return atomic_load(&store->words->next_seq) > head->next_seq;
    struct ehi_position position = ehi_head_position(head);
    return !ehi_log_at_end(store->log, &position);
}

/* -- the flusher: for readers that cannot ask --------------------------------------------------------- */

static void *flush_when_due(void *context);

static bool start_flusher(struct ehi_store *store)
{
    struct ehi_flusher *f = &store->flusher;
    if (!f->runs)
        f->runs = ehi_thread_start(&f->thread, flush_when_due, store);
    return f->runs;
}

static void set_due(struct ehi_store *store)
{
    struct ehi_flusher *f = &store->flusher;
    store->held.due_us = ehi_clock_steady_us() + (HOOK_HOLD_US > 0 ? HOOK_HOLD_US : HOLD_US);
    pthread_mutex_lock(&f->mutex);
    if (f->idle)
        pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->mutex);
}

static void wait_until(struct ehi_flusher *f, int64_t us)
{
    struct timespec until = {us / 1000000, us % 1000000 * 1000};
    (void)pthread_cond_timedwait(&f->wake, &f->mutex, &until);
}

static void wait_for_events(struct ehi_flusher *f)
{
    f->idle = true;
    pthread_cond_wait(&f->wake, &f->mutex);
    f->idle = false;
}

/* false: somebody else has the lock. What fails is tried again by the next who appends or reads, who is told. */
static bool flush_now(struct ehi_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    bool locked = false;
    if (ehi_store_trylock(store, &locked, &error) != ECSHIST_OK || !locked)
        return false;
    ehi_log_enter(store->log);
    (void)!ehi_behind_settle(store, &error);
    ehi_log_leave(store->log);
    ehi_store_unlock(store);
    return true;
}

/* A program that appends all the time puts them itself: two who want one lock would only wake each other. */
static void *flush_when_due(void *context)
{
    struct ehi_store *store = context;
    struct ehi_flusher *f = &store->flusher;
    pthread_mutex_lock(&f->mutex);
    while (!f->stop) {
        int64_t due_us = store->held.due_us;
        if (due_us == 0) {
            wait_for_events(f);
        } else if (ehi_clock_steady_us() < due_us + GRACE_US) {
            wait_until(f, due_us + GRACE_US);
        } else {
            pthread_mutex_unlock(&f->mutex);
            bool flushed = flush_now(store);
            pthread_mutex_lock(&f->mutex);
            if (!flushed && !f->stop)
                wait_until(f, ehi_clock_steady_us() + GRACE_US);
        }
    }
    pthread_mutex_unlock(&f->mutex);
    return NULL;
}

void ehi_behind_stop(struct ehi_store *store)
{
    enum { STOP_TRIES = 100 };
    static const struct timespec pause = {0, 10000000};
    struct ehi_flusher *f = &store->flusher;
    if (f->runs) {
        pthread_mutex_lock(&f->mutex);
        f->stop = true;
        pthread_cond_signal(&f->wake);
        pthread_mutex_unlock(&f->mutex);
        (void)pthread_join(f->thread, NULL);
        f->runs = false;
    }
    /* A close does not wait for a process that was stopped with the lock: all is in the log. */
    for (int i = 0; i < STOP_TRIES && store->held.db != NULL && !flush_now(store); i++)
        (void)nanosleep(&pause, NULL);
    ehi_behind_forget(store);
}

/* -- beginning --------------------------------------------------------------------------------------- */

/* A transaction on an index that has applied all of the log. */
static int begin_at_end(struct ehi_store *store, struct ehi_db *db, bool write,
                        struct ehi_db_txn **txn, struct ehi_db_head *head,
                        struct ecshist_error *error)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        int rc = ehi_db_begin(db, write, txn, error);
        bool found;
        if (rc == ECSHIST_OK)
            rc = ehi_db_get_head(*txn, head, &found, error);
        if (rc != ECSHIST_OK)
            return rc;
        struct ehi_position position = ehi_head_position(head);
        if (!found || ehi_log_at_end(store->log, &position))
            return found ? ECSHIST_OK
                         : ehi_fail(error, ECSHIST_INDEX, "the index is empty: rebuild it");
        /* Somebody's events are in the log alone: he died, or holds them. */
        ehi_db_abort(*txn);
        *txn = NULL;
        rc = ehi_replay(store, db, NULL, NULL, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ehi_fail(error, ECSHIST_INDEX, "the index does not reach the end of the log");
}

int ehi_begin_at_tail(struct ehi_store *store, struct ehi_db *db, struct ehi_db_txn **txn,
                      struct ehi_db_head *head, struct ecshist_error *error)
{
    int rc = ehi_behind_settle(store, error);
    return rc == ECSHIST_OK ? begin_at_end(store, db, true, txn, head, error) : rc;
}

/* Nobody has appended since, or committed, or swapped the index. */
static bool still_holds(const struct ehi_store *store, const struct ehi_db *db,
                        const struct ehi_db_txn *txn)
{
    const struct ehi_held *held = &store->held;
    return held->db == db && held->txn_id == ehi_db_txn_id(txn) &&
           ehi_log_at_end(store->log, &held->position);
}

/* Goes on with what is held. *begun false: it is let go. */
static int begin_held(struct ehi_store *store, struct ehi_db *db, bool hold,
                      struct ehi_db_txn **txn, struct ehi_position *position, bool *begun,
                      struct ecshist_error *error)
{
    int rc = ehi_db_begin(db, !hold, txn, error);
    if (rc != ECSHIST_OK)
        return rc;
    *begun = still_holds(store, db, *txn);
    if (*begun) {
        ehi_batch_continue(store->batch, *txn, hold);
        *position = store->held.position;
        return ECSHIST_OK;
    }
    ehi_db_abort(*txn);
    *txn = NULL;
    ehi_behind_forget(store);
    return ECSHIST_OK;
}

int ehi_behind_begin(struct ehi_store *store, struct ehi_db *db, bool hold, struct ehi_db_txn **txn,
                     struct ehi_position *position, bool *begun, struct ecshist_error *error)
{
    struct ehi_db_head head;
    if (store->held.db != NULL)
        return begin_held(store, db, hold, txn, position, begun, error);
    int rc = begin_at_end(store, db, !hold, txn, &head, error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_batch_begin(store->batch, *txn, store->log, &head);
    ehi_batch_continue(store->batch, *txn, hold);
    *position = ehi_head_position(&head);
    *begun = true;
    return ECSHIST_OK;
}

/* -- holding ----------------------------------------------------------------------------------------- */

void ehi_behind_hold(struct ehi_store *store, struct ehi_db *db, const struct ehi_db_txn *txn,
                     const struct ehi_position *position)
{
    struct ehi_held *held = &store->held;
    bool first = held->db == NULL;
    if (first) {
        held->db = ehi_db_ref(db);
        held->txn_id = ehi_db_txn_id(txn);
    }
    held->position = *position;
    atomic_store(&store->words->next_seq, position->next_seq);
    if (first)
        set_due(store);
}

void ehi_behind_forget(struct ehi_store *store)
{
    ehi_db_release(store->held.db);
    store->held.db = NULL;
    store->held.due_us = 0;
}

static int put_held(struct ehi_store *store, struct ehi_db *db, struct ecshist_error *error)
{
    struct ehi_db_txn *txn;
    int rc = ehi_db_begin(db, true, &txn, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (!still_holds(store, db, txn)) {
        ehi_db_abort(txn);
        return ECSHIST_OK;
    }
    ehi_batch_continue(store->batch, txn, false);
    ehi_head_set_position(ehi_batch_head(store->batch), &store->held.position);
    rc = ehi_batch_put(store->batch, error);
    if (rc == ECSHIST_OK)
        return ehi_db_commit(txn, error);
    ehi_db_abort(txn);
    return rc;
}

int ehi_behind_settle(struct ehi_store *store, struct ecshist_error *error)
{
    if (store->held.db == NULL)
        return ECSHIST_OK;
    struct ehi_db *db = NULL;
    int rc = ehi_store_db(store, &db, error);
    if (rc == ECSHIST_OK && db == store->held.db)
        rc = put_held(store, db, error);
    ehi_db_release(db);
    ehi_behind_forget(store);
    return rc;
}

/* -- for readers ------------------------------------------------------------------------------------- */

/* What was said to be acknowledged is what the log has: a number that was too large is put right. */
static int bring_to_end(struct ehi_store *store, struct ehi_db *db, struct ecshist_error *error)
{
    struct ehi_db_txn *txn = NULL;
    struct ehi_db_head head;
    int rc = begin_at_end(store, db, false, &txn, &head, error);
    if (rc == ECSHIST_OK && store->words != NULL)
        atomic_store(&store->words->next_seq, head.next_seq);
    ehi_db_abort(txn);
    return rc;
}

static int catch_up(struct ehi_store *store, bool *lost_lock, struct ecshist_error *error)
{
    struct ehi_db *db = NULL;
    /* What could not be put is folded again from the log. */
    (void)!ehi_behind_settle(store, error);
    int rc = ehi_store_db(store, &db, error);
    if (rc == ECSHIST_OK)
        rc = bring_to_end(store, db, error);
    *lost_lock = rc == ECSHIST_INDEX && db != NULL && ehi_db_lost_lock(db);
    ehi_db_release(db);
    return rc;
}

void ehi_behind_bring_up(struct ehi_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    bool lost_lock;
    (void)!catch_up(store, &lost_lock, &error);
}

static int catch_up_locked(struct ehi_store *store, struct ecshist_error *error)
{
    bool lost_lock = false;
    ehi_log_enter(store->log);
    int rc = catch_up(store, &lost_lock, error);
    if (lost_lock) {
        rc = ehi_rebuild(store, NULL, NULL, error);
        if (rc == ECSHIST_OK)
            rc = catch_up(store, &lost_lock, error);
    }
    ehi_log_leave(store->log);
    return rc;
}

/* Often at first, then seldom, for some ten seconds: an append or a rebuild is under way, or a process was stopped in one. */
static int wait_for_lock(unsigned attempt, struct ecshist_error *error)
{
    struct timespec moment = {0, attempt < ATTEMPTS ? 100000 : 10000000}; /* ns */
    if (attempt >= ATTEMPTS + SLOW_ATTEMPTS)
        return ehi_fail(error, ECSHIST_BUSY,
                        "acknowledged events are not in the index yet, and another process has the "
                        "writers' lock for more than ten seconds");
    (void)nanosleep(&moment, NULL);
    return ECSHIST_OK;
}

/* Whoever appends knows from the words that he is to put what he has, and a lock that he takes all the time is hard to come by. */
int ehi_behind_catch_up(struct ehi_store *store, unsigned attempt, bool *settled,
                        struct ecshist_error *error)
{
    bool locked = true;
    *settled = ehi_store_locks(store);
    if (*settled) /* asked from within: by a callback */
        return ECSHIST_OK;
    if (store->words != NULL)
        atomic_store(&store->words->wanted_us, ehi_clock_steady_us());
    int rc = store->words == NULL ? ehi_store_lock(store, error)
                                  : ehi_store_trylock(store, &locked, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (!locked)
        return wait_for_lock(attempt, error);
    *settled = true;
    rc = catch_up_locked(store, error);
    ehi_store_unlock(store);
    return rc;
}
