/* ARNs as far as showing and filtering them goes. What they may be is the library's to judge. */
#ifndef TOOL_ARN_H
#define TOOL_ARN_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a text that lives elsewhere. */
struct tool_span {
    const char *text;
    size_t length;
};

/* The parts of arn:P:ecs:REGION:ACCOUNT:KIND/CLUSTER[/SERVICE[/ID]]; those it has not are empty. */
struct tool_arn {
    struct tool_span home; /* "arn:P:ecs:REGION:ACCOUNT" */
    struct tool_span kind, cluster, service, id;
};

/* False where the text does not have that form; then *out is untouched. */
bool tool_arn_split(const char *text, struct tool_arn *out);
bool tool_span_equal(struct tool_span span, const char *text);

/* What is behind the last slash: enough where all else is known. The whole text where there is none. */
const char *tool_arn_last(const char *arn);
/* What is behind the first: "CLUSTER/SERVICE/ID". */
const char *tool_arn_path(const char *arn);

#endif
