#!/bin/sh
# Runs every check of the sources, then of the symbols of BUILD_FOLDER; reports all
# failures, not the first only: lint.sh [BUILD_FOLDER]
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
for check in includes sizes names format headers; do
    tools/check_$check.sh || { echo "lint: check_$check failed" >&2; bad=1; }
done
tools/check_symbols.sh "${1:-build/release}" || { echo "lint: check_symbols failed" >&2; bad=1; }
tools/check_commands.sh . "${1:-build/release}/s3r" || {
    echo "lint: check_commands failed" >&2
    bad=1
}
tools/check_selftest.sh || bad=1
find tools tests .ci -type f \( -name '*.sh' -o -name run \) -exec shellcheck -x -S warning {} + || {
    echo "lint: shellcheck failed" >&2
    bad=1
}
exit $bad
