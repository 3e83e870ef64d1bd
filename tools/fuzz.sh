#!/bin/sh
# Runs each libFuzzer program of BUILD_FOLDER for SECONDS: fuzz.sh BUILD_FOLDER SECONDS
# New inputs are kept in BUILD_FOLDER/corpus/NAME, failures in BUILD_FOLDER/crash-*.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
cd "$1"
for target in fuzz_*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=${target#fuzz_}
    seeds=$source/fuzz/seeds/$name
    [ -d "$seeds" ] || seeds=$source/tests/data
    mkdir -p "corpus/$name"
    echo "== $target for $2 s"
    "./$target" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -print_final_stats=0 \
        -verbosity=0 -artifact_prefix="crash-$name-" "corpus/$name" "$seeds"
done
