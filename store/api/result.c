/* What answers give out: structs and JSON. */
#include "api/result.h"
#include "api/direct.h"
#include "model/names.h"

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

static struct ecshist_revision_summary *make_sources(struct ehi_arena *arena,
                                                     const struct ehi_deployment *d)
{
    struct ecshist_revision_summary *sources =
        ehi_arena_alloc(arena, d->source_count * sizeof(*sources));
    for (uint32_t i = 0; i < d->source_count && sources != NULL; i++)
        sources[i] = summary(&d->sources[i]);
    return sources;
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

static void show_deployment(const struct ecshist_result *result, size_t index,
                            struct ecshist_deployment_view *v)
{
    const struct ehi_deployment *d = &result->answer.deployments[index];
    fill_times(d, v);
    v->service_deployment_arn = text(d->arn);
    v->service_arn = text(result->answer.owners[index].service);
    v->cluster_arn = text(result->answer.owners[index].cluster);
    v->status = (ecshist_deployment_status)d->status;
    v->status_name = ehi_enum_name(EHI_ENUM_STATUS, d->status);
    v->status_reason = text(d->status_reason);
    v->lifecycle_stage = ehi_enum_name(EHI_ENUM_STAGE, d->stage);
    v->target = summary(&d->target);
    v->sources = result->sources[index];
    v->source_count = d->source_count;
    v->rollback_reason = text(d->rollback_reason);
    v->rollback_revision_arn = text(d->rollback_revision_arn);
    v->circuit_breaker_status = ehi_enum_name(EHI_ENUM_MONITOR, d->breaker_status);
    v->failure_count = d->failure_count;
    v->threshold = d->threshold;
    v->alarm_status = ehi_enum_name(EHI_ENUM_MONITOR, d->alarm_status);
    v->created_seq = d->created_seq;
    v->last_seq = d->last_seq;
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

/* Their lists only: all else is given as it stands in the answer. */
static int fill_deployments(struct ecshist_result *made, struct ecshist_error *error)
{
    size_t count = made->answer.count;
    made->sources =
        ehi_arena_alloc(&made->arena, count * sizeof(struct ecshist_revision_summary *));
    for (size_t i = 0; made->sources != NULL && i < count; i++) {
        made->sources[i] = make_sources(&made->arena, &made->answer.deployments[i]);
        if (made->sources[i] == NULL)
            return ehi_fail_memory(error);
    }
    return made->sources == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

static int fill_services(struct ecshist_result *made, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    made->services = ehi_arena_array(&made->arena, made->answer.count, sizeof(*made->services));
    for (size_t i = 0; made->services != NULL && i < made->answer.count && rc == ECSHIST_OK; i++)
        rc = fill_service(&made->arena, &made->answer.services[i], &made->services[i], error);
    return made->services == NULL ? ehi_fail_memory(error) : rc;
}

int api_result_fill(struct ecshist_result *made, struct ecshist_error *error)
{
    int rc = ECSHIST_OK;
    if (made->answer.records != NULL)
        rc = fill_events(made, error);
    if (rc == ECSHIST_OK && made->answer.deployments != NULL)
        rc = fill_deployments(made, error);
    if (rc == ECSHIST_OK && made->answer.services != NULL)
        rc = fill_services(made, error);
    return rc;
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
    if (result->answer.deployments == NULL || index >= result->answer.count)
        return false;
    if (view->size == sizeof(*view)) {
        show_deployment(result, index, view);
        return true;
    }
    struct ecshist_deployment_view all = ECSHIST_DEPLOYMENT_VIEW_INIT;
    show_deployment(result, index, &all);
    return give_view(&all, sizeof(all), view);
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

static struct ehi_json_style style_of(ecshist_json_form form)
{
    bool cli = form == ECSHIST_JSON_CLI;
    return (struct ehi_json_style){.iso_times = cli, .indent = cli ? 4 : 0};
}

static void give_text(const struct ehi_buffer *text, char **out_json, size_t *out_length)
{
    *out_json = (char *)text->data;
    if (out_length != NULL)
        *out_length = text->length - 1;
}

/* The general way: a value of it, and that as JSON. */
static int write_value(const struct ehi_answer *answer, size_t index,
                       const struct ehi_json_style *style, char **out_json, size_t *out_length,
                       struct ecshist_error *error)
{
    struct ehi_arena arena = {0};
    struct ehi_value value;
    int rc = index == API_ALL ? ehi_answer_value(answer, &arena, &value, error)
                              : ehi_answer_item_value(answer, index, &arena, &value, error);
    if (rc == ECSHIST_OK)
        rc = api_write_value(&value, style, out_json, out_length, error);
    ehi_arena_free(&arena);
    return rc;
}

static int write_answer(const struct ehi_answer *answer, size_t index, ecshist_json_form form,
                        char **out_json, size_t *out_length, struct ecshist_error *error)
{
    struct ehi_json_style style = style_of(form);
    struct ehi_buffer text = {0};
    if (!api_put_answer(answer, index, &style, &text)) {
        ehi_buffer_free(&text);
        return write_value(answer, index, &style, out_json, out_length, error);
    }
    give_text(&text, out_json, out_length);
    return ECSHIST_OK;
}

ECSHIST_API int ecshist_result_to_json(const ecshist_result *result, ecshist_json_form form,
                                       char **out_json, size_t *out_length,
                                       struct ecshist_error *error)
{
    if (result == NULL || out_json == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    return write_answer(&result->answer, API_ALL, form, out_json, out_length, error);
}

ECSHIST_API int ecshist_result_item_to_json(const ecshist_result *result, size_t index,
                                            ecshist_json_form form, char **out_json,
                                            size_t *out_length, struct ecshist_error *error)
{
    if (result == NULL || out_json == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    if (index >= result->answer.count)
        return ehi_fail(error, ECSHIST_INVALID, "the answer has %zu items", result->answer.count);
    return write_answer(&result->answer, index, form, out_json, out_length, error);
}
