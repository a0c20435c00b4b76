/* Backup: a consistent copy of a store, made while others write to it. */
#ifndef ECSHIST_BACKUP_H
#define ECSHIST_BACKUP_H

#include <ecshist/error.h>
#include <ecshist/export.h>
#include <ecshist/store.h>
#include <stddef.h>
#include <stdint.h>

/* Options of ecshist_backup. All zero (the INIT macro) is a good choice. */
struct ecshist_backup_options {
    size_t size;
    ecshist_progress_fn progress; /* of bytes, thrice: copied, verified, indexed; may be NULL */
    void *progress_context;
};

#define ECSHIST_BACKUP_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(struct ecshist_backup_options), NULL, NULL                                          \
    }

/* What was copied. */
struct ecshist_backup_result {
    size_t size;
    uint64_t segments;
    uint64_t bytes;    /* of their files; the index comes on top */
    uint64_t last_seq; /* of the newest event in the copy; 0: there is none */
};

#define ECSHIST_BACKUP_RESULT_INIT                                                                 \
    {                                                                                              \
        sizeof(struct ecshist_backup_result), 0, 0, 0                                              \
    }

ECSHIST_BEGIN

/*
 * Copies the store to the directory `to`: all events that were visible when it began, and none that came later.
 * Appends and reads go on and wait for nothing. `to` must not be there, or be an empty directory, and its parent
 * must be there; it may not lie within the store. The copy is 0700, its files 0600, whatever the umask. It is a
 * store: opened as it is, also where nothing can be written, or copied back to where the store was.
 *
 * The log is copied, flushed, verified as by ecshist_verify with QUICK, and an index is made from it: some two seconds
 * for a million events. All of that in a directory beside `to`, named as it with ".backup-" and twelve
 * hexadecimal digits behind, which is given the name `to` in the end. On failure it is removed; when the process is
 * killed, it stays, and can be removed.
 *
 * options and result may be NULL. Errors: INVALID (`to` is empty or within the store), EXISTS, BUSY (a compaction
 * or another backup is under way), DAMAGED (a segment, with its place and what is wrong: there is no copy then),
 * IO, INDEX, FULL, NO_MEMORY, END (progress said stop), MISUSE. Thread-safe.
 */
ECSHIST_API int ecshist_backup(ecshist_store *store, const char *to,
                               const struct ecshist_backup_options *options,
                               struct ecshist_backup_result *result, struct ecshist_error *error)
    ECSHIST_CHECKED;

ECSHIST_END_DECLS

#endif
