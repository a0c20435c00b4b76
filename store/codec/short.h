/*
 * Names and ids of 1 to 63 characters in fewer bytes, for the index.
 *
 * short  = head, bytes. Head: 64 x coding + length of the text.
 *          Coding 0: the text. 1: 6 bits a character, the low ones first, of A-Z a-z 0-9 _ -. 2: up to 19 digits as a number,
 *          little-endian, in as many bytes as the largest of so many digits needs.
 */
#ifndef EHI_CODEC_SHORT_H
#define EHI_CODEC_SHORT_H

#include "base/bytes.h"

enum { EHI_SHORT_MOST = 63, EHI_SHORT_BYTES = 1 + EHI_SHORT_MOST, EHI_SHORT_OVER = 7 };

/* One that stands somewhere: borrows from there. */
struct ehi_short {
    unsigned coding;
    size_t length; /* of the text */
    const uint8_t *bytes;
};

/* Writes a text of 1 to EHI_SHORT_MOST bytes; where it ends. */
uint8_t *ehi_short_put(uint8_t *to, struct ehi_slice text);
/* Takes one off the front. false: there is none, or more in it than what is left. */
bool ehi_short_take(struct ehi_slice *rest, struct ehi_short *out);
/* Its text, from->length bytes; where it ends. Up to EHI_SHORT_OVER bytes behind that are written over. */
uint8_t *ehi_short_get(uint8_t *to, const struct ehi_short *from);

/* A number as so many digits, with zeros in front; what does not fit is left out. */
void ehi_digits(uint8_t *to, uint64_t number, size_t length);
size_t ehi_digit_count(uint64_t number);

#endif
