/*
 * Deployments as JSON, straight from their states: what view/value.c and json/write.c make together, without the values
 * between them. What is rare (members that we do not know, a configuration that is not in the order of its shape) is theirs:
 * then nothing is written here, and the caller asks them.
 */
#include "api/direct.h"

#include "codec/cursor.h"
#include "model/names.h"
#include "model/shapes.h"

#include <ecshist/limits.h>

/* -- small things ------------------------------------------------------------------------------ */

#define TEXT(o, name, slice)                                                                       \
    do {                                                                                           \
        if ((slice).data != NULL) {                                                                \
            EHI_JSON_NAME(o, name);                                                                \
            ehi_json_text(o, slice);                                                               \
        }                                                                                          \
    } while (0)
#define PLAIN(o, name, slice) (EHI_JSON_NAME(o, name), ehi_json_text_plain(o, slice))
#define INTEGER(o, name, number) (EHI_JSON_NAME(o, name), ehi_json_integer(o, number))
#define REAL(o, name, number) (EHI_JSON_NAME(o, name), ehi_json_real(o, number))
#define TIME(o, name, time_us)                                                                     \
    do {                                                                                           \
        if ((time_us) != EHI_TIME_NONE) {                                                          \
            EHI_JSON_NAME(o, name);                                                                \
            ehi_json_time(o, time_us);                                                             \
        }                                                                                          \
    } while (0)
#define NAME(o, name, which, number)                                                               \
    do {                                                                                           \
        struct ehi_slice word = ehi_enum_text(which, number);                                      \
        if (word.data != NULL) {                                                                   \
            EHI_JSON_NAME(o, name);                                                                \
            ehi_json_text_plain(o, word);                                                          \
        }                                                                                          \
    } while (0)

/* -- documents that are in order --------------------------------------------------------------- */

static bool put_stored(struct ehi_json_out *o, struct ehi_cursor *c, unsigned shape);

/* The next member of a map. *place: of the one before it in the shape, -1: none; then of this one. */
static bool put_member(struct ehi_json_out *o, struct ehi_cursor *c, unsigned shape, int *place,
                       struct ehi_member_key *key)
{
    unsigned within = 0;
    if (!ehi_cursor_key(c, key))
        return false;
    int at = shape == 0 ? *place + 1 : ehi_shape_place(shape, key->name, &within);
    if (at <= *place)
        return false;
    *place = at;
    ehi_json_next(o);
    if (key->number != 0)
        ehi_json_text_plain(o, key->name);
    else
        ehi_json_text(o, key->name);
    ehi_json_raw(o, ": ", 2);
    return put_stored(o, c, within);
}

static bool put_stored_map(struct ehi_json_out *o, struct ehi_cursor *c, uint32_t count,
                           unsigned shape)
{
    struct ehi_member_key key;
    int place = -1;
    ehi_json_open(o, '{');
    for (uint32_t i = 0; i < count; i++) {
        if (!put_member(o, c, shape, &place, &key))
            return false;
    }
    ehi_json_close(o, '}');
    ehi_cursor_close(c);
    return true;
}

static bool put_stored_list(struct ehi_json_out *o, struct ehi_cursor *c, uint32_t count,
                            unsigned shape)
{
    ehi_json_open(o, '[');
    for (uint32_t i = 0; i < count; i++) {
        ehi_json_next(o);
        if (!put_stored(o, c, shape))
            return false;
    }
    ehi_json_close(o, ']');
    ehi_cursor_close(c);
    return true;
}

/* Numbers below 128 and the booleans, which are most of what stands in a configuration. */
static bool put_short(struct ehi_json_out *o, struct ehi_cursor *c)
{
    if (c->next == c->end)
        return false;
    uint8_t mark = *c->next;
    if (mark < 0x80)
        ehi_json_integer(o, mark);
    else if (mark == 0xc3)
        ehi_json_raw(o, "true", 4);
    else if (mark == 0xc2)
        ehi_json_raw(o, "false", 5);
    else
        return false;
    c->next++;
    return true;
}

/* Recurses no deeper than the cursor allows. */
static bool put_stored(struct ehi_json_out *o, struct ehi_cursor *c, unsigned shape)
{
    struct ehi_value value;
    if (put_short(o, c))
        return true;
    if (!ehi_cursor_read(c, &value))
        return false;
    if (value.kind == EHI_VALUE_MAP)
        return put_stored_map(o, c, value.count, shape);
    if (value.kind == EHI_VALUE_ARRAY)
        return put_stored_list(o, c, value.count, shape);
    ehi_json_value(o, &value);
    return true;
}

/* false also where one of the two members lacks that have defaults: those stand within the others. */
static bool put_configuration(struct ehi_json_out *o, struct ehi_slice document)
{
    struct ehi_cursor c = ehi_cursor_of(document, ECSHIST_MAX_NESTING);
    struct ehi_value map;
    if (!ehi_cursor_read(&c, &map) || map.kind != EHI_VALUE_MAP)
        return false;
    int place = -1, found = 0;
    EHI_JSON_NAME(o, "deploymentConfiguration");
    ehi_json_open(o, '{');
    for (uint32_t i = 0; i < map.count; i++) {
        struct ehi_member_key key;
        if (!put_member(o, &c, EHI_SHAPE_DEPLOYMENT_CONFIGURATION, &place, &key))
            return false;
        found += ehi_slice_is(key.name, "maximumPercent") ||
                 ehi_slice_is(key.name, "minimumHealthyPercent");
    }
    ehi_json_close(o, '}');
    return found == 2 && ehi_cursor_done(&c);
}

/* -- deployments ------------------------------------------------------------------------------- */

static void put_summary(struct ehi_json_out *o, const struct ehi_revision_summary *s)
{
    ehi_json_open(o, '{');
    TEXT(o, "arn", s->arn);
    INTEGER(o, "requestedTaskCount", s->requested);
    INTEGER(o, "runningTaskCount", s->running);
    INTEGER(o, "pendingTaskCount", s->pending);
    if (s->has_test_weight)
        REAL(o, "requestedTestTrafficWeight", s->test_weight);
    if (s->has_production_weight)
        REAL(o, "requestedProductionTrafficWeight", s->production_weight);
    ehi_json_close(o, '}');
}

static void put_summaries(struct ehi_json_out *o, const struct ehi_deployment *d)
{
    EHI_JSON_NAME(o, "sourceServiceRevisions");
    ehi_json_open(o, '[');
    for (uint32_t i = 0; i < d->source_count; i++) {
        ehi_json_next(o);
        put_summary(o, &d->sources[i]);
    }
    ehi_json_close(o, ']');
    EHI_JSON_NAME(o, "targetServiceRevision");
    put_summary(o, &d->target);
}

static void put_hook(struct ehi_json_out *o, const struct ehi_hook *hook)
{
    ehi_json_open(o, '{');
    TEXT(o, "hookId", hook->id);
    NAME(o, "targetType", EHI_ENUM_HOOK_TARGET, hook->target_type);
    TEXT(o, "targetArn", hook->target_arn);
    NAME(o, "status", EHI_ENUM_HOOK_STATUS, hook->status);
    TIME(o, "expiresAt", hook->expires_at_us);
    NAME(o, "timeoutAction", EHI_ENUM_HOOK_ACTION, hook->timeout_action);
    ehi_json_close(o, '}');
}

static void put_hooks(struct ehi_json_out *o, const struct ehi_deployment *d)
{
    if (d->hook_count == 0)
        return;
    EHI_JSON_NAME(o, "lifecycleHookDetails");
    ehi_json_open(o, '[');
    for (uint32_t i = 0; i < d->hook_count; i++) {
        ehi_json_next(o);
        put_hook(o, &d->hooks[i]);
    }
    ehi_json_close(o, ']');
}

static void put_rollback(struct ehi_json_out *o, const struct ehi_deployment *d)
{
    if (!d->has_rollback)
        return;
    EHI_JSON_NAME(o, "rollback");
    ehi_json_open(o, '{');
    TEXT(o, "reason", d->rollback_reason);
    TIME(o, "startedAt", d->rollback_started_at_us);
    TEXT(o, "serviceRevisionArn", d->rollback_revision_arn);
    ehi_json_close(o, '}');
}

static void put_texts(struct ehi_json_out *o, const struct ehi_slice *texts, uint32_t count)
{
    ehi_json_open(o, '[');
    for (uint32_t i = 0; i < count; i++) {
        ehi_json_next(o);
        ehi_json_text(o, texts[i]);
    }
    ehi_json_close(o, ']');
}

static void put_monitors(struct ehi_json_out *o, const struct ehi_deployment *d)
{
    EHI_JSON_NAME(o, "deploymentCircuitBreaker");
    ehi_json_open(o, '{');
    NAME(o, "status", EHI_ENUM_MONITOR, d->breaker_status);
    INTEGER(o, "failureCount", d->failure_count);
    INTEGER(o, "threshold", d->threshold);
    ehi_json_close(o, '}');
    EHI_JSON_NAME(o, "alarms");
    ehi_json_open(o, '{');
    NAME(o, "status", EHI_ENUM_MONITOR, d->alarm_status);
    if (d->alarm_count != 0) {
        EHI_JSON_NAME(o, "alarmNames");
        put_texts(o, d->alarm_names, d->alarm_count);
    }
    if (d->triggered_count != 0) {
        EHI_JSON_NAME(o, "triggeredAlarmNames");
        put_texts(o, d->triggered_alarms, d->triggered_count);
    }
    ehi_json_close(o, '}');
}

static bool has_unknown(const struct ehi_deployment *d)
{
    bool any = d->extra.length != 0;
    for (uint32_t i = 0; i < d->hook_count; i++)
        any = any || d->hooks[i].extra.length != 0;
    return any;
}

/* These three were parsed: they need no escapes. */
static void put_arns(struct ehi_json_out *o, const struct ehi_deployment *d,
                     const struct ehi_owner *owner)
{
    PLAIN(o, "serviceDeploymentArn", d->arn);
    PLAIN(o, "serviceArn", owner->service);
    PLAIN(o, "clusterArn", owner->cluster);
}

bool api_put_deployment(struct ehi_json_out *o, const struct ehi_deployment *d,
                        const struct ehi_owner *owner)
{
    if (has_unknown(d))
        return false;
    ehi_json_open(o, '{');
    put_arns(o, d, owner);
    TIME(o, "createdAt", d->created_at_us);
    TIME(o, "startedAt", d->started_at_us);
    TIME(o, "finishedAt", d->finished_at_us);
    TIME(o, "stoppedAt", d->stopped_at_us);
    TIME(o, "updatedAt", d->updated_at_us);
    put_summaries(o, d);
    NAME(o, "status", EHI_ENUM_STATUS, d->status);
    TEXT(o, "statusReason", d->status_reason);
    NAME(o, "lifecycleStage", EHI_ENUM_STAGE, d->stage);
    put_hooks(o, d);
    if (!put_configuration(o, d->configuration.document))
        return false;
    put_rollback(o, d);
    put_monitors(o, d);
    ehi_json_close(o, '}');
    return true;
}

bool api_put_brief(struct ehi_json_out *o, const struct ehi_deployment *d,
                   const struct ehi_owner *owner)
{
    ehi_json_open(o, '{');
    put_arns(o, d, owner);
    TIME(o, "startedAt", d->started_at_us);
    TIME(o, "createdAt", d->created_at_us);
    TIME(o, "finishedAt", d->finished_at_us);
    TEXT(o, "targetServiceRevisionArn", d->target.arn);
    NAME(o, "status", EHI_ENUM_STATUS, d->status);
    TEXT(o, "statusReason", d->status_reason);
    ehi_json_close(o, '}');
    return true;
}

/* -- answers ----------------------------------------------------------------------------------- */

static bool put_item(struct ehi_json_out *o, const struct ehi_answer *answer, size_t index)
{
    const struct ehi_deployment *d = &answer->deployments[index];
    const struct ehi_owner *owner = &answer->owners[index];
    return answer->kind == EHI_ANSWER_LIST ? api_put_brief(o, d, owner)
                                           : api_put_deployment(o, d, owner);
}

static void put_failures(struct ehi_json_out *o, const struct ehi_answer *answer)
{
    EHI_JSON_NAME(o, "failures");
    ehi_json_open(o, '[');
    for (size_t i = 0; i < answer->failure_count; i++) {
        ehi_json_next(o);
        ehi_json_open(o, '{');
        TEXT(o, "arn", answer->failures[i].arn);
        PLAIN(o, "reason", EHI_SLICE_LITERAL("MISSING"));
        ehi_json_close(o, '}');
    }
    ehi_json_close(o, ']');
}

static bool put_all(struct ehi_json_out *o, const struct ehi_answer *answer)
{
    ehi_json_open(o, '{');
    EHI_JSON_NAME(o, "serviceDeployments");
    ehi_json_open(o, '[');
    for (size_t i = 0; i < answer->count; i++) {
        ehi_json_next(o);
        if (!put_item(o, answer, i))
            return false;
    }
    ehi_json_close(o, ']');
    if (answer->kind == EHI_ANSWER_DEPLOYMENTS)
        put_failures(o, answer);
    if (answer->next_token != NULL)
        PLAIN(o, "nextToken", ehi_slice_text(answer->next_token));
    ehi_json_close(o, '}');
    return true;
}

bool api_put_answer(const struct ehi_answer *answer, size_t index,
                    const struct ehi_json_style *style, struct ehi_buffer *text)
{
    if (answer->kind != EHI_ANSWER_LIST && answer->kind != EHI_ANSWER_DEPLOYMENTS)
        return false;
    struct ehi_json_out o = {.text = text, .style = *style};
    /* What an item takes as a rule: the text is not moved while it grows. */
    enum { ITEM_BYTES = 2000, BRIEF_BYTES = 900 };
    size_t item = answer->kind == EHI_ANSWER_LIST ? BRIEF_BYTES : ITEM_BYTES;
    size_t count = index == API_ALL ? answer->count : 1;
    if (ehi_buffer_room(text, 100 + count * item) == NULL)
        return false;
    bool done = index == API_ALL ? put_all(&o, answer) : put_item(&o, answer, index);
    ehi_json_raw(&o, "", 1);
    return done && !o.failed;
}
