#!/bin/sh
# Shipped models: the default of each verb, names, what is said when there is none, and an
# installed tree that was moved.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
small=$work/models/s3r-small
data=$S3R_DATA/speech/train.jsonl
mkdir "$work/models"
"$S3R_TOOLS/make_tiny_model" "$small" >"$work/stdout" || exit 1
"$S3R_TOOLS/make_tiny_model" "$work/models/other" 2 >"$work/stdout" || exit 1
S3R_MODELS=$work/models
export S3R_MODELS

# Every verb that needs a model takes the default, and says so on stderr.
taken="s3r: model $small"
expect 0 inspect --no-hash --json
stderr_is "$taken"
stdout_has "\"path\": \"$small\""
expect 0 inspect -q --no-hash -m default
stderr_is ""
expect 0 transcribe "$clip"
stderr_is "$taken"
text=$(cat "$work/stdout")
expect 0 transcribe -m "$small" "$clip"
stderr_is ""
stdout_is "$text"
expect 0 features -q -o "$work/features" "$clip"
expect 0 eval -q --data "$data"
expect 0 inspect -q
hash=$(grep '^hash ' "$work/stdout")
expect 0 convert -q default "$work/converted"
expect 0 inspect "$work/converted"
stdout_has "^$hash\$"
expect 0 bench --seconds 0.1,0.2 --rounds 1 --dtype both --json
stderr_is "$taken"
stdout_has "\"model\": \"$small\""
expect 0 kmeans -q --data "$data" --layer 1 -k 4 -o "$work/clusters"
expect 2 kmeans --data "$data" -o "$work/clusters"
stderr_has 'expected --mfcc or -m MODEL --layer N, found neither'
expect 0 data check -m default "$data"
stderr_has "^$taken\$"
expect 0 train --train "$data" -o "$work/run" --steps 2
stderr_has "^$taken\$"
expect 0 mask verify -m default "$work/run/best.s3m"
stdout_is "$work/run/best.s3m: sound, fits the model"
# Resuming asks for the same backbone, however it was named.
expect 0 train -m "$small" --train "$data" -o "$work/run" --steps 2 --resume auto

# Other names; a mask of another backbone.
expect 0 transcribe -m other "$clip"
stderr_is "s3r: model $work/models/other"
expect 3 transcribe -m other --mask "$work/run/best.s3m" "$clip"
stderr_has "best\\.s3m: made for another backbone than $work/models/other: expected wav2vec2 [0-9a-f]{64}, found wav2vec2 [0-9a-f]{64}\$"
cp -r "$small" "$work/here"
(cd "$work" && expect 0 inspect --no-hash here && stderr_is "") || exit 1

# None: every place, and what to do.
expect 3 transcribe -m no-such-model "$clip"
stderr_has "^s3r: no-such-model: expected a file, a folder or a model of this name in one of $work/models, .*share/s3r/models; give the path of a model \\(-m\\), or set S3R_MODELS to a folder that has no-such-model\$"

# An installed tree finds its models wherever it is; nothing of the build folder is asked.
unset S3R_MODELS
last="cmake --install"
env -u DESTDIR cmake --install "$S3R_TOOLS" --prefix "$work/tree" \
    >"$work/stdout" 2>"$work/stderr" || fail "installation"
mkdir "$work/moved"
mv "$work/tree" "$work/moved/tree"
cp -r "$small" "$work/moved/tree/share/s3r/models/installed"
S3R=$work/moved/tree/bin/s3r
expect 0 inspect --no-hash -m installed
stderr_is "s3r: model $work/moved/tree/share/s3r/models/installed"
ln -s "$S3R" "$work/link"
S3R=$work/link
expect 0 transcribe -m installed "$clip"
stdout_is "$text"
