#include "codec/short.h"

enum coding { PLAIN, SIX_BITS, DIGITS };
enum { MOST_DIGITS = 19 };

/* What the number of so many digits, and the text of so many characters, takes. */
static size_t digits_bytes(size_t length)
{
    static const uint8_t bytes[MOST_DIGITS + 1] = {0, 1, 1, 2, 2, 3, 3, 3, 4, 4,
                                                   5, 5, 5, 6, 6, 7, 7, 8, 8, 8};
    return bytes[length];
}

static size_t six_bits_bytes(size_t length)
{
    return (length * 6 + 7) / 8;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The place of a character among the letters; 64: it is none. */
static unsigned place_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return 26u + c - 'a';
    if (is_digit(c))
        return 52u + c - '0';
    return c == '_' ? 62 : c == '-' ? 63 : 64;
}

static enum coding coding_of(struct ehi_slice id)
{
    enum coding coding = id.length <= MOST_DIGITS ? DIGITS : SIX_BITS;
    for (size_t i = 0; i < id.length; i++) {
        if (coding == DIGITS && !is_digit(id.data[i]))
            coding = SIX_BITS;
        if (place_of(id.data[i]) == 64)
            return PLAIN;
    }
    return coding;
}

static void put_digits(uint8_t *to, struct ehi_slice id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < id.length; i++)
        number = number * 10 + (unsigned)(id.data[i] - '0');
    for (size_t i = 0; i < digits_bytes(id.length); i++, number >>= 8)
        to[i] = (uint8_t)number;
}

static void put_six_bits(uint8_t *to, struct ehi_slice id)
{
    unsigned bits = 0, count = 0;
    for (size_t i = 0; i < id.length; i++) {
        bits |= place_of(id.data[i]) << count;
        count += 6;
        for (; count >= 8; count -= 8, bits >>= 8)
            *to++ = (uint8_t)bits;
    }
    if (count > 0)
        *to = (uint8_t)bits;
}

uint8_t *ehi_short_put(uint8_t *to, struct ehi_slice text)
{
    enum coding coding = coding_of(text);
    *to++ = (uint8_t)((unsigned)coding << 6 | text.length);
    if (coding == PLAIN) {
        memcpy(to, text.data, text.length);
        return to + text.length;
    }
    if (coding == DIGITS) {
        put_digits(to, text);
        return to + digits_bytes(text.length);
    }
    put_six_bits(to, text);
    return to + six_bits_bytes(text.length);
}

bool ehi_short_take(struct ehi_slice *rest, struct ehi_short *out)
{
    if (rest->length == 0)
        return false;
    out->coding = rest->data[0] >> 6;
    out->length = rest->data[0] & EHI_SHORT_MOST;
    out->bytes = rest->data + 1;
    if (out->length == 0 || out->coding > DIGITS ||
        (out->coding == DIGITS && out->length > MOST_DIGITS))
        return false;
    size_t bytes = out->coding == PLAIN      ? out->length
                   : out->coding == SIX_BITS ? six_bits_bytes(out->length)
                                             : digits_bytes(out->length);
    if (bytes > rest->length - 1)
        return false;
    *rest = ehi_slice(out->bytes + bytes, rest->length - 1 - bytes);
    return true;
}

/* Every byte of a word the same. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* A number below 10^8 as eight digits, the first one in the lowest byte: halves, then quarters, then digits side by side. */
static inline uint64_t eight_digits(uint32_t number)
{
    uint64_t halves = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t tops = halves * 10486 >> 20 & UINT64_C(0x0000007f0000007f);
    uint64_t quarters = tops | (halves - tops * 100) << 16;
    uint64_t tens = quarters * 103 >> 10 & UINT64_C(0x000f000f000f000f);
    return (tens | (quarters - tens * 10) << 8) + EACH('0');
}

void ehi_digits(uint8_t *to, uint64_t number, size_t length)
{
    for (; length >= 8; length -= 8, number /= 100000000)
        ehi_put_le64(to + length - 8, eight_digits((uint32_t)(number % 100000000)));
    if (length == 0)
        return;
    uint64_t digits = eight_digits((uint32_t)(number % 100000000)) >> (64 - 8 * length);
    for (size_t i = 0; i < length; i++, digits >>= 8)
        to[i] = (uint8_t)digits;
}

size_t ehi_digit_count(uint64_t number)
{
    static const uint64_t powers[] = {1,
                                      10,
                                      100,
                                      1000,
                                      10000,
                                      100000,
                                      1000000,
                                      10000000,
                                      100000000,
                                      1000000000,
                                      10000000000,
                                      100000000000,
                                      1000000000000,
                                      10000000000000,
                                      100000000000000,
                                      1000000000000000,
                                      10000000000000000,
                                      100000000000000000,
                                      1000000000000000000,
                                      UINT64_C(10000000000000000000)};
    /* log10 is some 1233/4096 of log2: right, or one too many. */
    size_t about = (size_t)(64 - __builtin_clzll(number | 1)) * 1233 >> 12;
    return about + ((number | 1) >= powers[about]);
}

/* What does not fit into so many digits loses its front ones: it was not written so. */
static void get_digits(uint8_t *to, const struct ehi_short *from)
{
    uint64_t number = 0;
    for (size_t i = digits_bytes(from->length); i > 0; i--)
        number = number << 8 | from->bytes[i - 1];
    ehi_digits(to, number, from->length);
}

/* 48 bits as eight bytes of six: halves apart, quarters apart, eighths apart. */
static inline uint64_t spread(uint64_t bits)
{
    bits = (bits & UINT64_C(0xffffff)) | (bits & UINT64_C(0xffffff000000)) << 8;
    bits = (bits & UINT64_C(0x00000fff00000fff)) | (bits & UINT64_C(0x00fff00000fff000)) << 4;
    return (bits & UINT64_C(0x003f003f003f003f)) | (bits & UINT64_C(0x0fc00fc00fc00fc0)) << 2;
}

/* 1 in each byte that is not below `least`; bytes are below 64. */
static inline uint64_t not_below(uint64_t bytes, unsigned least)
{
    return (bytes + EACH(0x80 - least)) >> 7 & EACH(1);
}

/* Eight places among the letters as the letters: all that is added before what is taken away, so that no byte borrows. */
static inline uint64_t letters_of(uint64_t places)
{
    uint64_t lower = not_below(places, 26), digit = not_below(places, 52),
             line = not_below(places, 62), dash = not_below(places, 63);
    return places + EACH('A') + lower * ('a' - 26 - 'A') + line * 37 - digit * 75 - dash * 51;
}

/* Up to six bytes, the last ones of what began at `start`: at once, where that is long enough. */
static inline uint64_t last_bytes(const uint8_t *start, const uint8_t *p, size_t count)
{
    if (p + count >= start + 8)
        return ehi_get_le64(p + count - 8) >> (64 - 8 * count);
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= (uint64_t)p[i] << (8 * i);
    return bits;
}

/* Eight characters are six bytes. What is over of the last eight is written, too. */
static void get_six_bits(uint8_t *to, const struct ehi_short *from)
{
    const uint8_t *p = from->bytes;
    size_t left = from->length;
    for (; left >= 8; left -= 8, p += 6, to += 8)
        ehi_put_le64(to, letters_of(spread(ehi_get_le32(p) | (uint64_t)ehi_get_le16(p + 4) << 32)));
    if (left > 0)
        ehi_put_le64(to, letters_of(spread(last_bytes(from->bytes, p, six_bits_bytes(left)))));
}

uint8_t *ehi_short_get(uint8_t *to, const struct ehi_short *from)
{
    if (from->coding == DIGITS)
        get_digits(to, from);
    else if (from->coding == SIX_BITS)
        get_six_bits(to, from);
    else
        memcpy(to, from->bytes, from->length);
    return to + from->length;
}
