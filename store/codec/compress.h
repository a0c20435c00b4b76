/*
 * Records as a segment holds them: what stands in the segment already (ARNs above all, and most of a revision's document) is
 * not written again, but copied from there when the record is read. The bytes: docs/FORMAT.md, section 5.
 */
#ifndef EHI_CODEC_COMPRESS_H
#define EHI_CODEC_COMPRESS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"

/*
 * What a writer remembers of the newest segment: where texts stand. A help only: what is forgotten is written again, and what
 * is remembered is compared before it is used, so it may be wrong. One thread at a time.
 */
struct ehi_compressor;
/* NULL where memory is out; free takes NULL. */
struct ehi_compressor *ehi_compressor_new(void);
void ehi_compressor_free(struct ehi_compressor *compressor);

/*
 * Appends a stamped record to the buffer, compressed where that makes it smaller. The buffer will be written at buffer_offset of
 * the segment; what stands before is read from `segment`. NO_MEMORY, with the buffer as it was.
 */
int ehi_record_compress(struct ehi_compressor *compressor, const uint8_t *segment,
                        uint64_t buffer_offset, struct ehi_slice record, struct ehi_buffer *buffer)
    ECSHIST_CHECKED;

/* The record is stored compressed; to be asked only in a segment that has that feature. */
bool ehi_record_is_compressed(struct ehi_slice stored);
/*
 * The record as it was appended, in the arena. `segment` are the segment's bytes, in which it is stored at `offset`: of them
 * none behind the record is touched. DAMAGED: it does not add up, or its checksum is wrong; NO_MEMORY. No message.
 */
int ehi_record_expand(const uint8_t *segment, uint64_t offset, struct ehi_slice stored,
                      uint64_t seed, struct ehi_arena *arena, struct ehi_slice *out)
    ECSHIST_CHECKED;

#endif
