/* Batches into the store, and what became of them. */
#ifndef INGEST_APPEND_H
#define INGEST_APPEND_H

#include "ingest/queue.h"

#include <ecshist/store.h>

struct ingest_totals {
    uint64_t appended, duplicate, ignored, refused, passed_over;
    bool file_failed; /* a file could not be read, or not to its end */
};

struct ingest_appender {
    ecshist_store *store; /* NULL: there is none, lines are only parsed (a dry run) */
    bool lenient, dry_run, stop_on_error;
    const ecshist_event **events;
    struct ecshist_append_result *results;
    struct ingest_totals totals;
};

/* Room for batches of so many lines. False: out of memory. */
bool ingest_appender_begin(struct ingest_appender *appender, size_t lines);
void ingest_appender_end(struct ingest_appender *appender);

/*
 * Appends a batch, reports each line that was refused, in the order of the lines, and counts. An
 * ecshist_code: OK (refused lines or not), or why nothing more can be appended, which was reported.
 * *out_stop: stop_on_error, and a line was refused.
 */
int ingest_append_batch(struct ingest_appender *appender, struct ingest_batch *batch,
                        bool *out_stop);

#endif
