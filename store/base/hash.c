#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t ehi_hash64(const void *data, size_t length, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, length, seed);
}

static struct ehi_hash128 from_xxh(XXH128_hash_t h)
{
    return (struct ehi_hash128){h.low64, h.high64};
}

struct ehi_hash128 ehi_hash128(const void *data, size_t length)
{
    return from_xxh(XXH3_128bits(data, length));
}

struct ehi_hash128 ehi_hash128_parts(const struct ehi_slice *parts, size_t count)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length != 0)
            XXH3_128bits_update(&state, parts[i].data, parts[i].length);
    }
    return from_xxh(XXH3_128bits_digest(&state));
}
