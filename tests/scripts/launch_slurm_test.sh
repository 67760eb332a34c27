#!/bin/sh
# What scripts/launch-slurm.sh makes of the ends that a run can have, with stand-ins for srun and scontrol.
set -eu
script=$(cd "$(dirname "$0")/../.." && pwd)/scripts/launch-slurm.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin" "$scratch/run" "$scratch/fresh"
echo '{}' >"$scratch/run/config.json"

# Ends as the next line of the file `statuses` says; notes its arguments.
cat >"$scratch/bin/srun" <<'END'
#!/bin/sh
echo "$@" >>"$STAND_IN/calls"
status=$(head -n 1 "$STAND_IN/statuses")
sed -i 1d "$STAND_IN/statuses"
exit "$status"
END
cat >"$scratch/bin/scontrol" <<'END'
#!/bin/sh
echo "$@" >>"$STAND_IN/requeued"
END
chmod +x "$scratch/bin/srun" "$scratch/bin/scontrol"

fail() {
    echo "launch-slurm.sh: $*" >&2
    exit 1
}
# expect WHAT DIR STATUS CALLS WORDS END...: statuses that srun ends with, one after the other
expect() {
    what=$1 dir=$2 want=$3 calls=$4 words=$5
    shift 5
    rm -f "$scratch/calls" "$scratch/requeued"
    printf '%s\n' "$@" >"$scratch/statuses"
    status=0
    PATH="$scratch/bin:$PATH" STAND_IN=$scratch SLURM_JOB_ID=77 SLURM_CPUS_PER_TASK=3 RETRIES=2 PAUSE=0 LOPT=the-command \
        sh "$script" "$dir" --config c.json >"$scratch/out" 2>&1 || status=$?
    [ "$status" = "$want" ] || fail "$what: status $status instead of $want"
    [ "$(wc -l <"$scratch/calls")" = "$calls" ] || fail "$what: $(wc -l <"$scratch/calls") runs instead of $calls"
    [ -z "$words" ] || grep -q "$words" "$scratch/out" || fail "$what: does not say \"$words\" but: $(cat "$scratch/out")"
}

expect "a run that is done" "$scratch/run" 0 1 "" 0
grep -q -- "--mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=3 the-command train --out $scratch/run --resume --config c.json" "$scratch/calls" ||
    fail "the command is $(cat "$scratch/calls")"
expect "a new run" "$scratch/fresh" 0 1 "" 0
! grep -q -- --resume "$scratch/calls" || fail "a new run is resumed"
expect "a failure, then none" "$scratch/run" 0 2 "trying again from the last checkpoint in 0 s (2 more tries)" 1 0
expect "time is up" "$scratch/run" 0 1 "queueing again" 138
grep -q "requeue 77" "$scratch/requeued" || fail "the job is not queued again"
expect "time is up after a failure" "$scratch/run" 0 2 "queueing again" 137 138
expect "stopped" "$scratch/run" 143 1 "stopped; the same command goes on" 143
expect "a wrong option" "$scratch/run" 2 1 "before it had begun" 2
expect "failures without end" "$scratch/run" 1 3 "what was saved is in" 1 1 1 1
expect "a failure at the start" "$scratch/fresh" 1 1 "before it had begun" 1
status=0
PATH="$scratch/bin:$PATH" STAND_IN=$scratch RETRIES=many sh "$script" "$scratch/run" >"$scratch/out" 2>&1 || status=$?
[ $status = 2 ] && grep -q "RETRIES=many" "$scratch/out" || fail "RETRIES=many: status $status, $(cat "$scratch/out")"
[ ! -f "$scratch/requeued" ] || fail "a failed job is queued again"
echo "launch-slurm.sh: all as expected"
