/*
 * A store: open, append, close; the state of it; its index.
 *
 * Threads: one ecshist_store may be used by any number of threads at once. Processes: any number
 * may have the same store open, reading and writing. A handle does not survive fork: in the child
 * every call on it fails with MISUSE, and closing it there does nothing: its memory is the parent's
 * copy.
 *
 * Signals: the library changes no disposition. Where the size of files is limited (RLIMIT_FSIZE) a
 * write beyond the limit is an error only if SIGXFSZ is ignored; otherwise the signal ends the
 * process, as it would in any other of its writes. Nothing that was acknowledged is lost by that.
 */
#ifndef ECSHIST_STORE_H
#define ECSHIST_STORE_H

#include <ecshist/error.h>
#include <ecshist/event.h>
#include <ecshist/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An open store. Opaque; ecshist_close. */
typedef struct ecshist_store ecshist_store;

/* Flags of ecshist_open. */
enum {
    ECSHIST_OPEN_READ_ONLY = 1, /* no appends; still heals an index that is not trusted */
    ECSHIST_OPEN_CREATE = 2,    /* make the store where there is none */
    ECSHIST_OPEN_EXCLUSIVE = 4, /* with CREATE: fail with EXISTS where there is one */
    ECSHIST_OPEN_REBUILD = 8    /* make the index anew without looking at the one that is there */
};

/* How far a long piece of work is. Return false to have it stop with code END. */
typedef bool (*ecshist_progress_fn)(void *context, uint64_t done, uint64_t total);

/* Options of ecshist_open. All zero (the INIT macro) is a good choice. */
struct ecshist_open_options {
    size_t size;
    unsigned flags;         /* ECSHIST_OPEN_* */
    uint32_t segment_bytes; /* at which a segment is sealed; 0: ECSHIST_DEFAULT_SEGMENT_BYTES */
    uint64_t map_bytes;     /* address space of the index, at the least; 0: the default */
    /* The clock behind recordedAt; NULL: the system's. It must not ask the library anything. */
    int64_t (*now_us)(void *context);
    void *now_context;
    ecshist_progress_fn progress; /* of a rebuild that the open turns out to need; may be NULL */
    void *progress_context;
};

#define ECSHIST_OPEN_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(struct ecshist_open_options), 0, 0, 0, NULL, NULL, NULL, NULL                       \
    }

/* Flags of an append. */
enum {
    /* An event that conflicts with its subject's history is logged and marked as ignored. */
    ECSHIST_APPEND_LENIENT = 1,
    /*
     * Each event stands for itself: one that is refused does not keep the others out. They share
     * one flush. Without it, a batch is appended whole or not at all.
     */
    ECSHIST_APPEND_EACH = 2
};

struct ecshist_append_options {
    size_t size;
    unsigned flags; /* ECSHIST_APPEND_* */
};

#define ECSHIST_APPEND_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(struct ecshist_append_options), 0                                                   \
    }

/* What became of an event. */
typedef enum ecshist_outcome {
    ECSHIST_OUTCOME_NONE = 0,      /* not looked at, or kept out by another event of its batch */
    ECSHIST_OUTCOME_APPENDED = 1,  /* durable, and visible in the views; seq is its own */
    ECSHIST_OUTCOME_DUPLICATE = 2, /* its subject has it already; seq is the first one's */
    ECSHIST_OUTCOME_IGNORED = 3,   /* durable, marked as ignored (lenient); reason says why */
    ECSHIST_OUTCOME_REFUSED = 4    /* not in the log; code and reason say why */
} ecshist_outcome;

struct ecshist_append_result {
    size_t size;
    ecshist_outcome outcome;
    int code;     /* REFUSED: INVALID, CONFLICT, NOT_FOUND or LIMIT; IGNORED: CONFLICT; else OK */
    uint64_t seq; /* 0 where the event is not in the log */
    char reason[256]; /* one sentence, or "" */
};

#define ECSHIST_APPEND_RESULT_INIT                                                                 \
    {                                                                                              \
        sizeof(struct ecshist_append_result), ECSHIST_OUTCOME_NONE, 0, 0,                          \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Counts and sizes of a store. */
struct ecshist_stat {
    size_t size;
    uint64_t last_seq;      /* of the newest event, 0 where there is none */
    uint64_t event_count;   /* events in the log */
    uint64_t ignored_count; /* of them, marked as ignored */
    uint64_t deployment_count;
    uint64_t deployments_by_status[16]; /* by ecshist_deployment_status */
    uint64_t revision_count;
    uint64_t service_count;
    uint64_t segment_count;
    uint64_t log_bytes;       /* the segments' files, zeros ahead of the tail included */
    uint64_t log_used_bytes;  /* without them */
    uint64_t index_bytes;     /* the index's file */
    uint64_t index_map_bytes; /* its address space */
    int64_t oldest_time_us;   /* least and greatest time of an event; 0 where there is none */
    int64_t newest_time_us;
    uint32_t reader_count; /* snapshots open in any process */
    char store_id[33];     /* hexadecimal */
};

#define ECSHIST_STAT_INIT                                                                          \
    {                                                                                              \
        sizeof(struct ecshist_stat), 0, 0, 0, 0, {0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,                \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

ECSHIST_BEGIN

/*
 * Opens the store in directory `path`; options may be NULL. Rebuilds the index first where it is
 * not trusted, and cuts off a torn tail of the log, which nobody was told was durable. Within a
 * process, opening the same store again gives the same handle with its count raised; each open
 * wants its close. On success *out is yours: ecshist_close. On failure it is untouched. Errors:
 * INVALID, NO_STORE, EXISTS, FORMAT, DAMAGED (the log: nothing is changed), IO, INDEX, NO_MEMORY,
 * BUSY, END (progress said stop). Thread-safe.
 *
 * `path` may be a symbolic link; anything within the store that is one is refused (FORMAT). To write, refused (IO) are a
 * store of another user where this process is root's, whom its owner could lead to write anywhere, and a directory that
 * everybody may write to. Read-only, root may open any store; what is made there then is given to its owner. BUSY: a process of
 * another container (PID namespace) has the store open under the same process id, by which LMDB tells them apart.
 *
 * Of the log every byte has a checksum, and so has each row of the index; but the index's pages are LMDB's, and a page
 * that rot has changed can make LMDB abort or fault. Who suspects it has ecshist_verify, which reads it in a child, and
 * ECSHIST_OPEN_REBUILD, which does not read it at all (MISUSE where this process has the store open already).
 */
ECSHIST_API int ecshist_open(const char *path, const struct ecshist_open_options *options,
                             ecshist_store **out, struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * Closes a store; NULL is allowed. Snapshots and cursors of it must be closed before. The last
 * process out syncs the index and marks it clean. Nothing acknowledged depends on this call.
 */
ECSHIST_API void ecshist_close(ecshist_store *store);

/*
 * Appends `count` events (1 to ECSHIST_MAX_BATCH_EVENTS) and returns when they are durable and
 * visible to every process; to one that may not write to the store within a quarter of a second, or, where this process is killed
 * before that, when one that may opens it. The index is written later, for many events at once, by an append, a reader,
 * ecshist_close, or a thread that the first append begins and the last ecshist_close ends. options may be NULL: strict, all or nothing. results may be NULL, else
 * it has `count` entries, each with its size set (ECSHIST_APPEND_RESULT_INIT) and filled here.
 *
 * Returns OK where no event was refused (duplicates and ignored ones are no failure); otherwise the
 * code of the first that was, error->event_index naming it: with ECSHIST_APPEND_EACH the others are
 * in, without it the log is unchanged. OUTCOME_UNKNOWN: a write or a flush failed; the handle takes
 * no more appends until it is reopened, and appending the same events again then is safe.
 * Errors: INVALID, CONFLICT, NOT_FOUND, LIMIT, READ_ONLY, DAMAGED, IO, INDEX, FULL, NO_MEMORY,
 * MISUSE, OUTCOME_UNKNOWN. Thread-safe; threads that append at once share a flush.
 */
ECSHIST_API int ecshist_append(ecshist_store *store, const ecshist_event *const *events,
                               size_t count, const struct ecshist_append_options *options,
                               struct ecshist_append_result *results, struct ecshist_error *error)
    ECSHIST_CHECKED;

/* One event from JSON, appended: ecshist_event_from_json and ecshist_append in one. result may be
 * NULL. */
ECSHIST_API int ecshist_append_json(ecshist_store *store, const char *json, size_t length,
                                    const struct ecshist_append_options *options,
                                    struct ecshist_append_result *result,
                                    struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * Says what an append of these events would do, and does not do it: results as for ecshist_append,
 * `seq` as it would be. Errors as there. Thread-safe.
 */
ECSHIST_API int ecshist_append_dry_run(ecshist_store *store, const ecshist_event *const *events,
                                       size_t count, const struct ecshist_append_options *options,
                                       struct ecshist_append_result *results,
                                       struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * Makes the index anew from the log, beside the old one, and swaps it in. Readers go on with the
 * old one; appends wait. progress (may be NULL) is told bytes of log. Errors: DAMAGED, IO, INDEX,
 * FULL, NO_MEMORY, END (progress said stop; the old index stands). Thread-safe.
 */
ECSHIST_API int ecshist_rebuild_index(ecshist_store *store, ecshist_progress_fn progress,
                                      void *context, struct ecshist_error *error) ECSHIST_CHECKED;

/* Counts and sizes. Set stat->size (the INIT macro does). Errors: IO, INDEX, NO_MEMORY.
 * Thread-safe. */
ECSHIST_API int ecshist_stat(ecshist_store *store, struct ecshist_stat *stat,
                             struct ecshist_error *error) ECSHIST_CHECKED;

ECSHIST_END_DECLS

#endif
