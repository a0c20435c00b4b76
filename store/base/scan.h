/*
 * Looking at many bytes at once. With SSE2, 16 of them; what a machine without it does is next to it,
 * under the same name with _portable, and the tests hold the two against each other. No byte outside of
 * what is given is ever read.
 */
#ifndef EHI_BASE_SCAN_H
#define EHI_BASE_SCAN_H

#include "base/bytes.h"

#if defined(__SSE2__) && !defined(EHI_SCAN_PORTABLE)
#include <emmintrin.h>
#define EHI_SCAN_SSE2 1
#else
#define EHI_SCAN_SSE2 0
#endif

/* Eight bytes, in the order of this machine. */
static inline uint64_t ehi_load8(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t ehi_load4(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

#if EHI_SCAN_SSE2
static inline __m128i ehi_load16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* 16 bytes or more. */
static inline bool ehi_same_many(const uint8_t *a, const uint8_t *b, size_t n)
{
    __m128i same = _mm_cmpeq_epi8(ehi_load16(a + n - 16), ehi_load16(b + n - 16));
    for (size_t i = 0; i + 16 < n; i += 16)
        same = _mm_and_si128(same, _mm_cmpeq_epi8(ehi_load16(a + i), ehi_load16(b + i)));
    return _mm_movemask_epi8(same) == 0xffff;
}
#endif

/* As memcmp == 0, for the few bytes of a name: the call costs more than the words do. */
static inline bool ehi_same_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
#if EHI_SCAN_SSE2
    if (n >= 16)
        return ehi_same_many(a, b, n);
#endif
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) {
            if (ehi_load8(a + i) != ehi_load8(b + i))
                return false;
        }
        return ehi_load8(a + n - 8) == ehi_load8(b + n - 8);
    }
    if (n >= 4)
        return ehi_load4(a) == ehi_load4(b) && ehi_load4(a + n - 4) == ehi_load4(b + n - 4);
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i])
            return false;
    }
    return true;
}

/*
 * A high bit is set where a byte is 00 or 80 and above; and maybe where it is above a 00, from which
 * the subtraction borrows.
 */
static inline uint64_t ehi_not_plain8(uint64_t v)
{
    return (v | (v - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080);
}

/* All of the bytes are 01 to 7f: ASCII without NUL. */
static inline bool ehi_plain_text_portable(const uint8_t *p, size_t n)
{
    uint64_t wrong = 0;
    size_t i = 0;
    for (; n - i >= 8; i += 8)
        wrong |= ehi_not_plain8(ehi_load8(p + i));
    for (; i < n; i++)
        wrong |= p[i] == 0 || p[i] > 0x7f;
    return wrong == 0;
}

/* A word that overlaps the one before it does for what is left. */
static inline bool ehi_plain_few(const uint8_t *p, size_t n)
{
    if (n >= 8)
        return (ehi_not_plain8(ehi_load8(p)) | ehi_not_plain8(ehi_load8(p + n - 8))) == 0;
    if (n >= 4)
        return ehi_not_plain8((uint64_t)ehi_load4(p) << 32 | ehi_load4(p + n - 4)) == 0;
    return ehi_plain_text_portable(p, n);
}

#if EHI_SCAN_SSE2
static inline bool ehi_plain_text(const uint8_t *p, size_t n)
{
    if (n < 16)
        return ehi_plain_few(p, n);
    const __m128i zero = _mm_setzero_si128();
    __m128i v = ehi_load16(p + n - 16);
    __m128i wrong = _mm_or_si128(v, _mm_cmpeq_epi8(v, zero));
    for (size_t i = 0; i + 16 < n; i += 16) {
        v = ehi_load16(p + i);
        wrong = _mm_or_si128(wrong, _mm_or_si128(v, _mm_cmpeq_epi8(v, zero)));
    }
    return _mm_movemask_epi8(wrong) == 0;
}
#else
static inline bool ehi_plain_text(const uint8_t *p, size_t n)
{
    return n < 16 ? ehi_plain_few(p, n) : ehi_plain_text_portable(p, n);
}
#endif

/* Bytes that stand for themselves in a JSON string: ASCII from 20 on, without quote and backslash. */
static inline bool ehi_json_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* How many of them come first. */
static inline size_t ehi_json_run_portable(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && ehi_json_plain(p[i]))
        i++;
    return i;
}

#if EHI_SCAN_SSE2
static inline size_t ehi_json_run(const uint8_t *p, size_t n)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        __m128i v = ehi_load16(p + i);
        /* As signed bytes, 80 and above are less than a space, too. */
        __m128i wrong =
            _mm_or_si128(_mm_cmplt_epi8(v, space),
                         _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(wrong);
        if (mask != 0)
            return i + (size_t)__builtin_ctz(mask);
    }
    return i + ehi_json_run_portable(p + i, n - i);
}
#else
static inline size_t ehi_json_run(const uint8_t *p, size_t n)
{
    return ehi_json_run_portable(p, n);
}
#endif

/* Digits, one to each of the eight bytes. */
static inline bool ehi_digits8(uint64_t v)
{
    return ((v & UINT64_C(0xf0f0f0f0f0f0f0f0)) |
            (((v + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4)) ==
           UINT64_C(0x3333333333333333);
}

#endif
