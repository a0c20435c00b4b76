/*
 * The rules of folding a second time, for verifying: written from the text of the specification
 * ("Folding events into views"), as plainly as they are said there, with no code of the reducer's.
 * An event that the reducer and this do not agree about is a mistake in one of them.
 */
#ifndef EHI_UPKEEP_NAIVE_H
#define EHI_UPKEEP_NAIVE_H

#include "base/arena.h"
#include "base/error.h"
#include "model/event.h"

enum ehi_naive {
    EHI_NAIVE_APPLIED = 1,
    EHI_NAIVE_REFUSED = 2,    /* a conflict, or the subject is not there: nothing has changed */
    EHI_NAIVE_NOTHING_NEW = 3 /* an observation of just what is there: nothing has changed */
};

/*
 * One event of a deployment. created_seq == 0: it does not exist yet. Texts are borrowed from the
 * event, lists made in the arena. *why: for REFUSED, a static sentence. NO_MEMORY only.
 */
int ehi_naive_deployment(struct ehi_deployment *deployment, const struct ehi_event *event,
                         struct ehi_arena *arena, enum ehi_naive *result, const char **why,
                         struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * One event of a revision; first_seq == 0: it does not exist yet. `document` is kept, to compare a
 * later observation with.
 */
enum ehi_naive ehi_naive_revision(struct ehi_revision *revision, const struct ehi_event *event,
                                  const char **why);

/* -- within naive*.c -- */

bool naive_ended(int status);
/* lifecycle-hook-updated. *room false: it would be more than may be. NO_MEMORY. */
int naive_put_hook(struct ehi_deployment *deployment, const struct ehi_hook *named,
                   struct ehi_arena *arena, bool *room, struct ecshist_error *error)
    ECSHIST_CHECKED;

#endif
