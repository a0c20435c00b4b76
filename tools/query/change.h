/* What an event changed, told from the views before and after it. */
#ifndef QUERY_CHANGE_H
#define QUERY_CHANGE_H

#include <ecshist/query.h>
#include <stddef.h>

/*
 * Writes what is different in `after` as phrases with "; " between them, "" where nothing is.
 * `before` is as its INIT macro makes it where there was nothing yet.
 */
void query_describe_change(const struct ecshist_deployment_view *before,
                           const struct ecshist_deployment_view *after, char *buffer, size_t size);

#endif
