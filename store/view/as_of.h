/* States as of a moment. What the answers are made of. */
#ifndef EHI_VIEW_AS_OF_H
#define EHI_VIEW_AS_OF_H

#include "base/arena.h"
#include "base/error.h"
#include "view/events.h"
#include "view/view.h"

/* Each: *found false where nothing had happened yet. What is found lives in the arena. */
int view_deployment_at(const struct ehi_view_source *source, uint64_t id,
                       const struct view_moment *moment, struct ehi_arena *arena,
                       struct ehi_deployment *out, bool *found, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* The same of a state that was read already. The ARN is in *out in any case. */
int view_deployment_of(const struct ehi_view_source *source, uint64_t id, struct ehi_slice bytes,
                       const struct view_moment *moment, struct ehi_arena *arena,
                       struct ehi_deployment *out, bool *found, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* With its document. */
int view_revision_at(const struct ehi_view_source *source, uint64_t id,
                     const struct view_moment *moment, struct ehi_arena *arena,
                     struct ehi_revision *out, bool *found, struct ecshist_error *error)
    ECSHIST_CHECKED;

/* The encoded state as it stands now; INDEX where the index names a subject that it has not. */
int view_read_state(const struct ehi_view_source *source, enum ehi_arn_kind kind, uint64_t id,
                    struct ehi_slice *bytes, struct ecshist_error *error) ECSHIST_CHECKED;

/* What the hash of an ARN led to is of that ARN. INDEX: of another one, of the same hash. */
int view_check_arn(struct ehi_slice asked, struct ehi_slice found, struct ecshist_error *error)
    ECSHIST_CHECKED;
/*
 * The subject's timeline has the newest event that its state is of: the two are as of one moment. INDEX where
 * they are not: then one is an older one.
 */
int view_check_timeline(const struct ehi_view_source *source, const struct ehi_arn *arn,
                        uint64_t id, struct ecshist_error *error) ECSHIST_CHECKED;

#endif
