#include "upkeep/plan.h"

#include "codec/record.h"
#include "codec/state.h"
#include "model/names.h"

#include <ecshist/query.h>
#include <stdlib.h>

/* What making a plan works with. */
struct planning {
    struct ehi_plan *plan;
    struct ehi_log *log;
    struct ehi_db_txn *txn;
    struct ehi_arena scratch; /* of one subject */
    struct ecshist_error *error;
};

void ehi_plan_free(struct ehi_plan *plan)
{
    for (uint32_t i = 0; i < plan->service_count; i++) {
        free(plan->services[i].deployments.items);
        free(plan->services[i].revisions.items);
    }
    free(plan->services);
    ehi_hash_map_free(&plan->service_numbers);
    ehi_hash_map_free(&plan->referenced);
    ehi_hash_map_free(&plan->touched);
    ehi_arena_free(&plan->arena);
}

static struct ehi_hash128 hash_of(struct ehi_slice arn)
{
    return ehi_hash128(arn.data, arn.length);
}

static int refer(struct ehi_plan *plan, struct ehi_slice revision_arn)
{
    if (revision_arn.data == NULL)
        return ECSHIST_OK;
    return ehi_hash_map_put(&plan->referenced, hash_of(revision_arn), 0);
}

static int refer_all(struct ehi_plan *plan, const struct ehi_deployment *d)
{
    int rc = refer(plan, d->target.arn);
    for (uint32_t i = 0; i < d->source_count && rc == ECSHIST_OK; i++)
        rc = refer(plan, d->sources[i].arn);
    return rc == ECSHIST_OK && d->has_rollback ? refer(plan, d->rollback_revision_arn) : rc;
}

static int list_push(struct ehi_planned_list *list, struct ehi_slice id, uint64_t subject_id)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct ehi_planned *items = realloc(list->items, capacity * sizeof(*items));
        if (items == NULL)
            return ECSHIST_NO_MEMORY;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count] = (struct ehi_planned){id, subject_id};
    list->count++;
    return ECSHIST_OK;
}

/* -- services ---------------------------------------------------------------------------------- */

static int enter_service(struct planning *p, uint64_t id, struct ehi_slice state,
                         uint32_t *capacity)
{
    struct ehi_plan *plan = p->plan;
    struct ehi_service service;
    int rc = ehi_service_decode(state, &service, p->error);
    if (rc != ECSHIST_OK)
        return rc;
    if (plan->service_count == *capacity) {
        uint32_t grown = *capacity == 0 ? 64 : *capacity * 2;
        struct ehi_planned_service *services = realloc(plan->services, grown * sizeof(*services));
        if (services == NULL)
            return ehi_fail_memory(p->error);
        plan->services = services;
        *capacity = grown;
    }
    struct ehi_planned_service *s = &plan->services[plan->service_count];
    *s = (struct ehi_planned_service){.subject_id = id, .inactive = service.inactive};
    s->arn = ehi_arena_copy(&plan->arena, service.arn);
    plan->service_count++;
    rc = s->arn.data == NULL ? ECSHIST_NO_MEMORY : ECSHIST_OK;
    if (rc == ECSHIST_OK)
        rc = ehi_hash_map_put(&plan->service_numbers, hash_of(s->arn), plan->service_count - 1);
    if (rc == ECSHIST_OK && !s->inactive)
        rc = refer(plan, service.current_revision_arn);
    return rc == ECSHIST_OK ? rc : ehi_fail_memory(p->error);
}

typedef int (*state_fn)(struct planning *p, uint64_t id, struct ehi_slice state, void *context);

static int each_state(struct planning *p, enum ehi_arn_kind kind, state_fn visit, void *context)
{
    struct ehi_db_walk walk;
    struct ehi_slice state;
    uint64_t id;
    bool found = true;
    int rc = ECSHIST_OK;
    ehi_db_states(&walk, p->txn, kind);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_states_next(&walk, &id, &state, &found, p->error);
        if (rc == ECSHIST_OK && found)
            rc = visit(p, id, state, context);
    }
    ehi_db_walk_end(&walk);
    return rc;
}

static int visit_service(struct planning *p, uint64_t id, struct ehi_slice state, void *context)
{
    return enter_service(p, id, state, context);
}

/* The service of a deployment's or revision's ARN; NULL: not in the plan. */
static struct ehi_planned_service *service_of(const struct ehi_plan *plan,
                                              const struct ehi_arn *arn)
{
    char text[EHI_ARN_BUFFER];
    uint32_t number;
    if (!ehi_hash_map_get(&plan->service_numbers, hash_of(ehi_arn_service(arn, text)), &number))
        return NULL;
    return &plan->services[number];
}

/* -- deployments ------------------------------------------------------------------------------- */

/* When it ended; archived ones that do not say so count from what they do say. */
static int64_t end_of(const struct ehi_deployment *d)
{
    if (d->finished_at_us != EHI_TIME_NONE)
        return d->finished_at_us;
    return d->stopped_at_us != EHI_TIME_NONE ? d->stopped_at_us : d->updated_at_us;
}

static bool is_old(const struct ehi_plan *plan, const struct ehi_deployment *d)
{
    return ehi_status_terminal(d->status) && end_of(d) != EHI_TIME_NONE &&
           end_of(d) < plan->retention.cutoff_us;
}

static int read_deployment(struct planning *p, uint64_t id, struct ehi_deployment *out)
{
    struct ehi_slice state;
    bool found;
    ehi_arena_reset(&p->scratch);
    int rc = ehi_db_get_state(p->txn, EHI_ARN_DEPLOYMENT, id, &state, &found, p->error);
    if (rc == ECSHIST_OK && !found)
        rc = ehi_fail(p->error, ECSHIST_INDEX,
                      "the index has no state of subject %llu: rebuild the index",
                      (unsigned long long)id);
    return rc == ECSHIST_OK ? ehi_deployment_decode(state, &p->scratch, out, p->error) : rc;
}

/* A service's newest SUCCESSFUL deployment, by finishedAt, then by seq. */
struct newest {
    uint64_t id; /* 0: none */
    int64_t finished_at_us;
    uint64_t created_seq;
};

static void offer_newest(struct newest *newest, uint64_t id, const struct ehi_deployment *d)
{
    bool newer =
        newest->id == 0 || d->finished_at_us > newest->finished_at_us ||
        (d->finished_at_us == newest->finished_at_us && d->created_seq > newest->created_seq);
    if (d->status == ECSHIST_STATUS_SUCCESSFUL && newer)
        *newest = (struct newest){id, d->finished_at_us, d->created_seq};
}

static int count_events(struct planning *p, uint64_t id)
{
    struct ehi_db_walk walk;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    bool found = true;
    int rc = ECSHIST_OK;
    ehi_db_timeline(&walk, p->txn, id);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_timeline_next(&walk, entries, &count, &found, p->error);
        for (unsigned i = 0; rc == ECSHIST_OK && found && i < count; i++) {
            p->plan->event_count += entries[i].type != EHI_HISTORY_EXPIRED;
            if (entries[i].seq > p->plan->newest_seq)
                p->plan->newest_seq = entries[i].seq;
        }
    }
    ehi_db_walk_end(&walk);
    return rc;
}

static int keep(struct planning *p, struct ehi_planned_service *s, const struct ehi_deployment *d)
{
    s->remaining++;
    return refer_all(p->plan, d) == ECSHIST_OK ? ECSHIST_OK : ehi_fail_memory(p->error);
}

static int plan_deployment(struct planning *p, struct ehi_planned_service *s, uint64_t id,
                           struct newest *newest)
{
    struct ehi_deployment d;
    struct ehi_arn arn;
    int rc = read_deployment(p, id, &d);
    if (rc != ECSHIST_OK)
        return rc;
    offer_newest(newest, id, &d);
    if (!is_old(p->plan, &d))
        return keep(p, s, &d);
    rc = ehi_arn_parse(d.arn, &arn, p->error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_slice text = ehi_arena_copy(&p->plan->arena, arn.id);
    if (text.data == NULL || list_push(&s->deployments, text, id) != ECSHIST_OK)
        return ehi_fail_memory(p->error);
    return ECSHIST_OK;
}

static int keep_newest(struct planning *p, struct ehi_planned_service *s, uint64_t id)
{
    struct ehi_planned_list *list = &s->deployments;
    uint32_t i = 0;
    while (i < list->count && list->items[i].subject_id != id)
        i++;
    if (i == list->count)
        return ECSHIST_OK;
    memmove(list->items + i, list->items + i + 1, (list->count - i - 1) * sizeof(*list->items));
    list->count--;
    p->plan->kept_count++;
    struct ehi_deployment d;
    int rc = read_deployment(p, id, &d);
    return rc == ECSHIST_OK ? keep(p, s, &d) : rc;
}

static int plan_deployments(struct planning *p, struct ehi_planned_service *s)
{
    struct newest newest = {0};
    struct ehi_db_walk walk;
    struct ehi_db_listed row;
    bool found = true;
    int rc = ECSHIST_OK;
    ehi_db_listed(&walk, p->txn, s->subject_id, NULL);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_listed_next(&walk, &row, &found, p->error);
        if (rc == ECSHIST_OK && found)
            rc = plan_deployment(p, s, row.deployment_id, &newest);
    }
    ehi_db_walk_end(&walk);
    if (rc == ECSHIST_OK && p->plan->retention.keep_last && !s->inactive)
        rc = keep_newest(p, s, newest.id);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < s->deployments.count; i++)
        rc = count_events(p, s->deployments.items[i].subject_id);
    p->plan->deployment_count += s->deployments.count;
    return rc;
}

/* -- revisions --------------------------------------------------------------------------------- */

static int revision_time(struct planning *p, const struct ehi_revision *r, int64_t *out_us)
{
    struct ehi_slice record;
    *out_us = r->created_at_us;
    if (*out_us != EHI_TIME_NONE)
        return ECSHIST_OK;
    int rc = ehi_log_read(p->log, r->document_seq, 0, &p->scratch, &record, p->error);
    if (rc == ECSHIST_OK)
        *out_us = (int64_t)ehi_get_le64(record.data + EHI_REC_TIME);
    return rc;
}

static int visit_revision(struct planning *p, uint64_t id, struct ehi_slice state, void *context)
{
    (void)context;
    struct ehi_revision r;
    struct ehi_arn arn;
    int64_t time_us;
    ehi_arena_reset(&p->scratch);
    int rc = ehi_revision_decode(state, &p->scratch, &r, p->error);
    if (rc == ECSHIST_OK)
        rc = ehi_arn_parse(r.arn, &arn, p->error);
    if (rc == ECSHIST_OK)
        rc = revision_time(p, &r, &time_us);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_planned_service *s = service_of(p->plan, &arn);
    if (s == NULL)
        return ehi_fail(p->error, ECSHIST_INDEX,
                        "the index has no service of %.*s: rebuild the index", EHI_FMT(r.arn));
    if (time_us >= p->plan->retention.cutoff_us ||
        ehi_hash_map_get(&p->plan->referenced, hash_of(r.arn), NULL)) {
        s->remaining++;
        return ECSHIST_OK;
    }
    struct ehi_slice text = ehi_arena_copy(&p->plan->arena, arn.id);
    if (text.data == NULL || list_push(&s->revisions, text, id) != ECSHIST_OK)
        return ehi_fail_memory(p->error);
    p->plan->revision_count++;
    return count_events(p, id);
}

/* -- what is a service's own ------------------------------------------------------------------- */

static int plan_own_event(struct planning *p, struct ehi_planned_service *s,
                          const struct ehi_db_entry *entry)
{
    struct ehi_slice record;
    if (entry->type == EHI_HISTORY_EXPIRED)
        return ECSHIST_OK;
    int rc = ehi_log_read(p->log, entry->seq, entry->offset, &p->scratch, &record, p->error);
    if (rc != ECSHIST_OK)
        return rc;
    if ((int64_t)ehi_get_le64(record.data + EHI_REC_TIME) >= p->plan->retention.cutoff_us) {
        s->remaining++;
        return ECSHIST_OK;
    }
    s->own_events_go = true;
    p->plan->event_count++;
    if (entry->seq > p->plan->newest_seq)
        p->plan->newest_seq = entry->seq;
    return ECSHIST_OK;
}

static int plan_own(struct planning *p, struct ehi_planned_service *s)
{
    struct ehi_db_walk walk;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    bool found = true;
    int rc = ECSHIST_OK;
    ehi_db_timeline(&walk, p->txn, s->subject_id);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_timeline_next(&walk, entries, &count, &found, p->error);
        for (unsigned i = 0; rc == ECSHIST_OK && found && i < count; i++)
            rc = plan_own_event(p, s, &entries[i]);
    }
    ehi_db_walk_end(&walk);
    s->gone = s->inactive && s->remaining == 0;
    p->plan->gone_count += s->gone;
    return rc;
}

/* -- making ------------------------------------------------------------------------------------ */

static int make(struct planning *p)
{
    uint32_t capacity = 0;
    int rc = each_state(p, EHI_ARN_SERVICE, visit_service, &capacity);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < p->plan->service_count; i++)
        rc = plan_deployments(p, &p->plan->services[i]);
    if (rc == ECSHIST_OK)
        rc = each_state(p, EHI_ARN_REVISION, visit_revision, NULL);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < p->plan->service_count; i++)
        rc = plan_own(p, &p->plan->services[i]);
    return rc;
}

int ehi_plan_make(struct ehi_plan *plan, struct ehi_store *store, struct ecshist_error *error)
{
    struct planning p = {.plan = plan, .log = store->log, .error = error};
    struct ehi_db *db;
    struct ehi_db_head head;
    int rc = ehi_store_begin_read(store, &db, &p.txn, &head, error);
    if (rc != ECSHIST_OK)
        return rc;
    plan->seen = ehi_head_position(&head);
    rc = make(&p);
    ehi_db_abort(p.txn);
    ehi_db_release(db);
    ehi_arena_free(&p.scratch);
    return rc;
}

/* -- what happened since ----------------------------------------------------------------------- */

static int follow_references(struct ehi_plan *plan, const struct ehi_event *event)
{
    int rc = refer(plan, event->target_arn);
    for (uint32_t i = 0; i < event->source_count && rc == ECSHIST_OK; i++)
        rc = refer(plan, event->sources[i]);
    if (rc == ECSHIST_OK)
        rc = refer(plan, event->revision_arn);
    return rc == ECSHIST_OK && event->observed != NULL ? refer_all(plan, event->observed) : rc;
}

/*
 * An INACTIVE service that lives again keeps what it was to lose, and an observation may take a success
 * back, so that an older one is the last.
 */
static int follow_event(struct ehi_plan *plan, const struct ehi_event *event)
{
    struct ehi_planned_service *s = service_of(plan, &event->arn);
    if (s != NULL && (s->inactive || event->type == EHI_DEPLOYMENT_OBSERVED))
        s->unsettled = true;
    int rc = ehi_hash_map_put(&plan->touched, hash_of(event->subject), 0);
    return rc == ECSHIST_OK ? follow_references(plan, event) : rc;
}

static int follow_frame(struct ehi_plan *plan, const struct ehi_log *log,
                        const struct ehi_frame *frame, struct ehi_arena *arena,
                        struct ecshist_error *error)
{
    struct ehi_slice rest = frame->payload, record;
    struct ehi_stored stored;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && ehi_stored_next(&rest, frame->compressed, &stored)) {
        struct ehi_event event;
        if (stored.type == EHI_HISTORY_EXPIRED)
            continue;
        ehi_arena_reset(arena);
        rc = ehi_log_expand(log, frame, &stored, arena, &record, error);
        if (rc == ECSHIST_OK)
            rc = ehi_event_decode(record, arena, &event, error);
        if (rc == ECSHIST_OK && follow_event(plan, &event) != ECSHIST_OK)
            rc = ehi_fail_memory(error);
    }
    return rc;
}

int ehi_plan_follow(struct ehi_plan *plan, struct ehi_log *log, uint64_t next_seq,
                    struct ecshist_error *error)
{
    struct ehi_arena arena = {0};
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && plan->seen.next_seq < next_seq) {
        struct ehi_frame frame;
        enum ehi_verdict verdict;
        rc = ehi_log_next(log, &plan->seen, &frame, &verdict, error);
        if (rc == ECSHIST_OK && verdict != EHI_FRAME)
            rc = ehi_fail(error, ECSHIST_DAMAGED,
                          "the log ends before event %llu, which the index has",
                          (unsigned long long)plan->seen.next_seq);
        if (rc == ECSHIST_OK)
            rc = follow_frame(plan, log, &frame, &arena, error);
    }
    ehi_arena_free(&arena);
    return rc;
}

/* -- taking ------------------------------------------------------------------------------------ */

/* What one step takes. */
struct taking {
    struct ehi_plan *plan;
    struct ehi_db_txn *txn;
    struct ehi_arena *arena;
    uint32_t left; /* subjects it may still take */
    struct ehi_expiry *out;
    struct ecshist_error *error;
};

bool ehi_plan_done(const struct ehi_plan *plan)
{
    return plan->at_service == plan->service_count;
}

static bool has_work(const struct ehi_planned_service *s)
{
    return s->deployments.count != 0 || s->revisions.count != 0 || s->own_events_go || s->gone;
}

/* Takes those of the list from *at on that nothing has happened to. */
static int take_list(struct taking *t, struct ehi_planned_service *s, enum ehi_arn_kind kind,
                     const struct ehi_planned_list *list, uint32_t *at, struct ehi_slice **out,
                     uint32_t *out_count)
{
    char text[EHI_ARN_BUFFER];
    uint32_t most = list->count - *at < t->left ? list->count - *at : t->left;
    *out = ehi_arena_array(t->arena, most, sizeof(**out));
    if (*out == NULL)
        return ehi_fail_memory(t->error);
    for (; *at < list->count && t->left > 0; (*at)++) {
        struct ehi_slice id = list->items[*at].id;
        struct ehi_hash128 hash = hash_of(ehi_expired_arn(s->arn, kind, id, text));
        bool stays =
            ehi_hash_map_get(&t->plan->touched, hash, NULL) ||
            (kind == EHI_ARN_REVISION && ehi_hash_map_get(&t->plan->referenced, hash, NULL));
        if (stays) {
            t->plan->passed_count++;
            s->remaining++;
            continue;
        }
        (*out)[*out_count] = id;
        (*out_count)++;
        t->left--;
    }
    return ECSHIST_OK;
}

/* What its view keeps, as it is now. */
static int state_service(struct taking *t, const struct ehi_planned_service *s,
                         struct ehi_expired_service *out)
{
    struct ehi_slice state;
    struct ehi_service service;
    bool found;
    int rc = ehi_db_get_state(t->txn, EHI_ARN_SERVICE, s->subject_id, &state, &found, t->error);
    if (rc == ECSHIST_OK && !found)
        rc = ehi_fail(t->error, ECSHIST_INDEX, "the index has no state of %.*s: rebuild the index",
                      EHI_FMT(s->arn));
    if (rc == ECSHIST_OK)
        rc = ehi_service_decode(state, &service, t->error);
    if (rc != ECSHIST_OK)
        return rc;
    out->inactive = service.inactive;
    if (service.current_revision_arn.data == NULL)
        return ECSHIST_OK;
    out->current_revision_arn = ehi_arena_copy(t->arena, service.current_revision_arn);
    out->current_finished_at_us = service.current_finished_at_us;
    out->current_created_seq = service.current_created_seq;
    return out->current_revision_arn.data == NULL ? ehi_fail_memory(t->error) : ECSHIST_OK;
}

static void next_service(struct ehi_plan *plan)
{
    plan->at_service++;
    plan->at_deployment = plan->at_revision = 0;
}

static int take_service(struct taking *t, struct ehi_planned_service *s)
{
    struct ehi_plan *plan = t->plan;
    struct ehi_expired_service *out = &t->out->services[t->out->count];
    *out = (struct ehi_expired_service){.arn = s->arn};
    int rc = take_list(t, s, EHI_ARN_DEPLOYMENT, &s->deployments, &plan->at_deployment,
                       &out->deployments, &out->deployment_count);
    if (rc == ECSHIST_OK)
        rc = take_list(t, s, EHI_ARN_REVISION, &s->revisions, &plan->at_revision, &out->revisions,
                       &out->revision_count);
    if (rc == ECSHIST_OK)
        rc = state_service(t, s, out);
    if (rc != ECSHIST_OK)
        return rc;
    bool whole =
        plan->at_deployment == s->deployments.count && plan->at_revision == s->revisions.count;
    out->gone = whole && s->gone && s->remaining == 0;
    bool any =
        out->deployment_count != 0 || out->revision_count != 0 || s->own_events_go || out->gone;
    if (any) {
        t->out->count++;
        t->left -= t->left != 0;
    }
    if (whole)
        next_service(plan);
    return ECSHIST_OK;
}

static void pass_over(struct ehi_plan *plan, const struct ehi_planned_service *s)
{
    plan->passed_count += s->deployments.count - plan->at_deployment;
    plan->passed_count += s->revisions.count - plan->at_revision;
    next_service(plan);
}

int ehi_plan_take(struct ehi_plan *plan, struct ehi_db_txn *txn, uint32_t most,
                  struct ehi_arena *arena, struct ehi_expiry *out, struct ecshist_error *error)
{
    struct ehi_expiry expiry = {.cutoff_us = plan->retention.cutoff_us,
                                .keep_last = plan->retention.keep_last};
    struct taking t = {plan, txn, arena, most, &expiry, error};
    expiry.services = ehi_arena_array(arena, most, sizeof(*expiry.services));
    if (expiry.services == NULL)
        return ehi_fail_memory(error);
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && t.left > 0 && !ehi_plan_done(plan)) {
        struct ehi_planned_service *s = &plan->services[plan->at_service];
        if (!has_work(s))
            next_service(plan);
        else if (s->unsettled)
            pass_over(plan, s);
        else
            rc = take_service(&t, s);
    }
    if (rc == ECSHIST_OK)
        *out = expiry;
    return rc;
}
