#include "admin/admin.h"
#include "common/program.h"
#include "common/progress.h"
#include "common/stop.h"
#include "common/store.h"

#include <inttypes.h>
#include <stdio.h>

static int rebuild(ecshist_store *store)
{
    static char what[] = "rebuilding the index";
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    int code = ecshist_rebuild_index(store, tool_progress_callback, what, &error);

    tool_progress_hide();
    if (code == ECSHIST_END) {
        tool_complain("stopped; the old index stands");
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    if (code != ECSHIST_OK || ecshist_stat(store, &stat, &error) != ECSHIST_OK) {
        return tool_complain_error(&error);
    }
    printf("rebuilt from %" PRIu64 " events, %" PRIu64 " bytes of log\n", stat.event_count,
           stat.log_used_bytes);
    return TOOL_EXIT_OK;
}

int admin_rebuild_index(const struct admin_arguments *arguments)
{
    ecshist_store *store = NULL;
    int code;

    if (tool_open_store(arguments->store, 0, &store) != ECSHIST_OK) {
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    code = rebuild(store);
    ecshist_close(store);
    return code;
}
