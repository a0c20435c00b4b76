#include "peer.h"

#include "util.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

enum { MOST_EVENTS = 10000, TABLE_SIZE = 32768 };

struct entry {
    struct row row;
    bool fresh, changed;
};

struct peer_batch {
    struct entry *entries; /* MOST_EVENTS; the memory of those that were never used is not there */
    size_t count;
    uint16_t table[TABLE_SIZE]; /* place in entries, 1 and up; 0: free */
};

struct peer_batch *peer_batch_new(void)
{
    struct peer_batch *batch = must(calloc(1, sizeof(*batch)));
    batch->entries = must(calloc(MOST_EVENTS, sizeof(*batch->entries)));
    return batch;
}

void peer_batch_free(struct peer_batch *batch)
{
    if (batch == NULL)
        return;
    free(batch->entries);
    free(batch);
}

/* Where in the table a subject is, or would be. Small batches use a small part of it. */
static uint16_t *find(struct peer_batch *batch, const struct item *item, size_t mask)
{
    size_t at = XXH3_64bits(item->subject, item->subject_length) & mask;
    while (batch->table[at] != 0 &&
           strcmp(batch->entries[batch->table[at] - 1].row.text[ROW_ARN], item->subject) != 0)
        at = (at + 1) & mask;
    return &batch->table[at];
}

static struct entry *take(const struct peer_calls *calls, void *session, struct peer_batch *batch,
                          const struct item *item, size_t mask)
{
    uint16_t *place = find(batch, item, mask);
    if (*place != 0)
        return &batch->entries[*place - 1];
    struct entry *entry = &batch->entries[batch->count++];
    *place = (uint16_t)batch->count;
    entry->changed = false;
    entry->fresh = !calls->load(session, item, &entry->row);
    if (entry->fresh)
        row_begin(&entry->row, item, 0);
    return entry;
}

size_t peer_append(const struct peer_calls *calls, void *session, struct peer_batch *batch,
                   const struct item *items, size_t count)
{
    size_t mask = 1, duplicates = 0;
    if (count > MOST_EVENTS)
        fail("%s: %zu events are too many", calls->name, count);
    while (mask < 2 * count)
        mask *= 2;
    memset(batch->table, 0, mask * sizeof(*batch->table));
    batch->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = take(calls, session, batch, &items[i], mask - 1);
        int64_t seq = calls->put_event(session, &items[i], entry->row.n.id);
        if (seq == 0) {
            duplicates++;
            continue;
        }
        if (entry->row.n.id == 0)
            entry->row.n.id = seq;
        if (!row_fold(&entry->row, &items[i], seq))
            fail("%s: event %s of %s does not fit", calls->name, items[i].id, items[i].subject);
        entry->changed = true;
    }
    for (size_t i = 0; i < batch->count; i++)
        if (batch->entries[i].changed)
            calls->put_row(session, &batch->entries[i].row, batch->entries[i].fresh);
    return duplicates;
}

void put_be64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

uint64_t get_be64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Seq, times, type, the lengths, then subject, id and body. */
size_t event_encode(const struct item *item, int64_t seq, int64_t recorded_at,
                    uint8_t out[EVENT_BYTES])
{
    uint8_t *at = out;
    int64_t numbers[3] = {seq, recorded_at, item->time_us};
    uint16_t sizes[4] = {(uint16_t)item->type, (uint16_t)item->subject_length,
                         (uint16_t)item->id_length, (uint16_t)item->body_length};
    memcpy(at, numbers, sizeof(numbers));
    at += sizeof(numbers);
    memcpy(at, sizes, sizeof(sizes));
    at += sizeof(sizes);
    memcpy(at, item->subject, item->subject_length);
    at += item->subject_length;
    memcpy(at, item->id, item->id_length);
    at += item->id_length;
    memcpy(at, item->body, item->body_length);
    return (size_t)(at + item->body_length - out);
}

int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
