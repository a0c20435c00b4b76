/*
 * One event onto one deployment: the rules of folding, pure. The reducer checks first and changes
 * after: on a conflict the state is as it was. Texts taken over from the event are borrowed from
 * it, or from its arena.
 */
#ifndef EHI_FOLD_REDUCE_H
#define EHI_FOLD_REDUCE_H

#include "base/arena.h"
#include "base/error.h"
#include "model/event.h"

enum ehi_applied { EHI_APPLIED = 1, EHI_DUPLICATE = 2 };

/*
 * state->created_seq == 0: the deployment does not exist yet. New lists come from the arena. OK
 * with *applied (EHI_DUPLICATE: an observation equal to the view: nothing changed), CONFLICT or
 * NOT_FOUND (message: why, for a person), NO_MEMORY.
 */
int ehi_reduce(struct ehi_deployment *state, const struct ehi_event *event, struct ehi_arena *arena,
               enum ehi_applied *applied, struct ecshist_error *error) ECSHIST_CHECKED;

#endif
