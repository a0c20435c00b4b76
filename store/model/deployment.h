/*
 * A deployment as folded from its events: its state, which is also its view. Slices and lists
 * borrow (from an arena, a record or an index page); whoever fills the struct says for how long.
 */
#ifndef EHI_MODEL_DEPLOYMENT_H
#define EHI_MODEL_DEPLOYMENT_H

#include "base/bytes.h"
#include "model/time.h"

/* ServiceRevisionSummary. */
struct ehi_revision_summary {
    struct ehi_slice arn;
    int64_t requested, running, pending;
    bool has_test_weight, has_production_weight;
    double test_weight, production_weight;
};

/* DeploymentLifecycleHookDetail. In an event, `has` says which members are named. */
struct ehi_hook {
    struct ehi_slice id, target_arn;             /* target_arn: data NULL where not set */
    uint8_t target_type, status, timeout_action; /* 0: not set */
    int64_t expires_at_us;                       /* EHI_TIME_NONE: not set */
    struct ehi_slice extra; /* MessagePack map of members we do not know, or empty */
};

/* What folding needs to know of a deploymentConfiguration. */
struct ehi_configuration {
    struct ehi_slice document; /* MessagePack map as it came; data NULL: not given */
    bool breaker_enabled, reset_on_healthy, alarms_enabled;
    uint8_t threshold_type; /* enum ehi_threshold */
    int64_t threshold_value;
    const struct ehi_slice *alarm_names;
    uint32_t alarm_count;
};

struct ehi_deployment {
    struct ehi_slice arn;
    uint64_t created_seq;       /* of the first event */
    uint64_t last_seq;          /* of the newest applied event */
    uint64_t last_observed_seq; /* 0: never observed */
    uint8_t status;             /* ecshist_deployment_status */
    uint8_t stage;              /* 0: not set */
    int64_t created_at_us, started_at_us, finished_at_us, stopped_at_us,
        updated_at_us;              /* or EHI_TIME_NONE */
    struct ehi_slice status_reason; /* data NULL: not set; the same for every optional text */
    struct ehi_revision_summary target;
    struct ehi_revision_summary *sources;
    uint32_t source_count;
    struct ehi_configuration configuration;
    bool has_rollback;
    struct ehi_slice rollback_reason, rollback_revision_arn;
    int64_t rollback_started_at_us;
    uint8_t breaker_status; /* enum ehi_monitor */
    int64_t failure_count, threshold;
    bool has_desired;    /* a desiredCount was ever given */
    int64_t known_count; /* that, or T's newest requestedTaskCount > 0; 0: none known */
    uint8_t alarm_status;
    const struct ehi_slice *alarm_names; /* shown; as configured, or as observed */
    uint32_t alarm_count;
    const struct ehi_slice *triggered_alarms;
    uint32_t triggered_count;
    struct ehi_hook *hooks;
    uint32_t hook_count;
    struct ehi_slice extra; /* MessagePack map: members of an observation that we do not know */
};

/* A revision: where its document is. */
struct ehi_revision {
    struct ehi_slice arn;
    uint64_t document_seq; /* of the event that holds the document as it is shown now */
    uint64_t first_seq;
    bool observed; /* revision-observed, else revision-created */
    int64_t
        created_at_us; /* revision-created: its time; observed: as the document has it, or none */
    struct ehi_slice document; /* MessagePack map; where it was read, else empty */
};

/* A service. */
struct ehi_service {
    struct ehi_slice arn;
    uint64_t first_seq; /* of its first event, or of the newest history-expired that restated it */
    bool restated;      /* something of it has expired */
    bool inactive;
    uint64_t by_status[16];
    struct ehi_slice current_revision_arn; /* data NULL: none */
    int64_t current_finished_at_us;        /* of the deployment that set it */
    uint64_t current_created_seq;
    /* The current revision as the newest history-expired stated it: its deployment may be gone. */
    struct ehi_slice stated_revision_arn; /* data NULL: none */
    int64_t stated_finished_at_us;
    uint64_t stated_created_seq;
};

#endif
