/*
 * The workload that all measurements share: services that deploy again and again, many deployments
 * in flight at once, about 11 events a deployment. The same seed gives the same history.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_REGION "eu-north-1"
#define WORKLOAD_ACCOUNT "111222333444"
#define WORKLOAD_ARN "arn:aws:ecs:" WORKLOAD_REGION ":" WORKLOAD_ACCOUNT ":"
#define WORKLOAD_CLUSTER "production"

enum {
    WORKLOAD_MOST_CONTAINERS = 6,
    WORKLOAD_TASKS = 6,       /* a deployment wants so many */
    WORKLOAD_ARN_BYTES = 160, /* room for any ARN of it */
    WORKLOAD_JSON_BYTES = 4096
};

enum workload_type {
    WORKLOAD_REVISION_CREATED,
    WORKLOAD_DEPLOYMENT_CREATED,
    WORKLOAD_DEPLOYMENT_STARTED,
    WORKLOAD_TASKS_UPDATED,
    WORKLOAD_TASK_FAILED,
    WORKLOAD_ROLLBACK_STARTED,
    WORKLOAD_ROLLBACK_SUCCEEDED,
    WORKLOAD_DEPLOYMENT_SUCCEEDED
};

/* One event, with all that its JSON is made of. */
struct workload_event {
    enum workload_type type;
    uint64_t time_us;
    unsigned service;
    uint64_t deployment, revision;
    uint64_t source;     /* revision that is deployed over; 0: none */
    unsigned index;      /* among its deployment's events, from 0 */
    unsigned running;    /* tasks-updated */
    uint64_t task[2];    /* task-failed: the task's id */
    unsigned exit_code;  /* task-failed */
    uint64_t network[3]; /* revision-created: two subnets, one security group */
    unsigned containers; /* revision-created */
    uint64_t digests[WORKLOAD_MOST_CONTAINERS][4];
};

struct workload;

/* NULL: out of memory. Two events are most_pause_us + 1 ms apart at the most. */
struct workload *workload_new(unsigned service_count, unsigned in_flight, uint64_t seed,
                              unsigned most_pause_us);
void workload_free(struct workload *workload);
void workload_next(struct workload *workload, struct workload_event *event);

/* "task-failed" and so on. */
const char *workload_type_name(enum workload_type type);

/* ARNs and ids as texts; each returns the length. */
size_t workload_deployment_arn(unsigned service, uint64_t number, char out[WORKLOAD_ARN_BYTES]);
size_t workload_revision_arn(unsigned service, uint64_t revision, char out[WORKLOAD_ARN_BYTES]);
size_t workload_service_arn(unsigned service, char out[WORKLOAD_ARN_BYTES]);
size_t workload_id(const struct workload_event *event, char out[WORKLOAD_ARN_BYTES]);

/* The event as one JSON object, without a newline; with its id where asked for. Returns the length. */
size_t workload_json(const struct workload_event *event, bool with_id,
                     char out[WORKLOAD_JSON_BYTES]);

#endif
