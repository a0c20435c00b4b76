#include "ingest/reader.h"

#include "common/stop.h"

#include <ecshist/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 262144u
/* A line of the greatest length with its "\r\n", and a read behind it. */
#define BUFFER_BYTES (ECSHIST_MAX_JSON_BYTES + 2 + READ_BYTES)

struct reader {
    const struct ingest_input *input;
    struct ingest_batch *batch; /* being filled; NULL: the queue was abandoned */
    uint64_t bytes_read;        /* of all files */
    bool stopped;

    /* The file being read. */
    const char *name;
    int fd;
    bool regular;
    uint64_t number; /* of the last line taken */
    bool skipping;   /* the rest of a line that is too long */
    char *buffer;
    size_t begin, end; /* what was read and not taken */
    size_t searched;   /* no newline before this */
};

const char *ingest_shown_name(const char *file)
{
    return strcmp(file, "-") == 0 ? "<stdin>" : file;
}

/* "place: reason"; NULL where memory is out: then it is refused without a reason. */
static char *refusal_text(const char *place, const char *reason)
{
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", place, place[0] != '\0' ? ": " : "", reason) < 0) {
        return NULL;
    }
    return text;
}

/* What only the store writes; a dump has it, and feeding a dump is not a mistake. */
static bool is_stores_own(const struct ecshist_error *error)
{
    static const char type[] = "history-expired";

    return error->code == ECSHIST_INVALID && strcmp(error->place, "type") == 0 &&
           strncmp(error->message, type, sizeof(type) - 1) == 0;
}

/* False: the line is passed over. The error is filled only where the line is no event. */
static bool parse_line(const struct ingest_batch *batch, struct ingest_line *line,
                       struct ecshist_error *error)
{
    if (line->refused || ecshist_event_from_json(batch->text + line->start, line->length,
                                                 &line->event, error) == ECSHIST_OK) {
        return true;
    }
    if (is_stores_own(error)) {
        return false;
    }
    line->refused = true;
    line->refusal = refusal_text(error->place, error->message);
    return true;
}

/* Lines become events. stop_on_error: none behind the first that does not. True: all did. */
static bool parse_batch(struct ingest_batch *batch, bool stop_on_error)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    size_t kept = 0, count = batch->count;
    bool whole = true;

    for (size_t i = 0; i < count && (whole || !stop_on_error); i++) {
        struct ingest_line *line = &batch->lines[i];

        if (!parse_line(batch, line, &error)) {
            batch->passed_over++;
            continue;
        }
        whole &= !line->refused;
        if (kept != i) {
            batch->lines[kept] = *line;
        }
        kept++;
    }
    batch->count = kept;
    return whole;
}

void *ingest_parse_all(void *argument)
{
    struct ingest_queue *queue = argument;
    struct ingest_batch *batch = ingest_queue_unparsed(queue);

    while (batch != NULL) {
        (void)parse_batch(batch, false);
        ingest_queue_parsed(queue, batch);
        batch = ingest_queue_unparsed(queue);
    }
    return NULL;
}

static void put_batch(struct reader *reader)
{
    const struct ingest_input *input = reader->input;

    reader->batch->bytes_read = reader->bytes_read;
    if (input->stop_on_error || !ingest_queue_put_unparsed(input->queue)) {
        bool whole = parse_batch(reader->batch, input->stop_on_error);
        reader->stopped |= !whole && input->stop_on_error;
        ingest_queue_put(input->queue);
    }
    reader->batch = ingest_queue_room(input->queue);
    reader->stopped |= reader->batch == NULL;
}

static void add_line(struct reader *reader, const struct ingest_line *line)
{
    struct ingest_batch *batch = reader->batch;

    batch->lines[batch->count] = *line;
    batch->count++;
    if (batch->count == reader->input->batch_lines ||
        batch->text_bytes >= INGEST_BATCH_TEXT_BYTES) {
        put_batch(reader);
    }
}

/* A line that is no event, or with number 0 the file itself. */
static void refuse(struct reader *reader, uint64_t number, const char *reason)
{
    struct ingest_line line = {.refusal = refusal_text("", reason),
                               .refused = true,
                               .file = reader->name,
                               .number = number};

    add_line(reader, &line);
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* Room for the line's text in the batch, which outlives what was read. */
static bool reserve_text(struct ingest_batch *batch, size_t length)
{
    size_t capacity = batch->text_capacity == 0 ? READ_BYTES : batch->text_capacity;

    while (capacity - batch->text_bytes < length) {
        capacity *= 2;
    }
    if (capacity != batch->text_capacity) {
        char *text = realloc(batch->text, capacity);

        if (text == NULL) {
            return false;
        }
        batch->text = text;
        batch->text_capacity = capacity;
    }
    return true;
}

static void take_line(struct reader *reader, const char *text, size_t length)
{
    struct ingest_batch *batch = reader->batch;
    struct ingest_line line = {.file = reader->name};

    line.number = ++reader->number;
    if (length > 0 && text[length - 1] == '\r') {
        length--;
    }
    if (is_blank(text, length)) {
        refuse(reader, line.number, "empty line");
        return;
    }
    if (!reserve_text(batch, length)) {
        refuse(reader, line.number, strerror(ENOMEM));
        return;
    }
    line.start = batch->text_bytes;
    line.length = length;
    memcpy(batch->text + line.start, text, length);
    batch->text_bytes += length;
    add_line(reader, &line);
}

static void take_too_long(struct reader *reader)
{
    char reason[96];

    snprintf(reason, sizeof(reason), "the line is longer than %u bytes (ECSHIST_MAX_JSON_BYTES)",
             ECSHIST_MAX_JSON_BYTES);
    reader->number++;
    refuse(reader, reader->number, reason);
    reader->skipping = true;
    reader->begin = reader->searched = reader->end;
}

/* Takes every whole line of the buffer. */
static void take_lines(struct reader *reader)
{
    while (!reader->stopped) {
        char *newline =
            memchr(reader->buffer + reader->searched, '\n', reader->end - reader->searched);
        const char *line = reader->buffer + reader->begin;

        if (newline == NULL) {
            reader->searched = reader->end;
            return;
        }
        reader->begin = reader->searched = (size_t)(newline + 1 - reader->buffer);
        if (reader->skipping) {
            reader->skipping = false;
        } else {
            take_line(reader, line, (size_t)(newline - line));
        }
    }
}

static void make_room(struct reader *reader)
{
    if (reader->skipping) {
        reader->begin = reader->end;
    }
    if (reader->end - reader->begin > ECSHIST_MAX_JSON_BYTES + 1) {
        take_too_long(reader);
    }
    memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->searched = reader->end;
    reader->begin = 0;
}

/*
 * Waits for input, or for a stop. Where none is there at once, what was read so far is not held back
 * for the batch to be full: `tail -f | ecshist-ingest` is prompt.
 */
static void wait_for_input(struct reader *reader)
{
    struct pollfd waited[2] = {{reader->fd, POLLIN, 0}, {tool_stop_descriptor(), POLLIN, 0}};
    int ready = poll(waited, 2, 0);

    if (ready == 0 && reader->batch->count > 0) {
        put_batch(reader);
    }
    while (ready == 0 || (ready < 0 && errno == EINTR)) {
        ready = poll(waited, 2, -1);
    }
    reader->stopped |= tool_stop_asked();
}

/* One read. False: the end of the file, or its failure. */
static bool read_more(struct reader *reader)
{
    ssize_t got;

    make_room(reader);
    if (!reader->regular && !reader->stopped) {
        wait_for_input(reader);
    }
    if (reader->stopped || tool_stop_asked()) {
        reader->stopped = true;
        return false;
    }
    do {
        got = read(reader->fd, reader->buffer + reader->end, READ_BYTES);
    } while (got < 0 && errno == EINTR && !tool_stop_asked());
    if (got < 0) {
        refuse(reader, 0, strerror(errno));
        return false;
    }
    reader->end += (size_t)got;
    reader->bytes_read += (uint64_t)got;
    return got > 0;
}

static void read_file(struct reader *reader, const char *file)
{
    struct stat status;
    bool is_stdin = strcmp(file, "-") == 0;

    reader->name = ingest_shown_name(file);
    reader->number = 0;
    reader->begin = reader->end = reader->searched = 0;
    reader->skipping = false;
    reader->fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0 || fstat(reader->fd, &status) != 0) {
        refuse(reader, 0, strerror(errno));
        return;
    }
    reader->regular = S_ISREG(status.st_mode);
    while (read_more(reader)) {
        take_lines(reader);
    }
    if (!reader->stopped && !reader->skipping && reader->end > reader->begin) {
        take_line(reader, reader->buffer + reader->begin, reader->end - reader->begin);
    }
    if (!is_stdin) {
        close(reader->fd);
    }
}

void *ingest_read_all(void *argument)
{
    struct reader reader = {.input = argument};

    reader.batch = ingest_queue_room(reader.input->queue);
    reader.buffer = malloc(BUFFER_BYTES);
    if (reader.buffer == NULL) {
        reader.name = "memory";
        refuse(&reader, 0, strerror(ENOMEM));
        reader.stopped = true;
    }
    for (size_t i = 0; i < reader.input->files.count && !reader.stopped; i++) {
        read_file(&reader, reader.input->files.items[i]);
    }
    if (reader.batch != NULL) {
        put_batch(&reader);
    }
    ingest_queue_close(reader.input->queue);
    free(reader.buffer);
    return NULL;
}
