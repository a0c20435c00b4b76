/*
 * ListServiceDeployments: a service's rows, newest first, those that match, a page of them. As of a
 * moment the rows are made anew from the folds of then; all the rest is the same.
 */
#include "view/as_of.h"
#include "view/copy.h"
#include "view/resolve.h"
#include "view/token.h"

#include "base/hash.h"
#include "codec/brief.h"
#include "model/names.h"

#include <ecshist/limits.h>
#include <stdlib.h>

/* A request, checked. */
struct query {
    const struct ehi_view_source *source;
    struct view_service service;
    struct view_moment moment;
    bool brief;        /* a deployment is what a list shows of it, and no more */
    unsigned statuses; /* a bit for each wanted, 0: all */
    bool has_after, has_before;
    int64_t after_us, before_us;
    uint32_t max_results;
    uint64_t filters;
    bool resumes; /* behind this place */
    struct ehi_db_listed place;
};

/* Rows of a page, and whether there are more of them. */
struct page {
    struct ehi_db_listed rows[ECSHIST_MAX_PAGE];
    uint32_t count;
    bool has_more;
};

/* -- the request ------------------------------------------------------------------------------- */

static int check_max_results(uint32_t wanted, uint32_t *out, struct ecshist_error *error)
{
    *out = wanted == 0 ? ECSHIST_DEFAULT_PAGE : wanted;
    if (wanted <= ECSHIST_MAX_PAGE)
        return ECSHIST_OK;
    int rc = ehi_fail(error, ECSHIST_INVALID, "maxResults is %u, it can be 1 to %u",
                      (unsigned)wanted, ECSHIST_MAX_PAGE);
    return ehi_at(error, rc, "maxResults");
}

static int check_statuses(const struct ecshist_list_request *request, unsigned *out,
                          struct ecshist_error *error)
{
    *out = 0;
    for (size_t i = 0; request->status != NULL && i < request->status_count; i++) {
        const char *name = request->status[i] != NULL ? request->status[i] : "";
        int number = ehi_enum_number(EHI_ENUM_STATUS, ehi_slice_text(name));
        if (number == 0) {
            int rc = ehi_fail(error, ECSHIST_INVALID, "\"%.100s\" is not a status, these are: %s",
                              name, ehi_enum_list(EHI_ENUM_STATUS));
            return ehi_at(error, rc, "status[%zu]", i);
        }
        *out |= 1u << number;
    }
    return ECSHIST_OK;
}

/*
 * Everything that decides what is in the list and in which order. A set of statuses is the same in
 * any order.
 */
static uint64_t hash_filters(const struct query *q, const struct ecshist_as_of *as_of)
{
    struct ehi_hash128 arn = ehi_hash128(q->service.arn.text.data, q->service.arn.text.length);
    uint64_t fields[] = {arn.low,
                         arn.high,
                         q->statuses,
                         q->has_after,
                         q->has_after ? (uint64_t)q->after_us : 0,
                         q->has_before,
                         q->has_before ? (uint64_t)q->before_us : 0,
                         as_of->seq,
                         as_of->has_time,
                         as_of->has_time ? (uint64_t)as_of->time_us : 0};
    enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };
    uint8_t bytes[FIELDS * 8];
    for (int i = 0; i < FIELDS; i++)
        ehi_put_le64(bytes + i * 8, fields[i]);
    return ehi_hash64(bytes, sizeof(bytes), 0);
}

static int check_token(struct query *q, const char *text, struct ecshist_error *error)
{
    q->resumes = text != NULL;
    if (text == NULL)
        return ECSHIST_OK;
    struct view_token token;
    struct ehi_log *log = q->source->log;
    bool ours =
        view_token_decode(ehi_slice_text(text), ehi_log_seed(log), ehi_log_store_id(log), &token);
    if (!ours || token.filters != q->filters) {
        int rc = ehi_fail(error, ECSHIST_INVALID, "it is forged, or of another request");
        return ehi_at(error, rc, "nextToken");
    }
    q->place = (struct ehi_db_listed){.created_at_us = token.created_at_us,
                                      .created_seq = token.created_seq};
    return ECSHIST_OK;
}

static int check_request(const struct ehi_view_source *source,
                         const struct ecshist_list_request *request, struct ehi_arena *arena,
                         struct query *q, struct ecshist_error *error)
{
    *q = (struct query){.source = source,
                        .brief = request->brief,
                        .has_after = request->has_created_after,
                        .has_before = request->has_created_before,
                        .after_us = request->created_after_us,
                        .before_us = request->created_before_us};
    int rc = check_max_results(request->max_results, &q->max_results, error);
    if (rc == ECSHIST_OK)
        rc = check_statuses(request, &q->statuses, error);
    if (rc == ECSHIST_OK)
        rc = view_moment(source, &request->as_of, &q->moment, error);
    struct view_names names = {request->service, request->cluster, request->region,
                               request->account};
    if (rc == ECSHIST_OK)
        rc = view_resolve_service(source, &names, arena, &q->service, error);
    if (rc != ECSHIST_OK)
        return rc;
    q->filters = hash_filters(q, &request->as_of);
    return check_token(q, request->next_token, error);
}

/* -- rows -------------------------------------------------------------------------------------- */

/* The order of the list: newest createdAt first, then greatest seq of creation. */
static int compare_rows(const void *a, const void *b)
{
    const struct ehi_db_listed *x = a, *y = b;
    if (x->created_at_us != y->created_at_us)
        return x->created_at_us > y->created_at_us ? -1 : 1;
    if (x->created_seq != y->created_seq)
        return x->created_seq > y->created_seq ? -1 : 1;
    return 0;
}

static bool matches(const struct query *q, const struct ehi_db_listed *row)
{
    if (q->statuses != 0 && (q->statuses >> (row->status & 31) & 1u) == 0)
        return false;
    if (q->has_after && row->created_at_us <= q->after_us)
        return false;
    if (q->has_before && row->created_at_us >= q->before_us)
        return false;
    return !q->resumes || compare_rows(row, &q->place) > 0;
}

/* false: the page is full and there are more, nothing behind this row matters. */
static bool offer_row(const struct query *q, const struct ehi_db_listed *row, struct page *page)
{
    if (!matches(q, row))
        return true;
    if (page->count == q->max_results) {
        page->has_more = true;
        return false;
    }
    page->rows[page->count++] = *row;
    return true;
}

/* Where the walk can begin: at the token's place, or at the newest that `before` allows. */
static const struct ehi_db_listed *first_place(const struct query *q, struct ehi_db_listed *room)
{
    if (q->resumes)
        return &q->place;
    if (!q->has_before || q->before_us < 0)
        return NULL;
    *room = (struct ehi_db_listed){.created_at_us = q->before_us, .created_seq = UINT64_MAX};
    return room;
}

static int page_of_now(const struct query *q, struct page *page, struct ecshist_error *error)
{
    struct ehi_db_listed room;
    struct ehi_db_walk walk;
    ehi_db_listed(&walk, q->source->txn, q->service.id, first_place(q, &room));
    int rc;
    for (;;) {
        struct ehi_db_listed row;
        bool found;
        rc = ehi_db_listed_next(&walk, &row, &found, error);
        if (rc != ECSHIST_OK || !found || !offer_row(q, &row, page))
            break;
        /* Rows get older from here on. */
        if (q->has_after && row.created_at_us <= q->after_us)
            break;
    }
    ehi_db_walk_end(&walk);
    return rc;
}

/* The rows of a service as they would have been then, in scratch memory. */
struct row_list {
    struct ehi_db_listed *rows;
    size_t count, capacity;
};

static int add_row(struct row_list *list, const struct ehi_db_listed *row,
                   struct ecshist_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct ehi_db_listed *rows = realloc(list->rows, capacity * sizeof(*rows));
        if (rows == NULL)
            return ehi_fail_memory(error);
        list->rows = rows;
        list->capacity = capacity;
    }
    list->rows[list->count++] = *row;
    return ECSHIST_OK;
}

static int add_row_of_then(const struct query *q, uint64_t id, struct ehi_arena *scratch,
                           struct row_list *list, struct ecshist_error *error)
{
    ehi_arena_reset(scratch);
    struct ehi_deployment d;
    bool found;
    int rc = view_deployment_at(q->source, id, &q->moment, scratch, &d, &found, error);
    if (rc != ECSHIST_OK || !found)
        return rc;
    /* As in the index: a createdAt that was never set counts as the oldest. */
    struct ehi_db_listed row = {.created_at_us = d.created_at_us < 0 ? 0 : d.created_at_us,
                                .created_seq = d.created_seq,
                                .deployment_id = id,
                                .status = d.status};
    return add_row(list, &row, error);
}

static int rows_of_then(const struct query *q, struct row_list *list, struct ecshist_error *error)
{
    struct ehi_arena scratch = {0};
    struct ehi_db_walk walk;
    ehi_db_listed(&walk, q->source->txn, q->service.id, NULL);
    int rc;
    for (;;) {
        struct ehi_db_listed row;
        bool found;
        rc = ehi_db_listed_next(&walk, &row, &found, error);
        if (rc != ECSHIST_OK || !found)
            break;
        if (q->moment.kind == VIEW_AT_SEQ && row.created_seq > q->moment.seq)
            continue;
        rc = add_row_of_then(q, row.deployment_id, &scratch, list, error);
        if (rc != ECSHIST_OK)
            break;
    }
    ehi_db_walk_end(&walk);
    ehi_arena_free(&scratch);
    return rc;
}

static int page_of_then(const struct query *q, struct page *page, struct ecshist_error *error)
{
    struct row_list list = {0};
    int rc = rows_of_then(q, &list, error);
    if (rc == ECSHIST_OK && list.count > 1)
        qsort(list.rows, list.count, sizeof(*list.rows), compare_rows);
    for (size_t i = 0; rc == ECSHIST_OK && i < list.count; i++) {
        if (!offer_row(q, &list.rows[i], page))
            break;
    }
    free(list.rows);
    return rc;
}

/* -- the answer -------------------------------------------------------------------------------- */

static int make_next_token(const struct query *q, const struct page *page, struct ehi_arena *arena,
                           const char **out, struct ecshist_error *error)
{
    *out = NULL;
    if (!page->has_more)
        return ECSHIST_OK;
    char *text = ehi_arena_alloc(arena, VIEW_TOKEN_TEXT);
    if (text == NULL)
        return ehi_fail_memory(error);
    const struct ehi_db_listed *last = &page->rows[page->count - 1];
    struct view_token token = {last->created_at_us, last->created_seq, q->filters};
    struct ehi_log *log = q->source->log;
    view_token_encode(&token, ehi_log_seed(log), ehi_log_store_id(log), text);
    *out = text;
    return ECSHIST_OK;
}

/* A row of the list and the state that it is of tell the same. */
static int check_row(const struct ehi_db_listed *row, const struct ehi_deployment *d,
                     struct ecshist_error *error)
{
    if (d->status == row->status && d->created_seq == row->created_seq)
        return ECSHIST_OK;
    return ehi_fail(error, ECSHIST_INDEX,
                    "the index is damaged: a service's list and the state of %.*s are not of one "
                    "moment; run ecshist-admin rebuild-index",
                    EHI_FMT(d->arn));
}

/* All of a list are of one service, so of one owner. */
struct owner {
    struct ehi_owner arns;
    struct ehi_brief_owner brief;
};

static int wrong_owner(const struct query *q, const struct ehi_deployment *d,
                       struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_INDEX,
                    "the index is damaged: the list of %.*s has %.*s; run ecshist-admin "
                    "rebuild-index",
                    EHI_FMT(q->service.arn.text), EHI_FMT(d->arn));
}

static int check_owner(const struct query *q, const struct ehi_deployment *d,
                       struct ecshist_error *error)
{
    struct ehi_arn arn;
    int rc = ehi_arn_parse_as(EHI_ARN_DEPLOYMENT, d->arn, &arn, error);
    if (rc != ECSHIST_OK || !ehi_arn_same_service(&arn, &q->service.arn))
        return wrong_owner(q, d, error);
    return ECSHIST_OK;
}

/* No more of it than a list shows, whatever it was made from. */
static void make_brief(struct ehi_deployment *d)
{
    struct ehi_deployment all = *d;
    ehi_clear(d, sizeof(*d));
    d->arn = all.arn;
    d->created_seq = all.created_seq;
    d->status = all.status;
    d->created_at_us = all.created_at_us;
    d->started_at_us = all.started_at_us;
    d->finished_at_us = all.finished_at_us;
    d->stopped_at_us = d->updated_at_us = EHI_TIME_NONE;
    d->status_reason = all.status_reason;
    d->target.arn = all.target.arn;
}

/* From the row alone, where it has what a list shows: *done. */
static int take_brief(const struct ehi_db_listed *row, const struct owner *owner,
                      struct ehi_arena *arena, struct ehi_deployment *d, bool *done,
                      struct ecshist_error *error)
{
    bool in_state;
    ehi_clear(d, sizeof(*d));
    d->created_seq = row->created_seq;
    d->status = row->status;
    d->created_at_us = row->created_at_us;
    d->stopped_at_us = d->updated_at_us = EHI_TIME_NONE;
    int rc = ehi_brief_decode(row->brief, &owner->brief, arena, d, &in_state, error);
    *done = rc == ECSHIST_OK && !in_state;
    return rc;
}

static int answer_state(const struct query *q, const struct ehi_db_listed *row,
                        struct ehi_arena *arena, struct ehi_deployment *d,
                        struct ecshist_error *error)
{
    bool found;
    int rc = view_deployment_at(q->source, row->deployment_id, &q->moment, arena, d, &found, error);
    if (rc == ECSHIST_OK && !found)
        rc = ehi_fail(error, ECSHIST_INDEX, "a row of the index is of a deployment without events");
    if (rc == ECSHIST_OK)
        rc = check_row(row, d, error);
    if (rc == ECSHIST_OK)
        rc = check_owner(q, d, error);
    if (rc == ECSHIST_OK && q->brief)
        make_brief(d);
    return rc;
}

static int answer_row(const struct query *q, const struct ehi_db_listed *row,
                      const struct owner *owner, struct ehi_arena *arena, struct ehi_answer *answer,
                      struct ecshist_error *error)
{
    struct ehi_deployment *d = &answer->deployments[answer->count];
    bool done = false;
    int rc = ECSHIST_OK;
    if (q->brief && q->moment.kind == VIEW_NOW)
        rc = take_brief(row, owner, arena, d, &done, error);
    if (rc == ECSHIST_OK && !done)
        rc = answer_state(q, row, arena, d, error);
    if (rc == ECSHIST_OK)
        answer->owners[answer->count++] = owner->arns;
    return rc;
}

static int answer_page(const struct query *q, const struct page *page, struct ehi_arena *arena,
                       struct ehi_answer *out, struct ecshist_error *error)
{
    struct ehi_answer answer = {.kind = EHI_ANSWER_LIST};
    struct owner owner = {.brief = ehi_brief_owner(q->service.arn.text)};
    answer.deployments = ehi_arena_alloc(arena, page->count * sizeof(*answer.deployments));
    answer.owners = ehi_arena_alloc(arena, page->count * sizeof(*answer.owners));
    if (answer.deployments == NULL || answer.owners == NULL)
        return ehi_fail_memory(error);
    int rc = view_own_owner(&q->service.arn, arena, &owner.arns, error);
    for (uint32_t i = 0; i < page->count && rc == ECSHIST_OK; i++)
        rc = answer_row(q, &page->rows[i], &owner, arena, &answer, error);
    if (rc == ECSHIST_OK)
        rc = make_next_token(q, page, arena, &answer.next_token, error);
    if (rc == ECSHIST_OK)
        *out = answer;
    return rc;
}

int ehi_view_list(const struct ehi_view_source *source, const struct ecshist_list_request *request,
                  struct ehi_arena *arena, struct ehi_answer *out, struct ecshist_error *error)
{
    struct query q;
    int rc = check_request(source, request, arena, &q, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct page page;
    page.count = 0;
    page.has_more = false;
    if (q.moment.kind == VIEW_NOW)
        rc = page_of_now(&q, &page, error);
    else
        rc = page_of_then(&q, &page, error);
    return rc == ECSHIST_OK ? answer_page(&q, &page, arena, out, error) : rc;
}
