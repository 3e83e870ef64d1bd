#!/bin/sh
# s3r transcribe: exit codes of failing files, usage, models, full disks, signals.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
# shellcheck source=tests/cli/audio.sh
. "$(dirname "$0")/audio.sh"
model=$golden/w2v2_group_postln
echo "no audio" >"$work/bad.wav"

# Some fail: the others are done. All fail: the code of the failure.
expect 6 transcribe -m "$model" nothing.wav "$clip" "$work/bad.wav"
stdout_has "^$clip	[A-Z]+\$"
[ "$(wc -l <"$work/stdout")" -eq 1 ] || fail "a line for a failed file"
stderr_has '^s3r: nothing\.wav: cannot open: No such file'
stderr_has '^s3r: .*/bad\.wav: '
stderr_has "^s3r: 2 of 3 files failed: nothing\\.wav, $work/bad\\.wav\$"
[ "$(wc -l <"$work/stderr")" -eq 3 ] || fail "lines on stderr"
expect 6 transcribe -q -f json -m "$model" "$clip" nothing.wav
stdout_has '^\{"path":"nothing\.wav","duration_s":null,"frames":null,"frame_s":null,"text":null,"confidence":null,"labels":\[\],"words":\[\],"error":"nothing\.wav: cannot open.*"\}$'
stderr_has '1 of 2 files failed'
expect 4 transcribe -m "$model" nothing.wav
stderr_is 's3r: nothing.wav: cannot open: No such file or directory'
expect 4 transcribe -m "$model" nothing.wav "$work/bad.wav"
stderr_has '2 of 2 files failed'

expect 2 transcribe -m "$model"
stderr_is 's3r: transcribe: expected [-m MODEL] FILE... (see s3r help transcribe)'
expect 2 transcribe -m "$model" --format xml "$clip"
expect 2 transcribe -m "$model" --raw-rate 0 "$clip"
expect 2 transcribe -m "$model" --window 0 "$clip"
expect 2 transcribe -m "$model" --batch 0 "$clip"
expect 2 transcribe -m "$model" - -
stderr_has 'standard input \(-\) is given twice'
expect 2 transcribe -m "$model" --files-from - "$clip"
echo - >"$work/list"
expect 2 transcribe -m "$model" --files-from "$work/list"
expect 4 transcribe -m "$model" --files-from "$work/nothing"
stderr_has 'cannot open the list'
: >"$work/list"
expect 2 transcribe -m "$model" --files-from "$work/list"

expect 3 transcribe -m "$work/nothing" "$clip"
expect 3 transcribe -m "$golden/w2v2_group_postln_fairseq/pretrained_legacy.pt" "$clip"
stderr_has 'no CTC head'
if "$S3R" doctor --json | grep -q '"cpu_level": "portable"'; then
    expect 2 transcribe -m "$model" --cpu avx2 "$clip"
fi

# A broken stdout ends the run, with one message.
i=0
while [ $i -lt 3000 ]; do
    echo "$clip"
    i=$((i + 1))
done >"$work/list"
if [ -w /dev/full ]; then
    found=0
    "$S3R" transcribe -m "$model" --files-from "$work/list" >/dev/full \
        2>"$work/stderr" || found=$?
    [ "$found" -eq 1 ] || fail "exit code $found for a full disk"
    stderr_is 's3r: cannot write to standard output'
fi
{
    sleep 0.2
    found=0
    "$S3R" transcribe -m "$model" --files-from "$work/list" 2>"$work/stderr" || found=$?
    echo "$found" >"$work/code"
} | true
while [ ! -s "$work/code" ]; do sleep 0.1; done
[ "$(cat "$work/code")" -eq 1 ] || fail "exit code $(cat "$work/code") for a closed pipe"
stderr_is 's3r: cannot write to standard output'

# Ctrl-C: results so far, exit code of the signal.
for signal in INT:130 TERM:143; do
    "$S3R" transcribe -m "$model" --files-from "$work/list" >"$work/stdout" \
        2>"$work/stderr" &
    process=$!
    while [ ! -s "$work/stdout" ]; do sleep 0.05; done
    kill -"${signal%:*}" "$process"
    found=0
    wait "$process" || found=$?
    [ "$found" -eq "${signal#*:}" ] || fail "exit code $found after SIG${signal%:*}"
    stderr_is 's3r: interrupted'
    if grep -qv "^$clip	[A-Z][A-Z]*\$" "$work/stdout"; then fail "half a line"; fi
    : >"$work/stdout"
done
