/* Which events are dumped. */
#ifndef DUMP_FILTER_H
#define DUMP_FILTER_H

#include "common/arn.h"
#include "common/options.h"

#include <ecshist/event.h>

struct dump_filter {
    uint64_t from, to; /* seq, both included */
    bool has_after, has_before;
    int64_t after_us, before_us; /* of the event's time, strictly */
    const char *deployment_arn;
    struct tool_list types;

    /* "" where any will do. */
    struct tool_span home; /* "arn:P:ecs:REGION:ACCOUNT" */
    struct tool_span cluster, service;
};

/*
 * Sets home, cluster and service from --service and --cluster, each a name or an ARN or NULL. As in
 * queries, the cluster of a service's name is "default" where none is given. TOOL_GO_ON, or a code to
 * exit with.
 */
int dump_filter_set_service(struct dump_filter *filter, const char *service, const char *cluster);

bool dump_filter_takes(const struct dump_filter *filter, const struct ecshist_event_info *info);

#endif
