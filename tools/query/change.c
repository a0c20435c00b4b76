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

/* The same of a breaker or of alarms, of which nothing is said while they are not there. */
static void say_monitor(struct phrases *phrases, const char *what, const char *before,
                        const char *after)
{
    if (before != NULL || after == NULL || strcmp(after, "DISABLED") != 0) {
        say_word(phrases, what, before, after);
    }
}

/* What changed in a revision's part of the deployment; `role` says which it is. */
static void say_revision(struct phrases *phrases, const char *role,
                         const struct ecshist_revision_summary *before,
                         const struct ecshist_revision_summary *after)
{
    if (before->requested_task_count != after->requested_task_count ||
        before->running_task_count != after->running_task_count ||
        before->pending_task_count != after->pending_task_count) {
        say(phrases, "%s: %" PRId64 " requested, %" PRId64 " running, %" PRId64 " pending", role,
            after->requested_task_count, after->running_task_count, after->pending_task_count);
    }
    if (after->has_production_weight &&
        before->requested_production_traffic_weight != after->requested_production_traffic_weight) {
        say(phrases, "%s: %.15g %% of production traffic", role,
            after->requested_production_traffic_weight);
    }
    if (after->has_test_weight &&
        before->requested_test_traffic_weight != after->requested_test_traffic_weight) {
        say(phrases, "%s: %.15g %% of test traffic", role, after->requested_test_traffic_weight);
    }
}

static void say_target(struct phrases *phrases, const struct ecshist_revision_summary *before,
                       const struct ecshist_revision_summary *after)
{
    if (after->arn == NULL) {
        return;
    }
    if (!same(before->arn, after->arn)) {
        say(phrases, "target revision %s", tool_arn_last(after->arn));
    }
    say_revision(phrases, "target", before, after);
}

/* The only source needs no name after it was introduced; one of several does. */
static void say_sources(struct phrases *phrases, const struct ecshist_deployment_view *before,
                        const struct ecshist_deployment_view *after)
{
    static const struct ecshist_revision_summary nothing;
    char role[160];

    for (size_t i = 0; i < after->source_count; i++) {
        const struct ecshist_revision_summary *source = &after->sources[i];
        const struct ecshist_revision_summary *old =
            i < before->source_count ? &before->sources[i] : &nothing;

        if (!same(old->arn, source->arn)) {
            say(phrases, "source revision %s", tool_arn_last(source->arn));
        }
        snprintf(role, sizeof(role), "source%s%s", after->source_count > 1 ? " " : "",
                 after->source_count > 1 ? tool_arn_last(source->arn) : "");
        say_revision(phrases, role, old, source);
    }
}

/* A count of failures, with the threshold behind it where there is one, and the breaker's own word. */
static void say_breaker(struct phrases *phrases, const struct ecshist_deployment_view *before,
                        const struct ecshist_deployment_view *after)
{
    if (before->failure_count < after->failure_count && after->threshold > 0) {
        say(phrases, "failed tasks %" PRId64 " of %" PRId64, after->failure_count,
            after->threshold);
    } else if (before->failure_count != after->failure_count) {
        say(phrases, "failed tasks %" PRId64 " -> %" PRId64, before->failure_count,
            after->failure_count);
    } else if (before->threshold != after->threshold) {
        say(phrases, "circuit breaker threshold %" PRId64, after->threshold);
    }
    say_monitor(phrases, "circuit breaker", before->circuit_breaker_status,
                after->circuit_breaker_status);
}

static void say_rollback(struct phrases *phrases, const struct ecshist_deployment_view *before,
                         const struct ecshist_deployment_view *after)
{
    if (before->rollback_started_at_us < 0 && after->rollback_started_at_us >= 0 &&
        after->rollback_revision_arn != NULL) {
        say(phrases, "rolls back to %s", tool_arn_last(after->rollback_revision_arn));
    }
}

void query_describe_change(const struct ecshist_deployment_view *before,
                           const struct ecshist_deployment_view *after, char *buffer, size_t size)
{
    struct phrases phrases = {buffer, size, 0};

    buffer[0] = '\0';
    say_word(&phrases, "status", before->status_name, after->status_name);
    say_rollback(&phrases, before, after);
    say_word(&phrases, "stage", before->lifecycle_stage, after->lifecycle_stage);
    say_target(&phrases, &before->target, &after->target);
    say_sources(&phrases, before, after);
    say_breaker(&phrases, before, after);
    say_monitor(&phrases, "alarms", before->alarm_status, after->alarm_status);
}
