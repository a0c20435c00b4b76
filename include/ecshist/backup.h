/* A copy of a store, taken while it is used. */
#ifndef ECSHIST_BACKUP_H
#define ECSHIST_BACKUP_H

#include <ecshist/error.h>
#include <ecshist/export.h>
#include <ecshist/store.h>
#include <stddef.h>
#include <stdint.h>

struct ecshist_backup_options {
    size_t size;
    ecshist_progress_fn progress; /* in bytes of log; may be NULL */
    void *progress_context;
};

#define ECSHIST_BACKUP_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(struct ecshist_backup_options), NULL, NULL                                          \
    }

/* What the copy holds. */
struct ecshist_backup_result {
    size_t size;
    uint64_t last_seq; /* all events up to this one */
    uint64_t segment_count, log_bytes;
};

#define ECSHIST_BACKUP_RESULT_INIT                                                                 \
    {                                                                                              \
        sizeof(struct ecshist_backup_result), 0, 0, 0                                              \
    }

ECSHIST_BEGIN

/*
 * Copies the store to the directory `to`, which must not be there, or be empty: the log up to the event that was the newest
 * when it began. Nobody waits for it; compactions and other backups are kept out meanwhile (BUSY). The index is not copied: it is
 * made anew when the copy is opened. The copy has the modes of a store (0700, 0600) whatever the umask, is read again and verified
 * (as ecshist_verify does with QUICK), is flushed to the disk with its directories, and only then gets its name: before, and if the
 * process is killed, it is a directory beside it, named TO.new-XXXXXX, which can be removed.
 *
 * A backup is a store of its own: it can be opened where it is, or copied back. options and result may be NULL. Errors: EXISTS,
 * BUSY, DAMAGED (the store's log is; there is no copy then), IO, INDEX, NO_MEMORY, END (progress said stop), MISUSE. Thread-safe.
 */
ECSHIST_API int ecshist_backup(ecshist_store *store, const char *to,
                               const struct ecshist_backup_options *options,
                               struct ecshist_backup_result *result, struct ecshist_error *error)
    ECSHIST_CHECKED;

ECSHIST_END_DECLS

#endif
