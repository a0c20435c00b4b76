/*
 * RocksDB and LevelDB, whose C APIs are the same but for the prefix: the including file defines
 * LSM(name), and its own lsm_options. One key space: the first byte says what a key is of.
 *
 *   e seq                            event
 *   i subject, event id              seq: idempotency
 *   r hash of the ARN                row
 *   l service, ~createdAt, ~seq      key of the row: the list of a service
 *
 * Threads write at the same time and share the engine's own group commit. What one reads and
 * changes is guarded by a lock of its subject; larger appends have the store for themselves.
 */
#include "engine.h"
#include "peer.h"
#include "util.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    STRIPES = 1024,
    ROW_KEY_BYTES = 17,
    LIST_KEY_BYTES = 25,
    KEY_BYTES = 200,
    IDS = 32768,
    CACHE_BYTES = 256 << 20,
    WRITE_BUFFER_BYTES = 64 << 20,
    BLOOM_BITS = 10
};

struct store {
    LSM(t) * db;
    LSM(options_t) * options;
    LSM(writeoptions_t) * write_options;
    LSM(readoptions_t) * read_options;
    atomic_int_least64_t next_seq;
    pthread_rwlock_t all;
    pthread_mutex_t stripes[STRIPES];
};

struct session {
    struct store *store;
    struct peer_batch *rows;
    LSM(writebatch_t) * batch;
    size_t count;  /* of the events in this append */
    uint64_t *ids; /* hashes of the ids put by this append, which the store does not show yet */
};

static void check(char *error)
{
    if (error != NULL)
        fail("%s: %s", LSM_NAME, error);
}

static LSM(options_t) * lsm_options(void);

static int64_t last_seq(struct store *s)
{
    static const char behind[] = "f";
    int64_t last = 0;
    size_t length;
    LSM(iterator_t) *i = LSM(create_iterator)(s->db, s->read_options);
    LSM(iter_seek)(i, behind, 1);
    if (LSM(iter_valid)(i))
        LSM(iter_prev)(i);
    else
        LSM(iter_seek_to_last)(i);
    if (LSM(iter_valid)(i) && LSM(iter_key)(i, &length)[0] == 'e')
        last = (int64_t)get_be64((const uint8_t *)LSM(iter_key)(i, &length) + 1);
    LSM(iter_destroy)(i);
    return last;
}

static void *store_open(const char *dir)
{
    struct store *s = must(calloc(1, sizeof(*s)));
    char *error = NULL;
    s->options = lsm_options();
    s->write_options = LSM(writeoptions_create)();
    LSM(writeoptions_set_sync)(s->write_options, 1);
    s->read_options = LSM(readoptions_create)();
    s->db = LSM(open)(s->options, dir, &error);
    check(error);
    s->next_seq = last_seq(s) + 1;
    pthread_rwlock_init(&s->all, NULL);
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_init(&s->stripes[i], NULL);
    return s;
}

static void store_close(void *store)
{
    struct store *s = store;
    LSM(close)(s->db);
    LSM(readoptions_destroy)(s->read_options);
    LSM(writeoptions_destroy)(s->write_options);
    LSM(options_destroy)(s->options);
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&s->stripes[i]);
    pthread_rwlock_destroy(&s->all);
    free(s);
}

static void store_compact(void *store)
{
    struct store *s = store;
    LSM(compact_range)(s->db, NULL, 0, NULL, 0);
}

static void *attach(void *store, bool to_write)
{
    struct session *s = must(calloc(1, sizeof(*s)));
    s->store = store;
    if (to_write) {
        s->rows = peer_batch_new();
        s->batch = LSM(writebatch_create)();
        s->ids = must(calloc(IDS, sizeof(*s->ids)));
    }
    return s;
}

static void detach(void *session)
{
    struct session *s = session;
    if (s->batch != NULL)
        LSM(writebatch_destroy)(s->batch);
    peer_batch_free(s->rows);
    free(s->ids);
    free(s);
}

static void row_key(uint8_t key[ROW_KEY_BYTES], const char *arn, size_t length)
{
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(arn, length));
    key[0] = 'r';
    memcpy(key + 1, &hash, sizeof(hash));
}

/* NULL: not there; else the caller's to free. */
static char *get(struct store *s, const uint8_t *key, size_t key_length, size_t *length)
{
    char *error = NULL;
    char *value = LSM(get)(s->db, s->read_options, (const char *)key, key_length, length, &error);
    check(error);
    return value;
}

static bool load(void *session, const struct item *item, struct row *row)
{
    struct session *s = session;
    uint8_t key[ROW_KEY_BYTES];
    size_t length;
    row_key(key, item->subject, item->subject_length);
    char *value = get(s->store, key, sizeof(key), &length);
    if (value == NULL)
        return false;
    if (!row_decode(row, (const uint8_t *)value, length))
        fail("%s: a row is damaged", LSM_NAME);
    LSM(free)(value);
    return true;
}

/* Whether this append has put the id before; now it has. */
static bool put_before(struct session *s, const uint8_t *key, size_t length)
{
    if (s->count == 1)
        return false;
    uint64_t hash = XXH3_64bits(key, length) | 1;
    size_t at = (size_t)(hash >> 32) % IDS;
    while (s->ids[at] != 0 && s->ids[at] != hash)
        at = (at + 1) % IDS;
    bool is_there = s->ids[at] == hash;
    s->ids[at] = hash;
    return is_there;
}

static bool has_id(struct session *s, const uint8_t *key, size_t key_length)
{
    size_t length;
    char *value = get(s->store, key, key_length, &length);
    LSM(free)(value);
    return value != NULL;
}

static void put(struct session *s, const void *key, size_t key_length, const void *value,
                size_t length)
{
    LSM(writebatch_put)(s->batch, key, key_length, value, length);
}

static int64_t put_event(void *session, const struct item *item, int64_t id)
{
    struct session *s = session;
    uint8_t id_key[KEY_BYTES] = {'i'}, seq_key[9] = {'e'}, event[EVENT_BYTES];
    size_t id_key_length = 9 + item->id_length;
    int64_t seq = 0;
    if (id == 0)
        id = seq = atomic_fetch_add(&s->store->next_seq, 1);
    put_be64(id_key + 1, (uint64_t)id);
    memcpy(id_key + 9, item->id, item->id_length);
    if ((seq == 0 && has_id(s, id_key, id_key_length)) || put_before(s, id_key, id_key_length))
        return 0;
    if (seq == 0)
        seq = atomic_fetch_add(&s->store->next_seq, 1);
    put_be64(seq_key + 1, (uint64_t)seq);
    put(s, id_key, id_key_length, seq_key + 1, 8);
    put(s, seq_key, sizeof(seq_key), event, event_encode(item, seq, now_us(), event));
    return seq;
}

static void list_key(uint8_t key[LIST_KEY_BYTES], const char *service, size_t length)
{
    key[0] = 'l';
    put_be64(key + 1, XXH3_64bits(service, length));
}

static void put_row(void *session, const struct row *row, bool fresh)
{
    struct session *s = session;
    uint8_t bytes[ROW_BYTES], key[ROW_KEY_BYTES], place[LIST_KEY_BYTES];
    row_key(key, row->text[ROW_ARN], strlen(row->text[ROW_ARN]));
    put(s, key, sizeof(key), bytes, row_encode(row, bytes));
    if (!fresh || row->n.is_revision)
        return;
    list_key(place, row->service, strlen(row->service));
    put_be64(place + 9, ~(uint64_t)row->n.created_at);
    put_be64(place + 17, ~(uint64_t)row->n.id);
    put(s, place, sizeof(place), key, sizeof(key));
}

static size_t append_locked(struct session *s, const struct item *items, size_t count)
{
    static const struct peer_calls calls = {LSM_NAME, load, put_event, put_row};
    char *error = NULL;
    s->count = count;
    if (count > 1)
        memset(s->ids, 0, IDS * sizeof(*s->ids));
    size_t duplicates = peer_append(&calls, s, s->rows, items, count);
    LSM(write)(s->store->db, s->store->write_options, s->batch, &error);
    check(error);
    LSM(writebatch_clear)(s->batch);
    return duplicates;
}

static size_t append(void *session, const struct item *items, size_t count)
{
    struct session *s = session;
    struct store *store = s->store;
    pthread_mutex_t *stripe = NULL;
    if (count == 1) {
        pthread_rwlock_rdlock(&store->all);
        stripe = &store->stripes[XXH3_64bits(items->subject, items->subject_length) % STRIPES];
        pthread_mutex_lock(stripe);
    } else {
        pthread_rwlock_wrlock(&store->all);
    }
    size_t duplicates = append_locked(s, items, count);
    if (stripe != NULL)
        pthread_mutex_unlock(stripe);
    pthread_rwlock_unlock(&store->all);
    return duplicates;
}

static void read_nothing(void *session)
{
    (void)session;
}

static void touch_row(const char *value, size_t length, struct answer *out)
{
    struct row_numbers numbers;
    memcpy(&numbers, value, sizeof(numbers));
    out->status = (int)numbers.status;
    out->touched += touch(value, length);
}

static bool touch_key(struct store *s, const uint8_t *key, struct answer *out)
{
    size_t length;
    char *value = get(s, key, ROW_KEY_BYTES, &length);
    if (value != NULL)
        touch_row(value, length, out);
    LSM(free)(value);
    return value != NULL;
}

static bool describe(void *session, const char *arn, size_t length, enum depth depth,
                     struct answer *out)
{
    struct session *s = session;
    uint8_t key[ROW_KEY_BYTES];
    (void)depth;
    row_key(key, arn, length);
    return touch_key(s->store, key, out);
}

static void list(void *session, const char *arn, size_t length, struct answer *out)
{
    struct session *s = session;
    uint8_t prefix[LIST_KEY_BYTES];
    size_t size;
    list_key(prefix, arn, length);
    LSM(iterator_t) *i = LSM(create_iterator)(s->store->db, s->store->read_options);
    LSM(iter_seek)(i, (const char *)prefix, 9);
    for (out->count = 0; out->count < LIST_LENGTH && LSM(iter_valid)(i) &&
                         memcmp(LSM(iter_key)(i, &size), prefix, 9) == 0;
         out->count++) {
        if (!touch_key(s->store, (const uint8_t *)LSM(iter_value)(i, &size), out))
            fail("%s: a list names what is not there", LSM_NAME);
        LSM(iter_next)(i);
    }
    LSM(iter_destroy)(i);
}

#define LSM_SETTINGS                                                                               \
    "WAL flushed at each write (sync); write batches; write buffer 64 MiB, block cache 256 MiB, "  \
    "bloom filter of 10 bits, default compression (Snappy)"
#define LSM_LEAVES_OUT                                                                             \
    "services' counts; views of earlier moments; a read gives the row's bytes, not its members"

/* The members of a struct engine that are the same for both. */
#define LSM_ENGINE                                                                                 \
    .name = LSM_NAME, .settings = LSM_SETTINGS, .leaves_out = LSM_LEAVES_OUT, .reads = true,       \
    .open = store_open, .close = store_close, .compact = store_compact, .attach = attach,          \
    .detach = detach, .append = append, .read_begin = read_nothing, .read_end = read_nothing,      \
    .describe = describe, .list = list
