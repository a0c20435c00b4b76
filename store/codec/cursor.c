/*
 * The first byte of a value, as MessagePack has it (what is not here is not well-formed):
 *   00-7f  the integer itself          e0-ff  -32 to -1
 *   80-8f  map, count in the low bits  90-9f  array, likewise    a0-bf  str, its length likewise
 *   c0 nil   c2 false   c3 true        ca float32   cb float64   (big-endian, as all that follows)
 *   cc cd ce cf  uint 8 16 32 64       d0 d1 d2 d3  int 8 16 32 64
 *   d9 da db     str, length 8 16 32   dc dd  array, count 16 32   de df  map, count 16 32
 */
#include "codec/cursor.h"

#include "codec/dictionary.h"

#include <math.h>

/* The one place where bytes turn out not to be well-formed. */
static bool malformed(struct ehi_cursor *c)
{
    c->failed = true;
    c->next = c->end;
    return false;
}

static size_t left(const struct ehi_cursor *c)
{
    return (size_t)(c->end - c->next);
}

/* An unsigned big-endian integer of 1, 2, 4 or 8 bytes. */
static bool read_unsigned(struct ehi_cursor *c, unsigned bytes, uint64_t *out)
{
    if (left(c) < bytes)
        return malformed(c);
    uint64_t v = 0;
    if (bytes == 8)
        v = ehi_get_be64(c->next);
    else {
        for (unsigned i = 0; i < bytes; i++)
            v = v << 8 | c->next[i];
    }
    c->next += bytes;
    *out = v;
    return true;
}

static bool give_integer(struct ehi_value *out, int64_t integer)
{
    out->kind = EHI_VALUE_INT;
    out->u.integer = integer;
    return true;
}

static bool read_uint(struct ehi_cursor *c, unsigned bytes, struct ehi_value *out)
{
    uint64_t v;
    if (!read_unsigned(c, bytes, &v))
        return false;
    return v > INT64_MAX ? malformed(c) : give_integer(out, (int64_t)v);
}

static bool read_int(struct ehi_cursor *c, unsigned bytes, struct ehi_value *out)
{
    uint64_t v;
    if (!read_unsigned(c, bytes, &v))
        return false;
    uint64_t sign = UINT64_C(1) << (bytes * 8 - 1);
    return give_integer(out, (int64_t)((v ^ sign) - sign));
}

static bool give_real(struct ehi_cursor *c, double real, struct ehi_value *out)
{
    if (!isfinite(real)) /* JSON has no word for it */
        return malformed(c);
    out->kind = EHI_VALUE_DOUBLE;
    out->u.real = real;
    return true;
}

static bool read_float32(struct ehi_cursor *c, struct ehi_value *out)
{
    uint64_t bits;
    if (!read_unsigned(c, 4, &bits))
        return false;
    uint32_t bits32 = (uint32_t)bits;
    float real;
    memcpy(&real, &bits32, sizeof(real));
    return give_real(c, (double)real, out);
}

static bool read_float64(struct ehi_cursor *c, struct ehi_value *out)
{
    uint64_t bits;
    if (!read_unsigned(c, 8, &bits))
        return false;
    double real;
    memcpy(&real, &bits, sizeof(real));
    return give_real(c, real, out);
}

/* Where the sequence that begins with a byte of 80 or above ends, NULL where it is not UTF-8. */
static const uint8_t *sequence_end(const uint8_t *p, const uint8_t *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned bytes = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (size_t)(end - p) < bytes)
        return NULL;
    uint32_t code = p[0] & (0x7fu >> bytes);
    for (unsigned i = 1; i < bytes; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return NULL;
        code = code << 6 | (p[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[bytes] || code > 0x10ffff || surrogate ? NULL : p + bytes;
}

/*
 * Eight bytes at once: 0 where each is 01 to 7f. (Borrow of the subtraction starts at a 00 byte at the
 * earliest.)
 */
static inline uint64_t odd8(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return (v | (v - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080);
}

static inline bool plain16(const uint8_t *p)
{
    return (odd8(p) | odd8(p + 8)) == 0;
}

static bool valid_from(const uint8_t *p, const uint8_t *end)
{
    while (p != end) {
        if (end - p >= 8 && odd8(p) == 0) {
            p += 8;
        } else if (*p < 0x80) {
            if (*p == 0)
                return false;
            p++;
        } else {
            p = sequence_end(p, end);
            if (p == NULL)
                return false;
        }
    }
    return true;
}

bool ehi_text_valid(struct ehi_slice text)
{
    const uint8_t *p = text.data;
    if (text.length < 16)
        return valid_from(p, text.length == 0 ? p : p + text.length);
    const uint8_t *end = p + text.length;
    while (end - p >= 16 && plain16(p))
        p += 16;
    /* What is left of a plain text is looked at together with bytes that were. */
    if (end - p < 16 && plain16(end - 16))
        return true;
    return valid_from(p, end);
}

static bool give_text(struct ehi_cursor *c, uint64_t length, struct ehi_slice *out)
{
    if (length > left(c))
        return malformed(c);
    struct ehi_slice text = ehi_slice(c->next, (size_t)length);
    if (!ehi_text_valid(text))
        return malformed(c);
    c->next += length;
    *out = text;
    return true;
}

static bool give_string(struct ehi_cursor *c, uint64_t length, struct ehi_value *out)
{
    out->kind = EHI_VALUE_STRING;
    return give_text(c, length, &out->u.string);
}

static bool read_string(struct ehi_cursor *c, unsigned length_bytes, struct ehi_value *out)
{
    uint64_t length;
    return read_unsigned(c, length_bytes, &length) && give_string(c, length, out);
}

/* `least`: bytes that an item takes at the least. */
static bool open_list(struct ehi_cursor *c, enum ehi_value_kind kind, uint64_t count,
                      unsigned least, struct ehi_value *out)
{
    if (count > left(c) / least || count > UINT32_MAX || c->nesting_left == 0)
        return malformed(c);
    c->nesting_left--;
    out->kind = kind;
    out->count = (uint32_t)count;
    out->u.items = NULL;
    return true;
}

static bool open_array(struct ehi_cursor *c, uint64_t count, struct ehi_value *out)
{
    return open_list(c, EHI_VALUE_ARRAY, count, 1, out);
}

static bool open_map(struct ehi_cursor *c, uint64_t count, struct ehi_value *out)
{
    return open_list(c, EHI_VALUE_MAP, count, 2, out);
}

static bool read_array(struct ehi_cursor *c, unsigned count_bytes, struct ehi_value *out)
{
    uint64_t count;
    return read_unsigned(c, count_bytes, &count) && open_array(c, count, out);
}

static bool read_map(struct ehi_cursor *c, unsigned count_bytes, struct ehi_value *out)
{
    uint64_t count;
    return read_unsigned(c, count_bytes, &count) && open_map(c, count, out);
}

static bool give_bool(struct ehi_value *out, bool boolean)
{
    out->kind = EHI_VALUE_BOOL;
    out->u.boolean = boolean;
    return true;
}

static bool give_null(struct ehi_value *out)
{
    out->kind = EHI_VALUE_NULL;
    return true;
}

/* The first byte is c0 to df and has been read. */
static bool read_marked(struct ehi_cursor *c, uint8_t mark, struct ehi_value *out)
{
    switch (mark) {
    case 0xc0:
        return give_null(out);
    case 0xc2:
    case 0xc3:
        return give_bool(out, mark == 0xc3);
    case 0xca:
        return read_float32(c, out);
    case 0xcb:
        return read_float64(c, out);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_uint(c, 1u << (mark - 0xcc), out);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_int(c, 1u << (mark - 0xd0), out);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return read_string(c, 1u << (mark - 0xd9), out);
    case 0xdc:
    case 0xdd:
        return read_array(c, 2u << (mark - 0xdc), out);
    case 0xde:
    case 0xdf:
        return read_map(c, 2u << (mark - 0xde), out);
    default: /* bin, ext, and c1, which MessagePack never uses */
        return malformed(c);
    }
}

bool ehi_cursor_read(struct ehi_cursor *c, struct ehi_value *out)
{
    if (c->next == c->end)
        return malformed(c);
    uint8_t mark = *c->next++;
    out->count = 0;
    if (mark < 0x80)
        return give_integer(out, mark);
    if (mark < 0x90)
        return open_map(c, mark & 0x0f, out);
    if (mark < 0xa0)
        return open_array(c, mark & 0x0f, out);
    if (mark < 0xc0)
        return give_string(c, mark & 0x1f, out);
    if (mark < 0xe0)
        return read_marked(c, mark, out);
    return give_integer(out, (int64_t)mark - 256);
}

/* A name that is in the dictionary is known also where it was written as a text. */
static bool give_named_key(struct ehi_slice name, struct ehi_member_key *out)
{
    out->number = ehi_key_number(name);
    out->name = name;
    return true;
}

static bool give_numbered_key(struct ehi_cursor *c, int64_t number, struct ehi_member_key *out)
{
    if (number < 1 || number > EHI_KEY_COUNT)
        return malformed(c);
    out->number = (int)number;
    out->name = ehi_key_name((int)number);
    return true;
}

bool ehi_cursor_key(struct ehi_cursor *c, struct ehi_member_key *out)
{
    struct ehi_value key;
    if (c->next != c->end && *c->next < 0x80)
        return give_numbered_key(c, *c->next++, out);
    if (!ehi_cursor_read(c, &key))
        return false;
    if (key.kind == EHI_VALUE_INT)
        return give_numbered_key(c, key.u.integer, out);
    if (key.kind == EHI_VALUE_STRING)
        return give_named_key(key.u.string, out);
    return malformed(c);
}

/* A key that is only passed over need not be looked up. */
static bool skip_key(struct ehi_cursor *c)
{
    struct ehi_value key;
    if (c->next != c->end && *c->next >= 1 && *c->next < 0x80) {
        c->next++;
        return true;
    }
    if (!ehi_cursor_read(c, &key))
        return false;
    if (key.kind == EHI_VALUE_INT)
        return (key.u.integer >= 1 && key.u.integer <= EHI_KEY_COUNT) || malformed(c);
    return key.kind == EHI_VALUE_STRING || malformed(c);
}

static bool skip_items(struct ehi_cursor *c, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!ehi_cursor_skip(c))
            return false;
    }
    ehi_cursor_close(c);
    return true;
}

static bool skip_members(struct ehi_cursor *c, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!skip_key(c) || !ehi_cursor_skip(c))
            return false;
    }
    ehi_cursor_close(c);
    return true;
}

/* Most of what is passed over is told by its first byte. false: it is not, or not well-formed. */
static bool skip_short(struct ehi_cursor *c)
{
    if (c->next == c->end)
        return false;
    uint8_t mark = *c->next;
    if (mark < 0x80 || mark >= 0xe0 || mark == 0xc0 || (mark | 1) == 0xc3)
        c->next++;
    else if (mark == 0xcc && left(c) >= 2)
        c->next += 2;
    else
        return false;
    return true;
}

/* Recurses no deeper than nesting_left. */
bool ehi_cursor_skip(struct ehi_cursor *c)
{
    struct ehi_value value;
    if (skip_short(c))
        return true;
    uint8_t mark = c->next == c->end ? 0 : *c->next;
    if ((mark & 0xe0) == 0x80) { /* a map or an array of few */
        c->next++;
        return (mark & 0x10) != 0
                   ? open_array(c, mark & 0x0f, &value) && skip_items(c, mark & 0x0f)
                   : open_map(c, mark & 0x0f, &value) && skip_members(c, mark & 0x0f);
    }
    if (!ehi_cursor_read(c, &value))
        return false;
    if (value.kind == EHI_VALUE_ARRAY)
        return skip_items(c, value.count);
    if (value.kind == EHI_VALUE_MAP)
        return skip_members(c, value.count);
    return true;
}

bool ehi_cursor_take(struct ehi_cursor *c, struct ehi_slice *out)
{
    const uint8_t *start = c->next;
    if (!ehi_cursor_skip(c))
        return false;
    *out = ehi_slice(start, (size_t)(c->next - start));
    return true;
}
