#!/bin/sh
# Meta-trains in stages: each configuration starts from the weights that the one before has left. Stopped at any time, the same command goes
# on; stages that are done are not done again, and the result is the same to the bit.
# Usage: scripts/train-stages.sh DIR CONFIG... [-- ARGUMENT...]      (arguments for lopt train, in every stage: --set iterations=50)
#   Stage i runs in DIR/stage-i, the last one in DIR itself; LOPT in the environment names the command (default: build/lopt).
set -eu
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1:-} in -h | --help) usage && exit ;; esac
lopt=${LOPT:-$(dirname "$0")/../build/lopt}
[ $# -ge 2 ] || { usage >&2; exit 2; }
dir=$1
shift
stages=0
for word in "$@"; do
    [ "$word" != -- ] || break
    stages=$((stages + 1))
done
configs=$(printf '%s\n' "$@" | head -n "$stages")
shift "$stages"
[ $# = 0 ] || shift # --
[ $stages -gt 0 ] || { usage >&2; exit 2; }

# Of the numbers, which stand behind a header and its length: the header says how many iterations were asked for, too.
checksum_of() { tail -c "+$(($(od -An -tu8 -N8 "$1") + 9))" "$1" | cksum; }

number=0
from=""
IFS='
' # a configuration a line
set -f
for config in $configs; do
    number=$((number + 1))
    out=$dir/stage-$number
    [ $number -lt $stages ] || out=$dir
    echo "Stage $number of $stages: $config"
    resume=""
    began=$dir/stage-$number.from # a checksum of the weights that it began from
    if [ -e "$out/config.json" ]; then
        resume=--resume
        if [ -e "$began" ] && [ "$(checksum_of "$from")" != "$(cat "$began")" ]; then
            echo "$out began from other weights than $from now has; remove its run and those of later stages to train them anew" >&2
            exit 1
        fi
        from=$(sed -n 's/^ *"from": "\(..*\)",\{0,1\}$/\1/p' "$out/config.json") # as it was called then: the folder may have been moved
    elif [ -n "$from" ]; then
        checksum_of "$from" >"$began"
    fi
    "$lopt" train --config "$config" ${from:+--set} ${from:+"weights.from=$from"} --out "$out" "$@" $resume
    from=$out/weights.safetensors
done
