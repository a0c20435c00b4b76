/*
 * The calls that change files, as this program and the libraries in it see them: made, and recorded where they are about
 * a file in the directory that is watched. What errno says afterwards is what the call made of it.
 */
#include "crash/trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_OPS = 100000, MOST_BYTES = 512 * 1024 * 1024, MOST_INODES = 4096 };

static struct trace *watched;
static char directory[PATH_MAX];
static const char *forgotten;
/* Files that the trace knows of. An inode's number may be given again when its file is gone: so each has its own. */
static struct {
    uint64_t inode, id;
} known[MOST_INODES];
static size_t known_count;
static uint64_t last_id;

struct trace *trace_new(void)
{
    size_t size = sizeof(struct trace) + MOST_OPS * sizeof(struct trace_op) + MOST_BYTES;
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    struct trace *trace = memory;
    trace->ops = (struct trace_op *)(trace + 1);
    trace->data = (uint8_t *)(trace->ops + MOST_OPS);
    return trace;
}

static struct trace_op *record(enum trace_kind kind)
{
    if (watched->count == MOST_OPS) {
        watched->full = true;
        return &watched->ops[MOST_OPS - 1];
    }
    struct trace_op *op = &watched->ops[watched->count++];
    memset(op, 0, sizeof(*op));
    op->kind = kind;
    return op;
}

/* 0: not known. */
static uint64_t id_of(uint64_t inode)
{
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].inode == inode)
            return known[i].id;
    }
    return 0;
}

static uint64_t know(uint64_t inode)
{
    if (known_count == MOST_INODES)
        abort();
    known[known_count].inode = inode;
    known[known_count].id = ++last_id;
    known_count++;
    return last_id;
}

static void forget(uint64_t inode)
{
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].inode == inode)
            known[i--] = known[--known_count];
    }
}

static void copy_name(char *to, const char *from)
{
    snprintf(to, TRACE_NAME, "%s", from);
}

static uint64_t inode_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* The path of an open file, where it is in the directory that is watched. */
static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    size_t own = strlen(directory);
    /* One that has no name any more is lost with the power, whatever is written to it. */
    return strncmp(path, directory, own) == 0 && (path[own] == '/' || path[own] == '\0') &&
           strstr(path, " (deleted)") == NULL;
}

static void full_path(int dirfd, const char *name, char path[PATH_MAX])
{
    char at[PATH_MAX];
    if (name[0] == '/' || dirfd == AT_FDCWD)
        snprintf(path, PATH_MAX, "%s", name);
    else if (!path_of(dirfd, at))
        snprintf(path, PATH_MAX, "%s", name);
    else
        snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX / 2, at, name);
}

/* The parent's inode, and the last part of the path. 0: not in the directory that is watched. */
static uint64_t parent_of(const char *path, char name[TRACE_NAME])
{
    char copy[PATH_MAX];
    size_t own = strlen(directory);
    if (strncmp(path, directory, own) != 0 || path[own] != '/')
        return 0;
    snprintf(copy, sizeof(copy), "%s", path);
    char *slash = strrchr(copy, '/');
    copy_name(name, slash + 1);
    *slash = '\0';
    return inode_of(copy);
}

static void record_birth(enum trace_kind kind, const char *path, uint64_t inode)
{
    char name[TRACE_NAME];
    uint64_t parent = parent_of(path, name);
    if (parent == 0 || id_of(inode) != 0)
        return;
    /* mkdtemp makes its directory within the C library. */
    if (id_of(parent) == 0) {
        char above[PATH_MAX];
        snprintf(above, sizeof(above), "%s", path);
        *strrchr(above, '/') = '\0';
        record_birth(TRACE_MKDIR, above, parent);
    }
    struct trace_op *op = record(kind);
    op->inode = know(inode);
    op->parent = id_of(parent);
    copy_name(op->name, name);
    copy_name(op->file, name);
}

/* An open file that is watched: its id; 0: none such. */
static uint64_t watched_id(int fd, char path[PATH_MAX])
{
    struct stat st;
    if (watched == NULL || fstat(fd, &st) != 0 || !path_of(fd, path))
        return 0;
    if (id_of((uint64_t)st.st_ino) == 0)
        record_birth(S_ISDIR(st.st_mode) ? TRACE_MKDIR : TRACE_CREATE, path, (uint64_t)st.st_ino);
    return id_of((uint64_t)st.st_ino);
}

void trace_start(struct trace *trace, const char *path)
{
    struct stat st;
    if (realpath(path, directory) == NULL || stat(directory, &st) != 0)
        abort();
    known_count = 0;
    trace->root = know((uint64_t)st.st_ino);
    watched = trace;
}

void trace_stop(void)
{
    watched = NULL;
}

void trace_mark(enum trace_mark mark, uint64_t number)
{
    struct trace_op *op = record(TRACE_MARK);
    op->offset = (uint64_t)mark;
    op->length = number;
}

void trace_forget_sync(const char *name)
{
    forgotten = name;
}

static void record_sync(int fd)
{
    int saved = errno;
    char path[PATH_MAX];
    uint64_t inode = watched_id(fd, path);
    const char *name = inode != 0 ? strrchr(path, '/') + 1 : "";
    bool forget = forgotten != NULL && strstr(name, forgotten) != NULL;
    if (inode != 0 && !forget) {
        struct trace_op *op = record(TRACE_SYNC);
        op->inode = inode;
        copy_name(op->file, name);
    }
    errno = saved;
}

static void record_write(int fd, const void *data, size_t length, uint64_t offset)
{
    int saved = errno;
    char path[PATH_MAX];
    uint64_t inode = watched_id(fd, path);
    if (inode != 0 && watched->bytes + length > MOST_BYTES)
        watched->full = true;
    if (inode != 0 && !watched->full) {
        struct trace_op *op = record(TRACE_WRITE);
        op->inode = inode;
        op->offset = offset;
        op->length = length;
        op->data = watched->bytes;
        copy_name(op->file, strrchr(path, '/') + 1);
        memcpy(watched->data + watched->bytes, data, length);
        watched->bytes += length;
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_DSYNC) != 0)
            record_sync(fd);
    }
    errno = saved;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    ssize_t n = REAL(pwrite)(fd, data, length, offset);
    if (watched != NULL && n > 0)
        record_write(fd, data, (size_t)n, (uint64_t)offset);
    return n;
}

ssize_t write(int fd, const void *data, size_t length)
{
    off_t at = watched != NULL ? lseek(fd, 0, SEEK_CUR) : -1;
    ssize_t n = REAL(write)(fd, data, length);
    if (watched != NULL && n > 0 && at >= 0)
        record_write(fd, data, (size_t)n, (uint64_t)at);
    return n;
}

static void record_vector(int fd, const struct iovec *parts, int count, size_t written, uint64_t at)
{
    for (int i = 0; i < count && written > 0; i++) {
        size_t n = parts[i].iov_len < written ? parts[i].iov_len : written;
        record_write(fd, parts[i].iov_base, n, at);
        at += n;
        written -= n;
    }
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    off_t at = watched != NULL ? lseek(fd, 0, SEEK_CUR) : -1;
    ssize_t n = REAL(writev)(fd, parts, count);
    if (watched != NULL && n > 0 && at >= 0)
        record_vector(fd, parts, count, (size_t)n, (uint64_t)at);
    return n;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    ssize_t n = REAL(pwritev)(fd, parts, count, offset);
    if (watched != NULL && n > 0)
        record_vector(fd, parts, count, (size_t)n, (uint64_t)offset);
    return n;
}

int ftruncate(int fd, off_t size)
{
    char path[PATH_MAX];
    int rc = REAL(ftruncate)(fd, size);
    uint64_t inode = rc == 0 ? watched_id(fd, path) : 0;
    if (inode != 0) {
        struct trace_op *op = record(TRACE_TRUNCATE);
        op->inode = inode;
        op->offset = (uint64_t)size;
        copy_name(op->file, strrchr(path, '/') + 1);
    }
    return rc;
}

int fsync(int fd)
{
    int rc = REAL(fsync)(fd);
    if (watched != NULL && rc == 0)
        record_sync(fd);
    return rc;
}

int fdatasync(int fd)
{
    int rc = REAL(fdatasync)(fd);
    if (watched != NULL && rc == 0)
        record_sync(fd);
    return rc;
}

static int opened(int fd, int flags, const char *path, bool existed)
{
    int saved = errno;
    struct stat st;
    char real[PATH_MAX];
    if (watched != NULL && fd >= 0 && fstat(fd, &st) == 0 && path_of(fd, real)) {
        if (!existed && (flags & O_CREAT) != 0)
            record_birth(TRACE_CREATE, real, (uint64_t)st.st_ino);
        else if ((flags & O_TRUNC) != 0) {
            struct trace_op *op = record(TRACE_TRUNCATE);
            op->inode = id_of((uint64_t)st.st_ino);
            copy_name(op->file, strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path);
        }
    }
    errno = saved;
    return fd;
}

static bool exists(int dirfd, const char *path)
{
    struct stat st;
    int saved = errno;
    bool is = fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    errno = saved;
    return is;
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    bool existed = watched != NULL && exists(AT_FDCWD, path);
    return opened(REAL(open)(path, flags, mode), flags, path, existed);
}

int openat(int dirfd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    bool existed = watched != NULL && exists(dirfd, path);
    return opened(REAL(openat)(dirfd, path, flags, mode), flags, path, existed);
}

static void record_mkdir(int dirfd, const char *name)
{
    int saved = errno;
    char path[PATH_MAX];
    full_path(dirfd, name, path);
    uint64_t inode = inode_of(path);
    if (inode != 0)
        record_birth(TRACE_MKDIR, path, inode);
    errno = saved;
}

int mkdir(const char *path, mode_t mode)
{
    int rc = REAL(mkdir)(path, mode);
    if (watched != NULL && rc == 0)
        record_mkdir(AT_FDCWD, path);
    return rc;
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
    int rc = REAL(mkdirat)(dirfd, path, mode);
    if (watched != NULL && rc == 0)
        record_mkdir(dirfd, path);
    return rc;
}

struct renaming {
    char from[PATH_MAX], to[PATH_MAX];
    uint64_t inode, inode2;
};

static void before_rename(struct renaming *r, int fromfd, const char *from, int tofd,
                          const char *to)
{
    int saved = errno;
    full_path(fromfd, from, r->from);
    full_path(tofd, to, r->to);
    r->inode = inode_of(r->from);
    r->inode2 = inode_of(r->to);
    errno = saved;
}

static void after_rename(const struct renaming *r, enum trace_kind kind)
{
    int saved = errno;
    char name[TRACE_NAME], name2[TRACE_NAME];
    uint64_t parent = parent_of(r->from, name), parent2 = parent_of(r->to, name2);
    if (parent != 0 && parent2 != 0) {
        struct trace_op *op = record(kind);
        op->inode = id_of(r->inode);
        op->inode2 = id_of(r->inode2);
        op->parent = id_of(parent);
        op->parent2 = id_of(parent2);
        copy_name(op->name, name);
        copy_name(op->name2, name2);
        copy_name(op->file, name);
        if (kind == TRACE_RENAME && r->inode2 != 0)
            forget(r->inode2); /* its place was taken */
    }
    errno = saved;
}

int renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
    struct renaming r;
    if (watched != NULL)
        before_rename(&r, fromfd, from, tofd, to);
    int rc = REAL(renameat2)(fromfd, from, tofd, to, flags);
    if (watched != NULL && rc == 0)
        after_rename(&r, (flags & RENAME_EXCHANGE) != 0 ? TRACE_EXCHANGE : TRACE_RENAME);
    return rc;
}

int renameat(int fromfd, const char *from, int tofd, const char *to)
{
    struct renaming r;
    if (watched != NULL)
        before_rename(&r, fromfd, from, tofd, to);
    int rc = REAL(renameat)(fromfd, from, tofd, to);
    if (watched != NULL && rc == 0)
        after_rename(&r, TRACE_RENAME);
    return rc;
}

int rename(const char *from, const char *to)
{
    struct renaming r;
    if (watched != NULL)
        before_rename(&r, AT_FDCWD, from, AT_FDCWD, to);
    int rc = REAL(rename)(from, to);
    if (watched != NULL && rc == 0)
        after_rename(&r, TRACE_RENAME);
    return rc;
}

/* LMDB's lock file is given its name so. The model leaves that out; of another file it could not. */
int link(const char *from, const char *to)
{
    if (watched != NULL && strstr(to, "lock.mdb") == NULL)
        abort();
    return REAL(link)(from, to);
}

/* What goes by this name; 0: nothing. */
static uint64_t before_unlink(int dirfd, const char *name)
{
    int saved = errno;
    char path[PATH_MAX];
    full_path(dirfd, name, path);
    uint64_t inode = watched != NULL ? inode_of(path) : 0;
    errno = saved;
    return inode;
}

static void record_unlink(int dirfd, const char *name, uint64_t inode)
{
    int saved = errno;
    char path[PATH_MAX], last[TRACE_NAME];
    full_path(dirfd, name, path);
    uint64_t parent = parent_of(path, last);
    if (parent != 0) {
        struct trace_op *op = record(TRACE_UNLINK);
        op->parent = id_of(parent);
        copy_name(op->name, last);
        copy_name(op->file, last);
        forget(inode);
    }
    errno = saved;
}

int unlinkat(int dirfd, const char *path, int flags)
{
    uint64_t inode = before_unlink(dirfd, path);
    int rc = REAL(unlinkat)(dirfd, path, flags);
    if (watched != NULL && rc == 0)
        record_unlink(dirfd, path, inode);
    return rc;
}

int unlink(const char *path)
{
    uint64_t inode = before_unlink(AT_FDCWD, path);
    int rc = REAL(unlink)(path);
    if (watched != NULL && rc == 0)
        record_unlink(AT_FDCWD, path, inode);
    return rc;
}

int rmdir(const char *path)
{
    uint64_t inode = before_unlink(AT_FDCWD, path);
    int rc = REAL(rmdir)(path);
    if (watched != NULL && rc == 0)
        record_unlink(AT_FDCWD, path, inode);
    return rc;
}
