/*
 * What the peers keep of a subject: of a deployment its view, of a revision where its document is.
 * Folded by the rules that the workload needs, which are few of ecshist's.
 */
#ifndef BENCH_ROW_H
#define BENCH_ROW_H

#include "item.h"

enum { ROW_TEXT_BYTES = 192, ROW_BYTES = 2048 };

struct row_counts {
    int64_t requested, running, pending;
};

/* Texts of a row. An empty one was never set. */
enum row_text {
    ROW_ARN, /* says service and cluster, too, as their names */
    ROW_TARGET,
    ROW_SOURCE,
    ROW_STATUS_REASON,
    ROW_ROLLBACK_REASON,
    ROW_ROLLBACK_REVISION,
    ROW_CONFIGURATION,
    ROW_TEXTS
};

/* The numbers; stored as they are. Times in microseconds, -1: not set. */
struct row_numbers {
    int64_t id; /* seq of its first event: what other tables call it by */
    int64_t last_seq;
    int64_t is_revision;
    int64_t status; /* an ecshist_deployment_status */
    int64_t created_at, started_at, finished_at, stopped_at, updated_at, rollback_started_at;
    struct row_counts target, source;
    int64_t failures, threshold, breaker;
};

struct row {
    struct row_numbers n;
    char service[WORKLOAD_ARN_BYTES]; /* of a fresh row, for the list; not stored in it */
    char text[ROW_TEXTS][ROW_TEXT_BYTES];
};

/* A row of a subject that is not there yet. */
void row_begin(struct row *row, const struct item *item, int64_t seq);
/* One event onto its subject's row; false: it does not fit. */
bool row_fold(struct row *row, const struct item *item, int64_t seq);
size_t row_encode(const struct row *row, uint8_t out[ROW_BYTES]);
bool row_decode(struct row *row, const uint8_t *bytes, size_t length);

#endif
