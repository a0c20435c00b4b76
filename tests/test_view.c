/* Views through the public API: their shapes, member by member, and as of earlier moments. */
#include "support/store_dir.h"

#include "db/internal.h"
#include "fold/store.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *dir;
static ecshist_store *store;

static void set_up(void)
{
    dir = store_dir_new();
    char *path = store_dir_path(dir, "store");
    store = store_dir_open(path);
    free(path);
}

static void tear_down(void)
{
    ecshist_close(store);
    store_dir_remove(dir);
}

TestSuite(shapes, .init = set_up, .fini = tear_down);
TestSuite(as_of, .init = set_up, .fini = tear_down);
TestSuite(describe, .init = set_up, .fini = tear_down);

#define SERVICE_AND_CLUSTER                                                                        \
    "\"serviceArn\":\"" TEST_SERVICE_ARN "\",\"clusterArn\":\"" TEST_ARN "cluster/shop\""
#define HEAD(id) "\"serviceDeploymentArn\":\"" TEST_DEPLOYMENT_ARN(id) "\"," SERVICE_AND_CLUSTER

/* -- asking ------------------------------------------------------------------------------------ */

enum question { DEPLOYMENTS, REVISIONS, LIST, SERVICES, TIMELINE };

static int ask_snapshot(ecshist_snapshot *snapshot, enum question question, const char *about,
                        const struct ecshist_as_of *as_of, ecshist_result **out,
                        struct ecshist_error *error)
{
    const char *arns[1] = {about};
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    request.service = about;
    request.max_results = 100;
    if (as_of != NULL)
        request.as_of = *as_of;
    switch (question) {
    case DEPLOYMENTS:
        return ecshist_describe_service_deployments(snapshot, arns, 1, as_of, out, error);
    case REVISIONS:
        return ecshist_describe_service_revisions(snapshot, arns, 1, as_of, out, error);
    case LIST:
        return ecshist_list_service_deployments(snapshot, &request, out, error);
    case SERVICES:
        return ecshist_list_services(snapshot, about, NULL, NULL, as_of, out, error);
    default:
        return ecshist_timeline(snapshot, about, as_of, out, error);
    }
}

static int ask(enum question question, const char *about, const struct ecshist_as_of *as_of,
               ecshist_result **out, struct ecshist_error *error)
{
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(store, &snapshot, error), "snapshot", error);
    int rc = ask_snapshot(snapshot, question, about, as_of, out, error);
    ecshist_snapshot_close(snapshot);
    return rc;
}

/* White space between JSON's tokens is not what these tests are about. No text here has quotes. */
static char *squeeze(char *json)
{
    bool in_text = false;
    char *to = json;
    for (const char *from = json; *from != '\0'; from++) {
        in_text = in_text != (*from == '"');
        if (in_text || *from != ' ')
            *to++ = *from;
    }
    *to = '\0';
    return json;
}

/* The answer in wire form; or the error's name. Yours: ecshist_free. */
static char *answer_to(enum question question, const char *about, const struct ecshist_as_of *as_of)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int rc = ask(question, about, as_of, &result, &error);
    if (rc != ECSHIST_OK)
        return strdup(ecshist_code_name(rc));
    char *json = NULL;
    store_must(ecshist_result_to_json(result, ECSHIST_JSON_WIRE, &json, NULL, &error), "json",
               &error);
    ecshist_result_free(result);
    return squeeze(json);
}

static void assert_answer(enum question question, const char *about,
                          const struct ecshist_as_of *as_of, const char *expected)
{
    char *answer = answer_to(question, about, as_of);
    cr_assert_str_eq(answer, expected);
    ecshist_free(answer);
}

static struct ecshist_as_of at_seq(uint64_t seq)
{
    return (struct ecshist_as_of){.seq = seq};
}

static struct ecshist_as_of at_second(int64_t second)
{
    return (struct ecshist_as_of){.has_time = true, .time_us = second * 1000000};
}

/* One event of deployment d1 at a second. */
static uint64_t d1(int second, const char *type, const char *members)
{
    return store_must_append(store, "{\"type\":\"%s\",\"time\":%d," OF_DEPLOYMENT("d1") "%s}", type,
                             second, members);
}

/* -- shapes ------------------------------------------------------------------------------------ */

Test(shapes, of_a_deployment_that_just_came)
{
    d1(1700000000, "deployment-created", "," TO_REVISION("2"));
    assert_answer(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), NULL,
                  "{\"serviceDeployments\":[{" HEAD(
                      "d1") ",\"createdAt\":1700000000.0,"
                            "\"updatedAt\":1700000000.0,\"sourceServiceRevisions\":[],"
                            "\"targetServiceRevision\":{\"arn\":\"" TEST_REVISION_ARN(
                                "2") "\","
                                     "\"requestedTaskCount\":0,\"runningTaskCount\":0,"
                                     "\"pendingTaskCount\":0},"
                                     "\"status\":\"PENDING\","
                                     "\"deploymentConfiguration\":{\"maximumPercent\":200,"
                                     "\"minimumHealthyPercent\":100},"
                                     "\"deploymentCircuitBreaker\":{\"status\":\"DISABLED\","
                                     "\"failureCount\":0,\"threshold\":0},"
                                     "\"alarms\":{\"status\":\"DISABLED\"}}],\"failures\":[]}");
}

/* Every member that the reducer can set, of events that give them in another order. */
static void record_a_full_deployment(void)
{
    d1(1700000000, "deployment-created",
       "," TO_REVISION("2") ",\"sourceServiceRevisionArns\":[\"" TEST_REVISION_ARN(
           "1") "\"],"
                "\"deploymentConfiguration\":{\"minimumHealthyPercent\":50,\"alarms\":{"
                "\"rollback\":true,"
                "\"enable\":true,\"alarmNames\":[\"slow\",\"errors\"]},"
                "\"deploymentCircuitBreaker\":"
                "{\"rollback\":true,\"enable\":true},\"zeal\":1}");
    d1(1700000010, "deployment-started", "");
    d1(1700000020, "tasks-updated",
       ",\"desiredCount\":4,\"serviceRevisions\":[{\"arn\":\"" TEST_REVISION_ARN(
           "2") "\","
                "\"requestedTaskCount\":4,\"pendingTaskCount\":3,\"runningTaskCount\":1,"
                "\"requestedProductionTrafficWeight\":12.5,\"requestedTestTrafficWeight\":100}]");
    d1(1700000030, "lifecycle-stage-changed", ",\"lifecycleStage\":\"SCALE_UP\"");
    d1(1700000031, "lifecycle-hook-updated",
       ",\"hook\":{\"status\":\"IN_PROGRESS\",\"hookId\":\"h\",\"targetType\":\"AWS_LAMBDA\","
       "\"expiresAt\":1700000999.5,\"targetArn\":\"arn:aws:lambda:x\",\"timeoutAction\":"
       "\"ROLLBACK\",\"mood\":\"good\"}");
    d1(1700000040, "task-failed", "," OF_TASK("t1"));
    d1(1700000045, "alarm-triggered", ",\"alarmNames\":[\"errors\"]");
    d1(1700000050, "rollback-started", ",\"reason\":\"alarm\"");
    d1(1700000060, "rollback-succeeded", "");
}

Test(shapes, of_a_deployment_with_all_members)
{
    record_a_full_deployment();
    assert_answer(
        DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), NULL,
        "{\"serviceDeployments\":[{" HEAD(
            "d1") ",\"createdAt\":1700000000.0,"
                  "\"startedAt\":1700000010.0,\"finishedAt\":1700000060.0,\"updatedAt\":1700000060."
                  "0,"
                  "\"sourceServiceRevisions\":[{\"arn\":\"" TEST_REVISION_ARN(
                      "1") "\","
                           "\"requestedTaskCount\":0,\"runningTaskCount\":0,\"pendingTaskCount\":0}"
                           "],"
                           "\"targetServiceRevision\":{\"arn\":\"" TEST_REVISION_ARN(
                               "2") "\","
                                    "\"requestedTaskCount\":4,\"runningTaskCount\":1,"
                                    "\"pendingTaskCount\":3,"
                                    "\"requestedTestTrafficWeight\":100.0,"
                                    "\"requestedProductionTrafficWeight\":12.5},"
                                    "\"status\":\"ROLLBACK_SUCCESSFUL\",\"statusReason\":\"alarm\","
                                    "\"lifecycleStage\":\"SCALE_UP\",\"lifecycleHookDetails\":[{"
                                    "\"hookId\":\"h\","
                                    "\"targetType\":\"AWS_LAMBDA\",\"targetArn\":\"arn:aws:lambda:"
                                    "x\","
                                    "\"status\":\"IN_PROGRESS\",\"expiresAt\":1700000999.5,"
                                    "\"timeoutAction\":\"ROLLBACK\","
                                    "\"mood\":\"good\"}],"
                                    "\"deploymentConfiguration\":{\"deploymentCircuitBreaker\":{"
                                    "\"enable\":true,"
                                    "\"rollback\":true},\"maximumPercent\":200,"
                                    "\"minimumHealthyPercent\":50,"
                                    "\"alarms\":{\"alarmNames\":[\"slow\",\"errors\"],\"rollback\":"
                                    "true,\"enable\":true},"
                                    "\"zeal\":1},"
                                    "\"rollback\":{\"reason\":\"alarm\",\"startedAt\":1700000050.0,"
                                    "\"serviceRevisionArn\":\"" TEST_REVISION_ARN(
                                        "1") "\"},"
                                             "\"deploymentCircuitBreaker\":{\"status\":"
                                             "\"MONITORING_COMPLETE\",\"failureCount\":1,"
                                             "\"threshold\":3},"
                                             "\"alarms\":{\"status\":\"TRIGGERED\",\"alarmNames\":["
                                             "\"slow\",\"errors\"],"
                                             "\"triggeredAlarmNames\":[\"errors\"]}}],\"failures\":"
                                             "[]}");
}

Test(shapes, of_a_list)
{
    record_a_full_deployment();
    assert_answer(
        LIST, TEST_SERVICE_ARN, NULL,
        "{\"serviceDeployments\":[{" HEAD(
            "d1") ",\"startedAt\":1700000010.0,"
                  "\"createdAt\":1700000000.0,\"finishedAt\":1700000060.0,"
                  "\"targetServiceRevisionArn\":\"" TEST_REVISION_ARN(
                      "2") "\","
                           "\"status\":\"ROLLBACK_SUCCESSFUL\",\"statusReason\":\"alarm\"}]}");
}

Test(shapes, of_services)
{
    record_a_full_deployment();
    assert_answer(SERVICES, "shop", NULL,
                  "{\"services\":[{" SERVICE_AND_CLUSTER ",\"status\":\"ACTIVE\","
                  "\"currentServiceRevisionArn\":\"" TEST_REVISION_ARN(
                      "1") "\","
                           "\"serviceDeploymentCounts\":{\"ROLLBACK_SUCCESSFUL\":1}}]}");
}

Test(shapes, of_a_stopped_deployment)
{
    d1(100, "deployment-started", "," TO_REVISION("2") ",\"createdAt\":90.25");
    d1(110, "stop-requested", ",\"stopType\":\"ABORT\",\"reason\":\"a person\"");
    d1(120, "deployment-stopped", "");
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    store_must(ask(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), NULL, &result, &error), "ask", &error);
    char *json = NULL;
    size_t length = 0;
    store_must(ecshist_result_item_to_json(result, 0, ECSHIST_JSON_CLI, &json, &length, &error),
               "json", &error);
    cr_assert_eq(strlen(json), length);
    cr_assert_not_null(strstr(json, "\n    \"createdAt\": \"1970-01-01T00:01:30.250000+00:00\",\n"
                                    "    \"startedAt\": \"1970-01-01T00:01:40+00:00\",\n"
                                    "    \"finishedAt\": \"1970-01-01T00:02:00+00:00\",\n"
                                    "    \"stoppedAt\": \"1970-01-01T00:02:00+00:00\",\n"
                                    "    \"updatedAt\": \"1970-01-01T00:02:00+00:00\",\n"),
                       "%s", json);
    cr_assert_not_null(
        strstr(json, "\"status\": \"STOPPED\",\n    \"statusReason\": \"a person\""));
    ecshist_free(json);
    json = NULL;
    cr_assert_eq(ecshist_result_item_to_json(result, 1, ECSHIST_JSON_CLI, &json, NULL, &error),
                 ECSHIST_INVALID);
    ecshist_result_free(result);
}

Test(shapes, of_an_observed_deployment)
{
    d1(200, "deployment-observed",
       ",\"serviceDeployment\":{\"status\":\"SUCCESSFUL\",\"finishedAt\":150.5,"
       "\"createdAt\":\"1970-01-01T00:01:40Z\",\"targetServiceRevision\":{\"arn\":"
       "\"" TEST_REVISION_ARN(
           "2") "\",\"runningTaskCount\":2},\"novelty\":{\"b\":1,\"a\":[null,true]},"
                "\"serviceDeploymentArn\":\"" TEST_DEPLOYMENT_ARN("d1") "\"}");
    char *answer = answer_to(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), NULL);
    cr_assert_not_null(strstr(answer, HEAD("d1") ",\"createdAt\":100.0,\"finishedAt\":150.5,"),
                       "%s", answer);
    cr_assert_not_null(strstr(answer, "\"status\":\"SUCCESSFUL\",\"deploymentConfiguration\":"
                                      "{\"maximumPercent\":200,\"minimumHealthyPercent\":100},"),
                       "%s", answer);
    cr_assert_not_null(
        strstr(answer, ",\"novelty\":{\"b\":1,\"a\":[null,true]}}],\"failures\":[]}"), "%s",
        answer);
    ecshist_free(answer);
}

Test(shapes, of_revisions)
{
    store_must_append(
        store, "{\"type\":\"revision-created\",\"time\":10.5,\"serviceRevisionArn\":"
               "\"" TEST_REVISION_ARN("1") "\",\"revision\":{\"note\":\"kept\","
                                           "\"launchType\":\"FARGATE\",\"taskDefinition\":\"td:1\","
                                           "\"createdAt\":99}}");
    store_must_append(
        store,
        "{\"type\":\"revision-observed\",\"time\":20,\"serviceRevisionArn\":"
        "\"" TEST_REVISION_ARN(
            "2") "\",\"serviceRevision\":{\"createdAt\":"
                 "\"1970-01-01T00:00:15Z\",\"taskDefinition\":\"td:2\",\"serviceRevisionArn\":"
                 "\"" TEST_REVISION_ARN("2") "\",\"monitoring\":{}}}");
    assert_answer(REVISIONS, TEST_REVISION_ARN("1"), NULL,
                  "{\"serviceRevisions\":[{\"serviceRevisionArn\":\"" TEST_REVISION_ARN(
                      "1") "\"," SERVICE_AND_CLUSTER
                           ",\"taskDefinition\":\"td:1\",\"launchType\":\"FARGATE\","
                           "\"createdAt\":10.5,\"note\":\"kept\"}],\"failures\":[]}");
    assert_answer(REVISIONS, TEST_REVISION_ARN("2"), NULL,
                  "{\"serviceRevisions\":[{\"serviceRevisionArn\":\"" TEST_REVISION_ARN(
                      "2") "\"," SERVICE_AND_CLUSTER
                           ",\"taskDefinition\":\"td:2\",\"createdAt\":15.0,"
                           "\"monitoring\":{}}],\"failures\":[]}");
    assert_answer(REVISIONS, TEST_REVISION_ARN("3"), NULL,
                  "{\"serviceRevisions\":[],\"failures\":[{\"arn\":\"" TEST_REVISION_ARN(
                      "3") "\","
                           "\"reason\":\"MISSING\"}]}");
}

Test(shapes, of_a_timeline)
{
    store_must_append(store,
                      "{\"id\":\"e1\",\"type\":\"deployment-created\",\"time\":1.5," OF_DEPLOYMENT(
                          "d1") "," TO_REVISION("2") ",\"odd\":[1,{}]}");
    store_append(
        store, ECSHIST_APPEND_LENIENT, NULL,
        "{\"id\":\"e2\",\"type\":\"deployment-succeeded\",\"time\":2," OF_DEPLOYMENT("d1") "}");
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    store_must(ask(TIMELINE, TEST_DEPLOYMENT_ARN("d1"), NULL, &result, &error), "ask", &error);
    cr_assert_eq(ecshist_result_count(result), 2u);
    struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
    ecshist_event_info(ecshist_result_event(result, 1), &info);
    cr_assert_eq(info.seq, 2u);
    cr_assert(info.ignored);
    cr_assert_str_eq(info.id, "e2");
    cr_assert_null(ecshist_result_event(result, 2));
    ecshist_result_free(result);
    char *answer = answer_to(TIMELINE, TEST_DEPLOYMENT_ARN("d1"), NULL);
    cr_assert_eq(strncmp(answer, "{\"events\":[{\"seq\":1,", 20), 0, "%s", answer);
    cr_assert_not_null(strstr(answer, "\"odd\":[1,{}]}"), "%s", answer);
    ecshist_free(answer);
}

/* Nothing of an answer is where the index or the log is mapped. */
Test(shapes, outlive_their_store)
{
    record_a_full_deployment();
    store_must_append(store, "{\"type\":\"revision-created\",\"time\":10.5,\"serviceRevisionArn\":"
                             "\"" TEST_REVISION_ARN("1") "\",\"revision\":{\"note\":\"kept\"}}");
    static const char *const about[] = {TEST_DEPLOYMENT_ARN("d1"), TEST_REVISION_ARN("1"),
                                        TEST_SERVICE_ARN, "shop", TEST_DEPLOYMENT_ARN("d1")};
    struct ecshist_as_of as_of[] = {at_second(INT64_C(1700000055)), at_second(11), at_seq(8),
                                    at_seq(9), at_seq(5)};
    ecshist_result *results[10];
    char *answers[10];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (int i = 0; i < 10; i++) {
        const struct ecshist_as_of *moment = i < 5 ? NULL : &as_of[i % 5];
        const char *name = about[i % 5];
        store_must(ask((enum question)(i % 5), name, moment, &results[i], &error), name, &error);
        cr_assert_eq(ecshist_result_to_json(results[i], ECSHIST_JSON_CLI, &answers[i], NULL, NULL),
                     ECSHIST_OK);
    }
    ecshist_close(store);
    store = NULL;
    for (int i = 0; i < 10; i++) {
        char *again = NULL;
        cr_assert_eq(ecshist_result_count(results[i]), i % 5 == TIMELINE ? (i < 5 ? 9u : 5u) : 1u);
        cr_assert_eq(ecshist_result_to_json(results[i], ECSHIST_JSON_CLI, &again, NULL, NULL),
                     ECSHIST_OK);
        cr_assert_str_eq(again, answers[i]);
        ecshist_free(again);
        ecshist_free(answers[i]);
        ecshist_result_free(results[i]);
    }
}

/* -- describing -------------------------------------------------------------------------------- */

static int describe(const char *const *arns, size_t count, ecshist_result **out,
                    struct ecshist_error *error)
{
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(store, &snapshot, error), "snapshot", error);
    int rc = ecshist_describe_service_deployments(snapshot, arns, count, NULL, out, error);
    ecshist_snapshot_close(snapshot);
    return rc;
}

Test(describe, in_the_order_asked_and_as_often)
{
    for (int i = 1; i <= 3; i++)
        store_must_append(store,
                          "{\"type\":\"deployment-created\",\"time\":%d,\"serviceDeploymentArn\":"
                          "\"" TEST_DEPLOYMENT_ARN("d%d") "\"," TO_REVISION("1") "}",
                          i, i);
    const char *arns[6] = {TEST_DEPLOYMENT_ARN("d3"), TEST_DEPLOYMENT_ARN("d1"),
                           TEST_DEPLOYMENT_ARN("no"), TEST_DEPLOYMENT_ARN("d3"),
                           TEST_DEPLOYMENT_ARN("d2"), TEST_DEPLOYMENT_ARN("no")};
    static const char *const expected[4] = {"d3", "d1", "d3", "d2"};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    store_must(describe(arns, 6, &result, &error), "describe", &error);
    cr_assert_eq(ecshist_result_count(result), 4u);
    for (size_t i = 0; i < 4; i++) {
        struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
        cr_assert(ecshist_result_deployment(result, i, &view));
        cr_assert_str_eq(strrchr(view.service_deployment_arn, '/') + 1, expected[i]);
    }
    cr_assert_eq(ecshist_result_failure_count(result), 2u);
    struct ecshist_failure failure;
    cr_assert(ecshist_result_failure(result, 1, &failure));
    cr_assert_str_eq(failure.arn, arns[2]);
    cr_assert_str_eq(failure.reason, "MISSING");
    cr_assert_not(ecshist_result_failure(result, 2, &failure));
    ecshist_result_free(result);
}

/* -- results that are used again, and ARNs that were met before ---------------------------------- */

static void create(int number)
{
    store_must_append(store,
                      "{\"type\":\"deployment-created\",\"time\":%d,\"serviceDeploymentArn\":"
                      "\"" TEST_DEPLOYMENT_ARN("d%d") "\"," TO_REVISION("1") "}",
                      number, number);
}

static ecshist_result *ask_for(ecshist_snapshot *snapshot, const char *arn)
{
    ecshist_result *result = NULL;
    cr_assert_eq(ecshist_describe_service_deployments(snapshot, &arn, 1, NULL, &result, NULL),
                 ECSHIST_OK);
    return result;
}

static void expect_shows(const ecshist_result *result, const char *arn)
{
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    cr_assert(ecshist_result_deployment(result, 0, &view));
    cr_assert_str_eq(view.service_deployment_arn, arn);
    cr_assert_str_eq(view.service_arn, TEST_SERVICE_ARN);
}

static void *free_result(void *result)
{
    ecshist_result_free(result);
    return NULL;
}

Test(describe, results_outlive_their_snapshot)
{
    create(1);
    create(2);
    ecshist_snapshot *snapshot;
    cr_assert_eq(ecshist_snapshot_open(store, &snapshot, NULL), ECSHIST_OK);
    ecshist_result *one = ask_for(snapshot, TEST_DEPLOYMENT_ARN("d1"));
    ecshist_result_free(ask_for(snapshot, TEST_DEPLOYMENT_ARN("d2")));
    ecshist_result *again = ask_for(snapshot, TEST_DEPLOYMENT_ARN("d2"));
    ecshist_result *third = ask_for(snapshot, TEST_DEPLOYMENT_ARN("d1"));
    expect_shows(one, TEST_DEPLOYMENT_ARN("d1"));
    ecshist_result_free(one);
    ecshist_result_free(third);
    ecshist_snapshot_close(snapshot);
    expect_shows(again, TEST_DEPLOYMENT_ARN("d2"));
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, free_result, again), 0);
    pthread_join(thread, NULL);
}

Test(describe, an_older_snapshot_does_not_know_what_a_newer_one_found)
{
    create(1);
    ecshist_snapshot *older, *newer;
    cr_assert_eq(ecshist_snapshot_open(store, &older, NULL), ECSHIST_OK);
    create(2);
    cr_assert_eq(ecshist_snapshot_open(store, &newer, NULL), ECSHIST_OK);
    for (int i = 0; i < 3; i++) {
        ecshist_result *there = ask_for(newer, TEST_DEPLOYMENT_ARN("d2"));
        ecshist_result *not_yet = ask_for(older, TEST_DEPLOYMENT_ARN("d2"));
        expect_shows(there, TEST_DEPLOYMENT_ARN("d2"));
        cr_assert_eq(ecshist_result_count(not_yet), 0u);
        cr_assert_eq(ecshist_result_failure_count(not_yet), 1u);
        ecshist_result_free(there);
        ecshist_result_free(not_yet);
    }
    ecshist_snapshot_close(older);
    ecshist_snapshot_close(newer);
}

/* Whatever the table of ARNs met before says, the state decides. */
Test(describe, a_wrong_guess_costs_a_search_only)
{
    const char *arn = TEST_DEPLOYMENT_ARN("d1");
    create(1);
    create(2);
    struct ehi_db *db = ((struct ehi_store *)store)->db;
    struct ehi_hash128 hash = ehi_hash128(arn, strlen(arn));
    ecshist_snapshot *snapshot;
    cr_assert_eq(ecshist_snapshot_open(store, &snapshot, NULL), ECSHIST_OK);
    ecshist_result_free(ask_for(snapshot, arn));
    uint64_t place, right = db_known(db, hash, 0, &place);
    cr_assert_neq(right, 0u);
    for (uint64_t wrong = 0; wrong < right + 6; wrong++) {
        db_remember(db, hash, wrong, 0, 0);
        ecshist_result *result = ask_for(snapshot, arn);
        expect_shows(result, arn);
        ecshist_result_free(result);
        cr_assert_eq(db_known(db, hash, 0, &place), right, "after %d", (int)wrong);
    }
    db_remember(db, hash, (UINT64_C(1) << 40) - 1, 0, 0);
    ecshist_result_free(ask_for(snapshot, arn));
    cr_assert_eq(db_known(db, hash, 0, &place), right);
    ecshist_snapshot_close(snapshot);
}

static void expect_status(ecshist_snapshot *snapshot, const char *arn, const char *status)
{
    ecshist_result *result = ask_for(snapshot, arn);
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    cr_assert(ecshist_result_deployment(result, 0, &view));
    cr_assert_str_eq(view.status_name, status);
    ecshist_result_free(result);
}

/* Two snapshots that see two states of it, asked in turn: neither takes the other's place for its own. */
Test(describe, a_place_is_of_one_snapshot)
{
    const char *arn = TEST_DEPLOYMENT_ARN("d1");
    ecshist_snapshot *older, *newer;
    create(1);
    create(2);
    struct ehi_db *db = ((struct ehi_store *)store)->db;
    struct ehi_hash128 hash = ehi_hash128(arn, strlen(arn));
    uint64_t place, snapshot = 0;
    cr_assert_eq(ecshist_snapshot_open(store, &older, NULL), ECSHIST_OK);
    for (int i = 0; i < 3; i++)
        expect_status(older, arn, "PENDING");
    d1(3, "deployment-stopped", "");
    cr_assert_eq(ecshist_snapshot_open(store, &newer, NULL), ECSHIST_OK);
    for (int i = 0; i < 8; i++) {
        for (int times = 0; times <= i % 3; times++)
            expect_status(newer, arn, "STOPPED");
        expect_status(older, arn, "PENDING");
    }
    for (uint64_t id = 0; id < 100; id++) {
        (void)db_known(db, hash, id, &place);
        snapshot = place != 0 ? id : snapshot;
    }
    cr_assert_neq(snapshot, 0u, "it was used");
    ecshist_snapshot_close(older);
    ecshist_snapshot_close(newer);
}

/* Whatever place there is said to be, what is shown is right. */
Test(describe, a_wrong_place_costs_a_search_only)
{
    const char *arn = TEST_DEPLOYMENT_ARN("d1"), *other = TEST_DEPLOYMENT_ARN("d2");
    ecshist_snapshot *snapshot;
    uint64_t place = 0, other_place = 0, of = 0;
    create(1);
    create(2);
    struct ehi_db *db = ((struct ehi_store *)store)->db;
    struct ehi_hash128 hash = ehi_hash128(arn, strlen(arn));
    cr_assert_eq(ecshist_snapshot_open(store, &snapshot, NULL), ECSHIST_OK);
    for (int i = 0; i < 3; i++) {
        ecshist_result_free(ask_for(snapshot, arn));
        ecshist_result_free(ask_for(snapshot, other));
    }
    for (uint64_t id = 1; id < 100 && place == 0; id++) {
        of = id;
        (void)db_known(db, hash, id, &place);
        (void)db_known(db, ehi_hash128(other, strlen(other)), id, &other_place);
    }
    uint64_t right = db_known(db, hash, of, &place);
    cr_assert(place != 0 && other_place != 0);
    uint64_t within = (place & ((UINT64_C(1) << 48) - 1)) % 4096, page = place - within;
    for (uint64_t at = 0; at < 4096; at++) {
        db_remember(db, hash, right, of, at == 4095 ? other_place : page + at);
        ecshist_result *result = ask_for(snapshot, arn);
        expect_shows(result, arn);
        ecshist_result_free(result);
        uint64_t now;
        cr_assert(db_known(db, hash, of, &now) == right && now == place, "at %d", (int)at);
    }
    for (uint64_t size = 0; size < 65536; size += 7) {
        db_remember(db, hash, right, of, (place << 16 >> 16) | size << 48);
        ecshist_result *result = ask_for(snapshot, arn);
        expect_shows(result, arn);
        ecshist_result_free(result);
    }
    ecshist_snapshot_close(snapshot);
}

Test(describe, one_to_twenty)
{
    const char *arns[21];
    for (size_t i = 0; i < 21; i++)
        arns[i] = TEST_DEPLOYMENT_ARN("no");
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    cr_assert_eq(describe(arns, 0, &result, &error), ECSHIST_INVALID);
    cr_assert_eq(describe(arns, 21, &result, &error), ECSHIST_INVALID);
    cr_assert_str_eq(error.place, "serviceDeploymentArns");
    store_must(describe(arns, 20, &result, &error), "describe", &error);
    cr_assert_eq(ecshist_result_failure_count(result), 20u);
    ecshist_result_free(result);
}

Test(describe, a_malformed_arn_is_named)
{
    static const char *const wrong[] = {
        "", "web", TEST_REVISION_ARN("1"), TEST_SERVICE_ARN, TEST_DEPLOYMENT_ARN("a b"), NULL};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *arns[2] = {TEST_DEPLOYMENT_ARN("no"), wrong[i]};
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        ecshist_result *result = NULL;
        cr_assert_eq(describe(arns, 2, &result, &error), ECSHIST_INVALID, "%s",
                     wrong[i] == NULL ? "NULL" : wrong[i]);
        cr_assert_str_eq(error.place, "serviceDeploymentArns[1]");
        cr_assert_null(result);
    }
}

Test(describe, timelines_of_what_is_not_there)
{
    d1(1, "deployment-created", "," TO_REVISION("2"));
    assert_answer(TIMELINE, TEST_DEPLOYMENT_ARN("no"), NULL, "NOT_FOUND");
    assert_answer(TIMELINE, TEST_ARN "cluster/shop", NULL, "INVALID");
    assert_answer(TIMELINE, TEST_TASK_ARN("t"), NULL, "INVALID");
    assert_answer(TIMELINE, "shop", NULL, "INVALID");
    assert_answer(TIMELINE, TEST_SERVICE_ARN, NULL, "{\"events\":[]}");
}

/* -- as of a seq ------------------------------------------------------------------------------- */

static const char *const stories[] = {
    "{\"type\":\"revision-observed\",\"time\":10,\"serviceRevision\":{\"taskDefinition\":\"a\"},"
    "\"serviceRevisionArn\":\"" TEST_REVISION_ARN("1") "\"}",
    "{\"type\":\"deployment-created\",\"time\":30," OF_DEPLOYMENT("d1") "," TO_REVISION("1") "}",
    "{\"type\":\"deployment-started\",\"time\":20," OF_DEPLOYMENT("d1") "}",
    "{\"type\":\"deployment-succeeded\",\"time\":50," OF_DEPLOYMENT("d1") "}",
    "{\"type\":\"revision-observed\",\"time\":12,\"serviceRevision\":{\"taskDefinition\":\"b\"},"
    "\"serviceRevisionArn\":\"" TEST_REVISION_ARN("1") "\"}",
    "{\"type\":\"deployment-started\",\"time\":60," OF_DEPLOYMENT("d2") "," TO_REVISION("2") "}",
    "{\"type\":\"task-failed\",\"time\":55," OF_DEPLOYMENT("d2") "," OF_TASK("t1") "}",
    "{\"type\":\"service-deleted\",\"time\":65,\"serviceArn\":\"" TEST_SERVICE_ARN "\"}",
    "{\"type\":\"deployment-succeeded\",\"time\":62," OF_DEPLOYMENT("d2") "}",
    "{\"type\":\"deployment-observed\",\"time\":70," OF_DEPLOYMENT(
        "d3") ",\"serviceDeployment\":"
              "{\"status\":\"SUCCESSFUL\",\"createdAt\":5,\"finishedAt\":6,"
              "\"targetServiceRevision\":"
              "{\"arn\":\"" TEST_REVISION_ARN("3") "\"}}}",
    "{\"type\":\"deployment-created\",\"time\":80," OF_DEPLOYMENT("d4") "," TO_REVISION("2") "}",
    "{\"type\":\"service-deleted\",\"time\":90,\"serviceArn\":\"" TEST_SERVICE_ARN "\"}",
    "{\"type\":\"deployment-stopped\",\"time\":95," OF_DEPLOYMENT("d4") "}",
};
enum { STORIES = sizeof(stories) / sizeof(stories[0]) };

static const struct {
    enum question question;
    const char *about;
} questions[] = {{DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1")},
                 {DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d2")},
                 {DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d3")},
                 {DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d4")},
                 {REVISIONS, TEST_REVISION_ARN("1")},
                 {REVISIONS, TEST_REVISION_ARN("2")},
                 {LIST, TEST_SERVICE_ARN},
                 {SERVICES, "shop"},
                 {TIMELINE, TEST_DEPLOYMENT_ARN("d2")},
                 {TIMELINE, TEST_SERVICE_ARN}};
enum { QUESTIONS = sizeof(questions) / sizeof(questions[0]) };

Test(as_of, every_seq_is_as_it_was_then)
{
    static char *answers[STORIES][QUESTIONS];
    for (size_t seq = 1; seq <= STORIES; seq++) {
        cr_assert_eq(store_must_append(store, "%s", stories[seq - 1]), seq);
        for (size_t q = 0; q < QUESTIONS; q++)
            answers[seq - 1][q] = answer_to(questions[q].question, questions[q].about, NULL);
    }
    for (size_t seq = 1; seq <= STORIES; seq++) {
        struct ecshist_as_of as_of = at_seq(seq);
        for (size_t q = 0; q < QUESTIONS; q++) {
            bool not_found = answers[seq - 1][q][0] != '{';
            if (not_found) /* what is not named at all yet cannot be missing */
                ecshist_free(answers[seq - 1][q]);
            if (not_found)
                answers[seq - 1][q] = strdup("{\"events\":[]}");
            assert_answer(questions[q].question, questions[q].about, &as_of, answers[seq - 1][q]);
            ecshist_free(answers[seq - 1][q]);
        }
    }
}

Test(as_of, a_seq_that_is_not_reached_yet_is_now)
{
    d1(1, "deployment-created", "," TO_REVISION("2"));
    struct ecshist_as_of as_of = at_seq(1000);
    char *now = answer_to(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), NULL);
    assert_answer(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), &as_of, now);
    ecshist_free(now);
    as_of.has_time = true;
    for (int q = DEPLOYMENTS; q <= TIMELINE; q++) {
        const char *about = q == REVISIONS  ? TEST_REVISION_ARN("1")
                            : q == LIST     ? TEST_SERVICE_ARN
                            : q == SERVICES ? "shop"
                                            : TEST_DEPLOYMENT_ARN("d1");
        assert_answer((enum question)q, about, &as_of, "INVALID");
    }
}

Test(as_of, ignored_events_are_passed_over)
{
    d1(10, "deployment-created", "," TO_REVISION("2"));
    store_append(store, ECSHIST_APPEND_LENIENT, NULL,
                 "{\"type\":\"deployment-succeeded\",\"time\":30," OF_DEPLOYMENT("d1") "}");
    d1(20, "deployment-started", "");
    struct ecshist_as_of seq = at_seq(2), time = at_second(30);
    char *answer = answer_to(LIST, TEST_SERVICE_ARN, &seq);
    cr_assert_not_null(strstr(answer, "\"PENDING\""), "%s", answer);
    ecshist_free(answer);
    answer = answer_to(LIST, TEST_SERVICE_ARN, &time);
    cr_assert_not_null(strstr(answer, "\"IN_PROGRESS\""), "%s", answer);
    ecshist_free(answer);
}

/* -- as of a time ------------------------------------------------------------------------------ */

static void record_stories(void)
{
    for (size_t i = 0; i < STORIES; i++)
        store_must_append(store, "%s", stories[i]);
}

/* What stands in the answer, at a second. */
static void assert_says(enum question question, const char *about, int64_t second, const char *says)
{
    struct ecshist_as_of as_of = at_second(second);
    char *answer = answer_to(question, about, &as_of);
    cr_assert_not_null(strstr(answer, says), "at %lld: %s", (long long)second, answer);
    ecshist_free(answer);
}

Test(as_of, a_time_counts_events_by_their_own_time)
{
    record_stories();
    const char *deployment = TEST_DEPLOYMENT_ARN("d1");
    assert_says(DEPLOYMENTS, deployment, 19, "MISSING");
    /* Started at 20 without a target: for want of its creation it does not fit. */
    assert_says(DEPLOYMENTS, deployment, 29, "MISSING");
    assert_says(DEPLOYMENTS, deployment, 30, "\"status\":\"IN_PROGRESS\"");
    assert_says(DEPLOYMENTS, deployment, 30,
                "\"createdAt\":30.0,\"startedAt\":20.0,"
                "\"updatedAt\":30.0");
    assert_says(DEPLOYMENTS, deployment, 49, "\"status\":\"IN_PROGRESS\"");
    assert_says(DEPLOYMENTS, deployment, 50, "\"status\":\"SUCCESSFUL\"");
    assert_says(DEPLOYMENTS, deployment, 10000, "\"status\":\"SUCCESSFUL\"");
    assert_says(REVISIONS, TEST_REVISION_ARN("1"), 9, "MISSING");
    assert_says(REVISIONS, TEST_REVISION_ARN("1"), 11, "\"taskDefinition\":\"a\"");
    assert_says(REVISIONS, TEST_REVISION_ARN("1"), 12, "\"taskDefinition\":\"b\"");
    assert_says(TIMELINE, TEST_DEPLOYMENT_ARN("d2"), 59, "{\"events\":[{\"seq\":7,");
    assert_says(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d2"), 59, "MISSING");
}

Test(as_of, services_at_a_time)
{
    record_stories();
    assert_says(SERVICES, "shop", 9, "{\"services\":[]}");
    assert_says(SERVICES, "shop", 10, "\"status\":\"ACTIVE\",\"serviceDeploymentCounts\":{}");
    assert_says(SERVICES, "shop", 30, "\"serviceDeploymentCounts\":{\"IN_PROGRESS\":1}");
    assert_says(SERVICES, "shop", 50, "\"currentServiceRevisionArn\":\"" TEST_REVISION_ARN("1"));
    assert_says(SERVICES, "shop", 62, "\"currentServiceRevisionArn\":\"" TEST_REVISION_ARN("2"));
    assert_says(SERVICES, "shop", 64, "\"ACTIVE\"");
    assert_says(SERVICES, "shop", 65, "\"INACTIVE\"");
    /* An observation of what has ended does not bring the service back; a new deployment does. */
    assert_says(SERVICES, "shop", 70, "\"INACTIVE\"");
    assert_says(SERVICES, "shop", 70, "\"serviceDeploymentCounts\":{\"SUCCESSFUL\":3}");
    assert_says(SERVICES, "shop", 70, "\"currentServiceRevisionArn\":\"" TEST_REVISION_ARN("2"));
    assert_says(SERVICES, "shop", 80, "\"ACTIVE\"");
    assert_says(SERVICES, "shop", 90, "\"INACTIVE\"");
}

Test(as_of, a_service_is_there_since_any_of_its_events)
{
    store_must_append(store, "{\"type\":\"revision-created\",\"time\":100,\"revision\":{},"
                             "\"serviceRevisionArn\":\"" TEST_REVISION_ARN("1") "\"}");
    store_must_append(store, "{\"type\":\"service-deleted\",\"time\":20,\"serviceArn\":"
                             "\"" TEST_SERVICE_ARN "\"}");
    store_must_append(store, "{\"type\":\"revision-created\",\"time\":50,\"revision\":{},"
                             "\"serviceRevisionArn\":\"" TEST_REVISION_ARN("2") "\"}");
    /* What is not there yet cannot be deleted: at 20 nothing had happened. */
    assert_says(SERVICES, "shop", 20, "{\"services\":[]}");
    assert_says(SERVICES, "shop", 49, "{\"services\":[]}");
    assert_says(SERVICES, "shop", 50, "\"ACTIVE\"");
    assert_says(SERVICES, "shop", 100, "\"INACTIVE\"");
}

Test(as_of, an_observation_may_be_dated_otherwise_than_its_event)
{
    d1(500, "deployment-observed",
       ",\"serviceDeployment\":{\"status\":\"IN_PROGRESS\",\"createdAt\":100,\"updatedAt\":110,"
       "\"targetServiceRevision\":{\"arn\":\"" TEST_REVISION_ARN("1") "\"}}");
    assert_says(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), 200, "MISSING");
    assert_says(LIST, TEST_SERVICE_ARN, 200, "{\"serviceDeployments\":[]}");
    assert_says(DEPLOYMENTS, TEST_DEPLOYMENT_ARN("d1"), 500, "\"createdAt\":100.0");
}
