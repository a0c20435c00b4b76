/* deployment-observed: a ServiceDeployment of the ECS API as the view that it states. */
#include "codec/document.h"
#include "codec/record.h"
#include "model/names.h"
#include "json/json.h"

#include <criterion/criterion.h>
#include <ecshist/query.h>
#include <stdio.h>

#define BASE "arn:aws:ecs:eu-west-1:123456789012:"
#define SUBJECT BASE "service-deployment/main/web/d1"
#define REVISION BASE "service-revision/main/web/"
#define TARGET "'targetServiceRevision': {'arn': '" REVISION "2'}"
#define DONE "'status': 'SUCCESSFUL', " TARGET
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ehi_arena arena;

static void free_arena(void)
{
    ehi_arena_free(&arena);
}

TestSuite(codec_observed, .fini = free_arena);

static int try_decode(const char *members, struct ehi_event *out, struct ecshist_error *error)
{
    char text[8192];
    snprintf(text, sizeof(text),
             "{'type': 'deployment-observed', 'time': 5, 'serviceDeploymentArn': '" SUBJECT
             "', 'serviceDeployment': {%s}}",
             members);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            *c = '"';
    }
    struct ehi_slice json = ehi_arena_copy(&arena, ehi_slice_text(text));
    struct ehi_value value;
    cr_assert_eq(ehi_json_parse((const char *)json.data, json.length, &arena, &value, error),
                 ECSHIST_OK, "%s: %s", text, error->message);
    struct ehi_buffer buffer = {0};
    cr_assert_eq(ehi_record_encode(&value, &buffer, error), ECSHIST_OK);
    struct ehi_slice record = ehi_arena_copy(&arena, ehi_buffer_slice(&buffer));
    ehi_buffer_free(&buffer);
    return ehi_event_decode(record, &arena, out, error);
}

static const struct ehi_deployment *observe(const char *members)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_event event;
    int rc = try_decode(members, &event, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s: %s: %s", members, error.place, error.message);
    cr_assert_not_null(event.observed);
    return event.observed;
}

static const struct {
    const char *members, *place, *message;
} invalid[] = {
    {TARGET, ".status", "is required"},
    {"'status': 'SUCCESSFUL'", ".targetServiceRevision.arn", "is required"},
    {"'status': 'SUCCESSFUL', 'targetServiceRevision': {}", ".targetServiceRevision.arn",
     "is required"},
    {"'status': 'DONE', " TARGET, ".status", "ROLLBACK_FAILED"},
    {DONE ", 'serviceDeploymentArn': '" SUBJECT "0'", ".serviceDeploymentArn", "does not agree"},
    {DONE ", 'serviceArn': '" BASE "service/main/api'", ".serviceArn", "does not agree"},
    {DONE ", 'clusterArn': '" BASE "cluster/x'", ".clusterArn", "does not agree"},
    {DONE ", 'createdAt': 'x'", ".createdAt", "3339"},
    {DONE ", 'startedAt': true", ".startedAt", ""},
    {DONE ", 'finishedAt': -1", ".finishedAt", "epoch"},
    {DONE ", 'stoppedAt': {}", ".stoppedAt", ""},
    {DONE ", 'updatedAt': null", ".updatedAt", ""},
    {DONE ", 'sourceServiceRevisions': {}", ".sourceServiceRevisions", "must be a list"},
    {DONE ", 'sourceServiceRevisions': [{}]", ".sourceServiceRevisions[0].arn", "is required"},
    {DONE ", 'sourceServiceRevisions': [{'arn': '" BASE "service-revision/main/api/1'}]",
     ".sourceServiceRevisions[0].arn", "another service"},
    {DONE ", 'statusReason': 1", ".statusReason", "must be a string"},
    {DONE ", 'lifecycleStage': 'x'", ".lifecycleStage", "BAKE_TIME"},
    {DONE ", 'lifecycleHookDetails': [{'hookId': 'h'}, {'status': 'FAILED'}]",
     ".lifecycleHookDetails[1].hookId", "is required"},
    {DONE ", 'rollback': []", ".rollback", "must be an object"},
    {DONE ", 'rollback': {'startedAt': 'x'}", ".rollback.startedAt", "3339"},
    {DONE ", 'rollback': {'serviceRevisionArn': 'x'}", ".rollback.serviceRevisionArn",
     "not the ARN"},
    {DONE ", 'rollback': {'reason': 1}", ".rollback.reason", "must be a string"},
    {DONE ", 'deploymentCircuitBreaker': {'status': 'x'}", ".deploymentCircuitBreaker.status",
     "TRIGGERED"},
    {DONE ", 'deploymentCircuitBreaker': {'failureCount': -1}",
     ".deploymentCircuitBreaker.failureCount", "must be 0 to"},
    {DONE ", 'deploymentCircuitBreaker': {'threshold': 0.5}", ".deploymentCircuitBreaker.threshold",
     "must be an integer"},
    {DONE ", 'alarms': {'status': ''}", ".alarms.status", "DISABLED"},
    {DONE ", 'alarms': {'alarmNames': ['']}", ".alarms.alarmNames[0]", "must not be empty"},
    {DONE ", 'alarms': {'triggeredAlarmNames': 1}", ".alarms.triggeredAlarmNames",
     "must be a list"},
    {DONE ", 'deploymentConfiguration': {'alarms': {'enable': 1}}",
     ".deploymentConfiguration.alarms.enable", "must be true or false"},
};

Test(codec_observed, what_is_refused)
{
    for (size_t i = 0; i < COUNT(invalid); i++) {
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        struct ehi_event event;
        char place[200];
        snprintf(place, sizeof(place), "serviceDeployment%s", invalid[i].place);
        cr_assert_eq(try_decode(invalid[i].members, &event, &error), ECSHIST_INVALID, "%s",
                     invalid[i].members);
        cr_assert_str_eq(error.place, place);
        cr_assert_not_null(strstr(error.message, invalid[i].message), "%s: %s", invalid[i].members,
                           error.message);
    }
}

Test(codec_observed, the_least)
{
    const struct ehi_deployment *d = observe("'status': 'PENDING', " TARGET);
    cr_assert(ehi_slice_is(d->arn, SUBJECT));
    cr_assert_eq(d->status, ECSHIST_STATUS_PENDING);
    cr_assert(ehi_slice_is(d->target.arn, REVISION "2"));
    cr_assert_eq(d->created_at_us, EHI_TIME_NONE);
    cr_assert_eq(d->updated_at_us, EHI_TIME_NONE);
    cr_assert_eq(d->source_count + d->hook_count + d->alarm_count + d->triggered_count, 0u);
    cr_assert_null(d->configuration.document.data);
    cr_assert(d->configuration.reset_on_healthy);
    cr_assert_eq(d->breaker_status, EHI_DISABLED);
    cr_assert_eq(d->alarm_status, EHI_DISABLED);
    cr_assert_not(d->has_rollback);
    cr_assert_null(d->status_reason.data);
    cr_assert_eq(d->extra.length, 0u);
}

Test(codec_observed, all_of_it)
{
    const struct ehi_deployment *d = observe(
        "'serviceDeploymentArn': '" SUBJECT "', 'serviceArn': '" BASE "service/main/web', "
        "'clusterArn': '" BASE
        "cluster/main', 'createdAt': '1970-01-01T00:00:01Z', 'startedAt': 2, "
        "'finishedAt': 3.5, 'stoppedAt': 4, 'updatedAt': 5, 'sourceServiceRevisions': [{'arn': "
        "'" REVISION "1', 'requestedTaskCount': 1, 'runningTaskCount': 2, 'pendingTaskCount': 3, "
        "'requestedProductionTrafficWeight': 10}], 'targetServiceRevision': {'arn': '" REVISION
        "2', 'runningTaskCount': 4, 'requestedTestTrafficWeight': 0.5}, 'status': "
        "'ROLLBACK_FAILED', "
        "'statusReason': 'why', 'lifecycleStage': 'CLEAN_UP', 'lifecycleHookDetails': [{'hookId': "
        "'h', "
        "'status': 'FAILED', 'more': 1}], 'deploymentConfiguration': {'maximumPercent': 200}, "
        "'rollback': {'reason': 'r', 'startedAt': 6, 'serviceRevisionArn': '" REVISION "1'}, "
        "'deploymentCircuitBreaker': {'status': 'TRIGGERED', 'failureCount': 7, 'threshold': 6}, "
        "'alarms': {'status': 'MONITORING', 'alarmNames': ['a', 'b'], 'triggeredAlarmNames': "
        "['b']}");
    cr_assert_eq(d->created_at_us, 1000000);
    cr_assert_eq(d->started_at_us, 2000000);
    cr_assert_eq(d->finished_at_us, 3500000);
    cr_assert_eq(d->stopped_at_us, 4000000);
    cr_assert_eq(d->updated_at_us, 5000000);
    cr_assert_eq(d->source_count, 1u);
    cr_assert_eq(d->sources[0].requested * 100 + d->sources[0].running * 10 + d->sources[0].pending,
                 123);
    cr_assert(d->sources[0].has_production_weight && d->sources[0].production_weight == 10);
    cr_assert(d->target.has_test_weight && d->target.test_weight == 0.5);
    cr_assert_eq(d->target.running, 4);
    cr_assert_eq(d->status, ECSHIST_STATUS_ROLLBACK_FAILED);
    cr_assert(ehi_slice_is(d->status_reason, "why"));
    cr_assert_str_eq(ehi_enum_name(EHI_ENUM_STAGE, d->stage), "CLEAN_UP");
    cr_assert_eq(d->hook_count, 1u);
    cr_assert_eq(d->hooks[0].status, EHI_HOOK_FAILED);
    cr_assert(ehi_slice_equal(d->hooks[0].extra, EHI_SLICE_LITERAL("\x81\xa4more\x01")));
    cr_assert(ehi_slice_equal(d->configuration.document, EHI_SLICE_LITERAL("\x81\x3a\xcc\xc8")));
    cr_assert(d->has_rollback);
    cr_assert(ehi_slice_is(d->rollback_reason, "r"));
    cr_assert_eq(d->rollback_started_at_us, 6000000);
    cr_assert(ehi_slice_is(d->rollback_revision_arn, REVISION "1"));
    cr_assert_eq(d->breaker_status, EHI_TRIGGERED);
    cr_assert_eq(d->failure_count, 7);
    cr_assert_eq(d->threshold, 6);
    cr_assert_eq(d->alarm_status, EHI_MONITORING);
    cr_assert_eq(d->alarm_count, 2u);
    cr_assert_eq(d->triggered_count, 1u);
    cr_assert(ehi_slice_is(d->triggered_alarms[0], "b"));
    cr_assert_eq(d->extra.length, 0u);
}

#define ENABLED                                                                                    \
    "'deploymentConfiguration': {'deploymentCircuitBreaker': {'enable': true, 'rollback': true}, " \
    "'alarms': {'enable': true, 'rollback': false, 'alarmNames': ['a']}}"

Test(codec_observed, monitors_that_were_not_stated)
{
    const struct ehi_deployment *d = observe("'status': 'IN_PROGRESS', " TARGET ", " ENABLED);
    cr_assert_eq(d->breaker_status, EHI_MONITORING);
    cr_assert_eq(d->alarm_status, EHI_MONITORING);
    cr_assert_eq(d->alarm_count, 1u);
    cr_assert(ehi_slice_is(d->alarm_names[0], "a"));
    d = observe(DONE ", " ENABLED);
    cr_assert_eq(d->breaker_status, EHI_MONITORING_COMPLETE);
    cr_assert_eq(d->alarm_status, EHI_MONITORING_COMPLETE);
    d = observe(DONE ", " ENABLED ", 'alarms': {'alarmNames': []}, 'deploymentCircuitBreaker': "
                     "{'status': 'DISABLED'}");
    cr_assert_eq(d->breaker_status, EHI_DISABLED);
    cr_assert_eq(d->alarm_status, EHI_MONITORING_COMPLETE);
    cr_assert_eq(d->alarm_count, 0u);
    d = observe(DONE
                ", 'deploymentConfiguration': {'alarms': {'enable': false, 'alarmNames': ['a']}}");
    cr_assert_eq(d->alarm_status, EHI_DISABLED);
    cr_assert_eq(d->alarm_count, 0u);
}

Test(codec_observed, unknown_members_are_kept)
{
    const struct ehi_deployment *d =
        observe("'zz': {'arn': []}, " DONE ", 'taskArn': 3, 'aa': null");
    cr_assert(ehi_slice_equal(d->extra, EHI_SLICE_LITERAL("\x83\xa2zz\x81\x21\x90\x0b\x03\xa2"
                                                          "aa\xc0")));
    cr_assert(ehi_document_valid(d->extra));
}

Test(codec_observed, lists_up_to_their_bound)
{
    char members[8000];
    char *at = members + sprintf(members, DONE ", 'lifecycleHookDetails': [");
    for (unsigned i = 0; i <= ECSHIST_MAX_HOOKS; i++)
        at += sprintf(at, "%s{'hookId': 'h%u'}", i == 0 ? "" : ", ", i);
    strcpy(at, "]");
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ehi_event event;
    cr_assert_eq(try_decode(members, &event, &error), ECSHIST_LIMIT);
    cr_assert_str_eq(error.place, "serviceDeployment.lifecycleHookDetails");
    cr_assert_not_null(strstr(error.message, "100 are allowed"), "%s", error.message);
    at = members + sprintf(members, DONE ", 'sourceServiceRevisions': [");
    for (unsigned i = 0; i <= ECSHIST_MAX_SOURCE_REVISIONS; i++)
        at += sprintf(at, "%s{}", i == 0 ? "" : ", ");
    strcpy(at, "]");
    cr_assert_eq(try_decode(members, &event, &error), ECSHIST_LIMIT);
    cr_assert_str_eq(error.place, "serviceDeployment.sourceServiceRevisions");
}
