/*
 * Verify's physical pass: for each invariant of the log, a store in which just that one is broken,
 * all checksums around it made right; and stores that are sound however odd they look.
 */
#include "log/log.h"
#include "test_verify.h"

#include <sys/stat.h>

static char *dir, *path;
static struct found found;

/* Three segments, the newest with a few frames: single events, and batches in the middle one. */
/* Bytes are broken here that compressed records have not, or in other places: test_verify_compressed.c has those. */
static void setup(void)
{
    ehi_log_test_plain = true;
    store_dir_segment_bytes = 65536;
    dir = fast_dir();
    path = store_dir_path(dir, "store");
    ecshist_store *store = store_dir_open(path);
    append_started(store, "a");
    append_tasks(store, "a", 215);
    append_random(store, 3, 20);
    ecshist_close(store);
    look_clean(path, 0);
}

static void teardown(void)
{
    free(path);
    store_dir_remove(dir);
}

TestSuite(verify_log, .init = setup, .fini = teardown);

static struct bytes sealed(void)
{
    return bytes_load(store_dir_oldest_segment(path));
}

static struct bytes newest(void)
{
    return bytes_load(store_dir_newest_segment(path));
}

static void expect(struct bytes *b, const char *invariant)
{
    bytes_save(b);
    look_broken(path, ECSHIST_VERIFY_QUICK, invariant, &found);
    look(path, 0, &found);
    cr_assert(has(&found, invariant), "%s", found.all);
    bytes_free(b);
}

static void expect_clean(struct bytes *b)
{
    bytes_save(b);
    look_clean(path, ECSHIST_VERIFY_QUICK);
    bytes_free(b);
}

/* -- L1, L2: names and headers ----------------------------------------------------------------- */

Test(verify_log, L1_name_and_header)
{
    char *from = store_dir_newest_segment(path), *to = store_dir_newest_segment(path);
    to[strlen(to) - 5]++; /* its last digit, which is not 9 */
    cr_assert_neq(from[strlen(from) - 5], '9');
    cr_assert_eq(rename(from, to), 0);
    look(path, ECSHIST_VERIFY_QUICK, &found);
    cr_assert(has(&found, "L1"), "%s", found.all);
    free(from);
    free(to);
}

Test(verify_log, L1_no_first_segment)
{
    char *first = store_dir_oldest_segment(path);
    store_dir_unlink(first);
    look_broken(path, 0, "L1", &found);
    cr_assert_not_null(strstr(found.text, "the first segment begins with event"));
    free(first);
}

Test(verify_log, L1_no_segment_at_all)
{
    char *log = store_dir_path(path, "log");
    store_dir_unlink(log);
    cr_assert_eq(ecshist_verify(path, NULL, NULL, NULL, NULL, NULL), ECSHIST_NO_STORE);
    cr_assert_eq(access(path, F_OK), 0);
    free(log);
    log = store_dir_path(path, "log/");
    cr_assert_eq(mkdir(log, 0700), 0);
    look_broken(path, 0, "L1", &found);
    free(log);
}

Test(verify_log, L1_a_directory_and_a_link_for_a_segment)
{
    char *first = store_dir_oldest_segment(path);
    store_dir_unlink(first);
    cr_assert_eq(mkdir(first, 0700), 0);
    look_broken(path, 0, "L1", &found);
    cr_assert_eq(rmdir(first), 0);
    cr_assert_eq(symlink("/dev/zero", first), 0);
    look_broken(path, 0, "L1", &found);
    cr_assert_eq(unlink(first), 0);
    cr_assert_eq(mkfifo(first, 0600), 0);
    look_broken(path, 0, "L1", &found);
    free(first);
}

Test(verify_log, L2_each_byte_of_a_header)
{
    for (size_t at = 0; at < EHI_SEGMENT_HEADER_BYTES; at++) {
        struct bytes b = sealed();
        b.data[at] ^= 0x10;
        bytes_save(&b);
        look_broken(path, ECSHIST_VERIFY_QUICK, "L2", &found);
        cr_assert_eq(found.first.segment, 1);
        b.data[at] ^= 0x10;
        bytes_save(&b);
        bytes_free(&b);
    }
}

Test(verify_log, L2_mended_headers)
{
    static const size_t places[] = {EHI_SEG_MAGIC, EHI_SEG_VERSION, EHI_SEG_HEADER_BYTES,
                                    EHI_SEG_INCOMPATIBLE + 1};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct bytes b = newest();
        b.data[places[i]] ^= 2;
        mend_header(&b);
        bytes_save(&b);
        look_broken(path, ECSHIST_VERIFY_QUICK, "L2", &found);
        b.data[places[i]] ^= 2;
        mend_header(&b);
        bytes_save(&b);
        bytes_free(&b);
    }
    struct bytes b = newest();
    b.data[EHI_SEG_STORE_ID] ^= 1;
    mend_header(&b);
    expect(&b, "L2");
}

Test(verify_log, compatible_features_and_reserved_bytes_are_passed_over)
{
    struct bytes b = newest();
    b.data[EHI_SEG_COMPATIBLE] = 0xff;
    b.data[48] = 0xff;
    mend_header(&b);
    uint8_t *frame = frame_of(&b, 0);
    frame[EHI_FRAME_RESERVED] = 1;
    mend_frame(&b, frame);
    expect_clean(&b);
}

Test(verify_log, other_names_in_the_log_are_no_finding)
{
    char *stray = store_dir_path(path, "log/00000000000000000999.new");
    store_dir_write(stray, 0, "x", 1);
    free(stray);
    stray = store_dir_path(path, "log/README");
    store_dir_write(stray, 0, "x", 1);
    free(stray);
    look_clean(path, 0);
}

/* -- L3, L7: frames, and the tail -------------------------------------------------------------- */

Test(verify_log, L3_a_bit_of_a_frame)
{
    struct bytes b = sealed();
    frame_of(&b, 5)[60] ^= 4;
    uint64_t offset = (uint64_t)(frame_of(&b, 5) - b.data);
    expect(&b, "L3");
    cr_assert_eq(found.first.offset, offset);
    cr_assert_eq(found.first.seq, 6);
    cr_assert_eq(found.result.finding_count, 1, "%s", found.all);
    cr_assert(!found.result.index_checked && !found.result.events_checked);
}

Test(verify_log, L3_in_the_newest_segment)
{
    struct bytes b = newest();
    frame_of(&b, 0)[60] ^= 4;
    expect(&b, "L3");
}

Test(verify_log, L3_two_places_are_two_findings)
{
    struct bytes b = sealed();
    frame_of(&b, 5)[60] ^= 4;
    frame_of(&b, 9)[60] ^= 4;
    expect(&b, "L3");
    cr_assert_eq(found.result.finding_count, 2, "%s", found.all);
}

Test(verify_log, L7_zeros_before_a_frame)
{
    struct bytes b = newest();
    uint8_t *frame = frame_of(&b, 0);
    memset(frame, 0, frame_length(frame));
    expect(&b, "L7");
}

/* Nobody was told that what is torn off is there; the index would know better. */
Test(verify_log, a_torn_tail_is_no_finding_but_the_index_knows)
{
    struct bytes b = newest();
    unsigned last = 0;
    while (frame_of(&b, last + 1) != NULL)
        last++;
    frame_of(&b, last)[20] ^= 1;
    bytes_save(&b);
    look_clean(path, ECSHIST_VERIFY_QUICK);
    look(path, 0, &found);
    cr_assert(has(&found, "L11"), "%s", found.all);
    bytes_free(&b);
}

Test(verify_log, the_end_at_every_place_of_a_frame)
{
    struct bytes b = newest();
    unsigned last = 0;
    while (frame_of(&b, last + 1) != NULL)
        last++;
    size_t whole = (size_t)(frame_of(&b, last) - b.data);
    size_t end = whole + frame_length(frame_of(&b, last));
    for (size_t length = whole; length < end; length++) {
        b.length = length;
        bytes_save(&b);
        look_clean(path, ECSHIST_VERIFY_QUICK);
    }
    bytes_free(&b);
}

/* -- L4, L5, L8: what frames hold -------------------------------------------------------------- */

Test(verify_log, L4_other_number_of_records)
{
    struct bytes b = newest();
    uint8_t *frame = frame_of(&b, 0);
    ehi_put_le32(frame + EHI_FRAME_RECORDS, ehi_get_le32(frame + EHI_FRAME_RECORDS) + 1);
    mend_frame(&b, frame);
    expect(&b, "L4");
}

Test(verify_log, L5_a_seq)
{
    struct bytes b = newest();
    unsigned last = 0;
    while (frame_of(&b, last + 1) != NULL)
        last++;
    uint8_t *frame = frame_of(&b, last), *record = record_of(frame, 0);
    uint64_t seq = ehi_get_le64(record + EHI_REC_SEQ) + 7;
    ehi_put_le32(frame + EHI_FRAME_RECORDS, 1);
    ehi_put_le32(frame + EHI_FRAME_PAYLOAD_BYTES, ehi_get_le32(record + EHI_REC_BYTES));
    memset(frame + frame_length(frame), 0,
           b.length - (size_t)(frame - b.data) - frame_length(frame));
    ehi_put_le64(record + EHI_REC_SEQ, seq);
    ehi_put_le64(frame + EHI_FRAME_FIRST_SEQ, seq);
    mend_record(&b, record);
    mend_frame(&b, frame);
    expect(&b, "L5");
    cr_assert_not_null(strstr(found.text, "are missing"), "%s", found.text);
}

Test(verify_log, L5_a_frame_twice)
{
    struct bytes b = newest();
    uint8_t *first = frame_of(&b, 0), *second = frame_of(&b, 1);
    size_t length = frame_length(first);
    cr_assert_leq((size_t)(second - b.data) + length, b.length);
    memcpy(second, first, length);
    memset(second + length, 0, b.length - (size_t)(second - b.data) - length);
    expect(&b, "L5");
}

Test(verify_log, L5_a_segment_is_missing)
{
    struct bytes b = sealed();
    char name[64];
    snprintf(name, sizeof(name), "log/%020llu.seg",
             (unsigned long long)ehi_get_le64(footer_of(&b) + EHI_FRAME_FIRST_SEQ));
    char *second = store_dir_path(path, name);
    cr_assert_eq(access(second, F_OK), 0);
    store_dir_unlink(second);
    look_broken(path, ECSHIST_VERIFY_QUICK, "L5", &found);
    free(second);
    bytes_free(&b);
}

enum { SUBJECT = 0, BODY, PAD, FLAGS, SUM, LENGTH };

static void break_record(uint8_t *record, int how)
{
    uint16_t subject = ehi_get_le16(record + EHI_REC_SUBJECT_BYTES);
    uint16_t id = ehi_get_le16(record + EHI_REC_ID_BYTES);
    switch (how) {
    case SUBJECT:
        ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)(subject + 16));
        break;
    case BODY:
        record[EHI_RECORD_HEADER_BYTES + subject + id] = 0xc1;
        break;
    case PAD:
        ehi_put_le32(record + EHI_REC_BODY_BYTES, ehi_get_le32(record + EHI_REC_BODY_BYTES) - 1);
        break;
    case FLAGS:
        record[EHI_REC_FLAGS] |= 2;
        break;
    default:
        break;
    }
}

Test(verify_log, L8_records)
{
    for (int how = SUBJECT; how <= LENGTH; how++) {
        struct bytes b = newest();
        struct bytes before = newest();
        uint8_t *frame = frame_of(&b, 0), *record = record_of(frame, 0);
        break_record(record, how);
        mend_record(&b, record);
        if (how == SUM)
            record[EHI_REC_CHECKSUM] ^= 1;
        if (how == LENGTH)
            ehi_put_le32(record + EHI_REC_BYTES, 1u << 20);
        mend_frame(&b, frame);
        bytes_save(&b);
        look_broken(path, ECSHIST_VERIFY_QUICK, "L8", &found);
        cr_assert_eq(found.first.offset, (uint64_t)(record - b.data));
        bytes_save(&before);
        bytes_free(&b);
        bytes_free(&before);
    }
}

/* -- L6: footers and trailers ------------------------------------------------------------------ */

Test(verify_log, L6_each_number_of_a_footer)
{
    static const size_t places[] = {EHI_FOOT_FIRST_SEQ, EHI_FOOT_LAST_SEQ, EHI_FOOT_EVENTS,
                                    EHI_FOOT_IGNORED,   EHI_FOOT_MIN_TIME, EHI_FOOT_MAX_TIME,
                                    EHI_FOOT_CONTENT,   EHI_FOOTER_BYTES,  EHI_FOOTER_BYTES + 8};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct bytes b = sealed();
        uint8_t *footer = footer_of(&b);
        footer[EHI_FRAME_HEADER_BYTES + places[i]] ^= 1;
        mend_frame(&b, footer);
        bytes_save(&b);
        look_broken(path, ECSHIST_VERIFY_QUICK, "L6", &found);
        look(path, 0, &found); /* all events are there: the rest is checked all the same */
        cr_assert(found.result.index_checked);
        footer[EHI_FRAME_HEADER_BYTES + places[i]] ^= 1;
        mend_frame(&b, footer);
        bytes_save(&b);
        bytes_free(&b);
    }
}

Test(verify_log, L6_reserved_of_a_footer_is_passed_over)
{
    struct bytes b = sealed();
    footer_of(&b)[EHI_FRAME_HEADER_BYTES + EHI_FOOT_RESERVED] ^= 1;
    mend_frame(&b, footer_of(&b));
    expect_clean(&b);
}

Test(verify_log, L6_no_footer)
{
    struct bytes b = sealed();
    size_t at = (size_t)(footer_of(&b) - b.data);
    memset(b.data + at, 0, b.length - at);
    expect(&b, "L6");
}

Test(verify_log, L6_no_trailer)
{
    struct bytes b = sealed();
    memset(b.data + b.length - EHI_SEGMENT_TRAILER_BYTES, 0, EHI_SEGMENT_TRAILER_BYTES);
    expect(&b, "L6");
}

Test(verify_log, L6_a_trailer_that_leads_astray)
{
    struct bytes b = sealed();
    ehi_put_le64(b.data + b.length - EHI_SEGMENT_TRAILER_BYTES, 64);
    expect(&b, "L6");
}

Test(verify_log, L6_something_before_the_trailer)
{
    struct bytes b = sealed();
    size_t end = (size_t)(footer_of(&b) - b.data) + frame_length(footer_of(&b));
    uint8_t *data = calloc(1, b.length + 64);
    memcpy(data, b.data, end);
    memcpy(data + end + 64, b.data + b.length - 16, 16);
    free(b.data);
    b.data = data;
    b.length = end + 80;
    bytes_save(&b);
    look_clean(path, ECSHIST_VERIFY_QUICK); /* zeros there are as they may be */
    b.data[end + 8] = 1;
    expect(&b, "L6");
}

/* The writer died between sealing and beginning the next: with the trailer, and without. */
Test(verify_log, a_newest_segment_that_is_sealed)
{
    char *second = store_dir_newest_segment(path);
    struct bytes b = sealed();
    while (strcmp(second, b.path) != 0) {
        store_dir_unlink(second);
        free(second);
        second = store_dir_newest_segment(path);
    }
    free(second);
    look_clean(path, ECSHIST_VERIFY_QUICK);
    memset(b.data + b.length - EHI_SEGMENT_TRAILER_BYTES, 0, EHI_SEGMENT_TRAILER_BYTES);
    bytes_save(&b);
    look_clean(path, ECSHIST_VERIFY_QUICK);
    bytes_free(&b);
}

/* -- gaps -------------------------------------------------------------------------------------- */

/* Rewrites the segment without the events that `gone` says, as a compaction does. */
static struct bytes cleaned(const struct bytes *b, bool (*gone)(uint64_t seq), uint64_t cleaned_by)
{
    struct bytes c = {strdup(b->path), calloc(1, b->length), EHI_SEGMENT_HEADER_BYTES, b->seed};
    uint8_t footer[EHI_FRAME_HEADER_BYTES + EHI_FOOTER_BYTES + 16 * 256] = {0}, *frame;
    uint8_t *foot = footer + EHI_FRAME_HEADER_BYTES;
    uint32_t entries = 0;
    uint64_t events = 0, last_entry = 0;
    int64_t least = 0, most = 0;
    memcpy(c.data, b->data, EHI_SEGMENT_HEADER_BYTES);
    ehi_put_le32(c.data + EHI_SEG_INCOMPATIBLE, 1);
    ehi_put_le64(c.data + 48, cleaned_by);
    mend_header(&c);
    for (unsigned n = 0; (frame = frame_of(b, n)) != footer_of(b); n++) {
        uint8_t *made = c.data + c.length;
        size_t at = c.length + EHI_FRAME_HEADER_BYTES;
        uint32_t kept = 0;
        for (uint32_t i = 0; i < ehi_get_le32(frame + EHI_FRAME_RECORDS); i++) {
            uint8_t *record = record_of(frame, i);
            uint64_t seq = ehi_get_le64(record + EHI_REC_SEQ);
            int64_t time = (int64_t)ehi_get_le64(record + EHI_REC_TIME);
            if (gone(seq))
                continue;
            if (kept++ == 0)
                ehi_put_le64(made + EHI_FRAME_FIRST_SEQ, seq);
            least = events == 0 || time < least ? time : least;
            most = events == 0 || time > most ? time : most;
            events++;
            memcpy(c.data + at, record, ehi_get_le32(record + EHI_REC_BYTES));
            at += ehi_get_le32(record + EHI_REC_BYTES);
        }
        if (kept == 0)
            continue;
        ehi_put_le32(made + EHI_FRAME_MAGIC_AT, EHI_FRAME_MAGIC);
        ehi_put_le32(made + EHI_FRAME_RECORDS, kept);
        ehi_put_le32(made + EHI_FRAME_PAYLOAD_BYTES,
                     (uint32_t)(at - c.length - EHI_FRAME_HEADER_BYTES));
        mend_frame(&c, made);
        if (last_entry == 0 || c.length - last_entry >= EHI_FOOTER_STRIDE) {
            memcpy(foot + EHI_FOOTER_BYTES + entries * 16, made + EHI_FRAME_FIRST_SEQ, 8);
            ehi_put_le64(foot + EHI_FOOTER_BYTES + entries * 16 + 8, c.length);
            entries++;
            last_entry = c.length;
        }
        c.length = at;
    }
    uint64_t next = ehi_get_le64(footer_of(b) + EHI_FRAME_FIRST_SEQ);
    ehi_put_le64(foot + EHI_FOOT_FIRST_SEQ, ehi_get_le64(b->data + EHI_SEG_FIRST_SEQ));
    ehi_put_le64(foot + EHI_FOOT_LAST_SEQ, next - 1);
    ehi_put_le64(foot + EHI_FOOT_EVENTS, events);
    ehi_put_le64(foot + EHI_FOOT_MIN_TIME, (uint64_t)least);
    ehi_put_le64(foot + EHI_FOOT_MAX_TIME, (uint64_t)most);
    ehi_put_le32(foot + EHI_FOOT_ENTRIES, entries);
    ehi_put_le32(footer + EHI_FRAME_MAGIC_AT, EHI_FOOTER_MAGIC);
    ehi_put_le32(footer + EHI_FRAME_PAYLOAD_BYTES, EHI_FOOTER_BYTES + entries * 16);
    ehi_put_le64(footer + EHI_FRAME_FIRST_SEQ, next);
    size_t at = c.length, length = EHI_FRAME_HEADER_BYTES + EHI_FOOTER_BYTES + entries * 16;
    memcpy(c.data + at, footer, length);
    ehi_put_le64(c.data + at + length, at);
    memcpy(c.data + at + length + 8, EHI_SEGMENT_END, 8);
    c.length = at + length + EHI_SEGMENT_TRAILER_BYTES;
    mend_footer(&c);
    return c;
}

static bool some(uint64_t seq)
{
    return seq % 3 == 0 || (seq > 20 && seq < 40);
}

static bool all(uint64_t seq)
{
    return seq != 0;
}

static bool first_and_last(uint64_t seq)
{
    return seq < 5 || seq > 90;
}

Test(verify_log, gaps_of_a_cleaned_segment)
{
    struct bytes b = sealed();
    uint64_t next = ehi_get_le64(footer_of(&b) + EHI_FRAME_FIRST_SEQ);
    bool (*const which[])(uint64_t) = {some, all, first_and_last};
    for (size_t i = 0; i < 3; i++) {
        struct bytes c = cleaned(&b, which[i], next + 100);
        bytes_save(&c);
        look_clean(path, ECSHIST_VERIFY_QUICK);
        bytes_free(&c);
        c = cleaned(&b, which[i], 5); /* by an event that was before most of those that are gone */
        bytes_save(&c);
        look_broken(path, ECSHIST_VERIFY_QUICK, "L5", &found);
        ehi_put_le32(c.data + EHI_SEG_INCOMPATIBLE, 0);
        mend_header(&c);
        mend_footer(&c);
        bytes_save(&c);
        look(path, ECSHIST_VERIFY_QUICK, &found);
        cr_assert(has(&found, "L5") || has(&found, "L6"), "%s", found.all);
        bytes_free(&c);
    }
    bytes_free(&b);
}

Test(verify_log, L5_seqs_that_fall_in_a_cleaned_segment)
{
    struct bytes b = sealed(), c = cleaned(&b, some, 1000);
    uint8_t *frame = frame_of(&c, 3), *record = record_of(frame, 0);
    ehi_put_le64(record + EHI_REC_SEQ, 1);
    ehi_put_le64(frame + EHI_FRAME_FIRST_SEQ, 1);
    mend_record(&c, record);
    mend_frame(&c, frame);
    mend_footer(&c);
    bytes_save(&c);
    look(path, ECSHIST_VERIFY_QUICK, &found);
    cr_assert_str_eq(found.first.invariant, "L5", "%s", found.all);
    bytes_free(&b);
    bytes_free(&c);
}

/* -- anything ---------------------------------------------------------------------------------- */

/* Every byte of a sealed segment counts: its content has a checksum, and so has the rest. */
Test(verify_log, each_byte_of_a_sealed_segment)
{
    struct bytes b = sealed();
    for (size_t at = 0; at < b.length; at += 7) {
        uint8_t byte = (uint8_t)(b.data[at] ^ 1u << at % 8);
        store_dir_write(b.path, at, &byte, 1);
        look(path, ECSHIST_VERIFY_QUICK, &found);
        cr_assert_neq(found.result.finding_count, 0, "offset %zu", at);
        store_dir_write(b.path, at, &b.data[at], 1);
    }
    bytes_free(&b);
}

Test(verify_log, garbage)
{
    struct random_events random = {0};
    random_events_start(&random, 11);
    for (int round = 0; round < 60; round++) {
        uint8_t bytes[4096];
        struct bytes b = round % 2 == 0 ? newest() : sealed();
        size_t length = random_below(&random, sizeof(bytes));
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)random_below(&random, 256);
        size_t at = random_below(&random, b.length);
        store_dir_write(b.path, at, bytes, length);
        look(path, 0, &found);
        bytes_save(&b);
        bytes_free(&b);
    }
    random_events_end(&random);
}

static bool stop_at_once(void *context, const struct ecshist_finding *finding)
{
    (void)finding;
    (*(int *)context)++;
    return false;
}

static bool no_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    return done > total;
}

Test(verify_log, stops_when_told)
{
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    struct bytes b = sealed();
    frame_of(&b, 5)[60] ^= 4;
    frame_of(&b, 9)[60] ^= 4;
    bytes_save(&b);
    bytes_free(&b);
    int told = 0;
    cr_assert_eq(ecshist_verify(path, NULL, stop_at_once, &told, NULL, NULL), ECSHIST_END);
    cr_assert_eq(told, 1);
    options.progress = no_progress;
    cr_assert_eq(ecshist_verify(path, &options, NULL, NULL, NULL, NULL), ECSHIST_END);
    options.flags = 8;
    cr_assert_eq(ecshist_verify(path, &options, NULL, NULL, NULL, NULL), ECSHIST_INVALID);
    cr_assert_eq(ecshist_verify(NULL, NULL, NULL, NULL, NULL, NULL), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_verify("/nowhere", NULL, NULL, NULL, NULL, NULL), ECSHIST_NO_STORE);
}
