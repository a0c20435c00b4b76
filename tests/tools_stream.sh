#!/usr/bin/env bash
# Streams: prompt ones, those that are followed, those that are stopped; pages; a dump read again.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"

# eventually COMMAND...: succeeds within ten seconds.
eventually() {
    for _ in {1..100}; do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    fail "not in ten seconds: $*"
}
has_lines() {
    [ "$(wc -l <"$1")" -eq "$2" ]
}
# ends CODE PID: the process ends with this code.
ends() {
    local code=0
    wait "$2" || code=$?
    [ "$code" -eq "$1" ] || fail "exit $code, not $1"
}

# A pipe that stays open: what came through it is in the store, and goes out to who follows.
head -n 1 "$walkthrough" | ecshist-ingest >/dev/null
mkfifo "$work/pipe"
ecshist-ingest <"$work/pipe" >"$work/ingest.out" &
ingest=$!
exec 5>"$work/pipe"
ecshist-dump --follow >"$work/follow.out" &
follow=$!
sed -n 2,4p "$walkthrough" >&5
eventually has_lines "$work/follow.out" 4
sed -n 5,6p "$walkthrough" >&5
eventually has_lines "$work/follow.out" 6
# Half a line is not one yet.
sed -n 7p "$walkthrough" | head -c 50 >&5
kill -INT $ingest
ends 130 $ingest
grep -qx 'appended 5, duplicate 0, ignored 0, refused 0' "$work/ingest.out"
kill -TERM $follow
ends 143 $follow
exec 5>&-
ecshist-dump | cmp - "$work/follow.out"
ecshist-dump --follow --to 3 | wc -l | grep -qx 3
ecshist-dump --follow | head -n 2 >/dev/null
ecshist-dump --follow --from 7 >"$work/from.out" &
follow=$!
ecshist-ingest "$walkthrough" >"$work/out"
says out "appended 12, duplicate 6, ignored 0, refused 0"
eventually has_lines "$work/from.out" 12
kill -INT $follow
ends 130 $follow
echo "streams: prompt, followed, stopped"

# A store made anew from a dump gives the same answers; seq and recordedAt are its own.
{ ecshist-dump && echo '{"type": "history-expired", "time": 1}'; } >"$work/dump"
expect 0 ecshist-ingest --lenient --store "$work/copy" --batch 5 "$work/dump"
says out "appended 18, duplicate 0, ignored 0, refused 0"
says err "1 history-expired passed over"
for question in "list-service-deployments --service deployment-demo" "list-services" \
    "describe-service-deployments --service-deployment-arns $first $second"; do
    # shellcheck disable=SC2086
    diff <(ecshist-query $question) <(ecshist-query $question --store "$work/copy")
done
echo "dump and ingest: the same views"

# Pages: one at a time, or as many as there are, they are the same items.
ECSHIST_STORE=$work/many
for i in $(seq 1000 1249); do
    printf '{"type": "deployment-started", "time": %s, "serviceDeploymentArn": "%s/d%s", "targetServiceRevisionArn": "%s/1"}\n' \
        "$i" "$deployments" "$i" "$revisions"
done >"$work/many.jsonl"
expect 0 ecshist-ingest --batch 7 "$work/many.jsonl"
list=(ecshist-query list-service-deployments --service deployment-demo)
"${list[@]}" --output text | cut -f 5 >"$work/all"
has_lines "$work/all" 250
grep -o 'd1[0-9]*$' "$work/all" | sort -rc
token=
: >"$work/paged"
for limit in "--max-items 110" "--max-results 100" "--max-items 41"; do
    # shellcheck disable=SC2086
    expect 0 "${list[@]}" $limit ${token:+--next-token "$token"}
    token=$(sed -n 's/^    "nextToken": "\(.*\)"$/\1/p' "$work/out")
    sed -n 's/^            "serviceDeploymentArn": "\(.*\)",$/\1/p' "$work/out" >>"$work/paged"
done
[ -z "$token" ] || fail "a token behind the last page"
# 110 and 100 and the 40 that are left.
cmp "$work/all" "$work/paged"
expect 0 "${list[@]}" --max-items 2 --output text
has_lines "$work/out" 3
echo "pages: the same items"

# --stop-on-error: what is before the line is in, what is behind it is not, wherever batches end.
sed -n 3p "$walkthrough" >"$work/conflict"
sed 's/"id": "demo-03", //' "$work/conflict" >"$work/again"
for batch in 1 4 5 6 1000; do
    for bad in "$work/again" /dev/stdin; do
        ECSHIST_STORE=$work/stop-$batch-${bad//\//-}
        { head -n 5 "$walkthrough" && { [ "$bad" = /dev/stdin ] && echo '{' || cat "$bad"; } &&
            sed -n 6,18p "$walkthrough"; } >"$work/stop.jsonl"
        expect 1 ecshist-ingest --stop-on-error --batch $batch "$work/stop.jsonl"
        says out "appended 5, duplicate 0, ignored 0, refused 1"
        says err "$work/stop.jsonl:6: "
        has_lines "$work/err" 1
        expect 0 ecshist-dump
        has_lines "$work/out" 5
    done
done
# Refused where it is strict, logged and passed over where it is lenient; a dry run says so before.
expect 1 ecshist-ingest --dry-run "$work/again"
says out "dry run: appended 0, duplicate 0, ignored 0, refused 1"
expect 1 ecshist-ingest "$work/again"
expect 0 ecshist-ingest --lenient "$work/again"
says out "appended 0, duplicate 0, ignored 1, refused 0"
expect 0 ecshist-query timeline --service-deployment-arn "$first" --output text
says out "ignored: it did not fit the history"
# A file that is not there does not keep the others out.
expect 1 ecshist-ingest --store "$work/two" "$work/none" "$walkthrough"
says err "$work/none: No such file or directory"
says out "appended 18"
echo "stop-on-error, lenient, files that are missing"
