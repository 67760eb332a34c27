#!/bin/sh
# Meta-trains as a Slurm job, on one node or on many. Slurm tells the processes two minutes before the time limit; they write a checkpoint and
# end, and the job queues again until the run is done. Also after a node has failed.
#   sbatch --ntasks=128 scripts/launch-slurm.sh runs/mine --config configs/stage-1.json
#   sbatch --nodes=4 --ntasks-per-node=32 --time=4:00:00 scripts/launch-slurm.sh runs/mine --config configs/stage-1.json
# Give absolute paths, or submit from the folder that they are relative to; LOPT names the command (default: build/lopt of that folder).
#SBATCH --job-name=lopt
#SBATCH --ntasks=32
#SBATCH --cpus-per-task=1
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=lopt-%j.out
set -eu

if [ $# -lt 1 ]; then
    echo "usage: sbatch [OPTION-OF-SBATCH...] scripts/launch-slurm.sh DIR [OPTION-OF-LOPT-TRAIN...]" >&2
    exit 2
fi
dir=$1
shift
resume=""
[ ! -f "$dir/config.json" ] || resume=--resume
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"

# --mpi=pmix: so that the processes find each other. --kill-on-bad-exit: one that dies ends all. The signal reaches the processes themselves.
status=0
srun --mpi=pmix --kill-on-bad-exit=1 "${LOPT:-build/lopt}" train --out "$dir" $resume "$@" || status=$?
[ "$status" != 0 ] || exit 0
if [ "$status" = 138 ]; then # 128 + SIGUSR1: the time is up, and all is saved
    echo "time is up after a checkpoint; queueing again"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
echo "the run failed with status $status; what was saved is in $dir, and the same command goes on from there" >&2
exit "$status"
