/* The least an embedder writes: record what happened, ask for the view. Usage: embed [STORE] */
#include <ecshist/ecshist.h>
#include <stdio.h>
#include <string.h>

static const char event[] =
    "{\"type\": \"deployment-started\", \"time\": \"2026-01-05T09:00:00Z\","
    " \"serviceDeploymentArn\": "
    "\"arn:aws:ecs:eu-north-1:111222333444:service-deployment/default/web/first\","
    " \"targetServiceRevisionArn\": "
    "\"arn:aws:ecs:eu-north-1:111222333444:service-revision/default/web/1\"}";

int main(int argc, char **argv)
{
    const char *arn = "arn:aws:ecs:eu-north-1:111222333444:service-deployment/default/web/first";
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    options.flags = ECSHIST_OPEN_CREATE;
    ecshist_store *store = NULL;
    ecshist_snapshot *now = NULL;
    ecshist_result *result = NULL;
    char *json = NULL;

    int rc = ecshist_open(argc > 1 ? argv[1] : "history", &options, &store, &error);
    if (rc == ECSHIST_OK) /* durable, and visible to every process, when this returns */
        rc = ecshist_append_json(store, event, strlen(event), NULL, NULL, &error);
    if (rc == ECSHIST_OK)
        rc = ecshist_snapshot_open(store, &now, &error);
    if (rc == ECSHIST_OK)
        rc = ecshist_describe_service_deployments(now, &arn, 1, NULL, &result, &error);
    if (rc == ECSHIST_OK)
        rc = ecshist_result_to_json(result, ECSHIST_JSON_CLI, &json, NULL, &error);
    if (rc == ECSHIST_OK)
        printf("%s\n", json);
    else
        fprintf(stderr, "embed: %s: %s\n", ecshist_code_name(rc), error.message);

    ecshist_free(json);
    ecshist_result_free(result);
    ecshist_snapshot_close(now);
    ecshist_close(store);
    return rc == ECSHIST_OK ? 0 : 1;
}
