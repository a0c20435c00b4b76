/*
 * record  = varint(bytes that follow), checksum, HEADER, TOKEN …
 * HEADER  = varint(seq), varint(time), varint(zigzag(recordedAt - time)), varint(type * 2 + ignored),
 *           varint(bytes of subject), varint(of id), varint(of body)
 * TOKEN   = varint(n * 2), n bytes               these bytes
 *         | varint(n * 2 + 1), varint(d)         the n bytes that begin d before the record
 * varint  = 7 bits a byte, the lowest first, the highest bit set where more follow
 *
 * What is copied are bytes of the segment as they stand there, never the outcome of another copy: a record is expanded in one
 * step, whatever it refers to.
 */
#include "codec/stored.h"

#include "codec/record.h"

/* -- headers ----------------------------------------------------------------------------------- */

struct reading {
    const uint8_t *next, *end;
    bool failed;
};

/* The 7 bits of each of 8 bytes, one behind the other. */
static inline uint64_t join_sevens(uint64_t word)
{
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    return (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
}

/* One that ends within 8 bytes which are there: nearly all. false: another. */
static inline bool short_varint(struct reading *r, uint64_t *number)
{
    if (r->end - r->next < 8)
        return false;
    uint64_t word = ehi_get_le64(r->next), last = ~word & UINT64_C(0x8080808080808080);
    if (last == 0)
        return false;
    unsigned bits = (unsigned)__builtin_ctzll(last) + 1;
    r->next += bits / 8;
    *number = join_sevens(word & (UINT64_MAX >> (64 - bits)));
    return true;
}

static __attribute__((noinline)) uint64_t long_varint(struct reading *r)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && r->next < r->end; shift += 7) {
        uint8_t byte = *r->next++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return number;
    }
    r->failed = true;
    return 0;
}

static inline uint64_t varint(struct reading *r)
{
    if (r->next < r->end && *r->next < 0x80)
        return *r->next++;
    uint64_t number;
    if (short_varint(r, &number))
        return number;
    /* A copy is what has an address: so all of it can be in registers elsewhere. */
    struct reading copy = *r;
    number = long_varint(&copy);
    *r = copy;
    return number;
}

/* No more than that, so that sums of such numbers are right. */
static inline uint32_t length_of(struct reading *r)
{
    uint64_t length = varint(r);
    if (length <= EHI_RECORD_MAX_BYTES)
        return (uint32_t)length;
    r->failed = true;
    return 0;
}

static int64_t unzigzag(uint64_t number)
{
    return (int64_t)(number >> 1 ^ (0 - (number & 1)));
}

static inline void read_header(struct reading *r, struct ehi_stored *out)
{
    out->checksum = ehi_get_le32(r->next);
    r->next += 4;
    out->seq = varint(r);
    uint64_t time_us = varint(r);
    out->time_us = (int64_t)time_us;
    out->recorded_at_us = (int64_t)(time_us + (uint64_t)unzigzag(varint(r)));
    uint64_t kind = varint(r);
    r->failed |= kind > UINT16_MAX;
    out->type = (uint16_t)(kind / 2);
    out->flags = (uint16_t)(kind % 2);
    out->subject_bytes = length_of(r);
    out->id_bytes = length_of(r);
    out->body_bytes = length_of(r);
    r->failed |= out->subject_bytes > UINT16_MAX || out->id_bytes > UINT16_MAX;
}

static bool next_compressed(struct ehi_slice *rest, struct ehi_stored *out)
{
    struct reading r = {rest->data, rest->data + rest->length, false};
    if (rest->length > 0 && *rest->data == 0) {
        size_t zeros = 0;
        while (zeros < rest->length && rest->data[zeros] == 0)
            zeros++;
        if (zeros == rest->length && zeros < 8)
            *rest = EHI_SLICE_EMPTY;
        return false;
    }
    uint64_t bytes = varint(&r);
    if (r.failed || bytes < 4 || bytes > (uint64_t)(r.end - r.next))
        return false;
    r.end = r.next + bytes;
    read_header(&r, out);
    if (r.failed)
        return false;
    out->compressed = true;
    out->tokens = ehi_slice(r.next, (size_t)(r.end - r.next));
    out->bytes = ehi_slice(rest->data, (size_t)(r.end - rest->data));
    *rest = ehi_slice(r.end, rest->length - out->bytes.length);
    return true;
}

static bool next_plain(struct ehi_slice *rest, struct ehi_stored *out)
{
    if (rest->length < EHI_RECORD_HEADER_BYTES)
        return false;
    const uint8_t *at = rest->data;
    uint32_t length = ehi_get_le32(at + EHI_REC_BYTES);
    if (length < EHI_RECORD_HEADER_BYTES || length % 8 != 0 || length > rest->length)
        return false;
    *out = (struct ehi_stored){.bytes = ehi_slice(at, length),
                               .seq = ehi_get_le64(at + EHI_REC_SEQ),
                               .recorded_at_us = (int64_t)ehi_get_le64(at + EHI_REC_RECORDED_AT),
                               .time_us = (int64_t)ehi_get_le64(at + EHI_REC_TIME),
                               .checksum = ehi_get_le32(at + EHI_REC_CHECKSUM),
                               .type = ehi_get_le16(at + EHI_REC_TYPE),
                               .flags = ehi_get_le16(at + EHI_REC_FLAGS),
                               .subject_bytes = ehi_get_le16(at + EHI_REC_SUBJECT_BYTES),
                               .id_bytes = ehi_get_le16(at + EHI_REC_ID_BYTES),
                               .body_bytes = ehi_get_le32(at + EHI_REC_BODY_BYTES)};
    *rest = ehi_slice(at + length, rest->length - length);
    return true;
}

bool ehi_stored_next(struct ehi_slice *rest, bool compressed, struct ehi_stored *out)
{
    return compressed ? next_compressed(rest, out) : next_plain(rest, out);
}

/* -- what follows them ------------------------------------------------------------------------- */

struct expanding {
    struct reading tokens;
    const uint8_t *segment;
    uint64_t offset; /* of the record */
    uint8_t *out, *end;
};

static bool put(struct expanding *x, const uint8_t *bytes, uint64_t length)
{
    if (length > (uint64_t)(x->end - x->out))
        return false;
    memcpy(x->out, bytes, (size_t)length);
    x->out += length;
    return true;
}

static bool copy(struct expanding *x, uint64_t length)
{
    uint64_t distance = varint(&x->tokens);
    return !x->tokens.failed && length <= distance &&
           distance <= x->offset - EHI_SEGMENT_HEADER_BYTES &&
           put(x, x->segment + (x->offset - distance), length);
}

static bool put_own(struct expanding *x, uint64_t length)
{
    const uint8_t *bytes = x->tokens.next;
    if (length > (uint64_t)(x->tokens.end - bytes))
        return false;
    x->tokens.next += length;
    return put(x, bytes, length);
}

static bool expand_token(struct expanding *x)
{
    uint64_t number = varint(&x->tokens), length = number / 2;
    if (x->tokens.failed || length == 0)
        return false;
    return number % 2 == 0 ? put_own(x, length) : copy(x, length);
}

static bool expand(const struct ehi_stored *stored, const uint8_t *segment, uint8_t *out,
                   size_t size)
{
    struct expanding x = {
        .tokens = {stored->tokens.data, stored->tokens.data + stored->tokens.length, false},
        .segment = segment,
        .offset = (uint64_t)(stored->bytes.data - segment),
        .out = out,
        .end = out + size};
    if (x.offset < EHI_SEGMENT_HEADER_BYTES)
        return false;
    while (x.tokens.next < x.tokens.end) {
        if (!expand_token(&x))
            return false;
    }
    return x.out == x.end;
}

static void put_header(const struct ehi_stored *stored, uint8_t *record, size_t bytes)
{
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)bytes);
    ehi_put_le32(record + EHI_REC_CHECKSUM, stored->checksum);
    ehi_put_le64(record + EHI_REC_SEQ, stored->seq);
    ehi_put_le64(record + EHI_REC_RECORDED_AT, (uint64_t)stored->recorded_at_us);
    ehi_put_le64(record + EHI_REC_TIME, (uint64_t)stored->time_us);
    ehi_put_le16(record + EHI_REC_TYPE, stored->type);
    ehi_put_le16(record + EHI_REC_FLAGS, stored->flags);
    ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)stored->subject_bytes);
    ehi_put_le16(record + EHI_REC_ID_BYTES, (uint16_t)stored->id_bytes);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, stored->body_bytes);
    ehi_put_le32(record + EHI_REC_RESERVED, 0);
}

static int expand_into(const struct ehi_stored *stored, const uint8_t *segment,
                       struct ehi_arena *arena, struct ehi_slice *out)
{
    size_t parts = (size_t)stored->subject_bytes + stored->id_bytes + stored->body_bytes;
    size_t bytes = (EHI_RECORD_HEADER_BYTES + parts + 7) & ~(size_t)7;
    uint8_t *record = ehi_arena_alloc(arena, bytes);
    if (record == NULL)
        return ECSHIST_NO_MEMORY;
    memset(record + bytes - 8, 0, 8); /* what pads it */
    put_header(stored, record, bytes);
    *out = ehi_slice(record, bytes);
    return expand(stored, segment, record + EHI_RECORD_HEADER_BYTES, parts) ? ECSHIST_OK
                                                                            : ECSHIST_DAMAGED;
}

int ehi_stored_expand(const struct ehi_stored *stored, const uint8_t *segment, uint64_t seed,
                      struct ehi_arena *arena, struct ehi_slice *out)
{
    struct ehi_slice record = stored->bytes;
    int rc = stored->compressed ? expand_into(stored, segment, arena, &record) : ECSHIST_OK;
    if (rc == ECSHIST_OK && !ehi_record_intact(record, seed))
        rc = ECSHIST_DAMAGED;
    if (rc == ECSHIST_OK)
        *out = record;
    return rc;
}
