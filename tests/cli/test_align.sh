#!/bin/sh
# s3r align: formats, texts from files and manifests, doubtful words, refusals.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln
wav "$work/small.wav" 16000 4000
cp "$clip" "$work/one.g722"
printf 'The heat5\n tea\n' >"$work/text"

expect 0 align -m "$model" --doubt -1e9 --literal 'The  tea' "$work/one.g722"
stdout_has '^one 1 [0-9.]+ [0-9.]+ The 0\.[0-9]+$'
[ "$(cut -d ' ' -f 5 "$work/stdout" | tr '\n' ' ')" = "The tea " ] || fail "other words"
stderr_is ""
cp "$work/stdout" "$work/expected"
printf 'The tea' >"$work/short.txt"
expect 0 align -m "$model" --text "$work/short.txt" --threads 1 "$work/one.g722"
cmp -s "$work/expected" "$work/stdout" || fail "another result of a file, with one thread"
expect 0 align -q -m "$model" --literal 'tea' "$work/small.wav"
"$S3R" align -q -m "$model" --literal 'tea' - <"$work/small.wav" | sed 's/^stdin/small/' |
    cmp -s - "$work/stdout" || fail "another result of standard input"

# Letters without a label: an error that names them, or left out, or any sound.
expect 4 align -m "$model" --text "$work/text" "$work/one.g722"
stderr_has 'one\.g722: 1 characters without a label in .*: "5" \(U\+0035\)'
expect 0 align -m "$model" --text "$work/text" --missing skip -f json "$work/one.g722"
stdout_has '"text":"The heat5 tea"'
stdout_has '\{"word":"heat5","start_ms":[0-9.]+,"end_ms":[0-9.]+,"confidence":[0-9.]+,"first_label":4,"label_count":4,"score":-[0-9.]+,"doubtful":(true|false)\}'
expect 0 align -m "$model" --text "$work/text" --missing star -f json "$work/one.g722"
stdout_has '"word":"heat5".*"first_label":4,"label_count":5,'
stdout_has '\{"label":"\*",'

# A byte order mark is no letter, and no arrow is left in a cue.
printf '\357\273\277The tea\r\n' >"$work/marked.txt"
expect 0 align -q -m "$model" --text "$work/marked.txt" "$work/one.g722"
cmp -s "$work/expected" "$work/stdout" || fail "another result with a byte order mark"
expect 0 align -q -m "$model" --missing skip --literal 'tea ---> at' -f srt "$work/one.g722"
[ "$(grep -c -e '-->' "$work/stdout")" -eq "$(grep -c -e '[0-9] --> [0-9]' "$work/stdout")" ] ||
    fail "an arrow in a cue"

# Doubtful words are named.
expect 0 align -m "$model" --doubt 0 --literal 'tea at' "$work/one.g722"
stderr_has '^s3r: .*one\.g722: "tea" at [0-9.]+ s may not be in the audio \(score -[0-9.]+\)$'
stderr_has '^s3r: 2 of 2 words are doubtful$'
expect 0 align -q -m "$model" --doubt 0 --literal 'tea at' "$work/one.g722"
stderr_is ""

# Several formats; a manifest, whose ids name the files.
expect 0 align -q -m "$model" --literal 'tea at' -f textgrid,srt -o "$work/out" "$work/one.g722"
[ "$(ls "$work/out" | tr '\n' ' ')" = "one.TextGrid one.srt " ] || fail "other files"
grep -q 'text = "tea"' "$work/out/one.TextGrid" || fail "no tea"
{
    echo '{"audio_filepath": "one.g722", "text": "tea"}'
    echo '{"audio_filepath": "one.g722", "id": "a/b", "offset": 0.1, "duration": 0.3, "text": "at"}'
} >"$work/m.jsonl"
expect 0 align -q -m "$model" --manifest "$work/m.jsonl"
stdout_has '^one\.g722 1 '
stdout_has '^a/b 1 .* at '
expect 0 align -q -m "$model" --manifest "$work/m.jsonl" -f vtt -o "$work/many"
[ "$(ls "$work/many" | tr '\n' ' ')" = "a%2Fb.vtt one.g722.vtt " ] || fail "other files"
for format in trn stm; do
    expect 0 align -q -m "$model" --manifest "$work/m.jsonl" -f $format -o "$work/$format"
    cat "$work/$format"/* >"$work/$format.all"
done
grep -q '(a/b)$' "$work/trn.all" || fail "another id in trn"
grep -q '^a/b 1 a/b ' "$work/stm.all" || fail "another id in stm"
expect 2 align -q -m "$model" --manifest "$work/m.jsonl" -f trn -o "$work/trn"
stderr_has 'trn/one\.g722\.trn: is there already'
expect 0 align -q -m "$model" --manifest "$work/m.jsonl" -f trn -o "$work/trn" --overwrite
cp "$work/one.g722" "$work/out/one.g722"
printf 'tea at' >"$work/out/one.txt"
expect 2 align -q -m "$model" --text "$work/out/one.txt" -f txt -o "$work/out" "$work/out/one.g722"
stderr_has 'one\.txt: is there already'
[ "$(cat "$work/out/one.txt")" = 'tea at' ] || fail "the text is gone"
# Names are not hidden, and fit a file system.
long=$(printf '%0300d' 0)
{
    echo '{"audio_filepath": "./one.g722", "text": "tea"}'
    echo '{"audio_filepath": "one.g722", "id": "'"$long"'a", "text": "tea"}'
    echo '{"audio_filepath": "one.g722", "id": "'"$long"'b", "text": "tea"}'
} >"$work/names.jsonl"
expect 0 align -q -m "$model" --manifest "$work/names.jsonl" -f json -o "$work/names"
[ "$(ls "$work/names" | wc -l)" -eq 3 ] || fail "not three files"
[ -f "$work/names/%2E%2Fone.g722.json" ] || fail "no file for ./one.g722"
grep -q "\"path\": *\"${long}b\"" "$work/names/"* || fail "no whole id in JSON"

# Punctuation is passed over; what is said is not.
expect 0 align -q -m "$model" --literal '“Tea” — at, (tea)…' "$work/one.g722"
[ "$(cut -d' ' -f5 "$work/stdout" | tr '\n' ' ')" = '“Tea” at, %28tea%29… ' ] ||
    fail "other words: $(cut -d' ' -f5 "$work/stdout" | tr '\n' ' ')"
expect 4 align -q -m "$model" --literal 'tea 5 %' "$work/one.g722"
stderr_has '2 characters without a label .*: "5" \(U\+0035\), "%" \(U\+0025\)'
expect 4 align -q -m "$model" --literal '...' "$work/one.g722"
stderr_has 'expected a text, found none'

echo '{"audio_filepath": "none.g722", "text": "tea"}' >>"$work/m.jsonl"
expect 6 align -q -m "$model" --manifest "$work/m.jsonl"
stderr_has 'none\.g722: cannot open'
[ "$(wc -l <"$work/stdout")" -eq 2 ] || fail "not two words"

# Wrong use.
expect 2 align -m "$model" "$work/one.g722"
stderr_has '^s3r: align: expected one of --text and --literal with one FILE, or --manifest'
expect 2 align -m "$model" --literal a --manifest "$work/m.jsonl"
stderr_has 'found both$'
expect 2 align -m "$model" --manifest "$work/m.jsonl" -f srt
stderr_has 'expected -o DIR$'
expect 2 align -m "$model" --literal tea --missing drop "$work/one.g722"
expect 4 align -m "$model" --text "$work/none" "$work/one.g722"
stderr_has 'none: cannot open the text: '
printf 'a\000b' >"$work/binary"
expect 4 align -m "$model" --text "$work/binary" "$work/one.g722"
stderr_has 'binary: the text: expected text, found a zero byte$'
expect 4 align -m "$model" --literal "$(printf 'tea %.0s' 1 2 3 4)" "$work/small.wav"
stderr_has 'small\.wav: the text is longer than the audio: its 15 labels need at least 15 frames, found 12$'
expect 4 align -m "$model" --literal tea nothing.wav
stderr_has '^s3r: nothing\.wav: cannot open'
