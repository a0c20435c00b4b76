/*
 * content = TOKEN …, until the record's subject, id and body are there
 * TOKEN   = varint(n * 2), n bytes           these bytes
 *         | varint(n * 2 + 1), varint(d)     the n bytes of the segment that begin d before the record
 * varint  = 7 bits a byte, the lowest first, the highest bit set where more follow
 *
 * What is copied are bytes of the segment as they stand there, never the outcome of another copy: a record is expanded in one
 * step, whatever it refers to.
 */
#include "codec/compress.h"

#include "base/hash.h"
#include "codec/format.h"
#include "codec/record.h"
#include "model/event.h"

#include <ecshist/limits.h>
#include <stdlib.h>

enum {
    SLOTS = 8192,
    LEAST_TEXT = 16, /* shorter ones are not looked up */
    LEAST_COPY = 12, /* a copy takes up to 8 bytes itself */
    LEAST_DOCUMENT =
        256, /* bodies from here on are searched for anything they share with earlier ones */
    GRAM = 8,
    GRAM_STEP = 4,
    PENDING = 32
};

struct ehi_compressor {
    /* By the hash of a text: where it stands, and other bits of the hash. */
    uint32_t texts[SLOTS], tags[SLOTS];
    /* By the hash of 8 bytes of a document. */
    uint32_t grams[SLOTS];
};

struct ehi_compressor *ehi_compressor_new(void)
{
    return calloc(1, sizeof(struct ehi_compressor));
}

void ehi_compressor_free(struct ehi_compressor *compressor)
{
    free(compressor);
}

/* -- writing ----------------------------------------------------------------------------------- */

/* A text that stands in the bytes not written yet. */
struct pending {
    uint32_t at, slot, tag;
};

struct writing {
    struct ehi_compressor *compressor;
    const uint8_t *segment;
    uint64_t buffer_offset;
    struct ehi_buffer *buffer;
    uint64_t record_offset;
    const uint8_t *plain;
    size_t length, literal_from; /* bytes from literal_from on are not written yet */
    bool document;
    struct pending pending[PENDING];
    unsigned pending_count;
};

static void put_varint(struct ehi_buffer *out, uint64_t number)
{
    while (number >= 0x80) {
        out->data[out->length++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    out->data[out->length++] = (uint8_t)number;
}

/* The bytes at an offset of the segment, and how many are known from there on. Offsets are never 0. */
static const uint8_t *source(const struct writing *w, uint64_t offset, size_t *room)
{
    *room = 0;
    if (offset < EHI_SEGMENT_HEADER_BYTES)
        return NULL;
    if (offset < w->buffer_offset) {
        *room = (size_t)(w->buffer_offset - offset);
        return w->segment + offset;
    }
    uint64_t within = offset - w->buffer_offset;
    /* Of the record itself nothing: a reader expands it from what stands before it. */
    if (offset >= w->record_offset)
        return NULL;
    *room = (size_t)(w->record_offset - offset);
    return w->buffer->data + within;
}

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static uint32_t *gram_slot(const struct writing *w, const uint8_t *bytes)
{
    return &w->compressor->grams[load64(bytes) * UINT64_C(0x9E3779B185EBCA87) >> 51];
}

static_assert(SLOTS == 1 << (64 - 51), "the hash of 8 bytes is a slot's number");

static void remember_grams(struct writing *w, const uint8_t *bytes, size_t length, uint64_t offset)
{
    for (size_t i = 0; i + GRAM <= length; i += GRAM_STEP)
        *gram_slot(w, bytes + i) = (uint32_t)(offset + i);
}

/* Writes what is left before `end`; now it is known where the texts in it stand. */
static void put_literal(struct writing *w, size_t end)
{
    size_t from = w->literal_from, length = end - from;
    if (length == 0)
        return;
    put_varint(w->buffer, (uint64_t)length * 2);
    uint64_t offset = w->buffer_offset + w->buffer->length;
    memcpy(w->buffer->data + w->buffer->length, w->plain + from, length);
    w->buffer->length += length;
    for (unsigned i = 0; i < w->pending_count; i++) {
        const struct pending *p = &w->pending[i];
        w->compressor->texts[p->slot] = (uint32_t)(offset + p->at - from);
        w->compressor->tags[p->slot] = p->tag;
    }
    w->pending_count = 0;
    if (w->document)
        remember_grams(w, w->plain + from, length, offset);
}

static void put_copy(struct writing *w, size_t at, size_t length, uint64_t offset)
{
    put_literal(w, at);
    put_varint(w->buffer, (uint64_t)length * 2 + 1);
    put_varint(w->buffer, w->record_offset - offset);
    w->literal_from = at + length;
}

/* A whole text: copied where it is known, else remembered. */
static bool put_text(struct writing *w, size_t at, size_t length)
{
    uint64_t hash = ehi_hash64(w->plain + at, length, 0);
    uint32_t slot = (uint32_t)hash % SLOTS, tag = (uint32_t)(hash >> 32);
    size_t room;
    uint32_t offset = w->compressor->texts[slot];
    if (offset != 0 && w->compressor->tags[slot] == tag) {
        const uint8_t *bytes = source(w, offset, &room);
        if (room >= length && memcmp(bytes, w->plain + at, length) == 0) {
            put_copy(w, at, length, offset);
            return true;
        }
    }
    if (w->pending_count < PENDING)
        w->pending[w->pending_count++] = (struct pending){(uint32_t)at, slot, tag};
    return false;
}

/* The length of the MessagePack text that begins here, if one does that is worth a look; its head is 1 or 2 bytes. */
static size_t text_at(const struct writing *w, size_t at, size_t *head)
{
    uint8_t first = w->plain[at];
    size_t length = 0;
    *head = 1;
    if (first == 0xd9 && at + 1 < w->length) {
        *head = 2;
        length = w->plain[at + 1];
    } else if ((first & 0xe0) == 0xa0) {
        length = first & 0x1f;
    }
    return length >= LEAST_TEXT && length <= w->length - at - *head ? length : 0;
}

/* What an earlier document has from here on, and before: at least LEAST_COPY bytes of it. */
static bool put_shared(struct writing *w, size_t at)
{
    uint32_t *slot = gram_slot(w, w->plain + at);
    uint64_t offset = *slot;
    size_t room, length = GRAM, before = 0;
    const uint8_t *bytes = source(w, offset, &room);
    if (room < GRAM || load64(bytes) != load64(w->plain + at))
        return false;
    while (length < room && at + length < w->length && bytes[length] == w->plain[at + length])
        length++;
    /* Not back over the frame's beginning: the bytes before it stand elsewhere. */
    uint64_t least = offset < w->buffer_offset ? EHI_SEGMENT_HEADER_BYTES : w->buffer_offset;
    while (at - before > w->literal_from && offset - before > least &&
           bytes[-1 - (ptrdiff_t)before] == w->plain[at - before - 1])
        before++;
    if (length + before < LEAST_COPY)
        return false;
    size_t kept = 0;
    while (kept < w->pending_count && w->pending[kept].at < at - before)
        kept++;
    w->pending_count = (unsigned)kept;
    put_copy(w, at - before, length + before, offset - before);
    /* What is of use is kept from being forgotten. */
    remember_grams(w, bytes, length, offset);
    return true;
}

static void compress_body(struct writing *w, size_t at)
{
    while (at < w->length) {
        size_t head, length = text_at(w, at, &head);
        if (length != 0 && put_text(w, at + head, length)) {
            at = w->literal_from;
            continue;
        }
        if (w->document && w->length - at >= GRAM && put_shared(w, at))
            at = w->literal_from;
        else if (length != 0 && !w->document)
            at += head + length;
        else
            at++;
    }
}

static void finish(struct writing *w, struct ehi_slice record)
{
    struct ehi_buffer *buffer = w->buffer;
    size_t start = (size_t)(w->record_offset - w->buffer_offset);
    size_t content = start + EHI_RECORD_HEADER_BYTES, bytes = buffer->length - content;
    if (bytes + 8 > w->length) {
        memcpy(buffer->data + start, record.data, record.length);
        buffer->length = start + record.length;
        return;
    }
    while (buffer->length % 8 != 0)
        buffer->data[buffer->length++] = 0;
    memcpy(buffer->data + start, record.data, EHI_RECORD_HEADER_BYTES);
    ehi_put_le32(buffer->data + start + EHI_REC_BYTES, (uint32_t)(buffer->length - start));
    ehi_put_le32(buffer->data + start + EHI_REC_COMPRESSED_BYTES, (uint32_t)bytes);
}

/* A history-expired is looked for by its header and read before all others: it stays as it is. */
static bool worth_it(const struct writing *w, struct ehi_slice record)
{
    return ehi_get_le16(record.data + EHI_REC_TYPE) != EHI_HISTORY_EXPIRED &&
           w->record_offset + record.length < UINT32_MAX;
}

int ehi_record_compress(struct ehi_compressor *compressor, const uint8_t *segment,
                        uint64_t buffer_offset, struct ehi_slice record, struct ehi_buffer *buffer)
{
    /* A literal's head and a copy take less than what is copied: but for one head it never grows. */
    int rc = ehi_buffer_reserve(buffer, record.length + 64);
    if (rc != ECSHIST_OK)
        return rc;
    size_t subject = ehi_get_le16(record.data + EHI_REC_SUBJECT_BYTES);
    size_t id = ehi_get_le16(record.data + EHI_REC_ID_BYTES);
    size_t body = ehi_get_le32(record.data + EHI_REC_BODY_BYTES);
    struct writing w = {.compressor = compressor,
                        .segment = segment,
                        .buffer_offset = buffer_offset,
                        .buffer = buffer,
                        .record_offset = buffer_offset + buffer->length,
                        .plain = record.data + EHI_RECORD_HEADER_BYTES,
                        .length = subject + id + body,
                        .document = body >= LEAST_DOCUMENT};
    if (!worth_it(&w, record))
        return ehi_buffer_append(buffer, record.data, record.length);
    buffer->length += EHI_RECORD_HEADER_BYTES;
    if (subject >= LEAST_TEXT)
        (void)put_text(&w, 0, subject);
    compress_body(&w, subject + id);
    put_literal(&w, w.length);
    finish(&w, record);
    return ECSHIST_OK;
}

/* -- reading ----------------------------------------------------------------------------------- */

bool ehi_record_is_compressed(struct ehi_slice stored)
{
    return ehi_get_le32(stored.data + EHI_REC_COMPRESSED_BYTES) != 0;
}

struct tokens {
    const uint8_t *next, *end;
};

/* A number of up to 35 bits; more than any that can stand here where the bytes are none. */
static uint64_t get_varint(struct tokens *tokens)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 35 && tokens->next < tokens->end; shift += 7) {
        uint8_t byte = *tokens->next++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return number;
    }
    return UINT64_MAX;
}

/* One token's bytes; NULL where it is not right. */
static const uint8_t *token(struct tokens *tokens, const uint8_t *segment, uint64_t offset,
                            uint64_t *length)
{
    uint64_t number = get_varint(tokens);
    *length = number / 2;
    if (number == UINT64_MAX)
        return NULL;
    if (number % 2 == 0) {
        const uint8_t *bytes = tokens->next;
        if (*length > (uint64_t)(tokens->end - bytes))
            return NULL;
        tokens->next += *length;
        return bytes;
    }
    uint64_t distance = get_varint(tokens);
    if (distance > offset - EHI_SEGMENT_HEADER_BYTES || *length > distance)
        return NULL;
    return segment + (offset - distance);
}

static bool expand(const uint8_t *segment, uint64_t offset, struct ehi_slice content, uint8_t *out,
                   size_t size)
{
    struct tokens tokens = {content.data, content.data + content.length};
    while (size > 0) {
        uint64_t length;
        const uint8_t *bytes = token(&tokens, segment, offset, &length);
        if (bytes == NULL || length == 0 || length > size)
            return false;
        memcpy(out, bytes, (size_t)length);
        out += length;
        size -= (size_t)length;
    }
    return tokens.next == tokens.end;
}

int ehi_record_expand(const uint8_t *segment, uint64_t offset, struct ehi_slice stored,
                      uint64_t seed, struct ehi_arena *arena, struct ehi_slice *out)
{
    const uint8_t *header = stored.data;
    uint64_t content = (uint64_t)ehi_get_le16(header + EHI_REC_SUBJECT_BYTES) +
                       ehi_get_le16(header + EHI_REC_ID_BYTES) +
                       ehi_get_le32(header + EHI_REC_BODY_BYTES);
    uint64_t compressed = ehi_get_le32(header + EHI_REC_COMPRESSED_BYTES);
    uint64_t whole = (EHI_RECORD_HEADER_BYTES + content + 7) & ~(uint64_t)7;
    if (compressed > stored.length - EHI_RECORD_HEADER_BYTES || offset < EHI_SEGMENT_HEADER_BYTES ||
        whole > EHI_RECORD_MAX_BYTES)
        return ECSHIST_DAMAGED;
    uint8_t *record = ehi_arena_alloc(arena, (size_t)whole);
    if (record == NULL)
        return ECSHIST_NO_MEMORY;
    memset(record + whole - 8, 0, 8);
    memcpy(record, header, EHI_RECORD_HEADER_BYTES);
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)whole);
    ehi_put_le32(record + EHI_REC_COMPRESSED_BYTES, 0);
    if (!expand(segment, offset, ehi_slice(header + EHI_RECORD_HEADER_BYTES, (size_t)compressed),
                record + EHI_RECORD_HEADER_BYTES, (size_t)content) ||
        !ehi_record_intact(ehi_slice(record, (size_t)whole), seed))
        return ECSHIST_DAMAGED;
    *out = ehi_slice(record, (size_t)whole);
    return ECSHIST_OK;
}
