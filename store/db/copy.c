/*
 * All rows of an environment into an empty one, in the order of their keys: pages come out full, where those that rows were put
 * into here and there are two thirds full. Rows go as they are, with their checksums.
 */
#include "db/internal.h"

/* Put between two commits. LMDB keeps the pages it has changed in memory. */
enum { COMMIT_BYTES = 8 << 20 };

struct copying {
    struct ehi_db_txn *from;
    struct ehi_db *to_db;
    struct ehi_db_txn *to;
    size_t bytes; /* since the last commit */
};

static int renew_target(struct copying *c, struct ecshist_error *error)
{
    struct ehi_db_txn *full = c->to;
    c->to = NULL;
    c->bytes = 0;
    int rc = full == NULL ? ECSHIST_OK : ehi_db_commit(full, error);
    return rc == ECSHIST_OK ? ehi_db_begin(c->to_db, true, &c->to, error) : rc;
}

/* Keys that do not rise are refused: MDB_KEYEXIST. */
static int append_row(struct copying *c, enum db_table table, MDB_val key, MDB_val value,
                      struct ecshist_error *error)
{
    MDB_cursor **cursor = &c->to->puts[table];
    int rc = *cursor == NULL ? mdb_cursor_open(c->to->txn, c->to->db->tables[table], cursor) : 0;
    if (rc == 0)
        rc = mdb_cursor_put(*cursor, &key, &value, MDB_APPEND);
    c->bytes += key.mv_size + value.mv_size;
    return rc == 0 ? ECSHIST_OK : db_fail(rc, "copying the index", error);
}

static int copy_table(struct copying *c, enum db_table table, struct ecshist_error *error)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = db_cursor_open(c->from, table, &cursor);
    if (rc != 0)
        return db_fail(rc, "copying the index", error);
    int result = ECSHIST_OK;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (rc == 0 && result == ECSHIST_OK) {
        if (c->bytes >= COMMIT_BYTES)
            result = renew_target(c, error);
        if (result == ECSHIST_OK)
            result = append_row(c, table, key, value, error);
        if (result == ECSHIST_OK)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    db_cursor_close(c->from, table, cursor);
    if (result != ECSHIST_OK)
        return result;
    return rc == MDB_NOTFOUND ? ECSHIST_OK : db_fail(rc, "copying the index", error);
}

int ehi_db_copy_rows(struct ehi_db *from, struct ehi_db *to, struct ecshist_error *error)
{
    struct copying c = {.to_db = to};
    int rc = ehi_db_begin(from, false, &c.from, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = renew_target(&c, error);
    for (int table = 0; table < T_COUNT && rc == ECSHIST_OK; table++)
        rc = copy_table(&c, (enum db_table)table, error);
    if (rc == ECSHIST_OK) {
        rc = ehi_db_commit(c.to, error);
        c.to = NULL;
    }
    ehi_db_abort(c.to);
    ehi_db_abort(c.from);
    return rc;
}
