/*
 * Appending: what becomes of each event of a batch, in each mode; ids; long histories. Through the
 * public API.
 */
#include "db/db.h"
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *dir, *path;
static ecshist_store *store;

static void set_up(void)
{
    dir = store_dir_new();
    path = store_dir_path(dir, "store");
    store = store_dir_open(path);
}

static void tear_down(void)
{
    ecshist_close(store);
    free(path);
    store_dir_remove(dir);
}

TestSuite(append, .init = set_up, .fini = tear_down);

#define CREATED(d)                                                                                 \
    "{\"type\":\"deployment-created\",\"time\":100," OF_DEPLOYMENT(d) "," TO_REVISION("r1") "}"
#define STARTED(d) "{\"type\":\"deployment-started\",\"time\":200," OF_DEPLOYMENT(d) "}"
#define SUCCEEDED(d) "{\"type\":\"deployment-succeeded\",\"time\":300," OF_DEPLOYMENT(d) "}"
#define STAGE(d, stage, id)                                                                        \
    "{\"type\":\"lifecycle-stage-changed\",\"time\":250," OF_DEPLOYMENT(                           \
        d) ",\"lifecycleStage\":\"" stage "\",\"id\":\"" id "\"}"

/* A batch of lines, with what became of it. */
enum { MOST = 8 };
struct batch {
    size_t count;
    struct ecshist_append_result results[MOST];
    struct ecshist_error error;
    int code;
};

static void run(struct batch *batch, unsigned flags, bool dry, const char *const *lines)
{
    ecshist_event *events[MOST];
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = flags;
    batch->error = (struct ecshist_error)ECSHIST_ERROR_INIT;
    for (batch->count = 0; lines[batch->count] != NULL; batch->count++) {
        events[batch->count] = store_event("%s", lines[batch->count]);
        batch->results[batch->count] = (struct ecshist_append_result)ECSHIST_APPEND_RESULT_INIT;
    }
    const ecshist_event *const *borrowed = (const ecshist_event *const *)events;
    batch->code = dry ? ecshist_append_dry_run(store, borrowed, batch->count, &options,
                                               batch->results, &batch->error)
                      : ecshist_append(store, borrowed, batch->count, &options, batch->results,
                                       &batch->error);
    for (size_t i = 0; i < batch->count; i++)
        ecshist_event_free(events[i]);
}

#define RUN(flags, ...) run(&batch, flags, false, (const char *const[]){__VA_ARGS__, NULL})
#define DRY_RUN(flags, ...) run(&batch, flags, true, (const char *const[]){__VA_ARGS__, NULL})

/* The outcomes as letters: - A D I R, in the order of the enum. */
static const char *outcomes(const struct batch *batch)
{
    static char letters[MOST + 1];
    for (size_t i = 0; i < batch->count; i++)
        letters[i] = "-ADIR"[batch->results[i].outcome];
    letters[batch->count] = '\0';
    return letters;
}

#define STATUS(d) hold_status(store, TEST_DEPLOYMENT_ARN(d))

/* -- strict ------------------------------------------------------------------------------------ */

Test(append, one_event)
{
    struct batch batch;
    RUN(0, CREATED("d1"));
    cr_assert_eq(batch.code, ECSHIST_OK);
    cr_assert_str_eq(outcomes(&batch), "A");
    cr_assert_eq(batch.results[0].seq, 1);
    cr_assert_eq(batch.results[0].code, ECSHIST_OK);
    cr_assert_str_eq(batch.results[0].reason, "");
    cr_assert_eq(STATUS("d1"), ECSHIST_STATUS_PENDING);
}

Test(append, a_batch_is_numbered_in_its_order)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STARTED("d1"), CREATED("d2"), SUCCEEDED("d1"));
    cr_assert_eq(batch.code, ECSHIST_OK);
    cr_assert_str_eq(outcomes(&batch), "AAAA");
    for (uint64_t i = 0; i < 4; i++)
        cr_assert_eq(batch.results[i].seq, i + 1);
    cr_assert_eq(STATUS("d1"), ECSHIST_STATUS_SUCCESSFUL);
    cr_assert_eq(STATUS("d2"), ECSHIST_STATUS_PENDING);
}

Test(append, a_refused_event_keeps_its_batch_out)
{
    struct batch batch;
    RUN(0, CREATED("d0"));
    char *before = hold_all(store);
    RUN(0, CREATED("d1"), STARTED("d1"), SUCCEEDED("d0"), CREATED("d2"));
    cr_assert_eq(batch.code, ECSHIST_CONFLICT);
    cr_assert_str_eq(outcomes(&batch), "--R-");
    cr_assert_eq(batch.error.code, ECSHIST_CONFLICT);
    cr_assert_eq(batch.error.event_index, 2);
    cr_assert_eq(batch.error.size, sizeof(batch.error));
    cr_assert_eq(batch.results[2].code, ECSHIST_CONFLICT);
    cr_assert_eq(batch.results[2].seq, 0);
    cr_assert_str_not_empty(batch.results[2].reason);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(batch.results[i].seq, 0);
    char *after = hold_all(store);
    cr_assert_str_eq(before, after, "a refused batch changes nothing");
    free(before);
    free(after);
    RUN(0, CREATED("d2"));
    cr_assert_eq(batch.results[0].seq, 2, "no number was used up");
}

Test(append, an_unknown_deployment_is_not_found)
{
    struct batch batch;
    RUN(0, STARTED("d1"));
    cr_assert_eq(batch.code, ECSHIST_INVALID, "a first deployment-started needs a target");
    RUN(0, SUCCEEDED("d1"));
    cr_assert_eq(batch.code, ECSHIST_NOT_FOUND);
    RUN(ECSHIST_APPEND_LENIENT, SUCCEEDED("d1"));
    cr_assert_eq(batch.code, ECSHIST_NOT_FOUND);
    cr_assert_str_eq(outcomes(&batch), "R");
    cr_assert_eq(hold_count(store), 0);
}

Test(append, what_an_append_takes_is_bounded)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_event *event = store_event(CREATED("d1"));
    const ecshist_event *events[2] = {event, NULL};
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    cr_assert_eq(ecshist_append(store, events, 0, NULL, NULL, &error), ECSHIST_LIMIT);
    cr_assert_eq(ecshist_append(store, events, ECSHIST_MAX_BATCH_EVENTS + 1, NULL, NULL, &error),
                 ECSHIST_LIMIT);
    cr_assert_eq(ecshist_append(store, events, 2, NULL, NULL, &error), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_append(store, NULL, 1, NULL, NULL, &error), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_append(NULL, events, 1, NULL, NULL, &error), ECSHIST_MISUSE);
    options.flags = 64;
    cr_assert_eq(ecshist_append(store, events, 1, &options, NULL, &error), ECSHIST_INVALID);
    cr_assert_eq(hold_count(store), 0);
    cr_assert_eq(ecshist_append(store, events, 1, NULL, NULL, NULL), ECSHIST_OK,
                 "results and error may be NULL");
    ecshist_event_free(event);
}

Test(append, the_largest_batch)
{
    enum { COUNT = ECSHIST_MAX_BATCH_EVENTS };
    ecshist_event **events = calloc(COUNT, sizeof(*events));
    for (unsigned i = 0; i < COUNT; i++)
        events[i] = store_event("{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                    "d%u") "," TO_REVISION("r1") "}",
                                i, i);
    cr_assert_eq(
        ecshist_append(store, (const ecshist_event *const *)events, COUNT, NULL, NULL, NULL),
        ECSHIST_OK);
    cr_assert_eq(hold_count(store), COUNT);
    cr_assert_eq(
        ecshist_append(store, (const ecshist_event *const *)events, COUNT, NULL, NULL, NULL),
        ECSHIST_OK);
    cr_assert_eq(hold_count(store), COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        ecshist_event_free(events[i]);
    free(events);
}

Test(append, json_in_one_call)
{
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const char *line = CREATED("d1");
    cr_assert_eq(ecshist_append_json(store, line, strlen(line), NULL, &result, &error), ECSHIST_OK);
    cr_assert_eq(result.outcome, ECSHIST_OUTCOME_APPENDED);
    cr_assert_eq(ecshist_append_json(store, "{", 1, NULL, NULL, &error), ECSHIST_INVALID);
    cr_assert_eq(ecshist_append_json(store, line, strlen(line), NULL, NULL, NULL), ECSHIST_OK);
    cr_assert_eq(hold_count(store), 1);
}

/* -- lenient and each -------------------------------------------------------------------------- */

Test(append, lenient_logs_a_conflict_and_passes_it_over)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STARTED("d1"), SUCCEEDED("d1"));
    char *before = hold_deployment(store, TEST_DEPLOYMENT_ARN("d1"), NULL);
    RUN(ECSHIST_APPEND_LENIENT, STAGE("d1", "BAKE_TIME", "late"), CREATED("d2"));
    cr_assert_eq(batch.code, ECSHIST_OK);
    cr_assert_str_eq(outcomes(&batch), "IA");
    cr_assert_eq(batch.results[0].code, ECSHIST_CONFLICT);
    cr_assert_eq(batch.results[0].seq, 4);
    cr_assert_str_not_empty(batch.results[0].reason);
    char *after = hold_deployment(store, TEST_DEPLOYMENT_ARN("d1"), NULL);
    cr_assert_str_eq(before, after);
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d1")), 4,
                 "it is in the history all the same");
    RUN(ECSHIST_APPEND_LENIENT, STAGE("d1", "BAKE_TIME", "late"));
    cr_assert_str_eq(outcomes(&batch), "D", "an ignored event is there");
    cr_assert_eq(batch.results[0].seq, 4);
    RUN(0, STAGE("d1", "BAKE_TIME", "late"));
    cr_assert_str_eq(outcomes(&batch), "D");
    free(before);
    free(after);
}

Test(append, lenient_still_refuses_an_id_conflict)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STAGE("d1", "PRE_SCALE_UP", "x"));
    RUN(ECSHIST_APPEND_LENIENT, STAGE("d1", "SCALE_UP", "x"), CREATED("d2"));
    cr_assert_eq(batch.code, ECSHIST_CONFLICT);
    cr_assert_str_eq(outcomes(&batch), "R-");
    cr_assert_eq(hold_count(store), 2);
}

Test(append, each_stands_for_itself)
{
    struct batch batch;
    RUN(ECSHIST_APPEND_EACH, CREATED("d1"), SUCCEEDED("d1"), STARTED("d9"), STARTED("d1"),
        CREATED("d1"), SUCCEEDED("d1"));
    cr_assert_eq(batch.code, ECSHIST_CONFLICT, "the first that was refused");
    cr_assert_eq(batch.error.event_index, 1);
    cr_assert_str_eq(outcomes(&batch), "ARRADA");
    cr_assert_eq(batch.results[2].code, ECSHIST_INVALID);
    cr_assert_eq(batch.results[3].seq, 2);
    cr_assert_eq(batch.results[4].seq, 1);
    cr_assert_eq(batch.results[5].seq, 3);
    cr_assert_eq(STATUS("d1"), ECSHIST_STATUS_SUCCESSFUL);
    cr_assert_eq(hold_count(store), 3);
}

Test(append, each_and_lenient)
{
    struct batch batch;
    RUN(ECSHIST_APPEND_EACH | ECSHIST_APPEND_LENIENT, CREATED("d1"), SUCCEEDED("d1"),
        SUCCEEDED("d9"), STARTED("d1"));
    cr_assert_eq(batch.code, ECSHIST_NOT_FOUND);
    cr_assert_eq(batch.error.event_index, 2);
    cr_assert_str_eq(outcomes(&batch), "AIRA");
    cr_assert_eq(STATUS("d1"), ECSHIST_STATUS_IN_PROGRESS);
}

Test(append, each_with_none_that_fits_changes_nothing)
{
    struct batch batch;
    RUN(ECSHIST_APPEND_EACH, SUCCEEDED("d1"), SUCCEEDED("d2"));
    cr_assert_eq(batch.code, ECSHIST_NOT_FOUND);
    cr_assert_str_eq(outcomes(&batch), "RR");
    cr_assert_eq(hold_count(store), 0);
}

/* -- ids --------------------------------------------------------------------------------------- */

Test(append, duplicates_within_a_batch)
{
    struct batch batch;
    RUN(0, CREATED("d1"), CREATED("d1"), STARTED("d1"), CREATED("d1"), STARTED("d1"));
    cr_assert_eq(batch.code, ECSHIST_OK);
    cr_assert_str_eq(outcomes(&batch), "ADADD");
    cr_assert_eq(batch.results[1].seq, 1);
    cr_assert_eq(batch.results[3].seq, 1);
    cr_assert_eq(batch.results[4].seq, 2);
    cr_assert_eq(hold_count(store), 2);
}

Test(append, a_batch_of_duplicates_writes_nothing)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STARTED("d1"));
    struct ecshist_stat before = ECSHIST_STAT_INIT, after = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &before, NULL), ECSHIST_OK);
    RUN(0, CREATED("d1"), STARTED("d1"));
    cr_assert_str_eq(outcomes(&batch), "DD");
    cr_assert_eq(ecshist_stat(store, &after, NULL), ECSHIST_OK);
    cr_assert_eq(before.log_used_bytes, after.log_used_bytes);
}

Test(append, duplicates_after_reopening)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STAGE("d1", "SCALE_UP", "x"));
    for (int i = 0; i < 2; i++) {
        ecshist_close(store);
        if (i == 1) {
            char *index = store_dir_path(path, "index");
            store_dir_unlink(index);
            free(index);
        }
        store = store_dir_open(path);
        RUN(0, STAGE("d1", "SCALE_UP", "x"), CREATED("d1"));
        cr_assert_str_eq(outcomes(&batch), "DD");
        cr_assert_eq(batch.results[0].seq, 2);
        cr_assert_eq(batch.results[1].seq, 1);
    }
}

Test(append, an_id_is_unique_within_its_subject_only)
{
    struct batch batch;
    RUN(0, CREATED("d1"), CREATED("d2"), STAGE("d1", "SCALE_UP", "x"),
        STAGE("d2", "SCALE_UP", "x"));
    cr_assert_str_eq(outcomes(&batch), "AAAA");
}

/* A timeline has a part of an id's hash only: which of two ids it is says the log. */
static void find_ids_of_one_hash(char a[16], char b[16])
{
    enum { IDS = 30000 };
    uint32_t *hashes = malloc(IDS * sizeof(*hashes));
    for (int i = 0; i < IDS; i++) {
        snprintf(b, 16, "id-%d", i);
        hashes[i] = ehi_db_id_hash(ehi_slice_text(b));
        for (int j = 0; j < i; j++) {
            if (hashes[j] != hashes[i])
                continue;
            snprintf(a, 16, "id-%d", j);
            free(hashes);
            return;
        }
    }
    cr_assert(false, "no two ids have one hash");
}

Test(append, two_ids_of_one_hash)
{
    char ids[2][16];
    find_ids_of_one_hash(ids[0], ids[1]);
    (void)store_must_append(store, CREATED("d1"));
    (void)store_must_append(store, STARTED("d1"));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
            int rc = store_append(store, 0, &result,
                                  "{\"type\":\"task-healthy\",\"time\":%d," OF_DEPLOYMENT(
                                      "d1") "," OF_TASK("t") ",\"id\":\"%s\"}",
                                  300 + i, ids[i]);
            cr_assert_eq(rc, ECSHIST_OK);
            cr_assert_eq(result.outcome,
                         round == 0 ? ECSHIST_OUTCOME_APPENDED : ECSHIST_OUTCOME_DUPLICATE);
            cr_assert_eq(result.seq, 3u + (unsigned)i);
        }
    }
}

Test(append, the_same_id_with_other_content_is_a_conflict)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STAGE("d1", "SCALE_UP", "x"));
    for (unsigned flags = 0; flags < 4; flags++) {
        RUN(flags, STAGE("d1", "BAKE_TIME", "x"));
        cr_assert_eq(batch.code, ECSHIST_CONFLICT);
        cr_assert_str_eq(outcomes(&batch), "R");
        cr_assert_not_null(strstr(batch.results[0].reason, "2"), "it says which event: %s",
                           batch.results[0].reason);
    }
    RUN(0, CREATED("d3"), STAGE("d3", "SCALE_UP", "y"), STAGE("d3", "BAKE_TIME", "y"));
    cr_assert_eq(batch.code, ECSHIST_CONFLICT, "also within one batch");
    cr_assert_eq(batch.error.event_index, 2);
    cr_assert_eq(hold_count(store), 2);
}

Test(append, the_order_of_members_is_not_content)
{
    struct batch batch;
    RUN(0, CREATED("d1"));
    RUN(0, "{" TO_REVISION("r1") "," OF_DEPLOYMENT(
               "d1") ",\"time\":\"1970-01-01T00:01:40Z\","
                     "\"type\":\"deployment-created\",\"seq\":77,\"recordedAt\":5}");
    cr_assert_str_eq(outcomes(&batch), "D");
}

/* -- dry runs ---------------------------------------------------------------------------------- */

Test(append, a_dry_run_says_what_would_be)
{
    struct batch batch;
    RUN(0, CREATED("d1"));
    char *before = hold_all(store);
    DRY_RUN(0, CREATED("d1"), STARTED("d1"), SUCCEEDED("d1"));
    cr_assert_eq(batch.code, ECSHIST_OK);
    cr_assert_str_eq(outcomes(&batch), "DAA");
    cr_assert_eq(batch.results[2].seq, 3);
    DRY_RUN(0, STARTED("d1"), CREATED("d2"), STARTED("d7"));
    cr_assert_eq(batch.code, ECSHIST_INVALID);
    cr_assert_str_eq(outcomes(&batch), "--R");
    cr_assert_eq(batch.error.event_index, 2);
    DRY_RUN(ECSHIST_APPEND_LENIENT | ECSHIST_APPEND_EACH, SUCCEEDED("d1"), SUCCEEDED("d7"),
            STARTED("d1"));
    cr_assert_eq(batch.code, ECSHIST_NOT_FOUND);
    cr_assert_str_eq(outcomes(&batch), "IRA");
    char *after = hold_all(store);
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
}

/* -- long histories ---------------------------------------------------------------------------- */

static void must_be_duplicate(unsigned i, uint64_t seq)
{
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    cr_assert_eq(store_append(store, 0, &result,
                              "{\"type\":\"task-failed\",\"time\":%u," OF_DEPLOYMENT(
                                  "d1") "," OF_TASK("t%u") ",\"id\":\"e%u\"}",
                              300 + i, i, i),
                 ECSHIST_OK);
    cr_assert_eq(result.outcome, ECSHIST_OUTCOME_DUPLICATE, "event %u", i);
    cr_assert_eq(result.seq, seq, "event %u", i);
}

static void must_conflict(unsigned i)
{
    cr_assert_eq(store_append(store, 0, NULL,
                              "{\"type\":\"task-failed\",\"time\":1," OF_DEPLOYMENT(
                                  "d1") "," OF_TASK("other") ",\"id\":\"e%u\"}",
                              i),
                 ECSHIST_CONFLICT);
}

/* Failures of d1 from number `from` up to `to`, `step` of them in one append. */
static void append_failures(unsigned from, unsigned to, unsigned step)
{
    enum { STEP_MOST = 500 };
    for (unsigned i = from; i < to;) {
        ecshist_event *events[STEP_MOST];
        unsigned count = 0;
        for (; count < step && i < to; count++, i++)
            events[count] = store_event("{\"type\":\"task-failed\",\"time\":%u," OF_DEPLOYMENT(
                                            "d1") "," OF_TASK("t%u") ",\"id\":\"e%u\"}",
                                        300 + i, i, i);
        cr_assert_eq(
            ecshist_append(store, (const ecshist_event *const *)events, count, NULL, NULL, NULL),
            ECSHIST_OK);
        while (count > 0)
            ecshist_event_free(events[--count]);
    }
}

static void check_counts(unsigned failures)
{
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d1")), failures + 2);
    cr_assert_eq(hold_count(store), failures + 2);
    cr_assert_eq(hold_updated_at(store, TEST_DEPLOYMENT_ARN("d1"), NULL),
                 (299 + failures) * INT64_C(1000000));
}

static void check_as_of(unsigned failures)
{
    for (unsigned i = 0; i < failures; i += failures / 7 + 1) {
        const int64_t time_us = (300 + i) * INT64_C(1000000);
        struct ecshist_as_of seq = {i + 3, false, 0}, time = {0, true, time_us};
        cr_assert_eq(hold_updated_at(store, TEST_DEPLOYMENT_ARN("d1"), &seq), time_us);
        cr_assert_eq(hold_updated_at(store, TEST_DEPLOYMENT_ARN("d1"), &time), time_us);
    }
}

/* Rows of the timeline overflow at 64: around it, and far beyond it. */
static void long_history(unsigned failures, unsigned step)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STARTED("d1"));
    append_failures(0, failures, step);
    check_counts(failures);
    for (unsigned i = 0; i < failures; i += failures / 50 + 1)
        must_be_duplicate(i, i + 3);
    must_be_duplicate(failures - 1, failures + 2);
    must_conflict(0);
    must_conflict(failures - 1);
    RUN(0, CREATED("d1"));
    cr_assert_str_eq(outcomes(&batch), "D");
    cr_assert_eq(batch.results[0].seq, 1);
    check_as_of(failures);
    char *before = hold_all(store);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    char *after = hold_all(store);
    cr_assert_str_eq(before, after);
    must_be_duplicate(0, 3);
    must_be_duplicate(failures / 2, failures / 2 + 3);
    append_failures(failures, failures + 3, 1);
    check_counts(failures + 3);
    free(before);
    free(after);
}

Test(append, histories_around_one_row)
{
    struct batch batch;
    RUN(0, CREATED("d1"), STARTED("d1"));
    for (unsigned i = 0; i < 140; i++) {
        append_failures(i, i + 1, 1);
        must_be_duplicate(0, 3);
        must_be_duplicate(i, i + 3);
        if (i % 61 < 4)
            check_counts(i + 1);
    }
}

Test(append, a_history_of_200_events_one_by_one)
{
    long_history(200, 1);
}

Test(append, a_history_of_1000_events_in_batches_of_7)
{
    long_history(1000, 7);
}

Test(append, a_history_of_1000_events_in_batches_of_500)
{
    long_history(1000, 500);
}

/* A row of each of many deployments grows at the same time: each keeps to its own. */
Test(append, interleaved_histories)
{
    enum { DEPLOYMENTS = 5, ROUNDS = 150 };
    for (unsigned d = 0; d < DEPLOYMENTS; d++)
        store_must_append(store,
                          "{\"type\":\"deployment-started\",\"time\":100," OF_DEPLOYMENT(
                              "d%u") "," TO_REVISION("r1") "}",
                          d);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned d = 0; d < DEPLOYMENTS; d++)
            store_must_append(
                store,
                "{\"type\":\"task-healthy\",\"time\":%u," OF_DEPLOYMENT("d%u") "," OF_TASK("t") "}",
                200 + i, d);
    }
    cr_assert_eq(hold_count(store), DEPLOYMENTS * (ROUNDS + 1));
    for (unsigned d = 0; d < DEPLOYMENTS; d++) {
        char *arn = store_dir_path(TEST_ARN "service-deployment/shop/web", "d0");
        arn[strlen(arn) - 1] = (char)('0' + d);
        cr_assert_eq(hold_timeline_count(store, arn), ROUNDS + 1);
        free(arn);
    }
}

/* -- the index's map --------------------------------------------------------------------------- */

static ecshist_store *open_small(void)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    options.flags = ECSHIST_OPEN_CREATE;
    options.map_bytes = ECSHIST_MIN_MAP_BYTES;
    ecshist_store *small = NULL;
    store_must(ecshist_open(path, &options, &small, &error), "opening with a small map", &error);
    return small;
}

/* Appends until the map is full: how many were acknowledged. */
static unsigned fill_map(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        int rc = store_append(store, 0, NULL,
                              "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                  "d%u") "," TO_REVISION("r1") "}",
                              i, i);
        if (rc == ECSHIST_OUTCOME_UNKNOWN)
            return i;
        cr_assert_eq(rc, ECSHIST_OK);
    }
    cr_assert_fail("the map never became full");
    return 0;
}

Test(append, a_full_map_grows_at_the_next_open)
{
    ecshist_close(store);
    store_dir_unlink(path);
    store = open_small();
    unsigned acknowledged = fill_map();
    cr_assert_gt(acknowledged, 100);
    cr_assert_eq(store_append(store, 0, NULL, CREATED("after")), ECSHIST_OUTCOME_UNKNOWN,
                 "until it is opened again");
    cr_assert_eq(hold_count(store), acknowledged, "what was acknowledged can still be read");
    for (int i = 0; i < 3; i++) {
        ecshist_close(store);
        store = open_small();
        cr_assert_eq(hold_count(store), acknowledged + 1 + (unsigned)i, "it was durable");
        store_must_append(store,
                          "{\"type\":\"deployment-created\",\"time\":1," OF_DEPLOYMENT(
                              "x%d") "," TO_REVISION("r1") "}",
                          i);
        char *before = hold_all(store);
        cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
        char *after = hold_all(store);
        cr_assert_str_eq(before, after);
        free(before);
        free(after);
    }
}
