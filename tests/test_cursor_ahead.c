/* A cursor that has a thread read the log ahead gives what one gives that has none: events, their places, errors, and the end. */
#include "api/internal.h"
#include "log/log.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

TestSuite(ahead, .init = set_up, .fini = tear_down);

static uint64_t made;

/* In appends of 1 to 90 events. */
static void append_events(struct random_events *random, unsigned count)
{
    uint64_t before = made;
    unsigned asked = count;
    while (count > 0) {
        ecshist_event *events[90];
        unsigned some = (unsigned)random_below(random, 90) + 1;
        some = some < count ? some : count;
        for (unsigned i = 0; i < some; i++) {
            json_t *event = random_events_next(random);
            char *text = json_dumps(event, JSON_COMPACT);
            events[i] = store_event("%s", text);
            free(text);
            json_decref(event);
        }
        (void)!ecshist_append(
            store, (const ecshist_event *const *)events, some,
            &(struct ecshist_append_options){.size = sizeof(struct ecshist_append_options),
                                             .flags = ECSHIST_APPEND_EACH | ECSHIST_APPEND_LENIENT},
            NULL, NULL);
        for (unsigned i = 0; i < some; i++)
            ecshist_event_free(events[i]);
        count -= some;
    }
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
    made = stat.event_count;
    /* Some are refused, or were there; most are not. */
    cr_assert_geq(made - before, asked / 4, "%u of %u", (unsigned)(made - before), asked);
}

/* All that is given, as a hash; where it ends, and why. */
struct given {
    uint64_t hash, count, last_seq;
    int code;
    char why[512];
};

static void add(struct given *given, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        given->hash = (given->hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
}

static void add_event(struct given *given, const ecshist_cursor *cursor, const ecshist_event *event)
{
    struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
    struct ecshist_frame_info frame = ECSHIST_FRAME_INFO_INIT;
    char *json;
    size_t length;
    ecshist_event_info(event, &info);
    ecshist_cursor_frame_info(cursor, &frame);
    cr_assert_eq(ecshist_event_to_json(event, ECSHIST_JSON_WIRE, &json, &length, NULL), ECSHIST_OK);
    add(given, json, length);
    add(given, &frame, sizeof(frame));
    add(given, &info.seq, sizeof(info.seq));
    ecshist_free(json);
    given->last_seq = info.seq;
    given->count++;
}

static void read_on(struct given *given, ecshist_cursor *cursor, uint64_t most)
{
    for (uint64_t i = 0; i < most && given->code == ECSHIST_OK; i++) {
        const ecshist_event *event;
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        given->code = ecshist_cursor_next(cursor, &event, &error);
        if (given->code == ECSHIST_OK)
            add_event(given, cursor, event);
        else
            snprintf(given->why, sizeof(given->why), "%s: %s", error.place, error.message);
    }
    struct ecshist_frame_info frame = ECSHIST_FRAME_INFO_INIT;
    ecshist_cursor_frame_info(cursor, &frame);
    if (given->count != 0 && given->code == ECSHIST_END)
        add(given, &frame, sizeof(frame));
}

static ecshist_cursor *open_at(uint64_t seq)
{
    ecshist_cursor *cursor = NULL;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_cursor_open(store, seq, &cursor, &error), "cursor", &error);
    return cursor;
}

enum { NEVER = -1, USUAL = 0, ALWAYS = 1 };

static struct given read_all(int ahead, uint64_t from)
{
    struct given given = {.hash = UINT64_C(14695981039346656037)};
    api_test_ahead = ahead;
    ecshist_cursor *cursor = open_at(from);
    read_on(&given, cursor, UINT64_MAX);
    ecshist_cursor_close(cursor);
    return given;
}

static void expect_same(const struct given *a, const struct given *b)
{
    cr_assert_eq(a->count, b->count);
    cr_assert_eq(a->last_seq, b->last_seq);
    cr_assert_eq(a->code, b->code, "%s, %s", a->why, b->why);
    cr_assert_str_eq(a->why, b->why);
    cr_assert_eq(a->hash, b->hash);
}

Test(ahead, gives_the_same)
{
    struct random_events random;
    random_events_start(&random, 7);
    append_events(&random, 12000);
    cr_assert_gt(made, 3000);
    struct given alone = read_all(NEVER, 1), usual = read_all(USUAL, 1);
    cr_assert_eq(alone.count, made);
    cr_assert_eq(alone.code, ECSHIST_END);
    expect_same(&alone, &usual);
    for (uint64_t from = 1; from < made + 10; from += made / 11 + 1) {
        alone = read_all(NEVER, from);
        struct given ahead = read_all(ALWAYS, from);
        expect_same(&alone, &ahead);
    }
    random_events_end(&random);
}

/* As many as it takes for a thread to be begun without being told to. */
Test(ahead, of_a_long_log)
{
    enum { BATCH = 1000, BATCHES = 20 };
    store_dir_segment_bytes = 1 << 20;
    for (unsigned i = 0; i < BATCHES; i++) {
        ecshist_event *events[BATCH];
        for (unsigned k = 0; k < BATCH; k++)
            events[k] = store_event("{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                        "d%u") "," TO_REVISION("r1") "}",
                                    1000 + k, i * BATCH + k);
        cr_assert_eq(
            ecshist_append(store, (const ecshist_event *const *)events, BATCH, NULL, NULL, NULL),
            ECSHIST_OK);
        for (unsigned k = 0; k < BATCH; k++)
            ecshist_event_free(events[k]);
    }
    struct given alone = read_all(NEVER, 1), usual = read_all(USUAL, 1);
    cr_assert_eq(alone.count, BATCH * BATCHES);
    expect_same(&alone, &usual);
}

/* What comes while one reads, and after the end was met. */
Test(ahead, of_a_log_that_grows)
{
    struct random_events random;
    struct given given = {.hash = UINT64_C(14695981039346656037)};
    api_test_ahead = ALWAYS;
    random_events_start(&random, 8);
    append_events(&random, 500);
    ecshist_cursor *cursor = open_at(1);
    for (unsigned i = 0; i < 30; i++) {
        read_on(&given, cursor, i * 7);
        append_events(&random, i * 11 % 60);
        if (given.code == ECSHIST_END)
            given.code = ECSHIST_OK;
    }
    read_on(&given, cursor, UINT64_MAX);
    cr_assert_eq(given.code, ECSHIST_END);
    cr_assert_eq(given.count, made);
    cr_assert_eq(given.last_seq, made);
    ecshist_cursor_close(cursor);
    random_events_end(&random);
}

static ecshist_cursor *looking;
static struct given seen;

static void look_while_it_is_flushed(void)
{
    if (looking != NULL)
        read_on(&seen, looking, UINT64_MAX);
}

/* It is in the log, and durable, but nobody was told yet: it could as well be about to fail. */
Test(ahead, of_an_event_that_is_not_acknowledged)
{
    struct random_events random;
    random_events_start(&random, 12);
    append_events(&random, 3000);
    uint64_t before = made;
    seen = (struct given){.hash = 1};
    api_test_ahead = ALWAYS;
    looking = open_at(1);
    ehi_log_test_after_flush = look_while_it_is_flushed;
    store_must_append(store, "{\"type\":\"deployment-created\",\"time\":1," OF_DEPLOYMENT(
                                 "late") "," TO_REVISION("r1") "}");
    ehi_log_test_after_flush = NULL;
    cr_assert_eq(seen.code, ECSHIST_END, "%d", seen.code);
    cr_assert_eq(seen.count, before);
    seen.code = ECSHIST_OK;
    read_on(&seen, looking, UINT64_MAX);
    cr_assert_eq(seen.count, before + 1);
    ecshist_cursor_close(looking);
    looking = NULL;
    random_events_end(&random);
}

/* The event before the damage is given, and then the error that names it, however often one asks. */
Test(ahead, of_a_damaged_log)
{
    struct random_events random;
    random_events_start(&random, 9);
    append_events(&random, 6000);
    char *segment = store_dir_oldest_segment(path);
    size_t length;
    unsigned char *bytes = store_dir_read(segment, &length);
    for (size_t at = 200; at < length - 200; at += length / 9) {
        unsigned char other = bytes[at] ^ 0x10;
        store_dir_write(segment, at, &other, 1);
        struct given alone = read_all(NEVER, 1), ahead = read_all(ALWAYS, 1);
        cr_assert_eq(alone.code, ECSHIST_DAMAGED);
        expect_same(&alone, &ahead);
        store_dir_write(segment, at, &bytes[at], 1);
    }
    free(bytes);
    free(segment);
    random_events_end(&random);
}

Test(ahead, is_closed_at_any_moment)
{
    struct random_events random;
    random_events_start(&random, 10);
    append_events(&random, 6000);
    api_test_ahead = ALWAYS;
    for (uint64_t most = 0; most < made; most = most * 2 + 1) {
        struct given given = {.hash = 1};
        ecshist_cursor *cursor = open_at(1 + most / 3);
        read_on(&given, cursor, most);
        cr_assert_eq(given.count, most < made - most / 3 ? most : made - most / 3);
        ecshist_cursor_close(cursor);
    }
    random_events_end(&random);
}

/* A handle does not cross fork, and the child has no such thread: it can close it. */
Test(ahead, in_a_forked_child)
{
    struct random_events random;
    struct given given = {.hash = 1};
    random_events_start(&random, 11);
    append_events(&random, 6000);
    api_test_ahead = ALWAYS;
    ecshist_cursor *cursor = open_at(1);
    read_on(&given, cursor, 10);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        const ecshist_event *event;
        int rc = ecshist_cursor_next(cursor, &event, NULL);
        ecshist_cursor_close(cursor);
        _exit(rc == ECSHIST_MISUSE ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    read_on(&given, cursor, UINT64_MAX);
    cr_assert_eq(given.count, made);
    ecshist_cursor_close(cursor);
    random_events_end(&random);
}
