#!/bin/sh
# s3r bench: table, JSON, errors of the child.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln

expect 0 bench -m "$model" --seconds 0.5,1 --dtype both --rounds 2
stdout_has '^dtype +audio s +frames +open +median +min +RTF +peak$'
stdout_has '^f32 +0\.5 +24 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$'
stdout_has '^bf16 +1 +49 '
[ "$(grep -c '^f32 ' "$work/stdout")" -eq 2 ] || fail "lines of f32"
expect 0 bench -m "$golden/w2v2_group_postln_fairseq/pretrained_legacy.pt" --seconds 0.1
stdout_has '^f32 +0\.1 +4 '

expect 0 bench -m "$model" --seconds 0.01 --rounds 1 --json --threads 2 --cpu portable
for fact in '"cpu_level": "portable"' '"threads": 2' '"rounds": 1' '"dtype": "f32"' \
    '"audio_s": 0.01' '"frames": 0' '"open_ms": [0-9]' '"median_ms": [0-9]' \
    '"min_ms": [0-9]' '"real_time_factor": [0-9]' '"peak_bytes": [1-9][0-9]{5}'; do
    stdout_has "$fact"
done

for list in "" 0 -1 "1," ",1" "1,x" 1e9 nan 1:2; do
    expect 2 bench -m "$model" --seconds "$list"
    stderr_has '^s3r: --seconds: expected '
done
for weights in packed shared; do
    expect 0 bench -m "$model" --seconds 0.1 --rounds 1 --json --weights $weights
    stdout_has "\"weights\": \"$weights\""
done
expect 0 bench -m "$model" --seconds 0.1 --rounds 1 --json
stdout_has '"weights": "packed"'

expect 2 bench -m "$model" --rounds 0
expect 3 bench -m "$work/nothing"
stderr_has '^s3r: .*/nothing: '
