/* The harness: scenarios under faults. */
#ifndef TESTS_FAULTS_RUN_H
#define TESTS_FAULTS_RUN_H

#include "faults/scenarios.h"
#include "faults/shim.h"

struct run_options {
    enum shim_class class;
    const char *scenario; /* NULL: all */
    unsigned long at;     /* 0: every number */
    bool forever;
};

/* Makes the stores that scenarios begin with; before anything else. */
void run_begin(void);
/* Every scenario of the table with every fault of a class. Prints a line of counts; how many
 * failures. */
unsigned run_class(const struct run_options *options, const struct scenario *table, size_t count);
/* Runs with mistakes in them, which must be noticed. Prints a line; how many were not. (self.c) */
unsigned run_self_check(void);
void run_end(void);

#endif
