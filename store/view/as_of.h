/* States as of a moment: the present, a seq or a time. What the answers are made of. */
#ifndef EHI_VIEW_AS_OF_H
#define EHI_VIEW_AS_OF_H

#include "base/arena.h"
#include "base/error.h"
#include "view/resolve.h"
#include "view/view.h"

enum view_moment_kind { VIEW_NOW, VIEW_AT_SEQ, VIEW_AT_TIME };

struct view_moment {
    enum view_moment_kind kind;
    uint64_t seq;
    int64_t time_us;
};

/* as_of NULL: now. A seq that is not reached yet is now, too. INVALID where both are set. */
int view_moment(const struct ehi_view_source *source, const struct ecshist_as_of *as_of,
                struct view_moment *out, struct ecshist_error *error) ECSHIST_CHECKED;

/* Each: *found false where nothing had happened yet. What is found lives in the arena. */
int view_deployment_at(const struct ehi_view_source *source, uint64_t id,
                       const struct view_moment *moment, struct ehi_arena *arena,
                       struct ehi_deployment *out, bool *found, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* With its document. */
int view_revision_at(const struct ehi_view_source *source, uint64_t id,
                     const struct view_moment *moment, struct ehi_arena *arena,
                     struct ehi_revision *out, bool *found, struct ecshist_error *error)
    ECSHIST_CHECKED;
int view_service_at(const struct ehi_view_source *source, uint64_t id,
                    const struct view_moment *moment, struct ehi_arena *arena,
                    struct ehi_service *out, bool *found, struct ecshist_error *error)
    ECSHIST_CHECKED;

/*
 * A subject's events up to the moment, in seq order, one at a time: *out is the stored record, mapped; its data is
 * NULL behind the last. view_events_end always.
 */
struct view_events {
    const struct ehi_view_source *source;
    struct view_moment moment;
    struct ehi_db_walk walk;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count, next;
    struct ehi_db_entry entry; /* of the record given last */
};
void view_events(struct view_events *events, const struct ehi_view_source *source,
                 uint64_t subject_id, const struct view_moment *moment);
int view_events_next(struct view_events *events, struct ehi_slice *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* The same, passing over those that the views pass over for good. */
int view_events_next_applied(struct view_events *events, struct ehi_slice *out,
                             struct ecshist_error *error) ECSHIST_CHECKED;
void view_events_end(struct view_events *events);

#endif
