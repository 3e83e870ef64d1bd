#!/bin/sh
# Checks that clang-format would change nothing: check_format.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"
find include src cli examples tests fuzz tools -name '*.[ch]' 2>/dev/null | LC_ALL=C sort |
    xargs -r clang-format --dry-run -Werror
