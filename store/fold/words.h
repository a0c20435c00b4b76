/*
 * Two numbers that all processes share which have a store open, in STORE/acknowledged, mapped. They say how far the log goes
 * that was acknowledged, so that whoever reads the index knows whether it is behind; and when somebody last found it
 * so. They are no part of what is stored: whoever opens the store sets them anew, and one that is too large costs a look.
 */
#ifndef EHI_FOLD_WORDS_H
#define EHI_FOLD_WORDS_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ehi_words {
    _Atomic uint64_t next_seq; /* events before it were acknowledged */
    _Atomic int64_t wanted_us; /* on the steady clock */
};

/*
 * Under the writers' lock, where it is to be written. *out NULL: there is none to be had; else *fd is the file, the caller's to close: a lock on
 * it (flock) is held by who puts what was handed over. IO.
 */
int ehi_words_open(int dir_fd, const char *path, bool write, struct ehi_words **out, int *fd,
                   struct ecshist_error *error) ECSHIST_CHECKED;
void ehi_words_close(struct ehi_words *words);

#endif
