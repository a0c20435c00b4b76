/* From the log to the index: catching up, and making the index anew. */
#include "base/clock.h"
#include "base/private.h"
#include "codec/record.h"
#include "fold/expire.h"
#include "fold/expired.h"
#include "fold/mark.h"
#include "fold/store.h"
#include "log/sys.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A commit: events enough that a page is written once for many of them, few enough that memory
 * stays small. */
enum { REPLAY_EVENTS = 1 << 18, REPLAY_BYTES = 96 << 20 };

struct replay {
    struct ehi_store *store;
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_batch *batch;
    struct ehi_position position; /* behind what the batch holds */
    struct ehi_expired expired;   /* by what lies ahead */
    bool repairs;                 /* a torn tail is cut off, the last frame flushed again */
    ecshist_progress_fn progress;
    void *context;
    uint64_t done_bytes, total_bytes;
};

static int begin(struct replay *r, struct ecshist_error *error)
{
    int rc = ehi_db_begin(r->db, true, &r->txn, error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_db_head head = {0};
    bool found;
    rc = ehi_db_get_head(r->txn, &head, &found, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (!found) {
        struct ehi_position start;
        ehi_log_start(r->store->log, &start);
        ehi_head_set_position(&head, &start);
        memcpy(head.store_id, ehi_log_store_id(r->store->log), 16);
        head.index_format = EHI_INDEX_FORMAT;
        head.next_id = 1;
        ehi_batch_from_scratch(r->batch);
    }
    r->position = ehi_head_position(&head);
    ehi_batch_begin(r->batch, r->txn, r->store->log, &head);
    return ECSHIST_OK;
}

static int commit(struct replay *r, struct ecshist_error *error)
{
    ehi_head_set_position(ehi_batch_head(r->batch), &r->position);
    int rc = ehi_batch_put(r->batch, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_db_commit(r->txn, error);
    r->txn = NULL;
    if (rc == ECSHIST_OK && r->progress != NULL &&
        !r->progress(r->context, r->done_bytes, r->total_bytes))
        return ehi_fail(error, ECSHIST_END, "stopped");
    return rc;
}

/* What the batch holds is put first: it is folded onto the index itself. */
static int replay_expiry(struct replay *r, struct ehi_slice record, uint64_t offset,
                         struct ecshist_error *error)
{
    if (!ehi_record_intact(record, ehi_log_seed(r->store->log)))
        return ehi_fail(error, ECSHIST_DAMAGED, "event %llu of the log is not whole",
                        (unsigned long long)ehi_get_le64(record.data + EHI_REC_SEQ));
    int rc = ehi_batch_put(r->batch, error);
    struct ehi_db_head head = *ehi_batch_head(r->batch);
    if (rc == ECSHIST_OK)
        rc = ehi_expire(r->txn, r->store->log, &head, record, offset, error);
    ehi_batch_begin(r->batch, r->txn, r->store->log, &head);
    return rc;
}

static int replay_record(struct replay *r, const struct ehi_frame *frame,
                         const struct ehi_stored *stored, struct ecshist_error *error)
{
    struct ehi_slice record;
    int rc =
        ehi_log_expand(r->store->log, frame, stored, ehi_batch_arena(r->batch), &record, error);
    if (rc != ECSHIST_OK)
        return rc;
    uint64_t seq = stored->seq;
    uint64_t offset = frame->offset + EHI_FRAME_HEADER_BYTES +
                      (uint64_t)(stored->bytes.data - frame->payload.data);
    if (frame->gaps)
        ehi_batch_skip_to(r->batch, seq);
    if (ehi_get_le16(record.data + EHI_REC_TYPE) == EHI_HISTORY_EXPIRED)
        return replay_expiry(r, record, offset, error);
    if (ehi_expired_has(&r->expired, record)) {
        ehi_batch_skip_to(r->batch, seq + 1);
        return ECSHIST_OK;
    }
    bool restated = false;
    if (ehi_get_le16(record.data + EHI_REC_TYPE) == EHI_SERVICE_DELETED)
        restated =
            ehi_expired_restates(&r->expired,
                                 ehi_slice(record.data + EHI_RECORD_HEADER_BYTES,
                                           ehi_get_le16(record.data + EHI_REC_SUBJECT_BYTES)),
                                 seq);
    return ehi_batch_replay(r->batch, record, offset, restated, error);
}

static int replay_frame(struct replay *r, const struct ehi_frame *frame,
                        struct ecshist_error *error)
{
    struct ehi_slice rest = frame->payload;
    struct ehi_stored stored;
    int rc = ECSHIST_OK;
    /* The log has seen to it that frames follow; before this one some may have been cleaned away. */
    ehi_batch_skip_to(r->batch, frame->first_seq);
    while (rc == ECSHIST_OK && ehi_stored_next(&rest, frame->compressed, &stored))
        rc = replay_record(r, frame, &stored, error);
    r->done_bytes += frame->length;
    if (rc == ECSHIST_OK && ehi_batch_head(r->batch)->next_seq != frame->next_seq)
        return ehi_fail(error, ECSHIST_DAMAGED,
                        "the log's frames hold other events than they say, before event %llu",
                        (unsigned long long)frame->next_seq);
    return rc;
}

/* At the end of what is there. Nothing is shown that a power cut could still take back: whoever wrote the
 * last frame may not have flushed it. */
static int settle(struct replay *r, enum ehi_verdict verdict, struct ecshist_error *error)
{
    if (!r->repairs)
        return ECSHIST_OK;
    int rc =
        verdict == EHI_TORN_TAIL ? ehi_log_cut(r->store->log, &r->position, error) : ECSHIST_OK;
    return rc == ECSHIST_OK ? ehi_log_settle(r->store->log, &r->position, error) : rc;
}

static bool is_full(const struct ehi_batch *batch)
{
    return ehi_batch_count(batch) >= REPLAY_EVENTS || ehi_batch_bytes(batch) >= REPLAY_BYTES;
}

static int replay_all(struct replay *r, struct ecshist_error *error)
{
    int rc = begin(r, error);
    if (rc == ECSHIST_OK)
        rc = ehi_expired_read(&r->expired, r->store->log, r->position, error);
    while (rc == ECSHIST_OK) {
        struct ehi_frame frame;
        enum ehi_verdict verdict;
        rc = ehi_log_next(r->store->log, &r->position, &frame, &verdict, error);
        if (rc != ECSHIST_OK)
            break;
        if (verdict != EHI_FRAME) {
            rc = settle(r, verdict, error);
            break;
        }
        rc = replay_frame(r, &frame, error);
        if (rc == ECSHIST_OK && is_full(r->batch)) {
            rc = commit(r, error);
            if (rc == ECSHIST_OK)
                rc = begin(r, error);
        }
    }
    return rc == ECSHIST_OK ? commit(r, error) : rc;
}

static int replay_onto(struct ehi_store *store, struct ehi_db *db, bool repairs,
                       ecshist_progress_fn progress, void *context, struct ecshist_error *error)
{
    struct replay r = {
        .store = store, .db = db, .repairs = repairs, .progress = progress, .context = context};
    struct ehi_position none = {0};
    uint64_t segments, file_bytes;
    int rc = ehi_log_sizes(store->log, &none, &segments, &file_bytes, &r.total_bytes, error);
    if (rc != ECSHIST_OK)
        return rc;
    r.total_bytes = file_bytes;
    r.batch = ehi_batch_new();
    if (r.batch == NULL)
        return ehi_fail_memory(error);
    rc = replay_all(&r, error);
    ehi_db_abort(r.txn);
    ehi_batch_free(r.batch);
    ehi_expired_free(&r.expired);
    return rc;
}

int ehi_replay(struct ehi_store *store, struct ehi_db *db, ecshist_progress_fn progress,
               void *context, struct ecshist_error *error)
{
    return replay_onto(store, db, !store->frozen, progress, context, error);
}

/* -- rebuilding beside, and swapping ----------------------------------------------------------- */

/* One is made under the writers' lock, the other by the one compaction there is at a time. */
static const char fresh_name[] = "index.new", copy_name[] = "index.copy";

static int mark_new(struct ehi_store *store, const char *name, bool clean,
                    struct ecshist_error *error)
{
    int fd = ehi_sys_open(store->dir_fd, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/%s", store->path, name);
    int rc = ehi_mark_write(fd, ehi_log_store_id(store->log), clean, error);
    close(fd);
    return rc;
}

static int make_new(struct ehi_store *store, const char *name, struct ecshist_error *error)
{
    ehi_directory_remove(store->dir_fd, name);
    int fd = ehi_private_dir(store->dir_fd, name);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making %s/%s", store->path, name);
    close(fd);
    return ECSHIST_OK;
}

static int open_new(struct ehi_store *store, const char *name, uint64_t map_bytes, bool create,
                    struct ehi_db **out, struct ecshist_error *error)
{
    size_t length = strlen(store->path) + 1 + strlen(name) + 1;
    char *path = malloc(length);
    if (path == NULL)
        return ehi_fail_memory(error);
    snprintf(path, length, "%s/%s", store->path, name);
    int rc = ehi_db_open(path, map_bytes, create, false, out, error);
    free(path);
    return rc;
}

static int build_sized(struct ehi_store *store, uint64_t map_bytes, ecshist_progress_fn progress,
                       void *context, struct ecshist_error *error)
{
    struct ehi_db *db = NULL;
    int rc = make_new(store, fresh_name, error);
    if (rc == ECSHIST_OK)
        rc = open_new(store, fresh_name, map_bytes, true, &db, error);
    if (rc == ECSHIST_OK)
        rc = ehi_replay(store, db, progress, context, error);
    ehi_db_release(db);
    return rc == ECSHIST_OK ? mark_new(store, fresh_name, false, error) : rc;
}

/* How large the index becomes is known when it is there: from the start again in a larger map if
 * need be. */
static int build_new(struct ehi_store *store, ecshist_progress_fn progress, void *context,
                     struct ecshist_error *error)
{
    const uint64_t most = UINT64_C(1) << 44;
    uint64_t map_bytes = store->map_bytes != 0 ? store->map_bytes : ECSHIST_DEFAULT_MAP_BYTES;
    int rc = build_sized(store, map_bytes, progress, context, error);
    while (rc == ECSHIST_FULL && map_bytes < most) {
        map_bytes *= 4;
        rc = build_sized(store, map_bytes, progress, context, error);
    }
    return rc;
}

static int swap_in(struct ehi_store *store, const char *name, struct ecshist_error *error)
{
    int failed = renameat2(store->dir_fd, name, store->dir_fd, "index", RENAME_EXCHANGE);
    if (failed != 0 && errno == ENOENT)
        failed = renameat(store->dir_fd, name, store->dir_fd, "index");
    if (failed != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "swapping in the new index of %s", store->path);
    if (ehi_sys_fsync(store->dir_fd) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "flushing %s", store->path);
    return ECSHIST_OK;
}

/* Whoever opens the store moves over; so does this handle, at once. */
static int move_over(struct ehi_store *store, struct ecshist_error *error)
{
    struct ehi_db *db = NULL;
    int rc = ehi_store_db(store, &db, error);
    ehi_db_release(db);
    return rc;
}

/* Many megabytes that an open store will not need again: the C library would keep them. */
static void give_back_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

int ehi_rebuild(struct ehi_store *store, ecshist_progress_fn progress, void *context,
                struct ecshist_error *error)
{
    int rc = build_new(store, progress, context, error);
    if (rc == ECSHIST_OK)
        rc = swap_in(store, fresh_name, error);
    ehi_directory_remove(store->dir_fd, fresh_name);
    give_back_memory();
    return rc == ECSHIST_OK ? move_over(store, error) : rc;
}

/* -- a compact copy, swapped in ---------------------------------------------------------------- */

static int copy_index(struct ehi_store *store, struct ecshist_error *error)
{
    struct ehi_db *db = NULL;
    int fd = ehi_private_file(store->dir_fd, "index.copy/data.mdb", O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making %s/index.copy/data.mdb", store->path);
    int rc = ehi_store_db(store, &db, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_copy(db, fd, error);
    ehi_db_release(db);
    close(fd);
    return rc;
}

/* Under the lock: the copy has applied what was appended meanwhile, and takes the index's place. */
static int finish_copy(struct ehi_store *store, struct ehi_db *copy, struct ecshist_error *error)
{
    int rc = ehi_replay(store, copy, NULL, NULL, error);
    ehi_db_release(copy);
    if (rc == ECSHIST_OK)
        rc = mark_new(store, copy_name, false, error);
    return rc == ECSHIST_OK ? swap_in(store, copy_name, error) : rc;
}

/*
 * What comes while the copy is brought up to date is less each time; what little is left then is done under the
 * lock. Somebody else may have swapped the index meanwhile: his is as good, and the log is the same.
 */
static int shrink(struct ehi_store *store, int64_t *held_us, struct ecshist_error *error)
{
    enum { CATCH_UPS = 3 };
    struct ehi_db *copy = NULL;
    int rc = make_new(store, copy_name, error);
    if (rc == ECSHIST_OK)
        rc = copy_index(store, error);
    if (rc == ECSHIST_OK)
        rc = open_new(store, copy_name, store->map_bytes, false, &copy, error);
    for (int i = 0; i < CATCH_UPS && rc == ECSHIST_OK; i++)
        rc = replay_onto(store, copy, false, NULL, NULL, error);
    if (rc != ECSHIST_OK) {
        ehi_db_release(copy);
        return rc;
    }
    rc = ehi_store_lock(store, error);
    if (rc != ECSHIST_OK) {
        ehi_db_release(copy);
        return rc;
    }
    int64_t since_us = ehi_clock_steady_us();
    rc = finish_copy(store, copy, error);
    ehi_store_unlock(store);
    *held_us = ehi_clock_steady_us() - since_us;
    return rc == ECSHIST_OK ? move_over(store, error) : rc;
}

int ehi_store_shrink_index(struct ehi_store *store, int64_t *held_us, struct ecshist_error *error)
{
    ehi_log_enter(store->log);
    int rc = shrink(store, held_us, error);
    ehi_directory_remove(store->dir_fd, copy_name);
    ehi_log_leave(store->log);
    return rc;
}

/* -- on leaving --------------------------------------------------------------------------------- */

/* An eighth of it is free, and it is small: the copy takes no longer than the sync that it is in the place of. */
static bool is_worth_copying(struct ehi_store *store)
{
    enum { LEAST_BYTES = 1 << 19, MOST_BYTES = 64 << 20, SHARE = 8 };
    uint64_t file_bytes, map_bytes, free_bytes;
    uint32_t readers;
    return ehi_db_sizes(store->db, &file_bytes, &map_bytes, &readers, NULL) == ECSHIST_OK &&
           file_bytes <= MOST_BYTES &&
           ehi_db_free_bytes(store->db, &free_bytes, NULL) == ECSHIST_OK &&
           free_bytes >= LEAST_BYTES && free_bytes >= file_bytes / SHARE;
}

static int copy_durably(struct ehi_store *store, struct ecshist_error *error)
{
    int fd = ehi_private_file(store->dir_fd, "index.copy/data.mdb", O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making %s/index.copy/data.mdb", store->path);
    int rc = ehi_db_copy(store->db, fd, error);
    if (rc == ECSHIST_OK && ehi_sys_fsync(fd) != 0)
        rc = ehi_fail_errno(error, ECSHIST_IO, "flushing %s/index.copy/data.mdb", store->path);
    close(fd);
    return rc;
}

bool ehi_leave_with_copy(struct ehi_store *store)
{
    if (!is_worth_copying(store))
        return false;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = make_new(store, copy_name, &error);
    if (rc == ECSHIST_OK)
        rc = copy_durably(store, &error);
    if (rc == ECSHIST_OK)
        rc = mark_new(store, copy_name, true, &error);
    if (rc == ECSHIST_OK)
        rc = swap_in(store, copy_name, &error);
    ehi_directory_remove(store->dir_fd, copy_name);
    return rc == ECSHIST_OK;
}
