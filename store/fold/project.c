#include "fold/project.h"

#include "base/hash.h"
#include "codec/record.h"
#include "codec/state.h"
#include "fold/reduce.h"
#include "model/names.h"

#include <ecshist/query.h>
#include <stdlib.h>

/* Timeline rows of a subject that this batch touched; the newest first. */
struct chunk {
    struct chunk *older;
    unsigned count;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
};

/* A deployment, revision or service that the batch touches. */
struct subject {
    struct subject *next_in_bucket, *next;
    struct ehi_hash128 hash;
    struct ehi_slice arn;
    enum ehi_arn_kind kind;
    uint64_t id;
    bool is_new, dirty;
    struct subject *service;
    struct chunk *chunks; /* what is in memory: at first the last row of the index */
    bool chunks_dirty, has_older_rows;
    size_t state_start, state_length; /* of the encoded state in the batch's scratch */
    struct ehi_db_listed listed;      /* the row as it stands in the index; deployment_id 0: none */
    union {
        struct ehi_deployment deployment;
        struct ehi_revision revision;
        struct ehi_service service;
    } as;
};

struct ehi_batch {
    struct ehi_arena arena;
    struct ehi_db_txn *txn;
    struct ehi_log *log;
    struct ehi_db_head head;
    uint64_t first_seq; /* of the batch's events */
    struct subject **buckets;
    size_t bucket_count;
    size_t subject_count;
    /* Oldest first: new ids are put in ascending order, which fills LMDB's pages. */
    struct subject *subjects, **subjects_end;
    struct ehi_batch_record *records;
    uint32_t record_count, record_capacity;
    struct ehi_buffer scratch;
};

struct ehi_batch *ehi_batch_new(void)
{
    struct ehi_batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL)
        return NULL;
    batch->bucket_count = 1024;
    batch->buckets = calloc(batch->bucket_count, sizeof(struct subject *));
    if (batch->buckets == NULL) {
        free(batch);
        return NULL;
    }
    return batch;
}

void ehi_batch_free(struct ehi_batch *batch)
{
    if (batch == NULL)
        return;
    ehi_arena_free(&batch->arena);
    ehi_buffer_free(&batch->scratch);
    free(batch->buckets);
    free(batch->records);
    free(batch);
}

void ehi_batch_begin(struct ehi_batch *batch, struct ehi_db_txn *txn, struct ehi_log *log,
                     const struct ehi_db_head *head)
{
    ehi_arena_reset(&batch->arena);
    if (batch->subject_count != 0)
        memset(batch->buckets, 0, batch->bucket_count * sizeof(struct subject *));
    batch->subject_count = 0;
    batch->subjects = NULL;
    batch->subjects_end = &batch->subjects;
    batch->record_count = 0;
    batch->txn = txn;
    batch->log = log;
    batch->head = *head;
    batch->first_seq = head->next_seq;
}

struct ehi_arena *ehi_batch_arena(struct ehi_batch *batch)
{
    return &batch->arena;
}

struct ehi_db_head *ehi_batch_head(struct ehi_batch *batch)
{
    return &batch->head;
}

uint32_t ehi_batch_count(const struct ehi_batch *batch)
{
    return batch->record_count;
}

struct ehi_batch_record *ehi_batch_records(struct ehi_batch *batch)
{
    return batch->records;
}

/* -- subjects ---------------------------------------------------------------------------------- */

/* Doubling keeps the chains short; without memory for it they just grow. */
static void grow_buckets(struct ehi_batch *batch)
{
    size_t count = batch->bucket_count * 2;
    struct subject **buckets = calloc(count, sizeof(struct subject *));
    if (buckets == NULL)
        return;
    for (struct subject *s = batch->subjects; s != NULL; s = s->next) {
        size_t at = s->hash.low & (count - 1);
        s->next_in_bucket = buckets[at];
        buckets[at] = s;
    }
    free(batch->buckets);
    batch->buckets = buckets;
    batch->bucket_count = count;
}

static void enter_subject(struct ehi_batch *batch, struct subject *s)
{
    if (batch->subject_count >= batch->bucket_count)
        grow_buckets(batch);
    size_t at = s->hash.low & (batch->bucket_count - 1);
    s->next_in_bucket = batch->buckets[at];
    batch->buckets[at] = s;
    s->next = NULL;
    *batch->subjects_end = s;
    batch->subjects_end = &s->next;
    batch->subject_count++;
}

static struct subject *known_subject(struct ehi_batch *batch, struct ehi_hash128 hash,
                                     struct ehi_slice arn)
{
    struct subject *s = batch->buckets[hash.low & (batch->bucket_count - 1)];
    while (s != NULL && !(ehi_hash128_equal(s->hash, hash) && ehi_slice_equal(s->arn, arn)))
        s = s->next_in_bucket;
    return s;
}

static int load_state(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    struct ehi_slice state;
    bool found;
    int rc = ehi_db_get_state(batch->txn, s->kind, s->id, &state, &found, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (!found)
        return ehi_fail(error, ECSHIST_INDEX, "the index has no state of %.*s: rebuild the index",
                        EHI_FMT(s->arn));
    if (s->kind == EHI_ARN_SERVICE)
        return ehi_service_decode(state, &s->as.service, error);
    if (s->kind == EHI_ARN_REVISION)
        return ehi_revision_decode(state, &s->as.revision, error);
    rc = ehi_deployment_decode(state, &batch->arena, &s->as.deployment, error);
    s->listed = (struct ehi_db_listed){s->as.deployment.created_at_us, s->as.deployment.created_seq,
                                       s->id, s->as.deployment.status};
    return rc;
}

static int load_timeline(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    s->chunks = ehi_arena_alloc(&batch->arena, sizeof(struct chunk));
    if (s->chunks == NULL)
        return ehi_fail_memory(error);
    s->chunks->older = NULL;
    s->chunks->count = 0;
    if (s->is_new)
        return ECSHIST_OK;
    /* A service is in the index from the first event of anything of it: it may have no row of its
     * own. */
    int rc = ehi_db_timeline_last(batch->txn, s->id, s->chunks->entries, &s->chunks->count, error);
    uint64_t first =
        s->kind == EHI_ARN_DEPLOYMENT ? s->as.deployment.created_seq : s->as.revision.first_seq;
    s->has_older_rows =
        s->chunks->count != 0 && (s->kind == EHI_ARN_SERVICE || s->chunks->entries[0].seq != first);
    return rc;
}

/* The subject of an ARN, loaded from the index where it is there. The arn must outlive the batch.
 */
static int find_subject(struct ehi_batch *batch, struct ehi_slice arn, enum ehi_arn_kind kind,
                        struct subject **out, struct ecshist_error *error)
{
    struct ehi_hash128 hash = ehi_hash128(arn.data, arn.length);
    *out = known_subject(batch, hash, arn);
    if (*out != NULL)
        return ECSHIST_OK;
    struct subject *s = ehi_arena_array(&batch->arena, 1, sizeof(*s));
    if (s == NULL)
        return ehi_fail_memory(error);
    s->hash = hash;
    s->arn = arn;
    s->kind = kind;
    bool found;
    int rc = ehi_db_find(batch->txn, arn, hash, &s->id, &found, error);
    if (rc != ECSHIST_OK)
        return rc;
    s->is_new = !found;
    rc = found ? load_state(batch, s, error) : ECSHIST_OK;
    if (rc == ECSHIST_OK)
        rc = load_timeline(batch, s, error);
    if (rc != ECSHIST_OK)
        return rc;
    enter_subject(batch, s);
    *out = s;
    return ECSHIST_OK;
}

static int find_service(struct ehi_batch *batch, struct subject *s, const struct ehi_arn *arn,
                        struct ecshist_error *error)
{
    if (s->service != NULL)
        return ECSHIST_OK;
    if (s->kind == EHI_ARN_SERVICE) {
        s->service = s;
        return ECSHIST_OK;
    }
    char text[EHI_ARN_BUFFER];
    struct ehi_slice service = ehi_arn_service(arn, text);
    struct subject *known =
        known_subject(batch, ehi_hash128(service.data, service.length), service);
    if (known != NULL) {
        s->service = known;
        return ECSHIST_OK;
    }
    service = ehi_arena_copy(&batch->arena, service);
    if (service.data == NULL)
        return ehi_fail_memory(error);
    return find_subject(batch, service, EHI_ARN_SERVICE, &s->service, error);
}

/* The subject comes into existence: an id, a place among its kind. */
static void create_subject(struct ehi_batch *batch, struct subject *s, uint64_t seq)
{
    if (s->id == 0)
        s->id = batch->head.next_id++;
    s->dirty = true;
    if (s->kind == EHI_ARN_SERVICE && s->as.service.first_seq == 0) {
        s->as.service.arn = s->arn;
        s->as.service.first_seq = seq;
        batch->head.service_count++;
    }
}

static bool subject_exists(const struct subject *s)
{
    return s->id != 0;
}

/* -- idempotency ------------------------------------------------------------------------------- */

/* An earlier event of the subject with the same id: equal content is a duplicate, other content a
 * conflict. */
struct earlier {
    bool found, same_content;
    uint64_t seq;
};

/* The batch's record of an event that it has. Where the log has gaps, it stands before its place. */
static struct ehi_slice record_of(const struct ehi_batch *batch, uint64_t seq)
{
    uint64_t from_first = seq - batch->first_seq;
    uint32_t at = from_first < batch->record_count ? (uint32_t)from_first : batch->record_count - 1;
    while (at > 0 && batch->records[at].seq > seq)
        at--;
    return batch->records[at].record;
}

static int compare_earlier(struct ehi_batch *batch, const struct ehi_event *event,
                           struct ehi_slice id, const struct ehi_db_entry *entry,
                           struct earlier *out, struct ecshist_error *error)
{
    struct ehi_slice record;
    if (entry->seq >= batch->first_seq) {
        record = record_of(batch, entry->seq);
    } else {
        int rc = ehi_log_read(batch->log, entry->seq, entry->offset, &batch->arena, &record, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    struct ehi_event old;
    int rc = ehi_event_decode_envelope(record, &old, error);
    if (rc != ECSHIST_OK)
        return ehi_fail(error, ECSHIST_DAMAGED, "event %llu of the log cannot be decoded",
                        (unsigned long long)entry->seq);
    char text[ECSHIST_MAX_ID_BYTES + 1];
    if (!ehi_slice_equal(ehi_event_id(&old, text), id))
        return ECSHIST_OK; /* two ids of one hash */
    *out = (struct earlier){true, ehi_event_same_content(&old, event), entry->seq};
    return ECSHIST_OK;
}

static int search_entries(struct ehi_batch *batch, const struct ehi_event *event,
                          struct ehi_slice id, uint64_t id_hash, const struct ehi_db_entry *entries,
                          unsigned count, struct earlier *out, struct ecshist_error *error)
{
    for (unsigned i = 0; i < count && !out->found; i++) {
        if (entries[i].id_hash != id_hash)
            continue;
        int rc = compare_earlier(batch, event, id, &entries[i], out, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int search_older_rows(struct ehi_batch *batch, const struct subject *s,
                             const struct ehi_event *event, struct ehi_slice id, uint64_t id_hash,
                             struct earlier *out, struct ecshist_error *error)
{
    struct ehi_db_walk walk;
    ehi_db_timeline(&walk, batch->txn, s->id);
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    bool found = true;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && found && !out->found) {
        rc = ehi_db_timeline_next(&walk, entries, &count, &found, error);
        if (rc == ECSHIST_OK && found)
            rc = search_entries(batch, event, id, id_hash, entries, count, out, error);
    }
    ehi_db_walk_end(&walk);
    return rc;
}

static int search_earlier(struct ehi_batch *batch, const struct subject *s,
                          const struct ehi_event *event, struct ehi_slice id, uint64_t id_hash,
                          struct earlier *out, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (struct chunk *c = s->chunks; c != NULL && rc == ECSHIST_OK && !out->found; c = c->older)
        rc = search_entries(batch, event, id, id_hash, c->entries, c->count, out, error);
    if (rc == ECSHIST_OK && !out->found && s->has_older_rows)
        rc = search_older_rows(batch, s, event, id, id_hash, out, error);
    return rc;
}

/* -- services ---------------------------------------------------------------------------------- */

/* What a deployment says of its service's current revision: nothing, unless it ended well. */
static bool current_candidate(const struct ehi_deployment *d, struct ehi_slice *revision)
{
    if (d->status == ECSHIST_STATUS_SUCCESSFUL)
        *revision = d->target.arn;
    else if (d->status == ECSHIST_STATUS_ROLLBACK_SUCCESSFUL && d->has_rollback)
        *revision = d->rollback_revision_arn;
    else
        return false;
    return revision->data != NULL;
}

static void offer(struct ehi_service *service, struct ehi_slice revision, int64_t finished_at_us,
                  uint64_t created_seq)
{
    bool newer = service->current_revision_arn.data == NULL ||
                 finished_at_us > service->current_finished_at_us ||
                 (finished_at_us == service->current_finished_at_us &&
                  created_seq >= service->current_created_seq);
    if (!newer)
        return;
    service->current_revision_arn = revision;
    service->current_finished_at_us = finished_at_us;
    service->current_created_seq = created_seq;
}

static void offer_current(struct ehi_service *service, const struct ehi_deployment *d)
{
    struct ehi_slice revision;
    if (current_candidate(d, &revision))
        offer(service, revision, d->finished_at_us, d->created_seq);
}

/* Looking at all deployments again. */
struct recomputing {
    struct ehi_batch *batch;
    struct subject *service;
    bool stated_is_here; /* the deployment of what was stated is one of them */
};

static void offer_again(struct recomputing *r, const struct ehi_deployment *d)
{
    struct ehi_service *service = &r->service->as.service;
    r->stated_is_here = r->stated_is_here || d->created_seq == service->stated_created_seq;
    offer_current(service, d);
}

static int offer_indexed(struct recomputing *r, uint64_t deployment_id, struct ecshist_error *error)
{
    struct ehi_batch *batch = r->batch;
    for (const struct subject *s = batch->subjects; s != NULL; s = s->next) {
        if (s->id == deployment_id)
            return ECSHIST_OK; /* the batch has it in a newer state */
    }
    struct ehi_slice state;
    bool found;
    int rc = ehi_db_get_state(batch->txn, EHI_ARN_DEPLOYMENT, deployment_id, &state, &found, error);
    if (rc != ECSHIST_OK || !found)
        return rc;
    struct ehi_deployment d;
    rc = ehi_deployment_decode(state, &batch->arena, &d, error);
    if (rc == ECSHIST_OK)
        offer_again(r, &d);
    return rc;
}

static int offer_all_indexed(struct recomputing *r, struct ecshist_error *error)
{
    struct ehi_db_walk walk;
    struct ehi_db_listed row;
    bool found = true;
    int rc = ECSHIST_OK;
    ehi_db_listed(&walk, r->batch->txn, r->service->id, NULL);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_listed_next(&walk, &row, &found, error);
        if (rc == ECSHIST_OK && found)
            rc = offer_indexed(r, row.deployment_id, error);
    }
    ehi_db_walk_end(&walk);
    return rc;
}

/* An observation took back what made a revision the current one. */
static int recompute_current(struct ehi_batch *batch, struct subject *service,
                             struct ecshist_error *error)
{
    struct recomputing r = {batch, service, false};
    struct ehi_service *state = &service->as.service;
    state->current_revision_arn = EHI_SLICE_EMPTY;
    for (const struct subject *s = batch->subjects; s != NULL; s = s->next) {
        if (s->kind == EHI_ARN_DEPLOYMENT && s->service == service && subject_exists(s))
            offer_again(&r, &s->as.deployment);
    }
    int rc = service->is_new ? ECSHIST_OK : offer_all_indexed(&r, error);
    if (rc == ECSHIST_OK && state->stated_revision_arn.data != NULL && !r.stated_is_here)
        offer(state, state->stated_revision_arn, state->stated_finished_at_us,
              state->stated_created_seq);
    return rc;
}

static void count_status(struct ehi_batch *batch, struct ehi_service *service, int before,
                         int after)
{
    if (before != ECSHIST_STATUS_NONE) {
        service->by_status[before]--;
        batch->head.by_status[before]--;
    }
    service->by_status[after]++;
    batch->head.by_status[after]++;
}

/* The deployment has changed from `before`: what its service shows of it. */
static int update_service(struct ehi_batch *batch, struct subject *s, const struct ehi_event *event,
                          const struct ehi_deployment *before, struct ecshist_error *error)
{
    struct subject *service = s->service;
    const struct ehi_deployment *d = &s->as.deployment;
    if (before->status == d->status && event->type != EHI_DEPLOYMENT_OBSERVED)
        return ECSHIST_OK;
    service->dirty = true;
    count_status(batch, &service->as.service, before->status, d->status);
    /* A first observation of what has ended already tells of the past, not that the service lives.
     */
    bool revives = before->status == ECSHIST_STATUS_NONE &&
                   !(event->type == EHI_DEPLOYMENT_OBSERVED && ehi_status_terminal(d->status));
    if (revives)
        service->as.service.inactive = false;
    if (before->created_seq != 0 &&
        service->as.service.current_created_seq == before->created_seq &&
        service->as.service.current_revision_arn.data != NULL)
        return recompute_current(batch, service, error);
    offer_current(&service->as.service, d);
    return ECSHIST_OK;
}

/* -- folding, by kind of subject --------------------------------------------------------------- */

static int fold_deployment(struct ehi_batch *batch, struct subject *s,
                           const struct ehi_event *event, enum ehi_applied *applied,
                           struct ecshist_error *error)
{
    struct ehi_deployment before = s->as.deployment;
    int rc = ehi_reduce(&s->as.deployment, event, &batch->arena, applied, error);
    if (rc != ECSHIST_OK || *applied == EHI_DUPLICATE)
        return rc;
    create_subject(batch, s, event->seq);
    create_subject(batch, s->service, event->seq);
    s->as.deployment.arn = s->arn;
    return update_service(batch, s, event, &before, error);
}

/* The event that holds a revision's document as it is shown now. */
static int document_event(struct ehi_batch *batch, const struct subject *s, struct ehi_arena *arena,
                          struct ehi_event *out, struct ecshist_error *error)
{
    uint64_t seq = s->as.revision.document_seq;
    struct ehi_slice record;
    if (seq >= batch->first_seq) {
        record = record_of(batch, seq);
    } else {
        uint64_t hint = 0;
        for (const struct chunk *c = s->chunks; c != NULL; c = c->older) {
            for (unsigned i = 0; i < c->count; i++)
                hint = c->entries[i].seq == seq ? c->entries[i].offset : hint;
        }
        int rc = ehi_log_read(batch->log, seq, hint, arena, &record, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ehi_event_decode(record, arena, out, error);
}

static int revision_stands(struct ehi_batch *batch, const struct subject *s,
                           const struct ehi_event *event, enum ehi_applied *applied,
                           struct ecshist_error *error)
{
    const struct ehi_revision *r = &s->as.revision;
    bool observes = event->type == EHI_REVISION_OBSERVED;
    if (observes && !r->observed)
        return ehi_fail(
            error, ECSHIST_CONFLICT,
            "the revision was recorded by revision-created (event %llu): it is not observed over",
            (unsigned long long)r->document_seq);
    struct ehi_event old;
    int rc = document_event(batch, s, &batch->arena, &old, error);
    if (rc != ECSHIST_OK)
        return rc;
    bool same = observes ? ehi_slice_equal(old.document, event->document)
                         : !r->observed && ehi_event_same_content(&old, event);
    *applied = same ? EHI_DUPLICATE : EHI_APPLIED;
    if (!same && !observes)
        return ehi_fail(error, ECSHIST_CONFLICT,
                        "the revision exists with other content (event %llu), and is immutable",
                        (unsigned long long)r->document_seq);
    return ECSHIST_OK;
}

static int fold_revision(struct ehi_batch *batch, struct subject *s, const struct ehi_event *event,
                         enum ehi_applied *applied, struct ecshist_error *error)
{
    *applied = EHI_APPLIED;
    struct ehi_revision *r = &s->as.revision;
    if (r->first_seq != 0) {
        int rc = revision_stands(batch, s, event, applied, error);
        if (rc != ECSHIST_OK || *applied == EHI_DUPLICATE)
            return rc;
    } else {
        batch->head.revision_count++;
        r->first_seq = event->seq;
    }
    r->arn = s->arn;
    r->document_seq = event->seq;
    r->observed = event->type == EHI_REVISION_OBSERVED;
    r->created_at_us = r->observed ? event->document_created_at_us : event->time_us;
    create_subject(batch, s, event->seq);
    create_subject(batch, s->service, event->seq);
    return ECSHIST_OK;
}

static int fold_service(struct subject *s, enum ehi_applied *applied, struct ecshist_error *error)
{
    *applied = EHI_APPLIED;
    if (!subject_exists(s))
        return ehi_fail(error, ECSHIST_NOT_FOUND, "there is no such service");
    if (s->as.service.inactive)
        return ehi_fail(error, ECSHIST_CONFLICT, "the service is INACTIVE already");
    s->as.service.inactive = true;
    s->dirty = true;
    return ECSHIST_OK;
}

static int fold_event(struct ehi_batch *batch, struct subject *s, const struct ehi_event *event,
                      enum ehi_applied *applied, struct ecshist_error *error)
{
    switch (s->kind) {
    case EHI_ARN_DEPLOYMENT:
        return fold_deployment(batch, s, event, applied, error);
    case EHI_ARN_REVISION:
        return fold_revision(batch, s, event, applied, error);
    default:
        return fold_service(s, applied, error);
    }
}

/* -- what the log will hold -------------------------------------------------------------------- */

static int add_entry(struct ehi_batch *batch, struct subject *s, const struct ehi_db_entry *entry,
                     struct ehi_db_entry **out, struct ecshist_error *error)
{
    if (s->chunks->count == EHI_DB_CHUNK) {
        struct chunk *c = ehi_arena_alloc(&batch->arena, sizeof(*c));
        if (c == NULL)
            return ehi_fail_memory(error);
        c->older = s->chunks;
        c->count = 0;
        s->chunks = c;
    }
    *out = &s->chunks->entries[s->chunks->count];
    **out = *entry;
    s->chunks->count++;
    s->chunks_dirty = true;
    return ECSHIST_OK;
}

static int reserve_record(struct ehi_batch *batch, struct ecshist_error *error)
{
    if (batch->record_count < batch->record_capacity)
        return ECSHIST_OK;
    uint32_t capacity = batch->record_capacity == 0 ? 1024 : batch->record_capacity * 2;
    struct ehi_batch_record *records = realloc(batch->records, capacity * sizeof(*records));
    if (records == NULL)
        return ehi_fail_memory(error);
    batch->records = records;
    batch->record_capacity = capacity;
    return ECSHIST_OK;
}

static void count_event(struct ehi_db_head *head, unsigned flags)
{
    head->event_count++;
    if ((flags & EHI_EVENT_IGNORED) != 0)
        head->ignored_count++;
    head->next_seq++;
}

/* The event is in: its row in the timeline, its place among the batch's records. Cannot fail
 * halfway. */
static int accept(struct ehi_batch *batch, struct subject *s, const struct ehi_event *event,
                  struct ehi_slice record, uint64_t id_hash, uint64_t offset, unsigned flags,
                  struct ecshist_error *error)
{
    struct ehi_db_entry entry = {event->seq, id_hash, (uint32_t)offset, (uint16_t)event->type,
                                 (uint16_t)flags};
    struct ehi_batch_record *r = &batch->records[batch->record_count];
    int rc = add_entry(batch, s, &entry, &r->entry, error);
    if (rc != ECSHIST_OK)
        return rc;
    r->record = record;
    r->seq = event->seq;
    r->flags = flags;
    r->offset = offset;
    batch->record_count++;
    count_event(&batch->head, flags);
    return ECSHIST_OK;
}

static uint64_t hash_id(struct ehi_slice id)
{
    return ehi_hash64(id.data, id.length, 0);
}

static int prepare(struct ehi_batch *batch, const struct ehi_event *event, struct subject **s,
                   struct ecshist_error *error)
{
    int rc = reserve_record(batch, error);
    if (rc == ECSHIST_OK)
        rc = find_subject(batch, event->subject, event->arn.kind, s, error);
    if (rc == ECSHIST_OK)
        rc = find_service(batch, *s, &event->arn, error);
    return rc;
}

/* A failure of the event is its outcome; any other is the machinery's. */
static bool is_refusal(int code)
{
    return code == ECSHIST_INVALID || code == ECSHIST_CONFLICT || code == ECSHIST_NOT_FOUND ||
           code == ECSHIST_LIMIT;
}

static int refuse(int code, struct ehi_outcome *out)
{
    if (!is_refusal(code))
        return code;
    *out = (struct ehi_outcome){ECSHIST_OUTCOME_REFUSED, code, 0};
    return ECSHIST_OK;
}

static uint64_t duplicate_seq(const struct subject *s)
{
    return s->kind == EHI_ARN_DEPLOYMENT ? s->as.deployment.last_seq : s->as.revision.document_seq;
}

int ehi_batch_apply(struct ehi_batch *batch, struct ehi_slice record, bool lenient,
                    struct ehi_outcome *out, struct ecshist_error *reason)
{
    struct ehi_event event;
    int rc = ehi_event_decode(record, &batch->arena, &event, reason);
    if (rc != ECSHIST_OK)
        return refuse(rc, out);
    event.seq = batch->head.next_seq;
    struct subject *s;
    rc = prepare(batch, &event, &s, reason);
    if (rc != ECSHIST_OK)
        return rc;
    char text[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_slice id = ehi_event_id(&event, text);
    uint64_t id_hash = hash_id(id);
    struct earlier earlier = {0};
    rc = search_earlier(batch, s, &event, id, id_hash, &earlier, reason);
    if (rc != ECSHIST_OK)
        return rc;
    if (earlier.found && earlier.same_content) {
        *out = (struct ehi_outcome){ECSHIST_OUTCOME_DUPLICATE, ECSHIST_OK, earlier.seq};
        return ECSHIST_OK;
    }
    if (earlier.found)
        return refuse(ehi_fail(reason, ECSHIST_CONFLICT,
                               "event %llu has the id \"%.*s\" already, with other content",
                               (unsigned long long)earlier.seq, EHI_FMT(id)),
                      out);
    enum ehi_applied applied = EHI_APPLIED;
    rc = fold_event(batch, s, &event, &applied, reason);
    unsigned flags = 0;
    if (rc == ECSHIST_CONFLICT && lenient && subject_exists(s))
        flags = EHI_EVENT_IGNORED;
    else if (rc != ECSHIST_OK)
        return refuse(rc, out);
    if (rc == ECSHIST_OK && applied == EHI_DUPLICATE) {
        *out = (struct ehi_outcome){ECSHIST_OUTCOME_DUPLICATE, ECSHIST_OK, duplicate_seq(s)};
        return ECSHIST_OK;
    }
    *out = (struct ehi_outcome){flags != 0 ? ECSHIST_OUTCOME_IGNORED : ECSHIST_OUTCOME_APPENDED,
                                flags != 0 ? ECSHIST_CONFLICT : ECSHIST_OK, event.seq};
    return accept(batch, s, &event, record, id_hash, 0, flags, reason);
}

static int misfit(uint64_t seq, struct ecshist_error *error)
{
    char why[256] = "";
    if (error != NULL)
        memcpy(why, error->message, sizeof(why) - 1);
    int rc = ehi_fail(error, ECSHIST_DAMAGED,
                      "event %llu of the log does not fit the ones before it: %s",
                      (unsigned long long)seq, why);
    if (error != NULL)
        error->seq = seq;
    return rc;
}

void ehi_batch_skip_to(struct ehi_batch *batch, uint64_t seq)
{
    batch->head.next_seq = seq;
}

/* Of a service that a later event restates only the trace is kept: what it came after may have expired. */
static int replay_restated(struct ehi_batch *batch, struct subject *s,
                           const struct ehi_event *event, struct ehi_slice record, uint64_t offset,
                           struct ecshist_error *error)
{
    char text[ECSHIST_MAX_ID_BYTES + 1];
    create_subject(batch, s, event->seq);
    return accept(batch, s, event, record, hash_id(ehi_event_id(event, text)), offset, event->flags,
                  error);
}

int ehi_batch_replay(struct ehi_batch *batch, struct ehi_slice record, uint64_t offset,
                     bool restated, struct ecshist_error *error)
{
    uint64_t seq = batch->head.next_seq;
    struct ehi_event event;
    int rc = ehi_event_decode(record, &batch->arena, &event, error);
    if (rc != ECSHIST_OK)
        return is_refusal(rc) ? misfit(seq, error) : rc;
    if (event.seq != seq)
        return ehi_fail(error, ECSHIST_DAMAGED,
                        "event %llu of the log stands where event %llu should",
                        (unsigned long long)event.seq, (unsigned long long)seq);
    struct subject *s;
    rc = prepare(batch, &event, &s, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (restated && s->kind == EHI_ARN_SERVICE)
        return replay_restated(batch, s, &event, record, offset, error);
    enum ehi_applied applied = EHI_APPLIED;
    if ((event.flags & EHI_EVENT_IGNORED) == 0)
        rc = fold_event(batch, s, &event, &applied, error);
    if (rc != ECSHIST_OK)
        return is_refusal(rc) ? misfit(seq, error) : rc;
    if (applied == EHI_DUPLICATE || !subject_exists(s)) {
        (void)ehi_fail(error, ECSHIST_DAMAGED, "it changes nothing, or its subject is not there");
        return misfit(seq, error);
    }
    char text[ECSHIST_MAX_ID_BYTES + 1];
    return accept(batch, s, &event, record, hash_id(ehi_event_id(&event, text)), offset,
                  event.flags, error);
}

/* -- putting ----------------------------------------------------------------------------------- */

static int encode_state(const struct subject *s, struct ehi_buffer *out)
{
    if (s->kind == EHI_ARN_DEPLOYMENT)
        return ehi_deployment_encode(&s->as.deployment, out);
    if (s->kind == EHI_ARN_REVISION)
        return ehi_revision_encode(&s->as.revision, out);
    return ehi_service_encode(&s->as.service, out);
}

static int put_service_names(struct ehi_batch *batch, const struct subject *s,
                             struct ecshist_error *error)
{
    struct ehi_arn arn;
    int rc = ehi_arn_parse(s->arn, &arn, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_name(batch->txn, ehi_db_name_hash(arn.cluster, arn.service), s->id, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_name(batch->txn, ehi_db_name_hash(arn.cluster, EHI_SLICE_EMPTY), s->id,
                             error);
    return rc;
}

static int put_listed(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    const struct ehi_deployment *d = &s->as.deployment;
    struct ehi_db_listed row = {d->created_at_us, d->created_seq, s->id, d->status};
    bool moved = s->listed.deployment_id != 0 && s->listed.created_at_us != row.created_at_us;
    bool same = s->listed.deployment_id != 0 && !moved && s->listed.status == row.status;
    int rc = ECSHIST_OK;
    if (moved)
        rc = ehi_db_delete_listed(batch->txn, s->service->id, &s->listed, error);
    if (rc == ECSHIST_OK && !same)
        rc = ehi_db_put_listed(batch->txn, s->service->id, &row, error);
    return rc;
}

static int put_chunks(struct ehi_batch *batch, const struct subject *s, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (const struct chunk *c = s->chunks; c != NULL && rc == ECSHIST_OK; c = c->older) {
        if (c->count != 0)
            rc = ehi_db_put_timeline(batch->txn, s->id, c->entries, c->count, error);
    }
    return rc;
}

static int put_subject(struct ehi_batch *batch, struct subject *s, struct ehi_slice state,
                       struct ecshist_error *error)
{
    int rc = ehi_db_put_state(batch->txn, s->kind, s->id, state, error);
    if (rc == ECSHIST_OK && s->is_new)
        rc = ehi_db_put_arn(batch->txn, s->arn, s->hash, s->id, error);
    if (rc == ECSHIST_OK && s->is_new && s->kind == EHI_ARN_SERVICE)
        rc = put_service_names(batch, s, error);
    if (rc == ECSHIST_OK && s->kind == EHI_ARN_DEPLOYMENT)
        rc = put_listed(batch, s, error);
    return rc;
}

/* All states are encoded before the first put: they may borrow from pages that a put is free to
 * move. */
static int encode_states(struct ehi_batch *batch, struct ecshist_error *error)
{
    batch->scratch.length = 0;
    for (struct subject *s = batch->subjects; s != NULL; s = s->next) {
        if (!s->dirty)
            continue;
        s->state_start = batch->scratch.length;
        if (encode_state(s, &batch->scratch) != ECSHIST_OK)
            return ehi_fail_memory(error);
        s->state_length = batch->scratch.length - s->state_start;
    }
    return ECSHIST_OK;
}

static int put_subjects(struct ehi_batch *batch, struct ecshist_error *error)
{
    int rc = encode_states(batch, error);
    for (struct subject *s = batch->subjects; s != NULL && rc == ECSHIST_OK; s = s->next) {
        if (s->dirty)
            rc = put_subject(
                batch, s, ehi_slice(batch->scratch.data + s->state_start, s->state_length), error);
    }
    return rc;
}

int ehi_batch_put(struct ehi_batch *batch, struct ecshist_error *error)
{
    int rc = put_subjects(batch, error);
    for (uint32_t i = 0; i < batch->record_count; i++)
        batch->records[i].entry->offset = (uint32_t)batch->records[i].offset;
    for (struct subject *s = batch->subjects; s != NULL && rc == ECSHIST_OK; s = s->next) {
        if (s->chunks_dirty)
            rc = put_chunks(batch, s, error);
    }
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_head(batch->txn, &batch->head, error);
    return rc;
}
