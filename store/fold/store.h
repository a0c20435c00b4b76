/*
 * An open store: the log, the index over it, and the ways between them. Three locks, always taken
 * in this order: presence (flock, shared, on the store's directory: held as long as a handle is
 * open), the writers' lock (flock on log/: one append, catch-up or rebuild at a time in all
 * processes), and the mutexes of this struct.
 */
#ifndef EHI_FOLD_STORE_H
#define EHI_FOLD_STORE_H

#include "fold/project.h"

#include <ecshist/store.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

struct ehi_request;
struct ehi_words;

/*
 * Durable events that are not in the index yet: the leader's batch has them (behind.h), or will have those behind what was handed over. Under
 * the writers' lock.
 */
struct ehi_held {
    struct ehi_db *db; /* the index they are for, counted; NULL: there are none */
    uint64_t
        txn_id; /* of the commit that they were folded onto, or of the one before what was handed over */
    struct ehi_position position; /* behind them */
    _Atomic int64_t
        due_us; /* when they are to be put, at the latest; 0: the batch has none. The flusher reads it, too */
    size_t most_events, most_bytes;
};

/* What becomes of a batch that was handed over. */
enum ehi_put_state {
    EHI_PUT_NONE,
    EHI_PUT_WAITS, /* for the flusher, or for who cannot wait for him */
    EHI_PUT_RUNS,
    EHI_PUT_DONE
};

/* Events that are being put while the next are folded behind them. Under the writers' lock, but for its state, and while it runs. */
struct ehi_handed {
    struct ehi_batch *batch; /* of the two the one that is not the leader's; NULL: not made yet */
    struct ehi_db *db;       /* counted; NULL: nothing was handed over */
    uint64_t txn_id;         /* of the commit that they were folded onto */
    uint64_t committed;      /* DONE: theirs; 0: they could not be put */
    size_t events, bytes;
    int cpu;                  /* the leader's */
    enum ehi_put_state state; /* under the flusher's mutex */
};

/* The thread that puts what was handed over, and what is held after a moment. */
struct ehi_flusher {
    pthread_t thread;
    bool runs; /* under the writers' lock */
    pthread_mutex_t mutex;
    pthread_cond_t wake, done; /* done: what was handed over was put, or could not be */
    bool stop, idle, ended;    /* under the mutex; idle: it waits for something to do */
};

struct ehi_store {
    char *path;
    int dir_fd, log_fd;
    int pid_fd; /* -1 where nothing can be written */
    dev_t device;
    ino_t inode;
    pid_t pid;           /* of the process that opened it: a handle does not cross fork */
    unsigned references; /* under the registry's mutex */
    struct ehi_store *next;
    struct ehi_log *log;
    uint64_t map_bytes;
    atomic_bool read_only; /* no appends were asked for: until somebody opens it for them */
    bool
        foreign; /* somebody else's, where this process's user should not write: only what must be, to read */
    bool frozen; /* nothing can be written here: a read-only file system, or no permission */
    int64_t (*now_us)(void *context);
    void *now_context;
    pthread_mutex_t writer_mutex; /* the writers' lock among this process's threads */
    _Atomic uintptr_t writer;     /* who has it; 0: nobody */
    pthread_mutex_t db_mutex;     /* of db */
    struct ehi_db *db;
    pthread_mutex_t queue_mutex; /* of the fields to `poisoned` */
    struct ehi_request *first, **last;
    unsigned queued; /* requests in the queue */
    unsigned
        awaited; /* as soon as there are so many, the leader that waits goes on; 0: none waits */
    unsigned released;       /* requests of the last group: their threads may be back soon */
    int64_t last_us;         /* how long it took */
    bool leading;            /* a thread is in the append's pipeline */
    bool poisoned;           /* an append's outcome is unknown */
    atomic_uint enough;      /* what the leader waits on; 1: go on */
    struct ehi_batch *batch; /* the leader's */
    struct ehi_words *words; /* NULL: nothing is held */
    int words_fd;            /* with a lock on it while what was handed over is put; -1: no words */
    struct ehi_held held;
    struct ehi_handed handed;
    struct ehi_flusher flusher;
    struct ehi_framed *frame; /* what the leader writes */
    uint32_t frame_capacity;
};

/* Each as the function of its name in <ecshist/store.h>. */
int ehi_store_open(const char *path, const struct ecshist_open_options *options,
                   struct ehi_store **out, struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_store_close(struct ehi_store *store);
int ehi_store_rebuild(struct ehi_store *store, ecshist_progress_fn progress, void *context,
                      struct ecshist_error *error) ECSHIST_CHECKED;

/* Makes the directory of a new store, whole or not at all. EXISTS where another was faster.
 * (create.c) */
int ehi_store_create(const char *path, struct ecshist_error *error) ECSHIST_CHECKED;

/* The environment that stands now, counted: ehi_db_release. Moves over to one that was swapped in.
 */
int ehi_store_db(struct ehi_store *store, struct ehi_db **out, struct ecshist_error *error)
    ECSHIST_CHECKED;

/*
 * A read of the index as it stands, with its head. On success *db and *txn are the caller's:
 * ehi_db_abort, then ehi_db_release; on failure there is nothing to undo.
 */
int ehi_store_begin_read(struct ehi_store *store, struct ehi_db **db, struct ehi_db_txn **txn,
                         struct ehi_db_head *head, struct ecshist_error *error) ECSHIST_CHECKED;

/* Events to append: records of ehi_record_encode. outcomes and reasons (each may be NULL) have
 * `count` entries. */
struct ehi_request {
    const struct ehi_slice *records;
    size_t count;
    unsigned flags; /* ECSHIST_APPEND_* */
    struct ehi_outcome *outcomes;
    struct ecshist_append_result *results; /* reasons are written here; may be NULL */
    struct ecshist_error *error;           /* never NULL */
    int code;
    atomic_uint turn; /* enum request_turn; its thread sleeps on it */
    struct ehi_request *next;
};
/* Blocks until the request is done; its code is the return. */
int ehi_store_append(struct ehi_store *store, struct ehi_request *request) ECSHIST_CHECKED;
int ehi_store_dry_run(struct ehi_store *store, struct ehi_request *request) ECSHIST_CHECKED;

/* The writers' lock: this process's threads, then all processes. */
int ehi_store_lock(struct ehi_store *store, struct ecshist_error *error) ECSHIST_CHECKED;
/* Without waiting: *locked false where somebody else has it. */
int ehi_store_trylock(struct ehi_store *store, bool *locked, struct ecshist_error *error)
    ECSHIST_CHECKED;
void ehi_store_unlock(struct ehi_store *store);
/* This thread has it. */
bool ehi_store_locks(const struct ehi_store *store);

/* -- within fold/ -- */

/* Removes a directory of files, or whatever goes by that name. As far as it can be done. (create.c) */
void ehi_directory_remove(int dir_fd, const char *name);

/* Under the writers' lock: a write transaction on an index that has applied all of the log. */
int ehi_begin_at_tail(struct ehi_store *store, struct ehi_db *db, struct ehi_db_txn **txn,
                      struct ehi_db_head *head, struct ecshist_error *error) ECSHIST_CHECKED;
/* An append's outcome is unknown: the handle takes no more. */
void ehi_store_poison(struct ehi_store *store);
/* OUTCOME_UNKNOWN where that is so. */
int ehi_store_check_poison(struct ehi_store *store, struct ecshist_error *error) ECSHIST_CHECKED;

/* Folds what the log has beyond the index's head into the index, under the writers' lock.
 * (replay.c) */
int ehi_replay(struct ehi_store *store, struct ehi_db *db, ecshist_progress_fn progress,
               void *context, struct ecshist_error *error) ECSHIST_CHECKED;
/* The same for an index of nobody else's, while others append; up to where the log ends then. */
int ehi_replay_unlocked(struct ehi_store *store, struct ehi_db *db, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Builds index.new from the whole log and swaps it in, under the writers' lock. (rebuild.c) */
int ehi_rebuild(struct ehi_store *store, ecshist_progress_fn progress, void *context,
                struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * For the last one out: where much of the index's file is free, a copy without that takes its place, flushed and marked
 * clean. false: it is as it was. (rebuild.c)
 */
bool ehi_leave_with_copy(struct ehi_store *store);
/* Opens STORE/index. (open.c) */
int ehi_store_open_index(struct ehi_store *store, struct ehi_db **out, struct ecshist_error *error)
    ECSHIST_CHECKED;

#ifdef ECSHIST_TEST_HOOKS
/* Events of a part that is put with one commit; 0: as many as there usually are. */
extern uint32_t ehi_replay_test_events;
/* No thread can be had. */
extern bool ehi_replay_test_alone;
#endif

static inline struct ehi_position ehi_head_position(const struct ehi_db_head *head)
{
    return (struct ehi_position){head->segment, head->offset, head->next_seq, head->frame_offset,
                                 head->frame_checksum};
}

static inline void ehi_head_set_position(struct ehi_db_head *head,
                                         const struct ehi_position *position)
{
    head->segment = position->segment;
    head->offset = position->offset;
    head->next_seq = position->next_seq;
    head->frame_offset = position->frame_offset;
    head->frame_checksum = position->frame_checksum;
}

#endif
