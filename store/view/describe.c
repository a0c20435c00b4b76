/* Answers about subjects that are named one by one. */
#include "view/as_of.h"
#include "view/resolve.h"

#include <ecshist/limits.h>

static int check_count(const char *what, const char *const *arns, size_t count,
                       struct ecshist_error *error)
{
    if (arns != NULL && count != 0 && count <= ECSHIST_MAX_DESCRIBE)
        return ECSHIST_OK;
    int rc = ehi_fail(error, ECSHIST_INVALID, "%zu ARNs are given, 1 to %u can be",
                      arns == NULL ? 0 : count, ECSHIST_MAX_DESCRIBE);
    return ehi_at(error, rc, "%s", what);
}

/* All of them before the first is looked up: a malformed one spoils the question. */
static int check_arns(enum ehi_arn_kind kind, const char *what, const char *const *arns,
                      size_t count, struct ecshist_error *error)
{
    int rc = check_count(what, arns, count, error);
    if (rc != ECSHIST_OK)
        return rc;
    for (size_t i = 0; i < count; i++) {
        struct ehi_arn parsed;
        rc = view_parse_arn(kind, arns[i], &parsed, error);
        if (rc != ECSHIST_OK)
            return ehi_at(error, rc, "%s[%zu]", what, i);
    }
    return ECSHIST_OK;
}

static int find_id(const struct ehi_view_source *source, struct ehi_slice arn, uint64_t *id,
                   bool *found, struct ecshist_error *error)
{
    return ehi_db_find(source->txn, arn, ehi_hash128(arn.data, arn.length), id, found, error);
}

static int add_failure(struct ehi_answer *answer, struct ehi_slice arn, struct ehi_arena *arena,
                       struct ecshist_error *error)
{
    struct ehi_slice copy = ehi_arena_copy(arena, arn);
    if (copy.data == NULL)
        return ehi_fail_memory(error);
    answer->failures[answer->failure_count++].arn = copy;
    return ECSHIST_OK;
}

static int describe_deployment(const struct ehi_view_source *source, uint64_t id,
                               const struct view_moment *moment, struct ehi_arena *arena,
                               struct ehi_answer *answer, bool *found, struct ecshist_error *error)
{
    return view_deployment_at(source, id, moment, arena, &answer->deployments[answer->count], found,
                              error);
}

static int describe_revision(const struct ehi_view_source *source, uint64_t id,
                             const struct view_moment *moment, struct ehi_arena *arena,
                             struct ehi_answer *answer, bool *found, struct ecshist_error *error)
{
    return view_revision_at(source, id, moment, arena, &answer->revisions[answer->count], found,
                            error);
}

typedef int describe_one(const struct ehi_view_source *source, uint64_t id,
                         const struct view_moment *moment, struct ehi_arena *arena,
                         struct ehi_answer *answer, bool *found, struct ecshist_error *error);

static int describe_all(const struct ehi_view_source *source, describe_one *one,
                        const char *const *arns, size_t count, const struct view_moment *moment,
                        struct ehi_arena *arena, struct ehi_answer *answer,
                        struct ecshist_error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct ehi_slice arn = ehi_slice_text(arns[i]);
        uint64_t id;
        bool found;
        int rc = find_id(source, arn, &id, &found, error);
        if (rc == ECSHIST_OK && found)
            rc = one(source, id, moment, arena, answer, &found, error);
        if (rc == ECSHIST_OK && !found)
            rc = add_failure(answer, arn, arena, error);
        if (rc != ECSHIST_OK)
            return rc;
        answer->count += found;
    }
    return ECSHIST_OK;
}

int ehi_view_deployments(const struct ehi_view_source *source, const char *const *arns,
                         size_t count, const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                         struct ehi_answer *out, struct ecshist_error *error)
{
    struct view_moment moment;
    int rc = check_arns(EHI_ARN_DEPLOYMENT, "serviceDeploymentArns", arns, count, error);
    if (rc == ECSHIST_OK)
        rc = view_moment(source, as_of, &moment, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_answer answer = {.kind = EHI_ANSWER_DEPLOYMENTS};
    answer.deployments = ehi_arena_array(arena, count, sizeof(*answer.deployments));
    answer.failures = ehi_arena_array(arena, count, sizeof(*answer.failures));
    if (answer.deployments == NULL || answer.failures == NULL)
        return ehi_fail_memory(error);
    rc = describe_all(source, describe_deployment, arns, count, &moment, arena, &answer, error);
    if (rc == ECSHIST_OK)
        *out = answer;
    return rc;
}

int ehi_view_revisions(const struct ehi_view_source *source, const char *const *arns, size_t count,
                       const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                       struct ehi_answer *out, struct ecshist_error *error)
{
    struct view_moment moment;
    int rc = check_arns(EHI_ARN_REVISION, "serviceRevisionArns", arns, count, error);
    if (rc == ECSHIST_OK)
        rc = view_moment(source, as_of, &moment, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_answer answer = {.kind = EHI_ANSWER_REVISIONS};
    answer.revisions = ehi_arena_array(arena, count, sizeof(*answer.revisions));
    answer.failures = ehi_arena_array(arena, count, sizeof(*answer.failures));
    if (answer.revisions == NULL || answer.failures == NULL)
        return ehi_fail_memory(error);
    rc = describe_all(source, describe_revision, arns, count, &moment, arena, &answer, error);
    if (rc == ECSHIST_OK)
        *out = answer;
    return rc;
}

/* -- timelines --------------------------------------------------------------------------------- */

static int find_subject(const struct ehi_view_source *source, const char *text, uint64_t *id,
                        enum ehi_arn_kind *kind, struct ecshist_error *error)
{
    struct ehi_arn arn;
    int rc = view_parse_arn(0, text, &arn, error);
    if (rc != ECSHIST_OK)
        return ehi_at(error, rc, "arn");
    if (arn.kind == EHI_ARN_CLUSTER || arn.kind == EHI_ARN_TASK) {
        rc =
            ehi_fail(error, ECSHIST_INVALID,
                     "only deployments, revisions and services have events of their own: %s", text);
        return ehi_at(error, rc, "arn");
    }
    bool found;
    *kind = arn.kind;
    rc = find_id(source, arn.text, id, &found, error);
    if (rc != ECSHIST_OK || found)
        return rc;
    return ehi_fail(error, ECSHIST_NOT_FOUND, "the store has no events of %s", text);
}

/* A list of records that grows: what it grew out of stays in the arena. */
static int add_record(struct ehi_answer *answer, size_t *capacity, struct ehi_slice record,
                      struct ehi_arena *arena, struct ecshist_error *error)
{
    if (answer->count == *capacity) {
        size_t room = *capacity == 0 ? 32 : *capacity * 2;
        struct ehi_slice *records = ehi_arena_array(arena, room, sizeof(*records));
        if (records == NULL)
            return ehi_fail_memory(error);
        if (answer->count != 0)
            memcpy(records, answer->records, answer->count * sizeof(*records));
        answer->records = records;
        *capacity = room;
    }
    struct ehi_slice copy = ehi_arena_copy(arena, record);
    if (copy.data == NULL)
        return ehi_fail_memory(error);
    answer->records[answer->count++] = copy;
    return ECSHIST_OK;
}

int ehi_view_timeline(const struct ehi_view_source *source, const char *arn,
                      const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                      struct ehi_answer *out, struct ecshist_error *error)
{
    struct view_moment moment;
    enum ehi_arn_kind kind = EHI_ARN_SERVICE;
    uint64_t id;
    int rc = view_moment(source, as_of, &moment, error);
    if (rc == ECSHIST_OK)
        rc = find_subject(source, arn, &id, &kind, error);
    if (rc == ECSHIST_OK)
        rc = view_check_timeline(source, kind, id, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_answer answer = {.kind = EHI_ANSWER_TIMELINE};
    size_t capacity = 0;
    struct view_events events;
    view_events(&events, source, id, &moment, arena);
    struct ehi_slice record = EHI_SLICE_EMPTY;
    for (;;) {
        rc = view_events_next(&events, &record, error);
        if (rc != ECSHIST_OK || record.data == NULL)
            break;
        /* What states a service is no event of its own. */
        if (events.entry.type == EHI_HISTORY_EXPIRED)
            continue;
        rc = add_record(&answer, &capacity, record, arena, error);
        if (rc != ECSHIST_OK)
            break;
    }
    view_events_end(&events);
    if (rc == ECSHIST_OK)
        *out = answer;
    return rc;
}
