#!/bin/sh
# Decoding with words: transcribe, eval and tune-lm with language models.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
tiny=$work/tiny
"$S3R_TOOLS/make_tiny_model" "$tiny" 3 || exit 1
speech=$S3R_DATA/speech
set -- "$speech/calling.g722" "$speech/activated.g722" "$speech/conf-full.g722"

tr '[:lower:]' '[:upper:]' <"$S3R_DATA/lm/text.txt" >"$work/text.txt"
expect 0 lm build -q -n 3 -o "$work/words.s3l" "$work/text.txt"
expect 0 lm build -q -n 4 --units char -o "$work/letters.s3l" "$work/text.txt"
words=$work/words.s3l

# The same for any batch and number of threads, and for a long file in windows.
expect 0 transcribe -m "$tiny" --lm "$words" --lexicon lm --threads 1 "$@"
cp "$work/stdout" "$work/first"
for more in "--threads 2" "--threads 2 --batch 1" "--batch 100"; do
    # shellcheck disable=SC2086
    expect 0 transcribe -m "$tiny" --lm "$words" --lexicon lm $more "$@"
    cmp -s "$work/stdout" "$work/first" || fail "$more: another text"
done
expect 0 transcribe -m "$tiny" --lm "$words" --lexicon lm --window 1 --context 0.1 "$@"
stdout_has '[A-Z]$'

# Every word is one of the lexicon; without lexicon there are others.
expect 0 transcribe -m "$tiny" --lm "$words" --lexicon lm --word-score 2 "$@"
cut -f2 "$work/stdout" | tr ' ' '\n' | sort -u >"$work/found"
tr ' ' '\n' <"$work/text.txt" | sort -u >"$work/known"
[ -z "$(comm -23 "$work/found" "$work/known")" ] || fail "a word that is not in the lexicon"
expect 0 transcribe -m "$tiny" --lm "$work/letters.s3l" "$1"
expect 0 transcribe -m "$tiny" --beam 10 "$1"

# Lexicons of files, unknown words, hot words, n-best.
printf 'GO\nGONG\tG O N G |\n' >"$work/lexicon.txt"
expect 0 transcribe -m "$tiny" --lexicon "$work/lexicon.txt" "$1"
stdout_has '^(GO|GONG)?( (GO|GONG))*$'
expect 0 transcribe -m "$tiny" --lexicon "$work/lexicon.txt" --unknown-words --unknown-score 0 "$1"
printf 'HELLO\t100\n' >"$work/hot.txt"
expect 0 transcribe -m "$tiny" --lexicon "$work/lexicon.txt" --hot-words "$work/hot.txt" "$1"
stdout_has 'HELLO'
expect 0 transcribe -m "$tiny" --hot-words "$work/hot.txt" "$1"
stdout_has 'HELLO'
printf 'HELLO GO\t200\n' >"$work/hot.txt"
expect 0 transcribe -m "$tiny" --lexicon "$work/lexicon.txt" --hot-words "$work/hot.txt" "$1"
stdout_has 'HELLO GO'
expect 0 transcribe -m "$tiny" --hot-words "$work/hot.txt" "$1"
stdout_has 'HELLO GO'
expect 0 transcribe -m "$tiny" --lm "$words" --nbest 4 -f json "$1"
python3 - "$work/stdout" <<'END' || fail "wrong n-best list"
import json, sys
value = json.loads(open(sys.argv[1]).readline())
texts = value["hypotheses"]
assert len(texts) == 4 and len({t["text"] for t in texts}) == 4
assert texts[0]["text"] == value["text"]
assert [t["score"] for t in texts] == sorted((t["score"] for t in texts), reverse=True)
END

# eval and tune-lm.
data=$speech/train.jsonl
expect 0 eval -m "$tiny" --data "$data" --lm "$words" --lexicon lm --json
stdout_has '"wer"'
expect 0 tune-lm -m "$tiny" --data "$data" --lm "$words" --lexicon lm --threads 1
cp "$work/stdout" "$work/first"
stdout_has '^best: --lm-weight [0-9.]+ --word-score -?[0-9.]+ \(WER [0-9.]+ %, CER [0-9.]+ %\)$'
expect 0 tune-lm -m "$tiny" --data "$data" --lm "$words" --lexicon lm --threads 2
cmp -s "$work/stdout" "$work/first" || fail "other weights with two threads"
best=$(sed -n 's/^best: \(.*\) (WER.*/\1/p' "$work/first")
wer=$(sed -n 's/^best: .*WER \([0-9.]*\) .*/\1/p' "$work/first")
# shellcheck disable=SC2086
expect 0 eval -m "$tiny" --data "$data" --lm "$words" --lexicon lm $best
stdout_has "^wer +$wer "

# What does not fit is said before anything is decoded.
expect 0 lm build -q -n 2 -o "$work/lower.s3l" "$S3R_DATA/lm/text.txt"
expect 4 transcribe -m "$tiny" --lm "$work/lower.s3l" "$1"
stderr_has 'lower.s3l: expected words in the labels of .*vocab.json, but [0-9]+ of [0-9]+ cannot be spelled, as "[a-z]+" \(are letters and case the same\?\)'
expect 4 transcribe -m "$tiny" --lm "$work/lower.s3l" --lexicon lm "$1"
expect 0 lm build -q -n 2 --units char -o "$work/lowerc.s3l" "$S3R_DATA/lm/text.txt"
expect 4 transcribe -m "$tiny" --lm "$work/lowerc.s3l" "$1"
stderr_has 'lowerc.s3l: expected the characters of .*vocab.json, but 26 of 27 are not in the language model'
expect 4 transcribe -m "$tiny" --lm "$work/lower.s3l" --lexicon "$work/lexicon.txt" "$1"
stderr_has 'expected the words of the lexicon, but 2 of 2 are not in the language model'
printf 'GO\ngo\n' >"$work/bad.txt"
expect 4 transcribe -m "$tiny" --lexicon "$work/bad.txt" "$1"
stderr_has 'bad.txt: line 2: expected a word in the labels'
printf 'NEW YORK 5\n' >"$work/bad.txt"
expect 4 transcribe -m "$tiny" --hot-words "$work/bad.txt" "$1"
stderr_has 'bad.txt: line 1: expected a word in the labels of .*, found "5" .*a boost stands behind a tab'
expect 2 transcribe -m "$tiny" --lm-weight 1 "$1"
stderr_has 'lm-weight: does nothing without --lm'
expect 2 transcribe -m "$tiny" --lm "$words" --nbest 3 "$1"
stderr_has 'nbest: more than one text needs --format json'
expect 2 transcribe -m "$tiny" --lexicon lm "$1"
stderr_has 'expected a language model of words to take them from'
expect 2 tune-lm -m "$tiny" --data "$data"
stderr_has 'expected --data MANIFEST and --lm FILE'
