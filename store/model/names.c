#include "model/names.h"

#include "base/scan.h"

#include <assert.h>
#include <ecshist/query.h>

/*
 * Each list stands once: a name's number is its place in it, from 1. Numbers are stored, so a new
 * name goes to the end, wherever the API puts it.
 */
#define STATUSES(X)                                                                                \
    X(PENDING)                                                                                     \
    X(SUCCESSFUL)                                                                                  \
    X(STOPPED)                                                                                     \
    X(STOP_REQUESTED)                                                                              \
    X(IN_PROGRESS)                                                                                 \
    X(ROLLBACK_REQUESTED)                                                                          \
    X(ROLLBACK_IN_PROGRESS)                                                                        \
    X(ROLLBACK_SUCCESSFUL)                                                                         \
    X(ROLLBACK_FAILED)
#define MONITORS(X) X(TRIGGERED) X(MONITORING) X(MONITORING_COMPLETE) X(DISABLED)
#define STAGES(X)                                                                                  \
    X(RECONCILE_SERVICE)                                                                           \
    X(PRE_SCALE_UP)                                                                                \
    X(SCALE_UP)                                                                                    \
    X(POST_SCALE_UP)                                                                               \
    X(TEST_TRAFFIC_SHIFT)                                                                          \
    X(POST_TEST_TRAFFIC_SHIFT)                                                                     \
    X(PRODUCTION_TRAFFIC_SHIFT)                                                                    \
    X(POST_PRODUCTION_TRAFFIC_SHIFT)                                                               \
    X(BAKE_TIME)                                                                                   \
    X(CLEAN_UP)
#define HOOK_TARGETS(X) X(AWS_LAMBDA) X(PAUSE)
#define HOOK_STATUSES(X) X(AWAITING_ACTION) X(IN_PROGRESS) X(SUCCEEDED) X(FAILED) X(TIMED_OUT)
#define HOOK_ACTIONS(X) X(ROLLBACK) X(CONTINUE)
#define STOP_TYPES(X) X(ABORT) X(ROLLBACK)
#define THRESHOLDS(X) X(COUNT) X(BOUNDED_PERCENT) X(UNBOUNDED_PERCENT)

/* The numbers other files know, held against the last name of each list. */
static_assert(ECSHIST_STATUS_ROLLBACK_FAILED == 9, "STATUSES");
static_assert(EHI_DISABLED == 4, "MONITORS");
static_assert(EHI_PAUSE == 2, "HOOK_TARGETS");
static_assert(EHI_HOOK_TIMED_OUT == 5, "HOOK_STATUSES");
static_assert(EHI_ACTION_CONTINUE == 2, "HOOK_ACTIONS");
static_assert(EHI_STOP_ROLLBACK == 2, "STOP_TYPES");
static_assert(EHI_UNBOUNDED_PERCENT == 3, "THRESHOLDS");

#define NAMED(name) {#name, sizeof(#name) - 1},
#define LISTED(name) ", " #name

struct name {
    const char *text;
    size_t length;
};

static const struct name statuses[] = {STATUSES(NAMED)};
static const struct name monitors[] = {MONITORS(NAMED)};
static const struct name stages[] = {STAGES(NAMED)};
static const struct name hook_targets[] = {HOOK_TARGETS(NAMED)};
static const struct name hook_statuses[] = {HOOK_STATUSES(NAMED)};
static const struct name hook_actions[] = {HOOK_ACTIONS(NAMED)};
static const struct name stop_types[] = {STOP_TYPES(NAMED)};
static const struct name thresholds[] = {THRESHOLDS(NAMED)};

#define ROW(names, LIST)                                                                           \
    {                                                                                              \
        names, sizeof(names) / sizeof((names)[0]), LIST(LISTED)                                    \
    }

static const struct {
    const struct name *names;
    int count;
    const char *list; /* ", " before each */
} enums[] = {
    [EHI_ENUM_STATUS] = ROW(statuses, STATUSES),
    [EHI_ENUM_MONITOR] = ROW(monitors, MONITORS),
    [EHI_ENUM_STAGE] = ROW(stages, STAGES),
    [EHI_ENUM_HOOK_TARGET] = ROW(hook_targets, HOOK_TARGETS),
    [EHI_ENUM_HOOK_STATUS] = ROW(hook_statuses, HOOK_STATUSES),
    [EHI_ENUM_HOOK_ACTION] = ROW(hook_actions, HOOK_ACTIONS),
    [EHI_ENUM_STOP_TYPE] = ROW(stop_types, STOP_TYPES),
    [EHI_ENUM_THRESHOLD] = ROW(thresholds, THRESHOLDS),
};

const char *ehi_enum_name(enum ehi_enum which, int number)
{
    if (number < 1 || number > enums[which].count)
        return NULL;
    return enums[which].names[number - 1].text;
}

struct ehi_slice ehi_enum_text(enum ehi_enum which, int number)
{
    if (number < 1 || number > enums[which].count)
        return EHI_SLICE_EMPTY;
    const struct name *name = &enums[which].names[number - 1];
    return ehi_slice(name->text, name->length);
}

int ehi_enum_number(enum ehi_enum which, struct ehi_slice name)
{
    for (int i = 0; i < enums[which].count; i++) {
        const struct name *known = &enums[which].names[i];
        if (known->length == name.length &&
            ehi_same_bytes((const uint8_t *)known->text, name.data, name.length))
            return i + 1;
    }
    return 0;
}

const char *ehi_enum_list(enum ehi_enum which)
{
    return enums[which].list + strlen(", ");
}

bool ehi_status_terminal(int status)
{
    return status == ECSHIST_STATUS_SUCCESSFUL || status == ECSHIST_STATUS_STOPPED ||
           status == ECSHIST_STATUS_ROLLBACK_SUCCESSFUL || status == ECSHIST_STATUS_ROLLBACK_FAILED;
}
