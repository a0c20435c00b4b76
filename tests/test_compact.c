/*
 * Retention through the public API, rule by rule; and what others who have the store open see of it.
 */
#include "api/internal.h"
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

TestSuite(compact, .init = set_up, .fini = tear_down);

#define SECOND INT64_C(1000000)

/* A deployment from `start` (seconds) to 10 seconds later, by this last event. */
static void deploy(unsigned number, unsigned revision, unsigned start, const char *end)
{
    store_must_append(store,
                      "{\"type\":\"deployment-started\",\"time\":%u," OF_DEPLOYMENT(
                          "d%u") "," TO_REVISION("r%u") "}",
                      start, number, revision);
    if (end != NULL)
        store_must_append(store, "{\"type\":\"%s\",\"time\":%u," OF_DEPLOYMENT("d%u") "}", end,
                          start + 10, number);
}

static void record_revision(unsigned number, unsigned time)
{
    store_must_append(
        store,
        "{\"type\":\"revision-created\",\"time\":%u,\"serviceRevisionArn\":\"" TEST_REVISION_ARN(
            "r%u") "\",\"revision\":{\"launchType\":\"FARGATE\"}}",
        time, number);
}

static void delete_service(unsigned time)
{
    store_must_append(
        store, "{\"type\":\"service-deleted\",\"time\":%u,\"serviceArn\":\"" TEST_SERVICE_ARN "\"}",
        time);
}

/* Of what ended before `cutoff` seconds. */
static struct ecshist_compact_options before(unsigned cutoff, unsigned flags)
{
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    options.flags = flags;
    options.retention_us = SECOND;
    options.has_now = true;
    options.now_us = (cutoff + 1) * SECOND;
    return options;
}

static struct ecshist_compact_result compact(unsigned cutoff, unsigned flags)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_compact_options options = before(cutoff, flags);
    struct ecshist_compact_result result = ECSHIST_COMPACT_RESULT_INIT;
    store_must(ecshist_compact(store, &options, &result, &error), "compact", &error);
    return result;
}

static bool has_deployment(unsigned number)
{
    char arn[256];
    snprintf(arn, sizeof(arn), TEST_DEPLOYMENT_ARN("d%u"), number);
    return hold_status(store, arn) != ECSHIST_STATUS_NONE;
}

static bool has_revision(unsigned number)
{
    char arn[256];
    const char *arns[1] = {arn};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot = NULL;
    ecshist_result *result = NULL;
    snprintf(arn, sizeof(arn), TEST_REVISION_ARN("r%u"), number);
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    store_must(ecshist_describe_service_revisions(snapshot, arns, 1, NULL, &result, &error),
               "describe", &error);
    bool has = ecshist_result_count(result) == 1;
    ecshist_result_free(result);
    ecshist_snapshot_close(snapshot);
    return has;
}

/* "ACTIVE r3", "INACTIVE -"; "MISSING". As of a seq, or 0. */
static const char *service(uint64_t as_of_seq)
{
    static char text[256];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_as_of as_of = {as_of_seq, false, 0};
    ecshist_snapshot *snapshot = NULL;
    ecshist_result *result = NULL;
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    int rc = ecshist_list_services(snapshot, NULL, NULL, NULL, &as_of, &result, &error);
    store_must(rc, "services", &error);
    strcpy(text, "MISSING");
    if (ecshist_result_count(result) == 1) {
        struct ecshist_service_view view = ECSHIST_SERVICE_VIEW_INIT;
        (void)ecshist_result_service(result, 0, &view);
        const char *revision = view.current_revision_arn;
        snprintf(text, sizeof(text), "%s %s", view.status,
                 revision != NULL ? strrchr(revision, '/') + 1 : "-");
    }
    ecshist_result_free(result);
    ecshist_snapshot_close(snapshot);
    return text;
}

/* All that is held is the same when the log is folded anew. */
static void expect_same_rebuilt(void)
{
    char *live = hold_all(store);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    char *rebuilt = hold_all(store);
    cr_assert_str_eq(live, rebuilt);
    free(live);
    free(rebuilt);
}

/* -- the rules --------------------------------------------------------------------------------- */

Test(compact, what_ended_before_the_cutoff_goes)
{
    deploy(1, 1, 100, "deployment-stopped");
    deploy(2, 1, 200, "deployment-stopped");
    deploy(3, 1, 50, NULL);
    struct ecshist_compact_result result = compact(210, 0);
    cr_assert_eq(result.cutoff_us, 210 * SECOND);
    cr_assert_eq(result.deployment_count, 1u);
    cr_assert_eq(result.event_count, 2u);
    cr_assert(!has_deployment(1), "it ended at 110");
    cr_assert(has_deployment(2), "it ended at 210: not before");
    cr_assert(has_deployment(3), "it has not ended");
    expect_same_rebuilt();
    cr_assert(!has_deployment(1));
    cr_assert_eq(compact(211, 0).deployment_count, 1u);
    cr_assert(!has_deployment(2));
    expect_same_rebuilt();
}

Test(compact, the_last_success_stays_unless_it_shall_go)
{
    deploy(1, 1, 100, "deployment-succeeded");
    deploy(2, 2, 200, "deployment-succeeded");
    deploy(3, 3, 300, "deployment-stopped");
    struct ecshist_compact_result result = compact(1000, 0);
    cr_assert_eq(result.kept_count, 1u);
    cr_assert(!has_deployment(1) && has_deployment(2) && !has_deployment(3));
    cr_assert_str_eq(service(0), "ACTIVE r2");
    expect_same_rebuilt();
    result = compact(1000, ECSHIST_COMPACT_FORGET_LAST);
    cr_assert_eq(result.deployment_count, 1u);
    cr_assert(!has_deployment(2));
    cr_assert_str_eq(service(0), "ACTIVE r2", "an ACTIVE service is there, and knows its revision");
    expect_same_rebuilt();
    cr_assert_str_eq(service(0), "ACTIVE r2",
                     "and a rebuild knows it too, though no event is left");
}

Test(compact, a_deleted_service_keeps_nothing_and_goes_last)
{
    deploy(1, 1, 100, "deployment-succeeded");
    delete_service(500);
    compact(400, 0);
    cr_assert(!has_deployment(1));
    cr_assert_str_eq(service(0), "INACTIVE r1", "its deletion is younger than that");
    expect_same_rebuilt();
    struct ecshist_compact_result result = compact(501, 0);
    cr_assert_eq(result.service_count, 1u);
    cr_assert_str_eq(service(0), "MISSING");
    expect_same_rebuilt();
    cr_assert_eq(compact(501, 0).service_count, 0u);
}

Test(compact, a_service_that_was_revived_stays_active)
{
    deploy(1, 1, 100, "deployment-succeeded");
    delete_service(200);
    deploy(2, 2, 300, "deployment-stopped");
    deploy(3, 3, 600, NULL);
    compact(400, 0);
    cr_assert_str_eq(service(0), "ACTIVE r1");
    expect_same_rebuilt();
    cr_assert_str_eq(service(0), "ACTIVE r1",
                     "what revived it has gone, and so has what deleted it");
    store_must_append(store,
                      "{\"type\":\"deployment-stopped\",\"time\":700," OF_DEPLOYMENT("d3") "}");
    compact(1000, 0);
    cr_assert(has_deployment(1), "it is the last success of an ACTIVE service");
    cr_assert_str_eq(service(0), "ACTIVE r1");
    expect_same_rebuilt();
    delete_service(1200);
    cr_assert_str_eq(service(0), "INACTIVE r1");
    expect_same_rebuilt();
}

Test(compact, revisions_stay_as_long_as_they_are_named)
{
    for (unsigned i = 1; i <= 5; i++)
        record_revision(i, 50 + i);
    deploy(1, 1, 100, "deployment-succeeded");
    store_must_append(
        store, "{\"type\":\"deployment-started\",\"time\":800," OF_DEPLOYMENT("d2") "," TO_REVISION(
                   "r2") ",\"sourceServiceRevisionArns\":[\"" TEST_REVISION_ARN("r3") "\"]}");
    store_must_append(store, "{\"type\":\"rollback-started\",\"time\":810," OF_DEPLOYMENT(
                                 "d2") ",\"serviceRevisionArn\":\"" TEST_REVISION_ARN("r4") "\"}");
    struct ecshist_compact_result result = compact(500, ECSHIST_COMPACT_FORGET_LAST);
    cr_assert_eq(result.revision_count, 1u);
    cr_assert(has_revision(1), "the current one of an ACTIVE service");
    cr_assert(has_revision(2) && has_revision(3) && has_revision(4), "target, source, rollback");
    cr_assert(!has_revision(5), "nobody names it");
    expect_same_rebuilt();
    record_revision(5, 900);
    cr_assert(has_revision(5), "what comes again starts anew");
    compact(500, 0);
    cr_assert(has_revision(5), "it is young");
    expect_same_rebuilt();
}

Test(compact, an_arn_that_comes_again_starts_anew)
{
    deploy(1, 1, 100, "deployment-stopped");
    compact(1000, 0);
    deploy(1, 2, 2000, "deployment-stopped");
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d1")), 2u);
    expect_same_rebuilt();
    compact(1000, 0);
    cr_assert(has_deployment(1));
    compact(3000, 0);
    cr_assert(!has_deployment(1));
    expect_same_rebuilt();
    deploy(1, 1, 100, NULL);
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d1")), 1u,
                 "the very event of before is no duplicate");
    expect_same_rebuilt();
}

Test(compact, an_archived_end_without_finishedAt_counts_by_what_it_says)
{
    store_must_append(store,
                      "{\"type\":\"deployment-observed\",\"time\":10,\"serviceDeployment\":{"
                      "\"serviceDeploymentArn\":\"" TEST_DEPLOYMENT_ARN(
                          "d1") "\",\"status\":\"STOPPED\","
                                "\"createdAt\":5,\"updatedAt\":300,\"targetServiceRevision\":{"
                                "\"arn\":\"" TEST_REVISION_ARN("r1") "\"}}}");
    compact(300, 0);
    cr_assert(has_deployment(1));
    compact(301, 0);
    cr_assert(!has_deployment(1));
    expect_same_rebuilt();
}

Test(compact, services_as_of_earlier)
{
    deploy(1, 1, 100, "deployment-succeeded");  /* 1, 2 */
    deploy(2, 2, 900, "deployment-succeeded");  /* 3, 4 */
    compact(500, 0);                            /* 5 */
    deploy(3, 3, 1000, "deployment-succeeded"); /* 6, 7 */
    cr_assert_str_eq(service(2), "MISSING", "what is left of it begins at 3");
    cr_assert_str_eq(service(4), "ACTIVE r2");
    cr_assert_str_eq(service(5), "ACTIVE r2");
    cr_assert_str_eq(service(7), "ACTIVE r3");
    expect_same_rebuilt();
    cr_assert_str_eq(service(4), "ACTIVE r2");
    compact(2000, ECSHIST_COMPACT_FORGET_LAST); /* 8 */
    cr_assert_str_eq(service(7), "ACTIVE r2", "as the expiry of before has stated it");
    cr_assert_str_eq(service(8), "ACTIVE r3");
    delete_service(3000); /* 9 */
    cr_assert_str_eq(service(9), "INACTIVE r3");
    cr_assert_str_eq(service(8), "ACTIVE r3");
    expect_same_rebuilt();
    cr_assert_str_eq(service(8), "ACTIVE r3");
}

/* -- how it is done ---------------------------------------------------------------------------- */

enum { MANY = 700 };

static void deploy_many(void)
{
    for (unsigned i = 1; i <= MANY; i++)
        deploy(i, i % 5, 100 + i, i % 3 == 0 ? "deployment-stopped" : "deployment-succeeded");
    deploy(MANY + 1, 1, 5000, "deployment-succeeded");
}

static off_t log_bytes(void)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    return (off_t)stat.log_bytes;
}

Test(compact, a_dry_run_says_what_a_run_does_and_does_nothing)
{
    deploy_many();
    record_revision(77, 10);
    char *earlier = hold_all(store);
    struct ecshist_compact_result dry = compact(400, ECSHIST_COMPACT_DRY_RUN);
    char *later = hold_all(store);
    cr_assert_str_eq(earlier, later);
    free(earlier);
    free(later);
    struct ecshist_compact_result wet = compact(400, 0);
    cr_assert_eq(dry.deployment_count, wet.deployment_count);
    cr_assert_eq(dry.revision_count, wet.revision_count);
    cr_assert_eq(dry.event_count, wet.event_count);
    cr_assert_eq(dry.service_count, wet.service_count);
    cr_assert_eq(dry.kept_count, wet.kept_count);
    cr_assert_eq(wet.deployment_count, 289u);
    cr_assert_eq(dry.log_bytes_after, 0u);
    cr_assert(wet.segments_cleaned > 1);
}

Test(compact, log_and_index_shrink)
{
    deploy_many();
    off_t earlier = log_bytes();
    struct ecshist_compact_result result = compact(4000, 0);
    cr_assert_eq(result.deployment_count, (unsigned)MANY);
    cr_assert_eq((off_t)result.log_bytes_before, earlier);
    cr_assert_eq((off_t)result.log_bytes_after, log_bytes());
    cr_assert(result.log_bytes_after < result.log_bytes_before / 2);
    expect_same_rebuilt();
    cr_assert_eq(compact(4000, 0).segments_cleaned, 0u, "once is enough");
    cr_assert_eq(hold_count(store), 2u + 3, "the last deployment, and three steps' events");
}

static bool stop_at(void *context, uint64_t done, uint64_t total)
{
    unsigned *left = context;
    cr_assert(done <= total);
    if (*left == 0)
        return true;
    (*left)--;
    return *left != 0;
}

Test(compact, stopped_anywhere_the_next_goes_on)
{
    deploy_many();
    unsigned stops = 0;
    int rc = ECSHIST_END;
    while (rc == ECSHIST_END) {
        unsigned left = 2 + stops / 8; /* the first call tells only that there is a plan */
        struct ecshist_compact_options options = before(4000, 0);
        struct ecshist_compact_result result = ECSHIST_COMPACT_RESULT_INIT;
        options.progress = stop_at;
        options.progress_context = &left;
        rc = ecshist_compact(store, &options, &result, NULL);
        stops += rc == ECSHIST_END;
        cr_assert(stops < 1000);
        if (stops % 4 == 0)
            expect_same_rebuilt();
    }
    cr_assert_eq(rc, ECSHIST_OK);
    cr_assert(stops > 5);
    cr_assert_eq(hold_count(store), 2u + 3);
    expect_same_rebuilt();
}

Test(compact, one_at_a_time)
{
    deploy(1, 1, 100, "deployment-stopped");
    char *lock_path = store_dir_path(path, "upkeep");
    int fd = open(lock_path, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    struct ecshist_compact_options options = before(1000, 0);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(ecshist_compact(store, &options, NULL, &error), ECSHIST_BUSY);
    cr_assert(has_deployment(1));
    close(fd);
    cr_assert_eq(ecshist_compact(store, &options, NULL, &error), ECSHIST_OK);
    cr_assert(!has_deployment(1));
    free(lock_path);
}

Test(compact, bad_arguments)
{
    struct ecshist_compact_options options = before(1000, 0);
    options.flags = 64;
    cr_assert_eq(ecshist_compact(store, &options, NULL, NULL), ECSHIST_INVALID);
    options = before(1000, 0);
    options.retention_us = -1;
    cr_assert_eq(ecshist_compact(store, &options, NULL, NULL), ECSHIST_INVALID);
    options = before(1000, 0);
    options.now_us = INT64_MAX;
    cr_assert_eq(ecshist_compact(store, &options, NULL, NULL), ECSHIST_INVALID);
    cr_assert_eq(ecshist_compact(NULL, &options, NULL, NULL), ECSHIST_MISUSE);
    ecshist_close(store);
    store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    options = before(1000, 0);
    cr_assert_eq(ecshist_compact(store, &options, NULL, NULL), ECSHIST_READ_ONLY);
    options.flags = ECSHIST_COMPACT_DRY_RUN;
    cr_assert_eq(ecshist_compact(store, &options, NULL, NULL), ECSHIST_OK);
}

/* -- those who look on ------------------------------------------------------------------------- */

Test(compact, a_page_later_the_token_is_still_right)
{
    deploy_many();
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    ecshist_snapshot *snapshot = NULL;
    ecshist_result *result = NULL;
    request.service = TEST_SERVICE_ARN;
    request.max_results = 10;
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    store_must(ecshist_list_service_deployments(snapshot, &request, &result, &error), "list",
               &error);
    ecshist_snapshot_close(snapshot);
    char *token = strdup(ecshist_result_next_token(result));
    ecshist_result_free(result);
    compact(790, 0); /* all up to the 679th; the page ended with the 692nd */
    request.next_token = token;
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    store_must(ecshist_list_service_deployments(snapshot, &request, &result, &error), "list",
               &error);
    ecshist_snapshot_close(snapshot);
    cr_assert_eq(ecshist_result_count(result), 10u);
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    (void)ecshist_result_deployment(result, 0, &view);
    cr_assert_str_eq(view.service_deployment_arn, TEST_DEPLOYMENT_ARN("d691"));
    ecshist_result_free(result);
    free(token);
}

/* Seqs that a cursor gives from the start, as text. ahead: as api_test_ahead says. */
static char *seqs_by(int ahead)
{
    api_test_ahead = ahead;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event = NULL;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    store_must(ecshist_cursor_open(store, 1, &cursor, &error), "cursor", &error);
    while (ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        if (strcmp(info.type, "history-expired") != 0)
            fprintf(out, "%" PRIu64 " ", info.seq);
    }
    cr_assert_eq(error.code, ECSHIST_END);
    ecshist_cursor_close(cursor);
    fclose(out);
    return text;
}

/* The same whether a thread reads ahead or none does. */
static char *seqs(void)
{
    char *alone = seqs_by(-1), *ahead = seqs_by(1);
    cr_assert_str_eq(alone, ahead);
    free(ahead);
    return alone;
}

static bool stop_before_cleaning(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    return done == 0 || total - done > 1000000; /* at the first step that is done */
}

Test(compact, what_has_expired_is_not_given_out_cleaned_or_not)
{
    deploy_many();
    struct ecshist_compact_options options = before(300, 0);
    options.progress = stop_before_cleaning;
    cr_assert_eq(ecshist_compact(store, &options, NULL, NULL), ECSHIST_END);
    off_t uncleaned = log_bytes();
    char *earlier = seqs();
    struct ecshist_compact_options again = before(300, 0);
    cr_assert_eq(ecshist_compact(store, &again, NULL, NULL), ECSHIST_OK);
    cr_assert(log_bytes() < uncleaned);
    char *later = seqs();
    cr_assert_str_eq(earlier, later);
    cr_assert_eq(strncmp(later, "379 380 ", 8), 0, "%.20s", later);
    free(earlier);
    free(later);
}

Test(compact, a_cursor_on_its_way_goes_on)
{
    deploy_many();
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event = NULL;
    struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
    store_must(ecshist_cursor_open(store, 1, &cursor, &error), "cursor", &error);
    for (int i = 0; i < 100; i++)
        store_must(ecshist_cursor_next(cursor, &event, &error), "next", &error);
    compact(4000, 0);
    uint64_t last = 0;
    unsigned count = 0;
    while (ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        ecshist_event_info(event, &info);
        cr_assert(info.seq > last);
        last = info.seq;
        count++;
    }
    cr_assert_eq(error.code, ECSHIST_END, "%s", error.message);
    cr_assert_eq(last, 2u * (MANY + 1) + 3);
    cr_assert(count >= 5u);
    ecshist_cursor_close(cursor);
    cr_assert_eq(hold_count(store), 5u);
}

Test(compact, a_snapshot_of_before_shows_what_it_has_or_says_that_it_expired)
{
    deploy_many();
    record_revision(1, 7000);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot = NULL;
    ecshist_result *result = NULL;
    const char *gone = TEST_DEPLOYMENT_ARN("d10");
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    compact(4000, 0);
    store_must(ecshist_describe_service_deployments(snapshot, &gone, 1, NULL, &result, &error),
               "describe", &error);
    cr_assert_eq(ecshist_result_count(result), 1u, "the view is in the snapshot");
    ecshist_result_free(result);
    int rc = ecshist_timeline(snapshot, gone, NULL, &result, &error);
    cr_assert(rc == ECSHIST_OK || rc == ECSHIST_NOT_FOUND, "%s", error.message);
    if (rc == ECSHIST_OK)
        ecshist_result_free(result);
    ecshist_snapshot_close(snapshot);
    cr_assert(!has_deployment(10));
}

/* In another process: looks at all, again and again, until its parent says that it is enough. */
static void look_on(int enough)
{
    ecshist_store *theirs = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    char byte;
    int looks = 0;
    (void)fcntl(enough, F_SETFL, O_NONBLOCK);
    for (;;) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        ecshist_snapshot *snapshot = NULL;
        ecshist_result *result = NULL;
        struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
        request.service = TEST_SERVICE_ARN;
        request.max_results = 100;
        store_must(ecshist_snapshot_open(theirs, &snapshot, &error), "snapshot", &error);
        store_must(ecshist_list_service_deployments(snapshot, &request, &result, &error), "list",
                   &error);
        for (size_t i = 0; i < ecshist_result_count(result); i += 10) {
            struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
            ecshist_result *timeline = NULL;
            (void)ecshist_result_deployment(result, i, &view);
            int rc =
                ecshist_timeline(snapshot, view.service_deployment_arn, NULL, &timeline, &error);
            if (rc == ECSHIST_OK && ecshist_result_count(timeline) != 2)
                _exit(3);
            if (rc == ECSHIST_OK)
                ecshist_result_free(timeline);
            else if (rc != ECSHIST_NOT_FOUND)
                _exit(4);
        }
        ecshist_result_free(result);
        ecshist_snapshot_close(snapshot);
        looks++;
        if (read(enough, &byte, 1) == 0)
            break;
    }
    ecshist_close(theirs);
    _exit(looks > 0 ? 0 : 5);
}

Test(compact, another_process_looks_on)
{
    int enough[2];
    deploy_many();
    cr_assert_eq(pipe(enough), 0);
    pid_t child = fork();
    if (child == 0) {
        close(enough[1]);
        look_on(enough[0]);
    }
    for (unsigned cutoff = 150; cutoff <= 850; cutoff += 50)
        compact(cutoff, 0);
    close(enough[0]);
    close(enough[1]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    expect_same_rebuilt();
}

/* Events of before the first compaction of a store that was cut short between log and index. */
Test(compact, an_expiry_that_the_index_has_not_seen_is_folded_in)
{
    deploy_many();
    ecshist_close(store);
    char *index = store_dir_path(path, "index"), *kept = store_dir_path(dir, "index-of-before");
    store_dir_copy(index, kept);
    store = store_dir_open(path);
    compact(300, 0);
    char *right = hold_all(store);
    ecshist_close(store);
    store_dir_unlink(index);
    store_dir_copy(kept, index);
    store = store_dir_open(path);
    char *folded = hold_all(store);
    cr_assert_str_eq(right, folded);
    free(right);
    free(folded);
    free(index);
    free(kept);
}
