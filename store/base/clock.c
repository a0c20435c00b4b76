#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int64_t ehi_clock_now_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < 0)
        return 0;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t ehi_clock_steady_us(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* All of a small file, as far as there is room. */
static size_t read_file(const char *path, char *text, size_t room)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return 0;
    size_t length = 0;
    while (length < room) {
        ssize_t n = read(fd, text + length, room - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    close(fd);
    return length;
}

bool ehi_boot_id(uint8_t out[16])
{
    memset(out, 0, 16);
    char text[64];
    size_t length = read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
    unsigned digits = 0;
    for (size_t i = 0; i < length && digits < 32; i++) {
        int value = hex_digit(text[i]);
        if (value < 0)
            continue;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | value);
        digits++;
    }
    return digits == 32;
}

bool ehi_random(void *out, unsigned long length)
{
    unsigned char *to = out;
    if (length > 256)
        return false;
    while (length > 0) {
        ssize_t n = getrandom(to, length, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        length -= (unsigned long)n;
    }
    return true;
}
