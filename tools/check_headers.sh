#!/bin/sh
# Checks that each public header compiles alone, as C11 and as C++: check_headers.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"
bad=0
for header in include/s3r/*.h; do
    for language in "c -std=c11" "c++ -std=c++11"; do
        # shellcheck disable=SC2086  # two words
        if ! clang -x $language -Wall -Wextra -Wpedantic -Werror -Wno-pragma-once-outside-header \
            -fsyntax-only -Iinclude "$header"; then
            echo "$header: does not compile alone as ${language%% *}"
            bad=1
        fi
    done
done
exit $bad
