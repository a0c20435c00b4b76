/* Backup: a consistent copy, made whole beside its place. */
#ifndef EHI_UPKEEP_BACKUP_H
#define EHI_UPKEEP_BACKUP_H

#include "fold/store.h"

#include <ecshist/backup.h>

/* As ecshist_backup, with all options and a result given. */
int ehi_backup(struct ehi_store *store, const char *to,
               const struct ecshist_backup_options *options, struct ecshist_backup_result *out,
               struct ecshist_error *error) ECSHIST_CHECKED;

#endif
