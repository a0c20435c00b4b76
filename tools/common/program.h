/* What every tool does the same way: begin, say what went wrong, end with the right code. */
#ifndef TOOL_PROGRAM_H
#define TOOL_PROGRAM_H

#include <ecshist/error.h>
#include <ecshist/export.h>
#include <stdbool.h>

enum tool_exit {
    TOOL_EXIT_OK = 0,
    TOOL_EXIT_REFUSED = 1, /* done, but something was refused, missing or found wrong */
    TOOL_EXIT_USAGE = 2,
    TOOL_EXIT_STORE = 3, /* the store could not be opened or read, or the output not written */
    TOOL_EXIT_UNKNOWN = 4
};

/* First of all in main. `name` is static. */
void tool_start(const char *name);
const char *tool_name(void);

/* "ecshist-x: message", escaped for a terminal, on stderr, under a progress bar's line if there is one. */
void tool_complain(const char *format, ...) ECSHIST_PRINTF(1, 2);
/* The same of a library's error, with its place. Returns the exit code that belongs to it. */
int tool_complain_error(const struct ecshist_error *error);
/* The same in the AWS CLI's words, where the code has one of ECS's. `operation`: "ListServiceDeployments". */
int tool_complain_operation(const char *operation, const struct ecshist_error *error);
int tool_exit_of(int code);

/* Whether a write to stdout failed already: a closed pipe, a full disk. */
bool tool_output_failed(void);
/* Whether stdout is a pipe that nobody reads any more. stdio forgets errno: this tells it from a full disk. */
bool tool_reader_has_gone(void);
/* Flushes stdout. False, quietly where the reader has gone and with a complaint else, when that fails. */
bool tool_flush(void);
/* Last of all in main: flushes, closes; gives the code to exit with, which is `code` where all is well. */
int tool_finish(int code);

#endif
