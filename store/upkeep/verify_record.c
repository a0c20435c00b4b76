/*
 * Records made again from what a compressed segment stores: a second time, by docs/FORMAT.md, section 6, and with nothing of
 * codec/stored.c. Where something is copied from is read with pread, each piece by itself.
 */
#include "upkeep/verify_internal.h"

#include "log/sys.h"

#include <errno.h>

struct bytes {
    const uint8_t *next;
    size_t left;
    const char *fault; /* the first; what is read behind it is 0 */
};

static void find_fault(struct bytes *b, const char *fault)
{
    if (b->fault == NULL)
        b->fault = fault;
    b->left = 0;
}

static uint64_t number(struct bytes *b)
{
    uint64_t sum = 0;
    for (unsigned place = 0; place < 10; place++) {
        if (b->left == 0)
            break;
        uint64_t seven = *b->next & 127u;
        bool last = *b->next < 128;
        b->next++;
        b->left--;
        sum += place < 9 || seven < 2 ? seven << 7 * place : 0;
        if (last)
            return sum;
    }
    find_fault(b, "a number of the record does not end");
    return 0;
}

static uint64_t small_number(struct bytes *b, uint64_t most)
{
    uint64_t value = number(b);
    if (value <= most)
        return value;
    find_fault(b, "a length of the record is larger than any");
    return 0;
}

/* The header as an uncompressed record has it, but for its size. */
static size_t make_header(struct bytes *b, uint8_t header[EHI_RECORD_HEADER_BYTES])
{
    memset(header, 0, EHI_RECORD_HEADER_BYTES);
    ehi_put_le64(header + EHI_REC_SEQ, number(b));
    uint64_t time_us = number(b), apart = number(b);
    uint64_t recorded = apart % 2 == 0 ? time_us + apart / 2 : time_us - apart / 2 - 1;
    ehi_put_le64(header + EHI_REC_TIME, time_us);
    ehi_put_le64(header + EHI_REC_RECORDED_AT, recorded);
    uint64_t kind = small_number(b, UINT16_MAX);
    ehi_put_le16(header + EHI_REC_TYPE, (uint16_t)(kind / 2));
    ehi_put_le16(header + EHI_REC_FLAGS, (uint16_t)(kind % 2));
    uint64_t subject = small_number(b, UINT16_MAX), id = small_number(b, UINT16_MAX);
    uint64_t body = small_number(b, EHI_RECORD_MAX_BYTES);
    ehi_put_le16(header + EHI_REC_SUBJECT_BYTES, (uint16_t)subject);
    ehi_put_le16(header + EHI_REC_ID_BYTES, (uint16_t)id);
    ehi_put_le32(header + EHI_REC_BODY_BYTES, (uint32_t)body);
    return (size_t)(subject + id + body);
}

/* errno of a read that failed, or 0. */
static int read_earlier(int fd, uint64_t offset, uint64_t distance, uint8_t *out, size_t length,
                        struct bytes *b)
{
    size_t got = 0;
    if (length > distance || distance > offset - EHI_SEGMENT_HEADER_BYTES)
        find_fault(b, "the record copies what does not stand before it");
    else if (ehi_sys_pread_all(fd, out, length, offset - distance, &got) != 0)
        return errno;
    else if (got < length)
        find_fault(b, "the record copies what is not in the file");
    return 0;
}

/* What one token stands for. *made: how many bytes. errno of a read that failed, or 0. */
static int make_piece(struct bytes *b, int fd, uint64_t offset, uint8_t *out, size_t room,
                      size_t *made)
{
    uint64_t token = number(b), count = token / 2;
    *made = 0;
    if (b->fault != NULL)
        return 0;
    if (count == 0 || count > room) {
        find_fault(b, "the record's pieces are not as many bytes as it says");
        return 0;
    }
    *made = (size_t)count;
    if (token % 2 == 1)
        return read_earlier(fd, offset, number(b), out, (size_t)count, b);
    if (count > b->left) {
        find_fault(b, "a piece of the record is not all there");
        return 0;
    }
    memcpy(out, b->next, (size_t)count);
    b->next += count;
    b->left -= (size_t)count;
    return 0;
}

static int make_pieces(struct bytes *b, int fd, uint64_t offset, uint8_t *out, size_t size)
{
    size_t done = 0, made;
    int failed = 0;
    while (failed == 0 && b->fault == NULL && b->left > 0) {
        failed = make_piece(b, fd, offset, out + done, size - done, &made);
        done += made;
    }
    if (b->fault == NULL && done != size)
        find_fault(b, "the record's pieces are not as many bytes as it says");
    return failed;
}

/* errno of a read that failed (ENOMEM where memory is out), or 0. */
static int make_record(struct bytes *b, int fd, uint64_t offset, struct ehi_arena *arena,
                       struct ehi_slice *out)
{
    uint8_t header[EHI_RECORD_HEADER_BYTES], checksum[4];
    if (b->left < sizeof(checksum)) {
        find_fault(b, "the record is shorter than any");
        return 0;
    }
    memcpy(checksum, b->next, sizeof(checksum));
    b->next += sizeof(checksum);
    b->left -= sizeof(checksum);
    size_t parts = make_header(b, header);
    size_t whole = (EHI_RECORD_HEADER_BYTES + parts + 7) / 8 * 8;
    uint8_t *record = ehi_arena_array(arena, 1, whole);
    if (record == NULL)
        return ENOMEM;
    memcpy(record, header, sizeof(header));
    memcpy(record + EHI_REC_CHECKSUM, checksum, sizeof(checksum));
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)whole);
    *out = ehi_slice(record, whole);
    return b->fault != NULL ? 0
                            : make_pieces(b, fd, offset, record + EHI_RECORD_HEADER_BYTES, parts);
}

int verify_make_record(int fd, uint64_t offset, struct ehi_slice stored, struct ehi_arena *arena,
                       struct verify_made *out)
{
    struct bytes b = {stored.data, stored.length, NULL};
    uint64_t length = number(&b);
    *out = (struct verify_made){.record = EHI_SLICE_EMPTY};
    if (b.fault == NULL && length > b.left)
        find_fault(&b, "a record's length does not fit into its frame");
    if (b.fault != NULL) {
        out->fault = b.fault;
        return 0;
    }
    b.left = (size_t)length;
    out->stored_bytes = (size_t)(b.next - stored.data) + (size_t)length;
    int failed = make_record(&b, fd, offset, arena, &out->record);
    out->fault = b.fault;
    return failed;
}
