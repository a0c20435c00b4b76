/*
 * The pieces of a JSON text: strings, numbers, words; and errors with their place. Shared by the
 * files of json/ only.
 */
#ifndef EHI_JSON_LEX_H
#define EHI_JSON_LEX_H

#include "base/arena.h"
#include "base/error.h"
#include "model/value.h"

/* Members and items of what is open, innermost last. It begins in memory that is not its own. */
struct json_pending {
    struct ehi_member *members;
    size_t count, capacity;
    bool owned;
};

struct json_reader {
    const uint8_t *text;
    size_t length;
    size_t at; /* what comes next */
    unsigned depth;
    struct ehi_arena *arena; /* of what is given out */
    struct json_pending pending;
    struct ecshist_error *error;
};

/* INVALID or another code, at the column of the character that ends before `end`. Returns it. */
int ehi_json_fail(const struct json_reader *r, size_t end, int code, const char *format, ...)
    ECSHIST_PRINTF(4, 5);
/* What stands here is not what may stand here: the end of the text, no UTF-8, or `what`. */
int ehi_json_fail_here(const struct json_reader *r, const char *what);

/* Passes over white space. The byte that follows; -1 at the end. */
int ehi_json_pass_space(struct json_reader *r);
/* The same, without a call where there is none or one space. */
static inline int ehi_json_peek(struct json_reader *r)
{
    size_t at = r->at;
    if (at < r->length && r->text[at] == ' ')
        at++;
    if (at >= r->length || r->text[at] <= ' ')
        return ehi_json_pass_space(r);
    r->at = at;
    return r->text[at];
}

/* Each at its first character; goes behind its last. INVALID, NO_MEMORY. */
int ehi_json_read_string(struct json_reader *r, struct ehi_slice *out) ECSHIST_CHECKED;
int ehi_json_read_number(struct json_reader *r, struct ehi_value *out) ECSHIST_CHECKED;
int ehi_json_read_word(struct json_reader *r, struct ehi_value *out) ECSHIST_CHECKED;

#endif
