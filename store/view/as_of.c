#include "view/as_of.h"

#include "codec/record.h"
#include "codec/state.h"
#include "fold/reduce.h"
#include "model/names.h"
#include "view/copy.h"

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

/* -- events ------------------------------------------------------------------------------------ */

void view_events(struct view_events *events, const struct ehi_view_source *source,
                 uint64_t subject_id, const struct view_moment *moment)
{
    events->source = source;
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

/* An event that the index names and the log holds: that it cannot be read is damage. */
static int damaged_event(uint64_t seq, struct ecshist_error *error)
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

/* Did the event happen by then? The index has no times: the record says. */
static int has_happened(const struct view_moment *moment, struct ehi_slice record, uint64_t seq,
                        bool *out, struct ecshist_error *error)
{
    *out = true;
    if (moment->kind != VIEW_AT_TIME)
        return ECSHIST_OK;
    struct ehi_event event;
    if (ehi_event_decode_envelope(record, &event, error) != ECSHIST_OK)
        return damaged_event(seq, error);
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
        rc = ehi_log_read(events->source->log, entry->seq, entry->offset, out, error);
        if (rc == ECSHIST_OK)
            rc = has_happened(&events->moment, *out, entry->seq, &happened, error);
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

/* -- deployments ------------------------------------------------------------------------------- */

static int read_state(const struct ehi_view_source *source, enum ehi_arn_kind kind, uint64_t id,
                      struct ehi_slice *bytes, struct ecshist_error *error)
{
    bool found;
    int rc = ehi_db_get_state(source->txn, kind, id, bytes, &found, error);
    if (rc == ECSHIST_OK && !found)
        rc = ehi_fail(error, ECSHIST_INDEX,
                      "the index has no state of subject %llu: rebuild the index",
                      (unsigned long long)id);
    return rc;
}

/*
 * The state as it stands is the state of the moment too: every event of it happened by then. An observation says
 * for itself when the deployment was updated, so after one there is no telling by that.
 */
static bool stands_already(const struct ehi_deployment *state, const struct view_moment *moment)
{
    if (moment->kind == VIEW_AT_SEQ)
        return state->last_seq <= moment->seq;
    if (moment->kind == VIEW_AT_TIME)
        return state->last_observed_seq == 0 && state->updated_at_us <= moment->time_us;
    return true;
}

/* The event is what was refused, not the machinery that failed. */
static bool is_refusal(int code)
{
    return code == ECSHIST_CONFLICT || code == ECSHIST_NOT_FOUND || code == ECSHIST_INVALID ||
           code == ECSHIST_LIMIT;
}

/* One event more. Without its later-dated elders an event may not fit: as of a time it is passed over then. */
static int fold_record(struct ehi_deployment *state, struct ehi_slice record, uint64_t seq,
                       bool by_time, struct ehi_arena *arena, struct ecshist_error *error)
{
    struct ehi_event event;
    int rc = ehi_event_decode(record, arena, &event, error);
    if (rc == ECSHIST_NO_MEMORY)
        return rc;
    if (rc != ECSHIST_OK)
        return damaged_event(seq, error);
    enum ehi_applied applied;
    rc = ehi_reduce(state, &event, arena, &applied, error);
    if (!is_refusal(rc))
        return rc;
    return by_time ? ECSHIST_OK : damaged_event(seq, error);
}

static int fold_deployment(const struct ehi_view_source *source, uint64_t id,
                           const struct view_moment *moment, struct ehi_arena *arena,
                           struct ehi_deployment *out, struct ecshist_error *error)
{
    struct view_events events;
    view_events(&events, source, id, moment);
    struct ehi_slice record = EHI_SLICE_EMPTY;
    int rc;
    for (;;) {
        rc = view_events_next_applied(&events, &record, error);
        if (rc != ECSHIST_OK || record.data == NULL)
            break;
        rc = fold_record(out, record, events.entry.seq, moment->kind == VIEW_AT_TIME, arena, error);
        if (rc != ECSHIST_OK)
            break;
    }
    view_events_end(&events);
    return rc;
}

int view_deployment_at(const struct ehi_view_source *source, uint64_t id,
                       const struct view_moment *moment, struct ehi_arena *arena,
                       struct ehi_deployment *out, bool *found, struct ecshist_error *error)
{
    struct ehi_slice bytes;
    int rc = read_state(source, EHI_ARN_DEPLOYMENT, id, &bytes, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_arena scratch = {0};
    struct ehi_deployment state;
    rc = ehi_deployment_decode(bytes, &scratch, &state, error);
    if (rc == ECSHIST_OK && !stands_already(&state, moment)) {
        struct ehi_slice arn = state.arn;
        state = (struct ehi_deployment){0};
        rc = fold_deployment(source, id, moment, &scratch, &state, error);
        state.arn = arn;
    }
    *found = state.created_seq != 0;
    if (rc == ECSHIST_OK && *found)
        rc = view_own_deployment(&state, arena, error);
    if (rc == ECSHIST_OK)
        *out = state;
    ehi_arena_free(&scratch);
    return rc;
}

/* -- revisions --------------------------------------------------------------------------------- */

static int take_document(struct ehi_revision *revision, struct ehi_slice record, uint64_t seq,
                         struct ehi_arena *scratch, struct ecshist_error *error)
{
    struct ehi_event event;
    int rc = ehi_event_decode(record, scratch, &event, error);
    if (rc != ECSHIST_OK)
        return rc == ECSHIST_NO_MEMORY ? rc : damaged_event(seq, error);
    revision->arn = event.subject;
    revision->document_seq = seq;
    revision->observed = event.type == EHI_REVISION_OBSERVED;
    revision->created_at_us = revision->observed ? event.document_created_at_us : event.time_us;
    revision->document = event.document;
    return ECSHIST_OK;
}

int view_revision_at(const struct ehi_view_source *source, uint64_t id,
                     const struct view_moment *moment, struct ehi_arena *arena,
                     struct ehi_revision *out, bool *found, struct ecshist_error *error)
{
    struct view_events events;
    view_events(&events, source, id, moment);
    struct ehi_revision revision = {.first_seq = 0};
    struct ehi_slice record = EHI_SLICE_EMPTY, newest = EHI_SLICE_EMPTY;
    uint64_t newest_seq = 0;
    int rc;
    for (;;) {
        rc = view_events_next_applied(&events, &record, error);
        if (rc != ECSHIST_OK || record.data == NULL)
            break;
        newest = record;
        newest_seq = events.entry.seq;
        if (revision.first_seq == 0)
            revision.first_seq = newest_seq;
    }
    view_events_end(&events);
    *found = newest.data != NULL;
    if (rc != ECSHIST_OK || !*found)
        return rc;
    struct ehi_arena scratch = {0};
    rc = take_document(&revision, newest, newest_seq, &scratch, error);
    if (rc == ECSHIST_OK)
        rc = view_own_revision(&revision, arena, error);
    if (rc == ECSHIST_OK)
        *out = revision;
    ehi_arena_free(&scratch);
    return rc;
}

/* -- services ---------------------------------------------------------------------------------- */

/* A service while it is folded: deletions first, then its deployments one by one. */
struct service_fold {
    const struct ehi_view_source *source;
    const struct view_moment *moment;
    struct ehi_arena scratch;
    struct ehi_service state;
    bool exists;
    uint64_t deleted_seq; /* of the newest service-deleted, 0: none */
};

static int fold_own_events(struct service_fold *f, uint64_t id, struct ecshist_error *error)
{
    struct view_events events;
    view_events(&events, f->source, id, f->moment);
    struct ehi_slice record = EHI_SLICE_EMPTY;
    int rc;
    for (;;) {
        rc = view_events_next_applied(&events, &record, error);
        if (rc != ECSHIST_OK || record.data == NULL)
            break;
        f->exists = true;
        if (events.entry.type == EHI_SERVICE_DELETED)
            f->deleted_seq = events.entry.seq;
    }
    view_events_end(&events);
    f->state.inactive = f->deleted_seq != 0;
    return rc;
}

/* A first observation of what has ended already tells of the past, not that the service lives. */
static int revive(struct service_fold *f, const struct ehi_deployment *d,
                  struct ecshist_error *error)
{
    if (!f->state.inactive || d->created_seq < f->deleted_seq)
        return ECSHIST_OK;
    struct ehi_slice record;
    int rc = ehi_log_read(f->source->log, d->created_seq, 0, &record, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_event event;
    rc = ehi_event_decode(record, &f->scratch, &event, error);
    if (rc != ECSHIST_OK)
        return rc == ECSHIST_NO_MEMORY ? rc : damaged_event(d->created_seq, error);
    bool tells_of_past =
        event.type == EHI_DEPLOYMENT_OBSERVED && ehi_status_terminal(event.observed->status);
    if (!tells_of_past)
        f->state.inactive = false;
    return ECSHIST_OK;
}

/* The revision a deployment left the service with, data NULL where it left none. */
static struct ehi_slice left_revision(const struct ehi_deployment *d)
{
    if (d->status == ECSHIST_STATUS_SUCCESSFUL)
        return d->target.arn;
    if (d->status == ECSHIST_STATUS_ROLLBACK_SUCCESSFUL && d->has_rollback)
        return d->rollback_revision_arn;
    return EHI_SLICE_EMPTY;
}

static int offer_current(struct service_fold *f, const struct ehi_deployment *d,
                         struct ehi_arena *arena, struct ecshist_error *error)
{
    struct ehi_service *s = &f->state;
    struct ehi_slice revision = left_revision(d);
    if (revision.data == NULL)
        return ECSHIST_OK;
    bool newer =
        s->current_revision_arn.data == NULL || d->finished_at_us > s->current_finished_at_us ||
        (d->finished_at_us == s->current_finished_at_us && d->created_seq > s->current_created_seq);
    if (!newer)
        return ECSHIST_OK;
    s->current_revision_arn = ehi_arena_copy(arena, revision);
    s->current_finished_at_us = d->finished_at_us;
    s->current_created_seq = d->created_seq;
    return s->current_revision_arn.data == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

static int fold_one_deployment(struct service_fold *f, uint64_t id, struct ehi_arena *arena,
                               struct ecshist_error *error)
{
    ehi_arena_reset(&f->scratch);
    struct ehi_deployment d;
    bool found;
    int rc = view_deployment_at(f->source, id, f->moment, &f->scratch, &d, &found, error);
    if (rc != ECSHIST_OK || !found)
        return rc;
    f->exists = true;
    f->state.by_status[d.status & 15]++;
    rc = revive(f, &d, error);
    return rc == ECSHIST_OK ? offer_current(f, &d, arena, error) : rc;
}

static int fold_deployments(struct service_fold *f, uint64_t id, struct ehi_arena *arena,
                            struct ecshist_error *error)
{
    struct ehi_db_walk walk;
    ehi_db_listed(&walk, f->source->txn, id, NULL);
    int rc;
    for (;;) {
        struct ehi_db_listed row;
        bool found;
        rc = ehi_db_listed_next(&walk, &row, &found, error);
        if (rc != ECSHIST_OK || !found)
            break;
        rc = fold_one_deployment(f, row.deployment_id, arena, error);
        if (rc != ECSHIST_OK)
            break;
    }
    ehi_db_walk_end(&walk);
    return rc;
}

/* A service of which only revisions are known was there from its first event on. */
static int first_event_happened(struct service_fold *f, struct ecshist_error *error)
{
    if (f->moment->kind != VIEW_AT_TIME) {
        f->exists = f->exists || f->state.first_seq <= f->moment->seq;
        return ECSHIST_OK;
    }
    if (f->exists)
        return ECSHIST_OK;
    struct ehi_slice record;
    int rc = ehi_log_read(f->source->log, f->state.first_seq, 0, &record, error);
    return rc == ECSHIST_OK ? has_happened(f->moment, record, f->state.first_seq, &f->exists, error)
                            : rc;
}

static int fold_service(struct service_fold *f, uint64_t id, struct ehi_arena *arena,
                        struct ecshist_error *error)
{
    const struct ehi_service now = f->state;
    f->state = (struct ehi_service){.arn = now.arn, .first_seq = now.first_seq};
    int rc = fold_own_events(f, id, error);
    if (rc == ECSHIST_OK)
        rc = fold_deployments(f, id, arena, error);
    return rc == ECSHIST_OK ? first_event_happened(f, error) : rc;
}

int view_service_at(const struct ehi_view_source *source, uint64_t id,
                    const struct view_moment *moment, struct ehi_arena *arena,
                    struct ehi_service *out, bool *found, struct ecshist_error *error)
{
    struct service_fold f = {
        .source = source, .moment = moment, .exists = moment->kind == VIEW_NOW};
    struct ehi_slice bytes;
    int rc = read_state(source, EHI_ARN_SERVICE, id, &bytes, error);
    if (rc == ECSHIST_OK)
        rc = ehi_service_decode(bytes, &f.state, error);
    if (rc == ECSHIST_OK && moment->kind != VIEW_NOW)
        rc = fold_service(&f, id, arena, error);
    if (rc == ECSHIST_OK && f.exists)
        rc = view_own_service(&f.state, arena, error);
    ehi_arena_free(&f.scratch);
    *found = f.exists;
    if (rc == ECSHIST_OK)
        *out = f.state;
    return rc;
}
