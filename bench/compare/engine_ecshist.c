/* ecshist, by its public API. */
#include "engine.h"
#include "util.h"

#include <ecshist/ecshist.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_EVENTS = ECSHIST_MAX_BATCH_EVENTS };

struct session {
    ecshist_store *store;
    ecshist_snapshot *snapshot;
    const ecshist_event **events;
    struct ecshist_append_result *results;
    size_t room; /* for results */
};

static void check(int code, const struct ecshist_error *error)
{
    if (code != ECSHIST_OK)
        fail("ecshist: %s: %s (%s)", ecshist_code_name(code), error->message, error->place);
}

static void *store_open(const char *dir)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    ecshist_store *store = NULL;
    options.flags = ECSHIST_OPEN_CREATE;
    check(ecshist_open(dir, &options, &store, &error), &error);
    return store;
}

static void store_close(void *store)
{
    ecshist_close(store);
}

static void *attach(void *store, bool to_write)
{
    struct session *s = must(calloc(1, sizeof(*s)));
    s->store = store;
    if (!to_write)
        return s;
    s->events = must(calloc(MOST_EVENTS, sizeof(const ecshist_event *)));
    return s;
}

static void detach(void *session)
{
    struct session *s = session;
    free(s->events);
    free(s->results);
    free(s);
}

static void reserve_results(struct session *s, size_t count)
{
    if (count <= s->room)
        return;
    s->results = must(realloc(s->results, count * sizeof(*s->results)));
    for (; s->room < count; s->room++)
        s->results[s->room] = (struct ecshist_append_result)ECSHIST_APPEND_RESULT_INIT;
}

static size_t count_duplicates(struct session *s, size_t count)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    size_t duplicates = 0;
    reserve_results(s, count);
    check(ecshist_append(s->store, s->events, count, NULL, s->results, &error), &error);
    for (size_t i = 0; i < count; i++)
        duplicates += s->results[i].outcome == ECSHIST_OUTCOME_DUPLICATE;
    return duplicates;
}

static size_t append(void *session, const struct item *items, size_t count)
{
    struct session *s = session;
    for (size_t i = 0; i < count; i++)
        s->events[i] = items[i].event;
    return count_duplicates(s, count);
}

static void read_begin(void *session)
{
    struct session *s = session;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    check(ecshist_snapshot_open(s->store, &s->snapshot, &error), &error);
}

static void read_end(void *session)
{
    struct session *s = session;
    ecshist_snapshot_close(s->snapshot);
    s->snapshot = NULL;
}

/* Whoever reads has the index brought up to date. */
static void drain(void *session)
{
    read_begin(session);
    read_end(session);
}

/* A view is members and pointers to its texts: what a program that asked would look at. */
static uint64_t touch_view(const struct ecshist_deployment_view *view)
{
    return touch(view, sizeof(*view)) + touch_text(view->service_deployment_arn) +
           touch_text(view->service_arn) + touch_text(view->target.arn) +
           (view->source_count > 0 ? touch_text(view->sources[0].arn) : 0);
}

static bool describe(void *session, const char *arn, size_t length, enum depth depth,
                     struct answer *out)
{
    struct session *s = session;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    ecshist_result *result;
    (void)length;
    check(ecshist_describe_service_deployments(s->snapshot, &arn, 1, NULL, &result, &error),
          &error);
    bool found = ecshist_result_deployment(result, 0, &view);
    if (found && depth == DEPTH_JSON) {
        char *json;
        size_t bytes;
        check(ecshist_result_item_to_json(result, 0, ECSHIST_JSON_WIRE, &json, &bytes, &error),
              &error);
        out->touched += (uint64_t)json[bytes / 2];
        ecshist_free(json);
    } else if (found) {
        out->touched += touch_view(&view);
    }
    out->status = (int)view.status;
    ecshist_result_free(result);
    return found;
}

static void list(void *session, const char *arn, size_t length, struct answer *out)
{
    struct session *s = session;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    ecshist_result *result;
    (void)length;
    request.service = arn;
    request.max_results = LIST_LENGTH;
    request.brief = true;
    check(ecshist_list_service_deployments(s->snapshot, &request, &result, &error), &error);
    out->count = ecshist_result_count(result);
    for (size_t i = 0; i < out->count && ecshist_result_deployment(result, i, &view); i++) {
        out->touched += touch_view(&view);
        out->status = (int)view.status;
    }
    ecshist_result_free(result);
}

const struct engine engine_ecshist = {
    .name = "ecshist",
    .title = "ecshist",
    .settings = "default options",
    .leaves_out = "",
    .reads = true,
    .version = ecshist_version,
    .open = store_open,
    .close = store_close,
    .attach = attach,
    .detach = detach,
    .append = append,
    .drain = drain,
    .drained_ms = 120,
    .read_begin = read_begin,
    .read_end = read_end,
    .describe = describe,
    .list = list,
};
