#include "common/program.h"

#include "common/progress.h"
#include "common/safe.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program_name = "ecshist";

/*
 * A tool that was started with stdout closed would open the store's files as descriptor 1, and print
 * into them. The places are taken by /dev/null, the wrong way round so that using them still fails.
 */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) != -1) {
            continue;
        }
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) {
            _exit(TOOL_EXIT_STORE);
        }
    }
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#endif

#ifndef HAS_SANITIZER
static void put_text(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

/* Of the index's pages LMDB believes all that they say: one that rot has changed makes it fault, or abort. */
static void end_by_fault(int signal)
{
    (void)signal;
    put_text(program_name);
    put_text(
        ": a fault in reading the index: it is damaged. Run ecshist-admin rebuild-index; if that "
        "does not help, ecshist-admin verify\n");
    _exit(TOOL_EXIT_STORE);
}
#endif

static void watch_faults(void)
{
#ifndef HAS_SANITIZER
    static char stack_bytes[65536];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT};
    stack_t stack = {.ss_sp = stack_bytes, .ss_size = sizeof(stack_bytes)};
    struct sigaction action = {.sa_handler = end_by_fault,
                               .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};

    (void)sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)sigaction(signals[i], &action, NULL);
    }
#endif
}

void tool_start(const char *name)
{
    program_name = name;
    fill_standard_descriptors();
    watch_faults();
    /* Seen as failed writes instead, so that what is held is let go of in order. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    /* For the width of characters only; the tools speak UTF-8 wherever they run. */
    setlocale(LC_CTYPE, "C.UTF-8");
}

const char *tool_name(void)
{
    return program_name;
}

static void ECSHIST_PRINTF(1, 0) complain(const char *format, va_list arguments)
{
    char text[2048];

    vsnprintf(text, sizeof(text), format, arguments);
    tool_progress_hide();
    fprintf(stderr, "%s: ", program_name);
    tool_put_safe(stderr, text);
    fputc('\n', stderr);
}

void tool_complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
}

int tool_exit_of(int code)
{
    switch (code) {
    case ECSHIST_OK:
        return TOOL_EXIT_OK;
    case ECSHIST_INVALID:
    case ECSHIST_CONFLICT:
    case ECSHIST_NOT_FOUND:
    case ECSHIST_CLUSTER_NOT_FOUND:
    case ECSHIST_SERVICE_NOT_FOUND:
    case ECSHIST_AMBIGUOUS:
    case ECSHIST_LIMIT:
        return TOOL_EXIT_REFUSED;
    case ECSHIST_OUTCOME_UNKNOWN:
        return TOOL_EXIT_UNKNOWN;
    default:
        return TOOL_EXIT_STORE;
    }
}

static const char *message_of(const struct ecshist_error *error)
{
    return error->message[0] != '\0' ? error->message : ecshist_code_sentence(error->code);
}

int tool_complain_error(const struct ecshist_error *error)
{
    const char *separator = error->place[0] != '\0' ? ": " : "";

    tool_complain("%s%s%s", error->place, separator, message_of(error));
    return tool_exit_of(error->code);
}

int tool_complain_operation(const char *operation, const struct ecshist_error *error)
{
    const char *word = ecshist_code_ecs_name(error->code);
    const char *separator = error->place[0] != '\0' ? ": " : "";

    if (word[0] == '\0') {
        return tool_complain_error(error);
    }
    tool_complain("An error occurred (%s) when calling the %s operation: %s%s%s", word, operation,
                  error->place, separator, message_of(error));
    return tool_exit_of(error->code);
}

bool tool_output_failed(void)
{
    return ferror(stdout) != 0;
}

bool tool_reader_has_gone(void)
{
    struct pollfd out = {STDOUT_FILENO, 0, 0};

    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

bool tool_flush(void)
{
    static bool complained;
    int failure;

    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    failure = errno;
    if (!complained && failure != EPIPE && !tool_reader_has_gone()) {
        complained = true;
        tool_complain("cannot write to standard output: %s",
                      failure != 0 ? strerror(failure) : "a write failed");
    }
    return false;
}

/* What could not be printed matters more than what was refused, and less than an unknown outcome. */
static int exit_of_failed_output(int code)
{
    return code == TOOL_EXIT_OK || code == TOOL_EXIT_REFUSED ? TOOL_EXIT_STORE : code;
}

int tool_finish(int code)
{
    bool flushed = tool_flush();

    tool_progress_hide();
    if (!flushed) {
        return tool_reader_has_gone() ? code : exit_of_failed_output(code);
    }
    /* A file system may keep its refusal for the close (NFS, quotas). */
    errno = 0;
    if (fclose(stdout) != 0) {
        tool_complain("cannot write to standard output: %s", strerror(errno));
        return exit_of_failed_output(code);
    }
    return code;
}
