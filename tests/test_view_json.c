/*
 * Deployments as JSON straight from their states are, byte for byte, what the values of them are: random states, in both
 * forms.
 */
#include "api/direct.h"
#include "codec/document.h"
#include "codec/state.h"
#include "model/names.h"
#include "view/copy.h"
#include "json/json.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <stdio.h>
#include <stdlib.h>

static struct ehi_arena arena;
static uint64_t seed = UINT64_C(88172645463325252);

static void free_arena(void)
{
    ehi_arena_free(&arena);
}

TestSuite(view_json, .fini = free_arena);

static unsigned below(unsigned bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % bound;
}

static bool one_in(unsigned n)
{
    return below(n) == 0;
}

/* -- random states ----------------------------------------------------------------------------- */

/* Of all lengths around those that are looked at at once, with what needs escapes at any place of them. */
static struct ehi_slice random_text(void)
{
    static const char *const pieces[] = {
        "\"", "\\", "\n", "\x01", "\x1f", "\xc3\xa4", "\xf0\x9f\x98\x80", "/", "\x7f"};
    char text[200];
    size_t length = 0, wanted = below(70);
    while (length < wanted) {
        const char *piece = one_in(25) ? pieces[below(9)] : "x";
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", piece);
    }
    return ehi_arena_copy(&arena, ehi_slice(text, length));
}

static struct ehi_slice maybe_text(void)
{
    return one_in(2) ? random_text() : EHI_SLICE_EMPTY;
}

static int64_t random_number(void)
{
    static const int64_t some[] = {0, 1, 9, 10, 99, 100, 127, 128, 255, 256, 65536, INT64_MAX};
    return some[below(12)];
}

static int64_t random_time(void)
{
    static const int64_t some[] = {EHI_TIME_NONE,
                                   0,
                                   1,
                                   999999,
                                   1000000,
                                   1730719556589000,
                                   INT64_C(1730719556000000),
                                   INT64_C(999999999999999),
                                   INT64_C(4294967295999999),
                                   INT64_C(4294967296000001),
                                   INT64_C(10000000000000000),
                                   ECSHIST_MAX_TIME_US};
    return some[below(12)];
}

static double random_weight(void)
{
    static const double some[] = {
        0, -0.0, 1, 12.5, 100, 0.1, 1e14, 999999999999999, 1e15, 1e300, 33.333333333333336};
    return some[below(11)];
}

static struct ehi_revision_summary random_summary(void)
{
    return (struct ehi_revision_summary){random_text(),   random_number(), random_number(),
                                         random_number(), one_in(3),       one_in(3),
                                         random_weight(), random_weight()};
}

static struct ehi_slice document_of(const char *json)
{
    struct ehi_value value;
    struct ehi_buffer bytes = {0};
    cr_assert_eq(ehi_json_parse(json, strlen(json), &arena, &value, NULL), ECSHIST_OK, "%s", json);
    cr_assert_eq(ehi_document_encode(&value, &bytes, NULL), ECSHIST_OK);
    struct ehi_slice copy = ehi_arena_copy(&arena, ehi_buffer_slice(&bytes));
    ehi_buffer_free(&bytes);
    return copy;
}

/* In order and not, with the members that have defaults and without, unknown members at all levels. */
static struct ehi_slice random_configuration(void)
{
    static const char *const some[] = {
        "{\"deploymentCircuitBreaker\":{\"enable\":true,\"rollback\":false},\"maximumPercent\":200,"
        "\"minimumHealthyPercent\":100}",
        "{\"maximumPercent\":150,\"deploymentCircuitBreaker\":{\"enable\":true,\"rollback\":true},"
        "\"minimumHealthyPercent\":50}",
        "{\"deploymentCircuitBreaker\":{\"rollback\":true,\"enable\":true},\"maximumPercent\":200,"
        "\"minimumHealthyPercent\":0}",
        "{\"maximumPercent\":7}",
        "{\"minimumHealthyPercent\":-7}",
        "{}",
        "{\"maximumPercent\":200,\"minimumHealthyPercent\":100,\"alarms\":{\"alarmNames\":[\"a\","
        "\"\\\"\"],"
        "\"rollback\":true,\"enable\":true}}",
        "{\"maximumPercent\":200,\"minimumHealthyPercent\":100,\"unheard\":{\"b\":[],\"a\":{}}}",
        "{\"maximumPercent\":200.5,\"minimumHealthyPercent\":null,\"strategy\":\"BLUE_GREEN\","
        "\"bakeTimeInMinutes\":5,\"lifecycleHooks\":[{\"hookTargetArn\":\"x\",\"roleArn\":\"y\","
        "\"lifecycleStages\":[\"PRE_SCALE_UP\"],\"hookDetails\":{\"k\":[1,2.5,true,null,{}]}}]}",
        "{\"maximumPercent\":4000000000,\"minimumHealthyPercent\":\"as text\"}",
    };
    if (one_in(8))
        return EHI_SLICE_EMPTY;
    return document_of(some[below(10)]);
}

static struct ehi_slice maybe_extra(void)
{
    return one_in(12) ? document_of("{\"unheardOf\":{\"a\":[1]},\"b\":\"\\n\"}") : EHI_SLICE_EMPTY;
}

static struct ehi_slice *random_texts(uint32_t *count)
{
    *count = below(4);
    struct ehi_slice *texts = ehi_arena_array(&arena, *count, sizeof(*texts));
    for (uint32_t i = 0; i < *count; i++)
        texts[i] = random_text();
    return texts;
}

static void add_hooks(struct ehi_deployment *d)
{
    d->hook_count = below(4);
    d->hooks = ehi_arena_array(&arena, d->hook_count, sizeof(*d->hooks));
    for (uint32_t i = 0; i < d->hook_count; i++)
        d->hooks[i] = (struct ehi_hook){random_text(),     maybe_text(),      (uint8_t)below(4),
                                        (uint8_t)below(7), (uint8_t)below(4), random_time(),
                                        maybe_extra()};
}

static void add_monitors(struct ehi_deployment *d)
{
    d->has_rollback = one_in(2);
    d->rollback_reason = maybe_text();
    d->rollback_revision_arn = maybe_text();
    d->rollback_started_at_us = random_time();
    d->breaker_status = (uint8_t)below(6);
    d->failure_count = random_number();
    d->threshold = random_number();
    d->alarm_status = (uint8_t)below(6);
    d->alarm_names = random_texts(&d->alarm_count);
    d->triggered_alarms = random_texts(&d->triggered_count);
}

static struct ehi_deployment random_deployment(void)
{
    struct ehi_deployment d = {
        .arn = EHI_SLICE_LITERAL("arn:aws:ecs:eu-north-1:111222333444:service-deployment/c/s/d1"),
        .created_seq = 1 + below(1000),
        .last_seq = 1 + below(1000),
        .status = (uint8_t)below(11),
        .stage = (uint8_t)below(12),
        .created_at_us = random_time(),
        .started_at_us = random_time(),
        .finished_at_us = random_time(),
        .stopped_at_us = random_time(),
        .updated_at_us = random_time(),
        .status_reason = maybe_text(),
        .target = random_summary(),
        .source_count = below(3)};
    d.sources = ehi_arena_array(&arena, d.source_count, sizeof(*d.sources));
    for (uint32_t i = 0; i < d.source_count; i++)
        d.sources[i] = random_summary();
    d.configuration.document = random_configuration();
    d.configuration.alarm_names = random_texts(&d.configuration.alarm_count);
    add_monitors(&d);
    add_hooks(&d);
    d.extra = maybe_extra();
    return d;
}

/* -- both ways --------------------------------------------------------------------------------- */

static struct ehi_buffer general(const struct ehi_answer *answer, size_t index,
                                 const struct ehi_json_style *style)
{
    struct ehi_buffer text = {0};
    struct ehi_value value;
    int rc = index == API_ALL ? ehi_answer_value(answer, &arena, &value, NULL)
                              : ehi_answer_item_value(answer, index, &arena, &value, NULL);
    cr_assert_eq(rc, ECSHIST_OK);
    cr_assert_eq(ehi_json_write(&value, style, &text), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_append(&text, "", 1), ECSHIST_OK);
    return text;
}

/* Whether it was written straight. */
static bool expect_same(const struct ehi_answer *answer, size_t index,
                        const struct ehi_json_style *style)
{
    struct ehi_buffer direct = {0};
    bool done = api_put_answer(answer, index, style, &direct);
    struct ehi_buffer wanted = general(answer, index, style);
    if (done) {
        cr_assert_eq(direct.length, wanted.length, "%s\n%s", (char *)direct.data,
                     (char *)wanted.data);
        cr_assert_str_eq((char *)direct.data, (char *)wanted.data);
    }
    ehi_buffer_free(&direct);
    ehi_buffer_free(&wanted);
    return done;
}

static const struct ehi_json_style styles[] = {{false, 0, 0}, {true, 4, 0}};

static struct ehi_owner owner(void)
{
    return (struct ehi_owner){EHI_SLICE_LITERAL("arn:aws:ecs:eu-north-1:111222333444:service/c/s"),
                              EHI_SLICE_LITERAL("arn:aws:ecs:eu-north-1:111222333444:cluster/c")};
}

static unsigned rounds(void)
{
    const char *asked = getenv("ECSHIST_JSON_ROUNDS");
    return asked == NULL ? 3000 : (unsigned)strtoul(asked, NULL, 10);
}

Test(view_json, straight_and_by_values)
{
    unsigned straight = 0, all = rounds();
    for (unsigned i = 0; i < all; i++) {
        ehi_arena_reset(&arena);
        struct ehi_deployment d[2] = {random_deployment(), random_deployment()};
        struct ehi_owner owners[2] = {owner(), owner()};
        struct ehi_failure failure = {EHI_SLICE_LITERAL("missing \"one\"")};
        struct ehi_answer answer = {.kind = one_in(2) ? EHI_ANSWER_LIST : EHI_ANSWER_DEPLOYMENTS,
                                    .count = below(3),
                                    .deployments = d,
                                    .owners = owners,
                                    .failures = &failure,
                                    .failure_count = below(2),
                                    .next_token = NULL};
        if (answer.kind == EHI_ANSWER_LIST && one_in(2))
            answer.next_token = "token";
        straight += expect_same(&answer, API_ALL, &styles[below(2)]);
        if (answer.count != 0)
            straight += expect_same(&answer, 0, &styles[below(2)]);
    }
    cr_assert_gt(straight, all / 2, "most are written straight");
}

/* What is taken out of a row ends in NULs, and is what was put in. */
Test(view_json, taken_from_a_row)
{
    for (unsigned i = 0; i < 1000; i++) {
        ehi_arena_reset(&arena);
        struct ehi_deployment d = random_deployment(), back;
        struct ehi_buffer row = {0};
        cr_assert_eq(ehi_deployment_encode(&d, &row), ECSHIST_OK);
        cr_assert_eq(view_take_deployment(ehi_buffer_slice(&row), &arena, &back, NULL), ECSHIST_OK);
        cr_assert(ehi_deployment_same_view(&d, &back));
        cr_assert_eq(back.arn.data[back.arn.length], 0);
        cr_assert_eq(back.target.arn.data[back.target.arn.length], 0);
        for (uint32_t k = 0; k < back.source_count; k++)
            cr_assert_eq(back.sources[k].arn.data[back.sources[k].arn.length], 0);
        for (uint32_t k = 0; k < back.alarm_count; k++)
            cr_assert_eq(back.alarm_names[k].data[back.alarm_names[k].length], 0);
        for (uint32_t k = 0; k < back.hook_count; k++)
            cr_assert_eq(back.hooks[k].id.data[back.hooks[k].id.length], 0);
        if (back.status_reason.data != NULL)
            cr_assert_eq(back.status_reason.data[back.status_reason.length], 0);
        ehi_buffer_free(&row);
    }
}
