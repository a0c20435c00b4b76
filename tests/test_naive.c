/*
 * Random streams through parsing, encoding, decoding and folding, against the naive model: every
 * outcome, and the whole view after every event.
 */
#include "codec/document.h"
#include "codec/record.h"
#include "codec/state.h"
#include "fold/reduce.h"
#include "model/names.h"
#include "support/naive.h"
#include "support/random_events.h"
#include "json/json.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Fewer under a sanitizer, which takes ten times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { STREAMS = 400 };
#else
enum { STREAMS = 2000 };
#endif
enum { STREAM_EVENTS = 60 };

struct stored {
    struct ehi_slice record, id;
    int deployment;
    int64_t time_us;
    bool ignored;
};

/* One stream on its way through both models. */
struct run {
    struct ehi_arena arena;
    struct naive *naive;
    struct stored stored[STREAM_EVENTS];
    uint64_t count;
    struct ehi_deployment states[RANDOM_DEPLOYMENTS];
    char where[1024]; /* of the first disagreement */
};

static void check_rc(int rc, const struct ecshist_error *error)
{
    cr_assert(rc == ECSHIST_OK, "%s: %s (%s)", ecshist_code_name(rc), error->message, error->place);
}

/* -- a state as JSON --------------------------------------------------------------------------- */

static void put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static json_t *text(struct ehi_slice s)
{
    return json_stringn((const char *)s.data, s.length);
}

static void put_text(json_t *object, const char *name, struct ehi_slice s)
{
    if (s.data != NULL)
        put(object, name, text(s));
}

static void put_time(json_t *object, const char *name, int64_t time_us)
{
    if (time_us != EHI_TIME_NONE)
        put(object, name, json_real((double)time_us / 1e6));
}

static void put_name(json_t *object, const char *name, enum ehi_enum which, int number)
{
    if (number != 0)
        put(object, name, json_string(ehi_enum_name(which, number)));
}

static void put_list(json_t *object, const char *name, const struct ehi_slice *items,
                     uint32_t count)
{
    if (count == 0)
        return;
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, text(items[i]));
    put(object, name, list);
}

/* A MessagePack document by way of the library's own JSON. */
static json_t *document_json(struct run *run, struct ehi_slice document)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value value;
    check_rc(ehi_document_decode(document, &run->arena, &value, &error), &error);
    struct ehi_buffer buffer = {NULL, 0, 0};
    const struct ehi_json_style style = {false, 0, 0};
    cr_assert_eq(ehi_json_write(&value, &style, &buffer), ECSHIST_OK);
    json_t *json = json_loadb((const char *)buffer.data, buffer.length, 0, NULL);
    cr_assert_not_null(json);
    ehi_buffer_free(&buffer);
    return json;
}

static void put_extra(struct run *run, json_t *object, struct ehi_slice extra)
{
    if (extra.length == 0)
        return;
    json_t *members = document_json(run, extra);
    json_object_update(object, members);
    json_decref(members);
}

static json_t *summary_json(const struct ehi_revision_summary *summary)
{
    json_t *object = json_object();
    put_text(object, "arn", summary->arn);
    put(object, "requestedTaskCount", json_integer(summary->requested));
    put(object, "runningTaskCount", json_integer(summary->running));
    put(object, "pendingTaskCount", json_integer(summary->pending));
    if (summary->has_test_weight)
        put(object, "requestedTestTrafficWeight", json_real(summary->test_weight));
    if (summary->has_production_weight)
        put(object, "requestedProductionTrafficWeight", json_real(summary->production_weight));
    return object;
}

static json_t *hook_json(struct run *run, const struct ehi_hook *hook)
{
    json_t *object = json_object();
    put_text(object, "hookId", hook->id);
    put_name(object, "targetType", EHI_ENUM_HOOK_TARGET, hook->target_type);
    put_text(object, "targetArn", hook->target_arn);
    put_name(object, "status", EHI_ENUM_HOOK_STATUS, hook->status);
    put_time(object, "expiresAt", hook->expires_at_us);
    put_name(object, "timeoutAction", EHI_ENUM_HOOK_ACTION, hook->timeout_action);
    put_extra(run, object, hook->extra);
    return object;
}

static void put_arns(json_t *view, const struct ehi_deployment *state)
{
    struct ehi_arn arn;
    char buffer[EHI_ARN_BUFFER];
    cr_assert_eq(ehi_arn_parse(state->arn, &arn, NULL), ECSHIST_OK);
    put_text(view, "serviceDeploymentArn", state->arn);
    put_text(view, "serviceArn", ehi_arn_service(&arn, buffer));
    put_text(view, "clusterArn", ehi_arn_cluster(&arn, buffer));
}

static void put_times(json_t *view, const struct ehi_deployment *state)
{
    put_time(view, "createdAt", state->created_at_us);
    put_time(view, "startedAt", state->started_at_us);
    put_time(view, "finishedAt", state->finished_at_us);
    put_time(view, "stoppedAt", state->stopped_at_us);
    put_time(view, "updatedAt", state->updated_at_us);
}

static void put_revisions(json_t *view, const struct ehi_deployment *state)
{
    json_t *sources = json_array();
    for (uint32_t i = 0; i < state->source_count; i++)
        json_array_append_new(sources, summary_json(&state->sources[i]));
    put(view, "sourceServiceRevisions", sources);
    put(view, "targetServiceRevision", summary_json(&state->target));
}

static void put_hooks(struct run *run, json_t *view, const struct ehi_deployment *state)
{
    if (state->hook_count == 0)
        return;
    json_t *hooks = json_array();
    for (uint32_t i = 0; i < state->hook_count; i++)
        json_array_append_new(hooks, hook_json(run, &state->hooks[i]));
    put(view, "lifecycleHookDetails", hooks);
}

static void put_configuration(struct run *run, json_t *view, const struct ehi_deployment *state)
{
    struct ehi_slice document = state->configuration.document;
    json_t *object = document.data == NULL ? json_object() : document_json(run, document);
    if (json_object_get(object, "maximumPercent") == NULL)
        put(object, "maximumPercent", json_integer(200));
    if (json_object_get(object, "minimumHealthyPercent") == NULL)
        put(object, "minimumHealthyPercent", json_integer(100));
    put(view, "deploymentConfiguration", object);
}

static void put_rollback(json_t *view, const struct ehi_deployment *state)
{
    if (!state->has_rollback)
        return;
    json_t *rollback = json_object();
    put_text(rollback, "reason", state->rollback_reason);
    put_time(rollback, "startedAt", state->rollback_started_at_us);
    put_text(rollback, "serviceRevisionArn", state->rollback_revision_arn);
    put(view, "rollback", rollback);
}

static void put_monitors(json_t *view, const struct ehi_deployment *state)
{
    json_t *breaker = json_object();
    put_name(breaker, "status", EHI_ENUM_MONITOR, state->breaker_status);
    put(breaker, "failureCount", json_integer(state->failure_count));
    put(breaker, "threshold", json_integer(state->threshold));
    put(view, "deploymentCircuitBreaker", breaker);
    json_t *alarms = json_object();
    put_name(alarms, "status", EHI_ENUM_MONITOR, state->alarm_status);
    put_list(alarms, "alarmNames", state->alarm_names, state->alarm_count);
    put_list(alarms, "triggeredAlarmNames", state->triggered_alarms, state->triggered_count);
    put(view, "alarms", alarms);
}

static json_t *state_json(struct run *run, const struct ehi_deployment *state)
{
    json_t *view = json_object();
    put_arns(view, state);
    put_times(view, state);
    put_revisions(view, state);
    put_name(view, "status", EHI_ENUM_STATUS, state->status);
    put_text(view, "statusReason", state->status_reason);
    put_name(view, "lifecycleStage", EHI_ENUM_STAGE, state->stage);
    put_hooks(run, view, state);
    put_configuration(run, view, state);
    put_rollback(view, state);
    put_monitors(view, state);
    put_extra(run, view, state->extra);
    return view;
}

/* -- the library's side ------------------------------------------------------------------------ */

/* An event's record, as an append would store it as event `seq`. */
static struct ehi_slice encode(struct run *run, const json_t *event, uint64_t seq)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *line = json_dumps(event, JSON_COMPACT);
    char *kept = (char *)(uintptr_t)ehi_arena_copy(&run->arena, ehi_slice_text(line)).data;
    free(line);
    struct ehi_value value;
    check_rc(ehi_json_parse(kept, strlen(kept), &run->arena, &value, &error), &error);
    struct ehi_buffer buffer = {NULL, 0, 0};
    check_rc(ehi_record_encode(&value, &buffer, &error), &error);
    ehi_record_stamp(buffer.data, seq, 1, 0, 0);
    cr_assert(ehi_record_intact(ehi_buffer_slice(&buffer), 0));
    struct ehi_slice record = ehi_arena_copy(&run->arena, ehi_buffer_slice(&buffer));
    ehi_buffer_free(&buffer);
    return record;
}

static struct ehi_event decode(struct run *run, struct ehi_slice record)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_event event;
    check_rc(ehi_event_decode(record, &run->arena, &event, &error), &error);
    return event;
}

/* The rule of section 2, over the records taken so far. true where it settles the matter. */
static bool judge_id(const struct run *run, int deployment, const struct ehi_event *event,
                     struct ehi_slice id, struct naive_result *out)
{
    for (uint64_t i = 0; i < run->count; i++) {
        if (run->stored[i].deployment != deployment || !ehi_slice_equal(run->stored[i].id, id))
            continue;
        struct ehi_event other;
        cr_assert_eq(ehi_event_decode_envelope(run->stored[i].record, &other, NULL), ECSHIST_OK);
        bool same = ehi_event_same_content(&other, event);
        out->outcome = same ? NAIVE_DUPLICATE : NAIVE_CONFLICT;
        out->seq = same ? other.seq : 0;
        return true;
    }
    return false;
}

static enum naive_outcome outcome_of(int rc, enum ehi_applied applied, bool lenient)
{
    if (rc == ECSHIST_OK)
        return applied == EHI_DUPLICATE ? NAIVE_DUPLICATE : NAIVE_APPENDED;
    if (rc == ECSHIST_CONFLICT)
        return lenient ? NAIVE_IGNORED : NAIVE_CONFLICT;
    if (rc == ECSHIST_NOT_FOUND)
        return NAIVE_NOT_FOUND;
    cr_assert_eq(rc, ECSHIST_INVALID, "%s", ecshist_code_name(rc));
    return NAIVE_INVALID;
}

/* As the index does between two appends. */
static void store_and_load(struct run *run, struct ehi_deployment *state)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_buffer buffer = {NULL, 0, 0};
    cr_assert_eq(ehi_deployment_encode(state, &buffer), ECSHIST_OK);
    struct ehi_slice kept = ehi_arena_copy(&run->arena, ehi_buffer_slice(&buffer));
    ehi_buffer_free(&buffer);
    struct ehi_deployment loaded;
    check_rc(ehi_deployment_decode(kept, &run->arena, &loaded, &error), &error);
    cr_assert(ehi_deployment_same_view(&loaded, state), "a state read back is another");
    *state = loaded;
    state->arn = ehi_arena_copy(&run->arena, state->arn);
}

static struct naive_result fold(struct run *run, int deployment, const json_t *event, bool lenient)
{
    struct ehi_deployment *state = &run->states[deployment];
    struct naive_result result = {NAIVE_APPENDED, 0, false};
    struct ehi_slice record = encode(run, event, run->count + 1);
    struct ehi_event decoded = decode(run, record);
    char id_text[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_slice id = ehi_arena_copy(&run->arena, ehi_event_id(&decoded, id_text));
    if (judge_id(run, deployment, &decoded, id, &result))
        return result;
    enum ehi_applied applied = 0;
    uint64_t last_seq = state->last_seq;
    int rc = ehi_reduce(state, &decoded, &run->arena, &applied, NULL);
    result.outcome = outcome_of(rc, applied, lenient);
    result.same_view = result.outcome == NAIVE_DUPLICATE;
    if (result.same_view)
        result.seq = last_seq;
    if (result.outcome == NAIVE_APPENDED || result.outcome == NAIVE_IGNORED) {
        run->stored[run->count++] = (struct stored){record, id, deployment, decoded.time_us,
                                                    result.outcome == NAIVE_IGNORED};
        result.seq = run->count;
    }
    if (result.outcome == NAIVE_APPENDED)
        store_and_load(run, state);
    return result;
}

/* -- comparing --------------------------------------------------------------------------------- */

static bool disagree(struct run *run, const char *what, const json_t *event)
{
    char *line = event == NULL ? NULL : json_dumps(event, JSON_COMPACT);
    size_t used = strlen(run->where);
    snprintf(run->where + used, sizeof(run->where) - used, " | %s %s", what,
             line == NULL ? "" : line);
    free(line);
    return false;
}

static bool compare_view(struct run *run, const struct ehi_deployment *state, const char *arn,
                         struct naive_as_of as_of)
{
    json_t *expected = naive_deployment(run->naive, arn, as_of);
    json_t *actual = state->created_seq == 0 ? NULL : state_json(run, state);
    bool same = expected == NULL && actual == NULL;
    if (!same)
        same = naive_agrees(expected, actual, run->where, sizeof(run->where));
    json_decref(expected);
    json_decref(actual);
    return same;
}

static const struct naive_as_of now = {0};

static bool step(struct run *run, int deployment, const json_t *event, bool lenient)
{
    char arn[256];
    random_deployment_arn(deployment, arn);
    struct naive_result expected = naive_append_value(run->naive, event, lenient);
    struct naive_result actual = fold(run, deployment, event, lenient);
    if (expected.outcome != actual.outcome || expected.seq != actual.seq ||
        expected.same_view != actual.same_view) {
        snprintf(run->where, sizeof(run->where),
                 "outcome: naive model %d seq %llu, library %d %llu", expected.outcome,
                 (unsigned long long)expected.seq, actual.outcome, (unsigned long long)actual.seq);
        return disagree(run, "after", event);
    }
    return compare_view(run, &run->states[deployment], arn, now) || disagree(run, "after", event);
}

/* The view as of a seq or a time, by folding anew. */
static bool compare_as_of(struct run *run, int deployment, struct naive_as_of as_of)
{
    char arn[256];
    random_deployment_arn(deployment, arn);
    struct ehi_deployment state = {0};
    for (uint64_t i = 0; i < run->count && (as_of.seq == 0 || i < as_of.seq); i++) {
        struct stored *stored = &run->stored[i];
        if (stored->ignored || stored->deployment != deployment ||
            (as_of.has_time && stored->time_us > as_of.time_us))
            continue;
        struct ehi_event event = decode(run, stored->record);
        enum ehi_applied applied;
        int rc = ehi_reduce(&state, &event, &run->arena, &applied, NULL);
        cr_assert(as_of.has_time || rc == ECSHIST_OK);
    }
    return compare_view(run, &state, arn, as_of) || disagree(run, "as of", NULL);
}

/* Times as ECS sends them, for an observation. */
static void use_seconds(json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    void *next;
    json_object_foreach_safe(value, next, name, member)
    {
        size_t length = strlen(name);
        if (json_is_integer(member) && length > 2 && strcmp(name + length - 2, "At") == 0)
            put(value, name, json_real((double)json_integer_value(member) / 1e6));
        else
            use_seconds(member);
    }
    json_array_foreach(value, i, member)
    {
        use_seconds(member);
    }
}

/* 4.9: an observation of the view as it stands changes nothing. */
static bool observe_itself(struct run *run, int deployment)
{
    char arn[256];
    json_t *view = naive_deployment(run->naive, random_deployment_arn(deployment, arn), now);
    if (view == NULL || run->count == STREAM_EVENTS) {
        json_decref(view);
        return true;
    }
    use_seconds(view);
    json_t *event = json_pack("{s:s, s:i, s:s, s:o}", "type", "deployment-observed", "time",
                              2000000000, "serviceDeploymentArn", arn, "serviceDeployment", view);
    struct naive_result result = fold(run, deployment, event, false);
    bool fine = result.outcome == NAIVE_DUPLICATE || disagree(run, "not a duplicate:", event);
    json_decref(event);
    return fine;
}

/* -- streams ----------------------------------------------------------------------------------- */

static int deployment_of(const json_t *event)
{
    const char *arn = json_string_value(json_object_get(event, "serviceDeploymentArn"));
    return arn == NULL ? -1 : atoi(strrchr(arn, '_') + 1);
}

static bool feed(struct run *run, struct random_events *random)
{
    for (int i = 0; i < STREAM_EVENTS; i++) {
        json_t *event = random_events_next(random);
        int deployment = deployment_of(event);
        bool fine = deployment < 0 || step(run, deployment, event, random_percent(random, 50));
        json_decref(event);
        if (!fine)
            return false;
    }
    return true;
}

static bool look_back(struct run *run, struct random_events *random)
{
    for (int deployment = 0; deployment < RANDOM_DEPLOYMENTS; deployment++) {
        struct naive_as_of then = {.seq = 1 + random_below(random, STREAM_EVENTS)};
        if (!compare_as_of(run, deployment, then))
            return false;
        int64_t past_us = (int64_t)random_below(random, 600000000);
        then = (struct naive_as_of){0, true, random->now_us - past_us};
        if (!compare_as_of(run, deployment, then))
            return false;
        if (!observe_itself(run, deployment))
            return false;
    }
    return true;
}

/* Whether both models agree all through the stream; where says where not. */
static bool agree_on_stream(uint64_t seed, enum naive_mistake mistake, char where[1024])
{
    struct run *run = calloc(1, sizeof(*run));
    struct random_events random;
    random_events_start(&random, seed);
    run->naive = naive_new();
    naive_break(run->naive, mistake);
    bool fine = feed(run, &random) && look_back(run, &random);
    memcpy(where, run->where, sizeof(run->where));
    random_events_end(&random);
    naive_free(run->naive);
    ehi_arena_free(&run->arena);
    free(run);
    return fine;
}

Test(naive, agrees_on_random_streams)
{
    char where[1024];
    for (uint64_t seed = 0; seed < STREAMS; seed++)
        cr_assert(agree_on_stream(seed, NAIVE_NO_MISTAKE, where), "seed %llu: %s",
                  (unsigned long long)seed, where);
}

/* The comparison can fail: each deliberate mistake is found. */
Test(naive, notices_every_mistake)
{
    char where[1024];
    for (int mistake = 1; mistake < NAIVE_MISTAKES; mistake++) {
        uint64_t seed = 0;
        while (seed < STREAMS && agree_on_stream(seed, (enum naive_mistake)mistake, where))
            seed++;
        cr_assert(seed < STREAMS, "mistake %d was not noticed", mistake);
    }
}

/* A long run, where it is asked for: ECSHIST_STREAMS=100000 ECSHIST_SEED=7. */
Test(naive, agrees_on_as_many_as_wanted)
{
    const char *wanted = getenv("ECSHIST_STREAMS");
    const char *first = getenv("ECSHIST_SEED");
    uint64_t start = first == NULL ? 0 : strtoull(first, NULL, 10);
    uint64_t count = wanted == NULL ? 0 : strtoull(wanted, NULL, 10);
    char where[1024];
    for (uint64_t seed = start; seed < start + count; seed++)
        cr_assert(agree_on_stream(seed, NAIVE_NO_MISTAKE, where), "seed %llu: %s",
                  (unsigned long long)seed, where);
}
