#!/usr/bin/env bash
# Two processes that ingest, with a part in common, and four that ask, all at once: no error, nothing lost, nothing twice,
# and the views are those of a rebuild.
set -euo pipefail
work=$(mktemp -d)
trap 'touch "$work/stop"; wait; rm -rf "$work"' EXIT
export ECSHIST_STORE=$work/store

"$BIN/bench_generate" "${EVENTS:-8000}" 10 10 5 >"$work/all.jsonl"
grep -E 'service-000[0-6]' "$work/all.jsonl" >"$work/a.jsonl"
grep -E 'service-000[3-9]' "$work/all.jsonl" >"$work/b.jsonl"
expected=$(wc -l <"$work/all.jsonl")
common=$(($(wc -l <"$work/a.jsonl") + $(wc -l <"$work/b.jsonl") - expected))
[ "$common" -gt 0 ]
# Something of every service, so that each question has an answer.
head -n 400 "$work/all.jsonl" | "$BIN/ecshist-ingest" 2>/dev/null

# ask NAME COMMAND...: again and again until the end; the first failure, or word on stderr, is kept.
ask() {
    local name=$1 rounds=0
    shift
    until [ -e "$work/stop" ]; do
        if ! "$@" >"$work/$name.out" 2>"$work/$name.err" || [ -s "$work/$name.err" ]; then
            mv "$work/$name.err" "$work/$name.failed"
            return
        fi
        rounds=$((rounds + 1))
    done
    echo "$rounds" >"$work/$name.rounds"
}

# The log has no gaps, and never becomes shorter.
dump_grows() {
    local count
    count=$("$BIN/ecshist-dump" |
        awk -F'[:,]' '$2 + 0 != NR { print "event " NR " is " $2 > "/dev/stderr"; exit 1 } END { print NR }')
    [ "$count" -ge "$(cat "$work/count")" ] || { echo "the log became shorter" >&2 && return 1; }
    echo "$count" >"$work/count"
}
echo 0 >"$work/count"

arns() {
    grep -o 'arn:[a-z:0-9-]*service-deployment/[^"]*' "$work/all.jsonl" | awk '!seen[$0]++'
}
mapfile -t some < <(arns | head -n 20)

ask services "$BIN/ecshist-query" list-services &
ask list "$BIN/ecshist-query" list-service-deployments --cluster production --service service-0004 &
ask describe "$BIN/ecshist-query" describe-service-deployments --service-deployment-arns "${some[@]:0:5}" &
ask dump dump_grows &

"$BIN/ecshist-ingest" --batch 50 "$work/a.jsonl" 2>"$work/a.err" &
a=$!
"$BIN/ecshist-ingest" --batch 30 "$work/b.jsonl" 2>"$work/b.err" &
b=$!
status=0
wait "$a" || status=$?
wait "$b" || status=$?
touch "$work/stop"
wait
cat "$work/a.err" "$work/b.err"
[ "$status" -eq 0 ]
for name in services list describe dump; do
    [ ! -e "$work/$name.failed" ] || { echo "$name:" && cat "$work/$name.failed" && exit 1; }
    echo "$name: $(cat "$work/$name.rounds") times"
done

count=$("$BIN/ecshist-dump" | wc -l)
[ "$count" -eq "$expected" ] || { echo "$count events, expected $expected" && exit 1; }
"$BIN/ecshist-dump" | sed -E 's/^\{"seq": ?[0-9]+, ?"recordedAt": ?[^,]*, ?//' | sort | uniq -d >"$work/twice"
[ ! -s "$work/twice" ] || { echo "twice:" && cat "$work/twice" && exit 1; }

views() {
    "$BIN/ecshist-query" list-services
    for service in 0 1 2 3 4 5 6 7 8 9; do
        "$BIN/ecshist-query" list-service-deployments --cluster production --service "service-000$service"
    done
    arns | xargs -n 20 "$BIN/ecshist-query" describe-service-deployments --service-deployment-arns
}
views >"$work/before"
"$BIN/ecshist-admin" rebuild-index >/dev/null 2>&1
views >"$work/after"
cmp "$work/before" "$work/after"
echo "$count events, $common fed twice, $(wc -c <"$work/before") bytes of views equal"
