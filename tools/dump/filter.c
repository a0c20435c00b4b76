#include "dump/filter.h"

#include <string.h>

static struct tool_span span_of(const char *text)
{
    return (struct tool_span){text, strlen(text)};
}

static bool same(struct tool_span a, struct tool_span b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.text, b.text, a.length) == 0);
}

static bool is_arn(const char *text)
{
    return strncmp(text, "arn:", 4) == 0;
}

static int set_cluster(struct dump_filter *filter, const char *cluster)
{
    struct tool_arn arn;

    if (!is_arn(cluster)) {
        filter->cluster = span_of(cluster);
        return TOOL_GO_ON;
    }
    if (!tool_arn_split(cluster, &arn) || !tool_span_equal(arn.kind, "cluster")) {
        return tool_usage_error("--cluster: '%s' is not a cluster's ARN", cluster);
    }
    filter->home = arn.home;
    filter->cluster = arn.cluster;
    return TOOL_GO_ON;
}

int dump_filter_set_service(struct dump_filter *filter, const char *service, const char *cluster)
{
    bool by_arn = service != NULL && is_arn(service);
    int code = TOOL_GO_ON;
    struct tool_arn arn;

    if (cluster != NULL) {
        code = set_cluster(filter, cluster);
    } else if (service != NULL && !by_arn) {
        filter->cluster = span_of("default");
    }
    if (code != TOOL_GO_ON || service == NULL) {
        return code;
    }
    if (!by_arn) {
        filter->service = span_of(service);
        return TOOL_GO_ON;
    }
    if (!tool_arn_split(service, &arn) || !tool_span_equal(arn.kind, "service") ||
        arn.service.length == 0) {
        return tool_usage_error("--service: '%s' is not a service's ARN", service);
    }
    if (cluster != NULL && (!same(arn.cluster, filter->cluster) ||
                            (filter->home.length > 0 && !same(arn.home, filter->home)))) {
        return tool_usage_error("--service and --cluster name different clusters");
    }
    filter->home = arn.home;
    filter->cluster = arn.cluster;
    filter->service = arn.service;
    return TOOL_GO_ON;
}

static bool takes_type(const struct tool_list *types, const char *type)
{
    for (size_t i = 0; i < types->count; i++) {
        if (strcmp(types->items[i], type) == 0) {
            return true;
        }
    }
    return types->count == 0;
}

static bool takes_subject(const struct dump_filter *filter, const char *subject)
{
    struct tool_arn arn;

    if (filter->cluster.length == 0) {
        return true;
    }
    return subject != NULL && tool_arn_split(subject, &arn) && same(filter->cluster, arn.cluster) &&
           (filter->service.length == 0 || same(filter->service, arn.service)) &&
           (filter->home.length == 0 || same(filter->home, arn.home));
}

bool dump_filter_takes(const struct dump_filter *filter, const struct ecshist_event_info *info)
{
    if (filter->has_after && info->time_us <= filter->after_us) {
        return false;
    }
    if (filter->has_before && info->time_us >= filter->before_us) {
        return false;
    }
    if (filter->deployment_arn != NULL &&
        (info->subject_arn == NULL || strcmp(filter->deployment_arn, info->subject_arn) != 0)) {
        return false;
    }
    return takes_type(&filter->types, info->type) && takes_subject(filter, info->subject_arn);
}
