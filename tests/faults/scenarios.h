/*
 * What is done while calls fail: a table of operations of the public API, each on a store of its own
 * that was made before. To add one: a row in scenarios.c.
 */
#ifndef TESTS_FAULTS_SCENARIOS_H
#define TESTS_FAULTS_SCENARIOS_H

#include <ecshist/ecshist.h>

enum { WORLD_TEXTS = 512, WORLD_EVENTS = 128 };

/* What a run works on. All of it is gone after world_end. */
struct world {
    char *dir;  /* the store's directory is the only thing in it */
    char *path; /* of the store */
    ecshist_store *store;
    ecshist_event *events[WORLD_EVENTS]; /* to be appended */
    struct ecshist_append_result results[WORLD_EVENTS];
    size_t event_count;
    char *texts[WORLD_TEXTS]; /* answers: ecshist_free */
    size_t text_count;
    bool touched; /* an output was, by a call that failed */
    const struct scenario *scenario;
};

struct scenario {
    const char *name;
    const char *base; /* a row of bases[], whose store is there before; NULL: none is */
    /* May be NULL. Nothing fails in it. */
    void (*prepare)(struct world *w);
    /*
     * The operation. Calls fail in it. Its code is the return; outputs go to w. It can be done again
     * on the same world, whether it failed or not.
     */
    int (*run)(struct world *w, struct ecshist_error *error);
    unsigned flags; /* for run: of the append, of the open */
    int code;       /* that it gives when nothing fails */
    bool holds;     /* the index is written behind the log (fold/behind.h), else at each append */
    /* An append: its results are compared, and an outcome may be unknown. */
    bool appends;
    /*
     * What else must hold, beyond that all the store holds is what it should be. May be NULL. The
     * store is closed.
     */
    void (*check)(struct world *w);
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* Stores that scenarios begin with. */
struct base {
    const char *name;
    void (*make)(const char *path);
};
extern const struct base bases[];
extern const size_t base_count;

/* Opens w->path as the scenarios do: small segments, a clock that stands. */
int world_open(struct world *w, unsigned flags, ecshist_store **out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Frees answers, forgets results. */
void world_clean(struct world *w);
/* Answers and results of the last run as one text. Yours: free. */
char *world_tell(const struct world *w);
/* Closes and frees everything. */
void world_end(struct world *w);

#endif
