#!/bin/sh
# Checks the symbols of a build: check_symbols.sh [BUILD_FOLDER]
#
# Every global of the library starts with s3r_, no object of it can print or end the
# process, and the shared library exports only s3r_ names.
set -eu
build=${1:-$(dirname "$0")/../build/release}
forbidden='^(exit|_Exit|quick_exit|abort|printf|vprintf|puts|putchar|perror|stderr|stdout|__printf_chk|__vprintf_chk|err|errx|warn|warnx)$'
bad=0

objects=$(find "$build/CMakeFiles/s3r_objects.dir" -name '*.o' 2>/dev/null | LC_ALL=C sort)
if [ -z "$objects" ]; then
    echo "$build: no object of the library; build it first" >&2
    exit 1
fi
for object in $objects; do
    name=${object##*/s3r_objects.dir/}
    for symbol in $(nm -g --defined-only "$object" | awk 'NF == 3 && $3 !~ /^s3r_/ { print $3 }'); do
        echo "$name: global symbol \"$symbol\" does not start with s3r_"
        bad=1
    done
    for symbol in $(nm -u "$object" | awk '{ print $NF }' | grep -E "$forbidden" || true); do
        echo "$name: refers to \"$symbol\": the library never prints and never exits"
        bad=1
    done
done
library=$build/libs3r.so
if [ -e "$library" ]; then
    for symbol in $(nm -D --defined-only "$library" | awk '$NF !~ /^s3r_/ { print $NF }'); do
        echo "libs3r.so: exports \"$symbol\""
        bad=1
    done
fi
exit $bad
