#!/bin/sh
# A training over several hosts, which are network namespaces of this machine: each has its own interface, addresses and name, and nothing but
# the network between them. Compares the files with one process's, then pulls a cable in the middle of a run, and goes on. Needs root and mpirun.
# Usage: scripts/chaos-hosts.sh [BUILD-DIR]
set -eu
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;; esac
root=$(cd "$(dirname "$0")/.." && pwd)
lopt=$(cd "${1:-$root/build}" && pwd)/lopt
hosts="alpha beta gamma"
deadline=3

[ "$(id -u)" = 0 ] || { echo "network namespaces need root" >&2; exit 1; }
scratch=$(mktemp -d)
cleanup() {
    trap - EXIT
    for host in $hosts; do
        for pid in $(ip netns pids "lopt-$host" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
        ip netns del "lopt-$host" 2>/dev/null || true
    done
    ip netns del lopt-switch 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
fail() {
    echo "FAILED: $*" >&2
    [ ! -f "$scratch/log" ] || tail -n 30 "$scratch/log" >&2
    exit 1
}

# A switch in a namespace of its own, and a cable from each host to it.
ip netns add lopt-switch
ip -n lopt-switch link add br0 type bridge
ip -n lopt-switch link set br0 up
number=0
list=""
for host in $hosts; do
    number=$((number + 1))
    ip netns add "lopt-$host"
    ip -n "lopt-$host" link add eth0 type veth peer name "to-$host" netns lopt-switch
    ip -n lopt-switch link set "to-$host" master br0 up
    ip -n "lopt-$host" addr add "10.213.0.$number/24" dev eth0
    ip -n "lopt-$host" link set lo up
    ip -n "lopt-$host" link set eth0 up
    list="$list${list:+,}10.213.0.$number:2"
done

# What mpirun starts its helpers on other hosts with, in place of ssh: AGENT ADDRESS COMMAND...
cat >"$scratch/agent" <<EOF
#!/bin/sh
case \$1 in
*.1) name=alpha ;;
*.2) name=beta ;;
*.3) name=gamma ;;
esac
shift
exec ip netns exec "lopt-\$name" unshare --uts sh -c "hostname \$name; exec \$*"
EOF
chmod +x "$scratch/agent"

export OMPI_MCA_hwloc_base_binding_policy=none OMP_NUM_THREADS=1 RETRIES=0 LOPT="$lopt" HOSTS="$list"
export MPIRUN_OPTIONS="--mca plm_rsh_agent $scratch/agent --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 --map-by node"
train() { # train RANKS DIR OPTION...: from the first host; waited for, since a signal ends a wait, and nothing else that hangs
    ip netns exec lopt-alpha unshare --uts sh -c 'hostname alpha; exec "$@"' sh "$root/scripts/launch-mpirun.sh" "$@" >"$scratch/log" 2>&1 &
    wait $!
}
settings="--set iterations=40 --set particles=7 --set checkpoint.every=5 --set window.min=30 --set window.mean=0 --set comm.deadline=$deadline"
settings="$settings --set tasks=quadratic:n=20,noise=0.5;rosenbrock;softmax_regression:features=30,sep=1,batch=50"

"$lopt" train --out "$scratch/alone" $settings >/dev/null 2>&1 || fail "one process"
for ranks in 2 3 6; do
    train $ranks "$scratch/of-$ranks" $settings || fail "$ranks ranks on 3 hosts"
    for file in weights.safetensors checkpoint-0000000040.safetensors checkpoint-0000000035.safetensors config.json; do
        cmp -s "$scratch/alone/$file" "$scratch/of-$ranks/$file" || fail "$file of $ranks ranks on 3 hosts differs from one process's"
    done
    echo "passed  $ranks ranks on 3 hosts: the files of one process"
done

longer="$settings --set iterations=1000"
wait_for_lines() { # wait_for_lines COUNT
    tries=0
    until [ "$(cat "$scratch/cut/metrics.jsonl" 2>/dev/null | wc -l)" -ge "$1" ]; do
        sleep 0.1
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "the run does not reach meta-iteration $1"
    done
}
train 3 "$scratch/cut" $longer &
job=$!
wait_for_lines 12
ip -n lopt-switch link set to-gamma down
before=$(date +%s)
if wait "$job"; then fail "a job without its third host ended with status 0"; fi
took=$(($(date +%s) - before))
[ "$took" -le $((deadline + 5 + 7)) ] || fail "it took $took s until the job ended" # the launcher waits some seconds for its helper
grep -q "rank 2 (process [0-9]* on gamma) did not come to" "$scratch/log" || fail "nobody named the rank that was cut off"
echo "passed  a host that is cut off is named, and the job ends after $took s (deadline $deadline s)"

ip -n lopt-switch link set to-gamma up
done=$(cat "$scratch/cut/metrics.jsonl" | wc -l)
"$lopt" train --out "$scratch/alone-longer" $longer >/dev/null 2>&1 || fail "one process"
train 4 "$scratch/cut" || fail "going on after the cut, from meta-iteration $done"
cmp -s "$scratch/alone-longer/weights.safetensors" "$scratch/cut/weights.safetensors" || fail "the weights after the cut differ"
echo "passed  the run goes on from its checkpoint at about meta-iteration $done, to the files of one process"
echo "5 passed, 0 failed"
