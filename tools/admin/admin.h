/* The commands. Each complains about what goes wrong, and returns an exit code. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>

struct admin_arguments {
    const char *store; /* NULL: not given */
    bool as_json;
};

int admin_stat(const struct admin_arguments *arguments);
int admin_rebuild_index(const struct admin_arguments *arguments);

#endif
