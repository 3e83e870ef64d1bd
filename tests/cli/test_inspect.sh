#!/bin/sh
# s3r inspect: text, JSON keys, tensors, hash, fairseq, missing parts, errors.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln

expect 0 inspect "$model"
stdout_has '^family       wav2vec2 \(Wav2Vec2ForCTC\)$'
stdout_has '^licence      not named$'
stdout_has '^hash         [0-9a-f]{64}$'
stdout_has '^input        16000 Hz, not normalised$'
stdout_has '^extractor    7 convolutions, group norm; a frame is 320 samples \(20 ms\)'
stdout_has '^encoder      2 blocks, width 16, FFN 32, 2 heads$'
stdout_has '^layer norm   after each sub-layer, eps 1e-05$'
stdout_has '^head         CTC, 12 labels, blank 0$'
stdout_has '^vocabulary   <pad> <s> </s> <unk> \| E T A O N I H$'
stdout_has '^parameters   7672 \(7\.7 K\), of the encoder 7468'
stdout_has '^head +2 +204 '
stderr_is ""
grep '^hash' "$work/stdout" >"$work/hash"
cp "$work/stdout" "$work/text"
expect 0 inspect -m "$model"
cmp -s "$work/text" "$work/stdout" || fail "-m MODEL differs from MODEL"
if grep -q '^lm_head.weight' "$work/stdout"; then fail "tensors without --tensors"; fi
expect 0 inspect --tensors "$model"
stdout_has '^lm_head\.weight +[A-Z0-9]+ +\[12, 16\]$'
expect 0 inspect "$model/model.safetensors"
grep '^hash' "$work/stdout" | cmp -s - "$work/hash" || fail "another hash for the file"

expect 0 inspect --no-hash "$model"
stdout_has '^hash         not computed$'

expect 0 inspect --json "$model"
for key in path format is_fairseq family architecture license hash sample_rate_hz network \
    has_head label_count blank_id vocabulary tensor_count parameter_count \
    encoder_parameter_count stored_bytes prepared_bytes parts dtypes tensors; do
    stdout_has "^  \"$key\": "
done
for key in conv_layers extractor_norm receptive_field frame_stride normalizes_input blocks \
    hidden_size ffn_size heads block_norm layer_norm_eps; do
    stdout_has "^    \"$key\": "
done
stdout_has '^  "license": null,$'
stdout_has '^    "block_norm": "post",$'
expect 0 inspect --json --no-hash "$model"
stdout_has '^  "hash": null,$'

# The licence stands in the head of the model card where the configuration names none.
card=$work/card
cp -r "$model" "$card"
expect_licence()
{
    printf '%b' "$1" >"$card/README.md"
    expect 0 inspect --no-hash "$card"
    stdout_has "^licence      $2\$"
}
expect_licence '' 'not named'
expect_licence '---\nlicense: apache-2.0\ntags: [a]\n---\n# Text\nlicense: mit\n' 'apache-2\.0'
expect_licence '\0357\0273\0277---\r\nlicense: "cc-by-nc-4.0" # see below\r\n---\r\n' 'cc-by-nc-4\.0'
expect_licence '---\nlicense_name: ours\nlicense: other\n---\n' 'other \(ours\)'
expect_licence 'Text\n---\nlicense: mit\n---\n' 'not named'
expect_licence "---\nlicense: $(printf '%0400d' 0)\n---\n" 'not named'
expect_licence '---\nlicense: caf\0351\n---\n' 'not named'
expect_licence '---\nlicense: mit' mit
expect 0 convert -q "$card" "$work/copy"
expect 0 inspect --no-hash "$work/copy"
stdout_has '^licence      mit$'

# A fairseq file without head; one with; a Hugging Face folder without vocabulary.
expect 0 inspect "$golden/w2v2_group_postln_fairseq/pretrained_legacy.pt"
stdout_has '^format       .*, fairseq$'
stdout_has '^head         none'
stdout_has '^pretraining '
expect 0 inspect "$golden/w2v2_group_postln_fairseq/finetuned_zip.pt"
stdout_has '^head         CTC, '
stdout_has '^head +2 +'
if grep -q '^other ' "$work/stdout"; then fail "tensors of an unknown part"; fi
mkdir "$work/mute"
cp "$model/config.json" "$model/model.safetensors" "$work/mute"
expect 0 inspect "$work/mute"
stdout_has '^vocabulary   none beside the weights$'
expect 0 inspect "$golden/wavlm_large"
stdout_has '^layer norm   before each sub-layer'
stdout_has '^input        16000 Hz, normalised '

expect 2 inspect -m "$model" "$model"
stderr_has 'expected one model'
expect 2 inspect "$model" "$model"
expect 3 inspect "$work/nothing"
stderr_has '^s3r: .*/nothing: '
head -c 1000 "$model/model.safetensors" >"$work/mute/model.safetensors"
expect 3 inspect "$work/mute"
stdout_is ""

if [ -w /dev/full ]; then
    found=0
    "$S3R" inspect "$model" >/dev/full 2>"$work/stderr" || found=$?
    [ "$found" -eq 1 ] || fail "exit code $found for a full disk"
    stderr_is 's3r: cannot write to standard output'
fi
