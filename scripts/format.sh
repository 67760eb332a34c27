#!/bin/sh
# Formats the C, C++ and CUDA sources by .clang-format, or says which files are not formatted so. With clang-format 14, Debian 12's: others differ in
# what they do with the same rules.
# Usage: scripts/format.sh [--check] [FILE...]      (default: all sources that git knows)
set -eu
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;; esac
cd "$(dirname "$0")/.."

check=no
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi
if ! command -v clang-format >/dev/null 2>&1; then
    echo "clang-format is not on this machine; install it with  apt-get install clang-format" >&2
    exit 1
fi
[ $# -gt 0 ] || set -- $(git ls-files '*.c' '*.h' '*.cpp' '*.cu' '*.cuh')
[ $# -gt 0 ] || { echo "git knows no sources here: nothing to format" >&2; exit 1; }
if [ $check = no ]; then
    exec clang-format -i "$@"
fi
status=0
report=$(printf '%s\0' "$@" | xargs -0 -n 20 -P "$(nproc)" clang-format --dry-run --Werror 2>&1) || status=$?
unformatted=$(printf '%s\n' "$report" | sed -n 's/^\(.*\):[0-9]*:[0-9]*: error: .*clang-format.*/\1/p' | sort -u)
if [ $status != 0 ] && [ -z "$unformatted" ]; then # something else is wrong
    printf '%s\n' "$report" >&2
    exit 1
fi
[ -z "$unformatted" ] || printf '%s\n' "$unformatted"
echo "$# files, $(printf '%s' "$unformatted" | grep -c '') not formatted"
[ -z "$unformatted" ]
