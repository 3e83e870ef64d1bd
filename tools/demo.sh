#!/bin/sh
# The main job on real speech: masks for three languages on the backbone that comes with
# the sources, from ten minutes of each, beside what they are compared with.
#   demo.sh BUILD_FOLDER
# Everything lands in demo/; what is there already is not made again.
set -eu
cd "$(dirname "$0")/.."
build=$1
s3r=$build/s3r
languages="cs nl it"
methods="head weights mask"
began=$(date +%s)
mkdir -p demo

say() { printf '\n%s\n' "$*"; }
name_of() { case $1 in cs) echo Czech ;; nl) echo Dutch ;; it) echo Italian ;; esac; }

# A rate of `s3r eval --json` in percent: rate_of cer FILE
rate_of()
{
    tr -d ' \n' <"$2" | sed "s/.*\"$1\":{[^}]*\"rate\":\([-+.0-9e]*\).*/\1/" |
        awk '{ printf "%.1f", 100 * $1 }'
}

# ---- speech with its texts

# What one call fetches and unpacks: packages LAYOUT FOLDER OPTION...
packages()
{
    layout=$1 folder=$2
    shift 2
    [ ! -f "$folder/done" ] || return 0
    "$s3r" data prepare "$layout" -o "$folder" "$@" >"$folder.table" || {
        echo "demo: Debian's speech packages could not be had. They need apt-get and a" >&2
        echo "mirror of Debian 12; 'apt-get update' as root may help." >&2
        exit 4
    }
    : >"$folder/done"
}

say "Recorded speech from Debian's packages: dialogues of a game (Czech, Dutch; GPL-2) and"
echo "telephone prompts (Italian; CC-BY-3.0). 155 MB are fetched, once, into demo/."
packages fillets demo/fillets --per-language
packages asterisk demo/asterisk --per-language --lang it
cat demo/fillets.table demo/asterisk.table

for language in $languages; do
    folder=demo/$language
    [ ! -f "$folder/vocab/test.text.jsonl" ] || continue
    rm -rf "$folder"
    mkdir -p "$folder"
    case $language in it) corpus=demo/asterisk/it ;; *) corpus=demo/fillets/$language ;; esac
    "$s3r" data split -q "$corpus/train.jsonl" --name 10m --seed 1 -o "$folder/train.jsonl"
    # Ten minutes to learn from; 1.5 minutes of dev choose the step; all of test.
    "$s3r" data split -q "$corpus/dev.jsonl" --minutes 1.5 --seed 1 -o "$folder/dev.jsonl"
    ln -s "../../$corpus/test.jsonl" "$folder/test.jsonl"
    "$s3r" vocab build -q "$folder/train.jsonl" "$folder/dev.jsonl" "$folder/test.jsonl" \
        -o "$folder/vocab" >/dev/null
done

# ---- training

# Beside tools/demo.yaml, which suits masks.
settings()
{
    case $1 in
    head) echo "schedule.steps=200 optimizer.lr=5e-3" ;;
    weights) echo "optimizer.lr=5e-4" ;;
    esac
}

# Masks of another backbone than the one that is there now are made anew.
hash=$("$s3r" inspect -q --json | tr -d ' \n' | sed -n 's/.*"hash":"\([0-9a-f]*\)".*/\1/p')
if [ "$(cat demo/backbone 2>/dev/null)" != "$hash" ]; then
    for language in $languages; do
        for method in $methods; do rm -rf "demo/$language/$method"; done
    done
    echo "$hash" >demo/backbone
fi

say "Ten minutes of each language, three ways. The backbone stays as it is in all but"
echo "'weights', which trains a whole copy of its encoder:"
for language in $languages; do
    data=demo/$language/vocab
    for method in $methods; do
        run=demo/$language/$method
        if [ ! -f "$run/test.json" ]; then
            say "$(name_of "$language"), $method:"
            # shellcheck disable=SC2046  # a list of settings
            "$s3r" train --dtype bf16 --method "$method" --vocab "$data" -o "$run" \
                --train "$data/train.text.jsonl" --dev "$data/dev.text.jsonl" \
                --resume auto -c tools/demo.yaml $(settings "$method") >/dev/null
            "$s3r" eval -q --json --dtype bf16 --mask "$run/best.s3m" \
                --data "$data/test.text.jsonl" >"$run/test.part"
            mv "$run/test.part" "$run/test.json"
        fi
    done
done

say "Error rates on recordings that were not trained on (%); the step was chosen on dev:"
printf '%-10s %-8s %10s %10s %14s\n' language method "test CER" "test WER" "file, bytes"
for language in $languages; do
    for method in $methods; do
        run=demo/$language/$method
        printf '%-10s %-8s %10s %10s %14s\n' "$(name_of "$language")" "$method" \
            "$(rate_of cer "$run/test.json")" "$(rate_of wer "$run/test.json")" \
            "$(wc -c <"$run/best.s3m")"
    done
done

# ---- switching

say "One backbone in memory, a folder of three masks; each recording names its own:"
mkdir -p demo/masks
: >demo/switched.list
for language in $languages; do
    cp "demo/$language/mask/best.s3m" "demo/masks/$language.s3m"
    for line in 1 2; do
        clip=$(sed -n "${line}s/.*\"audio_filepath\":\"\([^\"]*\)\".*/\1/p" \
            "demo/$language/vocab/test.text.jsonl")
        printf '%s\t%s\n' "$clip" "$language" >>demo/switched.list
    done
done
"$s3r" transcribe -q -M demo/masks --files-from demo/switched.list >demo/switched.txt
at=0
for language in $languages; do
    for line in 1 2; do
        at=$((at + 1))
        printf '  %s said   %s\n     heard   %s\n' "$language" \
            "$(sed -n "${line}s/.*\"text\":\"\([^\"]*\)\".*/\1/p" \
                "demo/$language/vocab/test.text.jsonl")" \
            "$(sed -n "${at}p" demo/switched.txt | cut -f 3)"
    done
done

cat <<END_OF_TEXT

This took $(($(date +%s) - began)) s. The backbone is small (7.5 million parameters, 12 hours of speech) and the
runs were short. What to type next:

    $s3r mask info demo/nl/mask/best.s3m
    $s3r transcribe -M demo/masks -l nl your-recording.wav
    $s3r transcribe -M demo/masks -l all your-recording.wav    # all three, with one pass below
    xdg-open demo/nl/mask/report.html                # curves of a run

Your own language (docs/data.md has the layouts, docs/training.md is the guide):

    $s3r data prepare commonvoice path/to/cv-corpus/ky -o data
    $s3r vocab build data/train.jsonl data/dev.jsonl data/test.jsonl -o vocab
    $s3r train --vocab vocab --train vocab/train.text.jsonl --dev vocab/dev.text.jsonl \\
        -c tools/demo.yaml --plan -o run             # then without --plan
    $s3r train -m path/to/wav2vec2-base --preset 10m ...    # a large backbone, if you have one
END_OF_TEXT
