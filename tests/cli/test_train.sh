#!/bin/sh
# s3r train: a run, forecasts, wrong settings, wrong input, signals, kill -9, a full disk.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
tiny=$work/tiny
"$S3R_TOOLS/make_tiny_model" "$tiny" || exit 1
data=$S3R_DATA/speech/train.jsonl
fast='augment.time_prob=0 augment.channel_prob=0 dropout.layer_drop=0 dropout.activation=0
    optimizer.clip_norm=5 schedule.final_scale=0.05'

# A run that learns, and what it leaves.
# shellcheck disable=SC2086
expect 0 train -m "$tiny" --train "$data" --dev "$data" -o "$work/run" --steps 100 \
    --modules both --lr 1e-2 $fast eval.every=50
stdout_is "$work/run/best.s3m"
stderr_has '^s3r: step 100: dev wer 0\.00% '
for name in best.s3m last.s3m metrics.jsonl config.yaml report.html README.md \
    checkpoint-00000100.s3c; do
    [ -s "$work/run/$name" ] || fail "no $name"
done
[ "$(grep -c '"train"' "$work/run/metrics.jsonl")" -eq 10 ] || fail "lines of steps"
[ "$(grep -c '"dev"' "$work/run/metrics.jsonl")" -eq 2 ] || fail "lines of evaluations"
ls "$work"/run/events.out.tfevents.* >/dev/null || fail "no TensorBoard events"
expect 0 transcribe -m "$tiny" --mask "$work/run/best.s3m" "$S3R_DATA/speech/calling.g722"
stdout_is CALLING
expect 2 train -m "$tiny" --train "$data" -o "$work/run" --steps 100
stderr_has 'holds a run already .*--resume auto'
# The settings that it wrote are a configuration, and give the same bits.
expect 0 train -m "$tiny" --train "$data" --dev "$data" -o "$work/again" \
    -c "$work/run/config.yaml" --threads 3
cmp "$work/run/best.s3m" "$work/again/best.s3m" || fail "best.s3m differs"
cmp "$work/run/last.s3m" "$work/again/last.s3m" || fail "last.s3m differs"

# Without dev the result is what the last update made, also when nothing is left to do.
expect 0 train -q -m "$tiny" --train "$data" -o "$work/last" --steps 5 schedule.kind=constant \
    --lr 1e-2
cp "$work/last/best.s3m" "$work/first.s3m"
expect 0 train -q -m "$tiny" --train "$data" -o "$work/last" --steps 5 schedule.kind=constant \
    --lr 1e-2 --resume auto
cmp "$work/first.s3m" "$work/last/best.s3m" || fail "another result of a finished run"

# Messages go nowhere, and into no file, when the caller has closed the streams.
"$S3R" train -m "$tiny" --train "$data" --dev "$data" -o "$work/closed" --steps 2 \
    run.log_every=1 <&- 2>&- >"$work/stdout" || fail "exit code $? with closed streams"
if grep -v '^{' "$work/closed/metrics.jsonl"; then fail "a message in metrics.jsonl"; fi

# What is no run's stays.
mkdir -p "$work/mine/step-2023"
echo mine | tee "$work/mine/step-2023/notes" "$work/mine/step-7.s3m" \
    "$work/mine/step-7.s3c" >/dev/null
expect 0 train -q -m "$tiny" --train "$data" --dev "$data" -o "$work/mine" --steps 2 \
    checkpoint.keep=1 checkpoint.every=1
for name in step-2023/notes step-7.s3m step-7.s3c; do
    [ "$(cat "$work/mine/$name")" = mine ] || fail "$name is gone"
done
for name in README.md config.yaml; do
    mkdir "$work/own-$name"
    echo mine >"$work/own-$name/$name"
    expect 2 train -q -m "$tiny" --train "$data" -o "$work/own-$name" --steps 2
    stderr_has "holds a $name that is no run's"
    [ "$(cat "$work/own-$name/$name")" = mine ] || fail "$name was replaced"
done
# A run goes on from its own last checkpoint, whatever lies beside it.
cp "$work/mine/checkpoint-00000002.s3c" "$work/mine/old-copy.s3c"
expect 0 train -m "$tiny" --train "$data" --dev "$data" -o "$work/mine" --steps 2 \
    checkpoint.keep=1 checkpoint.every=1 --resume auto
[ -s "$work/mine/old-copy.s3c" ] || fail "a copy is gone"
expect 2 train -m "$tiny" --train "$data" -o "$work/pre" --preset hubert --steps 2
stderr_has 'found pretrain \(s3r pretrain\)$'
expect 2 train -m "$tiny" --train "$data" -o "$work/pre" mask.init_scale=3
stderr_has 'mask.init_scale: of no use, since mask.init is not wmi'

# The result as JSON; of a run that only goes on to its end nothing was evaluated.
expect 0 train -m "$tiny" --train "$data" --dev "$data" -o "$work/json" --steps 2 --json
stdout_has "^\\{\"result\":\"$work/json/best\\.s3m\",\"finished\":true,\"step\":2,\"metric_name\":\"wer\",\"metric\":[0-9.]+,\"metric_step\":2\\}\$"
expect 0 train -m "$tiny" --train "$data" -o "$work/json2" --steps 2 --json
stdout_has '"step":2,"metric_name":null,"metric":null,"metric_step":null'

# Forecasts leave nothing.
expect 0 train -m "$tiny" --train "$data" --dev "$data" --plan --steps 200
stdout_has '^training data +8 utterances, 0\.2 min$'
stdout_has '^removed +[0-9]+ of 32768 connections \(10\.00%\)$'
stdout_has '^memory +[0-9]+ MiB \(limit [0-9]+ MiB\)$'
stdout_has '^time a step +[0-9.e-]+ s$'
expect 0 train -m "$tiny" --train "$data" -o "$work/planned" --plan --json --steps 200
python3 -m json.tool "$work/stdout" >/dev/null || fail "no JSON"
stdout_has '"steps": 200'
[ ! -e "$work/planned" ] || fail "a forecast made a folder"
expect 5 train -m "$tiny" --train "$data" --plan --max-memory 1M
stderr_has 's3r: .*(memory|MiB)'

# Settings.
expect 2 train -m "$tiny" --train "$data" -o "$work/no" optimiser.lr=1e-3
stderr_has 'optimiser\.lr.*optimizer'
expect 2 train -m "$tiny" --train "$data" -o "$work/no" mask.sparsty=0.1
stderr_has 'mask\.sparsity'
for sparsity in 1 1.5 -0.1 nan x; do
    expect 2 train -m "$tiny" --train "$data" -o "$work/no" "mask.sparsity=$sparsity"
    stderr_has "mask\\.sparsity: expected .*\\[0, 1\\).*found"
done
expect 2 train -m "$tiny" --train "$data" -o "$work/no" --method masks
printf 'optimizer:\n  lr: 1e-3\n  bta1: 0.9\n' >"$work/bad.yaml"
expect 2 train -m "$tiny" --train "$data" -o "$work/no" -c "$work/bad.yaml"
stderr_has 'bad\.yaml:3: .*beta1'
expect 2 train -m "$tiny" -o "$work/no"
stderr_has '--train'
expect 2 train -m "$tiny" --train "$data"
stderr_has 'run folder'

# Models and data.
expect 3 train -m "$work/nothing" --train "$data" -o "$work/no"
expect 3 train -m "$work/run/best.s3m" --train "$data" -o "$work/no"
expect 4 train -m "$tiny" --train "$work/nothing.jsonl" -o "$work/no"
echo '{"audio_filepath": "nothing.wav", "text": "a"}' >"$work/bad.jsonl"
expect 4 train -m "$tiny" --train "$work/bad.jsonl" -o "$work/no"
stderr_has 'bad\.jsonl: 1 of 1 utterances cannot be used'
stderr_has 'line 1, nothing\.wav: '
echo 'no JSON' >"$work/bad.jsonl"
expect 4 train -m "$tiny" --train "$work/bad.jsonl" -o "$work/no"
stderr_has 'bad\.jsonl: line 1: '
for file in "$work"/no/*.s3?; do
    [ ! -e "$file" ] || fail "$file of a run that did not begin"
done
