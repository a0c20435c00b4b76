/* How services and clusters are named: what is found, what is not, and what is said of it. */
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *dir;
static ecshist_store *store;

static void set_up(void)
{
    dir = store_dir_new();
    char *path = store_dir_path(dir, "store");
    store = store_dir_open(path);
    free(path);
}

static void tear_down(void)
{
    ecshist_close(store);
    store_dir_remove(dir);
}

TestSuite(names, .init = set_up, .fini = tear_down);

/* `where` is "REGION:ACCOUNT", `service` "CLUSTER/SERVICE". */
static void record(const char *where, const char *service, const char *id)
{
    store_must_append(store,
                      "{\"type\":\"deployment-created\",\"time\":100,\"serviceDeploymentArn\":"
                      "\"arn:aws:ecs:%s:service-deployment/%s/%s\",\"targetServiceRevisionArn\":"
                      "\"arn:aws:ecs:%s:service-revision/%s/1\"}",
                      where, service, id, where, service);
}

static int list(const char *service, const char *cluster, const char *region, const char *account,
                ecshist_result **out, struct ecshist_error *error)
{
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    request.service = service;
    request.cluster = cluster;
    request.region = region;
    request.account = account;
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(store, &snapshot, NULL), "snapshot", NULL);
    int rc = ecshist_list_service_deployments(snapshot, &request, out, error);
    ecshist_snapshot_close(snapshot);
    return rc;
}

static int list_services(const char *cluster, const char *region, const char *account,
                         ecshist_result **out, struct ecshist_error *error)
{
    ecshist_snapshot *snapshot = NULL;
    store_must(ecshist_snapshot_open(store, &snapshot, NULL), "snapshot", NULL);
    int rc = ecshist_list_services(snapshot, cluster, region, account, NULL, out, error);
    ecshist_snapshot_close(snapshot);
    return rc;
}

/* The only deployment of the service that is found is this one. */
static void assert_finds(const char *service, const char *cluster, const char *region,
                         const char *account, const char *arn_end)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    cr_assert_eq(list(service, cluster, region, account, &result, &error), ECSHIST_OK, "%s: %s",
                 service, error.message);
    cr_assert_eq(ecshist_result_count(result), 1u);
    struct ecshist_deployment_view view = ECSHIST_DEPLOYMENT_VIEW_INIT;
    cr_assert(ecshist_result_deployment(result, 0, &view));
    const char *arn = view.service_deployment_arn;
    cr_assert_geq(strlen(arn), strlen(arn_end));
    cr_assert_str_eq(arn + strlen(arn) - strlen(arn_end), arn_end);
    ecshist_result_free(result);
}

static void assert_fails(const char *service, const char *cluster, const char *region,
                         const char *account, int code, const char *says)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int rc = list(service, cluster, region, account, &result, &error);
    cr_assert_eq(rc, code, "%s: %s", ecshist_code_name(rc), error.message);
    cr_assert_null(result);
    cr_assert_not_null(strstr(error.message, says), "%s", error.message);
}

static void assert_services(const char *cluster, const char *region, const char *account,
                            const char *expected)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    store_must(list_services(cluster, region, account, &result, &error), "services", &error);
    char all[1024] = "";
    for (size_t i = 0; i < ecshist_result_count(result); i++) {
        struct ecshist_service_view view = ECSHIST_SERVICE_VIEW_INIT;
        cr_assert(ecshist_result_service(result, i, &view));
        size_t length = strlen(all);
        snprintf(all + length, sizeof(all) - length, "%s%s", i == 0 ? "" : " ",
                 view.service_arn + strlen("arn:aws:ecs:"));
    }
    cr_assert_str_eq(all, expected);
    ecshist_result_free(result);
}

static void assert_services_fail(const char *cluster, const char *region, const char *account,
                                 int code, const char *says)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    int rc = list_services(cluster, region, account, &result, &error);
    cr_assert_eq(rc, code, "%s: %s", ecshist_code_name(rc), error.message);
    cr_assert_null(result);
    cr_assert_not_null(strstr(error.message, says), "%s", error.message);
}

#define WEST "eu-west-1:123456789012"
#define EAST "us-east-1:123456789012"
#define OTHER "eu-west-1:210987654321"

Test(names, by_name_or_arn)
{
    record(WEST, "shop/web", "d1");
    record(WEST, "default/web", "d2");
    assert_finds("web", "shop", NULL, NULL, "/shop/web/d1");
    assert_finds("web", "arn:aws:ecs:" WEST ":cluster/shop", NULL, NULL, "/shop/web/d1");
    assert_finds("web", NULL, NULL, NULL, "/default/web/d2");
    assert_finds("arn:aws:ecs:" WEST ":service/shop/web", NULL, NULL, NULL, "/shop/web/d1");
    assert_finds("arn:aws:ecs:" WEST ":service/shop/web", "shop", NULL, NULL, "/shop/web/d1");
    assert_finds("arn:aws:ecs:" WEST ":service/shop/web", "arn:aws:ecs:" WEST ":cluster/shop", NULL,
                 NULL, "/shop/web/d1");
}

Test(names, region_and_account_matter_only_where_a_name_is_ambiguous)
{
    record(WEST, "shop/web", "d1");
    assert_finds("web", "shop", "us-east-1", "000000000000", "/shop/web/d1");
}

Test(names, a_name_that_several_have)
{
    record(WEST, "shop/web", "d1");
    record(EAST, "shop/web", "d2");
    record(OTHER, "shop/web", "d3");
    assert_fails("web", "shop", NULL, NULL, ECSHIST_AMBIGUOUS,
                 "arn:aws:ecs:" WEST ":service/shop/web, arn:aws:ecs:" OTHER
                 ":service/shop/web, arn:aws:ecs:" EAST ":service/shop/web");
    assert_fails("web", "shop", "eu-west-1", NULL, ECSHIST_AMBIGUOUS,
                 "arn:aws:ecs:" WEST ":service/shop/web, arn:aws:ecs:" OTHER ":service/shop/web");
    assert_finds("web", "shop", "us-east-1", NULL, "/d2");
    assert_finds("web", "shop", NULL, "210987654321", "/d3");
    assert_finds("web", "shop", "eu-west-1", "123456789012", "/d1");
    assert_finds("web", "arn:aws:ecs:" OTHER ":cluster/shop", NULL, NULL, "/d3");
    assert_finds("arn:aws:ecs:" EAST ":service/shop/web", "shop", NULL, NULL, "/d2");
    assert_fails("web", "shop", "ap-south-1", NULL, ECSHIST_SERVICE_NOT_FOUND,
                 "web, region ap-south-1");
}

Test(names, many_candidates_are_not_cut_within_an_arn)
{
    char where[64];
    for (int i = 0; i < 30; i++) {
        snprintf(where, sizeof(where), "eu-west-1:%012d", i);
        record(where, "shop/web", "d1");
    }
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_result *result = NULL;
    cr_assert_eq(list("web", "shop", NULL, NULL, &result, &error), ECSHIST_AMBIGUOUS);
    const char *end = error.message + strlen(error.message) - strlen("service/shop/web, ...");
    cr_assert_str_eq(end, "service/shop/web, ...");
    cr_assert_str_eq(error.place, "service");
}

Test(names, what_is_not_there)
{
    assert_fails("web", NULL, NULL, NULL, ECSHIST_CLUSTER_NOT_FOUND, "Cluster not found: default");
    record(WEST, "shop/web", "d1");
    assert_fails("web", NULL, NULL, NULL, ECSHIST_CLUSTER_NOT_FOUND, "Cluster not found: default");
    assert_fails("api", "shop", NULL, NULL, ECSHIST_SERVICE_NOT_FOUND, "Service not found: api");
    assert_fails("web", "shops", NULL, NULL, ECSHIST_CLUSTER_NOT_FOUND, "Cluster not found: shops");
    assert_fails("web", "arn:aws:ecs:" EAST ":cluster/shop", NULL, NULL, ECSHIST_CLUSTER_NOT_FOUND,
                 "Cluster not found: arn:aws:ecs:" EAST ":cluster/shop");
    assert_fails("api", "arn:aws:ecs:" WEST ":cluster/shop", NULL, NULL, ECSHIST_SERVICE_NOT_FOUND,
                 "Service not found: api");
    assert_fails("arn:aws:ecs:" WEST ":service/shop/api", NULL, NULL, NULL,
                 ECSHIST_SERVICE_NOT_FOUND,
                 "Service not found: arn:aws:ecs:" WEST ":service/shop/api");
    assert_fails("arn:aws:ecs:" EAST ":service/shop/web", NULL, NULL, NULL,
                 ECSHIST_CLUSTER_NOT_FOUND, "Cluster not found: arn:aws:ecs:" EAST ":cluster/shop");
}

Test(names, what_is_malformed)
{
    record(WEST, "shop/web", "d1");
    assert_fails(NULL, NULL, NULL, NULL, ECSHIST_INVALID, "required");
    assert_fails("", "shop", NULL, NULL, ECSHIST_INVALID, "service");
    assert_fails("we b", "shop", NULL, NULL, ECSHIST_INVALID, "we b");
    assert_fails("shop/web", NULL, NULL, NULL, ECSHIST_INVALID, "shop/web");
    assert_fails("web", "", NULL, NULL, ECSHIST_INVALID, "cluster");
    assert_fails("web", "sh.op", NULL, NULL, ECSHIST_INVALID, "sh.op");
    assert_fails("arn:aws:ecs:" WEST ":cluster/shop", NULL, NULL, NULL, ECSHIST_INVALID, "service");
    assert_fails("web", "arn:aws:ecs:" WEST ":service/shop/web", NULL, NULL, ECSHIST_INVALID,
                 "cluster");
    assert_fails("arn:aws:ecs:" WEST ":service/shop/web", "default", NULL, NULL, ECSHIST_INVALID,
                 "another cluster");
    assert_fails("arn:aws:ecs:" WEST ":service/shop/web", "arn:aws:ecs:" EAST ":cluster/shop", NULL,
                 NULL, ECSHIST_INVALID, "another cluster");
    char longest[257];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[256] = '\0';
    assert_fails(longest, "shop", NULL, NULL, ECSHIST_INVALID, "service");
    assert_fails(longest + 1, "shop", NULL, NULL, ECSHIST_SERVICE_NOT_FOUND, longest + 1);
    char arn[1200] = "arn:";
    memset(arn + 4, 'a', sizeof(arn) - 5);
    assert_fails(arn, NULL, NULL, NULL, ECSHIST_INVALID, "");
}

Test(names, services_of_clusters)
{
    assert_services(NULL, NULL, NULL, "");
    assert_services_fail("shop", NULL, NULL, ECSHIST_CLUSTER_NOT_FOUND, "Cluster not found: shop");
    record(WEST, "shop/web", "d1");
    record(WEST, "shop/api", "d1");
    record(WEST, "shop-b/api", "d1");
    record(EAST, "till/api", "d1");
    assert_services("shop", NULL, NULL, WEST ":service/shop/api " WEST ":service/shop/web");
    assert_services("shop", "us-east-1", NULL, WEST ":service/shop/api " WEST ":service/shop/web");
    assert_services("arn:aws:ecs:" EAST ":cluster/till", NULL, NULL, EAST ":service/till/api");
    assert_services(NULL, NULL, NULL,
                    WEST ":service/shop-b/api " WEST ":service/shop/api " WEST
                         ":service/shop/web " EAST ":service/till/api");
    assert_services(NULL, "us-east-1", NULL, EAST ":service/till/api");
    record(EAST, "shop/web", "d1");
    assert_services_fail("shop", NULL, NULL, ECSHIST_AMBIGUOUS,
                         "arn:aws:ecs:" WEST ":cluster/shop, arn:aws:ecs:" EAST ":cluster/shop");
    assert_services("shop", "us-east-1", NULL, EAST ":service/shop/web");
    assert_services("shop", "eu-west-1", "123456789012",
                    WEST ":service/shop/api " WEST ":service/shop/web");
    assert_services_fail("shop", "eu-west-2", NULL, ECSHIST_CLUSTER_NOT_FOUND, "region eu-west-2");
    assert_services_fail("sh op", NULL, NULL, ECSHIST_INVALID, "sh op");
}
