#!/usr/bin/env bash
# The walkthrough, as a user would go through it: every answer character for character.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"
cd "$SRC/examples"

golden ingest_dry_run 0 ecshist-ingest --dry-run --store "/nowhere/store" walkthrough.jsonl
golden ingest 0 ecshist-ingest walkthrough.jsonl
golden ingest_again 0 ecshist-ingest walkthrough.jsonl
golden ingest_dry_run_again 0 ecshist-ingest --dry-run walkthrough.jsonl

for output in json table text; do
    golden "list_$output" 0 ecshist-query list-service-deployments --service deployment-demo \
        --output $output
    golden "page_$output" 0 ecshist-query list-service-deployments --service deployment-demo \
        --cluster default --status SUCCESSFUL IN_PROGRESS --created-at after=2024-11-04T11:00:00Z \
        --output $output
    golden "describe_$output" 0 ecshist-query describe-service-deployments \
        --service-deployment-arns "$first" "$second" --output $output
    golden "describe_as_of_12_$output" 0 ecshist-query describe-service-deployments \
        --service-deployment-arns "$first" "$second" --as-of 12 --output $output
    golden "missing_$output" 1 ecshist-query describe-service-deployments \
        --service-deployment-arns "$first" "$second" --as-of 4 --output $output
    golden "revisions_$output" 0 ecshist-query describe-service-revisions \
        --service-revision-arns "$revisions/8522095445164283324" --output $output
    golden "services_$output" 0 ecshist-query list-services --output $output
    golden "timeline_$output" 0 ecshist-query timeline --service-deployment-arn "$second" \
        --output $output
done
golden describe_as_of_time 0 ecshist-query describe-service-deployments \
    --service-deployment-arns "$second" --as-of 2024-11-04T12:49:00+01:00
golden list_empty 0 ecshist-query list-service-deployments --service deployment-demo \
    --status PENDING
golden dump 0 ecshist-dump
golden dump_filtered 0 ecshist-dump --type task-failed rollback-started --service deployment-demo \
    --after 2024-11-04T11:49:00Z --to 16
