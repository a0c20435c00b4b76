/* An event in its checked, typed form: what folding reads. Borrows from the record it was decoded
 * from. */
#ifndef EHI_MODEL_EVENT_H
#define EHI_MODEL_EVENT_H

#include "base/bytes.h"
#include "model/arn.h"
#include "model/deployment.h"

/* Stored numbers: never given another meaning. */
enum ehi_event_type {
    EHI_REVISION_CREATED = 1,
    EHI_DEPLOYMENT_CREATED = 2,
    EHI_DEPLOYMENT_STARTED = 3,
    EHI_TASKS_UPDATED = 4,
    EHI_TASK_FAILED = 5,
    EHI_TASK_HEALTHY = 6,
    EHI_ALARM_TRIGGERED = 7,
    EHI_STAGE_CHANGED = 8,
    EHI_HOOK_UPDATED = 9,
    EHI_HOOK_ACTION_REQUESTED = 10,
    EHI_STOP_REQUESTED = 11,
    EHI_ROLLBACK_STARTED = 12,
    EHI_ROLLBACK_SUCCEEDED = 13,
    EHI_ROLLBACK_FAILED = 14,
    EHI_DEPLOYMENT_SUCCEEDED = 15,
    EHI_DEPLOYMENT_STOPPED = 16,
    EHI_DEPLOYMENT_OBSERVED = 17,
    EHI_REVISION_OBSERVED = 18,
    EHI_SERVICE_DELETED = 19,
    EHI_HISTORY_EXPIRED = 20 /* only the store writes it */
};
#define EHI_EVENT_TYPE_MAX 20

enum { EHI_EVENT_IGNORED = 1 }; /* flags of a record */

enum { /* ehi_summary_update.has */
       EHI_HAS_REQUESTED = 1,
       EHI_HAS_RUNNING = 2,
       EHI_HAS_PENDING = 4,
       EHI_HAS_TEST = 8,
       EHI_HAS_PRODUCTION = 16
};
struct ehi_summary_update {
    struct ehi_revision_summary summary;
    unsigned has;
};

struct ehi_event {
    uint64_t seq;
    int64_t recorded_at_us, time_us;
    enum ehi_event_type type;
    unsigned flags;
    struct ehi_slice subject; /* the subject's ARN */
    struct ehi_arn arn;       /* the same, parsed: a deployment, a revision or a service */
    struct ehi_slice id;      /* as given; empty where it is derived */
    struct ehi_slice body;    /* MessagePack map: all members but envelope, subject and id */

    /* By type; optional texts have data NULL where absent. */
    struct ehi_slice target_arn; /* created, started */
    bool has_sources;
    const struct ehi_slice *sources;
    uint32_t source_count;
    struct ehi_configuration configuration; /* created, started; document.data NULL: absent */
    bool has_desired;                       /* created, started, tasks-updated */
    int64_t desired_count;
    int64_t created_at_us;                    /* started; EHI_TIME_NONE: absent */
    const struct ehi_summary_update *updates; /* tasks-updated */
    uint32_t update_count;
    struct ehi_slice task_arn;     /* task-failed, task-healthy */
    struct ehi_slice revision_arn; /* task-failed, task-healthy, rollback-started; or absent */
    struct ehi_slice reason;
    const struct ehi_slice *alarm_names; /* alarm-triggered */
    uint32_t alarm_count;
    uint8_t stage;                         /* lifecycle-stage-changed */
    struct ehi_hook hook;                  /* lifecycle-hook-updated */
    struct ehi_slice hook_id;              /* hook-action-requested */
    uint8_t action;                        /* hook-action-requested; default filled in */
    uint8_t stop_type;                     /* stop-requested; default filled in */
    struct ehi_slice document;             /* revision-created, revision-observed: the map */
    int64_t document_created_at_us;        /* revision-observed: its createdAt or EHI_TIME_NONE */
    const struct ehi_deployment *observed; /* deployment-observed: the view it states */
};

const char *ehi_event_type_name(int type);          /* NULL: none such */
int ehi_event_type_number(struct ehi_slice name);   /* 0: none such */
enum ehi_arn_kind ehi_event_subject_kind(int type); /* 0 for none */

#endif
