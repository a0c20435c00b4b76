/*
 * Random streams through the whole library, against the naive model: every outcome of every append
 * in every mode, and every view, now and as of earlier moments, before and after reopening and
 * rebuilding.
 */
#include "fold/behind.h"
#include "support/pair.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REVISIONS = RANDOM_SERVICES * RANDOM_REVISIONS };

struct run {
    struct pair pair;
    struct random_events random;
    char *path;
    uint64_t seed;
    char names[RANDOM_DEPLOYMENTS + REVISIONS + RANDOM_SERVICES][256];
    const char *arns[RANDOM_DEPLOYMENTS + REVISIONS + RANDOM_SERVICES];
    struct pair_subjects subjects;
};

static void name_subjects(struct run *run)
{
    size_t n = 0;
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++, n++)
        run->arns[n] = random_deployment_arn(i, run->names[n]);
    for (int i = 0; i < REVISIONS; i++, n++)
        run->arns[n] =
            random_revision_arn(i / RANDOM_REVISIONS, i % RANDOM_REVISIONS, run->names[n]);
    for (int i = 0; i < RANDOM_SERVICES; i++, n++)
        run->arns[n] = random_service_arn(i, run->names[n]);
    run->subjects = (struct pair_subjects){run->arns,
                                           RANDOM_DEPLOYMENTS,
                                           run->arns + RANDOM_DEPLOYMENTS,
                                           REVISIONS,
                                           run->arns + RANDOM_DEPLOYMENTS + REVISIONS,
                                           RANDOM_SERVICES};
}

static void must(struct run *run, bool agree)
{
    cr_assert(agree, "seed %llu, after %llu events: %s", (unsigned long long)run->seed,
              (unsigned long long)naive_count(run->pair.naive), run->pair.where);
}

static void reopen(struct run *run)
{
    ecshist_close(run->pair.store);
    if (random_percent(&run->random, 30)) {
        char *index = store_dir_path(run->path, "index");
        store_dir_unlink(index);
        free(index);
    }
    run->pair.store = store_dir_open(run->path);
}

static void append_some(struct run *run)
{
    json_t *events[PAIR_BATCH];
    bool single = random_percent(&run->random, 60);
    size_t count =
        single ? 1
               : 1 + random_below(&run->random, random_percent(&run->random, 10) ? PAIR_BATCH : 6);
    unsigned flags = (unsigned)random_below(&run->random, 4);
    for (size_t i = 0; i < count; i++)
        events[i] = random_events_next(&run->random);
    if (random_percent(&run->random, 5))
        must(run, pair_dry_run(&run->pair, events, count, flags));
    must(run, pair_append(&run->pair, events, count, flags));
    for (size_t i = 0; i < count; i++)
        json_decref(events[i]);
}

/* Of random moments, most of them within the history. */
static void look_back(struct run *run, unsigned times)
{
    uint64_t count = naive_count(run->pair.naive);
    for (unsigned i = 0; i < times; i++) {
        struct naive_as_of seq = {1 + random_below(&run->random, count + 2), false, 0};
        must(run, pair_agrees(&run->pair, &run->subjects, seq));
        int64_t back_us = (int64_t)random_below(&run->random, 30 * (count + 1)) * 1000000;
        struct naive_as_of time = {0, true, run->random.now_us + 60000000 - back_us};
        must(run, pair_agrees(&run->pair, &run->subjects, time));
    }
}

static void look_at_all(struct run *run, unsigned times)
{
    must(run, pair_agrees(&run->pair, &run->subjects, (struct naive_as_of){0}));
    must(run, pair_agrees_on_history(&run->pair, &run->subjects));
    look_back(run, times);
}

static void run_stream(struct run *run, uint64_t seed, unsigned appends, unsigned times)
{
    run->seed = seed;
#ifdef ECSHIST_TEST_HOOKS
    ehi_behind_test_hold_us = seed % 2 == 0 ? 0 : INT64_C(1000000000);
#endif
    run->pair.naive = naive_new();
    run->pair.store = store_dir_open(run->path);
    random_events_start(&run->random, seed);
    for (unsigned i = 0; i < appends; i++) {
        append_some(run);
        if (random_percent(&run->random, 4))
            reopen(run);
        if (random_percent(&run->random, 10))
            must(run, pair_agrees(&run->pair, &run->subjects, (struct naive_as_of){0}));
    }
    look_at_all(run, times);
    cr_assert_eq(ecshist_rebuild_index(run->pair.store, NULL, NULL, NULL), ECSHIST_OK);
    look_at_all(run, times);
    random_events_end(&run->random);
    ecshist_close(run->pair.store);
    naive_free(run->pair.naive);
    store_dir_unlink(run->path);
}

/* Flushes are not what is tested here. */
static char *fast_dir(void)
{
    return access("/dev/shm", W_OK) == 0 ? store_dir_new_in("/dev/shm") : store_dir_new();
}

static void run_streams(uint64_t first_seed, unsigned streams, unsigned appends, unsigned times)
{
    char *dir = fast_dir();
    struct run *run = calloc(1, sizeof(*run));
    cr_assert_not_null(run);
    run->path = store_dir_path(dir, "store");
    name_subjects(run);
    const char *more = getenv("ECSHIST_ORACLE_TIMES");
    streams *= more != NULL ? (unsigned)atoi(more) : 1;
    for (unsigned i = 0; i < streams; i++)
        run_stream(run, first_seed + i, appends, times);
    free(run->path);
    free(run);
    store_dir_remove(dir);
}

TestSuite(store_oracle);

Test(store_oracle, short_streams)
{
    run_streams(1, 150, 25, 2);
}

Test(store_oracle, longer_streams)
{
    run_streams(100000, 12, 200, 4);
}
