#!/usr/bin/env bash
# Backups as a user makes them: while writers write, restored, refused; and never a good-looking copy of bad data.
set -euo pipefail
work=$(mktemp -d)
mounted=
finish() {
    [ -z "$mounted" ] || umount "$mounted"
    rm -rf "$work"
}
trap finish EXIT
export ECSHIST_STORE=$work/store

fail() {
    echo "$1"
    exit 1
}
# refused STATUS TEXT COMMAND...: ends with the status and says the text.
refused() {
    local status=0 wanted=$1 text=$2
    shift 2
    "$@" >"$work/out" 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || { cat "$work/out" && fail "$* ended with $status, not $wanted"; }
    grep -qF -- "$text" "$work/out" || { cat "$work/out" && fail "$* does not say: $text"; }
}
# No half-made copy lies about.
nothing_left() {
    [ -z "$(find "$1" -maxdepth 1 -name '*.new-*')" ] || fail "$(ls "$1")"
}

"$BIN/bench_generate" 40000 20 10 >"$work/events.jsonl"
head -n 20000 "$work/events.jsonl" | "$BIN/ecshist-ingest" >/dev/null 2>&1

# Two writers at work: the copy is a prefix of the log, and its views are those of the store as of that event.
tail -n +20001 "$work/events.jsonl" | "$BIN/ecshist-ingest" --batch 20 >/dev/null 2>&1 &
one=$!
sed 's/service-0/other-0/g' "$work/events.jsonl" | "$BIN/ecshist-ingest" --batch 20 >/dev/null 2>&1 &
two=$!
until [ "$("$BIN/ecshist-admin" stat --output json | sed -n 's/.*"lastSeq": //p' | tr -d ,)" -gt 20500 ]; do
    sleep 0.01
done
(umask 0 && "$BIN/ecshist-admin" backup "$work/copy") >"$work/said"
kill -0 "$one" && kill -0 "$two" || fail "the writers were done before the backup was"
wait "$one" "$two"
seq=$(sed -E 's/.*events up to ([0-9]+),.*/\1/' "$work/said")
[ "$seq" -gt 20000 ] && [ "$seq" -lt 80000 ] || fail "events up to $seq"
[ -z "$(find "$work/copy" -perm /077)" ] || fail "others may read the copy"
"$BIN/ecshist-admin" verify --store "$work/copy" --quick >/dev/null
cmp <("$BIN/ecshist-dump" --store "$work/copy") <("$BIN/ecshist-dump" --to "$seq")
answers() {
    "$BIN/ecshist-query" list-services --cluster production "$@"
    for service in service-0000 service-0007 other-0013; do
        "$BIN/ecshist-query" list-service-deployments --service "$service" --cluster production "$@"
    done
}
cmp <(answers --store "$work/copy") <(answers --as-of "$seq")
"$BIN/ecshist-admin" verify --store "$work/copy" >/dev/null

# Restoring is copying the directory back.
"$BIN/ecshist-admin" backup "$work/whole" >/dev/null
rm -rf "$ECSHIST_STORE"
cp -a "$work/whole" "$ECSHIST_STORE"
[ "$("$BIN/ecshist-dump" | wc -l)" -eq 80000 ]
"$BIN/ecshist-ingest" "$work/events.jsonl" 2>&1 | grep -q "appended 0, duplicate 40000" || fail "not all is there"

# What there is already is not written over, and what cannot be is said.
refused 3 "is not an empty directory" "$BIN/ecshist-admin" backup "$work/copy"
refused 3 "No such file or directory" "$BIN/ecshist-admin" backup "$work/no/where"
refused 2 "which directory" "$BIN/ecshist-admin" backup
mkdir "$work/empty"
"$BIN/ecshist-admin" backup "$work/empty" >/dev/null
nothing_left "$work"

# One at a time.
refused 3 "under way already" flock "$ECSHIST_STORE/upkeep" "$BIN/ecshist-admin" backup "$work/busy"
refused 3 "under way already" flock "$ECSHIST_STORE/upkeep" "$BIN/ecshist-admin" compact

# A disk that is full.
mkdir "$work/small"
mount -t tmpfs -o size=8m none "$work/small"
mounted=$work/small
refused 3 "No space left on device" "$BIN/ecshist-admin" backup "$work/small/copy"
[ -z "$(ls "$work/small")" ] || fail "something is left on the full disk"

# Killed in the middle: there is no copy, and what is left says by its name what it is.
"$BIN/ecshist-admin" backup "$work/killed" >/dev/null 2>&1 &
copying=$!
sleep 0.01
kill -KILL "$copying" 2>/dev/null || true
wait "$copying" 2>/dev/null || true
if [ -d "$work/killed" ]; then
    "$BIN/ecshist-admin" verify --store "$work/killed" --quick >/dev/null
else
    rm -rf "$work"/killed.new-*
fi
"$BIN/ecshist-admin" backup "$work/again" >/dev/null

# After a compaction, too; and the copy of a copy.
now=$(tail -n 1 "$work/events.jsonl" | sed -E 's/.*"time": ([0-9]+).*/\1/')
"$BIN/ecshist-admin" compact --retention-days 1 --now $((now + 86400 - 300)) >"$work/said"
grep -q "^removed [1-9]" "$work/said" || { cat "$work/said" && fail "nothing was removed"; }
"$BIN/ecshist-admin" backup "$work/compacted" >/dev/null
"$BIN/ecshist-admin" backup --store "$work/compacted" "$work/compacted-again" >/dev/null
cmp <("$BIN/ecshist-dump") <("$BIN/ecshist-dump" --store "$work/compacted-again")
"$BIN/ecshist-admin" stat --store "$work/compacted" >/dev/null
"$BIN/ecshist-admin" verify --store "$work/compacted" >/dev/null

# The portable way: what is dumped and ingested has equal views of deployments and revisions.
"$BIN/ecshist-dump" | "$BIN/ecshist-ingest" --lenient --store "$work/portable" 2>/dev/null
lists() {
    for service in service-0000 service-0007 other-0013; do
        "$BIN/ecshist-query" list-service-deployments --service "$service" --cluster production --store "$1"
    done
}
cmp <(lists "$ECSHIST_STORE") <(lists "$work/portable")

# Bad data is not backed up as if it were good.
segment=$(find "$ECSHIST_STORE/log" -name '*.seg' -size +100k | sort | head -n 1)
printf 'rot' | dd of="$segment" bs=1 seek=70000 conv=notrunc status=none
refused 3 "the log is damaged, there is no backup" "$BIN/ecshist-admin" backup "$work/bad"
[ ! -e "$work/bad" ] || fail "there is a copy of bad data"
nothing_left "$work"
echo "backups are as they should be"
