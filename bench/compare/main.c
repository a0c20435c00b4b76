/*
 * bench_compare: measures ecshist beside other stores that do the same job, in one process, in
 * turns. See docs/PERFORMANCE.md.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: bench_compare [OPTION...]\n"
    "  --events N      events in the stores that are measured (1000000)\n"
    "  --rounds N      rounds of each row; medians are shown (5)\n"
    "  --seconds S     what a round of one-event appends to the flat file takes (1)\n"
    "  --rows LIST     only these rows, as in the first column of the output\n"
    "  --engines LIST  only these: ecshist,sqlite,rocksdb,leveldb,lmdb,flat\n"
    "  --dir DIR       where to work; a directory is made there and removed (/var/tmp)\n"
    "  --seed N        another history (1)\n"
    "  --growth        ecshist with 100,000, a million and ten million events\n"
    "  --quick         small and short: to see that it works, not what it measures\n"
    "  --json FILE     all results, the machine, versions and settings\n"
    "  --table FILE    the tables, as on standard output\n"
    "  --plots DIR     plots as SVG files\n";

bool in_list(const char *list, const char *name)
{
    size_t length = strlen(name);
    if (list == NULL)
        return true;
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

static bool wants(const struct bench *b, const char *row)
{
    return in_list(b->options.rows, row);
}

void side_open(struct side *side, const char *dir)
{
    if (dir != side->dir)
        snprintf(side->dir, sizeof(side->dir), "%s", dir);
    side->store = side->engine->open(side->dir);
    side->writer = side->engine->attach(side->store, true);
}

void side_close(struct side *side)
{
    side->engine->detach(side->writer);
    side->engine->close(side->store);
    side->store = side->writer = NULL;
}

struct side *side_of(struct bench *b, const char *engine)
{
    for (size_t i = 0; i < b->side_count; i++)
        if (strcmp(b->sides[i].engine->name, engine) == 0)
            return &b->sides[i];
    return NULL;
}

enum {
    OPTION_EVENTS = 256,
    OPTION_ROUNDS,
    OPTION_SECONDS,
    OPTION_ROWS,
    OPTION_ENGINES,
    OPTION_DIR,
    OPTION_SEED,
    OPTION_GROWTH,
    OPTION_QUICK,
    OPTION_JSON,
    OPTION_TABLE,
    OPTION_PLOTS,
    OPTION_HELP
};

static const struct option long_options[] = {{"events", required_argument, NULL, OPTION_EVENTS},
                                             {"rounds", required_argument, NULL, OPTION_ROUNDS},
                                             {"seconds", required_argument, NULL, OPTION_SECONDS},
                                             {"rows", required_argument, NULL, OPTION_ROWS},
                                             {"engines", required_argument, NULL, OPTION_ENGINES},
                                             {"dir", required_argument, NULL, OPTION_DIR},
                                             {"seed", required_argument, NULL, OPTION_SEED},
                                             {"growth", no_argument, NULL, OPTION_GROWTH},
                                             {"quick", no_argument, NULL, OPTION_QUICK},
                                             {"json", required_argument, NULL, OPTION_JSON},
                                             {"table", required_argument, NULL, OPTION_TABLE},
                                             {"plots", required_argument, NULL, OPTION_PLOTS},
                                             {"help", no_argument, NULL, OPTION_HELP},
                                             {NULL, 0, NULL, 0}};

static bool take_option(struct options *o, int option)
{
    switch (option) {
    case OPTION_EVENTS:
        return (o->events = strtoull(optarg, NULL, 10)) >= 1000;
    case OPTION_ROUNDS:
        o->rounds = (unsigned)strtoul(optarg, NULL, 10);
        return o->rounds >= 1 && o->rounds <= MOST_VALUES;
    case OPTION_SECONDS:
        return (o->seconds = strtod(optarg, NULL)) > 0;
    case OPTION_ROWS:
        o->rows = optarg;
        return true;
    case OPTION_ENGINES:
        o->engines = optarg;
        return true;
    case OPTION_DIR:
        o->dir = optarg;
        return true;
    case OPTION_SEED:
        o->seed = strtoull(optarg, NULL, 10);
        return true;
    case OPTION_GROWTH:
        return o->growth = true;
    case OPTION_QUICK:
        o->events = 50000;
        o->rounds = 2;
        o->seconds = 0.1;
        return o->quick = true;
    case OPTION_JSON:
        o->json = optarg;
        return true;
    case OPTION_TABLE:
        o->table = optarg;
        return true;
    case OPTION_PLOTS:
        o->plots = optarg;
        return true;
    default:
        return false;
    }
}

static void begin_sides(struct bench *b)
{
    for (size_t i = 0; all_engines[i] != NULL; i++) {
        if (!in_list(b->options.engines, all_engines[i]->name))
            continue;
        struct side *side = &b->sides[b->side_count++];
        char path[4096];
        side->engine = all_engines[i];
        side_open(side, work_path(path, side->engine->name));
    }
    if (b->side_count == 0)
        fail("no engine is left");
}

/* How many one-event appends fill a round: as many as the flat file does in `seconds`. */
static void calibrate(struct bench *b)
{
    enum { PROBE = 300 };
    struct side probe = {.engine = &engine_flat};
    struct history history;
    char path[4096];
    history_begin(&history, 99);
    struct item *items = history_slice(&history, PROBE, false, true);
    side_open(&probe, work_path(path, "probe"));
    uint32_t took[PROBE];
    append_all(&probe, items, PROBE, 1, took);
    double each = percentile(took, PROBE, 0.5) / 1e9;
    b->ones = (size_t)(b->options.seconds / each);
    b->ones = b->ones < 500 ? 500 : b->ones > 2000 ? 2000 : b->ones;
    side_close(&probe);
    remove_tree(path);
    items_free(items, PROBE);
    history_end(&history);
    fprintf(stderr, "an append to the flat file takes %.0f us: %zu of them a round\n", each * 1e6,
            b->ones);
}

static void note(const char *what)
{
    static uint64_t begun;
    if (begun == 0)
        begun = now_ns();
    fprintf(stderr, "%6.1f s  %s\n", (double)(now_ns() - begun) / 1e9, what);
}

static void run_row(struct bench *b, const char *names, const char *what,
                    void (*row)(struct bench *))
{
    char name[64];
    bool wanted = b->options.rows == NULL;
    for (const char *at = names; *at != '\0' && !wanted; at += strcspn(at, ",")) {
        at += *at == ',';
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, ","), at);
        wanted = wants(b, name);
    }
    if (!wanted)
        return;
    note(what);
    row(b);
}

static void run_all(struct bench *b)
{
    note("load");
    rows_load(b);
    run_row(b, "append-1,append-1-describe,append-100,append-1000", "appends", rows_append);
    run_row(b, "append-16-threads", "threads", row_threads);
    note("check that the engines agree");
    check_agreement(b);
    run_row(b, "describe,describe-2-threads,describe-json,list-20", "reads", rows_read);
    run_row(b, "as-of-middle,as-of-end", "reads of earlier moments", row_as_of);
    run_row(b, "scan,rebuild-index", "the log", rows_log);
    run_row(b, "open-clean,open-killed,open-rebuild", "opens", rows_open);
    run_row(b, "memory", "memory", row_memory);
    note("check that the engines agree still");
    check_agreement(b);
    for (size_t i = 0; i < b->side_count; i++) {
        side_close(&b->sides[i]);
        remove_tree(b->sides[i].dir);
    }
    run_row(b, "bytes", "bytes", row_bytes);
    run_row(b, "ingest", "ingest", row_ingest);
    if (b->options.growth)
        run_row(b, "growth-append-1,growth-describe,growth-describe-newest", "growth", rows_growth);
    note("done");
}

static void print_all(FILE *out, const struct bench *b, int argc, char **argv)
{
    results_about(out, b, argc, argv);
    results_print(out, b);
    fputc('\n', out);
    results_targets(out);
}

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        fail("%s: %s", path, strerror(errno));
    return file;
}

static void finish(FILE *file, const char *path)
{
    if (fclose(file) != 0)
        fail("%s: %s", path, strerror(errno));
}

static void give_results(const struct bench *b, int argc, char **argv)
{
    print_all(stdout, b, argc, argv);
    if (b->options.table != NULL) {
        FILE *file = create(b->options.table);
        print_all(file, b, argc, argv);
        finish(file, b->options.table);
    }
    if (b->options.json != NULL) {
        FILE *file = create(b->options.json);
        results_json(file, b, argc, argv);
        finish(file, b->options.json);
    }
    if (b->options.plots != NULL)
        plots_write(b->options.plots, b);
}

int main(int argc, char **argv)
{
    static struct bench bench = {
        .options = {.events = 1000000, .rounds = 5, .seconds = 1, .seed = 1}};
    int option;
    if (argc > 1 && strcmp(argv[1], "--child") == 0)
        return child_main(argc - 2, argv + 2);
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (!take_option(&bench.options, option) || option == OPTION_HELP) {
            fputs(usage, option == OPTION_HELP ? stdout : stderr);
            return option == OPTION_HELP ? 0 : 2;
        }
    if (optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    work_begin(bench.options.dir);
    calibrate(&bench);
    history_begin(&bench.history, bench.options.seed);
    begin_sides(&bench);
    run_all(&bench);
    give_results(&bench, argc, argv);
    history_end(&bench.history);
    work_end();
    return 0;
}
