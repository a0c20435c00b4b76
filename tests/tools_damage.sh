#!/usr/bin/env bash
# Disks that are full and logs that are damaged: the exit code and the words say which.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"

# A log that cannot grow: nothing more is appended, and feeding the same input again mends all. (Unknown
# outcomes are in environment.sh.)
{
    printf '{"type": "deployment-started", "time": 1, "serviceDeploymentArn": "%s", "targetServiceRevisionArn": "%s/1"}\n' \
        "$first" "$revisions"
    for i in {2..3000}; do
        printf '{"type": "task-healthy", "time": %s, "serviceDeploymentArn": "%s", "taskArn": "%s:task/default/%0100d"}\n' \
            "$i" "$first" "$arn" "$i"
    done
} >"$work/many.jsonl"
expect 3 bash -c "trap '' XFSZ; ulimit -f 400; exec ecshist-ingest --batch 500 '$work/many.jsonl'"
says err "01: nothing was appended from this line on: cannot make room in the log: File too large"
before=$(sed -E 's/appended ([0-9]+), duplicate 0, ignored 0, refused 0/\1/' "$work/out")
[ "$before" -ge 500 ] && [ "$before" -lt 3000 ]
expect 0 ecshist-ingest "$work/many.jsonl"
[[ $(cat "$work/out") =~ ^appended\ ([0-9]+),\ duplicate\ ([0-9]+),\ ignored\ 0,\ refused\ 0$ ]]
[ $((BASH_REMATCH[1] + BASH_REMATCH[2])) -eq 3000 ] && [ "${BASH_REMATCH[2]}" -eq "$before" ]
expect 0 ecshist-dump
[ "$(wc -l <"$work/out")" -eq 3000 ] || fail "not 3000 events"
echo "full disk: nothing more appended, then mended"

# Damage in the midst of the log: a dump gives what is before it, and does not pass for whole.
ECSHIST_STORE=$work/damaged
expect 0 ecshist-ingest --batch 3 "$walkthrough"
ecshist-dump >"$work/whole"
offset=$(ecshist-dump --frames --from 8 --to 8 | sed -E 's/.*"recordOffset": ([0-9]+).*/\1/')
segment=$ECSHIST_STORE/log/$(ecshist-dump --frames --to 1 | sed -E 's/.*"segment": "([^"]+)".*/\1/')
printf '\x00' | dd of="$segment" bs=1 seek=$((offset + 60)) conv=notrunc status=none
for follow in "" --follow; do
    # shellcheck disable=SC2086
    expect 3 ecshist-dump $follow
    cmp "$work/out" <(head -n 6 "$work/whole")
    says err "ecshist-dump: "
    says err "$(basename "$segment")"
done
expect 3 ecshist-admin rebuild-index
says err "$(basename "$segment")"
echo "damage: six events, and why not more"
