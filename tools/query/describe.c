/* describe-service-deployments and describe-service-revisions. */
#include "common/arn.h"
#include "common/program.h"
#include "common/safe.h"
#include "common/table.h"
#include "query/print.h"
#include "query/query.h"

#include <stdio.h>
#include <string.h>

/* In the order of the alphabet, as the AWS CLI prints text. */
static void fill_cells(const struct ecshist_deployment_view *view, struct query_cells *cells)
{
    cells->count = 0;
    query_cell(cells, view->cluster_arn);
    query_cell_time(cells, view->created_at_us);
    query_cell_time(cells, view->finished_at_us);
    query_cell(cells, view->lifecycle_stage);
    query_cell(cells, view->service_arn);
    query_cell(cells, view->service_deployment_arn);
    query_cell_time(cells, view->started_at_us);
    query_cell(cells, view->status_name);
    query_cell(cells, view->status_reason);
    query_cell_time(cells, view->stopped_at_us);
    query_cell_time(cells, view->updated_at_us);
}

static void fill_revision_cells(const struct ecshist_revision_summary *revision,
                                struct query_cells *cells)
{
    cells->count = 0;
    query_cell(cells, revision->arn);
    query_cell_number(cells, revision->pending_task_count);
    query_cell_real(cells, revision->has_production_weight,
                    revision->requested_production_traffic_weight);
    query_cell_number(cells, revision->requested_task_count);
    query_cell_real(cells, revision->has_test_weight, revision->requested_test_traffic_weight);
    query_cell_number(cells, revision->running_task_count);
}

static void put_revisions_text(const char *label, const struct ecshist_revision_summary *revisions,
                               size_t count)
{
    struct query_cells cells;
    unsigned columns = 0;

    for (size_t i = 0; i < count; i++) {
        fill_revision_cells(&revisions[i], &cells);
        columns |= query_columns(&cells);
    }
    for (size_t i = 0; i < count; i++) {
        fill_revision_cells(&revisions[i], &cells);
        query_put_text(label, &cells, columns);
    }
}

static void put_monitors_text(const struct ecshist_deployment_view *view)
{
    struct query_cells alarms = {.count = 0};
    struct query_cells breaker = {.count = 0};

    query_cell(&alarms, view->alarm_status);
    query_put_text_alone("ALARMS", &alarms);
    query_cell_number(&breaker, view->failure_count);
    query_cell(&breaker, view->circuit_breaker_status);
    query_cell_number(&breaker, view->threshold);
    query_put_text_alone("DEPLOYMENTCIRCUITBREAKER", &breaker);
}

static void put_rollback_text(const struct ecshist_deployment_view *view)
{
    struct query_cells cells = {.count = 0};

    if (view->rollback_started_at_us < 0) {
        return;
    }
    query_cell(&cells, view->rollback_reason);
    query_cell(&cells, view->rollback_revision_arn);
    query_cell_time(&cells, view->rollback_started_at_us);
    query_put_text_alone("ROLLBACK", &cells);
}

static void put_deployments_text(const ecshist_result *result)
{
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    struct query_cells cells;
    unsigned columns = 0;

    for (size_t i = 0; ecshist_result_deployment(result, i, &view); i++) {
        fill_cells(&view, &cells);
        columns |= query_columns(&cells);
    }
    for (size_t i = 0; ecshist_result_deployment(result, i, &view); i++) {
        fill_cells(&view, &cells);
        query_put_text("SERVICEDEPLOYMENTS", &cells, columns);
        put_monitors_text(&view);
        put_rollback_text(&view);
        put_revisions_text("SOURCESERVICEREVISIONS", view.sources, view.source_count);
        if (view.target.arn != NULL) {
            put_revisions_text("TARGETSERVICEREVISION", &view.target, 1);
        }
    }
}

/* A weight, in the words of the shape; no row where it was never set. */
static void add_weight(struct tool_table *table, const char *name, bool is_there, double weight)
{
    struct query_cells cells = {.count = 0};

    query_cell_real(&cells, is_there, weight);
    tool_table_pair(table, name, cells.cells[0]);
}

/* A revision is one of the deployment's service, which stands above: its id says which. */
static void add_revision(struct tool_table *table, const char *section,
                         const struct ecshist_revision_summary *revision)
{
    tool_table_section(table, section);
    tool_table_pair(table, "serviceRevision", tool_arn_last(revision->arn));
    tool_table_number(table, "requestedTaskCount", revision->requested_task_count);
    tool_table_number(table, "runningTaskCount", revision->running_task_count);
    tool_table_number(table, "pendingTaskCount", revision->pending_task_count);
    add_weight(table, "requestedTestTrafficWeight", revision->has_test_weight,
               revision->requested_test_traffic_weight);
    add_weight(table, "requestedProductionTrafficWeight", revision->has_production_weight,
               revision->requested_production_traffic_weight);
}

static void add_deployment(struct tool_table *table, const struct ecshist_deployment_view *view)
{
    tool_table_pair(table, "serviceDeployment", tool_arn_last(view->service_deployment_arn));
    tool_table_pair(table, "serviceArn", view->service_arn);
    tool_table_pair(table, "clusterArn", view->cluster_arn);
    tool_table_time(table, "createdAt", view->created_at_us);
    tool_table_time(table, "startedAt", view->started_at_us);
    tool_table_time(table, "finishedAt", view->finished_at_us);
    tool_table_time(table, "stoppedAt", view->stopped_at_us);
    tool_table_time(table, "updatedAt", view->updated_at_us);
    tool_table_pair(table, "status", view->status_name);
    tool_table_pair(table, "statusReason", view->status_reason);
    tool_table_pair(table, "lifecycleStage", view->lifecycle_stage);
}

static void add_monitors(struct tool_table *table, const struct ecshist_deployment_view *view)
{
    if (view->rollback_started_at_us >= 0) {
        tool_table_section(table, "rollback");
        tool_table_pair(table, "reason", view->rollback_reason);
        tool_table_time(table, "startedAt", view->rollback_started_at_us);
        if (view->rollback_revision_arn != NULL) {
            tool_table_pair(table, "serviceRevision", tool_arn_last(view->rollback_revision_arn));
        }
    }
    tool_table_section(table, "deploymentCircuitBreaker");
    tool_table_pair(table, "status", view->circuit_breaker_status);
    tool_table_number(table, "failureCount", view->failure_count);
    tool_table_number(table, "threshold", view->threshold);
    tool_table_section(table, "alarms");
    tool_table_pair(table, "status", view->alarm_status);
}

static bool put_deployments_table(const struct query *query, const ecshist_result *result)
{
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    bool printed = true;

    for (size_t i = 0; printed && ecshist_result_deployment(result, i, &view); i++) {
        struct tool_table table;

        tool_table_begin(&table, query->operation, 2);
        add_deployment(&table, &view);
        for (size_t k = 0; k < view.source_count; k++) {
            add_revision(&table, "sourceServiceRevisions", &view.sources[k]);
        }
        if (view.target.arn != NULL) {
            add_revision(&table, "targetServiceRevision", &view.target);
        }
        add_monitors(&table, &view);
        printed = tool_table_print(&table);
    }
    return printed;
}

/* A revision's document is any JSON: a box of its lines. */
static int put_revision_table(const struct query *query, const ecshist_result *result, size_t index)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct tool_table table;
    char *json = NULL;
    char *line;
    char *rest = NULL;

    if (ecshist_result_item_to_json(result, index, ECSHIST_JSON_CLI, &json, NULL, &error) !=
        ECSHIST_OK) {
        return tool_complain_error(&error);
    }
    tool_table_begin(&table, query->operation, 1);
    for (line = strtok_r(json, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        const char *cells[TOOL_TABLE_COLUMNS] = {line};

        tool_table_row(&table, cells);
    }
    ecshist_free(json);
    return tool_table_print(&table) ? TOOL_EXIT_OK : query_out_of_memory();
}

static int put_revision_text(const ecshist_result *result, size_t index)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *json = NULL;
    size_t length = 0;

    if (ecshist_result_item_to_json(result, index, ECSHIST_JSON_WIRE, &json, &length, &error) !=
        ECSHIST_OK) {
        return tool_complain_error(&error);
    }
    fputs("SERVICEREVISIONS\t", stdout);
    tool_put_json(stdout, json, length);
    putchar('\n');
    ecshist_free(json);
    return TOOL_EXIT_OK;
}

static int put_revisions(const struct query *query, const ecshist_result *result)
{
    int code = TOOL_EXIT_OK;

    for (size_t i = 0; code == TOOL_EXIT_OK && i < ecshist_result_count(result); i++) {
        code = query->output == QUERY_TEXT ? put_revision_text(result, i)
                                           : put_revision_table(query, result, i);
    }
    return code;
}

static int put_deployments(const struct query *query, const ecshist_result *result)
{
    if (query->output == QUERY_TEXT) {
        put_deployments_text(result);
        return TOOL_EXIT_OK;
    }
    return put_deployments_table(query, result) ? TOOL_EXIT_OK : query_out_of_memory();
}

typedef int (*describe_fn)(ecshist_snapshot *, const char *const *, size_t,
                           const struct ecshist_as_of *, ecshist_result **, struct ecshist_error *);
typedef int (*put_fn)(const struct query *, const ecshist_result *);

static int describe(const struct query *query, const struct tool_list *arns, describe_fn ask,
                    put_fn put)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int code;

    if (ask(query->snapshot, (const char *const *)arns->items, arns->count, &query->as_of, &result,
            &error) != ECSHIST_OK) {
        return tool_complain_operation(query->operation, &error);
    }
    if (query->output == QUERY_JSON) {
        code = query_put_json(result);
    } else {
        code = put(query, result);
    }
    if (query->output == QUERY_TEXT) {
        query_put_failures_text(result);
    } else if (query->output == QUERY_TABLE && !query_put_failures_table(result)) {
        code = query_out_of_memory();
    }
    if (code == TOOL_EXIT_OK) {
        code = query_report_failures(result);
    }
    ecshist_result_free(result);
    return code;
}

int query_describe_deployments(const struct query *query)
{
    return describe(query, &query->deployment_arns, ecshist_describe_service_deployments,
                    put_deployments);
}

int query_describe_revisions(const struct query *query)
{
    return describe(query, &query->revision_arns, ecshist_describe_service_revisions,
                    put_revisions);
}
