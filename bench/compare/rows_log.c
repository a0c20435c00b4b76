/* Rows of the log as a whole, of what it takes on disk, and of the tool that fills it. */
#include "bench.h"

#include <ecshist/ecshist.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int code, const struct ecshist_error *error)
{
    if (code != ECSHIST_OK)
        fail("ecshist: %s", error->message);
}

/* Every event, in order, its frame's checksum looked at, and decoded. Returns how many. */
static uint64_t scan(ecshist_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor;
    const ecshist_event *event;
    uint64_t count = 0;
    int code;
    check(ecshist_cursor_open(store, 1, &cursor, &error), &error);
    while ((code = ecshist_cursor_next(cursor, &event, &error)) == ECSHIST_OK)
        count++;
    if (code != ECSHIST_END)
        check(code, &error);
    ecshist_cursor_close(cursor);
    return count;
}

static void add_rate(const char *row, uint64_t events, uint64_t bytes, uint64_t ns)
{
    result_add(row, "ecshist", "rate", "events/s", (double)events * 1e9 / (double)ns);
    result_add(row, "ecshist", "bytes", "MB/s", (double)bytes * 1e3 / (double)ns);
}

/* Long rows have three rounds at the most. */
static unsigned few(const struct bench *b)
{
    return b->options.rounds < 3 ? b->options.rounds : 3;
}

void rows_log(struct bench *b)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    struct side *side = side_of(b, "ecshist");
    if (side == NULL)
        return;
    check(ecshist_stat(side->store, &stat, &error), &error);
    for (unsigned round = 0; round < few(b); round++) {
        settle();
        uint64_t from = now_ns();
        if (in_list(b->options.rows, "scan")) {
            if (scan(side->store) != stat.event_count)
                fail("the scan has missed events");
            add_rate("scan", stat.event_count, stat.log_used_bytes, now_ns() - from);
        }
        settle();
        from = now_ns();
        if (in_list(b->options.rows, "rebuild-index")) {
            check(ecshist_rebuild_index(side->store, NULL, NULL, &error), &error);
            add_rate("rebuild-index", stat.event_count, stat.log_used_bytes, now_ns() - from);
        }
    }
}

/* An engine's store of `count` events that came in batches of 100. */
static void fill(struct side *side, uint64_t count)
{
    enum { SLICE = 10000, BATCH = 100 };
    struct history history;
    history_begin(&history, 7);
    for (uint64_t done = 0; done < count; done += SLICE) {
        struct item *items = history_slice(&history, SLICE, side->engine == &engine_ecshist,
                                           side->engine != &engine_ecshist);
        for (size_t i = 0; i < SLICE; i += BATCH)
            side->engine->append(side->writer, items + i, BATCH);
        items_free(items, SLICE);
    }
    history_end(&history);
}

static void add_size(const char *row, const char *engine, struct tree_size size, uint64_t count)
{
    result_add(row, engine, "apparent", "bytes/event", (double)size.apparent / (double)count);
    result_add(row, engine, "allocated", "bytes/event", (double)size.allocated / (double)count);
}

/* The two halves of ecshist's, and the log without the zeros ahead of its tail. */
static void add_parts(const char *dir, uint64_t count)
{
    char path[4200];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    ecshist_store *store;
    snprintf(path, sizeof(path), "%s/log", dir);
    add_size("bytes-log", "ecshist", tree_size(path), count);
    snprintf(path, sizeof(path), "%s/index", dir);
    add_size("bytes-index", "ecshist", tree_size(path), count);
    check(ecshist_open(dir, NULL, &store, &error), &error);
    check(ecshist_stat(store, &stat, &error), &error);
    result_add("bytes-log", "ecshist", "used", "bytes/event",
               (double)stat.log_used_bytes / (double)count);
    ecshist_close(store);
}

void row_bytes(struct bench *b)
{
    uint64_t count = b->options.quick ? 20000 : 100000;
    for (size_t i = 0; i < b->side_count; i++) {
        struct side side = {.engine = b->sides[i].engine};
        char path[4096];
        side_open(&side, work_path(path, "bytes"));
        fill(&side, count);
        side_close(&side);
        add_size("bytes", side.engine->name, tree_size(side.dir), count);
        if (side.engine == &engine_ecshist)
            add_parts(side.dir, count);
        if (side.engine->compact != NULL) {
            side_open(&side, side.dir);
            side.engine->compact(side.store);
            side_close(&side);
            add_size("bytes-compacted", side.engine->name, tree_size(side.dir), count);
        }
        remove_tree(side.dir);
    }
}

/* The tool beside this program. */
static void tool_path(char out[4096], const char *name)
{
    ssize_t length = readlink("/proc/self/exe", out, 4000);
    if (length <= 0)
        fail("/proc/self/exe: %s", strerror(errno));
    out[length] = '\0';
    strcpy(strrchr(out, '/') + 1, name);
}

static void run_ingest(const char *tool, const char *store, const char *input)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) != NULL)
            execl(tool, tool, "--store", store, input, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("%s did not work", tool);
}

static uint64_t write_history(const char *path, uint64_t count)
{
    char json[WORKLOAD_JSON_BYTES];
    struct workload *workload = must(workload_new(1000, 200, 5, 60000));
    struct workload_event event;
    uint64_t bytes = 0;
    FILE *file = must(fopen(path, "we"));
    for (uint64_t i = 0; i < count; i++) {
        workload_next(workload, &event);
        size_t length = workload_json(&event, true, json);
        json[length++] = '\n';
        bytes += fwrite(json, 1, length, file);
    }
    if (fclose(file) != 0)
        fail("%s: %s", path, strerror(errno));
    workload_free(workload);
    return bytes;
}

void row_ingest(struct bench *b)
{
    char tool[4096], input[4096], store[4096];
    uint64_t count = b->options.quick ? 50000 : 500000;
    tool_path(tool, "ecshist-ingest");
    work_path(input, "events.jsonl");
    work_path(store, "ingested");
    if (access(tool, X_OK) != 0 || side_of(b, "ecshist") == NULL)
        return;
    uint64_t bytes = write_history(input, count);
    for (unsigned round = 0; round < few(b); round++) {
        settle();
        uint64_t from = now_ns();
        run_ingest(tool, store, input);
        add_rate("ingest", count, bytes, now_ns() - from);
        remove_tree(store);
    }
    remove_tree(input);
}
