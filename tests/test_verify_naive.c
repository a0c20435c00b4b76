/*
 * The naive rules that verify folds by, against the reducer: random streams, every outcome and the
 * whole state after every event. And the comparison of states itself: it sees every member.
 */
#include "codec/record.h"
#include "codec/state.h"
#include "fold/reduce.h"
#include "model/names.h"
#include "support/random_events.h"
#include "upkeep/naive.h"
#include "upkeep/verify_internal.h"
#include "json/json.h"

#include <criterion/criterion.h>
#include <ecshist/query.h>
#include <jansson.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
enum { STREAMS = 400 };
#else
enum { STREAMS = 3000 };
#endif
enum { STREAM_EVENTS = 60 };

struct run {
    struct ehi_arena arena;
    struct ehi_deployment reduced[RANDOM_DEPLOYMENTS], naive[RANDOM_DEPLOYMENTS];
    unsigned applied, refused, same;
};

static bool decode_next(struct run *run, struct random_events *random, uint64_t seq,
                        struct ehi_event *out)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_buffer buffer = {0};
    struct ehi_value value;
    json_t *json = random_events_next(random);
    char *text = json_dumps(json, JSON_COMPACT);
    cr_assert_eq(ehi_json_parse(text, strlen(text), &run->arena, &value, &error), ECSHIST_OK);
    cr_assert_eq(ehi_record_encode(&value, &buffer, &error), ECSHIST_OK, "%s: %s", error.place,
                 error.message);
    struct ehi_slice record = ehi_arena_copy(&run->arena, ehi_buffer_slice(&buffer));
    ehi_record_stamp((uint8_t *)(uintptr_t)record.data, seq, 0, 0, 0);
    int rc = ehi_event_decode(record, &run->arena, out, &error);
    ehi_buffer_free(&buffer);
    free(text);
    json_decref(json);
    return rc == ECSHIST_OK && out->arn.kind == EHI_ARN_DEPLOYMENT;
}

static int deployment_of(const struct ehi_event *event)
{
    char text[256];
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++) {
        if (ehi_slice_is(event->subject, random_deployment_arn(i, text)))
            return i;
    }
    cr_assert(false);
    return -1;
}

/* An observation of what is there already is the reducer's to recognise in every form it may take;
 * the naive rules know it only where it is the same to the byte. */
static void both(struct run *run, const struct ehi_event *event, uint64_t seed)
{
    int which = deployment_of(event);
    struct ehi_deployment *reduced = &run->reduced[which], *naive = &run->naive[which];
    struct ehi_deployment before = *naive;
    enum ehi_applied applied = EHI_APPLIED;
    enum ehi_naive result;
    const char *why = "";
    int rc = ehi_reduce(reduced, event, &run->arena, &applied, NULL);
    cr_assert_eq(ehi_naive_deployment(naive, event, &run->arena, &result, &why, NULL), ECSHIST_OK);
    bool reducer_applied = rc == ECSHIST_OK && applied == EHI_APPLIED;
    bool reducer_same = rc == ECSHIST_OK && applied == EHI_DUPLICATE;
    if (result == EHI_NAIVE_NOTHING_NEW)
        cr_assert(reducer_same, "seed %llu", (unsigned long long)seed);
    else if (reducer_same)
        cr_assert_eq(result, EHI_NAIVE_APPLIED);
    else
        cr_assert_eq(result == EHI_NAIVE_APPLIED, reducer_applied, "seed %llu, event %llu, %s: %s",
                     (unsigned long long)seed, (unsigned long long)event->seq,
                     ehi_event_type_name(event->type), why);
    if (!reducer_applied)
        *naive = before;
    run->applied += reducer_applied;
    run->same += result == EHI_NAIVE_NOTHING_NEW;
    run->refused += rc != ECSHIST_OK;
    if (reduced->created_seq == 0)
        return;
    const char *difference = verify_deployment_difference(reduced, naive);
    cr_assert_null(difference, "seed %llu, event %llu (%s): %s", (unsigned long long)seed,
                   (unsigned long long)event->seq, ehi_event_type_name(event->type), difference);
}

TestSuite(verify_naive);

Test(verify_naive, agrees_with_the_reducer)
{
    struct run *run = calloc(1, sizeof(*run));
    unsigned applied = 0, refused = 0, same = 0;
    for (uint64_t seed = 1; seed <= STREAMS; seed++) {
        struct random_events random = {0};
        memset(run, 0, sizeof(*run));
        random_events_start(&random, seed);
        for (uint64_t seq = 1; seq <= STREAM_EVENTS; seq++) {
            struct ehi_event event;
            if (decode_next(run, &random, seq, &event))
                both(run, &event, seed);
        }
        random_events_end(&random);
        ehi_arena_free(&run->arena);
        applied += run->applied;
        refused += run->refused;
        same += run->same;
    }
    /* All three outcomes came up, and often. */
    cr_assert_gt(applied, STREAMS * 10u);
    cr_assert_gt(refused, STREAMS * 5u);
    cr_assert_gt(same, STREAMS / 20u);
    free(run);
}

/* -- streams that are folded wrongly are seen --------------------------------------------------- */

/* What a rule that is wrong would do, done to the event that the naive rules are given. */
static const char *const mistakes[] = {
    "a later time",      "no reason",        "the other stop", "failed for healthy",
    "of another task's", "no desired count", "fewer updates",  "no hook status",
    "the other action",  "no configuration", "another stage",  "fewer sources",
};
enum { MISTAKES = sizeof(mistakes) / sizeof(mistakes[0]), NO_MISTAKE = MISTAKES };

static void mistake(struct ehi_event *e, int which)
{
    switch (which) {
    case 0:
        e->time_us++;
        break;
    case 1:
        e->reason = EHI_SLICE_EMPTY;
        break;
    case 2:
        e->stop_type = e->stop_type == EHI_STOP_ABORT ? EHI_STOP_ROLLBACK : EHI_STOP_ABORT;
        break;
    case 3:
        e->type = e->type == EHI_TASK_FAILED ? EHI_TASK_HEALTHY : e->type;
        break;
    case 4:
        e->revision_arn = EHI_SLICE_LITERAL("another");
        break;
    case 5:
        e->has_desired = false;
        break;
    case 6:
        e->update_count = e->update_count > 1 ? 1 : e->update_count;
        break;
    case 7:
        e->hook.status = 0;
        break;
    case 8:
        e->action = e->action == EHI_ACTION_CONTINUE ? EHI_ACTION_ROLLBACK : EHI_ACTION_CONTINUE;
        break;
    case 9:
        e->configuration.document = EHI_SLICE_EMPTY;
        break;
    case 10:
        e->stage++;
        break;
    case 11:
        e->source_count = e->source_count > 1 ? 1 : e->source_count;
        break;
    default:
        break;
    }
}

static bool seen_in_stream(struct run *run, uint64_t seed, int which)
{
    struct random_events random = {0};
    bool seen = false;
    memset(run, 0, sizeof(*run));
    random_events_start(&random, seed);
    for (uint64_t seq = 1; seq <= STREAM_EVENTS; seq++) {
        struct ehi_event event;
        enum ehi_applied applied = EHI_APPLIED;
        enum ehi_naive result;
        const char *why;
        if (!decode_next(run, &random, seq, &event))
            continue;
        int d = deployment_of(&event);
        struct ehi_deployment before = run->naive[d];
        int rc = ehi_reduce(&run->reduced[d], &event, &run->arena, &applied, NULL);
        mistake(&event, which);
        cr_assert_eq(ehi_naive_deployment(&run->naive[d], &event, &run->arena, &result, &why, NULL),
                     ECSHIST_OK);
        if (rc == ECSHIST_OK && applied == EHI_DUPLICATE)
            run->naive[d] = before;
        else
            seen = seen || (result == EHI_NAIVE_APPLIED) != (rc == ECSHIST_OK);
        seen = seen || verify_deployment_difference(&run->reduced[d], &run->naive[d]) != NULL;
    }
    random_events_end(&random);
    ehi_arena_free(&run->arena);
    return seen;
}

Test(verify_naive, every_mistake_is_seen)
{
    struct run *run = calloc(1, sizeof(*run));
    for (int which = 0; which < MISTAKES; which++) {
        uint64_t seed = 1;
        while (seed <= 200 && !seen_in_stream(run, seed, which))
            seed++;
        cr_assert_leq(seed, 200, "not seen: %s", mistakes[which]);
    }
    for (uint64_t seed = 1; seed <= 200; seed++)
        cr_assert_not(seen_in_stream(run, seed, NO_MISTAKE));
    free(run);
}

/* -- the comparison can fail ------------------------------------------------------------------- */

#define TEXT(text) EHI_SLICE_LITERAL(text)

static struct ehi_deployment whole(struct ehi_revision_summary *source, struct ehi_hook *hook)
{
    static const struct ehi_slice alarms[] = {EHI_SLICE_LITERAL("one"), EHI_SLICE_LITERAL("two")};
    *source = (struct ehi_revision_summary){.arn = TEXT("source"), .requested = 3};
    *hook = (struct ehi_hook){.id = TEXT("hook"), .status = 1, .expires_at_us = EHI_TIME_NONE};
    return (struct ehi_deployment){.arn = TEXT("arn"),
                                   .created_seq = 1,
                                   .last_seq = 9,
                                   .status = ECSHIST_STATUS_IN_PROGRESS,
                                   .target = {.arn = TEXT("target")},
                                   .sources = source,
                                   .source_count = 1,
                                   .alarm_names = alarms,
                                   .alarm_count = 2,
                                   .triggered_alarms = alarms,
                                   .triggered_count = 1,
                                   .hooks = hook,
                                   .hook_count = 1};
}

#define SEEN(change)                                                                               \
    do {                                                                                           \
        struct ehi_revision_summary source_a, source_b;                                            \
        struct ehi_hook hook_a, hook_b;                                                            \
        struct ehi_deployment a = whole(&source_a, &hook_a), d = whole(&source_b, &hook_b);        \
        cr_assert_null(verify_deployment_difference(&a, &d));                                      \
        change;                                                                                    \
        cr_assert_not_null(verify_deployment_difference(&a, &d), "%s", #change);                   \
        cr_assert_not_null(verify_deployment_difference(&d, &a), "%s", #change);                   \
    } while (0)

Test(verify_naive, every_member_of_a_deployment_is_compared)
{
    SEEN(d.arn = TEXT("other"));
    SEEN(d.created_seq++);
    SEEN(d.last_seq++);
    SEEN(d.last_observed_seq++);
    SEEN(d.status++);
    SEEN(d.stage++);
    SEEN(d.created_at_us++);
    SEEN(d.started_at_us++);
    SEEN(d.finished_at_us++);
    SEEN(d.stopped_at_us++);
    SEEN(d.updated_at_us++);
    SEEN(d.status_reason = TEXT(""));
    SEEN(d.target.arn = TEXT("other"));
    SEEN(d.target.requested++);
    SEEN(d.target.running++);
    SEEN(d.target.pending++);
    SEEN(d.target.has_test_weight = true);
    SEEN(d.target.has_production_weight = true);
    SEEN(d.sources[0].running++);
    SEEN(d.source_count = 0);
    SEEN(d.configuration.document = TEXT("\x80"));
    SEEN(d.configuration.breaker_enabled = true);
    SEEN(d.configuration.reset_on_healthy = true);
    SEEN(d.configuration.alarms_enabled = true);
    SEEN(d.configuration.threshold_type++);
    SEEN(d.configuration.threshold_value++);
    SEEN(d.configuration.alarm_names = d.alarm_names; d.configuration.alarm_count = 1);
    SEEN(d.has_rollback = true);
    SEEN(d.rollback_reason = TEXT("x"));
    SEEN(d.rollback_revision_arn = TEXT("x"));
    SEEN(d.rollback_started_at_us++);
    SEEN(d.breaker_status++);
    SEEN(d.failure_count++);
    SEEN(d.threshold++);
    SEEN(d.has_desired = true);
    SEEN(d.known_count++);
    SEEN(d.alarm_status++);
    SEEN(d.alarm_count = 1);
    SEEN(d.triggered_count = 2);
    SEEN(d.hook_count = 0);
    SEEN(d.hooks[0].id = TEXT("x"));
    SEEN(d.hooks[0].target_arn = TEXT("x"));
    SEEN(d.hooks[0].target_type++);
    SEEN(d.hooks[0].status++);
    SEEN(d.hooks[0].timeout_action++);
    SEEN(d.hooks[0].expires_at_us++);
    SEEN(d.hooks[0].extra = TEXT("\x80"));
    SEEN(d.extra = TEXT("\x80"));
}

Test(verify_naive, every_member_of_the_others_is_compared)
{
    struct ehi_revision r = {.arn = TEXT("r")}, s;
    struct ehi_service a = {.arn = TEXT("s"), .current_revision_arn = TEXT("r")}, b;
#define SEEN_IN(kind, x, y, change)                                                                \
    do {                                                                                           \
        (y) = (x);                                                                                 \
        cr_assert_null(verify_##kind##_difference(&(x), &(y)));                                    \
        change;                                                                                    \
        cr_assert_not_null(verify_##kind##_difference(&(x), &(y)), "%s", #change);                 \
    } while (0)
    SEEN_IN(revision, r, s, s.arn = TEXT("x"));
    SEEN_IN(revision, r, s, s.document_seq++);
    SEEN_IN(revision, r, s, s.first_seq++);
    SEEN_IN(revision, r, s, s.observed = true);
    SEEN_IN(revision, r, s, s.created_at_us++);
    SEEN_IN(service, a, b, b.arn = TEXT("x"));
    SEEN_IN(service, a, b, b.first_seq++);
    SEEN_IN(service, a, b, b.inactive = true);
    SEEN_IN(service, a, b, b.by_status[15]++);
    SEEN_IN(service, a, b, b.current_revision_arn = TEXT("x"));
    SEEN_IN(service, a, b, b.current_finished_at_us++);
    SEEN_IN(service, a, b, b.current_created_seq++);
}
