#!/bin/sh
# What must pass before a commit, in this order: packages, release build, all tests, the
# checks of the sources, and the unit tests once more under the address and
# undefined-behaviour sanitizers: run_tests.sh [-j JOBS]
set -eu
cd "$(dirname "$0")/.."
jobs=2
[ "${1:-}" = -j ] && jobs=$2

tools/install_packages.sh build test
tools/build.sh release -j "$jobs"
ctest --test-dir build/release -j "$jobs" --output-on-failure
tools/lint.sh build/release
tools/build.sh asan -j "$jobs"
ctest --test-dir build/asan -j "$jobs" --output-on-failure -L 'unit|fuzz'
