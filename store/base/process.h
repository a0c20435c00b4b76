/* Which process this is. */
#ifndef EHI_BASE_PROCESS_H
#define EHI_BASE_PROCESS_H

#include <sys/types.h>

/* getpid without asking the kernel each time. Right also in a child, however it was forked. */
pid_t ehi_process_id(void);

#endif
