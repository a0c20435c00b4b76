/* Answers on stdout: the library's JSON, and rows as `aws --output text` has them. */
#ifndef QUERY_PRINT_H
#define QUERY_PRINT_H

#include <ecshist/query.h>
#include <stdbool.h>
#include <stddef.h>

#define QUERY_MAX_CELLS 12

/* The cells of one row, NULL where a member is not there, and room for those made of numbers. */
struct query_cells {
    const char *cells[QUERY_MAX_CELLS];
    char made[QUERY_MAX_CELLS][ECSHIST_TIME_TEXT_BYTES];
    size_t count;
};

void query_cell(struct query_cells *cells, const char *text);
/* Microseconds since the epoch, -1: not there. */
void query_cell_time(struct query_cells *cells, int64_t time_us);
void query_cell_number(struct query_cells *cells, int64_t number);
/* As Python prints it ("100.0"), where there is one. */
void query_cell_real(struct query_cells *cells, bool is_there, double number);

/*
 * Prints LABEL and the cells, tab separated. Columns that are in no row of the list are left out, as
 * the AWS CLI does: `columns` has a bit for each that is in some.
 */
void query_put_text(const char *label, const struct query_cells *cells, unsigned columns);
unsigned query_columns(const struct query_cells *cells);
/* A row that is a list of its own. */
void query_put_text_alone(const char *label, const struct query_cells *cells);

/* The whole answer as the AWS CLI prints it. An exit code; has complained where it is not 0. */
int query_put_json(const ecshist_result *result);

/* Each ARN that was not there, on stderr. An exit code: 1 where there is one. */
int query_report_failures(const ecshist_result *result);
void query_put_failures_text(const ecshist_result *result);
bool query_put_failures_table(const ecshist_result *result);

/* "2024-11-04 11:25:56", UTC; `digits` of the fraction, 0 to 6. "" for -1. */
char *query_short_time(int64_t time_us, unsigned digits, char buffer[ECSHIST_TIME_TEXT_BYTES]);

/* Complains; the exit code for it. */
int query_out_of_memory(void);

#endif
