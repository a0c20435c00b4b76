/*
 * A store and the naive model side by side: the same events go to both, the same questions are
 * asked of both. No test framework: the fuzzer uses it too. Every function says whether the two
 * agree; where they do not, `where` says what about.
 */
#ifndef TESTS_SUPPORT_PAIR_H
#define TESTS_SUPPORT_PAIR_H

#include "support/naive.h"

#include <ecshist/ecshist.h>

enum { PAIR_BATCH = 32 };

struct pair {
    ecshist_store *store;
    struct naive *naive;
    char where[4096];
};

/* What a stream of events is about. */
struct pair_subjects {
    const char *const *deployments;
    size_t deployment_count;
    const char *const *revisions;
    size_t revision_count;
    const char *const *services;
    size_t service_count;
};

/*
 * At most PAIR_BATCH events in one append: every outcome, and the append's own code. flags:
 * ECSHIST_APPEND_*.
 */
bool pair_append(struct pair *pair, json_t *const *events, size_t count, unsigned flags);
/* The same as a dry run, of which nothing may stay. */
bool pair_dry_run(struct pair *pair, json_t *const *events, size_t count, unsigned flags);
/* The store's view of a deployment, a revision or a service, as it is now; yours. NULL: MISSING. */
json_t *pair_view(const struct pair *pair, const char *arn);
/* One view. */
bool pair_agrees_on_deployment(struct pair *pair, const char *arn, struct naive_as_of as_of);
/* Every view, and every service's list. */
bool pair_agrees(struct pair *pair, const struct pair_subjects *subjects, struct naive_as_of as_of);
/* Every timeline, and the log as a whole. */
bool pair_agrees_on_history(struct pair *pair, const struct pair_subjects *subjects);

#endif
