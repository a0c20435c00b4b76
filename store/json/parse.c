/*
 * Text, then jansson's tree, then our values. What jansson must never see (a text too large, too
 * deep, or no object at all) is found by a scan before it.
 */
#include "json/json.h"

#include <ecshist/limits.h>
#include <jansson.h>

struct text {
    const char *data;
    size_t length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Whether the quote at `at` is part of a string: an odd number of backslashes stands before it. */
static bool is_escaped(const struct text *text, size_t at)
{
    size_t start = at;
    while (start > 0 && text->data[start - 1] == '\\')
        start--;
    return (at - start) % 2 != 0;
}

/* The index of the quote that ends the string whose opening quote stands at `at`, or the length. */
static size_t end_of_string(const struct text *text, size_t at)
{
    for (;;) {
        at++;
        const char *quote = memchr(text->data + at, '"', text->length - at);
        if (quote == NULL)
            return text->length;
        at = (size_t)(quote - text->data);
        if (!is_escaped(text, at))
            return at;
    }
}

static int check_nesting(const struct text *text, struct ecshist_error *error)
{
    unsigned depth = 0;
    for (size_t i = 0; i < text->length; i++) {
        char c = text->data[i];
        if (c == '"') {
            i = end_of_string(text, i);
        } else if (c == '{' || c == '[') {
            depth++;
            if (depth > ECSHIST_MAX_NESTING) {
                ehi_fail(error, ECSHIST_LIMIT, "nesting deeper than %u", ECSHIST_MAX_NESTING);
                return ehi_at(error, ECSHIST_LIMIT, "column %zu", i + 1);
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return ECSHIST_OK;
}

static int check_text(const struct text *text, struct ecshist_error *error)
{
    if (text->length > ECSHIST_MAX_JSON_BYTES)
        return ehi_fail(error, ECSHIST_LIMIT, "a JSON text longer than %u bytes",
                        ECSHIST_MAX_JSON_BYTES);
    size_t i = 0;
    while (i < text->length && is_blank(text->data[i]))
        i++;
    if (i == text->length)
        return ehi_fail(error, ECSHIST_INVALID, "empty line");
    if (text->data[i] != '{') {
        ehi_fail(error, ECSHIST_INVALID, "not a JSON object");
        return ehi_at(error, ECSHIST_INVALID, "column %zu", i + 1);
    }
    return check_nesting(text, error);
}

enum { SHOWN_NAME_BYTES = 100 };

/*
 * jansson names no duplicate, but stands right behind its closing quote. Going back, a quote within
 * the name has a backslash before it, the opening one has none.
 */
static struct text name_before(const struct text *text, size_t end)
{
    if (end < 2 || end > text->length || text->data[end - 1] != '"')
        return (struct text){"", 0};
    size_t start = end - 1;
    while (start > 0 &&
           !(text->data[start - 1] == '"' && (start == 1 || text->data[start - 2] != '\\')))
        start--;
    struct text name = {text->data + start, end - 1 - start};
    if (name.length > SHOWN_NAME_BYTES) {
        name.length = SHOWN_NAME_BYTES;
        while (name.length > 0 && ((uint8_t)name.data[name.length] & 0xc0) == 0x80)
            name.length--;
    }
    return name;
}

/* jansson's own words for a fault of syntax, without the piece of the text it puts behind them. */
static int fail_syntax(const json_error_t *fault, struct ecshist_error *error)
{
    const char *end = strstr(fault->text, " near ");
    size_t length = end != NULL ? (size_t)(end - fault->text) : strlen(fault->text);
    return ehi_fail(error, ECSHIST_INVALID, "not valid JSON: %.*s", (int)length, fault->text);
}

static int fail_by_code(const struct text *text, const json_error_t *fault,
                        struct ecshist_error *error)
{
    switch (json_error_code(fault)) {
    case json_error_out_of_memory:
        return ehi_fail_memory(error);
    case json_error_stack_overflow:
        return ehi_fail(error, ECSHIST_LIMIT, "nesting too deep");
    case json_error_invalid_utf8:
        return ehi_fail(error, ECSHIST_INVALID, "not valid UTF-8");
    case json_error_premature_end_of_input:
        return ehi_fail(error, ECSHIST_INVALID, "not valid JSON: the text ends too early");
    case json_error_end_of_input_expected:
        return ehi_fail(error, ECSHIST_INVALID, "something stands behind the JSON object");
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return ehi_fail(error, ECSHIST_INVALID, "a NUL character in a string");
    case json_error_numeric_overflow:
        return ehi_fail(error, ECSHIST_INVALID,
                        "a number that is too large: integers have 64 bits, others are doubles");
    case json_error_duplicate_key: {
        struct text name = name_before(text, (size_t)fault->position);
        return ehi_fail(error, ECSHIST_INVALID, "member \"%.*s\" stands twice", (int)name.length,
                        name.data);
    }
    default:
        return fail_syntax(fault, error);
    }
}

static int fail_parse(const struct text *text, const json_error_t *fault,
                      struct ecshist_error *error)
{
    int rc = fail_by_code(text, fault, error);
    if (rc == ECSHIST_NO_MEMORY)
        return rc;
    if (fault->line > 1)
        return ehi_at(error, rc, "line %d, column %d", fault->line, fault->column);
    return ehi_at(error, rc, "column %d", fault->column);
}

/* From here on false is out of memory. Depth is bounded by check_nesting. */

static bool convert(const json_t *json, struct ehi_arena *arena, struct ehi_value *out);

static bool convert_text(const char *data, size_t length, struct ehi_arena *arena,
                         struct ehi_slice *out)
{
    *out = ehi_arena_copy(arena, ehi_slice(data, length));
    return out->data != NULL;
}

static bool convert_array(const json_t *json, struct ehi_arena *arena, struct ehi_value *out)
{
    size_t count = json_array_size(json);
    out->count = (uint32_t)count;
    out->u.items = ehi_arena_array(arena, count, sizeof(*out->u.items));
    if (out->u.items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!convert(json_array_get(json, i), arena, &out->u.items[i]))
            return false;
    }
    return true;
}

static bool convert_object(json_t *json, struct ehi_arena *arena, struct ehi_value *out)
{
    size_t count = json_object_size(json);
    out->count = (uint32_t)count;
    out->u.members = ehi_arena_array(arena, count, sizeof(*out->u.members));
    if (out->u.members == NULL)
        return false;
    struct ehi_member *member = out->u.members;
    for (void *i = json_object_iter(json); i != NULL; i = json_object_iter_next(json, i)) {
        if (!convert_text(json_object_iter_key(i), json_object_iter_key_len(i), arena,
                          &member->name) ||
            !convert(json_object_iter_value(i), arena, &member->value))
            return false;
        member++;
    }
    return true;
}

static bool convert(const json_t *json, struct ehi_arena *arena, struct ehi_value *out)
{
    *out = (struct ehi_value){.kind = EHI_VALUE_NULL};
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        out->kind = EHI_VALUE_MAP;
        return convert_object((json_t *)json, arena, out);
    case JSON_ARRAY:
        out->kind = EHI_VALUE_ARRAY;
        return convert_array(json, arena, out);
    case JSON_STRING:
        out->kind = EHI_VALUE_STRING;
        return convert_text(json_string_value(json), json_string_length(json), arena,
                            &out->u.string);
    case JSON_INTEGER:
        out->kind = EHI_VALUE_INT;
        out->u.integer = json_integer_value(json);
        return true;
    case JSON_REAL:
        out->kind = EHI_VALUE_DOUBLE;
        out->u.real = json_real_value(json);
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        out->kind = EHI_VALUE_BOOL;
        out->u.boolean = json_is_true(json);
        return true;
    default:
        return true;
    }
}

int ehi_json_parse(const char *text, size_t length, struct ehi_arena *arena, struct ehi_value *out,
                   struct ecshist_error *error)
{
    struct text whole = {text, length};
    int rc = check_text(&whole, error);
    if (rc != ECSHIST_OK)
        return rc;
    json_error_t fault;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &fault);
    if (json == NULL)
        return fail_parse(&whole, &fault, error);
    struct ehi_value value;
    bool converted = convert(json, arena, &value);
    json_decref(json);
    if (!converted)
        return ehi_fail_memory(error);
    *out = value;
    return ECSHIST_OK;
}
