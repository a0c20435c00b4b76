/*
 * Views of services. Of the present they are in the index; as of a moment they are folded from the
 * services' own events and from their deployments as those were then.
 */
#include "view/as_of.h"
#include "view/resolve.h"

#include "codec/expiry.h"
#include "codec/record.h"
#include "codec/state.h"
#include "model/names.h"
#include "view/copy.h"

#include <stdlib.h>

/* A service on its way back to a moment. */
struct service_then {
    uint64_t id;
    struct ehi_service state;
    uint64_t exists_seq; /* of the first event of anything of it that had happened; 0: none known */
    uint64_t deleted_seq; /* of the newest service-deleted; 0: none */
    uint64_t revived_seq; /* of the newest deployment that tells that the service lives; 0: none */
    bool late; /* its first event came, or is dated, after the moment: others may be of before */
};

struct fold {
    const struct ehi_view_source *source;
    const struct view_moment *moment;
    struct ehi_arena *arena; /* of the answer */
    struct ehi_arena scratch;
    const struct view_services *list;
    struct service_then *services; /* as many, in the same order */
};

/* -- since when -------------------------------------------------------------------------------- */

static void exists_since(struct service_then *s, uint64_t seq)
{
    if (s->exists_seq == 0 || seq < s->exists_seq)
        s->exists_seq = seq;
}

/* A service is there from its first event on; the first of all cannot but have been applied. */
static int look_at_first_event(const struct fold *f, struct service_then *s,
                               struct ecshist_error *error)
{
    uint64_t seq = s->state.first_seq;
    bool happened = seq <= f->moment->seq;
    if (f->moment->kind == VIEW_AT_TIME) {
        struct ehi_slice record;
        int rc = ehi_log_read(f->source->log, seq, 0, f->arena, &record, error);
        if (rc == ECSHIST_OK)
            rc = view_has_happened(f->moment, record, seq, &happened, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    /* One that was restated is older than its first event says. */
    s->late = !happened && (f->moment->kind == VIEW_AT_TIME || s->state.restated);
    if (happened)
        exists_since(s, seq);
    return ECSHIST_OK;
}

static int compare_to_service(const void *arn, const void *service)
{
    const struct ehi_slice *x = arn;
    return view_compare_texts(*x, ((const struct view_service *)service)->arn.text);
}

/* The service of a revision among those asked for, NULL where it is not one of them. */
static struct service_then *service_of_revision(const struct fold *f, struct ehi_slice revision)
{
    struct ehi_arn arn;
    if (ehi_arn_parse(revision, &arn, NULL) != ECSHIST_OK)
        return NULL;
    char text[EHI_ARN_BUFFER];
    struct ehi_slice service = ehi_arn_service(&arn, text);
    const struct view_service *found = bsearch(&service, f->list->items, f->list->count,
                                               sizeof(*f->list->items), compare_to_service);
    return found == NULL ? NULL : &f->services[found - f->list->items];
}

static int look_at_revision(const struct fold *f, struct service_then *s, uint64_t id,
                            struct ecshist_error *error)
{
    struct view_events events;
    struct ehi_arena records = {0};
    view_events(&events, f->source, id, f->moment, &records);
    struct ehi_slice record;
    int rc = view_events_next_applied(&events, &record, error);
    if (rc == ECSHIST_OK && record.data != NULL)
        exists_since(s, events.entry.seq);
    view_events_end(&events);
    ehi_arena_free(&records);
    return rc;
}

/* The index does not say which revisions a service has: they are all looked at, for late ones. */
static int look_at_revisions(const struct fold *f, struct ecshist_error *error)
{
    struct ehi_db_walk walk;
    struct ehi_arena scratch = {0};
    ehi_db_states(&walk, f->source->txn, EHI_ARN_REVISION);
    int rc;
    for (;;) {
        uint64_t id;
        struct ehi_slice bytes;
        bool found;
        rc = ehi_db_states_next(&walk, &id, &bytes, &found, error);
        if (rc != ECSHIST_OK || !found)
            break;
        struct ehi_revision revision;
        ehi_arena_reset(&scratch);
        rc = ehi_revision_decode(bytes, &scratch, &revision, error);
        if (rc != ECSHIST_OK)
            break;
        struct service_then *s = service_of_revision(f, revision.arn);
        if (s != NULL && s->late)
            rc = look_at_revision(f, s, id, error);
        if (rc != ECSHIST_OK)
            break;
    }
    ehi_db_walk_end(&walk);
    ehi_arena_free(&scratch);
    return rc;
}

/* -- what became of it ------------------------------------------------------------------------- */

/* A history-expired states the service as it was then. */
static int restate(struct fold *f, struct service_then *s, struct ehi_slice record, uint64_t seq,
                   struct ecshist_error *error)
{
    struct ehi_expiry expiry;
    ehi_arena_reset(&f->scratch);
    int rc = ehi_expiry_decode(record, &f->scratch, &expiry, error);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < expiry.count; i++) {
        const struct ehi_expired_service *stated = &expiry.services[i];
        if (!ehi_slice_equal(stated->arn, s->state.arn))
            continue;
        exists_since(s, seq);
        if (stated->inactive)
            s->deleted_seq = seq;
        else
            s->revived_seq = seq;
        s->state.current_finished_at_us = stated->current_finished_at_us;
        s->state.current_created_seq = stated->current_created_seq;
        s->state.current_revision_arn = EHI_SLICE_EMPTY;
        if (stated->current_revision_arn.data == NULL)
            continue;
        s->state.current_revision_arn = ehi_arena_copy(f->arena, stated->current_revision_arn);
        if (s->state.current_revision_arn.data == NULL)
            rc = ehi_fail_memory(error);
    }
    return rc;
}

static int fold_own_events(struct fold *f, struct service_then *s, struct ecshist_error *error)
{
    struct view_events events;
    struct ehi_arena records = {0};
    view_events(&events, f->source, s->id, f->moment, &records);
    struct ehi_slice record;
    int rc;
    for (;;) {
        rc = view_events_next_applied(&events, &record, error);
        if (rc != ECSHIST_OK || record.data == NULL)
            break;
        if (events.entry.type == EHI_SERVICE_DELETED)
            s->deleted_seq = events.entry.seq;
        if (events.entry.type == EHI_HISTORY_EXPIRED)
            rc = restate(f, s, record, events.entry.seq, error);
        if (rc != ECSHIST_OK)
            break;
    }
    view_events_end(&events);
    ehi_arena_free(&records);
    return rc;
}

/* A first observation of what has ended already tells of the past, not that the service lives. */
static int revive(struct fold *f, struct service_then *s, uint64_t created_seq,
                  struct ecshist_error *error)
{
    if (created_seq < s->deleted_seq || created_seq < s->revived_seq || s->deleted_seq == 0)
        return ECSHIST_OK;
    struct ehi_slice record;
    int rc = ehi_log_read(f->source->log, created_seq, 0, f->arena, &record, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_event event;
    rc = ehi_event_decode(record, &f->scratch, &event, error);
    if (rc != ECSHIST_OK)
        return rc == ECSHIST_NO_MEMORY ? rc : view_damaged_event(created_seq, error);
    bool tells_of_past =
        event.type == EHI_DEPLOYMENT_OBSERVED && ehi_status_terminal(event.observed->status);
    if (!tells_of_past)
        s->revived_seq = created_seq;
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

static int offer_current(const struct fold *f, struct ehi_service *s,
                         const struct ehi_deployment *d, struct ecshist_error *error)
{
    struct ehi_slice revision = left_revision(d);
    if (revision.data == NULL)
        return ECSHIST_OK;
    bool newer =
        s->current_revision_arn.data == NULL || d->finished_at_us > s->current_finished_at_us ||
        (d->finished_at_us == s->current_finished_at_us && d->created_seq > s->current_created_seq);
    if (!newer)
        return ECSHIST_OK;
    s->current_revision_arn = ehi_arena_copy(f->arena, revision);
    s->current_finished_at_us = d->finished_at_us;
    s->current_created_seq = d->created_seq;
    return s->current_revision_arn.data == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

static int fold_deployment(struct fold *f, struct service_then *s, uint64_t id,
                           struct ecshist_error *error)
{
    ehi_arena_reset(&f->scratch);
    struct ehi_deployment d;
    bool found;
    int rc = view_deployment_at(f->source, id, f->moment, &f->scratch, &d, &found, error);
    if (rc != ECSHIST_OK || !found)
        return rc;
    exists_since(s, d.created_seq);
    s->state.by_status[d.status]++;
    rc = revive(f, s, d.created_seq, error);
    return rc == ECSHIST_OK ? offer_current(f, &s->state, &d, error) : rc;
}

static int fold_deployments(struct fold *f, struct service_then *s, struct ecshist_error *error)
{
    struct ehi_db_walk walk;
    ehi_db_listed(&walk, f->source->txn, s->id, NULL);
    int rc;
    for (;;) {
        struct ehi_db_listed row;
        bool found;
        rc = ehi_db_listed_next(&walk, &row, &found, error);
        if (rc != ECSHIST_OK || !found)
            break;
        rc = fold_deployment(f, s, row.deployment_id, error);
        if (rc != ECSHIST_OK)
            break;
    }
    ehi_db_walk_end(&walk);
    return rc;
}

static int fold_service(struct fold *f, struct service_then *s, struct ecshist_error *error)
{
    int rc = fold_own_events(f, s, error);
    if (rc == ECSHIST_OK)
        rc = fold_deployments(f, s, error);
    if (rc != ECSHIST_OK)
        return rc;
    /* What was not there yet could not be deleted. */
    bool was_deleted = s->exists_seq != 0 && s->deleted_seq >= s->exists_seq;
    s->state.inactive = was_deleted && s->revived_seq < s->deleted_seq;
    return ECSHIST_OK;
}

/* -- answers ----------------------------------------------------------------------------------- */

static int load_service(const struct ehi_view_source *source, uint64_t id, struct ehi_arena *arena,
                        struct ehi_service *out, struct ecshist_error *error)
{
    struct ehi_slice bytes;
    int rc = view_read_state(source, EHI_ARN_SERVICE, id, &bytes, error);
    if (rc == ECSHIST_OK)
        rc = ehi_service_decode(bytes, out, error);
    return rc == ECSHIST_OK ? view_own_service(out, arena, error) : rc;
}

static int services_of_now(const struct ehi_view_source *source, const struct view_services *list,
                           struct ehi_arena *arena, struct ehi_answer *answer,
                           struct ecshist_error *error)
{
    for (; answer->count < list->count; answer->count++) {
        int rc = load_service(source, list->items[answer->count].id, arena,
                              &answer->services[answer->count], error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int begin_services(struct fold *f, struct ecshist_error *error)
{
    bool any_late = false;
    for (size_t i = 0; i < f->list->count; i++) {
        struct service_then *s = &f->services[i];
        struct ehi_service now;
        s->id = f->list->items[i].id;
        int rc = load_service(f->source, s->id, f->arena, &now, error);
        if (rc != ECSHIST_OK)
            return rc;
        s->state.arn = now.arn;
        s->state.first_seq = now.first_seq;
        s->state.restated = now.restated;
        rc = look_at_first_event(f, s, error);
        if (rc != ECSHIST_OK)
            return rc;
        any_late = any_late || s->late;
    }
    return any_late ? look_at_revisions(f, error) : ECSHIST_OK;
}

static int services_of_then(struct fold *f, struct ehi_answer *answer, struct ecshist_error *error)
{
    f->services = ehi_arena_array(f->arena, f->list->count, sizeof(*f->services));
    if (f->services == NULL)
        return ehi_fail_memory(error);
    int rc = begin_services(f, error);
    for (size_t i = 0; rc == ECSHIST_OK && i < f->list->count; i++) {
        struct service_then *s = &f->services[i];
        if (f->moment->kind == VIEW_AT_SEQ && s->exists_seq == 0 && !s->late)
            continue;
        rc = fold_service(f, s, error);
        if (s->exists_seq != 0)
            answer->services[answer->count++] = s->state;
    }
    return rc;
}

int ehi_view_services(const struct ehi_view_source *source, const char *cluster, const char *region,
                      const char *account, const struct ecshist_as_of *as_of,
                      struct ehi_arena *arena, struct ehi_answer *out, struct ecshist_error *error)
{
    struct view_names names = {NULL, cluster, region, account};
    struct view_moment moment;
    struct view_services list;
    int rc = view_moment(source, as_of, &moment, error);
    if (rc == ECSHIST_OK)
        rc = view_resolve_cluster(source, &names, arena, &list, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_answer answer = {.kind = EHI_ANSWER_SERVICES};
    answer.services = ehi_arena_array(arena, list.count, sizeof(*answer.services));
    if (answer.services == NULL)
        return ehi_fail_memory(error);
    struct fold fold = {.source = source, .moment = &moment, .arena = arena, .list = &list};
    if (moment.kind == VIEW_NOW)
        rc = services_of_now(source, &list, arena, &answer, error);
    else
        rc = services_of_then(&fold, &answer, error);
    ehi_arena_free(&fold.scratch);
    if (rc == ECSHIST_OK)
        *out = answer;
    return rc;
}
