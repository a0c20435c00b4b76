#include "fold/words.h"

#include "base/private.h"
#include "log/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { WORDS_BYTES = 4096 };

/* Real zeros: a page of a file without room for it cannot be written to. */
static int fill(int fd)
{
    static const uint8_t zeros[WORDS_BYTES];
    return ehi_sys_pwrite_all(fd, zeros, sizeof(zeros), 0, NULL);
}

static int map_words(int fd, const char *path, bool write, struct ehi_words **out,
                     struct ecshist_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "looking at %s/acknowledged", path);
    if (!S_ISREG(status.st_mode))
        return ehi_fail(error, ECSHIST_FORMAT, "%s/acknowledged is not a file", path);
    if (status.st_size < WORDS_BYTES && !write)
        return ECSHIST_OK;
    if (status.st_size < WORDS_BYTES && fill(fd) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making %s/acknowledged", path);
    void *map =
        mmap(NULL, WORDS_BYTES, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return ehi_fail_errno(error, ECSHIST_IO, "mapping %s/acknowledged", path);
    *out = map;
    return ECSHIST_OK;
}

int ehi_words_open(int dir_fd, const char *path, bool write, struct ehi_words **out, int *out_fd,
                   struct ecshist_error *error)
{
    *out = NULL;
    *out_fd = -1;
    int fd = ehi_private_file(dir_fd, "acknowledged", write ? O_RDWR | O_CREAT : O_RDONLY);
    if (fd < 0 && !write)
        return ECSHIST_OK;
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/acknowledged", path);
    int rc = map_words(fd, path, write, out, error);
    if (*out != NULL)
        *out_fd = fd;
    else
        ehi_sys_close(fd);
    return rc;
}

void ehi_words_close(struct ehi_words *words)
{
    if (words != NULL)
        munmap(words, WORDS_BYTES);
}
