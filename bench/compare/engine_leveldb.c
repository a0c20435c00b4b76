#define LSM(name) leveldb_##name
#define LSM_NAME "leveldb"
#include <leveldb/c.h>

#include "lsm.h"

/* The filter and the cache live as long as the program: a store does not own its. */
static leveldb_options_t *lsm_options(void)
{
    static leveldb_cache_t *cache;
    static leveldb_filterpolicy_t *filter;
    if (cache == NULL) {
        cache = leveldb_cache_create_lru(CACHE_BYTES);
        filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
    }
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
    leveldb_options_set_cache(options, cache);
    leveldb_options_set_filter_policy(options, filter);
    leveldb_options_set_compression(options, leveldb_snappy_compression);
    return options;
}

static const char *version(void)
{
    static char text[32];
    snprintf(text, sizeof(text), "%d.%d", leveldb_major_version(), leveldb_minor_version());
    return text;
}

const struct engine engine_leveldb = {LSM_ENGINE, .title = "LevelDB", .version = version};
