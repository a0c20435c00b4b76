#include "admin/admin.h"
#include "common/program.h"
#include "common/status.h"
#include "common/stop.h"
#include "common/store.h"

#include <ecshist/compact.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A number of the store: its name in JSON, and for people. */
struct figure {
    const char *name, *words;
    uint64_t number;
    bool is_bytes;
};

#define FIGURE_COUNT 13

/* What there is to say: of the store, and of what a compaction with 90 days would remove. */
struct known {
    struct ecshist_stat stat;
    struct ecshist_compact_result expired;
};

static void collect(const struct known *known, struct figure figures[FIGURE_COUNT])
{
    const struct ecshist_stat *stat = &known->stat;

    const struct figure all[FIGURE_COUNT] = {
        {"lastSeq", "newest seq", stat->last_seq, false},
        {"events", "events", stat->event_count, false},
        {"ignoredEvents", "of them ignored", stat->ignored_count, false},
        {"services", "services", stat->service_count, false},
        {"revisions", "revisions", stat->revision_count, false},
        {"segments", "segments", stat->segment_count, false},
        {"logBytes", "log", stat->log_bytes, true},
        {"logUsedBytes", "of it used", stat->log_used_bytes, true},
        {"indexBytes", "index", stat->index_bytes, true},
        {"indexMapBytes", "address space for it", stat->index_map_bytes, true},
        {"readers", "open snapshots", stat->reader_count, false},
        {"expiredDeployments", "compact would remove", known->expired.deployment_count, false},
        {"expiredEvents", "of that, events", known->expired.event_count, false},
    };

    memcpy(figures, all, sizeof(all));
}

void admin_put_bytes(uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double amount = (double)bytes / 1024;
    size_t unit = 0;

    while (amount >= 1024 && unit < 3) {
        amount /= 1024;
        unit++;
    }
    printf("%" PRIu64 " bytes", bytes);
    if (bytes >= 1024) {
        printf(" (%.1f %s)", amount, units[unit]);
    }
}

static void put_time(const char *words, int64_t time_us, uint64_t events)
{
    char text[ECSHIST_TIME_TEXT_BYTES];

    printf("%-22s %s\n", words,
           events > 0 ? ecshist_time_format(time_us, ECSHIST_JSON_CLI, text) : "-");
}

static void put_text(const struct known *known)
{
    const struct ecshist_stat *stat = &known->stat;
    struct figure figures[FIGURE_COUNT];

    collect(known, figures);
    printf("%-22s %s\n", "store id", stat->store_id);
    for (size_t i = 0; i < FIGURE_COUNT; i++) {
        printf("%-22s ", figures[i].words);
        if (figures[i].is_bytes) {
            admin_put_bytes(figures[i].number);
            putchar('\n');
        } else {
            printf("%" PRIu64 "\n", figures[i].number);
        }
    }
    put_time("oldest event", stat->oldest_time_us, stat->event_count);
    put_time("newest event", stat->newest_time_us, stat->event_count);
    printf("%-22s %" PRIu64 "\n", "deployments", stat->deployment_count);
    for (unsigned i = 1; i <= TOOL_STATUS_COUNT; i++) {
        if (stat->deployments_by_status[i] > 0) {
            printf("  %-20s %" PRIu64 "\n", tool_status_name(i), stat->deployments_by_status[i]);
        }
    }
}

static void put_json_time(const char *name, int64_t time_us, uint64_t events)
{
    char text[ECSHIST_TIME_TEXT_BYTES];

    if (events > 0) {
        printf("    \"%s\": \"%s\",\n", name, ecshist_time_format(time_us, ECSHIST_JSON_CLI, text));
    }
}

static void put_json(const struct known *known)
{
    const struct ecshist_stat *stat = &known->stat;
    struct figure figures[FIGURE_COUNT];

    collect(known, figures);
    printf("{\n    \"storeId\": \"%s\",\n", stat->store_id);
    for (size_t i = 0; i < FIGURE_COUNT; i++) {
        printf("    \"%s\": %" PRIu64 ",\n", figures[i].name, figures[i].number);
    }
    put_json_time("oldestEventTime", stat->oldest_time_us, stat->event_count);
    put_json_time("newestEventTime", stat->newest_time_us, stat->event_count);
    printf("    \"deployments\": %" PRIu64 ",\n    \"deploymentsByStatus\": {\n",
           stat->deployment_count);
    for (unsigned i = 1; i <= TOOL_STATUS_COUNT; i++) {
        printf("        \"%s\": %" PRIu64 "%s\n", tool_status_name(i),
               stat->deployments_by_status[i], i < TOOL_STATUS_COUNT ? "," : "");
    }
    fputs("    }\n}\n", stdout);
}

static int look(ecshist_store *store, struct known *out, struct ecshist_error *error)
{
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    int code = ecshist_stat(store, &out->stat, error);

    options.flags = ECSHIST_COMPACT_DRY_RUN;
    return code == ECSHIST_OK ? ecshist_compact(store, &options, &out->expired, error) : code;
}

int admin_stat(const struct admin_arguments *arguments)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct known known = {ECSHIST_STAT_INIT, ECSHIST_COMPACT_RESULT_INIT};
    ecshist_store *store = NULL;
    int code = TOOL_EXIT_OK;

    if (tool_open_store(arguments->store, ECSHIST_OPEN_READ_ONLY, &store) != ECSHIST_OK) {
        return tool_stop_exit_code(TOOL_EXIT_STORE);
    }
    if (look(store, &known, &error) != ECSHIST_OK) {
        code = tool_complain_error(&error);
    } else if (arguments->as_json) {
        put_json(&known);
    } else {
        put_text(&known);
    }
    ecshist_close(store);
    return code;
}
