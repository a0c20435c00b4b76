/* Text of events on its way to a terminal: what could move its cursor or turn its letters is escaped. */
#ifndef TOOL_SAFE_H
#define TOOL_SAFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* One character of a text: where it ends, how it is shown and how many columns that takes. */
struct tool_glyph {
    size_t length; /* bytes of the text */
    char shown[12];
    size_t shown_length;
    unsigned columns;
};

/* The character at the beginning of a text of length > 0. Invalid UTF-8 goes byte by byte, "\xff". */
void tool_glyph_of(const char *text, size_t length, struct tool_glyph *out);

/* Writes a text with control and bidirectional characters and invalid UTF-8 escaped. */
void tool_put_safe(FILE *stream, const char *text);
/* Writes the library's JSON: line ends stay, the others are escaped as JSON has it. */
void tool_put_json(FILE *stream, const char *json, size_t length);

/* How many columns the text takes once it is escaped. */
size_t tool_safe_columns(const char *text, size_t length);

#endif
