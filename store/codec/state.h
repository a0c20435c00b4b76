/*
 * Folded states as the index keeps them. Not a lasting format: another INDEX_FORMAT is a rebuild.
 */
#ifndef EHI_CODEC_STATE_H
#define EHI_CODEC_STATE_H

#include "base/arena.h"
#include "base/error.h"
#include "model/deployment.h"

/* Each appends to `out`. Fail with NO_MEMORY only. */
int ehi_deployment_encode(const struct ehi_deployment *state, struct ehi_buffer *out)
    ECSHIST_CHECKED;
int ehi_revision_encode(const struct ehi_revision *state, struct ehi_buffer *out) ECSHIST_CHECKED;
int ehi_service_encode(const struct ehi_service *state, struct ehi_buffer *out) ECSHIST_CHECKED;
/*
 * Each borrows from `bytes`; lists, and ARNs that are not there as texts, come from the arena. INDEX where the bytes are not a state;
 * NO_MEMORY.
 */
int ehi_deployment_decode(struct ehi_slice bytes, struct ehi_arena *arena,
                          struct ehi_deployment *out, struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_revision_decode(struct ehi_slice bytes, struct ehi_arena *arena, struct ehi_revision *out,
                        struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_service_decode(struct ehi_slice bytes, struct ehi_service *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* The views are the same: every member shown, not the bookkeeping (seqs, counts known). */
bool ehi_deployment_same_view(const struct ehi_deployment *a, const struct ehi_deployment *b);

#endif
