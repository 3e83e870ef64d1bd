#!/bin/sh
# s3r pretrain: both objectives on eight recordings learn something, threads and resuming
# change no bit, the result opens and is adapted like any backbone, errors.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
data=$S3R_DATA/speech/train.jsonl

same()
{
    cmp -s "$1" "$2" || fail "$1 and $2 differ"
}

# A small shape; options of every run.
pretrain()
{
    code=$1
    shift
    expect "$code" pretrain --data "$data" --shape hidden_size=32 --shape ffn_size=64 \
        --shape blocks=2 --shape heads=4 --shape pos_conv_groups=4 \
        --shape "conv=[(16,10,5)]+[(16,3,2)]*4+[(16,2,2)]*2" --steps 12 --lr 1e-2 \
        batch.seconds=6 run.log_every=1 checkpoint.every=6 "$@"
}
clusters="--labels $work/targets/train.labels"
expect 0 kmeans -q --data "$data" --mfcc -k 8 -o "$work/targets"

# Masked prediction, with dev.
# shellcheck disable=SC2086
pretrain 0 $clusters --dev "$data" --dev-labels "$work/targets/train.labels" \
    -o "$work/one" eval.every=6
stdout_is "$work/one/best"
stderr_has 'step 12: dev masked error [0-9.]+%'
first=$(sed -n 's/.*"step": 1,.*"loss": \([0-9]*\).*/\1/p' "$work/one/metrics.jsonl")
last=$(sed -n 's/.*"step": 12, "train".*"loss": \([0-9]*\).*/\1/p' "$work/one/metrics.jsonl")
[ "$last" -lt "$first" ] || fail "the loss went from $first to $last"
expect 0 inspect "$work/one/best"
stdout_has '^family +hubert'

# The same bits with another number of threads, and after a stop in the middle.
# shellcheck disable=SC2086
pretrain 0 -t 1 $clusters --dev "$data" --dev-labels "$work/targets/train.labels" \
    -o "$work/two" eval.every=6
same "$work/one/last/model.safetensors" "$work/two/last/model.safetensors"
rm -rf "$work/two/last" "$work/two/best" "$work/two/checkpoint-00000012.s3c"
# shellcheck disable=SC2086
pretrain 0 -q --resume auto $clusters --dev "$data" \
    --dev-labels "$work/targets/train.labels" -o "$work/two" eval.every=6
same "$work/one/last/model.safetensors" "$work/two/last/model.safetensors"
same "$work/one/checkpoint-00000012.s3c" "$work/two/checkpoint-00000012.s3c"

# Dev and train are named by the same centroids.
expect 0 kmeans -q --data "$data" --mfcc -k 8 --seed 5 -o "$work/others"
# shellcheck disable=SC2086
pretrain 2 $clusters --dev "$data" --dev-labels "$work/others/train.labels" -o "$work/mixed"
stderr_has 'others/train\.labels: expected labels of the centroids that made .*targets/train\.labels'
expect 0 kmeans -q --data "$data" --mfcc --centroids "$work/targets/centroids.s3k" -o "$work/again"
same "$work/targets/train.labels" "$work/again/train.labels"

# The contrastive objective needs no labels; its family is its own.
pretrain 0 --objective wav2vec2 -o "$work/three" pretrain.entries=8 pretrain.negatives=5
stdout_is "$work/three/best"
expect 0 inspect "$work/three/best"
stdout_has '^family +wav2vec2'

# The result is a backbone like any other.
expect 0 vocab build "$data" -o "$work/vocabulary"
expect 0 train -q -m "$work/one/best" --vocab "$work/vocabulary" --train "$data" \
    -o "$work/adapted" --steps 2
stdout_is "$work/adapted/best.s3m"

# The forecast leaves nothing.
# shellcheck disable=SC2086
pretrain 0 --plan $clusters -o "$work/plan"
stdout_has '^time a step'
[ ! -e "$work/plan" ] || fail "a forecast left something"

# The fresh model is that of the shape and the seed, wherever the seed is said; a run that
# came to no checkpoint leaves no other.
pretrain 3 --labels "$work/nowhere.labels" -o "$work/four"
# shellcheck disable=SC2086
pretrain 0 -q $clusters -o "$work/four" seed=9 --shape hidden_size=16
# shellcheck disable=SC2086
pretrain 0 -q $clusters -o "$work/five" --seed 9 --shape hidden_size=16
same "$work/four/start/model.safetensors" "$work/five/start/model.safetensors"
grep -q '"hidden_size": 16' "$work/four/best/config.json" || fail "another shape"
# shellcheck disable=SC2086
pretrain 2 -q --resume auto $clusters -o "$work/four" seed=9
stderr_has 'start: the run began with another model: hidden_size: expected 16, found 32$'
# shellcheck disable=SC2086
expect 0 pretrain -q --resume auto --shape hidden_size=16 --data "$data" --shape blocks=2 \
    --shape heads=4 --shape pos_conv_groups=4 --shape ffn_size=64 \
    --shape "conv=[(16,10,5)]+[(16,3,2)]*4+[(16,2,2)]*2" --steps 12 --lr 1e-2 \
    batch.seconds=6 run.log_every=1 checkpoint.every=6 $clusters -o "$work/four" seed=9
# Somebody's own model in start is no run's.
mkdir -p "$work/own"
cp -r "$work/one/best" "$work/own/start"
# shellcheck disable=SC2086
pretrain 2 $clusters -o "$work/own"
stderr_has 'own/start: holds a model that no run made'
[ -s "$work/own/start/model.safetensors" ] || fail "a model is gone"
rm "$work"/four/*.s3c
# shellcheck disable=SC2086
pretrain 2 -q $clusters -o "$work/four" seed=9 --shape hidden_size=16
stderr_has 'holds a run already \(a result\)'
# shellcheck disable=SC2086
pretrain 2 $clusters -o "$work/none4" augment.time_prob=0
stderr_has 'augment.time_prob: expected more than 0 for pretraining'
pretrain 2 --objective wav2vec2 $clusters -o "$work/none5"
stderr_has '^s3r: --labels: clusters are for the objective hubert$'
# shellcheck disable=SC2086
pretrain 2 $clusters -o "$work/none6" pretrain.negatives=5
stderr_has 'pretrain.negatives: of no use, since the objective is hubert'

# Errors.
pretrain 2 -o "$work/none"
stderr_has 'needs the clusters of frames: name the file that s3r kmeans wrote with --labels'
expect 2 pretrain --data "$data"
stderr_has 'expected --data FILE and -o FOLDER'
expect 2 pretrain --data "$data" -o "$work/none2" --shape hiden_size=3
stderr_has "hidden_size"
head -4 "$data" | sed "s|\"audio_filepath\": \"|&$S3R_DATA/speech/|" >"$work/four.jsonl"
expect 0 kmeans -q --data "$work/four.jsonl" --mfcc -k 8 -o "$work/fewer"
pretrain 4 --labels "$work/fewer/four.labels" -o "$work/none3"
stderr_has 'the labels lack utterance'
