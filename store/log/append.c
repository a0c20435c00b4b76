/*
 * Appending. The file has zeros ahead of the tail, so that a frame overwrites blocks that are there and
 * its fdatasync has no metadata to write.
 */
#include "codec/compress.h"
#include "log/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#ifdef ECSHIST_TEST_HOOKS
void (*ehi_log_test_after_flush)(void);
#endif

int ehi_log_lock(struct ehi_log *log, struct ecshist_error *error)
{
    pthread_mutex_lock(&log->writer);
    if (ehi_sys_lock(log->dirfd) == 0)
        return ECSHIST_OK;
    pthread_mutex_unlock(&log->writer);
    return ehi_fail_errno(error, ECSHIST_IO, "cannot lock %s", log->path);
}

int ehi_log_trylock(struct ehi_log *log, bool *locked, struct ecshist_error *error)
{
    *locked = pthread_mutex_trylock(&log->writer) == 0;
    if (!*locked || ehi_sys_trylock(log->dirfd) == 0)
        return ECSHIST_OK;
    *locked = false;
    pthread_mutex_unlock(&log->writer);
    if (errno == EWOULDBLOCK)
        return ECSHIST_OK;
    return ehi_fail_errno(error, ECSHIST_IO, "cannot lock %s", log->path);
}

void ehi_log_unlock(struct ehi_log *log)
{
    ehi_sys_unlock(log->dirfd);
    pthread_mutex_unlock(&log->writer);
}

void ehi_log_forked(struct ehi_log *log)
{
    ehi_sys_close(log->dirfd);
    log->dirfd = -1;
}

static int open_for_writing(struct ehi_log *log, uint64_t segment, struct ecshist_error *error)
{
    char name[EHI_SEGMENT_NAME_BYTES];
    if (log->write_segment == segment)
        return ECSHIST_OK;
    ehi_compressor_free(log->compressor);
    log->compressor = NULL;
    ehi_sys_close(log->write_fd);
    log->write_segment = 0;
    ehi_segment_name(segment, "seg", name);
    log->write_fd = ehi_sys_open(log->dirfd, name, O_RDWR);
    if (log->write_fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot open the segment %s for writing", name);
    log->write_segment = segment;
    return ECSHIST_OK;
}

static int not_in_order(const struct ehi_position *position, struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_MISUSE, "the records do not follow one another from seq %llu",
                    EHI_NAME_OF(position->next_seq));
}

static int check_records(const struct ehi_position *position, const struct ehi_framed *records,
                         uint32_t count, uint64_t first_seq, struct ecshist_error *error)
{
    uint64_t bytes = 0;
    bool follow = count != 0 && first_seq == position->next_seq;
    for (uint32_t i = 0; i < count && follow; i++) {
        struct ehi_slice rest = records[i].record;
        struct ehi_stored stored;
        bytes += rest.length;
        follow = ehi_stored_next(&rest, false, &stored) && rest.length == 0 &&
                 stored.seq == first_seq + i;
    }
    if (!follow)
        return not_in_order(position, error);
    if (bytes > EHI_FRAME_MAX_PAYLOAD)
        return ehi_fail(error, ECSHIST_LIMIT, "%llu bytes are more than one append may have",
                        EHI_NAME_OF(bytes));
    return ECSHIST_OK;
}

static int check_append(struct ehi_log *log, const struct ehi_position *position,
                        const struct ehi_framed *records, uint32_t count, uint64_t first_seq,
                        struct ecshist_error *error)
{
    bool at_end;
    int rc = check_records(position, records, count, first_seq, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_log_look_for_end(log, position, &at_end, error);
    if (rc == ECSHIST_NOT_FOUND || (rc == ECSHIST_OK && !at_end))
        rc = ehi_fail(error, ECSHIST_MISUSE, "seq %llu is not the log's tail any more",
                      EHI_NAME_OF(position->next_seq));
    return rc;
}

/* The records behind the frame's header, as the segment takes them. */
static int fill_records(struct ehi_log *log, const struct ehi_view *view, uint64_t frame_offset,
                        struct ehi_framed *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct ehi_slice record = records[i].record;
        records[i].offset = frame_offset + log->buffer.length;
        int rc = view->compressed ? ehi_record_compress(log->compressor, view->map, frame_offset,
                                                        record, &log->buffer)
                                  : ehi_buffer_append(&log->buffer, record.data, record.length);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int fill_buffer(struct ehi_log *log, const struct ehi_view *view, uint64_t frame_offset,
                       struct ehi_framed *records, uint32_t count, uint64_t first_seq)
{
    struct ehi_buffer *buffer = &log->buffer;
    buffer->length = 0;
    if (view->compressed && log->compressor == NULL)
        log->compressor = ehi_compressor_new();
    int rc = view->compressed && log->compressor == NULL ? ECSHIST_NO_MEMORY : ECSHIST_OK;
    if (rc == ECSHIST_OK)
        rc = ehi_buffer_append_zeros(buffer, EHI_FRAME_HEADER_BYTES);
    if (rc == ECSHIST_OK)
        rc = fill_records(log, view, frame_offset, records, count);
    if (rc == ECSHIST_OK)
        rc = ehi_buffer_append_zeros(buffer, ehi_align8(buffer->length) - buffer->length);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_frame_fill_header(buffer->data, buffer->length, count, first_seq, log->seed);
    return ECSHIST_OK;
}

static uint64_t prefill_end(struct ehi_log *log, uint64_t frame_end)
{
    uint64_t limit = log->segment_bytes & ~(uint64_t)7;
    uint32_t step = log->prefill_bytes != 0 ? log->prefill_bytes : EHI_PREFILL_FIRST_BYTES;
    uint64_t end = (frame_end / step + 1) * step;
    log->prefill_bytes = step < EHI_PREFILL_BYTES ? step * 2 : step;
    if (end > limit)
        end = limit;
    return end > frame_end ? end : frame_end;
}

/*
 * Room for the frame, where there is none ahead: a disk that is full is found before anything of the
 * frame is written, and no hole is left. Zeros for more than this frame are only a help, and may fail.
 */
static int make_room(struct ehi_log *log, uint64_t size, uint64_t frame_end)
{
    if (frame_end <= size)
        return 0;
    if (log->buffer.length >= EHI_LARGE_FRAME_BYTES)
        return ehi_sys_reserve(log->write_fd, size, frame_end);
    if (ehi_sys_zero(log->write_fd, size, frame_end) != 0)
        return -1;
    (void)!ehi_sys_zero(log->write_fd, frame_end, prefill_end(log, frame_end));
    return 0;
}

static int write_frame(struct ehi_log *log, const struct ehi_position *position,
                       struct ecshist_error *error)
{
    struct ehi_view view;
    size_t written;
    uint64_t end = position->offset + log->buffer.length;
    int rc = ehi_view_get(log, position->segment, end, &view, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (make_room(log, view.size, end) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot make room in the log");
    if (ehi_sys_pwrite_all(log->write_fd, log->buffer.data, log->buffer.length, position->offset,
                           &written) != 0) {
        if (written == 0)
            return ehi_fail_errno(error, ECSHIST_IO, "cannot write to the log");
        return ehi_fail_errno(error, ECSHIST_OUTCOME_UNKNOWN,
                              "a write to the log failed: the append may or may not be durable");
    }
    return ECSHIST_OK;
}

/* The segment is full, or sealed already by somebody who did not get further. */
static int needs_next(struct ehi_log *log, const struct ehi_position *position, bool *needs,
                      struct ecshist_error *error)
{
    struct ehi_view view;
    struct ehi_frame frame;
    uint64_t need = position->offset + EHI_FRAME_HEADER_BYTES;
    int rc = ehi_view_get(log, position->segment, need, &view, error);
    if (rc != ECSHIST_OK)
        return rc;
    bool full =
        position->offset >= log->segment_bytes && position->offset > EHI_SEGMENT_HEADER_BYTES;
    *needs = full || ehi_look_at(log, &view, position->offset, position->next_seq, &frame) ==
                         EHI_LOOK_FOOTER;
    return ECSHIST_OK;
}

/*
 * A footer that stands there already is written again: whoever wrote it may have failed to flush it, and
 * nothing may follow a footer that is not durable.
 */
static int begin_next(struct ehi_log *log, struct ehi_position *position, uint64_t size,
                      struct ecshist_error *error)
{
    uint64_t first = position->next_seq;
    int rc = ehi_seal(log, log->write_fd, position, error);
    if (rc == ECSHIST_OK)
        rc = ehi_segment_sweep(log->dirfd, "new", error);
    if (rc == ECSHIST_OK)
        rc = ehi_segment_make(log->dirfd, first, log->store_id, size, error);
    if (rc == ECSHIST_OK)
        rc = ehi_table_refresh(log, error);
    if (rc != ECSHIST_OK)
        return rc;
    *position = (struct ehi_position){first, EHI_SEGMENT_HEADER_BYTES, first, 0, 0};
    return open_for_writing(log, first, error);
}

int ehi_log_write(struct ehi_log *log, struct ehi_position *position, struct ehi_framed *records,
                  uint32_t count, uint64_t first_seq, struct ecshist_error *error)
{
    struct ehi_view view;
    bool next = false;
    int rc = check_append(log, position, records, count, first_seq, error);
    if (rc == ECSHIST_OK)
        rc = open_for_writing(log, position->segment, error);
    if (rc == ECSHIST_OK)
        rc = needs_next(log, position, &next, error);
    if (rc == ECSHIST_OK && next)
        rc = begin_next(log, position, prefill_end(log, EHI_SEGMENT_HEADER_BYTES), error);
    if (rc == ECSHIST_OK)
        rc = ehi_view_get(log, position->segment, position->offset, &view, error);
    if (rc == ECSHIST_OK &&
        fill_buffer(log, &view, position->offset, records, count, first_seq) != ECSHIST_OK)
        rc = ehi_fail_memory(error);
    if (rc == ECSHIST_OK)
        rc = write_frame(log, position, error);
    if (rc != ECSHIST_OK)
        return rc;
    position->frame_offset = position->offset;
    position->frame_checksum = ehi_get_le64(log->buffer.data + EHI_FRAME_CHECKSUM);
    position->offset += log->buffer.length;
    position->next_seq += count;
    return ECSHIST_OK;
}

void ehi_log_begin_flush(const struct ehi_log *log, const struct ehi_position *position)
{
    ehi_sys_begin_flush(log->write_fd, position->frame_offset,
                        position->offset - position->frame_offset);
}

int ehi_log_flush(struct ehi_log *log, struct ecshist_error *error)
{
    if (ehi_sys_fdatasync(log->write_fd) != 0)
        return ehi_fail_errno(error, ECSHIST_OUTCOME_UNKNOWN,
                              "a flush of the log failed: the append may or may not be durable");
#ifdef ECSHIST_TEST_HOOKS
    if (ehi_log_test_after_flush != NULL)
        ehi_log_test_after_flush();
#endif
    return ECSHIST_OK;
}

/* One behind the other, each for itself. false: they are not so many. */
static bool part(struct ehi_slice records, uint32_t count, struct ehi_framed *out)
{
    struct ehi_stored stored;
    for (uint32_t i = 0; i < count; i++) {
        if (!ehi_stored_next(&records, false, &stored))
            return false;
        out[i].record = stored.bytes;
    }
    return count != 0 && records.length == 0;
}

int ehi_log_append(struct ehi_log *log, struct ehi_position *position, struct ehi_slice records,
                   uint32_t count, uint64_t first_seq, uint64_t *offsets,
                   struct ecshist_error *error)
{
    if (count > records.length / EHI_RECORD_HEADER_BYTES)
        return not_in_order(position, error);
    struct ehi_framed *framed = calloc(count != 0 ? count : 1, sizeof(*framed));
    if (framed == NULL)
        return ehi_fail_memory(error);
    int rc = part(records, count, framed)
                 ? ehi_log_write(log, position, framed, count, first_seq, error)
                 : not_in_order(position, error);
    for (uint32_t i = 0; i < count && rc == ECSHIST_OK && offsets != NULL; i++)
        offsets[i] = framed[i].offset;
    free(framed);
    return rc == ECSHIST_OK ? ehi_log_flush(log, error) : rc;
}

int ehi_log_roll(struct ehi_log *log, struct ehi_position *position, struct ecshist_error *error)
{
    if (!ehi_log_at_end(log, position))
        return ehi_fail(error, ECSHIST_MISUSE, "seq %llu is not the log's tail any more",
                        EHI_NAME_OF(position->next_seq));
    if (position->offset == EHI_SEGMENT_HEADER_BYTES)
        return ECSHIST_OK;
    int rc = open_for_writing(log, position->segment, error);
    /* As small as a new log: what comes may be little. */
    return rc == ECSHIST_OK ? begin_next(log, position, ECSHIST_MIN_SEGMENT_BYTES, error) : rc;
}

int ehi_log_cut(struct ehi_log *log, const struct ehi_position *position,
                struct ecshist_error *error)
{
    struct ehi_view view;
    int rc = ehi_table_refresh(log, error);
    if (rc == ECSHIST_OK)
        rc = ehi_view_get(log, position->segment, UINT64_MAX, &view, error);
    if (rc == ECSHIST_OK)
        rc = open_for_writing(log, position->segment, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (view.next != 0 || position->offset < EHI_SEGMENT_HEADER_BYTES)
        return ehi_fail(error, ECSHIST_MISUSE, "only the log's tail is ever cut off");
    if (ehi_sys_zero(log->write_fd, position->offset, view.size) != 0 ||
        ehi_sys_fdatasync(log->write_fd) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot cut off the log's torn tail");
    return ECSHIST_OK;
}

void ehi_log_trim(struct ehi_log *log, const struct ehi_position *tail)
{
    enum { BLOCK_BYTES = 4096 };
    struct ehi_view view;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    uint64_t end = (tail->offset + BLOCK_BYTES - 1) & ~(uint64_t)(BLOCK_BYTES - 1);
    if (ehi_view_get(log, tail->segment, UINT64_MAX, &view, &error) != ECSHIST_OK ||
        view.next != 0 || view.size < end + EHI_PREFILL_FIRST_BYTES || !ehi_log_at_end(log, tail) ||
        !ehi_all_zero(view.map + tail->offset, view.size - tail->offset) ||
        open_for_writing(log, tail->segment, &error) != ECSHIST_OK)
        return;
    (void)!ehi_sys_truncate(log->write_fd, end);
}

/*
 * Written again, not only flushed: after a flush that failed the kernel takes the pages for clean. Only
 * the last frame can be in doubt, as nobody appends behind one that he did not flush or settle.
 */
int ehi_log_settle(struct ehi_log *log, const struct ehi_position *tail,
                   struct ecshist_error *error)
{
    struct ehi_view view;
    int rc = ehi_view_get(log, tail->segment, tail->offset, &view, error);
    if (rc != ECSHIST_OK && rc != ECSHIST_NOT_FOUND)
        return rc;
    if (!ehi_log_confirms(log, tail))
        return ehi_fail(error, ECSHIST_MISUSE, "not a position of the log");
    if (ehi_sys_fsync(log->dirfd) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot flush the log's directory");
    if (tail->frame_offset == 0)
        return ECSHIST_OK;
    rc = open_for_writing(log, tail->segment, error);
    if (rc != ECSHIST_OK)
        return rc;
    log->buffer.length = 0;
    if (ehi_buffer_append(&log->buffer, view.map + tail->frame_offset,
                          (size_t)(tail->offset - tail->frame_offset)) != ECSHIST_OK)
        return ehi_fail_memory(error);
    if (ehi_sys_pwrite_all(log->write_fd, log->buffer.data, log->buffer.length, tail->frame_offset,
                           NULL) != 0 ||
        ehi_sys_fdatasync(log->write_fd) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot flush the log's last frame");
    return ECSHIST_OK;
}
