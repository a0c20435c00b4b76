#!/usr/bin/env bash
# Lines that are no events: each is refused in one line that says why, and the rest goes in.
# shellcheck source=tests/data/tools/common.bash
. "$SRC/tests/data/tools/common.bash"

input=$work/input.jsonl
number=0
bad=0
good=0
# After this many good lines of the walkthrough, the second deployment is IN_PROGRESS.
exec 3<"$walkthrough"
next_good() {
    local line
    [ "$good" -lt 18 ] || return 0
    IFS= read -r line <&3
    printf '%s\n' "$line" >>"$input"
    number=$((number + 1))
    good=$((good + 1))
}
# bad WORDS COMMAND...: what the command prints is a line that is refused, for a reason with these words.
bad() {
    "${@:2}" >>"$input"
    printf '\n' >>"$input"
    number=$((number + 1))
    bad=$((bad + 1))
    printf '%s\t%s\n' "$number" "$1" >>"$work/expected"
    next_good
}
# event TYPE [MEMBERS [DEPLOYMENT]]: one of the second deployment, with members behind its own.
event() {
    printf '{"type": "%s", "time": "2024-11-04T11:49:00Z", "serviceDeploymentArn": "%s"%s}' \
        "$1" "${3:-$second}" "${2:+, $2}"
}
counts() {
    event tasks-updated "\"serviceRevisions\": [{\"arn\": \"$revisions/8522095445164283324\", \"runningTaskCount\": $1}]"
}
repeat() {
    head -c "$2" /dev/zero | tr '\0' "$1"
}

for _ in {1..11}; do next_good; done
deep() {
    printf '{"type": '
    repeat '[' 10000
}
# created ID TARGET: an event that makes a deployment.
created() {
    printf '{"type": "deployment-created", "time": 1, "serviceDeploymentArn": "%s"' "$deployments/$1"
    printf ', "targetServiceRevisionArn": "%s"}' "$2"
}
bad "empty line" printf ''
bad "empty line" printf ' \t '
bad "longer than 8388608 bytes" repeat x 100000000
bad "nest" deep
bad "UTF-8" printf '{"type": "\xff\xfe"}'
bad 'member "taskArn" stands twice' event task-failed '"taskArn": "a", "taskArn": "b"'
bad "NUL" event 'task\u0000failed'
bad "time" printf '{"type": "task-failed", "time": "99999-01-01T00:00:00Z"}'
bad "64 bits" counts 9223372036854775808
bad "runningTaskCount: " counts -1
bad "targetServiceRevisionArn: " created new "${revisions/arn:aws:/arn:aws-cn:}/1"
bad "targetServiceRevisionArn: " created new "$arn:service-revision/default/another/1"
bad "serviceDeploymentArn: " created "$(repeat i 600)" "$revisions/1"
bad "serviceDeploymentArn: " created "$(repeat i 1100)" "$revisions/1"
bad 'no-such-type' event no-such-type
bad "type" printf '{"time": 1}'
bad "object" printf '[1, 2]'
bad "stopType" event stop-requested '"stopType": "LATER"'
bad "exists already" event deployment-created "\"targetServiceRevisionArn\": \"$revisions/8522095445164283324\""
bad "unknown" event task-failed "\"taskArn\": \"$arn:task/default/x\"" "$deployments/unknown"
[ "$good" -eq 18 ] || fail "$good good lines"

expect 1 ecshist-ingest "$input"
[ "$(cat "$work/out")" = "appended 18, duplicate 0, ignored 0, refused $bad" ] ||
    { cat "$work/err" "$work/out" >&2 && fail "the rest did not go in"; }
[ "$(wc -l <"$work/err")" -eq "$bad" ] || { cat "$work/err" >&2 && fail "not one line each"; }
exec 4<"$work/err"
while IFS=$'\t' read -r number words; do
    IFS= read -r line <&4
    [[ $line == "$input:$number: "*"$words"* ]] || fail "line $number: '$line' does not say '$words'"
done <"$work/expected"
echo "$bad bad lines, each refused in one line"

# The views are those of the good lines alone.
ecshist-query describe-service-deployments --service-deployment-arns "$first" "$second" >"$work/mixed"
ECSHIST_STORE=$work/clean
ecshist-ingest "$walkthrough" >/dev/null
ecshist-query describe-service-deployments --service-deployment-arns "$first" "$second" >"$work/clean.json"
cmp "$work/mixed" "$work/clean.json"

# A file's end without a newline, and lines that end as those of Windows do.
ECSHIST_STORE=$work/windows
sed 's/$/\r/' "$walkthrough" | head -c -2 | ecshist-ingest - >"$work/out"
says out "appended 18, duplicate 0, ignored 0, refused 0"
expect 1 ecshist-ingest - <<<no
says err "<stdin>:1: "

# Text of events cannot move the cursor or turn the letters of whoever reads it.
ECSHIST_STORE=$work/hostile
head -n 12 "$walkthrough" >"$work/hostile.jsonl"
event deployment-stopped '"reason": "\u001b[31mred\u009b \u202eleft\u2066 caf\u00e9 \u4e2d"' >>"$work/hostile.jsonl"
expect 0 ecshist-ingest "$work/hostile.jsonl"
for output in json table text; do
    expect 0 ecshist-query describe-service-deployments --service-deployment-arns "$second" --output $output
    ! LC_ALL=C grep -qP '\x1b|\xc2\x9b|\xe2\x80\xae|\xe2\x81\xa6' "$work/out" || fail "$output: raw controls"
    says out '\u001b[31mred\u009b \u202eleft\u2066 café 中'
done
