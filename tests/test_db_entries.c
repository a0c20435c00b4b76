/*
 * Rows of timelines: entries there and back at their bounds; bytes that are none.
 */
#include "db/internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint64_t first_seq = 1000;

static MDB_val key_of(uint8_t bytes[16])
{
    ehi_put_be64(bytes, 7);
    ehi_put_be64(bytes + 8, first_seq);
    return db_val(bytes, 16);
}

static bool read_bytes(const uint8_t *bytes, size_t length, struct ehi_db_entry *out, unsigned *n)
{
    uint8_t key[16];
    return db_read_entries(key_of(key), db_val(bytes, length), out, n);
}

static void expect_back(const struct ehi_db_entry *entries, unsigned count)
{
    uint8_t row[DB_MOST_ENTRIES_BYTES];
    struct ehi_db_entry back[EHI_DB_CHUNK];
    unsigned n = 0;
    size_t length = db_write_entries(first_seq, entries, count, row);
    cr_assert_leq(length, sizeof(row));
    cr_assert(read_bytes(row, length, back, &n));
    cr_assert_eq(n, count);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(back[i].seq, entries[i].seq);
        cr_assert_eq(back[i].offset, entries[i].offset);
        cr_assert_eq(back[i].id_hash, entries[i].id_hash);
        cr_assert(back[i].type == entries[i].type && back[i].flags == entries[i].flags);
    }
    /* A beginning of it is fewer entries, or none. */
    for (size_t most = 0; most < length; most++) {
        uint8_t *some = malloc(most + (most == 0));
        memcpy(some, row, most);
        cr_assert(!read_bytes(some, most, back, &n) || n < count);
        free(some);
    }
}

Test(db_entries, there_and_back)
{
    static const uint32_t offsets[] = {0,          1,          UINT32_MAX, 0,          127,
                                       64,         63,         1u << 31,   0x7fffffff, 0x80000001,
                                       UINT32_MAX, UINT32_MAX, 200,        100000,     67108864};
    struct ehi_db_entry entries[EHI_DB_CHUNK];
    for (unsigned step = 0; step < 3; step++) {
        for (unsigned i = 0; i < EHI_DB_CHUNK; i++)
            entries[i] =
                (struct ehi_db_entry){first_seq + (uint64_t)i * (step == 0 ? 1 : 60 * step + 100),
                                      i * 0x40000u & 0xffffff, offsets[i % 15], i, i & 1};
        for (unsigned count = 1; count <= EHI_DB_CHUNK; count += 9)
            expect_back(entries, count);
    }
    entries[1].seq = first_seq + UINT32_MAX;
    entries[0].id_hash = 0xffffff;
    entries[0].type = 127;
    expect_back(entries, 1);
    expect_back(entries, 2);
}

Test(db_entries, bytes_that_are_none)
{
    static const uint8_t six[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0, 0, 0, 0};
    static const uint8_t large[] = {0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0, 0, 0, 0};
    static const uint8_t most[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0};
    struct ehi_db_entry out[EHI_DB_CHUNK];
    uint8_t many[(EHI_DB_CHUNK + 1) * 6] = {0}, key[15] = {0};
    unsigned n;
    cr_assert_not(read_bytes(six, sizeof(six), out, &n));
    cr_assert_not(read_bytes(large, sizeof(large), out, &n));
    cr_assert(read_bytes(most, sizeof(most), out, &n));
    cr_assert_eq(out[0].seq, first_seq + UINT32_MAX);
    cr_assert(read_bytes(many, sizeof(many) - 6, out, &n));
    cr_assert_eq(n, (unsigned)EHI_DB_CHUNK);
    cr_assert_not(read_bytes(many, sizeof(many), out, &n), "one more than there can be");
    cr_assert_not(read_bytes(many, 0, out, &n));
    cr_assert_not(db_read_entries(db_val(key, sizeof(key)), db_val(many, 6), out, &n));
}
