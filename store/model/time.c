/*
 * TIME     = YEAR "-" MONTH "-" DAY ("T" | " ") HOUR ":" MINUTE ":" SECOND ["." 1*9DIGIT] OFFSET
 * OFFSET   = "Z" | ("+" | "-") HOUR ":" MINUTE
 * SECONDS  = 1*DIGIT ["." 1*9DIGIT]
 */
#include "model/time.h"

#include <ecshist/limits.h>

enum { MICROS = 1000000, SECONDS_A_DAY = 86400, FRACTION_DIGITS = 9, MICRO_DIGITS = 6 };
#define MAX_SECONDS (ECSHIST_MAX_TIME_US / MICROS)

struct cursor {
    const uint8_t *next, *end;
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool skip(struct cursor *c, char wanted)
{
    if (c->next == c->end || *c->next != (uint8_t)wanted)
        return false;
    c->next++;
    return true;
}

/* Exactly so many digits. */
static bool take_number(struct cursor *c, int digits, int *out)
{
    if (c->end - c->next < digits)
        return false;
    int number = 0;
    for (int i = 0; i < digits; i++) {
        if (!is_digit(c->next[i]))
            return false;
        number = number * 10 + (c->next[i] - '0');
    }
    c->next += digits;
    *out = number;
    return true;
}

/* The digits behind a point, if there is one, as billionths. */
static bool take_fraction(struct cursor *c, int *out_billionths)
{
    *out_billionths = 0;
    if (!skip(c, '.'))
        return true;
    int digits = 0;
    int value = 0;
    for (; c->next < c->end && is_digit(*c->next); c->next++, digits++) {
        if (digits == FRACTION_DIGITS)
            return false;
        value = value * 10 + (*c->next - '0');
    }
    if (digits == 0)
        return false;
    for (; digits < FRACTION_DIGITS; digits++)
        value *= 10;
    *out_billionths = value;
    return true;
}

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year) ? 1 : 0);
}

/*
 * Days since 1970-01-01. The year is counted from March, so that the leap day is its last, and
 * (153 m + 2) / 5 is the number of days before month m of it.
 */
static int64_t days_of_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3;
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + (day - 1) - 719468;
}

/* The same backwards. Days since 0000-03-01; an era is 400 years. */
static void date_of_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t doe = z % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t m = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

#define NOT_RFC3339 "not a time of RFC 3339, such as 2024-11-04T11:25:56.589Z"
#define BAD_YEAR "the year must be 1970 to 9999"

/* From here on NULL is success, a text is what is wrong. */

static const char *parse_date(struct cursor *c, int64_t *out_days)
{
    const uint8_t *digits = c->next;
    while (digits < c->end && is_digit(*digits))
        digits++;
    if (digits - c->next > 4 && digits < c->end && *digits == '-')
        return BAD_YEAR;
    int year, month, day;
    if (!take_number(c, 4, &year) || !skip(c, '-') || !take_number(c, 2, &month) || !skip(c, '-') ||
        !take_number(c, 2, &day))
        return NOT_RFC3339;
    if (year < 1970)
        return BAD_YEAR;
    if (month < 1 || month > 12)
        return "the month must be 01 to 12";
    if (day < 1 || day > days_of_month(year, month))
        return "the month has no such day";
    *out_days = days_of_date(year, month, day);
    return NULL;
}

/* Second 60 is a leap second: taken as the next one, as clocks that know none do. */
static const char *parse_clock(struct cursor *c, int64_t *out_us)
{
    int hour, minute, second, billionths;
    if (!take_number(c, 2, &hour) || !skip(c, ':') || !take_number(c, 2, &minute) ||
        !skip(c, ':') || !take_number(c, 2, &second))
        return NOT_RFC3339;
    if (hour > 23 || minute > 59 || second > 60)
        return "there is no such time of day";
    if (!take_fraction(c, &billionths))
        return "a fraction of a second has 1 to 9 digits";
    *out_us = (int64_t)(hour * 3600 + minute * 60 + second) * MICROS + billionths / 1000;
    return NULL;
}

static const char *parse_offset(struct cursor *c, int64_t *out_seconds)
{
    *out_seconds = 0;
    if (skip(c, 'Z') || skip(c, 'z'))
        return NULL;
    bool west = c->next < c->end && *c->next == '-';
    int hours, minutes;
    if (!skip(c, '+') && !skip(c, '-'))
        return "it must end in Z or an offset such as +01:00";
    if (!take_number(c, 2, &hours) || !skip(c, ':') || !take_number(c, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return "it must end in Z or an offset such as +01:00";
    *out_seconds = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return NULL;
}

static const char *parse_rfc3339(struct ehi_slice text, int64_t *out_us)
{
    struct cursor c = {text.data, text.length == 0 ? text.data : text.data + text.length};
    int64_t days, clock_us, offset;
    const char *wrong = parse_date(&c, &days);
    if (wrong != NULL)
        return wrong;
    if (!skip(&c, 'T') && !skip(&c, 't') && !skip(&c, ' '))
        return NOT_RFC3339;
    wrong = parse_clock(&c, &clock_us);
    if (wrong == NULL)
        wrong = parse_offset(&c, &offset);
    if (wrong != NULL)
        return wrong;
    if (c.next != c.end)
        return "something stands behind the offset";
    int64_t us = (days * SECONDS_A_DAY - offset) * MICROS + clock_us;
    if (us < 0 || us > ECSHIST_MAX_TIME_US)
        return "the year, in UTC, must be 1970 to 9999";
    *out_us = us;
    return NULL;
}

#define BAD_SECONDS "seconds since the epoch must be 0 to 253402300799 (the year 9999)"

static const char *join_seconds(int64_t seconds, int64_t us, int64_t *out_us)
{
    int64_t sum = seconds * MICROS + us;
    if (sum > ECSHIST_MAX_TIME_US)
        return BAD_SECONDS;
    *out_us = sum;
    return NULL;
}

static const char *parse_seconds(struct ehi_slice text, int64_t *out_us)
{
    struct cursor c = {text.data, text.data + text.length};
    int64_t seconds = 0;
    for (; c.next < c.end && is_digit(*c.next); c.next++) {
        seconds = seconds * 10 + (*c.next - '0');
        if (seconds > MAX_SECONDS)
            return BAD_SECONDS;
    }
    int billionths;
    if (!take_fraction(&c, &billionths))
        return "a fraction of a second has 1 to 9 digits";
    return join_seconds(seconds, (billionths + 500) / 1000, out_us);
}

static bool looks_like_seconds(struct ehi_slice text)
{
    int points = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '.')
            points++;
        else if (!is_digit(text.data[i]))
            return false;
    }
    return text.length > 0 && points <= 1 && is_digit(text.data[0]);
}

/*
 * The whole part is taken off first: what is left is exact, and so small that a microsecond of it
 * is far above a double's precision.
 */
static const char *real_seconds(double seconds, int64_t *out_us)
{
    if (!(seconds >= 0 && seconds < (double)(MAX_SECONDS + 1)))
        return BAD_SECONDS;
    int64_t whole = (int64_t)seconds;
    double us = (seconds - (double)whole) * MICROS;
    int64_t floor_us = (int64_t)us;
    return join_seconds(whole, us - (double)floor_us >= 0.5 ? floor_us + 1 : floor_us, out_us);
}

static const char *integer_seconds(int64_t seconds, int64_t *out_us)
{
    if (seconds < 0 || seconds > MAX_SECONDS)
        return BAD_SECONDS;
    return join_seconds(seconds, 0, out_us);
}

static int answer(const char *wrong, struct ecshist_error *error)
{
    return wrong == NULL ? ECSHIST_OK : ehi_fail(error, ECSHIST_INVALID, "%s", wrong);
}

int ehi_time_parse(struct ehi_slice text, int64_t *out_us, struct ecshist_error *error)
{
    return answer(parse_rfc3339(text, out_us), error);
}

int ehi_time_parse_any(struct ehi_slice text, int64_t *out_us, struct ecshist_error *error)
{
    if (looks_like_seconds(text))
        return answer(parse_seconds(text, out_us), error);
    return answer(parse_rfc3339(text, out_us), error);
}

int ehi_time_from_value(const struct ehi_value *value, int64_t *out_us, struct ecshist_error *error)
{
    switch (value->kind) {
    case EHI_VALUE_STRING:
        return answer(parse_rfc3339(value->u.string, out_us), error);
    case EHI_VALUE_INT:
        return answer(integer_seconds(value->u.integer, out_us), error);
    case EHI_VALUE_DOUBLE:
        return answer(real_seconds(value->u.real, out_us), error);
    default:
        return ehi_fail(error, ECSHIST_INVALID, "a time must be a string or a number of seconds");
    }
}

/* Two digits with one division, of 32 bits: what is written here has at most ten, and seconds of a year beyond 2105. */
static char *put_digits(char *at, int64_t number, int digits)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    int i = digits;
    for (; number > UINT32_MAX; number /= 10)
        at[--i] = (char)('0' + number % 10);
    uint32_t rest = (uint32_t)number;
    for (; i >= 2; rest /= 100)
        memcpy(at + (i -= 2), pairs + 2 * (size_t)(rest % 100), 2);
    if (i == 1)
        at[0] = (char)('0' + rest % 10);
    return at + digits;
}

/* A time out of range is a bug of the caller's; it must not become a write past the buffer. */
static int64_t bounded(int64_t time_us)
{
    if (time_us < 0)
        return 0;
    return time_us > ECSHIST_MAX_TIME_US ? ECSHIST_MAX_TIME_US : time_us;
}

size_t ehi_time_format_iso(int64_t time_us, char buffer[EHI_TIME_BUFFER])
{
    static const char separators[] = "--T::";
    int64_t us = bounded(time_us) % MICROS;
    int64_t seconds = bounded(time_us) / MICROS;
    int64_t of_day = seconds % SECONDS_A_DAY;
    int year, month, day;
    date_of_days(seconds / SECONDS_A_DAY, &year, &month, &day);
    const int64_t parts[] = {year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60};
    char *at = buffer;
    for (int i = 0; i < 6; i++) {
        at = put_digits(at, parts[i], i == 0 ? 4 : 2);
        if (i < 5)
            *at++ = separators[i];
    }
    if (us != 0) {
        *at++ = '.';
        at = put_digits(at, us, MICRO_DIGITS);
    }
    memcpy(at, "+00:00", sizeof("+00:00"));
    return (size_t)(at - buffer) + strlen("+00:00");
}

size_t ehi_time_format_seconds(int64_t time_us, char buffer[EHI_TIME_BUFFER])
{
    int64_t seconds = bounded(time_us) / MICROS;
    int digits = 1;
    /* Ten digits are what all times of 2001 to 2286 have. */
    if (seconds >= 1000000000 && seconds < 10000000000)
        digits = 10;
    else {
        for (int64_t rest = seconds / 10; rest != 0; rest /= 10)
            digits++;
    }
    char *at = put_digits(buffer, seconds, digits);
    *at++ = '.';
    char *least = at + 1;
    at = put_digits(at, bounded(time_us) % MICROS, MICRO_DIGITS);
    while (at > least && at[-1] == '0')
        at--;
    *at = '\0';
    return (size_t)(at - buffer);
}
