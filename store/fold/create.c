/* A new store: made whole beside its place, then renamed into it. */
#include "base/clock.h"
#include "base/private.h"
#include "fold/store.h"
#include "log/sys.h"

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

static int fill(int dir_fd, const char *temporary, struct ecshist_error *error)
{
    uint8_t store_id[16];
    if (!ehi_random(store_id, sizeof(store_id)))
        return ehi_fail_errno(error, ECSHIST_IO, "asking the kernel for random bytes");
    int index_fd = ehi_private_dir(dir_fd, "index");
    int log_fd = index_fd < 0 ? -1 : ehi_private_dir(dir_fd, "log");
    if (index_fd >= 0)
        close(index_fd);
    if (log_fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making the directories of %s", temporary);
    int rc = ehi_log_create(log_fd, temporary, store_id, error);
    close(log_fd);
    if (rc == ECSHIST_OK && ehi_sys_fsync(dir_fd) != 0)
        rc = ehi_fail_errno(error, ECSHIST_IO, "flushing %s", temporary);
    return rc;
}

static void remove_files(int fd)
{
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(fd, entry->d_name, 0);
    }
    closedir(dir);
}

void ehi_directory_remove(int dir_fd, const char *name)
{
    int fd = ehi_sys_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
    /* These need no memory and no reading of the directory. */
    static const char *const known[] = {"data.mdb", "lock.mdb", "lock.new", "mark"};
    for (size_t i = 0; fd >= 0 && i < sizeof(known) / sizeof(known[0]); i++)
        (void)unlinkat(fd, known[i], 0);
    if (fd >= 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) != 0)
        remove_files(fd);
    else if (fd >= 0)
        close(fd);
    (void)unlinkat(dir_fd, name, fd >= 0 ? AT_REMOVEDIR : 0);
}

static void remove_temporary(const char *temporary)
{
    int dir_fd = ehi_sys_open(AT_FDCWD, temporary, O_RDONLY | O_DIRECTORY);
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
    int fd = ehi_sys_open_dir(dirname(copy));
    int rc = ECSHIST_OK;
    if (fd < 0 || ehi_sys_fsync(fd) != 0)
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
    uint32_t random;
    char *temporary = malloc(length + sizeof(".new-12345678"));
    char *plain = strndup(path, length);
    int rc = ECSHIST_OK;
    int dir_fd = -1;
    if (temporary == NULL || plain == NULL) {
        rc = ehi_fail_memory(error);
        goto out;
    }
    if (!ehi_random(&random, sizeof(random))) {
        rc = ehi_fail_errno(error, ECSHIST_IO, "asking the kernel for random bytes");
        goto out;
    }
    memcpy(temporary, path, length);
    snprintf(temporary + length, sizeof(".new-12345678"), ".new-%08" PRIx32, random);
    dir_fd = ehi_private_top(AT_FDCWD, temporary);
    if (dir_fd < 0) {
        rc = ehi_fail_errno(error, ECSHIST_IO, "making a directory beside %s", path);
        goto out;
    }
    rc = fill(dir_fd, temporary, error);
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
