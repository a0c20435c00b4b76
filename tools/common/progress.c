#include "common/progress.h"

#include "common/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_COLUMNS 30
#define REDRAW_MS 100

static const char *label;
static bool enabled;
static bool drawn;
static int64_t drawn_at_ms;

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tool_progress_begin(const char *what)
{
    const char *term = getenv("TERM");

    label = what;
    enabled = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    drawn_at_ms = now_ms(); /* what is done at once needs no bar */
}

void tool_progress_show(uint64_t done, uint64_t total, const char *word)
{
    char bar[BAR_COLUMNS + 1];
    size_t filled;

    if (!enabled || now_ms() - drawn_at_ms < REDRAW_MS) {
        return;
    }
    drawn = true;
    drawn_at_ms = now_ms();
    if (total == 0) {
        fprintf(stderr, "\r\033[K%s %s", label, word);
        return;
    }
    done = done < total ? done : total;
    filled = (size_t)((double)done / (double)total * BAR_COLUMNS);
    memset(bar, ' ', BAR_COLUMNS);
    memset(bar, '#', filled);
    bar[BAR_COLUMNS] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %3d %% %s", label, bar,
            (int)((double)done / (double)total * 100), word);
}

void tool_progress_hide(void)
{
    if (drawn) {
        fputs("\r\033[K", stderr);
        drawn = false;
    }
}

bool tool_progress_callback(void *context, uint64_t done, uint64_t total)
{
    if (context != NULL && label != context) {
        tool_progress_begin(context);
    }
    tool_progress_show(done, total, "");
    if (done == total) {
        tool_progress_hide();
    }
    return !tool_stop_asked();
}
