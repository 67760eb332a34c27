#!/bin/sh
# Profiles a GPU step: Nsight Compute on each kernel, with its line under the roof, and Nsight Systems on a run, where they are installed.
# Usage: scripts/profile.sh [OUT-DIR]      (default: runs/profile)
set -u
cd "$(dirname "$0")/.."

out=${1:-runs/profile}
build=build-gpu
if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "There is no NVIDIA GPU with a working driver here (nvidia-smi fails), so there is nothing to profile." >&2
    exit 1
fi
mkdir -p "$out"
scripts/build.sh $build -DLOPT_TESTS=OFF -DLOPT_CUDA=ON || exit 1
run="$build/lopt bench step --device cuda --params 30M --attention on --seconds 0.1"
found=no
if command -v ncu >/dev/null 2>&1; then
    found=yes
    # Each kernel of the steps once it is warm. The percentages are of this GPU's peaks: whichever of the two is larger is the roof it is under.
    ncu --force-overwrite --export "$out/kernels" --kernel-name regex:lopt_ --launch-skip 60 --launch-count 10 --set roofline \
        --section SpeedOfLight --section LaunchStats --section Occupancy $run >"$out/ncu.txt" 2>&1 ||
        { tail -n 5 "$out/ncu.txt"; echo "Nsight Compute failed; it often needs root (NVreg_RestrictProfilingToAdminUsers)." >&2; }
    ncu --import "$out/kernels.ncu-rep" --csv --page raw --metrics \
gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed,dram__bytes.sum,\
smsp__inst_executed.sum,sm__warps_active.avg.pct_of_peak_sustained_active >"$out/kernels.csv" 2>/dev/null &&
        python3 - "$out/kernels.csv" <<'END'
import csv, sys
rows = list(csv.DictReader(line for line in open(sys.argv[1]) if line.startswith('"')))
units, rows = rows[0], rows[1:]
def pick(row, part): return next((row[k] + " " + (units[k] or "") for k in row if k.startswith(part)), "?")
print(f"{'kernel':34} {'time':>14} {'of compute':>12} {'of memory':>12} {'moved':>16} {'warps active':>14}")
for r in rows:
    print(f"{r['Kernel Name'].split('(')[0]:34} {pick(r, 'gpu__time'):>14} {pick(r, 'sm__throughput'):>12} {pick(r, 'gpu__dram'):>12} "
          f"{pick(r, 'dram__bytes'):>16} {pick(r, 'sm__warps'):>14}")
END
fi
if command -v nsys >/dev/null 2>&1; then
    found=yes
    nsys profile --force-overwrite true --trace cuda,nvtx --output "$out/run" $run >"$out/nsys.txt" 2>&1 || tail -n 5 "$out/nsys.txt"
    nsys stats --report nvtx_sum,cuda_gpu_kern_sum "$out/run.nsys-rep" 2>/dev/null
fi
if [ $found = no ]; then
    echo "Neither Nsight Compute (ncu) nor Nsight Systems (nsys) is installed; they come with the CUDA toolkit or from NVIDIA's site." >&2
    exit 1
fi
echo "Reports to open with ncu-ui and nsys-ui are in $out."
