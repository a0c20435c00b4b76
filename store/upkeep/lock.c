#include "upkeep/lock.h"

#include "base/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int ehi_upkeep_lock(struct ehi_store *store, int *fd, struct ecshist_error *error)
{
    int flags = store->frozen ? O_RDONLY : O_RDWR | O_CREAT;
    int lock = ehi_private_file(store->dir_fd, "upkeep", flags);
    if (lock < 0 && store->frozen && errno == ENOENT) {
        *fd = -1;
        return ECSHIST_OK;
    }
    if (lock < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/upkeep", store->path);
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        *fd = lock;
        return ECSHIST_OK;
    }
    int rc = errno == EWOULDBLOCK
                 ? ehi_fail(error, ECSHIST_BUSY,
                            "a compaction or a backup of %s is under way already", store->path)
                 : ehi_fail_errno(error, ECSHIST_IO, "locking %s/upkeep", store->path);
    close(lock);
    return rc;
}

void ehi_upkeep_unlock(int fd)
{
    if (fd < 0)
        return;
    /* A forked child may have the same open file: closing ours would leave the lock with it. */
    (void)flock(fd, LOCK_UN);
    close(fd);
}
