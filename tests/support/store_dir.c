#include "support/store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned store_dir_segment_bytes = ECSHIST_MIN_SEGMENT_BYTES;

static void give_up(const char *what, const char *path)
{
    fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    abort();
}

void store_must(int rc, const char *what, const struct ecshist_error *error)
{
    if (rc == ECSHIST_OK)
        return;
    fprintf(stderr, "%s: %s: %s %s\n", what, ecshist_code_name(rc), error->place, error->message);
    abort();
}

/* -- directories ------------------------------------------------------------------------------- */

char *store_dir_path(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        abort();
    return path;
}

char *store_dir_new_in(const char *where)
{
    char *path = store_dir_path(where, "ecshist-test-XXXXXX");
    if (mkdtemp(path) == NULL)
        give_up("making", path);
    return path;
}

char *store_dir_new(void)
{
    const char *where = getenv("TMPDIR");
    return store_dir_new_in(where != NULL && where[0] != '\0' ? where : "/tmp");
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    if (remove(path) != 0 && errno != ENOENT)
        give_up("removing", path);
    return 0;
}

void store_dir_unlink(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void store_dir_remove(char *dir)
{
    store_dir_unlink(dir);
    free(dir);
}

unsigned char *store_dir_read(const char *path, size_t *length)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        give_up("opening", path);
    unsigned char *data = malloc((size_t)status.st_size + 1);
    if (data == NULL || read(fd, data, (size_t)status.st_size) != status.st_size)
        give_up("reading", path);
    close(fd);
    *length = (size_t)status.st_size;
    return data;
}

void store_dir_write(const char *path, size_t offset, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || pwrite(fd, data, length, (off_t)offset) != (ssize_t)length)
        give_up("writing", path);
    close(fd);
}

/* nftw has no context. */
static const char *copy_from, *copy_to;

static int copy_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)place;
    char *to;
    if (asprintf(&to, "%s%s", copy_to, path + strlen(copy_from)) < 0)
        abort();
    if (kind == FTW_D) {
        if (mkdir(to, status->st_mode & 0777) != 0 && errno != EEXIST)
            give_up("making", to);
    } else {
        size_t length;
        unsigned char *data = store_dir_read(path, &length);
        store_dir_write(to, 0, data, length);
        if (truncate(to, (off_t)length) != 0)
            give_up("cutting", to);
        free(data);
    }
    free(to);
    return 0;
}

void store_dir_copy(const char *from, const char *to)
{
    copy_from = from;
    copy_to = to;
    if (nftw(from, copy_entry, 16, FTW_PHYS) != 0)
        give_up("copying", from);
}

static char *segment_at(const char *store_path, bool newest)
{
    char *pattern = store_dir_path(store_path, "log/*.seg");
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc == 0)
        give_up("looking for segments in", store_path);
    char *path = strdup(found.gl_pathv[newest ? found.gl_pathc - 1 : 0]);
    if (path == NULL)
        abort();
    globfree(&found);
    free(pattern);
    return path;
}

char *store_dir_newest_segment(const char *store_path)
{
    return segment_at(store_path, true);
}

char *store_dir_oldest_segment(const char *store_path)
{
    return segment_at(store_path, false);
}

/* -- stores ------------------------------------------------------------------------------------ */

ecshist_store *store_dir_open_with(const char *path, unsigned flags)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    options.flags = flags;
    options.segment_bytes = store_dir_segment_bytes;
    options.map_bytes = 32u << 20;
    ecshist_store *store = NULL;
    store_must(ecshist_open(path, &options, &store, &error), path, &error);
    return store;
}

ecshist_store *store_dir_open(const char *path)
{
    return store_dir_open_with(path, ECSHIST_OPEN_CREATE);
}

/* -- events ------------------------------------------------------------------------------------ */

static ecshist_event *event_from(const char *format, va_list args) ECSHIST_PRINTF(1, 0);

static ecshist_event *event_from(const char *format, va_list args)
{
    char *json;
    int length = vasprintf(&json, format, args);
    if (length < 0)
        abort();
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_event *event = NULL;
    store_must(ecshist_event_from_json(json, (size_t)length, &event, &error), json, &error);
    free(json);
    return event;
}

ecshist_event *store_event(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ecshist_event *event = event_from(format, args);
    va_end(args);
    return event;
}

static int append_event(ecshist_store *store, ecshist_event *event, unsigned flags,
                        struct ecshist_append_result *result, struct ecshist_error *error)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = flags;
    const ecshist_event *events[1] = {event};
    int rc = ecshist_append(store, events, 1, &options, result, error);
    ecshist_event_free(event);
    return rc;
}

int store_append(ecshist_store *store, unsigned flags, struct ecshist_append_result *result,
                 const char *format, ...)
{
    struct ecshist_append_result own = ECSHIST_APPEND_RESULT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    va_list args;
    va_start(args, format);
    int rc = append_event(store, event_from(format, args), flags, result != NULL ? result : &own,
                          &error);
    va_end(args);
    return rc;
}

uint64_t store_must_append(ecshist_store *store, const char *format, ...)
{
    struct ecshist_append_result result = ECSHIST_APPEND_RESULT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    va_list args;
    va_start(args, format);
    store_must(append_event(store, event_from(format, args), 0, &result, &error), format, &error);
    va_end(args);
    if (result.outcome != ECSHIST_OUTCOME_APPENDED) {
        fprintf(stderr, "outcome %d of %s\n", (int)result.outcome, format);
        abort();
    }
    return result.seq;
}
