/* Snapshots, and the questions asked of them. */
#include "api/result.h"

#include <stdlib.h>

struct ecshist_snapshot {
    struct ehi_store *store;
    struct ehi_db *db;
    struct ehi_view_source source;
    struct ehi_view_memory memory;
    struct api_shelf *shelf; /* of its results */
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
    struct api_shelf *shelf = api_shelf_new();
    if (snapshot == NULL || shelf == NULL) {
        free(snapshot);
        api_shelf_close(shelf);
        return ehi_fail_memory(error);
    }
    snapshot->shelf = shelf;
    snapshot->store = api_store(store);
    snapshot->source.log = snapshot->store->log;
    snapshot->source.memory = &snapshot->memory;
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
    api_shelf_close(snapshot->shelf);
    ehi_arena_free(&snapshot->memory.scratch);
    free(snapshot);
}

ECSHIST_API uint64_t ecshist_snapshot_seq(const ecshist_snapshot *snapshot)
{
    return snapshot->source.last_seq;
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
    *made = api_shelf_take(snapshot->shelf);
    return *made == NULL ? ehi_fail_memory(error) : ECSHIST_OK;
}

static int give_result(const struct ecshist_snapshot *snapshot, int rc, struct ecshist_result *made,
                       ecshist_result **out, struct ecshist_error *error)
{
    if (rc == ECSHIST_OK)
        rc = api_result_fill(made, error);
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
