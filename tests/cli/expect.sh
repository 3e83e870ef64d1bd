# Sourced by the tests of the program.  ctest gives S3R (the program), S3R_TOOLS (the build
# folder) and S3R_DATA (tests/data).
#
#   expect CODE ARGUMENT...   runs s3r, fails unless it exits with CODE; then
#   stdout_is TEXT, stderr_is TEXT, stdout_has PATTERN, stderr_has PATTERN (grep -E)
# shellcheck shell=sh
set -u
: "${S3R:?}" "${S3R_TOOLS:?}" "${S3R_DATA:?}"
unset NO_COLOR # S3R_CPU stays: a whole test run may be forced to one level
export LC_ALL=C.UTF-8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail()
{
    echo "FAILED: s3r $last: $1"
    echo "--- stdout" && cat "$work/stdout"
    echo "--- stderr" && cat "$work/stderr"
    exit 1
}

expect()
{
    code=$1
    shift
    last=$*
    found=0
    "$S3R" "$@" >"$work/stdout" 2>"$work/stderr" || found=$?
    [ "$found" -eq "$code" ] || fail "exit code $found, expected $code"
}

stdout_is() { [ "$(cat "$work/stdout")" = "$1" ] || fail "expected on stdout: $1"; }
stderr_is() { [ "$(cat "$work/stderr")" = "$1" ] || fail "expected on stderr: $1"; }
stdout_has() { grep -Eq -e "$1" "$work/stdout" || fail "not on stdout: $1"; }
stderr_has() { grep -Eq -e "$1" "$work/stderr" || fail "not on stderr: $1"; }
