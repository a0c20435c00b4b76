/*
 * token = base64url(bytes), no padding: 33 bytes are 44 letters exactly, so that each token has one
 * text only.
 *
 *   0  u8   version: 1
 *   1  i64  createdAt of the last deployment given, microseconds
 *   9  u64  its created_seq
 *  17  u64  hash of the filters
 *  25  u64  checksum: XXH3-64, seed of the store, of bytes 0-24 then the store id
 *
 * No offset and no id: deployments that come or go between two pages move nothing that the token
 * says.
 */
#include "view/token.h"

#include "base/hash.h"

enum {
    TOKEN_VERSION = 1,
    AT_CREATED = 1,
    AT_SEQ = 9,
    AT_FILTERS = 17,
    AT_CHECKSUM = 25,
    TOKEN_BYTES = 33,
    TOKEN_LETTERS = TOKEN_BYTES / 3 * 4
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static uint64_t checksum(const uint8_t *bytes, uint64_t seed, const uint8_t store_id[16])
{
    uint8_t all[AT_CHECKSUM + 16];
    memcpy(all, bytes, AT_CHECKSUM);
    memcpy(all + AT_CHECKSUM, store_id, 16);
    return ehi_hash64(all, sizeof(all), seed);
}

void view_token_encode(const struct view_token *token, uint64_t seed, const uint8_t store_id[16],
                       char text[VIEW_TOKEN_TEXT])
{
    uint8_t bytes[TOKEN_BYTES];
    bytes[0] = TOKEN_VERSION;
    ehi_put_le64(bytes + AT_CREATED, (uint64_t)token->created_at_us);
    ehi_put_le64(bytes + AT_SEQ, token->created_seq);
    ehi_put_le64(bytes + AT_FILTERS, token->filters);
    ehi_put_le64(bytes + AT_CHECKSUM, checksum(bytes, seed, store_id));
    char *letter = text;
    for (int i = 0; i < TOKEN_BYTES; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *letter++ = alphabet[three >> shift & 63];
    }
    *letter = '\0';
}

static bool letters_to_bytes(struct ehi_slice text, uint8_t bytes[TOKEN_BYTES])
{
    if (text.length != TOKEN_LETTERS)
        return false;
    uint32_t bits = 0;
    for (int i = 0; i < TOKEN_LETTERS; i++) {
        const char *letter = memchr(alphabet, text.data[i], sizeof(alphabet) - 1);
        if (letter == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(letter - alphabet);
        if (i % 4 != 3)
            continue;
        uint8_t *three = bytes + i / 4 * 3;
        three[0] = (uint8_t)(bits >> 16);
        three[1] = (uint8_t)(bits >> 8);
        three[2] = (uint8_t)bits;
    }
    return true;
}

bool view_token_decode(struct ehi_slice text, uint64_t seed, const uint8_t store_id[16],
                       struct view_token *out)
{
    uint8_t bytes[TOKEN_BYTES];
    if (!letters_to_bytes(text, bytes) || bytes[0] != TOKEN_VERSION)
        return false;
    if (ehi_get_le64(bytes + AT_CHECKSUM) != checksum(bytes, seed, store_id))
        return false;
    out->created_at_us = (int64_t)ehi_get_le64(bytes + AT_CREATED);
    out->created_seq = ehi_get_le64(bytes + AT_SEQ);
    out->filters = ehi_get_le64(bytes + AT_FILTERS);
    return true;
}
