/*
 * All that a store holds, as one text, so that two moments can be compared. Public API only, no
 * test framework.
 */
#ifndef TESTS_SUPPORT_HOLD_H
#define TESTS_SUPPORT_HOLD_H

#include <ecshist/ecshist.h>

/*
 * Counts; services; each service's deployments, page by page; each deployment, revision and
 * timeline. What has to do with files (sizes, readers) is left out. Yours: free. What goes wrong
 * ends the process; that something is not there is an answer.
 */
char *hold_all(ecshist_store *store);
/* The same as of an earlier moment: deployments, revisions and services. */
char *hold_as_of(ecshist_store *store, const struct ecshist_as_of *as_of);
/*
 * One deployment, as JSON (wire form); "MISSING" where there is none. as_of may be NULL. Yours:
 * free.
 */
char *hold_deployment(ecshist_store *store, const char *arn, const struct ecshist_as_of *as_of);
/* Its status and updatedAt (microseconds); NONE and -1 where there is none. */
ecshist_deployment_status hold_status(ecshist_store *store, const char *arn);
int64_t hold_updated_at(ecshist_store *store, const char *arn, const struct ecshist_as_of *as_of);
/* Events in the log, by a cursor from the start. */
uint64_t hold_count(ecshist_store *store);
/* Events in a subject's timeline; 0 where there is none. */
size_t hold_timeline_count(ecshist_store *store, const char *arn);

#endif
