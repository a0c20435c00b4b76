/* The cursor: each form of a value, what is not well-formed, and every way to be cut short. */
#include "codec/cursor.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <math.h>

#define BYTES(literal) EHI_SLICE_LITERAL(literal)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ehi_value read_one(struct ehi_slice bytes)
{
    struct ehi_cursor cursor = ehi_cursor_of(bytes, ECSHIST_MAX_NESTING);
    struct ehi_value value = {.kind = EHI_VALUE_TIME};
    cr_assert(ehi_cursor_read(&cursor, &value));
    cr_assert(ehi_cursor_done(&cursor));
    return value;
}

static bool whole(struct ehi_slice bytes)
{
    struct ehi_cursor cursor = ehi_cursor_of(bytes, ECSHIST_MAX_NESTING);
    return ehi_cursor_skip(&cursor) && ehi_cursor_done(&cursor);
}

Test(codec_cursor, integers)
{
    static const struct {
        struct ehi_slice bytes;
        int64_t integer;
    } rows[] = {
        {BYTES("\x00"), 0},
        {BYTES("\x7f"), 127},
        {BYTES("\xff"), -1},
        {BYTES("\xe0"), -32},
        {BYTES("\xcc\xff"), 255},
        {BYTES("\xcd\x01\x00"), 256},
        {BYTES("\xce\xff\xff\xff\xff"), UINT32_MAX},
        {BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX},
        {BYTES("\xd0\x80"), -128},
        {BYTES("\xd0\x05"), 5}, /* not the shortest form, and right */
        {BYTES("\xd1\x80\x00"), -32768},
        {BYTES("\xd2\x80\x00\x00\x00"), INT32_MIN},
        {BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN},
        {BYTES("\xd3\xff\xff\xff\xff\xff\xff\xff\xff"), -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ehi_value value = read_one(rows[i].bytes);
        cr_assert_eq(value.kind, EHI_VALUE_INT);
        cr_assert_eq(value.u.integer, rows[i].integer, "row %zu", i);
    }
}

Test(codec_cursor, other_scalars)
{
    cr_assert_eq(read_one(BYTES("\xc0")).kind, EHI_VALUE_NULL);
    cr_assert_not(read_one(BYTES("\xc2")).u.boolean);
    struct ehi_value value = read_one(BYTES("\xc3"));
    cr_assert_eq(value.kind, EHI_VALUE_BOOL);
    cr_assert(value.u.boolean);
    value = read_one(BYTES("\xca\x3f\xc0\x00\x00"));
    cr_assert_eq(value.kind, EHI_VALUE_DOUBLE);
    cr_assert(value.u.real == 1.5);
    value = read_one(BYTES("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00"));
    cr_assert(value.u.real == -1.5);
}

Test(codec_cursor, texts)
{
    cr_assert(ehi_slice_is(read_one(BYTES("\xa0")).u.string, ""));
    cr_assert_not_null(read_one(BYTES("\xa0")).u.string.data);
    cr_assert(ehi_slice_is(read_one(BYTES("\xa3"
                                          "abc"))
                               .u.string,
                           "abc"));
    cr_assert(ehi_slice_is(read_one(BYTES("\xd9\x02"
                                          "ab"))
                               .u.string,
                           "ab"));
    cr_assert(ehi_slice_is(read_one(BYTES("\xda\x00\x01"
                                          "a"))
                               .u.string,
                           "a"));
    cr_assert(ehi_slice_is(read_one(BYTES("\xdb\x00\x00\x00\x01"
                                          "a"))
                               .u.string,
                           "a"));
}

Test(codec_cursor, lists_are_walked)
{
    struct ehi_cursor cursor = ehi_cursor_of(BYTES("\x92\x01\x82\x21\xa1x\xa1y\xc0"), 2);
    struct ehi_value value;
    struct ehi_member_key key;
    cr_assert(ehi_cursor_read(&cursor, &value));
    cr_assert_eq(value.kind, EHI_VALUE_ARRAY);
    cr_assert_eq(value.count, 2u);
    cr_assert(ehi_cursor_read(&cursor, &value));
    cr_assert(ehi_cursor_read(&cursor, &value));
    cr_assert_eq(value.kind, EHI_VALUE_MAP);
    cr_assert_eq(value.count, 2u);
    cr_assert_eq(cursor.nesting_left, 0u);
    cr_assert(ehi_cursor_key(&cursor, &key));
    cr_assert_eq(key.number, 0x21);
    cr_assert(ehi_slice_is(key.name, "arn"));
    cr_assert(ehi_cursor_read(&cursor, &value));
    cr_assert(ehi_cursor_key(&cursor, &key));
    cr_assert_eq(key.number, 0);
    cr_assert(ehi_slice_is(key.name, "y"));
    cr_assert(ehi_cursor_read(&cursor, &value));
    ehi_cursor_close(&cursor);
    ehi_cursor_close(&cursor);
    cr_assert_eq(cursor.nesting_left, 2u);
    cr_assert(ehi_cursor_done(&cursor));
}

Test(codec_cursor, a_known_name_as_text_is_known)
{
    struct ehi_cursor cursor = ehi_cursor_of(BYTES("\xa3"
                                                   "arn"),
                                             1);
    struct ehi_member_key key;
    cr_assert(ehi_cursor_key(&cursor, &key));
    cr_assert_eq(key.number, 33);
}

Test(codec_cursor, take_gives_the_bytes)
{
    struct ehi_cursor cursor = ehi_cursor_of(BYTES("\x92\x01\xa1x\x05"), 1);
    struct ehi_slice taken;
    cr_assert(ehi_cursor_take(&cursor, &taken));
    cr_assert(ehi_slice_equal(taken, BYTES("\x92\x01\xa1x")));
    cr_assert(ehi_cursor_take(&cursor, &taken));
    cr_assert(ehi_slice_equal(taken, BYTES("\x05")));
    cr_assert_not(ehi_cursor_take(&cursor, &taken));
}

static const struct ehi_slice malformed[] = {
    BYTES(""),
    BYTES("\xc1"),                                 /* never used */
    BYTES("\xc4\x00"),                             /* bin */
    BYTES("\xc7\x00\x01"),                         /* ext */
    BYTES("\xd4\x01\x00"),                         /* fixext */
    BYTES("\xd6\xff\x00\x00\x00\x00"),             /* timestamp */
    BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), /* above int64 */
    BYTES("\xca\x7f\x80\x00\x00"),                 /* infinite */
    BYTES("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"),
    BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01"), /* not a number */
    BYTES("\xa1\x00"),                             /* NUL */
    BYTES("\xa8"
          "abcdefg\x00"),
    BYTES("\x91"),                 /* an item short */
    BYTES("\x81\x01"),             /* a value short */
    BYTES("\x81\x00\x01"),         /* number 0 */
    BYTES("\x81\xcc\xbd\x01"),     /* number 189 */
    BYTES("\x81\xff\x01"),         /* number -1 */
    BYTES("\x81\xc0\x01"),         /* nil for a key */
    BYTES("\x81\x90\x01"),         /* an array for a key */
    BYTES("\xdd\xff\xff\xff\xff"), /* counts and lengths beyond the bytes */
    BYTES("\xdf\xff\xff\xff\xff"),
    BYTES("\xdc\x00\x02\x01"),
    BYTES("\xde\x00\x01\x01"),
    BYTES("\xdb\xff\xff\xff\xff"),
    BYTES("\xda\x00\x02\x61"),
};

Test(codec_cursor, malformed_fails_for_good)
{
    for (size_t i = 0; i < COUNT(malformed); i++) {
        struct ehi_cursor cursor = ehi_cursor_of(malformed[i], ECSHIST_MAX_NESTING);
        struct ehi_value value;
        struct ehi_member_key key;
        cr_assert_not(ehi_cursor_skip(&cursor), "row %zu", i);
        cr_assert(cursor.failed);
        cr_assert_not(ehi_cursor_done(&cursor));
        cr_assert_not(ehi_cursor_read(&cursor, &value));
        cr_assert_not(ehi_cursor_key(&cursor, &key));
    }
}

/* In a block of its own, so that a sanitizer sees the first byte read past its end. */
Test(codec_cursor, every_prefix_fails)
{
    static const struct ehi_slice rows[] = {
        BYTES("\x93\xd2\x00\x00\x00\x05\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xd9\x03xyz"),
        BYTES("\xde\x00\x02\xcc\x80\xdc\x00\x01\xa2"
              "ab\xa3new\xdf\x00\x00\x00\x01\x01\xca\x00\x00\x00\x00"),
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert(whole(rows[i]));
        for (size_t length = 0; length < rows[i].length; length++) {
            uint8_t *copy = malloc(length + (length == 0));
            memcpy(copy, rows[i].data, length);
            cr_assert_not(whole(ehi_slice(copy, length)), "row %zu, %zu bytes", i, length);
            free(copy);
        }
    }
}

Test(codec_cursor, nesting_is_bounded)
{
    uint8_t bytes[ECSHIST_MAX_NESTING + 2];
    memset(bytes, 0x91, sizeof(bytes));
    bytes[ECSHIST_MAX_NESTING] = 0xc0;
    cr_assert(whole(ehi_slice(bytes, ECSHIST_MAX_NESTING + 1)));
    bytes[ECSHIST_MAX_NESTING] = 0x90;
    cr_assert_not(whole(ehi_slice(bytes, ECSHIST_MAX_NESTING + 1)));
    /* Side by side is not within each other. */
    uint8_t flat[101] = {0xdc, 0x00, 0x62};
    memset(flat + 3, 0x90, 98);
    cr_assert(whole(ehi_slice(flat, sizeof(flat))));
}

Test(codec_cursor, utf8)
{
    static const struct ehi_slice good[] = {
        BYTES(""),
        BYTES("abcdefgh12345678"),
        BYTES("\x7f\x01"),
        BYTES("\xc2\x80"),
        BYTES("\xdf\xbf"),
        BYTES("\xe0\xa0\x80"),
        BYTES("\xed\x9f\xbf"),
        BYTES("\xee\x80\x80"),
        BYTES("\xef\xbf\xbf"),
        BYTES("\xf0\x90\x80\x80"),
        BYTES("\xf4\x8f\xbf\xbf"),
        BYTES("1234567\xc3\xa4"
              "12345678"),
    };
    static const struct ehi_slice bad[] = {
        BYTES("\x80"),             /* a continuation alone */
        BYTES("\xc0\xaf"),         /* overlong */
        BYTES("\xc1\xbf"),         /* overlong */
        BYTES("\xe0\x9f\xbf"),     /* overlong */
        BYTES("\xf0\x8f\xbf\xbf"), /* overlong */
        BYTES("\xed\xa0\x80"),     /* surrogates */
        BYTES("\xed\xbf\xbf"),
        BYTES("\xf4\x90\x80\x80"), /* above U+10FFFF */
        BYTES("\xf5\x80\x80\x80"),
        BYTES("\xff"),
        BYTES("\xc3"), /* cut short */
        BYTES("\xe2\x82"),
        BYTES("\xf0\x9f\x98"),
        BYTES("\xc3\x41"),
        BYTES("12345678\x80"),
        BYTES("1234\x00"
              "678"),
        BYTES("\x00"),
    };
    for (size_t i = 0; i < COUNT(good); i++)
        cr_assert(ehi_text_valid(good[i]), "good %zu", i);
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert_not(ehi_text_valid(bad[i]), "bad %zu", i);
}

/* The eight-byte step finds each byte that it must not pass, wherever it stands. */
Test(codec_cursor, utf8_in_every_place)
{
    for (size_t at = 0; at < 16; at++) {
        uint8_t text[16];
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(text, 'a', sizeof(text));
            text[at] = (uint8_t)byte;
            bool valid = byte != 0 && byte < 0x80;
            cr_assert_eq(ehi_text_valid(ehi_slice(text, sizeof(text))), valid, "%u at %zu", byte,
                         at);
        }
    }
}
