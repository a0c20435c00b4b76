/*
 * Questions asked of one consistent state: a read transaction of the index, and the log behind it.
 * Answers are made in the caller's arena and borrow from nothing else.
 */
#ifndef EHI_VIEW_VIEW_H
#define EHI_VIEW_VIEW_H

#include "base/arena.h"
#include "base/error.h"
#include "db/db.h"
#include "log/log.h"
#include "model/event.h"

#include <ecshist/limits.h>
#include <ecshist/query.h>

/* What is kept from one question to the next: memory that is used for a while. All zero: nothing yet. */
struct ehi_view_memory {
    struct ehi_arena scratch;
};

struct ehi_view_source {
    struct ehi_log *log;
    struct ehi_db_txn *txn;
    uint64_t last_seq;              /* what the snapshot shows */
    struct ehi_view_memory *memory; /* NULL: none */
};

enum ehi_answer_kind {
    EHI_ANSWER_LIST = 1,
    EHI_ANSWER_DEPLOYMENTS,
    EHI_ANSWER_REVISIONS,
    EHI_ANSWER_SERVICES,
    EHI_ANSWER_TIMELINE
};

/* The service and the cluster that a subject's ARN names: their ARNs. */
struct ehi_owner {
    struct ehi_slice service, cluster;
};

struct ehi_failure {
    struct ehi_slice arn;
};

/* Only the lists of its kind are filled. All in the arena; texts are NUL-terminated. */
struct ehi_answer {
    enum ehi_answer_kind kind;
    size_t count;
    struct ehi_deployment *deployments; /* list, describe */
    struct ehi_owner *owners;           /* of the deployments */
    struct ehi_revision *revisions;     /* documents included */
    struct ehi_service *services;
    struct ehi_slice *records; /* timeline: stored records */
    struct ehi_failure *failures;
    size_t failure_count;   /* 0: there may be no list either */
    const char *next_token; /* NULL: last page */
};

/* Each as its function in <ecshist/query.h> says. */
int ehi_view_list(const struct ehi_view_source *source, const struct ecshist_list_request *request,
                  struct ehi_arena *arena, struct ehi_answer *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
int ehi_view_deployments(const struct ehi_view_source *source, const char *const *arns,
                         size_t count, const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                         struct ehi_answer *out, struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_view_revisions(const struct ehi_view_source *source, const char *const *arns, size_t count,
                       const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                       struct ehi_answer *out, struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_view_services(const struct ehi_view_source *source, const char *cluster, const char *region,
                      const char *account, const struct ecshist_as_of *as_of,
                      struct ehi_arena *arena, struct ehi_answer *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
int ehi_view_timeline(const struct ehi_view_source *source, const char *arn,
                      const struct ecshist_as_of *as_of, struct ehi_arena *arena,
                      struct ehi_answer *out, struct ecshist_error *error) ECSHIST_CHECKED;

/* An answer, or one item of it, as the value that json/ writes: shapes of the ECS API, in their
 * order. */
int ehi_answer_value(const struct ehi_answer *answer, struct ehi_arena *arena,
                     struct ehi_value *out, struct ecshist_error *error) ECSHIST_CHECKED;
int ehi_answer_item_value(const struct ehi_answer *answer, size_t index, struct ehi_arena *arena,
                          struct ehi_value *out, struct ecshist_error *error) ECSHIST_CHECKED;

#endif
