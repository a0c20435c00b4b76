/*
 * Documents: MessagePack as stored, and values. Known member names are small integers
 * (docs/FORMAT.md).
 */
#ifndef EHI_CODEC_DOCUMENT_H
#define EHI_CODEC_DOCUMENT_H

#include "base/arena.h"
#include "base/error.h"
#include "model/value.h"

/* Packs a value. LIMIT: nesting. */
int ehi_document_encode(const struct ehi_value *value, struct ehi_buffer *out,
                        struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * Reads one whole document; strings and names borrow from it (or are static). DAMAGED where it is
 * not well-formed.
 */
int ehi_document_decode(struct ehi_slice document, struct ehi_arena *arena, struct ehi_value *out,
                        struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * One well-formed document, nothing behind it, UTF-8 strings without NUL, nesting and counts within
 * bounds.
 */
bool ehi_document_valid(struct ehi_slice document);

#endif
