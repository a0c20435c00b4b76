#include "base/arena.h"

#include <stdlib.h>

struct ehi_arena_chunk {
    struct ehi_arena_chunk *older;
    size_t size;
    _Alignas(16) uint8_t data[];
};

enum { ARENA_FIRST_CHUNK = 4096, ARENA_LARGEST_STEP = 1 << 20 };

static void use_chunk(struct ehi_arena *arena, struct ehi_arena_chunk *chunk)
{
    arena->next = chunk->data;
    arena->end = chunk->data + chunk->size;
}

static bool add_chunk(struct ehi_arena *arena, size_t least)
{
    size_t size = ARENA_FIRST_CHUNK;
    if (arena->chunks != NULL && arena->chunks->size < ARENA_LARGEST_STEP)
        size = arena->chunks->size * 2;
    else if (arena->chunks != NULL)
        size = ARENA_LARGEST_STEP;
    if (size < least)
        size = least;
    struct ehi_arena_chunk *chunk = malloc(sizeof(*chunk) + size);
    if (chunk == NULL)
        return false;
    chunk->older = arena->chunks;
    chunk->size = size;
    arena->chunks = chunk;
    use_chunk(arena, chunk);
    return true;
}

void *ehi_arena_grow(struct ehi_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 7) & ~(size_t)7;
    if (!add_chunk(arena, size))
        return NULL;
    void *piece = arena->next;
    arena->next += size;
    return piece;
}

void *ehi_arena_array(struct ehi_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 2 / size)
        return NULL;
    void *piece = ehi_arena_alloc(arena, count * size);
    if (piece != NULL)
        memset(piece, 0, count * size);
    return piece;
}

struct ehi_slice ehi_arena_copy(struct ehi_arena *arena, struct ehi_slice bytes)
{
    uint8_t *copy = ehi_arena_alloc(arena, bytes.length + 1);
    if (copy == NULL)
        return EHI_SLICE_EMPTY;
    if (bytes.length != 0)
        memcpy(copy, bytes.data, bytes.length);
    copy[bytes.length] = 0;
    return ehi_slice(copy, bytes.length);
}

void ehi_arena_reset(struct ehi_arena *arena)
{
    struct ehi_arena_chunk *keep = arena->chunks;
    if (keep == NULL)
        return;
    for (struct ehi_arena_chunk *c = keep->older; c != NULL;) {
        struct ehi_arena_chunk *older = c->older;
        if (c->size > keep->size) {
            free(keep);
            keep = c;
        } else {
            free(c);
        }
        c = older;
    }
    keep->older = NULL;
    arena->chunks = keep;
    use_chunk(arena, keep);
}

void ehi_arena_free(struct ehi_arena *arena)
{
    for (struct ehi_arena_chunk *c = arena->chunks; c != NULL;) {
        struct ehi_arena_chunk *older = c->older;
        free(c);
        c = older;
    }
    *arena = (struct ehi_arena){0};
}
