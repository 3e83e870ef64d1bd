#!/bin/sh
# s3r transcribe: lines and their order, JSON, stdin, emissions, failing files.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln
tab=$(printf '\t')
wav "$work/one.wav" 16000 4000
wav "$work/two.wav" 16000 3000
wav "$work/short.wav" 16000 100

# One file: its text. Several: path, tab, text, in the order given.
expect 0 transcribe -m "$model" "$clip"
stdout_has '^[A-Z]+$'
stderr_is ""
text=$(cat "$work/stdout")
expect 0 transcribe -m "$model" "$work/two.wav" "$clip" "$work/one.wav" "$work/short.wav"
cut -f 1 "$work/stdout" >"$work/paths"
printf '%s\n' "$work/two.wav" "$clip" "$work/one.wav" "$work/short.wav" |
    cmp -s - "$work/paths" || fail "order of the lines"
grep -Fqx "$clip$tab$text" "$work/stdout" || fail "another text in a batch"
grep -Fqx "$work/short.wav$tab" "$work/stdout" || fail "no empty text for a short file"
cp "$work/stdout" "$work/many"

# Neither threads nor batches nor the source of the list change the lines.
for option in --threads=1 --jobs=2 -j3 --batch=0.1 --batch=1000 --no-ffmpeg \
    --weights=shared --weights=packed; do
    expect 0 transcribe $option -m "$model" "$work/two.wav" "$clip" "$work/one.wav" \
        "$work/short.wav"
    cmp -s "$work/many" "$work/stdout" || fail "other lines"
done
expect 2 transcribe -m "$model" --weights=mapped "$clip"
stderr_is 's3r: --weights: expected auto|shared|packed, found "mapped"'
printf '\357\273\277%s\n\n%s\r\n%s' "$clip" "$work/one.wav" "$work/short.wav" >"$work/list"
expect 0 transcribe -m "$model" --files-from "$work/list" "$work/two.wav"
cmp -s "$work/many" "$work/stdout" || fail "other lines"
echo "$clip" >"$work/list"
expect 0 transcribe -m "$model" --files-from "$work/list"
stdout_is "$clip$tab$text"

expect 0 transcribe -m "$model" --window 1 --context 0.2 "$clip"
stdout_has '^[A-Z]+$'
expect 0 transcribe -m "$model" --dtype bf16 "$clip"
stdout_has '^[A-Z]+$'

# Standard input: raw samples, or a file.
"$S3R" transcribe -m "$model" "$work/one.wav" >"$work/expected"
samples 4000 | "$S3R" transcribe -m "$model" - >"$work/found" || fail "raw stdin"
cmp -s "$work/expected" "$work/found" || fail "raw stdin gives another text"
"$S3R" transcribe -m "$model" - <"$work/one.wav" >"$work/found" || fail "WAV on stdin"
cmp -s "$work/expected" "$work/found" || fail "WAV on stdin gives another text"
samples 4000 | "$S3R" transcribe -m "$model" --raw-rate 8000 --format json - |
    grep -q '"path":"-","duration_s":0.5,' || fail "--raw-rate 8000"

# JSON: one object a line.
expect 0 transcribe -m "$model" --format json "$work/one.wav" "$work/short.wav"
stdout_has "^\\{\"path\":\"$work/one.wav\",\"duration_s\":0.25,\"frames\":12,\"frame_s\":0.02,\"text\":\"[A-Z]+\",\"confidence\":0\\.[0-9]+,\"labels\":\\[\\{\"label\":\"[A-Z]\",\"start_frame\":[0-9]+,\"end_frame\":[0-9]+,\"start_ms\":[0-9]+\\.0,\"end_ms\":[0-9]+\\.0,\"confidence\":0\\.[0-9]+\\}.*\\],\"words\":\\[\\{\"word\":\"[A-Z]+\",\"start_ms\":[0-9]+\\.0,\"end_ms\":[0-9]+\\.0,\"confidence\":0\\.[0-9]+,\"first_label\":0,\"label_count\":[0-9]+\\}\\],\"error\":null\\}\$"
stdout_has '"frames":0,"frame_s":0.02,"text":"","confidence":1.0,"labels":\[\],"words":\[\],"error":null\}$'
[ "$(wc -l <"$work/stdout")" -eq 2 ] || fail "not one line a file"

# Paths cannot break a line, and text that is not UTF-8 cannot break JSON.
odd=$(printf 'a\tb\nc\\d\001')
cp "$work/one.wav" "$work/$odd.wav"
cp "$work/one.wav" "$work/$(printf 'x\377y').wav"
expect 0 transcribe -m "$model" "$work/$odd.wav" "$work/two.wav"
stdout_has '/a\\tb\\nc\\\\d\\x01\.wav'
[ "$(wc -l <"$work/stdout")" -eq 2 ] || fail "a path broke a line"
expect 0 transcribe -m "$model" -f json "$work/$odd.wav" "$work/$(printf 'x\377y').wav"
stdout_has '/a\\tb\\nc\\\\d\\u0001\.wav"'
stdout_has '/x�y\.wav"'

# Emissions.
expect 0 transcribe -m "$model" --emissions "$work/new" "$work/one.wav" "$work/short.wav"
npy_is "$work/new/one.npy" "(12, 12)" 576
npy_is "$work/new/short.npy" "(0, 12)" 0
samples 4000 | "$S3R" transcribe -m "$model" --emissions "$work/new" - >"$work/stdout"
cmp -s "$work/new/one.npy" "$work/new/stdin.npy" || fail "other emissions of stdin"
expect 2 transcribe -m "$model" --emissions "$work/new" "$work/one.wav" one.flac
stderr_has 'one\.wav and one\.flac would both'
expect 1 transcribe -m "$model" --emissions "$work/one.wav/sub" "$work/one.wav"

# Other formats: one on standard output, several in a folder; whisper's names.
expect 0 transcribe -m "$model" -f ctm "$work/one.wav" "$work/two.wav"
stdout_has '^one 1 [0-9.]+ [0-9.]+ [A-Z]+ 0\.[0-9]+$'
stdout_has '^two 1 '
expect 0 transcribe -m "$model" -f vtt "$work/one.wav"
cp "$work/stdout" "$work/one.expected"
grep -q '^WEBVTT$' "$work/stdout" || fail "no WEBVTT"
expect 0 transcribe -m "$model" -f all -o "$work/all/new" "$work/one.wav" "$work/short.wav"
stdout_is ""
cmp -s "$work/one.expected" "$work/all/new/one.vtt" || fail "another file than on stdout"
for extension in txt json srt vtt tsv ctm TextGrid stm trn; do
    [ -f "$work/all/new/one.$extension" ] || fail "no one.$extension"
    [ -f "$work/all/new/short.$extension" ] || fail "no short.$extension"
done
[ "$(ls "$work/all/new" | wc -l)" -eq 18 ] || fail "other files than expected"
expect 0 transcribe -m "$model" --output_format srt,txt --output_dir "$work/whisper" \
    --max_line_width 20 --max_line_count 1 "$work/one.wav"
[ "$(ls "$work/whisper" | tr '\n' ' ')" = "one.srt one.txt " ] || fail "other files"
# Files that are there stay, unless it is said that they may go.
cp "$work/one.wav" "$work/whisper/one.wav"
echo mine >"$work/whisper/one.txt"
expect 2 transcribe -m "$model" -f tsv,txt -o "$work/whisper" "$work/one.wav"
stderr_has '^s3r: .*/whisper/one\.txt: is there already: expected a name of which there is no file \(--overwrite replaces it\)$'
[ "$(cat "$work/whisper/one.txt")" = mine ] || fail "the file is gone"
[ ! -f "$work/whisper/one.tsv" ] || fail "it began"
expect 0 transcribe -m "$model" -f tsv,txt -o "$work/whisper" --overwrite "$work/one.wav"
cmp -s "$work/whisper/one.txt" "$work/all/new/one.txt" || fail "another text"

expect 6 transcribe -m "$model" -f srt -o "$work/some" "$work/one.wav" "$work/none.wav"
[ "$(ls "$work/some")" = one.srt ] || fail "other files than expected"

expect 2 transcribe -m "$model" -f srt,doc "$work/one.wav"
stderr_has '^s3r: --format: expected txt, .* or all, found "srt,doc"$'
expect 2 transcribe -m "$model" -f srt,vtt "$work/one.wav"
stderr_has 'several formats go to files: expected -o DIR$'
expect 2 transcribe -m "$model" -f srt "$work/one.wav" "$work/two.wav"
stderr_has 'each has its own file: expected -o DIR$'
expect 2 transcribe -m "$model" -osrt "$work/one.wav"
stderr_has '^s3r: -o: expected a folder, found the format "srt"'
expect 2 transcribe -m "$model" -f srt -o "$work/out" "$work/one.wav" one.flac
stderr_has 'one\.wav and one\.flac would both be written to one$'
expect 2 transcribe -m "$model" -f srt --max-lines 0 "$work/one.wav"
stderr_has 'subtitles: expected lines and their width above 0'
expect 1 transcribe -m "$model" -f srt -o "$work/one.wav/sub" "$work/one.wav"
