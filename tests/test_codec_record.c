/* Records: an event's envelope and body as bytes, stamped, intact or not; and back as a value. */
#include "codec/cursor.h"
#include "codec/record.h"
#include "json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SUBJECT "arn:aws:ecs:eu-west-1:123456789012:service-deployment/main/web/d1"
#define REVISION "arn:aws:ecs:eu-west-1:123456789012:service-revision/main/web/1"
#define STOPPED                                                                                    \
    "\"type\": \"deployment-stopped\", \"time\": 5, \"serviceDeploymentArn\": \"" SUBJECT "\""

enum { SEED = 77 };

static struct ehi_arena arena;

static void free_arena(void)
{
    ehi_arena_free(&arena);
}

TestSuite(codec_record, .fini = free_arena);

static struct ehi_value parse(const char *json)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value value;
    cr_assert_eq(ehi_json_parse(json, strlen(json), &arena, &value, &error), ECSHIST_OK, "%s",
                 error.message);
    return value;
}

static int try_encode(const char *json, struct ehi_slice *out, struct ecshist_error *error)
{
    struct ehi_value value = parse(json);
    struct ehi_buffer buffer = {0};
    int rc = ehi_record_encode(&value, &buffer, error);
    *out = ehi_arena_copy(&arena, ehi_buffer_slice(&buffer));
    cr_assert(rc == ECSHIST_OK || buffer.length == 0);
    ehi_buffer_free(&buffer);
    return rc;
}

/* A record in the arena, that may be written to. */
static struct ehi_slice encode(const char *json)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_slice record;
    cr_assert_eq(try_encode(json, &record, &error), ECSHIST_OK, "%s: %s", error.place,
                 error.message);
    return record;
}

static uint8_t *bytes_of(struct ehi_slice record)
{
    return (uint8_t *)(uintptr_t)record.data;
}

static struct ehi_event decode(struct ehi_slice record)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_event event;
    cr_assert_eq(ehi_event_decode(record, &arena, &event, &error), ECSHIST_OK, "%s: %s",
                 error.place, error.message);
    return event;
}

static void expect_refused(const char *json, int code, const char *place, const char *message)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_slice record;
    cr_assert_eq(try_encode(json, &record, &error), code, "%s: code %d", json, error.code);
    cr_assert_str_eq(error.place, place, "%s", json);
    cr_assert_not_null(strstr(error.message, message), "%s: %s", json, error.message);
}

Test(codec_record, bytes_are_as_written_down)
{
    struct ehi_slice r =
        encode("{\"new\": 7, \"reason\": \"x\", \"id\": \"i\", \"seq\": 9, "
               "\"recordedAt\": 8, \"clusterArn\": "
               "\"arn:aws:ecs:eu-west-1:123456789012:cluster/main\", " STOPPED "}");
    struct ehi_slice body = EHI_SLICE_LITERAL("\x83\x04\xd9\x2f"
                                              "arn:aws:ecs:eu-west-1:123456789012:cluster/main"
                                              "\x0c\xa1x\xa3new\x07");
    size_t used = 48 + sizeof(SUBJECT) - 1 + 1 + body.length;
    cr_assert_eq(r.length, (used + 7) / 8 * 8);
    cr_assert_eq(ehi_get_le32(r.data + EHI_REC_BYTES), r.length);
    cr_assert_eq(ehi_get_le64(r.data + EHI_REC_SEQ), 0u);
    cr_assert_eq(ehi_get_le64(r.data + EHI_REC_RECORDED_AT), 0u);
    cr_assert_eq(ehi_get_le64(r.data + EHI_REC_TIME), 5000000u);
    cr_assert_eq(ehi_get_le16(r.data + EHI_REC_TYPE), EHI_DEPLOYMENT_STOPPED);
    cr_assert_eq(ehi_get_le16(r.data + EHI_REC_FLAGS), 0u);
    cr_assert_eq(ehi_get_le16(r.data + EHI_REC_SUBJECT_BYTES), sizeof(SUBJECT) - 1);
    cr_assert_eq(ehi_get_le16(r.data + EHI_REC_ID_BYTES), 1u);
    cr_assert_eq(ehi_get_le32(r.data + EHI_REC_BODY_BYTES), body.length);
    cr_assert(
        ehi_slice_equal(ehi_slice(r.data + 48, sizeof(SUBJECT)), EHI_SLICE_LITERAL(SUBJECT "i")));
    cr_assert(ehi_slice_equal(ehi_slice(r.data + 48 + sizeof(SUBJECT), body.length), body));
}

Test(codec_record, member_order_does_not_matter_to_known_ones)
{
    struct ehi_slice a =
        encode("{" STOPPED ", \"reason\": \"x\", \"zz\": 1, \"aa\": 2, \"hook\": 3}");
    struct ehi_slice b =
        encode("{\"zz\": 1, \"hook\": 3, \"aa\": 2, \"reason\": \"x\", " STOPPED "}");
    struct ehi_slice c =
        encode("{\"aa\": 2, \"hook\": 3, \"zz\": 1, \"reason\": \"x\", " STOPPED "}");
    cr_assert(ehi_slice_equal(a, b));
    cr_assert_not(ehi_slice_equal(a, c));
}

Test(codec_record, appends_behind_what_is_there)
{
    struct ehi_value value = parse("{" STOPPED "}");
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_buffer_append(&out, "abc", 3), ECSHIST_OK);
    cr_assert_eq(ehi_record_encode(&value, &out, NULL), ECSHIST_OK);
    cr_assert_eq(memcmp(out.data, "abc", 3), 0);
    cr_assert(ehi_slice_equal(ehi_slice(out.data + 3, out.length - 3), encode("{" STOPPED "}")));
    ehi_buffer_free(&out);
}

Test(codec_record, envelope_is_checked)
{
    expect_refused("{}", ECSHIST_INVALID, "type", "is required");
    expect_refused("{\"type\": 1}", ECSHIST_INVALID, "type", "must be a string");
    expect_refused("{\"type\": \"nope\"}", ECSHIST_INVALID, "type", "\"nope\"");
    expect_refused("{\"type\": \"history-expired\", \"time\": 1}", ECSHIST_INVALID, "type",
                   "history-expired is written by the store only");
    expect_refused("{\"type\": \"task-failed\"}", ECSHIST_INVALID, "time", "is required");
    expect_refused("{\"type\": \"task-failed\", \"time\": true}", ECSHIST_INVALID, "time", "");
    expect_refused("{\"type\": \"task-failed\", \"time\": \"x\"}", ECSHIST_INVALID, "time", "3339");
    expect_refused("{\"type\": \"task-failed\", \"time\": 1}", ECSHIST_INVALID,
                   "serviceDeploymentArn", "is required");
    expect_refused("{\"type\": \"revision-created\", \"time\": 1}", ECSHIST_INVALID,
                   "serviceRevisionArn", "is required");
    expect_refused("{\"type\": \"service-deleted\", \"time\": 1}", ECSHIST_INVALID, "serviceArn",
                   "is required");
    expect_refused("{\"type\": \"service-deleted\", \"time\": 1, \"serviceArn\": null}",
                   ECSHIST_INVALID, "serviceArn", "must be a string");
    expect_refused("{" STOPPED ", \"id\": \"\"}", ECSHIST_INVALID, "id", "must not be empty");
    expect_refused("{" STOPPED ", \"id\": 7}", ECSHIST_INVALID, "id", "must be a string");
}

Test(codec_record, only_objects_are_events)
{
    struct ehi_buffer out = {0};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value value = {.kind = EHI_VALUE_INT};
    cr_assert_eq(ehi_record_encode(&value, &out, &error), ECSHIST_INVALID);
}

Test(codec_record, a_known_member_twice)
{
    struct ehi_value value = parse("{" STOPPED ", \"reason\": \"x\", \"reaso\": \"y\"}");
    value.u.members[value.count - 1].name = EHI_SLICE_LITERAL("reason");
    struct ehi_buffer out = {0};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(ehi_record_encode(&value, &out, &error), ECSHIST_INVALID);
    cr_assert_str_eq(error.place, "reason");
}

Test(codec_record, id_up_to_its_bound)
{
    char id[130], json[400];
    memset(id, 'x', sizeof(id));
    id[128] = '\0';
    snprintf(json, sizeof(json), "{" STOPPED ", \"id\": \"%s\"}", id);
    cr_assert_eq(decode(encode(json)).id.length, 128u);
    id[128] = 'x';
    id[129] = '\0';
    snprintf(json, sizeof(json), "{" STOPPED ", \"id\": \"%s\"}", id);
    expect_refused(json, ECSHIST_LIMIT, "id", "128");
}

/* An event that takes `bytes` as stored: subject, id and body. */
static char *event_of_size(const char *front, size_t front_stored, size_t bytes)
{
    size_t text = bytes - front_stored;
    char *json = malloc(bytes + 1000);
    int n = sprintf(json, "{%s, \"x\": \"", front);
    memset(json + n, 'a', text);
    strcpy(json + n + text, "\"}");
    return json;
}

Test(codec_record, size_up_to_its_bound)
{
    /* map head, "x" with its head, and the text's head of 3 bytes */
    size_t front = sizeof(SUBJECT) - 1 + 1 + 2 + 3;
    char *json = event_of_size(STOPPED, front, ECSHIST_MAX_EVENT_BYTES);
    struct ehi_slice record = encode(json);
    cr_assert_eq(record.length, 48 + ECSHIST_MAX_EVENT_BYTES);
    free(json);
    json = event_of_size(STOPPED, front, ECSHIST_MAX_EVENT_BYTES + 1);
    expect_refused(json, ECSHIST_LIMIT, "", "65536");
    free(json);
}

Test(codec_record, documents_may_be_larger)
{
#define CREATED                                                                                    \
    "\"type\": \"revision-created\", \"time\": 5, \"revision\": {}, \"serviceRevisionArn\": "      \
    "\"" REVISION "\""
    size_t front = sizeof(REVISION) - 1 + 1 + 2 + 2 + 5;
    char *json = event_of_size(CREATED, front, ECSHIST_MAX_DOCUMENT_EVENT_BYTES);
    cr_assert_eq(encode(json).length, 48 + ECSHIST_MAX_DOCUMENT_EVENT_BYTES);
    free(json);
    json = event_of_size(CREATED, front, ECSHIST_MAX_DOCUMENT_EVENT_BYTES + 1);
    expect_refused(json, ECSHIST_LIMIT, "", "1048576");
    free(json);
}

Test(codec_record, an_arn_too_long)
{
    char json[2000], arn[1100];
    memset(arn, 'a', sizeof(arn));
    arn[1025] = '\0';
    snprintf(json, sizeof(json),
             "{\"type\": \"deployment-stopped\", \"time\": 1, \"serviceDeploymentArn\": \"%s\"}",
             arn);
    expect_refused(json, ECSHIST_LIMIT, "serviceDeploymentArn", "1024");
}

Test(codec_record, nesting_counts_the_event)
{
    char json[1000] = "{" STOPPED ", \"x\": ";
    for (unsigned i = 0; i < ECSHIST_MAX_NESTING - 1; i++)
        strcat(json, "[");
    for (unsigned i = 0; i < ECSHIST_MAX_NESTING - 1; i++)
        strcat(json, "]");
    strcat(json, "}");
    struct ehi_value value = parse(json);
    decode(encode(json));
    /* One level more than JSON's parser would let through. */
    struct ehi_value *inner = &value.u.members[value.count - 1].value;
    struct ehi_value outer = {.kind = EHI_VALUE_ARRAY, .count = 1, .u.items = inner};
    struct ehi_value copy = *inner;
    outer.u.items = &copy;
    *inner = outer;
    struct ehi_buffer out = {0};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(ehi_record_encode(&value, &out, &error), ECSHIST_LIMIT);
    cr_assert_str_eq(error.place, "x");
    cr_assert_eq(out.length, 0u);
    ehi_buffer_free(&out);
}

Test(codec_record, observations_may_name_their_subject_inside)
{
    struct ehi_slice r =
        encode("{\"type\": \"deployment-observed\", \"time\": 1, \"serviceDeployment\": "
               "{\"serviceDeploymentArn\": \"" SUBJECT "\", \"status\": \"PENDING\", "
               "\"targetServiceRevision\": {\"arn\": \"" REVISION "\"}}}");
    cr_assert(ehi_slice_is(decode(r).subject, SUBJECT));
    r = encode("{\"type\": \"revision-observed\", \"time\": 1, \"serviceRevision\": "
               "{\"serviceRevisionArn\": \"" REVISION "\"}}");
    cr_assert(ehi_slice_is(decode(r).subject, REVISION));
    expect_refused("{\"type\": \"revision-observed\", \"time\": 1, \"serviceRevision\": "
                   "{\"serviceRevisionArn\": 5}}",
                   ECSHIST_INVALID, "serviceRevisionArn", "is required");
    expect_refused("{\"type\": \"deployment-observed\", \"time\": 1, \"serviceDeployment\": 5}",
                   ECSHIST_INVALID, "serviceDeploymentArn", "is required");
    expect_refused("{\"type\": \"revision-created\", \"time\": 1, \"revision\": "
                   "{\"serviceRevisionArn\": \"" REVISION "\"}}",
                   ECSHIST_INVALID, "serviceRevisionArn", "is required");
}

Test(codec_record, stamped_is_intact)
{
    struct ehi_slice r = encode("{" STOPPED ", \"id\": \"i\"}");
    ehi_record_stamp(bytes_of(r), 12, 34, EHI_EVENT_IGNORED, SEED);
    cr_assert(ehi_record_intact(r, SEED));
    cr_assert_not(ehi_record_intact(r, SEED + 1));
    struct ehi_event event = decode(r);
    cr_assert_eq(event.seq, 12u);
    cr_assert_eq(event.recorded_at_us, 34);
    cr_assert_eq(event.flags, (unsigned)EHI_EVENT_IGNORED);
    uint32_t checksum = ehi_get_le32(r.data + EHI_REC_CHECKSUM);
    cr_assert_eq(checksum, (uint32_t)ehi_hash64(r.data + 8, r.length - 8, SEED));
}

Test(codec_record, no_bit_may_change)
{
    struct ehi_slice r = encode("{" STOPPED ", \"id\": \"i\"}");
    ehi_record_stamp(bytes_of(r), 12, 34, 0, SEED);
    for (size_t bit = 0; bit < r.length * 8; bit++) {
        bytes_of(r)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(ehi_record_intact(r, SEED), "bit %zu", bit);
        bytes_of(r)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert(ehi_record_intact(r, SEED));
}

static void put_checksum(uint8_t *record)
{
    uint32_t bytes = ehi_get_le32(record);
    ehi_put_le32(record + EHI_REC_CHECKSUM, (uint32_t)ehi_hash64(record + 8, bytes - 8, SEED));
}

Test(codec_record, lengths_must_fit_exactly)
{
    struct ehi_slice r = encode("{" STOPPED ", \"id\": \"ii\"}");
    ehi_record_stamp(bytes_of(r), 12, 34, 0, SEED);
    for (size_t length = 0; length < r.length; length++)
        cr_assert_not(ehi_record_intact(ehi_slice(r.data, length), SEED));
    /* More may follow: the next record. It is no part of this one, and so not for decoding. */
    struct ehi_slice longer = ehi_arena_copy(&arena, ehi_slice(r.data, r.length));
    longer.length = r.length + 1;
    cr_assert(ehi_record_intact(longer, SEED));
    cr_assert_eq(ehi_event_decode(longer, &arena, &(struct ehi_event){0}, NULL), ECSHIST_INVALID);
    /* With a checksum that is right. */
    ehi_put_le16(bytes_of(r) + EHI_REC_ID_BYTES, 50);
    put_checksum(bytes_of(r));
    cr_assert_not(ehi_record_intact(r, SEED));
    ehi_put_le16(bytes_of(r) + EHI_REC_ID_BYTES, 2);
    ehi_put_le32(bytes_of(r) + EHI_REC_BODY_BYTES, UINT32_MAX);
    put_checksum(bytes_of(r));
    cr_assert_not(ehi_record_intact(r, SEED));
}

Test(codec_record, padding_must_be_zero)
{
    struct ehi_slice r = encode("{" STOPPED ", \"id\": \"ii\"}");
    ehi_record_stamp(bytes_of(r), 12, 34, 0, SEED);
    size_t used = 48 + sizeof(SUBJECT) - 1 + 2 + 1;
    cr_assert_neq(used % 8, 0u);
    bytes_of(r)[r.length - 1] = 1;
    put_checksum(bytes_of(r));
    cr_assert_not(ehi_record_intact(r, SEED));
}

static char *to_json(const struct ehi_event *event)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value value;
    cr_assert_eq(ehi_event_to_value(event, &arena, &value, &error), ECSHIST_OK, "%s",
                 error.message);
    struct ehi_json_style style = {.iso_times = true};
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_json_write(&value, &style, &out), ECSHIST_OK);
    struct ehi_slice text = ehi_arena_copy(&arena, ehi_buffer_slice(&out));
    ehi_buffer_free(&out);
    return (char *)(uintptr_t)text.data;
}

Test(codec_record, as_a_value)
{
    struct ehi_slice r =
        encode("{\"zz\": {\"arn\": [null]}, \"reason\": \"x\", \"id\": \"i\", " STOPPED "}");
    struct ehi_event event = decode(r);
    cr_assert_str_eq(to_json(&event),
                     "{\"id\": \"i\", \"type\": \"deployment-stopped\", "
                     "\"time\": \"1970-01-01T00:00:05+00:00\", \"serviceDeploymentArn\": \"" SUBJECT
                     "\", \"reason\": \"x\", \"zz\": {\"arn\": [null]}}");
    ehi_record_stamp(bytes_of(r), 3, 1500000, 0, SEED);
    event = decode(r);
    const char *json = to_json(&event);
    const char *front =
        "{\"seq\": 3, \"recordedAt\": \"1970-01-01T00:00:01.500000+00:00\", \"id\": \"i\", ";
    cr_assert_eq(strncmp(json, front, strlen(front)), 0, "%s", json);
    /* What was given out can be given in again. */
    struct ehi_event again = decode(encode(json));
    cr_assert(ehi_event_same_content(&event, &again));
    cr_assert_eq(again.seq, 0u);
}

/* Every digit at every place. */
Test(codec_record, derived_ids_are_hexadecimal)
{
    struct ehi_event event = decode(encode("{" STOPPED "}"));
    for (int64_t time_us = 0; time_us < 2000; time_us++) {
        uint8_t front[12];
        char id[ECSHIST_MAX_ID_BYTES + 1], expected[33];
        event.time_us = time_us;
        ehi_put_le16(front, (uint16_t)event.type);
        ehi_put_le64(front + 2, (uint64_t)time_us);
        ehi_put_le16(front + 10, (uint16_t)event.subject.length);
        struct ehi_slice parts[] = {ehi_slice(front, sizeof(front)), event.subject, event.body};
        struct ehi_hash128 hash = ehi_hash128_parts(parts, 3);
        snprintf(expected, sizeof(expected), "%016llx%016llx", (unsigned long long)hash.high,
                 (unsigned long long)hash.low);
        cr_assert(ehi_slice_is(ehi_event_id(&event, id), expected));
        cr_assert_str_eq(id, expected);
    }
}

Test(codec_record, derived_id)
{
    struct ehi_event event = decode(encode("{" STOPPED ", \"reason\": \"x\"}"));
    char id[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_slice derived = ehi_event_id(&event, id);
    cr_assert_eq(derived.length, 32u);
    cr_assert_eq(strspn(id, "0123456789abcdef"), 32u);
    uint8_t content[256];
    ehi_put_le16(content, EHI_DEPLOYMENT_STOPPED);
    ehi_put_le64(content + 2, 5000000);
    ehi_put_le16(content + 10, sizeof(SUBJECT) - 1);
    memcpy(content + 12, SUBJECT "\x81\x0c\xa1x", sizeof(SUBJECT) - 1 + 4);
    struct ehi_hash128 hash = ehi_hash128(content, 12 + sizeof(SUBJECT) - 1 + 4);
    char expected[33];
    snprintf(expected, sizeof(expected), "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
    cr_assert_str_eq(id, expected);
    /* It is shown, and is the id when given in again. */
    struct ehi_event again = decode(encode(to_json(&event)));
    cr_assert(ehi_slice_is(again.id, expected));
    event = decode(encode("{" STOPPED ", \"id\": \"given\"}"));
    cr_assert(ehi_slice_is(ehi_event_id(&event, id), "given"));
    cr_assert_str_eq(id, "given");
}

Test(codec_record, same_content)
{
    struct ehi_event a = decode(encode("{" STOPPED ", \"reason\": \"x\"}"));
    struct ehi_event b =
        decode(encode("{" STOPPED ", \"id\": \"i\", \"reason\": \"x\", \"seq\": 4}"));
    struct ehi_event c = decode(encode("{" STOPPED ", \"reason\": \"y\"}"));
    cr_assert(ehi_event_same_content(&a, &b));
    cr_assert_not(ehi_event_same_content(&a, &c));
    b.time_us++;
    cr_assert_not(ehi_event_same_content(&a, &b));
}

Test(codec_record, bad_headers_are_refused)
{
    static const struct {
        size_t at;
        uint64_t value;
    } rows[] = {
        {EHI_REC_TYPE, 0},
        {EHI_REC_TYPE, EHI_EVENT_TYPE_MAX + 1},
        {EHI_REC_TYPE, 65535},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ehi_slice r = encode("{" STOPPED "}");
        ehi_put_le16(bytes_of(r) + rows[i].at, (uint16_t)rows[i].value);
        cr_assert_eq(ehi_event_decode_envelope(r, &(struct ehi_event){0}, NULL), ECSHIST_INVALID);
    }
    struct ehi_slice r = encode("{" STOPPED "}");
    ehi_put_le64(bytes_of(r) + EHI_REC_TIME, (uint64_t)-1);
    cr_assert_eq(ehi_event_decode_envelope(r, &(struct ehi_event){0}, NULL), ECSHIST_INVALID);
    r = encode("{" STOPPED "}");
    ehi_put_le64(bytes_of(r) + EHI_REC_RECORDED_AT, UINT64_MAX / 2);
    cr_assert_eq(ehi_event_decode_envelope(r, &(struct ehi_event){0}, NULL), ECSHIST_INVALID);
    r = encode("{" STOPPED ", \"id\": \"i\"}");
    bytes_of(r)[48 + sizeof(SUBJECT) - 1] = 0xff;
    cr_assert_eq(ehi_event_decode_envelope(r, &(struct ehi_event){0}, NULL), ECSHIST_INVALID);
}

/* The store's own event has no subject; its body is nobody's to check here. */
Test(codec_record, history_expired_is_read)
{
    uint8_t r[56] = {0};
    ehi_put_le32(r + EHI_REC_BYTES, sizeof(r));
    ehi_put_le16(r + EHI_REC_TYPE, EHI_HISTORY_EXPIRED);
    ehi_put_le32(r + EHI_REC_BODY_BYTES, 5);
    memcpy(r + 48, "\x82\x1a\x07\x1b\xc3", 5);
    struct ehi_event event = decode(ehi_slice(r, sizeof(r)));
    cr_assert_str_eq(strstr(to_json(&event), "\"type\""),
                     "\"type\": \"history-expired\", \"time\": "
                     "\"1970-01-01T00:00:00+00:00\", \"cutoff\": 7, \"keepLast\": true}");
}
