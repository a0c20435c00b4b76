/*
 * Shared by the files that verify.
 *
 *   verify.c          the two passes, findings, progress
 *   verify_file.c     bytes of a file by pread
 *   verify_log.c      the physical pass: segments, one frame after the other
 *   verify_frame.c    what stands at a place; the records of a frame
 *   verify_record.c   compressed records, made again
 *   verify_seal.c     footers and trailers, made again from the frames
 *   verify_expired.c  what history-expired events say
 *   verify_views.c    the logical pass: each subject's events folded, compared with the index
 *   verify_service.c  the views of services, from what was seen of their deployments
 *   verify_tables.c   the index's tables as a whole, and its head
 *   verify_index.c    the child that reads the index, and what it sends
 *   verify_same.c     two states, member by member
 *   naive*.c          the rules of folding, a second time
 *
 * Every function that returns an int gives ECSHIST_OK, or a code that ends the whole: END, IO,
 * NO_MEMORY. What is wrong with the store is a finding, not an error.
 */
#ifndef EHI_UPKEEP_VERIFY_INTERNAL_H
#define EHI_UPKEEP_VERIFY_INTERNAL_H

#include "base/arena.h"
#include "base/hash.h"
#include "codec/format.h"
#include "db/db.h"
#include "model/event.h"
#include "upkeep/verify.h"

#include <sys/types.h>

/* The invariants of docs/INVARIANTS.md that are looked at here. */
#define VERIFY_INVARIANTS(X)                                                                       \
    X(L1)                                                                                          \
    X(L2)                                                                                          \
    X(L3)                                                                                          \
    X(L4)                                                                                          \
    X(L5)                                                                                          \
    X(L6)                                                                                          \
    X(L7)                                                                                          \
    X(L8)                                                                                          \
    X(L9)                                                                                          \
    X(L10)                                                                                         \
    X(L11)                                                                                         \
    X(I1)                                                                                          \
    X(I2)                                                                                          \
    X(I3)                                                                                          \
    X(I4)                                                                                          \
    X(I5)                                                                                          \
    X(I6)                                                                                          \
    X(I7)                                                                                          \
    X(I9)                                                                                          \
    X(I10)
enum invariant {
#define VERIFY_ENUM(name) BROKEN_##name,
    VERIFY_INVARIANTS(VERIFY_ENUM)
#undef VERIFY_ENUM
        INVARIANT_COUNT
};

/* -- bytes of files (verify_file.c) ------------------------------------------------------------ */

struct verify_file {
    int fd;
    uint64_t size;
    uint8_t *window; /* bytes from `from` on */
    uint64_t from;
    size_t length, capacity;
    int failed; /* errno of a read that failed; NO_MEMORY: ENOMEM */
};

/* Borrowed until the next call. NULL: not all of it is in the file, or file->failed is set. */
const uint8_t *verify_file_at(struct verify_file *file, uint64_t offset, size_t length);
/* Others may have written: forgets what was read, asks for the size. */
bool verify_file_refresh(struct verify_file *file);
/* Zeros from here to `end`. */
bool verify_file_zero(struct verify_file *file, uint64_t offset, uint64_t end);
void verify_file_close(struct verify_file *file);

/* -- the log, as the physical pass found it ---------------------------------------------------- */

struct verify_segment {
    uint64_t first_seq; /* by its name */
    uint64_t size;
    int fd; /* -1: not open now */
    dev_t device;
    ino_t inode;
    bool readable; /* its header is right */
    bool gaps, compressed;
    uint64_t cleaned_by;
};

/* Where an event is. 40 bytes for each event of the log. */
struct verify_place {
    struct ehi_hash128 subject;
    uint64_t seq;
    uint64_t offset;  /* of its record */
    uint32_t segment; /* which of the segments */
    uint32_t bytes;
};

struct verify_places {
    struct verify_place *items;
    size_t count, capacity;
};

/* -- what is expired (verify_expired.c) -------------------------------------------------------- */

struct verify_expired {
    struct ehi_hash128 subject;
    uint64_t seq; /* of the history-expired: events before it count for nothing */
};

/* What a history-expired says of a service. */
struct verify_restated {
    struct ehi_hash128 service;
    uint64_t seq;
    int64_t cutoff_us;
    bool gone, inactive;
    struct ehi_slice current_revision_arn; /* data NULL: none */
    int64_t current_finished_at_us;
    uint64_t current_created_seq;
};

struct verify_services; /* verify_service.c */
struct verify_index;    /* verify_index.c */
struct verify_tables;   /* verify_tables.c */

struct verify {
    const char *path;
    const struct ecshist_verify_options *options;
    ecshist_finding_fn on_finding;
    void *context;
    struct ecshist_error *error;
    struct ecshist_verify_result result;
    uint64_t counts[INVARIANT_COUNT];
    int dir_fd, log_fd;
    uint64_t done, total; /* progress */
    bool events_lost;     /* the log's frames are not all there: the index cannot be compared */

    struct verify_segment *segments;
    size_t segment_count;
    int spare_fd; /* of the segment spare_segment, where all cannot be kept open */
    size_t spare_segment;
    bool has_store_id;
    uint8_t store_id[16];
    uint64_t seed;
    uint64_t next_seq; /* behind the last event */

    struct verify_places places, expiries; /* events with a subject; history-expired ones */
    struct ehi_arena arena;                /* what lives as long as this */

    struct verify_expired *expired;
    size_t expired_count;
    struct verify_restated *restated;
    size_t restated_count;

    /* The index's snapshot; limit: the first seq that it has not applied. No index: UINT64_MAX. */
    struct verify_index *index;
    bool has_head;
    struct ehi_db_head head;
    uint64_t limit;
    struct verify_services *services;
    struct verify_tables *tables;
    /* Of the events before the limit that are not expired. */
    uint64_t event_count, ignored_count, revision_count;
    uint64_t by_status[16];
    bool any_in_flux; /* a compaction that the snapshot has not seen is taking events away */
};

/* -- verify.c -- */

struct verify_at {
    uint64_t segment, offset, seq;
};
/* Tells of a finding. OK or END. */
int verify_finding(struct verify *v, enum invariant broken, struct verify_at at, const char *format,
                   ...) ECSHIST_PRINTF(4, 5) ECSHIST_CHECKED;
/* So much more is done. OK or END. */
int verify_progress(struct verify *v, uint64_t more) ECSHIST_CHECKED;
bool verify_quick(const struct verify *v);
/* A growing array. NULL where memory is out: then it is as it was. */
void *verify_grow(void *items, size_t count, size_t *capacity, size_t size);

/* -- verify_log.c -- */

/* Lists the segments, anew each time; the store's id is that of the first header that is right. */
int verify_list(struct verify *v) ECSHIST_CHECKED;
int verify_log(struct verify *v) ECSHIST_CHECKED;
/* A file of a segment, open for as long as it is used. -1: failed, v->error is filled. */
int verify_segment_fd(struct verify *v, size_t segment);

/* One segment being scanned. */
struct verify_scan {
    struct verify *v;
    size_t index;
    struct verify_segment *segment;
    struct verify_file file;
    uint64_t offset, next; /* where the next frame is, and the seq it begins with */
    bool newest, damaged;
    struct ehi_arena arena; /* of one record */
    /* For the footer. */
    uint64_t events, ignored, frames;
    int64_t min_time, max_time;
    uint64_t last_entry;
    uint8_t *entries; /* as the footer has them */
    size_t entry_count, entry_capacity;
};

/* -- verify_frame.c -- */

struct verify_frame {
    uint64_t offset, length, checksum, first_seq;
    uint32_t record_count, payload;
    bool footer;
};
enum verify_look {
    VERIFY_NOTHING, /* zeros, or the file's end */
    VERIFY_BAD,     /* no frame; or its checksum is wrong: out->length is not 0 then */
    VERIFY_FRAME,
    VERIFY_FOOTER,
    VERIFY_FAILED /* the file could not be read */
};
enum verify_look verify_look_at(struct verify_file *file, uint64_t seed, uint64_t offset,
                                struct verify_frame *out);
/* A frame whose checksum is right: its records, taken in. */
int verify_take_frame(struct verify_scan *s, const struct verify_frame *frame) ECSHIST_CHECKED;
/* Seqs from `from` to before `to` are missing there: a finding, where they may not be. */
int verify_missing(struct verify_scan *s, uint64_t offset, uint64_t from, uint64_t to)
    ECSHIST_CHECKED;
struct verify_at verify_here(const struct verify_scan *s, uint64_t offset, uint64_t seq);
/* v->error, for a file that could not be read. */
int verify_unread(const struct verify_scan *s) ECSHIST_CHECKED;

/* -- verify_record.c -- */

struct verify_made {
    struct ehi_slice
        record; /* as it was appended, in the arena; empty: not even its header could be made */
    size_t stored_bytes; /* of the segment; 0: not to be said */
    const char *fault;   /* NULL: none */
};
/* The record that is stored compressed at the offset. errno of a read that failed (ENOMEM: memory is out), or 0. */
int verify_make_record(int fd, uint64_t offset, struct ehi_slice stored, struct ehi_arena *arena,
                       struct verify_made *out);

/* -- verify_seal.c -- */

/* At the footer; s->next becomes the seq that it says the next segment begins with. */
int verify_seal(struct verify_scan *s, const struct verify_frame *frame) ECSHIST_CHECKED;
/* The offset that the file's trailer names; 0: there is none. */
uint64_t verify_trailer(struct verify_file *file);

/* -- verify_expired.c -- */

/* Reads the history-expired events of the log. */
int verify_read_expiries(struct verify *v) ECSHIST_CHECKED;
/* Events of the subject with a seq below this count for nothing: by the events before `limit`. */
uint64_t verify_expired_before(const struct verify *v, struct ehi_hash128 subject, uint64_t limit);
/* What history-expired events say of a service, by seq; NULL where none does. */
const struct verify_restated *verify_restated_of(const struct verify *v, struct ehi_hash128 service,
                                                 size_t *count);
/* An event of a service itself. */
bool verify_service_event_expired(const struct verify *v, struct ehi_hash128 service, uint64_t seq,
                                  int64_t time_us, uint64_t limit);

/* -- verify_views.c -- */

int verify_views(struct verify *v) ECSHIST_CHECKED;
/* The record at a place, in the arena. */
int verify_read_record(struct verify *v, const struct verify_place *place, struct ehi_arena *arena,
                       struct ehi_slice *out) ECSHIST_CHECKED;

/* -- verify_same.c: the first member in which they differ; NULL: they are the same -- */

const char *verify_deployment_difference(const struct ehi_deployment *a,
                                         const struct ehi_deployment *b);
const char *verify_revision_difference(const struct ehi_revision *a, const struct ehi_revision *b);
const char *verify_service_difference(const struct ehi_service *a, const struct ehi_service *b);

/* -- verify_service.c -- */

/* What happens to a service. */
enum verify_step_kind {
    STEP_CREATED, /* a deployment came into existence: the service is ACTIVE */
    STEP_SEEN,    /* it exists: a revision, an observation of what had ended */
    STEP_DELETED,
    STEP_IGNORED /* an ignored event of its own */
};
struct verify_step {
    enum verify_step_kind kind;
    uint64_t seq;
    uint64_t segment, offset; /* of its own events */
};
struct verify_services *verify_services_new(void);
void verify_services_free(struct verify_services *services);
int verify_service_step(struct verify *v, struct ehi_slice service_arn,
                        const struct verify_step *step) ECSHIST_CHECKED;
/* The deployment as it is before the limit. flux: it is being taken away. */
int verify_service_deployment(struct verify *v, struct ehi_slice service_arn,
                              const struct ehi_deployment *deployment, bool flux) ECSHIST_CHECKED;
int verify_service_in_flux(struct verify *v, struct ehi_slice service_arn) ECSHIST_CHECKED;
/* The same of one that verify_service_row has told of. */
void verify_service_row_in_flux(struct verify *v, struct ehi_hash128 hash);
/* The index has a service of this ARN; data NULL: the ARN cannot be told, there is no state. */
int verify_service_row(struct verify *v, struct ehi_hash128 hash, struct ehi_slice arn, uint64_t id,
                       struct ehi_slice state) ECSHIST_CHECKED;
/* All events and rows are in: folds, compares. compare: the index was read to its end. */
int verify_services_settle(struct verify *v, bool compare) ECSHIST_CHECKED;
/* Id of a service in the index, 0: none. */
uint64_t verify_service_id(const struct verify *v, struct ehi_hash128 service);
uint64_t verify_service_count(const struct verify *v);
/* Calls for every service that the index has and should have. */
int verify_services_each(struct verify *v, int (*visit)(struct verify *v, struct ehi_slice arn,
                                                        uint64_t id)) ECSHIST_CHECKED;

/* -- verify_tables.c -- */

struct verify_tables *verify_tables_new(void);
void verify_tables_free(struct verify_tables *tables);
/* The index gives this id to a subject of this kind. */
int verify_tables_id(struct verify *v, uint64_t id, enum ehi_arn_kind kind, bool flux)
    ECSHIST_CHECKED;
/* A deployment that the index has, and that should be listed. */
int verify_tables_deployment(struct verify *v, uint64_t id, struct ehi_slice service_arn,
                             const struct ehi_deployment *deployment) ECSHIST_CHECKED;
/* Reads what the child sends of whole tables. */
int verify_tables_read(struct verify *v) ECSHIST_CHECKED;
int verify_head(struct verify *v) ECSHIST_CHECKED;

/* -- verify_index.c -- */

enum verify_message_kind {
    MESSAGE_HEAD = 1,   /* struct ehi_db_head */
    MESSAGE_NO_INDEX,   /* number, text: why there is none that could be trusted */
    MESSAGE_UNREADABLE, /* text */
    MESSAGE_KEPT_OUT,   /* it may not be read beside others */
    MESSAGE_ARN,        /* hash, id, kind */
    MESSAGE_STATE,      /* bytes; of the ARN before it, where it has one */
    MESSAGE_TIMELINE,   /* struct ehi_db_entry[]; of the ARN before it */
    MESSAGE_EXPIRIES,   /* no more ARNs: the timeline of no subject follows */
    MESSAGE_TABLES,     /* whole tables follow */
    MESSAGE_OWNER,      /* a state: kind, id */
    MESSAGE_ROW,        /* of the timeline: id, number, other: seq of its first entry */
    MESSAGE_LISTED,     /* id, listed; bytes: its brief */
    MESSAGE_NAMED,      /* id, number */
    MESSAGE_END
};
struct verify_message {
    enum verify_message_kind kind;
    enum ehi_arn_kind arn_kind;
    struct ehi_hash128 hash;
    uint64_t id, number, other;
    struct ehi_db_listed listed;
    uint32_t length;
    const uint8_t *bytes; /* borrowed until the next message; not aligned */
};
/* Forks the child. v->index stays NULL where there is no directory index. */
int verify_index_start(struct verify *v) ECSHIST_CHECKED;
/* The next message. *out's kind is MESSAGE_END at the end, also where the child has died. */
int verify_index_next(struct verify *v, struct verify_message *out) ECSHIST_CHECKED;
/* It ended as it should: all that it had to send was read. */
bool verify_index_complete(const struct verify *v);
/* Kills the child if it is still there. NULL is allowed. */
void verify_index_stop(struct verify_index *index);

#ifdef ECSHIST_TEST_HOOKS
/* Silence of the child, in milliseconds, that is taken for its end; what the child does first. */
extern int verify_test_silence_ms;
extern size_t verify_test_events_at_once;
extern void (*verify_test_in_child)(void);
#endif

#endif
