#!/bin/sh
# From a fresh machine to a learned optimizer of one's own and a report on it: installs what is missing, builds, meta-trains for some
# three minutes on two cores, evaluates against tuned baselines on tasks that the training never saw.
# Run it again and it goes on where it was stopped; what is done is not done twice.
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
Usage: scripts/quickstart.sh [--out DIR] [--iterations N] [--fresh]

  --out DIR        where weights and report go (default: runs/quickstart)
  --iterations N   length of the training (default: that of configs/quick.json, about three minutes on two cores)
  --fresh          remove what an earlier quickstart left in DIR and start anew
END
}

out=runs/quickstart
iterations=""
fresh=no
while [ $# -gt 0 ]; do
    case $1 in
    --out) [ $# -gt 1 ] || { usage >&2; exit 2; }; out=$2; shift ;;
    --iterations) [ $# -gt 1 ] || { usage >&2; exit 2; }; iterations=$2; shift ;;
    --fresh) fresh=yes ;;
    --help | -h) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done

scripts/install-deps.sh build
echo "Building (a minute the first time) ..."
scripts/build.sh build -DLOPT_TESTS=OFF
lopt=build/lopt

[ $fresh = no ] || rm -rf "$out"
echo "Meta-training; Ctrl-C stops it, and this command then goes on with it ..."
set -- --out "$out"
[ -z "$iterations" ] || set -- "$@" --set "iterations=$iterations"
if [ -e "$out/config.json" ]; then
    $lopt train "$@" --resume
else
    $lopt train "$@" --config configs/quick.json
fi

echo "Evaluating on tasks that it never saw, beside baselines tuned on each of them ..."
$lopt eval --weights "trained=$out/weights.safetensors" --untrained --out "$out/eval"
