/* Deployments that somebody else keeps (spec 4.9). For folding only. */
#ifndef EHI_FOLD_REDUCE_OBSERVED_H
#define EHI_FOLD_REDUCE_OBSERVED_H

#include "base/arena.h"
#include "base/error.h"
#include "model/event.h"

/*
 * deployment-observed: the state becomes what was observed, but where that is the view as it stands
 * already: *duplicate, and nothing has changed. NO_MEMORY.
 */
int ehi_observe(struct ehi_deployment *state, const struct ehi_event *event,
                struct ehi_arena *arena, bool *duplicate, struct ecshist_error *error)
    ECSHIST_CHECKED;

#endif
