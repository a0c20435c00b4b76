#include "base/hash.h"
#include "log/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef ECSHIST_TEST_HOOKS
bool ehi_log_test_plain;
#endif

void ehi_segment_name(uint64_t first_seq, const char *suffix, char name[EHI_SEGMENT_NAME_BYTES])
{
    snprintf(name, EHI_SEGMENT_NAME_BYTES, "%020" PRIu64 ".%s", first_seq, suffix);
}

/* The number in a name of 20 digits, a dot and the suffix; 0 for any other name. */
static uint64_t parse_name(const char *name, const char *suffix)
{
    uint64_t seq = 0;
    for (int i = 0; i < 20; i++) {
        unsigned digit = (unsigned)(unsigned char)name[i] - '0';
        if (digit > 9 || seq > (UINT64_MAX - digit) / 10)
            return 0;
        seq = seq * 10 + digit;
    }
    return name[20] == '.' && strcmp(name + 21, suffix) == 0 ? seq : 0;
}

uint64_t ehi_store_seed(const uint8_t store_id[16])
{
    return ehi_get_le64(store_id) ^ ehi_get_le64(store_id + 8);
}

void ehi_segment_fill_header(uint8_t *header, uint64_t first_seq, const uint8_t store_id[16],
                             uint32_t features, uint64_t cleaned_by)
{
    memset(header, 0, EHI_SEGMENT_HEADER_BYTES);
    memcpy(header + EHI_SEG_MAGIC, EHI_SEGMENT_MAGIC, 8);
    ehi_put_le32(header + EHI_SEG_VERSION, EHI_FORMAT_VERSION);
    ehi_put_le32(header + EHI_SEG_HEADER_BYTES, EHI_SEGMENT_HEADER_BYTES);
    memcpy(header + EHI_SEG_STORE_ID, store_id, 16);
    ehi_put_le32(header + EHI_SEG_INCOMPATIBLE,
                 features | (cleaned_by != 0 ? EHI_FEATURE_GAPS : 0));
    ehi_put_le64(header + EHI_SEG_FIRST_SEQ, first_seq);
    ehi_put_le64(header + EHI_SEG_CLEANED_BY, cleaned_by);
    ehi_put_le64(header + EHI_SEG_CHECKSUM, ehi_hash64(header, EHI_SEG_CHECKSUM, 0));
}

static int bad_header(uint64_t first_seq, int code, const char *what, struct ecshist_error *error)
{
    ehi_fail(error, code, EHI_SEGMENT_NAME ": %s", EHI_NAME_OF(first_seq), what);
    return ehi_at(error, code, EHI_SEGMENT_NAME ":0", EHI_NAME_OF(first_seq));
}

/* The checksum comes first: what it does not hold for is damage, whatever else it looks like. */
int ehi_segment_check_bytes(const uint8_t *header, uint64_t first_seq, const uint8_t *store_id,
                            struct ecshist_error *error)
{
    if (ehi_get_le64(header + EHI_SEG_CHECKSUM) != ehi_hash64(header, EHI_SEG_CHECKSUM, 0))
        return bad_header(first_seq, ECSHIST_DAMAGED, "the checksum of its header is wrong", error);
    if (memcmp(header + EHI_SEG_MAGIC, EHI_SEGMENT_MAGIC, 8) != 0)
        return bad_header(first_seq, ECSHIST_FORMAT, "it is not a segment", error);
    if (ehi_get_le32(header + EHI_SEG_VERSION) != EHI_FORMAT_VERSION ||
        ehi_get_le32(header + EHI_SEG_HEADER_BYTES) != EHI_SEGMENT_HEADER_BYTES)
        return bad_header(first_seq, ECSHIST_FORMAT, "it is of an unknown version", error);
    if ((ehi_get_le32(header + EHI_SEG_INCOMPATIBLE) & ~EHI_FEATURES_KNOWN) != 0)
        return bad_header(first_seq, ECSHIST_FORMAT, "it has features unknown here", error);
    if (store_id != NULL && memcmp(header + EHI_SEG_STORE_ID, store_id, 16) != 0)
        return bad_header(first_seq, ECSHIST_FORMAT, "it is of another store", error);
    if (ehi_get_le64(header + EHI_SEG_FIRST_SEQ) != first_seq)
        return bad_header(first_seq, ECSHIST_DAMAGED, "it has the name of another segment", error);
    return ECSHIST_OK;
}

int ehi_segment_check_header(int fd, uint64_t first_seq, const uint8_t *store_id,
                             uint8_t header[EHI_SEGMENT_HEADER_BYTES], struct ecshist_error *error)
{
    size_t got;
    if (ehi_sys_pread_all(fd, header, EHI_SEGMENT_HEADER_BYTES, 0, &got) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot read " EHI_SEGMENT_NAME,
                              EHI_NAME_OF(first_seq));
    if (got < EHI_SEGMENT_HEADER_BYTES)
        return bad_header(first_seq, ECSHIST_DAMAGED, "the file ends within its header", error);
    return ehi_segment_check_bytes(header, first_seq, store_id, error);
}

static uint32_t features_of_new(void)
{
#ifdef ECSHIST_TEST_HOOKS
    if (ehi_log_test_plain)
        return 0;
#endif
    return EHI_FEATURE_COMPRESSED;
}

static int fill_new(int fd, uint64_t first_seq, const uint8_t store_id[16], uint64_t size)
{
    uint8_t header[EHI_SEGMENT_HEADER_BYTES];
    ehi_segment_fill_header(header, first_seq, store_id, features_of_new(), 0);
    if (ehi_sys_pwrite_all(fd, header, sizeof(header), 0, NULL) != 0)
        return -1;
    if (ehi_sys_zero(fd, sizeof(header), size) != 0)
        return -1;
    return ehi_sys_fsync(fd);
}

int ehi_segment_make(int dirfd, uint64_t first_seq, const uint8_t store_id[16], uint64_t size,
                     struct ecshist_error *error)
{
    char fresh[EHI_SEGMENT_NAME_BYTES], name[EHI_SEGMENT_NAME_BYTES];
    ehi_segment_name(first_seq, "new", fresh);
    ehi_segment_name(first_seq, "seg", name);
    int fd = ehi_sys_open(dirfd, fresh, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot make the segment file %s", fresh);
    int result = fill_new(fd, first_seq, store_id, size);
    ehi_sys_close(fd);
    if (result == 0)
        result = ehi_sys_rename(dirfd, fresh, name);
    if (result != 0) {
        int rc = ehi_fail_errno(error, ECSHIST_IO, "cannot begin the segment %s", name);
        ehi_sys_unlink(dirfd, fresh);
        return rc;
    }
    if (ehi_sys_fsync(dirfd) != 0)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot flush the log's directory");
    return ECSHIST_OK;
}

/* A stream of its own: reading a directory moves the descriptor's place in it. */
static DIR *open_directory(int dirfd)
{
    int fd = ehi_sys_open(dirfd, ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return NULL;
    DIR *dir = fdopendir(fd);
    if (dir == NULL)
        ehi_sys_close(fd);
    return dir;
}

static int compare_seqs(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

int ehi_segment_list(int dirfd, struct ehi_buffer *out, struct ecshist_error *error)
{
    DIR *dir = open_directory(dirfd);
    if (dir == NULL)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot open the log's directory");
    int rc = ECSHIST_OK;
    out->length = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL)
            break;
        uint64_t seq = parse_name(entry->d_name, "seg");
        if (seq != 0)
            rc = ehi_buffer_append(out, &seq, sizeof(seq));
        if (rc != ECSHIST_OK)
            break;
    }
    if (rc != ECSHIST_OK)
        rc = ehi_fail_memory(error);
    else if (errno != 0)
        rc = ehi_fail_errno(error, ECSHIST_IO, "cannot read the log's directory");
    closedir(dir);
    if (rc == ECSHIST_OK && out->length > 0)
        qsort(out->data, out->length / sizeof(uint64_t), sizeof(uint64_t), compare_seqs);
    return rc;
}

int ehi_segment_sweep(int dirfd, const char *suffix, struct ecshist_error *error)
{
    DIR *dir = open_directory(dirfd);
    if (dir == NULL)
        return ehi_fail_errno(error, ECSHIST_IO, "cannot open the log's directory");
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (parse_name(entry->d_name, suffix) != 0)
            ehi_sys_unlink(dirfd, entry->d_name); /* if not now, the next time */
    }
    closedir(dir);
    return ECSHIST_OK;
}

int ehi_log_create(int dirfd, const char *path, const uint8_t store_id[16],
                   struct ecshist_error *error)
{
    char name[EHI_SEGMENT_NAME_BYTES];
    struct stat status;
    ehi_segment_name(1, "seg", name);
    if (fstatat(dirfd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return ehi_fail(error, ECSHIST_EXISTS, "there is a log in %s already", path);
    return ehi_segment_make(dirfd, 1, store_id, ECSHIST_MIN_SEGMENT_BYTES, error);
}
