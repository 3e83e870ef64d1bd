#!/bin/sh
# A first look: real recordings, a model with random weights, the program on both, and a
# mask that is learned for eight recordings and then switched on.
#   demo.sh BUILD_FOLDER
# Everything lands in demo/ and is reused by the next run.
set -eu
cd "$(dirname "$0")/.."
build=$1
package=asterisk-core-sounds-en-g722
clip=usr/share/asterisk/sounds/en_US_f_Allison/vm-intro.g722
mkdir -p demo

say()
{
    printf '\n%s\n' "$*"
}

# Debian has recorded prompts with their text; nothing of the package is installed.
fetch_speech()
{
    [ ! -f "demo/speech/$clip" ] || return 0
    command -v apt-get >/dev/null 2>&1 || return 1
    (
        cd demo
        timeout 60 apt-get download -qq "$package" >fetch.log 2>&1 || {
            [ "$(id -u)" -eq 0 ] && timeout 60 apt-get update -qq >>fetch.log 2>&1
            timeout 60 apt-get download -qq "$package" >>fetch.log 2>&1
        }
        dpkg -x "$package"_*.deb speech
    ) 2>/dev/null || return 1
    rm -f "demo/$package"_*.deb
    [ -f "demo/speech/$clip" ]
}

if fetch_speech; then
    audio=demo/speech/$clip
    say "Recording: $audio, from Debian's package $package"
else
    audio=tests/data/audio/vm-pls-try-again.g722
    say "Recording: $audio (the package $package could not be downloaded, so this is the"
    echo "short clip that comes with the sources)"
fi

[ -f demo/tiny-model/model.safetensors ] || "$build/make_tiny_model" demo/tiny-model
s3r=$build/s3r

say "\$ s3r inspect demo/tiny-model"
"$s3r" inspect demo/tiny-model
say "\$ s3r transcribe -m demo/tiny-model $audio"
"$s3r" transcribe -m demo/tiny-model "$audio"

say "The weights of this model are random, so that text means nothing. Now its connections"
echo "are learned on eight recordings (tests/data/speech): the weights stay as they are."
rm -rf demo/run
say "\$ s3r train -m demo/tiny-model --train ... --method mask --sparsity 0.1 -o demo/run ..."
"$s3r" train -m demo/tiny-model --train tests/data/speech/train.jsonl \
    --dev tests/data/speech/train.jsonl --method mask --sparsity 0.1 --modules both \
    --steps 300 --lr 1e-2 -o demo/run eval.every=100 optimizer.clip_norm=5 \
    augment.time_prob=0 augment.channel_prob=0 dropout.layer_drop=0 dropout.activation=0
echo "the mask file has $(wc -c <demo/run/best.s3m) bytes"
say "\$ s3r eval -m demo/tiny-model --mask demo/run/best.s3m --data tests/data/speech/train.jsonl"
"$s3r" eval -q -m demo/tiny-model --mask demo/run/best.s3m \
    --data tests/data/speech/train.jsonl
say "\$ s3r transcribe -m demo/tiny-model [--mask demo/run/best.s3m] conf-full.g722"
"$s3r" transcribe -m demo/tiny-model tests/data/speech/conf-full.g722
"$s3r" transcribe -m demo/tiny-model --mask demo/run/best.s3m tests/data/speech/conf-full.g722

cat <<END

Eight recordings that were learned by heart show that everything runs, no more. With a
real backbone, for example the Hugging Face folder of facebook/wav2vec2-base, and ten
minutes of a language, type (docs/training.md is the guide):

    $s3r data prepare debian -o data --lang nl      # or your own corpus
    $s3r data split data/train.jsonl --minutes 10 --seed 1 -o data/10m/train.jsonl
    $s3r vocab build data/10m/train.jsonl data/dev.jsonl -o vocab
    $s3r train -m path/to/wav2vec2-base --vocab vocab --train data/10m/train.jsonl \\
        --dev data/dev.jsonl --preset 10m --plan -o run
END
