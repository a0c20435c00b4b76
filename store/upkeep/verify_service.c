/*
 * The views of services (spec 4.10). What happens to a service happens to its deployments and
 * revisions, which are folded one after the other, by no order that means anything. So all of it is
 * noted down as steps, and each service's steps are put in the order of seq in the end.
 */
#include "upkeep/verify_internal.h"

#include "codec/state.h"
#include "model/names.h"

#include <ecshist/query.h>
#include <inttypes.h>
#include <stdlib.h>

struct service {
    struct service *next;
    struct ehi_hash128 hash;
    struct ehi_slice arn;
    struct verify_step *steps;
    size_t step_count, step_capacity;
    uint64_t by_status[16];
    /* Of its deployments that ended well, the newest by finishedAt, then by seq of creation. */
    struct ehi_slice best_arn;
    int64_t best_finished_us;
    uint64_t best_seq;
    uint64_t *seqs; /* of creation, of its deployments */
    size_t seq_count, seq_capacity;
    bool in_flux;
    /* As the index has it. */
    bool in_index;
    uint64_t id;
    struct ehi_slice state;
    /* As folded up to the limit. */
    bool exists;
    struct ehi_service view;
};

struct verify_services {
    struct service **buckets;
    size_t bucket_count, count;
};

struct verify_services *verify_services_new(void)
{
    struct verify_services *services = calloc(1, sizeof(*services));
    if (services == NULL)
        return NULL;
    services->bucket_count = 1024;
    services->buckets = calloc(services->bucket_count, sizeof(struct service *));
    if (services->buckets == NULL) {
        free(services);
        return NULL;
    }
    return services;
}

void verify_services_free(struct verify_services *services)
{
    if (services == NULL)
        return;
    for (size_t i = 0; i < services->bucket_count; i++) {
        for (struct service *s = services->buckets[i]; s != NULL; s = s->next) {
            free(s->steps);
            free(s->seqs);
        }
    }
    free(services->buckets);
    free(services);
}

static struct service *find(const struct verify_services *services, struct ehi_hash128 hash)
{
    struct service *s = services->buckets[hash.low & (services->bucket_count - 1)];
    while (s != NULL && !ehi_hash128_equal(s->hash, hash))
        s = s->next;
    return s;
}

static void enter(struct verify_services *services, struct service *s)
{
    size_t at = s->hash.low & (services->bucket_count - 1);
    s->next = services->buckets[at];
    services->buckets[at] = s;
}

/* Without memory for more buckets the chains just grow. */
static void grow(struct verify_services *services)
{
    struct verify_services larger = {.bucket_count = services->bucket_count * 2};
    larger.buckets = calloc(larger.bucket_count, sizeof(struct service *));
    if (larger.buckets == NULL)
        return;
    for (size_t i = 0; i < services->bucket_count; i++) {
        for (struct service *s = services->buckets[i], *next; s != NULL; s = next) {
            next = s->next;
            enter(&larger, s);
        }
    }
    free(services->buckets);
    services->buckets = larger.buckets;
    services->bucket_count = larger.bucket_count;
}

/* What an ARN's row in the index does not say, and its state does not either. */
static bool name_service(struct verify *v, struct service *s, struct ehi_slice arn)
{
    if (s->arn.data == NULL && arn.data != NULL) {
        s->arn = ehi_arena_copy(&v->arena, arn);
        return s->arn.data != NULL;
    }
    return true;
}

/* NULL where memory is out. */
static struct service *service_at(struct verify *v, struct ehi_hash128 hash, struct ehi_slice arn)
{
    struct verify_services *services = v->services;
    struct service *s = find(services, hash);
    if (s != NULL)
        return name_service(v, s, arn) ? s : NULL;
    s = ehi_arena_array(&v->arena, 1, sizeof(*s));
    if (s == NULL || !name_service(v, s, arn))
        return NULL;
    s->hash = hash;
    if (services->count >= services->bucket_count)
        grow(services);
    enter(services, s);
    services->count++;
    return s;
}

static struct service *service_of(struct verify *v, struct ehi_slice arn)
{
    return service_at(v, ehi_hash128(arn.data, arn.length), arn);
}

int verify_service_step(struct verify *v, struct ehi_slice service_arn,
                        const struct verify_step *step)
{
    struct service *s = service_of(v, service_arn);
    struct verify_step *steps =
        s == NULL ? NULL : verify_grow(s->steps, s->step_count, &s->step_capacity, sizeof(*steps));
    if (steps == NULL)
        return ehi_fail_memory(v->error);
    s->steps = steps;
    steps[s->step_count++] = *step;
    return ECSHIST_OK;
}

static struct ehi_slice ended_well_with(const struct ehi_deployment *d)
{
    if (d->status == ECSHIST_STATUS_SUCCESSFUL)
        return d->target.arn;
    if (d->status == ECSHIST_STATUS_ROLLBACK_SUCCESSFUL && d->has_rollback)
        return d->rollback_revision_arn;
    return EHI_SLICE_EMPTY;
}

static bool is_newer(const struct service *s, int64_t finished_us, uint64_t seq)
{
    if (s->best_arn.data == NULL || finished_us > s->best_finished_us)
        return true;
    return finished_us == s->best_finished_us && seq >= s->best_seq;
}

int verify_service_deployment(struct verify *v, struct ehi_slice service_arn,
                              const struct ehi_deployment *d, bool flux)
{
    struct service *s = service_of(v, service_arn);
    uint64_t *seqs =
        s == NULL ? NULL : verify_grow(s->seqs, s->seq_count, &s->seq_capacity, sizeof(*seqs));
    if (seqs == NULL)
        return ehi_fail_memory(v->error);
    s->seqs = seqs;
    seqs[s->seq_count++] = d->created_seq;
    s->in_flux = s->in_flux || flux;
    s->by_status[d->status & 15]++;
    struct ehi_slice revision = ended_well_with(d);
    if (revision.data == NULL || !is_newer(s, d->finished_at_us, d->created_seq))
        return ECSHIST_OK;
    s->best_arn = ehi_arena_copy(&v->arena, revision);
    s->best_finished_us = d->finished_at_us;
    s->best_seq = d->created_seq;
    return s->best_arn.data == NULL ? ehi_fail_memory(v->error) : ECSHIST_OK;
}

int verify_service_in_flux(struct verify *v, struct ehi_slice service_arn)
{
    struct service *s = service_of(v, service_arn);
    if (s == NULL)
        return ehi_fail_memory(v->error);
    s->in_flux = true;
    return ECSHIST_OK;
}

void verify_service_row_in_flux(struct verify *v, struct ehi_hash128 hash)
{
    struct service *s = find(v->services, hash);
    if (s != NULL)
        s->in_flux = true;
}

int verify_service_row(struct verify *v, struct ehi_hash128 hash, struct ehi_slice arn, uint64_t id,
                       struct ehi_slice state)
{
    struct service *s = service_at(v, hash, arn);
    if (s == NULL)
        return ehi_fail_memory(v->error);
    s->in_index = true;
    s->id = id;
    if (state.data == NULL)
        return ECSHIST_OK;
    s->state = ehi_arena_copy(&v->arena, state);
    return s->state.data == NULL ? ehi_fail_memory(v->error) : ECSHIST_OK;
}

/* -- folding ----------------------------------------------------------------------------------- */

static int compare_steps(const void *a, const void *b)
{
    const struct verify_step *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

struct folding {
    bool exists, inactive;
    uint64_t first_seq;
    const struct verify_restated *stated; /* NULL: nothing of it has ever expired */
};

static int refuse_step(struct verify *v, const struct service *s, const struct verify_step *step,
                       const char *why)
{
    return verify_finding(v, BROKEN_L9, (struct verify_at){step->segment, step->offset, step->seq},
                          "the event does not apply to its service: %s (%.*s)", why,
                          EHI_FMT(s->arn));
}

/* covered: what the service was to this step may have expired; it is stated later. */
static int take_step(struct verify *v, const struct service *s, const struct verify_step *step,
                     bool covered, struct folding *f)
{
    bool own = step->kind == STEP_DELETED || step->kind == STEP_IGNORED;
    if (own && covered)
        return ECSHIST_OK;
    if (own && !f->exists)
        return refuse_step(v, s, step, "there is no such service");
    if (step->kind == STEP_DELETED && f->inactive)
        return refuse_step(v, s, step, "the service is INACTIVE already");
    if (step->kind == STEP_DELETED)
        f->inactive = true;
    if (step->kind == STEP_CREATED)
        f->inactive = false;
    if (!f->exists)
        f->first_seq = step->seq;
    f->exists = true;
    return ECSHIST_OK;
}

/* What a history-expired states holds from there on. */
static void restate(const struct verify_restated *r, struct folding *f)
{
    *f = (struct folding){.exists = !r->gone,
                          .inactive = !r->gone && r->inactive,
                          .first_seq = r->seq,
                          .stated = r->gone ? NULL : r};
}

static void set_view(struct service *s, const struct folding *f)
{
    s->exists = f->exists;
    s->view =
        (struct ehi_service){.arn = s->arn, .first_seq = f->first_seq, .inactive = f->inactive};
    memcpy(s->view.by_status, s->by_status, sizeof(s->by_status));
    if (f->stated == NULL)
        return;
    s->view.restated = true;
    s->view.stated_revision_arn = f->stated->current_revision_arn;
    s->view.stated_finished_at_us = f->stated->current_finished_at_us;
    s->view.stated_created_seq = f->stated->current_created_seq;
}

/* Steps and restatements in the order of seq. The view is as of the limit; rules hold to the end. */
static int fold_steps(struct verify *v, struct service *s)
{
    size_t count, at = 0;
    struct folding f = {0};
    bool seen = false;
    const struct verify_restated *restated = verify_restated_of(v, s->hash, &count);
    if (s->step_count > 0)
        qsort(s->steps, s->step_count, sizeof(*s->steps), compare_steps);
    int rc = ECSHIST_OK;
    for (size_t i = 0; i <= s->step_count && rc == ECSHIST_OK; i++) {
        uint64_t seq = i < s->step_count ? s->steps[i].seq : UINT64_MAX;
        for (; at < count && restated[at].seq < seq && restated[at].seq < v->limit; at++)
            restate(&restated[at], &f);
        if (!seen && seq >= v->limit) {
            set_view(s, &f);
            seen = true;
        }
        for (; at < count && restated[at].seq < seq; at++)
            restate(&restated[at], &f);
        if (i < s->step_count)
            rc = take_step(v, s, &s->steps[i], count > 0 && seq < restated[count - 1].seq, &f);
    }
    return rc;
}

static bool still_has(const struct service *s, uint64_t created_seq)
{
    for (size_t i = 0; i < s->seq_count; i++) {
        if (s->seqs[i] == created_seq)
            return true;
    }
    return false;
}

/* The newest that ended well; of those that are expired, the one that was stated. */
static void set_current(struct service *s)
{
    struct ehi_service *view = &s->view;
    bool stated = view->stated_revision_arn.data != NULL && !still_has(s, view->stated_created_seq);
    bool other =
        stated && (s->best_arn.data == NULL || view->stated_finished_at_us > s->best_finished_us ||
                   (view->stated_finished_at_us == s->best_finished_us &&
                    view->stated_created_seq > s->best_seq));
    view->current_revision_arn = other ? view->stated_revision_arn : s->best_arn;
    view->current_finished_at_us = other ? view->stated_finished_at_us : s->best_finished_us;
    view->current_created_seq = other ? view->stated_created_seq : s->best_seq;
}

/* -- comparing --------------------------------------------------------------------------------- */

static int compare(struct verify *v, const struct service *s)
{
    struct verify_at nowhere = {0};
    struct ehi_service state;
    if (s->in_flux)
        return ECSHIST_OK;
    if (s->exists && !s->in_index)
        return verify_finding(v, BROKEN_I3, nowhere, "the index does not know %.*s",
                              EHI_FMT(s->arn));
    if (!s->exists && s->arn.data == NULL)
        return verify_finding(v, BROKEN_I3, nowhere,
                              "the index knows a service with the id %" PRIu64
                              ", of which the log has no event",
                              s->id);
    if (!s->exists)
        return verify_finding(v, BROKEN_I3, nowhere,
                              "the index knows %.*s, of which the log has no event",
                              EHI_FMT(s->arn));
    if (s->state.data == NULL)
        return verify_finding(v, BROKEN_I2, nowhere, "the index has no state of %.*s",
                              EHI_FMT(s->arn));
    if (ehi_service_decode(s->state, &state, NULL) != ECSHIST_OK)
        return verify_finding(v, BROKEN_I2, nowhere, "the index's state of %.*s cannot be decoded",
                              EHI_FMT(s->arn));
    const char *difference = verify_service_difference(&s->view, &state);
    if (difference == NULL)
        return ECSHIST_OK;
    return verify_finding(v, BROKEN_I2, nowhere,
                          "the index's state of %.*s is not the fold of the events, in: %s",
                          EHI_FMT(s->arn), difference);
}

static int settle(struct verify *v, struct service *s, bool compared)
{
    int rc = fold_steps(v, s);
    if (rc != ECSHIST_OK)
        return rc;
    set_current(s);
    if (s->step_count > 0)
        v->result.subjects++;
    return compared && (s->exists || s->in_index) ? compare(v, s) : ECSHIST_OK;
}

int verify_services_settle(struct verify *v, bool compared)
{
    struct verify_services *services = v->services;
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < services->bucket_count && rc == ECSHIST_OK; i++) {
        for (struct service *s = services->buckets[i]; s != NULL && rc == ECSHIST_OK; s = s->next)
            rc = settle(v, s, compared);
    }
    return rc;
}

uint64_t verify_service_id(const struct verify *v, struct ehi_hash128 service)
{
    const struct service *s = find(v->services, service);
    return s == NULL || !s->in_index ? 0 : s->id;
}

uint64_t verify_service_count(const struct verify *v)
{
    uint64_t count = 0;
    for (size_t i = 0; i < v->services->bucket_count; i++) {
        for (const struct service *s = v->services->buckets[i]; s != NULL; s = s->next)
            count += s->exists;
    }
    return count;
}

int verify_services_each(struct verify *v,
                         int (*visit)(struct verify *v, struct ehi_slice arn, uint64_t id))
{
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < v->services->bucket_count && rc == ECSHIST_OK; i++) {
        for (struct service *s = v->services->buckets[i]; s != NULL && rc == ECSHIST_OK;
             s = s->next) {
            if (s->in_index && s->exists)
                rc = visit(v, s->arn, s->id);
        }
    }
    return rc;
}
