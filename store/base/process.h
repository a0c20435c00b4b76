/* Which process this is, without asking the kernel each time. */
#ifndef EHI_BASE_PROCESS_H
#define EHI_BASE_PROCESS_H

#include <sys/types.h>

/* As getpid. In a forked child, however it was made, it is the child's. Thread-safe. */
pid_t ehi_process_id(void);

#endif
