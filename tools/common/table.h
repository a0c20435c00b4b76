/* Boxes of lines as `aws --output table` draws them, as wide as a screen. Cells are escaped and folded. */
#ifndef TOOL_TABLE_H
#define TOOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define TOOL_TABLE_COLUMNS 8

struct tool_row;

struct tool_table {
    const char *title;
    size_t column_count;
    struct tool_row *rows;
    size_t row_count, row_capacity;
    bool failed; /* out of memory: a row is missing, and the table is not printed */
};

/* `title` is borrowed until the table is printed. Up to TOOL_TABLE_COLUMNS columns. */
void tool_table_begin(struct tool_table *table, const char *title, size_t column_count);
/* A line of headings, with a rule behind it. */
void tool_table_heading(struct tool_table *table, const char *const *cells);
/* A row; cells are copied, NULL is shown as empty. */
void tool_table_row(struct tool_table *table, const char *const *cells);
/* A title across all columns, between rules. */
void tool_table_section(struct tool_table *table, const char *title);
/* Two columns: a name and a value. A NULL value makes no row. */
void tool_table_pair(struct tool_table *table, const char *name, const char *value);
void tool_table_number(struct tool_table *table, const char *name, long long value);
/* A time in microseconds as "2024-11-04T11:25:56.589000+00:00"; -1 makes no row. */
void tool_table_time(struct tool_table *table, const char *name, long long time_us);
/* Prints to stdout and frees the rows. False: out of memory. */
bool tool_table_print(struct tool_table *table);

#endif
