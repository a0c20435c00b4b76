/*
 * What runs out: the disk, the index's map, the slots of readers. Whatever it is, what was
 * acknowledged is there, and the store is whole. A limit on the size of files stands in for a full
 * disk. Through the public API.
 */
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

TestSuite(limits, .init = set_up, .fini = tear_down);

static ecshist_store *open_large_segments(uint64_t map_bytes)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    options.flags = ECSHIST_OPEN_CREATE;
    options.segment_bytes = 1u << 20;
    options.map_bytes = map_bytes;
    ecshist_store *store = NULL;
    store_must(ecshist_open(path, &options, &store, &error), path, &error);
    return store;
}

static int create_deployment(ecshist_store *store, unsigned number)
{
    return store_append(store, 0, NULL,
                        "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                            "d%u") "," TO_REVISION("r1") ",\"padding\":\"%0200u\"}",
                        1000 + number, number, number);
}

static void check_whole(ecshist_store *store)
{
    char *before = hold_all(store);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    char *after = hold_all(store);
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
}

/* -- a full disk ------------------------------------------------------------------------------- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        abort();
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        abort();
}

/* Appends from `from` on until it fails: the first number that was not acknowledged, *code why. */
static unsigned append_until_full(ecshist_store *store, unsigned from, int *code)
{
    unsigned number = from;
    *code = create_deployment(store, number);
    while (*code == ECSHIST_OK && number < from + 5000)
        *code = create_deployment(store, ++number);
    return number;
}

/* All before `end` are there; the one at `end` may be. */
static void check_acknowledged(ecshist_store *store, unsigned end)
{
    uint64_t count = hold_count(store);
    cr_assert(count == end || count == end + 1, "%llu events, %u acknowledged",
              (unsigned long long)count, end);
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    for (unsigned number = 0; number < end; number += 1 + end / 20) {
        cr_assert_eq(store_append(store, 0, &result,
                                  "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                      "d%u") "," TO_REVISION("r1") ",\"padding\":\"%0200u\"}",
                                  1000 + number, number, number),
                     ECSHIST_OK);
        cr_assert_eq(result.outcome, ECSHIST_OUTCOME_DUPLICATE);
        cr_assert_eq(result.seq, number + 1);
    }
}

static bool may_fail_with(int code)
{
    return code == ECSHIST_IO || code == ECSHIST_INDEX || code == ECSHIST_FULL ||
           code == ECSHIST_OUTCOME_UNKNOWN;
}

/* Files may grow to so many bytes: the log or the index is the first that cannot. */
static unsigned fill_to(rlim_t bytes, unsigned from)
{
    int code;
    ecshist_store *store = open_large_segments(0);
    limit_files(bytes);
    unsigned end = append_until_full(store, from, &code);
    cr_assert(may_fail_with(code), "%s", ecshist_code_name(code));
    cr_assert_eq(hold_count(store), end, "what was acknowledged can still be read");
    limit_files(RLIM_INFINITY);
    int again = create_deployment(store, end);
    cr_assert_eq(again, code == ECSHIST_OUTCOME_UNKNOWN ? ECSHIST_OUTCOME_UNKNOWN : ECSHIST_OK);
    ecshist_close(store);
    store = open_large_segments(0);
    end += again == ECSHIST_OK;
    check_acknowledged(store, end);
    check_whole(store);
    end = (unsigned)hold_count(store);
    ecshist_close(store);
    return end;
}

Test(limits, a_full_disk)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    unsigned count = 0;
    for (rlim_t bytes = 70000; bytes < 600000; bytes += 50001)
        count = fill_to(bytes, count);
    cr_assert_gt(count, 500);
}

Test(limits, a_disk_that_is_full_at_open)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = open_large_segments(0);
    for (unsigned i = 0; i < 50; i++)
        cr_assert_eq(create_deployment(store, i), ECSHIST_OK);
    ecshist_close(store);
    char *index = store_dir_path(path, "index");
    store_dir_unlink(index);
    free(index);
    store = NULL;
    limit_files(10000);
    int code = ecshist_open(path, NULL, &store, &error);
    limit_files(RLIM_INFINITY);
    cr_assert(may_fail_with(code), "%s: %s", ecshist_code_name(code), error.message);
    cr_assert_null(store);
    store = open_large_segments(0);
    check_acknowledged(store, 50);
    check_whole(store);
    ecshist_close(store);
}

Test(limits, a_disk_that_is_full_at_creation)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    ecshist_store *store = NULL;
    options.flags = ECSHIST_OPEN_CREATE;
    limit_files(1000);
    int code = ecshist_open(path, &options, &store, &error);
    limit_files(RLIM_INFINITY);
    cr_assert_eq(code, ECSHIST_IO, "%s: %s", ecshist_code_name(code), error.message);
    cr_assert_eq(rmdir(dir), 0, "nothing is left behind");
    cr_assert_eq(mkdir(dir, 0700), 0);
}

/* -- the index's map --------------------------------------------------------------------------- */

/* In another process, whose map is larger. */
static void append_in_another(unsigned from, unsigned to)
{
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *store = open_large_segments(256u << 20);
        for (unsigned i = from; i < to; i++)
            store_must(create_deployment(store, i), "append", NULL);
        ecshist_close(store);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What the index must take in one go is more than its map can ever hold. */
Test(limits, a_batch_larger_than_the_map)
{
    enum { COUNT = 9000 };
    ecshist_event **events = calloc(COUNT, sizeof(*events));
    ecshist_store *store = open_large_segments(ECSHIST_MIN_MAP_BYTES);
    for (unsigned i = 0; i < COUNT; i++)
        events[i] = store_event("{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                    "d%u") "," TO_REVISION("r1") ",\"padding\":\"%0200u\"}",
                                1000 + i, i, i);
    int code = ecshist_append(store, (const ecshist_event *const *)events, COUNT, NULL, NULL, NULL);
    cr_assert_eq(code, ECSHIST_OUTCOME_UNKNOWN);
    cr_assert_eq(hold_count(store), 0);
    for (unsigned i = 0; i < COUNT; i++)
        ecshist_event_free(events[i]);
    free(events);
    ecshist_close(store);
    store = open_large_segments(ECSHIST_MIN_MAP_BYTES);
    check_acknowledged(store, COUNT);
    check_whole(store);
    ecshist_close(store);
}

Test(limits, an_index_that_outgrew_the_map_of_this_process)
{
    /* Of 3,000 the index is about as large as the map, by how many of them are put together. */
    enum { COUNT = 7000 };
    ecshist_store *store = open_large_segments(ECSHIST_MIN_MAP_BYTES);
    cr_assert_eq(create_deployment(store, 0), ECSHIST_OK);
    append_in_another(1, COUNT);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, &error), ECSHIST_FULL, "%s", error.message);
    cr_assert_eq(create_deployment(store, COUNT), ECSHIST_FULL);
    ecshist_close(store);
    store = open_large_segments(ECSHIST_MIN_MAP_BYTES);
    check_acknowledged(store, COUNT);
    cr_assert_eq(create_deployment(store, COUNT), ECSHIST_OK);
    check_whole(store);
    ecshist_close(store);
}

/* -- readers ----------------------------------------------------------------------------------- */

Test(limits, more_snapshots_than_slots)
{
    enum { MOST = 2000 };
    ecshist_store *store = store_dir_open(path);
    cr_assert_eq(create_deployment(store, 0), ECSHIST_OK);
    ecshist_snapshot *snapshots[MOST];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    size_t count = 0;
    int code = ECSHIST_OK;
    while (count < MOST && code == ECSHIST_OK) {
        code = ecshist_snapshot_open(store, &snapshots[count], &error);
        count += code == ECSHIST_OK;
    }
    cr_assert_eq(code, ECSHIST_INDEX);
    cr_assert_geq(count, 500);
    cr_assert_eq(create_deployment(store, 1), ECSHIST_OK, "writers do not need one");
    while (count > 0)
        ecshist_snapshot_close(snapshots[--count]);
    cr_assert_eq(hold_count(store), 2);
    ecshist_close(store);
}
