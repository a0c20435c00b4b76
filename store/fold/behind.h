/*
 * The index is written behind the log. An append is durable with its frame; its events may stay in the writer's batch, folded
 * but not put, until there are many of them, or somebody wants to read, or a moment has passed. Then they are put and
 * committed together: LMDB copies a page once for all of them. What is held so is lost with its process, and folded again from the log by
 * whoever comes next.
 *
 * Nobody is shown less than what was acknowledged before he asked: a reader who finds the index behind has it
 * brought up to date first, by the writer's batch where it is in his own process, else from the log. As long as readers come, nothing is held.
 */
#ifndef EHI_FOLD_BEHIND_H
#define EHI_FOLD_BEHIND_H

#include "fold/store.h"

/* All that follows but ehi_behind_stop is under the writers' lock. */

/* So many more events can stay with the writer: there is room, and nobody is waiting for them. */
bool ehi_behind_may_hold(struct ehi_store *store, size_t events, size_t bytes);
/*
 * Waits until what was handed over is put, or cannot be. For who puts by himself, before he asks which index stands: that of a put that
 * failed does not.
 */
void ehi_behind_wait(struct ehi_store *store);
/*
 * Begins a transaction, and store->batch at the log's end, *position: with the events that are held, or empty. hold: the
 * transaction only reads, and what is applied outlives it. *txn is the caller's, on failure too; NULL: none. *begun false: what was held is not
 * good any more, and nothing is held now. db: the index that stands, asked for behind ehi_behind_wait, or where hold, the one that events are held for.
 */
int ehi_behind_begin(struct ehi_store *store, struct ehi_db *db, bool hold, struct ehi_db_txn **txn,
                     struct ehi_position *position, bool *begun, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* What the batch has is durable, up to the position, and stays with it. db and txn are those it was folded with. */
void ehi_behind_hold(struct ehi_store *store, struct ehi_db *db, const struct ehi_db_txn *txn,
                     const struct ehi_position *position);
/* Puts and commits what is held, if anything is. Nothing is held then, whatever happens. */
int ehi_behind_settle(struct ehi_store *store, struct ecshist_error *error) ECSHIST_CHECKED;
/* Lets go of what is held, without a trace: it is in the index, or will be folded from the log. */
void ehi_behind_forget(struct ehi_store *store);

/* The index has all that was acknowledged, as far as can be: before the lock is held for long. */
void ehi_behind_bring_up(struct ehi_store *store);

/*
 * Without the lock, for a reader who found the index behind. *settled: it has all that was acknowledged until now. Else somebody is appending, and
 * knows that it is wanted: a moment has passed, and the reader looks again. attempt: how often he has.
 */
int ehi_behind_catch_up(struct ehi_store *store, unsigned attempt, bool *settled,
                        struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Without the lock, for a reader for whom the index cannot be read: a put that fails leaves LMDB's environment of no use, and what was held behind it keeps
 * that. true: it does not any more, and the reader tries again.
 */
bool ehi_behind_let_go_of_failed(struct ehi_store *store);
/* The head that a reader sees lacks something that was acknowledged; without the words, something that is in the log. */
bool ehi_behind_is(const struct ehi_store *store, const struct ehi_db_head *head);

/*
 * Once nobody uses the store any more: what is held is settled as far as can be. Without the lock. false: the library's thread cannot be ended, as another
 * process was stopped in the middle of a commit: it has the store still, which is left to it.
 */
bool ehi_behind_stop(struct ehi_store *store) ECSHIST_CHECKED;

#ifdef ECSHIST_TEST_HOOKS
/* Not 0: events are held so long, though readers want them all the time; negative: they never are. */
extern int64_t ehi_behind_test_hold_us;
/* Not 0: so many are held before they are handed over. */
extern unsigned ehi_behind_test_hold_events;
/* What was handed over cannot be put. */
extern bool ehi_behind_test_put_fails;
#endif

#endif
