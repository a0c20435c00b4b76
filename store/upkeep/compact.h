/* Retention, as <ecshist/compact.h> says it. */
#ifndef EHI_UPKEEP_COMPACT_H
#define EHI_UPKEEP_COMPACT_H

#include "fold/store.h"

#include <ecshist/compact.h>

/* options and out are whole. */
int ehi_compact(struct ehi_store *store, const struct ecshist_compact_options *options,
                struct ecshist_compact_result *out, struct ecshist_error *error) ECSHIST_CHECKED;

#endif
