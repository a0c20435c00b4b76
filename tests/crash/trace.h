/*
 * What a run did to files, call by call: written by the shim (shim.c), which stands in for the C library's calls in this
 * program, LMDB's included; read by the model (model.c). Lives in memory that a forked child shares with its parent.
 */
#ifndef TESTS_CRASH_TRACE_H
#define TESTS_CRASH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_kind {
    TRACE_CREATE, /* a file, `inode`, as `name` in the directory `parent` */
    TRACE_MKDIR,
    TRACE_WRITE,    /* `length` bytes at `offset`; data follows */
    TRACE_TRUNCATE, /* to the size `offset` */
    TRACE_SYNC, /* of a file: what it holds and its size; of a directory: what was done to names in it */
    TRACE_RENAME,   /* `name` of `parent`, which is `inode`, becomes `name2` of `parent2` */
    TRACE_EXCHANGE, /* the two change places; inode2 is the other */
    TRACE_UNLINK,   /* `name` of `parent`; a directory, too */
    TRACE_MARK      /* the script says something: offset is which, length is a number */
};

/* What the script says. */
enum trace_mark {
    MARK_BEGUN,    /* so many events were given to append */
    MARK_ACKED,    /* and so many of them were acknowledged */
    MARK_EXPIRING, /* deployments below this number may go from here on */
    MARK_EXPIRED,  /* and have gone */
    MARK_STEP      /* step number so and so of the script begins */
};

enum { TRACE_NAME = 48 };

struct trace_op {
    enum trace_kind kind;
    uint64_t inode, inode2, parent, parent2;
    uint64_t offset, length;
    uint64_t data; /* where in the trace's bytes */
    char name[TRACE_NAME], name2[TRACE_NAME];
    char file[TRACE_NAME]; /* the name it went by, for people */
};

struct trace {
    uint64_t root; /* inode of the directory that all is in */
    size_t count, bytes;
    bool full;
    struct trace_op *ops;
    uint8_t *data;
};

/* An empty one, in shared memory. */
struct trace *trace_new(void);
/* From here on the calls of this process are recorded, of files in the directory. */
void trace_start(struct trace *trace, const char *directory);
void trace_stop(void);
void trace_mark(enum trace_mark mark, uint64_t number);
/*
 * A sync that is made, and not recorded, as if the store had forgotten it: by the file's name and what
 * there is of it. NULL: none.
 */
void trace_forget_sync(const char *name);

#endif
