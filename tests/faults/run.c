/*
 * Every scenario with every call failing in turn.
 *
 * For each number 1, 2, 3 ... until the operation gets by without meeting the fault, once and then
 * with all calls after it failing too:
 *
 *   its code is one that this fault may give, with the reason in the message; no output is touched
 *   an outcome is unknown only where the log's frame was begun; then the handle takes no appends
 *   the same operation gives, as soon as calls work again, what it gives in a run without faults
 *   after closing no block of memory and no descriptor is left, nor a file that was being made
 *   a store opened anew holds what it holds after a run without faults
 *
 * Ends with a line of counts for each class. VERBOSE=1: a line for each scenario. TRACE=1: where the
 * call was made that failed.
 */
#include "faults/run.h"

#include "faults/scenarios.h"
#include "faults/shim.h"
#include "support/hold.h"
#include "support/store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef SHIM_WRAPS
#include <sanitizer/lsan_interface.h>
#endif

enum { CODES = 32, MOST_SHOWN = 20, TOO_LONG_SECONDS = 60 };

/* What a run without faults gives. */
struct baseline {
    char *told;  /* world_tell */
    char *held;  /* all that the store holds, closed and opened anew */
    char *files; /* names in the store's directory */
};

struct counts {
    unsigned long faults, once, forever, passed_over, left_files;
    unsigned long codes[CODES];
    unsigned long codes_of_lmdb[CODES];
    unsigned failures;
};

static char *work, *bases_dir;
static struct counts counts;

/* What is being tried, for messages and signals. */
static struct trial {
    const struct scenario *scenario;
    enum shim_class class;
    unsigned long at;
    bool forever;
    struct shim_report report;
} trial;

/* -- saying what is wrong ---------------------------------------------------------------------- */

static void describe_trial(char *text, size_t size)
{
    const struct shim_report *report = &trial.report;
    snprintf(text, size, "%s %s %lu %s (%s%s %s)", shim_class_names[trial.class],
             trial.scenario != NULL ? trial.scenario->name : "-", trial.at,
             trial.forever ? "forever" : "once", report->by_lmdb ? "LMDB's " : "",
             report->call != NULL ? report->call : "", report->file);
}

static void wrong(const char *format, ...) ECSHIST_PRINTF(1, 2);

static void wrong(const char *format, ...)
{
    char text[512];
    va_list args;
    if (++counts.failures > MOST_SHOWN)
        return;
    describe_trial(text, sizeof(text));
    fprintf(stderr, "FAILED %s: ", text);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (getenv("TRACE") != NULL) {
        fflush(stderr);
        backtrace_symbols_fd(trial.report.where, trial.report.depth, STDERR_FILENO);
    }
}

/* A crash, an abort of the helpers, or a run that does not end: in which trial? */
static void on_signal(int number)
{
    char text[600], name[512];
    trial.report = shim_disarm();
    describe_trial(name, sizeof(name));
    int length = snprintf(text, sizeof(text), "FAILED %s: signal %d\n", name, number);
    if (write(STDERR_FILENO, text, (size_t)length) != length)
        _exit(3);
    void *where[SHIM_DEPTH];
    static const char fault[] = "the fault, and the signal:\n\n";
    (void)!write(STDERR_FILENO, fault, sizeof(fault) - 2);
    backtrace_symbols_fd(trial.report.where, trial.report.depth, STDERR_FILENO);
    (void)!write(STDERR_FILENO, "\n", 1);
    backtrace_symbols_fd(where, backtrace(where, SHIM_DEPTH), STDERR_FILENO);
    _exit(3);
}

/* -- what is compared -------------------------------------------------------------------------- */

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        abort();
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static FILE *files_out;
static size_t files_prefix;

static int print_name(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    /* Where the index could not be synced there is no mark: what the store holds tells whether that was right. */
    if (strcmp(path + files_prefix, "/store/index/mark") == 0)
        return 0;
    fprintf(files_out, "%s\n", path + files_prefix);
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all files, sorted. */
static char *list_files(const char *dir)
{
    char *text = NULL, *lines[256], *rest;
    size_t length, count = 0;
    files_out = open_memstream(&text, &length);
    files_prefix = strlen(dir);
    if (files_out == NULL || nftw(dir, print_name, 16, FTW_PHYS) != 0)
        abort();
    fclose(files_out);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && count < 256;
         line = strtok_r(NULL, "\n", &rest))
        lines[count++] = line;
    qsort(lines, count, sizeof(lines[0]), compare_lines);
    char *sorted = NULL;
    FILE *out = open_memstream(&sorted, &length);
    if (out == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s\n", lines[i]);
    fclose(out);
    free(text);
    return sorted;
}

/* A new store has an id of its own. */
static void blank_store_id(char *held)
{
    char *id = strstr(held, " store ");
    if (id != NULL)
        memset(id + 7, '0', 32);
}

/* All that the closed store holds; NULL where it does not open. */
static char *hold_closed(struct world *w)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = NULL;
    unsigned create = w->scenario->base == NULL ? ECSHIST_OPEN_CREATE : 0;
    int rc = world_open(w, create, &store, &error);
    if (rc != ECSHIST_OK) {
        wrong("the store does not open afterwards: %s %s %s", ecshist_code_name(rc), error.place,
              error.message);
        return NULL;
    }
    char *held = hold_all(store);
    blank_store_id(held);
    ecshist_close(store);
    return held;
}

/* -- one run ----------------------------------------------------------------------------------- */

static void world_begin(struct world *w, const struct scenario *scenario)
{
    *w = (struct world){.scenario = scenario, .dir = store_dir_path(work, "world")};
    w->path = store_dir_path(w->dir, "store");
    store_dir_unlink(w->dir);
    if (mkdir(w->dir, 0700) != 0)
        abort();
    world_clean(w);
    if (scenario->base != NULL) {
        char *base = store_dir_path(bases_dir, scenario->base);
        store_dir_copy(base, w->path);
        free(base);
    }
    if (scenario->prepare != NULL)
        scenario->prepare(w);
}

static void world_forget(struct world *w)
{
    free(w->dir);
    free(w->path);
}

static void baseline_free(struct baseline *baseline)
{
    free(baseline->told);
    free(baseline->held);
    free(baseline->files);
}

static void take_baseline(const struct scenario *scenario, struct baseline *out)
{
    struct world w;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    world_begin(&w, scenario);
    int rc = scenario->run(&w, &error);
    if (rc != scenario->code)
        wrong("without faults: %s %s %s", ecshist_code_name(rc), error.place, error.message);
    out->told = world_tell(&w);
    world_end(&w);
    out->files = list_files(w.dir);
    out->held = hold_closed(&w);
    world_forget(&w);
}

/* -- what a fault may lead to ------------------------------------------------------------------ */

static bool may_give(enum shim_class class, int code)
{
    switch (code) {
    case ECSHIST_NO_MEMORY:
        return class == SHIM_MEMORY || class == SHIM_LIMIT;
    case ECSHIST_OUTCOME_UNKNOWN:
        return trial.scenario->appends && trial.report.frame_begun;
    case ECSHIST_IO:
    case ECSHIST_INDEX:
        return class != SHIM_MEMORY;
    default:
        return false;
    }
}

/* The reason is in the message: what the system said. */
static bool says_why(const struct ecshist_error *error)
{
    if (trial.report.by_lmdb)
        return error->message[0] != '\0'; /* LMDB has words of its own */
    for (size_t i = 0; i < SHIM_FAILURES && trial.report.failures[i] != 0; i++) {
        int failure = trial.report.failures[i];
        if (strstr(error->message, strerror(failure)) != NULL ||
            (failure == ENOMEM && strstr(error->message, "out of memory") != NULL))
            return true;
    }
    return false;
}

static void judge(const struct world *w, int rc, const struct ecshist_error *error)
{
    const char *name = ecshist_code_name(rc);
    bool heals = trial.class == SHIM_EINTR || trial.class == SHIM_SHORT;
    if (heals && !trial.report.by_lmdb) {
        wrong("it should have gone on, but: %s %s", name, error->message);
        return;
    }
    if (!may_give(trial.class, rc))
        wrong("the code %s: %s", name, error->message);
    if (error->code != rc)
        wrong("the error's code is %s, the return %s", ecshist_code_name(error->code), name);
    if (!says_why(error))
        wrong("%s, and the message does not say why: %s", name, error->message);
    if (w->touched)
        wrong("an output was touched by a call that failed with %s", name);
    for (size_t i = 0; i < w->event_count; i++) {
        if (w->results[i].outcome != ECSHIST_OUTCOME_NONE || w->results[i].seq != 0)
            wrong("event %zu has the outcome %d although its append failed", i,
                  (int)w->results[i].outcome);
    }
    counts.codes[rc % CODES]++;
    if (trial.report.by_lmdb)
        counts.codes_of_lmdb[rc % CODES]++;
}

/* The handle says that an outcome is unknown until it is opened anew. */
static void reopen_unknown(struct world *w)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    world_clean(w);
    int rc = w->scenario->run(w, &error);
    if (rc != ECSHIST_OUTCOME_UNKNOWN)
        wrong("after an unknown outcome the handle takes an append: %s %s", ecshist_code_name(rc),
              error.message);
    ecshist_close(w->store);
    w->store = NULL;
    store_must(world_open(w, 0, &w->store, &error), "opening after an unknown outcome", &error);
}

/* Whatever failed, the handle can be asked. */
static void check_readable(struct world *w)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    if (w->store == NULL)
        return;
    int rc = ecshist_stat(w->store, &stat, &error);
    if (rc != ECSHIST_OK)
        wrong("it cannot be read afterwards: %s %s", ecshist_code_name(rc), error.message);
}

/* Calls work again: so must the operation. */
static void run_again(struct world *w, const struct baseline *baseline, bool unknown)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    world_clean(w);
    int rc = w->scenario->run(w, &error);
    if (rc != w->scenario->code)
        wrong("it fails although calls work again: %s %s %s", ecshist_code_name(rc), error.place,
              error.message);
    char *told = world_tell(w);
    /* What was unknown may be there now: then it is a duplicate. */
    if (!unknown && strcmp(told, baseline->told) != 0)
        wrong("again it gives\n%s\nnot\n%s", told, baseline->told);
    free(told);
}

static void check_after(struct world *w, const struct baseline *baseline)
{
    char *files = list_files(w->dir);
    if (strcmp(files, baseline->files) != 0) {
        counts.left_files++;
        if (!trial.report.of_removal)
            wrong("these files are there:\n%s\nnot\n%s", files, baseline->files);
    }
    free(files);
    char *held = hold_closed(w);
    if (held != NULL && strcmp(held, baseline->held) != 0)
        wrong("the store holds\n%s\nnot\n%s", held, baseline->held);
    free(held);
    if (w->scenario->check != NULL)
        w->scenario->check(w);
}

/* One fault. False: the operation did not meet it. */
static bool try_fault(const struct baseline *baseline)
{
    struct world w;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    long blocks = shim_live_blocks();
    unsigned descriptors = count_descriptors();
    trial.report = (struct shim_report){.call = ""};
    world_begin(&w, trial.scenario);
    (void)alarm(TOO_LONG_SECONDS);
    shim_arm(trial.class, trial.at, trial.forever);
    int rc = trial.scenario->run(&w, &error);
    trial.report = shim_disarm();
    bool struck = trial.report.struck != 0;
    check_readable(&w);
    if (rc != trial.scenario->code) {
        judge(&w, rc, &error);
        if (rc == ECSHIST_OUTCOME_UNKNOWN)
            reopen_unknown(&w);
        run_again(&w, baseline, rc == ECSHIST_OUTCOME_UNKNOWN);
    } else {
        counts.passed_over += struck;
        char *told = world_tell(&w);
        if (strcmp(told, baseline->told) != 0)
            wrong("it gives\n%s\nnot\n%s", told, baseline->told);
        free(told);
    }
    world_end(&w);
    check_after(&w, baseline);
    world_forget(&w);
    if (shim_live_blocks() != blocks)
        wrong("%ld blocks of memory leaked", shim_live_blocks() - blocks);
    if (count_descriptors() != descriptors)
        wrong("%u descriptors are open, %u were", count_descriptors(), descriptors);
    return struck;
}

/* -- all of them ------------------------------------------------------------------------------- */

/*
 * Under a sanitizer all takes several times as long: one number in three, unless FULL is set, or it is one scenario that
 * is asked for.
 */
static unsigned long step(const struct run_options *options)
{
#ifdef SHIM_WRAPS
    return getenv("FULL") != NULL || options->scenario != NULL ? 1 : 3;
#else
    (void)options;
    return 1;
#endif
}

static void try_numbers(const struct baseline *baseline, const struct run_options *options,
                        bool forever)
{
    trial.forever = forever;
    for (trial.at = 1; try_fault(baseline); trial.at += step(options)) {
        counts.faults++;
        *(forever ? &counts.forever : &counts.once) += 1;
    }
}

static void try_scenario(const struct scenario *scenario, const struct run_options *options)
{
    struct baseline baseline = {0};
    trial = (struct trial){.scenario = scenario, .class = options->class};
    take_baseline(scenario, &baseline);
    if (options->at != 0) {
        trial.at = options->at;
        trial.forever = options->forever;
        counts.faults += try_fault(&baseline);
    } else {
        try_numbers(&baseline, options, false);
        try_numbers(&baseline, options, true);
    }
#ifdef SHIM_WRAPS
    if (__lsan_do_recoverable_leak_check() != 0)
        wrong("memory leaked");
#endif
    baseline_free(&baseline);
}

static void print_codes(const char *of, const unsigned long *codes)
{
    for (int code = 0; code < CODES; code++) {
        if (codes[code] != 0)
            printf(", %s%s %lu", of, ecshist_code_name(code), codes[code]);
    }
}

static void print_counts(const char *class, size_t scenarios_tried, double seconds)
{
    printf("faults %s: %zu scenarios, %lu faults (once %lu, forever %lu), passed over %lu", class,
           scenarios_tried, counts.faults, counts.once, counts.forever, counts.passed_over);
    print_codes("", counts.codes);
    print_codes("of LMDB's calls ", counts.codes_of_lmdb);
    printf(", files left %lu, %.1f s, %u failures\n", counts.left_files, seconds, counts.failures);
    fflush(stdout);
}

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

unsigned run_class(const struct run_options *options, const struct scenario *table, size_t count)
{
    size_t tried = 0;
    double start = now_seconds();
    counts = (struct counts){0};
    for (size_t i = 0; i < count; i++) {
        if (options->scenario != NULL && strcmp(options->scenario, table[i].name) != 0)
            continue;
        double from = now_seconds();
        unsigned long before = counts.faults;
        try_scenario(&table[i], options);
        tried++;
        if (getenv("VERBOSE") != NULL)
            printf("  %s: %lu faults, %.1f s\n", table[i].name, counts.faults - before,
                   now_seconds() - from);
    }
    if (tried == 0 || (counts.faults == 0 && options->scenario == NULL))
        wrong("nothing was tried");
    print_counts(shim_class_names[options->class], tried, now_seconds() - start);
    return counts.failures;
}

/* -- beginning and end ------------------------------------------------------------------------- */

static void catch_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGALRM, SIGFPE, SIGILL};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)sigaction(numbers[i], &action, NULL);
}

static const char *memory_directory(void)
{
    /* Flushes cost nothing there. */
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

void run_begin(void)
{
    void *where[2];
    shim_start();
    (void)backtrace(where, 2); /* loads a library the first time */
    (void)shim_is_lmdb(where[0]);
    catch_signals();
    work = store_dir_new_in(getenv("TMPDIR") != NULL ? getenv("TMPDIR") : memory_directory());
    bases_dir = store_dir_path(work, "bases");
    if (mkdir(bases_dir, 0700) != 0)
        abort();
    for (size_t i = 0; i < base_count; i++) {
        char *path = store_dir_path(bases_dir, bases[i].name);
        bases[i].make(path);
        free(path);
    }
}

void run_end(void)
{
    free(bases_dir);
    store_dir_remove(work);
}
