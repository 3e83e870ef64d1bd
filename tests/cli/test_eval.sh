#!/bin/sh
# s3r eval: a model on a manifest, texts against texts, sclite's files, errors.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln
wav "$work/one.wav" 16000 4000
wav "$work/two.wav" 16000 3000

# The line of an utterance: ID FILE TEXT.
utterance() { printf '{"id":"%s","audio_filepath":"%s","text":"%s"}\n' "$1" "$2" "$3"; }
{
    utterance one one.wav "some text"
    utterance 'two words' two.wav "{ @ ;; **"
    utterance clip "$clip" "Please try again"
    printf '{"id":"silent","audio_filepath":"one.wav"}\n'
} >"$work/test.jsonl"

cp "$work/test.jsonl" "$work/kept.jsonl"
expect 2 eval -m "$model" --data "$work/kept.jsonl" --per-utterance "$work/kept.jsonl"
stderr_has 'kept\.jsonl: expected another file for the result: it would replace the input'
cmp "$work/test.jsonl" "$work/kept.jsonl" || fail "the manifest was replaced"
expect 2 eval -m "$model" --data "$work/test.jsonl" --data "$work/kept.jsonl"
stderr_has '^s3r: --data: expected one, found ".*test\.jsonl" and ".*kept\.jsonl"$'

# A table for people.
expect 0 eval -m "$model" --data "$work/test.jsonl" --trn "$work/trn" \
    --per-utterance "$work/table.tsv"
stdout_has '^metric +rate % +95 % interval +errors +sub +del +ins +reference$'
stdout_has '^wer +[0-9.]+ +[0-9.]+ to [0-9.]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +9$'
stdout_has '^cer '
stdout_has '^3 utterances, 0 without text in the hypothesis, 0 failed, 1 skipped$'
stdout_has '^2\.1 s of audio in [0-9.]+ s \(real-time factor [0-9.]+\), [0-9.]+ % of the frames blank$'
stderr_is ""
[ "$(wc -l <"$work/table.tsv")" -eq 4 ] || fail "not a line an utterance in the table"
[ "$(cat "$work/trn/ref.trn")" = "some text (one)
%7B %40 %3B%3B %2A%2A (two%20words)
please try again (clip)" ] || fail "ref.trn: $(cat "$work/trn/ref.trn")"

# sclite counts the same in the files.
if command -v sctk >/dev/null; then
    for name in "" .cer; do
        (cd "$work/trn" && sctk sclite -s -i rm -r "ref$name.trn" trn -h "hyp$name.trn" \
            trn -o pra stdout >report 2>/dev/null) || fail "sclite"
        sums=$(awk '/^Scores:/ { s += $7; d += $8; i += $9; r += $6 + $7 + $8 }
            END { print s, d, i, r }' "$work/trn/report")
        metric=${name#.}
        ours=$(awk -v m="${metric:-wer}" '$1 == m { print $(NF-3), $(NF-2), $(NF-1), $NF }' \
            "$work/stdout")
        [ "$sums" = "$ours" ] || fail "${metric:-wer}: sclite has $sums, s3r $ours"
    done
fi

# The files can be scored again; their result is the same.
grep '^wer' "$work/stdout" >"$work/wer"
expect 2 eval --ref "$work/trn/ref.trn" --hyp "$work/trn/hyp.trn" --per-utterance "$work/trn/hyp.trn"
stderr_has 'hyp\.trn: expected another file for the result'
expect 0 eval --ref "$work/trn/ref.trn" --hyp "$work/trn/hyp.trn" --metrics wer
grep '^wer' "$work/stdout" | cmp -s - "$work/wer" || fail "another rate from the files"

# JSON; numbers do not depend on threads and batches.
expect 0 eval -m "$model" --data "$work/test.jsonl" --json --metrics wer,cer,per
stdout_has '^\{"data":".*test\.jsonl","normalization":"case","resamples":1000,"seed":1,"metrics":\{"wer":\{"rate":'
stdout_has '"utterances":3,"failed":0,"skipped":1,"empty":0,"blank_ratio":'
sed 's/"elapsed_s".*//' "$work/stdout" >"$work/first"
for option in --threads=1 --batch=0.1 --batch=100; do
    expect 0 eval $option -m "$model" --data "$work/test.jsonl" --json --metrics wer,cer,per
    sed 's/"elapsed_s".*//' "$work/stdout" | cmp -s - "$work/first" || fail "other numbers"
done
expect 0 eval -m "$model" -d "$work/test.jsonl" --bootstrap 0
stdout_has '^wer +[0-9.]+ +- '

# With a mask file: its head and vocabulary, as transcribe has them.
"$S3R_TOOLS/make_tiny_mask" "$model" "$work/tiny.s3m" || exit 1
expect 0 eval -m "$model" --mask "$work/tiny.s3m" --data "$work/test.jsonl" \
    --normalize none --per-utterance "$work/masked.tsv"
"$S3R" transcribe -m "$model" --mask "$work/tiny.s3m" "$work/one.wav" "$work/two.wav" \
    "$clip" | cut -f 2 >"$work/texts" || fail "transcribe --mask"
awk -F '\t' 'NR > 1 { print $14 }' "$work/masked.tsv" | cmp -s - "$work/texts" ||
    fail "other texts than transcribe --mask gives"

# Files that fail are named; the others are scored.
utterance lost missing.wav x >>"$work/test.jsonl"
expect 6 eval -m "$model" --data "$work/test.jsonl" --json
stderr_has '^s3r: lost: .*missing\.wav'
stderr_has '^s3r: 1 of 4 utterances failed; the first: '
stdout_has '"utterances":3,"failed":1,'
utterance lost missing.wav x >"$work/lost.jsonl"
expect 4 eval -m "$model" --data "$work/lost.jsonl"

# Texts.
printf 'The cat sat\non the mat\n' >"$work/ref"
printf 'the cat, sat\non mat\n' >"$work/hyp"
expect 0 eval --ref "$work/ref" --hyp "$work/hyp"
stdout_has '^wer +33\.33 .* +2 +1 +1 +0 +6$'
expect 0 eval --ref "$work/ref" --hyp "$work/hyp" --normalize basic --metrics wer
stdout_has '^wer +16\.67 .* +1 +0 +1 +0 +6$'
expect 0 eval --ref "$work/ref" --hyp "$work/hyp" --normalize none --metrics wer --json
stdout_has '"blank_ratio":null,"duration_s":null,"elapsed_s":null,"real_time_factor":null\}$'
printf 'one line\n' >"$work/hyp"
expect 4 eval --ref "$work/ref" --hyp "$work/hyp"
stderr_has 'expected as many lines in both, found 2 and 1$'

# Wrong usage.
expect 2 eval
stderr_has 'expected --data MANIFEST'
expect 2 eval --ref "$work/ref"
stderr_has 'expected --ref and --hyp together'
expect 2 eval -m "$model" --data "$work/test.jsonl" --ref "$work/ref" --hyp "$work/hyp"
stderr_has 'found both'
for metrics in '' 'wer,' word 'wer cer'; do
    expect 2 eval --ref "$work/ref" --hyp "$work/ref" --metrics="$metrics"
    stderr_has '--metrics: expected wer, cer and per with commas'
done
expect 2 eval --ref "$work/ref" --hyp "$work/ref" --normalize most
expect 4 eval -m "$model" --data "$work/no.jsonl"
expect 3 eval -m "$golden/w2v2_group_postln_fairseq/pretrained_legacy.pt" \
    --data "$work/test.jsonl"
expect 3 eval -m "$model" --mask "$work/no.s3m" --data "$work/test.jsonl"
