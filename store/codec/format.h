/*
 * The bytes of the log. The normative text is docs/FORMAT.md; change neither without the other. All
 * integers are little-endian and unsigned unless said otherwise; offsets are from the start of the
 * struct.
 */
#ifndef EHI_CODEC_FORMAT_H
#define EHI_CODEC_FORMAT_H

#include <assert.h>
#include <ecshist/limits.h>
#include <stdint.h>

#define EHI_FORMAT_VERSION 1u
#define EHI_INDEX_FORMAT 5u

/* Segment header: 64 bytes at offset 0 of the file. */
#define EHI_SEGMENT_MAGIC "ECSHSEG1"
#define EHI_SEGMENT_HEADER_BYTES 64u
enum ehi_segment_header {
    EHI_SEG_MAGIC = 0,         /* 8 bytes */
    EHI_SEG_VERSION = 8,       /* u32 */
    EHI_SEG_HEADER_BYTES = 12, /* u32: 64 */
    EHI_SEG_COMPATIBLE = 16,   /* u32 feature bits: unknown ones are passed over */
    EHI_SEG_INCOMPATIBLE = 20, /* u32 feature bits: an unknown one means: do not read */
    EHI_SEG_STORE_ID = 24,     /* 16 bytes */
    EHI_SEG_FIRST_SEQ = 40,    /* u64 */
    EHI_SEG_CLEANED_BY = 48,   /* u64: seq of the history-expired it was cleaned by; else 0 */
    EHI_SEG_CHECKSUM = 56      /* u64: XXH3-64, seed 0, of the 56 bytes before */
};

/*
 * Incompatible features. GAPS: expired events are gone, so seqs rise, but not by one. COMPRESSED: records are stored
 * compressed.
 */
#define EHI_FEATURE_GAPS 1u
#define EHI_FEATURE_COMPRESSED 2u
#define EHI_FEATURES_KNOWN (EHI_FEATURE_GAPS | EHI_FEATURE_COMPRESSED)

/* Frame header: 32 bytes, at a multiple of 8. The frame's payload follows. */
#define EHI_FRAME_HEADER_BYTES 32u
#define EHI_FRAME_MAGIC 0x454d5246u  /* "FRME" */
#define EHI_FOOTER_MAGIC 0x544f4f46u /* "FOOT": the frame that seals a segment */
enum ehi_frame_header {
    EHI_FRAME_CHECKSUM = 0, /* u64: XXH3-64, seed of the store, of byte 8 to the payload's end */
    EHI_FRAME_MAGIC_AT = 8, /* u32 */
    EHI_FRAME_PAYLOAD_BYTES = 12, /* u32: a multiple of 8 */
    EHI_FRAME_RECORDS = 16,       /* u32: 1 or more; 0 in a footer */
    EHI_FRAME_RESERVED = 20,      /* u32: 0 */
    EHI_FRAME_FIRST_SEQ = 24 /* u64: of its first record; in a footer: the next segment's first */
};
/* The seed of a store: its store id's bytes 0-7 as u64, xor bytes 8-15. */

/*
 * Record: 48 bytes, then subject, id, body; then zeros to a multiple of 8. Lies in a frame's
 * payload.
 */
#define EHI_RECORD_HEADER_BYTES 48u
/* No compressed record is smaller, and none expands to more. */
#define EHI_COMPRESSED_HEADER_BYTES 12u
#define EHI_RECORD_MAX_BYTES 2097152u
enum ehi_record_header {
    EHI_REC_BYTES = 0,    /* u32: of the whole record, padding included: a multiple of 8 */
    EHI_REC_CHECKSUM = 4, /* u32: low half of XXH3-64, seed of the store, of bytes 8 to the end */
    EHI_REC_SEQ = 8,      /* u64 */
    EHI_REC_RECORDED_AT = 16,   /* i64: microseconds since the epoch */
    EHI_REC_TIME = 24,          /* i64: the same */
    EHI_REC_TYPE = 32,          /* u16: enum ehi_event_type */
    EHI_REC_FLAGS = 34,         /* u16: 1: ignored */
    EHI_REC_SUBJECT_BYTES = 36, /* u16 */
    EHI_REC_ID_BYTES = 38,      /* u16: 0: derived from the content */
    EHI_REC_BODY_BYTES = 40,    /* u32: MessagePack map */
    EHI_REC_RESERVED = 44       /* u32: 0 */
};

/* Footer payload: 64 bytes, then an index entry for about every 4 KiB of frames. */
#define EHI_FOOTER_BYTES 64u
#define EHI_FOOTER_ENTRY_BYTES 16u
#define EHI_FOOTER_STRIDE 4096u
enum ehi_footer {
    EHI_FOOT_FIRST_SEQ = 0, /* u64 */
    EHI_FOOT_LAST_SEQ = 8,  /* u64 */
    EHI_FOOT_EVENTS = 16,   /* u64 */
    EHI_FOOT_IGNORED = 24,  /* u64 */
    EHI_FOOT_MIN_TIME = 32, /* i64 */
    EHI_FOOT_MAX_TIME = 40, /* i64 */
    EHI_FOOT_CONTENT = 48,  /* u64: XXH3-64, seed of the store, of all before the footer's frame */
    EHI_FOOT_ENTRIES = 56,  /* u32 */
    EHI_FOOT_RESERVED = 60  /* u32: 0 */
};
/* Entry: u64 seq of a frame's first record, u64 the frame's offset in the file. Ascending. */
/*
 * The file's last 16 bytes, behind the footer's frame: u64 offset of that frame, 8 bytes
 * EHI_SEGMENT_END. Zeros may lie between: a file never shrinks, since others may have it mapped.
 */
#define EHI_SEGMENT_TRAILER_BYTES 16u
#define EHI_SEGMENT_END "ECSHEND1"

static_assert(EHI_SEG_CHECKSUM + 8 == EHI_SEGMENT_HEADER_BYTES, "segment header");
static_assert(EHI_FRAME_FIRST_SEQ + 8 == EHI_FRAME_HEADER_BYTES, "frame header");
static_assert(EHI_REC_RESERVED + 4 == EHI_RECORD_HEADER_BYTES, "record header");
static_assert(EHI_FOOT_RESERVED + 4 == EHI_FOOTER_BYTES, "footer");

#endif
