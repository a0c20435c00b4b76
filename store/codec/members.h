/*
 * Decoding typed members: each function reads one value at the cursor, and refuses it with a
 * sentence and its place where it is not what it must be. Between the files of codec/ only.
 */
#ifndef EHI_CODEC_MEMBERS_H
#define EHI_CODEC_MEMBERS_H

#include "base/arena.h"
#include "base/error.h"
#include "codec/cursor.h"
#include "codec/dictionary.h"
#include "codec/format.h"
#include "model/deployment.h"
#include "model/event.h"
#include "model/names.h"

struct ehi_reader {
    struct ehi_cursor cursor;
    struct ehi_arena *arena;
    const struct ehi_arn *subject; /* of the event; its kind is 0 where there is none */
    const uint8_t *member_start;   /* where the key of the member being read begins */
    struct ecshist_error *error;
};

/* Where a value stands: a member, or an item of a list, of what stands at `outer`. */
struct ehi_place {
    const struct ehi_place *outer; /* NULL: the event */
    int key;                       /* EHI_KEY_UNKNOWN: an item */
    uint32_t index;
};

/* The one place where an event is refused. Returns code. */
int ehi_refuse(struct ehi_reader *reader, const struct ehi_place *at, int code, const char *format,
               ...) ECSHIST_PRINTF(4, 5);
/* The same, of bytes that are no MessagePack at all. */
int ehi_refuse_malformed(struct ehi_reader *reader);

/* Reads one member's value into `into`: at->key says which member it is. */
typedef int (*ehi_member_fn)(struct ehi_reader *reader, const struct ehi_place *at, void *into);
/* The number of the next member's name, EHI_KEY_UNKNOWN where it has none. */
int ehi_read_key(struct ehi_reader *reader, int *number);
/* A map's head. */
int ehi_open_object_at(struct ehi_reader *reader, const struct ehi_place *at, uint32_t *out_count);
static inline int ehi_open_object(struct ehi_reader *reader, const struct ehi_place *at,
                                  uint32_t *out_count)
{
    if (ehi_cursor_small_map(&reader->cursor, out_count))
        return ECSHIST_OK;
    return ehi_open_object_at(reader, at, out_count);
}

/* The members of a map whose head has been read. Here, so that `member` needs no call by address. */
static inline int ehi_read_members(struct ehi_reader *reader, const struct ehi_place *at,
                                   uint32_t count, ehi_member_fn member, void *into)
{
    struct ehi_place here = {at, EHI_KEY_UNKNOWN, 0};
    for (uint32_t i = 0; i < count; i++) {
        reader->member_start = reader->cursor.next;
        int rc = ehi_cursor_small_key(&reader->cursor, &here.key) ? ECSHIST_OK
                                                                  : ehi_read_key(reader, &here.key);
        if (rc == ECSHIST_OK)
            rc = member(reader, &here, into);
        if (rc != ECSHIST_OK)
            return rc;
    }
    ehi_cursor_close(&reader->cursor);
    return ECSHIST_OK;
}

/* An object: `member` is called for each of its members. */
static inline int ehi_read_object(struct ehi_reader *reader, const struct ehi_place *at,
                                  ehi_member_fn member, void *into)
{
    uint32_t count;
    int rc = ehi_open_object(reader, at, &count);
    return rc == ECSHIST_OK ? ehi_read_members(reader, at, count, member, into) : rc;
}

/* A member that is of no interest. */
int ehi_read_past(struct ehi_reader *reader);

/* Members that are kept as they came. All zero at first. */
struct ehi_leftover;
struct ehi_leftovers {
    struct ehi_leftover *first, *last;
    uint32_t count;
    size_t length;
};
/* Keeps the member being read. */
int ehi_read_leftover(struct ehi_reader *reader, struct ehi_leftovers *leftovers);
/* A map of them, made in the arena; empty bytes where nothing was kept. */
int ehi_leftovers_map(struct ehi_reader *reader, const struct ehi_leftovers *leftovers,
                      struct ehi_slice *out);

int ehi_read_text(struct ehi_reader *reader, const struct ehi_place *at, struct ehi_slice *out);
int ehi_read_nonempty(struct ehi_reader *reader, const struct ehi_place *at, struct ehi_slice *out);
int ehi_read_bool(struct ehi_reader *reader, const struct ehi_place *at, bool *out);
int ehi_read_integer(struct ehi_reader *reader, const struct ehi_place *at, int64_t *out);
/* 0 to ECSHIST_MAX_COUNT. */
int ehi_read_count(struct ehi_reader *reader, const struct ehi_place *at, int64_t *out);
/* 0 to 100, also with a fraction. */
int ehi_read_weight(struct ehi_reader *reader, const struct ehi_place *at, double *out);
int ehi_read_time(struct ehi_reader *reader, const struct ehi_place *at, int64_t *out_us);
int ehi_read_enum(struct ehi_reader *reader, const struct ehi_place *at, enum ehi_enum which,
                  uint8_t *out);
/*
 * An ARN of this kind that repeats the subject's but for type and id, as nearly all do. False says nothing, and nothing was
 * done then.
 */
bool ehi_read_sibling(struct ehi_reader *reader, enum ehi_arn_kind kind, struct ehi_slice *out);
/* Of a revision of the subject's service. */
int ehi_read_revision_arn(struct ehi_reader *reader, const struct ehi_place *at,
                          struct ehi_slice *out);
/* Of a task of the subject's cluster. */
int ehi_read_task_arn(struct ehi_reader *reader, const struct ehi_place *at, struct ehi_slice *out);
/*
 * serviceDeploymentArn, serviceRevisionArn, serviceArn, clusterArn: what only repeats the subject.
 */
int ehi_read_agreeing_arn(struct ehi_reader *reader, const struct ehi_place *at);

/*
 * A list's head: no more than `most` items, which an error calls `what`. Close the cursor behind
 * the last.
 */
int ehi_open_list(struct ehi_reader *reader, const struct ehi_place *at, uint32_t most,
                  const char *what, uint32_t *out_count);
/* A list of texts, each read by `item`. */
typedef int (*ehi_text_fn)(struct ehi_reader *reader, const struct ehi_place *at,
                           struct ehi_slice *out);
int ehi_read_texts(struct ehi_reader *reader, const struct ehi_place *at, uint32_t most,
                   const char *what, ehi_text_fn item, const struct ehi_slice **out,
                   uint32_t *out_count);
/* Names of alarms. */
int ehi_read_alarm_names(struct ehi_reader *reader, const struct ehi_place *at,
                         const struct ehi_slice **out, uint32_t *out_count);

/* The shapes that events hold (event_shapes.c). */
int ehi_read_summary(struct ehi_reader *reader, const struct ehi_place *at,
                     struct ehi_summary_update *out);
int ehi_read_hook(struct ehi_reader *reader, const struct ehi_place *at, struct ehi_hook *out);
/* What holds where no configuration is given. */
void ehi_configuration_default(struct ehi_configuration *out);
/* The same of one that is all zero. */
static inline void ehi_configuration_fill(struct ehi_configuration *out)
{
    enum { DEFAULT_THRESHOLD_PERCENT = 50 };
    out->reset_on_healthy = true;
    out->threshold_type = EHI_BOUNDED_PERCENT;
    out->threshold_value = DEFAULT_THRESHOLD_PERCENT;
}
int ehi_read_configuration(struct ehi_reader *reader, const struct ehi_place *at,
                           struct ehi_configuration *out);
/* A ServiceDeployment, as the view that it states. */
int ehi_read_observed(struct ehi_reader *reader, const struct ehi_place *at,
                      struct ehi_deployment *out);

/* The member that names the subject of events of a type, EHI_KEY_UNKNOWN where they have none. */
int ehi_subject_key(int type);
/* The last `count` bytes, at most 7, of 8 or more that end here: without a loop, whose end no processor foresees. */
static inline bool ehi_ends_in_zeros(const uint8_t *end, unsigned count)
{
    return count == 0 || ehi_get_le64(end - 8) >> (64 - 8 * count) == 0;
}

/* The lengths in a record's header fit the bytes, and each other; what pads it is zero. */
static inline bool ehi_record_whole(struct ehi_slice bytes)
{
    if (bytes.length < EHI_RECORD_HEADER_BYTES)
        return false;
    uint32_t whole = ehi_get_le32(bytes.data + EHI_REC_BYTES);
    uint64_t used =
        (uint64_t)EHI_RECORD_HEADER_BYTES + ehi_get_le16(bytes.data + EHI_REC_SUBJECT_BYTES) +
        ehi_get_le16(bytes.data + EHI_REC_ID_BYTES) + ehi_get_le32(bytes.data + EHI_REC_BODY_BYTES);
    if (whole > bytes.length || ((used + 7) & ~UINT64_C(7)) != whole)
        return false;
    return ehi_ends_in_zeros(bytes.data + whole, (unsigned)(whole - used));
}

#endif
