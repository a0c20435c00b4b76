/* The store a tool works on. */
#ifndef TOOL_STORE_H
#define TOOL_STORE_H

#include <ecshist/store.h>

/* --store, else $ECSHIST_STORE, else ./ecshist-store. */
const char *tool_store_path(const char *option);

/*
 * Opens it, with a progress bar where its index has to be rebuilt. Returns an ecshist_code, and has
 * complained where that is not OK.
 */
int tool_open_store(const char *option, unsigned flags, ecshist_store **out) ECSHIST_CHECKED;

#endif
