#include "common/arn.h"

#include <string.h>

bool tool_span_equal(struct tool_span span, const char *text)
{
    return strlen(text) == span.length && memcmp(span.text, text, span.length) == 0;
}

/* The text up to `end` or the terminator; *rest is what is behind it, NULL where there is no `end`. */
static struct tool_span take(const char *text, char end, const char **rest)
{
    const char *found = text != NULL ? strchr(text, end) : NULL;
    size_t length = found != NULL ? (size_t)(found - text) : text != NULL ? strlen(text) : 0;

    *rest = found != NULL ? found + 1 : NULL;
    return (struct tool_span){text, length};
}

bool tool_arn_split(const char *text, struct tool_arn *out)
{
    const char *rest = text;
    struct tool_arn arn;

    if (strncmp(text, "arn:", 4) != 0) {
        return false;
    }
    for (int colon = 0; colon < 5 && rest != NULL; colon++) {
        take(rest, ':', &rest);
    }
    if (rest == NULL) {
        return false;
    }
    arn.home = (struct tool_span){text, (size_t)(rest - 1 - text)};
    arn.kind = take(rest, '/', &rest);
    arn.cluster = take(rest, '/', &rest);
    arn.service = take(rest, '/', &rest);
    arn.id = take(rest, '/', &rest);
    if (arn.cluster.length == 0) {
        return false;
    }
    *out = arn;
    return true;
}

const char *tool_arn_last(const char *arn)
{
    const char *slash = strrchr(arn, '/');

    return slash != NULL ? slash + 1 : arn;
}

const char *tool_arn_path(const char *arn)
{
    const char *slash = strchr(arn, '/');

    return slash != NULL ? slash + 1 : arn;
}
