#!/bin/sh
# Judges an optimizer as docs/evidence.md shows it: the held-out suite at 2,000 steps against all tuned baselines, eight of its cheaper
# tasks at 20,000, the corpus at 2,000 with seeds that training did not draw, and corpus and held-out suite at 20,000 without baselines,
# to see what diverges or loses what it had. An hour on two cores the first time, beside other work; sweeps are kept.
# Usage: scripts/evidence.sh [WEIGHTS] [DIR]      (default: weights/hrnn-10-30-20.safetensors runs/evidence, beside the sources)
#   LOPT names the command (default: build/lopt). Tables are left in DIR/*.txt beside the reports.
set -eu
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;; esac
caller=$PWD
cd "$(dirname "$0")/.."
lopt=${LOPT:-build/lopt}
command -v "$lopt" >/dev/null || { echo "there is no $lopt here; make it with  scripts/build.sh build" >&2; exit 1; }
weights=${1:-weights/hrnn-10-30-20.safetensors}
[ -e "$weights" ] || weights=$caller/$weights
[ -e "$weights" ] || { echo "there are no weights $1" >&2; exit 1; }
dir=${2:-runs/evidence}
mkdir -p "$dir"
cheaper='digits_softmax;digits_mlp;poisson_regression;factorisation;rosenbrock_100;digits_deep;digits_autoencoder;teacher_mlp'
# without the largest quadratic, whose sweeps cost more than all others together
corpus=$("$lopt" tasks --json | python3 -c '
import json, sys
specs = [i["spec"] for f in json.load(sys.stdin) if not f["held_out"] for i in f["instances"]]
print(";".join(s for s in specs if s != "quadratic:n=2048"))')

judge() { # judge NAME ARGUMENT...
    name=$1
    shift
    echo "$name"
    "$lopt" eval --weights "lopt=$weights" --out "$dir/$name" --cache "$dir/cache" "$@" >"$dir/$name.txt"
}
judge heldout --suite heldout --steps 2000 --seeds 5
judge heldout-lasting --suite heldout --steps 20000 --seeds 5 --alone
judge corpus-lasting --suite corpus --steps 20000 --seeds 5 --seed 1 --alone
judge corpus --suite "$corpus" --steps 2000 --seeds 5 --seed 1
judge heldout-10x --suite "$cheaper" --steps 20000 --seeds 5
echo "Tables: $dir/*.txt"
