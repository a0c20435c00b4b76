/* Whether a directory may be trusted as a store: what others could have put there. */
#ifndef EHI_FOLD_GUARD_H
#define EHI_FOLD_GUARD_H

#include "base/error.h"

/* Nothing in the store is a symbolic link. FORMAT, naming it. */
int ehi_guard_links(int dir_fd, const char *path, struct ecshist_error *error) ECSHIST_CHECKED;
/* Nobody is in control of the store whom this process should not write for. IO. */
int ehi_guard_writing(int dir_fd, const char *path, struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Takes this process's id until ehi_guard_release(*out). LMDB tells processes apart by their ids; two containers that
 * share a store can have the same. BUSY, IO.
 */
int ehi_guard_pid(int dir_fd, const char *path, int *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Gives it back; -1 is allowed. */
void ehi_guard_release(int fd);

#endif
