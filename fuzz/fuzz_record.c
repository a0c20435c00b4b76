/*
 * Any bytes as a record: as they are; with lengths and checksum repaired, so that what lies behind
 * them is reached; and as the body of each type of event. What is decoded comes back as the same
 * event from what is encoded of its value.
 */
#include "codec/expiry.h"
#include "codec/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED = 4711 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static const char *const subjects[] = {
    [EHI_ARN_SERVICE] = "arn:aws:ecs:eu-west-1:123456789012:service/main/web",
    [EHI_ARN_DEPLOYMENT] = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/main/web/d1",
    [EHI_ARN_REVISION] = "arn:aws:ecs:eu-west-1:123456789012:service-revision/main/web/1",
};

/*
 * -- values are the same: members of the event in any order, those within it in their own --------
 */

static bool equal(const struct ehi_value *a, const struct ehi_value *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case EHI_VALUE_NULL:
        return true;
    case EHI_VALUE_BOOL:
        return a->u.boolean == b->u.boolean;
    case EHI_VALUE_INT:
    case EHI_VALUE_TIME:
        return a->u.integer == b->u.integer;
    case EHI_VALUE_DOUBLE:
        return memcmp(&a->u.real, &b->u.real, sizeof(double)) == 0;
    case EHI_VALUE_STRING:
        return ehi_slice_equal(a->u.string, b->u.string);
    case EHI_VALUE_ARRAY:
        for (uint32_t i = 0; i < a->count; i++) {
            if (!equal(&a->u.items[i], &b->u.items[i]))
                return false;
        }
        return true;
    case EHI_VALUE_MAP:
        for (uint32_t i = 0; i < a->count; i++) {
            if (!ehi_slice_equal(a->u.members[i].name, b->u.members[i].name) ||
                !equal(&a->u.members[i].value, &b->u.members[i].value))
                return false;
        }
        return true;
    }
    return false;
}

static bool contains(const struct ehi_value *map, const struct ehi_member *member)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (ehi_slice_equal(map->u.members[i].name, member->name) &&
            equal(&map->u.members[i].value, &member->value))
            return true;
    }
    return false;
}

/* `b` was made of `a`, whose seq and recordedAt were left out. */
static void check_same_members(const struct ehi_value *a, const struct ehi_value *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        check(contains(a, &b->u.members[i]));
    uint32_t stamps = ehi_value_member(a, "seq") != NULL ? 2 : 0;
    check(a->count == b->count + stamps);
}

/*
 * -- there and back -----------------------------------------------------------------------------
 */

/* The time is given as text or a number, never as what a value for output has. */
static void put_time(struct ehi_value *event)
{
    for (uint32_t i = 0; i < event->count; i++) {
        struct ehi_member *member = &event->u.members[i];
        if (!ehi_slice_is(member->name, "time") || member->value.kind != EHI_VALUE_TIME)
            continue;
        member->value.kind = EHI_VALUE_INT;
        member->value.u.integer /= 1000000;
        return;
    }
}

static struct ehi_slice encode(const struct ehi_value *value, struct ehi_arena *arena)
{
    struct ehi_buffer out = {0};
    check(ehi_record_encode(value, &out, NULL) == ECSHIST_OK);
    struct ehi_slice copy = ehi_arena_copy(arena, ehi_buffer_slice(&out));
    check(copy.data != NULL);
    ehi_buffer_free(&out);
    return copy;
}

/* The event, encoded and decoded anew, and its value. */
static struct ehi_event again(struct ehi_value *value, struct ehi_arena *arena,
                              struct ehi_value *out_value)
{
    struct ehi_event event;
    put_time(value);
    check(ehi_event_decode(encode(value, arena), arena, &event, NULL) == ECSHIST_OK);
    check(ehi_event_to_value(&event, arena, out_value, NULL) == ECSHIST_OK);
    return event;
}

/* What a history-expired lists comes back the same from what is written of it. */
static void check_expiry(struct ehi_slice record, struct ehi_arena *arena)
{
    struct ehi_expiry expiry, again;
    struct ehi_buffer out = {0};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_expiry_decode(record, arena, &expiry, &error);
    check(rc == ECSHIST_OK || (rc == ECSHIST_DAMAGED && error.message[0] != '\0'));
    if (rc == ECSHIST_OK)
        rc = ehi_expiry_encode(&expiry, 5, &out, NULL);
    if (rc != ECSHIST_OK) {
        ehi_buffer_free(&out);
        return;
    }
    check(ehi_expiry_decode(ehi_buffer_slice(&out), arena, &again, NULL) == ECSHIST_OK);
    check(again.count == expiry.count && again.cutoff_us == expiry.cutoff_us);
    for (uint32_t i = 0; i < expiry.count; i++) {
        const struct ehi_expired_service *a = &expiry.services[i], *b = &again.services[i];
        check(ehi_slice_equal(a->arn, b->arn) && a->gone == b->gone);
        check(a->deployment_count == b->deployment_count && a->revision_count == b->revision_count);
        for (uint32_t j = 0; j < a->deployment_count; j++)
            check(ehi_slice_equal(a->deployments[j], b->deployments[j]));
        for (uint32_t j = 0; j < a->revision_count; j++)
            check(ehi_slice_equal(a->revisions[j], b->revisions[j]));
    }
    ehi_buffer_free(&out);
}

static void check_decoded(const struct ehi_event *event, struct ehi_arena *arena)
{
    char id[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_value value, second_value, third_value;
    check(ehi_event_to_value(event, arena, &value, NULL) == ECSHIST_OK);
    if (event->type == EHI_HISTORY_EXPIRED) {
        struct ehi_buffer out = {0};
        check(ehi_record_encode(&value, &out, NULL) == ECSHIST_INVALID && out.length == 0);
        return;
    }
    struct ehi_event second = again(&value, arena, &second_value);
    check(ehi_slice_equal(second.id, ehi_event_id(event, id)));
    check(ehi_slice_equal(second.subject, event->subject) && second.type == event->type);
    put_time(&second_value);
    check_same_members(&value, &second_value);
    struct ehi_event third = again(&second_value, arena, &third_value);
    check(ehi_event_same_content(&second, &third));
}

static void try_decode(struct ehi_slice record)
{
    struct ehi_arena arena = {0};
    struct ehi_event event;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_event_decode(record, &arena, &event, &error);
    check(rc == ECSHIST_OK || rc == ECSHIST_INVALID || rc == ECSHIST_LIMIT);
    check(rc == ECSHIST_OK || (error.code == rc && error.message[0] != '\0'));
    if (rc == ECSHIST_OK)
        check_decoded(&event, &arena);
    if (rc == ECSHIST_OK && event.type == EHI_HISTORY_EXPIRED)
        check_expiry(record, &arena);
    ehi_arena_free(&arena);
}

/* Zeroed, `used` rounded up to a multiple of 8; finish_record frees it. */
static uint8_t *new_record(size_t used, size_t *out_length)
{
    *out_length = (used + 7) / 8 * 8;
    uint8_t *record = calloc(1, *out_length);
    check(record != NULL);
    return record;
}

static void finish_record(uint8_t *record, size_t length)
{
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)length);
    uint64_t seq = ehi_get_le64(record + EHI_REC_SEQ) & INT64_MAX;
    int64_t recorded_at = ehi_get_le32(record + EHI_REC_RECORDED_AT);
    ehi_record_stamp(record, seq, recorded_at, ehi_get_le16(record + EHI_REC_FLAGS), SEED);
    check(ehi_record_intact(ehi_slice(record, length), SEED));
    try_decode(ehi_slice(record, length));
    free(record);
}

/* The header's own lengths, as far as there are bytes for them; what is left is the body. */
static void try_repaired(const uint8_t *data, size_t size)
{
    size_t length;
    uint8_t *record = new_record(size, &length);
    memcpy(record, data, size);
    size_t rest = size - EHI_RECORD_HEADER_BYTES;
    size_t subject = ehi_get_le16(record + EHI_REC_SUBJECT_BYTES) % (rest + 1);
    size_t id = ehi_get_le16(record + EHI_REC_ID_BYTES) % (rest - subject + 1);
    ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)subject);
    ehi_put_le16(record + EHI_REC_ID_BYTES, (uint16_t)id);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)(rest - subject - id));
    ehi_put_le64(record + EHI_REC_TIME, ehi_get_le64(record + EHI_REC_TIME) % ECSHIST_MAX_TIME_US);
    finish_record(record, length);
}

static void try_body(int type, const uint8_t *data, size_t size)
{
    enum ehi_arn_kind kind = ehi_event_subject_kind(type);
    struct ehi_slice subject = kind == 0 ? EHI_SLICE_EMPTY : ehi_slice_text(subjects[kind]);
    size_t length;
    uint8_t *record = new_record(EHI_RECORD_HEADER_BYTES + subject.length + size, &length);
    ehi_put_le64(record + EHI_REC_TIME, 5000000);
    ehi_put_le16(record + EHI_REC_TYPE, (uint16_t)type);
    ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)subject.length);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)size);
    if (subject.length != 0)
        memcpy(record + EHI_RECORD_HEADER_BYTES, subject.data, subject.length);
    if (size != 0)
        memcpy(record + EHI_RECORD_HEADER_BYTES + subject.length, data, size);
    finish_record(record, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > ECSHIST_MAX_EVENT_BYTES / 2) /* what is encoded anew may be longer */
        return 0;
    struct ehi_slice bytes = ehi_slice(data, size);
    if (ehi_record_intact(bytes, SEED))
        try_decode(ehi_slice(data, ehi_get_le32(data + EHI_REC_BYTES)));
    try_decode(bytes);
    if (size >= EHI_RECORD_HEADER_BYTES)
        try_repaired(data, size);
    for (int type = 1; type <= EHI_EVENT_TYPE_MAX; type++)
        try_body(type, data, size);
    return 0;
}
