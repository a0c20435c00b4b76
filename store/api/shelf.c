/* Results that are used again. */
#include "api/result.h"

#include <stdatomic.h>
#include <stdlib.h>

/* What a freed result may keep of its memory. */
enum { KEPT_BYTES = 64 * 1024 };

struct api_shelf {
    atomic_uint references; /* the snapshot's, and each result's, also of the one that is kept */
    _Atomic(struct ecshist_result *) spare; /* NULL: none; &closed: none is kept any more */
};

static struct ecshist_result closed;

static void release(struct api_shelf *shelf)
{
    if (atomic_fetch_sub_explicit(&shelf->references, 1, memory_order_acq_rel) == 1)
        free(shelf);
}

static void destroy(struct ecshist_result *result)
{
    struct api_shelf *shelf = result->shelf;
    ehi_arena_free(&result->arena);
    free(result);
    release(shelf);
}

struct api_shelf *api_shelf_new(void)
{
    struct api_shelf *shelf = malloc(sizeof(*shelf));
    if (shelf == NULL)
        return NULL;
    atomic_init(&shelf->references, 1);
    atomic_init(&shelf->spare, NULL);
    return shelf;
}

struct ecshist_result *api_shelf_take(struct api_shelf *shelf)
{
    struct ecshist_result *result =
        atomic_exchange_explicit(&shelf->spare, NULL, memory_order_acquire);
    if (result == NULL) {
        result = calloc(1, sizeof(*result));
        if (result == NULL)
            return NULL;
        result->shelf = shelf;
        atomic_fetch_add_explicit(&shelf->references, 1, memory_order_relaxed);
    }
    result->arena.keep_bytes = KEPT_BYTES;
    return result;
}

void api_shelf_close(struct api_shelf *shelf)
{
    if (shelf == NULL)
        return;
    struct ecshist_result *result =
        atomic_exchange_explicit(&shelf->spare, &closed, memory_order_acq_rel);
    if (result != NULL)
        destroy(result);
    release(shelf);
}

ECSHIST_API void ecshist_result_free(ecshist_result *result)
{
    if (result == NULL)
        return;
    ehi_arena_reset(&result->arena);
    if (result->arena.end - result->arena.next > KEPT_BYTES)
        ehi_arena_free(&result->arena);
    struct ehi_arena arena = result->arena;
    *result = (struct ecshist_result){.shelf = result->shelf, .arena = arena};
    struct ecshist_result *none = NULL;
    if (!atomic_compare_exchange_strong_explicit(&result->shelf->spare, &none, result,
                                                 memory_order_release, memory_order_relaxed))
        destroy(result);
}
