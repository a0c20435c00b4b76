/*
 * Failing: fill the caller's error (NULL allowed) and return the code, in one statement:
 * `return ehi_fail(error, ECSHIST_INVALID, "…", …);`
 */
#ifndef EHI_BASE_ERROR_H
#define EHI_BASE_ERROR_H

#include <ecshist/error.h>

/* Clears the error, sets code and message. Returns code. */
int ehi_fail(struct ecshist_error *error, int code, const char *format, ...) ECSHIST_PRINTF(3, 4);
/* The same, with errno's text behind the message and system_errno set. Keeps errno. What is IO for
 * want of memory (ENOMEM) is NO_MEMORY. */
int ehi_fail_errno(struct ecshist_error *error, int code, const char *format, ...)
    ECSHIST_PRINTF(3, 4);
/* "out of memory". Returns ECSHIST_NO_MEMORY. */
int ehi_fail_memory(struct ecshist_error *error);
/* Sets the place of an error that is filled already. Returns error->code, or code where error is
 * NULL. */
int ehi_at(struct ecshist_error *error, int code, const char *format, ...) ECSHIST_PRINTF(3, 4);

#endif
