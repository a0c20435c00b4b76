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
    struct ehi_arena_chunk *chunks; /* in use; newest first */
    struct ehi_arena_chunk *kept;   /* from before it was reset */
    size_t bytes;                   /* of the chunks in use */
    size_t keep_bytes;              /* kept over a reset at the most; 0: some megabytes */
    uint8_t *next;
    uint8_t *end;
};

/* An empty one that begins in memory of the caller's, which outlives it. Its size is a multiple of 8, and so is where it is. */
static inline struct ehi_arena ehi_arena_lent(void *memory, size_t size)
{
    uint8_t *start = (uint8_t *)memory;
    struct ehi_arena arena = {.next = start, .end = start + size};
    return arena;
}

/* Where what is there does not do. */
void *ehi_arena_alloc_more(struct ehi_arena *arena, size_t size) ECSHIST_CHECKED;

/* NULL where memory is out. Not zeroed. */
ECSHIST_CHECKED static inline void *ehi_arena_alloc(struct ehi_arena *arena, size_t size)
{
    size_t room = (size_t)(arena->end - arena->next);
    if (size > room || room - size < 8)
        return ehi_arena_alloc_more(arena, size);
    void *piece = arena->next;
    arena->next += (size + 7) & ~(size_t)7;
    return piece;
}

/* Zeroed; count * size is checked for overflow. A pointer that is not NULL also for 0. */
void *ehi_arena_array(struct ehi_arena *arena, size_t count, size_t size) ECSHIST_CHECKED;
/* Copies bytes; a NUL follows the copy, so that it is a C string too. data NULL where memory is
 * out. */
struct ehi_slice ehi_arena_copy(struct ehi_arena *arena, struct ehi_slice bytes) ECSHIST_CHECKED;
/*
 * Forgets all pieces. Keeps the chunks for the next use, the largest first, up to keep_bytes: what takes about the same each
 * time asks for no more memory. What was lent is not used again.
 */
void ehi_arena_reset(struct ehi_arena *arena);
void ehi_arena_free(struct ehi_arena *arena);

#endif
