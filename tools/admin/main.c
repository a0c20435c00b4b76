/* ecshist-admin: looking after a store. A command is a function of its own, in a table. */
#include "admin/admin.h"
#include "common/options.h"
#include "common/program.h"
#include "common/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: ecshist-admin COMMAND [OPTION...]\n"
    "\n"
    "  stat            events, deployments by status, bytes of log and index, readers\n"
    "    --output json     the same as JSON\n"
    "  rebuild-index   make the index anew from the log, beside the old one, and swap it in:\n"
    "                  readers go on meanwhile, appends wait\n"
    "\n"
    "  --store DIR     the store (else $ECSHIST_STORE, else ./ecshist-store)\n"
    "  --help, --version\n"
    "\n"
    "Exit code: 0 done, 2 usage, 3 the store could not be opened, read or written.\n"
    "\n"
    "Example:\n"
    "  ecshist-admin stat --store /var/lib/ecshist\n";

static const struct command {
    const char *name;
    bool has_output;
    int (*run)(const struct admin_arguments *arguments);
} commands[] = {
    {"stat", true, admin_stat},
    {"rebuild-index", false, admin_rebuild_index},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int choose_command(const struct tool_list *operands, const struct command **out)
{
    const char *names[COMMAND_COUNT];
    const char *near;

    if (operands->count == 0) {
        return tool_usage_error("a command is needed: stat or rebuild-index");
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
        if (strcmp(operands->items[0], commands[i].name) == 0) {
            *out = &commands[i];
        }
    }
    if (*out != NULL) {
        return operands->count == 1
                   ? TOOL_GO_ON
                   : tool_usage_error("an argument too many: %s", operands->items[1]);
    }
    near = tool_nearest(operands->items[0], names, COMMAND_COUNT);
    if (near == NULL) {
        return tool_usage_error("unknown command %s", operands->items[0]);
    }
    return tool_usage_error("unknown command %s; did you mean %s?", operands->items[0], near);
}

static int parse_arguments(int argc, char **argv, struct admin_arguments *out,
                           struct tool_list *operands, const struct command **command)
{
    const char *output = NULL;
    struct tool_option options[] = {
        TOOL_VALUE("--store", &out->store),
        TOOL_VALUE("--output", &output),
    };
    int code = tool_options_parse(options, sizeof(options) / sizeof(options[0]), help, argc, argv,
                                  operands);

    if (code == TOOL_GO_ON) {
        code = choose_command(operands, command);
    }
    if (code != TOOL_GO_ON || output == NULL) {
        return code;
    }
    if (!(*command)->has_output) {
        return tool_usage_error("--output is not an option of %s", (*command)->name);
    }
    out->as_json = strcmp(output, "json") == 0;
    return out->as_json || strcmp(output, "text") == 0
               ? TOOL_GO_ON
               : tool_usage_error("--output: json or text, not '%s'", output);
}

int main(int argc, char **argv)
{
    struct admin_arguments arguments = {NULL, false};
    struct tool_list operands = {NULL, 0};
    const struct command *command = NULL;
    int code;

    tool_start("ecshist-admin");
    code = parse_arguments(argc, argv, &arguments, &operands, &command);
    if (code == TOOL_GO_ON) {
        tool_stop_install();
        code = command->run(&arguments);
    }
    free(operands.items);
    return tool_finish(code);
}
