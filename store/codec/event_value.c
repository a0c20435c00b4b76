/* What an event says of itself: its value for JSON, its id, whether another says the same. */
#include "codec/document.h"
#include "codec/members.h"
#include "codec/record.h"

enum { FRONT_MEMBERS = 6 }; /* seq, recordedAt, id, type, time and the subject */

static struct ehi_value text_value(struct ehi_slice text)
{
    return (struct ehi_value){.kind = EHI_VALUE_STRING, .u.string = text};
}

static struct ehi_value time_value(int64_t time_us)
{
    return (struct ehi_value){.kind = EHI_VALUE_TIME, .u.integer = time_us};
}

static void put_member(struct ehi_member **at, int key, struct ehi_value value)
{
    **at = (struct ehi_member){ehi_key_name(key), value};
    (*at)++;
}

/* The id as it is shown: a derived one is text that has to be made. */
static int id_value(const struct ehi_event *event, struct ehi_arena *arena, struct ehi_value *out)
{
    char buffer[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_slice id = event->id;
    if (id.length == 0) {
        id = ehi_arena_copy(arena, ehi_event_id(event, buffer));
        if (id.data == NULL)
            return ECSHIST_NO_MEMORY;
    }
    *out = text_value(id);
    return ECSHIST_OK;
}

/* Returns how many members were put. */
static uint32_t put_front(const struct ehi_event *event, struct ehi_value id,
                          struct ehi_member *members)
{
    struct ehi_member *at = members;
    if (event->seq != 0) {
        put_member(&at, EHI_KEY_seq,
                   (struct ehi_value){.kind = EHI_VALUE_INT, .u.integer = (int64_t)event->seq});
        put_member(&at, EHI_KEY_recordedAt, time_value(event->recorded_at_us));
    }
    put_member(&at, EHI_KEY_id, id);
    put_member(&at, EHI_KEY_type, text_value(ehi_slice_text(ehi_event_type_name(event->type))));
    put_member(&at, EHI_KEY_time, time_value(event->time_us));
    if (ehi_subject_key(event->type) != EHI_KEY_UNKNOWN)
        put_member(&at, ehi_subject_key(event->type), text_value(event->subject));
    return (uint32_t)(at - members);
}

int ehi_event_to_value(const struct ehi_event *event, struct ehi_arena *arena,
                       struct ehi_value *out, struct ecshist_error *error)
{
    struct ehi_value body, id;
    int rc = ehi_document_decode(event->body, arena, &body, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (body.kind != EHI_VALUE_MAP)
        return ehi_fail(error, ECSHIST_DAMAGED, "the body of a stored event is not a map");
    struct ehi_member *members =
        ehi_arena_array(arena, (size_t)body.count + FRONT_MEMBERS, sizeof(*members));
    if (members == NULL || id_value(event, arena, &id) != ECSHIST_OK)
        return ehi_fail_memory(error);
    uint32_t front = put_front(event, id, members);
    if (body.count > 0)
        memcpy(members + front, body.u.members, body.count * sizeof(*members));
    *out = (struct ehi_value){
        .kind = EHI_VALUE_MAP, .count = front + body.count, .u.members = members};
    return ECSHIST_OK;
}

static struct ehi_hash128 content_hash(const struct ehi_event *event)
{
    uint8_t front[12];
    ehi_put_le16(front, (uint16_t)event->type);
    ehi_put_le64(front + 2, (uint64_t)event->time_us);
    ehi_put_le16(front + 10, (uint16_t)event->subject.length);
    struct ehi_slice parts[] = {ehi_slice(front, sizeof(front)), event->subject, event->body};
    return ehi_hash128_parts(parts, sizeof(parts) / sizeof(parts[0]));
}

/* Eight hexadecimal digits, the most significant first: a nibble to each byte, and all of them made digits at once. */
static void put_digits(char *at, uint32_t number)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t v = number;
    v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
    v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v | v << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t letters = (v + 6 * ones) >> 4 & ones;
    ehi_put_be64((uint8_t *)at, v + '0' * ones + letters * ('a' - '0' - 10));
}

struct ehi_slice ehi_event_id(const struct ehi_event *event, char buffer[ECSHIST_MAX_ID_BYTES + 1])
{
    size_t length = event->id.length;
    if (length > 0) {
        memcpy(buffer, event->id.data, length);
        buffer[length] = '\0';
        return ehi_slice(buffer, length);
    }
    struct ehi_hash128 hash = content_hash(event);
    put_digits(buffer, (uint32_t)(hash.high >> 32));
    put_digits(buffer + 8, (uint32_t)hash.high);
    put_digits(buffer + 16, (uint32_t)(hash.low >> 32));
    put_digits(buffer + 24, (uint32_t)hash.low);
    buffer[32] = '\0';
    return ehi_slice(buffer, 32);
}

bool ehi_event_same_content(const struct ehi_event *a, const struct ehi_event *b)
{
    return a->type == b->type && a->time_us == b->time_us &&
           ehi_slice_equal(a->subject, b->subject) && ehi_slice_equal(a->body, b->body);
}
