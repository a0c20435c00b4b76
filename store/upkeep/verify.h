/* Verifying a store: every invariant of docs/INVARIANTS.md that can be seen from its files. */
#ifndef EHI_UPKEEP_VERIFY_H
#define EHI_UPKEEP_VERIFY_H

#include "base/error.h"

#include <ecshist/verify.h>

/* As ecshist_verify, with all options and a result given. */
int ehi_verify(const char *path, const struct ecshist_verify_options *options,
               ecshist_finding_fn on_finding, void *context, struct ecshist_verify_result *result,
               struct ecshist_error *error) ECSHIST_CHECKED;

#endif
