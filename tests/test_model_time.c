#include "model/time.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S INT64_C(1000000)

struct row {
    const char *text;
    int64_t us;
};

static const struct row good[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2024-11-04T11:25:56.589Z", INT64_C(1730719556589000)},
    {"2024-11-04T11:25:56.589000+00:00", INT64_C(1730719556589000)},
    {"2024-11-04t12:25:56.589z", INT64_C(1730723156589000)},
    {"2024-11-04 12:25:56.589+01:00", INT64_C(1730719556589000)},
    {"2024-11-04T05:55:56.589-05:30", INT64_C(1730719556589000)},
    {"2024-11-04T11:25:56.589-00:00", INT64_C(1730719556589000)},
    {"2000-02-29T00:00:00Z", INT64_C(951782400) * S},
    {"2024-02-29T23:59:59.999999Z", INT64_C(1709251199999999)},
    {"2100-03-01T00:00:00Z", INT64_C(4107542400) * S},
    {"9999-12-31T23:59:59.999999Z", ECSHIST_MAX_TIME_US},
    {"1970-01-01T00:00:00.1Z", 100000},
    {"1970-01-01T00:00:00.000001Z", 1},
    {"1970-01-01T00:00:00.0000019Z", 1}, /* dropped, not rounded */
    {"1970-01-01T00:00:00.123456789Z", 123456},
    {"9999-12-31T23:59:59.999999999Z", ECSHIST_MAX_TIME_US},
    {"2016-12-31T23:59:60Z", INT64_C(1483228800) * S}, /* the leap second is the next one */
    {"2016-12-31T23:59:60.5Z", INT64_C(1483228800) * S + 500000},
    {"1970-01-01T23:59:00+23:59", 0},
    {"9999-12-31T00:00:59.999999-23:59", ECSHIST_MAX_TIME_US},
};

Test(model_time, rfc3339)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        int64_t us = -1, any = -1;
        int rc = ehi_time_parse(ehi_slice_text(good[i].text), &us, &error);
        cr_assert_eq(rc, ECSHIST_OK, "%s: %s", good[i].text, error.message);
        cr_assert_eq(us, good[i].us, "%s: %lld", good[i].text, (long long)us);
        cr_assert_eq(ehi_time_parse_any(ehi_slice_text(good[i].text), &any, NULL), ECSHIST_OK);
        cr_assert_eq(any, us);
    }
}

static const struct {
    const char *text, *message;
} bad[] = {
    {"", "RFC 3339"},
    {"now", "RFC 3339"},
    {"2024-11-04", "RFC 3339"},
    {"2024-11-04T11:25Z", "RFC 3339"},
    {"24-11-04T11:25:56Z", "RFC 3339"},
    {"2024-1-04T11:25:56Z", "RFC 3339"},
    {"2024/11/04T11:25:56Z", "RFC 3339"},
    {"2024-11-04_11:25:56Z", "RFC 3339"},
    {" 2024-11-04T11:25:56Z", "RFC 3339"},
    {"-2024-11-04T11:25:56Z", "RFC 3339"},
    {"20241104T112556Z", "RFC 3339"},
    {"99999-01-01T00:00:00Z", "the year must be 1970 to 9999"},
    {"10000-01-01T00:00:00Z", "the year must be 1970 to 9999"},
    {"1969-12-31T23:59:59.999999Z", "the year must be 1970 to 9999"},
    {"0000-01-01T00:00:00Z", "the year must be 1970 to 9999"},
    {"1970-01-01T00:00:00+00:01", "1970 to 9999"},
    {"1970-01-01T00:00:00.999999+00:01", "1970 to 9999"},
    {"9999-12-31T23:59:59-00:01", "1970 to 9999"},
    {"9999-12-31T23:59:60Z", "1970 to 9999"},
    {"2024-00-04T11:25:56Z", "month"},
    {"2024-13-04T11:25:56Z", "month"},
    {"2024-11-00T11:25:56Z", "no such day"},
    {"2024-11-31T11:25:56Z", "no such day"},
    {"2023-02-29T11:25:56Z", "no such day"},
    {"2100-02-29T11:25:56Z", "no such day"},
    {"2024-11-04T24:00:00Z", "time of day"},
    {"2024-11-04T11:60:00Z", "time of day"},
    {"2024-11-04T11:25:61Z", "time of day"},
    {"2024-11-04T11:25:56.Z", "1 to 9 digits"},
    {"2024-11-04T11:25:56.1234567890Z", "1 to 9 digits"},
    {"2024-11-04T11:25:56,5Z", "Z or an offset"},
    {"2024-11-04T11:25:56", "Z or an offset"},
    {"2024-11-04T11:25:56+1:00", "Z or an offset"},
    {"2024-11-04T11:25:56+0100", "Z or an offset"},
    {"2024-11-04T11:25:56+01", "Z or an offset"},
    {"2024-11-04T11:25:56+24:00", "Z or an offset"},
    {"2024-11-04T11:25:56+01:60", "Z or an offset"},
    {"2024-11-04T11:25:56Z ", "behind the offset"},
    {"2024-11-04T11:25:56ZZ", "behind the offset"},
    {"2024-11-04T11:25:56+01:00:00", "behind the offset"},
};

Test(model_time, refused)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        int64_t us = -7;
        int rc = ehi_time_parse(ehi_slice_text(bad[i].text), &us, &error);
        cr_assert_eq(rc, ECSHIST_INVALID, "\"%s\" was taken", bad[i].text);
        cr_assert(strstr(error.message, bad[i].message) != NULL, "\"%s\": %s", bad[i].text,
                  error.message);
        cr_assert_eq(us, -7, "the output was touched");
        rc = ehi_time_parse_any(ehi_slice_text(bad[i].text), &us, NULL);
        cr_assert_eq(rc, ECSHIST_INVALID, "\"%s\" was taken", bad[i].text);
    }
    int64_t us;
    cr_assert_eq(ehi_time_parse(EHI_SLICE_EMPTY, &us, NULL), ECSHIST_INVALID);
    cr_assert_eq(ehi_time_parse_any(EHI_SLICE_EMPTY, &us, NULL), ECSHIST_INVALID);
}

/* Any cut of a good text is refused, and read within its length. */
Test(model_time, cut_short)
{
    static const char text[] = "2024-11-04T11:25:56.5+01:00";
    for (size_t length = 0; length < sizeof(text) - 1; length++) {
        int64_t us;
        int rc = ehi_time_parse(ehi_slice(text, length), &us, NULL);
        cr_assert_eq(rc, ECSHIST_INVALID, "%zu bytes were taken", length);
    }
}

Test(model_time, seconds_as_text)
{
    static const struct row table[] = {
        {"0", 0},
        {"0.0", 0},
        {"007", 7 * S},
        {"1730719556.589", INT64_C(1730719556589000)},
        {"1.000001", S + 1},
        {"1.0000014", S + 1}, /* to the nearest */
        {"1.0000015", S + 2},
        {"1.999999500", 2 * S},
        {"253402300799.999999", ECSHIST_MAX_TIME_US},
        {"253402300799.999999499", ECSHIST_MAX_TIME_US},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t us = -1;
        cr_assert_eq(ehi_time_parse_any(ehi_slice_text(table[i].text), &us, NULL), ECSHIST_OK, "%s",
                     table[i].text);
        cr_assert_eq(us, table[i].us, "%s: %lld", table[i].text, (long long)us);
    }
    static const char *const refused[] = {"1.",
                                          ".5",
                                          ".",
                                          "1.2.3",
                                          "-1",
                                          "+1",
                                          "1e3",
                                          " 1",
                                          "1 ",
                                          "0x1",
                                          "1.0000000000",
                                          "253402300800",
                                          "253402300799.9999995",
                                          "99999999999999999999999"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        int64_t us;
        cr_assert_eq(ehi_time_parse_any(ehi_slice_text(refused[i]), &us, NULL), ECSHIST_INVALID,
                     "\"%s\" was taken", refused[i]);
    }
    int64_t us;
    cr_assert_eq(ehi_time_parse(ehi_slice_text("1730719556"), &us, NULL), ECSHIST_INVALID);
}

static int from_real(double seconds, int64_t *us)
{
    struct ehi_value value = {.kind = EHI_VALUE_DOUBLE, .u.real = seconds};
    return ehi_time_from_value(&value, us, NULL);
}

static int from_integer(int64_t seconds, int64_t *us)
{
    struct ehi_value value = {.kind = EHI_VALUE_INT, .u.integer = seconds};
    return ehi_time_from_value(&value, us, NULL);
}

Test(model_time, real_seconds)
{
    static const struct {
        double seconds;
        int64_t us;
    } table[] = {
        {0.0, 0},
        {-0.0, 0},
        {5e-7, 1},
        {4.999e-7, 0},
        {0.1, 100000},
        {1730719556.589, INT64_C(1730719556589000)},
        {1730719556.5890001, INT64_C(1730719556589000)},
        {1.9999996, 2 * S},
        {253402300799.5, INT64_C(253402300799) * S + 500000},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t us = -1;
        cr_assert_eq(from_real(table[i].seconds, &us), ECSHIST_OK, "%.17g", table[i].seconds);
        cr_assert_eq(us, table[i].us, "%.17g: %lld", table[i].seconds, (long long)us);
    }
    const double refused[] = {-1e-9, -1, 253402300800.0, 1e300, DBL_MAX, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < COUNT(refused); i++) {
        int64_t us = -7;
        cr_assert_eq(from_real(refused[i], &us), ECSHIST_INVALID, "%g was taken", refused[i]);
        cr_assert_eq(us, -7);
    }
}

/* What a person writes as decimal microseconds comes back, whatever double it became. */
Test(model_time, real_seconds_are_exact_to_the_microsecond)
{
    for (int64_t i = 0; i < 100000; i++) {
        int64_t wanted = (i * INT64_C(7919317)) % (INT64_C(4000000000) * S);
        wanted = wanted * 1009 % (INT64_C(4000000000) * S);
        char text[EHI_TIME_BUFFER];
        ehi_time_format_seconds(wanted, text);
        int64_t us = -1;
        cr_assert_eq(from_real(strtod(text, NULL), &us), ECSHIST_OK);
        cr_assert_eq(us, wanted, "%s became %lld", text, (long long)us);
    }
}

Test(model_time, other_values)
{
    int64_t us = -7;
    cr_assert_eq(from_integer(1730719556, &us), ECSHIST_OK);
    cr_assert_eq(us, 1730719556 * S);
    cr_assert_eq(from_integer(253402300799, &us), ECSHIST_OK);
    cr_assert_eq(from_integer(253402300800, &us), ECSHIST_INVALID);
    cr_assert_eq(from_integer(-1, &us), ECSHIST_INVALID);
    cr_assert_eq(from_integer(INT64_MIN, &us), ECSHIST_INVALID);
    cr_assert_eq(from_integer(INT64_MAX, &us), ECSHIST_INVALID);
    struct ehi_value value = {.kind = EHI_VALUE_STRING,
                              .u.string = ehi_slice_text("1970-01-01T00:00:01Z")};
    cr_assert_eq(ehi_time_from_value(&value, &us, NULL), ECSHIST_OK);
    cr_assert_eq(us, S);
    value.u.string = ehi_slice_text("1730719556");
    cr_assert_eq(ehi_time_from_value(&value, &us, NULL), ECSHIST_INVALID);
    static const enum ehi_value_kind kinds[] = {EHI_VALUE_NULL, EHI_VALUE_BOOL, EHI_VALUE_ARRAY,
                                                EHI_VALUE_MAP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct ehi_value other = {.kind = kinds[i]};
        cr_assert_eq(ehi_time_from_value(&other, &us, NULL), ECSHIST_INVALID);
    }
}

Test(model_time, format)
{
    static const struct {
        int64_t us;
        const char *iso, *seconds;
    } table[] = {
        {0, "1970-01-01T00:00:00+00:00", "0.0"},
        {1, "1970-01-01T00:00:00.000001+00:00", "0.000001"},
        {INT64_C(1730719556589000), "2024-11-04T11:25:56.589000+00:00", "1730719556.589"},
        {INT64_C(1730719556000000), "2024-11-04T11:25:56+00:00", "1730719556.0"},
        {INT64_C(951782400) * S, "2000-02-29T00:00:00+00:00", "951782400.0"},
        {INT64_C(1735689599) * S, "2024-12-31T23:59:59+00:00", "1735689599.0"},
        {10 * S + 100000, "1970-01-01T00:00:10.100000+00:00", "10.1"},
        {ECSHIST_MAX_TIME_US, "9999-12-31T23:59:59.999999+00:00", "253402300799.999999"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[EHI_TIME_BUFFER];
        cr_assert_eq(ehi_time_format_iso(table[i].us, text), strlen(table[i].iso));
        cr_assert_str_eq(text, table[i].iso);
        cr_assert_eq(ehi_time_format_seconds(table[i].us, text), strlen(table[i].seconds));
        cr_assert_str_eq(text, table[i].seconds);
    }
}

/* A bug of the caller's stays within the buffer. */
Test(model_time, format_out_of_range)
{
    static const int64_t times[] = {INT64_MIN, -1, ECSHIST_MAX_TIME_US + 1, INT64_MAX};
    for (size_t i = 0; i < COUNT(times); i++) {
        char text[EHI_TIME_BUFFER];
        cr_assert_lt(ehi_time_format_iso(times[i], text), sizeof(text));
        cr_assert_lt(ehi_time_format_seconds(times[i], text), sizeof(text));
    }
}

/* Each day of the range, against the C library. */
Test(model_time, every_day)
{
    for (time_t day = 0; day <= 253402300799; day += 86400) {
        time_t seconds = day + (day / 86400 * 7919) % 86400;
        struct tm tm;
        cr_assert_not_null(gmtime_r(&seconds, &tm));
        char wanted[64], text[EHI_TIME_BUFFER];
        strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S+00:00", &tm);
        size_t length = ehi_time_format_iso((int64_t)seconds * S, text);
        if (strcmp(text, wanted) != 0)
            cr_assert_fail("%s is not %s", text, wanted);
        int64_t us;
        if (ehi_time_parse(ehi_slice(text, length), &us, NULL) != ECSHIST_OK || us != seconds * S)
            cr_assert_fail("%s does not come back", text);
    }
}
