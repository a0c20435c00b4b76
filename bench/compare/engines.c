#include "engine.h"

#include <string.h>

const struct engine *const all_engines[] = {&engine_ecshist,
#ifdef BENCH_HAS_SQLITE
                                            &engine_sqlite,
#endif
#ifdef BENCH_HAS_ROCKSDB
                                            &engine_rocksdb,
#endif
#ifdef BENCH_HAS_LEVELDB
                                            &engine_leveldb,
#endif
                                            &engine_lmdb,    &engine_flat, NULL};

uint64_t touch(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t sum = 0, word;
    for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum += word;
    }
    for (; length > 0; at++, length--)
        sum += *at;
    return sum;
}

uint64_t touch_text(const char *text)
{
    return text == NULL ? 0 : touch(text, strlen(text));
}
