#!/bin/sh
# Times s3r against ONNX Runtime and PyTorch on this machine, all in one run:
#
#   bench_peers.sh PEERS_FOLDER [--models base,large] [--seconds 1,10,30] [--threads 2]
#                  [--rounds 3] [--attempts 3] [--work FOLDER] [--s3r PROGRAM]
#
# PEERS_FOLDER is optional equipment and not part of the project.  Each engine whose files
# are missing there is left out with a message.  It holds:
#   onnx_export.py MODEL OUT.onnx               writes torchaudio's MODEL for ONNX Runtime
#   ort.js MODEL.onnx SECONDS THREADS MAX_S     node, with node_modules/onnxruntime-node
#   pt.sh pt_infer.py MODEL SECONDS THREADS fp32|bf16full MAX_S          PyTorch
# The runners print "med X ms", "best X" and "RSS X MB".  Weights are random: only time is
# compared.
#
# The engines run in turn within a round, so that a change of the machine's clock or load
# meets all of them, and ratios are taken inside a round.  A measurement during which other
# processes used more than a tenth of a core is repeated, up to --attempts; the least
# disturbed one counts.  Other guests of a shared host cannot be seen from inside; they
# lengthen medians, hence the best times beside them.
set -eu
die() { echo "bench_peers: $*" >&2; exit 2; }
note() { echo "bench_peers: $*" >&2; }

[ $# -ge 1 ] || die "expected PEERS_FOLDER (see the head of $0)"
[ -d "$1" ] || die "$1: not a folder"
peers=$(cd "$1" && pwd)
shift
root=$(cd "$(dirname "$0")/.." && pwd)
models=base lengths=1,10,30 threads=2 rounds=3 attempts=3
work=$root/build/bench_peers s3r=$root/build/release/s3r
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1: expected a value"
    case $1 in
    --models) models=$2 ;;
    --seconds) lengths=$2 ;;
    --threads) threads=$2 ;;
    --rounds) rounds=$2 ;;
    --attempts) attempts=$2 ;;
    --work) work=$2 ;;
    --s3r) s3r=$2 ;;
    *) die "unknown option $1" ;;
    esac
    shift 2
done
[ -x "$s3r" ] || die "$s3r: not found; run make, or say --s3r PROGRAM"
mkdir -p "$work"
work=$(cd "$work" && pwd)
results=$work/results.txt
: >"$results"

has_ort=yes
command -v node >/dev/null && [ -f "$peers/ort.js" ] &&
    [ -d "$peers/node_modules/onnxruntime-node" ] || has_ort=no
has_torch=no python=
for candidate in /usr/bin/python3 python3; do
    "$candidate" -c 'import torchaudio' 2>/dev/null && python=$candidate
done
[ -f "$peers/pt.sh" ] && [ -f "$peers/pt_infer.py" ] && [ -n "$python" ] && has_torch=yes
[ $has_ort = yes ] ||
    note "ONNX Runtime left out: needs node, ort.js and node_modules/onnxruntime-node"
[ $has_torch = yes ] || note "PyTorch left out: needs pt.sh, pt_infer.py and torchaudio"

prepare() { # MODEL
    if [ ! -f "$work/$1/model.safetensors" ]; then
        note "writing a random $1 model"
        [ -n "$python" ] || die "writing a random $1 model needs python3 with torchaudio"
        "$python" "$root/tests/golden/full_size.py" "$work/$1" --model "$1" --seconds 1 >&2
    fi
    [ $has_ort = yes ] && [ ! -f "$work/$1.onnx" ] || return 0
    note "exporting $1 to ONNX"
    "${python:-python3}" "$peers/onnx_export.py" "$1" "$work/$1.onnx" >&2 || {
        note "ONNX Runtime left out: the export failed"
        has_ort=no
    }
}

# Each prints "MEDIAN_MS BEST_MS PEAK_MB" with MB = 2^20 bytes.
run_s3r() { # DTYPE MODEL SECONDS
    "$s3r" bench -m "$work/$2" --seconds "$3" --dtype "$1" --rounds 5 \
        --threads "$threads" --json |
        sed 's/[",:]/ /g' |
        awk '$1 == "median_ms" { ms = $2 } $1 == "min_ms" { best = $2 }
             $1 == "peak_bytes" { peak = $2 / 1048576 } END { print ms, best, peak }'
}
read_peer() {
    sed -n 's/.* med \(.*\) ms .* best \([ 0-9.]*\) .*RSS \([ 0-9.]*\) MB.*/\1 \2 \3/p'
}
run_ort() { # MODEL SECONDS
    (cd "$peers" && node ort.js "$work/$1.onnx" "$2" "$threads" 4) | read_peer
}
run_torch() { # MODE MODEL SECONDS
    (cd "$peers" && bash ./pt.sh pt_infer.py "$2" "$3" "$threads" "$1" 4) | read_peer
}

# CPU seconds of the whole machine, CPU seconds of what this script ran, elapsed seconds.
# The caller has written times.txt: in a subshell `times` starts again from zero.
read_clocks() {
    awk -v hz="$(getconf CLK_TCK)" '
        function seconds(text,    part) { split(text, part, /[ms]/)
                                          return 60 * part[1] + part[2] }
        FILENAME == "/proc/stat" && $1 == "cpu" { all = ($2 + $3 + $4 + $7 + $8 + $9) / hz }
        FILENAME == "/proc/uptime" { now = $1 }
        FILENAME ~ /times.txt$/ && FNR <= 2 { own += seconds($1) + seconds($2) }
        END { print all, own, now }' /proc/stat /proc/uptime "$work/times.txt"
}

record() { # ENGINE COMMAND...; adds "model seconds round engine median best MB cores"
    engine=$1 attempt=0
    shift
    : >"$work/attempts.txt"
    while [ "$attempt" -lt "$attempts" ]; do
        attempt=$((attempt + 1))
        times >"$work/times.txt"
        before=$(read_clocks)
        "$@" >"$work/printed.txt"
        [ -s "$work/printed.txt" ] || die "$engine printed no time"
        times >"$work/times.txt"
        cores=$(echo "$before $(read_clocks)" |
            awk '{ o = ($4 - $1 - $5 + $2) / ($6 - $3); print (o > 0 ? o : 0) }')
        echo "$(cat "$work/printed.txt") $cores" >>"$work/attempts.txt"
        awk -v cores="$cores" 'BEGIN { exit cores > 0.1 }' && break
    done
    best=$(LC_ALL=C sort -k4,4g "$work/attempts.txt" | head -n 1)
    echo "$model $length $round $engine $best" >>"$results"
}
run_round() {
    record s3r-fp32 run_s3r f32 "$model" "$length"
    record s3r-bf16 run_s3r bf16 "$model" "$length"
    [ $has_ort = no ] || record onnxruntime-fp32 run_ort "$model" "$length"
    [ $has_torch = no ] || record pytorch-fp32 run_torch fp32 "$model" "$length"
    [ $has_torch = no ] || record pytorch-bf16 run_torch bf16full "$model" "$length"
}

# Reads lines "model seconds round engine median best MB cores".
print_table() {
    awk -v model="$model" -v length_s="$length" '
    function median(text,    list, n, i, j, t) {
        n = split(text, list, " ")
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && list[j] + 0 < list[j - 1] + 0; j--) {
                t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
            }
        low = list[1]; high = list[n]
        return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
    }
    $1 == model && $2 == length_s {
        if (!($4 in times)) order[++count] = $4
        times[$4] = times[$4] " " $5
        if (!($4 in best) || $6 < best[$4]) best[$4] = $6
        if ($7 > peak[$4]) peak[$4] = $7
        if ($8 > 0.1) disturbed++
        at[$4, $3] = $5
        if ($3 > rounds) rounds = $3
    }
    END {
        printf "\n%s, %s s of audio; /: time of the engine by that of s3r\n", model,
               length_s
        printf "%-17s %8s %17s %7s %7s %8s %7s %7s %6s\n", "", "median", "lowest-highest",
               "/fp32", "/bf16", "best ms", "/fp32", "/bf16", "MiB"
        for (e = 1; e <= count; e++) {
            name = order[e]; f = ""; b = ""
            for (r = 1; r <= rounds; r++) {
                f = f " " at[name, r] / at["s3r-fp32", r]
                b = b " " at[name, r] / at["s3r-bf16", r]
            }
            f = median(f); b = median(b); ms = median(times[name])
            printf "%-17s %8.1f %8.1f-%8.1f %7.2f %7.2f %8.1f %7.2f %7.2f %6.0f\n", name,
                   ms, low, high, f, b, best[name], best[name] / best["s3r-fp32"],
                   best[name] / best["s3r-bf16"], peak[name]
        }
        if (disturbed) print disturbed " measurements shared the processors with others"
    }' "$results"
}

version=$("$s3r" --version | awk 'NR == 1 { print $NF }')
echo "s3r $version, $threads threads, $rounds rounds"
for model in $(echo "$models" | tr , ' '); do
    prepare "$model"
    for length in $(echo "$lengths" | tr , ' '); do
        round=1
        while [ "$round" -le "$rounds" ]; do
            run_round
            round=$((round + 1))
        done
        print_table
    done
done
