/*
 * What processes and machines do to a store: clocks that go back, readers that are killed, writers
 * that are stopped, limits that are reached. tests/environment.sh has what needs file systems.
 */
#include "log/log.h"
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

TestSuite(environment, .init = set_up, .fini = tear_down);

static void create_deployment(ecshist_store *store, unsigned number)
{
    store_must_append(store,
                      "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                          "d%u") "," TO_REVISION("r1") "}",
                      1000 + number, number);
}

static void check_whole(ecshist_store *store, uint64_t count)
{
    cr_assert_eq(hold_count(store), count);
    char *before = hold_all(store);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    char *after = hold_all(store);
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
}

static struct ecshist_stat stat_of(ecshist_store *store)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_stat(store, &stat, &error), "stat", &error);
    return stat;
}

/* -- the clock --------------------------------------------------------------------------------- */

#define YEAR_US (INT64_C(365) * 86400 * 1000000)

static int64_t read_clock(void *context)
{
    return *(int64_t *)context;
}

static ecshist_store *open_with_clock(int64_t *now)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = NULL;
    options.flags = ECSHIST_OPEN_CREATE;
    options.map_bytes = 32u << 20;
    options.segment_bytes = ECSHIST_MIN_SEGMENT_BYTES;
    options.now_us = read_clock;
    options.now_context = now;
    store_must(ecshist_open(path, &options, &store, &error), path, &error);
    return store;
}

static void check_recorded(ecshist_store *store, const int64_t *times, size_t count)
{
    ecshist_cursor *cursor = NULL;
    cr_assert_eq(ecshist_cursor_open(store, 1, &cursor, NULL), ECSHIST_OK);
    for (size_t i = 0; i < count; i++) {
        const ecshist_event *event;
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        cr_assert_eq(ecshist_cursor_next(cursor, &event, NULL), ECSHIST_OK);
        ecshist_event_info(event, &info);
        cr_assert_eq(info.recorded_at_us, times[i]);
        cr_assert_eq(info.seq, i + 1);
    }
    ecshist_cursor_close(cursor);
}

/* recordedAt is what the clock said; the order is that of seq, whatever the clock does. */
Test(environment, a_clock_that_goes_back_a_year)
{
    int64_t now = INT64_C(1800000000000000);
    const int64_t times[] = {now, now - YEAR_US, now - YEAR_US, now, 0};
    ecshist_store *store = open_with_clock(&now);
    for (unsigned i = 0; i < 5; i++) {
        now = times[i];
        create_deployment(store, i);
        if (i == 1) { /* and in between the process is started anew */
            ecshist_close(store);
            store = open_with_clock(&now);
        }
    }
    check_recorded(store, times, 5);
    check_whole(store, 5);
    check_recorded(store, times, 5);
    struct ecshist_as_of as_of = {.seq = 3};
    char *held = hold_as_of(store, &as_of);
    cr_assert_not_null(strstr(held, "web/d2"));
    free(held);
    ecshist_close(store);
}

/* -- readers ----------------------------------------------------------------------------------- */

/* A process that opens the store, does `what`, says so, and waits to be killed. */
static pid_t start(void (*what)(ecshist_store *store))
{
    int ends[2];
    char byte;
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *store = store_dir_open(path);
        what(store);
        if (write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    cr_assert_gt(child, 0);
    close(ends[1]);
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return child;
}

static void end(pid_t child, int number)
{
    int status;
    cr_assert_eq(kill(child, number), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
}

static void take_snapshot(ecshist_store *store)
{
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(store, &snapshot, NULL), "snapshot", NULL);
}

/* `count` appends that each change one deployment; how much the index grew by them. */
static uint64_t growth(ecshist_store *store, unsigned from, unsigned count)
{
    uint64_t before = stat_of(store).index_bytes;
    for (unsigned i = from; i < from + count; i++) {
        store_must_append(
            store,
            "{\"type\":\"tasks-updated\",\"time\":%u," OF_DEPLOYMENT(
                "d0") ",\"serviceRevisions\":[{\"arn\":\"" TEST_REVISION_ARN("r1") "\","
                                                                                   "\"runningTaskCo"
                                                                                   "unt\":%u}]}",
            2000 + i, i);
        (void)stat_of(store); /* each is put into the index by itself */
    }
    return stat_of(store).index_bytes - before;
}

enum { SOME = 400, ONE_MEGABYTE = 1 << 20 };

/*
 * What a snapshot shows is not given free. That of a process that was killed ends when its slot is
 * found, by a writer that is at work all along too.
 */
Test(environment, a_reader_that_was_killed)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 0);
    uint64_t usual = growth(store, 0, SOME);
    pid_t child = start(take_snapshot);
    cr_assert_eq(stat_of(store).reader_count, 1);
    uint64_t held = growth(store, SOME, SOME);
    cr_assert_gt(held, usual + ONE_MEGABYTE, "%llu, %llu", (unsigned long long)held,
                 (unsigned long long)usual);
    cr_assert_eq(stat_of(store).reader_count, 1, "a reader that stays is seen");
    end(child, SIGKILL);
    uint64_t found = growth(store, 2 * SOME, SOME);
    uint64_t then = growth(store, 3 * SOME, 2 * SOME);
    cr_assert_lt(found, ONE_MEGABYTE, "%llu", (unsigned long long)found);
    cr_assert_lt(then, ONE_MEGABYTE, "%llu", (unsigned long long)then);
    cr_assert_eq(stat_of(store).reader_count, 0);
    check_whole(store, 5 * SOME + 1);
    ecshist_close(store);
}

/* -- writers ----------------------------------------------------------------------------------- */

#ifdef ECSHIST_TEST_HOOKS

static void stop_here(void)
{
    (void)raise(SIGSTOP);
}

/* A process that is stopped in the middle of an append, with every lock. */
static pid_t start_stopped(unsigned number)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *store = store_dir_open(path);
        ehi_log_test_after_flush = stop_here;
        create_deployment(store, number);
        ecshist_close(store);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
    cr_assert(WIFSTOPPED(status));
    return child;
}

/* Another one that appends at once. Its end of the pipe closes with it. */
static pid_t start_appending(unsigned number, int *done)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *store = store_dir_open(path);
        create_deployment(store, number);
        ecshist_close(store);
        _exit(0);
    }
    close(ends[1]);
    *done = ends[0];
    return child;
}

static bool ends_within(int done, int milliseconds)
{
    struct pollfd wait = {done, POLLIN, 0};
    return poll(&wait, 1, milliseconds) == 1;
}

static int status_of(pid_t child)
{
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

enum { A_WHILE_MS = 300, LONG_MS = 20000 };

static void others_wait_for_a_stopped_writer(int signal_number)
{
    int done;
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 0);
    pid_t stopped = start_stopped(1);
    pid_t waiting = start_appending(2, &done);
    cr_assert_not(ends_within(done, A_WHILE_MS), "an append did not wait");
    /* Who reads does not: what is not acknowledged is not shown. */
    cr_assert_eq(hold_count(store), 1);
    cr_assert_eq(stat_of(store).last_seq, 1);
    cr_assert_eq(kill(stopped, signal_number), 0);
    cr_assert(ends_within(done, LONG_MS), "an append waits for ever");
    close(done);
    cr_assert_eq(status_of(waiting), 0);
    int status = status_of(stopped);
    cr_assert(signal_number == SIGKILL ? WIFSIGNALED(status) : status == 0);
    create_deployment(store, 3);
    check_whole(store, 4);
    ecshist_close(store);
}

Test(environment, a_writer_stopped_for_a_while)
{
    others_wait_for_a_stopped_writer(SIGCONT);
}

Test(environment, a_writer_stopped_and_killed)
{
    others_wait_for_a_stopped_writer(SIGKILL);
}

#endif

/* -- limits of a process ----------------------------------------------------------------------- */

static rlim_t set_limit(int which, rlim_t value)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(which, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = value;
    cr_assert_eq(setrlimit(which, &limit), 0);
    return before;
}

/* Descriptors that are open now, if they have no holes. */
static rlim_t next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    cr_assert_geq(fd, 0);
    close(fd);
    return (rlim_t)fd;
}

static bool names_the_limit(const struct ecshist_error *error)
{
    return strstr(error->message, strerror(EMFILE)) != NULL;
}

/* So many descriptors, and one more, and one more: until it opens. */
Test(environment, descriptors_run_out_at_open)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 0);
    ecshist_close(store);
    rlim_t first = next_descriptor(), more = 0;
    int rc = ECSHIST_IO;
    for (; rc != ECSHIST_OK; more++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        rlim_t before = set_limit(RLIMIT_NOFILE, first + more);
        store = NULL;
        rc = ecshist_open(path, NULL, &store, &error);
        (void)set_limit(RLIMIT_NOFILE, before);
        cr_assert(rc == ECSHIST_OK || rc == ECSHIST_IO || rc == ECSHIST_INDEX, "%s: %s",
                  ecshist_code_name(rc), error.message);
        cr_assert(rc == ECSHIST_OK || names_the_limit(&error), "%s", error.message);
        cr_assert_eq(rc == ECSHIST_OK, store != NULL);
        cr_assert(rc == ECSHIST_OK || next_descriptor() == first, "a descriptor is left");
        cr_assert_lt(more, 30);
    }
    cr_assert_gt(more, 3);
    create_deployment(store, 1);
    check_whole(store, 2);
    ecshist_close(store);
}

/* A handle that is open: what it cannot do for want of descriptors it does afterwards. */
Test(environment, descriptors_run_out_while_open)
{
    unsigned count = 0, failures = 0;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = store_dir_open(path);
    rlim_t first = next_descriptor();
    for (; stat_of(store).segment_count < 3; count++) {
        rlim_t before = set_limit(RLIMIT_NOFILE, first);
        int rc = store_append(store, 0, NULL,
                              "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                  "d%u") "," TO_REVISION("r1") ",\"padding\":\"%05000u\"}",
                              1000 + count, count, count);
        (void)set_limit(RLIMIT_NOFILE, before);
        cr_assert(rc == ECSHIST_OK || rc == ECSHIST_IO, "%s", ecshist_code_name(rc));
        if (rc == ECSHIST_OK)
            continue;
        failures++;
        store_must_append(store,
                          "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                              "d%u") "," TO_REVISION("r1") ",\"padding\":\"%05000u\"}",
                          1000 + count, count, count);
    }
    cr_assert_gt(failures, 0);
    set_limit(RLIMIT_NOFILE, next_descriptor());
    int rc = ecshist_rebuild_index(store, NULL, NULL, &error);
    cr_assert(rc == ECSHIST_INDEX || rc == ECSHIST_IO, "%s", ecshist_code_name(rc));
    cr_assert(names_the_limit(&error), "%s", error.message);
    set_limit(RLIMIT_NOFILE, 256);
    check_whole(store, count);
    ecshist_close(store);
}

#if !defined(__SANITIZE_ADDRESS__) /* its shadow is address space too */

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Of 64 MiB a map of the index of 1 GiB cannot be had; one of 8 MiB, and the log's, can. */
Test(environment, address_space_runs_out)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 0);
    ecshist_close(store);
    rlim_t before = set_limit(RLIMIT_AS, address_space() + (64u << 20));
    options.map_bytes = 1u << 30;
    store = NULL;
    cr_assert_eq(ecshist_open(path, &options, &store, &error), ECSHIST_NO_MEMORY, "%s",
                 error.message);
    cr_assert_null(store);
    options.map_bytes = 8u << 20;
    options.segment_bytes = ECSHIST_MIN_SEGMENT_BYTES;
    cr_assert_eq(ecshist_open(path, &options, &store, &error), ECSHIST_OK, "%s", error.message);
    create_deployment(store, 1);
    ecshist_close(store);
    (void)set_limit(RLIMIT_AS, address_space() + (4u << 20)); /* not even the log's */
    cr_assert_eq(ecshist_open(path, &options, &store, &error), ECSHIST_NO_MEMORY, "%s",
                 error.message);
    (void)set_limit(RLIMIT_AS, before);
    store = store_dir_open(path);
    check_whole(store, 2);
    ecshist_close(store);
}

#endif
