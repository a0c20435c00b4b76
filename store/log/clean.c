/*
 * Cleaning: a sealed segment is written anew without some of its records, and takes the old one's
 * place by one rename. Frames that keep all their records stay as they are, byte for byte, where records are not compressed.
 */
#include "codec/compress.h"
#include "log/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Written out in pieces of this size. */
enum { PIECE_BYTES = 1048576 };

struct cleaning {
    struct ehi_log *log;
    struct ehi_view view;
    uint64_t cleaned_by;
    ehi_log_keep_fn keep;
    void *context;
    struct ecshist_error *error;
    uint64_t removed;
    int fd;
    uint64_t written;         /* bytes of the new file */
    struct ehi_buffer pieces; /* not written yet */
    /* Where records are compressed: those of a frame expanded; the new file, and what is known of it. */
    struct ehi_arena arena;
    const uint8_t *map;
    size_t map_bytes;
    struct ehi_compressor *compressor;
};

static int cannot_write(struct cleaning *c)
{
    return ehi_fail_errno(c->error, ECSHIST_IO,
                          "cannot write the cleaned segment " EHI_SEGMENT_NAME,
                          EHI_NAME_OF(c->view.segment));
}

static int flush_pieces(struct cleaning *c)
{
    if (ehi_sys_pwrite_all(c->fd, c->pieces.data, c->pieces.length, c->written, NULL) != 0)
        return cannot_write(c);
    c->written += c->pieces.length;
    c->pieces.length = 0;
    return ECSHIST_OK;
}

/* The record stays. *record: as it was appended. */
static int judge(struct cleaning *c, const struct ehi_frame *frame, const struct ehi_stored *stored,
                 struct ehi_slice *record, bool *stays)
{
    int rc = ehi_log_expand(c->log, frame, stored, &c->arena, record, c->error);
    *stays = rc == ECSHIST_OK && c->keep(c->context, *record);
    return rc;
}

static int count_kept(struct cleaning *c, const struct ehi_frame *frame, uint32_t *kept)
{
    struct ehi_slice rest = frame->payload, record;
    struct ehi_stored stored;
    int rc = ECSHIST_OK;
    ehi_arena_reset(&c->arena);
    *kept = 0;
    while (rc == ECSHIST_OK && ehi_stored_next(&rest, frame->compressed, &stored)) {
        bool stays;
        rc = judge(c, frame, &stored, &record, &stays);
        *kept += stays;
    }
    return rc;
}

/* Compressed anew: what it referred to may be gone, and stands elsewhere in any case. */
static int put_record(struct cleaning *c, struct ehi_slice record)
{
    int rc = c->compressor == NULL
                 ? ehi_buffer_append(&c->pieces, record.data, record.length)
                 : ehi_record_compress(c->compressor, c->map, c->written, record, &c->pieces);
    return rc == ECSHIST_OK ? rc : ehi_fail_memory(c->error);
}

/* The frame with those of its records that stay, behind the pieces. */
static int build_frame(struct cleaning *c, const struct ehi_frame *frame, uint32_t kept)
{
    struct ehi_slice rest = frame->payload, record;
    struct ehi_stored stored;
    size_t start = c->pieces.length;
    uint64_t first_seq = 0;
    if (ehi_buffer_append_zeros(&c->pieces, EHI_FRAME_HEADER_BYTES) != ECSHIST_OK)
        return ehi_fail_memory(c->error);
    ehi_arena_reset(&c->arena);
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && ehi_stored_next(&rest, frame->compressed, &stored)) {
        bool stays;
        rc = judge(c, frame, &stored, &record, &stays);
        if (rc != ECSHIST_OK || !stays)
            continue;
        if (first_seq == 0)
            first_seq = stored.seq;
        rc = put_record(c, record);
    }
    size_t length = c->pieces.length - start;
    if (rc == ECSHIST_OK &&
        ehi_buffer_append_zeros(&c->pieces, ehi_align8(length) - length) != ECSHIST_OK)
        rc = ehi_fail_memory(c->error);
    if (rc == ECSHIST_OK)
        ehi_frame_fill_header(c->pieces.data + start, c->pieces.length - start, kept, first_seq,
                              c->log->seed);
    return rc;
}

static int copy_frame(struct cleaning *c, const struct ehi_frame *frame)
{
    uint32_t kept;
    int rc = count_kept(c, frame, &kept);
    if (rc != ECSHIST_OK)
        return rc;
    if (kept == frame->record_count && c->compressor == NULL)
        rc = ehi_buffer_append(&c->pieces, c->view.map + frame->offset, (size_t)frame->length) ==
                     ECSHIST_OK
                 ? ECSHIST_OK
                 : ehi_fail_memory(c->error);
    else if (kept > 0)
        rc = build_frame(c, frame, kept);
    return rc == ECSHIST_OK && c->pieces.length >= PIECE_BYTES ? flush_pieces(c) : rc;
}

static int count_frame(struct cleaning *c, const struct ehi_frame *frame)
{
    uint32_t kept;
    int rc = count_kept(c, frame, &kept);
    c->removed += frame->record_count - kept;
    return rc;
}

static int each_frame(struct cleaning *c, int (*visit)(struct cleaning *, const struct ehi_frame *))
{
    uint64_t offset = EHI_SEGMENT_HEADER_BYTES, next_seq = c->view.segment;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && offset < c->view.footer) {
        struct ehi_frame frame;
        if (ehi_look_at(c->log, &c->view, offset, next_seq, &frame) != EHI_LOOK_FRAME ||
            frame.length > c->view.footer - offset)
            return ehi_damaged(c->log, c->view.segment, offset, next_seq,
                               "no valid frame is here, and valid ones follow", c->error);
        rc = visit(c, &frame);
        offset += frame.length;
        next_seq = frame.next_seq;
    }
    return rc;
}

/* The footer is made from what was written, read again: so that is checked, too. */
static int seal_new(struct cleaning *c)
{
    struct ehi_buffer footer;
    void *map = mmap(NULL, (size_t)c->written, PROT_READ, MAP_SHARED, c->fd, 0);
    if (map == MAP_FAILED)
        return cannot_write(c);
    struct ehi_view view = {.segment = c->view.segment,
                            .map = map,
                            .size = c->written,
                            .next = c->view.next,
                            .gaps = true,
                            .compressed = c->view.compressed,
                            .cleaned_by = c->cleaned_by};
    int rc = ehi_footer_make(c->log, &view, c->written, c->view.next, &footer, c->error);
    if (rc == ECSHIST_OK && ehi_footer_write(c->fd, &footer, c->written, c->written) != 0)
        rc = cannot_write(c);
    munmap(map, (size_t)c->written);
    ehi_buffer_free(&footer);
    return rc;
}

/* A map of what will be written, to compress against: as far as the old file and what a frame adds. */
static int begin_compressing(struct cleaning *c)
{
    if (!c->view.compressed)
        return ECSHIST_OK;
    c->compressor = ehi_compressor_new();
    if (c->compressor == NULL)
        return ehi_fail_memory(c->error);
    size_t bytes = (size_t)c->view.size * 2 + EHI_MAP_SLACK_BYTES;
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, c->fd, 0);
    if (map == MAP_FAILED)
        return cannot_write(c);
    c->map = map;
    c->map_bytes = bytes;
    return ECSHIST_OK;
}

static void end_compressing(struct cleaning *c)
{
    ehi_compressor_free(c->compressor);
    if (c->map != NULL)
        munmap((void *)(uintptr_t)c->map, c->map_bytes);
}

static int write_new(struct cleaning *c)
{
    uint8_t header[EHI_SEGMENT_HEADER_BYTES];
    ehi_segment_fill_header(header, c->view.segment, c->log->store_id,
                            c->view.compressed ? EHI_FEATURE_COMPRESSED : 0, c->cleaned_by);
    if (ehi_buffer_append(&c->pieces, header, sizeof(header)) != ECSHIST_OK)
        return ehi_fail_memory(c->error);
    int rc = begin_compressing(c);
    if (rc == ECSHIST_OK)
        rc = each_frame(c, copy_frame);
    if (rc == ECSHIST_OK)
        rc = flush_pieces(c);
    end_compressing(c);
    if (rc == ECSHIST_OK)
        rc = seal_new(c);
    if (rc == ECSHIST_OK && ehi_sys_fsync(c->fd) != 0)
        rc = cannot_write(c);
    return rc;
}

static int put_in_place(struct cleaning *c, const char *fresh, const char *name)
{
    if (ehi_sys_rename(c->log->dirfd, fresh, name) != 0)
        return cannot_write(c);
    if (ehi_sys_fsync(c->log->dirfd) != 0)
        return ehi_fail_errno(c->error, ECSHIST_IO, "cannot flush the log's directory");
    return ECSHIST_OK;
}

static int rewrite(struct cleaning *c, struct ehi_cleaning *out)
{
    char fresh[EHI_SEGMENT_NAME_BYTES], name[EHI_SEGMENT_NAME_BYTES];
    struct stat status;
    ehi_segment_name(c->view.segment, "tmp", fresh);
    ehi_segment_name(c->view.segment, "seg", name);
    c->fd = ehi_sys_open(c->log->dirfd, fresh, O_RDWR | O_CREAT | O_TRUNC);
    if (c->fd < 0)
        return cannot_write(c);
    int rc = write_new(c);
    if (rc == ECSHIST_OK && fstat(c->fd, &status) != 0)
        rc = cannot_write(c);
    ehi_sys_close(c->fd);
    if (rc == ECSHIST_OK)
        rc = put_in_place(c, fresh, name);
    else
        ehi_sys_unlink(c->log->dirfd, fresh);
    if (rc == ECSHIST_OK)
        *out = (struct ehi_cleaning){c->removed, c->view.size, (uint64_t)status.st_size};
    return rc;
}

int ehi_log_clean(struct ehi_log *log, uint64_t segment, uint64_t cleaned_by, ehi_log_keep_fn keep,
                  void *context, struct ehi_cleaning *out, struct ecshist_error *error)
{
    struct cleaning c = {
        .log = log, .cleaned_by = cleaned_by, .keep = keep, .context = context, .error = error};
    int rc = ehi_view_get(log, segment, 0, &c.view, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (c.view.next == 0)
        return ehi_fail(error, ECSHIST_NOT_FOUND, "the segment " EHI_SEGMENT_NAME " is not sealed",
                        EHI_NAME_OF(segment));
    if (c.view.footer == 0)
        return ehi_damaged(log, segment, c.view.size, c.view.next, "the footer is not whole",
                           error);
    *out = (struct ehi_cleaning){0, c.view.size, c.view.size};
    if (c.view.cleaned_by >= cleaned_by)
        return ECSHIST_OK;
    rc = each_frame(&c, count_frame);
    if (rc == ECSHIST_OK && c.removed > 0)
        rc = rewrite(&c, out);
    ehi_buffer_free(&c.pieces);
    ehi_arena_free(&c.arena);
    return rc;
}

int ehi_log_sweep(struct ehi_log *log, struct ecshist_error *error)
{
    return ehi_segment_sweep(log->dirfd, "tmp", error);
}

uint64_t ehi_log_sealed_from(struct ehi_log *log, uint64_t seq)
{
    uint64_t found = 0;
    pthread_mutex_lock(&log->tables);
    for (size_t i = 0; i + 1 < log->segment_count && found == 0; i++) {
        if (log->segments[i]->first_seq >= seq)
            found = log->segments[i]->first_seq;
    }
    pthread_mutex_unlock(&log->tables);
    return found;
}

bool ehi_log_cleaned(struct ehi_log *log, uint64_t segment, uint64_t expired_by)
{
    struct ehi_view view;
    return ehi_view_get(log, segment, 0, &view, NULL) == ECSHIST_OK &&
           view.cleaned_by >= expired_by;
}

/* -- times ------------------------------------------------------------------------------------- */

struct times {
    bool any;
    int64_t min_us, max_us;
};

static void take_time(struct times *times, int64_t time_us)
{
    if (!times->any || time_us < times->min_us)
        times->min_us = time_us;
    if (!times->any || time_us > times->max_us)
        times->max_us = time_us;
    times->any = true;
}

static void take_footer(struct times *times, const struct ehi_view *view)
{
    const uint8_t *footer = view->map + view->footer + EHI_FRAME_HEADER_BYTES;
    if (ehi_get_le64(footer + EHI_FOOT_EVENTS) == 0)
        return;
    take_time(times, (int64_t)ehi_get_le64(footer + EHI_FOOT_MIN_TIME));
    take_time(times, (int64_t)ehi_get_le64(footer + EHI_FOOT_MAX_TIME));
}

static void take_frames(struct times *times, const struct ehi_view *view, uint64_t end)
{
    struct ehi_frame frame;
    bool footer;
    for (uint64_t at = EHI_SEGMENT_HEADER_BYTES; at < end; at += frame.length) {
        if (!ehi_frame_parse(view, at, &frame, &footer) || footer)
            return;
        struct ehi_slice rest = frame.payload;
        struct ehi_stored record;
        while (ehi_stored_next(&rest, frame.compressed, &record))
            take_time(times, record.time_us);
    }
}

int ehi_log_times(struct ehi_log *log, const struct ehi_position *tail, bool *any, int64_t *min_us,
                  int64_t *max_us, struct ecshist_error *error)
{
    struct times times = {0};
    struct ehi_position at;
    ehi_log_start(log, &at);
    uint64_t segment = at.segment;
    while (segment != 0 && segment <= tail->segment) {
        struct ehi_view view;
        int rc =
            ehi_view_get(log, segment, tail->segment == segment ? tail->offset : 0, &view, error);
        if (rc != ECSHIST_OK)
            return rc;
        if (segment < tail->segment && view.footer != 0)
            take_footer(&times, &view);
        else
            take_frames(&times, &view, segment == tail->segment ? tail->offset : view.size);
        segment = view.next;
    }
    *any = times.any;
    *min_us = times.min_us;
    *max_us = times.max_us;
    return ECSHIST_OK;
}
