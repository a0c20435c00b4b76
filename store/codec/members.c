#include "codec/members.h"

#include "model/time.h"

#include <ecshist/limits.h>
#include <stdarg.h>
#include <stdio.h>

/* "serviceRevisions[1].runningTaskCount". Returns the length so far, which never reaches `room`. */
static size_t write_place(const struct ehi_place *at, char *out, size_t room)
{
    if (at == NULL)
        return 0;
    size_t length = write_place(at->outer, out, room);
    int n;
    if (at->key == EHI_KEY_UNKNOWN)
        n = snprintf(out + length, room - length, "[%u]", (unsigned)at->index);
    else
        n = snprintf(out + length, room - length, "%s%s", length > 0 ? "." : "",
                     (const char *)ehi_key_name(at->key).data);
    size_t sum = length + (n > 0 ? (size_t)n : 0);
    return sum < room ? sum : room - 1;
}

/* Puts the place to an error that has its message. */
static int refuse_at(struct ehi_reader *r, const struct ehi_place *at, int code)
{
    char text[200] = "";
    write_place(at, text, sizeof(text));
    return ehi_at(r->error, code, "%s", text);
}

int ehi_refuse(struct ehi_reader *r, const struct ehi_place *at, int code, const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return refuse_at(r, at, ehi_fail(r->error, code, "%s", message));
}

int ehi_refuse_malformed(struct ehi_reader *r)
{
    return ehi_refuse(r, NULL, ECSHIST_INVALID, "the event's body is not well-formed MessagePack");
}

/* A value, of this kind; a list only its head. */
static int read_kind(struct ehi_reader *r, const struct ehi_place *at, enum ehi_value_kind kind,
                     const char *what, struct ehi_value *out)
{
    if (!ehi_cursor_read(&r->cursor, out))
        return ehi_refuse_malformed(r);
    if (out->kind != kind)
        return ehi_refuse(r, at, ECSHIST_INVALID, "must be %s", what);
    return ECSHIST_OK;
}

int ehi_read_key(struct ehi_reader *r, int *number)
{
    struct ehi_member_key key;
    if (!ehi_cursor_key(&r->cursor, &key))
        return ehi_refuse_malformed(r);
    *number = key.number;
    return ECSHIST_OK;
}

int ehi_open_object_at(struct ehi_reader *r, const struct ehi_place *at, uint32_t *out_count)
{
    struct ehi_value map;
    int rc = read_kind(r, at, EHI_VALUE_MAP, "an object", &map);
    *out_count = map.count;
    return rc;
}

int ehi_read_past(struct ehi_reader *r)
{
    return ehi_cursor_skip(&r->cursor) ? ECSHIST_OK : ehi_refuse_malformed(r);
}

struct ehi_leftover {
    struct ehi_leftover *next;
    struct ehi_slice member; /* key and value */
};

int ehi_read_leftover(struct ehi_reader *r, struct ehi_leftovers *leftovers)
{
    const uint8_t *start = r->member_start;
    if (!ehi_cursor_skip(&r->cursor))
        return ehi_refuse_malformed(r);
    struct ehi_leftover *kept = ehi_arena_alloc(r->arena, sizeof(*kept));
    if (kept == NULL)
        return ehi_fail_memory(r->error);
    kept->next = NULL;
    kept->member = ehi_slice(start, (size_t)(r->cursor.next - start));
    if (leftovers->last != NULL)
        leftovers->last->next = kept;
    else
        leftovers->first = kept;
    leftovers->last = kept;
    leftovers->count++;
    leftovers->length += kept->member.length;
    return ECSHIST_OK;
}

enum { LONGEST_MAP_HEAD = 5 };

static size_t put_map_head(uint8_t *at, uint32_t count)
{
    if (count < 16) {
        at[0] = (uint8_t)(0x80 | count);
        return 1;
    }
    unsigned bytes = count <= UINT16_MAX ? 2 : 4;
    at[0] = bytes == 2 ? 0xde : 0xdf;
    for (unsigned i = 1; i <= bytes; i++)
        at[i] = (uint8_t)(count >> 8 * (bytes - i));
    return 1 + bytes;
}

int ehi_leftovers_map(struct ehi_reader *r, const struct ehi_leftovers *leftovers,
                      struct ehi_slice *out)
{
    *out = EHI_SLICE_EMPTY;
    if (leftovers->count == 0)
        return ECSHIST_OK;
    uint8_t *map = ehi_arena_alloc(r->arena, LONGEST_MAP_HEAD + leftovers->length);
    if (map == NULL)
        return ehi_fail_memory(r->error);
    size_t length = put_map_head(map, leftovers->count);
    for (const struct ehi_leftover *kept = leftovers->first; kept != NULL; kept = kept->next) {
        memcpy(map + length, kept->member.data, kept->member.length);
        length += kept->member.length;
    }
    *out = ehi_slice(map, length);
    return ECSHIST_OK;
}

int ehi_read_text(struct ehi_reader *r, const struct ehi_place *at, struct ehi_slice *out)
{
    struct ehi_value value;
    if (ehi_cursor_plain_text(&r->cursor, out))
        return ECSHIST_OK;
    int rc = read_kind(r, at, EHI_VALUE_STRING, "a string", &value);
    if (rc == ECSHIST_OK)
        *out = value.u.string;
    return rc;
}

int ehi_read_nonempty(struct ehi_reader *r, const struct ehi_place *at, struct ehi_slice *out)
{
    struct ehi_slice text;
    int rc = ehi_read_text(r, at, &text);
    if (rc != ECSHIST_OK)
        return rc;
    if (text.length == 0)
        return ehi_refuse(r, at, ECSHIST_INVALID, "must not be empty");
    *out = text;
    return ECSHIST_OK;
}

int ehi_read_bool(struct ehi_reader *r, const struct ehi_place *at, bool *out)
{
    struct ehi_value value;
    int rc = read_kind(r, at, EHI_VALUE_BOOL, "true or false", &value);
    if (rc == ECSHIST_OK)
        *out = value.u.boolean;
    return rc;
}

int ehi_read_integer(struct ehi_reader *r, const struct ehi_place *at, int64_t *out)
{
    struct ehi_value value;
    if (ehi_cursor_small_integer(&r->cursor, out))
        return ECSHIST_OK;
    int rc = read_kind(r, at, EHI_VALUE_INT, "an integer", &value);
    if (rc == ECSHIST_OK)
        *out = value.u.integer;
    return rc;
}

int ehi_read_count(struct ehi_reader *r, const struct ehi_place *at, int64_t *out)
{
    int64_t count;
    if (ehi_cursor_small_integer(&r->cursor, out)) /* and so it is in range */
        return ECSHIST_OK;
    int rc = ehi_read_integer(r, at, &count);
    if (rc != ECSHIST_OK)
        return rc;
    if (count < 0 || count > ECSHIST_MAX_COUNT)
        return ehi_refuse(r, at, ECSHIST_INVALID, "must be 0 to %d", ECSHIST_MAX_COUNT);
    *out = count;
    return ECSHIST_OK;
}

int ehi_read_weight(struct ehi_reader *r, const struct ehi_place *at, double *out)
{
    struct ehi_value value;
    if (!ehi_cursor_read(&r->cursor, &value))
        return ehi_refuse_malformed(r);
    double weight = -1;
    if (value.kind == EHI_VALUE_DOUBLE)
        weight = value.u.real;
    else if (value.kind == EHI_VALUE_INT)
        weight = (double)value.u.integer;
    else
        return ehi_refuse(r, at, ECSHIST_INVALID, "must be a number");
    if (!(weight >= 0 && weight <= 100))
        return ehi_refuse(r, at, ECSHIST_INVALID, "must be 0 to 100");
    *out = weight;
    return ECSHIST_OK;
}

int ehi_read_time(struct ehi_reader *r, const struct ehi_place *at, int64_t *out_us)
{
    struct ehi_value value;
    if (!ehi_cursor_read(&r->cursor, &value))
        return ehi_refuse_malformed(r);
    int rc = ehi_time_from_value(&value, out_us, r->error);
    return rc == ECSHIST_OK ? rc : refuse_at(r, at, rc);
}

int ehi_read_enum(struct ehi_reader *r, const struct ehi_place *at, enum ehi_enum which,
                  uint8_t *out)
{
    struct ehi_slice name;
    int rc = ehi_read_text(r, at, &name);
    if (rc != ECSHIST_OK)
        return rc;
    int number = ehi_enum_number(which, name);
    if (number == 0)
        return ehi_refuse(r, at, ECSHIST_INVALID, "must be one of %s", ehi_enum_list(which));
    *out = (uint8_t)number;
    return ECSHIST_OK;
}

static int parse_arn(struct ehi_reader *r, const struct ehi_place *at, enum ehi_arn_kind kind,
                     struct ehi_slice text, struct ehi_arn *out)
{
    int rc = ehi_arn_parse_as(kind, text, out, r->error);
    return rc == ECSHIST_OK ? rc : refuse_at(r, at, rc);
}

bool ehi_read_sibling(struct ehi_reader *r, enum ehi_arn_kind kind, struct ehi_slice *out)
{
    struct ehi_slice text;
    if (!ehi_cursor_peek_text(&r->cursor, &text) || !ehi_arn_is_sibling(text, kind, r->subject))
        return false;
    ehi_cursor_take_text(&r->cursor, text);
    *out = text;
    return true;
}

int ehi_read_revision_arn(struct ehi_reader *r, const struct ehi_place *at, struct ehi_slice *out)
{
    struct ehi_arn arn;
    struct ehi_slice text;
    if (ehi_read_sibling(r, EHI_ARN_REVISION, out))
        return ECSHIST_OK;
    int rc = ehi_read_text(r, at, &text);
    if (rc == ECSHIST_OK)
        rc = parse_arn(r, at, EHI_ARN_REVISION, text, &arn);
    if (rc != ECSHIST_OK)
        return rc;
    if (!ehi_arn_same_service(&arn, r->subject))
        return ehi_refuse(r, at, ECSHIST_INVALID, "is a revision of another service");
    *out = arn.text;
    return ECSHIST_OK;
}

int ehi_read_task_arn(struct ehi_reader *r, const struct ehi_place *at, struct ehi_slice *out)
{
    struct ehi_arn arn;
    struct ehi_slice text;
    if (ehi_read_sibling(r, EHI_ARN_TASK, out))
        return ECSHIST_OK;
    int rc = ehi_read_text(r, at, &text);
    if (rc == ECSHIST_OK)
        rc = parse_arn(r, at, EHI_ARN_TASK, text, &arn);
    if (rc != ECSHIST_OK)
        return rc;
    if (!ehi_arn_same_cluster(&arn, r->subject))
        return ehi_refuse(r, at, ECSHIST_INVALID, "is a task of another cluster");
    *out = arn.text;
    return ECSHIST_OK;
}

static enum ehi_arn_kind kind_of_key(int key)
{
    switch (key) {
    case EHI_KEY_serviceDeploymentArn:
        return EHI_ARN_DEPLOYMENT;
    case EHI_KEY_serviceRevisionArn:
        return EHI_ARN_REVISION;
    case EHI_KEY_serviceArn:
        return EHI_ARN_SERVICE;
    default:
        return EHI_ARN_CLUSTER;
    }
}

int ehi_read_agreeing_arn(struct ehi_reader *r, const struct ehi_place *at)
{
    struct ehi_arn arn;
    struct ehi_slice text;
    int rc = ehi_read_text(r, at, &text);
    if (rc == ECSHIST_OK)
        rc = parse_arn(r, at, kind_of_key(at->key), text, &arn);
    if (rc != ECSHIST_OK)
        return rc;
    bool agrees = arn.kind == r->subject->kind ? ehi_slice_equal(arn.text, r->subject->text)
                                               : ehi_arn_same_service(&arn, r->subject);
    if (!agrees)
        return ehi_refuse(r, at, ECSHIST_INVALID, "does not agree with the event's subject");
    return ECSHIST_OK;
}

int ehi_open_list(struct ehi_reader *r, const struct ehi_place *at, uint32_t most, const char *what,
                  uint32_t *out_count)
{
    struct ehi_value list = {.count = 0};
    int rc = ECSHIST_OK;
    if (!ehi_cursor_small_array(&r->cursor, &list.count))
        rc = read_kind(r, at, EHI_VALUE_ARRAY, "a list", &list);
    if (rc != ECSHIST_OK)
        return rc;
    if (list.count > most)
        return ehi_refuse(r, at, ECSHIST_LIMIT, "has %u %s, %u are allowed", (unsigned)list.count,
                          what, (unsigned)most);
    *out_count = list.count;
    return ECSHIST_OK;
}

int ehi_read_texts(struct ehi_reader *r, const struct ehi_place *at, uint32_t most,
                   const char *what, ehi_text_fn item, const struct ehi_slice **out,
                   uint32_t *out_count)
{
    uint32_t count;
    int rc = ehi_open_list(r, at, most, what, &count);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_slice *texts = ehi_arena_array(r->arena, count, sizeof(*texts));
    if (texts == NULL)
        return ehi_fail_memory(r->error);
    for (uint32_t i = 0; i < count; i++) {
        struct ehi_place here = {at, EHI_KEY_UNKNOWN, i};
        rc = item(r, &here, &texts[i]);
        if (rc != ECSHIST_OK)
            return rc;
    }
    ehi_cursor_close(&r->cursor);
    *out = texts;
    *out_count = count;
    return ECSHIST_OK;
}

int ehi_read_alarm_names(struct ehi_reader *r, const struct ehi_place *at,
                         const struct ehi_slice **out, uint32_t *out_count)
{
    return ehi_read_texts(r, at, ECSHIST_MAX_ALARMS, "alarms", ehi_read_nonempty, out, out_count);
}
