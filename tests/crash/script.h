/* What is done to a store while it is recorded, and what must be true of it after a power cut. */
#ifndef TESTS_CRASH_SCRIPT_H
#define TESTS_CRASH_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

/* What is known of a moment of the script. */
struct script_moment {
    uint64_t begun, acked; /* events given to append; acknowledged */
    uint64_t expiring;     /* deployments below this may have gone; all of it or nothing */
    uint64_t expired;      /* deployments below this have gone */
    uint64_t step;
};

size_t script_step_count(void);
const char *script_step_name(size_t step);
/* Runs all steps on a store in the directory. Ends the process where one fails. */
void script_run(const char *directory);
/*
 * Checks the store in the directory as a power cut left it: it opens, is verified, has what was acknowledged and nothing by
 * halves, takes an event, and has it after it was opened again. Ends the process: 0, or 1 with a line on stderr.
 */
_Noreturn void script_check(const char *directory, const struct script_moment *moment);

#endif
