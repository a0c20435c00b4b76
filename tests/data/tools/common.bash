#!/usr/bin/env bash
# For tests/tools_*.sh: a directory and a store of one's own, and outputs compared as a whole.
# shellcheck disable=SC2034
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ECSHIST_STORE=$work/store
export PATH=$BIN:$PATH
unset NO_COLOR
data=$SRC/tests/data/tools
walkthrough=$SRC/examples/walkthrough.jsonl
arn=arn:aws:ecs:eu-north-1:111222333444
deployments=$arn:service-deployment/default/deployment-demo
revisions=$arn:service-revision/default/deployment-demo
first=$deployments/brooVKavhUZYne-zDRzvK
second=$deployments/jQkgVwkt0a2bd7vdlCZeN

fail() {
    echo "$*" >&2
    exit 1
}
# expect CODE COMMAND...: runs it, output in $work/out and $work/err, and checks its exit code.
expect() {
    local code=0
    "${@:2}" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -eq "$1" ] || { cat "$work/out" "$work/err" >&2 && fail "exit $code, not $1: ${*:2}"; }
}
# says FILE TEXT: the file ("out" or "err") has the text somewhere.
says() {
    grep -qF -- "$2" "$work/$1" || { cat "$work/$1" >&2 && fail "std$1 does not say: $2"; }
}
# What differs from run to run.
mask() {
    sed -E 's/("recordedAt": )"[^"]*"/\1"RECORDED-AT"/g'
}
# golden NAME CODE COMMAND...: the same, and all of its output is as tests/data/tools/NAME.txt has it.
# With UPDATE set, the file is written instead: read it before you commit it.
golden() {
    expect "${@:2}"
    {
        echo "\$ ${*:3}"
        mask <"$work/out"
        [ ! -s "$work/err" ] || { echo "(stderr)" && cat "$work/err"; }
        echo "(exit $2)"
    } >"$work/golden"
    if [ -n "${UPDATE:-}" ]; then
        cp "$work/golden" "$data/$1.txt"
    else
        diff -u "$data/$1.txt" "$work/golden" >&2 || fail "$1: not as tests/data/tools/$1.txt has it"
    fi
    echo "golden: $1"
}
