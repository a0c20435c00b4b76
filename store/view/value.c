/*
 * Answers as values: the shapes of the ECS API, members in their order (data of version
 * 2014-11-13). Members that were never set are left out.
 */
#include "view/view.h"

#include "codec/document.h"
#include "codec/record.h"
#include "model/names.h"
#include "model/shapes.h"

enum { DEFAULT_MAXIMUM_PERCENT = 200, DEFAULT_MINIMUM_HEALTHY_PERCENT = 100 };

/* -- making maps ------------------------------------------------------------------------------- */

/*
 * What all of an answer is made with. What failed first is remembered, and asked for once at the
 * end.
 */
struct maker {
    struct ehi_arena *arena;
    struct ecshist_error *error;
    int code;
};

static void fail_memory(struct maker *m)
{
    if (m->code == ECSHIST_OK)
        m->code = ehi_fail_memory(m->error);
}

static void *make_array(struct maker *m, size_t count, size_t size)
{
    void *array = ehi_arena_array(m->arena, count, size);
    if (array == NULL)
        fail_memory(m);
    return array;
}

/* A map with room for `room` members: the caller adds no more. Without memory it stays empty. */
static struct ehi_value begin_map(struct maker *m, size_t room)
{
    struct ehi_value map = {.kind = EHI_VALUE_MAP};
    map.u.members = make_array(m, room, sizeof(struct ehi_member));
    return map;
}

static void add(struct ehi_value *map, const char *name, struct ehi_value value)
{
    if (map->u.members == NULL)
        return;
    map->u.members[map->count++] = (struct ehi_member){ehi_slice_text(name), value};
}

static struct ehi_value text(struct ehi_slice slice)
{
    return (struct ehi_value){.kind = EHI_VALUE_STRING, .u.string = slice};
}

static void add_text(struct ehi_value *map, const char *name, struct ehi_slice slice)
{
    if (slice.data != NULL)
        add(map, name, text(slice));
}

static void add_name(struct ehi_value *map, const char *name, enum ehi_enum which, int number)
{
    const char *word = ehi_enum_name(which, number);
    if (word != NULL)
        add(map, name, text(ehi_slice_text(word)));
}

static void add_integer(struct ehi_value *map, const char *name, int64_t integer)
{
    add(map, name, (struct ehi_value){.kind = EHI_VALUE_INT, .u.integer = integer});
}

static void add_double(struct ehi_value *map, const char *name, double real)
{
    add(map, name, (struct ehi_value){.kind = EHI_VALUE_DOUBLE, .u.real = real});
}

static void add_time(struct ehi_value *map, const char *name, int64_t time_us)
{
    if (time_us != EHI_TIME_NONE)
        add(map, name, (struct ehi_value){.kind = EHI_VALUE_TIME, .u.integer = time_us});
}

static struct ehi_value begin_list(struct maker *m, size_t count)
{
    struct ehi_value list = {.kind = EHI_VALUE_ARRAY};
    list.u.items = make_array(m, count, sizeof(struct ehi_value));
    list.count = list.u.items == NULL ? 0 : (uint32_t)count;
    return list;
}

static struct ehi_value text_list(struct maker *m, const struct ehi_slice *texts, uint32_t count)
{
    struct ehi_value list = begin_list(m, count);
    for (uint32_t i = 0; i < list.count; i++)
        list.u.items[i] = text(texts[i]);
    return list;
}

/* A stored document as a map; no members where it is empty. */
static struct ehi_value stored_map(struct maker *m, struct ehi_slice document)
{
    struct ehi_value map = {.kind = EHI_VALUE_MAP};
    if (document.length == 0 || m->code != ECSHIST_OK)
        return map;
    m->code = ehi_document_decode(document, m->arena, &map, m->error);
    if (m->code == ECSHIST_OK && map.kind == EHI_VALUE_MAP)
        return map;
    if (m->code == ECSHIST_OK)
        m->code = ehi_fail(m->error, ECSHIST_DAMAGED, "a stored document is not a map");
    return (struct ehi_value){.kind = EHI_VALUE_MAP};
}

static void add_members(struct ehi_value *map, const struct ehi_value *more)
{
    if (map->u.members == NULL || more->count == 0)
        return;
    memcpy(map->u.members + map->count, more->u.members, more->count * sizeof(struct ehi_member));
    map->count += more->count;
}

static void apply_shape(struct maker *m, enum ehi_shape shape, struct ehi_value *value)
{
    if (m->code == ECSHIST_OK && ehi_shape_apply(shape, value, m->arena) != ECSHIST_OK)
        fail_memory(m);
}

static struct ehi_slice own_text(struct maker *m, struct ehi_slice slice)
{
    struct ehi_slice copy = ehi_arena_copy(m->arena, slice);
    if (copy.data == NULL)
        fail_memory(m);
    return copy;
}

static void add_owner(struct ehi_value *map, const struct ehi_owner *owner)
{
    add_text(map, "serviceArn", owner->service);
    add_text(map, "clusterArn", owner->cluster);
}

/* serviceArn and clusterArn, which the ARN of anything within them says. */
static void add_service_and_cluster(struct maker *m, struct ehi_value *map,
                                    struct ehi_slice arn_text)
{
    struct ehi_arn arn;
    if (m->code != ECSHIST_OK)
        return;
    m->code = ehi_arn_parse(arn_text, &arn, m->error);
    if (m->code != ECSHIST_OK)
        return;
    char buffer[EHI_ARN_BUFFER];
    add_text(map, "serviceArn", own_text(m, ehi_arn_service(&arn, buffer)));
    add_text(map, "clusterArn", own_text(m, ehi_arn_cluster(&arn, buffer)));
}

/* -- deployments ------------------------------------------------------------------------------- */

static struct ehi_value summary_value(struct maker *m, const struct ehi_revision_summary *s)
{
    struct ehi_value map = begin_map(m, 6);
    add_text(&map, "arn", s->arn);
    add_integer(&map, "requestedTaskCount", s->requested);
    add_integer(&map, "runningTaskCount", s->running);
    add_integer(&map, "pendingTaskCount", s->pending);
    if (s->has_test_weight)
        add_double(&map, "requestedTestTrafficWeight", s->test_weight);
    if (s->has_production_weight)
        add_double(&map, "requestedProductionTrafficWeight", s->production_weight);
    return map;
}

static struct ehi_value sources_value(struct maker *m, const struct ehi_deployment *d)
{
    struct ehi_value list = begin_list(m, d->source_count);
    for (uint32_t i = 0; i < list.count; i++)
        list.u.items[i] = summary_value(m, &d->sources[i]);
    return list;
}

static struct ehi_value hook_value(struct maker *m, const struct ehi_hook *hook)
{
    struct ehi_value extra = stored_map(m, hook->extra);
    struct ehi_value map = begin_map(m, 6 + (size_t)extra.count);
    add_text(&map, "hookId", hook->id);
    add_name(&map, "targetType", EHI_ENUM_HOOK_TARGET, hook->target_type);
    add_text(&map, "targetArn", hook->target_arn);
    add_name(&map, "status", EHI_ENUM_HOOK_STATUS, hook->status);
    add_time(&map, "expiresAt", hook->expires_at_us);
    add_name(&map, "timeoutAction", EHI_ENUM_HOOK_ACTION, hook->timeout_action);
    add_members(&map, &extra);
    return map;
}

static void add_hooks(struct maker *m, struct ehi_value *map, const struct ehi_deployment *d)
{
    if (d->hook_count == 0)
        return;
    struct ehi_value list = begin_list(m, d->hook_count);
    for (uint32_t i = 0; i < list.count; i++)
        list.u.items[i] = hook_value(m, &d->hooks[i]);
    add(map, "lifecycleHookDetails", list);
}

/* As it was given, with ECS's defaults for the two members that its clients read without asking. */
static struct ehi_value configuration_value(struct maker *m, const struct ehi_deployment *d)
{
    struct ehi_value given = stored_map(m, d->configuration.document);
    struct ehi_value map = begin_map(m, 2 + (size_t)given.count);
    add_members(&map, &given);
    if (ehi_value_member(&given, "maximumPercent") == NULL)
        add_integer(&map, "maximumPercent", DEFAULT_MAXIMUM_PERCENT);
    if (ehi_value_member(&given, "minimumHealthyPercent") == NULL)
        add_integer(&map, "minimumHealthyPercent", DEFAULT_MINIMUM_HEALTHY_PERCENT);
    apply_shape(m, EHI_SHAPE_DEPLOYMENT_CONFIGURATION, &map);
    return map;
}

static void add_rollback(struct maker *m, struct ehi_value *map, const struct ehi_deployment *d)
{
    if (!d->has_rollback)
        return;
    struct ehi_value rollback = begin_map(m, 3);
    add_text(&rollback, "reason", d->rollback_reason);
    add_time(&rollback, "startedAt", d->rollback_started_at_us);
    add_text(&rollback, "serviceRevisionArn", d->rollback_revision_arn);
    add(map, "rollback", rollback);
}

static struct ehi_value breaker_value(struct maker *m, const struct ehi_deployment *d)
{
    struct ehi_value map = begin_map(m, 3);
    add_name(&map, "status", EHI_ENUM_MONITOR, d->breaker_status);
    add_integer(&map, "failureCount", d->failure_count);
    add_integer(&map, "threshold", d->threshold);
    return map;
}

static struct ehi_value alarms_value(struct maker *m, const struct ehi_deployment *d)
{
    struct ehi_value map = begin_map(m, 3);
    add_name(&map, "status", EHI_ENUM_MONITOR, d->alarm_status);
    if (d->alarm_count != 0)
        add(&map, "alarmNames", text_list(m, d->alarm_names, d->alarm_count));
    if (d->triggered_count != 0)
        add(&map, "triggeredAlarmNames", text_list(m, d->triggered_alarms, d->triggered_count));
    return map;
}

/* ServiceDeployment. */
static struct ehi_value deployment_value(struct maker *m, const struct ehi_deployment *d,
                                         const struct ehi_owner *owner)
{
    struct ehi_value extra = stored_map(m, d->extra);
    struct ehi_value map = begin_map(m, 18 + (size_t)extra.count);
    add_text(&map, "serviceDeploymentArn", d->arn);
    add_owner(&map, owner);
    add_time(&map, "createdAt", d->created_at_us);
    add_time(&map, "startedAt", d->started_at_us);
    add_time(&map, "finishedAt", d->finished_at_us);
    add_time(&map, "stoppedAt", d->stopped_at_us);
    add_time(&map, "updatedAt", d->updated_at_us);
    add(&map, "sourceServiceRevisions", sources_value(m, d));
    add(&map, "targetServiceRevision", summary_value(m, &d->target));
    add_name(&map, "status", EHI_ENUM_STATUS, d->status);
    add_text(&map, "statusReason", d->status_reason);
    add_name(&map, "lifecycleStage", EHI_ENUM_STAGE, d->stage);
    add_hooks(m, &map, d);
    add(&map, "deploymentConfiguration", configuration_value(m, d));
    add_rollback(m, &map, d);
    add(&map, "deploymentCircuitBreaker", breaker_value(m, d));
    add(&map, "alarms", alarms_value(m, d));
    add_members(&map, &extra);
    return map;
}

/* ServiceDeploymentBrief. */
static struct ehi_value brief_value(struct maker *m, const struct ehi_deployment *d,
                                    const struct ehi_owner *owner)
{
    struct ehi_value map = begin_map(m, 9);
    add_text(&map, "serviceDeploymentArn", d->arn);
    add_owner(&map, owner);
    add_time(&map, "startedAt", d->started_at_us);
    add_time(&map, "createdAt", d->created_at_us);
    add_time(&map, "finishedAt", d->finished_at_us);
    add_text(&map, "targetServiceRevisionArn", d->target.arn);
    add_name(&map, "status", EHI_ENUM_STATUS, d->status);
    add_text(&map, "statusReason", d->status_reason);
    return map;
}

/* -- revisions and services -------------------------------------------------------------------- */

/* What a document says of these is not asked: the subject's ARN and the state have it. */
static bool is_from_elsewhere(struct ehi_slice name)
{
    return ehi_slice_is(name, "serviceRevisionArn") || ehi_slice_is(name, "serviceArn") ||
           ehi_slice_is(name, "clusterArn") || ehi_slice_is(name, "createdAt");
}

/* ServiceRevision. */
static struct ehi_value revision_value(struct maker *m, const struct ehi_revision *r)
{
    struct ehi_value document = stored_map(m, r->document);
    struct ehi_value map = begin_map(m, 4 + (size_t)document.count);
    add_text(&map, "serviceRevisionArn", r->arn);
    add_service_and_cluster(m, &map, r->arn);
    for (uint32_t i = 0; i < document.count && map.u.members != NULL; i++) {
        if (!is_from_elsewhere(document.u.members[i].name))
            map.u.members[map.count++] = document.u.members[i];
    }
    add_time(&map, "createdAt", r->created_at_us);
    apply_shape(m, EHI_SHAPE_SERVICE_REVISION, &map);
    return map;
}

static struct ehi_value counts_value(struct maker *m, const struct ehi_service *s)
{
    struct ehi_value map = begin_map(m, 16);
    for (int status = 1; status < 16; status++) {
        const char *name = ehi_enum_name(EHI_ENUM_STATUS, status);
        if (name != NULL && s->by_status[status] != 0)
            add_integer(&map, name, (int64_t)s->by_status[status]);
    }
    return map;
}

static struct ehi_value service_value(struct maker *m, const struct ehi_service *s)
{
    struct ehi_value map = begin_map(m, 5);
    add_service_and_cluster(m, &map, s->arn);
    add(&map, "status", text(ehi_slice_text(s->inactive ? "INACTIVE" : "ACTIVE")));
    add_text(&map, "currentServiceRevisionArn", s->current_revision_arn);
    add(&map, "serviceDeploymentCounts", counts_value(m, s));
    return map;
}

static struct ehi_value event_value(struct maker *m, struct ehi_slice record)
{
    struct ehi_value value = {.kind = EHI_VALUE_MAP};
    struct ehi_event event;
    if (m->code == ECSHIST_OK)
        m->code = ehi_event_decode_envelope(record, &event, m->error);
    if (m->code == ECSHIST_OK)
        m->code = ehi_event_to_value(&event, m->arena, &value, m->error);
    return value;
}

/* -- answers ----------------------------------------------------------------------------------- */

static struct ehi_value item_value(struct maker *m, const struct ehi_answer *answer, size_t index)
{
    switch (answer->kind) {
    case EHI_ANSWER_LIST:
        return brief_value(m, &answer->deployments[index], &answer->owners[index]);
    case EHI_ANSWER_DEPLOYMENTS:
        return deployment_value(m, &answer->deployments[index], &answer->owners[index]);
    case EHI_ANSWER_REVISIONS:
        return revision_value(m, &answer->revisions[index]);
    case EHI_ANSWER_SERVICES:
        return service_value(m, &answer->services[index]);
    case EHI_ANSWER_TIMELINE:
        return event_value(m, answer->records[index]);
    }
    return (struct ehi_value){.kind = EHI_VALUE_NULL};
}

static const char *items_name(enum ehi_answer_kind kind)
{
    switch (kind) {
    case EHI_ANSWER_REVISIONS:
        return "serviceRevisions";
    case EHI_ANSWER_SERVICES:
        return "services";
    case EHI_ANSWER_TIMELINE:
        return "events";
    default:
        return "serviceDeployments";
    }
}

static struct ehi_value failures_value(struct maker *m, const struct ehi_answer *answer)
{
    struct ehi_value list = begin_list(m, answer->failure_count);
    for (uint32_t i = 0; i < list.count; i++) {
        struct ehi_value map = begin_map(m, 2);
        add_text(&map, "arn", answer->failures[i].arn);
        add_text(&map, "reason", EHI_SLICE_LITERAL("MISSING"));
        list.u.items[i] = map;
    }
    return list;
}

int ehi_answer_value(const struct ehi_answer *answer, struct ehi_arena *arena,
                     struct ehi_value *out, struct ecshist_error *error)
{
    struct maker m = {arena, error, ECSHIST_OK};
    struct ehi_value map = begin_map(&m, 2);
    struct ehi_value items = begin_list(&m, answer->count);
    for (uint32_t i = 0; i < items.count && m.code == ECSHIST_OK; i++)
        items.u.items[i] = item_value(&m, answer, i);
    add(&map, items_name(answer->kind), items);
    if (answer->kind == EHI_ANSWER_DEPLOYMENTS || answer->kind == EHI_ANSWER_REVISIONS)
        add(&map, "failures", failures_value(&m, answer));
    if (answer->next_token != NULL)
        add_text(&map, "nextToken", ehi_slice_text(answer->next_token));
    if (m.code == ECSHIST_OK)
        *out = map;
    return m.code;
}

int ehi_answer_item_value(const struct ehi_answer *answer, size_t index, struct ehi_arena *arena,
                          struct ehi_value *out, struct ecshist_error *error)
{
    if (index >= answer->count)
        return ehi_fail(error, ECSHIST_INVALID, "there is no item %zu, there are %zu", index,
                        answer->count);
    struct maker m = {arena, error, ECSHIST_OK};
    struct ehi_value item = item_value(&m, answer, index);
    if (m.code == ECSHIST_OK)
        *out = item;
    return m.code;
}
