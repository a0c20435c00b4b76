/* XXH3 of bytes. The only place that knows xxHash; its values are stored, so they never change. */
#ifndef EHI_BASE_HASH_H
#define EHI_BASE_HASH_H

#include "base/bytes.h"

struct ehi_hash128 {
    uint64_t low, high;
};

uint64_t ehi_hash64(const void *data, size_t length, uint64_t seed);
struct ehi_hash128 ehi_hash128(const void *data, size_t length);
/* Of the parts as if they stood one behind the other. Never fails. */
struct ehi_hash128 ehi_hash128_parts(const struct ehi_slice *parts, size_t count);

/* ehi_hash64 of bytes that come in pieces. new: NULL where memory is out; free takes NULL. */
struct ehi_hash_stream;
struct ehi_hash_stream *ehi_hash_stream_new(uint64_t seed);
void ehi_hash_stream_add(struct ehi_hash_stream *stream, const void *data, size_t length);
uint64_t ehi_hash_stream_value(const struct ehi_hash_stream *stream);
void ehi_hash_stream_free(struct ehi_hash_stream *stream);

static inline bool ehi_hash128_equal(struct ehi_hash128 a, struct ehi_hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

#endif
