#include "common/table.h"

#include "common/safe.h"

#include <ecshist/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_WIDTH 100
#define LEAST_WIDTH 60
#define GREATEST_WIDTH 200
#define LEAST_COLUMN 6

enum row_kind { ROW_CELLS, ROW_HEADING, ROW_SECTION };

struct tool_row {
    enum row_kind kind;
    char *cells[TOOL_TABLE_COLUMNS]; /* a section has one */
};

void tool_table_begin(struct tool_table *table, const char *title, size_t column_count)
{
    *table = (struct tool_table){title, column_count, NULL, 0, 0, false};
}

static struct tool_row *new_row(struct tool_table *table, enum row_kind kind)
{
    struct tool_row *row;

    if (table->row_count == table->row_capacity) {
        size_t capacity = table->row_capacity == 0 ? 16 : table->row_capacity * 2;
        struct tool_row *rows = realloc(table->rows, capacity * sizeof(*rows));

        if (rows == NULL) {
            table->failed = true;
            return NULL;
        }
        table->rows = rows;
        table->row_capacity = capacity;
    }
    row = &table->rows[table->row_count++];
    *row = (struct tool_row){kind, {NULL}};
    return row;
}

static void add_row(struct tool_table *table, enum row_kind kind, const char *const *cells,
                    size_t count)
{
    struct tool_row *row = new_row(table, kind);

    for (size_t i = 0; row != NULL && i < count; i++) {
        row->cells[i] = strdup(cells[i] != NULL ? cells[i] : "");
        table->failed |= row->cells[i] == NULL;
    }
}

void tool_table_heading(struct tool_table *table, const char *const *cells)
{
    add_row(table, ROW_HEADING, cells, table->column_count);
}

void tool_table_row(struct tool_table *table, const char *const *cells)
{
    add_row(table, ROW_CELLS, cells, table->column_count);
}

void tool_table_section(struct tool_table *table, const char *title)
{
    add_row(table, ROW_SECTION, &title, 1);
}

void tool_table_pair(struct tool_table *table, const char *name, const char *value)
{
    const char *cells[TOOL_TABLE_COLUMNS] = {name, value};

    if (value != NULL) {
        tool_table_row(table, cells);
    }
}

void tool_table_number(struct tool_table *table, const char *name, long long value)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", value);
    tool_table_pair(table, name, text);
}

void tool_table_time(struct tool_table *table, const char *name, long long time_us)
{
    char text[ECSHIST_TIME_TEXT_BYTES];

    if (time_us >= 0) {
        tool_table_pair(table, name, ecshist_time_format(time_us, ECSHIST_JSON_CLI, text));
    }
}

/* 100 columns, or what the terminal has. */
static size_t screen_width(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
        size.ws_col < LEAST_WIDTH) {
        return DEFAULT_WIDTH;
    }
    return size.ws_col < GREATEST_WIDTH ? size.ws_col : GREATEST_WIDTH;
}

static size_t widest_line(const struct tool_table *table, const size_t *widths)
{
    size_t total = 1;

    for (size_t i = 0; i < table->column_count; i++) {
        total += widths[i] + 3;
    }
    return total;
}

static void natural_widths(const struct tool_table *table, size_t *widths)
{
    memset(widths, 0, TOOL_TABLE_COLUMNS * sizeof(*widths));
    for (size_t r = 0; r < table->row_count; r++) {
        const struct tool_row *row = &table->rows[r];

        for (size_t i = 0; row->kind != ROW_SECTION && i < table->column_count; i++) {
            size_t columns = tool_safe_columns(row->cells[i], strlen(row->cells[i]));

            widths[i] = columns > widths[i] ? columns : widths[i];
        }
    }
}

/* The widest column gives way, as often as needed, until the table fits. */
static void fit_widths(const struct tool_table *table, size_t *widths)
{
    size_t limit = screen_width();
    size_t title = tool_safe_columns(table->title, strlen(table->title)) + 4;

    while (widest_line(table, widths) > limit) {
        size_t widest = 0;

        for (size_t i = 1; i < table->column_count; i++) {
            widest = widths[i] >= widths[widest] ? i : widest;
        }
        if (widths[widest] <= LEAST_COLUMN) {
            break;
        }
        widths[widest]--;
    }
    if (title > limit) {
        title = limit;
    }
    if (widest_line(table, widths) < title) {
        widths[table->column_count - 1] += title - widest_line(table, widths);
    }
}

static void print_rule(const struct tool_table *table, const size_t *widths, char joint)
{
    for (size_t i = 0; i < table->column_count; i++) {
        putchar(i == 0 && joint == '+' ? '+' : joint);
        for (size_t k = 0; k < widths[i] + 2; k++) {
            putchar('-');
        }
    }
    putchar(joint);
    putchar('\n');
}

static void print_spaces(size_t count)
{
    printf("%*s", (int)count, "");
}

/* Where a text of which `fits` bytes fit is cut: behind its last space, else its last slash. 0: nowhere. */
static size_t last_break(const char *text, size_t fits)
{
    size_t slash = 0;

    for (size_t i = fits; i > 0; i--) {
        if (text[i] == ' ') {
            return i + 1;
        }
        slash = slash == 0 && text[i - 1] == '/' ? i : slash;
    }
    return slash;
}

/* How much of a text fits a line of `columns`. *next is where the next line begins. */
static size_t fold(const char *text, size_t length, size_t columns, size_t *next)
{
    struct tool_glyph glyph;
    size_t used = 0;
    size_t at = 0;
    size_t cut;

    for (; at < length; at += glyph.length) {
        tool_glyph_of(text + at, length - at, &glyph);
        if (used + glyph.columns > columns && at > 0) {
            break;
        }
        used += glyph.columns;
    }
    cut = at < length ? last_break(text, at) : 0;
    *next = cut > 0 ? cut : at;
    return cut > 0 && text[cut - 1] == ' ' ? cut - 1 : *next;
}

/* Prints one line of a cell, padded, and moves *cell behind it. */
static void print_piece(const char **cell, size_t width)
{
    size_t length = strlen(*cell);
    size_t next = 0;
    size_t taken = fold(*cell, length, width, &next);
    size_t columns = tool_safe_columns(*cell, taken);

    for (size_t at = 0; at < taken;) {
        struct tool_glyph glyph;

        tool_glyph_of(*cell + at, taken - at, &glyph);
        fwrite(glyph.shown, 1, glyph.shown_length, stdout);
        at += glyph.length;
    }
    print_spaces(columns < width ? width - columns : 0);
    *cell += next;
}

static bool any_left(const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cells[i][0] != '\0') {
            return true;
        }
    }
    return false;
}

static void print_cells(const struct tool_table *table, const size_t *widths,
                        const struct tool_row *row)
{
    const char *left[TOOL_TABLE_COLUMNS];

    memcpy(left, row->cells, sizeof(left));
    do {
        for (size_t i = 0; i < table->column_count; i++) {
            fputs("| ", stdout);
            print_piece(&left[i], widths[i]);
            putchar(' ');
        }
        fputs("|\n", stdout);
    } while (any_left(left, table->column_count));
}

static void print_centred(const char *text, size_t line)
{
    do {
        size_t next = 0;
        size_t taken = fold(text, strlen(text), line - 4, &next);
        size_t columns = tool_safe_columns(text, taken);
        size_t before = (line - 2 - columns) / 2;
        char piece[1024];

        snprintf(piece, sizeof(piece), "%.*s", (int)taken, text);
        putchar('|');
        print_spaces(before);
        tool_put_safe(stdout, piece);
        print_spaces(line - 2 - columns - before);
        fputs("|\n", stdout);
        text += next;
    } while (*text != '\0');
}

static void print_rows(const struct tool_table *table, const size_t *widths)
{
    size_t line = widest_line(table, widths);
    bool ruled = true;

    print_rule(table, widths, '-');
    print_centred(table->title, line);
    print_rule(table, widths, '+');
    for (size_t r = 0; r < table->row_count; r++) {
        const struct tool_row *row = &table->rows[r];

        if (row->kind == ROW_CELLS) {
            print_cells(table, widths, row);
            ruled = false;
            continue;
        }
        if (!ruled) {
            print_rule(table, widths, '+');
        }
        if (row->kind == ROW_SECTION) {
            print_centred(row->cells[0], line);
        } else {
            print_cells(table, widths, row);
        }
        print_rule(table, widths, '+');
        ruled = true;
    }
    if (!ruled) {
        print_rule(table, widths, '+');
    }
}

bool tool_table_print(struct tool_table *table)
{
    size_t widths[TOOL_TABLE_COLUMNS];

    if (!table->failed) {
        natural_widths(table, widths);
        fit_widths(table, widths);
        print_rows(table, widths);
    }
    for (size_t r = 0; r < table->row_count; r++) {
        for (size_t i = 0; i < TOOL_TABLE_COLUMNS; i++) {
            free(table->rows[r].cells[i]);
        }
    }
    free(table->rows);
    table->rows = NULL;
    table->row_count = table->row_capacity = 0;
    return !table->failed;
}
