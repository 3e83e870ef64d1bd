#!/bin/sh
# Checks that file names of code are unique in the tree and say something:
# check_names.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"
find include src cli tests fuzz tools -type f \( -name '*.[ch]' -o -name '*.sh' \) \
    2>/dev/null | LC_ALL=C sort | awk -F/ '
$NF in seen { printf "%s: the name is taken by %s\n", $0, seen[$NF]; bad = 1 }
$NF ~ /^(utils?|misc|common|helpers?)\./ { printf "%s: the name says nothing\n", $0; bad = 1 }
{ seen[$NF] = $0 }
END { exit bad }'
