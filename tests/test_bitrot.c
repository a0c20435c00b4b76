/*
 * Rot: every bit of every structure of ours flipped in turn, and the index's pages flipped, zeroed, swapped. Either what is read is
 * right, or it is an error; never something else that is shown as right. ROT=1 for every bit, ROT=N for one of N (unset: 11);
 * ROT_ROUNDS for so many damages of the index (300), ROT_SEED for others.
 *
 * Bits of the log that nobody need notice, each for its reason:
 *   zeros between a footer and its trailer
 *                       nobody reads them; verify does
 *   behind the tail     what is not a frame there is a torn tail, which the next writer cuts off; it was never acknowledged
 *   the last frame, where there is no index
 *                       it cannot be told from an append that was cut short. With an index it is damage: events are missing
 *                       that were acknowledged
 *
 * And of the index: where an older state of a page stands in the place of the newer one, its rows are as good as ever, only
 * not the newest. What one row says of another is compared (a list and its states, a state and its timeline), so most of it is
 * noticed; what is not is counted as stale, and verify finds it in any case.
 */
#include "db/internal.h"
#include "fold/expire.h"
#include "support/hold.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

TestSuite(bitrot, .init = set_up, .fini = tear_down);

static unsigned number_of(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* -- a store with every structure in it -------------------------------------------------------- */

static void deploy(ecshist_store *store, unsigned number)
{
    store_must_append(
        store,
        "{\"type\":\"deployment-started\",\"id\":\"start-%u\",\"time\":%u," OF_DEPLOYMENT(
            "d%u") "," TO_REVISION("r1") ",\"desiredCount\":2}",
        number, 1000 * number, number);
    store_must_append(store,
                      "{\"type\":\"deployment-stopped\",\"time\":%u," OF_DEPLOYMENT("d%u") "}",
                      1000 * number + 1, number);
}

static void roll(ecshist_store *store)
{
    int64_t held_us;
    cr_assert_eq(ehi_store_roll((struct ehi_store *)store, &held_us, NULL), ECSHIST_OK);
}

static void append_batch(ecshist_store *store)
{
    ecshist_event *events[3];
    for (unsigned i = 0; i < 3; i++)
        events[i] = store_event("{\"type\":\"deployment-started\",\"time\":%u," OF_DEPLOYMENT(
                                    "b%u") "," TO_REVISION("r1") "}",
                                9000 + i, i);
    cr_assert_eq(ecshist_append(store, (const ecshist_event *const *)events, 3, NULL, NULL, NULL),
                 ECSHIST_OK);
    for (unsigned i = 0; i < 3; i++)
        ecshist_event_free(events[i]);
}

/* A cleaned segment, a sealed one with a history-expired, the newest with frames of one and of three. */
static void make_store(void)
{
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    ecshist_store *store = store_dir_open(path);
    deploy(store, 1);
    deploy(store, 2);
    options.retention_us = 1;
    options.has_now = true;
    options.now_us = 1500000001;
    cr_assert_eq(ecshist_compact(store, &options, NULL, NULL), ECSHIST_OK);
    deploy(store, 3);
    roll(store);
    deploy(store, 4);
    append_batch(store);
    ecshist_close(store);
}

/* -- the log ----------------------------------------------------------------------------------- */

static bool first_only(void *context, const struct ecshist_finding *finding)
{
    (void)context;
    (void)finding;
    return false;
}

static bool verify_finds(unsigned flags)
{
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    options.flags = flags;
    return ecshist_verify(path, &options, first_only, NULL, NULL, NULL) == ECSHIST_END;
}

/* Reads every event. OK, or the code of what is in the way. */
static int read_all(void)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_store *store = NULL;
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event;
    options.flags = ECSHIST_OPEN_READ_ONLY;
    options.map_bytes = UINT64_C(1) << 26;
    int rc = ecshist_open(path, &options, &store, &error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ecshist_cursor_open(store, 1, &cursor, &error);
    while (rc == ECSHIST_OK)
        rc = ecshist_cursor_next(cursor, &event, &error);
    cr_assert(rc == ECSHIST_END || error.message[0] != '\0');
    ecshist_cursor_close(cursor);
    ecshist_close(store);
    return rc == ECSHIST_END ? ECSHIST_OK : rc;
}

static uint64_t flips;

static void flip_at(int fd, off_t at, unsigned bit)
{
    uint8_t byte;
    cr_assert_eq(pread(fd, &byte, 1, at), 1);
    byte = (uint8_t)(byte ^ 1u << bit);
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

/* Where a sealed segment's footer ends: from there to the trailer there are zeros, which only verify looks at. */
static off_t footer_end(int fd, off_t size)
{
    uint8_t offset[8], length[4];
    if (pread(fd, offset, 8, size - EHI_SEGMENT_TRAILER_BYTES) != 8)
        return size;
    off_t footer = (off_t)ehi_get_le64(offset);
    if (pread(fd, length, 4, footer + EHI_FRAME_PAYLOAD_BYTES) != 4)
        return size;
    return footer + EHI_FRAME_HEADER_BYTES + (off_t)ehi_get_le32(length);
}

/* Every bit from the beginning to `end`: verify finds it, and so does who reads. */
static void flip_segment(const char *name, off_t end, off_t last_frame, unsigned stride)
{
    char *file = store_dir_path(path, name);
    int fd = open(file, O_RDWR);
    struct stat st;
    cr_assert(fd >= 0 && fstat(fd, &st) == 0);
    bool sealed = end == 0;
    if (sealed)
        end = st.st_size;
    off_t zeros = sealed ? footer_end(fd, end) : end;
    for (off_t bit = 0; bit < end * 8; bit++) {
        bool in_last = last_frame != 0 && bit / 8 >= last_frame;
        bool unread = bit / 8 >= zeros && bit / 8 < end - EHI_SEGMENT_TRAILER_BYTES && sealed;
        if (unread && bit % 509 != 0)
            continue;
        bool reads = (uint64_t)bit % stride == 0 && !unread;
        if (in_last && !reads)
            continue; /* it takes the index to find it: a child for each */
        flip_at(fd, bit / 8, (unsigned)(bit % 8));
        cr_assert(verify_finds(in_last ? 0 : ECSHIST_VERIFY_QUICK), "%s, bit %lld: not verified",
                  name, (long long)bit);
        int rc = reads ? read_all() : ECSHIST_DAMAGED;
        cr_assert(rc == ECSHIST_DAMAGED || rc == ECSHIST_FORMAT, "%s, bit %lld: %s", name,
                  (long long)bit, ecshist_code_name(rc));
        flip_at(fd, bit / 8, (unsigned)(bit % 8));
        flips++;
    }
    close(fd);
    free(file);
}

struct segment_end {
    uint64_t segment;
    off_t end, last_frame;
};

static struct segment_end find_end(void)
{
    struct segment_end out = {0};
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event;
    cr_assert_eq(ecshist_cursor_open(store, 1, &cursor, NULL), ECSHIST_OK);
    while (ecshist_cursor_next(cursor, &event, NULL) == ECSHIST_OK) {
        struct ecshist_frame_info info = ECSHIST_FRAME_INFO_INIT;
        ecshist_cursor_frame_info(cursor, &info);
        out = (struct segment_end){info.segment_first_seq,
                                   (off_t)(info.frame_offset + info.frame_length),
                                   (off_t)info.frame_offset};
    }
    ecshist_cursor_close(cursor);
    ecshist_close(store);
    return out;
}

Test(bitrot, every_bit_of_the_log)
{
    unsigned stride = number_of("ROT", 11);
    make_store();
    cr_assert(!verify_finds(0) && read_all() == ECSHIST_OK);
    struct segment_end end = find_end();
    char newest[64];
    snprintf(newest, sizeof(newest), "log/%020" PRIu64 ".seg", end.segment);
    flip_segment("log/00000000000000000001.seg", 0, 0, stride);
    flip_segment("log/00000000000000000005.seg", 0, 0, stride);
    flip_segment(newest, end.end, end.last_frame, stride);
    cr_assert(!verify_finds(0) && read_all() == ECSHIST_OK);
    fprintf(stderr, "%" PRIu64 " bits of the log flipped, each verified, one of %u read\n", flips,
            stride);
}

/* What stands behind the tail is nobody's; the next append writes over it. */
Test(bitrot, bits_behind_the_tail_are_cut_off)
{
    make_store();
    struct segment_end end = find_end();
    char name[64];
    snprintf(name, sizeof(name), "log/%020" PRIu64 ".seg", end.segment);
    char *file = store_dir_path(path, name);
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    char *truth = hold_all(store);
    ecshist_close(store);
    for (off_t at = end.end; at < end.end + 200; at += 3) {
        int fd = open(file, O_RDWR);
        flip_at(fd, at, (unsigned)at % 8);
        close(fd);
        store = store_dir_open(path);
        char *held = hold_all(store);
        cr_assert_str_eq(held, truth);
        free(held);
        ecshist_close(store);
    }
    store = store_dir_open(path);
    deploy(store, 50);
    ecshist_close(store);
    cr_assert(!verify_finds(0) && read_all() == ECSHIST_OK);
    free(truth);
    free(file);
}

/* Without an index the last frame is taken for one that was never acknowledged: the rest is there. */
Test(bitrot, the_last_frame_without_an_index)
{
    make_store();
    struct segment_end end = find_end();
    char name[64];
    snprintf(name, sizeof(name), "log/%020" PRIu64 ".seg", end.segment);
    char *file = store_dir_path(path, name), *index = store_dir_path(path, "index");
    int fd = open(file, O_RDWR);
    flip_at(fd, end.last_frame + 50, 3);
    close(fd);
    cr_assert_eq(read_all(), ECSHIST_DAMAGED, "the index knows that it was acknowledged");
    store_dir_unlink(index);
    cr_assert_eq(read_all(), ECSHIST_OK);
    ecshist_store *store = store_dir_open(path);
    cr_assert_eq(hold_count(store), 7u, "the batch of three has gone, whole");
    ecshist_close(store);
    free(index);
    free(file);
}

Test(bitrot, every_bit_of_the_mark)
{
    make_store();
    char *index = store_dir_path(path, "index"), *kept = store_dir_path(dir, "kept");
    char *mark = store_dir_path(path, "index/mark");
    store_dir_copy(index, kept);
    for (off_t bit = 0; bit < 64 * 8; bit++) {
        int fd = open(mark, O_RDWR);
        flip_at(fd, bit / 8, (unsigned)(bit % 8));
        close(fd);
        cr_assert(bit % 16 != 0 || verify_finds(0), "bit %lld", (long long)bit);
        cr_assert_eq(read_all(), ECSHIST_OK, "it is rebuilt");
        store_dir_unlink(index);
        store_dir_copy(kept, index);
    }
    free(mark);
    free(kept);
    free(index);
}

/* -- the index --------------------------------------------------------------------------------- */

/* A page of LMDB's, and where in its head there is what. */
enum { PAGE = 4096, FLAGS = 10, LOWER = 12, LIST = 16 };
enum fate { RIGHT, WRONG, STALE, REPORTED, FAULT, FATES };

static uint64_t random_state;

static uint64_t next_random(uint64_t below)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * UINT64_C(2685821657736338717) >> 11) % below;
}

static void fill_store(void)
{
    ecshist_store *store = store_dir_open(path);
    for (unsigned i = 1; i <= 150; i++)
        deploy(store, i);
    for (unsigned i = 0; i < 150; i++)
        store_must_append(
            store,
            "{\"type\":\"deployment-started\",\"time\":%u,\"serviceDeploymentArn\":\"" TEST_ARN
            "service-deployment/shop/s%u/d%u\",\"targetServiceRevisionArn\":\"" TEST_ARN
            "service-revision/shop/s%u/r\"}",
            500 + i, i % 20, i, i % 20);
    ecshist_close(store);
}

/* The second key of a page of LMDB's, the first that a branch has, too; its length is 0 where there is none. */
static struct ehi_slice second_key(const uint8_t *page)
{
    enum { NODE = 8, KEY_LENGTH = 6 };
    uint16_t at = ehi_get_le16(page + LIST + 2);
    if (ehi_get_le16(page + LOWER) < LIST + 4 || at > PAGE - NODE)
        return EHI_SLICE_EMPTY;
    uint16_t length = ehi_get_le16(page + at + KEY_LENGTH);
    return ehi_slice(page + at + NODE, length <= PAGE - NODE - at ? length : 0);
}

/* Two states of one page, as far as their flags and keys tell. */
static bool look_alike(const uint8_t *a, const uint8_t *b)
{
    struct ehi_slice key = second_key(a);
    return ehi_get_le16(a + FLAGS) == ehi_get_le16(b + FLAGS) && key.length != 0 &&
           ehi_slice_equal(key, second_key(b));
}

/* One damage of LMDB's file. true: two pages were swapped that are states of one, an older and a newer. */
static bool damage(uint8_t *bytes, size_t length, unsigned round)
{
    size_t pages = length / PAGE;
    size_t one = next_random(pages), other = next_random(pages);
    uint8_t page[PAGE];
    switch (round % 8) {
    case 6:
        memset(bytes + one * PAGE, 0, PAGE);
        break;
    case 7:
        memcpy(page, bytes + one * PAGE, PAGE);
        memcpy(bytes + one * PAGE, bytes + other * PAGE, PAGE);
        memcpy(bytes + other * PAGE, page, PAGE);
        return look_alike(page, bytes + one * PAGE);
    case 5: /* the page's own head, where a flip leads furthest */
        bytes[one * PAGE + next_random(64)] ^= (uint8_t)(1u << next_random(8));
        break;
    default:
        bytes[next_random(length)] ^= (uint8_t)(1u << next_random(8));
    }
    return false;
}

enum { CHILD_RIGHT = 0, CHILD_WRONG = 77 };

/* All that the store holds, asked in a child. */
static enum fate look(const char *truth)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(9);
        alarm(20);
        /* A fault ends it by its signal, under a sanitizer too: nobody is to report what is looked for. */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
        char *held = hold_all(store);
        _exit(strcmp(held, truth) == 0 ? CHILD_RIGHT : CHILD_WRONG);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RIGHT)
        return RIGHT;
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_WRONG)
        return WRONG;
    /* Criterion and sanitizers turn signals into exits of their own. */
    if (WIFEXITED(status))
        return FAULT;
    /* What the library reports, hold_all aborts with; so does LMDB itself at times. */
    return WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT ? FAULT : REPORTED;
}

static void count_fates(unsigned rounds, unsigned counts[FATES], bool checks_verify)
{
    random_state = number_of("ROT_SEED", 7);
    fill_store();
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    char *truth = hold_all(store);
    ecshist_close(store);
    char *index = store_dir_path(path, "index"), *kept = store_dir_path(dir, "kept");
    char *data = store_dir_path(path, "index/data.mdb");
    store_dir_copy(index, kept);
    size_t length;
    uint8_t *pristine = store_dir_read(data, &length), *bytes = malloc(length);
    for (unsigned round = 0; round < rounds; round++) {
        memcpy(bytes, pristine, length);
        bool older = damage(bytes, length, round);
        store_dir_write(data, 0, bytes, length);
        enum fate fate = look(truth);
        if (fate == WRONG && older)
            fate = STALE;
        counts[fate]++;
        if (checks_verify && fate != RIGHT)
            cr_assert(verify_finds(0), "round %u: it is not right, and verify finds nothing",
                      round);
        if (checks_verify && round % 10 == 0) {
            store = store_dir_open_with(path, ECSHIST_OPEN_REBUILD);
            char *healed = hold_all(store);
            cr_assert_str_eq(healed, truth, "round %u: not healed", round);
            free(healed);
            ecshist_close(store);
        }
        store_dir_unlink(index);
        store_dir_copy(kept, index);
    }
    free(bytes);
    free(pristine);
    free(truth);
    free(data);
    free(kept);
    free(index);
}

Test(bitrot, pages_of_the_index)
{
    unsigned counts[FATES] = {0}, rounds = number_of("ROT_ROUNDS", 300);
    count_fates(rounds, counts, true);
    fprintf(stderr,
            "%u damages of the index: %u right, %u reported, %u faults, %u wrong, %u stale\n",
            rounds, counts[RIGHT], counts[REPORTED], counts[FAULT], counts[WRONG], counts[STALE]);
    cr_assert_eq(counts[WRONG], 0u);
    cr_assert(counts[REPORTED] > 0 && counts[RIGHT] > 0);
}

/* An index that is damaged in one place after the other, and what came of it. */
struct damaged {
    uint8_t *bytes;
    size_t pages;
    char *truth, *data;
    unsigned counts[FATES];
};

static struct damaged begin_damages(void)
{
    struct damaged d = {.data = store_dir_path(path, "index/data.mdb")};
    size_t length;
    fill_store();
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    d.truth = hold_all(store);
    ecshist_close(store);
    d.bytes = store_dir_read(d.data, &length);
    d.pages = length / PAGE;
    return d;
}

static void look_at_damage(struct damaged *d)
{
    store_dir_write(d->data, 0, d->bytes, d->pages * PAGE);
    d->counts[look(d->truth)]++;
}

/* Of so much damage some is met: it is reported, and ends nobody. */
static void end_damages(struct damaged *d)
{
    fprintf(stderr, "%u right, %u reported, %u faults, %u wrong\n", d->counts[RIGHT],
            d->counts[REPORTED], d->counts[FAULT], d->counts[WRONG]);
    cr_assert_eq(d->counts[WRONG], 0u);
    cr_assert(d->counts[REPORTED] > 20 && d->counts[FAULT] == 0);
    free(d->bytes);
    free(d->truth);
    free(d->data);
}

/* By its flags LMDB takes a page for what it is not, and returns rows without a value, or elsewhere. */
Test(bitrot, flags_of_the_index)
{
    struct damaged d = begin_damages();
    for (size_t page = 0; page < d.pages; page++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t *flags = d.bytes + page * PAGE + FLAGS;
            *flags ^= (uint8_t)(1u << bit);
            look_at_damage(&d);
            *flags ^= (uint8_t)(1u << bit);
        }
    end_damages(&d);
}

/* What a leaf's list says: it ends before its last row, or has one row twice and another not at all. */
Test(bitrot, lists_of_the_index)
{
    enum { LEAF = 2 };
    static const size_t others[] = {1, 7, (size_t)-1};
    struct damaged d = begin_damages();
    for (size_t number = 2; number < d.pages; number++) {
        uint8_t *page = d.bytes + number * PAGE, *list = page + LIST;
        size_t rows = (size_t)(ehi_get_le16(page + LOWER) - LIST) / 2;
        if (ehi_get_le16(page + FLAGS) != LEAF || rows < 2)
            continue;
        ehi_put_le16(page + LOWER, (uint16_t)(LIST + 2 * (rows - 1)));
        look_at_damage(&d);
        ehi_put_le16(page + LOWER, (uint16_t)(LIST + 2 * rows));
        for (size_t i = number % 2; i < rows; i += 2) {
            uint16_t node = ehi_get_le16(list + 2 * i);
            size_t other = (i + rows + others[(number + i / 2) % 3]) % rows;
            ehi_put_le16(list + 2 * i, ehi_get_le16(list + 2 * other));
            look_at_damage(&d);
            ehi_put_le16(list + 2 * i, node);
        }
    }
    end_damages(&d);
}

/* Each child of a branch in the place of each other one: all are pages as they should be, and lead past what is there. */
static void swap_children(struct damaged *d, uint8_t *branch)
{
    enum { NUMBER_BYTES = 6 };
    size_t children = (size_t)(ehi_get_le16(branch + LOWER) - LIST) / 2;
    for (size_t i = 0; i < children; i++)
        for (size_t j = 0; j < children; j++) {
            uint8_t kept[NUMBER_BYTES], *to = branch + ehi_get_le16(branch + LIST + 2 * i);
            if (i == j)
                continue;
            memcpy(kept, to, NUMBER_BYTES);
            memcpy(to, branch + ehi_get_le16(branch + LIST + 2 * j), NUMBER_BYTES);
            look_at_damage(d);
            memcpy(to, kept, NUMBER_BYTES);
        }
}

Test(bitrot, branches_of_the_index)
{
    enum { BRANCH = 1 };
    struct damaged d = begin_damages();
    for (size_t page = 2; page < d.pages; page++)
        if (ehi_get_le16(d.bytes + page * PAGE + FLAGS) == BRANCH)
            swap_children(&d, d.bytes + page * PAGE);
    end_damages(&d);
}

#ifdef ECSHIST_TEST_HOOKS
/* Were rows believed as they are, some answers would be wrong: so this can fail. */
Test(bitrot, pages_of_an_index_that_is_believed)
{
    unsigned counts[FATES] = {0};
    db_test_believes = true;
    count_fates(300, counts, false);
    cr_assert(counts[WRONG] > 3, "%u are wrong", counts[WRONG]);
}
#endif

/* -- what is not there ------------------------------------------------------------------------- */

Test(bitrot, rebuilding_without_looking)
{
    fill_store();
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    char *truth = hold_all(store);
    ecshist_close(store);
    char *index = store_dir_path(path, "index"), *data = store_dir_path(path, "index/data.mdb");
    for (int i = 0; i < 6; i++) {
        store_dir_unlink(i >= 4 ? index : data);
        if (i == 1)
            store_dir_write(data, 0, "", 0);
        if (i == 2)
            store_dir_write(data, 0, "garbage", 7);
        if (i == 3)
            cr_assert_eq(mkdir(data, 0700), 0);
        if (i == 5)
            store_dir_write(index, 0, "a file", 6);
        store = store_dir_open_with(path, ECSHIST_OPEN_REBUILD);
        char *held = hold_all(store);
        cr_assert_str_eq(held, truth, "case %d", i);
        free(held);
        struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
        ecshist_store *again;
        options.flags = ECSHIST_OPEN_REBUILD;
        cr_assert_eq(ecshist_open(path, &options, &again, NULL), ECSHIST_MISUSE);
        ecshist_close(store);
        cr_assert(!verify_finds(0), "case %d", i);
        if (i == 3) {
            char *left = store_dir_path(path, "index.new");
            store_dir_unlink(left);
            free(left);
        }
    }
    free(data);
    free(index);
    free(truth);
}
