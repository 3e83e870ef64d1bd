#!/bin/sh
# s3r transcribe --stream: text and JSON as samples come, refusals.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln

# stream CODE OPTION...: the raw samples in $work/raw through the program.
stream()
{
    code=$1
    shift
    last="transcribe --stream $*"
    found=0
    "$S3R" transcribe --stream -m "$model" "$@" <"$work/raw" >"$work/stdout" \
        2>"$work/stderr" || found=$?
    [ "$found" -eq "$code" ] || fail "exit code $found, expected $code"
}

# A whole file within one window is what transcribe makes of it.
samples 4000 >"$work/raw"
stream 0
cp "$work/stdout" "$work/found"
"$S3R" transcribe -m "$model" - <"$work/raw" >"$work/expected" || fail "transcribe"
cmp -s "$work/found" "$work/expected" || fail "another text than without --stream"
stream 0 -
cmp -s "$work/found" "$work/stdout" || fail "- is another input"

for rate in 8000 44100; do
    "$S3R" transcribe -m "$model" --raw-rate $rate - <"$work/raw" >"$work/expected" ||
        fail "transcribe"
    stream 0 --raw-rate $rate
    cmp -s "$work/stdout" "$work/expected" || fail "another text than without --stream at $rate"
done

samples 4000 >"$work/one"
cat "$work/one" "$work/one" "$work/one" "$work/one" >"$work/raw"
stream 0 --format json --chunk 0.2 --left 0.4 --right 0.1
stdout_has '^\{"decoded_ms":200\.0,"words":\[.*\],"tail":"[A-Z ]*","is_end":false\}$'
stdout_has '"words":\[\{"word":"[A-Z]+","start_ms":[0-9.]+,"end_ms":[0-9.]+,"confidence":0\.[0-9]+\}.*"is_end":true\}$'
[ "$(wc -l <"$work/stdout")" -eq 5 ] || fail "not a line a chunk"
[ "$(tail -n 1 "$work/stdout" | grep -c '"decoded_ms":980.0,.*"tail":"","is_end":true')" -eq 1 ] ||
    fail "another end"
: >"$work/raw"
stream 0
stdout_is ""

printf abc >"$work/raw"
stream 4
stderr_has '^s3r: standard input: expected 16-bit samples, found an odd number of bytes$'
wav "$work/raw" 16000 4000
stream 2
stderr_has 'found a file with a header$'
# Also when its first bytes come one by one, and of a kind that cannot be streamed.
found=0
(head -c 2 "$work/raw"; sleep 0.2; tail -c +3 "$work/raw") |
    "$S3R" transcribe --stream -m "$model" >"$work/stdout" 2>"$work/stderr" || found=$?
[ "$found" -eq 2 ] || fail "exit code $found for a header in two pieces"
(printf '\0\0\0\040ftypisom'; samples 4000) >"$work/raw"
stream 2
stderr_has 'found a file with a header$'
stream 2 --raw-rate 0
stderr_has 'raw-rate: expected a rate in Hz, found 0$'
stream 2 --raw-rate 100
stderr_has 'sample rate: expected 1000 to 768000 Hz, found 100$'
stream 2 --format srt
stderr_has 'expected --format txt or json, found "srt"$'
stream 2 -o "$work/out"
stderr_has 'goes to standard output'
stream 2 "$work/raw"
stderr_has 'reads standard input and no files$'
stream 2 --chunk 0
stderr_has 'expected chunks of 0\.1 to 60 s'
