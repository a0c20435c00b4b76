/*
 * Makes a history as JSON Lines: services that deploy again and again, many deployments in flight
 * at once, about 11 events a deployment, over an hour for 100,000 events, or over so many days. The
 * same seed gives the same history. With IDS 1 each event has an id of its own.
 * Usage: generate EVENTS [SERVICES [IN_FLIGHT [SEED [DAYS [IDS]]]]]
 */
#include "workload/workload.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t argument(int argc, char **argv, int at, uint64_t otherwise)
{
    return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

static int generate(struct workload *workload, uint64_t events, bool with_id)
{
    struct workload_event event;
    char json[WORKLOAD_JSON_BYTES];
    for (uint64_t i = 0; i < events; i++) {
        workload_next(workload, &event);
        size_t length = workload_json(&event, with_id, json);
        json[length++] = '\n';
        if (fwrite(json, 1, length, stdout) != length)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t events = argument(argc, argv, 1, 1000000);
    unsigned service_count = (unsigned)argument(argc, argv, 2, 1000);
    unsigned in_flight = (unsigned)argument(argc, argv, 3, 200);
    uint64_t seed = argument(argc, argv, 4, 1);
    uint64_t days = argument(argc, argv, 5, 0);
    if (in_flight == 0 || service_count < in_flight || events == 0 || days > 36500) {
        fprintf(stderr,
                "usage: generate [EVENTS [SERVICES [IN_FLIGHT [SEED [DAYS [IDS]]]]]], EVENTS > 0, "
                "SERVICES >= IN_FLIGHT > 0\n");
        return 2;
    }
    unsigned most_pause_us = 60000;
    if (days != 0)
        most_pause_us = (unsigned)(days * UINT64_C(86400000000) * 2 / events % UINT32_MAX) + 1;
    struct workload *workload = workload_new(service_count, in_flight, seed, most_pause_us);
    if (workload == NULL)
        return 1;
    int status = generate(workload, events, argument(argc, argv, 6, 0) != 0);
    workload_free(workload);
    return status;
}
