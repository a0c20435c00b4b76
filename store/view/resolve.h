/* From what a caller calls a service or a cluster to what the index knows of it. */
#ifndef EHI_VIEW_RESOLVE_H
#define EHI_VIEW_RESOLVE_H

#include "base/arena.h"
#include "base/error.h"
#include "model/arn.h"
#include "view/view.h"

/* What the caller said: names or ARNs. Any but `service` may be NULL. */
struct view_names {
    const char *service, *cluster, *region, *account;
};

/* A service that is there. The ARN lives in the arena. */
struct view_service {
    uint64_t id;
    struct ehi_arn arn;
};

struct view_services {
    struct view_service *items;
    size_t count, capacity;
};

/*
 * The service of a name or an ARN; where no cluster is named it is "default", or the service ARN's
 * own. INVALID, CLUSTER_NOT_FOUND, SERVICE_NOT_FOUND, AMBIGUOUS.
 */
int view_resolve_service(const struct ehi_view_source *source, const struct view_names *names,
                         struct ehi_arena *arena, struct view_service *out,
                         struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * The services of a cluster, by ARN; names->cluster NULL: of all. INVALID, CLUSTER_NOT_FOUND,
 * AMBIGUOUS.
 */
int view_resolve_cluster(const struct ehi_view_source *source, const struct view_names *names,
                         struct ehi_arena *arena, struct view_services *out,
                         struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Parses an ARN of this kind that a caller gave; 0: of any kind. INVALID, also where it is too
 * long: what a caller asks for is malformed then, not over a bound of the store.
 */
int view_parse_arn(enum ehi_arn_kind kind, const char *text, struct ehi_arn *out,
                   struct ecshist_error *error) ECSHIST_CHECKED;
/* The same of a deployment's, with what the source remembers. */
int view_parse_deployment(const struct ehi_view_source *source, const char *text,
                          struct ehi_arn *out, struct ecshist_error *error) ECSHIST_CHECKED;
/* The order of the services of a cluster: by bytes. */
int view_compare_texts(struct ehi_slice a, struct ehi_slice b);

#endif
