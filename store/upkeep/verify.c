#include "upkeep/verify_internal.h"

#include "log/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_MOST_FINDINGS = 100 };

static const char *const invariant_names[INVARIANT_COUNT] = {
#define VERIFY_NAME(name) #name,
    VERIFY_INVARIANTS(VERIFY_NAME)
#undef VERIFY_NAME
};

static int stopped(struct verify *v)
{
    return ehi_fail(v->error, ECSHIST_END, "stopped");
}

int verify_finding(struct verify *v, enum invariant broken, struct verify_at at, const char *format,
                   ...)
{
    uint32_t most = v->options->most_findings;
    v->result.finding_count++;
    v->counts[broken]++;
    if (v->on_finding == NULL || v->counts[broken] > (most != 0 ? most : DEFAULT_MOST_FINDINGS))
        return ECSHIST_OK;
    char text[3072]; /* two ARNs, and words */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct ecshist_finding finding = {
        sizeof(finding), invariant_names[broken], at.segment, at.offset, at.seq, text};
    return v->on_finding(v->context, &finding) ? ECSHIST_OK : stopped(v);
}

int verify_progress(struct verify *v, uint64_t more)
{
    v->done += more;
    if (v->options->progress == NULL)
        return ECSHIST_OK;
    uint64_t done = v->done < v->total ? v->done : v->total;
    return v->options->progress(v->options->progress_context, done, v->total) ? ECSHIST_OK
                                                                              : stopped(v);
}

bool verify_quick(const struct verify *v)
{
    return (v->options->flags & ECSHIST_VERIFY_QUICK) != 0;
}

void *verify_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    size_t larger = *capacity == 0 ? 16 : *capacity + *capacity / 2;
    void *grown = realloc(items, larger * size);
    if (grown != NULL)
        *capacity = larger;
    return grown;
}

/* -- the store's directories ------------------------------------------------------------------- */

static int open_dirs(struct verify *v)
{
    v->dir_fd = ehi_sys_open_dir(v->path);
    if (v->dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return ehi_fail(v->error, ECSHIST_NO_STORE, "there is no store at %s", v->path);
    if (v->dir_fd < 0)
        return ehi_fail_errno(v->error, ECSHIST_IO, "opening %s", v->path);
    v->log_fd = ehi_sys_open(v->dir_fd, "log", O_RDONLY | O_DIRECTORY);
    if (v->log_fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return ehi_fail(v->error, ECSHIST_NO_STORE, "%s is not a store: it has no directory log",
                        v->path);
    if (v->log_fd < 0)
        return ehi_fail_errno(v->error, ECSHIST_IO, "opening %s/log", v->path);
    return ECSHIST_OK;
}

/* Bytes of the log; each is gone over twice where the events are folded too. */
static void estimate(struct verify *v)
{
    for (size_t i = 0; i < v->segment_count; i++) {
        char name[32];
        struct stat status;
        snprintf(name, sizeof(name), "%020llu.seg", (unsigned long long)v->segments[i].first_seq);
        if (fstatat(v->log_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            v->total += (uint64_t)status.st_size;
    }
    if (!verify_quick(v))
        v->total *= 2;
}

/* The snapshot is taken before the log is read: then the log has all that the index has. */
static int start_index(struct verify *v)
{
    struct verify_message message;
    v->limit = UINT64_MAX;
    if (verify_quick(v) || !v->has_store_id)
        return ECSHIST_OK;
    int rc = verify_index_start(v);
    if (rc == ECSHIST_OK)
        rc = verify_index_next(v, &message);
    if (rc != ECSHIST_OK || message.kind != MESSAGE_HEAD || message.length != sizeof(v->head))
        return rc;
    memcpy(&v->head, message.bytes, sizeof(v->head));
    v->has_head = true;
    v->limit = v->head.next_seq;
    return ECSHIST_OK;
}

static int run(struct verify *v)
{
    int rc = open_dirs(v);
    if (rc == ECSHIST_OK)
        rc = verify_list(v);
    if (rc != ECSHIST_OK)
        return rc;
    rc = start_index(v);
    if (rc == ECSHIST_OK)
        rc = verify_list(v); /* anew: segments may have begun before the snapshot was taken */
    if (rc != ECSHIST_OK)
        return rc;
    estimate(v);
    rc = verify_log(v);
    if (rc == ECSHIST_OK && !verify_quick(v) && !v->events_lost)
        rc = verify_views(v);
    return rc == ECSHIST_OK ? verify_progress(v, v->total - (v->done < v->total ? v->done : 0))
                            : rc;
}

static void release(struct verify *v)
{
    verify_index_stop(v->index);
    for (size_t i = 0; i < v->segment_count; i++)
        ehi_sys_close(v->segments[i].fd);
    ehi_sys_close(v->spare_fd);
    ehi_sys_close(v->log_fd);
    ehi_sys_close(v->dir_fd);
    verify_services_free(v->services);
    verify_tables_free(v->tables);
    ehi_arena_free(&v->arena);
    free(v->segments);
    free(v->places.items);
    free(v->expiries.items);
    free(v->expired);
    free(v->restated);
}

int ehi_verify(const char *path, const struct ecshist_verify_options *options,
               ecshist_finding_fn on_finding, void *context, struct ecshist_verify_result *result,
               struct ecshist_error *error)
{
    struct ecshist_error own = ECSHIST_ERROR_INIT;
    struct verify v = {.path = path,
                       .options = options,
                       .on_finding = on_finding,
                       .context = context,
                       .error = error != NULL ? error : &own,
                       .result = *result,
                       .dir_fd = -1,
                       .log_fd = -1,
                       .spare_fd = -1};
    int rc = run(&v);
    if (rc == ECSHIST_OK)
        *result = v.result;
    release(&v);
    return rc;
}
