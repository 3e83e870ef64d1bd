#!/bin/sh
# The slow checks: every test under each sanitizer, with clang, without optimisation and at
# each CPU level this machine has, then every fuzz target for a minute:
# check_long.sh [-j JOBS]
set -eu
cd "$(dirname "$0")/.."
jobs=2
[ "${1:-}" = -j ] && jobs=$2

for preset in release asan tsan clang debug; do
    echo "== $preset"
    tools/build.sh $preset -j "$jobs"
    ctest --test-dir build/$preset -j "$jobs" --output-on-failure
done

cpu_flags=$(grep -m 1 '^flags' /proc/cpuinfo || true)
for level in portable avx2 avx512 avx512vnni avx512bf16; do
    case $level in
    avx2) needs=avx2 ;;
    avx512) needs=avx512bw ;;
    avx512vnni) needs=avx512_vnni ;;
    avx512bf16) needs=avx512_bf16 ;;
    *) needs= ;;
    esac
    case "$cpu_flags " in
    *" $needs"*) ;;
    *)
        echo "== CPU level $level: not on this machine, skipped"
        continue
        ;;
    esac
    echo "== CPU level $level"
    S3R_CPU=$level ctest --test-dir build/release -j "$jobs" --output-on-failure
done

echo "== an hour of audio"
S3R_LONG_TESTS=1 build/release/test_transcribe_long

echo "== old processors"
tools/check_old_cpus.sh build/release/s3r

echo "== fuzz"
tools/build.sh fuzz -j "$jobs"
tools/fuzz.sh build/fuzz 60
