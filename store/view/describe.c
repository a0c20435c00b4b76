/* Answers about subjects that are named one by one. */
#include "view/as_of.h"
#include "view/copy.h"
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

/* An ARN that is asked for. */
struct asked {
    struct ehi_arn arn;
    struct ehi_hash128 hash;
};

/* All of them before the first is looked up: a malformed one spoils the question. */
static int check_arns(const struct ehi_view_source *source, enum ehi_arn_kind kind,
                      const char *what, const char *const *arns, size_t count, struct asked *asked,
                      struct ecshist_error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct ehi_slice text = arns[i] == NULL ? EHI_SLICE_EMPTY : ehi_slice_text(arns[i]);
        asked[i].hash = ehi_hash128(text.data, text.length);
        ehi_db_prefetch(source->txn, asked[i].hash);
        int rc = view_parse_arn(kind, arns[i], &asked[i].arn, error);
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

static int add_failure(struct ehi_answer *answer, struct ehi_slice arn, size_t most,
                       struct ehi_arena *arena, struct ecshist_error *error)
{
    if (answer->failures == NULL)
        answer->failures = ehi_arena_array(arena, most, sizeof(*answer->failures));
    struct ehi_slice copy = ehi_arena_copy(arena, arn);
    if (answer->failures == NULL || copy.data == NULL)
        return ehi_fail_memory(error);
    answer->failures[answer->failure_count++].arn = copy;
    return ECSHIST_OK;
}

/* Where a guess led elsewhere, or to nothing, *known is false, and nothing else is said. */
static int try_guess(const struct ehi_view_source *source, const struct ehi_arn *arn,
                     struct ehi_hash128 hash, const struct view_moment *moment,
                     struct ehi_arena *arena, struct ehi_deployment *out, bool *known, bool *found,
                     struct ecshist_error *error)
{
    struct ehi_slice bytes;
    uint64_t id;
    int rc = ehi_db_get_known(source->txn, EHI_ARN_DEPLOYMENT, hash, &id, &bytes, known, error);
    if (rc != ECSHIST_OK || !*known)
        return rc;
    rc = view_deployment_of(source, id, bytes, moment, arena, out, found, error);
    *known = rc != ECSHIST_OK || ehi_slice_equal(out->arn, arn->text);
    return rc;
}

static int describe_deployment(const struct ehi_view_source *source, const struct asked *asked,
                               const struct view_moment *moment, struct ehi_arena *arena,
                               struct ehi_answer *answer, bool *found, struct ecshist_error *error)
{
    struct ehi_deployment *out = &answer->deployments[answer->count];
    const struct ehi_arn *arn = &asked->arn;
    bool known;
    uint64_t id;
    int rc = try_guess(source, arn, asked->hash, moment, arena, out, &known, found, error);
    if (rc == ECSHIST_OK && !known) {
        rc = ehi_db_find(source->txn, arn->text, asked->hash, &id, found, error);
        if (rc == ECSHIST_OK && *found)
            rc = view_deployment_at(source, id, moment, arena, out, found, error);
        if (rc == ECSHIST_OK && *found)
            rc = view_check_arn(arn->text, out->arn, error);
    }
    return rc == ECSHIST_OK && *found
               ? view_own_owner(arn, arena, &answer->owners[answer->count], error)
               : rc;
}

static int describe_revision(const struct ehi_view_source *source, const struct asked *asked,
                             const struct view_moment *moment, struct ehi_arena *arena,
                             struct ehi_answer *answer, bool *found, struct ecshist_error *error)
{
    uint64_t id;
    struct ehi_slice arn = asked->arn.text;
    int rc = ehi_db_find(source->txn, arn, asked->hash, &id, found, error);
    struct ehi_revision *out = &answer->revisions[answer->count];
    if (rc == ECSHIST_OK && *found)
        rc = view_revision_at(source, id, moment, arena, out, found, error);
    return rc == ECSHIST_OK && *found ? view_check_arn(arn, out->arn, error) : rc;
}

typedef int describe_one(const struct ehi_view_source *source, const struct asked *asked,
                         const struct view_moment *moment, struct ehi_arena *arena,
                         struct ehi_answer *answer, bool *found, struct ecshist_error *error);

static int describe_all(const struct ehi_view_source *source, describe_one *one,
                        const struct asked *asked, size_t count, const struct view_moment *moment,
                        struct ehi_arena *arena, struct ehi_answer *answer,
                        struct ecshist_error *error)
{
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        int rc = one(source, &asked[i], moment, arena, answer, &found, error);
        if (rc == ECSHIST_OK && !found)
            rc = add_failure(answer, asked[i].arn.text, count, arena, error);
        if (rc != ECSHIST_OK)
            return rc;
        answer->count += found;
    }
    return ECSHIST_OK;
}

/* A question of one ARN is most of them: it needs no list. */
static struct asked *room_for_arns(struct asked *one, size_t count, struct ehi_arena *arena)
{
    return count == 1 ? one : ehi_arena_array(arena, count, sizeof(*one));
}

int ehi_view_deployments(const struct ehi_view_source *source, const char *const *arns,
                         size_t count, const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                         struct ehi_answer *out, struct ecshist_error *error)
{
    struct view_moment moment;
    struct asked one;
    const char *what = "serviceDeploymentArns";
    int rc = check_count(what, arns, count, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct asked *asked = room_for_arns(&one, count, arena);
    struct ehi_answer answer = {.kind = EHI_ANSWER_DEPLOYMENTS};
    answer.deployments = ehi_arena_alloc(arena, count * sizeof(*answer.deployments));
    answer.owners = ehi_arena_alloc(arena, count * sizeof(*answer.owners));
    if (asked == NULL || answer.deployments == NULL || answer.owners == NULL)
        return ehi_fail_memory(error);
    rc = check_arns(source, EHI_ARN_DEPLOYMENT, what, arns, count, asked, error);
    if (rc == ECSHIST_OK)
        rc = view_moment(source, as_of, &moment, error);
    if (rc == ECSHIST_OK)
        rc =
            describe_all(source, describe_deployment, asked, count, &moment, arena, &answer, error);
    if (rc == ECSHIST_OK)
        *out = answer;
    return rc;
}

int ehi_view_revisions(const struct ehi_view_source *source, const char *const *arns, size_t count,
                       const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                       struct ehi_answer *out, struct ecshist_error *error)
{
    struct view_moment moment;
    struct asked one;
    const char *what = "serviceRevisionArns";
    int rc = check_count(what, arns, count, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct asked *asked = room_for_arns(&one, count, arena);
    struct ehi_answer answer = {.kind = EHI_ANSWER_REVISIONS};
    answer.revisions = ehi_arena_array(arena, count, sizeof(*answer.revisions));
    if (asked == NULL || answer.revisions == NULL)
        return ehi_fail_memory(error);
    rc = check_arns(source, EHI_ARN_REVISION, what, arns, count, asked, error);
    if (rc == ECSHIST_OK)
        rc = view_moment(source, as_of, &moment, error);
    if (rc == ECSHIST_OK)
        rc = describe_all(source, describe_revision, asked, count, &moment, arena, &answer, error);
    if (rc == ECSHIST_OK)
        *out = answer;
    return rc;
}

/* -- timelines --------------------------------------------------------------------------------- */

static int find_subject(const struct ehi_view_source *source, const char *text, uint64_t *id,
                        struct ehi_arn *arn, struct ecshist_error *error)
{
    int rc = view_parse_arn(0, text, arn, error);
    if (rc != ECSHIST_OK)
        return ehi_at(error, rc, "arn");
    if (arn->kind == EHI_ARN_CLUSTER || arn->kind == EHI_ARN_TASK) {
        rc =
            ehi_fail(error, ECSHIST_INVALID,
                     "only deployments, revisions and services have events of their own: %s", text);
        return ehi_at(error, rc, "arn");
    }
    bool found;
    rc = find_id(source, arn->text, id, &found, error);
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
    struct ehi_arn subject;
    uint64_t id;
    int rc = view_moment(source, as_of, &moment, error);
    if (rc == ECSHIST_OK)
        rc = find_subject(source, arn, &id, &subject, error);
    if (rc == ECSHIST_OK)
        rc = view_check_timeline(source, &subject, id, error);
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
