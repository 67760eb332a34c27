#!/bin/sh
# scripts/train-stages.sh: the second stage starts from the first one's weights, and a run in two goes gives the bits of a run in one.
# Usage: tests/scripts/train_stages_test.sh BUILD-DIR
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
LOPT=$(cd "$1" && pwd)/lopt
export LOPT
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
    echo "$*" >&2
    exit 1
}
small='"particles": 3, "tasks": ["quadratic:n=4", "bowl"], "window": {"min": 5, "mean": 0}, "checkpoint": {"every": 2}, "average": 0, "schedule": {"decay": "constant"}'
echo "{\"iterations\": 4, \"weights\": {\"options\": \"attention=0,param=3,tensor=3,global=2\"}, $small}" >"$scratch/1.json"
echo "{\"iterations\": 4, \"estimator\": \"pes\", \"es\": {\"pairs\": 1}, $small}" >"$scratch/2.json"
stages() { "$source/scripts/train-stages.sh" "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "failed: $*"; }; }

stages "$scratch/whole" "$scratch/1.json" "$scratch/2.json"
stages "$scratch/parts" "$scratch/1.json" # the first stage alone, as if stopped after it
mkdir "$scratch/again"
mv "$scratch/parts" "$scratch/again/stage-1"
stages "$scratch/again" "$scratch/1.json" "$scratch/2.json"
# Checkpoints hold all but the configuration, whose weights.from names the folder.
cmp "$scratch"/whole/checkpoint-*4.safetensors "$scratch"/again/checkpoint-*4.safetensors || fail "other bits after a stop between stages"
cmp -s "$scratch/whole/stage-1/weights.safetensors" "$scratch/whole/weights.safetensors" && fail "the second stage changed nothing"
grep -q "$scratch/whole/stage-1/weights.safetensors" "$scratch/whole/config.json" || fail "the second stage did not start from the first"
stages "$scratch/again" "$scratch/1.json" "$scratch/2.json" # nothing is left to do
stages "$scratch/again" "$scratch/1.json" "$scratch/2.json" -- --set iterations=3 # nor if less is asked for
refused() { # refused TEXT ARGUMENT...
    text=$1
    shift
    ! "$source/scripts/train-stages.sh" "$@" >"$scratch/log" 2>&1 || fail "should be refused: $*"
    grep -q "$text" "$scratch/log" || fail "nothing about '$text': $(cat "$scratch/log")"
}
sed 's/"iterations": 4/"iterations": 4, "seed": 9/' "$scratch/1.json" >"$scratch/other.json"
refused seed "$scratch/again" "$scratch/other.json" "$scratch/2.json"
refused "began from other weights" "$scratch/again" "$scratch/1.json" "$scratch/2.json" -- --set iterations=6 # of the first stage, which then has others
! "$source/scripts/train-stages.sh" >"$scratch/log" 2>&1 || fail "it should have asked for a configuration"
grep -q Usage "$scratch/log" || fail "no usage: $(cat "$scratch/log")"
! "$source/scripts/train-stages.sh" "$scratch/none" -- --set iterations=1 >"$scratch/log" 2>&1 || fail "it should have asked for a configuration before --"
grep -q Usage "$scratch/log" || fail "no usage: $(cat "$scratch/log")"
mkdir "$scratch/a b"
cp "$scratch/1.json" "$scratch/a b/*.json"
stages "$scratch/a b/run" "$scratch/a b/*.json" -- --set iterations=2 # spaces, and no pattern
