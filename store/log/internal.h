/*
 * What the files of this folder share.
 *
 *   sys.c      system calls
 *   segment.c  segment files: names, headers, making one, listing them
 *   table.c    open and close, the table of segments, their mappings
 *   frame.c    frames and records as bytes; footers found
 *   scan.c     frame by frame with the three verdicts
 *   append.c   lock, append, cut, settle
 *   seal.c     footers made
 *   clean.c    sealed segments rewritten without expired events
 *   read.c     one record, and the place of one
 *
 * Two rules keep mapped bytes safe: a segment file never shrinks (a cleaned one is another file) as long as anybody has the
 * store open, and no mapping is undone while somebody is between ehi_log_enter and ehi_log_leave.
 */
#ifndef EHI_LOG_INTERNAL_H
#define EHI_LOG_INTERNAL_H

#include "log/log.h"
#include "log/sys.h"

#include <pthread.h>

/* What a frame may hold: a batch's events and what surrounds each. */
#define EHI_FRAME_MAX_PAYLOAD                                                                      \
    (ECSHIST_MAX_BATCH_BYTES + ECSHIST_MAX_BATCH_EVENTS * (EHI_RECORD_HEADER_BYTES + 8u))
/*
 * Zeros are written ahead up to the next multiple of a step, which doubles from FIRST to this: who appends little writes few. Frames
 * from LARGE on go without.
 */
#define EHI_PREFILL_FIRST_BYTES 16384u
#define EHI_PREFILL_BYTES 1048576u
#define EHI_LARGE_FRAME_BYTES 131072u
/* The newest segment is mapped that far beyond what may come before it is sealed. */
#define EHI_MAP_SLACK_BYTES 33554432u

#define EHI_SEGMENT_NAME_BYTES 32
#define EHI_NAME_OF(seq) ((unsigned long long)(seq))
#define EHI_SEGMENT_NAME "%020llu.seg"

struct ehi_segment {
    uint64_t first_seq;
    int fd;             /* to ask for its size; -1: not open, or it does not change any more */
    const uint8_t *map; /* NULL: not mapped yet */
    size_t map_bytes;
    uint64_t size;         /* what of the map may be touched */
    uint64_t footer;       /* offset of the footer's frame, checked; 0: none */
    bool footer_checked;   /* only done once the segment has a successor */
    bool gaps, compressed; /* as its header says; and cleaned_by */
    uint64_t cleaned_by;
    uint64_t inode; /* of the file that is mapped */
};

struct ehi_old_map {
    struct ehi_old_map *next;
    const uint8_t *map;
    size_t bytes;
};

struct ehi_log {
    int dirfd;
    char *path;
    uint8_t store_id[16];
    uint64_t seed;
    uint32_t segment_bytes;

    pthread_mutex_t tables; /* guards from here to old_maps */
    struct ehi_segment **segments;
    size_t segment_count;
    size_t segment_capacity;
    struct ehi_old_map *old_maps;
    unsigned users;     /* between ehi_log_enter and ehi_log_leave */
    int64_t checked_ns; /* when the directory was last changed, as of the last look at the files */

    pthread_mutex_t writer; /* held from ehi_log_lock to ehi_log_unlock; guards the rest */
    int write_fd;
    uint64_t write_segment; /* that write_fd is of; 0: none */
    struct ehi_buffer buffer;
    uint32_t prefill_bytes;            /* the step; 0: the first */
    struct ehi_compressor *compressor; /* of the segment that write_fd is of; NULL: none yet */
};

/* A segment as it was at one moment: what the hot paths look at without the mutex. */
struct ehi_view {
    uint64_t segment;
    const uint8_t *map;
    uint64_t size;
    uint64_t footer;       /* as in the segment */
    uint64_t next;         /* the first seq of the segment after it; 0: it is the newest known */
    bool gaps, compressed; /* as in the segment, and cleaned_by */
    uint64_t cleaned_by;
};

static inline uint64_t ehi_align8(uint64_t n)
{
    return (n + 7) & ~(uint64_t)7;
}

/* segment.c */
void ehi_segment_name(uint64_t first_seq, const char *suffix, char name[EHI_SEGMENT_NAME_BYTES]);
/* The header is one of this format, this name, and this store (store_id NULL: of any). */
int ehi_segment_check_bytes(const uint8_t *header, uint64_t first_seq, const uint8_t *store_id,
                            struct ecshist_error *error) ECSHIST_CHECKED;
/* The same of the file's. */
int ehi_segment_check_header(int fd, uint64_t first_seq, const uint8_t *store_id,
                             uint8_t header[EHI_SEGMENT_HEADER_BYTES], struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Writes an empty segment whole, then gives it its name; durable with its name. */
int ehi_segment_make(int dirfd, uint64_t first_seq, const uint8_t store_id[16], uint64_t size,
                     struct ecshist_error *error) ECSHIST_CHECKED;
/* The first seqs of all segment files, ascending, as u64 one behind the other. */
int ehi_segment_list(int dirfd, struct ehi_buffer *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Removes what was being made under this suffix when somebody died. */
int ehi_segment_sweep(int dirfd, const char *suffix, struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_segment_fill_header(uint8_t *header, uint64_t first_seq, const uint8_t store_id[16],
                             uint32_t features, uint64_t cleaned_by);
uint64_t ehi_store_seed(const uint8_t store_id[16]);

/* table.c */
/* The segment that begins with exactly this seq; its size is asked for anew if it is below `need`. NOT_FOUND. */
int ehi_view_get(struct ehi_log *log, uint64_t segment, uint64_t need, struct ehi_view *out,
                 struct ecshist_error *error) ECSHIST_CHECKED;
/* The last segment that begins at or before seq. NOT_FOUND. */
int ehi_view_holding(struct ehi_log *log, uint64_t seq, struct ehi_view *out,
                     struct ecshist_error *error) ECSHIST_CHECKED;
/* Reads the directory for segments that others began. */
int ehi_table_refresh(struct ehi_log *log, struct ecshist_error *error) ECSHIST_CHECKED;

/* frame.c */
/*
 * The frame's header at the offset says something that fits into `size` bytes; nothing is said of its
 * checksum. *footer: it is one.
 */
bool ehi_frame_parse(const struct ehi_view *view, uint64_t offset, struct ehi_frame *out,
                     bool *footer);
/* Makes the header of a frame of `length` bytes, its header included, whose records stand behind it. */
void ehi_frame_fill_header(uint8_t *frame, size_t length, uint32_t count, uint64_t first_seq,
                           uint64_t seed);
bool ehi_frame_intact(const uint8_t *map, const struct ehi_frame *frame, uint64_t seed);
/* All records are there, whole, and numbered one after the other, or rising. Sets next_seq. */
bool ehi_frame_adds_up(struct ehi_frame *frame);
/* The seq behind its last record, where the records are not all looked at otherwise. */
uint64_t ehi_frame_next(const struct ehi_frame *frame);
bool ehi_footer_adds_up(const struct ehi_frame *frame);
/* The offset that the file's trailer names; 0: there is no trailer. */
uint64_t ehi_trailer_offset(const uint8_t *map, uint64_t size);
/* The offset of a sealed segment's footer, checked; 0: there is none that is right. */
uint64_t ehi_footer_find(const uint8_t *map, uint64_t size, uint64_t seed);
bool ehi_all_zero(const uint8_t *data, uint64_t length);

/* scan.c */
enum ehi_look {
    EHI_LOOK_FRAME,
    EHI_LOOK_FOOTER,
    EHI_LOOK_ZERO,  /* nothing here: zeros, or the file's end */
    EHI_LOOK_BAD,   /* no frame, or its checksum is wrong */
    EHI_LOOK_WRONG, /* its checksum is right, and what it says is not */
};
/* What stands at the offset, checksum and all. *out is filled for a frame and a footer. */
enum ehi_look ehi_look_at(const struct ehi_log *log, const struct ehi_view *view, uint64_t offset,
                          uint64_t next_seq, struct ehi_frame *out);
/* DAMAGED, with the place. `offset` in the segment, where the event next_seq was looked for. */
int ehi_damaged(const struct ehi_log *log, uint64_t segment, uint64_t offset, uint64_t next_seq,
                const char *what, struct ecshist_error *error);

/* As ehi_log_at_end, which says no where it could not look. NOT_FOUND, IO, NO_MEMORY. */
int ehi_log_look_for_end(struct ehi_log *log, const struct ehi_position *position, bool *at_end,
                         struct ecshist_error *error) ECSHIST_CHECKED;

/* seal.c */
/* The footer's frame of the frames up to `end` and the segment that follows. *out is the caller's to free, on failure too. */
int ehi_footer_make(const struct ehi_log *log, const struct ehi_view *view, uint64_t end,
                    uint64_t next, struct ehi_buffer *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Writes footer and trailer to the file of `size` bytes, and flushes it. -1 with errno. */
int ehi_footer_write(int fd, const struct ehi_buffer *footer, uint64_t offset, uint64_t size)
    ECSHIST_CHECKED;
/* Writes the footer of the segment that ends at the position; durable. Under the lock. */
int ehi_seal(struct ehi_log *log, int fd, const struct ehi_position *position,
             struct ecshist_error *error) ECSHIST_CHECKED;

#endif
