/*
 * The format: a log that was written once and lies in tests/data/golden, compared byte for byte with
 * what is written today; read by the second reader (examples/second_reader.c, written from
 * docs/FORMAT.md alone); and the second reader's verdicts against the library's, on damaged logs.
 *
 * Where the format changes on purpose: ECSHIST_GOLDEN=write makes the files anew.
 */
#include "test_log.h"

#include "codec/dictionary.h"
#include "codec/document.h"
#include "codec/record.h"
#include "json/json.h"

#include <inttypes.h>
#include <sys/wait.h>

int second_reader_main(int argc, char **argv);
/* It runs in a forked child, which is not to look for leaks when it ends: a leak checker finds a parent's threads missing there. */
static _Noreturn void leave(int code)
{
    fflush(NULL);
    _exit(code);
}
#define exit leave
#define main second_reader_main
#include "../examples/second_reader.c"
#undef exit
#undef main

#define GOLDEN ECSHIST_TEST_DATA "/golden"
/* A log as it was written before records were compressed: it is read for ever. */
#define GOLDEN_PLAIN ECSHIST_TEST_DATA "/golden-plain"
#define ROUNDS 14
#define GOLDEN_SEGMENT 16384u

static char *read_text(const char *path)
{
    size_t length;
    unsigned char *bytes = store_dir_read(path, &length);
    char *text = realloc(bytes, length + 1);
    cr_assert_not_null(text);
    text[length] = '\0';
    return text;
}

/* A line of JSON as a stamped record, all of it known beforehand. */
static void add_event(struct ehi_buffer *records, const char *line, size_t length, uint64_t seq)
{
    struct ehi_arena arena = {0};
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_value event;
    size_t start = records->length;
    int rc = ehi_json_parse(line, length, &arena, &event, &error);
    if (rc == ECSHIST_OK)
        rc = ehi_record_encode(&event, records, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%.*s: %s %s", (int)length, line, error.place, error.message);
    int64_t now = INT64_C(1730800000000000) + (int64_t)seq * 1000003;
    uint64_t store_seed = ehi_get_le64(log_store_id) ^ ehi_get_le64(log_store_id + 8);
    ehi_record_stamp(records->data + start, seq, now, seq % 10 == 0 ? 1 : 0, store_seed);
    ehi_arena_free(&arena);
}

/* All events, again and again, in frames of one to five. */
static char *write_log(void)
{
    char *dir = log_new();
    char *events = read_text(GOLDEN "/events.jsonl");
    struct ehi_log *log = log_open(dir, GOLDEN_SEGMENT);
    struct ehi_position tail;
    struct ehi_buffer records = {0};
    uint32_t count = 0, frames = 0;
    ehi_log_start(log, &tail);
    for (int round = 0; round < ROUNDS; round++) {
        for (char *line = events; *line != '\0'; line = strchr(line, '\n') + 1) {
            add_event(&records, line, strcspn(line, "\n"), tail.next_seq + count);
            count++;
            if (count <= frames % 5)
                continue;
            must(ehi_log_append(log, &tail, ehi_buffer_slice(&records), count, tail.next_seq, NULL,
                                NULL));
            frames++;
            count = 0;
            records.length = 0;
        }
    }
    cr_assert_gt(tail.segment, 1);
    ehi_buffer_free(&records);
    ehi_log_close(log);
    free(events);
    return dir;
}

/* What the second reader prints of a log, and its exit status. Yours: free. */
static char *read_log(char *dir, int *status)
{
    char *output_dir = store_dir_new();
    char *path = store_dir_path(output_dir, "output");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char *arguments[] = {(char *)(uintptr_t) "second_reader", dir, NULL};
        if (freopen(path, "w", stdout) == NULL)
            _exit(99);
        int code = second_reader_main(2, arguments);
        fflush(stdout);
        _exit(code);
    }
    cr_assert_eq(waitpid(child, status, 0), child);
    char *text = read_text(path);
    free(path);
    store_dir_remove(output_dir);
    return text;
}

static bool writing(void)
{
    const char *word = getenv("ECSHIST_GOLDEN");
    return word != NULL && strcmp(word, "write") == 0;
}

static void copy(const char *from_dir, const char *name)
{
    char *from = store_dir_path(from_dir, name), *to = store_dir_path(GOLDEN, name);
    store_dir_unlink(to);
    store_dir_copy(from, to);
    free(from);
    free(to);
}

static void expect_same_file(const char *dir, const char *name)
{
    size_t length_a, length_b;
    char *a = store_dir_path(dir, name), *b = store_dir_path(GOLDEN, name);
    unsigned char *written = store_dir_read(a, &length_a), *golden = store_dir_read(b, &length_b);
    cr_assert_eq(length_a, length_b, "%s", name);
    size_t same = 0;
    while (same < length_a && written[same] == golden[same])
        same++;
    cr_assert_eq(same, length_a, "%s differs from byte %zu on", name, same);
    free(written);
    free(golden);
    free(a);
    free(b);
}

Test(log_golden, is_written_today_as_it_was)
{
    char *dir = write_log();
    struct dirent **found;
    int count = scandir(dir, &found, is_segment, alphasort);
    cr_assert_eq(count, 2);
    for (int i = 0; i < count; i++) {
        if (writing())
            copy(dir, found[i]->d_name);
        expect_same_file(dir, found[i]->d_name);
        free(found[i]);
    }
    free(found);
    store_dir_remove(dir);
}

Test(log_golden, the_second_reader_reads_it)
{
    int status;
    char *dir = write_log();
    char *text = read_log(dir, &status);
    if (writing()) {
        store_dir_unlink(GOLDEN "/second_reader.txt");
        store_dir_write(GOLDEN "/second_reader.txt", 0, text, strlen(text));
    }
    char *expected = read_text(GOLDEN "/second_reader.txt");
    cr_assert_eq(status, 0);
    cr_assert_str_eq(text, expected);
    char golden[] = GOLDEN;
    char *of_golden = read_log(golden, &status);
    cr_assert_str_eq(of_golden, expected);
    free(of_golden);
    free(expected);
    free(text);
    store_dir_remove(dir);
}

Test(log_golden, the_second_reader_reads_what_is_not_compressed)
{
    int status;
    char plain[] = GOLDEN_PLAIN;
    char *text = read_log(plain, &status);
    char *expected = read_text(GOLDEN_PLAIN "/second_reader.txt");
    cr_assert_eq(status, 0);
    cr_assert_str_eq(text, expected);
    free(text);
    free(expected);
}

static bool is_no_third(void *context, struct ehi_slice record)
{
    (void)context;
    return ehi_get_le64(record.data + EHI_REC_SEQ) % 3 != 0;
}

static uint64_t newest_segment(const char *dir)
{
    struct dirent **found;
    int count = scandir(dir, &found, is_segment, alphasort);
    cr_assert_gt(count, 1);
    uint64_t seq = strtoull(found[count - 1]->d_name, NULL, 10);
    for (int i = 0; i < count; i++)
        free(found[i]);
    free(found);
    return seq;
}

/* The golden text without each third event of the first segment. */
static char *without_thirds(const char *text, uint64_t second)
{
    char *out = calloc(1, strlen(text) + 1), *end = out;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        unsigned long long seq = 1;
        size_t length = (size_t)(strchr(line, '\n') + 1 - line);
        bool is_event = sscanf(line, "{\"seq\":%llu", &seq) == 1;
        if (is_event && seq % 3 == 0 && seq < second)
            continue;
        memcpy(end, line, length);
        end += length;
    }
    return out;
}

Test(log_golden, the_second_reader_reads_it_cleaned)
{
    int status;
    char *dir = write_log();
    struct ehi_log *log = log_open(dir, GOLDEN_SEGMENT);
    struct ehi_cleaning out;
    uint64_t second = newest_segment(dir);
    must(ehi_log_clean(log, 1, 100000, is_no_third, NULL, &out, NULL));
    cr_assert_eq(out.removed, (second - 1) / 3);
    ehi_log_close(log);
    char *text = read_log(dir, &status);
    char *golden = read_text(GOLDEN "/second_reader.txt"),
         *expected = without_thirds(golden, second);
    cr_assert_eq(status, 0);
    cr_assert_str_eq(text, expected);
    free(expected);
    free(golden);
    free(text);
    store_dir_remove(dir);
}

static bool same_value(const struct ehi_value *a, const struct ehi_value *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case EHI_VALUE_BOOL:
        return a->u.boolean == b->u.boolean;
    case EHI_VALUE_DOUBLE:
        return memcmp(&a->u.real, &b->u.real, sizeof(a->u.real)) == 0;
    case EHI_VALUE_STRING:
        return ehi_slice_equal(a->u.string, b->u.string);
    case EHI_VALUE_ARRAY:
    case EHI_VALUE_MAP:
        break;
    default:
        return a->kind == EHI_VALUE_NULL || a->u.integer == b->u.integer;
    }
    bool same = true;
    for (uint32_t i = 0; i < a->count && same; i++) {
        if (a->kind == EHI_VALUE_ARRAY)
            same = same_value(&a->u.items[i], &b->u.items[i]);
        else
            same = ehi_slice_equal(a->u.members[i].name, b->u.members[i].name) &&
                   same_value(&a->u.members[i].value, &b->u.members[i].value);
    }
    return same;
}

static int64_t integer(const struct ehi_value *map, const char *name)
{
    const struct ehi_value *value = ehi_value_member(map, name);
    cr_assert(value != NULL && value->kind == EHI_VALUE_INT, "%s", name);
    return value->u.integer;
}

static struct ehi_slice string(const struct ehi_value *map, const char *name)
{
    const struct ehi_value *value = ehi_value_member(map, name);
    cr_assert(value != NULL && value->kind == EHI_VALUE_STRING, "%s", name);
    return value->u.string;
}

/* A line of the second reader's says what the library's decoder says. */
static void expect_same_event(const char *line, struct ehi_slice record)
{
    char id[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_arena arena = {0};
    struct ehi_event event;
    struct ehi_value printed, body;
    must(ehi_json_parse(line, strcspn(line, "\n"), &arena, &printed, NULL));
    must(ehi_event_decode_envelope(record, &event, NULL));
    must(ehi_document_decode(event.body, &arena, &body, NULL));
    cr_assert_eq(integer(&printed, "seq"), (int64_t)event.seq);
    cr_assert_eq(integer(&printed, "recordedAt"), event.recorded_at_us);
    cr_assert_eq(integer(&printed, "time"), event.time_us);
    cr_assert(ehi_slice_is(string(&printed, "type"), ehi_event_type_name(event.type)));
    cr_assert(ehi_slice_equal(string(&printed, "subject"), event.subject));
    cr_assert(ehi_slice_equal(string(&printed, "id"), ehi_event_id(&event, id)));
    cr_assert_eq(ehi_value_member(&printed, "ignored")->u.boolean, event.flags != 0);
    cr_assert(same_value(ehi_value_member(&printed, "body"), &body), "%s", line);
    ehi_arena_free(&arena);
}

static void expect_same_events(const char *golden)
{
    char *path = store_dir_path(golden, "second_reader.txt");
    char *text = read_text(path), *line = text;
    struct ehi_log *log = log_open(golden, GOLDEN_SEGMENT);
    struct ehi_slice record;
    must(ehi_log_read(log, 1, 0, &scratch, &record, NULL));
    for (uint64_t seq = 1; ehi_log_read(log, seq, 0, &scratch, &record, NULL) == ECSHIST_OK;
         seq++) {
        expect_same_event(line, record);
        line = strchr(line, '\n') + 1;
    }
    cr_assert_eq(strncmp(line, "end of the log: after seq", 25), 0);
    ehi_log_close(log);
    free(text);
    free(path);
}

Test(log_golden, both_readers_read_the_same)
{
    expect_same_events(GOLDEN);
    expect_same_events(GOLDEN_PLAIN);
}

static const char *last_line(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    text[length] = '\0';
    char *newline = strrchr(text, '\n');
    return newline == NULL ? text : newline + 1;
}

/* Both say the same of a log, and of where it ends. */
static void expect_same_verdict(char *dir, const char *what, size_t at)
{
    int status;
    uint64_t records, seq = 0;
    struct ehi_position end = {.next_seq = 1};
    int verdict = log_scan_all(dir, &end, &records, NULL);
    char *text = read_log(dir, &status);
    const char *line = last_line(text), *after = strstr(line, "after seq ");
    const char *expected = verdict == EHI_END_OF_LOG  ? "end of the log"
                           : verdict == EHI_TORN_TAIL ? "torn tail"
                                                      : "damage";
    cr_assert_eq(strncmp(line, expected, strlen(expected)), 0, "%s %zu: %s, not %s", what, at, line,
                 expected);
    cr_assert_eq(WEXITSTATUS(status), verdict < 0 ? 1 : 0);
    cr_assert_not_null(after);
    seq = strtoull(after + strlen("after seq "), NULL, 10);
    if (end.segment != 0) /* else it was not even opened */
        cr_assert_eq(seq, end.next_seq - 1, "%s %zu: %s", what, at, line);
    free(text);
}

/* Every 331st byte flipped, every 977th the file's end; of the ends of frames, of the seal: each one. */
Test(log_golden, both_readers_judge_the_same)
{
    char *dir = write_log();
    struct dirent **found;
    int count = scandir(dir, &found, is_segment, alphasort);
    for (int i = 0; i < count; i++) {
        size_t length;
        char *path = store_dir_path(dir, found[i]->d_name);
        unsigned char *bytes = store_dir_read(path, &length);
        for (size_t at = 0; at < length; at += at + 40 < length ? 331 : 1) {
            uint8_t flipped = bytes[at] ^ (uint8_t)(1u << at % 8);
            store_dir_write(path, at, &flipped, 1);
            expect_same_verdict(dir, "flipped", at);
            store_dir_write(path, at, &bytes[at], 1);
        }
        for (size_t end = 0; end < length; end += end + 20 < length ? 977 : 1) {
            store_dir_unlink(path);
            store_dir_write(path, 0, bytes, end);
            expect_same_verdict(dir, "cut", end);
        }
        store_dir_unlink(path);
        store_dir_write(path, 0, bytes, length);
        free(bytes);
        free(path);
        free(found[i]);
    }
    free(found);
    store_dir_remove(dir);
}

/* The tables of docs/FORMAT.md are those of the code. */
Test(log_golden, the_text_has_all_names_and_numbers)
{
    char row[120];
    char *text = read_text(ECSHIST_TEST_DATA "/../../docs/FORMAT.md");
    for (int number = 1; number <= EHI_KEY_COUNT; number++) {
        snprintf(row, sizeof(row), "| %d | `%.*s` |", number, EHI_FMT(ehi_key_name(number)));
        cr_assert_not_null(strstr(text, row), "%s", row);
    }
    for (int type = 1; type <= EHI_EVENT_TYPE_MAX; type++) {
        snprintf(row, sizeof(row), "| %d | `%s` |", type, ehi_event_type_name(type));
        cr_assert_not_null(strstr(text, row), "%s", row);
    }
    free(text);
}
