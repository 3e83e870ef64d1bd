#!/bin/sh
# s3r features: layers, names, models without head, errors.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln
wav "$work/one.wav" 16000 4000
wav "$work/two.wav" 16000 3000

# 2 blocks of width 16: layers 0 to 2, and the last is layer 2.
expect 0 features -m "$model" -o "$work/last" "$work/one.wav" "$work/two.wav"
stdout_is ""
stderr_is "s3r: 2 files, 21 frames in $work/last"
npy_is "$work/last/one.npy" "(12, 16)" 768
npy_is "$work/last/two.npy" "(9, 16)" 576
expect 0 features -q -m "$model" --layer all -o "$work/all" "$work/one.wav"
stderr_is ""
for layer in 0 1 2; do
    npy_is "$work/all/one.$layer.npy" "(12, 16)" 768
    expect 0 features -q -m "$model" --layer $layer -o "$work/$layer" "$work/one.wav"
    cmp -s "$work/all/one.$layer.npy" "$work/$layer/one.npy" || fail "layer $layer differs"
done
cmp -s "$work/last/one.npy" "$work/2/one.npy" || fail "the last layer is not layer 2"
if cmp -s "$work/1/one.npy" "$work/2/one.npy"; then fail "layers are equal"; fi
[ "$(find "$work/all" -type f | wc -l)" -eq 3 ] || fail "files besides the three layers"

# A pretrained backbone has features though it has no head.
expect 0 features -m "$golden/w2v2_group_postln_fairseq/pretrained_legacy.pt" \
    -o "$work/bare" "$work/one.wav"
npy_is "$work/bare/one.npy" "(12, 16)" 768

expect 6 features -m "$model" -o "$work/some" "$work/one.wav" nothing.wav
stderr_has '^s3r: 1 of 2 files failed: nothing\.wav$'
npy_is "$work/some/one.npy" "(12, 16)" 768
expect 4 features -m "$model" -o "$work/some" nothing.wav

for layer in 3 -1 -2 1.5 top 99999999999; do
    expect 2 features -m "$model" --layer=$layer -o "$work/no" "$work/one.wav"
    stderr_has 'layer: expected '
done
expect 2 features -m "$model" "$work/one.wav"
stderr_is 's3r: features: expected -o DIR (see s3r help features)'
expect 2 features -m "$model" -o "$work/no" "$work/one.wav" one.flac
[ ! -e "$work/no" ] || fail "a folder after wrong usage"
expect 3 features -m "$work/nothing" -o "$work/no" "$work/one.wav"
expect 1 features -m "$model" -o "$work/one.wav" "$work/one.wav"
