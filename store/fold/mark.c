#include "fold/mark.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/private.h"
#include "codec/format.h"
#include "log/sys.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The 64 bytes of the file. Not part of the lasting format: another index format is a rebuild. */
#define MARK_MAGIC "ECSHMRK1"
enum {
    AT_MAGIC = 0,
    AT_FORMAT = 8,
    AT_CLEAN = 12,
    AT_STORE_ID = 16,
    AT_BOOT_ID = 32,
    AT_INODE = 48,
    AT_CHECKSUM = 56,
    MARK_BYTES = 64
};

static uint64_t data_inode(int index_fd)
{
    struct stat st;
    return fstatat(index_fd, "data.mdb", &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_ino : 0;
}

static bool read_mark(int index_fd, uint8_t mark[MARK_BYTES])
{
    int fd = ehi_private_file(index_fd, "mark", O_RDONLY);
    if (fd < 0)
        return false;
    size_t length;
    int rc = ehi_sys_pread_all(fd, mark, MARK_BYTES, 0, &length);
    ehi_sys_close(fd);
    return rc == 0 && length == MARK_BYTES;
}

enum ehi_mark ehi_mark_read(int index_fd, const uint8_t store_id[16])
{
    uint8_t mark[MARK_BYTES], boot[16];
    bool whole = read_mark(index_fd, mark) && memcmp(mark + AT_MAGIC, MARK_MAGIC, 8) == 0 &&
                 ehi_get_le64(mark + AT_CHECKSUM) == ehi_hash64(mark, AT_CHECKSUM, 0) &&
                 ehi_get_le32(mark + AT_FORMAT) == EHI_INDEX_FORMAT &&
                 memcmp(mark + AT_STORE_ID, store_id, 16) == 0;
    uint64_t inode = data_inode(index_fd);
    if (!whole || inode == 0)
        return EHI_MARK_UNTRUSTED;
    if (ehi_get_le32(mark + AT_CLEAN) == 1)
        return EHI_MARK_CLEAN;
    /* A copy of an index that is in use may be torn: it is another file. */
    bool same = ehi_boot_id(boot) && memcmp(mark + AT_BOOT_ID, boot, 16) == 0 &&
                ehi_get_le64(mark + AT_INODE) == inode;
    return same ? EHI_MARK_IN_USE : EHI_MARK_UNTRUSTED;
}

int ehi_mark_write(int index_fd, const uint8_t store_id[16], bool clean,
                   struct ecshist_error *error)
{
    uint8_t mark[MARK_BYTES] = {0};
    memcpy(mark + AT_MAGIC, MARK_MAGIC, 8);
    ehi_put_le32(mark + AT_FORMAT, EHI_INDEX_FORMAT);
    ehi_put_le32(mark + AT_CLEAN, clean ? 1 : 0);
    memcpy(mark + AT_STORE_ID, store_id, 16);
    (void)ehi_boot_id(mark + AT_BOOT_ID);
    ehi_put_le64(mark + AT_INODE, data_inode(index_fd));
    ehi_put_le64(mark + AT_CHECKSUM, ehi_hash64(mark, AT_CHECKSUM, 0));
    int fd = ehi_private_file(index_fd, "mark", O_WRONLY | O_CREAT);
    if (fd < 0)
        return ehi_fail_errno(error, ECSHIST_IO, "writing the index's mark");
    bool written = ehi_sys_pwrite_all(fd, mark, MARK_BYTES, 0, NULL) == 0 &&
                   ehi_sys_fsync(fd) == 0 && ehi_sys_fsync(index_fd) == 0;
    int rc = written ? ECSHIST_OK : ehi_fail_errno(error, ECSHIST_IO, "writing the index's mark");
    ehi_sys_close(fd);
    return rc;
}
