#!/bin/sh
# A first look: a real recording, a model with random weights, and the program on both.
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

cat <<END

The weights of this model are random, so the text above means nothing: it shows only that
everything runs. With a real model, for example the Hugging Face folder of
facebook/wav2vec2-base-960h (config.json, vocab.json and model.safetensors), type:

    $s3r transcribe -m path/to/wav2vec2-base-960h recording.wav
END
