/* Threads of the library's own. */
#ifndef EHI_FOLD_THREAD_H
#define EHI_FOLD_THREAD_H

#include <ecshist/export.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

/*
 * Starts one that takes no signals of the process: they are for threads that know what to do with them. What it brings upon itself (a
 * mapped file that was cut, say) is its own. false: there is none to be had.
 */
bool ehi_thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
    ECSHIST_CHECKED;

/* There is a second CPU that this process may use. */
bool ehi_thread_has_room(void);

/* Where such a thread may run. All zero at first. */
struct ehi_cpus {
    cpu_set_t allowed, set;
    bool any; /* that was set */
    int off;
};
/*
 * The calling thread, one of these, is about to work for another, on this CPU, that goes on meanwhile: it keeps off it, where it may
 * run elsewhere. Linux may leave two threads on one CPU for milliseconds, beside one that is idle, if one of them was woken there. What
 * somebody else allows the thread meanwhile is minded.
 */
void ehi_thread_keep_off(struct ehi_cpus *cpus, int cpu);

#endif
