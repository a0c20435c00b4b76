#include "base/hash.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>

/* Longer inputs are hashed with 192 bytes that are made from the seed: for the seed that is used again, once. */
enum { LONG_BYTES = 240 };
static _Thread_local struct {
    uint64_t seed; /* 0: of none yet */
    uint8_t bytes[XXH3_SECRET_DEFAULT_SIZE];
} secret;

static uint64_t hash_long(const void *data, size_t length, uint64_t seed)
{
    if (secret.seed != seed) {
        XXH3_generateSecret_fromSeed(secret.bytes, seed);
        secret.seed = seed;
    }
    return XXH3_64bits_withSecretandSeed(data, length, secret.bytes, sizeof(secret.bytes), seed);
}

uint64_t ehi_hash64(const void *data, size_t length, uint64_t seed)
{
    if (length > LONG_BYTES && seed != 0)
        return hash_long(data, length, seed);
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

/* Few bytes are hashed sooner when they lie together: a state has more to set up than they have to copy. */
enum { FEW_BYTES = 1024 };

static struct ehi_hash128 hash_together(const struct ehi_slice *parts, size_t count)
{
    uint8_t bytes[FEW_BYTES];
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length != 0)
            memcpy(bytes + length, parts[i].data, parts[i].length);
        length += parts[i].length;
    }
    return from_xxh(XXH3_128bits(bytes, length));
}

static bool are_few(const struct ehi_slice *parts, size_t count)
{
    size_t left = FEW_BYTES;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length > left)
            return false;
        left -= parts[i].length;
    }
    return true;
}

struct ehi_hash128 ehi_hash128_parts(const struct ehi_slice *parts, size_t count)
{
    if (are_few(parts, count))
        return hash_together(parts, count);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length != 0)
            XXH3_128bits_update(&state, parts[i].data, parts[i].length);
    }
    return from_xxh(XXH3_128bits_digest(&state));
}

struct ehi_hash_stream {
    XXH3_state_t state;
};

struct ehi_hash_stream *ehi_hash_stream_new(uint64_t seed)
{
    /* XXH3 wants its state aligned as the struct says, which is more than malloc gives. */
    struct ehi_hash_stream *stream =
        aligned_alloc(_Alignof(struct ehi_hash_stream), sizeof(struct ehi_hash_stream));
    if (stream == NULL)
        return NULL;
    XXH3_INITSTATE(&stream->state);
    XXH3_64bits_reset_withSeed(&stream->state, seed);
    return stream;
}

void ehi_hash_stream_add(struct ehi_hash_stream *stream, const void *data, size_t length)
{
    if (length != 0)
        XXH3_64bits_update(&stream->state, data, length);
}

uint64_t ehi_hash_stream_value(const struct ehi_hash_stream *stream)
{
    return XXH3_64bits_digest(&stream->state);
}

void ehi_hash_stream_free(struct ehi_hash_stream *stream)
{
    free(stream);
}
