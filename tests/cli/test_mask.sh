#!/bin/sh
# Mask files: s3r mask info and verify, --mask of other verbs, and merging.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
tiny=$work/tiny
"$S3R_TOOLS/make_tiny_model" "$tiny" 3 || exit 1
make() { "$S3R_TOOLS/make_tiny_mask" "$tiny" "$work/$1.s3m" "$1" 5 || exit 1; }
for method in mask bias mask+weights lora adapter; do make $method; done

# What it says.
expect 0 mask info "$work/mask.s3m"
stdout_has '^method       mask$'
stdout_has '^family       wav2vec2$'
stdout_has '^hash         [0-9a-f]{64}$'
stdout_has '^masked       12 matrices, [0-9]+ of 65536 connections removed \((49|50)\.[0-9] %\)$'
stdout_has '^head         CTC, 20 labels$'
stdout_has '^sparsity     [0-9.]+ to [0-9.]+ % a matrix$'
stdout_has '^vocabulary   20 labels, characters$'
stdout_has '^metrics      wer 0.5$'
expect 0 mask info "$work/bias.s3m"
stdout_has '^replaced     [0-9]+ parameters$'
expect 0 mask info --json "$work/lora.s3m"
stdout_has '"method": "lora"'
stdout_has '"rank": 3'
python3 -m json.tool "$work/stdout" >/dev/null || fail "no JSON"

# Sound, of this model, of another.
expect 0 mask verify "$work/mask.s3m"
stdout_has 'mask.s3m: sound$'
expect 0 mask verify -m "$tiny" "$work/adapter.s3m"
stdout_has 'adapter.s3m: sound, fits the model$'
expect 3 mask verify -m "$golden/hubert_group" "$work/mask.s3m"
stderr_has 'made for another backbone than [^ ]*: expected wav2vec2 [0-9a-f]{64}, found hubert [0-9a-f]{64}$'
stdout_is ""
expect 3 transcribe -m "$golden/w2v2_group_postln" --mask "$work/mask.s3m" "$clip"
stderr_has 'made for another backbone'

# Damaged.
size=$(wc -c <"$work/mask.s3m")
head -c $((size - 100)) "$work/mask.s3m" >"$work/short.s3m"
expect 3 mask verify "$work/short.s3m"
stderr_has 'short.s3m: .*expected a range within [0-9]+ bytes of data'
cp "$work/mask.s3m" "$work/flipped.s3m"
printf '\377' | dd of="$work/flipped.s3m" bs=1 seek=$((size - 50)) conv=notrunc 2>/dev/null
expect 3 mask verify "$work/flipped.s3m"
stderr_has 'flipped.s3m: damaged: expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}$'
expect 3 mask info "$tiny/model.safetensors"
stderr_has 'expected a file of kind "s3r.mask"'
expect 3 mask info "$work/nothing.s3m"
expect 2 mask info
expect 2 mask
stderr_has '"s3r mask info", "s3r mask list", "s3r mask verify"'
expect 2 transcribe -m "$tiny" --mask "$work/mask.s3m" --language deu "$clip"

# The merged model says what the model with the mask says, to the last bit.
for method in mask bias mask+weights; do
    expect 0 convert --mask "$work/$method.s3m" "$tiny" "$work/merged-$method"
    expect 0 transcribe -m "$tiny" --mask "$work/$method.s3m" --format json \
        --emissions "$work/a-$method" "$clip"
    cp "$work/stdout" "$work/a"
    expect 0 transcribe -m "$work/merged-$method" --format json \
        --emissions "$work/b-$method" "$clip"
    cmp -s "$work/stdout" "$work/a" || fail "$method: another result"
    for file in "$work/a-$method"/*.npy; do
        cmp -s "$file" "$work/b-$method/${file##*/}" || fail "$method: other numbers"
    done
    expect 0 transcribe -m "$tiny" --format json "$clip"
    cmp -s "$work/stdout" "$work/a" && fail "$method: the mask did nothing"
done
expect 0 convert --mask "$work/lora.s3m" --dtype f16 "$tiny" "$work/merged-lora"
expect 3 convert --mask "$work/adapter.s3m" "$tiny" "$work/merged-adapter"
stderr_has 'has adapters \(method "adapter"\), which a Hugging Face folder cannot express'
[ ! -e "$work/merged-adapter" ] || fail "a folder after a failure"

# Compact: smaller, a mask file for every verb, and the same bytes come back.
expect 0 mask pack -m "$tiny" "$work/mask.s3m" -o "$work/compact.s3m"
stdout_has "compact.s3m: $(wc -c <"$work/compact.s3m") bytes of $size\$"
[ "$(wc -c <"$work/compact.s3m")" -lt "$size" ] || fail "not smaller"
expect 0 mask unpack -m "$tiny" "$work/compact.s3m" -o "$work/unpacked.s3m"
cmp -s "$work/mask.s3m" "$work/unpacked.s3m" || fail "other bytes after unpack"
expect 0 mask info "$work/compact.s3m"
stdout_has '^size         [0-9]+ bytes, compact$'
stdout_has '^masked       12 matrices, [0-9]+ of 65536 connections removed'
content=$(grep '^content' "$work/stdout")
expect 0 mask info "$work/mask.s3m"
[ "$(grep '^content' "$work/stdout")" = "$content" ] || fail "another content hash"
expect 0 mask verify "$work/compact.s3m"
expect 0 mask verify -m "$tiny" "$work/compact.s3m"
stdout_has 'compact.s3m: sound, fits the model$'
expect 0 transcribe -m "$tiny" --mask "$work/mask.s3m" --format json "$clip"
cp "$work/stdout" "$work/a"
for cpu in auto portable; do
    expect 0 transcribe -m "$tiny" --cpu $cpu --mask "$work/compact.s3m" "$clip"
    cp "$work/stdout" "$work/b"
    expect 0 transcribe -m "$tiny" --cpu $cpu --mask "$work/mask.s3m" "$clip"
    cmp -s "$work/stdout" "$work/b" || fail "$cpu: compact: another result"
done
expect 3 transcribe -m "$golden/w2v2_group_postln" --mask "$work/compact.s3m" "$clip"
stderr_has 'compact.s3m: made for another backbone'
expect 2 mask pack -m "$tiny" "$work/compact.s3m" -o "$work/x.s3m"
stderr_has 'compact.s3m: is compact already'
expect 2 mask unpack -m "$tiny" "$work/mask.s3m" -o "$work/x.s3m"
stderr_has 'mask.s3m: is not compact'
expect 2 mask pack -m "$tiny" "$work/mask.s3m"
stderr_has 'mask pack: expected -o FILE'
expect 3 mask unpack -m "$golden/hubert_group" "$work/compact.s3m" -o "$work/x.s3m"
cp "$work/compact.s3m" "$work/flipped.s3m"
printf '\377' | dd of="$work/flipped.s3m" bs=1 seek=$(($(wc -c <"$work/compact.s3m") - 50)) \
    conv=notrunc 2>/dev/null
expect 3 mask unpack -m "$tiny" "$work/flipped.s3m" -o "$work/x.s3m"
stderr_has 'flipped.s3m: damaged: expected SHA-256'
[ ! -e "$work/x.s3m" ] || fail "a file after a failure"

# Other verbs.
expect 0 inspect --mask "$work/mask.s3m" "$tiny"
stdout_has '^mask         .*mask.s3m \(mask, und\), [0-9]+ of 65536 connections removed'
stdout_has '^head         CTC, 20 labels'
hash=$(grep '^hash' "$work/stdout")
expect 0 inspect "$tiny"
[ "$(grep '^hash' "$work/stdout")" = "$hash" ] || fail "the hash is the backbone's"
expect 0 inspect --json --mask "$work/mask.s3m" "$tiny"
stdout_has '"removed_elements": [0-9]+'
expect 0 features -m "$tiny" --mask "$work/adapter.s3m" -o "$work/features" "$clip"
expect 0 bench -m "$tiny" --mask "$work/mask.s3m" --seconds 1 --rounds 1 --json
stdout_has '"mask": ".*mask.s3m"'
