/*
 * Files and directories that only their owner may use, 0600 and 0700 whatever the umask is: a umask can take
 * bits away, even the owner's own. Never through a symlink; never left open across exec.
 */
#ifndef EHI_BASE_PRIVATE_H
#define EHI_BASE_PRIVATE_H

#include <ecshist/export.h>

/*
 * What root makes in a directory of somebody else is given to him: a file that only root can open, in the middle of
 * a store, would lock its owner out.
 */
/* Opens, where flags have O_CREAT makes. Returns the descriptor, or -1 with errno. */
int ehi_private_file(int dir_fd, const char *name, int flags) ECSHIST_CHECKED;
/* Makes a directory, and opens it to read. Returns the descriptor, or -1 with errno (EEXIST). */
int ehi_private_dir(int dir_fd, const char *name) ECSHIST_CHECKED;
/* The same for what stands alone, a store: whoever makes it, has it. */
int ehi_private_top(int dir_fd, const char *name) ECSHIST_CHECKED;

#endif
