/*
 * Makes a history as JSON Lines: services that deploy again and again, many deployments in flight
 * at once, about 11 events a deployment, over an hour for 100,000 events, or over so many days. The
 * same seed gives the same history. Usage: generate EVENTS [SERVICES [IN_FLIGHT [SEED [DAYS]]]]
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define REGION "eu-north-1"
#define ACCOUNT "111222333444"
#define ARN "arn:aws:ecs:" REGION ":" ACCOUNT ":"

struct service {
    uint64_t revision;      /* of the newest deployment; 0: none yet */
    uint64_t good_revision; /* of the newest successful one */
    bool busy;
};

struct deployment {
    unsigned service;
    uint64_t number, revision, source;
    unsigned step;     /* events written */
    unsigned failures; /* to come */
    bool fails;
};

static uint64_t random_state;
static uint64_t clock_us = UINT64_C(1704067200000000); /* 2024-01-01 */
static unsigned most_pause_us = 60000;

/* xorshift64*: fast, and the same everywhere. */
static uint64_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static unsigned random_below(unsigned bound)
{
    return (unsigned)(random_next() >> 33) % bound;
}

static void begin(const char *type)
{
    clock_us += 1000 + random_below(most_pause_us);
    printf("{\"type\": \"%s\", \"time\": %" PRIu64 ".%06" PRIu64, type, clock_us / 1000000,
           clock_us % 1000000);
}

static void put_revision_arn(const char *member, unsigned service, uint64_t revision)
{
    printf("\"%s\": \"" ARN "service-revision/production/service-%04u/%019" PRIu64 "\"", member,
           service, revision);
}

static void put_deployment_arn(const struct deployment *d)
{
    printf(", \"serviceDeploymentArn\": \"" ARN
           "service-deployment/production/service-%04u/d%020" PRIu64 "\"",
           d->service, d->number);
}

/* A document of 1 to 2 KB, as ECS keeps with a revision. */
static void revision_created(const struct deployment *d)
{
    begin("revision-created");
    printf(", ");
    put_revision_arn("serviceRevisionArn", d->service, d->revision);
    printf(", \"revision\": {\"taskDefinition\": \"" ARN "task-definition/service-%04u:%" PRIu64
           "\", \"launchType\": \"FARGATE\", \"platformVersion\": \"1.4.0\", \"platformFamily\": "
           "\"Linux\", "
           "\"networkConfiguration\": {\"awsvpcConfiguration\": {\"subnets\": [\"subnet-%017" PRIx64
           "\", \"subnet-%017" PRIx64 "\"], \"securityGroups\": [\"sg-%017" PRIx64
           "\"], \"assignPublicIp\": \"DISABLED\"}}, \"containerImages\": [",
           d->service, d->number, random_next() >> 4, random_next() >> 4, random_next() >> 4);
    unsigned containers = 3 + random_below(4);
    for (unsigned i = 0; i < containers; i++)
        printf("%s{\"containerName\": \"container-%u\", \"imageDigest\": \"sha256:%016" PRIx64
               "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "\", \"image\": \"" ACCOUNT
               ".dkr.ecr." REGION ".amazonaws.com/service-%04u/container-%u:build-%" PRIu64 "\"}",
               i == 0 ? "" : ", ", i, random_next(), random_next(), random_next(), random_next(),
               d->service, i, d->number);
    printf("], \"guardDutyEnabled\": false}}\n");
}

static void deployment_created(const struct deployment *d)
{
    begin("deployment-created");
    put_deployment_arn(d);
    printf(", ");
    put_revision_arn("targetServiceRevisionArn", d->service, d->revision);
    printf(", \"sourceServiceRevisionArns\": [");
    if (d->source != 0)
        printf("\"" ARN "service-revision/production/service-%04u/%019" PRIu64 "\"", d->service,
               d->source);
    printf("], \"deploymentConfiguration\": {\"deploymentCircuitBreaker\": {\"enable\": true, "
           "\"rollback\": true}, "
           "\"maximumPercent\": 200, \"minimumHealthyPercent\": 100}}\n");
}

static void tasks_updated(const struct deployment *d, unsigned running)
{
    begin("tasks-updated");
    put_deployment_arn(d);
    printf(", \"serviceRevisions\": [{");
    put_revision_arn("arn", d->service, d->revision);
    printf(", \"requestedTaskCount\": 6, \"runningTaskCount\": %u, \"pendingTaskCount\": %u}]}\n",
           running, 6 - running);
}

static void task_failed(const struct deployment *d)
{
    begin("task-failed");
    put_deployment_arn(d);
    printf(", \"taskArn\": \"" ARN "task/production/%016" PRIx64 "%016" PRIx64
           "\", \"reason\": \"Essential container in task exited\", \"stopCode\": "
           "\"EssentialContainerExited\", "
           "\"exitCode\": %u, \"containerName\": \"container-0\"}\n",
           random_next(), random_next(), 1 + random_below(137));
}

static void plain(const struct deployment *d, const char *type)
{
    begin(type);
    put_deployment_arn(d);
    printf("}\n");
}

/* The next event of a deployment; false behind its last. */
static bool advance(struct deployment *d, struct service *s)
{
    unsigned step = d->step++;
    if (step == 0)
        revision_created(d);
    else if (step == 1)
        deployment_created(d);
    else if (step == 2)
        plain(d, "deployment-started");
    else if (step < 9)
        tasks_updated(d, d->fails ? 0 : step - 3);
    else if (step < 9 + d->failures)
        task_failed(d);
    else if (d->fails && step == 9 + d->failures)
        plain(d, "rollback-started");
    else {
        plain(d, d->fails ? "rollback-succeeded" : "deployment-succeeded");
        if (!d->fails)
            s->good_revision = d->revision;
        s->busy = false;
        return false;
    }
    return true;
}

static void start(struct deployment *d, struct service *services, unsigned service_count,
                  uint64_t number)
{
    unsigned at = random_below(service_count);
    while (services[at].busy)
        at = (at + 1) % service_count;
    struct service *s = &services[at];
    s->busy = true;
    s->revision = UINT64_C(1000000000000000000) + number;
    bool fails = s->good_revision != 0 && random_below(8) == 0;
    *d = (struct deployment){
        at, number, s->revision, s->good_revision, 0, fails ? 3 : random_below(3), fails};
}

static uint64_t argument(int argc, char **argv, int at, uint64_t otherwise)
{
    return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    uint64_t events = argument(argc, argv, 1, 1000000);
    unsigned service_count = (unsigned)argument(argc, argv, 2, 1000);
    unsigned in_flight = (unsigned)argument(argc, argv, 3, 200);
    random_state = argument(argc, argv, 4, 1) * 2 + 1;
    uint64_t days = argument(argc, argv, 5, 0);
    if (in_flight == 0 || service_count < in_flight || events == 0 || days > 36500) {
        fprintf(stderr,
                "usage: generate [EVENTS [SERVICES [IN_FLIGHT [SEED [DAYS]]]]], EVENTS > 0, "
                "SERVICES >= IN_FLIGHT > 0\n");
        return 2;
    }
    if (days != 0)
        most_pause_us = (unsigned)(days * UINT64_C(86400000000) * 2 / events % UINT32_MAX) + 1;
    struct service *services = calloc(service_count, sizeof(*services));
    struct deployment *deployments = calloc(in_flight, sizeof(*deployments));
    if (services == NULL || deployments == NULL)
        return 1;
    uint64_t number = 0;
    for (unsigned i = 0; i < in_flight; i++)
        start(&deployments[i], services, service_count, ++number);
    for (uint64_t i = 0; i < events; i++) {
        struct deployment *d = &deployments[random_below(in_flight)];
        if (!advance(d, &services[d->service]))
            start(d, services, service_count, ++number);
    }
    free(services);
    free(deployments);
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}
