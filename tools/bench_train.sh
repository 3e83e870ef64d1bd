#!/bin/sh
# Times a training step against PyTorch on this machine, all in one run:
#
#   bench_train.sh PEERS_FOLDER MODEL_FOLDER [--rounds 2] [--threads 2] [--steps 3]
#                  [--bench PROGRAM]
#
# wav2vec 2.0 base, 4 x 10 s, dropout 0.1.  MODEL_FOLDER is a random model of full size
# (tests/golden/full_size.py writes it), PROGRAM the built train_bench.  PEERS_FOLDER is
# optional equipment and not part of the project: `pt.sh pt_train.py MODE THREADS 4 10
# STEPS` prints "step med S s ... RSS M MB", MODE being ft (all weights but the extractor),
# s3sort or s3kth (masks by a full sort or by kthvalue).  Engines run in turn within a
# round; the ratio is the median over rounds.
set -eu
die() { echo "bench_train: $*" >&2; exit 2; }

[ $# -ge 2 ] || die "expected PEERS_FOLDER MODEL_FOLDER (see the head of $0)"
peers=$(cd "$1" && pwd) model=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
rounds=2 threads=2 steps=3 bench=$root/build/release/train_bench
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1: expected a value"
    case $1 in
    --rounds) rounds=$2 ;;
    --threads) threads=$2 ;;
    --steps) steps=$2 ;;
    --bench) bench=$2 ;;
    *) die "unknown option $1" ;;
    esac
    shift 2
done
[ -x "$bench" ] || die "$bench: not found; run make, or say --bench PROGRAM"
results=$(mktemp)
trap 'rm -f "$results"' EXIT

ours() { # NAME ARGUMENTS...
    name=$1
    shift
    "$bench" "$model" "$@" "threads=$threads" "steps=$((steps + 1))" |
        awk -v name="$name" '
            NR == 1 { for (i = 1; i < NF; i++) if ($i == "total") ms = $(i + 1) }
            /^peak RSS/ { mb = $3 }
            END { print name, ms / 1000, mb }' >>"$results"
}
theirs() { # NAME MODE
    (cd "$peers" && bash ./pt.sh pt_train.py "$2" "$threads" 4 10 "$steps") |
        sed -n 's/.*step med \([0-9.]*\) s.*RSS \([0-9.]*\) MB.*/'"$1"' \1 \2/p' >>"$results"
}

round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    ours s3r-mask-fp32 mask fp32
    ours s3r-mask-bf16-cached mask bf16 cached
    ours s3r-weights-fp32 weights fp32
    theirs pytorch-s3sort s3sort
    theirs pytorch-s3kth s3kth
    theirs pytorch-ft ft
done

awk '
function median(text,    list, n, i, j, t) {
    n = split(text, list, " ")
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && list[j] + 0 < list[j - 1] + 0; j--) {
            t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
        }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
{ n[$1]++; at[$1, n[$1]] = $2; all[$1] = all[$1] " " $2; mb[$1] = $3 > mb[$1] ? $3 : mb[$1]
  if (!($1 in seen)) { order[++count] = $1; seen[$1] = 1 } }
function ratio(theirs, ours,    text, r) {
    for (r = 1; r <= n[theirs]; r++) text = text " " at[theirs, r] / at[ours, r]
    return median(text)
}
END {
    for (e = 1; e <= count; e++)
        printf "%-22s %7.2f s  %6d MB\n", order[e], median(all[order[e]]), mb[order[e]]
    print ""
    printf "s3sort / mask fp32         %.2f\n", ratio("pytorch-s3sort", "s3r-mask-fp32")
    printf "s3kth  / mask fp32         %.2f\n", ratio("pytorch-s3kth", "s3r-mask-fp32")
    printf "s3sort / mask bf16 cached  %.2f\n",
           ratio("pytorch-s3sort", "s3r-mask-bf16-cached")
    printf "ft     / weights fp32      %.2f\n", ratio("pytorch-ft", "s3r-weights-fp32")
}' "$results"
