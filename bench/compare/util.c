#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char work[2048];
static pid_t work_owner; /* a forked child does not remove it */

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench_compare: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    work_end();
    _exit(1);
}

void *must(void *pointer)
{
    if (pointer == NULL)
        fail("out of memory");
    return pointer;
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t random_u64(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

uint32_t percentile(uint32_t *values, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), compare_u32);
    size_t at = (size_t)((double)count * share);
    return values[at < count ? at : count - 1];
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(const double *values, size_t count)
{
    double sorted[64];
    if (count == 0)
        return 0;
    if (count > 64)
        count = 64;
    memcpy(sorted, values, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_double);
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

void work_begin(const char *parent)
{
    snprintf(work, sizeof(work), "%s/bench_compare.XXXXXX", parent != NULL ? parent : "/var/tmp");
    if (mkdtemp(work) == NULL) {
        char path[sizeof(work)];
        memcpy(path, work, sizeof(path));
        work[0] = '\0';
        fail("%s: %s", path, strerror(errno));
    }
    work_owner = getpid();
}

void work_end(void)
{
    if (work[0] == '\0' || work_owner != getpid())
        return;
    char path[sizeof(work)];
    memcpy(path, work, sizeof(path));
    work[0] = '\0'; /* fail() within what follows comes here again */
    remove_tree(path);
}

const char *work_dir(void)
{
    return work;
}

char *work_path(char out[4096], const char *name)
{
    snprintf(out, 4096, "%s/%s", work, name);
    return out;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *at)
{
    (void)status, (void)flag, (void)at;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

void remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        fail("cannot remove %s: %s", path, strerror(errno));
}

void make_dir(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        fail("%s: %s", path, strerror(errno));
}

static struct tree_size sum;

static int add_one(const char *path, const struct stat *status, int flag, struct FTW *at)
{
    (void)path, (void)at;
    if (flag == FTW_F) {
        sum.apparent += (uint64_t)status->st_size;
        sum.allocated += (uint64_t)status->st_blocks * 512;
    }
    return 0;
}

struct tree_size tree_size(const char *path)
{
    sum = (struct tree_size){0, 0};
    nftw(path, add_one, 16, FTW_PHYS);
    return sum;
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* Until the threads that engines have for later do nothing for a moment. */
static void wait_for_threads(void)
{
    enum { MOMENT_NS = 10000000, QUIET_NS = 1000000, MOST_MOMENTS = 1000 };
    static const struct timespec moment = {0, MOMENT_NS};
    for (int i = 0; i < MOST_MOMENTS; i++) {
        uint64_t from = cpu_ns();
        (void)nanosleep(&moment, NULL);
        if (cpu_ns() - from < QUIET_NS)
            return;
    }
}

void settle(void)
{
    wait_for_threads();
    int fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0 || close(fd) != 0)
        fail("%s: %s", work, strerror(errno));
}

uint64_t rss_anon(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "RssAnon: %" SCNu64, &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib;
}
