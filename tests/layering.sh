#!/usr/bin/env bash
# scripts/layering sees what it is there to see: each breach, put into a copy of the sources or made
# as an object, is reported by name.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect WHAT REPORT [BUILD-DIR]: layering fails on the copy, and says REPORT.
expect() {
    if "$SRC/scripts/layering" --source "$work/copy" "${@:3}" >"$work/out" 2>&1; then
        echo "$1: not seen" >&2
        exit 1
    fi
    grep -qF -- "$2" "$work/out" || { cat "$work/out" && echo "$1: not reported" && exit 1; } >&2
    echo "seen: $1"
}
# with FILE LINE WHAT REPORT: the same, of a copy that has LINE in a new FILE.
with() {
    mkdir -p "$(dirname "$work/copy/$1")"
    printf '%s\n' "$2" >"$work/copy/$1"
    expect "$3" "$4"
    rm "$work/copy/$1"
    rmdir --ignore-fail-on-non-empty "$(dirname "$work/copy/$1")"
}

mkdir "$work/copy"
cp -R "$SRC/include" "$SRC/store" "$SRC/tools" "$work/copy"
"$SRC/scripts/layering" --source "$work/copy"

with store/codec/x.c '#include "json/json.h"' "codec knows json" "store/codec/x.c:1: codec may not know json"
with store/fold/x.h '  #  include "json/json.h"' "spaces in an include" "store/fold/x.h:1: fold may not know json"
with store/model/x.c '#include <jansson.h>' "jansson in model" "store/model/x.c:1: <jansson.h>"
with store/view/x.c '#include <msgpack/pack.h>' "msgpack in view" "store/view/x.c:1: <msgpack/pack.h>"
with store/base/x.c '#include "arn.h"' "an include without its folder" "store/base/x.c:1: an include names"
with tools/query/x.c '#include "base/bytes.h"' "a tool in the store" "tools/query/x.c:1: a tool sees"
with tools/dump/x.c '#include <lmdb.h>' "lmdb in a tool" "tools/dump/x.c:1: <lmdb.h>"
with include/ecshist/x.h '#include "model/arn.h"' "a public header in the store" "include/ecshist/x.h:1:"
with store/extra/x.c '' "a folder without a rule" "store/extra: a folder without a rule"

# Without an include: by a declaration of one's own. Only the symbols show it.
for folder in base model codec json log db fold view upkeep api; do
    mkdir -p "$work/build/ehi_$folder.dir"
    echo "void ehi_${folder}_thing(void); void ehi_${folder}_thing(void) {}" |
        ${CC:-cc} -x c -c - -o "$work/build/ehi_$folder.dir/thing.o"
done
"$SRC/scripts/layering" --source "$work/copy" "$work/build"
echo "void ehi_json_thing(void); void ehi_log_x(void); void ehi_log_x(void) { ehi_json_thing(); }" |
    ${CC:-cc} -x c -c - -o "$work/build/ehi_log.dir/x.o"
expect "log calls json" "store/log uses ehi_json_thing of store/json" "$work/build"
rm "$work/build/ehi_log.dir/x.o"
echo "int mdb_env_create(void **); int ehi_v(void); int ehi_v(void) { return mdb_env_create(0); }" |
    ${CC:-cc} -x c -c - -o "$work/build/ehi_view.dir/x.o"
expect "view calls lmdb" "store/view uses mdb_env_create" "$work/build"
