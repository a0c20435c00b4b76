/*
 * Codes and errors. Every function that can fail returns a code (0 is success) and fills a
 * caller-owned struct ecshist_error where one is given.
 */
#ifndef ECSHIST_ERROR_H
#define ECSHIST_ERROR_H

#include <ecshist/export.h>
#include <stddef.h>
#include <stdint.h>

/*
 * X(name, number, ECS's word or "", sentence). The numbers are stable: one is never given a new
 * meaning. The words of the third column are error shapes of the ECS API.
 */
#define ECSHIST_CODES(X)                                                                           \
    X(OK, 0, "", "success")                                                                        \
    X(INVALID, 1, "InvalidParameterException", "a parameter or an event is not valid")             \
    X(CONFLICT, 2, "ConflictException", "the event does not fit its subject's history")            \
    X(NOT_FOUND, 3, "ServiceDeploymentNotFoundException", "there is no such subject")              \
    X(CLUSTER_NOT_FOUND, 4, "ClusterNotFoundException", "there is no such cluster")                \
    X(SERVICE_NOT_FOUND, 5, "ServiceNotFoundException", "there is no such service")                \
    X(AMBIGUOUS, 6, "InvalidParameterException", "a name stands for more than one resource")       \
    X(LIMIT, 7, "InvalidParameterException", "a bound is exceeded")                                \
    X(NO_STORE, 8, "", "there is no store at this path")                                           \
    X(EXISTS, 9, "", "there is something at this path already")                                    \
    X(FORMAT, 10, "", "not a store, or one of a format this library does not read")                \
    X(DAMAGED, 11, "", "the log is damaged")                                                       \
    X(IO, 12, "", "an input or output operation failed")                                           \
    X(NO_MEMORY, 13, "", "out of memory")                                                          \
    X(OUTCOME_UNKNOWN, 14, "", "a write or flush failed: the append may or may not be durable")    \
    X(READ_ONLY, 15, "", "the store was opened read-only")                                         \
    X(MISUSE, 16, "", "the call is not allowed here")                                              \
    X(END, 17, "", "there is nothing more (yet)")                                                  \
    X(INDEX, 18, "", "the index failed")                                                           \
    X(FULL, 19, "", "the index's map is full")                                                     \
    X(BUSY, 20, "", "another process is at such work")

typedef enum ecshist_code {
#define ECSHIST_CODE_ENUM(name, number, word, sentence) ECSHIST_##name = (number),
    ECSHIST_CODES(ECSHIST_CODE_ENUM)
#undef ECSHIST_CODE_ENUM
} ecshist_code;

/*
 * What went wrong. Yours: on the stack will do, nothing in it is allocated, any function may be
 * given NULL instead. Filled on failure only. One thread at a time.
 */
struct ecshist_error {
    size_t size;        /* of this struct, set by the INIT macro */
    int code;           /* an ecshist_code */
    int system_errno;   /* errno where a system call failed, else 0 */
    uint64_t seq;       /* the event concerned, 0 where there is none */
    size_t event_index; /* in a batch: which of its events, from 0; SIZE_MAX where there is none */
    char place[256];    /* a member ("serviceRevisions[1].arn"), a file and offset, or "" */
    char message[512];  /* one sentence, no full stop, no newline */
};

#define ECSHIST_ERROR_INIT                                                                         \
    {                                                                                              \
        sizeof(struct ecshist_error), 0, 0, 0, (size_t)-1, {0},                                    \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

ECSHIST_BEGIN

/* The name of a code ("CONFLICT"), "UNKNOWN" for no code of ours. A static string. Thread-safe. */
ECSHIST_API const char *ecshist_code_name(int code);
/* The ECS API's error shape for a code ("ConflictException"), "" where it has none. Thread-safe. */
ECSHIST_API const char *ecshist_code_ecs_name(int code);
/* What a code means, as a sentence. A static string. Thread-safe. */
ECSHIST_API const char *ecshist_code_sentence(int code);

ECSHIST_END_DECLS

#endif
