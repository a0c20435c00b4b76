/* Values as JSON text, laid out like Python's json.dumps(ensure_ascii=False). */
#include "json/out.h"

#include "model/time.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_BYTES = 40 };

static int put(struct ehi_buffer *out, const char *text, size_t length)
{
    return ehi_buffer_append(out, text, length);
}

static int put_text(struct ehi_buffer *out, const char *text)
{
    return put(out, text, strlen(text));
}

/* What stands behind the backslash; 0: nothing, 'u': \u00XX. */
static char escape_of(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return c < 0x20 ? 'u' : 0;
    }
}

static int put_escape(struct ehi_buffer *out, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    char escape = escape_of(c);
    char text[6] = {'\\', escape, '0', '0', hex[c >> 4], hex[c & 15]};
    return put(out, text, escape == 'u' ? 6 : 2);
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* Sixteen bytes at once: the compiler's vectors, so that it is plain C where the machine has none. */
typedef uint8_t sixteen __attribute__((vector_size(16)));

static inline bool plain_sixteen(const uint8_t *p, uint8_t *copy)
{
    sixteen v;
    uint64_t halves[2];
    memcpy(&v, p, sizeof(v));
    memcpy(copy, &v, sizeof(v));
    sixteen special = (sixteen)(v == '"') | (sixteen)(v == '\\') | (sixteen)(v < 0x20);
    memcpy(halves, &special, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

/* Copies what needs no escape; the length of it. `at` has room for the whole text. */
static size_t copy_plain(uint8_t *at, const uint8_t *text, size_t length)
{
    size_t i = 0;
    while (length - i >= 16 && plain_sixteen(text + i, at + i))
        i += 16;
    /* What is left of a plain text is looked at together with bytes that were. */
    if (length >= 16 && length - i < 16 && plain_sixteen(text + length - 16, at + length - 16))
        return length;
    for (; i < length && is_plain(text[i]); i++)
        at[i] = text[i];
    return i;
}

int ehi_json_put_string(struct ehi_buffer *out, struct ehi_slice text)
{
    struct ehi_slice rest = text;
    int rc = put(out, "\"", 1);
    for (;;) {
        uint8_t *at = rc == ECSHIST_OK ? ehi_buffer_room(out, rest.length + 1) : NULL;
        if (at == NULL)
            return ECSHIST_NO_MEMORY;
        size_t plain = copy_plain(at, rest.data, rest.length);
        out->length += plain;
        if (plain == rest.length)
            break;
        rc = put_escape(out, rest.data[plain]);
        rest = ehi_slice(rest.data + plain + 1, rest.length - plain - 1);
    }
    out->data[out->length++] = '"';
    return ECSHIST_OK;
}

int ehi_json_put_integer(struct ehi_buffer *out, int64_t number)
{
    char digits[NUMBER_BYTES];
    char *at = digits + sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0)
        *--at = '-';
    return put(out, at, (size_t)(digits + sizeof(digits) - at));
}

/* printf follows the host's locale: whatever it writes that is no digit is its decimal point. */
static size_t plain_point(char *text)
{
    size_t n = 0;
    bool in_point = false;
    for (const char *c = text; *c != '\0'; c++) {
        bool known = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
        if (known)
            text[n++] = *c;
        else if (!in_point)
            text[n++] = '.';
        in_point = !known;
    }
    text[n] = '\0';
    return n;
}

/* Whole numbers up to there are written digit by digit by "%.15g", too. */
static bool is_whole(double number)
{
    return number > 0 && number < 1e15 && number == (double)(int64_t)number;
}

int ehi_json_put_real(struct ehi_buffer *out, double number)
{
    if (!isfinite(number))
        return put(out, "null", 4); /* JSON has none; none is ever parsed or stored */
    if (is_whole(number)) {
        int rc = ehi_json_put_integer(out, (int64_t)number);
        return rc != ECSHIST_OK ? rc : put(out, ".0", 2);
    }
    char text[NUMBER_BYTES];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        double back = strtod(text, NULL);
        if (memcmp(&back, &number, sizeof(back)) == 0)
            break;
    }
    size_t length = plain_point(text);
    int rc = put(out, text, length);
    if (rc == ECSHIST_OK && strpbrk(text, ".e") == NULL)
        rc = put(out, ".0", 2); /* or it would be read back as an integer */
    return rc;
}

int ehi_json_put_time(struct ehi_buffer *out, int64_t time_us, bool iso)
{
    char *at = (char *)ehi_buffer_room(out, EHI_TIME_BUFFER + 2);
    if (at == NULL)
        return ECSHIST_NO_MEMORY;
    if (!iso) {
        out->length += ehi_time_format_seconds(time_us, at);
        return ECSHIST_OK;
    }
    size_t length = ehi_time_format_iso(time_us, at + 1);
    at[0] = at[length + 1] = '"';
    out->length += length + 2;
    return ECSHIST_OK;
}

static int put_break(struct ehi_buffer *out, const struct ehi_json_style *style, unsigned level)
{
    size_t spaces = (size_t)style->indent * level;
    int rc = ehi_buffer_reserve(out, spaces + 1);
    if (rc != ECSHIST_OK)
        return rc;
    out->data[out->length++] = '\n';
    memset(out->data + out->length, ' ', spaces);
    out->length += spaces;
    return ECSHIST_OK;
}

/* What stands before an item: a comma where it is not the first, and a line of its own. */
static int put_before(struct ehi_buffer *out, const struct ehi_json_style *style, unsigned level,
                      bool first)
{
    if (style->indent == 0)
        return first ? ECSHIST_OK : put(out, ", ", 2);
    int rc = first ? ECSHIST_OK : put(out, ",", 1);
    return rc != ECSHIST_OK ? rc : put_break(out, style, level);
}

static int put_close(struct ehi_buffer *out, const struct ehi_json_style *style, unsigned level,
                     uint32_t count, const char *bracket)
{
    int rc = ECSHIST_OK;
    if (style->indent != 0 && count != 0)
        rc = put_break(out, style, level);
    return rc != ECSHIST_OK ? rc : put(out, bracket, 1);
}

static int put_value(struct ehi_buffer *out, const struct ehi_json_style *style, unsigned level,
                     const struct ehi_value *value);

static int put_array(struct ehi_buffer *out, const struct ehi_json_style *style, unsigned level,
                     const struct ehi_value *array)
{
    int rc = put(out, "[", 1);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < array->count; i++) {
        rc = put_before(out, style, level + 1, i == 0);
        if (rc == ECSHIST_OK)
            rc = put_value(out, style, level + 1, &array->u.items[i]);
    }
    return rc != ECSHIST_OK ? rc : put_close(out, style, level, array->count, "]");
}

static int put_map(struct ehi_buffer *out, const struct ehi_json_style *style, unsigned level,
                   const struct ehi_value *map)
{
    int rc = put(out, "{", 1);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < map->count; i++) {
        rc = put_before(out, style, level + 1, i == 0);
        if (rc == ECSHIST_OK)
            rc = ehi_json_put_string(out, map->u.members[i].name);
        if (rc == ECSHIST_OK)
            rc = put(out, ": ", 2);
        if (rc == ECSHIST_OK)
            rc = put_value(out, style, level + 1, &map->u.members[i].value);
    }
    return rc != ECSHIST_OK ? rc : put_close(out, style, level, map->count, "}");
}

/* As deep as the value, which whoever made it has bounded. */
static int put_value(struct ehi_buffer *out, const struct ehi_json_style *style, unsigned level,
                     const struct ehi_value *value)
{
    switch (value->kind) {
    case EHI_VALUE_BOOL:
        return put_text(out, value->u.boolean ? "true" : "false");
    case EHI_VALUE_INT:
        return ehi_json_put_integer(out, value->u.integer);
    case EHI_VALUE_DOUBLE:
        return ehi_json_put_real(out, value->u.real);
    case EHI_VALUE_STRING:
        return ehi_json_put_string(out, value->u.string);
    case EHI_VALUE_ARRAY:
        return put_array(out, style, level, value);
    case EHI_VALUE_MAP:
        return put_map(out, style, level, value);
    case EHI_VALUE_TIME:
        return ehi_json_put_time(out, value->u.integer, style->iso_times);
    default:
        return put_text(out, "null");
    }
}

void ehi_json_break(struct ehi_json_out *o)
{
    if (put_before(o->text, &o->style, o->level, o->first) != ECSHIST_OK)
        o->failed = true;
}

int ehi_json_write(const struct ehi_value *value, const struct ehi_json_style *style,
                   struct ehi_buffer *out)
{
    return put_value(out, style, style->level, value);
}
