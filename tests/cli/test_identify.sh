#!/bin/sh
# Languages: training a mask of the task lid, s3r identify on files and manifests, and what
# other verbs say to such a mask.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
tiny=$work/tiny
lid=$work/lid.s3m
speech=$S3R_DATA/speech
"$S3R_TOOLS/make_tiny_model" "$tiny" 3 || exit 1
"$S3R_TOOLS/make_tiny_mask" "$tiny" "$lid" lid 5 || exit 1
"$S3R_TOOLS/make_tiny_mask" "$tiny" "$work/ctc.s3m" mask 5 || exit 1
tab=$(printf '\t')

# Files.
expect 0 identify -m "$tiny" --mask "$lid" "$speech/calling.g722"
stdout_has "^$speech/calling.g722${tab}l[0-2]${tab}[01]\.[0-9]{4}\$"
[ "$(wc -l <"$work/stdout")" -eq 1 ] || fail "expected one line"
expect 0 identify -m "$tiny" --mask "$lid" --top 2 "$speech/calling.g722" \
    "$speech/cancelled.g722"
stdout_has "^$speech/cancelled.g722(${tab}l[0-2]${tab}[01]\.[0-9]{4}){2}\$"
expect 0 identify -m "$tiny" --mask "$lid" --json "$speech/calling.g722" \
    "$speech/cancelled.g722"
stdout_has '"duration_s":[0-9.]+,"languages":\[(\{"language":"l[0-2]","probability":[0-9.e-]+\},?){3}\]\}$'
[ "$(wc -l <"$work/stdout")" -eq 2 ] || fail "expected two lines"
tail -1 "$work/stdout" >"$work/together"
expect 0 identify -t 2 -m "$tiny" --mask "$lid" --json "$speech/cancelled.g722"
stdout_is "$(cat "$work/together")"
printf "%064000d" 0 >"$work/raw"
expect 0 identify -m "$tiny" --mask "$lid" - <"$work/raw"
stdout_has "^-${tab}l[0-2]${tab}"
expect 6 identify -m "$tiny" --mask "$lid" "$speech/calling.g722" "$work/nothing.wav"
stderr_has '1 of 2 files failed: .*nothing.wav'
expect 6 identify -m "$tiny" --mask "$lid" --json "$speech/calling.g722" "$work/nothing.wav"
stdout_has '"path":".*nothing.wav","error":'
expect 4 identify -m "$tiny" --mask "$lid" "$work/nothing.wav"
expect 3 identify -m "$tiny" "$speech/calling.g722"
stderr_has 'tells no languages apart; expected a mask file of the task lid'
expect 3 identify -m "$tiny" --mask "$work/ctc.s3m" "$speech/calling.g722"
expect 2 identify -m "$tiny" --mask "$lid"
expect 2 identify -m "$tiny" --mask "$lid" --top 0 "$speech/calling.g722"

# A manifest.
{
    for name in calling cancelled conf-full; do
        echo "{\"audio_filepath\": \"$speech/$name.g722\", \"lang\": \"l0\"}"
    done
    echo "{\"audio_filepath\": \"$speech/activated.g722\", \"lang\": \"l2\"}"
} >"$work/test.jsonl"
expect 0 identify -m "$tiny" --mask "$lid" --manifest "$work/test.jsonl"
stdout_has '^accuracy [0-9.]+ % \([0-4] of 4 utterances, [0-9.]+ s\), mean over languages [0-9.]+ %, 0 failed$'
stdout_has '^l0 +3 +[0-3] +[0-9.]+$'
stdout_has '^l1 +0 +0 +-$'
stdout_has '^l2 +[01] +[01] +[01]$'
expect 0 identify -m "$tiny" --mask "$lid" --manifest "$work/test.jsonl" --json
stdout_has '^\{"manifest":".*test.jsonl","utterances":4,"right":[0-4],"failed":0,"accuracy":[0-9.]+,"mean_accuracy":[0-9.]+,"duration_s":[0-9.]+,"languages":\[\{"language":"l0","utterances":3,'
stdout_has '\{"language":"l1","utterances":0,"right":0,"accuracy":null\}'
stdout_has '"confusion":\[\[[0-3],[0-3],[0-3]\],\[0,0,0\],\[[01],[01],[01]\]\]\}$'
expect 2 identify -m "$tiny" --mask "$lid" --manifest "$work/test.jsonl" "$speech/calling.g722"
stderr_has 'files, or a manifest with --manifest, found both'
echo "{\"audio_filepath\": \"$speech/conf-muted.g722\"}" >>"$work/test.jsonl"
expect 4 identify -m "$tiny" --mask "$lid" --manifest "$work/test.jsonl"
stderr_has 'test.jsonl:5: "lang": expected the language that is spoken, found nothing$'

# It chooses among the masks of a folder, and says when none is of what it hears.
for name in l0 l1 l2; do
    mkdir "$work/of-$name"
    cp "$lid" "$work/of-$name/lid.s3m"
    cp "$work/ctc.s3m" "$work/of-$name/$name.s3m"
    expect 0 transcribe -m "$tiny" -M "$work/of-$name" -l auto -f json "$speech/calling.g722"
    stdout_has "\"mask\":\"$name\",\"heard\":\{\"language\":\"l[0-2]\",\"probability\":0\.[0-9]+\}"
    sed 's/.*"heard":{"language":"\([^"]*\)".*/\1/' "$work/stdout" >>"$work/heard"
    if [ "$(tail -1 "$work/heard")" = $name ]; then
        if grep -q 'sounds like' "$work/stderr"; then fail "a warning of the right mask"; fi
    else
        stderr_has "warning: .*calling\.g722: sounds like $(tail -1 "$work/heard") \([01]\.[0-9]{4}\), of which no mask was asked; this is what mask $name makes of it"
    fi
done
[ "$(sort -u "$work/heard" | wc -l)" -eq 1 ] || fail "heard: $(cat "$work/heard")"

# What others say to it.
said='lid.s3m: identifies languages \(task lid\) and has no CTC head; '
expect 3 transcribe -m "$tiny" --mask "$lid" "$speech/calling.g722"
stderr_has "$said"
expect 3 eval -m "$tiny" --mask "$lid" --data "$work/test.jsonl"
stderr_has "$said"
expect 3 calibrate -m "$tiny" --mask "$lid" --data "$work/test.jsonl"
stderr_has "$said"
expect 3 transcribe --stream -m "$tiny" --mask "$lid" </dev/null
stderr_has "$said"
expect 3 convert --mask "$lid" "$tiny" "$work/merged"
stderr_has 'identifies languages \(task lid\), which the folder of a CTC model cannot express'
expect 0 features -m "$tiny" --mask "$lid" -o "$work/features" "$speech/calling.g722"
expect 0 inspect --mask "$lid" "$tiny"
stdout_has '^head         languages, 3$'
stdout_has '^languages    l0 l1 l2$'
expect 0 inspect --json --mask "$lid" "$tiny"
stdout_has '"task": "lid"'
expect 0 mask info "$lid"
stdout_has '^languages    l0, l1, l2$'
expect 0 mask verify -m "$tiny" "$lid"

# Packed, and combined with another.
cp "$lid" "$work/packed.s3m"
expect 0 identify -m "$tiny" --mask "$lid" "$speech/calling.g722"
cp "$work/stdout" "$work/before"
expect 0 mask pack -m "$tiny" "$work/packed.s3m" -o "$work/packed.s3m"
expect 0 identify -m "$tiny" --mask "$work/packed.s3m" "$speech/calling.g722"
stdout_is "$(cat "$work/before")"
expect 0 mask unpack -m "$tiny" "$work/packed.s3m" -o "$work/unpacked.s3m"
cmp -s "$lid" "$work/unpacked.s3m" || fail "another file after unpacking"
expect 0 mask or "$lid" "$work/ctc.s3m" -o "$work/or.s3m"
expect 0 identify -m "$tiny" --mask "$work/or.s3m" "$speech/calling.g722"

# Training: two halves of the recordings pass for two languages.
{
    for name in calling cancelled conf-full conf-muted; do
        echo "{\"audio_filepath\": \"$speech/$name.g722\", \"lang\": \"aa\"}"
    done
    for name in activated agent-loginok auth-thankyou call-waiting; do
        echo "{\"audio_filepath\": \"$speech/$name.g722\", \"lang\": \"bb\"}"
    done
} >"$work/train.jsonl"
train() {
    code=$1
    shift
    expect "$code" train -m "$tiny" --task lid --train "$work/train.jsonl" --steps 4 "$@"
}
train 0 --dev "$work/train.jsonl" -o "$work/run"
stdout_is "$work/run/best.s3m"
stderr_has 'step 4: dev error [0-9.]+%.*  accuracy [0-9]+%'
train 0 --dev "$work/train.jsonl" -o "$work/plan" --plan
stdout_has '^training data +8 utterances'
expect 0 identify -m "$tiny" --mask "$work/run/best.s3m" --manifest "$work/train.jsonl" --json
python3 - "$work/stdout" "$work/run/metrics.jsonl" <<'EOF' || fail "dev of training and identify differ"
import json, sys
found = json.load(open(sys.argv[1]))["accuracy"]
told = [line["dev"]["accuracy"] for line in map(json.loads, open(sys.argv[2])) if "dev" in line]
sys.exit(found != told[-1])
EOF
train 2 --vocab "$tiny" -o "$work/other"
stderr_has 'the task lid has no use for'
train 2 --dev "$work/train.jsonl" -o "$work/other" eval.metric=cer
stderr_has 'eval.metric: the task lid has no use for it'
expect 2 train -m "$tiny" --task language --train "$work/train.jsonl" -o "$work/other"
stderr_has 'expected ctc or lid'
echo "{\"audio_filepath\": \"$speech/calling.g722\", \"id\": \"x\"}" >>"$work/train.jsonl"
train 4 -o "$work/other"
stderr_has 'train.jsonl:9: "lang": expected'
