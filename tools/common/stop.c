#include "common/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_bool asked;
static atomic_int signal_number;
static int pipe_ends[2] = {-1, -1};

void tool_stop_request(void)
{
    ssize_t written;

    atomic_store(&asked, true);
    written = write(pipe_ends[1], "", 1);
    (void)written; /* full: it is readable already */
}

static void on_signal(int number)
{
    int saved = errno;

    atomic_store(&signal_number, number);
    tool_stop_request();
    errno = saved;
}

void tool_stop_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return; /* without it, signals do what they do by themselves */
    }
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool tool_stop_asked(void)
{
    return atomic_load(&asked);
}

int tool_stop_descriptor(void)
{
    return pipe_ends[0];
}

int tool_stop_exit_code(int code)
{
    int number = atomic_load(&signal_number);

    return number != 0 ? 128 + number : code;
}
