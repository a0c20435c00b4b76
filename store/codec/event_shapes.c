/* The shapes of the ECS API that events hold, as far as folding looks into them. */
#include "codec/members.h"

#include <ecshist/limits.h>
#include <ecshist/query.h>

static int is_required(struct ehi_reader *r, const struct ehi_place *outer, int key)
{
    struct ehi_place at = {outer, key, 0};
    return ehi_refuse(r, &at, ECSHIST_INVALID, "is required");
}

/* ServiceRevisionSummary. */

static int summary_count(struct ehi_reader *r, const struct ehi_place *at,
                         struct ehi_summary_update *update, unsigned flag, int64_t *out)
{
    update->has |= flag;
    return ehi_read_count(r, at, out);
}

static int summary_weight(struct ehi_reader *r, const struct ehi_place *at,
                          struct ehi_summary_update *update, unsigned flag, bool *has, double *out)
{
    update->has |= flag;
    *has = true;
    return ehi_read_weight(r, at, out);
}

static int summary_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct ehi_summary_update *u = into;
    struct ehi_revision_summary *s = &u->summary;
    switch (at->key) {
    case EHI_KEY_arn:
        return ehi_read_revision_arn(r, at, &s->arn);
    case EHI_KEY_requestedTaskCount:
        return summary_count(r, at, u, EHI_HAS_REQUESTED, &s->requested);
    case EHI_KEY_runningTaskCount:
        return summary_count(r, at, u, EHI_HAS_RUNNING, &s->running);
    case EHI_KEY_pendingTaskCount:
        return summary_count(r, at, u, EHI_HAS_PENDING, &s->pending);
    case EHI_KEY_requestedTestTrafficWeight:
        return summary_weight(r, at, u, EHI_HAS_TEST, &s->has_test_weight, &s->test_weight);
    case EHI_KEY_requestedProductionTrafficWeight:
        return summary_weight(r, at, u, EHI_HAS_PRODUCTION, &s->has_production_weight,
                              &s->production_weight);
    default:
        return ehi_read_past(r);
    }
}

/* As nearly all are: an ARN and three counts of a byte each, in this order. Where it returns false, nothing was done. */
static bool usual_summary(struct ehi_reader *r, struct ehi_summary_update *out)
{
    const struct ehi_cursor before = r->cursor;
    const uint8_t *p = before.next;
    if (before.end - p < 2 || p[0] != 0x84 || p[1] != EHI_KEY_arn || before.nesting_left == 0)
        return false;
    r->cursor.next += 2;
    if (ehi_read_sibling(r, EHI_ARN_REVISION, &out->summary.arn) &&
        r->cursor.end - r->cursor.next >= 6) {
        p = r->cursor.next;
        if (p[0] == EHI_KEY_requestedTaskCount && p[2] == EHI_KEY_runningTaskCount &&
            p[4] == EHI_KEY_pendingTaskCount && (p[1] | p[3] | p[5]) < 0x80) {
            r->cursor.next += 6;
            out->summary.requested = p[1];
            out->summary.running = p[3];
            out->summary.pending = p[5];
            out->has = EHI_HAS_REQUESTED | EHI_HAS_RUNNING | EHI_HAS_PENDING;
            return true;
        }
    }
    r->cursor = before;
    out->summary.arn = EHI_SLICE_EMPTY;
    return false;
}

int ehi_read_summary(struct ehi_reader *r, const struct ehi_place *at,
                     struct ehi_summary_update *out)
{
    *out = (struct ehi_summary_update){0};
    if (usual_summary(r, out))
        return ECSHIST_OK;
    int rc = ehi_read_object(r, at, summary_member, out);
    if (rc == ECSHIST_OK && out->summary.arn.data == NULL)
        rc = is_required(r, at, EHI_KEY_arn);
    return rc;
}

/* DeploymentLifecycleHookDetail. */

struct hook_reading {
    struct ehi_hook *hook;
    struct ehi_leftovers leftovers;
};

static int hook_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct hook_reading *reading = into;
    struct ehi_hook *hook = reading->hook;
    switch (at->key) {
    case EHI_KEY_hookId:
        return ehi_read_nonempty(r, at, &hook->id);
    case EHI_KEY_targetType:
        return ehi_read_enum(r, at, EHI_ENUM_HOOK_TARGET, &hook->target_type);
    case EHI_KEY_targetArn:
        return ehi_read_text(r, at, &hook->target_arn);
    case EHI_KEY_status:
        return ehi_read_enum(r, at, EHI_ENUM_HOOK_STATUS, &hook->status);
    case EHI_KEY_expiresAt:
        return ehi_read_time(r, at, &hook->expires_at_us);
    case EHI_KEY_timeoutAction:
        return ehi_read_enum(r, at, EHI_ENUM_HOOK_ACTION, &hook->timeout_action);
    default:
        return ehi_read_leftover(r, &reading->leftovers);
    }
}

int ehi_read_hook(struct ehi_reader *r, const struct ehi_place *at, struct ehi_hook *out)
{
    *out = (struct ehi_hook){.expires_at_us = EHI_TIME_NONE};
    struct hook_reading reading = {.hook = out};
    int rc = ehi_read_object(r, at, hook_member, &reading);
    if (rc != ECSHIST_OK)
        return rc;
    if (out->id.data == NULL)
        return is_required(r, at, EHI_KEY_hookId);
    return ehi_leftovers_map(r, &reading.leftovers, &out->extra);
}

/* DeploymentConfiguration. What is not looked into here is kept in its document all the same. */

static int threshold_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct ehi_configuration *c = into;
    switch (at->key) {
    case EHI_KEY_type:
        return ehi_read_enum(r, at, EHI_ENUM_THRESHOLD, &c->threshold_type);
    case EHI_KEY_value:
        return ehi_read_count(r, at, &c->threshold_value);
    default:
        return ehi_read_past(r);
    }
}

static int breaker_configuration_member(struct ehi_reader *r, const struct ehi_place *at,
                                        void *into)
{
    struct ehi_configuration *c = into;
    bool rollback;
    switch (at->key) {
    case EHI_KEY_enable:
        return ehi_read_bool(r, at, &c->breaker_enabled);
    case EHI_KEY_rollback:
        return ehi_read_bool(r, at, &rollback);
    case EHI_KEY_resetOnHealthyTask:
        return ehi_read_bool(r, at, &c->reset_on_healthy);
    case EHI_KEY_thresholdConfiguration:
        return ehi_read_object(r, at, threshold_member, c);
    default:
        return ehi_read_past(r);
    }
}

static int alarms_configuration_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct ehi_configuration *c = into;
    bool rollback;
    switch (at->key) {
    case EHI_KEY_enable:
        return ehi_read_bool(r, at, &c->alarms_enabled);
    case EHI_KEY_rollback:
        return ehi_read_bool(r, at, &rollback);
    case EHI_KEY_alarmNames:
        return ehi_read_alarm_names(r, at, &c->alarm_names, &c->alarm_count);
    default:
        return ehi_read_past(r);
    }
}

static int configuration_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    int64_t percent;
    switch (at->key) {
    case EHI_KEY_deploymentCircuitBreaker:
        return ehi_read_object(r, at, breaker_configuration_member, into);
    case EHI_KEY_alarms:
        return ehi_read_object(r, at, alarms_configuration_member, into);
    case EHI_KEY_maximumPercent:
    case EHI_KEY_minimumHealthyPercent:
        return ehi_read_count(r, at, &percent);
    default:
        return ehi_read_past(r);
    }
}

void ehi_configuration_default(struct ehi_configuration *out)
{
    *out = (struct ehi_configuration){.alarm_count = 0};
    ehi_configuration_fill(out);
}

int ehi_read_configuration(struct ehi_reader *r, const struct ehi_place *at,
                           struct ehi_configuration *out)
{
    const uint8_t *start = r->cursor.next;
    ehi_configuration_default(out);
    int rc = ehi_read_object(r, at, configuration_member, out);
    if (rc == ECSHIST_OK)
        out->document = ehi_slice(start, (size_t)(r->cursor.next - start));
    return rc;
}

/* ServiceDeployment, as it was observed. */

struct observing {
    struct ehi_deployment *view;
    struct ehi_leftovers leftovers;
    bool has_alarm_names;
};

static int rollback_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct ehi_deployment *view = into;
    switch (at->key) {
    case EHI_KEY_reason:
        return ehi_read_text(r, at, &view->rollback_reason);
    case EHI_KEY_startedAt:
        return ehi_read_time(r, at, &view->rollback_started_at_us);
    case EHI_KEY_serviceRevisionArn:
        return ehi_read_revision_arn(r, at, &view->rollback_revision_arn);
    default:
        return ehi_read_past(r);
    }
}

static int read_rollback(struct ehi_reader *r, const struct ehi_place *at,
                         struct ehi_deployment *view)
{
    view->has_rollback = true;
    return ehi_read_object(r, at, rollback_member, view);
}

static int breaker_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct ehi_deployment *view = into;
    switch (at->key) {
    case EHI_KEY_status:
        return ehi_read_enum(r, at, EHI_ENUM_MONITOR, &view->breaker_status);
    case EHI_KEY_failureCount:
        return ehi_read_count(r, at, &view->failure_count);
    case EHI_KEY_threshold:
        return ehi_read_count(r, at, &view->threshold);
    default:
        return ehi_read_past(r);
    }
}

static int alarms_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct observing *o = into;
    struct ehi_deployment *view = o->view;
    switch (at->key) {
    case EHI_KEY_status:
        return ehi_read_enum(r, at, EHI_ENUM_MONITOR, &view->alarm_status);
    case EHI_KEY_alarmNames:
        o->has_alarm_names = true;
        return ehi_read_alarm_names(r, at, &view->alarm_names, &view->alarm_count);
    case EHI_KEY_triggeredAlarmNames:
        return ehi_read_alarm_names(r, at, &view->triggered_alarms, &view->triggered_count);
    default:
        return ehi_read_past(r);
    }
}

static int read_target(struct ehi_reader *r, const struct ehi_place *at,
                       struct ehi_deployment *view)
{
    struct ehi_summary_update update;
    int rc = ehi_read_summary(r, at, &update);
    if (rc == ECSHIST_OK)
        view->target = update.summary;
    return rc;
}

static int read_sources(struct ehi_reader *r, const struct ehi_place *at,
                        struct ehi_deployment *view)
{
    uint32_t count;
    int rc = ehi_open_list(r, at, ECSHIST_MAX_SOURCE_REVISIONS, "source revisions", &count);
    if (rc != ECSHIST_OK)
        return rc;
    view->sources = ehi_arena_array(r->arena, count, sizeof(*view->sources));
    if (view->sources == NULL)
        return ehi_fail_memory(r->error);
    view->source_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct ehi_place here = {at, EHI_KEY_UNKNOWN, i};
        struct ehi_summary_update update;
        rc = ehi_read_summary(r, &here, &update);
        if (rc != ECSHIST_OK)
            return rc;
        view->sources[i] = update.summary;
    }
    ehi_cursor_close(&r->cursor);
    return ECSHIST_OK;
}

static int read_hooks(struct ehi_reader *r, const struct ehi_place *at, struct ehi_deployment *view)
{
    uint32_t count;
    int rc = ehi_open_list(r, at, ECSHIST_MAX_HOOKS, "lifecycle hooks", &count);
    if (rc != ECSHIST_OK)
        return rc;
    view->hooks = ehi_arena_array(r->arena, count, sizeof(*view->hooks));
    if (view->hooks == NULL)
        return ehi_fail_memory(r->error);
    view->hook_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct ehi_place here = {at, EHI_KEY_UNKNOWN, i};
        rc = ehi_read_hook(r, &here, &view->hooks[i]);
        if (rc != ECSHIST_OK)
            return rc;
    }
    ehi_cursor_close(&r->cursor);
    return ECSHIST_OK;
}

/* Where to a time of the view goes. */
static int64_t *time_of(struct ehi_deployment *view, int key)
{
    switch (key) {
    case EHI_KEY_createdAt:
        return &view->created_at_us;
    case EHI_KEY_startedAt:
        return &view->started_at_us;
    case EHI_KEY_finishedAt:
        return &view->finished_at_us;
    case EHI_KEY_stoppedAt:
        return &view->stopped_at_us;
    case EHI_KEY_updatedAt:
        return &view->updated_at_us;
    default:
        return NULL;
    }
}

static int observed_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct observing *o = into;
    struct ehi_deployment *view = o->view;
    int64_t *time_us = time_of(view, at->key);
    if (time_us != NULL)
        return ehi_read_time(r, at, time_us);
    switch (at->key) {
    case EHI_KEY_serviceDeploymentArn:
    case EHI_KEY_serviceArn:
    case EHI_KEY_clusterArn:
        return ehi_read_agreeing_arn(r, at);
    case EHI_KEY_status:
        return ehi_read_enum(r, at, EHI_ENUM_STATUS, &view->status);
    case EHI_KEY_statusReason:
        return ehi_read_text(r, at, &view->status_reason);
    case EHI_KEY_lifecycleStage:
        return ehi_read_enum(r, at, EHI_ENUM_STAGE, &view->stage);
    case EHI_KEY_targetServiceRevision:
        return read_target(r, at, view);
    case EHI_KEY_sourceServiceRevisions:
        return read_sources(r, at, view);
    case EHI_KEY_lifecycleHookDetails:
        return read_hooks(r, at, view);
    case EHI_KEY_deploymentConfiguration:
        return ehi_read_configuration(r, at, &view->configuration);
    case EHI_KEY_rollback:
        return read_rollback(r, at, view);
    case EHI_KEY_deploymentCircuitBreaker:
        return ehi_read_object(r, at, breaker_member, view);
    case EHI_KEY_alarms:
        return ehi_read_object(r, at, alarms_member, o);
    default:
        return ehi_read_leftover(r, &o->leftovers);
    }
}

/* A monitor whose status was not observed, as its configuration has it. */
static uint8_t monitor_status(uint8_t observed, bool enabled, uint8_t status)
{
    if (observed != 0)
        return observed;
    if (!enabled)
        return EHI_DISABLED;
    return ehi_status_terminal(status) ? EHI_MONITORING_COMPLETE : EHI_MONITORING;
}

/* What was not observed, but follows from the configuration. */
static void complete(struct observing *o)
{
    struct ehi_deployment *view = o->view;
    const struct ehi_configuration *configuration = &view->configuration;
    view->breaker_status =
        monitor_status(view->breaker_status, configuration->breaker_enabled, view->status);
    view->alarm_status =
        monitor_status(view->alarm_status, configuration->alarms_enabled, view->status);
    if (!o->has_alarm_names && configuration->alarms_enabled) {
        view->alarm_names = configuration->alarm_names;
        view->alarm_count = configuration->alarm_count;
    }
}

int ehi_read_observed(struct ehi_reader *r, const struct ehi_place *at, struct ehi_deployment *out)
{
    *out = (struct ehi_deployment){.arn = r->subject->text,
                                   .created_at_us = EHI_TIME_NONE,
                                   .started_at_us = EHI_TIME_NONE,
                                   .finished_at_us = EHI_TIME_NONE,
                                   .stopped_at_us = EHI_TIME_NONE,
                                   .updated_at_us = EHI_TIME_NONE,
                                   .rollback_started_at_us = EHI_TIME_NONE};
    ehi_configuration_default(&out->configuration);
    struct observing o = {.view = out};
    int rc = ehi_read_object(r, at, observed_member, &o);
    if (rc != ECSHIST_OK)
        return rc;
    if (out->status == 0)
        return is_required(r, at, EHI_KEY_status);
    if (out->target.arn.data == NULL) {
        struct ehi_place target = {at, EHI_KEY_targetServiceRevision, 0};
        return is_required(r, &target, EHI_KEY_arn);
    }
    complete(&o);
    return ehi_leftovers_map(r, &o.leftovers, &out->extra);
}
