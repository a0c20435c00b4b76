#include "model/arn.h"

#include <criterion/criterion.h>
#include <ecshist/limits.h>
#include <stdio.h>

#define A "arn:aws:ecs:eu-north-1:111222333444:"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void is(struct ehi_slice got, const char *wanted, const char *what)
{
    cr_assert(ehi_slice_is(got, wanted), "%s is \"%.*s\", not \"%s\"", what, EHI_FMT(got), wanted);
}

static struct ehi_arn parsed(const char *text)
{
    struct ehi_arn arn;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_arn_parse(ehi_slice_text(text), &arn, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s: %s", text, error.message);
    return arn;
}

static const struct {
    const char *text;
    enum ehi_arn_kind kind;
    const char *partition, *region, *account, *cluster, *service, *id;
} good[] = {
    {A "cluster/default", EHI_ARN_CLUSTER, "aws", "eu-north-1", "111222333444", "default", "", ""},
    {A "service/c_1/-s-", EHI_ARN_SERVICE, "aws", "eu-north-1", "111222333444", "c_1", "-s-", ""},
    {A "service-deployment/c/s/brooVKavhUZYne-zDRzvK", EHI_ARN_DEPLOYMENT, "aws", "eu-north-1",
     "111222333444", "c", "s", "brooVKavhUZYne-zDRzvK"},
    {A "service-revision/c/s/8255880275929051605", EHI_ARN_REVISION, "aws", "eu-north-1",
     "111222333444", "c", "s", "8255880275929051605"},
    {"arn:aws-us-gov:ecs:us-gov-west-1:000000000000:task/c/t", EHI_ARN_TASK, "aws-us-gov",
     "us-gov-west-1", "000000000000", "c", "", "t"},
    {"arn:aws-cn:ecs:CN:999999999999:cluster/Z", EHI_ARN_CLUSTER, "aws-cn", "CN", "999999999999",
     "Z", "", ""},
};

Test(model_arn, parts)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct ehi_arn arn = parsed(good[i].text);
        cr_assert_eq(arn.kind, good[i].kind, "%s: kind %d", good[i].text, (int)arn.kind);
        is(arn.text, good[i].text, "text");
        is(arn.partition, good[i].partition, "partition");
        is(arn.region, good[i].region, "region");
        is(arn.account, good[i].account, "account");
        is(arn.cluster, good[i].cluster, "cluster");
        is(arn.service, good[i].service, "service");
        is(arn.id, good[i].id, "id");
    }
}

static const struct {
    const char *text, *message; /* a part of it */
} bad[] = {
    {"", "empty"},
    {"arn", "begin with \"arn:\""},
    {"ARN:aws:ecs:r:111222333444:cluster/c", "begin with \"arn:\""},
    {" " A "cluster/c", "begin with \"arn:\""},
    {"arn::ecs:r:111222333444:cluster/c", "partition"},
    {"arn:aw:ecs:r:111222333444:cluster/c", "partition"},
    {"arn:awsx:ecs:r:111222333444:cluster/c", "partition"},
    {"arn:aws-:ecs:r:111222333444:cluster/c", "partition"},
    {"arn:aws_cn:ecs:r:111222333444:cluster/c", "partition"},
    {"arn:azure:ecs:r:111222333444:cluster/c", "partition"},
    {"arn:aws:ec2:r:111222333444:cluster/c", "\"ecs\""},
    {"arn:aws:ecs", "\"ecs\""},
    {"arn:aws:ecs::111222333444:cluster/c", "region"},
    {"arn:aws:ecs:r_1:111222333444:cluster/c", "region"},
    {"arn:aws:ecs:r:11122233344:cluster/c", "12 digits"},
    {"arn:aws:ecs:r:1112223334445:cluster/c", "12 digits"},
    {"arn:aws:ecs:r:11122233344a:cluster/c", "12 digits"},
    {"arn:aws:ecs:r:111222333444", "12 digits"},
    {A "container-instance/c/i", "it must be of a cluster"},
    {A "services/c/s", "it must be of a cluster"},
    {A "Cluster/c", "it must be of a cluster"},
    {A, "it must be of a cluster"},
    {A "cluster", "cluster/CLUSTER"},
    {A "cluster/", "cluster/CLUSTER"},
    {A "cluster/c/d", "cluster/CLUSTER"},
    {A "cluster:c", "cluster/CLUSTER"},
    {A "service/s", "service/CLUSTER/SERVICE"},
    {A "service//s", "service/CLUSTER/SERVICE"},
    {A "service/c/s/", "service/CLUSTER/SERVICE"},
    {A "service-deployment/c/s", "CLUSTER/SERVICE/ID"},
    {A "service-deployment/c/s/", "CLUSTER/SERVICE/ID"},
    {A "service-revision/c/s/1/2", "CLUSTER/SERVICE/ID"},
    {A "task/t", "task/CLUSTER/ID"},
    {A "cluster/a b", "A-Z a-z 0-9 _ - only"},
    {A "cluster/a\n", "A-Z a-z 0-9 _ - only"},
    {A "cluster/\xc3\xa4", "cluster/CLUSTER"},
    {A "cluster/a\xc3\xa4", "A-Z a-z 0-9 _ - only"},
};

Test(model_arn, refused)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ehi_arn arn = {.kind = EHI_ARN_TASK, .id = EHI_SLICE_LITERAL("untouched")};
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        int rc = ehi_arn_parse(ehi_slice_text(bad[i].text), &arn, &error);
        cr_assert_eq(rc, ECSHIST_INVALID, "\"%s\" was taken", bad[i].text);
        cr_assert_eq(error.code, ECSHIST_INVALID);
        cr_assert(strstr(error.message, bad[i].message) != NULL, "\"%s\": %s", bad[i].text,
                  error.message);
        is(arn.id, "untouched", "the output");
    }
    struct ehi_arn arn;
    cr_assert_eq(ehi_arn_parse(EHI_SLICE_EMPTY, &arn, NULL), ECSHIST_INVALID);
    /* A NUL ends no slice. */
    cr_assert_eq(
        ehi_arn_parse(ehi_slice(A "cluster/c\0d", sizeof(A "cluster/c\0d") - 1), &arn, NULL),
        ECSHIST_INVALID);
}

static int parse_lengths(size_t cluster, size_t service, size_t id, struct ecshist_error *error)
{
    static char text[2000];
    char name[1200];
    memset(name, 'x', sizeof(name));
    snprintf(text, sizeof(text), A "service-deployment/%.*s/%.*s/%.*s", (int)cluster, name,
             (int)service, name, (int)id, name);
    struct ehi_arn arn;
    return ehi_arn_parse(ehi_slice_text(text), &arn, error);
}

Test(model_arn, bounds)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    cr_assert_eq(parse_lengths(255, 255, 128, &error), ECSHIST_OK);
    cr_assert_eq(parse_lengths(256, 255, 128, &error), ECSHIST_INVALID);
    cr_assert(strstr(error.message, "255") != NULL, "%s", error.message);
    cr_assert_eq(parse_lengths(255, 256, 128, &error), ECSHIST_INVALID);
    cr_assert_eq(parse_lengths(255, 255, 129, &error), ECSHIST_INVALID);
    cr_assert(strstr(error.message, "128") != NULL, "%s", error.message);
    cr_assert_eq(parse_lengths(1000, 1, 1, &error), ECSHIST_LIMIT);
    cr_assert(strstr(error.message, "1024") != NULL, "%s", error.message);
}

Test(model_arn, longest)
{
    char text[ECSHIST_MAX_ARN_BYTES + 2], buffer[EHI_ARN_BUFFER];
    memset(text, 'r', sizeof(text));
    memcpy(text, "arn:aws:ecs:", 12);
    static const char end[] = ":111222333444:task/c/i";
    memcpy(text + ECSHIST_MAX_ARN_BYTES - strlen(end), end, strlen(end));
    struct ehi_arn arn;
    cr_assert_eq(ehi_arn_parse(ehi_slice(text, ECSHIST_MAX_ARN_BYTES), &arn, NULL), ECSHIST_OK);
    cr_assert_eq(ehi_arn_cluster(&arn, buffer).length, ECSHIST_MAX_ARN_BYTES + 1);
    cr_assert_eq(ehi_arn_parse(ehi_slice(text, ECSHIST_MAX_ARN_BYTES + 1), &arn, NULL),
                 ECSHIST_LIMIT);
}

Test(model_arn, parse_as)
{
    struct ehi_arn arn;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_slice revision = EHI_SLICE_LITERAL(A "service-revision/c/s/1");
    cr_assert_eq(ehi_arn_parse_as(EHI_ARN_REVISION, revision, &arn, &error), ECSHIST_OK);
    is(arn.id, "1", "id");
    cr_assert_eq(ehi_arn_parse_as(EHI_ARN_TASK, revision, &arn, &error), ECSHIST_INVALID);
    cr_assert_str_eq(error.message, "not the ARN of a task: " A "service-revision/c/s/1");
    cr_assert_eq(ehi_arn_parse_as(EHI_ARN_REVISION, ehi_slice_text("x"), &arn, &error),
                 ECSHIST_INVALID);
    cr_assert_str_eq(error.message,
                     "not the ARN of a service revision: it must begin with \"arn:\"");
    is(arn.id, "1", "the output");
}

Test(model_arn, same)
{
    struct ehi_arn service = parsed(A "service/c/s");
    struct ehi_arn deployment = parsed(A "service-deployment/c/s/d");
    struct ehi_arn cluster = parsed(A "cluster/c");
    cr_assert(ehi_arn_same_service(&service, &deployment));
    cr_assert(ehi_arn_same_cluster(&service, &deployment));
    cr_assert(ehi_arn_same_service(&cluster, &deployment)); /* it has none to differ in */
    static const char *const others[] = {A "service/c/t", A "service/d/s",
                                         "arn:aws:ecs:eu-north-1:111222333445:service/c/s",
                                         "arn:aws:ecs:eu-north-2:111222333444:service/c/s",
                                         "arn:aws-cn:ecs:eu-north-1:111222333444:service/c/s"};
    for (size_t i = 0; i < COUNT(others); i++) {
        struct ehi_arn other = parsed(others[i]);
        cr_assert_not(ehi_arn_same_service(&other, &deployment), "%s", others[i]);
        cr_assert_eq(ehi_arn_same_cluster(&other, &deployment), i == 0, "%s", others[i]);
    }
}

Test(model_arn, service_and_cluster_of_it)
{
    static const struct {
        const char *of, *service, *cluster;
    } table[] = {
        {A "cluster/c", "", A "cluster/c"},
        {A "service/c/s", A "service/c/s", A "cluster/c"},
        {A "service-deployment/c/s/d", A "service/c/s", A "cluster/c"},
        {A "service-revision/c/s/1", A "service/c/s", A "cluster/c"},
        {A "task/c/t", "", A "cluster/c"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char buffer[EHI_ARN_BUFFER];
        struct ehi_arn arn = parsed(table[i].of);
        is(ehi_arn_service(&arn, buffer), table[i].service, "service");
        cr_assert_str_eq(buffer, table[i].service);
        is(ehi_arn_cluster(&arn, buffer), table[i].cluster, "cluster");
        cr_assert_str_eq(buffer, table[i].cluster);
    }
}

Test(model_arn, names)
{
    char name[256];
    memset(name, 'a', sizeof(name));
    cr_assert(ehi_name_valid(ehi_slice(name, 255)));
    cr_assert_not(ehi_name_valid(ehi_slice(name, 256)));
    cr_assert(ehi_name_valid(ehi_slice_text("Az-_09")));
    static const char *const refused[] = {"", "a b", "a/b", "a.b", "a:b", "\xc3\xa4", "a\n"};
    for (size_t i = 0; i < COUNT(refused); i++)
        cr_assert_not(ehi_name_valid(ehi_slice_text(refused[i])), "%s", refused[i]);
    /* Every byte, so that no class has a hole. */
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        bool wanted = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      c == '-' || c == '_';
        cr_assert_eq(ehi_name_valid(ehi_slice(&byte, 1)), wanted, "byte %d", c);
    }
}
