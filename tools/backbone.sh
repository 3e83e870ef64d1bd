#!/bin/sh
# Makes a backbone like the one that is shipped, models/s3r-small, from Debian's packages and
# what else there is: backbone.sh PROGRAM OUT [EXTRA_MANIFEST...]
#
# OUT/data gets the speech (backbone_data.sh), OUT/targets the clusters, OUT/run the run and
# OUT/s3r-small the model in bf16.  An hour on two quiet processors; what was begun goes on.
# The shipped model had the training part of speechocean762 (OpenSLR 101) as EXTRA_MANIFEST.
set -eu
[ $# -ge 2 ] || { echo "backbone: expected PROGRAM OUT [EXTRA_MANIFEST...]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
s3r=$1 out=$2
shift 2
mkdir -p "$out"
[ -f "$out/data/train.jsonl" ] ||
    sh "$here/backbone_data.sh" "$s3r" "$out/data" "$out/data/packages" "$@"
data=$out/data targets=$out/targets
[ -f "$targets/dev.labels" ] ||
    "$s3r" kmeans --data "$data/train.jsonl" --data "$data/dev.jsonl" --mfcc --normalize \
        --standardize --clusters 500 --iterations 40 --sample-minutes 120 --seed 1 \
        -o "$targets" >/dev/null
"$s3r" pretrain --data "$data/train.jsonl" --labels "$targets/train.labels" \
    --dev "$data/dev.jsonl" --dev-labels "$targets/dev.labels" \
    --shape "conv=[(64,10,5)] + [(128,7,4)] + [(256,7,4)] + [(256,4,4)]" \
    --shape hidden_size=256 --shape ffn_size=1024 --shape heads=4 --shape license=other \
    -c "$here/backbone.yaml" --seed 1 --resume auto -o "$out/run" >/dev/null
"$s3r" convert --force --dtype bf16 "$out/run/last" "$out/s3r-small"
