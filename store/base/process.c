#include "base/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The id is kept on a page that the kernel hands to a child zeroed. An atfork handler would not do: it is passed over by
 * _Fork and clone. NULL where the kernel has no such pages.
 */
static _Atomic pid_t *kept;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_page(void)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, bytes, MADV_WIPEONFORK) == 0)
        kept = page;
    else
        (void)munmap(page, bytes);
}

pid_t ehi_process_id(void)
{
    (void)pthread_once(&once, make_page);
    if (kept == NULL)
        return getpid();
    pid_t pid = atomic_load_explicit(kept, memory_order_relaxed);
    if (pid == 0) {
        pid = getpid();
        atomic_store_explicit(kept, pid, memory_order_relaxed);
    }
    return pid;
}
