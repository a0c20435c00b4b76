/*
 * Frame by frame. What stands at a position is one of: a frame, a footer, nothing, something bad,
 * something wrong. Nothing and bad are looked at again with fresh eyes (others may be at work), and
 * then become one of the three verdicts:
 *
 *   end of log  nothing but zeros to the end of the newest segment
 *   torn tail   bad, and nothing valid after it, in the newest segment
 *   damage      all else
 *
 * Without the lock a torn tail may also be an append that is under way.
 */
#include "log/internal.h"

#include <stdatomic.h>
#include <stdio.h>

/* Bytes hashed in the search behind a bad frame: more than chance would ever have us look at. */
#define SEARCH_BUDGET_BYTES 1073741824u

int ehi_damaged(const struct ehi_log *log, uint64_t segment, uint64_t offset, uint64_t next_seq,
                const char *what, struct ecshist_error *error)
{
    int rc =
        ehi_fail(error, ECSHIST_DAMAGED, EHI_SEGMENT_NAME " at offset %llu, after seq %llu: %s",
                 EHI_NAME_OF(segment), EHI_NAME_OF(offset), EHI_NAME_OF(next_seq - 1), what);
    if (error == NULL)
        return rc;
    error->seq = next_seq;
    return ehi_at(error, rc, "%.200s/" EHI_SEGMENT_NAME ":%llu", log->path, EHI_NAME_OF(segment),
                  EHI_NAME_OF(offset));
}

enum ehi_look ehi_look_at(const struct ehi_log *log, const struct ehi_view *view, uint64_t offset,
                          uint64_t next_seq, struct ehi_frame *out)
{
    bool footer;
    uint64_t room = offset < view->size ? view->size - offset : 0;
    if (room > EHI_FRAME_HEADER_BYTES)
        room = EHI_FRAME_HEADER_BYTES;
    if (room == 0 || ehi_all_zero(view->map + offset, room))
        return EHI_LOOK_ZERO;
    if (!ehi_frame_parse(view, offset, out, &footer))
        return EHI_LOOK_BAD;
    if (!ehi_frame_intact(view->map, out, log->seed))
        return EHI_LOOK_BAD;
    out->segment = view->segment;
    if (out->first_seq < next_seq || (out->first_seq > next_seq && !view->gaps))
        return EHI_LOOK_WRONG;
    /* An empty segment is never sealed, the next one would have its name; but one may be cleaned empty. */
    if (footer)
        return ehi_footer_adds_up(out) && out->first_seq != view->segment ? EHI_LOOK_FOOTER
                                                                          : EHI_LOOK_WRONG;
    return ehi_frame_adds_up(out) ? EHI_LOOK_FRAME : EHI_LOOK_WRONG;
}

/* A valid frame behind the bad one, of its events or later ones: its offset, or 0. */
static uint64_t find_valid(const struct ehi_log *log, const struct ehi_view *view,
                           const struct ehi_position *position, struct ehi_frame *frame)
{
    uint64_t budget = SEARCH_BUDGET_BYTES;
    bool footer;
    for (uint64_t o = position->offset + 8; o + EHI_FRAME_HEADER_BYTES <= view->size; o += 8) {
        uint32_t magic = ehi_get_le32(view->map + o + EHI_FRAME_MAGIC_AT);
        if (magic != EHI_FRAME_MAGIC && magic != EHI_FOOTER_MAGIC)
            continue;
        if (!ehi_frame_parse(view, o, frame, &footer))
            continue;
        if (frame->first_seq < position->next_seq)
            continue;
        /* Out of budget: nobody made that by dying, so it is not for us to cut off. */
        if (frame->length > budget || ehi_frame_intact(view->map, frame, log->seed))
            return o;
        budget -= frame->length;
    }
    return 0;
}

struct scan {
    struct ehi_log *log;
    struct ehi_position *position;
    struct ehi_view view;
    struct ehi_frame *frame;
    struct ecshist_error *error;
};

static int damaged_here(const struct scan *scan, const char *what)
{
    return ehi_damaged(scan->log, scan->position->segment, scan->position->offset,
                       scan->position->next_seq, what, scan->error);
}

/* need: how much of the segment should be known; UINT64_MAX: as much as there is. */
static int get_view(struct scan *scan, uint64_t need)
{
    int rc = ehi_view_get(scan->log, scan->position->segment, need, &scan->view, scan->error);
    if (rc == ECSHIST_NOT_FOUND)
        return damaged_here(scan, "there is no such segment");
    return rc;
}

static enum ehi_look look_here(struct scan *scan)
{
    return ehi_look_at(scan->log, &scan->view, scan->position->offset, scan->position->next_seq,
                       scan->frame);
}

static const char *what_is_bad(const struct scan *scan)
{
    struct ehi_frame frame;
    bool footer;
    const struct ehi_view *view = &scan->view;
    if (scan->position->offset >= view->size)
        return "the file ends before its footer";
    if (!ehi_frame_parse(view, scan->position->offset, &frame, &footer))
        return "no frame begins where one should";
    return footer ? "the checksum of the footer is wrong" : "the checksum of the frame is wrong";
}

/* Something is behind what is bad here; damage, unless it has become good in the meantime. */
static int judge_behind(struct scan *scan, const char *behind, uint64_t behind_at,
                        enum ehi_look *look)
{
    char what[160];
    /* Frames are written one after the other: who sees a later one sees all before it. */
    atomic_thread_fence(memory_order_acquire);
    int rc = get_view(scan, UINT64_MAX);
    if (rc != ECSHIST_OK)
        return rc;
    *look = look_here(scan);
    if (*look != EHI_LOOK_ZERO && *look != EHI_LOOK_BAD)
        return ECSHIST_OK;
    snprintf(what, sizeof(what), "%s, and %s at offset %llu", what_is_bad(scan), behind,
             EHI_NAME_OF(behind_at));
    return damaged_here(scan, what);
}

/* Nothing or bad in the newest segment. */
static int judge_newest(struct scan *scan, enum ehi_look *look, enum ehi_verdict *verdict)
{
    char behind[80];
    const struct ehi_view *view = &scan->view;
    uint64_t offset = scan->position->offset;
    *verdict = EHI_END_OF_LOG;
    if (offset >= view->size || ehi_all_zero(view->map + offset, view->size - offset))
        return ECSHIST_OK;
    uint64_t at = ehi_trailer_offset(view->map, view->size);
    if (at > offset)
        return judge_behind(scan, "the segment is sealed", at, look);
    at = find_valid(scan->log, view, scan->position, scan->frame);
    if (at != 0) {
        snprintf(behind, sizeof(behind), "a valid one follows, from seq %llu,",
                 EHI_NAME_OF(scan->frame->first_seq));
        return judge_behind(scan, behind, at, look);
    }
    *verdict = EHI_TORN_TAIL;
    return ECSHIST_OK;
}

/*
 * Looks again, knowing all that there is by now. *look becomes FRAME, FOOTER or WRONG; where it stays
 * ZERO or BAD, *verdict is set.
 */
static int look_closer(struct scan *scan, enum ehi_look *look, enum ehi_verdict *verdict)
{
    int rc = ehi_table_refresh(scan->log, scan->error);
    if (rc == ECSHIST_OK)
        rc = get_view(scan, UINT64_MAX);
    if (rc != ECSHIST_OK)
        return rc;
    *look = look_here(scan);
    if (*look != EHI_LOOK_ZERO && *look != EHI_LOOK_BAD)
        return ECSHIST_OK;
    if (scan->view.next != 0)
        return damaged_here(scan, what_is_bad(scan));
    return judge_newest(scan, look, verdict);
}

/* At a footer: into the next segment. *verdict: where there is none yet. */
static int step_over(struct scan *scan, bool *stepped, enum ehi_verdict *verdict)
{
    struct ehi_position *position = scan->position;
    *stepped = false;
    int rc = ECSHIST_OK;
    if (scan->view.next == 0)
        rc = ehi_table_refresh(scan->log, scan->error);
    if (rc == ECSHIST_OK)
        rc = get_view(scan, UINT64_MAX);
    if (rc != ECSHIST_OK)
        return rc;
    bool ended = ehi_trailer_offset(scan->view.map, scan->view.size) == position->offset;
    if (scan->view.next == 0) {
        *verdict = ended ? EHI_END_OF_LOG : EHI_TORN_TAIL;
        return ECSHIST_OK;
    }
    if (!ended)
        return damaged_here(scan, "the sealed segment's trailer is missing");
    uint64_t next = scan->frame->first_seq;
    if (scan->view.next != next)
        return damaged_here(scan, "the segment after this one is missing");
    *position = (struct ehi_position){next, EHI_SEGMENT_HEADER_BYTES, next, 0, 0};
    *stepped = true;
    return ECSHIST_OK;
}

static void step_behind(struct ehi_position *position, const struct ehi_frame *frame)
{
    position->offset = frame->offset + frame->length;
    position->next_seq = frame->next_seq;
    position->frame_offset = frame->offset;
    position->frame_checksum = frame->checksum;
}

/* Any look but a frame. *again: the position is in another segment now, or there is a frame at it. */
static int not_a_frame(struct scan *scan, enum ehi_look look, enum ehi_verdict *verdict,
                       bool *again)
{
    *again = false;
    if (look == EHI_LOOK_ZERO || look == EHI_LOOK_BAD) {
        int rc = look_closer(scan, &look, verdict);
        if (rc != ECSHIST_OK || look == EHI_LOOK_ZERO || look == EHI_LOOK_BAD)
            return rc;
    }
    if (look == EHI_LOOK_WRONG && scan->frame->first_seq != scan->position->next_seq)
        return damaged_here(scan, "the frame here does not begin with the next seq");
    if (look == EHI_LOOK_WRONG)
        return damaged_here(scan, "what the frame holds is not what its header says");
    if (look == EHI_LOOK_FOOTER)
        return step_over(scan, again, verdict);
    *again = true;
    return ECSHIST_OK;
}

int ehi_log_next(struct ehi_log *log, struct ehi_position *position, struct ehi_frame *frame,
                 enum ehi_verdict *verdict, struct ecshist_error *error)
{
    struct ehi_frame found;
    struct scan scan = {log, position, {0}, &found, error};
    bool again = true;
    while (again) {
        int rc = get_view(&scan, position->offset + EHI_FRAME_HEADER_BYTES);
        if (rc != ECSHIST_OK)
            return rc;
        enum ehi_look look = look_here(&scan);
        if (look == EHI_LOOK_FRAME) {
            step_behind(position, &found);
            *frame = found;
            *verdict = EHI_FRAME;
            return ECSHIST_OK;
        }
        rc = not_a_frame(&scan, look, verdict, &again);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

/* -- by headers alone -------------------------------------------------------------------------- */

static bool is_lone(const struct ehi_frame *frame, uint16_t type)
{
    struct ehi_slice rest = frame->payload;
    struct ehi_stored stored;
    return frame->record_count == 1 && ehi_stored_next(&rest, frame->compressed, &stored) &&
           stored.type == type;
}

enum skimmed { SKIM_FOUND, SKIM_FOOTER, SKIM_STOPPED };

static enum skimmed skim_segment(const struct ehi_view *view, uint16_t type,
                                 struct ehi_position *position, uint64_t *next_segment)
{
    struct ehi_frame frame;
    bool footer;
    while (ehi_frame_parse(view, position->offset, &frame, &footer)) {
        *next_segment = position->next_seq = frame.first_seq;
        if (footer)
            return SKIM_FOOTER;
        if (is_lone(&frame, type))
            return SKIM_FOUND;
        position->offset += frame.length;
    }
    return SKIM_STOPPED;
}

/* The whole segment, as far as it goes by now; with what follows it. */
static int skim_view(struct ehi_log *log, uint64_t segment, struct ehi_view *view,
                     struct ecshist_error *error)
{
    int rc = ehi_view_get(log, segment, UINT64_MAX, view, error);
    if (rc != ECSHIST_OK || view->next != 0)
        return rc;
    rc = ehi_table_refresh(log, error);
    return rc == ECSHIST_OK ? ehi_view_get(log, segment, UINT64_MAX, view, error) : rc;
}

int ehi_log_skim(struct ehi_log *log, uint16_t type, struct ehi_position *position, bool *found,
                 struct ecshist_error *error)
{
    enum skimmed skimmed = SKIM_FOOTER;
    *found = false;
    while (skimmed == SKIM_FOOTER) {
        struct ehi_view view;
        uint64_t next = 0;
        int rc = skim_view(log, position->segment, &view, error);
        if (rc == ECSHIST_NOT_FOUND)
            return ECSHIST_OK;
        if (rc != ECSHIST_OK)
            return rc;
        skimmed = skim_segment(&view, type, position, &next);
        if (skimmed == SKIM_FOOTER && (view.next == 0 || view.next != next))
            return ECSHIST_OK;
        if (skimmed == SKIM_FOOTER)
            *position = (struct ehi_position){next, EHI_SEGMENT_HEADER_BYTES, next, 0, 0};
    }
    *found = skimmed == SKIM_FOUND;
    return ECSHIST_OK;
}

void ehi_log_start(struct ehi_log *log, struct ehi_position *out)
{
    pthread_mutex_lock(&log->tables);
    uint64_t first = log->segments[0]->first_seq;
    pthread_mutex_unlock(&log->tables);
    *out = (struct ehi_position){first, EHI_SEGMENT_HEADER_BYTES, first, 0, 0};
}

int ehi_log_look_for_end(struct ehi_log *log, const struct ehi_position *position, bool *at_end,
                         struct ecshist_error *error)
{
    struct ehi_view view;
    struct ehi_frame frame;
    uint64_t need = position->offset + EHI_FRAME_HEADER_BYTES;
    *at_end = false;
    int rc = ehi_view_get(log, position->segment, need, &view, error);
    if (rc != ECSHIST_OK || view.next != 0 || position->offset > view.size)
        return rc;
    uint64_t room = view.size < need ? view.size - position->offset : EHI_FRAME_HEADER_BYTES;
    *at_end = ehi_all_zero(view.map + position->offset, room);
    if (*at_end ||
        ehi_look_at(log, &view, position->offset, position->next_seq, &frame) != EHI_LOOK_FOOTER)
        return ECSHIST_OK;
    /* Sealed, and whoever sealed it has not begun the next one. */
    rc = ehi_table_refresh(log, error);
    if (rc == ECSHIST_OK)
        rc = ehi_view_get(log, position->segment, UINT64_MAX, &view, error);
    if (rc == ECSHIST_OK)
        *at_end = view.next == 0 && ehi_trailer_offset(view.map, view.size) == position->offset;
    return rc;
}

bool ehi_log_at_end(struct ehi_log *log, const struct ehi_position *position)
{
    bool at_end;
    return ehi_log_look_for_end(log, position, &at_end, NULL) == ECSHIST_OK && at_end;
}

bool ehi_log_confirms(struct ehi_log *log, const struct ehi_position *position)
{
    struct ehi_view view;
    struct ehi_frame frame;
    bool footer;
    if (ehi_view_get(log, position->segment, position->offset, &view, NULL) != ECSHIST_OK)
        return false;
    if (position->offset > view.size)
        return false;
    if (position->frame_offset == 0)
        return position->offset == EHI_SEGMENT_HEADER_BYTES &&
               position->next_seq == position->segment;
    if (position->frame_offset % 8 != 0 || position->frame_offset < EHI_SEGMENT_HEADER_BYTES)
        return false;
    if (!ehi_frame_parse(&view, position->frame_offset, &frame, &footer) || footer)
        return false;
    return frame.checksum == position->frame_checksum &&
           frame.offset + frame.length == position->offset &&
           ehi_frame_intact(view.map, &frame, log->seed) &&
           ehi_frame_next(&frame) == position->next_seq;
}
