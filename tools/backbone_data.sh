#!/bin/sh
# Collects the unlabelled speech that the shipped backbone is trained on, from Debian's
# packages: backbone_data.sh PROGRAM OUT [PACKAGES [EXTRA_MANIFEST...]]
#
# OUT receives train.jsonl and dev.jsonl (every 50th clip) without texts, and labelled/
# with the manifests of `s3r data prepare debian`.  Audio of their dev and test splits is
# left out, also under another name: by the SHA-256 of the file.  PACKAGES is where .deb
# files are or are fetched to (default OUT/packages).  EXTRA_MANIFEST is more speech,
# taken as it is.
set -eu
die() { echo "backbone_data: $*" >&2; exit 2; }
[ $# -ge 2 ] || die "expected PROGRAM OUT [PACKAGES [EXTRA_MANIFEST...]]"
s3r=$1 out=$2
shift 2
mkdir -p "$out"
out=$(cd "$out" && pwd)
packages=${1:-$out/packages}
[ $# -eq 0 ] || shift
mkdir -p "$packages"
packages=$(cd "$packages" && pwd)

# What has speech; tuxpaint, fillets and asterisk are the labelled ones.
list="tuxpaint-stamps-default fillets-ng-data-cs fillets-ng-data-nl fillets-ng-data
klettres-data ktuberling-data hedgewars-data gcin-voice asterisk-prompt-it-menardi-wav"
for language in en es fr it ru; do
    list="$list asterisk-core-sounds-$language-g722 asterisk-core-sounds-$language"
done
tree=$packages/tree
mkdir -p "$tree"
for package in $list; do
    [ ! -e "$packages/$package.done" ] || continue
    set -- "$packages/${package}"_*.deb "$@"
    [ -f "$1" ] || (cd "$packages" && apt-get download -q "$package" >/dev/null)
    shift
    for file in "$packages/${package}"_*.deb; do dpkg-deb -x "$file" "$tree"; done
    : >"$packages/$package.done"
done

"$s3r" data prepare debian "$tree" -o "$out/labelled" >&2

# Speech, no sound effects: of the stamps only the spoken descriptions.
sounds="$tree/usr/share/games/fillets-ng/sound $tree/usr/share/asterisk/sounds
$tree/usr/share/klettres $tree/usr/share/ktuberling/sounds
$tree/usr/share/games/hedgewars/Data/Sounds/voices $tree/usr/share/gcin-voice/ogg
$tree/usr/share/tuxpaint/stamps"
: >"$out/all.jsonl"
for folder in $sounds; do
    [ -d "$folder" ] || die "$folder: not found in the packages"
    "$s3r" data prepare folder "$folder" -o "$out/part" --clean --quiet >/dev/null
    cat "$out/part/"*.jsonl >>"$out/all.jsonl"
    rm -rf "$out/part"
done
for manifest in "$@"; do
    cat "$manifest" >>"$out/all.jsonl"
done

path_of() { sed -n 's/.*"audio_filepath":"\([^"]*\)".*/\1/p' "$@"; }
path_of "$out/labelled/dev.jsonl" "$out/labelled/test.jsonl" |
    sed "s|^\([^/]\)|$out/labelled/\1|" | tr '\n' '\0' | xargs -0 sha256sum |
    cut -c1-64 >"$out/held_out.txt"
path_of "$out/all.jsonl" | tr '\n' '\0' | xargs -0 sha256sum | cut -c1-64 >"$out/hashes.txt"
paste -d ' ' "$out/hashes.txt" "$out/all.jsonl" | awk -v out="$out" '
    FILENAME ~ /held_out.txt$/ { skip[$1] = 1; next }
    {
        hash = $1
        line = substr($0, 66)
        if (hash in skip) { held++; next }
        if (hash in seen) { twice++; next }
        seen[hash] = 1
        if (line ~ /tuxpaint/ && line !~ /_desc/) { effects++; next }
        print line > (++count % 50 == 0 ? out "/dev.jsonl" : out "/train.jsonl")
    }
    END { printf "backbone_data: %d clips; left out: %d held out, %d repeated, %d effects\n",
          count, held, twice, effects > "/dev/stderr" }' "$out/held_out.txt" -
rm -f "$out/all.jsonl" "$out/hashes.txt" "$out/held_out.txt"
"$s3r" data stats "$out/train.jsonl"
