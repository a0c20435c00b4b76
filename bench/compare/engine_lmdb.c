/* LMDB alone: the events and the same tables in one environment, flushed at each commit. */
#include "engine.h"
#include "peer.h"
#include "util.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { KEY_BYTES = 200 };

struct store {
    MDB_env *env;
    MDB_dbi events, ids, rows, lists;
};

struct session {
    struct store *store;
    MDB_txn *txn;
    struct peer_batch *batch;
    uint64_t next_seq;
};

static void check(int code)
{
    if (code != MDB_SUCCESS)
        fail("lmdb: %s", mdb_strerror(code));
}

static void *store_open(const char *dir)
{
    struct store *s = must(calloc(1, sizeof(*s)));
    MDB_txn *txn;
    make_dir(dir);
    check(mdb_env_create(&s->env));
    check(mdb_env_set_mapsize(s->env, (size_t)64 << 30));
    check(mdb_env_set_maxdbs(s->env, 8));
    check(mdb_env_open(s->env, dir, MDB_NOTLS | MDB_NORDAHEAD, 0600));
    check(mdb_txn_begin(s->env, NULL, 0, &txn));
    check(mdb_dbi_open(txn, "events", MDB_CREATE, &s->events));
    check(mdb_dbi_open(txn, "ids", MDB_CREATE, &s->ids));
    check(mdb_dbi_open(txn, "rows", MDB_CREATE, &s->rows));
    check(mdb_dbi_open(txn, "lists", MDB_CREATE, &s->lists));
    check(mdb_txn_commit(txn));
    return s;
}

static void store_close(void *store)
{
    struct store *s = store;
    mdb_env_close(s->env);
    free(s);
}

static void *attach(void *store, bool to_write)
{
    struct session *s = must(calloc(1, sizeof(*s)));
    s->store = store;
    if (to_write)
        s->batch = peer_batch_new();
    return s;
}

static void detach(void *session)
{
    struct session *s = session;
    peer_batch_free(s->batch);
    free(s);
}

/* The row's bytes where LMDB has them; the ARN in it is not compared: 128 bits are enough here. */
static bool get(struct session *s, const char *arn, size_t length, MDB_val *value)
{
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(arn, length));
    MDB_val key = {sizeof(hash), &hash};
    int code = mdb_get(s->txn, s->store->rows, &key, value);
    if (code != MDB_NOTFOUND)
        check(code);
    return code == MDB_SUCCESS;
}

static bool load(void *session, const struct item *item, struct row *row)
{
    MDB_val value;
    if (!get(session, item->subject, item->subject_length, &value))
        return false;
    if (!row_decode(row, value.mv_data, value.mv_size))
        fail("lmdb: a row is damaged");
    return true;
}

static int64_t put_event(void *session, const struct item *item, int64_t id)
{
    struct session *s = session;
    uint8_t id_key[KEY_BYTES], seq_key[8], event[EVENT_BYTES];
    put_be64(seq_key, s->next_seq);
    put_be64(id_key, id != 0 ? (uint64_t)id : s->next_seq);
    memcpy(id_key + 8, item->id, item->id_length);
    MDB_val key = {8 + item->id_length, id_key}, value = {8, seq_key};
    int code = mdb_put(s->txn, s->store->ids, &key, &value, MDB_NOOVERWRITE);
    if (code == MDB_KEYEXIST)
        return 0;
    check(code);
    key = (MDB_val){8, seq_key};
    value = (MDB_val){event_encode(item, (int64_t)s->next_seq, now_us(), event), event};
    check(mdb_put(s->txn, s->store->events, &key, &value, MDB_APPEND));
    return (int64_t)s->next_seq++;
}

/* Service, newest first. */
static void put_place(struct session *s, const struct row *row, MDB_val row_key)
{
    uint8_t place[24];
    put_be64(place, XXH3_64bits(row->service, strlen(row->service)));
    put_be64(place + 8, ~(uint64_t)row->n.created_at);
    put_be64(place + 16, ~(uint64_t)row->n.id);
    MDB_val key = {sizeof(place), place};
    check(mdb_put(s->txn, s->store->lists, &key, &row_key, 0));
}

static void put_row(void *session, const struct row *row, bool fresh)
{
    struct session *s = session;
    uint8_t bytes[ROW_BYTES];
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(row->text[ROW_ARN], strlen(row->text[ROW_ARN])));
    MDB_val key = {sizeof(hash), &hash}, value = {row_encode(row, bytes), bytes};
    check(mdb_put(s->txn, s->store->rows, &key, &value, 0));
    if (fresh && !row->n.is_revision)
        put_place(s, row, key);
}

static uint64_t last_seq(struct session *s)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    check(mdb_cursor_open(s->txn, s->store->events, &cursor));
    int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    mdb_cursor_close(cursor);
    return code == MDB_SUCCESS ? get_be64(key.mv_data) : 0;
}

static size_t append(void *session, const struct item *items, size_t count)
{
    static const struct peer_calls calls = {"lmdb", load, put_event, put_row};
    struct session *s = session;
    check(mdb_txn_begin(s->store->env, NULL, 0, &s->txn));
    s->next_seq = last_seq(s) + 1;
    size_t duplicates = peer_append(&calls, s, s->batch, items, count);
    check(mdb_txn_commit(s->txn));
    s->txn = NULL;
    return duplicates;
}

static void read_begin(void *session)
{
    struct session *s = session;
    check(mdb_txn_begin(s->store->env, NULL, MDB_RDONLY, &s->txn));
}

static void read_end(void *session)
{
    struct session *s = session;
    mdb_txn_abort(s->txn);
    s->txn = NULL;
}

static void touch_row(const MDB_val *value, struct answer *out)
{
    struct row_numbers numbers;
    memcpy(&numbers, value->mv_data, sizeof(numbers));
    out->status = (int)numbers.status;
    out->touched += touch(value->mv_data, value->mv_size);
}

static bool describe(void *session, const char *arn, size_t length, enum depth depth,
                     struct answer *out)
{
    MDB_val value;
    (void)depth;
    if (!get(session, arn, length, &value))
        return false;
    touch_row(&value, out);
    return true;
}

static void list(void *session, const char *arn, size_t length, struct answer *out)
{
    struct session *s = session;
    uint8_t place[8];
    MDB_cursor *cursor;
    MDB_val row_key, row, key = {sizeof(place), place};
    put_be64(place, XXH3_64bits(arn, length));
    check(mdb_cursor_open(s->txn, s->store->lists, &cursor));
    int code = mdb_cursor_get(cursor, &key, &row_key, MDB_SET_RANGE);
    for (out->count = 0; code == MDB_SUCCESS && out->count < LIST_LENGTH &&
                         memcmp(key.mv_data, place, sizeof(place)) == 0;
         out->count++) {
        check(mdb_get(s->txn, s->store->rows, &row_key, &row));
        touch_row(&row, out);
        code = mdb_cursor_get(cursor, &key, &row_key, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
}

static const char *version(void)
{
    static char text[32];
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
    return text;
}

const struct engine engine_lmdb = {
    .name = "lmdb",
    .title = "LMDB",
    .settings = "one environment, synchronous commits (no NOSYNC, NOMETASYNC, WRITEMAP); a "
                "transaction an append; its own lock between threads",
    .leaves_out = "checksums; services' counts; views of earlier moments; a read gives the row's "
                  "bytes, not its members",
    .reads = true,
    .version = version,
    .open = store_open,
    .close = store_close,
    .attach = attach,
    .detach = detach,
    .append = append,
    .read_begin = read_begin,
    .read_end = read_end,
    .describe = describe,
    .list = list,
};
