/* The log where records are compressed, and where they were not before. */
#include "test_log.h"

#include "codec/record.h"

#include <string.h>

static char *dir;
static struct ehi_log *log_a;
static struct ehi_position tail;

static void begin(bool plain)
{
    ehi_log_test_plain = plain;
    dir = log_new();
    log_a = log_open(dir, SMALL_SEGMENT);
    ehi_log_start(log_a, &tail);
}

static void reopen(void)
{
    ehi_log_close(log_a);
    log_a = log_open(dir, SMALL_SEGMENT);
}

static void end(void)
{
    ehi_log_close(log_a);
    store_dir_remove(dir);
}

/* Records whose bodies have much in common. */
static struct ehi_slice body_of(uint64_t seq, char text[400])
{
    int length = snprintf(
        text, 400,
        "{\"event\": %llu, \"of\": \"arn:aws:ecs:eu-north-1:111222333444:service-revision/"
        "production/service-%04llu/1000\", \"images\": [\"%016llx\", \"registry.example/"
        "service/container-%llu:build\"], \"and\": \"so on, as it was before, and before that, so "
        "that it is a document\"}",
        (unsigned long long)seq, (unsigned long long)seq % 7,
        (unsigned long long)(seq * UINT64_C(0x9E3779B97F4A7C15)), (unsigned long long)seq % 3);
    return ehi_slice(text, (size_t)length);
}

static void add_record(struct ehi_buffer *records, uint64_t seq)
{
    char text[400];
    struct ehi_slice body = body_of(seq, text);
    size_t start = records->length, bytes = (EHI_RECORD_HEADER_BYTES + body.length + 7) / 8 * 8;
    cr_assert_eq(ehi_buffer_append_zeros(records, bytes), ECSHIST_OK);
    uint8_t *record = records->data + start;
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)bytes);
    ehi_put_le64(record + EHI_REC_TIME, 1700000000000000 + seq);
    ehi_put_le16(record + EHI_REC_TYPE, 1);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)body.length);
    memcpy(record + EHI_RECORD_HEADER_BYTES, body.data, body.length);
    ehi_record_stamp(record, seq, 1700000000000000, 0, ehi_log_seed(log_a));
}

static void append(uint32_t count, uint64_t *offsets)
{
    struct ehi_buffer records = {0};
    for (uint32_t i = 0; i < count; i++)
        add_record(&records, tail.next_seq + i);
    must(ehi_log_append(log_a, &tail, ehi_buffer_slice(&records), count, tail.next_seq, offsets,
                        NULL));
    ehi_buffer_free(&records);
}

static void expect_event(uint64_t seq, uint64_t hint)
{
    char text[400];
    struct ehi_slice record, body = body_of(seq, text);
    ehi_arena_reset(&scratch);
    must(ehi_log_read(log_a, seq, hint, &scratch, &record, NULL));
    cr_assert_eq(ehi_get_le64(record.data + EHI_REC_SEQ), seq);
    cr_assert(ehi_slice_equal(ehi_slice(record.data + EHI_RECORD_HEADER_BYTES, body.length), body));
}

static void expect_all(void)
{
    uint64_t records;
    struct ehi_position at;
    ehi_log_start(log_a, &at);
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(at.next_seq, tail.next_seq);
    for (uint64_t seq = 1; seq < tail.next_seq; seq++)
        expect_event(seq, 0);
    for (uint64_t s = ehi_log_sealed_from(log_a, 1); s != 0; s = ehi_log_sealed_from(log_a, s + 1))
        must(ehi_log_check_seal(log_a, s, NULL));
}

static uint32_t features_of(uint64_t segment)
{
    char *path = log_segment_path(dir, segment);
    size_t length;
    unsigned char *bytes = store_dir_read(path, &length);
    uint32_t features = ehi_get_le32(bytes + EHI_SEG_INCOMPATIBLE);
    free(bytes);
    free(path);
    return features;
}

Test(log_compressed, takes_a_third)
{
    begin(false);
    append(100, NULL);
    cr_assert_lt(tail.offset, 100u * (EHI_RECORD_HEADER_BYTES + 230) / 3);
    cr_assert_eq(features_of(1), EHI_FEATURE_COMPRESSED);
    expect_all();
    end();
}

Test(log_compressed, each_record_is_read_by_where_it_was_put)
{
    uint64_t offsets[50];
    begin(false);
    append(50, offsets);
    for (uint64_t i = 0; i < 50; i++) {
        expect_event(i + 1, offsets[i]);
        expect_event(i + 1, offsets[(i + 1) % 50]);
        expect_event(i + 1, offsets[i] + 1);
        expect_event(i + 1, tail.offset + i);
        expect_event(i + 1, UINT64_MAX - i);
    }
    end();
}

/* A handle that is new knows nothing of the segment, and one whose segment another went on with, little. */
Test(log_compressed, by_turns_of_two_writers)
{
    begin(false);
    for (unsigned i = 0; i < 300; i++) {
        if (i % 10 == 0)
            reopen();
        append(1 + i % 4, NULL);
    }
    struct ehi_log *other = log_open(dir, SMALL_SEGMENT), *first = log_a;
    for (unsigned i = 0; i < 300; i++) {
        log_a = i % 3 == 0 ? other : first;
        append(1 + i % 4, NULL);
    }
    cr_assert_gt(tail.segment, 1u);
    log_a = first;
    expect_all();
    log_a = other;
    expect_all();
    ehi_log_close(first);
    end();
}

/* A segment goes on as it began; the next one is compressed. */
Test(log_compressed, goes_on_with_a_log_of_before)
{
    begin(true);
    append(5, NULL);
    ehi_log_test_plain = false;
    reopen();
    while (tail.segment == 1)
        append(5, NULL);
    append(50, NULL);
    cr_assert_eq(features_of(1), 0u);
    cr_assert_eq(features_of(tail.segment), EHI_FEATURE_COMPRESSED);
    expect_all();
    reopen();
    expect_all();
    end();
}

static bool is_odd(void *context, struct ehi_slice record)
{
    (void)context;
    return ehi_get_le64(record.data + EHI_REC_SEQ) % 2 == 1;
}

/* What others copy from goes: they are made anew. */
Test(log_compressed, cleaned)
{
    begin(false);
    while (tail.segment == 1)
        append(7, NULL);
    append(7, NULL);
    struct ehi_cleaning out;
    uint64_t second = tail.segment;
    must(ehi_log_clean(log_a, 1, tail.next_seq, is_odd, NULL, &out, NULL));
    cr_assert_eq(out.removed, (second - 1) / 2);
    cr_assert_lt(out.bytes_after, out.bytes_before * 2 / 3);
    cr_assert_eq(features_of(1), EHI_FEATURE_COMPRESSED | EHI_FEATURE_GAPS);
    reopen();
    struct ehi_slice record;
    for (uint64_t seq = 1; seq < tail.next_seq; seq++) {
        if (seq % 2 == 1 || seq >= second)
            expect_event(seq, 0);
        else
            cr_assert_eq(ehi_log_read(log_a, seq, 0, &scratch, &record, NULL), ECSHIST_NOT_FOUND);
    }
    must(ehi_log_check_seal(log_a, 1, NULL));
    end();
}

/* Rot in what is copied: who copies it says so, alone or in its frame. */
Test(log_compressed, rot_in_what_is_copied)
{
    uint64_t offsets[2];
    begin(false);
    append(1, offsets);
    append(1, offsets + 1);
    ehi_log_close(log_a);
    char *path = log_segment_path(dir, 1);
    size_t length;
    unsigned char *bytes = store_dir_read(path, &length);
    char *at = memmem(bytes, length, "service-revision", 16);
    cr_assert_not_null(at);
    *at ^= 1;
    store_dir_write(path, 0, (const char *)bytes, length);
    free(bytes);
    free(path);
    log_a = log_open(dir, SMALL_SEGMENT);
    struct ehi_slice record;
    struct ehi_frame frame;
    enum ehi_verdict verdict;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(ehi_log_read(log_a, 2, offsets[1], &scratch, &record, &error), ECSHIST_DAMAGED);
    struct ehi_position second;
    must(ehi_log_seek(log_a, 2, &second, NULL));
    must(ehi_log_next(log_a, &second, &frame, &verdict, NULL));
    struct ehi_slice rest = frame.payload;
    struct ehi_stored stored;
    cr_assert(ehi_stored_next(&rest, true, &stored));
    cr_assert_eq(ehi_log_expand(log_a, &frame, &stored, &scratch, &record, &error),
                 ECSHIST_DAMAGED);
    cr_assert_not_null(strstr(error.message, "what it refers to"));
    end();
}
