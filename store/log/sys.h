/*
 * The system calls that durability hangs on, each in one place, so that a fault harness can stand in
 * for them. All return 0, or -1 with errno set; EINTR is retried.
 */
#ifndef EHI_LOG_SYS_H
#define EHI_LOG_SYS_H

#include "base/bytes.h"

/* *written (may be NULL): how many bytes went, also on failure. */
int ehi_sys_pwrite_all(int fd, const void *data, size_t length, uint64_t offset, size_t *written)
    ECSHIST_CHECKED;
/* *got: less than length at the end of the file. */
int ehi_sys_pread_all(int fd, void *data, size_t length, uint64_t offset, size_t *got)
    ECSHIST_CHECKED;
/* Real zeros: blocks that are there need no metadata when they are written again. */
int ehi_sys_zero(int fd, uint64_t from, uint64_t to) ECSHIST_CHECKED;
/* Room for the bytes from the file's end to `to`, as far as the file system knows that of before. */
int ehi_sys_reserve(int fd, uint64_t from, uint64_t to) ECSHIST_CHECKED;
/* Makes a file shorter. */
int ehi_sys_truncate(int fd, uint64_t length) ECSHIST_CHECKED;
/* Asks for these bytes to be written to the disk soon. No more than a wish. */
void ehi_sys_begin_flush(int fd, uint64_t from, uint64_t length);
int ehi_sys_fdatasync(int fd) ECSHIST_CHECKED;
int ehi_sys_fsync(int fd) ECSHIST_CHECKED;
int ehi_sys_rename(int dirfd, const char *from, const char *to) ECSHIST_CHECKED;
int ehi_sys_unlink(int dirfd, const char *name);
/* Returns the descriptor. O_CLOEXEC and O_NOFOLLOW are added, the mode is 0600. */
int ehi_sys_open(int dirfd, const char *name, int flags) ECSHIST_CHECKED;
/* A directory by its path, which may lead over symbolic links. */
int ehi_sys_open_dir(const char *path) ECSHIST_CHECKED;
int ehi_sys_lock(int fd) ECSHIST_CHECKED;
/* Without waiting: EWOULDBLOCK where somebody else has it. */
int ehi_sys_trylock(int fd) ECSHIST_CHECKED;
void ehi_sys_unlock(int fd);
/* Keeps errno. */
void ehi_sys_close(int fd);

#endif
