/*
 * Streams of events from a seed: a few services, deployments and revisions, mostly as an
 * orchestrator would record them, sometimes out of order, repeated, contradictory or impossible.
 * Every event is well-formed by section 3 of the specification, but for a first deployment-started
 * without a target.
 */
#ifndef TESTS_SUPPORT_RANDOM_EVENTS_H
#define TESTS_SUPPORT_RANDOM_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    RANDOM_SERVICES = 2,
    RANDOM_DEPLOYMENTS = 6, /* in all */
    RANDOM_REVISIONS = 4,   /* of each service */
    RANDOM_MEMORY = 16
};

struct random_events {
    uint64_t state;
    int64_t now_us;
    int phase[RANDOM_DEPLOYMENTS];        /* a guess at where each deployment stands */
    json_t *observed[RANDOM_DEPLOYMENTS]; /* the last observation made up */
    json_t *memory[RANDOM_MEMORY];        /* events to repeat */
    unsigned made;
};

/* The same seed, the same stream. */
void random_events_start(struct random_events *r, uint64_t seed);
/* The next event; yours. */
json_t *random_events_next(struct random_events *r);
void random_events_end(struct random_events *r);

/* ARNs as the events have them; text has room for 256 bytes. */
const char *random_service_arn(int service, char *text);
const char *random_deployment_arn(int deployment, char *text);
const char *random_revision_arn(int service, int revision, char *text);

/* A number below n; true in so many of a hundred cases. */
uint64_t random_below(struct random_events *r, uint64_t n);
bool random_percent(struct random_events *r, unsigned percent);

#endif
