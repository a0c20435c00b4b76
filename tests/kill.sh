#!/usr/bin/env bash
# Writers killed at random moments, KILLS times (20): what was acknowledged is there, once, and the
# views are those of a rebuild. Two write at a time: ecshist-ingest, and one that says of each event
# when its append has returned; a third makes the index anew, and is killed too.
set -euo pipefail
kills=${KILLS:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
store=$work/store
acknowledge=$BUILD/tests/acknowledge

"$BIN/bench_generate" $((kills * 1500)) 8 8 11 >"$work/events.jsonl"
head -n 50 "$work/events.jsonl" | "$BIN/ecshist-ingest" --store "$store" 2>/dev/null

# A sleep of 1 to 120 milliseconds.
pause() {
    sleep "0.$(printf '%03d' $((RANDOM % 120 + 1)))"
}

# ended NAME PROCESS [STATUS...]: it was killed, or ended with one of these.
ended() {
    local name=$1 status=0
    wait "$2" || status=$?
    shift 2
    [[ " 137 $* " == *" $status "* ]] || {
        cat "$work/$name.err"
        echo "$name ended with $status"
        exit 1
    }
}

for ((i = 1; i <= kills; i++)); do
    "$acknowledge" append "$store" "$work/acks" "$i" 2>"$work/acknowledge.err" &
    first=$!
    "$BIN/ecshist-ingest" --store "$store" --batch $((RANDOM % 40 + 1)) "$work/events.jsonl" \
        2>"$work/ingest.err" &
    second=$!
    "$BIN/ecshist-admin" rebuild-index --store "$store" >/dev/null 2>"$work/rebuild.err" &
    third=$!
    pause
    kill -KILL "$first" || true # what ended by itself, `ended` tells
    pause
    kill -KILL "$second" || true
    kill -KILL "$third" || true
    ended acknowledge "$first"
    ended ingest "$second" 0
    ended rebuild "$third" 0
    "$acknowledge" check "$store" "$work/acks" >"$work/checked" 2>&1 ||
        { cat "$work/checked" && exit 1; }
    if ((i % 10 == 0 || i == kills)); then
        echo "$i kills: $(cat "$work/checked")"
        "$acknowledge" views "$store" 2>&1
    fi
done 2>"$work/notices" # bash tells of each kill

# Feeding it all again adds what is missing, and nothing twice.
"$BIN/ecshist-ingest" --store "$store" "$work/events.jsonl"
"$acknowledge" check "$store" "$work/acks"
ingested=$("$BIN/ecshist-dump" --store "$store" --cluster production | wc -l)
[ "$ingested" -eq "$(wc -l <"$work/events.jsonl")" ] ||
    { echo "$ingested events of the file are there" && exit 1; }
