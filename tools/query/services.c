/* list-services: ours, not of ECS in this shape. */
#include "common/arn.h"
#include "common/program.h"
#include "common/status.h"
#include "common/table.h"
#include "query/print.h"
#include "query/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "3 SUCCESSFUL, 1 ROLLBACK_SUCCESSFUL" */
static void put_counts(const struct ecshist_service_view *view, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (unsigned i = 1; i <= TOOL_STATUS_COUNT; i++) {
        if (view->deployments_by_status[i] > 0 && used < size) {
            used += (size_t)snprintf(buffer + used, size - used, "%s%" PRIu64 " %s",
                                     used > 0 ? ", " : "", view->deployments_by_status[i],
                                     tool_status_name(i));
        }
    }
}

/* Whether all are of one account and region, so that cluster and name say which is meant. */
static bool is_one_home(const ecshist_result *result)
{
    struct ecshist_service_view view = ECSHIST_SERVICE_VIEW_INIT;
    struct tool_arn first = {.home = {"", 0}};
    struct tool_arn arn;

    for (size_t i = 0; ecshist_result_service(result, i, &view); i++) {
        if (!tool_arn_split(view.service_arn, &arn)) {
            return false;
        }
        first = i == 0 ? arn : first;
        if (arn.home.length != first.home.length ||
            memcmp(arn.home.text, first.home.text, arn.home.length) != 0) {
            return false;
        }
    }
    return true;
}

static const char *last_or_null(const char *arn)
{
    return arn != NULL ? tool_arn_last(arn) : NULL;
}

static int put_table(const struct query *query, const ecshist_result *result)
{
    static const char *const heading[TOOL_TABLE_COLUMNS] = {"SERVICE", "STATUS", "CURRENT REVISION",
                                                            "DEPLOYMENTS"};
    struct ecshist_service_view view = ECSHIST_SERVICE_VIEW_INIT;
    bool is_short = is_one_home(result);
    struct tool_table table;
    char counts[512];

    tool_table_begin(&table, query->operation, 4);
    tool_table_heading(&table, heading);
    for (size_t i = 0; ecshist_result_service(result, i, &view); i++) {
        const char *cells[TOOL_TABLE_COLUMNS] = {
            is_short ? tool_arn_path(view.service_arn) : view.service_arn, view.status,
            last_or_null(view.current_revision_arn), counts};

        put_counts(&view, counts, sizeof(counts));
        tool_table_row(&table, cells);
    }
    return tool_table_print(&table) ? TOOL_EXIT_OK : query_out_of_memory();
}

static void fill_cells(const struct ecshist_service_view *view, struct query_cells *cells)
{
    cells->count = 0;
    query_cell(cells, view->cluster_arn);
    query_cell(cells, view->current_revision_arn);
    query_cell(cells, view->service_arn);
    query_cell(cells, view->status);
}

static int put_text(const ecshist_result *result)
{
    struct ecshist_service_view view = ECSHIST_SERVICE_VIEW_INIT;
    struct query_cells cells;
    unsigned columns = 0;

    for (size_t i = 0; ecshist_result_service(result, i, &view); i++) {
        fill_cells(&view, &cells);
        columns |= query_columns(&cells);
    }
    for (size_t i = 0; ecshist_result_service(result, i, &view); i++) {
        fill_cells(&view, &cells);
        query_put_text("SERVICES", &cells, columns);
    }
    return TOOL_EXIT_OK;
}

int query_list_services(const struct query *query)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int code;

    if (ecshist_list_services(query->snapshot, query->cluster, query->region, query->account,
                              &query->as_of, &result, &error) != ECSHIST_OK) {
        return tool_complain_operation(query->operation, &error);
    }
    code = query->output == QUERY_JSON   ? query_put_json(result)
           : query->output == QUERY_TEXT ? put_text(result)
                                         : put_table(query, result);
    ecshist_result_free(result);
    return code;
}
