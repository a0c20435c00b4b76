/* Backups, as <ecshist/backup.h> says it. */
#ifndef EHI_UPKEEP_BACKUP_H
#define EHI_UPKEEP_BACKUP_H

#include "fold/store.h"

#include <ecshist/backup.h>

/* options and out are whole. */
int ehi_backup(struct ehi_store *store, const char *to,
               const struct ecshist_backup_options *options, struct ecshist_backup_result *out,
               struct ecshist_error *error) ECSHIST_CHECKED;

#endif
