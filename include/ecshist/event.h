/*
 * Events: made from JSON, read back as JSON. An event is immutable once made.
 */
#ifndef ECSHIST_EVENT_H
#define ECSHIST_EVENT_H

#include <ecshist/error.h>
#include <ecshist/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An event, checked and encoded. Opaque; free with ecshist_event_free. */
typedef struct ecshist_event ecshist_event;

/* How timestamps stand in JSON. */
typedef enum ecshist_json_form {
    ECSHIST_JSON_WIRE = 0, /* AWS JSON 1.1: numbers of seconds, all on one line */
    ECSHIST_JSON_CLI = 1   /* as the AWS CLI prints it: ISO 8601, 4 spaces, no newline at the end */
} ecshist_json_form;

/* What an event says of itself. The strings live as long as what they were read from. */
struct ecshist_event_info {
    size_t size;
    uint64_t seq;           /* 0 where the event is not in a store yet */
    int64_t recorded_at_us; /* the store's clock, microseconds since the epoch; 0 likewise */
    int64_t time_us;        /* when it happened */
    const char *type;       /* "task-failed"; static */
    const char *subject_arn;
    const char *id;     /* as given, or derived from the content: 32 hexadecimal digits */
    bool ignored;       /* logged by a lenient append, and passed over by the views */
    const char *reason; /* its member of that name; NULL where it has none */
};

#define ECSHIST_EVENT_INFO_INIT                                                                    \
    {                                                                                              \
        sizeof(struct ecshist_event_info), 0, 0, 0, NULL, NULL, NULL, false, NULL                  \
    }

ECSHIST_BEGIN

/*
 * Makes an event from one JSON object (UTF-8, `length` bytes, no terminator needed; at most
 * ECSHIST_MAX_JSON_BYTES). Members `seq` and `recordedAt` are not part of an event and are dropped.
 * On success *out is yours: ecshist_event_free. On failure it is untouched.
 * Errors: INVALID (error->place names the member or the column), LIMIT (the message names the
 * bound), NO_MEMORY. Thread-safe.
 */
ECSHIST_API int ecshist_event_from_json(const char *json, size_t length, ecshist_event **out,
                                        struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * What the event says of itself. Set info->size (the INIT macro does). Strings live as long as the
 * event. Thread-safe: an event never changes.
 */
ECSHIST_API void ecshist_event_info(const ecshist_event *event, struct ecshist_event_info *info);

/*
 * The event as JSON, envelope first (seq and recordedAt where it has them, id, type, time), then
 * its members as they were given. CLI form here means ISO 8601 times on one line (JSON Lines).
 * *out_json is yours, NUL-terminated: ecshist_free. *out_length (may be NULL) is without the NUL.
 * Errors: NO_MEMORY. Thread-safe.
 */
ECSHIST_API int ecshist_event_to_json(const ecshist_event *event, ecshist_json_form form,
                                      char **out_json, size_t *out_length,
                                      struct ecshist_error *error) ECSHIST_CHECKED;

/* Frees an event; NULL is allowed. */
ECSHIST_API void ecshist_event_free(ecshist_event *event);

/* Frees a text this library gave away; NULL is allowed. Thread-safe. */
ECSHIST_API void ecshist_free(void *text);

/*
 * Reads a time as events have it: RFC 3339 with any offset and up to 9 fractional digits (those
 * past the sixth are dropped), or seconds since the epoch, integer or decimal. Years 1970 to 9999.
 * *out_us: microseconds since the epoch. Errors: INVALID. Thread-safe.
 */
ECSHIST_API int ecshist_time_parse(const char *text, size_t length, int64_t *out_us,
                                   struct ecshist_error *error) ECSHIST_CHECKED;

/* Room for any time as text, with the NUL. */
#define ECSHIST_TIME_TEXT_BYTES 40

/*
 * Writes a time in the given form (WIRE: "1730719556.589"; CLI:
 * "2024-11-04T11:25:56.589000+00:00"), NUL-terminated. Returns `buffer`. Thread-safe.
 */
ECSHIST_API char *ecshist_time_format(int64_t time_us, ecshist_json_form form,
                                      char buffer[ECSHIST_TIME_TEXT_BYTES]);

ECSHIST_END_DECLS

#endif
