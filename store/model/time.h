/* Times: microseconds since the epoch, 0 to ECSHIST_MAX_TIME_US. */
#ifndef EHI_MODEL_TIME_H
#define EHI_MODEL_TIME_H

#include "base/bytes.h"
#include "base/error.h"
#include "model/value.h"

#define EHI_TIME_NONE INT64_MIN /* never set */
#define EHI_TIME_BUFFER 40

/* RFC 3339, any offset, up to 9 fractional digits (those past the sixth dropped). INVALID. */
int ehi_time_parse(struct ehi_slice text, int64_t *out_us, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* The same, or digits with an optional fraction: seconds since the epoch. For options. */
int ehi_time_parse_any(struct ehi_slice text, int64_t *out_us, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* A string as above, an integer or a real of seconds (to the nearest microsecond). INVALID. */
int ehi_time_from_value(const struct ehi_value *value, int64_t *out_us, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* "2024-11-04T11:25:56.589000+00:00"; without the fraction where it is 0 (Python's isoformat, so
 * the AWS CLI). */
size_t ehi_time_format_iso(int64_t time_us, char buffer[EHI_TIME_BUFFER]);
/* "1730719556.589": at least one fractional digit, no trailing zeros beyond it. */
size_t ehi_time_format_seconds(int64_t time_us, char buffer[EHI_TIME_BUFFER]);

#endif
