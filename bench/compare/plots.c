/* Plots as SVG: groups of bars, one bar a series. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { MOST_GROUPS = 4, MOST_SERIES = 8 };

struct chart {
    const char *file, *title, *unit;
    bool logarithmic;
    size_t group_count, series_count;
    const char *groups[MOST_GROUPS], *series[MOST_SERIES];
    const char *colours[MOST_SERIES];
    double values[MOST_GROUPS][MOST_SERIES]; /* NAN: no bar */
};

enum {
    WIDTH = 800,
    HEIGHT = 400,
    LEFT = 64,
    RIGHT = 16,
    TOP = 72,
    BOTTOM = 40,
    PLOT_WIDTH = WIDTH - LEFT - RIGHT,
    PLOT_HEIGHT = HEIGHT - TOP - BOTTOM
};

/* Told apart by those who see colours differently, too (Okabe and Ito). */
static const char *const colours[MOST_SERIES] = {"#0072b2", "#e69f00", "#009e73", "#56b4e9",
                                                 "#cc79a7", "#999999", "#d55e00", "#000000"};

struct scale {
    double low, high;
    bool logarithmic;
};

static struct scale scale_of(const struct chart *c)
{
    struct scale s = {INFINITY, 0, c->logarithmic};
    for (size_t g = 0; g < c->group_count; g++)
        for (size_t i = 0; i < c->series_count; i++) {
            double value = c->values[g][i];
            if (isnan(value) || value <= 0)
                continue;
            s.low = fmin(s.low, value);
            s.high = fmax(s.high, value);
        }
    if (s.high == 0)
        s.low = s.high = 1;
    if (s.logarithmic) {
        s.low = pow(10, floor(log10(s.low * 0.8)));
        s.high = pow(10, ceil(log10(s.high * 1.2)));
    } else {
        s.low = 0;
        s.high *= 1.15;
    }
    return s;
}

/* From the top of the drawing. */
static double height_of(const struct scale *s, double value)
{
    double share = s->logarithmic ? log10(value / s->low) / log10(s->high / s->low)
                                  : (value - s->low) / (s->high - s->low);
    return TOP + PLOT_HEIGHT * (1 - fmin(fmax(share, 0), 1));
}

/* "843", "8.7k", "64k", "1.2M": what fits on a bar. */
static const char *short_number(double value, char out[32])
{
    const char *unit = value >= 999500 ? "M" : value >= 999.5 ? "k" : "";
    double scaled = value >= 999500 ? value / 1e6 : value >= 999.5 ? value / 1e3 : value;
    snprintf(out, 32, scaled < 9.95 ? (unit[0] == '\0' ? "%.2f%s" : "%.1f%s") : "%.0f%s", scaled,
             unit);
    return out;
}

static void draw_text(FILE *out, double x, double y, const char *anchor, int size, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">%s</text>\n", x,
            y, anchor, size, text);
}

static void draw_line(FILE *out, const struct scale *s, double value)
{
    char number[32];
    double y = height_of(s, value);
    fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n", LEFT,
            y, WIDTH - RIGHT, y);
    draw_text(out, LEFT - 6, y + 4, "end", 11, short_number(value, number));
}

static void draw_lines(FILE *out, const struct scale *s)
{
    if (s->logarithmic) {
        for (double value = s->low; value <= s->high * 1.001; value *= 10)
            draw_line(out, s, value);
        return;
    }
    double step = pow(10, floor(log10(s->high)));
    if (s->high / step < 3)
        step /= 4;
    for (double value = step; value <= s->high; value += step)
        draw_line(out, s, value);
}

static void draw_bar(FILE *out, const struct scale *s, double x, double width, double value,
                     const char *colour)
{
    char number[32];
    if (isnan(value) || value <= 0)
        return;
    double y = height_of(s, value);
    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y,
            width - 2, TOP + PLOT_HEIGHT - y, colour);
    draw_text(out, x + width / 2 - 1, y - 4, "middle", 10, short_number(value, number));
}

static size_t bars_of(const struct chart *c, size_t group)
{
    size_t count = 0;
    for (size_t i = 0; i < c->series_count; i++)
        count += !isnan(c->values[group][i]);
    return count;
}

/* A group has room for all series; its bars stand in the middle, without gaps for what is not. */
static void draw_group(FILE *out, const struct chart *c, const struct scale *s, size_t group)
{
    double room = (double)PLOT_WIDTH / (double)c->group_count;
    double width = fmin(room * 0.86 / (double)c->series_count, 60);
    double middle = LEFT + room * ((double)group + 0.5);
    double x = middle - width * (double)bars_of(c, group) / 2;
    for (size_t i = 0; i < c->series_count; i++) {
        if (isnan(c->values[group][i]))
            continue;
        draw_bar(out, s, x, width, c->values[group][i], c->colours[i]);
        x += width;
    }
    draw_text(out, middle, HEIGHT - BOTTOM + 20, "middle", 12, c->groups[group]);
}

static void draw_legend(FILE *out, const struct chart *c)
{
    double x = LEFT;
    for (size_t i = 0; i < c->series_count; i++) {
        fprintf(out, "<rect x=\"%.1f\" y=\"44\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
                c->colours[i]);
        draw_text(out, x + 17, 54, "start", 12, c->series[i]);
        x += 34 + 7.2 * (double)strlen(c->series[i]);
    }
}

static void draw(FILE *out, const struct chart *c)
{
    struct scale s = scale_of(c);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"sans-serif\" fill=\"#222222\" role=\"img\">\n"
            "<title>%s</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, c->title, WIDTH, HEIGHT);
    fprintf(out, "<text x=\"%d\" y=\"26\" font-size=\"16\" font-weight=\"bold\">%s</text>\n", LEFT,
            c->title);
    draw_text(out, WIDTH - RIGHT, 26, "end", 12, c->unit);
    draw_legend(out, c);
    draw_lines(out, &s);
    for (size_t g = 0; g < c->group_count; g++)
        draw_group(out, c, &s, g);
    fprintf(out, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#222222\"/>\n</svg>\n",
            LEFT, TOP + PLOT_HEIGHT, WIDTH - RIGHT, TOP + PLOT_HEIGHT);
}

static void write_chart(const char *dir, const struct chart *c)
{
    char path[4096];
    bool any = false;
    for (size_t g = 0; g < c->group_count; g++)
        any = any || bars_of(c, g) > 0;
    if (!any)
        return;
    snprintf(path, sizeof(path), "%s/%s", dir, c->file);
    FILE *out = fopen(path, "we");
    if (out == NULL)
        fail("%s: %s", path, strerror(errno));
    draw(out, c);
    if (fclose(out) != 0)
        fail("%s: %s", path, strerror(errno));
}

/* A series an engine, a group a row. Who has no value has no place in the legend either. */
static void by_engine(const char *dir, const struct bench *b, struct chart *c,
                      const char *const *rows, const char *metric)
{
    c->series_count = 0;
    for (size_t i = 0; i < b->side_count; i++) {
        const struct engine *engine = b->sides[i].engine;
        bool any = false;
        for (size_t g = 0; g < c->group_count; g++) {
            double value = result_get(rows[g], engine->name, metric);
            c->values[g][c->series_count] = value;
            any = any || !isnan(value);
        }
        c->series[c->series_count] = engine->title;
        c->colours[c->series_count] = colours[i];
        c->series_count += any;
    }
    write_chart(dir, c);
}

/* How much longer it takes with more events: the smallest store is 1. */
static void growth(const char *dir)
{
    static const char *const rows[] = {"growth-append-1-p50", "growth-describe",
                                       "growth-describe-newest"};
    static const char *const sizes[] = {"100k", "1M", "10M"};
    struct chart c = {
        .file = "growth.svg",
        .title = "ecshist with more events",
        .unit = "median time, that with 100,000 events being 1",
        .group_count = 3,
        .groups = {"append of one event", "describe, of all", "describe, of the newest 1,000"},
        .series_count = 3,
        .series = {"100,000 events", "1,000,000 events", "10,000,000 events"}};
    for (size_t i = 0; i < 3; i++)
        c.colours[i] = colours[i];
    for (size_t g = 0; g < 3; g++)
        for (size_t i = 0; i < 3; i++)
            c.values[g][i] =
                result_get(rows[g], "ecshist", sizes[i]) / result_get(rows[g], "ecshist", sizes[0]);
    write_chart(dir, &c);
}

void plots_write(const char *dir, const struct bench *b)
{
    static const char *const appends[] = {"append-1", "append-16-threads", "append-100",
                                          "append-1000"};
    static const char *const reads[] = {"describe", "describe-2-threads", "list-20"};
    struct chart append = {.file = "append.svg",
                           .title = "Durable appends",
                           .unit = "events a second, logarithmic; more is better",
                           .logarithmic = true,
                           .group_count = 4,
                           .groups = {"one event a call", "16 threads, one a call",
                                      "100 events a call", "1,000 events a call"}};
    struct chart read = {
        .file = "read.svg",
        .title = "Reads",
        .unit = "nanoseconds (p50), logarithmic; less is better",
        .logarithmic = true,
        .group_count = 3,
        .groups = {"one deployment by ARN", "the same, 2 threads", "newest 20 of a service"}};
    make_dir(dir);
    by_engine(dir, b, &append, appends, "rate");
    by_engine(dir, b, &read, reads, "p50");
    growth(dir);
}
