#include "ingest/append.h"

#include "common/program.h"
#include "common/progress.h"
#include "common/safe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool ingest_appender_begin(struct ingest_appender *appender, size_t lines)
{
    appender->events = calloc(lines, sizeof(*appender->events));
    appender->results = calloc(lines, sizeof(*appender->results));
    return appender->events != NULL && appender->results != NULL;
}

void ingest_appender_end(struct ingest_appender *appender)
{
    free(appender->events);
    free(appender->results);
}

static void report(const struct ingest_line *line, const char *reason)
{
    tool_progress_hide();
    tool_put_safe(stderr, line->file);
    if (line->number > 0) {
        fprintf(stderr, ":%" PRIu64, line->number);
    }
    fputs(": ", stderr);
    tool_put_safe(stderr, reason != NULL ? reason : "out of memory");
    fputc('\n', stderr);
}

static void count_unparsed(struct ingest_appender *appender, const struct ingest_line *line)
{
    report(line, line->refusal);
    if (line->number == 0) {
        appender->totals.file_failed = true;
    } else {
        appender->totals.refused++;
    }
}

static void count_outcome(struct ingest_appender *appender, const struct ingest_line *line,
                          const struct ecshist_append_result *result)
{
    switch (result->outcome) {
    case ECSHIST_OUTCOME_APPENDED:
        appender->totals.appended++;
        break;
    case ECSHIST_OUTCOME_DUPLICATE:
        appender->totals.duplicate++;
        break;
    case ECSHIST_OUTCOME_IGNORED:
        appender->totals.ignored++;
        break;
    case ECSHIST_OUTCOME_REFUSED:
        report(line, result->reason);
        appender->totals.refused++;
        break;
    case ECSHIST_OUTCOME_NONE:
        break;
    }
}

/* The code of a refused event, which is no failure of the store's: results say more. */
static bool is_refusal(int code, const struct ecshist_error *error)
{
    return tool_exit_of(code) == TOOL_EXIT_REFUSED && error->event_index != SIZE_MAX;
}

static int call_append(struct ingest_appender *appender, size_t count, unsigned flags,
                       struct ecshist_error *error)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;

    options.flags = flags | (appender->lenient ? ECSHIST_APPEND_LENIENT : 0u);
    for (size_t i = 0; i < count; i++) { /* not the whole of it: that is 1 MB for each batch */
        appender->results[i].size = sizeof(appender->results[i]);
        appender->results[i].outcome = ECSHIST_OUTCOME_NONE;
        appender->results[i].reason[0] = '\0';
    }
    if (appender->store == NULL) {
        for (size_t i = 0; i < count; i++) {
            appender->results[i].outcome = ECSHIST_OUTCOME_APPENDED;
        }
        return ECSHIST_OK;
    }
    return (appender->dry_run ? ecshist_append_dry_run : ecshist_append)(
        appender->store, appender->events, count, &options, appender->results, error);
}

/*
 * Up to the first event that is refused, and nothing behind it. All or nothing first; where that
 * names an event, those before it. *count: how many have a result that counts.
 */
static int append_up_to_refusal(struct ingest_appender *appender, size_t *count, bool *stop,
                                struct ecshist_error *error)
{
    struct ecshist_append_result refusal;
    size_t taken = *count;
    int code = call_append(appender, taken, 0, error);

    if (code == ECSHIST_OK || !is_refusal(code, error)) {
        return code;
    }
    while (is_refusal(code, error)) {
        taken = error->event_index;
        refusal = appender->results[taken];
        code = taken == 0 ? ECSHIST_OK : call_append(appender, taken, 0, error);
    }
    if (code == ECSHIST_OK) {
        appender->results[taken] = refusal;
        *count = taken + 1;
        *stop = true;
    }
    return code;
}

static int append_events(struct ingest_appender *appender, size_t *count, bool *stop,
                         struct ecshist_error *error)
{
    int code;

    if (*count == 0) {
        return ECSHIST_OK;
    }
    if (appender->stop_on_error) {
        return append_up_to_refusal(appender, count, stop, error);
    }
    code = call_append(appender, *count, ECSHIST_APPEND_EACH, error);
    return is_refusal(code, error) ? ECSHIST_OK : code;
}

/* The whole batch failed: not for what is in it. */
static void report_failure(const struct ingest_line *first, int code,
                           const struct ecshist_error *error)
{
    const char *separator = error->place[0] != '\0' ? ": " : "";

    if (code == ECSHIST_OUTCOME_UNKNOWN) {
        tool_complain("%s:%" PRIu64 ": from this line on the outcome is unknown: %s%s%s",
                      first->file, first->number, error->place, separator, error->message);
        tool_complain(
            "feeding the same input again is safe: what is in the log already is a duplicate");
        return;
    }
    tool_complain("%s:%" PRIu64 ": nothing was appended from this line on: %s%s%s", first->file,
                  first->number, error->place, separator, error->message);
}

/* Reports and counts in the order of the lines; `judged` events have a result. */
static void count_lines(struct ingest_appender *appender, const struct ingest_batch *batch,
                        size_t judged, bool stopped)
{
    size_t event = 0;

    for (size_t i = 0; i < batch->count && !(stopped && event == judged); i++) {
        const struct ingest_line *line = &batch->lines[i];

        if (line->event == NULL) {
            count_unparsed(appender, line);
        } else if (event < judged) {
            count_outcome(appender, line, &appender->results[event]);
            event++;
        }
    }
}

int ingest_append_batch(struct ingest_appender *appender, struct ingest_batch *batch,
                        bool *out_stop)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const struct ingest_line *first = NULL;
    size_t count = 0;
    int code;

    *out_stop = false;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->lines[i].event != NULL) {
            appender->events[count] = batch->lines[i].event;
            first = count == 0 ? &batch->lines[i] : first;
            count++;
        }
    }
    code = append_events(appender, &count, out_stop, &error);
    if (code != ECSHIST_OK) {
        count_lines(appender, batch, 0, false);
        report_failure(first, code, &error);
        return code;
    }
    count_lines(appender, batch, count, *out_stop);
    appender->totals.passed_over += batch->passed_over;
    return ECSHIST_OK;
}
