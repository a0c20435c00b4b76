/*
 * malloc and its kin. Without a sanitizer these are the process's own: LMDB's, jansson's and libc's
 * calls come here too. Under ASan the linker leads the calls of our own objects here (--wrap), and
 * jansson is told; LMDB's are not failed there.
 */
#include "faults/shim.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

static bool fails(const char *call, const void *caller)
{
    if (!shim_strikes(SHIM_MEMORY, call, -1, NULL, caller))
        return false;
    shim_note_failure(ENOMEM);
    if (shim_in_listing)
        shim_note_removal();
    return true;
}

#define FAILS(call) fails(call, __builtin_return_address(0))

#ifndef SHIM_WRAPS

static atomic_long live;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *born(void *block)
{
    if (block != NULL)
        atomic_fetch_add(&live, 1);
    return block;
}

long shim_live_blocks(void)
{
    return atomic_load(&live);
}

void shim_start(void)
{
}

void *malloc(size_t size)
{
    return FAILS("malloc") ? NULL : born(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return FAILS("calloc") ? NULL : born(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    if (size != 0 && FAILS("realloc"))
        return NULL;
    void *moved = __libc_realloc(block, size);
    if (block == NULL)
        return born(moved);
    if (size == 0 && moved == NULL)
        atomic_fetch_sub(&live, 1);
    return moved;
}

void free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub(&live, 1);
    __libc_free(block);
}

void *memalign(size_t alignment, size_t size)
{
    return FAILS("memalign") ? NULL : born(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return FAILS("aligned_alloc") ? NULL : born(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (FAILS("posix_memalign"))
        return ENOMEM;
    void *block = born(__libc_memalign(alignment, size));
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

#else

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

long shim_live_blocks(void)
{
    return 0;
}

void shim_start(void)
{
    json_set_alloc_funcs(malloc, free);
}

void *__wrap_malloc(size_t size)
{
    return FAILS("malloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return FAILS("calloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return FAILS("realloc") ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return FAILS("strdup") ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t length)
{
    return FAILS("strndup") ? NULL : __real_strndup(text, length);
}

#endif
