/*
 * Threads that append and ask at the same time on one handle: stress [SECONDS]. No test framework,
 * so that it can be built with -fsanitize=thread too:
 *
 *   cc -std=c11 -D_GNU_SOURCE -g -fsanitize=thread -Iinclude -Istore -Itests tests/stress.c \
 *       tests/support/hold.c tests/support/store_dir.c $(find store -name '*.c') \
 *       -lxxhash -lmsgpackc -ljansson -llmdb -lpthread
 */
#include "support/hold.h"
#include "support/store_dir.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { APPENDERS = 4, THREADS = 8, BATCH = 8 };

struct shared {
    const char *path;
    ecshist_store *store;
    atomic_bool stop;
    atomic_bool appended_all; /* no thread appends any more */
};

struct worker {
    struct shared *shared;
    unsigned number;
    pthread_t thread;
    uint64_t appended; /* events */
    uint64_t rounds;
    uint64_t last_seq;
};

static void fail(const char *what)
{
    fprintf(stderr, "stress: %s\n", what);
    abort();
}

/* -- appending --------------------------------------------------------------------------------- */

static void note_results(struct worker *w, const struct ecshist_append_result *results,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (results[i].outcome != ECSHIST_OUTCOME_APPENDED)
            continue;
        if (results[i].seq <= w->last_seq)
            fail("a later event of a thread has a smaller seq");
        w->last_seq = results[i].seq;
        w->appended++;
    }
}

static void append_events(struct worker *w, ecshist_event **events, size_t count, unsigned flags,
                          int expected)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    struct ecshist_append_result results[BATCH];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    options.flags = flags;
    for (size_t i = 0; i < count; i++)
        results[i] = (struct ecshist_append_result)ECSHIST_APPEND_RESULT_INIT;
    int rc = ecshist_append(w->shared->store, (const ecshist_event *const *)events, count, &options,
                            results, &error);
    if (rc != expected)
        store_must(rc == ECSHIST_OK ? ECSHIST_MISUSE : rc, "append", &error);
    note_results(w, results, count);
    for (size_t i = 0; i < count; i++)
        ecshist_event_free(events[i]);
}

#define CREATED(d)                                                                                 \
    "{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(d) "," TO_REVISION("r1") "}"
#define STARTED(d) "{\"type\":\"deployment-started\",\"time\":%u," OF_DEPLOYMENT(d) "}"
#define FAILED(d) "{\"type\":\"task-failed\",\"time\":%u," OF_DEPLOYMENT(d) "," OF_TASK("t%u") "}"

/*
 * One at a time, a batch, a batch that is refused as a whole, and one of the deployment that all
 * threads share.
 */
static void append_round(struct worker *w, unsigned round)
{
    ecshist_event *events[BATCH];
    events[0] = store_event(CREATED("d%u-%u"), round, w->number, round);
    append_events(w, events, 1, 0, ECSHIST_OK);
    events[0] = store_event(STARTED("d%u-%u"), round + 1, w->number, round);
    events[1] = store_event(FAILED("d%u-%u"), round + 2, w->number, round, round);
    events[2] = store_event(CREATED("d%u-%u"), round, w->number, round); /* a duplicate */
    append_events(w, events, 3, 0, ECSHIST_OK);
    events[0] = store_event(CREATED("e%u-%u"), round, w->number, round);
    events[1] = store_event(CREATED("d%u-%u"), round + 9, w->number, round); /* a conflict */
    append_events(w, events, 2, 0, ECSHIST_CONFLICT);
    events[0] = store_event(FAILED("shared"), 5000 + round, w->number * 1000000 + round);
    append_events(w, events, 1, ECSHIST_APPEND_EACH, ECSHIST_OK);
}

static void *append_all(void *context)
{
    struct worker *w = context;
    while (!atomic_load(&w->shared->stop)) {
        append_round(w, (unsigned)w->rounds);
        w->rounds++;
    }
    return NULL;
}

/* -- asking ------------------------------------------------------------------------------------ */

static void ask_list(ecshist_snapshot *snapshot)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    ecshist_result *result = NULL;
    request.service = TEST_SERVICE_ARN;
    request.max_results = 50;
    store_must(ecshist_list_service_deployments(snapshot, &request, &result, &error), "list",
               &error);
    char *json = NULL;
    store_must(ecshist_result_to_json(result, ECSHIST_JSON_CLI, &json, NULL, &error), "json",
               &error);
    ecshist_free(json);
    ecshist_result_free(result);
}

/*
 * As of the snapshot's last seq, the shared deployment is what it is now: the same view by another
 * way.
 */
static void ask_shared(ecshist_snapshot *snapshot)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const char *arn = TEST_DEPLOYMENT_ARN("shared");
    struct ecshist_as_of then = {ecshist_snapshot_seq(snapshot), false, 0};
    char *json[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        ecshist_result *result = NULL;
        store_must(ecshist_describe_service_deployments(snapshot, &arn, 1, i == 0 ? NULL : &then,
                                                        &result, &error),
                   "describe", &error);
        store_must(ecshist_result_to_json(result, ECSHIST_JSON_WIRE, &json[i], NULL, &error),
                   "json", &error);
        ecshist_result_free(result);
    }
    if (strcmp(json[0], json[1]) != 0)
        fail("a view differs from the same one as of now");
    ecshist_free(json[0]);
    ecshist_free(json[1]);
}

static void *ask_all(void *context)
{
    struct worker *w = context;
    while (!atomic_load(&w->shared->stop)) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        ecshist_snapshot *snapshot = NULL;
        store_must(ecshist_snapshot_open(w->shared->store, &snapshot, &error), "snapshot", &error);
        if (ecshist_snapshot_seq(snapshot) < w->last_seq)
            fail("a later snapshot shows less");
        w->last_seq = ecshist_snapshot_seq(snapshot);
        ask_list(snapshot);
        ask_shared(snapshot);
        ecshist_snapshot_close(snapshot);
        w->rounds++;
    }
    return NULL;
}

/* Follows the log to its end, which is only known when nobody appends any more. */
static void *follow_all(void *context)
{
    struct worker *w = context;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    store_must(ecshist_cursor_open(w->shared->store, 1, &cursor, &error), "cursor", &error);
    for (;;) {
        bool all = atomic_load(&w->shared->appended_all);
        const ecshist_event *event;
        int rc = ecshist_cursor_next(cursor, &event, &error);
        if (rc == ECSHIST_OK) {
            struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
            ecshist_event_info(event, &info);
            if (info.seq != ++w->last_seq)
                fail("a cursor skips an event");
            continue;
        }
        if (rc != ECSHIST_END)
            store_must(rc, "cursor", &error);
        if (all)
            break;
        rc = ecshist_cursor_wait(cursor, 10, &error);
        if (rc != ECSHIST_END)
            store_must(rc, "wait", &error);
        w->rounds++;
    }
    ecshist_cursor_close(cursor);
    return NULL;
}

/* The index is made anew under everybody's feet; opening and closing changes only a count. */
static void *rebuild_all(void *context)
{
    struct worker *w = context;
    while (!atomic_load(&w->shared->stop)) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        struct ecshist_stat stat = ECSHIST_STAT_INIT;
        struct timespec pause = {0, 50000000};
        store_must(ecshist_rebuild_index(w->shared->store, NULL, NULL, &error), "rebuild", &error);
        store_must(ecshist_stat(w->shared->store, &stat, &error), "stat", &error);
        ecshist_store *again = store_dir_open(w->shared->path);
        if (again != w->shared->store)
            fail("the store has two handles");
        ecshist_close(again);
        w->rounds++;
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* -- all of it --------------------------------------------------------------------------------- */

static void start(struct worker *workers, struct shared *shared)
{
    static void *(*const others[THREADS - APPENDERS])(void *) = {ask_all, ask_all, follow_all,
                                                                 rebuild_all};
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].shared = shared;
        workers[i].number = i;
        void *(*work)(void *) = i < APPENDERS ? append_all : others[i - APPENDERS];
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("no thread");
    }
}

static void check(struct shared *shared, const struct worker *workers, uint64_t before)
{
    uint64_t appended = before;
    for (unsigned i = 0; i < APPENDERS; i++)
        appended += workers[i].appended;
    uint64_t count = hold_count(shared->store);
    printf("%" PRIu64 " events of %u threads; rounds:", count, (unsigned)APPENDERS);
    for (unsigned i = 0; i < THREADS; i++)
        printf(" %" PRIu64, workers[i].rounds);
    printf("\n");
    if (count != appended)
        fail("what was appended is not what is there");
    if (workers[THREADS - 2].last_seq != count)
        fail("the cursor that followed has not seen all");
    char *first = hold_all(shared->store);
    store_must(ecshist_rebuild_index(shared->store, NULL, NULL, NULL), "rebuild", NULL);
    char *second = hold_all(shared->store);
    if (strcmp(first, second) != 0)
        fail("the views are not those of a rebuild");
    free(first);
    free(second);
}

/* Small segments, and room for as much as comes. */
static ecshist_store *open_roomy(const char *path)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    options.flags = ECSHIST_OPEN_CREATE;
    options.segment_bytes = ECSHIST_MIN_SEGMENT_BYTES;
    ecshist_store *store = NULL;
    store_must(ecshist_open(path, &options, &store, &error), path, &error);
    return store;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
    char *dir = store_dir_new(), *path = store_dir_path(dir, "store");
    struct shared shared = {.path = path, .store = open_roomy(path)};
    struct worker workers[THREADS] = {0};
    store_must_append(shared.store, "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT(
                                        "shared") "," TO_REVISION("r1") "}");
    start(workers, &shared);
    struct timespec pause = {seconds, 0};
    (void)nanosleep(&pause, NULL);
    atomic_store(&shared.stop, true);
    for (unsigned i = 0; i < APPENDERS; i++)
        (void)pthread_join(workers[i].thread, NULL);
    atomic_store(&shared.appended_all, true);
    for (unsigned i = APPENDERS; i < THREADS; i++)
        (void)pthread_join(workers[i].thread, NULL);
    check(&shared, workers, 1);
    ecshist_close(shared.store);
    free(path);
    store_dir_remove(dir);
    return 0;
}
