/*
 * Records as a segment holds them: as they were appended, or, in a segment with that feature, compressed. What stands in the
 * segment already (ARNs above all, and most of a revision's document) is not written again then, but copied from there when
 * the record is read. The bytes: docs/FORMAT.md, sections 5 and 6.
 */
#ifndef EHI_CODEC_STORED_H
#define EHI_CODEC_STORED_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "codec/format.h"

/* A stored record: what its header says. Borrowed from the segment. */
struct ehi_stored {
    struct ehi_slice bytes; /* all of it */
    uint64_t seq;
    int64_t recorded_at_us, time_us;
    uint32_t checksum; /* of the record as it was appended */
    uint16_t type, flags;
    uint32_t subject_bytes, id_bytes, body_bytes;
    bool compressed;
    struct ehi_slice tokens; /* compressed: what subject, id and body are made from */
    const uint8_t *readable; /* compressed: the end of the bytes it was found in */
};

/*
 * The next of the records that stand one behind the other, and in front of up to 7 zeros where they are compressed. false: at
 * the end, with rest->length 0, or where there is none, with what is left.
 */
bool ehi_stored_next(struct ehi_slice *rest, bool compressed, struct ehi_stored *out);
/* The same, of which the caller wants to know the seq only. */
bool ehi_stored_pass(struct ehi_slice *rest, bool compressed, uint64_t *seq);

/*
 * The record as it was appended, its checksum right: as it stands there, or in the arena. `segment` are the segment's bytes;
 * of them none behind those that the record was found in is touched. DAMAGED: it does not add up, or its checksum is wrong; NO_MEMORY. No message.
 */
int ehi_stored_expand(const struct ehi_stored *stored, const uint8_t *segment, uint64_t seed,
                      struct ehi_arena *arena, struct ehi_slice *out) ECSHIST_CHECKED;

#endif
