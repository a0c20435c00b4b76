/* What the tests of the log share: a log in a temporary directory, and records made by hand. */
#ifndef TESTS_TEST_LOG_H
#define TESTS_TEST_LOG_H

#include "base/hash.h"
#include "log/log.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SMALL_SEGMENT 65536u

/* Where records are expanded; each test is a process of its own. */
static struct ehi_arena scratch;

static const uint8_t log_store_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

#define must(call)                                                                                 \
    do {                                                                                           \
        int must_rc = (call);                                                                      \
        cr_assert_eq(must_rc, ECSHIST_OK, "%s: %d", #call, must_rc);                               \
    } while (0)

static inline struct ehi_log *log_open(const char *dir, uint32_t segment_bytes)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_log *log = NULL;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    int rc = ehi_log_open(fd, dir, segment_bytes, &log, &error);
    close(fd);
    cr_assert_eq(rc, ECSHIST_OK, "%s", error.message);
    return log;
}

static inline int log_open_code(const char *dir, struct ecshist_error *error)
{
    struct ehi_log *log = NULL;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    int rc = ehi_log_open(fd, dir, SMALL_SEGMENT, &log, error);
    close(fd);
    ehi_log_close(log);
    return rc;
}

static inline char *log_new(void)
{
    char *dir = store_dir_new();
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    must(ehi_log_create(fd, dir, log_store_id, NULL));
    close(fd);
    return dir;
}

static inline char *log_segment_path(const char *dir, uint64_t first_seq)
{
    char name[40];
    snprintf(name, sizeof(name), "%020llu.seg", (unsigned long long)first_seq);
    return store_dir_path(dir, name);
}

/* A record with this seq, and a body of bytes that depend on it. */
static inline void log_record(struct ehi_buffer *out, uint64_t seq, size_t body, uint64_t seed)
{
    size_t length = (EHI_RECORD_HEADER_BYTES + body + 7) / 8 * 8;
    size_t start = out->length;
    must(ehi_buffer_append_zeros(out, length));
    uint8_t *record = out->data + start;
    memset(record + EHI_RECORD_HEADER_BYTES, (int)(seq % 251) + 1, body);
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)length);
    ehi_put_le64(record + EHI_REC_SEQ, seq);
    ehi_put_le64(record + EHI_REC_TIME, 5000000 + seq * 7919 % 1000);
    ehi_put_le16(record + EHI_REC_TYPE, 5);
    ehi_put_le16(record + EHI_REC_FLAGS, seq % 10 == 0 ? 1 : 0);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)body);
    ehi_put_le32(record + EHI_REC_CHECKSUM,
                 (uint32_t)ehi_hash64(record + EHI_REC_SEQ, length - EHI_REC_SEQ, seed));
}

static inline int log_append_code(struct ehi_log *log, struct ehi_position *position,
                                  uint32_t count, size_t body, struct ecshist_error *error)
{
    struct ehi_buffer records = {0};
    for (uint32_t i = 0; i < count; i++)
        log_record(&records, position->next_seq + i, body, ehi_log_seed(log));
    int rc = ehi_log_append(log, position, ehi_buffer_slice(&records), count, position->next_seq,
                            NULL, error);
    ehi_buffer_free(&records);
    return rc;
}

static inline void log_append(struct ehi_log *log, struct ehi_position *position, uint32_t count,
                              size_t body)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = log_append_code(log, position, count, body, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s", error.message);
}

/* Scans from the position to where it ends: the verdict, or minus the error's code. */
static inline int log_scan(struct ehi_log *log, struct ehi_position *position, uint64_t *records,
                           struct ecshist_error *error)
{
    struct ehi_frame frame;
    enum ehi_verdict verdict = EHI_FRAME;
    *records = 0;
    while (verdict == EHI_FRAME) {
        uint64_t next = position->next_seq;
        int rc = ehi_log_next(log, position, &frame, &verdict, error);
        if (rc != ECSHIST_OK)
            return -rc;
        if (verdict != EHI_FRAME)
            break;
        cr_assert_eq(frame.first_seq, next);
        cr_assert_eq(position->next_seq, next + frame.record_count);
        *records += frame.record_count;
    }
    return (int)verdict;
}

/* Opens, scans from the start, closes. */
static inline int log_scan_all(const char *dir, struct ehi_position *end, uint64_t *records,
                               struct ecshist_error *error)
{
    struct ehi_log *log = NULL;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    int rc = ehi_log_open(fd, dir, SMALL_SEGMENT, &log, error);
    close(fd);
    *records = 0;
    if (rc != ECSHIST_OK)
        return -rc;
    ehi_log_start(log, end);
    rc = log_scan(log, end, records, error);
    ehi_log_close(log);
    return rc;
}

static inline bool log_same_position(const struct ehi_position *a, const struct ehi_position *b)
{
    return a->segment == b->segment && a->offset == b->offset && a->next_seq == b->next_seq &&
           a->frame_offset == b->frame_offset && a->frame_checksum == b->frame_checksum;
}

#endif
