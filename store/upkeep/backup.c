/*
 * A backup: the log up to the head of one read of the index. Sealed segments are copied whole, the newest as far
 * as that head; what lies before a head never changes, but for segments that are cleaned, and those the lock on
 * upkeep keeps as they are.
 */
#include "upkeep/backup_internal.h"

#include "base/private.h"
#include "log/sys.h"
#include "upkeep/lock.h"
#include "upkeep/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1048576, PARTS = 3 /* bytes are copied, verified, indexed */ };

static int tell(const struct backup *b, uint64_t done)
{
    if (b->options->progress == NULL ||
        b->options->progress(b->options->progress_context, done < b->total ? done : b->total,
                             b->total))
        return ECSHIST_OK;
    return ehi_fail(b->error, ECSHIST_END, "stopped");
}

/* -- the head ---------------------------------------------------------------------------------- */

static int not_confirmed(const struct backup *b, const char *what)
{
    ehi_fail(b->error, ECSHIST_DAMAGED,
             "%s event %" PRIu64 ", which the index has applied, is not "
             "whole",
             what, b->head.next_seq - 1);
    return ehi_at(b->error, ECSHIST_DAMAGED, "%020" PRIu64 ".seg:%" PRIu64, b->head.segment,
                  b->head.offset);
}

static int take_head(struct backup *b)
{
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    int rc = ehi_store_begin_read(b->store, &db, &txn, &head, b->error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_db_abort(txn);
    ehi_db_release(db);
    b->head = ehi_head_position(&head);
    ehi_log_enter(b->store->log);
    bool confirmed = ehi_log_confirms(b->store->log, &b->head);
    ehi_log_leave(b->store->log);
    return confirmed ? ECSHIST_OK : not_confirmed(b, "in the log, the frame that ends with");
}

/* -- copying ----------------------------------------------------------------------------------- */

/* Bytes of the segment to copy, and whether it goes as it is. */
static int measure(const struct backup *b, int fd, uint64_t segment, uint64_t *bytes)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "asking for the size of %020" PRIu64 ".seg",
                              segment);
    *bytes = (uint64_t)status.st_size;
    if (!S_ISREG(status.st_mode) || (segment == b->head.segment && *bytes < b->head.offset)) {
        ehi_fail(b->error, ECSHIST_DAMAGED, "the segment is shorter than what the index has of it");
        return ehi_at(b->error, ECSHIST_DAMAGED, "%020" PRIu64 ".seg:%" PRIu64, segment, *bytes);
    }
    if (segment == b->head.segment)
        *bytes = b->head.offset;
    return ECSHIST_OK;
}

/* Where the lock could not be taken, because nothing can be written there, somebody else may have
 * it. */
static bool cleaned_later(const struct backup *b, size_t length)
{
    return length >= EHI_SEGMENT_HEADER_BYTES &&
           (ehi_get_le32(b->piece + EHI_SEG_INCOMPATIBLE) & EHI_FEATURE_GAPS) != 0 &&
           ehi_get_le64(b->piece + EHI_SEG_CLEANED_BY) >= b->head.next_seq;
}

static int copy_bytes(struct backup *b, int from, int to, uint64_t segment, uint64_t bytes)
{
    uint64_t at = 0;
    while (at < bytes) {
        size_t got, want = bytes - at < PIECE_BYTES ? (size_t)(bytes - at) : PIECE_BYTES;
        if (ehi_sys_pread_all(from, b->piece, want, at, &got) != 0)
            return ehi_fail_errno(b->error, ECSHIST_IO, "reading %020" PRIu64 ".seg", segment);
        if (got < want)
            return ehi_fail(b->error, ECSHIST_IO, "%020" PRIu64 ".seg was cut while it was read",
                            segment);
        if (at == 0 && cleaned_later(b, got))
            return ehi_fail(b->error, ECSHIST_BUSY, "a compaction of %s went on meanwhile",
                            b->store->path);
        if (ehi_sys_pwrite_all(to, b->piece, got, at, NULL) != 0)
            return ehi_fail_errno(b->error, ECSHIST_IO, "writing %s/log/%020" PRIu64 ".seg",
                                  b->path, segment);
        at += got;
        b->done += got;
        int rc = tell(b, b->done);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

/* Behind the tail there are zeros, and room for the next frames. */
static uint64_t padded(uint64_t bytes)
{
    return (bytes + ECSHIST_MIN_SEGMENT_BYTES - 1) / ECSHIST_MIN_SEGMENT_BYTES *
           ECSHIST_MIN_SEGMENT_BYTES;
}

static int copy_file(struct backup *b, int from, uint64_t segment)
{
    char name[32];
    uint64_t bytes = 0;
    backup_segment_name(segment, name);
    int rc = measure(b, from, segment, &bytes);
    if (rc != ECSHIST_OK)
        return rc;
    if (ehi_buffer_append(&b->copied, &segment, sizeof(segment)) != ECSHIST_OK)
        return ehi_fail_memory(b->error);
    int to = ehi_private_file(b->log_fd, name, O_WRONLY | O_CREAT | O_EXCL);
    if (to < 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "making %s/log/%s", b->path, name);
    rc = copy_bytes(b, from, to, segment, bytes);
    uint64_t end = segment == b->head.segment ? padded(bytes) : bytes;
    if (rc == ECSHIST_OK && (ehi_sys_zero(to, bytes, end) != 0 || ehi_sys_fsync(to) != 0))
        rc = ehi_fail_errno(b->error, ECSHIST_IO, "writing %s/log/%s", b->path, name);
    ehi_sys_close(to);
    b->out->segments++;
    b->out->bytes += end;
    return rc;
}

static int copy_segment(struct backup *b, uint64_t segment)
{
    char name[32];
    backup_segment_name(segment, name);
    int from = ehi_sys_open(b->store->log_fd, name, O_RDONLY);
    if (from < 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "opening %s in %s/log", name, b->store->path);
    int rc = copy_file(b, from, segment);
    ehi_sys_close(from);
    return rc;
}

/* -- all of it --------------------------------------------------------------------------------- */

static int copy_all(struct backup *b)
{
    uint64_t segments, file_bytes, used_bytes;
    int rc = ehi_log_sizes(b->store->log, &b->head, &segments, &file_bytes, &used_bytes, b->error);
    if (rc != ECSHIST_OK)
        return rc;
    b->total = PARTS * used_bytes;
    rc = tell(b, 0);
    uint64_t segment = ehi_log_sealed_from(b->store->log, 1);
    while (rc == ECSHIST_OK && segment != 0 && segment < b->head.segment) {
        rc = copy_segment(b, segment);
        segment = ehi_log_sealed_from(b->store->log, segment + 1);
    }
    if (rc == ECSHIST_OK)
        rc = copy_segment(b, b->head.segment);
    if (rc == ECSHIST_OK && (ehi_sys_fsync(b->log_fd) != 0 || ehi_sys_fsync(b->dir_fd) != 0))
        rc = ehi_fail_errno(b->error, ECSHIST_IO, "flushing %s", b->path);
    return rc;
}

/* The first that is found is told; what is wrong with the copy is so with the store. */
static bool tell_finding(void *context, const struct ecshist_finding *finding)
{
    struct backup *b = context;
    ehi_fail(b->error, ECSHIST_DAMAGED, "%s: %s", finding->invariant, finding->text);
    if (b->error != NULL)
        b->error->seq = finding->seq;
    ehi_at(b->error, ECSHIST_DAMAGED, "%020" PRIu64 ".seg:%" PRIu64, finding->segment,
           finding->offset);
    return false;
}

/* The second and the third time round. */
static bool part_progress(const struct backup *b, unsigned part, uint64_t done, uint64_t total)
{
    double third = (double)b->total / PARTS;
    double share = total == 0 ? 1 : (double)done / (double)total;
    return tell(b, (uint64_t)((part + share) * third)) == ECSHIST_OK;
}

static bool verify_progress(void *context, uint64_t done, uint64_t total)
{
    return part_progress(context, 1, done, total);
}

static bool index_progress(void *context, uint64_t done, uint64_t total)
{
    return part_progress(context, 2, done, total);
}

/* A frame that is not whole at the tail is no finding: whether the last one is there is asked, too. */
static int check_tail(struct backup *b)
{
    struct ehi_log *log;
    int rc = ehi_log_open(b->log_fd, b->path, ECSHIST_DEFAULT_SEGMENT_BYTES, &log, b->error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_log_enter(log);
    bool confirmed = ehi_log_confirms(log, &b->head);
    ehi_log_leave(log);
    ehi_log_close(log);
    return confirmed ? ECSHIST_OK : not_confirmed(b, "in the copy, the frame that ends with");
}

static int verify_copy(struct backup *b)
{
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    struct ecshist_error own = ECSHIST_ERROR_INIT;
    options.flags = ECSHIST_VERIFY_QUICK;
    options.progress = verify_progress;
    options.progress_context = b;
    /* Into an error of its own: where a finding ends it, that is what b->error says. */
    int rc = ehi_verify(b->path, &options, tell_finding, b, &result, &own);
    bool told = rc == ECSHIST_END && b->error->code != ECSHIST_OK;
    if (told)
        return b->error->code;
    if (rc != ECSHIST_OK) {
        *b->error = own;
        return rc;
    }
    return check_tail(b);
}

/*
 * The index is made from the copy, not copied: a copy of one that others write to would be of another moment. So each
 * event is decoded and applied once more. Whoever closes the store last leaves its index clean, on disk.
 */
static int make_index(struct backup *b)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ehi_store *copy;
    options.segment_bytes = ECSHIST_DEFAULT_SEGMENT_BYTES;
    options.progress = index_progress;
    options.progress_context = b;
    int rc = ehi_store_open(b->path, &options, &copy, b->error);
    if (rc == ECSHIST_OK)
        ehi_store_close(copy);
    return rc;
}

static int run(struct backup *b)
{
    int rc = backup_check_place(b);
    if (rc == ECSHIST_OK)
        rc = take_head(b);
    if (rc == ECSHIST_OK)
        rc = backup_make_temporary(b);
    if (rc == ECSHIST_OK)
        rc = copy_all(b);
    if (rc == ECSHIST_OK)
        rc = verify_copy(b);
    if (rc == ECSHIST_OK)
        rc = make_index(b);
    return rc == ECSHIST_OK ? backup_put_in_place(b) : rc;
}

static int run_alone(struct backup *b)
{
    int lock;
    int rc = ehi_upkeep_lock(b->store, &lock, b->error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = run(b);
    if (rc != ECSHIST_OK)
        backup_remove_temporary(b);
    ehi_upkeep_unlock(lock);
    return rc;
}

static void release(struct backup *b)
{
    ehi_sys_close(b->log_fd);
    ehi_sys_close(b->dir_fd);
    ehi_sys_close(b->parent_fd);
    ehi_buffer_free(&b->copied);
    free(b->piece);
    free(b);
}

int ehi_backup(struct ehi_store *store, const char *to,
               const struct ecshist_backup_options *options, struct ecshist_backup_result *out,
               struct ecshist_error *error)
{
    struct ecshist_error own = ECSHIST_ERROR_INIT;
    struct backup *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return ehi_fail_memory(error);
    b->store = store;
    b->options = options;
    b->out = out;
    b->error = &own;
    b->parent_fd = b->dir_fd = b->log_fd = -1;
    b->piece = malloc(PIECE_BYTES);
    int rc = b->piece != NULL ? backup_place(b, to) : ehi_fail_memory(&own);
    if (rc == ECSHIST_OK)
        rc = run_alone(b);
    if (rc == ECSHIST_OK)
        out->last_seq = b->head.next_seq - 1;
    else if (error != NULL)
        *error = own;
    release(b);
    return rc;
}
