#include "support/naive_fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- small things ------------------------------------------------------------------------------ */

static const json_t *member(const json_t *object, const char *name)
{
    return json_object_get(object, name);
}

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(member(object, name));
}

static json_int_t integer(const json_t *object, const char *name)
{
    return json_integer_value(member(object, name));
}

static bool is(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static void put_missing(json_t *object, const char *name, json_t *value)
{
    if (member(object, name) != NULL)
        json_decref(value);
    else
        put(object, name, value);
}

/* Whether a word stands in a list of words between spaces. */
static bool listed(const char *words, const char *word)
{
    size_t length = strlen(word);
    const char *at = strstr(words, word);
    while (at != NULL) {
        bool begins = at == words || at[-1] == ' ';
        if (begins && (at[length] == ' ' || at[length] == '\0'))
            return true;
        at = strstr(at + 1, word);
    }
    return false;
}

static bool array_has(const json_t *array, const char *word)
{
    bool found = false;
    for (size_t i = 0; i < json_array_size(array); i++)
        found = found || is(json_string_value(json_array_get(array, i)), word);
    return found;
}

static int64_t time_of_text(const char *s)
{
    struct tm tm = {0};
    int used = 0;
    int64_t us = 0;
    if (sscanf(s, "%d-%d-%dT%d:%d:%d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec, &used) != 6)
        abort();
    s += used;
    if (*s == '.') {
        int64_t scale = 100000;
        for (s++; *s >= '0' && *s <= '9'; s++, scale /= 10)
            us += scale * (*s - '0');
    }
    int hours = 0, minutes = 0;
    char sign = *s;
    if (sign != 'Z' && sscanf(s + 1, "%2d:%2d", &hours, &minutes) != 2)
        abort();
    int64_t offset_s = (hours * 60 + minutes) * 60;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (timegm(&tm) - (sign == '-' ? -offset_s : offset_s)) * 1000000 + us;
}

int64_t naive_time(const json_t *value)
{
    if (json_is_integer(value))
        return json_integer_value(value) * 1000000;
    if (json_is_real(value))
        return llround(json_real_value(value) * 1e6);
    return time_of_text(json_string_value(value));
}

static json_t *microseconds(const json_t *time)
{
    return json_integer(naive_time(time));
}

/* arn:P:ecs:REGION:ACCOUNT:TYPE/CLUSTER/SERVICE[/ID] becomes …:service/CLUSTER/SERVICE. */
void naive_service_arn(const char *arn, char *out)
{
    const char *type = strrchr(arn, ':') + 1;
    const char *cluster = strchr(type, '/') + 1;
    const char *service = strchr(cluster, '/') + 1;
    const char *end = strchr(service, '/');
    if (end == NULL)
        end = service + strlen(service);
    sprintf(out, "%.*sservice/%.*s", (int)(type - arn), arn, (int)(end - cluster), cluster);
}

void naive_put_cluster(json_t *view, const char *arn)
{
    const char *type = strrchr(arn, ':') + 1;
    const char *cluster = strchr(type, '/') + 1;
    int length = (int)(strchr(cluster, '/') - cluster);
    put(view, "clusterArn",
        json_sprintf("%.*scluster/%.*s", (int)(type - arn), arn, length, cluster));
}

void naive_put_arns(json_t *view, const char *name, const char *arn)
{
    char service[4096];
    naive_service_arn(arn, service);
    put(view, name, json_string(arn));
    put(view, "serviceArn", json_string(service));
    naive_put_cluster(view, arn);
}

/* -- 4.1: status ------------------------------------------------------------------------------- */

#define NOT_TERMINAL "PENDING IN_PROGRESS STOP_REQUESTED ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS"
#define REQUESTED_OR_BACK "STOP_REQUESTED ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS"
#define UNCHANGED NULL

/* The table of the specification, as it stands there. */
static const struct row {
    const char *event, *choice, *from, *to;
} rows[] = {
    {"deployment-created", "", "(none)", "PENDING"},
    {"deployment-started", "", "(none) PENDING", "IN_PROGRESS"},
    {"stop-requested", "ROLLBACK", "PENDING IN_PROGRESS", "ROLLBACK_REQUESTED"},
    {"stop-requested", "ROLLBACK", REQUESTED_OR_BACK, UNCHANGED},
    {"stop-requested", "ABORT", "PENDING IN_PROGRESS", "STOP_REQUESTED"},
    {"stop-requested", "ABORT", REQUESTED_OR_BACK, UNCHANGED},
    {"hook-action-requested", "CONTINUE", NOT_TERMINAL, UNCHANGED},
    {"hook-action-requested", "ROLLBACK", "PENDING IN_PROGRESS", "ROLLBACK_REQUESTED"},
    {"rollback-started", "", "IN_PROGRESS ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"},
    {"rollback-succeeded", "", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"},
    {"rollback-failed", "", "ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"},
    {"deployment-succeeded", "", "IN_PROGRESS", "SUCCESSFUL"},
    {"deployment-stopped", "", NOT_TERMINAL, "STOPPED"},
    {"tasks-updated", "", NOT_TERMINAL, UNCHANGED},
    {"lifecycle-stage-changed", "", NOT_TERMINAL, UNCHANGED},
    {"lifecycle-hook-updated", "", NOT_TERMINAL, UNCHANGED},
    {"alarm-triggered", "", NOT_TERMINAL, UNCHANGED},
    {"task-failed", "", "IN_PROGRESS " REQUESTED_OR_BACK, UNCHANGED},
    {"task-healthy", "", "IN_PROGRESS " REQUESTED_OR_BACK, UNCHANGED},
};

bool naive_is_terminal(const char *status)
{
    return listed("SUCCESSFUL STOPPED ROLLBACK_SUCCESSFUL ROLLBACK_FAILED", status);
}

static const char *type_of(const json_t *event)
{
    return text(event, "type");
}

static const char *status_of(const struct naive_fold *fold)
{
    return fold->view == NULL ? "(none)" : text(fold->view, "status");
}

static const char *choice_of(const json_t *event)
{
    const char *choice = "";
    if (is(type_of(event), "stop-requested"))
        choice = member(event, "stopType") != NULL ? text(event, "stopType") : "ROLLBACK";
    if (is(type_of(event), "hook-action-requested"))
        choice = member(event, "action") != NULL ? text(event, "action") : "CONTINUE";
    return choice;
}

static const struct row *find_row(const struct naive_fold *fold, const json_t *event)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool applies = is(rows[i].event, type_of(event)) && is(rows[i].choice, choice_of(event));
        if (applies && listed(rows[i].from, status_of(fold)))
            return &rows[i];
    }
    /* The mistake: a stop after the end changes nothing instead of being a conflict. */
    static const struct row late = {"stop-requested", "", "", UNCHANGED};
    bool mistaken = fold->mistake == NAIVE_LATE_STOP && is(type_of(event), "stop-requested");
    return mistaken && fold->view != NULL ? &late : NULL;
}

/* -- observations ------------------------------------------------------------------------------ */

static void use_microseconds(json_t *object, const char *name)
{
    const json_t *time = member(object, name);
    if (time != NULL)
        put(object, name, microseconds(time));
}

static void drop_empty_list(json_t *object, const char *name)
{
    if (json_array_size(member(object, name)) == 0)
        json_object_del(object, name);
}

static void complete_summary(json_t *summary)
{
    put_missing(summary, "requestedTaskCount", json_integer(0));
    put_missing(summary, "runningTaskCount", json_integer(0));
    put_missing(summary, "pendingTaskCount", json_integer(0));
}

static bool enables(const json_t *view, const char *monitor)
{
    const json_t *configuration = member(view, "deploymentConfiguration");
    return json_is_true(member(member(configuration, monitor), "enable"));
}

static const char *monitor_at_rest(const json_t *view, const char *monitor)
{
    if (!enables(view, monitor))
        return "DISABLED";
    return naive_is_terminal(text(view, "status")) ? "MONITORING_COMPLETE" : "MONITORING";
}

/* What is always there, where the observation does not have it. */
static void complete_monitors(json_t *view)
{
    put_missing(view, "deploymentCircuitBreaker", json_object());
    json_t *breaker = json_object_get(view, "deploymentCircuitBreaker");
    put_missing(breaker, "status", json_string(monitor_at_rest(view, "deploymentCircuitBreaker")));
    put_missing(breaker, "failureCount", json_integer(0));
    put_missing(breaker, "threshold", json_integer(0));
    put_missing(view, "alarms", json_object());
    json_t *alarms = json_object_get(view, "alarms");
    put_missing(alarms, "status", json_string(monitor_at_rest(view, "alarms")));
    json_t *configured = json_object_get(member(view, "deploymentConfiguration"), "alarms");
    json_t *names = json_object_get(configured, "alarmNames");
    if (enables(view, "alarms") && names != NULL)
        put_missing(alarms, "alarmNames", json_incref(names));
    drop_empty_list(alarms, "alarmNames");
    drop_empty_list(alarms, "triggeredAlarmNames");
}

/* An observation as a view. */
static json_t *view_of_observation(const struct naive_fold *fold, const json_t *event)
{
    static const char *const times[] = {"createdAt", "startedAt", "finishedAt", "stoppedAt",
                                        "updatedAt"};
    json_t *view = json_deep_copy(member(event, "serviceDeployment"));
    naive_put_arns(view, "serviceDeploymentArn", text(event, "serviceDeploymentArn"));
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        use_microseconds(view, times[i]);
    use_microseconds(json_object_get(view, "rollback"), "startedAt");
    put_missing(view, "sourceServiceRevisions", json_array());
    json_t *sources = json_object_get(view, "sourceServiceRevisions");
    for (size_t i = 0; i < json_array_size(sources); i++)
        complete_summary(json_array_get(sources, i));
    complete_summary(json_object_get(view, "targetServiceRevision"));
    json_t *hooks = json_object_get(view, "lifecycleHookDetails");
    for (size_t i = 0; i < json_array_size(hooks); i++)
        use_microseconds(json_array_get(hooks, i), "expiresAt");
    drop_empty_list(view, "lifecycleHookDetails");
    complete_monitors(view);
    if (fold->view != NULL && member(fold->view, "updatedAt") != NULL)
        put_missing(view, "updatedAt", json_incref(json_object_get(fold->view, "updatedAt")));
    return view;
}

static json_t *shown(const json_t *view)
{
    json_t *copy = json_deep_copy(view);
    put_missing(copy, "deploymentConfiguration", json_object());
    json_t *configuration = json_object_get(copy, "deploymentConfiguration");
    put_missing(configuration, "maximumPercent", json_integer(200));
    put_missing(configuration, "minimumHealthyPercent", json_integer(100));
    return copy;
}

json_t *naive_fold_shown(const struct naive_fold *fold)
{
    return shown(fold->view);
}

/* Numbers that are equal are the same, however they are written. */
static bool same_json(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b)) {
        bool same = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = same_json(json_array_get(a, i), json_array_get(b, i));
        return same;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return a != NULL && b != NULL && json_equal(a, b);
    bool same = json_object_size(a) == json_object_size(b);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, name, value)
    {
        same = same && same_json(value, member(b, name));
    }
    return same;
}

static enum naive_outcome check_observed(const struct naive_fold *fold, const json_t *event)
{
    if (fold->view == NULL)
        return NAIVE_APPENDED;
    const char *observed = text(member(event, "serviceDeployment"), "status");
    if (naive_is_terminal(status_of(fold)) && !naive_is_terminal(observed))
        return NAIVE_CONFLICT;
    json_t *plain = view_of_observation(fold, event);
    json_t *view = shown(plain);
    json_t *stands = shown(fold->view);
    bool same = same_json(view, stands);
    json_decref(plain);
    json_decref(view);
    json_decref(stands);
    return same ? NAIVE_DUPLICATE : NAIVE_APPENDED;
}

/* -- what else is a conflict ------------------------------------------------------------------- */

static const char *target_of(const json_t *view)
{
    return text(member(view, "targetServiceRevision"), "arn");
}

static bool same_sources(const json_t *view, const json_t *given)
{
    const json_t *sources = member(view, "sourceServiceRevisions");
    bool same = json_array_size(sources) == json_array_size(given);
    for (size_t i = 0; same && i < json_array_size(given); i++)
        same = is(text(json_array_get(sources, i), "arn"),
                  json_string_value(json_array_get(given, i)));
    return same;
}

static bool same_text(const json_t *a, const json_t *b)
{
    char *x = json_dumps(a, JSON_COMPACT);
    char *y = json_dumps(b, JSON_COMPACT);
    bool same = is(x, y);
    free(x);
    free(y);
    return same;
}

static bool started_fits(const json_t *view, const json_t *event)
{
    const json_t *target = member(event, "targetServiceRevisionArn");
    if (target != NULL && !is(json_string_value(target), target_of(view)))
        return false;
    const json_t *sources = member(event, "sourceServiceRevisionArns");
    if (sources != NULL && !same_sources(view, sources))
        return false;
    const json_t *given = member(event, "deploymentConfiguration");
    const json_t *stands = member(view, "deploymentConfiguration");
    return given == NULL || stands == NULL || same_text(given, stands);
}

static bool tasks_fit(const json_t *view, const json_t *event)
{
    const json_t *updates = member(event, "serviceRevisions");
    const json_t *sources = member(view, "sourceServiceRevisions");
    bool fit = true;
    for (size_t i = 0; i < json_array_size(updates); i++) {
        const char *arn = text(json_array_get(updates, i), "arn");
        bool known = is(arn, target_of(view));
        for (size_t j = 0; j < json_array_size(sources); j++)
            known = known || is(arn, text(json_array_get(sources, j), "arn"));
        fit = fit && known;
    }
    return fit;
}

static bool alarms_fit(const json_t *view, const json_t *event)
{
    const json_t *configured = member(member(view, "deploymentConfiguration"), "alarms");
    const json_t *names = member(event, "alarmNames");
    bool fit = enables(view, "alarms");
    for (size_t i = 0; i < json_array_size(names); i++)
        fit = fit && array_has(member(configured, "alarmNames"),
                               json_string_value(json_array_get(names, i)));
    return fit;
}

static json_t *find_hook(const json_t *view, const char *id)
{
    json_t *hooks = json_object_get(view, "lifecycleHookDetails");
    for (size_t i = 0; i < json_array_size(hooks); i++) {
        if (is(text(json_array_get(hooks, i), "hookId"), id))
            return json_array_get(hooks, i);
    }
    return NULL;
}

static bool details_fit(const json_t *view, const json_t *event)
{
    const char *type = type_of(event);
    if (is(type, "deployment-started"))
        return started_fits(view, event);
    if (is(type, "tasks-updated"))
        return tasks_fit(view, event);
    if (is(type, "alarm-triggered"))
        return alarms_fit(view, event);
    if (is(type, "hook-action-requested"))
        return is(text(find_hook(view, text(event, "hookId")), "status"), "AWAITING_ACTION");
    if (is(type, "lifecycle-hook-updated"))
        return find_hook(view, text(member(event, "hook"), "hookId")) != NULL ||
               json_array_size(member(view, "lifecycleHookDetails")) < 100;
    return true;
}

enum naive_outcome naive_fold_check(const struct naive_fold *fold, const json_t *event)
{
    const char *type = type_of(event);
    if (is(type, "deployment-observed"))
        return check_observed(fold, event);
    bool begins = is(type, "deployment-created") || is(type, "deployment-started");
    if (fold->view == NULL && !begins)
        return NAIVE_NOT_FOUND;
    if (find_row(fold, event) == NULL)
        return NAIVE_CONFLICT;
    if (fold->view == NULL)
        return member(event, "targetServiceRevisionArn") == NULL ? NAIVE_INVALID : NAIVE_APPENDED;
    return details_fit(fold->view, event) ? NAIVE_APPENDED : NAIVE_CONFLICT;
}

/* -- applying ---------------------------------------------------------------------------------- */

static json_t *new_summary(const char *arn)
{
    json_t *summary = json_object();
    put(summary, "arn", json_string(arn));
    complete_summary(summary);
    return summary;
}

static void begin(struct naive_fold *fold, const json_t *event, uint64_t seq)
{
    json_t *view = json_object();
    naive_put_arns(view, "serviceDeploymentArn", text(event, "serviceDeploymentArn"));
    json_t *sources = json_array();
    const json_t *given = member(event, "sourceServiceRevisionArns");
    for (size_t i = 0; i < json_array_size(given); i++)
        json_array_append_new(sources, new_summary(json_string_value(json_array_get(given, i))));
    put(view, "sourceServiceRevisions", sources);
    put(view, "targetServiceRevision", new_summary(text(event, "targetServiceRevisionArn")));
    json_t *breaker = json_object();
    put(breaker, "status", json_string("MONITORING"));
    put(breaker, "failureCount", json_integer(0));
    put(breaker, "threshold", json_integer(0));
    put(view, "deploymentCircuitBreaker", breaker);
    json_t *alarms = json_object();
    put(alarms, "status", json_string("MONITORING"));
    put(view, "alarms", alarms);
    fold->view = view;
    fold->created_seq = seq;
}

/* Returns whether the threshold has to be looked at. */
static bool take_configuration(struct naive_fold *fold, const json_t *event)
{
    json_t *given = json_object_get(event, "deploymentConfiguration");
    if (given == NULL || member(fold->view, "deploymentConfiguration") != NULL)
        return false;
    json_object_set(fold->view, "deploymentConfiguration", given);
    json_t *names = json_object_get(member(given, "alarms"), "alarmNames");
    json_t *alarms = json_object_get(fold->view, "alarms");
    json_object_del(alarms, "alarmNames");
    if (enables(fold->view, "alarms") && json_array_size(names) > 0)
        json_object_set(alarms, "alarmNames", names);
    return true;
}

static bool take_desired(struct naive_fold *fold, const json_t *event)
{
    if (member(event, "desiredCount") == NULL)
        return false;
    fold->desired_given = true;
    fold->count_known = true;
    fold->count = integer(event, "desiredCount");
    return true;
}

static bool apply_beginning(struct naive_fold *fold, const json_t *event, uint64_t seq)
{
    if (fold->view == NULL)
        begin(fold, event, seq);
    json_t *time = microseconds(member(event, "time"));
    if (is(type_of(event), "deployment-started")) {
        const json_t *created = member(event, "createdAt");
        put_missing(fold->view, "createdAt",
                    created != NULL ? microseconds(created) : json_incref(time));
        put(fold->view, "startedAt", time);
    } else {
        put(fold->view, "createdAt", time);
    }
    bool desired = take_desired(fold, event);
    return take_configuration(fold, event) || desired;
}

static void set_members(json_t *summary, const json_t *update)
{
    if (is(text(summary, "arn"), text(update, "arn")))
        json_object_update(summary, (json_t *)(uintptr_t)update);
}

static bool apply_tasks(struct naive_fold *fold, const json_t *event)
{
    bool news = take_desired(fold, event);
    const json_t *updates = member(event, "serviceRevisions");
    for (size_t i = 0; i < json_array_size(updates); i++) {
        const json_t *update = json_array_get(updates, i);
        json_t *sources = json_object_get(fold->view, "sourceServiceRevisions");
        for (size_t j = 0; j < json_array_size(sources); j++)
            set_members(json_array_get(sources, j), update);
        set_members(json_object_get(fold->view, "targetServiceRevision"), update);
        bool counts = is(text(update, "arn"), target_of(fold->view)) &&
                      integer(update, "requestedTaskCount") > 0;
        if (counts && (!fold->desired_given || fold->mistake == NAIVE_FORGETS_DESIRED)) {
            fold->count = integer(update, "requestedTaskCount");
            fold->count_known = true;
            news = true;
        }
    }
    return news;
}

static bool is_triggered(const struct naive_fold *fold, const char *monitor)
{
    return is(text(member(fold->view, monitor), "status"), "TRIGGERED");
}

static void apply_task(struct naive_fold *fold, const json_t *event)
{
    const json_t *revision = member(event, "serviceRevisionArn");
    bool of_target = revision == NULL || is(json_string_value(revision), target_of(fold->view));
    if (!of_target || !is(status_of(fold), "IN_PROGRESS") ||
        !enables(fold->view, "deploymentCircuitBreaker"))
        return;
    json_t *breaker = json_object_get(fold->view, "deploymentCircuitBreaker");
    const json_t *configured =
        member(member(fold->view, "deploymentConfiguration"), "deploymentCircuitBreaker");
    bool resets = !json_is_false(member(configured, "resetOnHealthyTask")) ||
                  fold->mistake == NAIVE_ALWAYS_RESETS;
    if (is(type_of(event), "task-failed"))
        put(breaker, "failureCount", json_integer(integer(breaker, "failureCount") + 1));
    else if (resets && !is_triggered(fold, "deploymentCircuitBreaker"))
        put(breaker, "failureCount", json_integer(0));
}

static void apply_alarms(struct naive_fold *fold, const json_t *event)
{
    json_t *alarms = json_object_get(fold->view, "alarms");
    put(alarms, "status", json_string("TRIGGERED"));
    put_missing(alarms, "triggeredAlarmNames", json_array());
    json_t *triggered = json_object_get(alarms, "triggeredAlarmNames");
    const json_t *names = member(event, "alarmNames");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!array_has(triggered, name) || fold->mistake == NAIVE_ALARMS_REPEAT)
            json_array_append_new(triggered, json_string(name));
    }
    drop_empty_list(alarms, "triggeredAlarmNames");
}

static void apply_hook(struct naive_fold *fold, const json_t *event)
{
    json_t *named = json_deep_copy(member(event, "hook"));
    use_microseconds(named, "expiresAt");
    json_t *hook = find_hook(fold->view, text(named, "hookId"));
    if (hook == NULL) {
        put_missing(fold->view, "lifecycleHookDetails", json_array());
        json_array_append(json_object_get(fold->view, "lifecycleHookDetails"), named);
    } else {
        if (fold->mistake == NAIVE_HOOKS_REPLACED)
            json_object_clear(hook);
        json_object_update(hook, named);
    }
    json_decref(named);
}

static void apply_rollback(struct naive_fold *fold, const json_t *event)
{
    json_t *rollback = json_object();
    json_t *reason = json_object_get(event, "reason");
    if (reason != NULL)
        json_object_set(rollback, "reason", reason);
    put(rollback, "startedAt", microseconds(member(event, "time")));
    json_t *revision = json_object_get(event, "serviceRevisionArn");
    if (revision == NULL)
        revision =
            json_object_get(json_array_get(member(fold->view, "sourceServiceRevisions"), 0), "arn");
    if (revision != NULL)
        json_object_set(rollback, "serviceRevisionArn", revision);
    put(fold->view, "rollback", rollback);
}

/* Returns whether a count or a configuration came with the event. */
static bool apply_members(struct naive_fold *fold, const json_t *event, uint64_t seq)
{
    const char *type = type_of(event);
    bool news = false;
    if (is(type, "deployment-created") || is(type, "deployment-started"))
        news = apply_beginning(fold, event, seq);
    else if (is(type, "tasks-updated"))
        news = apply_tasks(fold, event);
    else if (is(type, "task-failed") || is(type, "task-healthy"))
        apply_task(fold, event);
    else if (is(type, "alarm-triggered"))
        apply_alarms(fold, event);
    else if (is(type, "lifecycle-stage-changed"))
        json_object_set(fold->view, "lifecycleStage", json_object_get(event, "lifecycleStage"));
    else if (is(type, "lifecycle-hook-updated"))
        apply_hook(fold, event);
    else if (is(type, "rollback-started"))
        apply_rollback(fold, event);
    else if (is(type, "deployment-stopped"))
        put(fold->view, "stoppedAt", microseconds(member(event, "time")));
    return news;
}

static void move_status(struct naive_fold *fold, const json_t *event, const char *to)
{
    bool changes = to != UNCHANGED && !is(to, text(fold->view, "status"));
    json_t *reason = json_object_get(event, "reason");
    bool has_reason =
        member(event, "reason") != NULL && !is(type_of(event), "deployment-created") &&
        !is(type_of(event), "deployment-started") && !is(type_of(event), "hook-action-requested");
    if (has_reason && (changes || fold->mistake == NAIVE_REASON_ALWAYS))
        json_object_set(fold->view, "statusReason", reason);
    if (!changes)
        return;
    put(fold->view, "status", json_string(to));
    bool silent =
        fold->mistake == NAIVE_STOPPED_IS_SILENT && is(type_of(event), "deployment-stopped");
    if (naive_is_terminal(to) && !silent)
        put(fold->view, "finishedAt", microseconds(member(event, "time")));
}

/* 4.5, by long division, so that nothing is shared with the other's arithmetic. */
static json_int_t percent_of(const struct naive_fold *fold, json_int_t value)
{
    json_int_t whole = value * fold->count / 100;
    bool remainder = whole * 100 != value * fold->count;
    return whole + (remainder && fold->mistake != NAIVE_ROUNDS_DOWN ? 1 : 0);
}

static json_int_t threshold_of(const struct naive_fold *fold)
{
    const json_t *breaker =
        member(member(fold->view, "deploymentConfiguration"), "deploymentCircuitBreaker");
    const json_t *configured = member(breaker, "thresholdConfiguration");
    const char *type = configured == NULL ? "BOUNDED_PERCENT" : text(configured, "type");
    json_int_t value = configured == NULL ? 50 : integer(configured, "value");
    if (is(type, "COUNT"))
        return value;
    json_int_t threshold = percent_of(fold, value);
    if (is(type, "BOUNDED_PERCENT") && threshold < 3)
        threshold = 3;
    if (is(type, "BOUNDED_PERCENT") && threshold > 200)
        threshold = 200;
    return threshold;
}

static void watch_breaker(struct naive_fold *fold, bool news)
{
    json_t *breaker = json_object_get(fold->view, "deploymentCircuitBreaker");
    if (is_triggered(fold, "deploymentCircuitBreaker"))
        return;
    bool enabled = enables(fold->view, "deploymentCircuitBreaker");
    if (enabled && news && fold->count_known && listed("PENDING IN_PROGRESS", status_of(fold)))
        put(breaker, "threshold", json_integer(threshold_of(fold)));
    json_int_t threshold = integer(breaker, "threshold");
    json_int_t failures = integer(breaker, "failureCount");
    if (fold->mistake == NAIVE_TRIGGERS_LATE)
        failures--;
    bool trips = enabled && threshold > 0 && failures >= threshold;
    if (trips && !naive_is_terminal(status_of(fold)))
        put(breaker, "status", json_string("TRIGGERED"));
    else
        put(breaker, "status",
            json_string(monitor_at_rest(fold->view, "deploymentCircuitBreaker")));
}

static void watch_alarms(struct naive_fold *fold)
{
    if (!is_triggered(fold, "alarms"))
        put(json_object_get(fold->view, "alarms"), "status",
            json_string(monitor_at_rest(fold->view, "alarms")));
}

static void apply_observed(struct naive_fold *fold, const json_t *event, uint64_t seq)
{
    json_t *view = view_of_observation(fold, event);
    /* What stood is not what was observed: without a time of its own it was updated now. */
    if (member(member(event, "serviceDeployment"), "updatedAt") == NULL)
        put(view, "updatedAt", microseconds(member(event, "time")));
    json_int_t requested = integer(member(view, "targetServiceRevision"), "requestedTaskCount");
    if (!fold->desired_given && requested > 0) {
        fold->count = requested;
        fold->count_known = true;
    }
    if (fold->view == NULL)
        fold->created_seq = seq;
    json_decref(fold->view);
    fold->view = view;
}

void naive_fold_apply(struct naive_fold *fold, const json_t *event, uint64_t seq)
{
    fold->last_seq = seq;
    if (is(type_of(event), "deployment-observed")) {
        apply_observed(fold, event, seq);
        return;
    }
    const char *to = find_row(fold, event)->to;
    bool news = apply_members(fold, event, seq);
    move_status(fold, event, to);
    int64_t time_us = naive_time(member(event, "time"));
    const json_t *before = member(fold->view, "updatedAt");
    if (before == NULL || time_us > json_integer_value(before) ||
        fold->mistake == NAIVE_UPDATED_LAST)
        put(fold->view, "updatedAt", json_integer(time_us));
    watch_breaker(fold, news);
    watch_alarms(fold);
}
