/* A service as of a moment: of its own events and of its deployments as they were then. */
#include "view/as_of.h"

#include "codec/record.h"
#include "codec/state.h"
#include "model/names.h"
#include "view/copy.h"

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
        return rc == ECSHIST_NO_MEMORY ? rc : view_damaged_event(d->created_seq, error);
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
    return rc == ECSHIST_OK
               ? view_has_happened(f->moment, record, f->state.first_seq, &f->exists, error)
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
    int rc = view_read_state(source, EHI_ARN_SERVICE, id, &bytes, error);
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
