/*
 * A writer that dies between the log's flush and the index's commit: its event is durable and
 * nobody has seen it. The next one to open, and the next one to append, must show it, once. The
 * library under test has a hook there.
 */
#include "log/log.h"
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
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

TestSuite(killed, .init = set_up, .fini = tear_down);

#ifdef ECSHIST_TEST_HOOKS

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
}

static void create_deployment(ecshist_store *store, unsigned number)
{
    store_must_append(store,
                      "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                          "d%u") "," TO_REVISION("r1") "}",
                      1000 + number, number);
}

/* In a child that is killed behind the flush of the event. */
static void create_and_die(unsigned number)
{
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *store = store_dir_open(path);
        ehi_log_test_after_flush = die;
        create_deployment(store, number);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void must_be_duplicate(ecshist_store *store, unsigned number, uint64_t seq)
{
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    cr_assert_eq(store_append(store, 0, &result,
                              "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                  "d%u") "," TO_REVISION("r1") "}",
                              1000 + number, number),
                 ECSHIST_OK);
    cr_assert_eq(result.outcome, ECSHIST_OUTCOME_DUPLICATE);
    cr_assert_eq(result.seq, seq);
}

/* Each event once in the log, the views those of a rebuild. */
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

Test(killed, the_next_to_open_shows_the_event)
{
    create_and_die(1);
    ecshist_store *store = store_dir_open(path);
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d1")), 1);
    must_be_duplicate(store, 1, 1);
    check_whole(store, 1);
    ecshist_close(store);
}

Test(killed, also_one_that_only_reads)
{
    ecshist_close(store_dir_open(path));
    create_and_die(1);
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d1")), 1);
    cr_assert_eq(hold_count(store), 1);
    ecshist_close(store);
}

Test(killed, the_next_to_append_shows_the_event)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    create_and_die(2);
    cr_assert_eq(hold_count(store), 1, "nobody has looked yet");
    must_be_duplicate(store, 2, 2);
    cr_assert_eq(hold_count(store), 2);
    create_and_die(3);
    create_deployment(store, 4);
    cr_assert_eq(hold_timeline_count(store, TEST_DEPLOYMENT_ARN("d3")), 1);
    check_whole(store, 4);
    ecshist_close(store);
    store = store_dir_open(path);
    check_whole(store, 4);
    ecshist_close(store);
}

Test(killed, a_rebuild_shows_the_event)
{
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 1);
    create_and_die(2);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    check_whole(store, 2);
    must_be_duplicate(store, 2, 2);
    ecshist_close(store);
}

/* Many deaths in a row, over the borders of segments. */
Test(killed, again_and_again)
{
    ecshist_store *store = store_dir_open(path);
    for (unsigned i = 0; i < 40; i++) {
        for (unsigned j = 0; j < 20; j++)
            create_deployment(store, i * 21 + j);
        create_and_die(i * 21 + 20);
    }
    must_be_duplicate(store, 39 * 21 + 20, 40 * 21);
    check_whole(store, 40 * 21);
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_gt(stat.segment_count, 2);
    ecshist_close(store);
}

/* A whole batch of one dead writer: there as a whole. */
Test(killed, a_batch_is_there_whole)
{
    enum { COUNT = 200 };
    ecshist_store *store = store_dir_open(path);
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *own = store_dir_open(path);
        const ecshist_event *events[COUNT];
        for (unsigned i = 0; i < COUNT; i++)
            events[i] = store_event("{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                        "d%u") "," TO_REVISION("r1") "}",
                                    1000 + i, i);
        ehi_log_test_after_flush = die;
        (void)!ecshist_append(own, events, COUNT, NULL, NULL, NULL);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    create_deployment(store, 1000);
    check_whole(store, COUNT + 1);
    ecshist_close(store);
}

/* The locks of the dead one do not live on in its child. */
Test(killed, with_a_child_that_lives)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *store = store_dir_open(path);
        if (fork() == 0) {
            char byte;
            close(pipes[1]);
            (void)!read(pipes[0], &byte, 1); /* until the test is done */
            _exit(0);
        }
        ehi_log_test_after_flush = die;
        create_deployment(store, 1);
        _exit(0);
    }
    close(pipes[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    ecshist_store *store = store_dir_open(path);
    create_deployment(store, 2);
    check_whole(store, 2);
    ecshist_close(store);
    close(pipes[1]);
}

#else

Test(killed, needs_the_hook_of_the_test_build)
{
    cr_skip_test("built without ECSHIST_TEST_HOOKS");
}

#endif
