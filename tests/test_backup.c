/* Backups: of what moment they are, while others write; what is left where there is none. */
#include "support/hold.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *dir, *path, *copy;
static ecshist_store *store;

static void set_up(void)
{
    dir = store_dir_new();
    path = store_dir_path(dir, "store");
    copy = store_dir_path(dir, "copy");
    store = store_dir_open(path);
}

static void tear_down(void)
{
    ecshist_close(store);
    free(path);
    free(copy);
    store_dir_remove(dir);
}

TestSuite(backup, .init = set_up, .fini = tear_down);

/* Any stream will do; what is refused is not there. */
static void append_random(ecshist_store *to, struct random_events *random, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        json_t *event = random_events_next(random);
        char *text = json_dumps(event, 0);
        (void)!ecshist_append_json(to, text, strlen(text), NULL, NULL, NULL);
        free(text);
        json_decref(event);
    }
}

static void fill(uint64_t seed, unsigned count)
{
    struct random_events random;
    random_events_start(&random, seed);
    append_random(store, &random, count);
    random_events_end(&random);
}

static struct ecshist_backup_result back_up(const char *to)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_backup_result result = ECSHIST_BACKUP_RESULT_INIT;
    store_must(ecshist_backup(store, to, NULL, &result, &error), "backup", &error);
    return result;
}

static unsigned count_names(const char *pattern)
{
    glob_t found;
    char *all = store_dir_path(dir, pattern);
    unsigned count = glob(all, GLOB_PERIOD, NULL, &found) == 0 ? (unsigned)found.gl_pathc : 0;
    if (count > 0)
        globfree(&found);
    free(all);
    return count;
}

static void expect_nothing_left(void)
{
    cr_assert_eq(count_names("*.backup-*"), 0);
    cr_assert_neq(access(copy, F_OK), 0);
}

static void expect_error(const char *to, int code, const char *text)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_backup_result result = ECSHIST_BACKUP_RESULT_INIT;
    int rc = ecshist_backup(store, to, NULL, &result, &error);
    cr_assert_eq(rc, code, "%s: %s", ecshist_code_name(rc), error.message);
    cr_assert_eq(error.code, code);
    cr_assert(strstr(error.message, text) != NULL, "%s", error.message);
    cr_assert_eq(result.last_seq + result.segments + result.bytes, 0);
    cr_assert_eq(count_names("*.backup-*"), 0);
}

static char *events_of(ecshist_store *from, uint64_t to_seq)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const ecshist_event *event;
    ecshist_cursor *cursor = NULL;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    store_must(ecshist_cursor_open(from, 1, &cursor, &error), "cursor", &error);
    while (ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        char *json = NULL;
        ecshist_event_info(event, &info);
        if (info.seq > to_seq)
            break;
        store_must(ecshist_event_to_json(event, ECSHIST_JSON_WIRE, &json, NULL, &error), "json",
                   &error);
        fprintf(out, "%" PRIu64 " %s\n", info.seq, json);
        ecshist_free(json);
    }
    ecshist_cursor_close(cursor);
    fclose(out);
    return text;
}

/* Without what was not there yet then: the source is asked for it, too. */
static void drop_missing(char *text)
{
    char *out = text, *block = text;
    while (*block != '\0') {
        char *next = strstr(block + 1, "\n== ");
        size_t length = next != NULL ? (size_t)(next + 1 - block) : strlen(block);
        char kept = block[length];
        block[length] = '\0';
        bool missing = strstr(block, "\"MISSING\"") != NULL;
        block[length] = kept;
        if (!missing) {
            memmove(out, block, length);
            out += length;
        }
        block += length;
    }
    *out = '\0';
}

/* The copy is the source up to this event: its events, and all views. */
static bool is_prefix(const char *copy_path, uint64_t seq)
{
    const struct ecshist_as_of then = {seq, false, 0};
    ecshist_store *opened = store_dir_open_with(copy_path, 0);
    char *ours = events_of(store, seq), *theirs = events_of(opened, UINT64_MAX);
    bool same = strcmp(ours, theirs) == 0;
    free(ours);
    free(theirs);
    ours = hold_as_of(store, &then);
    theirs = hold_as_of(opened, &then);
    drop_missing(ours);
    drop_missing(theirs);
    cr_assert(theirs[0] != '\0' || seq == 0);
    same = same && strcmp(ours, theirs) == 0;
    free(ours);
    free(theirs);
    ecshist_close(opened);
    return same;
}

static void expect_valid(const char *store_path)
{
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_verify(store_path, NULL, NULL, NULL, &result, &error), "verify", &error);
    cr_assert_eq(result.finding_count, 0);
}

/* -- what is in it ----------------------------------------------------------------------------- */

Test(backup, holds_all_that_there_is)
{
    fill(1, 6000);
    struct ecshist_backup_result result = back_up(copy);
    cr_assert_gt(result.segments, 1);
    char *ours = hold_all(store);
    ecshist_store *opened = store_dir_open_with(copy, 0);
    char *theirs = hold_all(opened);
    cr_assert_str_eq(ours, theirs);
    cr_assert_eq(hold_count(opened), result.last_seq);
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(opened, &stat, NULL), ECSHIST_OK);
    cr_assert_eq(stat.segment_count, result.segments);
    cr_assert_eq(stat.log_bytes, result.bytes);
    ecshist_close(opened);
    free(ours);
    free(theirs);
    expect_valid(copy);
    cr_assert_eq(count_names("*.backup-*"), 0);
}

/* A comparison that could not fail would prove nothing. */
Test(backup, the_comparison_sees_one_event_more_or_less)
{
    fill(2, 300);
    uint64_t last = back_up(copy).last_seq;
    cr_assert(is_prefix(copy, last));
    cr_assert_not(is_prefix(copy, last - 1));
    store_must_append(store, "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT(
                                 "later") "," TO_REVISION("r1") "}");
    cr_assert_not(is_prefix(copy, last + 1));
}

Test(backup, of_an_empty_store)
{
    struct ecshist_backup_result result = back_up(copy);
    cr_assert_eq(result.last_seq, 0);
    cr_assert_eq(result.segments, 1);
    ecshist_store *opened = store_dir_open_with(copy, 0);
    store_must_append(opened, "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT(
                                  "d1") "," TO_REVISION("r1") "}");
    ecshist_close(opened);
    expect_valid(copy);
}

Test(backup, takes_appends_and_is_backed_up_itself)
{
    fill(3, 500);
    uint64_t last = back_up(copy).last_seq;
    ecshist_close(store);
    store = store_dir_open_with(copy, 0);
    fill(4, 500);
    char *again = store_dir_path(dir, "again");
    cr_assert_gt(back_up(again).last_seq, last);
    expect_valid(copy);
    expect_valid(again);
    free(again);
}

struct appending {
    struct random_events random;
    unsigned calls;
};

static bool append_meanwhile(void *context, uint64_t done, uint64_t total)
{
    struct appending *a = context;
    cr_assert_leq(done, total);
    a->calls++;
    append_random(store, &a->random, 200);
    return true;
}

/* From within: an append that waited for the backup would wait for ever. */
Test(backup, waits_for_nobody_and_ends_where_it_began)
{
    fill(5, 1500);
    struct ecshist_stat before = ECSHIST_STAT_INIT, after = ECSHIST_STAT_INIT;
    struct appending appending = {.calls = 0};
    struct ecshist_backup_options options = ECSHIST_BACKUP_OPTIONS_INIT;
    struct ecshist_backup_result result = ECSHIST_BACKUP_RESULT_INIT;
    random_events_start(&appending.random, 6);
    options.progress = append_meanwhile;
    options.progress_context = &appending;
    cr_assert_eq(ecshist_stat(store, &before, NULL), ECSHIST_OK);
    cr_assert_eq(ecshist_backup(store, copy, &options, &result, NULL), ECSHIST_OK);
    random_events_end(&appending.random);
    cr_assert_eq(ecshist_stat(store, &after, NULL), ECSHIST_OK);
    cr_assert_gt(appending.calls, 3);
    cr_assert_gt(after.segment_count, before.segment_count, "nothing was sealed meanwhile");
    cr_assert_eq(result.last_seq, before.last_seq);
    cr_assert(is_prefix(copy, before.last_seq));
    expect_valid(copy);
}

static void write_until_killed(uint64_t seed)
{
    struct random_events random;
    ecshist_store *own = store_dir_open(path);
    random_events_start(&random, seed);
    for (;;)
        append_random(own, &random, 10);
}

Test(backup, while_two_others_write, .timeout = 120)
{
    const char *many = getenv("BACKUPS");
    unsigned rounds = many != NULL ? (unsigned)atoi(many) : 12;
    pid_t writers[2];
    uint64_t last[64] = {0};
    cr_assert_leq(rounds, 64);
    fill(14, 50);
    for (int i = 0; i < 2; i++) {
        writers[i] = fork();
        if (writers[i] == 0)
            write_until_killed(10 + (uint64_t)i);
    }
    for (unsigned i = 0; i < rounds; i++) {
        char name[32];
        snprintf(name, sizeof(name), "copy-%u", i);
        char *to = store_dir_path(dir, name);
        usleep(50000);
        last[i] = back_up(to).last_seq;
        free(to);
    }
    for (int i = 0; i < 2; i++) {
        kill(writers[i], SIGKILL);
        (void)waitpid(writers[i], NULL, 0);
    }
    cr_assert_gt(last[rounds - 1], last[0], "nobody wrote");
    for (unsigned i = 0; i < rounds; i++) {
        char name[32];
        snprintf(name, sizeof(name), "copy-%u", i);
        char *to = store_dir_path(dir, name);
        cr_assert(is_prefix(to, last[i]), "backup %u", i);
        expect_valid(to);
        free(to);
    }
}

Test(backup, of_a_store_that_was_compacted)
{
    for (unsigned i = 0; i < 1200; i++) {
        store_must_append(store,
                          "{\"type\":\"deployment-started\",\"time\":%u," OF_DEPLOYMENT(
                              "d%u") "," TO_REVISION("r%u") "}",
                          i * 10, i, i % 7);
        store_must_append(
            store, "{\"type\":\"deployment-succeeded\",\"time\":%u," OF_DEPLOYMENT("d%u") "}",
            i * 10 + 5, i);
    }
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    struct ecshist_compact_result result = ECSHIST_COMPACT_RESULT_INIT;
    options.retention_us = 1000000;
    options.has_now = true;
    options.now_us = INT64_C(9000) * 1000000;
    cr_assert_eq(ecshist_compact(store, &options, &result, NULL), ECSHIST_OK);
    cr_assert_gt(result.segments_cleaned, 0);
    (void)back_up(copy);
    char *ours = hold_all(store);
    ecshist_store *opened = store_dir_open_with(copy, 0);
    char *theirs = hold_all(opened);
    cr_assert_str_eq(ours, theirs);
    ecshist_close(opened);
    free(ours);
    free(theirs);
    expect_valid(copy);
}

/* -- where it goes ----------------------------------------------------------------------------- */

static void expect_mode(const char *of, mode_t mode)
{
    struct stat status;
    cr_assert_eq(lstat(of, &status), 0, "%s", of);
    cr_assert_eq(status.st_mode & 07777, mode, "%s is %o", of, (unsigned)status.st_mode & 07777);
}

static void expect_modes(void)
{
    char *log = store_dir_path(copy, "log");
    char *segment = store_dir_newest_segment(copy);
    expect_mode(copy, 0700);
    expect_mode(log, 0700);
    expect_mode(segment, 0600);
    free(log);
    free(segment);
}

static void as_nobody(void)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        abort();
}

/* Not as root, who may do anything: a umask of 0777 takes the owner's own bits. */
static void make_as_nobody(mode_t mask)
{
    pid_t child = fork();
    int status;
    if (child == 0) {
        as_nobody();
        (void)umask(mask);
        ecshist_store *own = store_dir_open(path);
        store_must_append(own, "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT(
                                   "d1") "," TO_REVISION("r1") "}");
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        store_must(ecshist_backup(own, copy, NULL, NULL, &error), "backup", &error);
        ecshist_close(own);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0, "umask %o", (unsigned)mask);
}

Test(backup, is_private_whatever_the_umask)
{
    const mode_t masks[] = {0, 022, 077, 0777};
    cr_assert_eq(chmod(dir, 0777), 0);
    ecshist_close(store);
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        store_dir_unlink(path);
        store_dir_unlink(copy);
        make_as_nobody(masks[i]);
        expect_modes();
    }
    store_dir_unlink(path);
    store = store_dir_open(path);
}

Test(backup, takes_the_place_of_nothing_and_of_an_empty_directory_only)
{
    fill(7, 50);
    char *slashed = store_dir_path(copy, "//");
    cr_assert_eq(mkdir(copy, 0755), 0);
    (void)back_up(slashed);
    expect_modes();
    expect_error(copy, ECSHIST_EXISTS, "exists already");
    expect_error(path, ECSHIST_EXISTS, "exists already");
    store_dir_unlink(copy);
    store_dir_write(copy, 0, "x", 1);
    expect_error(copy, ECSHIST_EXISTS, "exists already");
    store_dir_unlink(copy);
    cr_assert_eq(symlink("nowhere", copy), 0);
    expect_error(copy, ECSHIST_EXISTS, "a link to nothing");
    free(slashed);
}

/* Somebody types a link to where the backups are. */
Test(backup, follows_a_link_that_it_is_given)
{
    char *real = store_dir_path(dir, "real");
    fill(8, 50);
    cr_assert_eq(mkdir(real, 0700), 0);
    cr_assert_eq(symlink("real", copy), 0);
    (void)back_up(copy);
    expect_valid(real);
    free(real);
}

Test(backup, goes_nowhere_within_the_store)
{
    fill(9, 50);
    const char *const inside[] = {"x", "log/x", "index/x", "../store/x", "./x//"};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        char *to = store_dir_path(path, inside[i]);
        expect_error(to, ECSHIST_INVALID, "lies within the store");
        free(to);
    }
    cr_assert_eq(symlink("store/log", copy), 0);
    char *to = store_dir_path(copy, "x");
    expect_error(to, ECSHIST_INVALID, "lies within the store");
    free(to);
    expect_error("", ECSHIST_INVALID, "must be named");
    expect_valid(path);
}

Test(backup, says_what_is_wrong_with_the_place)
{
    char *to = store_dir_path(dir, "none/there");
    expect_error(to, ECSHIST_IO, "none");
    free(to);
    store_dir_write(copy, 0, "x", 1);
    to = store_dir_path(copy, "x");
    expect_error(to, ECSHIST_IO, "Not a directory");
    free(to);
    char name[251];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    to = store_dir_path(dir, name);
    expect_error(to, ECSHIST_IO, "too long");
    free(to);
    cr_assert_eq(ecshist_backup(store, NULL, NULL, NULL, NULL), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_backup(NULL, copy, NULL, NULL, NULL), ECSHIST_MISUSE);
}

Test(backup, needs_permission)
{
    cr_assert_eq(chmod(dir, 0755), 0);
    ecshist_close(store);
    cr_assert_eq(chown(path, 65534, 65534), 0, "tests of other users need root");
    store_dir_unlink(path);
    char *own = store_dir_path(dir, "own");
    cr_assert_eq(mkdir(own, 0700), 0);
    cr_assert_eq(chown(own, 65534, 65534), 0);
    free(path);
    path = store_dir_path(own, "store");
    pid_t child = fork();
    int status;
    if (child == 0) {
        as_nobody();
        store = store_dir_open(path);
        expect_error(copy, ECSHIST_IO, "Permission denied");
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    store_dir_unlink(path);
    store = store_dir_open(path);
    free(own);
}

/* -- where there is none ----------------------------------------------------------------------- */

static void flip(const char *file, size_t offset)
{
    size_t length;
    unsigned char *bytes = store_dir_read(file, &length);
    cr_assert_lt(offset, length);
    unsigned char byte = bytes[offset] ^ 0x10;
    store_dir_write(file, offset, &byte, 1);
    free(bytes);
}

Test(backup, a_damaged_segment_is_not_backed_up)
{
    fill(11, 3000);
    char *oldest = store_dir_oldest_segment(path), *newest = store_dir_newest_segment(path);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    flip(oldest, 200);
    cr_assert_eq(ecshist_backup(store, copy, NULL, NULL, &error), ECSHIST_DAMAGED);
    cr_assert_str_eq(error.place, "00000000000000000001.seg:64");
    cr_assert_str_eq(error.message,
                     "L3: the checksum of the frame is wrong; a valid one, from event 2, "
                     "follows at offset 408");
    cr_assert_eq(error.seq, 1);
    expect_nothing_left();
    flip(oldest, 200);
    (void)back_up(copy);
    store_dir_unlink(copy);
    flip(newest, 100);
    expect_error(copy, ECSHIST_DAMAGED, "L3");
    flip(newest, 100);
    free(oldest);
    free(newest);
}

/* Such a frame looks as one that a power cut tore: verify alone would let it pass. */
Test(backup, the_last_frame_is_there_or_there_is_no_backup)
{
    store_must_append(store, "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT(
                                 "d1") "," TO_REVISION("r1") "}");
    char *newest = store_dir_newest_segment(path);
    flip(newest, 150);
    expect_error(copy, ECSHIST_DAMAGED, "is not whole");
    expect_nothing_left();
    flip(newest, 150);
    (void)back_up(copy);
    free(newest);
}

static bool stop_at(void *context, uint64_t done, uint64_t total)
{
    unsigned *left = context;
    (void)done;
    (void)total;
    return (*left)-- != 0;
}

Test(backup, stopped_at_every_step_leaves_nothing)
{
    fill(12, 2000);
    struct ecshist_backup_options options = ECSHIST_BACKUP_OPTIONS_INIT;
    unsigned steps = 0;
    int rc = ECSHIST_END;
    for (; rc == ECSHIST_END; steps++) {
        unsigned left = steps;
        expect_nothing_left();
        options.progress = stop_at;
        options.progress_context = &left;
        rc = ecshist_backup(store, copy, &options, NULL, NULL);
    }
    cr_assert_eq(rc, ECSHIST_OK);
    cr_assert_gt(steps, 6);
    expect_valid(copy);
}

static bool die_at(void *context, uint64_t done, uint64_t total)
{
    if (!stop_at(context, done, total))
        raise(SIGKILL);
    return true;
}

Test(backup, killed_at_every_step_leaves_only_the_temporary)
{
    fill(13, 1200);
    unsigned killed = 0;
    for (;; killed++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            unsigned left = killed;
            struct ecshist_backup_options options = ECSHIST_BACKUP_OPTIONS_INIT;
            options.progress = die_at;
            options.progress_context = &left;
            ecshist_store *own = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
            _exit(ecshist_backup(own, copy, &options, NULL, NULL));
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            cr_assert_eq(status, 0);
            break;
        }
        cr_assert_neq(access(copy, F_OK), 0);
        cr_assert_eq(count_names("*"), 2 + 1 + 1 + killed, "., .., store, what was left");
        cr_assert_eq(count_names("copy.backup-????????????"), killed + 1);
    }
    cr_assert_gt(killed, 5);
    cr_assert(is_prefix(copy, hold_count(store)));
}

Test(backup, one_at_a_time)
{
    char *file = store_dir_path(path, "upkeep");
    int lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(flock(lock, LOCK_EX), 0);
    expect_error(copy, ECSHIST_BUSY, "under way already");
    expect_nothing_left();
    close(lock);
    (void)back_up(copy);
    free(file);
}
