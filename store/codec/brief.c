/*
 * brief  = flags (1 byte), [started], [finished], id of the deployment, id of its target revision, [reason]
 *          Flag 1, with no other: nothing follows, the state has it all. 2: there is a started, 4: a finished, 8: a reason.
 * time   = how far it is from createdAt, zigzag, 7 bits a byte, the low ones first
 * id     = a short (codec/short.h)
 * reason = length (1 byte), text
 *
 * Of one deployment there is one such text of bytes: verify compares them.
 */
#include "codec/brief.h"

#include "codec/short.h"

enum flag { IN_STATE = 1, HAS_STARTED = 2, HAS_FINISHED = 4, HAS_REASON = 8, ALL_FLAGS = 14 };
enum { MOST_REASON = 100, MOST_TIME_BYTES = 10 };
/* Flags, two times, two ids, a reason. */
enum { MOST_BYTES = 1 + 2 * MOST_TIME_BYTES + 2 * EHI_SHORT_BYTES + 1 + MOST_REASON };

static const struct ehi_slice service_type = EHI_SLICE_LITERAL("service/"),
                              deployment_type = EHI_SLICE_LITERAL("service-deployment/"),
                              revision_type = EHI_SLICE_LITERAL("service-revision/");

/* -- ARNs -------------------------------------------------------------------------------------- */

static bool skip(struct ehi_slice *text, struct ehi_slice part)
{
    if (text->length < part.length || memcmp(text->data, part.data, part.length) != 0)
        return false;
    *text = ehi_slice(text->data + part.length, text->length - part.length);
    return true;
}

struct ehi_brief_owner ehi_brief_owner(struct ehi_slice service_arn)
{
    struct ehi_brief_owner none = {EHI_SLICE_EMPTY, EHI_SLICE_EMPTY};
    struct ehi_slice rest = service_arn;
    for (int colons = 0; colons < 5; colons++) {
        const uint8_t *colon = rest.length == 0 ? NULL : memchr(rest.data, ':', rest.length);
        if (colon == NULL)
            return none;
        rest = ehi_slice(colon + 1, rest.length - (size_t)(colon + 1 - rest.data));
    }
    struct ehi_slice front = ehi_slice(service_arn.data, service_arn.length - rest.length);
    return skip(&rest, service_type) ? (struct ehi_brief_owner){front, rest} : none;
}

/* The id of an ARN of this service; empty where it is none, or too long. */
static struct ehi_slice id_of(const struct ehi_brief_owner *owner, struct ehi_slice type,
                              struct ehi_slice arn)
{
    struct ehi_slice id = arn;
    bool of_it = owner->path.length != 0 && skip(&id, owner->front) && skip(&id, type) &&
                 skip(&id, owner->path) && skip(&id, EHI_SLICE_LITERAL("/"));
    return of_it && id.length <= EHI_SHORT_MOST ? id : EHI_SLICE_EMPTY;
}

static uint8_t *add(uint8_t *to, struct ehi_slice part)
{
    memcpy(to, part.data, part.length);
    return to + part.length;
}

/* -- times ------------------------------------------------------------------------------------- */

static uint8_t *put_time(uint8_t *to, int64_t created_us, int64_t time_us)
{
    uint64_t from = (uint64_t)time_us - (uint64_t)created_us;
    uint64_t zigzag = from << 1 ^ (0 - (from >> 63));
    for (; zigzag >= 0x80; zigzag >>= 7)
        *to++ = (uint8_t)(zigzag | 0x80);
    *to++ = (uint8_t)zigzag;
    return to;
}

static bool take_time(struct ehi_slice *rest, int64_t created_us, int64_t *out_us)
{
    uint64_t zigzag = 0;
    for (unsigned i = 0; i < MOST_TIME_BYTES && i < rest->length; i++) {
        uint8_t byte = rest->data[i];
        zigzag |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            uint64_t from = zigzag >> 1 ^ (0 - (zigzag & 1));
            *out_us = (int64_t)((uint64_t)created_us + from);
            *rest = ehi_slice(rest->data + i + 1, rest->length - i - 1);
            return true;
        }
    }
    return false;
}

/* -- all of it --------------------------------------------------------------------------------- */

int ehi_brief_encode(const struct ehi_deployment *d, const struct ehi_brief_owner *owner,
                     struct ehi_buffer *out)
{
    struct ehi_slice id = id_of(owner, deployment_type, d->arn);
    struct ehi_slice target = id_of(owner, revision_type, d->target.arn);
    uint8_t *start = ehi_buffer_room(out, MOST_BYTES), *p = start;
    if (start == NULL)
        return ECSHIST_NO_MEMORY;
    bool has_reason = d->status_reason.data != NULL;
    if (id.length == 0 || target.length == 0 || d->created_at_us < 0 ||
        (has_reason && d->status_reason.length > MOST_REASON)) {
        *p++ = IN_STATE;
    } else {
        bool started = d->started_at_us != EHI_TIME_NONE,
             finished = d->finished_at_us != EHI_TIME_NONE;
        *p++ = (uint8_t)((started ? HAS_STARTED : 0) | (finished ? HAS_FINISHED : 0) |
                         (has_reason ? HAS_REASON : 0));
        if (started)
            p = put_time(p, d->created_at_us, d->started_at_us);
        if (finished)
            p = put_time(p, d->created_at_us, d->finished_at_us);
        p = ehi_short_put(ehi_short_put(p, id), target);
        if (has_reason)
            *p++ = (uint8_t)d->status_reason.length;
        if (has_reason && d->status_reason.length != 0)
            p = add(p, d->status_reason);
    }
    out->length += (size_t)(p - start);
    return ECSHIST_OK;
}

/* A row, its texts where they lie. */
struct parts {
    unsigned flags;
    int64_t started_at_us, finished_at_us;
    struct ehi_short id, target;
    struct ehi_slice reason;
};

static bool take_reason(struct ehi_slice *rest, struct ehi_slice *out)
{
    if (rest->length == 0 || rest->data[0] > rest->length - 1 || rest->data[0] > MOST_REASON)
        return false;
    *out = ehi_slice(rest->data + 1, rest->data[0]);
    *rest = ehi_slice(out->data + out->length, rest->length - 1 - out->length);
    return true;
}

static bool take_parts(struct ehi_slice bytes, int64_t created_us, struct parts *out)
{
    *out = (struct parts){.started_at_us = EHI_TIME_NONE, .finished_at_us = EHI_TIME_NONE};
    if (bytes.length == 0)
        return false;
    struct ehi_slice rest = ehi_slice(bytes.data + 1, bytes.length - 1);
    out->flags = bytes.data[0];
    if (out->flags == IN_STATE)
        return rest.length == 0;
    return (out->flags & ~(unsigned)ALL_FLAGS) == 0 &&
           ((out->flags & HAS_STARTED) == 0 || take_time(&rest, created_us, &out->started_at_us)) &&
           ((out->flags & HAS_FINISHED) == 0 ||
            take_time(&rest, created_us, &out->finished_at_us)) &&
           ehi_short_take(&rest, &out->id) && ehi_short_take(&rest, &out->target) &&
           ((out->flags & HAS_REASON) == 0 || take_reason(&rest, &out->reason)) && rest.length == 0;
}

/* An ARN of the service, at *to; a NUL behind it. */
static struct ehi_slice make_arn(uint8_t **to, const struct ehi_brief_owner *owner,
                                 struct ehi_slice type, const struct ehi_short *id)
{
    uint8_t *start = *to, *p = add(add(add(start, owner->front), type), owner->path);
    *p++ = '/';
    p = ehi_short_get(p, id);
    *p = 0;
    *to = p + 1;
    return ehi_slice(start, (size_t)(p - start));
}

static size_t arn_bytes(const struct ehi_brief_owner *owner, struct ehi_slice type,
                        const struct ehi_short *id)
{
    return owner->front.length + type.length + owner->path.length + 1 + id->length + 1;
}

int ehi_brief_decode(struct ehi_slice bytes, const struct ehi_brief_owner *owner,
                     struct ehi_arena *arena, struct ehi_deployment *out, bool *in_state,
                     struct ecshist_error *error)
{
    struct parts parts;
    if (owner->path.length == 0 || !take_parts(bytes, out->created_at_us, &parts))
        return ehi_fail(error, ECSHIST_INDEX, "the index holds what is not the row of a list");
    *in_state = parts.flags == IN_STATE;
    if (*in_state)
        return ECSHIST_OK;
    size_t room = arn_bytes(owner, deployment_type, &parts.id) +
                  arn_bytes(owner, revision_type, &parts.target) + parts.reason.length + 1 +
                  EHI_SHORT_OVER;
    uint8_t *to = ehi_arena_alloc(arena, room);
    if (to == NULL)
        return ehi_fail_memory(error);
    out->started_at_us = parts.started_at_us;
    out->finished_at_us = parts.finished_at_us;
    out->arn = make_arn(&to, owner, deployment_type, &parts.id);
    out->target.arn = make_arn(&to, owner, revision_type, &parts.target);
    out->status_reason = EHI_SLICE_EMPTY;
    if (parts.reason.data != NULL) {
        out->status_reason = ehi_slice(to, parts.reason.length);
        *add(to, parts.reason) = 0;
    }
    return ECSHIST_OK;
}
