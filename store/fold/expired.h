/*
 * What the log says has expired, from its history-expired events: asked of each event when the log is folded
 * anew, since some segments may be cleaned of expired events and others not.
 */
#ifndef EHI_FOLD_EXPIRED_H
#define EHI_FOLD_EXPIRED_H

#include "base/error.h"
#include "base/hash.h"
#include "log/log.h"

struct ehi_expired_node;

/* All zero is an empty one. One thread at a time. */
struct ehi_expired {
    struct ehi_expired_node *nodes;
    uint32_t *buckets; /* index of a node + 1; 0: none */
    uint32_t node_count, node_capacity, bucket_count;
    uint64_t last_seq; /* of the newest history-expired; 0: nothing has expired */
};

void ehi_expired_free(struct ehi_expired *expired);
/* One history-expired, in the order of seq. DAMAGED, NO_MEMORY. */
int ehi_expired_add(struct ehi_expired *expired, struct ehi_slice record,
                    struct ecshist_error *error) ECSHIST_CHECKED;
/* All that the log has from the position on. As of ehi_log_next; stops at the tail. */
int ehi_expired_read(struct ehi_expired *expired, struct ehi_log *log, struct ehi_position from,
                     struct ecshist_error *error) ECSHIST_CHECKED;
/* The event of this stored record has expired. */
bool ehi_expired_has(const struct ehi_expired *expired, struct ehi_slice record);
/* A later history-expired states what became of this service, whatever the event says. */
bool ehi_expired_restates(const struct ehi_expired *expired, struct ehi_slice service_arn,
                          uint64_t seq);

#endif
