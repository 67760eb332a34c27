#!/bin/sh
# Every script explains itself with --help, and does nothing else then; those that want arguments say which.
set -u
scripts=$(cd "$(dirname "$0")/../../scripts" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
wrong=0
expect() { # expect STATUS WHERE COMMAND...: its usage is on stdout or stderr
    wanted=$1
    where=$2
    shift 2
    timeout 20 "$@" >stdout 2>stderr </dev/null
    status=$?
    if [ $status != "$wanted" ] || ! grep -qi '^usage:\|^ *sbatch \|^    scripts/' $where; then
        echo "FAILED: $*: status $status instead of $wanted, or no usage on $where:"
        cat stdout stderr
        wrong=1
    fi
}
for script in "$scripts"/*; do
    expect 0 stdout "$script" --help
    [ "$(ls | grep -cv '^std')" = 0 ] || { echo "FAILED: $script --help left $(ls)"; wrong=1; }
done
expect 2 stderr "$scripts/build.sh"
expect 2 stderr "$scripts/install-deps.sh" biuld
expect 2 stderr "$scripts/test.sh" unit
expect 2 stderr "$scripts/train-stages.sh" runs/mine
expect 2 stderr "$scripts/launch-mpirun.sh" 2
expect 2 stderr "$scripts/launch-slurm.sh"
expect 2 stderr "$scripts/gpu-check.sh" --fast
expect 2 stderr "$scripts/profile.sh" --fast
expect 2 stdout python3 "$scripts/gpu-budget.py" --wirte
if timeout 20 "$scripts/quickstart.sh" --iterations many 2>stderr || ! grep -q "iterations many: it must be a whole number" stderr; then
    echo "FAILED: quickstart.sh --iterations many"
    cat stderr
    wrong=1
fi
if command -v mpirun >/dev/null 2>&1; then # the number of ranks is looked at after that
    "$scripts/launch-mpirun.sh" two runs/mine 2>stderr
    [ $? = 2 ] && grep -q "two ranks: it must be a whole number" stderr || { echo "FAILED: two ranks"; cat stderr; wrong=1; }
fi
if RETRIES=many "$scripts/launch-mpirun.sh" 2 runs/mine 2>stderr || ! grep -q "RETRIES=many: it must be a whole number" stderr; then
    echo "FAILED: RETRIES=many"
    cat stderr
    wrong=1
fi
printf '#!/bin/sh\necho "neither this nor that"; exit 1\n' >cmake
chmod +x cmake
if PATH="$scratch:$PATH" "$scripts/build.sh" "$scratch/build" 2>stderr || ! grep -q "neither this nor that" stderr; then
    echo "FAILED: what a build that fails says last"
    cat stderr
    wrong=1
fi
if mkdir -p full/build.log && "$scripts/build.sh" "$scratch/full" 2>stderr || ! grep -q "full cannot be written to" stderr; then
    echo "FAILED: a build where nothing can be written"
    cat stderr
    wrong=1
fi
printf '#!/bin/sh\nexit 0\n' | tee clang-format >git
chmod +x clang-format git
if PATH="$scratch:$PATH" "$scripts/format.sh" --check >stdout 2>&1; then
    echo "FAILED: no sources, and all of them formatted"
    cat stdout
    wrong=1
fi
exit $wrong
