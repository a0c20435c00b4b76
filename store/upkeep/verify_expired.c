/*
 * What history-expired events say. An event is expired by a later one that lists its deployment or
 * revision; an event of a listed service itself, where it is dated before the cutoff or the service
 * is gone.
 */
#include "upkeep/verify_internal.h"

#include "codec/document.h"
#include "codec/record.h"
#include "model/time.h"

#include <stdio.h>
#include <stdlib.h>

struct reading {
    struct verify *v;
    const struct verify_place *place;
    size_t expired_capacity, restated_capacity;
};

static int bad_event(const struct reading *r, const char *what)
{
    const struct verify_place *place = r->place;
    struct verify_at at = {r->v->segments[place->segment].first_seq, place->offset, place->seq};
    return verify_finding(r->v, BROKEN_L9, at, "the history-expired event %s", what);
}

static int add_expired(struct reading *r, struct ehi_hash128 subject)
{
    struct verify *v = r->v;
    struct verify_expired *expired =
        verify_grow(v->expired, v->expired_count, &r->expired_capacity, sizeof(*expired));
    if (expired == NULL)
        return ehi_fail_memory(v->error);
    v->expired = expired;
    expired[v->expired_count++] = (struct verify_expired){subject, r->place->seq};
    return ECSHIST_OK;
}

static int add_restated(struct reading *r, const struct verify_restated *restated)
{
    struct verify *v = r->v;
    struct verify_restated *all =
        verify_grow(v->restated, v->restated_count, &r->restated_capacity, sizeof(*all));
    if (all == NULL)
        return ehi_fail_memory(v->error);
    v->restated = all;
    all[v->restated_count++] = *restated;
    return ECSHIST_OK;
}

static struct ehi_hash128 hash_of(const struct ehi_arn *service, const char *word,
                                  struct ehi_slice id)
{
    char text[EHI_ARN_BUFFER];
    int length =
        snprintf(text, sizeof(text), "arn:%.*s:ecs:%.*s:%.*s:%s/%.*s/%.*s/%.*s",
                 EHI_FMT(service->partition), EHI_FMT(service->region), EHI_FMT(service->account),
                 word, EHI_FMT(service->cluster), EHI_FMT(service->service), EHI_FMT(id));
    return ehi_hash128(text, length < (int)sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

static int read_ids(struct reading *r, const struct ehi_value *entry, const char *name,
                    const struct ehi_arn *service, const char *word)
{
    const struct ehi_value *list = ehi_value_member(entry, name);
    if (list == NULL)
        return ECSHIST_OK;
    if (list->kind != EHI_VALUE_ARRAY)
        return bad_event(r, "lists subjects in a form that it may not have");
    int rc = ECSHIST_OK;
    for (uint32_t i = 0; i < list->count && rc == ECSHIST_OK; i++) {
        const struct ehi_value *id = &list->u.items[i];
        rc = id->kind == EHI_VALUE_STRING
                 ? add_expired(r, hash_of(service, word, id->u.string))
                 : bad_event(r, "lists subjects in a form that it may not have");
    }
    return rc;
}

/* What the service's view keeps of what is gone. */
static int read_current(struct reading *r, const struct ehi_value *entry,
                        struct verify_restated *out)
{
    const struct ehi_value *arn = ehi_value_member(entry, "currentServiceRevisionArn");
    const struct ehi_value *seq = ehi_value_member(entry, "createdSeq");
    const struct ehi_value *finished = ehi_value_member(entry, "finishedAt");
    if (arn == NULL)
        return ECSHIST_OK;
    if (arn->kind != EHI_VALUE_STRING || seq == NULL || seq->kind != EHI_VALUE_INT ||
        (finished != NULL &&
         ehi_time_from_value(finished, &out->current_finished_at_us, NULL) != ECSHIST_OK))
        return bad_event(r, "states a current revision without its place");
    out->current_created_seq = (uint64_t)seq->u.integer;
    out->current_revision_arn = ehi_arena_copy(&r->v->arena, arn->u.string);
    return out->current_revision_arn.data == NULL ? ehi_fail_memory(r->v->error) : ECSHIST_OK;
}

static int read_service(struct reading *r, const struct ehi_value *entry, int64_t cutoff_us)
{
    const struct ehi_value *arn = ehi_value_member(entry, "serviceArn");
    const struct ehi_value *status = ehi_value_member(entry, "status");
    struct ehi_arn service;
    if (arn == NULL || arn->kind != EHI_VALUE_STRING ||
        ehi_arn_parse_as(EHI_ARN_SERVICE, arn->u.string, &service, NULL) != ECSHIST_OK ||
        (status != NULL && status->kind != EHI_VALUE_STRING))
        return bad_event(r, "has an entry without a service");
    struct verify_restated restated = {
        .service = ehi_hash128(arn->u.string.data, arn->u.string.length),
        .seq = r->place->seq,
        .cutoff_us = cutoff_us,
        .gone = status == NULL,
        .inactive = status != NULL && ehi_slice_is(status->u.string, "INACTIVE"),
        .current_finished_at_us = EHI_TIME_NONE};
    int rc = read_current(r, entry, &restated);
    if (rc == ECSHIST_OK)
        rc = add_restated(r, &restated);
    if (rc == ECSHIST_OK)
        rc = read_ids(r, entry, "serviceDeployments", &service, "service-deployment");
    if (rc == ECSHIST_OK)
        rc = read_ids(r, entry, "serviceRevisions", &service, "service-revision");
    return rc;
}

static int read_body(struct reading *r, const struct ehi_value *body)
{
    const struct ehi_value *cutoff = ehi_value_member(body, "cutoff");
    const struct ehi_value *services = ehi_value_member(body, "services");
    int64_t cutoff_us;
    if (cutoff == NULL || ehi_time_from_value(cutoff, &cutoff_us, NULL) != ECSHIST_OK)
        return bad_event(r, "has no cutoff");
    if (services == NULL || services->kind != EHI_VALUE_ARRAY)
        return bad_event(r, "has no list of services");
    int rc = ECSHIST_OK;
    for (uint32_t i = 0; i < services->count && rc == ECSHIST_OK; i++)
        rc = read_service(r, &services->u.items[i], cutoff_us);
    return rc;
}

static int read_expiry(struct reading *r, struct ehi_arena *arena)
{
    struct ehi_slice record;
    struct ehi_event event;
    struct ehi_value body;
    int rc = verify_read_record(r->v, r->place, arena, &record);
    if (rc != ECSHIST_OK)
        return rc;
    if (ehi_event_decode(record, arena, &event, r->v->error) != ECSHIST_OK)
        return bad_event(r, "cannot be decoded");
    rc = ehi_document_decode(event.body, arena, &body, r->v->error);
    if (rc == ECSHIST_NO_MEMORY)
        return rc;
    return rc == ECSHIST_OK ? read_body(r, &body) : bad_event(r, "cannot be decoded");
}

static int compare_hashes(struct ehi_hash128 x, struct ehi_hash128 y)
{
    if (x.high != y.high)
        return x.high < y.high ? -1 : 1;
    return (x.low > y.low) - (x.low < y.low);
}

static int compare_expired(const void *a, const void *b)
{
    const struct verify_expired *x = a, *y = b;
    int order = compare_hashes(x->subject, y->subject);
    return order != 0 ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

static int compare_restated(const void *a, const void *b)
{
    const struct verify_restated *x = a, *y = b;
    int order = compare_hashes(x->service, y->service);
    return order != 0 ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

int verify_read_expiries(struct verify *v)
{
    struct ehi_arena arena = {0};
    struct reading r = {.v = v};
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < v->expiries.count && rc == ECSHIST_OK; i++) {
        r.place = &v->expiries.items[i];
        ehi_arena_reset(&arena);
        rc = read_expiry(&r, &arena);
    }
    ehi_arena_free(&arena);
    if (v->expired_count > 0)
        qsort(v->expired, v->expired_count, sizeof(*v->expired), compare_expired);
    if (v->restated_count > 0)
        qsort(v->restated, v->restated_count, sizeof(*v->restated), compare_restated);
    return rc;
}

uint64_t verify_expired_before(const struct verify *v, struct ehi_hash128 subject, uint64_t limit)
{
    size_t low = 0, high = v->expired_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_hashes(v->expired[middle].subject, subject) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t before = 0;
    for (; low < v->expired_count && ehi_hash128_equal(v->expired[low].subject, subject); low++) {
        if (v->expired[low].seq < limit)
            before = v->expired[low].seq;
    }
    return before;
}

const struct verify_restated *verify_restated_of(const struct verify *v, struct ehi_hash128 service,
                                                 size_t *count)
{
    size_t low = 0, high = v->restated_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_hashes(v->restated[middle].service, service) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (*count = 0; low + *count < v->restated_count &&
                     ehi_hash128_equal(v->restated[low + *count].service, service);)
        (*count)++;
    return *count == 0 ? NULL : &v->restated[low];
}

bool verify_service_event_expired(const struct verify *v, struct ehi_hash128 service, uint64_t seq,
                                  int64_t time_us, uint64_t limit)
{
    size_t count;
    const struct verify_restated *restated = verify_restated_of(v, service, &count);
    for (size_t i = 0; i < count; i++) {
        if (restated[i].seq > seq && restated[i].seq < limit &&
            (restated[i].gone || time_us < restated[i].cutoff_us))
            return true;
    }
    return false;
}
