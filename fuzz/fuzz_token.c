/*
 * Page tokens: whatever is decoded was made by encode (the very same text), and what encode makes
 * decodes to the same, for its own store only. The input: first as a token's text, then as the
 * fields of one.
 */
#include "base/bytes.h"
#include "view/token.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEED UINT64_C(0x243f6a8885a308d3)
static const uint8_t store_id[16] = "a store's own id";

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct ehi_slice text)
{
    struct view_token token = {-1, 1, 2};
    if (!view_token_decode(text, SEED, store_id, &token)) {
        check(token.created_at_us == -1 && token.created_seq == 1 && token.filters == 2);
        return;
    }
    char again[VIEW_TOKEN_TEXT];
    view_token_encode(&token, SEED, store_id, again);
    check(ehi_slice_is(text, again));
}

static bool is_url_safe(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* The text with any one letter changed is not a token. */
static void check_forged(char text[VIEW_TOKEN_TEXT], size_t at, uint8_t change)
{
    struct view_token token;
    char right = text[at];
    text[at] = (char)(right ^ (change | 1));
    check(!view_token_decode(ehi_slice_text(text), SEED, store_id, &token));
    text[at] = right;
    check(!view_token_decode(ehi_slice(text, at), SEED, store_id, &token));
}

static void check_fields(const uint8_t fields[24], const uint8_t *rest, size_t rest_length)
{
    struct view_token token = {(int64_t)ehi_get_le64(fields), ehi_get_le64(fields + 8),
                               ehi_get_le64(fields + 16)};
    char text[VIEW_TOKEN_TEXT];
    view_token_encode(&token, SEED, store_id, text);
    for (size_t i = 0; i < VIEW_TOKEN_TEXT - 1; i++)
        check(is_url_safe(text[i]));
    struct ehi_slice slice = ehi_slice_text(text);
    struct view_token decoded;
    check(slice.length == VIEW_TOKEN_TEXT - 1);
    check(view_token_decode(slice, SEED, store_id, &decoded));
    check(memcmp(&token, &decoded, sizeof(token)) == 0);
    uint8_t other_id[16];
    memcpy(other_id, store_id, sizeof(other_id));
    other_id[15] ^= 1;
    check(!view_token_decode(slice, SEED + 1, store_id, &decoded));
    check(!view_token_decode(slice, SEED, other_id, &decoded));
    if (rest_length >= 2)
        check_forged(text, rest[0] % (VIEW_TOKEN_TEXT - 1), rest[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text(ehi_slice(data, size));
    if (size >= 24)
        check_fields(data, data + 24, size - 24);
    return 0;
}
