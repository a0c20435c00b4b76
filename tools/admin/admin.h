/* The commands. Each complains about what goes wrong, and returns an exit code. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

struct admin_arguments {
    const char *store;   /* NULL: not given */
    const char *operand; /* what comes after the command: of backup, where to */
    bool as_json;
    uint64_t retention_days;
    bool has_now, forget_last, dry_run;
    int64_t now_us;
    bool quick; /* verify */
};

int admin_stat(const struct admin_arguments *arguments);
int admin_rebuild_index(const struct admin_arguments *arguments);
int admin_compact(const struct admin_arguments *arguments);
int admin_backup(const struct admin_arguments *arguments);
int admin_verify(const struct admin_arguments *arguments);

/* "1536 bytes (1.5 KiB)", on stdout. */
void admin_put_bytes(uint64_t bytes);

#endif
