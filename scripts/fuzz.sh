#!/bin/sh
# Feeds mutated files and texts to the parsers (tests/fuzz, libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer) and fails on
# any finding. What it learns stays in build-fuzz/corpus and serves the next run.
# Usage: scripts/fuzz.sh [SECONDS [TARGET...]]      (default: 60 seconds for each target)
set -eu
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;; esac
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# = 0 ] || shift
case $seconds in
*[!0-9]* | "")
    echo "Usage: scripts/fuzz.sh [SECONDS [TARGET...]]" >&2
    exit 1
    ;;
esac
[ $# -gt 0 ] || set -- safetensors weights state spec config idx cifar10
for target in "$@"; do
    [ -f "tests/fuzz/$target.c" ] || { echo "there is no fuzz target $target; see tests/fuzz" >&2; exit 1; }
done

for tool in clang cmake python3; do
    command -v $tool >/dev/null 2>&1 || { echo "scripts/fuzz.sh needs $tool; install it with  apt-get install $tool" >&2; exit 1; }
done
scripts/install-deps.sh build
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
if ! echo 'int LLVMFuzzerTestOneInput(const char *b, unsigned long n) { return b == 0 && n; }' |
    clang -x c - -fsanitize=fuzzer,address,undefined -o "$scratch/try" 2>"$scratch/log"; then
    cat "$scratch/log" >&2
    version=$(clang -dumpversion | cut -d. -f1)
    echo "clang has no libFuzzer here; install it with  apt-get install libclang-rt-$version-dev" >&2
    exit 1
fi

# The library with its parsers watched; the kernels are no parsers, and building them so takes long.
build=build-fuzz
mkdir -p $build
if ! { cmake -S . -B $build -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="-O1 -g" -DLOPT_TESTS=OFF -DLOPT_CLI=OFF \
    -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON -DLOPT_SANITIZE=address,undefined,fuzzer-no-link -DLOPT_ISAS=baseline \
    -DLOPT_ISA_FLAGS_baseline=-fno-sanitize=all && cmake --build $build -j "$(nproc)" --target lopt_static; } >$build/build.log 2>&1; then
    if grep -q error $build/build.log; then grep -A 3 error $build/build.log | head -n 40; else tail -n 40 $build/build.log; fi >&2
    echo "The build failed; all of its output is in $build/build.log" >&2
    exit 1
fi
python3 tests/fuzz/seeds.py "$scratch/seeds"

findings=0
for target in "$@"; do
    clang -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -I. -Iinclude -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        "tests/fuzz/$target.c" $build/liblopt.a $(pkg-config --libs jansson libxxhash zlib) -lm -lpthread -o "$build/fuzz_$target"
    mkdir -p "$build/corpus/$target" "$build/findings"
    if TMPDIR=$scratch "$build/fuzz_$target" -max_total_time="$seconds" -max_len=12000 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$target-" "$build/corpus/$target" "$scratch/seeds/$target" >"$scratch/log" 2>&1; then
        echo "passed  $target: $(sed -n 's/^stat::number_of_executed_units: //p' "$scratch/log") inputs in $seconds seconds"
    else
        findings=$((findings + 1))
        echo "FAILED  $target"
        grep -v '^#' "$scratch/log" | tail -n 60
    fi
done
[ $findings = 0 ] || echo "$findings targets with findings; the inputs are in $build/findings, and $build/fuzz_TARGET FILE repeats one"
[ $findings = 0 ]
