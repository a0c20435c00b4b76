/*
 * index/mark: whether the index's pages can be trusted. It stands beside LMDB's file, not in it,
 * because it must be read before a page that a power cut may have torn is looked at.
 */
#ifndef EHI_FOLD_MARK_H
#define EHI_FOLD_MARK_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum ehi_mark { EHI_MARK_UNTRUSTED = 0, EHI_MARK_CLEAN = 1, EHI_MARK_IN_USE = 2 };

/*
 * CLEAN: synced and unchanged since. IN_USE: written since the machine booted, and by its own file:
 * the page cache has all of it. UNTRUSTED: anything else, no mark included. index_fd: of the
 * index's directory.
 */
enum ehi_mark ehi_mark_read(int index_fd, const uint8_t store_id[16]);
/* Writes the mark and makes it durable. IO. */
int ehi_mark_write(int index_fd, const uint8_t store_id[16], bool clean,
                   struct ecshist_error *error) ECSHIST_CHECKED;

#endif
