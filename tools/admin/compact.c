#include "admin/admin.h"
#include "common/program.h"
#include "common/progress.h"
#include "common/stop.h"
#include "common/store.h"

#include <ecshist/compact.h>
#include <ecshist/event.h>
#include <inttypes.h>
#include <stdio.h>

#define DAY_US (INT64_C(24) * 3600 * 1000000)

static void put_bytes(const char *what, uint64_t before, uint64_t after)
{
    printf("%s ", what);
    admin_put_bytes(before);
    fputs(" -> ", stdout);
    admin_put_bytes(after);
    putchar('\n');
}

static void report(const struct ecshist_compact_result *r, bool dry_run)
{
    char cutoff[ECSHIST_TIME_TEXT_BYTES];

    printf("%s %" PRIu64 " deployments, %" PRIu64 " revisions, %" PRIu64 " services (%" PRIu64
           " events) that ended before %s\n",
           dry_run ? "would remove" : "removed", r->deployment_count, r->revision_count,
           r->service_count, r->event_count,
           ecshist_time_format(r->cutoff_us, ECSHIST_JSON_CLI, cutoff));
    printf("kept %" PRIu64 " deployments as the last successful one of their service\n",
           r->kept_count);
    if (r->passed_count > 0) {
        printf("left %" PRIu64 " for the next time: something happened to them meanwhile\n",
               r->passed_count);
    }
    if (!dry_run) {
        printf("cleaned %" PRIu64 " segments; appends waited for at most %.1f ms\n",
               r->segments_cleaned, (double)r->longest_step_us / 1000);
        put_bytes("log  ", r->log_bytes_before, r->log_bytes_after);
        put_bytes("index", r->index_bytes_before, r->index_bytes_after);
    }
}

static int compact(const struct admin_arguments *arguments, ecshist_store *store)
{
    static char what[] = "compacting";
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    struct ecshist_compact_result result = ECSHIST_COMPACT_RESULT_INIT;
    int code;

    options.flags = (arguments->dry_run ? ECSHIST_COMPACT_DRY_RUN : 0u) |
                    (arguments->forget_last ? ECSHIST_COMPACT_FORGET_LAST : 0u);
    options.retention_us = (int64_t)arguments->retention_days * DAY_US;
    options.has_now = arguments->has_now;
    options.now_us = arguments->now_us;
    options.progress = tool_progress_callback;
    options.progress_context = what;
    code = ecshist_compact(store, &options, &result, &error);
    tool_progress_hide();
    if (code != ECSHIST_OK && code != ECSHIST_END) {
        return tool_complain_error(&error);
    }
    report(&result, arguments->dry_run);
    if (code == ECSHIST_END) {
        tool_complain("stopped; the next compact goes on");
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    return TOOL_EXIT_OK;
}

int admin_compact(const struct admin_arguments *arguments)
{
    unsigned flags = arguments->dry_run ? ECSHIST_OPEN_READ_ONLY : 0;
    ecshist_store *store = NULL;
    int code;

    if (tool_open_store(arguments->store, flags, &store) != ECSHIST_OK) {
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    code = compact(arguments, store);
    ecshist_close(store);
    return code;
}
