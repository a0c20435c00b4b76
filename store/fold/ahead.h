/*
 * Reading the log ahead. Who goes through many events is given them by a thread that finds the records, expands them and compares their
 * checksums, while he decodes those before. It does what is plain and no more: at the first thing that is not (the end, damage, an event
 * that may have expired) it stops, and the reader goes on from there by himself, with what he would have met without it.
 */
#ifndef EHI_FOLD_AHEAD_H
#define EHI_FOLD_AHEAD_H

#include "log/log.h"

/* How far a reader has come: a frame, and what is left of it. */
struct ehi_place {
    struct ehi_position position; /* behind the frame */
    struct ehi_frame frame;
    struct ehi_slice rest; /* of its payload */
};

struct ehi_ahead;
struct ehi_ahead_record {
    struct ehi_slice record; /* whole, and its checksum is right */
    struct ehi_stored stored;
    const struct ehi_frame *frame;
};

/*
 * Starts behind the place; no event behind last_seq is read, nor one that may be among those that expired before expired_seq. From here to ehi_ahead_stop
 * the caller is between ehi_log_enter and ehi_log_leave. NULL: there is no thread to be had, or no second CPU for it.
 */
struct ehi_ahead *ehi_ahead_start(struct ehi_log *log, const struct ehi_place *place,
                                  uint64_t last_seq, uint64_t expired_seq);
/* The next record: until the next call. NULL: there is none, and *place is where to go on. */
const struct ehi_ahead_record *ehi_ahead_next(struct ehi_ahead *ahead, struct ehi_place *place);
/*
 * Takes NULL. Not in a forked child: that has no such thread, and its memory is as the thread left it in the middle of whatever it did. There
 * it is left alone.
 */
void ehi_ahead_stop(struct ehi_ahead *ahead);

#endif
