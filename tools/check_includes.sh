#!/bin/sh
# Checks that includes point downward (ARCHITECTURE.md): check_includes.sh [ROOT]
#
# A file of src/ includes only lower floors, its own folder, and of the public headers
# those that every floor may know.  cli/ sees the public headers and itself; a public
# header sees the three freestanding headers and other public headers.
set -eu
cd "${1:-$(dirname "$0")/..}"

find include src cli -name '*.[ch]' 2>/dev/null | LC_ALL=C sort | xargs -r awk '
function fail(message) {
    printf "%s:%d: #include %s: %s\n", FILENAME, FNR, name, message
    bad = 1
}
BEGIN {
    floor["base"] = 0
    floor["checkpoint"] = floor["audio"] = floor["text"] = 1
    floor["ops"] = 2
    floor["model"] = floor["route"] = floor["decode"] = floor["data"] = 3
    floor["tasks"] = 4
    floor["train"] = floor["prune"] = floor["analyze"] = 5
    floor["api"] = 6
    split("status train_event", all, " ")
    for (i in all) public_below["s3r/" all[i] ".h"] = 1
    split("stddef stdint stdbool", plain, " ")
    for (i in plain) freestanding["<" plain[i] ".h>"] = 1
}
FNR == 1 {
    split(FILENAME, part, "/")
    where = part[1]
    own = part[2]
    if (where == "src" && !(own in floor)) {
        printf "%s: folder \"%s\" is on no floor\n", FILENAME, own
        bad = 1
    }
}
!/^[ \t]*#[ \t]*include[ \t]*["<]/ { next }
{
    name = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
    sub(/[ \t]*(\/[\/*].*)?$/, "", name)
    quoted = name ~ /^"/
    inner = substr(name, 2, length(name) - 2)
    split(inner, target, "/")
}
where == "include" {
    if (quoted ? target[1] != "s3r" : !(name in freestanding))
        fail("a public header may include <stddef.h>, <stdint.h>, <stdbool.h> and \"s3r/...\"")
    next
}
where == "cli" {
    if (target[1] == "s3r") next
    if (quoted && index(inner, "/")) fail("cli/ may include only <s3r/...> and its own headers")
    if (quoted && (getline line < ("cli/" inner)) < 0) fail("no such header in cli/")
    close("cli/" inner)
    next
}
where == "src" && target[1] == "s3r" {
    if (floor[own] < 6 && !(inner in public_below))
        fail("only src/api knows this public header")
    next
}
where == "src" && quoted {
    if (!(target[1] in floor)) fail("write the path from src/, as in \"base/error.h\"")
    else if (target[1] != own && floor[target[1]] >= floor[own])
        fail("floor " floor[own] " (" own ") may not see floor " floor[target[1]] " (" target[1] ")")
}
END { exit bad }'
