#!/bin/sh
# Language models: lm build, compile, info, score.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
lm=$S3R_DATA/lm
text=$lm/text.txt

# Built, compiled, described.
expect 0 lm build -n 3 -o "$work/a.arpa.gz" "$text"
stdout_is ""
stderr_has 'a.arpa.gz: order 3, from 2159 words in 150 sentences$'
stderr_has '3-grams: [0-9]+, discounts 0.[0-9]+ 1.[0-9]+'
expect 0 lm compile "$work/a.arpa.gz" "$work/a.s3l"
cp "$text" "$work/own.txt"
expect 2 lm build -n 2 -o "$work/own.txt" "$text" "$work/own.txt"
stderr_has 'own\.txt: expected another file for the result: it would replace the input'
cmp "$text" "$work/own.txt" || fail "a text was replaced"
expect 2 lm compile "$work/a.arpa.gz" "$work/a.arpa.gz"
expect 2 lm compile "$work/a.arpa.gz" "$work/c.arpa"
stderr_has 'c\.arpa: expected a name for the binary form, found that of an ARPA file'
expect 0 lm build --order 3 -q -o "$work/b.s3l" "$text"
stderr_is ""
expect 0 lm info "$work/b.s3l"
stdout_has '^format       s3l$'
stdout_has '^of           words$'
expect 0 lm info --json "$lm/kenlm.bin"
stdout_has '"format":"kenlm probing","order":4,"units":"word","has_words":true,"ngrams":\['
python3 -m json.tool "$work/stdout" >/dev/null || fail "no JSON"

# Scores are those of KenLM's query; all forms of a model give the same.
for form in "$lm/pruned4.arpa" "$lm/kenlm.bin"; do
    expect 0 lm score --lm "$form" "$text"
    stdout_has '^words             2159$'
    stdout_has '^unknown words     0 \(0.00 %\)$'
    stdout_has '^perplexity        17.5549$'
done
printf 'the model xyzzy\n' >"$work/one.txt"
expect 0 lm score --lm "$work/a.s3l" --sentences "$work/one.txt"
cp "$work/stdout" "$work/a.out"
stdout_has '^-[0-9.]+	[0-9.]+	1	the model xyzzy$'
expect 0 lm score --lm "$work/b.s3l" --sentences "$work/one.txt"
cmp -s "$work/stdout" "$work/a.out" || fail "another score after compiling"
expect 0 lm score --lm "$work/a.s3l" --json - <"$work/one.txt"
stdout_has '"sentences":1,"words":3,"unknown_words":1,"log10_prob":-'

# Manifests, case and punctuation; characters.
printf '{"audio_filepath": "a.wav", "text": "The MODEL, the model."}\n' >"$work/m.jsonl"
expect 0 lm score --lm "$work/a.s3l" "$work/m.jsonl"
stdout_has '^unknown words     3 '
expect 0 lm score --lm "$work/a.s3l" --case lower --plain "$work/m.jsonl"
stdout_has '^unknown words     0 '
expect 0 lm build -q --units char -n 5 -o "$work/c.arpa" "$text"
expect 0 lm info "$work/c.arpa"
stdout_has '^of           characters$'
expect 0 lm score --lm "$work/c.arpa" "$work/one.txt"
stdout_has '^words             15$'

# What is refused.
expect 2 lm build "$text"
stderr_has 'expected -o FILE'
expect 2 lm build -n 6 -o "$work/x.arpa" "$text"
stderr_has 'order: expected 1 to 5, found 6'
expect 2 lm build --prune '1 0' -o "$work/x.arpa" "$text"
stderr_has 'prune: expected 0 for words'
expect 2 lm build --prune 'a' -o "$work/x.arpa" "$text"
expect 2 lm build --discount-fallback '2' -o "$work/x.arpa" "$text"
stderr_has 'discount fallback: expected 0 to 1 for the count 1, found 2'
expect 4 lm build -o "$work/x.arpa" "$work/one.txt"
stderr_has 'too small or too regular'
expect 0 lm build -q -n 2 --discount-fallback default -o "$work/x.arpa" "$work/one.txt"
printf 'a <s> b\n' >"$work/bad.txt"
expect 4 lm build -o "$work/y.arpa" "$work/bad.txt"
stderr_has 'bad.txt: line 1: the word "<s>" is reserved'
[ ! -e "$work/y.arpa" ] || fail "a file was left"
expect 4 lm info "$text"
stderr_has 'expected .data., found the end of the file'
head -c 5000 "$work/a.s3l" >"$work/cut.s3l"
expect 4 lm score --lm "$work/cut.s3l" "$text"
stderr_has 'cut.s3l: expected [0-9]+ bytes, found 5000'
printf 'X' | dd of="$work/b.s3l" bs=1 seek=2000 conv=notrunc 2>/dev/null
expect 4 lm info "$work/b.s3l"
stderr_has 'damaged: expected the checksum'
