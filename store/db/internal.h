/* Shared by the files of db/ only. */
#ifndef EHI_DB_INTERNAL_H
#define EHI_DB_INTERNAL_H

#include "db/db.h"

#include <ecshist/limits.h>

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum db_table {
    T_META,
    T_ARNS,
    T_DEPLOYMENTS,
    T_REVISIONS,
    T_SERVICES,
    T_TIMELINE,
    T_LISTED,
    T_NAMES,
    T_COUNT
};

struct db_known_line;

struct ehi_db_txn {
    struct ehi_db *db;
    MDB_txn *txn;
    bool write;
    /* Where the last row of a table was put: the next is often beside it. LMDB closes them with the
     * transaction. */
    MDB_cursor *puts[T_COUNT];
    MDB_cursor *cursors[T_COUNT]; /* of a reading transaction, kept for the next walk */
};

struct ehi_db {
    MDB_env *env;
    MDB_dbi tables[T_COUNT];
    char *data_path;
    dev_t device;
    ino_t inode;
    const uint8_t *map; /* where LMDB has the file */
    size_t map_bytes, page_bytes;
    bool unseen;                           /* without LMDB's lock: writers do not see its readers */
    _Atomic(struct db_known_line *) known; /* ARNs met before (known.c); NULL: none yet */
    pthread_mutex_t mutex;                 /* of the fields below */
    unsigned references;
    bool failed;              /* a commit failed: LMDB may want to hear of nothing more */
    bool lock_lost;           /* LMDB's lock cannot be had by anybody any more */
    size_t looked_at_page;    /* the file's last page when dead readers were last looked for */
    struct ehi_db_txn *spare; /* a reading transaction that was reset, to be renewed */
    struct ehi_db_txn writer; /* of who has LMDB's lock: there is one at a time */
};

/* A cursor of the transaction: one that is kept, or a new one. An LMDB code. */
int db_cursor_open(struct ehi_db_txn *txn, enum db_table table, MDB_cursor **out);
void db_cursor_close(struct ehi_db_txn *txn, enum db_table table, MDB_cursor *cursor);

/*
 * known.c. The id under which an ARN of this hash was found last, and where a search of this snapshot (LMDB's number of its
 * transaction) found its state; 0: not known. May be wrong: see ehi_db_get_known.
 */
uint64_t db_known(struct ehi_db *db, struct ehi_hash128 hash, uint64_t snapshot, uint64_t *place);
/* place 0: nothing is said of it. */
void db_remember(struct ehi_db *db, struct ehi_hash128 hash, uint64_t id, uint64_t snapshot,
                 uint64_t place);
/* A row of the map as a place, and back; 0: it can be none. */
uint64_t db_place(const struct ehi_db *db, MDB_val row);
MDB_val db_row_at(const struct ehi_db *db, uint64_t place);

extern const char *const db_table_names[T_COUNT];

/*
 * pages.c. As mdb_get and mdb_cursor_get; MDB_CORRUPTED, too, where what they return is not within the map, or a key and a value
 * not where they can be of one row: of a damaged page LMDB returns what lies elsewhere, or nothing. An LMDB code.
 */
int db_get(const struct ehi_db_txn *txn, enum db_table table, MDB_val key, MDB_val *value);
int db_cursor_get(const struct ehi_db_txn *txn, MDB_cursor *cursor, MDB_val *key, MDB_val *value,
                  MDB_cursor_op op);

/*
 * LMDB's pages have no checksums: each row has its own behind the value, bound to its table and its key. *value is with
 * it; false: the row is not what was written, or does not end where its page does at the latest. Else the value without it.
 */
enum { DB_CHECKSUM_BYTES = 4 };
uint32_t db_checksum(enum db_table table, MDB_val key, MDB_val value);
bool db_take_value(const struct ehi_db *db, enum db_table table, MDB_val key, MDB_val *value);
/*
 * A page begins with its number: the one that this row lies in is the one that should be there. An older state of it, say, has
 * good rows, and another number. What a write transaction has changed is not in the map, and its own.
 */
bool db_in_place(const struct ehi_db *db, MDB_val value);
/*
 * The rows of the page that this key lies in are in its list once each, and fill it just as far as its head says: none of them has
 * dropped out of it unnoticed. For where what is not found matters.
 */
bool db_page_adds_up(const struct ehi_db *db, MDB_val key);
/* Two keys of one page follow one another in its list, and are in it once each. Of two pages: true. */
bool db_follow(const struct ehi_db *db, MDB_val key, MDB_val next);
/* In the map, this is where a row of this key and size is: behind its node's head and its key. */
bool db_is_row(const struct ehi_db *db, MDB_val key, MDB_val value);

#ifdef ECSHIST_TEST_HOOKS
/* Rows are believed whatever their checksums say. */
extern bool db_test_believes;
#define DB_BELIEVES db_test_believes
#else
#define DB_BELIEVES false
#endif

/* Bytes: no page of LMDB's is smaller here, so that of two keys with the same number both are of one page. */
enum { DB_LEAST_PAGE = 4096 };
static inline uintptr_t db_page_of(MDB_val key)
{
    return (uintptr_t)key.mv_data / DB_LEAST_PAGE;
}

/* Rows as bytes; false: they are not such a row. For tables.c and inspect.c. */
bool db_read_arn(MDB_val value, enum ehi_arn_kind *kind, uint64_t *id);
/* An entry has two numbers of 32 bits in up to five bytes each, and four bytes. */
enum { DB_MOST_ENTRIES_BYTES = EHI_DB_CHUNK * 14 };
size_t db_write_entries(uint64_t first_seq, const struct ehi_db_entry *entries, unsigned count,
                        uint8_t row[DB_MOST_ENTRIES_BYTES]);
bool db_read_entries(MDB_val key, MDB_val value, struct ehi_db_entry entries[EHI_DB_CHUNK],
                     unsigned *count);
bool db_read_listed(MDB_val key, MDB_val value, struct ehi_db_listed *row);

/* The one way an LMDB code becomes one of ours. */
int db_fail(int lmdb_code, const char *what, struct ecshist_error *error);

static inline MDB_val db_val(const void *data, size_t length)
{
    MDB_val v = {length, (void *)(uintptr_t)data};
    return v;
}

#endif
