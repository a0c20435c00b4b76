/*
 * Segment files. The first byte is the mode, the rest is what stands behind a segment's header. It is
 * scanned to its end, each event is read and sought, a torn tail is cut off, and an event appended: all
 * of it must end, stay within the file and agree with itself.
 *
 * With the mode's REPAIR the frames' and records' checksums, counts and seqs are made right, and the
 * trailer is, so that the fuzzer gets past them.
 */
#include "base/hash.h"
#include "log/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REPAIR = 1, FOLLOWED = 2, FULL = 4, TRAILER = 8, COMPRESSED = 128 };

static struct ehi_arena scratch;
static bool compressed;
enum { MOST_BYTES = 1 << 20, MOST_READS = 200 };

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t store_id[16] = "fuzzed store id";
static char directory[64];
static int directory_fd = -1;

static void remove_segments(void)
{
    DIR *dir = opendir(directory);
    HOLDS(dir != NULL);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.')
            HOLDS(unlinkat(directory_fd, entry->d_name, 0) == 0);
    }
    closedir(dir);
}

static void remove_directory(void)
{
    remove_segments();
    rmdir(directory);
}

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "%s/fuzz_segment.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    HOLDS(mkdtemp(directory) != NULL);
    atexit(remove_directory);
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
    HOLDS(directory_fd >= 0);
}

/* -- what the fuzzer does not have to guess -------------------------------------------------------- */

static uint64_t seed(void)
{
    return ehi_get_le64(store_id) ^ ehi_get_le64(store_id + 8);
}

/* Returns how many records there are. What compressed ones say stays: fuzz_compress gets past their checksums. */
static uint32_t repair_records(uint8_t *payload, size_t length, uint64_t seq)
{
    uint32_t count = 0;
    struct ehi_slice rest = ehi_slice(payload, length);
    struct ehi_stored record;
    for (; ehi_stored_next(&rest, compressed, &record); count++) {
        uint8_t *r = payload + (record.bytes.data - payload);
        if (compressed)
            continue;
        ehi_put_le64(r + EHI_REC_SEQ, seq + count);
        uint64_t hash = ehi_hash64(r + EHI_REC_SEQ, record.bytes.length - EHI_REC_SEQ, seed());
        ehi_put_le32(r + EHI_REC_CHECKSUM, (uint32_t)hash);
    }
    return count;
}

static void put_trailer(uint8_t *file, size_t size, size_t footer)
{
    ehi_put_le64(file + size - EHI_SEGMENT_TRAILER_BYTES, footer);
    memcpy(file + size - 8, EHI_SEGMENT_END, 8);
}

/* Returns the seq behind all frames. */
static uint64_t repair(uint8_t *file, size_t size, unsigned mode)
{
    uint64_t next = 1;
    size_t at = EHI_SEGMENT_HEADER_BYTES;
    while (size - at >= EHI_FRAME_HEADER_BYTES) {
        uint8_t *frame = file + at;
        uint32_t magic = ehi_get_le32(frame + EHI_FRAME_MAGIC_AT);
        size_t payload = ehi_get_le32(frame + EHI_FRAME_PAYLOAD_BYTES);
        if (payload % 8 != 0 || payload > size - at - EHI_FRAME_HEADER_BYTES)
            break;
        if (magic != EHI_FRAME_MAGIC && magic != EHI_FOOTER_MAGIC)
            break;
        ehi_put_le64(frame + EHI_FRAME_FIRST_SEQ, next);
        if (magic == EHI_FOOTER_MAGIC && (mode & TRAILER) != 0 &&
            size - at - EHI_FRAME_HEADER_BYTES - payload >= EHI_SEGMENT_TRAILER_BYTES)
            put_trailer(file, size, at);
        uint32_t count = 0;
        if (magic == EHI_FRAME_MAGIC)
            count = repair_records(frame + EHI_FRAME_HEADER_BYTES, payload, next);
        ehi_put_le32(frame + EHI_FRAME_RECORDS, count);
        size_t length = EHI_FRAME_HEADER_BYTES + payload;
        ehi_put_le64(frame, ehi_hash64(frame + 8, length - 8, seed()));
        next += count;
        at += length;
    }
    return next;
}

static void make_segment(uint64_t first_seq, uint8_t *file, size_t size)
{
    char name[32];
    memset(file, 0, EHI_SEGMENT_HEADER_BYTES);
    memcpy(file, EHI_SEGMENT_MAGIC, 8);
    ehi_put_le32(file + EHI_SEG_VERSION, EHI_FORMAT_VERSION);
    ehi_put_le32(file + EHI_SEG_HEADER_BYTES, EHI_SEGMENT_HEADER_BYTES);
    memcpy(file + EHI_SEG_STORE_ID, store_id, 16);
    ehi_put_le32(file + EHI_SEG_INCOMPATIBLE, compressed ? EHI_FEATURE_COMPRESSED : 0);
    ehi_put_le64(file + EHI_SEG_FIRST_SEQ, first_seq);
    ehi_put_le64(file + EHI_SEG_CHECKSUM, ehi_hash64(file, EHI_SEG_CHECKSUM, 0));
    snprintf(name, sizeof(name), "%020llu.seg", (unsigned long long)first_seq);
    int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    HOLDS(fd >= 0 && write(fd, file, size) == (ssize_t)size);
    close(fd);
}

static void make_log(const uint8_t *data, size_t size, unsigned mode)
{
    size_t whole = EHI_SEGMENT_HEADER_BYTES + size;
    uint8_t *file = calloc(1, whole);
    uint8_t second[EHI_SEGMENT_HEADER_BYTES + 64] = {0};
    HOLDS(file != NULL);
    if (size > 0)
        memcpy(file + EHI_SEGMENT_HEADER_BYTES, data, size);
    uint64_t next = (mode & REPAIR) != 0 ? repair(file, whole, mode) : 2;
    make_segment(1, file, whole);
    if ((mode & FOLLOWED) != 0 && next > 1)
        make_segment(next, second, sizeof(second));
    free(file);
}

/* -- what must hold ---------------------------------------------------------------------------------- */

static off_t segment_size(uint64_t first_seq)
{
    char name[32];
    struct stat status;
    snprintf(name, sizeof(name), "%020llu.seg", (unsigned long long)first_seq);
    HOLDS(fstatat(directory_fd, name, &status, 0) == 0);
    return status.st_size;
}

static void check_frame(struct ehi_log *log, const struct ehi_frame *frame,
                        const struct ehi_position *at)
{
    struct ehi_slice rest = frame->payload;
    struct ehi_stored record;
    uint32_t count = 0;
    HOLDS(frame->offset + frame->length == at->offset);
    HOLDS((off_t)at->offset <= segment_size(frame->segment));
    HOLDS(ehi_log_confirms(log, at));
    for (; ehi_stored_next(&rest, frame->compressed, &record); count++) {
        struct ehi_slice whole;
        ehi_arena_reset(&scratch);
        int rc = ehi_log_expand(log, frame, &record, &scratch, &whole, NULL);
        HOLDS(rc == ECSHIST_OK || rc == ECSHIST_DAMAGED);
    }
    HOLDS(rest.length == 0 && count == frame->record_count);
    HOLDS(at->next_seq == frame->first_seq + count);
}

/* The verdict, 0 for damage. *frames: how many there were. */
static int scan(struct ehi_log *log, struct ehi_position *at, size_t most, size_t *frames)
{
    struct ehi_frame frame;
    enum ehi_verdict verdict = EHI_FRAME;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    for (*frames = 0; verdict == EHI_FRAME; (*frames)++) {
        HOLDS(*frames <= most);
        int rc = ehi_log_next(log, at, &frame, &verdict, &error);
        HOLDS(rc == ECSHIST_OK || (rc == ECSHIST_DAMAGED && error.message[0] != '\0'));
        if (rc != ECSHIST_OK)
            return 0;
        if (verdict == EHI_FRAME)
            check_frame(log, &frame, at);
    }
    if (verdict == EHI_END_OF_LOG)
        HOLDS(ehi_log_at_end(log, at));
    return (int)verdict;
}

static void read_events(struct ehi_log *log, uint64_t scanned_to, unsigned hint)
{
    struct ehi_slice record;
    struct ehi_position at;
    struct ehi_frame frame;
    enum ehi_verdict verdict;
    uint64_t most = scanned_to < MOST_READS ? scanned_to : MOST_READS;
    for (uint64_t seq = 0; seq <= most + 2; seq++) {
        ehi_arena_reset(&scratch);
        int rc = ehi_log_read(log, seq, (uint64_t)hint * 8 * seq, &scratch, &record, NULL);
        HOLDS(rc == ECSHIST_OK || rc == ECSHIST_DAMAGED || rc == ECSHIST_NOT_FOUND);
        HOLDS(rc != ECSHIST_OK || ehi_get_le64(record.data + EHI_REC_SEQ) == seq);
        HOLDS(rc == ECSHIST_NOT_FOUND || seq > 0);
        if (ehi_log_seek(log, seq, &at, NULL) != ECSHIST_OK || seq == 0 || seq >= scanned_to)
            continue;
        /* A footer whose checksum is right may still lead astray: then it is damage. */
        rc = ehi_log_next(log, &at, &frame, &verdict, NULL);
        HOLDS(rc == ECSHIST_OK || rc == ECSHIST_DAMAGED);
        if (rc == ECSHIST_OK)
            HOLDS(verdict == EHI_FRAME && frame.first_seq <= seq && seq < at.next_seq);
    }
}

static void go_on(struct ehi_log *log, struct ehi_position *at, int verdict)
{
    uint8_t record[EHI_RECORD_HEADER_BYTES] = {EHI_RECORD_HEADER_BYTES};
    struct ehi_position again;
    size_t frames;
    if (verdict == EHI_TORN_TAIL)
        HOLDS(ehi_log_cut(log, at, NULL) == ECSHIST_OK);
    HOLDS(ehi_log_at_end(log, at));
    ehi_put_le64(record + EHI_REC_SEQ, at->next_seq);
    uint64_t hash = ehi_hash64(record + 8, sizeof(record) - 8, seed());
    ehi_put_le32(record + EHI_REC_CHECKSUM, (uint32_t)hash);
    struct ehi_slice records = ehi_slice(record, sizeof(record));
    HOLDS(ehi_log_append(log, at, records, 1, at->next_seq, NULL, NULL) == ECSHIST_OK);
    ehi_log_start(log, &again);
    HOLDS(scan(log, &again, MOST_BYTES, &frames) == EHI_END_OF_LOG);
    HOLDS(memcmp(&again, at, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ehi_log *log;
    struct ehi_position at;
    size_t frames;
    if (size == 0 || size > MOST_BYTES)
        return 0;
    if (directory_fd < 0)
        make_directory();
    unsigned mode = data[0];
    compressed = (mode & COMPRESSED) != 0;
    make_log(data + 1, size - 1, mode);
    uint32_t segment_bytes = (mode & FULL) != 0 ? 128 : ECSHIST_MIN_SEGMENT_BYTES;
    if (ehi_log_open(directory_fd, directory, segment_bytes, &log, NULL) == ECSHIST_OK) {
        ehi_log_start(log, &at);
        int verdict = scan(log, &at, size / EHI_FRAME_HEADER_BYTES + 1, &frames);
        read_events(log, at.next_seq, mode >> 4);
        (void)!ehi_log_check_seal(log, 1, NULL);
        if (verdict != 0)
            go_on(log, &at, verdict);
        ehi_log_close(log);
    }
    remove_segments();
    return 0;
}
