#include "admin/admin.h"
#include "common/program.h"
#include "common/progress.h"
#include "common/stop.h"
#include "common/store.h"

#include <ecshist/backup.h>
#include <inttypes.h>
#include <stdio.h>

static int backup(ecshist_store *store, const char *to)
{
    static char what[] = "backing up";
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_backup_options options = ECSHIST_BACKUP_OPTIONS_INIT;
    struct ecshist_backup_result result = ECSHIST_BACKUP_RESULT_INIT;
    int code;

    options.progress = tool_progress_callback;
    options.progress_context = what;
    code = ecshist_backup(store, to, &options, &result, &error);
    tool_progress_hide();
    if (code == ECSHIST_END) {
        tool_complain("stopped; there is no backup");
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    if (code != ECSHIST_OK) {
        return tool_complain_error(&error);
    }
    printf("backed up and verified: events up to %" PRIu64 ", %" PRIu64 " segment%s, ",
           result.last_seq, result.segments, result.segments == 1 ? "" : "s");
    admin_put_bytes(result.bytes);
    putchar('\n');
    return TOOL_EXIT_OK;
}

int admin_backup(const struct admin_arguments *arguments)
{
    ecshist_store *store = NULL;
    int code;

    if (tool_open_store(arguments->store, ECSHIST_OPEN_READ_ONLY, &store) != ECSHIST_OK) {
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    code = backup(store, arguments->operand);
    ecshist_close(store);
    return code;
}
