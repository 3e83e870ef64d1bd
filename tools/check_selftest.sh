#!/bin/sh
# Proves that each check can fail: builds small trees that break one rule each, and one
# that breaks none, and looks at the verdicts.
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# verdict NAME pass|fail CHECK [ARGUMENT]
verdict()
{
    result=pass
    "$tools/$3.sh" "${4:-$work/tree}" >"$work/log" 2>&1 || result=fail
    if [ "$result" != "$2" ]; then
        echo "check_selftest: $1: $3 says $result, expected $2"
        sed 's/^/    /' "$work/log"
        failures=$((failures + 1))
    fi
}

new_tree()
{
    rm -rf "$work/tree"
    mkdir -p "$work/tree/include/s3r" "$work/tree/src/base" "$work/tree/src/ops" \
        "$work/tree/src/model" "$work/tree/src/audio" "$work/tree/cli"
    cp "$tools/../.clang-format" "$work/tree"
    printf '#include <stddef.h>\nint s3r_good(size_t n);\n' >"$work/tree/include/s3r/status.h"
    printf '#include "s3r/status.h"\n' >"$work/tree/src/base/error.h"
    printf '#include "base/error.h"\n#include <math.h>\n' >"$work/tree/src/ops/linear.c"
    printf '#include "verb.h"\n#include <s3r/status.h>\n' >"$work/tree/cli/main.c"
    : >"$work/tree/cli/verb.h"
}

# put FILE FORMAT: writes a file of the tree
put()
{
    # shellcheck disable=SC2059  # the format is the content
    printf "$2" >"$work/tree/$1"
}

lines()
{
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) print "    x++;" }'
}

new_tree
for check in check_includes check_sizes check_format check_names check_headers; do
    verdict "a good tree" pass $check
done

put src/base/upward.c '#include "ops/linear.h"\n'
verdict "base includes ops" fail check_includes
new_tree && put src/audio/side.c '#include "text/tokens.h"\n'
verdict "a folder includes another of its floor" fail check_includes
new_tree && put src/ops/bare.c '#include "linear.h"\n'
verdict "a path without folder" fail check_includes
new_tree && put src/ops/api.c '#  include "s3r/model.h" // why\n'
verdict "ops includes a public header of the model" fail check_includes
new_tree && put cli/peek.c '#include "base/error.h"\n'
verdict "cli includes an internal header" fail check_includes
new_tree && put include/s3r/io.h '#include <stdio.h>\n'
verdict "a public header includes stdio.h" fail check_includes
new_tree && mkdir "$work/tree/src/lost" && put src/lost/a.c '\n'
verdict "a folder on no floor" fail check_includes

new_tree && { echo 'int f(void)' && echo '{' && lines 79 && echo '}'; } >"$work/tree/src/ops/long.c"
verdict "a function of 81 lines" fail check_sizes
sed -i '1i /* long because: a flat table of cases */' "$work/tree/src/ops/long.c"
verdict "a function of 81 lines with a reason" pass check_sizes
printf 'int g(void)\n{\n%s\n}\n' "$(lines 90)" >>"$work/tree/src/ops/long.c"
verdict "the reason of another function" fail check_sizes
new_tree && { echo 'int a;' && lines 1000; } >"$work/tree/src/ops/big.c"
verdict "a file of 1001 lines" fail check_sizes

new_tree && mkdir -p "$work/tree/tests/golden" &&
    head -c 1000001 /dev/zero >"$work/tree/tests/golden/large"
verdict "golden files of 1,000,001 bytes" fail check_sizes
new_tree && put src/ops/ugly.c 'int  f( void ){return 1;}\n'
verdict "a file that is not formatted" fail check_format
new_tree && put src/model/linear.c '\n'
verdict "two files of one name" fail check_names
new_tree && put src/model/utils.c '\n'
verdict "a file named utils" fail check_names
new_tree && put include/s3r/part.h 's3r_missing f(void);\n'
verdict "a header that does not compile alone" fail check_headers
new_tree && put include/s3r/part.h 'int s3r_f(int class);\n'
verdict "a header that is not C++" fail check_headers

build=$work/tree/build
objects=$build/CMakeFiles/s3r_objects.dir
new_tree && mkdir -p "$objects"
compile()
{
    echo "$1" | gcc -x c -O1 -fPIC -c -o "$objects/a.o" -
    gcc -shared -o "$build/libs3r.so" "$objects/a.o"
}
compile 'int s3r_f(void) { return 1; }'
verdict "good symbols" pass check_symbols "$build"
compile 'int f(void) { return 1; }'
verdict "a symbol without prefix" fail check_symbols "$build"
compile 'void exit(int); void s3r_f(void) { exit(1); }'
verdict "an object that exits" fail check_symbols "$build"
compile '#include <stdio.h>
void s3r_f(void) { fputs("x", stderr); }'
verdict "an object that prints" fail check_symbols "$build"
rm -f "$objects"/*.o
verdict "nothing was built" fail check_symbols "$build"

# A program of one verb with two options.
new_tree && mkdir -p "$work/tree/build/release" "$work/tree/docs"
cat >"$work/tree/build/release/s3r" <<'END_OF_PROGRAM'
#!/bin/sh
case $1 in
--help) printf 'Verbs:\n  score                     Score\n\n' ;;
help) printf '  -d, --data FILE           Data.\n      --dtype NAME          Numbers.\n' ;;
esac
END_OF_PROGRAM
chmod +x "$work/tree/build/release/s3r"
put README.md 'Try `s3r score --data a.jsonl --dtype x` or s3r score -d a -d b.\n'
verdict "commands that exist" pass check_commands
put docs/a.md '    s3r score --datum a.jsonl\n'
verdict "an option that does not exist" fail check_commands
put docs/a.md '    "$s3r" score -d bf16 \\\n        --data a.jsonl\n'
verdict "an option by letter and by name" fail check_commands
rm "$work/tree/docs/a.md" && printf '#!/bin/sh\n' >"$work/tree/build/release/s3r"
verdict "a program that names no options" fail check_commands

[ "$failures" -eq 0 ] || exit 1
echo "check_selftest: every check can fail"
