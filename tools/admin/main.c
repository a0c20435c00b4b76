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
    "  stat            events, deployments by status, bytes of log and index, readers, and\n"
    "                  what compact would remove\n"
    "    --output json     the same as JSON\n"
    "  compact         remove what is older than its time, and give its bytes back; appends and\n"
    "                  reads go on meanwhile; stopped anywhere, the next one goes on\n"
    "    --retention-days N   keep what ended in the last N days (90)\n"
    "    --keep-last 0|1      1 (unless set): keep each ACTIVE service's last SUCCESSFUL "
    "deployment\n"
    "    --now TIME           count from then, not from now\n"
    "    --dry-run            say what would go\n"
    "  backup DIR      copy the store to DIR, consistent and verified, while appends and reads go "
    "on;\n"
    "                  restoring is copying it back\n"
    "  rebuild-index   make the index anew from the log, beside the old one, and swap it in:\n"
    "                  readers go on meanwhile, appends wait\n"
    "  verify          check every byte of the log, every event, the index against both; change\n"
    "                  nothing. A line for each finding: invariant, segment and offset, event\n"
    "    --quick           the log's bytes only\n"
    "\n"
    "  --store DIR     the store (else $ECSHIST_STORE, else ./ecshist-store)\n"
    "  --help, --version\n"
    "\n"
    "Exit code: 0 done, 1 verify has found something, 2 usage, 3 the store could not be opened,\n"
    "read or written.\n"
    "\n"
    "Example:\n"
    "  ecshist-admin stat --store /var/lib/ecshist\n";

/* The bound keeps the days, in microseconds, far from the end of their type. */
enum { DEFAULT_DAYS = 90, MOST_DAYS = 100000 };

/* Options that only some commands have. */
enum { HAS_OUTPUT = 1, HAS_RETENTION = 2, HAS_QUICK = 4, HAS_OPERAND = 8 };

static const struct command {
    const char *name;
    unsigned has;
    int (*run)(const struct admin_arguments *arguments);
} commands[] = {
    {"stat", HAS_OUTPUT, admin_stat},      {"compact", HAS_RETENTION, admin_compact},
    {"backup", HAS_OPERAND, admin_backup}, {"rebuild-index", 0, admin_rebuild_index},
    {"verify", HAS_QUICK, admin_verify},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int choose_command(const struct tool_list *operands, const struct command **out)
{
    const char *names[COMMAND_COUNT];
    const char *near;

    if (operands->count == 0) {
        return tool_usage_error(
            "a command is needed: stat, compact, backup, rebuild-index or verify");
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
        if (strcmp(operands->items[0], commands[i].name) == 0) {
            *out = &commands[i];
        }
    }
    if (*out != NULL) {
        size_t wanted = ((*out)->has & HAS_OPERAND) != 0 ? 2 : 1;
        if (operands->count < wanted) {
            return tool_usage_error("%s what? A directory is needed", (*out)->name);
        }
        return operands->count == wanted
                   ? TOOL_GO_ON
                   : tool_usage_error("an argument too many: %s", operands->items[wanted]);
    }
    near = tool_nearest(operands->items[0], names, COMMAND_COUNT);
    if (near == NULL) {
        return tool_usage_error("unknown command %s", operands->items[0]);
    }
    return tool_usage_error("unknown command %s; did you mean %s?", operands->items[0], near);
}

/* Values as they were given; NULL: not. */
struct given {
    const char *output, *retention_days, *keep_last, *now;
};

static int check_given(const struct given *given, const struct admin_arguments *arguments,
                       const struct command *command)
{
    if (given->output != NULL && (command->has & HAS_OUTPUT) == 0) {
        return tool_usage_error("--output is not an option of %s", command->name);
    }
    bool retention = given->retention_days != NULL || given->keep_last != NULL ||
                     given->now != NULL || arguments->dry_run;
    if (retention && (command->has & HAS_RETENTION) == 0) {
        return tool_usage_error("--retention-days, --keep-last, --now and --dry-run are options of "
                                "compact, not of %s",
                                command->name);
    }
    if (arguments->quick && (command->has & HAS_QUICK) == 0) {
        return tool_usage_error("--quick is not an option of %s", command->name);
    }
    return TOOL_GO_ON;
}

static int read_given(const struct given *given, struct admin_arguments *out)
{
    uint64_t keep_last = 1;
    int code = tool_number_option("--retention-days", given->retention_days, 1, MOST_DAYS,
                                  &out->retention_days);

    if (code == TOOL_GO_ON) {
        code = tool_number_option("--keep-last", given->keep_last, 0, 1, &keep_last);
    }
    if (code == TOOL_GO_ON) {
        code = tool_time_option("--now", given->now, &out->has_now, &out->now_us);
    }
    out->forget_last = keep_last == 0;
    if (code != TOOL_GO_ON || given->output == NULL) {
        return code;
    }
    out->as_json = strcmp(given->output, "json") == 0;
    return out->as_json || strcmp(given->output, "text") == 0
               ? TOOL_GO_ON
               : tool_usage_error("--output: json or text, not '%s'", given->output);
}

static int parse_arguments(int argc, char **argv, struct admin_arguments *out,
                           struct tool_list *operands, const struct command **command)
{
    struct given given = {NULL, NULL, NULL, NULL};
    struct tool_option options[] = {
        TOOL_VALUE("--store", &out->store),
        TOOL_VALUE("--output", &given.output),
        TOOL_VALUE("--retention-days", &given.retention_days),
        TOOL_VALUE("--keep-last", &given.keep_last),
        TOOL_VALUE("--now", &given.now),
        TOOL_FLAG("--dry-run", &out->dry_run),
        TOOL_FLAG("--quick", &out->quick),
    };
    int code = tool_options_parse(options, sizeof(options) / sizeof(options[0]), help, argc, argv,
                                  operands);

    if (code == TOOL_GO_ON) {
        code = choose_command(operands, command);
    }
    if (code == TOOL_GO_ON) {
        code = check_given(&given, out, *command);
    }
    return code == TOOL_GO_ON ? read_given(&given, out) : code;
}

int main(int argc, char **argv)
{
    struct admin_arguments arguments = {.retention_days = DEFAULT_DAYS};
    struct tool_list operands = {NULL, 0};
    const struct command *command = NULL;
    int code;

    tool_start("ecshist-admin");
    code = parse_arguments(argc, argv, &arguments, &operands, &command);
    if (code == TOOL_GO_ON) {
        arguments.operand = operands.count > 1 ? operands.items[1] : NULL;
        tool_stop_install();
        code = command->run(&arguments);
    }
    free(operands.items);
    return tool_finish(code);
}
