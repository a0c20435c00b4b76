#include "base/arena.h"

#include <stdlib.h>

struct ehi_arena_chunk {
    struct ehi_arena_chunk *older;
    size_t size;
    _Alignas(16) uint8_t data[];
};

enum { ARENA_FIRST_CHUNK = 4096, ARENA_LARGEST_STEP = 1 << 20, ARENA_KEPT_BYTES = 4 << 20 };

static void use_chunk(struct ehi_arena *arena, struct ehi_arena_chunk *chunk)
{
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->bytes += chunk->size;
    arena->next = chunk->data;
    arena->end = chunk->data + chunk->size;
}

/* One from before, or NULL. */
static struct ehi_arena_chunk *take_kept(struct ehi_arena *arena, size_t least)
{
    struct ehi_arena_chunk **link = &arena->kept;
    while (*link != NULL && (*link)->size < least)
        link = &(*link)->older;
    struct ehi_arena_chunk *chunk = *link;
    if (chunk != NULL)
        *link = chunk->older;
    return chunk;
}

static bool add_chunk(struct ehi_arena *arena, size_t least)
{
    struct ehi_arena_chunk *kept = take_kept(arena, least);
    if (kept != NULL) {
        use_chunk(arena, kept);
        return true;
    }
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
    chunk->size = size;
    use_chunk(arena, chunk);
    return true;
}

void *ehi_arena_alloc_more(struct ehi_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 7) & ~(size_t)7;
    if (size > (size_t)(arena->end - arena->next) || arena->next == NULL) {
        if (!add_chunk(arena, size))
            return NULL;
    }
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

/* Into the list of those kept, the largest first. */
static void keep_chunk(struct ehi_arena *arena, struct ehi_arena_chunk *chunk)
{
    struct ehi_arena_chunk **link = &arena->kept;
    while (*link != NULL && (*link)->size > chunk->size)
        link = &(*link)->older;
    chunk->older = *link;
    *link = chunk;
}

static void free_chunks(struct ehi_arena_chunk *chunks)
{
    for (struct ehi_arena_chunk *c = chunks; c != NULL;) {
        struct ehi_arena_chunk *older = c->older;
        free(c);
        c = older;
    }
}

static size_t most_kept(const struct ehi_arena *arena)
{
    return arena->keep_bytes == 0 ? ARENA_KEPT_BYTES : arena->keep_bytes;
}

/* One chunk was enough, and what is done below would come to the same. */
static bool begin_again(struct ehi_arena *arena)
{
    struct ehi_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->older != NULL)
        return false;
    if (arena->kept != NULL && (arena->kept->size > chunk->size || arena->bytes > most_kept(arena)))
        return false;
    arena->next = chunk->data;
    arena->end = chunk->data + chunk->size;
    return true;
}

void ehi_arena_reset(struct ehi_arena *arena)
{
    if (begin_again(arena))
        return;
    for (struct ehi_arena_chunk *c = arena->chunks; c != NULL;) {
        struct ehi_arena_chunk *older = c->older;
        keep_chunk(arena, c);
        c = older;
    }
    arena->chunks = NULL;
    arena->bytes = 0;
    size_t most = most_kept(arena);
    size_t kept = 0;
    struct ehi_arena_chunk **link = &arena->kept;
    while (*link != NULL && (kept == 0 || kept + (*link)->size <= most)) {
        kept += (*link)->size;
        link = &(*link)->older;
    }
    free_chunks(*link);
    *link = NULL;
    arena->next = arena->end = NULL;
    if (arena->kept != NULL)
        use_chunk(arena, take_kept(arena, 0));
}

void ehi_arena_free(struct ehi_arena *arena)
{
    free_chunks(arena->chunks);
    free_chunks(arena->kept);
    *arena = (struct ehi_arena){0};
}
