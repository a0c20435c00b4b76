#include "view/as_of.h"

#include "codec/record.h"
#include "codec/state.h"
#include "fold/reduce.h"
#include "view/copy.h"

/* -- deployments ------------------------------------------------------------------------------- */

int view_read_state(const struct ehi_view_source *source, enum ehi_arn_kind kind, uint64_t id,
                    struct ehi_slice *bytes, struct ecshist_error *error)
{
    bool found;
    int rc = ehi_db_get_state(source->txn, kind, id, bytes, &found, error);
    if (rc == ECSHIST_OK && !found)
        rc = ehi_fail(error, ECSHIST_INDEX,
                      "the index has no state of subject %llu: rebuild the index",
                      (unsigned long long)id);
    return rc;
}

static int check_newest(const struct ehi_view_source *source, uint64_t id, uint64_t seq,
                        struct ecshist_error *error)
{
    bool has;
    int rc = ehi_db_timeline_has(source->txn, id, seq, &has, error);
    if (rc == ECSHIST_OK && !has)
        rc = ehi_fail(error, ECSHIST_INDEX,
                      "the index is damaged: the timeline of subject %llu lacks event %llu; run "
                      "ecshist-admin rebuild-index",
                      (unsigned long long)id, (unsigned long long)seq);
    return rc;
}

int view_check_arn(struct ehi_slice asked, struct ehi_slice found, struct ecshist_error *error)
{
    if (ehi_slice_equal(asked, found))
        return ECSHIST_OK;
    return ehi_fail(error, ECSHIST_INDEX, "two ARNs have the same hash: %.*s and %.*s",
                    EHI_FMT(asked), EHI_FMT(found));
}

/* The seq that its timeline ends with; 0: there is no telling. */
static int newest_of(enum ehi_arn_kind kind, struct ehi_slice bytes, struct ehi_arena *arena,
                     struct ehi_slice *arn, uint64_t *newest, struct ecshist_error *error)
{
    struct ehi_deployment deployment = {0};
    struct ehi_revision revision = {0};
    struct ehi_service service = {0};
    int rc;
    *newest = 0;
    if (kind == EHI_ARN_DEPLOYMENT) {
        rc = ehi_deployment_decode(bytes, arena, &deployment, error);
        *newest = rc == ECSHIST_OK ? deployment.last_seq : 0;
        *arn = deployment.arn;
    } else if (kind == EHI_ARN_REVISION) {
        rc = ehi_revision_decode(bytes, arena, &revision, error);
        *newest = rc == ECSHIST_OK ? revision.document_seq : 0;
        *arn = revision.arn;
    } else {
        rc = ehi_service_decode(bytes, &service, error);
        *arn = service.arn;
    }
    return rc;
}

int view_check_timeline(const struct ehi_view_source *source, const struct ehi_arn *arn,
                        uint64_t id, struct ecshist_error *error)
{
    struct ehi_arena arena = {0};
    struct ehi_slice bytes, found = EHI_SLICE_EMPTY;
    uint64_t newest = 0;
    int rc = view_read_state(source, arn->kind, id, &bytes, error);
    if (rc == ECSHIST_OK)
        rc = newest_of(arn->kind, bytes, &arena, &found, &newest, error);
    if (rc == ECSHIST_OK)
        rc = view_check_arn(arn->text, found, error);
    ehi_arena_free(&arena);
    return rc == ECSHIST_OK && newest != 0 ? check_newest(source, id, newest, error) : rc;
}

/*
 * The state as it stands is the state of the moment too: every event of it happened by then. An
 * observation says for itself when the deployment was updated, so after one there is no telling by
 * that.
 */
static bool stands_already(const struct ehi_deployment *state, const struct view_moment *moment)
{
    if (moment->kind == VIEW_AT_SEQ)
        return state->last_seq <= moment->seq;
    if (moment->kind == VIEW_AT_TIME)
        return state->last_observed_seq == 0 && state->updated_at_us <= moment->time_us;
    return true;
}

/* The event is what was refused, not the machinery that failed. */
static bool is_refusal(int code)
{
    return code == ECSHIST_CONFLICT || code == ECSHIST_NOT_FOUND || code == ECSHIST_INVALID ||
           code == ECSHIST_LIMIT;
}

/*
 * One event more. Without its later-dated elders an event may not fit: as of a time it is passed
 * over then.
 */
static int fold_record(struct ehi_deployment *state, struct ehi_slice record, uint64_t seq,
                       bool by_time, struct ehi_arena *arena, struct ecshist_error *error)
{
    struct ehi_event event;
    int rc = ehi_event_decode(record, arena, &event, error);
    if (rc == ECSHIST_NO_MEMORY)
        return rc;
    if (rc != ECSHIST_OK)
        return view_damaged_event(seq, error);
    enum ehi_applied applied;
    rc = ehi_reduce(state, &event, arena, &applied, error);
    if (!is_refusal(rc))
        return rc;
    return by_time ? ECSHIST_OK : view_damaged_event(seq, error);
}

static int fold_deployment(const struct ehi_view_source *source, uint64_t id,
                           const struct view_moment *moment, struct ehi_arena *arena,
                           struct ehi_deployment *out, struct ecshist_error *error)
{
    struct view_events events;
    view_events(&events, source, id, moment, arena);
    struct ehi_slice record = EHI_SLICE_EMPTY;
    int rc;
    for (;;) {
        rc = view_events_next_applied(&events, &record, error);
        if (rc != ECSHIST_OK || record.data == NULL)
            break;
        rc = fold_record(out, record, events.entry.seq, moment->kind == VIEW_AT_TIME, arena, error);
        if (rc != ECSHIST_OK)
            break;
    }
    view_events_end(&events);
    return rc;
}

/* Folded in scratch memory, then copied. */
static int fold_and_copy(const struct ehi_view_source *source, uint64_t id,
                         const struct view_moment *moment, struct ehi_slice arn,
                         struct ehi_arena *scratch, struct ehi_arena *arena,
                         struct ehi_deployment *out, struct ecshist_error *error)
{
    struct ehi_deployment then = {0};
    int rc = fold_deployment(source, id, moment, scratch, &then, error);
    then.arn = arn;
    if (rc == ECSHIST_OK && then.created_seq != 0)
        rc = view_own_deployment(&then, arena, error);
    if (rc == ECSHIST_OK)
        *out = then;
    return rc;
}

/* What the scratch memory may keep for the next question. */
enum { KEPT_BYTES = 64 * 1024 };

/* The state as it was at a moment that is past. */
static int deployment_of_then(const struct ehi_view_source *source, uint64_t id,
                              const struct view_moment *moment, const struct ehi_deployment *now,
                              struct ehi_arena *arena, struct ehi_deployment *out,
                              struct ecshist_error *error)
{
    struct ehi_arena own = {0};
    struct ehi_arena *scratch = source->memory != NULL ? &source->memory->scratch : &own;
    int rc = check_newest(source, id, now->last_seq, error);
    if (rc == ECSHIST_OK)
        rc = fold_and_copy(source, id, moment, now->arn, scratch, arena, out, error);
    ehi_arena_reset(scratch);
    if (scratch == &own || scratch->end - scratch->next > KEPT_BYTES)
        ehi_arena_free(scratch);
    return rc;
}

int view_deployment_at(const struct ehi_view_source *source, uint64_t id,
                       const struct view_moment *moment, struct ehi_arena *arena,
                       struct ehi_deployment *out, bool *found, struct ecshist_error *error)
{
    struct ehi_slice bytes;
    int rc = view_read_state(source, EHI_ARN_DEPLOYMENT, id, &bytes, error);
    return rc == ECSHIST_OK
               ? view_deployment_of(source, id, bytes, moment, arena, out, found, error)
               : rc;
}

int view_deployment_of(const struct ehi_view_source *source, uint64_t id, struct ehi_slice bytes,
                       const struct view_moment *moment, struct ehi_arena *arena,
                       struct ehi_deployment *out, bool *found, struct ecshist_error *error)
{
    int rc = view_take_deployment(bytes, arena, out, error);
    if (rc == ECSHIST_OK && moment->kind != VIEW_NOW && !stands_already(out, moment)) {
        struct ehi_deployment now = *out;
        rc = deployment_of_then(source, id, moment, &now, arena, out, error);
    }
    *found = rc == ECSHIST_OK && out->created_seq != 0;
    return rc;
}

/* -- revisions --------------------------------------------------------------------------------- */

static int take_document(struct ehi_revision *revision, struct ehi_slice record, uint64_t seq,
                         struct ehi_arena *scratch, struct ecshist_error *error)
{
    struct ehi_event event;
    int rc = ehi_event_decode(record, scratch, &event, error);
    if (rc != ECSHIST_OK)
        return rc == ECSHIST_NO_MEMORY ? rc : view_damaged_event(seq, error);
    revision->arn = event.subject;
    revision->document_seq = seq;
    revision->observed = event.type == EHI_REVISION_OBSERVED;
    revision->created_at_us = revision->observed ? event.document_created_at_us : event.time_us;
    revision->document = event.document;
    return ECSHIST_OK;
}

int view_revision_at(const struct ehi_view_source *source, uint64_t id,
                     const struct view_moment *moment, struct ehi_arena *arena,
                     struct ehi_revision *out, bool *found, struct ecshist_error *error)
{
    struct view_events events;
    struct ehi_arena scratch = {0};
    view_events(&events, source, id, moment, &scratch);
    struct ehi_revision revision = {.first_seq = 0};
    struct ehi_slice record = EHI_SLICE_EMPTY, newest = EHI_SLICE_EMPTY;
    uint64_t newest_seq = 0;
    int rc;
    for (;;) {
        rc = view_events_next_applied(&events, &record, error);
        if (rc != ECSHIST_OK || record.data == NULL)
            break;
        newest = record;
        newest_seq = events.entry.seq;
        if (revision.first_seq == 0)
            revision.first_seq = newest_seq;
    }
    view_events_end(&events);
    *found = newest.data != NULL;
    if (rc == ECSHIST_OK && *found)
        rc = take_document(&revision, newest, newest_seq, &scratch, error);
    if (rc == ECSHIST_OK && *found)
        rc = view_own_revision(&revision, arena, error);
    if (rc == ECSHIST_OK && *found)
        *out = revision;
    ehi_arena_free(&scratch);
    return rc;
}
