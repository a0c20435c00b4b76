/*
 * The text of a nextToken: a place in a list, tied to what was asked and to the store it was asked
 * of.
 */
#ifndef EHI_VIEW_TOKEN_H
#define EHI_VIEW_TOKEN_H

#include "base/bytes.h"

/*
 * The place is behind the deployment of this creation. `filters`: a hash of everything that was
 * asked but the page's size.
 */
struct view_token {
    int64_t created_at_us;
    uint64_t created_seq;
    uint64_t filters;
};

/* Room for a token's text, with the NUL. */
#define VIEW_TOKEN_TEXT 45

/* seed and store_id: of the log. */
void view_token_encode(const struct view_token *token, uint64_t seed, const uint8_t store_id[16],
                       char text[VIEW_TOKEN_TEXT]);
/*
 * false where the text is not one that view_token_encode made for this store; *out is untouched
 * then.
 */
bool view_token_decode(struct ehi_slice text, uint64_t seed, const uint8_t store_id[16],
                       struct view_token *out) ECSHIST_CHECKED;

#endif
