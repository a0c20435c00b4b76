#include "admin/admin.h"
#include "common/program.h"
#include "common/progress.h"
#include "common/safe.h"
#include "common/stop.h"
#include "common/store.h"

#include <ecshist/verify.h>
#include <inttypes.h>
#include <stdio.h>

/* "L3  00000000000000000001.seg:4096  event 17  TEXT": what does not apply is a dash. */
static bool put_finding(void *context, const struct ecshist_finding *finding)
{
    uint64_t *told = context;

    tool_progress_hide();
    printf("%-3s  ", finding->invariant);
    if (finding->segment != 0) {
        printf("%020" PRIu64 ".seg:%" PRIu64 "  ", finding->segment, finding->offset);
    } else {
        fputs("-  ", stdout);
    }
    if (finding->seq != 0) {
        printf("event %" PRIu64 "  ", finding->seq);
    } else {
        fputs("-  ", stdout);
    }
    tool_put_safe(stdout, finding->text);
    putchar('\n');
    (*told)++;
    return !tool_stop_asked() && !tool_output_failed();
}

static int put_summary(const struct ecshist_verify_result *result, uint64_t told, bool quick)
{
    if (told < result->finding_count) {
        printf("and %" PRIu64 " more, of the same kinds\n", result->finding_count - told);
    }
    printf("%" PRIu64 " segments, %" PRIu64 " frames, %" PRIu64 " events", result->segments,
           result->frames, result->events);
    if (result->events_checked) {
        printf(", %" PRIu64 " subjects", result->subjects);
    }
    if (!quick && !result->events_checked) {
        fputs(" (views and index not checked: the log is damaged)", stdout);
    } else if (!quick && !result->index_checked) {
        fputs(" (the index could not be read to its end)", stdout);
    }
    if (result->finding_count == 0) {
        puts(": all is well");
        return TOOL_EXIT_OK;
    }
    printf(": %" PRIu64 " finding%s\n", result->finding_count,
           result->finding_count == 1 ? "" : "s");
    return TOOL_EXIT_REFUSED;
}

int admin_verify(const struct admin_arguments *arguments)
{
    static char what[] = "verifying";
    const char *path = tool_store_path(arguments->store);
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    uint64_t told = 0;
    int code;

    options.flags = arguments->quick ? ECSHIST_VERIFY_QUICK : 0;
    options.progress = tool_progress_callback;
    options.progress_context = what;
    code = ecshist_verify(path, &options, put_finding, &told, &result, &error);
    tool_progress_hide();
    if (code == ECSHIST_OK) {
        return put_summary(&result, told, arguments->quick);
    }
    if (code == ECSHIST_END) {
        tool_complain("stopped before its end");
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    tool_complain("cannot verify %s: %s", path, error.message);
    return TOOL_EXIT_STORE;
}
