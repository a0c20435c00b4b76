/*
 * Any bytes as a document. Our cursor and msgpack-c's unpacker agree: what is a document to us is
 * one value to it, with the same content; what is one value to it, and made of no more than
 * documents are, is a document to us. And encoding what was decoded changes nothing twice.
 */
#include "codec/document.h"

#include <ecshist/limits.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LAST_KEY = 188 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

/*
 * -- msgpack-c allocates what a length claims: its input is measured before it sees it -----------
 */

struct measure {
    const uint8_t *next, *end;
};

static bool measure_value(struct measure *m, unsigned nesting);

static bool pass(struct measure *m, uint64_t bytes)
{
    if (bytes > (uint64_t)(m->end - m->next))
        return false;
    m->next += bytes;
    return true;
}

/* A length of so many bytes, and what it says, and `more`. */
static bool pass_counted(struct measure *m, unsigned length_bytes, unsigned more)
{
    const uint8_t *at = m->next;
    if (!pass(m, length_bytes))
        return false;
    uint64_t length = 0;
    for (unsigned i = 0; i < length_bytes; i++)
        length = length << 8 | at[i];
    return pass(m, length + more);
}

static bool measure_values(struct measure *m, uint64_t count, unsigned nesting)
{
    if (nesting == 0 || count > (uint64_t)(m->end - m->next))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!measure_value(m, nesting - 1))
            return false;
    }
    return true;
}

static bool measure_list(struct measure *m, unsigned count_bytes, unsigned each, unsigned nesting)
{
    const uint8_t *at = m->next;
    if (!pass(m, count_bytes))
        return false;
    uint64_t count = 0;
    for (unsigned i = 0; i < count_bytes; i++)
        count = count << 8 | at[i];
    return measure_values(m, count * each, nesting);
}

/* The first byte is c0 to df. */
static bool measure_marked(struct measure *m, uint8_t mark, unsigned nesting)
{
    static const uint8_t scalars[32] = {
        [0x0a] = 4, [0x0b] = 8, [0x0c] = 1, [0x0d] = 2, [0x0e] = 4,
        [0x0f] = 8, [0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8,
        [0x14] = 2, [0x15] = 3, [0x16] = 5, [0x17] = 9, [0x18] = 17,
    };
    if (mark >= 0xc4 && mark <= 0xc6)
        return pass_counted(m, 1u << (mark - 0xc4), 0);
    if (mark >= 0xc7 && mark <= 0xc9)
        return pass_counted(m, 1u << (mark - 0xc7), 1);
    if (mark >= 0xd9 && mark <= 0xdb)
        return pass_counted(m, 1u << (mark - 0xd9), 0);
    if (mark >= 0xdc && mark <= 0xdd)
        return measure_list(m, 2u << (mark - 0xdc), 1, nesting);
    if (mark >= 0xde)
        return measure_list(m, 2u << (mark - 0xde), 2, nesting);
    return mark != 0xc1 && pass(m, scalars[mark - 0xc0]);
}

static bool measure_value(struct measure *m, unsigned nesting)
{
    if (m->next == m->end)
        return false;
    uint8_t mark = *m->next++;
    if (mark < 0x80 || mark >= 0xe0)
        return true;
    if (mark < 0x90)
        return measure_values(m, (mark & 15u) * 2, nesting);
    if (mark < 0xa0)
        return measure_values(m, mark & 15u, nesting);
    if (mark < 0xc0)
        return pass(m, mark & 31u);
    return measure_marked(m, mark, nesting);
}

static bool harmless(const uint8_t *data, size_t size)
{
    struct measure m = {data, data + size};
    return measure_value(&m, ECSHIST_MAX_NESTING) && m.next == m.end;
}

/*
 * -- what msgpack-c read is a document ----------------------------------------------------------
 */

/* By the table of RFC 3629, byte ranges one by one: not the way the cursor does it. */
static bool utf8(const uint8_t *p, size_t n)
{
    static const struct {
        uint8_t first, last, second_low, second_high, bytes;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    size_t i = 0;
    while (i < n) {
        size_t f = 0;
        size_t forms_count = sizeof(forms) / sizeof(forms[0]);
        while (f < forms_count && !(p[i] >= forms[f].first && p[i] <= forms[f].last))
            f++;
        if (f == forms_count || n - i < forms[f].bytes)
            return false;
        for (size_t j = 1; j < forms[f].bytes; j++) {
            uint8_t low = j == 1 ? forms[f].second_low : 0x80;
            uint8_t high = j == 1 ? forms[f].second_high : 0xbf;
            if (p[i + j] < low || p[i + j] > high)
                return false;
        }
        i += forms[f].bytes;
    }
    return true;
}

static bool is_document(const msgpack_object *object);

static bool is_key(const msgpack_object *key)
{
    if (key->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return key->via.u64 >= 1 && key->via.u64 <= LAST_KEY;
    return key->type == MSGPACK_OBJECT_STR && is_document(key);
}

static bool is_list_of_documents(const msgpack_object_array *array)
{
    for (uint32_t i = 0; i < array->size; i++) {
        if (!is_document(&array->ptr[i]))
            return false;
    }
    return true;
}

static bool is_map_of_documents(const msgpack_object_map *map)
{
    for (uint32_t i = 0; i < map->size; i++) {
        if (!is_key(&map->ptr[i].key) || !is_document(&map->ptr[i].val))
            return false;
    }
    return true;
}

static bool is_document(const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
    case MSGPACK_OBJECT_BOOLEAN:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return true;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return object->via.u64 <= INT64_MAX;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return isfinite(object->via.f64);
    case MSGPACK_OBJECT_STR:
        return utf8((const uint8_t *)object->via.str.ptr, object->via.str.size);
    case MSGPACK_OBJECT_ARRAY:
        return is_list_of_documents(&object->via.array);
    case MSGPACK_OBJECT_MAP:
        return is_map_of_documents(&object->via.map);
    case MSGPACK_OBJECT_BIN:
    case MSGPACK_OBJECT_EXT:
        return false;
    }
    return false;
}

/*
 * -- both read the same -------------------------------------------------------------------------
 */

static void check_same(const struct ehi_value *ours, const msgpack_object *theirs);

static void check_integer(const struct ehi_value *ours, const msgpack_object *theirs)
{
    bool positive = theirs->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
    check(positive || theirs->type == MSGPACK_OBJECT_NEGATIVE_INTEGER);
    check(positive == (ours->u.integer >= 0));
    check(ours->u.integer == theirs->via.i64);
}

static void check_text(struct ehi_slice ours, const msgpack_object *theirs)
{
    check(theirs->type == MSGPACK_OBJECT_STR);
    check(ehi_slice_equal(ours, ehi_slice(theirs->via.str.ptr, theirs->via.str.size)));
}

static void check_map(const struct ehi_value *ours, const msgpack_object *theirs)
{
    check(theirs->type == MSGPACK_OBJECT_MAP && theirs->via.map.size == ours->count);
    for (uint32_t i = 0; i < ours->count; i++) {
        const msgpack_object_kv *member = &theirs->via.map.ptr[i];
        if (member->key.type == MSGPACK_OBJECT_STR)
            check_text(ours->u.members[i].name, &member->key);
        check_same(&ours->u.members[i].value, &member->val);
    }
}

static void check_array(const struct ehi_value *ours, const msgpack_object *theirs)
{
    check(theirs->type == MSGPACK_OBJECT_ARRAY && theirs->via.array.size == ours->count);
    for (uint32_t i = 0; i < ours->count; i++)
        check_same(&ours->u.items[i], &theirs->via.array.ptr[i]);
}

static void check_same(const struct ehi_value *ours, const msgpack_object *theirs)
{
    switch (ours->kind) {
    case EHI_VALUE_NULL:
        check(theirs->type == MSGPACK_OBJECT_NIL);
        break;
    case EHI_VALUE_BOOL:
        check(theirs->type == MSGPACK_OBJECT_BOOLEAN && theirs->via.boolean == ours->u.boolean);
        break;
    case EHI_VALUE_INT:
        check_integer(ours, theirs);
        break;
    case EHI_VALUE_DOUBLE:
        check(theirs->type == MSGPACK_OBJECT_FLOAT32 || theirs->type == MSGPACK_OBJECT_FLOAT64);
        check(memcmp(&ours->u.real, &theirs->via.f64, sizeof(double)) == 0);
        break;
    case EHI_VALUE_STRING:
        check_text(ours->u.string, theirs);
        break;
    case EHI_VALUE_ARRAY:
        check_array(ours, theirs);
        break;
    case EHI_VALUE_MAP:
        check_map(ours, theirs);
        break;
    case EHI_VALUE_TIME:
        abort();
    }
}

static struct ehi_slice encode(const struct ehi_value *value, struct ehi_arena *arena)
{
    struct ehi_buffer out = {0};
    check(ehi_document_encode(value, &out, NULL) == ECSHIST_OK);
    struct ehi_slice copy = ehi_arena_copy(arena, ehi_buffer_slice(&out));
    check(copy.data != NULL);
    ehi_buffer_free(&out);
    return copy;
}

static void check_document(struct ehi_slice bytes, const msgpack_object *theirs)
{
    struct ehi_arena arena = {0};
    struct ehi_value value, again;
    check(ehi_document_decode(bytes, &arena, &value, NULL) == ECSHIST_OK);
    check_same(&value, theirs);
    struct ehi_slice once = encode(&value, &arena);
    check(ehi_document_valid(once));
    check(ehi_document_decode(once, &arena, &again, NULL) == ECSHIST_OK);
    check(ehi_slice_equal(once, encode(&again, &arena)));
    ehi_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ehi_slice bytes = ehi_slice(data, size);
    bool valid = ehi_document_valid(bytes);
    if (!harmless(data, size)) {
        check(!valid);
        return 0;
    }
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    int rc = msgpack_unpack_next(&unpacked, (const char *)data, size, &offset);
    check(rc == MSGPACK_UNPACK_SUCCESS && offset == size);
    check(valid == is_document(&unpacked.data));
    if (valid)
        check_document(bytes, &unpacked.data);
    msgpack_unpacked_destroy(&unpacked);
    return 0;
}
