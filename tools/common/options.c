#include "common/options.h"

#include "common/program.h"

#include <ecshist/event.h>
#include <ecshist/version.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 64

struct parser {
    struct tool_option *options;
    size_t count;
    const char *help;
    int argc;
    char **argv;
    int at;
};

int tool_usage_error(const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tool_complain("%s", text);
    fprintf(stderr, "Try '%s --help'.\n", tool_name());
    return TOOL_EXIT_USAGE;
}

/* Levenshtein's distance; MAX_WORD for words that are too long to care. */
static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_WORD + 1];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);

    if (a_length > MAX_WORD || b_length > MAX_WORD) {
        return MAX_WORD;
    }
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = change < step ? change : step;
        }
    }
    return row[b_length];
}

const char *tool_nearest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 1;

    for (size_t i = 0; i < count; i++) {
        size_t away = distance(word, words[i]);

        if (away < best_distance) {
            best = words[i];
            best_distance = away;
        }
    }
    return best;
}

static int unknown_option(const struct parser *parser, const char *name)
{
    const char *words[64] = {"--help", "--version"};
    size_t count = 2;
    const char *near;

    for (size_t i = 0; i < parser->count && count < 64; i++) {
        words[count++] = parser->options[i].name;
    }
    near = tool_nearest(name, words, count);
    if (near == NULL) {
        return tool_usage_error("unknown option %s", name);
    }
    return tool_usage_error("unknown option %s; did you mean %s?", name, near);
}

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] != '\0';
}

/* The values of a list: `first`, which stood in the option's own word, and all up to the next option. */
static void take_list(struct parser *parser, char *first, struct tool_list *list)
{
    list->items = parser->argv + parser->at + 1;
    list->count = 0;
    if (first != NULL) {
        list->items--;
        list->items[0] = first;
        list->count = 1;
    }
    while (parser->at + 1 < parser->argc && !is_option(parser->argv[parser->at + 1])) {
        parser->at++;
        list->count++;
    }
}

/* An option whose name is known, and what follows "=" in it, or NULL. */
static int take_option(struct parser *parser, struct tool_option *option, char *attached)
{
    option->given = true;
    if (option->flag != NULL) {
        *option->flag = true;
        return attached == NULL ? TOOL_GO_ON : tool_usage_error("%s takes no value", option->name);
    }
    if (option->list != NULL) {
        take_list(parser, attached, option->list);
        return option->list->count > 0
                   ? TOOL_GO_ON
                   : tool_usage_error("%s needs at least one value", option->name);
    }
    if (attached == NULL) {
        if (parser->at + 1 >= parser->argc || strncmp(parser->argv[parser->at + 1], "--", 2) == 0) {
            return tool_usage_error("%s needs a value", option->name);
        }
        parser->at++;
        attached = parser->argv[parser->at];
    }
    *option->value = attached;
    return TOOL_GO_ON;
}

static int take_word(struct parser *parser, char *word)
{
    char *equals = strchr(word, '=');
    char *attached = NULL;

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        fputs(parser->help, stdout);
        return TOOL_EXIT_OK;
    }
    if (strcmp(word, "--version") == 0) {
        printf("%s %s\n", tool_name(), ecshist_version());
        return TOOL_EXIT_OK;
    }
    if (equals != NULL) {
        *equals = '\0';
        attached = equals + 1;
    }
    for (size_t i = 0; i < parser->count; i++) {
        if (strcmp(word, parser->options[i].name) == 0) {
            return take_option(parser, &parser->options[i], attached);
        }
    }
    return unknown_option(parser, word);
}

int tool_options_parse(struct tool_option *options, size_t count, const char *help, int argc,
                       char **argv, struct tool_list *arguments)
{
    struct parser parser = {options, count, help, argc, argv, 1};
    bool options_over = false;
    int code = TOOL_GO_ON;

    arguments->count = 0;
    arguments->items = calloc((size_t)argc + 1, sizeof(*arguments->items));
    if (arguments->items == NULL) {
        tool_complain("out of memory");
        return TOOL_EXIT_STORE;
    }
    for (; parser.at < argc && code == TOOL_GO_ON; parser.at++) {
        char *word = argv[parser.at];

        if (!options_over && strcmp(word, "--") == 0) {
            options_over = true;
        } else if (!options_over && is_option(word)) {
            code = take_word(&parser, word);
        } else {
            arguments->items[arguments->count++] = word;
        }
    }
    return code;
}

bool tool_parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    uint64_t number = 0;

    if (text[0] == '\0') {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (*at < '0' || *at > '9' || number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    if (number < least || number > most) {
        return false;
    }
    *out = number;
    return true;
}

int tool_number_option(const char *name, const char *text, uint64_t least, uint64_t most,
                       uint64_t *out)
{
    if (text == NULL || tool_parse_number(text, least, most, out)) {
        return TOOL_GO_ON;
    }
    return tool_usage_error("%s: a number from %" PRIu64 " to %" PRIu64 ", not '%s'", name, least,
                            most, text);
}

int tool_time_option(const char *name, const char *text, bool *out_given, int64_t *out_us)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;

    if (text == NULL) {
        return TOOL_GO_ON;
    }
    if (ecshist_time_parse(text, strlen(text), out_us, &error) != ECSHIST_OK) {
        return tool_usage_error("%s: '%s' is not a time: %s", name, text, error.message);
    }
    *out_given = true;
    return TOOL_GO_ON;
}
