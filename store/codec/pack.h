/*
 * Writing MessagePack: msgpack-c's packer onto a growing buffer. Out of memory is kept for
 * ehi_packer_end.
 */
#ifndef EHI_CODEC_PACK_H
#define EHI_CODEC_PACK_H

#include "base/bytes.h"
#include "base/error.h"
#include "model/value.h"

#include <msgpack.h>

struct ehi_packer {
    msgpack_packer msgpack;
    struct ehi_buffer *out;
    bool failed;
};

/* Appends to `out`. */
void ehi_packer_begin(struct ehi_packer *packer, struct ehi_buffer *out);
/* ECSHIST_OK, or ECSHIST_NO_MEMORY where anything did not fit. */
int ehi_packer_end(const struct ehi_packer *packer) ECSHIST_CHECKED;

void ehi_pack_nil(struct ehi_packer *packer);
void ehi_pack_bool(struct ehi_packer *packer, bool boolean);
void ehi_pack_int(struct ehi_packer *packer, int64_t integer);
void ehi_pack_real(struct ehi_packer *packer, double real);
void ehi_pack_text(struct ehi_packer *packer, struct ehi_slice text);
/* One text of several parts. */
void ehi_pack_text_parts(struct ehi_packer *packer, const struct ehi_slice *parts, size_t count);
void ehi_pack_array(struct ehi_packer *packer, uint32_t count);
void ehi_pack_map(struct ehi_packer *packer, uint32_t count);
/* A member's name: its number, where it has one. */
void ehi_pack_key(struct ehi_packer *packer, struct ehi_slice name);
/* MessagePack as it is. */
void ehi_pack_raw(struct ehi_packer *packer, struct ehi_slice bytes);
/*
 * A value with all in it (document.c). LIMIT: nested deeper than nesting_left. INVALID: never
 * stored.
 */
int ehi_pack_value(struct ehi_packer *packer, const struct ehi_value *value, unsigned nesting_left,
                   struct ecshist_error *error) ECSHIST_CHECKED;

#endif
