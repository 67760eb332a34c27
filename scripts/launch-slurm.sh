#!/bin/sh
# Meta-trains as a Slurm job, on one node or on many. Slurm tells the processes two minutes before the time limit; they write a checkpoint and
# end, and the job queues again until the run is done. After a failure it goes on from the last checkpoint: here, while this job has its nodes, or
# queued again by Slurm where it has noticed that a node failed.
#   sbatch --ntasks=128 scripts/launch-slurm.sh runs/mine --config configs/stage-1.json
#   sbatch --nodes=4 --ntasks-per-node=32 --time=4:00:00 scripts/launch-slurm.sh runs/mine --config configs/stage-1.json
# Give absolute paths, or submit from the folder that they are relative to.
# Environment:
#   LOPT            the command (default: build/lopt of the folder of the submission)
#   RETRIES         how often to go on after a failure (default 3)
#   PAUSE           seconds before the first of these (default 60), twice as many before each one after it: a process that was cut off holds the
#                   run directory until its comm.deadline, 300 s, is over
#   SLURM_MPI_TYPE  how processes find each other (default pmix, which Debian's Slurm and Open MPI have in common; srun --mpi=list)
#SBATCH --job-name=lopt
#SBATCH --ntasks=32
#SBATCH --cpus-per-task=1
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=lopt-%j.out
set -eu
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# //p' "$0" && exit ;; esac

if [ $# -lt 1 ]; then
    echo "usage: sbatch [OPTION-OF-SBATCH...] scripts/launch-slurm.sh DIR [OPTION-OF-LOPT-TRAIN...]" >&2
    exit 2
fi
dir=$1
shift
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"

left=${RETRIES:-3}
pause=${PAUSE:-60}
case $left$pause in
*[!0-9]*)
    echo "RETRIES=$left PAUSE=$pause: they must be whole numbers" >&2
    exit 2
    ;;
esac
while :; do
    resume=""
    [ ! -f "$dir/config.json" ] || resume=--resume
    status=0
    # --kill-on-bad-exit: one that dies ends all. The signal reaches the processes themselves. --cpus-per-task: srun does not take it from the job.
    srun --mpi="${SLURM_MPI_TYPE:-pmix}" --kill-on-bad-exit=1 --cpus-per-task="$OMP_NUM_THREADS" \
        "${LOPT:-build/lopt}" train --out "$dir" $resume "$@" || status=$?
    [ "$status" != 0 ] || exit 0
    if [ "$status" = 138 ]; then # 128 + SIGUSR1: the time is up, and all is saved
        echo "time is up after a checkpoint; queueing again"
        scontrol requeue "$SLURM_JOB_ID"
        exit 0
    fi
    if [ "$status" = 143 ] || [ "$status" = 130 ]; then # SIGTERM, SIGINT to the step
        echo "stopped; the same command goes on from the checkpoint" >&2
        exit "$status"
    fi
    if [ "$status" = 2 ] || [ ! -f "$dir/config.json" ]; then # the arguments, or the configuration, are wrong
        echo "the run failed with status $status before it had begun" >&2
        exit "$status"
    fi
    if [ "$left" -le 0 ]; then
        echo "the run failed with status $status; what was saved is in $dir, and the same command goes on from there" >&2
        exit "$status"
    fi
    echo "the run ended with status $status; trying again from the last checkpoint in $pause s ($left more tries)" >&2
    left=$((left - 1))
    sleep "$pause"
    pause=$((2 * pause))
done
