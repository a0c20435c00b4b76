/*
 * Numbers in comments are sections of the specification's chapter on folding. Each type of event has
 * one function: what must hold, then what changes, in the order in which the text says it.
 */
#include "upkeep/naive.h"

#include "model/names.h"
#include "upkeep/verify_internal.h"

#include <ecshist/query.h>

static enum ehi_naive refuse(const char **why, const char *sentence)
{
    *why = sentence;
    return EHI_NAIVE_REFUSED;
}

bool naive_ended(int status)
{
    return status == ECSHIST_STATUS_SUCCESSFUL || status == ECSHIST_STATUS_STOPPED ||
           status == ECSHIST_STATUS_ROLLBACK_SUCCESSFUL || status == ECSHIST_STATUS_ROLLBACK_FAILED;
}

static bool given(struct ehi_slice text)
{
    return text.data != NULL;
}

static bool in_list(struct ehi_slice text, const struct ehi_slice *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ehi_slice_equal(text, list[i]))
            return true;
    }
    return false;
}

/* 4.1: the status changes. 4.2: finishedAt. 4.3: statusReason. */
static void go_to(struct ehi_deployment *d, int status, const struct ehi_event *e)
{
    if (d->status == status)
        return;
    d->status = (uint8_t)status;
    if (given(e->reason))
        d->status_reason = e->reason;
    if (naive_ended(status))
        d->finished_at_us = e->time_us;
}

/* -- 4.5, the circuit breaker ------------------------------------------------------------------ */

static int64_t threshold(const struct ehi_configuration *c, int64_t count)
{
    if (c->threshold_type == EHI_COUNT)
        return c->threshold_value;
    int64_t product = c->threshold_value * count;
    int64_t rounded_up = product / 100 + (product % 100 != 0 ? 1 : 0);
    if (c->threshold_type == EHI_BOUNDED_PERCENT && rounded_up < 3)
        return 3;
    if (c->threshold_type == EHI_BOUNDED_PERCENT && rounded_up > 200)
        return 200;
    return rounded_up;
}

/* The threshold follows the count that is known, with an event that gives one. */
static void follow_count(struct ehi_deployment *d)
{
    bool known = d->has_desired || d->known_count > 0;
    bool follows = d->status == ECSHIST_STATUS_PENDING || d->status == ECSHIST_STATUS_IN_PROGRESS;
    if (known && follows && d->configuration.breaker_enabled && d->breaker_status != EHI_TRIGGERED)
        d->threshold = threshold(&d->configuration, d->known_count);
}

static uint8_t watching(const struct ehi_deployment *d, uint8_t now, bool enabled)
{
    if (now == EHI_TRIGGERED) /* for good */
        return EHI_TRIGGERED;
    if (!enabled)
        return EHI_DISABLED;
    return naive_ended(d->status) ? EHI_MONITORING_COMPLETE : EHI_MONITORING;
}

static void watch(struct ehi_deployment *d)
{
    bool reached = d->configuration.breaker_enabled && d->threshold > 0 &&
                   d->failure_count >= d->threshold && !naive_ended(d->status);
    if (reached)
        d->breaker_status = EHI_TRIGGERED;
    d->breaker_status = watching(d, d->breaker_status, d->configuration.breaker_enabled);
    d->alarm_status = watching(d, d->alarm_status, d->configuration.alarms_enabled);
}

/* -- beginnings -------------------------------------------------------------------------------- */

static void take_desired(struct ehi_deployment *d, const struct ehi_event *e)
{
    if (!e->has_desired)
        return;
    d->has_desired = true;
    d->known_count = e->desired_count;
}

/* 4.6: the alarms that are configured are shown. */
static void take_configuration(struct ehi_deployment *d, const struct ehi_event *e)
{
    if (!given(e->configuration.document))
        return;
    d->configuration = e->configuration;
    d->alarm_names = NULL;
    d->alarm_count = 0;
    if (e->configuration.alarms_enabled) {
        d->alarm_names = e->configuration.alarm_names;
        d->alarm_count = e->configuration.alarm_count;
    }
}

/* 4.4: S in the order given, and T; all counts 0. */
static int begin(struct ehi_deployment *d, const struct ehi_event *e, struct ehi_arena *arena)
{
    struct ehi_revision_summary *sources =
        ehi_arena_array(arena, e->source_count, sizeof(*sources));
    if (sources == NULL)
        return ECSHIST_NO_MEMORY;
    for (uint32_t i = 0; i < e->source_count; i++)
        sources[i].arn = e->sources[i];
    *d = (struct ehi_deployment){.arn = e->subject,
                                 .created_seq = e->seq,
                                 .created_at_us = EHI_TIME_NONE,
                                 .started_at_us = EHI_TIME_NONE,
                                 .finished_at_us = EHI_TIME_NONE,
                                 .stopped_at_us = EHI_TIME_NONE,
                                 .updated_at_us = EHI_TIME_NONE,
                                 .rollback_started_at_us = EHI_TIME_NONE,
                                 .target = {.arn = e->target_arn},
                                 .sources = sources,
                                 .source_count = e->source_count};
    take_desired(d, e);
    take_configuration(d, e);
    return ECSHIST_OK;
}

static int created(struct ehi_deployment *d, const struct ehi_event *e, struct ehi_arena *arena,
                   enum ehi_naive *result, const char **why)
{
    if (d->created_seq != 0) {
        *why = "the deployment exists already";
        *result = EHI_NAIVE_REFUSED;
        return ECSHIST_OK;
    }
    if (begin(d, e, arena) != ECSHIST_OK)
        return ECSHIST_NO_MEMORY;
    d->created_at_us = e->time_us;
    go_to(d, ECSHIST_STATUS_PENDING, e);
    follow_count(d);
    return ECSHIST_OK;
}

/* What deployment-created said already may be said again, but not otherwise. */
static bool agrees(const struct ehi_deployment *d, const struct ehi_event *e)
{
    if (given(e->target_arn) && !ehi_slice_equal(e->target_arn, d->target.arn))
        return false;
    if (e->has_sources && e->source_count != d->source_count)
        return false;
    for (uint32_t i = 0; e->has_sources && i < e->source_count; i++) {
        if (!ehi_slice_equal(e->sources[i], d->sources[i].arn))
            return false;
    }
    return !given(e->configuration.document) || !given(d->configuration.document) ||
           ehi_slice_equal(e->configuration.document, d->configuration.document);
}

static int started(struct ehi_deployment *d, const struct ehi_event *e, struct ehi_arena *arena,
                   enum ehi_naive *result, const char **why)
{
    bool exists = d->created_seq != 0;
    *result = EHI_NAIVE_REFUSED;
    *why = "the deployment was started already";
    if (exists && d->status != ECSHIST_STATUS_PENDING)
        return ECSHIST_OK;
    *why = "the deployment was created otherwise";
    if (exists && !agrees(d, e))
        return ECSHIST_OK;
    *why = "the deployment's target is not known";
    if (!exists && !given(e->target_arn))
        return ECSHIST_OK;
    *result = EHI_NAIVE_APPLIED;
    bool news = e->has_desired;
    if (exists && given(e->configuration.document) && !given(d->configuration.document)) {
        take_configuration(d, e);
        news = true;
    }
    if (exists)
        take_desired(d, e);
    else if (begin(d, e, arena) != ECSHIST_OK)
        return ECSHIST_NO_MEMORY;
    if (d->created_at_us == EHI_TIME_NONE) /* none came, nor was it observed */
        d->created_at_us = e->created_at_us != EHI_TIME_NONE ? e->created_at_us : e->time_us;
    d->started_at_us = e->time_us;
    go_to(d, ECSHIST_STATUS_IN_PROGRESS, e);
    if (news || !exists)
        follow_count(d);
    return ECSHIST_OK;
}

/* -- 4.4, task counts -------------------------------------------------------------------------- */

static void set_summary(struct ehi_revision_summary *s, const struct ehi_summary_update *u)
{
    if (u->has & EHI_HAS_REQUESTED)
        s->requested = u->summary.requested;
    if (u->has & EHI_HAS_RUNNING)
        s->running = u->summary.running;
    if (u->has & EHI_HAS_PENDING)
        s->pending = u->summary.pending;
    if (u->has & EHI_HAS_TEST) {
        s->has_test_weight = true;
        s->test_weight = u->summary.test_weight;
    }
    if (u->has & EHI_HAS_PRODUCTION) {
        s->has_production_weight = true;
        s->production_weight = u->summary.production_weight;
    }
}

static int tasks_updated(struct ehi_deployment *d, const struct ehi_event *e,
                         struct ehi_arena *arena, enum ehi_naive *result, const char **why)
{
    struct ehi_revision_summary *sources =
        ehi_arena_array(arena, d->source_count, sizeof(*sources));
    struct ehi_revision_summary target = d->target;
    bool news = e->has_desired;
    int64_t count = e->has_desired ? e->desired_count : d->known_count;
    if (sources == NULL)
        return ECSHIST_NO_MEMORY;
    for (uint32_t i = 0; i < d->source_count; i++)
        sources[i] = d->sources[i];
    for (uint32_t u = 0; u < e->update_count; u++) {
        const struct ehi_summary_update *update = &e->updates[u];
        bool is_target = ehi_slice_equal(update->summary.arn, target.arn);
        bool known = is_target;
        for (uint32_t i = 0; i < d->source_count; i++) {
            if (!ehi_slice_equal(update->summary.arn, sources[i].arn))
                continue;
            known = true;
            set_summary(&sources[i], update);
        }
        if (!known) {
            *why = "a revision is neither the deployment's target nor one of its sources";
            *result = EHI_NAIVE_REFUSED;
            return ECSHIST_OK;
        }
        if (!is_target)
            continue;
        set_summary(&target, update);
        if ((update->has & EHI_HAS_REQUESTED) && update->summary.requested > 0 && !d->has_desired &&
            !e->has_desired) {
            count = update->summary.requested;
            news = true;
        }
    }
    d->target = target;
    d->sources = sources;
    d->known_count = count;
    d->has_desired = d->has_desired || e->has_desired;
    if (news)
        follow_count(d);
    return ECSHIST_OK;
}

/* -- the others -------------------------------------------------------------------------------- */

/* 4.5: of T, while IN_PROGRESS. */
static enum ehi_naive task(struct ehi_deployment *d, const struct ehi_event *e, const char **why)
{
    if (d->status == ECSHIST_STATUS_PENDING)
        return refuse(why, "the deployment has not been started");
    bool of_target = !given(e->revision_arn) || ehi_slice_equal(e->revision_arn, d->target.arn);
    if (d->status != ECSHIST_STATUS_IN_PROGRESS || !of_target || !d->configuration.breaker_enabled)
        return EHI_NAIVE_APPLIED;
    if (e->type == EHI_TASK_FAILED)
        d->failure_count = d->failure_count + 1;
    else if (d->breaker_status != EHI_TRIGGERED && d->configuration.reset_on_healthy)
        d->failure_count = 0;
    return EHI_NAIVE_APPLIED;
}

static int alarm(struct ehi_deployment *d, const struct ehi_event *e, struct ehi_arena *arena,
                 enum ehi_naive *result, const char **why)
{
    *result = EHI_NAIVE_REFUSED;
    *why = "the deployment's alarms are not enabled";
    if (!d->configuration.alarms_enabled)
        return ECSHIST_OK;
    struct ehi_slice *names =
        ehi_arena_array(arena, (size_t)d->triggered_count + e->alarm_count, sizeof(*names));
    uint32_t count = 0;
    if (names == NULL)
        return ECSHIST_NO_MEMORY;
    for (; count < d->triggered_count; count++)
        names[count] = d->triggered_alarms[count];
    for (uint32_t i = 0; i < e->alarm_count; i++) {
        *why = "an alarm is not in the deployment's configuration";
        if (!in_list(e->alarm_names[i], d->configuration.alarm_names, d->configuration.alarm_count))
            return ECSHIST_OK;
        if (!in_list(e->alarm_names[i], names, count))
            names[count++] = e->alarm_names[i];
    }
    *why = "more alarms than a deployment may have";
    if (count > ECSHIST_MAX_ALARMS)
        return ECSHIST_OK;
    *result = EHI_NAIVE_APPLIED;
    d->triggered_alarms = names;
    d->triggered_count = count;
    d->alarm_status = EHI_TRIGGERED;
    return ECSHIST_OK;
}

/* 4.7 and the rows of 4.1. */
static enum ehi_naive hook_action(struct ehi_deployment *d, const struct ehi_event *e,
                                  const char **why)
{
    const struct ehi_hook *hook = NULL;
    for (uint32_t i = 0; i < d->hook_count; i++) {
        if (ehi_slice_equal(d->hooks[i].id, e->hook_id))
            hook = &d->hooks[i];
    }
    if (hook == NULL)
        return refuse(why, "the deployment has no such hook");
    if (hook->status != EHI_AWAITING_ACTION)
        return refuse(why, "the hook is not AWAITING_ACTION");
    if (e->action == EHI_ACTION_CONTINUE)
        return EHI_NAIVE_APPLIED;
    if (d->status != ECSHIST_STATUS_PENDING && d->status != ECSHIST_STATUS_IN_PROGRESS)
        return refuse(why, "the deployment is on its way out already");
    go_to(d, ECSHIST_STATUS_ROLLBACK_REQUESTED, e);
    return EHI_NAIVE_APPLIED;
}

static enum ehi_naive stop(struct ehi_deployment *d, const struct ehi_event *e)
{
    if (d->status == ECSHIST_STATUS_PENDING || d->status == ECSHIST_STATUS_IN_PROGRESS)
        go_to(d,
              e->stop_type == EHI_STOP_ABORT ? ECSHIST_STATUS_STOP_REQUESTED
                                             : ECSHIST_STATUS_ROLLBACK_REQUESTED,
              e);
    return EHI_NAIVE_APPLIED;
}

static enum ehi_naive rollback(struct ehi_deployment *d, const struct ehi_event *e,
                               const char **why)
{
    int s = d->status;
    switch (e->type) {
    case EHI_ROLLBACK_STARTED:
        if (s != ECSHIST_STATUS_IN_PROGRESS && s != ECSHIST_STATUS_ROLLBACK_REQUESTED)
            return refuse(why, "a rollback cannot start now");
        d->has_rollback = true;
        d->rollback_reason = e->reason;
        d->rollback_started_at_us = e->time_us;
        d->rollback_revision_arn = e->revision_arn;
        if (!given(e->revision_arn) && d->source_count != 0)
            d->rollback_revision_arn = d->sources[0].arn;
        go_to(d, ECSHIST_STATUS_ROLLBACK_IN_PROGRESS, e);
        return EHI_NAIVE_APPLIED;
    case EHI_ROLLBACK_SUCCEEDED:
        if (s != ECSHIST_STATUS_ROLLBACK_IN_PROGRESS)
            return refuse(why, "no rollback is in progress");
        go_to(d, ECSHIST_STATUS_ROLLBACK_SUCCESSFUL, e);
        return EHI_NAIVE_APPLIED;
    default:
        if (s != ECSHIST_STATUS_ROLLBACK_REQUESTED && s != ECSHIST_STATUS_ROLLBACK_IN_PROGRESS)
            return refuse(why, "no rollback was asked for");
        go_to(d, ECSHIST_STATUS_ROLLBACK_FAILED, e);
        return EHI_NAIVE_APPLIED;
    }
}

static enum ehi_naive ending(struct ehi_deployment *d, const struct ehi_event *e, const char **why)
{
    if (e->type == EHI_DEPLOYMENT_STOPPED) {
        d->stopped_at_us = e->time_us;
        go_to(d, ECSHIST_STATUS_STOPPED, e);
        return EHI_NAIVE_APPLIED;
    }
    if (d->status != ECSHIST_STATUS_IN_PROGRESS)
        return refuse(why, "the deployment is not IN_PROGRESS");
    go_to(d, ECSHIST_STATUS_SUCCESSFUL, e);
    return EHI_NAIVE_APPLIED;
}

/* 4.9: the whole view becomes what was observed. */
static enum ehi_naive observed(struct ehi_deployment *d, const struct ehi_event *e,
                               const char **why)
{
    bool exists = d->created_seq != 0;
    if (exists && naive_ended(d->status) && !naive_ended(e->observed->status))
        return refuse(why, "the deployment has ended");
    struct ehi_deployment seen = *e->observed;
    seen.arn = e->subject;
    seen.created_seq = exists ? d->created_seq : e->seq;
    seen.has_desired = exists ? d->has_desired : false;
    seen.known_count = exists ? d->known_count : 0;
    if (!seen.has_desired && seen.target.requested > 0)
        seen.known_count = seen.target.requested;
    if (exists) {
        struct ehi_deployment as_seen = seen;
        as_seen.last_seq = d->last_seq;
        as_seen.last_observed_seq = d->last_observed_seq;
        as_seen.known_count = d->known_count;
        if (as_seen.updated_at_us == EHI_TIME_NONE)
            as_seen.updated_at_us = d->updated_at_us;
        if (verify_deployment_difference(&as_seen, d) == NULL)
            return EHI_NAIVE_NOTHING_NEW;
    }
    if (seen.updated_at_us == EHI_TIME_NONE)
        seen.updated_at_us = e->time_us;
    seen.last_observed_seq = e->seq;
    seen.last_seq = e->seq;
    *d = seen;
    return EHI_NAIVE_APPLIED;
}

static int by_type(struct ehi_deployment *d, const struct ehi_event *e, struct ehi_arena *arena,
                   enum ehi_naive *result, const char **why, struct ecshist_error *error)
{
    bool room = true;
    int rc = ECSHIST_OK;
    *result = EHI_NAIVE_APPLIED;
    switch (e->type) {
    case EHI_TASKS_UPDATED:
        return tasks_updated(d, e, arena, result, why);
    case EHI_TASK_FAILED:
    case EHI_TASK_HEALTHY:
        *result = task(d, e, why);
        return ECSHIST_OK;
    case EHI_ALARM_TRIGGERED:
        return alarm(d, e, arena, result, why);
    case EHI_STAGE_CHANGED:
        d->stage = e->stage;
        return ECSHIST_OK;
    case EHI_HOOK_UPDATED:
        rc = naive_put_hook(d, &e->hook, arena, &room, error);
        *why = "more hooks, or more of one, than a deployment may have";
        *result = room ? EHI_NAIVE_APPLIED : EHI_NAIVE_REFUSED;
        return rc;
    case EHI_HOOK_ACTION_REQUESTED:
        *result = hook_action(d, e, why);
        return ECSHIST_OK;
    case EHI_STOP_REQUESTED:
        *result = stop(d, e);
        return ECSHIST_OK;
    case EHI_ROLLBACK_STARTED:
    case EHI_ROLLBACK_SUCCEEDED:
    case EHI_ROLLBACK_FAILED:
        *result = rollback(d, e, why);
        return ECSHIST_OK;
    case EHI_DEPLOYMENT_SUCCEEDED:
    case EHI_DEPLOYMENT_STOPPED:
        *result = ending(d, e, why);
        return ECSHIST_OK;
    default:
        *why = "it is not an event of a deployment";
        *result = EHI_NAIVE_REFUSED;
        return ECSHIST_OK;
    }
}

int ehi_naive_deployment(struct ehi_deployment *d, const struct ehi_event *e,
                         struct ehi_arena *arena, enum ehi_naive *result, const char **why,
                         struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    *result = EHI_NAIVE_APPLIED;
    if (e->type == EHI_DEPLOYMENT_OBSERVED) {
        *result = observed(d, e, why);
        return ECSHIST_OK;
    }
    if (e->type == EHI_DEPLOYMENT_CREATED) {
        rc = created(d, e, arena, result, why);
    } else if (e->type == EHI_DEPLOYMENT_STARTED) {
        rc = started(d, e, arena, result, why);
    } else if (d->created_seq == 0) {
        *why = "the deployment does not exist";
        *result = EHI_NAIVE_REFUSED;
    } else if (naive_ended(d->status)) {
        *why = "the deployment has ended";
        *result = EHI_NAIVE_REFUSED;
    } else {
        rc = by_type(d, e, arena, result, why, error);
    }
    if (rc != ECSHIST_OK)
        return ehi_fail_memory(error);
    if (*result != EHI_NAIVE_APPLIED)
        return ECSHIST_OK;
    watch(d);
    if (e->time_us > d->updated_at_us) /* 4.2 */
        d->updated_at_us = e->time_us;
    d->last_seq = e->seq;
    return ECSHIST_OK;
}
