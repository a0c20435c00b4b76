/* JSON text and values. UTF-8. */
#ifndef EHI_JSON_JSON_H
#define EHI_JSON_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "model/value.h"

/*
 * Parses one JSON object, all of the text but white space around it. Strings and names without an escape borrow from the
 * text, so that the value lives no longer than it. INVALID (place: "column N",
 * message for a person: invalid UTF-8, a duplicate member, NUL in a string, an integer over 64 bits
 * …), LIMIT (size, nesting), NO_MEMORY.
 */
int ehi_json_parse(const char *text, size_t length, struct ehi_arena *arena, struct ehi_value *out,
                   struct ecshist_error *error) ECSHIST_CHECKED;

struct ehi_json_style {
    bool iso_times;  /* EHI_VALUE_TIME as "2024-11-04T11:25:56.589000+00:00", else as seconds */
    unsigned indent; /* 0: on one line, ", " and ": " between; else spaces a level, empty lists as
                        [] and {} */
    unsigned level;  /* the level the value stands at, for its closing bracket */
};

/* Appends the value as JSON. Reals in the shortest form that reads back the same. NO_MEMORY. */
int ehi_json_write(const struct ehi_value *value, const struct ehi_json_style *style,
                   struct ehi_buffer *out) ECSHIST_CHECKED;

#endif
