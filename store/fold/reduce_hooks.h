/* The lifecycle hooks of a deployment (spec 4.7). For folding only. */
#ifndef EHI_FOLD_REDUCE_HOOKS_H
#define EHI_FOLD_REDUCE_HOOKS_H

#include "base/arena.h"
#include "base/error.h"
#include "model/deployment.h"

/*
 * lifecycle-hook-updated: puts the hook, or sets the members it names. The state gets its own list,
 * and is changed on success only. CONFLICT (too many hooks), NO_MEMORY.
 */
int ehi_hooks_put(struct ehi_deployment *state, const struct ehi_hook *named,
                  struct ehi_arena *arena, struct ecshist_error *error) ECSHIST_CHECKED;
/* hook-action-requested: the hook is there and AWAITING_ACTION, else CONFLICT. */
int ehi_hooks_check_action(const struct ehi_deployment *state, struct ehi_slice id,
                           struct ecshist_error *error) ECSHIST_CHECKED;

#endif
