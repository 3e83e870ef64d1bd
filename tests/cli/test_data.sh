#!/bin/sh
# data prepare, check, stats, split: what they print, write and refuse.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"

# ---- families of verbs ----

expect 0 help data
stdout_has '^Usage: s3r data VERB'
stdout_has '^  data prepare +Make manifests'
expect 0 data --help
stdout_has '^  data split '
expect 0 help data check
stdout_has '^Usage: s3r data check \[OPTION\.\.\.\] MANIFEST\.\.\.$'
expect 2 data
stderr_has '^s3r: "data" needs a second word: "s3r data prepare", '
expect 2 data prepair
stderr_is 's3r: unknown verb "data prepair"; did you mean "data prepare"?'
expect 2 help data zzz
stderr_has '^s3r: "data" needs a second word: '
expect 2 dta
stderr_is 's3r: unknown verb "dta"; did you mean "data"?'

# ---- prepare ----

corpus=$work/corpus
mkdir -p "$corpus/clips"
wav "$corpus/clips/a.wav" 4000 4000
wav "$corpus/clips/b.wav" 4000 2000
wav "$corpus/clips/c.wav" 4000 3000
printf 'client_id\tpath\tsentence\tlocale\ns1\ta.wav\tano ne\tcs\ns2\tb.wav\tahoj\tcs\n' \
    >"$corpus/train.tsv"
printf 'client_id\tpath\tsentence\tlocale\ns3\tc.wav\tano ne\tcs\ns4\tlost.wav\tx\tcs\n' \
    >"$corpus/test.tsv"

expect 0 data prepare commonvoice "$corpus" -o "$work/out"
stdout_has '^language +split +minutes +clips +words$'
stdout_has '^cs +train +0\.0 +2 +3$'
stdout_has '^cs +test +0\.0 +1 +2$'
stdout_has '^all +0\.1 +3 +5$|^all +0\.0 +3 +5$'
stdout_has '^ +1  unreadable audio$'
stderr_is ""
[ -f "$work/out/train.jsonl" ] && [ -f "$work/out/test.jsonl" ] || fail "no manifests"
[ ! -f "$work/out/dev.jsonl" ] || fail "a split that is not there"
grep -q '"duration":0.5,"text":"ahoj","lang":"cs","speaker":"s2"' "$work/out/train.jsonl" ||
    fail "train.jsonl has not the line"
grep -q "^unreadable audio	lost.wav	.*/lost.wav	cannot open" "$work/out/dropped.tsv" ||
    fail "dropped.tsv has not the line"

expect 0 data prepare commonvoice "$corpus" -o "$work/out2" --json --lang cs --split text
stdout_has '^\{"splits":\[\{"language":"cs","split":"[a-z]+","clips":[0-9]+,"seconds":'
stdout_has '"dropped":\{"unreadable audio":1\}\}$'
expect 0 data prepare commonvoice "$corpus" -o "$work/out3" --per-language
[ -f "$work/out3/cs/train.jsonl" ] || fail "no folder of the language"

# A table that tells the lengths: two fit within a frame, at 8 or 16 kHz.
printf '%s/clips\nd.wav\t4100\ne.wav\t4000\nf.wav\t4400\ng.wav\t3200\n' "$corpus" \
    >"$work/train.tsv"
printf 'A\nB\nC\nD\n' >"$work/train.wrd"
wav "$corpus/clips/d.wav" 8000 4000
for name in e f g; do wav "$corpus/clips/$name.wav" 16000 4000; done
expect 0 data prepare fairseq "$work/train.tsv" -o "$work/out4"
stdout_has '^- +train +0\.0 +4 +4$'
stderr_is "s3r: warning: 2 utterances are longer or shorter than the layout's table says, the first is f.wav: is it the right audio?"
expect 2 data prepare librispech "$corpus" -o "$work/out5"
stderr_has 'found "librispech" \(did you mean "librispeech"\?\)$'

expect 2 data prepare commonvoice "$corpus"
stderr_is 's3r: data prepare: expected -o DIR (see s3r help data prepare)'
expect 2 data prepare
stderr_has 'data prepare: expected LAYOUT'
expect 2 data prepare voices "$corpus" -o "$work/x"
stderr_has '^s3r: layout: expected one of librispeech, .*, found "voices"$'
expect 2 data prepare kaldi -o "$work/x"
stderr_has 'layout kaldi: expected the folder of the data'
expect 4 data prepare kaldi "$work/none" -o "$work/x"
stderr_has 'none: expected data in the layout kaldi'
expect 4 data prepare commonvoice "$corpus" -o "$work/x" --lang fr
stderr_has 'found none that stays: another language \(4\)'
[ ! -f "$work/x/train.jsonl" ] || fail "a manifest of nothing"

# A folder that was prepared inside can be moved.
cp -r "$corpus" "$work/moving"
expect 0 data prepare commonvoice "$work/moving" -o "$work/moving" --quiet
mv "$work/moving" "$work/moved"
expect 0 data check "$work/moved/train.jsonl"

# ---- check ----

expect 6 data check "$work/out/train.jsonl" "$work/out/test.jsonl"
stdout_is "$work/out/test.jsonl:1	same-text	c.wav	also in $work/out/train.jsonl, line 1"
stderr_is 's3r: 1 of 3 utterances have problems'
expect 0 data check "$work/out/train.jsonl" "$work/out/test.jsonl" --ignore same-text
stdout_is ""
stderr_is 's3r: 3 utterances, no problem'
expect 6 data check --json "$work/out/train.jsonl" "$work/out/test.jsonl"
stdout_has '^\{"clips":3,"failed":1,"problems":\[\{"manifest":".*","line":1,"id":"c.wav",.*"reason":"same-text"'
expect 2 data check --ignore text "$work/out/train.jsonl"
stderr_has 'reason to ignore: expected unreadable, .* found "text"'

mkdir "$work/vocab"
echo '{"<pad>":0,"<unk>":1,"|":2,"a":3,"h":4,"j":5,"n":6,"o":7}' >"$work/vocab/vocab.json"
expect 6 data check "$work/out/train.jsonl" --vocab "$work/vocab"
stdout_has "train.jsonl:1	vocabulary	a.wav	"
stderr_is 's3r: 1 of 2 utterances have problems'
expect 3 data check "$work/out/train.jsonl" --vocab "$work/out"
expect 2 data check "$work/out/train.jsonl" --vocab "$work/vocab" -m x
stderr_is 's3r: data check: expected --vocab or -m, found both'

{
    echo '{"audio_filepath":"gone.wav","text":"x"}'
    echo '{"audio_filepath":"corpus/clips/a.wav","text":"far too much text for a clip that is this short"}'
    echo '{"audio_filepath":"corpus/clips/b.wav","duration":9,"text":""}'
} >"$work/bad.jsonl"
expect 6 data check "$work/bad.jsonl"
stdout_has '^.*/bad.jsonl:1	unreadable	gone.wav	/.*/gone\.wav: cannot open: No such file or directory$'
stdout_has 'bad.jsonl:2	too-short	'
stdout_has 'bad.jsonl:3	beyond-end	'
stdout_has 'bad.jsonl:3	no-text	'
stderr_is 's3r: 3 of 3 utterances have problems'

# ---- what is no manifest ----

expect 4 data check "$work/none.jsonl"
stderr_has 'none.jsonl: cannot open'
: >"$work/empty.jsonl"
expect 4 data stats "$work/empty.jsonl"
stderr_has 'empty.jsonl: expected utterances, found none'
printf '{"audio_filepath":"caf\351"}\n' >"$work/latin.jsonl"
expect 4 data stats "$work/latin.jsonl"
stderr_has 'latin.jsonl: line 1: byte 23: expected UTF-8, found the byte 0xe9'
head -c 3000000 /dev/zero | tr '\0' x >"$work/long.jsonl"
expect 4 data stats "$work/long.jsonl"
stderr_has 'long.jsonl: line 1: expected at most 1048576 bytes, found more'

# ---- stats ----

expect 0 data stats "$work/out/train.jsonl"
stdout_has '^  clips +2, 2 with text$'
stdout_has '^  speakers +2, of 2 clips$'
stdout_has '^  words +3, 3 different$'
stdout_has '^    0\.5 to 1 s +1 #+$'
stdout_has 'U\+0020 1   a 2   e 1   h 1   j 1   n 2   o 2'
expect 0 data stats --json "$work/out/train.jsonl" "$work/out/test.jsonl"
stdout_has '^\[\{"path":".*train.jsonl","clips":2,.*"inventory":\{" ":1,"a":2,'

# ---- split ----

expect 0 data split "$work/out/train.jsonl" --minutes 0.005 --seed 3 -o "$work/some.jsonl" \
    --rest "$work/rest.jsonl"
stdout_is ""
stderr_has '^s3r: 1 clips, 0\.[0-9]+ minutes in '
[ "$(cat "$work/some.jsonl" "$work/rest.jsonl" | wc -l)" -eq 2 ] || fail "not a partition"
cp "$work/some.jsonl" "$work/again.jsonl"
expect 0 data split "$work/out/train.jsonl" --minutes 0.005 --seed 3 -o "$work/some.jsonl" -q
cmp -s "$work/some.jsonl" "$work/again.jsonl" || fail "one seed, two draws"
expect 4 data split "$work/out/train.jsonl" --name 10m -o "$work/some.jsonl"
stderr_has 'train.jsonl: expected 10\.00 minutes, found 0\.0[0-9]'
cp "$work/out/train.jsonl" "$work/whole.jsonl"
expect 2 data split "$work/out/train.jsonl" --minutes 1 -o "$work/x.jsonl" \
    --rest "$work/x.jsonl"
stderr_has 'expected another file for the rest, found .*x\.jsonl twice$'
expect 2 data split "$work/out/train.jsonl" --minutes 1 -o "$work/out/../out/train.jsonl"
stderr_has 'expected another file for the result, found .*train\.jsonl twice$'
cmp -s "$work/out/train.jsonl" "$work/whole.jsonl" || fail "the manifest was replaced"
expect 2 data split "$work/out/train.jsonl" -o "$work/some.jsonl"
stderr_is 's3r: data split: expected --minutes above 0 or --name, found 0'
expect 2 data split "$work/out/train.jsonl" --name 1h --minutes 3 -o "$work/some.jsonl"
stderr_is 's3r: data split: expected --minutes or --name, found both'
expect 2 data split "$work/out/train.jsonl" --minutes 3
stderr_has 'data split: expected -o FILE'

# A name that a manifest cannot hold is left out and counted.
mkdir "$work/names"
cp "$S3R_DATA/speech/calling.g722" "$work/names/good.g722"
cp "$S3R_DATA/speech/calling.g722" "$work/names/$(printf 'latin\351').g722"
expect 0 data prepare folder "$work/names" -o "$work/named" --json
stdout_has '"a name that is not UTF-8":1'
[ "$(cat "$work"/named/*.jsonl | wc -l)" -eq 1 ] || fail "another number of clips"
