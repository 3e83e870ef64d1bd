#!/bin/sh
# Masks of masks: s3r mask diff, sim, and, or, xor, minus, vote, random, storage.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
tiny=$work/tiny
"$S3R_TOOLS/make_tiny_model" "$tiny" 3 || exit 1
for seed in 1 2 3; do
    "$S3R_TOOLS/make_tiny_mask" "$tiny" "$work/$seed.s3m" mask $seed || exit 1
done
"$S3R_TOOLS/make_tiny_mask" "$tiny" "$work/bias.s3m" bias 5 || exit 1
"$S3R_TOOLS/make_tiny_mask" "$golden/hubert_group" "$work/other.s3m" mask 1 || exit 1

# One half removed of each, so a quarter and three quarters.
expect 0 mask and "$work/1.s3m" "$work/2.s3m" -o "$work/and.s3m"
stdout_has 'and.s3m: 12 matrices, [0-9]+ of 65536 connections removed \((74|75)\.[0-9] %\)$'
expect 0 mask or "$work/1.s3m" "$work/2.s3m" -o "$work/or.s3m"
stdout_has 'removed \((24|25)\.[0-9] %\)$'
expect 0 mask xor "$work/1.s3m" "$work/2.s3m" -o "$work/xor.s3m"
stdout_has 'removed \((49|50)\.[0-9] %\)$'
expect 0 mask minus "$work/1.s3m" "$work/1.s3m" -o "$work/minus.s3m"
stdout_has '65536 of 65536 connections removed \(100.0 %\)$'
expect 0 mask vote "$work/1.s3m" "$work/2.s3m" "$work/3.s3m" -o "$work/vote.s3m"
stdout_has 'removed \((49|50)\.[0-9] %\)$'
expect 0 mask vote --at-least 3 "$work/1.s3m" "$work/2.s3m" "$work/3.s3m" -o "$work/all.s3m"
expect 0 mask verify -m "$tiny" "$work/vote.s3m"
expect 0 transcribe -m "$tiny" --mask "$work/vote.s3m" "$clip"
expect 0 mask info "$work/vote.s3m"
stdout_has '^method       vote$'
stdout_has '^of           1.s3m$'
stdout_has '^ +3.s3m$'
stdout_has '^head of      1.s3m$'

# a or b is not(not a and not b): voting for one is or, for all is and.
expect 0 mask vote --at-least 1 "$work/1.s3m" "$work/2.s3m" -o "$work/x.s3m"
expect 0 mask sim "$work/x.s3m" "$work/or.s3m"
stdout_has '^all .* 1\.0000 +0\.[0-9]+ +1\.0000 +0\.[0-9]+ +1\.0000$'
expect 0 mask diff --json "$work/and.s3m" "$work/or.s3m"
python3 -m json.tool "$work/stdout" >/dev/null || fail "no JSON"

# Compact operands need the backbone.
expect 0 mask pack -m "$tiny" "$work/2.s3m" -o "$work/compact.s3m"
expect 0 mask sim -m "$tiny" "$work/2.s3m" "$work/compact.s3m"
stdout_has '^all .* 1\.0000$'
cp "$work/1.s3m" "$work/kept.s3m"
expect 2 mask or "$work/2.s3m" "$work/kept.s3m" -o "$work/./kept.s3m"
stderr_has 'kept\.s3m: expected another file for the result: it would replace the input .*/kept\.s3m$'
expect 2 mask random --like "$work/kept.s3m" -o "$work/kept.s3m"
cmp "$work/1.s3m" "$work/kept.s3m" || fail "an input was replaced"
expect 3 mask and "$work/1.s3m" "$work/compact.s3m" -o "$work/x.s3m"
stderr_has 'made for another backbone than'
expect 0 mask and -m "$tiny" "$work/1.s3m" "$work/compact.s3m" -o "$work/x.s3m"
expect 0 mask diff "$work/x.s3m" "$work/and.s3m"
stdout_has '^all +[0-9]+ +0 +0 +0\.000 %$'
stdout_has '^layers.0.attention.q_proj.weight +[0-9]+ +0 +0'

# Random ones: exact counts, a seed each, with and without head.
expect 0 mask random --like "$work/1.s3m" -o "$work/r1.s3m"
expect 0 mask random --like "$work/1.s3m" -o "$work/r2.s3m"
cmp -s "$work/r1.s3m" "$work/r2.s3m" || fail "one seed, two files"
expect 0 transcribe -m "$tiny" --mask "$work/r1.s3m" "$clip"
expect 0 mask random --like "$work/1.s3m" --seed 2 -o "$work/r2.s3m"
cmp -s "$work/r1.s3m" "$work/r2.s3m" && fail "two seeds, one file"
expect 0 mask random -m "$tiny" --sparsity 0.25 --modules both -o "$work/bare.s3m"
stdout_has '12 matrices, 16384 of 65536 connections removed \(25.0 %\)$'
expect 0 mask info "$work/bare.s3m"
stdout_has '^head         none$'
expect 3 transcribe -m "$tiny" --mask "$work/bare.s3m" "$clip"
stderr_has 'bare.s3m: a mask without head and vocabulary \(method "random"\)'
stderr_has 'with --head'
expect 3 align -m "$tiny" --mask "$work/bare.s3m" --literal A "$clip"
stderr_has 'bare.s3m: a mask without head and vocabulary \(method "random"\); nothing can be aligned'
expect 3 calibrate -m "$tiny" --mask "$work/bare.s3m" --data "$S3R_DATA/speech/train.jsonl"
stderr_has 'bare.s3m: a mask without head .*there are no words to judge'
expect 0 features -m "$tiny" --mask "$work/bare.s3m" -o "$work/features" "$clip"
expect 0 mask random -m "$tiny" --sparsity 0.25 --head "$work/1.s3m" -o "$work/headed.s3m"
expect 0 transcribe -m "$tiny" --mask "$work/headed.s3m" "$clip"
expect 0 mask and "$work/1.s3m" "$work/2.s3m" --head none -o "$work/bare.s3m"
expect 0 convert --mask "$work/bare.s3m" "$tiny" "$work/merged"
expect 0 inspect "$work/merged"
stdout_has '^head         none'

# Tables.
expect 0 mask sim "$work/1.s3m" "$work/2.s3m" "$work/3.s3m"
stdout_has '^phi +1 +2 +3$'
stdout_has '^independent masks of these sparsities: 0\.0000$'
expect 0 mask sim --measure cosine "$work/1.s3m" "$work/2.s3m" "$work/3.s3m"
stdout_has '^independent masks of these sparsities: 0\.(4|5)[0-9]+'
expect 0 mask sim --matrices "$work/1.s3m" "$work/2.s3m"
stdout_has '^layers.1.feed_forward.output_dense.weight'
expect 0 mask storage -m "$tiny" -n 19 --json
stdout_has '"method": "masks_all_weights"'
# 1 / 19 + 1 / 16 of 19 models, and the heads.
stdout_has '"saved": 0\.8[0-9]+'

# A mask of the uppermost block alone: its number is not below the count of matrices.
"$S3R_TOOLS/make_tiny_mask" "$S3R_DATA/../../models/s3r-small" "$work/upper.s3m" mask-ffn 1 7 ||
    exit 1
expect 0 mask sim "$work/upper.s3m" "$work/upper.s3m"
stdout_has '^block 7 '
expect 2 mask random --like "$work/bias.s3m" -o "$work/x3.s3m"
stderr_has 'bias.s3m: expected masks, found none \(method "bias"\)$'
[ ! -e "$work/x3.s3m" ] || fail "a mask file without masks"

# What does not go together.
expect 3 mask and "$work/1.s3m" "$work/other.s3m" -o "$work/x2.s3m"
stderr_has 'other.s3m: made for another backbone than .*1.s3m: expected wav2vec2 [0-9a-f]{64}, found hubert [0-9a-f]{64}$'
[ ! -e "$work/x2.s3m" ] || fail "a file after a failure"
expect 3 mask sim "$work/1.s3m" "$work/bias.s3m"
stderr_has 'expected a matrix that both mask, found none'
expect 2 mask and "$work/1.s3m" -o "$work/x.s3m"
expect 2 mask and "$work/1.s3m" "$work/2.s3m"
stderr_has 'mask and: expected -o FILE'
expect 2 mask vote --at-least 3 "$work/1.s3m" "$work/2.s3m" -o "$work/x.s3m"
stderr_has 'at least 3: expected at most 2'
expect 2 mask random -m "$tiny" --sparsity 2 -o "$work/x.s3m"
expect 3 mask and "$work/1.s3m" "$work/2.s3m" --head "$work/bare.s3m" -o "$work/x.s3m"
stderr_has 'bare.s3m: a mask without head'
expect 3 mask xor "$work/1.s3m" "$work/nothing.s3m" -o "$work/x.s3m"
expect 2 mask storage -n 0
