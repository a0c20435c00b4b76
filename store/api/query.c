#include "api/internal.h"
#include "model/names.h"
#include "view/view.h"
#include "json/json.h"

#include <stdlib.h>

struct ecshist_snapshot {
    struct ehi_store *store;
    struct ehi_db *db;
    struct ehi_view_source source;
};

struct ecshist_result {
    struct ehi_arena arena;
    struct ehi_answer answer;
    /* What is given out is made with the answer: a result never changes, so any thread may read it.
     */
    struct ecshist_event *events; /* of a timeline */
    struct ecshist_deployment_view *deployments;
    struct ecshist_service_view *services;
};

/* -- snapshots --------------------------------------------------------------------------------- */

/* Of a reader without LMDB's lock nobody knows: what it read while others wrote is not believed. */
static int check_overtaken(const struct ecshist_snapshot *snapshot, int rc,
                           struct ecshist_error *error)
{
    if (snapshot->source.txn == NULL || !ehi_db_overtaken(snapshot->source.txn))
        return rc;
    return ehi_fail(
        error, ECSHIST_BUSY,
        "the store is being written to, and who may not write to it is not seen by those "
        "who do: take a snapshot again, or read a backup");
}

static int begin_snapshot(struct ecshist_snapshot *snapshot, struct ecshist_error *error)
{
    struct ehi_db_head head;
    int rc =
        ehi_store_begin_read(snapshot->store, &snapshot->db, &snapshot->source.txn, &head, error);
    if (rc == ECSHIST_OK)
        snapshot->source.last_seq = head.next_seq - 1;
    return check_overtaken(snapshot, rc, error);
}

ECSHIST_API int ecshist_snapshot_open(ecshist_store *store, ecshist_snapshot **out,
                                      struct ecshist_error *error)
{
    if (store == NULL || out == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    int rc = api_check_process(api_store(store), error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ecshist_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL)
        return ehi_fail_memory(error);
    snapshot->store = api_store(store);
    snapshot->source.log = snapshot->store->log;
    ehi_log_enter(snapshot->store->log);
    rc = begin_snapshot(snapshot, error);
    if (rc == ECSHIST_OK)
        *out = snapshot;
    else
        ecshist_snapshot_close(snapshot);
    return rc;
}

ECSHIST_API void ecshist_snapshot_close(ecshist_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    /* In a forked child the reader's slot is the parent's, who goes on reading. */
    if (api_check_process(snapshot->store, NULL) == ECSHIST_OK) {
        ehi_db_abort(snapshot->source.txn);
        ehi_db_release(snapshot->db);
        ehi_log_leave(snapshot->store->log);
    }
    free(snapshot);
}

ECSHIST_API uint64_t ecshist_snapshot_seq(const ecshist_snapshot *snapshot)
{
    return snapshot->source.last_seq;
}

/* -- what is given out of an answer ----------------------------------------------------------- */

static const char *text(struct ehi_slice slice)
{
    return (const char *)slice.data;
}

static int64_t time_or_unset(int64_t time_us)
{
    return time_us == EHI_TIME_NONE ? -1 : time_us;
}

static struct ecshist_revision_summary summary(const struct ehi_revision_summary *from)
{
    return (struct ecshist_revision_summary){text(from->arn),       from->requested,
                                             from->running,         from->pending,
                                             from->has_test_weight, from->has_production_weight,
                                             from->test_weight,     from->production_weight};
}

static int fill_sources(struct ehi_arena *arena, const struct ehi_deployment *d,
                        struct ecshist_deployment_view *v)
{
    struct ecshist_revision_summary *sources =
        ehi_arena_array(arena, d->source_count, sizeof(*sources));
    if (sources == NULL)
        return ECSHIST_NO_MEMORY;
    for (uint32_t i = 0; i < d->source_count; i++)
        sources[i] = summary(&d->sources[i]);
    v->sources = sources;
    v->source_count = d->source_count;
    return ECSHIST_OK;
}

/* The ARNs of the service and the cluster that another ARN names. */
static int fill_arns(struct ehi_arena *arena, struct ehi_slice arn, const char **service,
                     const char **cluster, struct ecshist_error *error)
{
    struct ehi_arn parsed;
    char buffer[EHI_ARN_BUFFER];
    int rc = ehi_arn_parse(arn, &parsed, error);
    if (rc != ECSHIST_OK)
        return rc;
    *service = text(ehi_arena_copy(arena, ehi_arn_service(&parsed, buffer)));
    *cluster = text(ehi_arena_copy(arena, ehi_arn_cluster(&parsed, buffer)));
    return *service == NULL || *cluster == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

static void fill_times(const struct ehi_deployment *d, struct ecshist_deployment_view *v)
{
    v->created_at_us = time_or_unset(d->created_at_us);
    v->started_at_us = time_or_unset(d->started_at_us);
    v->finished_at_us = time_or_unset(d->finished_at_us);
    v->stopped_at_us = time_or_unset(d->stopped_at_us);
    v->updated_at_us = time_or_unset(d->updated_at_us);
    v->rollback_started_at_us = d->has_rollback ? time_or_unset(d->rollback_started_at_us) : -1;
}

static int fill_deployment(struct ehi_arena *arena, const struct ehi_deployment *d,
                           struct ecshist_deployment_view *v, struct ecshist_error *error)
{
    *v = (struct ecshist_deployment_view)ECSHIST_DEPLOYMENT_VIEW_INIT;
    fill_times(d, v);
    v->service_deployment_arn = text(d->arn);
    v->status = (ecshist_deployment_status)d->status;
    v->status_name = ehi_enum_name(EHI_ENUM_STATUS, d->status);
    v->status_reason = text(d->status_reason);
    v->lifecycle_stage = ehi_enum_name(EHI_ENUM_STAGE, d->stage);
    v->target = summary(&d->target);
    v->rollback_reason = text(d->rollback_reason);
    v->rollback_revision_arn = text(d->rollback_revision_arn);
    v->circuit_breaker_status = ehi_enum_name(EHI_ENUM_MONITOR, d->breaker_status);
    v->failure_count = d->failure_count;
    v->threshold = d->threshold;
    v->alarm_status = ehi_enum_name(EHI_ENUM_MONITOR, d->alarm_status);
    v->created_seq = d->created_seq;
    v->last_seq = d->last_seq;
    if (fill_sources(arena, d, v) != ECSHIST_OK)
        return ehi_fail_memory(error);
    return fill_arns(arena, d->arn, &v->service_arn, &v->cluster_arn, error);
}

static int fill_service(struct ehi_arena *arena, const struct ehi_service *s,
                        struct ecshist_service_view *v, struct ecshist_error *error)
{
    *v = (struct ecshist_service_view)ECSHIST_SERVICE_VIEW_INIT;
    v->status = s->inactive ? "INACTIVE" : "ACTIVE";
    v->current_revision_arn = text(s->current_revision_arn);
    memcpy(v->deployments_by_status, s->by_status, sizeof(v->deployments_by_status));
    return fill_arns(arena, s->arn, &v->service_arn, &v->cluster_arn, error);
}

static int fill_events(struct ecshist_result *made, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    made->events = ehi_arena_array(&made->arena, made->answer.count, sizeof(*made->events));
    for (size_t i = 0; made->events != NULL && i < made->answer.count && rc == ECSHIST_OK; i++)
        rc = api_event_init(&made->events[i], made->answer.records[i], &made->arena, error);
    return made->events == NULL ? ehi_fail_memory(error) : rc;
}

static int fill_deployments(struct ecshist_result *made, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    made->deployments =
        ehi_arena_array(&made->arena, made->answer.count, sizeof(*made->deployments));
    for (size_t i = 0; made->deployments != NULL && i < made->answer.count && rc == ECSHIST_OK; i++)
        rc = fill_deployment(&made->arena, &made->answer.deployments[i], &made->deployments[i],
                             error);
    return made->deployments == NULL ? ehi_fail_memory(error) : rc;
}

static int fill_services(struct ecshist_result *made, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    made->services = ehi_arena_array(&made->arena, made->answer.count, sizeof(*made->services));
    for (size_t i = 0; made->services != NULL && i < made->answer.count && rc == ECSHIST_OK; i++)
        rc = fill_service(&made->arena, &made->answer.services[i], &made->services[i], error);
    return made->services == NULL ? ehi_fail_memory(error) : rc;
}

/* -- questions --------------------------------------------------------------------------------- */

static int check_question(const struct ecshist_snapshot *snapshot, const void *what,
                          ecshist_result **out, struct ecshist_result **made,
                          struct ecshist_error *error)
{
    if (snapshot == NULL || what == NULL || out == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    int rc = api_check_process(snapshot->store, error);
    if (rc != ECSHIST_OK)
        return rc;
    *made = calloc(1, sizeof(**made));
    return *made == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

static int give_result(const struct ecshist_snapshot *snapshot, int rc, struct ecshist_result *made,
                       ecshist_result **out, struct ecshist_error *error)
{
    if (rc == ECSHIST_OK && made->answer.records != NULL)
        rc = fill_events(made, error);
    if (rc == ECSHIST_OK && made->answer.deployments != NULL)
        rc = fill_deployments(made, error);
    if (rc == ECSHIST_OK && made->answer.services != NULL)
        rc = fill_services(made, error);
    rc = check_overtaken(snapshot, rc, error);
    if (rc == ECSHIST_OK)
        *out = made;
    else
        ecshist_result_free(made);
    return rc;
}

ECSHIST_API int ecshist_list_service_deployments(ecshist_snapshot *snapshot,
                                                 const struct ecshist_list_request *request,
                                                 ecshist_result **out, struct ecshist_error *error)
{
    struct ecshist_result *made;
    int rc = check_question(snapshot, request, out, &made, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ecshist_list_request all = ECSHIST_LIST_REQUEST_INIT;
    memcpy(&all, request, request->size < sizeof(all) ? request->size : sizeof(all));
    rc = ehi_view_list(&snapshot->source, &all, &made->arena, &made->answer, error);
    return give_result(snapshot, rc, made, out, error);
}

typedef int view_describe(const struct ehi_view_source *source, const char *const *arns,
                          size_t count, const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                          struct ehi_answer *out, struct ecshist_error *error);

static int describe(view_describe *view, ecshist_snapshot *snapshot, const char *const *arns,
                    size_t count, const struct ecshist_as_of *as_of, ecshist_result **out,
                    struct ecshist_error *error)
{
    struct ecshist_result *made;
    int rc = check_question(snapshot, arns, out, &made, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = view(&snapshot->source, arns, count, as_of, &made->arena, &made->answer, error);
    return give_result(snapshot, rc, made, out, error);
}

ECSHIST_API int ecshist_describe_service_deployments(ecshist_snapshot *snapshot,
                                                     const char *const *arns, size_t count,
                                                     const struct ecshist_as_of *as_of,
                                                     ecshist_result **out,
                                                     struct ecshist_error *error)
{
    return describe(ehi_view_deployments, snapshot, arns, count, as_of, out, error);
}

ECSHIST_API int ecshist_describe_service_revisions(ecshist_snapshot *snapshot,
                                                   const char *const *arns, size_t count,
                                                   const struct ecshist_as_of *as_of,
                                                   ecshist_result **out,
                                                   struct ecshist_error *error)
{
    return describe(ehi_view_revisions, snapshot, arns, count, as_of, out, error);
}

ECSHIST_API int ecshist_list_services(ecshist_snapshot *snapshot, const char *cluster,
                                      const char *region, const char *account,
                                      const struct ecshist_as_of *as_of, ecshist_result **out,
                                      struct ecshist_error *error)
{
    struct ecshist_result *made;
    int rc = check_question(snapshot, snapshot, out, &made, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_view_services(&snapshot->source, cluster, region, account, as_of, &made->arena,
                           &made->answer, error);
    return give_result(snapshot, rc, made, out, error);
}

ECSHIST_API int ecshist_timeline(ecshist_snapshot *snapshot, const char *arn,
                                 const struct ecshist_as_of *as_of, ecshist_result **out,
                                 struct ecshist_error *error)
{
    struct ecshist_result *made;
    int rc = check_question(snapshot, arn, out, &made, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_view_timeline(&snapshot->source, arn, as_of, &made->arena, &made->answer, error);
    return give_result(snapshot, rc, made, out, error);
}

/* -- answers ----------------------------------------------------------------------------------- */

ECSHIST_API size_t ecshist_result_count(const ecshist_result *result)
{
    return result->answer.count;
}

/* Copies as much of a view as the caller's struct has room for: it may be of an older header. */
static bool give_view(const void *view, size_t size, void *out)
{
    size_t room;
    memcpy(&room, out, sizeof(room));
    memcpy(out, view, room < size ? room : size);
    memcpy(out, &room, sizeof(room));
    return true;
}

ECSHIST_API bool ecshist_result_deployment(const ecshist_result *result, size_t index,
                                           struct ecshist_deployment_view *view)
{
    if (result->deployments == NULL || index >= result->answer.count)
        return false;
    return give_view(&result->deployments[index], sizeof(*view), view);
}

ECSHIST_API bool ecshist_result_service(const ecshist_result *result, size_t index,
                                        struct ecshist_service_view *view)
{
    if (result->services == NULL || index >= result->answer.count)
        return false;
    return give_view(&result->services[index], sizeof(*view), view);
}

ECSHIST_API const ecshist_event *ecshist_result_event(const ecshist_result *result, size_t index)
{
    return result->events == NULL || index >= result->answer.count ? NULL : &result->events[index];
}

ECSHIST_API size_t ecshist_result_failure_count(const ecshist_result *result)
{
    return result->answer.failure_count;
}

ECSHIST_API bool ecshist_result_failure(const ecshist_result *result, size_t index,
                                        struct ecshist_failure *failure)
{
    if (index >= result->answer.failure_count)
        return false;
    *failure = (struct ecshist_failure){text(result->answer.failures[index].arn), "MISSING"};
    return true;
}

ECSHIST_API const char *ecshist_result_next_token(const ecshist_result *result)
{
    return result->answer.next_token;
}

static int write_value(const struct ehi_value *value, ecshist_json_form form, char **out_json,
                       size_t *out_length, struct ecshist_error *error)
{
    struct ehi_json_style style = {.iso_times = form == ECSHIST_JSON_CLI,
                                   .indent = form == ECSHIST_JSON_CLI ? 4 : 0};
    return api_write_value(value, &style, out_json, out_length, error);
}

ECSHIST_API int ecshist_result_to_json(const ecshist_result *result, ecshist_json_form form,
                                       char **out_json, size_t *out_length,
                                       struct ecshist_error *error)
{
    if (result == NULL || out_json == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    struct ehi_arena arena = {0};
    struct ehi_value value;
    int rc = ehi_answer_value(&result->answer, &arena, &value, error);
    if (rc == ECSHIST_OK)
        rc = write_value(&value, form, out_json, out_length, error);
    ehi_arena_free(&arena);
    return rc;
}

ECSHIST_API int ecshist_result_item_to_json(const ecshist_result *result, size_t index,
                                            ecshist_json_form form, char **out_json,
                                            size_t *out_length, struct ecshist_error *error)
{
    if (result == NULL || out_json == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    if (index >= result->answer.count)
        return ehi_fail(error, ECSHIST_INVALID, "the answer has %zu items", result->answer.count);
    struct ehi_arena arena = {0};
    struct ehi_value value;
    int rc = ehi_answer_item_value(&result->answer, index, &arena, &value, error);
    if (rc == ECSHIST_OK)
        rc = write_value(&value, form, out_json, out_length, error);
    ehi_arena_free(&arena);
    return rc;
}

ECSHIST_API void ecshist_result_free(ecshist_result *result)
{
    if (result == NULL)
        return;
    ehi_arena_free(&result->arena);
    free(result);
}
