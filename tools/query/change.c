#include "query/change.h"

#include "common/arn.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Phrases one after the other; what does not fit is left out, and "..." says so. */
struct phrases {
    char *buffer;
    size_t size, used;
};

static void ECSHIST_PRINTF(2, 3) say(struct phrases *phrases, const char *format, ...)
{
    const char *separator = phrases->used > 0 ? "; " : "";
    char text[1200];
    int length;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (phrases->used >= phrases->size) {
        return;
    }
    length = snprintf(phrases->buffer + phrases->used, phrases->size - phrases->used, "%s%s",
                      separator, text);
    phrases->used += (size_t)length;
    if (phrases->used >= phrases->size) {
        memcpy(phrases->buffer + phrases->size - 4, "...", 4);
    }
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* "status A -> B", or "status B" where there was none. */
static void say_word(struct phrases *phrases, const char *what, const char *before,
                     const char *after)
{
    if (after == NULL || same(before, after)) {
        return;
    }
    if (before == NULL) {
        say(phrases, "%s %s", what, after);
    } else {
        say(phrases, "%s %s -> %s", what, before, after);
    }
}

static void say_revision(struct phrases *phrases, const char *role,
                         const struct ecshist_revision_summary *before,
                         const struct ecshist_revision_summary *after)
{
    const char *id = tool_arn_last(after->arn);

    if (before == NULL) {
        say(phrases, "%s %s", role, id);
        return;
    }
    if (before->requested_task_count != after->requested_task_count ||
        before->running_task_count != after->running_task_count ||
        before->pending_task_count != after->pending_task_count) {
        say(phrases, "%s %s: %" PRId64 " requested, %" PRId64 " running, %" PRId64 " pending", role,
            id, after->requested_task_count, after->running_task_count, after->pending_task_count);
    }
    if (after->has_production_weight &&
        before->requested_production_traffic_weight != after->requested_production_traffic_weight) {
        say(phrases, "%s %s: %.15g %% of production traffic", role, id,
            after->requested_production_traffic_weight);
    }
    if (after->has_test_weight &&
        before->requested_test_traffic_weight != after->requested_test_traffic_weight) {
        say(phrases, "%s %s: %.15g %% of test traffic", role, id,
            after->requested_test_traffic_weight);
    }
}

static void say_revisions(struct phrases *phrases, const struct ecshist_deployment_view *before,
                          const struct ecshist_deployment_view *after)
{
    if (after->target.arn != NULL) {
        say_revision(phrases, "target", before != NULL ? &before->target : NULL, &after->target);
    }
    for (size_t i = 0; i < after->source_count; i++) {
        bool was_there = before != NULL && i < before->source_count;

        say_revision(phrases, "source", was_there ? &before->sources[i] : NULL, &after->sources[i]);
    }
}

/* The count of failures, of how many, and what the breaker makes of it. */
static void say_breaker(struct phrases *phrases, const struct ecshist_deployment_view *before,
                        const struct ecshist_deployment_view *after)
{
    int64_t failures = before != NULL ? before->failure_count : 0;
    int64_t threshold = before != NULL ? before->threshold : 0;

    if (failures != after->failure_count && after->threshold > 0) {
        say(phrases, "failed tasks %" PRId64 " of %" PRId64, after->failure_count,
            after->threshold);
    } else if (failures != after->failure_count) {
        say(phrases, "failed tasks %" PRId64, after->failure_count);
    } else if (threshold != after->threshold) {
        say(phrases, "circuit breaker threshold %" PRId64, after->threshold);
    }
    say_word(phrases, "circuit breaker", before != NULL ? before->circuit_breaker_status : NULL,
             after->circuit_breaker_status);
}

static void say_rollback(struct phrases *phrases, const struct ecshist_deployment_view *before,
                         const struct ecshist_deployment_view *after)
{
    bool was_there = before != NULL && before->rollback_started_at_us >= 0;

    if (was_there || after->rollback_started_at_us < 0 || after->rollback_revision_arn == NULL) {
        return;
    }
    say(phrases, "rolls back to %s", tool_arn_last(after->rollback_revision_arn));
}

void query_describe_change(const struct ecshist_deployment_view *before,
                           const struct ecshist_deployment_view *after, char *buffer, size_t size)
{
    static const struct ecshist_deployment_view nothing = ECSHIST_DEPLOYMENT_VIEW_INIT;
    const struct ecshist_deployment_view *old = before != NULL ? before : &nothing;
    struct phrases phrases = {buffer, size, 0};

    buffer[0] = '\0';
    say_word(&phrases, "status", old->status_name, after->status_name);
    say_rollback(&phrases, before, after);
    if (after->status_reason != NULL && !same(old->status_reason, after->status_reason)) {
        say(&phrases, "reason: %s", after->status_reason);
    }
    say_word(&phrases, "stage", old->lifecycle_stage, after->lifecycle_stage);
    say_revisions(&phrases, before, after);
    say_breaker(&phrases, before, after);
    say_word(&phrases, "alarms", old->alarm_status, after->alarm_status);
}
