#include "fold/thread.h"

#include <signal.h>
#include <stddef.h>

bool ehi_thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&all, own[i]);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    bool started = pthread_create(thread, NULL, run, context) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

bool ehi_thread_has_room(void)
{
    cpu_set_t now;
    return sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_COUNT(&now) > 1;
}

/* The kernel gives what was set as far as the process may use it. More than that: somebody else has set it. Less: the process may use less. */
static void note_allowed(struct ehi_cpus *cpus, const cpu_set_t *now)
{
    cpu_set_t both;
    CPU_AND(&both, now, &cpus->set);
    if (cpus->any && CPU_EQUAL(now, &cpus->set))
        return;
    bool less = cpus->any && CPU_EQUAL(now, &both);
    cpus->allowed = *now;
    if (less)
        CPU_SET(cpus->off, &cpus->allowed);
}

void ehi_thread_keep_off(struct ehi_cpus *cpus, int cpu)
{
    cpu_set_t now;
    if (cpu < 0 || cpu >= CPU_SETSIZE || (cpus->any && cpus->off == cpu) ||
        sched_getaffinity(0, sizeof(now), &now) != 0)
        return;
    note_allowed(cpus, &now);
    cpus->set = cpus->allowed;
    CPU_CLR(cpu, &cpus->set);
    if (CPU_COUNT(&cpus->set) == 0)
        cpus->set = cpus->allowed;
    cpus->any = sched_setaffinity(0, sizeof(cpus->set), &cpus->set) == 0;
    cpus->off = cpu;
}
