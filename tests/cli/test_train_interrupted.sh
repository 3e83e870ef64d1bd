#!/bin/sh
# s3r train: signals, kill -9 at random moments, a full disk.  Whatever happens, the run
# that goes on gives the bits of one that nothing disturbed.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
tiny=$work/tiny
"$S3R_TOOLS/make_tiny_model" "$tiny" || exit 1
data=$S3R_DATA/speech/train.jsonl

# become_train FOLDER ARGUMENT...: this shell becomes the program.  All that is random is
# on.
become_train()
{
    folder=$1
    shift
    exec "$S3R" train -m "$tiny" --train "$data" --dev "$data" -o "$folder" --steps 100 \
        --lr 1e-2 batch.seconds=6 batch.accumulate=2 eval.every=20 eval.keep_best=2 \
        checkpoint.every=7 run.log_every=4 augment.time_prob=0.3 dropout.hidden=0.1 \
        "$@" >"$work/stdout" 2>"$work/stderr"
}
train()
{
    last="train -o $*"
    (become_train "$@")
}

# wait_for_steps PROCESS FOLDER
wait_for_steps()
{
    while [ ! -s "$2/metrics.jsonl" ]; do
        kill -0 "$1" 2>/dev/null || fail "ended before its first steps: $(cat "$work/stderr")"
        sleep 0.02
    done
}

# Times and memory are of the machine.
numbers() { sed -E 's/"(frames_per_second|memory_bytes)": [0-9.e+]+//g' "$1/metrics.jsonl"; }

expect_same()
{
    for name in best.s3m last.s3m checkpoint-00000100.s3c; do
        cmp "$work/whole/$name" "$1/$name" || fail "$1: $name differs"
    done
    numbers "$1" >"$work/numbers"
    numbers "$work/whole" | cmp - "$work/numbers" || fail "$1: metrics.jsonl differs"
    if [ -n "$(find "$1" -name '*.tmp-*')" ]; then fail "$1: a temporary file is left"; fi
}

train "$work/whole" || fail "exit code $?"

# A signal writes a checkpoint.
for signal in INT:130 TERM:143; do
    run=$work/${signal%:*}
    last="train -o $run, then SIG${signal%:*}"
    become_train "$run" --json &
    process=$!
    wait_for_steps "$process" "$run"
    kill -"${signal%:*}" "$process"
    found=0
    wait "$process" || found=$?
    [ "$found" -eq "${signal#*:}" ] || fail "exit code $found after SIG${signal%:*}"
    stderr_has 'a checkpoint was written; .*--resume auto'
    stdout_has '^\{"result":null,"finished":false,"step":[0-9]+,"metric_name":.*\}$'
    train "$run" --resume auto --threads 2 || fail "exit code $?"
    stderr_has '^s3r: going on after step [0-9]+ of 100$'
    expect_same "$run"
done

# A checkpoint that cannot be written is an error, also of a run that was told to end; a
# signal that comes too late changes nothing.
run=$work/unsaved
last="train -o $run under a limit of file sizes, then SIGINT"
(
    ulimit -f 100
    become_train "$run" checkpoint.every=1000000 eval.every=1000000 schedule.steps=1000000
) &
process=$!
wait_for_steps "$process" "$run"
kill -INT "$process"
found=0
wait "$process" || found=$?
[ "$found" -eq 1 ] || fail "exit code $found after SIGINT without room for a checkpoint"
stderr_has 's3r: .*checkpoint-[0-9]+.s3c: cannot write: File too large'

# kill -9.
seed=${S3R_TEST_SEED:-$(date +%s)}
echo "moments of seed $seed (S3R_TEST_SEED)"
moments=$(awk -v seed="$seed" 'BEGIN { srand(seed); for (i = 0; i < 6; i++) print 0.05 + 0.5 * rand() }')
run=$work/killed
for moment in $moments; do
    become_train "$run" --resume auto &
    process=$!
    sleep "$moment"
    kill -9 "$process" 2>/dev/null || true # it may have ended
    wait "$process" || true
done
train "$run" --resume auto || fail "exit code $?"
expect_same "$run"

# Leftovers of a kill within a write are removed.
: >"$run/checkpoint-00000100.s3c.tmp-1-1"
train "$run" --resume auto || fail "exit code $?"
expect_same "$run"

# A full disk: an error that says so, and the last checkpoint is good.
mkdir "$work/small"
if mount -t tmpfs -o size=2400k tmpfs "$work/small" 2>/dev/null; then
    trap 'umount "$work/small"; rm -rf "$work"' EXIT
    found=0
    train "$work/small/run" checkpoint.keep=9 || found=$?
    [ "$found" -eq 1 ] || fail "exit code $found for a full disk"
    stderr_has 's3r: .*No space left on device'
    cp -r "$work/small/run" "$work/moved"
    [ -n "$(ls "$work"/moved/checkpoint-*.s3c)" ] || fail "no checkpoint"
    train "$work/moved" --resume auto checkpoint.keep=9 || fail "exit code $?"
    stderr_has '^s3r: going on after step [0-9]+ of 100$'
    if grep -q 'damaged' "$work/stderr"; then fail "a damaged checkpoint"; fi
    cmp "$work/whole/checkpoint-00000100.s3c" "$work/moved/checkpoint-00000100.s3c" ||
        fail "the checkpoint differs"
else
    echo "no tmpfs here: the full disk is left out"
fi
