/* timeline: what happened in a deployment, event by event, and what each event changed. Ours. */
#include "common/arn.h"
#include "common/program.h"
#include "common/safe.h"
#include "common/table.h"
#include "query/change.h"
#include "query/print.h"
#include "query/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DETAIL_BYTES 2048

/* Told from views as of one event and the next, each of which folds all events before it. */
#define MAX_DETAILED_EVENTS 3000u

/* The view as of the event before. Its strings live in `result`. */
struct history {
    const struct query *query;
    ecshist_result *result;
    struct ecshist_deployment_view view;
};

/* Why it happened, in the event's own words. */
static void add_reason(const struct ecshist_event_info *info, char detail[DETAIL_BYTES])
{
    size_t length = strlen(detail);

    if (info->reason != NULL) {
        snprintf(detail + length, DETAIL_BYTES - length, "%sreason: %s", length == 0 ? "" : "; ",
                 info->reason);
    }
}

/* What the event changed. An exit code. */
static int describe_event(struct history *history, const struct ecshist_event_info *info,
                          char detail[DETAIL_BYTES])
{
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    struct ecshist_as_of as_of = {.seq = info->seq};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;

    detail[0] = '\0';
    if (info->ignored) {
        snprintf(detail, DETAIL_BYTES, "ignored: it did not fit the history");
        return TOOL_EXIT_OK;
    }
    if (ecshist_describe_service_deployments(history->query->snapshot,
                                             &history->query->deployment_arn, 1, &as_of, &result,
                                             &error) != ECSHIST_OK) {
        return tool_complain_operation(history->query->operation, &error);
    }
    if (ecshist_result_deployment(result, 0, &view)) {
        query_describe_change(&history->view, &view, detail, DETAIL_BYTES);
    }
    ecshist_result_free(history->result);
    history->result = result;
    history->view = view;
    return TOOL_EXIT_OK;
}

static void add_row(const struct query *query, struct tool_table *table,
                    const struct ecshist_event_info *info, const char *detail)
{
    char time[ECSHIST_TIME_TEXT_BYTES];
    char seq[24];
    const char *row[TOOL_TABLE_COLUMNS] = {NULL, seq, info->type, detail};
    struct query_cells cells = {.count = 0};

    snprintf(seq, sizeof(seq), "%" PRIu64, info->seq);
    if (query->output == QUERY_TABLE) {
        row[0] = query_short_time(info->time_us, 3, time);
        tool_table_row(table, row);
        return;
    }
    query_cell_time(&cells, info->time_us);
    query_cell(&cells, seq);
    query_cell(&cells, info->type);
    query_cell(&cells, detail);
    query_put_text_alone("EVENTS", &cells);
}

static int put_events(const struct query *query, const ecshist_result *events,
                      struct tool_table *table)
{
    struct history history = {query, NULL, ECSHIST_DEPLOYMENT_VIEW_INIT};
    size_t count = ecshist_result_count(events);
    char detail[DETAIL_BYTES] = "";
    int code = TOOL_EXIT_OK;

    if (count > MAX_DETAILED_EVENTS) {
        tool_complain("of %zu events only the first %u are told in detail", count,
                      MAX_DETAILED_EVENTS);
    }
    for (size_t i = 0; code == TOOL_EXIT_OK && i < count; i++) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;

        ecshist_event_info(ecshist_result_event(events, i), &info);
        detail[0] = '\0';
        if (i < MAX_DETAILED_EVENTS) {
            code = describe_event(&history, &info, detail);
        }
        add_reason(&info, detail);
        add_row(query, table, &info, detail);
    }
    ecshist_result_free(history.result);
    return code;
}

static int put_table(const struct query *query, const ecshist_result *events)
{
    static const char *const heading[TOOL_TABLE_COLUMNS] = {"TIME (UTC)", "SEQ", "EVENT", "DETAIL"};
    struct tool_table table;
    char title[2048];
    int code;

    snprintf(title, sizeof(title), "%s: %s", query->operation,
             tool_arn_path(query->deployment_arn));
    tool_table_begin(&table, title, 4);
    tool_table_heading(&table, heading);
    code = put_events(query, events, &table);
    if (!tool_table_print(&table)) {
        code = query_out_of_memory();
    }
    return code;
}

int query_timeline(const struct query *query)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *events = NULL;
    int code;

    if (ecshist_timeline(query->snapshot, query->deployment_arn, &query->as_of, &events, &error) !=
        ECSHIST_OK) {
        return tool_complain_operation(query->operation, &error);
    }
    code = query->output == QUERY_JSON   ? query_put_json(events)
           : query->output == QUERY_TEXT ? put_events(query, events, NULL)
                                         : put_table(query, events);
    ecshist_result_free(events);
    return code;
}
