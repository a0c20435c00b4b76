/*
 * The index: one LMDB environment and its tables. All that must be known of LMDB is known here:
 * MDB_NOSYNC, never MDB_WRITEMAP; MDB_NOTLS; no DUPSORT; fixed-width composite keys; one
 * environment per path and process (the caller's duty). Slices read borrow from LMDB's pages: valid
 * until the transaction ends, or its first put.
 */
#ifndef EHI_DB_DB_H
#define EHI_DB_DB_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "model/arn.h"

struct ehi_db;     /* an open environment */
struct ehi_db_txn; /* a transaction: reading, or the one that writes */

/* What the index says of itself: the row `head` of table meta, written once in every commit. */
struct ehi_db_head {
    uint64_t segment, offset, next_seq, frame_offset, frame_checksum; /* the log position applied */
    uint64_t next_id;          /* ids of subjects: 1, 2, … */
    uint64_t last_expired_seq; /* of the newest history-expired; 0: none */
    uint64_t event_count, ignored_count, revision_count, service_count;
    uint64_t by_status[16];
    uint8_t store_id[16];
    uint64_t index_format;
};

/* An entry of a subject's timeline. */
struct ehi_db_entry {
    uint64_t seq;
    uint32_t id_hash; /* of the event's id: ehi_db_id_hash */
    uint32_t offset;  /* of the record in the segment that was newest when it was written */
    uint16_t type, flags;
};
#define EHI_DB_MOST_BRIEF 256
#define EHI_DB_CHUNK 64 /* entries of a timeline row at the most */
/* A row can hold an entry of this seq, besides the one it begins with. */
static inline bool ehi_db_same_row(uint64_t first_seq, uint64_t seq)
{
    return seq - first_seq <= UINT32_MAX;
}
/*
 * 24 bits. Equal ids have equal hashes; what two ids of one hash cost is a look at the log, where the id itself is.
 */
uint32_t ehi_db_id_hash(struct ehi_slice id);
/* The timeline of no subject: the history-expired events. */
#define EHI_DB_EXPIRIES 0

/* A row of a service's list. */
struct ehi_db_listed {
    int64_t created_at_us;
    uint64_t created_seq, deployment_id;
    uint8_t status;         /* below 16 */
    struct ehi_slice brief; /* what else a list shows: codec/brief.h */
};

/* Opens (creates: with its directory's data.mdb) the environment in directory `path`. read_only_fs:
 * MDB_RDONLY|NOLOCK. */
int ehi_db_open(const char *path, uint64_t map_bytes, bool create, bool read_only,
                struct ehi_db **out, struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Opens to look only: nothing is written but this process's place in LMDB's list of readers, and
 * not even that where lock.mdb is not there or cannot be written. For verifying (inspect.c).
 */
int ehi_db_open_inspect(const char *path, struct ehi_db **out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Counted: ehi_db_open gives 1. The last release closes. */
struct ehi_db *ehi_db_ref(struct ehi_db *db);
void ehi_db_release(struct ehi_db *db);
/* A commit failed, after which LMDB may refuse all else, and nobody but the caller holds it: to be
 * closed and opened again. */
bool ehi_db_is_spent(struct ehi_db *db);
/*
 * LMDB's lock cannot be had any more, in any process: a writer died with it, and whoever came next
 * failed while it made that good. The index must be made anew.
 */
bool ehi_db_lost_lock(struct ehi_db *db);
/* The environment's data file still is the one at its path (device and inode). */
bool ehi_db_current(const struct ehi_db *db);
/* Forces everything to disk. */
int ehi_db_sync(struct ehi_db *db, struct ecshist_error *error) ECSHIST_CHECKED;
/* Of the file's pages, those that hold nothing: what a copy would not have. */
int ehi_db_free_bytes(struct ehi_db *db, uint64_t *free_bytes, struct ecshist_error *error)
    ECSHIST_CHECKED;
/*
 * Of an environment opened without LMDB's lock: whether a commit came after *txn began. The writer does not see such a
 * reader and may reuse the pages it reads, from the second commit on; before that none of them was touched.
 */
bool ehi_db_overtaken(const struct ehi_db_txn *txn);
/* Copies what stands now to an empty environment, row by row. Not flushed. (copy.c) */
int ehi_db_copy_rows(struct ehi_db *from, struct ehi_db *to, struct ecshist_error *error)
    ECSHIST_CHECKED;
int ehi_db_sizes(struct ehi_db *db, uint64_t *file_bytes, uint64_t *map_bytes, uint32_t *readers,
                 struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_db_check_readers(struct ehi_db *db);

/* Bytes that the index can still grow by: in its map, and as the process may make a file. */
uint64_t ehi_db_room(const struct ehi_db *db);
/* The commit that a transaction sees, of this environment: numbers rise. */
uint64_t ehi_db_txn_id(const struct ehi_db_txn *txn);

int ehi_db_begin(struct ehi_db *db, bool write, struct ehi_db_txn **out,
                 struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_db_abort(struct ehi_db_txn *txn);
/* Ends the transaction in either case. FULL, INDEX. */
int ehi_db_commit(struct ehi_db_txn *txn, struct ecshist_error *error) ECSHIST_CHECKED;

/* Reads: OK with *found, or INDEX. */
int ehi_db_get_head(struct ehi_db_txn *txn, struct ehi_db_head *head, bool *found,
                    struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * An ARN's subject id, by the hash alone: the state has the ARN itself, and who changes anything compares it with that.
 */
int ehi_db_find(struct ehi_db_txn *txn, struct ehi_slice arn, struct ehi_hash128 hash, uint64_t *id,
                bool *found, struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * The id that an ARN had when it was last found, by any reader of this environment, and the state (kind: as below) of that
 * id. A guess: the caller compares the ARN in the state, and asks ehi_db_find where it is another, or *found is false.
 */
int ehi_db_get_known(struct ehi_db_txn *txn, enum ehi_arn_kind kind, struct ehi_hash128 hash,
                     uint64_t *id, struct ehi_slice *state, bool *found,
                     struct ecshist_error *error) ECSHIST_CHECKED;
/* It is about to be asked for. */
void ehi_db_prefetch(struct ehi_db_txn *txn, struct ehi_hash128 hash);
/* A subject's state (kind: DEPLOYMENT, REVISION, SERVICE). */
int ehi_db_get_state(struct ehi_db_txn *txn, enum ehi_arn_kind kind, uint64_t id,
                     struct ehi_slice *state, bool *found, struct ecshist_error *error)
    ECSHIST_CHECKED;

/* Table walks. All zero but txn; ehi_db_walk_end always. */
struct ehi_db_walk {
    struct ehi_db_txn *txn;
    void *cursor;
    int table; /* the cursor's */
    uint64_t id;
    bool started;
    uint8_t after[24]; /* the key of the row given last; before the first: where to begin */
    size_t after_length;
    uintptr_t page; /* where that key lies: 4,096 bytes */
};
/* A subject's timeline in seq order, a row at a time: entries read into `entries`. */
void ehi_db_timeline(struct ehi_db_walk *walk, struct ehi_db_txn *txn, uint64_t subject_id);
int ehi_db_timeline_next(struct ehi_db_walk *walk, struct ehi_db_entry entries[EHI_DB_CHUNK],
                         unsigned *count, bool *found, struct ecshist_error *error) ECSHIST_CHECKED;
/* The subject's last row only. */
int ehi_db_timeline_last(struct ehi_db_txn *txn, uint64_t subject_id,
                         struct ehi_db_entry entries[EHI_DB_CHUNK], unsigned *count,
                         struct ecshist_error *error) ECSHIST_CHECKED;
/* A service's deployments, newest createdAt first, then greatest created_seq. from: at or behind
 * this place; NULL: all. */
void ehi_db_listed(struct ehi_db_walk *walk, struct ehi_db_txn *txn, uint64_t service_id,
                   const struct ehi_db_listed *from);
int ehi_db_listed_next(struct ehi_db_walk *walk, struct ehi_db_listed *row, bool *found,
                       struct ecshist_error *error) ECSHIST_CHECKED;
/* Ids of the services of a name hash (ehi_db_name_hash of cluster and service name; service empty:
 * of the cluster). */
uint64_t ehi_db_name_hash(struct ehi_slice cluster, struct ehi_slice service);
void ehi_db_named(struct ehi_db_walk *walk, struct ehi_db_txn *txn, uint64_t name_hash);
int ehi_db_named_next(struct ehi_db_walk *walk, uint64_t *service_id, bool *found,
                      struct ecshist_error *error) ECSHIST_CHECKED;
/* All states of a kind, by id. */
void ehi_db_states(struct ehi_db_walk *walk, struct ehi_db_txn *txn, enum ehi_arn_kind kind);
int ehi_db_states_next(struct ehi_db_walk *walk, uint64_t *id, struct ehi_slice *state, bool *found,
                       struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_db_walk_end(struct ehi_db_walk *walk);
/* The subject's timeline has an event of this seq. */
int ehi_db_timeline_has(struct ehi_db_txn *txn, uint64_t subject_id, uint64_t seq, bool *out,
                        struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * Whole tables, row by row, as they are: for verifying. A row that is not well-formed is given with
 * well_formed false. Ends with INDEX where LMDB fails, or the keys do not rise: a walk always ends.
 */
enum ehi_db_table {
    EHI_DB_ARNS,
    EHI_DB_DEPLOYMENTS,
    EHI_DB_REVISIONS,
    EHI_DB_SERVICES,
    EHI_DB_TIMELINE,
    EHI_DB_LISTED,
    EHI_DB_NAMED
};
struct ehi_db_row {
    bool well_formed;
    struct ehi_hash128 hash;     /* ARNS: the key */
    enum ehi_arn_kind kind;      /* ARNS: what the ARN is of */
    uint64_t id;                 /* of the subject; LISTED and NAMED: of the service */
    struct ehi_slice value;      /* states: the state */
    uint64_t number;             /* TIMELINE: the seq in the key; NAMED: the hash of the name */
    struct ehi_db_listed listed; /* LISTED */
    unsigned count;              /* TIMELINE */
    struct ehi_db_entry entries[EHI_DB_CHUNK];
};
struct ehi_db_rows {
    struct ehi_db_txn *txn;
    void *cursor;
    enum ehi_db_table table;
    uint8_t last_key[32];
    size_t last_length;
    uintptr_t page; /* where that key lies: 4,096 bytes */
};
void ehi_db_rows(struct ehi_db_rows *rows, struct ehi_db_txn *txn, enum ehi_db_table table);
int ehi_db_rows_next(struct ehi_db_rows *rows, struct ehi_db_row *row, bool *found,
                     struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_db_rows_end(struct ehi_db_rows *rows);

/* Writes, in the write transaction. FULL, INDEX. */
int ehi_db_put_head(struct ehi_db_txn *txn, const struct ehi_db_head *head,
                    struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_db_put_arn(struct ehi_db_txn *txn, enum ehi_arn_kind kind, struct ehi_hash128 hash,
                   uint64_t id, struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_db_put_state(struct ehi_db_txn *txn, enum ehi_arn_kind kind, uint64_t id,
                     struct ehi_slice state, struct ecshist_error *error) ECSHIST_CHECKED;
/* The entries rise in seq, and fit into one row with the first of them. */
int ehi_db_put_timeline(struct ehi_db_txn *txn, uint64_t subject_id,
                        const struct ehi_db_entry *entries, unsigned count,
                        struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_db_put_listed(struct ehi_db_txn *txn, uint64_t service_id, const struct ehi_db_listed *row,
                      struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_db_delete_listed(struct ehi_db_txn *txn, uint64_t service_id,
                         const struct ehi_db_listed *row, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Removals. What is not there is removed already. INDEX, FULL. */
int ehi_db_delete_arn(struct ehi_db_txn *txn, struct ehi_hash128 hash, struct ecshist_error *error)
    ECSHIST_CHECKED;
int ehi_db_delete_state(struct ehi_db_txn *txn, enum ehi_arn_kind kind, uint64_t id,
                        struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_db_delete_name(struct ehi_db_txn *txn, uint64_t name_hash, uint64_t service_id,
                       struct ecshist_error *error) ECSHIST_CHECKED;
/* All rows of a subject's timeline; how many entries they had, and how many of those were ignored. */
int ehi_db_delete_timeline(struct ehi_db_txn *txn, uint64_t subject_id, uint64_t *entries,
                           uint64_t *ignored, struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_db_put_name(struct ehi_db_txn *txn, uint64_t name_hash, uint64_t service_id,
                    struct ecshist_error *error) ECSHIST_CHECKED;

#endif
