#!/bin/sh
# The README's way from a corpus to text, with a tiny model and a Common Voice of eight clips
# whose sentences have capitals and punctuation.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

cd "$work" || exit 1
"$S3R_TOOLS/make_tiny_model" model >tool
mkdir -p cv-corpus/ky/clips
cp "$S3R_DATA"/speech/*.g722 cv-corpus/ky/clips
split() # NAME, then "FILE SENTENCE" lines
{
    printf 'client_id\tpath\tsentence\tlocale\n' >"cv-corpus/ky/$1.tsv"
    while read -r file sentence; do
        printf 'allison\t%s.g722\t%s\tky\n' "$file" "$sentence"
    done >>"cv-corpus/ky/$1.tsv"
}
split train <<END
activated Activated!
agent-loginok Agent «logged in».
auth-thankyou Thank you,
call-waiting Call, waiting...
calling Calling?
cancelled Cancelled.
END
echo 'conf-full That conference is full.' | split dev
echo 'conf-muted «You» are now muted!' | split test

expect 0 data prepare commonvoice cv-corpus/ky -o data/ky
expect 0 data check data/ky/*.jsonl
expect 0 vocab build data/ky/train.jsonl data/ky/dev.jsonl data/ky/test.jsonl -o vocab/ky
grep -q '"text":"agent logged in"' vocab/ky/train.text.jsonl || fail "other texts"
expect 0 train -m model --vocab vocab/ky --preset 10m --train vocab/ky/train.text.jsonl \
    --dev vocab/ky/dev.text.jsonl -o run/ky schedule.steps=4
stdout_is run/ky/best.s3m
expect 0 mask info run/ky/best.s3m
stdout_has '^seed         1$'
stdout_has '^step         4$'
stdout_has '^data hash    [0-9a-f]{64}$'
stdout_has '^sparsity     10\.[0-9]+ to 10\.[0-9]+ % a matrix$'
expect 0 eval -m model --mask run/ky/best.s3m --data vocab/ky/test.text.jsonl
stdout_has '^wer '
expect 0 transcribe -m model --mask run/ky/best.s3m cv-corpus/ky/clips/calling.g722
expect 0 convert --mask run/ky/best.s3m model merged

# Texts as they were say where those that fit are.
expect 4 train -m model --vocab vocab/ky --train data/ky/train.jsonl -o run/raw
stderr_has '"!" \(U\+0021\); s3r vocab build writes texts that fit its labels: DIR/NAME.text.jsonl'
exit 0
