#include "support/pair.h"
#include "support/store_dir.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool disagree(struct pair *pair, const char *format, ...) ECSHIST_PRINTF(2, 3);

static bool disagree(struct pair *pair, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(pair->where, sizeof(pair->where), format, args);
    va_end(args);
    return false;
}

/* -- appending --------------------------------------------------------------------------------- */

static ecshist_outcome outcome_of(enum naive_outcome outcome)
{
    switch (outcome) {
    case NAIVE_APPENDED:
        return ECSHIST_OUTCOME_APPENDED;
    case NAIVE_DUPLICATE:
        return ECSHIST_OUTCOME_DUPLICATE;
    case NAIVE_IGNORED:
        return ECSHIST_OUTCOME_IGNORED;
    default:
        return ECSHIST_OUTCOME_REFUSED;
    }
}

static int code_of(enum naive_outcome outcome)
{
    switch (outcome) {
    case NAIVE_IGNORED:
    case NAIVE_CONFLICT:
        return ECSHIST_CONFLICT;
    case NAIVE_NOT_FOUND:
        return ECSHIST_NOT_FOUND;
    case NAIVE_INVALID:
        return ECSHIST_INVALID;
    default:
        return ECSHIST_OK;
    }
}

/* What the model says should become of a batch. */
struct expected {
    struct ecshist_append_result results[PAIR_BATCH];
    int code;
    size_t event_index; /* of the first refused one */
};

static void expect(struct naive *naive, json_t *const *events, size_t count, unsigned flags,
                   struct expected *out)
{
    uint64_t before = naive_count(naive);
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < count; i++) {
        struct naive_result r =
            naive_append_value(naive, events[i], (flags & ECSHIST_APPEND_LENIENT) != 0);
        bool refused = outcome_of(r.outcome) == ECSHIST_OUTCOME_REFUSED;
        bool ends = refused && (flags & ECSHIST_APPEND_EACH) == 0;
        if (ends)
            memset(out->results, 0, sizeof(out->results));
        out->results[i].outcome = outcome_of(r.outcome);
        out->results[i].code = code_of(r.outcome);
        out->results[i].seq = r.seq;
        if (refused && out->code == ECSHIST_OK) {
            out->code = code_of(r.outcome);
            out->event_index = i;
        }
        if (ends) {
            naive_forget(naive, before);
            return;
        }
    }
}

static bool same_results(struct pair *pair, json_t *const *events, size_t count,
                         const struct expected *expected,
                         const struct ecshist_append_result *results, int code,
                         const struct ecshist_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct ecshist_append_result *a = &expected->results[i], *b = &results[i];
        if (a->outcome == b->outcome && a->code == b->code && a->seq == b->seq)
            continue;
        char *event = json_dumps(events[i], JSON_COMPACT);
        (void)disagree(pair,
                       "event %zu: naive model %d %s seq %" PRIu64 ", store %d %s seq %" PRIu64
                       " (%s): %s",
                       i, (int)a->outcome, ecshist_code_name(a->code), a->seq, (int)b->outcome,
                       ecshist_code_name(b->code), b->seq, b->reason, event);
        free(event);
        return false;
    }
    if (code != expected->code)
        return disagree(pair, "append: naive model %s, store %s: %s",
                        ecshist_code_name(expected->code), ecshist_code_name(code), error->message);
    if (code != ECSHIST_OK && error->event_index != expected->event_index)
        return disagree(pair, "append: event %zu is the first refused, not %zu",
                        expected->event_index, error->event_index);
    return true;
}

static ecshist_event *event_of(const json_t *value)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_event *event = NULL;
    char *line = json_dumps(value, JSON_COMPACT);
    store_must(ecshist_event_from_json(line, strlen(line), &event, &error), line, &error);
    free(line);
    return event;
}

static bool run_batch(struct pair *pair, json_t *const *values, size_t count, unsigned flags,
                      bool dry)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    struct ecshist_append_result results[PAIR_BATCH];
    const ecshist_event *events[PAIR_BATCH];
    struct expected expected;
    uint64_t before = naive_count(pair->naive);
    options.flags = flags;
    for (size_t i = 0; i < count; i++) {
        events[i] = event_of(values[i]);
        results[i] = (struct ecshist_append_result)ECSHIST_APPEND_RESULT_INIT;
    }
    expect(pair->naive, values, count, flags, &expected);
    if (dry)
        naive_forget(pair->naive, before);
    int code = (dry ? ecshist_append_dry_run : ecshist_append)(pair->store, events, count, &options,
                                                               results, &error);
    for (size_t i = 0; i < count; i++)
        ecshist_event_free((ecshist_event *)(uintptr_t)events[i]);
    return same_results(pair, values, count, &expected, results, code, &error);
}

bool pair_append(struct pair *pair, json_t *const *events, size_t count, unsigned flags)
{
    return run_batch(pair, events, count, flags, false);
}

bool pair_dry_run(struct pair *pair, json_t *const *events, size_t count, unsigned flags)
{
    return run_batch(pair, events, count, flags, true);
}

/* -- one view ---------------------------------------------------------------------------------- */

static struct ecshist_as_of moment_of(struct naive_as_of as_of)
{
    return (struct ecshist_as_of){as_of.seq, as_of.has_time, as_of.time_us};
}

static ecshist_snapshot *take_snapshot(const struct pair *pair)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(pair->store, &snapshot, &error), "snapshot", &error);
    return snapshot;
}

/* Compares and takes both views; either may be NULL: missing. */
static bool same_view(struct pair *pair, const char *arn, struct naive_as_of as_of, json_t *naive,
                      json_t *other)
{
    char where[2048] = "";
    bool agree = naive == NULL || other == NULL ? naive == other
                                                : naive_agrees(naive, other, where, sizeof(where));
    if (!agree)
        (void)disagree(pair, "%s as of seq %" PRIu64 ", time %" PRIi64 ": %s%s%s", arn, as_of.seq,
                       as_of.has_time ? as_of.time_us : -1,
                       naive == NULL ? "MISSING in the naive model" : "",
                       other == NULL ? "MISSING in the store" : "", where);
    json_decref(naive);
    json_decref(other);
    return agree;
}

/* The answer's only item, NULL where it has none. Frees the answer. */
static json_t *only_item(ecshist_result *result)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    json_t *item = NULL;
    if (ecshist_result_count(result) != 0) {
        char *json = NULL;
        store_must(ecshist_result_item_to_json(result, 0, ECSHIST_JSON_WIRE, &json, NULL, &error),
                   "item", &error);
        item = json_loads(json, 0, NULL);
        ecshist_free(json);
    }
    ecshist_result_free(result);
    return item;
}

typedef int describe_fn(ecshist_snapshot *snapshot, const char *const *arns, size_t count,
                        const struct ecshist_as_of *as_of, ecshist_result **out,
                        struct ecshist_error *error);

static json_t *describe(const struct pair *pair, describe_fn *how, const char *arn,
                        struct naive_as_of as_of)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_as_of moment = moment_of(as_of);
    ecshist_snapshot *snapshot = take_snapshot(pair);
    ecshist_result *result = NULL;
    store_must(how(snapshot, &arn, 1, &moment, &result, &error), arn, &error);
    ecshist_snapshot_close(snapshot);
    return only_item(result);
}

bool pair_agrees_on_deployment(struct pair *pair, const char *arn, struct naive_as_of as_of)
{
    return same_view(pair, arn, as_of, naive_deployment(pair->naive, arn, as_of),
                     describe(pair, ecshist_describe_service_deployments, arn, as_of));
}

static bool agrees_on_revision(struct pair *pair, const char *arn, struct naive_as_of as_of)
{
    return same_view(pair, arn, as_of, naive_revision(pair->naive, arn, as_of),
                     describe(pair, ecshist_describe_service_revisions, arn, as_of));
}

/* -- services ---------------------------------------------------------------------------------- */

static const char *const status_names[] = {"",
                                           "PENDING",
                                           "SUCCESSFUL",
                                           "STOPPED",
                                           "STOP_REQUESTED",
                                           "IN_PROGRESS",
                                           "ROLLBACK_REQUESTED",
                                           "ROLLBACK_IN_PROGRESS",
                                           "ROLLBACK_SUCCESSFUL",
                                           "ROLLBACK_FAILED"};

/* A service as the model shows one. */
static json_t *service_view(const struct ecshist_service_view *view)
{
    json_t *counts = json_object();
    for (size_t i = 1; i < sizeof(status_names) / sizeof(status_names[0]); i++) {
        if (view->deployments_by_status[i] != 0)
            json_object_set_new(counts, status_names[i],
                                json_integer((json_int_t)view->deployments_by_status[i]));
    }
    json_t *made = json_pack("{s:s,s:s,s:s,s:o}", "serviceArn", view->service_arn, "clusterArn",
                             view->cluster_arn, "status", view->status, "deployments", counts);
    if (view->current_revision_arn != NULL)
        json_object_set_new(made, "currentServiceRevisionArn",
                            json_string(view->current_revision_arn));
    return made;
}

static json_t *find_service(const struct pair *pair, const char *arn, struct naive_as_of as_of)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_as_of moment = moment_of(as_of);
    ecshist_snapshot *snapshot = take_snapshot(pair);
    ecshist_result *result = NULL;
    store_must(ecshist_list_services(snapshot, NULL, NULL, NULL, &moment, &result, &error),
               "services", &error);
    json_t *found = NULL;
    for (size_t i = 0; i < ecshist_result_count(result); i++) {
        struct ecshist_service_view view = ECSHIST_SERVICE_VIEW_INIT;
        (void)ecshist_result_service(result, i, &view);
        if (strcmp(view.service_arn, arn) == 0)
            found = service_view(&view);
    }
    ecshist_result_free(result);
    ecshist_snapshot_close(snapshot);
    return found;
}

json_t *pair_view(const struct pair *pair, const char *arn)
{
    struct naive_as_of now = {0};
    if (strstr(arn, ":service-deployment/") != NULL)
        return describe(pair, ecshist_describe_service_deployments, arn, now);
    if (strstr(arn, ":service-revision/") != NULL)
        return describe(pair, ecshist_describe_service_revisions, arn, now);
    return find_service(pair, arn, now);
}

/* -- lists ------------------------------------------------------------------------------------- */

struct listed {
    char *arn;
    int64_t created_at_us;
    uint64_t created_seq;
    char status[32];
};
enum { MOST_LISTED = 64 };
struct list {
    size_t count;
    bool brief_differs;
    struct listed rows[MOST_LISTED];
};

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->rows[i].arn);
}

static void take_page(struct list *list, const ecshist_result *result)
{
    for (size_t i = 0; i < ecshist_result_count(result) && list->count < MOST_LISTED; i++) {
        struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
        (void)ecshist_result_deployment(result, i, &view);
        struct listed *row = &list->rows[list->count++];
        row->arn = strdup(view.service_deployment_arn);
        row->created_at_us = view.created_at_us;
        row->created_seq = view.created_seq;
        snprintf(row->status, sizeof(row->status), "%s", view.status_name);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What ECS lists is the same in both. */
static bool same_listed(const struct ecshist_deployment_view *a,
                        const struct ecshist_deployment_view *b)
{
    return same_text(a->service_deployment_arn, b->service_deployment_arn) &&
           same_text(a->service_arn, b->service_arn) && same_text(a->cluster_arn, b->cluster_arn) &&
           same_text(a->status_name, b->status_name) && a->status == b->status &&
           same_text(a->status_reason, b->status_reason) &&
           same_text(a->target.arn, b->target.arn) && a->created_at_us == b->created_at_us &&
           a->started_at_us == b->started_at_us && a->finished_at_us == b->finished_at_us &&
           a->created_seq == b->created_seq;
}

/* All else is as if it had never been set. */
static bool no_more_than_listed(const struct ecshist_deployment_view *v)
{
    return v->updated_at_us == -1 && v->stopped_at_us == -1 && v->rollback_started_at_us == -1 &&
           v->source_count == 0 && v->last_seq == 0 && v->target.requested_task_count == 0 &&
           v->lifecycle_stage == NULL && v->rollback_reason == NULL &&
           v->circuit_breaker_status == NULL && v->alarm_status == NULL;
}

static bool same_json(const ecshist_result *a, const ecshist_result *b)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *one = NULL, *other = NULL;
    store_must(ecshist_result_to_json(a, ECSHIST_JSON_WIRE, &one, NULL, &error), "JSON", &error);
    store_must(ecshist_result_to_json(b, ECSHIST_JSON_WIRE, &other, NULL, &error), "JSON", &error);
    bool same = strcmp(one, other) == 0;
    ecshist_free(one);
    ecshist_free(other);
    return same;
}

/* The same page, asked for in brief. */
static bool same_in_brief(ecshist_snapshot *snapshot, struct ecshist_list_request request,
                          const ecshist_result *all)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *brief = NULL;
    request.brief = true;
    store_must(ecshist_list_service_deployments(snapshot, &request, &brief, &error), "brief",
               &error);
    bool same = same_json(all, brief);
    for (size_t i = 0; i < ecshist_result_count(all); i++) {
        struct ecshist_deployment_view a = ECSHIST_DEPLOYMENT_VIEW_INIT, b = a;
        same = same && ecshist_result_deployment(all, i, &a) &&
               ecshist_result_deployment(brief, i, &b) && same_listed(&a, &b) &&
               no_more_than_listed(&b);
    }
    ecshist_result_free(brief);
    return same;
}

/* Pages of two. A service that is not there has no deployments. */
static void fetch_list(const struct pair *pair, const char *service, struct naive_as_of as_of,
                       struct list *list)
{
    ecshist_snapshot *snapshot = take_snapshot(pair);
    char *token = NULL;
    list->count = 0;
    list->brief_differs = false;
    do {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
        ecshist_result *result = NULL;
        request.service = service;
        request.as_of = moment_of(as_of);
        request.max_results = 2;
        request.next_token = token;
        int rc = ecshist_list_service_deployments(snapshot, &request, &result, &error);
        if (rc == ECSHIST_OK)
            list->brief_differs |= !same_in_brief(snapshot, request, result);
        free(token);
        token = NULL;
        if (rc == ECSHIST_CLUSTER_NOT_FOUND || rc == ECSHIST_SERVICE_NOT_FOUND)
            break;
        store_must(rc, service, &error);
        take_page(list, result);
        const char *next = ecshist_result_next_token(result);
        token = next != NULL ? strdup(next) : NULL;
        ecshist_result_free(result);
    } while (token != NULL);
    ecshist_snapshot_close(snapshot);
}

static bool in_order(const struct listed *a, const struct listed *b)
{
    if (a->created_at_us != b->created_at_us)
        return a->created_at_us > b->created_at_us;
    return a->created_seq > b->created_seq;
}

static const struct listed *find_row(const struct list *list, const char *arn)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->rows[i].arn, arn) == 0)
            return &list->rows[i];
    }
    return NULL;
}

static bool is_of(const char *deployment, const char *service)
{
    char text[512];
    const char *from = strstr(service, ":service/") + strlen(":service/");
    snprintf(text, sizeof(text), ":service-deployment/%s/", from);
    return strstr(deployment, text) != NULL;
}

static bool same_row(struct pair *pair, const struct list *list, const char *arn,
                     struct naive_as_of as_of, size_t *expected)
{
    json_t *view = naive_deployment(pair->naive, arn, as_of);
    const struct listed *row = find_row(list, arn);
    const char *status =
        view == NULL ? "nothing" : json_string_value(json_object_get(view, "status"));
    bool same = view == NULL ? row == NULL : row != NULL && strcmp(status, row->status) == 0;
    *expected += view != NULL;
    if (!same)
        (void)disagree(pair,
                       "list as of seq %" PRIu64 ", time %" PRIi64
                       ": %s is %s in the naive model, %s in the store",
                       as_of.seq, as_of.has_time ? as_of.time_us : -1, arn, status,
                       row == NULL ? "nothing" : row->status);
    json_decref(view);
    return same;
}

static bool agrees_on_list(struct pair *pair, const struct pair_subjects *subjects,
                           const char *service, struct naive_as_of as_of)
{
    struct list list;
    size_t expected = 0;
    bool agree = true;
    fetch_list(pair, service, as_of, &list);
    for (size_t i = 0; i < subjects->deployment_count && agree; i++) {
        if (is_of(subjects->deployments[i], service))
            agree = same_row(pair, &list, subjects->deployments[i], as_of, &expected);
    }
    for (size_t i = 1; i < list.count && agree; i++) {
        if (!in_order(&list.rows[i - 1], &list.rows[i]))
            agree = disagree(pair, "list of %s: %s before %s", service, list.rows[i - 1].arn,
                             list.rows[i].arn);
    }
    if (agree && list.brief_differs)
        agree = disagree(pair, "list of %s: in brief it is another", service);
    if (agree && list.count != expected)
        agree = disagree(pair, "list of %s: %zu rows, %zu expected", service, list.count, expected);
    free_list(&list);
    return agree;
}

bool pair_agrees(struct pair *pair, const struct pair_subjects *subjects, struct naive_as_of as_of)
{
    bool agree = true;
    for (size_t i = 0; i < subjects->deployment_count && agree; i++)
        agree = pair_agrees_on_deployment(pair, subjects->deployments[i], as_of);
    for (size_t i = 0; i < subjects->revision_count && agree; i++)
        agree = agrees_on_revision(pair, subjects->revisions[i], as_of);
    for (size_t i = 0; i < subjects->service_count && agree; i++) {
        const char *service = subjects->services[i];
        agree = same_view(pair, service, as_of, naive_service(pair->naive, service, as_of),
                          find_service(pair, service, as_of)) &&
                agrees_on_list(pair, subjects, service, as_of);
    }
    return agree;
}

/* -- histories --------------------------------------------------------------------------------- */

static size_t timeline_count(const struct pair *pair, ecshist_snapshot *snapshot, const char *arn)
{
    (void)pair;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int rc = ecshist_timeline(snapshot, arn, NULL, &result, &error);
    if (rc == ECSHIST_NOT_FOUND)
        return 0;
    store_must(rc, arn, &error);
    size_t count = ecshist_result_count(result);
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(ecshist_result_event(result, i), &info);
        if (info.seq <= before || strcmp(info.subject_arn, arn) != 0)
            count = SIZE_MAX / 16; /* never the right one */
        before = info.seq;
    }
    ecshist_result_free(result);
    return count;
}

static bool log_is(struct pair *pair, uint64_t count)
{
    ecshist_cursor *cursor = NULL;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    const ecshist_event *event;
    uint64_t seq = 0;
    store_must(ecshist_cursor_open(pair->store, 1, &cursor, &error), "cursor", &error);
    bool agree = true;
    while (agree && ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        if (info.seq != ++seq)
            agree = disagree(pair, "the log has event %" PRIu64 " behind event %" PRIu64, info.seq,
                             seq - 1);
    }
    ecshist_cursor_close(cursor);
    if (agree && error.code != ECSHIST_END)
        agree = disagree(pair, "cursor: %s", error.message);
    if (agree && seq != count)
        agree =
            disagree(pair, "the log has %" PRIu64 " events, the naive model %" PRIu64, seq, count);
    return agree;
}

bool pair_agrees_on_history(struct pair *pair, const struct pair_subjects *subjects)
{
    uint64_t count = 0, expected = naive_count(pair->naive);
    ecshist_snapshot *snapshot = take_snapshot(pair);
    for (size_t i = 0; i < subjects->deployment_count; i++)
        count += timeline_count(pair, snapshot, subjects->deployments[i]);
    for (size_t i = 0; i < subjects->revision_count; i++)
        count += timeline_count(pair, snapshot, subjects->revisions[i]);
    for (size_t i = 0; i < subjects->service_count; i++)
        count += timeline_count(pair, snapshot, subjects->services[i]);
    ecshist_snapshot_close(snapshot);
    if (count != expected)
        return disagree(pair, "the timelines have %" PRIu64 " events, the naive model %" PRIu64,
                        count, expected);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    store_must(ecshist_stat(pair->store, &stat, &error), "stat", &error);
    if (stat.event_count != expected || stat.last_seq != expected)
        return disagree(pair, "stat says %" PRIu64 " events, the naive model %" PRIu64,
                        stat.event_count, expected);
    return log_is(pair, expected);
}
