/*
 * Whether the harness can fail: runs with one deliberate mistake each, which it must notice, and for
 * the right reason. Each in a child, since what is broken may crash.
 */
#include "faults/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The scenario whose run is spoilt. */
static const struct scenario *honest;

#ifndef SHIM_WRAPS
static void *leaked;

static int run_leaks(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    if (rc != ECSHIST_OK)
        leaked = malloc(100);
    return rc;
}
#endif

static int run_keeps_descriptor(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    if (rc != ECSHIST_OK && dup(STDERR_FILENO) < 0)
        abort();
    return rc;
}

static int run_leaves_file(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    char path[512];
    snprintf(path, sizeof(path), "%s/left", w->dir);
    if (rc != ECSHIST_OK)
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    return rc;
}

static int run_ignores_errors(struct world *w, struct ecshist_error *error)
{
    (void)!honest->run(w, error);
    return ECSHIST_OK;
}

static int run_ignores_results(struct world *w, struct ecshist_error *error)
{
    int rc = run_ignores_errors(w, error);
    for (size_t i = 0; i < w->event_count; i++) {
        w->results[i].outcome = ECSHIST_OUTCOME_APPENDED;
        w->results[i].seq = 19 + i;
    }
    return rc;
}

static int run_touches_results(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    if (rc != ECSHIST_OK)
        w->results[0].outcome = ECSHIST_OUTCOME_APPENDED;
    return rc;
}

static int run_touches_output(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    w->touched = w->touched || rc != ECSHIST_OK;
    return rc;
}

static int run_gives_wrong_code(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    if (rc != ECSHIST_OK)
        error->code = rc = ECSHIST_INVALID;
    return rc;
}

static int run_is_always_unknown(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    if (rc != ECSHIST_OK)
        error->code = rc = ECSHIST_OUTCOME_UNKNOWN;
    return rc;
}

static int run_says_nothing(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    if (rc != ECSHIST_OK)
        snprintf(error->message, sizeof(error->message), "it failed");
    return rc;
}

/* A handle that did not get over a failure. */
static int run_stays_broken(struct world *w, struct ecshist_error *error)
{
    static const ecshist_store *broken;
    struct ecshist_error again = ECSHIST_ERROR_INIT;
    if (broken == w->store) {
        again.code = ECSHIST_IO;
        *error = again;
        return ECSHIST_IO;
    }
    int rc = honest->run(w, error);
    broken = rc == ECSHIST_OK ? NULL : w->store;
    return rc;
}

/* A handle that goes on although an outcome is unknown. */
static int run_forgets_unknown(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    if (rc == ECSHIST_OUTCOME_UNKNOWN && strstr(error->message, "earlier") != NULL)
        return ECSHIST_OK;
    return rc;
}

static int run_is_stopped_by_signals(struct world *w, struct ecshist_error *error)
{
    int rc = honest->run(w, error);
    struct ecshist_error own = ECSHIST_ERROR_INIT;
    if (rc == ECSHIST_OK && fsync(STDERR_FILENO) != 0 && errno == EINTR) {
        own.code = rc = ECSHIST_IO;
        *error = own;
    }
    return rc;
}

static const struct mistake {
    const char *name;
    const char *scenario;
    enum shim_class class;
    int (*run)(struct world *w, struct ecshist_error *error); /* NULL: the honest one */
    enum shim_lie lie;
    const char *noticed; /* a part of what the harness says */
} mistakes[] = {
#ifndef SHIM_WRAPS
    {"a leak", "append-1", SHIM_MEMORY, run_leaks, SHIM_HONEST, "blocks of memory leaked"},
#endif
    {"a descriptor kept", "open", SHIM_EIO, run_keeps_descriptor, SHIM_HONEST,
     "descriptors are open"},
    {"a file left", "append-1", SHIM_ENOSPC, run_leaves_file, SHIM_HONEST, "these files are there"},
    {"an error ignored", "append-1", SHIM_ENOSPC, run_ignores_errors, SHIM_HONEST, "it gives"},
    {"an event lost", "append-1", SHIM_EIO, run_ignores_results, SHIM_HONEST, "the store holds"},
    {"a frame dropped", "append-1", SHIM_EIO, NULL, SHIM_DROP_FRAMES, "does not open afterwards"},
    {"results of a failure", "append-1", SHIM_MEMORY, run_touches_results, SHIM_HONEST,
     "has the outcome"},
    {"an output touched", "describe", SHIM_MEMORY, run_touches_output, SHIM_HONEST,
     "an output was touched"},
    {"a wrong code", "append-1", SHIM_MEMORY, run_gives_wrong_code, SHIM_HONEST,
     "the code INVALID"},
    {"unknown without need", "append-1", SHIM_EIO, run_is_always_unknown, SHIM_HONEST,
     "the code OUTCOME_UNKNOWN"},
    {"no reason", "open", SHIM_LIMIT, run_says_nothing, SHIM_HONEST, "does not say why"},
    {"a handle that stays broken", "append-1", SHIM_EIO, run_stays_broken, SHIM_HONEST,
     "although calls work again"},
    {"an unknown outcome forgotten", "append-1", SHIM_EIO, run_forgets_unknown, SHIM_HONEST,
     "the handle takes an append"},
    {"signals", "append-1", SHIM_EINTR, run_is_stopped_by_signals, SHIM_HONEST,
     "it should have gone on"},
};

static const struct scenario *find_scenario(const char *name)
{
    for (size_t i = 0; i < scenario_count; i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    }
    abort();
}

static unsigned run_mistake(const struct mistake *mistake)
{
    honest = find_scenario(mistake->scenario);
    struct scenario spoilt = *honest;
    if (mistake->run != NULL)
        spoilt.run = mistake->run;
    shim_lie = mistake->lie;
    struct run_options options = {.class = mistake->class, .scenario = spoilt.name};
    return run_class(&options, &spoilt, 1);
}

/* What the run said, up to `size`; *status: how it ended. */
static void run_in_child(const struct mistake *mistake, char *text, size_t size, int *status)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        abort();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)dup2(ends[1], STDOUT_FILENO);
        _exit(run_mistake(mistake) != 0);
    }
    close(ends[1]);
    size_t length = 0;
    char rest[4096];
    ssize_t n = 1;
    while (n > 0) {
        bool room = length < size - 1;
        n = room ? read(ends[0], text + length, size - 1 - length) : read(ends[0], rest, 4096);
        length += room && n > 0 ? (size_t)n : 0;
    }
    text[length] = '\0';
    close(ends[0]);
    if (child < 0 || waitpid(child, status, 0) != child)
        abort();
}

unsigned run_self_check(void)
{
    enum { SAID = 1 << 20 };
    const unsigned count = sizeof(mistakes) / sizeof(mistakes[0]);
    unsigned noticed = 0;
    char *said = malloc(SAID);
    if (said == NULL)
        abort();
    for (unsigned i = 0; i < count; i++) {
        int status = 0;
        run_in_child(&mistakes[i], said, SAID, &status);
        if (status != 0 && strstr(said, mistakes[i].noticed) != NULL)
            noticed++;
        else
            fprintf(stderr, "FAILED not noticed: %s (status %d)\n%.4000s\n", mistakes[i].name,
                    status, said);
    }
    free(said);
    printf("faults self-check: %u mistakes, %u noticed, %u failures\n", count, noticed,
           count - noticed);
    return count - noticed;
}
