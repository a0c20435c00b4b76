/*
 * A second model of the event store, slow and simple, for comparison: it keeps every event it was
 * given and makes each view from scratch, on jansson objects. Written from the text of the
 * specification; shares no code with store/. It takes well-formed events only: what section 3
 * demands of an event's form is not its business. Memory running out ends the process.
 */
#ifndef TESTS_SUPPORT_NAIVE_H
#define TESTS_SUPPORT_NAIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct naive;

enum naive_outcome {
    NAIVE_APPENDED,
    NAIVE_DUPLICATE,
    NAIVE_IGNORED, /* lenient only */
    NAIVE_CONFLICT,
    NAIVE_NOT_FOUND,
    NAIVE_INVALID /* a first deployment-started without a target */
};

struct naive_result {
    enum naive_outcome outcome;
    uint64_t seq;   /* its own; of a duplicate: the first one's; 0 where it was refused */
    bool same_view; /* a duplicate because nothing would change, not because of its id */
};

/* All zero: now. At most one of the two is set. */
struct naive_as_of {
    uint64_t seq;
    bool has_time;
    int64_t time_us;
};

/* A rule to get wrong on purpose, so that a comparison can be shown to notice. */
enum naive_mistake {
    NAIVE_NO_MISTAKE,
    NAIVE_ROUNDS_DOWN,       /* the breaker's threshold */
    NAIVE_TRIGGERS_LATE,     /* failureCount > threshold */
    NAIVE_ALWAYS_RESETS,     /* whatever resetOnHealthyTask says */
    NAIVE_UPDATED_LAST,      /* updatedAt: the newest event's time, not the greatest */
    NAIVE_REASON_ALWAYS,     /* statusReason also where the status stays */
    NAIVE_STOPPED_IS_SILENT, /* no finishedAt after deployment-stopped */
    NAIVE_FORGETS_DESIRED,   /* requestedTaskCount counts in spite of desiredCount */
    NAIVE_ALARMS_REPEAT,     /* a triggered alarm is listed again */
    NAIVE_HOOKS_REPLACED,    /* members not named are lost */
    NAIVE_LATE_STOP,         /* stop-requested also after the end */
    NAIVE_MISTAKES
};

struct naive *naive_new(void);
void naive_free(struct naive *model);
void naive_break(struct naive *model, enum naive_mistake mistake);

/* One event: a JSON object as text, or parsed (kept as a copy). */
struct naive_result naive_append(struct naive *model, const char *json_line, bool lenient);
struct naive_result naive_append_value(struct naive *model, const json_t *event, bool lenient);
/* What an append would give, without it. */
struct naive_result naive_judge(const struct naive *model, const json_t *event, bool lenient);
/* Events taken so far: appended and ignored ones. Forgetting those past `count` undoes a batch. */
uint64_t naive_count(const struct naive *model);
void naive_forget(struct naive *model, uint64_t count);

/*
 * Views; yours (json_decref); NULL: MISSING. Timestamps are integers of microseconds (but in a
 * revision's document). A deployment: the shape ServiceDeployment. A service: {serviceArn,
 * clusterArn, status, currentServiceRevisionArn, deployments: {STATUS: count}}, counts of 0 left
 * out. A revision: {serviceRevisionArn, serviceArn, clusterArn, createdAt} and its document's
 * members.
 */
json_t *naive_deployment(const struct naive *model, const char *arn, struct naive_as_of as_of);
json_t *naive_service(const struct naive *model, const char *arn, struct naive_as_of as_of);
json_t *naive_revision(const struct naive *model, const char *arn, struct naive_as_of as_of);

/*
 * A view of this model against one as the library writes it (wire form, or with ISO times): equal
 * but for the order of members and the form of numbers and times. Where they differ, false, and
 * the place and both values in `where`.
 */
bool naive_agrees(const json_t *view, const json_t *other, char *where, size_t where_size);

/* A time as events have it, in microseconds. */
int64_t naive_time(const json_t *value);

#endif
