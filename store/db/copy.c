/*
 * All rows of an environment into an empty one, in the order of their keys: pages come out full, where those that rows were put
 * into here and there are two thirds full. Rows go as they are, with their checksums, and are believed as readers believe them: in new pages
 * nobody could tell any more that one was missing.
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

static int damaged(enum db_table table, struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_INDEX, "the index is damaged: its table %s cannot be copied",
                    db_table_names[table]);
}

static bool is_right(const struct ehi_db *db, enum db_table table, MDB_val key, MDB_val value,
                     uintptr_t *page)
{
    uintptr_t here = (uintptr_t)value.mv_data / db->page_bytes;
    if (here != *page && !(db_in_place(db, value) && db_page_adds_up(db, key)))
        return false;
    *page = here;
    return db_take_value(db, table, key, &value);
}

static int copy_row(struct copying *c, enum db_table table, MDB_val key, MDB_val value,
                    uintptr_t *page, struct ecshist_error *error)
{
    if (!is_right(c->from->db, table, key, value, page))
        return damaged(table, error);
    int rc = c->bytes < COMMIT_BYTES ? ECSHIST_OK : renew_target(c, error);
    return rc == ECSHIST_OK ? append_row(c, table, key, value, error) : rc;
}

static int copy_rows(struct copying *c, MDB_cursor *cursor, enum db_table table, size_t *count,
                     struct ecshist_error *error)
{
    MDB_val key, value;
    uintptr_t page = 0;
    int rc = db_cursor_get(c->from, cursor, &key, &value, MDB_FIRST);
    for (*count = 0; rc == 0; (*count)++) {
        int copied = copy_row(c, table, key, value, &page, error);
        if (copied != ECSHIST_OK)
            return copied;
        rc = db_cursor_get(c->from, cursor, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? ECSHIST_OK : db_fail(rc, "copying the index", error);
}

/* As many as LMDB has counted. */
static int copy_table(struct copying *c, enum db_table table, struct ecshist_error *error)
{
    MDB_cursor *cursor;
    MDB_stat stat;
    size_t count;
    int rc = mdb_stat(c->from->txn, c->from->db->tables[table], &stat);
    if (rc == 0)
        rc = db_cursor_open(c->from, table, &cursor);
    if (rc != 0)
        return db_fail(rc, "copying the index", error);
    int result = copy_rows(c, cursor, table, &count, error);
    db_cursor_close(c->from, table, cursor);
    return result == ECSHIST_OK && count != stat.ms_entries ? damaged(table, error) : result;
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
