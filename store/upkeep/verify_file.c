#include "upkeep/verify_internal.h"

#include "log/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { WINDOW_BYTES = 1048576 };

static bool make_room(struct verify_file *file, size_t length)
{
    if (length <= file->capacity)
        return true;
    uint8_t *window = realloc(file->window, length);
    if (window == NULL) {
        file->failed = ENOMEM;
        return false;
    }
    file->window = window;
    file->capacity = length;
    return true;
}

const uint8_t *verify_file_at(struct verify_file *file, uint64_t offset, size_t length)
{
    if (offset > file->size || length > file->size - offset || file->failed != 0)
        return NULL;
    if (offset >= file->from && offset - file->from <= file->length &&
        length <= file->length - (offset - file->from))
        return file->window + (offset - file->from);
    size_t want = length < WINDOW_BYTES ? WINDOW_BYTES : length;
    if (want > file->size - offset)
        want = (size_t)(file->size - offset);
    file->length = 0;
    if (!make_room(file, want == 0 ? 1 : want))
        return NULL;
    size_t got;
    if (ehi_sys_pread_all(file->fd, file->window, want, offset, &got) != 0) {
        file->failed = errno;
        return NULL;
    }
    file->from = offset;
    file->length = got;
    return got < length ? NULL : file->window; /* less: it was made shorter meanwhile */
}

bool verify_file_refresh(struct verify_file *file)
{
    struct stat status;
    file->length = 0;
    if (fstat(file->fd, &status) != 0) {
        file->failed = errno;
        return false;
    }
    file->size = (uint64_t)status.st_size;
    return true;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

bool verify_file_zero(struct verify_file *file, uint64_t offset, uint64_t end)
{
    while (offset < end) {
        size_t length = end - offset < WINDOW_BYTES ? (size_t)(end - offset) : WINDOW_BYTES;
        const uint8_t *bytes = verify_file_at(file, offset, length);
        /* The last one out cuts zeros off. */
        if (bytes == NULL && file->failed == 0 && verify_file_refresh(file) && file->size < end) {
            end = file->size;
            continue;
        }
        if (bytes == NULL || !all_zero(bytes, length))
            return false;
        offset += length;
    }
    return true;
}

void verify_file_close(struct verify_file *file)
{
    free(file->window);
    file->window = NULL;
    file->length = file->capacity = 0;
}
