/* One event by its seq, and the place of one. Frames are walked by their headers, not hashed. */
#include "log/internal.h"

/* The offset of the footer's entry to begin with for seq, and the seq of the frame there. */
static void start_walk(const struct ehi_view *view, uint64_t seq, struct ehi_position *out)
{
    *out = (struct ehi_position){view->segment, EHI_SEGMENT_HEADER_BYTES, view->segment, 0, 0};
    if (view->footer == 0)
        return;
    const uint8_t *footer = view->map + view->footer + EHI_FRAME_HEADER_BYTES;
    const uint8_t *entries = footer + EHI_FOOTER_BYTES;
    uint32_t low = 0, high = ehi_get_le32(footer + EHI_FOOT_ENTRIES);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ehi_get_le64(entries + (size_t)middle * EHI_FOOTER_ENTRY_BYTES) <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return;
    const uint8_t *entry = entries + (size_t)(low - 1) * EHI_FOOTER_ENTRY_BYTES;
    out->next_seq = ehi_get_le64(entry);
    out->offset = ehi_get_le64(entry + 8);
}

enum walk { WALK_FOUND, WALK_FOOTER, WALK_END, WALK_BAD };

/* Moves *at to the frame that holds seq, which is *frame then, or to where there is none any more. */
static enum walk walk_to(const struct ehi_view *view, uint64_t seq, struct ehi_position *at,
                         struct ehi_frame *frame)
{
    bool footer;
    while (ehi_frame_parse(view, at->offset, frame, &footer)) {
        if (frame->first_seq < at->next_seq || (frame->first_seq > at->next_seq && !view->gaps))
            return WALK_BAD;
        if (footer)
            return WALK_FOOTER;
        uint64_t next = ehi_frame_next(frame);
        if (seq < next)
            return WALK_FOUND;
        *at = (struct ehi_position){view->segment, at->offset + frame->length, next, at->offset,
                                    frame->checksum};
    }
    uint64_t room = at->offset < view->size ? view->size - at->offset : 0;
    if (room > EHI_FRAME_HEADER_BYTES)
        room = EHI_FRAME_HEADER_BYTES;
    return room == 0 || ehi_all_zero(view->map + at->offset, room) ? WALK_END : WALK_BAD;
}

/* The same, over all segments. Where what is known does not reach, goes on with what there is. */
static int walk_log(struct ehi_log *log, uint64_t seq, struct ehi_view *view,
                    struct ehi_position *at, struct ehi_frame *frame, enum walk *walk,
                    struct ecshist_error *error)
{
    int rc = ehi_view_holding(log, seq, view, error);
    if (rc != ECSHIST_OK)
        return rc;
    start_walk(view, seq, at);
    *walk = walk_to(view, seq, at, frame);
    if (*walk == WALK_FOUND)
        return ECSHIST_OK;
    rc = ehi_table_refresh(log, error);
    if (rc == ECSHIST_OK)
        rc = ehi_view_holding(log, seq, view, error);
    if (rc == ECSHIST_OK)
        rc = ehi_view_get(log, view->segment, UINT64_MAX, view, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (view->segment != at->segment)
        start_walk(view, seq, at);
    *walk = walk_to(view, seq, at, frame);
    return ECSHIST_OK;
}

/* What is read, and where to. */
struct reading {
    const struct ehi_log *log;
    const struct ehi_view *view;
    uint64_t seq;
    struct ehi_arena *arena;
    struct ehi_slice *record;
};

/* A stored record that says it is this event: as it was appended, whole by its checksum. OK, DAMAGED, NO_MEMORY. */
static int take_record(const struct reading *r, const struct ehi_stored *stored)
{
    if (stored->seq != r->seq)
        return ECSHIST_DAMAGED;
    return ehi_stored_expand(stored, r->view->map, r->log->seed, r->arena, r->record);
}

static int record_at(const struct reading *r, uint64_t offset)
{
    const struct ehi_view *view = r->view;
    struct ehi_stored found;
    if (offset < EHI_SEGMENT_HEADER_BYTES || offset > view->size ||
        (offset % 8 != 0 && !view->compressed))
        return ECSHIST_DAMAGED;
    struct ehi_slice rest = ehi_slice(view->map + offset, (size_t)(view->size - offset));
    return ehi_stored_next(&rest, view->compressed, &found) ? take_record(r, &found)
                                                            : ECSHIST_DAMAGED;
}

static int record_in_frame(const struct reading *r, const struct ehi_frame *frame)
{
    struct ehi_slice rest = frame->payload;
    struct ehi_stored found;
    for (uint64_t i = frame->first_seq; ehi_stored_next(&rest, frame->compressed, &found); i++) {
        if ((frame->gaps ? found.seq : i) == r->seq)
            return take_record(r, &found);
    }
    return ECSHIST_DAMAGED;
}

/* That it is not there is believed where the segment is whole: a damaged one may have lost sight of
 * it. */
static int expired(struct ehi_log *log, uint64_t segment, uint64_t seq, struct ecshist_error *error)
{
    int rc = ehi_log_check_seal(log, segment, error);
    if (rc != ECSHIST_OK)
        return rc;
    return ehi_fail(error, ECSHIST_NOT_FOUND, "event %llu has expired", EHI_NAME_OF(seq));
}

int ehi_log_read(struct ehi_log *log, uint64_t seq, uint64_t hint_offset, struct ehi_arena *arena,
                 struct ehi_slice *record, struct ecshist_error *error)
{
    struct ehi_view view;
    const struct reading reading = {log, &view, seq, arena, record};
    struct ehi_position at;
    struct ehi_frame frame;
    enum walk walk = WALK_BAD;
    int rc = ehi_view_holding(log, seq, &view, error);
    if (rc == ECSHIST_OK && hint_offset >= view.size && view.next == 0)
        rc = ehi_view_get(log, view.segment, UINT64_MAX, &view, error);
    if (rc != ECSHIST_OK)
        return rc;
    int found = hint_offset != 0 ? record_at(&reading, hint_offset) : ECSHIST_DAMAGED;
    if (found == ECSHIST_DAMAGED) {
        rc = walk_log(log, seq, &view, &at, &frame, &walk, error);
        if (rc != ECSHIST_OK)
            return rc;
        found = walk == WALK_FOUND ? record_in_frame(&reading, &frame) : ECSHIST_DAMAGED;
    }
    if (found != ECSHIST_DAMAGED)
        return found == ECSHIST_OK ? ECSHIST_OK : ehi_fail_memory(error);
    if (view.gaps && seq < view.cleaned_by && (walk == WALK_FOUND || walk == WALK_FOOTER))
        return expired(log, view.segment, seq, error);
    if (walk == WALK_FOUND)
        return ehi_damaged(log, view.segment, at.offset, seq, "the event's record is not whole",
                           error);
    if (walk == WALK_BAD || view.next != 0)
        return ehi_damaged(log, view.segment, at.offset, at.next_seq,
                           "no frame begins where one should", error);
    return ehi_fail(error, ECSHIST_NOT_FOUND, "the log has no event %llu", EHI_NAME_OF(seq));
}

int ehi_log_expand(const struct ehi_log *log, const struct ehi_frame *frame,
                   const struct ehi_stored *stored, struct ehi_arena *arena,
                   struct ehi_slice *record, struct ecshist_error *error)
{
    *record = stored->bytes;
    /* Nothing but the frame: its checksum is right. */
    if (!stored->compressed)
        return ECSHIST_OK;
    const uint8_t *segment = frame->payload.data - EHI_FRAME_HEADER_BYTES - frame->offset;
    int rc = ehi_stored_expand(stored, segment, log->seed, arena, record);
    if (rc == ECSHIST_DAMAGED)
        return ehi_damaged(log, frame->segment, (uint64_t)(stored->bytes.data - segment),
                           stored->seq,
                           "the event's record is not whole, or what it refers to is not", error);
    return rc == ECSHIST_OK ? rc : ehi_fail_memory(error);
}

int ehi_log_seek(struct ehi_log *log, uint64_t seq, struct ehi_position *out,
                 struct ecshist_error *error)
{
    struct ehi_view view;
    struct ehi_frame frame;
    enum walk walk;
    if (seq == 0)
        seq = 1;
    return walk_log(log, seq, &view, out, &frame, &walk, error);
}
