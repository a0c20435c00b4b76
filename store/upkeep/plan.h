/*
 * What a compaction would remove, by the rules of retention: decided on one snapshot, with nothing locked; then, step by
 * step under the writers' lock, taken as far as nothing has happened to it meanwhile.
 */
#ifndef EHI_UPKEEP_PLAN_H
#define EHI_UPKEEP_PLAN_H

#include "base/arena.h"
#include "base/hash_map.h"
#include "codec/expiry.h"
#include "fold/store.h"

struct ehi_retention {
    int64_t cutoff_us; /* what is of before */
    bool keep_last;
};

/* A deployment or a revision that goes. */
struct ehi_planned {
    struct ehi_slice id; /* the last part of its ARN */
    uint64_t subject_id;
};

struct ehi_planned_list {
    struct ehi_planned *items;
    uint32_t count, capacity;
};

struct ehi_planned_service {
    uint64_t subject_id;
    struct ehi_slice arn;
    bool inactive, own_events_go, gone;
    bool unsettled;     /* something happened to it that may change what stays: it is left */
    uint32_t remaining; /* deployments, revisions and own events that stay */
    struct ehi_planned_list deployments, revisions;
};

struct ehi_plan {
    struct ehi_retention retention;
    struct ehi_arena arena;
    struct ehi_planned_service *services;
    uint32_t service_count;
    struct ehi_hash_map service_numbers; /* by the hash of the ARN */
    struct ehi_hash_map referenced;      /* revisions that something names that stays */
    struct ehi_hash_map touched; /* deployments and revisions with events since the snapshot */
    struct ehi_position seen;    /* all events before it are reckoned with */
    uint64_t newest_seq;         /* of the known events of what goes */
    uint64_t deployment_count, revision_count, gone_count, event_count, kept_count;
    /* Where the taking is. */
    uint32_t at_service, at_deployment, at_revision;
    uint64_t passed_count;
};

/* Of the store as it stands. plan: all zero but retention; free it on failure too. */
int ehi_plan_make(struct ehi_plan *plan, struct ehi_store *store, struct ecshist_error *error)
    ECSHIST_CHECKED;
void ehi_plan_free(struct ehi_plan *plan);
/* Reckons with the events before next_seq that came since. */
int ehi_plan_follow(struct ehi_plan *plan, struct ehi_log *log, uint64_t next_seq,
                    struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * The next `most` subjects, with what their services' views are to keep, read in the transaction. All events that it shows
 * must have been followed. Nothing in *out, and not ehi_plan_done: everything looked at had to be passed over.
 */
int ehi_plan_take(struct ehi_plan *plan, struct ehi_db_txn *txn, uint32_t most,
                  struct ehi_arena *arena, struct ehi_expiry *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
bool ehi_plan_done(const struct ehi_plan *plan);

#endif
