/* The naive model's fold of one deployment, on a JSON object that is its view. Part of naive.c. */
#ifndef TESTS_SUPPORT_NAIVE_FOLD_H
#define TESTS_SUPPORT_NAIVE_FOLD_H

#include "support/naive.h"

/* All zero but for the mistake: nothing happened yet. Whoever folds json_decrefs the view. */
struct naive_fold {
    enum naive_mistake mistake;
    json_t *view; /* NULL: none yet. deploymentConfiguration as given, or absent */
    uint64_t created_seq, last_seq;
    bool desired_given;
    bool count_known;
    json_int_t count;
};

/* What applying would give: APPENDED, DUPLICATE (an observation), CONFLICT, NOT_FOUND, INVALID. */
enum naive_outcome naive_fold_check(const struct naive_fold *fold, const json_t *event);
/* Applies an event that the check let through. */
void naive_fold_apply(struct naive_fold *fold, const json_t *event, uint64_t seq);
/* The view with what is always there (4.11): a copy, yours. */
json_t *naive_fold_shown(const struct naive_fold *fold);

bool naive_is_terminal(const char *status);
/* The service's ARN of any ARN below it (or its own), into text, which has room for arn. */
void naive_service_arn(const char *arn, char *text);
void naive_put_cluster(json_t *view, const char *arn);
/* `member`: arn, then serviceArn and clusterArn. */
void naive_put_arns(json_t *view, const char *member, const char *arn);

#endif
