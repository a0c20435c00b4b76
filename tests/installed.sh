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

# All examples are built; embed, which takes the directory of its store, is run.
"$work/examples/example_embed" "$work/store-cmake"

# Shared, then static: the archive by name, with what pkg-config says it needs.
source=$SRC/examples/embed.c
# shellcheck disable=SC2046,SC2086
"$CC" -std=c11 ${CFLAGS:-} "$source" -o "$work/shared" $(pkg-config --cflags --libs ecshist) \
    -Wl,-rpath,"$libdir"
"$work/shared" "$work/store-shared"
# shellcheck disable=SC2046,SC2086
"$CC" -std=c11 ${CFLAGS:-} "$source" -o "$work/static" $(pkg-config --cflags ecshist) \
    "$libdir/libecshist.a" $(pkg-config --static --libs-only-l --libs-only-other ecshist |
        sed 's/-lecshist//')
"$work/static" "$work/store-static"

# The same from CMake, with the static library asked for.
mkdir "$work/static-project"
cat >"$work/static-project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(static_example LANGUAGES C)
find_package(ecshist REQUIRED COMPONENTS static)
add_executable(static_example "$source")
target_link_libraries(static_example PRIVATE ecshist::static)
END
cmake -S "$work/static-project" -B "$work/static-build" -DCMAKE_C_COMPILER="$CC" \
    -DCMAKE_PREFIX_PATH="$prefix"
cmake --build "$work/static-build"
"$work/static-build/static_example" "$work/store-static-cmake"
echo "built and run four ways"
