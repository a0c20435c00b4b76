/* Sealing: a segment is read once more, whole, and what was found is written behind it. */
#include "base/hash.h"
#include "log/internal.h"

struct summary {
    uint64_t first_seq, next_seq;
    uint64_t events, ignored;
    int64_t min_time, max_time;
    uint64_t last_entry; /* offset of the frame that has the last entry; 0: none */
    uint32_t entries;
    struct ehi_buffer footer; /* frame header, footer, entries */
};

static void count_record(struct summary *summary, const struct ehi_stored *record)
{
    int64_t time = record->time_us;
    if (summary->events == 0 || time < summary->min_time)
        summary->min_time = time;
    if (summary->events == 0 || time > summary->max_time)
        summary->max_time = time;
    summary->events++;
    summary->ignored += record->flags & 1u;
}

static int add_frame(struct summary *summary, const struct ehi_frame *frame)
{
    struct ehi_slice rest = frame->payload;
    struct ehi_stored record;
    while (ehi_stored_next(&rest, frame->compressed, &record))
        count_record(summary, &record);
    summary->next_seq = frame->next_seq;
    if (summary->last_entry != 0 && frame->offset - summary->last_entry < EHI_FOOTER_STRIDE)
        return ECSHIST_OK;
    uint8_t entry[EHI_FOOTER_ENTRY_BYTES];
    ehi_put_le64(entry, frame->first_seq);
    ehi_put_le64(entry + 8, frame->offset);
    summary->last_entry = frame->offset;
    summary->entries++;
    return ehi_buffer_append(&summary->footer, entry, sizeof(entry));
}

static void fill_footer(struct summary *summary, const struct ehi_view *view, uint64_t offset,
                        uint64_t seed)
{
    uint8_t *header = summary->footer.data;
    uint8_t *footer = header + EHI_FRAME_HEADER_BYTES;
    ehi_put_le64(footer + EHI_FOOT_FIRST_SEQ, summary->first_seq);
    ehi_put_le64(footer + EHI_FOOT_LAST_SEQ, summary->next_seq - 1);
    ehi_put_le64(footer + EHI_FOOT_EVENTS, summary->events);
    ehi_put_le64(footer + EHI_FOOT_IGNORED, summary->ignored);
    ehi_put_le64(footer + EHI_FOOT_MIN_TIME, (uint64_t)summary->min_time);
    ehi_put_le64(footer + EHI_FOOT_MAX_TIME, (uint64_t)summary->max_time);
    ehi_put_le64(footer + EHI_FOOT_CONTENT, ehi_hash64(view->map, (size_t)offset, seed));
    ehi_put_le32(footer + EHI_FOOT_ENTRIES, summary->entries);
    size_t length = summary->footer.length;
    ehi_put_le32(header + EHI_FRAME_MAGIC_AT, EHI_FOOTER_MAGIC);
    ehi_put_le32(header + EHI_FRAME_PAYLOAD_BYTES, (uint32_t)(length - EHI_FRAME_HEADER_BYTES));
    ehi_put_le64(header + EHI_FRAME_FIRST_SEQ, summary->next_seq);
    ehi_put_le64(header + EHI_FRAME_CHECKSUM,
                 ehi_hash64(header + EHI_FRAME_MAGIC_AT, length - EHI_FRAME_MAGIC_AT, seed));
}

/* Looks at all frames up to `end`. The buffer is the caller's to free, on failure too. */
static int summarize(const struct ehi_log *log, const struct ehi_view *view, uint64_t end,
                     struct summary *summary, struct ecshist_error *error)
{
    struct ehi_frame frame;
    *summary = (struct summary){.first_seq = view->segment, .next_seq = view->segment};
    if (ehi_buffer_append_zeros(&summary->footer, EHI_FRAME_HEADER_BYTES + EHI_FOOTER_BYTES) !=
        ECSHIST_OK)
        return ehi_fail_memory(error);
    uint64_t offset = EHI_SEGMENT_HEADER_BYTES;
    while (offset < end) {
        if (ehi_look_at(log, view, offset, summary->next_seq, &frame) != EHI_LOOK_FRAME ||
            frame.length > end - offset)
            return ehi_damaged(log, view->segment, offset, summary->next_seq,
                               "no valid frame is here, and valid ones follow", error);
        if (add_frame(summary, &frame) != ECSHIST_OK)
            return ehi_fail_memory(error);
        offset += frame.length;
    }
    return ECSHIST_OK;
}

int ehi_footer_make(const struct ehi_log *log, const struct ehi_view *view, uint64_t end,
                    uint64_t next, struct ehi_buffer *out, struct ecshist_error *error)
{
    struct summary summary;
    int rc = summarize(log, view, end, &summary, error);
    *out = summary.footer;
    if (rc != ECSHIST_OK)
        return rc;
    if (summary.next_seq > next || (summary.next_seq < next && !view->gaps))
        return ehi_damaged(log, view->segment, end, summary.next_seq,
                           "the segment does not end with the event it should", error);
    summary.next_seq = next;
    fill_footer(&summary, view, end, log->seed);
    return ECSHIST_OK;
}

/* The trailer goes to the file's end, wherever that is: it must not shrink, others have it mapped. */
int ehi_footer_write(int fd, const struct ehi_buffer *footer, uint64_t offset, uint64_t size)
{
    uint8_t trailer[EHI_SEGMENT_TRAILER_BYTES];
    ehi_put_le64(trailer, offset);
    memcpy(trailer + 8, EHI_SEGMENT_END, 8);
    uint64_t end = offset + footer->length + sizeof(trailer);
    if (end < ehi_align8(size))
        end = ehi_align8(size);
    if (ehi_sys_pwrite_all(fd, footer->data, footer->length, offset, NULL) != 0)
        return -1;
    if (ehi_sys_pwrite_all(fd, trailer, sizeof(trailer), end - sizeof(trailer), NULL) != 0)
        return -1;
    return ehi_sys_fdatasync(fd);
}

int ehi_seal(struct ehi_log *log, int fd, const struct ehi_position *position,
             struct ecshist_error *error)
{
    struct ehi_view view;
    struct ehi_buffer footer;
    int rc = ehi_view_get(log, position->segment, UINT64_MAX, &view, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_footer_make(log, &view, position->offset, position->next_seq, &footer, error);
    if (rc == ECSHIST_OK && ehi_footer_write(fd, &footer, position->offset, view.size) != 0)
        rc = ehi_fail_errno(error, ECSHIST_IO, "cannot seal the segment " EHI_SEGMENT_NAME,
                            EHI_NAME_OF(position->segment));
    ehi_buffer_free(&footer);
    return rc;
}

static bool footer_is(const struct ehi_view *view, const struct ehi_buffer *footer)
{
    uint64_t end = view->footer + footer->length;
    uint64_t trailer = view->size - EHI_SEGMENT_TRAILER_BYTES;
    return end <= trailer && memcmp(footer->data, view->map + view->footer, footer->length) == 0 &&
           ehi_all_zero(view->map + end, trailer - end);
}

int ehi_log_check_seal(struct ehi_log *log, uint64_t segment, struct ecshist_error *error)
{
    struct ehi_view view;
    struct ehi_buffer footer;
    int rc = ehi_view_get(log, segment, 0, &view, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (view.next == 0)
        return ehi_fail(error, ECSHIST_NOT_FOUND, "the segment " EHI_SEGMENT_NAME " is not sealed",
                        EHI_NAME_OF(segment));
    if (view.footer == 0)
        return ehi_damaged(log, segment, view.size, view.next, "the footer is not whole", error);
    rc = ehi_footer_make(log, &view, view.footer, view.next, &footer, error);
    if (rc == ECSHIST_OK && !footer_is(&view, &footer))
        rc = ehi_damaged(log, segment, view.footer, view.next,
                         "the footer is not what the segment's frames say", error);
    ehi_buffer_free(&footer);
    return rc;
}
