#include "fold/behind.h"

#include "base/clock.h"
#include "fold/thread.h"
#include "fold/words.h"
#include "log/sys.h"

#include <sys/statvfs.h>
#include <time.h>

/* So many events are held at the most, of so much of the batch's memory, and so long: then the next append hands them over. */
enum { HOLD_EVENTS = 4096, HOLD_BYTES = 8 << 20, HOLD_US = 200000 };
/* One append of more than that is held by itself, up to so many. */
enum { HOLD_AT_ONCE = 16384 };
/* No append has come so long after HOLD_US: the flusher puts them. */
enum { GRACE_US = 20000 };
/* Nothing is held for so long after somebody wanted it. */
enum { WANTED_US = 100000 };
/* How often a reader looks whether he has what he wants: each 100 us, then each 10 ms. */
enum { ATTEMPTS = 200, SLOW_ATTEMPTS = 1000 };

/* -- whether --------------------------------------------------------------------------------------- */

/*
 * What is held can always be put: it must not be acknowledged, and then find the disk full. An event changes some eight pages
 * of the index at the most, and each is copied and may be split. What was handed over may need the same still.
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
    if (store->handed.db != NULL) {
        events -= store->handed.events < events ? store->handed.events : events;
        bytes -= store->handed.bytes < bytes ? store->handed.bytes : bytes;
    }
    held->most_events = events < HOLD_AT_ONCE ? (size_t)events : HOLD_AT_ONCE;
    held->most_bytes = bytes < HOLD_BYTES ? (size_t)bytes : HOLD_BYTES;
}

#ifdef ECSHIST_TEST_HOOKS
int64_t ehi_behind_test_hold_us;
unsigned ehi_behind_test_hold_events;
bool ehi_behind_test_put_fails;
#define HOOK_PUT_FAILS ehi_behind_test_put_fails
#define HOOK_HOLD_US ehi_behind_test_hold_us
#define HOOK_HOLD_EVENTS ehi_behind_test_hold_events
#else
#define HOOK_HOLD_US 0
#define HOOK_HOLD_EVENTS 0
#define HOOK_PUT_FAILS false
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
static bool hand_over(struct ehi_store *store);
static void take_back(struct ehi_store *store, bool wait);
static void let_go(struct ehi_store *store);

/* The batch has events that are held. */
static bool has_events(const struct ehi_store *store)
{
    return store->held.db != NULL && ehi_batch_count(store->batch) != 0;
}

/* So many more can stay with what is held. */
static bool fits(const struct ehi_store *store, size_t events, size_t bytes)
{
    const struct ehi_held *held = &store->held;
    size_t most = held->most_events;
    if (held->db != NULL)
        bytes += ehi_batch_bytes(store->batch);
    if (has_events(store)) {
        size_t usual = HOOK_HOLD_EVENTS != 0 ? HOOK_HOLD_EVENTS : HOLD_EVENTS;
        events += ehi_batch_count(store->batch);
        most = most < usual ? most : usual;
    }
    return events <= most && bytes <= held->most_bytes;
}

bool ehi_behind_may_hold(struct ehi_store *store, size_t events, size_t bytes)
{
    struct ehi_held *held = &store->held;
    int64_t now_us = ehi_clock_steady_us();
    take_back(store, false);
    /* Nothing came but what changes nothing, and what was handed over is put: one begins anew. */
    if (!has_events(store) && store->handed.db == NULL)
        let_go(store);
    if (store->words == NULL || wanted_lately(store->words, now_us) || !start_flusher(store))
        return false;
    bool due = held->due_us != 0 && held->due_us <= now_us;
    if (has_events(store) && (due || !fits(store, events, bytes)) && !hand_over(store))
        return false;
    if (!has_events(store))
        measure_room(store);
    return fits(store, events, bytes);
}

bool ehi_behind_is(const struct ehi_store *store, const struct ehi_db_head *head)
{
    if (store->words != NULL)
        return atomic_load(&store->words->next_seq) > head->next_seq;
    struct ehi_position position = ehi_head_position(head);
    return !ehi_log_at_end(store->log, &position);
}

/* -- handing over ------------------------------------------------------------------------------------ */

/* Onto the commit of that number. *committed: which one it is; 0: none, as it failed, or somebody else has committed. */
static int put_onto(struct ehi_db *db, uint64_t txn_id, struct ehi_batch *batch,
                    uint64_t *committed, struct ecshist_error *error)
{
    struct ehi_db_txn *txn;
    *committed = 0;
    int rc = ehi_db_begin(db, true, &txn, error);
    if (rc != ECSHIST_OK)
        return rc;
    bool fits = ehi_db_txn_id(txn) == txn_id;
    if (fits) {
        ehi_batch_continue(batch, txn, false);
        rc = ehi_batch_put(batch, error);
    }
    if (!fits || rc != ECSHIST_OK) {
        ehi_db_abort(txn);
        return rc;
    }
    rc = ehi_db_commit(txn, error);
    *committed = rc == ECSHIST_OK ? txn_id + 1 : 0;
    return rc;
}

/*
 * LMDB's lock is not the writers' lock: a reader of another process, who has that, must be able to tell that somebody has this one, and may have
 * been stopped. So there is a lock around it that can be tried. Who has it is putting; then what is here would not fit what it finds.
 */
static uint64_t put_under_lock(struct ehi_store *store)
{
    struct ehi_handed *handed = &store->handed;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    uint64_t committed = 0;
    if (HOOK_PUT_FAILS || ehi_sys_trylock(store->words_fd) != 0)
        return 0;
    (void)!put_onto(handed->db, handed->txn_id, handed->batch, &committed, &error);
    ehi_sys_unlock(store->words_fd);
    return committed;
}

/* With the flusher's mutex, which is let go of meanwhile. */
static void put_handed(struct ehi_store *store)
{
    struct ehi_handed *handed = &store->handed;
    handed->state = EHI_PUT_RUNS;
    pthread_mutex_unlock(&store->flusher.mutex);
    uint64_t committed = put_under_lock(store);
    pthread_mutex_lock(&store->flusher.mutex);
    handed->committed = committed;
    handed->state = EHI_PUT_DONE;
    pthread_cond_broadcast(&store->flusher.done);
}

static bool is_put(struct ehi_store *store, bool wait)
{
    struct ehi_handed *handed = &store->handed;
    struct ehi_flusher *f = &store->flusher;
    pthread_mutex_lock(&f->mutex);
    if (wait && handed->state == EHI_PUT_WAITS)
        put_handed(store);
    while (wait && handed->state == EHI_PUT_RUNS)
        pthread_cond_wait(&f->done, &f->mutex);
    bool done = handed->state == EHI_PUT_DONE;
    if (done)
        handed->state = EHI_PUT_NONE;
    pthread_mutex_unlock(&f->mutex);
    return done;
}

static void let_go(struct ehi_store *store)
{
    ehi_db_release(store->held.db);
    store->held.db = NULL;
    store->held.due_us = 0;
}

/*
 * What was handed over was put: what is held goes on from there. Where it could not be put, what is held goes with it, and whoever comes next folds
 * both from the log. wait: until it is one of these.
 */
static void take_back(struct ehi_store *store, bool wait)
{
    struct ehi_handed *handed = &store->handed;
    if (handed->db == NULL || !is_put(store, wait))
        return;
    ehi_db_release(handed->db);
    handed->db = NULL;
    if (handed->committed == 0)
        let_go(store);
    store->held.txn_id = handed->committed;
}

void ehi_behind_wait(struct ehi_store *store)
{
    take_back(store, true);
    if (!has_events(store))
        let_go(store);
}

/* The index that the events are for is the one that stands. */
static bool is_current(struct ehi_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_db *db = NULL;
    bool current = ehi_store_db(store, &db, &error) == ECSHIST_OK && db == store->held.db;
    ehi_db_release(db);
    return current;
}

/*
 * The batch is put by the flusher, while the leader goes on with the other one, behind it. false: nothing has changed, or nothing is held
 * any more.
 */
static bool hand_over(struct ehi_store *store)
{
    struct ehi_handed *handed = &store->handed;
    struct ehi_held *held = &store->held;
    struct ehi_batch *full = store->batch;
    take_back(store, true);
    if (handed->batch == NULL)
        handed->batch = ehi_batch_new();
    if (held->db == NULL || handed->batch == NULL || !is_current(store))
        return false;
    store->batch = handed->batch;
    ehi_head_set_position(ehi_batch_head(full), &held->position);
    ehi_batch_begin(store->batch, NULL, store->log, ehi_batch_head(full));
    ehi_batch_follow(store->batch, full);
    handed->batch = full;
    handed->db = ehi_db_ref(held->db);
    handed->txn_id = held->txn_id;
    handed->events = ehi_batch_count(full);
    handed->bytes = ehi_batch_bytes(full);
    handed->cpu = sched_getcpu();
    held->due_us = 0;
    pthread_mutex_lock(&store->flusher.mutex);
    handed->state = EHI_PUT_WAITS;
    pthread_cond_signal(&store->flusher.wake);
    pthread_mutex_unlock(&store->flusher.mutex);
    return true;
}

/* -- the flusher: it puts what is handed over, and, for readers that cannot ask, what is due -------------- */

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

/*
 * 0: not before somebody says so. What was put is taken back by the next append; where none comes, here, so that an index that was swapped
 * since is not kept.
 */
static int64_t next_flush_us(const struct ehi_store *store, int64_t put_us)
{
    int64_t due_us = store->held.due_us;
    if (due_us == 0 && store->handed.state == EHI_PUT_DONE)
        due_us = put_us;
    return due_us == 0 ? 0 : due_us + GRACE_US;
}

/* With the mutex, which is let go of meanwhile. */
static void try_to_flush(struct ehi_store *store)
{
    struct ehi_flusher *f = &store->flusher;
    pthread_mutex_unlock(&f->mutex);
    bool flushed = flush_now(store);
    pthread_mutex_lock(&f->mutex);
    if (!flushed && !f->stop && store->handed.state != EHI_PUT_WAITS)
        wait_until(f, ehi_clock_steady_us() + GRACE_US);
}

/* A program that appends all the time hands them over itself: two who want one lock would only wake each other. */
static void *flush_when_due(void *context)
{
    struct ehi_store *store = context;
    struct ehi_flusher *f = &store->flusher;
    struct ehi_cpus cpus = {0};
    int64_t put_us = 0;
    pthread_mutex_lock(&f->mutex);
    while (!f->stop) {
        int64_t at_us = next_flush_us(store, put_us);
        if (store->handed.state == EHI_PUT_WAITS) {
            ehi_thread_keep_off(&cpus, store->handed.cpu);
            put_handed(store);
            put_us = ehi_clock_steady_us();
        } else if (at_us == 0) {
            wait_for_events(f);
        } else if (ehi_clock_steady_us() < at_us) {
            wait_until(f, at_us);
        } else {
            try_to_flush(store);
        }
    }
    f->ended = true;
    pthread_cond_broadcast(&f->done);
    pthread_mutex_unlock(&f->mutex);
    return NULL;
}

/* false: it waits for LMDB's lock, which a process has that was stopped with it. Then it goes on by itself, if ever. */
static bool end_thread(struct ehi_flusher *f)
{
    enum { MOST_S = 10 };
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += MOST_S;
    pthread_mutex_lock(&f->mutex);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    while (!f->ended && pthread_cond_timedwait(&f->done, &f->mutex, &until) == 0)
        continue;
    bool ended = f->ended;
    pthread_mutex_unlock(&f->mutex);
    if (ended)
        (void)pthread_join(f->thread, NULL);
    else
        (void)pthread_detach(f->thread);
    f->runs = !ended;
    return ended;
}

bool ehi_behind_stop(struct ehi_store *store)
{
    enum { STOP_TRIES = 100 };
    static const struct timespec pause = {0, 10000000};
    if (store->flusher.runs && !end_thread(&store->flusher))
        return false;
    /* What it did not come to. A close does not wait for a process that was stopped with the lock: all is in the log. */
    take_back(store, true);
    for (int i = 0; i < STOP_TRIES && has_events(store) && !flush_now(store); i++)
        (void)nanosleep(&pause, NULL);
    ehi_behind_forget(store);
    return true;
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

/* Nobody has appended since, or committed but for what was handed over, or swapped the index. */
static bool still_holds(struct ehi_store *store, const struct ehi_db *db,
                        const struct ehi_db_txn *txn)
{
    const struct ehi_held *held = &store->held;
    if (held->db == db && held->txn_id != ehi_db_txn_id(txn))
        take_back(store, true); /* committed a moment ago, maybe */
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
    if (held->db == NULL) {
        held->db = ehi_db_ref(db);
        held->txn_id = ehi_db_txn_id(txn);
    }
    held->position = *position;
    atomic_store(&store->words->next_seq, position->next_seq);
    if (held->due_us == 0)
        set_due(store);
}

void ehi_behind_forget(struct ehi_store *store)
{
    take_back(store, true);
    let_go(store);
}

int ehi_behind_settle(struct ehi_store *store, struct ecshist_error *error)
{
    const struct ehi_held *held = &store->held;
    uint64_t committed;
    int rc = ECSHIST_OK;
    take_back(store, true);
    if (has_events(store) && is_current(store)) {
        ehi_head_set_position(ehi_batch_head(store->batch), &held->position);
        rc = put_onto(held->db, held->txn_id, store->batch, &committed, error);
    }
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

bool ehi_behind_let_go_of_failed(struct ehi_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    bool locked = false;
    if (ehi_store_locks(store) || ehi_store_trylock(store, &locked, &error) != ECSHIST_OK ||
        !locked)
        return false;
    take_back(store, true);
    ehi_store_unlock(store);
    return true;
}

/* With the writers' lock: nobody else is putting what was handed over, and nothing is of this process's. */
static bool lock_putting(struct ehi_store *store)
{
    ehi_behind_wait(store);
    return store->words_fd < 0 || ehi_sys_trylock(store->words_fd) == 0;
}

static void unlock_putting(struct ehi_store *store)
{
    if (store->words_fd >= 0)
        ehi_sys_unlock(store->words_fd);
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
    *settled = lock_putting(store);
    if (*settled) {
        rc = catch_up_locked(store, error);
        unlock_putting(store);
    }
    ehi_store_unlock(store);
    return *settled ? rc : wait_for_lock(attempt, error);
}
