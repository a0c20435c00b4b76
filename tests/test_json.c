#include "json/json.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ehi_arena arena;

static void tear_down(void)
{
    ehi_arena_free(&arena);
}

TestSuite(json, .fini = tear_down);

static struct ehi_value parsed(const char *text)
{
    struct ehi_value value;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_json_parse(text, strlen(text), &arena, &value, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s: %s (%s)", text, error.message, error.place);
    return value;
}

static const char *written(const struct ehi_value *value, unsigned indent, unsigned level, bool iso)
{
    struct ehi_json_style style = {.iso_times = iso, .indent = indent, .level = level};
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_json_write(value, &style, &out), ECSHIST_OK);
    struct ehi_slice kept = ehi_arena_copy(&arena, ehi_buffer_slice(&out));
    ehi_buffer_free(&out);
    return (const char *)kept.data;
}

static const char *rewritten(const char *text, unsigned indent)
{
    struct ehi_value value = parsed(text);
    return written(&value, indent, 0, false);
}

Test(json, kinds)
{
    struct ehi_value v =
        parsed("  {\"n\": null, \"t\": true, \"f\": false, \"i\": -9223372036854775808,"
               " \"d\": 1.0, \"s\": \"\\u00e4\\n\", \"a\": [1, []], \"m\": {}}\r\n");
    cr_assert_eq(v.kind, EHI_VALUE_MAP);
    cr_assert_eq(v.count, 8);
    static const char names[] = "ntfidsam";
    for (uint32_t i = 0; i < v.count; i++)
        cr_assert_eq(v.u.members[i].name.data[0], names[i], "members keep their order");
    cr_assert_eq(ehi_value_member(&v, "n")->kind, EHI_VALUE_NULL);
    cr_assert(ehi_value_member(&v, "t")->u.boolean);
    cr_assert_not(ehi_value_member(&v, "f")->u.boolean);
    cr_assert_eq(ehi_value_member(&v, "i")->u.integer, INT64_MIN);
    cr_assert_eq(ehi_value_member(&v, "d")->kind, EHI_VALUE_DOUBLE);
    struct ehi_slice s = ehi_value_member(&v, "s")->u.string;
    cr_assert(ehi_slice_is(s, "\xc3\xa4\n"));
    const struct ehi_value *a = ehi_value_member(&v, "a");
    cr_assert_eq(a->count, 2);
    cr_assert_eq(a->u.items[1].kind, EHI_VALUE_ARRAY);
    cr_assert_eq(a->u.items[1].count, 0);
}

static const struct {
    const char *text;
    int code;
    const char *place, *message; /* a part of it */
} bad[] = {
    {"", ECSHIST_INVALID, "", "empty line"},
    {" \t\r\n", ECSHIST_INVALID, "", "empty line"},
    {"[]", ECSHIST_INVALID, "column 1", "not a JSON object"},
    {"  7", ECSHIST_INVALID, "column 3", "not a JSON object"},
    {"\"{}\"", ECSHIST_INVALID, "column 1", "not a JSON object"},
    {"\xef\xbb\xbf{}", ECSHIST_INVALID, "column 1", "not a JSON object"},
    {"{", ECSHIST_INVALID, "column 1", "ends too early"},
    {"{\"a\": \"b", ECSHIST_INVALID, "column 8", "ends too early"},
    {"{\"a\": 1} {}", ECSHIST_INVALID, "column 10", "behind the JSON object"},
    {"{}x", ECSHIST_INVALID, "column 3", "behind the JSON object"},
    {"{\"a\": 1,}", ECSHIST_INVALID, "column 9", "not valid JSON"},
    {"{\"a\" 1}", ECSHIST_INVALID, "column 6", "not valid JSON: ':' expected"},
    {"{a: 1}", ECSHIST_INVALID, "column 2", "not valid JSON"},
    {"{'a': 1}", ECSHIST_INVALID, "column 2", "not valid JSON"},
    {"{\"a\": 01}", ECSHIST_INVALID, "column 7", "not valid JSON"},
    {"{\"a\": +1}", ECSHIST_INVALID, "column 7", "not valid JSON"},
    {"{\"a\": .5}", ECSHIST_INVALID, "column 7", "not valid JSON"},
    {"{\"a\": NaN}", ECSHIST_INVALID, "column 9", "not valid JSON"},
    {"{\"a\": Infinity}", ECSHIST_INVALID, "column 14", "not valid JSON"},
    {"{\"a\": \"\n\"}", ECSHIST_INVALID, "column 7", "not valid JSON"},
    {"{\"a\": \"\t\"}", ECSHIST_INVALID, "column 7", "control character 0x9"},
    {"{\"a\": \"\\x\"}", ECSHIST_INVALID, "column 9", "invalid escape"},
    {"{\"a\": \"\\ud800\"}", ECSHIST_INVALID, "column 14", "not valid JSON"},
    {"{\"a\": \"\\udc00\"}", ECSHIST_INVALID, "column 14", "not valid JSON"},
    {"{\"a\": \"\xff\"}", ECSHIST_INVALID, "column 7", "not valid UTF-8"},
    {"{\"a\": \"\xc3\"}", ECSHIST_INVALID, "column 7", "not valid UTF-8"},
    {"{\"a\": \"\xed\xa0\x80\"}", ECSHIST_INVALID, "column 7", "not valid UTF-8"},
    {"{\"a\": \"\xc0\x80\"}", ECSHIST_INVALID, "column 7", "not valid UTF-8"},
    {"{\xff: 1}", ECSHIST_INVALID, "column 1", "not valid UTF-8"},
    {"{\"a\": \"\\u0000\"}", ECSHIST_INVALID, "column 14", "a NUL character in a string"},
    {"{\"\\u0000\": 1}", ECSHIST_INVALID, "column 9", "a NUL character in a string"},
    {"{\"a\": 9223372036854775808}", ECSHIST_INVALID, "column 25", "a number that is too large"},
    {"{\"a\": -9223372036854775809}", ECSHIST_INVALID, "column 26", "a number that is too large"},
    {"{\"a\": 1e400}", ECSHIST_INVALID, "column 11", "a number that is too large"},
    {"{\"a\": 1, \"a\": 2}", ECSHIST_INVALID, "column 12", "member \"a\" stands twice"},
    {"{\"x\": {\"b\\\"c\": 1, \"b\\\"c\": 1}}", ECSHIST_INVALID, "column 24",
     "member \"b\\\"c\" stands twice"},
    {"{\"a\\\\\": 1, \"\\u0061\\\\\": 2}", ECSHIST_INVALID, "column 21",
     "member \"\\u0061\\\\\" stands twice"},
    {"{\"\": 1, \"\": 2}", ECSHIST_INVALID, "column 10", "member \"\" stands twice"},
    {"{\n  \"a\": ?\n}", ECSHIST_INVALID, "line 2, column 8", "not valid JSON"},
};

Test(json, refused)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        struct ehi_value value = {.kind = EHI_VALUE_TIME};
        int rc = ehi_json_parse(bad[i].text, strlen(bad[i].text), &arena, &value, &error);
        cr_assert_eq(rc, bad[i].code, "%s: code %d", bad[i].text, rc);
        cr_assert_str_eq(error.place, bad[i].place, "%s: %s: %s", bad[i].text, error.place,
                         error.message);
        cr_assert(strstr(error.message, bad[i].message) != NULL, "%s: %s", bad[i].text,
                  error.message);
        cr_assert(strchr(error.message, '\n') == NULL);
        cr_assert_eq(value.kind, EHI_VALUE_TIME, "the output was touched");
        cr_assert_eq(ehi_json_parse(bad[i].text, strlen(bad[i].text), &arena, &value, NULL), rc);
    }
}

Test(json, raw_nul)
{
    struct ehi_value value;
    static const char within[] = "{\"a\": \"\0\"}";
    cr_assert_eq(ehi_json_parse(within, sizeof(within) - 1, &arena, &value, NULL), ECSHIST_INVALID);
    static const char behind[] = "{}\0";
    cr_assert_eq(ehi_json_parse(behind, sizeof(behind) - 1, &arena, &value, NULL), ECSHIST_INVALID);
    cr_assert_eq(ehi_json_parse(behind, 2, &arena, &value, NULL), ECSHIST_OK);
}

Test(json, long_name_twice)
{
    char name[300], text[1000];
    for (size_t i = 0; i < sizeof(name); i++) /* of two bytes each, not cut in the middle */
        name[i] = i % 2 == 0 ? '\xc3' : '\xa4';
    snprintf(text, sizeof(text), "{\"x%.*s\": 1, \"x%.*s\": 2}", 300, name, 300, name);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value value;
    cr_assert_eq(ehi_json_parse(text, strlen(text), &arena, &value, &error), ECSHIST_INVALID);
    char wanted[200];
    snprintf(wanted, sizeof(wanted), "member \"x%.98s\" stands twice", name);
    cr_assert_str_eq(error.message, wanted);
}

/* `depth` objects and arrays by turns, an object outermost. */
static size_t nested(char *text, unsigned depth)
{
    size_t n = 0;
    for (unsigned i = 0; i < depth; i++) {
        memcpy(text + n, i % 2 == 0 ? "{\"a\":" : "[", i % 2 == 0 ? 5 : 1);
        n += i % 2 == 0 ? 5 : 1;
    }
    text[n++] = '1';
    for (unsigned i = depth; i > 0; i--)
        text[n++] = (i - 1) % 2 == 0 ? '}' : ']';
    return n;
}

Test(json, nesting)
{
    char text[1000];
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value value;
    size_t length = nested(text, ECSHIST_MAX_NESTING);
    cr_assert_eq(ehi_json_parse(text, length, &arena, &value, &error), ECSHIST_OK, "%s",
                 error.message);
    length = nested(text, ECSHIST_MAX_NESTING + 1);
    cr_assert_eq(ehi_json_parse(text, length, &arena, &value, &error), ECSHIST_LIMIT);
    cr_assert_str_eq(error.message, "nesting deeper than 32");
    cr_assert_str_eq(error.place, "column 97");
}

/* Brackets in strings nest nothing; quotes that are escaped end none. */
Test(json, brackets_in_strings)
{
    parsed("{\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\": 1}");
    parsed("{\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\": 1}");
    parsed("{\"\\\\\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\": \"\\\\\"}");
    struct ehi_value value;
    static const char text[] = "{\"a\\\\\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
    cr_assert_eq(ehi_json_parse(text, sizeof(text) - 1, &arena, &value, NULL), ECSHIST_LIMIT);
}

/* A megabyte of brackets is refused before anything recurses. */
Test(json, hostile_depth)
{
    size_t length = 1 << 20;
    char *text = malloc(length);
    cr_assert_not_null(text);
    memset(text, '[', length);
    memcpy(text, "{\"a\":", 5);
    struct ehi_value value;
    cr_assert_eq(ehi_json_parse(text, length, &arena, &value, NULL), ECSHIST_LIMIT);
    free(text);
}

Test(json, size)
{
    size_t most = ECSHIST_MAX_JSON_BYTES;
    char *text = malloc(most + 1);
    cr_assert_not_null(text);
    memset(text, ' ', most + 1);
    text[0] = '{';
    text[most - 1] = '}';
    struct ehi_value value;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(ehi_json_parse(text, most, &arena, &value, &error), ECSHIST_OK, "%s",
                 error.message);
    cr_assert_eq(ehi_json_parse(text, most + 1, &arena, &value, &error), ECSHIST_LIMIT);
    cr_assert(strstr(error.message, "8388608") != NULL, "%s", error.message);
    free(text);
}

Test(json, indented)
{
    cr_assert_str_eq(rewritten("{\"a\":1,\"b\":[],\"c\":{},\"d\":[1,{\"e\":null}],\"f\":[[]]}", 4),
                     "{\n    \"a\": 1,\n    \"b\": [],\n    \"c\": {},\n    \"d\": [\n        1,\n"
                     "        {\n            \"e\": null\n        }\n    ],\n    \"f\": [\n"
                     "        []\n    ]\n}");
    cr_assert_str_eq(rewritten("{}", 4), "{}");
    struct ehi_value value = parsed("{\"a\": [true]}");
    cr_assert_str_eq(written(&value, 2, 1, false), "{\n    \"a\": [\n      true\n    ]\n  }");
}

Test(json, on_one_line)
{
    cr_assert_str_eq(rewritten("{\"a\":1,\"b\":[ ],\"c\":{ },\n\"d\":[1,{\"e\":false}]}", 0),
                     "{\"a\": 1, \"b\": [], \"c\": {}, \"d\": [1, {\"e\": false}]}");
}

Test(json, strings)
{
    /* As json.dumps(ensure_ascii=False) of Python 3.11 has them. */
    cr_assert_str_eq(rewritten("{\"\\u0001\\u001f\\u007f\": \"\\b\\f\\n\\r\\t\\\"\\\\\\/\"}", 0),
                     "{\"\\u0001\\u001f\x7f\": \"\\b\\f\\n\\r\\t\\\"\\\\/\"}");
    cr_assert_str_eq(rewritten("{\"\": \"\\u00e4\\u20ac\\ud83d\\ude00\\u2028\"}", 0),
                     "{\"\": \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\xa8\"}");
}

Test(json, every_control_character)
{
    for (uint8_t c = 1; c < 0x20; c++) {
        struct ehi_value value = {.kind = EHI_VALUE_STRING, .u.string = {&c, 1}};
        char text[40];
        snprintf(text, sizeof(text), "{\"a\": %s}", written(&value, 0, 0, false));
        struct ehi_value back = parsed(text);
        cr_assert(ehi_slice_equal(back.u.members[0].value.u.string, value.u.string), "%d", c);
    }
}

Test(json, integers)
{
    static const char *const texts[] = {"{\"a\": 0}",   "{\"a\": -1}",
                                        "{\"a\": 10}",  "{\"a\": 9223372036854775807}",
                                        "{\"a\": 100}", "{\"a\": -9223372036854775808}"};
    for (size_t i = 0; i < COUNT(texts); i++)
        cr_assert_str_eq(rewritten(texts[i], 0), texts[i]);
    cr_assert_str_eq(rewritten("{\"a\": -0}", 0), "{\"a\": 0}");
}

static const struct {
    double number;
    const char *text;
} reals[] = {
    {0.0, "0.0"},
    {-0.0, "-0.0"},
    {1.0, "1.0"},
    {100.0, "100.0"},
    {-2.5, "-2.5"},
    {0.1, "0.1"},
    {33.3, "33.3"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {1e15, "1e+15"},
    {123456789012345.0, "123456789012345.0"},
    {9007199254740993.0, "9007199254740992.0"},
    {1e22, "1e+22"},
    {1e-7, "1e-07"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {DBL_MIN, "2.2250738585072014e-308"},
    {5e-324, "4.94065645841247e-324"},
};

Test(json, reals)
{
    for (size_t i = 0; i < COUNT(reals); i++) {
        struct ehi_value value = {.kind = EHI_VALUE_DOUBLE, .u.real = reals[i].number};
        cr_assert_str_eq(written(&value, 0, 0, false), reals[i].text);
        char text[60];
        snprintf(text, sizeof(text), "{\"a\": %s}", reals[i].text);
        struct ehi_value back = parsed(text);
        cr_assert_eq(back.u.members[0].value.kind, EHI_VALUE_DOUBLE, "%s", text);
        cr_assert_eq(memcmp(&back.u.members[0].value.u.real, &reals[i].number, sizeof(double)), 0,
                     "%s", text);
    }
    const double none[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < COUNT(none); i++) {
        struct ehi_value value = {.kind = EHI_VALUE_DOUBLE, .u.real = none[i]};
        cr_assert_str_eq(written(&value, 0, 0, false), "null");
    }
}

/* A locale of our own, since none with a decimal comma need be installed. */
static bool set_comma_locale(void)
{
    static const char source[] = "escape_char /\nLC_NUMERIC\ndecimal_point \"<U002C>\"\n"
                                 "thousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n";
    char directory[] = "/tmp/test_json.XXXXXX", path[64], command[256];
    if (mkdtemp(directory) == NULL)
        return false;
    snprintf(path, sizeof(path), "%s/source", directory);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(source, file) == EOF || fclose(file) != 0)
        return false;
    snprintf(command, sizeof(command), "localedef -c -i %s %s/xx_XX 2>/dev/null", path, directory);
    bool made = system(command) >= 0 && setenv("LOCPATH", directory, 1) == 0 &&
                setlocale(LC_NUMERIC, "xx_XX") != NULL;
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command) == 0 && made;
}

/* A host program may have set such a one. */
Test(json, reals_where_the_decimal_point_is_a_comma)
{
    if (!set_comma_locale())
        cr_skip_test("localedef is not there");
    char text[10];
    snprintf(text, sizeof(text), "%.1f", 0.5);
    cr_assert_str_eq(text, "0,5", "the locale is not set");
    cr_assert_str_eq(rewritten("{\"a\": 0.5, \"b\": -1.25e-20, \"c\": 2.0}", 0),
                     "{\"a\": 0.5, \"b\": -1.25e-20, \"c\": 2.0}");
}

Test(json, times)
{
    struct ehi_value value = {.kind = EHI_VALUE_TIME, .u.integer = INT64_C(1730719556589000)};
    cr_assert_str_eq(written(&value, 0, 0, true), "\"2024-11-04T11:25:56.589000+00:00\"");
    cr_assert_str_eq(written(&value, 4, 0, false), "1730719556.589");
}

/* Appends: what stood in the buffer stays. */
Test(json, appends)
{
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_buffer_append(&out, "x", 1), ECSHIST_OK);
    struct ehi_json_style style = {0};
    struct ehi_value value = {.kind = EHI_VALUE_NULL};
    cr_assert_eq(ehi_json_write(&value, &style, &out), ECSHIST_OK);
    cr_assert(ehi_slice_is(ehi_buffer_slice(&out), "xnull"));
    ehi_buffer_free(&out);
}
