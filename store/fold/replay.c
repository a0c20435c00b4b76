/* From the log to the index: catching up, and making the index anew. */
#include "fold/mark.h"
#include "fold/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Events a commit: enough that a page is written once for many of them, few enough that memory
 * stays small. */
enum { REPLAY_EVENTS = 65536 };

struct replay {
    struct ehi_store *store;
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_batch *batch;
    struct ehi_position position; /* behind what the batch holds */
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
    }
    r->position = ehi_head_position(&head);
    ehi_batch_begin(r->batch, r->txn, r->store->log, &head);
    return ECSHIST_OK;
}

static int commit(struct replay *r, struct ecshist_error *error)
{
    uint64_t expected = ehi_batch_head(r->batch)->next_seq;
    ehi_head_set_position(ehi_batch_head(r->batch), &r->position);
    if (expected != r->position.next_seq)
        return ehi_fail(error, ECSHIST_DAMAGED,
                        "the log's frames hold other events than they say, before event %llu",
                        (unsigned long long)r->position.next_seq);
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

static int replay_frame(struct replay *r, const struct ehi_frame *frame,
                        struct ecshist_error *error)
{
    struct ehi_slice rest = frame->payload, record;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && ehi_records_next(&rest, &record)) {
        uint64_t offset =
            frame->offset + EHI_FRAME_HEADER_BYTES + (uint64_t)(record.data - frame->payload.data);
        rc = ehi_batch_replay(r->batch, record, offset, error);
    }
    r->done_bytes += frame->length;
    return rc;
}

static int replay_all(struct replay *r, struct ecshist_error *error)
{
    int rc = begin(r, error);
    while (rc == ECSHIST_OK) {
        struct ehi_frame frame;
        enum ehi_verdict verdict;
        rc = ehi_log_next(r->store->log, &r->position, &frame, &verdict, error);
        if (rc != ECSHIST_OK)
            break;
        if (verdict == EHI_TORN_TAIL && !r->store->frozen)
            rc = ehi_log_cut(r->store->log, &r->position, error);
        /* Nothing is shown that a power cut could still take back: whoever wrote the last frame may
         * not have flushed it. */
        if (verdict != EHI_FRAME) {
            if (rc == ECSHIST_OK && !r->store->frozen)
                rc = ehi_log_settle(r->store->log, &r->position, error);
            break;
        }
        rc = replay_frame(r, &frame, error);
        if (rc == ECSHIST_OK && ehi_batch_count(r->batch) >= REPLAY_EVENTS) {
            rc = commit(r, error);
            if (rc == ECSHIST_OK)
                rc = begin(r, error);
        }
    }
    return rc == ECSHIST_OK ? commit(r, error) : rc;
}

int ehi_replay(struct ehi_store *store, struct ehi_db *db, ecshist_progress_fn progress,
               void *context, struct ecshist_error *error)
{
    struct replay r = {.store = store, .db = db, .progress = progress, .context = context};
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
    return rc;
}

/* -- rebuilding beside, and swapping ----------------------------------------------------------- */

static const char *const index_files[] = {"data.mdb", "lock.mdb", "mark"};

static void remove_index(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    for (size_t i = 0; i < sizeof(index_files) / sizeof(index_files[0]); i++)
        (void)unlinkat(fd, index_files[i], 0);
    close(fd);
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

static int mark_new(struct ehi_store *store, struct ecshist_error *error)
{
    int fd = openat(store->dir_fd, "index.new", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/index.new", store->path);
    int rc = ehi_mark_write(fd, ehi_log_store_id(store->log), false, error);
    close(fd);
    return rc;
}

static int build_sized(struct ehi_store *store, uint64_t map_bytes, ecshist_progress_fn progress,
                       void *context, struct ecshist_error *error)
{
    remove_index(store->dir_fd, "index.new");
    if (mkdirat(store->dir_fd, "index.new", 0700) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making %s/index.new", store->path);
    size_t length = strlen(store->path) + sizeof("/index.new");
    char *path = malloc(length);
    if (path == NULL)
        return ehi_fail_memory(error);
    snprintf(path, length, "%s/index.new", store->path);
    struct ehi_db *db = NULL;
    int rc = ehi_db_open(path, map_bytes, true, false, &db, error);
    free(path);
    if (rc == ECSHIST_OK)
        rc = ehi_replay(store, db, progress, context, error);
    ehi_db_release(db);
    return rc == ECSHIST_OK ? mark_new(store, error) : rc;
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

static int swap_in(struct ehi_store *store, struct ecshist_error *error)
{
    int failed = renameat2(store->dir_fd, "index.new", store->dir_fd, "index", RENAME_EXCHANGE);
    if (failed != 0 && errno == ENOENT)
        failed = renameat(store->dir_fd, "index.new", store->dir_fd, "index");
    if (failed != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "swapping in the new index of %s", store->path);
    if (fsync(store->dir_fd) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "flushing %s", store->path);
    return ECSHIST_OK;
}

int ehi_rebuild(struct ehi_store *store, ecshist_progress_fn progress, void *context,
                struct ecshist_error *error)
{
    int rc = build_new(store, progress, context, error);
    if (rc == ECSHIST_OK)
        rc = swap_in(store, error);
    remove_index(store->dir_fd, "index.new");
    if (rc != ECSHIST_OK)
        return rc;
    struct ehi_db *db = NULL;
    rc = ehi_store_db(store, &db, error);
    ehi_db_release(db);
    return rc;
}
