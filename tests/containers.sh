#!/usr/bin/env bash
# Two containers' worth of processes on one store: two PID namespaces, so that process ids are equal. LMDB tells readers
# apart by their ids. ROUNDS (10) rounds with kills.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"
rounds=${ROUNDS:-10}
acknowledge=$BUILD/tests/acknowledge
unshare --pid --fork true || fail "PID namespaces need root"

# $work/as ID COMMAND...: in a namespace of its own, under that process id. Killing it kills all there, as with a container.
cat >"$work/as" <<'END'
#!/usr/bin/env bash
exec unshare --pid --fork --kill-child=KILL --mount-proc bash -c '
    [ "$1" -ne 1 ] || exec "${@:2}"
    echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
    "${@:2}" &
    [ $! -eq "$1" ] || exit 99
    wait $!' _ "$@"
END
chmod +x "$work/as"
expect 0 ecshist-ingest "$walkthrough"
inode() { stat -c %i "$ECSHIST_STORE/index/data.mdb"; }

# The same id in both: the second one is refused, with words, and changes nothing; the first one goes on.
for id in 1 7; do
    before=$(inode)
    : >"$work/followed"
    "$work/as" "$id" ecshist-dump --follow >"$work/followed" 2>&1 &
    first=$!
    for _ in {1..100}; do [ ! -s "$work/followed" ] || break && sleep 0.05; done
    expect 3 "$work/as" "$id" ecshist-query list-services
    says err "a process with the same id, $id, has $ECSHIST_STORE open, in another container"
    expect 3 "$work/as" "$id" ecshist-ingest "$walkthrough"
    expect 3 "$work/as" "$id" ecshist-admin stat
    # verify opens no store, and reads the index under an id that nobody has.
    expect 0 "$work/as" "$id" ecshist-admin verify
    expect 0 "$work/as" $((id + 20)) ecshist-query list-services
    expect 0 ecshist-query list-services
    [ "$(inode)" = "$before" ] || fail "the index was built anew"
    kill -0 "$first"
    kill -KILL "$first" && wait "$first" || true
    for _ in {1..100}; do
        code=0
        "$work/as" "$id" ecshist-query list-services >/dev/null 2>&1 || code=$?
        [ "$code" -ne 0 ] || break && sleep 0.05
    done
    [ "$code" -eq 0 ] || fail "the id is not free again"
done
echo "the same id: refused with words, nothing changed"

# Others' ids: writers and readers in two namespaces, killed at random; ids collide now and then.
export ECSHIST_STORE=$work/many
expect 0 ecshist-ingest "$walkthrough"
refused=0
for ((round = 1; round <= rounds; round++)); do
    pids=()
    for side in 1 2; do
        "$work/as" $((round % 3 == 0 ? 40 : 40 + side)) "$acknowledge" append "$ECSHIST_STORE" "$work/acks.$round.$side" $((round * 10 + side)) \
            >/dev/null 2>"$work/err.$side" &
        pids+=($!)
        "$work/as" $((50 + side * 3)) bash -c 'while ecshist-query list-services && ecshist-admin stat; do :; done' >"$work/read.$side" 2>&1 &
        pids+=($!)
    done
    sleep "0.$((RANDOM % 5 + 3))"
    kill -KILL "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    sleep 0.1 # the namespaces' processes end with them
    for side in 1 2; do
        if grep -q 'same id' "$work/err.$side"; then
            refused=$((refused + 1))
        else
            expect 0 "$acknowledge" check "$ECSHIST_STORE" "$work/acks.$round.$side"
        fi
        ! grep -vE 'same id' "$work/err.$side" | grep -E 'damaged|INDEX|MDB_' || fail "round $round: side $side failed"
        ! grep -E 'ecshist-(query|admin): ' "$work/read.$side" | grep -v 'same id' || fail "round $round: a reader failed"
    done
    expect 0 ecshist-admin verify
done 2>"$work/notices"
[ "$rounds" -lt 3 ] || [ "$refused" -gt 0 ] || fail "no ids were equal: this proves nothing"
expect 0 "$acknowledge" views "$ECSHIST_STORE"
expect 0 ecshist-admin verify
says out "all is well"
echo "$rounds rounds in two namespaces, $refused refused for their ids: all acknowledged events are there"
cat "$work/out"
