/* What watches a deployment: the circuit breaker (spec 4.5), the alarms (4.6). For folding only. */
#ifndef EHI_FOLD_REDUCE_MONITORS_H
#define EHI_FOLD_REDUCE_MONITORS_H

#include "base/arena.h"
#include "base/error.h"
#include "model/event.h"

/* A configuration given for the first time: the alarms it names are shown from now on. */
void ehi_monitors_configure(struct ehi_deployment *state,
                            const struct ehi_configuration *configuration);
/* task-failed, task-healthy, of the target while IN_PROGRESS. */
void ehi_breaker_count_failure(struct ehi_deployment *state);
void ehi_breaker_count_healthy(struct ehi_deployment *state);
/* alarm-triggered. CONFLICT, NO_MEMORY; the state is changed on success only. */
int ehi_alarms_trigger(struct ehi_deployment *state, const struct ehi_event *event,
                       struct ehi_arena *arena, struct ecshist_error *error) ECSHIST_CHECKED;
/* After the rest of an event. count_news: it supplied a task count or a configuration. */
void ehi_monitors_settle(struct ehi_deployment *state, bool count_news);

#endif
