/* Leaks on purpose, in the child that Criterion runs a test in: the sanitizer run must see it. */
#include <criterion/criterion.h>
#include <stdlib.h>

Test(canary, leaks)
{
    char *volatile lost = malloc(64);
    cr_assert_not_null(lost);
    lost = NULL;
}
