#include "faults/shim.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHIM_CLASS_NAME(class, name) name,
const char *const shim_class_names[SHIM_CLASS_COUNT] = {SHIM_CLASSES(SHIM_CLASS_NAME)};

bool shim_armed, shim_in_listing;
enum shim_class shim_class_armed;
enum shim_lie shim_lie;

static unsigned long strike_at, seen;
static bool strike_forever;
static struct shim_report report;
static uintptr_t lmdb_start, lmdb_end;

/* The range of addresses that LMDB's library is loaded to. */
static int look_for_lmdb(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (strstr(info->dlpi_name, "liblmdb") == NULL)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t end = start + info->dlpi_phdr[i].p_memsz;
        if (lmdb_start == 0 || start < lmdb_start)
            lmdb_start = start;
        if (end > lmdb_end)
            lmdb_end = end;
    }
    return 1;
}

bool shim_is_lmdb(const void *caller)
{
    if (lmdb_end == 0)
        (void)dl_iterate_phdr(look_for_lmdb, NULL);
    return (uintptr_t)caller >= lmdb_start && (uintptr_t)caller < lmdb_end;
}

void shim_arm(enum shim_class class, unsigned long at, bool forever)
{
    report = (struct shim_report){.call = ""};
    seen = 0;
    strike_at = at;
    strike_forever = forever;
    shim_class_armed = class;
    shim_armed = true;
}

struct shim_report shim_disarm(void)
{
    shim_armed = false;
    return report;
}

static void note_file(int fd, const char *name)
{
    char link[32], path[512] = "";
    if (name == NULL && fd >= 0) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof(path) - 1);
        path[length > 0 ? length : 0] = '\0';
        name = path;
    }
    if (name == NULL)
        return;
    const char *slash = strrchr(name, '/');
    snprintf(report.file, sizeof(report.file), "%s", slash != NULL ? slash + 1 : name);
}

static bool is_turn(void)
{
    if (seen < strike_at)
        return false;
    if (seen == strike_at)
        return true;
    /* What was interrupted is called again: that must go through. */
    bool every_other = shim_class_armed == SHIM_EINTR || shim_class_armed == SHIM_SHORT;
    return strike_forever && (!every_other || (seen - strike_at) % 2 == 0);
}

bool shim_strikes(enum shim_class class, const char *call, int fd, const char *name,
                  const void *caller)
{
    if (!shim_armed || class != shim_class_armed)
        return false;
    bool lmdb = shim_is_lmdb(caller);
    if (lmdb && strike_forever && (class == SHIM_EINTR || class == SHIM_SHORT))
        return false;
    seen++;
    if (!is_turn())
        return false;
    report.by_lmdb = report.by_lmdb || lmdb;
    if (report.struck++ == 0) {
        shim_armed = false; /* what follows here is none of the store's */
        report.call = call;
        note_file(fd, name);
        report.depth = backtrace(report.where, SHIM_DEPTH);
        shim_armed = true;
    }
    return true;
}

void shim_note_failure(int failure)
{
    size_t i = 0;
    while (i < SHIM_FAILURES && report.failures[i] != 0 && report.failures[i] != failure)
        i++;
    if (i < SHIM_FAILURES)
        report.failures[i] = failure;
    errno = failure;
}

void shim_note_frame(void)
{
    report.frame_begun = true;
}

void shim_note_removal(void)
{
    report.of_removal = true;
}
