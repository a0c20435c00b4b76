#define LSM(name) leveldb_##name
#define LSM_NAME "leveldb"
#include <leveldb/c.h>

#include "lsm.h"

/* The filter and the cache live as long as the program: two small things of each open. */
static leveldb_options_t *lsm_options(void)
{
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
    leveldb_options_set_cache(options, leveldb_cache_create_lru(CACHE_BYTES));
    leveldb_options_set_filter_policy(options, leveldb_filterpolicy_create_bloom(BLOOM_BITS));
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
