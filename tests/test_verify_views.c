/*
 * Verify's logical pass: for each invariant of events and of the index, a store in which it is
 * broken; damaged indices, and children that die; stores that others write to.
 */
#include "log/log.h"
#include "test_verify.h"

#include "codec/state.h"
#include "db/db.h"
#include "db/internal.h"
#include "support/random_events.h"
#include "upkeep/verify_internal.h"

#include <dirent.h>
#include <ecshist/query.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *dir, *path;
static struct found found;

/* Bytes are broken here that compressed records have not, or in other places: test_verify_compressed.c has those. */
static void setup(void)
{
    ehi_log_test_plain = true;
    store_dir_segment_bytes = 65536;
    dir = fast_dir();
    path = store_dir_path(dir, "store");
    ecshist_store *store = store_dir_open(path);
    append_random(store, 7, 300);
    append_started(store, "a");
    append_tasks(store, "a", 150);
    (void)store_must_append(store, "{\"type\":\"service-deleted\",\"time\":9000,"
                                   "\"serviceArn\":\"" TEST_SERVICE_ARN "\"}");
    ecshist_close(store);
    look_clean(path, 0);
}

static void teardown(void)
{
    free(path);
    store_dir_remove(dir);
}

TestSuite(verify_views, .init = setup, .fini = teardown);

/* -- the index, edited by LMDB itself ---------------------------------------------------------- */

struct lmdb {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    enum db_table which;
};

static enum db_table table_named(const char *name)
{
    int i = 0;
    while (strcmp(db_table_names[i], name) != 0)
        i++;
    return (enum db_table)i;
}

static void lmdb_open(struct lmdb *l, const char *table)
{
    char *index = store_dir_path(path, "index");
    cr_assert_eq(mdb_env_create(&l->env), 0);
    cr_assert_eq(mdb_env_set_maxdbs(l->env, 8), 0);
    cr_assert_eq(mdb_env_set_maxreaders(l->env, 1024), 0);
    cr_assert_eq(mdb_env_set_mapsize(l->env, 64u << 20), 0);
    cr_assert_eq(mdb_env_open(l->env, index, MDB_NOSYNC | MDB_NOTLS, 0600), 0);
    cr_assert_eq(mdb_txn_begin(l->env, NULL, 0, &l->txn), 0);
    cr_assert_eq(mdb_dbi_open(l->txn, table, 0, &l->table), 0);
    l->which = table_named(table);
    free(index);
}

/* With the checksum that it should have. */
static void lmdb_put(struct lmdb *l, MDB_val key, MDB_val value)
{
    MDB_val place = {value.mv_size + DB_CHECKSUM_BYTES, NULL};
    cr_assert_eq(mdb_put(l->txn, l->table, &key, &place, MDB_RESERVE), 0);
    memcpy(place.mv_data, value.mv_data, value.mv_size);
    ehi_put_le32((uint8_t *)place.mv_data + value.mv_size, db_checksum(l->which, key, value));
}

static void lmdb_close(struct lmdb *l)
{
    cr_assert_eq(mdb_txn_commit(l->txn), 0);
    mdb_env_close(l->env);
}

typedef void edit_fn(MDB_val *key, MDB_val *value);

/* The n-th row, copied, changed by `edit`, put back; without edit it is deleted. */
static void edit_row(const char *table, unsigned n, edit_fn *edit)
{
    struct lmdb l;
    MDB_cursor *cursor;
    MDB_val key, value;
    uint8_t k[512], v[8192];
    lmdb_open(&l, table);
    cr_assert_eq(mdb_cursor_open(l.txn, l.table, &cursor), 0);
    for (unsigned i = 0; i <= n; i++)
        cr_assert_eq(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), 0, "%s has no row %u", table,
                     n);
    cr_assert_leq(value.mv_size, sizeof(v));
    memcpy(k, key.mv_data, key.mv_size);
    value.mv_size -= DB_CHECKSUM_BYTES;
    if (value.mv_size != 0)
        memcpy(v, value.mv_data, value.mv_size);
    cr_assert_eq(mdb_cursor_del(cursor, 0), 0);
    mdb_cursor_close(cursor);
    if (edit != NULL) {
        key.mv_data = k;
        value.mv_data = v;
        edit(&key, &value);
        lmdb_put(&l, key, value);
    }
    lmdb_close(&l);
}

static uint8_t *bytes_of(MDB_val *v)
{
    return v->mv_data;
}

static void flip_first_of_value(MDB_val *key, MDB_val *value)
{
    (void)key;
    bytes_of(value)[0] ^= 1;
}

static void flip_last_of_value(MDB_val *key, MDB_val *value)
{
    (void)key;
    bytes_of(value)[value->mv_size - 1] ^= 1;
}

static void shorten_value(MDB_val *key, MDB_val *value)
{
    (void)key;
    value->mv_size--;
}

static void flip_first_of_key(MDB_val *key, MDB_val *value)
{
    (void)value;
    bytes_of(key)[0] ^= 1;
}

static void flip_last_of_key(MDB_val *key, MDB_val *value)
{
    (void)value;
    bytes_of(key)[key->mv_size - 1] ^= 1;
}

static void heal(void)
{
    ecshist_store *store = store_dir_open(path);
    cr_assert_eq(ecshist_rebuild_index(store, NULL, NULL, NULL), ECSHIST_OK);
    ecshist_close(store);
    look_clean(path, 0);
}

/* That invariant is among those found; a rebuild heals it. */
static void expect(const char *invariant)
{
    look(path, 0, &found);
    cr_assert(has(&found, invariant), "no %s in: %s", invariant, found.all);
    look_clean(path, ECSHIST_VERIFY_QUICK);
    heal();
}

static void expect_only(const char *invariant)
{
    look_broken(path, 0, invariant, &found);
    heal();
}

static void set_head(void (*change)(struct ehi_db_head *head))
{
    char *index = store_dir_path(path, "index");
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    bool is;
    store_must(ehi_db_open(index, 64u << 20, false, false, &db, NULL), "open", NULL);
    store_must(ehi_db_begin(db, true, &txn, NULL), "begin", NULL);
    store_must(ehi_db_get_head(txn, &head, &is, NULL), "head", NULL);
    change(&head);
    store_must(ehi_db_put_head(txn, &head, NULL), "put", NULL);
    store_must(ehi_db_commit(txn, NULL), "commit", NULL);
    ehi_db_release(db);
    free(index);
}

/* -- I1, I6, L11: the head --------------------------------------------------------------------- */

static void other_checksum(struct ehi_db_head *head)
{
    head->frame_checksum ^= 1;
}
static void other_offset(struct ehi_db_head *head)
{
    head->offset += 8;
}
static void other_segment(struct ehi_db_head *head)
{
    head->segment++;
}
static void other_format(struct ehi_db_head *head)
{
    head->index_format++;
}
static void other_store(struct ehi_db_head *head)
{
    head->store_id[3] ^= 1;
}

Test(verify_views, I1_the_position)
{
    void (*const changes[])(struct ehi_db_head *) = {other_checksum, other_offset, other_segment,
                                                     other_format, other_store};
    for (size_t i = 0; i < 5; i++) {
        set_head(changes[i]);
        expect_only("I1");
    }
}

static void more_applied(struct ehi_db_head *head)
{
    head->next_seq += 3;
}

Test(verify_views, L11_the_index_knows_of_more)
{
    set_head(more_applied);
    look_broken(path, 0, "L11", &found);
    /* Nobody but a person can say what is to be done: the store does not open. */
    cr_assert_eq(ecshist_open(path, NULL, &(ecshist_store *){NULL}, NULL), ECSHIST_DAMAGED);
}

static void one_event_more(struct ehi_db_head *head)
{
    head->event_count++;
}
static void one_ignored_less(struct ehi_db_head *head)
{
    head->ignored_count--;
}
static void one_revision_more(struct ehi_db_head *head)
{
    head->revision_count++;
}
static void one_service_more(struct ehi_db_head *head)
{
    head->service_count++;
}
static void another_status(struct ehi_db_head *head)
{
    head->by_status[ECSHIST_STATUS_STOPPED]++;
}
static void another_expiry(struct ehi_db_head *head)
{
    head->last_expired_seq++;
}

Test(verify_views, I6_each_count)
{
    void (*const changes[])(struct ehi_db_head *) = {one_event_more,    one_ignored_less,
                                                     one_revision_more, one_service_more,
                                                     another_status,    another_expiry};
    for (size_t i = 0; i < 6; i++) {
        set_head(changes[i]);
        expect_only("I6");
    }
}

static void reuses_ids(struct ehi_db_head *head)
{
    head->next_id = 2;
}

Test(verify_views, I3_an_id_that_will_be_given_again)
{
    set_head(reuses_ids);
    expect_only("I3");
}

/* -- I2: states -------------------------------------------------------------------------------- */

/* A deliberate mistake in the index's copy of a state, well-formed otherwise. */
static void mistake(unsigned n, void (*change)(struct ehi_deployment *d))
{
    char *index = store_dir_path(path, "index");
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_walk walk;
    struct ehi_deployment d;
    struct ehi_arena arena = {0};
    struct ehi_buffer buffer = {0};
    struct ehi_slice state;
    uint64_t id = 0;
    bool is = true;
    store_must(ehi_db_open(index, 64u << 20, false, false, &db, NULL), "open", NULL);
    store_must(ehi_db_begin(db, true, &txn, NULL), "begin", NULL);
    ehi_db_states(&walk, txn, EHI_ARN_DEPLOYMENT);
    for (unsigned i = 0; i <= n; i++)
        store_must(ehi_db_states_next(&walk, &id, &state, &is, NULL), "next", NULL);
    ehi_db_walk_end(&walk);
    cr_assert(is);
    store_must(ehi_deployment_decode(state, &arena, &d, NULL), "decode", NULL);
    change(&d);
    store_must(ehi_deployment_encode(&d, &buffer), "encode", NULL);
    store_must(ehi_db_put_state(txn, EHI_ARN_DEPLOYMENT, id, ehi_buffer_slice(&buffer), NULL),
               "put", NULL);
    store_must(ehi_db_commit(txn, NULL), "commit", NULL);
    ehi_db_release(db);
    ehi_buffer_free(&buffer);
    ehi_arena_free(&arena);
    free(index);
}

static void another_failure(struct ehi_deployment *d)
{
    d->failure_count++;
}
static void another_update(struct ehi_deployment *d)
{
    d->updated_at_us++;
}
static void another_count(struct ehi_deployment *d)
{
    d->target.running++;
}

Test(verify_views, I2_a_deliberate_mistake_in_a_state)
{
    for (unsigned n = 0; n < 3; n++) {
        mistake(n, another_failure);
        look_broken(path, 0, "I2", &found);
        cr_assert_not_null(strstr(found.text, "failureCount"), "%s", found.text);
        heal();
    }
    mistake(1, another_update);
    look_broken(path, 0, "I2", &found);
    cr_assert_not_null(strstr(found.text, "updatedAt"), "%s", found.text);
    mistake(2, another_count);
    look_broken(path, 0, "I2", &found);
    cr_assert_eq(found.result.finding_count, 2, "%s", found.all);
    heal();
}

Test(verify_views, I2_states_that_are_not_there_or_no_states)
{
    static const char *const tables[] = {"deployments", "revisions", "services"};
    for (size_t i = 0; i < 3; i++) {
        edit_row(tables[i], 0, NULL);
        expect_only("I2");
        edit_row(tables[i], 0, flip_first_of_value);
        expect_only("I2");
        edit_row(tables[i], 0, flip_last_of_value);
        expect_only("I2");
        edit_row(tables[i], 0, shorten_value);
        expect_only("I2");
    }
}

/* -- I3: ARNs ---------------------------------------------------------------------------------- */

Test(verify_views, I3_arns)
{
    for (unsigned n = 0; n < 6; n++) {
        edit_row("arns", n, NULL);
        expect("I3");
        edit_row("arns", n, flip_last_of_value); /* another one's id */
        expect("I3");
        edit_row("arns", n, flip_last_of_key); /* another hash */
        expect("I3");
        edit_row("arns", n, flip_first_of_value); /* another kind */
        expect("I3");
    }
}

Test(verify_views, I3_a_state_that_no_arn_has)
{
    static const char *const tables[] = {"deployments", "revisions", "services"};
    for (size_t i = 0; i < 3; i++) {
        edit_row(tables[i], 0, flip_first_of_key);
        expect("I3");
    }
}

/* -- I4, I5, I10: rows ------------------------------------------------------------------------- */

/* A row's entries, changed, and put back. */
static struct ehi_db_entry entries[EHI_DB_CHUNK];
static unsigned entry_count;

static void read_entries(MDB_val *key, MDB_val *value)
{
    cr_assert(db_read_entries(*key, *value, entries, &entry_count));
}

static void write_entries(MDB_val *key, MDB_val *value)
{
    uint64_t first_seq = ehi_get_be64(bytes_of(key) + 8);
    value->mv_size = db_write_entries(first_seq, entries, entry_count, bytes_of(value));
}

static void other_seq(MDB_val *key, MDB_val *value)
{
    read_entries(key, value);
    entries[0].seq++;
    write_entries(key, value);
}
static void other_id_hash(MDB_val *key, MDB_val *value)
{
    read_entries(key, value);
    entries[0].id_hash ^= 0x10;
    write_entries(key, value);
}
static void other_type(MDB_val *key, MDB_val *value)
{
    read_entries(key, value);
    entries[0].type ^= 1;
    write_entries(key, value);
}
static void other_flags(MDB_val *key, MDB_val *value)
{
    read_entries(key, value);
    entries[0].flags ^= 1;
    write_entries(key, value);
}
static void one_entry_less(MDB_val *key, MDB_val *value)
{
    read_entries(key, value);
    if (entry_count > 1)
        entry_count--;
    else
        entries[0].id_hash++;
    write_entries(key, value);
}
static void one_entry_more(MDB_val *key, MDB_val *value)
{
    read_entries(key, value);
    entries[entry_count] = (struct ehi_db_entry){.seq = entries[entry_count - 1].seq + 0x111111,
                                                 .id_hash = 0x111111,
                                                 .offset = 0x11111111,
                                                 .type = 8,
                                                 .flags = 1};
    entry_count++;
    write_entries(key, value);
}

Test(verify_views, I4_timelines)
{
    edit_fn *const edits[] = {NULL,        other_seq,      other_id_hash,  other_type,
                              other_flags, one_entry_less, one_entry_more, flip_first_of_key};
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        edit_row("timeline", 2, edits[i]);
        expect("I4");
    }
}

/* A row of many, in the midst: the deployment with 151 events has three. */
Test(verify_views, I4_a_row_in_the_midst)
{
    struct lmdb l;
    MDB_stat stat;
    lmdb_open(&l, "timeline");
    cr_assert_eq(mdb_stat(l.txn, l.table, &stat), 0);
    lmdb_close(&l);
    for (unsigned n = 0; n < stat.ms_entries; n += 3) {
        edit_row("timeline", n, NULL);
        expect_only("I4");
    }
}

static size_t flipped;

static void flip_byte_of_value(MDB_val *key, MDB_val *value)
{
    (void)key;
    if (flipped < value->mv_size)
        bytes_of(value)[flipped] ^= 1;
    else
        flipped = SIZE_MAX;
}

/* The status, the deployment, and whatever else a list shows of it: a byte of a row is never for nothing. */
Test(verify_views, I5_by_service_each_byte)
{
    unsigned bytes = 0;
    for (flipped = 0;; flipped++, bytes++) {
        edit_row("by_service", 1, flip_byte_of_value);
        if (flipped == SIZE_MAX)
            break;
        expect_only("I5");
    }
    cr_assert_gt(bytes, 15u);
}

static void other_reason(MDB_val *key, MDB_val *value)
{
    static const uint8_t more[] = {2, 'n', 'o'};
    (void)key;
    bytes_of(value)[2] ^= 8; /* the brief's flags: behind the id, which is one byte */
    memcpy(bytes_of(value) + value->mv_size, more, sizeof(more));
    value->mv_size += sizeof(more);
}

static void in_state(MDB_val *key, MDB_val *value)
{
    (void)key;
    bytes_of(value)[2] = 1;
    value->mv_size = 3;
}

Test(verify_views, I5_by_service)
{
    edit_row("by_service", 1, other_reason);
    expect_only("I5");
    edit_row("by_service", 1, in_state); /* right, but not as it is written */
    expect_only("I5");
    for (unsigned n = 0; n < 4; n++) {
        edit_row("by_service", n, NULL);
        expect_only("I5");
        edit_row("by_service", n, flip_last_of_value);
        expect_only("I5");
        edit_row("by_service", n, flip_first_of_value); /* the status */
        expect_only("I5");
        edit_row("by_service", n, flip_last_of_key); /* the seq of creation */
        expect_only("I5");
    }
}

Test(verify_views, I10_by_name)
{
    for (unsigned n = 0; n < 3; n++) {
        edit_row("by_name", n, NULL);
        expect_only("I10");
        edit_row("by_name", n, flip_first_of_key);
        expect_only("I10");
        edit_row("by_name", n, flip_last_of_key);
        expect_only("I10");
    }
}

/* -- I7, I9: the index as a whole -------------------------------------------------------------- */

Test(verify_views, I9_no_index)
{
    char *index = store_dir_path(path, "index");
    store_dir_unlink(index);
    look_broken(path, 0, "I9", &found);
    cr_assert(found.result.events_checked && !found.result.index_checked);
    cr_assert_eq(access(index, F_OK), -1); /* nothing was healed */
    heal();
    char *data = store_dir_path(index, "data.mdb");
    store_dir_unlink(data);
    expect_only("I9");
    store_dir_unlink(data);
    cr_assert_eq(mkdir(data, 0700), 0);
    look_broken(path, 0, "I9", &found);
    free(data);
    store_dir_unlink(index);
    store_dir_write(index, 0, "x", 1);
    look_broken(path, 0, "I9", &found);
    store_dir_unlink(index);
    heal();
    free(index);
}

Test(verify_views, I7_the_mark)
{
    char *mark = store_dir_path(path, "index/mark");
    store_dir_write(mark, 20, "x", 1);
    expect_only("I7");
    store_dir_unlink(mark);
    expect_only("I7");
    free(mark);
}

static void longer_id(MDB_val *key, MDB_val *value)
{
    (void)key;
    bytes_of(value)[0] |= 0xf0;
}

Test(verify_views, I9_rows_that_are_not_well_formed)
{
    static edit_fn *const edits[] = {NULL, shorten_value, longer_id};
    static const char *const tables[] = {"arns", "timeline", "by_service"};
    for (size_t i = 0; i < 3; i++) {
        edit_row(tables[i], 1, edits[i]);
        if (i == 0) {
            struct lmdb l;
            char short_key[] = "short", row[] = "row";
            MDB_val key = {5, short_key}, value = {3, row};
            lmdb_open(&l, "arns");
            lmdb_put(&l, key, value);
            lmdb_close(&l);
        }
        expect("I9");
    }
}

static void truncate_data(size_t length)
{
    char *data = store_dir_path(path, "index/data.mdb");
    cr_assert_eq(truncate(data, (off_t)length), 0);
    free(data);
}

Test(verify_views, I9_a_file_that_was_cut)
{
    static const size_t lengths[] = {0, 100, 4096, 8192, 40960};
    for (size_t i = 0; i < 5; i++) {
        truncate_data(lengths[i]);
        expect("I9");
    }
}

#ifdef ECSHIST_TEST_HOOKS
static void child_aborts(void)
{
    abort();
}
static void child_faults(void)
{
    (void)raise(SIGSEGV);
}
static void child_leaves(void)
{
    _exit(3);
}
static void child_sleeps(void)
{
    for (;;)
        pause();
}

Test(verify_views, I9_a_child_that_dies)
{
    void (*const deaths[])(void) = {child_aborts, child_faults, child_leaves, child_sleeps};
    static const char *const words[] = {"signal 6", "signal 11", "ended early", "does not end"};
    verify_test_silence_ms = 300;
    for (size_t i = 0; i < 4; i++) {
        verify_test_in_child = deaths[i];
        look_broken(path, 0, "I9", &found);
        cr_assert_not_null(strstr(found.text, words[i]), "%s", found.text);
        cr_assert(found.result.events_checked && !found.result.index_checked);
    }
    verify_test_in_child = NULL;
    look_clean(path, 0);
}
#endif

/* Pages of the index flipped, zeroed, swapped: whatever LMDB does, it is a finding at the most. */
Test(verify_views, damaged_pages)
{
    struct random_events random = {0};
    char *file = store_dir_path(path, "index/data.mdb");
    size_t length, seen = 0, died = 0;
    enum { PAGE = 4096 };
    const char *more = getenv("ECSHIST_VERIFY_ROUNDS");
    const int rounds = more != NULL ? atoi(more) : 150;
    unsigned char *whole = store_dir_read(file, &length);
    random_events_start(&random, 5);
    for (int round = 0; round < rounds; round++) {
        unsigned char page[PAGE];
        size_t at = random_below(&random, length / PAGE) * PAGE;
        size_t other = random_below(&random, length / PAGE) * PAGE;
        memcpy(page, whole + at, PAGE);
        if (round % 3 == 0)
            memset(page, 0, PAGE);
        else if (round % 3 == 1)
            memcpy(page, whole + other, PAGE);
        else
            page[random_below(&random, PAGE)] ^= (unsigned char)(1u << random_below(&random, 8));
        store_dir_write(file, at, page, PAGE);
        look(path, 0, &found);
        seen += found.result.finding_count != 0;
        died += strstr(found.all, "signal") != NULL;
        store_dir_write(file, at, whole + at, PAGE);
    }
    random_events_end(&random);
    look_clean(path, 0);
    cr_log_info("%zu of %d seen, %zu by the death of the child", seen, rounds, died);
    cr_assert_gt(seen, (size_t)rounds / 5);
    free(whole);
    free(file);
}

/* -- L9, L10: events --------------------------------------------------------------------------- */

/* The record of an event of a type in the newest segment, its frame to be mended after. */
static uint8_t *find_record(const struct bytes *b, int type, uint8_t **frame)
{
    for (unsigned n = 0; (*frame = frame_of(b, n)) != NULL; n++) {
        for (uint32_t i = 0; i < ehi_get_le32(*frame + EHI_FRAME_RECORDS); i++) {
            uint8_t *record = record_of(*frame, i);
            if (ehi_get_le16(record + EHI_REC_TYPE) == type)
                return record;
        }
    }
    cr_assert(false, "no such event");
    return NULL;
}

static void change_event(int type, void (*change)(uint8_t *record))
{
    struct bytes b = bytes_load(store_dir_newest_segment(path));
    uint8_t *frame, *record = find_record(&b, type, &frame);
    change(record);
    mend_record(&b, record);
    mend_frame(&b, frame);
    bytes_save(&b);
    bytes_free(&b);
}

static void no_such_type(uint8_t *record)
{
    ehi_put_le16(record + EHI_REC_TYPE, 21);
}
static void ends_it(uint8_t *record)
{
    ehi_put_le16(record + EHI_REC_TYPE, EHI_DEPLOYMENT_SUCCEEDED);
}
static void no_arn(uint8_t *record)
{
    record[EHI_RECORD_HEADER_BYTES] = 'x';
}
static void before_the_epoch(uint8_t *record)
{
    ehi_put_le64(record + EHI_REC_TIME, UINT64_MAX);
}
static void created_again(uint8_t *record)
{
    ehi_put_le16(record + EHI_REC_TYPE, EHI_ROLLBACK_FAILED);
}
static void other_service(uint8_t *record)
{
    uint16_t subject = ehi_get_le16(record + EHI_REC_SUBJECT_BYTES);
    record[EHI_RECORD_HEADER_BYTES + subject - 1] = 'z';
}

static void expect_bad_event(int type, void (*change)(uint8_t *record), const char *words)
{
    change_event(type, change);
    look_clean(path, ECSHIST_VERIFY_QUICK);
    look(path, 0, &found);
    cr_assert(has(&found, "L9"), "%s", found.all);
    cr_assert_not_null(strstr(found.all, words), "%s", found.all);
    cr_assert_neq(found.result.finding_count, 0);
}

Test(verify_views, L9_a_type_that_does_not_exist)
{
    expect_bad_event(EHI_TASK_HEALTHY, no_such_type, "its type is none of this format");
}

Test(verify_views, L9_an_arn_that_is_none)
{
    expect_bad_event(EHI_TASK_HEALTHY, no_arn, "the event cannot be");
}

Test(verify_views, L9_a_time_that_cannot_be)
{
    expect_bad_event(EHI_TASK_HEALTHY, before_the_epoch, "a time is out of range");
}

Test(verify_views, L9_an_event_after_the_end)
{
    expect_bad_event(EHI_TASK_HEALTHY, ends_it, "the deployment has ended");
}

Test(verify_views, L9_a_rollback_that_nobody_asked_for)
{
    expect_bad_event(EHI_TASK_HEALTHY, created_again, "no rollback was asked for");
}

Test(verify_views, L9_a_service_that_is_not_there)
{
    expect_bad_event(EHI_SERVICE_DELETED, other_service, "there is no such service");
}

static void same_id(uint8_t *record)
{
    uint16_t subject = ehi_get_le16(record + EHI_REC_SUBJECT_BYTES);
    uint16_t id = ehi_get_le16(record + EHI_REC_ID_BYTES);
    memcpy(record + EHI_RECORD_HEADER_BYTES + subject + id - 1, "8", 1);
}

/* "a-NN" becomes "a-N8", which is there too. */
Test(verify_views, L10_the_same_id)
{
    change_event(EHI_TASK_HEALTHY, same_id);
    struct bytes b = bytes_load(store_dir_newest_segment(path));
    uint8_t *frame, *record = find_record(&b, EHI_TASK_HEALTHY, &frame);
    cr_assert_neq(record, NULL);
    bytes_free(&b);
    look(path, 0, &found);
    cr_assert(has(&found, "L10"), "%s", found.all);
}

/* -- expiry, in a log of which the index is not there yet -------------------------------------- */

static void append_record(struct bytes *b, int type, const char *subject, const uint8_t *body,
                          size_t body_length, uint64_t seq)
{
    unsigned last = 0;
    while (frame_of(b, last + 1) != NULL)
        last++;
    uint8_t *frame = frame_of(b, last);
    size_t at = (size_t)(frame - b->data) + frame_length(frame);
    size_t used = EHI_RECORD_HEADER_BYTES + strlen(subject) + body_length;
    size_t length = (used + 7) / 8 * 8;
    if (at + EHI_FRAME_HEADER_BYTES + length > b->length) {
        b->data = realloc(b->data, at + EHI_FRAME_HEADER_BYTES + length);
        b->length = at + EHI_FRAME_HEADER_BYTES + length;
    }
    frame = b->data + at;
    memset(frame, 0, EHI_FRAME_HEADER_BYTES + length);
    uint8_t *record = frame + EHI_FRAME_HEADER_BYTES;
    ehi_put_le32(frame + EHI_FRAME_MAGIC_AT, EHI_FRAME_MAGIC);
    ehi_put_le32(frame + EHI_FRAME_PAYLOAD_BYTES, (uint32_t)length);
    ehi_put_le32(frame + EHI_FRAME_RECORDS, 1);
    ehi_put_le64(frame + EHI_FRAME_FIRST_SEQ, seq);
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)length);
    ehi_put_le64(record + EHI_REC_SEQ, seq);
    ehi_put_le64(record + EHI_REC_TIME, 20000000000);
    ehi_put_le16(record + EHI_REC_TYPE, (uint16_t)type);
    ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)strlen(subject));
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)body_length);
    memcpy(record + EHI_RECORD_HEADER_BYTES, subject, strlen(subject));
    memcpy(record + EHI_RECORD_HEADER_BYTES + strlen(subject), body, body_length);
    mend_record(b, record);
    mend_frame(b, frame);
}

static size_t put_text(uint8_t *at, const char *text)
{
    size_t length = strlen(text);
    at[0] = 0xd9;
    at[1] = (uint8_t)length;
    memcpy(at + 2, text, length);
    return length + 2;
}

/* {cutoff, keepLast, services: [{serviceArn, status, serviceDeployments: ["a"]}]} */
static size_t expiry_body(uint8_t *body, bool gone)
{
    size_t n = 0;
    body[n++] = 0x83;
    n += put_text(body + n, "cutoff");
    n += put_text(body + n, "2024-01-01T00:00:00+00:00");
    n += put_text(body + n, "keepLast");
    body[n++] = 0xc3;
    n += put_text(body + n, "services");
    body[n++] = 0x91;
    body[n++] = gone ? 0x82 : 0x83;
    n += put_text(body + n, "serviceArn");
    n += put_text(body + n, TEST_SERVICE_ARN);
    if (!gone) {
        n += put_text(body + n, "status");
        n += put_text(body + n, "INACTIVE");
    }
    n += put_text(body + n, "serviceDeployments");
    body[n++] = 0x91;
    n += put_text(body + n, "a");
    return n;
}

static uint64_t end_of_log(void)
{
    struct found at;
    look(path, ECSHIST_VERIFY_QUICK, &at);
    return at.result.events + 1;
}

/* {targetServiceRevisionArn: …} */
static void begin_again(struct bytes *b, uint64_t seq)
{
    uint8_t body[256] = {0x81, 5};
    size_t length = 2 + put_text(body + 2, TEST_REVISION_ARN("1"));
    append_record(b, EHI_DEPLOYMENT_STARTED, TEST_DEPLOYMENT_ARN("a"), body, length, seq);
}

static void expire(bool expired, bool gone, bool deletes)
{
    struct bytes b = bytes_load(store_dir_newest_segment(path));
    char *index = store_dir_path(path, "index");
    uint8_t body[1024];
    uint64_t seq = end_of_log();
    if (expired)
        append_record(&b, EHI_HISTORY_EXPIRED, "", body, expiry_body(body, gone), seq++);
    if (deletes)
        append_record(&b, EHI_SERVICE_DELETED, TEST_SERVICE_ARN, (const uint8_t *)"\x80", 1, seq);
    else
        begin_again(&b, seq);
    bytes_save(&b);
    bytes_free(&b);
    store_dir_unlink(index);
    free(index);
    look(path, 0, &found);
}

/* A deployment that has expired may begin again; one that has not may not. */
Test(verify_views, an_expired_deployment_begins_anew)
{
    expire(true, false, false);
    cr_assert_eq(found.result.finding_count, 1, "%s", found.all); /* the index is missing */
    cr_assert(has(&found, "I9"));
}

Test(verify_views, one_that_is_not_expired_does_not)
{
    expire(false, false, false);
    cr_assert(has(&found, "L9"), "%s", found.all);
    cr_assert_not_null(strstr(found.all, "the deployment was started already"), "%s", found.all);
}

Test(verify_views, an_expired_service_is_gone)
{
    expire(true, true, true);
    cr_assert_not_null(strstr(found.all, "there is no such service"), "%s", found.all);
}

Test(verify_views, a_service_is_what_was_stated_of_it)
{
    expire(true, false, true);
    cr_assert_not_null(strstr(found.all, "the service is INACTIVE already"), "%s", found.all);
}

Test(verify_views, an_expired_deployment_without_its_beginning)
{
    struct bytes b = bytes_load(store_dir_newest_segment(path));
    char *index = store_dir_path(path, "index");
    uint8_t body[1024], *frame;
    append_record(&b, EHI_HISTORY_EXPIRED, "", body, expiry_body(body, false), end_of_log());
    uint8_t *record = find_record(&b, EHI_TASK_HEALTHY, &frame);
    ends_it(record);
    mend_record(&b, record);
    mend_frame(&b, frame);
    bytes_save(&b);
    bytes_free(&b);
    store_dir_unlink(index);
    free(index);
    look(path, 0, &found); /* its events would not fit each other any more: nobody minds */
    cr_assert_eq(found.result.finding_count, 1, "%s", found.all);
    cr_assert(has(&found, "I9"));
}

/* -- what must be clean ------------------------------------------------------------------------ */

Test(verify_views, random_stores_are_clean)
{
    for (uint64_t seed = 100; seed < 112; seed++) {
        char *other = store_dir_path(dir, "other");
        ecshist_store *store = store_dir_open(other);
        append_random(store, seed, 400);
        if (seed % 2 == 0)
            look_clean(other, 0); /* beside the handle that is open here */
        ecshist_close(store);
        look_clean(other, 0);
        store_dir_unlink(other);
        free(other);
    }
}

#ifdef ECSHIST_TEST_HOOKS
/* States are let go of their events after each one, and come out the same. */
Test(verify_views, states_that_are_copied_at_every_event)
{
    verify_test_events_at_once = 1;
    look_clean(path, 0);
    for (uint64_t seed = 200; seed < 210; seed++) {
        char *other = store_dir_path(dir, "other");
        ecshist_store *store = store_dir_open(other);
        append_random(store, seed, 400);
        ecshist_close(store);
        look_clean(other, 0);
        store_dir_unlink(other);
        free(other);
    }
}
#endif

static void add_expiry(MDB_val *key, MDB_val *value)
{
    memset(key->mv_data, 0, 8); /* the timeline of no subject */
    ehi_put_le16(bytes_of(value) + 20, EHI_HISTORY_EXPIRED);
}

Test(verify_views, I4_an_expiry_that_the_log_has_not)
{
    edit_row("timeline", 2, add_expiry);
    look(path, 0, &found);
    cr_assert_not_null(strstr(found.all, "timeline of history-expired events"), "%s", found.all);
    heal();
}

Test(verify_views, findings_of_a_kind_are_counted_but_not_all_told)
{
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    struct lmdb l;
    memset(&found, 0, sizeof(found));
    lmdb_open(&l, "deployments");
    cr_assert_eq(mdb_drop(l.txn, l.table, 0), 0);
    lmdb_close(&l);
    options.most_findings = 2;
    cr_assert_eq(ecshist_verify(path, &options, found_one, &found, &result, NULL), ECSHIST_OK);
    cr_assert_gt(result.finding_count, 2);
    cr_assert_eq(found.told, 2, "%s", found.all);
}

struct stamp {
    char name[300];
    struct stat status;
    unsigned long long hash;
};

static size_t stamps(const char *where, struct stamp *out, size_t count)
{
    DIR *d = opendir(where);
    cr_assert_not_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, "lock.mdb") == 0)
            continue;
        char *file = store_dir_path(where, e->d_name);
        memset(&out[count], 0, sizeof(out[count]));
        snprintf(out[count].name, sizeof(out[count].name), "%s", e->d_name);
        cr_assert_eq(stat(file, &out[count].status), 0);
        memset(&out[count].status.st_atim, 0, sizeof(out[count].status.st_atim));
        bool is_dir = S_ISDIR(out[count].status.st_mode);
        if (!is_dir) {
            size_t length;
            unsigned char *data = store_dir_read(file, &length);
            out[count].hash = ehi_hash64(data, length, 0);
            memset(&out[count].status.st_atim, 0, sizeof(out[count].status.st_atim));
            free(data);
        }
        count++;
        if (is_dir)
            count = stamps(file, out, count);
        free(file);
    }
    closedir(d);
    return count;
}

/* Not even where opening would heal: the mark, a torn tail. Only LMDB's list of readers may. */
Test(verify_views, nothing_is_changed)
{
    static struct stamp before[64], after[64];
    struct bytes b = bytes_load(store_dir_newest_segment(path));
    unsigned last = 0;
    while (frame_of(&b, last + 1) != NULL)
        last++;
    frame_of(&b, last)[20] ^= 1;
    bytes_save(&b);
    bytes_free(&b);
    size_t count = stamps(path, before, 0);
    look(path, 0, &found);
    cr_assert_neq(found.result.finding_count, 0);
    cr_assert_eq(stamps(path, after, 0), count);
    cr_assert_eq(memcmp(before, after, count * sizeof(before[0])), 0);
}

/* -- beside writers ---------------------------------------------------------------------------- */

static void write_for_ever(unsigned which)
{
    ecshist_store *store = store_dir_open(path);
    for (unsigned i = 0;; i++) {
        append_random(store, 1000 * which + i, 20);
        if (i % 7 == 0)
            (void)!ecshist_rebuild_index(store, NULL, NULL, NULL);
        if (i % 3 == 0) {
            ecshist_close(store);
            store = store_dir_open(path);
        }
    }
}

Test(verify_views, beside_writers)
{
    pid_t writers[2];
    const char *more = getenv("ECSHIST_VERIFY_ROUNDS");
    int rounds = more != NULL ? atoi(more) : 25;
    for (unsigned i = 0; i < 2; i++) {
        writers[i] = fork();
        if (writers[i] == 0)
            write_for_ever(i + 1);
    }
    uint64_t first = 0, last = 0;
    for (int i = 0; i < rounds; i++) {
        look_clean(path, i % 5 == 0 ? ECSHIST_VERIFY_QUICK : 0);
        look(path, ECSHIST_VERIFY_QUICK, &found);
        first = i == 0 ? found.result.events : first;
        last = found.result.events;
    }
    for (unsigned i = 0; i < 2; i++) {
        kill(writers[i], SIGKILL);
        waitpid(writers[i], NULL, 0);
    }
    cr_assert_gt(last, first); /* they did write */
    ecshist_close(store_dir_open(path));
    look_clean(path, 0);
}
