/* Retention: what is older than its time goes, as a whole, and its bytes go back to the file system. */
#ifndef ECSHIST_COMPACT_H
#define ECSHIST_COMPACT_H

#include <ecshist/error.h>
#include <ecshist/export.h>
#include <ecshist/store.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Flags of ecshist_compact. */
enum {
    ECSHIST_COMPACT_DRY_RUN = 1, /* says what would go; nothing does */
    /* An ACTIVE service's newest SUCCESSFUL deployment goes, too, once it is old enough. */
    ECSHIST_COMPACT_FORGET_LAST = 2
};

/* Options of ecshist_compact. All zero (the INIT macro) means 90 days before the store's clock. */
struct ecshist_compact_options {
    size_t size;
    unsigned flags;               /* ECSHIST_COMPACT_* */
    int64_t retention_us;         /* 0: ECSHIST_DEFAULT_RETENTION_US */
    bool has_now;                 /* now_us is given, else the store's clock says what now is */
    int64_t now_us;               /* microseconds since the epoch */
    ecshist_progress_fn progress; /* in steps of no meaning but their share; may be NULL */
    void *progress_context;
};

#define ECSHIST_DEFAULT_RETENTION_US (INT64_C(90) * 24 * 3600 * 1000000)

#define ECSHIST_COMPACT_OPTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(struct ecshist_compact_options), 0, 0, false, 0, NULL, NULL                         \
    }

/* What went, or of a dry run, what would. */
struct ecshist_compact_result {
    size_t size;
    int64_t cutoff_us; /* what finished before it, expired */
    uint64_t deployment_count, revision_count, service_count;
    uint64_t event_count;  /* of them */
    uint64_t kept_count;   /* deployments that stay only as their service's last successful one */
    uint64_t passed_count; /* left for the next time: something happened to them meanwhile */
    uint64_t
        segments_cleaned; /* rewritten; more than this time's, where an earlier run was cut short */
    uint64_t log_bytes_before, log_bytes_after;     /* of the segments' files; 0 of a dry run */
    uint64_t index_bytes_before, index_bytes_after; /* of the index's file; 0 of a dry run */
    int64_t longest_step_us; /* how long appends had to wait for this at the most */
};

#define ECSHIST_COMPACT_RESULT_INIT                                                                \
    {                                                                                              \
        sizeof(struct ecshist_compact_result), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0               \
    }

ECSHIST_BEGIN

/*
 * Removes what has expired: deployments that ended more than the retention period before now (by finishedAt), but
 * for each ACTIVE service's newest SUCCESSFUL one; revisions that are older and that no remaining deployment names; INACTIVE
 * services of which nothing remains. Each goes as a whole, with all its events. It is recorded as history-expired events; then
 * the log's sealed segments are rewritten without what expired, and the index is copied without its free pages.
 *
 * Works in steps: appends and reads of all processes go on, and wait for a step at the most. It can be stopped anywhere (by
 * progress: code END; by a kill), and the next call goes on; what is shown is right at any time. A snapshot or a cursor that was
 * opened before may meet an event that has expired since: code NOT_FOUND. Space that open snapshots and cursors still have mapped comes
 * back when they are closed.
 *
 * options and result may be NULL; result is filled where the return is OK or END. Errors: INVALID, READ_ONLY, BUSY (another compaction or a backup is under way), DAMAGED, IO,
 * INDEX, FULL, NO_MEMORY, OUTCOME_UNKNOWN, END, MISUSE. Thread-safe.
 */
ECSHIST_API int ecshist_compact(ecshist_store *store, const struct ecshist_compact_options *options,
                                struct ecshist_compact_result *result, struct ecshist_error *error)
    ECSHIST_CHECKED;

ECSHIST_END_DECLS

#endif
