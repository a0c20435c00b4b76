/*
 * Who may write to a store's directory decides what its files are. Two are told from the rest: root, who must not be
 * led by somebody else's directory to write; and everybody, whom nobody means. A group that may write is left alone: some who
 * run containers give each volume a group of its own that may, and mean it. So is another owner, for whoever is not root: permissions alone
 * decide.
 */
#include "fold/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int ehi_guard_links(int dir_fd, const char *path, struct ecshist_error *error)
{
    static const char *const names[] = {"log", "index", "index/mark", "upkeep"};
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
