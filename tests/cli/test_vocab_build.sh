#!/bin/sh
# s3r vocab build: what is written, warnings, refusals, phones when espeak-ng is there.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

line() { printf '{"audio_filepath": "%s", "duration": 1, "text": "%s"%s}\n' "$@"; }
touch "$work/a.wav" "$work/b.wav"
{
    line a.wav "L’eau, ÇA va?" ', "lang": "fr"'
    line b.wav "Le chat" ', "lang": "fr"'
} >"$work/train.jsonl"
{
    line a.wav "ça va" ', "lang": "fr"'
    line b.wav "7 chats" ', "lang": "fr"'
} >"$work/dev.jsonl"

expect 0 vocab build -o "$work/v" "$work/train.jsonl" "$work/dev.jsonl"
stdout_is ""
stderr_has "digits, which say nothing about how they are spoken: \"7 chats\""
stderr_has "$work/v: 17 labels of 4 texts"
[ "$(tr -d '\n ' <"$work/v/vocab.json")" = \
    '{"<pad>":0,"<s>":1,"</s>":2,"<unk>":3,"|":4,"'"'"'":5,"7":6,"a":7,"c":8,"e":9,"h":10,"l":11,"s":12,"t":13,"u":14,"v":15,"ç":16}' ] ||
    fail "other labels: $(cat "$work/v/vocab.json")"
grep -q '"pad_token": "<pad>"' "$work/v/tokenizer_config.json" || fail "no padding label"
grep -q "\"text\":\"l'eau ça va\"" "$work/v/train.text.jsonl" || fail "the text is not plain"
[ -e "$work/v/dev.text.jsonl" ] || fail "an unchanged manifest was not written"

expect 2 vocab build -o "$work/v" "$work/train.jsonl"
stderr_has "found vocab.json"
expect 0 vocab build -q --force --case upper -o "$work/v" "$work/train.jsonl"
stderr_is ""
grep -q '"Ç"' "$work/v/vocab.json" || fail "no upper case"
expect 0 vocab build -q --force --case keep --keep-punctuation -o "$work/v" "$work/train.jsonl"
grep -q '"?"' "$work/v/vocab.json" || fail "no punctuation"
expect 0 vocab build -q --force --unit grapheme -o "$work/v" "$work/train.jsonl"

expect 2 vocab build "$work/train.jsonl"
stderr_has 'expected -o DIR'
expect 2 vocab build -o "$work/w"
expect 2 vocab
stderr_has 'needs a second word: "s3r vocab build"'
expect 2 vocab build --unit word -o "$work/w" "$work/train.jsonl"
expect 2 vocab build -o "$work/w" "$work/train.jsonl" "$work/train.jsonl"
stderr_has "different names"
expect 4 vocab build -o "$work/w" "$work/nothing.jsonl"
expect 4 vocab build -o "$work/w" --lang de "$work/train.jsonl"
stderr_has "found none of the language de"

# Without espeak-ng the message says what to install.
PATH=/nonexistent "$S3R" vocab build --unit phone -o "$work/p" "$work/train.jsonl" \
    2>"$work/missing" && fail "phones without espeak-ng"
last="vocab build without espeak-ng"
grep -q 'install it (apt-get install espeak-ng)' "$work/missing" || fail "no advice"
if command -v espeak-ng >"$work/where"; then
    expect 0 vocab build --unit phone -o "$work/p" "$work/train.jsonl"
    grep -q '"text":"l o ' "$work/p/train.phones.jsonl" || fail "other phones"
    grep -q '"ʃ"' "$work/p/vocab.json" || fail "no such phone"
    grep -q 'Wav2Vec2PhonemeCTCTokenizer' "$work/p/tokenizer_config.json" ||
        fail "not a tokenizer of phonemes"
    expect 2 vocab build --unit phone --voice nobody -o "$work/q" "$work/train.jsonl"
    stderr_has 'has no voice "nobody"'
fi
exit 0
