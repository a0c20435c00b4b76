/* Footers and trailers: all that they say is made again from the frames. */
#include "upkeep/verify_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1048576 };

uint64_t verify_trailer(struct verify_file *file)
{
    if (file->size < EHI_SEGMENT_HEADER_BYTES + EHI_SEGMENT_TRAILER_BYTES)
        return 0;
    uint64_t end = file->size - EHI_SEGMENT_TRAILER_BYTES;
    const uint8_t *trailer = verify_file_at(file, end, EHI_SEGMENT_TRAILER_BYTES);
    if (trailer == NULL || memcmp(trailer + 8, EHI_SEGMENT_END, 8) != 0)
        return 0;
    uint64_t offset = ehi_get_le64(trailer);
    return offset >= EHI_SEGMENT_HEADER_BYTES && offset % 8 == 0 && offset < end ? offset : 0;
}

/* The checksum of all before the footer. */
static int hash_content(struct verify_scan *s, uint64_t end, uint64_t *out)
{
    struct ehi_hash_stream *stream = ehi_hash_stream_new(s->v->seed);
    if (stream == NULL)
        return ehi_fail_memory(s->v->error);
    int rc = ECSHIST_OK;
    for (uint64_t at = 0; at < end && rc == ECSHIST_OK; at += PIECE) {
        size_t length = end - at < PIECE ? (size_t)(end - at) : PIECE;
        const uint8_t *bytes = verify_file_at(&s->file, at, length);
        if (bytes == NULL)
            rc = verify_unread(s);
        else
            ehi_hash_stream_add(stream, bytes, length);
    }
    *out = ehi_hash_stream_value(stream);
    ehi_hash_stream_free(stream);
    return rc;
}

/* A number of the footer: what it says and what the frames say. */
struct figure {
    const char *name;
    uint64_t says, is;
};

static int check_figures(struct verify_scan *s, const struct verify_frame *frame,
                         const struct figure *figures, size_t count)
{
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < count && rc == ECSHIST_OK; i++) {
        if (figures[i].says != figures[i].is)
            rc = verify_finding(s->v, BROKEN_L6, verify_here(s, frame->offset, frame->first_seq),
                                "the footer says that the %s is %" PRIu64 ", and it is %" PRIu64,
                                figures[i].name, figures[i].says, figures[i].is);
    }
    return rc;
}

static int check_content(struct verify_scan *s, const struct verify_frame *frame,
                         const uint8_t footer[EHI_FOOTER_BYTES])
{
    uint64_t content = 0;
    int rc = hash_content(s, frame->offset, &content);
    const struct figure figures[] = {
        {"first seq", ehi_get_le64(footer + EHI_FOOT_FIRST_SEQ), s->segment->first_seq},
        {"last seq", ehi_get_le64(footer + EHI_FOOT_LAST_SEQ), frame->first_seq - 1},
        {"number of events", ehi_get_le64(footer + EHI_FOOT_EVENTS), s->events},
        {"number of ignored events", ehi_get_le64(footer + EHI_FOOT_IGNORED), s->ignored},
        {"least time", ehi_get_le64(footer + EHI_FOOT_MIN_TIME), (uint64_t)s->min_time},
        {"greatest time", ehi_get_le64(footer + EHI_FOOT_MAX_TIME), (uint64_t)s->max_time},
        {"checksum of all before it", ehi_get_le64(footer + EHI_FOOT_CONTENT), content},
        {"number of entries", ehi_get_le32(footer + EHI_FOOT_ENTRIES), s->entry_count},
    };
    if (rc == ECSHIST_OK)
        rc = check_figures(s, frame, figures, sizeof(figures) / sizeof(figures[0]));
    return rc;
}

static int check_entries(struct verify_scan *s, const struct verify_frame *frame)
{
    size_t length = s->entry_count * EHI_FOOTER_ENTRY_BYTES;
    uint64_t at = frame->offset + EHI_FRAME_HEADER_BYTES + EHI_FOOTER_BYTES;
    bool same = frame->payload == EHI_FOOTER_BYTES + length;
    const uint8_t *entries = same && length != 0 ? verify_file_at(&s->file, at, length) : NULL;
    if (s->file.failed != 0)
        return verify_unread(s);
    if (entries != NULL)
        same = memcmp(entries, s->entries, length) == 0;
    if (same)
        return ECSHIST_OK;
    return verify_finding(s->v, BROKEN_L6, verify_here(s, frame->offset, frame->first_seq),
                          "the footer's entries are not those of the segment's frames");
}

/* A newest segment may be without: the seal was under way. */
static int check_trailer(struct verify_scan *s, const struct verify_frame *frame)
{
    uint64_t named = verify_trailer(&s->file);
    uint64_t end = frame->offset + frame->length;
    if (s->file.failed != 0)
        return verify_unread(s);
    if (named == 0 && s->newest)
        return ECSHIST_OK;
    if (named != frame->offset)
        return verify_finding(s->v, BROKEN_L6, verify_here(s, s->file.size, 0),
                              named == 0 ? "the sealed segment has no trailer"
                                         : "the trailer names another place than the footer's");
    if (end <= s->file.size - EHI_SEGMENT_TRAILER_BYTES &&
        verify_file_zero(&s->file, end, s->file.size - EHI_SEGMENT_TRAILER_BYTES))
        return ECSHIST_OK;
    return verify_finding(s->v, BROKEN_L6, verify_here(s, end, 0),
                          "between the footer and the trailer there is something");
}

static int check_next(struct verify_scan *s, const struct verify_frame *frame)
{
    uint64_t next = frame->first_seq;
    if (s->frames == 0 && !s->segment->gaps)
        return verify_finding(s->v, BROKEN_L6, verify_here(s, frame->offset, next),
                              "the segment is sealed without a frame in it");
    if (next > s->next)
        return verify_missing(s, frame->offset, s->next, next);
    if (next == s->next && next != s->segment->first_seq)
        return ECSHIST_OK;
    s->v->events_lost = true;
    return verify_finding(s->v, BROKEN_L6, verify_here(s, frame->offset, next),
                          "the footer says that event %" PRIu64 " begins the next segment, and "
                          "event %" PRIu64 " should",
                          next, s->next);
}

int verify_seal(struct verify_scan *s, const struct verify_frame *frame)
{
    uint8_t footer[EHI_FOOTER_BYTES];
    const uint8_t *bytes =
        verify_file_at(&s->file, frame->offset + EHI_FRAME_HEADER_BYTES, sizeof(footer));
    if (bytes == NULL)
        return verify_unread(s);
    memcpy(footer, bytes, sizeof(footer));
    /* What was lost before it is in the footer's numbers: they would differ for that alone. */
    int rc = s->damaged ? ECSHIST_OK : check_next(s, frame);
    if (rc == ECSHIST_OK && !s->damaged)
        rc = check_content(s, frame, footer);
    if (rc == ECSHIST_OK && !s->damaged)
        rc = check_entries(s, frame);
    if (rc == ECSHIST_OK)
        rc = check_trailer(s, frame);
    s->next = frame->first_seq;
    return rc;
}
