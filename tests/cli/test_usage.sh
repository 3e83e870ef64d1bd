#!/bin/sh
# Verbs, help, version, usage errors: exit codes and which stream gets the text.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

expect 2
stdout_is ""
stderr_has '^Usage: s3r VERB'

expect 0 --help
stdout_has '^  doctor +Report'
stderr_is ""
if grep -q '^  man ' "$work/stdout"; then fail "a hidden verb is listed"; fi

expect 0 help
stdout_has '^Exit codes:'
expect 0 help doctor
stdout_has '^Usage: s3r doctor'
cp "$work/stdout" "$work/help"
expect 0 doctor --help
cmp -s "$work/help" "$work/stdout" || fail "help VERB and VERB --help differ"
expect 0 doctor -qh
stdout_has '^Usage: s3r doctor'

expect 0 --version
stdout_has '^s3r [0-9]+\.[0-9]+\.[0-9]+$'

expect 2 docter
stdout_is ""
stderr_is 's3r: unknown verb "docter"; did you mean "doctor"?'
expect 2 zzz
stderr_is 's3r: unknown verb "zzz" (see s3r --help)'
expect 2 help docter
stderr_is 's3r: unknown verb "docter"; did you mean "doctor"?'
expect 2 --quiet doctor
stderr_is 's3r: expected a verb before "--quiet" (see s3r --help)'

expect 2 doctor --jsn
stderr_is 's3r: unknown option "--jsn"; did you mean "--json"?'
expect 2 doctor --cpu sparc
stderr_has '^s3r: --cpu: expected auto\|portable'
expect 2 doctor --threads
stderr_is 's3r: --threads: expected a value: N'
expect 2 doctor extra
stderr_is 's3r: doctor: unexpected argument "extra"'

# No line of help is longer than 80 columns.
for verb in $("$S3R" --help | awk '/^Verbs:/ { on = 1; next } /^$/ { on = 0 }
        on && /^  [a-z]/ { print $1 }'); do
    expect 0 "$verb" --help
    if grep -E '^.{81}' "$work/stdout" | grep -vE '^  s3r '; then fail "a long line"; fi
done
