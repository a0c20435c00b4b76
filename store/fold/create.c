/* A new store: made whole beside its place, then renamed into it. */
#include "base/clock.h"
#include "fold/store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fill(int dir_fd, const char *temporary, struct ecshist_error *error)
{
    uint8_t store_id[16];
    if (!ehi_random(store_id, sizeof(store_id)))
        return ehi_fail_errno(error, ECSHIST_IO, "asking the kernel for random bytes");
    if (mkdirat(dir_fd, "log", 0700) != 0 || mkdirat(dir_fd, "index", 0700) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making the directories of %s", temporary);
    int log_fd = openat(dir_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (log_fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/log", temporary);
    int rc = ehi_log_create(log_fd, temporary, store_id, error);
    close(log_fd);
    if (rc == ECSHIST_OK && fsync(dir_fd) != 0)
        rc = ehi_fail_errno(error, ECSHIST_IO, "flushing %s", temporary);
    return rc;
}

static void remove_temporary(const char *temporary)
{
    int dir_fd = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir_fd >= 0) {
        (void)unlinkat(dir_fd, "log/00000000000000000001.seg", 0);
        (void)unlinkat(dir_fd, "log/00000000000000000001.new", 0);
        (void)unlinkat(dir_fd, "log", AT_REMOVEDIR);
        (void)unlinkat(dir_fd, "index", AT_REMOVEDIR);
        close(dir_fd);
    }
    (void)rmdir(temporary);
}

static int flush_parent(const char *path, struct ecshist_error *error)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return ehi_fail_memory(error);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = ECSHIST_OK;
    if (fd < 0 || fsync(fd) != 0)
        rc = ehi_fail_errno(error, ECSHIST_IO, "flushing the directory of %s", path);
    if (fd >= 0)
        close(fd);
    free(copy);
    return rc;
}

/* rename(2) takes the place of nothing or of an empty directory, never of a store. */
static int place(const char *temporary, const char *path, struct ecshist_error *error)
{
    if (rename(temporary, path) == 0)
        return flush_parent(path, error);
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
        return ehi_fail(error, ECSHIST_EXISTS, "%s exists already, and is not an empty directory",
                        path);
    return ehi_fail_errno(error, ECSHIST_IO, "renaming %s to %s", temporary, path);
}

int ehi_store_create(const char *path, struct ecshist_error *error)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *temporary = malloc(length + sizeof(".new-XXXXXX"));
    char *plain = strndup(path, length);
    int rc = ECSHIST_OK;
    int dir_fd = -1;
    if (temporary == NULL || plain == NULL) {
        rc = ehi_fail_memory(error);
        goto out;
    }
    memcpy(temporary, path, length);
    memcpy(temporary + length, ".new-XXXXXX", sizeof(".new-XXXXXX"));
    if (mkdtemp(temporary) == NULL) {
        rc = ehi_fail_errno(error, ECSHIST_IO, "making a directory beside %s", path);
        goto out;
    }
    dir_fd = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    rc = dir_fd < 0 ? ehi_fail_errno(error, ECSHIST_IO, "opening %s", temporary)
                    : fill(dir_fd, temporary, error);
    if (rc == ECSHIST_OK)
        rc = place(temporary, plain, error);
    if (rc != ECSHIST_OK)
        remove_temporary(temporary);
out:
    if (dir_fd >= 0)
        close(dir_fd);
    free(temporary);
    free(plain);
    return rc;
}
