#include "codec/pack.h"

#include "codec/dictionary.h"

#include <ecshist/error.h>

/* Called for every few bytes: most often there is room already. */
static int write_bytes(void *context, const char *bytes, size_t length)
{
    struct ehi_packer *packer = context;
    struct ehi_buffer *out = packer->out;
    if (length > out->capacity - out->length && ehi_buffer_reserve(out, length) != ECSHIST_OK) {
        packer->failed = true;
        return -1;
    }
    memcpy(out->data + out->length, bytes, length);
    out->length += length;
    return 0;
}

void ehi_packer_begin(struct ehi_packer *packer, struct ehi_buffer *out)
{
    msgpack_packer_init(&packer->msgpack, packer, write_bytes);
    packer->out = out;
    packer->failed = false;
}

int ehi_packer_end(const struct ehi_packer *packer)
{
    return packer->failed ? ECSHIST_NO_MEMORY : ECSHIST_OK;
}

/* Room for `length` bytes, and the buffer goes behind them; NULL where memory is out. */
static uint8_t *take_room(struct ehi_packer *packer, size_t length)
{
    struct ehi_buffer *out = packer->out;
    if (length > out->capacity - out->length && ehi_buffer_reserve(out, length) != ECSHIST_OK) {
        packer->failed = true;
        return NULL;
    }
    uint8_t *room = out->data + out->length;
    out->length += length;
    return room;
}

static void put_byte(struct ehi_packer *packer, unsigned byte)
{
    uint8_t *room = take_room(packer, 1);
    if (room != NULL)
        *room = (uint8_t)byte;
}

/* Scalars are written here, byte for byte as msgpack-c would: without its calls back. */

/* A first byte, and `bytes` of a number behind it, the highest first. */
static void put_number(struct ehi_packer *packer, unsigned mark, uint64_t number, unsigned bytes)
{
    uint8_t *room = take_room(packer, 1 + (size_t)bytes);
    if (room == NULL)
        return;
    uint8_t whole[8];
    ehi_put_be64(whole, number);
    room[0] = (uint8_t)mark;
    memcpy(room + 1, whole + 8 - bytes, bytes);
}

void ehi_pack_nil(struct ehi_packer *packer)
{
    put_byte(packer, 0xc0);
}

void ehi_pack_bool(struct ehi_packer *packer, bool boolean)
{
    put_byte(packer, boolean ? 0xc3 : 0xc2);
}

static void put_positive(struct ehi_packer *packer, uint64_t number)
{
    if (number <= UINT8_MAX)
        put_number(packer, 0xcc, number, 1);
    else if (number <= UINT16_MAX)
        put_number(packer, 0xcd, number, 2);
    else if (number <= UINT32_MAX)
        put_number(packer, 0xce, number, 4);
    else
        put_number(packer, 0xcf, number, 8);
}

static void put_negative(struct ehi_packer *packer, int64_t number)
{
    uint64_t bits = (uint64_t)number;
    if (number >= -0x20)
        put_byte(packer, (unsigned)(bits & 0xff));
    else if (number >= INT8_MIN)
        put_number(packer, 0xd0, bits, 1);
    else if (number >= INT16_MIN)
        put_number(packer, 0xd1, bits, 2);
    else if (number >= INT32_MIN)
        put_number(packer, 0xd2, bits, 4);
    else
        put_number(packer, 0xd3, bits, 8);
}

void ehi_pack_int(struct ehi_packer *packer, int64_t integer)
{
    if (integer >= 0 && integer < 0x80)
        put_byte(packer, (unsigned)integer);
    else if (integer >= 0)
        put_positive(packer, (uint64_t)integer);
    else
        put_negative(packer, integer);
}

void ehi_pack_real(struct ehi_packer *packer, double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof(bits));
    put_number(packer, 0xcb, bits, 8);
}

static void put_short_text(struct ehi_packer *packer, struct ehi_slice text)
{
    size_t head = text.length < 0x20 ? 1 : 2;
    uint8_t *room = take_room(packer, head + text.length);
    if (room == NULL)
        return;
    room[0] = head == 1 ? (uint8_t)(0xa0 | text.length) : 0xd9;
    if (head == 2)
        room[1] = (uint8_t)text.length;
    if (text.length != 0)
        memcpy(room + head, text.data, text.length);
}

void ehi_pack_text(struct ehi_packer *packer, struct ehi_slice text)
{
    if (text.length < 0x100) {
        put_short_text(packer, text);
        return;
    }
    msgpack_pack_str(&packer->msgpack, text.length);
    msgpack_pack_str_body(&packer->msgpack, text.data, text.length);
}

void ehi_pack_text_parts(struct ehi_packer *packer, const struct ehi_slice *parts, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += parts[i].length;
    msgpack_pack_str(&packer->msgpack, length);
    for (size_t i = 0; i < count; i++)
        ehi_pack_raw(packer, parts[i]);
}

void ehi_pack_array(struct ehi_packer *packer, uint32_t count)
{
    if (count < 0x10)
        put_byte(packer, 0x90 | count);
    else
        msgpack_pack_array(&packer->msgpack, count);
}

void ehi_pack_map(struct ehi_packer *packer, uint32_t count)
{
    if (count < 0x10)
        put_byte(packer, 0x80 | count);
    else
        msgpack_pack_map(&packer->msgpack, count);
}

void ehi_pack_key(struct ehi_packer *packer, struct ehi_slice name)
{
    int number = ehi_key_number(name);
    if (number != EHI_KEY_UNKNOWN)
        ehi_pack_int(packer, number);
    else
        ehi_pack_text(packer, name);
}

void ehi_pack_raw(struct ehi_packer *packer, struct ehi_slice bytes)
{
    if (bytes.length != 0)
        write_bytes(packer, (const char *)bytes.data, bytes.length);
}
