/*
 * What LMDB returns, looked at before it is believed: it checks next to nothing of the pages that it reads, and they have
 * no checksums.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "db/internal.h"

#ifdef ECSHIST_TEST_HOOKS
bool db_test_believes;
#endif

/*
 * LMDB's page: number (8 bytes), 2 of no use, flags, where its list of nodes ends, where the nodes begin; the list. The
 * first of a value's own pages has how many they are in place of the list's end and the nodes' beginning.
 */
enum {
    PAGE_FLAGS = 10,
    PAGE_LOWER = 12,
    PAGE_COUNT = PAGE_LOWER,
    PAGE_UPPER = 14,
    PAGE_HEAD = 16,
    PAGE_BIG = 4,
    NODE_HEAD = 8,
    NODE_BIG = 1,
    BIG_BYTES = 8,
    MOST_PAGE_BYTES = 65536 /* LMDB's own bound is 32,768 */
};

/* The page that these bytes begin in; NULL: they are not in the map. */
static const uint8_t *page_at(const struct ehi_db *db, MDB_val bytes)
{
    const uint8_t *start = bytes.mv_data;
    if (db->map == NULL || start < db->map || start >= db->map + db->map_bytes)
        return NULL;
    return start - (size_t)(start - db->map) % db->page_bytes;
}

/* true: all of it is there. What a write transaction has changed is not in the map. */
static bool is_there(const struct ehi_db_txn *txn, MDB_val bytes)
{
    const struct ehi_db *db = txn->db;
    const uint8_t *start = bytes.mv_data;
    if (page_at(db, bytes) == NULL)
        return start != NULL && (db->map == NULL || txn->write);
    return bytes.mv_size <= (size_t)(db->map + db->map_bytes - start);
}

int db_get(const struct ehi_db_txn *txn, enum db_table table, MDB_val key, MDB_val *value)
{
    *value = (MDB_val){0};
    int rc = mdb_get(txn->txn, txn->db->tables[table], &key, value);
    return rc == 0 && !is_there(txn, *value) ? MDB_CORRUPTED : rc;
}

/* The key ends with its page; the value begins in the same one, or where those of its own begin. */
static bool belong(const struct ehi_db_txn *txn, MDB_val key, MDB_val value)
{
    const uint8_t *page = page_at(txn->db, key), *other = page_at(txn->db, value);
    if (page == NULL || (other == NULL && txn->write))
        return is_there(txn, key) && is_there(txn, value);
    size_t within = (size_t)((const uint8_t *)key.mv_data - page);
    if (within + key.mv_size > txn->db->page_bytes || other == NULL)
        return false;
    return other == page || (const uint8_t *)value.mv_data == other + PAGE_HEAD;
}

int db_cursor_get(const struct ehi_db_txn *txn, MDB_cursor *cursor, MDB_val *key, MDB_val *value,
                  MDB_cursor_op op)
{
    *value = (MDB_val){0};
    int rc = mdb_cursor_get(cursor, key, value, op);
    return rc == 0 && !belong(txn, *key, *value) ? MDB_CORRUPTED : rc;
}

uint32_t db_checksum(enum db_table table, MDB_val key, MDB_val value)
{
    /* Of the value without a seed: with one, long values take twice as long. */
    uint64_t of_key = ehi_hash64(key.mv_data, key.mv_size, (uint64_t)table + 1);
    uint64_t of_value = ehi_hash64(value.mv_data, value.mv_size, 0);
    return (uint32_t)((of_key ^ (of_value << 29 | of_value >> 35)) * UINT64_C(0x9E3779B97F4A7C15) >>
                      32);
}

/* A row of a page ends with it at the latest; one with pages of its own, with the last of them. */
static bool fits(const struct ehi_db *db, MDB_val value)
{
    const uint8_t *page = page_at(db, value);
    if (page == NULL)
        return true;
    size_t within = (size_t)((const uint8_t *)value.mv_data - page), bytes = db->page_bytes;
    if (within == PAGE_HEAD && (ehi_get_le16(page + PAGE_FLAGS) & PAGE_BIG) != 0)
        bytes = ehi_get_le32(page + PAGE_COUNT) * db->page_bytes;
    return within + value.mv_size <= bytes && bytes <= (size_t)(db->map + db->map_bytes - page);
}

bool db_take_value(const struct ehi_db *db, enum db_table table, MDB_val key, MDB_val *value)
{
    if (value->mv_size < DB_CHECKSUM_BYTES || !fits(db, *value))
        return false;
    value->mv_size -= DB_CHECKSUM_BYTES;
    const uint8_t *checksum = (const uint8_t *)value->mv_data + value->mv_size;
    return DB_BELIEVES || ehi_get_le32(checksum) == db_checksum(table, key, *value);
}

bool db_in_place(const struct ehi_db *db, MDB_val value)
{
    const uint8_t *page = page_at(db, value);
    uint64_t number;
    if (page == NULL)
        return true;
    memcpy(&number, page, sizeof(number));
    return number == (size_t)(page - db->map) / db->page_bytes || DB_BELIEVES;
}

/* A node: the value's size, in two halves, flags, the key's size; key and value, or the number of its pages. */
static size_t node_bytes(const uint8_t *node)
{
    size_t value = ehi_get_le16(node) | (size_t)ehi_get_le16(node + 2) << 16;
    if ((ehi_get_le16(node + 4) & NODE_BIG) != 0)
        value = BIG_BYTES;
    size_t whole = NODE_HEAD + ehi_get_le16(node + 6) + value;
    return whole + whole % 2;
}

bool db_page_adds_up(const struct ehi_db *db, MDB_val key)
{
    const uint8_t *page = page_at(db, key);
    uint64_t seen[MOST_PAGE_BYTES / 2 / 64];
    if (page == NULL || DB_BELIEVES)
        return true;
    size_t lower = ehi_get_le16(page + PAGE_LOWER), upper = ehi_get_le16(page + PAGE_UPPER),
           sum = 0;
    if (lower < PAGE_HEAD || lower % 2 != 0 || lower > upper || upper > db->page_bytes)
        return false;
    memset(seen, 0, db->page_bytes / 16);
    for (size_t at = PAGE_HEAD; at < lower; at += 2) {
        size_t node = ehi_get_le16(page + at);
        uint64_t bit = UINT64_C(1) << node / 2 % 64;
        if (node < upper || node > db->page_bytes - NODE_HEAD || (seen[node / 128] & bit) != 0)
            return false;
        seen[node / 128] |= bit;
        sum += node_bytes(page + node);
    }
    return sum == db->page_bytes - upper;
}

bool db_follow(const struct ehi_db *db, MDB_val key, MDB_val next)
{
    const uint8_t *page = page_at(db, key), *other = page_at(db, next);
    if (page == NULL || page != other || DB_BELIEVES)
        return true;
    size_t lower = ehi_get_le16(page + PAGE_LOWER), found = 0;
    uint32_t at_key = (uint32_t)((const uint8_t *)key.mv_data - page - NODE_HEAD),
             at_next = (uint32_t)((const uint8_t *)next.mv_data - page - NODE_HEAD), before = 0;
    if (lower > db->page_bytes)
        return false;
    bool follow = false;
    for (size_t at = PAGE_HEAD; at + 2 <= lower; at += 2) {
        uint32_t node = ehi_get_le16(page + at);
        found += (node == at_key) + (node == at_next);
        follow |= node == at_next && before == at_key;
        before = node;
    }
    return follow && found == 2;
}

bool db_is_row(const struct ehi_db *db, MDB_val key, MDB_val value)
{
    size_t before = NODE_HEAD + key.mv_size;
    size_t within = (size_t)((const uint8_t *)value.mv_data - db->map) % db->page_bytes;
    if (within < PAGE_HEAD + before || value.mv_size > db->page_bytes - within)
        return false;
    const uint8_t *node = (const uint8_t *)value.mv_data - before;
    size_t size = ehi_get_le16(node) | (size_t)ehi_get_le16(node + 2) << 16;
    return size == value.mv_size && ehi_get_le16(node + 4) == 0 &&
           ehi_get_le16(node + 6) == key.mv_size &&
           memcmp(node + NODE_HEAD, key.mv_data, key.mv_size) == 0;
}
