#include "fold/expire.h"

#include "base/clock.h"
#include "codec/record.h"
#include "codec/state.h"

#include <ecshist/query.h>

struct expiring {
    struct ehi_db_txn *txn;
    struct ehi_log *log;
    struct ehi_db_head *head;
    uint64_t seq, offset; /* of the history-expired */
    int64_t cutoff_us;
    struct ehi_arena arena;
    struct ecshist_error *error;
};

/* A service that is restated: its id (0: not in the index yet) and its state. */
struct stated {
    uint64_t id;
    struct ehi_service service;
};

/* -- subjects that go -------------------------------------------------------------------------- */

static int lacks_state(const struct expiring *x, struct ehi_slice arn)
{
    return ehi_fail(x->error, ECSHIST_INDEX, "the index has no state of %.*s: rebuild the index",
                    EHI_FMT(arn));
}

static void uncount_events(struct ehi_db_head *head, uint64_t entries, uint64_t ignored)
{
    head->event_count -= entries;
    head->ignored_count -= ignored;
}

static int drop_timeline(struct expiring *x, uint64_t id)
{
    uint64_t entries, ignored;
    int rc = ehi_db_delete_timeline(x->txn, id, &entries, &ignored, x->error);
    if (rc == ECSHIST_OK)
        uncount_events(x->head, entries, ignored);
    return rc;
}

static int drop_subject(struct expiring *x, enum ehi_arn_kind kind, uint64_t id,
                        struct ehi_hash128 hash)
{
    int rc = drop_timeline(x, id);
    if (rc == ECSHIST_OK)
        rc = ehi_db_delete_state(x->txn, kind, id, x->error);
    return rc == ECSHIST_OK ? ehi_db_delete_arn(x->txn, hash, x->error) : rc;
}

static int find(const struct expiring *x, struct ehi_slice arn, enum ehi_arn_kind kind,
                struct ehi_hash128 hash, uint64_t *id, bool *found, struct ehi_slice *state)
{
    int rc = ehi_db_find(x->txn, arn, hash, id, found, x->error);
    if (rc != ECSHIST_OK || !*found)
        return rc;
    bool has_state;
    rc = ehi_db_get_state(x->txn, kind, *id, state, &has_state, x->error);
    return rc == ECSHIST_OK && !has_state ? lacks_state(x, arn) : rc;
}

/* A row of the index is found by the hash of an ARN; the state says of which it is. */
static int check_arn(const struct expiring *x, struct ehi_slice is, struct ehi_slice arn)
{
    return ehi_slice_equal(is, arn)
               ? ECSHIST_OK
               : ehi_fail(x->error, ECSHIST_INDEX, "two ARNs have the same hash: %.*s and %.*s",
                          EHI_FMT(arn), EHI_FMT(is));
}

static int expire_deployment(struct expiring *x, struct stated *stated, struct ehi_slice arn)
{
    struct ehi_hash128 hash = ehi_hash128(arn.data, arn.length);
    struct ehi_slice state;
    struct ehi_deployment d;
    uint64_t id;
    bool found;
    int rc = find(x, arn, EHI_ARN_DEPLOYMENT, hash, &id, &found, &state);
    if (rc != ECSHIST_OK || !found)
        return rc;
    rc = ehi_deployment_decode(state, &x->arena, &d, x->error);
    if (rc == ECSHIST_OK)
        rc = check_arn(x, d.arn, arn);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_db_listed row = {.created_at_us = d.created_at_us, .created_seq = d.created_seq};
    x->head->by_status[d.status]--;
    stated->service.by_status[d.status]--;
    rc = ehi_db_delete_listed(x->txn, stated->id, &row, x->error);
    return rc == ECSHIST_OK ? drop_subject(x, EHI_ARN_DEPLOYMENT, id, hash) : rc;
}

static int expire_revision(struct expiring *x, struct ehi_slice arn)
{
    struct ehi_hash128 hash = ehi_hash128(arn.data, arn.length);
    struct ehi_slice state;
    struct ehi_revision r;
    uint64_t id;
    bool found;
    int rc = find(x, arn, EHI_ARN_REVISION, hash, &id, &found, &state);
    if (rc != ECSHIST_OK || !found)
        return rc;
    rc = ehi_revision_decode(state, &x->arena, &r, x->error);
    if (rc == ECSHIST_OK)
        rc = check_arn(x, r.arn, arn);
    if (rc != ECSHIST_OK)
        return rc;
    x->head->revision_count--;
    return drop_subject(x, EHI_ARN_REVISION, id, hash);
}

static int expire_lists(struct expiring *x, struct stated *stated,
                        const struct ehi_expired_service *s)
{
    char text[EHI_ARN_BUFFER];
    int rc = ECSHIST_OK;
    for (uint32_t i = 0; i < s->deployment_count && rc == ECSHIST_OK; i++)
        rc = expire_deployment(
            x, stated, ehi_expired_arn(s->arn, EHI_ARN_DEPLOYMENT, s->deployments[i], text));
    for (uint32_t i = 0; i < s->revision_count && rc == ECSHIST_OK; i++)
        rc = expire_revision(x, ehi_expired_arn(s->arn, EHI_ARN_REVISION, s->revisions[i], text));
    return rc;
}

/* -- the service ------------------------------------------------------------------------------- */

static int load_service(struct expiring *x, struct ehi_slice arn, struct ehi_hash128 hash,
                        struct stated *out)
{
    struct ehi_slice state;
    bool found;
    int rc = find(x, arn, EHI_ARN_SERVICE, hash, &out->id, &found, &state);
    if (rc != ECSHIST_OK)
        return rc;
    if (!found) {
        *out = (struct stated){.service.arn = arn};
        return ECSHIST_OK;
    }
    /* Its own copy: the pages it lies in are written to before it is put. */
    state = ehi_arena_copy(&x->arena, state);
    if (state.data == NULL)
        return ehi_fail_memory(x->error);
    rc = ehi_service_decode(state, &out->service, x->error);
    return rc == ECSHIST_OK ? check_arn(x, out->service.arn, arn) : rc;
}

static int service_names(struct expiring *x, const struct stated *stated, bool put)
{
    struct ehi_arn arn;
    int rc = ehi_arn_parse(stated->service.arn, &arn, x->error);
    uint64_t names[2];
    if (rc == ECSHIST_OK) {
        names[0] = ehi_db_name_hash(arn.cluster, arn.service);
        names[1] = ehi_db_name_hash(arn.cluster, EHI_SLICE_EMPTY);
    }
    for (int i = 0; i < 2 && rc == ECSHIST_OK; i++)
        rc = put ? ehi_db_put_name(x->txn, names[i], stated->id, x->error)
                 : ehi_db_delete_name(x->txn, names[i], stated->id, x->error);
    return rc;
}

/* Whether an event of the service itself expires: by its own time. One that is gone already has. */
static int own_event_expires(struct expiring *x, const struct ehi_db_entry *entry, bool *out)
{
    struct ehi_slice record;
    *out = false;
    if (entry->type == EHI_HISTORY_EXPIRED)
        return ECSHIST_OK;
    int rc = ehi_log_read(x->log, entry->seq, entry->offset, &x->arena, &record, x->error);
    if (rc == ECSHIST_NOT_FOUND)
        *out = true;
    else if (rc == ECSHIST_OK)
        *out = (int64_t)ehi_get_le64(record.data + EHI_REC_TIME) < x->cutoff_us;
    return rc == ECSHIST_NOT_FOUND ? ECSHIST_OK : rc;
}

static int keep_entry(struct expiring *x, struct ehi_buffer *kept, const struct ehi_db_entry *entry)
{
    bool expires;
    int rc = own_event_expires(x, entry, &expires);
    if (rc != ECSHIST_OK)
        return rc;
    if (expires) {
        uncount_events(x->head, 1, entry->flags & EHI_EVENT_IGNORED);
        return ECSHIST_OK;
    }
    return ehi_buffer_append(kept, entry, sizeof(*entry)) == ECSHIST_OK ? ECSHIST_OK
                                                                        : ehi_fail_memory(x->error);
}

static int read_kept(struct expiring *x, uint64_t id, struct ehi_buffer *kept)
{
    struct ehi_db_walk walk;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    bool found = true;
    int rc = ECSHIST_OK;
    ehi_db_timeline(&walk, x->txn, id);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_timeline_next(&walk, entries, &count, &found, x->error);
        for (unsigned i = 0; rc == ECSHIST_OK && found && i < count; i++)
            rc = keep_entry(x, kept, &entries[i]);
    }
    ehi_db_walk_end(&walk);
    return rc;
}

/* Rows of a timeline from its entries: as full as those that an append makes. */
static int put_timeline(struct expiring *x, uint64_t id, const struct ehi_buffer *kept)
{
    const struct ehi_db_entry *entries = (const void *)kept->data;
    size_t count = kept->length / sizeof(*entries);
    int rc = ECSHIST_OK;
    for (size_t i = 0, n; i < count && rc == ECSHIST_OK; i += n) {
        for (n = 1; n < EHI_DB_CHUNK && i + n < count; n++) {
            if (!ehi_db_same_row(entries[i].seq, entries[i + n].seq))
                break;
        }
        rc = ehi_db_put_timeline(x->txn, id, entries + i, (unsigned)n, x->error);
    }
    return rc;
}

static struct ehi_db_entry own_entry(const struct expiring *x)
{
    return (struct ehi_db_entry){x->seq, 0, (uint32_t)x->offset, EHI_HISTORY_EXPIRED, 0};
}

static int restate_timeline(struct expiring *x, uint64_t id)
{
    struct ehi_buffer kept = {0};
    struct ehi_db_entry own = own_entry(x);
    uint64_t entries, ignored;
    int rc = read_kept(x, id, &kept);
    if (rc == ECSHIST_OK && ehi_buffer_append(&kept, &own, sizeof(own)) != ECSHIST_OK)
        rc = ehi_fail_memory(x->error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_delete_timeline(x->txn, id, &entries, &ignored, x->error);
    if (rc == ECSHIST_OK)
        rc = put_timeline(x, id, &kept);
    ehi_buffer_free(&kept);
    return rc;
}

static int put_service(struct expiring *x, const struct stated *stated)
{
    struct ehi_buffer state = {0};
    int rc = ehi_service_encode(&stated->service, &state) == ECSHIST_OK ? ECSHIST_OK
                                                                        : ehi_fail_memory(x->error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_state(x->txn, EHI_ARN_SERVICE, stated->id, ehi_buffer_slice(&state),
                              x->error);
    ehi_buffer_free(&state);
    return rc;
}

static int enter_service(struct expiring *x, struct stated *stated, struct ehi_hash128 hash)
{
    stated->id = x->head->next_id++;
    x->head->service_count++;
    int rc = ehi_db_put_arn(x->txn, EHI_ARN_SERVICE, hash, stated->id, x->error);
    return rc == ECSHIST_OK ? service_names(x, stated, true) : rc;
}

static int restate_service(struct expiring *x, struct stated *stated, struct ehi_hash128 hash,
                           const struct ehi_expired_service *s)
{
    struct ehi_service *service = &stated->service;
    int rc = stated->id == 0 ? enter_service(x, stated, hash) : ECSHIST_OK;
    service->first_seq = x->seq;
    service->restated = true;
    service->inactive = s->inactive;
    service->current_revision_arn = s->current_revision_arn;
    service->current_finished_at_us = s->current_finished_at_us;
    service->current_created_seq = s->current_created_seq;
    service->stated_revision_arn = s->current_revision_arn;
    service->stated_finished_at_us = s->current_finished_at_us;
    service->stated_created_seq = s->current_created_seq;
    if (rc == ECSHIST_OK)
        rc = restate_timeline(x, stated->id);
    return rc == ECSHIST_OK ? put_service(x, stated) : rc;
}

/* The history-expired events in its timeline are not its own. */
static int remove_service(struct expiring *x, const struct stated *stated, struct ehi_hash128 hash)
{
    struct ehi_db_walk walk;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    bool found = true;
    int rc = ECSHIST_OK;
    if (stated->id == 0)
        return ECSHIST_OK;
    ehi_db_timeline(&walk, x->txn, stated->id);
    while (rc == ECSHIST_OK && found) {
        rc = ehi_db_timeline_next(&walk, entries, &count, &found, x->error);
        for (unsigned i = 0; rc == ECSHIST_OK && found && i < count; i++)
            x->head->event_count += entries[i].type == EHI_HISTORY_EXPIRED;
    }
    ehi_db_walk_end(&walk);
    x->head->service_count--;
    if (rc == ECSHIST_OK)
        rc = service_names(x, stated, false);
    return rc == ECSHIST_OK ? drop_subject(x, EHI_ARN_SERVICE, stated->id, hash) : rc;
}

static int expire_service(struct expiring *x, const struct ehi_expired_service *s)
{
    struct ehi_hash128 hash = ehi_hash128(s->arn.data, s->arn.length);
    struct stated stated;
    int rc = load_service(x, s->arn, hash, &stated);
    if (rc == ECSHIST_OK)
        rc = expire_lists(x, &stated, s);
    if (rc != ECSHIST_OK)
        return rc;
    return s->gone ? remove_service(x, &stated, hash) : restate_service(x, &stated, hash, s);
}

/* -- itself ------------------------------------------------------------------------------------ */

static int enter_itself(struct expiring *x)
{
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    unsigned count;
    int rc = ehi_db_timeline_last(x->txn, EHI_DB_EXPIRIES, entries, &count, x->error);
    if (rc != ECSHIST_OK)
        return rc;
    if (count == EHI_DB_CHUNK || (count != 0 && !ehi_db_same_row(entries[0].seq, x->seq)))
        count = 0;
    entries[count] = own_entry(x);
    x->head->event_count++;
    x->head->next_seq = x->seq + 1;
    x->head->last_expired_seq = x->seq;
    return ehi_db_put_timeline(x->txn, EHI_DB_EXPIRIES, entries, count + 1, x->error);
}

int ehi_expire(struct ehi_db_txn *txn, struct ehi_log *log, struct ehi_db_head *head,
               struct ehi_slice record, uint64_t offset, struct ecshist_error *error)
{
    struct expiring x = {.txn = txn, .log = log, .head = head, .offset = offset, .error = error};
    struct ehi_expiry expiry;
    x.seq = ehi_get_le64(record.data + EHI_REC_SEQ);
    int rc = ehi_expiry_decode(record, &x.arena, &expiry, error);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < expiry.count; i++) {
        x.cutoff_us = expiry.cutoff_us;
        rc = expire_service(&x, &expiry.services[i]);
    }
    if (rc == ECSHIST_OK)
        rc = enter_itself(&x);
    ehi_arena_free(&x.arena);
    return rc;
}

/* -- a step of a compaction -------------------------------------------------------------------- */

struct step {
    struct ehi_store *store;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    int64_t time_us;
    struct ehi_arena arena;
    struct ehi_buffer record;
};

static int write_record(struct step *step, struct ehi_position *position,
                        struct ecshist_error *error)
{
    struct ehi_store *store = step->store;
    ehi_record_stamp(step->record.data, step->head.next_seq, store->now_us(store->now_context), 0,
                     ehi_log_seed(store->log));
    return ehi_log_append(store->log, position, ehi_buffer_slice(&step->record), 1,
                          step->head.next_seq, NULL, error);
}

/* The event is durable; what fails from here on is made good when the log is folded. */
static int fold_record(struct step *step, const struct ehi_position *position,
                       struct ecshist_error *error)
{
    int rc = ehi_expire(step->txn, step->store->log, &step->head, ehi_buffer_slice(&step->record),
                        position->frame_offset + EHI_FRAME_HEADER_BYTES, error);
    ehi_head_set_position(&step->head, position);
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_head(step->txn, &step->head, error);
    if (rc == ECSHIST_OK) {
        rc = ehi_db_commit(step->txn, error);
        step->txn = NULL;
    }
    return rc;
}

static void count_step(const struct step *step, const struct ehi_expiry *expiry,
                       uint64_t events_before, struct ehi_expired_step *out)
{
    *out = (struct ehi_expired_step){.seq = step->head.next_seq - 1};
    out->events = events_before + 1 - step->head.event_count;
    for (uint32_t i = 0; i < expiry->count; i++) {
        out->deployments += expiry->services[i].deployment_count;
        out->revisions += expiry->services[i].revision_count;
        out->services += expiry->services[i].gone;
    }
}

static int run_step(struct step *step, ehi_expire_fn decide, void *context,
                    struct ehi_expired_step *out, struct ecshist_error *error)
{
    struct ehi_expiry expiry = {0};
    uint64_t events_before = step->head.event_count;
    *out = (struct ehi_expired_step){0};
    int rc = decide(context, step->txn, &step->head, &step->arena, &expiry, error);
    if (rc != ECSHIST_OK || expiry.count == 0)
        return rc;
    struct ehi_position position = ehi_head_position(&step->head);
    rc = ehi_expiry_encode(&expiry, step->time_us, &step->record, error);
    if (rc == ECSHIST_OK)
        rc = write_record(step, &position, error);
    /* Whether it is in the log nobody knows. Once it is, what fails is made good by who comes next. */
    if (rc == ECSHIST_OUTCOME_UNKNOWN)
        ehi_store_poison(step->store);
    if (rc == ECSHIST_OK)
        rc = fold_record(step, &position, error);
    if (rc == ECSHIST_OK)
        count_step(step, &expiry, events_before, out);
    return rc;
}

int ehi_store_expire(struct ehi_store *store, int64_t time_us, ehi_expire_fn decide, void *context,
                     struct ehi_expired_step *out, struct ecshist_error *error)
{
    struct step step = {.store = store, .time_us = time_us};
    struct ehi_db *db = NULL;
    int rc = ehi_store_check_poison(store, error);
    if (rc == ECSHIST_OK)
        rc = ehi_store_lock(store, error);
    if (rc != ECSHIST_OK)
        return rc;
    int64_t since_us = ehi_clock_steady_us();
    ehi_log_enter(store->log);
    rc = ehi_store_db(store, &db, error);
    if (rc == ECSHIST_OK)
        rc = ehi_begin_at_tail(store, db, &step.txn, &step.head, error);
    if (rc == ECSHIST_OK)
        rc = run_step(&step, decide, context, out, error);
    ehi_db_abort(step.txn);
    ehi_db_release(db);
    ehi_log_leave(store->log);
    ehi_store_unlock(store);
    out->held_us = ehi_clock_steady_us() - since_us;
    ehi_arena_free(&step.arena);
    ehi_buffer_free(&step.record);
    return rc;
}

int ehi_store_settle(struct ehi_store *store, struct ecshist_error *error)
{
    struct ehi_db *db = NULL;
    struct ehi_db_txn *txn = NULL;
    struct ehi_db_head head;
    int rc = ehi_store_check_poison(store, error);
    if (rc == ECSHIST_OK)
        rc = ehi_store_lock(store, error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_log_enter(store->log);
    rc = ehi_store_db(store, &db, error);
    if (rc == ECSHIST_OK)
        rc = ehi_begin_at_tail(store, db, &txn, &head, error);
    ehi_db_abort(txn);
    ehi_db_release(db);
    ehi_log_leave(store->log);
    ehi_store_unlock(store);
    return rc;
}

static int roll_locked(struct ehi_store *store, struct ehi_db *db, struct ecshist_error *error)
{
    struct ehi_db_txn *txn = NULL;
    struct ehi_db_head head;
    int rc = ehi_begin_at_tail(store, db, &txn, &head, error);
    if (rc == ECSHIST_OK) {
        struct ehi_position position = ehi_head_position(&head);
        rc = ehi_log_roll(store->log, &position, error);
        ehi_head_set_position(&head, &position);
    }
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_head(txn, &head, error);
    if (rc != ECSHIST_OK) {
        ehi_db_abort(txn);
        return rc;
    }
    return ehi_db_commit(txn, error);
}

int ehi_store_roll(struct ehi_store *store, int64_t *held_us, struct ecshist_error *error)
{
    struct ehi_db *db = NULL;
    int rc = ehi_store_lock(store, error);
    if (rc != ECSHIST_OK)
        return rc;
    int64_t since_us = ehi_clock_steady_us();
    ehi_log_enter(store->log);
    rc = ehi_store_db(store, &db, error);
    if (rc == ECSHIST_OK)
        rc = roll_locked(store, db, error);
    ehi_db_release(db);
    ehi_log_leave(store->log);
    ehi_store_unlock(store);
    *held_us = ehi_clock_steady_us() - since_us;
    return rc;
}
