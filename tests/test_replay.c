/*
 * store/fold/replay.c: the index is the same, row by row, however the log is parted, and whether one thread makes it or two.
 */
#include "db/db.h"
#include "fold/store.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *dir, *path;

static void set_up(void)
{
    dir = store_dir_new();
    path = store_dir_path(dir, "store");
}

static void tear_down(void)
{
    free(path);
    store_dir_remove(dir);
}

TestSuite(replay, .init = set_up, .fini = tear_down);

/* -- all rows of an index, as text --------------------------------------------------------------- */

static void print_entries(FILE *out, const struct ehi_db_row *row)
{
    for (unsigned i = 0; i < row->count; i++) {
        const struct ehi_db_entry *e = &row->entries[i];
        fprintf(out, " %llu/%x/%u/%u/%u", (unsigned long long)e->seq, e->id_hash, e->offset,
                e->type, e->flags);
    }
}

static void print_row(FILE *out, enum ehi_db_table table, const struct ehi_db_row *row)
{
    bool is_state =
        table == EHI_DB_DEPLOYMENTS || table == EHI_DB_REVISIONS || table == EHI_DB_SERVICES;
    fprintf(out, "%d: %llu", table, (unsigned long long)row->id);
    if (table == EHI_DB_ARNS)
        fprintf(out, " %016llx%016llx %d", (unsigned long long)row->hash.high,
                (unsigned long long)row->hash.low, row->kind);
    if (table == EHI_DB_TIMELINE || table == EHI_DB_NAMED)
        fprintf(out, " %llu", (unsigned long long)row->number);
    if (table == EHI_DB_LISTED)
        fprintf(out, " %lld %llu %llu %d", (long long)row->listed.created_at_us,
                (unsigned long long)row->listed.created_seq,
                (unsigned long long)row->listed.deployment_id, row->listed.status);
    if (table == EHI_DB_TIMELINE)
        print_entries(out, row);
    for (size_t i = 0; is_state && i < row->value.length; i++)
        fprintf(out, "%02x", row->value.data[i]);
    fputc('\n', out);
}

static void print_head(FILE *out, struct ehi_db_txn *txn)
{
    struct ehi_db_head head = {0};
    bool found;
    cr_assert_eq(ehi_db_get_head(txn, &head, &found, NULL), ECSHIST_OK);
    cr_assert(found);
    fprintf(out, "head %llu %llu %llu %llu %llx %llu %llu %llu %llu %llu %llu",
            (unsigned long long)head.segment, (unsigned long long)head.offset,
            (unsigned long long)head.next_seq, (unsigned long long)head.frame_offset,
            (unsigned long long)head.frame_checksum, (unsigned long long)head.next_id,
            (unsigned long long)head.last_expired_seq, (unsigned long long)head.event_count,
            (unsigned long long)head.ignored_count, (unsigned long long)head.revision_count,
            (unsigned long long)head.service_count);
    for (int i = 0; i < 16; i++)
        fprintf(out, " %llu", (unsigned long long)head.by_status[i]);
    fputc('\n', out);
}

static void print_table(FILE *out, struct ehi_db_txn *txn, enum ehi_db_table table)
{
    struct ehi_db_rows rows;
    struct ehi_db_row row;
    bool found = true;
    ehi_db_rows(&rows, txn, table);
    while (found) {
        cr_assert_eq(ehi_db_rows_next(&rows, &row, &found, NULL), ECSHIST_OK);
        cr_assert(!found || row.well_formed);
        if (found)
            print_row(out, table, &row);
    }
    ehi_db_rows_end(&rows);
}

static char *index_as_text(void)
{
    char *text, *index = store_dir_path(path, "index");
    size_t length;
    FILE *out = open_memstream(&text, &length);
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    cr_assert_eq(ehi_db_open(index, 0, false, false, &db, NULL), ECSHIST_OK);
    cr_assert_eq(ehi_db_begin(db, false, &txn, NULL), ECSHIST_OK);
    print_head(out, txn);
    for (int table = EHI_DB_ARNS; table <= EHI_DB_NAMED; table++)
        print_table(out, txn, (enum ehi_db_table)table);
    ehi_db_abort(txn);
    ehi_db_release(db);
    fclose(out);
    free(index);
    return text;
}

/* -- rebuilding it ----------------------------------------------------------------------------------- */

static int rebuild(uint32_t part_events, bool alone, struct ecshist_error *error)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    ecshist_store *store = NULL;
    ehi_replay_test_events = part_events;
    ehi_replay_test_alone = alone;
    options.flags = ECSHIST_OPEN_REBUILD;
    int rc = ecshist_open(path, &options, &store, error);
    ehi_replay_test_events = 0;
    ehi_replay_test_alone = false;
    if (rc == ECSHIST_OK)
        ecshist_close(store);
    return rc;
}

static char *rebuilt(uint32_t part_events, bool alone)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = rebuild(part_events, alone, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s", error.message);
    return index_as_text();
}

/* Nothing is found wrong by the rules as they are written down a second time. */
static void verify(void)
{
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ecshist_verify(path, NULL, NULL, NULL, &result, &error);
    cr_assert(rc == ECSHIST_OK && result.finding_count == 0, "%d, %s", rc, error.message);
}

static void check_parts(unsigned long long seed)
{
    static const uint32_t parts[] = {1, 2, 3, 7, 20, 50, 120};
    char *whole = rebuilt(0, false);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (int alone = 0; alone < 2; alone++) {
            char *parted = rebuilt(parts[i], alone == 1);
            cr_assert_str_eq(whole, parted, "seed %llu, parts of %u events, %s", seed, parts[i],
                             alone ? "one thread" : "two threads");
            free(parted);
        }
    }
    verify();
    free(whole);
}

static void append_random(ecshist_store *store, struct random_events *random, unsigned count)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = ECSHIST_APPEND_LENIENT;
    for (unsigned i = 0; i < count; i++) {
        json_t *event = random_events_next(random);
        char *json = json_dumps(event, 0);
        (void)!ecshist_append_json(store, json, strlen(json), &options, NULL, NULL);
        free(json);
        json_decref(event);
    }
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total;
    return false;
}

/* Stopped in the middle some segments are cleaned and others not. */
static void compact(ecshist_store *store, struct random_events *random)
{
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    options.retention_us = 1000000;
    options.has_now = true;
    options.now_us = random->now_us - (int64_t)random_below(random, 3000) * 1000000;
    options.progress = random_percent(random, 30) ? stop_at_once : NULL;
    int rc = ecshist_compact(store, &options, NULL, &error);
    cr_assert(rc == ECSHIST_OK || (rc == ECSHIST_END && options.progress != NULL), "%s",
              error.message);
}

Test(replay, parts_do_not_matter)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct random_events random;
        ecshist_store *store = store_dir_open(path);
        random_events_start(&random, seed);
        append_random(store, &random, 150);
        for (int i = 0; i < 3; i++) {
            if (seed % 3 != 0)
                compact(store, &random);
            append_random(store, &random, (unsigned)random_below(&random, 80));
        }
        random_events_end(&random);
        ecshist_close(store);
        check_parts(seed);
        store_dir_unlink(path);
    }
}

/* -- what goes wrong --------------------------------------------------------------------------------- */

static void append_some(unsigned count)
{
    struct random_events random;
    ecshist_store *store = store_dir_open(path);
    random_events_start(&random, 5);
    append_random(store, &random, count);
    random_events_end(&random);
    ecshist_close(store);
}

/* A byte of the oldest segment is another one: some events are good before it, and many come after it. */
static void spoil(size_t share, size_t of)
{
    char *segment = store_dir_oldest_segment(path);
    size_t length;
    unsigned char *bytes = store_dir_read(segment, &length);
    /* A sealed one has its footer behind, the newest zeros. */
    while (length > 0 && bytes[length - 1] == 0)
        length--;
    size_t at = length / of * share;
    unsigned char other = bytes[at] ^ 0x40;
    store_dir_write(segment, at, &other, 1);
    free(bytes);
    free(segment);
}

static void check_error(const struct ecshist_error *wanted, uint32_t part_events, bool alone)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = rebuild(part_events, alone, &error);
    cr_assert_eq(rc, ECSHIST_DAMAGED, "%s", error.message);
    cr_assert_str_eq(error.message, wanted->message);
    cr_assert_str_eq(error.place, wanted->place);
    cr_assert_eq(error.seq, wanted->seq);
}

Test(replay, the_first_damage_is_reported)
{
    for (size_t share = 3; share < 8; share += 2) {
        struct ecshist_error wanted = ECSHIST_ERROR_INIT;
        append_some(300);
        spoil(share, 9);
        spoil(8, 9);
        cr_assert_eq(rebuild(0, true, &wanted), ECSHIST_DAMAGED, "%s", wanted.message);
        for (uint32_t part = 1; part < 200; part = part * 2 + 1) {
            check_error(&wanted, part, false);
            check_error(&wanted, part, true);
        }
        store_dir_unlink(path);
    }
}

static bool count_down(void *context, uint64_t done, uint64_t total)
{
    unsigned *left = context;
    cr_assert_leq(done, total);
    return (*left)-- > 0;
}

/* It is asked after each part, by the thread that called, and the index that was there stays. */
Test(replay, stops_when_told)
{
    append_some(300);
    char *before = rebuilt(0, false);
    for (unsigned after = 0; after < 20; after += 3) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        ecshist_store *store = store_dir_open(path);
        unsigned left = after;
        ehi_replay_test_events = 10;
        int rc = ecshist_rebuild_index(store, count_down, &left, &error);
        ehi_replay_test_events = 0;
        cr_assert_eq(rc, ECSHIST_END, "%s", error.message);
        ecshist_close(store);
        char *after_it = index_as_text();
        cr_assert_str_eq(before, after_it);
        free(after_it);
    }
    free(before);
}

static volatile sig_atomic_t caught_by_another;
static pthread_t caller;

static void on_signal(int number)
{
    (void)number;
    caught_by_another |= !pthread_equal(pthread_self(), caller);
}

static void *send_signals(void *context)
{
    atomic_bool *stop = context;
    while (!atomic_load(stop))
        (void)kill(getpid(), SIGUSR1);
    return NULL;
}

/* A signal of the process is never taken by the thread that folds: its handlers may count on the program's own. */
Test(replay, signals_are_for_others)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t usr1;
    pthread_t sender;
    atomic_bool stop = false;
    append_some(300);
    caller = pthread_self();
    cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    /* The sender has it blocked; this thread only while that begins. */
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    cr_assert_eq(pthread_create(&sender, NULL, send_signals, &stop), 0);
    cr_assert_eq(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL), 0);
    for (int i = 0; i < 5; i++)
        free(rebuilt(5, false));
    atomic_store(&stop, true);
    cr_assert_eq(pthread_join(sender, NULL), 0);
    cr_assert_not(caught_by_another);
}
