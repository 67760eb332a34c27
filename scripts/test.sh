#!/bin/sh
# Installs what is missing, builds, and runs every test: as released, under AddressSanitizer and UndefinedBehaviorSanitizer, and on the
# lesser instruction sets. Ends with one line, and status 0 only if all passed.
# Usage: scripts/test.sh
set -u
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1:-} in -h | --help) usage && exit ;; esac
[ $# = 0 ] || { usage >&2; exit 2; }
cd "$(dirname "$0")/.."

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log" "$log".*' EXIT
pids= # of the tests at work; each leads a group of its own, for what it starts
trap 'for pid in $pids; do kill -- "-$pid" 2>/dev/null; done; exit 130' INT TERM
seconds_since() { echo "$(($(date +%s) - $1)) s"; }
check() { # check NAME COMMAND...
    name=$1
    shift
    started=$(date +%s)
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "passed  $name, $(seconds_since "$started")"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        tail -n 60 "$log"
    fi
}
finish() {
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
    exit
}
# A GoogleTest binary: all of its tests count. They run in parts side by side, two of them; four where most of the time is waiting for others, and six where
# a few tests take most of it, so that no core is left with the half that has them.
run_binary() { # run_binary LABEL BINARY [VARIABLE=VALUE...]
    label=$1
    binary=$2
    shift 2
    started=$(date +%s)
    case $(basename "$binary") in
    test_dist) parts=4 ;;
    test_cuda) parts=6 ;;
    *) parts=2 ;;
    esac
    pids=
    part=0
    while [ $part -lt $parts ]; do
        setsid env OMP_WAIT_POLICY=passive GTEST_TOTAL_SHARDS=$parts GTEST_SHARD_INDEX=$part "$@" "$binary" >"$log.$part" 2>&1 &
        pids="$pids $!"
        part=$((part + 1))
    done
    good=0
    bad=0
    part=0
    for pid in $pids; do
        wait "$pid"
        status=$?
        # The last line of a kind counts: a test that starts its own binary again prints the others.
        ok=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log.$part" | tail -n 1)
        failures=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*listed below.*/\1/p' "$log.$part" | tail -n 1)
        [ $status = 0 ] && [ -n "$ok" ] || failures=${failures:-1} # a crash has no list, and one that just ends no tests
        good=$((good + ${ok:-0}))
        bad=$((bad + ${failures:-0}))
        [ "${failures:-0}" = 0 ] || grep -v -E '^\[ +(OK|RUN) ' "$log.$part" | tail -n 80
        part=$((part + 1))
    done
    pids=
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ $bad = 0 ]; then
        echo "passed  $label $(basename "$binary") ($good), $(seconds_since "$started")"
    else
        echo "FAILED  $label $(basename "$binary") ($bad), see above"
    fi
}

scripts/install-deps.sh test || exit 1
check "architecture" python3 scripts/check-architecture.py
check "architecture, the checker itself" python3 tests/scripts/check_architecture_test.py
if clang-format --version 2>/dev/null | grep -q ' 14\.'; then
    check "format" scripts/format.sh --check
else
    echo "skipped format: no clang-format 14 here"
fi
check "build" scripts/build.sh build -DLOPT_TESTS=ON
[ $failed = 0 ] || finish
for binary in build/tests/test_*; do
    [ -d "$binary" ] || # a folder of CMake's
        run_binary "release" "$binary"
done
# Of GPUs only what needs none (the kernels run on the CPU in test_cuda; on a GPU with scripts/gpu-check.sh): what nvcc makes of them.
if command -v nvcc >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ]; then
    check "GPU code within its budget" python3 scripts/gpu-budget.py
    nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
    architectures="80 90 100"
    case $("$nvcc" --version) in *"release 11."* | *"release 12."[0-7]*) architectures="80 90" ;; esac
    check "GPU code of every architecture" python3 tests/scripts/gpu_code_test.py build/liblopt.so $architectures
else
    echo "skipped GPU code within its budget: no nvcc here"
fi
for isa in avx2 baseline; do
    for folder in optimizer train oracle; do # of the tasks, test_tasks itself tries every instruction set
        run_binary "$isa" "build/tests/test_$folder" LOPT_ISA=$isa
    done
done
check "installed package" sh tests/install/run.sh build
check "variants of GPU code" python3 scripts/gpu-variants.py --check
check "scripts explain themselves" sh tests/scripts/usage_test.sh
check "the ends of a Slurm job" sh tests/scripts/launch_slurm_test.sh
check "training in stages" sh tests/scripts/train_stages_test.sh build
if echo 'int LLVMFuzzerTestOneInput(const char *b, unsigned long n) { return b == 0 && n; }' |
    clang -x c - -fsanitize=fuzzer -o "$log.fuzzer" 2>/dev/null; then
    check "two parsers, fuzzed for a moment" scripts/fuzz.sh 2 safetensors config
else
    echo "skipped fuzzing: no clang with libFuzzer here"
fi
# C++, which is the tests' own code and the emulated kernels, with -O1: as fast to run, and twice as fast to compile.
check "build with sanitizers" scripts/build.sh build-sanitize -DLOPT_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -fstrict-aliasing -g1 -DNDEBUG" -DLOPT_SANITIZE=address,undefined
[ $failed = 0 ] || finish
# But for some that take long and touch no memory that others do not: whole trainings, many minibatches, large images, the same bits once more.
long='Lasting.*:*PlainDescentLowersTheLoss/*:*LearnsWithAdam*:*AdamTrainsThem:*MinibatchGradientsAverageToThatOfAllData/*'
long=$long:'*LossIsNeverNegative/digits_conv*:Mixed.SameBits*:Scheduled.SameBits*:Sums.*SameBits*:*LargerChunks'
long=$long:'*CudaResumeSizes*/2:*TwoStreamsAtOnce*:*OnDevice.EveryRunHasTheSameBits*:*StepsCanBeTimed*:*SixteenBitNumbersFollow*'
long=$long:'*OnDevice.AgreesWithTheCpu*:Mixed.FollowsFp32:*BothWaysAreAsGood*'
for binary in build-sanitize/tests/test_*; do
    [ -d "$binary" ] || run_binary "sanitized" "$binary" GTEST_FILTER="-$long"
done
finish
