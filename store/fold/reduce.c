#include "fold/reduce.h"

#include "fold/reduce_hooks.h"
#include "fold/reduce_monitors.h"
#include "fold/reduce_observed.h"
#include "model/names.h"

#include <ecshist/query.h>

/* One event being applied to a copy of the state, which takes its place when all went well. */
struct fold {
    struct ehi_deployment *next;
    const struct ehi_event *event;
    struct ehi_arena *arena;
    struct ecshist_error *error;
    uint8_t to;      /* the status the rules give */
    bool count_news; /* the event supplied a task count or a configuration: the threshold follows */
    bool as_observed; /* nothing is to be derived */
    bool duplicate;
};

/* The rows of spec 4.1. */
enum rule {
    RULE_CREATED = 1,
    RULE_STARTED,
    RULE_STOP_ROLLBACK,
    RULE_STOP_ABORT,
    RULE_HOOK_CONTINUE,
    RULE_HOOK_ROLLBACK,
    RULE_ROLLBACK_STARTED,
    RULE_ROLLBACK_SUCCEEDED,
    RULE_ROLLBACK_FAILED,
    RULE_SUCCEEDED,
    RULE_STOPPED,
    RULE_PROGRESS,
    RULE_TASK,
    RULE_OBSERVED,
    RULE_OBSERVED_TERMINAL,
    RULE_COUNT
};

/* What a rule says of a status: the status to go to, or one of these. */
enum { REFUSED = 0, SAME = 100, UNKNOWN = 101, SEEN = 102 };
#define X REFUSED
#define PENDG ECSHIST_STATUS_PENDING
#define SUCCD ECSHIST_STATUS_SUCCESSFUL
#define STOPD ECSHIST_STATUS_STOPPED
#define STREQ ECSHIST_STATUS_STOP_REQUESTED
#define IN_PR ECSHIST_STATUS_IN_PROGRESS
#define RBREQ ECSHIST_STATUS_ROLLBACK_REQUESTED
#define RB_IN ECSHIST_STATUS_ROLLBACK_IN_PROGRESS
#define RB_OK ECSHIST_STATUS_ROLLBACK_SUCCESSFUL
#define RBBAD ECSHIST_STATUS_ROLLBACK_FAILED
#define NONE UNKNOWN
enum { STATUS_COUNT = ECSHIST_STATUS_ROLLBACK_FAILED + 1 };

/* Columns: the status before, by its number. SUCCD, STOPD, RB_OK and RBBAD are terminal. */
/* clang-format off */
static const uint8_t rules[RULE_COUNT][STATUS_COUNT] = {
/*                           (none) PENDG  SUCCD  STOPD  STREQ  IN_PR  RBREQ  RB_IN  RB_OK  RBBAD */
[RULE_CREATED]            = {PENDG, X,     X,     X,     X,     X,     X,     X,     X,     X},
[RULE_STARTED]            = {IN_PR, IN_PR, X,     X,     X,     X,     X,     X,     X,     X},
[RULE_STOP_ROLLBACK]      = {NONE,  RBREQ, X,     X,     SAME,  RBREQ, SAME,  SAME,  X,     X},
[RULE_STOP_ABORT]         = {NONE,  STREQ, X,     X,     SAME,  STREQ, SAME,  SAME,  X,     X},
[RULE_HOOK_CONTINUE]      = {NONE,  SAME,  X,     X,     SAME,  SAME,  SAME,  SAME,  X,     X},
[RULE_HOOK_ROLLBACK]      = {NONE,  RBREQ, X,     X,     X,     RBREQ, X,     X,     X,     X},
[RULE_ROLLBACK_STARTED]   = {NONE,  X,     X,     X,     X,     RB_IN, RB_IN, X,     X,     X},
[RULE_ROLLBACK_SUCCEEDED] = {NONE,  X,     X,     X,     X,     X,     X,     RB_OK, X,     X},
[RULE_ROLLBACK_FAILED]    = {NONE,  X,     X,     X,     X,     X,     RBBAD, RBBAD, X,     X},
[RULE_SUCCEEDED]          = {NONE,  X,     X,     X,     X,     SUCCD, X,     X,     X,     X},
[RULE_STOPPED]            = {NONE,  STOPD, X,     X,     STOPD, STOPD, STOPD, STOPD, X,     X},
[RULE_PROGRESS]           = {NONE,  SAME,  X,     X,     SAME,  SAME,  SAME,  SAME,  X,     X},
[RULE_TASK]               = {NONE,  X,     X,     X,     SAME,  SAME,  SAME,  SAME,  X,     X},
[RULE_OBSERVED]           = {SEEN,  SEEN,  X,     X,     SEEN,  SEEN,  SEEN,  SEEN,  X,     X},
[RULE_OBSERVED_TERMINAL]  = {SEEN,  SEEN,  SEEN,  SEEN,  SEEN,  SEEN,  SEEN,  SEEN,  SEEN,  SEEN},
};
/* clang-format on */

#undef X
#undef PENDG
#undef SUCCD
#undef STOPD
#undef STREQ
#undef IN_PR
#undef RBREQ
#undef RB_IN
#undef RB_OK
#undef RBBAD
#undef NONE

static int conflict_of_status(const struct fold *f)
{
    uint8_t status = f->next->status;
    const char *type = ehi_event_type_name(f->event->type);
    if (f->event->type == EHI_DEPLOYMENT_CREATED)
        return ehi_fail(f->error, ECSHIST_CONFLICT, "the deployment exists already, it is %s",
                        ehi_enum_name(EHI_ENUM_STATUS, status));
    const char *when = "now";
    if (ehi_status_terminal(status))
        when = "any more";
    else if (status == ECSHIST_STATUS_PENDING)
        when = "yet";
    return ehi_fail(f->error, ECSHIST_CONFLICT, "the deployment is %s: %s%s is not possible %s",
                    ehi_enum_name(EHI_ENUM_STATUS, status), type,
                    f->event->type == EHI_HOOK_ACTION_REQUESTED && !ehi_status_terminal(status)
                        ? " with the action ROLLBACK"
                        : "",
                    when);
}

static bool is_terminal_observation(const struct ehi_event *event)
{
    return ehi_status_terminal(event->observed->status);
}

static enum rule rule_of_observation(const struct ehi_event *event)
{
    return is_terminal_observation(event) ? RULE_OBSERVED_TERMINAL : RULE_OBSERVED;
}

static enum rule rule_of_stop(const struct ehi_event *event)
{
    return event->stop_type == EHI_STOP_ABORT ? RULE_STOP_ABORT : RULE_STOP_ROLLBACK;
}

static enum rule rule_of_hook_action(const struct ehi_event *event)
{
    return event->action == EHI_ACTION_ROLLBACK ? RULE_HOOK_ROLLBACK : RULE_HOOK_CONTINUE;
}

/* Texts and lists that are there, as opposed to never set. */
static bool is_set(struct ehi_slice text)
{
    return text.data != NULL;
}

static int check_target(const struct fold *f)
{
    struct ehi_slice given = f->event->target_arn;
    struct ehi_slice stands = f->next->target.arn;
    if (!is_set(given) || ehi_slice_equal(given, stands))
        return ECSHIST_OK;
    return ehi_fail(f->error, ECSHIST_CONFLICT, "the deployment's target is another revision: %.*s",
                    EHI_FMT(stands));
}

static int check_sources(const struct fold *f)
{
    const struct ehi_event *event = f->event;
    if (!event->has_sources)
        return ECSHIST_OK;
    bool same = event->source_count == f->next->source_count;
    for (uint32_t i = 0; same && i < event->source_count; i++)
        same = ehi_slice_equal(event->sources[i], f->next->sources[i].arn);
    if (same)
        return ECSHIST_OK;
    return ehi_fail(f->error, ECSHIST_CONFLICT,
                    "the deployment's source revisions are others than those given");
}

static int check_configuration(const struct fold *f)
{
    struct ehi_slice given = f->event->configuration.document;
    struct ehi_slice stands = f->next->configuration.document;
    if (!is_set(given) || !is_set(stands) || ehi_slice_equal(given, stands))
        return ECSHIST_OK;
    return ehi_fail(f->error, ECSHIST_CONFLICT,
                    "the deployment's configuration is another than the one given");
}

static void take_desired(struct fold *f)
{
    if (!f->event->has_desired)
        return;
    f->next->has_desired = true;
    f->next->known_count = f->event->desired_count;
    f->count_news = true;
}

static void take_configuration(struct fold *f)
{
    if (!is_set(f->event->configuration.document) || is_set(f->next->configuration.document))
        return;
    ehi_monitors_configure(f->next, &f->event->configuration);
    f->count_news = true;
}

static int take_sources(struct fold *f)
{
    uint32_t count = f->event->source_count;
    struct ehi_revision_summary *sources = ehi_arena_array(f->arena, count, sizeof(*sources));
    if (sources == NULL)
        return ehi_fail_memory(f->error);
    for (uint32_t i = 0; i < count; i++)
        sources[i].arn = f->event->sources[i];
    f->next->sources = sources;
    f->next->source_count = count;
    return ECSHIST_OK;
}

/* The first event of a deployment: all that was in the state is void. */
static int begin_deployment(struct fold *f)
{
    const struct ehi_event *event = f->event;
    if (!is_set(event->target_arn)) {
        (void)ehi_fail(f->error, ECSHIST_INVALID,
                       "%s of a deployment that is not known names its target",
                       ehi_event_type_name(event->type));
        return ehi_at(f->error, ECSHIST_INVALID, "targetServiceRevisionArn");
    }
    *f->next = (struct ehi_deployment){.arn = event->subject,
                                       .created_seq = event->seq,
                                       .created_at_us = EHI_TIME_NONE,
                                       .started_at_us = EHI_TIME_NONE,
                                       .finished_at_us = EHI_TIME_NONE,
                                       .stopped_at_us = EHI_TIME_NONE,
                                       .updated_at_us = EHI_TIME_NONE,
                                       .rollback_started_at_us = EHI_TIME_NONE};
    f->next->target.arn = event->target_arn;
    take_desired(f);
    take_configuration(f);
    return take_sources(f);
}

static int apply_created(struct fold *f)
{
    int rc = begin_deployment(f);
    f->next->created_at_us = f->event->time_us;
    return rc;
}

/* deployment-started where something is there already: it may confirm and add, not contradict. */
static int confirm_deployment(struct fold *f)
{
    int rc = check_target(f);
    if (rc == ECSHIST_OK)
        rc = check_sources(f);
    if (rc == ECSHIST_OK)
        rc = check_configuration(f);
    if (rc != ECSHIST_OK)
        return rc;
    take_desired(f);
    take_configuration(f);
    return ECSHIST_OK;
}

static int apply_started(struct fold *f)
{
    int rc = f->next->created_seq == 0 ? begin_deployment(f) : confirm_deployment(f);
    if (rc != ECSHIST_OK)
        return rc;
    const struct ehi_event *event = f->event;
    f->next->started_at_us = event->time_us;
    if (f->next->created_at_us == EHI_TIME_NONE)
        f->next->created_at_us =
            event->created_at_us == EHI_TIME_NONE ? event->time_us : event->created_at_us;
    return ECSHIST_OK;
}

static void set_counts(struct ehi_revision_summary *summary,
                       const struct ehi_summary_update *update)
{
    const struct ehi_revision_summary *named = &update->summary;
    if ((update->has & EHI_HAS_REQUESTED) != 0)
        summary->requested = named->requested;
    if ((update->has & EHI_HAS_RUNNING) != 0)
        summary->running = named->running;
    if ((update->has & EHI_HAS_PENDING) != 0)
        summary->pending = named->pending;
    if ((update->has & EHI_HAS_TEST) != 0) {
        summary->has_test_weight = true;
        summary->test_weight = named->test_weight;
    }
    if ((update->has & EHI_HAS_PRODUCTION) != 0) {
        summary->has_production_weight = true;
        summary->production_weight = named->production_weight;
    }
}

static bool is_of_deployment(const struct ehi_deployment *state, struct ehi_slice revision)
{
    bool found = ehi_slice_equal(state->target.arn, revision);
    for (uint32_t i = 0; !found && i < state->source_count; i++)
        found = ehi_slice_equal(state->sources[i].arn, revision);
    return found;
}

static int check_updates(const struct fold *f)
{
    for (uint32_t i = 0; i < f->event->update_count; i++) {
        struct ehi_slice arn = f->event->updates[i].summary.arn;
        if (is_of_deployment(f->next, arn))
            continue;
        (void)ehi_fail(
            f->error, ECSHIST_CONFLICT,
            "the revision is neither the deployment's target nor one of its sources: %.*s",
            EHI_FMT(arn));
        return ehi_at(f->error, ECSHIST_CONFLICT, "serviceRevisions[%u].arn", (unsigned)i);
    }
    return ECSHIST_OK;
}

/* A revision that is both target and source, or a source twice, is updated wherever it stands. */
static void update_summaries(struct fold *f, const struct ehi_summary_update *update)
{
    struct ehi_deployment *next = f->next;
    for (uint32_t i = 0; i < next->source_count; i++) {
        if (ehi_slice_equal(next->sources[i].arn, update->summary.arn))
            set_counts(&next->sources[i], update);
    }
    if (!ehi_slice_equal(next->target.arn, update->summary.arn))
        return;
    set_counts(&next->target, update);
    bool counted = (update->has & EHI_HAS_REQUESTED) != 0 && update->summary.requested > 0;
    if (counted && !next->has_desired) {
        next->known_count = update->summary.requested;
        f->count_news = true;
    }
}

static int copy_sources(struct ehi_deployment *state, struct ehi_arena *arena,
                        struct ecshist_error *error)
{
    uint32_t count = state->source_count;
    struct ehi_revision_summary *sources = ehi_arena_array(arena, count, sizeof(*sources));
    if (sources == NULL)
        return ehi_fail_memory(error);
    if (count > 0)
        memcpy(sources, state->sources, count * sizeof(*sources));
    state->sources = sources;
    return ECSHIST_OK;
}

static int apply_tasks_updated(struct fold *f)
{
    int rc = check_updates(f);
    if (rc == ECSHIST_OK && f->next->source_count > 0)
        rc = copy_sources(f->next, f->arena, f->error);
    if (rc != ECSHIST_OK)
        return rc;
    take_desired(f);
    for (uint32_t i = 0; i < f->event->update_count; i++)
        update_summaries(f, &f->event->updates[i]);
    return ECSHIST_OK;
}

/* Of the target, and while the breaker counts at all. */
static bool breaker_counts(const struct fold *f)
{
    struct ehi_slice revision = f->event->revision_arn;
    return f->next->status == ECSHIST_STATUS_IN_PROGRESS &&
           (!is_set(revision) || ehi_slice_equal(revision, f->next->target.arn));
}

static int apply_task_failed(struct fold *f)
{
    if (breaker_counts(f))
        ehi_breaker_count_failure(f->next);
    return ECSHIST_OK;
}

static int apply_task_healthy(struct fold *f)
{
    if (breaker_counts(f))
        ehi_breaker_count_healthy(f->next);
    return ECSHIST_OK;
}

static int apply_alarm_triggered(struct fold *f)
{
    return ehi_alarms_trigger(f->next, f->event, f->arena, f->error);
}

static int apply_stage_changed(struct fold *f)
{
    f->next->stage = f->event->stage;
    return ECSHIST_OK;
}

static int apply_hook_updated(struct fold *f)
{
    return ehi_hooks_put(f->next, &f->event->hook, f->arena, f->error);
}

static int apply_hook_action(struct fold *f)
{
    return ehi_hooks_check_action(f->next, f->event->hook_id, f->error);
}

static int apply_rollback_started(struct fold *f)
{
    struct ehi_deployment *next = f->next;
    next->has_rollback = true;
    next->rollback_reason = f->event->reason;
    next->rollback_started_at_us = f->event->time_us;
    next->rollback_revision_arn = f->event->revision_arn;
    /* A deployment without sources rolls back to nothing that could be named. */
    if (!is_set(f->event->revision_arn) && next->source_count > 0)
        next->rollback_revision_arn = next->sources[0].arn;
    return ECSHIST_OK;
}

static int apply_stopped(struct fold *f)
{
    f->next->stopped_at_us = f->event->time_us;
    return ECSHIST_OK;
}

static int apply_status_only(struct fold *f)
{
    (void)f;
    return ECSHIST_OK;
}

static int apply_observed(struct fold *f)
{
    f->as_observed = true;
    return ehi_observe(f->next, f->event, f->arena, &f->duplicate, f->error);
}

/* One row an event type; a type without a row is no event of a deployment. */
static const struct {
    int (*apply)(struct fold *f);
    enum rule rule;
    enum rule (*rule_of)(const struct ehi_event *event); /* where the row depends on more */
} types[EHI_EVENT_TYPE_MAX + 1] = {
    [EHI_DEPLOYMENT_CREATED] = {apply_created, RULE_CREATED, NULL},
    [EHI_DEPLOYMENT_STARTED] = {apply_started, RULE_STARTED, NULL},
    [EHI_TASKS_UPDATED] = {apply_tasks_updated, RULE_PROGRESS, NULL},
    [EHI_TASK_FAILED] = {apply_task_failed, RULE_TASK, NULL},
    [EHI_TASK_HEALTHY] = {apply_task_healthy, RULE_TASK, NULL},
    [EHI_ALARM_TRIGGERED] = {apply_alarm_triggered, RULE_PROGRESS, NULL},
    [EHI_STAGE_CHANGED] = {apply_stage_changed, RULE_PROGRESS, NULL},
    [EHI_HOOK_UPDATED] = {apply_hook_updated, RULE_PROGRESS, NULL},
    [EHI_HOOK_ACTION_REQUESTED] = {apply_hook_action, 0, rule_of_hook_action},
    [EHI_STOP_REQUESTED] = {apply_status_only, 0, rule_of_stop},
    [EHI_ROLLBACK_STARTED] = {apply_rollback_started, RULE_ROLLBACK_STARTED, NULL},
    [EHI_ROLLBACK_SUCCEEDED] = {apply_status_only, RULE_ROLLBACK_SUCCEEDED, NULL},
    [EHI_ROLLBACK_FAILED] = {apply_status_only, RULE_ROLLBACK_FAILED, NULL},
    [EHI_DEPLOYMENT_SUCCEEDED] = {apply_status_only, RULE_SUCCEEDED, NULL},
    [EHI_DEPLOYMENT_STOPPED] = {apply_stopped, RULE_STOPPED, NULL},
    [EHI_DEPLOYMENT_OBSERVED] = {apply_observed, 0, rule_of_observation},
};

static int check_status(struct fold *f)
{
    const struct ehi_event *event = f->event;
    enum rule rule = types[event->type].rule;
    if (types[event->type].rule_of != NULL)
        rule = types[event->type].rule_of(event);
    f->to = rules[rule][f->next->status];
    if (f->to == UNKNOWN)
        return ehi_fail(f->error, ECSHIST_NOT_FOUND, "there is no such deployment: %.*s",
                        EHI_FMT(event->subject));
    return f->to == REFUSED ? conflict_of_status(f) : ECSHIST_OK;
}

static void enter_status(struct fold *f)
{
    struct ehi_deployment *next = f->next;
    if (f->to == SAME || f->to == next->status)
        return;
    next->status = f->to;
    if (is_set(f->event->reason))
        next->status_reason = f->event->reason;
    if (ehi_status_terminal(next->status))
        next->finished_at_us = f->event->time_us;
}

/* What follows from an event of any type but an observation, once its own members are applied. */
static void settle(struct fold *f)
{
    struct ehi_deployment *next = f->next;
    enter_status(f);
    if (f->event->time_us > next->updated_at_us)
        next->updated_at_us = f->event->time_us;
    ehi_monitors_settle(next, f->count_news);
}

int ehi_reduce(struct ehi_deployment *state, const struct ehi_event *event, struct ehi_arena *arena,
               enum ehi_applied *applied, struct ecshist_error *error)
{
    if (event->type > EHI_EVENT_TYPE_MAX || types[event->type].apply == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "not an event of a deployment");
    struct ehi_deployment next = *state;
    if (next.created_seq == 0)
        next.status = ECSHIST_STATUS_NONE;
    struct fold f = {.next = &next, .event = event, .arena = arena, .error = error};
    int rc = check_status(&f);
    if (rc == ECSHIST_OK)
        rc = types[event->type].apply(&f);
    if (rc != ECSHIST_OK)
        return rc;
    *applied = f.duplicate ? EHI_DUPLICATE : EHI_APPLIED;
    if (f.duplicate)
        return ECSHIST_OK;
    if (!f.as_observed)
        settle(&f);
    next.last_seq = event->seq;
    *state = next;
    return ECSHIST_OK;
}
