/* The rules of folding one deployment, one by one: spec 4.1 as a matrix, then 4.2 to 4.9. */
#include "codec/document.h"
#include "fold/reduce.h"
#include "model/names.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <ecshist/query.h>
#include <stdio.h>

#define TEXT(literal) EHI_SLICE_LITERAL(literal)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define REVISION "arn:aws:ecs:eu-west-1:123456789012:service-revision/main/web/"
#define DEPLOYMENT "arn:aws:ecs:eu-west-1:123456789012:service-deployment/main/web/d1"

enum { STATUSES = 10 };

static struct ehi_arena arena;

static void free_arena(void)
{
    ehi_arena_free(&arena);
}

TestSuite(reduce, .fini = free_arena);

/* -- material ---------------------------------------------------------------------------------- */

static const struct ehi_slice target = {(const uint8_t *)REVISION "2", sizeof(REVISION "2") - 1};
static struct ehi_slice sources[] = {{(const uint8_t *)REVISION "1", sizeof(REVISION "1") - 1},
                                     {(const uint8_t *)REVISION "0", sizeof(REVISION "0") - 1}};
static const struct ehi_slice alarm_names[] = {{(const uint8_t *)"errors", 6},
                                               {(const uint8_t *)"latency", 7}};

/* The document stands for itself: folding only compares it. */
static struct ehi_configuration configuration(void)
{
    return (struct ehi_configuration){.document = TEXT("\x80"),
                                      .breaker_enabled = true,
                                      .reset_on_healthy = true,
                                      .threshold_type = EHI_BOUNDED_PERCENT,
                                      .threshold_value = 50,
                                      .alarms_enabled = true,
                                      .alarm_names = alarm_names,
                                      .alarm_count = 2};
}

static struct ehi_event event_at(enum ehi_event_type type, uint64_t seq, int64_t time_us)
{
    return (struct ehi_event){.seq = seq,
                              .time_us = time_us,
                              .type = type,
                              .subject = TEXT(DEPLOYMENT),
                              .created_at_us = EHI_TIME_NONE,
                              .hook = {.expires_at_us = EHI_TIME_NONE},
                              .document_created_at_us = EHI_TIME_NONE};
}

static struct ehi_event created(uint64_t seq, int64_t time_us)
{
    struct ehi_event event = event_at(EHI_DEPLOYMENT_CREATED, seq, time_us);
    event.target_arn = target;
    event.has_sources = true;
    event.sources = sources;
    event.source_count = 2;
    event.configuration = configuration();
    return event;
}

static int reduce(struct ehi_deployment *state, const struct ehi_event *event)
{
    enum ehi_applied applied;
    return ehi_reduce(state, event, &arena, &applied, NULL);
}

static void apply(struct ehi_deployment *state, const struct ehi_event *event)
{
    enum ehi_applied applied = 0;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_reduce(state, event, &arena, &applied, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s: %s", ehi_event_type_name(event->type), error.message);
    cr_assert_eq(applied, EHI_APPLIED);
    cr_assert_eq(state->last_seq, event->seq);
}

static void apply_simple(struct ehi_deployment *state, enum ehi_event_type type, uint64_t seq,
                         int64_t time_us)
{
    struct ehi_event event = event_at(type, seq, time_us);
    apply(state, &event);
}

static void refuse(struct ehi_deployment *state, const struct ehi_event *event, int code,
                   const char *word)
{
    struct ehi_deployment before;
    memcpy(&before, state, sizeof(before));
    enum ehi_applied applied = 0;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_reduce(state, event, &arena, &applied, &error);
    cr_assert_eq(rc, code, "%s: %s", ehi_event_type_name(event->type), ecshist_code_name(rc));
    cr_assert_eq(applied, 0);
    cr_assert_not_null(strstr(error.message, word), "\"%s\" has no \"%s\"", error.message, word);
    cr_assert_eq(memcmp(&before, state, sizeof(before)), 0, "a refused event changed the state");
}

/* Created at 100 us with 2 sources and all monitors; seq 1. */
static struct ehi_deployment pending(void)
{
    struct ehi_deployment state = {0};
    struct ehi_event event = created(1, 100);
    apply(&state, &event);
    return state;
}

/* The same, started at 200 us; seq 2. */
static struct ehi_deployment running(void)
{
    struct ehi_deployment state = pending();
    apply_simple(&state, EHI_DEPLOYMENT_STARTED, 2, 200);
    return state;
}

static struct ehi_deployment running_with(struct ehi_configuration given)
{
    struct ehi_deployment state = {0};
    struct ehi_event event = created(1, 100);
    event.type = EHI_DEPLOYMENT_STARTED;
    event.configuration = given;
    apply(&state, &event);
    return state;
}

static void want_desired(struct ehi_deployment *state, uint64_t seq, int64_t count)
{
    struct ehi_event event = event_at(EHI_TASKS_UPDATED, seq, 300);
    event.has_desired = true;
    event.desired_count = count;
    apply(state, &event);
}

static void want_requested(struct ehi_deployment *state, uint64_t seq, int64_t count)
{
    struct ehi_summary_update update = {.summary = {.arn = target, .requested = count},
                                        .has = EHI_HAS_REQUESTED};
    struct ehi_event event = event_at(EHI_TASKS_UPDATED, seq, 300);
    event.updates = &update;
    event.update_count = 1;
    apply(state, &event);
}

static void fail_tasks(struct ehi_deployment *state, uint64_t seq, int times)
{
    for (int i = 0; i < times; i++)
        apply_simple(state, EHI_TASK_FAILED, seq + (uint64_t)i, 400);
}

static void put_hook(struct ehi_deployment *state, uint64_t seq, struct ehi_hook hook)
{
    struct ehi_event event = event_at(EHI_HOOK_UPDATED, seq, 300);
    event.hook = hook;
    apply(state, &event);
}

static struct ehi_hook hook_named(struct ehi_slice id, uint8_t status)
{
    return (struct ehi_hook){.id = id, .status = status, .expires_at_us = EHI_TIME_NONE};
}

/* -- 4.1 --------------------------------------------------------------------------------------- */

/* The events that lead from nothing to each status, in the order of the statuses' numbers. */
static const enum ehi_event_type ways[STATUSES][5] = {
    {0},
    {EHI_DEPLOYMENT_CREATED},
    {EHI_DEPLOYMENT_CREATED, EHI_DEPLOYMENT_STARTED, EHI_DEPLOYMENT_SUCCEEDED},
    {EHI_DEPLOYMENT_CREATED, EHI_DEPLOYMENT_STOPPED},
    {EHI_DEPLOYMENT_CREATED, EHI_STOP_REQUESTED},
    {EHI_DEPLOYMENT_CREATED, EHI_DEPLOYMENT_STARTED},
    {EHI_DEPLOYMENT_CREATED, EHI_DEPLOYMENT_STARTED, EHI_STOP_REQUESTED},
    {EHI_DEPLOYMENT_CREATED, EHI_DEPLOYMENT_STARTED, EHI_ROLLBACK_STARTED},
    {EHI_DEPLOYMENT_CREATED, EHI_DEPLOYMENT_STARTED, EHI_ROLLBACK_STARTED, EHI_ROLLBACK_SUCCEEDED},
    {EHI_DEPLOYMENT_CREATED, EHI_DEPLOYMENT_STARTED, EHI_ROLLBACK_STARTED, EHI_ROLLBACK_FAILED},
};

static struct ehi_deployment in_status(int status)
{
    struct ehi_deployment state = {0};
    uint64_t seq = 0;
    for (const enum ehi_event_type *type = ways[status]; *type != 0; type++) {
        struct ehi_event event = event_at(*type, ++seq, 100);
        if (*type == EHI_DEPLOYMENT_CREATED)
            event = created(seq, 100);
        event.stop_type =
            status == ECSHIST_STATUS_STOP_REQUESTED ? EHI_STOP_ABORT : EHI_STOP_ROLLBACK;
        apply(&state, &event);
        if (*type == EHI_DEPLOYMENT_CREATED)
            put_hook(&state, ++seq, hook_named(TEXT("approval"), EHI_AWAITING_ACTION));
    }
    cr_assert_eq(state.status, status);
    return state;
}

enum variant { PLAIN, ROLLBACK, ABORT, CONTINUE, OPEN, OVER };

/* An event with all members a well-formed one has. Its lists are static. */
static struct ehi_event full_event(enum ehi_event_type type, enum variant variant)
{
    static struct ehi_summary_update update = {.has = EHI_HAS_RUNNING};
    static struct ehi_deployment observed;
    struct ehi_event event = event_at(type, 99, 900);
    if (type == EHI_DEPLOYMENT_CREATED || type == EHI_DEPLOYMENT_STARTED)
        event = created(99, 900);
    event.type = type;
    update.summary.arn = target;
    event.updates = &update;
    event.update_count = 1;
    event.alarm_names = alarm_names;
    event.alarm_count = 1;
    event.stage = 3;
    event.task_arn = TEXT("task");
    event.hook = hook_named(TEXT("approval"), EHI_AWAITING_ACTION);
    event.hook_id = TEXT("approval");
    event.action = variant == ROLLBACK ? EHI_ACTION_ROLLBACK : EHI_ACTION_CONTINUE;
    event.stop_type = variant == ABORT ? EHI_STOP_ABORT : EHI_STOP_ROLLBACK;
    observed = pending();
    observed.status = variant == OVER ? ECSHIST_STATUS_ROLLBACK_FAILED : ECSHIST_STATUS_IN_PROGRESS;
    observed.status_reason = TEXT("seen");
    event.observed = &observed;
    return event;
}

/* x: a conflict; -: there is no such deployment; =: applied, the status stays. */
static const struct row {
    enum ehi_event_type type;
    enum variant variant;
    /*
     * From (none) PENDING SUCCESSFUL STOPPED STOP_REQUESTED IN_PROGRESS ROLLBACK_REQUESTED
     * ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL ROLLBACK_FAILED. A digit: the number of the new one.
     */
    const char *to;
} rows[] = {
    {EHI_DEPLOYMENT_CREATED, PLAIN, "1xxxxxxxxx"},
    {EHI_DEPLOYMENT_STARTED, PLAIN, "55xxxxxxxx"},
    {EHI_STOP_REQUESTED, ROLLBACK, "-6xx=6==xx"},
    {EHI_STOP_REQUESTED, ABORT, "-4xx=4==xx"},
    {EHI_HOOK_ACTION_REQUESTED, CONTINUE, "-=xx====xx"},
    {EHI_HOOK_ACTION_REQUESTED, ROLLBACK, "-6xxx6xxxx"},
    {EHI_ROLLBACK_STARTED, PLAIN, "-xxxx77xxx"},
    {EHI_ROLLBACK_SUCCEEDED, PLAIN, "-xxxxxx8xx"},
    {EHI_ROLLBACK_FAILED, PLAIN, "-xxxxx99xx"},
    {EHI_DEPLOYMENT_SUCCEEDED, PLAIN, "-xxxx2xxxx"},
    {EHI_DEPLOYMENT_STOPPED, PLAIN, "-3xx3333xx"},
    {EHI_TASKS_UPDATED, PLAIN, "-=xx====xx"},
    {EHI_STAGE_CHANGED, PLAIN, "-=xx====xx"},
    {EHI_HOOK_UPDATED, PLAIN, "-=xx====xx"},
    {EHI_ALARM_TRIGGERED, PLAIN, "-=xx====xx"},
    {EHI_TASK_FAILED, PLAIN, "-xxx====xx"},
    {EHI_TASK_HEALTHY, PLAIN, "-xxx====xx"},
    {EHI_DEPLOYMENT_OBSERVED, OPEN, "55xx5555xx"},
    {EHI_DEPLOYMENT_OBSERVED, OVER, "9999999999"},
};

static void check_cell(const struct row *row, int status)
{
    struct ehi_deployment state = in_status(status);
    struct ehi_event event = full_event(row->type, row->variant);
    char expected = row->to[status];
    if (expected == '-') {
        refuse(&state, &event, ECSHIST_NOT_FOUND, "there is no such deployment");
    } else if (expected == 'x') {
        refuse(&state, &event, ECSHIST_CONFLICT, ehi_enum_name(EHI_ENUM_STATUS, status));
    } else {
        apply(&state, &event);
        int to = expected == '=' ? status : expected - '0';
        cr_assert_eq(state.status, to, "row %d from %d: status %d", (int)(row - rows), status,
                     state.status);
    }
}

Test(reduce, every_event_from_every_status)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int status = 0; status < STATUSES; status++)
            check_cell(&rows[i], status);
    }
}

Test(reduce, every_type_of_a_deployment_is_in_the_matrix)
{
    for (int type = 1; type <= EHI_EVENT_TYPE_MAX; type++) {
        bool in_matrix = false;
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            in_matrix = in_matrix || rows[i].type == (enum ehi_event_type)type;
        cr_assert_eq(in_matrix, ehi_event_subject_kind(type) == EHI_ARN_DEPLOYMENT, "%s",
                     ehi_event_type_name(type));
    }
}

Test(reduce, says_what_is_not_possible_and_why)
{
    struct ehi_deployment state = in_status(ECSHIST_STATUS_SUCCESSFUL);
    struct ehi_event event = full_event(EHI_TASK_FAILED, PLAIN);
    refuse(&state, &event, ECSHIST_CONFLICT,
           "the deployment is SUCCESSFUL: task-failed is not possible any more");
    state = pending();
    refuse(&state, &event, ECSHIST_CONFLICT, "PENDING: task-failed is not possible yet");
}

Test(reduce, is_not_for_other_subjects)
{
    struct ehi_deployment state = running();
    struct ehi_event event = event_at(EHI_SERVICE_DELETED, 3, 300);
    refuse(&state, &event, ECSHIST_MISUSE, "not an event of a deployment");
}

/* -- beginnings -------------------------------------------------------------------------------- */

Test(reduce, created_takes_everything_over)
{
    struct ehi_deployment state = pending();
    cr_assert(ehi_slice_is(state.arn, DEPLOYMENT));
    cr_assert_eq(state.created_seq, 1);
    cr_assert_eq(state.last_observed_seq, 0);
    cr_assert(ehi_slice_equal(state.target.arn, target));
    cr_assert_eq(state.source_count, 2);
    cr_assert(ehi_slice_equal(state.sources[0].arn, sources[0]));
    cr_assert(ehi_slice_equal(state.sources[1].arn, sources[1]));
    cr_assert_eq(state.sources[1].requested + state.target.running, 0);
    cr_assert(!state.target.has_test_weight && !state.target.has_production_weight);
    cr_assert_eq(state.breaker_status, EHI_MONITORING);
    cr_assert_eq(state.alarm_status, EHI_MONITORING);
    cr_assert_eq(state.alarm_count, 2);
    cr_assert_eq(state.created_at_us, 100);
    cr_assert_eq(state.updated_at_us, 100);
    cr_assert_eq(state.started_at_us, EHI_TIME_NONE);
    cr_assert_null(state.status_reason.data);
    cr_assert(!state.has_rollback);
}

Test(reduce, what_an_unborn_state_holds_does_not_matter)
{
    struct ehi_deployment state;
    memset(&state, 0xa5, sizeof(state));
    state.created_seq = 0;
    struct ehi_event event = created(7, 100);
    apply(&state, &event);
    struct ehi_deployment fresh = {0};
    apply(&fresh, &event);
    cr_assert_eq(state.hook_count, fresh.hook_count);
    cr_assert_eq(state.finished_at_us, EHI_TIME_NONE);
    cr_assert_eq(state.triggered_count, 0);
    cr_assert_eq(state.extra.length, 0);
    cr_assert_eq(state.threshold, 0);
}

Test(reduce, started_alone_needs_a_target)
{
    struct ehi_deployment state = {0};
    struct ehi_event event = event_at(EHI_DEPLOYMENT_STARTED, 1, 500);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    enum ehi_applied applied;
    cr_assert_eq(ehi_reduce(&state, &event, &arena, &applied, &error), ECSHIST_INVALID);
    cr_assert_str_eq(error.place, "targetServiceRevisionArn");
    cr_assert_eq(state.created_seq, 0);
    event.target_arn = target;
    apply(&state, &event);
    cr_assert_eq(state.created_at_us, 500);
    cr_assert_eq(state.started_at_us, 500);
    cr_assert_eq(state.source_count, 0);
    cr_assert_eq(state.breaker_status, EHI_DISABLED);
    cr_assert_eq(state.alarm_status, EHI_DISABLED);
}

Test(reduce, started_says_when_it_was_created_only_where_nothing_came_before)
{
    struct ehi_deployment state = {0};
    struct ehi_event event = event_at(EHI_DEPLOYMENT_STARTED, 2, 500);
    event.created_at_us = 450;
    event.target_arn = target;
    apply(&state, &event);
    cr_assert_eq(state.created_at_us, 450);
    cr_assert_eq(state.updated_at_us, 500);
    state = pending();
    apply(&state, &event);
    cr_assert_eq(state.created_at_us, 100);
    cr_assert_eq(state.started_at_us, 500);
}

Test(reduce, started_may_not_contradict)
{
    struct ehi_deployment state = pending();
    struct ehi_event event = created(2, 200);
    event.type = EHI_DEPLOYMENT_STARTED;
    struct ehi_event other = event;
    other.target_arn = sources[0];
    refuse(&state, &other, ECSHIST_CONFLICT, "target is another revision");
    other = event;
    other.source_count = 1;
    refuse(&state, &other, ECSHIST_CONFLICT, "source revisions");
    other = event;
    other.configuration.document = TEXT("\x81\x01\x01");
    refuse(&state, &other, ECSHIST_CONFLICT, "configuration");
    apply(&state, &event);
    cr_assert_eq(state.status, ECSHIST_STATUS_IN_PROGRESS);
}

Test(reduce, started_adds_a_configuration_and_the_threshold_follows)
{
    struct ehi_deployment state = {0};
    struct ehi_event event = created(1, 100);
    event.configuration = (struct ehi_configuration){0};
    event.has_desired = true;
    event.desired_count = 20;
    apply(&state, &event);
    cr_assert_eq(state.threshold, 0);
    cr_assert_eq(state.breaker_status, EHI_DISABLED);
    cr_assert_eq(state.alarm_count, 0);
    event = event_at(EHI_DEPLOYMENT_STARTED, 2, 200);
    event.configuration = configuration();
    apply(&state, &event);
    cr_assert_eq(state.breaker_status, EHI_MONITORING);
    cr_assert_eq(state.threshold, 10);
    cr_assert_eq(state.alarm_count, 2);
}

/* -- 4.2, 4.3 ---------------------------------------------------------------------------------- */

Test(reduce, times)
{
    struct ehi_deployment state = running();
    cr_assert_eq(state.started_at_us, 200);
    apply_simple(&state, EHI_STAGE_CHANGED, 3, 5000);
    cr_assert_eq(state.updated_at_us, 5000);
    apply_simple(&state, EHI_ROLLBACK_STARTED, 4, 700);
    cr_assert_eq(state.updated_at_us, 5000, "a late event does not turn updatedAt back");
    cr_assert_eq(state.rollback_started_at_us, 700);
    cr_assert_eq(state.finished_at_us, EHI_TIME_NONE);
    apply_simple(&state, EHI_DEPLOYMENT_STOPPED, 5, 800);
    cr_assert_eq(state.stopped_at_us, 800);
    cr_assert_eq(state.finished_at_us, 800);
    state = running();
    apply_simple(&state, EHI_DEPLOYMENT_SUCCEEDED, 3, 900);
    cr_assert_eq(state.finished_at_us, 900);
    cr_assert_eq(state.stopped_at_us, EHI_TIME_NONE);
}

Test(reduce, a_reason_counts_where_the_status_changes)
{
    struct ehi_deployment state = running();
    struct ehi_event event = event_at(EHI_STOP_REQUESTED, 3, 300);
    event.stop_type = EHI_STOP_ROLLBACK;
    event.reason = TEXT("first");
    apply(&state, &event);
    cr_assert(ehi_slice_is(state.status_reason, "first"));
    event.seq = 4;
    event.reason = TEXT("second");
    apply(&state, &event);
    cr_assert(ehi_slice_is(state.status_reason, "first"), "the status stayed");
    apply_simple(&state, EHI_ROLLBACK_STARTED, 5, 500);
    cr_assert(ehi_slice_is(state.status_reason, "first"), "none was given");
    event = event_at(EHI_ROLLBACK_FAILED, 6, 600);
    event.reason = TEXT("");
    apply(&state, &event);
    cr_assert(ehi_slice_is(state.status_reason, ""), "an empty one is one");
}

Test(reduce, rollback)
{
    struct ehi_deployment state = running();
    struct ehi_event event = event_at(EHI_ROLLBACK_STARTED, 3, 300);
    event.reason = TEXT("too many failures");
    apply(&state, &event);
    cr_assert(state.has_rollback);
    cr_assert(ehi_slice_is(state.rollback_reason, "too many failures"));
    cr_assert(ehi_slice_is(state.status_reason, "too many failures"));
    cr_assert(ehi_slice_equal(state.rollback_revision_arn, sources[0]));
    state = running();
    event.revision_arn = sources[1];
    apply(&state, &event);
    cr_assert(ehi_slice_equal(state.rollback_revision_arn, sources[1]));
}

Test(reduce, rollback_without_a_source_names_none)
{
    struct ehi_deployment state = {0};
    struct ehi_event event = event_at(EHI_DEPLOYMENT_STARTED, 1, 100);
    event.target_arn = target;
    apply(&state, &event);
    apply_simple(&state, EHI_ROLLBACK_STARTED, 2, 200);
    cr_assert(state.has_rollback);
    cr_assert_null(state.rollback_revision_arn.data);
    cr_assert_null(state.rollback_reason.data);
}

/* -- 4.4 --------------------------------------------------------------------------------------- */

Test(reduce, task_counts_are_set_by_name)
{
    struct ehi_deployment state = running();
    const struct ehi_summary_update updates[] = {
        {{.arn = target, .requested = 4, .running = 3, .pending = 1},
         EHI_HAS_REQUESTED | EHI_HAS_RUNNING | EHI_HAS_PENDING},
        {{.arn = sources[1], .running = 2, .test_weight = 12.5}, EHI_HAS_RUNNING | EHI_HAS_TEST},
        {{.arn = target, .pending = 0, .production_weight = 0},
         EHI_HAS_PENDING | EHI_HAS_PRODUCTION},
    };
    struct ehi_event event = event_at(EHI_TASKS_UPDATED, 3, 300);
    event.updates = updates;
    event.update_count = 3;
    struct ehi_deployment before = state;
    apply(&state, &event);
    cr_assert_eq(state.target.requested, 4);
    cr_assert_eq(state.target.running, 3);
    cr_assert_eq(state.target.pending, 0);
    cr_assert(state.target.has_production_weight && !state.target.has_test_weight);
    cr_assert_eq(state.sources[1].running, 2);
    cr_assert(state.sources[1].has_test_weight);
    cr_assert_eq(state.sources[0].running, 0);
    cr_assert_eq(before.sources[1].running, 0, "a state of before keeps its own lists");
}

Test(reduce, task_counts_of_a_stranger)
{
    struct ehi_deployment state = running();
    const struct ehi_summary_update updates[] = {
        {{.arn = target, .running = 3}, EHI_HAS_RUNNING},
        {{.arn = TEXT(REVISION "9"), .running = 3}, EHI_HAS_RUNNING},
    };
    struct ehi_event event = event_at(EHI_TASKS_UPDATED, 3, 300);
    event.updates = updates;
    event.update_count = 2;
    refuse(&state, &event, ECSHIST_CONFLICT, "neither the deployment's target nor");
    cr_assert_eq(state.target.running, 0);
}

/* -- 4.5 --------------------------------------------------------------------------------------- */

static const struct {
    uint8_t type;
    int64_t value, count, threshold;
} thresholds[] = {
    {EHI_BOUNDED_PERCENT, 50, 0, 3},
    {EHI_BOUNDED_PERCENT, 50, 1, 3},
    {EHI_BOUNDED_PERCENT, 50, 5, 3},
    {EHI_BOUNDED_PERCENT, 50, 6, 3},
    {EHI_BOUNDED_PERCENT, 50, 7, 4},
    {EHI_BOUNDED_PERCENT, 50, 8, 4},
    {EHI_BOUNDED_PERCENT, 50, 398, 199},
    {EHI_BOUNDED_PERCENT, 50, 399, 200},
    {EHI_BOUNDED_PERCENT, 50, 400, 200},
    {EHI_BOUNDED_PERCENT, 50, 401, 200},
    {EHI_BOUNDED_PERCENT, 50, 500, 200},
    {EHI_BOUNDED_PERCENT, 100, ECSHIST_MAX_COUNT, 200},
    {EHI_BOUNDED_PERCENT, 1, 500, 5},
    {EHI_BOUNDED_PERCENT, 1, 501, 6},
    {EHI_UNBOUNDED_PERCENT, 50, 0, 0},
    {EHI_UNBOUNDED_PERCENT, 50, 1, 1},
    {EHI_UNBOUNDED_PERCENT, 50, 2, 1},
    {EHI_UNBOUNDED_PERCENT, 50, 3, 2},
    {EHI_UNBOUNDED_PERCENT, 33, 3, 1},
    {EHI_UNBOUNDED_PERCENT, 33, 100, 33},
    {EHI_UNBOUNDED_PERCENT, 33, 101, 34},
    {EHI_UNBOUNDED_PERCENT, 1, 1, 1},
    {EHI_UNBOUNDED_PERCENT, 1, 100, 1},
    {EHI_UNBOUNDED_PERCENT, 1, 101, 2},
    {EHI_UNBOUNDED_PERCENT, 100, 1000, 1000},
    {EHI_UNBOUNDED_PERCENT, 100, ECSHIST_MAX_COUNT, ECSHIST_MAX_COUNT},
    {EHI_UNBOUNDED_PERCENT, 7, 1000000007, 70000001},
    {EHI_UNBOUNDED_PERCENT, ECSHIST_MAX_COUNT, ECSHIST_MAX_COUNT, 46116860141324207},
    {EHI_COUNT, 5, 1, 5},
    {EHI_COUNT, 5, 1000, 5},
    {EHI_COUNT, 1, 0, 1},
    {EHI_COUNT, ECSHIST_MAX_COUNT, 1, ECSHIST_MAX_COUNT},
};

Test(reduce, threshold)
{
    for (size_t i = 0; i < COUNT_OF(thresholds); i++) {
        struct ehi_configuration given = configuration();
        given.threshold_type = thresholds[i].type;
        given.threshold_value = thresholds[i].value;
        struct ehi_deployment state = running_with(given);
        cr_assert_eq(state.threshold, 0);
        want_desired(&state, 2, thresholds[i].count);
        cr_assert_eq(state.threshold, thresholds[i].threshold, "row %zu: %lld", i,
                     (long long)state.threshold);
    }
}

/* 50 % of 1 to 500 tasks, the bounds of ECS: computed another way. */
Test(reduce, threshold_from_1_to_500)
{
    for (int64_t count = 1; count <= 500; count++) {
        struct ehi_deployment state = running_with(configuration());
        want_desired(&state, 2, count);
        int64_t half = count / 2 + count % 2;
        int64_t expected = half < 3 ? 3 : half > 200 ? 200 : half;
        cr_assert_eq(state.threshold, expected, "%lld of %lld", (long long)state.threshold,
                     (long long)count);
    }
}

Test(reduce, the_count_known_is_the_newest_desired_else_the_targets)
{
    struct ehi_deployment state = running();
    want_requested(&state, 3, 0);
    cr_assert_eq(state.threshold, 0, "0 requested tells nothing");
    want_requested(&state, 4, 20);
    cr_assert_eq(state.threshold, 10);
    want_requested(&state, 5, 0);
    cr_assert_eq(state.threshold, 10);
    want_requested(&state, 6, 30);
    cr_assert_eq(state.threshold, 15);
    want_desired(&state, 7, 8);
    cr_assert_eq(state.threshold, 4);
    want_requested(&state, 8, 100);
    cr_assert_eq(state.threshold, 4, "a desiredCount was given");
    want_desired(&state, 9, 10);
    cr_assert_eq(state.threshold, 5);
}

Test(reduce, the_count_of_a_source_does_not_matter)
{
    struct ehi_deployment state = running();
    struct ehi_summary_update update = {{.arn = sources[0], .requested = 50}, EHI_HAS_REQUESTED};
    struct ehi_event event = event_at(EHI_TASKS_UPDATED, 3, 300);
    event.updates = &update;
    event.update_count = 1;
    apply(&state, &event);
    cr_assert_eq(state.sources[0].requested, 50);
    cr_assert_eq(state.threshold, 0);
}

Test(reduce, the_threshold_stays_once_stopping)
{
    struct ehi_deployment state = running();
    want_desired(&state, 3, 20);
    struct ehi_event event = event_at(EHI_STOP_REQUESTED, 4, 400);
    event.stop_type = EHI_STOP_ABORT;
    apply(&state, &event);
    want_desired(&state, 5, 100);
    cr_assert_eq(state.threshold, 10);
    fail_tasks(&state, 6, 3);
    cr_assert_eq(state.failure_count, 0, "counted while IN_PROGRESS only");
}

Test(reduce, breaker_triggers_at_the_threshold_for_good)
{
    struct ehi_deployment state = running();
    want_desired(&state, 3, 8);
    fail_tasks(&state, 4, 3);
    cr_assert_eq(state.failure_count, 3);
    cr_assert_eq(state.breaker_status, EHI_MONITORING);
    fail_tasks(&state, 7, 1);
    cr_assert_eq(state.breaker_status, EHI_TRIGGERED);
    apply_simple(&state, EHI_TASK_HEALTHY, 8, 500);
    cr_assert_eq(state.failure_count, 4, "no reset once triggered");
    want_desired(&state, 9, 100);
    cr_assert_eq(state.threshold, 4, "the threshold stays once triggered");
    fail_tasks(&state, 10, 2);
    cr_assert_eq(state.failure_count, 6, "it goes on counting");
    apply_simple(&state, EHI_DEPLOYMENT_SUCCEEDED, 12, 900);
    cr_assert_eq(state.breaker_status, EHI_TRIGGERED);
}

Test(reduce, breaker_triggers_when_the_threshold_comes_down)
{
    struct ehi_deployment state = running();
    fail_tasks(&state, 3, 4);
    cr_assert_eq(state.breaker_status, EHI_MONITORING, "no threshold yet");
    want_desired(&state, 7, 9);
    cr_assert_eq(state.threshold, 5);
    cr_assert_eq(state.breaker_status, EHI_MONITORING);
    want_desired(&state, 8, 8);
    cr_assert_eq(state.breaker_status, EHI_TRIGGERED);
}

Test(reduce, a_healthy_task_resets_unless_told_not_to)
{
    struct ehi_deployment state = running();
    fail_tasks(&state, 3, 2);
    apply_simple(&state, EHI_TASK_HEALTHY, 5, 500);
    cr_assert_eq(state.failure_count, 0);
    struct ehi_configuration given = configuration();
    given.reset_on_healthy = false;
    state = running_with(given);
    fail_tasks(&state, 3, 2);
    apply_simple(&state, EHI_TASK_HEALTHY, 5, 500);
    cr_assert_eq(state.failure_count, 2);
}

Test(reduce, tasks_of_other_revisions_do_not_count)
{
    struct ehi_deployment state = running();
    struct ehi_event event = event_at(EHI_TASK_FAILED, 3, 300);
    event.revision_arn = sources[0];
    apply(&state, &event);
    cr_assert_eq(state.failure_count, 0);
    event.revision_arn = target;
    event.seq = 4;
    apply(&state, &event);
    cr_assert_eq(state.failure_count, 1);
    event.type = EHI_TASK_HEALTHY;
    event.revision_arn = TEXT(REVISION "9");
    event.seq = 5;
    apply(&state, &event);
    cr_assert_eq(state.failure_count, 1);
}

Test(reduce, breaker_disabled)
{
    struct ehi_configuration given = configuration();
    given.breaker_enabled = false;
    struct ehi_deployment state = running_with(given);
    want_desired(&state, 3, 8);
    fail_tasks(&state, 4, 5);
    cr_assert_eq(state.breaker_status, EHI_DISABLED);
    cr_assert_eq(state.failure_count, 0);
    cr_assert_eq(state.threshold, 0);
    apply_simple(&state, EHI_DEPLOYMENT_SUCCEEDED, 12, 900);
    cr_assert_eq(state.breaker_status, EHI_DISABLED);
}

Test(reduce, monitoring_completes_with_the_deployment)
{
    static const enum ehi_event_type ends[] = {EHI_DEPLOYMENT_SUCCEEDED, EHI_DEPLOYMENT_STOPPED};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct ehi_deployment state = running();
        apply_simple(&state, ends[i], 3, 900);
        cr_assert_eq(state.breaker_status, EHI_MONITORING_COMPLETE);
        cr_assert_eq(state.alarm_status, EHI_MONITORING_COMPLETE);
    }
}

/* -- 4.6 --------------------------------------------------------------------------------------- */

static struct ehi_event alarms(uint64_t seq, const struct ehi_slice *names, uint32_t count)
{
    struct ehi_event event = event_at(EHI_ALARM_TRIGGERED, seq, 300);
    event.alarm_names = names;
    event.alarm_count = count;
    return event;
}

Test(reduce, alarms_are_listed_once_in_order)
{
    const struct ehi_slice twice[] = {alarm_names[1], alarm_names[1]};
    struct ehi_deployment state = running();
    struct ehi_event event = alarms(3, twice, 2);
    apply(&state, &event);
    cr_assert_eq(state.alarm_status, EHI_TRIGGERED);
    cr_assert_eq(state.triggered_count, 1);
    event = alarms(4, alarm_names, 2);
    apply(&state, &event);
    cr_assert_eq(state.triggered_count, 2);
    cr_assert(ehi_slice_is(state.triggered_alarms[0], "latency"));
    cr_assert(ehi_slice_is(state.triggered_alarms[1], "errors"));
    apply_simple(&state, EHI_DEPLOYMENT_SUCCEEDED, 5, 900);
    cr_assert_eq(state.alarm_status, EHI_TRIGGERED);
    cr_assert_eq(state.breaker_status, EHI_MONITORING_COMPLETE);
}

Test(reduce, alarms_not_configured)
{
    const struct ehi_slice names[] = {alarm_names[0], TEXT("disk")};
    struct ehi_deployment state = running();
    struct ehi_event event = alarms(3, names, 2);
    refuse(&state, &event, ECSHIST_CONFLICT, "disk");
    struct ehi_configuration given = configuration();
    given.alarms_enabled = false;
    state = running_with(given);
    cr_assert_eq(state.alarm_status, EHI_DISABLED);
    cr_assert_eq(state.alarm_count, 0);
    event = alarms(3, alarm_names, 1);
    refuse(&state, &event, ECSHIST_CONFLICT, "enables no alarms");
}

/* -- 4.7 --------------------------------------------------------------------------------------- */

Test(reduce, hooks_keep_what_is_not_named)
{
    struct ehi_deployment state = running();
    put_hook(&state, 3,
             (struct ehi_hook){.id = TEXT("a"),
                               .target_arn = TEXT("lambda"),
                               .target_type = EHI_AWS_LAMBDA,
                               .status = EHI_AWAITING_ACTION,
                               .expires_at_us = 777});
    put_hook(&state, 4, hook_named(TEXT("b"), 0));
    struct ehi_deployment before = state;
    put_hook(&state, 5,
             (struct ehi_hook){.id = TEXT("a"),
                               .status = EHI_HOOK_SUCCEEDED,
                               .timeout_action = EHI_ACTION_ROLLBACK,
                               .expires_at_us = EHI_TIME_NONE});
    cr_assert_eq(state.hook_count, 2);
    const struct ehi_hook *hook = &state.hooks[0];
    cr_assert(ehi_slice_is(hook->id, "a"));
    cr_assert(ehi_slice_is(hook->target_arn, "lambda"));
    cr_assert_eq(hook->target_type, EHI_AWS_LAMBDA);
    cr_assert_eq(hook->status, EHI_HOOK_SUCCEEDED);
    cr_assert_eq(hook->timeout_action, EHI_ACTION_ROLLBACK);
    cr_assert_eq(hook->expires_at_us, 777);
    cr_assert(ehi_slice_is(state.hooks[1].id, "b"));
    cr_assert_eq(state.hooks[1].status, 0);
    cr_assert_eq(before.hooks[0].status, EHI_AWAITING_ACTION);
}

static struct ehi_slice packed(struct ehi_member *members, uint32_t count)
{
    struct ehi_value map = {.kind = EHI_VALUE_MAP, .count = count, .u.members = members};
    struct ehi_buffer buffer = {NULL, 0, 0};
    cr_assert_eq(ehi_document_encode(&map, &buffer, NULL), ECSHIST_OK);
    struct ehi_slice copy = ehi_arena_copy(&arena, ehi_buffer_slice(&buffer));
    ehi_buffer_free(&buffer);
    return copy;
}

static struct ehi_member number(const char *name, int64_t value)
{
    return (struct ehi_member){
        .name = ehi_slice_text(name),
        .value = {.kind = EHI_VALUE_INT, .u.integer = value},
    };
}

Test(reduce, hooks_keep_unknown_members_too)
{
    struct ehi_deployment state = running();
    struct ehi_hook hook = hook_named(TEXT("a"), EHI_AWAITING_ACTION);
    hook.extra = packed((struct ehi_member[]){number("x", 1), number("y", 2)}, 2);
    put_hook(&state, 3, hook);
    hook.extra = packed((struct ehi_member[]){number("z", 4), number("x", 3)}, 2);
    put_hook(&state, 4, hook);
    put_hook(&state, 5, hook_named(TEXT("a"), EHI_HOOK_FAILED));
    struct ehi_slice expected =
        packed((struct ehi_member[]){number("x", 3), number("y", 2), number("z", 4)}, 3);
    cr_assert(ehi_slice_equal(state.hooks[0].extra, expected));
}

Test(reduce, unknown_members_of_a_hook_are_bounded)
{
    struct ehi_deployment state = running();
    static uint8_t letters[40000];
    memset(letters, 'x', sizeof(letters));
    struct ehi_member large = {
        .name = TEXT("a"),
        .value = {.kind = EHI_VALUE_STRING, .u.string = ehi_slice(letters, sizeof(letters))},
    };
    struct ehi_hook hook = hook_named(TEXT("a"), EHI_AWAITING_ACTION);
    hook.extra = packed(&large, 1);
    put_hook(&state, 3, hook);
    large.name = TEXT("b");
    struct ehi_event event = event_at(EHI_HOOK_UPDATED, 4, 300);
    event.hook = hook;
    event.hook.extra = packed(&large, 1);
    refuse(&state, &event, ECSHIST_CONFLICT, "65536");
    put_hook(&state, 5, hook);
}

Test(reduce, hooks_are_bounded)
{
    struct ehi_deployment state = running();
    char ids[ECSHIST_MAX_HOOKS + 1][8];
    for (unsigned i = 0; i < ECSHIST_MAX_HOOKS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "h%u", i);
        put_hook(&state, 3 + i, hook_named(ehi_slice_text(ids[i]), EHI_HOOK_IN_PROGRESS));
    }
    struct ehi_event event = event_at(EHI_HOOK_UPDATED, 500, 300);
    event.hook = hook_named(TEXT("more"), EHI_HOOK_IN_PROGRESS);
    refuse(&state, &event, ECSHIST_CONFLICT, "100");
    put_hook(&state, 501, hook_named(TEXT("h7"), EHI_HOOK_FAILED));
    cr_assert_eq(state.hook_count, ECSHIST_MAX_HOOKS);
    cr_assert_eq(state.hooks[7].status, EHI_HOOK_FAILED);
}

Test(reduce, hook_actions_want_a_hook_that_waits)
{
    struct ehi_deployment state = running();
    struct ehi_event event = event_at(EHI_HOOK_ACTION_REQUESTED, 9, 900);
    event.hook_id = TEXT("a");
    event.action = EHI_ACTION_CONTINUE;
    refuse(&state, &event, ECSHIST_CONFLICT, "no lifecycle hook a");
    put_hook(&state, 3, hook_named(TEXT("a"), 0));
    refuse(&state, &event, ECSHIST_CONFLICT, "not set");
    put_hook(&state, 4, hook_named(TEXT("a"), EHI_HOOK_TIMED_OUT));
    refuse(&state, &event, ECSHIST_CONFLICT, "TIMED_OUT");
    put_hook(&state, 5, hook_named(TEXT("a"), EHI_AWAITING_ACTION));
    apply(&state, &event);
    cr_assert_eq(state.hooks[0].status, EHI_AWAITING_ACTION, "what follows is told by the hook");
    event.action = EHI_ACTION_ROLLBACK;
    event.seq = 10;
    apply(&state, &event);
    cr_assert_eq(state.status, ECSHIST_STATUS_ROLLBACK_REQUESTED);
    cr_assert_eq(state.finished_at_us, EHI_TIME_NONE);
}

/* -- 4.9 --------------------------------------------------------------------------------------- */

static struct ehi_event observation(uint64_t seq, int64_t time_us,
                                    const struct ehi_deployment *observed)
{
    struct ehi_event event = event_at(EHI_DEPLOYMENT_OBSERVED, seq, time_us);
    event.observed = observed;
    return event;
}

Test(reduce, an_observation_is_the_view)
{
    struct ehi_deployment seen = running();
    seen.created_seq = seen.last_seq = 0;
    seen.threshold = 77;
    seen.failure_count = 5;
    seen.breaker_status = EHI_MONITORING;
    struct ehi_deployment state = {0};
    struct ehi_event event = observation(4, 900, &seen);
    apply(&state, &event);
    cr_assert_eq(state.created_seq, 4);
    cr_assert_eq(state.last_observed_seq, 4);
    cr_assert_eq(state.updated_at_us, 200, "as observed, not when");
    cr_assert_eq(state.threshold, 77);
    apply_simple(&state, EHI_STAGE_CHANGED, 5, 950);
    cr_assert_eq(state.threshold, 77, "until an event supplies a count");
    cr_assert_eq(state.updated_at_us, 950);
    cr_assert_eq(state.last_observed_seq, 4);
    want_desired(&state, 6, 20);
    cr_assert_eq(state.threshold, 10);
    fail_tasks(&state, 7, 5);
    cr_assert_eq(state.failure_count, 10, "on top of what was observed");
    cr_assert_eq(state.breaker_status, EHI_TRIGGERED);
}

Test(reduce, an_observation_equal_to_the_view_is_a_duplicate)
{
    struct ehi_deployment state = running();
    struct ehi_deployment seen = state;
    seen.created_seq = seen.last_seq = seen.last_observed_seq = 0;
    struct ehi_deployment before;
    memcpy(&before, &state, sizeof(before));
    struct ehi_event event = observation(3, 900, &seen);
    enum ehi_applied applied = 0;
    cr_assert_eq(ehi_reduce(&state, &event, &arena, &applied, NULL), ECSHIST_OK);
    cr_assert_eq(applied, EHI_DUPLICATE);
    cr_assert_eq(memcmp(&state, &before, sizeof(state)), 0);
    seen.updated_at_us = EHI_TIME_NONE;
    cr_assert_eq(ehi_reduce(&state, &event, &arena, &applied, NULL), ECSHIST_OK);
    cr_assert_eq(applied, EHI_DUPLICATE, "it says nothing of when");
    seen.stage = 4;
    apply(&state, &event);
    cr_assert_eq(state.updated_at_us, 900, "it does not say when: then now");
    cr_assert_eq(state.created_seq, 1);
    cr_assert_eq(state.last_seq, 3);
}

static enum ehi_applied observe_configuration(struct ehi_slice stands, struct ehi_slice seen)
{
    struct ehi_deployment state = running();
    state.configuration.document = stands;
    struct ehi_deployment observed = state;
    observed.configuration.document = seen;
    struct ehi_event event = observation(3, 900, &observed);
    enum ehi_applied applied = 0;
    cr_assert_eq(ehi_reduce(&state, &event, &arena, &applied, NULL), ECSHIST_OK);
    return applied;
}

Test(reduce, a_configuration_is_the_same_as_it_is_shown)
{
    struct ehi_member most = number("maximumPercent", 200);
    struct ehi_member least = number("minimumHealthyPercent", 100);
    struct ehi_member more = number("maximumPercent", 150);
    struct ehi_slice none = EHI_SLICE_EMPTY, empty = packed(NULL, 0);
    struct ehi_slice usual = packed((struct ehi_member[]){most, least}, 2);
    struct ehi_slice turned = packed((struct ehi_member[]){least, most}, 2);
    struct ehi_slice half = packed((struct ehi_member[]){least}, 1);
    struct ehi_slice other = packed((struct ehi_member[]){more}, 1);
    struct ehi_slice news = packed((struct ehi_member[]){most, least, number("new", 1)}, 3);
    struct ehi_slice same[] = {none, empty, usual, turned, half};
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        for (size_t j = 0; j < COUNT_OF(same); j++)
            cr_assert_eq(observe_configuration(same[i], same[j]), EHI_DUPLICATE, "%zu %zu", i, j);
        cr_assert_eq(observe_configuration(same[i], other), EHI_APPLIED);
        cr_assert_eq(observe_configuration(other, same[i]), EHI_APPLIED);
        cr_assert_eq(observe_configuration(same[i], news), EHI_APPLIED);
        cr_assert_eq(observe_configuration(news, same[i]), EHI_APPLIED);
    }
}

Test(reduce, an_observation_keeps_the_count_known)
{
    struct ehi_deployment state = running();
    want_desired(&state, 3, 20);
    struct ehi_deployment seen = running();
    seen.target.requested = 6;
    seen.configuration = (struct ehi_configuration){0};
    struct ehi_event event = observation(4, 900, &seen);
    apply(&state, &event);
    cr_assert(state.has_desired);
    cr_assert_eq(state.known_count, 20);
    state = running();
    want_requested(&state, 3, 40);
    apply(&state, &event);
    cr_assert_eq(state.known_count, 6);
    seen.target.requested = 0;
    event.seq = 5;
    apply(&state, &event);
    cr_assert_eq(state.known_count, 6);
}

Test(reduce, an_end_is_undone_by_nothing_open)
{
    struct ehi_deployment state = running();
    apply_simple(&state, EHI_DEPLOYMENT_SUCCEEDED, 3, 900);
    struct ehi_deployment seen = running();
    struct ehi_event event = observation(4, 950, &seen);
    refuse(&state, &event, ECSHIST_CONFLICT, "SUCCESSFUL");
    seen.status = ECSHIST_STATUS_STOPPED;
    apply(&state, &event);
    cr_assert_eq(state.status, ECSHIST_STATUS_STOPPED);
    cr_assert_eq(state.finished_at_us, EHI_TIME_NONE, "as observed");
}

Test(reduce, without_an_error_to_fill)
{
    struct ehi_deployment state = running();
    struct ehi_event event = full_event(EHI_DEPLOYMENT_CREATED, PLAIN);
    cr_assert_eq(reduce(&state, &event), ECSHIST_CONFLICT);
    event = alarms(3, (struct ehi_slice[]){TEXT("disk")}, 1);
    cr_assert_eq(reduce(&state, &event), ECSHIST_CONFLICT);
}
