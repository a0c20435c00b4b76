#include "json/lex.h"

#include "base/scan.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* -- errors and their place -------------------------------------------------------------------- */

/* Columns count characters, not bytes. */
static int set_place(const struct json_reader *r, size_t end, int code)
{
    size_t line = 1, column = 0;
    for (size_t i = 0; i < end && i < r->length; i++) {
        if (r->text[i] == '\n') {
            line++;
            column = 0;
        } else if ((r->text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    if (line > 1)
        return ehi_at(r->error, code, "line %zu, column %zu", line, column);
    return ehi_at(r->error, code, "column %zu", column);
}

int ehi_json_fail(const struct json_reader *r, size_t end, int code, const char *format, ...)
{
    char message[sizeof(r->error->message)];
    if (r->error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    ehi_fail(r->error, code, "%s", message);
    return set_place(r, end, code);
}

/* -- UTF-8 ------------------------------------------------------------------------------------- */

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character here; 0: it is none. Surrogates and what is longer than need be are none. */
static size_t character_bytes(const struct json_reader *r, size_t at)
{
    const uint8_t *c = r->text + at;
    size_t left = r->length - at;
    if (c[0] < 0x80)
        return 1;
    if (c[0] >= 0xc2 && c[0] <= 0xdf)
        return left >= 2 && is_tail(c[1]) ? 2 : 0;
    if (c[0] >= 0xe0 && c[0] <= 0xef) {
        bool whole = left >= 3 && is_tail(c[1]) && is_tail(c[2]);
        bool fits = !(c[0] == 0xe0 && left >= 2 && c[1] < 0xa0) &&
                    !(c[0] == 0xed && left >= 2 && c[1] > 0x9f);
        return whole && fits ? 3 : 0;
    }
    if (c[0] >= 0xf0 && c[0] <= 0xf4) {
        bool whole = left >= 4 && is_tail(c[1]) && is_tail(c[2]) && is_tail(c[3]);
        bool fits = !(c[0] == 0xf0 && left >= 2 && c[1] < 0x90) &&
                    !(c[0] == 0xf4 && left >= 2 && c[1] > 0x8f);
        return whole && fits ? 4 : 0;
    }
    return 0;
}

static size_t put_character(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static int fail_early_end(const struct json_reader *r)
{
    return ehi_json_fail(r, r->length, ECSHIST_INVALID, "not valid JSON: the text ends too early");
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int ehi_json_fail_here(const struct json_reader *r, const char *what)
{
    if (r->at >= r->length)
        return fail_early_end(r);
    size_t bytes = character_bytes(r, r->at);
    if (bytes == 0)
        return ehi_json_fail(r, r->at, ECSHIST_INVALID, "not valid UTF-8");
    size_t end = r->at + bytes;
    while (is_letter(r->text[r->at]) && end < r->length && is_letter(r->text[end]))
        end++;
    return ehi_json_fail(r, end, ECSHIST_INVALID, "%s", what);
}

int ehi_json_pass_space(struct json_reader *r)
{
    while (r->at < r->length && (r->text[r->at] == ' ' || r->text[r->at] == '\t' ||
                                 r->text[r->at] == '\n' || r->text[r->at] == '\r'))
        r->at++;
    return r->at < r->length ? r->text[r->at] : -1;
}

/* -- strings ----------------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int check_escape(const struct json_reader *r, size_t *at)
{
    size_t i = *at + 1;
    if (i >= r->length)
        return fail_early_end(r);
    if (r->text[i] != 'u' && (r->text[i] == 0 || strchr("\"\\/bfnrt", r->text[i]) == NULL))
        return ehi_json_fail(r, i + 1, ECSHIST_INVALID, "not valid JSON: invalid escape");
    for (size_t digits = r->text[i] == 'u' ? 4 : 0; digits > 0; digits--) {
        i++;
        if (i >= r->length)
            return fail_early_end(r);
        if (hex_digit(r->text[i]) < 0)
            return ehi_json_fail(r, i + 1, ECSHIST_INVALID, "not valid JSON: invalid escape");
    }
    *at = i + 1;
    return ECSHIST_OK;
}

/* To the closing quote, at `*end`. What is between is UTF-8, and escapes of the right form. */
static int check_string(const struct json_reader *r, size_t *end, bool *escapes)
{
    size_t i = r->at + 1;
    *escapes = false;
    for (;;) {
        i += ehi_json_run(r->text + i, r->length - i);
        if (i >= r->length || r->text[i] == '"')
            break;
        uint8_t c = r->text[i];
        if (c == '\\') {
            int rc = check_escape(r, &i);
            if (rc != ECSHIST_OK)
                return rc;
            *escapes = true;
            continue;
        }
        if (c == '\n')
            return ehi_json_fail(r, i, ECSHIST_INVALID, "not valid JSON: unexpected newline");
        if (c < 0x20)
            return ehi_json_fail(r, i, ECSHIST_INVALID, "not valid JSON: control character 0x%x",
                                 c);
        size_t bytes = character_bytes(r, i);
        if (bytes == 0)
            return ehi_json_fail(r, i, ECSHIST_INVALID, "not valid UTF-8");
        i += bytes;
    }
    if (i >= r->length)
        return fail_early_end(r);
    *end = i;
    return ECSHIST_OK;
}

static uint32_t four_digits(const uint8_t *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)hex_digit(digits[i]);
    return value;
}

/* The character of the \uXXXX, or the pair of them, at *at; UINT32_MAX: half a pair. */
static uint32_t escaped_character(const uint8_t *text, size_t *at, size_t end)
{
    uint32_t c = four_digits(text + *at + 2);
    *at += 6;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c > 0xdbff || end - *at < 6 || text[*at] != '\\' || text[*at + 1] != 'u')
        return UINT32_MAX;
    uint32_t low = four_digits(text + *at + 2);
    *at += 6;
    if (low < 0xdc00 || low > 0xdfff)
        return UINT32_MAX;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static uint8_t short_escape(uint8_t c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/* Never longer than what it is written as. */
static int unescape(const struct json_reader *r, size_t end, uint8_t *to, size_t *length)
{
    size_t n = 0;
    for (size_t i = r->at + 1; i < end;) {
        if (r->text[i] != '\\') {
            to[n++] = r->text[i++];
        } else if (r->text[i + 1] != 'u') {
            to[n++] = short_escape(r->text[i + 1]);
            i += 2;
        } else {
            size_t from = i;
            uint32_t c = escaped_character(r->text, &i, end);
            if (c == UINT32_MAX)
                return ehi_json_fail(r, end + 1, ECSHIST_INVALID,
                                     "not valid JSON: invalid Unicode '%.*s'", (int)(i - from),
                                     (const char *)r->text + from);
            if (c == 0)
                return ehi_json_fail(r, end + 1, ECSHIST_INVALID, "a NUL character in a string");
            n += put_character(to + n, c);
        }
    }
    *length = n;
    return ECSHIST_OK;
}

/* With escapes in it, up to the quote at `end`. */
static int copy_unescaped(const struct json_reader *r, size_t end, struct ehi_slice *out)
{
    size_t length = 0;
    uint8_t *copy = ehi_arena_alloc(r->arena, end - r->at);
    if (copy == NULL)
        return ehi_fail_memory(r->error);
    int rc = unescape(r, end, copy, &length);
    if (rc == ECSHIST_OK)
        *out = ehi_slice(copy, length);
    return rc;
}

int ehi_json_read_string(struct json_reader *r, struct ehi_slice *out)
{
    size_t end = 0;
    bool escapes;
    int rc = check_string(r, &end, &escapes);
    if (rc == ECSHIST_OK && escapes)
        rc = copy_unescaped(r, end, out);
    else if (rc == ECSHIST_OK)
        *out = ehi_slice(r->text + r->at + 1, end - r->at - 1);
    if (rc == ECSHIST_OK)
        r->at = end + 1;
    return rc;
}

/* -- numbers ----------------------------------------------------------------------------------- */

static bool is_digit(const struct json_reader *r, size_t at)
{
    return at < r->length && r->text[at] >= '0' && r->text[at] <= '9';
}

/* Digits, at least one of them. */
static bool pass_digits(const struct json_reader *r, size_t *at)
{
    if (!is_digit(r, *at))
        return false;
    while (is_digit(r, *at))
        (*at)++;
    return true;
}

/* The end of the number here; false, with the end of what is wrong, where it is none. */
static bool find_end(const struct json_reader *r, size_t *end, bool *real)
{
    size_t i = r->at;
    *real = false;
    if (r->text[i] == '-')
        i++;
    bool zero = i < r->length && r->text[i] == '0';
    bool valid = pass_digits(r, &i);
    if (valid && zero && i > r->at + 1 + (r->text[r->at] == '-')) {
        *end = r->at + 1 + (r->text[r->at] == '-');
        return false;
    }
    if (valid && i < r->length && r->text[i] == '.') {
        *real = true;
        i++;
        valid = pass_digits(r, &i);
    }
    if (valid && i < r->length && (r->text[i] == 'e' || r->text[i] == 'E')) {
        *real = true;
        i++;
        if (i < r->length && (r->text[i] == '+' || r->text[i] == '-'))
            i++;
        valid = pass_digits(r, &i);
    }
    *end = i;
    return valid;
}

static int fail_large(const struct json_reader *r, size_t end)
{
    return ehi_json_fail(r, end, ECSHIST_INVALID,
                         "a number that is too large: integers have 64 bits, others are doubles");
}

static int read_integer(const struct json_reader *r, size_t end, struct ehi_value *out)
{
    bool negative = r->text[r->at] == '-';
    uint64_t most = (uint64_t)INT64_MAX + negative, value = 0;
    for (size_t i = r->at + negative; i < end; i++) {
        unsigned digit = (unsigned)r->text[i] - '0';
        if (value > (most - digit) / 10)
            return fail_large(r, end);
        value = value * 10 + digit;
    }
    out->kind = EHI_VALUE_INT;
    out->u.integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return ECSHIST_OK;
}

/* strtod follows the host's locale: the point is written as it wants it. */
static int read_real(const struct json_reader *r, size_t end, struct ehi_value *out)
{
    const char *point = localeconv()->decimal_point;
    size_t length = end - r->at, point_bytes = strlen(point), n = 0;
    char few[64];
    char *text = length + point_bytes < sizeof(few) ? few : malloc(length + point_bytes + 1);
    if (text == NULL)
        return ehi_fail_memory(r->error);
    for (size_t i = r->at; i < end; i++) {
        if (r->text[i] == '.') {
            memcpy(text + n, point, point_bytes);
            n += point_bytes;
        } else {
            text[n++] = (char)r->text[i];
        }
    }
    text[n] = '\0';
    out->kind = EHI_VALUE_DOUBLE;
    out->u.real = strtod(text, NULL);
    if (text != few)
        free(text);
    return isfinite(out->u.real) ? ECSHIST_OK : fail_large(r, end);
}

enum { FEW_DIGITS = 18 }; /* below 10^18, so that nothing runs over */

/*
 * What most numbers are: few digits, a point maybe, no exponent. A real is exact where its digits make an integer that a
 * double can hold: then it is one division of two exact numbers, and that is rounded as strtod would. False: nothing was done.
 */
static bool read_short_number(struct json_reader *r, struct ehi_value *out)
{
    static const double tens[FEW_DIGITS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                1e14, 1e15, 1e16, 1e17, 1e18};
    size_t start = r->at + (r->text[r->at] == '-'), point = SIZE_MAX, i = start;
    uint64_t digits = 0;
    for (; i < r->length && i - start <= FEW_DIGITS; i++) {
        uint8_t c = r->text[i];
        if (c == '.' && point == SIZE_MAX)
            point = i;
        else if (c >= '0' && c <= '9')
            digits = digits * 10 + (c - '0');
        else
            break;
    }
    bool real = point != SIZE_MAX;
    size_t whole = (real ? point : i) - start, fraction = real ? i - point - 1 : 0;
    bool begins_with_zero = start < r->length && r->text[start] == '0';
    if (whole == 0 || (real && fraction == 0) || (whole > 1 && begins_with_zero) ||
        i - start > FEW_DIGITS)
        return false;
    if (i < r->length && (r->text[i] == '.' || (r->text[i] | 0x20) == 'e'))
        return false;
    if (real && (FLT_EVAL_METHOD != 0 || digits > UINT64_C(1) << DBL_MANT_DIG))
        return false;
    bool negative = start > r->at;
    out->kind = real ? EHI_VALUE_DOUBLE : EHI_VALUE_INT;
    out->count = 0;
    if (real)
        out->u.real = (negative ? -(double)digits : (double)digits) / tens[fraction];
    else
        out->u.integer = negative ? -(int64_t)digits : (int64_t)digits;
    r->at = i;
    return true;
}

int ehi_json_read_number(struct json_reader *r, struct ehi_value *out)
{
    if (read_short_number(r, out))
        return ECSHIST_OK;
    size_t end;
    bool real;
    if (!find_end(r, &end, &real)) {
        if (end >= r->length)
            return fail_early_end(r);
        return ehi_json_fail(r, end, ECSHIST_INVALID, "not valid JSON: invalid token");
    }
    struct ehi_value value = {.kind = EHI_VALUE_NULL};
    int rc = real ? read_real(r, end, &value) : read_integer(r, end, &value);
    if (rc != ECSHIST_OK)
        return rc;
    *out = value;
    r->at = end;
    return ECSHIST_OK;
}

/* -- words ------------------------------------------------------------------------------------- */

int ehi_json_read_word(struct json_reader *r, struct ehi_value *out)
{
    size_t end = r->at;
    while (end < r->length && is_letter(r->text[end]))
        end++;
    struct ehi_slice word = ehi_slice(r->text + r->at, end - r->at);
    struct ehi_value value = {.kind = EHI_VALUE_NULL};
    if (ehi_slice_is(word, "true") || ehi_slice_is(word, "false")) {
        value.kind = EHI_VALUE_BOOL;
        value.u.boolean = word.length == 4;
    } else if (!ehi_slice_is(word, "null")) {
        return ehi_json_fail_here(r, "not valid JSON: invalid token");
    }
    *out = value;
    r->at = end;
    return ECSHIST_OK;
}
