#!/bin/sh
# A folder of masks: transcribe --masks and mask list.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
tiny=$work/tiny masks=$work/masks
mkdir "$masks"
"$S3R_TOOLS/make_tiny_model" "$tiny" 3 || exit 1
for method in mask bias lora; do
    "$S3R_TOOLS/make_tiny_mask" "$tiny" "$masks/$method.s3m" "$method" 5 || exit 1
done
cp "$clip" "$work/two.g722"

# What each mask gives alone.
bias="" lora="" mask=""
for method in bias lora mask; do
    expect 0 transcribe -m "$tiny" --mask "$masks/$method.s3m" "$clip"
    eval "$method=\$(cat \"\$work/stdout\")"
done
expect 0 transcribe -m "$tiny" -M "$masks" -l bias "$clip"
stdout_is "$bias"
expect 0 transcribe -m "$tiny" --masks "$masks" --language mask,lora "$clip"
stdout_is "mask	$mask
lora	$lora"
expect 0 transcribe -m "$tiny" -M "$masks" -l all "$clip" "$work/two.g722"
stdout_is "$clip	bias	$bias
$clip	lora	$lora
$clip	mask	$mask
$work/two.g722	bias	$bias
$work/two.g722	lora	$lora
$work/two.g722	mask	$mask"
expect 0 transcribe -m "$tiny" -M "$masks" "$clip"
stdout_has '^(bias|lora|mask)	'
printf '%s\tlora\n%s\n' "$clip" "$work/two.g722" >"$work/list"
expect 0 transcribe -m "$tiny" -M "$masks" -l bias --files-from "$work/list"
stdout_is "$clip	lora	$lora
$work/two.g722	bias	$bias"
expect 0 transcribe -m "$tiny" -M "$masks" -l lora "$clip"
cp "$work/stdout" "$work/exact"
expect 0 transcribe -m "$tiny" -M "$masks" -l LORA "$clip" # case does not matter
cmp "$work/exact" "$work/stdout" || fail "another mask"
expect 2 transcribe -m "$tiny" -M "$masks" -l lora-v1 "$clip"
mkdir "$work/tags"
cp "$masks/lora.s3m" "$work/tags/it.s3m"
cp "$masks/mask.s3m" "$work/tags/foo_a.s3m"
for tag in IT it_CH it-419; do
    expect 0 transcribe -m "$tiny" -M "$work/tags" -l $tag "$clip"
    cmp "$work/exact" "$work/stdout" || fail "another mask for $tag"
done
expect 2 transcribe -m "$tiny" -M "$work/tags" -l foo_b "$clip"
expect 2 transcribe -m "$tiny" -M "$work/tags" -l it_v1 "$clip"
expect 2 transcribe -m "$tiny" -M "$masks" -l lo "$clip"
expect 0 transcribe -m "$tiny" -M "$masks" -l lora,mask -f json,txt -o "$work/out" "$clip"
name=$(basename "$clip" | sed 's/\.[^.]*$//')
[ "$(cat "$work/out/$name.lora.txt")" = "$lora" ] || fail "another text of lora"
grep -q '"mask":"mask"' "$work/out/$name.mask.json" || fail "no name in JSON"
expect 0 features -m "$tiny" -M "$masks" --language lora -o "$work/features" "$clip"

# Names.
expect 2 transcribe -m "$tiny" -M "$masks" -l lroa "$clip"
stderr_has 'masks: no mask "lroa", did you mean "lora"; expected one of bias, lora, mask$'
expect 2 transcribe -m "$tiny" -M "$masks" -l und "$clip"
stderr_has 'language "und": expected one mask, found 3; name one of bias, lora, mask$'
expect 2 transcribe -m "$tiny" -M "$masks" --mask "$masks/lora.s3m" "$clip"
stderr_has 'expected no --mask'
expect 2 transcribe -m "$tiny" -M "$masks" -l all -f srt "$clip"
stderr_has 'expected -o DIR'
expect 2 transcribe -m "$tiny" -M "$masks" -l all --beam 5 "$clip"
stderr_has 'expected one mask with --lm'
expect 2 features -m "$tiny" -M "$masks" --language all -o "$work/features" "$clip"
stderr_has 'the name of one mask, found "all"$'
expect 2 transcribe -m "$tiny" -M "$work/nowhere" -l lora "$clip"
stderr_has 'nowhere: cannot read the folder'
expect 2 transcribe -m "$tiny" -M "$tiny" -l lora "$clip"
stderr_has 'expected mask files \(\*\.s3m\), found none'

# A thousand masks, one of them damaged: it is named, the others work.
many=$work/many
mkdir "$many"
i=100
while [ $i -lt 1100 ]; do
    ln "$masks/lora.s3m" "$many/l$i.s3m"
    i=$((i + 1))
done
rm "$many/l500.s3m"
head -c 3000 "$masks/lora.s3m" >"$many/l500.s3m"
expect 0 transcribe -m "$tiny" -M "$many" -l l777 "$clip"
stdout_is "$lora"
expect 3 transcribe -m "$tiny" -M "$many" -l l500 "$clip"
stderr_has 'l500\.s3m: '
expect 6 transcribe -m "$tiny" -M "$many" -l l499,l500,l501 "$clip"
stdout_is "l499	$lora
l501	$lora"
stderr_has 'l500\.s3m: '
expect 6 mask list "$many"
[ "$(grep -c ' ok$' "$work/stdout")" -eq 999 ] || fail "expected 999 masks"
stderr_has '1 of 1000 masks cannot be used$'
expect 6 mask list --json "$many"
stdout_has '"name":"l500",.*"error":".*l500.s3m: '
expect 0 mask list -m "$tiny" "$masks"
stdout_has '^lora +und +ctc +lora +ok$'
expect 6 mask list -m "$golden/hubert_group" "$masks"
stderr_has 'made for another backbone'

# By segment: what is no speech has no text, what is has that of one mask.
expect 0 transcribe -m "$tiny" -M "$masks" -l lora --by-segment -f json "$clip"
stdout_has '"mask":"(lora)?"'
stdout_has '"segments":\['
expect 2 transcribe -m "$tiny" --by-segment "$clip"
stderr_has '^s3r: --by-segment: expected --masks$'

# A pick from names leaves out what is damaged, and says so once; so does a list of files.
head -c 3000 "$masks/lora.s3m" >"$masks/cut.s3m"
for names in auto auto:lora,cut; do
    expect 6 transcribe -m "$tiny" -M "$masks" -l $names "$clip" "$work/two.g722"
    [ "$(grep -c 'cut\.s3m: ' "$work/stderr")" -eq 1 ] || fail "$names: not named once"
    stderr_has '1 mask could not be used$'
done
expect 6 transcribe -m "$tiny" -M "$masks" -l lora,cut --by-segment "$clip"
stderr_has 'cut\.s3m: '
printf '%s\tauto:cut,bias\n%s\tall\n' "$clip" "$work/two.g722" >"$work/list"
expect 6 transcribe -m "$tiny" -M "$masks" -l lora --files-from "$work/list"
stdout_is "$clip	bias	$bias
$work/two.g722	bias	$bias
$work/two.g722	lora	$lora
$work/two.g722	mask	$mask"
[ "$(grep -c 'cut\.s3m: ' "$work/stderr")" -eq 1 ] || fail "a list: not named once"
rm "$masks/cut.s3m"

# A comma parts names, so a file that has one is left out.
cp "$masks/lora.s3m" "$masks/lo,ra.s3m"
expect 6 transcribe -m "$tiny" -M "$masks" -l all "$clip"
stdout_is "bias	$bias
lora	$lora
mask	$mask"
stderr_has 'lo,ra\.s3m: expected a name without a comma'
rm "$masks/lo,ra.s3m"

# Two results would be one file.
cp "$clip" "$work/two.lora.g722"
printf '%s\tlora,mask\n%s\tbias\n' "$work/two.g722" "$work/two.lora.g722" >"$work/list"
expect 2 transcribe -m "$tiny" -M "$masks" -l lora -o "$work/same" --files-from "$work/list"
stderr_has 'two\.g722 and .*two\.lora\.g722 would both be written to two\.lora$'
[ ! -e "$work/same" ] || fail "something was written"

# Emissions are of a file, not of its pieces.
expect 2 transcribe -m "$tiny" -M "$masks" -l lora --by-segment --emissions "$work/em" "$clip"
stderr_has 'emissions: expected one array a file, found .* by segment$'

# Standard input cannot be listed, also with a mask.
printf -- '-\tlora\n' >"$work/list"
expect 2 transcribe -m "$tiny" -M "$masks" -l bias --files-from "$work/list"
stderr_has 'standard input \(-\) cannot be listed$'
