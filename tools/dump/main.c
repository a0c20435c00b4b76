/* ecshist-dump: the log as JSON Lines, in the order of seq. */
#include "common/program.h"
#include "common/safe.h"
#include "common/stop.h"
#include "common/store.h"
#include "dump/filter.h"

#include <ecshist/cursor.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FOLLOW_WAIT_MS 250

static const char help[] =
    "usage: ecshist-dump [OPTION...]\n"
    "\n"
    "Prints the events of the log as JSON Lines, one object a line, in the order in which the\n"
    "store accepted them. What it prints, ecshist-ingest --lenient reads.\n"
    "\n"
    "  --from SEQ --to SEQ           both included\n"
    "  --after TIME --before TIME    of the event's time, strictly (2024-11-04T11:25:56Z)\n"
    "  --service NAME|ARN            events of a service, its deployments and its revisions\n"
    "  --cluster NAME|ARN            its cluster (\"default\" for a service's name); without\n"
    "                                --service, all of the cluster\n"
    "  --service-deployment-arn ARN  events of one deployment\n"
    "  --type A B...                 events of these types\n"
    "  --follow                      go on as events arrive, until SIGINT or SIGTERM\n"
    "  --frames                      where each event lies: segment, offsets, lengths, checksums\n"
    "  --store DIR                   the store (else $ECSHIST_STORE, else ./ecshist-store)\n"
    "  --help, --version\n"
    "\n"
    "Exit code: 0 done, 2 usage, 3 the store is not there, or the log is damaged: what is before\n"
    "the damage was printed.\n"
    "\n"
    "Example:\n"
    "  ecshist-dump --service web --type task-failed --follow\n";

struct arguments {
    const char *store, *from, *to, *after, *before, *service, *cluster;
    bool follow, frames;
    struct dump_filter filter;
    struct tool_list operands;
};

static int read_values(struct arguments *arguments)
{
    struct dump_filter *filter = &arguments->filter;
    int code = TOOL_GO_ON;

    if (arguments->operands.count > 0) {
        return tool_usage_error("an argument too many: %s", arguments->operands.items[0]);
    }
    code = tool_number_option("--from", arguments->from, 1, UINT64_MAX, &filter->from);
    if (code == TOOL_GO_ON) {
        code = tool_number_option("--to", arguments->to, 1, UINT64_MAX, &filter->to);
    }
    if (code == TOOL_GO_ON) {
        code = tool_time_option("--after", arguments->after, &filter->has_after, &filter->after_us);
    }
    if (code == TOOL_GO_ON) {
        code = tool_time_option("--before", arguments->before, &filter->has_before,
                                &filter->before_us);
    }
    if (code == TOOL_GO_ON) {
        code = dump_filter_set_service(filter, arguments->service, arguments->cluster);
    }
    return code;
}

static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    struct tool_option options[] = {
        TOOL_VALUE("--store", &out->store),
        TOOL_VALUE("--from", &out->from),
        TOOL_VALUE("--to", &out->to),
        TOOL_VALUE("--after", &out->after),
        TOOL_VALUE("--before", &out->before),
        TOOL_VALUE("--service", &out->service),
        TOOL_VALUE("--cluster", &out->cluster),
        TOOL_VALUE("--service-deployment-arn", &out->filter.deployment_arn),
        TOOL_LIST("--type", &out->filter.types),
        TOOL_FLAG("--follow", &out->follow),
        TOOL_FLAG("--frames", &out->frames),
    };
    int code = tool_options_parse(options, sizeof(options) / sizeof(options[0]), help, argc, argv,
                                  &out->operands);

    return code == TOOL_GO_ON ? read_values(out) : code;
}

static int put_event(const ecshist_event *event)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *json = NULL;
    size_t length = 0;

    if (ecshist_event_to_json(event, ECSHIST_JSON_CLI, &json, &length, &error) != ECSHIST_OK) {
        return tool_complain_error(&error);
    }
    tool_put_json(stdout, json, length);
    putchar('\n');
    ecshist_free(json);
    return TOOL_EXIT_OK;
}

/* The physical view, a line of JSON too; the file is log/NAME.seg of the store. */
static void put_frame(const ecshist_cursor *cursor, const struct ecshist_event_info *info)
{
    struct ecshist_frame_info frame = ECSHIST_FRAME_INFO_INIT;

    ecshist_cursor_frame_info(cursor, &frame);
    printf("{\"seq\": %" PRIu64 ", \"type\": \"%s\", \"segment\": \"%020" PRIu64 ".seg\"",
           info->seq, info->type, frame.segment_first_seq);
    printf(", \"frameOffset\": %" PRIu64 ", \"frameLength\": %" PRIu64
           ", \"frameRecords\": %" PRIu32 ", \"frameChecksum\": \"%016" PRIx64 "\"",
           frame.frame_offset, frame.frame_length, frame.frame_record_count, frame.frame_checksum);
    printf(", \"recordOffset\": %" PRIu64 ", \"recordLength\": %" PRIu32
           ", \"recordChecksum\": \"%08" PRIx32 "\", \"ignored\": %s}\n",
           frame.record_offset, frame.record_length, frame.record_checksum,
           info->ignored ? "true" : "false");
}

/* Until there is an event: OK. END: stopped, or nobody reads: a wait must not outlive `head`. */
static int wait_for_event(ecshist_cursor *cursor, struct ecshist_error *error)
{
    int code = ECSHIST_END;

    if (!tool_flush()) {
        return ECSHIST_END;
    }
    while (code == ECSHIST_END && !tool_stop_asked() && !tool_reader_has_gone()) {
        code = ecshist_cursor_wait(cursor, FOLLOW_WAIT_MS, error);
    }
    return code;
}

/* The next event that is there, or with --follow comes. An ecshist_code. */
static int next_event(const struct arguments *arguments, ecshist_cursor *cursor,
                      const ecshist_event **out, struct ecshist_error *error)
{
    int code = ecshist_cursor_next(cursor, out, error);

    while (code == ECSHIST_END && arguments->follow) {
        code = wait_for_event(cursor, error);
        if (code != ECSHIST_OK) {
            return code;
        }
        code = ecshist_cursor_next(cursor, out, error);
    }
    return code;
}

static int dump_events(const struct arguments *arguments, ecshist_cursor *cursor)
{
    const struct dump_filter *filter = &arguments->filter;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int code = TOOL_EXIT_OK;
    bool more = true;

    while (more && code == TOOL_EXIT_OK && !tool_output_failed() && !tool_stop_asked()) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        const ecshist_event *event = NULL;
        int next = next_event(arguments, cursor, &event, &error);

        if (next == ECSHIST_END) {
            break;
        }
        if (next != ECSHIST_OK) {
            tool_flush(); /* what could be read, before why the rest could not */
            return tool_complain_error(&error);
        }
        ecshist_event_info(event, &info);
        more = info.seq < filter->to;
        if (info.seq > filter->to || !dump_filter_takes(filter, &info)) {
            continue;
        }
        if (arguments->frames) {
            put_frame(cursor, &info);
        } else {
            code = put_event(event);
        }
    }
    return code;
}

static int dump(const struct arguments *arguments)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = NULL;
    ecshist_cursor *cursor = NULL;
    int code;

    if (tool_open_store(arguments->store, ECSHIST_OPEN_READ_ONLY, &store) != ECSHIST_OK) {
        return TOOL_EXIT_STORE;
    }
    if (ecshist_cursor_open(store, arguments->filter.from, &cursor, &error) == ECSHIST_OK) {
        code = dump_events(arguments, cursor);
    } else {
        code = tool_complain_error(&error);
    }
    ecshist_cursor_close(cursor);
    ecshist_close(store);
    return code == TOOL_EXIT_OK ? tool_stop_exit_code(code) : code;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.filter = {.from = 1, .to = UINT64_MAX}};
    int code;

    tool_start("ecshist-dump");
    code = parse_arguments(argc, argv, &arguments);
    if (code == TOOL_GO_ON) {
        tool_stop_install();
        code = dump(&arguments);
    }
    free(arguments.operands.items);
    return tool_finish(code);
}
