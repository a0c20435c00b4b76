/*
 * Records compressed and expanded: what comes back is what went in, and the two readers (the store's and verify's) agree on
 * whatever stands in a segment, once its checksum is right.
 *
 * Input: records, each as u8 subject bytes, u8 id bytes, u16 body bytes and then these; behind them, from a byte that is 255 on,
 * changes to what was written: u16 where, u8 by what.
 */
#include "base/hash.h"
#include "codec/compress.h"
#include "codec/record.h"
#include "codec/stored.h"
#include "upkeep/verify_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 16, MOST_RECORDS = 64, SEED = 7 };

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *next;
    size_t left;
};

static unsigned take(struct input *in, unsigned bytes)
{
    unsigned number = 0;
    for (unsigned i = 0; i < bytes && in->left > 0; i++, in->next++, in->left--)
        number |= (unsigned)*in->next << (8 * i);
    return number;
}

static void take_bytes(struct input *in, struct ehi_buffer *out, size_t length)
{
    size_t there = length < in->left ? length : in->left;
    HOLDS(ehi_buffer_append(out, in->next, there) == ECSHIST_OK);
    HOLDS(ehi_buffer_append_zeros(out, length - there) == ECSHIST_OK);
    in->next += there;
    in->left -= there;
}

/* A stamped record of whatever the input has. */
static void make_record(struct input *in, struct ehi_buffer *out, uint64_t seq)
{
    unsigned subject = take(in, 1), id = take(in, 1), body = take(in, 2);
    size_t bytes = (EHI_RECORD_HEADER_BYTES + (size_t)subject + id + body + 7) / 8 * 8;
    out->length = 0;
    HOLDS(ehi_buffer_append_zeros(out, EHI_RECORD_HEADER_BYTES) == ECSHIST_OK);
    take_bytes(in, out, (size_t)subject + id + body);
    HOLDS(ehi_buffer_append_zeros(out, bytes - out->length) == ECSHIST_OK);
    ehi_put_le32(out->data + EHI_REC_BYTES, (uint32_t)bytes);
    ehi_put_le64(out->data + EHI_REC_TIME, seq * subject);
    ehi_put_le16(out->data + EHI_REC_TYPE, (uint16_t)(1 + id % 20));
    ehi_put_le16(out->data + EHI_REC_SUBJECT_BYTES, (uint16_t)subject);
    ehi_put_le16(out->data + EHI_REC_ID_BYTES, (uint16_t)id);
    ehi_put_le32(out->data + EHI_REC_BODY_BYTES, body);
    ehi_record_stamp(out->data, seq, (int64_t)(seq * body), id & 1, SEED);
}

/* The segment so far, in a file too: verify reads where something is copied from. */
struct segment {
    struct ehi_buffer bytes;
    int fd;
    struct ehi_compressor *compressor;
    size_t at[MOST_RECORDS];
    unsigned count;
};

static void put_in_file(const struct segment *s)
{
    HOLDS(pwrite(s->fd, s->bytes.data, s->bytes.length, 0) == (ssize_t)s->bytes.length);
}

static void expect_record(const struct segment *s, size_t at, struct ehi_slice record)
{
    struct ehi_arena arena = {0};
    struct ehi_slice rest = ehi_slice(s->bytes.data + at, s->bytes.length - at), expanded;
    struct ehi_stored stored;
    struct verify_made made;
    HOLDS(ehi_stored_next(&rest, true, &stored));
    HOLDS(stored.bytes.length <= record.length + EHI_COMPRESSED_MORE_BYTES);
    HOLDS(ehi_stored_expand(&stored, s->bytes.data, SEED, &arena, &expanded) == ECSHIST_OK);
    HOLDS(ehi_slice_equal(expanded, record));
    HOLDS(verify_make_record(s->fd, at, stored.bytes, &arena, &made) == 0 && made.fault == NULL);
    HOLDS(ehi_slice_equal(made.record, record) && made.stored_bytes == stored.bytes.length);
    ehi_arena_free(&arena);
}

static void add_record(struct segment *s, struct input *in, struct ehi_buffer *record)
{
    struct ehi_buffer buffer = {0};
    make_record(in, record, s->count + 1);
    HOLDS(ehi_record_compress(s->compressor, s->bytes.data, s->bytes.length,
                              ehi_buffer_slice(record), &buffer) == ECSHIST_OK);
    s->at[s->count++] = s->bytes.length;
    HOLDS(ehi_buffer_append(&s->bytes, buffer.data, buffer.length) == ECSHIST_OK);
    put_in_file(s);
    expect_record(s, s->at[s->count - 1], ehi_buffer_slice(record));
    ehi_buffer_free(&buffer);
}

/* Where the checksum of the record that begins there stands. */
static size_t checksum_at(const struct segment *s, size_t at)
{
    while (s->bytes.data[at] >= 128)
        at++;
    return at + 1;
}

/* Both readers say the same of what stands there. */
static void expect_agreement(struct segment *s, size_t at)
{
    struct ehi_arena arena = {0};
    struct ehi_slice whole = ehi_slice(s->bytes.data + at, s->bytes.length - at), rest = whole;
    struct ehi_slice expanded;
    struct ehi_stored stored;
    struct verify_made made;
    bool there = ehi_stored_next(&rest, true, &stored);
    HOLDS(verify_make_record(s->fd, at, whole, &arena, &made) == 0);
    HOLDS(there || made.fault != NULL || whole.data[0] == 0);
    if (there && made.fault == NULL) {
        uint64_t hash =
            ehi_hash64(made.record.data + EHI_REC_SEQ, made.record.length - EHI_REC_SEQ, SEED);
        ehi_put_le32(s->bytes.data + checksum_at(s, at), (uint32_t)hash);
        put_in_file(s); /* what comes may copy it */
        rest = whole;
        HOLDS(ehi_stored_next(&rest, true, &stored));
        HOLDS(ehi_stored_expand(&stored, s->bytes.data, SEED, &arena, &expanded) == ECSHIST_OK);
        HOLDS(expanded.length == made.record.length);
        HOLDS(memcmp(expanded.data + EHI_REC_SEQ, made.record.data + EHI_REC_SEQ,
                     expanded.length - EHI_REC_SEQ) == 0);
    } else if (there) {
        int rc = ehi_stored_expand(&stored, s->bytes.data, SEED, &arena, &expanded);
        HOLDS(rc == ECSHIST_DAMAGED);
    }
    ehi_arena_free(&arena);
}

static void change(struct segment *s, struct input *in)
{
    size_t header = EHI_SEGMENT_HEADER_BYTES, room = s->bytes.length - header;
    while (in->left > 0 && room > 0) {
        size_t at = header + take(in, 2) % room;
        s->bytes.data[at] ^= (uint8_t)take(in, 1);
    }
    put_in_file(s);
    for (unsigned i = 0; i < s->count; i++)
        expect_agreement(s, s->at[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct segment s = {.fd = memfd_create("segment", MFD_CLOEXEC),
                        .compressor = ehi_compressor_new()};
    struct ehi_buffer record = {0};
    HOLDS(s.fd >= 0 && s.compressor != NULL);
    HOLDS(ehi_buffer_append_zeros(&s.bytes, EHI_SEGMENT_HEADER_BYTES) == ECSHIST_OK);
    while (size <= MOST_BYTES && in.left > 0 && *in.next != 255 && s.count < MOST_RECORDS)
        add_record(&s, &in, &record);
    (void)take(&in, 1);
    if (size <= MOST_BYTES)
        change(&s, &in);
    close(s.fd);
    ehi_compressor_free(s.compressor);
    ehi_buffer_free(&s.bytes);
    ehi_buffer_free(&record);
    return 0;
}
