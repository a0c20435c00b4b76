/* Threads of the library's own. */
#ifndef EHI_FOLD_THREAD_H
#define EHI_FOLD_THREAD_H

#include <ecshist/export.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * Starts one that takes no signals of the process: they are for threads that know what to do with them. What it brings upon itself (a
 * mapped file that was cut, say) is its own. false: there is none to be had.
 */
bool ehi_thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
    ECSHIST_CHECKED;

#endif
