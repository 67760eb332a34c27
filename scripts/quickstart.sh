#!/bin/sh
# From a fresh machine to a learned optimizer of one's own and a report on it: installs what is missing, builds, meta-trains for some
# three minutes on two cores, evaluates against tuned baselines on tasks that are not in the lists of the training.
# Run it again and it goes on where it was stopped; what is done is not done twice.
set -eu
caller=$PWD
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
Usage: scripts/quickstart.sh [--out DIR] [--iterations N] [--fresh]

  --out DIR        where weights and report go (default: runs/quickstart beside the sources)
  --iterations N   length of each of the two stages of the training (default: that of configs/stage-*.json, about three minutes on two cores)
  --fresh          remove the training and the report that are in DIR and start anew
END
}

out=runs/quickstart
iterations=""
fresh=no
asked=$*
while [ $# -gt 0 ]; do
    case $1 in
    --out | --iterations)
        [ -n "${2:-}" ] || { echo "$1 needs a value" >&2; usage >&2; exit 2; }
        if [ "$1" = --iterations ]; then iterations=$2; else out=$2; fi
        case $1$2 in --out/*) ;; --out*) out=$caller/$2 ;; esac
        shift
        ;;
    --fresh) fresh=yes ;;
    --help | -h) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
case $iterations in
*[!0-9]* | 0)
    echo "--iterations $iterations: it must be a whole number, 1 or more" >&2
    exit 2
    ;;
esac

# A step that Ctrl-C reaches has saved what it did by the time it ends (lopt's doing), so this script waits for it and says how to go on.
interrupted=no
trap 'interrupted=yes' INT
step() {
    status=0
    "$@" || status=$?
    if [ $interrupted = yes ]; then
        echo "To go on, run the same command again:  scripts/quickstart.sh${asked:+ $asked}" | sed 's/ --fresh//' >&2
        exit 130
    fi
    [ $status = 0 ] || exit $status
}

step scripts/install-deps.sh build
echo "Building (one to three minutes the first time) ..."
step scripts/build.sh build -DLOPT_TESTS=OFF
lopt=build/lopt

if [ $fresh = yes ]; then # by name: DIR may hold things of others
    for run in "$out/stage-1" "$out"; do
        rm -rf "$run"/checkpoint-*.safetensors "$run/config.json" "$run/metrics.jsonl" "$run/weights.safetensors"
    done
    rm -rf "$out/eval/cache" \
        "$out/eval/report.html" "$out/eval/results.json" "$out/eval/results.csv" "$out/eval/summary.svg"
fi
echo "Meta-training; Ctrl-C stops it, and this command then goes on with it ..."
set --
[ -z "$iterations" ] || set -- -- --set "iterations=$iterations"
step scripts/train-stages.sh "$out" configs/stage-1.json configs/stage-2.json "$@"

echo "Evaluating on tasks that are not in its lists, beside baselines tuned on each of them ..."
step $lopt eval --weights "trained=$out/weights.safetensors" --untrained --seeds 3 --out "$out/eval"
