#include "base/hash_map.h"

#include <ecshist/error.h>
#include <stdlib.h>

struct ehi_hash_slot {
    struct ehi_hash128 hash;
    uint32_t number;
    bool used;
};

enum { FIRST_CAPACITY = 1024 };

void ehi_hash_map_free(struct ehi_hash_map *map)
{
    free(map->slots);
    *map = (struct ehi_hash_map){0};
}

/* The slot of the hash, or the free one where it would stand. */
static struct ehi_hash_slot *slot_of(struct ehi_hash_slot *slots, size_t capacity,
                                     struct ehi_hash128 hash)
{
    size_t i = hash.low & (capacity - 1);
    while (slots[i].used && !ehi_hash128_equal(slots[i].hash, hash))
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static int grow(struct ehi_hash_map *map)
{
    size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity * 2;
    struct ehi_hash_slot *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return ECSHIST_NO_MEMORY;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used)
            *slot_of(slots, capacity, map->slots[i].hash) = map->slots[i];
    }
    free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return ECSHIST_OK;
}

int ehi_hash_map_put(struct ehi_hash_map *map, struct ehi_hash128 hash, uint32_t number)
{
    int rc = map->count * 2 >= map->capacity ? grow(map) : ECSHIST_OK;
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_hash_slot *slot = slot_of(map->slots, map->capacity, hash);
    map->count += !slot->used;
    *slot = (struct ehi_hash_slot){hash, number, true};
    return ECSHIST_OK;
}

bool ehi_hash_map_get(const struct ehi_hash_map *map, struct ehi_hash128 hash, uint32_t *number)
{
    if (map->count == 0)
        return false;
    const struct ehi_hash_slot *slot = slot_of(map->slots, map->capacity, hash);
    if (slot->used && number != NULL)
        *number = slot->number;
    return slot->used;
}
