/*
 * States of the index: there and back, each member; bytes that are none; which views are the same.
 */
#include "codec/state.h"
#include "model/names.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <ecshist/query.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT(literal) EHI_SLICE_LITERAL(literal)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ehi_arena arena;

static void free_arena(void)
{
    ehi_arena_free(&arena);
}

TestSuite(codec_state, .fini = free_arena);

static const struct ehi_slice configured[] = {TEXT("a"), TEXT("b")};
static const struct ehi_slice triggered[] = {TEXT("b")};

/* Nothing in it is at its default. */
static struct ehi_deployment full(void)
{
    static struct ehi_revision_summary sources[2];
    static struct ehi_hook hooks[2];
    sources[0] = (struct ehi_revision_summary){TEXT("s1"), 1, 2, 3, true, false, 12.5, 0};
    sources[1] = (struct ehi_revision_summary){TEXT("s2"), 4, 5, 6, false, true, 0, 87.5};
    hooks[0] = (struct ehi_hook){TEXT("h1"), TEXT("t"), 1, 2, 1, 77, TEXT("\x81\xa1x\x01")};
    hooks[1] =
        (struct ehi_hook){TEXT("h2"), EHI_SLICE_EMPTY, 0, 0, 0, EHI_TIME_NONE, EHI_SLICE_EMPTY};
    return (struct ehi_deployment){
        .arn = TEXT("the arn"),
        .created_seq = 1000,
        .last_seq = INT64_MAX,
        .last_observed_seq = 1001,
        .status = ECSHIST_STATUS_ROLLBACK_FAILED,
        .stage = 9,
        .created_at_us = 1,
        .started_at_us = 2,
        .finished_at_us = 3,
        .stopped_at_us = 4,
        .updated_at_us = 5,
        .status_reason = TEXT("why"),
        .target = {TEXT("t"), 7, 8, 9, true, true, 1, 2},
        .sources = sources,
        .source_count = 2,
        .configuration = {TEXT("\x81\x3a\x05"), true, true, true, EHI_COUNT, 12, configured, 2},
        .has_rollback = true,
        .rollback_reason = TEXT(""),
        .rollback_revision_arn = TEXT("s1"),
        .rollback_started_at_us = 6,
        .breaker_status = EHI_TRIGGERED,
        .failure_count = 13,
        .threshold = 12,
        .has_desired = true,
        .known_count = 2147483647,
        .alarm_status = EHI_TRIGGERED,
        .alarm_names = configured,
        .alarm_count = 2,
        .triggered_alarms = triggered,
        .triggered_count = 1,
        .hooks = hooks,
        .hook_count = 2,
        .extra = TEXT("\x81\xa1y\xc0"),
    };
}

/* The same, with ARNs that are stored in fewer bytes. */
#define OWNER "arn:aws:ecs:eu-north-1:011122233344:"
static struct ehi_deployment real(void)
{
    struct ehi_deployment d = full();
    d.arn = TEXT(OWNER "service-deployment/shop/web/NCWGC2ZR-taawPAYrIaU5");
    d.target.arn = TEXT(OWNER "service-revision/shop/web/4980306466373577095");
    d.sources[0].arn = TEXT(OWNER "service-revision/shop/web/0");
    d.sources[1].arn = TEXT(OWNER "service-revision/shop/web/r-1");
    d.rollback_revision_arn = d.sources[0].arn;
    return d;
}

static struct ehi_deployment least(void)
{
    return (struct ehi_deployment){.arn = TEXT("a"),
                                   .target = {.arn = TEXT("t")},
                                   .created_at_us = EHI_TIME_NONE,
                                   .started_at_us = EHI_TIME_NONE,
                                   .finished_at_us = EHI_TIME_NONE,
                                   .stopped_at_us = EHI_TIME_NONE,
                                   .updated_at_us = EHI_TIME_NONE,
                                   .rollback_started_at_us = EHI_TIME_NONE};
}

static struct ehi_slice encode(const struct ehi_deployment *d)
{
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_deployment_encode(d, &out), ECSHIST_OK);
    struct ehi_slice copy = ehi_arena_copy(&arena, ehi_buffer_slice(&out));
    ehi_buffer_free(&out);
    return copy;
}

static struct ehi_deployment decode(struct ehi_slice bytes)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_deployment d;
    cr_assert_eq(ehi_deployment_decode(bytes, &arena, &d, &error), ECSHIST_OK, "%s", error.message);
    return d;
}

static void expect_bookkeeping(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    cr_assert_eq(a->created_seq, b->created_seq);
    cr_assert_eq(a->last_seq, b->last_seq);
    cr_assert_eq(a->last_observed_seq, b->last_observed_seq);
    cr_assert_eq(a->has_desired, b->has_desired);
    cr_assert_eq(a->known_count, b->known_count);
    const struct ehi_configuration *c = &a->configuration, *d = &b->configuration;
    cr_assert_eq(c->breaker_enabled, d->breaker_enabled);
    cr_assert_eq(c->reset_on_healthy, d->reset_on_healthy);
    cr_assert_eq(c->alarms_enabled, d->alarms_enabled);
    cr_assert_eq(c->threshold_type, d->threshold_type);
    cr_assert_eq(c->threshold_value, d->threshold_value);
    cr_assert_eq(c->alarm_count, d->alarm_count);
    for (uint32_t i = 0; i < c->alarm_count; i++)
        cr_assert(ehi_slice_equal(c->alarm_names[i], d->alarm_names[i]));
}

static void expect_back(const struct ehi_deployment *d)
{
    struct ehi_slice bytes = encode(d);
    struct ehi_deployment back = decode(bytes);
    cr_assert(ehi_deployment_same_view(d, &back));
    cr_assert(ehi_deployment_same_view(&back, d));
    expect_bookkeeping(d, &back);
    cr_assert(ehi_slice_equal(encode(&back), bytes));
}

Test(codec_state, deployment_comes_back)
{
    struct ehi_deployment d = full();
    expect_back(&d);
    struct ehi_deployment back = decode(encode(&d));
    cr_assert_eq(back.alarm_names, back.configuration.alarm_names, "kept once");
    d = least();
    expect_back(&d);
    back = decode(encode(&d));
    cr_assert_null(back.status_reason.data);
    cr_assert_null(back.configuration.document.data);
    cr_assert_eq(back.extra.length, 0u);
}

Test(codec_state, arns_of_fewer_bytes_come_back)
{
    struct ehi_deployment d = real(), back = decode(encode(&d));
    cr_assert(ehi_deployment_same_view(&d, &back));
    expect_bookkeeping(&d, &back);
}

Test(codec_state, each_flag_by_itself)
{
    for (unsigned i = 0; i < 5; i++) {
        struct ehi_deployment d = least();
        d.configuration.breaker_enabled = i == 0;
        d.configuration.reset_on_healthy = i == 1;
        d.configuration.alarms_enabled = i == 2;
        d.has_rollback = i == 3;
        d.has_desired = i == 4;
        expect_back(&d);
    }
}

Test(codec_state, shown_alarms_of_their_own)
{
    struct ehi_deployment d = full();
    d.alarm_names = triggered;
    d.alarm_count = 1;
    expect_back(&d);
    d.alarm_count = 0;
    expect_back(&d);
}

/* As deep as an event may have it in a hook. */
Test(codec_state, a_hooks_extra_may_be_deep)
{
    uint8_t extra[ECSHIST_MAX_NESTING + 2];
    memset(extra, 0x91, sizeof(extra));
    memcpy(extra, "\x81\xa1x", 3);
    unsigned levels = ECSHIST_MAX_NESTING - 2; /* the event is one, the hook another */
    extra[3 + levels] = 0xc0;
    struct ehi_deployment d = full();
    d.hooks[0].extra = ehi_slice(extra, 3 + levels + 1);
    expect_back(&d);
    d.hook_count = 0;
    d.extra = ehi_slice(extra, 3 + levels + 1);
    expect_back(&d);
}

static void expect_no_prefix(struct ehi_deployment d)
{
    struct ehi_slice bytes = encode(&d);
    for (size_t length = 0; length < bytes.length; length++) {
        uint8_t *copy = malloc(length + (length == 0));
        memcpy(copy, bytes.data, length);
        struct ehi_deployment out = {.created_seq = 5};
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        int rc = ehi_deployment_decode(ehi_slice(copy, length), &arena, &out, &error);
        cr_assert_eq(rc, ECSHIST_INDEX, "%zu bytes", length);
        cr_assert_eq(out.created_seq, 5u);
        free(copy);
    }
}

Test(codec_state, no_prefix_is_a_state)
{
    expect_no_prefix(full());
    expect_no_prefix(real());
}

/* Each byte changed to each other one: decoded or refused, never more than the bytes are read. */
static void try_every_byte(struct ehi_deployment d)
{
    struct ehi_slice bytes = encode(&d);
    uint8_t *copy = malloc(bytes.length);
    struct ehi_arena scratch = {0};
    for (size_t at = 0; at < bytes.length; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(copy, bytes.data, bytes.length);
            copy[at] = (uint8_t)byte;
            struct ehi_deployment out;
            ehi_arena_reset(&scratch);
            int rc = ehi_deployment_decode(ehi_slice(copy, bytes.length), &scratch, &out, NULL);
            cr_assert(rc == ECSHIST_OK || rc == ECSHIST_INDEX);
            if (rc == ECSHIST_OK)
                ehi_deployment_same_view(&out, &d);
        }
    }
    ehi_arena_free(&scratch);
    free(copy);
}

Test(codec_state, every_byte_may_be_wrong)
{
    try_every_byte(full());
    try_every_byte(real());
}

static void expect_arn(const char *front, const char *path, const char *id)
{
    char arn[1200], target[1200];
    struct ehi_deployment d = real();
    snprintf(arn, sizeof(arn), "%sservice-deployment/%s/%s", front, path, id);
    snprintf(target, sizeof(target), "%sservice-revision/%s/%s", front, path, id);
    d.arn = ehi_slice_text(arn);
    d.target.arn = ehi_slice_text(target);
    struct ehi_deployment back = decode(encode(&d));
    cr_assert(ehi_slice_equal(back.arn, d.arn), "%s", arn);
    cr_assert(ehi_slice_equal(back.target.arn, d.target.arn), "%s", target);
    struct ehi_revision r = {.arn = d.target.arn, .document_seq = 7, .created_at_us = 8}, again;
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_revision_encode(&r, &out), ECSHIST_OK);
    cr_assert_eq(ehi_revision_decode(ehi_buffer_slice(&out), &arena, &again, NULL), ECSHIST_OK);
    cr_assert(ehi_slice_equal(again.arn, r.arn) && again.document_seq == 7);
    for (size_t length = 0; length < out.length; length++)
        cr_assert_eq(ehi_revision_decode(ehi_slice(out.data, length), &arena, &again, NULL),
                     ECSHIST_INDEX);
    ehi_buffer_free(&out);
}

/* Ids of each length, numbers at their bounds, names too long for a short, other partitions, texts that are no ARN. */
Test(codec_state, arns_come_back)
{
    static const char *const ids[] = {"0",
                                      "00",
                                      "9",
                                      "127",
                                      "128",
                                      "65536",
                                      "4294967296",
                                      "999999999999999999",
                                      "0999999999999999999",
                                      "9223372036854775807",
                                      "9223372036854775808",
                                      "9999999999999999999",
                                      "10000000000000000000",
                                      "d00000000000000000192",
                                      "-_",
                                      "a.b",
                                      ""};
    static const char *const fronts[] = {OWNER,
                                         "arn:aws:ecs:us-gov-west-1:999999999999:",
                                         "arn:aws-cn:ecs:cn-north-1:000000000000:",
                                         "arn:aws:ecs::011122233344:",
                                         "arn:aws:ecs:eu-north-1:1:",
                                         ""};
    char name[256], path[600];
    for (size_t i = 0; i < COUNT(fronts); i++) {
        for (size_t j = 0; j < COUNT(ids); j++)
            expect_arn(fronts[i], "shop/web", ids[j]);
    }
    for (int length = 1; length <= 255; length++) {
        memset(name, 'n', sizeof(name));
        name[length] = 0;
        snprintf(path, sizeof(path), "shop/%s", name);
        expect_arn(OWNER, path, "1");
        snprintf(path, sizeof(path), "%s/web", name);
        expect_arn(OWNER, path, "1");
        expect_arn(OWNER, "shop/web", name);
        snprintf(path, sizeof(path), "%s/%s", name, name);
        expect_arn(OWNER, path, name);
    }
}

/* What a state does not gain by its ARN would be lost on every one of them. */
Test(codec_state, arns_are_short)
{
    struct ehi_deployment d = real();
    struct ehi_slice with = encode(&d);
    size_t arns = d.arn.length + d.target.arn.length + d.sources[0].arn.length +
                  d.sources[1].arn.length + d.rollback_revision_arn.length;
    d.arn = d.target.arn = d.sources[0].arn = d.sources[1].arn = d.rollback_revision_arn = TEXT("");
    struct ehi_slice without = encode(&d);
    cr_assert_leq(with.length - without.length, 64u, "%zu for %zu", with.length - without.length,
                  arns);
}

Test(codec_state, something_behind_a_state)
{
    struct ehi_deployment d = least();
    struct ehi_slice bytes = encode(&d);
    bytes.length++; /* the copy's NUL */
    cr_assert_eq(ehi_deployment_decode(bytes, &arena, &d, NULL), ECSHIST_INDEX);
}

Test(codec_state, revision_comes_back)
{
    struct ehi_revision rows[] = {
        {TEXT("r"), 7, 5, true, 99, EHI_SLICE_EMPTY},
        {TEXT("r2"), 1, 1, false, EHI_TIME_NONE, TEXT("\x80")}, /* a document is not kept */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ehi_buffer out = {0};
        struct ehi_revision back;
        cr_assert_eq(ehi_revision_encode(&rows[i], &out), ECSHIST_OK);
        cr_assert_eq(ehi_revision_decode(ehi_buffer_slice(&out), &arena, &back, NULL), ECSHIST_OK);
        cr_assert(ehi_slice_equal(back.arn, rows[i].arn));
        cr_assert_eq(back.document_seq, rows[i].document_seq);
        cr_assert_eq(back.first_seq, rows[i].first_seq);
        cr_assert_eq(back.observed, rows[i].observed);
        cr_assert_eq(back.created_at_us, rows[i].created_at_us);
        cr_assert_eq(back.document.length, 0u);
        for (size_t length = 0; length < out.length; length++)
            cr_assert_eq(ehi_revision_decode(ehi_slice(out.data, length), &arena, &back, NULL),
                         ECSHIST_INDEX);
        ehi_buffer_free(&out);
    }
}

Test(codec_state, service_comes_back)
{
    struct ehi_service rows[2] = {
        {.arn = TEXT("s"), .first_seq = 3, .current_finished_at_us = EHI_TIME_NONE},
        {.arn = TEXT("s"),
         .first_seq = 3,
         .inactive = true,
         .current_revision_arn = TEXT("r"),
         .current_finished_at_us = 8,
         .current_created_seq = 2},
    };
    for (unsigned i = 0; i < 16; i++)
        rows[1].by_status[i] = UINT64_C(1) << (4 * i) >> 1;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ehi_buffer out = {0};
        struct ehi_service back;
        cr_assert_eq(ehi_service_encode(&rows[i], &out), ECSHIST_OK);
        cr_assert_eq(ehi_service_decode(ehi_buffer_slice(&out), &back, NULL), ECSHIST_OK);
        cr_assert(ehi_slice_equal(back.arn, rows[i].arn));
        cr_assert_eq(back.first_seq, 3u);
        cr_assert_eq(back.inactive, rows[i].inactive);
        cr_assert(ehi_slice_equal(back.current_revision_arn, rows[i].current_revision_arn));
        cr_assert_eq(back.current_revision_arn.data == NULL, i == 0);
        cr_assert_eq(back.current_finished_at_us, rows[i].current_finished_at_us);
        cr_assert_eq(back.current_created_seq, rows[i].current_created_seq);
        cr_assert_arr_eq(back.by_status, rows[i].by_status, sizeof(back.by_status));
        for (size_t length = 0; length < out.length; length++)
            cr_assert_eq(ehi_service_decode(ehi_slice(out.data, length), &back, NULL),
                         ECSHIST_INDEX);
        ehi_buffer_free(&out);
    }
}

/* One change to a state that was read back, and its view is another. */
#define DIFFERS(change)                                                                            \
    do {                                                                                           \
        struct ehi_deployment a = full(), b = decode(encode(&a));                                  \
        cr_assert(ehi_deployment_same_view(&a, &b));                                               \
        change;                                                                                    \
        cr_assert_not(ehi_deployment_same_view(&a, &b), "%s", #change);                            \
        cr_assert_not(ehi_deployment_same_view(&b, &a), "%s", #change);                            \
    } while (0)

Test(codec_state, views_that_differ)
{
    static const struct ehi_slice other[] = {TEXT("a"), TEXT("c")};
    DIFFERS(b.arn = TEXT("x"));
    DIFFERS(b.status = 1);
    DIFFERS(b.stage = 0);
    DIFFERS(b.created_at_us = 0);
    DIFFERS(b.started_at_us = EHI_TIME_NONE);
    DIFFERS(b.finished_at_us = 0);
    DIFFERS(b.stopped_at_us = 0);
    DIFFERS(b.updated_at_us = 0);
    DIFFERS(b.status_reason = EHI_SLICE_EMPTY);
    DIFFERS(b.target.arn = TEXT("x"));
    DIFFERS(b.target.requested = 0);
    DIFFERS(b.target.running = 0);
    DIFFERS(b.target.pending = 0);
    DIFFERS(b.target.has_test_weight = false);
    DIFFERS(b.target.production_weight = 0);
    DIFFERS(b.sources[1].running = 0);
    DIFFERS(b.source_count = 1);
    DIFFERS(b.configuration.document = TEXT("\x80"));
    DIFFERS(b.has_rollback = false);
    DIFFERS(b.rollback_reason = EHI_SLICE_EMPTY);
    DIFFERS(b.rollback_revision_arn = TEXT("x"));
    DIFFERS(b.rollback_started_at_us = 0);
    DIFFERS(b.breaker_status = EHI_DISABLED);
    DIFFERS(b.failure_count = 0);
    DIFFERS(b.threshold = 0);
    DIFFERS(b.alarm_status = EHI_DISABLED);
    DIFFERS(b.alarm_names = other);
    DIFFERS(b.triggered_count = 0);
    DIFFERS(b.hooks[0].status = 0);
    DIFFERS(b.hook_count = 1);
    DIFFERS(b.extra = EHI_SLICE_EMPTY);
}

Test(codec_state, bookkeeping_is_no_part_of_the_view)
{
    struct ehi_deployment a = full(), b = full();
    b.created_seq = b.last_seq = b.last_observed_seq = 4;
    b.known_count = 0;
    b.has_desired = false;
    b.target.has_test_weight = a.target.has_test_weight = false;
    b.target.test_weight = 50;
    cr_assert(ehi_deployment_same_view(&a, &b));
}
