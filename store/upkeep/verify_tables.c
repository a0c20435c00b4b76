/* The index's tables as a whole: ids, by_service, by_name, and the head with its counts. */
#include "upkeep/verify_internal.h"

#include "codec/brief.h"
#include "log/sys.h"

#include <inttypes.h>
#include <stdlib.h>

struct owner {
    uint64_t id;
    enum ehi_arn_kind kind;
    bool flux;
};

struct listed {
    struct ehi_hash128 service;
    uint64_t service_id;
    uint64_t brief_hash; /* of what else the row shows, encoded from our own fold */
    struct ehi_db_listed row;
};

struct named {
    uint64_t name_hash, service_id;
};

struct verify_tables {
    struct owner *owners;
    size_t owner_count, owner_capacity;
    struct listed *listed; /* as they should be; sorted as the index has them */
    size_t listed_count, listed_capacity, listed_next;
    struct ehi_buffer brief;
    struct named *named;
    size_t named_count, named_capacity, named_next;
};

struct verify_tables *verify_tables_new(void)
{
    return calloc(1, sizeof(struct verify_tables));
}

void verify_tables_free(struct verify_tables *t)
{
    if (t == NULL)
        return;
    free(t->owners);
    free(t->listed);
    ehi_buffer_free(&t->brief);
    free(t->named);
    free(t);
}

int verify_tables_id(struct verify *v, uint64_t id, enum ehi_arn_kind kind, bool flux)
{
    struct verify_tables *t = v->tables;
    struct owner *owners =
        verify_grow(t->owners, t->owner_count, &t->owner_capacity, sizeof(*owners));
    if (owners == NULL)
        return ehi_fail_memory(v->error);
    t->owners = owners;
    owners[t->owner_count++] = (struct owner){id, kind, flux};
    return ECSHIST_OK;
}

static uint64_t hash_brief(struct ehi_slice brief)
{
    return ehi_hash64(brief.data, brief.length, 0);
}

int verify_tables_deployment(struct verify *v, uint64_t id, struct ehi_slice service_arn,
                             const struct ehi_deployment *d)
{
    struct verify_tables *t = v->tables;
    struct ehi_brief_owner owner = ehi_brief_owner(service_arn);
    t->brief.length = 0;
    int rc = ehi_brief_encode(d, &owner, &t->brief);
    if (rc != ECSHIST_OK)
        return ehi_fail_memory(v->error);
    struct listed *listed =
        verify_grow(t->listed, t->listed_count, &t->listed_capacity, sizeof(*listed));
    if (listed == NULL)
        return ehi_fail_memory(v->error);
    t->listed = listed;
    /* A deployment of which no createdAt was observed is listed as if it were of the epoch. */
    int64_t created_us = d->created_at_us < 0 ? 0 : d->created_at_us;
    listed[t->listed_count++] =
        (struct listed){.service = ehi_hash128(service_arn.data, service_arn.length),
                        .brief_hash = hash_brief(ehi_buffer_slice(&t->brief)),
                        .row = {.created_at_us = created_us,
                                .created_seq = d->created_seq,
                                .deployment_id = id,
                                .status = d->status}};
    return ECSHIST_OK;
}

/* -- ids --------------------------------------------------------------------------------------- */

static int compare_owners(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int sort_owners(struct verify *v)
{
    struct verify_tables *t = v->tables;
    int rc = ECSHIST_OK;
    if (t->owner_count > 1)
        qsort(t->owners, t->owner_count, sizeof(*t->owners), compare_owners);
    for (size_t i = 0; i < t->owner_count && rc == ECSHIST_OK; i++) {
        uint64_t id = t->owners[i].id;
        if (i > 0 && t->owners[i - 1].id == id)
            rc = verify_finding(v, BROKEN_I3, (struct verify_at){0},
                                "the index gives the id %" PRIu64 " to two ARNs", id);
        else if (id == 0 || id >= v->head.next_id)
            rc = verify_finding(
                v, BROKEN_I3, (struct verify_at){0},
                "the index has given the id %" PRIu64 " to an ARN, and will give it again", id);
    }
    return rc;
}

static const struct owner *owner_of(const struct verify_tables *t, uint64_t id)
{
    struct owner key = {.id = id};
    return t->owner_count == 0
               ? NULL
               : bsearch(&key, t->owners, t->owner_count, sizeof(key), compare_owners);
}

static const char *kind_name(enum ehi_arn_kind kind)
{
    return kind == EHI_ARN_DEPLOYMENT ? "deployment"
           : kind == EHI_ARN_REVISION ? "revision"
                                      : "service";
}

static int check_owner(struct verify *v, const struct verify_message *m)
{
    const struct owner *owner = owner_of(v->tables, m->id);
    if (owner != NULL && owner->kind == m->arn_kind)
        return ECSHIST_OK;
    return verify_finding(v, BROKEN_I3, (struct verify_at){0},
                          "the index has the state of a %s, id %" PRIu64 ", that no ARN has",
                          kind_name(m->arn_kind), m->id);
}

static int check_timeline_row(struct verify *v, const struct verify_message *m)
{
    if (m->number != m->other)
        return verify_finding(v, BROKEN_I4, (struct verify_at){0, 0, m->other},
                              "a row of the index's timeline of the id %" PRIu64
                              " has another seq in its key than its first entry",
                              m->id);
    /* The history-expired events have a timeline too, of no subject: id 0. */
    if (m->id == 0 || owner_of(v->tables, m->id) != NULL)
        return ECSHIST_OK;
    return verify_finding(v, BROKEN_I4, (struct verify_at){0, 0, m->number},
                          "the index has a timeline of the id %" PRIu64 ", that no ARN has", m->id);
}

/* -- by_service -------------------------------------------------------------------------------- */

static int compare_rows(uint64_t service_a, const struct ehi_db_listed *a, uint64_t service_b,
                        const struct ehi_db_listed *b)
{
    if (service_a != service_b)
        return service_a < service_b ? -1 : 1;
    if (a->created_at_us != b->created_at_us)
        return a->created_at_us > b->created_at_us ? -1 : 1;
    return (a->created_seq < b->created_seq) - (a->created_seq > b->created_seq);
}

static int compare_listed(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    return compare_rows(x->service_id, &x->row, y->service_id, &y->row);
}

static void sort_listed(struct verify *v)
{
    struct verify_tables *t = v->tables;
    for (size_t i = 0; i < t->listed_count; i++)
        t->listed[i].service_id = verify_service_id(v, t->listed[i].service);
    if (t->listed_count > 1)
        qsort(t->listed, t->listed_count, sizeof(*t->listed), compare_listed);
}

static int listed_finding(struct verify *v, uint64_t service_id, const struct ehi_db_listed *row,
                          const char *what)
{
    return verify_finding(v, BROKEN_I5, (struct verify_at){0, 0, row->created_seq},
                          "by_service %s the deployment with the id %" PRIu64
                          ", created by event %" PRIu64 ", of the service with the id %" PRIu64,
                          what, row->deployment_id, row->created_seq, service_id);
}

/* Rows that should come before this one, and did not. last: there are no more. */
static int check_unlisted(struct verify *v, const struct verify_message *m, bool last)
{
    struct verify_tables *t = v->tables;
    int rc = ECSHIST_OK;
    for (; t->listed_next < t->listed_count && rc == ECSHIST_OK; t->listed_next++) {
        const struct listed *should = &t->listed[t->listed_next];
        if (!last && compare_rows(should->service_id, &should->row, m->id, &m->listed) >= 0)
            break;
        if (should->service_id != 0) /* the service is missing, which was said already */
            rc = listed_finding(v, should->service_id, &should->row, "does not list");
    }
    return rc;
}

static int check_listed(struct verify *v, const struct verify_message *m)
{
    struct verify_tables *t = v->tables;
    int rc = check_unlisted(v, m, false);
    if (rc != ECSHIST_OK)
        return rc;
    const struct listed *should =
        t->listed_next < t->listed_count ? &t->listed[t->listed_next] : NULL;
    if (should != NULL && compare_rows(should->service_id, &should->row, m->id, &m->listed) == 0) {
        t->listed_next++;
        if (should->row.deployment_id != m->listed.deployment_id)
            return listed_finding(v, m->id, &m->listed, "has another id for");
        if (should->row.status != m->listed.status)
            return listed_finding(v, m->id, &m->listed, "has another status of");
        return should->brief_hash == hash_brief(ehi_slice(m->bytes, m->length))
                   ? ECSHIST_OK
                   : listed_finding(v, m->id, &m->listed, "shows something else of");
    }
    const struct owner *owner = owner_of(t, m->listed.deployment_id);
    return owner != NULL && owner->flux ? ECSHIST_OK
                                        : listed_finding(v, m->id, &m->listed, "lists wrongly");
}

/* -- by_name ----------------------------------------------------------------------------------- */

static int add_named(struct verify *v, uint64_t name_hash, uint64_t id)
{
    struct verify_tables *t = v->tables;
    struct named *named = verify_grow(t->named, t->named_count, &t->named_capacity, sizeof(*named));
    if (named == NULL)
        return ehi_fail_memory(v->error);
    t->named = named;
    named[t->named_count++] = (struct named){name_hash, id};
    return ECSHIST_OK;
}

static int add_names(struct verify *v, struct ehi_slice arn, uint64_t id)
{
    struct ehi_arn parsed;
    if (ehi_arn_parse(arn, &parsed, NULL) != ECSHIST_OK)
        return ECSHIST_OK;
    int rc = add_named(v, ehi_db_name_hash(parsed.cluster, parsed.service), id);
    return rc == ECSHIST_OK ? add_named(v, ehi_db_name_hash(parsed.cluster, EHI_SLICE_EMPTY), id)
                            : rc;
}

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    if (x->name_hash != y->name_hash)
        return x->name_hash < y->name_hash ? -1 : 1;
    return (x->service_id > y->service_id) - (x->service_id < y->service_id);
}

static int named_finding(struct verify *v, uint64_t id, const char *what)
{
    return verify_finding(v, BROKEN_I10, (struct verify_at){0},
                          "by_name %s the service with the id %" PRIu64, what, id);
}

static int check_named(struct verify *v, const struct verify_message *m, bool last)
{
    struct verify_tables *t = v->tables;
    struct named is = {m->number, m->id};
    int rc = ECSHIST_OK, which = 1;
    while (t->named_next < t->named_count && rc == ECSHIST_OK) {
        const struct named *should = &t->named[t->named_next];
        which = last ? -1 : compare_named(should, &is);
        if (which > 0)
            break;
        t->named_next++;
        if (which == 0)
            return ECSHIST_OK;
        rc = named_finding(v, should->service_id, "lacks a name of");
    }
    if (rc != ECSHIST_OK || last)
        return rc;
    const struct owner *owner = owner_of(t, is.service_id);
    return owner != NULL && owner->flux
               ? ECSHIST_OK
               : named_finding(v, is.service_id, "has a name that is not one of");
}

/* -- all tables -------------------------------------------------------------------------------- */

static int check_row(struct verify *v, const struct verify_message *m)
{
    switch (m->kind) {
    case MESSAGE_OWNER:
        return check_owner(v, m);
    case MESSAGE_ROW:
        return check_timeline_row(v, m);
    case MESSAGE_LISTED:
        return check_listed(v, m);
    case MESSAGE_NAMED:
        return check_named(v, m, false);
    default:
        return ECSHIST_OK;
    }
}

int verify_tables_read(struct verify *v)
{
    struct verify_tables *t = v->tables;
    struct verify_message m = {.kind = MESSAGE_TABLES};
    int rc = verify_services_each(v, add_names);
    if (rc == ECSHIST_OK)
        rc = sort_owners(v);
    if (rc != ECSHIST_OK)
        return rc;
    sort_listed(v);
    if (t->named_count > 1)
        qsort(t->named, t->named_count, sizeof(*t->named), compare_named);
    while (rc == ECSHIST_OK && m.kind != MESSAGE_END) {
        rc = verify_index_next(v, &m);
        if (rc == ECSHIST_OK)
            rc = check_row(v, &m);
    }
    if (rc == ECSHIST_OK && verify_index_complete(v))
        rc = check_unlisted(v, &m, true);
    if (rc == ECSHIST_OK && verify_index_complete(v))
        rc = check_named(v, &m, true);
    return rc;
}

/* -- the head ---------------------------------------------------------------------------------- */

static int head_finding(struct verify *v, enum invariant broken, const char *what)
{
    struct verify_at at = {v->head.segment, v->head.offset, v->head.next_seq};
    return verify_finding(v, broken, at, "the index's head %s", what);
}

static const struct verify_segment *segment_named(const struct verify *v, uint64_t first_seq,
                                                  size_t *index)
{
    for (*index = 0; *index < v->segment_count; (*index)++) {
        if (v->segments[*index].first_seq == first_seq)
            return &v->segments[*index];
    }
    return NULL;
}

static uint64_t plain_frame_end(const uint8_t *bytes, const struct verify_frame *frame)
{
    uint64_t next = 0;
    uint32_t at = EHI_FRAME_HEADER_BYTES;
    while (at + EHI_RECORD_HEADER_BYTES <= frame->length) {
        uint32_t length = ehi_get_le32(bytes + at + EHI_REC_BYTES);
        next = ehi_get_le64(bytes + at + EHI_REC_SEQ) + 1;
        if (length < EHI_RECORD_HEADER_BYTES || length > frame->length - at)
            return 0;
        at += length;
    }
    return next;
}

static uint64_t compressed_frame_end(int fd, const uint8_t *bytes, const struct verify_frame *frame)
{
    uint64_t next = 0, at = EHI_FRAME_HEADER_BYTES;
    struct ehi_arena arena = {0};
    for (uint32_t i = 0; i < frame->record_count && at != 0; i++) {
        struct verify_made made;
        ehi_arena_reset(&arena);
        int failed =
            verify_make_record(fd, frame->offset + at,
                               ehi_slice(bytes + at, (size_t)(frame->length - at)), &arena, &made);
        bool whole = failed == 0 && made.fault == NULL;
        next = whole ? ehi_get_le64(made.record.data + EHI_REC_SEQ) + 1 : 0;
        at = whole ? at + made.stored_bytes : 0;
    }
    ehi_arena_free(&arena);
    return next;
}

/* The seq behind the last record of a frame; 0 where it cannot be told. */
static uint64_t frame_end(struct verify_file *file, const struct verify_frame *frame,
                          bool compressed)
{
    const uint8_t *bytes = verify_file_at(file, frame->offset, (size_t)frame->length);
    if (bytes == NULL)
        return 0;
    return compressed ? compressed_frame_end(file->fd, bytes, frame)
                      : plain_frame_end(bytes, frame);
}

static int check_frame(struct verify *v, int fd, const struct verify_segment *segment)
{
    const struct ehi_db_head *head = &v->head;
    struct verify_file file = {.fd = fd, .size = segment->size};
    struct verify_frame frame = {0};
    bool there = head->frame_offset % 8 == 0 && head->frame_offset >= EHI_SEGMENT_HEADER_BYTES &&
                 verify_file_refresh(&file) &&
                 verify_look_at(&file, v->seed, head->frame_offset, &frame) == VERIFY_FRAME;
    bool same = there && frame.checksum == head->frame_checksum &&
                frame.offset + frame.length == head->offset &&
                frame_end(&file, &frame, segment->compressed) == head->next_seq;
    verify_file_close(&file);
    return same ? ECSHIST_OK
                : head_finding(v, BROKEN_I1,
                               "names a place that is not the end of a frame of the log, with "
                               "that checksum");
}

static int check_position(struct verify *v)
{
    const struct ehi_db_head *head = &v->head;
    size_t index;
    if (head->index_format != EHI_INDEX_FORMAT)
        return head_finding(v, BROKEN_I1, "is of another format");
    if (memcmp(head->store_id, v->store_id, sizeof(v->store_id)) != 0)
        return head_finding(v, BROKEN_I1, "is of another store");
    if (head->next_seq > v->next_seq)
        return verify_finding(v, BROKEN_L11, (struct verify_at){0, 0, v->next_seq},
                              "the log ends before event %" PRIu64
                              ", and the index has applied events up to %" PRIu64,
                              v->next_seq, head->next_seq - 1);
    const struct verify_segment *segment = segment_named(v, head->segment, &index);
    if (segment == NULL)
        return head_finding(v, BROKEN_I1, "names a segment that is not there");
    if (head->frame_offset == 0)
        return head->offset == EHI_SEGMENT_HEADER_BYTES && head->next_seq == head->segment
                   ? ECSHIST_OK
                   : head_finding(v, BROKEN_I1,
                                  "names no frame, and another place than a "
                                  "segment's beginning");
    int fd = verify_segment_fd(v, index);
    return fd < 0 ? ECSHIST_IO : check_frame(v, fd, segment);
}

struct count {
    const char *name;
    uint64_t is, should;
};

/* The newest history-expired that the index has applied; 0: none. */
static uint64_t last_expiry(const struct verify *v)
{
    uint64_t last = 0;
    for (size_t i = 0; i < v->expiries.count; i++) {
        if (v->expiries.items[i].seq < v->limit)
            last = v->expiries.items[i].seq;
    }
    return last;
}

static int check_counts(struct verify *v)
{
    const struct ehi_db_head *head = &v->head;
    const struct count counts[] = {
        {"events", head->event_count, v->event_count},
        {"ignored events", head->ignored_count, v->ignored_count},
        {"revisions", head->revision_count, v->revision_count},
        {"services", head->service_count, verify_service_count(v)},
    };
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && rc == ECSHIST_OK; i++) {
        if (counts[i].is != counts[i].should)
            rc = verify_finding(v, BROKEN_I6, (struct verify_at){0},
                                "the index's head counts %" PRIu64 " %s, and there are %" PRIu64,
                                counts[i].is, counts[i].name, counts[i].should);
    }
    if (rc == ECSHIST_OK && memcmp(head->by_status, v->by_status, sizeof(v->by_status)) != 0)
        rc = head_finding(v, BROKEN_I6, "counts other deployments by status than there are");
    if (rc == ECSHIST_OK && head->last_expired_seq != last_expiry(v))
        rc = head_finding(v, BROKEN_I6, "names another event as the newest history-expired");
    return rc;
}

int verify_head(struct verify *v)
{
    int rc = check_position(v);
    return rc == ECSHIST_OK && !v->any_in_flux ? check_counts(v) : rc;
}
