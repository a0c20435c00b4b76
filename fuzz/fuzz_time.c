/*
 * Any text as a time; its first 8 bytes as a time, as a number and as a real of seconds too. What
 * is taken is in range and comes back through both forms.
 */
#include "model/time.h"

#include <ecshist/limits.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Below this a double of seconds is finer than half a microsecond. */
#define EXACT_US (INT64_C(4294967296) * 1000000)

static void check_time(int64_t us)
{
    char text[EHI_TIME_BUFFER];
    int64_t again = -1;
    check(us >= 0 && us <= ECSHIST_MAX_TIME_US);
    size_t length = ehi_time_format_iso(us, text);
    check(length == strlen(text) && length < sizeof(text));
    check(ehi_time_parse(ehi_slice(text, length), &again, NULL) == ECSHIST_OK && again == us);
    again = -1;
    length = ehi_time_format_seconds(us, text);
    check(length == strlen(text) && length < sizeof(text));
    check(ehi_time_parse_any(ehi_slice(text, length), &again, NULL) == ECSHIST_OK && again == us);
    struct ehi_value real = {.kind = EHI_VALUE_DOUBLE, .u.real = strtod(text, NULL)};
    int rc = ehi_time_from_value(&real, &again, NULL);
    check(us >= EXACT_US || (rc == ECSHIST_OK && again == us));
}

static void check_value(const struct ehi_value *value)
{
    int64_t us;
    if (ehi_time_from_value(value, &us, NULL) == ECSHIST_OK)
        check_time(us);
}

static void check_bytes(const uint8_t *data)
{
    struct ehi_value value = {.kind = EHI_VALUE_INT};
    memcpy(&value.u.integer, data, sizeof(value.u.integer));
    check_value(&value);
    char text[EHI_TIME_BUFFER];
    check(ehi_time_format_iso(value.u.integer, text) < sizeof(text));
    check(ehi_time_format_seconds(value.u.integer, text) < sizeof(text));
    check_time((int64_t)((uint64_t)value.u.integer % (ECSHIST_MAX_TIME_US + UINT64_C(1))));
    value.kind = EHI_VALUE_DOUBLE;
    memcpy(&value.u.real, data, sizeof(value.u.real));
    check_value(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ehi_slice text = ehi_slice(data, size);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int64_t us, any;
    int rc = ehi_time_parse(text, &us, &error);
    check(rc == ECSHIST_OK || (rc == error.code && error.message[0] != '\0'));
    if (rc == ECSHIST_OK)
        check_time(us);
    bool taken = ehi_time_parse_any(text, &any, NULL) == ECSHIST_OK;
    check(taken || rc != ECSHIST_OK);
    if (taken)
        check_time(any);
    check(!taken || rc != ECSHIST_OK || any == us);
    if (size >= sizeof(int64_t))
        check_bytes(data);
    return 0;
}
