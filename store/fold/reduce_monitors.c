#include "fold/reduce_monitors.h"

#include "model/names.h"

#include <ecshist/limits.h>
#include <ecshist/query.h>

/* ECS's bounds of BOUNDED_PERCENT. */
enum { THRESHOLD_LEAST = 3, THRESHOLD_MOST = 200 };

void ehi_monitors_configure(struct ehi_deployment *state,
                            const struct ehi_configuration *configuration)
{
    state->configuration = *configuration;
    state->alarm_names = configuration->alarms_enabled ? configuration->alarm_names : NULL;
    state->alarm_count = configuration->alarms_enabled ? configuration->alarm_count : 0;
}

/* Value and count are within ECSHIST_MAX_COUNT, so that the product cannot overflow. */
static int64_t percent_rounded_up(int64_t value, int64_t count)
{
    return (value * count + 99) / 100;
}

static int64_t threshold_of(const struct ehi_configuration *configuration, int64_t count)
{
    if (configuration->threshold_type == EHI_COUNT)
        return configuration->threshold_value;
    int64_t threshold = percent_rounded_up(configuration->threshold_value, count);
    if (configuration->threshold_type == EHI_UNBOUNDED_PERCENT)
        return threshold;
    if (threshold < THRESHOLD_LEAST)
        return THRESHOLD_LEAST;
    return threshold > THRESHOLD_MOST ? THRESHOLD_MOST : threshold;
}

void ehi_breaker_count_failure(struct ehi_deployment *state)
{
    if (state->configuration.breaker_enabled)
        state->failure_count++;
}

void ehi_breaker_count_healthy(struct ehi_deployment *state)
{
    const struct ehi_configuration *configuration = &state->configuration;
    if (configuration->breaker_enabled && configuration->reset_on_healthy &&
        state->breaker_status != EHI_TRIGGERED)
        state->failure_count = 0;
}

static bool is_listed(const struct ehi_slice *names, uint32_t count, struct ehi_slice name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ehi_slice_equal(names[i], name))
            return true;
    }
    return false;
}

static int check_alarms(const struct ehi_configuration *configuration,
                        const struct ehi_event *event, struct ecshist_error *error)
{
    if (!configuration->alarms_enabled)
        return ehi_fail(error, ECSHIST_CONFLICT,
                        "the deployment's configuration enables no alarms");
    for (uint32_t i = 0; i < event->alarm_count; i++) {
        struct ehi_slice name = event->alarm_names[i];
        if (!is_listed(configuration->alarm_names, configuration->alarm_count, name))
            return ehi_fail(error, ECSHIST_CONFLICT,
                            "the alarm %.*s is not in the deployment's configuration",
                            EHI_FMT(name));
    }
    return ECSHIST_OK;
}

int ehi_alarms_trigger(struct ehi_deployment *state, const struct ehi_event *event,
                       struct ehi_arena *arena, struct ecshist_error *error)
{
    int rc = check_alarms(&state->configuration, event, error);
    if (rc != ECSHIST_OK)
        return rc;
    uint32_t count = state->triggered_count;
    struct ehi_slice *names =
        ehi_arena_array(arena, (size_t)count + event->alarm_count, sizeof(*names));
    if (names == NULL)
        return ehi_fail_memory(error);
    if (count > 0)
        memcpy(names, state->triggered_alarms, count * sizeof(*names));
    for (uint32_t i = 0; i < event->alarm_count; i++) {
        if (!is_listed(names, count, event->alarm_names[i]))
            names[count++] = event->alarm_names[i];
    }
    if (count > ECSHIST_MAX_ALARMS)
        return ehi_fail(error, ECSHIST_CONFLICT, "more than %u alarms of one deployment triggered",
                        ECSHIST_MAX_ALARMS);
    state->triggered_alarms = names;
    state->triggered_count = count;
    state->alarm_status = EHI_TRIGGERED;
    return ECSHIST_OK;
}

static uint8_t monitor_status(uint8_t status, bool enabled, bool terminal)
{
    if (status == EHI_TRIGGERED)
        return status;
    if (!enabled)
        return EHI_DISABLED;
    return terminal ? EHI_MONITORING_COMPLETE : EHI_MONITORING;
}

/* A count of 0 is known only where it is a desiredCount that was given. */
static bool follows_count(const struct ehi_deployment *state)
{
    bool open =
        state->status == ECSHIST_STATUS_PENDING || state->status == ECSHIST_STATUS_IN_PROGRESS;
    return open && state->configuration.breaker_enabled && state->breaker_status != EHI_TRIGGERED &&
           (state->has_desired || state->known_count > 0);
}

static bool breaker_trips(const struct ehi_deployment *state)
{
    return state->configuration.breaker_enabled && !ehi_status_terminal(state->status) &&
           state->threshold > 0 && state->failure_count >= state->threshold;
}

void ehi_monitors_settle(struct ehi_deployment *state, bool count_news)
{
    /* Only on news: an observed threshold stays until an event says otherwise. */
    if (count_news && follows_count(state))
        state->threshold = threshold_of(&state->configuration, state->known_count);
    if (breaker_trips(state))
        state->breaker_status = EHI_TRIGGERED;
    bool terminal = ehi_status_terminal(state->status);
    state->breaker_status =
        monitor_status(state->breaker_status, state->configuration.breaker_enabled, terminal);
    state->alarm_status =
        monitor_status(state->alarm_status, state->configuration.alarms_enabled, terminal);
}
