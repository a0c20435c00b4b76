/*
 * What the JSON parser does 16 bytes at once, or without strtod, against what it says of the same thing in pieces: strings
 * with every byte at every place, numbers of every form, members that look alike.
 */
#include "json/json.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct ehi_arena arena;

static void tear_down(void)
{
    ehi_arena_free(&arena);
}

TestSuite(json_fast, .fini = tear_down);

/* The last bytes before a page that must not be read. */
static char *page_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)two, MAP_FAILED);
    cr_assert_eq(mprotect(two + page, page, PROT_NONE), 0);
    return two + page;
}

static int parse_at(char *end, const char *text, size_t length, struct ehi_value *out,
                    struct ecshist_error *error)
{
    memcpy(end - length, text, length);
    ehi_arena_reset(&arena);
    return ehi_json_parse(end - length, length, &arena, out, error);
}

/* {"n": "aaa?aaa"}, the byte at every place: taken as it is, or refused for what it is. */
Test(json_fast, every_byte_at_every_place_of_a_string)
{
    char *end = page_end();
    for (size_t n = 1; n <= 40; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned byte = 1; byte < 256; byte++) {
                char text[64] = "{\"n\":\"";
                struct ehi_value value;
                struct ecshist_error error = ECSHIST_ERROR_INIT;
                memset(text + 6, 'a', n);
                memcpy(text + 6 + n, "\"}", 2);
                text[6 + at] = (char)byte;
                int rc = parse_at(end, text, n + 8, &value, &error);
                bool taken = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                bool escape = byte == '\\' && rc == ECSHIST_OK; /* no: \a is none */
                cr_assert_eq(rc == ECSHIST_OK, taken, "%zu of %zu: %02x", at, n, byte);
                cr_assert_not(escape);
                if (taken)
                    cr_assert(
                        ehi_slice_equal(value.u.members[0].value.u.string, ehi_slice(text + 6, n)));
                else if (byte < 0x20 && byte != '\n')
                    cr_assert_not_null(strstr(error.message, "control character"));
                else if (byte >= 0x80)
                    cr_assert_str_eq(error.message, "not valid UTF-8");
            }
        }
    }
}

/* Cut off anywhere, and never read on. */
Test(json_fast, cut_off_anywhere)
{
    static const char text[] =
        "{\"a\": [1, 2.5, -3e2, \"0123456789abcdef0123456789\", \"\\u00e4ä€\"],"
        " \"b\": {\"c\": null, \"d\": true}, \"e\": 1704076509.112708}";
    char *end = page_end();
    struct ehi_value value;
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        cr_assert_eq(parse_at(end, text, n, &value, &error), ECSHIST_INVALID, "%zu", n);
    }
    cr_assert_eq(parse_at(end, text, sizeof(text) - 1, &value, NULL), ECSHIST_OK);
}

/* -- numbers ----------------------------------------------------------------------------------- */

static void check_number(char *end, const char *number)
{
    char text[128];
    struct ehi_value value;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int length = snprintf(text, sizeof(text), "{\"n\": %s}", number);
    int rc = parse_at(end, text, (size_t)length, &value, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s: %s", number, error.message);
    const struct ehi_value *got = &value.u.members[0].value;
    if (strpbrk(number, ".eE") == NULL) {
        cr_assert_eq(got->kind, EHI_VALUE_INT);
        cr_assert_eq(got->u.integer, strtoll(number, NULL, 10), "%s", number);
        return;
    }
    double real = strtod(number, NULL);
    cr_assert_eq(got->kind, EHI_VALUE_DOUBLE);
    cr_assert_eq(memcmp(&got->u.real, &real, sizeof(real)), 0, "%s: %a, not %a", number,
                 got->u.real, real);
}

static uint64_t random64(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

Test(json_fast, numbers_are_as_strtod_has_them)
{
    char *end = page_end();
    char digits[40], number[64];
    for (unsigned round = 0; round < 300000; round++) {
        /* Up to 19 digits in front, of 19 bits to 63, and as many behind the point. */
        uint64_t whole = random64() >> (1 + random64() % 63);
        int behind = (int)(random64() % 20);
        snprintf(digits, sizeof(digits), "%019llu", (unsigned long long)(random64() >> 1));
        const char *sign = random64() % 4 == 0 ? "-" : "";
        if (behind == 0)
            snprintf(number, sizeof(number), "%s%llu", sign, (unsigned long long)whole);
        else
            snprintf(number, sizeof(number), "%s%llu.%.*s%s", sign, (unsigned long long)whole,
                     behind, digits, random64() % 16 == 0 ? "e-3" : "");
        check_number(end, number);
    }
}

Test(json_fast, numbers_at_the_borders)
{
    static const char *const numbers[] = {"0",
                                          "-0",
                                          "0.0",
                                          "-0.0",
                                          "-0.5",
                                          "9",
                                          "999999999999999999",
                                          "-999999999999999999",
                                          "9007199254740992.0",
                                          "9007199254740993.0",
                                          "900719925474099.3",
                                          "90071992547409.93",
                                          "9007199254740991.5",
                                          "0.00000000000000001",
                                          "0.000000000000000001",
                                          "1.7976931348623157e308",
                                          "4.9e-324",
                                          "123456789012345678",
                                          "1234567890123456789",
                                          "12345678901234567.8",
                                          "1704076509.112708",
                                          "253402300799.999999",
                                          "0.1",
                                          "0.3",
                                          "1e0",
                                          "1E+2",
                                          "1e-7"};
    char *end = page_end();
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        check_number(end, numbers[i]);
}

Test(json_fast, what_is_no_number)
{
    static const char *const wrong[] = {"-",    "01",    "-01", "1.",   "-.5", ".5",
                                        "1..2", "1.2.3", "1e",  "1.e5", "00",  "0.",
                                        "1.5e", "--1",   "+1",  "1-2",  "0x1"};
    char *end = page_end();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[64];
        struct ehi_value value;
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        int length = snprintf(text, sizeof(text), "{\"n\": %s}", wrong[i]);
        cr_assert_eq(parse_at(end, text, (size_t)length, &value, &error), ECSHIST_INVALID, "%s",
                     wrong[i]);
    }
}

/* -- objects ----------------------------------------------------------------------------------- */

/* Names of one or two characters, many of which look alike to the parser: one that stands twice is found wherever it is. */
Test(json_fast, members_that_stand_twice)
{
    char *end = page_end();
    for (unsigned round = 0; round < 20000; round++) {
        char text[1024] = "{", names[40][3];
        size_t length = 1, count = 1 + random64() % 40;
        bool twice = false;
        for (size_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof(names[i]), "%.*s%c", (int)(random64() % 2), "x",
                     (int)('A' + random64() % (round % 2 == 0 ? 50 : 16)));
            for (size_t j = 0; j < i; j++)
                twice |= strcmp(names[i], names[j]) == 0;
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\"%s\": 1",
                                       i > 0 ? "," : "",
                                       strcmp(names[i], "\\") == 0    ? "\\\\"
                                       : strcmp(names[i], "x\\") == 0 ? "x\\\\"
                                                                      : names[i]);
        }
        text[length++] = '}';
        struct ehi_value value;
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        cr_assert_eq(parse_at(end, text, length, &value, &error) == ECSHIST_OK, !twice, "%.*s",
                     (int)length, text);
    }
}

/* More members and items, and deeper, than there is room for at first. */
Test(json_fast, more_than_fits_at_first)
{
    char *text = malloc(200000);
    struct ehi_value value;
    for (size_t count = 60; count <= 5000; count += 619) {
        size_t n = (size_t)sprintf(text, "{\"a\": [");
        for (size_t i = 0; i < count; i++)
            n += (size_t)sprintf(text + n, "%s{\"m%zu\": [%zu, \"%zu\"]}", i > 0 ? ", " : "", i, i,
                                 i);
        n += (size_t)sprintf(text + n, "]}");
        cr_assert_eq(ehi_json_parse(text, n, &arena, &value, NULL), ECSHIST_OK);
        cr_assert_eq(value.u.members[0].value.count, count);
        for (size_t i = 0; i < count; i++) {
            const struct ehi_value *item = &value.u.members[0].value.u.items[i];
            const struct ehi_value *pair = &item->u.members[0].value;
            cr_assert_eq(pair->u.items[0].u.integer, (int64_t)i);
        }
    }
    free(text);
}
