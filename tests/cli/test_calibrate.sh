#!/bin/sh
# s3r calibrate: table, JSON, temperatures; transcribe --temperature.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln
cp "$clip" "$work/one.g722"
expect 0 transcribe -m "$model" "$clip"
text=$(cat "$work/stdout")
printf '{"audio_filepath": "one.g722", "text": "%s"}\n{"audio_filepath": "one.g722", "id": "b", "text": "other"}\n' \
    "$text" >"$work/m.jsonl"

expect 0 calibrate -q -m "$model" --data "$work/m.jsonl"
stdout_has '^plain +1\.000 +[0-9.]+ +-?[0-9.]+ +[0-9.]+$'
stdout_has '^fitted +[0-9.]+ +[0-9.]+ +-?[0-9.]+ +[0-9.]+$'
stdout_has '^2 utterances, 0 failed, 0 skipped; 2 words, 50\.00 % of them right$'
expect 0 calibrate -q -m "$model" --data "$work/m.jsonl" --temperature 2 --json
stdout_has '^\{"data":".*m\.jsonl","utterances":2,"failed":0,"skipped":0,"words":2,"right":1,"plain":\{"temperature":1\.0,"calibration_error":0\.[0-9]+,"cross_entropy":-?[0-9.]+,"confidence":0\.[0-9]+,"bins":\[\{"words":0,'
stdout_has '"given":\{"temperature":2\.0,'
echo '{"audio_filepath": "none.wav", "text": "a"}' >>"$work/m.jsonl"
expect 6 calibrate -q -m "$model" --data "$work/m.jsonl"
stderr_has 'none\.wav: cannot open'
expect 2 calibrate -m "$model"
expect 2 calibrate -m "$model" --data "$work/m.jsonl" --temperature 0

# The temperature changes confidences and nothing else.
expect 0 transcribe -m "$model" -f json "$clip"
cp "$work/stdout" "$work/plain"
expect 0 transcribe -m "$model" -f json --temperature 3 "$clip"
cmp -s "$work/plain" "$work/stdout" && fail "the same confidences"
sed 's/"confidence":[0-9.e-]*//g' "$work/plain" >"$work/expected"
sed 's/"confidence":[0-9.e-]*//g' "$work/stdout" | cmp -s - "$work/expected" || fail "another text"
expect 2 transcribe -m "$model" --temperature 0 "$clip"
