/* Documents: values to MessagePack and back. */
#include "codec/document.h"
#include "codec/pack.h"
#include "json/json.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <math.h>
#include <stdlib.h>

#define BYTES(literal) EHI_SLICE_LITERAL(literal)

static struct ehi_arena arena;

static void free_arena(void)
{
    ehi_arena_free(&arena);
}

TestSuite(codec_document, .fini = free_arena);

static struct ehi_value parse(const char *json)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value value;
    cr_assert_eq(ehi_json_parse(json, strlen(json), &arena, &value, &error), ECSHIST_OK, "%s",
                 error.message);
    return value;
}

static struct ehi_slice encode(const struct ehi_value *value)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_document_encode(value, &out, &error), ECSHIST_OK, "%s", error.message);
    struct ehi_slice copy = ehi_arena_copy(&arena, ehi_buffer_slice(&out));
    ehi_buffer_free(&out);
    return copy;
}

static void expect_json(const struct ehi_value *value, const char *json)
{
    struct ehi_json_style style = {0};
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_json_write(value, &style, &out), ECSHIST_OK);
    cr_assert(ehi_slice_is(ehi_buffer_slice(&out), json), "%.*s", EHI_FMT(ehi_buffer_slice(&out)));
    ehi_buffer_free(&out);
}

Test(codec_document, comes_back_as_it_was)
{
    static const char json[] =
        "{\"zeta\": [1, -1, 300, -40000, 9007199254740993, 0.5, -1.25e+300], \"arn\": \"x\", "
        "\"alpha\": {\"logDriver\": null, \"b\": true, \"a\": false, \"\": {}}, "
        "\"resolutionSeconds\": [], \"text\": \"\\u00e4\xe2\x82\xac\"}";
    struct ehi_value value = parse(json), back;
    struct ehi_slice bytes = encode(&value);
    cr_assert(ehi_document_valid(bytes));
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(ehi_document_decode(bytes, &arena, &back, &error), ECSHIST_OK, "%s",
                 error.message);
    cr_assert_eq(back.count, value.count);
    cr_assert(ehi_slice_equal(encode(&back), bytes));
    cr_assert(ehi_slice_is(back.u.members[0].name, "zeta"));
    cr_assert(ehi_slice_is(back.u.members[1].name, "arn"));
    cr_assert(ehi_slice_is(back.u.members[3].name, "resolutionSeconds"));
}

/* One number by each packer: the same bytes. */
static void expect_as_msgpack(int64_t integer)
{
    struct ehi_buffer ours = {0};
    struct ehi_packer packer;
    msgpack_sbuffer theirs;
    msgpack_packer other;
    msgpack_sbuffer_init(&theirs);
    msgpack_packer_init(&other, &theirs, msgpack_sbuffer_write);
    msgpack_pack_int64(&other, integer);
    msgpack_pack_double(&other, (double)integer / 3);
    ehi_packer_begin(&packer, &ours);
    ehi_pack_int(&packer, integer);
    ehi_pack_real(&packer, (double)integer / 3);
    cr_assert_eq(ehi_packer_end(&packer), ECSHIST_OK);
    cr_assert(ehi_slice_equal(ehi_buffer_slice(&ours), ehi_slice(theirs.data, theirs.size)), "%lld",
              (long long)integer);
    msgpack_sbuffer_destroy(&theirs);
    ehi_buffer_free(&ours);
}

Test(codec_document, numbers_as_msgpack_has_them)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        for (int64_t more = -40; more <= 40; more++) {
            uint64_t number = (UINT64_C(1) << bits) + (uint64_t)more;
            expect_as_msgpack((int64_t)number);
            expect_as_msgpack((int64_t)(0 - number));
        }
    }
}

Test(codec_document, known_names_are_numbers_at_each_level)
{
    struct ehi_value value = parse("{\"arn\": {\"resolutionSeconds\": [{\"id\": 1}]}, \"new\": 2}");
    cr_assert(
        ehi_slice_equal(encode(&value), BYTES("\x82\x21\x81\xcc\xbc\x91\x81\x1c\x01\xa3new\x02")));
}

Test(codec_document, a_known_name_as_text_becomes_its_number)
{
    struct ehi_value value;
    cr_assert_eq(ehi_document_decode(BYTES("\x81\xa3"
                                           "arn\xc0"),
                                     &arena, &value, NULL),
                 ECSHIST_OK);
    cr_assert(ehi_slice_equal(encode(&value), BYTES("\x81\x21\xc0")));
}

Test(codec_document, scalars_are_documents_too)
{
    struct ehi_value value;
    cr_assert_eq(ehi_document_decode(BYTES("\xa1x"), &arena, &value, NULL), ECSHIST_OK);
    expect_json(&value, "\"x\"");
}

static struct ehi_value *nest(uint32_t levels)
{
    struct ehi_value *list = ehi_arena_array(&arena, levels, sizeof(*list));
    for (uint32_t i = 0; i < levels; i++) {
        bool last = i + 1 == levels;
        list[i] = (struct ehi_value){.kind = EHI_VALUE_ARRAY, .count = last ? 0u : 1u};
        list[i].u.items = last ? NULL : &list[i + 1];
    }
    return list;
}

Test(codec_document, nesting_is_bounded)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_document_encode(nest(ECSHIST_MAX_NESTING), &out, &error), ECSHIST_OK);
    cr_assert(ehi_document_valid(ehi_buffer_slice(&out)));
    size_t before = out.length;
    int rc = ehi_document_encode(nest(ECSHIST_MAX_NESTING + 1), &out, &error);
    cr_assert_eq(rc, ECSHIST_LIMIT);
    cr_assert_not_null(strstr(error.message, "32"), "%s", error.message);
    cr_assert_eq(out.length, before);
    ehi_buffer_free(&out);
}

Test(codec_document, what_is_never_stored)
{
    struct ehi_buffer out = {0};
    struct ehi_value value = {.kind = EHI_VALUE_TIME};
    cr_assert_eq(ehi_document_encode(&value, &out, NULL), ECSHIST_INVALID);
    value = (struct ehi_value){.kind = EHI_VALUE_DOUBLE, .u.real = (double)INFINITY};
    cr_assert_eq(ehi_document_encode(&value, &out, NULL), ECSHIST_INVALID);
    cr_assert_eq(out.length, 0u);
    ehi_buffer_free(&out);
}

Test(codec_document, damaged)
{
    static const struct ehi_slice rows[] = {
        BYTES(""),          BYTES("\x80\x80"),     BYTES("\x81\x01"),
        BYTES("\xc4\x01x"), BYTES("\x81\x00\x01"), BYTES("\xdd\x7f\xff\xff\xff"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        struct ehi_value value = {.kind = EHI_VALUE_TIME};
        cr_assert_not(ehi_document_valid(rows[i]), "row %zu", i);
        cr_assert_eq(ehi_document_decode(rows[i], &arena, &value, &error), ECSHIST_DAMAGED);
        cr_assert_eq(value.kind, EHI_VALUE_TIME);
    }
}

/*
 * Lists that claim all of the bytes left, within each other: memory stays in proportion to the
 * bytes.
 */
Test(codec_document, hostile_counts_cost_nothing)
{
    enum { BYTES_COUNT = 1 << 20 };
    uint8_t *bytes = calloc(BYTES_COUNT, 1);
    for (size_t i = 0; i + 5 <= 31 * 5; i += 5) {
        bytes[i] = 0xdd;
        uint32_t count = (uint32_t)(BYTES_COUNT - i - 5);
        for (unsigned j = 0; j < 4; j++)
            bytes[i + 1 + j] = (uint8_t)(count >> (24 - 8 * j));
    }
    struct ehi_value value;
    cr_assert_eq(ehi_document_decode(ehi_slice(bytes, BYTES_COUNT), &arena, &value, NULL),
                 ECSHIST_DAMAGED);
    cr_assert_null(arena.chunks);
    free(bytes);
}
