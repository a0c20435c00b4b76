/*
 * What a power cut may leave. After a cut, what was synced is there; of the rest any part may be: whole calls, sectors of a
 * write, names of a directory. A rename has happened or it has not.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include "crash/trace.h"

enum variant_kind {
    KEEP_ALL,
    DROP_ALL,
    DROP_ONE, /* the item `which`, of those that were not synced */
    KEEP_ONE,
    KEEP_RANDOM /* by seed: of writes each sector for itself */
};

struct variant {
    enum variant_kind kind;
    size_t which;
    uint64_t seed;
};

struct model;

struct model *model_new(const struct trace *trace);
void model_free(struct model *model);
/* Behind the first `cut` calls: how many items were not synced. All writes to LMDB's file are one. */
size_t model_cut(struct model *model, size_t cut);
/* Builds the state of the cut. Its hash: equal states, equal hashes. */
uint64_t model_build(struct model *model, const struct variant *variant);
/* Writes what was built into an empty directory. */
void model_write(const struct model *model, const char *directory);
/* What the item is, for people. */
void model_describe(const struct model *model, size_t item, char *text, size_t size);

#endif
