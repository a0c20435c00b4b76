/* The dictionary: every name and number, each to each; names that are not in it. */
#include "codec/dictionary.h"

#include <criterion/criterion.h>

struct row {
    int number;
    const char *name;
};

#define ROW(number, name) {number, #name},
static const struct row rows[] = {EHI_DICTIONARY(ROW)};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

Test(codec_dictionary, numbers_are_1_to_the_last)
{
    cr_assert_eq((int)ROWS, EHI_KEY_COUNT);
    for (int i = 0; i < ROWS; i++)
        cr_assert_eq(rows[i].number, i + 1, "%s", rows[i].name);
}

/*
 * Where this fails after a name was added: make the table in dictionary.c anew. Put the numbers in
 * their order into an empty table, each into its slot, or the next one that is free.
 */
Test(codec_dictionary, every_name_is_found)
{
    for (int i = 0; i < ROWS; i++) {
        struct ehi_slice name = ehi_slice_text(rows[i].name);
        cr_assert_eq(ehi_key_number(name), rows[i].number, "%s", rows[i].name);
        cr_assert(ehi_slice_equal(ehi_key_name(rows[i].number), name), "%s", rows[i].name);
        cr_assert_str_eq((const char *)ehi_key_name(rows[i].number).data, rows[i].name);
    }
}

/* Written numbers, as in stores that exist. */
Test(codec_dictionary, numbers_never_change)
{
    static const struct row fixed[] = {
        {1, "serviceDeploymentArn"},
        {5, "targetServiceRevisionArn"},
        {7, "deploymentConfiguration"},
        {10, "serviceRevisions"},
        {27, "keepLast"},
        {28, "id"},
        {32, "recordedAt"},
        {33, "arn"},
        {57, "triggeredAlarmNames"},
        {58, "maximumPercent"},
        {79, "taskDefinition"},
        {127, "valueFrom"},
        {128, "accessLogConfiguration"},
        {188, "resolutionSeconds"},
    };
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        cr_assert_eq(ehi_key_number(ehi_slice_text(fixed[i].name)), fixed[i].number, "%s",
                     fixed[i].name);
}

Test(codec_dictionary, other_names_have_no_number)
{
    static const char *const unknown[] = {"",     "a",          "Arn",          "arns",
                                          "ids",  "createdat",  "createdAt ",   "status\x01",
                                          "\xff", "serviceArN", "somethingElse"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        cr_assert_eq(ehi_key_number(ehi_slice_text(unknown[i])), EHI_KEY_UNKNOWN, "%s", unknown[i]);
    cr_assert_eq(ehi_key_number(EHI_SLICE_LITERAL("arn\0")), EHI_KEY_UNKNOWN);
}

/* One byte more, one less, one changed: nothing is found by its hash alone. */
Test(codec_dictionary, near_names_have_no_number_or_their_own)
{
    for (int i = 0; i < ROWS; i++) {
        char near[64];
        size_t length = strlen(rows[i].name);
        memcpy(near, rows[i].name, length + 1);
        for (size_t at = 0; at < length; at++) {
            near[at] ^= 1;
            int number = ehi_key_number(ehi_slice(near, length));
            cr_assert_neq(number, rows[i].number);
            near[at] ^= 1;
        }
        near[length] = 'x';
        cr_assert_neq(ehi_key_number(ehi_slice(near, length + 1)), rows[i].number);
        cr_assert_neq(ehi_key_number(ehi_slice(near, length - 1)), rows[i].number);
    }
}
