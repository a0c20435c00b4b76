/* The driver's parts: options, the stores at hand, rows, results. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "engine.h"
#include "util.h"

enum { MOST_ENGINES = 8, MOST_VALUES = 32 };

struct options {
    uint64_t events; /* in the base that rows work on */
    unsigned rounds;
    double seconds;             /* that a round of one-event appends takes of the flat file */
    const char *rows, *engines; /* lists; NULL: all */
    const char *dir, *json, *plots, *table;
    bool growth, quick;
    uint64_t seed;
};

/* An engine with its store. */
struct side {
    const struct engine *engine;
    char dir[4096];
    void *store, *writer;
};

struct bench {
    struct options options;
    struct history history; /* that all sides have */
    struct side sides[MOST_ENGINES];
    size_t side_count;
    size_t ones; /* one-event appends of a round */
};

/* Whether a row, or an engine, is in a list like "a,b"; NULL: all are. */
bool in_list(const char *list, const char *name);

void side_open(struct side *side, const char *dir);
void side_close(struct side *side);
/* A side of this engine, or NULL where it does not take part. */
struct side *side_of(struct bench *bench, const char *engine);

/* Appends a slice in batches; how long each call took goes to `took`, where that is given. */
uint64_t append_all(struct side *side, const struct item *items, size_t count, size_t batch,
                    uint32_t *took);

/* Rows. Each adds to the results. */
void rows_load(struct bench *bench);
void rows_append(struct bench *bench);
void row_threads(struct bench *bench);
void check_agreement(struct bench *bench);
void rows_read(struct bench *bench);
void row_as_of(struct bench *bench);
void rows_log(struct bench *bench);
void row_ingest(struct bench *bench);
void rows_open(struct bench *bench);
void row_bytes(struct bench *bench);
void row_memory(struct bench *bench);
void rows_growth(struct bench *bench);

/* What the program does when it runs itself as a child: appends, or tells its memory. */
int child_main(int argc, char **argv);

/* Times single reads and groups of reads of one session. */
struct read_times {
    double first, mean, p50, p99; /* first: the mean of the first time that each is read */
};
typedef void (*read_fn)(void *context, size_t i);
/* So many deployments (or their services), at random among the newest; newest 0: among all. */
enum { NAMES = 65536 };
struct name {
    char text[WORKLOAD_ARN_BYTES];
    size_t length;
};
struct name *pick_names(const struct history *history, uint64_t newest, bool services);
struct read_times time_reads(read_fn fn, void *context, size_t count);

/* Results: values of a row by engine and metric, one a round; the median is what is shown. */
void result_add(const char *row, const char *engine, const char *metric, const char *unit,
                double value);
/* The median; NAN where there is none. */
double result_get(const char *row, const char *engine, const char *metric);
/* On what, with what, by which command; then the tables, all as Markdown. */
void results_about(FILE *out, const struct bench *bench, int argc, char **argv);
void results_print(FILE *out, const struct bench *bench);
void results_targets(FILE *out);
void results_json(FILE *out, const struct bench *bench, int argc, char **argv);

/* What it was measured on. */
enum { MACHINE_FACTS = 6 };
const char *machine_fact_name(int which);
char *machine_fact(int which, char out[256]);

/* Plots of the results, as SVG, in a directory. */
void plots_write(const char *dir, const struct bench *bench);

#endif
