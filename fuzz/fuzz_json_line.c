/*
 * Any text as a line of JSON. What is taken comes back the same from what we write of it, in both
 * styles, and jansson takes that too. The API's shapes lose no member and change nothing twice.
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
