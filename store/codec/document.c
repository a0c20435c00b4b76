#include "codec/document.h"

#include "codec/cursor.h"
#include "codec/dictionary.h"
#include "codec/pack.h"

#include <ecshist/limits.h>
#include <math.h>

static int too_deep(struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_LIMIT, "arrays and objects nest deeper than %u",
                    ECSHIST_MAX_NESTING);
}

static int pack_real(struct ehi_packer *packer, double real, struct ecshist_error *error)
{
    if (!isfinite(real))
        return ehi_fail(error, ECSHIST_INVALID, "a number must be finite");
    ehi_pack_real(packer, real);
    return ECSHIST_OK;
}

static int pack_items(struct ehi_packer *packer, const struct ehi_value *value,
                      unsigned nesting_left, struct ecshist_error *error)
{
    if (nesting_left == 0)
        return too_deep(error);
    ehi_pack_array(packer, value->count);
    for (uint32_t i = 0; i < value->count; i++) {
        int rc = ehi_pack_value(packer, &value->u.items[i], nesting_left - 1, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int pack_members(struct ehi_packer *packer, const struct ehi_value *value,
                        unsigned nesting_left, struct ecshist_error *error)
{
    if (nesting_left == 0)
        return too_deep(error);
    ehi_pack_map(packer, value->count);
    for (uint32_t i = 0; i < value->count; i++) {
        const struct ehi_member *member = &value->u.members[i];
        ehi_pack_key(packer, member->name);
        int rc = ehi_pack_value(packer, &member->value, nesting_left - 1, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

int ehi_pack_value(struct ehi_packer *packer, const struct ehi_value *value, unsigned nesting_left,
                   struct ecshist_error *error)
{
    switch (value->kind) {
    case EHI_VALUE_NULL:
        ehi_pack_nil(packer);
        return ECSHIST_OK;
    case EHI_VALUE_BOOL:
        ehi_pack_bool(packer, value->u.boolean);
        return ECSHIST_OK;
    case EHI_VALUE_INT:
        ehi_pack_int(packer, value->u.integer);
        return ECSHIST_OK;
    case EHI_VALUE_DOUBLE:
        return pack_real(packer, value->u.real, error);
    case EHI_VALUE_STRING:
        ehi_pack_text(packer, value->u.string);
        return ECSHIST_OK;
    case EHI_VALUE_ARRAY:
        return pack_items(packer, value, nesting_left, error);
    case EHI_VALUE_MAP:
        return pack_members(packer, value, nesting_left, error);
    case EHI_VALUE_TIME:
        break;
    }
    return ehi_fail(error, ECSHIST_INVALID, "a value of this kind is never stored");
}

int ehi_document_encode(const struct ehi_value *value, struct ehi_buffer *out,
                        struct ecshist_error *error)
{
    size_t before = out->length;
    struct ehi_packer packer;
    ehi_packer_begin(&packer, out);
    int rc = ehi_pack_value(&packer, value, ECSHIST_MAX_NESTING, error);
    if (rc == ECSHIST_OK && ehi_packer_end(&packer) != ECSHIST_OK)
        rc = ehi_fail_memory(error);
    if (rc != ECSHIST_OK)
        out->length = before;
    return rc;
}

bool ehi_document_valid(struct ehi_slice document)
{
    struct ehi_cursor cursor = ehi_cursor_of(document, ECSHIST_MAX_NESTING);
    return ehi_cursor_skip(&cursor) && ehi_cursor_done(&cursor);
}

/*
 * From here on the bytes are known to be well-formed, so that the counts are true and what is
 * allocated is in proportion to the bytes. false: out of memory.
 */
static bool build(struct ehi_cursor *c, struct ehi_arena *arena, struct ehi_value *out);

static bool build_items(struct ehi_cursor *c, struct ehi_arena *arena, struct ehi_value *out)
{
    out->u.items = ehi_arena_array(arena, out->count, sizeof(*out->u.items));
    if (out->u.items == NULL)
        return false;
    for (uint32_t i = 0; i < out->count; i++) {
        if (!build(c, arena, &out->u.items[i]))
            return false;
    }
    ehi_cursor_close(c);
    return true;
}

static bool build_members(struct ehi_cursor *c, struct ehi_arena *arena, struct ehi_value *out)
{
    out->u.members = ehi_arena_array(arena, out->count, sizeof(*out->u.members));
    if (out->u.members == NULL)
        return false;
    for (uint32_t i = 0; i < out->count; i++) {
        struct ehi_member *member = &out->u.members[i];
        struct ehi_member_key key;
        if (!ehi_cursor_key(c, &key) || !build(c, arena, &member->value))
            return false;
        member->name = key.name;
    }
    ehi_cursor_close(c);
    return true;
}

static bool build(struct ehi_cursor *c, struct ehi_arena *arena, struct ehi_value *out)
{
    if (!ehi_cursor_read(c, out))
        return false;
    if (out->kind == EHI_VALUE_ARRAY)
        return build_items(c, arena, out);
    if (out->kind == EHI_VALUE_MAP)
        return build_members(c, arena, out);
    return true;
}

int ehi_document_decode(struct ehi_slice document, struct ehi_arena *arena, struct ehi_value *out,
                        struct ecshist_error *error)
{
    if (!ehi_document_valid(document))
        return ehi_fail(error, ECSHIST_DAMAGED, "a stored document is not well-formed MessagePack");
    struct ehi_cursor cursor = ehi_cursor_of(document, ECSHIST_MAX_NESTING);
    struct ehi_value value;
    if (!build(&cursor, arena, &value))
        return ehi_fail_memory(error);
    *out = value;
    return ECSHIST_OK;
}
