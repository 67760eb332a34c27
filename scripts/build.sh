#!/bin/sh
# Configures and builds lopt quietly; shows the log only where something fails.
# Usage: scripts/build.sh DIR [CMAKE-OPTION...]
set -eu
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -ge 1 ] || { usage >&2; exit 2; }
cd "$(dirname "$0")/.."
dir=$1
shift
jobs=$(nproc 2>/dev/null || echo 2)
mkdir -p "$dir"
log=$dir/build.log
true >"$log" || { echo "$dir cannot be written to" >&2; exit 1; }
if ! { cmake -S . -B "$dir" "$@" && cmake --build "$dir" -j "$jobs"; } >"$log" 2>&1; then
    if grep -qE 'error|Error' "$log"; then grep -E -A 3 'error|Error' "$log" | head -n 40; else tail -n 40 "$log"; fi >&2
    echo "The build failed; all of its output is in $log" >&2
    exit 1
fi
