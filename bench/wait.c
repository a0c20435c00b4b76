/*
 * How long an append waits while something else goes on: appends one event after the other to a store until its standard
 * input ends, then prints how long they took. Usage: wait STORE
 */
#include <ecshist/ecshist.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEPLOYMENT                                                                                 \
    "arn:aws:ecs:eu-north-1:111222333444:service-deployment/production/waiting/w%" PRIu64
#define REVISION "arn:aws:ecs:eu-north-1:111222333444:service-revision/production/waiting/1"

enum { EVENTS_EACH = 50, MOST = 10000000 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool input_ended(void)
{
    struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
    return poll(&fd, 1, 0) != 0;
}

/* Deployments of 50 events each: one after the other is begun, updated, and ends. */
static int append(ecshist_store *store, uint64_t run, uint64_t i, struct ecshist_error *error)
{
    char json[1024];
    uint64_t number = run + i / EVENTS_EACH, at = i % EVENTS_EACH;
    const char *type = at == 0                 ? "deployment-started"
                       : at == EVENTS_EACH - 1 ? "deployment-succeeded"
                                               : "tasks-updated";
    snprintf(json, sizeof(json),
             "{\"type\":\"%s\",\"id\":\"%" PRIu64 "\",\"time\":%" PRIu64
             ",\"serviceDeploymentArn\":\"" DEPLOYMENT "\"%s}",
             type, i, 1700000000 + i / 1000, number,
             at == 0                 ? ",\"targetServiceRevisionArn\":\"" REVISION "\""
             : at == EVENTS_EACH - 1 ? ""
                                     : ",\"serviceRevisions\":[{\"arn\":\"" REVISION
                                       "\",\"runningTaskCount\":1}]");
    return ecshist_append_json(store, json, strlen(json), NULL, NULL, error);
}

int main(int argc, char **argv)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store;
    uint32_t *took = malloc(MOST * sizeof(*took));
    size_t count = 0;
    if (argc != 2 || took == NULL || ecshist_open(argv[1], NULL, &store, &error) != ECSHIST_OK) {
        fprintf(stderr, "usage: wait STORE; %s\n", error.message);
        return 2;
    }
    uint64_t started = now_ns();
    for (; count < MOST && !input_ended(); count++) {
        uint64_t from = now_ns();
        if (append(store, started, count, &error) != ECSHIST_OK) {
            fprintf(stderr, "wait: %s\n", error.message);
            return 1;
        }
        took[count] = (uint32_t)((now_ns() - from) / 1000);
    }
    double seconds = (double)(now_ns() - started) / 1e9;
    ecshist_close(store);
    qsort(took, count, sizeof(*took), compare);
    if (count > 0)
        printf("%zu appends in %.1f s, microseconds: p50 %u, p99 %u, p99.9 %u, longest %u\n", count,
               seconds, took[count / 2], took[count * 99 / 100], took[count * 999 / 1000],
               took[count - 1]);
    free(took);
    return 0;
}
