/* One at a time, of all processes: compactions and backups. Appends and reads are not concerned. */
#ifndef EHI_UPKEEP_LOCK_H
#define EHI_UPKEEP_LOCK_H

#include "fold/store.h"

/*
 * BUSY: somebody else is at it. IO. *fd: for ehi_upkeep_unlock. Where nothing can be written (a backup only reads), and nobody ever
 * took it, it is not there to be taken: OK.
 */
int ehi_upkeep_lock(struct ehi_store *store, int *fd, struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_upkeep_unlock(int fd);

#endif
