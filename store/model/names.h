/*
 * The enumerations of the ECS API as numbers. The numbers are stored: chosen by hand, never given
 * another meaning. 0 is "not set". Deployment statuses are ecshist_deployment_status of
 * <ecshist/query.h>.
 */
#ifndef EHI_MODEL_NAMES_H
#define EHI_MODEL_NAMES_H

#include "base/bytes.h"

enum ehi_enum {
    EHI_ENUM_STATUS,
    EHI_ENUM_MONITOR,
    EHI_ENUM_STAGE,
    EHI_ENUM_HOOK_TARGET,
    EHI_ENUM_HOOK_STATUS,
    EHI_ENUM_HOOK_ACTION,
    EHI_ENUM_STOP_TYPE,
    EHI_ENUM_THRESHOLD
};

enum ehi_monitor {
    EHI_TRIGGERED = 1,
    EHI_MONITORING = 2,
    EHI_MONITORING_COMPLETE = 3,
    EHI_DISABLED = 4
};
/* RECONCILE_SERVICE = 1 … CLEAN_UP = 10, in the order of the API's ServiceDeploymentLifecycleStage
 */
enum ehi_hook_target { EHI_AWS_LAMBDA = 1, EHI_PAUSE = 2 };
enum ehi_hook_status {
    EHI_AWAITING_ACTION = 1,
    EHI_HOOK_IN_PROGRESS = 2,
    EHI_HOOK_SUCCEEDED = 3,
    EHI_HOOK_FAILED = 4,
    EHI_HOOK_TIMED_OUT = 5
};
enum ehi_action { EHI_ACTION_ROLLBACK = 1, EHI_ACTION_CONTINUE = 2 };
enum ehi_stop_type { EHI_STOP_ABORT = 1, EHI_STOP_ROLLBACK = 2 };
enum ehi_threshold { EHI_COUNT = 1, EHI_BOUNDED_PERCENT = 2, EHI_UNBOUNDED_PERCENT = 3 };

/* The name of a number, NULL where it has none. Static. */
const char *ehi_enum_name(enum ehi_enum which, int number);
/* The same as a slice; data NULL where it has none. */
struct ehi_slice ehi_enum_text(enum ehi_enum which, int number);
/* The number of a name, 0 where there is none. */
int ehi_enum_number(enum ehi_enum which, struct ehi_slice name);
/* All names for an error's text: "PENDING, SUCCESSFUL, …". Static. */
const char *ehi_enum_list(enum ehi_enum which);

bool ehi_status_terminal(int status);

#endif
