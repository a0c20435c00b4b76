/*
 * Faults on demand. The shim stands before malloc and before every system call that the store, LMDB
 * and jansson make, and has the one that it is told to fail; all others go through. Only what is
 * called between shim_arm and shim_disarm is counted. One thread at a time.
 *
 *   shim.c         when to strike
 *   shim_memory.c  malloc and its kin
 *   shim_calls.c   system calls
 */
#ifndef TESTS_FAULTS_SHIM_H
#define TESTS_FAULTS_SHIM_H

#include <stdbool.h>
#include <stddef.h>

/* X(class, name): what a call is made to do. */
#define SHIM_CLASSES(X)                                                                            \
    X(MEMORY, "memory") /* malloc and its kin give NULL */                                         \
    X(EIO, "eio")       /* every call fails: a disk that is broken */                              \
    X(ENOSPC, "enospc") /* what may need room on the disk fails */                                 \
    X(LIMIT, "limit")   /* opening: EMFILE, mapping: ENOMEM */                                     \
    X(EINTR, "eintr")   /* what may be interrupted is, and works when it is called again */        \
    X(SHORT, "short")   /* reads and writes of half the bytes asked for */

enum shim_class {
#define SHIM_CLASS_ENUM(class, name) SHIM_##class,
    SHIM_CLASSES(SHIM_CLASS_ENUM)
#undef SHIM_CLASS_ENUM
        SHIM_CLASS_COUNT
};
extern const char *const shim_class_names[SHIM_CLASS_COUNT];

enum { SHIM_DEPTH = 24, SHIM_FAILURES = 4 };

/* What happened since shim_arm. */
struct shim_report {
    unsigned long struck;        /* faults given */
    int failures[SHIM_FAILURES]; /* errno that was given, each once; 0: no more */
    const char *call;            /* its name */
    char file[64];               /* the last part of the name of the file it was about, or "" */
    bool by_lmdb;                /* LMDB made one of them */
    bool of_removal;             /* it would have removed something, or opened it to do so */
    bool frame_begun;            /* a frame was written to the log, or that was tried */
    void *where[SHIM_DEPTH];
    int depth;
};

/*
 * The call number `at` (1, 2, …) of those that the class is about fails; forever: all after it too.
 * For EINTR and SHORT that is every other one, and LMDB's are left out: it does not go on after
 * either.
 */
void shim_arm(enum shim_class class, unsigned long at, bool forever);
/* Ends it. */
struct shim_report shim_disarm(void);

/* Blocks of memory that are allocated now. Under ASan always 0: there LeakSanitizer counts. */
long shim_live_blocks(void);
/* Has all memory of this process come through the shim, where that needs telling (ASan). */
void shim_start(void);

/* What the harness is shown to notice. */
enum shim_lie {
    SHIM_HONEST,
    SHIM_DROP_FRAMES /* a frame's write and its flush say that they succeeded; nothing is written */
};
extern enum shim_lie shim_lie;

/* -- between the shim's files -- */

/* This call is one that is to fail. `file`: a descriptor, or -1; name: of a file, or NULL. */
bool shim_strikes(enum shim_class class, const char *call, int fd, const char *name,
                  const void *caller);
extern bool shim_armed;
extern enum shim_class shim_class_armed;
void shim_note_failure(int failure);
void shim_note_frame(void);
void shim_note_removal(void);
/* A directory is being opened to be listed: what is in it may be about to be removed. */
extern bool shim_in_listing;
/* The address is in LMDB's code. */
bool shim_is_lmdb(const void *caller);

#endif
