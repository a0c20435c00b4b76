/* Options in the AWS CLI's style: --opt VALUE, --opt=VALUE, --opt A B C. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of an option, or arguments that belong to none. Borrowed from argv. */
struct tool_list {
    char **items;
    size_t count;
};

/* One option. Exactly one of flag, value and list is set: it says what the option takes. */
struct tool_option {
    const char *name; /* "--store" */
    bool *flag;
    const char **value;
    struct tool_list *list;
    bool given; /* filled by the parser */
};

#define TOOL_FLAG(name, pointer)                                                                   \
    {                                                                                              \
        name, pointer, NULL, NULL, false                                                           \
    }
#define TOOL_VALUE(name, pointer)                                                                  \
    {                                                                                              \
        name, NULL, pointer, NULL, false                                                           \
    }
#define TOOL_LIST(name, pointer)                                                                   \
    {                                                                                              \
        name, NULL, NULL, pointer, false                                                           \
    }

/* What tool_options_parse returns when the tool shall go on. Any other value is a code to exit with. */
#define TOOL_GO_ON (-1)

/*
 * Reads argv. --help prints `help`, --version the version, and both end the tool with 0; a mistake is
 * complained about and ends it with 2. *arguments: those without an option, "-" included; without
 * --. Its items are yours: free.
 */
int tool_options_parse(struct tool_option *options, size_t count, const char *help, int argc,
                       char **argv, struct tool_list *arguments);

/* Complains, with a hint to --help. Returns TOOL_EXIT_USAGE. */
int tool_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The nearest of `count` words, or NULL where none is near. */
const char *tool_nearest(const char *word, const char *const *words, size_t count);

/* Digits only, and within the bounds. False: nothing is set. */
bool tool_parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *out);

/* "--name: a number from 1 to 100, not 'x'". TOOL_GO_ON or TOOL_EXIT_USAGE. NULL leaves *out as it is. */
int tool_number_option(const char *name, const char *text, uint64_t least, uint64_t most,
                       uint64_t *out);
/* The same of a time, in microseconds since the epoch. */
int tool_time_option(const char *name, const char *text, bool *out_given, int64_t *out_us);

#endif
