/*
 * Folding a batch of events onto the index's states: read what they touch, fold in memory, put each
 * touched state once. Three phases, in this order: apply (reads only), the caller makes the events
 * durable, put (writes only).
 */
#ifndef EHI_FOLD_PROJECT_H
#define EHI_FOLD_PROJECT_H

#include "base/arena.h"
#include "base/error.h"
#include "db/db.h"
#include "log/log.h"
#include "model/event.h"

#include <ecshist/store.h>

struct ehi_batch;
struct ehi_batch_chunk;

/* What became of an event, as in struct ecshist_append_result. The reason is in the error given to
 * apply. */
struct ehi_outcome {
    ecshist_outcome outcome;
    int code;
    uint64_t seq;
};

/* A batch reads through `txn` and `log`. Memory is kept from one use to the next. */
struct ehi_batch *ehi_batch_new(void);
void ehi_batch_free(struct ehi_batch *batch);
/* Begins: forgets all that was applied. */
void ehi_batch_begin(struct ehi_batch *batch, struct ehi_db_txn *txn, struct ehi_log *log,
                     const struct ehi_db_head *head);
/*
 * Goes on with what was applied before, reading, or being put, through another transaction on the same state of the index. keeps:
 * what is applied now outlives that transaction; else it borrows from it.
 */
void ehi_batch_continue(struct ehi_batch *batch, struct ehi_db_txn *txn, bool keeps);
/*
 * The index that batches with this sieve are put into was empty when the first was begun, and is written to by nobody else: an ARN
 * that none of them has met is not looked for. For making an index anew, one batch after the other. NULL: all are looked for.
 */
struct ehi_sieve;
struct ehi_sieve *ehi_sieve_new(void); /* free() it; NULL where memory is out */
void ehi_batch_from_scratch(struct ehi_batch *batch, struct ehi_sieve *sieve);
/*
 * For two threads: one puts `older`, whose events come before this batch's, while the other applies this one, reading what
 * stood in the index before `older`, or, once that is committed, after it. Until this one is begun anew no event is applied to `older`, nor is it begun.
 * The places of older's records in the log are known from here on (ehi_batch_records).
 */
void ehi_batch_follow(struct ehi_batch *batch, struct ehi_batch *older);
/* Its memory is kept from one use to the next, however much it is. */
void ehi_batch_keep_memory(struct ehi_batch *batch);
/* The memory that the batch has of its events, to say when it should be put. */
size_t ehi_batch_bytes(const struct ehi_batch *batch);
/* The head as it will be after put; its log position is the caller's to set before. */
struct ehi_db_head *ehi_batch_head(struct ehi_batch *batch);
/* Events applied that belong into the log. */
uint32_t ehi_batch_count(const struct ehi_batch *batch);

/*
 * One new event: takes the next seq where it is appended or ignored. `record` must outlive the
 * batch. On REFUSED nothing has changed. The return is a failure of the machinery (INDEX, DAMAGED,
 * NO_MEMORY), never a refusal.
 */
int ehi_batch_apply(struct ehi_batch *batch, struct ehi_slice record, bool lenient,
                    struct ehi_outcome *out, struct ecshist_error *reason) ECSHIST_CHECKED;
/*
 * One event of the log, at `offset` of its segment: what it says is done. restated: a later history-expired
 * states its service. DAMAGED where it does not fit.
 */
int ehi_batch_replay(struct ehi_batch *batch, struct ehi_slice record, uint64_t offset,
                     bool restated, struct ecshist_error *error) ECSHIST_CHECKED;
/* Where a record may lie that is replayed: until the batch is begun anew. */
struct ehi_arena *ehi_batch_arena(struct ehi_batch *batch);
/* The next event of the log is this one: those between have expired. */
void ehi_batch_skip_to(struct ehi_batch *batch, uint64_t seq);
/* The records of the applied events, in the order of seq, with a flag for each. Borrowed. */
struct ehi_batch_record {
    struct ehi_slice record;
    uint64_t seq;
    unsigned flags;
    uint64_t offset; /* in its segment; for new events, set by the caller before put */
    struct ehi_batch_chunk *chunk; /* its entry in the timeline: where, and which */
    unsigned place;
};
struct ehi_batch_record *ehi_batch_records(struct ehi_batch *batch);
/* Puts head and every touched state. The batch must be begun anew after it. */
int ehi_batch_put(struct ehi_batch *batch, struct ecshist_error *error) ECSHIST_CHECKED;

#endif
