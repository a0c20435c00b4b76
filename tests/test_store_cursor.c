/* Cursors: from anywhere, across segments, waiting for what comes. Through the public API. */
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *dir, *path;
static ecshist_store *store;

static void set_up(void)
{
    dir = store_dir_new();
    path = store_dir_path(dir, "store");
    store = store_dir_open(path);
}

static void tear_down(void)
{
    ecshist_close(store);
    free(path);
    store_dir_remove(dir);
}

TestSuite(cursor, .init = set_up, .fini = tear_down);

static ecshist_event *deployment(unsigned number)
{
    return store_event("{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                           "d%u") "," TO_REVISION("r1") "}",
                       1000 + number, number);
}

/* `count` deployments from number `from` on, in one append. */
static void append_batch(ecshist_store *to, unsigned from, unsigned count)
{
    ecshist_event **events = calloc(count, sizeof(*events));
    for (unsigned i = 0; i < count; i++)
        events[i] = deployment(from + i);
    store_must(ecshist_append(to, (const ecshist_event *const *)events, count, NULL, NULL, NULL),
               "append", NULL);
    for (unsigned i = 0; i < count; i++)
        ecshist_event_free(events[i]);
    free(events);
}

static ecshist_cursor *open_at(uint64_t seq)
{
    ecshist_cursor *cursor = NULL;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_cursor_open(store, seq, &cursor, &error), "cursor", &error);
    return cursor;
}

static uint64_t next_seq(ecshist_cursor *cursor)
{
    const ecshist_event *event;
    struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ecshist_cursor_next(cursor, &event, &error);
    if (rc == ECSHIST_END)
        return 0;
    store_must(rc, "next", &error);
    ecshist_event_info(event, &info);
    return info.seq;
}

/* -- reading ----------------------------------------------------------------------------------- */

Test(cursor, of_an_empty_store_ends_at_once)
{
    ecshist_cursor *cursor = open_at(1);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const ecshist_event *event = NULL;
    cr_assert_eq(ecshist_cursor_next(cursor, &event, &error), ECSHIST_END);
    cr_assert_null(event, "an output is untouched on failure");
    cr_assert_eq(error.code, ECSHIST_END);
    append_batch(store, 0, 3);
    cr_assert_eq(next_seq(cursor), 1, "a later call gives what came");
    cr_assert_eq(next_seq(cursor), 2);
    cr_assert_eq(next_seq(cursor), 3);
    cr_assert_eq(next_seq(cursor), 0);
    ecshist_cursor_close(cursor);
    ecshist_cursor_close(NULL);
}

/* Frames of 1 to 9 events, over many segments: from each seq, the next one is given. */
Test(cursor, opens_anywhere)
{
    unsigned made = 0;
    for (unsigned i = 0; i < 400; i++) {
        append_batch(store, made, i % 9 + 1);
        made += i % 9 + 1;
    }
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    cr_assert_gt(stat.segment_count, 4);
    for (unsigned from = 1; from <= made; from += 1 + from % 3) {
        ecshist_cursor *cursor = open_at(from);
        cr_assert_eq(next_seq(cursor), from);
        cr_assert_eq(next_seq(cursor), from < made ? from + 1 : 0);
        ecshist_cursor_close(cursor);
    }
    ecshist_cursor *cursor = open_at(0);
    for (unsigned i = 1; i <= made; i++)
        cr_assert_eq(next_seq(cursor), i);
    cr_assert_eq(next_seq(cursor), 0);
    ecshist_cursor_close(cursor);
}

Test(cursor, opens_beyond_the_end)
{
    append_batch(store, 0, 2);
    ecshist_cursor *next = open_at(3), *far = open_at(10), *never = open_at(UINT64_MAX);
    cr_assert_eq(next_seq(next), 0);
    cr_assert_eq(next_seq(far), 0);
    append_batch(store, 2, 5);
    cr_assert_eq(next_seq(next), 3);
    cr_assert_eq(next_seq(far), 0);
    append_batch(store, 7, 5);
    cr_assert_eq(next_seq(far), 10, "what comes before is passed over");
    cr_assert_eq(next_seq(far), 11);
    cr_assert_eq(next_seq(never), 0);
    ecshist_cursor_close(next);
    ecshist_cursor_close(far);
    ecshist_cursor_close(never);
}

Test(cursor, gives_events_as_they_were_given)
{
    append_batch(store, 0, 1);
    cr_assert_eq(
        store_append(store, ECSHIST_APPEND_LENIENT, NULL,
                     "{\"id\":\"own\",\"type\":\"deployment-succeeded\",\"time\":5," OF_DEPLOYMENT(
                         "d0") ",\"later\":[1,{\"x\":null}]}"),
        ECSHIST_OK);
    ecshist_cursor *cursor = open_at(2);
    const ecshist_event *event;
    cr_assert_eq(ecshist_cursor_next(cursor, &event, NULL), ECSHIST_OK);
    struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
    ecshist_event_info(event, &info);
    cr_assert_str_eq(info.type, "deployment-succeeded");
    cr_assert_str_eq(info.id, "own");
    cr_assert_str_eq(info.subject_arn, TEST_DEPLOYMENT_ARN("d0"));
    cr_assert_eq(info.time_us, 5000000);
    cr_assert(info.ignored);
    char *json = NULL;
    cr_assert_eq(ecshist_event_to_json(event, ECSHIST_JSON_WIRE, &json, NULL, NULL), ECSHIST_OK);
    json_t *parsed = json_loads(json, 0, NULL);
    json_t *later = json_pack("[i,{s:n}]", 1, "x");
    cr_assert(json_equal(json_object_get(parsed, "later"), later), "%s", json);
    json_decref(parsed);
    json_decref(later);
    ecshist_free(json);
    ecshist_cursor_close(cursor);
}

Test(cursor, says_where_an_event_lies)
{
    append_batch(store, 0, 3);
    append_batch(store, 3, 1);
    ecshist_cursor *cursor = open_at(1);
    struct ecshist_frame_info first = ECSHIST_FRAME_INFO_INIT, info = ECSHIST_FRAME_INFO_INIT;
    cr_assert_eq(next_seq(cursor), 1);
    ecshist_cursor_frame_info(cursor, &first);
    cr_assert_eq(first.segment_first_seq, 1);
    cr_assert_eq(first.frame_record_count, 3);
    cr_assert_eq(first.frame_offset % 8, 0);
    cr_assert_gt(first.record_offset, first.frame_offset);
    cr_assert_eq(next_seq(cursor), 2);
    ecshist_cursor_frame_info(cursor, &info);
    cr_assert_eq(info.frame_offset, first.frame_offset);
    cr_assert_eq(info.record_offset, first.record_offset + first.record_length);
    cr_assert_eq(next_seq(cursor), 3);
    cr_assert_eq(next_seq(cursor), 4);
    ecshist_cursor_frame_info(cursor, &info);
    cr_assert_eq(info.frame_offset, first.frame_offset + first.frame_length);
    cr_assert_eq(info.frame_record_count, 1);
    ecshist_cursor_close(cursor);
}

/* -- waiting ----------------------------------------------------------------------------------- */

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

Test(cursor, waits_no_longer_than_told)
{
    ecshist_cursor *cursor = open_at(1);
    int64_t start = monotonic_ms();
    cr_assert_eq(ecshist_cursor_wait(cursor, 100, NULL), ECSHIST_END);
    cr_assert_geq(monotonic_ms() - start, 90);
    cr_assert_eq(ecshist_cursor_wait(cursor, 0, NULL), ECSHIST_END);
    append_batch(store, 0, 1);
    cr_assert_eq(ecshist_cursor_wait(cursor, 0, NULL), ECSHIST_OK);
    cr_assert_eq(next_seq(cursor), 1);
    cr_assert_eq(ecshist_cursor_wait(cursor, 0, NULL), ECSHIST_END);
    ecshist_cursor_close(cursor);
}

enum { FOLLOWED = 300 };

static void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void append_slowly(ecshist_store *to)
{
    for (unsigned i = 0; i < FOLLOWED; i += 3) {
        append_batch(to, i, 3);
        if (i % 60 == 0)
            pause_ms(30);
    }
}

static void *append_in_thread(void *context)
{
    append_slowly(context);
    return NULL;
}

/* Follows until all have come, in order, each once. */
static void follow(void)
{
    ecshist_cursor *cursor = open_at(1);
    for (uint64_t seq = 1; seq <= FOLLOWED;) {
        cr_assert_eq(ecshist_cursor_wait(cursor, 20000, NULL), ECSHIST_OK);
        for (uint64_t got = next_seq(cursor); got != 0; got = next_seq(cursor)) {
            cr_assert_eq(got, seq);
            seq++;
        }
    }
    ecshist_cursor_close(cursor);
}

Test(cursor, follows_a_thread)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, append_in_thread, store), 0);
    follow();
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(cursor, follows_another_process_and_its_rebuilds)
{
    pid_t child = fork();
    if (child == 0) {
        ecshist_store *own = store_dir_open(path);
        append_slowly(own);
        store_must(ecshist_rebuild_index(own, NULL, NULL, NULL), "rebuilding", NULL);
        append_batch(own, FOLLOWED, 1);
        ecshist_close(own);
        _exit(0);
    }
    follow();
    ecshist_cursor *cursor = open_at(FOLLOWED + 1);
    cr_assert_eq(ecshist_cursor_wait(cursor, 20000, NULL), ECSHIST_OK);
    cr_assert_eq(next_seq(cursor), FOLLOWED + 1);
    ecshist_cursor_close(cursor);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(cursor, arguments_are_checked)
{
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event;
    cr_assert_eq(ecshist_cursor_open(NULL, 1, &cursor, NULL), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_cursor_open(store, 1, NULL, NULL), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_cursor_next(NULL, &event, NULL), ECSHIST_MISUSE);
    cr_assert_eq(ecshist_cursor_wait(NULL, 1, NULL), ECSHIST_MISUSE);
}

/* -- what an event says of itself -------------------------------------------------------------- */

struct asker {
    const ecshist_event *event;
    pthread_barrier_t *start;
    struct ecshist_event_info info;
};

static void *ask(void *argument)
{
    struct asker *asker = argument;
    (void)pthread_barrier_wait(asker->start);
    asker->info = (struct ecshist_event_info)ECSHIST_EVENT_INFO_INIT;
    ecshist_event_info(asker->event, &asker->info);
    return NULL;
}

/* It is made when first asked for; threads that ask at once all get the same. */
Test(cursor, info_asked_for_by_threads_at_once)
{
    enum { THREADS = 4 };
    for (unsigned round = 0; round < 200; round++) {
        ecshist_event *event = deployment(round + 1), *twin = deployment(round + 1);
        pthread_barrier_t start;
        pthread_t threads[THREADS];
        struct asker askers[THREADS];
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        cr_assert_eq(pthread_barrier_init(&start, NULL, THREADS), 0);
        for (int i = 0; i < THREADS; i++) {
            askers[i] = (struct asker){.event = event, .start = &start};
            cr_assert_eq(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
        }
        ecshist_event_info(twin, &info);
        for (int i = 0; i < THREADS; i++) {
            cr_assert_eq(pthread_join(threads[i], NULL), 0);
            cr_assert_str_eq(askers[i].info.id, info.id);
            cr_assert_str_eq(askers[i].info.subject_arn, info.subject_arn);
            cr_assert_eq(askers[i].info.id, askers[0].info.id, "one text for all");
        }
        pthread_barrier_destroy(&start);
        ecshist_event_free(event);
        ecshist_event_free(twin);
    }
}

static void says(const ecshist_event *event, const char *id, const char *reason)
{
    struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
    ecshist_event_info(event, &info);
    cr_assert_str_eq(info.type, "service-deleted");
    cr_assert_str_eq(info.subject_arn, "arn:aws:ecs:eu-north-1:111222333444:service/prod/web");
    cr_assert_eq(info.time_us, INT64_C(7500000));
    if (id != NULL)
        cr_assert_str_eq(info.id, id);
    else
        cr_assert_eq(strlen(info.id), 32);
    if (reason != NULL)
        cr_assert_str_eq(info.reason, reason);
    else
        cr_assert_null(info.reason);
}

/* With and without an id and a reason, an empty one too; asked twice. */
Test(cursor, info_has_every_text)
{
    static const char *const ids[] = {NULL, "an id"}, *const reasons[] = {NULL, "", "because"};
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 3; j++) {
            char id[32] = "", reason[32] = "";
            if (ids[i] != NULL)
                snprintf(id, sizeof(id), "\"id\":\"%s\",", ids[i]);
            if (reasons[j] != NULL)
                snprintf(reason, sizeof(reason), "\"reason\":\"%s\",", reasons[j]);
            ecshist_event *event =
                store_event("{%s%s\"type\":\"service-deleted\",\"time\":7.5,\"serviceArn\":"
                            "\"arn:aws:ecs:eu-north-1:111222333444:service/prod/web\"}",
                            id, reason);
            says(event, ids[i], reasons[j]);
            says(event, ids[i], reasons[j]);
            ecshist_event_free(event);
        }
    }
}
