#include "support/naive.h"

#include "support/naive_fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An event that was taken. seq is its place in the list, from 1. */
struct entry {
    json_t *event;
    const char *subject, *id; /* of the event; id: NULL where it has none */
    char *content;            /* the event but for its id, its time in microseconds */
    int64_t time_us;
    bool ignored;
};

struct naive {
    struct entry *entries;
    uint64_t count;
    enum naive_mistake mistake;
};

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

struct naive *naive_new(void)
{
    return checked(calloc(1, sizeof(struct naive)));
}

void naive_forget(struct naive *model, uint64_t count)
{
    while (model->count > count) {
        struct entry *last = &model->entries[--model->count];
        json_decref(last->event);
        free(last->content);
    }
}

void naive_free(struct naive *model)
{
    naive_forget(model, 0);
    free(model->entries);
    free(model);
}

void naive_break(struct naive *model, enum naive_mistake mistake)
{
    model->mistake = mistake;
}

uint64_t naive_count(const struct naive *model)
{
    return model->count;
}

/* -- events ------------------------------------------------------------------------------------ */

static const char *type_of(const json_t *event)
{
    return json_string_value(json_object_get(event, "type"));
}

static const char *subject_of(const json_t *event)
{
    const char *member = "serviceDeploymentArn";
    if (strncmp(type_of(event), "revision-", 9) == 0)
        member = "serviceRevisionArn";
    if (strcmp(type_of(event), "service-deleted") == 0)
        member = "serviceArn";
    return json_string_value(json_object_get(event, member));
}

static char *content_of(const json_t *event)
{
    json_t *copy = checked(json_deep_copy(event));
    json_object_del(copy, "id");
    json_object_del(copy, "seq");
    json_object_del(copy, "recordedAt");
    json_object_set_new(copy, "time", json_integer(naive_time(json_object_get(event, "time"))));
    char *content = checked(json_dumps(copy, JSON_COMPACT));
    json_decref(copy);
    return content;
}

static bool is_subject(const struct entry *entry, const char *arn)
{
    return strcmp(entry->subject, arn) == 0;
}

/* Whether an event is part of what was so at a moment. */
static bool is_seen(const struct naive *model, uint64_t seq, struct naive_as_of as_of)
{
    const struct entry *entry = &model->entries[seq - 1];
    if (entry->ignored || (as_of.seq != 0 && seq > as_of.seq))
        return false;
    return !as_of.has_time || entry->time_us <= as_of.time_us;
}

/* -- views ------------------------------------------------------------------------------------- */

static struct naive_fold fold_deployment(const struct naive *model, const char *arn,
                                         struct naive_as_of as_of)
{
    struct naive_fold fold = {.mistake = model->mistake};
    for (uint64_t seq = 1; seq <= model->count; seq++) {
        const struct entry *entry = &model->entries[seq - 1];
        if (!is_seen(model, seq, as_of) || !is_subject(entry, arn))
            continue;
        /* All that was taken fits, but where later-dated ones are left out. */
        if (!as_of.has_time || naive_fold_check(&fold, entry->event) == NAIVE_APPENDED)
            naive_fold_apply(&fold, entry->event, seq);
    }
    return fold;
}

json_t *naive_deployment(const struct naive *model, const char *arn, struct naive_as_of as_of)
{
    struct naive_fold fold = fold_deployment(model, arn, as_of);
    json_t *view = fold.view == NULL ? NULL : naive_fold_shown(&fold);
    json_decref(fold.view);
    return view;
}

/* The newest of the revision's events, NULL where there is none. */
static const json_t *revision_event(const struct naive *model, const char *arn,
                                    struct naive_as_of as_of, uint64_t *out_seq)
{
    const json_t *newest = NULL;
    for (uint64_t seq = 1; seq <= model->count; seq++) {
        const struct entry *entry = &model->entries[seq - 1];
        if (!is_seen(model, seq, as_of) || !is_subject(entry, arn))
            continue;
        newest = entry->event;
        *out_seq = seq;
    }
    return newest;
}

json_t *naive_revision(const struct naive *model, const char *arn, struct naive_as_of as_of)
{
    uint64_t seq;
    const json_t *event = revision_event(model, arn, as_of, &seq);
    if (event == NULL)
        return NULL;
    json_t *view = json_object();
    naive_put_arns(view, "serviceRevisionArn", arn);
    if (strcmp(type_of(event), "revision-created") == 0) {
        json_object_set_new(view, "createdAt",
                            json_integer(naive_time(json_object_get(event, "time"))));
        json_object_update_missing(view, json_object_get(event, "revision"));
        return view;
    }
    const json_t *document = json_object_get(event, "serviceRevision");
    const json_t *created = json_object_get(document, "createdAt");
    if (created != NULL)
        json_object_set_new(view, "createdAt", json_integer(naive_time(created)));
    json_object_update_missing(view, (json_t *)(uintptr_t)document);
    return view;
}

static char *service_of(const char *arn)
{
    char *text = checked(calloc(1, strlen(arn) + 1));
    naive_service_arn(arn, text);
    return text;
}

static bool is_of_service(const struct entry *entry, const char *service)
{
    char *of = service_of(entry->subject);
    bool same = strcmp(of, service) == 0;
    free(of);
    return same;
}

/* What a service's view is made of, on the way. */
struct tally {
    json_t *by_status;
    const char *service;
    bool exists, inactive;
    char *current;
    int64_t current_finished_us;
    uint64_t current_seq;
};

static const char *candidate_of(const json_t *view)
{
    const char *status = json_string_value(json_object_get(view, "status"));
    if (strcmp(status, "SUCCESSFUL") == 0)
        return json_string_value(
            json_object_get(json_object_get(view, "targetServiceRevision"), "arn"));
    if (strcmp(status, "ROLLBACK_SUCCESSFUL") == 0)
        return json_string_value(
            json_object_get(json_object_get(view, "rollback"), "serviceRevisionArn"));
    return NULL;
}

static void consider_current(struct tally *tally, const struct naive_fold *fold)
{
    const char *candidate = candidate_of(fold->view);
    const json_t *finished = json_object_get(fold->view, "finishedAt");
    int64_t finished_us = finished == NULL ? INT64_MIN : json_integer_value(finished);
    if (candidate == NULL)
        return;
    bool newer =
        tally->current == NULL || finished_us > tally->current_finished_us ||
        (finished_us == tally->current_finished_us && fold->created_seq > tally->current_seq);
    if (!newer)
        return;
    free(tally->current);
    tally->current = checked(strdup(candidate));
    tally->current_finished_us = finished_us;
    tally->current_seq = fold->created_seq;
}

static void count_status(json_t *by_status, const char *status)
{
    json_int_t before = json_integer_value(json_object_get(by_status, status));
    json_object_set_new(by_status, status, json_integer(before + 1));
}

/* A deployment is looked at where its first event stands. */
static void tally_deployment(struct tally *tally, const struct naive *model, uint64_t seq,
                             struct naive_as_of as_of)
{
    const json_t *event = model->entries[seq - 1].event;
    struct naive_fold fold = fold_deployment(model, subject_of(event), as_of);
    if (fold.view != NULL && fold.created_seq == seq) {
        tally->exists = true;
        const json_t *observed =
            json_object_get(json_object_get(event, "serviceDeployment"), "status");
        if (observed == NULL || !naive_is_terminal(json_string_value(observed)))
            tally->inactive = false;
        count_status(tally->by_status, json_string_value(json_object_get(fold.view, "status")));
        consider_current(tally, &fold);
    }
    json_decref(fold.view);
}

static void tally_event(struct tally *tally, const struct naive *model, uint64_t seq,
                        struct naive_as_of as_of)
{
    const struct entry *entry = &model->entries[seq - 1];
    if (!is_seen(model, seq, as_of) || !is_of_service(entry, tally->service))
        return;
    if (strncmp(type_of(entry->event), "revision-", 9) == 0)
        tally->exists = true;
    else if (strcmp(type_of(entry->event), "service-deleted") == 0)
        tally->inactive = tally->exists;
    else
        tally_deployment(tally, model, seq, as_of);
}

static struct tally tally_service(const struct naive *model, const char *arn,
                                  struct naive_as_of as_of)
{
    struct tally tally = {.by_status = json_object(), .service = arn};
    for (uint64_t seq = 1; seq <= model->count; seq++)
        tally_event(&tally, model, seq, as_of);
    return tally;
}

json_t *naive_service(const struct naive *model, const char *arn, struct naive_as_of as_of)
{
    struct tally tally = tally_service(model, arn, as_of);
    json_t *view = NULL;
    if (tally.exists) {
        view = json_object();
        json_object_set_new(view, "serviceArn", json_string(arn));
        naive_put_cluster(view, arn);
        json_object_set_new(view, "status", json_string(tally.inactive ? "INACTIVE" : "ACTIVE"));
        if (tally.current != NULL)
            json_object_set_new(view, "currentServiceRevisionArn", json_string(tally.current));
        json_object_set(view, "deployments", tally.by_status);
    }
    json_decref(tally.by_status);
    free(tally.current);
    return view;
}

/* -- appending --------------------------------------------------------------------------------- */

/* Section 2: what the subject's earlier events say of this one's id. true where that settles it. */
static bool judge_id(const struct naive *model, const json_t *event, const char *content,
                     struct naive_result *out)
{
    const char *id = json_string_value(json_object_get(event, "id"));
    const char *subject = subject_of(event);
    for (uint64_t seq = 1; seq <= model->count; seq++) {
        const struct entry *entry = &model->entries[seq - 1];
        const char *other = entry->id;
        if ((id == NULL) != (other == NULL) || !is_subject(entry, subject))
            continue;
        bool same_content = strcmp(entry->content, content) == 0;
        if (id == NULL ? !same_content : strcmp(id, other) != 0)
            continue;
        out->outcome = same_content ? NAIVE_DUPLICATE : NAIVE_CONFLICT;
        out->seq = same_content ? seq : 0;
        return true;
    }
    return false;
}

static enum naive_outcome judge_service(const struct naive *model, const json_t *event)
{
    json_t *view = naive_service(model, subject_of(event), (struct naive_as_of){0});
    if (view == NULL)
        return NAIVE_NOT_FOUND;
    bool active = strcmp(json_string_value(json_object_get(view, "status")), "ACTIVE") == 0;
    json_decref(view);
    return active ? NAIVE_APPENDED : NAIVE_CONFLICT;
}

static enum naive_outcome judge_revision(const struct naive *model, const json_t *event,
                                         const char *content, uint64_t *out_seq)
{
    const json_t *before =
        revision_event(model, subject_of(event), (struct naive_as_of){0}, out_seq);
    if (before == NULL)
        return NAIVE_APPENDED;
    bool created = strcmp(type_of(event), "revision-created") == 0;
    bool was_created = strcmp(type_of(before), "revision-created") == 0;
    if (created) {
        bool same = strcmp(model->entries[*out_seq - 1].content, content) == 0;
        return same ? NAIVE_DUPLICATE : NAIVE_CONFLICT;
    }
    if (was_created)
        return NAIVE_CONFLICT;
    char *old = checked(json_dumps(json_object_get(before, "serviceRevision"), JSON_COMPACT));
    char *new = checked(json_dumps(json_object_get(event, "serviceRevision"), JSON_COMPACT));
    bool same = strcmp(old, new) == 0;
    free(old);
    free(new);
    return same ? NAIVE_DUPLICATE : NAIVE_APPENDED;
}

static enum naive_outcome judge_deployment(const struct naive *model, const json_t *event,
                                           uint64_t *out_seq)
{
    struct naive_fold fold = fold_deployment(model, subject_of(event), (struct naive_as_of){0});
    enum naive_outcome outcome = naive_fold_check(&fold, event);
    *out_seq = fold.last_seq;
    json_decref(fold.view);
    return outcome;
}

struct naive_result naive_judge(const struct naive *model, const json_t *event, bool lenient)
{
    struct naive_result result = {NAIVE_APPENDED, 0, false};
    char *content = content_of(event);
    if (!judge_id(model, event, content, &result)) {
        uint64_t seq = 0;
        if (strcmp(type_of(event), "service-deleted") == 0)
            result.outcome = judge_service(model, event);
        else if (strncmp(type_of(event), "revision-", 9) == 0)
            result.outcome = judge_revision(model, event, content, &seq);
        else
            result.outcome = judge_deployment(model, event, &seq);
        if (result.outcome == NAIVE_CONFLICT && lenient)
            result.outcome = NAIVE_IGNORED;
        if (result.outcome == NAIVE_DUPLICATE)
            result.seq = seq;
        result.same_view = result.outcome == NAIVE_DUPLICATE;
        if (result.outcome == NAIVE_APPENDED || result.outcome == NAIVE_IGNORED)
            result.seq = model->count + 1;
    }
    free(content);
    return result;
}

struct naive_result naive_append_value(struct naive *model, const json_t *event, bool lenient)
{
    struct naive_result result = naive_judge(model, event, lenient);
    if (result.outcome != NAIVE_APPENDED && result.outcome != NAIVE_IGNORED)
        return result;
    size_t bytes = (size_t)(model->count + 1) * sizeof(*model->entries);
    model->entries = checked(realloc(model->entries, bytes));
    struct entry *entry = &model->entries[model->count++];
    entry->event = checked(json_deep_copy(event));
    entry->subject = subject_of(entry->event);
    entry->id = json_string_value(json_object_get(entry->event, "id"));
    entry->content = content_of(event);
    entry->time_us = naive_time(json_object_get(event, "time"));
    entry->ignored = result.outcome == NAIVE_IGNORED;
    return result;
}

struct naive_result naive_append(struct naive *model, const char *json_line, bool lenient)
{
    json_error_t error;
    json_t *event = checked(json_loads(json_line, 0, &error));
    struct naive_result result = naive_append_value(model, event, lenient);
    json_decref(event);
    return result;
}

/* -- comparing --------------------------------------------------------------------------------- */

/* A value within others: "[2]" or ".name". */
struct spot {
    const struct spot *outer;
    const char *name; /* NULL: an item of a list, or the whole */
    size_t index;
};

/* Where to put what differs. */
struct report {
    char *text;
    size_t size;
};

static void write_spot(const struct spot *spot, struct report *report)
{
    if (spot->outer == NULL)
        return;
    write_spot(spot->outer, report);
    size_t used = strlen(report->text);
    if (spot->name != NULL)
        snprintf(report->text + used, report->size - used, ".%s", spot->name);
    else
        snprintf(report->text + used, report->size - used, "[%zu]", spot->index);
}

static void write_value(const char *whose, const json_t *value, struct report *report)
{
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t used = strlen(report->text);
    snprintf(report->text + used, report->size - used, "%s %s", whose,
             text == NULL ? "nothing" : text);
    free(text);
}

/* false, so that a comparison can return it. */
static bool differs(struct report *report, const struct spot *spot, const json_t *a,
                    const json_t *b)
{
    report->text[0] = '\0';
    write_spot(spot, report);
    write_value(": naive model", a, report);
    write_value(", other", b, report);
    return false;
}

static bool is_time(const struct spot *spot)
{
    size_t length = spot->name == NULL ? 0 : strlen(spot->name);
    return length > 2 && strcmp(spot->name + length - 2, "At") == 0;
}

static bool agrees(const struct spot *spot, const json_t *a, const json_t *b,
                   struct report *report);

static bool object_agrees(const struct spot *spot, const json_t *a, const json_t *b,
                          struct report *report)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, name, value)
    {
        struct spot here = {spot, name, 0};
        if (!agrees(&here, value, json_object_get(b, name), report))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)b, name, value)
    {
        struct spot here = {spot, name, 0};
        if (json_object_get(a, name) == NULL)
            return differs(report, &here, NULL, value);
    }
    return true;
}

static bool array_agrees(const struct spot *spot, const json_t *a, const json_t *b,
                         struct report *report)
{
    if (json_array_size(a) != json_array_size(b))
        return differs(report, spot, a, b);
    for (size_t i = 0; i < json_array_size(a); i++) {
        struct spot here = {spot, NULL, i};
        if (!agrees(&here, json_array_get(a, i), json_array_get(b, i), report))
            return false;
    }
    return true;
}

static bool scalar_agrees(const struct spot *spot, const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && is_time(spot))
        return naive_time(b) == json_integer_value(a);
    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) < 1e-9;
    return json_equal(a, b);
}

static bool agrees(const struct spot *spot, const json_t *a, const json_t *b, struct report *report)
{
    if (json_is_object(a) && json_is_object(b))
        return object_agrees(spot, a, b, report);
    if (json_is_array(a) && json_is_array(b))
        return array_agrees(spot, a, b, report);
    bool same = a != NULL && b != NULL && scalar_agrees(spot, a, b);
    return same || differs(report, spot, a, b);
}

bool naive_agrees(const json_t *view, const json_t *other, char *where, size_t where_size)
{
    struct spot whole = {NULL, NULL, 0};
    struct report report = {where, where_size};
    return agrees(&whole, view, other, &report);
}
