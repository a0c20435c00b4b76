#include "support/random_events.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PICK(r, array) ((array)[random_below(r, COUNT_OF(array))])

/* -- chance ------------------------------------------------------------------------------------ */

/* splitmix64 */
static uint64_t next_random(struct random_events *r)
{
    r->state += 0x9e3779b97f4a7c15u;
    uint64_t z = r->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_below(struct random_events *r, uint64_t n)
{
    return next_random(r) % n;
}

bool random_percent(struct random_events *r, unsigned percent)
{
    return random_below(r, 100) < percent;
}

/* -- names ------------------------------------------------------------------------------------- */

#define ARN_START "arn:aws:ecs:eu-west-1:123456789012:"

const char *random_service_arn(int service, char *text)
{
    snprintf(text, 256, ARN_START "service/main/svc-%d", service);
    return text;
}

static int service_of(int deployment)
{
    return deployment % RANDOM_SERVICES;
}

const char *random_deployment_arn(int deployment, char *text)
{
    snprintf(text, 256, ARN_START "service-deployment/main/svc-%d/deployment_%d",
             service_of(deployment), deployment);
    return text;
}

const char *random_revision_arn(int service, int revision, char *text)
{
    snprintf(text, 256, ARN_START "service-revision/main/svc-%d/100000000000000000%d", service,
             revision);
    return text;
}

static json_t *revision(struct random_events *r, int deployment)
{
    char text[256];
    int which = (int)random_below(r, RANDOM_REVISIONS);
    return json_string(random_revision_arn(service_of(deployment), which, text));
}

static json_t *revision_number(int deployment, int which)
{
    char text[256];
    return json_string(random_revision_arn(service_of(deployment), which, text));
}

/* What a well-behaved orchestrator means: the target of a deployment is always the same. */
static json_t *target(struct random_events *r, int deployment)
{
    if (random_percent(r, 3))
        return revision(r, deployment);
    return revision_number(deployment, deployment % RANDOM_REVISIONS);
}

static json_t *source_list(struct random_events *r, int deployment)
{
    json_t *list = json_array();
    int first = (deployment + 1) % RANDOM_REVISIONS;
    if (deployment != 0 || random_percent(r, 3))
        json_array_append_new(list, revision_number(deployment, first));
    if (deployment > 3)
        json_array_append_new(list, revision_number(deployment, (first + 1) % RANDOM_REVISIONS));
    return list;
}

/* -- times ------------------------------------------------------------------------------------- */

static json_t *time_text(struct random_events *r, int64_t us)
{
    static const int offsets_minutes[] = {0, 0, 60, -330, 840};
    int offset = PICK(r, offsets_minutes);
    time_t seconds = (time_t)(us / 1000000 + offset * 60);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[64], zone[16] = "Z", fraction[16] = "";
    if (us % 1000000 != 0)
        snprintf(fraction, sizeof(fraction), ".%06d%s", (int)(us % 1000000),
                 random_percent(r, 10) ? "999" : "");
    int size = offset < 0 ? -offset : offset;
    if (offset != 0 || random_percent(r, 30))
        snprintf(zone, sizeof(zone), "%c%02d:%02d", offset < 0 ? '-' : '+', size / 60 % 24,
                 size % 60);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    return json_sprintf("%s%s%s", text, fraction, zone);
}

static json_t *time_value(struct random_events *r, int64_t us)
{
    if (us % 1000000 == 0 && random_percent(r, 50))
        return json_integer(us / 1000000);
    if (random_percent(r, 30))
        return json_real((double)us / 1e6);
    return time_text(r, us);
}

/* Mostly a little later than the last one, sometimes the same, sometimes late. */
static int64_t moment(struct random_events *r)
{
    if (random_percent(r, 12))
        return r->now_us - (int64_t)random_below(r, 120) * 1000000;
    if (random_percent(r, 50))
        r->now_us += (int64_t)random_below(r, 30) * 1000000;
    else
        r->now_us += (int64_t)random_below(r, 5000000);
    return r->now_us;
}

static json_t *time_near(struct random_events *r)
{
    return time_value(r, r->now_us + ((int64_t)random_below(r, 600) - 300) * 1000000);
}

/* -- parts of events --------------------------------------------------------------------------- */

static void put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static void put_reason(struct random_events *r, json_t *event)
{
    static const char *const reasons[] = {"task failed to start", "asked for by an operator",
                                          "alarm", "d\u00e9ploiement", ""};
    if (random_percent(r, 50))
        put(event, "reason", json_string(PICK(r, reasons)));
}

static json_t *count(struct random_events *r)
{
    static const int counts[] = {0, 1, 2, 3, 5, 7, 10, 100, 401, 2147483647};
    return json_integer(random_percent(r, 70) ? (int)random_below(r, 12) : PICK(r, counts));
}

static json_t *threshold(struct random_events *r)
{
    static const char *const types[] = {"COUNT", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT"};
    static const int values[] = {1, 2, 3, 10, 25, 33, 50, 99, 100};
    json_t *configuration = json_object();
    put(configuration, "type", json_string(PICK(r, types)));
    put(configuration, "value", json_integer(PICK(r, values)));
    return configuration;
}

static json_t *breaker(struct random_events *r)
{
    json_t *object = json_object();
    put(object, "enable", json_boolean(!random_percent(r, 15)));
    put(object, "rollback", json_boolean(random_percent(r, 50)));
    if (random_percent(r, 40))
        put(object, "resetOnHealthyTask", json_boolean(random_percent(r, 40)));
    if (random_percent(r, 70))
        put(object, "thresholdConfiguration", threshold(r));
    return object;
}

static json_t *alarm_names(struct random_events *r, unsigned percent)
{
    static const char *const names[] = {"errors", "latency", "cpu", "other"};
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (random_percent(r, i == 3 ? percent / 8 : percent))
            json_array_append_new(list, json_string(names[i]));
    }
    if (json_array_size(list) == 0)
        json_array_append_new(list, json_string("errors"));
    return list;
}

static json_t *configuration(struct random_events *r)
{
    json_t *object = json_object();
    if (random_percent(r, 85))
        put(object, "deploymentCircuitBreaker", breaker(r));
    if (random_percent(r, 70)) {
        json_t *alarms = json_object();
        put(alarms, "alarmNames", alarm_names(r, 80));
        put(alarms, "enable", json_boolean(!random_percent(r, 20)));
        put(alarms, "rollback", json_boolean(random_percent(r, 50)));
        put(object, "alarms", alarms);
    }
    if (random_percent(r, 50))
        put(object, "maximumPercent", json_integer(100 + (int)random_below(r, 200)));
    if (random_percent(r, 50))
        put(object, "minimumHealthyPercent", json_integer((int)random_below(r, 101)));
    if (random_percent(r, 10))
        put(object, "somethingNew", json_pack("{s:[i, b]}", "of", 1, 1));
    return object;
}

/* -- events by type ---------------------------------------------------------------------------- */

static void fill_created(struct random_events *r, int deployment, json_t *event)
{
    put(event, "targetServiceRevisionArn", target(r, deployment));
    if (random_percent(r, 80))
        put(event, "sourceServiceRevisionArns", source_list(r, deployment));
    if (random_percent(r, 75))
        put(event, "deploymentConfiguration", configuration(r));
    if (random_percent(r, 40))
        put(event, "desiredCount", count(r));
}

/*
 * The configuration of the deployment-created, where it is remembered: a started may say it again.
 */
static void repeat_configuration(struct random_events *r, json_t *event)
{
    json_t *old = r->memory[random_below(r, RANDOM_MEMORY)];
    json_t *given = json_object_get(old, "deploymentConfiguration");
    if (given != NULL)
        put(event, "deploymentConfiguration", json_deep_copy(given));
}

static void fill_started(struct random_events *r, int deployment, json_t *event)
{
    bool first = r->phase[deployment] == 0;
    if (random_percent(r, first ? 90 : 40))
        put(event, "targetServiceRevisionArn", target(r, deployment));
    if (random_percent(r, first ? 60 : 20))
        put(event, "sourceServiceRevisionArns", source_list(r, deployment));
    if (random_percent(r, first ? 70 : 15))
        put(event, "deploymentConfiguration", configuration(r));
    else if (random_percent(r, 30))
        repeat_configuration(r, event);
    if (random_percent(r, 30))
        put(event, "desiredCount", count(r));
    if (random_percent(r, 30))
        put(event, "createdAt", time_near(r));
}

static json_t *update(struct random_events *r, json_t *arn)
{
    static const char *const names[] = {"requestedTaskCount", "runningTaskCount",
                                        "pendingTaskCount"};
    static const char *const weights[] = {"requestedTestTrafficWeight",
                                          "requestedProductionTrafficWeight"};
    json_t *object = json_object();
    put(object, "arn", arn);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (random_percent(r, 60))
            put(object, names[i], count(r));
    }
    for (size_t i = 0; i < COUNT_OF(weights); i++) {
        if (random_percent(r, 15))
            put(object, weights[i], json_real((double)random_below(r, 201) / 2));
        else if (random_percent(r, 5))
            put(object, weights[i], json_integer((int)random_below(r, 101)));
    }
    return object;
}

static void fill_tasks(struct random_events *r, int deployment, json_t *event)
{
    json_t *list = json_array();
    json_array_append_new(list, update(r, target(r, deployment)));
    if (random_percent(r, 15))
        json_array_append_new(list, update(r, revision(r, deployment)));
    if (random_percent(r, 10))
        json_array_append_new(list, update(r, target(r, deployment)));
    put(event, "serviceRevisions", list);
    if (random_percent(r, 10))
        put(event, "desiredCount", count(r));
}

static void fill_task(struct random_events *r, int deployment, json_t *event)
{
    put(event, "taskArn",
        json_sprintf(ARN_START "task/main/%032x", (unsigned)random_below(r, 1000)));
    if (random_percent(r, 20))
        put(event, "serviceRevisionArn", revision(r, deployment));
}

static void fill_task_failed(struct random_events *r, int deployment, json_t *event)
{
    fill_task(r, deployment, event);
    put_reason(r, event);
    if (random_percent(r, 30))
        put(event, "stopCode", json_string("TaskFailedToStart"));
    if (random_percent(r, 30))
        put(event, "exitCode", json_integer(137));
}

static void fill_alarm(struct random_events *r, int deployment, json_t *event)
{
    (void)deployment;
    put(event, "alarmNames", alarm_names(r, 40));
    put_reason(r, event);
}

static const char *const stages[] = {"RECONCILE_SERVICE",
                                     "PRE_SCALE_UP",
                                     "SCALE_UP",
                                     "POST_SCALE_UP",
                                     "TEST_TRAFFIC_SHIFT",
                                     "POST_TEST_TRAFFIC_SHIFT",
                                     "PRODUCTION_TRAFFIC_SHIFT",
                                     "POST_PRODUCTION_TRAFFIC_SHIFT",
                                     "BAKE_TIME",
                                     "CLEAN_UP"};

static void fill_stage(struct random_events *r, int deployment, json_t *event)
{
    (void)deployment;
    put(event, "lifecycleStage", json_string(PICK(r, stages)));
}

static const char *const hook_ids[] = {"before", "after", "approval"};

static json_t *hook(struct random_events *r)
{
    static const char *const states[] = {"AWAITING_ACTION", "AWAITING_ACTION", "IN_PROGRESS",
                                         "SUCCEEDED",       "FAILED",          "TIMED_OUT"};
    json_t *object = json_object();
    put(object, "hookId", json_string(PICK(r, hook_ids)));
    if (random_percent(r, 50))
        put(object, "targetType", json_string(random_percent(r, 50) ? "AWS_LAMBDA" : "PAUSE"));
    if (random_percent(r, 40))
        put(object, "targetArn",
            json_string("arn:aws:lambda:eu-west-1:123456789012:function:check"));
    if (random_percent(r, 80))
        put(object, "status", json_string(PICK(r, states)));
    if (random_percent(r, 40))
        put(object, "expiresAt", time_near(r));
    if (random_percent(r, 40))
        put(object, "timeoutAction", json_string(random_percent(r, 50) ? "ROLLBACK" : "CONTINUE"));
    if (random_percent(r, 15))
        put(object, "note", json_integer((int)random_below(r, 4)));
    if (random_percent(r, 15))
        put(object, "remark", json_pack("[s]", "kept"));
    return object;
}

static void fill_hook(struct random_events *r, int deployment, json_t *event)
{
    (void)deployment;
    put(event, "hook", hook(r));
}

static void fill_hook_action(struct random_events *r, int deployment, json_t *event)
{
    (void)deployment;
    put(event, "hookId", json_string(PICK(r, hook_ids)));
    if (random_percent(r, 50))
        put(event, "action", json_string(random_percent(r, 60) ? "CONTINUE" : "ROLLBACK"));
    if (random_percent(r, 30))
        put(event, "requestedBy", json_string("somebody"));
}

static void fill_stop(struct random_events *r, int deployment, json_t *event)
{
    (void)deployment;
    if (random_percent(r, 60))
        put(event, "stopType", json_string(random_percent(r, 50) ? "ABORT" : "ROLLBACK"));
    put_reason(r, event);
}

static void fill_rollback(struct random_events *r, int deployment, json_t *event)
{
    if (random_percent(r, 40))
        put(event, "serviceRevisionArn", revision(r, deployment));
    put_reason(r, event);
}

static void fill_reason(struct random_events *r, int deployment, json_t *event)
{
    (void)deployment;
    put_reason(r, event);
}

/* -- observations ------------------------------------------------------------------------------ */

static const char *const statuses[] = {
    "PENDING", "IN_PROGRESS",          "IN_PROGRESS", "STOP_REQUESTED",      "ROLLBACK_REQUESTED",
    "STOPPED", "ROLLBACK_IN_PROGRESS", "SUCCESSFUL",  "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"};
static const char *const monitors[] = {"TRIGGERED", "MONITORING", "MONITORING_COMPLETE",
                                       "DISABLED"};

static void observe_times(struct random_events *r, json_t *view)
{
    static const char *const names[] = {"createdAt", "startedAt", "finishedAt", "stoppedAt",
                                        "updatedAt"};
    static const unsigned percents[] = {95, 80, 40, 15, 90};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (random_percent(r, percents[i]))
            put(view, names[i], time_near(r));
    }
}

static void observe_monitors(struct random_events *r, json_t *view)
{
    if (random_percent(r, 80)) {
        json_t *object = json_object();
        put(object, "status", json_string(PICK(r, monitors)));
        put(object, "failureCount", json_integer((int)random_below(r, 6)));
        put(object, "threshold", json_integer((int)random_below(r, 6)));
        put(view, "deploymentCircuitBreaker", object);
    }
    if (random_percent(r, 80)) {
        json_t *object = json_object();
        put(object, "status", json_string(PICK(r, monitors)));
        if (random_percent(r, 60))
            put(object, "alarmNames", alarm_names(r, 60));
        if (random_percent(r, 30))
            put(object, "triggeredAlarmNames", alarm_names(r, 30));
        put(view, "alarms", object);
    }
}

static void observe_rest(struct random_events *r, int deployment, json_t *view)
{
    if (random_percent(r, 30))
        put(view, "statusReason", json_string("as ECS says"));
    if (random_percent(r, 50))
        put(view, "lifecycleStage", json_string(PICK(r, stages)));
    if (random_percent(r, 30))
        put(view, "lifecycleHookDetails", json_pack("[o]", hook(r)));
    if (random_percent(r, 85))
        put(view, "deploymentConfiguration", configuration(r));
    if (random_percent(r, 20)) {
        json_t *rollback = json_object();
        put_reason(r, rollback);
        put(rollback, "startedAt", time_near(r));
        if (random_percent(r, 80))
            put(rollback, "serviceRevisionArn", revision(r, deployment));
        put(view, "rollback", rollback);
    }
    if (random_percent(r, 10))
        put(view, "somethingElse", json_integer((int)random_below(r, 9)));
}

static json_t *observation(struct random_events *r, int deployment)
{
    char text[256];
    json_t *view = json_object();
    put(view, "serviceDeploymentArn", json_string(random_deployment_arn(deployment, text)));
    if (random_percent(r, 80)) {
        put(view, "serviceArn", json_string(random_service_arn(service_of(deployment), text)));
        put(view, "clusterArn", json_string(ARN_START "cluster/main"));
    }
    observe_times(r, view);
    if (random_percent(r, 70)) {
        json_t *sources = json_array();
        if (random_percent(r, 80))
            json_array_append_new(sources, update(r, revision(r, deployment)));
        put(view, "sourceServiceRevisions", sources);
    }
    put(view, "targetServiceRevision", update(r, target(r, deployment)));
    put(view, "status", json_string(PICK(r, statuses)));
    observe_rest(r, deployment, view);
    observe_monitors(r, view);
    return view;
}

/* Polling sees the same thing again and again, and now and then something new. */
static void fill_observed(struct random_events *r, int deployment, json_t *event)
{
    json_t **last = &r->observed[deployment];
    if (*last == NULL || !random_percent(r, 50)) {
        json_decref(*last);
        *last = observation(r, deployment);
    } else if (random_percent(r, 40)) {
        put(*last, "status", json_string(PICK(r, statuses)));
    }
    put(event, "serviceDeployment", json_deep_copy(*last));
}

/* -- streams ----------------------------------------------------------------------------------- */

/* Where a deployment is thought to stand: 0 nothing yet, 1 pending, 2 running, 3 asked to stop or
 * roll back, 4 rolling back, 5 over. `likely`: in which of these phases the type makes sense. */
static const struct type {
    const char *name;
    void (*fill)(struct random_events *r, int deployment, json_t *event);
    const char *likely;
    int leads_to; /* -1: nowhere else */
    unsigned weight;
} types[] = {
    {"deployment-created", fill_created, "0", 1, 10},
    {"deployment-started", fill_started, "01", 2, 8},
    {"tasks-updated", fill_tasks, "1234", -1, 8},
    {"task-failed", fill_task_failed, "234", -1, 12},
    {"task-healthy", fill_task, "234", -1, 4},
    {"alarm-triggered", fill_alarm, "1234", -1, 3},
    {"lifecycle-stage-changed", fill_stage, "1234", -1, 3},
    {"lifecycle-hook-updated", fill_hook, "1234", -1, 5},
    {"hook-action-requested", fill_hook_action, "12", -1, 3},
    {"stop-requested", fill_stop, "1234", 3, 2},
    {"rollback-started", fill_rollback, "23", 4, 2},
    {"rollback-succeeded", fill_reason, "4", 5, 3},
    {"rollback-failed", fill_reason, "34", 5, 1},
    {"deployment-succeeded", fill_reason, "2", 5, 2},
    {"deployment-stopped", fill_reason, "1234", 5, 1},
    {"deployment-observed", fill_observed, "01234", -1, 2},
};

static const struct type *pick_type(struct random_events *r, int phase)
{
    bool any = random_percent(r, 8);
    for (;;) {
        const struct type *type = &PICK(r, types);
        bool likely =
            any || (phase == 5 ? random_percent(r, 3) : strchr(type->likely, '0' + phase) != NULL);
        if (likely && random_below(r, 12) < type->weight)
            return type;
    }
}

static int pick_deployment(struct random_events *r)
{
    int deployment = (int)random_below(r, RANDOM_DEPLOYMENTS);
    for (int tries = 0; tries < 3 && r->phase[deployment] == 5; tries++)
        deployment = (int)random_below(r, RANDOM_DEPLOYMENTS);
    return deployment;
}

static void put_envelope(struct random_events *r, json_t *event)
{
    if (random_percent(r, 25))
        put(event, "id", json_sprintf("id-%u", r->made));
    else if (random_percent(r, 3))
        put(event, "id", json_sprintf("id-%u", (unsigned)random_below(r, r->made + 1)));
    put(event, "time", time_value(r, moment(r)));
}

static json_t *deployment_event(struct random_events *r)
{
    char text[256];
    int deployment = pick_deployment(r);
    const struct type *type = pick_type(r, r->phase[deployment]);
    json_t *event = json_object();
    put_envelope(r, event);
    put(event, "type", json_string(type->name));
    put(event, "serviceDeploymentArn", json_string(random_deployment_arn(deployment, text)));
    type->fill(r, deployment, event);
    if (random_percent(r, 3))
        put(event, "unknownMember", json_pack("{s:n, s:f}", "a", "b", 0.25));
    if (type->leads_to >= 0 && r->phase[deployment] != 5)
        r->phase[deployment] = type->leads_to;
    return event;
}

static json_t *revision_event(struct random_events *r)
{
    char text[256];
    int service = (int)random_below(r, RANDOM_SERVICES);
    int number = (int)random_below(r, RANDOM_REVISIONS);
    json_t *document = json_object();
    put(document, "launchType", json_string("FARGATE"));
    put(document, "taskDefinition", json_sprintf("family:%d", (int)random_below(r, 2)));
    json_t *event = json_object();
    put_envelope(r, event);
    random_revision_arn(service, number, text);
    put(event, "serviceRevisionArn", json_string(text));
    if (random_percent(r, 50)) {
        put(event, "type", json_string("revision-created"));
        put(event, "revision", document);
        return event;
    }
    put(event, "type", json_string("revision-observed"));
    put(document, "serviceRevisionArn", json_string(text));
    if (random_percent(r, 60))
        put(document, "createdAt", json_integer(1700000000 + number));
    put(event, "serviceRevision", document);
    return event;
}

static json_t *deleted_event(struct random_events *r)
{
    char text[256];
    json_t *event = json_object();
    put_envelope(r, event);
    put(event, "type", json_string("service-deleted"));
    put(event, "serviceArn",
        json_string(random_service_arn((int)random_below(r, RANDOM_SERVICES), text)));
    put_reason(r, event);
    return event;
}

/* An event of before: to the letter, or under another id, or the id with something else. */
static json_t *repeated_event(struct random_events *r)
{
    json_t *old = r->memory[random_below(r, RANDOM_MEMORY)];
    if (old == NULL)
        return deployment_event(r);
    json_t *event = json_deep_copy(old);
    if (random_percent(r, 20))
        put(event, "id", json_sprintf("again-%u", (unsigned)random_below(r, 20)));
    else if (random_percent(r, 15))
        json_object_del(event, "id");
    if (random_percent(r, 15))
        put(event, "time", time_value(r, moment(r)));
    if (random_percent(r, 10))
        put(event, "reason", json_string("said otherwise"));
    return event;
}

json_t *random_events_next(struct random_events *r)
{
    json_t *event;
    if (random_percent(r, 8))
        event = repeated_event(r);
    else if (random_percent(r, 5))
        event = revision_event(r);
    else if (random_percent(r, 2))
        event = deleted_event(r);
    else
        event = deployment_event(r);
    unsigned slot = r->made++ % RANDOM_MEMORY;
    json_decref(r->memory[slot]);
    r->memory[slot] = json_incref(event);
    return event;
}

void random_events_start(struct random_events *r, uint64_t seed)
{
    memset(r, 0, sizeof(*r));
    r->state = seed;
    r->now_us = 1730719556589000 + (int64_t)random_below(r, 1000) * 3600000000;
}

void random_events_end(struct random_events *r)
{
    for (size_t i = 0; i < RANDOM_MEMORY; i++)
        json_decref(r->memory[i]);
    for (size_t i = 0; i < RANDOM_DEPLOYMENTS; i++)
        json_decref(r->observed[i]);
}
