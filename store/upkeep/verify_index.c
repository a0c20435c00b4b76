/*
 * LMDB believes its pages: a damaged one can make it abort, fault or loop. So the index is opened
 * and read in a forked child, which sends all that is in it over a pipe, row by row; what becomes
 * of the child is a finding like any other. The child decodes keys and sizes only, all else is done
 * by the parent, on bytes of its own.
 *
 * A message: u32 kind, u32 length of its text or bytes, then struct fields, then those bytes.
 */
#include "upkeep/verify_internal.h"

#include "fold/mark.h"
#include "log/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 65536,
    MOST_MESSAGE = 16777216, /* no row is larger: a length that is came from a damaged page */
    SILENCE_MS = 60000,      /* LMDB goes round in circles */
    LOCK_WAIT_MS = 2000
};

#ifdef ECSHIST_TEST_HOOKS
int verify_test_silence_ms = SILENCE_MS;
void (*verify_test_in_child)(void);
#define SILENCE verify_test_silence_ms
#else
#define SILENCE SILENCE_MS
#endif

struct wire {
    uint32_t kind, arn_kind, length, unused;
    struct ehi_hash128 hash;
    uint64_t id, number, other;
    struct ehi_db_listed listed;
};

/* -- the child --------------------------------------------------------------------------------- */

struct sender {
    int fd;
    size_t filled;
    uint8_t buffer[BUFFER_BYTES];
};

static void flush(struct sender *s)
{
    size_t sent = 0;
    while (sent < s->filled) {
        ssize_t n = write(s->fd, s->buffer + sent, s->filled - sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0); /* nobody reads any more */
        sent += (size_t)n;
    }
    s->filled = 0;
}

static void put_bytes(struct sender *s, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    while (length > 0) {
        size_t room = sizeof(s->buffer) - s->filled;
        size_t n = length < room ? length : room;
        memcpy(s->buffer + s->filled, from, n);
        s->filled += n;
        from += n;
        length -= n;
        if (s->filled == sizeof(s->buffer))
            flush(s);
    }
}

static void send_message(struct sender *s, struct wire wire, const void *bytes, size_t length)
{
    if (length > MOST_MESSAGE) {
        static const char text[] = "a row is larger than any can be";
        wire = (struct wire){.kind = MESSAGE_UNREADABLE};
        bytes = text;
        length = sizeof(text) - 1;
    }
    wire.length = (uint32_t)length;
    put_bytes(s, &wire, sizeof(wire));
    put_bytes(s, bytes, length);
}

static void send_text(struct sender *s, enum verify_message_kind kind, const char *text)
{
    send_message(s, (struct wire){.kind = kind}, text, strlen(text));
}

static void send_timeline(struct sender *s, struct ehi_db_txn *txn, uint64_t id)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    struct ehi_db_walk walk;
    unsigned count;
    bool found = true;
    uint64_t last = 0;
    ehi_db_timeline(&walk, txn, id);
    while (found) {
        if (ehi_db_timeline_next(&walk, entries, &count, &found, &error) != ECSHIST_OK) {
            send_text(s, MESSAGE_UNREADABLE, error.message);
            break;
        }
        if (!found)
            break;
        if (entries[0].seq <= last) { /* a circle */
            send_text(s, MESSAGE_UNREADABLE, "the rows of a timeline do not rise");
            break;
        }
        last = entries[count - 1].seq;
        send_message(s, (struct wire){.kind = MESSAGE_TIMELINE, .id = id}, entries,
                     count * sizeof(entries[0]));
    }
    ehi_db_walk_end(&walk);
}

static void send_subject(struct sender *s, struct ehi_db_txn *txn, const struct ehi_db_row *row)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_slice state;
    bool found = false;
    struct wire wire = {
        .kind = MESSAGE_ARN, .arn_kind = (uint32_t)row->kind, .hash = row->hash, .id = row->id};
    send_message(s, wire, NULL, 0);
    if (row->kind < EHI_ARN_SERVICE || row->kind > EHI_ARN_REVISION)
        return;
    if (ehi_db_get_state(txn, row->kind, row->id, &state, &found, &error) != ECSHIST_OK)
        send_text(s, MESSAGE_UNREADABLE, error.message);
    wire.kind = MESSAGE_STATE;
    if (found)
        send_message(s, wire, state.data, state.length);
    send_timeline(s, txn, row->id);
}

static void send_row(struct sender *s, enum ehi_db_table table, const struct ehi_db_row *row)
{
    struct wire wire = {.id = row->id, .number = row->number, .listed = row->listed};
    struct ehi_slice bytes = EHI_SLICE_EMPTY;
    switch (table) {
    case EHI_DB_TIMELINE:
        wire.kind = MESSAGE_ROW;
        wire.other = row->entries[0].seq;
        break;
    case EHI_DB_LISTED:
        wire.kind = MESSAGE_LISTED;
        wire.listed.brief = EHI_SLICE_EMPTY;
        bytes = row->listed.brief;
        break;
    case EHI_DB_NAMED:
        wire.kind = MESSAGE_NAMED;
        break;
    default:
        wire.kind = MESSAGE_OWNER;
        wire.arn_kind = table == EHI_DB_DEPLOYMENTS ? EHI_ARN_DEPLOYMENT
                        : table == EHI_DB_REVISIONS ? EHI_ARN_REVISION
                                                    : EHI_ARN_SERVICE;
    }
    send_message(s, wire, bytes.data, bytes.length);
}

static void send_table(struct sender *s, struct ehi_db_txn *txn, enum ehi_db_table table,
                       const char *name)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_db_rows rows;
    struct ehi_db_row row;
    char text[600];
    bool found = true;
    ehi_db_rows(&rows, txn, table);
    while (found) {
        if (ehi_db_rows_next(&rows, &row, &found, &error) != ECSHIST_OK) {
            snprintf(text, sizeof(text), "table %s: %s", name, error.message);
            send_text(s, MESSAGE_UNREADABLE, text);
            break;
        }
        if (found && !row.well_formed) {
            snprintf(text, sizeof(text), "table %s has a row that is not well-formed", name);
            send_text(s, MESSAGE_UNREADABLE, text);
        } else if (found && table == EHI_DB_ARNS) {
            send_subject(s, txn, &row);
        } else if (found) {
            send_row(s, table, &row);
        }
    }
    ehi_db_rows_end(&rows);
}

static void send_tables(struct sender *s, struct ehi_db_txn *txn)
{
    send_table(s, txn, EHI_DB_ARNS, "arns");
    send_text(s, MESSAGE_EXPIRIES, "");
    send_timeline(s, txn, 0);
    send_text(s, MESSAGE_TABLES, "");
    send_table(s, txn, EHI_DB_DEPLOYMENTS, "deployments");
    send_table(s, txn, EHI_DB_REVISIONS, "revisions");
    send_table(s, txn, EHI_DB_SERVICES, "services");
    send_table(s, txn, EHI_DB_TIMELINE, "timeline");
    send_table(s, txn, EHI_DB_LISTED, "by_service");
    send_table(s, txn, EHI_DB_NAMED, "by_name");
    send_text(s, MESSAGE_END, "");
}

static void send_index(struct sender *s, struct ehi_db *db)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_db_txn *txn = NULL;
    struct ehi_db_head head;
    bool found = false;
    int rc = ehi_db_begin(db, false, &txn, &error);
    if (rc == ECSHIST_OK)
        rc = ehi_db_get_head(txn, &head, &found, &error);
    if (rc == ECSHIST_OK && !found)
        rc = ehi_fail(&error, ECSHIST_INDEX, "it has no head");
    if (rc != ECSHIST_OK) {
        send_text(s, MESSAGE_UNREADABLE, error.message);
        return;
    }
    send_message(s, (struct wire){.kind = MESSAGE_HEAD}, &head, sizeof(head));
    flush(s); /* the parent waits for it */
    send_tables(s, txn);
}

static ino_t index_inode(const struct verify *v)
{
    struct stat status;
    return fstatat(v->dir_fd, "index", &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

/* Not while somebody swaps it: LMDB opens two files by their names. */
static int open_unswapped(const struct verify *v, struct ehi_db **out, struct ecshist_error *error)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/index", v->path);
    if (length < 0 || length >= (int)sizeof(path))
        return ehi_fail(error, ECSHIST_IO, "the store's path is too long");
    for (;;) {
        ino_t before = index_inode(v);
        int rc = ehi_db_open_inspect(path, out, error);
        if (rc != ECSHIST_OK || index_inode(v) == before)
            return rc;
        ehi_db_release(*out);
    }
}

/*
 * LMDB tells readers apart by their process ids, and somebody in another container may have this one's. A child has
 * another; whoever waits for it keeps his, so that each one's is new.
 */
static int open_under_some_pid(const struct verify *v, struct ehi_db **out,
                               struct ecshist_error *error)
{
    enum { TRIES = 32 };
    int rc = open_unswapped(v, out, error);
    for (int i = 0; i < TRIES && rc == ECSHIST_BUSY; i++) {
        pid_t child = fork();
        if (child > 0) {
            (void)waitpid(child, NULL, 0);
            _exit(0);
        }
        if (child == 0)
            rc = open_unswapped(v, out, error);
    }
    return rc;
}

/* Why there is no index that could be trusted. */
enum trust { TRUSTED, NO_DIRECTORY, NO_DATA, NO_MARK };

static const char *const trust_texts[] = {
    [NO_DIRECTORY] = "there is no index: whoever opens the store next makes it",
    [NO_DATA] = "the index has no file data.mdb that can be read",
    [NO_MARK] = "the index's mark does not say that it can be trusted: whoever opens the store "
                "next makes the index anew",
};

static enum trust trust_of(const struct verify *v)
{
    int fd = openat(v->dir_fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NO_DIRECTORY;
    enum ehi_mark mark = ehi_mark_read(fd, v->store_id);
    struct stat status;
    bool has_data = fstatat(fd, "data.mdb", &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISREG(status.st_mode) && faccessat(fd, "data.mdb", R_OK, AT_EACCESS) == 0;
    close(fd);
    if (!has_data)
        return NO_DATA;
    return mark == EHI_MARK_UNTRUSTED ? NO_MARK : TRUSTED;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* Somebody may be making the index at this moment, and has the writers' lock then. */
static enum trust settled_trust(const struct verify *v)
{
    enum trust trust = trust_of(v);
    int fd = trust == TRUSTED ? -1 : ehi_sys_open(v->log_fd, ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return trust;
    bool free_now = false;
    for (int waited = 0; waited < LOCK_WAIT_MS && !free_now; waited += 20) {
        free_now = flock(fd, LOCK_SH | LOCK_NB) == 0;
        if (!free_now)
            wait_a_little();
    }
    close(fd); /* and the lock with it */
    return trust_of(v);
}

/*
 * Who may not write to LMDB's list of readers can read only what nobody writes to: writers would
 * use the pages again that are being read.
 */
static bool kept_out(const struct verify *v)
{
    if (faccessat(v->dir_fd, "index/lock.mdb", R_OK | W_OK, AT_EACCESS) == 0)
        return false;
    bool alone = flock(v->dir_fd, LOCK_EX | LOCK_NB) == 0;
    if (alone)
        (void)flock(v->dir_fd, LOCK_UN);
    return !alone;
}

/* What a crash of LMDB would leave behind: words on stderr, a core, a report of a sanitizer. */
static void die_quietly(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL,
                                  SIGTERM, SIGINT, SIGPIPE, SIGALRM};
    const struct rlimit no_core = {0, 0};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)signal(signals[i], SIG_DFL);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)dup2(fd, STDERR_FILENO);
}

static void serve(const struct verify *v, int fd)
{
    static struct sender sender;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_db *db = NULL;
    sender.fd = fd;
    sender.filled = 0;
    die_quietly();
#ifdef ECSHIST_TEST_HOOKS
    if (verify_test_in_child != NULL)
        verify_test_in_child();
#endif
    enum trust trust = settled_trust(v);
    if (trust != TRUSTED)
        send_message(&sender, (struct wire){.kind = MESSAGE_NO_INDEX, .number = trust},
                     trust_texts[trust], strlen(trust_texts[trust]));
    else if (kept_out(v))
        send_text(&sender, MESSAGE_KEPT_OUT, "");
    else if (open_under_some_pid(v, &db, &error) != ECSHIST_OK)
        send_text(&sender, MESSAGE_UNREADABLE, error.message);
    else
        send_index(&sender, db);
    flush(&sender);
    _exit(0);
}

/* -- the parent -------------------------------------------------------------------------------- */

struct verify_index {
    pid_t pid;
    int fd;
    uint8_t *buffer; /* from `start` on, `filled` bytes */
    size_t start, filled, capacity;
    bool over, complete;
    bool told; /* it has said itself why it cannot go on */
};

int verify_index_start(struct verify *v)
{
    int ends[2];
    struct verify_index *index = calloc(1, sizeof(*index));
    if (index == NULL)
        return ehi_fail_memory(v->error);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        free(index);
        return ehi_fail_errno(v->error, ECSHIST_IO, "making a pipe");
    }
    index->pid = fork();
    if (index->pid == 0) {
        close(ends[0]);
        serve(v, ends[1]);
    }
    close(ends[1]);
    if (index->pid < 0) {
        int rc = ehi_fail_errno(v->error, ECSHIST_IO, "forking a process to read the index");
        close(ends[0]);
        free(index);
        return rc;
    }
    index->fd = ends[0];
    v->index = index;
    return ECSHIST_OK;
}

void verify_index_stop(struct verify_index *index)
{
    if (index == NULL)
        return;
    if (index->pid > 0) {
        (void)kill(index->pid, SIGKILL);
        while (waitpid(index->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    close(index->fd);
    free(index->buffer);
    free(index);
}

bool verify_index_complete(const struct verify *v)
{
    return v->index != NULL && v->index->complete;
}

static int child_gone(struct verify *v, bool silent)
{
    struct verify_index *index = v->index;
    int status = 0;
    index->over = true;
    if (silent)
        (void)kill(index->pid, SIGKILL);
    pid_t waited;
    do {
        waited = waitpid(index->pid, &status, 0);
    } while (waited < 0 && errno == EINTR);
    index->pid = -1;
    if (silent)
        return verify_finding(v, BROKEN_I9, (struct verify_at){0},
                              "the index cannot be read: reading it does not end");
    if (waited > 0 && WIFSIGNALED(status))
        return verify_finding(v, BROKEN_I9, (struct verify_at){0},
                              "the index cannot be read: signal %d, %s", WTERMSIG(status),
                              strsignal(WTERMSIG(status)));
    if (!index->told)
        return verify_finding(v, BROKEN_I9, (struct verify_at){0},
                              "the index cannot be read: reading it ended early");
    return ECSHIST_OK;
}

/* Waits for bytes. *gone: there will be none. */
static int read_some(struct verify *v, bool *gone)
{
    struct verify_index *index = v->index;
    struct pollfd waiting = {.fd = index->fd, .events = POLLIN};
    int ready;
    do {
        ready = poll(&waiting, 1, SILENCE);
    } while (ready < 0 && errno == EINTR);
    ssize_t n = 0;
    if (ready > 0) {
        do {
            n = read(index->fd, index->buffer + index->start + index->filled,
                     index->capacity - index->start - index->filled);
        } while (n < 0 && errno == EINTR);
    }
    *gone = n <= 0;
    if (*gone)
        return child_gone(v, ready == 0);
    index->filled += (size_t)n;
    return ECSHIST_OK;
}

static bool make_room(struct verify_index *index, size_t need)
{
    if (index->start > 0) {
        memmove(index->buffer, index->buffer + index->start, index->filled);
        index->start = 0;
    }
    if (index->capacity >= need)
        return true;
    size_t capacity = need < BUFFER_BYTES ? BUFFER_BYTES : need;
    uint8_t *buffer = realloc(index->buffer, capacity);
    if (buffer == NULL)
        return false;
    index->buffer = buffer;
    index->capacity = capacity;
    return true;
}

/* *gone, or at least so many bytes are there. */
static int want(struct verify *v, size_t need, bool *gone)
{
    struct verify_index *index = v->index;
    int rc = ECSHIST_OK;
    *gone = false;
    if (index->filled >= need)
        return ECSHIST_OK;
    if (!make_room(index, need))
        return ehi_fail_memory(v->error);
    while (rc == ECSHIST_OK && !*gone && index->filled < need)
        rc = read_some(v, gone);
    return rc;
}

static int take_message(struct verify *v, struct verify_message *out, bool *gone)
{
    struct verify_index *index = v->index;
    struct wire wire;
    int rc = want(v, sizeof(wire), gone);
    if (rc != ECSHIST_OK || *gone)
        return rc;
    memcpy(&wire, index->buffer + index->start, sizeof(wire));
    rc = want(v, sizeof(wire) + wire.length, gone);
    if (rc != ECSHIST_OK || *gone)
        return rc;
    *out = (struct verify_message){.kind = (enum verify_message_kind)wire.kind,
                                   .arn_kind = (enum ehi_arn_kind)wire.arn_kind,
                                   .hash = wire.hash,
                                   .id = wire.id,
                                   .number = wire.number,
                                   .other = wire.other,
                                   .listed = wire.listed,
                                   .length = wire.length,
                                   .bytes = index->buffer + index->start + sizeof(wire)};
    index->start += sizeof(wire) + wire.length;
    index->filled -= sizeof(wire) + wire.length;
    return ECSHIST_OK;
}

/* A text, of this message: the byte behind it is the next one's, so it goes by its length. */
static int tell(struct verify *v, enum invariant broken, const char *front,
                const struct verify_message *m)
{
    return verify_finding(v, broken, (struct verify_at){0}, "%s%.*s", front, (int)m->length,
                          (const char *)m->bytes);
}

int verify_index_next(struct verify *v, struct verify_message *out)
{
    bool gone = v->index == NULL || v->index->over;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK && !gone) {
        rc = take_message(v, out, &gone);
        if (rc != ECSHIST_OK || gone)
            break;
        if (out->kind == MESSAGE_END) {
            v->index->complete = v->index->over = true;
            return ECSHIST_OK;
        }
        if (out->kind == MESSAGE_KEPT_OUT)
            return ehi_fail(v->error, ECSHIST_IO,
                            "%s is in use, and this user may not write to index/lock.mdb, without "
                            "which the index cannot be read meanwhile",
                            v->path);
        if (out->kind != MESSAGE_UNREADABLE && out->kind != MESSAGE_NO_INDEX)
            return ECSHIST_OK;
        v->index->told = true;
        if (out->kind == MESSAGE_NO_INDEX)
            rc = tell(v, out->number == NO_MARK ? BROKEN_I7 : BROKEN_I9, "", out);
        else
            rc = tell(v, BROKEN_I9, "the index cannot be read: ", out);
    }
    *out = (struct verify_message){.kind = MESSAGE_END};
    return rc;
}
