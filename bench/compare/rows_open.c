/* Rows of opening, and of memory: what a process of its own is needed for. */
#include "bench.h"

#include <ecshist/ecshist.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_EVENTS = 300 };

/* The events behind the first `skip`, as the parent has them. */
static struct item *child_events(uint64_t seed, uint64_t skip)
{
    struct history history;
    struct workload_event event;
    history_begin(&history, seed);
    for (uint64_t i = 0; i < skip; i++)
        workload_next(history.workload, &event);
    struct item *items = history_slice(&history, CHILD_EVENTS, true, true);
    history_end(&history);
    return items;
}

static const struct engine *engine_named(const char *name)
{
    for (size_t i = 0; all_engines[i] != NULL; i++)
        if (strcmp(all_engines[i]->name, name) == 0)
            return all_engines[i];
    fail("no engine %s", name);
}

/*
 * "ENGINE DIR SEED SKIP": opens, appends one event a call, says what memory of its own that took
 * (in KiB: opened, and after the appends), waits for its end: a signal, or that of its input.
 */
int child_main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    const struct engine *engine = engine_named(argv[0]);
    struct item *items = child_events(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    struct side side = {.engine = engine};
    uint64_t before = rss_anon();
    side_open(&side, argv[1]);
    uint64_t idle = rss_anon();
    append_all(&side, items, CHILD_EVENTS, 1, NULL);
    uint64_t appending = rss_anon();
    printf("%" PRIu64 " %" PRIu64 "\n", idle - before, appending - before);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    side_close(&side);
    return 0;
}

struct child {
    pid_t pid;
    int to;
    FILE *from;
};

static void child_exec(const struct bench *b, const struct side *side, int in, int out)
{
    char seed[32], skip[32];
    snprintf(seed, sizeof(seed), "%" PRIu64, b->options.seed);
    snprintf(skip, sizeof(skip), "%" PRIu64, b->history.count);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        execl("/proc/self/exe", "bench_compare", "--child", side->engine->name, side->dir, seed,
              skip, (char *)NULL);
    _exit(127);
}

static void child_begin(const struct bench *b, const struct side *side, struct child *child)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        fail("no pipe: %s", strerror(errno));
    child->pid = fork();
    if (child->pid == 0)
        child_exec(b, side, in[0], out[1]);
    if (child->pid < 0)
        fail("no child: %s", strerror(errno));
    close(in[0]);
    close(out[1]);
    child->to = in[1];
    child->from = must(fdopen(out[0], "r"));
}

static void child_wait(const struct side *side, struct child *child, double *idle,
                       double *appending)
{
    if (fscanf(child->from, "%lf %lf", idle, appending) != 2)
        fail("the child of %s failed", side->engine->name);
}

static void child_end(struct child *child, bool killed)
{
    int status;
    if (killed)
        kill(child->pid, SIGKILL);
    fclose(child->from);
    close(child->to);
    if (waitpid(child->pid, &status, 0) != child->pid)
        fail("no end of a child: %s", strerror(errno));
}

/* Opens the side again and says how long that took. */
static void time_open(struct side *side, const char *row)
{
    settle();
    uint64_t from = now_ns();
    side->store = side->engine->open(side->dir);
    result_add(row, side->engine->name, "time", "ms", (double)(now_ns() - from) / 1e6);
    side->writer = side->engine->attach(side->store, true);
}

static void open_killed(struct bench *b, struct side *side)
{
    struct child child;
    double idle, appending;
    side_close(side);
    child_begin(b, side, &child);
    child_wait(side, &child, &idle, &appending);
    child_end(&child, true);
    time_open(side, "open-killed");
}

/* What a power cut leaves: an index that is not trusted. The open makes it anew from the log. */
static void open_rebuild(struct bench *b)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct side *side = side_of(b, "ecshist");
    ecshist_store *store;
    if (side == NULL)
        return;
    side_close(side);
    settle();
    options.flags = ECSHIST_OPEN_REBUILD;
    uint64_t from = now_ns();
    if (ecshist_open(side->dir, &options, &store, &error) != ECSHIST_OK)
        fail("ecshist: %s", error.message);
    result_add("open-rebuild", "ecshist", "time", "ms", (double)(now_ns() - from) / 1e6);
    ecshist_close(store);
    side_open(side, side->dir);
}

/* The parent's history passes over what the children have appended. */
static void pass_over(struct bench *b)
{
    items_free(history_slice(&b->history, CHILD_EVENTS, false, false), CHILD_EVENTS);
}

void rows_open(struct bench *b)
{
    for (unsigned round = 0; round < b->options.rounds; round++) {
        for (size_t i = 0; i < b->side_count; i++) {
            struct side *side = &b->sides[(round + i) % b->side_count];
            if (!side->engine->reads)
                continue;
            side_close(side);
            time_open(side, "open-clean");
            open_killed(b, side);
        }
        pass_over(b);
        open_rebuild(b);
    }
}

void row_memory(struct bench *b)
{
    for (size_t i = 0; i < b->side_count; i++) {
        struct side *side = &b->sides[i];
        struct child child;
        double idle, appending;
        if (!side->engine->reads)
            continue;
        side_close(side);
        child_begin(b, side, &child);
        child_wait(side, &child, &idle, &appending);
        child_end(&child, false);
        side_open(side, side->dir);
        result_add("memory", side->engine->name, "idle", "KiB", idle);
        result_add("memory", side->engine->name, "appending", "KiB", appending);
    }
    pass_over(b);
}
