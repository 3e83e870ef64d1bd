#!/bin/sh
# Checks that the commands in README.md, docs/ and tools/ have options of their verbs, and
# none by letter and by name at once (the later one would win, or be refused):
# check_commands.sh [ROOT] [PROGRAM]
set -eu
root=${1:-$(dirname "$0")/..}
s3r=${2:-$root/build/release/s3r}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Lines "VERB <tab> LETTER or - <tab> NAME".
"$s3r" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][-a-z]*\( [a-z][-a-z]*\)\{0,1\}\)   *.*/\1/p' |
    while read -r verb; do
        # shellcheck disable=SC2086  # a verb may be two words
        "$s3r" help $verb | awk -v verb="$verb" '
            match($0, /^  (-[A-Za-z], |    )--[a-z0-9-]+/) {
                letter = substr($0, 3, 1) == "-" ? substr($0, 4, 1) : "-"
                name = substr($0, 7, RLENGTH - 6)
                print verb "\t" letter "\t" name
            }'
    done >"$work/options"
[ -s "$work/options" ] || { echo "check_commands: $s3r names no options"; exit 1; }

bad=0
for file in "$root"/README.md "$root"/docs/*.md "$root"/tools/*.sh; do
    [ -f "$file" ] || continue
    awk -v name="${file#"$root"/}" '
    FNR == NR {
        split($0, part, "\t")
        verbs[part[1]] = 1
        if (part[2] != "-") long[part[1], "-" part[2]] = part[3]
        has[part[1], part[3]] = 1
        next
    }
    function check(text, line,    word, count, verb, i, option, first) {
        gsub(/[][()]/, " ", text)
        count = split(text, word, /[ \t]+/)
        verb = (word[1] " " word[2]) in verbs ? word[1] " " word[2] : word[1]
        if (!(verb in verbs)) return
        for (i = 2; i <= count; i++) {
            option = word[i]
            sub(/[=,.:].*/, "", option)
            if (option !~ /^(-[A-Za-z]|--[a-z][a-z0-9-]*)$/) continue
            first = (verb, option) in long ? long[verb, option] : option
            if (!((verb, first) in has)) {
                printf "%s:%d: s3r %s has no option %s\n", name, line, verb, option
                bad = 1
            } else if (first in seen && seen[first] != option) {
                printf "%s:%d: s3r %s has %s and %s, which are one option\n", name, line,
                       verb, seen[first], option
                bad = 1
            }
            seen[first] = option
        }
        for (option in seen) delete seen[option]
    }
    {
        whole = whole $0
        if (sub(/\\$/, " ", whole)) next
        rest = whole
        while (match(rest, /(^|[ \t`(])("?\$s3r"?|s3r) +[a-z]/)) {
            rest = substr(rest, RSTART + RLENGTH - 1)
            text = rest
            sub(/[|<>#;&`].*/, "", text)
            check(text, FNR)
        }
        whole = ""
    }
    END { exit bad }' "$work/options" "$file" || bad=1
done
exit $bad
