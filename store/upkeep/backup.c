/*
 * A backup: the sealed segments as they are, the newest one as far as it went when the backup began. All of it was flushed before the
 * index knew of it, and none of it changes: nobody has to wait.
 */
#include "upkeep/backup.h"

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

enum { PIECE_BYTES = 1048576 };

struct backup {
    struct ehi_store *store;
    const struct ecshist_backup_options *options;
    struct ecshist_backup_result *out;
    struct ecshist_error *error;
    struct ehi_position tail;
    int log_fd; /* of the copy */
    uint8_t *piece;
    uint64_t total;
};

static int tell(const struct backup *b)
{
    if (b->options->progress == NULL ||
        b->options->progress(b->options->progress_context, b->out->log_bytes, b->total))
        return ECSHIST_OK;
    return ehi_fail(b->error, ECSHIST_END, "stopped");
}

static int copy_piece(const struct backup *b, int from, int to, const char *name, uint64_t at,
                      size_t wanted)
{
    size_t got;
    if (ehi_sys_pread_all(from, b->piece, wanted, at, &got) != 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "reading %s", name);
    if (got < wanted)
        return ehi_fail(b->error, ECSHIST_DAMAGED, "%s ends before it should, at byte %" PRIu64,
                        name, at + got);
    if (ehi_sys_pwrite_all(to, b->piece, wanted, at, NULL) != 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "writing the copy of %s", name);
    return ECSHIST_OK;
}

static int copy_bytes(struct backup *b, int from, int to, const char *name, uint64_t bytes)
{
    int rc = ECSHIST_OK;
    for (uint64_t at = 0; at < bytes && rc == ECSHIST_OK;) {
        size_t wanted = bytes - at < PIECE_BYTES ? (size_t)(bytes - at) : PIECE_BYTES;
        rc = copy_piece(b, from, to, name, at, wanted);
        at += wanted;
        b->out->log_bytes += wanted;
        if (rc == ECSHIST_OK)
            rc = tell(b);
    }
    if (rc == ECSHIST_OK && ehi_sys_fsync(to) != 0)
        rc = ehi_fail_errno(b->error, ECSHIST_IO, "flushing the copy of %s", name);
    return rc;
}

/* bytes: 0 for all that the file has. */
static int copy_segment(struct backup *b, uint64_t segment, uint64_t bytes)
{
    char name[32];
    struct stat status;
    snprintf(name, sizeof(name), "%020" PRIu64 ".seg", segment);
    int from = ehi_sys_open(b->store->log_fd, name, O_RDONLY);
    if (from < 0 || fstat(from, &status) != 0) {
        int rc = ehi_fail_errno(b->error, ECSHIST_IO, "opening %s", name);
        ehi_sys_close(from);
        return rc;
    }
    int to = ehi_sys_open(b->log_fd, name, O_WRONLY | O_CREAT | O_EXCL);
    int rc = to < 0 || fchmod(to, 0600) != 0
                 ? ehi_fail_errno(b->error, ECSHIST_IO, "making the copy of %s", name)
                 : copy_bytes(b, from, to, name, bytes != 0 ? bytes : (uint64_t)status.st_size);
    ehi_sys_close(to);
    ehi_sys_close(from);
    b->out->segment_count++;
    return rc;
}

static int copy_segments(struct backup *b)
{
    struct ehi_position start;
    ehi_log_start(b->store->log, &start);
    int rc = ECSHIST_OK;
    for (uint64_t s = start.segment; rc == ECSHIST_OK && s != 0 && s < b->tail.segment;
         s = ehi_log_sealed_from(b->store->log, s + 1))
        rc = copy_segment(b, s, 0);
    return rc == ECSHIST_OK ? copy_segment(b, b->tail.segment, b->tail.offset) : rc;
}

static int copy_log(struct backup *b, int dir_fd)
{
    if (mkdirat(dir_fd, "log", 0700) != 0 || fchmodat(dir_fd, "log", 0700, 0) != 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "making the directory log of the copy");
    b->log_fd = ehi_sys_open(dir_fd, "log", O_RDONLY | O_DIRECTORY);
    if (b->log_fd < 0)
        return ehi_fail_errno(b->error, ECSHIST_IO, "opening the directory log of the copy");
    int rc = copy_segments(b);
    if (rc == ECSHIST_OK && (ehi_sys_fsync(b->log_fd) != 0 || ehi_sys_fsync(dir_fd) != 0))
        rc = ehi_fail_errno(b->error, ECSHIST_IO, "flushing the directories of the copy");
    ehi_sys_close(b->log_fd);
    return rc;
}

/* -- read again -------------------------------------------------------------------------------- */

static bool first_finding(void *context, const struct ecshist_finding *finding)
{
    struct ecshist_error *error = context;
    int rc = ehi_fail(error, ECSHIST_DAMAGED, "the log is damaged, there is no backup: %s: %s",
                      finding->invariant, finding->text);
    (void)ehi_at(error, rc, "%020" PRIu64 ".seg:%" PRIu64, finding->segment, finding->offset);
    error->seq = finding->seq;
    return false;
}

static int verify(const struct backup *b, const char *temporary)
{
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    struct ecshist_error found = ECSHIST_ERROR_INIT, error = ECSHIST_ERROR_INIT;
    options.flags = ECSHIST_VERIFY_QUICK;
    int rc = ehi_verify(temporary, &options, first_finding, &found, &result, &error);
    if (rc == ECSHIST_OK || b->error == NULL)
        return rc;
    size_t size = b->error->size;
    *b->error = rc == ECSHIST_END ? found : error;
    b->error->size = size;
    return b->error->code;
}

/* -- all of it --------------------------------------------------------------------------------- */

static int find_tail(struct backup *b)
{
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    uint64_t segments, file_bytes;
    int rc = ehi_store_begin_read(b->store, &db, &txn, &head, b->error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_db_abort(txn);
    ehi_db_release(db);
    b->tail = ehi_head_position(&head);
    b->out->last_seq = head.next_seq - 1;
    return ehi_log_sizes(b->store->log, &b->tail, &segments, &file_bytes, &b->total, b->error);
}

static int copy_store(struct backup *b, const char *to)
{
    char *temporary;
    int dir_fd;
    int rc = find_tail(b);
    if (rc == ECSHIST_OK)
        rc = ehi_beside_make(to, &temporary, &dir_fd, b->error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = copy_log(b, dir_fd);
    close(dir_fd);
    if (rc == ECSHIST_OK)
        rc = verify(b, temporary);
    if (rc == ECSHIST_OK)
        rc = ehi_beside_place(temporary, to, b->error);
    if (rc != ECSHIST_OK)
        ehi_beside_remove(temporary);
    free(temporary);
    return rc;
}

int ehi_backup(struct ehi_store *store, const char *to,
               const struct ecshist_backup_options *options, struct ecshist_backup_result *out,
               struct ecshist_error *error)
{
    struct ecshist_error own = ECSHIST_ERROR_INIT;
    struct backup b = {
        .store = store, .options = options, .out = out, .error = error != NULL ? error : &own};
    int lock;
    int rc = ehi_upkeep_lock(store, &lock, b.error);
    if (rc != ECSHIST_OK)
        return rc;
    b.piece = malloc(PIECE_BYTES);
    rc = b.piece == NULL ? ehi_fail_memory(b.error) : copy_store(&b, to);
    free(b.piece);
    ehi_upkeep_unlock(lock);
    return rc;
}
