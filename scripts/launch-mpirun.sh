#!/bin/sh
# Meta-trains with many processes by Open MPI's mpirun, on this host or on several, and goes on from the last checkpoint where a run was
# interrupted. Also inside containers, as root.
# Usage: scripts/launch-mpirun.sh RANKS DIR [OPTION-OF-LOPT-TRAIN...]
#   scripts/launch-mpirun.sh 8 runs/mine --config configs/stage-1.json
#   HOSTS=alpha:16,beta:16 scripts/launch-mpirun.sh 32 runs/mine --config configs/stage-1.json
# Environment:
#   HOSTS    hosts with their numbers of processes, as mpirun --host takes them; lopt and the folder of DIR must be there under the same paths
#            (only the first host's files are used, but for data sets that a task reads)
#   LOPT     the command (default: build/lopt of this tree, else lopt)
#   RETRIES  how often to go on after a failure (default 3); a run that was stopped by a signal stays stopped
#   MPIRUN_OPTIONS    more options for mpirun, as "--mca btl_tcp_if_include eth0"
# Ctrl-C and SIGTERM write a checkpoint first: mpirun itself would give the processes one second.
set -eu
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1:-} in -h | --help) usage && exit ;; esac

if [ $# -lt 2 ]; then
    usage >&2
    exit 2
fi
ranks=$1
case $ranks in
*[!0-9]* | "" | 0)
    echo "$ranks ranks: it must be a whole number, 1 or more" >&2
    exit 2
    ;;
esac
dir=$2
shift 2
left=${RETRIES:-3}
case $left in
*[!0-9]*)
    echo "RETRIES=$left: it must be a whole number" >&2
    exit 2
    ;;
esac
command -v mpirun >/dev/null 2>&1 || {
    echo "mpirun is not on this machine; on Debian:  apt-get install openmpi-bin libopenmpi-dev" >&2
    exit 1
}
if [ -z "${LOPT:-}" ]; then
    LOPT=$(cd "$(dirname "$0")/.." && pwd)/build/lopt
    [ -x "$LOPT" ] || LOPT=lopt
fi
if [ "$(id -u)" = 0 ]; then # as in a container
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_rmaps_base_oversubscribe=1
[ "$ranks" -le "$(nproc)" ] || [ -n "${HOSTS:-}" ] || export OMPI_MCA_hwloc_base_binding_policy=none

job=""
stopped=0 # 128 + the signal that came
stop() { # mpirun hands SIGUSR1 on to the processes, which save and end
    stopped=$1
    [ -z "$job" ] || kill -USR1 "$job" 2>/dev/null || true
}
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP
trap 'stop 138' USR1

# Where a host is cut off, the processes end, but mpirun waits for its helper there for as long as TCP does: a quarter of an hour.
watch_over() { # watch_over PID-OF-MPIRUN
    if ! command -v pgrep >/dev/null 2>&1 || ! command -v ps >/dev/null 2>&1; then
        [ -z "${HOSTS:-}" ] || echo "note: without pgrep and ps (Debian: procps) nobody sees that mpirun waits for a host that is cut off" >&2
        return 0
    fi
    seen=no
    idle=0
    while kill -0 "$1" 2>/dev/null; do
        # Its children here: the ranks, whatever they are called (LOPT may be a script), and its helpers for other hosts.
        if pgrep -P "$1" | xargs -r ps -o comm= -p 2>/dev/null | grep -qvE '^(ssh|rsh|srun|orted|prted|qrsh)$'; then
            seen=yes
            idle=0
        elif [ $seen = yes ]; then
            idle=$((idle + 1))
        fi
        if [ $idle -ge 5 ]; then
            echo "the processes have ended, but mpirun waits for a host that does not answer: ending it" >&2
            kill -KILL "$1" 2>/dev/null || true
        fi
        sleep 1
    done
}

# In a session of its own, where Ctrl-C does not reach it, and waited for in a loop, since a signal ends a wait.
launch() { # launch OPTION-OF-LOPT-TRAIN...
    setsid mpirun -n "$ranks" ${HOSTS:+--host "$HOSTS"} ${MPIRUN_OPTIONS:-} "$LOPT" train --out "$dir" "$@" &
    job=$!
    watch_over "$job" &
    status=0
    while :; do
        wait "$job" && status=0 || status=$?
        kill -0 "$job" 2>/dev/null || break
    done
    job=""
}

leave_if_stopped() {
    [ "$stopped" = 0 ] || { echo "stopped; the same command goes on from the checkpoint" >&2; exit "$stopped"; }
}
resume=""
[ ! -f "$dir/config.json" ] || resume=--resume
while :; do
    launch $resume "$@"
    [ "$status" != 0 ] || exit 0
    if [ "$stopped" != 0 ]; then
        [ "$status" = 138 ] || stopped=$status # 138: the SIGUSR1 that the processes were sent
        leave_if_stopped
    fi
    if [ "$status" = 2 ] || [ ! -f "$dir/config.json" ]; then # the arguments, or the configuration, are wrong
        echo "the run failed with status $status before it had begun" >&2
        exit "$status"
    fi
    if [ "$left" -le 0 ]; then
        echo "the run failed with status $status; what was saved is in $dir, and the same command goes on from there" >&2
        exit "$status"
    fi
    left=$((left - 1))
    echo "the run ended with status $status; going on from the last checkpoint ($left more tries)" >&2
    resume=--resume
    # Processes can outlive their launcher until they have saved, and hold the run directory.
    sleep 3
    if [ -e "$dir/lock" ] && command -v flock >/dev/null 2>&1; then
        flock -w 300 "$dir/lock" true &
        wait $! || true # which a signal ends
    fi
    leave_if_stopped
done
