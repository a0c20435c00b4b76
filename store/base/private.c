#include "base/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_keeping_errno(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
}

/* Somebody's FIFO in a file's place would be waited for, but for O_NONBLOCK, which files do not know. */
static int open_retrying(int dir_fd, const char *name, int flags)
{
    int fd;
    do {
        fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int give_to_owner(int dir_fd, int fd)
{
    struct stat dir;
    if (geteuid() != 0)
        return 0;
    if (fstat(dir_fd, &dir) != 0)
        return -1;
    return dir.st_uid == 0 ? 0 : fchown(fd, dir.st_uid, dir.st_gid);
}

/* What was there before keeps its mode: somebody may have given it on purpose. */
static int make_file(int dir_fd, const char *name, int flags)
{
    int fd = open_retrying(dir_fd, name, flags | O_EXCL);
    if (fd < 0 || (fchmod(fd, 0600) == 0 && give_to_owner(dir_fd, fd) == 0))
        return fd;
    close_keeping_errno(fd);
    int saved = errno;
    (void)unlinkat(dir_fd, name, 0);
    errno = saved;
    return -1;
}

int ehi_private_file(int dir_fd, const char *name, int flags)
{
    if ((flags & O_CREAT) == 0)
        return open_retrying(dir_fd, name, flags);
    int fd = make_file(dir_fd, name, flags);
    while (fd < 0 && errno == EEXIST && (flags & O_EXCL) == 0) {
        fd = open_retrying(dir_fd, name, flags & ~O_CREAT);
        if (fd >= 0 || errno != ENOENT)
            break;
        fd = make_file(dir_fd, name, flags); /* it was removed between the two */
    }
    return fd;
}

/*
 * A directory that the umask took "read" from cannot be opened to give it back; a path to it is not
 * certain to lead to it still. O_PATH opens anything, and /proc leads from there to just this one.
 */
static int give_mode(int path_fd)
{
    struct stat status;
    char link[64];
    if (fstat(path_fd, &status) != 0)
        return -1;
    if ((status.st_mode & 07777) == 0700)
        return 0;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
    return chmod(link, 0700);
}

static int make_dir(int dir_fd, const char *name, int give_to)
{
    if (mkdirat(dir_fd, name, 0700) != 0)
        return -1;
    int path_fd = open_retrying(dir_fd, name, O_PATH | O_DIRECTORY);
    int fd = -1;
    if (path_fd >= 0 && give_mode(path_fd) == 0)
        fd = open_retrying(path_fd, ".", O_RDONLY | O_DIRECTORY);
    if (fd >= 0 && give_to >= 0 && give_to_owner(give_to, fd) != 0) {
        close_keeping_errno(fd);
        fd = -1;
    }
    if (path_fd >= 0)
        close_keeping_errno(path_fd);
    if (fd < 0) {
        int saved = errno;
        (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
        errno = saved;
    }
    return fd;
}

int ehi_private_dir(int dir_fd, const char *name)
{
    return make_dir(dir_fd, name, dir_fd);
}

int ehi_private_top(int dir_fd, const char *name)
{
    return make_dir(dir_fd, name, -1);
}
