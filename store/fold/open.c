/* Opening and closing: the registry of a process, the locks, and whether the index is trusted. */
#include "base/clock.h"
#include "fold/behind.h"
#include "fold/guard.h"
#include "fold/mark.h"
#include "fold/words.h"
#include "log/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ehi_store *registry;
static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

/*
 * In a forked child. Locks are of open files: a child that kept its parent's would hold them when
 * the parent is killed. Of the stores it keeps memory only; and who had the mutex is not here.
 */
static void forget_stores(void)
{
    for (struct ehi_store *store = registry; store != NULL; store = store->next) {
        close(store->dir_fd);
        close(store->log_fd);
        if (store->pid_fd >= 0)
            close(store->pid_fd);
        if (store->words_fd >= 0)
            close(store->words_fd);
        ehi_log_forked(store->log);
    }
    registry = NULL;
    (void)pthread_mutex_init(&registry_mutex, NULL);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, forget_stores);
}

static int64_t system_now_us(void *context)
{
    (void)context;
    return ehi_clock_now_us();
}

static int lock_dir(int fd, int how)
{
    int rc;
    do {
        rc = flock(fd, how);
    } while (rc != 0 && errno == EINTR);
    return rc;
}

static ino_t index_inode(const struct ehi_store *store)
{
    struct stat st;
    return fstatat(store->dir_fd, "index", &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

/*
 * LMDB opens two files by their names. Where the index is swapped between the two, the locks of one
 * would guard the pages of the other: then both again.
 */
static int open_unswapped(struct ehi_store *store, const char *path, struct ehi_db **out,
                          struct ecshist_error *error)
{
    for (;;) {
        struct ehi_db *db;
        ino_t before = index_inode(store);
        int rc = ehi_db_open(path, store->map_bytes, false, store->frozen, &db, error);
        if (rc == ECSHIST_OK && index_inode(store) == before) {
            *out = db;
            return ECSHIST_OK;
        }
        if (rc != ECSHIST_OK)
            return rc;
        ehi_db_release(db);
    }
}

int ehi_store_open_index(struct ehi_store *store, struct ehi_db **out, struct ecshist_error *error)
{
    size_t length = strlen(store->path) + sizeof("/index");
    char *path = malloc(length);
    if (path == NULL)
        return ehi_fail_memory(error);
    snprintf(path, length, "%s/index", store->path);
    int rc = open_unswapped(store, path, out, error);
    free(path);
    return rc;
}

/* The only place where a handle moves over: two environments of one index in one process break
 * LMDB's locks. */
int ehi_store_db(struct ehi_store *store, struct ehi_db **out, struct ecshist_error *error)
{
    pthread_mutex_lock(&store->db_mutex);
    int rc = ECSHIST_OK;
    /* References are taken here only, or by who has one. */
    if (store->db != NULL && ehi_db_is_spent(store->db)) {
        ehi_db_release(store->db);
        store->db = NULL;
    }
    if (store->db == NULL || !ehi_db_current(store->db)) {
        struct ehi_db *db;
        rc = ehi_store_open_index(store, &db, error);
        if (rc == ECSHIST_OK) {
            ehi_db_release(store->db);
            store->db = db;
        }
    }
    if (rc == ECSHIST_OK)
        *out = ehi_db_ref(store->db);
    pthread_mutex_unlock(&store->db_mutex);
    return rc;
}

/* As ehi_store_begin_read, of the index as it is. */
static int begin_read(struct ehi_store *store, struct ehi_db **db, struct ehi_db_txn **txn,
                      struct ehi_db_head *head, struct ecshist_error *error)
{
    struct ehi_db *held;
    struct ehi_db_txn *begun = NULL;
    bool found = false;
    int rc = ehi_store_db(store, &held, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_db_begin(held, false, &begun, error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_get_head(begun, head, &found, error);
    if (rc == ECSHIST_OK && !found)
        rc = ehi_fail(error, ECSHIST_INDEX, "the index is empty: rebuild it");
    if (rc == ECSHIST_OK) {
        *db = held;
        *txn = begun;
        return ECSHIST_OK;
    }
    ehi_db_abort(begun);
    ehi_db_release(held);
    return rc;
}

int ehi_store_begin_read(struct ehi_store *store, struct ehi_db **db, struct ehi_db_txn **txn,
                         struct ehi_db_head *head, struct ecshist_error *error)
{
    struct ehi_db *held;
    struct ehi_db_txn *begun;
    bool settled = store->frozen;
    int rc = begin_read(store, &held, &begun, head, error);
    if (rc == ECSHIST_INDEX && ehi_behind_let_go_of_failed(store))
        rc = begin_read(store, &held, &begun, head, error);
    for (unsigned attempt = 0; rc == ECSHIST_OK && !settled && ehi_behind_is(store, head);
         attempt++) {
        ehi_db_abort(begun);
        ehi_db_release(held);
        rc = ehi_behind_catch_up(store, attempt, &settled, error);
        if (rc == ECSHIST_OK)
            rc = begin_read(store, &held, &begun, head, error);
    }
    if (rc != ECSHIST_OK)
        return rc;
    *db = held;
    *txn = begun;
    return ECSHIST_OK;
}

static void note_lock(struct ehi_store *store)
{
    store->writer = (uintptr_t)pthread_self();
}

int ehi_store_lock(struct ehi_store *store, struct ecshist_error *error)
{
    /* flock is of the open file: it does not keep threads of one process apart. */
    pthread_mutex_lock(&store->writer_mutex);
    int rc = ehi_log_lock(store->log, error);
    if (rc == ECSHIST_OK)
        note_lock(store);
    else
        pthread_mutex_unlock(&store->writer_mutex);
    return rc;
}

int ehi_store_trylock(struct ehi_store *store, bool *locked, struct ecshist_error *error)
{
    *locked = pthread_mutex_trylock(&store->writer_mutex) == 0;
    if (!*locked)
        return ECSHIST_OK;
    int rc = ehi_log_trylock(store->log, locked, error);
    if (*locked)
        note_lock(store);
    else
        pthread_mutex_unlock(&store->writer_mutex);
    return rc;
}

void ehi_store_unlock(struct ehi_store *store)
{
    store->writer = 0;
    ehi_log_unlock(store->log);
    pthread_mutex_unlock(&store->writer_mutex);
}

bool ehi_store_locks(const struct ehi_store *store)
{
    return store->writer == (uintptr_t)pthread_self();
}

/* -- trust ------------------------------------------------------------------------------------- */

static int read_head(struct ehi_db *db, struct ehi_db_head *head, bool *found,
                     struct ecshist_error *error)
{
    struct ehi_db_txn *txn;
    int rc = ehi_db_begin(db, false, &txn, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_db_get_head(txn, head, found, error);
    ehi_db_abort(txn);
    return rc;
}

/*
 * For want of memory or of descriptors nothing was learnt of the index: that is no reason to make it
 * anew, but the failure of the whole.
 */
static bool is_want(const struct ecshist_error *error)
{
    return error->code == ECSHIST_NO_MEMORY || error->system_errno == EMFILE ||
           error->system_errno == ENFILE;
}

static int pass_on(const struct ecshist_error *why, struct ecshist_error *error)
{
    ehi_fail(error, why->code, "%s", why->message);
    if (error != NULL)
        error->system_errno = why->system_errno;
    return why->code;
}

/* Where the log ends, found the long way: its index is of no help. */
static int find_tail(struct ehi_store *store, struct ehi_position *tail,
                     struct ecshist_error *error)
{
    ehi_log_start(store->log, tail);
    enum ehi_verdict verdict = EHI_FRAME;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && verdict == EHI_FRAME) {
        struct ehi_frame frame;
        rc = ehi_log_next(store->log, tail, &frame, &verdict, error);
    }
    return rc;
}

/* A trusted index that has applied more than the log holds: the log has lost what was acknowledged.
 */
static int check_lost(struct ehi_store *store, const struct ehi_db_head *head,
                      struct ecshist_error *error)
{
    struct ehi_position tail;
    int rc = find_tail(store, &tail, error);
    if (rc != ECSHIST_OK || head->next_seq <= tail.next_seq)
        return rc;
    rc = ehi_fail(error, ECSHIST_DAMAGED,
                  "the log ends after event %llu, but event %llu was acknowledged: bring the log's "
                  "files back, or remove "
                  "%s/index to go on without the lost events",
                  (unsigned long long)tail.next_seq - 1, (unsigned long long)head->next_seq - 1,
                  store->path);
    return ehi_at(error, rc, "%020llu.seg:%llu", (unsigned long long)tail.segment,
                  (unsigned long long)tail.offset);
}

/*
 * Opens the index where it is trusted: store->db is set. It is of this store and format, and the
 * log confirms the position it says it has applied.
 */
static int open_trusted(struct ehi_store *store, int index_fd, struct ecshist_error *error)
{
    if (index_fd < 0 || ehi_mark_read(index_fd, ehi_log_store_id(store->log)) == EHI_MARK_UNTRUSTED)
        return ECSHIST_OK;
    struct ecshist_error why = ECSHIST_ERROR_INIT;
    struct ehi_db *db;
    int opened = ehi_store_open_index(store, &db, &why);
    if (opened != ECSHIST_OK)
        return is_want(&why) || opened == ECSHIST_FORMAT || opened == ECSHIST_BUSY
                   ? pass_on(&why, error)
                   : ECSHIST_OK;
    struct ehi_db_head head = {0};
    bool found = false;
    int rc = read_head(db, &head, &found, &why);
    if (rc != ECSHIST_OK && is_want(&why)) {
        ehi_db_release(db);
        return pass_on(&why, error);
    }
    bool ours = rc == ECSHIST_OK && found && head.index_format == EHI_INDEX_FORMAT &&
                memcmp(head.store_id, ehi_log_store_id(store->log), 16) == 0;
    struct ehi_position position = ehi_head_position(&head);
    if (ours && ehi_log_confirms(store->log, &position)) {
        store->db = db;
        return ECSHIST_OK;
    }
    ehi_db_release(db);
    return ours ? check_lost(store, &head, error) : ECSHIST_OK;
}

static int open_index_fd(const struct ehi_store *store)
{
    return ehi_sys_open(store->dir_fd, "index", O_RDONLY | O_DIRECTORY);
}

/*
 * "In use" must be durable before the first unflushed commit: LMDB reuses pages of what "clean"
 * promised. So it is written also where it is read already: whoever wrote that may have been killed
 * before it was durable, or its flush failed.
 */
static int mark_in_use(struct ehi_store *store, struct ecshist_error *error)
{
    int fd = open_index_fd(store);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/index", store->path);
    int rc = ehi_mark_write(fd, ehi_log_store_id(store->log), false, error);
    close(fd);
    return rc;
}

static bool behind_log(struct ehi_store *store)
{
    struct ehi_db_head head;
    bool found = false;
    if (read_head(store->db, &head, &found, NULL) != ECSHIST_OK || !found)
        return true;
    struct ehi_position position = ehi_head_position(&head);
    return !ehi_log_at_end(store->log, &position);
}

/* The environment anew, after a write to it failed. */
static int reopen_index(struct ehi_store *store, struct ecshist_error *error)
{
    ehi_db_release(store->db);
    store->db = NULL;
    return ehi_store_open_index(store, &store->db, error);
}

static bool lacks_acknowledged(struct ehi_store *store)
{
    struct ehi_db_head head;
    bool found = false;
    if (store->words == NULL) /* whoever holds events made the file */
        return false;
    if (store->db == NULL || read_head(store->db, &head, &found, NULL) != ECSHIST_OK || !found)
        return true;
    return ehi_behind_is(store, &head);
}

/* Under the writers' lock. A reader writes to the index only where it must. */
static int settle_index(struct ehi_store *store, const struct ecshist_open_options *options,
                        struct ecshist_error *error)
{
    bool looks = (options->flags & ECSHIST_OPEN_REBUILD) == 0;
    int index_fd = looks ? open_index_fd(store) : -1;
    int rc = open_trusted(store, index_fd, error);
    if (index_fd >= 0)
        close(index_fd);
    if (rc != ECSHIST_OK)
        return rc;
    bool trusted = store->db != NULL;
    if (store->frozen && !trusted)
        return ehi_fail(error, ECSHIST_IO,
                        "the index of %s must be rebuilt, and nothing can be written there",
                        store->path);
    if (!trusted)
        return ehi_rebuild(store, options->progress, options->progress_context, error);
    bool behind = behind_log(store);
    if (store->frozen || (store->read_only && !behind))
        return ECSHIST_OK;
    rc = mark_in_use(store, error);
    if (rc == ECSHIST_OK && behind)
        rc = ehi_replay(store, store->db, NULL, NULL, error);
    /* What is missing does not fit into its map: a new index gets one that is large enough. */
    if (rc == ECSHIST_FULL)
        rc = ehi_rebuild(store, options->progress, options->progress_context, error);
    /*
     * What the index lacks was not acknowledged: a reader that cannot add it (a full disk, say)
     * shows what is there. A log that is damaged is another matter, and so is what was.
     */
    bool shows_less = rc == ECSHIST_IO || rc == ECSHIST_INDEX || rc == ECSHIST_FULL;
    return store->read_only && shows_less && !lacks_acknowledged(store) ? reopen_index(store, error)
                                                                        : rc;
}

/* -- opening ----------------------------------------------------------------------------------- */

static void store_free(struct ehi_store *store)
{
    ehi_db_release(store->db);
    ehi_log_close(store->log);
    if (store->log_fd >= 0)
        close(store->log_fd);
    ehi_guard_release(store->pid_fd);
    /* A forked child may have the same open file: closing ours would leave the lock with it. */
    if (store->dir_fd >= 0) {
        (void)lock_dir(store->dir_fd, LOCK_UN);
        close(store->dir_fd);
    }
    ehi_words_close(store->words);
    if (store->words_fd >= 0)
        close(store->words_fd);
    ehi_batch_free(store->batch);
    ehi_batch_free(store->handed.batch);
    free(store->frame);
    pthread_mutex_destroy(&store->flusher.mutex);
    pthread_cond_destroy(&store->flusher.wake);
    pthread_cond_destroy(&store->flusher.done);
    pthread_mutex_destroy(&store->writer_mutex);
    pthread_mutex_destroy(&store->db_mutex);
    pthread_mutex_destroy(&store->queue_mutex);
    free(store->path);
    free(store);
}

static void init_flusher(struct ehi_flusher *f)
{
    pthread_condattr_t steady;
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_init(&steady);
    (void)pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&f->wake, &steady);
    pthread_cond_init(&f->done, &steady);
    pthread_condattr_destroy(&steady);
}

/* The path is the store's from here on, also on failure. */
static struct ehi_store *store_new(char *path, const struct ecshist_open_options *options)
{
    struct ehi_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        free(path);
        return NULL;
    }
    store->dir_fd = store->log_fd = store->pid_fd = store->words_fd = -1;
    pthread_mutex_init(&store->writer_mutex, NULL);
    pthread_mutex_init(&store->db_mutex, NULL);
    pthread_mutex_init(&store->queue_mutex, NULL);
    init_flusher(&store->flusher);
    store->last = &store->first;
    store->references = 1;
    store->pid = getpid();
    store->map_bytes = options->map_bytes;
    store->read_only = (options->flags & ECSHIST_OPEN_READ_ONLY) != 0;
    store->now_us = options->now_us != NULL ? options->now_us : system_now_us;
    store->now_context = options->now_context;
    store->path = path;
    store->batch = ehi_batch_new();
    if (store->batch == NULL) {
        store_free(store);
        return NULL;
    }
    return store;
}

static int open_dirs(struct ehi_store *store, int dir_fd, struct ecshist_error *error)
{
    store->dir_fd = dir_fd;
    int rc = ehi_guard_links(dir_fd, store->path, error);
    if (rc == ECSHIST_OK && !store->read_only)
        rc = ehi_guard_writing(dir_fd, store->path, error);
    if (rc != ECSHIST_OK)
        return rc;
    store->log_fd = ehi_sys_open(dir_fd, "log", O_RDONLY | O_DIRECTORY);
    if (store->log_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return ehi_fail(error, ECSHIST_FORMAT, "%s is not a store: it has no directory log",
                        store->path);
    if (store->log_fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s/log", store->path);
    store->frozen = faccessat(dir_fd, ".", W_OK, AT_EACCESS) != 0;
    if (store->frozen && !store->read_only)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s for writing", store->path);
    if (lock_dir(dir_fd, LOCK_SH) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "locking %s", store->path);
    if (store->frozen)
        return ECSHIST_OK;
    rc = ehi_guard_pid(dir_fd, store->path, &store->pid_fd, error);
    /* A reader needs it less than it needs to read where, say, the disk is full: LMDB has a lock of its own. */
    return store->read_only && rc == ECSHIST_IO ? ECSHIST_OK : rc;
}

static int open_log(struct ehi_store *store, uint32_t segment_bytes, struct ecshist_error *error)
{
    size_t length = strlen(store->path) + sizeof("/log");
    char *path = malloc(length);
    if (path == NULL)
        return ehi_fail_memory(error);
    snprintf(path, length, "%s/log", store->path);
    int rc = ehi_log_open(store->log_fd, path, segment_bytes, &store->log, error);
    free(path);
    return rc;
}

/*
 * A reader needs them less than it needs to read: where they cannot be made, or the store is somebody else's, it asks the log. Where they are
 * there, they may say something.
 */
static int open_words(struct ehi_store *store, struct ecshist_error *error)
{
    struct ecshist_error why = ECSHIST_ERROR_INIT;
    store->foreign = !store->frozen && store->read_only &&
                     ehi_guard_writing(store->dir_fd, store->path, &why) != ECSHIST_OK;
    if (store->foreign)
        return ECSHIST_OK;
    int rc = ehi_words_open(store->dir_fd, store->path, !store->frozen, &store->words,
                            &store->words_fd, error);
    bool none = store->read_only && rc == ECSHIST_IO &&
                faccessat(store->dir_fd, "acknowledged", F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    return none ? ECSHIST_OK : rc;
}

/* The index has all of the log now: what a power cut has left in the words is put right. */
static void set_words(struct ehi_store *store)
{
    struct ehi_db_head head;
    bool found = false;
    if (store->words == NULL || store->frozen || behind_log(store) ||
        read_head(store->db, &head, &found, NULL) != ECSHIST_OK || !found)
        return;
    atomic_store(&store->words->next_seq, head.next_seq);
}

static int open_store(struct ehi_store *store, int dir_fd,
                      const struct ecshist_open_options *options, struct ecshist_error *error)
{
    int rc = open_dirs(store, dir_fd, error);
    if (rc == ECSHIST_OK)
        rc = open_log(store, options->segment_bytes, error);
    if (rc == ECSHIST_OK)
        rc = ehi_store_lock(store, error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_log_enter(store->log);
    rc = open_words(store, error);
    if (rc == ECSHIST_OK)
        rc = settle_index(store, options, error);
    if (rc == ECSHIST_OK)
        set_words(store);
    ehi_log_leave(store->log);
    ehi_store_unlock(store);
    return rc;
}

/* The same store, opened in this process before. */
static struct ehi_store *registered(const struct stat *st)
{
    struct ehi_store *store = registry;
    while (store != NULL &&
           !(store->device == st->st_dev && store->inode == st->st_ino && store->pid == getpid()))
        store = store->next;
    return store;
}

static int open_registered(const char *path, int dir_fd, const struct ecshist_open_options *options,
                           struct ehi_store **out, struct ecshist_error *error)
{
    struct stat st;
    if (fstat(dir_fd, &st) != 0) {
        int rc = ehi_fail_errno(error, ECSHIST_IO, "opening %s", path);
        close(dir_fd);
        return rc;
    }
    struct ehi_store *store = registered(&st);
    if (store != NULL) {
        close(dir_fd);
        if ((options->flags & ECSHIST_OPEN_REBUILD) != 0)
            return ehi_fail(error, ECSHIST_MISUSE,
                            "%s is open in this process: it has looked at its index", path);
        bool writes = (options->flags & ECSHIST_OPEN_READ_ONLY) == 0;
        if (writes && store->frozen)
            return ehi_fail(error, ECSHIST_IO, "nothing can be written to %s", path);
        int rc = ECSHIST_OK;
        if (writes && store->read_only)
            rc = ehi_guard_writing(store->dir_fd, store->path, error);
        if (rc == ECSHIST_OK && writes && store->read_only)
            rc = mark_in_use(store, error);
        if (rc != ECSHIST_OK)
            return rc;
        store->read_only = store->read_only && !writes;
        store->references++;
        *out = store;
        return ECSHIST_OK;
    }
    /* An absolute path, so that a later chdir does not lose the index. */
    char *whole = realpath(path, NULL);
    if (whole == NULL) {
        int rc = ehi_fail_errno(error, ECSHIST_IO, "looking for %s", path);
        close(dir_fd);
        return rc;
    }
    store = store_new(whole, options);
    if (store == NULL) {
        close(dir_fd);
        return ehi_fail_memory(error);
    }
    store->device = st.st_dev;
    store->inode = st.st_ino;
    int rc = open_store(store, dir_fd, options, error);
    if (rc != ECSHIST_OK) {
        store_free(store);
        return rc;
    }
    store->next = registry;
    registry = store;
    *out = store;
    return ECSHIST_OK;
}

static bool is_empty_dir(int dir_fd)
{
    struct stat st;
    return fstatat(dir_fd, "log", &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

static int open_dir(const char *path, unsigned flags, int *out, struct ecshist_error *error)
{
    bool create = (flags & ECSHIST_OPEN_CREATE) != 0;
    int fd = ehi_sys_open_dir(path);
    if (fd >= 0 && create && (flags & ECSHIST_OPEN_EXCLUSIVE) != 0 && !is_empty_dir(fd)) {
        close(fd);
        return ehi_fail(error, ECSHIST_EXISTS, "%s is a store already", path);
    }
    if (create && ((fd >= 0 && is_empty_dir(fd)) || (fd < 0 && errno == ENOENT))) {
        if (fd >= 0)
            close(fd);
        int rc = ehi_store_create(path, error);
        /* Another process may have been faster: then the store is there all the same. */
        if (rc != ECSHIST_OK && !(rc == ECSHIST_EXISTS && (flags & ECSHIST_OPEN_EXCLUSIVE) == 0))
            return rc;
        fd = ehi_sys_open_dir(path);
    }
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return ehi_fail(error, ECSHIST_NO_STORE, "there is no store at %s", path);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s", path);
    *out = fd;
    return ECSHIST_OK;
}

int ehi_store_open(const char *path, const struct ecshist_open_options *options,
                   struct ehi_store **out, struct ecshist_error *error)
{
    int dir_fd = -1;
    int rc = open_dir(path, options->flags, &dir_fd, error);
    if (rc != ECSHIST_OK)
        return rc;
    (void)pthread_once(&forks_watched, watch_forks);
    pthread_mutex_lock(&registry_mutex);
    rc = open_registered(path, dir_fd, options, out, error);
    pthread_mutex_unlock(&registry_mutex);
    return rc;
}

/* -- closing ----------------------------------------------------------------------------------- */

static void trim_log(struct ehi_store *store)
{
    struct ehi_db_head head;
    bool found = false;
    if (read_head(store->db, &head, &found, NULL) != ECSHIST_OK || !found)
        return;
    struct ehi_position tail = ehi_head_position(&head);
    ehi_log_enter(store->log);
    ehi_log_trim(store->log, &tail);
    ehi_log_leave(store->log);
}

/*
 * The last process out cuts off the zeros ahead of the log, puts a copy of the index without what is free in its place where that is much,
 * or syncs it, and marks it clean: then nobody need rebuild it after a
 * power cut. Where the sync fails, the next one would not: the kernel takes the pages for clean that
 * it could not write. So the index goes without a mark, and is made anew.
 */
static void leave_clean(struct ehi_store *store)
{
    if (store->frozen || store->db == NULL || lock_dir(store->dir_fd, LOCK_EX | LOCK_NB) != 0 ||
        !ehi_db_current(store->db))
        return;
    int fd = open_index_fd(store);
    if (fd < 0)
        return;
    bool written = ehi_mark_read(fd, ehi_log_store_id(store->log)) == EHI_MARK_IN_USE;
    if (written && !store->read_only)
        trim_log(store);
    if (written && (store->foreign || !ehi_leave_with_copy(store))) {
        if (ehi_db_sync(store->db, NULL) == ECSHIST_OK)
            (void)!ehi_mark_write(fd, ehi_log_store_id(store->log), true, NULL);
        else
            (void)ehi_sys_unlink(fd, "mark");
    }
    close(fd);
}

static void unregister(const struct ehi_store *store)
{
    struct ehi_store **at = &registry;
    while (*at != NULL && *at != store)
        at = &(*at)->next;
    if (*at == store)
        *at = store->next;
}

void ehi_store_close(struct ehi_store *store)
{
    pthread_mutex_lock(&registry_mutex);
    if (--store->references != 0) {
        pthread_mutex_unlock(&registry_mutex);
        return;
    }
    /* In a forked child the environment is the parent's: nothing of it may be touched. */
    bool ours = store->pid == getpid();
    if (ours && !ehi_behind_stop(store))
        ours = false; /* the thread has it still */
    if (ours)
        leave_clean(store);
    /* Until here a child that is forked meanwhile lets go of what it got of it. */
    unregister(store);
    if (ours)
        store_free(store);
    pthread_mutex_unlock(&registry_mutex);
}

int ehi_store_rebuild(struct ehi_store *store, ecshist_progress_fn progress, void *context,
                      struct ecshist_error *error)
{
    if (store->frozen)
        return ehi_fail(error, ECSHIST_IO, "nothing can be written to %s", store->path);
    int rc = ehi_store_lock(store, error);
    if (rc != ECSHIST_OK)
        return rc;
    ehi_log_enter(store->log);
    /* Readers have the old one meanwhile. */
    ehi_behind_bring_up(store);
    rc = ehi_rebuild(store, progress, context, error);
    ehi_log_leave(store->log);
    ehi_store_unlock(store);
    return rc;
}
