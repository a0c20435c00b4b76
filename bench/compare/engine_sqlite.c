/*
 * SQLite: rowids, prepared statements, one transaction an append, WAL that is flushed at each.
 * Threads that append share one connection under a mutex: with a connection each and a busy
 * timeout they appended less than half as much, sleeping while nobody wrote.
 */
#include "engine.h"
#include "peer.h"
#include "util.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define PRAGMAS                                                                                    \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-262144;"                 \
    "PRAGMA wal_autocheckpoint=10000; PRAGMA mmap_size=17179869184; PRAGMA temp_store=MEMORY;"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS events(seq INTEGER PRIMARY KEY, subject INTEGER NOT NULL,"
    " id TEXT NOT NULL, type INTEGER NOT NULL, time INTEGER NOT NULL,"
    " recorded_at INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events(subject, id);"
    "CREATE TABLE IF NOT EXISTS revisions(id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS services(id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS deployments(id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE,"
    " service_id INTEGER NOT NULL, created_at INTEGER NOT NULL, last_seq INTEGER, status INTEGER,"
    " started_at INTEGER, finished_at INTEGER, stopped_at INTEGER, updated_at INTEGER,"
    " rollback_started_at INTEGER, requested INTEGER, running INTEGER, pending INTEGER,"
    " source_requested INTEGER, source_running INTEGER, source_pending INTEGER,"
    " failures INTEGER, threshold INTEGER, breaker INTEGER, target TEXT, source TEXT, "
    "status_reason TEXT, rollback_reason TEXT, rollback_revision TEXT,"
    " configuration TEXT);"
    "CREATE INDEX IF NOT EXISTS deployments_by_service"
    " ON deployments(service_id, created_at DESC, id DESC);";

#define COLUMNS                                                                                    \
    "id, arn, created_at, last_seq, status, started_at, finished_at, stopped_at, updated_at, "     \
    "rollback_started_at, requested, running, pending, source_requested, source_running, "         \
    "source_pending, failures, threshold, breaker, target, source, "                               \
    "status_reason, rollback_reason, rollback_revision, configuration"

enum statement {
    BEGIN,
    COMMIT,
    BEGIN_READ,
    GET,
    LIST,
    GET_REVISION,
    PUT_EVENT,
    PUT_REVISION,
    PUT_SERVICE,
    INSERT_ROW,
    UPDATE_ROW,
    STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "BEGIN",
    "SELECT " COLUMNS " FROM deployments WHERE arn = ?1",
    "SELECT " COLUMNS " FROM deployments WHERE service_id = (SELECT id FROM services WHERE arn = "
    "?1) ORDER BY created_at DESC, id DESC LIMIT 20",
    "SELECT id FROM revisions WHERE arn = ?1",
    "INSERT OR IGNORE INTO events(seq, subject, id, type, time, recorded_at, body)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "INSERT INTO revisions(id, arn) VALUES(?1, ?2)",
    "INSERT OR IGNORE INTO services(arn) VALUES(?1)",
    "INSERT INTO deployments(id, arn, created_at, last_seq, status, started_at, finished_at,"
    " stopped_at, updated_at, rollback_started_at, requested, running, pending, source_requested,"
    " source_running, source_pending, failures, threshold, breaker, target,"
    " source, status_reason, rollback_reason, rollback_revision, configuration, service_id)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,"
    " ?20, ?21, ?22, ?23, ?24, ?25, (SELECT id FROM services WHERE arn = ?26))",
    "UPDATE deployments SET last_seq = ?2, status = ?3, started_at = ?4, finished_at = ?5,"
    " stopped_at = ?6, updated_at = ?7, rollback_started_at = ?8, requested = ?9, running = ?10,"
    " pending = ?11, source_requested = ?12, source_running = ?13, source_pending = ?14,"
    " failures = ?15, threshold = ?16, breaker = ?17, target = ?18, source = ?19,"
    " status_reason = ?20, rollback_reason = ?21, rollback_revision = ?22, configuration = ?23"
    " WHERE id = ?1"};

struct connection {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

struct store {
    char path[4096];
    struct connection writer;
    pthread_mutex_t lock;
    int64_t next_seq;
};

struct session {
    struct store *store;
    struct connection own, *c; /* a reader's own, or the store's writer */
    struct peer_batch *batch;
};

static void check(const struct connection *c, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        fail("sqlite: %s", sqlite3_errmsg(c->db));
}

static void connection_open(struct connection *c, const char *path, const char *setup)
{
    check(c,
          sqlite3_open_v2(path, &c->db,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    check(c, sqlite3_busy_timeout(c->db, 10000));
    check(c, sqlite3_exec(c->db, PRAGMAS, NULL, NULL, NULL));
    check(c, sqlite3_exec(c->db, setup, NULL, NULL, NULL));
    for (int i = 0; i < STATEMENTS; i++)
        check(c, sqlite3_prepare_v3(c->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &c->statements[i],
                                    NULL));
}

static void connection_close(struct connection *c)
{
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(c->statements[i]);
    check(c, sqlite3_close(c->db));
}

/* Runs a statement that gives no rows. */
static void run(struct connection *c, enum statement which)
{
    int code = sqlite3_step(c->statements[which]);
    check(c, code);
    check(c, sqlite3_reset(c->statements[which]));
}

static void *store_open(const char *dir)
{
    struct store *s = must(calloc(1, sizeof(*s)));
    make_dir(dir);
    snprintf(s->path, sizeof(s->path), "%s/history.sqlite", dir);
    connection_open(&s->writer, s->path, schema);
    pthread_mutex_init(&s->lock, NULL);
    sqlite3_stmt *last;
    check(&s->writer,
          sqlite3_prepare_v2(s->writer.db, "SELECT max(seq) FROM events", -1, &last, NULL));
    check(&s->writer, sqlite3_step(last));
    s->next_seq = sqlite3_column_int64(last, 0) + 1;
    sqlite3_finalize(last);
    return s;
}

/* The last connection checkpoints and removes the WAL. */
static void store_close(void *store)
{
    struct store *s = store;
    connection_close(&s->writer);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void *attach(void *store, bool to_write)
{
    struct session *s = must(calloc(1, sizeof(*s)));
    s->store = store;
    s->c = &s->store->writer;
    if (to_write) {
        s->batch = peer_batch_new();
    } else {
        connection_open(&s->own, s->store->path, "");
        s->c = &s->own;
    }
    return s;
}

static void detach(void *session)
{
    struct session *s = session;
    if (s->c == &s->own)
        connection_close(&s->own);
    peer_batch_free(s->batch);
    free(s);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text[0] == '\0')
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static void take_text(sqlite3_stmt *statement, int column, char out[ROW_TEXT_BYTES])
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    size_t length = text == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column);
    if (length >= ROW_TEXT_BYTES)
        length = ROW_TEXT_BYTES - 1;
    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}

/* All columns, in the order of COLUMNS. */
static void take_row(sqlite3_stmt *statement, struct row *row)
{
    struct row_numbers *n = &row->n;
    int64_t *const numbers[] = {
        &n->created_at,       &n->last_seq,       &n->status,         &n->started_at,
        &n->finished_at,      &n->stopped_at,     &n->updated_at,     &n->rollback_started_at,
        &n->target.requested, &n->target.running, &n->target.pending, &n->source.requested,
        &n->source.running,   &n->source.pending, &n->failures,       &n->threshold,
        &n->breaker};
    enum { NUMBERS = sizeof(numbers) / sizeof(*numbers) };
    n->id = sqlite3_column_int64(statement, 0);
    n->is_revision = 0;
    take_text(statement, 1, row->text[ROW_ARN]);
    for (int i = 0; i < NUMBERS; i++)
        *numbers[i] = sqlite3_column_int64(statement, 2 + i);
    for (int i = ROW_TARGET; i < ROW_TEXTS; i++)
        take_text(statement, 1 + NUMBERS + i, row->text[i]);
}

static bool get(struct session *s, const char *arn, size_t length, struct row *row)
{
    sqlite3_stmt *statement = s->c->statements[GET];
    sqlite3_bind_text(statement, 1, arn, (int)length, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    check(s->c, code);
    if (code == SQLITE_ROW)
        take_row(statement, row);
    sqlite3_reset(statement);
    return code == SQLITE_ROW;
}

static bool load(void *session, const struct item *item, struct row *row)
{
    struct session *s = session;
    if (item->type != WORKLOAD_REVISION_CREATED)
        return get(s, item->subject, item->subject_length, row);
    sqlite3_stmt *statement = s->c->statements[GET_REVISION];
    sqlite3_bind_text(statement, 1, item->subject, (int)item->subject_length, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    check(s->c, code);
    if (code == SQLITE_ROW) {
        row_begin(row, item, 0);
        row->n.id = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW;
}

static int64_t put_event(void *session, const struct item *item, int64_t id)
{
    struct session *s = session;
    sqlite3_stmt *statement = s->c->statements[PUT_EVENT];
    int64_t seq = s->store->next_seq;
    sqlite3_bind_int64(statement, 1, seq);
    sqlite3_bind_int64(statement, 2, id != 0 ? id : seq);
    sqlite3_bind_text(statement, 3, item->id, (int)item->id_length, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, item->type);
    sqlite3_bind_int64(statement, 5, item->time_us);
    sqlite3_bind_int64(statement, 6, now_us());
    sqlite3_bind_blob(statement, 7, item->body, (int)item->body_length, SQLITE_STATIC);
    run(s->c, PUT_EVENT);
    if (sqlite3_changes(s->c->db) == 0)
        return 0;
    s->store->next_seq++;
    return seq;
}

/* What may change, bound from `at` on, in the order of UPDATE_ROW and of INSERT_ROW. */
static int bind_numbers(sqlite3_stmt *statement, int at, const struct row_numbers *n)
{
    const int64_t numbers[] = {
        n->last_seq,       n->status,         n->started_at,          n->finished_at,
        n->stopped_at,     n->updated_at,     n->rollback_started_at, n->target.requested,
        n->target.running, n->target.pending, n->source.requested,    n->source.running,
        n->source.pending, n->failures,       n->threshold,           n->breaker};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        sqlite3_bind_int64(statement, at++, numbers[i]);
    return at;
}

static void insert_row(struct session *s, const struct row *row)
{
    sqlite3_stmt *service = s->c->statements[PUT_SERVICE];
    sqlite3_stmt *statement = s->c->statements[INSERT_ROW];
    bind_text(service, 1, row->service);
    run(s->c, PUT_SERVICE);
    sqlite3_bind_int64(statement, 1, row->n.id);
    bind_text(statement, 2, row->text[ROW_ARN]);
    sqlite3_bind_int64(statement, 3, row->n.created_at);
    int at = bind_numbers(statement, 4, &row->n);
    for (int i = ROW_TARGET; i < ROW_TEXTS; i++)
        bind_text(statement, at++, row->text[i]);
    bind_text(statement, at, row->service);
    run(s->c, INSERT_ROW);
}

static void put_row(void *session, const struct row *row, bool fresh)
{
    struct session *s = session;
    if (row->n.is_revision) {
        sqlite3_bind_int64(s->c->statements[PUT_REVISION], 1, row->n.id);
        bind_text(s->c->statements[PUT_REVISION], 2, row->text[ROW_ARN]);
        run(s->c, PUT_REVISION);
    } else if (fresh) {
        insert_row(s, row);
    } else {
        sqlite3_stmt *statement = s->c->statements[UPDATE_ROW];
        sqlite3_bind_int64(statement, 1, row->n.id);
        int at = bind_numbers(statement, 2, &row->n);
        for (int i = ROW_TARGET; i < ROW_TEXTS; i++)
            bind_text(statement, at++, row->text[i]);
        run(s->c, UPDATE_ROW);
    }
}

static size_t append(void *session, const struct item *items, size_t count)
{
    static const struct peer_calls calls = {"sqlite", load, put_event, put_row};
    struct session *s = session;
    pthread_mutex_lock(&s->store->lock);
    run(s->c, BEGIN);
    size_t duplicates = peer_append(&calls, s, s->batch, items, count);
    run(s->c, COMMIT);
    pthread_mutex_unlock(&s->store->lock);
    return duplicates;
}

static void read_begin(void *session)
{
    struct session *s = session;
    run(s->c, BEGIN_READ);
}

static void read_end(void *session)
{
    struct session *s = session;
    run(s->c, COMMIT);
}

/* Reads all columns where they are, without a copy. */
static void touch_columns(sqlite3_stmt *statement, struct answer *out)
{
    out->status = sqlite3_column_int(statement, 4);
    out->touched += touch_text((const char *)sqlite3_column_text(statement, 1));
    for (int i = 0; i < 19; i++)
        if (i != 1)
            out->touched += (uint64_t)sqlite3_column_int64(statement, i);
    for (int i = 19; i < 25; i++)
        out->touched += touch_text((const char *)sqlite3_column_text(statement, i));
}

static bool describe(void *session, const char *arn, size_t length, enum depth depth,
                     struct answer *out)
{
    struct session *s = session;
    sqlite3_stmt *statement = s->c->statements[GET];
    (void)depth;
    sqlite3_bind_text(statement, 1, arn, (int)length, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    check(s->c, code);
    if (code == SQLITE_ROW)
        touch_columns(statement, out);
    sqlite3_reset(statement);
    return code == SQLITE_ROW;
}

static void list(void *session, const char *arn, size_t length, struct answer *out)
{
    struct session *s = session;
    sqlite3_stmt *statement = s->c->statements[LIST];
    int code;
    out->count = 0;
    sqlite3_bind_text(statement, 1, arn, (int)length, SQLITE_STATIC);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        touch_columns(statement, out);
        out->count++;
    }
    check(s->c, code);
    sqlite3_reset(statement);
}

const struct engine engine_sqlite = {
    .name = "sqlite",
    .title = "SQLite",
    .settings = "WAL, synchronous=FULL, cache 256 MiB, mmap_size 16 GiB, wal_autocheckpoint 10000; "
                "prepared statements; a transaction an append; threads share a connection",
    .leaves_out = "checksums; services' counts; views of earlier moments",
    .reads = true,
    .version = sqlite3_libversion,
    .open = store_open,
    .close = store_close,
    .attach = attach,
    .detach = detach,
    .append = append,
    .read_begin = read_begin,
    .read_end = read_end,
    .describe = describe,
    .list = list,
};
