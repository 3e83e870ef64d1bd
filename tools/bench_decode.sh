#!/bin/sh
# Times language models and decoding: bench_decode.sh BUILD_DIR [WORD_LIST [FOLDER]]
#
# WORD_LIST is a word a line (Debian's wamerican-huge); texts of Zipf-distributed words are
# made of it in FOLDER (default: a temporary one): 1 million words to time `lm build`, and
# 6 million for a 4-gram of about 200,000 words.
set -eu
build=${1:?usage: bench_decode.sh BUILD_DIR [WORD_LIST [FOLDER]]}
words=${2:-/usr/share/dict/american-english-huge}
folder=${3:-$(mktemp -d)}
mkdir -p "$folder"

# Word number r of the shuffled list has a probability like 1 / (r + 3); a word is often
# followed by one of three that belong to it, so that there are n-grams to learn.
text()
{
    tr '[:upper:]' '[:lower:]' <"$words" | grep -x "[a-z']*" | sort -u |
        awk -v tokens="$1" -v seed="$2" '
        { word[n++] = $0 }
        END {
            srand(7)
            for (i = n - 1; i > 0; i--) {
                j = int(rand() * (i + 1)); t = word[i]; word[i] = word[j]; word[j] = t
            }
            if (n > 250000) n = 250000
            srand(seed)
            top = log((n + 3) / 3)
            for (made = 0; made < tokens; ) {
                length_left = 5 + int(rand() * 20)
                line = ""
                r = -1
                while (length_left-- > 0) {
                    if (r >= 0 && rand() < 0.5)
                        r = (r * 31 + 17 * int(rand() * 3)) % n
                    else
                        r = int(3 * exp(rand() * top) - 3)
                    line = line (line == "" ? "" : " ") word[r]
                    made++
                }
                print line
            }
        }'
}

[ -e "$folder/small.txt" ] || text 1000000 1 >"$folder/small.txt"
[ -e "$folder/large.txt" ] || text 6000000 2 >"$folder/large.txt"
[ -e "$folder/heard.txt" ] || text 100000 3 >"$folder/heard.txt"

timed()
{
    echo "--- $1"
    shift
    LC_ALL=C bash -c 'TIMEFORMAT="%R s, %U s of processor time"; time "$@"' _ "$@"
}

s3r=$build/s3r
timed "build, 1 million words, order 4" "$s3r" lm build -q -n 4 -o "$folder/small.arpa" "$folder/small.txt"
timed "build, 6 million words, order 4" "$s3r" lm build -q -n 4 -o "$folder/large.arpa" "$folder/large.txt"
timed "compile" "$s3r" lm compile -q "$folder/large.arpa" "$folder/large.s3l"
timed "verify" "$s3r" lm info "$folder/large.s3l"
ls -l "$folder/large.arpa" "$folder/large.s3l"
echo "--- queries and search"
"$build/decode_bench" "$folder/large.s3l" "$folder/heard.txt" 120 50
