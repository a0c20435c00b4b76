#define LSM(name) rocksdb_##name
#define LSM_NAME "rocksdb"
#include <rocksdb/c.h>

#include "lsm.h"

static rocksdb_options_t *lsm_options(void)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(CACHE_BYTES);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom(BLOOM_BITS));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
    rocksdb_options_increase_parallelism(options, 2);
    rocksdb_options_set_compression(options, rocksdb_snappy_compression);
    rocksdb_cache_destroy(cache); /* the table holds it */
    rocksdb_block_based_options_destroy(table);
    return options;
}

/* The C API does not tell it; CMake read it from the library's header. */
static const char *version(void)
{
    return BENCH_ROCKSDB_VERSION;
}

const struct engine engine_rocksdb = {LSM_ENGINE, .title = "RocksDB", .version = version};
