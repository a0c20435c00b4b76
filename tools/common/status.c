#include "common/status.h"

#include <ecshist/query.h>

const char *tool_status_name(unsigned status)
{
    static const char *const names[] = {
        [ECSHIST_STATUS_NONE] = "",
        [ECSHIST_STATUS_PENDING] = "PENDING",
        [ECSHIST_STATUS_SUCCESSFUL] = "SUCCESSFUL",
        [ECSHIST_STATUS_STOPPED] = "STOPPED",
        [ECSHIST_STATUS_STOP_REQUESTED] = "STOP_REQUESTED",
        [ECSHIST_STATUS_IN_PROGRESS] = "IN_PROGRESS",
        [ECSHIST_STATUS_ROLLBACK_REQUESTED] = "ROLLBACK_REQUESTED",
        [ECSHIST_STATUS_ROLLBACK_IN_PROGRESS] = "ROLLBACK_IN_PROGRESS",
        [ECSHIST_STATUS_ROLLBACK_SUCCESSFUL] = "ROLLBACK_SUCCESSFUL",
        [ECSHIST_STATUS_ROLLBACK_FAILED] = "ROLLBACK_FAILED",
    };

    _Static_assert(sizeof(names) / sizeof(names[0]) == TOOL_STATUS_COUNT + 1, "a name for each");
    return status <= TOOL_STATUS_COUNT ? names[status] : "";
}
