/*
 * Rows of lists: there and back, each member and coding; what only the state has; bytes that are none.
 */
#include "codec/brief.h"

#include <criterion/criterion.h>
#include <ecshist/query.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT(literal) EHI_SLICE_LITERAL(literal)
#define FRONT "arn:aws:ecs:eu-north-1:111222333444:"
#define SERVICE FRONT "service/shop/web"
#define DEPLOYMENT(id) FRONT "service-deployment/shop/web/" id
#define REVISION(id) FRONT "service-revision/shop/web/" id

static struct ehi_arena arena;
static struct ehi_buffer row;

static void free_all(void)
{
    ehi_arena_free(&arena);
    ehi_buffer_free(&row);
}

TestSuite(codec_brief, .fini = free_all);

static struct ehi_deployment plain(void)
{
    return (struct ehi_deployment){.arn = TEXT(DEPLOYMENT("NCWGC2ZR-taawPAYrIaU5")),
                                   .created_at_us = 1700000000000000,
                                   .started_at_us = EHI_TIME_NONE,
                                   .finished_at_us = EHI_TIME_NONE,
                                   .target = {.arn = TEXT(REVISION("4980306466373577095"))}};
}

static void encode(const struct ehi_deployment *d, struct ehi_slice service)
{
    struct ehi_brief_owner owner = ehi_brief_owner(service);
    row.length = 0;
    cr_assert_eq(ehi_brief_encode(d, &owner, &row), ECSHIST_OK);
}

static int decode(struct ehi_slice bytes, struct ehi_deployment *out, bool *in_state)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_brief_owner owner = ehi_brief_owner(TEXT(SERVICE));
    ehi_arena_reset(&arena);
    return ehi_brief_decode(bytes, &owner, &arena, out, in_state, &error);
}

static void expect_text(struct ehi_slice is, struct ehi_slice should)
{
    cr_assert_eq(is.data == NULL, should.data == NULL);
    cr_assert(ehi_slice_equal(is, should), "%.*s, not %.*s", EHI_FMT(is), EHI_FMT(should));
    cr_assert(is.data == NULL || is.data[is.length] == 0);
}

static void expect_back(const struct ehi_deployment *d)
{
    struct ehi_deployment is = {.created_at_us = d->created_at_us};
    bool in_state = true;
    encode(d, TEXT(SERVICE));
    cr_assert_eq(decode(ehi_buffer_slice(&row), &is, &in_state), ECSHIST_OK);
    cr_assert_not(in_state);
    expect_text(is.arn, d->arn);
    expect_text(is.target.arn, d->target.arn);
    expect_text(is.status_reason, d->status_reason);
    cr_assert_eq(is.started_at_us, d->started_at_us);
    cr_assert_eq(is.finished_at_us, d->finished_at_us);
}

static void expect_in_state(const struct ehi_deployment *d, struct ehi_slice service)
{
    struct ehi_deployment is = {.created_at_us = d->created_at_us};
    bool in_state = false;
    encode(d, service);
    cr_assert_eq(row.length, 1u);
    cr_assert_eq(decode(ehi_buffer_slice(&row), &is, &in_state), ECSHIST_OK);
    cr_assert(in_state);
}

Test(codec_brief, members)
{
    static const int64_t times[] = {INT64_MIN + 1,
                                    -1,
                                    0,
                                    1,
                                    1699999999999999,
                                    1700000000000000,
                                    1700000000000063,
                                    1700000000000064,
                                    1700000999999999,
                                    INT64_MAX};
    struct ehi_deployment d = plain();
    expect_back(&d);
    cr_assert_leq(row.length, 1u + 17 + 9);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        d.started_at_us = times[i];
        expect_back(&d);
        d.finished_at_us = times[sizeof(times) / sizeof(times[0]) - 1 - i];
        expect_back(&d);
        d.started_at_us = EHI_TIME_NONE;
        expect_back(&d);
    }
    d.status_reason = TEXT("");
    expect_back(&d);
    d.status_reason = TEXT("w\xc3\xa4re \x01");
    expect_back(&d);
    d.created_at_us = 0;
    expect_back(&d);
    d.created_at_us = INT64_MAX;
    expect_back(&d);
}

/* Ids of every length, of digits only, of names, with a character that no name has. */
Test(codec_brief, ids)
{
    static const char *const of[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "9999999999999999999999999999999999999999999999999999999999999999",
        "1844674407370955161618446744073709551616184467440737095516161844",
        "d00000000000000000123AZaz09_-AZaz09_-BYby18_-BYby18_-CXcx27_-CXc",
        "-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_",
        "a.b/c\xff.d.......................................................:"};
    char arn[200], target[200];
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        for (int length = 1; length <= 63; length++) {
            struct ehi_deployment d = plain();
            snprintf(arn, sizeof(arn), DEPLOYMENT("%.*s"), length, of[i]);
            snprintf(target, sizeof(target), REVISION("%.*s"), length, of[(i + 1) % 6]);
            d.arn = ehi_slice_text(arn);
            d.target.arn = ehi_slice_text(target);
            expect_back(&d);
        }
        struct ehi_deployment d = plain();
        snprintf(arn, sizeof(arn), DEPLOYMENT("%s"), of[i]);
        d.arn = ehi_slice_text(arn);
        expect_in_state(&d, TEXT(SERVICE));
    }
}

Test(codec_brief, reasons)
{
    char reason[101];
    memset(reason, 'r', sizeof(reason));
    struct ehi_deployment d = plain();
    d.status_reason = ehi_slice(reason, 100);
    expect_back(&d);
    d.status_reason = ehi_slice(reason, 101);
    expect_in_state(&d, TEXT(SERVICE));
}

Test(codec_brief, what_only_the_state_has)
{
    struct ehi_deployment d = plain();
    d.target.arn = TEXT(FRONT "service-revision/shop/other/1");
    expect_in_state(&d, TEXT(SERVICE));
    d.target.arn = TEXT("");
    expect_in_state(&d, TEXT(SERVICE));
    d.target.arn = EHI_SLICE_EMPTY;
    expect_in_state(&d, TEXT(SERVICE));
    d.target.arn = TEXT(REVISION(""));
    expect_in_state(&d, TEXT(SERVICE));
    d = plain();
    d.created_at_us = EHI_TIME_NONE;
    expect_in_state(&d, TEXT(SERVICE));
    d.created_at_us = -1;
    expect_in_state(&d, TEXT(SERVICE));
    d = plain();
    expect_in_state(&d, TEXT(FRONT "service/shop/we"));
    expect_in_state(&d, TEXT(FRONT "service/shop/webs"));
    expect_in_state(&d, TEXT("arn:aws:ecs:eu-north-2:111222333444:service/shop/web"));
    expect_in_state(&d, TEXT(FRONT "cluster/shop"));
    expect_in_state(&d, TEXT("arn:aws"));
    expect_in_state(&d, EHI_SLICE_EMPTY);
}

/* Every beginning, and the whole with a byte more, each in memory of its own size. */
Test(codec_brief, bytes_that_are_none)
{
    struct ehi_deployment d = plain(), is = {.created_at_us = d.created_at_us};
    bool in_state = false;
    d.started_at_us = d.created_at_us + 123456789;
    d.finished_at_us = d.created_at_us + 987654321;
    d.status_reason = TEXT("it was so");
    encode(&d, TEXT(SERVICE));
    for (size_t length = 0; length <= row.length + 1; length++) {
        uint8_t *bytes = calloc(1, length + (length == 0));
        memcpy(bytes, row.data, length < row.length ? length : row.length);
        int rc = decode(ehi_slice(bytes, length), &is, &in_state);
        cr_assert_eq(rc, length == row.length ? ECSHIST_OK : ECSHIST_INDEX, "%zu bytes", length);
        free(bytes);
    }
    static const struct ehi_slice none[] = {
        TEXT("\x01\x00"),
        TEXT("\x03"),
        TEXT("\x10\x41\x01\x81\x01"),
        TEXT("\x00\xc1\x01\x81\x01"),
        TEXT("\x00\x94\x01\x01\x01\x01\x01\x01\x01\x01\x81\x01"),
        TEXT("\x00\x40\x81\x01"),
        TEXT("\x02\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        cr_assert_eq(decode(none[i], &is, &in_state), ECSHIST_INDEX, "case %zu", i);
}

/* Whatever the bytes, what is read stays within them: a byte changed in each place, in every way. */
Test(codec_brief, any_byte)
{
    struct ehi_deployment d = plain(), is = {.created_at_us = d.created_at_us};
    bool in_state;
    d.started_at_us = d.created_at_us + 123456789;
    d.status_reason = TEXT("so");
    encode(&d, TEXT(SERVICE));
    uint8_t *bytes = malloc(row.length);
    for (size_t at = 0; at < row.length; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(bytes, row.data, row.length);
            bytes[at] = (uint8_t)byte;
            int rc = decode(ehi_slice(bytes, row.length), &is, &in_state);
            cr_assert(rc == ECSHIST_OK || rc == ECSHIST_INDEX);
        }
    }
    free(bytes);
}
