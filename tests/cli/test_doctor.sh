#!/bin/sh
# s3r doctor: facts, JSON, checks, environment.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"
unset S3R_CPU

expect 0 doctor
stdout_has '^CPU level +(portable|avx2|avx512|avx512vnni|avx512bf16)$'
stdout_has '^jansson +[0-9]'
stdout_has '^check +CPU level: ok$'
stderr_is ""

expect 0 doctor --json --threads 3 --cpu portable
stdout_has '"threads": 3'
stdout_has '"CPU level": null'

export S3R_CPU=sparc
expect 2 doctor
stderr_has '^s3r: S3R_CPU: expected auto'
export S3R_CPU=portable
expect 0 doctor
unset S3R_CPU

if "$S3R" doctor --json | grep -q '"cpu_level": "avx512bf16"'; then
    expect 0 doctor --cpu avx512bf16
else
    expect 1 doctor --cpu avx512bf16
    stdout_has '^check +CPU level: this machine has no avx512bf16 kernels'
    stderr_has '^s3r: doctor: 1 of [0-9]+ checks failed$'
fi

# A full disk is not silent.
if [ -w /dev/full ]; then
    found=0
    "$S3R" doctor >/dev/full 2>"$work/stderr" || found=$?
    [ "$found" -eq 1 ] || fail "exit code $found for a full disk"
    stderr_is 's3r: cannot write to standard output'
fi
