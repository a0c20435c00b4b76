/*
 * What to copy is found in two ways: whole texts (ARNs) by their hash, which is quick and finds what one event has of another;
 * and, in large bodies, any 8 bytes that a large body before had. What is found is compared, and never taken on trust.
 */
#include "codec/compress.h"

#include "base/hash.h"
#include "base/scan.h"
#include "codec/format.h"

#include <stdlib.h>

enum {
    SLOTS = 8192,
    LEAST_TEXT = 16, /* shorter ones are not looked up */
    LEAST_COPY = 12, /* a copy takes up to 8 bytes itself */
    LEAST_DOCUMENT =
        256, /* bodies from here on are searched for anything they share with earlier ones */
    GRAM = 8,
    GRAM_STEP = 4,
    PATIENCE = 16,
    PENDING = 32
};

struct ehi_compressor {
    /* By the hash of a text: where it stands, and other bits of the hash. */
    struct {
        uint32_t offset, tag;
    } texts[SLOTS];
    /* By the hash of 8 bytes of a document, likewise: so what is another 8 bytes is told without a look at the segment. */
    struct gram {
        uint32_t offset, tag;
    } grams[SLOTS];
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
    unsigned size_bytes;
    size_t length, literal_from; /* bytes from literal_from on are not written yet */
    bool document;
    struct pending pending[PENDING];
    unsigned pending_count;
};

/* Where it ends. */
static inline uint8_t *varint_at(uint8_t *at, uint64_t number)
{
    while (number >= 0x80) {
        *at++ = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    *at++ = (uint8_t)number;
    return at;
}

static inline uint8_t *buffer_end(const struct ehi_buffer *buffer)
{
    return buffer->data + buffer->length;
}

static inline void set_end(struct ehi_buffer *buffer, const uint8_t *end)
{
    buffer->length = (size_t)(end - buffer->data);
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

/* How many bytes are the same, of so many at the most. */
static size_t common(const uint8_t *a, const uint8_t *b, size_t most)
{
    size_t length = 0;
    while (most - length >= 8 && load64(a + length) == load64(b + length))
        length += 8;
    while (length < most && a[length] == b[length])
        length++;
    return length;
}

static uint64_t gram_hash(const uint8_t *bytes)
{
    return load64(bytes) * UINT64_C(0x9E3779B185EBCA87);
}

/* The highest bits say where, the next ones are the tag. */
enum { SLOT_BITS = 13 };
static_assert(SLOTS == 1 << SLOT_BITS, "the hash of 8 bytes has a slot's number");

static struct gram *gram_slot(const struct writing *w, uint64_t hash)
{
    return &w->compressor->grams[hash >> (64 - SLOT_BITS)];
}

static uint32_t gram_tag(uint64_t hash)
{
    return (uint32_t)(hash >> (32 - SLOT_BITS));
}

static void remember_grams(struct writing *w, const uint8_t *bytes, size_t length, uint64_t offset)
{
    for (size_t i = 0; i + GRAM <= length; i += GRAM_STEP) {
        uint64_t hash = gram_hash(bytes + i);
        *gram_slot(w, hash) = (struct gram){(uint32_t)(offset + i), gram_tag(hash)};
    }
}

/* Writes what is left before `end`; now it is known where the texts in it stand. */
static void put_literal(struct writing *w, size_t end)
{
    size_t from = w->literal_from, length = end - from;
    if (length == 0)
        return;
    uint8_t *at = varint_at(buffer_end(w->buffer), (uint64_t)length * 2);
    uint64_t offset = w->buffer_offset + (uint64_t)(at - w->buffer->data);
    memcpy(at, w->plain + from, length);
    set_end(w->buffer, at + length);
    for (unsigned i = 0; i < w->pending_count; i++) {
        const struct pending *p = &w->pending[i];
        w->compressor->texts[p->slot].offset = (uint32_t)(offset + p->at - from);
        w->compressor->texts[p->slot].tag = p->tag;
    }
    w->pending_count = 0;
    if (w->document)
        remember_grams(w, w->plain + from, length, offset);
}

static void put_copy(struct writing *w, size_t at, size_t length, uint64_t offset)
{
    put_literal(w, at);
    uint8_t *end = varint_at(buffer_end(w->buffer), (uint64_t)length * 2 + 1);
    set_end(w->buffer, varint_at(end, w->record_offset - offset));
    w->literal_from = at + length;
}

/* A whole text: copied where it is known, else remembered. */
static bool put_text(struct writing *w, size_t at, size_t length)
{
    uint64_t hash = ehi_hash64(w->plain + at, length, 0);
    uint32_t slot = (uint32_t)hash % SLOTS, tag = (uint32_t)(hash >> 32);
    size_t room;
    uint32_t offset = w->compressor->texts[slot].offset;
    if (offset != 0 && w->compressor->texts[slot].tag == tag) {
        const uint8_t *bytes = source(w, offset, &room);
        if (room >= length && ehi_same_bytes(bytes, w->plain + at, length)) {
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
    if (first < 0xa0) /* nearly all that are within a text */
        return 0;
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
    uint64_t hash = gram_hash(w->plain + at);
    const struct gram *slot = gram_slot(w, hash);
    if (slot->tag != gram_tag(hash))
        return false;
    uint64_t offset = slot->offset;
    size_t room, before = 0;
    const uint8_t *bytes = source(w, offset, &room);
    if (room < GRAM || load64(bytes) != load64(w->plain + at))
        return false;
    size_t length = common(bytes, w->plain + at, room < w->length - at ? room : w->length - at);
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

/* Where nothing is found for a while (digests, say), one looks at fewer places. */
static void compress_document(struct writing *w, size_t at)
{
    unsigned misses = 0;
    while (at < w->length) {
        size_t head, length = text_at(w, at, &head);
        if ((length != 0 && put_text(w, at + head, length)) ||
            (w->length - at >= GRAM && put_shared(w, at))) {
            at = w->literal_from;
            misses = 0;
        } else {
            at += 1 + misses / PATIENCE;
            misses++;
        }
    }
}

static void compress_body(struct writing *w, size_t at)
{
    if (w->document) {
        compress_document(w, at);
        return;
    }
    while (at < w->length) {
        size_t head, length = text_at(w, at, &head);
        if (length != 0 && put_text(w, at + head, length))
            at = w->literal_from;
        else
            at += length != 0 ? head + length : 1;
    }
}

static uint64_t zigzag(int64_t number)
{
    return (uint64_t)number << 1 ^ (0 - ((uint64_t)number >> 63));
}

/* How long it becomes is put in at the end: in as many bytes as the longest would take. */
static void begin_record(struct writing *w, struct ehi_slice record)
{
    const uint8_t *from = record.data;
    uint64_t time_us = ehi_get_le64(from + EHI_REC_TIME);
    uint64_t delay_us = ehi_get_le64(from + EHI_REC_RECORDED_AT) - time_us;
    unsigned ignored = ehi_get_le16(from + EHI_REC_FLAGS) & 1u;
    w->size_bytes = record.length + EHI_COMPRESSED_MORE_BYTES < 1 << 14 ? 2 : 4;
    uint8_t *at = buffer_end(w->buffer) + w->size_bytes;
    memcpy(at, from + EHI_REC_CHECKSUM, 4);
    at = varint_at(at + 4, ehi_get_le64(from + EHI_REC_SEQ));
    at = varint_at(at, time_us);
    at = varint_at(at, zigzag((int64_t)delay_us));
    at = varint_at(at, ehi_get_le16(from + EHI_REC_TYPE) * 2u + ignored);
    at = varint_at(at, ehi_get_le16(from + EHI_REC_SUBJECT_BYTES));
    at = varint_at(at, ehi_get_le16(from + EHI_REC_ID_BYTES));
    set_end(w->buffer, varint_at(at, ehi_get_le32(from + EHI_REC_BODY_BYTES)));
}

static void end_record(const struct writing *w)
{
    uint8_t *at = w->buffer->data + (w->record_offset - w->buffer_offset);
    uint64_t bytes = (uint64_t)(w->buffer->data + w->buffer->length - at) - w->size_bytes;
    for (unsigned i = 0; i < w->size_bytes; i++, bytes >>= 7)
        at[i] = (uint8_t)((bytes & 0x7f) | (i + 1 < w->size_bytes ? 0x80 : 0));
}

int ehi_record_compress(struct ehi_compressor *compressor, const uint8_t *segment,
                        uint64_t buffer_offset, struct ehi_slice record, struct ehi_buffer *buffer)
{
    /* A literal's head and a copy together take less than what is copied: but for one head it never grows. */
    int rc = ehi_buffer_reserve(buffer, record.length + EHI_COMPRESSED_MORE_BYTES + 64);
    if (rc != ECSHIST_OK)
        return rc;
    size_t subject = ehi_get_le16(record.data + EHI_REC_SUBJECT_BYTES);
    size_t id = ehi_get_le16(record.data + EHI_REC_ID_BYTES);
    size_t body = ehi_get_le32(record.data + EHI_REC_BODY_BYTES);
    struct writing w; /* not all of it is to be zero: it has room for what is pending */
    w.compressor = compressor;
    w.segment = segment;
    w.buffer_offset = buffer_offset;
    w.buffer = buffer;
    w.record_offset = buffer_offset + buffer->length;
    w.plain = record.data + EHI_RECORD_HEADER_BYTES;
    w.length = subject + id + body;
    w.literal_from = 0;
    w.document = body >= LEAST_DOCUMENT;
    w.pending_count = 0;
    begin_record(&w, record);
    if (subject >= LEAST_TEXT)
        (void)put_text(&w, 0, subject);
    compress_body(&w, subject + id);
    put_literal(&w, w.length);
    end_record(&w);
    return ECSHIST_OK;
}
