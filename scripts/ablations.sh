#!/bin/sh
# What the parts of the optimizer bring, and what the estimators bring, at equal cost of meta-training: trains variants of the first
# stage, each from fresh weights on the same tasks, and judges them side by side on twelve tasks, none held out and two of them trained on.
# Usage: scripts/ablations.sh [DIR] [ITERATIONS] [DRAWS]      (default: runs/ablations 2500 1; 20 to 30 minutes on two cores for each draw)
#   A variant that is trained is not trained again. The table is left in DIR/table.txt, means over the draws in DIR/draws.txt. DIR must not
#   hold spaces. LOPT names the command (default: build/lopt), LOPT_LIB the library (default: build/liblopt.so).
set -eu
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;; esac
cd "$(dirname "$0")/.."
lopt=${LOPT:-build/lopt}
lib=${LOPT_LIB:-build/liblopt.so}
command -v "$lopt" >/dev/null && [ -e "$lib" ] || { echo "there is no $lopt, or no $lib; make them with  scripts/build.sh build" >&2; exit 1; }
dir=${1:-runs/ablations}
iterations=${2:-2500}
draws=${3:-1}
case $iterations$draws in
*[!0-9]*) echo "ITERATIONS and DRAWS must be whole numbers, not $iterations and $draws" >&2; exit 2 ;;
esac
case $dir in
*' '*) echo "DIR must not hold spaces, as \"$dir\" does" >&2; exit 2 ;;
esac

# name | options of the weights | iterations, as a share of the first stage's: an unroll forward costs a quarter of one there and back |
# further settings. The format knows no RNN of size 0. It has no switch for the log magnitudes either: what the RNNs multiply them by is 0 at
# the start, and not trained.
magnitudes='param_rnn.gate_kernel[7:11] param_rnn.candidate_kernel[7:11] tensor_rnn.gate_kernel[17:21] tensor_rnn.candidate_kernel[17:21]'
all_but_magnitudes='*'
for rows in $magnitudes; do all_but_magnitudes="$all_but_magnitudes;!$rows"; done
variants='full | attention=0 | 1 |
no-tensor-rnn | attention=0,tensor=1 | 1 |
no-global-rnn | attention=0,global=1 | 1 |
one-timescale | attention=0,scales=1 | 1 |
no-products | attention=0,grad_products=0 | 1 |
no-shortcut | attention=0,gradient_shortcut=0 | 1 |
no-log-magnitudes | | 1 | weights.from='"$dir/silent-SEED.safetensors weights.trained=$all_but_magnitudes"'
no-relative-lr | attention=0,relative_lr=0 | 1 |
sizes-10-20-20 | attention=0,tensor=20,global=20 | 1 |
attention | attention=1 | 1 | second_derivatives=true
second-order | attention=0 | 1 | second_derivatives=true
pes | attention=0 | 0.5 | estimator=pes es.pairs=4
mix | attention=0 | 0.125 | estimator=mix es.pairs=4'
suite='matmul:n=2,k=7;matmul:n=3,k=23;sparse_softmax;styblinski_tang;projection_quadratic:n=20,rows=1000,batch=100'
suite="$suite;mlp:inputs=10,hidden=24x24,batch=32;mlp:inputs=16,hidden=16,batch=64;softmax_regression:features=64,sep=1,batch=32"
suite="$suite;quadratic:n=30;quadratic:n=40,noise=0.3;min_max_well:n=20;(quadratic:n=8+mlp:inputs=6,hidden=10,batch=16)"

# The first stage's fresh weights, some rows of which are 0. Usage: silence SEED FILE TENSOR[FIRST:END]...
silence() {
    python3 - "$lib" "$@" <<'END'
import ctypes, re, sys
lopt = ctypes.CDLL(sys.argv[1])
lopt.lopt_weights_data.restype = ctypes.POINTER(ctypes.c_float)
lopt.lopt_weights_data.argtypes = [ctypes.c_void_p]
lopt.lopt_last_error.restype = ctypes.c_char_p
def check(status):
    if status: sys.exit(lopt.lopt_last_error().decode())
weights = ctypes.c_void_p()
check(lopt.lopt_weights_init(b"attention=0", ctypes.c_uint64(int(sys.argv[2])), ctypes.byref(weights)))
data = lopt.lopt_weights_data(weights)
name, offset, shape, tensors, i = ctypes.c_char_p(), ctypes.c_size_t(), (ctypes.c_size_t * 2)(), {}, 0
while lopt.lopt_weights_tensor(weights, ctypes.c_size_t(i), ctypes.byref(name), ctypes.byref(offset), shape):
    tensors[name.value.decode()] = (offset.value, *shape)
    i += 1
def multiply(name, first, end, factor):
    offset, _, columns = tensors[name]
    for k in range(offset + first * columns, offset + end * columns): data[k] *= factor
for rows in sys.argv[4:]:
    name, first, end = re.fullmatch(r"(.*)\[(\d+):(\d+)\]", rows).groups()
    multiply(name, int(first), int(end), 0.0)
multiply("update.kernel", 0, tensors["update.kernel"][1], 0.1) # weights.update_scale, which is for weights that lopt draws itself
check(lopt.lopt_weights_save(weights, sys.argv[3].encode()))
END
}
mkdir -p "$dir"

# train SEED: all variants; of seed 0 they have their own names.
train() {
    # shellcheck disable=SC2086 # one argument a word
    [ -e "$dir/silent-$1.safetensors" ] || silence "$1" "$dir/silent-$1.safetensors" $magnitudes
    while IFS='|' read -r name options share settings; do
        name=$(echo $name)
        [ "$1" = 0 ] || name=$name+$1
        out=$dir/$name
        set -- "$1" --set "seed=$1" --set "weights.options=$(echo $options)"
        set -- "$@" --set "iterations=$(awk "BEGIN { print int($iterations * $share + 0.999) }")"
        set -f # patterns are no file names
        for setting in $settings; do set -- "$@" --set "$(echo "$setting" | sed "s/SEED/$1/")"; done
        set +f
        echo "Variant $name"
        if [ -e "$out/config.json" ]; then "$lopt" train --out "$out" --resume </dev/null
        else (shift; exec "$lopt" train --config configs/stage-1.json --out "$out" "$@") </dev/null; fi
        judged="$judged --weights $name=$out/weights.safetensors"
    done <<END
$variants
END
}

judged=""
for seed in $(seq 0 $((draws - 1))); do train "$seed"; done
# shellcheck disable=SC2086 # one argument a word
"$lopt" eval $judged --suite "$suite" --steps 2000 --seeds 3 --out "$dir/eval" | tee "$dir/table.txt"
python3 - "$dir/eval/results.json" >"$dir/draws.txt" <<'END'
import json, sys
totals = {}
for t in json.load(open(sys.argv[1]))["totals"]: totals.setdefault(t["optimizer"].split("+")[0], []).append(t)
print("mean over the draws (least, most): runs won against Adam tuned, at one rate, at 1e-3; speed-up over tuned Adam; runs above their start")
def figures(values, form): return form % (sum(values) / len(values), min(values), max(values))
for name, draws in totals.items():
    won = [figures([100 * d["win_rate"][k] for d in draws], "%3.0f (%2.0f, %3.0f) %%") for k in ("adam_tuned", "adam_one_rate", "adam_1e-3")]
    speed = figures([d["speed_up_over_adam"]["iqm"] for d in draws], "%4.2f (%.2f, %.2f)x")
    print("%-18s" % name, *won, speed, sum(d["runs_above_start"] for d in draws), "of", sum(d["runs"] for d in draws))
END
