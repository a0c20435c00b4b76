/* The tables: keys, rows, walks. Keys are big-endian, so that byte order is number order. */
#include "db/internal.h"

#include <stdlib.h>

enum {
    HEAD_NAMED = 11,
    HEAD_FIELDS = HEAD_NAMED + 16,
    HEAD_BYTES = HEAD_FIELDS * 8 + 16,
    PACKED_BYTES = 4,
    TIMELINE_KEY = 16,
    LISTED_KEY = 24,
    MOST_NUMBER_BYTES = 8
};

static enum db_table state_table(enum ehi_arn_kind kind)
{
    if (kind == EHI_ARN_DEPLOYMENT)
        return T_DEPLOYMENTS;
    return kind == EHI_ARN_REVISION ? T_REVISIONS : T_SERVICES;
}

/* -- rows, and whether to believe them --------------------------------------------------------- */

static int malformed(const char *table, struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_INDEX,
                    "the index is damaged: a row of its table %s is not what was written; run "
                    "ecshist-admin rebuild-index",
                    table);
}

static int misrouted(enum db_table table, struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_INDEX,
                    "the index is damaged: the pages of its table %s are not in order; run "
                    "ecshist-admin rebuild-index",
                    db_table_names[table]);
}

static int take_value(const struct ehi_db *db, enum db_table table, MDB_val key, MDB_val *value,
                      struct ecshist_error *error)
{
    if (!db_in_place(db, *value))
        return misrouted(table, error);
    return db_take_value(db, table, key, value) ? ECSHIST_OK
                                                : malformed(db_table_names[table], error);
}

static int compare_keys(MDB_val a, MDB_val b)
{
    size_t common = a.mv_size < b.mv_size ? a.mv_size : b.mv_size;
    int order = common == 0 ? 0 : memcmp(a.mv_data, b.mv_data, common);
    return order != 0 ? order : (a.mv_size > b.mv_size) - (a.mv_size < b.mv_size);
}

/* The row that a search of its own finds before this one, or with `next` behind it, is that other one; NULL: there is none. */
static int compare_beside(struct ehi_db_txn *txn, enum db_table table, MDB_val key, bool next,
                          const MDB_val *other, bool *same)
{
    /* A cursor that was used already would not search from the root. */
    MDB_cursor *cursor;
    MDB_val value;
    *same = false;
    int rc = mdb_cursor_open(txn->txn, txn->db->tables[table], &cursor);
    if (rc != 0)
        return rc;
    bool found = (rc = db_cursor_get(txn, cursor, &key, &value, MDB_SET_KEY)) == 0;
    if (found)
        rc = db_cursor_get(txn, cursor, &key, &value, next ? MDB_NEXT : MDB_PREV);
    if (rc == 0)
        *same = other != NULL && compare_keys(key, *other) == 0;
    else if (rc == MDB_NOTFOUND)
        *same = found && other == NULL;
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* NULL: no page. */
static bool adds_up(const struct ehi_db *db, const MDB_val *key)
{
    return key == NULL || db_page_adds_up(db, *key);
}

/* NULL: there is none on that side. */
static int check_neighbours(struct ehi_db_txn *txn, enum db_table table, const MDB_val *before,
                            const MDB_val *behind, struct ecshist_error *error)
{
    bool same = true;
    int rc = 0;
    if (behind != NULL)
        rc = compare_beside(txn, table, *behind, false, before, &same);
    if (rc == 0 && same && before != NULL)
        rc = compare_beside(txn, table, *before, true, behind, &same);
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    return same || DB_BELIEVES ? ECSHIST_OK : misrouted(table, error);
}

/*
 * Two rows that follow one another on a page, and are what was written, have nothing between them: what was there would be one
 * of them, or be damaged. Of two pages one may end too early; or a damaged branch may have brought them together, which leads past a
 * leaf, or to that of another place: then a search for the one does not find the other beside it. NULL: there is none on that side.
 */
static int check_beside(struct ehi_db_txn *txn, enum db_table table, const MDB_val *before,
                        const MDB_val *behind, struct ecshist_error *error)
{
    if (before != NULL && behind != NULL && db_page_of(*before) == db_page_of(*behind))
        return db_follow(txn->db, *before, *behind) ? ECSHIST_OK : misrouted(table, error);
    if (!adds_up(txn->db, before) || !adds_up(txn->db, behind))
        return misrouted(table, error);
    return check_neighbours(txn, table, before, behind, error);
}

/*
 * A damaged page can lead a search astray, so that what is there is not found. Then the row before the place, or
 * the one at it, is on the wrong side. Leaves the cursor before the place; *before false: there is nothing.
 */
static int look_before(struct ehi_db_txn *txn, MDB_cursor *cursor, enum db_table table,
                       MDB_val place, bool at_end, bool *before, MDB_val *key, MDB_val *value,
                       struct ecshist_error *error)
{
    int rc = db_cursor_get(txn, cursor, key, value, at_end ? MDB_LAST : MDB_PREV);
    *before = rc == 0;
    if (rc == MDB_NOTFOUND)
        return ECSHIST_OK;
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    if (compare_keys(*key, place) >= 0 && !DB_BELIEVES)
        return misrouted(table, error);
    return take_value(txn->db, table, *key, value, error);
}

/* found: the cursor is at *key, the first row at or behind the place; else there is none. The rows on both sides are looked at. */
static int look_around(struct ehi_db_txn *txn, MDB_cursor *cursor, enum db_table table,
                       MDB_val place, bool found, MDB_val *key, MDB_val *value,
                       struct ecshist_error *error)
{
    MDB_val key_before, value_before;
    bool before;
    if (found && compare_keys(*key, place) < 0 && !DB_BELIEVES)
        return misrouted(table, error);
    int result =
        look_before(txn, cursor, table, place, !found, &before, &key_before, &value_before, error);
    if (result == ECSHIST_OK)
        result = check_beside(txn, table, before ? &key_before : NULL, found ? key : NULL, error);
    if (result != ECSHIST_OK || !found)
        return result;
    int rc = db_cursor_get(txn, cursor, key, value, before ? MDB_NEXT : MDB_FIRST);
    return rc == 0 ? take_value(txn->db, table, *key, value, error)
                   : db_fail(rc, "reading the index", error);
}

/* The first row at or behind the place; the one before it was looked at. */
static int seek(struct ehi_db_txn *txn, MDB_cursor *cursor, enum db_table table, MDB_val place,
                MDB_val *key, MDB_val *value, bool *found, struct ecshist_error *error)
{
    *key = place;
    int rc = db_cursor_get(txn, cursor, key, value, MDB_SET_RANGE);
    *found = rc == 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_fail(rc, "reading the index", error);
    return look_around(txn, cursor, table, place, *found, key, value, error);
}

/* As `get`, with one search where the row is likely not to be there. */
static int get_if_there(struct ehi_db_txn *txn, enum db_table table, MDB_val key,
                        struct ehi_slice *out, bool *found, struct ecshist_error *error)
{
    MDB_cursor *cursor;
    MDB_val at = key, value;
    int rc = db_cursor_open(txn, table, &cursor);
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    rc = db_cursor_get(txn, cursor, &at, &value, MDB_SET_RANGE);
    *found = rc == 0 && compare_keys(at, key) == 0;
    int result;
    if (rc != 0 && rc != MDB_NOTFOUND)
        result = db_fail(rc, "reading the index", error);
    else if (!*found)
        result = look_around(txn, cursor, table, key, rc == 0, &at, &value, error);
    else
        result = take_value(txn->db, table, key, &value, error);
    if (*found)
        *out = ehi_slice(value.mv_data, value.mv_size);
    db_cursor_close(txn, table, cursor);
    return result;
}

/* The search that found nothing was not led astray. */
static int check_missing(struct ehi_db_txn *txn, enum db_table table, MDB_val key,
                         struct ecshist_error *error)
{
    MDB_cursor *cursor;
    MDB_val next, value;
    bool found;
    int rc = db_cursor_open(txn, table, &cursor);
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    int result = seek(txn, cursor, table, key, &next, &value, &found, error);
    if (result == ECSHIST_OK && found && compare_keys(next, key) == 0)
        result = misrouted(table, error);
    db_cursor_close(txn, table, cursor);
    return result;
}

static int get(struct ehi_db_txn *txn, enum db_table table, MDB_val key, struct ehi_slice *value,
               bool *found, struct ecshist_error *error)
{
    MDB_val data;
    int rc = db_get(txn, table, key, &data);
    *found = rc == 0;
    if (rc == MDB_NOTFOUND)
        return check_missing(txn, table, key, error);
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    int result = take_value(txn->db, table, key, &data, error);
    *value = ehi_slice(data.mv_data, data.mv_size);
    return result;
}

static int put(struct ehi_db_txn *txn, enum db_table table, MDB_val key, MDB_val value,
               struct ecshist_error *error)
{
    MDB_val place = {value.mv_size + DB_CHECKSUM_BYTES, NULL};
    int rc = txn->puts[table] == NULL
                 ? mdb_cursor_open(txn->txn, txn->db->tables[table], &txn->puts[table])
                 : 0;
    if (rc == 0)
        rc = mdb_cursor_put(txn->puts[table], &key, &place, MDB_RESERVE);
    if (rc != 0)
        return db_fail(rc, "writing the index", error);
    if (value.mv_size != 0)
        memcpy(place.mv_data, value.mv_data, value.mv_size);
    ehi_put_le32((uint8_t *)place.mv_data + value.mv_size, db_checksum(table, key, value));
    return ECSHIST_OK;
}

/* The head as numbers in a row, so that reading and writing cannot disagree. */
static void head_fields(struct ehi_db_head *head, uint64_t *fields[HEAD_FIELDS])
{
    uint64_t *named[HEAD_NAMED] = {
        &head->segment,        &head->offset,         &head->next_seq,         &head->frame_offset,
        &head->frame_checksum, &head->next_id,        &head->last_expired_seq, &head->event_count,
        &head->ignored_count,  &head->revision_count, &head->service_count};
    memcpy(fields, named, sizeof(named));
    for (int i = 0; i < 16; i++)
        fields[HEAD_NAMED + i] = &head->by_status[i];
}

int ehi_db_get_head(struct ehi_db_txn *txn, struct ehi_db_head *head, bool *found,
                    struct ecshist_error *error)
{
    struct ehi_slice row;
    int rc = get(txn, T_META, db_val("head", 4), &row, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    if (row.length != HEAD_BYTES + 8)
        return malformed("meta", error);
    uint64_t *fields[HEAD_FIELDS];
    head_fields(head, fields);
    const uint8_t *p = row.data;
    for (int i = 0; i < HEAD_FIELDS; i++, p += 8)
        *fields[i] = ehi_get_le64(p);
    memcpy(head->store_id, p, 16);
    head->index_format = ehi_get_le64(p + 16);
    return ECSHIST_OK;
}

int ehi_db_put_head(struct ehi_db_txn *txn, const struct ehi_db_head *head,
                    struct ecshist_error *error)
{
    uint8_t row[HEAD_BYTES + 8];
    struct ehi_db_head copy = *head;
    uint64_t *fields[HEAD_FIELDS];
    head_fields(&copy, fields);
    uint8_t *p = row;
    for (int i = 0; i < HEAD_FIELDS; i++, p += 8)
        ehi_put_le64(p, *fields[i]);
    memcpy(p, head->store_id, 16);
    ehi_put_le64(p + 16, head->index_format);
    return put(txn, T_META, db_val("head", 4), db_val(row, sizeof(row)), error);
}

static void hash_key(struct ehi_hash128 hash, uint8_t key[16])
{
    ehi_put_be64(key, hash.high);
    ehi_put_be64(key + 8, hash.low);
}

/* A number in as few bytes as it needs, little-endian; at the end of a value, which has its length. */
static size_t put_number(uint8_t *to, uint64_t number)
{
    size_t length = 0;
    for (; number != 0; number >>= 8)
        to[length++] = (uint8_t)number;
    return length;
}

static bool get_number(const uint8_t *from, size_t length, uint64_t *out)
{
    if (length > MOST_NUMBER_BYTES || (length > 0 && from[length - 1] == 0))
        return false;
    *out = 0;
    for (size_t i = length; i > 0; i--)
        *out = *out << 8 | from[i - 1];
    return true;
}

/* An ARN's row: of which kind it is, and its subject's id. */
bool db_read_arn(MDB_val value, enum ehi_arn_kind *kind, uint64_t *id)
{
    const uint8_t *p = value.mv_data;
    if (value.mv_size < 2 || !get_number(p + 1, value.mv_size - 1, id))
        return false;
    *kind = (enum ehi_arn_kind)p[0];
    return true;
}

int ehi_db_find(struct ehi_db_txn *txn, struct ehi_slice arn, struct ehi_hash128 hash, uint64_t *id,
                bool *found, struct ecshist_error *error)
{
    uint8_t key[16];
    hash_key(hash, key);
    struct ehi_slice row = EHI_SLICE_EMPTY;
    enum ehi_arn_kind kind;
    int rc = get_if_there(txn, T_ARNS, db_val(key, sizeof(key)), &row, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    if (!db_read_arn(db_val(row.data, row.length), &kind, id))
        return ehi_fail(error, ECSHIST_INDEX, "the index is damaged: its row of %.*s is none",
                        EHI_FMT(arn));
    if (!txn->write)
        db_remember(txn->db, hash, *id, 0, 0);
    return ECSHIST_OK;
}

int ehi_db_put_arn(struct ehi_db_txn *txn, enum ehi_arn_kind kind, struct ehi_hash128 hash,
                   uint64_t id, struct ecshist_error *error)
{
    uint8_t key[16], row[1 + MOST_NUMBER_BYTES];
    hash_key(hash, key);
    row[0] = (uint8_t)kind;
    size_t length = 1 + put_number(row + 1, id);
    return put(txn, T_ARNS, db_val(key, sizeof(key)), db_val(row, length), error);
}

int ehi_db_get_state(struct ehi_db_txn *txn, enum ehi_arn_kind kind, uint64_t id,
                     struct ehi_slice *state, bool *found, struct ecshist_error *error)
{
    uint8_t key[8];
    ehi_put_be64(key, id);
    return get(txn, state_table(kind), db_val(key, sizeof(key)), state, found, error);
}

/* All of it at once: one line after the other is as many waits. */
static void prefetch_row(const struct ehi_db *db, MDB_val value)
{
    const uint8_t *start = value.mv_data;
    __builtin_prefetch(start - (size_t)(start - db->map) % db->page_bytes);
    for (size_t at = 0; at < value.mv_size; at += 64)
        __builtin_prefetch(start + at);
    __builtin_prefetch(start + value.mv_size - 1);
}

/* false: what is there now is not to be believed; the search tells why. */
static bool take_place(const struct ehi_db *db, enum db_table table, MDB_val key, uint64_t place,
                       MDB_val *value)
{
    if (place == 0)
        return false;
    *value = db_row_at(db, place);
    prefetch_row(db, *value);
    return db_is_row(db, key, *value) && db_in_place(db, *value) &&
           db_take_value(db, table, key, value);
}

static int find_known(struct ehi_db_txn *txn, enum db_table table, MDB_val key, MDB_val *value,
                      bool *found, struct ecshist_error *error)
{
    int rc = db_get(txn, table, key, value);
    *found = rc == 0;
    if (rc == MDB_NOTFOUND)
        return check_missing(txn, table, key, error);
    return rc == 0 ? ECSHIST_OK : db_fail(rc, "reading the index", error);
}

int ehi_db_get_known(struct ehi_db_txn *txn, enum ehi_arn_kind kind, struct ehi_hash128 hash,
                     uint64_t *id, struct ehi_slice *state, bool *found,
                     struct ecshist_error *error)
{
    enum db_table table = state_table(kind);
    struct ehi_db *db = txn->db;
    uint64_t place, snapshot = mdb_txn_id(txn->txn);
    uint8_t key_bytes[8];
    MDB_val key = db_val(key_bytes, sizeof(key_bytes)), value;
    *id = txn->write ? 0 : db_known(db, hash, snapshot, &place);
    *found = *id != 0;
    if (*id == 0)
        return ECSHIST_OK;
    ehi_put_be64(key_bytes, *id);
    if (!take_place(db, table, key, place, &value)) {
        int rc = find_known(txn, table, key, &value, found, error);
        if (rc != ECSHIST_OK || !*found)
            return rc;
        MDB_val whole = value;
        rc = take_value(db, table, key, &value, error);
        if (rc != ECSHIST_OK)
            return rc;
        if (db_is_row(db, key, whole))
            db_remember(db, hash, *id, snapshot, db_place(db, whole));
    }
    *state = ehi_slice(value.mv_data, value.mv_size);
    return ECSHIST_OK;
}

int ehi_db_put_state(struct ehi_db_txn *txn, enum ehi_arn_kind kind, uint64_t id,
                     struct ehi_slice state, struct ecshist_error *error)
{
    uint8_t key[8];
    ehi_put_be64(key, id);
    return put(txn, state_table(kind), db_val(key, sizeof(key)), db_val(state.data, state.length),
               error);
}

/*
 * An entry: how far its seq is behind the one before it, the first behind that of the key; how far its offset is from the one
 * before it, the first from 0 (zigzag); both 7 bits a byte, the low ones first. Then 24 bits of hash, 7 of type, and whether it was
 * ignored, little-endian.
 */
static uint8_t *put_varint(uint8_t *to, uint32_t number)
{
    for (; number >= 0x80; number >>= 7)
        *to++ = (uint8_t)(number | 0x80);
    *to++ = (uint8_t)number;
    return to;
}

/* Where it ends; NULL: it does not, or is larger than any can be. */
static const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    uint64_t number = 0;
    for (unsigned shift = 0; p != NULL && p < end && shift < 35; shift += 7, p++) {
        number |= (uint64_t)(*p & 0x7f) << shift;
        if (*p < 0x80) {
            *out = (uint32_t)number;
            return number <= UINT32_MAX ? p + 1 : NULL;
        }
    }
    return NULL;
}

size_t db_write_entries(uint64_t first_seq, const struct ehi_db_entry *entries, unsigned count,
                        uint8_t row[DB_MOST_ENTRIES_BYTES])
{
    uint64_t seq = first_seq;
    uint32_t offset = 0;
    uint8_t *p = row;
    for (const struct ehi_db_entry *e = entries; e < entries + count; e++) {
        uint32_t from = e->offset - offset;
        p = put_varint(p, (uint32_t)(e->seq - seq));
        p = put_varint(p, from << 1 ^ (0 - (from >> 31)));
        ehi_put_le32(p, e->id_hash << 8 | (e->type & 0x7fu) << 1 | (e->flags & 1u));
        p += PACKED_BYTES;
        seq = e->seq;
        offset = e->offset;
    }
    return (size_t)(p - row);
}

/* The entry behind another one, or behind where a row begins; where it ends, NULL: there is none. */
static const uint8_t *get_entry(const uint8_t *p, const uint8_t *end,
                                const struct ehi_db_entry *before, struct ehi_db_entry *out)
{
    uint32_t seq, offset;
    p = get_varint(p, end, &seq);
    p = get_varint(p, end, &offset);
    if (p == NULL || end - p < PACKED_BYTES)
        return NULL;
    uint32_t packed = ehi_get_le32(p);
    offset = offset >> 1 ^ (0 - (offset & 1));
    *out = (struct ehi_db_entry){before->seq + seq, packed >> 8, before->offset + offset,
                                 (uint16_t)(packed >> 1 & 0x7f), (uint16_t)(packed & 1)};
    return p + PACKED_BYTES;
}

bool db_read_entries(MDB_val key, MDB_val value, struct ehi_db_entry entries[EHI_DB_CHUNK],
                     unsigned *count)
{
    if (key.mv_size != TIMELINE_KEY || value.mv_size == 0)
        return false;
    const uint8_t *p = value.mv_data, *end = p + value.mv_size;
    struct ehi_db_entry start = {.seq = ehi_get_be64((const uint8_t *)key.mv_data + 8)};
    const struct ehi_db_entry *before = &start;
    for (*count = 0; p != NULL && p < end && *count < EHI_DB_CHUNK; (*count)++) {
        p = get_entry(p, end, before, &entries[*count]);
        before = &entries[*count];
    }
    return p == end;
}

static int read_entries(MDB_val key, MDB_val row, struct ehi_db_entry entries[EHI_DB_CHUNK],
                        unsigned *count, struct ecshist_error *error)
{
    return db_read_entries(key, row, entries, count) ? ECSHIST_OK : malformed("timeline", error);
}

uint32_t ehi_db_id_hash(struct ehi_slice id)
{
    return (uint32_t)ehi_hash64(id.data, id.length, 0) & 0xffffff;
}

int ehi_db_put_timeline(struct ehi_db_txn *txn, uint64_t subject_id,
                        const struct ehi_db_entry *entries, unsigned count,
                        struct ecshist_error *error)
{
    uint8_t key[TIMELINE_KEY], row[DB_MOST_ENTRIES_BYTES];
    ehi_put_be64(key, subject_id);
    ehi_put_be64(key + 8, entries[0].seq);
    size_t length = db_write_entries(entries[0].seq, entries, count, row);
    return put(txn, T_TIMELINE, db_val(key, sizeof(key)), db_val(row, length), error);
}

static void listed_key(uint64_t service_id, const struct ehi_db_listed *row,
                       uint8_t key[LISTED_KEY])
{
    uint64_t created = row->created_at_us < 0 ? 0 : (uint64_t)row->created_at_us;
    ehi_put_be64(key, service_id);
    ehi_put_be64(key + 8, ~created);
    ehi_put_be64(key + 16, ~row->created_seq);
}

/* A list's row: the id's length and the status, half a byte each; the id; what else a list shows. */
bool db_read_listed(MDB_val key, MDB_val value, struct ehi_db_listed *row)
{
    const uint8_t *k = key.mv_data, *v = value.mv_data;
    if (key.mv_size != LISTED_KEY || value.mv_size < 2)
        return false;
    size_t length = v[0] >> 4, head = 1 + length;
    if (head > value.mv_size || !get_number(v + 1, length, &row->deployment_id))
        return false;
    row->created_at_us = (int64_t)~ehi_get_be64(k + 8);
    row->created_seq = ~ehi_get_be64(k + 16);
    row->status = v[0] & 15;
    row->brief = ehi_slice(v + head, value.mv_size - head);
    return true;
}

int ehi_db_put_listed(struct ehi_db_txn *txn, uint64_t service_id, const struct ehi_db_listed *row,
                      struct ecshist_error *error)
{
    uint8_t key[LISTED_KEY], value[1 + MOST_NUMBER_BYTES + EHI_DB_MOST_BRIEF];
    if (row->brief.length > EHI_DB_MOST_BRIEF || row->status > 15)
        return ehi_fail(error, ECSHIST_INDEX, "a row of a list is not one that can be");
    listed_key(service_id, row, key);
    size_t length = put_number(value + 1, row->deployment_id);
    value[0] = (uint8_t)(length << 4 | row->status);
    length++;
    if (row->brief.length != 0)
        memcpy(value + length, row->brief.data, row->brief.length);
    length += row->brief.length;
    return put(txn, T_LISTED, db_val(key, sizeof(key)), db_val(value, length), error);
}

int ehi_db_delete_listed(struct ehi_db_txn *txn, uint64_t service_id,
                         const struct ehi_db_listed *row, struct ecshist_error *error)
{
    uint8_t key[LISTED_KEY];
    listed_key(service_id, row, key);
    MDB_val k = db_val(key, sizeof(key));
    int rc = mdb_del(txn->txn, txn->db->tables[T_LISTED], &k, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? ECSHIST_OK : db_fail(rc, "writing the index", error);
}

/* -- removals ---------------------------------------------------------------------------------- */

static int delete (struct ehi_db_txn *txn, enum db_table table, MDB_val key,
                   struct ecshist_error *error)
{
    int rc = mdb_del(txn->txn, txn->db->tables[table], &key, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? ECSHIST_OK : db_fail(rc, "writing the index", error);
}

int ehi_db_delete_arn(struct ehi_db_txn *txn, struct ehi_hash128 hash, struct ecshist_error *error)
{
    uint8_t key[16];
    hash_key(hash, key);
    return delete (txn, T_ARNS, db_val(key, sizeof(key)), error);
}

int ehi_db_delete_state(struct ehi_db_txn *txn, enum ehi_arn_kind kind, uint64_t id,
                        struct ecshist_error *error)
{
    uint8_t key[8];
    ehi_put_be64(key, id);
    return delete (txn, state_table(kind), db_val(key, sizeof(key)), error);
}

int ehi_db_delete_name(struct ehi_db_txn *txn, uint64_t name_hash, uint64_t service_id,
                       struct ecshist_error *error)
{
    uint8_t key[16];
    ehi_put_be64(key, name_hash);
    ehi_put_be64(key + 8, service_id);
    return delete (txn, T_NAMES, db_val(key, sizeof(key)), error);
}

static int delete_rows(const struct ehi_db_txn *txn, MDB_cursor *cursor, uint64_t subject_id,
                       uint64_t *entries, uint64_t *ignored, struct ecshist_error *error)
{
    uint8_t first[16] = {0};
    ehi_put_be64(first, subject_id);
    MDB_val key = db_val(first, sizeof(first)), row;
    struct ehi_db_entry list[EHI_DB_CHUNK];
    int rc = db_cursor_get(txn, cursor, &key, &row, MDB_SET_RANGE);
    while (rc == 0 && key.mv_size == sizeof(first) && ehi_get_be64(key.mv_data) == subject_id) {
        unsigned count;
        int read = take_value(txn->db, T_TIMELINE, key, &row, error);
        if (read == ECSHIST_OK)
            read = read_entries(key, row, list, &count, error);
        if (read != ECSHIST_OK)
            return read;
        *entries += count;
        for (unsigned i = 0; i < count; i++)
            *ignored += list[i].flags & 1u;
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = db_cursor_get(txn, cursor, &key, &row, MDB_NEXT);
    }
    return rc == 0 || rc == MDB_NOTFOUND ? ECSHIST_OK : db_fail(rc, "writing the index", error);
}

int ehi_db_delete_timeline(struct ehi_db_txn *txn, uint64_t subject_id, uint64_t *entries,
                           uint64_t *ignored, struct ecshist_error *error)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn->txn, txn->db->tables[T_TIMELINE], &cursor);
    if (rc != 0)
        return db_fail(rc, "writing the index", error);
    *entries = *ignored = 0;
    int result = delete_rows(txn, cursor, subject_id, entries, ignored, error);
    mdb_cursor_close(cursor);
    return result;
}

uint64_t ehi_db_name_hash(struct ehi_slice cluster, struct ehi_slice service)
{
    struct ehi_slice parts[3] = {cluster, EHI_SLICE_LITERAL("/"), service};
    return ehi_hash128_parts(parts, 3).low;
}

int ehi_db_put_name(struct ehi_db_txn *txn, uint64_t name_hash, uint64_t service_id,
                    struct ecshist_error *error)
{
    uint8_t key[16];
    ehi_put_be64(key, name_hash);
    ehi_put_be64(key + 8, service_id);
    return put(txn, T_NAMES, db_val(key, sizeof(key)), db_val("", 0), error);
}

/* Walks: every one is the rows of a table whose keys begin with `walk->id`, from walk->after on. */

static void walk_begin(struct ehi_db_walk *walk, struct ehi_db_txn *txn, uint64_t id)
{
    *walk = (struct ehi_db_walk){.txn = txn, .id = id};
    ehi_put_be64(walk->after, id);
}

static int walk_begun(struct ehi_db_walk *walk, enum db_table table, MDB_val *key, MDB_val *row,
                      bool *found, struct ecshist_error *error)
{
    MDB_cursor *cursor;
    int rc = db_cursor_open(walk->txn, table, &cursor);
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    walk->cursor = cursor;
    walk->table = table;
    walk->started = true;
    int result = seek(walk->txn, cursor, table, db_val(walk->after, sizeof(walk->after)), key, row,
                      found, error);
    if (result == ECSHIST_OK && *found && !db_page_adds_up(walk->txn->db, *key))
        result = misrouted(table, error);
    return result;
}

/*
 * The row that was given last and the next one, or none, follow one another: on a page, as all of it adds up. What a writer walks
 * over he may have changed meanwhile.
 */
static int check_step(struct ehi_db_walk *walk, enum db_table table, const MDB_val *next,
                      struct ecshist_error *error)
{
    MDB_val last = db_val(walk->after, walk->after_length);
    if (next != NULL && db_page_of(*next) == walk->page)
        return ECSHIST_OK;
    if (!adds_up(walk->txn->db, next))
        return misrouted(table, error);
    return walk->txn->write ? ECSHIST_OK : check_neighbours(walk->txn, table, &last, next, error);
}

static int walk_on(struct ehi_db_walk *walk, enum db_table table, MDB_val *key, MDB_val *row,
                   bool *found, struct ecshist_error *error)
{
    *found = false;
    if (walk->after_length == 0) /* there was nothing to begin with */
        return ECSHIST_OK;
    int rc = db_cursor_get(walk->txn, walk->cursor, key, row, MDB_NEXT);
    *found = rc == 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_fail(rc, "reading the index", error);
    if (*found && compare_keys(*key, db_val(walk->after, walk->after_length)) <= 0 && !DB_BELIEVES)
        return misrouted(table, error);
    int result = check_step(walk, table, *found ? key : NULL, error);
    return result == ECSHIST_OK && *found ? take_value(walk->txn->db, table, *key, row, error)
                                          : result;
}

static int walk_next(struct ehi_db_walk *walk, enum db_table table, bool prefixed, MDB_val *key,
                     MDB_val *row, bool *found, struct ecshist_error *error)
{
    int rc = walk->started ? walk_on(walk, table, key, row, found, error)
                           : walk_begun(walk, table, key, row, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    if (key->mv_size > sizeof(walk->after))
        return malformed(db_table_names[table], error);
    memcpy(walk->after, key->mv_data, key->mv_size);
    walk->after_length = key->mv_size;
    walk->page = db_page_of(*key);
    *found = !prefixed || (key->mv_size >= 8 && ehi_get_be64(key->mv_data) == walk->id);
    return ECSHIST_OK;
}

void ehi_db_walk_end(struct ehi_db_walk *walk)
{
    if (walk->cursor != NULL)
        db_cursor_close(walk->txn, (enum db_table)walk->table, walk->cursor);
    walk->cursor = NULL;
}

void ehi_db_timeline(struct ehi_db_walk *walk, struct ehi_db_txn *txn, uint64_t subject_id)
{
    walk_begin(walk, txn, subject_id);
}

int ehi_db_timeline_next(struct ehi_db_walk *walk, struct ehi_db_entry entries[EHI_DB_CHUNK],
                         unsigned *count, bool *found, struct ecshist_error *error)
{
    MDB_val key, row;
    int rc = walk_next(walk, T_TIMELINE, true, &key, &row, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    return read_entries(key, row, entries, count, error);
}

/* The subject's last row that begins before `seq`; *count 0: there is none. */
static int row_before(struct ehi_db_txn *txn, uint64_t subject_id, uint64_t seq,
                      struct ehi_db_entry entries[EHI_DB_CHUNK], unsigned *count,
                      struct ecshist_error *error)
{
    *count = 0;
    MDB_cursor *cursor;
    int rc = db_cursor_open(txn, T_TIMELINE, &cursor);
    if (rc != 0)
        return db_fail(rc, "reading the index", error);
    uint8_t after[16];
    ehi_put_be64(after, subject_id);
    ehi_put_be64(after + 8, seq);
    MDB_val place = db_val(after, sizeof(after)), key = place, row;
    bool before = false;
    rc = db_cursor_get(txn, cursor, &key, &row, MDB_SET_RANGE);
    MDB_val behind = key;
    int result = ECSHIST_OK;
    if (rc != 0 && rc != MDB_NOTFOUND)
        result = db_fail(rc, "reading the index", error);
    else if (rc == 0 && compare_keys(key, place) < 0 && !DB_BELIEVES)
        result = misrouted(T_TIMELINE, error);
    else
        result = look_before(txn, cursor, T_TIMELINE, place, rc != 0, &before, &key, &row, error);
    if (result == ECSHIST_OK)
        result =
            check_beside(txn, T_TIMELINE, before ? &key : NULL, rc == 0 ? &behind : NULL, error);
    if (result == ECSHIST_OK && before && key.mv_size == 16 &&
        ehi_get_be64(key.mv_data) == subject_id)
        result = read_entries(key, row, entries, count, error);
    db_cursor_close(txn, T_TIMELINE, cursor);
    return result;
}

int ehi_db_timeline_last(struct ehi_db_txn *txn, uint64_t subject_id,
                         struct ehi_db_entry entries[EHI_DB_CHUNK], unsigned *count,
                         struct ecshist_error *error)
{
    return row_before(txn, subject_id, UINT64_MAX, entries, count, error);
}

int ehi_db_timeline_has(struct ehi_db_txn *txn, uint64_t subject_id, uint64_t seq, bool *out,
                        struct ecshist_error *error)
{
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    *out = false;
    int rc = row_before(txn, subject_id, seq + 1, entries, &count, error);
    for (unsigned i = 0; i < count && rc == ECSHIST_OK; i++)
        *out = *out || entries[i].seq == seq;
    return rc;
}

void ehi_db_listed(struct ehi_db_walk *walk, struct ehi_db_txn *txn, uint64_t service_id,
                   const struct ehi_db_listed *from)
{
    walk_begin(walk, txn, service_id);
    if (from != NULL)
        listed_key(service_id, from, walk->after);
}

int ehi_db_listed_next(struct ehi_db_walk *walk, struct ehi_db_listed *row, bool *found,
                       struct ecshist_error *error)
{
    MDB_val key, value;
    int rc = walk_next(walk, T_LISTED, true, &key, &value, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    return db_read_listed(key, value, row) ? ECSHIST_OK : malformed("by_service", error);
}

void ehi_db_named(struct ehi_db_walk *walk, struct ehi_db_txn *txn, uint64_t name_hash)
{
    walk_begin(walk, txn, name_hash);
}

int ehi_db_named_next(struct ehi_db_walk *walk, uint64_t *service_id, bool *found,
                      struct ecshist_error *error)
{
    MDB_val key, value;
    int rc = walk_next(walk, T_NAMES, true, &key, &value, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    if (key.mv_size != 16)
        return malformed("by_name", error);
    *service_id = ehi_get_be64((const uint8_t *)key.mv_data + 8);
    return ECSHIST_OK;
}

void ehi_db_states(struct ehi_db_walk *walk, struct ehi_db_txn *txn, enum ehi_arn_kind kind)
{
    walk_begin(walk, txn, 0);
    walk->id = state_table(kind);
}

int ehi_db_states_next(struct ehi_db_walk *walk, uint64_t *id, struct ehi_slice *state, bool *found,
                       struct ecshist_error *error)
{
    MDB_val key, row;
    int rc = walk_next(walk, (enum db_table)walk->id, false, &key, &row, found, error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    if (key.mv_size != 8)
        return malformed("states", error);
    *id = ehi_get_be64(key.mv_data);
    *state = ehi_slice(row.mv_data, row.mv_size);
    return ECSHIST_OK;
}
