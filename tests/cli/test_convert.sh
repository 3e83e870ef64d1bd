#!/bin/sh
# s3r convert: formats, dtypes, same hash, what is there stays, errors.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
hash_of() { "$S3R" inspect "$1" | grep '^hash'; }

# Any format becomes a folder with the same text; in the stored type also the same hash.
for case in w2v2_group_postln:bf16 wavlm_base:bf16 hubert_layer_preln:bf16 \
    data2vec_audio:bf16 w2v2_group_postln_fairseq/finetuned_zip.pt:f16; do
    source=$golden/${case%:*}
    rm -rf "$work/out" "$work/same"
    expect 0 convert "$source" "$work/out"
    stdout_is ""
    stderr_has '^s3r: .*/out: [0-9]+ parameters as f32$'
    "$S3R" transcribe -m "$source" "$clip" >"$work/before"
    "$S3R" transcribe -m "$work/out" "$clip" >"$work/after"
    cmp -s "$work/before" "$work/after" || fail "$source: another text"
    expect 0 convert --dtype "${case#*:}" "$source" "$work/same"
    [ "$(hash_of "$source")" = "$(hash_of "$work/same")" ] || fail "another hash"
done

for dtype in f16 bf16; do
    expect 0 convert -q --dtype $dtype "$golden/w2v2_layer_preln" "$work/$dtype"
    stderr_is ""
    expect 0 inspect "$work/$dtype"
    stdout_has "^$(echo $dtype | tr a-z A-Z) +[0-9]+ "
done

# int8 is read by all but train.
expect 0 convert -q --dtype int8 "$golden/w2v2_group_postln" "$work/int8"
expect 0 inspect "$work/int8"
stdout_has '^I8 +[0-9]+ '
expect 0 transcribe -m "$work/int8" --dtype bf16 "$S3R_DATA/speech/calling.g722"
echo '{"audio_filepath": "a.wav", "text": "a"}' >"$work/one.jsonl"
speech=$S3R_DATA/speech/train.jsonl
expect 0 convert --dtype int8 --check "$speech" --max-cer-rise 50 \
    "$golden/w2v2_group_postln" "$work/checked"
stderr_has 'CER on .*train\.jsonl: [0-9.]+ %, [0-9.]+ % as int8'
cmp "$work/int8/model.safetensors" "$work/checked/model.safetensors" || fail "other bits"
expect 1 convert --dtype int8 --check "$speech" --max-cer-rise -100 \
    "$golden/w2v2_group_postln" "$work/no"
stderr_has 'no: not written: CER on .* rises from [0-9.]+ to [0-9.]+ %, expected at most -100'
expect 2 convert --dtype int8 --check-mask "$work/a.s3m" "$golden/w2v2_group_postln" "$work/no"
expect 4 convert --dtype int8 --check "$work/nothing.jsonl" "$golden/w2v2_group_postln" \
    "$work/no"
# Plain masks fit both forms, compact ones the backbone itself.
expect 0 mask random -m "$golden/w2v2_group_postln" --sparsity 0.2 -o "$work/random.s3m"
expect 0 features -m "$work/int8" --mask "$work/random.s3m" -o "$work/features" \
    "$S3R_DATA/speech/calling.g722"
expect 0 mask pack -m "$golden/w2v2_group_postln" "$work/random.s3m" -o "$work/packed.s3m"
expect 3 features -m "$work/int8" --mask "$work/packed.s3m" -o "$work/features" \
    "$S3R_DATA/speech/calling.g722"
stderr_has 'packed\.s3m: compact masks are coded by the order of the weights'
expect 3 mask pack -m "$work/int8" "$work/random.s3m" -o "$work/no.s3m"
expect 3 train -m "$work/int8" --train "$work/one.jsonl" -o "$work/run"
stderr_has 'int8: expected weights to train on, found int8'

# Ctrl-C at any moment: the whole folder, or no trace.
for moment in 0.01 0.03 0.06 0.1 0.2; do
    mkdir "$work/cut"
    "$S3R" convert -q default "$work/cut/out" 2>"$work/stderr" &
    process=$!
    sleep $moment
    kill -INT "$process" 2>/dev/null || true # it may have ended
    found=0
    wait "$process" || found=$?
    last="convert, SIGINT after $moment s"
    if [ "$found" -eq 0 ]; then
        expect 0 inspect "$work/cut/out"
    elif [ "$found" -ne 130 ] || [ -n "$(ls -A "$work/cut")" ]; then
        fail "exit code $found, $(ls -A "$work/cut")"
    fi
    rm -r "$work/cut"
done

# What is there stays, unless it is a model and --force is given.
expect 2 convert "$golden/wavlm_base" "$work/bf16"
stderr_has '^s3r: .*/bf16'
expect 0 inspect "$work/bf16"
stdout_has '^family       wav2vec2'
expect 0 convert --force "$golden/wavlm_base" "$work/bf16"
expect 0 inspect "$work/bf16"
stdout_has '^family       wavlm'
mkdir "$work/mine"
echo mine >"$work/mine/letter"
expect 2 convert "$golden/wavlm_base" "$work/mine"
stderr_has 'expected a new or empty folder, found 1 entries'
expect 0 convert --force "$golden/wavlm_base" "$work/mine"
expect 0 inspect "$work/mine"
[ "$(cat "$work/mine/letter")" = mine ] || fail "a foreign file is gone"

expect 2 convert "$golden/wavlm_base"
expect 2 convert --dtype f8 "$golden/wavlm_base" "$work/no"
expect 3 convert "$work/nothing" "$work/no"
[ ! -e "$work/no" ] || fail "a folder after a failure"
expect 1 convert "$golden/wavlm_base" "$work/mine/letter/model"

# Labels that are never printed stay so.
cp -r "$golden/w2v2_group_postln" "$work/special"
sed 's/"H": 11/"<noise>": 11/' "$golden/w2v2_group_postln/vocab.json" >"$work/special/vocab.json"
echo '{"additional_special_tokens": ["<noise>"]}' >"$work/special/special_tokens_map.json"
expect 0 convert "$work/special" "$work/special-out"
grep -q '"additional_special_tokens": \[' "$work/special-out/special_tokens_map.json" ||
    fail "a special label is lost"
expect 0 transcribe -m "$work/special" "$clip"
cp "$work/stdout" "$work/expected"
expect 0 transcribe -m "$work/special-out" "$clip"
cmp -s "$work/expected" "$work/stdout" || fail "another text after convert"

# OUT may be a link to a folder.
mkdir "$work/led"
ln -s led "$work/leads"
expect 0 convert "$golden/w2v2_group_postln" "$work/leads"
[ -L "$work/leads" ] && [ -s "$work/led/model.safetensors" ] || fail "the link is no link"
