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

# The words are found in time: each where the recording says them, none doubted, and a word
# that is not said is.
expect 0 align --mask run/best.s3m --literal "That conference is full" "$S3R_DATA/speech/conf-full.g722"
[ "$(wc -l <stdout)" -eq 4 ] || fail "not four words"
awk '$3 < last || $6 < 0.3 { exit 1 } { last = $3 } END { exit !(last > 0.8 && last < 1.4) }' stdout ||
    fail "times or confidences"
grep -q doubtful stderr && fail "a word that is said is doubtful"
expect 0 align --mask run/best.s3m --literal "that conference activated is full" \
    "$S3R_DATA/speech/conf-full.g722"
stderr_has '"activated" at [0-9.]+ s may not be in the audio'

# A word without letters lies where the first that has some begins, not at the start.
expect 0 align -q --mask run/best.s3m --missing skip --literal "12 full" \
    "$S3R_DATA/speech/conf-full.g722"
awk '{ start[NR] = $3 } END { exit !(NR == 2 && start[1] == start[2] && start[1] > 0) }' stdout ||
    fail "12 begins elsewhere than full: $(cat stdout)"

# Where nobody speaks nothing is written with --vad: a recorded second of silence with noise,
# tones, a ringing telephone and plucked notes.  Without it this small model writes letters.
sound()
{
    # sound NAME EXPRESSION: five seconds, 16 bit, t in seconds; r() is noise from -1 to 1
    awk 'BEGIN {
        seed = 7
        for (i = 0; i < 80000; i++) {
            t = i / 16000; seed = (seed * 16807) % 2147483647; r = 2 * seed / 2147483647 - 1
            x = '"$2"'
            v = int(32767 * x); if (v < 0) v += 65536
            printf "%c%c", v % 256, int(v / 256)
        }
    }' >"$1.raw"
}
export LC_ALL=C
sound silence 0
sound dither 'r / 32768'
sound hiss '0.2 * r'
sound swelling '0.2 * r * (0.5 + 0.5 * sin(25.13 * t))'
sound hum '0.3 * sin(314.16 * t)'
sound tone '0.3 * sin(2764.6 * t)'
sound ringing '(t % 3 < 1) * 0.2 * (sin(2764.6 * t) + sin(3015.9 * t))'
sound notes '0.3 * exp(-4 * (2 * t - int(2 * t))) * (sin(1643.7 * (1 + int(2 * t) % 3 / 4) * t) + sin(3287.4 * (1 + int(2 * t) % 3 / 4) * t) / 2)'
expect 0 lm build -q -n 2 --discount-fallback default -o words.s3l "$text"
for name in silence dither hiss swelling hum tone ringing notes; do
    [ "$(wc -c <"$name.raw")" -eq 160000 ] || fail "no sound $name"
    "$S3R" transcribe -q --mask run/best.s3m --vad - <"$name.raw" >stdout 2>stderr ||
        fail "$name failed"
    [ -z "$(cat stdout)" ] || fail "$name gives words: $(cat stdout)"
    # nor what a language model would gladly hear
    "$S3R" transcribe -q --mask run/best.s3m --vad --lm words.s3l --lexicon lm \
        --word-score 5 - <"$name.raw" >stdout 2>stderr || fail "$name failed"
    [ -z "$(cat stdout)" ] || fail "$name gives words with an LM: $(cat stdout)"
    "$S3R" transcribe -q --mask run/best.s3m --vad --lm words.s3l --lexicon lm \
        --word-score 5 --window 1 --context 0.5 - <"$name.raw" >stdout 2>stderr || fail "$name failed"
    [ -z "$(cat stdout)" ] || fail "$name gives words in windows: $(cat stdout)"
done
expect 0 transcribe --mask run/best.s3m --vad -f json "$S3R_DATA/speech/conf-full.g722"
stdout_has '"segments":\[\{"start_ms":0.0,"end_ms":1[0-9.]+\}\]'
expect 0 transcribe --mask run/best.s3m --vad "$S3R_DATA/speech/conf-full.g722"
[ "$(cat stdout)" = "$(cat hypothesis)" ] || fail "another text with --vad"
set -- --lm words.s3l --lexicon lm "$S3R_DATA/speech/conf-full.g722"
expect 0 transcribe --mask run/best.s3m "$@"
stdout_has '^that conference is full$'
expect 0 transcribe --mask run/best.s3m --vad "$@"
stdout_has '^that conference is full$'
expect 0 transcribe --mask run/best.s3m --vad --window 1 --context 0.5 "$@"
stdout_has '[a-z]'

# The mask belongs to this model alone.
"$S3R_TOOLS/make_tiny_model" other >made || exit 1
expect 3 transcribe -m other --mask run/best.s3m "$S3R_DATA/speech/conf-full.g722"
stderr_has 'run/best\.s3m: made for another backbone than other: expected hubert [0-9a-f]{64}, found wav2vec2 [0-9a-f]{64}$'
