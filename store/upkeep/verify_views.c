/*
 * The logical pass. The log's events, sorted by subject, are folded subject by subject, by the naive
 * rules; the child sends what the index has of each subject in the same order, that of the hashes
 * of ARNs. So the two are compared as one merges sorted lists, and what only one of them has is
 * seen at once.
 *
 * The index's snapshot has applied the events before v->limit. States are compared as of there; the
 * rules are checked to the log's end.
 */
#include "upkeep/verify_internal.h"

#include "codec/record.h"
#include "codec/state.h"
#include "log/sys.h"
#include "upkeep/naive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events after which a deployment's state is copied, to let go of the events it borrows from. */
enum { EVENTS_AT_ONCE = 1000 };

#ifdef ECSHIST_TEST_HOOKS
size_t verify_test_events_at_once = EVENTS_AT_ONCE;
#define AT_ONCE verify_test_events_at_once
#else
#define AT_ONCE EVENTS_AT_ONCE
#endif

struct seen_id {
    struct ehi_hash128 hash;
    uint64_t seq;
    size_t place;
};

/* The subject being folded. */
struct subject {
    struct verify *v;
    const struct verify_place *places; /* its events, by seq */
    size_t count, next;                /* next: of the places, the first not folded yet */
    size_t held;                       /* events that the state may borrow from */
    struct ehi_arn arn;
    char arn_text[EHI_ARN_BUFFER], service_text[EHI_ARN_BUFFER];
    struct ehi_slice service_arn;
    uint64_t expired_before; /* by the whole log */
    bool flux;               /* expired by what the index's snapshot has not seen */
    union {
        struct ehi_deployment deployment;
        struct ehi_revision revision;
    } as;
    bool exists;
    struct ehi_arena *arena, *other;
    /* Kept from subject to subject. */
    struct ehi_db_entry *entries; /* the timeline as it should be */
    size_t entry_count, entry_capacity, compared;
    struct seen_id *ids;
    size_t id_count, id_capacity;
    bool timeline_differs;
};

static struct verify_at at_place(const struct verify *v, const struct verify_place *place)
{
    return (struct verify_at){v->segments[place->segment].first_seq, place->offset, place->seq};
}

static int changed_meanwhile(struct verify *v, const struct verify_place *place)
{
    return ehi_fail(v->error, ECSHIST_IO, "%020" PRIu64 ".seg changed while it was read",
                    v->segments[place->segment].first_seq);
}

int verify_read_record(struct verify *v, const struct verify_place *place, struct ehi_arena *arena,
                       struct ehi_slice *out)
{
    size_t got;
    uint8_t *bytes = ehi_arena_alloc(arena, place->bytes);
    if (bytes == NULL)
        return ehi_fail_memory(v->error);
    int fd = verify_segment_fd(v, place->segment);
    if (fd < 0)
        return ECSHIST_IO;
    int failed = ehi_sys_pread_all(fd, bytes, place->bytes, place->offset, &got) != 0 ? errno : 0;
    if (failed == 0 && got < place->bytes)
        return changed_meanwhile(v, place);
    *out = ehi_slice(bytes, place->bytes);
    if (failed == 0 && v->segments[place->segment].compressed) {
        struct verify_made made;
        failed = verify_make_record(fd, place->offset, *out, arena, &made);
        if (failed == 0 && made.fault != NULL)
            return changed_meanwhile(v, place);
        *out = made.record;
    }
    if (failed == ENOMEM)
        return ehi_fail_memory(v->error);
    errno = failed;
    if (failed != 0)
        return ehi_fail_errno(v->error, ECSHIST_IO, "cannot read %020" PRIu64 ".seg",
                              v->segments[place->segment].first_seq);
    if (ehi_get_le32(out->data + EHI_REC_BYTES) != out->length ||
        ehi_get_le64(out->data + EHI_REC_SEQ) != place->seq)
        return changed_meanwhile(v, place);
    return ECSHIST_OK;
}

/* -- one event --------------------------------------------------------------------------------- */

static int misfit(const struct subject *s, const struct verify_place *place, const char *why)
{
    return verify_finding(s->v, BROKEN_L9, at_place(s->v, place),
                          "the event does not apply to its subject: %s (%s)", why, s->arn_text);
}

static int add_entry(struct subject *s, const struct ehi_event *event,
                     const struct verify_place *place, struct ehi_slice id)
{
    struct ehi_db_entry *entries =
        verify_grow(s->entries, s->entry_count, &s->entry_capacity, sizeof(*entries));
    if (entries == NULL)
        return ehi_fail_memory(s->v->error);
    s->entries = entries;
    entries[s->entry_count++] =
        (struct ehi_db_entry){event->seq, ehi_db_id_hash(id), (uint32_t)place->offset,
                              (uint16_t)event->type, (uint16_t)event->flags};
    return ECSHIST_OK;
}

static int add_id(struct subject *s, const struct verify_place *place, struct ehi_slice id)
{
    struct seen_id *ids = verify_grow(s->ids, s->id_count, &s->id_capacity, sizeof(*ids));
    if (ids == NULL)
        return ehi_fail_memory(s->v->error);
    s->ids = ids;
    ids[s->id_count++] =
        (struct seen_id){ehi_hash128(id.data, id.length), place->seq, (size_t)(place - s->places)};
    return ECSHIST_OK;
}

static void count_event(struct verify *v, const struct ehi_event *event)
{
    if (event->seq >= v->limit)
        return;
    v->event_count++;
    v->ignored_count += event->flags & EHI_EVENT_IGNORED;
}

static int note_step(struct subject *s, enum verify_step_kind kind,
                     const struct verify_place *place)
{
    struct verify_at at = at_place(s->v, place);
    struct verify_step step = {kind, place->seq, at.segment, at.offset};
    return verify_service_step(s->v, s->service_arn, &step);
}

static int apply_deployment(struct subject *s, const struct ehi_event *event,
                            const struct verify_place *place)
{
    const char *why = "";
    enum ehi_naive result;
    bool is_new = s->as.deployment.created_seq == 0;
    int rc = ehi_naive_deployment(&s->as.deployment, event, s->arena, &result, &why, s->v->error);
    if (rc != ECSHIST_OK)
        return rc;
    if (result == EHI_NAIVE_REFUSED)
        return misfit(s, place, why);
    if (result == EHI_NAIVE_NOTHING_NEW)
        return misfit(s, place, "it observes just what is there");
    s->exists = true;
    if (!is_new)
        return ECSHIST_OK;
    bool of_the_past =
        event->type == EHI_DEPLOYMENT_OBSERVED && naive_ended(s->as.deployment.status);
    return note_step(s, of_the_past ? STEP_SEEN : STEP_CREATED, place);
}

static int apply_revision(struct subject *s, const struct ehi_event *event,
                          const struct verify_place *place)
{
    const char *why = "";
    bool is_new = s->as.revision.first_seq == 0;
    enum ehi_naive result = ehi_naive_revision(&s->as.revision, event, &why);
    if (result == EHI_NAIVE_REFUSED)
        return misfit(s, place, why);
    if (result == EHI_NAIVE_NOTHING_NEW)
        return misfit(s, place, "it observes just what is there");
    s->exists = true;
    return is_new ? note_step(s, STEP_SEEN, place) : ECSHIST_OK;
}

static int apply(struct subject *s, const struct ehi_event *event, const struct verify_place *place)
{
    bool ignored = (event->flags & EHI_EVENT_IGNORED) != 0;
    if (s->arn.kind == EHI_ARN_SERVICE)
        return note_step(s, ignored ? STEP_IGNORED : STEP_DELETED, place);
    if (ignored)
        return s->exists
                   ? ECSHIST_OK
                   : misfit(s, place, "it is marked as ignored, and its subject is not there");
    return s->arn.kind == EHI_ARN_DEPLOYMENT ? apply_deployment(s, event, place)
                                             : apply_revision(s, event, place);
}

/* Another ARN of the same 128 bits would be told as that: never seen, but not assumed away. */
static int check_subject(struct subject *s, const struct ehi_event *event,
                         const struct verify_place *place, bool *ours)
{
    *ours = true;
    if (s->arn_text[0] == '\0') {
        memcpy(s->arn_text, event->subject.data, event->subject.length);
        s->arn_text[event->subject.length] = '\0';
        (void)!ehi_arn_parse(ehi_slice(s->arn_text, event->subject.length), &s->arn, NULL);
        s->service_arn = s->arn.kind == EHI_ARN_SERVICE ? s->arn.text
                                                        : ehi_arn_service(&s->arn, s->service_text);
        return ECSHIST_OK;
    }
    *ours = ehi_slice_equal(s->arn.text, event->subject);
    return *ours ? ECSHIST_OK
                 : verify_finding(s->v, BROKEN_I3, at_place(s->v, place),
                                  "two ARNs have the same hash: %s and %.*s", s->arn_text,
                                  EHI_FMT(event->subject));
}

static bool is_expired(const struct subject *s, const struct ehi_event *event)
{
    if (event->arn.kind != EHI_ARN_SERVICE)
        return event->seq < s->expired_before;
    return verify_service_event_expired(s->v, s->places[0].subject, event->seq, event->time_us,
                                        UINT64_MAX);
}

static int take_event(struct subject *s, const struct verify_place *place)
{
    struct verify *v = s->v;
    struct ehi_slice record;
    struct ehi_event event;
    struct ecshist_error refusal = ECSHIST_ERROR_INIT;
    char text[ECSHIST_MAX_ID_BYTES + 1];
    bool ours = true;
    int rc = verify_read_record(v, place, s->arena, &record);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_event_decode(record, s->arena, &event, &refusal);
    if (rc == ECSHIST_NO_MEMORY)
        return ehi_fail_memory(v->error);
    if (rc != ECSHIST_OK)
        return verify_finding(v, BROKEN_L9, at_place(v, place), "the event cannot be: %s%s%s",
                              refusal.place, refusal.place[0] != '\0' ? ": " : "", refusal.message);
    rc = check_subject(s, &event, place, &ours);
    if (rc != ECSHIST_OK || !ours || is_expired(s, &event))
        return rc;
    struct ehi_slice id = ehi_event_id(&event, text);
    rc = apply(s, &event, place);
    if (rc == ECSHIST_OK)
        rc = add_id(s, place, id);
    if (rc == ECSHIST_OK && event.seq < v->limit)
        rc = add_entry(s, &event, place, id);
    count_event(v, &event);
    s->held++;
    return rc;
}

/* -- one subject ------------------------------------------------------------------------------- */

/* The state alone, in the other arena; the events it borrowed from are let go. */
static int let_go(struct subject *s)
{
    struct ehi_buffer buffer = {0};
    struct ehi_slice copy = EHI_SLICE_EMPTY;
    s->held = 0;
    if (s->arn.kind != EHI_ARN_DEPLOYMENT || !s->exists)
        return ECSHIST_OK;
    int rc = ehi_deployment_encode(&s->as.deployment, &buffer);
    ehi_arena_reset(s->other);
    if (rc == ECSHIST_OK)
        copy = ehi_arena_copy(s->other, ehi_buffer_slice(&buffer));
    ehi_buffer_free(&buffer);
    if (copy.data == NULL ||
        ehi_deployment_decode(copy, s->other, &s->as.deployment, NULL) != ECSHIST_OK)
        return ehi_fail_memory(s->v->error);
    struct ehi_arena *swap = s->arena;
    s->arena = s->other;
    s->other = swap;
    return ECSHIST_OK;
}

/* Folds the events with a seq before this one. */
static int fold_until(struct subject *s, uint64_t limit)
{
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && s->next < s->count && s->places[s->next].seq < limit) {
        rc = take_event(s, &s->places[s->next]);
        s->next++;
        if (rc == ECSHIST_OK && s->held >= AT_ONCE)
            rc = let_go(s);
    }
    return rc;
}

static int compare_ids(const void *a, const void *b)
{
    const struct seen_id *x = a, *y = b;
    if (x->hash.high != y->hash.high)
        return x->hash.high < y->hash.high ? -1 : 1;
    if (x->hash.low != y->hash.low)
        return x->hash.low < y->hash.low ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static int check_ids(struct subject *s)
{
    int rc = ECSHIST_OK;
    if (s->id_count > 1)
        qsort(s->ids, s->id_count, sizeof(*s->ids), compare_ids);
    for (size_t i = 1; i < s->id_count && rc == ECSHIST_OK; i++) {
        if (ehi_hash128_equal(s->ids[i].hash, s->ids[i - 1].hash))
            rc = verify_finding(s->v, BROKEN_L10, at_place(s->v, &s->places[s->ids[i].place]),
                                "event %" PRIu64 " has the id of event %" PRIu64 " already (%s)",
                                s->ids[i].seq, s->ids[i - 1].seq, s->arn_text);
    }
    return rc;
}

/* All of its events are behind the limit, and a history-expired before it can have stated it. */
static int name_subject(struct subject *s)
{
    struct ehi_slice record;
    struct ehi_event event;
    bool ours;
    int rc = verify_read_record(s->v, &s->places[0], s->arena, &record);
    if (rc != ECSHIST_OK || ehi_event_decode_envelope(record, &event, NULL) != ECSHIST_OK)
        return rc;
    return check_subject(s, &event, &s->places[0], &ours);
}

/* The next subject of the log, folded up to the limit. */
static int begin_subject(struct subject *s, size_t first)
{
    struct verify *v = s->v;
    const struct verify_place *places = v->places.items + first;
    struct ehi_hash128 hash = places[0].subject;
    s->places = places;
    s->count = 1;
    while (first + s->count < v->places.count && ehi_hash128_equal(places[s->count].subject, hash))
        s->count++;
    s->next = s->held = s->entry_count = s->compared = s->id_count = 0;
    s->arn_text[0] = '\0';
    s->arn.kind = (enum ehi_arn_kind)0;
    s->exists = s->timeline_differs = false;
    memset(&s->as, 0, sizeof(s->as));
    ehi_arena_reset(s->arena);
    s->expired_before = verify_expired_before(v, hash, UINT64_MAX);
    s->flux = s->expired_before >= v->limit;
    size_t count;
    const struct verify_restated *restated = verify_restated_of(v, hash, &count);
    s->flux = s->flux || (count > 0 && restated[count - 1].seq >= v->limit);
    int rc = fold_until(s, v->limit);
    return rc == ECSHIST_OK && s->arn_text[0] == '\0' ? name_subject(s) : rc;
}

/* What there is of it before the limit. */
static int settle_subject(struct subject *s)
{
    struct verify *v = s->v;
    if (s->arn.kind == EHI_ARN_DEPLOYMENT && s->exists) {
        v->by_status[s->as.deployment.status & 15]++;
        return verify_service_deployment(v, s->service_arn, &s->as.deployment, s->flux);
    }
    if (s->arn.kind == EHI_ARN_REVISION && s->exists)
        v->revision_count++;
    return ECSHIST_OK;
}

/* Events behind the limit, which the index need not have. */
static int finish_subject(struct subject *s)
{
    struct verify *v = s->v;
    int rc = ECSHIST_OK;
    if (s->flux) {
        v->any_in_flux = true;
        if (s->arn.kind != 0)
            rc = verify_service_in_flux(v, s->service_arn);
    }
    if (rc == ECSHIST_OK)
        rc = fold_until(s, UINT64_MAX);
    if (rc == ECSHIST_OK)
        rc = check_ids(s);
    if (s->arn.kind != EHI_ARN_SERVICE && s->exists)
        v->result.subjects++;
    return rc;
}

/* -- against the index ------------------------------------------------------------------------- */

/* What the index sends of one ARN. */
struct row {
    bool present;
    struct ehi_hash128 hash;
    uint64_t id;
    enum ehi_arn_kind kind;
    bool named; /* arn is one */
    char arn[EHI_ARN_BUFFER];
    struct ehi_slice state; /* in the arena of rows; data NULL: none */
    /* Of a service: what restates it since it is there; an entry of its timeline each. */
    const struct verify_restated *restated;
    size_t restated_count, restated_next;
};

struct merge {
    struct verify *v;
    struct subject subject;
    struct ehi_arena arenas[2], row_arena;
    size_t next; /* of v->places */
    bool has_subject;
    struct row row;
    struct verify_message message; /* looked at, not used yet */
    bool has_message;
};

static int order(struct ehi_hash128 a, struct ehi_hash128 b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return (a.low > b.low) - (a.low < b.low);
}

static int differs(struct subject *s, uint64_t seq, const char *what)
{
    s->timeline_differs = true;
    return verify_finding(s->v, BROKEN_I4, (struct verify_at){0, 0, seq},
                          "the index's timeline of %s %s", s->arn_text, what);
}

/* An offset is a hint, and one that is relied on in the segment that is the newest. */
static bool same_entry(const struct subject *s, const struct ehi_db_entry *is)
{
    const struct ehi_db_entry *should = &s->entries[s->compared];
    const struct verify *v = s->v;
    bool newest = is->seq >= v->segments[v->segment_count - 1].first_seq;
    return is->seq == should->seq && is->id_hash == should->id_hash && is->type == should->type &&
           is->flags == should->flags && (!newest || is->offset == should->offset);
}

static int compare_entries(struct subject *s, const struct verify_message *m)
{
    int rc = ECSHIST_OK;
    size_t count = m->length / sizeof(struct ehi_db_entry);
    for (size_t i = 0; i < count && rc == ECSHIST_OK && !s->timeline_differs; i++) {
        struct ehi_db_entry entry;
        memcpy(&entry, m->bytes + i * sizeof(entry), sizeof(entry));
        if (entry.type == EHI_HISTORY_EXPIRED && s->arn.kind == EHI_ARN_SERVICE)
            continue; /* not of its own: compare_restated */
        if (s->compared == s->entry_count || entry.seq < s->entries[s->compared].seq)
            rc = differs(s, entry.seq, "has an entry of an event that is not one of its own");
        else if (entry.seq > s->entries[s->compared].seq)
            rc = differs(s, s->entries[s->compared].seq, "lacks an entry of an event");
        else if (!same_entry(s, &entry))
            rc = differs(s, entry.seq, "has another entry of an event than the event says");
        s->compared++;
    }
    return rc;
}

static int state_differs(struct subject *s, const char *what, const char *member)
{
    return verify_finding(s->v, BROKEN_I2, (struct verify_at){0}, "the index's state of %s %s%s",
                          s->arn_text, what, member);
}

static int compare_state(struct subject *s, const struct row *row)
{
    static const char not_the_fold[] = "is not the fold of its events, in: ";
    const char *difference = NULL;
    if (row->state.data == NULL)
        return state_differs(s, "is not there", "");
    if (s->arn.kind == EHI_ARN_DEPLOYMENT) {
        struct ehi_deployment d;
        int rc = ehi_deployment_decode(row->state, s->arena, &d, NULL);
        if (rc == ECSHIST_NO_MEMORY)
            return ehi_fail_memory(s->v->error);
        if (rc != ECSHIST_OK)
            return state_differs(s, "cannot be decoded", "");
        difference = verify_deployment_difference(&s->as.deployment, &d);
    } else {
        struct ehi_revision r;
        int rc = ehi_revision_decode(row->state, s->arena, &r, NULL);
        if (rc == ECSHIST_NO_MEMORY)
            return ehi_fail_memory(s->v->error);
        if (rc != ECSHIST_OK)
            return state_differs(s, "cannot be decoded", "");
        difference = verify_revision_difference(&s->as.revision, &r);
    }
    return difference == NULL ? ECSHIST_OK : state_differs(s, not_the_fold, difference);
}

/* A subject of the log, and the index's row of it, after its timeline. */
static int compare_subject(struct subject *s, const struct row *row)
{
    struct verify *v = s->v;
    if (s->flux)
        return ECSHIST_OK;
    int rc = ECSHIST_OK;
    if (!s->timeline_differs && s->compared < s->entry_count)
        rc = differs(s, s->entries[s->compared].seq, "lacks an entry of an event");
    if (rc != ECSHIST_OK || s->arn.kind == EHI_ARN_SERVICE)
        return rc;
    if (!s->exists)
        return s->entry_count != 0 ? ECSHIST_OK
                                   : verify_finding(v, BROKEN_I3, (struct verify_at){0},
                                                    "the index knows %s, of which the log has no "
                                                    "event",
                                                    row->arn);
    rc = compare_state(s, row);
    if (rc == ECSHIST_OK && s->arn.kind == EHI_ARN_DEPLOYMENT)
        rc = verify_tables_deployment(v, row->id, s->service_arn, &s->as.deployment);
    return rc;
}

static int next_message(struct merge *m)
{
    if (m->has_message)
        return ECSHIST_OK;
    m->has_message = true;
    return verify_index_next(m->v, &m->message);
}

static int begin_row(struct merge *m)
{
    const struct verify_message *message = &m->message;
    struct row *row = &m->row;
    *row = (struct row){
        .present = true, .hash = message->hash, .id = message->id, .kind = message->arn_kind};
    snprintf(row->arn, sizeof(row->arn), "an ARN with the id %" PRIu64, row->id);
    m->has_message = false;
    if (row->kind < EHI_ARN_SERVICE || row->kind > EHI_ARN_REVISION)
        return verify_finding(
            m->v, BROKEN_I3, (struct verify_at){0},
            "the index has a row for what is not the ARN of a subject, id %" PRIu64, row->id);
    return ECSHIST_OK;
}

static void name_row(struct row *row, struct ehi_slice arn)
{
    if (arn.length >= sizeof(row->arn))
        return;
    memcpy(row->arn, arn.data, arn.length);
    row->arn[arn.length] = '\0';
    row->named = true;
}

/* The ARN that the row's state is of; empty where it has none that can be read. */
static int arn_of_state(struct merge *m, struct ehi_slice *out)
{
    struct ehi_deployment d;
    struct ehi_revision r;
    struct ehi_service s;
    struct ehi_slice state = m->row.state;
    *out = EHI_SLICE_EMPTY;
    if (state.data == NULL)
        return ECSHIST_OK;
    if (m->row.kind == EHI_ARN_DEPLOYMENT) {
        int rc = ehi_deployment_decode(state, &m->row_arena, &d, NULL);
        if (rc == ECSHIST_NO_MEMORY)
            return ehi_fail_memory(m->v->error);
        if (rc == ECSHIST_OK)
            *out = d.arn;
    } else if (m->row.kind == EHI_ARN_REVISION) {
        int rc = ehi_revision_decode(state, &m->row_arena, &r, NULL);
        if (rc == ECSHIST_NO_MEMORY)
            return ehi_fail_memory(m->v->error);
        if (rc == ECSHIST_OK)
            *out = r.arn;
    } else if (m->row.kind == EHI_ARN_SERVICE &&
               ehi_service_decode(state, &s, NULL) == ECSHIST_OK) {
        *out = s.arn;
    }
    return ECSHIST_OK;
}

/* Of what the log has no event of its own: a row has the hash of its ARN, the state the ARN. */
static int name_by_state(struct merge *m)
{
    struct row *row = &m->row;
    struct ehi_slice arn;
    int rc = arn_of_state(m, &arn);
    if (rc == ECSHIST_OK && arn.length != 0 &&
        ehi_hash128_equal(ehi_hash128(arn.data, arn.length), row->hash))
        name_row(row, arn);
    return rc;
}

static int restated_differs(struct verify *v, const struct row *row, uint64_t seq, const char *what)
{
    return verify_finding(v, BROKEN_I4, (struct verify_at){0, 0, seq},
                          "the index's timeline of %s %s of a history-expired event", row->arn,
                          what);
}

static int compare_restated(struct verify *v, struct row *row, const struct verify_message *m)
{
    int rc = ECSHIST_OK;
    size_t count = m->length / sizeof(struct ehi_db_entry);
    for (size_t i = 0; i < count && rc == ECSHIST_OK; i++) {
        struct ehi_db_entry entry;
        memcpy(&entry, m->bytes + i * sizeof(entry), sizeof(entry));
        if (entry.type != EHI_HISTORY_EXPIRED)
            continue;
        bool same = row->restated_next < row->restated_count &&
                    row->restated[row->restated_next].seq == entry.seq;
        if (!same)
            rc = restated_differs(v, row, entry.seq, "has another entry than there is");
        row->restated_next++;
    }
    return rc;
}

/* What restates the service, as far as the index has applied it, and since it went for the last time. */
static void find_restated(struct verify *v, struct row *row)
{
    size_t count;
    row->restated = verify_restated_of(v, row->hash, &count);
    while (count > 0 && row->restated[count - 1].seq >= v->limit)
        count--;
    for (size_t i = count; i > 0; i--) {
        if (!row->restated[i - 1].gone)
            continue;
        row->restated += i;
        count -= i;
        break;
    }
    row->restated_count = count;
}

/* The next ARN of the index, if there is one. */
static int next_row(struct merge *m)
{
    int rc = next_message(m);
    m->row.present = false;
    return rc == ECSHIST_OK && m->message.kind == MESSAGE_ARN ? begin_row(m) : rc;
}

/* State and timeline of the row. s: its subject in the log; NULL: there is none. */
static int read_row(struct merge *m, struct subject *s, bool flux)
{
    ehi_arena_reset(&m->row_arena);
    bool is_service = m->row.kind == EHI_ARN_SERVICE;
    if (is_service)
        find_restated(m->v, &m->row);
    int rc = next_message(m);
    while (rc == ECSHIST_OK &&
           (m->message.kind == MESSAGE_STATE || m->message.kind == MESSAGE_TIMELINE)) {
        if (m->message.kind == MESSAGE_STATE) {
            m->row.state =
                ehi_arena_copy(&m->row_arena, ehi_slice(m->message.bytes, m->message.length));
            if (m->row.state.data == NULL)
                return ehi_fail_memory(m->v->error);
        } else if (s != NULL && !s->flux) {
            rc = compare_entries(s, &m->message);
        }
        if (rc == ECSHIST_OK && is_service && !flux && m->message.kind == MESSAGE_TIMELINE)
            rc = compare_restated(m->v, &m->row, &m->message);
        m->has_message = false;
        if (rc == ECSHIST_OK)
            rc = next_message(m);
    }
    if (rc == ECSHIST_OK && is_service && !flux && m->row.restated_next < m->row.restated_count)
        rc = restated_differs(m->v, &m->row, m->row.restated[m->row.restated_next].seq,
                              "lacks the entry");
    return rc;
}

static int next_subject(struct merge *m)
{
    struct subject *s = &m->subject;
    m->has_subject = m->next < m->v->places.count;
    if (!m->has_subject)
        return ECSHIST_OK;
    int rc = begin_subject(s, m->next);
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->count; i++)
        bytes += s->places[i].bytes;
    m->next += s->count;
    if (rc == ECSHIST_OK)
        rc = settle_subject(s);
    return rc == ECSHIST_OK ? verify_progress(m->v, bytes) : rc;
}

/* In the log, not in the index: for lack of a row, or of an index. */
static int lone_subject(struct merge *m)
{
    struct subject *s = &m->subject;
    bool missing = m->row.present || m->message.kind == MESSAGE_EXPIRIES;
    int rc = ECSHIST_OK;
    if (missing && s->entry_count != 0 && !s->flux && s->arn.kind != EHI_ARN_SERVICE)
        rc = verify_finding(m->v, BROKEN_I3, (struct verify_at){0, 0, s->entries[0].seq},
                            "the index does not know %s", s->arn_text);
    if (rc == ECSHIST_OK)
        rc = finish_subject(s);
    return rc == ECSHIST_OK ? next_subject(m) : rc;
}

/* In the index, and `s` in the log, or NULL. */
static int take_row(struct merge *m, struct subject *s)
{
    struct verify *v = m->v;
    struct row *row = &m->row;
    size_t count;
    const struct verify_restated *restated = verify_restated_of(v, row->hash, &count);
    bool flux = s != NULL ? s->flux
                          : verify_expired_before(v, row->hash, UINT64_MAX) >= v->limit ||
                                (count > 0 && restated[count - 1].seq >= v->limit);
    if (s != NULL)
        name_row(row, ehi_slice_text(s->arn_text));
    int rc = read_row(m, s, flux);
    if (rc == ECSHIST_OK && !row->named)
        rc = name_by_state(m);
    struct ehi_slice arn = row->named ? ehi_slice_text(row->arn) : EHI_SLICE_EMPTY;
    if (rc == ECSHIST_OK && row->kind >= EHI_ARN_SERVICE && row->kind <= EHI_ARN_REVISION)
        rc = verify_tables_id(v, row->id, row->kind, flux);
    if (rc == ECSHIST_OK && row->kind == EHI_ARN_SERVICE)
        rc = verify_service_row(v, row->hash, arn, row->id, row->state);
    if (rc == ECSHIST_OK && s != NULL)
        rc = compare_subject(s, row);
    if (flux)
        v->any_in_flux = true;
    if (rc == ECSHIST_OK && flux && row->kind == EHI_ARN_SERVICE)
        verify_service_row_in_flux(v, row->hash);
    if (rc == ECSHIST_OK && s == NULL && !flux &&
        (row->kind == EHI_ARN_DEPLOYMENT || row->kind == EHI_ARN_REVISION))
        rc = verify_finding(v, BROKEN_I3, (struct verify_at){0},
                            "the index knows %s, of which the log has no event", row->arn);
    return rc == ECSHIST_OK ? next_row(m) : rc;
}

static int merge_step(struct merge *m)
{
    struct subject *s = &m->subject;
    int which = !m->row.present   ? -1
                : !m->has_subject ? 1
                                  : order(s->places[0].subject, m->row.hash);
    if (which < 0)
        return lone_subject(m);
    if (which > 0)
        return take_row(m, NULL);
    int rc = take_row(m, s);
    if (rc == ECSHIST_OK)
        rc = finish_subject(s);
    return rc == ECSHIST_OK ? next_subject(m) : rc;
}

static int merge_all(struct merge *m)
{
    int rc = next_row(m);
    if (rc == ECSHIST_OK)
        rc = next_subject(m);
    while (rc == ECSHIST_OK && (m->row.present || m->has_subject))
        rc = merge_step(m);
    return rc;
}

/* -- all of it --------------------------------------------------------------------------------- */

static int compare_places(const void *a, const void *b)
{
    const struct verify_place *x = a, *y = b;
    int by_hash = order(x->subject, y->subject);
    return by_hash != 0 ? by_hash : (x->seq > y->seq) - (x->seq < y->seq);
}

/* Each history-expired is an event too, of no subject. */
static int count_expiries(struct verify *v)
{
    struct ehi_arena arena = {0};
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < v->expiries.count && rc == ECSHIST_OK; i++) {
        struct ehi_slice record;
        struct ehi_event event;
        ehi_arena_reset(&arena);
        rc = verify_read_record(v, &v->expiries.items[i], &arena, &record);
        if (rc == ECSHIST_OK && ehi_event_decode_envelope(record, &event, NULL) == ECSHIST_OK)
            count_event(v, &event);
    }
    ehi_arena_free(&arena);
    return rc;
}

static int expiries_differ(struct verify *v, uint64_t seq, const char *what)
{
    return verify_finding(v, BROKEN_I4, (struct verify_at){0, 0, seq},
                          "the index's timeline of history-expired events %s", what);
}

/* The history-expired events have a timeline, of no subject; it comes before the tables. */
static int compare_expiries(struct verify *v, struct merge *m)
{
    const struct verify_places *expiries = &v->expiries;
    size_t next = 0;
    m->has_message = false;
    int rc = next_message(m);
    for (; rc == ECSHIST_OK && m->message.kind == MESSAGE_TIMELINE; rc = next_message(m)) {
        for (size_t at = 0; at + sizeof(struct ehi_db_entry) <= m->message.length;
             at += sizeof(struct ehi_db_entry)) {
            struct ehi_db_entry entry;
            memcpy(&entry, m->message.bytes + at, sizeof(entry));
            bool same = next < expiries->count && expiries->items[next].seq == entry.seq &&
                        entry.type == EHI_HISTORY_EXPIRED;
            if (!same)
                return expiries_differ(v, entry.seq, "has another entry than the log has events");
            next++;
        }
        m->has_message = false;
    }
    if (rc == ECSHIST_OK && m->message.kind == MESSAGE_TABLES && next < expiries->count &&
        expiries->items[next].seq < v->limit)
        rc = expiries_differ(v, expiries->items[next].seq, "lacks an event");
    return rc;
}

/* To the tables, past what was not of use. */
static int skip_to_tables(struct merge *m)
{
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && m->message.kind != MESSAGE_TABLES &&
           m->message.kind != MESSAGE_END) {
        m->has_message = false;
        rc = next_message(m);
    }
    return rc;
}

static int compare_whole(struct verify *v, struct merge *m)
{
    int rc = m->message.kind == MESSAGE_EXPIRIES ? compare_expiries(v, m) : ECSHIST_OK;
    if (rc == ECSHIST_OK)
        rc = skip_to_tables(m);
    bool tables = m->message.kind == MESSAGE_TABLES;
    if (rc == ECSHIST_OK)
        rc = verify_services_settle(v, tables);
    if (rc == ECSHIST_OK && tables)
        rc = verify_tables_read(v);
    if (rc == ECSHIST_OK && v->has_head)
        rc = verify_head(v);
    return rc;
}

int verify_views(struct verify *v)
{
    struct merge *m = calloc(1, sizeof(*m));
    v->services = verify_services_new();
    v->tables = verify_tables_new();
    int rc = m == NULL || v->services == NULL || v->tables == NULL ? ehi_fail_memory(v->error)
                                                                   : ECSHIST_OK;
    if (rc != ECSHIST_OK)
        goto out;
    m->v = m->subject.v = v;
    m->subject.arena = &m->arenas[0];
    m->subject.other = &m->arenas[1];
    rc = verify_read_expiries(v);
    if (rc == ECSHIST_OK)
        rc = count_expiries(v);
    if (v->places.count > 0)
        qsort(v->places.items, v->places.count, sizeof(*v->places.items), compare_places);
    if (rc == ECSHIST_OK)
        rc = merge_all(m);
    if (rc == ECSHIST_OK)
        rc = compare_whole(v, m);
    v->result.events_checked = rc == ECSHIST_OK;
    v->result.index_checked = rc == ECSHIST_OK && verify_index_complete(v);
out:
    if (m != NULL) {
        ehi_arena_free(&m->arenas[0]);
        ehi_arena_free(&m->arenas[1]);
        ehi_arena_free(&m->row_arena);
        free(m->subject.entries);
        free(m->subject.ids);
    }
    free(m);
    return rc;
}
