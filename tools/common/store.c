#include "common/store.h"

#include "common/program.h"
#include "common/progress.h"

#include <stdlib.h>

const char *tool_store_path(const char *option)
{
    const char *environment = getenv("ECSHIST_STORE");

    if (option != NULL) {
        return option;
    }
    return environment != NULL && environment[0] != '\0' ? environment : "./ecshist-store";
}

int tool_open_store(const char *option, unsigned flags, ecshist_store **out)
{
    static char what[] = "rebuilding the index";
    const char *path = tool_store_path(option);
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int code;

    options.flags = flags;
    options.progress = tool_progress_callback;
    options.progress_context = what;
    code = ecshist_open(path, &options, out, &error);
    tool_progress_hide();
    if (code == ECSHIST_NO_STORE) {
        tool_complain("there is no store at %s (--store DIR or $ECSHIST_STORE names one; "
                      "ecshist-ingest makes one)",
                      path);
    } else if (code == ECSHIST_END) {
        tool_complain("%s: stopped before its index was rebuilt", path);
    } else if (code != ECSHIST_OK) {
        tool_complain("cannot open %s: %s%s%s", path, error.place,
                      error.place[0] != '\0' ? ": " : "", error.message);
    }
    return code;
}
