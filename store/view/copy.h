/* Folded states, out of index pages, records and scratch memory into the arena of an answer. */
#ifndef EHI_VIEW_COPY_H
#define EHI_VIEW_COPY_H

#include "base/arena.h"
#include "base/error.h"
#include "model/deployment.h"

/*
 * Each replaces every text and list of the state by a copy; texts are NUL-terminated. NO_MEMORY
 * only.
 */
int view_own_deployment(struct ehi_deployment *state, struct ehi_arena *arena,
                        struct ecshist_error *error) ECSHIST_CHECKED;
int view_own_revision(struct ehi_revision *state, struct ehi_arena *arena,
                      struct ecshist_error *error) ECSHIST_CHECKED;
int view_own_service(struct ehi_service *state, struct ehi_arena *arena,
                     struct ecshist_error *error) ECSHIST_CHECKED;

#endif
