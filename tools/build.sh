#!/bin/sh
# Configures (once) and builds a preset of CMakePresets.json: build.sh PRESET [-j JOBS]
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
# CMake itself re-runs when its inputs change; here only the first time.
if [ ! -f "build/$preset/build.ninja" ]; then
    cmake --preset "$preset" >"/dev/null"
fi
cmake --build --preset "$preset" "$@"
