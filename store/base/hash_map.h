/* From a 128-bit hash to a number: who was seen, and which one it was. Hashes are taken for what they are of. */
#ifndef EHI_BASE_HASH_MAP_H
#define EHI_BASE_HASH_MAP_H

#include "base/hash.h"

struct ehi_hash_slot;

/* All zero is an empty one. One thread at a time. */
struct ehi_hash_map {
    struct ehi_hash_slot *slots;
    size_t count, capacity;
};

void ehi_hash_map_free(struct ehi_hash_map *map);
/* Enters a hash, or gives it another number. NO_MEMORY. */
int ehi_hash_map_put(struct ehi_hash_map *map, struct ehi_hash128 hash, uint32_t number)
    ECSHIST_CHECKED;
/* false: it is not there; *number (may be NULL) is untouched then. */
bool ehi_hash_map_get(const struct ehi_hash_map *map, struct ehi_hash128 hash, uint32_t *number);

#endif
