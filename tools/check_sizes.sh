#!/bin/sh
# Checks the size of files, functions and fixtures: check_sizes.sh [ROOT]
#
# More than 1000 lines in a file or 80 in a function fails, unless a comment
# "long because: REASON" stands in the file's opening comment, or in or above the function.
# More than 600 lines in a file is a warning.  The files of tests/data and those of
# tests/golden, with their generators, may have 1,000,000 bytes together.
set -eu
cd "${1:-$(dirname "$0")/..}"

for fixtures in tests/data tests/golden; do
    [ -d "$fixtures" ] || continue
    bytes=$(find "$fixtures" -name __pycache__ -prune -o -type f -exec cat {} + | wc -c)
    [ "$bytes" -le 1000000 ] || {
        echo "$fixtures: $bytes bytes, at most 1000000"
        exit 1
    }
done

find include src cli tests fuzz tools -name '*.[ch]' 2>/dev/null | LC_ALL=C sort |
    xargs -r awk '
function end_of_file() {
    if (lines > 1000 && !file_reason) {
        printf "%s: %d lines, at most 1000\n", file, lines
        bad = 1
    } else if (lines > 600) {
        printf "%s: warning: %d lines, better at most 600\n", file, lines
    }
}
FNR == 1 {
    if (file != "") end_of_file()
    file = FILENAME
    file_reason = start = reason = 0
    head = ""
    opening = 1
}
{ lines = FNR }
opening && /\*\// { opening = 0 }
/long because: *[^ ]/ { reason = 1; if (FNR < 20 && opening) file_reason = 1 }
# A function starts at a "{" alone in column 0 and ends at a "}" alone there.
/^[A-Za-z_]/ && !start { head = $0 }
/^\{$/ { start = FNR }
/^\}$/ && start {
    if (FNR - start + 1 > 80 && !reason) {
        printf "%s:%d: function of %d lines, at most 80: %s\n", file, start, FNR - start + 1, head
        bad = 1
    }
    start = reason = 0
}
/^(\}.*|#.*|[^ \t\/*].*;)$/ && !start { reason = 0 }
END { if (file != "") end_of_file(); exit bad }'
