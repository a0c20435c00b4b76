/*
 * Reading MessagePack as stored: a bounded cursor over borrowed bytes. It allocates nothing and
 * never believes a length or a count beyond the bytes that are left.
 *
 * Well-formed here: nil, bool, integers within int64, finite reals, str (UTF-8 without NUL), array,
 * map. Keys of maps: str, or an integer that is a number of the dictionary. Not bin, not ext.
 * Whether an encoding is the shortest one is no matter of the cursor.
 */
#ifndef EHI_CODEC_CURSOR_H
#define EHI_CODEC_CURSOR_H

#include "base/scan.h"
#include "model/value.h"

/*
 * What is not well-formed, the end of the bytes included, makes it fail for good: then every read
 * returns false. So a caller may read on and look once, in the end.
 */
struct ehi_cursor {
    const uint8_t *next;
    const uint8_t *end;
    unsigned nesting_left; /* arrays and maps that may still be opened within each other */
    bool failed;
};

/* A member's name: `number` of the dictionary, with 0 for a name that is not in it. */
struct ehi_member_key {
    int number;
    struct ehi_slice name;
};

static inline struct ehi_cursor ehi_cursor_of(struct ehi_slice bytes, unsigned nesting)
{
    struct ehi_cursor cursor = {bytes.data, bytes.data, nesting, false};
    if (bytes.length != 0)
        cursor.end += bytes.length;
    return cursor;
}

/* Not failed, and nothing left. */
static inline bool ehi_cursor_done(const struct ehi_cursor *cursor)
{
    return !cursor->failed && cursor->next == cursor->end;
}

/*
 * Reads a scalar or a string whole, borrowed; of an array or a map only the head: then `count`
 * items (or keys and items) follow, to be read or skipped, and ehi_cursor_close.
 */
bool ehi_cursor_read(struct ehi_cursor *cursor, struct ehi_value *out) ECSHIST_CHECKED;
/* Reads the key of a map's member. */
bool ehi_cursor_key(struct ehi_cursor *cursor, struct ehi_member_key *out) ECSHIST_CHECKED;
/* Passes over one value, all within it included. */
bool ehi_cursor_skip(struct ehi_cursor *cursor) ECSHIST_CHECKED;
/* The same, giving its bytes. */
bool ehi_cursor_take(struct ehi_cursor *cursor, struct ehi_slice *out) ECSHIST_CHECKED;

/* Behind the last item of an array or a map. */
static inline void ehi_cursor_close(struct ehi_cursor *cursor)
{
    cursor->nesting_left++;
}

/* UTF-8 as RFC 3629 has it, and no NUL. */
bool ehi_text_valid(struct ehi_slice text);

/*
 * What most values and keys are, without a call. Each takes what is next only if it is just that: false means that nothing
 * was done, and that ehi_cursor_read or ehi_cursor_key knows what is there.
 */

/* A str of up to 255 bytes that are not looked at yet; the cursor stays where it is. */
static inline bool ehi_cursor_peek_text(const struct ehi_cursor *cursor, struct ehi_slice *out)
{
    const uint8_t *p = cursor->next;
    size_t left = (size_t)(cursor->end - p), head = 1, length;
    if (left < 2)
        return false;
    if ((p[0] & 0xe0) == 0xa0) {
        length = p[0] & 0x1f;
    } else {
        length = p[1];
        head = 2;
        if (p[0] != 0xd9)
            return false;
    }
    *out = ehi_slice(p + head, length);
    return length <= left - head;
}

/* Behind a text that was peeked at, and is known to be ASCII without NUL. */
static inline void ehi_cursor_take_text(struct ehi_cursor *cursor, struct ehi_slice text)
{
    cursor->next = text.data + text.length;
}

/* A str of up to 255 bytes of ASCII. */
static inline bool ehi_cursor_plain_text(struct ehi_cursor *cursor, struct ehi_slice *out)
{
    struct ehi_slice text;
    if (!ehi_cursor_peek_text(cursor, &text) || !ehi_plain_text(text.data, text.length))
        return false;
    ehi_cursor_take_text(cursor, text);
    *out = text;
    return true;
}

/* An integer of one byte, 0 to 127. */
static inline bool ehi_cursor_small_integer(struct ehi_cursor *cursor, int64_t *out)
{
    const uint8_t *p = cursor->next;
    if (p == cursor->end || p[0] > 0x7f)
        return false;
    *out = p[0];
    cursor->next = p + 1;
    return true;
}

/* The head of a map, or of an array, of up to 15. As ehi_cursor_read: ehi_cursor_close comes behind the last item. */
static inline bool ehi_cursor_small_list(struct ehi_cursor *cursor, uint8_t mark, unsigned least,
                                         uint32_t *out_count)
{
    const uint8_t *p = cursor->next;
    size_t left = (size_t)(cursor->end - p);
    if (left == 0 || (p[0] & 0xf0) != mark || cursor->nesting_left == 0)
        return false;
    uint32_t count = p[0] & 0x0f;
    if (count * least > left - 1)
        return false;
    cursor->nesting_left--;
    cursor->next = p + 1;
    *out_count = count;
    return true;
}

static inline bool ehi_cursor_small_map(struct ehi_cursor *cursor, uint32_t *out_count)
{
    return ehi_cursor_small_list(cursor, 0x80, 2, out_count);
}

static inline bool ehi_cursor_small_array(struct ehi_cursor *cursor, uint32_t *out_count)
{
    return ehi_cursor_small_list(cursor, 0x90, 1, out_count);
}

/* The number of a name that takes one byte. */
static inline bool ehi_cursor_small_key(struct ehi_cursor *cursor, int *number)
{
    const uint8_t *p = cursor->next;
    if (p == cursor->end || p[0] == 0 || p[0] > 0x7f)
        return false;
    *number = p[0];
    cursor->next = p + 1;
    return true;
}

#endif
