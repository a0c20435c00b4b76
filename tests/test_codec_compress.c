/* Records compressed against a segment, and expanded from it; what is no record, refused by the store's reader and by verify's. */
#include "codec/compress.h"
#include "codec/record.h"
#include "codec/stored.h"
#include "upkeep/verify_internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEED = 99 };

static struct ehi_buffer segment;
static struct ehi_compressor *compressor;
static struct ehi_arena arena;

static void setup(void)
{
    compressor = ehi_compressor_new();
    cr_assert_not_null(compressor);
    cr_assert_eq(ehi_buffer_append_zeros(&segment, EHI_SEGMENT_HEADER_BYTES), ECSHIST_OK);
}

static void teardown(void)
{
    ehi_compressor_free(compressor);
    ehi_buffer_free(&segment);
    ehi_arena_free(&arena);
}

TestSuite(codec_compress, .init = setup, .fini = teardown);

static struct ehi_slice make_record(uint64_t seq, const char *subject, const char *id,
                                    struct ehi_slice body)
{
    size_t parts = strlen(subject) + strlen(id) + body.length;
    size_t bytes = (EHI_RECORD_HEADER_BYTES + parts + 7) / 8 * 8;
    uint8_t *record = ehi_arena_array(&arena, 1, bytes), *at = record + EHI_RECORD_HEADER_BYTES;
    cr_assert_not_null(record);
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)bytes);
    ehi_put_le64(record + EHI_REC_TIME, 1700000000000000 + seq);
    ehi_put_le16(record + EHI_REC_TYPE, EHI_TASKS_UPDATED);
    ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)strlen(subject));
    ehi_put_le16(record + EHI_REC_ID_BYTES, (uint16_t)strlen(id));
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)body.length);
    memcpy(at, subject, strlen(subject));
    memcpy(at + strlen(subject), id, strlen(id));
    memcpy(at + strlen(subject) + strlen(id), body.data, body.length);
    ehi_record_stamp(record, seq, 1600000000000000, seq % 2, SEED);
    return ehi_slice(record, bytes);
}

/* A MessagePack text of so many bytes, in a body that is one. */
static struct ehi_slice text_body(const char *text)
{
    size_t length = strlen(text);
    uint8_t *body = ehi_arena_alloc(&arena, length + 2);
    cr_assert_not_null(body);
    body[0] = 0xd9;
    body[1] = (uint8_t)length;
    memcpy(body + 2, text, length);
    return ehi_slice(body, length + 2);
}

/* Appends it; the bytes it takes. */
static size_t put(struct ehi_slice record)
{
    struct ehi_buffer buffer = {0};
    size_t at = segment.length;
    cr_assert_eq(ehi_record_compress(compressor, segment.data, at, record, &buffer), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_append(&segment, buffer.data, buffer.length), ECSHIST_OK);
    ehi_buffer_free(&buffer);
    return segment.length - at;
}

static bool get_from(struct ehi_slice bytes, size_t at, struct ehi_slice *out)
{
    struct ehi_slice rest = ehi_slice(bytes.data + at, bytes.length - at), passed = rest;
    struct ehi_stored stored;
    uint64_t seq;
    bool there = ehi_stored_next(&rest, true, &stored);
    cr_assert_eq(ehi_stored_pass(&passed, true, &seq), there);
    cr_assert(passed.data == rest.data && passed.length == rest.length);
    if (!there)
        return false;
    cr_assert_eq(seq, stored.seq);
    return ehi_stored_expand(&stored, bytes.data, SEED, &arena, out) == ECSHIST_OK;
}

/* With nothing behind it, and with so much that more than it may be looked at at once: it comes to the same. */
static bool get(size_t at, struct ehi_slice *out)
{
    struct ehi_slice other;
    struct ehi_buffer longer = {0};
    bool there = get_from(ehi_buffer_slice(&segment), at, out);
    cr_assert_eq(ehi_buffer_append(&longer, segment.data, segment.length), ECSHIST_OK);
    for (unsigned i = 0; i < 64; i++)
        cr_assert_eq(ehi_buffer_append(&longer, i < 8 ? "\0" : "\xff", 1), ECSHIST_OK);
    cr_assert_eq(get_from(ehi_buffer_slice(&longer), at, &other), there);
    cr_assert(!there || ehi_slice_equal(*out, other));
    ehi_buffer_free(&longer);
    return there;
}

/* What verify finds wrong with it, NULL: nothing. */
static const char *fault_of(size_t at, struct ehi_slice *out)
{
    struct verify_made made;
    int fd = memfd_create("segment", MFD_CLOEXEC);
    cr_assert(fd >= 0 && write(fd, segment.data, segment.length) == (ssize_t)segment.length);
    int failed = verify_make_record(fd, at, ehi_slice(segment.data + at, segment.length - at),
                                    &arena, &made);
    cr_assert_eq(failed, 0);
    close(fd);
    if (made.fault == NULL && !ehi_record_intact(made.record, SEED))
        return "the checksum";
    *out = made.record;
    return made.fault;
}

static void expect(size_t at, struct ehi_slice record)
{
    struct ehi_slice a, b;
    cr_assert(get(at, &a));
    cr_assert(ehi_slice_equal(a, record));
    const char *fault = fault_of(at, &b);
    cr_assert(fault == NULL, "%s", fault);
    cr_assert(ehi_slice_equal(b, record));
}

#define ARN "arn:aws:ecs:eu-north-1:111222333444:service-deployment/production/web/d0001"

Test(codec_compress, what_stands_there_is_not_written_again)
{
    struct ehi_slice first = make_record(1, ARN, "", text_body(ARN "x"));
    struct ehi_slice second = make_record(2, ARN, "two", text_body(ARN "x"));
    size_t at = segment.length, took = put(first), again = segment.length;
    cr_assert_lt(took, first.length);
    cr_assert_lt(put(second), 45u);
    expect(at, first);
    expect(again, second);
}

Test(codec_compress, any_lengths)
{
    static char subject[1100], id[130];
    uint8_t body[700];
    for (unsigned i = 0; i < 700; i++) {
        size_t lengths[] = {i % 90, i % 37, (i * 7) % 700};
        snprintf(subject, sizeof(subject), "%0*u", (int)lengths[0], i / 3);
        snprintf(id, sizeof(id), "%0*u", (int)lengths[1], i);
        for (size_t j = 0; j < lengths[2]; j++)
            body[j] = (uint8_t)(j * (i % 5 + 1) >> (i % 3));
        struct ehi_slice record = make_record(i + 1, subject, id, ehi_slice(body, lengths[2]));
        size_t at = segment.length;
        cr_assert_leq(put(record), record.length + EHI_COMPRESSED_MORE_BYTES);
        expect(at, record);
    }
}

Test(codec_compress, large_ones)
{
    size_t length = 1048576;
    uint8_t *body = malloc(length);
    cr_assert_not_null(body);
    for (size_t i = 0; i < length; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 24);
    for (unsigned i = 0; i < 2; i++) {
        struct ehi_slice record = make_record(i + 1, ARN, "", ehi_slice(body, length));
        size_t at = segment.length, took = put(record);
        cr_assert(i == 0 || took < length / 4);
        expect(at, record);
    }
    free(body);
}

/* What the compressor remembers may be of other bytes: another handle cut them off, say. */
Test(codec_compress, what_is_remembered_is_compared)
{
    struct ehi_slice first = make_record(1, ARN, "", text_body(ARN));
    put(first);
    memset(segment.data + EHI_SEGMENT_HEADER_BYTES, 7, segment.length - EHI_SEGMENT_HEADER_BYTES);
    struct ehi_slice second = make_record(2, ARN, "", text_body(ARN));
    size_t at = segment.length;
    put(second);
    expect(at, second);
    segment.length = EHI_SEGMENT_HEADER_BYTES;
    struct ehi_slice third = make_record(3, ARN, "", text_body(ARN));
    put(third);
    expect(EHI_SEGMENT_HEADER_BYTES, third);
}

Test(codec_compress, every_bit_counts)
{
    struct ehi_slice first = make_record(1, ARN, "one", text_body("a text that is not an ARN"));
    struct ehi_slice second = make_record(2, ARN, "two", text_body(ARN));
    put(first);
    size_t at = segment.length, took = put(second);
    for (size_t bit = EHI_SEGMENT_HEADER_BYTES * 8; bit < (at + took) * 8; bit++) {
        struct ehi_slice a, b;
        segment.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool read = get(at, &a), made = fault_of(at, &b) == NULL;
        cr_assert_eq(read, made, "bit %zu", bit);
        cr_assert(!read || ehi_slice_equal(a, second), "bit %zu", bit);
        /* Behind the first record's header, what it has is copied; and of the second nothing may change. */
        cr_assert(!read || bit < at * 8, "bit %zu", bit);
        segment.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A record by hand: its size, checksum and header, then these tokens. */
static void put_tokens(unsigned subject, const uint8_t *tokens, size_t length)
{
    uint8_t record[64] = {(uint8_t)(4 + 7 + length), 0, 0, 0, 0, 1, 2, 0, 8,
                          (uint8_t)subject,          0, 0};
    memcpy(record + 12, tokens, length);
    cr_assert_eq(ehi_buffer_append(&segment, record, 12 + length), ECSHIST_OK);
}

Test(codec_compress, tokens_that_are_not_right)
{
    static const struct {
        unsigned subject;
        size_t length;
        uint8_t tokens[12];
    } cases[] = {
        {3, 0, {0}},                     /* nothing */
        {3, 3, {6, 'a', 'b'}},           /* fewer bytes than it says */
        {3, 3, {4, 'a', 'b'}},           /* less than the record has */
        {3, 5, {8, 'a', 'b', 'c', 'd'}}, /* more */
        {0, 1, {0}},                     /* a piece of no bytes */
        {0, 2, {1, 20}},                 /* a copy of none */
        {3, 2, {7, 2}},                  /* a copy of itself */
        {3, 2, {7, 0}},                  /* from nowhere */
        {3, 3, {7, 0xff, 0x7f}},         /* from before the segment */
        {3, 2, {7, 101}},                /* from its header */
        {3, 1, {7}},                     /* no distance */
        {3, 2, {7, 0x80}},               /* one that does not end */
        {3,
         11,
         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}}, /* a number too large */
    };
    cr_assert_eq(ehi_buffer_append(&segment, "abcdefghijklmnopqrstuvwxyz0123456789", 36),
                 ECSHIST_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t at = segment.length;
        struct ehi_slice out;
        put_tokens(cases[i].subject, cases[i].tokens, cases[i].length);
        cr_assert(!get(at, &out), "%zu", i);
        const char *fault = fault_of(at, &out);
        cr_assert(fault != NULL && strcmp(fault, "the checksum") != 0, "%zu: %s", i,
                  fault == NULL ? "none" : fault);
        segment.length = at;
    }
}

Test(codec_compress, tokens_that_are_right)
{
    struct ehi_slice made;
    cr_assert_eq(ehi_buffer_append(&segment, "abcdefghij", 10), ECSHIST_OK);
    size_t at = segment.length;
    put_tokens(9, (const uint8_t[]){2 * 3 + 1, 10, 2 * 2, '-', '-', 2 * 4 + 1, 0x84, 0x00}, 8);
    cr_assert_str_eq(fault_of(at, &made), "the checksum");
    struct ehi_arena other = {0};
    struct verify_made record;
    int fd = memfd_create("segment", MFD_CLOEXEC);
    cr_assert(write(fd, segment.data, segment.length) == (ssize_t)segment.length);
    cr_assert_eq(verify_make_record(fd, at, ehi_slice(segment.data + at, segment.length - at),
                                    &other, &record),
                 0);
    close(fd);
    cr_assert_arr_eq(record.record.data + EHI_RECORD_HEADER_BYTES, "abc--ghij", 9);
    ehi_record_stamp((uint8_t *)(uintptr_t)record.record.data, 1, 2, 0, SEED);
    memcpy(segment.data + at + 1, record.record.data + EHI_REC_CHECKSUM, 4);
    cr_assert(get(at, &made));
    cr_assert_arr_eq(made.data + EHI_RECORD_HEADER_BYTES, "abc--ghij", 9);
    ehi_arena_free(&other);
}

static void put_number(struct ehi_buffer *out, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++, number = i < 10 ? number >> 7 : 0) {
        uint8_t byte = (uint8_t)((number & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
        cr_assert_eq(ehi_buffer_append(out, &byte, 1), ECSHIST_OK);
    }
}

/* Size, seq, time, delay, type, S, I and B: in their order. */
enum { NUMBERS = 8 };
static const uint64_t header_numbers[NUMBERS] = {0, 300, 1700000000000000, 2000, 9, 100, 5, 90};
static const unsigned least_bytes[NUMBERS] = {2, 2, 8, 2, 1, 1, 1, 1};

static void make_header(struct ehi_buffer *out, const unsigned bytes[NUMBERS])
{
    size_t length = 4 + 3; /* the checksum, and tokens */
    out->length = 0;
    for (unsigned i = 1; i < NUMBERS; i++)
        length += bytes[i];
    put_number(out, length, bytes[0]);
    cr_assert_eq(ehi_buffer_append(out, "\1\2\3\4", 4), ECSHIST_OK);
    for (unsigned i = 1; i < NUMBERS; i++)
        put_number(out, header_numbers[i], bytes[i]);
    cr_assert_eq(ehi_buffer_append(out, "abc", 3), ECSHIST_OK);
}

static void expect_header(const struct ehi_buffer *header, size_t more, bool wanted)
{
    struct ehi_buffer bytes = {0};
    struct ehi_stored stored;
    cr_assert_eq(ehi_buffer_append(&bytes, header->data, header->length), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_append_zeros(&bytes, more), ECSHIST_OK);
    struct ehi_slice rest = ehi_buffer_slice(&bytes);
    cr_assert_eq(ehi_stored_next(&rest, true, &stored), wanted);
    if (wanted) {
        cr_assert(rest.length == more && stored.bytes.length == header->length);
        cr_assert(stored.checksum == 0x04030201 && stored.seq == 300 && stored.type == 4);
        cr_assert(stored.time_us == 1700000000000000 && stored.flags == 1);
        cr_assert_eq(stored.recorded_at_us, 1700000000001000);
        cr_assert(stored.subject_bytes == 100 && stored.id_bytes == 5 && stored.body_bytes == 90);
        cr_assert(ehi_slice_is(stored.tokens, "abc"));
    }
    ehi_buffer_free(&bytes);
}

/* A number may have more bytes than it needs, up to ten. */
Test(codec_compress, headers_of_any_widths)
{
    struct ehi_buffer header = {0};
    for (unsigned one = 0; one < NUMBERS; one++) {
        for (unsigned other = 0; other < NUMBERS; other++) {
            for (unsigned more = 0; more <= 11; more++) {
                unsigned bytes[NUMBERS];
                memcpy(bytes, least_bytes, sizeof(bytes));
                bytes[one] = more > bytes[one] ? more : bytes[one];
                bytes[other] += other != one ? more / 4 : 0;
                make_header(&header, bytes);
                expect_header(&header, 0, bytes[one] <= 10 && bytes[other] <= 10);
                expect_header(&header, 64, bytes[one] <= 10 && bytes[other] <= 10);
            }
        }
    }
    ehi_buffer_free(&header);
}

Test(codec_compress, zeros_end_a_frame)
{
    static const uint8_t zeros[8] = {0};
    struct ehi_stored stored;
    for (size_t length = 0; length <= 8; length++) {
        struct ehi_slice rest = ehi_slice(zeros, length);
        cr_assert(!ehi_stored_next(&rest, true, &stored));
        cr_assert_eq(rest.length, length < 8 ? 0u : 8u);
    }
    struct ehi_slice rest = ehi_slice("\0\0\1", 3);
    cr_assert(!ehi_stored_next(&rest, true, &stored));
    cr_assert_eq(rest.length, 3u);
}
