/* Segments cleaned: what is gone, what is still found, what others see of it, and what a death leaves. */
#include "test_log.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

/* Which records go. */
struct sieve {
    uint64_t from, to; /* all of these */
    uint64_t nth;      /* and each whose seq is divided by it; 0: none */
    unsigned asked;
};

static bool stays(void *context, struct ehi_slice record)
{
    struct sieve *sieve = context;
    uint64_t seq = ehi_get_le64(record.data + EHI_REC_SEQ);
    sieve->asked++;
    return !((seq >= sieve->from && seq <= sieve->to) ||
             (sieve->nth != 0 && seq % sieve->nth == 0));
}

static bool goes(const struct sieve *sieve, uint64_t seq)
{
    struct sieve copy = *sieve;
    uint8_t record[EHI_RECORD_HEADER_BYTES];
    ehi_put_le64(record + EHI_REC_SEQ, seq);
    return !stays(&copy, ehi_slice(record, sizeof(record)));
}

struct filled {
    char *dir;
    struct ehi_log *log;
    struct ehi_position tail;
};

/* Three sealed segments and some more, of frames of 1 to 5 records. */
static struct filled fill(void)
{
    struct filled f = {log_new(), NULL, {0}};
    f.log = log_open(f.dir, SMALL_SEGMENT);
    ehi_log_start(f.log, &f.tail);
    for (unsigned i = 0; f.tail.segment == 1 || ehi_log_sealed_from(f.log, 1) == 0 || i < 1500; i++)
        log_append(f.log, &f.tail, 1 + i % 5, 40);
    return f;
}

static void empty(struct filled *f)
{
    ehi_log_close(f->log);
    store_dir_remove(f->dir);
}

static struct ehi_cleaning clean(struct ehi_log *log, uint64_t segment, uint64_t by,
                                 struct sieve *sieve)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_cleaning out = {0};
    ehi_log_enter(log);
    int rc = ehi_log_clean(log, segment, by, stays, sieve, &out, &error);
    ehi_log_leave(log);
    cr_assert_eq(rc, ECSHIST_OK, "%s", error.message);
    return out;
}

/* Every event: found where it stays, NOT_FOUND where it has gone; the whole scanned; footers right. */
static void expect(const char *dir, const struct sieve *sieve, uint64_t cleaned_to, uint64_t end)
{
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    struct ehi_position at;
    struct ehi_frame frame;
    enum ehi_verdict verdict = EHI_FRAME;
    struct ehi_slice record;
    uint64_t seen = 0, kept = 0;
    ehi_log_start(log, &at);
    while (verdict == EHI_FRAME) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        int rc = ehi_log_next(log, &at, &frame, &verdict, &error);
        cr_assert_eq(rc, ECSHIST_OK, "%s", error.message);
        if (verdict != EHI_FRAME)
            break;
        struct ehi_slice rest = frame.payload;
        struct ehi_stored stored;
        while (ehi_stored_next(&rest, frame.compressed, &stored)) {
            uint64_t seq = stored.seq;
            cr_assert(seq > seen && (seq >= cleaned_to || !goes(sieve, seq)));
            seen = seq;
        }
        cr_assert_eq(at.next_seq, seen + 1);
    }
    cr_assert_eq(verdict, EHI_END_OF_LOG);
    cr_assert_eq(at.next_seq, end);
    for (uint64_t seq = 1; seq < end; seq++) {
        bool gone = seq < cleaned_to && goes(sieve, seq);
        int rc = ehi_log_read(log, seq, 0, &scratch, &record, NULL);
        cr_assert_eq(rc, gone ? ECSHIST_NOT_FOUND : ECSHIST_OK, "seq %llu: %d",
                     (unsigned long long)seq, rc);
        kept += !gone;
        if (seq % 50 != 0)
            continue;
        must(ehi_log_seek(log, seq, &at, NULL));
        must(ehi_log_next(log, &at, &frame, &verdict, NULL));
        cr_assert(verdict == EHI_FRAME && frame.next_seq > seq);
    }
    for (uint64_t s = ehi_log_sealed_from(log, 1); s != 0; s = ehi_log_sealed_from(log, s + 1))
        must(ehi_log_check_seal(log, s, NULL));
    cr_assert(kept > 0);
    ehi_log_close(log);
}

Test(log_clean, every_third_record)
{
    struct filled f = fill();
    struct sieve sieve = {.nth = 3};
    uint64_t end = f.tail.next_seq, second = ehi_log_sealed_from(f.log, 2);
    struct ehi_cleaning out = clean(f.log, 1, end, &sieve);
    cr_assert_eq(out.removed, (second - 1) / 3);
    cr_assert(out.bytes_after < out.bytes_before);
    expect(f.dir, &sieve, second, end);
    uint64_t last = 1;
    for (uint64_t s = second; s != 0; s = ehi_log_sealed_from(f.log, s + 1)) {
        clean(f.log, s, end, &sieve);
        last = s;
    }
    cr_assert(last > second);
    expect(f.dir, &sieve, f.tail.segment, end);
    sieve.asked = 0;
    clean(f.log, 1, end, &sieve);
    cr_assert_eq(sieve.asked, 0u, "it was cleaned by this one already");
    sieve.nth = 2;
    cr_assert(clean(f.log, 1, end + 1, &sieve).removed > 0, "but not by a later one");
    empty(&f);
}

Test(log_clean, first_and_last_and_all)
{
    struct filled f = fill();
    uint64_t end = f.tail.next_seq, second = ehi_log_sealed_from(f.log, 2);
    struct sieve first = {.from = 1, .to = 7}, last = {.from = second - 9, .to = second - 1};
    clean(f.log, 1, end, &first);
    expect(f.dir, &first, second, end);
    struct sieve both = {.from = 1, .to = 7};
    clean(f.log, 1, end + 1, &last);
    struct ehi_slice record;
    struct ehi_log *log = log_open(f.dir, SMALL_SEGMENT);
    cr_assert_eq(ehi_log_read(log, second - 1, 0, &scratch, &record, NULL), ECSHIST_NOT_FOUND);
    cr_assert_eq(ehi_log_read(log, second - 10, 0, &scratch, &record, NULL), ECSHIST_OK);
    cr_assert_eq(ehi_log_read(log, second, 0, &scratch, &record, NULL), ECSHIST_OK);
    ehi_log_close(log);
    both.to = second - 1;
    cr_assert_eq(clean(f.log, 1, end + 2, &both).bytes_after,
                 EHI_SEGMENT_HEADER_BYTES + EHI_FRAME_HEADER_BYTES + EHI_FOOTER_BYTES +
                     EHI_SEGMENT_TRAILER_BYTES);
    expect(f.dir, &both, second, end);
    empty(&f);
}

Test(log_clean, what_loses_nothing_is_not_touched)
{
    struct filled f = fill();
    struct sieve none = {0};
    char *path = log_segment_path(f.dir, 1);
    struct stat earlier, later;
    cr_assert_eq(stat(path, &earlier), 0);
    struct ehi_cleaning out = clean(f.log, 1, f.tail.next_seq, &none);
    cr_assert_eq(out.removed, 0u);
    cr_assert_eq(stat(path, &later), 0);
    cr_assert_eq(earlier.st_ino, later.st_ino);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(ehi_log_clean(f.log, f.tail.segment, f.tail.next_seq, stays, &none, &out, &error),
                 ECSHIST_NOT_FOUND, "the newest is not sealed");
    free(path);
    empty(&f);
}

Test(log_clean, damage_is_left_as_it_is)
{
    struct filled f = fill();
    struct sieve sieve = {.nth = 2};
    char *path = log_segment_path(f.dir, 1);
    store_dir_write(path, 500, "damage", 6);
    struct stat earlier, later;
    cr_assert_eq(stat(path, &earlier), 0);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_cleaning out;
    cr_assert_eq(ehi_log_clean(f.log, 1, f.tail.next_seq, stays, &sieve, &out, &error),
                 ECSHIST_DAMAGED);
    cr_assert_eq(stat(path, &later), 0);
    cr_assert_eq(earlier.st_ino, later.st_ino);
    free(path);
    empty(&f);
}

Test(log_clean, others_go_on_with_what_they_have_mapped_and_move_over)
{
    struct filled f = fill();
    struct sieve sieve = {.nth = 2};
    struct ehi_log *other = log_open(f.dir, SMALL_SEGMENT);
    struct ehi_slice record;
    ehi_log_enter(other);
    must(ehi_log_read(other, 2, 0, &scratch, &record, NULL));
    clean(f.log, 1, f.tail.next_seq, &sieve);
    must(ehi_log_read(other, 2, 0, &scratch, &record, NULL));
    cr_assert_eq(ehi_get_le64(record.data + EHI_REC_SEQ), 2u);
    ehi_log_enter(other); /* the first is still in */
    must(ehi_log_read(other, 4, 0, &scratch, &record, NULL));
    ehi_log_leave(other);
    ehi_log_leave(other);
    ehi_log_enter(other);
    cr_assert_eq(ehi_log_read(other, 2, 0, &scratch, &record, NULL), ECSHIST_NOT_FOUND);
    must(ehi_log_read(other, 3, 0, &scratch, &record, NULL));
    ehi_log_leave(other);
    ehi_log_close(other);
    empty(&f);
}

Test(log_clean, what_a_death_left_is_swept)
{
    struct filled f = fill();
    char *path = store_dir_path(f.dir, "00000000000000000001.tmp");
    store_dir_write(path, 0, "half", 4);
    struct sieve sieve = {.nth = 2};
    uint64_t end = f.tail.next_seq;
    struct ehi_log *log = log_open(f.dir, SMALL_SEGMENT);
    ehi_log_close(log);
    must(ehi_log_sweep(f.log, NULL));
    cr_assert_neq(access(path, F_OK), 0);
    store_dir_write(path, 0, "half", 4);
    clean(f.log, 1, end, &sieve); /* made anew over it */
    cr_assert_neq(access(path, F_OK), 0);
    free(path);
    empty(&f);
}

Test(log_clean, rolling_seals_what_is_there)
{
    struct filled f = fill();
    uint64_t newest = f.tail.segment;
    must(ehi_log_roll(f.log, &f.tail, NULL));
    cr_assert_eq(f.tail.segment, f.tail.next_seq);
    cr_assert_eq(ehi_log_sealed_from(f.log, newest), newest);
    struct ehi_position empty_one = f.tail;
    must(ehi_log_roll(f.log, &f.tail, NULL));
    cr_assert(log_same_position(&empty_one, &f.tail), "one without a frame is not sealed");
    log_append(f.log, &f.tail, 3, 40);
    struct sieve none = {0};
    expect(f.dir, &none, 0, f.tail.next_seq);
    empty(&f);
}

Test(log_clean, times_are_those_of_what_is_there)
{
    struct filled f = fill();
    bool any;
    int64_t min_us, max_us, min_of_all = INT64_MAX, max_of_all = 0;
    must(ehi_log_times(f.log, &f.tail, &any, &min_us, &max_us, NULL));
    for (uint64_t seq = 1; seq < f.tail.next_seq; seq++) {
        int64_t time_us = 5000000 + (int64_t)(seq * 7919 % 1000);
        min_of_all = time_us < min_of_all ? time_us : min_of_all;
        max_of_all = time_us > max_of_all ? time_us : max_of_all;
    }
    cr_assert(any && min_us == min_of_all && max_us == max_of_all);
    empty(&f);
    char *dir = log_new();
    struct ehi_log *log = log_open(dir, SMALL_SEGMENT);
    struct ehi_position tail;
    ehi_log_start(log, &tail);
    must(ehi_log_times(log, &tail, &any, &min_us, &max_us, NULL));
    cr_assert(!any);
    ehi_log_close(log);
    store_dir_remove(dir);
}
