/* What the machine says of time and of its own boot. */
#ifndef EHI_BASE_CLOCK_H
#define EHI_BASE_CLOCK_H

#include <ecshist/export.h>
#include <stdbool.h>
#include <stdint.h>

/* Microseconds since the epoch, never negative. */
int64_t ehi_clock_now_us(void);
/* Microseconds since some moment; only ever goes on. */
int64_t ehi_clock_steady_us(void);
/* The kernel's boot id. Zeros, and false, where the machine does not tell it. */
bool ehi_boot_id(uint8_t out[16]);
/* Random bytes from the kernel. false where there are none. */
bool ehi_random(void *out, unsigned long length) ECSHIST_CHECKED;

#endif
