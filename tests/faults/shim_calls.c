/*
 * System calls, under the names by which the store and LMDB call them. Each asks whether it is to
 * fail, and otherwise does what it says. Calls that libc makes within a function of its own
 * (realpath, mkdtemp, readdir) fail as that function.
 */
#include "faults/shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What a call may do. EIO is every call's. */
enum {
    ROOM = 1,    /* it may need room on the disk */
    SIGNALS = 2, /* it may be interrupted, by its manual page */
    PART = 4,    /* it may do a part of what was asked */
    OPENS = 8,   /* it makes a descriptor */
    MAPS = 16,
    LOCKS = 32,
    REMOVES = 64 /* what it does not do stays behind */
};

static int errno_of(enum shim_class class, unsigned may)
{
    if (class == SHIM_ENOSPC)
        return ENOSPC;
    if (class == SHIM_EINTR)
        return EINTR;
    if (class == SHIM_LIMIT)
        return (may & MAPS) != 0 ? ENOMEM : EMFILE;
    if ((may & MAPS) != 0)
        return ENODEV;
    return (may & LOCKS) != 0 ? ENOLCK : EIO;
}

static bool concerns(enum shim_class class, unsigned may)
{
    switch (class) {
    case SHIM_EIO:
        return true;
    case SHIM_ENOSPC:
        return (may & ROOM) != 0;
    case SHIM_LIMIT:
        return (may & (OPENS | MAPS)) != 0;
    case SHIM_EINTR:
        return (may & SIGNALS) != 0;
    default:
        return false;
    }
}

/* True with errno set: the call fails. */
static bool fails(const char *call, unsigned may, int fd, const char *name, const void *caller)
{
    if (!shim_armed || !concerns(shim_class_armed, may) ||
        !shim_strikes(shim_class_armed, call, fd, name, caller))
        return false;
    if ((may & REMOVES) != 0)
        shim_note_removal();
    shim_note_failure(errno_of(shim_class_armed, may));
    return true;
}

/* How many of the bytes are to be read or written. */
static size_t part(const char *call, int fd, size_t length, const void *caller)
{
    if (length < 2 || !shim_strikes(SHIM_SHORT, call, fd, NULL, caller))
        return length;
    return length / 2;
}

#define FAILS(call, may, fd, name) fails(call, may, fd, name, __builtin_return_address(0))
#define PART_OF(call, fd, length) part(call, fd, length, __builtin_return_address(0))
/* The function that stands behind ours. */
#define NEXT(type, name)                                                                           \
    static type *next;                                                                             \
    if (next == NULL)                                                                              \
    *(void **)&next = dlsym(RTLD_NEXT, name)

/* -- opening ----------------------------------------------------------------------------------- */

static mode_t mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

static unsigned may_open(int flags)
{
    /* A directory is opened to have something done in it, removing too. */
    return OPENS | SIGNALS | ((flags & O_CREAT) != 0 ? ROOM : 0u) |
           ((flags & O_DIRECTORY) != 0 ? REMOVES : 0u);
}

typedef int openat_fn(int dir, const char *name, int flags, ...);

static int open_for_real(int dir, const char *name, int flags, mode_t mode)
{
    NEXT(openat_fn, "openat");
    return next(dir, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    if (FAILS("open", may_open(flags), -1, name))
        return -1;
    return open_for_real(AT_FDCWD, name, flags, mode);
}

int openat(int dir, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    if (FAILS("openat", may_open(flags), -1, name))
        return -1;
    return open_for_real(dir, name, flags, mode);
}

typedef DIR *fdopendir_fn(int fd);
DIR *fdopendir(int fd)
{
    NEXT(fdopendir_fn, "fdopendir");
    if (FAILS("fdopendir", REMOVES, fd, NULL))
        return NULL;
    shim_in_listing = true;
    DIR *dir = next(fd);
    shim_in_listing = false;
    return dir;
}

typedef struct dirent *readdir_fn(DIR *dir);
struct dirent *readdir(DIR *dir)
{
    NEXT(readdir_fn, "readdir");
    return FAILS("readdir", REMOVES, -1, NULL) ? NULL : next(dir);
}

/* -- reading and writing ----------------------------------------------------------------------- */

typedef ssize_t read_fn(int fd, void *data, size_t length);
ssize_t read(int fd, void *data, size_t length)
{
    NEXT(read_fn, "read");
    if (FAILS("read", SIGNALS, fd, NULL))
        return -1;
    return next(fd, data, PART_OF("read", fd, length));
}

typedef ssize_t pread_fn(int fd, void *data, size_t length, off_t offset);
ssize_t pread(int fd, void *data, size_t length, off_t offset)
{
    NEXT(pread_fn, "pread");
    if (FAILS("pread", SIGNALS, fd, NULL))
        return -1;
    return next(fd, data, PART_OF("pread", fd, length), offset);
}

/* docs/FORMAT.md, section 4. */
static bool is_frame(const void *data, size_t length)
{
    return length >= 32 && memcmp((const char *)data + 8, "FRME", 4) == 0;
}

typedef ssize_t pwrite_fn(int fd, const void *data, size_t length, off_t offset);
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    NEXT(pwrite_fn, "pwrite");
    const void *caller = __builtin_return_address(0);
    if (shim_armed && is_frame(data, length))
        shim_note_frame();
    if (fails("pwrite", ROOM | SIGNALS, fd, NULL, caller))
        return -1;
    if (shim_armed && shim_lie == SHIM_DROP_FRAMES && is_frame(data, length))
        return (ssize_t)length;
    return next(fd, data, part("pwrite", fd, length, caller), offset);
}

typedef ssize_t write_fn(int fd, const void *data, size_t length);
ssize_t write(int fd, const void *data, size_t length)
{
    NEXT(write_fn, "write");
    if (FAILS("write", ROOM | SIGNALS, fd, NULL))
        return -1;
    return next(fd, data, PART_OF("write", fd, length));
}

typedef ssize_t writev_fn(int fd, const struct iovec *pieces, int count);
ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    NEXT(writev_fn, "writev");
    const void *caller = __builtin_return_address(0);
    if (fails("writev", ROOM | SIGNALS, fd, NULL, caller))
        return -1;
    if (count > 1 && shim_strikes(SHIM_SHORT, "writev", fd, NULL, caller))
        return next(fd, pieces, count / 2);
    return next(fd, pieces, count);
}

typedef ssize_t pwritev_fn(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    NEXT(pwritev_fn, "pwritev");
    const void *caller = __builtin_return_address(0);
    if (fails("pwritev", ROOM | SIGNALS, fd, NULL, caller))
        return -1;
    if (count > 1 && shim_strikes(SHIM_SHORT, "pwritev", fd, NULL, caller))
        return next(fd, pieces, count / 2, offset);
    return next(fd, pieces, count, offset);
}

typedef ssize_t copy_file_range_fn(int from, off64_t *from_at, int to, off64_t *to_at,
                                   size_t length, unsigned flags);
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length,
                        unsigned flags)
{
    NEXT(copy_file_range_fn, "copy_file_range");
    if (FAILS("copy_file_range", ROOM, to, NULL))
        return -1;
    return next(from, from_at, to, to_at, PART_OF("copy_file_range", to, length), flags);
}

typedef off_t lseek_fn(int fd, off_t offset, int from);
off_t lseek(int fd, off_t offset, int from)
{
    NEXT(lseek_fn, "lseek");
    return FAILS("lseek", 0, fd, NULL) ? -1 : next(fd, offset, from);
}

typedef int ftruncate_fn(int fd, off_t length);
int ftruncate(int fd, off_t length)
{
    NEXT(ftruncate_fn, "ftruncate");
    return FAILS("ftruncate", ROOM | SIGNALS, fd, NULL) ? -1 : next(fd, length);
}

typedef int fallocate_fn(int fd, int mode, off_t offset, off_t length);
int fallocate(int fd, int mode, off_t offset, off_t length)
{
    NEXT(fallocate_fn, "fallocate");
    return FAILS("fallocate", ROOM | SIGNALS, fd, NULL) ? -1 : next(fd, mode, offset, length);
}

typedef ssize_t getrandom_fn(void *data, size_t length, unsigned flags);
ssize_t getrandom(void *data, size_t length, unsigned flags)
{
    NEXT(getrandom_fn, "getrandom");
    if (FAILS("getrandom", SIGNALS, -1, NULL))
        return -1;
    return next(data, PART_OF("getrandom", -1, length), flags);
}

/* -- flushing ---------------------------------------------------------------------------------- */

typedef int flush_fn(int fd);
int fsync(int fd)
{
    NEXT(flush_fn, "fsync");
    return FAILS("fsync", ROOM | SIGNALS, fd, NULL) ? -1 : next(fd);
}

int fdatasync(int fd)
{
    NEXT(flush_fn, "fdatasync");
    return FAILS("fdatasync", ROOM | SIGNALS, fd, NULL) ? -1 : next(fd);
}

typedef int msync_fn(void *at, size_t length, int flags);
int msync(void *at, size_t length, int flags)
{
    NEXT(msync_fn, "msync");
    return FAILS("msync", 0, -1, NULL) ? -1 : next(at, length, flags);
}

/* -- names ------------------------------------------------------------------------------------- */

typedef int rename_fn(const char *from, const char *to);
int rename(const char *from, const char *to)
{
    NEXT(rename_fn, "rename");
    return FAILS("rename", ROOM, -1, to) ? -1 : next(from, to);
}

typedef int renameat_fn(int from_dir, const char *from, int to_dir, const char *to);
int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    NEXT(renameat_fn, "renameat");
    return FAILS("renameat", ROOM, -1, to) ? -1 : next(from_dir, from, to_dir, to);
}

typedef int renameat2_fn(int from_dir, const char *from, int to_dir, const char *to,
                         unsigned flags);
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    NEXT(renameat2_fn, "renameat2");
    return FAILS("renameat2", ROOM, -1, to) ? -1 : next(from_dir, from, to_dir, to, flags);
}

typedef int linkat_fn(int from_dir, const char *from, int to_dir, const char *to, int flags);
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    NEXT(linkat_fn, "linkat");
    return FAILS("linkat", ROOM, -1, to) ? -1 : next(from_dir, from, to_dir, to, flags);
}

typedef int link_fn(const char *from, const char *to);
int link(const char *from, const char *to)
{
    NEXT(link_fn, "link");
    return FAILS("link", ROOM, -1, to) ? -1 : next(from, to);
}

typedef int unlinkat_fn(int dir, const char *name, int flags);
int unlinkat(int dir, const char *name, int flags)
{
    NEXT(unlinkat_fn, "unlinkat");
    return FAILS("unlinkat", REMOVES, -1, name) ? -1 : next(dir, name, flags);
}

typedef int name_fn(const char *name);
int unlink(const char *name)
{
    NEXT(name_fn, "unlink");
    return FAILS("unlink", REMOVES, -1, name) ? -1 : next(name);
}

int rmdir(const char *name)
{
    NEXT(name_fn, "rmdir");
    return FAILS("rmdir", REMOVES, -1, name) ? -1 : next(name);
}

typedef int mkdir_fn(const char *name, mode_t mode);
int mkdir(const char *name, mode_t mode)
{
    NEXT(mkdir_fn, "mkdir");
    return FAILS("mkdir", ROOM, -1, name) ? -1 : next(name, mode);
}

typedef int mkdirat_fn(int dir, const char *name, mode_t mode);
int mkdirat(int dir, const char *name, mode_t mode)
{
    NEXT(mkdirat_fn, "mkdirat");
    return FAILS("mkdirat", ROOM, -1, name) ? -1 : next(dir, name, mode);
}

typedef char *mkdtemp_fn(char *name);
char *mkdtemp(char *name)
{
    NEXT(mkdtemp_fn, "mkdtemp");
    return FAILS("mkdtemp", ROOM, -1, name) ? NULL : next(name);
}

typedef char *realpath_fn(const char *name, char *out);
char *realpath(const char *name, char *out)
{
    NEXT(realpath_fn, "realpath");
    return FAILS("realpath", 0, -1, name) ? NULL : next(name, out);
}

typedef int faccessat_fn(int dir, const char *name, int how, int flags);
int faccessat(int dir, const char *name, int how, int flags)
{
    NEXT(faccessat_fn, "faccessat");
    return FAILS("faccessat", 0, -1, name) ? -1 : next(dir, name, how, flags);
}

/* -- asking ------------------------------------------------------------------------------------ */

typedef int stat_fn(const char *name, struct stat *status);
int stat(const char *name, struct stat *status)
{
    NEXT(stat_fn, "stat");
    return FAILS("stat", 0, -1, name) ? -1 : next(name, status);
}

typedef int fstat_fn(int fd, struct stat *status);
int fstat(int fd, struct stat *status)
{
    NEXT(fstat_fn, "fstat");
    return FAILS("fstat", 0, fd, NULL) ? -1 : next(fd, status);
}

typedef int fxstat_fn(int version, int fd, struct stat *status);
int __fxstat(int version, int fd, struct stat *status);
int __fxstat(int version, int fd, struct stat *status)
{
    NEXT(fxstat_fn, "__fxstat");
    return FAILS("fstat", 0, fd, NULL) ? -1 : next(version, fd, status);
}

typedef int fstatat_fn(int dir, const char *name, struct stat *status, int flags);
int fstatat(int dir, const char *name, struct stat *status, int flags)
{
    NEXT(fstatat_fn, "fstatat");
    return FAILS("fstatat", 0, -1, name) ? -1 : next(dir, name, status, flags);
}

typedef int fstatfs_fn(int fd, struct statfs *status);
int fstatfs(int fd, struct statfs *status)
{
    NEXT(fstatfs_fn, "fstatfs");
    return FAILS("fstatfs", SIGNALS, fd, NULL) ? -1 : next(fd, status);
}

/* -- locks and maps ---------------------------------------------------------------------------- */

typedef int flock_fn(int fd, int how);
int flock(int fd, int how)
{
    NEXT(flock_fn, "flock");
    /* Nobody is ever kept waiting by letting go, or by asking only. */
    unsigned may = (how & (LOCK_UN | LOCK_NB)) != 0 ? LOCKS : LOCKS | SIGNALS;
    return FAILS("flock", may, fd, NULL) ? -1 : next(fd, how);
}

typedef int fcntl_fn(int fd, int command, ...);
int fcntl(int fd, int command, ...)
{
    NEXT(fcntl_fn, "fcntl");
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    bool lock = command == F_SETLK || command == F_SETLKW;
    unsigned may = (lock ? LOCKS : 0u) | (command == F_SETLKW ? SIGNALS : 0u);
    return FAILS("fcntl", may, fd, NULL) ? -1 : next(fd, command, argument);
}

typedef void *mmap_fn(void *at, size_t length, int protection, int flags, int fd, off_t offset);
void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    NEXT(mmap_fn, "mmap");
    if (fd >= 0 && FAILS("mmap", MAPS, fd, NULL))
        return MAP_FAILED;
    return next(at, length, protection, flags, fd, offset);
}
