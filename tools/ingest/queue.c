#include "ingest/queue.h"

#include <stdlib.h>
#include <string.h>

bool ingest_queue_begin(struct ingest_queue *queue, size_t lines)
{
    memset(queue, 0, sizeof(*queue));
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->changed, NULL);
    for (size_t i = 0; i < INGEST_QUEUE_LENGTH; i++) {
        queue->ring[i].lines = calloc(lines, sizeof(*queue->ring[i].lines));
        if (queue->ring[i].lines == NULL) {
            ingest_queue_end(queue);
            return false;
        }
    }
    return true;
}

static void empty_batch(struct ingest_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        ecshist_event_free(batch->lines[i].event);
        free(batch->lines[i].refusal);
    }
    batch->count = 0;
    batch->text_bytes = 0;
    batch->parsed = false;
    batch->passed_over = 0;
}

void ingest_queue_end(struct ingest_queue *queue)
{
    for (size_t i = 0; i < INGEST_QUEUE_LENGTH; i++) {
        empty_batch(&queue->ring[i]);
        free(queue->ring[i].lines);
        free(queue->ring[i].text);
    }
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
}

static struct ingest_batch *last_room(struct ingest_queue *queue)
{
    return &queue->ring[(queue->first + queue->filled) % INGEST_QUEUE_LENGTH];
}

struct ingest_batch *ingest_queue_room(struct ingest_queue *queue)
{
    struct ingest_batch *batch = NULL;

    pthread_mutex_lock(&queue->lock);
    while (queue->filled == INGEST_QUEUE_LENGTH && !queue->abandoned) {
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
    if (!queue->abandoned) {
        batch = last_room(queue);
    }
    pthread_mutex_unlock(&queue->lock);
    if (batch != NULL) {
        empty_batch(batch);
    }
    return batch;
}

void ingest_queue_put(struct ingest_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    last_room(queue)->parsed = true;
    queue->filled++;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

bool ingest_queue_put_unparsed(struct ingest_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool idle = queue->unparsed == NULL;
    if (idle) {
        queue->unparsed = last_room(queue);
        queue->filled++;
        pthread_cond_broadcast(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    return idle;
}

struct ingest_batch *ingest_queue_unparsed(struct ingest_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->unparsed == NULL && !queue->ended && !queue->abandoned) {
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
    struct ingest_batch *batch = queue->unparsed;
    pthread_mutex_unlock(&queue->lock);
    return batch;
}

void ingest_queue_parsed(struct ingest_queue *queue, struct ingest_batch *batch)
{
    pthread_mutex_lock(&queue->lock);
    batch->parsed = true;
    queue->unparsed = NULL;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

void ingest_queue_close(struct ingest_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->ended = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

struct ingest_batch *ingest_queue_next(struct ingest_queue *queue)
{
    struct ingest_batch *batch = NULL;

    pthread_mutex_lock(&queue->lock);
    while (queue->filled == 0 ? !queue->ended : !queue->ring[queue->first].parsed) {
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
    if (queue->filled > 0) {
        batch = &queue->ring[queue->first];
    }
    pthread_mutex_unlock(&queue->lock);
    return batch;
}

void ingest_queue_release(struct ingest_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->first = (queue->first + 1) % INGEST_QUEUE_LENGTH;
    queue->filled--;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

void ingest_queue_abandon(struct ingest_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->abandoned = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}
