#include "view/events.h"

#include "codec/record.h"

int view_moment(const struct ehi_view_source *source, const struct ecshist_as_of *as_of,
                struct view_moment *out, struct ecshist_error *error)
{
    *out = (struct view_moment){VIEW_NOW, 0, 0};
    if (as_of == NULL)
        return ECSHIST_OK;
    if (as_of->seq != 0 && as_of->has_time) {
        int rc = ehi_fail(error, ECSHIST_INVALID, "as of a seq or as of a time, not both");
        return ehi_at(error, rc, "asOf");
    }
    if (as_of->has_time)
        *out = (struct view_moment){VIEW_AT_TIME, 0, as_of->time_us};
    else if (as_of->seq != 0 && as_of->seq < source->last_seq)
        *out = (struct view_moment){VIEW_AT_SEQ, as_of->seq, 0};
    return ECSHIST_OK;
}

void view_events(struct view_events *events, const struct ehi_view_source *source,
                 uint64_t subject_id, const struct view_moment *moment, struct ehi_arena *arena)
{
    events->source = source;
    events->arena = arena;
    events->moment = *moment;
    events->count = 0;
    events->next = 0;
    ehi_db_timeline(&events->walk, source->txn, subject_id);
}

void view_events_end(struct view_events *events)
{
    ehi_db_walk_end(&events->walk);
}

static int next_entry(struct view_events *events, bool *found, struct ecshist_error *error)
{
    *found = true;
    if (events->next == events->count) {
        events->next = 0;
        events->count = 0;
        int rc = ehi_db_timeline_next(&events->walk, events->entries, &events->count, found, error);
        if (rc != ECSHIST_OK || !*found)
            return rc;
    }
    events->entry = events->entries[events->next++];
    if (events->moment.kind == VIEW_AT_SEQ && events->entry.seq > events->moment.seq)
        *found = false;
    return ECSHIST_OK;
}

int view_damaged_event(uint64_t seq, struct ecshist_error *error)
{
    char why[256] = "";
    if (error != NULL)
        memcpy(why, error->message, sizeof(why) - 1);
    int rc = ehi_fail(error, ECSHIST_DAMAGED, "event %llu of the log cannot be folded: %s",
                      (unsigned long long)seq, why);
    if (error != NULL)
        error->seq = seq;
    return rc;
}

int view_has_happened(const struct view_moment *moment, struct ehi_slice record, uint64_t seq,
                      bool *out, struct ecshist_error *error)
{
    *out = true;
    if (moment->kind != VIEW_AT_TIME)
        return ECSHIST_OK;
    struct ehi_event event;
    if (ehi_event_decode_envelope(record, &event, error) != ECSHIST_OK)
        return view_damaged_event(seq, error);
    *out = event.time_us <= moment->time_us;
    return ECSHIST_OK;
}

static int next_event(struct view_events *events, bool ignored_too, struct ehi_slice *out,
                      struct ecshist_error *error)
{
    bool happened = false;
    while (!happened) {
        *out = EHI_SLICE_EMPTY;
        bool found;
        int rc = next_entry(events, &found, error);
        if (rc != ECSHIST_OK || !found)
            return rc;
        const struct ehi_db_entry *entry = &events->entry;
        if (!ignored_too && (entry->flags & EHI_EVENT_IGNORED) != 0)
            continue;
        rc =
            ehi_log_read(events->source->log, entry->seq, entry->offset, events->arena, out, error);
        if (rc == ECSHIST_OK)
            rc = view_has_happened(&events->moment, *out, entry->seq, &happened, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

int view_events_next(struct view_events *events, struct ehi_slice *out, struct ecshist_error *error)
{
    return next_event(events, true, out, error);
}

int view_events_next_applied(struct view_events *events, struct ehi_slice *out,
                             struct ecshist_error *error)
{
    return next_event(events, false, out, error);
}
