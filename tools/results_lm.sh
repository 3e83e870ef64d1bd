#!/bin/sh
# Text and language models for one language, for `tools/results.py lm`.
#   results_lm.sh PROGRAM WORK_FOLDER LANGUAGE DATA_FOLDER
# DATA_FOLDER has train.text.jsonl, dev.text.jsonl and test.text.jsonl, as `s3r vocab build`
# writes them.  The text is that of train and of Debian's packages in the language (cs or
# nl); no sentence of dev or test is in it.
# Makes in WORK_FOLDER/LANGUAGE what is not there already:
#   text.txt             the text, a sentence a line
#   word.s3l, char.s3l   models of the order with the lowest perplexity on dev
#   perplexity           those perplexities: UNITS ORDER PERPLEXITY a line
#   tune.jsonl           1.5 minutes of dev, to choose weights on
set -eu
LC_ALL=C.UTF-8
export LC_ALL
[ $# -eq 4 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
s3r=$1 work=$2/$3 language=$3 data=$4
packages=$2/packages
case $language in
cs) names="libreoffice-help-cs manpages-cs aptitude-doc-cs fortunes-cs" ;;
nl) names="libreoffice-help-nl manpages-nl aptitude-doc-nl debian-faq-nl" ;;
*) echo "results_lm: no packages are known for $language" >&2; exit 2 ;;
esac
mkdir -p "$work" "$packages"

# ---- text

# The visible text of a package's files, paragraphs on lines.
package_text()
{
    [ -d "$packages/$1" ] || {
        (cd "$packages" && apt-get download -q "$1" >/dev/null)
        dpkg-deb -x "$packages/$1"_*.deb "$packages/$1"
    }
    # pages
    find "$packages/$1" -path "*/$language/*" -name '*.html' | sort | xargs -r cat |
        tr '\n' ' ' | sed 's/<\(script\|style\|pre\|code\)[ >][^<]*<\/\1>/ /g
            s/<\/\?\(p\|br\|div\|h[1-6]\|li\|td\|th\|title\|dt\|dd\)[ \/>]/\n&/g' |
        sed 's/<[^>]*>//g; s/&[a-z#0-9]*;/ /g'
    # manual pages
    find "$packages/$1" -path '*/man/*.gz' | sort | xargs -r zcat |
        sed -n "/^[.']/d; s/\\\\f.//g; s/\\\\-/-/g; s/\\\\[(].././g; s/\\\\[&%]//g; p"
    # quotations
    find "$packages/$1" -path '*/fortunes/*' -type f ! -name '*.*' | sort | xargs -r cat
}

# Sentences of two words or more: small letters, one space between words.
sentences()
{
    sed 's/[.!?:;"„“()]\+\( \|$\)/\n/g; s/ -\+ /\n/g' |
        sed "s/.*/\L&/; s/[^[:alpha:]']\+/ /g; s/^[ ']*//; s/[ ']*$//" | grep ' ' || true
}

texts_of() { sed -n 's/.*"text":"\([^"]*\)".*/\1/p' "$1"; }

if [ ! -f "$work/text.txt" ]; then
    texts_of "$data/dev.text.jsonl" >"$work/held"
    texts_of "$data/test.text.jsonl" >>"$work/held"
    sort -u "$work/held" >"$work/held.whole"
    # within longer ones too, unless they are as short as a greeting
    awk 'NF >= 4' "$work/held.whole" >"$work/held.inside"
    # A file between them: of a pipeline only the last part's failure counts.
    for name in $names; do package_text "$name"; done >"$work/package.raw"
    sentences <"$work/package.raw" | sort -u >"$work/package"
    rm "$work/package.raw"
    { texts_of "$data/train.text.jsonl"; cat "$work/package"; } |
        grep -v -x -F -f "$work/held.whole" | grep -v -F -f "$work/held.inside" \
        >"$work/text.part"
    mv "$work/text.part" "$work/text.txt"
fi
echo "$language: $(wc -w <"$work/text.txt") words of text, $(texts_of "$data/train.text.jsonl" |
    wc -w) of them of train" >&2

# ---- models

# The order with the lowest perplexity on dev: build_best UNITS ORDER...
build_best()
{
    units=$1 best=""
    shift
    [ ! -f "$work/perplexity" ] || sed -i "/^$units /d" "$work/perplexity"
    for order in "$@"; do
        "$s3r" lm build -q -n "$order" --units "$units" --discount-fallback default \
            -o "$work/$units.$order.s3l" "$work/text.txt"
        found=$("$s3r" lm score --lm "$work/$units.$order.s3l" "$data/dev.text.jsonl" |
            sed -n 's/^perplexity *//p')
        [ -n "$found" ]
        echo "$units $order $found" >>"$work/perplexity"
        if [ -z "$best" ] || awk "BEGIN { exit !($found < $best) }"; then
            best=$found best_order=$order
        fi
    done
    ln -sf "$units.$best_order.s3l" "$work/$units.s3l"
}

[ -e "$work/word.s3l" ] || build_best word 2 3 4
[ -e "$work/char.s3l" ] || build_best char 3 4 5

[ -f "$work/tune.jsonl" ] || "$s3r" data split -q "$data/dev.text.jsonl" --minutes 1.5 --seed 1 \
    -o "$work/tune.jsonl"
