#include "base/hash.h"
#include "log/internal.h"

bool ehi_all_zero(const uint8_t *data, uint64_t length)
{
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        if (word != 0)
            return false;
        data += 8;
        length -= 8;
    }
    for (uint64_t i = 0; i < length; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

/* Bytes: no record is smaller. */
static uint64_t least_record(const struct ehi_frame *frame)
{
    return frame->compressed ? EHI_COMPRESSED_HEADER_BYTES : EHI_RECORD_HEADER_BYTES;
}

static bool parse_sane(const struct ehi_frame *frame, uint32_t magic)
{
    uint64_t payload = frame->payload.length;
    if (magic == EHI_FOOTER_MAGIC)
        return frame->record_count == 0 && payload >= EHI_FOOTER_BYTES;
    return magic == EHI_FRAME_MAGIC && frame->record_count != 0 &&
           payload / least_record(frame) >= frame->record_count;
}

bool ehi_frame_parse(const struct ehi_view *view, uint64_t offset, struct ehi_frame *out,
                     bool *footer)
{
    uint64_t size = view->size;
    if (offset > size || size - offset < EHI_FRAME_HEADER_BYTES)
        return false;
    const uint8_t *at = view->map + offset;
    uint32_t magic = ehi_get_le32(at + EHI_FRAME_MAGIC_AT);
    uint32_t payload = ehi_get_le32(at + EHI_FRAME_PAYLOAD_BYTES);
    if (payload % 8 != 0 || payload > size - offset - EHI_FRAME_HEADER_BYTES)
        return false;
    out->payload = ehi_slice(at + EHI_FRAME_HEADER_BYTES, payload);
    out->record_count = ehi_get_le32(at + EHI_FRAME_RECORDS);
    out->offset = offset;
    out->length = EHI_FRAME_HEADER_BYTES + (uint64_t)payload;
    out->checksum = ehi_get_le64(at + EHI_FRAME_CHECKSUM);
    out->first_seq = ehi_get_le64(at + EHI_FRAME_FIRST_SEQ);
    out->next_seq = out->first_seq;
    out->segment = view->segment;
    out->gaps = view->gaps;
    out->compressed = view->compressed;
    *footer = magic == EHI_FOOTER_MAGIC;
    return parse_sane(out, magic);
}

bool ehi_frame_intact(const uint8_t *map, const struct ehi_frame *frame, uint64_t seed)
{
    const uint8_t *from = map + frame->offset + EHI_FRAME_MAGIC_AT;
    return ehi_hash64(from, (size_t)frame->length - EHI_FRAME_MAGIC_AT, seed) == frame->checksum;
}

void ehi_frame_fill_header(uint8_t *frame, size_t length, uint32_t count, uint64_t first_seq,
                           uint64_t seed)
{
    ehi_put_le32(frame + EHI_FRAME_MAGIC_AT, EHI_FRAME_MAGIC);
    ehi_put_le32(frame + EHI_FRAME_PAYLOAD_BYTES, (uint32_t)(length - EHI_FRAME_HEADER_BYTES));
    ehi_put_le32(frame + EHI_FRAME_RECORDS, count);
    ehi_put_le32(frame + EHI_FRAME_RESERVED, 0);
    ehi_put_le64(frame + EHI_FRAME_FIRST_SEQ, first_seq);
    ehi_put_le64(frame + EHI_FRAME_CHECKSUM,
                 ehi_hash64(frame + EHI_FRAME_MAGIC_AT, length - EHI_FRAME_MAGIC_AT, seed));
}

bool ehi_frame_adds_up(struct ehi_frame *frame)
{
    struct ehi_slice rest = frame->payload;
    uint64_t next = frame->first_seq, seq;
    uint32_t count = 0;
    while (ehi_stored_pass(&rest, frame->compressed, &seq)) {
        bool follows = seq == next || (frame->gaps && count > 0 && seq > next);
        if (!follows || seq == UINT64_MAX)
            return false;
        next = seq + 1;
        count++;
    }
    frame->next_seq = next;
    return rest.length == 0 && count == frame->record_count;
}

uint64_t ehi_frame_next(const struct ehi_frame *frame)
{
    struct ehi_slice rest = frame->payload;
    uint64_t seq = frame->first_seq - 1;
    if (!frame->gaps)
        return frame->first_seq + frame->record_count;
    while (ehi_stored_pass(&rest, frame->compressed, &seq))
        continue;
    return seq + 1;
}

bool ehi_footer_adds_up(const struct ehi_frame *frame)
{
    uint64_t entries = ehi_get_le32(frame->payload.data + EHI_FOOT_ENTRIES);
    return frame->payload.length == EHI_FOOTER_BYTES + entries * EHI_FOOTER_ENTRY_BYTES;
}

uint64_t ehi_trailer_offset(const uint8_t *map, uint64_t size)
{
    if (size < EHI_SEGMENT_HEADER_BYTES + EHI_SEGMENT_TRAILER_BYTES)
        return 0;
    const uint8_t *trailer = map + size - EHI_SEGMENT_TRAILER_BYTES;
    if (memcmp(trailer + 8, EHI_SEGMENT_END, 8) != 0)
        return 0;
    uint64_t offset = ehi_get_le64(trailer);
    bool inside = offset >= EHI_SEGMENT_HEADER_BYTES && offset % 8 == 0 &&
                  offset < size - EHI_SEGMENT_TRAILER_BYTES;
    return inside ? offset : 0;
}

uint64_t ehi_footer_find(const uint8_t *map, uint64_t size, uint64_t seed)
{
    struct ehi_frame frame;
    bool footer;
    uint64_t offset = ehi_trailer_offset(map, size);
    if (offset == 0)
        return 0;
    struct ehi_view view = {.map = map, .size = size - EHI_SEGMENT_TRAILER_BYTES};
    if (!ehi_frame_parse(&view, offset, &frame, &footer) || !footer)
        return 0;
    return ehi_frame_intact(map, &frame, seed) && ehi_footer_adds_up(&frame) ? offset : 0;
}
