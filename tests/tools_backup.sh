#!/usr/bin/env bash
# ecshist-admin backup as a user has it: made while others ingest, restored, exported; full disks and kills.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"
acknowledge=$BUILD/tests/acknowledge
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT

expect 3 ecshist-admin backup "$work/copy"
says err "there is no store at"
expect 2 ecshist-admin backup
says err "backup what? A directory is needed"
expect 2 ecshist-admin backup "$work/a" "$work/b"
says err "an argument too many"
expect 0 ecshist-ingest "$walkthrough"
expect 0 ecshist-admin backup "$work/copy"
grep -qE '^backed up and verified: events up to 18, 1 segment, [0-9]+ bytes' "$work/out" || fail "$(cat "$work/out")"
[ ! -s "$work/err" ] || fail "$(cat "$work/err")"
expect 3 ecshist-admin backup "$work/copy"
says err "exists already, and is not an empty directory"
expect 1 ecshist-admin backup "$ECSHIST_STORE/copy"
says err "lies within the store"
expect 0 ecshist-admin verify --store "$work/copy"
rm -r "$work/copy"
echo "usage: as it should be"

# left: what of a backup is there; the store itself is not.
left() {
    find "$work" -maxdepth 1 -name 'copy*' | wc -l
}

# Two write meanwhile; umask 0. Of each copy: what is dumped is the beginning of what the store dumps in the end.
"$BIN/bench_generate" 120000 40 20 1 200 >"$work/one.jsonl"
"$BIN/bench_generate" 120000 40 20 2 200 >"$work/two.jsonl"
ecshist-ingest --lenient --batch 40 "$work/one.jsonl" >/dev/null 2>&1 &
writers=($!)
ecshist-ingest --lenient --batch 40 "$work/two.jsonl" >/dev/null 2>&1 &
writers+=($!)
for i in {1..5}; do
    (umask 0 && expect 0 ecshist-admin backup "$work/copy$i")
    sleep 0.1
done
kill -0 "${writers[@]}" || fail "the writers had ended: this proves nothing"
wait "${writers[@]}" || true
ecshist-dump >"$work/all"
seqs=()
for i in {1..5}; do
    [ -z "$(find "$work/copy$i" -type d ! -perm 0700 -o -type f ! -perm 0600)" ] || fail "not private"
    expect 0 ecshist-admin verify --store "$work/copy$i"
    ecshist-dump --store "$work/copy$i" >"$work/part"
    cmp -n "$(stat -c %s "$work/part")" "$work/part" "$work/all"
    seqs+=("$(wc -l <"$work/part")")
done
[ "${seqs[4]}" -gt "${seqs[0]}" ] && [ "${seqs[4]}" -lt "$(wc -l <"$work/all")" ] || fail "not made meanwhile: ${seqs[*]}"
echo "beside two writers: copies of ${seqs[*]} of $(wc -l <"$work/all") events, each the beginning of them"

# Restored by cp -a over a place that was emptied, and used.
expect 0 ecshist-admin backup "$work/copy"
views() {
    ecshist-dump --store "$1" --type revision-created deployment-created deployment-started |
        grep -oE 'arn:[^"]*:service-deployment/[^"]*' | sort -u | awk 'NR <= 300' |
        xargs -n 20 ecshist-query describe-service-deployments --store "$1" --service-deployment-arns
    ecshist-dump --store "$1" --type revision-created |
        grep -oE 'arn:[^"]*:service-revision/[^"]*' | sort -u | awk 'NR <= 200' |
        xargs -n 20 ecshist-query describe-service-revisions --store "$1" --service-revision-arns
}
views "$ECSHIST_STORE" >"$work/before"
[ "$(wc -l <"$work/before")" -gt 10000 ] || fail "too little to compare"
rm -rf "${ECSHIST_STORE:?}"
mkdir "$ECSHIST_STORE"
cp -a "$work/copy/." "$ECSHIST_STORE"
expect 0 ecshist-admin verify
views "$ECSHIST_STORE" >"$work/after"
cmp "$work/before" "$work/after"
ecshist-dump | cmp - "$work/all"
expect 0 "$acknowledge" views "$ECSHIST_STORE"
expect 0 ecshist-ingest - <<END
{"type": "service-deleted", "time": "2027-12-01T00:00:00Z", "serviceArn": "$arn:service/default/deployment-demo"}
END
expect 0 ecshist-admin verify
echo "restored: all views as before"

# The portable export, from a store that was compacted: gaps, and what expired is not in it.
expect 0 ecshist-admin compact --retention-days 60 --now 2024-07-18T00:00:00Z
grep -qE '^cleaned [1-9]' "$work/out" || fail "nothing was cleaned: $(cat "$work/out")"
rm -rf "$work/copy"
expect 0 ecshist-admin backup "$work/copy"
expect 0 ecshist-admin verify --store "$work/copy"
ecshist-dump >"$work/compacted"
ecshist-dump --store "$work/copy" | cmp - "$work/compacted"
# 1: the deletion of a service of which nothing else is left cannot be taken.
ecshist-dump | ecshist-ingest --lenient --store "$work/imported" - >/dev/null 2>"$work/err" || [ $? -eq 1 ]
! grep -vE 'there is no such service|history-expired passed over' "$work/err" >&2 || fail "an export was refused"
views "$work/copy" >"$work/before"
views "$work/imported" >"$work/after"
cmp "$work/before" "$work/after"
rm -rf "$work/imported"
echo "compacted: backed up; exported and ingested into an empty store, views are equal"

log=$(du -sk "$work/copy/log" | cut -f 1)

# A damaged segment.
rm -rf "$work"/copy*
segment=$ECSHIST_STORE/log/00000000000000000001.seg
cp "$segment" "$work/segment"
printf 'X' | dd of="$segment" bs=1 seek=300 conv=notrunc status=none
expect 3 ecshist-admin backup "$work/copy"
says err "00000000000000000001.seg:"
[ "$(left)" -eq 0 ] || fail "something is left"
cp "$work/segment" "$segment"
echo "a damaged segment: said with its place, nothing left"

# A compaction holds the lock.
exec 9>>"$ECSHIST_STORE/upkeep"
flock 9
expect 3 ecshist-admin backup "$work/copy"
says err "is under way already"
expect 3 ecshist-admin compact
says err "is under way already"
exec 9>&-
[ "$(left)" -eq 0 ] || fail "something is left"
echo "beside a compaction: refused"

# Somebody who may not read it.
if [ "$(id -u)" -eq 0 ]; then
    chmod 0711 "$work"
    mkdir -m 0777 "$work/open"
    expect 3 setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/ecshist-admin" backup "$work/open/copy"
    says err "Permission denied"
    [ -z "$(ls "$work/open")" ] || fail "something is left"
    echo "no permission: said, nothing left"
fi

# The disk is full in the middle: at the log, and at the index.
disk=$work/disk
mkdir "$disk"
full=0
for size in 64 $((log / 2)) $((log + 64)); do
    mount -t tmpfs -o "size=${size}k" none "$disk" || fail "a full disk needs root to mount one"
    mounted=$disk
    expect 3 ecshist-admin backup "$disk/copy"
    grep -qE 'No space left|Input/output error' "$work/err" || fail "$(cat "$work/err")"
    [ -z "$(ls -A "$disk")" ] || fail "something is left on the full disk: $(ls -A "$disk")"
    umount "$disk"
    mounted=
    full=$((full + 1))
done
echo "a full disk: $full times, nothing left"

# Killed in the middle, at random: only what it was making is left, and the store is as it was.
killed=0
for i in {1..8}; do
    ecshist-admin backup "$work/copy" >/dev/null 2>&1 &
    sleep "0.0$((RANDOM % 6))"
    kill -KILL $! 2>/dev/null || true
    wait $! || true
    if [ -e "$work/copy" ]; then
        expect 0 ecshist-admin verify --store "$work/copy"
        rm -r "$work/copy"
    fi
    leftovers=("$work"/copy.backup-????????????)
    if [ -e "${leftovers[0]}" ]; then
        [ "${#leftovers[@]}" -eq 1 ] && [ "$(left)" -eq 1 ] || fail "more is left: $(ls "$work")"
        rm -r "${leftovers[0]}"
        killed=$((killed + 1))
    fi
done 2>/dev/null
[ "$killed" -gt 0 ] || fail "it was never killed in the middle: this proves nothing"
expect 0 ecshist-admin verify
expect 0 ecshist-admin backup "$work/copy"
echo "killed in the middle $killed of 8 times: only the temporary was left"
