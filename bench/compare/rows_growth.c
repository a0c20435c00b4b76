/* Rows of growth: the same calls on stores of three sizes. */
#include "bench.h"

#include <stdlib.h>

enum { SIZES = 3, SLICE = 100000, BATCH = 10000, NEWEST = 1000 };

struct size {
    struct side side;
    struct history history;
    const char *label;
    uint64_t count;
};

static void fill(struct size *size, const char *dir)
{
    size->side.engine = &engine_ecshist;
    history_begin(&size->history, 11);
    side_open(&size->side, dir);
    for (uint64_t done = 0; done < size->count;) {
        size_t count = size->count - done < SLICE ? (size_t)(size->count - done) : SLICE;
        struct item *items = history_slice(&size->history, count, true, false);
        append_all(&size->side, items, count, BATCH, NULL);
        items_free(items, count);
        done += count;
    }
}

static void append_round(struct bench *b, struct size *size)
{
    uint32_t *took = must(calloc(b->ones, sizeof(*took)));
    struct item *items = history_slice(&size->history, b->ones, true, false);
    settle();
    uint64_t ns = append_all(&size->side, items, b->ones, 1, took);
    result_add("growth-append-1", "ecshist", size->label, "events/s",
               (double)b->ones * 1e9 / (double)ns);
    result_add("growth-append-1-p50", "ecshist", size->label, "us",
               percentile(took, b->ones, 0.5) / 1e3);
    items_free(items, b->ones);
    free(took);
}

struct reading {
    void *session;
    const struct name *names;
    struct answer answer;
};

static void read_one(void *context, size_t i)
{
    struct reading *r = context;
    const struct name *name = &r->names[i % NAMES];
    if (!engine_ecshist.describe(r->session, name->text, name->length, DEPTH_VIEW, &r->answer))
        fail("%s is not there", name->text);
}

static void read_round(struct bench *b, struct size *size, uint64_t newest, const char *row)
{
    struct name *names = pick_names(&size->history, newest, false);
    struct reading r = {engine_ecshist.attach(size->side.store, false), names, {0, 0, 0}};
    engine_ecshist.read_begin(r.session);
    struct read_times times = time_reads(read_one, &r, b->options.quick ? 4096 : NAMES / 2);
    engine_ecshist.read_end(r.session);
    engine_ecshist.detach(r.session);
    result_add(row, "ecshist", size->label, "ns", times.p50);
    free(names);
}

void rows_growth(struct bench *b)
{
    static const char *const labels[2][SIZES] = {{"100k", "1M", "10M"}, {"5k", "20k", "50k"}};
    static const uint64_t counts[2][SIZES] = {{100000, 1000000, 10000000}, {5000, 20000, 50000}};
    struct size *sizes = must(calloc(SIZES, sizeof(*sizes)));
    char path[4096], name[32];
    for (int i = 0; i < SIZES; i++) {
        sizes[i].label = labels[b->options.quick][i];
        sizes[i].count = counts[b->options.quick][i];
        snprintf(name, sizeof(name), "growth-%d", i);
        fill(&sizes[i], work_path(path, name));
    }
    for (unsigned round = 0; round < b->options.rounds; round++)
        for (unsigned i = 0; i < SIZES; i++) {
            struct size *size = &sizes[(round + i) % SIZES];
            append_round(b, size);
            read_round(b, size, 0, "growth-describe");
            read_round(b, size, NEWEST, "growth-describe-newest");
        }
    for (int i = 0; i < SIZES; i++) {
        side_close(&sizes[i].side);
        remove_tree(sizes[i].side.dir);
        history_end(&sizes[i].history);
    }
    free(sizes);
}
