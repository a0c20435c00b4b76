#!/usr/bin/env bash
# What README.md shows is what the tools print: runs each command of its ```console blocks.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$BIN:$PATH
export ECSHIST_STORE=$work/store
cd "$SRC"

awk '/^```console$/ {on = 1; next} /^```$/ {on = 0} on' README.md >"$work/shown"
grep '^\$ ' "$work/shown" >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 4 ]
while IFS= read -r line; do
    echo "$line"
    bash -c "${line#\$ }"
done <"$work/commands" >"$work/printed"
diff -u "$work/shown" "$work/printed"
echo "README.md shows what the tools print"
