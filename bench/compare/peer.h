/*
 * The append that the peers share: find the subject's row, refuse what it has already, store the
 * event, fold it, and in the end write each changed row once. What is stored where is each peer's.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "row.h"

/* What a peer does with its session within one append. */
struct peer_calls {
    const char *name;
    /* The row of an item's subject; false: there is none. */
    bool (*load)(void *session, const struct item *item, struct row *row);
    /*
     * Stores the event and gives its seq; 0: its subject has it already. id 0: the subject is new,
     * and gets the seq as its id.
     */
    int64_t (*put_event)(void *session, const struct item *item, int64_t id);
    void (*put_row)(void *session, const struct row *row, bool fresh);
};

/* Rows that an append has in hand, by subject. */
struct peer_batch;
struct peer_batch *peer_batch_new(void);
void peer_batch_free(struct peer_batch *batch);

/* All but begin and commit. Returns how many were refused as duplicates. */
size_t peer_append(const struct peer_calls *calls, void *session, struct peer_batch *batch,
                   const struct item *items, size_t count);

/* Of integers, so that byte order is number order. */
void put_be64(uint8_t *out, uint64_t value);
uint64_t get_be64(const uint8_t *bytes);

/* An event as the key-value peers and the flat file store it. */
enum { EVENT_BYTES = 8192 };
size_t event_encode(const struct item *item, int64_t seq, int64_t recorded_at,
                    uint8_t out[EVENT_BYTES]);
int64_t now_us(void);

#endif
