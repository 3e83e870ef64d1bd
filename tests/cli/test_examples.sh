#!/bin/sh
# examples/: they compile against the public headers and say what the program says.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln

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
