#include "base/bytes.h"

#include <ecshist/error.h>
#include <stdlib.h>

void ehi_clear(void *bytes, size_t length)
{
    memset(bytes, 0, length);
}

int ehi_buffer_reserve(struct ehi_buffer *buffer, size_t extra)
{
    if (extra <= buffer->capacity - buffer->length)
        return ECSHIST_OK;
    if (extra > SIZE_MAX / 2 - buffer->length)
        return ECSHIST_NO_MEMORY;
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    while (capacity < buffer->length + extra)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return ECSHIST_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return ECSHIST_OK;
}

int ehi_buffer_append_zeros(struct ehi_buffer *buffer, size_t length)
{
    int rc = ehi_buffer_reserve(buffer, length);
    if (rc != ECSHIST_OK || length == 0)
        return rc;
    memset(buffer->data + buffer->length, 0, length);
    buffer->length += length;
    return ECSHIST_OK;
}

void ehi_buffer_free(struct ehi_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct ehi_buffer){0};
}
