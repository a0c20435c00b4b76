/*
 * Who may write to a store's directory decides what its files are. Two are told from the rest: root, who must not be
 * led by somebody else's directory to write; and everybody, whom nobody means. A group that may write is left alone: some who
 * run containers give each volume a group of its own that may, and mean it. So is another owner, for whoever is not root: permissions alone
 * decide.
 */
#include "fold/guard.h"

#include "base/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int ehi_guard_links(int dir_fd, const char *path, struct ecshist_error *error)
{
    static const char *const names[] = {"log",    "index", "index/mark",
                                        "upkeep", "pids",  "acknowledged"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct stat status;
        if (fstatat(dir_fd, names[i], &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
            return ehi_fail(error, ECSHIST_FORMAT,
                            "%s/%s is a symbolic link: nothing within a store may be one", path,
                            names[i]);
    }
    return ECSHIST_OK;
}

int ehi_guard_writing(int dir_fd, const char *path, struct ecshist_error *error)
{
    struct stat status;
    if (fstat(dir_fd, &status) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s", path);
    errno = EPERM;
    if (geteuid() == 0 && status.st_uid != 0)
        return ehi_fail_errno(
            error, ECSHIST_IO,
            "%s belongs to user %lu, who could lead root to write anywhere: write "
            "to it as that user",
            path, (unsigned long)status.st_uid);
    if ((status.st_mode & S_IWOTH) != 0)
        return ehi_fail_errno(error, ECSHIST_IO,
                              "everybody may write to the directory %s: take that away (chmod o-w)",
                              path);
    return ECSHIST_OK;
}

/*
 * A lock of the open file, not of the process: those vanish when any descriptor of the file is closed. It is not LMDB's own
 * lock file, because that is swapped with the index.
 */
int ehi_guard_pid(int dir_fd, const char *path, int *out, struct ecshist_error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = getpid(), .l_len = 1};
    int fd = ehi_private_file(dir_fd, "pids", O_RDWR | O_CREAT);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/pids", path);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        *out = fd;
        return ECSHIST_OK;
    }
    int rc = errno == EAGAIN || errno == EACCES
                 ? ehi_fail(error, ECSHIST_BUSY,
                            "a process with the same id, %ld, has %s open, in another container: "
                            "processes that share a store need ids of one PID namespace",
                            (long)getpid(), path)
                 : ehi_fail_errno(error, ECSHIST_IO, "locking %s/pids", path);
    close(fd);
    return rc;
}

/* A forked child may have the same open file for a moment: closing ours would leave the lock with it. */
void ehi_guard_release(int fd)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = getpid(), .l_len = 1};
    if (fd < 0)
        return;
    (void)fcntl(fd, F_OFD_SETLK, &lock);
    close(fd);
}
