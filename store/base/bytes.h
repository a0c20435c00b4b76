/* Borrowed and owned bytes, and fixed-width integers in them. No domain. */
#ifndef EHI_BASE_BYTES_H
#define EHI_BASE_BYTES_H

#include <ecshist/error.h>
#include <ecshist/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes: valid as long as what they were taken from. data may be NULL only with length 0.
 */
struct ehi_slice {
    const uint8_t *data;
    size_t length;
};

#define EHI_SLICE_EMPTY ((struct ehi_slice){NULL, 0})
#define EHI_SLICE_LITERAL(text) ((struct ehi_slice){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct ehi_slice ehi_slice(const void *data, size_t length)
{
    struct ehi_slice s = {data, length};
    return s;
}

static inline struct ehi_slice ehi_slice_text(const char *text)
{
    return ehi_slice(text, strlen(text));
}

static inline bool ehi_slice_equal(struct ehi_slice a, struct ehi_slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool ehi_slice_is(struct ehi_slice a, const char *text)
{
    return ehi_slice_equal(a, ehi_slice_text(text));
}

/* memset to 0, for structs of some hundred bytes: what compilers put in its place is slower than the call. */
void ehi_clear(void *bytes, size_t length);

/* printf's "%.*s" of a slice. */
#define EHI_FMT(s) (int)(s).length, (const char *)(s).data

/* Owned bytes that grow. All zero is an empty one. */
struct ehi_buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
};

/* Makes room for `extra` more bytes. ECSHIST_NO_MEMORY on failure, with the buffer as it was. */
int ehi_buffer_reserve(struct ehi_buffer *buffer, size_t extra) ECSHIST_CHECKED;
/* Appends zeros. */
int ehi_buffer_append_zeros(struct ehi_buffer *buffer, size_t length) ECSHIST_CHECKED;
void ehi_buffer_free(struct ehi_buffer *buffer);

/* Where the next bytes go, with room for `extra` of them: the caller adds to the length. NULL where memory is out. */
static inline uint8_t *ehi_buffer_room(struct ehi_buffer *buffer, size_t extra)
{
    if (extra > buffer->capacity - buffer->length && ehi_buffer_reserve(buffer, extra) != 0)
        return NULL;
    return buffer->data + buffer->length;
}

ECSHIST_CHECKED static inline int ehi_buffer_append(struct ehi_buffer *buffer, const void *data,
                                                    size_t length)
{
    uint8_t *at = ehi_buffer_room(buffer, length);
    if (length == 0)
        return 0;
    if (at == NULL)
        return ECSHIST_NO_MEMORY;
    memcpy(at, data, length);
    buffer->length += length;
    return 0;
}

static inline struct ehi_slice ehi_buffer_slice(const struct ehi_buffer *buffer)
{
    return ehi_slice(buffer->data, buffer->length);
}

/* Little-endian (files) and big-endian (keys: byte order is number order). */
static inline uint16_t ehi_get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t ehi_get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t ehi_get_le64(const uint8_t *p)
{
    return (uint64_t)ehi_get_le32(p) | (uint64_t)ehi_get_le32(p + 4) << 32;
}
static inline void ehi_put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void ehi_put_le32(uint8_t *p, uint32_t v)
{
    ehi_put_le16(p, (uint16_t)v);
    ehi_put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void ehi_put_le64(uint8_t *p, uint64_t v)
{
    ehi_put_le32(p, (uint32_t)v);
    ehi_put_le32(p + 4, (uint32_t)(v >> 32));
}
static inline uint32_t ehi_get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}
static inline uint64_t ehi_get_be64(const uint8_t *p)
{
    return (uint64_t)ehi_get_be32(p) << 32 | ehi_get_be32(p + 4);
}
static inline void ehi_put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--) {
        p[i] = (uint8_t)v;
        v >>= 8;
    }
}

#endif
