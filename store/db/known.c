/*
 * ARNs met before, and their ids: a table in memory of the environment, so that what is asked for again is one
 * search of the index and not two. It is only ever a guess. Whoever uses one compares the ARN in the state that it leads
 * to, so that an id that has expired since, or is of another snapshot, costs a search and no more. What is not
 * there is not remembered.
 */
#include "db/internal.h"

#include <stdlib.h>

/* Pairs of entries, by the low half of the hash: 2 MiB. An entry is a part of the high half, and the id. */
enum { ENTRIES = 1 << 18, ID_BITS = 40 };
#define ID_MASK ((UINT64_C(1) << ID_BITS) - 1)

static _Atomic uint64_t *pair_of(_Atomic uint64_t *known, struct ehi_hash128 hash)
{
    return known + (hash.low & (ENTRIES - 2));
}

uint64_t db_known(struct ehi_db *db, struct ehi_hash128 hash)
{
    _Atomic uint64_t *known = atomic_load_explicit(&db->known, memory_order_acquire);
    if (known == NULL)
        return 0;
    _Atomic uint64_t *pair = pair_of(known, hash);
    for (int i = 0; i < 2; i++) {
        uint64_t entry = atomic_load_explicit(&pair[i], memory_order_relaxed);
        if (((entry ^ hash.high) & ~ID_MASK) == 0)
            return entry & ID_MASK;
    }
    return 0;
}

/* Of two threads that make it one loses. Without memory nothing is known. */
static _Atomic uint64_t *make_known(struct ehi_db *db)
{
    _Atomic uint64_t *made = calloc(ENTRIES, sizeof(*made)), *other = NULL;
    if (made == NULL || atomic_compare_exchange_strong(&db->known, &other, made))
        return made;
    free((void *)made);
    return other;
}

void db_remember(struct ehi_db *db, struct ehi_hash128 hash, uint64_t id)
{
    _Atomic uint64_t *known = atomic_load_explicit(&db->known, memory_order_acquire);
    if (known == NULL)
        known = make_known(db);
    if (known == NULL || id == 0 || id > ID_MASK)
        return;
    _Atomic uint64_t *pair = pair_of(known, hash);
    /* The place is the one that is free, else either. */
    unsigned at = id & 1;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t entry = atomic_load_explicit(&pair[i], memory_order_relaxed);
        if (entry == 0 || ((entry ^ hash.high) & ~ID_MASK) == 0) {
            at = i;
            break;
        }
    }
    atomic_store_explicit(&pair[at], (hash.high & ~ID_MASK) | id, memory_order_relaxed);
}

uint64_t ehi_db_guess(struct ehi_db_txn *txn, struct ehi_hash128 hash)
{
    return db_known(txn->db, hash);
}
