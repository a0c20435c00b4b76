#include "row.h"

#include <ecshist/query.h>
#include <stdio.h>
#include <string.h>

static void set(struct row *row, enum row_text which, const char *text)
{
    size_t length = strlen(text);
    if (length >= ROW_TEXT_BYTES)
        length = ROW_TEXT_BYTES - 1;
    memcpy(row->text[which], text, length);
    row->text[which][length] = '\0';
}

void row_begin(struct row *row, const struct item *item, int64_t seq)
{
    row->n = (struct row_numbers){.id = seq,
                                  .is_revision = item->type == WORKLOAD_REVISION_CREATED,
                                  .created_at = -1,
                                  .started_at = -1,
                                  .finished_at = -1,
                                  .stopped_at = -1,
                                  .updated_at = -1,
                                  .rollback_started_at = -1};
    for (int i = 0; i < ROW_TEXTS; i++)
        row->text[i][0] = '\0';
    set(row, ROW_ARN, item->subject);
}

static bool created(struct row *row, const struct item *item)
{
    if (row->n.status != ECSHIST_STATUS_NONE)
        return false;
    workload_service_arn(item->service, row->service);
    row->n.status = ECSHIST_STATUS_PENDING;
    row->n.created_at = item->time_us;
    row->n.threshold = 3;
    row->n.breaker = 1;
    set(row, ROW_TARGET, item->target);
    set(row, ROW_SOURCE, item->source != NULL ? item->source : "");
    set(row, ROW_CONFIGURATION, "{\"breaker\":[1,1],\"maximum\":200,\"minimum\":100}");
    return true;
}

static bool ended(const struct row *row)
{
    return row->n.status == ECSHIST_STATUS_SUCCESSFUL ||
           row->n.status == ECSHIST_STATUS_ROLLBACK_SUCCESSFUL;
}

static void tasks(struct row *row, const struct item *item)
{
    row->n.target =
        (struct row_counts){WORKLOAD_TASKS, item->running, WORKLOAD_TASKS - item->running};
}

static void roll_back(struct row *row, const struct item *item)
{
    row->n.status = ECSHIST_STATUS_ROLLBACK_IN_PROGRESS;
    row->n.rollback_started_at = item->time_us;
    set(row, ROW_ROLLBACK_REVISION, row->text[ROW_SOURCE]);
}

static void end(struct row *row, const struct item *item)
{
    bool rolled_back = item->type == WORKLOAD_ROLLBACK_SUCCEEDED;
    row->n.status = rolled_back ? ECSHIST_STATUS_ROLLBACK_SUCCESSFUL : ECSHIST_STATUS_SUCCESSFUL;
    row->n.finished_at = item->time_us;
}

bool row_fold(struct row *row, const struct item *item, int64_t seq)
{
    row->n.last_seq = seq;
    row->n.updated_at = item->time_us;
    if (item->type == WORKLOAD_REVISION_CREATED)
        return row->n.is_revision != 0;
    if (item->type == WORKLOAD_DEPLOYMENT_CREATED)
        return created(row, item);
    if (row->n.status == ECSHIST_STATUS_NONE || ended(row))
        return false;
    if (item->type == WORKLOAD_DEPLOYMENT_STARTED) {
        row->n.status = ECSHIST_STATUS_IN_PROGRESS;
        row->n.started_at = item->time_us;
    } else if (item->type == WORKLOAD_TASKS_UPDATED) {
        tasks(row, item);
    } else if (item->type == WORKLOAD_TASK_FAILED) {
        if (++row->n.failures >= row->n.threshold)
            row->n.breaker = 2;
    } else if (item->type == WORKLOAD_ROLLBACK_STARTED) {
        roll_back(row, item);
    } else {
        end(row, item);
    }
    return true;
}

/* The numbers, then each text behind its length. */
size_t row_encode(const struct row *row, uint8_t out[ROW_BYTES])
{
    uint8_t *at = out;
    memcpy(at, &row->n, sizeof(row->n));
    at += sizeof(row->n);
    for (int i = 0; i < ROW_TEXTS; i++) {
        size_t length = strlen(row->text[i]);
        *at++ = (uint8_t)length;
        memcpy(at, row->text[i], length);
        at += length;
    }
    return (size_t)(at - out);
}

bool row_decode(struct row *row, const uint8_t *bytes, size_t length)
{
    const uint8_t *at = bytes, *end_of_it = bytes + length;
    if (length < sizeof(row->n))
        return false;
    memcpy(&row->n, at, sizeof(row->n));
    at += sizeof(row->n);
    for (int i = 0; i < ROW_TEXTS; i++) {
        if (at == end_of_it || *at >= ROW_TEXT_BYTES || end_of_it - at - 1 < *at)
            return false;
        size_t size = *at++;
        memcpy(row->text[i], at, size);
        row->text[i][size] = '\0';
        at += size;
    }
    return true;
}
