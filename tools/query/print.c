#include "query/print.h"

#include "common/program.h"
#include "common/safe.h"
#include "common/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void query_cell(struct query_cells *cells, const char *text)
{
    cells->cells[cells->count++] = text;
}

void query_cell_time(struct query_cells *cells, int64_t time_us)
{
    char *room = cells->made[cells->count];

    query_cell(cells, time_us < 0 ? NULL : ecshist_time_format(time_us, ECSHIST_JSON_CLI, room));
}

void query_cell_number(struct query_cells *cells, int64_t number)
{
    char *room = cells->made[cells->count];

    snprintf(room, ECSHIST_TIME_TEXT_BYTES, "%" PRId64, number);
    query_cell(cells, room);
}

void query_cell_real(struct query_cells *cells, bool is_there, double number)
{
    char *room = cells->made[cells->count];
    int length = snprintf(room, ECSHIST_TIME_TEXT_BYTES, "%.15g", number);

    if (strspn(room, "-0123456789") == (size_t)length) {
        strcat(room, ".0");
    }
    query_cell(cells, is_there ? room : NULL);
}

unsigned query_columns(const struct query_cells *cells)
{
    unsigned columns = 0;

    for (size_t i = 0; i < cells->count; i++) {
        columns |= cells->cells[i] != NULL ? 1u << i : 0;
    }
    return columns;
}

void query_put_text(const char *label, const struct query_cells *cells, unsigned columns)
{
    fputs(label, stdout);
    for (size_t i = 0; i < cells->count; i++) {
        if ((columns & 1u << i) != 0) {
            putchar('\t');
            tool_put_safe(stdout, cells->cells[i] != NULL ? cells->cells[i] : "");
        }
    }
    putchar('\n');
}

void query_put_text_alone(const char *label, const struct query_cells *cells)
{
    query_put_text(label, cells, query_columns(cells));
}

int query_put_json(const ecshist_result *result)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *json = NULL;
    size_t length = 0;

    if (ecshist_result_to_json(result, ECSHIST_JSON_CLI, &json, &length, &error) != ECSHIST_OK) {
        return tool_complain_error(&error);
    }
    tool_put_json(stdout, json, length);
    putchar('\n');
    ecshist_free(json);
    return TOOL_EXIT_OK;
}

int query_report_failures(const ecshist_result *result)
{
    struct ecshist_failure failure;
    size_t count = ecshist_result_failure_count(result);

    for (size_t i = 0; i < count; i++) {
        if (ecshist_result_failure(result, i, &failure)) {
            tool_complain("%s: %s", failure.arn, failure.reason);
        }
    }
    return count > 0 ? TOOL_EXIT_REFUSED : TOOL_EXIT_OK;
}

void query_put_failures_text(const ecshist_result *result)
{
    struct ecshist_failure failure;

    for (size_t i = 0; ecshist_result_failure(result, i, &failure); i++) {
        struct query_cells cells = {.count = 0};

        query_cell(&cells, failure.arn);
        query_cell(&cells, failure.reason);
        query_put_text_alone("FAILURES", &cells);
    }
}

bool query_put_failures_table(const ecshist_result *result)
{
    struct ecshist_failure failure;
    struct tool_table table;

    if (ecshist_result_failure_count(result) == 0) {
        return true;
    }
    tool_table_begin(&table, "failures", 2);
    for (size_t i = 0; ecshist_result_failure(result, i, &failure); i++) {
        tool_table_pair(&table, "arn", failure.arn);
        tool_table_pair(&table, "reason", failure.reason);
    }
    return tool_table_print(&table);
}

char *query_short_time(int64_t time_us, unsigned digits, char buffer[ECSHIST_TIME_TEXT_BYTES])
{
    if (time_us < 0) {
        buffer[0] = '\0';
        return buffer;
    }
    ecshist_time_format(time_us, ECSHIST_JSON_CLI, buffer);
    buffer[10] = ' ';
    buffer[digits > 0 ? 20 + digits : 19] = '\0';
    return buffer;
}

int query_out_of_memory(void)
{
    tool_complain("out of memory");
    return TOOL_EXIT_STORE;
}
