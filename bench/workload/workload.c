#include "workload.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct service {
    uint64_t good_revision; /* of the newest successful deployment; 0: none yet */
    bool busy;
};

struct deployment {
    unsigned service;
    uint64_t number, revision, source;
    unsigned step;     /* events given */
    unsigned failures; /* to come */
    bool fails;
};

struct workload {
    uint64_t random_state, clock_us, number;
    unsigned most_pause_us, service_count, in_flight;
    struct service *services;
    struct deployment *deployments;
};

/* xorshift64*: fast, and the same everywhere. */
static uint64_t random_next(struct workload *w)
{
    w->random_state ^= w->random_state >> 12;
    w->random_state ^= w->random_state << 25;
    w->random_state ^= w->random_state >> 27;
    return w->random_state * UINT64_C(2685821657736338717);
}

static unsigned random_below(struct workload *w, unsigned bound)
{
    return (unsigned)(random_next(w) >> 33) % bound;
}

static void start(struct workload *w, struct deployment *d)
{
    unsigned at = random_below(w, w->service_count);
    while (w->services[at].busy)
        at = (at + 1) % w->service_count;
    struct service *s = &w->services[at];
    s->busy = true;
    bool fails = s->good_revision != 0 && random_below(w, 8) == 0;
    uint64_t number = ++w->number;
    *d = (struct deployment){at,
                             number,
                             UINT64_C(1000000000000000000) + number,
                             s->good_revision,
                             0,
                             fails ? 3 : random_below(w, 3),
                             fails};
}

struct workload *workload_new(unsigned service_count, unsigned in_flight, uint64_t seed,
                              unsigned most_pause_us)
{
    struct workload *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->random_state = seed * 2 + 1;
    w->clock_us = UINT64_C(1704067200000000); /* 2024-01-01 */
    w->most_pause_us = most_pause_us;
    w->service_count = service_count;
    w->in_flight = in_flight;
    w->services = calloc(service_count, sizeof(*w->services));
    w->deployments = calloc(in_flight, sizeof(*w->deployments));
    if (w->services == NULL || w->deployments == NULL) {
        workload_free(w);
        return NULL;
    }
    for (unsigned i = 0; i < in_flight; i++)
        start(w, &w->deployments[i]);
    return w;
}

void workload_free(struct workload *w)
{
    if (w == NULL)
        return;
    free(w->services);
    free(w->deployments);
    free(w);
}

static enum workload_type type_of(const struct deployment *d, unsigned step)
{
    if (step == 0)
        return WORKLOAD_REVISION_CREATED;
    if (step == 1)
        return WORKLOAD_DEPLOYMENT_CREATED;
    if (step == 2)
        return WORKLOAD_DEPLOYMENT_STARTED;
    if (step < 9)
        return WORKLOAD_TASKS_UPDATED;
    if (step < 9 + d->failures)
        return WORKLOAD_TASK_FAILED;
    if (d->fails && step == 9 + d->failures)
        return WORKLOAD_ROLLBACK_STARTED;
    return d->fails ? WORKLOAD_ROLLBACK_SUCCEEDED : WORKLOAD_DEPLOYMENT_SUCCEEDED;
}

/* The random numbers are drawn last to first: so the first version of this drew them. */
static void draw_revision(struct workload *w, struct workload_event *e)
{
    for (int i = 3; i-- > 0;)
        e->network[i] = random_next(w) >> 4;
    e->containers = 3 + random_below(w, 4);
    for (unsigned c = 0; c < e->containers; c++)
        for (int i = 4; i-- > 0;)
            e->digests[c][i] = random_next(w);
}

static void draw_failure(struct workload *w, struct workload_event *e)
{
    e->exit_code = 1 + random_below(w, 137);
    e->task[1] = random_next(w);
    e->task[0] = random_next(w);
}

void workload_next(struct workload *w, struct workload_event *e)
{
    struct deployment *d = &w->deployments[random_below(w, w->in_flight)];
    struct service *s = &w->services[d->service];
    w->clock_us += 1000 + random_below(w, w->most_pause_us);
    e->type = type_of(d, d->step);
    e->time_us = w->clock_us;
    e->service = d->service;
    e->deployment = d->number;
    e->revision = d->revision;
    e->source = d->source;
    e->index = d->step++;
    e->running = e->type == WORKLOAD_TASKS_UPDATED && !d->fails ? e->index - 3 : 0;
    if (e->type == WORKLOAD_REVISION_CREATED)
        draw_revision(w, e);
    if (e->type == WORKLOAD_TASK_FAILED)
        draw_failure(w, e);
    if (e->type != WORKLOAD_ROLLBACK_SUCCEEDED && e->type != WORKLOAD_DEPLOYMENT_SUCCEEDED)
        return;
    if (!d->fails)
        s->good_revision = d->revision;
    s->busy = false;
    start(w, d);
}

const char *workload_type_name(enum workload_type type)
{
    static const char *const names[] = {
        "revision-created", "deployment-created", "deployment-started", "tasks-updated",
        "task-failed",      "rollback-started",   "rollback-succeeded", "deployment-succeeded"};
    return names[type];
}

size_t workload_deployment_arn(unsigned service, uint64_t number, char out[WORKLOAD_ARN_BYTES])
{
    return (size_t)snprintf(out, WORKLOAD_ARN_BYTES,
                            WORKLOAD_ARN "service-deployment/" WORKLOAD_CLUSTER
                                         "/service-%04u/d%020" PRIu64,
                            service, number);
}

size_t workload_revision_arn(unsigned service, uint64_t revision, char out[WORKLOAD_ARN_BYTES])
{
    return (size_t)snprintf(out, WORKLOAD_ARN_BYTES,
                            WORKLOAD_ARN "service-revision/" WORKLOAD_CLUSTER
                                         "/service-%04u/%019" PRIu64,
                            service, revision);
}

size_t workload_service_arn(unsigned service, char out[WORKLOAD_ARN_BYTES])
{
    return (size_t)snprintf(out, WORKLOAD_ARN_BYTES,
                            WORKLOAD_ARN "service/" WORKLOAD_CLUSTER "/service-%04u", service);
}

size_t workload_id(const struct workload_event *e, char out[WORKLOAD_ARN_BYTES])
{
    return (size_t)snprintf(out, WORKLOAD_ARN_BYTES, "%" PRIx64 "-%u", e->deployment, e->index);
}

/* Text that is being written. WORKLOAD_JSON_BYTES is more than any event needs. */
struct text {
    char *at, *end;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(t->at, (size_t)(t->end - t->at), format, arguments);
    va_end(arguments);
    if (length < 0 || length >= t->end - t->at)
        abort();
    t->at += length;
}

static void put_revision_arn(struct text *t, const char *member, unsigned service,
                             uint64_t revision)
{
    char arn[WORKLOAD_ARN_BYTES];
    workload_revision_arn(service, revision, arn);
    put(t, "\"%s\": \"%s\"", member, arn);
}

/* A document of 1 to 2 KB, as ECS keeps with a revision. */
static void put_document(struct text *t, const struct workload_event *e)
{
    put(t,
        "\"revision\": {\"taskDefinition\": \"" WORKLOAD_ARN "task-definition/service-%04u:%" PRIu64
        "\", \"launchType\": \"FARGATE\", \"platformVersion\": \"1.4.0\", \"platformFamily\": "
        "\"Linux\", \"networkConfiguration\": {\"awsvpcConfiguration\": {\"subnets\": "
        "[\"subnet-%017" PRIx64 "\", \"subnet-%017" PRIx64
        "\"], \"securityGroups\": [\"sg-%017" PRIx64
        "\"], \"assignPublicIp\": \"DISABLED\"}}, \"containerImages\": [",
        e->service, e->deployment, e->network[0], e->network[1], e->network[2]);
    for (unsigned i = 0; i < e->containers; i++) {
        const uint64_t *digest = e->digests[i];
        put(t,
            "%s{\"containerName\": \"container-%u\", \"imageDigest\": \"sha256:%016" PRIx64
            "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "\", \"image\": \"" WORKLOAD_ACCOUNT
            ".dkr.ecr." WORKLOAD_REGION ".amazonaws.com/service-%04u/container-%u:build-%" PRIu64
            "\"}",
            i == 0 ? "" : ", ", i, digest[0], digest[1], digest[2], digest[3], e->service, i,
            e->deployment);
    }
    put(t, "], \"guardDutyEnabled\": false}");
}

static void put_created(struct text *t, const struct workload_event *e)
{
    put(t, ", ");
    put_revision_arn(t, "targetServiceRevisionArn", e->service, e->revision);
    put(t, ", \"sourceServiceRevisionArns\": [");
    if (e->source != 0) {
        char arn[WORKLOAD_ARN_BYTES];
        workload_revision_arn(e->service, e->source, arn);
        put(t, "\"%s\"", arn);
    }
    put(t, "], \"deploymentConfiguration\": {\"deploymentCircuitBreaker\": {\"enable\": true, "
           "\"rollback\": true}, \"maximumPercent\": 200, \"minimumHealthyPercent\": 100}");
}

static void put_members(struct text *t, const struct workload_event *e)
{
    if (e->type == WORKLOAD_DEPLOYMENT_CREATED) {
        put_created(t, e);
    } else if (e->type == WORKLOAD_TASKS_UPDATED) {
        put(t, ", \"serviceRevisions\": [{");
        put_revision_arn(t, "arn", e->service, e->revision);
        put(t, ", \"requestedTaskCount\": %u, \"runningTaskCount\": %u, \"pendingTaskCount\": %u}]",
            (unsigned)WORKLOAD_TASKS, e->running, WORKLOAD_TASKS - e->running);
    } else if (e->type == WORKLOAD_TASK_FAILED) {
        put(t,
            ", \"taskArn\": \"" WORKLOAD_ARN "task/" WORKLOAD_CLUSTER "/%016" PRIx64 "%016" PRIx64
            "\", \"reason\": \"Essential container in task exited\", \"stopCode\": "
            "\"EssentialContainerExited\", \"exitCode\": %u, \"containerName\": \"container-0\"",
            e->task[0], e->task[1], e->exit_code);
    }
}

size_t workload_json(const struct workload_event *e, bool with_id, char out[WORKLOAD_JSON_BYTES])
{
    struct text t = {out, out + WORKLOAD_JSON_BYTES};
    char name[WORKLOAD_ARN_BYTES];
    put(&t, "{\"type\": \"%s\", \"time\": %" PRIu64 ".%06" PRIu64, workload_type_name(e->type),
        e->time_us / 1000000, e->time_us % 1000000);
    if (with_id) {
        workload_id(e, name);
        put(&t, ", \"id\": \"%s\"", name);
    }
    if (e->type == WORKLOAD_REVISION_CREATED) {
        put(&t, ", ");
        put_revision_arn(&t, "serviceRevisionArn", e->service, e->revision);
        put(&t, ", ");
        put_document(&t, e);
    } else {
        workload_deployment_arn(e->service, e->deployment, name);
        put(&t, ", \"serviceDeploymentArn\": \"%s\"", name);
        put_members(&t, e);
    }
    put(&t, "}");
    return (size_t)(t.at - out);
}
