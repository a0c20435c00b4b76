/* One question, as the command line put it, and what the operations share in answering it. */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "common/options.h"

#include <ecshist/query.h>

enum query_output { QUERY_JSON, QUERY_TABLE, QUERY_TEXT };

struct query {
    const char *operation; /* in the API's spelling: "ListServiceDeployments" */
    enum query_output output;
    ecshist_snapshot *snapshot;
    struct ecshist_as_of as_of;

    const char *service, *cluster, *region, *account;
    struct tool_list status;
    bool has_created_after, has_created_before;
    int64_t created_after_us, created_before_us;
    uint64_t max_items;   /* 0: all */
    uint64_t max_results; /* 0: as many pages as it takes */
    const char *next_token;
    struct tool_list deployment_arns, revision_arns;
    const char *deployment_arn;
};

/* The operations. Each prints its answer, or complains, and returns an exit code. */
int query_list_deployments(const struct query *query);
int query_describe_deployments(const struct query *query);
int query_describe_revisions(const struct query *query);
int query_list_services(const struct query *query);
int query_timeline(const struct query *query);

#endif
