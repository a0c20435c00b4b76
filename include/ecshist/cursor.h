/*
 * The log itself: every event in seq order, and those that come.
 */
#ifndef ECSHIST_CURSOR_H
#define ECSHIST_CURSOR_H

#include <ecshist/error.h>
#include <ecshist/event.h>
#include <ecshist/export.h>
#include <ecshist/store.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A place in the log. Opaque; ecshist_cursor_close. One thread at a time. One that has given 4,096 events and has 8,192 before it has a
 * thread of the library's read ahead, which takes no signals, until it reaches the end that there was, or is closed.
 */
typedef struct ecshist_cursor ecshist_cursor;

/* Where and how an event lies in the log, for those who debug a store. */
struct ecshist_frame_info {
    size_t size;
    uint64_t segment_first_seq; /* names the segment's file */
    uint64_t frame_offset;      /* bytes from the start of the file */
    uint64_t frame_length;
    uint64_t frame_checksum;
    uint32_t frame_record_count;
    uint64_t record_offset;
    uint32_t record_length;
    uint32_t record_checksum;
};

#define ECSHIST_FRAME_INFO_INIT                                                                    \
    {                                                                                              \
        sizeof(struct ecshist_frame_info), 0, 0, 0, 0, 0, 0, 0, 0                                  \
    }

ECSHIST_BEGIN

/* Opens a cursor before the first event with seq >= from_seq. *out is yours. Errors: IO, DAMAGED,
 * NO_MEMORY. */
ECSHIST_API int ecshist_cursor_open(ecshist_store *store, uint64_t from_seq, ecshist_cursor **out,
                                    struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * The next event, borrowed: it lives until the next call on the cursor. END: none is there yet; a
 * later call gives those that came. Every frame's checksum is checked. DAMAGED: the log is not
 * whole here; nothing behind the damage is given. Errors: END, DAMAGED, IO, NO_MEMORY.
 */
ECSHIST_API int ecshist_cursor_next(ecshist_cursor *cursor, const ecshist_event **out,
                                    struct ecshist_error *error) ECSHIST_CHECKED;
/* Waits until there is a next event: OK, or END after timeout_ms milliseconds. Errors: IO, INDEX.
 */
ECSHIST_API int ecshist_cursor_wait(ecshist_cursor *cursor, uint32_t timeout_ms,
                                    struct ecshist_error *error) ECSHIST_CHECKED;
/* Where the event that ecshist_cursor_next gave last lies. Set info->size before. */
ECSHIST_API void ecshist_cursor_frame_info(const ecshist_cursor *cursor,
                                           struct ecshist_frame_info *info);
/* Closes a cursor; NULL is allowed. */
ECSHIST_API void ecshist_cursor_close(ecshist_cursor *cursor);

ECSHIST_END_DECLS

#endif
