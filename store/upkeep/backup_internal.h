/* Shared by backup.c and backup_place.c only. */
#ifndef EHI_UPKEEP_BACKUP_INTERNAL_H
#define EHI_UPKEEP_BACKUP_INTERNAL_H

#include "upkeep/backup.h"

#include <limits.h>

struct backup {
    struct ehi_store *store;
    const struct ecshist_backup_options *options;
    struct ecshist_backup_result *out;
    struct ecshist_error *error;
    char parent[PATH_MAX], name[NAME_MAX + 1]; /* where it goes */
    char temporary[NAME_MAX + 1];              /* beside it, until it is whole */
    char path[PATH_MAX + NAME_MAX + 2];        /* of the temporary */
    int parent_fd, dir_fd, log_fd;
    struct ehi_position head;
    struct ehi_buffer copied; /* the segments there, as u64 one behind the other */
    uint8_t *piece;
    uint64_t done, total;
};

/* "NNNNNNNNNNNNNNNNNNNN.seg" */
void backup_segment_name(uint64_t segment, char name[32]);

/* Where it goes: `to` is taken apart, and the directory above it opened. INVALID, EXISTS, IO. */
int backup_place(struct backup *b, const char *to) ECSHIST_CHECKED;
/* It is not within the store, and nothing is in the way. INVALID, EXISTS, IO. */
int backup_check_place(const struct backup *b) ECSHIST_CHECKED;
/* Makes the temporary directory beside it, and log/ in there. IO. */
int backup_make_temporary(struct backup *b) ECSHIST_CHECKED;
/* Nothing there is fine. */
void backup_remove_temporary(const struct backup *b);
/* The temporary becomes what was asked for, durably. EXISTS, IO. */
int backup_put_in_place(struct backup *b) ECSHIST_CHECKED;

#endif
