/*
 * Any text as an ARN. What is taken, put together again from its parts, is the text; the service
 * and cluster it names are ARNs of the same service and cluster.
 */
#include "model/arn.h"

#include <ecshist/limits.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_parts(const struct ehi_arn *arn, struct ehi_slice text)
{
    static const char *const types[] = {
        [EHI_ARN_CLUSTER] = "cluster",
        [EHI_ARN_SERVICE] = "service",
        [EHI_ARN_DEPLOYMENT] = "service-deployment",
        [EHI_ARN_REVISION] = "service-revision",
        [EHI_ARN_TASK] = "task",
    };
    char again[EHI_ARN_BUFFER];
    int n = snprintf(again, sizeof(again), "arn:%.*s:ecs:%.*s:%.*s:%s/%.*s%s%.*s%s%.*s",
                     EHI_FMT(arn->partition), EHI_FMT(arn->region), EHI_FMT(arn->account),
                     types[arn->kind], EHI_FMT(arn->cluster), arn->service.length > 0 ? "/" : "",
                     EHI_FMT(arn->service), arn->id.length > 0 ? "/" : "", EHI_FMT(arn->id));
    check(n > 0 && ehi_slice_equal(ehi_slice(again, (size_t)n), text));
    check(ehi_slice_equal(arn->text, text));
    check(ehi_name_valid(arn->cluster));
    check(arn->service.length == 0 || ehi_name_valid(arn->service));
    check(arn->id.length == 0 || ehi_name_valid(arn->id));
}

static void check_made(const struct ehi_arn *arn, struct ehi_slice made, enum ehi_arn_kind kind)
{
    struct ehi_arn again;
    if (made.length == 0 ||
        made.length > ECSHIST_MAX_ARN_BYTES) /* "cluster" is longer than "task" */
        return;
    check(made.data[made.length] == 0);
    check(ehi_arn_parse_as(kind, made, &again, NULL) == ECSHIST_OK);
    check(kind == EHI_ARN_SERVICE ? ehi_arn_same_service(arn, &again)
                                  : ehi_arn_same_cluster(arn, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ehi_slice text = ehi_slice(data, size);
    struct ehi_arn arn, as;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ehi_arn_parse(text, &arn, &error);
    check(rc == ECSHIST_OK || (rc == error.code && error.message[0] != '\0'));
    for (int kind = EHI_ARN_CLUSTER; kind <= EHI_ARN_TASK; kind++) {
        bool taken = ehi_arn_parse_as((enum ehi_arn_kind)kind, text, &as, NULL) == ECSHIST_OK;
        check(taken == (rc == ECSHIST_OK && kind == (int)arn.kind));
    }
    (void)ehi_name_valid(text);
    if (rc != ECSHIST_OK)
        return 0;
    check_parts(&arn, text);
    char buffer[EHI_ARN_BUFFER];
    struct ehi_slice service = ehi_arn_service(&arn, buffer);
    check((service.length > 0) == (arn.service.length > 0));
    check_made(&arn, service, EHI_ARN_SERVICE);
    check_made(&arn, ehi_arn_cluster(&arn, buffer), EHI_ARN_CLUSTER);
    return 0;
}
