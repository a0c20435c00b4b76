/*
 * For kill.sh: what an append has returned must be there whatever happens afterwards.
 *
 *   acknowledge append STORE ACKS SEED
 *       appends until it is killed; writes "SEQ ID SUBJECT" of each event to ACKS after its append
 *       returned
 *   acknowledge check STORE ACKS
 *       every event of ACKS is in the log, at its place; the log has no gaps and nothing twice
 *   acknowledge views STORE
 *       all that the store holds equals what it holds after a rebuild of its index
 */
#include "support/hold.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- appending --------------------------------------------------------------------------------- */

enum { MOST_EVENTS = 16, ACK_BYTES = 512 };

/* Ends the line of an acknowledgement: one that a kill cut short has none. */
#define ACK_END " .\n"

struct writer {
    ecshist_store *store;
    int acks;
    uint64_t seed;
    struct random_events random;
};

/* One write for a whole append: an event is acknowledged when its line is there. */
static void acknowledge(const struct writer *writer, ecshist_event *const *events, size_t count,
                        const struct ecshist_append_result *results)
{
    char text[MOST_EVENTS * ACK_BYTES];
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        /*
         * A duplicate's seq is the first one's, whose id may be another: a revision recorded twice.
         */
        if (results[i].seq == 0 || results[i].outcome == ECSHIST_OUTCOME_DUPLICATE)
            continue;
        ecshist_event_info(events[i], &info);
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%" PRIu64 " %s %s" ACK_END,
                             results[i].seq, info.id, info.subject_arn);
    }
    if (write(writer->acks, text, length) != (ssize_t)length)
        abort();
}

static void append(const struct writer *writer, ecshist_event **events, size_t count,
                   unsigned flags)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    struct ecshist_append_result results[MOST_EVENTS];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    options.flags = flags;
    for (size_t i = 0; i < count; i++)
        results[i] = (struct ecshist_append_result)ECSHIST_APPEND_RESULT_INIT;
    int rc = ecshist_append(writer->store, (const ecshist_event *const *)events, count, &options,
                            results, &error);
    if (rc == ECSHIST_IO || rc == ECSHIST_INDEX || rc == ECSHIST_DAMAGED ||
        rc == ECSHIST_OUTCOME_UNKNOWN)
        store_must(rc, "append", &error);
    acknowledge(writer, events, count, results);
    for (size_t i = 0; i < count; i++)
        ecshist_event_free(events[i]);
}

/* Events about the few deployments of the random streams: many are duplicates, or come too late. */
static void append_random(struct writer *writer)
{
    ecshist_event *events[MOST_EVENTS];
    size_t count =
        1 + random_below(&writer->random, random_percent(&writer->random, 50) ? 1 : MOST_EVENTS);
    for (size_t i = 0; i < count; i++) {
        json_t *value = random_events_next(&writer->random);
        char *line = json_dumps(value, JSON_COMPACT);
        events[i] = store_event("%s", line);
        free(line);
        json_decref(value);
    }
    append(writer, events, count, ECSHIST_APPEND_LENIENT | ECSHIST_APPEND_EACH);
}

/* The life of a deployment of its own, as one batch that is all or nothing. */
static void append_life(struct writer *writer, unsigned number)
{
    ecshist_event *events[MOST_EVENTS];
    size_t count = 0;
    unsigned long long seed = writer->seed;
    events[count++] = store_event("{\"type\":\"deployment-created\",\"time\":%u," OF_DEPLOYMENT(
                                      "d%llu-%u") "," TO_REVISION("r1") "}",
                                  1000 + number, seed, number);
    events[count++] =
        store_event("{\"type\":\"deployment-started\",\"time\":%u," OF_DEPLOYMENT("d%llu-%u") "}",
                    1001 + number, seed, number);
    while (count < 3 + number % 8) {
        events[count] = store_event("{\"type\":\"task-healthy\",\"time\":%zu," OF_DEPLOYMENT(
                                        "d%llu-%u") "," OF_TASK("t") "}",
                                    1001 + number + count, seed, number);
        count++;
    }
    events[count++] =
        store_event("{\"type\":\"deployment-succeeded\",\"time\":%u," OF_DEPLOYMENT("d%llu-%u") "}",
                    1100 + number, seed, number);
    append(writer, events, count, 0);
}

static int append_until_killed(const char *path, const char *acks, uint64_t seed)
{
    struct writer writer = {.seed = seed};
    writer.acks = open(acks, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /*
     * What the writer before this one was killed in the middle of must not run into our first line.
     */
    if (writer.acks < 0 || write(writer.acks, "\n", 1) != 1)
        return 1;
    writer.store = store_dir_open(path);
    random_events_start(&writer.random, seed);
    for (unsigned i = 0;; i++) {
        if (random_percent(&writer.random, 70))
            append_random(&writer);
        else
            append_life(&writer, i);
    }
}

/* -- checking ---------------------------------------------------------------------------------- */

/* Lines "SEQ ID SUBJECT" of the log, by seq - 1. */
struct lines {
    char **lines;
    size_t count, capacity;
};

static void add_line(struct lines *log, const struct ecshist_event_info *info)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity == 0 ? 1024 : log->capacity * 2;
        log->lines = realloc(log->lines, log->capacity * sizeof(*log->lines));
    }
    if (log->lines == NULL || asprintf(&log->lines[log->count], "%" PRIu64 " %s %s", info->seq,
                                       info->id, info->subject_arn) < 0)
        abort();
    log->count++;
}

static void read_log(ecshist_store *store, struct lines *log)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event;
    store_must(ecshist_cursor_open(store, 1, &cursor, &error), "cursor", &error);
    int rc;
    while ((rc = ecshist_cursor_next(cursor, &event, &error)) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        if (info.seq != log->count + 1) {
            fprintf(stderr, "event %" PRIu64 " stands behind event %zu\n", info.seq, log->count);
            exit(1);
        }
        add_line(log, &info);
    }
    if (rc != ECSHIST_END)
        store_must(rc, "cursor", &error);
    ecshist_cursor_close(cursor);
}

/* An acknowledgement that was cut short by the kill is none. */
static size_t count_lost(const struct lines *log, FILE *acks, size_t *acknowledged)
{
    char line[ACK_BYTES * 2];
    size_t lost = 0;
    while (fgets(line, sizeof(line), acks) != NULL) {
        char *end = strstr(line, ACK_END);
        if (end == NULL)
            continue;
        *end = '\0';
        uint64_t seq = strtoull(line, NULL, 10);
        (*acknowledged)++;
        if (seq != 0 && seq <= log->count && strcmp(log->lines[seq - 1], line) == 0)
            continue;
        fprintf(stderr, "lost: %s\n", line);
        lost++;
    }
    return lost;
}

static int compare_without_seq(const void *a, const void *b)
{
    return strcmp(strchr(*(char *const *)a, ' '), strchr(*(char *const *)b, ' '));
}

/* Sorts the lines. */
static size_t count_twice(struct lines *log)
{
    size_t twice = 0;
    if (log->count == 0)
        return 0;
    qsort(log->lines, log->count, sizeof(*log->lines), compare_without_seq);
    for (size_t i = 1; i < log->count; i++) {
        if (compare_without_seq(&log->lines[i - 1], &log->lines[i]) != 0)
            continue;
        fprintf(stderr, "twice: %s and %s\n", log->lines[i - 1], log->lines[i]);
        twice++;
    }
    return twice;
}

static int check(const char *path, const char *acks_path)
{
    struct lines log = {0};
    size_t acknowledged = 0, lost = 0;
    ecshist_store *store = store_dir_open(path);
    read_log(store, &log);
    ecshist_close(store);
    FILE *acks = fopen(acks_path, "re");
    if (acks != NULL) {
        lost = count_lost(&log, acks, &acknowledged);
        fclose(acks);
    }
    size_t twice = count_twice(&log);
    printf("%zu events, %zu acknowledged, %zu lost, %zu twice\n", log.count, acknowledged, lost,
           twice);
    for (size_t i = 0; i < log.count; i++)
        free(log.lines[i]);
    free(log.lines);
    return lost == 0 && twice == 0 ? 0 : 1;
}

static int compare_views(const char *path)
{
    ecshist_store *store = store_dir_open(path);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *before = hold_all(store);
    store_must(ecshist_rebuild_index(store, NULL, NULL, &error), "rebuild", &error);
    char *after = hold_all(store);
    bool equal = strcmp(before, after) == 0;
    printf("%zu bytes of answers, %s after a rebuild\n", strlen(before),
           equal ? "equal" : "DIFFERENT");
    ecshist_close(store);
    free(before);
    free(after);
    return equal ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "append") == 0)
        return append_until_killed(argv[2], argv[3], strtoull(argv[4], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "check") == 0)
        return check(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "views") == 0)
        return compare_views(argv[2]);
    fprintf(stderr, "usage: acknowledge append STORE ACKS SEED | check STORE ACKS | views STORE\n");
    return 2;
}
