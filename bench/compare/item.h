/*
 * Events made ready for all engines, outside of what is timed: ecshist's own event, and for the
 * peers the same content as a MessagePack body with its subject, id, type and time beside it.
 */
#ifndef BENCH_ITEM_H
#define BENCH_ITEM_H

#include "workload/workload.h"

#include <ecshist/event.h>

/* One event. Texts end with a NUL, too; source is NULL where there is none. */
struct item {
    ecshist_event *event;
    enum workload_type type;
    int64_t time_us;
    unsigned service;
    uint64_t deployment;
    unsigned running;
    const char *subject, *id, *target, *source;
    size_t subject_length, id_length;
    const uint8_t *body;
    size_t body_length;
    char *memory; /* what the pointers above point into */
};

/* A deployment that some store has. */
struct known {
    unsigned service;
    uint64_t number;
};

/* A history as it is made, slice by slice. */
struct history {
    struct workload *workload;
    struct known *known; /* created so far, oldest first */
    size_t known_count, known_room;
    uint64_t count; /* of events so far */
};

/* Ends the program where memory or an event is wrong: measuring has nothing to save. */
void history_begin(struct history *history, uint64_t seed);
void history_end(struct history *history);
/* The next `count` events; items_free. */
struct item *history_slice(struct history *history, size_t count, bool with_event, bool with_peer);
void items_free(struct item *items, size_t count);

#endif
