/*
 * The fast ways against the slow ones: the same for every length around the blocks' borders, with every byte value at every
 * place, and without a look at the page behind.
 */
#include "base/scan.h"
#include "codec/cursor.h"
#include "model/arn.h"
#include "support/slow_arn.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 70 };

/* The last bytes before a page that must not be read. */
static uint8_t *page_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)two, MAP_FAILED);
    cr_assert_eq(mprotect(two + page, page, PROT_NONE), 0);
    return two + page;
}

static void same_plain(const uint8_t *p, size_t n)
{
    bool slow = true;
    for (size_t i = 0; i < n; i++)
        slow = slow && p[i] >= 1 && p[i] <= 0x7f;
    cr_assert_eq(ehi_plain_text_portable(p, n), slow);
    cr_assert_eq(ehi_plain_text(p, n), slow);
    if (n < 16)
        cr_assert_eq(ehi_plain_few(p, n), slow);
}

Test(scan, plain_text_is_the_same_at_every_border)
{
    uint8_t *end = page_end();
    for (size_t n = 0; n <= MOST; n++) {
        memset(end - n, 'a', n);
        same_plain(end - n, n);
        for (size_t at = 0; at < n; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                end[-(ptrdiff_t)n + (ptrdiff_t)at] = (uint8_t)byte;
                same_plain(end - n, n);
            }
            end[-(ptrdiff_t)n + (ptrdiff_t)at] = 0x7f;
        }
    }
}

Test(scan, json_runs_are_the_same_at_every_border)
{
    uint8_t *end = page_end();
    for (size_t n = 0; n <= MOST; n++) {
        uint8_t *p = end - n;
        memset(p, ' ', n);
        for (size_t at = 0; at < n; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                p[at] = (uint8_t)byte;
                bool stops = byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\';
                cr_assert_eq(ehi_json_run(p, n), stops ? at : n, "%zu of %zu: %02x", at, n, byte);
                cr_assert_eq(ehi_json_run_portable(p, n), stops ? at : n);
            }
            p[at] = '~';
        }
    }
}

Test(scan, eight_digits)
{
    for (size_t at = 0; at < 8; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t p[8] = {'0', '9', '1', '8', '5', '0', '9', '9'};
            p[at] = (uint8_t)byte;
            cr_assert_eq(ehi_digits8(ehi_load8(p)), byte >= '0' && byte <= '9', "%02x", byte);
        }
    }
}

Test(scan, same_bytes_as_memcmp)
{
    uint8_t *a = page_end(), *b = page_end();
    for (size_t n = 0; n <= MOST; n++) {
        memset(a - n, 'a', n);
        memset(b - n, 'a', n);
        cr_assert(ehi_same_bytes(a - n, b - n, n));
        for (size_t at = 1; at <= n; at++) {
            b[-(ptrdiff_t)at] = 'b';
            cr_assert_not(ehi_same_bytes(a - n, b - n, n), "%zu of %zu", at, n);
            b[-(ptrdiff_t)at] = 'a';
        }
    }
}

/* -- UTF-8 ------------------------------------------------------------------------------------- */

/* By the table of RFC 3629, character by character. */
static bool slow_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint8_t c = p[i];
        size_t bytes = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 || n - i < bytes)
            return false;
        for (size_t j = 1; j < bytes; j++) {
            uint8_t least = 0x80, most = 0xbf;
            if (j == 1) {
                least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
                most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
            }
            if (p[i + j] < least || p[i + j] > most)
                return false;
        }
        i += bytes;
    }
    return true;
}

Test(scan, texts_are_valid_as_rfc_3629_has_it)
{
    static const char *const pieces[] = {"a",        "ab",
                                         "é",        "€",
                                         "𝄞",        "\xed\xa0\x80",
                                         "\xc0\x80", "\xf4\x90\x80\x80",
                                         "\x80",     "0123456789abcdef"};
    uint8_t *end = page_end();
    srand(7);
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t text[128];
        size_t n = 0;
        for (int count = rand() % 6; count > 0; count--) {
            const char *piece = pieces[rand() % (int)(sizeof(pieces) / sizeof(pieces[0]))];
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
        if (n > 0 && rand() % 4 == 0)
            text[(unsigned)rand() % n] = (uint8_t)rand();
        if (n > 0 && rand() % 4 == 0)
            n--;
        memcpy(end - n, text, n);
        cr_assert_eq(ehi_text_valid(ehi_slice(end - n, n)), slow_text(end - n, n));
    }
}

/* -- ARNs -------------------------------------------------------------------------------------- */

static bool same_slice(struct ehi_slice a, struct ehi_slice b)
{
    return a.length == b.length && (a.length == 0 || a.data == b.data);
}

static bool same_arn(const struct ehi_arn *a, const struct ehi_arn *b)
{
    return a->kind == b->kind && same_slice(a->text, b->text) &&
           same_slice(a->partition, b->partition) && same_slice(a->region, b->region) &&
           same_slice(a->account, b->account) && same_slice(a->cluster, b->cluster) &&
           same_slice(a->service, b->service) && same_slice(a->id, b->id);
}

/* Both ways say the same, with the same words. Returns whether it is an ARN. */
static bool same_parse(struct ehi_slice text, struct ehi_arn *fast)
{
    struct ehi_arn slow;
    struct ecshist_error fast_error = ECSHIST_ERROR_INIT, slow_error = ECSHIST_ERROR_INIT;
    int rc = ehi_arn_parse(text, fast, &fast_error);
    cr_assert_eq(rc, slow_arn_parse(text, &slow, &slow_error), "%.*s", EHI_FMT(text));
    if (rc == ECSHIST_OK)
        cr_assert(same_arn(fast, &slow), "%.*s", EHI_FMT(text));
    else
        cr_assert_str_eq(fast_error.message, slow_error.message);
    return rc == ECSHIST_OK;
}

static const char *const arns[] = {
    "arn:aws:ecs:eu-north-1:111222333444:service-deployment/production/service-0836/"
    "d00000000026384",
    "arn:aws:ecs:eu-north-1:111222333444:service-revision/production/service-0836/1000000000000026",
    "arn:aws-us-gov:ecs:us-gov-west-1:000000000000:task/c/t",
    "arn:aws:ecs:x:999999999999:service/c_1/-s-",
    "arn:aws:ecs:eu-central-1-xyz:999999999999:service/c_1/0123456789abcdef",
    "arn:aws:ecs:eu-central-1-wxyz:999999999999:service/c_1/0123456789abcdef",
    "arn:aws:ecs:eu-north-1:111222333444:task/production/0123456789abcdef0123456789abcdef",
    "arn:aws:ecs:eu-north-1:111222333444:cluster/default",
    "arn:aws:ecs:eu-north-1:111222333444:service-revision/c/s/0123456789012345678901234567890123456"
    "7890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567",
};

/* Every byte value at every place of an ARN, and the ARN cut off, and with a byte taken out. */
Test(scan, arns_are_parsed_the_same)
{
    uint8_t *end = page_end();
    struct ehi_arn arn;
    for (size_t a = 0; a < sizeof(arns) / sizeof(arns[0]); a++) {
        size_t n = strlen(arns[a]);
        uint8_t *p = end - n;
        memcpy(p, arns[a], n);
        cr_assert(same_parse(ehi_slice(p, n), &arn));
        for (size_t at = 0; at < n; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                p[at] = (uint8_t)byte;
                (void)same_parse(ehi_slice(p, n), &arn);
            }
            p[at] = (uint8_t)arns[a][at];
            (void)same_parse(ehi_slice(p + at, n - at), &arn);
        }
        for (size_t at = 0; at < n; at++) {
            memcpy(end - n + 1, arns[a], at);
            memcpy(end - n + 1 + at, arns[a] + at + 1, n - 1 - at);
            (void)same_parse(ehi_slice(end - n + 1, n - 1), &arn);
        }
    }
}

Test(scan, arns_of_pieces_are_parsed_the_same)
{
    static const char *const pieces[] = {"arn:aws:ecs:r:111222333444:service/",
                                         "arn:",
                                         "aws",
                                         ":ecs:",
                                         "x",
                                         "cluster",
                                         "task",
                                         ":",
                                         "/",
                                         "/a",
                                         "_",
                                         "service-revision/c/s/",
                                         "111222333444:"};
    uint8_t *end = page_end();
    struct ehi_arn arn;
    srand(11);
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t text[400];
        size_t n = 0;
        for (int count = rand() % 9; count > 0; count--) {
            const char *piece = pieces[rand() % (int)(sizeof(pieces) / sizeof(pieces[0]))];
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
        memcpy(end - n, text, n);
        (void)same_parse(ehi_slice(end - n, n), &arn);
    }
}

/* Whatever is said to be a sibling is an ARN of that kind and of the same service, and most are known for one. */
Test(scan, siblings_are_what_they_are_said_to_be)
{
    static const enum ehi_arn_kind wanted[] = {EHI_ARN_REVISION, EHI_ARN_TASK};
    struct ehi_arn of, arn;
    uint8_t *end = page_end();
    size_t known = 0;
    for (size_t a = 0; a < 18; a++) {
        const char *subject = arns[a / 9], *other = arns[a % 9];
        size_t n = strlen(other);
        cr_assert_eq(slow_arn_parse(ehi_slice_text(subject), &of, NULL), ECSHIST_OK);
        for (size_t change = 0; change < n * 256; change++) {
            uint8_t *p = end - n;
            memcpy(p, other, n);
            p[change / 256] = (uint8_t)change;
            for (size_t k = 0; k < 2; k++) {
                if (!ehi_arn_is_sibling(ehi_slice(p, n), wanted[k], &of))
                    continue;
                known++;
                cr_assert_eq(slow_arn_parse_as(wanted[k], ehi_slice(p, n), &arn, NULL), ECSHIST_OK);
                cr_assert(wanted[k] == EHI_ARN_TASK ? ehi_arn_same_cluster(&arn, &of)
                                                    : ehi_arn_same_service(&arn, &of));
            }
        }
    }
    cr_assert_gt(known, 1000);
}
