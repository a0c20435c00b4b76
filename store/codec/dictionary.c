#include "codec/dictionary.h"

#include "base/scan.h"

#include <assert.h>

#define NAME_ROW(number, name) [number] = EHI_SLICE_LITERAL(#name),
static const struct ehi_slice names[] = {{NULL, 0}, EHI_DICTIONARY(NAME_ROW)};

static_assert(sizeof(names) / sizeof(names[0]) == EHI_KEY_COUNT + 1, "EHI_KEY_COUNT");
static_assert(EHI_KEY_COUNT < 256, "a slot is a byte");

enum { SLOT_BITS = 9, SLOT_COUNT = 1 << SLOT_BITS };

/*
 * The names' numbers by slot_of, each in its slot or one of the next; 0 ends a run. Follows from
 * the list above and from slot_of (the multiplier was searched for: no name is more than two slots
 * off). The test of the dictionary says what it must be where it is not that.
 */
static const uint8_t slots[SLOT_COUNT] = {
    /* clang-format off */
    119, 155, 0, 28, 0, 0, 60, 0, 0, 2, 167, 110, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 81, 0, 0, 163, 126, 0, 0, 0,
    156, 0, 49, 148, 0, 0, 0, 0, 0, 175, 0, 0, 0, 109, 76, 0,
    0, 0, 116, 99, 0, 0, 0, 0, 154, 0, 0, 140, 63, 0, 0, 24,
    0, 133, 0, 0, 0, 0, 70, 0, 171, 129, 0, 19, 0, 182, 0, 0,
    139, 0, 59, 42, 0, 16, 0, 0, 0, 0, 144, 98, 169, 178, 179, 123,
    0, 168, 0, 0, 0, 0, 33, 96, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 105, 52, 0, 15, 69, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 111, 0, 0, 46, 134, 172,
    160, 0, 0, 0, 40, 107, 0, 18, 0, 0, 165, 55, 0, 0, 0, 0,
    0, 0, 136, 0, 101, 0, 100, 0, 14, 161, 0, 0, 0, 186, 97, 0,
    38, 174, 0, 3, 0, 21, 84, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    173, 187, 58, 0, 135, 9, 87, 0, 92, 54, 114, 0, 0, 0, 51, 0,
    137, 0, 102, 47, 0, 0, 0, 0, 149, 0, 0, 29, 170, 0, 176, 0,
    0, 0, 0, 183, 0, 0, 0, 0, 23, 0, 0, 143, 0, 112, 0, 0,
    0, 0, 31, 0, 35, 0, 0, 0, 0, 48, 65, 0, 0, 0, 0, 0,
    0, 0, 0, 117, 177, 0, 8, 4, 0, 0, 39, 0, 0, 82, 0, 0,
    0, 0, 0, 0, 159, 0, 0, 32, 106, 20, 0, 0, 0, 0, 0, 121,
    17, 0, 67, 0, 72, 115, 0, 0, 118, 0, 0, 142, 62, 0, 0, 44,
    166, 0, 0, 0, 0, 0, 0, 0, 108, 50, 0, 0, 0, 113, 0, 0,
    131, 0, 0, 0, 150, 66, 181, 0, 0, 0, 0, 130, 147, 188, 0, 0,
    162, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 5,
    45, 153, 0, 0, 93, 0, 0, 184, 68, 0, 157, 88, 0, 0, 0, 0,
    132, 0, 120, 0, 90, 53, 64, 22, 0, 127, 0, 103, 0, 75, 0, 10,
    0, 0, 0, 0, 0, 0, 27, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    125, 0, 0, 0, 89, 158, 95, 104, 94, 0, 0, 0, 0, 0, 145, 7,
    0, 0, 6, 71, 13, 78, 0, 0, 152, 43, 0, 36, 37, 0, 0, 0,
    0, 0, 0, 0, 61, 91, 0, 0, 0, 0, 180, 0, 0, 0, 0, 0,
    0, 138, 56, 0, 0, 83, 146, 0, 0, 0, 57, 0, 141, 0, 0, 0,
    0, 0, 74, 0, 73, 80, 122, 0, 0, 41, 0, 26, 0, 0, 0, 0,
    0, 77, 0, 0, 0, 151, 0, 0, 0, 0, 185, 0, 0, 0, 25, 0,
    128, 0, 0, 0, 0, 85, 30, 79, 164, 0, 1, 86, 124, 12, 0, 34,
    /* clang-format on */
};

static unsigned slot_of(struct ehi_slice name)
{
    const uint8_t *p = name.data;
    size_t n = name.length;
    uint32_t v = (uint32_t)(n & 0xff) | (uint32_t)p[0] << 8 | (uint32_t)p[n / 2] << 16 |
                 (uint32_t)p[n - 1] << 24;
    return v * UINT32_C(0x3ad22625) >> (32 - SLOT_BITS);
}

int ehi_key_number(struct ehi_slice name)
{
    if (name.length == 0)
        return EHI_KEY_UNKNOWN;
    for (unsigned slot = slot_of(name);; slot = (slot + 1) % SLOT_COUNT) {
        int number = slots[slot];
        if (number == 0 || (names[number].length == name.length &&
                            ehi_same_bytes(names[number].data, name.data, name.length)))
            return number;
    }
}

struct ehi_slice ehi_key_name(int number)
{
    return names[number];
}
