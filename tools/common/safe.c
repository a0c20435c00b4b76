#include "common/safe.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

/* Decodes one character of well-formed UTF-8 (Unicode, table 3-7). Returns its bytes, 0 where it is not. */
static size_t decode(const unsigned char *text, size_t length, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = text[0] < 0x80   ? 1
                  : text[0] < 0xC2 ? 0
                  : text[0] < 0xE0 ? 2
                  : text[0] < 0xF0 ? 3
                                   : 4;
    uint32_t point = size == 1 ? text[0] : text[0] & (0x7Fu >> size);

    if (size == 0 || size > length || text[0] > 0xF4) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
        point = point << 6 | (text[i] & 0x3Fu);
    }
    if (point < least[size] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
        return 0;
    }
    *out = point;
    return size;
}

static bool is_dangerous(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x061C || point == 0x200E ||
           point == 0x200F || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2066 && point <= 0x2069);
}

void tool_glyph_of(const char *text, size_t length, struct tool_glyph *out)
{
    uint32_t point = 0;
    size_t size = decode((const unsigned char *)text, length, &point);
    int columns;

    out->length = size == 0 ? 1 : size;
    if (size == 0 || is_dangerous(point)) {
        char kind = size == 0 ? 'x' : 'u';
        unsigned shown = size == 0 ? (unsigned char)text[0] : point;

        out->shown_length = (size_t)snprintf(out->shown, sizeof(out->shown), "\\%c%0*x", kind,
                                             size == 0 ? 2 : 4, shown);
        out->columns = (unsigned)out->shown_length;
        return;
    }
    memcpy(out->shown, text, size);
    out->shown_length = size;
    columns = wcwidth((wchar_t)point);
    out->columns = columns < 0 ? 1 : (unsigned)columns;
}

void tool_put_safe(FILE *stream, const char *text)
{
    size_t length = strlen(text);
    struct tool_glyph glyph;

    for (size_t at = 0; at < length; at += glyph.length) {
        tool_glyph_of(text + at, length - at, &glyph);
        fwrite(glyph.shown, 1, glyph.shown_length, stream);
    }
}

/* The first bytes of all that is_dangerous names, but for the controls that JSON escapes itself. */
static bool may_be_dangerous(unsigned char byte)
{
    return byte == 0x7F || byte == 0xC2 || byte == 0xD8 || byte == 0xE2;
}

void tool_put_json(FILE *stream, const char *json, size_t length)
{
    size_t written = 0;
    struct tool_glyph glyph;

    for (size_t at = 0; at < length; at += glyph.length) {
        glyph.length = 1;
        if (!may_be_dangerous((unsigned char)json[at])) {
            continue;
        }
        tool_glyph_of(json + at, length - at, &glyph);
        if (glyph.shown[0] == '\\') {
            fwrite(json + written, 1, at - written, stream);
            fwrite(glyph.shown, 1, glyph.shown_length, stream);
            written = at + glyph.length;
        }
    }
    fwrite(json + written, 1, length - written, stream);
}

size_t tool_safe_columns(const char *text, size_t length)
{
    size_t columns = 0;
    struct tool_glyph glyph;

    for (size_t at = 0; at < length; at += glyph.length) {
        tool_glyph_of(text + at, length - at, &glyph);
        columns += glyph.columns;
    }
    return columns;
}
