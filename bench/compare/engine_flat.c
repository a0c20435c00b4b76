/*
 * A flat file, the floor: the events' bytes at the end of a file that was filled with zeros ahead,
 * and a flush of the data alone. No idempotency, no views, no lists, no checksums.
 */
#include "engine.h"
#include "peer.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AHEAD = 64 << 20, ROOM = 10000 * EVENT_BYTES };

struct store {
    int fd;
    off_t at, filled;
    int64_t seq;
    pthread_mutex_t lock;
};

struct session {
    struct store *store;
    uint8_t *buffer;
};

static void fill(struct store *s)
{
    enum { STEP = 1 << 20 };
    uint8_t *zeros = must(calloc(1, STEP));
    for (off_t i = 0; i < AHEAD; i += STEP)
        if (pwrite(s->fd, zeros, STEP, s->filled + i) != STEP)
            fail("flat: %s", strerror(errno));
    if (fsync(s->fd) != 0)
        fail("flat: %s", strerror(errno));
    s->filled += AHEAD;
    free(zeros);
}

/* Always new: nothing is read back. */
static void *store_open(const char *dir)
{
    char path[4096];
    struct store *s = must(calloc(1, sizeof(*s)));
    make_dir(dir);
    snprintf(path, sizeof(path), "%s/events", dir);
    s->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->fd < 0)
        fail("flat: %s: %s", path, strerror(errno));
    pthread_mutex_init(&s->lock, NULL);
    fill(s);
    return s;
}

static void store_close(void *store)
{
    struct store *s = store;
    if (ftruncate(s->fd, s->at) != 0 || close(s->fd) != 0)
        fail("flat: %s", strerror(errno));
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void *attach(void *store, bool to_write)
{
    struct session *s = must(calloc(1, sizeof(*s)));
    (void)to_write;
    s->store = store;
    s->buffer = must(malloc(ROOM));
    return s;
}

static void detach(void *session)
{
    struct session *s = session;
    free(s->buffer);
    free(s);
}

static size_t append(void *session, const struct item *items, size_t count)
{
    struct session *s = session;
    struct store *store = s->store;
    size_t length = 0;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < count; i++)
        length += event_encode(&items[i], ++store->seq, now_us(), s->buffer + length);
    while (store->at + (off_t)length > store->filled)
        fill(store);
    if (pwrite(store->fd, s->buffer, length, store->at) != (ssize_t)length ||
        fdatasync(store->fd) != 0)
        fail("flat: %s", strerror(errno));
    store->at += (off_t)length;
    pthread_mutex_unlock(&store->lock);
    return 0;
}

static const char *version(void)
{
    return "";
}

const struct engine engine_flat = {
    .name = "flat",
    .title = "flat file",
    .settings = "one file, filled with zeros 64 MiB ahead; a pwrite and an fdatasync an append, "
                "under a mutex",
    .leaves_out = "all but the events' bytes: idempotency, views, lists, reads",
    .version = version,
    .open = store_open,
    .close = store_close,
    .attach = attach,
    .detach = detach,
    .append = append,
};
