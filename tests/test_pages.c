/* ListServiceDeployments through the public API: pages, their boundaries, their tokens. */
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_US INT64_C(1700000000000000)
#define SECOND_US INT64_C(1000000)

enum { MOST = 256 };

/* A deployment as the test has made it; the list's order is worked out from these. */
struct made {
    char id[16];
    int64_t created_us;
    uint64_t seq;
};

static char *dir;
static ecshist_store *store;
static struct made made[MOST];
static size_t made_count;

static void set_up(void)
{
    dir = store_dir_new();
    char *path = store_dir_path(dir, "store");
    store = store_dir_open(path);
    free(path);
    made_count = 0;
    store_must_append(store,
                      "{\"type\":\"revision-created\",\"time\":1699999999,"
                      "\"serviceRevisionArn\":\"" TEST_REVISION_ARN("1") "\",\"revision\":{}}");
}

static void tear_down(void)
{
    ecshist_close(store);
    store_dir_remove(dir);
}

TestSuite(pages, .init = set_up, .fini = tear_down);

/* -- what is there ----------------------------------------------------------------------------- */

static uint64_t create_in(ecshist_store *where, const char *id, int64_t created_us)
{
    char time[ECSHIST_TIME_TEXT_BYTES];
    ecshist_time_format(created_us, ECSHIST_JSON_CLI, time);
    return store_must_append(where,
                             "{\"type\":\"deployment-created\",\"time\":\"%s\","
                             "\"serviceDeploymentArn\":\"" TEST_ARN
                             "service-deployment/shop/web/%s\"," TO_REVISION("1") "}",
                             time, id);
}

static void create(int64_t created_us)
{
    struct made *m = &made[made_count];
    snprintf(m->id, sizeof(m->id), "d%03zu", made_count);
    m->created_us = created_us;
    m->seq = create_in(store, m->id, created_us);
    made_count++;
}

/* Times neither rise nor fall with the seqs, and three deployments share each. */
static int64_t some_time(size_t i)
{
    return START_US + (int64_t)(i * 37 % 101 / 3) * SECOND_US;
}

static void create_up_to(size_t count)
{
    while (made_count < count)
        create(some_time(made_count));
}

static void advance(const char *id, const char *type, int64_t seconds)
{
    store_must_append(store,
                      "{\"type\":\"%s\",\"time\":%lld,\"serviceDeploymentArn\":\"" TEST_ARN
                      "service-deployment/shop/web/%s\"}",
                      type, (long long)(START_US / SECOND_US + seconds), id);
}

static int newest_first(const void *a, const void *b)
{
    const struct made *x = a, *y = b;
    if (x->created_us != y->created_us)
        return x->created_us > y->created_us ? -1 : 1;
    return x->seq > y->seq ? -1 : 1;
}

/* -- asking ------------------------------------------------------------------------------------ */

/* The ids of deployments, in the order they were given. */
struct ids {
    char id[MOST * 2][16];
    size_t count, pages;
};

static struct ecshist_list_request request_of(uint32_t max_results)
{
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    request.service = "web";
    request.cluster = "shop";
    request.max_results = max_results;
    return request;
}

static int ask(ecshist_store *where, const struct ecshist_list_request *request,
               ecshist_result **out, struct ecshist_error *error)
{
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(where, &snapshot, error), "snapshot", error);
    int rc = ecshist_list_service_deployments(snapshot, request, out, error);
    ecshist_snapshot_close(snapshot);
    return rc;
}

static ecshist_result *must_ask(const struct ecshist_list_request *request)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    store_must(ask(store, request, &result, &error), "list", &error);
    return result;
}

static void take_ids(const ecshist_result *result, struct ids *ids)
{
    for (size_t i = 0; i < ecshist_result_count(result); i++) {
        struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
        cr_assert(ecshist_result_deployment(result, i, &view));
        cr_assert_lt(ids->count, sizeof(ids->id) / sizeof(ids->id[0]));
        const char *id = strrchr(view.service_deployment_arn, '/') + 1;
        snprintf(ids->id[ids->count++], sizeof(ids->id[0]), "%.15s", id);
    }
}

/* One page; the token of the next, or NULL. Yours: free. */
static char *ask_page(const struct ecshist_list_request *request, struct ids *ids)
{
    ecshist_result *result = must_ask(request);
    take_ids(result, ids);
    ids->pages++;
    const char *next = ecshist_result_next_token(result);
    char *token = next == NULL ? NULL : strdup(next);
    uint32_t size = request->max_results == 0 ? ECSHIST_DEFAULT_PAGE : request->max_results;
    if (token != NULL)
        cr_assert_eq(ecshist_result_count(result), size, "a page before the last is full");
    cr_assert_leq(ecshist_result_count(result), size);
    ecshist_result_free(result);
    return token;
}

/* The pages from a token on (NULL: all), each asked of a snapshot of its own. */
static void ask_pages_from(struct ecshist_list_request request, const char *from, struct ids *ids)
{
    char *token = from == NULL ? NULL : strdup(from);
    do {
        request.next_token = token;
        char *next = ask_page(&request, ids);
        free(token);
        token = next;
    } while (token != NULL);
}

static void ask_pages(struct ecshist_list_request request, struct ids *ids)
{
    memset(ids, 0, sizeof(*ids));
    ask_pages_from(request, NULL, ids);
}

/* What was made and fits, newest first, is what was given. */
static void assert_ids(const struct ids *ids, bool (*fits)(const struct made *))
{
    struct made sorted[MOST];
    memcpy(sorted, made, sizeof(sorted));
    qsort(sorted, made_count, sizeof(sorted[0]), newest_first);
    size_t next = 0;
    for (size_t i = 0; i < made_count; i++) {
        if (fits != NULL && !fits(&sorted[i]))
            continue;
        cr_assert_lt(next, ids->count, "%s is missing at the end", sorted[i].id);
        cr_assert_str_eq(ids->id[next], sorted[i].id);
        next++;
    }
    cr_assert_eq(next, ids->count);
}

static void assert_invalid_token(ecshist_store *where, struct ecshist_list_request request,
                                 const char *token)
{
    request.next_token = token;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    cr_assert_eq(ask(where, &request, &result, &error), ECSHIST_INVALID, "%s", token);
    cr_assert_null(result);
    cr_assert_str_eq(error.place, "nextToken");
    cr_assert_str_eq(error.message, "it is forged, or of another request");
    cr_assert_str_eq(ecshist_code_ecs_name(error.code), "InvalidParameterException");
}

static char *first_token(struct ecshist_list_request request)
{
    struct ids ids = {.count = 0};
    char *token = ask_page(&request, &ids);
    cr_assert_not_null(token);
    return token;
}

/* -- boundaries -------------------------------------------------------------------------------- */

Test(pages, every_boundary)
{
    static const size_t counts[] = {0, 1, 2, 19, 20, 21, 99, 100, 101};
    static struct ids ids;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        create_up_to(counts[i]);
        for (uint32_t size = 0; size <= ECSHIST_MAX_PAGE; size++) {
            ask_pages(request_of(size), &ids);
            assert_ids(&ids, NULL);
            size_t full = size == 0 ? ECSHIST_DEFAULT_PAGE : size;
            size_t pages = counts[i] == 0 ? 1 : (counts[i] + full - 1) / full;
            cr_assert_eq(ids.pages, pages, "%zu in pages of %u", counts[i], (unsigned)size);
        }
    }
}

Test(pages, no_page_is_larger_than_a_hundred)
{
    static const uint32_t sizes[] = {ECSHIST_MAX_PAGE + 1, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct ecshist_list_request request = request_of(sizes[i]);
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        ecshist_result *result = NULL;
        cr_assert_eq(ask(store, &request, &result, &error), ECSHIST_INVALID);
        cr_assert_str_eq(error.place, "maxResults");
    }
}

Test(pages, an_empty_list_has_its_member)
{
    struct ecshist_list_request request = request_of(0);
    ecshist_result *result = must_ask(&request);
    char *json = NULL;
    store_must(ecshist_result_to_json(result, ECSHIST_JSON_WIRE, &json, NULL, NULL), "json", NULL);
    cr_assert_not_null(strstr(json, "\"serviceDeployments\""));
    cr_assert_not_null(strstr(json, "[]"));
    cr_assert_null(strstr(json, "nextToken"));
    ecshist_free(json);
    ecshist_result_free(result);
}

/* -- filters ----------------------------------------------------------------------------------- */

static bool is_started(const struct made *m)
{
    return strtol(m->id + 1, NULL, 10) % 4 == 1;
}

static bool is_started_or_stopped(const struct made *m)
{
    return strtol(m->id + 1, NULL, 10) % 2 == 1;
}

static bool is_stopped(const struct made *m)
{
    return strtol(m->id + 1, NULL, 10) % 4 == 3;
}

/* Of four, the second is IN_PROGRESS and the fourth STOPPED. */
static void create_of_all_kinds(size_t count)
{
    create_up_to(count);
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 1)
            advance(made[i].id, "deployment-started", 100);
        if (i % 4 == 3)
            advance(made[i].id, "deployment-stopped", 100);
    }
}

Test(pages, of_some_statuses)
{
    create_of_all_kinds(90);
    static const char *const words[] = {"STOPPED", "IN_PROGRESS", "STOPPED"};
    static struct ids ids;
    for (uint32_t size = 1; size <= 50; size++) {
        struct ecshist_list_request request = request_of(size);
        request.status = words;
        request.status_count = 3;
        ask_pages(request, &ids);
        assert_ids(&ids, is_started_or_stopped);
        request.status_count = 1;
        ask_pages(request, &ids);
        assert_ids(&ids, is_stopped);
        request.status = words + 1;
        ask_pages(request, &ids);
        assert_ids(&ids, is_started);
        request.status_count = 0;
        ask_pages(request, &ids);
        assert_ids(&ids, NULL);
    }
}

Test(pages, of_no_status_that_there_is)
{
    static const char *const words[] = {"STOPPED", "DONE"};
    struct ecshist_list_request request = request_of(5);
    request.status = words;
    request.status_count = 2;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    cr_assert_eq(ask(store, &request, &result, &error), ECSHIST_INVALID);
    cr_assert_str_eq(error.place, "status[1]");
    cr_assert_not_null(strstr(error.message, "\"DONE\""));
    cr_assert_not_null(strstr(error.message, "ROLLBACK_IN_PROGRESS"));
}

static int64_t after_us, before_us;

static bool is_after(const struct made *m)
{
    return m->created_us > after_us;
}

static bool is_before(const struct made *m)
{
    return m->created_us < before_us;
}

static bool is_between(const struct made *m)
{
    return is_after(m) && is_before(m);
}

static void check_bounds(uint32_t size)
{
    static struct ids ids;
    struct ecshist_list_request request = request_of(size);
    request.has_created_after = true;
    request.created_after_us = after_us;
    ask_pages(request, &ids);
    assert_ids(&ids, is_after);
    request.has_created_before = true;
    request.created_before_us = before_us;
    ask_pages(request, &ids);
    assert_ids(&ids, is_between);
    request.has_created_after = false;
    ask_pages(request, &ids);
    assert_ids(&ids, is_before);
}

Test(pages, created_strictly_between)
{
    create_up_to(60);
    static const int64_t bounds[] = {-1, 0, 1, 7, 19, 20, 33, 34};
    enum { BOUNDS = sizeof(bounds) / sizeof(bounds[0]) };
    for (int i = 0; i < BOUNDS * BOUNDS; i++) {
        after_us = START_US + bounds[i / BOUNDS] * SECOND_US;
        before_us = START_US + bounds[i % BOUNDS] * SECOND_US;
        check_bounds(7);
        after_us -= 1;
        before_us += 1;
        check_bounds(20);
    }
}

Test(pages, bounds_that_leave_all_or_nothing)
{
    create_up_to(10);
    after_us = INT64_MIN;
    before_us = INT64_MAX;
    check_bounds(3);
    after_us = INT64_MAX;
    before_us = INT64_MIN;
    check_bounds(3);
    after_us = before_us = -1;
    check_bounds(3);
}

/* -- tokens ------------------------------------------------------------------------------------ */

Test(pages, a_token_is_url_safe_and_within_its_bound)
{
    create_up_to(21);
    char *token = first_token(request_of(0));
    cr_assert_leq(strlen(token), ECSHIST_MAX_PAGE_TOKEN_BYTES);
    cr_assert_eq(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                 strlen(token));
    free(token);
}

Test(pages, forged_tokens)
{
    create_up_to(21);
    struct ecshist_list_request request = request_of(5);
    char *token = first_token(request);
    for (char *letter = token; *letter != '\0'; letter++) {
        char right = *letter;
        *letter = right == 'A' ? 'B' : 'A';
        assert_invalid_token(store, request, token);
        *letter = (char)(right ^ 0x80);
        assert_invalid_token(store, request, token);
        *letter = right;
    }
    char longer[80];
    snprintf(longer, sizeof(longer), "%sA", token);
    assert_invalid_token(store, request, longer);
    snprintf(longer, sizeof(longer), "%s=", token);
    assert_invalid_token(store, request, longer);
    token[strlen(token) - 1] = '\0';
    assert_invalid_token(store, request, token);
    assert_invalid_token(store, request, "");
    assert_invalid_token(store, request, "eyJjcmVhdGVkQXQiOjB9");
    free(token);
}

Test(pages, tokens_of_another_store)
{
    create_up_to(21);
    char *path = store_dir_path(dir, "other");
    ecshist_store *other = store_dir_open(path);
    for (size_t i = 0; i < made_count; i++)
        create_in(other, made[i].id, made[i].created_us);
    char *token = first_token(request_of(5));
    assert_invalid_token(other, request_of(5), token);
    free(token);
    ecshist_close(other);
    free(path);
}

/* The request for which the tokens below are made. */
static struct ecshist_list_request filtered_request(void)
{
    static const char *const words[] = {"PENDING", "IN_PROGRESS"};
    struct ecshist_list_request request = request_of(5);
    request.status = words;
    request.status_count = 2;
    request.has_created_after = true;
    request.created_after_us = START_US - 1;
    request.as_of.seq = 40;
    return request;
}

Test(pages, tokens_of_other_filters)
{
    create_of_all_kinds(40);
    store_must_append(store,
                      "{\"type\":\"revision-created\",\"time\":1,\"serviceRevisionArn\":\"" TEST_ARN
                      "service-revision/shop/api/1\",\"revision\":{}}");
    char *token = first_token(filtered_request());
    struct ecshist_list_request request = filtered_request();
    request.service = "api";
    assert_invalid_token(store, request, token);
    request = filtered_request();
    request.status_count = 1;
    assert_invalid_token(store, request, token);
    request.status_count = 0;
    assert_invalid_token(store, request, token);
    request = filtered_request();
    request.created_after_us -= 1;
    assert_invalid_token(store, request, token);
    request.has_created_after = false;
    assert_invalid_token(store, request, token);
    request = filtered_request();
    request.has_created_before = true;
    request.created_before_us = INT64_MAX;
    assert_invalid_token(store, request, token);
    free(token);
}

Test(pages, tokens_of_another_moment)
{
    create_of_all_kinds(40);
    char *token = first_token(filtered_request());
    struct ecshist_list_request request = filtered_request();
    request.as_of.seq = 41;
    assert_invalid_token(store, request, token);
    request.as_of.seq = 0;
    assert_invalid_token(store, request, token);
    request.as_of.has_time = true;
    request.as_of.time_us = 40;
    assert_invalid_token(store, request, token);
    free(token);
}

Test(pages, a_token_does_not_mind_how_the_same_is_said)
{
    create_of_all_kinds(40);
    static const char *const words[] = {"IN_PROGRESS", "PENDING", "PENDING", "IN_PROGRESS"};
    char *token = first_token(filtered_request());
    struct ecshist_list_request request = filtered_request();
    static struct ids plain, otherwise;
    ask_pages_from(request, token, &plain);
    request.service = TEST_SERVICE_ARN;
    request.cluster = NULL;
    request.region = "eu-west-1";
    request.status = words;
    request.status_count = 4;
    request.created_before_us = 77; /* not set, so without meaning */
    request.max_results = 100;
    ask_pages_from(request, token, &otherwise);
    cr_assert_gt(plain.count, 5u);
    cr_assert_eq(plain.count, otherwise.count);
    cr_assert_eq(memcmp(plain.id, otherwise.id, sizeof(plain.id)), 0);
    cr_assert_eq(otherwise.pages, 1u);
    free(token);
}

/* -- what comes between two pages -------------------------------------------------------------- */

static bool is_listed(const struct ids *ids, const char *id)
{
    unsigned times = 0;
    for (size_t i = 0; i < ids->count; i++)
        times += strcmp(ids->id[i], id) == 0;
    cr_assert_leq(times, 1u, "%s is listed twice", id);
    return times == 1;
}

Test(pages, appends_between_pages)
{
    create_up_to(60);
    static struct ids ids;
    struct ecshist_list_request request = request_of(25);
    char *token = ask_page(&request, &ids);
    size_t before = made_count;
    create(START_US + 1000 * SECOND_US); /* newer than all: not behind the token */
    create(START_US - 1000 * SECOND_US); /* older than all: the last one */
    for (size_t i = 0; i < before; i += 2)
        advance(made[i].id, "deployment-started", 500);
    ask_pages_from(request, token, &ids);
    for (size_t i = 0; i < before; i++)
        cr_assert(is_listed(&ids, made[i].id), "%s is lost", made[i].id);
    cr_assert_not(is_listed(&ids, made[before].id));
    cr_assert(is_listed(&ids, made[before + 1].id));
    cr_assert_str_eq(ids.id[ids.count - 1], made[before + 1].id);
    free(token);
}

Test(pages, ties_are_broken_by_seq_across_pages)
{
    for (int i = 0; i < 10; i++)
        create(START_US);
    static struct ids ids;
    struct ecshist_list_request request = request_of(3);
    char *token = ask_page(&request, &ids);
    create(START_US); /* of the same time, with a greater seq: before what was given */
    ask_pages_from(request, token, &ids);
    cr_assert_not(is_listed(&ids, made[10].id));
    cr_assert_eq(ids.count, 10u);
    for (size_t i = 0; i < 10; i++)
        cr_assert_str_eq(ids.id[i], made[9 - i].id);
    free(token);
}

Test(pages, the_last_of_a_page_may_leave_the_list)
{
    create_up_to(20);
    static const char *const words[] = {"PENDING"};
    static struct ids ids;
    struct ecshist_list_request request = request_of(6);
    request.status = words;
    request.status_count = 1;
    char *token = ask_page(&request, &ids);
    advance(ids.id[5], "deployment-started", 500);
    advance(ids.id[0], "deployment-started", 500);
    ask_pages_from(request, token, &ids);
    assert_ids(&ids, NULL);
    free(token);
}

Test(pages, a_token_outlives_a_rebuild_and_a_reopening)
{
    create_up_to(50);
    static struct ids ids;
    struct ecshist_list_request request = request_of(20);
    char *token = ask_page(&request, &ids);
    store_must(ecshist_rebuild_index(store, NULL, NULL, NULL), "rebuild", NULL);
    char *second = NULL;
    request.next_token = token;
    second = ask_page(&request, &ids);
    ecshist_close(store);
    char *path = store_dir_path(dir, "store");
    store = store_dir_open(path);
    ask_pages_from(request, second, &ids);
    assert_ids(&ids, NULL);
    free(path);
    free(token);
    free(second);
}

/* -- as of ------------------------------------------------------------------------------------- */

Test(pages, as_of_a_seq_pages_stay_as_they_were)
{
    create_up_to(50);
    static struct ids then, later;
    ask_pages(request_of(7), &then);
    struct ecshist_list_request request = request_of(7);
    request.as_of.seq = made[49].seq;
    memset(&later, 0, sizeof(later));
    char *token = ask_page(&request, &later);
    for (size_t i = 0; i < 50; i++)
        advance(made[i].id, "deployment-started", 500);
    create_up_to(70);
    ask_pages_from(request, token, &later);
    cr_assert_eq(memcmp(&then, &later, sizeof(then)), 0);
    for (uint32_t size = 1; size <= 60; size++) {
        request.max_results = size;
        ask_pages(request, &later);
        cr_assert_eq(memcmp(then.id, later.id, sizeof(then.id)), 0);
    }
    free(token);
}

static bool existed(const struct made *m)
{
    return m->created_us <= before_us;
}

Test(pages, as_of_a_time_lists_what_was_created_by_then)
{
    create_up_to(60);
    static struct ids ids;
    for (int64_t second = -1; second <= 35; second++) {
        struct ecshist_list_request request = request_of(4);
        before_us = START_US + second * SECOND_US;
        request.as_of.has_time = true;
        request.as_of.time_us = before_us;
        ask_pages(request, &ids);
        assert_ids(&ids, existed);
    }
}

Test(pages, as_of_filters_by_the_status_of_then)
{
    create_up_to(12);
    uint64_t pending = made[11].seq;
    for (size_t i = 0; i < 12; i++)
        advance(made[i].id, "deployment-started", 500);
    static const char *const words[] = {"PENDING"};
    static struct ids ids;
    struct ecshist_list_request request = request_of(5);
    request.status = words;
    request.status_count = 1;
    ask_pages(request, &ids);
    cr_assert_eq(ids.count, 0u);
    request.as_of.seq = pending;
    ask_pages(request, &ids);
    assert_ids(&ids, NULL);
    request.as_of.seq = pending + 3;
    ask_pages(request, &ids);
    cr_assert_eq(ids.count, 9u);
    request.as_of.seq = UINT64_MAX;
    ask_pages(request, &ids);
    cr_assert_eq(ids.count, 0u);
    request.as_of.has_time = true;
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    cr_assert_eq(ask(store, &request, &result, &error), ECSHIST_INVALID);
    cr_assert_str_eq(error.place, "asOf");
}

/* -- in brief ---------------------------------------------------------------------------------- */

static void stop(const char *id, int64_t time_s, size_t reason_length)
{
    char reason[300];
    memset(reason, 'r', sizeof(reason));
    reason[reason_length] = 0;
    store_must_append(store,
                      "{\"type\":\"deployment-stopped\",\"time\":%lld,\"serviceDeploymentArn\":"
                      "\"" TEST_ARN "service-deployment/shop/web/%s\",\"reason\":\"%s\"}",
                      (long long)time_s, id, reason);
}

static char *json_of(const struct ecshist_list_request *request)
{
    ecshist_result *result = must_ask(request);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    char *json = NULL;
    store_must(ecshist_result_to_json(result, ECSHIST_JSON_WIRE, &json, NULL, &error), "JSON",
               &error);
    for (size_t i = 0; i < ecshist_result_count(result); i++) {
        struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
        cr_assert(ecshist_result_deployment(result, i, &view));
        cr_assert_eq(view.last_seq == 0, request->brief, "%s", view.service_deployment_arn);
    }
    ecshist_result_free(result);
    return json;
}

/* What rows have not is read from the states: a reason that is too long, an id that is, a deployment without a createdAt. */
Test(pages, in_brief_is_the_same)
{
    static const size_t reasons[] = {0, 1, 99, 100, 101, 250};
    const size_t count = sizeof(reasons) / sizeof(reasons[0]);
    create_up_to(count);
    create_in(store, "1234567890123456789012345678901234567890123456789012345678901234", 1);
    store_must_append(store,
                      "{\"type\":\"deployment-observed\",\"time\":1700000300,"
                      "\"serviceDeployment\":{\"serviceDeploymentArn\":\"" TEST_ARN
                      "service-deployment/shop/web/seen\",\"status\":\"IN_PROGRESS\","
                      "\"targetServiceRevision\":{\"arn\":\"" TEST_REVISION_ARN("1") "\"}}}");
    for (size_t i = 0; i < count; i++)
        stop(made[i].id, 1800000000, reasons[i]);
    struct ecshist_list_request request = request_of(100);
    for (uint64_t seq = 0; seq < 12; seq++) {
        request.as_of.seq = seq;
        request.brief = false;
        char *whole = json_of(&request);
        request.brief = true;
        char *brief = json_of(&request);
        cr_assert_str_eq(brief, whole);
        cr_assert(seq != 0 || strstr(brief, "/seen") != NULL);
        ecshist_free(whole);
        ecshist_free(brief);
    }
}
