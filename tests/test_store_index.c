/*
 * The index is never trusted more than the log: whatever happened to it, a store opens and answers
 * right. And what the log itself can suffer: torn tails are cut, damage is told. Through the public
 * API, and the files.
 */
#include "base/bytes.h"
#include "base/hash.h"
#include "support/hold.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *dir, *path;

static void set_up(void)
{
    dir = store_dir_new();
    path = store_dir_path(dir, "store");
}

static void tear_down(void)
{
    free(path);
    store_dir_remove(dir);
}

TestSuite(store_index, .init = set_up, .fini = tear_down);

enum { TOGETHER = 20 };

/* Events of a random stream, some of them refused: several in an append, each for itself. */
static void fill(ecshist_store *store, uint64_t seed, unsigned count)
{
    struct random_events random;
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = ECSHIST_APPEND_LENIENT | ECSHIST_APPEND_EACH;
    random_events_start(&random, seed);
    for (unsigned i = 0; i < count; i += TOGETHER) {
        ecshist_event *events[TOGETHER];
        for (unsigned j = 0; j < TOGETHER; j++) {
            json_t *event = random_events_next(&random);
            char *line = json_dumps(event, 0);
            store_must(ecshist_event_from_json(line, strlen(line), &events[j], NULL), line, NULL);
            free(line);
            json_decref(event);
        }
        (void)!ecshist_append(store, (const ecshist_event *const *)events, TOGETHER, &options, NULL,
                              NULL);
        for (unsigned j = 0; j < TOGETHER; j++)
            ecshist_event_free(events[j]);
    }
    random_events_end(&random);
}

static void create_deployment(ecshist_store *store, unsigned number)
{
    store_must_append(store,
                      "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                          "d%u") "," TO_REVISION("r1") "}",
                      1000 + number, number);
}

/* Makes a store of several segments; all it holds. */
static char *make_store(void)
{
    ecshist_store *store = store_dir_open(path);
    fill(store, 7, 1200);
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_gt(stat.segment_count, 3);
    char *all = hold_all(store);
    ecshist_close(store);
    return all;
}

/* The store opens, holds what it held, and takes more. */
static void must_hold(char *before)
{
    ecshist_store *store = store_dir_open(path);
    char *now = hold_all(store);
    cr_assert_str_eq(now, before);
    create_deployment(store, 99999);
    cr_assert_eq(
        store_append(store, 0, NULL,
                     "{\"type\":\"deployment-started\",\"time\":3000," OF_DEPLOYMENT("d99999") "}"),
        ECSHIST_OK);
    ecshist_close(store);
    free(now);
    free(before);
}

static int open_code(unsigned flags, struct ecshist_error *error)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    options.flags = flags;
    options.map_bytes = 8u << 20;
    ecshist_store *store = NULL;
    int rc = ecshist_open(path, &options, &store, error);
    ecshist_close(store);
    return rc;
}

static char *file_of(const char *name)
{
    return store_dir_path(path, name);
}

static void remove_file(const char *name)
{
    char *file = file_of(name);
    store_dir_unlink(file);
    free(file);
}

static uint64_t inode_of(const char *name)
{
    char *file = file_of(name);
    struct stat status;
    int rc = stat(file, &status);
    free(file);
    return rc == 0 ? status.st_ino : 0;
}

/* -- an index that is not there, or not this one ----------------------------------------------- */

Test(store_index, is_used_again_when_nothing_happened)
{
    char *before = make_store();
    uint64_t inode = inode_of("index/data.mdb");
    must_hold(before);
    cr_assert_eq(inode_of("index/data.mdb"), inode);
}

Test(store_index, directory_removed)
{
    char *before = make_store();
    remove_file("index");
    must_hold(before);
}

Test(store_index, directory_removed_and_opened_read_only)
{
    char *before = make_store();
    remove_file("index");
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    char *now = hold_all(store);
    cr_assert_str_eq(now, before);
    ecshist_close(store);
    free(now);
    must_hold(before);
}

Test(store_index, mark_removed)
{
    char *before = make_store();
    uint64_t inode = inode_of("index/data.mdb");
    remove_file("index/mark");
    must_hold(before);
    cr_assert_neq(inode_of("index/data.mdb"), inode, "it was rebuilt");
}

Test(store_index, mark_not_whole)
{
    char *before = make_store();
    char *mark = file_of("index/mark");
    for (size_t at = 0; at < 64; at += 9) {
        size_t length;
        unsigned char *bytes = store_dir_read(mark, &length);
        cr_assert_eq(length, 64);
        bytes[at] ^= 0x10;
        store_dir_write(mark, 0, bytes, length);
        free(bytes);
        uint64_t inode = inode_of("index/data.mdb");
        ecshist_store *store = store_dir_open(path);
        char *now = hold_all(store);
        cr_assert_str_eq(now, before);
        cr_assert_neq(inode_of("index/data.mdb"), inode);
        ecshist_close(store);
        free(now);
    }
    cr_assert_eq(truncate(mark, 10), 0);
    free(mark);
    must_hold(before);
}

/*
 * As it stands after a power cut: in use, and the machine booted since. The offsets are those of
 * fold/mark.c.
 */
static void forge_mark(bool clean, uint8_t boot_byte)
{
    enum { CLEAN_AT = 12, BOOT_AT = 32, CHECKSUM_AT = 56 };
    char *mark = file_of("index/mark");
    size_t length;
    unsigned char *bytes = store_dir_read(mark, &length);
    cr_assert_eq(length, 64);
    ehi_put_le32(bytes + CLEAN_AT, clean);
    bytes[BOOT_AT] = (uint8_t)(bytes[BOOT_AT] ^ boot_byte);
    ehi_put_le64(bytes + CHECKSUM_AT, ehi_hash64(bytes, CHECKSUM_AT, 0));
    store_dir_write(mark, 0, bytes, length);
    free(bytes);
    free(mark);
}

Test(store_index, in_use_before_this_boot)
{
    char *before = make_store();
    uint64_t inode = inode_of("index/data.mdb");
    forge_mark(false, 1);
    must_hold(before);
    cr_assert_neq(inode_of("index/data.mdb"), inode, "it was rebuilt");
}

Test(store_index, in_use_since_this_boot)
{
    char *before = make_store();
    uint64_t inode = inode_of("index/data.mdb");
    forge_mark(false, 0);
    must_hold(before);
    cr_assert_eq(inode_of("index/data.mdb"), inode,
                 "it was trusted: a process was killed, no more");
}

Test(store_index, clean_before_this_boot)
{
    char *before = make_store();
    uint64_t inode = inode_of("index/data.mdb");
    forge_mark(true, 1);
    must_hold(before);
    cr_assert_eq(inode_of("index/data.mdb"), inode);
}

static bool marked_clean(void)
{
    char *mark = file_of("index/mark");
    size_t length;
    unsigned char *bytes = store_dir_read(mark, &length);
    bool clean = ehi_get_le32(bytes + 12) == 1;
    free(bytes);
    free(mark);
    return clean;
}

/* Before the first write, and until the last one is out. */
Test(store_index, says_that_it_is_in_use)
{
    ecshist_store *store = store_dir_open(path);
    cr_assert_not(marked_clean());
    ecshist_close(store);
    cr_assert(marked_clean());
    store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    cr_assert(marked_clean(), "a reader writes nothing");
    ecshist_store *writer = store_dir_open(path);
    cr_assert_not(marked_clean());
    ecshist_close(writer);
    ecshist_close(store);
    cr_assert(marked_clean());
    store = store_dir_open(path);
    cr_assert_not(marked_clean());
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    cr_assert_not(marked_clean());
    ecshist_close(store);
    cr_assert(marked_clean());
}

/* A copy of a store in use: the index's file is another one, and may be torn. */
Test(store_index, copied_while_in_use)
{
    ecshist_store *store = store_dir_open(path);
    fill(store, 9, 300);
    char *before = hold_all(store);
    char *copy = store_dir_path(dir, "copy");
    store_dir_copy(path, copy);
    create_deployment(store, 77);
    ecshist_close(store);
    free(path);
    path = copy;
    uint64_t inode = inode_of("index/data.mdb");
    must_hold(before);
    cr_assert_neq(inode_of("index/data.mdb"), inode, "it was rebuilt");
}

Test(store_index, data_of_another_store)
{
    char *before = make_store();
    char *other = store_dir_path(dir, "other");
    ecshist_store *store = store_dir_open(other);
    fill(store, 8, 1600); /* more than the store that gets it has */
    ecshist_close(store);
    char *from = store_dir_path(other, "index/data.mdb"), *to = file_of("index/data.mdb");
    store_dir_copy(from, to);
    must_hold(before);
    free(from);
    free(to);
    free(other);
}

Test(store_index, whole_index_of_another_store)
{
    char *before = make_store();
    char *other = store_dir_path(dir, "other");
    ecshist_close(store_dir_open(other));
    char *from = store_dir_path(other, "index"), *to = file_of("index");
    store_dir_copy(from, to);
    must_hold(before);
    free(from);
    free(to);
    free(other);
}

Test(store_index, data_that_is_no_database)
{
    char *before = make_store();
    char *data = file_of("index/data.mdb");
    unsigned char noise[8192];
    memset(noise, 0x5a, sizeof(noise));
    store_dir_write(data, 0, noise, sizeof(noise));
    free(data);
    must_hold(before);
}

Test(store_index, data_emptied_or_cut)
{
    char *before = make_store();
    char *data = file_of("index/data.mdb");
    size_t length;
    free(store_dir_read(data, &length));
    const size_t lengths[] = {length / 2 / 4096 * 4096, 8192, 4096, 100, 0};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        cr_assert_eq(truncate(data, (off_t)lengths[i]), 0);
        ecshist_store *store = store_dir_open(path);
        char *now = hold_all(store);
        cr_assert_str_eq(now, before, "cut to %zu bytes", lengths[i]);
        ecshist_close(store);
        free(now);
    }
    free(data);
    must_hold(before);
}

Test(store_index, lock_file_removed)
{
    char *before = make_store();
    remove_file("index/lock.mdb");
    must_hold(before);
}

Test(store_index, an_older_copy_catches_up)
{
    ecshist_store *store = store_dir_open(path);
    fill(store, 11, 200);
    ecshist_close(store);
    char *index = file_of("index"), *old = store_dir_path(dir, "old");
    store_dir_copy(index, old);
    store = store_dir_open(path);
    fill(store, 12, 400);
    char *before = hold_all(store);
    ecshist_close(store);
    store_dir_unlink(index);
    store_dir_copy(old, index);
    must_hold(before);
    free(index);
    free(old);
}

Test(store_index, what_an_interrupted_rebuild_left)
{
    char *before = make_store();
    char *index = file_of("index"), *left = file_of("index.new");
    store_dir_copy(index, left);
    remove_file("index/mark");
    must_hold(before);
    cr_assert_eq(access(left, F_OK), -1);
    free(index);
    free(left);
}

/* Two stores with the same beginning and other ends: the index of one, the log of the other. */
Test(store_index, position_that_the_log_does_not_confirm)
{
    ecshist_store *store = store_dir_open(path);
    fill(store, 13, 100);
    ecshist_close(store);
    char *twin = store_dir_path(dir, "twin");
    store_dir_copy(path, twin);
    store = store_dir_open(path);
    create_deployment(store, 2);
    ecshist_close(store);
    store = store_dir_open(twin);
    create_deployment(store, 3);
    char *before = hold_all(store);
    ecshist_close(store);
    char *from = store_dir_path(twin, "log"), *to = file_of("log");
    store_dir_copy(from, to);
    must_hold(before);
    free(from);
    free(to);
    free(twin);
}

Test(store_index, log_that_lost_acknowledged_events)
{
    ecshist_store *store = store_dir_open(path);
    fill(store, 13, 100);
    char *before = hold_all(store);
    ecshist_close(store);
    char *log = file_of("log"), *old = store_dir_path(dir, "old");
    store_dir_copy(log, old);
    store = store_dir_open(path);
    create_deployment(store, 2);
    ecshist_close(store);
    store_dir_copy(old, log);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(open_code(0, &error), ECSHIST_DAMAGED);
    cr_assert_not_null(strstr(error.message, "index"), "it says what to do: %s", error.message);
    cr_assert_eq(open_code(ECSHIST_OPEN_READ_ONLY, NULL), ECSHIST_DAMAGED);
    remove_file("index");
    must_hold(before);
    free(log);
    free(old);
}

/* -- rebuilding -------------------------------------------------------------------------------- */

static bool count_progress(void *context, uint64_t done, uint64_t total)
{
    unsigned *calls = context;
    (*calls)++;
    return done <= total;
}

Test(store_index, rebuild_gives_equal_answers)
{
    char *before = make_store();
    ecshist_store *store = store_dir_open(path);
    struct ecshist_as_of half = {300, false, 0};
    char *half_before = hold_as_of(store, &half);
    unsigned calls = 0;
    uint64_t inode = inode_of("index/data.mdb");
    cr_assert_eq(ecshist_rebuild_index(store, count_progress, &calls, NULL), ECSHIST_OK);
    cr_assert_neq(inode_of("index/data.mdb"), inode);
    cr_assert_gt(calls, 0);
    char *after = hold_all(store), *half_after = hold_as_of(store, &half);
    cr_assert_str_eq(after, before);
    cr_assert_str_eq(half_after, half_before);
    ecshist_close(store);
    free(after);
    free(half_before);
    free(half_after);
    must_hold(before);
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total;
    return false;
}

Test(store_index, a_stopped_rebuild_leaves_the_old_index)
{
    char *before = make_store();
    ecshist_store *store = store_dir_open(path);
    uint64_t inode = inode_of("index/data.mdb");
    cr_assert_eq(ecshist_rebuild_index(store, stop_at_once, NULL, NULL), ECSHIST_END);
    cr_assert_eq(inode_of("index/data.mdb"), inode);
    cr_assert_eq(inode_of("index.new"), 0);
    ecshist_close(store);
    must_hold(before);
}

Test(store_index, an_open_that_was_stopped_can_be_done_again)
{
    char *before = make_store();
    remove_file("index");
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    ecshist_store *store = NULL;
    options.map_bytes = 8u << 20;
    options.progress = stop_at_once;
    cr_assert_eq(ecshist_open(path, &options, &store, NULL), ECSHIST_END);
    cr_assert_null(store);
    must_hold(before);
}

Test(store_index, a_snapshot_outlives_a_rebuild)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    ecshist_snapshot *snapshot = NULL;
    cr_assert_eq(ecshist_snapshot_open(store, &snapshot, NULL), ECSHIST_OK);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    create_deployment(store, 2);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    cr_assert_eq(ecshist_snapshot_seq(snapshot), 1);
    const char *arns[2] = {TEST_DEPLOYMENT_ARN("d1"), TEST_DEPLOYMENT_ARN("d2")};
    ecshist_result *result = NULL;
    cr_assert_eq(ecshist_describe_service_deployments(snapshot, arns, 2, NULL, &result, NULL),
                 ECSHIST_OK);
    cr_assert_eq(ecshist_result_count(result), 1);
    cr_assert_eq(ecshist_result_failure_count(result), 1);
    ecshist_result_free(result);
    ecshist_snapshot_close(snapshot);
    cr_assert_eq(hold_count(store), 2);
    ecshist_close(store);
}

/* -- swapped by another process ---------------------------------------------------------------- */

static void in_another_process(void (*work)(ecshist_store *))
{
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *store = store_dir_open(path);
        work(store);
        ecshist_close(store);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void rebuild(ecshist_store *store)
{
    store_must(ecshist_rebuild_index(store, NULL, NULL, NULL), "rebuilding", NULL);
}

static void rebuild_and_append(ecshist_store *store)
{
    rebuild(store);
    create_deployment(store, 500);
}

Test(store_index, a_handle_moves_over_to_a_swapped_index)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    in_another_process(rebuild);
    create_deployment(store, 2);
    cr_assert_eq(hold_count(store), 2);
    in_another_process(rebuild_and_append);
    cr_assert_eq(hold_count(store), 3, "also a reading one");
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d500")), 1);
    in_another_process(rebuild);
    rebuild(store);
    create_deployment(store, 3);
    char *before = hold_all(store);
    ecshist_close(store);
    must_hold(before);
}

static void append_one(ecshist_store *store)
{
    create_deployment(store, 600);
}

Test(store_index, is_clean_when_the_last_process_is_out)
{
    ecshist_close(store_dir_open(path));
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    in_another_process(append_one);
    cr_assert_not(marked_clean(), "not the last one");
    cr_assert_eq(hold_count(store), 1);
    ecshist_close(store);
    cr_assert(marked_clean());
}

static void append_over_segments(ecshist_store *store)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    uint64_t until = stat.segment_count + 2;
    while (stat.segment_count < until) {
        store_must_append(store,
                          "{\"type\":\"deployment-created\",\"time\":1," OF_DEPLOYMENT(
                              "s%u") "," TO_REVISION("r1") ",\"padding\":\"%08000u\"}",
                          (unsigned)stat.last_seq, 0u);
        cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    }
}

/* A handle follows into segments that it did not begin: appending, reading, by cursor. */
Test(store_index, segments_begun_by_others)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    in_another_process(append_over_segments);
    create_deployment(store, 2);
    in_another_process(append_over_segments);
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d2")), 1);
    in_another_process(append_over_segments);
    uint64_t count = hold_count(store);
    append_over_segments(store);
    cr_assert_gt(hold_count(store), count);
    char *before = hold_all(store);
    rebuild(store);
    char *after = hold_all(store);
    cr_assert_str_eq(after, before);
    ecshist_close(store);
    free(before);
    free(after);
}

Test(store_index, a_snapshot_outlives_a_swap_by_others)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    ecshist_snapshot *snapshot = NULL;
    cr_assert_eq(ecshist_snapshot_open(store, &snapshot, NULL), ECSHIST_OK);
    in_another_process(rebuild_and_append);
    create_deployment(store, 2);
    cr_assert_eq(ecshist_snapshot_seq(snapshot), 1);
    const char *arn = TEST_DEPLOYMENT_ARN("d500");
    ecshist_result *result = NULL;
    cr_assert_eq(ecshist_describe_service_deployments(snapshot, &arn, 1, NULL, &result, NULL),
                 ECSHIST_OK);
    cr_assert_eq(ecshist_result_count(result), 0);
    ecshist_result_free(result);
    ecshist_snapshot_close(snapshot);
    cr_assert_eq(hold_count(store), 3);
    ecshist_close(store);
}

Test(store_index, processes_append_while_others_rebuild)
{
    enum { CHILDREN = 3, EVENTS = 60 };
    ecshist_close(store_dir_open(path));
    pid_t children[CHILDREN];
    for (unsigned i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            ecshist_store *store = store_dir_open(path);
            for (unsigned j = 0; j < EVENTS; j++) {
                create_deployment(store, i * EVENTS + j);
                if (j % 10 == i)
                    rebuild(store);
                if (j % 10 == 5)
                    (void)hold_count(store);
            }
            ecshist_close(store);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        int status;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    ecshist_store *store = store_dir_open(path);
    cr_assert_eq(hold_count(store), CHILDREN * EVENTS);
    char *before = hold_all(store);
    rebuild(store);
    char *after = hold_all(store);
    cr_assert_str_eq(after, before);
    ecshist_close(store);
    free(before);
    free(after);
}

Test(store_index, removed_under_an_open_handle)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    char *before = hold_all(store);
    remove_file("index");
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_neq(ecshist_stat(store, &stat, &error), ECSHIST_OK);
    cr_assert_str_not_empty(error.message);
    cr_assert_neq(
        store_append(store, 0, NULL,
                     "{\"type\":\"deployment-started\",\"time\":3," OF_DEPLOYMENT("d1") "}"),
        ECSHIST_OK);
    ecshist_close(store);
    must_hold(before);
}

/* -- the log's tail, and damage ---------------------------------------------------------------- */

static uint64_t used_bytes_of_newest(void)
{
    ecshist_store *store = store_dir_open(path);
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event;
    struct ecshist_frame_info info = ECSHIST_FRAME_INFO_INIT;
    cr_assert_eq(ecshist_cursor_open(store, 1, &cursor, NULL), ECSHIST_OK);
    while (ecshist_cursor_next(cursor, &event, NULL) == ECSHIST_OK)
        ecshist_cursor_frame_info(cursor, &info);
    ecshist_cursor_close(cursor);
    ecshist_close(store);
    return info.frame_offset + info.frame_length;
}

Test(store_index, a_torn_tail_is_cut)
{
    for (unsigned length = 1; length < 400; length += 57) {
        char *before = make_store();
        uint64_t used = used_bytes_of_newest();
        unsigned char garbage[400];
        for (unsigned i = 0; i < length; i++)
            garbage[i] = (unsigned char)(i * 31 + length);
        char *segment = store_dir_newest_segment(path);
        store_dir_write(segment, used, garbage, length);
        if (length % 2 == 0)
            remove_file("index");
        must_hold(before);
        size_t bytes;
        unsigned char *log = store_dir_read(segment, &bytes);
        cr_assert_null(memmem(log, bytes, garbage, length < 16 ? 16 : length),
                       "the garbage is gone");
        free(log);
        free(segment);
        store_dir_unlink(path);
    }
}

/* Half of a real frame: what a process leaves that dies within its write. */
Test(store_index, half_a_frame_is_cut)
{
    ecshist_store *store = store_dir_open(path);
    fill(store, 5, 60);
    char *before = hold_all(store);
    ecshist_close(store);
    uint64_t used = used_bytes_of_newest();
    char *whole = store_dir_path(dir, "whole");
    store_dir_copy(path, whole);
    store = store_dir_open(whole);
    create_deployment(store, 9);
    ecshist_close(store);
    char *from = store_dir_newest_segment(whole), *to = store_dir_newest_segment(path);
    size_t length;
    unsigned char *bytes = store_dir_read(from, &length);
    store_dir_write(to, used, bytes + used, 100);
    must_hold(before);
    free(bytes);
    free(from);
    free(to);
    free(whole);
}

Test(store_index, a_torn_tail_under_an_open_handle)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    ecshist_close(store);
    uint64_t used = used_bytes_of_newest();
    store = store_dir_open(path);
    char *segment = store_dir_newest_segment(path);
    store_dir_write(segment, used, "somebody died here, in the middle of a word", 43);
    cr_assert_eq(hold_count(store), 1, "a reader does not mind");
    create_deployment(store, 2);
    create_deployment(store, 3);
    char *before = hold_all(store);
    cr_assert_eq(hold_count(store), 3);
    ecshist_close(store);
    free(segment);
    must_hold(before);
}

/* Flips a bit in the middle of the oldest segment. */
static void damage_oldest(void)
{
    char *segment = store_dir_oldest_segment(path);
    size_t length;
    unsigned char *bytes = store_dir_read(segment, &length);
    bytes[length / 2] ^= 4;
    store_dir_write(segment, 0, bytes, length);
    free(bytes);
    free(segment);
}

Test(store_index, damage_is_told_where_it_is)
{
    free(make_store());
    damage_oldest();
    ecshist_store *store = store_dir_open(path);
    ecshist_cursor *cursor = NULL;
    cr_assert_eq(ecshist_cursor_open(store, 1, &cursor, NULL), ECSHIST_OK);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const ecshist_event *event;
    uint64_t before = 0;
    int rc;
    while ((rc = ecshist_cursor_next(cursor, &event, &error)) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        cr_assert_eq(info.seq, ++before);
    }
    cr_assert_eq(rc, ECSHIST_DAMAGED);
    cr_assert_gt(before, 10);
    cr_assert_eq(error.seq, before + 1);
    cr_assert_not_null(strstr(error.place, "00000000000000000001.seg"), "%s", error.place);
    cr_assert_eq(ecshist_cursor_next(cursor, &event, NULL), ECSHIST_DAMAGED, "and stays so");
    ecshist_cursor_close(cursor);
    uint64_t inode = inode_of("index/data.mdb");
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_DAMAGED);
    cr_assert_eq(inode_of("index/data.mdb"), inode, "the old index stands");
    create_deployment(store, 1);
    ecshist_close(store);
}

Test(store_index, a_damaged_log_is_not_rebuilt_from)
{
    free(make_store());
    damage_oldest();
    remove_file("index");
    char *segment = store_dir_newest_segment(path);
    size_t before, after;
    unsigned char *bytes = store_dir_read(segment, &before);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(open_code(0, &error), ECSHIST_DAMAGED);
    cr_assert_eq(open_code(ECSHIST_OPEN_CREATE, &error), ECSHIST_DAMAGED);
    cr_assert_gt(error.seq, 0);
    unsigned char *again = store_dir_read(segment, &after);
    cr_assert_eq(before, after);
    cr_assert_arr_eq(bytes, again, before, "nothing is changed");
    free(bytes);
    free(again);
    free(segment);
}

Test(store_index, a_missing_segment_is_damage)
{
    free(make_store());
    char *log = file_of("log");
    char *command;
    cr_assert_geq(asprintf(&command, "rm \"$(ls '%s'/*.seg | sed -n 2p)\"", log), 0);
    cr_assert_eq(system(command), 0);
    free(command);
    free(log);
    remove_file("index");
    cr_assert_eq(open_code(0, NULL), ECSHIST_DAMAGED);
}
