/* Retention, as <ecshist/compact.h> says it. */
#ifndef EHI_UPKEEP_COMPACT_H
#define EHI_UPKEEP_COMPACT_H

#include "fold/store.h"

#include <ecshist/compact.h>

/* options and out are whole. */
int ehi_compact(struct ehi_store *store, const struct ecshist_compact_options *options,
                struct ecshist_compact_result *out, struct ecshist_error *error) ECSHIST_CHECKED;

#ifdef ECSHIST_TEST_HOOKS
/* The index is copied however small it is, and however full. */
extern bool ehi_compact_test_always_shrinks;
#endif

#endif
