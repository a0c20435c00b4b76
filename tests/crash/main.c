/*
 * Every state that a power cut could leave of a store: a run of a script is recorded, and what was on the disk after each call
 * of it is built again in every way that what was synced allows; each way is checked. Usage:
 *
 *   crash [--random N] [--every N] [--processes N] [--forget NAME]
 *
 * --random: so many random subsets of sectors and names at each cut (4). --every: checks one of N states (1). --forget: does not
 * count the syncs of files whose name has NAME in it, as if the store had not made them; and wants a failure.
 */
#include "crash/model.h"
#include "crash/script.h"
#include "support/store_dir.h"
#include "upkeep/compact.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHECK_SECONDS = 60, MOST_PROCESSES = 64, SHOWN = 10 };

struct options {
    uint64_t random, every, processes;
    const char *forget;
};

/* What the processes that check have found, together. */
struct tally {
    uint64_t built, distinct, checked, failed;
};

struct explorer {
    const struct options *options;
    const struct trace *trace;
    struct model *model;
    struct script_moment moment;
    uint64_t process;
    struct tally *tally;
    uint64_t *seen; /* hashes of states, an open table */
    size_t seen_count, seen_capacity;
    char *scratch;
};

static void record_run(struct trace *trace, const char *directory)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        ehi_compact_test_always_shrinks = true;
        trace_start(trace, directory);
        script_run(directory);
        trace_stop();
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the script failed\n");
        exit(1);
    }
    if (trace->full || trace->count == 0) {
        fprintf(stderr, "the trace is %s\n", trace->full ? "full" : "empty");
        exit(1);
    }
}

/* -- states seen ------------------------------------------------------------------------------- */

static bool enter(uint64_t *table, size_t capacity, uint64_t hash)
{
    size_t at = hash & (capacity - 1);
    while (table[at] != 0 && table[at] != hash)
        at = (at + 1) & (capacity - 1);
    bool is_new = table[at] == 0;
    table[at] = hash;
    return is_new;
}

/* What a state must have depends on the moment, too. */
static bool is_new_state(struct explorer *e, uint64_t hash)
{
    const struct script_moment *m = &e->moment;
    hash ^= (m->acked * 1000003 + m->begun) * 1000003 + m->expiring * 31 + m->expired;
    hash += hash == 0;
    if (e->seen_count * 2 >= e->seen_capacity) {
        size_t capacity = e->seen_capacity == 0 ? 65536 : e->seen_capacity * 2;
        uint64_t *table = calloc(capacity, sizeof(*table));
        for (size_t i = 0; i < e->seen_capacity; i++) {
            if (e->seen[i] != 0)
                enter(table, capacity, e->seen[i]);
        }
        free(e->seen);
        e->seen = table;
        e->seen_capacity = capacity;
    }
    bool is_new = enter(e->seen, e->seen_capacity, hash);
    e->seen_count += is_new;
    return is_new;
}

/* -- checking one ------------------------------------------------------------------------------ */

static void describe(const struct explorer *e, const struct variant *v, char *text, size_t size)
{
    char item[200] = "";
    switch (v->kind) {
    case KEEP_ALL:
        snprintf(text, size, "all is there");
        break;
    case DROP_ALL:
        snprintf(text, size, "nothing is there that was not synced");
        break;
    case DROP_ONE:
        model_describe(e->model, v->which, item, sizeof(item));
        snprintf(text, size, "all is there but %s", item);
        break;
    case KEEP_ONE:
        model_describe(e->model, v->which, item, sizeof(item));
        snprintf(text, size, "of what was not synced only %s is there", item);
        break;
    case KEEP_RANDOM:
        snprintf(text, size, "a part is there, by seed %" PRIu64, v->seed);
        break;
    }
}

static void report(const struct explorer *e, size_t cut, const struct variant *v, int status)
{
    char how[300];
    describe(e, v, how, sizeof(how));
    if (__atomic_add_fetch(&e->tally->failed, 1, __ATOMIC_RELAXED) > SHOWN)
        return;
    dprintf(STDERR_FILENO, "  ^ status %x; cut behind call %zu, in \"%s\": %s\n", (unsigned)status,
            cut, script_step_name((size_t)e->moment.step), how);
}

static void check(struct explorer *e, size_t cut, const struct variant *v)
{
    int status;
    char *directory = store_dir_new_in(e->scratch);
    model_write(e->model, directory);
    pid_t child = fork();
    if (child == 0) {
        alarm(CHECK_SECONDS);
        if (e->options->forget != NULL && freopen("/dev/null", "w", stderr) == NULL)
            _exit(99);
        script_check(directory, &e->moment);
    }
    if (waitpid(child, &status, 0) != child)
        abort();
    if (status != 0)
        report(e, cut, v, status);
    __atomic_add_fetch(&e->tally->checked, 1, __ATOMIC_RELAXED);
    store_dir_remove(directory);
}

/* A sync that is forgotten has been found out by the first failure. */
static bool found_out(const struct explorer *e)
{
    return e->options->forget != NULL && __atomic_load_n(&e->tally->failed, __ATOMIC_RELAXED) > 0;
}

static void try_variant(struct explorer *e, size_t cut, const struct variant *v)
{
    uint64_t hash = model_build(e->model, v);
    bool mine = hash % e->options->processes == e->process;
    if (e->process == 0)
        e->tally->built++;
    if (!mine || !is_new_state(e, hash))
        return;
    __atomic_add_fetch(&e->tally->distinct, 1, __ATOMIC_RELAXED);
    if (hash / e->options->processes % e->options->every == 0)
        check(e, cut, v);
}

static void try_cut(struct explorer *e, size_t cut)
{
    size_t items = model_cut(e->model, cut);
    try_variant(e, cut, &(struct variant){.kind = KEEP_ALL});
    try_variant(e, cut, &(struct variant){.kind = DROP_ALL});
    for (size_t i = 0; i < items; i++) {
        try_variant(e, cut, &(struct variant){.kind = DROP_ONE, .which = i});
        try_variant(e, cut, &(struct variant){.kind = KEEP_ONE, .which = i});
    }
    for (uint64_t i = 0; items > 0 && i < e->options->random; i++)
        try_variant(e, cut, &(struct variant){.kind = KEEP_RANDOM, .seed = cut * 1000 + i});
}

static void note_mark(struct script_moment *m, const struct trace_op *op)
{
    uint64_t *const numbers[] = {[MARK_BEGUN] = &m->begun,
                                 [MARK_ACKED] = &m->acked,
                                 [MARK_EXPIRING] = &m->expiring,
                                 [MARK_EXPIRED] = &m->expired,
                                 [MARK_STEP] = &m->step};
    *numbers[op->offset] = op->length;
}

static void explore(struct explorer *e)
{
    for (size_t cut = 1; cut <= e->trace->count && !found_out(e); cut++) {
        const struct trace_op *last = &e->trace->ops[cut - 1];
        if (last->kind == TRACE_MARK)
            note_mark(&e->moment, last);
        try_cut(e, cut);
    }
}

/* -- all of it --------------------------------------------------------------------------------- */

static void explore_together(const struct options *options, const struct trace *trace,
                             struct tally *tally, char *scratch)
{
    pid_t children[MOST_PROCESSES];
    fflush(NULL);
    for (uint64_t i = 0; i < options->processes; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        struct explorer e = {.options = options,
                             .trace = trace,
                             .model = model_new(trace),
                             .process = i,
                             .tally = tally,
                             .scratch = scratch};
        explore(&e);
        model_free(e.model);
        free(e.seen);
        _exit(0);
    }
    for (uint64_t i = 0; i < options->processes; i++) {
        int status;
        if (waitpid(children[i], &status, 0) != children[i] || status != 0) {
            fprintf(stderr, "a process that checks ended with %x\n", (unsigned)status);
            tally->failed++;
        }
    }
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long n = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || *end != '\0' || errno != 0 || n < least || n > most) {
        fprintf(stderr, "a number from %" PRIu64 " to %" PRIu64 " is needed\n", least, most);
        exit(2);
    }
    return n;
}

static struct options read_options(char **argv)
{
    struct options options = {4, 1, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), NULL};
    for (int i = 1; argv[i] != NULL; i += 2) {
        if (strcmp(argv[i], "--random") == 0)
            options.random = number(argv[i + 1], 0, 999);
        else if (strcmp(argv[i], "--every") == 0)
            options.every = number(argv[i + 1], 1, 1000000);
        else if (strcmp(argv[i], "--processes") == 0)
            options.processes = number(argv[i + 1], 1, MOST_PROCESSES);
        else if (strcmp(argv[i], "--forget") == 0 && argv[i + 1] != NULL)
            options.forget = argv[i + 1];
        else {
            fprintf(stderr,
                    "usage: crash [--random N] [--every N] [--processes N] [--forget NAME]\n");
            exit(2);
        }
    }
    if (options.processes > MOST_PROCESSES)
        options.processes = MOST_PROCESSES;
    return options;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct options options = read_options(argv);
    struct trace *trace = trace_new();
    struct tally *tally =
        mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *scratch = store_dir_new();
    char *recorded = store_dir_new_in(scratch);
    trace_forget_sync(options.forget);
    record_run(trace, recorded);
    explore_together(&options, trace, tally, scratch);
    store_dir_remove(recorded);
    store_dir_remove(scratch);
    printf("%zu calls, %" PRIu64 " states, %" PRIu64 " of them distinct, %" PRIu64
           " checked, %" PRIu64 " failed\n",
           trace->count, tally->built, tally->distinct, tally->checked, tally->failed);
    if (options.forget == NULL)
        return tally->failed == 0 && tally->checked > 0 ? 0 : 1;
    printf("without the syncs of %s: %s\n", options.forget,
           tally->failed > 0 ? "seen" : "NOT SEEN");
    return tally->failed > 0 ? 0 : 1;
}
