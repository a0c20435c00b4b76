#include "log/sys.h"

#include "base/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int ehi_sys_pwrite_all(int fd, const void *data, size_t length, uint64_t offset, size_t *written)
{
    const uint8_t *from = data;
    size_t done = 0;
    int result = 0;
    while (done < length) {
        ssize_t n = pwrite(fd, from + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO; /* a device that takes nothing would be asked for ever */
        if (n <= 0) {
            result = -1;
            break;
        }
        done += (size_t)n;
    }
    if (written != NULL)
        *written = done;
    return result;
}

int ehi_sys_pread_all(int fd, void *data, size_t length, uint64_t offset, size_t *got)
{
    uint8_t *to = data;
    *got = 0;
    while (*got < length) {
        ssize_t n = pread(fd, to + *got, length - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return 0;
}

int ehi_sys_zero(int fd, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[65536];
    while (from < to) {
        size_t length = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        if (ehi_sys_pwrite_all(fd, zeros, length, from, NULL) != 0)
            return -1;
        from += length;
    }
    return 0;
}

int ehi_sys_reserve(int fd, uint64_t from, uint64_t to)
{
    int result;
    do {
        result = fallocate(fd, 0, (off_t)from, (off_t)(to - from));
    } while (result != 0 && errno == EINTR);
    return result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS) ? 0 : result;
}

int ehi_sys_truncate(int fd, uint64_t length)
{
    int result;
    do {
        result = ftruncate(fd, (off_t)length);
    } while (result != 0 && errno == EINTR);
    return result;
}

void ehi_sys_begin_flush(int fd, uint64_t from, uint64_t length)
{
    int saved = errno;
    (void)sync_file_range(fd, (off_t)from, (off_t)length, SYNC_FILE_RANGE_WRITE);
    errno = saved;
}

int ehi_sys_fdatasync(int fd)
{
    int result;
    do {
        result = fdatasync(fd);
    } while (result != 0 && errno == EINTR);
    return result;
}

int ehi_sys_fsync(int fd)
{
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result;
}

int ehi_sys_rename(int dirfd, const char *from, const char *to)
{
    return renameat(dirfd, from, dirfd, to);
}

int ehi_sys_unlink(int dirfd, const char *name)
{
    return unlinkat(dirfd, name, 0);
}

int ehi_sys_open(int dirfd, const char *name, int flags)
{
    return ehi_private_file(dirfd, name, flags);
}

int ehi_sys_open_dir(const char *path)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int lock(int fd, int how)
{
    int result;
    do {
        result = flock(fd, how);
    } while (result != 0 && errno == EINTR);
    return result;
}

int ehi_sys_lock(int fd)
{
    return lock(fd, LOCK_EX);
}

int ehi_sys_trylock(int fd)
{
    return lock(fd, LOCK_EX | LOCK_NB);
}

void ehi_sys_unlock(int fd)
{
    int saved = errno;
    (void)flock(fd, LOCK_UN);
    errno = saved;
}

void ehi_sys_close(int fd)
{
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = saved;
}
