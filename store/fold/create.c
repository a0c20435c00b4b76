/* A new store: made whole beside its place, then renamed into it. */
#include "base/clock.h"
#include "fold/store.h"
#include "log/sys.h"

#include <dirent.h>
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
    int log_fd = ehi_sys_open(dir_fd, "log", O_RDONLY | O_DIRECTORY);
    if (log_fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/log", temporary);
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
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
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

void ehi_beside_remove(const char *temporary)
{
    int dir_fd = ehi_sys_open(AT_FDCWD, temporary, O_RDONLY | O_DIRECTORY);
    if (dir_fd >= 0) {
        ehi_directory_remove(dir_fd, "log");
        ehi_directory_remove(dir_fd, "index");
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

/* Without the slashes that may stand at its end. Yours: free. */
static char *plain_path(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return strndup(path, length);
}

int ehi_beside_make(const char *path, char **temporary, int *dir_fd, struct ecshist_error *error)
{
    char *plain = plain_path(path);
    char *made = plain == NULL ? NULL : malloc(strlen(plain) + sizeof(".new-XXXXXX"));
    int rc = made == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
    if (rc == ECSHIST_OK)
        sprintf(made, "%s.new-XXXXXX", plain);
    if (rc == ECSHIST_OK && mkdtemp(made) == NULL)
        rc = ehi_fail_errno(error, ECSHIST_IO, "making a directory beside %s", path);
    int fd = -1;
    if (rc == ECSHIST_OK) {
        fd = ehi_sys_open(AT_FDCWD, made, O_RDONLY | O_DIRECTORY);
        if (fd < 0) {
            rc = ehi_fail_errno(error, ECSHIST_IO, "opening %s", made);
            (void)rmdir(made);
        }
    }
    free(plain);
    if (rc != ECSHIST_OK) {
        free(made);
        return rc;
    }
    *temporary = made;
    *dir_fd = fd;
    return ECSHIST_OK;
}

/* rename(2) takes the place of nothing or of an empty directory, never of a store. */
int ehi_beside_place(const char *temporary, const char *path, struct ecshist_error *error)
{
    char *plain = plain_path(path);
    if (plain == NULL)
        return ehi_fail_memory(error);
    int rc;
    if (rename(temporary, plain) == 0)
        rc = flush_parent(plain, error);
    else if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
        rc = ehi_fail(error, ECSHIST_EXISTS, "%s exists already, and is not an empty directory",
                      path);
    else
        rc = ehi_fail_errno(error, ECSHIST_IO, "renaming %s to %s", temporary, path);
    free(plain);
    return rc;
}

int ehi_store_create(const char *path, struct ecshist_error *error)
{
    char *temporary;
    int dir_fd;
    int rc = ehi_beside_make(path, &temporary, &dir_fd, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = fill(dir_fd, temporary, error);
    close(dir_fd);
    if (rc == ECSHIST_OK)
        rc = ehi_beside_place(temporary, path, error);
    if (rc != ECSHIST_OK)
        ehi_beside_remove(temporary);
    free(temporary);
    return rc;
}
