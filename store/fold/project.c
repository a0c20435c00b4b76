#include "fold/project.h"

#include "base/hash.h"
#include "codec/brief.h"
#include "codec/record.h"
#include "codec/state.h"
#include "fold/reduce.h"
#include "model/names.h"

#include <ecshist/query.h>
#include <stddef.h>
#include <stdlib.h>

/* A timeline row of a subject that this batch touched; the newest first. */
struct ehi_batch_chunk {
    struct ehi_batch_chunk *older;
    unsigned count, capacity;
    struct ehi_db_entry *entries;
};

/* What a list shows of a deployment, as it stands in the index. Borrows as its state does. */
struct listed {
    struct ehi_db_listed row;
    int64_t started_at_us, finished_at_us;
    struct ehi_slice target, reason;
};

/* A deployment, revision or service that the batch touches. */
struct subject {
    struct ehi_hash128 hash;
    struct ehi_slice arn;
    enum ehi_arn_kind kind;
    size_t slot; /* of the batch's table */
    uint64_t id;
    bool is_new, dirty;
    bool chunks_dirty, has_older_rows;
    struct subject *service;
    const struct subject *older; /* the same as the batch before has it; NULL: that has it not */
    /* What is in memory: at first the last row of the index. NULL: no event of its own came yet. */
    struct ehi_batch_chunk *chunks;
    struct ehi_batch_chunk chunk;     /* the first of them */
    size_t state_start, state_length; /* of the encoded state in the batch's scratch */
    size_t brief_start, brief_length; /* of its row in a list; length 0: that stands as it is */
    struct listed *listed;            /* a deployment's that is in the index, else NULL */
    union {
        struct ehi_deployment deployment;
        struct ehi_revision revision;
        struct ehi_service service;
    } as; /* as much of it as its kind needs */
};

/* A place of the table of subjects: the hash is beside, most others are passed by without a look at them. */
struct slot {
    uint64_t hash;
    struct subject *subject; /* NULL: free */
};

/* What is put, by the keys of the table it goes to: then one row is near the other. */
struct item {
    uint64_t high, low;
    struct subject *subject;
};

enum { FIRST_SLOTS = 1024, ITEM_LISTS = 4, SIEVE_BLOCKS = 65536, SIEVE_WORDS = 8 };

/*
 * Of a batch that makes an index from scratch: which ARNs may be in it. A block of bits for each hash, four of them set;
 * none that was entered is missed, and few that were not are found.
 */
struct ehi_sieve {
    uint64_t blocks[SIEVE_BLOCKS][SIEVE_WORDS];
};

struct ehi_batch {
    struct ehi_arena arena;
    struct ehi_db_txn *txn;
    struct ehi_log *log;
    struct ehi_db_head head;
    uint64_t first_seq; /* of the batch's events */
    struct slot *slots;
    size_t slot_count; /* a power of two, at least twice as many as there are subjects */
    size_t subject_count;
    struct subject *
        *subjects; /* in the order they came in; room for half as many as there are slots */
    struct ehi_batch_record *records;
    uint32_t record_count, record_capacity;
    bool offsets_unknown; /* at least one of the records is new */
    bool keeps; /* what is read from the index is copied: the transaction ends before the batch */
    struct ehi_buffer scratch;
    struct item *items; /* lists of them, each with room for all subjects, and room to sort one */
    size_t item_capacity;
    struct ehi_sieve *sieve;       /* NULL: the index may have any ARN */
    const struct ehi_batch *older; /* the one before, which is not in the index yet; or NULL */
};

struct ehi_sieve *ehi_sieve_new(void)
{
    return calloc(1, sizeof(struct ehi_sieve));
}

struct ehi_batch *ehi_batch_new(void)
{
    struct ehi_batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL)
        return NULL;
    batch->slot_count = FIRST_SLOTS;
    batch->slots = calloc(batch->slot_count, sizeof(*batch->slots));
    batch->subjects = calloc(batch->slot_count / 2, sizeof(struct subject *));
    if (batch->slots == NULL || batch->subjects == NULL) {
        ehi_batch_free(batch);
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
    free(batch->slots);
    free(batch->subjects);
    free(batch->records);
    free(batch->items);
    free(batch);
}

/* Few subjects in a large table are taken out one by one. */
static void clear_slots(struct ehi_batch *batch)
{
    if (batch->subject_count >= batch->slot_count / 8) {
        memset(batch->slots, 0, batch->slot_count * sizeof(*batch->slots));
        return;
    }
    for (size_t i = 0; i < batch->subject_count; i++)
        batch->slots[batch->subjects[i]->slot] = (struct slot){0, NULL};
}

void ehi_batch_begin(struct ehi_batch *batch, struct ehi_db_txn *txn, struct ehi_log *log,
                     const struct ehi_db_head *head)
{
    if (batch->subject_count != 0)
        clear_slots(batch);
    ehi_arena_reset(&batch->arena);
    batch->subject_count = 0;
    batch->record_count = 0;
    batch->offsets_unknown = false;
    batch->keeps = false;
    batch->txn = txn;
    batch->log = log;
    batch->head = *head;
    batch->first_seq = head->next_seq;
    batch->older = NULL;
}

void ehi_batch_continue(struct ehi_batch *batch, struct ehi_db_txn *txn, bool keeps)
{
    batch->txn = txn;
    batch->keeps = keeps;
}

struct ehi_arena *ehi_batch_arena(struct ehi_batch *batch)
{
    return &batch->arena;
}

void ehi_batch_from_scratch(struct ehi_batch *batch, struct ehi_sieve *sieve)
{
    batch->sieve = sieve;
}

/* What was not known when the entries were made. */
static void set_offsets(struct ehi_batch *batch)
{
    if (!batch->offsets_unknown)
        return;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct ehi_batch_record *r = &batch->records[i];
        r->chunk->entries[r->place].offset = (uint32_t)r->offset;
    }
    batch->offsets_unknown = false;
}

void ehi_batch_follow(struct ehi_batch *batch, struct ehi_batch *older)
{
    set_offsets(older);
    batch->older = older;
}

void ehi_batch_keep_memory(struct ehi_batch *batch)
{
    batch->arena.keep_bytes = SIZE_MAX;
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

size_t ehi_batch_bytes(const struct ehi_batch *batch)
{
    return batch->arena.bytes;
}

/* -- subjects ---------------------------------------------------------------------------------- */

/* The slot of a hash, or the free one where it would stand. */
static size_t place_of(const struct slot *slots, size_t count, uint64_t hash, size_t at)
{
    while (slots[at].subject != NULL && slots[at].hash != hash)
        at = (at + 1) & (count - 1);
    return at;
}

static void set_slot(struct slot *slots, size_t count, struct subject *s)
{
    size_t at = s->hash.low & (count - 1);
    while (slots[at].subject != NULL)
        at = (at + 1) & (count - 1);
    slots[at] = (struct slot){s->hash.low, s};
    s->slot = at;
}

static int grow_slots(struct ehi_batch *batch, struct ecshist_error *error)
{
    size_t count = batch->slot_count * 2;
    struct subject **subjects = realloc(batch->subjects, count / 2 * sizeof(struct subject *));
    if (subjects == NULL)
        return ehi_fail_memory(error);
    batch->subjects = subjects;
    struct slot *slots = calloc(count, sizeof(*slots));
    if (slots == NULL)
        return ehi_fail_memory(error);
    for (size_t i = 0; i < batch->subject_count; i++)
        set_slot(slots, count, subjects[i]);
    free(batch->slots);
    batch->slots = slots;
    batch->slot_count = count;
    return ECSHIST_OK;
}

static int enter_subject(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    if (batch->subject_count >= batch->slot_count / 2) {
        int rc = grow_slots(batch, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    set_slot(batch->slots, batch->slot_count, s);
    batch->subjects[batch->subject_count++] = s;
    return ECSHIST_OK;
}

static struct subject *known_subject(const struct ehi_batch *batch, struct ehi_hash128 hash,
                                     struct ehi_slice arn)
{
    const struct slot *slots = batch->slots;
    size_t count = batch->slot_count;
    size_t at = place_of(slots, count, hash.low, hash.low & (count - 1));
    while (slots[at].subject != NULL && !(ehi_hash128_equal(slots[at].subject->hash, hash) &&
                                          ehi_slice_equal(slots[at].subject->arn, arn)))
        at = place_of(slots, count, hash.low, (at + 1) & (count - 1));
    return slots[at].subject;
}

/* -- what an index made from scratch has ------------------------------------------------------- */

static uint64_t *sieve_block(const struct ehi_batch *batch, struct ehi_hash128 hash)
{
    return batch->sieve->blocks[hash.low % SIEVE_BLOCKS];
}

/* Four of a block's 512 bits, nine bits of the hash each. */
static bool in_sieve(const struct ehi_batch *batch, enum ehi_arn_kind kind, struct ehi_hash128 hash)
{
    /* A history-expired can enter a service, too. */
    if (batch->sieve == NULL || kind == EHI_ARN_SERVICE)
        return true;
    const uint64_t *block = sieve_block(batch, hash);
    bool all = true;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t bit = hash.high >> (9 * i) & 511;
        all = all && (block[bit / 64] >> bit % 64 & 1) != 0;
    }
    return all;
}

static void put_in_sieve(const struct ehi_batch *batch, struct ehi_hash128 hash)
{
    if (batch->sieve == NULL)
        return;
    uint64_t *block = sieve_block(batch, hash);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t bit = hash.high >> (9 * i) & 511;
        block[bit / 64] |= UINT64_C(1) << bit % 64;
    }
}

static bool subject_exists(const struct subject *s)
{
    return s->id != 0;
}

/* -- loading ----------------------------------------------------------------------------------- */

static struct listed listed_of(const struct subject *s)
{
    const struct ehi_deployment *d = &s->as.deployment;
    return (struct listed){.row = {.created_at_us = d->created_at_us,
                                   .created_seq = d->created_seq,
                                   .deployment_id = s->id,
                                   .status = d->status},
                           .started_at_us = d->started_at_us,
                           .finished_at_us = d->finished_at_us,
                           .target = d->target.arn,
                           .reason = d->status_reason};
}

static int note_listed(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    s->listed = ehi_arena_alloc(&batch->arena, sizeof(*s->listed));
    if (s->listed == NULL)
        return ehi_fail_memory(error);
    *s->listed = listed_of(s);
    return ECSHIST_OK;
}

static int decode_state(struct ehi_batch *batch, struct subject *s, struct ehi_slice state,
                        struct ecshist_error *error)
{
    struct ehi_slice arn;
    int rc;
    if (s->kind == EHI_ARN_SERVICE) {
        rc = ehi_service_decode(state, &s->as.service, error);
        arn = s->as.service.arn;
    } else if (s->kind == EHI_ARN_REVISION) {
        rc = ehi_revision_decode(state, &batch->arena, &s->as.revision, error);
        arn = s->as.revision.arn;
    } else {
        rc = ehi_deployment_decode(state, &batch->arena, &s->as.deployment, error);
        if (rc == ECSHIST_OK)
            rc = note_listed(batch, s, error);
        arn = s->as.deployment.arn;
    }
    if (rc == ECSHIST_OK && !ehi_slice_equal(arn, s->arn))
        return ehi_fail(error, ECSHIST_INDEX, "two ARNs have the same hash: %.*s and %.*s",
                        EHI_FMT(s->arn), EHI_FMT(arn));
    return rc;
}

/* A state of the index, for as long as the batch is used. */
static int get_state(struct ehi_batch *batch, enum ehi_arn_kind kind, uint64_t id,
                     struct ehi_slice *state, bool *found, struct ecshist_error *error)
{
    int rc = ehi_db_get_state(batch->txn, kind, id, state, found, error);
    if (rc != ECSHIST_OK || !*found || !batch->keeps)
        return rc;
    *state = ehi_arena_copy(&batch->arena, *state);
    return state->data == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

static int encode_state(const struct subject *s, struct ehi_buffer *out)
{
    if (s->kind == EHI_ARN_DEPLOYMENT)
        return ehi_deployment_encode(&s->as.deployment, out);
    if (s->kind == EHI_ARN_REVISION)
        return ehi_revision_encode(&s->as.revision, out);
    return ehi_service_encode(&s->as.service, out);
}

static int load_state(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    struct ehi_slice state;
    bool found;
    int rc = get_state(batch, s->kind, s->id, &state, &found, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (!found)
        return ehi_fail(error, ECSHIST_INDEX, "the index has no state of %.*s: rebuild the index",
                        EHI_FMT(s->arn));
    return decode_state(batch, s, state, error);
}

/* A subject's state as it would be put, of the batch before: in this one's memory. */
static int copy_state(struct ehi_batch *batch, const struct subject *older, struct ehi_slice *out,
                      struct ecshist_error *error)
{
    batch->scratch.length = 0;
    if (encode_state(older, &batch->scratch) != ECSHIST_OK)
        return ehi_fail_memory(error);
    *out = ehi_arena_copy(&batch->arena, ehi_buffer_slice(&batch->scratch));
    return out->data == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

/* As the batch before has it: by way of the row that it will be, as from the index. */
static int load_older(struct ehi_batch *batch, struct subject *s, const struct subject *older,
                      struct ecshist_error *error)
{
    struct ehi_slice state;
    s->older = older;
    s->id = older->id;
    int rc = copy_state(batch, older, &state, error);
    return rc == ECSHIST_OK ? decode_state(batch, s, state, error) : rc;
}

/* The last row there is of a subject, in the batch before or in the index. */
static int last_row(struct ehi_batch *batch, const struct subject *s,
                    struct ehi_db_entry entries[EHI_DB_CHUNK], unsigned *count,
                    struct ecshist_error *error)
{
    const struct ehi_batch_chunk *last = s->older == NULL ? NULL : s->older->chunks;
    if (last == NULL || last->count == 0)
        return ehi_db_timeline_last(batch->txn, s->id, entries, count, error);
    *count = last->count;
    memcpy(entries, last->entries, last->count * sizeof(*entries));
    return ECSHIST_OK;
}

/* The last row, into the subject's first chunk. */
static int load_last_row(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    struct ehi_batch_chunk *c = &s->chunk;
    unsigned count;
    int rc = last_row(batch, s, entries, &count, error);
    if (rc != ECSHIST_OK || count == 0)
        return rc;
    c->capacity = count + 1 < EHI_DB_CHUNK ? count + 1 : EHI_DB_CHUNK;
    c->entries = ehi_arena_alloc(&batch->arena, c->capacity * sizeof(*c->entries));
    if (c->entries == NULL)
        return ehi_fail_memory(error);
    c->count = count;
    memcpy(c->entries, entries, count * sizeof(*c->entries));
    uint64_t first =
        s->kind == EHI_ARN_DEPLOYMENT ? s->as.deployment.created_seq : s->as.revision.first_seq;
    s->has_older_rows = s->kind == EHI_ARN_SERVICE || c->entries[0].seq != first;
    return ECSHIST_OK;
}

/*
 * Wanted for an event of the subject itself, not of a service for what happens to its deployments. A service is in the
 * index from the first event of anything of it: it may have no row of its own.
 */
static int load_timeline(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    int rc = s->is_new ? ECSHIST_OK : load_last_row(batch, s, error);
    if (rc == ECSHIST_OK)
        s->chunks = &s->chunk;
    return rc;
}

static struct subject *new_subject(struct ehi_batch *batch, enum ehi_arn_kind kind)
{
    size_t size = offsetof(struct subject, as);
    size += kind == EHI_ARN_DEPLOYMENT ? sizeof(struct ehi_deployment)
            : kind == EHI_ARN_REVISION ? sizeof(struct ehi_revision)
                                       : sizeof(struct ehi_service);
    struct subject *s = ehi_arena_array(&batch->arena, 1, size);
    if (s != NULL)
        s->kind = kind;
    return s;
}

/* What there is of it already: as the batch before has it, or the index. */
static int load_subject(struct ehi_batch *batch, struct subject *s, struct ecshist_error *error)
{
    bool found = false;
    if (!in_sieve(batch, s->kind, s->hash)) {
        put_in_sieve(batch, s->hash);
        s->is_new = true;
        return ECSHIST_OK;
    }
    const struct subject *older =
        batch->older == NULL ? NULL : known_subject(batch->older, s->hash, s->arn);
    if (older != NULL && subject_exists(older))
        return load_older(batch, s, older, error);
    int rc = ehi_db_find(batch->txn, s->arn, s->hash, &s->id, &found, error);
    if (rc != ECSHIST_OK)
        return rc;
    s->is_new = !found;
    return found ? load_state(batch, s, error) : ECSHIST_OK;
}

/* The subject of an ARN, loaded where it is there. The arn must outlive the batch. */
static int find_subject(struct ehi_batch *batch, struct ehi_slice arn, enum ehi_arn_kind kind,
                        struct subject **out, struct ecshist_error *error)
{
    struct ehi_hash128 hash = ehi_hash128(arn.data, arn.length);
    *out = known_subject(batch, hash, arn);
    if (*out != NULL)
        return ECSHIST_OK;
    struct subject *s = new_subject(batch, kind);
    if (s == NULL)
        return ehi_fail_memory(error);
    s->hash = hash;
    s->arn = arn;
    int rc = load_subject(batch, s, error);
    if (rc == ECSHIST_OK)
        rc = enter_subject(batch, s, error);
    if (rc == ECSHIST_OK)
        *out = s;
    return rc;
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
                          struct ehi_slice id, uint32_t id_hash, const struct ehi_db_entry *entries,
                          unsigned count, struct earlier *out, struct ecshist_error *error)
{
    for (unsigned i = 0; i < count && !out->found; i++) {
        /* Whatever is in a service's timeline of the events that took something from it has no id. */
        if (entries[i].id_hash != id_hash || entries[i].type == EHI_HISTORY_EXPIRED)
            continue;
        int rc = compare_earlier(batch, event, id, &entries[i], out, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int search_chunks(struct ehi_batch *batch, const struct ehi_batch_chunk *chunks,
                         const struct ehi_event *event, struct ehi_slice id, uint32_t id_hash,
                         struct earlier *out, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (const struct ehi_batch_chunk *c = chunks; c != NULL && rc == ECSHIST_OK && !out->found;
         c = c->older)
        rc = search_entries(batch, event, id, id_hash, c->entries, c->count, out, error);
    return rc;
}

static int search_older_rows(struct ehi_batch *batch, const struct subject *s,
                             const struct ehi_event *event, struct ehi_slice id, uint32_t id_hash,
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
                          const struct ehi_event *event, struct ehi_slice id, uint32_t id_hash,
                          struct earlier *out, struct ecshist_error *error)
{
    int rc = search_chunks(batch, s->chunks, event, id, id_hash, out, error);
    /* The last row there, as it was, is the first here. */
    const struct ehi_batch_chunk *last = s->older == NULL ? NULL : s->older->chunks;
    if (rc == ECSHIST_OK && !out->found && last != NULL)
        rc = search_chunks(batch, last->older, event, id, id_hash, out, error);
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
    struct ehi_slice state;
    bool found;
    int rc = get_state(batch, EHI_ARN_DEPLOYMENT, deployment_id, &state, &found, error);
    if (rc != ECSHIST_OK || !found)
        return rc;
    struct ehi_deployment d;
    rc = ehi_deployment_decode(state, &batch->arena, &d, error);
    if (rc != ECSHIST_OK)
        return rc;
    /* Where the batch, or the one before, has it in a newer state, that was offered. */
    struct ehi_hash128 hash = ehi_hash128(d.arn.data, d.arn.length);
    if (known_subject(batch, hash, d.arn) == NULL &&
        (batch->older == NULL || known_subject(batch->older, hash, d.arn) == NULL))
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

/* Those that the batch before has and this one has not. What is offered of them lives on with this one. */
static int offer_older(struct recomputing *r, struct ecshist_error *error)
{
    struct ehi_batch *batch = r->batch;
    for (size_t i = 0; batch->older != NULL && i < batch->older->subject_count; i++) {
        const struct subject *s = batch->older->subjects[i];
        if (s->kind != EHI_ARN_DEPLOYMENT || s->service != r->service->older ||
            !subject_exists(s) || known_subject(batch, s->hash, s->arn) != NULL)
            continue;
        struct ehi_slice state;
        struct ehi_deployment d;
        int rc = copy_state(batch, s, &state, error);
        if (rc == ECSHIST_OK)
            rc = ehi_deployment_decode(state, &batch->arena, &d, error);
        if (rc != ECSHIST_OK)
            return rc;
        offer_again(r, &d);
    }
    return ECSHIST_OK;
}

/* An observation took back what made a revision the current one. */
static int recompute_current(struct ehi_batch *batch, struct subject *service,
                             struct ecshist_error *error)
{
    struct recomputing r = {batch, service, false};
    struct ehi_service *state = &service->as.service;
    state->current_revision_arn = EHI_SLICE_EMPTY;
    for (size_t i = 0; i < batch->subject_count; i++) {
        const struct subject *s = batch->subjects[i];
        if (s->kind == EHI_ARN_DEPLOYMENT && s->service == service && subject_exists(s))
            offer_again(&r, &s->as.deployment);
    }
    int rc = service->older == NULL ? ECSHIST_OK : offer_older(&r, error);
    if (rc == ECSHIST_OK && !service->is_new)
        rc = offer_all_indexed(&r, error);
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

/* What a deployment was. */
struct before {
    uint8_t status;
    uint64_t created_seq;
};

/* The deployment has changed from `before`: what its service shows of it. */
static int update_service(struct ehi_batch *batch, struct subject *s, const struct ehi_event *event,
                          const struct before *before, struct ecshist_error *error)
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
    struct before before = {s->as.deployment.status, s->as.deployment.created_seq};
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
        for (const struct ehi_batch_chunk *c = s->chunks; c != NULL; c = c->older) {
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

static int grow_chunk(struct ehi_batch *batch, struct ehi_batch_chunk *c,
                      struct ecshist_error *error)
{
    enum { FIRST_ENTRIES = 4 };
    unsigned capacity = c->capacity == 0 ? FIRST_ENTRIES : c->capacity * 2;
    capacity = capacity < EHI_DB_CHUNK ? capacity : EHI_DB_CHUNK;
    struct ehi_db_entry *entries = ehi_arena_alloc(&batch->arena, capacity * sizeof(*entries));
    if (entries == NULL)
        return ehi_fail_memory(error);
    if (c->count != 0)
        memcpy(entries, c->entries, c->count * sizeof(*entries));
    c->entries = entries;
    c->capacity = capacity;
    return ECSHIST_OK;
}

static bool has_room(const struct ehi_batch_chunk *c, uint64_t seq)
{
    return c->count == 0 || (c->count < EHI_DB_CHUNK && ehi_db_same_row(c->entries[0].seq, seq));
}

static int add_entry(struct ehi_batch *batch, struct subject *s, const struct ehi_db_entry *entry,
                     struct ecshist_error *error)
{
    struct ehi_batch_chunk *c = s->chunks;
    if (!has_room(c, entry->seq)) {
        c = ehi_arena_array(&batch->arena, 1, sizeof(*c));
        if (c == NULL)
            return ehi_fail_memory(error);
        c->older = s->chunks;
    }
    int rc = c->count == c->capacity ? grow_chunk(batch, c, error) : ECSHIST_OK;
    if (rc != ECSHIST_OK)
        return rc;
    c->entries[c->count++] = *entry;
    s->chunks = c;
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
                  struct ehi_slice record, uint32_t id_hash, uint64_t offset, unsigned flags,
                  struct ecshist_error *error)
{
    struct ehi_db_entry entry = {event->seq, id_hash, (uint32_t)offset, (uint16_t)event->type,
                                 (uint16_t)flags};
    struct ehi_batch_record *r = &batch->records[batch->record_count];
    int rc = add_entry(batch, s, &entry, error);
    if (rc != ECSHIST_OK)
        return rc;
    r->chunk = s->chunks;
    r->place = s->chunks->count - 1;
    r->record = record;
    r->seq = event->seq;
    r->flags = flags;
    r->offset = offset;
    batch->record_count++;
    count_event(&batch->head, flags);
    return ECSHIST_OK;
}

static int prepare(struct ehi_batch *batch, const struct ehi_event *event, struct subject **s,
                   struct ecshist_error *error)
{
    int rc = reserve_record(batch, error);
    if (rc == ECSHIST_OK)
        rc = find_subject(batch, event->subject, event->arn.kind, s, error);
    if (rc == ECSHIST_OK && (*s)->chunks == NULL)
        rc = load_timeline(batch, *s, error);
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
    uint32_t id_hash = ehi_db_id_hash(id);
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
    batch->offsets_unknown = true;
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
    return accept(batch, s, event, record, ehi_db_id_hash(ehi_event_id(event, text)), offset,
                  event->flags, error);
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
    return accept(batch, s, &event, record, ehi_db_id_hash(ehi_event_id(&event, text)), offset,
                  event.flags, error);
}

/* -- putting ----------------------------------------------------------------------------------- */

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

static int put_listed(struct ehi_batch *batch, const struct subject *s, struct ecshist_error *error)
{
    struct ehi_db_listed row = listed_of(s).row;
    row.brief = ehi_slice(batch->scratch.data + s->brief_start, s->brief_length);
    bool moved = s->listed != NULL && s->listed->row.created_at_us != row.created_at_us;
    int rc = ECSHIST_OK;
    if (moved)
        rc = ehi_db_delete_listed(batch->txn, s->service->id, &s->listed->row, error);
    return rc == ECSHIST_OK ? ehi_db_put_listed(batch->txn, s->service->id, &row, error) : rc;
}

static int put_chunks(struct ehi_batch *batch, const struct subject *s, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (const struct ehi_batch_chunk *c = s->chunks; c != NULL && rc == ECSHIST_OK; c = c->older) {
        if (c->count != 0)
            rc = ehi_db_put_timeline(batch->txn, s->id, c->entries, c->count, error);
    }
    return rc;
}

static bool is_behind(const struct item *a, const struct item *b)
{
    return a->high != b->high ? a->high > b->high : a->low > b->low;
}

/* Two sorted parts, one behind the other, into one. */
static void merge(const struct item *a, const struct item *b, const struct item *end,
                  struct item *out)
{
    const struct item *middle = b;
    while (a < middle && b < end)
        *out++ = is_behind(a, b) ? *b++ : *a++;
    while (a < middle)
        *out++ = *a++;
    while (b < end)
        *out++ = *b++;
}

/* `room` has as many. What was in order is seen at once. */
static void sort_items(struct item *items, size_t count, struct item *room)
{
    struct item *from = items, *to = room;
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = !is_behind(&from[i - 1], &from[i]);
    for (size_t width = 1; width < count && !sorted; width *= 2) {
        for (size_t i = 0; i < count; i += 2 * width) {
            size_t middle = i + width < count ? i + width : count;
            size_t end = middle + width < count ? middle + width : count;
            merge(from + i, from + middle, from + end, to + i);
        }
        struct item *other = from;
        from = to;
        to = other;
    }
    if (from != items)
        memcpy(items, from, count * sizeof(*from));
}

/* Subjects lie all over the memory: those that are next are asked for ahead of time. */
static void prefetch(const struct subject *s)
{
    const uint8_t *line = (const uint8_t *)s;
    for (size_t i = 0; i < offsetof(struct subject, as); i += 64)
        __builtin_prefetch(line + i);
}

enum { AHEAD = 6 };

static const struct subject *item_at(const struct item *items, size_t count, size_t i)
{
    if (i + AHEAD < count)
        prefetch(items[i + AHEAD].subject);
    return items[i].subject;
}

static int reserve_items(struct ehi_batch *batch, struct ecshist_error *error)
{
    if (batch->item_capacity >= batch->subject_count)
        return ECSHIST_OK;
    size_t capacity = batch->slot_count / 2;
    struct item *items = realloc(batch->items, ITEM_LISTS * capacity * sizeof(*items));
    if (items == NULL)
        return ehi_fail_memory(error);
    batch->items = items;
    batch->item_capacity = capacity;
    return ECSHIST_OK;
}

/* What is to be put, by table. */
struct to_put {
    struct item *states, *arns, *lists, *room;
    size_t state_count, arn_count, list_count;
};

static struct to_put nothing_to_put(const struct ehi_batch *batch)
{
    size_t n = batch->item_capacity;
    if (n == 0)
        return (struct to_put){0};
    return (struct to_put){.states = batch->items,
                           .arns = batch->items + n,
                           .lists = batch->items + 2 * n,
                           .room = batch->items + 3 * n};
}

static bool same_text(struct ehi_slice a, struct ehi_slice b)
{
    return (a.data == NULL) == (b.data == NULL) && ehi_slice_equal(a, b);
}

static bool same_listed(const struct listed *a, const struct listed *b)
{
    return a->row.created_at_us == b->row.created_at_us && a->row.status == b->row.status &&
           a->started_at_us == b->started_at_us && a->finished_at_us == b->finished_at_us &&
           same_text(a->target, b->target) && same_text(a->reason, b->reason);
}

/* Its row in the service's list is put where what it shows has changed. */
static int gather_listed(struct ehi_batch *batch, struct subject *s, struct to_put *put)
{
    struct listed listed = listed_of(s);
    if (s->listed != NULL && same_listed(s->listed, &listed))
        return ECSHIST_OK;
    struct ehi_brief_owner owner = ehi_brief_owner(s->service->arn);
    s->brief_start = batch->scratch.length;
    int rc = ehi_brief_encode(&s->as.deployment, &owner, &batch->scratch);
    s->brief_length = batch->scratch.length - s->brief_start;
    put->lists[put->list_count++] =
        (struct item){s->service->id, ~(uint64_t)s->as.deployment.created_at_us, s};
    return rc;
}

/* All states are encoded before the first put: they may borrow from pages that a put is free to
 * move. */
static int gather(struct ehi_batch *batch, struct subject *s, struct to_put *put)
{
    if (s->dirty || s->chunks_dirty)
        put->states[put->state_count++] = (struct item){s->id, 0, s};
    if (!s->dirty)
        return ECSHIST_OK;
    if (s->is_new)
        put->arns[put->arn_count++] = (struct item){s->hash.high, s->hash.low, s};
    s->state_start = batch->scratch.length;
    int rc = encode_state(s, &batch->scratch);
    s->state_length = batch->scratch.length - s->state_start;
    return rc == ECSHIST_OK && s->kind == EHI_ARN_DEPLOYMENT ? gather_listed(batch, s, put) : rc;
}

static int gather_all(struct ehi_batch *batch, struct to_put *put, struct ecshist_error *error)
{
    int rc = reserve_items(batch, error);
    if (rc != ECSHIST_OK)
        return rc;
    *put = nothing_to_put(batch);
    batch->scratch.length = 0;
    for (size_t i = 0; i < batch->subject_count; i++) {
        if (i + AHEAD < batch->subject_count)
            prefetch(batch->subjects[i + AHEAD]);
        if (gather(batch, batch->subjects[i], put) != ECSHIST_OK)
            return ehi_fail_memory(error);
    }
    sort_items(put->states, put->state_count, put->room);
    sort_items(put->arns, put->arn_count, put->room);
    sort_items(put->lists, put->list_count, put->room);
    return ECSHIST_OK;
}

/* By id: states, and what is rare. */
static int put_states(struct ehi_batch *batch, const struct to_put *put,
                      struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < put->state_count && rc == ECSHIST_OK; i++) {
        const struct subject *s = item_at(put->states, put->state_count, i);
        if (s->dirty)
            rc = ehi_db_put_state(batch->txn, s->kind, s->id,
                                  ehi_slice(batch->scratch.data + s->state_start, s->state_length),
                                  error);
        if (rc == ECSHIST_OK && s->is_new && s->dirty && s->kind == EHI_ARN_SERVICE)
            rc = put_service_names(batch, s, error);
        if (rc == ECSHIST_OK && s->chunks_dirty)
            rc = put_chunks(batch, s, error);
    }
    return rc;
}

static int put_arns(struct ehi_batch *batch, const struct to_put *put, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < put->arn_count && rc == ECSHIST_OK; i++) {
        const struct subject *s = item_at(put->arns, put->arn_count, i);
        rc = ehi_db_put_arn(batch->txn, s->kind, s->hash, s->id, error);
    }
    return rc;
}

static int put_lists(struct ehi_batch *batch, const struct to_put *put, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < put->list_count && rc == ECSHIST_OK; i++)
        rc = put_listed(batch, item_at(put->lists, put->list_count, i), error);
    return rc;
}

int ehi_batch_put(struct ehi_batch *batch, struct ecshist_error *error)
{
    struct to_put put;
    set_offsets(batch);
    int rc = gather_all(batch, &put, error);
    if (rc == ECSHIST_OK)
        rc = put_states(batch, &put, error);
    if (rc == ECSHIST_OK)
        rc = put_arns(batch, &put, error);
    if (rc == ECSHIST_OK)
        rc = put_lists(batch, &put, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_put_head(batch->txn, &batch->head, error);
    return rc;
}
