/*
 * Verifying: whether everything holds that docs/INVARIANTS.md says of a store. It takes a path, not
 * an open store, so that it works where opening fails; it trusts nothing that it reads, and a
 * damaged store never brings the process down: LMDB, which a damaged page can crash, is used in a
 * forked child only.
 */
#ifndef ECSHIST_VERIFY_H
#define ECSHIST_VERIFY_H

#include <ecshist/error.h>
#include <ecshist/export.h>
#include <ecshist/store.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Flags of ecshist_verify. */
enum {
    /* The physical part only: the log's bytes. Neither the events' meaning nor the index. */
    ECSHIST_VERIFY_QUICK = 1
};

/* Options of ecshist_verify. All zero (the INIT macro) is a good choice. */
struct ecshist_verify_options {
    size_t size;
    unsigned flags;               /* ECSHIST_VERIFY_* */
    uint32_t most_findings;       /* told of each invariant; the rest is counted. 0: 100 */
    ecshist_progress_fn progress; /* may be NULL; return false to stop */
    void *progress_context;
};

#define ECSHIST_VERIFY_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(struct ecshist_verify_options), 0, 0, NULL, NULL                                    \
    }

/* What was found wrong, one thing. Its texts live until the callback returns. */
struct ecshist_finding {
    size_t size;
    const char *invariant; /* the number in docs/INVARIANTS.md: "L3" */
    uint64_t segment;      /* the first seq of the segment it is in; 0: in none */
    uint64_t offset;       /* in that segment's file */
    uint64_t seq;          /* the event concerned; 0: none */
    const char *text;      /* one sentence, no full stop, no newline; may hold text of events */
};

/* Told of each finding as it is made. Return false to stop: the code is END then. */
typedef bool (*ecshist_finding_fn)(void *context, const struct ecshist_finding *finding);

/* What was looked at, and what came of it. */
struct ecshist_verify_result {
    size_t size;
    uint64_t segments, frames, events; /* of the log, as far as they could be read */
    uint64_t subjects;      /* deployments, revisions and services folded; 0 with QUICK */
    uint64_t finding_count; /* all of them, told or not */
    bool events_checked;    /* every event was decoded and folded onto its subject */
    bool index_checked;     /* the index was compared with the log, to its end */
};

#define ECSHIST_VERIFY_RESULT_INIT                                                                 \
    {                                                                                              \
        sizeof(struct ecshist_verify_result), 0, 0, 0, 0, 0, false, false                          \
    }

ECSHIST_BEGIN

/*
 * Verifies the store at `path`. options and on_finding (with its context) may be NULL; result may
 * be NULL, else its size is set (the INIT macro does).
 *
 * Writes nothing (but LMDB's own list of readers) and takes no lock: beside writers, it looks at
 * the log up to where it ended when it was come by, and compares the index as it stands at the
 * beginning with the log up to the event which that index has applied. For as long as it runs, the
 * index keeps the pages that it had. Only where there is no index that could be trusted does it
 * wait, up to two seconds, for whoever has the writers' lock, and look once more. Where the log
 * itself is damaged, the index is not compared with it.
 *
 * Needs about 60 bytes for each event (and as many again while they are sorted), 200 for each
 * deployment, and the events of one deployment at a time, in pieces of 1,000; QUICK needs as much as
 * one frame, and 1 MiB.
 *
 * Returns OK where it ran to its end, whatever it found. Errors: MISUSE, INVALID (unknown flags),
 * NO_STORE, IO (a file cannot be read; or others have the store open, and this user may not write to
 * index/lock.mdb), NO_MEMORY, END (on_finding or progress said stop).
 * Thread-safe; the child is forked from the calling thread.
 */
ECSHIST_API int ecshist_verify(const char *path, const struct ecshist_verify_options *options,
                               ecshist_finding_fn on_finding, void *context,
                               struct ecshist_verify_result *result, struct ecshist_error *error)
    ECSHIST_CHECKED;

ECSHIST_END_DECLS

#endif
