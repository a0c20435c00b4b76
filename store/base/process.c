#include "base/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* The id stands in a page that the kernel gives to a child empty; NULL where it cannot. */
static _Atomic pid_t *kept;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make_page(void)
{
#ifdef MADV_WIPEONFORK
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, bytes, MADV_WIPEONFORK) == 0)
        kept = page;
    else
        (void)munmap(page, bytes);
#endif
}

pid_t ehi_process_id(void)
{
    (void)pthread_once(&made, make_page);
    if (kept == NULL)
        return getpid();
    pid_t id = atomic_load_explicit(kept, memory_order_relaxed);
    if (id == 0) {
        id = getpid();
        atomic_store_explicit(kept, id, memory_order_relaxed);
    }
    return id;
}
