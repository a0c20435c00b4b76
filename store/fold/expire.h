/* Folding a history-expired onto the index: what it lists goes, as a whole. */
#ifndef EHI_FOLD_EXPIRE_H
#define EHI_FOLD_EXPIRE_H

#include "codec/expiry.h"
#include "db/db.h"
#include "fold/store.h"

/*
 * Applies a stored, stamped history-expired at `offset` of its segment in a write transaction: removes the subjects
 * that it lists, states their services, and itself enters the timeline. *head is updated (counts, next_seq,
 * last_expired_seq), not put. No batch may be under way. INDEX, FULL, DAMAGED, NO_MEMORY.
 */
int ehi_expire(struct ehi_db_txn *txn, struct ehi_log *log, struct ehi_db_head *head,
               struct ehi_slice record, uint64_t offset, struct ecshist_error *error)
    ECSHIST_CHECKED;

/*
 * Decides under the writers' lock what goes, with the index as it stands (all of the log applied). Fills *out, in the arena;
 * *out with no services: nothing does, and nothing is appended. Keeps to what an event may hold.
 */
typedef int (*ehi_expire_fn)(void *context, struct ehi_db_txn *txn, const struct ehi_db_head *head,
                             struct ehi_arena *arena, struct ehi_expiry *out,
                             struct ecshist_error *error);
/* What went with a step. seq: of its history-expired; 0: nothing went. */
struct ehi_expired_step {
    uint64_t seq, deployments, revisions, services, events;
    int64_t held_us; /* how long the lock was held */
};
/*
 * One step of a compaction, under the writers' lock: asks, appends one history-expired (durable), folds it. time_us: of
 * the event. Errors as of an append.
 */
int ehi_store_expire(struct ehi_store *store, int64_t time_us, ehi_expire_fn decide, void *context,
                     struct ehi_expired_step *out, struct ecshist_error *error) ECSHIST_CHECKED;
/* Folds what a writer made durable and did not get to fold, so that a plan knows of it. Writes nothing where there is none. */
int ehi_store_settle(struct ehi_store *store, struct ecshist_error *error) ECSHIST_CHECKED;
/* Seals the newest segment, where there is anything in it, and begins the next: what is in it can be cleaned then. */
int ehi_store_roll(struct ehi_store *store, int64_t *held_us, struct ecshist_error *error)
    ECSHIST_CHECKED;
/*
 * Puts a compact copy of the index in its place: made beside it while all go on, then, under the lock, brought up to date and
 * swapped in. Readers and writers move over. *held_us: how long the lock was. IO, INDEX, FULL, DAMAGED, NO_MEMORY.
 */
int ehi_store_shrink_index(struct ehi_store *store, int64_t *held_us, struct ecshist_error *error)
    ECSHIST_CHECKED;

#endif
