/* Rows of reads. */
#include "bench.h"

#include <ecshist/ecshist.h>
#include <pthread.h>
#include <stdlib.h>

enum { GROUP = 16 };

/* What it costs to ask the clock, twice: the least of many. */
static uint64_t clock_cost(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 10000; i++) {
        uint64_t from = now_ns(), took = now_ns() - from;
        if (took < least)
            least = took;
    }
    return least;
}

/* The mean, by groups, so that the clock weighs little. */
static double grouped_mean(read_fn fn, void *context, size_t count)
{
    uint64_t cost = clock_cost(), grouped = 0;
    for (size_t i = 0; i + GROUP <= count; i += GROUP) {
        uint64_t from = now_ns();
        for (size_t j = 0; j < GROUP; j++)
            fn(context, i + j);
        grouped += now_ns() - from - cost;
    }
    return (double)grouped / (double)(count / GROUP * GROUP);
}

/* All once, and again; percentiles are of single reads, without what the clock takes. */
struct read_times time_reads(read_fn fn, void *context, size_t count)
{
    uint32_t *took = must(calloc(count, sizeof(*took)));
    uint64_t cost = clock_cost();
    double first = grouped_mean(fn, context, count), again = grouped_mean(fn, context, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t from = now_ns();
        fn(context, i);
        uint64_t ns = now_ns() - from;
        took[i] = (uint32_t)(ns > cost ? ns - cost : 0);
    }
    struct read_times times = {first, again, percentile(took, count, 0.5),
                               percentile(took, count, 0.99)};
    free(took);
    return times;
}

struct name *pick_names(const struct history *history, uint64_t newest, bool services)
{
    struct name *names = must(calloc(NAMES, sizeof(*names)));
    uint64_t state = 12345, count = history->known_count;
    uint64_t among = newest != 0 && newest < count ? newest : count;
    for (size_t i = 0; i < NAMES; i++) {
        const struct known *k = &history->known[count - 1 - random_u64(&state) % among];
        names[i].length = services ? workload_service_arn(k->service, names[i].text)
                                   : workload_deployment_arn(k->service, k->number, names[i].text);
    }
    return names;
}

/* One thread that reads. */
struct reader {
    const struct engine *engine;
    void *session;
    const struct name *names;
    bool lists;
    enum depth depth;
    size_t count, first;
    struct answer answer;
    struct read_times times;
};

static void read_one(void *context, size_t i)
{
    struct reader *r = context;
    const struct name *name = &r->names[(r->first + i) % NAMES];
    if (r->lists)
        r->engine->list(r->session, name->text, name->length, &r->answer);
    else if (!r->engine->describe(r->session, name->text, name->length, r->depth, &r->answer))
        fail("%s does not have %s", r->engine->name, name->text);
}

static void *read_all(void *context)
{
    struct reader *r = context;
    r->engine->read_begin(r->session);
    r->times = time_reads(read_one, r, r->count);
    r->engine->read_end(r->session);
    return NULL;
}

static void add_times(const char *row, const char *engine, struct read_times times)
{
    result_add(row, engine, "first", "ns", times.first);
    result_add(row, engine, "mean", "ns", times.mean);
    result_add(row, engine, "p50", "ns", times.p50);
    result_add(row, engine, "p99", "ns", times.p99);
}

/* What the two threads took, each for its own reads. */
static struct read_times mean_of(const struct reader *r, size_t count)
{
    struct read_times sum = {0, 0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        sum.first += r[i].times.first / (double)count;
        sum.mean += r[i].times.mean / (double)count;
        sum.p50 += r[i].times.p50 / (double)count;
        sum.p99 += r[i].times.p99 / (double)count;
    }
    return sum;
}

static void read_turn(const struct side *side, const char *row, const struct reader *what,
                      size_t threads, unsigned round)
{
    struct reader readers[2];
    pthread_t ids[2];
    for (size_t i = 0; i < threads; i++) {
        readers[i] = *what;
        readers[i].engine = side->engine;
        readers[i].first = i * NAMES / 2 + round * what->count; /* others in each round */
        readers[i].session = side->engine->attach(side->store, false);
        if (pthread_create(&ids[i], NULL, read_all, &readers[i]) != 0)
            fail("no thread");
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        side->engine->detach(readers[i].session);
    }
    add_times(row, side->engine->name, mean_of(readers, threads));
}

static void row_read(struct bench *b, const char *row, const struct reader *what, size_t threads)
{
    if (!in_list(b->options.rows, row))
        return;
    settle();
    for (unsigned round = 0; round < b->options.rounds; round++)
        for (size_t i = 0; i < b->side_count; i++) {
            const struct side *side = &b->sides[(round + i) % b->side_count];
            if (!side->engine->reads ||
                (what->depth == DEPTH_JSON && side->engine != &engine_ecshist))
                continue;
            read_turn(side, row, what, threads, round);
        }
}

void rows_read(struct bench *b)
{
    size_t count = b->options.quick ? 8192 : NAMES / 4;
    struct name *deployments = pick_names(&b->history, 0, false);
    struct name *services = pick_names(&b->history, 0, true);
    struct reader describe = {.names = deployments, .depth = DEPTH_VIEW, .count = count};
    struct reader list = {.names = services, .lists = true, .count = count / 4};
    row_read(b, "describe", &describe, 1);
    row_read(b, "describe-2-threads", &describe, 2);
    describe.depth = DEPTH_JSON;
    row_read(b, "describe-json", &describe, 1);
    row_read(b, "list-20", &list, 1);
    free(deployments);
    free(services);
}

/* Deployments of 11 events, and the moments that they are asked about. */
struct as_of {
    ecshist_snapshot *snapshot;
    size_t count;
    struct name names[1000];
    uint64_t middle[1000], end[1000];
    bool at_end;
};

static void check(int code, const struct ecshist_error *error)
{
    if (code != ECSHIST_OK)
        fail("ecshist: %s", error->message);
}

static void find_as_of(struct bench *b, struct as_of *a)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (size_t i = 0; i < b->history.known_count && a->count < 1000; i++) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        struct name *name = &a->names[a->count];
        ecshist_result *events;
        name->length = workload_deployment_arn(b->history.known[i].service,
                                               b->history.known[i].number, name->text);
        check(ecshist_timeline(a->snapshot, name->text, NULL, &events, &error), &error);
        if (ecshist_result_count(events) == 11) {
            ecshist_event_info(ecshist_result_event(events, 5), &info);
            a->middle[a->count] = info.seq;
            ecshist_event_info(ecshist_result_event(events, 10), &info);
            a->end[a->count++] = info.seq;
        }
        ecshist_result_free(events);
    }
}

static void as_of_one(void *context, size_t i)
{
    struct as_of *a = context;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    struct ecshist_as_of at = ECSHIST_AS_OF_INIT;
    const char *arn = a->names[i % a->count].text;
    ecshist_result *result;
    at.seq = a->at_end ? a->end[i % a->count] : a->middle[i % a->count];
    check(ecshist_describe_service_deployments(a->snapshot, &arn, 1, &at, &result, &error), &error);
    if (!ecshist_result_deployment(result, 0, &view) || view.last_seq != at.seq)
        fail("%s as of %" PRIu64 " is not right", arn, at.seq);
    ecshist_result_free(result);
}

void row_as_of(struct bench *b)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct side *side = side_of(b, "ecshist");
    if (side == NULL)
        return;
    struct as_of *a = must(calloc(1, sizeof(*a)));
    check(ecshist_snapshot_open(side->store, &a->snapshot, &error), &error);
    find_as_of(b, a);
    for (unsigned round = 0; round < b->options.rounds && a->count > 0; round++) {
        a->at_end = false;
        add_times("as-of-middle", "ecshist", time_reads(as_of_one, a, 8192));
        a->at_end = true;
        add_times("as-of-end", "ecshist", time_reads(as_of_one, a, 8192));
    }
    ecshist_snapshot_close(a->snapshot);
    free(a);
}
