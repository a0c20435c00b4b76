/*
 * The body of a history-expired event: what a compaction removed, by service. An event is expired by a later
 * history-expired that lists its deployment or its revision; an event of a listed service itself, where it is dated
 * before the cutoff or the service is gone. What the service's view keeps of them is stated here, once and for all.
 */
#ifndef EHI_CODEC_EXPIRY_H
#define EHI_CODEC_EXPIRY_H

#include "base/arena.h"
#include "base/error.h"
#include "model/event.h"

/* A list's IDs are the last parts of the ARNs. */
struct ehi_expired_service {
    struct ehi_slice arn;
    bool gone; /* the service itself; nothing below is stated then but the lists */
    bool inactive;
    struct ehi_slice current_revision_arn; /* data NULL: none; then the two below mean nothing */
    int64_t current_finished_at_us;
    uint64_t current_created_seq;
    struct ehi_slice *deployments, *revisions;
    uint32_t deployment_count, revision_count;
};

struct ehi_expiry {
    int64_t cutoff_us;
    bool keep_last;
    struct ehi_expired_service *services;
    uint32_t count;
};

/* Appends one record, to be stamped. time_us: the compaction's now. LIMIT, NO_MEMORY. */
int ehi_expiry_encode(const struct ehi_expiry *expiry, int64_t time_us, struct ehi_buffer *out,
                      struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Of a stored record of type history-expired. Borrows from it; lists come from the arena. DAMAGED where it is not what
 * it must be; NO_MEMORY.
 */
int ehi_expiry_decode(struct ehi_slice record, struct ehi_arena *arena, struct ehi_expiry *out,
                      struct ecshist_error *error) ECSHIST_CHECKED;
/* The ARN of a deployment or revision of a list, in buffer. */
struct ehi_slice ehi_expired_arn(struct ehi_slice service_arn, enum ehi_arn_kind kind,
                                 struct ehi_slice id, char buffer[EHI_ARN_BUFFER]);

#endif
