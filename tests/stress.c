/*
 * Threads that append and ask at the same time on one handle: stress [SECONDS]. No test framework,
 * so that it can be built with -fsanitize=thread too, as scripts/tsan does. A second process appends and reads
 * the same store meanwhile. The log is folded in parts so small that each rebuild, and many a catching up, has its second thread; held
 * events are handed over by the dozen; a cursor has its thread from the first event on.
 */
#include "api/internal.h"
#include "fold/behind.h"
#include "fold/store.h"
#include "support/hold.h"
#include "support/store_dir.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { APPENDERS = 3, THREADS = 8, BATCH = 8, FOLLOWER = 5, PART_EVENTS = 40, HOLD_EVENTS = 12 };

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
    uint64_t expired; /* events */
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

#ifdef STRESS_CANARY
static uint64_t canary; /* a data race: scripts/tsan must see it */
#endif

static void *append_all(void *context)
{
    struct worker *w = context;
    while (!atomic_load(&w->shared->stop)) {
#ifdef STRESS_CANARY
        canary++;
#endif
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

/*
 * As long as somebody asks, events go into the index one by one. So every other 300 ms nobody does, in either process: then they are held
 * back, put by the library's own thread, or found so by those who come back.
 */
static void rest(const struct worker *w)
{
    enum { PHASE_MS = 300 };
    struct timespec now, pause = {0, 5000000};
    do {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) / PHASE_MS % 2 == 0)
            return;
        (void)nanosleep(&pause, NULL);
    } while (!atomic_load(&w->shared->stop));
}

static void *ask_all(void *context)
{
    struct worker *w = context;
    while (!atomic_load(&w->shared->stop)) {
        rest(w);
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
        rest(w);
        bool all = atomic_load(&w->shared->appended_all);
        const ecshist_event *event;
        int rc = ecshist_cursor_next(cursor, &event, &error);
        if (rc == ECSHIST_OK) {
            struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
            ecshist_event_info(event, &info);
            /* Some are gone: what expired. */
            if (info.seq <= w->last_seq)
                fail("a cursor goes back");
            w->last_seq = info.seq;
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
        rest(w);
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

#define BEGUN(d)                                                                                   \
    "{\"type\":\"deployment-started\",\"time\":%u," OF_DEPLOYMENT(d) "," TO_REVISION("r1") "}"
#define SUCCEEDED(d) "{\"type\":\"deployment-succeeded\",\"time\":%u," OF_DEPLOYMENT(d) "}"

/* Deployments that end, and the other threads' do not. */
static void append_ended(struct worker *w)
{
    ecshist_event *events[BATCH];
    for (unsigned i = 0; i < BATCH; i += 2) {
        unsigned number = (unsigned)w->rounds * BATCH + i;
        events[i] = store_event(BEGUN("u%u-%u"), number, w->number, number);
        events[i + 1] = store_event(SUCCEEDED("u%u-%u"), number + 1, w->number, number);
    }
    append_events(w, events, BATCH, 0, ECSHIST_OK);
}

/* Compactions one after the other, by which all of them go, and between them backups. */
static void *upkeep_all(void *context)
{
    struct worker *w = context;
    char *to = store_dir_path(w->shared->path, "../copy");
    while (!atomic_load(&w->shared->stop)) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
        struct ecshist_compact_result result = ECSHIST_COMPACT_RESULT_INIT;
        append_ended(w);
        rest(w);
        options.flags = ECSHIST_COMPACT_FORGET_LAST;
        store_must(ecshist_compact(w->shared->store, &options, &result, &error), "compact", &error);
        store_must(ecshist_backup(w->shared->store, to, NULL, NULL, &error), "backup", &error);
        store_dir_unlink(to);
        w->expired += result.event_count;
        w->rounds++;
    }
    free(to);
    return NULL;
}

/* -- all of it --------------------------------------------------------------------------------- */

static void start(struct worker *workers, struct shared *shared)
{
    static void *(*const others[THREADS - APPENDERS])(void *) = {ask_all, ask_all, follow_all,
                                                                 rebuild_all, upkeep_all};
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].shared = shared;
        workers[i].number = i;
        void *(*work)(void *) = i < APPENDERS ? append_all : others[i - APPENDERS];
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("no thread");
    }
}

/* What is there, but for what the store wrote itself; *last: of the newest event of all. */
static uint64_t count_events(ecshist_store *store, uint64_t *last)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const ecshist_event *event;
    ecshist_cursor *cursor = NULL;
    uint64_t count = 0;
    store_must(ecshist_cursor_open(store, 1, &cursor, &error), "cursor", &error);
    while (ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        count += strcmp(info.type, "history-expired") != 0;
        *last = info.seq;
    }
    ecshist_cursor_close(cursor);
    return count;
}

static void check(struct shared *shared, const struct worker *workers, uint64_t before)
{
    uint64_t appended = before, expired = 0, last = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        appended += workers[i].appended;
        expired += workers[i].expired;
    }
    uint64_t count = count_events(shared->store, &last);
    printf("%" PRIu64 " events appended, %" PRIu64 " of them expired; rounds:", appended, expired);
    for (unsigned i = 0; i < THREADS; i++)
        printf(" %" PRIu64, workers[i].rounds);
    printf("\n");
    if (expired == 0 || count + expired != appended)
        fail("what was appended is not what is there");
    if (workers[FOLLOWER].last_seq != last)
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

/* Waits for a byte, then appends and reads with threads of its own until the pipe is closed; says on the other how much it has appended. */
static void run_other(const char *path, int until, int told)
{
    char byte;
    if (read(until, &byte, 1) != 1)
        fail("there is nothing to begin with");
    struct shared shared = {.path = path, .store = open_roomy(path)};
    struct worker workers[2] = {{.shared = &shared, .number = 100}, {.shared = &shared}};
    if (pthread_create(&workers[0].thread, NULL, append_all, &workers[0]) != 0 ||
        pthread_create(&workers[1].thread, NULL, ask_all, &workers[1]) != 0)
        fail("no thread");
    if (read(until, &byte, 1) != 0)
        fail("the pipe has something to say");
    atomic_store(&shared.stop, true);
    (void)pthread_join(workers[0].thread, NULL);
    (void)pthread_join(workers[1].thread, NULL);
    ecshist_close(shared.store);
    if (write(told, &workers[0].appended, sizeof(uint64_t)) != sizeof(uint64_t))
        fail("the pipe is closed");
}

struct other {
    pid_t pid;
    int until[2], told[2];
};

/* Before any thread and any store of this process is there. */
static struct other start_other(const char *path)
{
    struct other other;
    if (pipe(other.until) != 0 || pipe(other.told) != 0)
        fail("no pipe");
    other.pid = fork();
    if (other.pid == 0) {
        close(other.until[1]);
        run_other(path, other.until[0], other.told[1]);
        exit(0); /* not _exit: what a sanitizer has to say is said then */
    }
    close(other.until[0]);
    close(other.told[1]);
    return other;
}

static uint64_t end_other(const struct other *other)
{
    uint64_t appended;
    int status;
    close(other->until[1]);
    if (read(other->told[0], &appended, sizeof(appended)) != sizeof(appended) ||
        waitpid(other->pid, &status, 0) != other->pid || status != 0)
        fail("the other process failed");
    close(other->told[0]);
    return appended;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
    char *dir = store_dir_new(), *path = store_dir_path(dir, "store");
    ehi_replay_test_events = PART_EVENTS;
    ehi_behind_test_hold_events = HOLD_EVENTS;
    api_test_ahead = 1;
    struct other other = start_other(path);
    struct shared shared = {.path = path, .store = open_roomy(path)};
    struct worker workers[THREADS] = {0};
    store_must_append(shared.store, "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT(
                                        "shared") "," TO_REVISION("r1") "}");
    if (write(other.until[1], "", 1) != 1)
        fail("the other process has gone");
    start(workers, &shared);
    struct timespec pause = {seconds, 0};
    (void)nanosleep(&pause, NULL);
    atomic_store(&shared.stop, true);
    for (unsigned i = 0; i < APPENDERS; i++)
        (void)pthread_join(workers[i].thread, NULL);
    (void)pthread_join(workers[THREADS - 1].thread, NULL);
    uint64_t others = end_other(&other);
    printf("%" PRIu64 " of them by another process; ", others);
    atomic_store(&shared.appended_all, true);
    for (unsigned i = APPENDERS; i < THREADS - 1; i++)
        (void)pthread_join(workers[i].thread, NULL);
    check(&shared, workers, 1 + others);
    ecshist_close(shared.store);
    free(path);
    store_dir_remove(dir);
    return 0;
}
