/*
 * From a record to a checked, typed event. What each type of event holds is one table of readers by
 * member; the envelope comes first, since the members are checked against its subject.
 */
#include "codec/members.h"
#include "codec/record.h"

#include <assert.h>
#include <ecshist/limits.h>

#define TYPE(name) (UINT32_C(1) << EHI_##name)
#define EVERY_REASON                                                                               \
    (TYPE(TASK_FAILED) | TYPE(ALARM_TRIGGERED) | TYPE(STOP_REQUESTED) | TYPE(ROLLBACK_STARTED) |   \
     TYPE(ROLLBACK_SUCCEEDED) | TYPE(ROLLBACK_FAILED) | TYPE(DEPLOYMENT_SUCCEEDED) |               \
     TYPE(DEPLOYMENT_STOPPED) | TYPE(SERVICE_DELETED))
#define FIRSTS (TYPE(DEPLOYMENT_CREATED) | TYPE(DEPLOYMENT_STARTED))
#define TASKS (TYPE(TASK_FAILED) | TYPE(TASK_HEALTHY))

typedef int (*event_member_fn)(struct ehi_reader *r, const struct ehi_place *at,
                               struct ehi_event *event);

static int read_target_arn(struct ehi_reader *r, const struct ehi_place *at,
                           struct ehi_event *event)
{
    return ehi_read_revision_arn(r, at, &event->target_arn);
}

static int check_no_twins(struct ehi_reader *r, const struct ehi_place *at,
                          const struct ehi_event *event)
{
    for (uint32_t i = 1; i < event->source_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            struct ehi_place here = {at, EHI_KEY_UNKNOWN, i};
            if (ehi_slice_equal(event->sources[i], event->sources[j]))
                return ehi_refuse(r, &here, ECSHIST_INVALID, "is there twice");
        }
    }
    return ECSHIST_OK;
}

static int read_sources(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    event->has_sources = true;
    int rc = ehi_read_texts(r, at, ECSHIST_MAX_SOURCE_REVISIONS, "source revisions",
                            ehi_read_revision_arn, &event->sources, &event->source_count);
    return rc == ECSHIST_OK ? check_no_twins(r, at, event) : rc;
}

static int read_configuration(struct ehi_reader *r, const struct ehi_place *at,
                              struct ehi_event *event)
{
    return ehi_read_configuration(r, at, &event->configuration);
}

static int read_desired(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    event->has_desired = true;
    return ehi_read_count(r, at, &event->desired_count);
}

static int read_created_at(struct ehi_reader *r, const struct ehi_place *at,
                           struct ehi_event *event)
{
    return ehi_read_time(r, at, &event->created_at_us);
}

/* Each of T and S at the most once would be T and S: longer lists are refused unseen. */
static int read_updates(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    uint32_t count;
    int rc = ehi_open_list(r, at, ECSHIST_MAX_SOURCE_REVISIONS + 1, "revisions", &count);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_summary_update *updates = ehi_arena_array(r->arena, count, sizeof(*updates));
    if (updates == NULL)
        return ehi_fail_memory(r->error);
    for (uint32_t i = 0; i < count; i++) {
        struct ehi_place here = {at, EHI_KEY_UNKNOWN, i};
        rc = ehi_read_summary(r, &here, &updates[i]);
        if (rc != ECSHIST_OK)
            return rc;
    }
    ehi_cursor_close(&r->cursor);
    event->updates = updates;
    event->update_count = count;
    return ECSHIST_OK;
}

static int read_task_arn(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    return ehi_read_task_arn(r, at, &event->task_arn);
}

static int read_revision_arn(struct ehi_reader *r, const struct ehi_place *at,
                             struct ehi_event *event)
{
    return ehi_read_revision_arn(r, at, &event->revision_arn);
}

static int read_reason(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    return ehi_read_text(r, at, &event->reason);
}

/* Checked, kept in the body, of no meaning to folding. */
static int check_text(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    (void)event;
    struct ehi_slice text;
    return ehi_read_text(r, at, &text);
}

static int check_integer(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    (void)event;
    int64_t integer;
    return ehi_read_integer(r, at, &integer);
}

static int read_alarm_names(struct ehi_reader *r, const struct ehi_place *at,
                            struct ehi_event *event)
{
    return ehi_read_alarm_names(r, at, &event->alarm_names, &event->alarm_count);
}

static int read_stage(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    return ehi_read_enum(r, at, EHI_ENUM_STAGE, &event->stage);
}

static int read_hook(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    return ehi_read_hook(r, at, &event->hook);
}

static int read_hook_id(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    return ehi_read_nonempty(r, at, &event->hook_id);
}

static int read_action(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    return ehi_read_enum(r, at, EHI_ENUM_HOOK_ACTION, &event->action);
}

static int read_stop_type(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    return ehi_read_enum(r, at, EHI_ENUM_STOP_TYPE, &event->stop_type);
}

/*
 * A revision's document: what it says of itself must agree, and an observed one has its own
 * createdAt.
 */
static int document_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct ehi_event *event = into;
    switch (at->key) {
    case EHI_KEY_serviceRevisionArn:
    case EHI_KEY_serviceArn:
    case EHI_KEY_clusterArn:
        return ehi_read_agreeing_arn(r, at);
    case EHI_KEY_createdAt:
        if (event->type == EHI_REVISION_OBSERVED)
            return ehi_read_time(r, at, &event->document_created_at_us);
        return ehi_read_past(r);
    default:
        return ehi_read_past(r);
    }
}

static int read_document(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    const uint8_t *start = r->cursor.next;
    int rc = ehi_read_object(r, at, document_member, event);
    if (rc == ECSHIST_OK)
        event->document = ehi_slice(start, (size_t)(r->cursor.next - start));
    return rc;
}

static int read_observed(struct ehi_reader *r, const struct ehi_place *at, struct ehi_event *event)
{
    struct ehi_deployment *observed = ehi_arena_alloc(r->arena, sizeof(*observed));
    if (observed == NULL)
        return ehi_fail_memory(r->error);
    event->observed = observed;
    return ehi_read_observed(r, at, observed);
}

/* By member: the types it belongs to, and how it is read. */
static const struct {
    uint32_t types;
    event_member_fn read;
} members[EHI_BODY_KEY_MAX + 1] = {
    [EHI_KEY_targetServiceRevisionArn] = {FIRSTS, read_target_arn},
    [EHI_KEY_sourceServiceRevisionArns] = {FIRSTS, read_sources},
    [EHI_KEY_deploymentConfiguration] = {FIRSTS, read_configuration},
    [EHI_KEY_desiredCount] = {FIRSTS | TYPE(TASKS_UPDATED), read_desired},
    [EHI_KEY_createdAt] = {TYPE(DEPLOYMENT_STARTED), read_created_at},
    [EHI_KEY_serviceRevisions] = {TYPE(TASKS_UPDATED), read_updates},
    [EHI_KEY_taskArn] = {TASKS, read_task_arn},
    [EHI_KEY_serviceRevisionArn] = {TASKS | TYPE(ROLLBACK_STARTED), read_revision_arn},
    [EHI_KEY_reason] = {EVERY_REASON, read_reason},
    [EHI_KEY_stopCode] = {TYPE(TASK_FAILED), check_text},
    [EHI_KEY_exitCode] = {TYPE(TASK_FAILED), check_integer},
    [EHI_KEY_containerName] = {TYPE(TASK_FAILED), check_text},
    [EHI_KEY_alarmNames] = {TYPE(ALARM_TRIGGERED), read_alarm_names},
    [EHI_KEY_lifecycleStage] = {TYPE(STAGE_CHANGED), read_stage},
    [EHI_KEY_hook] = {TYPE(HOOK_UPDATED), read_hook},
    [EHI_KEY_hookId] = {TYPE(HOOK_ACTION_REQUESTED), read_hook_id},
    [EHI_KEY_action] = {TYPE(HOOK_ACTION_REQUESTED), read_action},
    [EHI_KEY_stopType] = {TYPE(STOP_REQUESTED), read_stop_type},
    [EHI_KEY_requestedBy] = {TYPE(HOOK_ACTION_REQUESTED) | TYPE(STOP_REQUESTED), check_text},
    [EHI_KEY_revision] = {TYPE(REVISION_CREATED), read_document},
    [EHI_KEY_serviceRevision] = {TYPE(REVISION_OBSERVED), read_document},
    [EHI_KEY_serviceDeployment] = {TYPE(DEPLOYMENT_OBSERVED), read_observed},
};

/* By type: the members it cannot do without. Their numbers are all below 64. */
#define MEMBER(name) (UINT64_C(1) << EHI_KEY_##name)
static const uint64_t required[EHI_EVENT_TYPE_MAX + 1] = {
    [EHI_REVISION_CREATED] = MEMBER(revision),
    [EHI_DEPLOYMENT_CREATED] = MEMBER(targetServiceRevisionArn),
    [EHI_TASKS_UPDATED] = MEMBER(serviceRevisions),
    [EHI_TASK_FAILED] = MEMBER(taskArn),
    [EHI_TASK_HEALTHY] = MEMBER(taskArn),
    [EHI_ALARM_TRIGGERED] = MEMBER(alarmNames),
    [EHI_STAGE_CHANGED] = MEMBER(lifecycleStage),
    [EHI_HOOK_UPDATED] = MEMBER(hook),
    [EHI_HOOK_ACTION_REQUESTED] = MEMBER(hookId),
    [EHI_DEPLOYMENT_OBSERVED] = MEMBER(serviceDeployment),
    [EHI_REVISION_OBSERVED] = MEMBER(serviceRevision),
};

struct body_reading {
    struct ehi_event *event;
    uint64_t seen[EHI_KEY_COUNT / 64 + 1]; /* a bit for each member of the dictionary */
};

/* What the record's header holds has been seen: an event would have it twice. */
static uint64_t seen_in_envelope(enum ehi_arn_kind subject)
{
    static const uint64_t subjects[] = {[EHI_ARN_DEPLOYMENT] = MEMBER(serviceDeploymentArn),
                                        [EHI_ARN_REVISION] = MEMBER(serviceRevisionArn),
                                        [EHI_ARN_SERVICE] = MEMBER(serviceArn)};
    static_assert(EHI_KEY_recordedAt < 64, "the envelope's members are in the first word");
    return MEMBER(id) | MEMBER(type) | MEMBER(time) | MEMBER(seq) | MEMBER(recordedAt) |
           subjects[subject];
}

static int check_first(struct ehi_reader *r, const struct ehi_place *at,
                       struct body_reading *reading)
{
    uint64_t *seen = &reading->seen[at->key / 64], bit = UINT64_C(1) << (at->key % 64);
    if ((*seen & bit) != 0)
        return ehi_refuse(r, at, ECSHIST_INVALID, "is there twice");
    *seen |= bit;
    return ECSHIST_OK;
}

/* A member the type does not define: ARNs must agree all the same, others are not looked at. */
static int read_other(struct ehi_reader *r, const struct ehi_place *at,
                      const struct ehi_event *event)
{
    bool repeats = at->key == EHI_KEY_serviceDeploymentArn ||
                   at->key == EHI_KEY_serviceRevisionArn || at->key == EHI_KEY_serviceArn ||
                   at->key == EHI_KEY_clusterArn;
    if (repeats && event->arn.kind != 0)
        return ehi_read_agreeing_arn(r, at);
    return ehi_read_past(r);
}

static int body_member(struct ehi_reader *r, const struct ehi_place *at, void *into)
{
    struct body_reading *reading = into;
    struct ehi_event *event = reading->event;
    if (at->key == EHI_KEY_UNKNOWN)
        return ehi_read_past(r);
    int rc = check_first(r, at, reading);
    if (rc != ECSHIST_OK)
        return rc;
    if (at->key <= EHI_BODY_KEY_MAX && (members[at->key].types >> event->type & 1) != 0)
        return members[at->key].read(r, at, event);
    return read_other(r, at, event);
}

static int check_required(struct ehi_reader *r, const struct body_reading *reading)
{
    uint64_t missing = required[reading->event->type] & ~reading->seen[0];
    if (missing == 0)
        return ECSHIST_OK;
    struct ehi_place at = {NULL, __builtin_ctzll(missing), 0};
    return ehi_refuse(r, &at, ECSHIST_INVALID, "is required");
}

static int read_body(struct ehi_reader *r, struct ehi_event *event)
{
    struct body_reading reading = {.event = event, .seen = {seen_in_envelope(event->arn.kind)}};
    struct ehi_value body = {.kind = EHI_VALUE_MAP, .count = 0};
    if (!ehi_cursor_small_map(&r->cursor, &body.count) &&
        (!ehi_cursor_read(&r->cursor, &body) || body.kind != EHI_VALUE_MAP))
        return ehi_refuse_malformed(r);
    int rc = ehi_read_members(r, NULL, body.count, body_member, &reading);
    if (rc != ECSHIST_OK)
        return rc;
    if (!ehi_cursor_done(&r->cursor))
        return ehi_refuse_malformed(r);
    return check_required(r, &reading);
}

/* The envelope. */

static int refuse_record(struct ecshist_error *error, const char *what)
{
    return ehi_fail(error, ECSHIST_INVALID, "not the record of an event: %s", what);
}

static bool time_valid(int64_t time_us)
{
    return time_us >= 0 && time_us <= ECSHIST_MAX_TIME_US;
}

static int decode_header(struct ehi_slice record, struct ehi_event *event,
                         struct ecshist_error *error)
{
    if (!ehi_record_whole(record) || ehi_get_le32(record.data + EHI_REC_BYTES) != record.length)
        return refuse_record(error, "its lengths do not fit");
    event->seq = ehi_get_le64(record.data + EHI_REC_SEQ);
    event->recorded_at_us = (int64_t)ehi_get_le64(record.data + EHI_REC_RECORDED_AT);
    event->time_us = (int64_t)ehi_get_le64(record.data + EHI_REC_TIME);
    event->flags = ehi_get_le16(record.data + EHI_REC_FLAGS);
    int type = ehi_get_le16(record.data + EHI_REC_TYPE);
    if (type < 1 || type > EHI_EVENT_TYPE_MAX)
        return refuse_record(error, "its type is none of this format");
    event->type = (enum ehi_event_type)type;
    if (event->seq > INT64_MAX)
        return refuse_record(error, "its seq is out of range");
    if (!time_valid(event->time_us) || !time_valid(event->recorded_at_us))
        return refuse_record(error, "a time is out of range");
    return ECSHIST_OK;
}

static int slice_parts(struct ehi_slice record, struct ehi_event *event,
                       struct ecshist_error *error)
{
    size_t subject = ehi_get_le16(record.data + EHI_REC_SUBJECT_BYTES);
    size_t id = ehi_get_le16(record.data + EHI_REC_ID_BYTES);
    const uint8_t *parts = record.data + EHI_RECORD_HEADER_BYTES;
    event->subject = ehi_slice(parts, subject);
    event->id = ehi_slice(parts + subject, id);
    event->body = ehi_slice(parts + subject + id, ehi_get_le32(record.data + EHI_REC_BODY_BYTES));
    if (id > ECSHIST_MAX_ID_BYTES || (id != 0 && !ehi_text_valid(event->id)))
        return refuse_record(error, "its id is too long, or not UTF-8");
    return ECSHIST_OK;
}

static int parse_subject(struct ehi_event *event, struct ecshist_error *error)
{
    enum ehi_arn_kind kind = ehi_event_subject_kind(event->type);
    if (kind == 0)
        return event->subject.length == 0 ? ECSHIST_OK
                                          : refuse_record(error, "its type has no subject");
    int rc = ehi_arn_parse_as(kind, event->subject, &event->arn, error);
    if (rc == ECSHIST_OK)
        return rc;
    return ehi_at(error, rc, "%s", (const char *)ehi_key_name(ehi_subject_key(event->type)).data);
}

int ehi_event_decode_envelope(struct ehi_slice record, struct ehi_event *out,
                              struct ecshist_error *error)
{
    ehi_clear(out, sizeof(*out));
    out->created_at_us = EHI_TIME_NONE;
    out->document_created_at_us = EHI_TIME_NONE;
    out->hook.expires_at_us = EHI_TIME_NONE;
    ehi_configuration_fill(&out->configuration);
    int rc = decode_header(record, out, error);
    if (rc == ECSHIST_OK)
        rc = slice_parts(record, out, error);
    if (rc == ECSHIST_OK)
        rc = parse_subject(out, error);
    return rc;
}

/* In place: the struct is a large one. */
int ehi_event_decode(struct ehi_slice record, struct ehi_arena *arena, struct ehi_event *out,
                     struct ecshist_error *error)
{
    int rc = ehi_event_decode_envelope(record, out, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_reader reader = {.cursor = ehi_cursor_of(out->body, ECSHIST_MAX_NESTING),
                                .arena = arena,
                                .subject = &out->arn,
                                .error = error};
    out->action = EHI_ACTION_CONTINUE;
    out->stop_type = EHI_STOP_ROLLBACK;
    return read_body(&reader, out);
}
