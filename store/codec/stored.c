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

#include "base/scan.h"
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

/* What is of a record whose header has been read: its tokens, and what is left behind it. */
static inline void take_compressed(struct ehi_slice *rest, const uint8_t *tokens,
                                   const uint8_t *end, struct ehi_stored *out)
{
    const uint8_t *start = rest->data;
    out->compressed = true;
    out->tokens = ehi_slice(tokens, (size_t)(end - tokens));
    out->bytes = ehi_slice(start, (size_t)(end - start));
    *rest = ehi_slice(end, rest->length - out->bytes.length);
    out->readable = rest->data + rest->length;
}

static __attribute__((noinline)) bool next_compressed(struct ehi_slice *rest,
                                                      struct ehi_stored *out)
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
    take_compressed(rest, r.next, r.end, out);
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

/*
 * Where the numbers of a header end is seen at once: in 32 bytes, by their highest bits. Taken are headers as nearly all are:
 * seq, time and recordedAt of up to 8 bytes, a byte for each of type, S and I, one or two for B. The rest is the plain way's.
 */
#if EHI_SCAN_SSE2
enum { SIZE_BYTES = 2, NUMBERS_AT = SIZE_BYTES + 4, LOOKED_AT = 32, FAST_LEAST = 48 };
static_assert(NUMBERS_AT + LOOKED_AT + 8 <= FAST_LEAST, "8 bytes are there from each number on");

/* How many bytes are before the numbers behind these, all the header's before the tokens. */
struct ends {
    unsigned seq, time, recorded, body;
};

/* Bits where numbers end, the first of them taken; with it, how many bytes are before the next number. */
static inline unsigned next_end(uint64_t *stops)
{
    unsigned end = (unsigned)__builtin_ctzll(*stops) + 1;
    *stops &= *stops - 1;
    return end;
}

/* A bit for 01111, 10111 and 11111: which of type, S, I, and B's bytes are ends, the first in the lowest bit. */
#define USUAL_ENDS UINT32_C(0x80808000)

static inline bool find_ends(const uint8_t *numbers, struct ends *out)
{
    unsigned low = (unsigned)_mm_movemask_epi8(ehi_load16(numbers));
    unsigned high = (unsigned)_mm_movemask_epi8(ehi_load16(numbers + 16));
    uint64_t stops = (uint32_t) ~(low | high << 16) | UINT64_C(0x7) << LOOKED_AT;
    unsigned seq = next_end(&stops), time = next_end(&stops), recorded = next_end(&stops);
    /* Type, S, I, and B's first or second: ends or not. */
    unsigned small = (unsigned)(stops >> recorded) & 0x1f, body = (small & 8) != 0 ? 4 : 5;
    *out = (struct ends){seq, time, recorded, recorded + body};
    bool short_ones = ((seq - 1) | (time - seq - 1) | (recorded - time - 1)) < 8;
    return short_ones & (recorded <= LOOKED_AT - 5) & (USUAL_ENDS >> small & 1);
}

/* A number of 1 to 8 bytes. */
static inline uint64_t number_at(const uint8_t *at, unsigned bytes)
{
    return join_sevens(ehi_get_le64(at) & UINT64_MAX >> (64 - 8 * bytes));
}

/* The header's ends, and where the record does; NULL: the plain way is to look. */
static inline const uint8_t *fast_end(struct ehi_slice rest, struct ends *ends)
{
    const uint8_t *at = rest.data;
    if (rest.length < FAST_LEAST || (at[0] & 0x80) == 0 || (at[1] & 0x80) != 0)
        return NULL;
    size_t bytes = (size_t)(at[0] & 0x7f) | (size_t)at[1] << 7;
    bool usual = find_ends(at + NUMBERS_AT, ends);
    bool fits = (bytes <= rest.length - SIZE_BYTES) & (bytes >= 4 + (size_t)ends->body);
    return usual && fits ? at + SIZE_BYTES + bytes : NULL;
}

static inline bool fast_compressed(struct ehi_slice *rest, struct ehi_stored *out)
{
    struct ends e;
    const uint8_t *end = fast_end(*rest, &e), *numbers = rest->data + NUMBERS_AT;
    if (end == NULL)
        return false;
    uint64_t time_us = number_at(numbers + e.seq, e.time - e.seq);
    int64_t delay = unzigzag(number_at(numbers + e.time, e.recorded - e.time));
    const uint8_t *small = numbers + e.recorded;
    unsigned more = e.body - e.recorded == 5 ? small[4] : 0;
    out->checksum = ehi_get_le32(rest->data + SIZE_BYTES);
    out->seq = number_at(numbers, e.seq);
    out->time_us = (int64_t)time_us;
    out->recorded_at_us = (int64_t)(time_us + (uint64_t)delay);
    out->type = small[0] / 2;
    out->flags = small[0] % 2;
    out->subject_bytes = small[1];
    out->id_bytes = small[2];
    out->body_bytes = (small[3] & 0x7f) | more << 7;
    take_compressed(rest, numbers + e.body, end, out);
    return true;
}

static inline bool fast_pass(struct ehi_slice *rest, uint64_t *seq)
{
    struct ends e;
    const uint8_t *end = fast_end(*rest, &e);
    if (end == NULL)
        return false;
    *seq = number_at(rest->data + NUMBERS_AT, e.seq);
    *rest = ehi_slice(end, rest->length - (size_t)(end - rest->data));
    return true;
}
#else
static inline bool fast_compressed(struct ehi_slice *rest, struct ehi_stored *out)
{
    (void)rest;
    (void)out;
    return false;
}

static inline bool fast_pass(struct ehi_slice *rest, uint64_t *seq)
{
    (void)rest;
    (void)seq;
    return false;
}
#endif

bool ehi_stored_next(struct ehi_slice *rest, bool compressed, struct ehi_stored *out)
{
    if (!compressed)
        return next_plain(rest, out);
    return fast_compressed(rest, out) || next_compressed(rest, out);
}

bool ehi_stored_pass(struct ehi_slice *rest, bool compressed, uint64_t *seq)
{
    struct ehi_stored stored;
    if (compressed && fast_pass(rest, seq))
        return true;
    if (!ehi_stored_next(rest, compressed, &stored))
        return false;
    *seq = stored.seq;
    return true;
}

/* -- what follows them ------------------------------------------------------------------------- */

/*
 * Pieces are copied WIDE bytes at a time, where as many are there behind the record. What is written behind a piece is written
 * over, or is in room that is there for it.
 */
enum { WIDE = 32 };

struct expanding {
    const uint8_t *next, *end;
    const uint8_t *segment;
    uint64_t offset; /* of the record */
    uint8_t *out, *out_end;
};

/* A number, and what follows it; next NULL: there is none. */
struct number {
    const uint8_t *next;
    uint64_t value;
};

static __attribute__((noinline)) struct number plain_number(const uint8_t *next, const uint8_t *end)
{
    struct reading r = {next, end, false};
    struct number number = {NULL, varint(&r)};
    number.next = r.failed ? NULL : r.next;
    return number;
}

/* Nearly all have up to three bytes. What follows may be behind the end. */
static inline struct number token_number(const struct expanding *x, bool wide)
{
    const uint8_t *next = x->next;
    if (wide) {
        uint32_t word = ehi_get_le32(next);
        if ((word & 0x80) == 0)
            return (struct number){next + 1, word & 0x7f};
        uint32_t two = (word & 0x7f) | (word >> 1 & 0x3f80);
        if ((word & 0x8000) == 0)
            return (struct number){next + 2, two};
        if ((word & 0x800000) == 0)
            return (struct number){next + 3, two | (word >> 2 & 0x1fc000)};
    }
    return plain_number(next, x->end);
}

/* One byte or more. */
static inline bool put(struct expanding *x, const uint8_t *bytes, uint64_t length, bool wide)
{
    if (length > (uint64_t)(x->out_end - x->out))
        return false;
    uint8_t *to = x->out;
    x->out += length;
    if (!wide) {
        memcpy(to, bytes, (size_t)length);
        return true;
    }
    do {
        memcpy(to, bytes, WIDE);
        to += WIDE;
        bytes += WIDE;
    } while (to < x->out);
    return true;
}

static inline bool copy(struct expanding *x, uint64_t length, bool wide)
{
    struct number distance = token_number(x, wide);
    if (distance.next == NULL || distance.next > x->end || distance.value < length ||
        distance.value > x->offset - EHI_SEGMENT_HEADER_BYTES)
        return false;
    x->next = distance.next;
    return put(x, x->segment + (x->offset - distance.value), length, wide);
}

static inline bool put_own(struct expanding *x, uint64_t length, bool wide)
{
    const uint8_t *bytes = x->next;
    if (length > (uint64_t)(x->end - bytes))
        return false;
    x->next += length;
    return put(x, bytes, length, wide);
}

static inline bool expand_token(struct expanding *x, bool wide)
{
    struct number token = token_number(x, wide);
    if (token.next == NULL || token.next > x->end || token.value < 2)
        return false;
    x->next = token.next;
    uint64_t length = token.value / 2;
    return token.value % 2 == 0 ? put_own(x, length, wide) : copy(x, length, wide);
}

static inline bool expand_tokens(struct expanding x, bool wide)
{
    while (x.next < x.end) {
        if (!expand_token(&x, wide))
            return false;
    }
    return x.out == x.out_end;
}

/* WIDE bytes behind out + size may be written to, too. */
static bool expand(const struct ehi_stored *stored, const uint8_t *segment, uint8_t *out,
                   size_t size)
{
    const uint8_t *end = stored->tokens.data + stored->tokens.length;
    const struct expanding x = {.next = stored->tokens.data,
                                .end = end,
                                .segment = segment,
                                .offset = (uint64_t)(stored->bytes.data - segment),
                                .out = out,
                                .out_end = out + size};
    if (x.offset < EHI_SEGMENT_HEADER_BYTES)
        return false;
    /* No piece ends behind the record. */
    if (stored->readable - end >= WIDE)
        return expand_tokens(x, true);
    return expand_tokens(x, false);
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

static int expand_into(const struct ehi_stored *stored, const uint8_t *segment, uint64_t seed,
                       struct ehi_arena *arena, struct ehi_slice *out)
{
    size_t parts = (size_t)stored->subject_bytes + stored->id_bytes + stored->body_bytes;
    size_t bytes = (EHI_RECORD_HEADER_BYTES + parts + 7) & ~(size_t)7;
    uint8_t *record = ehi_arena_alloc(arena, bytes + WIDE);
    if (record == NULL)
        return ECSHIST_NO_MEMORY;
    put_header(stored, record, bytes);
    if (!expand(stored, segment, record + EHI_RECORD_HEADER_BYTES, parts))
        return ECSHIST_DAMAGED;
    memset(record + EHI_RECORD_HEADER_BYTES + parts, 0, 8); /* what pads it */
    /* Its lengths are right: they were made here. */
    if (stored->checksum != ehi_record_checksum(record, bytes, seed))
        return ECSHIST_DAMAGED;
    *out = ehi_slice(record, bytes);
    return ECSHIST_OK;
}

int ehi_stored_expand(const struct ehi_stored *stored, const uint8_t *segment, uint64_t seed,
                      struct ehi_arena *arena, struct ehi_slice *out)
{
    if (stored->compressed)
        return expand_into(stored, segment, seed, arena, out);
    if (!ehi_record_intact(stored->bytes, seed))
        return ECSHIST_DAMAGED;
    *out = stored->bytes;
    return ECSHIST_OK;
}
