/* ecshist-query: the ECS API's questions, asked as the AWS CLI asks them. */
#include "common/program.h"
#include "common/stop.h"
#include "common/store.h"
#include "query/query.h"

#include <ecshist/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: ecshist-query OPERATION [OPTION...]\n"
    "\n"
    "Answers as `aws ecs` would, from the store.\n"
    "\n"
    "  list-service-deployments --service NAME|ARN [--cluster NAME|ARN] [--status A B...]\n"
    "      [--created-at after=T,before=T] [--max-items N | --max-results N] [--next-token T]\n"
    "      All pages; --max-items N stops after N items; --max-results N is one page of N (1 to\n"
    "      100). Where there are more, the answer has a nextToken to go on with.\n"
    "  describe-service-deployments --service-deployment-arns ARN...     up to 20\n"
    "  describe-service-revisions --service-revision-arns ARN...         up to 20\n"
    "  list-services [--cluster NAME|ARN]          services and how their deployments ended\n"
    "  timeline --service-deployment-arn ARN       what happened in it, event by event\n"
    "\n"
    "  --as-of SEQ|TIME   as it was after event SEQ, or at a time (2024-11-04T11:25:56Z, or\n"
    "                     @1730719556.5 for seconds since the epoch)\n"
    "  --output FORMAT    json (default), table or text\n"
    "  --region R, --account A   only where a name stands for more than one resource\n"
    "  --store DIR        the store (else $ECSHIST_STORE, else ./ecshist-store)\n"
    "  --help, --version\n"
    "\n"
    "Exit code: 0 done, 1 refused or not found, 2 usage, 3 store not opened or read.\n"
    "\n"
    "Example:\n"
    "  ecshist-query list-service-deployments --service web --status IN_PROGRESS --output table\n";

/* The command line as it came. */
struct arguments {
    struct query query;
    const char *store, *output, *as_of, *created_at, *max_items, *max_results;
    struct tool_list operands;
};

/* Bits of the options that not all operations have, in the order of the parser's table. */
enum {
    OPTION_SERVICE = 1u << 0,
    OPTION_CLUSTER = 1u << 1,
    OPTION_STATUS = 1u << 2,
    OPTION_CREATED_AT = 1u << 3,
    OPTION_MAX_ITEMS = 1u << 4,
    OPTION_MAX_RESULTS = 1u << 5,
    OPTION_NEXT_TOKEN = 1u << 6,
    OPTION_DEPLOYMENT_ARNS = 1u << 7,
    OPTION_REVISION_ARNS = 1u << 8,
    OPTION_DEPLOYMENT_ARN = 1u << 9,
    OPTIONS_OF_SOME = 10
};

static const struct operation {
    const char *name, *api_name;
    unsigned options, required;
    int (*run)(const struct query *query);
} operations[] = {
    {"list-service-deployments", "ListServiceDeployments",
     OPTION_SERVICE | OPTION_CLUSTER | OPTION_STATUS | OPTION_CREATED_AT | OPTION_MAX_ITEMS |
         OPTION_MAX_RESULTS | OPTION_NEXT_TOKEN,
     OPTION_SERVICE, query_list_deployments},
    {"describe-service-deployments", "DescribeServiceDeployments", OPTION_DEPLOYMENT_ARNS,
     OPTION_DEPLOYMENT_ARNS, query_describe_deployments},
    {"describe-service-revisions", "DescribeServiceRevisions", OPTION_REVISION_ARNS,
     OPTION_REVISION_ARNS, query_describe_revisions},
    {"list-services", "ListServices", OPTION_CLUSTER, 0, query_list_services},
    {"timeline", "Timeline", OPTION_DEPLOYMENT_ARN, OPTION_DEPLOYMENT_ARN, query_timeline},
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

static const struct operation *find_operation(const char *name)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (strcmp(name, operations[i].name) == 0) {
            return &operations[i];
        }
    }
    return NULL;
}

static int unknown_operation(const char *name)
{
    const char *names[OPERATION_COUNT];
    const char *near;

    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        names[i] = operations[i].name;
    }
    near = tool_nearest(name, names, OPERATION_COUNT);
    if (near == NULL) {
        return tool_usage_error("unknown operation %s", name);
    }
    return tool_usage_error("unknown operation %s; did you mean %s?", name, near);
}

static int choose_operation(const struct tool_list *operands, const struct operation **out)
{
    if (operands->count == 0) {
        return tool_usage_error("an operation is needed: list-service-deployments, ...");
    }
    if (operands->count > 1) {
        return tool_usage_error("an argument too many: %s", operands->items[1]);
    }
    *out = find_operation(operands->items[0]);
    return *out == NULL ? unknown_operation(operands->items[0]) : TOOL_GO_ON;
}

/* Each option that was given is one of the operation's, and those it needs are there. */
static int check_options(const struct operation *operation, const struct tool_option *options)
{
    for (size_t i = 0; i < OPTIONS_OF_SOME; i++) {
        unsigned bit = 1u << i;

        if (options[i].given && (operation->options & bit) == 0) {
            return tool_usage_error("%s is not an option of %s", options[i].name, operation->name);
        }
        if (!options[i].given && (operation->required & bit) != 0) {
            return tool_usage_error("%s needs %s", operation->name, options[i].name);
        }
    }
    return TOOL_GO_ON;
}

static int parse_created_at_part(const char *part, struct query *query)
{
    if (strncmp(part, "after=", 6) == 0) {
        return tool_time_option("--created-at after", part + 6, &query->has_created_after,
                                &query->created_after_us);
    }
    if (strncmp(part, "before=", 7) == 0) {
        return tool_time_option("--created-at before", part + 7, &query->has_created_before,
                                &query->created_before_us);
    }
    return tool_usage_error("--created-at: after=TIME,before=TIME, not '%s'", part);
}

/* "after=T", "before=T", or both with a comma, as the AWS CLI's shorthand. */
static int parse_created_at(const char *text, struct query *query)
{
    char part[128];

    for (;;) {
        size_t length = strcspn(text, ",");
        int code;

        snprintf(part, sizeof(part), "%.*s", (int)length, text);
        code = parse_created_at_part(part, query);
        if (code != TOOL_GO_ON || text[length] == '\0') {
            return code;
        }
        text += length + 1;
    }
}

/* Digits are a sequence number; seconds since the epoch are told from one by an @. */
static int parse_as_of(const char *text, struct ecshist_as_of *out)
{
    if (text == NULL) {
        return TOOL_GO_ON;
    }
    if (strspn(text, "0123456789") == strlen(text)) {
        return tool_number_option("--as-of", text, 1, UINT64_MAX, &out->seq);
    }
    return tool_time_option("--as-of", text[0] == '@' ? text + 1 : text, &out->has_time,
                            &out->time_us);
}

static int parse_output(const char *text, enum query_output *out)
{
    static const char *const names[] = {"json", "table", "text"};

    for (size_t i = 0; text != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum query_output)i;
            return TOOL_GO_ON;
        }
    }
    return text == NULL ? TOOL_GO_ON
                        : tool_usage_error("--output: json, table or text, not '%s'", text);
}

/* What the options' values stand for. */
static int read_values(struct arguments *arguments)
{
    struct query *query = &arguments->query;
    int code = parse_output(arguments->output, &query->output);

    if (code == TOOL_GO_ON) {
        code = parse_as_of(arguments->as_of, &query->as_of);
    }
    if (code == TOOL_GO_ON && arguments->created_at != NULL) {
        code = parse_created_at(arguments->created_at, query);
    }
    if (code == TOOL_GO_ON) {
        code = tool_number_option("--max-items", arguments->max_items, 1, UINT64_MAX,
                                  &query->max_items);
    }
    if (code == TOOL_GO_ON) {
        code = tool_number_option("--max-results", arguments->max_results, 1, ECSHIST_MAX_PAGE,
                                  &query->max_results);
    }
    if (code == TOOL_GO_ON && query->max_items > 0 && query->max_results > 0) {
        code = tool_usage_error("--max-items and --max-results do not go together");
    }
    return code;
}

static int parse_arguments(int argc, char **argv, struct arguments *out,
                           const struct operation **out_operation)
{
    struct query *query = &out->query;
    struct tool_option options[] = {
        TOOL_VALUE("--service", &query->service),
        TOOL_VALUE("--cluster", &query->cluster),
        TOOL_LIST("--status", &query->status),
        TOOL_VALUE("--created-at", &out->created_at),
        TOOL_VALUE("--max-items", &out->max_items),
        TOOL_VALUE("--max-results", &out->max_results),
        TOOL_VALUE("--next-token", &query->next_token),
        TOOL_LIST("--service-deployment-arns", &query->deployment_arns),
        TOOL_LIST("--service-revision-arns", &query->revision_arns),
        TOOL_VALUE("--service-deployment-arn", &query->deployment_arn),
        TOOL_VALUE("--store", &out->store),
        TOOL_VALUE("--output", &out->output),
        TOOL_VALUE("--as-of", &out->as_of),
        TOOL_VALUE("--region", &query->region),
        TOOL_VALUE("--account", &query->account),
    };
    int code = tool_options_parse(options, sizeof(options) / sizeof(options[0]), help, argc, argv,
                                  &out->operands);

    if (code == TOOL_GO_ON) {
        code = choose_operation(&out->operands, out_operation);
    }
    if (code == TOOL_GO_ON) {
        code = check_options(*out_operation, options);
    }
    return code == TOOL_GO_ON ? read_values(out) : code;
}

static int ask(struct arguments *arguments, const struct operation *operation)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = NULL;
    int code;

    if (tool_open_store(arguments->store, ECSHIST_OPEN_READ_ONLY, &store) != ECSHIST_OK) {
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    if (ecshist_snapshot_open(store, &arguments->query.snapshot, &error) == ECSHIST_OK) {
        arguments->query.operation = operation->api_name;
        code = operation->run(&arguments->query);
    } else {
        code = tool_complain_error(&error);
    }
    ecshist_snapshot_close(arguments->query.snapshot);
    ecshist_close(store);
    return code;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.store = NULL};
    const struct operation *operation = NULL;
    int code;

    tool_start("ecshist-query");
    code = parse_arguments(argc, argv, &arguments, &operation);
    if (code == TOOL_GO_ON) {
        code = ask(&arguments, operation);
    }
    free(arguments.operands.items);
    return tool_finish(code);
}
