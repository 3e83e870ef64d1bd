#!/bin/sh
# What language models are worth: error rates of masks for one language on test, without
# and with text.
#   results_lm.sh BUILD_FOLDER WORK_FOLDER LANGUAGE DATA_FOLDER MASK...
# DATA_FOLDER has train.text.jsonl, dev.text.jsonl and test.text.jsonl, as `s3r vocab build`
# writes them for the masks.  The text is that of train and of Debian's packages in the
# language (cs or nl); no sentence of dev or test is in it.  The order of a model is chosen
# by its perplexity on dev, weights by `s3r tune-lm` on 1.5 minutes of dev (60 decodings), for
# each mask; test is run once.
# Prints rows of a markdown table; what is in WORK_FOLDER already is not made again.
set -eu
LC_ALL=C.UTF-8
export LC_ALL
[ $# -ge 5 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
s3r=$1/s3r work=$2/$3 language=$3 data=$4
packages=$2/packages
shift 4
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
    for name in $names; do package_text "$name"; done | sentences | sort -u >"$work/package"
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
    for order in "$@"; do
        "$s3r" lm build -q -n "$order" --units "$units" --discount-fallback default \
            -o "$work/$units.$order.s3l" "$work/text.txt"
        found=$("$s3r" lm score --lm "$work/$units.$order.s3l" "$data/dev.text.jsonl" |
            sed -n 's/^perplexity *//p')
        echo "$language: $units, order $order: perplexity on dev $found" >&2
        if [ -z "$best" ] || awk "BEGIN { exit !($found < $best) }"; then
            best=$found
            ln -sf "$units.$order.s3l" "$work/$units.s3l"
        fi
    done
}

[ -e "$work/word.s3l" ] || build_best word 2 3 4
[ -e "$work/char.s3l" ] || build_best char 3 4 5

# ---- masks

# evaluate NAME NUMBER MASK OPTION...: "WER CER" on test
evaluate()
{
    result=$work/$1.$2.json
    mask=$3
    shift 3
    [ -f "$result" ] || {
        "$s3r" eval -q --json --mask "$mask" --data "$data/test.text.jsonl" "$@" >"$result.part"
        mv "$result.part" "$result"
    }
    for rate in wer cer; do
        tr -d ' \n' <"$result" | sed "s/.*\"$rate\":{[^}]*\"rate\":\([-+.0-9e]*\).*/\1/"
        echo
    done | awk '{ printf "%.4f ", 100 * $1 }'
}

[ -f "$work/tune.jsonl" ] || "$s3r" data split -q "$data/dev.text.jsonl" --minutes 1.5 --seed 1 \
    -o "$work/tune.jsonl"

# tune NAME NUMBER MASK OPTION...: the best weights
tune()
{
    weights=$work/$1.$2.weights
    mask=$3
    shift 3
    [ -s "$weights" ] || "$s3r" tune-lm -q --mask "$mask" --data "$work/tune.jsonl" "$@" |
        sed -n 's/^best: \(.*\) (.*/\1/p' >"$weights"
    cat "$weights"
}

number=0
for mask in "$@"; do
    number=$((number + 1))
    echo "greedy $(evaluate greedy "$number" "$mask")"
    echo "search $(evaluate search "$number" "$mask" --beam 50 --word-score 0)"
    set_of="--lm $work/word.s3l --lexicon lm"
    # shellcheck disable=SC2046,SC2086  # options
    echo "word $(evaluate word "$number" "$mask" $set_of $(tune word "$number" "$mask" $set_of))"
    set_of="--lm $work/char.s3l"
    # shellcheck disable=SC2046,SC2086
    echo "char $(evaluate char "$number" "$mask" $set_of $(tune char "$number" "$mask" $set_of))"
done >"$work/rates"

# Mean and standard deviation over the masks.
awk -v language="$language" '
    function spread(sum, squares, n) {
        return n < 2 ? "" : sprintf(" ± %.1f", sqrt((squares - sum * sum / n) / (n - 1)))
    }
    { n[$1]++; w[$1] += $2; ww[$1] += $2 * $2; c[$1] += $3; cc[$1] += $3 * $3 }
    END {
        split("greedy search word char", order)
        says["greedy"] = "best label of each frame"
        says["search"] = "search without a language model"
        says["word"] = "words, lexicon"
        says["char"] = "characters, no lexicon"
        for (i = 1; i <= 4; i++) {
            k = order[i]
            printf "| %s | %s | %.1f%s | %.1f%s |\n", language, says[k], w[k] / n[k],
                spread(w[k], ww[k], n[k]), c[k] / n[k], spread(c[k], cc[k], n[k])
        }
    }' "$work/rates"
