#include "faults/scenarios.h"

#include "fold/behind.h"
#include "upkeep/compact.h"

#include "log/log.h"
#include "support/store_dir.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* -- a history with every type of event -------------------------------------------------------- */

#define EVENT(type, time) "{\"type\":\"" type "\",\"time\":" time ","
#define REVISION(id) "\"serviceRevisionArn\":\"" TEST_REVISION_ARN(id) "\""
#define CONFIGURATION                                                                              \
    "\"deploymentConfiguration\":{\"strategy\":\"BLUE_GREEN\",\"deploymentCircuitBreaker\":"       \
    "{\"enable\":true,\"rollback\":true},\"alarms\":{\"enable\":true,\"rollback\":true,"           \
    "\"alarmNames\":[\"slow\",\"broken\"]},\"bakeTimeInMinutes\":5},\"desiredCount\":4"
#define SOURCES "\"sourceServiceRevisionArns\":[\"" TEST_REVISION_ARN("r0") "\"]"

static const char *const history[] = {
    EVENT("revision-created", "1000")
        REVISION("r1") ",\"revision\":{\"taskDefinition\":\"web:1\",\"launchType\":\"FARGATE\","
                       "\"containerImages\":[{\"containerName\":\"web\",\"image\":\"web:1\"}],"
                       "\"platformVersion\":\"1.4.0\",\"note\":[1,2.5,true,null,\"\\u00e4\"]}}",
    EVENT("deployment-created", "1001")
        OF_DEPLOYMENT("d1") "," TO_REVISION("r1") "," SOURCES "," CONFIGURATION "}",
    EVENT("deployment-started", "1002") OF_DEPLOYMENT("d1") ",\"id\":\"started\"}",
    EVENT("tasks-updated", "1003") OF_DEPLOYMENT(
        "d1") ",\"serviceRevisions\":[{\"arn\":\"" TEST_REVISION_ARN("r1") "\","
                                                                           "\"requestedTaskCount\":"
                                                                           "4,\"runningTaskCount\":"
                                                                           "1}]}",
    EVENT("task-failed", "1004") OF_DEPLOYMENT("d1") "," OF_TASK("t1") ",\"reason\":\"it broke\"}",
    EVENT("task-healthy", "1005") OF_DEPLOYMENT("d1") "," OF_TASK("t2") "}",
    EVENT("alarm-triggered", "1006") OF_DEPLOYMENT("d1") ",\"alarmNames\":[\"slow\"]}",
    EVENT("lifecycle-stage-changed", "1007")
        OF_DEPLOYMENT("d1") ",\"lifecycleStage\":\"SCALE_UP\"}",
    EVENT("lifecycle-hook-updated", "1008")
        OF_DEPLOYMENT("d1") ",\"hook\":{\"hookId\":\"h1\",\"status\":\"AWAITING_ACTION\"}}",
    EVENT("hook-action-requested", "1009") OF_DEPLOYMENT("d1") ",\"hookId\":\"h1\"}",
    EVENT("stop-requested", "1010") OF_DEPLOYMENT("d1") ",\"reason\":\"enough\"}",
    EVENT("rollback-started", "1011") OF_DEPLOYMENT("d1") ",\"reason\":\"back\"}",
    EVENT("rollback-succeeded", "1012") OF_DEPLOYMENT("d1") "}",
    EVENT("deployment-started", "1013")
        OF_DEPLOYMENT("d2") "," TO_REVISION("r1") "," SOURCES ",\"createdAt\":1012.5}",
    EVENT("rollback-started", "1014") OF_DEPLOYMENT("d2") "}",
    EVENT("rollback-failed", "1015") OF_DEPLOYMENT("d2") ",\"reason\":\"no way back\"}",
    EVENT("deployment-started", "1016") OF_DEPLOYMENT("d3") "," TO_REVISION("r1") "}",
    EVENT("deployment-succeeded", "1017") OF_DEPLOYMENT("d3") "}",
    EVENT("deployment-created", "1018") OF_DEPLOYMENT("d4") "," TO_REVISION("r1") "}",
    EVENT("deployment-stopped", "1019") OF_DEPLOYMENT("d4") ",\"reason\":\"stopped\"}",
    EVENT("deployment-observed", "1020")
        OF_DEPLOYMENT("d5") ",\"serviceDeployment\":{\"serviceDeploymentArn\":"
                            "\"" TEST_DEPLOYMENT_ARN(
                                "d5") "\",\"serviceArn\":\"" TEST_SERVICE_ARN
                                      "\",\"status\":\"SUCCESSFUL\",\"createdAt\":900,"
                                      "\"finishedAt\":950,"
                                      "\"targetServiceRevision\":{\"arn\":\"" TEST_REVISION_ARN(
                                          "r0") "\",\"runningTaskCount\":2}}}",
    EVENT("revision-observed", "1021")
        REVISION("r0") ",\"serviceRevision\":{\"serviceRevisionArn\":\"" TEST_REVISION_ARN(
            "r0") "\",\"serviceArn\":\"" TEST_SERVICE_ARN "\",\"taskDefinition\":\"web:0\"}}",
    EVENT("service-deleted", "1022") "\"serviceArn\":\"" TEST_SERVICE_ARN "\"}",
};

enum { HISTORY = sizeof(history) / sizeof(history[0]), EARLIER = 18 };

static void must_append_line(ecshist_store *store, const char *line)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_append_json(store, line, strlen(line), NULL, NULL, &error), line, &error);
}

/* -- a world ----------------------------------------------------------------------------------- */

static int64_t standing_clock(void *context)
{
    (void)context;
    return INT64_C(2000000000);
}

int world_open(struct world *w, unsigned flags, ecshist_store **out, struct ecshist_error *error)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
#ifdef ECSHIST_TEST_HOOKS
    ehi_behind_test_hold_us = w->scenario != NULL && w->scenario->holds ? INT64_C(1000000000) : -1;
    ehi_behind_test_hold_events = 0;
#endif
    options.flags = flags;
    options.segment_bytes = ECSHIST_MIN_SEGMENT_BYTES;
    options.map_bytes = 32u << 20;
    options.now_us = standing_clock;
    return ecshist_open(w->path, &options, out, error);
}

void world_clean(struct world *w)
{
    static const struct ecshist_append_result none = ECSHIST_APPEND_RESULT_INIT;
    for (size_t i = 0; i < w->text_count; i++)
        ecshist_free(w->texts[i]);
    w->text_count = 0;
    for (size_t i = 0; i < WORLD_EVENTS; i++)
        w->results[i] = none;
}

char *world_tell(const struct world *w)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        abort();
    for (size_t i = 0; i < w->text_count; i++)
        fprintf(out, "%s\n", w->texts[i]);
    for (size_t i = 0; i < w->event_count; i++) {
        const struct ecshist_append_result *result = &w->results[i];
        fprintf(out, "%zu: %d %d %" PRIu64 " %s\n", i, (int)result->outcome, result->code,
                result->seq, result->reason);
    }
    fclose(out);
    return text;
}

void world_end(struct world *w)
{
    world_clean(w);
    ecshist_close(w->store);
    w->store = NULL;
    for (size_t i = 0; i < w->event_count; i++)
        ecshist_event_free(w->events[i]);
    w->event_count = 0;
}

/*
 * Outputs are set to what no call would set them to, and must still be that when it has failed:
 * unset() before, got() after.
 */
#define UNSET(w) ((void *)(w))

static int got(struct world *w, int rc, const void *out)
{
    if (rc != ECSHIST_OK && out != UNSET(w))
        w->touched = true;
    return rc;
}

/* An answer as JSON; frees it. */
static int keep_json(struct world *w, ecshist_result *result, ecshist_json_form form,
                     struct ecshist_error *error)
{
    char *json = UNSET(w);
    size_t length = SIZE_MAX;
    int rc = got(w, ecshist_result_to_json(result, form, &json, &length, error), json);
    if (rc == ECSHIST_OK && w->text_count < WORLD_TEXTS)
        w->texts[w->text_count++] = json;
    else if (length != SIZE_MAX)
        w->touched = true;
    ecshist_result_free(result);
    return rc;
}

/* -- opening ----------------------------------------------------------------------------------- */

static int run_open(struct world *w, struct ecshist_error *error)
{
    ecshist_store *store = UNSET(w);
    if (w->store != NULL)
        return ECSHIST_OK;
    int rc = got(w, world_open(w, w->scenario->flags, &store, error), store);
    if (rc == ECSHIST_OK)
        w->store = store;
    return rc;
}

static void prepare_open(struct world *w)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(world_open(w, 0, &w->store, &error), "open", &error);
}

static void prepare_no_index(struct world *w)
{
    char *index = store_dir_path(w->path, "index");
    store_dir_unlink(index);
    free(index);
}

/* Half a frame where the next one would begin. */
static void prepare_torn(struct world *w)
{
    char *segment = store_dir_newest_segment(w->path);
    size_t length, end;
    unsigned char *bytes = store_dir_read(segment, &length);
    for (end = length; end > 0 && bytes[end - 1] == 0; end--)
        continue;
    end = (end + 7) / 8 * 8;
    store_dir_write(segment, end, "torn", 4);
    free(bytes);
    free(segment);
}

/* In a child. Its end is none of the child's handle, which is closed. */
static void in_child(struct world *w, void (*what)(struct world *w, ecshist_store *store))
{
    pid_t child = fork();
    if (child == 0) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        ecshist_store *store = NULL;
        store_must(world_open(w, 0, &store, &error), "open in a child", &error);
        what(w, store);
        ecshist_close(store);
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        abort();
}

static void rebuild(struct world *w, ecshist_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    (void)w;
    store_must(ecshist_rebuild_index(store, NULL, NULL, &error), "rebuild", &error);
}

/* A handle that is open on an index that was swapped for another one. */
static void prepare_swapped(struct world *w)
{
    prepare_open(w);
    in_child(w, rebuild);
}

static void append_rest(struct world *w, ecshist_store *store)
{
    (void)w;
    for (size_t i = EARLIER; i < HISTORY; i++)
        must_append_line(store, history[i]);
}

/* Another process began a new segment under an open handle. */
static void append_large(struct world *w, ecshist_store *store)
{
    append_rest(w, store);
    store_must_append(store, EVENT("deployment-started", "2000")
                                 OF_DEPLOYMENT("d6") "," TO_REVISION("r1") "}");
    for (unsigned i = 0; i < 3; i++)
        store_must_append(store,
                          EVENT("task-failed", "2000")
                              OF_DEPLOYMENT("d6") "," OF_TASK("t%u") ",\"padding\":\"%060000u\"}",
                          i, i);
}

static void prepare_grown(struct world *w)
{
    prepare_open(w);
    in_child(w, append_large);
}

/* The index as it was before the newest events: it must catch up. */
static void prepare_behind(struct world *w)
{
    char *index = store_dir_path(w->path, "index");
    char *kept = store_dir_path(w->dir, "kept");
    store_dir_copy(index, kept);
    in_child(w, append_rest);
    store_dir_unlink(index);
    store_dir_copy(kept, index);
    store_dir_unlink(kept);
    free(index);
    free(kept);
}

/* Opened to read before, now to write too: the same handle. */
static void prepare_read_only(struct world *w)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(world_open(w, ECSHIST_OPEN_READ_ONLY, &w->store, &error), "open", &error);
}

static int run_open_again(struct world *w, struct ecshist_error *error)
{
    ecshist_store *store = UNSET(w);
    int rc = got(w, world_open(w, 0, &store, error), store);
    if (rc == ECSHIST_OK)
        ecshist_close(store);
    return rc;
}

static int run_close(struct world *w, struct ecshist_error *error)
{
    (void)error;
    ecshist_close(w->store);
    w->store = NULL;
    return ECSHIST_OK;
}

/* -- appending --------------------------------------------------------------------------------- */

static void add_event(struct world *w, const char *line)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_event_from_json(line, strlen(line), &w->events[w->event_count], &error),
               line, &error);
    w->event_count++;
}

static void prepare_one(struct world *w)
{
    prepare_open(w);
    add_event(w, history[EARLIER]);
}

/* Events that the handle holds; one of them is a deployment's that is written to again. */
static void prepare_held(struct world *w)
{
    prepare_open(w);
    must_append_line(w->store, history[EARLIER]);
    must_append_line(w->store, EVENT("deployment-started", "4500")
                                   OF_DEPLOYMENT("d8") "," TO_REVISION("r1") "}");
}

static void prepare_one_more(struct world *w)
{
    prepare_held(w);
    w->events[w->event_count++] =
        store_event(EVENT("task-failed", "4501") OF_DEPLOYMENT("d8") "," OF_TASK("t1") "%s", "}");
}

#ifdef ECSHIST_TEST_HOOKS
/* The append puts what is held. */
static void prepare_last(struct world *w)
{
    prepare_one_more(w);
    ehi_behind_test_hold_us = -1;
}

/* The append hands over what is held, and is held behind it. Whose call fails, its or the other thread's, is not the same each time. */
static void prepare_handing_over(struct world *w)
{
    prepare_one_more(w);
    ehi_behind_test_hold_events = 1;
}
#endif

/* A frame for which no zeros are written ahead. */
static void prepare_large(struct world *w)
{
    prepare_open(w);
    w->events[w->event_count++] =
        store_event(EVENT("revision-created", "7000")
                        REVISION("larger") ",\"revision\":{\"padding\":\"%0200000u\"}}",
                    1u);
}

/* The index was swapped under the handle. */
static void prepare_one_swapped(struct world *w)
{
    prepare_one(w);
    in_child(w, rebuild);
}

/* Others began a new segment. */
static void prepare_one_grown(struct world *w)
{
    prepare_open(w);
    in_child(w, append_large);
    w->events[w->event_count++] = store_event(
        EVENT("deployment-started", "5000") OF_DEPLOYMENT("d7") "," TO_REVISION("r1") "%s", "}");
}

#ifdef ECSHIST_TEST_HOOKS
static void die(void)
{
    _exit(0);
}

static void append_and_die(struct world *w, ecshist_store *store)
{
    (void)w;
    ehi_log_test_after_flush = die;
    store_must_append(
        store, EVENT("deployment-started", "6000") OF_DEPLOYMENT("d8") "," TO_REVISION("r1") "%s",
        "}");
}

/* Another writer died between the log's flush and the index's commit: its event first. */
static void prepare_one_behind(struct world *w)
{
    prepare_one(w);
    in_child(w, append_and_die);
}
#endif

static void prepare_100(struct world *w)
{
    char line[1024];
    prepare_open(w);
    for (unsigned i = 0; i < 50; i++) {
        snprintf(line, sizeof(line),
                 EVENT("deployment-started", "%u") OF_DEPLOYMENT("n%u") "," TO_REVISION("r1") "}",
                 2000 + i, i / 5 * 5 + 100);
        if (i % 5 == 0)
            add_event(w, line);
        snprintf(line, sizeof(line),
                 EVENT("task-failed", "%u") OF_DEPLOYMENT("n%u") "," OF_TASK("t%u") "}", 3000 + i,
                 i / 5 * 5 + 100, i);
        add_event(w, line);
        snprintf(line, sizeof(line),
                 EVENT("task-healthy", "%u")
                     OF_DEPLOYMENT("n%u") "," OF_TASK("t%u") ",\"reason\":\"%0100u\"}",
                 3000 + i, i / 5 * 5 + 100, i, i);
        if (i < 40)
            add_event(w, line);
    }
}

/* Two of them do not fit: d1 has ended. */
static void prepare_100_with_conflicts(struct world *w)
{
    prepare_100(w);
    for (size_t i = 40; i <= 80; i += 40) {
        ecshist_event_free(w->events[i]);
        w->events[i] = store_event(
            EVENT("task-failed", "4000") OF_DEPLOYMENT("d1") "," OF_TASK("t%zu") "}", i);
    }
}

/* The good ones are folded onto what is held, and taken back with it. */
static void prepare_conflicts_with_held(struct world *w)
{
    prepare_held(w);
    for (unsigned i = 0; i < 3; i++)
        w->events[w->event_count++] =
            store_event(EVENT("task-failed", "4600") OF_DEPLOYMENT("d%u") "," OF_TASK("t%u") "}",
                        i == 2 ? 1 : 8, i);
}

static int run_append(struct world *w, struct ecshist_error *error)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = w->scenario->flags;
    return ecshist_append(w->store, (const ecshist_event *const *)w->events, w->event_count,
                          &options, w->results, error);
}

#ifdef ECSHIST_TEST_HOOKS
/* Until the library's thread has put what it was handed, or could not: it would meet faults after they have ended. Nothing here can fail. */
static void wait_for_thread(struct world *w)
{
    struct ehi_store *store = (struct ehi_store *)w->store;
    static const struct timespec moment = {0, 100000};
    for (bool busy = true; busy;) {
        pthread_mutex_lock(&store->flusher.mutex);
        busy = store->handed.state == EHI_PUT_WAITS || store->handed.state == EHI_PUT_RUNS;
        pthread_mutex_unlock(&store->flusher.mutex);
        if (busy)
            (void)nanosleep(&moment, NULL);
    }
}

static int run_append_and_ask(struct world *w, struct ecshist_error *error)
{
    ecshist_snapshot *snapshot = NULL;
    int rc = run_append(w, error);
    wait_for_thread(w);
    if (rc == ECSHIST_OK && ecshist_snapshot_open(w->store, &snapshot, NULL) == ECSHIST_OK)
        ecshist_snapshot_close(snapshot);
    return rc;
}

static int run_append_and_close(struct world *w, struct ecshist_error *error)
{
    int rc = run_append(w, error);
    if (rc != ECSHIST_OK)
        wait_for_thread(w);
    return rc == ECSHIST_OK ? run_close(w, error) : rc;
}
#endif

static int run_dry(struct world *w, struct ecshist_error *error)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = w->scenario->flags;
    return ecshist_append_dry_run(w->store, (const ecshist_event *const *)w->events, w->event_count,
                                  &options, w->results, error);
}

/* Every type, one by one: the first that fails is the last that is tried. */
static int run_append_json(struct world *w, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < HISTORY && rc == ECSHIST_OK; i++)
        rc = ecshist_append_json(w->store, history[i], strlen(history[i]), NULL, NULL, error);
    return rc;
}

static int run_events(struct world *w, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < HISTORY && rc == ECSHIST_OK; i++) {
        ecshist_event *event = UNSET(w);
        char *json = UNSET(w);
        rc = got(w, ecshist_event_from_json(history[i], strlen(history[i]), &event, error), event);
        if (rc != ECSHIST_OK)
            break;
        rc = got(w, ecshist_event_to_json(event, ECSHIST_JSON_CLI, &json, NULL, error), json);
        if (rc == ECSHIST_OK)
            w->texts[w->text_count++] = json;
        ecshist_event_free(event);
    }
    return rc;
}

/* -- reading ----------------------------------------------------------------------------------- */

typedef int ask_fn(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error);

static int with_snapshot(struct world *w, ask_fn *ask, struct ecshist_error *error)
{
    ecshist_snapshot *snapshot = UNSET(w);
    int rc = got(w, ecshist_snapshot_open(w->store, &snapshot, error), snapshot);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ask(w, snapshot, error);
    ecshist_snapshot_close(snapshot);
    return rc;
}

static const char *const deployments[] = {TEST_DEPLOYMENT_ARN("d1"), TEST_DEPLOYMENT_ARN("d2"),
                                          TEST_DEPLOYMENT_ARN("d3"), TEST_DEPLOYMENT_ARN("none")};

static int describe_as_of(struct world *w, ecshist_snapshot *snapshot,
                          const struct ecshist_as_of *as_of, ecshist_json_form form,
                          struct ecshist_error *error)
{
    ecshist_result *result = UNSET(w);
    int rc = got(
        w, ecshist_describe_service_deployments(snapshot, deployments, 4, as_of, &result, error),
        result);
    return rc == ECSHIST_OK ? keep_json(w, result, form, error) : rc;
}

static int ask_describe(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    return describe_as_of(w, snapshot, NULL, ECSHIST_JSON_CLI, error);
}

static int ask_as_of_seq(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    struct ecshist_as_of as_of = {.seq = 9};
    return describe_as_of(w, snapshot, &as_of, ECSHIST_JSON_WIRE, error);
}

static int ask_as_of_time(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    struct ecshist_as_of as_of = {.has_time = true, .time_us = 1014000000};
    return describe_as_of(w, snapshot, &as_of, ECSHIST_JSON_WIRE, error);
}

static int ask_revisions(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    static const char *const revisions[] = {TEST_REVISION_ARN("r1"), TEST_REVISION_ARN("none")};
    ecshist_result *result = UNSET(w);
    int rc =
        got(w, ecshist_describe_service_revisions(snapshot, revisions, 2, NULL, &result, error),
            result);
    return rc == ECSHIST_OK ? keep_json(w, result, ECSHIST_JSON_CLI, error) : rc;
}

static int list_page(struct world *w, ecshist_snapshot *snapshot, struct ecshist_as_of as_of,
                     char *token, struct ecshist_error *error)
{
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    ecshist_result *result = UNSET(w);
    request.service = "web";
    request.cluster = "shop";
    request.max_results = 2;
    request.as_of = as_of;
    request.next_token = token[0] != '\0' ? token : NULL;
    int rc = got(w, ecshist_list_service_deployments(snapshot, &request, &result, error), result);
    if (rc != ECSHIST_OK)
        return rc;
    const char *next = ecshist_result_next_token(result);
    snprintf(token, ECSHIST_MAX_PAGE_TOKEN_BYTES, "%s", next != NULL ? next : "");
    return keep_json(w, result, ECSHIST_JSON_WIRE, error);
}

static int list_pages(struct world *w, ecshist_snapshot *snapshot, struct ecshist_as_of as_of,
                      struct ecshist_error *error)
{
    char token[ECSHIST_MAX_PAGE_TOKEN_BYTES + 1] = "";
    int rc = list_page(w, snapshot, as_of, token, error);
    while (rc == ECSHIST_OK && token[0] != '\0')
        rc = list_page(w, snapshot, as_of, token, error);
    return rc;
}

static int ask_list(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    return list_pages(w, snapshot, (struct ecshist_as_of)ECSHIST_AS_OF_INIT, error);
}

static int ask_list_as_of(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    return list_pages(w, snapshot, (struct ecshist_as_of){.seq = 16}, error);
}

static int ask_services(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    struct ecshist_as_of as_of = {.seq = 10};
    ecshist_result *result = UNSET(w);
    int rc =
        got(w, ecshist_list_services(snapshot, "shop", NULL, NULL, NULL, &result, error), result);
    if (rc == ECSHIST_OK)
        rc = keep_json(w, result, ECSHIST_JSON_CLI, error);
    if (rc != ECSHIST_OK)
        return rc;
    result = UNSET(w);
    rc = got(w, ecshist_list_services(snapshot, NULL, NULL, NULL, &as_of, &result, error), result);
    return rc == ECSHIST_OK ? keep_json(w, result, ECSHIST_JSON_CLI, error) : rc;
}

static int ask_timeline(struct world *w, ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    ecshist_result *result = UNSET(w);
    int rc = got(w, ecshist_timeline(snapshot, deployments[0], NULL, &result, error), result);
    char *json = UNSET(w);
    if (rc != ECSHIST_OK)
        return rc;
    rc = got(w, ecshist_result_item_to_json(result, 3, ECSHIST_JSON_CLI, &json, NULL, error), json);
    if (rc != ECSHIST_OK) {
        ecshist_result_free(result);
        return rc;
    }
    w->texts[w->text_count++] = json;
    return keep_json(w, result, ECSHIST_JSON_CLI, error);
}

#define RUN_ASK(name)                                                                              \
    static int run_##name(struct world *w, struct ecshist_error *error)                            \
    {                                                                                              \
        return with_snapshot(w, ask_##name, error);                                                \
    }
RUN_ASK(describe)
RUN_ASK(as_of_seq)
RUN_ASK(as_of_time)
RUN_ASK(revisions)
RUN_ASK(list)
RUN_ASK(list_as_of)
RUN_ASK(services)
RUN_ASK(timeline)

static int walk(struct world *w, ecshist_cursor *cursor, struct ecshist_error *error)
{
    for (;;) {
        const ecshist_event *event = UNSET(w);
        char *json = UNSET(w);
        int rc = got(w, ecshist_cursor_next(cursor, &event, error), event);
        if (rc == ECSHIST_END)
            return ECSHIST_OK;
        if (rc == ECSHIST_OK)
            rc = got(w, ecshist_event_to_json(event, ECSHIST_JSON_WIRE, &json, NULL, error), json);
        if (rc != ECSHIST_OK)
            return rc;
        w->texts[w->text_count++] = json;
    }
}

static int run_cursor(struct world *w, struct ecshist_error *error)
{
    ecshist_cursor *cursor = UNSET(w);
    int rc = got(w, ecshist_cursor_open(w->store, 2, &cursor, error), cursor);
    if (rc != ECSHIST_OK)
        return rc;
    rc = walk(w, cursor, error);
    ecshist_cursor_close(cursor);
    return rc;
}

static int run_stat(struct world *w, struct ecshist_error *error)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT, untouched = stat;
    int rc = ecshist_stat(w->store, &stat, error);
    if (rc != ECSHIST_OK && memcmp(&stat, &untouched, sizeof(stat)) != 0)
        w->touched = true;
    return rc;
}

static int run_rebuild(struct world *w, struct ecshist_error *error)
{
    return ecshist_rebuild_index(w->store, NULL, NULL, error);
}

/* All that has ended goes. */
static int run_compact(struct world *w, struct ecshist_error *error)
{
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    options.flags = ECSHIST_COMPACT_FORGET_LAST;
    options.retention_us = 1;
    options.has_now = true;
    options.now_us = INT64_C(9000000000000);
    ehi_compact_test_always_shrinks = true;
    return ecshist_compact(w->store, &options, NULL, error);
}

static int run_verify(struct world *w, struct ecshist_error *error)
{
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT, untouched = result;
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    options.flags = ECSHIST_VERIFY_QUICK;
    int rc = ecshist_verify(w->path, &options, NULL, NULL, &result, error);
    if (rc != ECSHIST_OK && memcmp(&result, &untouched, sizeof(result)) != 0)
        w->touched = true;
    return rc;
}

/* -- the stores they begin with ---------------------------------------------------------------- */

static ecshist_store *new_store(const char *path)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct world w = {.path = (char *)path};
    ecshist_store *store = NULL;
    store_must(world_open(&w, ECSHIST_OPEN_CREATE, &store, &error), path, &error);
    return store;
}

static void make_empty(const char *path)
{
    ecshist_close(new_store(path));
}

static void make_small(const char *path)
{
    ecshist_store *store = new_store(path);
    for (size_t i = 0; i < EARLIER; i++)
        must_append_line(store, history[i]);
    ecshist_close(store);
}

/* The next append seals the segment and begins a new one. */
static void make_full(const char *path)
{
    ecshist_store *store = new_store(path);
    for (size_t i = 0; i < EARLIER; i++)
        must_append_line(store, history[i]);
    store_must_append(store,
                      EVENT("revision-created", "1050")
                          REVISION("large") ",\"revision\":{\"padding\":\"%070000u\"}}",
                      1u);
    ecshist_close(store);
}

/* With something that can go. */
static void make_ended(const char *path)
{
    ecshist_store *store = new_store(path);
    for (size_t i = 0; i < EARLIER; i++)
        must_append_line(store, history[i]);
    for (unsigned i = 0; i < 4; i++) {
        store_must_append(store,
                          EVENT("deployment-started", "2000")
                              OF_DEPLOYMENT("ended%u") "," TO_REVISION("r1") "}",
                          i);
        store_must_append(store, EVENT("deployment-stopped", "2001") OF_DEPLOYMENT("ended%u") "}",
                          i);
    }
    ecshist_close(store);
}

const struct base bases[] = {
    {"empty", make_empty}, {"small", make_small}, {"full", make_full}, {"ended", make_ended}};
const size_t base_count = sizeof(bases) / sizeof(bases[0]);

/* -- the table --------------------------------------------------------------------------------- */

const struct scenario scenarios[] = {
    {.name = "create", .run = run_open, .flags = ECSHIST_OPEN_CREATE},
    {.name = "open", .base = "small", .run = run_open},
    {.name = "open-read-only", .base = "small", .run = run_open, .flags = ECSHIST_OPEN_READ_ONLY},
    {.name = "open-rebuild", .base = "small", .prepare = prepare_no_index, .run = run_open},
    {.name = "open-behind", .base = "small", .prepare = prepare_behind, .run = run_open},
    {.name = "open-torn", .base = "small", .prepare = prepare_torn, .run = run_open},
    {.name = "rebuild", .base = "full", .prepare = prepare_open, .run = run_rebuild},
    {.name = "compact",
     .base = "ended",
     .prepare = prepare_open,
     .run = run_compact,
     .appends = true},
    {.name = "verify", .base = "full", .prepare = prepare_open, .run = run_verify},
    {.name = "open-again", .base = "small", .prepare = prepare_read_only, .run = run_open_again},
    {.name = "close", .base = "small", .prepare = prepare_open, .run = run_close},
    {.name = "append-1",
     .base = "small",
     .prepare = prepare_one,
     .run = run_append,
     .appends = true},
    {.name = "append-1-first",
     .base = "empty",
     .prepare = prepare_one,
     .run = run_append,
     .appends = true},
    {.name = "append-1-seals",
     .base = "full",
     .prepare = prepare_one,
     .run = run_append,
     .appends = true},
    {.name = "append-1-large",
     .base = "small",
     .prepare = prepare_large,
     .run = run_append,
     .appends = true},
    {.name = "append-1-swapped",
     .base = "small",
     .prepare = prepare_one_swapped,
     .run = run_append,
     .appends = true},
    {.name = "append-1-grown",
     .base = "small",
     .prepare = prepare_one_grown,
     .run = run_append,
     .appends = true},
#ifdef ECSHIST_TEST_HOOKS
    {.name = "append-1-behind",
     .base = "small",
     .prepare = prepare_one_behind,
     .run = run_append,
     .appends = true},
#endif
    {.name = "append-1-holds",
     .base = "small",
     .prepare = prepare_one,
     .run = run_append,
     .appends = true,
     .holds = true},
    {.name = "append-1-more",
     .base = "small",
     .prepare = prepare_one_more,
     .run = run_append,
     .appends = true,
     .holds = true},
#ifdef ECSHIST_TEST_HOOKS
    {.name = "append-1-puts",
     .base = "small",
     .prepare = prepare_last,
     .run = run_append,
     .appends = true,
     .holds = true},
    {.name = "append-1-hands-over",
     .base = "small",
     .prepare = prepare_handing_over,
     .run = run_append_and_ask,
     .appends = true,
     .holds = true},
    {.name = "close-handed-over",
     .base = "small",
     .prepare = prepare_handing_over,
     .run = run_append_and_close,
     .appends = true,
     .holds = true},
#endif
    {.name = "append-3-held-conflict",
     .base = "small",
     .prepare = prepare_conflicts_with_held,
     .run = run_append,
     .appends = true,
     .holds = true,
     .code = ECSHIST_CONFLICT},
    {.name = "append-100-holds",
     .base = "small",
     .prepare = prepare_100,
     .run = run_append,
     .appends = true,
     .holds = true},
    {.name = "append-100",
     .base = "small",
     .prepare = prepare_100,
     .run = run_append,
     .appends = true},
    {.name = "append-100-strict",
     .base = "small",
     .prepare = prepare_100_with_conflicts,
     .run = run_append,
     .appends = true,
     .code = ECSHIST_CONFLICT},
    {.name = "append-100-lenient",
     .base = "small",
     .prepare = prepare_100_with_conflicts,
     .run = run_append,
     .appends = true,
     .flags = ECSHIST_APPEND_LENIENT},
    {.name = "append-100-each",
     .base = "small",
     .prepare = prepare_100_with_conflicts,
     .run = run_append,
     .appends = true,
     .flags = ECSHIST_APPEND_EACH,
     .code = ECSHIST_CONFLICT},
    {.name = "append-dry-run",
     .base = "small",
     .prepare = prepare_100_with_conflicts,
     .run = run_dry,
     .flags = ECSHIST_APPEND_EACH,
     .code = ECSHIST_CONFLICT},
    {.name = "append-json",
     .base = "empty",
     .prepare = prepare_open,
     .run = run_append_json,
     .appends = true},
    {.name = "events", .base = "empty", .run = run_events},
    {.name = "describe", .base = "small", .prepare = prepare_open, .run = run_describe},
    {.name = "describe-held",
     .base = "small",
     .prepare = prepare_held,
     .run = run_describe,
     .holds = true},
    {.name = "rebuild-held",
     .base = "small",
     .prepare = prepare_held,
     .run = run_rebuild,
     .holds = true},
    {.name = "close-held",
     .base = "small",
     .prepare = prepare_held,
     .run = run_close,
     .holds = true},
    {.name = "describe-as-of-seq", .base = "small", .prepare = prepare_open, .run = run_as_of_seq},
    {.name = "describe-as-of-time",
     .base = "small",
     .prepare = prepare_open,
     .run = run_as_of_time},
    {.name = "describe-swapped", .base = "small", .prepare = prepare_swapped, .run = run_describe},
    {.name = "revisions", .base = "small", .prepare = prepare_open, .run = run_revisions},
    {.name = "list", .base = "small", .prepare = prepare_open, .run = run_list},
    {.name = "list-as-of", .base = "small", .prepare = prepare_open, .run = run_list_as_of},
    {.name = "services", .base = "small", .prepare = prepare_open, .run = run_services},
    {.name = "timeline", .base = "small", .prepare = prepare_open, .run = run_timeline},
    {.name = "timeline-grown", .base = "small", .prepare = prepare_grown, .run = run_timeline},
    {.name = "cursor", .base = "small", .prepare = prepare_open, .run = run_cursor},
    {.name = "cursor-grown", .base = "small", .prepare = prepare_grown, .run = run_cursor},
    {.name = "stat", .base = "small", .prepare = prepare_open, .run = run_stat},
};
const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
