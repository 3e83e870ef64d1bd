# Sourced by tests of the program that need models and audio.
# shellcheck shell=sh
# shellcheck disable=SC2034
{
    golden=$S3R_DATA/../golden
    clip=$S3R_DATA/audio/vm-pls-try-again.g722 # 1.626625 s at 16 kHz
}

# The bytes of NUMBER, little-endian.
le16() { printf "\\$(printf %03o $(($1 & 255)))\\$(printf %03o $(($1 >> 8 & 255)))"; }
le32()
{
    le16 $(($1 & 65535))
    le16 $(($1 >> 16))
}

# wav FILE RATE SAMPLES: mono, 16 bit, of the samples in g722_patterns.s16.
wav()
{
    {
        printf RIFF
        le32 $(($3 * 2 + 36))
        printf 'WAVEfmt '
        le32 16
        le16 1
        le16 1
        le32 "$2"
        le32 $(($2 * 2))
        le16 2
        le16 16
        printf data
        le32 $(($3 * 2))
        samples "$3"
    } >"$1"
}

# samples COUNT: raw samples on stdout.
samples() { head -c $(($1 * 2)) "$S3R_DATA/audio/g722_patterns.s16"; }

# npy_is FILE SHAPE BYTES: a little-endian float32 array "(2, 3)" of BYTES bytes of data.
npy_is()
{
    magic=$(od -A n -t x1 -N 8 "$1" | tr -d ' ')
    [ "$magic" = 934e554d50590100 ] || fail "$1: starts with $magic"
    length=$(od -A n -t u2 -j 8 -N 2 "$1" | tr -d ' ')
    header=$(head -c $((10 + length)) "$1" | tail -c "$length")
    case $header in
    *"'descr': '<f4'"*"'fortran_order': False"*"'shape': $2"*) ;;
    *) fail "$1: header $header, expected shape $2" ;;
    esac
    size=$(wc -c <"$1")
    [ "$size" -eq $((10 + length + $3)) ] || fail "$1: $size bytes"
}
