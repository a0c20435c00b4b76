/*
 * Verify's physical pass, over the bytes of a segment. The first byte is the mode, the rest is what
 * stands behind the header. It must end and stay within the file; and it must agree with the log's
 * own reader: what that calls damage is a finding, and where nothing is found it reads to the end.
 *
 * With the mode's REPAIR the checksums of frames and records are made right, so that the fuzzer
 * gets past them. With EVENTS, and no bit of RARELY, the events are decoded and folded too, which
 * takes a child process.
 */
#include "base/hash.h"
#include "log/log.h"
#include "upkeep/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REPAIR = 1, FOLLOWED = 2, EVENTS = 4, GAPS = 8, RARELY = 0xf0 };
enum { MOST_BYTES = 1 << 20, AT_CLEANED_BY = 48 };

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t store_id[16] = "fuzzed store id";
static char directory[64], log_path[80];
static int log_fd = -1;

static void segment_name(uint64_t first_seq, char name[32])
{
    snprintf(name, 32, "%020llu.seg", (unsigned long long)first_seq);
}

static void remove_segments(uint64_t second)
{
    char name[32];
    segment_name(1, name);
    (void)unlinkat(log_fd, name, 0);
    segment_name(second, name);
    (void)unlinkat(log_fd, name, 0);
}

static void remove_directory(void)
{
    (void)rmdir(log_path);
    (void)rmdir(directory);
}

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "%s/fuzz_verify.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    HOLDS(mkdtemp(directory) != NULL);
    snprintf(log_path, sizeof(log_path), "%s/log", directory);
    HOLDS(mkdir(log_path, 0700) == 0);
    atexit(remove_directory);
    log_fd = open(log_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    HOLDS(log_fd >= 0);
}

static uint64_t seed(void)
{
    return ehi_get_le64(store_id) ^ ehi_get_le64(store_id + 8);
}

/* Checksums only: counts and seqs are for the fuzzer to get wrong. Returns the seq behind. */
static uint64_t repair(uint8_t *file, size_t size)
{
    uint64_t next = 1;
    size_t at = EHI_SEGMENT_HEADER_BYTES;
    while (size - at >= EHI_FRAME_HEADER_BYTES) {
        uint8_t *frame = file + at;
        size_t payload = ehi_get_le32(frame + EHI_FRAME_PAYLOAD_BYTES);
        if (payload % 8 != 0 || payload > size - at - EHI_FRAME_HEADER_BYTES)
            break;
        struct ehi_slice rest = ehi_slice(frame + EHI_FRAME_HEADER_BYTES, payload);
        struct ehi_stored record;
        if (ehi_get_le32(frame + EHI_FRAME_MAGIC_AT) == EHI_FRAME_MAGIC) {
            while (ehi_stored_next(&rest, false, &record)) {
                uint8_t *r = frame + (record.bytes.data - frame);
                uint64_t hash =
                    ehi_hash64(r + EHI_REC_SEQ, record.bytes.length - EHI_REC_SEQ, seed());
                ehi_put_le32(r + EHI_REC_CHECKSUM, (uint32_t)hash);
                next = ehi_get_le64(r + EHI_REC_SEQ) + 1;
            }
        }
        size_t length = EHI_FRAME_HEADER_BYTES + payload;
        ehi_put_le64(frame, ehi_hash64(frame + 8, length - 8, seed()));
        at += length;
    }
    return next;
}

static void make_segment(uint64_t first_seq, uint8_t *file, size_t size, bool gaps)
{
    char name[32];
    memset(file, 0, EHI_SEGMENT_HEADER_BYTES);
    memcpy(file, EHI_SEGMENT_MAGIC, 8);
    ehi_put_le32(file + EHI_SEG_VERSION, EHI_FORMAT_VERSION);
    ehi_put_le32(file + EHI_SEG_HEADER_BYTES, EHI_SEGMENT_HEADER_BYTES);
    ehi_put_le32(file + EHI_SEG_INCOMPATIBLE, gaps ? 1 : 0);
    ehi_put_le64(file + AT_CLEANED_BY, gaps ? 1000 : 0);
    memcpy(file + EHI_SEG_STORE_ID, store_id, 16);
    ehi_put_le64(file + EHI_SEG_FIRST_SEQ, first_seq);
    ehi_put_le64(file + EHI_SEG_CHECKSUM, ehi_hash64(file, EHI_SEG_CHECKSUM, 0));
    segment_name(first_seq, name);
    int fd = openat(log_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    HOLDS(fd >= 0 && write(fd, file, size) == (ssize_t)size);
    close(fd);
}

/* Returns the first seq of the second segment, 1: there is none. */
static uint64_t make_log(const uint8_t *data, size_t size, unsigned mode)
{
    size_t whole = EHI_SEGMENT_HEADER_BYTES + size;
    uint8_t *file = calloc(1, whole);
    uint8_t second[EHI_SEGMENT_HEADER_BYTES + 64] = {0};
    HOLDS(file != NULL);
    if (size > 0)
        memcpy(file + EHI_SEGMENT_HEADER_BYTES, data, size);
    uint64_t next = (mode & REPAIR) != 0 ? repair(file, whole) : 2;
    make_segment(1, file, whole, (mode & GAPS) != 0);
    free(file);
    if ((mode & FOLLOWED) == 0 || next < 2)
        return 1;
    make_segment(next, second, sizeof(second), false);
    return next;
}

/* The log's own reader comes to an end of the log. */
static bool reads_to_end(void)
{
    struct ehi_log *log;
    if (ehi_log_open(log_fd, log_path, ECSHIST_MIN_SEGMENT_BYTES, &log, NULL) != ECSHIST_OK)
        return false;
    struct ehi_position at;
    struct ehi_frame frame;
    enum ehi_verdict verdict = EHI_FRAME;
    int rc = ECSHIST_OK;
    ehi_log_start(log, &at);
    while (rc == ECSHIST_OK && verdict == EHI_FRAME)
        rc = ehi_log_next(log, &at, &frame, &verdict, NULL);
    ehi_log_close(log);
    return rc == ECSHIST_OK;
}

static bool check_finding(void *context, const struct ecshist_finding *finding)
{
    (void)context;
    HOLDS(finding->invariant[0] == 'L' || finding->invariant[0] == 'I');
    HOLDS(finding->text[0] != '\0');
    HOLDS(finding->segment != 0 || finding->offset == 0);
    return true;
}

static uint64_t findings(unsigned flags)
{
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    options.flags = flags;
    HOLDS(ehi_verify(directory, &options, check_finding, NULL, &result, NULL) == ECSHIST_OK);
    return result.finding_count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > MOST_BYTES)
        return 0;
    if (log_fd < 0)
        make_directory();
    unsigned mode = data[0];
    uint64_t second = make_log(data + 1, size - 1, mode);
    uint64_t found = findings(ECSHIST_VERIFY_QUICK);
    if (found == 0)
        HOLDS(reads_to_end());
    if ((mode & (EVENTS | RARELY)) == EVENTS)
        HOLDS(findings(0) > found); /* there is no index */
    remove_segments(second);
    return 0;
}
