/*
 * What is compared: each engine does the same job. An append makes its events durable before it
 * returns, refuses an event that its subject has already, folds it onto its deployment's row and
 * keeps the list of each service's deployments; or `leaves_out` says what it does not do.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "item.h"

/* How much of a deployment a read wants. */
enum depth {
    DEPTH_ROW,  /* every byte of the row, unparsed; what ecshist has no name for */
    DEPTH_VIEW, /* every member, where the caller can take it */
    DEPTH_JSON  /* the ECS API's JSON; only ecshist */
};

/* What a read gave: what to compare, and a sum of all that was read, so that it was. */
struct answer {
    int status;     /* an ecshist_deployment_status */
    uint64_t count; /* of a list: its items */
    uint64_t touched;
};

struct engine {
    const char *name, *title;
    const char *settings;
    const char *leaves_out; /* "": nothing */
    bool reads;             /* has describe and list */

    const char *(*version)(void);
    /* Opens or creates. Any error ends the program. */
    void *(*open)(const char *dir);
    void (*close)(void *store);
    /* Puts the store into its smallest form where it has a call for it; NULL: it has none. */
    void (*compact)(void *store);

    /* A session is one thread's. A writer and a reader may be the same one. */
    void *(*attach)(void *store, bool to_write);
    void (*detach)(void *session);
    /* Returns how many were refused as duplicates. */
    size_t (*append)(void *session, const struct item *items, size_t count);
    /*
     * What appends have left to be done later in this process is done; NULL: nothing is. For so many milliseconds then they leave
     * nothing.
     */
    void (*drain)(void *session);
    unsigned drained_ms;
    /* Between these, reads see one state (where the engine has that). */
    void (*read_begin)(void *session);
    void (*read_end)(void *session);
    bool (*describe)(void *session, const char *arn, size_t length, enum depth depth,
                     struct answer *out);
    /* The newest 20 of a service; its ARN. */
    void (*list)(void *session, const char *arn, size_t length, struct answer *out);
};

enum { LIST_LENGTH = 20 };

extern const struct engine engine_ecshist;
extern const struct engine engine_sqlite;
extern const struct engine engine_rocksdb;
extern const struct engine engine_leveldb;
extern const struct engine engine_lmdb;
extern const struct engine engine_flat;

/* Those that were built, ecshist first. Ends with NULL. */
extern const struct engine *const all_engines[];

/* Adds up bytes, a word at a time. */
uint64_t touch(const void *bytes, size_t length);
uint64_t touch_text(const char *text);

#endif
