/*
 * The log: segments of frames of records. The truth of a store. Threads: calls on one struct
 * ehi_log are serialised by its own mutex; what they give (mapped bytes) stays valid until
 * ehi_log_close.
 */
#ifndef EHI_LOG_LOG_H
#define EHI_LOG_LOG_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "codec/stored.h"

struct ehi_log;

/* The end of what is known: the next frame goes to `offset` of the segment `segment` and begins
 * with next_seq. */
struct ehi_position {
    uint64_t segment; /* its first seq */
    uint64_t offset;
    uint64_t next_seq;
    uint64_t
        frame_offset; /* of the last frame before the position in this segment; 0: none in it */
    uint64_t frame_checksum; /* of that frame */
};

/* Makes an empty log in the empty directory dirfd: segment 1, fsynced (the directory too). path:
 * for messages. */
int ehi_log_create(int dirfd, const char *path, const uint8_t store_id[16],
                   struct ecshist_error *error) ECSHIST_CHECKED;
/* Opens: reads the names and headers of all segments. Takes no hold of dirfd. FORMAT, DAMAGED (gap
 * in names, other store id), IO. */
int ehi_log_open(int dirfd, const char *path, uint32_t segment_bytes, struct ehi_log **out,
                 struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_log_close(struct ehi_log *log);
/* In a forked child: lets go of what the lock is of. The log is of no use there any more. */
void ehi_log_forked(struct ehi_log *log);
const uint8_t *ehi_log_store_id(const struct ehi_log *log);
uint64_t ehi_log_seed(const struct ehi_log *log);

/*
 * Whoever reads mapped bytes does so between these two. What others have rewritten since is mapped
 * anew, and the old mapping undone, by the first who enters where nobody else is in.
 */
void ehi_log_enter(struct ehi_log *log);
void ehi_log_leave(struct ehi_log *log);

/* The one lock among writers, of all processes and threads: flock on the directory. Blocks; not
 * recursive. */
int ehi_log_lock(struct ehi_log *log, struct ecshist_error *error) ECSHIST_CHECKED;
/* Without waiting: *locked false where somebody else has it. */
int ehi_log_trylock(struct ehi_log *log, bool *locked, struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_log_unlock(struct ehi_log *log);

/* The position before the first frame of the oldest segment. */
void ehi_log_start(struct ehi_log *log, struct ehi_position *out);
/* The log confirms a position: its segment is there, and the frame before it, if any, has that
 * checksum and is intact. */
bool ehi_log_confirms(struct ehi_log *log, const struct ehi_position *position);

enum ehi_verdict {
    EHI_FRAME = 1,
    EHI_END_OF_LOG = 2,
    EHI_TORN_TAIL = 3
}; /* damage is an error: DAMAGED */

struct ehi_frame {
    struct ehi_slice payload; /* mapped: records as they are stored, for ehi_stored_next */
    uint32_t record_count;
    uint64_t segment, offset, length, checksum, first_seq;
    uint64_t next_seq; /* behind its last record; set once the records were looked at */
    bool gaps;         /* of a segment that was cleaned: seqs rise, but not by one */
    bool compressed;   /* its records are */
};
/* One cheap look (a frame header's bytes): nothing was written behind the position. */
bool ehi_log_at_end(struct ehi_log *log, const struct ehi_position *position);

/*
 * The frame at *position, checksum checked; moves *position behind it (over footers into the next
 * segment). Never changes the file. EHI_TORN_TAIL only in the newest segment; without the lock it
 * may also be an append that is under way. DAMAGED names segment, offset and seqs. At the end of
 * the log all that lies ahead is searched: ask ehi_log_at_end first where that is the usual answer.
 */
int ehi_log_next(struct ehi_log *log, struct ehi_position *position, struct ehi_frame *frame,
                 enum ehi_verdict *verdict, struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Moves *position on to a frame that holds one record of this type and nothing else, or to where no frame can be seen. Goes by the
 * frames' headers and checks none of them: what is found is good only if ehi_log_next says so. IO, NO_MEMORY.
 */
int ehi_log_skim(struct ehi_log *log, uint16_t type, struct ehi_position *position, bool *found,
                 struct ecshist_error *error) ECSHIST_CHECKED;
/* Under the lock: cuts a torn tail off at *position: fills it with zeros, since a mapped file must
 * not shrink. */
int ehi_log_cut(struct ehi_log *log, const struct ehi_position *position,
                struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Of a log that nobody else has open, and that is closed next: the zeros ahead of the tail go, as far as can be. Nothing is
 * flushed: with them or without, the log is the same.
 */
void ehi_log_trim(struct ehi_log *log, const struct ehi_position *tail);
/*
 * Under the lock, before frames are acted on that somebody else wrote: makes the last one before
 * the tail durable for certain. Whoever wrote it may have died, or failed, before it was flushed.
 * IO.
 */
int ehi_log_settle(struct ehi_log *log, const struct ehi_position *tail,
                   struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Under the lock, at the tail: writes one frame of `count` stamped records and makes it durable
 * (fdatasync). Zero-fills ahead; seals and begins a new segment before, where the segment is full.
 * Moves *position (also when it fails after sealing). offsets (may be NULL): where in the segment each record stands. IO where nothing of the frame was written,
 * OUTCOME_UNKNOWN where a write or flush of it failed, LIMIT, MISUSE (not at the tail, or seqs that
 * do not follow), DAMAGED (found when sealing), NO_MEMORY.
 */
int ehi_log_append(struct ehi_log *log, struct ehi_position *position, struct ehi_slice records,
                   uint32_t count, uint64_t first_seq, uint64_t *offsets,
                   struct ecshist_error *error) ECSHIST_CHECKED;
/* A stamped record of a frame, and where in the segment it stands once that is written. */
struct ehi_framed {
    struct ehi_slice record;
    uint64_t offset;
};
/*
 * The two halves of it: ehi_log_write returns when the frame is written, and it is durable once ehi_log_flush has returned OK.
 * Nothing else is done with the log between them, and nobody is told of the frame. Who has something else to do until then calls
 * ehi_log_begin_flush before: the disk begins.
 */
int ehi_log_write(struct ehi_log *log, struct ehi_position *position, struct ehi_framed *records,
                  uint32_t count, uint64_t first_seq, struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_log_begin_flush(const struct ehi_log *log, const struct ehi_position *position);
int ehi_log_flush(struct ehi_log *log, struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Under the lock, at the tail: seals the newest segment and begins the next, where there is a frame in
 * it; so that all events up to here are in sealed segments. Errors as of ehi_log_append.
 */
int ehi_log_roll(struct ehi_log *log, struct ehi_position *position, struct ecshist_error *error)
    ECSHIST_CHECKED;

/* Sealed segments: the first that begins at or behind this seq; 0: there is none. */
uint64_t ehi_log_sealed_from(struct ehi_log *log, uint64_t seq);
/* The record of a sealed segment stays. */
typedef bool (*ehi_log_keep_fn)(void *context, struct ehi_slice record);
struct ehi_cleaning {
    uint64_t removed;                   /* events; 0: the segment was not touched */
    uint64_t bytes_before, bytes_after; /* of its file */
};
/*
 * Rewrites a sealed segment without the records that `keep` refuses, under its name, durable.
 * cleaned_by: seq of the history-expired by which they go; a segment cleaned by it or a later one is left
 * alone. One cleaner at a time, of all processes (the caller's duty); needs not the writers' lock. Killed in the
 * middle, the old segment stands, and a file NAME.tmp that the next cleaning removes. DAMAGED (nothing is
 * touched), IO, NOT_FOUND (not sealed), NO_MEMORY.
 */
int ehi_log_clean(struct ehi_log *log, uint64_t segment, uint64_t cleaned_by, ehi_log_keep_fn keep,
                  void *context, struct ehi_cleaning *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Removes what a cleaning left that was killed. One cleaner at a time. */
int ehi_log_sweep(struct ehi_log *log, struct ecshist_error *error) ECSHIST_CHECKED;
/* Whether events before this seq may still be there in the segment at the position that a history-expired of that
 * seq expired. */
bool ehi_log_cleaned(struct ehi_log *log, uint64_t segment, uint64_t expired_by);
/* The least and the greatest time of an event before the tail, by the footers; false: there is none. */
int ehi_log_times(struct ehi_log *log, const struct ehi_position *tail, bool *any, int64_t *min_us,
                  int64_t *max_us, struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * The record of an event as it was appended, its checksum checked: mapped, or in the arena. hint: where in the active
 * segment, 0 for none. DAMAGED, NOT_FOUND, NO_MEMORY.
 */
int ehi_log_read(struct ehi_log *log, uint64_t seq, uint64_t hint_offset, struct ehi_arena *arena,
                 struct ehi_slice *record, struct ecshist_error *error) ECSHIST_CHECKED;
/* The position of the frame that holds seq, or of the first one behind it. For cursors. */
int ehi_log_seek(struct ehi_log *log, uint64_t seq, struct ehi_position *out,
                 struct ecshist_error *error) ECSHIST_CHECKED;
/* Segments, bytes of their files, bytes used (tail: the end of what is used). */
int ehi_log_sizes(struct ehi_log *log, const struct ehi_position *tail, uint64_t *segments,
                  uint64_t *file_bytes, uint64_t *used_bytes, struct ecshist_error *error)
    ECSHIST_CHECKED;

/*
 * The footer of the sealed segment that begins with this seq says what its frames say, the checksum
 * of all of it included. For verifying; ehi_log_next does not look. DAMAGED, NOT_FOUND (not sealed,
 * no such segment).
 */
int ehi_log_check_seal(struct ehi_log *log, uint64_t segment, struct ecshist_error *error)
    ECSHIST_CHECKED;

/* A record of a frame that ehi_log_next gave, as it was appended: mapped, or in the arena. DAMAGED, NO_MEMORY. */
int ehi_log_expand(const struct ehi_log *log, const struct ehi_frame *frame,
                   const struct ehi_stored *stored, struct ehi_arena *arena,
                   struct ehi_slice *record, struct ecshist_error *error) ECSHIST_CHECKED;

#ifdef ECSHIST_TEST_HOOKS
/* Called, if not NULL, when a frame has become durable and its append has not returned yet. */
extern void (*ehi_log_test_after_flush)(void);
/* New segments are not compressed, as before there was that. */
extern bool ehi_log_test_plain;
#endif

#endif
