/*
 * Opening and closing: what becomes a store, what is one, handles and processes. Through the public
 * API.
 */
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

TestSuite(store, .init = set_up, .fini = tear_down);

static int open_code(unsigned flags, struct ecshist_error *error)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    options.flags = flags;
    options.map_bytes = 8u << 20;
    ecshist_store *store = NULL;
    int rc = ecshist_open(path, &options, &store, error);
    cr_assert_eq(store != NULL, rc == ECSHIST_OK, "an output is set on success, and only then");
    ecshist_close(store);
    return rc;
}

static void create_deployment(ecshist_store *store, unsigned number)
{
    store_must_append(store,
                      "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                          "d%u") "," TO_REVISION("r1") "}",
                      1000 + number, number);
}

static unsigned mode_of(const char *name)
{
    char *file = store_dir_path(path, name);
    struct stat status;
    cr_assert_eq(stat(file, &status), 0, "%s", file);
    free(file);
    return status.st_mode & 07777;
}

/* -- what becomes a store ---------------------------------------------------------------------- */

Test(store, is_created_whole_and_private)
{
    umask(0);
    ecshist_store *store = store_dir_open(path);
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_eq(stat.last_seq, 0);
    cr_assert_eq(stat.event_count, 0);
    cr_assert_eq(stat.segment_count, 1);
    cr_assert_eq(strlen(stat.store_id), 32);
    cr_assert_eq(mode_of("."), 0700);
    cr_assert_eq(mode_of("log"), 0700);
    cr_assert_eq(mode_of("index"), 0700);
    cr_assert_eq(mode_of("log/00000000000000000001.seg"), 0600);
    cr_assert_eq(mode_of("index/data.mdb"), 0600);
    ecshist_close(store);
    char *left = store_dir_path(dir, "store.new-*");
    cr_assert_neq(access(left, F_OK), 0);
    free(left);
}

Test(store, a_new_store_has_its_own_id)
{
    char *other = store_dir_path(dir, "other");
    ecshist_store *a = store_dir_open(path), *b = store_dir_open(other);
    struct ecshist_stat of_a = ECSHIST_STAT_INIT, of_b = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(a, &of_a, NULL), ECSHIST_OK);
    cr_assert_eq(ecshist_stat(b, &of_b, NULL), ECSHIST_OK);
    cr_assert_str_neq(of_a.store_id, of_b.store_id);
    ecshist_close(a);
    ecshist_close(b);
    free(other);
}

Test(store, without_create_there_must_be_one)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(open_code(0, &error), ECSHIST_NO_STORE);
    cr_assert_eq(error.code, ECSHIST_NO_STORE);
    cr_assert_not_null(strstr(error.message, path));
    cr_assert_eq(open_code(ECSHIST_OPEN_READ_ONLY, NULL), ECSHIST_NO_STORE);
    cr_assert_eq(access(path, F_OK), -1, "nothing was made");
}

Test(store, in_a_directory_that_is_not_there)
{
    free(path);
    path = store_dir_path(dir, "no/such/store");
    cr_assert_eq(open_code(0, NULL), ECSHIST_NO_STORE);
    cr_assert_eq(open_code(ECSHIST_OPEN_CREATE, NULL), ECSHIST_IO);
}

Test(store, an_empty_directory_becomes_one_when_asked)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(open_code(0, NULL), ECSHIST_FORMAT);
    cr_assert_eq(open_code(ECSHIST_OPEN_CREATE | ECSHIST_OPEN_EXCLUSIVE, NULL), ECSHIST_OK);
    cr_assert_eq(open_code(0, NULL), ECSHIST_OK);
}

Test(store, a_path_may_end_in_slashes)
{
    char *plain = path;
    path = store_dir_path(plain, "//");
    cr_assert_eq(open_code(ECSHIST_OPEN_CREATE, NULL), ECSHIST_OK);
    free(path);
    path = plain;
    cr_assert_eq(open_code(0, NULL), ECSHIST_OK);
}

Test(store, what_is_not_a_store_is_left_alone)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    char *file = store_dir_path(path, "letter");
    store_dir_write(file, 0, "dear", 4);
    cr_assert_eq(open_code(0, NULL), ECSHIST_FORMAT);
    cr_assert_eq(open_code(ECSHIST_OPEN_READ_ONLY, NULL), ECSHIST_FORMAT);
    cr_assert_eq(open_code(ECSHIST_OPEN_CREATE, NULL), ECSHIST_FORMAT);
    cr_assert_eq(open_code(ECSHIST_OPEN_CREATE | ECSHIST_OPEN_EXCLUSIVE, NULL), ECSHIST_EXISTS);
    size_t length;
    unsigned char *data = store_dir_read(file, &length);
    cr_assert_eq(length, 4);
    free(data);
    free(file);
}

Test(store, a_file_is_not_a_store)
{
    store_dir_write(path, 0, "text", 4);
    cr_assert_eq(open_code(0, NULL), ECSHIST_NO_STORE);
    cr_assert_neq(open_code(ECSHIST_OPEN_CREATE, NULL), ECSHIST_OK);
    size_t length;
    free(store_dir_read(path, &length));
    cr_assert_eq(length, 4);
}

Test(store, exclusive_wants_to_be_the_first)
{
    const unsigned exclusive = ECSHIST_OPEN_CREATE | ECSHIST_OPEN_EXCLUSIVE;
    cr_assert_eq(open_code(exclusive, NULL), ECSHIST_OK);
    cr_assert_eq(open_code(exclusive, NULL), ECSHIST_EXISTS);
    cr_assert_eq(open_code(ECSHIST_OPEN_CREATE, NULL), ECSHIST_OK);
    cr_assert_eq(open_code(0, NULL), ECSHIST_OK);
}

Test(store, options_are_checked)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    ecshist_store *store = NULL;
    options.flags = 1024;
    cr_assert_eq(ecshist_open(path, &options, &store, NULL), ECSHIST_INVALID);
    options.flags = ECSHIST_OPEN_CREATE;
    options.segment_bytes = ECSHIST_MIN_SEGMENT_BYTES - 1;
    cr_assert_eq(ecshist_open(path, &options, &store, NULL), ECSHIST_LIMIT);
    options.segment_bytes = ECSHIST_MAX_SEGMENT_BYTES + 1;
    cr_assert_eq(ecshist_open(path, &options, &store, NULL), ECSHIST_LIMIT);
    options.segment_bytes = 0;
    options.map_bytes = ECSHIST_MIN_MAP_BYTES - 1;
    cr_assert_eq(ecshist_open(path, &options, &store, NULL), ECSHIST_LIMIT);
    cr_assert_eq(ecshist_open(NULL, NULL, &store, NULL), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_open(path, NULL, NULL, NULL), ECSHIST_MISUSE);
    cr_assert_null(store);
    cr_assert_eq(access(path, F_OK), -1, "nothing was made");
    ecshist_close(NULL);
}

/* -- handles ----------------------------------------------------------------------------------- */

Test(store, opened_again_in_a_process_is_the_same_handle)
{
    ecshist_store *first = store_dir_open(path), *second = store_dir_open(path);
    cr_assert_eq(first, second);
    char *link = store_dir_path(dir, "link");
    cr_assert_eq(symlink(path, link), 0);
    ecshist_store *third = store_dir_open(link);
    cr_assert_eq(first, third, "by what it is, not by how it is called");
    ecshist_close(second);
    ecshist_close(third);
    create_deployment(first, 1);
    cr_assert_eq(hold_count(first), 1);
    ecshist_close(first);
    free(link);
    ecshist_store *again = store_dir_open(path);
    cr_assert_eq(hold_count(again), 1);
    ecshist_close(again);
}

Test(store, read_only_reads)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    ecshist_close(store);
    store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    cr_assert_eq(hold_count(store), 1);
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    cr_assert_eq(
        store_append(store, 0, &result,
                     "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT("d1") "}"),
        ECSHIST_READ_ONLY);
    cr_assert_eq(hold_count(store), 1);
    ecshist_close(store);
}

Test(store, a_writer_opens_beside_a_reader)
{
    ecshist_close(store_dir_open(path));
    ecshist_store *reader = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    ecshist_store *writer = store_dir_open(path);
    create_deployment(writer, 1);
    cr_assert_eq(hold_count(reader), 1);
    ecshist_close(reader);
    create_deployment(writer, 2);
    ecshist_close(writer);
    writer = store_dir_open(path);
    cr_assert_eq(hold_count(writer), 2);
    ecshist_close(writer);
}

Test(store, survives_a_change_of_directory)
{
    cr_assert_eq(chdir(dir), 0);
    ecshist_store *store = store_dir_open("store");
    create_deployment(store, 1);
    cr_assert_eq(chdir("/"), 0);
    create_deployment(store, 2);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    create_deployment(store, 3);
    cr_assert_eq(hold_count(store), 3);
    ecshist_close(store);
}

/* -- processes --------------------------------------------------------------------------------- */

static int wait_for(pid_t child)
{
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What a child has of its parent. */
struct inherited {
    ecshist_store *store;
    ecshist_event *event;
    ecshist_snapshot *snapshot;
    ecshist_cursor *cursor;
};

/* How many calls did not say MISUSE. */
static int not_misuse(const struct inherited *has)
{
    const ecshist_event *events[1] = {has->event}, *event;
    const char *arn = TEST_DEPLOYMENT_ARN("d1");
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    ecshist_snapshot *snapshot = NULL;
    ecshist_cursor *cursor = NULL;
    ecshist_result *result = NULL;
    int bad = 0;
    bad += ecshist_append(has->store, events, 1, NULL, NULL, NULL) != ECSHIST_MISUSE;
    bad += ecshist_append_dry_run(has->store, events, 1, NULL, NULL, NULL) != ECSHIST_MISUSE;
    bad += ecshist_rebuild_index(has->store, NULL, NULL, NULL) != ECSHIST_MISUSE;
    bad += ecshist_stat(has->store, &stat, NULL) != ECSHIST_MISUSE;
    bad += ecshist_snapshot_open(has->store, &snapshot, NULL) != ECSHIST_MISUSE;
    bad += ecshist_cursor_open(has->store, 1, &cursor, NULL) != ECSHIST_MISUSE;
    bad += ecshist_cursor_next(has->cursor, &event, NULL) != ECSHIST_MISUSE;
    bad += ecshist_cursor_wait(has->cursor, 0, NULL) != ECSHIST_MISUSE;
    bad += ecshist_describe_service_deployments(has->snapshot, &arn, 1, NULL, &result, NULL) !=
           ECSHIST_MISUSE;
    return bad;
}

static void close_inherited(const struct inherited *has)
{
    ecshist_event_free(has->event);
    ecshist_cursor_close(has->cursor);
    ecshist_snapshot_close(has->snapshot);
}

Test(store, a_handle_does_not_cross_fork)
{
    struct inherited has = {.store = store_dir_open(path)};
    create_deployment(has.store, 1);
    cr_assert_eq(ecshist_snapshot_open(has.store, &has.snapshot, NULL), ECSHIST_OK);
    cr_assert_eq(ecshist_cursor_open(has.store, 1, &has.cursor, NULL), ECSHIST_OK);
    has.event = store_event("{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT("d1") "}");
    pid_t child = fork();
    if (child == 0) {
        int bad = not_misuse(&has);
        close_inherited(&has);
        ecshist_close(has.store);
        _exit(bad);
    }
    cr_assert_eq(wait_for(child), 0, "calls on the parent's handle that the child could make");
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(has.store, &stat, NULL), ECSHIST_OK);
    cr_assert_eq(stat.reader_count, 1, "the parent's snapshot stands");
    close_inherited(&has);
    create_deployment(has.store, 2);
    cr_assert_eq(hold_count(has.store), 2, "the parent's goes on");
    ecshist_close(has.store);
}

/* Locks are of open files, and a child has its parent's. */
/* fork_it: fork, or the bare system call: a child that has come to nothing of its own yet. */
static void close_beside_a_child(pid_t (*fork_it)(void))
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork_it();
    if (child == 0) {
        char byte;
        close(pipes[1]);
        (void)!read(pipes[0], &byte, 1); /* until the parent is done */
        _exit(0);
    }
    close(pipes[0]);
    ecshist_close(store);
    store = store_dir_open(path);
    create_deployment(store, 2);
    ecshist_close(store);
    close(pipes[1]);
    cr_assert_eq(wait_for(child), 0);
}

static pid_t bare_fork(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

Test(store, a_forked_child_keeps_nobody_out)
{
    close_beside_a_child(fork);
}

Test(store, a_forked_child_keeps_nobody_out_before_it_runs)
{
    close_beside_a_child(bare_fork);
}

Test(store, a_forked_child_opens_it_anew)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *own = store_dir_open(path);
        create_deployment(own, 2);
        bool right = own != store && hold_count(own) == 2;
        ecshist_close(own);
        _exit(right ? 0 : 1);
    }
    cr_assert_eq(wait_for(child), 0);
    create_deployment(store, 3);
    cr_assert_eq(hold_count(store), 3);
    ecshist_close(store);
    store = store_dir_open(path);
    cr_assert_eq(hold_count(store), 3);
    ecshist_close(store);
}

/* Children that all want to create the store, and then all append to it. */
Test(store, processes_create_it_at_once)
{
    enum { CHILDREN = 6, EVENTS = 20 };
    pid_t children[CHILDREN];
    for (unsigned i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            ecshist_store *store = store_dir_open(path);
            for (unsigned j = 0; j < EVENTS; j++)
                create_deployment(store, i * EVENTS + j);
            ecshist_close(store);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < CHILDREN; i++)
        cr_expect_eq(wait_for(children[i]), 0);
    ecshist_store *store = store_dir_open(path);
    cr_assert_eq(hold_count(store), CHILDREN * EVENTS);
    char *before = hold_all(store);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    char *after = hold_all(store);
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
    ecshist_close(store);
}

Test(store, the_version_is_that_of_the_header)
{
    cr_assert_str_eq(ecshist_version(), ECSHIST_VERSION_STRING);
}

/* -- without permission ------------------------------------------------------------------------ */

static void open_to_others(void)
{
    char *command;
    cr_assert_geq(asprintf(&command, "chmod -R a+rX '%s'", dir), 0);
    cr_assert_eq(system(command), 0);
    free(command);
}

Test(store, somebody_who_may_only_read)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become nobody");
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    ecshist_close(store);
    open_to_others();
    pid_t child = fork();
    if (child == 0) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        ecshist_store *mine = NULL;
        if (setegid(65534) != 0 || seteuid(65534) != 0)
            _exit(1);
        if (ecshist_open(path, NULL, &mine, &error) != ECSHIST_IO)
            _exit(2);
        mine = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
        bool right =
            hold_count(mine) == 1 && ecshist_rebuild_index(mine, NULL, NULL, NULL) == ECSHIST_IO;
        ecshist_close(mine);
        _exit(right ? 0 : 3);
    }
    cr_assert_eq(wait_for(child), 0);
}

/* -- counts ------------------------------------------------------------------------------------ */

static int64_t fixed_clock(void *context)
{
    int64_t *now = context;
    return (*now)++;
}

Test(store, recorded_at_is_of_the_given_clock)
{
    int64_t now = 5000000;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    options.flags = ECSHIST_OPEN_CREATE;
    options.map_bytes = 8u << 20;
    options.now_us = fixed_clock;
    options.now_context = &now;
    ecshist_store *store = NULL;
    cr_assert_eq(ecshist_open(path, &options, &store, NULL), ECSHIST_OK);
    create_deployment(store, 1);
    create_deployment(store, 2);
    ecshist_cursor *cursor = NULL;
    cr_assert_eq(ecshist_cursor_open(store, 1, &cursor, NULL), ECSHIST_OK);
    for (int64_t i = 0; i < 2; i++) {
        const ecshist_event *event;
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        cr_assert_eq(ecshist_cursor_next(cursor, &event, NULL), ECSHIST_OK);
        ecshist_event_info(event, &info);
        cr_assert_eq(info.recorded_at_us, 5000000 + i);
        cr_assert_eq(info.seq, (uint64_t)i + 1);
    }
    ecshist_cursor_close(cursor);
    ecshist_close(store);
}

Test(store, stat_counts)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    create_deployment(store, 2);
    store_must_append(store,
                      "{\"type\":\"deployment-started\",\"time\":5000," OF_DEPLOYMENT("d2") "}");
    store_must_append(
        store,
        "{\"type\":\"revision-created\",\"time\":10,\"serviceRevisionArn\":\"" TEST_REVISION_ARN(
            "r1") "\",\"revision\":{\"taskDefinition\":\"t:1\"}}");
    cr_assert_eq(
        store_append(store, ECSHIST_APPEND_LENIENT, NULL,
                     "{\"type\":\"deployment-started\",\"time\":9000," OF_DEPLOYMENT("d2") "}"),
        ECSHIST_OK);
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_eq(stat.size, sizeof(stat));
    cr_assert_eq(stat.last_seq, 5);
    cr_assert_eq(stat.event_count, 5);
    cr_assert_eq(stat.ignored_count, 1);
    cr_assert_eq(stat.deployment_count, 2);
    cr_assert_eq(stat.deployments_by_status[ECSHIST_STATUS_PENDING], 1);
    cr_assert_eq(stat.deployments_by_status[ECSHIST_STATUS_IN_PROGRESS], 1);
    cr_assert_eq(stat.revision_count, 1);
    cr_assert_eq(stat.service_count, 1);
    cr_assert_eq(stat.oldest_time_us, 10000000);
    cr_assert_eq(stat.newest_time_us, 9000000000);
    cr_assert_gt(stat.log_used_bytes, 0);
    cr_assert_geq(stat.log_bytes, stat.log_used_bytes);
    cr_assert_gt(stat.index_bytes, 0);
    cr_assert_geq(stat.index_map_bytes, 32u << 20);
    ecshist_close(store);
}

Test(store, stat_counts_readers)
{
    ecshist_store *store = store_dir_open(path);
    ecshist_snapshot *a = NULL, *b = NULL;
    cr_assert_eq(ecshist_snapshot_open(store, &a, NULL), ECSHIST_OK);
    cr_assert_eq(ecshist_snapshot_open(store, &b, NULL), ECSHIST_OK);
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_eq(stat.reader_count, 2);
    ecshist_snapshot_close(a);
    ecshist_snapshot_close(b);
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_eq(stat.reader_count, 0);
    ecshist_close(store);
}

Test(store, an_older_callers_stat_is_not_written_past)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    stat.size = offsetof(struct ecshist_stat, ignored_count);
    stat.deployment_count = 4711;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_eq(stat.event_count, 1);
    cr_assert_eq(stat.deployment_count, 4711);
    cr_assert_eq(stat.size, offsetof(struct ecshist_stat, ignored_count));
    ecshist_close(store);
}
