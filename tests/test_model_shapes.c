#include "model/shapes.h"
#include "json/json.h"

#include <criterion/criterion.h>

/* JSON in, the shape applied, JSON out on one line with ISO times. */
static void becomes(enum ehi_shape shape, const char *before, const char *after)
{
    struct ehi_arena arena = {0};
    struct ehi_buffer text = {0};
    struct ehi_value value;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_json_style style = {.iso_times = true};
    cr_assert_eq(ehi_json_parse(before, strlen(before), &arena, &value, &error), ECSHIST_OK, "%s",
                 error.message);
    cr_assert_eq(ehi_shape_apply(shape, &value, &arena), ECSHIST_OK);
    cr_assert_eq(ehi_json_write(&value, &style, &text), ECSHIST_OK);
    cr_assert_eq(ehi_buffer_append(&text, "", 1), ECSHIST_OK);
    cr_assert_str_eq((const char *)text.data, after);
    ehi_buffer_free(&text);
    ehi_arena_free(&arena);
}

Test(model_shapes, order)
{
    becomes(EHI_SHAPE_SERVICE_DEPLOYMENT,
            "{\"alarms\": {\"triggeredAlarmNames\": [], \"alarmNames\": [], \"status\": \"x\"},"
            " \"status\": \"PENDING\", \"serviceArn\": \"s\", \"serviceDeploymentArn\": \"d\"}",
            "{\"serviceDeploymentArn\": \"d\", \"serviceArn\": \"s\", \"status\": \"PENDING\","
            " \"alarms\": {\"status\": \"x\", \"alarmNames\": [], \"triggeredAlarmNames\": []}}");
}

Test(model_shapes, unknown_members_behind_as_they_came)
{
    becomes(EHI_SHAPE_DEPLOYMENT_CONFIGURATION,
            "{\"z\": 1, \"strategy\": \"ROLLING\", \"a\": {\"enable\": 1, \"b\": 2},"
            " \"maximumPercent\": 200}",
            "{\"maximumPercent\": 200, \"strategy\": \"ROLLING\", \"z\": 1,"
            " \"a\": {\"enable\": 1, \"b\": 2}}");
    becomes(EHI_SHAPE_DEPLOYMENT_CONFIGURATION, "{\"z\": 1, \"a\": 2}", "{\"z\": 1, \"a\": 2}");
    becomes(EHI_SHAPE_DEPLOYMENT_CONFIGURATION, "{\"z\": 1, \"maximumPercent\": 2}",
            "{\"maximumPercent\": 2, \"z\": 1}");
    becomes(EHI_SHAPE_DEPLOYMENT_CONFIGURATION, "{}", "{}");
}

Test(model_shapes, lists)
{
    becomes(EHI_SHAPE_SERVICE_DEPLOYMENT,
            "{\"sourceServiceRevisions\": [{\"runningTaskCount\": 1, \"arn\": \"a\"},"
            " {\"pendingTaskCount\": 2, \"arn\": \"b\"}, 7, null]}",
            "{\"sourceServiceRevisions\": [{\"arn\": \"a\", \"runningTaskCount\": 1},"
            " {\"arn\": \"b\", \"pendingTaskCount\": 2}, 7, null]}");
    becomes(EHI_SHAPE_SERVICE_REVISION,
            "{\"containerImages\": [{\"image\": \"i\", \"containerName\": \"c\"}],"
            " \"loadBalancers\": [{\"advancedConfiguration\": {\"roleArn\": \"r\","
            " \"productionListenerRule\": \"p\"}, \"containerPort\": 80}]}",
            "{\"loadBalancers\": [{\"containerPort\": 80, \"advancedConfiguration\":"
            " {\"productionListenerRule\": \"p\", \"roleArn\": \"r\"}}],"
            " \"containerImages\": [{\"containerName\": \"c\", \"image\": \"i\"}]}");
}

Test(model_shapes, times)
{
    becomes(EHI_SHAPE_SERVICE_DEPLOYMENT,
            "{\"createdAt\": \"2024-11-04T12:25:56.589+01:00\", \"startedAt\": 1730719556,"
            " \"finishedAt\": 1730719556.5, \"stoppedAt\": \"yesterday\", \"updatedAt\": null,"
            " \"lifecycleHookDetails\": [{\"expiresAt\": 0}], \"rollback\": {\"startedAt\": 1}}",
            "{\"createdAt\": \"2024-11-04T11:25:56.589000+00:00\","
            " \"startedAt\": \"2024-11-04T11:25:56+00:00\","
            " \"finishedAt\": \"2024-11-04T11:25:56.500000+00:00\", \"stoppedAt\": \"yesterday\","
            " \"updatedAt\": null,"
            " \"lifecycleHookDetails\": [{\"expiresAt\": \"1970-01-01T00:00:00+00:00\"}],"
            " \"rollback\": {\"startedAt\": \"1970-01-01T00:00:01+00:00\"}}");
    becomes(
        EHI_SHAPE_SERVICE_REVISION,
        "{\"ecsManagedResources\": {\"ingressPaths\": [{\"loadBalancer\": {\"updatedAt\": 1}}]},"
        " \"createdAt\": 1}",
        "{\"createdAt\": \"1970-01-01T00:00:01+00:00\", \"ecsManagedResources\":"
        " {\"ingressPaths\": [{\"loadBalancer\":"
        " {\"updatedAt\": \"1970-01-01T00:00:01+00:00\"}}]}}");
}

/* A free document keeps its order and its numbers, whatever its members are called. */
Test(model_shapes, documents)
{
    static const char text[] = "{\"lifecycleHooks\": [{\"hookDetails\": {\"startedAt\": 5,"
                               " \"maximumPercent\": 1, \"deploymentCircuitBreaker\": 2}}]}";
    becomes(EHI_SHAPE_DEPLOYMENT_CONFIGURATION, text, text);
}

/* A value of another kind than the shape's is left as it is. */
Test(model_shapes, other_kinds)
{
    static const char text[] = "{\"alarms\": \"none\", \"rollback\": 5, \"createdAt\": [1]}";
    becomes(EHI_SHAPE_SERVICE_DEPLOYMENT, text,
            "{\"createdAt\": [1], \"rollback\": 5, \"alarms\": \"none\"}");
}

/* MessagePack can say a name twice: neither is lost. */
Test(model_shapes, a_member_twice)
{
    struct ehi_member members[] = {
        {ehi_slice_text("status"), {.kind = EHI_VALUE_INT, .u.integer = 1}},
        {ehi_slice_text("status"), {.kind = EHI_VALUE_INT, .u.integer = 2}},
        {ehi_slice_text("serviceArn"), {.kind = EHI_VALUE_INT, .u.integer = 3}},
    };
    struct ehi_value map = {.kind = EHI_VALUE_MAP, .count = 3, .u.members = members};
    struct ehi_arena arena = {0};
    cr_assert_eq(ehi_shape_apply(EHI_SHAPE_SERVICE_DEPLOYMENT, &map, &arena), ECSHIST_OK);
    static const int64_t wanted[] = {3, 1, 2};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(map.u.members[i].value.u.integer, wanted[i]);
    ehi_arena_free(&arena);
}
