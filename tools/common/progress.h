/* A progress bar on stderr, where that is a terminal that can draw one. One at a time, one thread. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* `what` (static) stands before the bar. Nothing is shown where stderr is no terminal. */
void tool_progress_begin(const char *what);
/* done of total, and a word behind it ("" for none); total 0: unknown, only the word is shown. */
void tool_progress_show(uint64_t done, uint64_t total, const char *word);
/* Clears the line, if there is one, so that something else can be printed. */
void tool_progress_hide(void);

/* An ecshist_progress_fn that shows and stops when it is asked to. context: what to call it, or NULL. */
bool tool_progress_callback(void *context, uint64_t done, uint64_t total);

#endif
