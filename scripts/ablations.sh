#!/bin/sh
# What the parts of the optimizer bring, and what the estimators bring, at equal cost of meta-training: trains variants of the first
# stage, each from fresh weights on the same tasks, and judges them side by side on tasks that are neither trained on nor held out.
# Usage: scripts/ablations.sh [DIR] [ITERATIONS]      (default: runs/ablations 2500; 20 to 30 minutes on two cores)
#   A variant that is trained is not trained again. The table is left in DIR/table.txt. LOPT names the command (default: build/lopt).
set -eu
cd "$(dirname "$0")/.."
lopt=${LOPT:-build/lopt}
dir=${1:-runs/ablations}
iterations=${2:-2500}

# name | options of the weights | iterations, as a share of the first stage's: an unroll forward costs a quarter of one there and back |
# further settings. The format knows no RNN of size 0 and no switch for the log magnitudes.
variants='full | attention=0 | 1 |
no-tensor-rnn | attention=0,tensor=1 | 1 |
no-global-rnn | attention=0,global=1 | 1 |
one-timescale | attention=0,scales=1 | 1 |
no-products | attention=0,grad_products=0 | 1 |
no-shortcut | attention=0,gradient_shortcut=0 | 1 |
no-relative-lr | attention=0,relative_lr=0 | 1 |
sizes-10-20-20 | attention=0,tensor=20,global=20 | 1 |
attention | attention=1 | 1 | second_derivatives=true
second-order | attention=0 | 1 | second_derivatives=true
pes | attention=0 | 0.5 | estimator=pes es.pairs=4
mix | attention=0 | 0.125 | estimator=mix es.pairs=4'
suite='matmul:n=2,k=7;matmul:n=3,k=23;sparse_softmax;styblinski_tang;projection_quadratic:n=20,rows=1000,batch=100'
suite="$suite;mlp:inputs=10,hidden=24x24,batch=32;mlp:inputs=16,hidden=16,batch=64;softmax_regression:features=64,sep=1,batch=32"
suite="$suite;quadratic:n=30;quadratic:n=40,noise=0.3;min_max_well:n=20;(quadratic:n=8+mlp:inputs=6,hidden=10,batch=16)"

judged=""
while IFS='|' read -r name options share settings; do
    name=$(echo $name)
    out=$dir/$name
    set -- --set "weights.options=$(echo $options)" --set "iterations=$(awk "BEGIN { print int($iterations * $share + 0.999) }")"
    for setting in $settings; do set -- "$@" --set "$setting"; done
    echo "Variant $name"
    if [ -e "$out/config.json" ]; then "$lopt" train --out "$out" --resume </dev/null
    else "$lopt" train --config configs/stage-1.json --out "$out" "$@" </dev/null; fi
    judged="$judged --weights $name=$out/weights.safetensors"
done <<END
$variants
END
# shellcheck disable=SC2086 # one argument a word
"$lopt" eval $judged --suite "$suite" --steps 2000 --seeds 3 --out "$dir/eval" | tee "$dir/table.txt"
