#!/bin/sh
# s3r kmeans: targets from cepstra and from a layer, the same with any threads, labels with
# centroids that are there, errors.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
speech=$S3R_DATA/speech
"$S3R_TOOLS/make_tiny_model" "$work/model" || exit 1
"$S3R_TOOLS/make_tiny_model" "$work/other" 2 || exit 1

same()
{
    cmp -s "$1" "$2" || fail "$1 and $2 differ"
}

# Cepstra; files are named on standard output.
expect 0 kmeans --data "$speech/train.jsonl" --mfcc -k 20 -o "$work/one"
stdout_is "$work/one/centroids.s3k
$work/one/train.labels"
stderr_has '^s3r: 20 clusters of 475 frames: mean squared distance '
stderr_has '^s3r: 475 frames labelled, .* of 20 clusters in use$'
[ "$(find "$work/one" -type f | wc -l)" -eq 2 ] || fail "other files beside the two"

# Threads, batches and memory for the sample change no bit; the seed does.
for options in "--threads 1" "--threads 3 --batch 2" "--sample-memory 1"; do
    # shellcheck disable=SC2086
    expect 0 kmeans -q --data "$speech/train.jsonl" --mfcc -k 20 -o "$work/two" $options
    stderr_is ""
    same "$work/one/centroids.s3k" "$work/two/centroids.s3k"
    same "$work/one/train.labels" "$work/two/train.labels"
done
expect 0 kmeans -q --data "$speech/train.jsonl" --mfcc -k 20 -o "$work/two" --seed 2
if cmp -s "$work/one/centroids.s3k" "$work/two/centroids.s3k"; then
    fail "another seed gives the same centroids"
fi

# A layer of a model, from manifests without text, whose order does not matter.
sed "s|\"audio_filepath\": \"|&$speech/|; s|\"text\": \"[^\"]*\", ||" \
    "$speech/train.jsonl" >"$work/all.jsonl"
head -3 "$work/all.jsonl" >"$work/a.jsonl"
tail -5 "$work/all.jsonl" >"$work/b.jsonl"
expect 0 kmeans --data "$work/a.jsonl" --data "$work/b.jsonl" -m "$work/model" --layer 1 \
    -k 12 --restarts 3 --standardize --sample-minutes 0 -o "$work/ab"
stdout_is "$work/ab/centroids.s3k
$work/ab/a.labels
$work/ab/b.labels"
expect 0 kmeans -q --data "$work/b.jsonl" --data "$work/a.jsonl" -m "$work/model" \
    --layer 1 -k 12 --restarts 3 --standardize --sample-minutes 0 -o "$work/ba"
for name in centroids.s3k a.labels b.labels; do
    same "$work/ab/$name" "$work/ba/$name"
done

# Within utterances; the centroids say so to those who label with them.
expect 0 kmeans -q --data "$work/a.jsonl" --mfcc --normalize -k 12 -o "$work/within"
expect 0 kmeans -q --data "$work/a.jsonl" --mfcc -k 12 -o "$work/plain"
if cmp -s "$work/within/a.labels" "$work/plain/a.labels"; then
    fail "--normalize changes nothing"
fi
expect 0 kmeans -q --data "$work/a.jsonl" --mfcc -o "$work/same" \
    --centroids "$work/within/centroids.s3k"
same "$work/within/a.labels" "$work/same/a.labels"
expect 2 kmeans -q --data "$work/a.jsonl" --mfcc --normalize -o "$work/no" \
    --centroids "$work/plain/centroids.s3k"
stderr_has 'plain/centroids\.s3k: made from features that are not normalized'

# Less to learn from.
expect 0 kmeans --data "$work/all.jsonl" --mfcc -k 5 --sample-minutes 0.05 -o "$work/few"
stderr_has '^s3r: 5 clusters of (1[5-9]|2)[0-9]+ frames'
stderr_has '^s3r: 475 frames labelled'

# Label only.
expect 0 kmeans --data "$work/a.jsonl" -m "$work/model" -o "$work/again" \
    --centroids "$work/ab/centroids.s3k"
stdout_is "$work/again/a.labels"
same "$work/ab/a.labels" "$work/again/a.labels"
expect 3 kmeans --data "$work/a.jsonl" -m "$work/other" -o "$work/no" \
    --centroids "$work/ab/centroids.s3k"
stderr_has 'expected the backbone [0-9a-f]{64}, found the model with [0-9a-f]{64}$'
expect 2 kmeans --data "$work/a.jsonl" -m "$work/model" --layer 0 -o "$work/no" \
    --centroids "$work/ab/centroids.s3k"
stderr_has 'expected layer 1, found 0'
expect 2 kmeans --data "$work/a.jsonl" --mfcc -o "$work/no" \
    --centroids "$work/ab/centroids.s3k"
stderr_has 'made from a layer of a model, expected that model'
expect 2 kmeans --data "$work/a.jsonl" -m "$work/model" -o "$work/no" \
    --centroids "$work/one/centroids.s3k"
stderr_has 'made from MFCC, expected no model'
expect 3 kmeans --data "$work/a.jsonl" --mfcc -o "$work/no" --centroids "$work/a.jsonl"

# JSON.
expect 0 kmeans -q --json --data "$work/a.jsonl" --mfcc -k 4 -o "$work/json"
for pattern in '"kind": "centroids"' '"kind": "labels"' '"clusters": 4' '"usage": ' \
    '"inertia": ' "\"path\": \"$work/json/a.labels\""; do
    stdout_has "$pattern"
done

# What cannot be read has no labels.
{
    cat "$work/a.jsonl"
    echo '{"audio_filepath": "nothing.wav"}'
} >"$work/some.jsonl"
expect 6 kmeans --data "$work/some.jsonl" --mfcc -k 4 -o "$work/some"
stderr_has 'nothing\.wav'
stderr_has '^s3r: 1 of 4 utterances have no labels$'
[ -s "$work/some/some.labels" ] || fail "no labels for the others"
echo '{"audio_filepath": "nothing.wav"}' >"$work/none.jsonl"
expect 4 kmeans --data "$work/none.jsonl" --mfcc -k 4 -o "$work/none"

# Wrong usage, and data that are too few.
expect 2 kmeans --mfcc -o "$work/no"
stderr_has 'expected --data MANIFEST'
expect 2 kmeans --data "$work/a.jsonl" --mfcc
stderr_has 'expected -o DIR'
expect 2 kmeans --data "$work/a.jsonl" -o "$work/no"
stderr_has 'expected --mfcc or -m MODEL --layer N, found neither'
expect 2 kmeans --data "$work/a.jsonl" --mfcc -m "$work/model" --layer 1 -o "$work/no"
stderr_has 'found both'
expect 2 kmeans --data "$work/a.jsonl" -m "$work/model" -o "$work/no"
stderr_has 'expected --layer N'
for layer in 99 -1 one; do
    expect 2 kmeans --data "$work/a.jsonl" -m "$work/model" --layer=$layer -o "$work/no"
    stderr_has 'layer: expected'
done
for option in "-k 0" "-k 65537" "--sample-minutes=-1" "--restarts 0" "--batch 0"; do
    # shellcheck disable=SC2086
    expect 2 kmeans --data "$work/a.jsonl" --mfcc -o "$work/no" $option
done
mkdir "$work/sub"
cp "$work/a.jsonl" "$work/sub/a.jsonl"
expect 2 kmeans --data "$work/a.jsonl" --data "$work/sub/a.jsonl" --mfcc -o "$work/no"
stderr_has 'expected manifests of different names'
expect 4 kmeans --data "$work/a.jsonl" --mfcc -k 5000 -o "$work/many"
stderr_has 'expected at least as many rows as clusters \(5000\)'
expect 4 kmeans --data "$work/nothing.jsonl" --mfcc -o "$work/no"
[ ! -e "$work/no" ] || fail "a folder after wrong usage"
