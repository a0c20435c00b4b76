/*
 * Reading: a snapshot of the store, and the ECS API's questions asked of it, of the present or as
 * of an earlier moment. Answers are results: opaque, owning all they show, independent of the
 * snapshot once made. All views are of the shapes of the Amazon ECS API, version 2014-11-13.
 */
#ifndef ECSHIST_QUERY_H
#define ECSHIST_QUERY_H

#include <ecshist/error.h>
#include <ecshist/event.h>
#include <ecshist/export.h>
#include <ecshist/store.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One consistent state of the store. Opaque; ecshist_snapshot_close. */
typedef struct ecshist_snapshot ecshist_snapshot;
/* An answer. Opaque; ecshist_result_free. */
typedef struct ecshist_result ecshist_result;

/* ServiceDeploymentStatus of the ECS API. The numbers are stable. */
typedef enum ecshist_deployment_status {
    ECSHIST_STATUS_NONE = 0,
    ECSHIST_STATUS_PENDING = 1,
    ECSHIST_STATUS_SUCCESSFUL = 2,
    ECSHIST_STATUS_STOPPED = 3,
    ECSHIST_STATUS_STOP_REQUESTED = 4,
    ECSHIST_STATUS_IN_PROGRESS = 5,
    ECSHIST_STATUS_ROLLBACK_REQUESTED = 6,
    ECSHIST_STATUS_ROLLBACK_IN_PROGRESS = 7,
    ECSHIST_STATUS_ROLLBACK_SUCCESSFUL = 8,
    ECSHIST_STATUS_ROLLBACK_FAILED = 9
} ecshist_deployment_status;

/* The moment a question is about. All zero: now. At most one of the two may be set. */
struct ecshist_as_of {
    uint64_t seq; /* events with seq <= this; 0: all */
    bool has_time;
    int64_t time_us; /* events with time <= this */
};

#define ECSHIST_AS_OF_INIT                                                                         \
    {                                                                                              \
        0, false, 0                                                                                \
    }

/* ListServiceDeployments. */
struct ecshist_list_request {
    size_t size;
    const char *service;       /* name or ARN; required */
    const char *cluster;       /* name or ARN; NULL: "default", or the service ARN's own */
    const char *region;        /* NULL; only where a name is ambiguous */
    const char *account;       /* the same */
    const char *const *status; /* "IN_PROGRESS" …: any of these; NULL: all */
    size_t status_count;
    bool has_created_after, has_created_before;
    int64_t created_after_us, created_before_us; /* strictly */
    uint32_t max_results;   /* 1 to ECSHIST_MAX_PAGE; 0: ECSHIST_DEFAULT_PAGE */
    const char *next_token; /* from an earlier page; NULL: the first */
    struct ecshist_as_of as_of;
    /* Items have what ECS lists (ServiceDeploymentBrief) and created_seq, all else is as if never set: one read of the list,
     * in place of one for each item. The JSON is the same. */
    bool brief;
};

#define ECSHIST_LIST_REQUEST_INIT                                                                  \
    {                                                                                              \
        sizeof(struct ecshist_list_request), NULL, NULL, NULL, NULL, NULL, 0, false, false, 0, 0,  \
            0, NULL, ECSHIST_AS_OF_INIT, false                                                     \
    }

/* Strings of the structs below live as long as their result; NULL: the member was never set. */

/* ServiceRevisionSummary. */
struct ecshist_revision_summary {
    const char *arn;
    int64_t requested_task_count, running_task_count, pending_task_count;
    bool has_test_weight, has_production_weight;
    double requested_test_traffic_weight, requested_production_traffic_weight;
};

/* The parts of a ServiceDeployment that programs ask for; all of it is in the JSON. Times: -1: not
 * set. */
struct ecshist_deployment_view {
    size_t size;
    const char *service_deployment_arn;
    const char *service_arn;
    const char *cluster_arn;
    int64_t created_at_us, started_at_us, finished_at_us, stopped_at_us, updated_at_us;
    ecshist_deployment_status status;
    const char *status_name; /* static */
    const char *status_reason;
    const char *lifecycle_stage; /* static */
    struct ecshist_revision_summary target;
    const struct ecshist_revision_summary *sources;
    size_t source_count;
    const char *rollback_reason;
    const char *rollback_revision_arn;
    int64_t rollback_started_at_us;
    const char *circuit_breaker_status; /* static */
    int64_t failure_count, threshold;
    const char *alarm_status;       /* static */
    uint64_t created_seq, last_seq; /* first and newest applied event */
};

#define ECSHIST_DEPLOYMENT_VIEW_INIT                                                               \
    {                                                                                              \
        sizeof(struct ecshist_deployment_view), NULL, NULL, NULL, -1, -1, -1, -1, -1,              \
            ECSHIST_STATUS_NONE, NULL, NULL, NULL, {NULL, 0, 0, 0, false, false, 0, 0}, NULL, 0,   \
            NULL, NULL, -1, NULL, 0, 0, NULL, 0, 0                                                 \
    }

/* A service (spec of this store, not of ECS). */
struct ecshist_service_view {
    size_t size;
    const char *service_arn, *cluster_arn;
    const char *status; /* "ACTIVE" or "INACTIVE"; static */
    const char *current_revision_arn;
    uint64_t deployments_by_status[16]; /* by ecshist_deployment_status */
};

#define ECSHIST_SERVICE_VIEW_INIT                                                                  \
    {                                                                                              \
        sizeof(struct ecshist_service_view), NULL, NULL, NULL, NULL,                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Failure: an ARN that was asked for and is not there. */
struct ecshist_failure {
    const char *arn;
    const char *reason; /* "MISSING" */
};

ECSHIST_BEGIN

/*
 * Opens a snapshot: what is visible now, unchanged by later appends. Lock-free for writers, but a
 * snapshot kept open for long makes the index's file grow. *out is yours. One thread at a time per
 * snapshot, any number of snapshots. It has all that was acknowledged before the call: where that is not in the index yet,
 * the call puts it there, or waits for who is about to. Errors: INDEX, IO, NO_MEMORY, MISUSE, and BUSY where another process has
 * kept the writers' lock for ten seconds.
 * Of a process that may not write to the store (permissions, a read-only mount) those who write do not
 * know: there this and every question of the snapshot fail with BUSY once an event was appended after
 * it was opened. Take it again, or read a backup.
 */
ECSHIST_API int ecshist_snapshot_open(ecshist_store *store, ecshist_snapshot **out,
                                      struct ecshist_error *error) ECSHIST_CHECKED;
/* Closes a snapshot; NULL is allowed. */
ECSHIST_API void ecshist_snapshot_close(ecshist_snapshot *snapshot);
/* The greatest seq the snapshot shows, 0 where there is none. */
ECSHIST_API uint64_t ecshist_snapshot_seq(const ecshist_snapshot *snapshot);

/*
 * ListServiceDeployments: newest createdAt first, then greatest seq of creation. Items are
 * deployments; ecshist_result_next_token has the next page's token. *out is yours.
 * Errors: INVALID (also a token that is forged, or of other filters), CLUSTER_NOT_FOUND,
 * SERVICE_NOT_FOUND, AMBIGUOUS (the message lists the candidates), INDEX, DAMAGED, NO_MEMORY.
 */
ECSHIST_API int ecshist_list_service_deployments(ecshist_snapshot *snapshot,
                                                 const struct ecshist_list_request *request,
                                                 ecshist_result **out, struct ecshist_error *error)
    ECSHIST_CHECKED;

/*
 * DescribeServiceDeployments: 1 to ECSHIST_MAX_DESCRIBE ARNs, answered in the order asked; an
 * unknown one becomes a failure. as_of may be NULL: now. *out is yours. Errors: INVALID (a
 * malformed ARN, too many), INDEX, DAMAGED, NO_MEMORY.
 */
ECSHIST_API int ecshist_describe_service_deployments(ecshist_snapshot *snapshot,
                                                     const char *const *arns, size_t count,
                                                     const struct ecshist_as_of *as_of,
                                                     ecshist_result **out,
                                                     struct ecshist_error *error) ECSHIST_CHECKED;

/* DescribeServiceRevisions: the same of revisions. Items have no struct, only JSON. */
ECSHIST_API int ecshist_describe_service_revisions(ecshist_snapshot *snapshot,
                                                   const char *const *arns, size_t count,
                                                   const struct ecshist_as_of *as_of,
                                                   ecshist_result **out,
                                                   struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * The services of a cluster (name or ARN; NULL: of all), ordered by ARN. region and account may be
 * NULL. Not an operation of ECS in this shape: views of services. Errors: CLUSTER_NOT_FOUND,
 * AMBIGUOUS, INVALID, INDEX, DAMAGED, NO_MEMORY.
 */
ECSHIST_API int ecshist_list_services(ecshist_snapshot *snapshot, const char *cluster,
                                      const char *region, const char *account,
                                      const struct ecshist_as_of *as_of, ecshist_result **out,
                                      struct ecshist_error *error) ECSHIST_CHECKED;

/*
 * A deployment's (or revision's, or service's own) events in seq order, ignored ones included, up
 * to as_of (may be NULL). Items are events. Errors: INVALID, NOT_FOUND, INDEX, DAMAGED, NO_MEMORY.
 */
ECSHIST_API int ecshist_timeline(ecshist_snapshot *snapshot, const char *arn,
                                 const struct ecshist_as_of *as_of, ecshist_result **out,
                                 struct ecshist_error *error) ECSHIST_CHECKED;

/* Items of an answer. */
ECSHIST_API size_t ecshist_result_count(const ecshist_result *result);
/* Item `index` of list or describe deployments; false where there is none. Set view->size before.
 */
ECSHIST_API bool ecshist_result_deployment(const ecshist_result *result, size_t index,
                                           struct ecshist_deployment_view *view);
/* Item `index` of list services; the same. */
ECSHIST_API bool ecshist_result_service(const ecshist_result *result, size_t index,
                                        struct ecshist_service_view *view);
/* Item `index` of a timeline; borrowed, lives as long as the result; NULL where there is none. */
ECSHIST_API const ecshist_event *ecshist_result_event(const ecshist_result *result, size_t index);
ECSHIST_API size_t ecshist_result_failure_count(const ecshist_result *result);
/* Failure `index`; false where there is none. */
ECSHIST_API bool ecshist_result_failure(const ecshist_result *result, size_t index,
                                        struct ecshist_failure *failure);
/* The next page's token, NULL on the last page. Lives as long as the result. */
ECSHIST_API const char *ecshist_result_next_token(const ecshist_result *result);

/*
 * The whole answer as JSON in the shape of the operation's response, members in the order of the
 * ECS API's shapes. *out_json is yours, NUL-terminated: ecshist_free. *out_length may be NULL.
 * Errors: NO_MEMORY. Thread-safe: a result never changes.
 */
ECSHIST_API int ecshist_result_to_json(const ecshist_result *result, ecshist_json_form form,
                                       char **out_json, size_t *out_length,
                                       struct ecshist_error *error) ECSHIST_CHECKED;
/* Item `index` alone, as JSON. Errors: INVALID (no such item), NO_MEMORY. */
ECSHIST_API int ecshist_result_item_to_json(const ecshist_result *result, size_t index,
                                            ecshist_json_form form, char **out_json,
                                            size_t *out_length, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Frees an answer; NULL is allowed. */
ECSHIST_API void ecshist_result_free(ecshist_result *result);

/* StopServiceDeployment and ContinueServiceDeployment are appends: stop-requested,
 * hook-action-requested. */

ECSHIST_END_DECLS

#endif
