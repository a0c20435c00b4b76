/*
 * brief  = flags (1 byte), [started], [finished], id of the deployment, id of its target revision, [reason]
 *          Flag 1, with no other: nothing follows, the state has it all. 2: there is a started, 4: a finished, 8: a reason.
 * time   = how far it is from createdAt, zigzag, 7 bits a byte, the low ones first
 * id     = head, bytes. Head: 64 x coding + length of the text.
 *          Coding 0: the text. 1: 6 bits a character, the low ones first, of A-Z a-z 0-9 _ -. 2: up to 19 digits as a number,
 *          little-endian, in as many bytes as the largest of so many digits needs.
 * reason = length (1 byte), text
 *
 * Of one deployment there is one such text of bytes: verify compares them.
 */
#include "codec/brief.h"

enum flag { IN_STATE = 1, HAS_STARTED = 2, HAS_FINISHED = 4, HAS_REASON = 8, ALL_FLAGS = 14 };
enum coding { PLAIN, SIX_BITS, DIGITS };
enum { MOST_ID = 63, MOST_REASON = 100, MOST_DIGITS = 19, MOST_TIME_BYTES = 10 };
/* Flags, two times, two ids, a reason. */
enum { MOST_BYTES = 1 + 2 * MOST_TIME_BYTES + 2 * (1 + MOST_ID) + 1 + MOST_REASON };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

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
    return of_it && id.length <= MOST_ID ? id : EHI_SLICE_EMPTY;
}

static uint8_t *add(uint8_t *to, struct ehi_slice part)
{
    memcpy(to, part.data, part.length);
    return to + part.length;
}

/* -- ids --------------------------------------------------------------------------------------- */

/* What the number of so many digits, and the text of so many characters, takes. */
static size_t digits_bytes(size_t length)
{
    static const uint8_t bytes[MOST_DIGITS + 1] = {0, 1, 1, 2, 2, 3, 3, 3, 4, 4,
                                                   5, 5, 5, 6, 6, 7, 7, 8, 8, 8};
    return bytes[length];
}

static size_t six_bits_bytes(size_t length)
{
    return (length * 6 + 7) / 8;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The place of a character among the letters; 64: it is none. */
static unsigned place_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return 26u + c - 'a';
    if (is_digit(c))
        return 52u + c - '0';
    return c == '_' ? 62 : c == '-' ? 63 : 64;
}

static enum coding coding_of(struct ehi_slice id)
{
    enum coding coding = id.length <= MOST_DIGITS ? DIGITS : SIX_BITS;
    for (size_t i = 0; i < id.length; i++) {
        if (coding == DIGITS && !is_digit(id.data[i]))
            coding = SIX_BITS;
        if (place_of(id.data[i]) == 64)
            return PLAIN;
    }
    return coding;
}

static void put_digits(uint8_t *to, struct ehi_slice id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < id.length; i++)
        number = number * 10 + (unsigned)(id.data[i] - '0');
    for (size_t i = 0; i < digits_bytes(id.length); i++, number >>= 8)
        to[i] = (uint8_t)number;
}

static void put_six_bits(uint8_t *to, struct ehi_slice id)
{
    unsigned bits = 0, count = 0;
    for (size_t i = 0; i < id.length; i++) {
        bits |= place_of(id.data[i]) << count;
        count += 6;
        for (; count >= 8; count -= 8, bits >>= 8)
            *to++ = (uint8_t)bits;
    }
    if (count > 0)
        *to = (uint8_t)bits;
}

static uint8_t *put_id(uint8_t *to, struct ehi_slice id)
{
    enum coding coding = coding_of(id);
    *to++ = (uint8_t)((unsigned)coding << 6 | id.length);
    if (coding == PLAIN)
        return add(to, id);
    if (coding == DIGITS) {
        put_digits(to, id);
        return to + digits_bytes(id.length);
    }
    put_six_bits(to, id);
    return to + six_bits_bytes(id.length);
}

/* An id as it stands in a row: where its bytes are, and how long its text is. */
struct packed {
    enum coding coding;
    size_t length;
    const uint8_t *bytes;
};

/* false: there is more in it than what is left. */
static bool take_id(struct ehi_slice *rest, struct packed *out)
{
    if (rest->length == 0)
        return false;
    out->coding = (enum coding)(rest->data[0] >> 6);
    out->length = rest->data[0] & MOST_ID;
    out->bytes = rest->data + 1;
    if (out->length == 0 || out->coding > DIGITS ||
        (out->coding == DIGITS && out->length > MOST_DIGITS))
        return false;
    size_t bytes = out->coding == PLAIN      ? out->length
                   : out->coding == SIX_BITS ? six_bits_bytes(out->length)
                                             : digits_bytes(out->length);
    if (bytes > rest->length - 1)
        return false;
    *rest = ehi_slice(out->bytes + bytes, rest->length - 1 - bytes);
    return true;
}

/* What does not fit into so many digits loses its front ones: it was not written so. */
static void get_digits(uint8_t *to, const struct packed *id)
{
    uint64_t number = 0;
    for (size_t i = digits_bytes(id->length); i > 0; i--)
        number = number << 8 | id->bytes[i - 1];
    for (size_t i = id->length; i > 0; i--, number /= 10)
        to[i - 1] = (uint8_t)('0' + number % 10);
}

static void get_six_bits(uint8_t *to, const struct packed *id)
{
    const uint8_t *from = id->bytes;
    unsigned bits = 0, count = 0;
    for (size_t i = 0; i < id->length; i++) {
        if (count < 6) {
            bits |= (unsigned)*from++ << count;
            count += 8;
        }
        to[i] = (uint8_t)letters[bits & 63];
        bits >>= 6;
        count -= 6;
    }
}

static void get_id(uint8_t *to, const struct packed *id)
{
    if (id->coding == DIGITS)
        get_digits(to, id);
    else if (id->coding == SIX_BITS)
        get_six_bits(to, id);
    else
        memcpy(to, id->bytes, id->length);
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
        p = put_id(put_id(p, id), target);
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
    struct packed id, target;
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
           take_id(&rest, &out->id) && take_id(&rest, &out->target) &&
           ((out->flags & HAS_REASON) == 0 || take_reason(&rest, &out->reason)) && rest.length == 0;
}

/* An ARN of the service, at *to; a NUL behind it. */
static struct ehi_slice make_arn(uint8_t **to, const struct ehi_brief_owner *owner,
                                 struct ehi_slice type, const struct packed *id)
{
    uint8_t *start = *to, *p = add(add(add(start, owner->front), type), owner->path);
    *p++ = '/';
    get_id(p, id);
    p[id->length] = 0;
    *to = p + id->length + 1;
    return ehi_slice(start, (size_t)(p + id->length - start));
}

static size_t arn_bytes(const struct ehi_brief_owner *owner, struct ehi_slice type,
                        const struct packed *id)
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
                  arn_bytes(owner, revision_type, &parts.target) + parts.reason.length + 1;
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
