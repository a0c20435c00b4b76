/*
 * What stands at a place of a segment, and the records of a frame. A frame whose checksum is right
 * was written so: what is wrong within it is wrong since then, and has a number of its own.
 */
#include "upkeep/verify_internal.h"

#include "codec/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Larger than any frame that a writer makes (16 MiB and 56 bytes for each of 10,000 events), or a
 * footer of the largest segment. */
enum { MOST_PAYLOAD = 67108864 };

struct verify_at verify_here(const struct verify_scan *s, uint64_t offset, uint64_t seq)
{
    return (struct verify_at){s->segment->first_seq, offset, seq};
}

int verify_unread(const struct verify_scan *s)
{
    if (s->file.failed == ENOMEM)
        return ehi_fail_memory(s->v->error);
    errno = s->file.failed;
    return ehi_fail_errno(s->v->error, ECSHIST_IO, "cannot read %020" PRIu64 ".seg",
                          s->segment->first_seq);
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static bool parse(const uint8_t *header, uint64_t offset, uint64_t size, struct verify_frame *out)
{
    uint32_t magic = ehi_get_le32(header + EHI_FRAME_MAGIC_AT);
    *out = (struct verify_frame){.offset = offset,
                                 .checksum = ehi_get_le64(header + EHI_FRAME_CHECKSUM),
                                 .first_seq = ehi_get_le64(header + EHI_FRAME_FIRST_SEQ),
                                 .record_count = ehi_get_le32(header + EHI_FRAME_RECORDS),
                                 .payload = ehi_get_le32(header + EHI_FRAME_PAYLOAD_BYTES),
                                 .footer = magic == EHI_FOOTER_MAGIC};
    if ((magic != EHI_FRAME_MAGIC && magic != EHI_FOOTER_MAGIC) || out->payload % 8 != 0)
        return false;
    if (out->payload > MOST_PAYLOAD || out->payload > size - offset - EHI_FRAME_HEADER_BYTES)
        return false;
    if (out->footer ? out->record_count != 0 || out->payload < EHI_FOOTER_BYTES
                    : out->record_count == 0)
        return false;
    out->length = (uint64_t)EHI_FRAME_HEADER_BYTES + out->payload;
    return true;
}

enum verify_look verify_look_at(struct verify_file *file, uint64_t seed, uint64_t offset,
                                struct verify_frame *out)
{
    *out = (struct verify_frame){.offset = offset};
    uint64_t room = offset < file->size ? file->size - offset : 0;
    size_t length = room < EHI_FRAME_HEADER_BYTES ? (size_t)room : EHI_FRAME_HEADER_BYTES;
    const uint8_t *header = length == 0 ? NULL : verify_file_at(file, offset, length);
    if (file->failed != 0)
        return VERIFY_FAILED;
    if (header == NULL || all_zero(header, length))
        return VERIFY_NOTHING;
    if (length < EHI_FRAME_HEADER_BYTES || !parse(header, offset, file->size, out))
        return VERIFY_BAD;
    const uint8_t *frame = verify_file_at(file, offset, (size_t)out->length);
    if (file->failed != 0)
        return VERIFY_FAILED;
    if (frame == NULL ||
        ehi_hash64(frame + EHI_FRAME_MAGIC_AT, (size_t)out->length - EHI_FRAME_MAGIC_AT, seed) !=
            out->checksum)
        return VERIFY_BAD;
    return out->footer ? VERIFY_FOOTER : VERIFY_FRAME;
}

/* -- records ----------------------------------------------------------------------------------- */

int verify_missing(struct verify_scan *s, uint64_t offset, uint64_t from, uint64_t to)
{
    if (s->segment->gaps && to <= s->segment->cleaned_by)
        return ECSHIST_OK;
    s->v->events_lost = true;
    if (s->segment->gaps)
        return verify_finding(s->v, BROKEN_L5, verify_here(s, offset, from),
                              "events %" PRIu64 " to %" PRIu64 " are missing, and the segment was "
                              "cleaned by event %" PRIu64 " only",
                              from, to - 1, s->segment->cleaned_by);
    return verify_finding(s->v, BROKEN_L5, verify_here(s, offset, from),
                          "events %" PRIu64 " to %" PRIu64 " are missing", from, to - 1);
}

/* The seq that stands here, after s->next was expected. */
static int check_seq(struct verify_scan *s, uint64_t offset, uint64_t seq)
{
    if (seq == s->next)
        return ECSHIST_OK;
    if (seq > s->next)
        return verify_missing(s, offset, s->next, seq);
    s->v->events_lost = true;
    return verify_finding(s->v, BROKEN_L5, verify_here(s, offset, seq),
                          "event %" PRIu64 " stands where event %" PRIu64 " or a later one should",
                          seq, s->next);
}

static bool is_map(struct ehi_slice body)
{
    struct ehi_cursor cursor = ehi_cursor_of(body, ECSHIST_MAX_NESTING);
    struct ehi_value value;
    if (!ehi_cursor_read(&cursor, &value) || value.kind != EHI_VALUE_MAP)
        return false;
    cursor = ehi_cursor_of(body, ECSHIST_MAX_NESTING);
    return ehi_cursor_skip(&cursor) && ehi_cursor_done(&cursor);
}

/* What is wrong with a record of that many bytes; NULL: nothing. */
static const char *record_fault(const uint8_t *record, uint32_t bytes, uint64_t seed)
{
    uint64_t subject = ehi_get_le16(record + EHI_REC_SUBJECT_BYTES);
    uint64_t id = ehi_get_le16(record + EHI_REC_ID_BYTES);
    uint64_t body = ehi_get_le32(record + EHI_REC_BODY_BYTES);
    uint64_t used = EHI_RECORD_HEADER_BYTES + subject + id + body;
    if ((uint32_t)ehi_hash64(record + EHI_REC_SEQ, bytes - EHI_REC_SEQ, seed) !=
        ehi_get_le32(record + EHI_REC_CHECKSUM))
        return "the record's checksum is wrong";
    if (used > bytes || bytes - used > 7)
        return "the lengths of the record's parts do not fill it";
    if (!all_zero(record + used, (size_t)(bytes - used)))
        return "what pads the record is not zero";
    if ((ehi_get_le16(record + EHI_REC_FLAGS) & ~(unsigned)EHI_EVENT_IGNORED) != 0)
        return "the record has flags that do not exist";
    if (!is_map(ehi_slice(record + used - body, (size_t)body)))
        return "the record's body is not one well-formed MessagePack map";
    return NULL;
}

static int add_place(struct verify_scan *s, const uint8_t *record, uint64_t offset, uint32_t bytes)
{
    struct verify *v = s->v;
    struct verify_places *places =
        ehi_get_le16(record + EHI_REC_TYPE) == EHI_HISTORY_EXPIRED ? &v->expiries : &v->places;
    if (verify_quick(v))
        return ECSHIST_OK;
    struct verify_place *items =
        verify_grow(places->items, places->count, &places->capacity, sizeof(*items));
    if (items == NULL)
        return ehi_fail_memory(v->error);
    places->items = items;
    struct ehi_hash128 subject =
        ehi_hash128(record + EHI_RECORD_HEADER_BYTES, ehi_get_le16(record + EHI_REC_SUBJECT_BYTES));
    items[places->count++] = (struct verify_place){subject, ehi_get_le64(record + EHI_REC_SEQ),
                                                   offset, (uint32_t)s->index, bytes};
    return ECSHIST_OK;
}

static void count_record(struct verify_scan *s, const uint8_t *record)
{
    int64_t time = (int64_t)ehi_get_le64(record + EHI_REC_TIME);
    if (s->events == 0 || time < s->min_time)
        s->min_time = time;
    if (s->events == 0 || time > s->max_time)
        s->max_time = time;
    s->events++;
    s->ignored += ehi_get_le16(record + EHI_REC_FLAGS) & 1u;
    s->v->result.events++;
}

/* A record of so many bytes, of which the segment stores as many, or fewer. */
static int take_record(struct verify_scan *s, const uint8_t *record, uint64_t offset,
                       uint32_t bytes, uint32_t stored)
{
    uint64_t seq = ehi_get_le64(record + EHI_REC_SEQ);
    int rc = check_seq(s, offset, seq);
    if (rc != ECSHIST_OK)
        return rc;
    count_record(s, record);
    if (seq >= s->next && seq != UINT64_MAX)
        s->next = seq + 1;
    const char *fault = record_fault(record, bytes, s->v->seed);
    if (fault == NULL)
        return add_place(s, record, offset, stored);
    s->v->events_lost = true;
    return verify_finding(s->v, BROKEN_L8, verify_here(s, offset, seq), "%s", fault);
}

/* A record's place cannot be said, nor that of those behind it in the frame. */
static int lose_records(struct verify_scan *s, const struct verify_frame *frame, uint64_t offset)
{
    uint64_t behind = frame->first_seq + frame->record_count;
    uint64_t missed = s->next;
    s->v->events_lost = true;
    s->next = behind > s->next ? behind : s->next;
    return verify_finding(s->v, BROKEN_L8, verify_here(s, offset, missed),
                          "a record's length does not fit into its frame");
}

static int take_plain_records(struct verify_scan *s, const struct verify_frame *frame,
                              const uint8_t *payload, uint32_t *count)
{
    uint32_t at = 0;
    int rc = ECSHIST_OK;
    for (*count = 0; rc == ECSHIST_OK && at < frame->payload; (*count)++) {
        uint32_t left = frame->payload - at;
        uint32_t bytes =
            left < EHI_RECORD_HEADER_BYTES ? 0 : ehi_get_le32(payload + at + EHI_REC_BYTES);
        uint64_t offset = frame->offset + EHI_FRAME_HEADER_BYTES + at;
        if (bytes < EHI_RECORD_HEADER_BYTES || bytes % 8 != 0 || bytes > left) {
            *count = frame->record_count; /* how many there are cannot be said */
            return lose_records(s, frame, offset);
        }
        rc = take_record(s, payload + at, offset, bytes, bytes);
        at += bytes;
    }
    return rc;
}

/* A record that could not be made again: its seq alone may be known. */
static int take_fault(struct verify_scan *s, const struct verify_made *made, uint64_t offset)
{
    uint64_t seq =
        made->record.length == 0 ? s->next : ehi_get_le64(made->record.data + EHI_REC_SEQ);
    int rc = check_seq(s, offset, seq);
    if (seq >= s->next && seq != UINT64_MAX)
        s->next = seq + 1;
    s->v->result.events++;
    s->events++;
    s->v->events_lost = true;
    return rc == ECSHIST_OK
               ? verify_finding(s->v, BROKEN_L8, verify_here(s, offset, seq), "%s", made->fault)
               : rc;
}

static int take_compressed_records(struct verify_scan *s, const struct verify_frame *frame,
                                   const uint8_t *payload, uint32_t *count)
{
    uint32_t at = 0;
    int rc = ECSHIST_OK;
    for (*count = 0; rc == ECSHIST_OK && at < frame->payload; (*count)++) {
        uint32_t left = frame->payload - at;
        uint64_t offset = frame->offset + EHI_FRAME_HEADER_BYTES + at;
        struct verify_made made;
        if (left < 8 && all_zero(payload + at, left))
            break;
        ehi_arena_reset(&s->arena);
        s->file.failed =
            verify_make_record(s->file.fd, offset, ehi_slice(payload + at, left), &s->arena, &made);
        if (s->file.failed != 0)
            return verify_unread(s);
        if (made.stored_bytes == 0) {
            *count = frame->record_count;
            return lose_records(s, frame, offset);
        }
        rc = made.fault != NULL
                 ? take_fault(s, &made, offset)
                 : take_record(s, made.record.data, offset, (uint32_t)made.record.length,
                               (uint32_t)made.stored_bytes);
        at += (uint32_t)made.stored_bytes;
    }
    return rc;
}

static int add_entry(struct verify_scan *s, const struct verify_frame *frame)
{
    if (s->last_entry != 0 && frame->offset - s->last_entry < EHI_FOOTER_STRIDE)
        return ECSHIST_OK;
    uint8_t *entries =
        verify_grow(s->entries, s->entry_count, &s->entry_capacity, EHI_FOOTER_ENTRY_BYTES);
    if (entries == NULL)
        return ehi_fail_memory(s->v->error);
    s->entries = entries;
    uint8_t *entry = entries + s->entry_count * EHI_FOOTER_ENTRY_BYTES;
    ehi_put_le64(entry, frame->first_seq);
    ehi_put_le64(entry + 8, frame->offset);
    s->entry_count++;
    s->last_entry = frame->offset;
    return ECSHIST_OK;
}

/* Where it cannot be said, it is as the frame says. */
static uint64_t first_record_seq(struct verify_scan *s, const struct verify_frame *frame,
                                 const uint8_t *payload)
{
    struct verify_made made;
    if (!s->segment->compressed)
        return frame->payload < EHI_RECORD_HEADER_BYTES ? frame->first_seq
                                                        : ehi_get_le64(payload + EHI_REC_SEQ);
    ehi_arena_reset(&s->arena);
    int failed = verify_make_record(s->file.fd, frame->offset + EHI_FRAME_HEADER_BYTES,
                                    ehi_slice(payload, frame->payload), &s->arena, &made);
    return failed != 0 || made.record.length == 0 ? frame->first_seq
                                                  : ehi_get_le64(made.record.data + EHI_REC_SEQ);
}

int verify_take_frame(struct verify_scan *s, const struct verify_frame *frame)
{
    struct verify *v = s->v;
    const uint8_t *bytes = verify_file_at(&s->file, frame->offset, (size_t)frame->length);
    if (bytes == NULL)
        return verify_unread(s);
    v->result.frames++;
    s->frames++;
    int rc = add_entry(s, frame);
    uint64_t first = first_record_seq(s, frame, bytes + EHI_FRAME_HEADER_BYTES);
    if (rc == ECSHIST_OK && first != frame->first_seq)
        rc = verify_finding(v, BROKEN_L5, verify_here(s, frame->offset, frame->first_seq),
                            "the frame says it begins with event %" PRIu64
                            ", its first record is event %" PRIu64,
                            frame->first_seq, first);
    uint32_t count = 0;
    if (rc == ECSHIST_OK)
        rc = (s->segment->compressed ? take_compressed_records : take_plain_records)(
            s, frame, bytes + EHI_FRAME_HEADER_BYTES, &count);
    if (rc == ECSHIST_OK && count != frame->record_count) {
        v->events_lost = true;
        rc = verify_finding(v, BROKEN_L4, verify_here(s, frame->offset, frame->first_seq),
                            "the frame says it has %" PRIu32 " events, and has %" PRIu32,
                            frame->record_count, count);
    }
    s->offset = frame->offset + frame->length;
    return rc;
}
