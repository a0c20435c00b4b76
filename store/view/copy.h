/* Folded states, out of index pages, records and scratch memory into the arena of an answer. */
#ifndef EHI_VIEW_COPY_H
#define EHI_VIEW_COPY_H

#include "base/arena.h"
#include "base/error.h"
#include "model/arn.h"
#include "model/deployment.h"
#include "view/view.h"

/*
 * Each replaces every text and list of the state by a copy; texts are NUL-terminated. NO_MEMORY
 * only.
 */
int view_own_deployment(struct ehi_deployment *state, struct ehi_arena *arena,
                        struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Decodes an encoded state out of one copy of it: the texts end where the next value began, and a NUL is put there. INDEX,
 * NO_MEMORY.
 */
int view_take_deployment(struct ehi_slice bytes, struct ehi_arena *arena,
                         struct ehi_deployment *out, struct ecshist_error *error) ECSHIST_CHECKED;
int view_own_revision(struct ehi_revision *state, struct ehi_arena *arena,
                      struct ecshist_error *error) ECSHIST_CHECKED;
int view_own_service(struct ehi_service *state, struct ehi_arena *arena,
                     struct ecshist_error *error) ECSHIST_CHECKED;
/* Makes the ARNs of the service and the cluster of an ARN. NO_MEMORY. */
int view_own_owner(const struct ehi_arn *arn, struct ehi_arena *arena, struct ehi_owner *out,
                   struct ecshist_error *error) ECSHIST_CHECKED;

#endif
