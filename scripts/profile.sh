#!/bin/sh
# Profiles a GPU step: Nsight Compute on each kernel, with its line under the roof, and Nsight Systems on a run, where they are installed.
# Usage: scripts/profile.sh [OUT-DIR [BUILT-DIR]]      (default: runs/profile, and a build of its own)
set -u
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1:-} in
-h | --help) usage && exit ;;
-*) usage >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

out=${1:-runs/profile}
build=${2:-build-gpu}
if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "There is no NVIDIA GPU with a working driver here (nvidia-smi fails), so there is nothing to profile." >&2
    exit 1
fi
mkdir -p "$out"
[ -n "${2:-}" ] || scripts/build.sh $build -DLOPT_TESTS=OFF -DLOPT_CUDA=ON || exit 1
run="$build/lopt bench step --device cuda --params 30M --seconds 0.1"
phases="$run --attention on --launches phases"
found=no
failed=0
if command -v ncu >/dev/null 2>&1; then
    found=yes
    # Each kernel of the steps of the default cell (lopt_advance_any is for others) once it is warm, of both kinds of state. The percentages are of this GPU's peaks: whichever of the two is larger is the
    # roof it is under. The GPU's clocks stay as they are.
    rm -f "$out"/lopt_*.csv
    for kernel in enter prepare step_attending_split step_attending_mma step_plain_split step_plain_mma advance_attending_split advance_attending_mma \
        advance_plain_split advance_plain_mma gather finish apply; do
        echo "profiling lopt_$kernel" >&2
        command=$run
        case $kernel in *_plain_*) command="$command --attention off" ;; *) command="$command --attention on" ;; esac
        case $kernel in enter | prepare | step_*) ;; *) command="$command --launches phases" ;; esac
        ncu --force-overwrite --export "$out/lopt_$kernel" --kernel-name "lopt_$kernel" --launch-skip 5 --launch-count 1 --clock-control none --set roofline --metrics dram__bytes.sum \
            --section SpeedOfLight --section LaunchStats --section Occupancy --section SchedulerStats --section WarpStateStats $command \
            >"$out/ncu-$kernel.txt" 2>&1 ||
            { tail -n 5 "$out/ncu-$kernel.txt"; echo "Nsight Compute failed; it often needs root (NVreg_RestrictProfilingToAdminUsers)." >&2; failed=1; break; }
        ncu --import "$out/lopt_$kernel.ncu-rep" --csv --page raw --metrics \
gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed,dram__bytes.sum,\
smsp__inst_executed.sum,sm__warps_active.avg.pct_of_peak_sustained_active >"$out/lopt_$kernel.csv" 2>/dev/null
    done
    python3 - "$out"/lopt_*.csv <<'END'
import csv, os, sys
def rows_of(path): return list(csv.DictReader(line for line in open(path) if line.startswith('"')))
def pick(row, units, part): return next((row[k] + " " + (units[k] or "") for k in row if k.startswith(part)), "?")
print(f"{'kernel':34} {'time':>14} {'of compute':>12} {'of memory':>12} {'moved':>16} {'warps active':>14}")
for path in sys.argv[1:]:
    rows = rows_of(path) if os.path.exists(path) else []
    if not rows: continue
    units = rows[0]
    for r in rows[1:]:
        print(f"{r['Kernel Name'].split('(')[0]:34} {pick(r, units, 'gpu__time'):>14} {pick(r, units, 'sm__throughput'):>12} {pick(r, units, 'gpu__dram'):>12} "
              f"{pick(r, units, 'dram__bytes'):>16} {pick(r, units, 'sm__warps'):>14}")
END
fi
if command -v nsys >/dev/null 2>&1; then
    found=yes
    nsys profile --force-overwrite true --trace cuda,nvtx --output "$out/run" $phases >"$out/nsys.txt" 2>&1 || { tail -n 5 "$out/nsys.txt"; failed=1; }
    nsys stats --report nvtx_sum,cuda_gpu_kern_sum "$out/run.nsys-rep" 2>/dev/null
fi
if [ $found = no ]; then
    echo "Neither Nsight Compute (ncu) nor Nsight Systems (nsys) is installed; they come with the CUDA toolkit or from NVIDIA's site." >&2
    exit 1
fi
echo "Reports to open with ncu-ui and nsys-ui are in $out."
exit $failed
