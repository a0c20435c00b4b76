/*
 * The physical pass: every segment, from its header to its end, as docs/FORMAT.md has it. It reads
 * with pread, believes nothing, and goes on behind what is damaged, to where the next valid frame
 * begins.
 *
 * Others may be writing: what looks bad in the newest segment is looked at again once something
 * valid was seen behind it, because frames are written one after the other.
 */
#include "upkeep/verify_internal.h"

#include "log/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KEPT_OPEN = 256, /* segments that stay open, against being replaced meanwhile */
    GAPS = 1,        /* incompatible features */
    COMPRESSED = 2,
    SEG_CLEANED_BY = 48,    /* u64 of the header: the history-expired it was cleaned by */
    SEARCH_BUDGET = 1 << 30 /* bytes hashed behind a bad frame: more than chance would have */
};

/* -- the list of segments ---------------------------------------------------------------------- */

/* The number in a segment's name; 0: it is none. */
static uint64_t parse_name(const char *name)
{
    uint64_t seq = 0;
    for (int i = 0; i < 20; i++) {
        unsigned digit = (unsigned)(unsigned char)name[i] - '0';
        if (digit > 9 || seq > (UINT64_MAX - digit) / 10)
            return 0;
        seq = seq * 10 + digit;
    }
    return strcmp(name + 20, ".seg") == 0 ? seq : 0;
}

static int add_segment(struct verify *v, uint64_t first_seq, size_t *capacity)
{
    struct verify_segment *segments =
        verify_grow(v->segments, v->segment_count, capacity, sizeof(*segments));
    if (segments == NULL)
        return ehi_fail_memory(v->error);
    v->segments = segments;
    segments[v->segment_count++] = (struct verify_segment){.first_seq = first_seq, .fd = -1};
    return ECSHIST_OK;
}

static int compare_segments(const void *a, const void *b)
{
    const struct verify_segment *x = a, *y = b;
    return (x->first_seq > y->first_seq) - (x->first_seq < y->first_seq);
}

static int read_directory(struct verify *v, DIR *dir)
{
    size_t capacity = 0;
    int rc = ECSHIST_OK;
    while (rc == ECSHIST_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            break;
        uint64_t seq = parse_name(entry->d_name);
        if (seq != 0)
            rc = add_segment(v, seq, &capacity);
    }
    if (rc == ECSHIST_OK && errno != 0)
        rc = ehi_fail_errno(v->error, ECSHIST_IO, "cannot read the directory %s/log", v->path);
    return rc;
}

static int list_segments(struct verify *v)
{
    int fd = ehi_sys_open(v->log_fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int rc = ehi_fail_errno(v->error, ECSHIST_IO, "cannot open the directory %s/log", v->path);
        ehi_sys_close(fd);
        return rc;
    }
    free(v->segments);
    v->segments = NULL;
    v->segment_count = 0;
    int rc = read_directory(v, dir);
    closedir(dir);
    if (rc == ECSHIST_OK && v->segment_count > 0)
        qsort(v->segments, v->segment_count, sizeof(*v->segments), compare_segments);
    return rc;
}

static int open_segment(struct verify *v, const struct verify_segment *segment)
{
    char name[32];
    snprintf(name, sizeof(name), "%020" PRIu64 ".seg", segment->first_seq);
    return ehi_sys_open(v->log_fd, name, O_RDONLY | O_NONBLOCK);
}

static int cannot_open(struct verify *v, uint64_t first_seq)
{
    return ehi_fail_errno(v->error, ECSHIST_IO, "cannot open %020" PRIu64 ".seg", first_seq);
}

int verify_segment_fd(struct verify *v, size_t index)
{
    struct verify_segment *segment = &v->segments[index];
    struct stat status;
    if (segment->fd >= 0)
        return segment->fd;
    if (v->spare_fd >= 0 && v->spare_segment == index)
        return v->spare_fd;
    ehi_sys_close(v->spare_fd);
    v->spare_fd = open_segment(v, segment);
    v->spare_segment = index;
    if (v->spare_fd < 0 || fstat(v->spare_fd, &status) != 0) {
        (void)cannot_open(v, segment->first_seq);
        return -1;
    }
    if (status.st_dev == segment->device && status.st_ino == segment->inode)
        return v->spare_fd;
    (void)ehi_fail(v->error, ECSHIST_IO, "%020" PRIu64 ".seg was replaced meanwhile: verify again",
                   segment->first_seq);
    return -1;
}

/* -- headers ----------------------------------------------------------------------------------- */

struct header_fault {
    enum invariant broken;
    const char *text;
};

static struct header_fault header_fault(const struct verify *v, const uint8_t *header,
                                        uint64_t first_seq)
{
    if (ehi_get_le64(header + EHI_SEG_CHECKSUM) != ehi_hash64(header, EHI_SEG_CHECKSUM, 0))
        return (struct header_fault){BROKEN_L2, "the checksum of the segment's header is wrong"};
    if (memcmp(header + EHI_SEG_MAGIC, EHI_SEGMENT_MAGIC, 8) != 0)
        return (struct header_fault){BROKEN_L2, "the file is not a segment"};
    if (ehi_get_le32(header + EHI_SEG_VERSION) != EHI_FORMAT_VERSION ||
        ehi_get_le32(header + EHI_SEG_HEADER_BYTES) != EHI_SEGMENT_HEADER_BYTES)
        return (struct header_fault){BROKEN_L2, "the segment is of a version not known here"};
    if ((ehi_get_le32(header + EHI_SEG_INCOMPATIBLE) & ~(uint32_t)(GAPS | COMPRESSED)) != 0)
        return (struct header_fault){BROKEN_L2, "the segment has features not known here"};
    if (v->has_store_id && memcmp(header + EHI_SEG_STORE_ID, v->store_id, 16) != 0)
        return (struct header_fault){BROKEN_L2, "the segment is of another store"};
    if (ehi_get_le64(header + EHI_SEG_FIRST_SEQ) != first_seq)
        return (struct header_fault){BROKEN_L1,
                                     "the segment's header has another first event than its name"};
    return (struct header_fault){INVARIANT_COUNT, NULL};
}

/* The store's id, by the first header that is right. */
static void find_store_id(struct verify *v)
{
    for (size_t i = 0; i < v->segment_count && !v->has_store_id; i++) {
        uint8_t header[EHI_SEGMENT_HEADER_BYTES];
        size_t got = 0;
        int fd = open_segment(v, &v->segments[i]);
        bool whole = fd >= 0 && ehi_sys_pread_all(fd, header, sizeof(header), 0, &got) == 0 &&
                     got == sizeof(header);
        ehi_sys_close(fd);
        if (!whole || header_fault(v, header, v->segments[i].first_seq).text != NULL)
            continue;
        memcpy(v->store_id, header + EHI_SEG_STORE_ID, 16);
        v->seed = ehi_get_le64(v->store_id) ^ ehi_get_le64(v->store_id + 8);
        v->has_store_id = true;
    }
}

int verify_list(struct verify *v)
{
    int rc = list_segments(v);
    if (rc == ECSHIST_OK && !v->has_store_id)
        find_store_id(v);
    return rc;
}

/* The segment cannot be read at all. */
static int skip_segment(struct verify_scan *s, enum invariant broken, const char *text)
{
    s->v->events_lost = true;
    return verify_finding(s->v, broken, verify_here(s, 0, s->segment->first_seq), "%s", text);
}

static int check_header(struct verify_scan *s)
{
    struct verify_segment *segment = s->segment;
    const uint8_t *header = verify_file_at(&s->file, 0, EHI_SEGMENT_HEADER_BYTES);
    if (s->file.failed != 0)
        return verify_unread(s);
    if (header == NULL)
        return skip_segment(s, BROKEN_L2, "the file ends within its header");
    struct header_fault fault = header_fault(s->v, header, segment->first_seq);
    if (fault.text != NULL)
        return skip_segment(s, fault.broken, fault.text);
    segment->gaps = (ehi_get_le32(header + EHI_SEG_INCOMPATIBLE) & GAPS) != 0;
    segment->compressed = (ehi_get_le32(header + EHI_SEG_INCOMPATIBLE) & COMPRESSED) != 0;
    segment->cleaned_by = segment->gaps ? ehi_get_le64(header + SEG_CLEANED_BY) : 0;
    segment->readable = true;
    return ECSHIST_OK;
}

/* -- frames ------------------------------------------------------------------------------------ */

/* A valid frame or footer behind this place, of the events expected here or later ones. */
static bool find_valid(struct verify_scan *s, struct verify_frame *frame)
{
    uint64_t budget = SEARCH_BUDGET;
    for (uint64_t at = s->offset + 8; at + EHI_FRAME_HEADER_BYTES <= s->file.size; at += 8) {
        const uint8_t *header = verify_file_at(&s->file, at, EHI_FRAME_HEADER_BYTES);
        if (header == NULL)
            return false;
        uint32_t magic = ehi_get_le32(header + EHI_FRAME_MAGIC_AT);
        if ((magic != EHI_FRAME_MAGIC && magic != EHI_FOOTER_MAGIC) ||
            ehi_get_le64(header + EHI_FRAME_FIRST_SEQ) < s->next)
            continue;
        enum verify_look look = verify_look_at(&s->file, s->v->seed, at, frame);
        if (look == VERIFY_FRAME || look == VERIFY_FOOTER)
            return true;
        if (frame->length > budget)
            return false;
        budget -= frame->length;
    }
    return false;
}

static bool is_valid(enum verify_look look)
{
    return look == VERIFY_FRAME || look == VERIFY_FOOTER;
}

static const char *what_is_bad(enum verify_look look, const struct verify_frame *frame)
{
    if (look == VERIFY_NOTHING)
        return "there is nothing where a frame should be";
    if (frame->length == 0)
        return "no frame begins where one should";
    return frame->footer ? "the checksum of the footer is wrong"
                         : "the checksum of the frame is wrong";
}

/* Behind what is bad: to the next valid frame, or the segment's end. *again: there is one. */
static int go_on_behind(struct verify_scan *s, enum verify_look look,
                        const struct verify_frame *bad, const struct verify_frame *found,
                        bool *again)
{
    enum invariant broken = look == VERIFY_NOTHING && s->newest ? BROKEN_L7 : BROKEN_L3;
    struct verify_at at = verify_here(s, s->offset, s->next);
    s->damaged = s->v->events_lost = true;
    *again = found != NULL;
    if (found == NULL)
        return verify_finding(s->v, broken, at, "%s, and none follows in this segment",
                              what_is_bad(look, bad));
    s->offset = found->offset;
    s->next = found->first_seq;
    return verify_finding(s->v, broken, at,
                          "%s; a valid one, from event %" PRIu64 ", follows at offset %" PRIu64,
                          what_is_bad(look, bad), found->first_seq, found->offset);
}

/* Nothing valid here in the newest segment: the log's end, a torn tail, or damage. */
static int judge_newest(struct verify_scan *s, bool *again)
{
    struct verify_frame frame, found;
    *again = false;
    if (verify_file_zero(&s->file, s->offset, s->file.size))
        return ECSHIST_OK;
    bool sealed = verify_trailer(&s->file) > s->offset;
    bool followed = find_valid(s, &found);
    if (s->file.failed != 0)
        return verify_unread(s);
    if (!sealed && !followed)
        return ECSHIST_OK;
    if (!verify_file_refresh(&s->file))
        return verify_unread(s);
    enum verify_look look = verify_look_at(&s->file, s->v->seed, s->offset, &frame);
    *again = is_valid(look);
    if (look == VERIFY_FAILED)
        return verify_unread(s);
    return *again ? ECSHIST_OK : go_on_behind(s, look, &frame, followed ? &found : NULL, again);
}

/* The same in a segment that has a successor. */
static int judge_sealed(struct verify_scan *s, enum verify_look look,
                        const struct verify_frame *bad, bool *again)
{
    struct verify_frame found;
    *again = false;
    if (verify_file_zero(&s->file, s->offset, s->file.size)) {
        s->damaged = true;
        return verify_finding(s->v, BROKEN_L6, verify_here(s, s->offset, s->next),
                              "the segment has a successor, and no footer");
    }
    bool followed = find_valid(s, &found);
    if (s->file.failed != 0)
        return verify_unread(s);
    return go_on_behind(s, look, bad, followed ? &found : NULL, again);
}

static int judge(struct verify_scan *s, bool *again)
{
    struct verify_frame frame;
    if (!verify_file_refresh(&s->file))
        return verify_unread(s);
    enum verify_look look = verify_look_at(&s->file, s->v->seed, s->offset, &frame);
    *again = is_valid(look);
    if (look == VERIFY_FAILED)
        return verify_unread(s);
    if (*again)
        return ECSHIST_OK;
    return s->newest ? judge_newest(s, again) : judge_sealed(s, look, &frame, again);
}

static int scan_frames(struct verify_scan *s)
{
    int rc = ECSHIST_OK;
    bool again = true;
    while (rc == ECSHIST_OK && again) {
        struct verify_frame frame;
        enum verify_look look = verify_look_at(&s->file, s->v->seed, s->offset, &frame);
        if (look == VERIFY_FAILED)
            return verify_unread(s);
        if (look == VERIFY_FOOTER)
            return verify_seal(s, &frame);
        if (look == VERIFY_FRAME)
            rc = verify_take_frame(s, &frame);
        else
            rc = judge(s, &again);
        if (rc == ECSHIST_OK && look == VERIFY_FRAME)
            rc = verify_progress(s->v, frame.length);
    }
    return rc;
}

/* -- segments ---------------------------------------------------------------------------------- */

/* The segment's name follows what stood before it. */
static int check_name(struct verify_scan *s)
{
    struct verify *v = s->v;
    uint64_t first = s->segment->first_seq;
    if (first == v->next_seq || v->next_seq == 0)
        return ECSHIST_OK;
    v->events_lost = true;
    if (s->index == 0)
        return verify_finding(v, BROKEN_L1, verify_here(s, 0, first),
                              "the first segment begins with event %" PRIu64, first);
    if (first > v->next_seq)
        return verify_finding(v, BROKEN_L5, verify_here(s, 0, v->next_seq),
                              "events %" PRIu64 " to %" PRIu64 " are missing: no segment has them",
                              v->next_seq, first - 1);
    return verify_finding(v, BROKEN_L5, verify_here(s, 0, first),
                          "the segment begins with event %" PRIu64
                          ", and the one before it ends behind that, before event %" PRIu64,
                          first, v->next_seq);
}

static int scan_segment(struct verify_scan *s)
{
    struct verify *v = s->v;
    struct stat status;
    if (fstat(s->file.fd, &status) != 0)
        return cannot_open(v, s->segment->first_seq);
    if (!S_ISREG(status.st_mode))
        return skip_segment(s, BROKEN_L1, "what has a segment's name is not a file");
    s->segment->device = status.st_dev;
    s->segment->inode = status.st_ino;
    s->segment->size = s->file.size = (uint64_t)status.st_size;
    int rc = check_header(s);
    if (rc != ECSHIST_OK || !s->segment->readable)
        return rc;
    rc = scan_frames(s);
    v->next_seq = s->next;
    return rc;
}

/* Where nothing is known of a segment, the next one begins where it says. */
static int verify_one(struct verify *v, size_t index)
{
    struct verify_segment *segment = &v->segments[index];
    struct verify_scan s = {.v = v,
                            .index = index,
                            .segment = segment,
                            .offset = EHI_SEGMENT_HEADER_BYTES,
                            .next = segment->first_seq,
                            .newest = index + 1 == v->segment_count};
    int rc = check_name(&s);
    if (rc != ECSHIST_OK)
        return rc;
    v->next_seq = 0;
    v->result.segments++;
    s.file.fd = open_segment(v, segment);
    if (s.file.fd < 0 && (errno == ELOOP || errno == ENXIO))
        return skip_segment(&s, BROKEN_L1, "what has a segment's name is not a file");
    if (s.file.fd < 0)
        return cannot_open(v, segment->first_seq);
    rc = scan_segment(&s);
    verify_file_close(&s.file);
    free(s.entries);
    ehi_arena_free(&s.arena);
    if (index < KEPT_OPEN && rc == ECSHIST_OK)
        segment->fd = s.file.fd;
    else
        ehi_sys_close(s.file.fd);
    return rc;
}

int verify_log(struct verify *v)
{
    if (v->segment_count == 0) {
        v->events_lost = true;
        return verify_finding(v, BROKEN_L1, (struct verify_at){0}, "there is no segment");
    }
    v->next_seq = 1;
    int rc = ECSHIST_OK;
    for (size_t i = 0; i < v->segment_count && rc == ECSHIST_OK; i++)
        rc = verify_one(v, i);
    return rc;
}
