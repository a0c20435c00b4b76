/*
 * Events checked and typed: for each member of the catalogue what is taken, what is refused, and
 * where.
 */
#include "codec/document.h"
#include "codec/record.h"
#include "model/names.h"
#include "json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE "arn:aws:ecs:eu-west-1:123456789012:"
#define SUBJECT BASE "service-deployment/main/web/d1"
#define REVISION BASE "service-revision/main/web/"
#define SERVICE BASE "service/main/web"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ehi_arena arena;

static void free_arena(void)
{
    ehi_arena_free(&arena);
}

TestSuite(codec_event, .fini = free_arena);

/* The envelope of a type, and other members behind it: '' for "", so that rows can be read. */
static struct ehi_slice encode(const char *type, const char *members)
{
    char text[8192];
    int number = ehi_event_type_number(ehi_slice_text(type));
    const char *subject = "'serviceDeploymentArn': '" SUBJECT "'";
    if (ehi_event_subject_kind(number) == EHI_ARN_REVISION)
        subject = "'serviceRevisionArn': '" REVISION "2'";
    else if (ehi_event_subject_kind(number) == EHI_ARN_SERVICE)
        subject = "'serviceArn': '" SERVICE "'";
    snprintf(text, sizeof(text), "{'type': '%s', 'time': 5, %s%s%s}", type, subject,
             *members == '\0' ? "" : ", ", members);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            *c = '"';
    }
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_slice json = ehi_arena_copy(&arena, ehi_slice_text(text));
    struct ehi_value value;
    cr_assert_eq(ehi_json_parse((const char *)json.data, json.length, &arena, &value, &error),
                 ECSHIST_OK, "%s: %s", text, error.message);
    struct ehi_buffer out = {0};
    cr_assert_eq(ehi_record_encode(&value, &out, &error), ECSHIST_OK, "%s: %s", text,
                 error.message);
    struct ehi_slice record = ehi_arena_copy(&arena, ehi_buffer_slice(&out));
    ehi_buffer_free(&out);
    return record;
}

static struct ehi_event decode(const char *type, const char *members)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_event event;
    int rc = ehi_event_decode(encode(type, members), &arena, &event, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s %s: %s: %s", type, members, error.place, error.message);
    return event;
}

struct refusal {
    const char *type, *members, *place, *message;
};

static void expect_refused(const struct refusal *row, int code)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_event event;
    int rc = ehi_event_decode(encode(row->type, row->members), &arena, &event, &error);
    cr_assert_eq(rc, code, "%s %s: %d %s", row->type, row->members, rc, error.message);
    cr_assert_eq(error.code, code);
    cr_assert_str_eq(error.place, row->place, "%s %s: \"%s\"", row->type, row->members,
                     error.place);
    cr_assert_not_null(strstr(error.message, row->message), "%s %s: %s", row->type, row->members,
                       error.message);
}

#define T "'targetServiceRevisionArn': '" REVISION "2'"
#define COUNTS "must be 0 to 2147483647"

static const struct refusal invalid[] = {
    {"deployment-created", "", "targetServiceRevisionArn", "is required"},
    {"deployment-created", "'targetServiceRevisionArn': 1", "targetServiceRevisionArn",
     "must be a string"},
    {"deployment-created", "'targetServiceRevisionArn': 'x'", "targetServiceRevisionArn",
     "not the ARN of a service revision"},
    {"deployment-created", "'targetServiceRevisionArn': '" SUBJECT "'", "targetServiceRevisionArn",
     "not the ARN of a service revision"},
    {"deployment-created", "'targetServiceRevisionArn': '" BASE "service-revision/main/api/2'",
     "targetServiceRevisionArn", "another service"},
    {"deployment-created", "'targetServiceRevisionArn': '" BASE "service-revision/test/web/2'",
     "targetServiceRevisionArn", "another service"},
    {"deployment-created",
     "'targetServiceRevisionArn': 'arn:aws:ecs:eu-west-2:123456789012:service-revision/main/web/2'",
     "targetServiceRevisionArn", "another service"},
    {"deployment-created",
     "'targetServiceRevisionArn': 'arn:aws:ecs:eu-west-1:123456789013:service-revision/main/web/2'",
     "targetServiceRevisionArn", "another service"},
    {"deployment-created",
     "'targetServiceRevisionArn': "
     "'arn:aws-cn:ecs:eu-west-1:123456789012:service-revision/main/web/2'",
     "targetServiceRevisionArn", "another service"},
    {"deployment-created", T ", 'sourceServiceRevisionArns': {}", "sourceServiceRevisionArns",
     "must be a list"},
    {"deployment-created", T ", 'sourceServiceRevisionArns': [1]", "sourceServiceRevisionArns[0]",
     "must be a string"},
    {"deployment-created",
     T ", 'sourceServiceRevisionArns': ['" REVISION "1', '" BASE "service-revision/main/api/1']",
     "sourceServiceRevisionArns[1]", "another service"},
    {"deployment-created",
     T ", 'sourceServiceRevisionArns': ['" REVISION "1', '" REVISION "0', '" REVISION "1']",
     "sourceServiceRevisionArns[2]", "twice"},
    {"deployment-created", T ", 'desiredCount': -1", "desiredCount", COUNTS},
    {"deployment-created", T ", 'desiredCount': 2147483648", "desiredCount", COUNTS},
    {"deployment-created", T ", 'desiredCount': 1.0", "desiredCount", "must be an integer"},
    {"deployment-created", T ", 'desiredCount': null", "desiredCount", "must be an integer"},
    {"deployment-created", T ", 'deploymentConfiguration': []", "deploymentConfiguration",
     "must be an object"},
    {"deployment-started", "'createdAt': 'x'", "createdAt", "3339"},
    {"deployment-started", "'createdAt': -1", "createdAt", "epoch"},
    {"tasks-updated", "", "serviceRevisions", "is required"},
    {"tasks-updated", "'serviceRevisions': {}", "serviceRevisions", "must be a list"},
    {"tasks-updated", "'serviceRevisions': [1]", "serviceRevisions[0]", "must be an object"},
    {"tasks-updated", "'serviceRevisions': [{}]", "serviceRevisions[0].arn", "is required"},
    {"tasks-updated",
     "'serviceRevisions': [{'arn': '" REVISION "1'}, {'arn': '" REVISION
     "2', 'runningTaskCount': -1}]",
     "serviceRevisions[1].runningTaskCount", COUNTS},
    {"tasks-updated",
     "'serviceRevisions': [{'arn': '" REVISION "1', 'requestedTestTrafficWeight': 100.5}]",
     "serviceRevisions[0].requestedTestTrafficWeight", "must be 0 to 100"},
    {"tasks-updated",
     "'serviceRevisions': [{'arn': '" REVISION "1', 'requestedProductionTrafficWeight': '1'}]",
     "serviceRevisions[0].requestedProductionTrafficWeight", "must be a number"},
    {"task-failed", "", "taskArn", "is required"},
    {"task-failed", "'taskArn': '" SUBJECT "'", "taskArn", "not the ARN of a task"},
    {"task-failed", "'taskArn': '" BASE "task/other/1'", "taskArn", "another cluster"},
    {"task-failed", "'taskArn': '" BASE "task/main/1', 'reason': 1", "reason", "must be a string"},
    {"task-failed", "'taskArn': '" BASE "task/main/1', 'stopCode': 1", "stopCode",
     "must be a string"},
    {"task-failed", "'taskArn': '" BASE "task/main/1', 'exitCode': '1'", "exitCode",
     "must be an integer"},
    {"task-failed", "'taskArn': '" BASE "task/main/1', 'containerName': []", "containerName",
     "must be a string"},
    {"task-healthy", "'taskArn': '" BASE "task/main/1', 'serviceRevisionArn': '" SERVICE "'",
     "serviceRevisionArn", "not the ARN of a service revision"},
    {"task-healthy",
     "'taskArn': '" BASE "task/main/1', 'serviceRevisionArn': '" BASE "service-revision/main/x/1'",
     "serviceRevisionArn", "another service"},
    {"alarm-triggered", "", "alarmNames", "is required"},
    {"alarm-triggered", "'alarmNames': 'x'", "alarmNames", "must be a list"},
    {"alarm-triggered", "'alarmNames': ['x', '']", "alarmNames[1]", "must not be empty"},
    {"alarm-triggered", "'alarmNames': [null]", "alarmNames[0]", "must be a string"},
    {"lifecycle-stage-changed", "", "lifecycleStage", "is required"},
    {"lifecycle-stage-changed", "'lifecycleStage': 'X'", "lifecycleStage", "PRE_SCALE_UP"},
    {"lifecycle-hook-updated", "", "hook", "is required"},
    {"lifecycle-hook-updated", "'hook': {}", "hook.hookId", "is required"},
    {"lifecycle-hook-updated", "'hook': {'hookId': ''}", "hook.hookId", "must not be empty"},
    {"lifecycle-hook-updated", "'hook': {'hookId': 'h', 'status': 'OK'}", "hook.status",
     "TIMED_OUT"},
    {"lifecycle-hook-updated", "'hook': {'hookId': 'h', 'targetType': 'OK'}", "hook.targetType",
     "AWS_LAMBDA"},
    {"lifecycle-hook-updated", "'hook': {'hookId': 'h', 'timeoutAction': 'OK'}",
     "hook.timeoutAction", "CONTINUE"},
    {"lifecycle-hook-updated", "'hook': {'hookId': 'h', 'expiresAt': 'OK'}", "hook.expiresAt",
     "3339"},
    {"lifecycle-hook-updated", "'hook': {'hookId': 'h', 'targetArn': 1}", "hook.targetArn",
     "must be a string"},
    {"hook-action-requested", "", "hookId", "is required"},
    {"hook-action-requested", "'hookId': 'h', 'action': 'STOP'", "action", "ROLLBACK"},
    {"hook-action-requested", "'hookId': 'h', 'requestedBy': 1", "requestedBy", "must be a string"},
    {"stop-requested", "'stopType': 'CONTINUE'", "stopType", "ABORT"},
    {"stop-requested", "'requestedBy': {}", "requestedBy", "must be a string"},
    {"rollback-started", "'serviceRevisionArn': 1", "serviceRevisionArn", "must be a string"},
    {"rollback-started", "'reason': null", "reason", "must be a string"},
    {"rollback-succeeded", "'reason': 1", "reason", "must be a string"},
    {"rollback-failed", "'reason': 1", "reason", "must be a string"},
    {"deployment-succeeded", "'reason': 1", "reason", "must be a string"},
    {"deployment-stopped", "'reason': 1", "reason", "must be a string"},
    {"service-deleted", "'reason': 1", "reason", "must be a string"},
    {"revision-created", "", "revision", "is required"},
    {"revision-created", "'revision': []", "revision", "must be an object"},
    {"revision-created", "'revision': {'serviceRevisionArn': '" REVISION "3'}",
     "revision.serviceRevisionArn", "does not agree"},
    {"revision-created", "'revision': {'serviceArn': '" BASE "service/main/api'}",
     "revision.serviceArn", "does not agree"},
    {"revision-created", "'revision': {'clusterArn': '" BASE "cluster/x'}", "revision.clusterArn",
     "does not agree"},
    {"revision-created", "'revision': {'clusterArn': null}", "revision.clusterArn",
     "must be a string"},
    {"revision-observed", "", "serviceRevision", "is required"},
    {"revision-observed", "'serviceRevision': {'createdAt': 'x'}", "serviceRevision.createdAt",
     "3339"},
    /* The envelope's repetitions. */
    {"deployment-stopped", "'serviceArn': '" BASE "service/main/api'", "serviceArn",
     "does not agree"},
    {"deployment-stopped", "'clusterArn': '" BASE "cluster/x'", "clusterArn", "does not agree"},
    {"deployment-stopped", "'clusterArn': '" SERVICE "'", "clusterArn", "not the ARN of a cluster"},
    {"deployment-stopped", "'serviceRevisionArn': '" BASE "service-revision/main/api/1'",
     "serviceRevisionArn", "does not agree"},
    {"deployment-stopped", "'serviceRevisionArn': 7", "serviceRevisionArn", "must be a string"},
    {"revision-created",
     "'revision': {}, 'serviceDeploymentArn': '" BASE "service-deployment/main/api/1'",
     "serviceDeploymentArn", "does not agree"},
    {"service-deleted", "'clusterArn': '" BASE "cluster/x'", "clusterArn", "does not agree"},
};

Test(codec_event, what_is_refused)
{
    for (size_t i = 0; i < COUNT(invalid); i++)
        expect_refused(&invalid[i], ECSHIST_INVALID);
}

static const struct refusal bad_configurations[] = {
    {NULL, "'maximumPercent': 1.5", ".maximumPercent", "must be an integer"},
    {NULL, "'minimumHealthyPercent': -1", ".minimumHealthyPercent", COUNTS},
    {NULL, "'deploymentCircuitBreaker': 1", ".deploymentCircuitBreaker", "must be an object"},
    {NULL, "'deploymentCircuitBreaker': {'enable': 1}", ".deploymentCircuitBreaker.enable",
     "must be true or false"},
    {NULL, "'deploymentCircuitBreaker': {'rollback': 'x'}", ".deploymentCircuitBreaker.rollback",
     "must be true or false"},
    {NULL, "'deploymentCircuitBreaker': {'resetOnHealthyTask': null}",
     ".deploymentCircuitBreaker.resetOnHealthyTask", "must be true or false"},
    {NULL, "'deploymentCircuitBreaker': {'thresholdConfiguration': 5}",
     ".deploymentCircuitBreaker.thresholdConfiguration", "must be an object"},
    {NULL, "'deploymentCircuitBreaker': {'thresholdConfiguration': {'type': 'X'}}",
     ".deploymentCircuitBreaker.thresholdConfiguration.type", "BOUNDED_PERCENT"},
    {NULL, "'deploymentCircuitBreaker': {'thresholdConfiguration': {'value': -1}}",
     ".deploymentCircuitBreaker.thresholdConfiguration.value", COUNTS},
    {NULL, "'alarms': []", ".alarms", "must be an object"},
    {NULL, "'alarms': {'enable': 0}", ".alarms.enable", "must be true or false"},
    {NULL, "'alarms': {'rollback': 0}", ".alarms.rollback", "must be true or false"},
    {NULL, "'alarms': {'alarmNames': [0]}", ".alarms.alarmNames[0]", "must be a string"},
};

Test(codec_event, what_is_refused_of_a_configuration)
{
    for (size_t i = 0; i < COUNT(bad_configurations); i++) {
        char members[1000], place[200];
        snprintf(members, sizeof(members), "'deploymentConfiguration': {%s}",
                 bad_configurations[i].members);
        snprintf(place, sizeof(place), "deploymentConfiguration%s", bad_configurations[i].place);
        struct refusal row = {"deployment-started", members, place, bad_configurations[i].message};
        expect_refused(&row, ECSHIST_INVALID);
    }
}

Test(codec_event, arn_too_long_is_a_limit)
{
    char members[1400], arn[1200];
    memset(arn, 'a', sizeof(arn));
    arn[1025] = '\0';
    snprintf(members, sizeof(members), "'targetServiceRevisionArn': '%s'", arn);
    struct refusal row = {"deployment-created", members, "targetServiceRevisionArn", "1024"};
    expect_refused(&row, ECSHIST_LIMIT);
}

/* A list of `count` texts that begin with `front`. */
static void make_list(char *out, const char *name, const char *front, unsigned count)
{
    out += sprintf(out, "'%s': [", name);
    for (unsigned i = 0; i < count; i++)
        out += sprintf(out, "%s'%s%u'", i == 0 ? "" : ", ", front, i);
    strcpy(out, "]");
}

Test(codec_event, lists_up_to_their_bound)
{
    char list[8000];
    make_list(list, "alarmNames", "x", ECSHIST_MAX_ALARMS);
    cr_assert_eq(decode("alarm-triggered", list).alarm_count, ECSHIST_MAX_ALARMS);
    make_list(list, "alarmNames", "x", ECSHIST_MAX_ALARMS + 1);
    struct refusal row = {"alarm-triggered", list, "alarmNames", "101 alarms, 100 are allowed"};
    expect_refused(&row, ECSHIST_LIMIT);
    make_list(list, "sourceServiceRevisionArns", "", ECSHIST_MAX_SOURCE_REVISIONS + 1);
    row = (struct refusal){"deployment-started", list, "sourceServiceRevisionArns",
                           "101 source revisions, 100 are allowed"};
    expect_refused(&row, ECSHIST_LIMIT);
    make_list(list, "serviceRevisions", "", ECSHIST_MAX_SOURCE_REVISIONS + 2);
    row = (struct refusal){"tasks-updated", list, "serviceRevisions", "102 revisions"};
    expect_refused(&row, ECSHIST_LIMIT);
}

Test(codec_event, created)
{
    struct ehi_event e = decode("deployment-created", T ", 'sourceServiceRevisionArns': ['" REVISION
                                                        "1', '" REVISION "0'], 'desiredCount': 3");
    cr_assert_eq(e.type, EHI_DEPLOYMENT_CREATED);
    cr_assert_eq(e.time_us, 5000000);
    cr_assert_eq(e.arn.kind, EHI_ARN_DEPLOYMENT);
    cr_assert(ehi_slice_is(e.arn.service, "web"));
    cr_assert(ehi_slice_is(e.target_arn, REVISION "2"));
    cr_assert(e.has_sources);
    cr_assert_eq(e.source_count, 2u);
    cr_assert(ehi_slice_is(e.sources[1], REVISION "0"));
    cr_assert(e.has_desired);
    cr_assert_eq(e.desired_count, 3);
    cr_assert_null(e.configuration.document.data);
    cr_assert_eq(e.created_at_us, EHI_TIME_NONE);
    cr_assert_null(e.reason.data);
    e = decode("deployment-created", T);
    cr_assert_not(e.has_sources);
    cr_assert_not(e.has_desired);
    e = decode("deployment-created", T ", 'sourceServiceRevisionArns': []");
    cr_assert(e.has_sources);
    cr_assert_eq(e.source_count, 0u);
}

Test(codec_event, started_needs_nothing)
{
    struct ehi_event e = decode("deployment-started", "");
    cr_assert_null(e.target_arn.data);
    e = decode("deployment-started", T ", 'createdAt': 4.5");
    cr_assert_eq(e.created_at_us, 4500000);
    e = decode("deployment-started", "'createdAt': '1970-01-01T00:00:01Z'");
    cr_assert_eq(e.created_at_us, 1000000);
}

Test(codec_event, configuration)
{
    struct ehi_event e = decode(
        "deployment-started",
        "'deploymentConfiguration': {'strategy': 7, 'maximumPercent': 200, "
        "'deploymentCircuitBreaker': {'new': {}, 'enable': true, 'rollback': false, "
        "'resetOnHealthyTask': false, 'thresholdConfiguration': {'type': 'COUNT', 'value': 9}}, "
        "'alarms': {'enable': true, 'rollback': true, 'alarmNames': ['a', 'b']}}");
    const struct ehi_configuration *c = &e.configuration;
    cr_assert(c->breaker_enabled);
    cr_assert_not(c->reset_on_healthy);
    cr_assert_eq(c->threshold_type, EHI_COUNT);
    cr_assert_eq(c->threshold_value, 9);
    cr_assert(c->alarms_enabled);
    cr_assert_eq(c->alarm_count, 2u);
    cr_assert(ehi_slice_is(c->alarm_names[1], "b"));
    cr_assert_eq(c->document.data[0], 0x84);
    cr_assert(ehi_slice_equal(c->document, ehi_slice(e.body.data + 2, e.body.length - 2)));
}

Test(codec_event, configuration_defaults)
{
    struct ehi_event e = decode("deployment-started", "'deploymentConfiguration': {}");
    const struct ehi_configuration *c = &e.configuration;
    cr_assert(ehi_slice_equal(c->document, EHI_SLICE_LITERAL("\x80")));
    cr_assert_not(c->breaker_enabled);
    cr_assert(c->reset_on_healthy);
    cr_assert_eq(c->threshold_type, EHI_BOUNDED_PERCENT);
    cr_assert_eq(c->threshold_value, 50);
    cr_assert_not(c->alarms_enabled);
    cr_assert_eq(c->alarm_count, 0u);
}

/* Counts of one byte in the order that is usual, and everything else: the same. */
static void expect_counts(const char *order, const unsigned counts[3])
{
    char parts[4][120], members[600];
    snprintf(parts[0], sizeof(parts[0]), "'arn': '" REVISION "7'");
    snprintf(parts[1], sizeof(parts[1]), "'requestedTaskCount': %u", counts[0]);
    snprintf(parts[2], sizeof(parts[2]), "'runningTaskCount': %u", counts[1]);
    snprintf(parts[3], sizeof(parts[3]), "'pendingTaskCount': %u", counts[2]);
    size_t length = (size_t)snprintf(members, sizeof(members), "'serviceRevisions': [{");
    for (const char *o = order; *o != '\0'; o++)
        length += (size_t)snprintf(members + length, sizeof(members) - length, "%s%s",
                                   o == order ? "" : ", ", *o == 'x' ? "'x': 1" : parts[*o - '0']);
    snprintf(members + length, sizeof(members) - length, "}]");
    struct ehi_event event = decode("tasks-updated", members);
    const struct ehi_revision_summary *summary = &event.updates[0].summary;
    cr_assert(event.update_count == 1 && ehi_slice_is(summary->arn, REVISION "7"));
    cr_assert(summary->requested == counts[0] && summary->running == counts[1] &&
              summary->pending == counts[2]);
    cr_assert_eq(event.updates[0].has,
                 (unsigned)(EHI_HAS_REQUESTED | EHI_HAS_RUNNING | EHI_HAS_PENDING));
}

Test(codec_event, counts_in_any_order_and_size)
{
    static const char *const orders[] = {"0123", "1023", "0132", "3210", "0123x", "x0123"};
    static const unsigned sizes[] = {0, 127, 128, 300};
    for (size_t i = 0; i < COUNT(orders) * 64; i++) {
        unsigned counts[] = {sizes[i % 4], sizes[i / 4 % 4], sizes[i / 16 % 4]};
        expect_counts(orders[i / 64], counts);
    }
}

Test(codec_event, tasks_updated)
{
    struct ehi_event e = decode(
        "tasks-updated",
        "'desiredCount': 0, 'serviceRevisions': [{'arn': '" REVISION "1', "
        "'requestedTaskCount': 2147483647, 'pendingTaskCount': 2, 'new': 1}, {'arn': '" REVISION
        "2', 'runningTaskCount': 1, 'requestedTestTrafficWeight': 100, "
        "'requestedProductionTrafficWeight': 0.5}]");
    cr_assert_eq(e.update_count, 2u);
    cr_assert(ehi_slice_is(e.updates[0].summary.arn, REVISION "1"));
    cr_assert_eq(e.updates[0].has, (unsigned)(EHI_HAS_REQUESTED | EHI_HAS_PENDING));
    cr_assert_eq(e.updates[0].summary.requested, 2147483647);
    cr_assert_eq(e.updates[0].summary.pending, 2);
    cr_assert_eq(e.updates[1].has, (unsigned)(EHI_HAS_RUNNING | EHI_HAS_TEST | EHI_HAS_PRODUCTION));
    cr_assert(e.updates[1].summary.test_weight == 100);
    cr_assert(e.updates[1].summary.production_weight == 0.5);
    cr_assert(e.updates[1].summary.has_production_weight);
    cr_assert_not(e.updates[0].summary.has_production_weight);
    cr_assert(e.has_desired);
    cr_assert_eq(decode("tasks-updated", "'serviceRevisions': []").update_count, 0u);
}

Test(codec_event, tasks)
{
    struct ehi_event e =
        decode("task-failed", "'taskArn': '" BASE "task/main/t1', 'exitCode': -9, "
                              "'reason': '', 'serviceRevisionArn': '" REVISION "1'");
    cr_assert(ehi_slice_is(e.task_arn, BASE "task/main/t1"));
    cr_assert(ehi_slice_is(e.revision_arn, REVISION "1"));
    cr_assert_not_null(e.reason.data);
    cr_assert_eq(e.reason.length, 0u);
    e = decode("task-healthy", "'taskArn': '" BASE "task/main/t1'");
    cr_assert_null(e.revision_arn.data);
}

Test(codec_event, hooks)
{
    struct ehi_event e = decode("lifecycle-hook-updated", "'hook': {'hookId': 'h'}");
    cr_assert(ehi_slice_is(e.hook.id, "h"));
    cr_assert_eq(e.hook.status + e.hook.target_type + e.hook.timeout_action, 0);
    cr_assert_eq(e.hook.expires_at_us, EHI_TIME_NONE);
    cr_assert_null(e.hook.target_arn.data);
    cr_assert_eq(e.hook.extra.length, 0u);
    e = decode(
        "lifecycle-hook-updated",
        "'hook': {'new': [1], 'hookId': 'h', 'targetType': 'PAUSE', 'targetArn': 'x', 'arn': 2, "
        "'status': 'AWAITING_ACTION', 'expiresAt': 7, 'timeoutAction': 'ROLLBACK'}");
    cr_assert_eq(e.hook.target_type, EHI_PAUSE);
    cr_assert_eq(e.hook.status, EHI_AWAITING_ACTION);
    cr_assert_eq(e.hook.timeout_action, EHI_ACTION_ROLLBACK);
    cr_assert_eq(e.hook.expires_at_us, 7000000);
    cr_assert(ehi_slice_equal(e.hook.extra, EHI_SLICE_LITERAL("\x82\xa3new\x91\x01\x21\x02")));
}

/* A map's head in each of its lengths. */
Test(codec_event, a_hooks_many_unknown_members)
{
    static const unsigned counts[] = {15, 16, 300};
    for (size_t i = 0; i < COUNT(counts); i++) {
        char members[8000];
        char *at = members + sprintf(members, "'hook': {'hookId': 'h'");
        for (unsigned j = 0; j < counts[i]; j++)
            at += sprintf(at, ", 'x%u': %u", j, j);
        strcpy(at, "}");
        struct ehi_event e = decode("lifecycle-hook-updated", members);
        struct ehi_value extra;
        cr_assert_eq(ehi_document_decode(e.hook.extra, &arena, &extra, NULL), ECSHIST_OK);
        cr_assert_eq(extra.kind, EHI_VALUE_MAP);
        cr_assert_eq(extra.count, counts[i]);
        cr_assert(ehi_slice_is(extra.u.members[14].name, "x14"));
    }
}

Test(codec_event, actions_and_stops)
{
    cr_assert_eq(decode("hook-action-requested", "'hookId': 'h'").action, EHI_ACTION_CONTINUE);
    struct ehi_event e =
        decode("hook-action-requested", "'hookId': 'h', 'action': 'ROLLBACK', 'requestedBy': 'me'");
    cr_assert_eq(e.action, EHI_ACTION_ROLLBACK);
    cr_assert(ehi_slice_is(e.hook_id, "h"));
    cr_assert_eq(decode("stop-requested", "").stop_type, EHI_STOP_ROLLBACK);
    cr_assert_eq(decode("stop-requested", "'stopType': 'ABORT'").stop_type, EHI_STOP_ABORT);
}

Test(codec_event, the_rest)
{
    struct ehi_event e = decode("lifecycle-stage-changed", "'lifecycleStage': 'BAKE_TIME'");
    cr_assert_str_eq(ehi_enum_name(EHI_ENUM_STAGE, e.stage), "BAKE_TIME");
    e = decode("rollback-started", "'serviceRevisionArn': '" REVISION "1', 'reason': 'r'");
    cr_assert(ehi_slice_is(e.revision_arn, REVISION "1"));
    cr_assert(ehi_slice_is(e.reason, "r"));
    e = decode("service-deleted", "'reason': 'gone'");
    cr_assert_eq(e.arn.kind, EHI_ARN_SERVICE);
    cr_assert(ehi_slice_is(e.reason, "gone"));
    e = decode("alarm-triggered", "'alarmNames': ['a']");
    cr_assert(ehi_slice_is(e.alarm_names[0], "a"));
}

Test(codec_event, revisions)
{
    struct ehi_event e = decode(
        "revision-created",
        "'revision': {'taskDefinition': 1, 'createdAt': 'not looked at', 'serviceRevisionArn': "
        "'" REVISION "2', 'serviceArn': '" SERVICE "', 'clusterArn': '" BASE "cluster/main'}");
    cr_assert_eq(e.arn.kind, EHI_ARN_REVISION);
    cr_assert_eq(e.document.data[0], 0x85);
    cr_assert_eq(e.document_created_at_us, EHI_TIME_NONE);
    e = decode("revision-observed", "'serviceRevision': {'createdAt': 3}");
    cr_assert_eq(e.document_created_at_us, 3000000);
    e = decode("revision-observed", "'serviceRevision': {}");
    cr_assert_eq(e.document_created_at_us, EHI_TIME_NONE);
    cr_assert(ehi_slice_equal(e.document, EHI_SLICE_LITERAL("\x80")));
}

Test(codec_event, repetitions_that_agree)
{
    decode("deployment-stopped", "'serviceArn': '" SERVICE "', 'clusterArn': '" BASE
                                 "cluster/main', 'serviceRevisionArn': '" REVISION "77'");
    decode("revision-created", "'revision': {}, 'serviceDeploymentArn': '" SUBJECT "'");
    decode("service-deleted", "'serviceRevisionArn': '" REVISION "77'");
}

/* Members of other types are unknown here: kept, not looked at. */
Test(codec_event, members_of_other_types_are_not_looked_at)
{
    struct ehi_event e = decode("deployment-stopped",
                                "'taskArn': 1, 'alarmNames': {}, 'hook': [], 'desiredCount': 'x', "
                                "'serviceDeployment': null, 'arn': 2, 'what': {'ever': [1.5]}");
    cr_assert_null(e.task_arn.data);
    cr_assert_not(e.has_desired);
    cr_assert_eq(e.body.data[0], 0x87);
    decode("task-healthy", "'taskArn': '" BASE "task/main/t1', 'reason': 5");
}

/* With a body given as bytes. */
static int decode_body(struct ehi_slice body, struct ecshist_error *error)
{
    uint8_t record[512] = {0};
    size_t subject = sizeof(SUBJECT) - 1;
    size_t used = EHI_RECORD_HEADER_BYTES + subject + body.length;
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)((used + 7) / 8 * 8));
    ehi_put_le16(record + EHI_REC_TYPE, EHI_DEPLOYMENT_STOPPED);
    ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)subject);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)body.length);
    memcpy(record + EHI_RECORD_HEADER_BYTES, SUBJECT, subject);
    memcpy(record + EHI_RECORD_HEADER_BYTES + subject, body.data, body.length);
    struct ehi_event event;
    return ehi_event_decode(ehi_slice(record, (used + 7) / 8 * 8), &arena, &event, error);
}

Test(codec_event, bodies_that_are_none)
{
    static const struct ehi_slice rows[] = {
        EHI_SLICE_LITERAL(""),
        EHI_SLICE_LITERAL("\x90"),
        EHI_SLICE_LITERAL("\xc0"),
        EHI_SLICE_LITERAL("\x81\x0c"),
        EHI_SLICE_LITERAL("\x80\x80"),
        EHI_SLICE_LITERAL("\x81\xa1x\xc4\x00"),
        EHI_SLICE_LITERAL("\x81\xcc\xbd\x01"), /* a number that is no name */
        EHI_SLICE_LITERAL("\x81\x0c\xa1\xff"),
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        cr_assert_eq(decode_body(rows[i], &error), ECSHIST_INVALID, "row %zu", i);
        cr_assert_not_null(strstr(error.message, "MessagePack"), "%s", error.message);
    }
    cr_assert_eq(decode_body(EHI_SLICE_LITERAL("\x80"), NULL), ECSHIST_OK);
}

Test(codec_event, a_member_twice_in_a_body)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = decode_body(EHI_SLICE_LITERAL("\x82\x0c\xa1x\xa6reason\xa1y"), &error);
    cr_assert_eq(rc, ECSHIST_INVALID);
    cr_assert_str_eq(error.place, "reason");
    cr_assert_str_eq(error.message, "is there twice");
}

/* The envelope's members have their place in the header. */
Test(codec_event, an_envelope_in_a_body)
{
    static const struct ehi_slice rows[] = {
        EHI_SLICE_LITERAL("\x81\x01\xd9\x42" SUBJECT),   /* serviceDeploymentArn */
        EHI_SLICE_LITERAL("\x81\x1c\xa1x"),              /* id */
        EHI_SLICE_LITERAL("\x81\x1d\xa1x"),              /* type */
        EHI_SLICE_LITERAL("\x81\x1e\x01"),               /* time */
        EHI_SLICE_LITERAL("\x81\x1f\x01"),               /* seq */
        EHI_SLICE_LITERAL("\x81\x20\x01"),               /* recordedAt */
        EHI_SLICE_LITERAL("\x82\x21\x01\xa3\x61rn\x01"), /* arn twice, of no type's members */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        cr_assert_eq(decode_body(rows[i], &error), ECSHIST_INVALID, "row %zu", i);
        cr_assert_str_eq(error.message, "is there twice", "row %zu", i);
    }
}

Test(codec_event, a_subject_of_the_wrong_kind)
{
    struct ehi_slice record = encode("deployment-stopped", "");
    uint8_t *bytes = (uint8_t *)(uintptr_t)record.data;
    ehi_put_le16(bytes + EHI_REC_TYPE, EHI_SERVICE_DELETED);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_event event;
    cr_assert_eq(ehi_event_decode(record, &arena, &event, &error), ECSHIST_INVALID);
    cr_assert_str_eq(error.place, "serviceArn");
    ehi_put_le16(bytes + EHI_REC_TYPE, EHI_HISTORY_EXPIRED);
    cr_assert_eq(ehi_event_decode(record, &arena, &event, &error), ECSHIST_INVALID);
}
