/* A moment, and the events of a subject up to it. */
#ifndef EHI_VIEW_EVENTS_H
#define EHI_VIEW_EVENTS_H

#include "base/error.h"
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

struct view_events {
    const struct ehi_view_source *source;
    struct view_moment moment;
    struct ehi_arena *arena;
    struct ehi_db_walk walk;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count, next;
    struct ehi_db_entry entry; /* of the record given last */
};

/* A subject's events up to the moment, in seq order; records in the arena where they are not mapped. view_events_end always. */
void view_events(struct view_events *events, const struct ehi_view_source *source,
                 uint64_t subject_id, const struct view_moment *moment, struct ehi_arena *arena);
/* *out is the record as it was appended; its data is NULL behind the last. */
int view_events_next(struct view_events *events, struct ehi_slice *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* The same, without those that were ignored when they came: the views pass over them for good. */
int view_events_next_applied(struct view_events *events, struct ehi_slice *out,
                             struct ecshist_error *error) ECSHIST_CHECKED;
void view_events_end(struct view_events *events);

/* Did the event happen by then? The index has no times: its record says. */
int view_has_happened(const struct view_moment *moment, struct ehi_slice record, uint64_t seq,
                      bool *out, struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * DAMAGED: the log holds an event that cannot be read, or does not fit; the error given says why.
 */
int view_damaged_event(uint64_t seq, struct ecshist_error *error);

#endif
