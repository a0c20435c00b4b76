#include "base/hash.h"
#include "codec/compress.h"
#include "log/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

static void free_old_maps(struct ehi_log *log)
{
    while (log->old_maps != NULL) {
        struct ehi_old_map *old = log->old_maps;
        log->old_maps = old->next;
        munmap((void *)(uintptr_t)old->map, old->bytes);
        free(old);
    }
}

static void free_segment(struct ehi_segment *segment)
{
    if (segment->map != NULL)
        munmap((void *)(uintptr_t)segment->map, segment->map_bytes);
    ehi_sys_close(segment->fd);
    free(segment);
}

void ehi_log_close(struct ehi_log *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->segment_count; i++)
        free_segment(log->segments[i]);
    free_old_maps(log);
    free(log->segments);
    ehi_sys_close(log->write_fd);
    ehi_sys_close(log->dirfd);
    ehi_buffer_free(&log->buffer);
    ehi_compressor_free(log->compressor);
    pthread_mutex_destroy(&log->tables);
    pthread_mutex_destroy(&log->writer);
    free(log->path);
    free(log);
}

static int add_segment(struct ehi_log *log, uint64_t first_seq)
{
    if (log->segment_count == log->segment_capacity) {
        size_t capacity = log->segment_capacity == 0 ? 16 : log->segment_capacity * 2;
        struct ehi_segment **grown =
            realloc(log->segments, capacity * sizeof(struct ehi_segment *));
        if (grown == NULL)
            return ECSHIST_NO_MEMORY;
        log->segments = grown;
        log->segment_capacity = capacity;
    }
    struct ehi_segment *segment = calloc(1, sizeof(*segment));
    if (segment == NULL)
        return ECSHIST_NO_MEMORY;
    segment->first_seq = first_seq;
    segment->fd = -1;
    log->segments[log->segment_count] = segment;
    log->segment_count++;
    return ECSHIST_OK;
}

static int open_segment(const struct ehi_log *log, uint64_t first_seq, int *fd,
                        struct ecshist_error *error)
{
    char name[EHI_SEGMENT_NAME_BYTES];
    ehi_segment_name(first_seq, "seg", name);
    *fd = ehi_sys_open(log->dirfd, name, O_RDONLY);
    if (*fd < 0 && errno == ELOOP)
        return ehi_fail(error, ECSHIST_FORMAT,
                        "%s/%s is a symbolic link: nothing within a store may be one", log->path,
                        name);
    if (*fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot open the segment %s in %s", name,
                              log->path);
    return ECSHIST_OK;
}

/*
 * What the footer at the file's end says comes next, unchecked; 0 where there is none to be found.
 * Whether the footer is right is asked when somebody gets there.
 */
static uint64_t footer_next(int fd)
{
    struct stat status;
    uint8_t trailer[EHI_SEGMENT_TRAILER_BYTES], header[EHI_FRAME_HEADER_BYTES];
    size_t got;
    if (fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof(trailer))
        return 0;
    uint64_t end = (uint64_t)status.st_size - sizeof(trailer);
    if (ehi_sys_pread_all(fd, trailer, sizeof(trailer), end, &got) != 0 || got < sizeof(trailer))
        return 0;
    uint64_t footer = ehi_get_le64(trailer);
    if (memcmp(trailer + 8, EHI_SEGMENT_END, 8) != 0 || footer >= end)
        return 0;
    if (ehi_sys_pread_all(fd, header, sizeof(header), footer, &got) != 0 || got < sizeof(header))
        return 0;
    if (ehi_get_le32(header + EHI_FRAME_MAGIC_AT) != EHI_FOOTER_MAGIC)
        return 0;
    return ehi_get_le64(header + EHI_FRAME_FIRST_SEQ);
}

/* Checks a segment's header, and that the segment after it (0: none known) is the one it names. */
static int check_segment(struct ehi_log *log, uint64_t first_seq, uint64_t next_seq,
                         const uint8_t *store_id, struct ecshist_error *error)
{
    uint8_t header[EHI_SEGMENT_HEADER_BYTES];
    int fd;
    int rc = open_segment(log, first_seq, &fd, error);
    if (rc != ECSHIST_OK)
        return rc;
    rc = ehi_segment_check_header(fd, first_seq, store_id, header, error);
    uint64_t stated = rc == ECSHIST_OK && next_seq != 0 ? footer_next(fd) : 0;
    ehi_sys_close(fd);
    if (rc != ECSHIST_OK)
        return rc;
    if (store_id == NULL)
        memcpy(log->store_id, header + EHI_SEG_STORE_ID, sizeof(log->store_id));
    if (stated != 0 && stated != next_seq) {
        ehi_fail(error, ECSHIST_DAMAGED,
                 "segments are missing: " EHI_SEGMENT_NAME " is followed by event %llu, the next "
                 "file is " EHI_SEGMENT_NAME,
                 EHI_NAME_OF(first_seq), EHI_NAME_OF(stated), EHI_NAME_OF(next_seq));
        return ehi_at(error, ECSHIST_DAMAGED, EHI_SEGMENT_NAME, EHI_NAME_OF(stated));
    }
    return ECSHIST_OK;
}

static uint64_t listed(const struct ehi_buffer *list, size_t i)
{
    uint64_t seq = 0;
    if (i < list->length / sizeof(seq))
        memcpy(&seq, list->data + i * sizeof(seq), sizeof(seq));
    return seq;
}

/* Checks and adds those of the list that come after what is known. */
static int take_list(struct ehi_log *log, const struct ehi_buffer *list,
                     struct ecshist_error *error)
{
    size_t known = log->segment_count;
    uint64_t last = known > 0 ? log->segments[known - 1]->first_seq : 0;
    for (size_t i = 0; listed(list, i) != 0; i++) {
        uint64_t seq = listed(list, i);
        if (seq <= last)
            continue;
        const uint8_t *store_id = log->segment_count > 0 ? log->store_id : NULL;
        int rc = check_segment(log, seq, listed(list, i + 1), store_id, error);
        if (rc == ECSHIST_OK && add_segment(log, seq) != ECSHIST_OK)
            rc = ehi_fail_memory(error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

int ehi_table_refresh(struct ehi_log *log, struct ecshist_error *error)
{
    struct ehi_buffer list = {0};
    int rc = ehi_segment_list(log->dirfd, &list, error);
    if (rc == ECSHIST_OK) {
        pthread_mutex_lock(&log->tables);
        rc = take_list(log, &list, error);
        pthread_mutex_unlock(&log->tables);
    }
    ehi_buffer_free(&list);
    return rc;
}

static int open_table(struct ehi_log *log, struct ecshist_error *error)
{
    int rc = ehi_table_refresh(log, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (log->segment_count == 0)
        return ehi_fail(error, ECSHIST_FORMAT, "there is no log in %s", log->path);
    if (log->segments[0]->first_seq != 1) {
        ehi_fail(error, ECSHIST_DAMAGED, "segments are missing: the oldest is " EHI_SEGMENT_NAME,
                 EHI_NAME_OF(log->segments[0]->first_seq));
        return ehi_at(error, ECSHIST_DAMAGED, EHI_SEGMENT_NAME, EHI_NAME_OF(1));
    }
    log->seed = ehi_store_seed(log->store_id);
    return ECSHIST_OK;
}

/* The directory is opened anew, not duplicated: flock is of the open file, and the caller's is his. */
int ehi_log_open(int dirfd, const char *path, uint32_t segment_bytes, struct ehi_log **out,
                 struct ecshist_error *error)
{
    struct ehi_log *log = calloc(1, sizeof(*log));
    if (log == NULL)
        return ehi_fail_memory(error);
    pthread_mutex_init(&log->tables, NULL);
    pthread_mutex_init(&log->writer, NULL);
    log->segment_bytes = segment_bytes;
    log->write_fd = -1;
    log->path = strdup(path);
    log->dirfd = ehi_sys_open(dirfd, ".", O_RDONLY | O_DIRECTORY);
    int rc = ECSHIST_OK;
    if (log->dirfd < 0)
        rc = ehi_fail_errno(error, ECSHIST_IO, "cannot open %s", path);
    else if (log->path == NULL)
        rc = ehi_fail_memory(error);
    if (rc == ECSHIST_OK)
        rc = open_table(log, error);
    if (rc != ECSHIST_OK) {
        ehi_log_close(log);
        return rc;
    }
    *out = log;
    return ECSHIST_OK;
}

const uint8_t *ehi_log_store_id(const struct ehi_log *log)
{
    return log->store_id;
}

uint64_t ehi_log_seed(const struct ehi_log *log)
{
    return log->seed;
}

/* What was mapped before stays: somebody may still read there. */
static int keep_old_map(struct ehi_log *log, const struct ehi_segment *segment)
{
    if (segment->map == NULL)
        return ECSHIST_OK;
    struct ehi_old_map *old = malloc(sizeof(*old));
    if (old == NULL)
        return ECSHIST_NO_MEMORY;
    *old = (struct ehi_old_map){log->old_maps, segment->map, segment->map_bytes};
    log->old_maps = old;
    return ECSHIST_OK;
}

static int map_segment(struct ehi_log *log, struct ehi_segment *segment, uint64_t size, bool newest,
                       struct ecshist_error *error)
{
    uint64_t bytes = size;
    if (newest)
        bytes = (size > log->segment_bytes ? size : log->segment_bytes) + EHI_MAP_SLACK_BYTES;
    void *map = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, segment->fd, 0);
    if (map == MAP_FAILED)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot map the segment " EHI_SEGMENT_NAME,
                              EHI_NAME_OF(segment->first_seq));
    /* Looked at again: the file may be another than the one that was checked when it was listed. */
    int rc = ehi_segment_check_bytes(map, segment->first_seq, log->store_id, error);
    if (rc == ECSHIST_OK && keep_old_map(log, segment) != ECSHIST_OK)
        rc = ehi_fail_memory(error);
    if (rc != ECSHIST_OK) {
        munmap(map, (size_t)bytes);
        return rc;
    }
    segment->map = map;
    segment->map_bytes = (size_t)bytes;
    uint32_t features = ehi_get_le32(segment->map + EHI_SEG_INCOMPATIBLE);
    segment->gaps = (features & EHI_FEATURE_GAPS) != 0;
    segment->compressed = (features & EHI_FEATURE_COMPRESSED) != 0;
    segment->cleaned_by = segment->gaps ? ehi_get_le64(segment->map + EHI_SEG_CLEANED_BY) : 0;
    return ECSHIST_OK;
}

/* Asks for the file's size, and maps it (anew) where it is not mapped that far. */
static int measure(struct ehi_log *log, struct ehi_segment *segment, bool newest,
                   struct ecshist_error *error)
{
    struct stat status;
    if (segment->fd < 0) {
        int rc = open_segment(log, segment->first_seq, &segment->fd, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    if (fstat(segment->fd, &status) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot ask for the size of " EHI_SEGMENT_NAME,
                              EHI_NAME_OF(segment->first_seq));
    uint64_t size = (uint64_t)status.st_size;
    if (size < EHI_SEGMENT_HEADER_BYTES)
        return ehi_damaged(log, segment->first_seq, 0, segment->first_seq,
                           "the file ends within its header", error);
    segment->inode = (uint64_t)status.st_ino;
    if (size > segment->map_bytes) {
        int rc = map_segment(log, segment, size, newest, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    segment->size = size;
    return ECSHIST_OK;
}

/* Of segment i: mapped as far as `need`; with its footer and for good, once there is one after it. */
static int bring_up(struct ehi_log *log, size_t i, uint64_t need, struct ecshist_error *error)
{
    struct ehi_segment *segment = log->segments[i];
    bool newest = i + 1 == log->segment_count;
    bool settle = !newest && !segment->footer_checked;
    if (segment->map == NULL || settle || (need > segment->size && segment->fd >= 0)) {
        int rc = measure(log, segment, newest, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    if (settle) {
        segment->footer = ehi_footer_find(segment->map, segment->size, log->seed);
        segment->footer_checked = true;
        ehi_sys_close(segment->fd);
        segment->fd = -1;
    }
    return ECSHIST_OK;
}

/* The last segment that begins at or before seq; segment_count where there is none. */
static size_t find_segment(const struct ehi_log *log, uint64_t seq)
{
    size_t low = 0, high = log->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->first_seq <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : log->segment_count;
}

static int get_view(struct ehi_log *log, uint64_t seq, bool exact, uint64_t need,
                    struct ehi_view *out, struct ecshist_error *error)
{
    size_t i = find_segment(log, seq);
    if (i == log->segment_count || (exact && log->segments[i]->first_seq != seq))
        return ehi_fail(error, ECSHIST_NOT_FOUND, "the log has no segment %llu", EHI_NAME_OF(seq));
    int rc = bring_up(log, i, need, error);
    if (rc != ECSHIST_OK)
        return rc;
    const struct ehi_segment *segment = log->segments[i];
    *out = (struct ehi_view){.segment = segment->first_seq,
                             .map = segment->map,
                             .size = segment->size,
                             .footer = segment->footer,
                             .gaps = segment->gaps,
                             .compressed = segment->compressed,
                             .cleaned_by = segment->cleaned_by};
    if (i + 1 < log->segment_count)
        out->next = log->segments[i + 1]->first_seq;
    return ECSHIST_OK;
}

static int get_exact(struct ehi_log *log, uint64_t segment, uint64_t need, struct ehi_view *out,
                     struct ecshist_error *error)
{
    pthread_mutex_lock(&log->tables);
    int rc = get_view(log, segment, true, need, out, error);
    pthread_mutex_unlock(&log->tables);
    return rc;
}

/* A segment that is not known: somebody else may have begun it, and told where it is. */
int ehi_view_get(struct ehi_log *log, uint64_t segment, uint64_t need, struct ehi_view *out,
                 struct ecshist_error *error)
{
    int rc = get_exact(log, segment, need, out, error);
    if (rc != ECSHIST_NOT_FOUND)
        return rc;
    rc = ehi_table_refresh(log, error);
    return rc == ECSHIST_OK ? get_exact(log, segment, need, out, error) : rc;
}

int ehi_view_holding(struct ehi_log *log, uint64_t seq, struct ehi_view *out,
                     struct ecshist_error *error)
{
    pthread_mutex_lock(&log->tables);
    int rc = get_view(log, seq, false, 0, out, error);
    pthread_mutex_unlock(&log->tables);
    return rc;
}

/* -- files that others put in the place of those that are mapped -------------------------------- */

static bool replaced(const struct ehi_log *log, const struct ehi_segment *segment)
{
    char name[EHI_SEGMENT_NAME_BYTES];
    struct stat status;
    ehi_segment_name(segment->first_seq, "seg", name);
    return fstatat(log->dirfd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (uint64_t)status.st_ino != segment->inode;
}

static void unmap(struct ehi_segment *segment)
{
    munmap((void *)(uintptr_t)segment->map, segment->map_bytes);
    segment->map = NULL;
    segment->map_bytes = 0;
    segment->size = 0;
    segment->footer = 0;
    segment->footer_checked = false;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/*
 * A rename changes its directory's time. Two within a tick of that clock look like one, so a time that is
 * younger than a few ticks is not remembered.
 */
static void renew(struct ehi_log *log)
{
    enum { TICKS_NS = 50000000 };
    struct stat status;
    struct timespec now;
    free_old_maps(log);
    if (fstat(log->dirfd, &status) != 0)
        return;
    int64_t changed_ns = nanoseconds(status.st_mtim);
    if (changed_ns == log->checked_ns)
        return;
    for (size_t i = 0; i < log->segment_count; i++) {
        struct ehi_segment *segment = log->segments[i];
        if (segment->map != NULL && segment->footer_checked && replaced(log, segment))
            unmap(segment);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (nanoseconds(now) - changed_ns > TICKS_NS)
        log->checked_ns = changed_ns;
}

void ehi_log_enter(struct ehi_log *log)
{
    pthread_mutex_lock(&log->tables);
    if (log->users == 0)
        renew(log);
    log->users++;
    pthread_mutex_unlock(&log->tables);
}

void ehi_log_leave(struct ehi_log *log)
{
    pthread_mutex_lock(&log->tables);
    log->users--;
    pthread_mutex_unlock(&log->tables);
}

int ehi_log_sizes(struct ehi_log *log, const struct ehi_position *tail, uint64_t *segments,
                  uint64_t *file_bytes, uint64_t *used_bytes, struct ecshist_error *error)
{
    uint64_t files = 0, used = 0;
    char name[EHI_SEGMENT_NAME_BYTES];
    struct stat status;
    int rc = ECSHIST_OK;
    pthread_mutex_lock(&log->tables);
    for (size_t i = 0; i < log->segment_count && rc == ECSHIST_OK; i++) {
        uint64_t first_seq = log->segments[i]->first_seq;
        ehi_segment_name(first_seq, "seg", name);
        if (fstatat(log->dirfd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            rc = ehi_fail_errno(error, ECSHIST_IO, "cannot ask for the size of %s", name);
            break;
        }
        files += (uint64_t)status.st_size;
        if (first_seq < tail->segment)
            used += (uint64_t)status.st_size;
        else if (first_seq == tail->segment)
            used += tail->offset;
    }
    uint64_t count = log->segment_count;
    pthread_mutex_unlock(&log->tables);
    if (rc != ECSHIST_OK)
        return rc;
    *segments = count;
    *file_bytes = files;
    *used_bytes = used;
    return ECSHIST_OK;
}
