#!/usr/bin/env bash
# ecshist-admin verify as a user has it: what it prints, its exit codes, what heals.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"

expect 3 ecshist-admin verify
says err "there is no store at"
expect 0 ecshist-ingest "$walkthrough"
expect 0 ecshist-admin verify
[ "$(cat "$work/out")" = "1 segments, 1 frames, 18 events, 5 subjects: all is well" ]
expect 0 ecshist-admin verify --quick
[ "$(cat "$work/out")" = "1 segments, 1 frames, 18 events: all is well" ]
expect 2 ecshist-admin stat --quick
says err "--quick is not an option of stat"
expect 0 ecshist-admin --help
says out "verify "
echo "clean: all is well"

# The index directory pulled away: found, not healed; then healed.
rm -r "$ECSHIST_STORE/index"
expect 1 ecshist-admin verify
says out "I9   -  -  there is no index"
says out "18 events, 5 subjects (the index could not be read to its end): 1 finding"
expect 0 ecshist-admin verify --quick
[ ! -e "$ECSHIST_STORE/index" ]
expect 0 ecshist-admin rebuild-index
expect 0 ecshist-admin verify
echo "no index: found, healed"

# A page of the index written over with dd.
cp -r "$ECSHIST_STORE/index/data.mdb" "$work/data.mdb"
pages=$(($(stat -c %s "$work/data.mdb") / 4096))
found=0
for ((page = 0; page < pages; page++)); do
    cp "$work/data.mdb" "$ECSHIST_STORE/index/data.mdb"
    dd if=/dev/zero of="$ECSHIST_STORE/index/data.mdb" bs=4096 seek="$page" count=1 conv=notrunc status=none
    code=0
    ecshist-admin verify >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -le 1 ] || { cat "$work/out" "$work/err" >&2 && fail "exit $code, page $page"; }
    [ ! -s "$work/err" ] || { cat "$work/err" >&2 && fail "page $page: LMDB was heard"; }
    found=$((found + code))
done
[ "$found" -ge 5 ] || fail "only $found of $pages pages were missed"
expect 0 ecshist-admin rebuild-index
expect 0 ecshist-admin verify
echo "pages of the index zeroed: found, healed"

# A byte of the log, by dd; the line says where.
segment=$ECSHIST_STORE/log/00000000000000000001.seg
expect 0 ecshist-ingest - <<END
{"type": "service-deleted", "time": "2025-12-01T00:00:00Z", "serviceArn": "$arn:service/default/deployment-demo"}
END
expect 0 ecshist-admin verify
cp "$segment" "$work/segment"
printf 'X' | dd of="$segment" bs=1 seek=200 conv=notrunc status=none
for option in "" --quick; do
    # shellcheck disable=SC2086
    expect 1 ecshist-admin verify $option
    says out "L3   00000000000000000001.seg:64  event 1  the checksum of the frame is wrong"
done
cp "$work/segment" "$segment"
expect 0 ecshist-admin verify
echo "a byte of the log: found, with its place"

# Garbage for a store.
mkdir -p "$work/garbage/log" "$work/garbage/index"
for i in 1 2 77; do
    head -c 70000 /dev/urandom >"$work/garbage/log/$(printf '%020d' "$i").seg"
done
head -c 70000 /dev/urandom >"$work/garbage/index/data.mdb"
head -c 64 /dev/urandom >"$work/garbage/index/mark"
expect 1 ecshist-admin verify --store "$work/garbage"
says out "L2   00000000000000000001.seg:0"
mkdir "$work/empty"
expect 3 ecshist-admin verify --store "$work/empty"
says err "it has no directory log"
echo "garbage: found, no crash"

# Somebody who may read and not write. Root may always write: then as nobody.
chmod -R go+rX "$work"
if [ "$(id -u)" -eq 0 ]; then
    before=$(find "$ECSHIST_STORE" -type f -exec sha256sum {} + | sort)
    chmod -R a-w "$ECSHIST_STORE"
    expect 0 setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/ecshist-admin" verify --store "$ECSHIST_STORE"
    says out "all is well"
    [ "$(find "$ECSHIST_STORE" -type f -exec sha256sum {} + | sort)" = "$before" ] || fail "it has written"
    # Beside others the index cannot be read without LMDB's list of readers; the log can.
    ecshist-dump --follow >/dev/null &
    reader=$!
    sleep 0.3
    for option in "" --quick; do
        # shellcheck disable=SC2086
        expect "$([ -z "$option" ] && echo 3 || echo 0)" setpriv --reuid=65534 --regid=65534 --clear-groups \
            "$BIN/ecshist-admin" verify --store "$ECSHIST_STORE" $option
        [ -n "$option" ] || says err "is in use"
    done
    kill "$reader" && wait "$reader" || true
    chmod -R u+w "$ECSHIST_STORE"
else
    chmod -R a-w "$ECSHIST_STORE"
    expect 0 ecshist-admin verify
    chmod -R u+w "$ECSHIST_STORE"
fi
echo "read only: all is well"

# While somebody ingests.
for i in {1..3000}; do
    printf '{"type": "revision-created", "time": %s, "serviceRevisionArn": "%s/%s", "revision": {}}\n' \
        "$i" "$revisions" "$i"
done >"$work/revisions.jsonl"
ecshist-ingest --batch 20 "$work/revisions.jsonl" >/dev/null &
writer=$!
for i in {1..5}; do
    expect 0 ecshist-admin verify
done
wait "$writer"
expect 0 ecshist-admin verify
says out "3019 events"
echo "beside a writer: all is well"
