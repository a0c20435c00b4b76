#include "fold/ahead.h"

#include "fold/thread.h"

#include <stdlib.h>

/* The thread is ahead by so many blocks at the most; who has to wait for the other waits for half of them. */
enum { BLOCKS = 16, HALF = BLOCKS / 2, BLOCK_RECORDS = 256, BLOCK_BYTES = 128 << 10 };

struct block {
    struct ehi_arena arena; /* of the records, and their frames */
    size_t bytes;
    unsigned count;
    struct ehi_ahead_record records[BLOCK_RECORDS];
};

struct ehi_ahead {
    struct ehi_log *log;
    uint64_t last_seq, expired_seq;
    pthread_t thread;
    pthread_mutex_t mutex; /* of the fields to `cpu` */
    pthread_cond_t more, room;
    unsigned filled, emptied; /* blocks, since the start */
    bool ended;               /* no more are filled */
    bool stop;                /* no more are wanted */
    int cpu;                  /* the reader's */
    struct ehi_place place;   /* the thread's, until it has ended */
    const struct ehi_frame *frame;
    struct block *reading; /* the reader's: what he is given comes from it */
    unsigned given;        /* of its records */
    struct block blocks[BLOCKS];
};

/* -- the thread ---------------------------------------------------------------------------------- */

static bool may_have_expired(const struct ehi_ahead *a, const struct ehi_frame *frame)
{
    return frame->first_seq < a->expired_seq &&
           !ehi_log_cleaned(a->log, frame->segment, a->expired_seq);
}

/* false: the place is as it was. */
static bool next_frame(struct ehi_ahead *a)
{
    struct ehi_place next = a->place;
    enum ehi_verdict verdict;
    /* Behind what is visible a frame may stand that is not durable yet: it is not looked at. */
    if (next.position.next_seq > a->last_seq)
        return false;
    if (ehi_log_next(a->log, &next.position, &next.frame, &verdict, NULL) != ECSHIST_OK ||
        verdict != EHI_FRAME || may_have_expired(a, &next.frame))
        return false;
    next.rest = next.frame.payload;
    a->place = next;
    a->frame = NULL;
    return true;
}

/* The frame for those who are given its records: a copy in each block that has some. */
static const struct ehi_frame *frame_in(struct ehi_ahead *a, struct block *block)
{
    if (a->frame == NULL) {
        struct ehi_frame *copy = ehi_arena_alloc(&block->arena, sizeof(*copy));
        if (copy != NULL)
            *copy = a->place.frame;
        a->frame = copy;
    }
    return a->frame;
}

/* One record into the block. false: not by this thread. */
static bool add_record(struct ehi_ahead *a, struct block *block)
{
    struct ehi_ahead_record *out = &block->records[block->count];
    struct ehi_slice rest = a->place.rest;
    while (!ehi_stored_next(&rest, a->place.frame.compressed, &out->stored)) {
        if (!next_frame(a))
            return false;
        rest = a->place.rest;
    }
    if (out->stored.seq > a->last_seq ||
        ehi_log_expand(a->log, &a->place.frame, &out->stored, &block->arena, &out->record, NULL) !=
            ECSHIST_OK)
        return false;
    out->frame = frame_in(a, block);
    if (out->frame == NULL)
        return false;
    a->place.rest = rest;
    block->bytes += out->record.length;
    block->count++;
    return true;
}

static bool fill(struct ehi_ahead *a, struct block *block)
{
    bool more = true;
    ehi_arena_reset(&block->arena);
    a->frame = NULL;
    block->bytes = block->count = 0;
    while (more && block->count < BLOCK_RECORDS && block->bytes < BLOCK_BYTES)
        more = add_record(a, block);
    return more;
}

/* A block that may be filled. NULL: none is wanted. */
static struct block *take_empty(struct ehi_ahead *a, struct ehi_cpus *cpus)
{
    pthread_mutex_lock(&a->mutex);
    if (a->filled - a->emptied == BLOCKS) {
        while (a->filled - a->emptied > HALF && !a->stop)
            pthread_cond_wait(&a->room, &a->mutex);
    }
    struct block *block = a->stop ? NULL : &a->blocks[a->filled % BLOCKS];
    int cpu = a->cpu;
    pthread_mutex_unlock(&a->mutex);
    ehi_thread_keep_off(cpus, cpu);
    return block;
}

static void give(struct ehi_ahead *a, const struct block *block, bool more)
{
    pthread_mutex_lock(&a->mutex);
    a->filled += block->count != 0;
    a->ended = !more;
    if (a->ended || a->filled - a->emptied == HALF)
        pthread_cond_signal(&a->more);
    pthread_mutex_unlock(&a->mutex);
}

static void *read_ahead(void *context)
{
    struct ehi_ahead *a = context;
    struct ehi_cpus cpus = {0};
    struct block *block;
    bool more = true;
    while (more && (block = take_empty(a, &cpus)) != NULL) {
        more = fill(a, block);
        give(a, block, more);
    }
    return NULL;
}

/* -- the reader ---------------------------------------------------------------------------------- */

static void free_ahead(struct ehi_ahead *a)
{
    pthread_mutex_destroy(&a->mutex);
    pthread_cond_destroy(&a->more);
    pthread_cond_destroy(&a->room);
    for (int i = 0; i < BLOCKS; i++)
        ehi_arena_free(&a->blocks[i].arena);
    free(a);
}

struct ehi_ahead *ehi_ahead_start(struct ehi_log *log, const struct ehi_place *place,
                                  uint64_t last_seq, uint64_t expired_seq)
{
    struct ehi_ahead *a = ehi_thread_has_room() ? calloc(1, sizeof(*a)) : NULL;
    if (a == NULL)
        return NULL;
    a->log = log;
    a->place = *place;
    a->last_seq = last_seq;
    a->expired_seq = expired_seq;
    a->cpu = sched_getcpu();
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->more, NULL);
    pthread_cond_init(&a->room, NULL);
    if (ehi_thread_start(&a->thread, read_ahead, a))
        return a;
    free_ahead(a);
    return NULL;
}

/* The next block that is filled; what was given of the one before is not used any more. */
static struct block *take_filled(struct ehi_ahead *a)
{
    pthread_mutex_lock(&a->mutex);
    a->cpu = sched_getcpu();
    if (a->reading != NULL && a->filled - ++a->emptied == HALF)
        pthread_cond_signal(&a->room);
    if (a->filled == a->emptied) {
        while (a->filled - a->emptied < HALF && !a->ended)
            pthread_cond_wait(&a->more, &a->mutex);
    }
    struct block *block = a->filled == a->emptied ? NULL : &a->blocks[a->emptied % BLOCKS];
    pthread_mutex_unlock(&a->mutex);
    return block;
}

/* What another CPU has written takes a while to come. */
static void prefetch(const struct block *block, unsigned i)
{
    enum { LINE = 64, LINES = 5 };
    if (i >= block->count)
        return;
    for (unsigned line = 0; line < LINES; line++)
        __builtin_prefetch(block->records[i].record.data + line * LINE);
}

const struct ehi_ahead_record *ehi_ahead_next(struct ehi_ahead *a, struct ehi_place *place)
{
    enum { NEAR = 3 };
    if (a->reading == NULL || a->given == a->reading->count) {
        a->reading = take_filled(a);
        a->given = 0;
    }
    if (a->reading == NULL) {
        *place = a->place;
        return NULL;
    }
    prefetch(a->reading, a->given + NEAR);
    return &a->reading->records[a->given++];
}

void ehi_ahead_stop(struct ehi_ahead *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->mutex);
    a->stop = true;
    pthread_cond_signal(&a->room);
    pthread_mutex_unlock(&a->mutex);
    (void)pthread_join(a->thread, NULL);
    free_ahead(a);
}
