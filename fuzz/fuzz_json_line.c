/*
 * Any text as a line of JSON. jansson takes and refuses the same texts, and reads the same in them
 * (but passes over a NUL behind a number, which is refused here).
 * What is taken comes back the same from what we write of it, in both styles, and jansson takes that
 * too. The API's shapes lose no member and change nothing twice.
 */
#include "model/shapes.h"
#include "json/json.h"

#include <ecshist/limits.h>
#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool equal(const struct ehi_value *a, const struct ehi_value *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case EHI_VALUE_NULL:
        return true;
    case EHI_VALUE_BOOL:
        return a->u.boolean == b->u.boolean;
    case EHI_VALUE_INT:
    case EHI_VALUE_TIME:
        return a->u.integer == b->u.integer;
    case EHI_VALUE_DOUBLE:
        return memcmp(&a->u.real, &b->u.real, sizeof(a->u.real)) == 0;
    case EHI_VALUE_STRING:
        return ehi_slice_equal(a->u.string, b->u.string);
    case EHI_VALUE_ARRAY:
        for (uint32_t i = 0; i < a->count; i++) {
            if (!equal(&a->u.items[i], &b->u.items[i]))
                return false;
        }
        return true;
    case EHI_VALUE_MAP:
        for (uint32_t i = 0; i < a->count; i++) {
            if (!ehi_slice_equal(a->u.members[i].name, b->u.members[i].name) ||
                !equal(&a->u.members[i].value, &b->u.members[i].value))
                return false;
        }
        return true;
    }
    return false;
}

static bool same_number(const struct ehi_value *a, const json_t *b)
{
    if (a->kind == EHI_VALUE_INT)
        return json_is_integer(b) && json_integer_value(b) == a->u.integer;
    double real = json_real_value(b);
    return json_is_real(b) && memcmp(&a->u.real, &real, sizeof(real)) == 0;
}

static bool same_text(struct ehi_slice a, const char *b, size_t length)
{
    return ehi_slice_equal(a, ehi_slice(b, length));
}

static bool same(const struct ehi_value *a, json_t *b);

static bool same_members(const struct ehi_value *a, json_t *b)
{
    void *at = json_object_iter(b);
    for (uint32_t i = 0; i < a->count; i++, at = json_object_iter_next(b, at)) {
        if (!same_text(a->u.members[i].name, json_object_iter_key(at),
                       json_object_iter_key_len(at)) ||
            !same(&a->u.members[i].value, json_object_iter_value(at)))
            return false;
    }
    return true;
}

/* What jansson made of the text is what we made of it. */
static bool same(const struct ehi_value *a, json_t *b)
{
    switch (a->kind) {
    case EHI_VALUE_NULL:
        return json_is_null(b);
    case EHI_VALUE_BOOL:
        return json_is_boolean(b) && json_is_true(b) == a->u.boolean;
    case EHI_VALUE_STRING:
        return json_is_string(b) &&
               same_text(a->u.string, json_string_value(b), json_string_length(b));
    case EHI_VALUE_ARRAY:
        for (uint32_t i = 0; i < a->count; i++) {
            if (!same(&a->u.items[i], json_array_get(b, i)))
                return false;
        }
        return json_is_array(b) && json_array_size(b) == a->count;
    case EHI_VALUE_MAP:
        return json_is_object(b) && json_object_size(b) == a->count && same_members(a, b);
    default:
        return same_number(a, b);
    }
}

static void check_jansson(const uint8_t *data, size_t size, int rc, const struct ehi_value *value)
{
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (rc == ECSHIST_OK)
        check(json != NULL && same(value, json));
    else if (rc == ECSHIST_INVALID && memchr(data, 0, size) == NULL)
        check(json == NULL || !json_is_object(json));
    json_decref(json);
}

static size_t count_values(const struct ehi_value *value)
{
    size_t count = 1;
    for (uint32_t i = 0; value->kind == EHI_VALUE_ARRAY && i < value->count; i++)
        count += count_values(&value->u.items[i]);
    for (uint32_t i = 0; value->kind == EHI_VALUE_MAP && i < value->count; i++)
        count += count_values(&value->u.members[i].value);
    return count;
}

static struct ehi_slice write_value(const struct ehi_value *value, unsigned indent,
                                    struct ehi_arena *arena)
{
    struct ehi_json_style style = {.iso_times = true, .indent = indent};
    struct ehi_buffer out = {0};
    check(ehi_json_write(value, &style, &out) == ECSHIST_OK);
    struct ehi_slice text = ehi_arena_copy(arena, ehi_buffer_slice(&out));
    check(text.data != NULL);
    ehi_buffer_free(&out);
    return text;
}

static void check_written(const struct ehi_value *value, unsigned indent, struct ehi_arena *arena)
{
    struct ehi_slice text = write_value(value, indent, arena);
    check(indent != 0 || memchr(text.data, '\n', text.length) == NULL);
    json_t *json = json_loadb((const char *)text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
    check(json != NULL);
    json_decref(json);
    if (text.length > ECSHIST_MAX_JSON_BYTES)
        return;
    struct ehi_value again;
    check(ehi_json_parse((const char *)text.data, text.length, arena, &again, NULL) == ECSHIST_OK);
    check(equal(value, &again));
}

static void check_shape(enum ehi_shape shape, struct ehi_slice text, struct ehi_arena *arena)
{
    struct ehi_value value;
    check(ehi_json_parse((const char *)text.data, text.length, arena, &value, NULL) == ECSHIST_OK);
    size_t count = count_values(&value);
    check(ehi_shape_apply(shape, &value, arena) == ECSHIST_OK);
    check(count_values(&value) == count);
    struct ehi_slice once = write_value(&value, 0, arena);
    check(ehi_shape_apply(shape, &value, arena) == ECSHIST_OK);
    check(ehi_slice_equal(write_value(&value, 0, arena), once));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ehi_arena arena = {0};
    struct ehi_value value;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_json_parse((const char *)data, size, &arena, &value, &error);
    check(rc == ECSHIST_OK || (rc == error.code && error.message[0] != '\0'));
    check(rc == ECSHIST_OK || strchr(error.message, '\n') == NULL);
    check_jansson(data, size, rc, &value);
    if (rc == ECSHIST_OK) {
        check(value.kind == EHI_VALUE_MAP);
        check_written(&value, 0, &arena);
        check_written(&value, 4, &arena);
        for (int shape = EHI_SHAPE_SERVICE_DEPLOYMENT; shape <= EHI_SHAPE_DEPLOYMENT_CONFIGURATION;
             shape++)
            check_shape((enum ehi_shape)shape, ehi_slice(data, size), &arena);
    }
    ehi_arena_free(&arena);
    return 0;
}
