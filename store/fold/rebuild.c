/* The index made anew beside the old one, and swapped in. */
#include "base/clock.h"
#include "base/private.h"
#include "fold/expire.h"
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

/* One is made under the writers' lock, the other by the one compaction there is at a time, or by the last one out. */
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

static int copy_index(struct ehi_store *store, struct ehi_db *copy, struct ecshist_error *error)
{
    struct ehi_db *db = NULL;
    int rc = ehi_store_db(store, &db, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_copy_rows(db, copy, error);
    ehi_db_release(db);
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
        rc = open_new(store, copy_name, store->map_bytes, true, &copy, error);
    if (rc == ECSHIST_OK)
        rc = copy_index(store, copy, error);
    for (int i = 0; i < CATCH_UPS && rc == ECSHIST_OK; i++)
        rc = ehi_replay_unlocked(store, copy, error);
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

/* What somebody has set of a file of the old index: its owner, its group, who may. */
static bool take_after(int old_dir, int new_dir, const char *name)
{
    struct stat was;
    int old = ehi_sys_open(old_dir, name, O_RDONLY), fresh = ehi_sys_open(new_dir, name, O_RDONLY);
    bool taken = old >= 0 && fresh >= 0 && fstat(old, &was) == 0 &&
                 fchown(fresh, was.st_uid, was.st_gid) == 0 &&
                 fchmod(fresh, was.st_mode & 07777) == 0;
    ehi_sys_close(old);
    ehi_sys_close(fresh);
    return taken;
}

/* false: the copy would be other people's, or less of theirs. */
static bool take_after_old(struct ehi_store *store)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "mark", "."};
    int old = ehi_sys_open(store->dir_fd, "index", O_RDONLY | O_DIRECTORY);
    int fresh = ehi_sys_open(store->dir_fd, copy_name, O_RDONLY | O_DIRECTORY);
    bool taken = old >= 0 && fresh >= 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && taken; i++)
        taken = take_after(old, fresh, names[i]);
    ehi_sys_close(old);
    ehi_sys_close(fresh);
    return taken;
}

static int copy_durably(struct ehi_store *store, struct ecshist_error *error)
{
    struct ehi_db *copy = NULL;
    int rc = open_new(store, copy_name, store->map_bytes, true, &copy, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_copy_rows(store->db, copy, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_sync(copy, error);
    ehi_db_release(copy);
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
    bool good = rc == ECSHIST_OK && take_after_old(store);
    if (good)
        rc = swap_in(store, copy_name, &error);
    ehi_directory_remove(store->dir_fd, copy_name);
    return good && rc == ECSHIST_OK;
}
