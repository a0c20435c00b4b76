/* Whole tables, row by row, for verifying: nothing is believed that a row says of its own size. */
#include "db/internal.h"

static enum db_table table_of(enum ehi_db_table table)
{
    static const enum db_table tables[] = {
        [EHI_DB_ARNS] = T_ARNS,           [EHI_DB_DEPLOYMENTS] = T_DEPLOYMENTS,
        [EHI_DB_REVISIONS] = T_REVISIONS, [EHI_DB_SERVICES] = T_SERVICES,
        [EHI_DB_TIMELINE] = T_TIMELINE,   [EHI_DB_LISTED] = T_LISTED,
        [EHI_DB_NAMED] = T_NAMES,
    };
    return tables[table];
}

static bool read_arn(struct ehi_slice key, struct ehi_slice value, struct ehi_db_row *row)
{
    if (key.length != 16)
        return false;
    row->hash = (struct ehi_hash128){ehi_get_be64(key.data + 8), ehi_get_be64(key.data)};
    return db_read_arn(db_val(value.data, value.length), &row->kind, &row->id);
}

static bool read_state(struct ehi_slice key, struct ehi_slice value, struct ehi_db_row *row)
{
    if (key.length != 8)
        return false;
    row->id = ehi_get_be64(key.data);
    row->value = value;
    return true;
}

static bool read_timeline(struct ehi_slice key, struct ehi_slice value, struct ehi_db_row *row)
{
    if (!db_read_entries(db_val(key.data, key.length), db_val(value.data, value.length),
                         row->entries, &row->count))
        return false;
    row->id = ehi_get_be64(key.data);
    row->number = ehi_get_be64(key.data + 8);
    return true;
}

static bool read_listed(struct ehi_slice key, struct ehi_slice value, struct ehi_db_row *row)
{
    if (!db_read_listed(db_val(key.data, key.length), db_val(value.data, value.length),
                        &row->listed))
        return false;
    row->id = ehi_get_be64(key.data);
    return true;
}

static bool read_named(struct ehi_slice key, struct ehi_slice value, struct ehi_db_row *row)
{
    if (key.length != 16 || value.length != 0)
        return false;
    row->number = ehi_get_be64(key.data);
    row->id = ehi_get_be64(key.data + 8);
    return true;
}

static bool read_row(enum ehi_db_table table, struct ehi_slice key, struct ehi_slice value,
                     struct ehi_db_row *row)
{
    switch (table) {
    case EHI_DB_ARNS:
        return read_arn(key, value, row);
    case EHI_DB_TIMELINE:
        return read_timeline(key, value, row);
    case EHI_DB_LISTED:
        return read_listed(key, value, row);
    case EHI_DB_NAMED:
        return read_named(key, value, row);
    default:
        return read_state(key, value, row);
    }
}

/* Pages that lead back to themselves would be walked for ever, if the keys did not tell. */
static bool rises(struct ehi_db_rows *rows, struct ehi_slice key)
{
    size_t length = key.length < sizeof(rows->last_key) ? key.length : sizeof(rows->last_key);
    size_t common = length < rows->last_length ? length : rows->last_length;
    int order = common == 0 ? 0 : memcmp(rows->last_key, key.data, common);
    bool risen = order < 0 || (order == 0 && length > rows->last_length);
    if (length != 0)
        memcpy(rows->last_key, key.data, length);
    rows->last_length = length;
    return risen;
}

/* A damaged key in a branch page leads the search for a row astray that a walk comes by. */
static bool is_found(const struct ehi_db_rows *rows, MDB_val key, MDB_val value)
{
    MDB_val found;
    int rc = db_get(rows->txn, table_of(rows->table), key, &found);
    return rc == 0 && found.mv_data == value.mv_data && found.mv_size == value.mv_size;
}

void ehi_db_rows(struct ehi_db_rows *rows, struct ehi_db_txn *txn, enum ehi_db_table table)
{
    *rows = (struct ehi_db_rows){.txn = txn, .table = table};
}

int ehi_db_rows_next(struct ehi_db_rows *rows, struct ehi_db_row *row, bool *found,
                     struct ecshist_error *error)
{
    int rc = 0;
    MDB_cursor *cursor = rows->cursor;
    MDB_val key, value;
    *found = false;
    if (cursor == NULL) {
        rc = mdb_cursor_open(rows->txn->txn, rows->txn->db->tables[table_of(rows->table)], &cursor);
        if (rc != 0)
            return db_fail(rc, "reading the index", error);
        rows->cursor = cursor;
    }
    rc = db_cursor_get(rows->txn, cursor, &key, &value, MDB_NEXT);
    if (rc == MDB_NOTFOUND)
        return ECSHIST_OK;
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    struct ehi_slice k = ehi_slice(key.mv_data, key.mv_size);
    if (!rises(rows, k))
        return ehi_fail(error, ECSHIST_INDEX, "the keys of a table do not rise");
    uintptr_t page = db_page_of(key);
    if (page != rows->page && !db_page_adds_up(rows->txn->db, key))
        return ehi_fail(error, ECSHIST_INDEX, "the rows of a page are not as many as they were");
    rows->page = page;
    if (!is_found(rows, key, value))
        return ehi_fail(error, ECSHIST_INDEX, "a row is not found by its key");
    *row = (struct ehi_db_row){.well_formed = false};
    row->well_formed = db_in_place(rows->txn->db, value) &&
                       db_take_value(rows->txn->db, table_of(rows->table), key, &value) &&
                       read_row(rows->table, k, ehi_slice(value.mv_data, value.mv_size), row);
    *found = true;
    return ECSHIST_OK;
}

void ehi_db_rows_end(struct ehi_db_rows *rows)
{
    if (rows->cursor != NULL)
        mdb_cursor_close(rows->cursor);
    rows->cursor = NULL;
}
