#include "model/event.h"

#define TYPE(name, kind)                                                                           \
    {                                                                                              \
        name, sizeof(name) - 1, kind                                                               \
    }
#define NO_SUBJECT ((enum ehi_arn_kind)0)

/* The catalogue: by number, the name and what the subject is. */
static const struct {
    const char *name;
    size_t length;
    enum ehi_arn_kind subject;
} types[EHI_EVENT_TYPE_MAX + 1] = {
    [EHI_REVISION_CREATED] = TYPE("revision-created", EHI_ARN_REVISION),
    [EHI_DEPLOYMENT_CREATED] = TYPE("deployment-created", EHI_ARN_DEPLOYMENT),
    [EHI_DEPLOYMENT_STARTED] = TYPE("deployment-started", EHI_ARN_DEPLOYMENT),
    [EHI_TASKS_UPDATED] = TYPE("tasks-updated", EHI_ARN_DEPLOYMENT),
    [EHI_TASK_FAILED] = TYPE("task-failed", EHI_ARN_DEPLOYMENT),
    [EHI_TASK_HEALTHY] = TYPE("task-healthy", EHI_ARN_DEPLOYMENT),
    [EHI_ALARM_TRIGGERED] = TYPE("alarm-triggered", EHI_ARN_DEPLOYMENT),
    [EHI_STAGE_CHANGED] = TYPE("lifecycle-stage-changed", EHI_ARN_DEPLOYMENT),
    [EHI_HOOK_UPDATED] = TYPE("lifecycle-hook-updated", EHI_ARN_DEPLOYMENT),
    [EHI_HOOK_ACTION_REQUESTED] = TYPE("hook-action-requested", EHI_ARN_DEPLOYMENT),
    [EHI_STOP_REQUESTED] = TYPE("stop-requested", EHI_ARN_DEPLOYMENT),
    [EHI_ROLLBACK_STARTED] = TYPE("rollback-started", EHI_ARN_DEPLOYMENT),
    [EHI_ROLLBACK_SUCCEEDED] = TYPE("rollback-succeeded", EHI_ARN_DEPLOYMENT),
    [EHI_ROLLBACK_FAILED] = TYPE("rollback-failed", EHI_ARN_DEPLOYMENT),
    [EHI_DEPLOYMENT_SUCCEEDED] = TYPE("deployment-succeeded", EHI_ARN_DEPLOYMENT),
    [EHI_DEPLOYMENT_STOPPED] = TYPE("deployment-stopped", EHI_ARN_DEPLOYMENT),
    [EHI_DEPLOYMENT_OBSERVED] = TYPE("deployment-observed", EHI_ARN_DEPLOYMENT),
    [EHI_REVISION_OBSERVED] = TYPE("revision-observed", EHI_ARN_REVISION),
    [EHI_SERVICE_DELETED] = TYPE("service-deleted", EHI_ARN_SERVICE),
    [EHI_HISTORY_EXPIRED] = TYPE("history-expired", NO_SUBJECT),
};

static bool known(int type)
{
    return type >= 1 && type <= EHI_EVENT_TYPE_MAX;
}

const char *ehi_event_type_name(int type)
{
    return known(type) ? types[type].name : NULL;
}

int ehi_event_type_number(struct ehi_slice name)
{
    for (int i = 1; i <= EHI_EVENT_TYPE_MAX; i++) {
        if (types[i].length == name.length && memcmp(types[i].name, name.data, name.length) == 0)
            return i;
    }
    return 0;
}

enum ehi_arn_kind ehi_event_subject_kind(int type)
{
    return known(type) ? types[type].subject : NO_SUBJECT;
}
