#!/bin/sh
# The shipped model from end to end, on eight real recordings (tests/data/speech): a mask is
# learned and its text scored.  The recordings are learned by heart, so this shows that every
# part works, not how well the model does.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

# Bound of the character error rate: 2 of 101 characters were wrong with the worse of two
# seeds, so it leaves room for other processors and another backbone.
limit=0.10

expect 0 inspect --json
model=$(sed -n 's/^s3r: model //p' "$work/stderr")
[ -f "$model/model.safetensors" ] || fail "no model of that name on stderr"
[ "$(wc -c <"$model/model.safetensors")" -le $((24 << 20)) ] || fail "more than 24 MiB"
stdout_has '"family": "hubert"'
stdout_has '"has_head": false'
expect 3 transcribe -q "$S3R_DATA/speech/calling.g722"

cd "$work" || exit 1
expect 0 vocab build "$S3R_DATA/speech/train.jsonl" -o vocab
text=vocab/train.text.jsonl
expect 0 train --vocab vocab --train "$text" --method mask --modules both --steps 120 \
    --lr 1e-2 -o run optimizer.clip_norm=5 augment.time_prob=0 augment.channel_prob=0 \
    dropout.layer_drop=0 dropout.activation=0
stdout_is run/best.s3m
expect 0 mask verify -m default run/best.s3m

expect 0 eval --mask run/best.s3m --data "$text" --metrics cer --json
rate=$(sed -n 's/.*"cer":{"rate":\([0-9.e-]*\),.*/\1/p' "$work/stdout")
[ -n "$rate" ] || fail "no rate of cer"
awk "BEGIN { exit !($rate <= $limit) }" || fail "cer $rate, expected at most $limit"
stdout_has '"utterances":8,"failed":0,'

# One of them as text, as far as the bound asks.
expect 0 transcribe --mask run/best.s3m "$S3R_DATA/speech/conf-full.g722"
cp "$work/stdout" hypothesis
echo "that conference is full" >reference
expect 0 eval --ref reference --hyp hypothesis --metrics cer --json
rate=$(sed -n 's/.*"cer":{"rate":\([0-9.e-]*\),.*/\1/p' "$work/stdout")
awk "BEGIN { exit !($rate <= $limit) }" || fail "cer $rate: $(cat hypothesis)"

# The mask belongs to this model alone.
"$S3R_TOOLS/make_tiny_model" other >made || exit 1
expect 3 transcribe -m other --mask run/best.s3m "$S3R_DATA/speech/conf-full.g722"
stderr_has 'run/best\.s3m: made for another backbone than other: expected hubert [0-9a-f]{64}, found wav2vec2 [0-9a-f]{64}$'
