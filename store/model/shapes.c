/*
 * The structures of the API that are reachable from the three public ones, members in the API's
 * order. A list has the shape of its items; maps of strings and free documents have none.
 */
#include "model/shapes.h"

#include "model/time.h"

#include <ecshist/error.h>

struct member {
    const char *name;
    uint8_t length;
    uint8_t shape; /* of its value; 0: none */
    bool time;
};

struct shape {
    const struct member *members;
    uint32_t count;
};

#define PLAIN(name)                                                                                \
    {                                                                                              \
        name, sizeof(name) - 1, 0, false                                                           \
    }
#define TIME(name)                                                                                 \
    {                                                                                              \
        name, sizeof(name) - 1, 0, true                                                            \
    }
#define SHAPED(name, shape)                                                                        \
    {                                                                                              \
        name, sizeof(name) - 1, shape, false                                                       \
    }
#define SHAPE(members)                                                                             \
    {                                                                                              \
        members, sizeof(members) / sizeof((members)[0])                                            \
    }

/* Those that only stand within others. */
enum {
    SERVICE_REVISION_SUMMARY = EHI_SHAPE_DEPLOYMENT_CONFIGURATION + 1,
    DEPLOYMENT_LIFECYCLE_HOOK_DETAIL,
    ROLLBACK,
    SERVICE_DEPLOYMENT_CIRCUIT_BREAKER,
    SERVICE_DEPLOYMENT_ALARMS,
    CAPACITY_PROVIDER_STRATEGY_ITEM,
    LOAD_BALANCER,
    SERVICE_REGISTRY,
    NETWORK_CONFIGURATION,
    CONTAINER_IMAGE,
    SERVICE_CONNECT_CONFIGURATION,
    SERVICE_VOLUME_CONFIGURATION,
    DEPLOYMENT_EPHEMERAL_STORAGE,
    VPC_LATTICE_CONFIGURATION,
    RESOLVED_CONFIGURATION,
    ECS_MANAGED_RESOURCES,
    SERVICE_REVISION_OVERRIDES,
    MONITORING_CONFIGURATION,
    DEPLOYMENT_CIRCUIT_BREAKER,
    DEPLOYMENT_ALARMS,
    DEPLOYMENT_LIFECYCLE_HOOK,
    LINEAR_CONFIGURATION,
    CANARY_CONFIGURATION,
    ADVANCED_CONFIGURATION,
    AWS_VPC_CONFIGURATION,
    SERVICE_CONNECT_SERVICE,
    LOG_CONFIGURATION,
    SERVICE_CONNECT_ACCESS_LOG_CONFIGURATION,
    SERVICE_MANAGED_EBS_VOLUME_CONFIGURATION,
    SERVICE_REVISION_LOAD_BALANCER,
    MANAGED_INGRESS_PATH,
    MANAGED_AUTO_SCALING,
    MANAGED_METRIC_ALARM,
    MANAGED_SECURITY_GROUP,
    MANAGED_LOG_GROUP,
    RUNTIME_PLATFORM_OVERRIDE,
    METRIC_CONFIGURATION,
    THRESHOLD_CONFIGURATION,
    DEPLOYMENT_LIFECYCLE_HOOK_TIMEOUT_CONFIGURATION,
    SERVICE_CONNECT_CLIENT_ALIAS,
    TIMEOUT_CONFIGURATION,
    SERVICE_CONNECT_TLS_CONFIGURATION,
    SECRET,
    EBS_TAG_SPECIFICATION,
    MANAGED_LOAD_BALANCER,
    MANAGED_CERTIFICATE,
    MANAGED_LISTENER,
    MANAGED_LISTENER_RULE,
    MANAGED_TARGET_GROUP,
    MANAGED_SCALABLE_TARGET,
    MANAGED_APPLICATION_AUTO_SCALING_POLICY,
    SERVICE_CONNECT_TEST_TRAFFIC_RULES,
    SERVICE_CONNECT_TLS_CERTIFICATE_AUTHORITY,
    TAG,
    SERVICE_CONNECT_TEST_TRAFFIC_HEADER_RULES,
    SERVICE_CONNECT_TEST_TRAFFIC_HEADER_MATCH_RULES,
    SHAPE_COUNT
};

static const struct member service_deployment[] = {
    PLAIN("serviceDeploymentArn"),
    PLAIN("serviceArn"),
    PLAIN("clusterArn"),
    TIME("createdAt"),
    TIME("startedAt"),
    TIME("finishedAt"),
    TIME("stoppedAt"),
    TIME("updatedAt"),
    SHAPED("sourceServiceRevisions", SERVICE_REVISION_SUMMARY),
    SHAPED("targetServiceRevision", SERVICE_REVISION_SUMMARY),
    PLAIN("status"),
    PLAIN("statusReason"),
    PLAIN("lifecycleStage"),
    SHAPED("lifecycleHookDetails", DEPLOYMENT_LIFECYCLE_HOOK_DETAIL),
    SHAPED("deploymentConfiguration", EHI_SHAPE_DEPLOYMENT_CONFIGURATION),
    SHAPED("rollback", ROLLBACK),
    SHAPED("deploymentCircuitBreaker", SERVICE_DEPLOYMENT_CIRCUIT_BREAKER),
    SHAPED("alarms", SERVICE_DEPLOYMENT_ALARMS),
};

static const struct member service_revision[] = {
    PLAIN("serviceRevisionArn"),
    PLAIN("serviceArn"),
    PLAIN("clusterArn"),
    PLAIN("taskDefinition"),
    SHAPED("capacityProviderStrategy", CAPACITY_PROVIDER_STRATEGY_ITEM),
    PLAIN("launchType"),
    PLAIN("platformVersion"),
    PLAIN("platformFamily"),
    SHAPED("loadBalancers", LOAD_BALANCER),
    SHAPED("serviceRegistries", SERVICE_REGISTRY),
    SHAPED("networkConfiguration", NETWORK_CONFIGURATION),
    SHAPED("containerImages", CONTAINER_IMAGE),
    PLAIN("guardDutyEnabled"),
    SHAPED("serviceConnectConfiguration", SERVICE_CONNECT_CONFIGURATION),
    SHAPED("volumeConfigurations", SERVICE_VOLUME_CONFIGURATION),
    SHAPED("fargateEphemeralStorage", DEPLOYMENT_EPHEMERAL_STORAGE),
    TIME("createdAt"),
    SHAPED("vpcLatticeConfigurations", VPC_LATTICE_CONFIGURATION),
    SHAPED("resolvedConfiguration", RESOLVED_CONFIGURATION),
    SHAPED("ecsManagedResources", ECS_MANAGED_RESOURCES),
    SHAPED("overrides", SERVICE_REVISION_OVERRIDES),
    SHAPED("monitoring", MONITORING_CONFIGURATION),
};

static const struct member deployment_configuration[] = {
    SHAPED("deploymentCircuitBreaker", DEPLOYMENT_CIRCUIT_BREAKER),
    PLAIN("maximumPercent"),
    PLAIN("minimumHealthyPercent"),
    SHAPED("alarms", DEPLOYMENT_ALARMS),
    PLAIN("strategy"),
    PLAIN("bakeTimeInMinutes"),
    SHAPED("lifecycleHooks", DEPLOYMENT_LIFECYCLE_HOOK),
    SHAPED("linearConfiguration", LINEAR_CONFIGURATION),
    SHAPED("canaryConfiguration", CANARY_CONFIGURATION),
};

static const struct member service_revision_summary[] = {
    PLAIN("arn"),
    PLAIN("requestedTaskCount"),
    PLAIN("runningTaskCount"),
    PLAIN("pendingTaskCount"),
    PLAIN("requestedTestTrafficWeight"),
    PLAIN("requestedProductionTrafficWeight"),
};

static const struct member deployment_lifecycle_hook_detail[] = {
    PLAIN("hookId"), PLAIN("targetType"), PLAIN("targetArn"),
    PLAIN("status"), TIME("expiresAt"),   PLAIN("timeoutAction"),
};

static const struct member rollback[] = {
    PLAIN("reason"),
    TIME("startedAt"),
    PLAIN("serviceRevisionArn"),
};

static const struct member service_deployment_circuit_breaker[] = {
    PLAIN("status"),
    PLAIN("failureCount"),
    PLAIN("threshold"),
};

static const struct member service_deployment_alarms[] = {
    PLAIN("status"),
    PLAIN("alarmNames"),
    PLAIN("triggeredAlarmNames"),
};

static const struct member capacity_provider_strategy_item[] = {
    PLAIN("capacityProvider"),
    PLAIN("weight"),
    PLAIN("base"),
};

static const struct member load_balancer[] = {
    PLAIN("targetGroupArn"),
    PLAIN("loadBalancerName"),
    PLAIN("containerName"),
    PLAIN("containerPort"),
    SHAPED("advancedConfiguration", ADVANCED_CONFIGURATION),
};

static const struct member service_registry[] = {
    PLAIN("registryArn"),
    PLAIN("port"),
    PLAIN("containerName"),
    PLAIN("containerPort"),
};

static const struct member network_configuration[] = {
    SHAPED("awsvpcConfiguration", AWS_VPC_CONFIGURATION),
};

static const struct member container_image[] = {
    PLAIN("containerName"),
    PLAIN("imageDigest"),
    PLAIN("image"),
};

static const struct member service_connect_configuration[] = {
    PLAIN("enabled"),
    PLAIN("namespace"),
    SHAPED("services", SERVICE_CONNECT_SERVICE),
    SHAPED("logConfiguration", LOG_CONFIGURATION),
    SHAPED("accessLogConfiguration", SERVICE_CONNECT_ACCESS_LOG_CONFIGURATION),
};

static const struct member service_volume_configuration[] = {
    PLAIN("name"),
    SHAPED("managedEBSVolume", SERVICE_MANAGED_EBS_VOLUME_CONFIGURATION),
};

static const struct member deployment_ephemeral_storage[] = {
    PLAIN("kmsKeyId"),
};

static const struct member vpc_lattice_configuration[] = {
    PLAIN("roleArn"),
    PLAIN("targetGroupArn"),
    PLAIN("portName"),
};

static const struct member resolved_configuration[] = {
    SHAPED("loadBalancers", SERVICE_REVISION_LOAD_BALANCER),
};

static const struct member ecs_managed_resources[] = {
    SHAPED("ingressPaths", MANAGED_INGRESS_PATH),
    SHAPED("autoScaling", MANAGED_AUTO_SCALING),
    SHAPED("metricAlarms", MANAGED_METRIC_ALARM),
    SHAPED("serviceSecurityGroups", MANAGED_SECURITY_GROUP),
    SHAPED("logGroups", MANAGED_LOG_GROUP),
};

static const struct member service_revision_overrides[] = {
    SHAPED("runtimePlatform", RUNTIME_PLATFORM_OVERRIDE),
};

static const struct member monitoring_configuration[] = {
    SHAPED("metricConfigurations", METRIC_CONFIGURATION),
};

static const struct member deployment_circuit_breaker[] = {
    PLAIN("enable"),
    PLAIN("rollback"),
    PLAIN("resetOnHealthyTask"),
    SHAPED("thresholdConfiguration", THRESHOLD_CONFIGURATION),
};

static const struct member deployment_alarms[] = {
    PLAIN("alarmNames"),
    PLAIN("rollback"),
    PLAIN("enable"),
};

static const struct member deployment_lifecycle_hook[] = {
    PLAIN("targetType"),
    PLAIN("hookTargetArn"),
    PLAIN("roleArn"),
    PLAIN("lifecycleStages"),
    PLAIN("hookDetails"),
    SHAPED("timeoutConfiguration", DEPLOYMENT_LIFECYCLE_HOOK_TIMEOUT_CONFIGURATION),
};

static const struct member linear_configuration[] = {
    PLAIN("stepPercent"),
    PLAIN("stepBakeTimeInMinutes"),
};

static const struct member canary_configuration[] = {
    PLAIN("canaryPercent"),
    PLAIN("canaryBakeTimeInMinutes"),
};

static const struct member advanced_configuration[] = {
    PLAIN("alternateTargetGroupArn"),
    PLAIN("productionListenerRule"),
    PLAIN("testListenerRule"),
    PLAIN("roleArn"),
};

static const struct member aws_vpc_configuration[] = {
    PLAIN("subnets"),
    PLAIN("securityGroups"),
    PLAIN("assignPublicIp"),
};

static const struct member service_connect_service[] = {
    PLAIN("portName"),
    PLAIN("discoveryName"),
    SHAPED("clientAliases", SERVICE_CONNECT_CLIENT_ALIAS),
    PLAIN("ingressPortOverride"),
    SHAPED("timeout", TIMEOUT_CONFIGURATION),
    SHAPED("tls", SERVICE_CONNECT_TLS_CONFIGURATION),
};

static const struct member log_configuration[] = {
    PLAIN("logDriver"),
    PLAIN("options"),
    SHAPED("secretOptions", SECRET),
};

static const struct member service_connect_access_log_configuration[] = {
    PLAIN("format"),
    PLAIN("includeQueryParameters"),
};

static const struct member service_managed_ebs_volume_configuration[] = {
    PLAIN("encrypted"), PLAIN("kmsKeyId"),       PLAIN("volumeType"),
    PLAIN("sizeInGiB"), PLAIN("snapshotId"),     PLAIN("volumeInitializationRate"),
    PLAIN("iops"),      PLAIN("throughput"),     SHAPED("tagSpecifications", EBS_TAG_SPECIFICATION),
    PLAIN("roleArn"),   PLAIN("filesystemType"),
};

static const struct member service_revision_load_balancer[] = {
    PLAIN("targetGroupArn"),
    PLAIN("productionListenerRule"),
};

static const struct member managed_ingress_path[] = {
    PLAIN("accessType"),
    PLAIN("endpoint"),
    SHAPED("loadBalancer", MANAGED_LOAD_BALANCER),
    SHAPED("loadBalancerSecurityGroups", MANAGED_SECURITY_GROUP),
    SHAPED("certificate", MANAGED_CERTIFICATE),
    SHAPED("listener", MANAGED_LISTENER),
    SHAPED("rule", MANAGED_LISTENER_RULE),
    SHAPED("targetGroups", MANAGED_TARGET_GROUP),
};

static const struct member managed_auto_scaling[] = {
    SHAPED("scalableTarget", MANAGED_SCALABLE_TARGET),
    SHAPED("applicationAutoScalingPolicies", MANAGED_APPLICATION_AUTO_SCALING_POLICY),
};

static const struct member managed_metric_alarm[] = {
    PLAIN("arn"),
    PLAIN("status"),
    PLAIN("statusReason"),
    TIME("updatedAt"),
};

static const struct member managed_security_group[] = {
    PLAIN("arn"),
    PLAIN("status"),
    PLAIN("statusReason"),
    TIME("updatedAt"),
};

static const struct member managed_log_group[] = {
    PLAIN("arn"), PLAIN("status"), PLAIN("statusReason"), TIME("updatedAt"), PLAIN("logGroupName"),
};

static const struct member runtime_platform_override[] = {
    PLAIN("cpuArchitecture"),
};

static const struct member metric_configuration[] = {
    PLAIN("metricNames"),
    PLAIN("resolutionSeconds"),
};

static const struct member threshold_configuration[] = {
    PLAIN("type"),
    PLAIN("value"),
};

static const struct member deployment_lifecycle_hook_timeout_configuration[] = {
    PLAIN("timeoutInMinutes"),
    PLAIN("action"),
};

static const struct member service_connect_client_alias[] = {
    PLAIN("port"),
    PLAIN("dnsName"),
    SHAPED("testTrafficRules", SERVICE_CONNECT_TEST_TRAFFIC_RULES),
};

static const struct member timeout_configuration[] = {
    PLAIN("idleTimeoutSeconds"),
    PLAIN("perRequestTimeoutSeconds"),
};

static const struct member service_connect_tls_configuration[] = {
    SHAPED("issuerCertificateAuthority", SERVICE_CONNECT_TLS_CERTIFICATE_AUTHORITY),
    PLAIN("kmsKey"),
    PLAIN("roleArn"),
};

static const struct member secret[] = {
    PLAIN("name"),
    PLAIN("valueFrom"),
};

static const struct member ebs_tag_specification[] = {
    PLAIN("resourceType"),
    SHAPED("tags", TAG),
    PLAIN("propagateTags"),
};

static const struct member managed_load_balancer[] = {
    PLAIN("arn"),    PLAIN("status"),    PLAIN("statusReason"),     TIME("updatedAt"),
    PLAIN("scheme"), PLAIN("subnetIds"), PLAIN("securityGroupIds"),
};

static const struct member managed_certificate[] = {
    PLAIN("arn"), PLAIN("status"), PLAIN("statusReason"), TIME("updatedAt"), PLAIN("domainName"),
};

static const struct member managed_listener[] = {
    PLAIN("arn"),
    PLAIN("status"),
    PLAIN("statusReason"),
    TIME("updatedAt"),
};

static const struct member managed_listener_rule[] = {
    PLAIN("arn"),
    PLAIN("status"),
    PLAIN("statusReason"),
    TIME("updatedAt"),
};

static const struct member managed_target_group[] = {
    PLAIN("arn"),      PLAIN("status"),          PLAIN("statusReason"),
    TIME("updatedAt"), PLAIN("healthCheckPath"), PLAIN("healthCheckPort"),
    PLAIN("port"),
};

static const struct member managed_scalable_target[] = {
    PLAIN("arn"),      PLAIN("status"),      PLAIN("statusReason"),
    TIME("updatedAt"), PLAIN("minCapacity"), PLAIN("maxCapacity"),
};

static const struct member managed_application_auto_scaling_policy[] = {
    PLAIN("arn"),        PLAIN("status"),      PLAIN("statusReason"), TIME("updatedAt"),
    PLAIN("policyType"), PLAIN("targetValue"), PLAIN("metric"),
};

static const struct member service_connect_test_traffic_rules[] = {
    SHAPED("header", SERVICE_CONNECT_TEST_TRAFFIC_HEADER_RULES),
};

static const struct member service_connect_tls_certificate_authority[] = {
    PLAIN("awsPcaAuthorityArn"),
};

static const struct member tag[] = {
    PLAIN("key"),
    PLAIN("value"),
};

static const struct member service_connect_test_traffic_header_rules[] = {
    PLAIN("name"),
    SHAPED("value", SERVICE_CONNECT_TEST_TRAFFIC_HEADER_MATCH_RULES),
};

static const struct member service_connect_test_traffic_header_match_rules[] = {
    PLAIN("exact"),
};

static const struct shape shapes[SHAPE_COUNT] = {
    [EHI_SHAPE_SERVICE_DEPLOYMENT] = SHAPE(service_deployment),
    [EHI_SHAPE_SERVICE_REVISION] = SHAPE(service_revision),
    [EHI_SHAPE_DEPLOYMENT_CONFIGURATION] = SHAPE(deployment_configuration),
    [SERVICE_REVISION_SUMMARY] = SHAPE(service_revision_summary),
    [DEPLOYMENT_LIFECYCLE_HOOK_DETAIL] = SHAPE(deployment_lifecycle_hook_detail),
    [ROLLBACK] = SHAPE(rollback),
    [SERVICE_DEPLOYMENT_CIRCUIT_BREAKER] = SHAPE(service_deployment_circuit_breaker),
    [SERVICE_DEPLOYMENT_ALARMS] = SHAPE(service_deployment_alarms),
    [CAPACITY_PROVIDER_STRATEGY_ITEM] = SHAPE(capacity_provider_strategy_item),
    [LOAD_BALANCER] = SHAPE(load_balancer),
    [SERVICE_REGISTRY] = SHAPE(service_registry),
    [NETWORK_CONFIGURATION] = SHAPE(network_configuration),
    [CONTAINER_IMAGE] = SHAPE(container_image),
    [SERVICE_CONNECT_CONFIGURATION] = SHAPE(service_connect_configuration),
    [SERVICE_VOLUME_CONFIGURATION] = SHAPE(service_volume_configuration),
    [DEPLOYMENT_EPHEMERAL_STORAGE] = SHAPE(deployment_ephemeral_storage),
    [VPC_LATTICE_CONFIGURATION] = SHAPE(vpc_lattice_configuration),
    [RESOLVED_CONFIGURATION] = SHAPE(resolved_configuration),
    [ECS_MANAGED_RESOURCES] = SHAPE(ecs_managed_resources),
    [SERVICE_REVISION_OVERRIDES] = SHAPE(service_revision_overrides),
    [MONITORING_CONFIGURATION] = SHAPE(monitoring_configuration),
    [DEPLOYMENT_CIRCUIT_BREAKER] = SHAPE(deployment_circuit_breaker),
    [DEPLOYMENT_ALARMS] = SHAPE(deployment_alarms),
    [DEPLOYMENT_LIFECYCLE_HOOK] = SHAPE(deployment_lifecycle_hook),
    [LINEAR_CONFIGURATION] = SHAPE(linear_configuration),
    [CANARY_CONFIGURATION] = SHAPE(canary_configuration),
    [ADVANCED_CONFIGURATION] = SHAPE(advanced_configuration),
    [AWS_VPC_CONFIGURATION] = SHAPE(aws_vpc_configuration),
    [SERVICE_CONNECT_SERVICE] = SHAPE(service_connect_service),
    [LOG_CONFIGURATION] = SHAPE(log_configuration),
    [SERVICE_CONNECT_ACCESS_LOG_CONFIGURATION] = SHAPE(service_connect_access_log_configuration),
    [SERVICE_MANAGED_EBS_VOLUME_CONFIGURATION] = SHAPE(service_managed_ebs_volume_configuration),
    [SERVICE_REVISION_LOAD_BALANCER] = SHAPE(service_revision_load_balancer),
    [MANAGED_INGRESS_PATH] = SHAPE(managed_ingress_path),
    [MANAGED_AUTO_SCALING] = SHAPE(managed_auto_scaling),
    [MANAGED_METRIC_ALARM] = SHAPE(managed_metric_alarm),
    [MANAGED_SECURITY_GROUP] = SHAPE(managed_security_group),
    [MANAGED_LOG_GROUP] = SHAPE(managed_log_group),
    [RUNTIME_PLATFORM_OVERRIDE] = SHAPE(runtime_platform_override),
    [METRIC_CONFIGURATION] = SHAPE(metric_configuration),
    [THRESHOLD_CONFIGURATION] = SHAPE(threshold_configuration),
    [DEPLOYMENT_LIFECYCLE_HOOK_TIMEOUT_CONFIGURATION] =
        SHAPE(deployment_lifecycle_hook_timeout_configuration),
    [SERVICE_CONNECT_CLIENT_ALIAS] = SHAPE(service_connect_client_alias),
    [TIMEOUT_CONFIGURATION] = SHAPE(timeout_configuration),
    [SERVICE_CONNECT_TLS_CONFIGURATION] = SHAPE(service_connect_tls_configuration),
    [SECRET] = SHAPE(secret),
    [EBS_TAG_SPECIFICATION] = SHAPE(ebs_tag_specification),
    [MANAGED_LOAD_BALANCER] = SHAPE(managed_load_balancer),
    [MANAGED_CERTIFICATE] = SHAPE(managed_certificate),
    [MANAGED_LISTENER] = SHAPE(managed_listener),
    [MANAGED_LISTENER_RULE] = SHAPE(managed_listener_rule),
    [MANAGED_TARGET_GROUP] = SHAPE(managed_target_group),
    [MANAGED_SCALABLE_TARGET] = SHAPE(managed_scalable_target),
    [MANAGED_APPLICATION_AUTO_SCALING_POLICY] = SHAPE(managed_application_auto_scaling_policy),
    [SERVICE_CONNECT_TEST_TRAFFIC_RULES] = SHAPE(service_connect_test_traffic_rules),
    [SERVICE_CONNECT_TLS_CERTIFICATE_AUTHORITY] = SHAPE(service_connect_tls_certificate_authority),
    [TAG] = SHAPE(tag),
    [SERVICE_CONNECT_TEST_TRAFFIC_HEADER_RULES] = SHAPE(service_connect_test_traffic_header_rules),
    [SERVICE_CONNECT_TEST_TRAFFIC_HEADER_MATCH_RULES] =
        SHAPE(service_connect_test_traffic_header_match_rules),
};

enum { MOST_MEMBERS = sizeof(service_revision) / sizeof(service_revision[0]) };
#define NOWHERE UINT32_MAX

static uint32_t find(const struct shape *shape, struct ehi_slice name)
{
    for (uint32_t i = 0; i < shape->count; i++) {
        if (shape->members[i].length == name.length &&
            memcmp(shape->members[i].name, name.data, name.length) == 0)
            return i;
    }
    return NOWHERE;
}

static void make_time(struct ehi_value *value)
{
    int64_t us;
    if (ehi_time_from_value(value, &us, NULL) != ECSHIST_OK)
        return;
    value->kind = EHI_VALUE_TIME;
    value->count = 0;
    value->u.integer = us;
}

static int apply(unsigned shape, struct ehi_value *value, struct ehi_arena *arena);

static int apply_to_member(const struct member *member, struct ehi_value *value,
                           struct ehi_arena *arena)
{
    if (member->time)
        make_time(value);
    return member->shape == 0 ? ECSHIST_OK : apply(member->shape, value, arena);
}

/* Members the shape does not know keep their order; so does a name's second appearance. */
static int reorder(const struct shape *shape, const uint32_t from[MOST_MEMBERS],
                   struct ehi_value *map, struct ehi_arena *arena)
{
    struct ehi_member *ordered = ehi_arena_array(arena, map->count, sizeof(*ordered));
    if (ordered == NULL)
        return ECSHIST_NO_MEMORY;
    uint32_t n = 0;
    for (uint32_t i = 0; i < shape->count; i++) {
        if (from[i] != NOWHERE)
            ordered[n++] = map->u.members[from[i]];
    }
    for (uint32_t i = 0; i < map->count; i++) {
        uint32_t at = find(shape, map->u.members[i].name);
        if (at == NOWHERE || from[at] != i)
            ordered[n++] = map->u.members[i];
    }
    map->u.members = ordered;
    return ECSHIST_OK;
}

static int apply_to_map(const struct shape *shape, struct ehi_value *map, struct ehi_arena *arena)
{
    uint32_t from[MOST_MEMBERS]; /* where each of the shape's members stands in the map */
    for (uint32_t i = 0; i < shape->count; i++)
        from[i] = NOWHERE;
    bool in_order = true;
    uint32_t least = 0; /* the next member must not come before this one of the shape's */
    for (uint32_t i = 0; i < map->count; i++) {
        uint32_t at = find(shape, map->u.members[i].name);
        if (at == NOWHERE || from[at] != NOWHERE) {
            least = NOWHERE;
            continue;
        }
        from[at] = i;
        in_order = in_order && at >= least;
        least = least == NOWHERE ? NOWHERE : at;
        int rc = apply_to_member(&shape->members[at], &map->u.members[i].value, arena);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return in_order ? ECSHIST_OK : reorder(shape, from, map, arena);
}

static int apply(unsigned shape, struct ehi_value *value, struct ehi_arena *arena)
{
    if (value->kind == EHI_VALUE_MAP)
        return apply_to_map(&shapes[shape], value, arena);
    if (value->kind != EHI_VALUE_ARRAY)
        return ECSHIST_OK;
    for (uint32_t i = 0; i < value->count; i++) {
        int rc = apply(shape, &value->u.items[i], arena);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

int ehi_shape_place(unsigned shape, struct ehi_slice name, unsigned *within)
{
    uint32_t at = find(&shapes[shape], name);
    if (at == NOWHERE || shapes[shape].members[at].time)
        return -1;
    *within = shapes[shape].members[at].shape;
    return (int)at;
}

int ehi_shape_apply(enum ehi_shape shape, struct ehi_value *value, struct ehi_arena *arena)
{
    return apply(shape, value, arena);
}
