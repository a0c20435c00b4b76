/* Two states, member by member. Texts that are not set differ from empty ones. */
#include "upkeep/verify_internal.h"

#include "model/names.h"

static bool same_text(struct ehi_slice a, struct ehi_slice b)
{
    return (a.data == NULL) == (b.data == NULL) && ehi_slice_equal(a, b);
}

static bool same_texts(const struct ehi_slice *a, uint32_t a_count, const struct ehi_slice *b,
                       uint32_t b_count)
{
    bool same = a_count == b_count;
    for (uint32_t i = 0; same && i < a_count; i++)
        same = ehi_slice_equal(a[i], b[i]);
    return same;
}

static bool same_weight(bool a_has, double a, bool b_has, double b)
{
    return a_has == b_has && (!a_has || a == b);
}

static bool same_summary(const struct ehi_revision_summary *a, const struct ehi_revision_summary *b)
{
    return ehi_slice_equal(a->arn, b->arn) && a->requested == b->requested &&
           a->running == b->running && a->pending == b->pending &&
           same_weight(a->has_test_weight, a->test_weight, b->has_test_weight, b->test_weight) &&
           same_weight(a->has_production_weight, a->production_weight, b->has_production_weight,
                       b->production_weight);
}

static bool same_hook(const struct ehi_hook *a, const struct ehi_hook *b)
{
    return ehi_slice_equal(a->id, b->id) && same_text(a->target_arn, b->target_arn) &&
           a->target_type == b->target_type && a->status == b->status &&
           a->timeout_action == b->timeout_action && a->expires_at_us == b->expires_at_us &&
           ehi_slice_equal(a->extra, b->extra);
}

/* A member: its name, whether the two have it equal. */
struct member {
    const char *name;
    bool same;
};

static const char *first_difference(const struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!members[i].same)
            return members[i].name;
    }
    return NULL;
}
#define FIRST_DIFFERENCE(members) first_difference(members, sizeof(members) / sizeof(members[0]))

static bool same_sources(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    bool same = a->source_count == b->source_count;
    for (uint32_t i = 0; same && i < a->source_count; i++)
        same = same_summary(&a->sources[i], &b->sources[i]);
    return same;
}

static bool same_hooks(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    bool same = a->hook_count == b->hook_count;
    for (uint32_t i = 0; same && i < a->hook_count; i++)
        same = same_hook(&a->hooks[i], &b->hooks[i]);
    return same;
}

static bool same_configuration(const struct ehi_configuration *a, const struct ehi_configuration *b)
{
    return same_text(a->document, b->document) && a->breaker_enabled == b->breaker_enabled &&
           a->reset_on_healthy == b->reset_on_healthy && a->alarms_enabled == b->alarms_enabled &&
           a->threshold_type == b->threshold_type && a->threshold_value == b->threshold_value &&
           same_texts(a->alarm_names, a->alarm_count, b->alarm_names, b->alarm_count);
}

static const char *times_and_breaker(const struct ehi_deployment *a, const struct ehi_deployment *b)
{
    const struct member members[] = {
        {"createdAt", a->created_at_us == b->created_at_us},
        {"startedAt", a->started_at_us == b->started_at_us},
        {"finishedAt", a->finished_at_us == b->finished_at_us},
        {"stoppedAt", a->stopped_at_us == b->stopped_at_us},
        {"updatedAt", a->updated_at_us == b->updated_at_us},
        {"rollback", a->has_rollback == b->has_rollback},
        {"rollback.reason", same_text(a->rollback_reason, b->rollback_reason)},
        {"rollback.serviceRevisionArn",
         same_text(a->rollback_revision_arn, b->rollback_revision_arn)},
        {"rollback.startedAt", a->rollback_started_at_us == b->rollback_started_at_us},
        {"deploymentCircuitBreaker.status", a->breaker_status == b->breaker_status},
        {"deploymentCircuitBreaker.failureCount", a->failure_count == b->failure_count},
        {"deploymentCircuitBreaker.threshold", a->threshold == b->threshold},
        {"whether a desiredCount was given", a->has_desired == b->has_desired},
        {"the count known", a->known_count == b->known_count},
    };
    return FIRST_DIFFERENCE(members);
}

const char *verify_deployment_difference(const struct ehi_deployment *a,
                                         const struct ehi_deployment *b)
{
    const struct member members[] = {
        {"serviceDeploymentArn", ehi_slice_equal(a->arn, b->arn)},
        {"the seq of its first event", a->created_seq == b->created_seq},
        {"the seq of its newest applied event", a->last_seq == b->last_seq},
        {"the seq of its newest observation", a->last_observed_seq == b->last_observed_seq},
        {"status", a->status == b->status},
        {"statusReason", same_text(a->status_reason, b->status_reason)},
        {"lifecycleStage", a->stage == b->stage},
        {"targetServiceRevision", same_summary(&a->target, &b->target)},
        {"sourceServiceRevisions", same_sources(a, b)},
        {"deploymentConfiguration", same_configuration(&a->configuration, &b->configuration)},
        {"alarms.status", a->alarm_status == b->alarm_status},
        {"alarms.alarmNames",
         same_texts(a->alarm_names, a->alarm_count, b->alarm_names, b->alarm_count)},
        {"alarms.triggeredAlarmNames", same_texts(a->triggered_alarms, a->triggered_count,
                                                  b->triggered_alarms, b->triggered_count)},
        {"lifecycleHookDetails", same_hooks(a, b)},
        {"members that are not known", ehi_slice_equal(a->extra, b->extra)},
    };
    const char *first = FIRST_DIFFERENCE(members);
    return first != NULL ? first : times_and_breaker(a, b);
}

const char *verify_revision_difference(const struct ehi_revision *a, const struct ehi_revision *b)
{
    const struct member members[] = {
        {"serviceRevisionArn", ehi_slice_equal(a->arn, b->arn)},
        {"the seq of its document", a->document_seq == b->document_seq},
        {"the seq of its first event", a->first_seq == b->first_seq},
        {"whether it was observed", a->observed == b->observed},
        {"createdAt", a->created_at_us == b->created_at_us},
    };
    return FIRST_DIFFERENCE(members);
}

static bool same_counts(const struct ehi_service *a, const struct ehi_service *b)
{
    bool same = true;
    for (int i = 0; i < 16; i++)
        same = same && a->by_status[i] == b->by_status[i];
    return same;
}

const char *verify_service_difference(const struct ehi_service *a, const struct ehi_service *b)
{
    bool has_current = a->current_revision_arn.data != NULL;
    bool has_stated = a->stated_revision_arn.data != NULL;
    const struct member members[] = {
        {"serviceArn", ehi_slice_equal(a->arn, b->arn)},
        {"the seq of its first event", a->first_seq == b->first_seq},
        {"that something of it has expired", a->restated == b->restated},
        {"status", a->inactive == b->inactive},
        {"its deployments by status", same_counts(a, b)},
        {"currentServiceRevisionArn", same_text(a->current_revision_arn, b->current_revision_arn)},
        /* Where there is none, the two below mean nothing. */
        {"the end of its current deployment",
         !has_current || a->current_finished_at_us == b->current_finished_at_us},
        {"the seq of its current deployment",
         !has_current || a->current_created_seq == b->current_created_seq},
        {"the revision that was stated", same_text(a->stated_revision_arn, b->stated_revision_arn)},
        {"the end of the deployment that was stated",
         !has_stated || a->stated_finished_at_us == b->stated_finished_at_us},
        {"the seq of the deployment that was stated",
         !has_stated || a->stated_created_seq == b->stated_created_seq},
    };
    return FIRST_DIFFERENCE(members);
}
