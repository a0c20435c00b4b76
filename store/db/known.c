/*
 * ARNs met before: a table in memory of the environment with the id that each had, and where its state lay. It is
 * only ever a guess.
 *
 * The id saves one search of two. Whoever uses it compares the ARN in the state that it leads to, so that an id that has
 * expired since, or is of another snapshot, costs a search and no more. What is not there is not remembered.
 *
 * The place saves the other. LMDB never changes a page that a snapshot can see: where a search of one snapshot found a row,
 * every search of that snapshot finds it. So a place is of a transaction's number, and believed only by those that have the same;
 * and the row there must have the key asked for, and its checksum, and its page its number, as if it had been searched for.
 *
 * A line of the table is a cache line: three ARNs. All of its places are of one snapshot. A version that is odd while
 * somebody writes, and another afterwards, tells a reader that the place and the snapshot belong together.
 */
#include "db/internal.h"

#include <assert.h>
#include <stdlib.h>

/* 8 MiB, of which the system gives only what is used. */
enum { LINES = 1 << 17, LINE_ENTRIES = 3, LINE_BYTES = 64, ID_BITS = 40, SIZE_BITS = 16 };
#define ID_MASK ((UINT64_C(1) << ID_BITS) - 1)
#define OFFSET_MASK (UINT64_MAX >> SIZE_BITS)

/* name: a part of the hash's high half, and the id. place: the size of a state's row, and where it begins in the map; 0: none. */
struct entry {
    _Atomic uint64_t name, place;
};
struct db_known_line {
    _Atomic uint64_t version, snapshot;
    struct entry entries[LINE_ENTRIES];
};
static_assert(sizeof(struct db_known_line) == LINE_BYTES, "a line is a cache line");

/* What is allocated has room for one line more, so that lines can begin where cache lines do. */
static struct db_known_line *line_of(struct db_known_line *known, struct ehi_hash128 hash)
{
    uintptr_t first = ((uintptr_t)known + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1);
    return (struct db_known_line *)first + hash.low % LINES;
}

static bool is_named(uint64_t name, struct ehi_hash128 hash)
{
    return ((name ^ hash.high) & ~ID_MASK) == 0 && (name & ID_MASK) != 0;
}

/* The entry of the hash's name; NULL: there is none. */
static struct entry *entry_of(struct db_known_line *line, struct ehi_hash128 hash)
{
    for (int i = 0; i < LINE_ENTRIES; i++) {
        if (is_named(atomic_load_explicit(&line->entries[i].name, memory_order_relaxed), hash))
            return &line->entries[i];
    }
    return NULL;
}

static struct db_known_line *line_known(struct ehi_db *db, struct ehi_hash128 hash)
{
    struct db_known_line *known = atomic_load_explicit(&db->known, memory_order_acquire);
    return known == NULL ? NULL : line_of(known, hash);
}

uint64_t db_known(struct ehi_db *db, struct ehi_hash128 hash, uint64_t snapshot, uint64_t *place)
{
    struct db_known_line *line = line_known(db, hash);
    *place = 0;
    if (line == NULL)
        return 0;
    uint64_t version = atomic_load_explicit(&line->version, memory_order_acquire);
    struct entry *entry = entry_of(line, hash);
    if (entry == NULL)
        return 0;
    uint64_t name = atomic_load_explicit(&entry->name, memory_order_acquire);
    uint64_t at = atomic_load_explicit(&entry->place, memory_order_acquire);
    uint64_t of = atomic_load_explicit(&line->snapshot, memory_order_acquire);
    bool whole =
        version % 2 == 0 && atomic_load_explicit(&line->version, memory_order_relaxed) == version;
    if (whole && of == snapshot)
        *place = at;
    return is_named(name, hash) ? name & ID_MASK : 0;
}

/* Of two threads that make it one loses. Without memory nothing is known. */
static struct db_known_line *make_known(struct ehi_db *db)
{
    struct db_known_line *made = calloc(LINES + 1, sizeof(*made)), *other = NULL;
    if (made == NULL || atomic_compare_exchange_strong(&db->known, &other, made))
        return made;
    free((void *)made);
    return other;
}

/* Where a hash that has no entry goes: to one that is free, else to any. */
static struct entry *free_entry(struct db_known_line *line, uint64_t id)
{
    for (int i = 0; i < LINE_ENTRIES; i++) {
        if (atomic_load_explicit(&line->entries[i].name, memory_order_relaxed) == 0)
            return &line->entries[i];
    }
    return &line->entries[id % LINE_ENTRIES];
}

/* In the order of the stores: whoever sees one of them sees that the version was odd before it. */
static void set(_Atomic uint64_t *to, uint64_t value)
{
    atomic_store_explicit(to, value, memory_order_release);
}

/* The line's places are of this snapshot from now on. false: they are of a later one, and stay. */
static bool turn_line(struct db_known_line *line, uint64_t snapshot)
{
    uint64_t of = atomic_load_explicit(&line->snapshot, memory_order_relaxed);
    if (of >= snapshot)
        return of == snapshot;
    for (int i = 0; i < LINE_ENTRIES; i++)
        set(&line->entries[i].place, 0);
    set(&line->snapshot, snapshot);
    return true;
}

/* It says already what is to be written. */
static bool says(struct db_known_line *line, struct ehi_hash128 hash, uint64_t id, uint64_t place)
{
    struct entry *entry = entry_of(line, hash);
    return place == 0 && entry != NULL &&
           (atomic_load_explicit(&entry->name, memory_order_relaxed) & ID_MASK) == id;
}

static void write_line(struct db_known_line *line, struct ehi_hash128 hash, uint64_t id,
                       uint64_t snapshot, uint64_t place)
{
    struct entry *entry = entry_of(line, hash);
    uint64_t name = (hash.high & ~ID_MASK) | id;
    bool same = entry != NULL && atomic_load_explicit(&entry->name, memory_order_relaxed) == name;
    if (entry == NULL)
        entry = free_entry(line, id);
    if (!same) {
        set(&entry->name, name);
        set(&entry->place, 0);
    }
    if (place != 0 && turn_line(line, snapshot))
        set(&entry->place, place);
}

void db_remember(struct ehi_db *db, struct ehi_hash128 hash, uint64_t id, uint64_t snapshot,
                 uint64_t place)
{
    struct db_known_line *line = line_known(db, hash);
    if (line == NULL) {
        struct db_known_line *known = make_known(db);
        line = known == NULL ? NULL : line_of(known, hash);
    }
    if (line == NULL || id == 0 || id > ID_MASK || says(line, hash, id, place))
        return;
    uint64_t version = atomic_load_explicit(&line->version, memory_order_relaxed);
    /* Whoever finds somebody writing lets it be. */
    if (version % 2 != 0 ||
        !atomic_compare_exchange_strong_explicit(&line->version, &version, version + 1,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    write_line(line, hash, id, snapshot, place);
    set(&line->version, version + 2);
}

uint64_t db_place(const struct ehi_db *db, MDB_val row)
{
    const uint8_t *start = row.mv_data;
    if (db->map == NULL || start < db->map || start >= db->map + db->map_bytes ||
        row.mv_size >> SIZE_BITS != 0)
        return 0;
    uint64_t offset = (uint64_t)(start - db->map);
    return offset <= OFFSET_MASK ? (uint64_t)row.mv_size << (64 - SIZE_BITS) | offset : 0;
}

MDB_val db_row_at(const struct ehi_db *db, uint64_t place)
{
    return db_val(db->map + (place & OFFSET_MASK), place >> (64 - SIZE_BITS));
}

void ehi_db_prefetch(struct ehi_db_txn *txn, struct ehi_hash128 hash)
{
    struct db_known_line *line = line_known(txn->db, hash);
    if (line != NULL)
        __builtin_prefetch(line);
}
