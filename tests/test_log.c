/* store/log: appended, sealed, opened again, read. What goes wrong is in test_log_damage.c. */
#include "test_log.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

static char *dir;
static struct ehi_log *log_a;
static struct ehi_position tail;

/* Places and lengths can be foreseen where records are not compressed; test_log_compressed.c has the others. */
static void setup(void)
{
    ehi_log_test_plain = true;
    dir = log_new();
    log_a = log_open(dir, SMALL_SEGMENT);
    ehi_log_start(log_a, &tail);
}

static void teardown(void)
{
    ehi_log_close(log_a);
    store_dir_remove(dir);
}

TestSuite(log, .init = setup, .fini = teardown);

static void reopen(uint32_t segment_bytes)
{
    ehi_log_close(log_a);
    log_a = log_open(dir, segment_bytes);
}

static off_t file_size(uint64_t first_seq)
{
    struct stat status;
    char *path = log_segment_path(dir, first_seq);
    off_t size = stat(path, &status) == 0 ? status.st_size : -1;
    free(path);
    return size;
}

/* Frames of 1 to 9 records of many lengths, over several segments. */
static void fill(int frames)
{
    for (int i = 0; i < frames; i++)
        log_append(log_a, &tail, 1 + (uint32_t)i % 9, 100 + (size_t)(i * 37) % 600);
}

Test(log, a_new_one_is_empty)
{
    uint64_t records;
    struct ehi_position at = tail;
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(records, 0);
    cr_assert_eq(at.next_seq, 1);
    cr_assert(log_same_position(&at, &tail));
    cr_assert(ehi_log_at_end(log_a, &at));
    cr_assert(ehi_log_confirms(log_a, &at));
    cr_assert_arr_eq(ehi_log_store_id(log_a), log_store_id, 16);
    cr_assert_eq(ehi_log_seed(log_a), UINT64_C(0x0807060504030201) ^ UINT64_C(0x100f0e0d0c0b0a09));
}

Test(log, is_not_made_twice_nor_opened_where_there_is_none)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(ehi_log_create(fd, dir, log_store_id, &error), ECSHIST_EXISTS);
    close(fd);
    char *empty = store_dir_new();
    cr_assert_eq(log_open_code(empty, &error), ECSHIST_FORMAT);
    store_dir_remove(empty);
}

Test(log, files_are_for_their_owner_only)
{
    struct stat status;
    char *path = log_segment_path(dir, 1);
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0600);
    free(path);
}

Test(log, gives_back_the_bytes)
{
    struct ehi_buffer records = {0};
    log_record(&records, 1, 200, ehi_log_seed(log_a));
    log_record(&records, 2, 77, ehi_log_seed(log_a));
    must(ehi_log_append(log_a, &tail, ehi_buffer_slice(&records), 2, 1, NULL, NULL));
    struct ehi_position at;
    struct ehi_frame frame;
    enum ehi_verdict verdict;
    ehi_log_start(log_a, &at);
    must(ehi_log_next(log_a, &at, &frame, &verdict, NULL));
    cr_assert_eq(verdict, EHI_FRAME);
    cr_assert(ehi_slice_equal(frame.payload, ehi_buffer_slice(&records)));
    cr_assert_eq(frame.record_count, 2);
    cr_assert_eq(frame.segment, 1);
    cr_assert_eq(frame.offset, EHI_SEGMENT_HEADER_BYTES);
    cr_assert_eq(frame.length, EHI_FRAME_HEADER_BYTES + records.length);
    cr_assert_eq(frame.checksum, tail.frame_checksum);
    cr_assert(log_same_position(&at, &tail));
    ehi_buffer_free(&records);
}

Test(log, scanning_ends_where_appending_did)
{
    uint64_t records;
    fill(700);
    struct ehi_position at;
    ehi_log_start(log_a, &at);
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(records, tail.next_seq - 1);
    cr_assert(log_same_position(&at, &tail));
    reopen(SMALL_SEGMENT);
    ehi_log_start(log_a, &at);
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert(log_same_position(&at, &tail));
    fill(100);
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert(log_same_position(&at, &tail));
}

Test(log, full_segments_are_sealed)
{
    uint64_t segments, files, used;
    fill(700);
    must(ehi_log_sizes(log_a, &tail, &segments, &files, &used, NULL));
    cr_assert_gt(segments, 15);
    cr_assert_leq(used, files);
    cr_assert_geq(used + SMALL_SEGMENT, files);
    uint64_t at = 1;
    for (uint64_t i = 1; i < segments; i++) {
        size_t length;
        must(ehi_log_check_seal(log_a, at, NULL));
        char *path = log_segment_path(dir, at);
        uint8_t *bytes = store_dir_read(path, &length);
        cr_assert_arr_eq(bytes + length - 8, EHI_SEGMENT_END, 8);
        uint64_t footer = ehi_get_le64(bytes + length - 16);
        at = ehi_get_le64(bytes + footer + EHI_FRAME_FIRST_SEQ);
        free(bytes);
        free(path);
    }
    cr_assert_eq(at, tail.segment);
    cr_assert_eq(ehi_log_check_seal(log_a, at, NULL), ECSHIST_NOT_FOUND);
    cr_assert_eq(ehi_log_check_seal(log_a, 2, NULL), ECSHIST_NOT_FOUND);
}

Test(log, a_footer_counts_what_there_is)
{
    size_t length;
    while (tail.segment == 1)
        log_append(log_a, &tail, 3, 300);
    char *path = log_segment_path(dir, 1);
    uint8_t *bytes = store_dir_read(path, &length);
    uint64_t offset = ehi_get_le64(bytes + length - 16);
    const uint8_t *footer = bytes + offset + EHI_FRAME_HEADER_BYTES;
    uint64_t events = ehi_get_le64(footer + EHI_FOOT_EVENTS);
    cr_assert_eq(events, tail.segment - 1);
    cr_assert_eq(ehi_get_le64(footer + EHI_FOOT_FIRST_SEQ), 1);
    cr_assert_eq(ehi_get_le64(footer + EHI_FOOT_LAST_SEQ), events);
    cr_assert_eq(ehi_get_le64(footer + EHI_FOOT_IGNORED), events / 10);
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t seq = 1; seq <= events; seq++) {
        uint64_t time = 5000000 + seq * 7919 % 1000;
        least = time < least ? time : least;
        most = time > most ? time : most;
    }
    cr_assert_eq(ehi_get_le64(footer + EHI_FOOT_MIN_TIME), least);
    cr_assert_eq(ehi_get_le64(footer + EHI_FOOT_MAX_TIME), most);
    uint32_t entries = ehi_get_le32(footer + EHI_FOOT_ENTRIES);
    cr_assert(entries >= 12 && entries <= 16, "%u", entries);
    cr_assert_eq(length, offset + 32 + 64 + entries * 16 + 16);
    free(bytes);
    free(path);
}

/* In steps that double, up to a megabyte: who appends little writes few zeros. */
Test(log, zeros_lie_ahead_so_that_small_appends_do_not_grow_the_file)
{
    reopen(4194304);
    cr_assert_eq(file_size(1), ECSHIST_MIN_SEGMENT_BYTES);
    log_append(log_a, &tail, 20, 400);
    cr_assert_eq(file_size(1), ECSHIST_MIN_SEGMENT_BYTES);
    log_append(log_a, &tail, 20, 400);
    cr_assert_eq(file_size(1), 2 * ECSHIST_MIN_SEGMENT_BYTES);
    unsigned grown = 0;
    for (off_t before = file_size(1); tail.offset < 3000000; before = file_size(1)) {
        log_append(log_a, &tail, 1, 400);
        grown += file_size(1) != before;
        cr_assert_leq(file_size(1), (off_t)tail.offset + 1048576);
    }
    cr_assert_leq(grown, 10);
    log_append(log_a, &tail, 4000, 400); /* too large for it: extends the file, and no more */
    cr_assert_eq(file_size(1), (off_t)tail.offset);
    log_append(log_a, &tail, 1, 400);
    cr_assert_gt(file_size(1), (off_t)tail.offset);
}

/* What lies ahead goes when the last one does; the log is as it was, and goes on. */
Test(log, zeros_ahead_are_cut_off)
{
    reopen(4194304);
    for (int i = 0; i < 50; i++)
        log_append(log_a, &tail, 20, 400);
    off_t before = file_size(1);
    struct ehi_position middle = tail;
    log_append(log_a, &tail, 1, 400);
    ehi_log_trim(log_a, &middle); /* not the end */
    cr_assert_eq(file_size(1), before);
    ehi_log_trim(log_a, &tail);
    cr_assert_eq(file_size(1), ((off_t)tail.offset + 4095) / 4096 * 4096);
    reopen(4194304);
    cr_assert(ehi_log_at_end(log_a, &tail));
    cr_assert(ehi_log_confirms(log_a, &tail));
    log_append(log_a, &tail, 20, 400);
    uint64_t records;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_position start;
    ehi_log_start(log_a, &start);
    cr_assert_eq(log_scan(log_a, &start, &records, &error), EHI_END_OF_LOG, "%s", error.message);
    cr_assert_eq(records, 1021);
}

Test(log, never_prefills_beyond_the_segment)
{
    reopen(100000);
    while (tail.offset < 70000)
        log_append(log_a, &tail, 1, 1000);
    cr_assert_eq(file_size(1), 100000);
}

Test(log, frames_as_large_as_they_come)
{
    uint64_t records;
    log_append(log_a, &tail, 2, 100);
    log_append(log_a, &tail, ECSHIST_MAX_BATCH_EVENTS, ECSHIST_MAX_BATCH_BYTES / 10000);
    cr_assert_gt(tail.offset, ECSHIST_MAX_BATCH_BYTES);
    log_append(log_a, &tail, 1, 100);
    cr_assert_eq(tail.segment, 10003);
    must(ehi_log_check_seal(log_a, 1, NULL));
    struct ehi_position at;
    ehi_log_start(log_a, &at);
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(records, 10003);
}

Test(log, refuses_what_does_not_follow)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_buffer two = {0};
    log_record(&two, 1, 50, 0);
    log_record(&two, 3, 50, 0);
    struct ehi_slice both = ehi_buffer_slice(&two), one = ehi_slice(two.data, two.length / 2);
    struct ehi_position at = tail;
    cr_assert_eq(ehi_log_append(log_a, &at, both, 2, 1, NULL, &error), ECSHIST_MISUSE);
    cr_assert_eq(ehi_log_append(log_a, &at, one, 2, 1, NULL, &error), ECSHIST_MISUSE);
    cr_assert_eq(ehi_log_append(log_a, &at, one, 0, 1, NULL, &error), ECSHIST_MISUSE);
    cr_assert_eq(ehi_log_append(log_a, &at, one, 1, 2, NULL, &error), ECSHIST_MISUSE);
    cr_assert_eq(ehi_log_append(log_a, &at, ehi_slice(two.data, 60), 1, 1, NULL, &error),
                 ECSHIST_MISUSE);
    cr_assert_eq(ehi_log_append(log_a, &at, EHI_SLICE_EMPTY, 0, 1, NULL, &error), ECSHIST_MISUSE);
    ehi_buffer_free(&two);
    cr_assert_eq(log_append_code(log_a, &at, 17, 1048576, &error), ECSHIST_LIMIT);
    cr_assert(log_same_position(&at, &tail));
    log_append(log_a, &tail, 1, 50);
    cr_assert_eq(log_append_code(log_a, &at, 1, 50, &error), ECSHIST_MISUSE, "not the tail");
}

Test(log, reads_every_event_with_a_hint_and_without)
{
    struct ehi_slice record, again;
    fill(300);
    for (uint64_t seq = 1; seq < tail.next_seq; seq++) {
        must(ehi_log_read(log_a, seq, 0, &scratch, &record, NULL));
        cr_assert_eq(ehi_get_le64(record.data + EHI_REC_SEQ), seq);
        cr_assert_eq(record.data[EHI_RECORD_HEADER_BYTES], seq % 251 + 1);
        must(ehi_log_read(log_a, seq, 72 + seq * 8, &scratch, &again,
                          NULL)); /* a hint that is wrong */
        cr_assert_eq(again.data, record.data);
    }
    struct ehi_position at;
    struct ehi_frame frame;
    enum ehi_verdict verdict;
    ehi_log_start(log_a, &at);
    for (;;) {
        must(ehi_log_next(log_a, &at, &frame, &verdict, NULL));
        if (verdict != EHI_FRAME)
            break;
        must(ehi_log_read(log_a, frame.first_seq, frame.offset + 32, &scratch, &record, NULL));
        cr_assert_eq(record.data, frame.payload.data);
    }
    cr_assert_eq(ehi_log_read(log_a, 0, 0, &scratch, &record, NULL), ECSHIST_NOT_FOUND);
    cr_assert_eq(ehi_log_read(log_a, tail.next_seq, 0, &scratch, &record, NULL), ECSHIST_NOT_FOUND);
    cr_assert_eq(ehi_log_read(log_a, UINT64_MAX, UINT64_MAX, &scratch, &record, NULL),
                 ECSHIST_NOT_FOUND);
}

Test(log, seeks_to_the_frame_that_holds_an_event)
{
    struct ehi_position at;
    struct ehi_frame frame;
    enum ehi_verdict verdict;
    fill(300);
    for (uint64_t seq = 1; seq < tail.next_seq; seq++) {
        must(ehi_log_seek(log_a, seq, &at, NULL));
        must(ehi_log_next(log_a, &at, &frame, &verdict, NULL));
        cr_assert_eq(verdict, EHI_FRAME);
        cr_assert(frame.first_seq <= seq && seq < frame.first_seq + frame.record_count);
    }
    must(ehi_log_seek(log_a, tail.next_seq + 100, &at, NULL));
    cr_assert_eq(at.offset, tail.offset);
    cr_assert_eq(at.next_seq, tail.next_seq);
    must(ehi_log_next(log_a, &at, &frame, &verdict, NULL));
    cr_assert_eq(verdict, EHI_END_OF_LOG);
    must(ehi_log_seek(log_a, 0, &at, NULL));
    cr_assert_eq(at.next_seq, 1);
}

Test(log, confirms_its_own_positions_only)
{
    fill(50);
    cr_assert(ehi_log_confirms(log_a, &tail));
    struct ehi_position other = tail;
    other.frame_checksum ^= 1;
    cr_assert_not(ehi_log_confirms(log_a, &other));
    other = tail;
    other.next_seq++;
    cr_assert_not(ehi_log_confirms(log_a, &other));
    other = tail;
    other.offset += 8;
    cr_assert_not(ehi_log_confirms(log_a, &other));
    other = tail;
    other.frame_offset += 8;
    cr_assert_not(ehi_log_confirms(log_a, &other));
    other = tail;
    other.segment++;
    cr_assert_not(ehi_log_confirms(log_a, &other));
    other = tail;
    other.frame_offset = 0;
    cr_assert_not(ehi_log_confirms(log_a, &other));
    other = tail;
    other.offset = UINT64_MAX - 7;
    other.frame_offset = UINT64_MAX - 63;
    cr_assert_not(ehi_log_confirms(log_a, &other));
    cr_assert_not(ehi_log_at_end(log_a, &other));
}

Test(log, settles_the_last_frame)
{
    must(ehi_log_settle(log_a, &tail, NULL));
    fill(20);
    must(ehi_log_settle(log_a, &tail, NULL));
    uint64_t records;
    struct ehi_position at;
    ehi_log_start(log_a, &at);
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert(log_same_position(&at, &tail));
    at.frame_offset = 0;
    cr_assert_eq(ehi_log_settle(log_a, &at, NULL), ECSHIST_MISUSE);
}

/* -- others have the same log open ---------------------------------------------------------------- */

Test(log, two_handles_take_turns)
{
    uint64_t records;
    struct ehi_log *log_b = log_open(dir, SMALL_SEGMENT);
    struct ehi_position at = tail;
    for (int turn = 0; turn < 300; turn++) {
        struct ehi_log *mine = turn % 2 == 0 ? log_a : log_b;
        struct ehi_log *other = turn % 2 == 0 ? log_b : log_a;
        struct ehi_position stale = tail;
        cr_assert(ehi_log_at_end(mine, &tail));
        log_append(mine, &tail, 2, 500);
        cr_assert_not(ehi_log_at_end(other, &stale));
        cr_assert_eq(log_append_code(other, &stale, 1, 50, NULL), ECSHIST_MISUSE);
        cr_assert_eq(log_scan(other, &at, &records, NULL), EHI_END_OF_LOG);
        cr_assert_eq(records, 2);
        cr_assert(log_same_position(&at, &tail));
        cr_assert(ehi_log_confirms(other, &at));
    }
    cr_assert_gt(tail.segment, 1);
    ehi_log_close(log_b);
}

Test(log, a_handle_reads_what_another_sealed_away)
{
    struct ehi_slice record;
    struct ehi_position at;
    struct ehi_log *log_b = log_open(dir, SMALL_SEGMENT);
    fill(300);
    must(ehi_log_read(log_b, tail.next_seq - 1, 0, &scratch, &record, NULL));
    must(ehi_log_read(log_b, 1, 0, &scratch, &record, NULL));
    must(ehi_log_seek(log_b, tail.next_seq, &at, NULL));
    cr_assert_eq(at.offset, tail.offset);
    ehi_log_close(log_b);
}

Test(log, a_handle_is_told_of_a_segment_that_another_began)
{
    struct ehi_log *log_b = log_open(dir, SMALL_SEGMENT);
    while (tail.segment == 1)
        log_append(log_a, &tail, 1, 1000);
    cr_assert(ehi_log_confirms(log_b, &tail));
    cr_assert(ehi_log_at_end(log_b, &tail));
    log_append(log_b, &tail, 1, 1000);
    ehi_log_close(log_b);
}

Test(log, what_was_given_stays_when_a_map_is_outgrown)
{
    uint64_t records;
    struct ehi_slice record;
    reopen(67108864);
    struct ehi_log *log_b = log_open(dir, SMALL_SEGMENT); /* maps less than log_a will write */
    log_append(log_a, &tail, 1, 1000);
    must(ehi_log_read(log_b, 1, 0, &scratch, &record, NULL));
    for (int i = 0; i < 5; i++)
        log_append(log_a, &tail, 10000, 900);
    log_append(log_a, &tail, 1, 1000); /* with zeros ahead */
    struct ehi_position at;
    ehi_log_start(log_b, &at);
    cr_assert_eq(log_scan(log_b, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(records, 50002);
    cr_assert_eq(at.segment, 1);
    cr_assert_eq(ehi_get_le64(record.data + EHI_REC_SEQ), 1);
    cr_assert_eq(record.data[1047], 2);
    /* Sealed by one for whom the segment is full long since; the file keeps its length. */
    off_t before = file_size(1);
    log_append(log_b, &at, 1, 100);
    cr_assert_eq(at.segment, 50003);
    cr_assert_geq(file_size(1), before);
    must(ehi_log_check_seal(log_a, 1, NULL) == ECSHIST_NOT_FOUND ? ECSHIST_OK : ECSHIST_IO);
    cr_assert_eq(log_scan(log_a, &tail, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(records, 1);
    must(ehi_log_check_seal(log_a, 1, NULL));
    ehi_log_close(log_b);
}

static _Atomic bool writing;

static void *write_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++)
        log_append(log_a, &tail, 1 + (uint32_t)i % 3, 200);
    writing = false;
    return NULL;
}

Test(log, a_reader_without_the_lock_sees_frames_only)
{
    uint64_t records;
    pthread_t writer;
    struct ehi_log *log_b = log_open(dir, SMALL_SEGMENT);
    struct ehi_position at;
    ehi_log_start(log_b, &at);
    writing = true;
    pthread_create(&writer, NULL, write_much, NULL);
    while (writing) {
        int verdict = log_scan(log_b, &at, &records, NULL);
        cr_assert(verdict == EHI_END_OF_LOG || verdict == EHI_TORN_TAIL, "%d", verdict);
    }
    pthread_join(writer, NULL);
    cr_assert_eq(log_scan(log_b, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(at.next_seq, tail.next_seq);
    ehi_log_close(log_b);
}

static _Atomic int inside;

static void *lock_and_count(void *arg)
{
    for (int i = 0; i < 200; i++) {
        must(ehi_log_lock(arg, NULL));
        cr_assert_eq(inside, 0);
        inside++;
        usleep(10);
        inside--;
        ehi_log_unlock(arg);
    }
    return NULL;
}

Test(log, one_holds_the_lock)
{
    pthread_t threads[3];
    struct ehi_log *log_b = log_open(dir, SMALL_SEGMENT);
    struct ehi_log *logs[3] = {log_a, log_a, log_b};
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, lock_and_count, logs[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ehi_log_close(log_b);
}

/* -- somebody died ---------------------------------------------------------------------------------- */

Test(log, removes_what_was_being_made)
{
    char *half = store_dir_path(dir, "00000000000000000077.new");
    char *foreign = store_dir_path(dir, "notes.new");
    store_dir_write(half, 0, "x", 1);
    store_dir_write(foreign, 0, "x", 1);
    while (tail.segment == 1)
        log_append(log_a, &tail, 1, 1000);
    cr_assert_neq(access(half, F_OK), 0);
    cr_assert_eq(access(foreign, F_OK), 0);
    free(half);
    free(foreign);
}

Test(log, goes_on_after_a_seal_without_a_successor)
{
    uint64_t records;
    while (tail.segment == 1)
        log_append(log_a, &tail, 1, 1000);
    char *newest = log_segment_path(dir, tail.segment);
    store_dir_unlink(newest);
    reopen(SMALL_SEGMENT);
    struct ehi_position at;
    ehi_log_start(log_a, &at);
    cr_assert_eq(log_scan(log_a, &at, &records, NULL), EHI_END_OF_LOG);
    cr_assert_eq(at.segment, 1);
    cr_assert_eq(records, at.next_seq - 1);
    cr_assert(ehi_log_at_end(log_a, &at));
    cr_assert(ehi_log_confirms(log_a, &at));
    must(ehi_log_settle(log_a, &at, NULL));
    uint64_t next = at.next_seq;
    log_append(log_a, &at, 1, 1000);
    cr_assert_eq(at.segment, next);
    must(ehi_log_check_seal(log_a, 1, NULL));
    ehi_log_start(log_a, &tail);
    cr_assert_eq(log_scan(log_a, &tail, &records, NULL), EHI_END_OF_LOG);
    cr_assert(log_same_position(&at, &tail));
    free(newest);
}

/* The footer's bytes as a crash may leave them: without their end, or without any 512 of them. */
Test(log, a_torn_footer_is_cut_off_and_made_again)
{
    uint64_t records;
    size_t length;
    while (tail.segment == 1)
        log_append(log_a, &tail, 1, 1000);
    char *newest = log_segment_path(dir, tail.segment), *first = log_segment_path(dir, 1);
    uint8_t *bytes = store_dir_read(first, &length);
    size_t footer = (size_t)ehi_get_le64(bytes + length - 16);
    for (size_t kept = footer + 1; kept < length; kept++) {
        store_dir_unlink(newest);
        store_dir_unlink(first);
        store_dir_write(first, 0, bytes, kept);
        if (kept % 2 == 0)
            store_dir_write(first, length - 16, bytes + length - 16, 16);
        reopen(SMALL_SEGMENT);
        ehi_log_start(log_a, &tail);
        int verdict = log_scan(log_a, &tail, &records, NULL);
        size_t lost = kept;
        while (lost < length - 16 && bytes[lost] == 0)
            lost++;
        bool whole = kept % 2 == 0 && lost >= length - 16;
        cr_assert_eq(verdict, whole ? EHI_END_OF_LOG : EHI_TORN_TAIL, "%zu of %zu", kept, length);
        cr_assert_eq(tail.offset, footer);
        if (!whole)
            must(ehi_log_cut(log_a, &tail, NULL));
        log_append(log_a, &tail, 1, 10);
        must(ehi_log_check_seal(log_a, 1, NULL));
    }
    free(bytes);
    free(first);
    free(newest);
}

#ifdef ECSHIST_TEST_HOOKS
static int hook_calls;

static void hook(void)
{
    hook_calls++;
}

Test(log, the_hook_is_called_behind_the_flush)
{
    ehi_log_test_after_flush = hook;
    log_append(log_a, &tail, 1, 10);
    ehi_log_test_after_flush = NULL;
    log_append(log_a, &tail, 1, 10);
    cr_assert_eq(hook_calls, 1);
}
#endif
