/*
 * Batches on their way from the thread that reads to the one that appends: a ring of a few. Parsing is
 * what costs most: a second thread parses one batch while the reader parses the next.
 */
#ifndef INGEST_QUEUE_H
#define INGEST_QUEUE_H

#include <ecshist/event.h>
#include <ecshist/limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INGEST_QUEUE_LENGTH 4
/* A batch ends here, too: well below ECSHIST_MAX_BATCH_BYTES, with room for one more line of the greatest length. */
#define INGEST_BATCH_TEXT_BYTES (ECSHIST_MAX_BATCH_BYTES / 2)

/* A line: at first its text, then an event, or why it is none. */
struct ingest_line {
    ecshist_event *event;
    char *refusal;    /* "place: reason"; NULL where there is an event */
    bool refused;     /* without an event for good; the refusal may be NULL where memory is out */
    const char *file; /* as it is shown */
    uint64_t number;  /* from 1; 0: about the file, not a line of it */
    size_t start, length; /* in the batch's text */
};

struct ingest_batch {
    struct ingest_line *lines;
    size_t count;
    char *text; /* of the lines, one behind the other */
    size_t text_bytes, text_capacity;
    bool parsed;
    uint64_t bytes_read;  /* of all input, up to the end of this batch */
    uint64_t passed_over; /* lines that are no events: the store's own */
};

struct ingest_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ingest_batch ring[INGEST_QUEUE_LENGTH];
    size_t first, filled;
    struct ingest_batch
        *unparsed;  /* put for the second thread to parse; NULL: it has nothing to do */
    bool ended;     /* nothing more will be put */
    bool abandoned; /* nothing more will be taken */
};

/* Room for `lines` lines a batch. False: out of memory. */
bool ingest_queue_begin(struct ingest_queue *queue, size_t lines);
/* Frees all, events that nobody took included. */
void ingest_queue_end(struct ingest_queue *queue);

/*
 * For the one that fills: an empty batch, waited for. NULL: abandoned. It is emptied here and not by the one that appends,
 * which has the most to do.
 */
struct ingest_batch *ingest_queue_room(struct ingest_queue *queue);
/* Hands over the batch that ingest_queue_room gave last, parsed. */
void ingest_queue_put(struct ingest_queue *queue);
/* Hands it over to be parsed. False: the second thread is busy, nothing was done. */
bool ingest_queue_put_unparsed(struct ingest_queue *queue);
/* Says that there is no more. */
void ingest_queue_close(struct ingest_queue *queue);

/* For the second thread: the next batch to parse, waited for. NULL: there is no more. */
struct ingest_batch *ingest_queue_unparsed(struct ingest_queue *queue);
/* It is parsed. */
void ingest_queue_parsed(struct ingest_queue *queue, struct ingest_batch *batch);

/* For the one that empties: the next batch, waited for. NULL: there is no more. */
struct ingest_batch *ingest_queue_next(struct ingest_queue *queue);
/* Gives the batch that ingest_queue_next gave last back. */
void ingest_queue_release(struct ingest_queue *queue);
/* Says that no more is wanted. */
void ingest_queue_abandon(struct ingest_queue *queue);

#endif
