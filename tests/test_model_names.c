#include "model/event.h"
#include "model/names.h"
#include "model/value.h"

#include <criterion/criterion.h>
#include <ecshist/query.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Stored numbers, written down once more: a change here is a change of the format. */
static const struct {
    enum ehi_enum which;
    int number;
    const char *name;
} stored[] = {
    {EHI_ENUM_STATUS, ECSHIST_STATUS_PENDING, "PENDING"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_SUCCESSFUL, "SUCCESSFUL"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_STOPPED, "STOPPED"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_STOP_REQUESTED, "STOP_REQUESTED"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_IN_PROGRESS, "IN_PROGRESS"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_ROLLBACK_REQUESTED, "ROLLBACK_REQUESTED"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_ROLLBACK_IN_PROGRESS, "ROLLBACK_IN_PROGRESS"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_ROLLBACK_SUCCESSFUL, "ROLLBACK_SUCCESSFUL"},
    {EHI_ENUM_STATUS, ECSHIST_STATUS_ROLLBACK_FAILED, "ROLLBACK_FAILED"},
    {EHI_ENUM_MONITOR, EHI_TRIGGERED, "TRIGGERED"},
    {EHI_ENUM_MONITOR, EHI_MONITORING, "MONITORING"},
    {EHI_ENUM_MONITOR, EHI_MONITORING_COMPLETE, "MONITORING_COMPLETE"},
    {EHI_ENUM_MONITOR, EHI_DISABLED, "DISABLED"},
    {EHI_ENUM_STAGE, 1, "RECONCILE_SERVICE"},
    {EHI_ENUM_STAGE, 2, "PRE_SCALE_UP"},
    {EHI_ENUM_STAGE, 3, "SCALE_UP"},
    {EHI_ENUM_STAGE, 4, "POST_SCALE_UP"},
    {EHI_ENUM_STAGE, 5, "TEST_TRAFFIC_SHIFT"},
    {EHI_ENUM_STAGE, 6, "POST_TEST_TRAFFIC_SHIFT"},
    {EHI_ENUM_STAGE, 7, "PRODUCTION_TRAFFIC_SHIFT"},
    {EHI_ENUM_STAGE, 8, "POST_PRODUCTION_TRAFFIC_SHIFT"},
    {EHI_ENUM_STAGE, 9, "BAKE_TIME"},
    {EHI_ENUM_STAGE, 10, "CLEAN_UP"},
    {EHI_ENUM_HOOK_TARGET, EHI_AWS_LAMBDA, "AWS_LAMBDA"},
    {EHI_ENUM_HOOK_TARGET, EHI_PAUSE, "PAUSE"},
    {EHI_ENUM_HOOK_STATUS, EHI_AWAITING_ACTION, "AWAITING_ACTION"},
    {EHI_ENUM_HOOK_STATUS, EHI_HOOK_IN_PROGRESS, "IN_PROGRESS"},
    {EHI_ENUM_HOOK_STATUS, EHI_HOOK_SUCCEEDED, "SUCCEEDED"},
    {EHI_ENUM_HOOK_STATUS, EHI_HOOK_FAILED, "FAILED"},
    {EHI_ENUM_HOOK_STATUS, EHI_HOOK_TIMED_OUT, "TIMED_OUT"},
    {EHI_ENUM_HOOK_ACTION, EHI_ACTION_ROLLBACK, "ROLLBACK"},
    {EHI_ENUM_HOOK_ACTION, EHI_ACTION_CONTINUE, "CONTINUE"},
    {EHI_ENUM_STOP_TYPE, EHI_STOP_ABORT, "ABORT"},
    {EHI_ENUM_STOP_TYPE, EHI_STOP_ROLLBACK, "ROLLBACK"},
    {EHI_ENUM_THRESHOLD, EHI_COUNT, "COUNT"},
    {EHI_ENUM_THRESHOLD, EHI_BOUNDED_PERCENT, "BOUNDED_PERCENT"},
    {EHI_ENUM_THRESHOLD, EHI_UNBOUNDED_PERCENT, "UNBOUNDED_PERCENT"},
};

Test(model_names, both_ways)
{
    for (size_t i = 0; i < COUNT(stored); i++) {
        const char *name = ehi_enum_name(stored[i].which, stored[i].number);
        cr_assert_not_null(name, "%s", stored[i].name);
        cr_assert_str_eq(name, stored[i].name);
        cr_assert_eq(ehi_enum_number(stored[i].which, ehi_slice_text(stored[i].name)),
                     stored[i].number, "%s", stored[i].name);
    }
}

/* No enumeration has a name the table above lacks. */
Test(model_names, no_others)
{
    size_t found = 0;
    for (int which = EHI_ENUM_STATUS; which <= EHI_ENUM_THRESHOLD; which++) {
        for (int number = -1; number < 300; number++) {
            if (ehi_enum_name((enum ehi_enum)which, number) != NULL)
                found++;
        }
        cr_assert_null(ehi_enum_name((enum ehi_enum)which, 0));
    }
    cr_assert_eq(found, COUNT(stored));
    static const char *const unknown[] = {"", "pending", "PENDIN", "PENDINGX", "CONTINUE "};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        for (int which = EHI_ENUM_STATUS; which <= EHI_ENUM_THRESHOLD; which++)
            cr_assert_eq(ehi_enum_number((enum ehi_enum)which, ehi_slice_text(unknown[i])), 0);
    }
    cr_assert_eq(ehi_enum_number(EHI_ENUM_STATUS, EHI_SLICE_EMPTY), 0);
    cr_assert_eq(ehi_enum_number(EHI_ENUM_STOP_TYPE, ehi_slice_text("CONTINUE")), 0);
}

Test(model_names, lists)
{
    cr_assert_str_eq(ehi_enum_list(EHI_ENUM_STATUS),
                     "PENDING, SUCCESSFUL, STOPPED, STOP_REQUESTED, IN_PROGRESS, "
                     "ROLLBACK_REQUESTED, ROLLBACK_IN_PROGRESS, ROLLBACK_SUCCESSFUL, "
                     "ROLLBACK_FAILED");
    cr_assert_str_eq(ehi_enum_list(EHI_ENUM_HOOK_ACTION), "ROLLBACK, CONTINUE");
    cr_assert_str_eq(ehi_enum_list(EHI_ENUM_THRESHOLD),
                     "COUNT, BOUNDED_PERCENT, UNBOUNDED_PERCENT");
}

Test(model_names, terminal)
{
    for (int status = -1; status < 20; status++) {
        bool wanted = status == ECSHIST_STATUS_SUCCESSFUL || status == ECSHIST_STATUS_STOPPED ||
                      status == ECSHIST_STATUS_ROLLBACK_SUCCESSFUL ||
                      status == ECSHIST_STATUS_ROLLBACK_FAILED;
        cr_assert_eq(ehi_status_terminal(status), wanted, "status %d", status);
    }
}

static const struct {
    int number;
    const char *name;
    int subject;
} types[] = {
    {1, "revision-created", EHI_ARN_REVISION},
    {2, "deployment-created", EHI_ARN_DEPLOYMENT},
    {3, "deployment-started", EHI_ARN_DEPLOYMENT},
    {4, "tasks-updated", EHI_ARN_DEPLOYMENT},
    {5, "task-failed", EHI_ARN_DEPLOYMENT},
    {6, "task-healthy", EHI_ARN_DEPLOYMENT},
    {7, "alarm-triggered", EHI_ARN_DEPLOYMENT},
    {8, "lifecycle-stage-changed", EHI_ARN_DEPLOYMENT},
    {9, "lifecycle-hook-updated", EHI_ARN_DEPLOYMENT},
    {10, "hook-action-requested", EHI_ARN_DEPLOYMENT},
    {11, "stop-requested", EHI_ARN_DEPLOYMENT},
    {12, "rollback-started", EHI_ARN_DEPLOYMENT},
    {13, "rollback-succeeded", EHI_ARN_DEPLOYMENT},
    {14, "rollback-failed", EHI_ARN_DEPLOYMENT},
    {15, "deployment-succeeded", EHI_ARN_DEPLOYMENT},
    {16, "deployment-stopped", EHI_ARN_DEPLOYMENT},
    {17, "deployment-observed", EHI_ARN_DEPLOYMENT},
    {18, "revision-observed", EHI_ARN_REVISION},
    {19, "service-deleted", EHI_ARN_SERVICE},
    {20, "history-expired", 0},
};

Test(model_names, event_types)
{
    cr_assert_eq(COUNT(types), EHI_EVENT_TYPE_MAX);
    for (size_t i = 0; i < COUNT(types); i++) {
        cr_assert_str_eq(ehi_event_type_name(types[i].number), types[i].name);
        cr_assert_eq(ehi_event_type_number(ehi_slice_text(types[i].name)), types[i].number);
        cr_assert_eq((int)ehi_event_subject_kind(types[i].number), types[i].subject, "%s",
                     types[i].name);
    }
    static const int none[] = {-1, 0, EHI_EVENT_TYPE_MAX + 1, 1000};
    for (size_t i = 0; i < COUNT(none); i++) {
        cr_assert_null(ehi_event_type_name(none[i]));
        cr_assert_eq((int)ehi_event_subject_kind(none[i]), 0);
    }
    cr_assert_eq(ehi_event_type_number(ehi_slice_text("task-faile")), 0);
    cr_assert_eq(ehi_event_type_number(ehi_slice_text("Task-failed")), 0);
    cr_assert_eq(ehi_event_type_number(EHI_SLICE_EMPTY), 0);
}

Test(model_names, member_of_a_value)
{
    struct ehi_member members[] = {
        {ehi_slice_text("a"), {.kind = EHI_VALUE_INT, .u.integer = 1}},
        {ehi_slice_text("ab"), {.kind = EHI_VALUE_INT, .u.integer = 2}},
    };
    struct ehi_value map = {.kind = EHI_VALUE_MAP, .count = 2, .u.members = members};
    cr_assert_eq(ehi_value_member(&map, "ab"), &members[1].value);
    cr_assert_eq(ehi_value_member(&map, "a"), &members[0].value);
    cr_assert_null(ehi_value_member(&map, "b"));
    cr_assert_null(ehi_value_member(&map, ""));
    struct ehi_value array = {.kind = EHI_VALUE_ARRAY, .count = 1, .u.items = &map};
    cr_assert_null(ehi_value_member(&array, "a"));
}
