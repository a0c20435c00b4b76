/* list-service-deployments: pages are fetched until there are as many as were asked for. */
#include "common/arn.h"
#include "common/program.h"
#include "common/safe.h"
#include "common/table.h"
#include "query/print.h"
#include "query/query.h"

#include <ecshist/limits.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pages {
    ecshist_result **results;
    size_t count, capacity;
};

/* Goes through the deployments of all pages. */
struct walk {
    const struct pages *pages;
    size_t page, item;
};

static const ecshist_result *next_item(struct walk *walk, size_t *out_index)
{
    while (walk->page < walk->pages->count) {
        const ecshist_result *result = walk->pages->results[walk->page];

        if (walk->item < ecshist_result_count(result)) {
            *out_index = walk->item++;
            return result;
        }
        walk->page++;
        walk->item = 0;
    }
    return NULL;
}

static bool next_deployment(struct walk *walk, struct ecshist_deployment_view *out)
{
    size_t index = 0;
    const ecshist_result *result = next_item(walk, &index);

    *out = (struct ecshist_deployment_view)ECSHIST_DEPLOYMENT_VIEW_INIT;
    return result != NULL && ecshist_result_deployment(result, index, out);
}

/* More than was asked for is there: where the next question goes on. */
static const char *pages_token(const struct pages *pages)
{
    return ecshist_result_next_token(pages->results[pages->count - 1]);
}

static void free_pages(struct pages *pages)
{
    for (size_t i = 0; i < pages->count; i++) {
        ecshist_result_free(pages->results[i]);
    }
    free(pages->results);
}

static bool add_page(struct pages *pages, ecshist_result *result)
{
    if (pages->count == pages->capacity) {
        size_t capacity = pages->capacity == 0 ? 8 : pages->capacity * 2;
        ecshist_result **results = realloc(pages->results, capacity * sizeof(ecshist_result *));

        if (results == NULL) {
            ecshist_result_free(result);
            return false;
        }
        pages->results = results;
        pages->capacity = capacity;
    }
    pages->results[pages->count++] = result;
    return true;
}

static void fill_request(const struct query *query, struct ecshist_list_request *request)
{
    request->service = query->service;
    request->cluster = query->cluster;
    request->region = query->region;
    request->account = query->account;
    request->status = (const char *const *)query->status.items;
    request->status_count = query->status.count;
    request->has_created_after = query->has_created_after;
    request->has_created_before = query->has_created_before;
    request->created_after_us = query->created_after_us;
    request->created_before_us = query->created_before_us;
    request->next_token = query->next_token;
    request->as_of = query->as_of;
    request->brief = true; /* it is all that is printed */
}

/* An exit code. A page is never larger than what is still wanted: the token then is exact. */
static int fetch(const struct query *query, struct pages *pages)
{
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    uint64_t wanted = query->max_results > 0 ? query->max_results
                      : query->max_items > 0 ? query->max_items
                                             : UINT64_MAX;
    ecshist_result *result;

    fill_request(query, &request);
    do {
        request.max_results = wanted < ECSHIST_MAX_PAGE ? (uint32_t)wanted : ECSHIST_MAX_PAGE;
        if (ecshist_list_service_deployments(query->snapshot, &request, &result, &error) !=
            ECSHIST_OK) {
            return tool_complain_operation(query->operation, &error);
        }
        if (!add_page(pages, result)) {
            return query_out_of_memory();
        }
        wanted -= ecshist_result_count(result);
        request.next_token = ecshist_result_next_token(result);
    } while (request.next_token != NULL && wanted > 0);
    return TOOL_EXIT_OK;
}

/* An item's JSON two levels further in. Line ends within strings are escaped: each is one of a line. */
static void put_indented(const char *json, size_t length)
{
    const char *end = json + length;

    fputs("        ", stdout);
    while (json < end) {
        const char *newline = memchr(json, '\n', (size_t)(end - json));
        const char *next = newline != NULL ? newline + 1 : end;

        tool_put_json(stdout, json, (size_t)(next - json));
        if (newline != NULL) {
            fputs("        ", stdout);
        }
        json = next;
    }
}

/* One answer of several pages: their items in one list. */
static int put_json(const struct pages *pages)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct walk walk = {pages, 0, 0};
    const char *separator = "\n";
    const ecshist_result *result;
    size_t index = 0;

    fputs("{\n    \"serviceDeployments\": [", stdout);
    for (result = next_item(&walk, &index); result != NULL; result = next_item(&walk, &index)) {
        char *json = NULL;
        size_t length = 0;

        if (ecshist_result_item_to_json(result, index, ECSHIST_JSON_CLI, &json, &length, &error) !=
            ECSHIST_OK) {
            return tool_complain_error(&error);
        }
        fputs(separator, stdout);
        put_indented(json, length);
        ecshist_free(json);
        separator = ",\n";
    }
    fputs(separator[0] == ',' ? "\n    ]" : "]", stdout);
    if (pages_token(pages) != NULL) {
        printf(",\n    \"nextToken\": \"%s\"", pages_token(pages));
    }
    fputs("\n}\n", stdout);
    return TOOL_EXIT_OK;
}

/* In the order of the alphabet, as the AWS CLI prints text. */
static void fill_cells(const struct ecshist_deployment_view *view, struct query_cells *cells)
{
    cells->count = 0;
    query_cell(cells, view->cluster_arn);
    query_cell_time(cells, view->created_at_us);
    query_cell_time(cells, view->finished_at_us);
    query_cell(cells, view->service_arn);
    query_cell(cells, view->service_deployment_arn);
    query_cell_time(cells, view->started_at_us);
    query_cell(cells, view->status_name);
    query_cell(cells, view->status_reason);
    query_cell(cells, view->target.arn);
}

static int put_text(const struct pages *pages)
{
    struct ecshist_deployment_view view;
    struct query_cells cells;
    struct walk walk = {pages, 0, 0};
    unsigned columns = 0;

    if (pages_token(pages) != NULL) {
        printf("%s\n", pages_token(pages));
    }
    while (next_deployment(&walk, &view)) {
        fill_cells(&view, &cells);
        columns |= query_columns(&cells);
    }
    walk = (struct walk){pages, 0, 0};
    while (next_deployment(&walk, &view)) {
        fill_cells(&view, &cells);
        query_put_text("SERVICEDEPLOYMENTS", &cells, columns);
    }
    return TOOL_EXIT_OK;
}

/* "3m57s": from creation to the end, "" while there is none. */
static char *duration(const struct ecshist_deployment_view *view, char *buffer, size_t size)
{
    int64_t seconds = (view->finished_at_us - view->created_at_us) / 1000000;

    buffer[0] = '\0';
    if (view->finished_at_us < view->created_at_us || view->created_at_us < 0) {
        return buffer;
    }
    if (seconds < 60) {
        snprintf(buffer, size, "%" PRId64 "s", seconds);
    } else if (seconds < 3600) {
        snprintf(buffer, size, "%" PRId64 "m%02" PRId64 "s", seconds / 60, seconds % 60);
    } else {
        snprintf(buffer, size, "%" PRId64 "h%02" PRId64 "m", seconds / 3600, seconds / 60 % 60);
    }
    return buffer;
}

static void add_deployment(struct tool_table *table, const struct ecshist_deployment_view *view)
{
    char created[ECSHIST_TIME_TEXT_BYTES];
    char took[32];
    const char *cells[TOOL_TABLE_COLUMNS] = {
        query_short_time(view->created_at_us, 0, created),
        view->status_name,
        tool_arn_last(view->service_deployment_arn),
        view->target.arn != NULL ? tool_arn_last(view->target.arn) : NULL,
        duration(view, took, sizeof(took)),
    };

    tool_table_row(table, cells);
}

/* All are of one service, which the title names: the last part of an ARN says the rest. */
static int put_table(const struct query *query, const struct pages *pages)
{
    static const char *const heading[TOOL_TABLE_COLUMNS] = {"CREATED (UTC)", "STATUS", "DEPLOYMENT",
                                                            "TARGET REVISION", "TOOK"};
    struct ecshist_deployment_view view;
    struct walk walk = {pages, 0, 0};
    struct tool_table table;
    char title[2048];
    char token[512];

    snprintf(title, sizeof(title), "%s", query->operation);
    if (next_deployment(&walk, &view)) {
        snprintf(title, sizeof(title), "%s: %s", query->operation, tool_arn_path(view.service_arn));
    }
    tool_table_begin(&table, title, 5);
    tool_table_heading(&table, heading);
    walk = (struct walk){pages, 0, 0};
    while (next_deployment(&walk, &view)) {
        add_deployment(&table, &view);
    }
    if (pages_token(pages) != NULL) {
        snprintf(token, sizeof(token), "there are more: --next-token %s", pages_token(pages));
        tool_table_section(&table, token);
    }
    return tool_table_print(&table) ? TOOL_EXIT_OK : query_out_of_memory();
}

int query_list_deployments(const struct query *query)
{
    struct pages pages = {NULL, 0, 0};
    int code = fetch(query, &pages);

    if (code == TOOL_EXIT_OK) {
        code = query->output == QUERY_JSON   ? put_json(&pages)
               : query->output == QUERY_TEXT ? put_text(&pages)
                                             : put_table(query, &pages);
    }
    free_pages(&pages);
    return code;
}
