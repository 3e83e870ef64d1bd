#!/bin/sh
# Runs the program on emulated processors without AVX-512, without AVX2, without AVX: no
# illegal instruction, and the same text as here. check_old_cpus.sh S3R
set -eu
cd "$(dirname "$0")/.."
s3r=${1:?the s3r program}
if ! command -v qemu-x86_64 >/dev/null; then
    echo "check_old_cpus: qemu-x86_64 is not installed, skipped"
    exit 0
fi
model=tests/golden/w2v2_group_postln
clip=tests/data/audio/vm-pls-try-again.g722
expected=$("$s3r" transcribe -m $model $clip)
for cpu in qemu64 Nehalem SandyBridge Haswell; do
    found=$(qemu-x86_64 -cpu $cpu "$s3r" transcribe --quiet -m $model $clip 2>/dev/null) || {
        echo "check_old_cpus: $cpu: exit code $?"
        exit 1
    }
    if [ "$found" != "$expected" ]; then
        echo "check_old_cpus: $cpu: expected \"$expected\", found \"$found\""
        exit 1
    fi
    echo "check_old_cpus: $cpu: ok"
done
