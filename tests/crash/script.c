/*
 * Events are numbered; 2k begins the deployment k and 2k+1 ends it. All events of an append are of deployments of its own.
 */
#include "crash/script.h"

#include "crash/trace.h"
#include "fold/behind.h"
#include "support/store_dir.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ecshist_store *store;
static char path[4096];
static uint64_t given; /* events, in all */

static ecshist_store *open_store(void)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    ecshist_store *opened = NULL;
    options.flags = ECSHIST_OPEN_CREATE;
    options.segment_bytes = ECSHIST_MIN_SEGMENT_BYTES;
    options.map_bytes = UINT64_C(1) << 26;
    store_must(ecshist_open(path, &options, &opened, &error), "open", &error);
    return opened;
}

/* An event of this number; its reason has so many bytes. */
static ecshist_event *event_of(uint64_t number, size_t bytes)
{
    char reason[4096];
    memset(reason, 'r', bytes);
    reason[bytes] = '\0';
    if (number % 2 == 0)
        return store_event("{\"type\":\"deployment-started\",\"id\":\"e%" PRIu64
                           "\",\"time\":%" PRIu64
                           "," OF_DEPLOYMENT("d%" PRIu64) "," TO_REVISION("r1") ",\"note\":\"%s\"}",
                           number, 1000 + number, number / 2, reason);
    return store_event("{\"type\":\"deployment-stopped\",\"id\":\"e%" PRIu64 "\",\"time\":%" PRIu64
                       "," OF_DEPLOYMENT("d%" PRIu64) ",\"reason\":\"%s\"}",
                       number, 1000 + number, number / 2, reason);
}

static void append(size_t count, size_t bytes)
{
    enum { MOST = 128 };
    ecshist_event *events[MOST];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (size_t i = 0; i < count; i++)
        events[i] = event_of(given + i, bytes);
    trace_mark(MARK_BEGUN, given + count);
    store_must(
        ecshist_append(store, (const ecshist_event *const *)events, count, NULL, NULL, &error),
        "append", &error);
    given += count;
    trace_mark(MARK_ACKED, given);
    for (size_t i = 0; i < count; i++)
        ecshist_event_free(events[i]);
}

static void open_it(void)
{
    store = open_store();
}

static void append_ones(void)
{
    for (int i = 0; i < 4; i++)
        append(1, 20);
}

static void append_hundred(void)
{
    append(100, 20);
}

static void append_until_sealed(void)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    store_must(ecshist_stat(store, &stat, NULL), "stat", NULL);
    for (uint64_t segments = stat.segment_count; stat.segment_count == segments;) {
        append(8, 2000);
        store_must(ecshist_stat(store, &stat, NULL), "stat", NULL);
    }
}

static void rebuild(void)
{
    store_must(ecshist_rebuild_index(store, NULL, NULL, NULL), "rebuild", NULL);
}

static void close_it(void)
{
    ecshist_close(store);
    store = NULL;
}

/* The older half of all deployments goes. */
static void compact(void)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    uint64_t first_kept = given / 4;
    options.retention_us = 1;
    options.has_now = true;
    options.now_us = (int64_t)(1000 + 2 * first_kept) * 1000000 + 1;
    trace_mark(MARK_EXPIRING, first_kept);
    store_must(ecshist_compact(store, &options, NULL, &error), "compact", &error);
    trace_mark(MARK_EXPIRED, first_kept);
}

static const struct {
    const char *name;
    void (*run)(void);
} steps[] = {
    {"create", open_it},
    {"append ones", append_ones},
    {"append a hundred", append_hundred},
    {"close a new store", close_it},
    {"open a clean store", open_it},
    {"append to it", append_ones},
    {"seal", append_until_sealed},
    {"rebuild", rebuild},
    {"append after the rebuild", append_ones},
    {"compact", compact},
    {"append after the compaction", append_ones},
    {"seal again", append_until_sealed},
    {"compact again", compact},
    {"append a hundred more", append_hundred},
    {"close", close_it},
    {"open", open_it},
    {"append to the end", append_ones},
    {"close at the end", close_it},
};

enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };

size_t script_step_count(void)
{
    return STEP_COUNT;
}

const char *script_step_name(size_t step)
{
    return step < STEP_COUNT ? steps[step].name : "the beginning";
}

void script_run(const char *directory)
{
    snprintf(path, sizeof(path), "%s/store", directory);
    given = 0;
#ifdef ECSHIST_TEST_HOOKS
    ehi_behind_test_hold_us =
        INT64_C(1000000000); /* what is put is put by the steps, not by the clock */
#endif
    for (size_t i = 0; i < STEP_COUNT; i++) {
        trace_mark(MARK_STEP, i);
        steps[i].run();
    }
}

/* -- checking ---------------------------------------------------------------------------------- */

enum { MOST_EVENTS = 4096 };

static bool present[MOST_EVENTS];
static bool probed;

static _Noreturn void wrong(const char *format, ...) ECSHIST_PRINTF(1, 2);
static _Noreturn void wrong(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "%s\n", text);
    _exit(1);
}

static void note_event(const struct ecshist_event_info *info)
{
    if (strcmp(info->id, "probe") == 0) {
        probed = true;
        return;
    }
    uint64_t number = strtoull(info->id + 1, NULL, 10);
    if (info->id[0] != 'e' || number >= MOST_EVENTS || present[number])
        wrong("event %" PRIu64 " is one that there cannot be: %s", info->seq, info->id);
    if (info->time_us != (int64_t)(1000 + number) * 1000000)
        wrong("event %" PRIu64 " is not what it was", info->seq);
    present[number] = true;
}

static void read_events(void)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event = NULL;
    uint64_t last = 0;
    memset(present, 0, sizeof(present));
    probed = false;
    if (ecshist_cursor_open(store, 1, &cursor, &error) != ECSHIST_OK)
        wrong("cursor: %s", error.message);
    while (ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        if (info.seq <= last)
            wrong("event %" PRIu64 " comes after event %" PRIu64, info.seq, last);
        last = info.seq;
        if (strcmp(info.type, "history-expired") != 0)
            note_event(&info);
    }
    if (error.code != ECSHIST_END)
        wrong("cursor: %s", error.message);
    ecshist_cursor_close(cursor);
}

static void check_acknowledged(const struct script_moment *m)
{
    for (uint64_t i = 0; i < m->acked; i++) {
        bool gone = i / 2 < m->expired, may_go = i / 2 < m->expiring;
        if (present[i] && gone)
            wrong("event e%" PRIu64 " has expired, and is there", i);
        if (!present[i] && !may_go)
            wrong("event e%" PRIu64 " was acknowledged, and is not there", i);
        if (may_go && i % 2 == 1 && present[i] != present[i - 1])
            wrong("deployment d%" PRIu64 " is there by half", i / 2);
    }
}

static void check_under_way(const struct script_moment *m)
{
    for (uint64_t i = m->acked; i < m->begun; i++) {
        if (present[i] != present[m->acked])
            wrong("of the events e%" PRIu64 " to e%" PRIu64 " there is a part", m->acked,
                  m->begun - 1);
    }
    for (uint64_t i = m->begun; i < MOST_EVENTS; i++) {
        if (present[i])
            wrong("event e%" PRIu64 " is there before it was given", i);
    }
}

static void check_views(const struct script_moment *m)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot = NULL;
    if (ecshist_snapshot_open(store, &snapshot, &error) != ECSHIST_OK)
        wrong("snapshot: %s", error.message);
    for (uint64_t i = 1; i < m->begun; i += 2) {
        char arn[256];
        const char *arns[1] = {arn};
        ecshist_result *result = NULL;
        snprintf(arn, sizeof(arn), TEST_DEPLOYMENT_ARN("d%" PRIu64), i / 2);
        if (ecshist_describe_service_deployments(snapshot, arns, 1, NULL, &result, &error) !=
            ECSHIST_OK)
            wrong("describe: %s", error.message);
        struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
        bool found = ecshist_result_count(result) == 1;
        if (found)
            (void)ecshist_result_deployment(result, 0, &view);
        if (found != present[i - 1] ||
            (found && (view.status == ECSHIST_STATUS_STOPPED) != present[i]))
            wrong("the view of d%" PRIu64 " is not that of its events", i / 2);
        ecshist_result_free(result);
    }
    ecshist_snapshot_close(snapshot);
}

static bool tell(void *context, const struct ecshist_finding *finding)
{
    (void)context;
    wrong("verify: %s, segment %" PRIu64 ", offset %" PRIu64 ", event %" PRIu64 ": %s",
          finding->invariant, finding->segment, finding->offset, finding->seq, finding->text);
    return false;
}

static void verify(void)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    if (ecshist_verify(path, NULL, tell, NULL, NULL, &error) != ECSHIST_OK)
        wrong("verify: %s", error.message);
}

static void open_checked(void)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    options.flags = ECSHIST_OPEN_CREATE;
    options.segment_bytes = ECSHIST_MIN_SEGMENT_BYTES;
    options.map_bytes = UINT64_C(1) << 26;
    if (ecshist_open(path, &options, &store, &error) != ECSHIST_OK)
        wrong("open: %s", error.message);
}

static void probe(void)
{
    static const char event[] =
        "{\"type\":\"deployment-started\",\"id\":\"probe\",\"time\":9000000," OF_DEPLOYMENT(
            "probe") "," TO_REVISION("r1") "}";
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    if (ecshist_append_json(store, event, sizeof(event) - 1, NULL, NULL, &error) != ECSHIST_OK)
        wrong("append afterwards: %s", error.message);
}

_Noreturn void script_check(const char *directory, const struct script_moment *moment)
{
    snprintf(path, sizeof(path), "%s/store", directory);
    open_checked();
    read_events();
    check_acknowledged(moment);
    check_under_way(moment);
    check_views(moment);
    verify();
    probe();
    ecshist_close(store);
    open_checked();
    read_events();
    if (!probed)
        wrong("the event that was appended afterwards is not there");
    check_acknowledged(moment);
    check_under_way(moment);
    ecshist_close(store);
    _exit(0);
}
