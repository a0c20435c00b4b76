#!/usr/bin/env bash
# A year of history goes in, piece by piece, and is compacted to 30 days meanwhile; ingest, dump and queries go on, and the
# compaction is killed at a random moment, KILLS times (10). Whenever it was: the views are those of a rebuild. In the end what is
# there is what one compaction of the whole leaves.
set -euo pipefail
kills=${KILLS:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
acknowledge=$BUILD/tests/acknowledge
events=$((kills * 3000))
export ECSHIST_STORE=$work/store

"$BIN/bench_generate" "$events" 20 10 7 365 >"$work/events.jsonl"
split -n "l/$kills" -d -a 4 "$work/events.jsonl" "$work/piece."

# now_of FILE: the time of its last event.
now_of() {
    tail -n 1 "$1" | sed -E 's/.*"time": ([0-9.]+).*/\1/'
}
# must NAME COMMAND...: ends with 0, or says what it said.
must() {
    local name=$1 status=0
    shift
    "$@" >"$work/$name.out" 2>&1 || status=$?
    [ "$status" -eq 0 ] || { cat "$work/$name.out" && echo "$name ended with $status" && exit 1; }
}

interrupted=0
previous=
for piece in "$work"/piece.*; do
    must ingest "$BIN/ecshist-ingest" ${previous:+"$previous"}
    now=$(now_of "${previous:-$piece}")
    "$BIN/ecshist-ingest" --batch 50 "$piece" >/dev/null 2>"$work/ingest.err" &
    ingest=$!
    "$BIN/ecshist-dump" >"$work/dump.out" 2>"$work/dump.err" &
    dump=$!
    "$BIN/ecshist-admin" compact --retention-days 30 --now "$now" >/dev/null 2>"$work/compact.err" &
    compact=$!
    sleep "0.$(printf '%03d' $((RANDOM % 25 + 2)))"
    kill -KILL "$compact" 2>/dev/null || true
    status=0
    wait "$compact" || status=$?
    [[ $status == 0 || $status == 137 ]] || { cat "$work/compact.err" && exit 1; }
    interrupted=$((interrupted + (status == 137)))
    wait "$dump" || { cat "$work/dump.err" && echo "dump failed" && exit 1; }
    wait "$ingest" || { cat "$work/ingest.err" && echo "ingest failed" && exit 1; }
    must views "$acknowledge" views "$ECSHIST_STORE"
    previous=$piece
done 2>"$work/notices" # bash tells of each kill
echo "$interrupted of $kills compactions were interrupted"
[ "$interrupted" -gt 0 ] || { echo "none was: this proves nothing" && exit 1; }

# A compaction that is left alone finishes what was begun.
now=$(now_of "$work/events.jsonl")
must compact "$BIN/ecshist-admin" compact --retention-days 30 --now "$now"
must views "$acknowledge" views "$ECSHIST_STORE"
cat "$work/views.out"
contents() {
    "$BIN/ecshist-dump" --store "$1" --cluster production |
        sed -E 's/"seq": [0-9]+, "recordedAt": "[^"]*", //' | sort
}
contents "$ECSHIST_STORE" >"$work/pieces"
must whole "$BIN/ecshist-ingest" --store "$work/whole" "$work/events.jsonl"
must whole "$BIN/ecshist-admin" compact --store "$work/whole" --retention-days 30 --now "$now"
contents "$work/whole" >"$work/at-once"
cmp "$work/pieces" "$work/at-once"
kept=$(wc -l <"$work/pieces")
[ "$kept" -gt $((events / 30)) ] && [ "$kept" -lt $((events / 3)) ] ||
    { echo "$kept of $events events are left" && exit 1; }
echo "$kept of $events events are left, however they were compacted"
