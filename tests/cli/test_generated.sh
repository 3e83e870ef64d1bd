#!/bin/sh
# Man page and completions: they name every verb and option, and shells accept them.
# shellcheck source=tests/cli/expect.sh
. "$(dirname "$0")/expect.sh"

expect 0 completion bash
bash -n "$work/stdout" || fail "bash does not accept it"
stdout_has 'doctor\) options=.* --threads .* --json '

cat >"$work/ask" <<'END'
. "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_s3r
printf '%s\n' "${COMPREPLY[@]}"
END
cp "$work/stdout" "$work/s3r.bash"
complete_to()
{
    expected=$1
    shift
    found=$(bash "$work/ask" "$work/s3r.bash" "$@" | tr '\n' ' ')
    [ "$found" = "$expected " ] || fail "completion of \"$*\" is \"$found\""
}
complete_to doctor s3r doc
complete_to --json s3r doctor --js
complete_to "avx2 avx512 avx512vnni avx512bf16" s3r doctor --cpu avx
complete_to zsh s3r completion z
complete_to "mask magnitude mask+weights" s3r train --method ma
complete_to "srt stm" s3r transcribe --format s
complete_to data s3r dat
complete_to "prepare check stats split" s3r data ""
complete_to "prepare check stats split" s3r help data ""
complete_to --ignore s3r data check --ig
complete_to "layout text" s3r data prepare --split ""
complete_to "kaldi" s3r data prepare kal
mkdir "$work/folder-of-data"
complete_to "$work/folder-of-data" s3r data prepare kaldi "$work/folder-"

for shell in zsh fish; do
    expect 0 completion $shell
    stdout_has doctor
    stdout_has prepare
    if command -v $shell >/dev/null; then
        $shell -n "$work/stdout" || fail "$shell does not accept it"
    fi
done
expect 2 completion
stderr_is 's3r: completion: expected SHELL (see s3r help completion)'
expect 2 completion tcsh
stderr_is 's3r: completion: expected bash, zsh or fish, found "tcsh"'

expect 0 man
stdout_has '^\.TH S3R 1'
stdout_has '^\.SS "s3r doctor \[OPTION\.\.\.\]'
stdout_has '^\\fB\\-t, \\-\\-threads N'
stdout_has '^Of inspect, .*bench, doctor only\.$'
stdout_has '^\.SH EXIT STATUS'
