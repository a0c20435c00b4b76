/*
 * The whole library, driven by bytes: appends in every mode of events about two deployments, two
 * revisions and their service; reopening, rebuilding, losing the index, looking back. The naive
 * model of tests/support must agree with every outcome and every view.
 */
#include "fold/store.h"
#include "support/pair.h"
#include "support/store_dir.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { MOST_STEPS = 60, START_S = 1700000000, PART_EVENTS = 12 };

#define ARN "arn:aws:ecs:eu-west-1:123456789012:"
static const char *const deployments[] = {ARN "service-deployment/main/svc/one",
                                          ARN "service-deployment/main/svc/two"};
static const char *const revisions[] = {ARN "service-revision/main/svc/1",
                                        ARN "service-revision/main/svc/2"};
static const char *const services[] = {ARN "service/main/svc"};
static const struct pair_subjects subjects = {deployments, 2, revisions, 2, services, 1};

/* An input on its way. */
struct run {
    const uint8_t *data;
    size_t size;
    struct pair pair;
    int64_t now_s;
    json_t *batch[PAIR_BATCH];
    size_t batch_count;
};

/* Of the process: a directory in memory, so that flushes cost nothing. */
static char *dir, *path;

static void clean_up(void)
{
    free(path);
    store_dir_remove(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* The log is folded in several parts, in one thread: what is found can be repeated. */
    ehi_replay_test_events = PART_EVENTS;
    ehi_replay_test_alone = true;
    dir = access("/dev/shm", W_OK) == 0 ? store_dir_new_in("/dev/shm") : store_dir_new();
    path = store_dir_path(dir, "store");
    atexit(clean_up);
    return 0;
}

/* 0 behind the end: every prefix of an input means something. */
static unsigned take(struct run *run)
{
    if (run->size == 0)
        return 0;
    run->size--;
    return *run->data++;
}

static void must(const struct run *run, bool agree)
{
    if (agree)
        return;
    fprintf(stderr, "after %llu events: %s\n", (unsigned long long)naive_count(run->pair.naive),
            run->pair.where);
    abort();
}

/* -- events ------------------------------------------------------------------------------------ */

static void put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static json_t *revision(unsigned bits)
{
    return json_string(revisions[bits & 1]);
}

static json_t *configuration(unsigned bits)
{
    static const char *const types[] = {"COUNT", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"};
    json_t *breaker = json_pack("{s:b,s:b}", "enable", bits & 1, "rollback", 1);
    if ((bits & 2) != 0)
        put(breaker, "thresholdConfiguration",
            json_pack("{s:s,s:i}", "type", types[bits >> 6], "value", (bits & 4) != 0 ? 2 : 34));
    if ((bits & 8) != 0)
        put(breaker, "resetOnHealthyTask", json_boolean((bits & 16) != 0));
    json_t *object = json_pack("{s:o}", "deploymentCircuitBreaker", breaker);
    if ((bits & 32) != 0)
        put(object, "alarms",
            json_pack("{s:[s,s],s:b}", "alarmNames", "errors", "latency", "enable",
                      (bits & 16) == 0));
    return object;
}

static void fill_created(struct run *run, json_t *event)
{
    unsigned bits = take(run);
    put(event, "targetServiceRevisionArn", revision(bits));
    if ((bits & 2) != 0)
        put(event, "sourceServiceRevisionArns", json_pack("[o]", revision(~bits)));
    if ((bits & 4) != 0)
        put(event, "deploymentConfiguration", configuration(take(run)));
    if ((bits & 8) != 0)
        put(event, "desiredCount", json_integer(bits >> 4));
}

static void fill_started(struct run *run, json_t *event)
{
    unsigned bits = take(run);
    if ((bits & 1) != 0) {
        fill_created(run, event);
        if ((bits & 2) != 0)
            put(event, "createdAt", json_integer(run->now_s - (bits >> 2)));
    }
}

static void fill_tasks(struct run *run, json_t *event)
{
    static const char *const names[] = {"requestedTaskCount", "runningTaskCount",
                                        "pendingTaskCount"};
    unsigned bits = take(run), count = take(run);
    json_t *update = json_pack("{s:o}", "arn", revision(bits));
    for (unsigned i = 0; i < 3; i++) {
        if ((bits & (2u << i)) != 0)
            put(update, names[i], json_integer((count >> i) & 31));
    }
    if ((bits & 16) != 0)
        put(update, "requestedProductionTrafficWeight", json_real(count % 101 / 2.0));
    put(event, "serviceRevisions", json_pack("[o]", update));
    if ((bits & 32) != 0)
        put(event, "desiredCount", json_integer(count & 15));
}

static void fill_task(struct run *run, json_t *event)
{
    unsigned bits = take(run);
    put(event, "taskArn", json_sprintf(ARN "task/main/%u", bits >> 4));
    if ((bits & 1) != 0)
        put(event, "serviceRevisionArn", revision(bits >> 1));
}

static void fill_alarm(struct run *run, json_t *event)
{
    static const char *const names[] = {"errors", "latency", "errors", "other"};
    unsigned bits = take(run);
    json_t *list = json_pack("[s]", names[bits & 3]);
    if ((bits & 4) != 0)
        json_array_append_new(list, json_string(names[bits >> 3 & 3]));
    put(event, "alarmNames", list);
}

static void fill_stage(struct run *run, json_t *event)
{
    static const char *const stages[] = {"PRE_SCALE_UP", "SCALE_UP", "BAKE_TIME", "CLEAN_UP"};
    put(event, "lifecycleStage", json_string(stages[take(run) & 3]));
}

static json_t *hook_id(unsigned bits)
{
    return json_string((bits & 1) != 0 ? "before" : "after");
}

static void fill_hook(struct run *run, json_t *event)
{
    static const char *const states[] = {"AWAITING_ACTION", "IN_PROGRESS", "SUCCEEDED", "FAILED"};
    unsigned bits = take(run);
    json_t *hook = json_pack("{s:o}", "hookId", hook_id(bits));
    if ((bits & 2) == 0)
        put(hook, "status", json_string(states[bits >> 2 & 3]));
    if ((bits & 16) != 0)
        put(hook, "targetType", json_string("PAUSE"));
    if ((bits & 32) != 0)
        put(hook, "note", json_integer(bits >> 6));
    put(event, "hook", hook);
}

static void fill_hook_action(struct run *run, json_t *event)
{
    unsigned bits = take(run);
    put(event, "hookId", hook_id(bits));
    if ((bits & 2) != 0)
        put(event, "action", json_string((bits & 4) != 0 ? "ROLLBACK" : "CONTINUE"));
}

static void fill_stop(struct run *run, json_t *event)
{
    unsigned bits = take(run);
    if ((bits & 1) != 0)
        put(event, "stopType", json_string((bits & 2) != 0 ? "ABORT" : "ROLLBACK"));
}

static void fill_rollback(struct run *run, json_t *event)
{
    unsigned bits = take(run);
    if ((bits & 1) != 0)
        put(event, "serviceRevisionArn", revision(bits >> 1));
}

static void fill_nothing(struct run *run, json_t *event)
{
    (void)run;
    (void)event;
}

static void fill_observed(struct run *run, json_t *event)
{
    static const char *const statuses[] = {
        "PENDING",        "IN_PROGRESS",         "SUCCESSFUL",
        "STOPPED",        "ROLLBACK_SUCCESSFUL", "ROLLBACK_IN_PROGRESS",
        "STOP_REQUESTED", "ROLLBACK_FAILED"};
    unsigned bits = take(run), more = take(run);
    json_t *view = json_pack(
        "{s:O,s:s,s:o}", "serviceDeploymentArn", json_object_get(event, "serviceDeploymentArn"),
        "status", statuses[bits & 7], "targetServiceRevision",
        json_pack("{s:o,s:i}", "arn", revision(bits >> 3), "runningTaskCount", (int)(more & 3)));
    if ((bits & 16) != 0)
        put(view, "createdAt", json_integer(START_S + (more >> 5)));
    if ((bits & 32) != 0)
        put(view, "finishedAt", json_integer(START_S + 10 + (more >> 6)));
    if ((bits & 64) != 0)
        put(view, "deploymentConfiguration", configuration(more));
    if ((bits & 128) != 0)
        put(view, "rollback",
            json_pack("{s:i,s:o}", "startedAt", START_S + 5, "serviceRevisionArn", revision(more)));
    put(event, "serviceDeployment", view);
}

static const struct type {
    const char *name;
    void (*fill)(struct run *run, json_t *event);
} types[] = {
    {"deployment-created", fill_created},
    {"deployment-started", fill_started},
    {"tasks-updated", fill_tasks},
    {"task-failed", fill_task},
    {"task-healthy", fill_task},
    {"alarm-triggered", fill_alarm},
    {"lifecycle-stage-changed", fill_stage},
    {"lifecycle-hook-updated", fill_hook},
    {"hook-action-requested", fill_hook_action},
    {"stop-requested", fill_stop},
    {"rollback-started", fill_rollback},
    {"rollback-succeeded", fill_nothing},
    {"rollback-failed", fill_nothing},
    {"deployment-succeeded", fill_nothing},
    {"deployment-stopped", fill_nothing},
    {"deployment-observed", fill_observed},
};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

/* Of a revision, or of the service: `which` 0 to 3. */
static json_t *other_event(struct run *run, unsigned which)
{
    unsigned bits = take(run);
    const char *arn = revisions[bits & 1];
    json_t *document = json_pack("{s:s}", "launchType", (bits & 2) != 0 ? "FARGATE" : "EC2");
    if (which == 0)
        return json_pack("{s:s,s:s,s:o}", "type", "revision-created", "serviceRevisionArn", arn,
                         "revision", document);
    if (which == 1) {
        put(document, "serviceRevisionArn", json_string(arn));
        return json_pack("{s:s,s:s,s:o}", "type", "revision-observed", "serviceRevisionArn", arn,
                         "serviceRevision", document);
    }
    json_decref(document);
    return json_pack("{s:s,s:s}", "type", "service-deleted", "serviceArn", services[0]);
}

static void put_envelope(struct run *run, json_t *event)
{
    static const int steps_s[] = {0, 1, 1, 2, 10, 60, -3, -40};
    unsigned bits = take(run);
    run->now_s += steps_s[bits & 7];
    put(event, "time", json_integer(run->now_s));
    if ((bits & 16) != 0)
        run->now_s -=
            steps_s[bits & 7]; /* a late one, after which time goes on from where it was */
    if ((bits & 0xc8) == 8)
        put(event, "id", json_sprintf("id-%u", bits >> 4 & 3));
    if ((bits & 32) != 0)
        put(event, "reason", json_string((bits & 64) != 0 ? "because" : ""));
}

static json_t *next_event(struct run *run, unsigned deployment)
{
    unsigned which = take(run) % (TYPES + 4);
    json_t *event;
    if (which >= TYPES) {
        event = other_event(run, which - TYPES);
        put_envelope(run, event);
        json_object_del(event, "reason"); /* a revision's content has none */
        return event;
    }
    event = json_pack("{s:s,s:s}", "type", types[which].name, "serviceDeploymentArn",
                      deployments[deployment & 1]);
    types[which].fill(run, event);
    put_envelope(run, event);
    return event;
}

/* -- operations -------------------------------------------------------------------------------- */

static void add_event(struct run *run, json_t *event)
{
    if (run->batch_count == PAIR_BATCH) {
        json_decref(event);
        return;
    }
    run->batch[run->batch_count++] = event;
}

static void compare_now(struct run *run)
{
    for (size_t i = 0; i < 2; i++)
        must(run, pair_agrees_on_deployment(&run->pair, deployments[i], (struct naive_as_of){0}));
}

/* Appends what has come together, or the next event alone. */
static void append(struct run *run, unsigned bits)
{
    if (run->batch_count == 0)
        add_event(run, next_event(run, bits >> 2));
    if ((bits & 8) != 0)
        must(run, pair_dry_run(&run->pair, run->batch, run->batch_count, bits & 3));
    must(run, pair_append(&run->pair, run->batch, run->batch_count, bits & 3));
    while (run->batch_count > 0)
        json_decref(run->batch[--run->batch_count]);
    compare_now(run);
}

static void reopen(struct run *run, bool lose_index)
{
    ecshist_close(run->pair.store);
    if (lose_index) {
        char *index = store_dir_path(path, "index");
        store_dir_unlink(index);
        free(index);
    }
    run->pair.store = store_dir_open(path);
    compare_now(run);
}

static void rebuild(struct run *run)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_rebuild_index(run->pair.store, NULL, NULL, &error), "rebuild", &error);
    compare_now(run);
}

static void look_back(struct run *run, unsigned bits)
{
    struct naive_as_of seq = {1 + bits % (naive_count(run->pair.naive) + 1), false, 0};
    struct naive_as_of time = {0, true, (run->now_s - (int64_t)(bits & 63)) * 1000000};
    must(run, pair_agrees(&run->pair, &subjects, (bits & 64) != 0 ? seq : time));
}

static void step(struct run *run)
{
    unsigned operation = take(run);
    switch (operation & 7) {
    case 0:
    case 1:
    case 2:
        add_event(run, next_event(run, operation >> 3));
        break;
    case 3:
        look_back(run, take(run));
        break;
    case 4:
        if (operation >> 3 < 4)
            reopen(run, (operation & 8) != 0);
        else if (operation >> 3 < 8)
            rebuild(run);
        break;
    default:
        append(run, operation >> 3);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.data = data, .size = size, .now_s = START_S};
    store_dir_unlink(path);
    run.pair.naive = naive_new();
    run.pair.store = store_dir_open(path);
    for (unsigned i = 0; i < MOST_STEPS && run.size > 0; i++)
        step(&run);
    if (run.batch_count > 0)
        append(&run, ECSHIST_APPEND_EACH);
    must(&run, pair_agrees(&run.pair, &subjects, (struct naive_as_of){0}));
    must(&run, pair_agrees_on_history(&run.pair, &subjects));
    rebuild(&run);
    must(&run, pair_agrees(&run.pair, &subjects, (struct naive_as_of){0}));
    ecshist_close(run.pair.store);
    naive_free(run.pair.naive);
    return 0;
}
