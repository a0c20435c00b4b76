#include "admin/admin.h"
#include "common/program.h"
#include "common/stop.h"
#include "common/store.h"

#include <inttypes.h>
#include <stdio.h>

/* The old index is not looked at: it may be damaged so that reading it is not safe. */
int admin_rebuild_index(const struct admin_arguments *arguments)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    ecshist_store *store = NULL;
    int code = TOOL_EXIT_OK;

    if (tool_open_store(arguments->store, ECSHIST_OPEN_REBUILD, &store) != ECSHIST_OK) {
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    if (ecshist_stat(store, &stat, &error) == ECSHIST_OK) {
        printf("rebuilt from %" PRIu64 " events, %" PRIu64 " bytes of log\n", stat.event_count,
               stat.log_used_bytes);
    } else {
        code = tool_complain_error(&error);
    }
    ecshist_close(store);
    return code;
}
