#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void clear(struct ecshist_error *error, int code)
{
    error->code = code;
    error->system_errno = 0;
    error->seq = 0;
    error->event_index = (size_t)-1;
    error->place[0] = '\0';
    error->message[0] = '\0';
}

int ehi_fail(struct ecshist_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    clear(error, code);
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return code;
}

int ehi_fail_errno(struct ecshist_error *error, int code, const char *format, ...)
{
    int saved = errno;
    if (saved == ENOMEM && code == ECSHIST_IO)
        code = ECSHIST_NO_MEMORY;
    if (error == NULL)
        return code;
    clear(error, code);
    error->system_errno = saved;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(error->message))
        snprintf(error->message + n, sizeof(error->message) - (size_t)n, ": %s", strerror(saved));
    errno = saved;
    return code;
}

int ehi_fail_memory(struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_NO_MEMORY, "out of memory");
}

int ehi_at(struct ecshist_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->place, sizeof(error->place), format, args);
    va_end(args);
    return code;
}

#define CODE_ROW(name, number, word, sentence) {number, #name, word, sentence},
static const struct {
    int number;
    const char *name, *word, *sentence;
} codes[] = {ECSHIST_CODES(CODE_ROW)};

static size_t code_row(int code)
{
    size_t count = sizeof(codes) / sizeof(codes[0]);
    for (size_t i = 0; i < count; i++) {
        if (codes[i].number == code)
            return i;
    }
    return count;
}

ECSHIST_API const char *ecshist_code_name(int code)
{
    size_t i = code_row(code);
    return i < sizeof(codes) / sizeof(codes[0]) ? codes[i].name : "UNKNOWN";
}

ECSHIST_API const char *ecshist_code_ecs_name(int code)
{
    size_t i = code_row(code);
    return i < sizeof(codes) / sizeof(codes[0]) ? codes[i].word : "";
}

ECSHIST_API const char *ecshist_code_sentence(int code)
{
    size_t i = code_row(code);
    return i < sizeof(codes) / sizeof(codes[0]) ? codes[i].sentence : "not a code of this library";
}
