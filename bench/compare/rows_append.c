/* Rows of durable appends: the load, single events, threads, batches. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOAD_BATCH = 10000, LOAD_SLICE = 100000, THREADS = 16 };

uint64_t append_all(struct side *side, const struct item *items, size_t count, size_t batch,
                    uint32_t *took)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i += batch) {
        size_t now = count - i < batch ? count - i : batch;
        uint64_t from = now_ns();
        size_t duplicates = side->engine->append(side->writer, items + i, now);
        uint64_t ns = now_ns() - from;
        if (duplicates != 0)
            fail("%s took an event for a duplicate", side->engine->name);
        if (took != NULL)
            took[i / batch] = (uint32_t)ns;
        total += ns;
    }
    return total;
}

/* Before a turn, outside of what is timed. */
static void rest(const struct side *side)
{
    struct timespec pause = {0, (long)side->engine->drained_ms * 1000000};
    if (side->engine->drain != NULL)
        (void)nanosleep(&pause, NULL);
    settle();
}

/* What was left for later is part of the turn that left it: else others' turns would have it. */
static uint64_t drain(const struct side *side)
{
    uint64_t from = now_ns();
    if (side->engine->drain != NULL)
        side->engine->drain(side->writer);
    return now_ns() - from;
}

/* The side that is the round's i-th: each round begins with another one. */
static struct side *turn(struct bench *b, unsigned round, size_t i)
{
    return &b->sides[(round + i) % b->side_count];
}

/* Fills all stores with the same base. Measured with the close, which has to write all there is. */
void rows_load(struct bench *b)
{
    uint64_t took[MOST_ENGINES] = {0};
    unsigned round = 0;
    for (uint64_t done = 0; done < b->options.events; round++) {
        size_t count =
            b->options.events - done < LOAD_SLICE ? b->options.events - done : LOAD_SLICE;
        struct item *items = history_slice(&b->history, count, true, true);
        for (size_t i = 0; i < b->side_count; i++) {
            struct side *side = turn(b, round, i);
            settle();
            took[side - b->sides] += append_all(side, items, count, LOAD_BATCH, NULL);
        }
        items_free(items, count);
        done += count;
    }
    for (size_t i = 0; i < b->side_count; i++) {
        struct side *side = &b->sides[i];
        settle();
        uint64_t from = now_ns();
        side_close(side);
        took[i] += now_ns() - from;
        side_open(side, side->dir);
        result_add("load", side->engine->name, "rate", "events/s",
                   (double)b->options.events * 1e9 / (double)took[i]);
    }
}

/* What one side took in a round. */
struct lap {
    uint32_t *took; /* of each call, ns */
    uint64_t total;
};

static void add_lap(const char *row, const struct side *side, struct lap *lap, size_t count,
                    size_t calls)
{
    const char *name = side->engine->name;
    result_add(row, name, "rate", "events/s", (double)count * 1e9 / (double)lap->total);
    result_add(row, name, "p50", "us", percentile(lap->took, calls, 0.5) / 1e3);
    result_add(row, name, "p99", "us", percentile(lap->took, calls, 0.99) / 1e3);
    free(lap->took);
}

/*
 * One round: a few calls of one side, then of the next, so that what else the machine does hits all
 * of them alike.
 */
static void one_round(struct bench *b, const char *row, unsigned round, size_t count, size_t batch)
{
    size_t calls = (count + batch - 1) / batch, block = batch == 1 ? 2000 : 100000;
    struct item *items = history_slice(&b->history, count, true, true);
    struct lap laps[MOST_ENGINES] = {{NULL, 0}};
    for (size_t i = 0; i < b->side_count; i++)
        laps[i].took = must(calloc(calls, sizeof(*laps[i].took)));
    for (size_t at = 0; at < count; at += block, round++)
        for (size_t i = 0; i < b->side_count; i++) {
            struct side *side = turn(b, round, i);
            struct lap *lap = &laps[side - b->sides];
            rest(side);
            lap->total += append_all(side, items + at, count - at < block ? count - at : block,
                                     batch, lap->took + at / batch);
            lap->total += drain(side);
        }
    for (size_t i = 0; i < b->side_count; i++)
        add_lap(row, &b->sides[i], &laps[i], count, calls);
    items_free(items, count);
}

static void row_append(struct bench *b, const char *row, size_t count, size_t batch)
{
    if (!in_list(b->options.rows, row))
        return;
    for (unsigned round = 0; round < b->options.rounds; round++)
        one_round(b, row, round, count, batch);
}

static void append_and_ask(const struct side *side, const struct item *item)
{
    const struct engine *engine = side->engine;
    char arn[WORKLOAD_ARN_BYTES];
    struct answer answer = {0, 0, 0};
    size_t length = workload_deployment_arn(item->service, item->deployment, arn);
    (void)engine->append(side->writer, item, 1);
    engine->read_begin(side->writer);
    /* A revision comes before its deployment, which then is not there yet. */
    (void)engine->describe(side->writer, arn, length, DEPTH_ROW, &answer);
    engine->read_end(side->writer);
}

/* One event, and then its deployment's row: for who asks what he has just told. Each engine in one go a round. */
static void mixed_round(struct bench *b, unsigned round, size_t count)
{
    struct item *items = history_slice(&b->history, count, true, true);
    for (size_t i = 0; i < b->side_count; i++) {
        struct side *side = turn(b, round, i);
        if (!side->engine->reads)
            continue;
        rest(side);
        uint64_t from = now_ns();
        for (size_t k = 0; k < count; k++)
            append_and_ask(side, &items[k]);
        result_add("append-1-describe", side->engine->name, "rate", "events/s",
                   (double)count * 1e9 / (double)(now_ns() - from));
    }
    items_free(items, count);
}

static void row_mixed(struct bench *b)
{
    if (!in_list(b->options.rows, "append-1-describe"))
        return;
    for (unsigned round = 0; round < b->options.rounds; round++)
        mixed_round(b, round, b->ones / 2);
}

void rows_append(struct bench *b)
{
    row_append(b, "append-1", b->ones, 1);
    row_mixed(b);
    row_append(b, "append-100", b->options.quick ? 5000 : 50000, 100);
    row_append(b, "append-1000", b->options.quick ? 10000 : 100000, 1000);
}

/* One of the threads that append at the same time. */
struct appender {
    const struct engine *engine;
    void *session;
    const struct item *items;
    const size_t *mine; /* which of the items, in order */
    size_t count;
    pthread_barrier_t *start;
    atomic_size_t *appended;
    atomic_size_t *appended_then;    /* by all, when the first thread was through */
    atomic_uint_least64_t *ended_at; /* that moment */
};

static void *append_mine(void *context)
{
    struct appender *a = context;
    pthread_barrier_wait(a->start);
    for (size_t i = 0; i < a->count; i++) {
        a->engine->append(a->session, &a->items[a->mine[i]], 1);
        atomic_fetch_add(a->appended, 1);
    }
    uint_least64_t none = 0;
    if (atomic_compare_exchange_strong(a->ended_at, &none, now_ns()))
        atomic_store(a->appended_then, atomic_load(a->appended));
    return NULL;
}

/* Hands the items out: all of a deployment go to one thread, so that their order holds. */
static void deal(const struct item *items, size_t count, struct appender *threads, size_t *places)
{
    size_t at = 0;
    for (size_t t = 0; t < THREADS; t++) {
        threads[t].mine = places + at;
        for (size_t i = 0; i < count; i++)
            if (items[i].deployment % THREADS == t)
                places[at++] = i;
        threads[t].count = (size_t)(places + at - threads[t].mine);
    }
}

/* Events a second while all threads are at it: the clock stops when the first has no more. */
static double append_threaded(struct side *side, const struct item *items, size_t count)
{
    struct appender threads[THREADS];
    pthread_t ids[THREADS];
    pthread_barrier_t start;
    atomic_size_t appended = 0, appended_then = 0;
    atomic_uint_least64_t ended_at = 0;
    size_t *places = must(calloc(count, sizeof(*places)));
    pthread_barrier_init(&start, NULL, THREADS + 1);
    deal(items, count, threads, places);
    for (size_t t = 0; t < THREADS; t++) {
        threads[t].engine = side->engine;
        threads[t].session = side->engine->attach(side->store, true);
        threads[t].items = items;
        threads[t].start = &start;
        threads[t].appended = &appended;
        threads[t].appended_then = &appended_then;
        threads[t].ended_at = &ended_at;
        if (pthread_create(&ids[t], NULL, append_mine, &threads[t]) != 0)
            fail("no thread");
    }
    uint64_t from = now_ns();
    pthread_barrier_wait(&start);
    for (size_t t = 0; t < THREADS; t++) {
        pthread_join(ids[t], NULL);
        side->engine->detach(threads[t].session);
    }
    pthread_barrier_destroy(&start);
    free(places);
    uint64_t ns = atomic_load(&ended_at) - from + drain(side);
    return (double)atomic_load(&appended_then) * 1e9 / (double)ns;
}

void row_threads(struct bench *b)
{
    size_t count = b->ones < THREADS * 100 ? THREADS * 100 : b->ones;
    for (unsigned round = 0; round < b->options.rounds; round++) {
        struct item *items = history_slice(&b->history, count, true, true);
        for (size_t i = 0; i < b->side_count; i++) {
            struct side *side = turn(b, round, i);
            rest(side);
            result_add("append-16-threads", side->engine->name, "rate", "events/s",
                       append_threaded(side, items, count));
        }
        items_free(items, count);
    }
}

static int status_of(const struct side *side, void *session, const struct known *known)
{
    char arn[WORKLOAD_ARN_BYTES];
    struct answer answer = {0, 0, 0};
    size_t length = workload_deployment_arn(known->service, known->number, arn);
    if (!side->engine->describe(session, arn, length, DEPTH_ROW, &answer))
        fail("%s does not have %s", side->engine->name, arn);
    return answer.status;
}

/* All deployments are there, and their statuses are those of the first side. */
static void check_statuses(struct bench *b, const struct side *side, uint8_t *first)
{
    void *session = side->engine->attach(side->store, false);
    side->engine->read_begin(session);
    for (size_t i = 0; i < b->history.known_count; i++) {
        int status = status_of(side, session, &b->history.known[i]);
        if (side == b->sides)
            first[i] = (uint8_t)status;
        else if (first[i] != status)
            fail("%s has another status for deployment %" PRIu64, side->engine->name,
                 b->history.known[i].number);
    }
    side->engine->read_end(session);
    side->engine->detach(session);
}

/* No engine gains by not doing its job: they agree, and refuse what they have. */
void check_agreement(struct bench *b)
{
    enum { AGAIN = 1000 };
    struct item *items = history_slice(&b->history, AGAIN, true, true);
    uint8_t *first = must(malloc(b->history.known_count));
    for (size_t i = 0; i < b->side_count; i++) {
        struct side *side = &b->sides[i];
        append_all(side, items, AGAIN, AGAIN, NULL);
        if (!side->engine->reads)
            continue;
        if (side->engine->append(side->writer, items, AGAIN) != AGAIN ||
            side->engine->append(side->writer, items + AGAIN / 2, 1) != 1)
            fail("%s appended an event again", side->engine->name);
        check_statuses(b, side, first);
    }
    items_free(items, AGAIN);
    free(first);
}
