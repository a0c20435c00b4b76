/*
 * store/log: the three verdicts, with bytes flipped and files cut at every place. The log under test: a
 * sealed segment 1, and the newest one with a handful of frames.
 */
#include "test_log.h"

#define FRAMES 6

static char *dir;
static uint64_t newest;
static struct ehi_position ends[FRAMES + 1]; /* of the newest segment's frames; [0]: before them */
static char *newest_path, *sealed_path;
static uint8_t *newest_bytes, *sealed_bytes; /* as they were */
static size_t newest_length, sealed_length, footer_at;

static void setup(void)
{
    dir = log_new();
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    struct ehi_position tail;
    ehi_log_start(log, &tail);
    while (tail.offset < SMALL_SEGMENT)
        log_append(log, &tail, 2, 1500);
    newest = tail.next_seq;
    ends[0] = (struct ehi_position){newest, EHI_SEGMENT_HEADER_BYTES, newest, 0, 0};
    for (int i = 1; i <= FRAMES; i++) {
        log_append(log, &tail, (uint32_t)i % 3 + 1, 40 + (size_t)i * 30);
        ends[i] = tail;
    }
    ehi_log_close(log);
    newest_path = log_segment_path(dir, newest);
    sealed_path = log_segment_path(dir, 1);
    newest_bytes = store_dir_read(newest_path, &newest_length);
    sealed_bytes = store_dir_read(sealed_path, &sealed_length);
    footer_at = (size_t)ehi_get_le64(sealed_bytes + sealed_length - 16);
}

static void teardown(void)
{
    free(newest_path);
    free(sealed_path);
    free(newest_bytes);
    free(sealed_bytes);
    store_dir_remove(dir);
}

TestSuite(log_damage, .init = setup, .fini = teardown);

static void put_file(const char *path, const uint8_t *bytes, size_t length)
{
    store_dir_unlink(path);
    store_dir_write(path, 0, bytes, length);
}

static void flip(const char *path, const uint8_t *bytes, size_t at, unsigned bit)
{
    uint8_t byte = (uint8_t)(bytes[at] ^ 1u << bit);
    store_dir_write(path, at, &byte, 1);
}

static void flip_back(const char *path, const uint8_t *bytes, size_t at)
{
    store_dir_write(path, at, &bytes[at], 1);
}

/* The frame of the newest segment that has this byte; FRAMES: it is behind them all. */
static int frame_of(size_t at)
{
    int i = 0;
    while (i < FRAMES && at >= ends[i + 1].offset)
        i++;
    return i;
}

/* Scans: it ends with that verdict, before that frame of the newest segment. */
static void expect(int verdict, int frame, struct ecshist_error *error)
{
    uint64_t records;
    struct ehi_position end;
    int found = log_scan_all(dir, &end, &records, error);
    cr_assert_eq(found, verdict, "%d, not %d: %s", found, verdict, error->message);
    cr_assert_eq(records, ends[frame].next_seq - 1);
    cr_assert_eq(end.offset, ends[frame].offset);
}

Test(log_damage, every_bit_of_the_newest_segment)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (size_t at = EHI_SEGMENT_HEADER_BYTES; at < ends[FRAMES].offset + 100; at++) {
        int frame = frame_of(at);
        flip(newest_path, newest_bytes, at, at % 8);
        expect(frame >= FRAMES - 1 ? EHI_TORN_TAIL : -ECSHIST_DAMAGED, frame, &error);
        if (frame < FRAMES - 1)
            cr_assert_eq(error.seq, ends[frame].next_seq);
        flip_back(newest_path, newest_bytes, at);
    }
    expect(EHI_END_OF_LOG, FRAMES, &error);
}

Test(log_damage, says_where)
{
    char expected[256];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    flip(newest_path, newest_bytes, ends[2].offset + 50, 3);
    expect(-ECSHIST_DAMAGED, 2, &error);
    snprintf(expected, sizeof(expected), "%020d.seg at offset %d, after seq %d:", (int)newest,
             (int)ends[2].offset, (int)ends[2].next_seq - 1);
    cr_assert_eq(strncmp(error.message, expected, strlen(expected)), 0, "%s", error.message);
    snprintf(expected, sizeof(expected), "%s:%d", newest_path, (int)ends[2].offset);
    cr_assert_str_eq(error.place, expected);
}

Test(log_damage, a_bit_in_the_zeros_ahead_is_a_torn_tail)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (size_t at = ends[FRAMES].offset; at < newest_length; at += 1777) {
        flip(newest_path, newest_bytes, at, 1);
        expect(EHI_TORN_TAIL, FRAMES, &error);
        flip_back(newest_path, newest_bytes, at);
    }
    flip(newest_path, newest_bytes, newest_length - 1, 7);
    expect(EHI_TORN_TAIL, FRAMES, &error);
}

Test(log_damage, the_newest_segment_cut_at_every_byte)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (size_t length = EHI_SEGMENT_HEADER_BYTES; length < ends[FRAMES].offset + 40; length++) {
        int frame = frame_of(length);
        bool between = length == ends[frame].offset || frame == FRAMES;
        put_file(newest_path, newest_bytes, length);
        expect(between ? EHI_END_OF_LOG : EHI_TORN_TAIL, frame, &error);
    }
    for (size_t length = 0; length < EHI_SEGMENT_HEADER_BYTES; length++) {
        put_file(newest_path, newest_bytes, length);
        cr_assert_eq(log_open_code(dir, &error), ECSHIST_DAMAGED);
    }
}

/* What any crash leaves: some of the last frame's blocks are there, some still zeros. */
Test(log_damage, a_frame_with_blocks_missing_is_a_torn_tail)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    struct ehi_position tail = ends[FRAMES];
    log_append(log, &tail, 9, 400);
    ehi_log_close(log);
    size_t length;
    uint8_t *whole = store_dir_read(newest_path, &length);
    uint8_t *torn = malloc(length);
    size_t first = ends[FRAMES].offset / 512, last = (tail.offset - 1) / 512;
    cr_assert_lt(last - first, 16);
    for (unsigned set = 0; set < 1u << (last - first + 1); set += 3) {
        memcpy(torn, newest_bytes, length);
        for (size_t block = first; block <= last; block++) {
            if ((set >> (block - first) & 1) != 0)
                memcpy(torn + block * 512, whole + block * 512, 512);
        }
        bool there = memcmp(torn, whole, length) == 0;
        bool none = memcmp(torn, newest_bytes, length) == 0;
        put_file(newest_path, torn, length);
        if (!there)
            expect(none ? EHI_END_OF_LOG : EHI_TORN_TAIL, FRAMES, &error);
    }
    free(torn);
    free(whole);
}

Test(log_damage, a_cut_tail_is_gone_and_appends_go_on)
{
    uint64_t records;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        put_file(newest_path, newest_bytes, i == 0 ? ends[FRAMES].offset - 5 : newest_length);
        if (i == 1)
            flip(newest_path, newest_bytes, ends[FRAMES - 1].offset + 8, 0);
        if (i == 2)
            flip(newest_path, newest_bytes, newest_length - 3, 0);
        struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
        struct ehi_position at;
        ehi_log_start(log, &at);
        cr_assert_eq(log_scan(log, &at, &records, NULL), EHI_TORN_TAIL);
        cr_assert_eq(log_append_code(log, &at, 1, 10, &error),
                     i == 2 ? ECSHIST_OK : ECSHIST_MISUSE);
        ehi_log_start(log, &at);
        (void)log_scan(log, &at, &records, NULL);
        must(ehi_log_lock(log, NULL));
        must(ehi_log_cut(log, &at, NULL));
        ehi_log_unlock(log);
        cr_assert(ehi_log_at_end(log, &at));
        log_append(log, &at, 2, 3000);
        struct ehi_position again;
        ehi_log_start(log, &again);
        cr_assert_eq(log_scan(log, &again, &records, NULL), EHI_END_OF_LOG);
        cr_assert(log_same_position(&again, &at));
        ehi_log_close(log);
    }
}

Test(log_damage, only_the_tail_is_cut)
{
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    struct ehi_position at;
    ehi_log_start(log, &at);
    cr_assert_eq(ehi_log_cut(log, &at, NULL), ECSHIST_MISUSE);
    at = ends[0];
    at.offset = 8;
    cr_assert_eq(ehi_log_cut(log, &at, NULL), ECSHIST_MISUSE);
    ehi_log_close(log);
}

/* -- sealed segments ------------------------------------------------------------------------------- */

/* All of it up to the damage is given, and nothing behind it. */
static void expect_sealed_damage(size_t at)
{
    uint64_t records;
    struct ehi_position end;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int found = log_scan_all(dir, &end, &records, &error);
    cr_assert_eq(found, -ECSHIST_DAMAGED, "byte %zu: %d", at, found);
    if (at < EHI_SEGMENT_HEADER_BYTES)
        return;
    /* Segments missing, as a footer says that has lost a bit: found when the log is opened. */
    if (records == 0 && error.seq == 0)
        return;
    cr_assert_eq(end.segment, 1);
    cr_assert_leq(end.offset, at);
    cr_assert_gt(end.offset + 4096, at);
    cr_assert_eq(records, end.next_seq - 1);
    cr_assert_eq(error.seq, end.next_seq);
}

Test(log_damage, bits_of_a_sealed_segment)
{
    for (size_t at = 0; at < sealed_length; at += at + 700 < footer_at ? 29 : 1) {
        flip(sealed_path, sealed_bytes, at, at % 8);
        expect_sealed_damage(at);
        flip_back(sealed_path, sealed_bytes, at);
    }
}

Test(log_damage, a_sealed_segment_cut)
{
    for (size_t length = sealed_length - 1; length >= 64; length -= length > footer_at ? 1 : 61) {
        put_file(sealed_path, sealed_bytes, length);
        expect_sealed_damage(length);
    }
}

Test(log_damage, a_sealed_newest_segment_has_no_torn_tail)
{
    uint64_t records;
    struct ehi_position end;
    store_dir_unlink(newest_path);
    for (size_t at = EHI_SEGMENT_HEADER_BYTES; at < footer_at; at += 31) {
        flip(sealed_path, sealed_bytes, at, at % 8);
        cr_assert_eq(log_scan_all(dir, &end, &records, NULL), -ECSHIST_DAMAGED, "%zu", at);
        flip_back(sealed_path, sealed_bytes, at);
    }
    for (size_t at = footer_at; at < sealed_length; at++) { /* the seal itself may be torn */
        flip(sealed_path, sealed_bytes, at, at % 8);
        cr_assert_eq(log_scan_all(dir, &end, &records, NULL), EHI_TORN_TAIL, "%zu", at);
        cr_assert_eq(end.offset, footer_at);
        flip_back(sealed_path, sealed_bytes, at);
    }
}

Test(log_damage, a_trailer_alone_says_that_a_segment_is_sealed)
{
    uint64_t records;
    struct ehi_position end;
    size_t last = footer_at - 1; /* in the last frame */
    store_dir_unlink(newest_path);
    flip(sealed_path, sealed_bytes, last, 1);
    flip(sealed_path, sealed_bytes, footer_at + 8, 1);
    cr_assert_eq(log_scan_all(dir, &end, &records, NULL), -ECSHIST_DAMAGED);
    flip(sealed_path, sealed_bytes, sealed_length - 1, 1);
    cr_assert_eq(log_scan_all(dir, &end, &records, NULL), EHI_TORN_TAIL);
}

Test(log_damage, check_seal_sees_what_the_footer_hides)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    must(ehi_log_check_seal(log, 1, &error));
    ehi_log_close(log);
    flip(sealed_path, sealed_bytes, 5000, 0);
    log = log_open(dir, SMALL_SEGMENT);
    cr_assert_eq(ehi_log_check_seal(log, 1, &error), ECSHIST_DAMAGED);
    ehi_log_close(log);
    flip_back(sealed_path, sealed_bytes, 5000);
    /* A footer with a right checksum and a wrong count. */
    uint8_t *footer = sealed_bytes + footer_at;
    uint64_t length = EHI_FRAME_HEADER_BYTES + ehi_get_le32(footer + EHI_FRAME_PAYLOAD_BYTES);
    footer[EHI_FRAME_HEADER_BYTES + EHI_FOOT_IGNORED]++;
    uint64_t seed = UINT64_C(0x0807060504030201) ^ UINT64_C(0x100f0e0d0c0b0a09);
    ehi_put_le64(footer, ehi_hash64(footer + 8, length - 8, seed));
    put_file(sealed_path, sealed_bytes, sealed_length);
    log = log_open(dir, SMALL_SEGMENT);
    cr_assert_eq(ehi_log_check_seal(log, 1, &error), ECSHIST_DAMAGED);
    ehi_log_close(log);
}

Test(log_damage, reading_an_event_that_is_damaged)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_slice record;
    flip(sealed_path, sealed_bytes, 64 + 32 + 60, 2);
    flip(newest_path, newest_bytes, ends[3].offset + 32 + 50, 2);
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    cr_assert_eq(ehi_log_read(log, 1, 96, &scratch, &record, &error), ECSHIST_DAMAGED);
    cr_assert_eq(error.seq, 1);
    must(ehi_log_read(log, 2, 0, &scratch, &record, &error));
    uint64_t seq = ends[3].next_seq;
    cr_assert_eq(ehi_log_read(log, seq, ends[3].offset + 32, &scratch, &record, &error),
                 ECSHIST_DAMAGED);
    cr_assert_eq(error.seq, seq);
    must(ehi_log_read(log, seq - 1, 0, &scratch, &record, &error));
    ehi_log_close(log);
}

Test(log_damage, a_footer_in_doubt_does_not_hide_events)
{
    struct ehi_slice record;
    flip(sealed_path, sealed_bytes, footer_at + 70, 2);
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    for (uint64_t seq = 1; seq < ends[FRAMES].next_seq; seq++)
        must(ehi_log_read(log, seq, 0, &scratch, &record, NULL));
    ehi_log_close(log);
}

/* -- files -------------------------------------------------------------------------------------------- */

Test(log_damage, segments_that_are_missing)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_position tail = ends[FRAMES];
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    while (tail.segment == newest)
        log_append(log, &tail, 2, 1500);
    ehi_log_close(log);
    store_dir_unlink(newest_path); /* not any more */
    cr_assert_eq(log_open_code(dir, &error), ECSHIST_DAMAGED);
    cr_assert(strstr(error.message, "segments are missing") != NULL, "%s", error.message);
    store_dir_unlink(sealed_path);
    cr_assert_eq(log_open_code(dir, &error), ECSHIST_DAMAGED);
    cr_assert(strstr(error.message, "segments are missing") != NULL, "%s", error.message);
}

static int open_with_header(size_t at, uint8_t value, bool repaired)
{
    uint8_t header[EHI_SEGMENT_HEADER_BYTES];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    memcpy(header, newest_bytes, sizeof(header));
    header[at] = value;
    if (repaired)
        ehi_put_le64(header + EHI_SEG_CHECKSUM, ehi_hash64(header, EHI_SEG_CHECKSUM, 0));
    store_dir_write(newest_path, 0, header, sizeof(header));
    return log_open_code(dir, &error);
}

Test(log_damage, headers)
{
    for (size_t at = 0; at < EHI_SEGMENT_HEADER_BYTES; at++)
        cr_assert_eq(open_with_header(at, newest_bytes[at] ^ 4, false), ECSHIST_DAMAGED);
    cr_assert_eq(open_with_header(0, 'X', true), ECSHIST_FORMAT);
    cr_assert_eq(open_with_header(EHI_SEG_VERSION, 2, true), ECSHIST_FORMAT);
    cr_assert_eq(open_with_header(EHI_SEG_HEADER_BYTES, 72, true), ECSHIST_FORMAT);
    cr_assert_eq(open_with_header(EHI_SEG_INCOMPATIBLE + 3, 128, true), ECSHIST_FORMAT);
    cr_assert_eq(open_with_header(EHI_SEG_STORE_ID + 5, 99, true), ECSHIST_FORMAT);
    cr_assert_eq(open_with_header(EHI_SEG_FIRST_SEQ, 0, true), ECSHIST_DAMAGED);
    cr_assert_eq(open_with_header(EHI_SEG_COMPATIBLE, 1, true), ECSHIST_OK);
    cr_assert_eq(open_with_header(EHI_SEG_CLEANED_BY, 1, true), ECSHIST_OK);
}

Test(log_damage, names_that_are_no_segments_are_passed_over)
{
    static const char *const names[] = {
        "1.seg",          "00000000000000000000.seg",  "0000000000000000002x.seg",
        "notes",          "00000000000000000900.segX", "99999999999999999999.seg",
        "00000000000.seg"};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = store_dir_path(dir, names[i]);
        store_dir_write(path, 0, "x", 1);
        free(path);
    }
    expect(EHI_END_OF_LOG, FRAMES, &error);
}

/* -- frames that are whole, and wrong -------------------------------------------------------------- */

static uint64_t seed_of_log(void)
{
    return ehi_get_le64(log_store_id) ^ ehi_get_le64(log_store_id + 8);
}

/* Changes the last frame, and makes its checksum right again. */
static void change_last(size_t at, uint8_t value)
{
    size_t offset = ends[FRAMES - 1].offset;
    size_t length = ends[FRAMES].offset - offset;
    uint8_t *frame = malloc(length);
    memcpy(frame, newest_bytes + offset, length);
    frame[at] = value;
    ehi_put_le64(frame, ehi_hash64(frame + 8, length - 8, seed_of_log()));
    store_dir_write(newest_path, offset, frame, length);
    free(frame);
}

Test(log_damage, a_frame_that_is_whole_is_never_a_torn_tail)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    uint8_t seq = newest_bytes[ends[FRAMES - 1].offset + EHI_FRAME_FIRST_SEQ];
    uint8_t count = newest_bytes[ends[FRAMES - 1].offset + EHI_FRAME_RECORDS];
    change_last(EHI_FRAME_FIRST_SEQ, (uint8_t)(seq + 1));
    expect(-ECSHIST_DAMAGED, FRAMES - 1, &error);
    change_last(EHI_FRAME_FIRST_SEQ, (uint8_t)(seq - 1));
    expect(-ECSHIST_DAMAGED, FRAMES - 1, &error);
    change_last(EHI_FRAME_RECORDS, (uint8_t)(count + 1));
    expect(-ECSHIST_DAMAGED, FRAMES - 1, &error);
    change_last(EHI_FRAME_HEADER_BYTES + EHI_REC_SEQ, (uint8_t)(seq + 1));
    expect(-ECSHIST_DAMAGED, FRAMES - 1, &error);
    change_last(EHI_FRAME_HEADER_BYTES + EHI_REC_BYTES, 255);
    expect(-ECSHIST_DAMAGED, FRAMES - 1, &error);
}

Test(log_damage, a_frame_taken_out_leaves_a_gap)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    uint8_t *bytes = malloc(newest_length);
    size_t at = ends[2].offset, length = ends[3].offset - ends[2].offset;
    memcpy(bytes, newest_bytes, newest_length);
    memmove(bytes + at, bytes + at + length, newest_length - at - length);
    store_dir_write(newest_path, 0, bytes, newest_length);
    expect(-ECSHIST_DAMAGED, 2, &error);
    free(bytes);
}

/* Appending finds, when it seals, that what it seals is not whole any more. */
Test(log_damage, sealing_checks_what_it_seals)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_position tail = ends[FRAMES];
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    while (tail.offset < SMALL_SEGMENT)
        log_append(log, &tail, 2, 1500);
    flip(newest_path, newest_bytes, ends[1].offset + 40, 3);
    cr_assert_eq(log_append_code(log, &tail, 1, 10, &error), ECSHIST_DAMAGED);
    cr_assert_eq(error.seq, ends[1].next_seq);
    flip_back(newest_path, newest_bytes, ends[1].offset + 40);
    log_append(log, &tail, 1, 10);
    ehi_log_close(log);
}
