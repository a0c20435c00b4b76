#!/usr/bin/env bash
# What file systems do to a store: full, read-only, somebody else's, with a limit on the size of files.
# Needs root: it mounts small file systems. Ends with a line of counts.
set -euo pipefail
: "${BIN:?}" "${SRC:?}" "${BUILD:?}"
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"
[ -d "${work:?}" ] || exit 1
[ "$(id -u)" -eq 0 ] || fail "this needs root: it mounts file systems"
trap 'umount -q "$work/disk" "$work/bound" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/disk" "$work/bound"
acknowledge=$BUILD/tests/acknowledge
states=0

"$BIN/bench_generate" 3000 8 8 11 >"$work/events.jsonl"
lines=$(wc -l <"$work/events.jsonl")

# disk SIZE: an empty file system of that size, with the store on it.
disk() {
    ! mountpoint -q "$work/disk" || umount "$work/disk"
    mount -t tmpfs -o "size=$1" none "$work/disk"
    export ECSHIST_STORE=$work/disk/store
}
# appended: the number in the tool's last line.
appended() {
    sed -nE 's/^appended ([0-9]+), .*/\1/p' "$work/out"
}
# whole N: so many events, each once, and views that are those of a rebuild.
whole() {
    [ "$(ecshist-dump | wc -l)" -eq "$1" ] || fail "not $1 events"
    [ "$(ecshist-dump | sed -E 's/.*"seq": ([0-9]+),.*/\1/' | sort -nu | wc -l)" -eq "$1" ] ||
        fail "an event is there twice"
    "$acknowledge" views "$ECSHIST_STORE" >/dev/null 2>&1 || fail "the views are not those of a rebuild"
}

# A file system that fills up in the middle: wherever that is, in the log or in the index, what was
# acknowledged is there; with room again the same input adds the rest.
unknown=0
for size in 300 350 400 450 500 575 650 725 800 875 950; do
    disk "${size}k"
    code=0
    ecshist-ingest --batch 100 "$work/events.jsonl" >"$work/out" 2>"$work/err" || code=$?
    [[ $code = 3 || $code = 4 ]] || { cat "$work/err" && fail "exit $code of a full disk ($size)"; }
    grep -qE "No space left on device|no room was left" "$work/err" || { cat "$work/err" && fail "no reason"; }
    unknown=$((unknown + (code == 4)))
    [ $code = 3 ] || says err "feeding the same input again is safe"
    before=$(appended)
    # It cannot be asked where it could not even be made, or opened.
    if [ "${before:-0}" -gt 0 ]; then
        [ "$(ecshist-dump 2>/dev/null | wc -l)" -ge "$before" ] || fail "acknowledged events are gone"
    fi
    mount -o remount,size=32m "$work/disk"
    expect 0 ecshist-ingest --batch 100 "$work/events.jsonl"
    [[ $(cat "$work/out") =~ ^appended\ ([0-9]+),\ duplicate\ ([0-9]+), ]]
    [ "${BASH_REMATCH[2]}" -ge "${before:-0}" ] || fail "acknowledged events were appended again"
    whole "$lines"
    [ -z "$(find "$work/disk" -name '*.new*')" ] || fail "files are left"
    states=$((states + 1))
done
[ "$unknown" -gt 0 ] || fail "no outcome was unknown"
echo "full file systems: $states sizes, $unknown unknown outcomes, each event once in the end"

# No room for a second index: the first one stands.
for room in 0 40 100 150 200; do
    disk 32m
    expect 0 ecshist-ingest "$work/events.jsonl"
    ecshist-query list-services >"$work/services"
    head -c $((room * 1024)) /dev/zero >"$work/disk/room"
    cat /dev/zero >"$work/disk/filler" 2>/dev/null || true
    rm "$work/disk/room"
    expect 3 ecshist-admin rebuild-index
    grep -qE "No space left on device|no room was left" "$work/err" || { cat "$work/err" && fail "no reason"; }
    [ ! -e "$ECSHIST_STORE/index.new" ] || fail "index.new is left"
    ecshist-query list-services | cmp - "$work/services"
    expect 0 ecshist-admin stat
    rm "$work/disk/filler"
    expect 0 ecshist-admin rebuild-index
    ecshist-query list-services | cmp - "$work/services"
    states=$((states + 1))
done
echo "rebuilds without room: the old index stands"

# Read-only: asked as always, written to never. A clean index, and one that a killed writer left.
disk 256m
expect 0 ecshist-ingest "$work/events.jsonl"
for how in clean killed; do
    if [ $how = killed ]; then
        "$acknowledge" append "$ECSHIST_STORE" "$work/acks" 1 2>/dev/null &
        writer=$!
        sleep 0.2
        kill -KILL $writer
        wait $writer 2>/dev/null || true
    fi
    mount -o remount,ro "$work/disk"
    ecshist-query list-services >"$work/services"
    expect 0 ecshist-admin stat
    expect 0 ecshist-dump
    expect 3 ecshist-ingest "$work/events.jsonl"
    says err "Read-only file system"
    expect 3 ecshist-admin rebuild-index
    says err "Read-only file system"
    expect 3 ecshist-ingest --store "$work/disk/other" "$work/events.jsonl"
    says err "Read-only file system"
    mount -o remount,rw "$work/disk"
    # What the killed writer had appended in its last quarter of a second may be in the log and not yet in the index; the index is brought up to date
    # as soon as that can be written to.
    [ $how = killed ] || ecshist-query list-services | cmp - "$work/services"
    states=$((states + 1))
done
"$acknowledge" check "$ECSHIST_STORE" "$work/acks" >/dev/null 2>&1 || fail "acknowledged events are gone"
# The same by a bind mount over a file system that others write to.
mount --bind "$work/disk" "$work/bound"
mount -o remount,bind,ro "$work/bound"
ecshist-query list-services --store "$work/bound/store" | cmp - <(ecshist-query list-services)
expect 3 ecshist-ingest --store "$work/bound/store" "$work/events.jsonl"
says err "Read-only file system"
# Without an index nothing can be shown there, and it says so.
mv "$ECSHIST_STORE/index" "$work/disk/index"
expect 3 ecshist-query list-services --store "$work/bound/store"
says err "must be rebuilt, and nothing can be written there"
umount "$work/bound"
mv "$work/disk/index" "$ECSHIST_STORE/index"
states=$((states + 2))
echo "read-only: answers as before, appends refused"

# A limit on the size of files: an error of the tools; a program that does not ignore the signal dies
# of it (unless LMDB, which writes up to the limit first, gives it an error), and loses nothing.
disk 32m
for blocks in 70 200 400; do
    code=0
    bash -c "ulimit -f $blocks; exec ecshist-ingest --batch 100 '$work/events.jsonl'" \
        >"$work/out" 2>"$work/err" || code=$?
    [[ $code = 3 || $code = 4 ]] || { cat "$work/err" && fail "exit $code of a limit"; }
    grep -qE "File too large|no room was left" "$work/err" || { cat "$work/err" && fail "no reason"; }
    states=$((states + 1))
done
expect 0 ecshist-ingest "$work/events.jsonl"
whole "$lines"
disk 32m
code=0
bash -c "ulimit -f 400; exec '$acknowledge' append '$ECSHIST_STORE' '$work/acks2' 3" >"$work/out" 2>&1 || code=$?
[[ $code = $((128 + $(kill -l XFSZ))) || $code = $((128 + $(kill -l ABRT))) ]] ||
    fail "exit $code, neither SIGXFSZ nor an error"
"$acknowledge" check "$ECSHIST_STORE" "$work/acks2" >/dev/null 2>&1 || fail "acknowledged events are gone"
"$acknowledge" views "$ECSHIST_STORE" >/dev/null 2>&1
states=$((states + 1))
echo "limits on the size of files: an error of the tools, and nothing lost"

# Somebody else's. The tools are copied to where nobody can run them.
disk 32m
expect 0 ecshist-ingest "$work/events.jsonl"
chmod 755 "$work" "$work/disk"
mkdir "$work/disk/bin"
cp -L "$BIN"/ecshist-* "$work/disk/bin"
cp -L "$(ldd "$BIN/ecshist-query" | sed -nE 's/.*=> (.*libecshist\.so[^ ]*) .*/\1/p')" "$work/disk/bin/"
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups env "LD_LIBRARY_PATH=$work/disk/bin")
nobody_may_not() {
    expect 3 "${nobody[@]}" "$work/disk/bin/$1" "${@:2}"
    says err "Permission denied"
    states=$((states + 1))
}
nobody_may_not ecshist-query list-services
nobody_may_not ecshist-dump
nobody_may_not ecshist-admin rebuild-index
nobody_may_not ecshist-ingest "$work/events.jsonl"
# To read it is enough to be let read it.
chmod -R a+rX "$ECSHIST_STORE"
expect 0 "${nobody[@]}" "$work/disk/bin/ecshist-query" list-services
cmp "$work/out" <(ecshist-query list-services)
nobody_may_not ecshist-ingest "$work/events.jsonl"
nobody_may_not ecshist-admin rebuild-index
# The log alone unreadable, one segment alone, the index alone.
for part in log "log/00000000000000000001.seg"; do
    chmod go= "$ECSHIST_STORE/$part"
    nobody_may_not ecshist-query list-services
    nobody_may_not ecshist-dump
    chmod -R a+rX "$ECSHIST_STORE/log"
done
chmod go= "$ECSHIST_STORE/index"
expect 3 "${nobody[@]}" "$work/disk/bin/ecshist-query" list-services
says err "must be rebuilt, and nothing can be written there"
# His own, but for the index: that is made anew.
chmod -R a+rX "$ECSHIST_STORE"
chown -R 65534:65534 "$ECSHIST_STORE"
chown -R root "$ECSHIST_STORE/index"
head -n 10 "$work/events.jsonl" >"$work/disk/ten.jsonl"
expect 0 "${nobody[@]}" "$work/disk/bin/ecshist-ingest" "$work/disk/ten.jsonl"
says out "appended 0, duplicate 10"
# What he could not remove is in the way of the next one, which says so.
expect 3 "${nobody[@]}" "$work/disk/bin/ecshist-admin" rebuild-index
says err "$ECSHIST_STORE/index.new"
chown -R 65534:65534 "$ECSHIST_STORE"
expect 0 "${nobody[@]}" "$work/disk/bin/ecshist-admin" rebuild-index
# Root does not write where another user could lead it.
expect 3 ecshist-ingest "$work/disk/ten.jsonl"
says err "belongs to user 65534"
chown -R root "$ECSHIST_STORE"
whole "$lines"
states=$((states + 4))
echo "somebody else's: what may be read is read, the rest is an error"

# This script can fail: where an event is missing, or half of one is left, or a view is not right.
broken() {
    ! (whole "$1") >/dev/null 2>&1 || fail "not noticed: $2"
}
disk 32m
head -n 500 "$work/events.jsonl" >"$work/few.jsonl"
expect 0 ecshist-ingest --batch 100 "$work/few.jsonl"
whole 500
broken 501 "a missing event"
broken 499 "an event too many"
segment=$ECSHIST_STORE/log/00000000000000000001.seg
tail=$(ecshist-dump --frames --from 500 | sed -E 's/.*"frameOffset": ([0-9]+).*/\1/')
cp "$segment" "$work/segment"
dd if=/dev/zero of="$segment" bs=1 seek="$tail" count=$(($(stat -c %s "$segment") - tail)) conv=notrunc status=none
broken 500 "the last frame gone"
cp "$work/segment" "$segment"
whole 500

echo "environment: $states states, 0 failures"
