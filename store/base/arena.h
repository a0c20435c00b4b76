/*
 * Many small pieces, freed together. Pieces are 8-byte aligned and live until the arena is reset or
 * freed. One thread at a time.
 */
#ifndef EHI_BASE_ARENA_H
#define EHI_BASE_ARENA_H

#include "base/bytes.h"

struct ehi_arena_chunk;

/* All zero is an empty one. */
struct ehi_arena {
    struct ehi_arena_chunk *chunks; /* newest first */
    uint8_t *next;
    uint8_t *end;
};

/* A piece where the chunk in use has no room for it. */
void *ehi_arena_grow(struct ehi_arena *arena, size_t size) ECSHIST_CHECKED;

/* NULL where memory is out. Not zeroed. */
ECSHIST_CHECKED static inline void *ehi_arena_alloc(struct ehi_arena *arena, size_t size)
{
    size_t room = (size_t)(arena->end - arena->next);
    size_t rounded = (size + 7) & ~(size_t)7;
    if (size > room || rounded > room || arena->next == NULL)
        return ehi_arena_grow(arena, size);
    void *piece = arena->next;
    arena->next += rounded;
    return piece;
}
/* Zeroed; count * size is checked for overflow. A pointer that is not NULL also for 0. */
void *ehi_arena_array(struct ehi_arena *arena, size_t count, size_t size) ECSHIST_CHECKED;
/* Copies bytes; a NUL follows the copy, so that it is a C string too. data NULL where memory is
 * out. */
struct ehi_slice ehi_arena_copy(struct ehi_arena *arena, struct ehi_slice bytes) ECSHIST_CHECKED;
/* Forgets all pieces, keeps the largest chunk for the next use. */
void ehi_arena_reset(struct ehi_arena *arena);
void ehi_arena_free(struct ehi_arena *arena);

#endif
