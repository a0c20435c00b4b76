/* ecshist-ingest: JSON Lines into the store. One thread reads and parses, this one appends. */
#include "common/program.h"
#include "common/progress.h"
#include "common/stop.h"
#include "common/store.h"
#include "ingest/append.h"
#include "ingest/reader.h"

#include <ecshist/limits.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: ecshist-ingest [OPTION...] [FILE...|-]\n"
    "\n"
    "Appends the events of JSON Lines, one object a line, to the store, which is made where\n"
    "there is none. A line that is refused is reported as FILE:LINE: reason, and the rest goes\n"
    "on. Feeding the same file twice changes nothing. Reads standard input without a FILE.\n"
    "\n"
    "  --store DIR        the store (else $ECSHIST_STORE, else ./ecshist-store)\n"
    "  --format native    the only format so far, and the default\n"
    "  --lenient          log an event that conflicts with the history and mark it as ignored,\n"
    "                     instead of refusing it: for feeds that deliver late and out of order\n"
    "  --batch N          lines that share one flush, 1 to 10000 (4000)\n"
    "  --dry-run          say what would happen, append nothing; each batch is judged against\n"
    "                     the store as it is, without the batches before it\n"
    "  --stop-on-error    stop at the first line that is refused; those before it are appended\n"
    "  --help, --version\n"
    "\n"
    "Exit code: 0 done, 1 done but lines were refused, 2 usage, 3 store not opened or written,\n"
    "4 outcome unknown (a flush failed; feeding the same input again is safe).\n"
    "\n"
    "Example:\n"
    "  ecshist-ingest --store /var/lib/ecshist events.jsonl\n"
    "  tail -F events.jsonl | ecshist-ingest --lenient\n";

struct arguments {
    const char *store;
    const char *format;
    const char *batch_text;
    bool lenient, dry_run, stop_on_error;
    uint64_t batch;
    struct tool_list files;
};

/* How much there is to read; 0: not known, because a file is a pipe. */
struct workload {
    uint64_t total_bytes;
    struct timespec began;
};

static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    struct tool_option options[] = {
        TOOL_VALUE("--store", &out->store),    TOOL_VALUE("--format", &out->format),
        TOOL_FLAG("--lenient", &out->lenient), TOOL_VALUE("--batch", &out->batch_text),
        TOOL_FLAG("--dry-run", &out->dry_run), TOOL_FLAG("--stop-on-error", &out->stop_on_error),
    };
    int code = tool_options_parse(options, sizeof(options) / sizeof(options[0]), help, argc, argv,
                                  &out->files);

    if (code == TOOL_GO_ON && out->format != NULL && strcmp(out->format, "native") != 0) {
        code = tool_usage_error("--format: native is the only one, not '%s'", out->format);
    }
    if (code == TOOL_GO_ON) {
        code = tool_number_option("--batch", out->batch_text, 1, ECSHIST_MAX_BATCH_EVENTS,
                                  &out->batch);
    }
    if (code == TOOL_GO_ON && out->files.count == 0) {
        static char standard_input[] = "-";

        out->files.items[0] = standard_input; /* the parser leaves room for one more */
        out->files.count = 1;
    }
    return code;
}

static bool find_file(const char *file, struct stat *out)
{
    return strcmp(file, "-") == 0 ? fstat(STDIN_FILENO, out) == 0 : stat(file, out) == 0;
}

/* Sizes, for the progress bar. False where no file is there at all: a mistyped name makes no store. */
static bool measure(const struct tool_list *files, struct workload *out)
{
    bool known = true;
    bool any = false;
    struct stat status;

    clock_gettime(CLOCK_MONOTONIC, &out->began);
    out->total_bytes = 0;
    for (size_t i = 0; i < files->count; i++) {
        if (find_file(files->items[i], &status)) {
            any = true;
            known &= S_ISREG(status.st_mode);
            out->total_bytes += (uint64_t)status.st_size;
        }
    }
    for (size_t i = 0; i < files->count && !any; i++) {
        if (!find_file(files->items[i], &status)) {
            tool_complain("%s: %s", ingest_shown_name(files->items[i]), strerror(errno));
        }
    }
    out->total_bytes = known ? out->total_bytes : 0;
    return any;
}

static void show_progress(const struct workload *work, const struct ingest_totals *totals,
                          uint64_t bytes)
{
    uint64_t events = totals->appended + totals->duplicate + totals->ignored + totals->refused;
    struct timespec now;
    double seconds;
    char word[64];

    clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = (double)(now.tv_sec - work->began.tv_sec) +
              (double)(now.tv_nsec - work->began.tv_nsec) / 1e9;
    snprintf(word, sizeof(word), "%" PRIu64 " events, %.0f/s", events,
             seconds > 0 ? (double)events / seconds : 0);
    tool_progress_show(bytes, work->total_bytes, word);
}

/* Takes batches until there are no more, or no more shall be. An ecshist_code. */
static int append_all(struct ingest_appender *appender, struct ingest_queue *queue,
                      const struct workload *work)
{
    int code = ECSHIST_OK;
    bool stop = false;

    while (code == ECSHIST_OK && !stop) {
        struct ingest_batch *batch = ingest_queue_next(queue);

        if (batch == NULL) {
            return code;
        }
        code = ingest_append_batch(appender, batch, &stop);
        show_progress(work, &appender->totals, batch->bytes_read);
        ingest_queue_release(queue);
    }
    ingest_queue_abandon(queue);
    tool_stop_request(); /* the reader may be waiting for input */
    return code;
}

/* The threads, from the first line to the last. An exit code. */
static int run(const struct arguments *arguments, struct ingest_appender *appender,
               const struct workload *work)
{
    struct ingest_queue queue;
    struct ingest_input input = {arguments->files, (size_t)arguments->batch,
                                 arguments->stop_on_error, &queue};
    pthread_t reader, parser;
    int code = TOOL_EXIT_STORE;

    if (!ingest_queue_begin(&queue, input.batch_lines)) {
        tool_complain("out of memory");
        return code;
    }
    if (pthread_create(&parser, NULL, ingest_parse_all, &queue) != 0) {
        tool_complain("cannot start a thread");
        ingest_queue_end(&queue);
        return code;
    }
    if (pthread_create(&reader, NULL, ingest_read_all, &input) == 0) {
        code = tool_exit_of(append_all(appender, &queue, work));
        pthread_join(reader, NULL);
    } else {
        tool_complain("cannot start a thread");
        ingest_queue_close(&queue);
    }
    pthread_join(parser, NULL);
    ingest_queue_end(&queue);
    return code;
}

static int summarize(const struct ingest_appender *appender, int code)
{
    const struct ingest_totals *totals = &appender->totals;

    tool_progress_hide();
    if (totals->passed_over > 0) {
        tool_complain("%" PRIu64 " history-expired passed over: only a store itself writes them",
                      totals->passed_over);
    }
    printf("%sappended %" PRIu64 ", duplicate %" PRIu64 ", ignored %" PRIu64 ", refused %" PRIu64
           "\n",
           appender->dry_run ? "dry run: " : "", totals->appended, totals->duplicate,
           totals->ignored, totals->refused);
    if (code == TOOL_EXIT_OK && (totals->refused > 0 || totals->file_failed)) {
        code = TOOL_EXIT_REFUSED;
    }
    return code == TOOL_EXIT_OK || code == TOOL_EXIT_REFUSED ? tool_stop_exit_code(code) : code;
}

/* A dry run leaves no trace: without a store, it has none to judge by. */
static int open_store(const struct arguments *arguments, ecshist_store **out)
{
    struct stat status;

    if (!arguments->dry_run) {
        return tool_open_store(arguments->store, ECSHIST_OPEN_CREATE, out);
    }
    if (stat(tool_store_path(arguments->store), &status) != 0 && errno == ENOENT) {
        tool_complain("there is no store at %s yet: lines are parsed, and not judged by a history",
                      tool_store_path(arguments->store));
        return ECSHIST_OK;
    }
    return tool_open_store(arguments->store, 0, out);
}

static int ingest(const struct arguments *arguments)
{
    struct ingest_appender appender = {.lenient = arguments->lenient,
                                       .dry_run = arguments->dry_run,
                                       .stop_on_error = arguments->stop_on_error};
    struct workload work;
    int code = TOOL_EXIT_STORE;

    if (!measure(&arguments->files, &work)) {
        return TOOL_EXIT_REFUSED;
    }
    if (open_store(arguments, &appender.store) != ECSHIST_OK) {
        return TOOL_EXIT_STORE;
    }
    if (ingest_appender_begin(&appender, (size_t)arguments->batch)) {
        tool_progress_begin("ingesting");
        code = summarize(&appender, run(arguments, &appender, &work));
    } else {
        tool_complain("out of memory");
    }
    ingest_appender_end(&appender);
    ecshist_close(appender.store);
    return code;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.batch = 4000};
    int code;

    tool_start("ecshist-ingest");
    code = parse_arguments(argc, argv, &arguments);
    if (code == TOOL_GO_ON) {
        tool_stop_install();
        code = ingest(&arguments);
    }
    free(arguments.files.items);
    return tool_finish(code);
}
