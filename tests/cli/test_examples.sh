#!/bin/sh
# examples/: they compile against the public headers and say what the program says.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln
program=$S3R

expect 0 transcribe -m "$model" "$clip" "$clip"
text=$(cat "$work/stdout")
S3R=$S3R_TOOLS/example_transcribe
expect 0 "$model" "$clip" "$clip"
stdout_is "$text"
expect 6 "$model" "$clip" nothing.wav
stdout_has "^$clip	[A-Z]+\$"
stderr_has '^nothing\.wav: nothing\.wav: cannot open|^nothing\.wav: cannot open'
expect 3 "$work/nothing" "$clip"
expect 2 "$model"

# One backbone, several masks, a thread each: what each mask gives on its own.
tiny=$work/tiny masks=$work/masks mask="" lora=""
mkdir "$masks"
"$S3R_TOOLS/make_tiny_model" "$tiny" 3 || exit 1
S3R=$program
for method in mask lora; do
    "$S3R_TOOLS/make_tiny_mask" "$tiny" "$masks/$method.s3m" "$method" 5 || exit 1
    expect 0 transcribe -m "$tiny" --mask "$masks/$method.s3m" "$clip"
    eval "$method=\$(cat \"\$work/stdout\")"
done
S3R=$S3R_TOOLS/example_route_threads
expect 0 "$tiny" "$masks" "mask=$clip" "lora=$clip" "nobody=$clip" "mask,lora=$clip" "$clip"
stdout_has "^mask	$clip	$mask\$"
stdout_has "^lora	$clip	$lora\$"
stdout_has "^nobody	$clip	.*no mask \"nobody\""
[ "$(grep -c "	$clip	$lora\$" "$work/stdout")" -eq 2 ] || fail "expected lora twice"
expect 3 "$work/nothing" "$masks" "mask=$clip"
stderr_has '^route_threads: .*nothing'
expect 2 "$tiny" "$work/nowhere" "mask=$clip"
stderr_has 'nowhere: cannot read the folder'
expect 2 "$tiny" "$masks"
stderr_has 'usage: route_threads'
