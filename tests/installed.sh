#!/usr/bin/env bash
# What is installed can be used: by CMake, by pkg-config, moved to another place, and with the tools
# finding their library.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$BUILD" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/prefix"
prefix=$work/prefix

for tool in ingest query dump admin; do
    "$prefix/bin/ecshist-$tool" --version
done

cmake -S "$SRC/examples" -B "$work/examples" -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$prefix"
cmake --build "$work/examples"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name ecshist.pc)")
export PKG_CONFIG_PATH
pkg-config --exact-version="$(sed -n 's/.*VERSION_STRING "\(.*\)"/\1/p' "$SRC/include/ecshist/version.h")" ecshist
libdir=$(pkg-config --variable=libdir ecshist)

ran=0
for source in "$SRC"/examples/*.c; do
    name=$(basename "$source" .c)
    "$work/examples/example_$name" "$work/store-cmake-$name"

    # Shared, then static: the archive by name, with what pkg-config says it needs.
    # shellcheck disable=SC2046,SC2086
    "$CC" -std=c11 ${CFLAGS:-} "$source" -o "$work/shared" $(pkg-config --cflags --libs ecshist) \
        -Wl,-rpath,"$libdir"
    "$work/shared" "$work/store-shared-$name"
    # shellcheck disable=SC2046,SC2086
    "$CC" -std=c11 ${CFLAGS:-} "$source" -o "$work/static" $(pkg-config --cflags ecshist) \
        "$libdir/libecshist.a" $(pkg-config --static --libs-only-l --libs-only-other ecshist |
            sed 's/-lecshist//')
    "$work/static" "$work/store-static-$name"
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "no examples" >&2; exit 1; }
echo "$ran examples built and run three ways"
