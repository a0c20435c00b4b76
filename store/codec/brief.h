/*
 * What a list shows of a deployment (ServiceDeploymentBrief), for the list's own rows: what the row's key and its service say
 * is not said again. Not a lasting format: another INDEX_FORMAT is a rebuild.
 */
#ifndef EHI_CODEC_BRIEF_H
#define EHI_CODEC_BRIEF_H

#include "base/arena.h"
#include "base/error.h"
#include "model/deployment.h"

/* What the ARNs of a service's deployments and revisions have in common. Borrows from the service's ARN. */
struct ehi_brief_owner {
    struct ehi_slice front; /* up to the type */
    struct ehi_slice
        path; /* cluster and service, with no slash at either end; empty: not the ARN of a service */
};
struct ehi_brief_owner ehi_brief_owner(struct ehi_slice service_arn);

/* Appends to `out`. Of what is rare (a long reason, an ARN of another service) it says only that the state has it. NO_MEMORY. */
int ehi_brief_encode(const struct ehi_deployment *d, const struct ehi_brief_owner *owner,
                     struct ehi_buffer *out) ECSHIST_CHECKED;
/*
 * Sets arn, times started and finished, the target's ARN, the reason; *out has created_at_us already. Texts come from the arena
 * and are NUL-terminated. *in_state: the state has all that, nothing is set. INDEX where the bytes are not such; NO_MEMORY.
 */
int ehi_brief_decode(struct ehi_slice bytes, const struct ehi_brief_owner *owner,
                     struct ehi_arena *arena, struct ehi_deployment *out, bool *in_state,
                     struct ecshist_error *error) ECSHIST_CHECKED;

#endif
