#!/usr/bin/env bash
# Mistakes on the command line, stores that are not there, outputs that nobody takes.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"

# usage WORDS COMMAND...: exit 2, nothing on stdout, the words on stderr and a hint to --help.
usage() {
    expect 2 "${@:2}"
    says err "$1"
    says err "Try '$2 --help'."
    [ ! -s "$work/out" ] || fail "a usage error on stdout: ${*:2}"
}

for tool in ingest query dump admin; do
    expect 0 ecshist-$tool --help
    says out "usage: ecshist-$tool"
    says out "Example:"
    says out "--store DIR"
    [ "$(wc -l <"$work/out")" -le 40 ] || fail "ecshist-$tool --help does not fit a screen"
    [ "$(wc -L <"$work/out")" -le 100 ] || fail "ecshist-$tool --help is too wide"
    expect 0 ecshist-$tool --version
    says out "ecshist-$tool $(sed -n 's/.*VERSION_STRING "\(.*\)"/\1/p' "$SRC/include/ecshist/version.h")"
    usage "unknown option --frobnicate" ecshist-$tool --frobnicate
    usage "unknown option --stroe; did you mean --store?" ecshist-$tool --stroe x
    usage "--store needs a value" ecshist-$tool --store
done

usage "--format: native is the only one" ecshist-ingest --format csv
usage "--batch: a number from 1 to 10000, not '0'" ecshist-ingest --batch 0
usage "--batch: a number from 1 to 10000, not '10001'" ecshist-ingest --batch=10001
usage "--batch: a number from 1 to 10000, not '-1'" ecshist-ingest --batch -1
usage "--lenient takes no value" ecshist-ingest --lenient=yes
usage "an operation is needed" ecshist-query
usage "unknown operation list-service-deployment; did you mean list-service-deployments?" \
    ecshist-query list-service-deployment
usage "list-service-deployments needs --service" ecshist-query list-service-deployments
usage "--status needs at least one value" ecshist-query list-service-deployments --service x --status
usage "--status is not an option of list-services" ecshist-query list-services --status PENDING
usage "an argument too many: y" ecshist-query list-services y
usage "--output: json, table or text, not 'yaml'" ecshist-query list-services --output yaml
usage "--as-of: a number from 1" ecshist-query list-services --as-of 0
usage "--as-of: a number from 1" ecshist-query list-services --as-of 18446744073709551616
usage "--as-of: 'yesterday' is not a time" ecshist-query list-services --as-of yesterday
usage "--created-at: after=TIME,before=TIME, not 'since=1'" \
    ecshist-query list-service-deployments --service x --created-at since=1
usage "--created-at before: 'x' is not a time" \
    ecshist-query list-service-deployments --service x --created-at after=1,before=x
usage "--max-results: a number from 1 to 100, not '101'" \
    ecshist-query list-service-deployments --service x --max-results 101
usage "do not go together" \
    ecshist-query list-service-deployments --service x --max-results 1 --max-items 1
usage "--from: a number" ecshist-dump --from x
usage "not a service's ARN" ecshist-dump --service "$arn:cluster/default"
usage "name different clusters" ecshist-dump --service "$arn:service/a/b" --cluster c
usage "an argument too many: x" ecshist-dump x
usage "unknown command defragment" ecshist-admin defragment
usage "--output is not an option of rebuild-index" ecshist-admin rebuild-index --output json

# No store: said, and none made but by an ingest that has something to read.
for command in "query list-services" "dump" "admin stat" "admin rebuild-index"; do
    # shellcheck disable=SC2086
    expect 3 ecshist-$command
    says err "there is no store at $ECSHIST_STORE"
done
expect 1 ecshist-ingest "$work/no-such-file"
says err "$work/no-such-file: No such file or directory"
expect 0 ecshist-ingest --dry-run "$walkthrough"
[ ! -e "$ECSHIST_STORE" ] || fail "a store was made for nothing"
expect 3 ecshist-query list-services --store "$SRC/include"
says err "cannot open $SRC/include: "

# --store before $ECSHIST_STORE before ./ecshist-store.
expect 0 ecshist-ingest "$walkthrough"
expect 3 ecshist-query list-services --store "$work/other"
(cd "$work" && unset ECSHIST_STORE && ln -s store ecshist-store && ecshist-admin stat >/dev/null)
rm "$work/ecshist-store"

# ECS's words for ECS's errors.
prefix="ecshist-query: An error occurred"
expect 1 ecshist-query list-service-deployments --service nope
says err "$prefix (ServiceNotFoundException) when calling the ListServiceDeployments operation: "
expect 1 ecshist-query list-service-deployments --service deployment-demo --cluster nope
says err "$prefix (ClusterNotFoundException) when calling the ListServiceDeployments operation: "
expect 1 ecshist-query list-service-deployments --service deployment-demo --next-token forged
says err "$prefix (InvalidParameterException) when calling the ListServiceDeployments operation: "
expect 1 ecshist-query list-service-deployments --service deployment-demo --status DONE
says err "$prefix (InvalidParameterException)"
expect 1 ecshist-query describe-service-deployments --service-deployment-arns nonsense
says err "$prefix (InvalidParameterException) when calling the DescribeServiceDeployments operation: "
expect 1 ecshist-query timeline --service-deployment-arn "$deployments/nope"
says err "$prefix (ServiceDeploymentNotFoundException)"
# shellcheck disable=SC2046
expect 1 ecshist-query describe-service-deployments --service-deployment-arns $(printf "$deployments/%s " {1..21})
says err "$prefix (InvalidParameterException)"

# A reader that has gone is no error; a full disk and a closed descriptor are.
for command in "query list-services" "dump" "admin stat" "dump --frames" "query --help"; do
    # shellcheck disable=SC2086
    { ecshist-$command 2>"$work/err" || echo $? >"$work/code"; } | true
    [ ! -s "$work/err" ] && [ ! -e "$work/code" ] || { cat "$work/err" >&2 && fail "$command | true"; }
    # shellcheck disable=SC2086,SC2016
    expect 3 sh -c "ecshist-$command >/dev/full"
    says err "cannot write to standard output: No space left on device"
    expect 3 sh -c "ecshist-$command >&-"
    says err "cannot write to standard output: Bad file descriptor"
done
expect 3 sh -c "ecshist-ingest '$walkthrough' >/dev/full"
expect 0 ecshist-admin rebuild-index
says out "rebuilt from 18 events"
expect 0 ecshist-admin stat
says out "ROLLBACK_SUCCESSFUL"
expect 0 ecshist-admin stat --output json
says out '"events": 18,'
# Nothing of what was printed into a closed descriptor is in the store.
expect 0 ecshist-dump
[ "$(wc -l <"$work/out")" -eq 18 ] || fail "the log is not what it was"
