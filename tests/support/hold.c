#include "support/hold.h"
#include "support/store_dir.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- subjects ---------------------------------------------------------------------------------- */

struct subjects {
    char **arns;
    size_t count, capacity;
};

static void note_subject(struct subjects *list, const char *arn)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->arns = realloc(list->arns, list->capacity * sizeof(*list->arns));
        if (list->arns == NULL)
            abort();
    }
    list->arns[list->count] = strdup(arn);
    if (list->arns[list->count] == NULL)
        abort();
    list->count++;
}

static int compare_arns(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct subjects *list)
{
    if (list->count == 0)
        return;
    qsort(list->arns, list->count, sizeof(*list->arns), compare_arns);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->arns[i], list->arns[kept - 1]) == 0)
            free(list->arns[i]);
        else
            list->arns[kept++] = list->arns[i];
    }
    list->count = kept;
}

static void free_subjects(struct subjects *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->arns[i]);
    free(list->arns);
}

static const ecshist_event *next_event(ecshist_cursor *cursor)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const ecshist_event *event = NULL;
    int rc = ecshist_cursor_next(cursor, &event, &error);
    if (rc == ECSHIST_END)
        return NULL;
    store_must(rc, "cursor", &error);
    return event;
}

static ecshist_cursor *from_start(ecshist_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    store_must(ecshist_cursor_open(store, 1, &cursor, &error), "cursor", &error);
    return cursor;
}

static void find_subjects(ecshist_store *store, struct subjects *list)
{
    ecshist_cursor *cursor = from_start(store);
    const ecshist_event *event;
    while ((event = next_event(cursor)) != NULL) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        if (info.subject_arn[0] != '\0')
            note_subject(list, info.subject_arn);
    }
    ecshist_cursor_close(cursor);
    sort_unique(list);
}

uint64_t hold_count(ecshist_store *store)
{
    ecshist_cursor *cursor = from_start(store);
    uint64_t count = 0;
    while (next_event(cursor) != NULL)
        count++;
    ecshist_cursor_close(cursor);
    return count;
}

/* -- answers ----------------------------------------------------------------------------------- */

static ecshist_snapshot *take_snapshot(ecshist_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    return snapshot;
}

/* Prints an answer and frees it. */
static void print_result(FILE *out, const char *what, ecshist_result *result)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *json = NULL;
    store_must(ecshist_result_to_json(result, ECSHIST_JSON_CLI, &json, NULL, &error), what, &error);
    fprintf(out, "== %s\n%s\n", what, json);
    ecshist_free(json);
    ecshist_result_free(result);
}

static void print_view(FILE *out, ecshist_snapshot *snapshot, const char *arn,
                       const struct ecshist_as_of *as_of)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int rc = ECSHIST_OK;
    if (strstr(arn, ":service-deployment/") != NULL)
        rc = ecshist_describe_service_deployments(snapshot, &arn, 1, as_of, &result, &error);
    else if (strstr(arn, ":service-revision/") != NULL)
        rc = ecshist_describe_service_revisions(snapshot, &arn, 1, as_of, &result, &error);
    else
        return;
    store_must(rc, arn, &error);
    print_result(out, arn, result);
}

static void print_timeline(FILE *out, ecshist_snapshot *snapshot, const char *arn)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int rc = ecshist_timeline(snapshot, arn, NULL, &result, &error);
    if (rc == ECSHIST_NOT_FOUND) {
        fprintf(out, "no timeline: %s\n", arn);
        return;
    }
    store_must(rc, arn, &error);
    print_result(out, "timeline", result);
}

/* Small pages, so that there are many of them; of each what its items are, and what a list shows of them. */
static void print_page(FILE *out, ecshist_snapshot *snapshot,
                       const struct ecshist_list_request *request, char **token)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int rc = ecshist_list_service_deployments(snapshot, request, &result, &error);
    free(*token);
    *token = NULL;
    if (rc == ECSHIST_NOT_FOUND) {
        fprintf(out, "no service: %s\n", request->service);
        return;
    }
    store_must(rc, request->service, &error);
    const char *next = ecshist_result_next_token(result);
    *token = next != NULL ? strdup(next) : NULL;
    for (size_t i = 0; i < ecshist_result_count(result); i++) {
        struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
        char *json = NULL;
        store_must(ecshist_result_item_to_json(result, i, ECSHIST_JSON_WIRE, &json, NULL, &error),
                   "item", &error);
        fprintf(out, "%s\n", json);
        ecshist_free(json);
        (void)ecshist_result_deployment(result, i, &view);
        fprintf(out, "listed %s %s %" PRIi64 "\n", view.service_deployment_arn, view.status_name,
                view.created_at_us);
    }
    ecshist_result_free(result);
}

static void print_list(FILE *out, ecshist_snapshot *snapshot, const char *service_arn, int brief)
{
    char *token = NULL;
    do {
        struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
        request.service = service_arn;
        request.max_results = 7;
        request.next_token = token;
        request.brief = brief != 0;
        print_page(out, snapshot, &request, &token);
    } while (token != NULL);
}

static void print_service(FILE *out, const struct ecshist_service_view *view)
{
    fprintf(out, "service %s %s %s", view->service_arn, view->status,
            view->current_revision_arn != NULL ? view->current_revision_arn : "-");
    for (int i = 0; i < 16; i++)
        fprintf(out, " %" PRIu64, view->deployments_by_status[i]);
    fprintf(out, "\n");
}

static void print_services(FILE *out, ecshist_snapshot *snapshot, const struct ecshist_as_of *as_of)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    store_must(ecshist_list_services(snapshot, NULL, NULL, NULL, as_of, &result, &error),
               "services", &error);
    for (size_t i = 0; i < ecshist_result_count(result); i++) {
        struct ecshist_service_view view = ECSHIST_SERVICE_VIEW_INIT;
        (void)ecshist_result_service(result, i, &view);
        print_service(out, &view);
        if (as_of == NULL)
            for (int brief = 0; brief < 2; brief++)
                print_list(out, snapshot, view.service_arn, brief);
    }
    print_result(out, "services", result);
}

static void print_counts(FILE *out, ecshist_store *store)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    store_must(ecshist_stat(store, &stat, &error), "stat", &error);
    fprintf(out,
            "last %" PRIu64 " events %" PRIu64 " ignored %" PRIu64 " deployments %" PRIu64
            " revisions %" PRIu64 " services %" PRIu64 " oldest %" PRIi64 " newest %" PRIi64
            " store %s\n",
            stat.last_seq, stat.event_count, stat.ignored_count, stat.deployment_count,
            stat.revision_count, stat.service_count, stat.oldest_time_us, stat.newest_time_us,
            stat.store_id);
    for (int i = 0; i < 16; i++)
        fprintf(out, "%" PRIu64 "%c", stat.deployments_by_status[i], i == 15 ? '\n' : ' ');
}

static char *hold(ecshist_store *store, const struct ecshist_as_of *as_of)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        abort();
    struct subjects list = {0};
    find_subjects(store, &list);
    if (as_of == NULL)
        print_counts(out, store);
    ecshist_snapshot *snapshot = take_snapshot(store);
    print_services(out, snapshot, as_of);
    for (size_t i = 0; i < list.count; i++) {
        print_view(out, snapshot, list.arns[i], as_of);
        if (as_of == NULL)
            print_timeline(out, snapshot, list.arns[i]);
    }
    ecshist_snapshot_close(snapshot);
    free_subjects(&list);
    fclose(out);
    return text;
}

char *hold_all(ecshist_store *store)
{
    return hold(store, NULL);
}

char *hold_as_of(ecshist_store *store, const struct ecshist_as_of *as_of)
{
    return hold(store, as_of);
}

/* A result outlives its snapshot. */
static ecshist_result *describe(ecshist_store *store, const char *arn,
                                const struct ecshist_as_of *as_of)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot = take_snapshot(store);
    ecshist_result *result = NULL;
    store_must(ecshist_describe_service_deployments(snapshot, &arn, 1, as_of, &result, &error), arn,
               &error);
    ecshist_snapshot_close(snapshot);
    return result;
}

ecshist_deployment_status hold_status(ecshist_store *store, const char *arn)
{
    ecshist_result *result = describe(store, arn, NULL);
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    (void)ecshist_result_deployment(result, 0, &view);
    ecshist_result_free(result);
    return view.status;
}

int64_t hold_updated_at(ecshist_store *store, const char *arn, const struct ecshist_as_of *as_of)
{
    ecshist_result *result = describe(store, arn, as_of);
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    (void)ecshist_result_deployment(result, 0, &view);
    ecshist_result_free(result);
    return view.updated_at_us;
}

char *hold_deployment(ecshist_store *store, const char *arn, const struct ecshist_as_of *as_of)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = describe(store, arn, as_of);
    char *json = NULL, *text;
    if (ecshist_result_count(result) == 0) {
        text = strdup("MISSING");
    } else {
        store_must(ecshist_result_item_to_json(result, 0, ECSHIST_JSON_WIRE, &json, NULL, &error),
                   arn, &error);
        text = strdup(json);
        ecshist_free(json);
    }
    ecshist_result_free(result);
    return text;
}

size_t hold_timeline_count(ecshist_store *store, const char *arn)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot = take_snapshot(store);
    ecshist_result *result = NULL;
    int rc = ecshist_timeline(snapshot, arn, NULL, &result, &error);
    size_t count = rc == ECSHIST_OK ? ecshist_result_count(result) : 0;
    if (rc != ECSHIST_NOT_FOUND)
        store_must(rc, arn, &error);
    ecshist_result_free(result);
    ecshist_snapshot_close(snapshot);
    return count;
}
