/*
 * The index behind the log: what was acknowledged and is not in the index yet is seen all the same, by
 * everybody, and none of it is lost with the process that holds it.
 */
#include "fold/behind.h"
#include "fold/words.h"
#include "support/hold.h"
#include "support/pair.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *dir, *path;

static void set_up(void)
{
    dir = store_dir_new();
    path = store_dir_path(dir, "store");
#ifdef ECSHIST_TEST_HOOKS
    ehi_behind_test_hold_us = 100000000;
    ehi_behind_test_hold_events = 0;
    ehi_behind_test_put_fails = false;
#endif
}

static void tear_down(void)
{
    free(path);
    store_dir_remove(dir);
}

TestSuite(behind, .init = set_up, .fini = tear_down);

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

static int append(ecshist_store *store, unsigned number, struct ecshist_append_result *result)
{
    return store_append(store, 0, result,
                        "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                            "d%u") "," TO_REVISION("r1") "}",
                        1000 + number, number);
}

static void must_append(ecshist_store *store, unsigned from, unsigned to)
{
    for (unsigned number = from; number < to; number++)
        cr_assert_eq(append(store, number, NULL), ECSHIST_OK);
}

/* Events that this process holds. */
static unsigned held(ecshist_store *opaque)
{
    struct ehi_store *store = (struct ehi_store *)opaque;
    cr_assert_eq(ehi_store_lock(store, NULL), ECSHIST_OK);
    unsigned count = store->held.db == NULL ? 0 : ehi_batch_count(store->batch);
    ehi_store_unlock(store);
    return count;
}

static uint64_t counted(ecshist_store *store)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    return stat.event_count;
}

static bool show_finding(void *context, const struct ecshist_finding *finding)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", finding->invariant, finding->text);
    return true;
}

/* The index has nothing that verify would find, and the views are those of a rebuild. */
static void check_whole_at(ecshist_store *store, const char *where)
{
    char *before = hold_all(store);
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    cr_assert_eq(ecshist_verify(where, NULL, show_finding, NULL, &result, NULL), ECSHIST_OK);
    cr_assert_eq(result.finding_count, 0);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    char *after = hold_all(store);
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
}

static void check_whole(ecshist_store *store)
{
    check_whole_at(store, path);
}

#ifdef ECSHIST_TEST_HOOKS

Test(behind, whoever_reads_sees_all)
{
    ecshist_store *store = store_dir_open(path);
    for (unsigned i = 1; i <= 20; i++) {
        must_append(store, (i - 1) * 3, i * 3);
        cr_assert_gt(held(store), 0);
        cr_assert_eq(counted(store), i * 3);
        cr_assert_eq(held(store), 0);
    }
    check_whole(store);
    ecshist_close(store);
}

Test(behind, a_moment_later_it_is_in_the_index)
{
    ehi_behind_test_hold_us = 50000;
    ecshist_store *store = store_dir_open(path);
    must_append(store, 0, 5);
    cr_assert_gt(held(store), 0);
    for (int i = 0; i < 500 && held(store) != 0; i++)
        pause_ms(10);
    cr_assert_eq(held(store), 0, "nobody has asked, and it was put");
    must_append(store, 5, 9);
    ecshist_close(store);
    store = store_dir_open(path);
    cr_assert_eq(counted(store), 9);
    ecshist_close(store);
}

Test(behind, there_is_a_bound_to_what_is_held)
{
    ecshist_store *store = store_dir_open(path);
    unsigned most = 0;
    for (unsigned i = 0; i < 1500; i++) {
        must_append(store, i, i + 1);
        unsigned now = held(store);
        most = now > most ? now : most;
    }
    /* Of a map of 32 MiB. */
    cr_assert_gt(most, 50);
    cr_assert_leq(most, 512);
    check_whole(store);
    ecshist_close(store);
}

/* An event against those that are held is judged as against those in the index. */
Test(behind, duplicates_and_conflicts_with_what_is_held)
{
    ecshist_store *store = store_dir_open(path);
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    must_append(store, 0, 10);
    cr_assert_eq(append(store, 3, &result), ECSHIST_OK);
    cr_assert_eq(result.outcome, ECSHIST_OUTCOME_DUPLICATE);
    cr_assert_eq(result.seq, 4);
    cr_assert_eq(store_append(store, 0, &result,
                              "{\"type\":\"deployment-created\",\"time\":7," OF_DEPLOYMENT(
                                  "d3") "," TO_REVISION("r2") "}"),
                 ECSHIST_CONFLICT);
    cr_assert_gt(held(store), 0);
    cr_assert_eq(counted(store), 10);
    check_whole(store);
    ecshist_close(store);
}

/* Good ones before the one that is refused were folded already: they go, what was held stays. */
Test(behind, a_batch_that_is_taken_back)
{
    ecshist_store *store = store_dir_open(path);
    for (unsigned round = 0; round < 10; round++) {
        must_append(store, round * 4, round * 4 + 4);
        ecshist_event *events[3];
        for (unsigned i = 0; i < 3; i++)
            events[i] = store_event("{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                        "%s") "," TO_REVISION("r1") "}",
                                    5,
                                    i == 2   ? "d0"
                                    : i == 1 ? "x"
                                             : "y");
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        cr_assert_eq(
            ecshist_append(store, (const ecshist_event *const *)events, 3, NULL, NULL, &error),
            ECSHIST_CONFLICT, "%s", error.message);
        cr_assert_eq(error.event_index, 2);
        for (unsigned i = 0; i < 3; i++)
            ecshist_event_free(events[i]);
    }
    cr_assert_eq(counted(store), 40);
    char *missing = hold_deployment(store, TEST_DEPLOYMENT_ARN("x"), NULL);
    cr_assert_str_eq(missing, "MISSING");
    free(missing);
    check_whole(store);
    ecshist_close(store);
}

static unsigned mode_of(const char *of)
{
    struct stat status;
    return stat(of, &status) == 0 ? status.st_mode & 07777 : 0;
}

static uint64_t file_bytes(ecshist_store *store)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    return stat.index_bytes;
}

static void append_batch(ecshist_store *store, const char *type, unsigned from, unsigned count)
{
    ecshist_event **events = calloc(count, sizeof(*events));
    for (unsigned i = 0; i < count; i++)
        events[i] = store_event(
            "{\"type\":\"%s\",\"time\":%u," OF_DEPLOYMENT("d%u") "," TO_REVISION("r1") "}", type,
            1000 + from + i, from + i);
    cr_assert_eq(
        ecshist_append(store, (const ecshist_event *const *)events, count, NULL, NULL, NULL),
        ECSHIST_OK);
    for (unsigned i = 0; i < count; i++)
        ecshist_event_free(events[i]);
    free(events);
}

/* LMDB's file never shrinks; the last one out leaves a copy in its place, which is trusted as it would be. */
Test(behind, what_is_free_is_not_left)
{
    ecshist_store *store = store_dir_open(path);
    append_batch(store, "deployment-created", 0, 5000);
    append_batch(store, "deployment-started", 0, 5000); /* every page of theirs is copied */
    cr_assert_eq(counted(store), 10000);
    char *before = hold_all(store), *mark = store_dir_path(path, "index/mark");
    char *file = store_dir_path(path, "index/data.mdb"), *index = store_dir_path(path, "index");
    uint64_t bytes = file_bytes(store);
    cr_assert_eq(chmod(index, 0750), 0);
    cr_assert_eq(chmod(file, 0640), 0);
    ecshist_close(store);
    cr_assert_eq(mode_of(index), 0750, "who may look at it may still do so");
    cr_assert_eq(mode_of(file), 0640);
    size_t length;
    unsigned char *data = store_dir_read(mark, &length);
    cr_assert(length == 64 && data[12] == 1, "it is clean");
    free(data);
    store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    cr_assert_lt(file_bytes(store), bytes - bytes / 4, "%llu, %llu",
                 (unsigned long long)file_bytes(store), (unsigned long long)bytes);
    char *after = hold_all(store);
    cr_assert_str_eq(before, after);
    ecshist_close(store);
    free(before);
    free(after);
    free(file);
    free(index);
    free(mark);
}

/* The last of the rows of each leaf of LMDB's with keys of 16 bytes is not in its list any more. */
static unsigned drop_rows(const char *file)
{
    enum { PAGE = 4096, LEAF = 2, HEAD = 16 };
    size_t length;
    unsigned char *bytes = store_dir_read(file, &length);
    unsigned dropped = 0;
    for (size_t at = 2 * PAGE; at + PAGE <= length; at += PAGE) {
        const unsigned char *page = bytes + at;
        unsigned flags = page[10] | page[11] << 8, lower = page[12] | page[13] << 8;
        unsigned node = page[HEAD] | page[HEAD + 1] << 8;
        if (flags != LEAF || lower < HEAD + 6 || lower > PAGE || node > PAGE - 8 ||
            (page[node + 6] | page[node + 7] << 8) != 16)
            continue;
        unsigned char less[2] = {(unsigned char)(lower - 2), (unsigned char)((lower - 2) >> 8)};
        store_dir_write(file, at + 12, less, sizeof(less));
        dropped++;
    }
    free(bytes);
    return dropped;
}

/* In the pages of a copy nobody could tell that something was missing. */
Test(behind, a_damaged_index_is_not_copied)
{
    char *file = store_dir_path(path, "index/data.mdb");
    struct stat before, after;
    ecshist_store *store = store_dir_open(path);
    append_batch(store, "deployment-created", 0, 5000);
    append_batch(store, "deployment-started", 0, 5000);
    cr_assert_eq(counted(store), 10000);
    cr_assert_gt(drop_rows(file), 10);
    cr_assert_eq(stat(file, &before), 0);
    ecshist_close(store);
    cr_assert_eq(stat(file, &after), 0);
    cr_assert_eq(after.st_ino, before.st_ino, "it is as it was");
    free(file);
}

/* -- handing over ------------------------------------------------------------------------------ */

/* The i-th update of the tasks of d0, with its own id. */
static int update(ecshist_store *store, unsigned i, unsigned running,
                  struct ecshist_append_result *result)
{
    return store_append(
        store, 0, result,
        "{\"type\":\"tasks-updated\",\"id\":\"u%u\",\"time\":%u," OF_DEPLOYMENT(
            "d0") ",\"serviceRevisions\":[{\"arn\":\"" TEST_REVISION_ARN("r1") "\","
                                                                               "\"runningTaskCount"
                                                                               "\":%u}]}",
        i, 2000 + i, running);
}

/* What is handed over and what is held behind it: in each of the two, and in the index, an event is found again. */
Test(behind, duplicates_of_what_was_handed_over)
{
    enum { EVENTS = 700 };
    ehi_behind_test_hold_events = 100;
    ecshist_store *store = store_dir_open(path);
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    must_append(store, 0, 1);
    for (unsigned i = 0; i < EVENTS; i++) {
        cr_assert_eq(update(store, i, i, &result), ECSHIST_OK);
        cr_assert_eq(result.seq, i + 2);
        unsigned earlier[2] = {i * 7919 % (i + 1), i};
        for (unsigned k = 0; k < 2; k++) {
            cr_assert_eq(update(store, earlier[k], earlier[k], &result), ECSHIST_OK);
            cr_assert_eq(result.outcome, ECSHIST_OUTCOME_DUPLICATE);
            cr_assert_eq(result.seq, earlier[k] + 2);
        }
    }
    for (unsigned i = 0; i < EVENTS; i++)
        cr_assert_eq(update(store, i, 9999, &result), ECSHIST_CONFLICT, "event %u", i);
    check_whole(store);
    ecshist_close(store);
}

static void append_both(ecshist_store *held_one, ecshist_store *plain_one, json_t *event)
{
    struct ecshist_append_result a = ECSHIST_APPEND_RESULT_INIT, b = ECSHIST_APPEND_RESULT_INIT;
    char *text = json_dumps(event, JSON_COMPACT);
    unsigned flags = strlen(text) % 8 == 0 ? ECSHIST_APPEND_LENIENT : 0;
    int code = store_append(held_one, flags, &a, "%s", text);
    cr_assert_eq(store_append(plain_one, flags, &b, "%s", text), code, "%s", text);
    cr_assert(a.outcome == b.outcome && a.seq == b.seq && a.code == b.code, "%s", text);
    cr_assert_str_eq(a.reason, b.reason);
    free(text);
    json_decref(event);
}

static int64_t a_moment(void *context)
{
    (void)context;
    return INT64_C(1700000000000000);
}

/* So that what two stores hold can be compared. */
static ecshist_store *open_at_a_moment(const char *where)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = NULL;
    options.flags = ECSHIST_OPEN_CREATE;
    options.segment_bytes = store_dir_segment_bytes;
    options.now_us = a_moment;
    store_must(ecshist_open(where, &options, &store, &error), "open", &error);
    return store;
}

/* Whatever comes, in whatever order: as if each event were put before the next is folded. */
Test(behind, handing_over_changes_nothing)
{
    enum { SEEDS = 12, EVENTS = 600 };
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        char *other = store_dir_path(dir, "other");
        ehi_behind_test_hold_events = 1 + seed * seed / 2;
        ecshist_store *held_one = open_at_a_moment(path), *plain_one = open_at_a_moment(other);
        struct random_events events;
        random_events_start(&events, seed);
        for (unsigned i = 0; i < EVENTS; i++)
            append_both(held_one, plain_one, random_events_next(&events));
        random_events_end(&events);
        /* The first line has the store's id. */
        char *a = hold_all(held_one), *b = hold_all(plain_one);
        cr_assert_str_eq(strchr(a, '\n'), strchr(b, '\n'), "seed %u", seed);
        free(a);
        free(b);
        check_whole(held_one);
        ecshist_close(held_one);
        ecshist_close(plain_one);
        store_dir_unlink(path);
        store_dir_unlink(other);
        free(other);
    }
}

/* What cannot be put is folded again from the log, with all that came behind it. */
Test(behind, what_was_handed_over_cannot_be_put)
{
    ehi_behind_test_hold_events = 10;
    ecshist_store *store = store_dir_open(path);
    must_append(store, 0, 5);
    ehi_behind_test_put_fails = true;
    must_append(store, 5, 200);
    ehi_behind_test_put_fails = false;
    must_append(store, 200, 205);
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    for (unsigned i = 0; i < 205; i += 17) {
        cr_assert_eq(append(store, i, &result), ECSHIST_OK);
        cr_assert_eq(result.outcome, ECSHIST_OUTCOME_DUPLICATE);
        cr_assert_eq(result.seq, i + 1);
    }
    ehi_behind_test_put_fails = true;
    must_append(store, 205, 230);
    cr_assert_eq(counted(store), 230, "readers have it folded from the log");
    must_append(store, 230, 260);
    ecshist_close(store);
    ehi_behind_test_put_fails = false;
    store = store_dir_open(path);
    cr_assert_eq(counted(store), 260);
    check_whole(store);
    ecshist_close(store);
}

static void wait_until_put(struct ehi_store *store)
{
    bool put = false;
    for (unsigned i = 0; i < 10000 && !put; i++) {
        pthread_mutex_lock(&store->flusher.mutex);
        put = store->handed.state == EHI_PUT_NONE || store->handed.state == EHI_PUT_DONE;
        pthread_mutex_unlock(&store->flusher.mutex);
        pause_ms(1);
    }
    cr_assert(put);
}

/* What changes nothing takes no memory that is not given back. */
Test(behind, duplicates_only)
{
    ehi_behind_test_hold_events =
        60; /* the first duplicate finds them too many, and an empty batch */
    ecshist_store *store = store_dir_open(path);
    must_append(store, 0, 60);
    must_append(store, 0, 1);
    wait_until_put((struct ehi_store *)store);
    size_t most = 0;
    for (unsigned i = 0; i < 3000; i++) {
        must_append(store, i % 60, i % 60 + 1);
        cr_assert_eq(ehi_store_lock((struct ehi_store *)store, NULL), ECSHIST_OK);
        size_t bytes = ehi_batch_bytes(((struct ehi_store *)store)->batch);
        most = bytes > most ? bytes : most;
        ehi_store_unlock((struct ehi_store *)store);
    }
    cr_assert_lt(most, 400000, "%zu", most);
    cr_assert_eq(counted(store), 60);
    check_whole(store);
    ecshist_close(store);
}

static void *unlock_later(void *context)
{
    pause_ms(300);
    cr_assert_eq(flock(*(int *)context, LOCK_UN), 0);
    return NULL;
}

/* As another process would that is in the middle of putting what it has handed over. */
Test(behind, somebody_else_is_putting)
{
    char *file = store_dir_path(path, "acknowledged");
    ehi_behind_test_hold_events = 10;
    ecshist_store *store = store_dir_open(path);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    must_append(store, 0, 100);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, unlock_later, &fd), 0);
    cr_assert_eq(counted(store), 100, "once he has done");
    pthread_join(thread, NULL);
    must_append(store, 100, 150);
    check_whole(store);
    ecshist_close(store);
    close(fd);
    free(file);
}

/* Closed at any moment, with something handed over or not. */
Test(behind, closed_while_it_is_put)
{
    ehi_behind_test_hold_events = 3;
    unsigned made = 0;
    for (unsigned i = 1; i <= 40; i++) {
        ecshist_store *store = store_dir_open(path);
        must_append(store, made, made + i % 9);
        made += i % 9;
        ecshist_close(store);
    }
    ecshist_store *store = store_dir_open(path);
    cr_assert_eq(counted(store), made);
    check_whole(store);
    ecshist_close(store);
}

/* -- several processes ------------------------------------------------------------------------- */

struct pipes {
    int there[2], back[2];
};

static void tell(int fd, unsigned number)
{
    if (write(fd, &number, sizeof(number)) != (ssize_t)sizeof(number))
        abort();
}

static unsigned hear(int fd)
{
    unsigned number;
    return read(fd, &number, sizeof(number)) == (ssize_t)sizeof(number) ? number : ~0u;
}

static pid_t fork_with(struct pipes *pipes, void (*run)(int in, int out))
{
    cr_assert_eq(pipe(pipes->there), 0);
    cr_assert_eq(pipe(pipes->back), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(pipes->there[1]);
        close(pipes->back[0]);
        run(pipes->there[0], pipes->back[1]);
        _exit(0);
    }
    close(pipes->there[0]);
    close(pipes->back[1]);
    return child;
}

static void join(pid_t child, const struct pipes *pipes, int expected)
{
    int status;
    close(pipes->there[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, expected);
    close(pipes->back[0]);
}

/* Appends so many, each time it is told to; says how many it holds. */
static void append_when_told(int in, int out)
{
    unsigned number = 0, more;
    ecshist_store *store = store_dir_open(path);
    while ((more = hear(in)) != ~0u) {
        must_append(store, number, number + more);
        number += more;
        tell(out, held(store));
    }
    ecshist_close(store);
}

Test(behind, another_process_sees_what_is_held)
{
    ecshist_store *store = store_dir_open(path);
    ecshist_close(store);
    struct pipes pipes;
    pid_t child = fork_with(&pipes, append_when_told);
    store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    unsigned appended = 0, times_held = 0;
    for (unsigned i = 1; i <= 60; i++) {
        tell(pipes.there[1], i % 5);
        times_held += hear(pipes.back[0]) != 0;
        appended += i % 5;
        cr_assert_eq(counted(store), appended);
    }
    cr_assert_gt(times_held, 20);
    ecshist_close(store);
    join(child, &pipes, 0);
    store = store_dir_open(path);
    check_whole(store);
    ecshist_close(store);
}

Test(behind, what_a_killed_process_held)
{
    ecshist_store *store = store_dir_open(path);
    ecshist_close(store);
    struct pipes pipes;
    pid_t child = fork_with(&pipes, append_when_told);
    store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    tell(pipes.there[1], 30);
    cr_assert_gt(hear(pipes.back[0]), 0);
    cr_assert_eq(kill(child, SIGKILL), 0);
    join(child, &pipes, SIGKILL);
    cr_assert_eq(counted(store), 30, "by who had the store open meanwhile");
    ecshist_close(store);
    child = fork_with(&pipes, append_when_told);
    tell(pipes.there[1], 40); /* 30 of them are duplicates */
    (void)hear(pipes.back[0]);
    cr_assert_eq(kill(child, SIGKILL), 0);
    join(child, &pipes, SIGKILL);
    store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    cr_assert_eq(counted(store), 40, "by who opens it then");
    ecshist_close(store);
    store = store_dir_open(path);
    check_whole(store);
    ecshist_close(store);
}

/* Each folds what the other holds from the log, and goes on with that. */
Test(behind, two_writers_in_turns)
{
    ecshist_store *store = store_dir_open(path);
    ecshist_close(store);
    struct pipes pipes;
    pid_t child = fork_with(&pipes, append_when_told);
    store = store_dir_open(path);
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    uint64_t seq = 0;
    for (unsigned i = 0; i < 40; i++) {
        tell(pipes.there[1], 3);
        cr_assert_gt(hear(pipes.back[0]), 0);
        seq += 3;
        for (unsigned k = 0; k < 2; k++) {
            cr_assert_eq(append(store, 10000 + i * 2 + k, &result), ECSHIST_OK);
            cr_assert_eq(result.seq, ++seq);
        }
        cr_assert_eq(held(store), 2);
        /* What the other has appended since the last turn is a duplicate here. */
        cr_assert_eq(append(store, i * 3, &result), ECSHIST_OK);
        cr_assert_eq(result.outcome, ECSHIST_OUTCOME_DUPLICATE);
    }
    join(child, &pipes, 0);
    cr_assert_eq(counted(store), 200);
    check_whole(store);
    ecshist_close(store);
}

/* The other one commits what this one has handed over, or is about to put. */
Test(behind, another_process_is_faster)
{
    ehi_behind_test_hold_events = 2;
    ecshist_store *store = store_dir_open(path);
    ecshist_close(store);
    struct pipes pipes;
    pid_t child = fork_with(&pipes, append_when_told);
    store = store_dir_open(path);
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    uint64_t seq = 0;
    for (unsigned i = 0; i < 60; i++) {
        for (unsigned k = 0; k < 5; k++) {
            cr_assert_eq(append(store, 10000 + i * 5 + k, &result), ECSHIST_OK);
            cr_assert_eq(result.seq, ++seq);
        }
        tell(pipes.there[1], i % 4);
        (void)hear(pipes.back[0]);
        seq += i % 4;
    }
    join(child, &pipes, 0);
    cr_assert_eq(counted(store), seq);
    check_whole(store);
    ecshist_close(store);
}

/* The file that says what was acknowledged is no part of what is stored. */
Test(behind, words_that_make_no_sense)
{
    ecshist_store *store = store_dir_open(path);
    must_append(store, 0, 3);
    ((struct ehi_store *)store)->words->next_seq = 1u << 30;
    cr_assert_eq(counted(store), 3);
    cr_assert_eq(((struct ehi_store *)store)->words->next_seq, 4, "put right");
    must_append(store, 3, 5);
    ((struct ehi_store *)store)->words->next_seq = UINT64_MAX;
    ecshist_close(store);
    store = store_dir_open(path);
    cr_assert_eq(((struct ehi_store *)store)->words->next_seq, 6,
                 "never less than was acknowledged");
    cr_assert_eq(counted(store), 5);
    ecshist_close(store);
    char *words = store_dir_path(path, "acknowledged");
    store_dir_unlink(words);
    store = store_dir_open(path);
    must_append(store, 5, 6);
    cr_assert_eq(counted(store), 6);
    ecshist_close(store);
    store_dir_unlink(words);
    cr_assert_eq(symlink("/etc/passwd", words), 0);
    cr_assert_eq(ecshist_open(path, NULL, &store, NULL), ECSHIST_FORMAT);
    free(words);
}

/* -- against the naive model ------------------------------------------------------------------- */

static void run_stream(uint64_t seed)
{
    struct pair pair = {.naive = naive_new(), .store = store_dir_open(path)};
    struct random_events random;
    char names[RANDOM_DEPLOYMENTS][256];
    const char *arns[RANDOM_DEPLOYMENTS];
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++)
        arns[i] = random_deployment_arn(i, names[i]);
    struct pair_subjects subjects = {.deployments = arns, .deployment_count = RANDOM_DEPLOYMENTS};
    random_events_start(&random, seed);
    for (unsigned i = 0; i < 150; i++) {
        json_t *events[PAIR_BATCH];
        size_t count = random_percent(&random, 60) ? 1 : 1 + random_below(&random, PAIR_BATCH);
        for (size_t k = 0; k < count; k++)
            events[k] = random_events_next(&random);
        cr_assert(pair_append(&pair, events, count, (unsigned)random_below(&random, 4)),
                  "seed %llu: %s", (unsigned long long)seed, pair.where);
        for (size_t k = 0; k < count; k++)
            json_decref(events[k]);
    }
    cr_assert_gt(held(pair.store), 0);
    cr_assert(pair_agrees(&pair, &subjects, (struct naive_as_of){0}), "seed %llu: %s",
              (unsigned long long)seed, pair.where);
    check_whole(pair.store);
    random_events_end(&random);
    ecshist_close(pair.store);
    naive_free(pair.naive);
    store_dir_unlink(path);
}

Test(behind, as_the_naive_model)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        run_stream(seed);
}

#else

Test(behind, the_library_has_no_hooks)
{
    ecshist_store *store = store_dir_open(path);
    must_append(store, 0, 20);
    cr_assert_leq(held(store), 20);
    cr_assert_eq(counted(store), 20);
    check_whole(store);
    ecshist_close(store);
}

#endif
