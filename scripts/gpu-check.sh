#!/bin/sh
# On a machine with an NVIDIA GPU: builds, runs every test that wants one, compute-sanitizer's four tools, the benchmarks and the rivals, and
# writes bench/results/DATE-GPU/ to be looked at and committed.
# Usage: scripts/gpu-check.sh [--quick] [--minutes N] [--built DIR]
#   --quick       no sanitizer, no rivals
#   --minutes N   what is not done by then is cut off or left out, and counts as failed (default 10)
#   --built DIR   tests and measures what is in DIR already, built elsewhere for the same path, instead of building
set -u
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1:-} in -h | --help) usage && exit ;; esac
cd "$(dirname "$0")/.."

quick=no
minutes=10
built=
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=yes ;;
        --minutes)
            minutes=${2:-}
            case $minutes in *[!0-9]* | "") echo "--minutes $minutes: it must be a whole number" >&2; exit 2 ;; esac
            shift
            ;;
        --built)
            built=${2:-}
            [ -f "$built/lopt" ] || { echo "--built $built: there is no ${built:-DIR}/lopt to run" >&2; exit 2; }
            shift
            ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "There is no NVIDIA GPU with a working driver here (nvidia-smi fails), so there is nothing to check." >&2
    exit 1
fi
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)
out=bench/results/$(date +%Y-%m-%d)-$(echo "$gpu" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
build=${built:-build-gpu}
table=$out/README.md
failed=0
mkdir -p "$out"
rm -f "$out"/*.txt "$out"/*.json # of an earlier run on the same day
printf '# %s, %s\n\ndriver %s, %s, lopt at %s; written by scripts/gpu-check.sh.\n\n| what | result |\n|---|---|\n' "$gpu" "$(date +%Y-%m-%d)" \
    "$driver" "$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/CUDA \1/p')" "$(git rev-parse --short HEAD 2>/dev/null)" >"$table"

row() { # row NAME RESULT
    printf '| %s | %s |\n' "$1" "$2" >>"$table"
    printf '%-44s %s\n' "$1" "$2"
}
deadline=$(($(date +%s) + 60 * minutes))
check() { # check NAME FILE SECONDS COMMAND...: output goes to the file; what does not end in time must not take the rest with it
    name=$1
    file=$out/$2
    limit=$3
    shift 3
    started=$(date +%s)
    [ $limit -lt $((deadline - started)) ] || limit=$((deadline - started))
    if [ $limit -le 0 ]; then
        failed=$((failed + 1))
        row "$name" "**NOT RUN**: the $minutes minutes are over; see --minutes"
        return
    fi
    status=0
    timeout -k 10 $limit "$@" >"$file" 2>&1 || status=$?
    sed -i "s|$PWD/||g" "$file" # where this clone lies is of no use to who reads it
    if [ $status = 0 ]; then
        row "$name" "passed ($(($(date +%s) - started)) s), [$(basename "$file")]($(basename "$file"))"
    else
        failed=$((failed + 1))
        row "$name" "**FAILED** ($(($(date +%s) - started)) s), [$(basename "$file")]($(basename "$file"))"
        tail -n 20 "$file"
    fi
}

if [ -z "$built" ]; then
    check "build" build.txt $((60 * minutes)) scripts/build.sh $build -DLOPT_TESTS=ON -DLOPT_CUDA=ON
    [ $failed = 0 ] || exit 1
    check "compiled code within its budget" budget.txt 60 python3 scripts/gpu-budget.py
fi
if ! $build/lopt info | grep -q 'cuda: yes'; then
    $build/lopt info | grep 'cuda:' >&2
    exit 1
fi
# First what blocks wait for each other in: should that never end, no time is left for anything else.
check "steps in one launch, and graphs" first.txt 90 env LOPT_TEST_GPU=cuda $build/tests/test_cuda --gtest_filter='*/Fused.*:FusedSteps.*:CudaGraph.*:-*/Emulated'
if [ $status = 124 ] || [ $status = 137 ]; then
    echo "A step does not end; see $out/first.txt. With LOPT_CUDA_OVERLAP=0 in the environment it is not the overlap of kernels." >&2
    exit 1
fi
# All that the tests do on the emulated GPU too, but what cannot be asked of a real one.
check "tests on the GPU" tests.txt 240 env LOPT_TEST_GPU=cuda $build/tests/test_cuda --gtest_filter='-*/Emulated:Emulation*:Mma*:Coarse*'
skipped=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$out/tests.txt" | tail -n 1)
row "of these, skipped" "${skipped:-0}"
# NCCL as the system has it, or as PyTorch's packages bring it.
LOPT_TEST_NCCL_GPUS=$(nvidia-smi -L | grep -c '^GPU')
[ -z "${CUDA_VISIBLE_DEVICES:-}" ] || LOPT_TEST_NCCL_GPUS=$(echo "$CUDA_VISIBLE_DEVICES" | tr , '\n' | grep -c .)
export LOPT_TEST_NCCL_GPUS
if [ -z "${LOPT_NCCL_LIBRARY:-}" ] && ! ldconfig -p | grep -q 'libnccl\.so\.2'; then
    LOPT_NCCL_LIBRARY=$(python3 -c 'import nvidia.nccl as n; print(list(n.__path__)[0] + "/lib/libnccl.so.2")' 2>/dev/null)
    export LOPT_NCCL_LIBRARY
fi
if [ -n "${LOPT_NCCL_LIBRARY-system}" ]; then
    check "NCCL, one rank on each GPU" nccl.txt 120 env LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/usr/local/cuda/lib64" \
        $build/tests/test_dist --gtest_filter='RealNccl*'
else
    row "NCCL, one rank on each GPU" "skipped: no NCCL library"
fi
check "what compiled code allows, predicted" bounds.txt 60 python3 scripts/gpu-budget.py --bounds
# A kernel for each phase whatever the size, then one from phase 1 on: to see that each size goes the faster way; then as steps are launched.
for launches in phases fused; do
    check "bench step, launches: $launches" step-$launches.txt 120 $build/lopt bench step --device cuda --attention on --seconds 0.5 \
        --launches $launches
done
check "bench step" step.txt 180 $build/lopt bench step --device cuda --seconds 1 --json "$out/step.json"
check "bench step, the caller's found_inf" step-found-inf.txt 120 $build/lopt bench step --device cuda --seconds 0.5 --found-inf
if [ $quick = no ]; then
    if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
        check "rivals" rivals.txt 300 python3 scripts/bench-rivals.py --library $build/liblopt.so
    else
        row "rivals" "skipped: no PyTorch that sees the GPU"
    fi
    sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    # The large model and the thousand steps would take hours under it, and fifty take racecheck more than a minute.
    few='*AgreesWithTheCpu/Gpu:*ReplayedGraphs*/Gpu:CudaGraph.Replay*:FusedSteps.AreThose*:*NonFinite*/Gpu:*EveryStepIsTheCpusRounded/Gpu:*/Fused.*/fp32:*/Fused.*/spans'
    for tool in memcheck racecheck synccheck initcheck; do
        tests=$few
        [ $tool = racecheck ] || tests=$few:*BothWays*/Gpu
        if [ -x "$sanitizer" ]; then
            check "compute-sanitizer $tool" "sanitizer-$tool.txt" 120 env LOPT_TEST_GPU=cuda "$sanitizer" --tool $tool \
                --error-exitcode 9 $build/tests/test_cuda --gtest_filter="$tests"
        else
            row "compute-sanitizer $tool" "skipped: not installed"
        fi
    done
fi
{
    printf '\n```\n'
    for text in bounds step step-found-inf step-phases step-fused rivals; do
        [ ! -f "$out/$text.txt" ] || { cat "$out/$text.txt"; echo; }
    done
    printf '```\n'
} >>"$table"
echo "All of it is in $out; look at it and commit it."
[ $failed = 0 ]
