/*
 * A compaction: plan (on a snapshot), expire (in steps: an event and its fold each), clean (segment by segment, oldest
 * first), shrink (the index). What an earlier one left undone of the last two is done, too.
 */
#include "upkeep/compact.h"

#include "fold/expire.h"
#include "fold/expired.h"
#include "upkeep/lock.h"
#include "upkeep/plan.h"

#include <time.h>

enum {
    STEP_SUBJECTS = 250,   /* of one history-expired: some milliseconds of work */
    SEGMENT_STEPS = 1000,  /* what cleaning a segment counts in the progress, in subjects */
    PAUSE_NS = 1000000,    /* between steps, for those who wait for the lock */
    SHRINK_FROM = 1048576, /* bytes of an index that is worth it */
    SHRINK_SHARE = 4       /* where a part of this size is free */
};

struct compaction {
    struct ehi_store *store;
    const struct ecshist_compact_options *options;
    struct ecshist_compact_result *out;
    struct ehi_plan plan;
    struct ehi_expired expired;
    int64_t now_us;
    uint64_t done, total;
    struct ecshist_error *error;
};

static int tell(const struct compaction *c)
{
    if (c->options->progress == NULL ||
        c->options->progress(c->options->progress_context, c->done, c->total))
        return ECSHIST_OK;
    return ehi_fail(c->error, ECSHIST_END, "stopped");
}

/* -- plan -------------------------------------------------------------------------------------- */

static int make_plan(struct compaction *c)
{
    const struct ecshist_compact_options *o = c->options;
    int64_t retention_us = o->retention_us != 0 ? o->retention_us : ECSHIST_DEFAULT_RETENTION_US;
    c->now_us = o->has_now ? o->now_us : c->store->now_us(c->store->now_context);
    c->plan.retention.cutoff_us = c->now_us > retention_us ? c->now_us - retention_us : 0;
    c->plan.retention.keep_last = (o->flags & ECSHIST_COMPACT_FORGET_LAST) == 0;
    ehi_log_enter(c->store->log);
    int rc = ehi_plan_make(&c->plan, c->store, c->error);
    ehi_log_leave(c->store->log);
    c->out->cutoff_us = c->plan.retention.cutoff_us;
    c->out->kept_count = c->plan.kept_count;
    return rc;
}

static void count_planned(struct compaction *c)
{
    c->out->deployment_count = c->plan.deployment_count;
    c->out->revision_count = c->plan.revision_count;
    c->out->service_count = c->plan.gone_count;
    c->out->event_count = c->plan.event_count;
}

static bool anything_planned(const struct ehi_plan *plan)
{
    return plan->event_count != 0 || plan->gone_count != 0;
}

/* -- expire ------------------------------------------------------------------------------------ */

static int decide(void *context, struct ehi_db_txn *txn, const struct ehi_db_head *head,
                  struct ehi_arena *arena, struct ehi_expiry *out, struct ecshist_error *error)
{
    struct compaction *c = context;
    int rc = ehi_plan_follow(&c->plan, c->store->log, head->next_seq, error);
    return rc == ECSHIST_OK ? ehi_plan_take(&c->plan, txn, STEP_SUBJECTS, arena, out, error) : rc;
}

/* What came since is mostly reckoned with before the lock is taken. */
static int follow(struct compaction *c)
{
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    int rc = ehi_store_begin_read(c->store, &db, &txn, &head, c->error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_db_abort(txn);
    ehi_db_release(db);
    ehi_log_enter(c->store->log);
    rc = ehi_plan_follow(&c->plan, c->store->log, head.next_seq, c->error);
    ehi_log_leave(c->store->log);
    return rc;
}

static void note_held(struct compaction *c, int64_t held_us)
{
    if (held_us > c->out->longest_step_us)
        c->out->longest_step_us = held_us;
}

static void count_step(struct compaction *c, const struct ehi_expired_step *step)
{
    c->out->deployment_count += step->deployments;
    c->out->revision_count += step->revisions;
    c->out->service_count += step->services;
    c->out->event_count += step->events;
    c->done += step->deployments + step->revisions;
}

static int expire_step(struct compaction *c)
{
    struct ehi_expired_step step;
    int rc = follow(c);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_store_expire(c->store, c->now_us, decide, c, &step, c->error);
    if (rc != ECSHIST_OK)
        return rc;
    note_held(c, step.held_us);
    count_step(c, &step);
    nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    return tell(c);
}

static int roll(struct compaction *c)
{
    int64_t held_us = 0;
    int rc = ehi_store_roll(c->store, &held_us, c->error);
    note_held(c, held_us);
    return rc;
}

static int expire(struct compaction *c)
{
    if (!anything_planned(&c->plan))
        return ECSHIST_OK;
    /* What goes and is in the newest segment could not be cleaned there. */
    int rc = c->plan.newest_seq >= c->plan.seen.segment ? roll(c) : ECSHIST_OK;
    while (rc == ECSHIST_OK && !ehi_plan_done(&c->plan))
        rc = expire_step(c);
    c->out->passed_count = c->plan.passed_count;
    return rc;
}

/* -- clean ------------------------------------------------------------------------------------- */

static int read_expiry(struct compaction *c, const struct ehi_db_entry *entry)
{
    struct ehi_slice record;
    struct ehi_arena arena = {0};
    int rc = ehi_log_read(c->store->log, entry->seq, entry->offset, &arena, &record, c->error);
    if (rc == ECSHIST_OK)
        rc = ehi_expired_add(&c->expired, record, c->error);
    ehi_arena_free(&arena);
    return rc;
}

/* All history-expired that there are: the index has where they stand. */
static int read_expiries(struct compaction *c)
{
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    struct ehi_db_walk walk;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    bool found = true;
    int rc = ehi_store_begin_read(c->store, &db, &txn, &head, c->error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_db_timeline(&walk, txn, EHI_DB_EXPIRIES);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_timeline_next(&walk, entries, &count, &found, c->error);
        for (unsigned i = 0; rc == ECSHIST_OK && found && i < count; i++)
            rc = read_expiry(c, &entries[i]);
    }
    ehi_db_walk_end(&walk);
    ehi_db_abort(txn);
    ehi_db_release(db);
    return rc;
}

static bool stays(void *context, struct ehi_slice record)
{
    return !ehi_expired_has(context, record);
}

static int clean_segment(struct compaction *c, uint64_t segment)
{
    struct ehi_cleaning cleaning;
    ehi_log_enter(c->store->log);
    int rc = ehi_log_clean(c->store->log, segment, c->expired.last_seq, stays, &c->expired,
                           &cleaning, c->error);
    ehi_log_leave(c->store->log);
    if (rc != ECSHIST_OK)
        return rc;
    c->out->segments_cleaned += cleaning.removed != 0;
    c->done += SEGMENT_STEPS;
    return tell(c);
}

static int clean(struct compaction *c)
{
    ehi_log_enter(c->store->log);
    int rc = ehi_log_sweep(c->store->log, c->error);
    if (rc == ECSHIST_OK)
        rc = read_expiries(c);
    ehi_log_leave(c->store->log);
    if (rc != ECSHIST_OK || c->expired.last_seq == 0)
        return rc;
    uint64_t segment = ehi_log_sealed_from(c->store->log, 1);
    while (rc == ECSHIST_OK && segment != 0 && segment < c->expired.last_seq) {
        rc = clean_segment(c, segment);
        segment = ehi_log_sealed_from(c->store->log, segment + 1);
    }
    return rc;
}

/* -- shrink ------------------------------------------------------------------------------------ */

static int index_sizes(const struct compaction *c, uint64_t *file_bytes, uint64_t *free_bytes)
{
    struct ehi_db *db;
    uint64_t map_bytes;
    uint32_t readers;
    int rc = ehi_store_db(c->store, &db, c->error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_db_sizes(db, file_bytes, &map_bytes, &readers, c->error);
    if (rc == ECSHIST_OK && free_bytes != NULL)
        rc = ehi_db_free_bytes(db, free_bytes, c->error);
    ehi_db_release(db);
    return rc;
}

#ifdef ECSHIST_TEST_HOOKS
bool ehi_compact_test_always_shrinks;
#endif

static bool worth_a_copy(uint64_t file_bytes, uint64_t free_bytes)
{
#ifdef ECSHIST_TEST_HOOKS
    if (ehi_compact_test_always_shrinks)
        return true;
#endif
    return file_bytes >= SHRINK_FROM && free_bytes >= file_bytes / SHRINK_SHARE;
}

static int shrink(struct compaction *c)
{
    uint64_t file_bytes, free_bytes;
    int rc = index_sizes(c, &file_bytes, &free_bytes);
    if (rc != ECSHIST_OK || !worth_a_copy(file_bytes, free_bytes))
        return rc;
    int64_t held_us = 0;
    rc = ehi_store_shrink_index(c->store, &held_us, c->error);
    note_held(c, held_us);
    return rc;
}

/* -- all of it --------------------------------------------------------------------------------- */

static int measure(const struct compaction *c, uint64_t *log_bytes, uint64_t *index_bytes)
{
    struct ehi_position none = {0};
    uint64_t segments, used;
    int rc = ehi_log_sizes(c->store->log, &none, &segments, log_bytes, &used, c->error);
    return rc == ECSHIST_OK ? index_sizes(c, index_bytes, NULL) : rc;
}

static uint64_t count_segments(const struct compaction *c)
{
    uint64_t count = 0;
    for (uint64_t s = ehi_log_sealed_from(c->store->log, 1); s != 0; count++)
        s = ehi_log_sealed_from(c->store->log, s + 1);
    return count;
}

static int run(struct compaction *c)
{
    int rc = measure(c, &c->out->log_bytes_before, &c->out->index_bytes_before);
    if (rc == ECSHIST_OK)
        rc = ehi_store_settle(c->store, c->error);
    if (rc == ECSHIST_OK)
        rc = make_plan(c);
    c->total =
        c->plan.deployment_count + c->plan.revision_count + (count_segments(c) + 1) * SEGMENT_STEPS;
    if (rc == ECSHIST_OK)
        rc = tell(c);
    if (rc == ECSHIST_OK)
        rc = expire(c);
    if (rc == ECSHIST_OK)
        rc = clean(c);
    if (rc == ECSHIST_OK)
        rc = shrink(c);
    /* Maps of files that are no more are let go of, so that their bytes go back. */
    ehi_log_enter(c->store->log);
    ehi_log_leave(c->store->log);
    if (rc == ECSHIST_OK)
        return measure(c, &c->out->log_bytes_after, &c->out->index_bytes_after);
    /* What stopped it is what is told; sizes are of interest, where they can be had. */
    c->error = NULL;
    (void)!measure(c, &c->out->log_bytes_after, &c->out->index_bytes_after);
    return rc;
}

static int run_alone(struct compaction *c)
{
    int lock;
    int rc = ehi_upkeep_lock(c->store, &lock, c->error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = run(c);
    ehi_upkeep_unlock(lock);
    return rc;
}

int ehi_compact(struct ehi_store *store, const struct ecshist_compact_options *options,
                struct ecshist_compact_result *out, struct ecshist_error *error)
{
    struct compaction c = {.store = store, .options = options, .out = out, .error = error};
    int rc;
    if ((options->flags & ECSHIST_COMPACT_DRY_RUN) != 0) {
        rc = make_plan(&c);
        count_planned(&c);
    } else {
        rc = run_alone(&c);
    }
    ehi_plan_free(&c.plan);
    ehi_expired_free(&c.expired);
    return rc;
}
