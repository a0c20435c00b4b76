/* What the tests of verify share: findings gathered, and a segment's bytes to break and mend. */
#ifndef TESTS_TEST_VERIFY_H
#define TESTS_TEST_VERIFY_H

#include "base/hash.h"
#include "codec/format.h"
#include "support/random_events.h"
#include "support/store_dir.h"
#include "upkeep/verify.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct found {
    struct ecshist_verify_result result;
    unsigned told;
    char invariants[64][8];
    struct ecshist_finding first;
    char text[1024]; /* of the first */
    char all[16384]; /* every one told, a line each */
};

static inline bool found_one(void *context, const struct ecshist_finding *finding)
{
    struct found *found = context;
    size_t used = strlen(found->all);
    snprintf(found->all + used, sizeof(found->all) - used, "%s %llu:%llu %llu %s\n",
             finding->invariant, (unsigned long long)finding->segment,
             (unsigned long long)finding->offset, (unsigned long long)finding->seq, finding->text);
    if (found->told == 0) {
        found->first = *finding;
        snprintf(found->text, sizeof(found->text), "%s", finding->text);
    }
    if (found->told < 64)
        snprintf(found->invariants[found->told], 8, "%s", finding->invariant);
    found->told++;
    return true;
}

static inline void look(const char *path, unsigned flags, struct found *found)
{
    struct ecshist_verify_options options = ECSHIST_VERIFY_OPTIONS_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    memset(found, 0, sizeof(*found));
    found->result = (struct ecshist_verify_result)ECSHIST_VERIFY_RESULT_INIT;
    options.flags = flags;
    int rc = ecshist_verify(path, &options, found_one, found, &found->result, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s: %s", ecshist_code_name(rc), error.message);
}

static inline bool has(const struct found *found, const char *invariant)
{
    for (unsigned i = 0; i < found->told && i < 64; i++) {
        if (strcmp(found->invariants[i], invariant) == 0)
            return true;
    }
    return false;
}

static inline void look_clean(const char *path, unsigned flags)
{
    struct found found;
    look(path, flags, &found);
    cr_assert_eq(found.result.finding_count, 0, "%s", found.all);
}

/* Just that invariant is broken, and no other. */
static inline void look_broken(const char *path, unsigned flags, const char *invariant,
                               struct found *found)
{
    look(path, flags, found);
    cr_assert_neq(found->told, 0, "nothing found, where %s is broken", invariant);
    for (unsigned i = 0; i < found->told && i < 64; i++)
        cr_assert_str_eq(found->invariants[i], invariant, "%s", found->all);
}

/* -- a segment's bytes ------------------------------------------------------------------------- */

struct bytes {
    char *path;
    uint8_t *data;
    size_t length;
    uint64_t seed;
};

static inline struct bytes bytes_load(char *path)
{
    struct bytes b = {.path = path};
    b.data = store_dir_read(path, &b.length);
    const uint8_t *id = b.data + EHI_SEG_STORE_ID;
    b.seed = ehi_get_le64(id) ^ ehi_get_le64(id + 8);
    return b;
}

static inline void bytes_save(const struct bytes *b)
{
    store_dir_unlink(b->path);
    store_dir_write(b->path, 0, b->data, b->length);
}

static inline void bytes_free(struct bytes *b)
{
    free(b->data);
    free(b->path);
}

static inline size_t frame_length(const uint8_t *frame)
{
    return EHI_FRAME_HEADER_BYTES + ehi_get_le32(frame + EHI_FRAME_PAYLOAD_BYTES);
}

/* The n-th frame (footers count), NULL where there are fewer. */
static inline uint8_t *frame_of(const struct bytes *b, unsigned n)
{
    size_t at = EHI_SEGMENT_HEADER_BYTES;
    for (; at + EHI_FRAME_HEADER_BYTES <= b->length; n--) {
        uint32_t magic = ehi_get_le32(b->data + at + EHI_FRAME_MAGIC_AT);
        if (magic != EHI_FRAME_MAGIC && magic != EHI_FOOTER_MAGIC)
            return NULL;
        if (n == 0)
            return b->data + at;
        at += frame_length(b->data + at);
    }
    return NULL;
}

static inline uint8_t *footer_of(const struct bytes *b)
{
    return b->data + ehi_get_le64(b->data + b->length - EHI_SEGMENT_TRAILER_BYTES);
}

static inline uint8_t *record_of(uint8_t *frame, unsigned n)
{
    uint8_t *record = frame + EHI_FRAME_HEADER_BYTES;
    for (; n > 0; n--)
        record += ehi_get_le32(record + EHI_REC_BYTES);
    return record;
}

static inline void mend_record(const struct bytes *b, uint8_t *record)
{
    uint32_t length = ehi_get_le32(record + EHI_REC_BYTES);
    ehi_put_le32(record + EHI_REC_CHECKSUM,
                 (uint32_t)ehi_hash64(record + EHI_REC_SEQ, length - EHI_REC_SEQ, b->seed));
}

static inline void mend_frame(const struct bytes *b, uint8_t *frame)
{
    ehi_put_le64(frame, ehi_hash64(frame + EHI_FRAME_MAGIC_AT,
                                   frame_length(frame) - EHI_FRAME_MAGIC_AT, b->seed));
}

static inline void mend_header(const struct bytes *b)
{
    ehi_put_le64(b->data + EHI_SEG_CHECKSUM, ehi_hash64(b->data, EHI_SEG_CHECKSUM, 0));
}

/* The checksum of all before the footer, and the footer's own. */
static inline void mend_footer(const struct bytes *b)
{
    uint8_t *footer = footer_of(b);
    ehi_put_le64(footer + EHI_FRAME_HEADER_BYTES + EHI_FOOT_CONTENT,
                 ehi_hash64(b->data, (size_t)(footer - b->data), b->seed));
    mend_frame(b, footer);
}

/* -- stores ------------------------------------------------------------------------------------ */

static inline char *fast_dir(void)
{
    return access("/dev/shm", W_OK) == 0 ? store_dir_new_in("/dev/shm") : store_dir_new();
}

/* Random events, leniently, `count` of them in batches of one to four; those refused are not in. */
static inline void append_random(ecshist_store *store, uint64_t seed, unsigned count)
{
    struct random_events random = {0};
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = ECSHIST_APPEND_LENIENT | ECSHIST_APPEND_EACH;
    random_events_start(&random, seed);
    while (count > 0) {
        ecshist_event *events[4];
        size_t batch = 1 + random_below(&random, 4);
        for (size_t i = 0; i < batch; i++) {
            json_t *event = random_events_next(&random);
            char *text = json_dumps(event, JSON_COMPACT);
            cr_assert_eq(ecshist_event_from_json(text, strlen(text), &events[i], NULL), ECSHIST_OK);
            free(text);
            json_decref(event);
        }
        (void)!ecshist_append(store, (const ecshist_event *const *)events, batch, &options, NULL,
                              NULL);
        for (size_t i = 0; i < batch; i++)
            ecshist_event_free(events[i]);
        count -= count < batch ? count : (unsigned)batch;
    }
    random_events_end(&random);
}

/* Events of one deployment that fill segments: tasks becoming healthy, `size` bytes each. */
static inline void append_tasks(ecshist_store *store, const char *deployment, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)store_must_append(store,
                                "{\"type\":\"task-healthy\",\"time\":%u,\"id\":\"%s-%u\","
                                "\"serviceDeploymentArn\":\"%s%s\",\"taskArn\":\"%s\","
                                "\"note\":\"%0500u\"}",
                                2000 + i, deployment, i, TEST_DEPLOYMENT_ARN(""), deployment,
                                TEST_TASK_ARN("t"), i);
}

static inline void append_started(ecshist_store *store, const char *deployment)
{
    (void)store_must_append(store,
                            "{\"type\":\"deployment-started\",\"time\":1000,"
                            "\"serviceDeploymentArn\":\"%s%s\"," TO_REVISION("1") "}",
                            TEST_DEPLOYMENT_ARN(""), deployment);
}

#endif
