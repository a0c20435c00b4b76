/* The environment: opening, transactions, sizes. */
#include "base/private.h"
#include "db/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const char *const db_table_names[T_COUNT] = {"meta",     "arns",     "deployments", "revisions",
                                             "services", "timeline", "by_service",  "by_name"};

/* Snapshots at once, in all processes. LMDB has 64 bytes for each, and less than a page besides. */
enum { MAX_READERS = 1024, LOCK_BYTES = MAX_READERS * 64 + 4096 };

int db_fail(int lmdb_code, const char *what, struct ecshist_error *error)
{
    if (lmdb_code == ENOMEM)
        return ehi_fail_memory(error);
    /* What its lock on the byte of the process id says, when somebody has it. */
    if (lmdb_code == EAGAIN)
        return ehi_fail(error, ECSHIST_BUSY,
                        "a process with the same id, %ld, of another container reads the index",
                        (long)getpid());
    if (lmdb_code == MDB_MAP_RESIZED)
        return ehi_fail(error, ECSHIST_FULL,
                        "another process has made the index larger than the map of this one: close "
                        "the store and open "
                        "it again");
    if (lmdb_code == MDB_MAP_FULL)
        return ehi_fail(error, ECSHIST_FULL,
                        "the index's map is full: close the store everywhere and open it again, "
                        "the map grows then");
    /* Room that ends in the middle of a write is EIO to LMDB. */
    const char *perhaps = lmdb_code == EIO ? " (or no room was left)" : "";
    int code = ehi_fail(error, ECSHIST_INDEX, "%s: %s%s", what, mdb_strerror(lmdb_code), perhaps);
    if (error != NULL && lmdb_code > 0)
        error->system_errno = lmdb_code;
    return code;
}

static int open_tables(struct ehi_db *db, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(db->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    for (int i = 0; i < T_COUNT && rc == 0; i++)
        rc = mdb_dbi_open(txn, db_table_names[i], create ? MDB_CREATE : 0, &db->tables[i]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* By the open file, not by its name: that may be another's already. */
static int identify(struct ehi_db *db)
{
    struct stat st;
    mdb_filehandle_t fd;
    int rc = mdb_env_get_fd(db->env, &fd);
    if (rc == 0 && fstat(fd, &st) != 0)
        rc = errno;
    if (rc != 0)
        return rc;
    db->device = st.st_dev;
    db->inode = st.st_ino;
    return 0;
}

/* The map is address space: large enough that the file can grow four times over before the next
 * open. */
static uint64_t map_size(const char *data_path, uint64_t wanted)
{
    struct stat st;
    uint64_t size = wanted != 0 ? wanted : ECSHIST_DEFAULT_MAP_BYTES;
    if (stat(data_path, &st) == 0 && (uint64_t)st.st_size > size / 4)
        size = (uint64_t)st.st_size * 4;
    return (size + 65535) & ~(uint64_t)65535;
}

/* Reading a page that a cut file does not have any more would be a signal, not an error. */
static int check_whole(MDB_env *env)
{
    mdb_filehandle_t fd;
    struct stat st;
    MDB_envinfo info;
    MDB_stat pages;
    int rc = mdb_env_get_fd(env, &fd);
    if (rc == 0)
        rc = mdb_env_info(env, &info);
    if (rc == 0)
        rc = mdb_env_stat(env, &pages);
    if (rc != 0)
        return rc;
    if (fstat(fd, &st) != 0)
        return errno;
    return (uint64_t)st.st_size < (info.me_last_pgno + 1) * (uint64_t)pages.ms_psize ? MDB_CORRUPTED
                                                                                     : 0;
}

/*
 * Where the map begins LMDB does not tell: by the number of the page that the head lies in. Were that wrong, all
 * others would be out of place. Of an index that is being made there is no head yet: nothing is looked at then.
 */
static int find_map(struct ehi_db *db)
{
    MDB_txn *txn;
    MDB_envinfo info;
    MDB_stat stat;
    MDB_val key = db_val("head", 4), row;
    int rc = mdb_env_info(db->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(db->env, &stat);
    if (rc == 0)
        rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_get(txn, db->tables[T_META], &key, &row);
    if (rc == 0) {
        uint64_t number;
        const uint8_t *page = (const uint8_t *)row.mv_data - (uintptr_t)row.mv_data % stat.ms_psize;
        memcpy(&number, page, sizeof(number));
        db->page_bytes = stat.ms_psize;
        db->map_bytes = info.me_mapsize;
        if (number < info.me_mapsize / stat.ms_psize)
            db->map = page - number * stat.ms_psize;
    }
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* errno, or 0. */
static int write_zeros(int fd, size_t length)
{
    static const char zeros[4096];
    while (length > 0) {
        ssize_t n = write(fd, zeros, length < sizeof(zeros) ? length : sizeof(zeros));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        length -= (size_t)n;
    }
    return 0;
}

static int make_lock_file(int dir_fd, const char *path, const char *fresh)
{
    int fd = ehi_private_file(dir_fd, "lock.new", O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return errno;
    int rc = write_zeros(fd, LOCK_BYTES);
    close(fd);
    /* Never over one that is there: somebody may have locks in it. */
    if (rc == 0 && link(fresh, path) != 0 && errno != EEXIST)
        rc = errno;
    (void)unlink(fresh);
    return rc;
}

/*
 * LMDB makes its lock file with a hole for all of it, and maps it. Where the disk is full then, a
 * write there is a signal (SIGBUS), not an error. So it is made here, without holes.
 */
static int ensure_lock_file(int dir_fd, const char *dir)
{
    struct stat st;
    size_t length = strlen(dir) + sizeof("/lock.mdb");
    char *path = malloc(2 * length), *fresh = path + length;
    if (path == NULL)
        return ENOMEM;
    snprintf(path, length, "%s/lock.mdb", dir);
    snprintf(fresh, length, "%s/lock.new", dir);
    int rc = 0;
    if (stat(path, &st) != 0)
        rc = errno == ENOENT ? make_lock_file(dir_fd, path, fresh) : errno;
    free(path);
    return rc;
}

/*
 * LMDB opens its files by their names: through links, anything that is there, and with a mode that the umask cuts.
 * So what is there must be files, and what is not is made first. FORMAT, IO.
 */
static int prepare_file(int dir_fd, const char *path, const char *name, bool make,
                        struct ecshist_error *error)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(st.st_mode)
                   ? ECSHIST_OK
                   : ehi_fail(error, ECSHIST_FORMAT, "%s/%s is %s: it must be a file", path, name,
                              S_ISLNK(st.st_mode) ? "a symbolic link" : "no file");
    if (errno != ENOENT)
        return ehi_fail_errno(error, ECSHIST_IO, "looking at %s/%s", path, name);
    int fd = make ? ehi_private_file(dir_fd, name, O_RDWR | O_CREAT) : -1;
    if (make && fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "making %s/%s", path, name);
    if (fd >= 0)
        close(fd);
    return ECSHIST_OK;
}

static int prepare(const char *path, bool create, unsigned flags, struct ecshist_error *error)
{
    int dir_fd = ehi_private_file(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (dir_fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return ehi_fail(error, ECSHIST_FORMAT, "%s is no directory, or a symbolic link to one",
                        path);
    if (dir_fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "opening %s", path);
    bool writes = (flags & MDB_RDONLY) == 0;
    int rc = prepare_file(dir_fd, path, "data.mdb", writes && create, error);
    if (rc == ECSHIST_OK)
        rc = prepare_file(dir_fd, path, "lock.mdb", false, error);
    int failed = rc == ECSHIST_OK && writes ? ensure_lock_file(dir_fd, path) : 0;
    if (failed != 0) {
        errno = failed;
        rc = failed == ENOMEM ? ehi_fail_memory(error)
                              : ehi_fail_errno(error, ECSHIST_IO, "making %s/lock.mdb", path);
    }
    close(dir_fd);
    return rc;
}

static int keep_from_exec(MDB_env *env)
{
    mdb_filehandle_t fd;
    int rc = mdb_env_get_fd(env, &fd);
    return rc == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ? errno : rc;
}

static int open_env(struct ehi_db *db, const char *path, uint64_t map_bytes, bool create,
                    unsigned flags)
{
    int rc = mdb_env_create(&db->env);
    if (rc != 0)
        return rc;
    rc = mdb_env_set_maxdbs(db->env, T_COUNT);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(db->env, MAX_READERS);
    if (rc == 0)
        rc = mdb_env_set_mapsize(db->env, map_size(db->data_path, map_bytes));
    if (rc == 0)
        rc = mdb_env_open(db->env, path, flags, 0600);
    if (rc == 0)
        rc = keep_from_exec(db->env);
    if (rc == 0 && (flags & MDB_RDONLY) == 0) {
        int dead;
        (void)mdb_reader_check(db->env, &dead);
    }
    if (rc == 0 && !create)
        rc = check_whole(db->env);
    if (rc == 0)
        rc = open_tables(db, create);
    if (rc == 0)
        rc = identify(db);
    if (rc == 0)
        rc = find_map(db);
    return rc;
}

static int open_as(const char *path, uint64_t map_bytes, bool create, unsigned flags,
                   struct ehi_db **out, struct ecshist_error *error)
{
    int prepared = prepare(path, create, flags, error);
    if (prepared != ECSHIST_OK)
        return prepared;
    struct ehi_db *db = calloc(1, sizeof(*db));
    size_t length = strlen(path) + sizeof("/data.mdb");
    char *data_path = malloc(length);
    if (db == NULL || data_path == NULL) {
        free(db);
        free(data_path);
        return ehi_fail_memory(error);
    }
    snprintf(data_path, length, "%s/data.mdb", path);
    db->data_path = data_path;
    db->references = 1;
    db->unseen = (flags & MDB_NOLOCK) != 0;
    pthread_mutex_init(&db->mutex, NULL);
    int rc = open_env(db, path, map_bytes, create, flags);
    /* A signal: LMDB does not ask again. */
    while (rc == EINTR) {
        mdb_env_close(db->env);
        db->env = NULL;
        rc = open_env(db, path, map_bytes, create, flags);
    }
    if (rc != 0) {
        ehi_db_release(db);
        return db_fail(rc, "opening the index", error);
    }
    *out = db;
    return ECSHIST_OK;
}

int ehi_db_open(const char *path, uint64_t map_bytes, bool create, bool read_only,
                struct ehi_db **out, struct ecshist_error *error)
{
    unsigned flags = read_only ? MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS : MDB_NOSYNC | MDB_NOTLS;
    return open_as(path, map_bytes, create, flags, out, error);
}

/* LMDB would make a lock file that is not there: nobody has the index open then. */
int ehi_db_open_inspect(const char *path, struct ehi_db **out, struct ecshist_error *error)
{
    char lock_path[PATH_MAX];
    unsigned flags = MDB_RDONLY | MDB_NOTLS;
    int length = snprintf(lock_path, sizeof(lock_path), "%s/lock.mdb", path);
    if (length < 0 || length >= (int)sizeof(lock_path) ||
        faccessat(AT_FDCWD, lock_path, R_OK | W_OK, AT_EACCESS) != 0)
        flags |= MDB_NOLOCK;
    return open_as(path, 0, false, flags, out, error);
}

bool ehi_db_overtaken(const struct ehi_db_txn *txn)
{
    MDB_envinfo info;
    if (!txn->db->unseen)
        return false;
    return mdb_env_info(txn->db->env, &info) != 0 || info.me_last_txnid > mdb_txn_id(txn->txn);
}

/* -- cursors that are kept: one a table, while its transaction reads ---------------------------- */

int db_cursor_open(struct ehi_db_txn *txn, enum db_table table, MDB_cursor **out)
{
    *out = txn->cursors[table];
    txn->cursors[table] = NULL;
    return *out != NULL ? 0 : mdb_cursor_open(txn->txn, txn->db->tables[table], out);
}

void db_cursor_close(struct ehi_db_txn *txn, enum db_table table, MDB_cursor *cursor)
{
    if (!txn->write && txn->cursors[table] == NULL)
        txn->cursors[table] = cursor;
    else
        mdb_cursor_close(cursor);
}

static void close_cursors(struct ehi_db_txn *txn)
{
    for (int i = 0; i < T_COUNT; i++) {
        if (txn->cursors[i] != NULL)
            mdb_cursor_close(txn->cursors[i]);
        txn->cursors[i] = NULL;
    }
}

/* LMDB leaves the cursors of a transaction that reads to whoever opened them. */
static void end_txn(struct ehi_db_txn *txn)
{
    close_cursors(txn);
    mdb_txn_abort(txn->txn);
    free(txn);
}

static bool renew(struct ehi_db_txn *txn)
{
    int rc = mdb_txn_renew(txn->txn);
    for (int i = 0; i < T_COUNT && rc == 0; i++) {
        if (txn->cursors[i] != NULL)
            rc = mdb_cursor_renew(txn->txn, txn->cursors[i]);
    }
    return rc == 0;
}

struct ehi_db *ehi_db_ref(struct ehi_db *db)
{
    pthread_mutex_lock(&db->mutex);
    db->references++;
    pthread_mutex_unlock(&db->mutex);
    return db;
}

void ehi_db_release(struct ehi_db *db)
{
    if (db == NULL)
        return;
    pthread_mutex_lock(&db->mutex);
    unsigned left = --db->references;
    pthread_mutex_unlock(&db->mutex);
    if (left != 0)
        return;
    if (db->spare != NULL)
        end_txn(db->spare);
    free((void *)atomic_load_explicit(&db->known, memory_order_relaxed));
    if (db->env != NULL)
        mdb_env_close(db->env);
    pthread_mutex_destroy(&db->mutex);
    free(db->data_path);
    free(db);
}

static void note_failure(struct ehi_db *db, bool commit, int rc)
{
    pthread_mutex_lock(&db->mutex);
    db->failed = db->failed || commit || rc == MDB_PANIC;
    db->lock_lost = db->lock_lost || rc == ENOTRECOVERABLE;
    pthread_mutex_unlock(&db->mutex);
}

bool ehi_db_is_spent(struct ehi_db *db)
{
    pthread_mutex_lock(&db->mutex);
    bool spent = db->failed && db->references == 1;
    pthread_mutex_unlock(&db->mutex);
    return spent;
}

bool ehi_db_lost_lock(struct ehi_db *db)
{
    pthread_mutex_lock(&db->mutex);
    bool lost = db->lock_lost;
    pthread_mutex_unlock(&db->mutex);
    return lost;
}

/*
 * Nothing is asked but which file it is. Who asks for its times makes the next write to it note a new one, and then the
 * log's flush has that to write, too, where both inodes are in one block of a file system without a journal.
 */
static bool identify_path(const char *path, dev_t *device, ino_t *inode)
{
    struct statx now;
    struct stat st;
    if (statx(AT_FDCWD, path, 0, STATX_INO, &now) == 0) {
        *device = makedev(now.stx_dev_major, now.stx_dev_minor);
        *inode = now.stx_ino;
        return true;
    }
    if (errno != ENOSYS || stat(path, &st) != 0)
        return false;
    *device = st.st_dev;
    *inode = st.st_ino;
    return true;
}

bool ehi_db_current(const struct ehi_db *db)
{
    dev_t device;
    ino_t inode;
    return identify_path(db->data_path, &device, &inode) && device == db->device &&
           inode == db->inode;
}

int ehi_db_sync(struct ehi_db *db, struct ecshist_error *error)
{
    int rc;
    do {
        rc = mdb_env_sync(db->env, 1);
    } while (rc == EINTR);
    return rc == 0 ? ECSHIST_OK : db_fail(rc, "syncing the index", error);
}

void ehi_db_check_readers(struct ehi_db *db)
{
    int dead;
    (void)mdb_reader_check(db->env, &dead);
}

int ehi_db_free_bytes(struct ehi_db *db, uint64_t *free_bytes, struct ecshist_error *error)
{
    MDB_txn *txn;
    MDB_cursor *cursor = NULL;
    MDB_val key, row;
    MDB_stat stat;
    uint64_t pages = 0;
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return db_fail(rc, "beginning a read of the index", error);
    rc = mdb_env_stat(db->env, &stat);
    /* LMDB's table 0: by transaction, a list of pages that begins with its length. */
    if (rc == 0)
        rc = mdb_cursor_open(txn, 0, &cursor);
    while (rc == 0) {
        rc = mdb_cursor_get(cursor, &key, &row, MDB_NEXT);
        size_t count;
        if (rc == 0 && row.mv_size >= sizeof(count)) {
            memcpy(&count, row.mv_data, sizeof(count));
            pages += count;
        }
    }
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    if (rc != MDB_NOTFOUND)
        return db_fail(rc, "reading the index's free pages", error);
    *free_bytes = pages * stat.ms_psize;
    return ECSHIST_OK;
}

static int count_reader(const char *line, void *context)
{
    uint32_t *count = context;
    /* Lines of live readers end in their transaction's number; idle slots end in "-". */
    const char *space = strrchr(line, ' ');
    if (space != NULL && space[1] >= '0' && space[1] <= '9')
        (*count)++;
    return 0;
}

int ehi_db_sizes(struct ehi_db *db, uint64_t *file_bytes, uint64_t *map_bytes, uint32_t *readers,
                 struct ecshist_error *error)
{
    struct stat st;
    if (stat(db->data_path, &st) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "reading the size of %s", db->data_path);
    MDB_envinfo info;
    int rc = mdb_env_info(db->env, &info);
    if (rc != 0)
        return db_fail(rc, "reading the index's sizes", error);
    *file_bytes = (uint64_t)st.st_size;
    *map_bytes = info.me_mapsize;
    *readers = 0;
    (void)mdb_reader_list(db->env, count_reader, readers);
    return ECSHIST_OK;
}

/* A reading transaction kept from before: renewing it costs no allocation and no new slot. */
static struct ehi_db_txn *take_spare(struct ehi_db *db)
{
    pthread_mutex_lock(&db->mutex);
    struct ehi_db_txn *txn = db->spare;
    db->spare = NULL;
    pthread_mutex_unlock(&db->mutex);
    if (txn == NULL)
        return NULL;
    if (renew(txn))
        return txn;
    end_txn(txn);
    return NULL;
}

/*
 * A reader that was killed keeps the pages it saw from being used again: the file grows with every
 * commit. So one looks for such each time it has grown by some.
 */
static void look_for_dead_readers(struct ehi_db *db)
{
    enum { GROWN_PAGES = 64 };
    MDB_envinfo info;
    if (mdb_env_info(db->env, &info) != 0)
        return;
    pthread_mutex_lock(&db->mutex);
    bool grown = info.me_last_pgno >= db->looked_at_page + GROWN_PAGES;
    if (grown || db->looked_at_page == 0)
        db->looked_at_page = info.me_last_pgno;
    pthread_mutex_unlock(&db->mutex);
    if (grown)
        ehi_db_check_readers(db);
}

uint64_t ehi_db_room(const struct ehi_db *db)
{
    MDB_envinfo info;
    struct rlimit file;
    if (mdb_env_info(db->env, &info) != 0 || getrlimit(RLIMIT_FSIZE, &file) != 0)
        return 0;
    uint64_t used = ((uint64_t)info.me_last_pgno + 1) * db->page_bytes;
    uint64_t most = file.rlim_cur < info.me_mapsize ? file.rlim_cur : info.me_mapsize;
    return used < most ? most - used : 0;
}

/* LMDB numbers a writing transaction as the commit that it will be. */
uint64_t ehi_db_txn_id(const struct ehi_db_txn *txn)
{
    return (uint64_t)mdb_txn_id(txn->txn) - (txn->write ? 1 : 0);
}

static int fail_begin(struct ehi_db *db, int rc, bool write, struct ecshist_error *error)
{
    note_failure(db, false, rc);
    return db_fail(rc, write ? "beginning a write of the index" : "beginning a read of the index",
                   error);
}

static int begin_write(struct ehi_db *db, struct ehi_db_txn **out, struct ecshist_error *error)
{
    MDB_txn *txn;
    look_for_dead_readers(db);
    int rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc != 0)
        return fail_begin(db, rc, true, error);
    db->writer = (struct ehi_db_txn){.db = ehi_db_ref(db), .txn = txn, .write = true};
    *out = &db->writer;
    return ECSHIST_OK;
}

int ehi_db_begin(struct ehi_db *db, bool write, struct ehi_db_txn **out,
                 struct ecshist_error *error)
{
    if (write)
        return begin_write(db, out, error);
    struct ehi_db_txn *txn = take_spare(db);
    if (txn == NULL) {
        txn = calloc(1, sizeof(*txn));
        if (txn == NULL)
            return ehi_fail_memory(error);
        int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn->txn);
        if (rc == MDB_READERS_FULL) {
            ehi_db_check_readers(db);
            rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn->txn);
        }
        if (rc != 0) {
            free(txn);
            return fail_begin(db, rc, false, error);
        }
    }
    txn->db = ehi_db_ref(db);
    *out = txn;
    return ECSHIST_OK;
}

static bool keep_spare(struct ehi_db *db, struct ehi_db_txn *txn)
{
    mdb_txn_reset(txn->txn);
    pthread_mutex_lock(&db->mutex);
    bool kept = db->spare == NULL;
    if (kept)
        db->spare = txn;
    pthread_mutex_unlock(&db->mutex);
    return kept;
}

void ehi_db_abort(struct ehi_db_txn *txn)
{
    if (txn == NULL)
        return;
    struct ehi_db *db = txn->db;
    if (txn->write)
        mdb_txn_abort(txn->txn);
    else if (!keep_spare(db, txn))
        end_txn(txn);
    ehi_db_release(db);
}

int ehi_db_commit(struct ehi_db_txn *txn, struct ecshist_error *error)
{
    struct ehi_db *db = txn->db;
    bool write = txn->write;
    MDB_txn *ending = txn->txn;
    if (!write)
        free(txn);
    /* From here on a writer's transaction may be the next one's already. */
    int rc = mdb_txn_commit(ending);
    if (rc != 0)
        note_failure(db, true, rc);
    ehi_db_release(db);
    return rc == 0 ? ECSHIST_OK : db_fail(rc, "committing the index", error);
}
