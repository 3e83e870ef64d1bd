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

# One backbone, several masks: what each mask gives on its own.
tiny=$work/tiny
"$S3R_TOOLS/make_tiny_model" "$tiny" 3 || exit 1
S3R=$program
expected=
for method in mask lora mask; do
    "$S3R_TOOLS/make_tiny_mask" "$tiny" "$work/$method.s3m" "$method" 5 || exit 1
    expect 0 transcribe -m "$tiny" --mask "$work/$method.s3m" "$clip"
    expected="$expected${expected:+
}$(cat "$work/stdout")"
done
S3R=$S3R_TOOLS/example_switch_masks
expect 0 "$tiny" "$work/mask.s3m=$clip" "$work/lora.s3m=$clip" "$work/mask.s3m=$clip"
stdout_is "$expected"
expect 3 "$model" "$work/mask.s3m=$clip"
stderr_has 'made for another backbone'
expect 2 "$tiny" "$clip"
stderr_has 'expected MASK=FILE$'
expect 6 "$tiny" "$work/mask.s3m=nothing.wav"
