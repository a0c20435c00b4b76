/* Where a backup goes: made beside its place under another name, and renamed when it is whole. */
#include "base/clock.h"
#include "base/private.h"
#include "log/sys.h"
#include "upkeep/backup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_DIGITS = 12 };
#define TEMPORARY_INFIX ".backup-"

void backup_segment_name(uint64_t segment, char name[32])
{
    snprintf(name, 32, "%020" PRIu64 ".seg", segment);
}

/* What is there already: an empty directory is taken the place of; a link is followed to it. */
static int resolve(const char *to, char path[PATH_MAX], struct ecshist_error *error)
{
    struct stat status;
    size_t length = strlen(to);
    while (length > 1 && to[length - 1] == '/')
        length--;
    if (length == 0)
        return ehi_fail(error, ECSHIST_INVALID, "the place of a backup must be named");
    if (realpath(to, path) != NULL)
        return ECSHIST_OK;
    if (errno != ENOENT)
        return ehi_fail_errno(error, ECSHIST_IO, "looking at %s", to);
    if (length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return ehi_fail_errno(error, ECSHIST_IO, "%s", to);
    }
    memcpy(path, to, length);
    path[length] = '\0';
    if (lstat(path, &status) == 0)
        return ehi_fail(error, ECSHIST_EXISTS, "%s is a link to nothing", path);
    return ECSHIST_OK;
}

static int split(struct backup *b, const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    snprintf(b->parent, sizeof(b->parent), "%s", dirname(copy));
    snprintf(copy, sizeof(copy), "%s", path);
    const char *name = basename(copy);
    const size_t room = NAME_MAX - (sizeof(TEMPORARY_INFIX) - 1) - TEMPORARY_DIGITS;
    if (strlen(name) > room) {
        errno = ENAMETOOLONG;
        return ehi_fail_errno(b->error, ECSHIST_IO, "%s", path);
    }
    snprintf(b->name, sizeof(b->name), "%.*s", (int)room, name);
    b->parent_fd = open(b->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->parent_fd < 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "opening %s", b->parent);
    return ECSHIST_OK;
}

int backup_place(struct backup *b, const char *to)
{
    char path[PATH_MAX];
    int rc = resolve(to, path, b->error);
    return rc == ECSHIST_OK ? split(b, path) : rc;
}

/* By what the directories are, not by what they are called. */
static int check_outside(const struct backup *b)
{
    struct stat status, above;
    int fd = ehi_sys_open(b->parent_fd, ".", O_PATH | O_DIRECTORY);
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && fd >= 0 && fstat(fd, &status) == 0) {
        if (status.st_dev == b->store->device && status.st_ino == b->store->inode)
            rc = ehi_fail(b->error, ECSHIST_INVALID,
                          "%s/%s lies within the store %s: a backup must not", b->parent, b->name,
                          b->store->path);
        int up = ehi_sys_open(fd, "..", O_PATH | O_DIRECTORY);
        ehi_sys_close(fd);
        fd = up;
        if (up >= 0 && fstat(up, &above) == 0 && above.st_dev == status.st_dev &&
            above.st_ino == status.st_ino)
            break;
    }
    if (rc == ECSHIST_OK && fd < 0)
        rc = ehi_fail_errno(b->error, ECSHIST_IO, "looking at what is above %s", b->parent);
    ehi_sys_close(fd);
    return rc;
}

static bool is_empty(int dir_fd)
{
    DIR *dir = fdopendir(dir_fd);
    if (dir == NULL) {
        ehi_sys_close(dir_fd);
        return false;
    }
    const struct dirent *entry = readdir(dir);
    while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0))
        entry = readdir(dir);
    bool empty = entry == NULL;
    closedir(dir);
    return empty;
}

static int in_the_way(const struct backup *b)
{
    return ehi_fail(b->error, ECSHIST_EXISTS, "%s/%s exists already, and is not an empty directory",
                    b->parent, b->name);
}

/* Only said earlier than by the rename, which is what decides. */
static int check_free(const struct backup *b)
{
    int fd = ehi_sys_open(b->parent_fd, b->name, O_RDONLY | O_DIRECTORY);
    if (fd >= 0)
        return is_empty(fd) ? ECSHIST_OK : in_the_way(b);
    if (errno == ENOENT)
        return ECSHIST_OK;
    return errno == ENOTDIR || errno == ELOOP
               ? in_the_way(b)
               : ehi_fail_errno(b->error, ECSHIST_IO, "opening %s/%s", b->parent, b->name);
}

int backup_check_place(const struct backup *b)
{
    int rc = check_outside(b);
    return rc == ECSHIST_OK ? check_free(b) : rc;
}

int backup_make_temporary(struct backup *b)
{
    uint8_t random[TEMPORARY_DIGITS / 2];
    if (!ehi_random(random, sizeof(random)))
        return ehi_fail_errno(b->error, ECSHIST_IO, "asking the kernel for random bytes");
    size_t length =
        (size_t)snprintf(b->temporary, sizeof(b->temporary), "%s" TEMPORARY_INFIX, b->name);
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(b->temporary + length + 2 * i, 3, "%02x", random[i]);
    snprintf(b->path, sizeof(b->path), "%s/%s", b->parent, b->temporary);
    b->dir_fd = ehi_private_top(b->parent_fd, b->temporary);
    if (b->dir_fd < 0) {
        int rc = ehi_fail_errno(b->error, ECSHIST_IO, "making %s", b->path);
        b->temporary[0] = '\0';
        return rc;
    }
    b->log_fd = ehi_private_dir(b->dir_fd, "log");
    if (b->log_fd < 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "making %s/log", b->path);
    return ECSHIST_OK;
}

/* What a rebuild makes, and may leave when it fails. */
static void remove_index(int dir_fd, const char *name)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "mark"};
    int fd = ehi_sys_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; fd >= 0 && i < sizeof(files) / sizeof(files[0]); i++)
        (void)ehi_sys_unlink(fd, files[i]);
    ehi_sys_close(fd);
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* Nothing else was put there by us; what somebody else did stays, and the directory with it. */
void backup_remove_temporary(const struct backup *b)
{
    if (b->temporary[0] == '\0')
        return;
    for (size_t at = 0; at < b->copied.length; at += sizeof(uint64_t)) {
        uint64_t segment;
        char name[32];
        memcpy(&segment, b->copied.data + at, sizeof(segment));
        backup_segment_name(segment, name);
        (void)ehi_sys_unlink(b->log_fd, name);
    }
    (void)ehi_sys_unlink(b->dir_fd, "pids");
    (void)ehi_sys_unlink(b->dir_fd, "acknowledged");
    remove_index(b->dir_fd, "index");
    remove_index(b->dir_fd, "index.new");
    remove_index(b->dir_fd, "index.copy");
    (void)unlinkat(b->dir_fd, "log", AT_REMOVEDIR);
    (void)unlinkat(b->parent_fd, b->temporary, AT_REMOVEDIR);
}

/* rename(2) takes the place of nothing or of an empty directory. */
int backup_put_in_place(struct backup *b)
{
    if (renameat(b->parent_fd, b->temporary, b->parent_fd, b->name) != 0) {
        if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
            return in_the_way(b);
        return ehi_fail_errno(b->error, ECSHIST_IO, "renaming %s to %s/%s", b->path, b->parent,
                              b->name);
    }
    b->temporary[0] = '\0';
    if (ehi_sys_fsync(b->parent_fd) != 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "flushing %s", b->parent);
    return ECSHIST_OK;
}
