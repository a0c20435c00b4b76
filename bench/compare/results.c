/* Results: kept by row, engine and metric. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RESULTS = 1024 };

struct result {
    const char *row, *engine, *metric, *unit;
    double values[MOST_VALUES];
    size_t count;
};

static struct result results[MOST_RESULTS];
static size_t result_count;

static struct result *find(const char *row, const char *engine, const char *metric)
{
    for (size_t i = 0; i < result_count; i++)
        if (strcmp(results[i].row, row) == 0 && strcmp(results[i].engine, engine) == 0 &&
            strcmp(results[i].metric, metric) == 0)
            return &results[i];
    return NULL;
}

void result_add(const char *row, const char *engine, const char *metric, const char *unit,
                double value)
{
    struct result *r = find(row, engine, metric);
    if (r == NULL) {
        if (result_count == MOST_RESULTS)
            fail("too many results");
        r = &results[result_count++];
        *r = (struct result){.row = row, .engine = engine, .metric = metric, .unit = unit};
    }
    if (r->count < MOST_VALUES)
        r->values[r->count++] = value;
}

double result_get(const char *row, const char *engine, const char *metric)
{
    const struct result *r = find(row, engine, metric);
    return r == NULL ? NAN : median(r->values, r->count);
}

/* Three digits that count, and thousands apart. */
static void print_number(FILE *out, double value)
{
    char digits[64];
    if (isnan(value)) {
        fputs("–", out);
        return;
    }
    if (value < 100) {
        fprintf(out, value < 10 ? "%.2f" : "%.1f", value);
        return;
    }
    int length = snprintf(digits, sizeof(digits), "%.0f", value);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            fputc(',', out);
        fputc(digits[i], out);
    }
}

static bool shown_before(size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(results[j].row, results[i].row) == 0 &&
            strcmp(results[j].metric, results[i].metric) == 0)
            return true;
    return false;
}

/* Where files go says nothing about what was measured. */
static bool is_place(const char *argument)
{
    return strcmp(argument, "--json") == 0 || strcmp(argument, "--table") == 0 ||
           strcmp(argument, "--plots") == 0 || strcmp(argument, "--dir") == 0;
}

void results_about(FILE *out, const struct bench *b, int argc, char **argv)
{
    char fact[256];
    fputs("Measured with `bench_compare", out);
    for (int i = 1; i < argc; i++)
        if (!is_place(argv[i]) && (i == 1 || !is_place(argv[i - 1])))
            fprintf(out, " %s", argv[i]);
    fprintf(out, "`: %" PRIu64 " events, %u rounds.", b->options.events, b->options.rounds);
    for (int i = 0; i < MACHINE_FACTS; i++)
        fprintf(out, "%s %s %s", i == 0 ? "" : ",", machine_fact_name(i), machine_fact(i, fact));
    fputs(".\n\n| engine | version | settings | leaves out |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < b->side_count; i++) {
        const struct engine *engine = b->sides[i].engine;
        fprintf(out, "| %s | %s | %s | %s |\n", engine->title, engine->version(), engine->settings,
                engine->leaves_out);
    }
    fputc('\n', out);
}

/* A row a metric, a column an engine, as Markdown. */
void results_print(FILE *out, const struct bench *b)
{
    fputs("| row | metric |", out);
    for (size_t i = 0; i < b->side_count; i++)
        fprintf(out, " %s |", b->sides[i].engine->title);
    fputs("\n|---|---|", out);
    for (size_t i = 0; i < b->side_count; i++)
        fputs("---:|", out);
    fputc('\n', out);
    for (size_t i = 0; i < result_count; i++) {
        const struct result *r = &results[i];
        if (shown_before(i))
            continue;
        fprintf(out, "| %s | %s, %s |", r->row, r->metric, r->unit);
        for (size_t j = 0; j < b->side_count; j++) {
            fputc(' ', out);
            print_number(out, result_get(r->row, b->sides[j].engine->name, r->metric));
            fputs(" |", out);
        }
        fputc('\n', out);
    }
}

/*
 * What ecshist is to reach: its value over a yardstick's. `least`: at least so much of it, else at
 * most. No yardstick: the value itself.
 */
struct target {
    const char *what, *row, *metric;
    const char *yard_engine, *yard_row, *yard_metric;
    bool least;
    double ratio;
    double more; /* allowed on top of that, in the metric's unit */
};

static const struct target targets[] = {
    {"one event a call, of the flat file", "append-1", "rate", "flat", "append-1", "rate", true,
     0.85, 0},
    {"one event a call, of SQLite", "append-1", "rate", "sqlite", "append-1", "rate", true, 2.2, 0},
    {"one event a call, of RocksDB", "append-1", "rate", "rocksdb", "append-1", "rate", true, 1.6,
     0},
    {"one event a call, of LevelDB", "append-1", "rate", "leveldb", "append-1", "rate", true, 1.6,
     0},
    {"16 threads, of one thread", "append-16-threads", "rate", "ecshist", "append-1", "rate", true,
     4, 0},
    {"16 threads, of SQLite", "append-16-threads", "rate", "sqlite", "append-16-threads", "rate",
     true, 8, 0},
    {"16 threads, of RocksDB", "append-16-threads", "rate", "rocksdb", "append-16-threads", "rate",
     true, 2, 0},
    {"batches of 100, of SQLite", "append-100", "rate", "sqlite", "append-100", "rate", true, 10,
     0},
    {"batches of 100, of RocksDB", "append-100", "rate", "rocksdb", "append-100", "rate", true, 3.5,
     0},
    {"batches of 100, of LevelDB", "append-100", "rate", "leveldb", "append-100", "rate", true, 2.5,
     0},
    {"batches of 1,000, of SQLite", "append-1000", "rate", "sqlite", "append-1000", "rate", true,
     15, 0},
    {"batches of 1,000, of RocksDB", "append-1000", "rate", "rocksdb", "append-1000", "rate", true,
     6, 0},
    {"batches of 1,000, of LevelDB", "append-1000", "rate", "leveldb", "append-1000", "rate", true,
     4, 0},
    {"describe to a view, p50, of a bare mdb_get", "describe", "p50", "lmdb", "describe", "p50",
     false, 1.5, 0},
    {"describe to JSON, p50, over that to a view", "describe-json", "p50", "ecshist", "describe",
     "p50", false, 1, 600},
    {"describe to a view, p50, of SQLite", "describe", "p50", "sqlite", "describe", "p50", false,
     0.2, 0},
    {"list the newest 20, p50, of SQLite", "list-20", "p50", "sqlite", "list-20", "p50", false, 0.2,
     0},
    {"describe as of, ns", "as-of-middle", "p50", NULL, NULL, NULL, false, 10000, 0},
    {"scan, events/s", "scan", "rate", NULL, NULL, NULL, true, 8000000, 0},
    {"rebuild, events/s", "rebuild-index", "rate", NULL, NULL, NULL, true, 1000000, 0},
    {"ingest, events/s", "ingest", "rate", NULL, NULL, NULL, true, 250000, 0},
    {"open after a clean close, ms", "open-clean", "time", NULL, NULL, NULL, false, 5, 0},
    {"open after a kill, ms", "open-killed", "time", NULL, NULL, NULL, false, 10, 0},
    {"open after a power cut, ms", "open-rebuild", "time", NULL, NULL, NULL, false, 1500, 0},
    {"bytes an event, of SQLite", "bytes", "apparent", "sqlite", "bytes", "apparent", false, 0.6,
     0},
    {"bytes an event, of LevelDB", "bytes", "apparent", "leveldb", "bytes", "apparent", false, 1,
     0},
    {"one event a call at 10 million events, p50, of that at 100,000", "growth-append-1-p50", "10M",
     "ecshist", "growth-append-1-p50", "100k", false, 1.25, 0},
    {"describe at 10 million events, p50, of that at 100,000", "growth-describe", "10M", "ecshist",
     "growth-describe", "100k", false, 1.25, 0},
    {"memory of an idle handle, KiB", "memory", "idle", NULL, NULL, NULL, false, 4096, 0},
    {"memory of an appending handle, KiB", "memory", "appending", NULL, NULL, NULL, false, 32768,
     0},
};

void results_targets(FILE *out)
{
    fputs("| what | ecshist | yardstick | ratio | target | met |\n|---|---:|---:|---:|---:|---|\n",
          out);
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
        const struct target *t = &targets[i];
        double value = result_get(t->row, "ecshist", t->metric), yard = 1;
        if (t->yard_engine != NULL)
            yard = result_get(t->yard_row, t->yard_engine, t->yard_metric);
        if (isnan(value) || isnan(yard))
            continue;
        fprintf(out, "| %s | ", t->what);
        print_number(out, value);
        fputs(" | ", out);
        print_number(out, t->yard_engine != NULL ? yard : NAN);
        fputs(" | ", out);
        print_number(out, t->yard_engine != NULL ? value / yard : NAN);
        fprintf(out, " | %s ", t->least ? "≥" : "≤");
        print_number(out, t->ratio);
        if (t->more != 0)
            fprintf(out, " × + %.0f", t->more);
        fprintf(out, " | %s |\n",
                (t->least ? value >= t->ratio * yard : value <= t->ratio * yard + t->more) ? "yes"
                                                                                           : "no");
    }
}

/* Texts here have no character that JSON would want escaped but these. */
static void json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if ((unsigned char)*text >= 0x20)
            fputc(*text, out);
    }
    fputc('"', out);
}

static void json_member(FILE *out, const char *name, const char *text, const char *behind)
{
    json_text(out, name);
    fputs(": ", out);
    json_text(out, text);
    fputs(behind, out);
}

static void json_engine(FILE *out, const struct engine *engine, bool last)
{
    fputs("    {", out);
    json_member(out, "name", engine->name, ", ");
    json_member(out, "version", engine->version(), ", ");
    json_member(out, "settings", engine->settings, ", ");
    json_member(out, "leavesOut", engine->leaves_out, last ? "}\n" : "},\n");
}

static void json_result(FILE *out, const struct result *r, bool last)
{
    fputs("    {", out);
    json_member(out, "row", r->row, ", ");
    json_member(out, "engine", r->engine, ", ");
    json_member(out, "metric", r->metric, ", ");
    json_member(out, "unit", r->unit, ", ");
    fprintf(out, "\"median\": %.6g, \"values\": [", median(r->values, r->count));
    for (size_t i = 0; i < r->count; i++)
        fprintf(out, "%s%.6g", i == 0 ? "" : ", ", r->values[i]);
    fprintf(out, "]}%s\n", last ? "" : ",");
}

void results_json(FILE *out, const struct bench *b, int argc, char **argv)
{
    fputs("{\n  \"commandLine\": [", out);
    for (int i = 0; i < argc; i++) {
        fputs(i == 0 ? "" : ", ", out);
        json_text(out, argv[i]);
    }
    fputs("],\n  \"machine\": {", out);
    for (int i = 0; i < MACHINE_FACTS; i++) {
        char fact[256];
        json_member(out, machine_fact_name(i), machine_fact(i, fact),
                    i + 1 < MACHINE_FACTS ? ", " : "},\n");
    }
    fprintf(out, "  \"events\": %" PRIu64 ", \"rounds\": %u, \"oneEventAppends\": %zu,\n",
            b->options.events, b->options.rounds, b->ones);
    fputs("  \"engines\": [\n", out);
    for (size_t i = 0; i < b->side_count; i++)
        json_engine(out, b->sides[i].engine, i + 1 == b->side_count);
    fputs("  ],\n  \"results\": [\n", out);
    for (size_t i = 0; i < result_count; i++)
        json_result(out, &results[i], i + 1 == result_count);
    fputs("  ]\n}\n", out);
}
