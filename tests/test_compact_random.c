/*
 * Retention on random streams: what must go is worked out here from the naive model's views, by the text of the rules; the
 * store is compacted; what must stay is as it was, what must go is MISSING, and a rebuild changes nothing. Then it all goes on:
 * later events, later compactions, stopped at any step.
 */
#include "fold/behind.h"
#include "support/hold.h"
#include "support/pair.h"
#include "support/random_events.h"
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REVISIONS = RANDOM_SERVICES * RANDOM_REVISIONS,
    SUBJECTS = RANDOM_DEPLOYMENTS + REVISIONS + RANDOM_SERVICES
};

/* A subject, as the model has it before. */
struct subject {
    char arn[256], service[256];
    json_t *view; /* NULL: MISSING */
    bool stays;
};

struct run {
    struct pair pair;
    struct random_events random;
    const char *path;
    uint64_t seed;
    int64_t cutoff_us;
    bool keep_last;
    struct subject subjects[SUBJECTS]; /* deployments, revisions, services */
};

static struct subject *deployments(struct run *run)
{
    return run->subjects;
}

static struct subject *revisions(struct run *run)
{
    return run->subjects + RANDOM_DEPLOYMENTS;
}

static struct subject *services(struct run *run)
{
    return run->subjects + RANDOM_DEPLOYMENTS + REVISIONS;
}

static const char *text(const json_t *view, const char *member)
{
    return json_string_value(json_object_get(view, member));
}

static bool is(const json_t *view, const char *member, const char *value)
{
    const char *have = text(view, member);
    return have != NULL && strcmp(have, value) == 0;
}

static void service_of(const char *arn, char *out)
{
    const char *type = strrchr(arn, ':') + 1;
    const char *names = strchr(type, '/');
    sprintf(out, "%.*sservice%s", (int)(type - arn), arn, names);
    *strrchr(out, '/') = '\0';
}

static void look(struct run *run)
{
    struct naive_as_of now = {0};
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++) {
        struct subject *s = &deployments(run)[i];
        random_deployment_arn(i, s->arn);
        service_of(s->arn, s->service);
        s->view = naive_deployment(run->pair.naive, s->arn, now);
    }
    for (int i = 0; i < REVISIONS; i++) {
        struct subject *s = &revisions(run)[i];
        random_revision_arn(i / RANDOM_REVISIONS, i % RANDOM_REVISIONS, s->arn);
        service_of(s->arn, s->service);
        s->view = naive_revision(run->pair.naive, s->arn, now);
    }
    for (int i = 0; i < RANDOM_SERVICES; i++) {
        struct subject *s = &services(run)[i];
        random_service_arn(i, s->arn);
        strcpy(s->service, s->arn);
        s->view = naive_service(run->pair.naive, s->arn, now);
    }
}

/* -- what must go ------------------------------------------------------------------------------ */

static bool is_terminal(const json_t *view)
{
    static const char *const terminal[] = {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL",
                                           "ROLLBACK_FAILED"};
    bool found = false;
    for (size_t i = 0; i < sizeof(terminal) / sizeof(terminal[0]); i++)
        found = found || is(view, "status", terminal[i]);
    return found;
}

static int64_t ended_at(const json_t *view)
{
    static const char *const members[] = {"finishedAt", "stoppedAt", "updatedAt"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *time = json_object_get(view, members[i]);
        if (time != NULL)
            return json_integer_value(time);
    }
    return INT64_MAX;
}

static const json_t *service_view(struct run *run, const char *arn)
{
    for (int i = 0; i < RANDOM_SERVICES; i++) {
        if (strcmp(services(run)[i].arn, arn) == 0)
            return services(run)[i].view;
    }
    return NULL;
}

static json_int_t finished(const struct subject *s)
{
    return json_integer_value(json_object_get(s->view, "finishedAt"));
}

static bool is_success_of(const struct subject *s, const char *service)
{
    return s->view != NULL && strcmp(s->service, service) == 0 &&
           is(s->view, "status", "SUCCESSFUL");
}

/* Two that ended at once (or do not say when, as observed ones may): the views do not tell which is the last. */
static bool is_open(struct run *run)
{
    bool found = false;
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++) {
        const struct subject *a = &deployments(run)[i];
        for (int j = 0; j < i; j++) {
            const struct subject *b = &deployments(run)[j];
            found = found || (is_success_of(a, a->service) && is_success_of(b, a->service) &&
                              finished(a) == finished(b));
        }
    }
    return found;
}

/* The newest SUCCESSFUL deployment of its service. */
static bool is_last(struct run *run, const struct subject *s)
{
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++) {
        const struct subject *other = &deployments(run)[i];
        if (is_success_of(other, s->service) && finished(other) > finished(s))
            return false;
    }
    return is(s->view, "status", "SUCCESSFUL");
}

static void judge_deployments(struct run *run)
{
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++) {
        struct subject *s = &deployments(run)[i];
        if (s->view == NULL)
            continue;
        bool old = is_terminal(s->view) && ended_at(s->view) < run->cutoff_us;
        bool active = is(service_view(run, s->service), "status", "ACTIVE");
        s->stays = !old || (run->keep_last && active && is_last(run, s));
    }
}

static bool names(const json_t *deployment, const char *revision)
{
    const json_t *sources = json_object_get(deployment, "sourceServiceRevisions");
    bool found = is(json_object_get(deployment, "targetServiceRevision"), "arn", revision) ||
                 is(json_object_get(deployment, "rollback"), "serviceRevisionArn", revision);
    for (size_t i = 0; i < json_array_size(sources); i++)
        found = found || is(json_array_get(sources, i), "arn", revision);
    return found;
}

/* When a revision whose document does not say so was recorded: by the log. */
static int64_t recorded_time(struct run *run, const char *arn)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event = NULL;
    int64_t time_us = 0;
    store_must(ecshist_cursor_open(run->pair.store, 1, &cursor, &error), "cursor", &error);
    while (ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        if (strcmp(info.subject_arn, arn) == 0 && !info.ignored)
            time_us = info.time_us;
    }
    ecshist_cursor_close(cursor);
    return time_us;
}

static void judge_revisions(struct run *run)
{
    for (int i = 0; i < REVISIONS; i++) {
        struct subject *s = &revisions(run)[i];
        if (s->view == NULL)
            continue;
        const json_t *created = json_object_get(s->view, "createdAt");
        const json_t *service = service_view(run, s->service);
        int64_t time_us =
            created != NULL ? json_integer_value(created) : recorded_time(run, s->arn);
        s->stays = time_us >= run->cutoff_us || (is(service, "status", "ACTIVE") &&
                                                 is(service, "currentServiceRevisionArn", s->arn));
        for (int d = 0; d < RANDOM_DEPLOYMENTS && !s->stays; d++)
            s->stays = deployments(run)[d].stays && names(deployments(run)[d].view, s->arn);
    }
}

static bool has_young_own_events(struct run *run, const char *service)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_cursor *cursor = NULL;
    const ecshist_event *event = NULL;
    bool found = false;
    store_must(ecshist_cursor_open(run->pair.store, 1, &cursor, &error), "cursor", &error);
    while (ecshist_cursor_next(cursor, &event, &error) == ECSHIST_OK) {
        struct ecshist_event_info info = ECSHIST_EVENT_INFO_INIT;
        ecshist_event_info(event, &info);
        found = found || (strcmp(info.subject_arn, service) == 0 && info.time_us >= run->cutoff_us);
    }
    ecshist_cursor_close(cursor);
    return found;
}

static void judge_services(struct run *run)
{
    for (int i = 0; i < RANDOM_SERVICES; i++) {
        struct subject *s = &services(run)[i];
        if (s->view == NULL)
            continue;
        s->stays = is(s->view, "status", "ACTIVE") || has_young_own_events(run, s->arn);
        for (int j = 0; j < RANDOM_DEPLOYMENTS + REVISIONS && !s->stays; j++)
            s->stays = run->subjects[j].stays && strcmp(run->subjects[j].service, s->arn) == 0;
    }
}

/* -- what is there afterwards ------------------------------------------------------------------ */

static void count_again(struct run *run, struct subject *service)
{
    json_t *counts = json_object();
    for (int i = 0; i < RANDOM_DEPLOYMENTS; i++) {
        const struct subject *d = &deployments(run)[i];
        if (!d->stays || strcmp(d->service, service->arn) != 0)
            continue;
        json_int_t n = json_integer_value(json_object_get(counts, text(d->view, "status")));
        json_object_set_new(counts, text(d->view, "status"), json_integer(n + 1));
    }
    json_object_set_new(service->view, "deployments", counts);
}

static void check_subject(struct run *run, struct subject *s, const char *when)
{
    char where[1024] = "";
    json_t *now = pair_view(&run->pair, s->arn);
    bool right =
        s->stays ? now != NULL && naive_agrees(s->view, now, where, sizeof(where)) : now == NULL;
    cr_assert(right, "seed %llu, %s: %s should %s, and does not: %s", (unsigned long long)run->seed,
              when, s->arn, s->stays ? "stay" : "go", where);
    json_decref(now);
}

static void check_all(struct run *run, const char *when)
{
    for (int i = 0; i < SUBJECTS; i++)
        check_subject(run, &run->subjects[i], when);
}

static bool tell(void *context, const struct ecshist_finding *finding)
{
    const struct run *run = context;
    fprintf(stderr, "seed %llu: %s, event %llu: %s\n", (unsigned long long)run->seed,
            finding->invariant, (unsigned long long)finding->seq, finding->text);
    return true;
}

/* By the rules as they are written down a second time in the library. */
static void verify(struct run *run)
{
    struct ecshist_verify_result result = ECSHIST_VERIFY_RESULT_INIT;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ecshist_verify(run->path, NULL, tell, run, &result, &error);
    cr_assert(rc == ECSHIST_OK && result.finding_count == 0, "seed %llu: %d, %s",
              (unsigned long long)run->seed, rc, error.message);
}

static void check_rebuild(struct run *run)
{
    if (random_percent(&run->random, 15))
        verify(run);
    char *live = hold_all(run->pair.store);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = ecshist_rebuild_index(run->pair.store, NULL, NULL, &error);
    cr_assert_eq(rc, ECSHIST_OK, "seed %llu: %s", (unsigned long long)run->seed, error.message);
    char *rebuilt = hold_all(run->pair.store);
    cr_assert_str_eq(live, rebuilt, "seed %llu: a rebuild shows something else",
                     (unsigned long long)run->seed);
    free(live);
    free(rebuilt);
}

/* -- runs -------------------------------------------------------------------------------------- */

static void append_to_both(struct run *run, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        json_t *event = random_events_next(&run->random);
        cr_assert(pair_append(&run->pair, &event, 1, ECSHIST_APPEND_LENIENT), "%s",
                  run->pair.where);
        json_decref(event);
    }
}

/* The model has no retention: from the first compaction on the store goes alone. */
static void append_to_store(struct run *run, unsigned count)
{
    struct ecshist_append_options options = ECSHIST_APPEND_OPTIONS_INIT;
    options.flags = ECSHIST_APPEND_LENIENT;
    for (unsigned i = 0; i < count; i++) {
        json_t *event = random_events_next(&run->random);
        char *json = json_dumps(event, 0);
        int rc = ecshist_append_json(run->pair.store, json, strlen(json), &options, NULL, NULL);
        cr_assert(rc == ECSHIST_OK || rc == ECSHIST_NOT_FOUND || rc == ECSHIST_CONFLICT ||
                      rc == ECSHIST_INVALID,
                  "seed %llu: %s: %s", (unsigned long long)run->seed, ecshist_code_name(rc), json);
        free(json);
        json_decref(event);
    }
}

static bool stops_at(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    unsigned *left = context;
    return (*left)-- > 1;
}

static void compact(struct run *run, unsigned stops_after)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    options.flags = run->keep_last ? 0 : ECSHIST_COMPACT_FORGET_LAST;
    options.retention_us = 1000000;
    options.has_now = true;
    options.now_us = run->cutoff_us + options.retention_us;
    if (stops_after != 0) {
        options.progress = stops_at;
        options.progress_context = &stops_after;
    }
    int rc = ecshist_compact(run->pair.store, &options, NULL, &error);
    cr_assert(rc == ECSHIST_OK || (rc == ECSHIST_END && options.progress != NULL),
              "seed %llu: %s: %s", (unsigned long long)run->seed, ecshist_code_name(rc),
              error.message);
}

static void choose(struct run *run)
{
    run->cutoff_us = run->random.now_us - (int64_t)random_below(&run->random, 3000) * 1000000;
    run->keep_last = random_percent(&run->random, 60);
}

/* Whether the outcome was open. */
static bool run_seed(uint64_t seed, const char *path)
{
    struct run run = {.path = path, .seed = seed};
#ifdef ECSHIST_TEST_HOOKS
    ehi_behind_test_hold_us = seed % 2 == 0 ? 0 : INT64_C(1000000000);
#endif
    run.pair.naive = naive_new();
    run.pair.store = store_dir_open(path);
    random_events_start(&run.random, seed);
    append_to_both(&run, 40 + (unsigned)random_below(&run.random, 200));
    choose(&run);
    look(&run);
    judge_deployments(&run);
    judge_revisions(&run);
    judge_services(&run);
    for (int i = 0; i < RANDOM_SERVICES; i++) {
        if (services(&run)[i].view != NULL)
            count_again(&run, &services(&run)[i]);
    }
    compact(&run, (unsigned)random_below(&run.random, 3));
    check_rebuild(&run); /* wherever it was stopped */
    compact(&run, 0);
    bool open = run.keep_last && is_open(&run);
    if (!open)
        check_all(&run, "compacted");
    check_rebuild(&run);
    if (!open)
        check_all(&run, "rebuilt");
    for (int i = 0; i < 3; i++) {
        append_to_store(&run, 1 + (unsigned)random_below(&run.random, 60));
        check_rebuild(&run);
        choose(&run);
        compact(&run, (unsigned)random_below(&run.random, 4));
        check_rebuild(&run);
    }
    for (int i = 0; i < SUBJECTS; i++)
        json_decref(run.subjects[i].view);
    random_events_end(&run.random);
    ecshist_close(run.pair.store);
    naive_free(run.pair.naive);
    store_dir_unlink(path);
    return open;
}

Test(compact_random, streams)
{
    const char *many = getenv("STREAMS");
    uint64_t seeds = many != NULL ? strtoull(many, NULL, 10) : 50;
    char *dir = store_dir_new();
    char *path = store_dir_path(dir, "store");
    uint64_t open = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        open += run_seed(seed, path);
    cr_assert(open < seeds / 5, "%llu of %llu streams decided nothing", (unsigned long long)open,
              (unsigned long long)seeds);
    free(path);
    store_dir_remove(dir);
}
