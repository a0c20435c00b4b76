#include "fold/expired.h"

#include "codec/expiry.h"

#include <stdlib.h>

/*
 * Of a subject: its events before `seq` that are dated before `cutoff_us` have expired. Of two, the newer comes first
 * in its chain, and is there only where it does not say all that the older one says.
 */
struct ehi_expired_node {
    struct ehi_hash128 hash;
    uint64_t seq;
    int64_t cutoff_us;
    uint32_t next; /* in its bucket: index + 1 */
};

enum { FIRST_BUCKETS = 1024 };

void ehi_expired_free(struct ehi_expired *expired)
{
    free(expired->nodes);
    free(expired->buckets);
    *expired = (struct ehi_expired){0};
}

static uint32_t *bucket_of(const struct ehi_expired *expired, struct ehi_hash128 hash)
{
    return &expired->buckets[hash.low & (expired->bucket_count - 1)];
}

static int grow_buckets(struct ehi_expired *expired)
{
    uint32_t count = expired->bucket_count == 0 ? FIRST_BUCKETS : expired->bucket_count * 2;
    uint32_t *buckets = calloc(count, sizeof(*buckets));
    if (buckets == NULL)
        return ECSHIST_NO_MEMORY;
    free(expired->buckets);
    expired->buckets = buckets;
    expired->bucket_count = count;
    /* In the order they came in, so that the newest is the first of its chain again. */
    for (uint32_t i = 0; i < expired->node_count; i++) {
        uint32_t *bucket = bucket_of(expired, expired->nodes[i].hash);
        expired->nodes[i].next = *bucket;
        *bucket = i + 1;
    }
    return ECSHIST_OK;
}

static int reserve(struct ehi_expired *expired)
{
    if (expired->node_count == expired->node_capacity) {
        uint32_t capacity = expired->node_capacity == 0 ? 1024 : expired->node_capacity * 2;
        struct ehi_expired_node *nodes = realloc(expired->nodes, capacity * sizeof(*nodes));
        if (nodes == NULL)
            return ECSHIST_NO_MEMORY;
        expired->nodes = nodes;
        expired->node_capacity = capacity;
    }
    return expired->node_count >= expired->bucket_count ? grow_buckets(expired) : ECSHIST_OK;
}

static struct ehi_expired_node *newest(const struct ehi_expired *expired, struct ehi_hash128 hash)
{
    uint32_t i = *bucket_of(expired, hash);
    while (i != 0 && !ehi_hash128_equal(expired->nodes[i - 1].hash, hash))
        i = expired->nodes[i - 1].next;
    return i == 0 ? NULL : &expired->nodes[i - 1];
}

static int add(struct ehi_expired *expired, struct ehi_slice arn, uint64_t seq, int64_t cutoff_us)
{
    int rc = reserve(expired);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_hash128 hash = ehi_hash128(arn.data, arn.length);
    struct ehi_expired_node *known = newest(expired, hash);
    if (known != NULL && known->cutoff_us <= cutoff_us) {
        known->seq = seq;
        known->cutoff_us = cutoff_us;
        return ECSHIST_OK;
    }
    uint32_t *bucket = bucket_of(expired, hash);
    expired->nodes[expired->node_count] = (struct ehi_expired_node){hash, seq, cutoff_us, *bucket};
    expired->node_count++;
    *bucket = expired->node_count;
    return ECSHIST_OK;
}

static int add_list(struct ehi_expired *expired, const struct ehi_expired_service *service,
                    enum ehi_arn_kind kind, const struct ehi_slice *ids, uint32_t count,
                    uint64_t seq)
{
    char text[EHI_ARN_BUFFER];
    int rc = ECSHIST_OK;
    for (uint32_t i = 0; i < count && rc == ECSHIST_OK; i++)
        rc = add(expired, ehi_expired_arn(service->arn, kind, ids[i], text), seq, INT64_MAX);
    return rc;
}

int ehi_expired_add(struct ehi_expired *expired, struct ehi_slice record,
                    struct ecshist_error *error)
{
    struct ehi_arena arena = {0};
    struct ehi_expiry expiry;
    int rc = ehi_expiry_decode(record, &arena, &expiry, error);
    uint64_t seq = ehi_get_le64(record.data + EHI_REC_SEQ);
    for (uint32_t i = 0; rc == ECSHIST_OK && i < expiry.count; i++) {
        const struct ehi_expired_service *s = &expiry.services[i];
        rc = add(expired, s->arn, seq, s->gone ? INT64_MAX : expiry.cutoff_us);
        if (rc == ECSHIST_OK)
            rc = add_list(expired, s, EHI_ARN_DEPLOYMENT, s->deployments, s->deployment_count, seq);
        if (rc == ECSHIST_OK)
            rc = add_list(expired, s, EHI_ARN_REVISION, s->revisions, s->revision_count, seq);
        if (rc != ECSHIST_OK)
            rc = ehi_fail_memory(error);
    }
    ehi_arena_free(&arena);
    if (rc == ECSHIST_OK)
        expired->last_seq = seq;
    return rc;
}

static int add_frame(struct ehi_expired *expired, const struct ehi_log *log,
                     const struct ehi_frame *frame, struct ecshist_error *error)
{
    struct ehi_slice rest = frame->payload, record;
    struct ehi_stored stored;
    struct ehi_arena arena = {0};
    /* It is always alone in its frame. */
    if (frame->record_count != 1 || !ehi_stored_next(&rest, frame->compressed, &stored) ||
        stored.type != EHI_HISTORY_EXPIRED)
        return ECSHIST_OK;
    int rc = ehi_log_expand(log, frame, &stored, &arena, &record, error);
    if (rc == ECSHIST_OK)
        rc = ehi_expired_add(expired, record, error);
    ehi_arena_free(&arena);
    return rc;
}

/* Frame by frame, all of them checked. */
static int read_checked(struct ehi_expired *expired, struct ehi_log *log, struct ehi_position from,
                        struct ecshist_error *error)
{
    enum ehi_verdict verdict = EHI_FRAME;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && verdict == EHI_FRAME) {
        struct ehi_frame frame;
        rc = ehi_log_next(log, &from, &frame, &verdict, error);
        if (rc == ECSHIST_OK && verdict == EHI_FRAME)
            rc = add_frame(expired, log, &frame, error);
    }
    return rc;
}

/* Only those that are wanted are checked. *whole: all that was found was good, and then the log ended. */
static int read_skimming(struct ehi_expired *expired, struct ehi_log *log, struct ehi_position from,
                         bool *whole, struct ecshist_error *error)
{
    bool found = true;
    int rc = ECSHIST_OK;
    *whole = false;
    while (rc == ECSHIST_OK && found) {
        struct ehi_frame frame;
        enum ehi_verdict verdict;
        rc = ehi_log_skim(log, EHI_HISTORY_EXPIRED, &from, &found, error);
        if (rc != ECSHIST_OK)
            return rc;
        if (ehi_log_next(log, &from, &frame, &verdict, NULL) != ECSHIST_OK)
            return ECSHIST_OK;
        *whole = !found && verdict != EHI_FRAME;
        if (verdict != EHI_FRAME)
            return ECSHIST_OK;
        rc = add_frame(expired, log, &frame, error);
    }
    return rc;
}

/*
 * Every frame is checked when it is folded, so that need not be done here too. But where something is wrong, all are: the error is
 * that of the first that is.
 */
int ehi_expired_read(struct ehi_expired *expired, struct ehi_log *log, struct ehi_position from,
                     struct ecshist_error *error)
{
    bool whole;
    int rc = read_skimming(expired, log, from, &whole, error);
    if (whole || (rc != ECSHIST_OK && rc != ECSHIST_DAMAGED))
        return rc;
    ehi_expired_free(expired);
    return read_checked(expired, log, from, error);
}

bool ehi_expired_has(const struct ehi_expired *expired, struct ehi_slice record)
{
    if (expired->last_seq == 0)
        return false;
    uint64_t seq = ehi_get_le64(record.data + EHI_REC_SEQ);
    size_t length = ehi_get_le16(record.data + EHI_REC_SUBJECT_BYTES);
    if (seq >= expired->last_seq || length > record.length - EHI_RECORD_HEADER_BYTES)
        return false;
    struct ehi_hash128 hash = ehi_hash128(record.data + EHI_RECORD_HEADER_BYTES, length);
    int64_t time_us = (int64_t)ehi_get_le64(record.data + EHI_REC_TIME);
    for (uint32_t i = *bucket_of(expired, hash); i != 0; i = expired->nodes[i - 1].next) {
        const struct ehi_expired_node *node = &expired->nodes[i - 1];
        if (ehi_hash128_equal(node->hash, hash) && seq < node->seq && time_us < node->cutoff_us)
            return true;
    }
    return false;
}

bool ehi_expired_restates(const struct ehi_expired *expired, struct ehi_slice service_arn,
                          uint64_t seq)
{
    if (expired->last_seq == 0)
        return false;
    const struct ehi_expired_node *node =
        newest(expired, ehi_hash128(service_arn.data, service_arn.length));
    return node != NULL && seq < node->seq;
}
