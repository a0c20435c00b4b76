/* store/base: bytes, arena, hash, error. */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- slices and integers ----------------------------------------------------------------------- */

Test(bytes, slices_compare_by_content)
{
    cr_assert(ehi_slice_equal(EHI_SLICE_EMPTY, EHI_SLICE_LITERAL("")));
    cr_assert(ehi_slice_equal(ehi_slice_text("abc"), EHI_SLICE_LITERAL("abc")));
    cr_assert_not(ehi_slice_equal(ehi_slice_text("abc"), EHI_SLICE_LITERAL("abd")));
    cr_assert_not(ehi_slice_equal(ehi_slice_text("abc"), EHI_SLICE_LITERAL("ab")));
    cr_assert(ehi_slice_is(ehi_slice("abcdef", 3), "abc"));
    cr_assert(ehi_slice_is(EHI_SLICE_EMPTY, ""));
}

Test(bytes, little_endian)
{
    uint8_t p[8];
    ehi_put_le64(p, UINT64_C(0x8877665544332211));
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq(p[i], 0x11 * (i + 1));
    cr_assert_eq(ehi_get_le64(p), UINT64_C(0x8877665544332211));
    cr_assert_eq(ehi_get_le32(p), 0x44332211u);
    cr_assert_eq(ehi_get_le16(p), 0x2211);
    ehi_put_le32(p, 0xffeeddccu);
    ehi_put_le16(p + 4, 0xbbaa);
    cr_assert_eq(ehi_get_le64(p), UINT64_C(0x8877bbaaffeeddcc));
}

Test(bytes, big_endian_orders_as_numbers_do)
{
    static const uint64_t numbers[] = {
        0, 1, 255, 256, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX};
    uint8_t before[8] = {0};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint8_t p[8];
        ehi_put_be64(p, numbers[i]);
        cr_assert_eq(ehi_get_be64(p), numbers[i]);
        if (i > 0)
            cr_assert_lt(memcmp(before, p, 8), 0);
        memcpy(before, p, 8);
    }
    cr_assert_eq(ehi_get_be32((const uint8_t *)"\x01\x02\x03\xff"), 0x010203ffu);
}

/* -- buffers ----------------------------------------------------------------------------------- */

Test(buffer, grows_and_keeps_what_it_has)
{
    struct ehi_buffer buffer = {0};
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        cr_assert_eq(ehi_buffer_append(&buffer, &byte, 1), ECSHIST_OK);
    }
    cr_assert_eq(buffer.length, 10000);
    cr_assert_geq(buffer.capacity, buffer.length);
    for (unsigned i = 0; i < 10000; i++)
        cr_assert_eq(buffer.data[i], (uint8_t)(i * 7));
    struct ehi_slice all = ehi_buffer_slice(&buffer);
    cr_assert_eq(all.data, buffer.data);
    cr_assert_eq(all.length, 10000);
    ehi_buffer_free(&buffer);
    cr_assert_null(buffer.data);
    cr_assert_eq(buffer.length, 0);
    cr_assert_eq(buffer.capacity, 0);
}

Test(buffer, appends_zeros_and_nothing)
{
    struct ehi_buffer buffer = {0};
    cr_assert_eq(ehi_buffer_append(&buffer, NULL, 0), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_append_zeros(&buffer, 0), ECSHIST_OK);
    cr_assert_eq(buffer.length, 0);
    cr_assert_eq(ehi_buffer_append(&buffer, "x", 1), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_append_zeros(&buffer, 1000), ECSHIST_OK);
    cr_assert_eq(buffer.length, 1001);
    for (size_t i = 1; i < buffer.length; i++)
        cr_assert_eq(buffer.data[i], 0);
    ehi_buffer_free(&buffer);
}

Test(buffer, reserving_leaves_the_length)
{
    struct ehi_buffer buffer = {0};
    cr_assert_eq(ehi_buffer_append(&buffer, "abc", 3), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_reserve(&buffer, 5000), ECSHIST_OK);
    cr_assert_eq(buffer.length, 3);
    cr_assert_geq(buffer.capacity, 5003);
    const uint8_t *data = buffer.data;
    cr_assert_eq(ehi_buffer_append_zeros(&buffer, 5000), ECSHIST_OK);
    cr_assert_eq(buffer.data, data, "what was reserved is used");
    ehi_buffer_free(&buffer);
}

Test(buffer, impossible_sizes_are_refused)
{
    struct ehi_buffer buffer = {0};
    cr_assert_eq(ehi_buffer_append(&buffer, "abc", 3), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_reserve(&buffer, SIZE_MAX), ECSHIST_NO_MEMORY);
    cr_assert_eq(ehi_buffer_reserve(&buffer, SIZE_MAX / 2), ECSHIST_NO_MEMORY);
    cr_assert_eq(ehi_buffer_append_zeros(&buffer, SIZE_MAX - 2), ECSHIST_NO_MEMORY);
    cr_assert(ehi_slice_is(ehi_buffer_slice(&buffer), "abc"));
    ehi_buffer_free(&buffer);
}

/* -- arenas ------------------------------------------------------------------------------------ */

Test(arena, pieces_do_not_overlap)
{
    struct ehi_arena arena = {0};
    enum { PIECES = 2000 };
    uint8_t *pieces[PIECES];
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = ehi_arena_alloc(&arena, i % 97 + 1);
        cr_assert_not_null(pieces[i]);
        cr_assert_eq((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)(i & 0xff), i % 97 + 1);
    }
    for (unsigned i = 0; i < PIECES; i++) {
        for (unsigned j = 0; j < i % 97 + 1; j++)
            cr_assert_eq(pieces[i][j], i & 0xff);
    }
    ehi_arena_free(&arena);
    cr_assert_null(arena.chunks);
}

Test(arena, large_pieces_have_room)
{
    struct ehi_arena arena = {0};
    for (size_t size = 1; size <= (size_t)1 << 24; size *= 4) {
        uint8_t *piece = ehi_arena_alloc(&arena, size);
        cr_assert_not_null(piece);
        memset(piece, 1, size);
    }
    ehi_arena_free(&arena);
}

Test(arena, arrays_are_zeroed_and_checked)
{
    struct ehi_arena arena = {0};
    memset(ehi_arena_alloc(&arena, 1024), 0xff, 1024);
    ehi_arena_reset(&arena);
    const uint8_t *array = ehi_arena_array(&arena, 128, 8);
    for (size_t i = 0; i < 1024; i++)
        cr_assert_eq(array[i], 0);
    cr_assert_not_null(ehi_arena_array(&arena, 0, 8));
    cr_assert_not_null(ehi_arena_array(&arena, 8, 0));
    cr_assert_null(ehi_arena_array(&arena, SIZE_MAX / 4, 8));
    cr_assert_null(ehi_arena_array(&arena, 8, SIZE_MAX / 4));
    cr_assert_null(ehi_arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(ehi_arena_alloc(&arena, SIZE_MAX - 6));
    ehi_arena_free(&arena);
}

Test(arena, copies_end_in_nul)
{
    struct ehi_arena arena = {0};
    char text[] = "a copy";
    struct ehi_slice copy = ehi_arena_copy(&arena, ehi_slice(text, 6));
    text[0] = 'X';
    cr_assert(ehi_slice_is(copy, "a copy"));
    cr_assert_eq(copy.data[6], 0);
    copy = ehi_arena_copy(&arena, EHI_SLICE_EMPTY);
    cr_assert_not_null(copy.data, "an empty copy is not the sign of no memory");
    cr_assert_eq(copy.length, 0);
    cr_assert_eq(copy.data[0], 0);
    ehi_arena_free(&arena);
}

Test(arena, reset_keeps_the_largest_chunk)
{
    struct ehi_arena arena = {0};
    cr_assert_not_null(ehi_arena_alloc(&arena, 100));
    cr_assert_not_null(ehi_arena_alloc(&arena, 3000000));
    cr_assert_not_null(ehi_arena_alloc(&arena, 100000));
    cr_assert_not_null(ehi_arena_alloc(&arena, 2000000));
    ehi_arena_reset(&arena);
    const struct ehi_arena_chunk *kept = arena.chunks;
    cr_assert_not_null(kept);
    memset(ehi_arena_alloc(&arena, 3000000), 1, 3000000);
    cr_assert_eq(arena.chunks, kept, "the largest piece fits into what was kept");
    ehi_arena_reset(&arena);
    ehi_arena_free(&arena);
    ehi_arena_reset(&arena);
    ehi_arena_free(&arena);
}

Test(arena, counts_what_is_in_use)
{
    struct ehi_arena arena = {.keep_bytes = SIZE_MAX};
    cr_assert_not_null(ehi_arena_alloc(&arena, 100));
    size_t of_one = arena.bytes;
    cr_assert_geq(of_one, 100);
    for (int i = 0; i < 10; i++)
        cr_assert_not_null(ehi_arena_alloc(&arena, 1000000));
    cr_assert_geq(arena.bytes, 10000000);
    ehi_arena_reset(&arena);
    cr_assert_lt(arena.bytes, 2500000, "what is kept only is not in use: %zu", arena.bytes);
    for (int i = 0; i < 10; i++)
        cr_assert_not_null(ehi_arena_alloc(&arena, 1000000));
    cr_assert_geq(arena.bytes, 10000000);
    ehi_arena_free(&arena);
    cr_assert_eq(arena.bytes, 0);
}

/* -- hashes ------------------------------------------------------------------------------------ */

/* From xxHash's own documentation and command line: they are stored, so they must never change. */
Test(hash, of_known_inputs)
{
    cr_assert_eq(ehi_hash64("", 0, 0), UINT64_C(0x2d06800538d394c2));
    cr_assert_eq(ehi_hash64("abc", 3, 0), UINT64_C(0x78af5f94892f3950));
    struct ehi_hash128 h = ehi_hash128("", 0);
    cr_assert_eq(h.high, UINT64_C(0x99aa06d3014798d8));
    cr_assert_eq(h.low, UINT64_C(0x6001c324468d497f));
    h = ehi_hash128("abc", 3);
    cr_assert_eq(h.high, UINT64_C(0x06b05ab6733a6185));
    cr_assert_eq(h.low, UINT64_C(0x78af5f94892f3950));
}

/* The test bytes of xxHash's sanity checks: every length goes another way through the code. */
static void fill_sanity_bytes(uint8_t *bytes, size_t length)
{
    uint64_t generator = 2654435761u;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(generator >> 56);
        generator *= UINT64_C(11400714785074694797);
    }
}

Test(hash, of_every_length_class)
{
    static const struct {
        size_t length;
        uint64_t seedless, seeded, high, low;
    } known[] = {
        {1, 0xc44bdff4074eecdb, 0x062b185e4e01441a, 0xa6cd5e9392000f6a, 0xc44bdff4074eecdb},
        {17, 0x796f5acd3a60f862, 0x23116a33aa39fb74, 0x955fa78643ed3669, 0xabbc12d11973d7db},
        {129, 0x98f1b0a679a2ca29, 0x3aecef1235232004, 0x03815fc91f1b30b6, 0x86c9e3bc8f0a3b5c},
        {241, 0xc5a639ecd2030e5e, 0xad5088153f20248a, 0x99a80ecf0ecfc647, 0xc5a639ecd2030e5e},
        {2367, 0xcb37aeb9e5d361ed, 0x5bf429efb6e871dc, 0xe89c0f6ff369b427, 0xcb37aeb9e5d361ed},
    };
    uint8_t bytes[2367];
    fill_sanity_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        cr_assert_eq(ehi_hash64(bytes, known[i].length, 0), known[i].seedless);
        cr_assert_eq(ehi_hash64(bytes, known[i].length, UINT64_C(0x9e3779b97f4a7c15)),
                     known[i].seeded);
        struct ehi_hash128 h = ehi_hash128(bytes, known[i].length);
        cr_assert(ehi_hash128_equal(h, (struct ehi_hash128){known[i].low, known[i].high}));
    }
}

Test(hash, of_parts_is_of_the_whole)
{
    uint8_t bytes[2367];
    fill_sanity_bytes(bytes, sizeof(bytes));
    struct ehi_hash128 whole = ehi_hash128(bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 13) {
        struct ehi_slice parts[3] = {ehi_slice(bytes, cut), EHI_SLICE_EMPTY,
                                     ehi_slice(bytes + cut, sizeof(bytes) - cut)};
        cr_assert(ehi_hash128_equal(ehi_hash128_parts(parts, 3), whole));
    }
    for (size_t length = 0; length <= 1100; length++) { /* few bytes go another way */
        struct ehi_slice parts[2] = {ehi_slice(bytes, length / 3),
                                     ehi_slice(bytes + length / 3, length - length / 3)};
        cr_assert(ehi_hash128_equal(ehi_hash128_parts(parts, 2), ehi_hash128(bytes, length)));
    }
    cr_assert(ehi_hash128_equal(ehi_hash128_parts(NULL, 0), ehi_hash128("", 0)));
}

/* -- errors ------------------------------------------------------------------------------------ */

Test(error, is_filled_from_anew)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(error.event_index, SIZE_MAX);
    error.seq = 7;
    error.event_index = 3;
    error.system_errno = 5;
    strcpy(error.place, "somewhere");
    cr_assert_eq(ehi_fail(&error, ECSHIST_CONFLICT, "no %s %d", "way", 1), ECSHIST_CONFLICT);
    cr_assert_eq(error.size, sizeof(error));
    cr_assert_eq(error.code, ECSHIST_CONFLICT);
    cr_assert_str_eq(error.message, "no way 1");
    cr_assert_str_eq(error.place, "");
    cr_assert_eq(error.seq, 0);
    cr_assert_eq(error.event_index, SIZE_MAX);
    cr_assert_eq(error.system_errno, 0);
    cr_assert_eq(ehi_at(&error, error.code, "list[%d].arn", 4), ECSHIST_CONFLICT);
    cr_assert_str_eq(error.place, "list[4].arn");
    cr_assert_str_eq(error.message, "no way 1", "a place leaves the message");
}

Test(error, keeps_errno)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    errno = ENOSPC;
    cr_assert_eq(ehi_fail_errno(&error, ECSHIST_IO, "writing %s", "x"), ECSHIST_IO);
    cr_assert_eq(errno, ENOSPC);
    cr_assert_eq(error.system_errno, ENOSPC);
    cr_assert_str_eq(error.message, "writing x: No space left on device");
}

Test(error, for_want_of_memory)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    errno = ENOMEM;
    cr_assert_eq(ehi_fail_errno(&error, ECSHIST_IO, "mapping %s", "x"), ECSHIST_NO_MEMORY);
    cr_assert_eq(error.code, ECSHIST_NO_MEMORY);
    cr_assert_eq(error.system_errno, ENOMEM);
    cr_assert_eq(ehi_fail_errno(&error, ECSHIST_OUTCOME_UNKNOWN, "mapping %s", "x"),
                 ECSHIST_OUTCOME_UNKNOWN);
    errno = 0;
}

Test(error, may_be_null)
{
    cr_assert_eq(ehi_fail(NULL, ECSHIST_INVALID, "%d", 1), ECSHIST_INVALID);
    cr_assert_eq(ehi_fail_errno(NULL, ECSHIST_IO, "%d", 1), ECSHIST_IO);
    cr_assert_eq(ehi_at(NULL, ECSHIST_LIMIT, "%d", 1), ECSHIST_LIMIT);
    cr_assert_eq(ehi_fail_memory(NULL), ECSHIST_NO_MEMORY);
}

Test(error, long_texts_are_cut)
{
    char text[4096];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    (void)ehi_fail(&error, ECSHIST_INVALID, "%s", text);
    cr_assert_eq(strlen(error.message), sizeof(error.message) - 1);
    (void)ehi_at(&error, error.code, "%s", text);
    cr_assert_eq(strlen(error.place), sizeof(error.place) - 1);
    errno = EIO;
    (void)ehi_fail_errno(&error, ECSHIST_IO, "%s", text);
    cr_assert_eq(strlen(error.message), sizeof(error.message) - 1);
}

Test(error, codes_have_names_words_and_sentences)
{
    static const struct {
        int code;
        const char *name, *word;
    } codes[] = {
#define ROW(name, number, word, sentence) {number, #name, word},
        ECSHIST_CODES(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        cr_assert_eq(codes[i].code, (int)i, "the numbers are stable, and without gaps");
        cr_assert_str_eq(ecshist_code_name(codes[i].code), codes[i].name);
        cr_assert_str_eq(ecshist_code_ecs_name(codes[i].code), codes[i].word);
        cr_assert_str_not_empty(ecshist_code_sentence(codes[i].code));
    }
    cr_assert_str_eq(ecshist_code_name(-1), "UNKNOWN");
    cr_assert_str_eq(ecshist_code_name(1000), "UNKNOWN");
    cr_assert_str_eq(ecshist_code_ecs_name(1000), "");
    cr_assert_str_not_empty(ecshist_code_sentence(1000));
}

/* -- what the machine says --------------------------------------------------------------------- */

Test(clock, tells_time_boot_and_random_bytes)
{
    int64_t now = ehi_clock_now_us();
    cr_assert_gt(now, INT64_C(1577836800000000), "later than 2020, in microseconds");
    cr_assert_leq(now, ehi_clock_now_us());
    uint8_t a[16], b[16];
    cr_assert(ehi_boot_id(a));
    cr_assert(ehi_boot_id(b));
    cr_assert_arr_eq(a, b, 16);
    cr_assert(ehi_random(a, 16));
    cr_assert(ehi_random(b, 16));
    cr_assert_neq(memcmp(a, b, 16), 0);
    cr_assert_not(ehi_random(a, 257));
}

/* Also in a child of which no atfork handler hears. */
Test(process, id_is_the_childs_in_a_child)
{
    cr_assert_eq(ehi_process_id(), getpid());
    for (int way = 0; way < 2; way++) {
        pid_t child =
            way == 0 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (child == 0)
            _exit(ehi_process_id() == getpid() && ehi_process_id() == getpid() ? 0 : 1);
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        cr_assert_eq(ehi_process_id(), getpid());
    }
}
