/* Files into lines, lines into events, events into batches: a thread of its own. */
#ifndef INGEST_READER_H
#define INGEST_READER_H

#include "common/options.h"
#include "ingest/queue.h"

struct ingest_input {
    struct tool_list files; /* "-": standard input */
    size_t batch_lines;
    bool stop_on_error; /* reads no further than the first line that is refused */
    struct ingest_queue *queue;
};

/* For pthread_create; takes a struct ingest_input. Ends when all is read, or a stop is asked for. */
void *ingest_read_all(void *input);

/* The second thread's: parses what the reader leaves to it. For pthread_create; takes a struct ingest_queue. */
void *ingest_parse_all(void *queue);

/* How a file is named to the user. */
const char *ingest_shown_name(const char *file);

#endif
