/* Writing records compressed: codec/stored.h says what that is, docs/FORMAT.md, section 6, how. */
#ifndef EHI_CODEC_COMPRESS_H
#define EHI_CODEC_COMPRESS_H

#include "base/bytes.h"
#include "base/error.h"

/* A compressed record is larger than the record by no more than this: where nothing is copied. */
#define EHI_COMPRESSED_MORE_BYTES 16u

/*
 * What a writer remembers of the newest segment: where texts stand. A help only: what is forgotten is written again, and what
 * is remembered is compared before it is used, so it may be wrong. One thread at a time.
 */
struct ehi_compressor;
/* NULL where memory is out; free takes NULL. */
struct ehi_compressor *ehi_compressor_new(void);
void ehi_compressor_free(struct ehi_compressor *compressor);

/*
 * Appends a stamped record to the buffer, compressed. The buffer will be written at buffer_offset of the segment; what stands
 * before that is read from `segment`. NO_MEMORY, with the buffer as it was.
 */
int ehi_record_compress(struct ehi_compressor *compressor, const uint8_t *segment,
                        uint64_t buffer_offset, struct ehi_slice record, struct ehi_buffer *buffer)
    ECSHIST_CHECKED;

#endif
