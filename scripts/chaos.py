#!/usr/bin/env python3
"""Breaks a training in every way it can, again and again, and compares what comes out with the unbroken run.

    scripts/chaos.py [--kills 200] [--seed 1] [--build build] [--keep]

Starts a training on a random number of ranks and threads, and after a random time kills (SIGKILL) a rank, the launcher, or all at once, freezes
a rank (SIGSTOP, the deadline must end the job), asks it to stop (SIGTERM, SIGUSR1), fills the disk (a small tmpfs; needs root), or lets fsync fail; sometimes
it then cuts the newest checkpoint short. Then it goes on, with another number, until the run is done and enough kills were made. Fails if
anything is lost: weights, checkpoints or metrics (but for times) that differ from the unbroken run's, more recomputed than one checkpoint interval (two
after a cut), an end that takes longer than the deadline + 5 s, or exit status 0 of a broken job. Needs mpirun, and cc for the failing fsync."""
import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVERY, DEADLINE, GRACE = 10, 3.0, 5.0
FRUITLESS = 50
RANKS = (1, 2, 3, 4, 5, 8)
# about 20 ms of work in a meta-iteration, uneven between particles; noise, batches, restarts, persistent pairs
SETTINGS = [f"checkpoint.every={EVERY}", "particles=6", "estimator=pes", "es.pairs=2", "weights.options=param=5,tensor=4,global=3", "window.min=60",
            "window.mean=40", "window.max=200", "horizon.windows_mean=6",
            "tasks=quadratic:n=20,noise=0.5;rosenbrock;softmax_regression:features=30,sep=1,batch=50"]


def environment(threads, **more):
    return dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                OMPI_MCA_hwloc_base_binding_policy="none", OMP_NUM_THREADS=str(threads), **more)


def ranks_of(launcher):
    """Process numbers of the ranks that a launcher has started."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == launcher and "lopt" in (stat.parent / "comm").read_text():
                found.append(int(stat.parent.name))
        except (OSError, IndexError):
            pass
    return sorted(found)


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def lines_of(run):
    """(meta-iteration, line without its time) of the metrics; a torn last line is left out."""
    try:
        text = (run / "metrics.jsonl").read_text()
    except OSError:
        return []
    return [(json.loads(line)["iteration"], re.sub(r'"seconds":[^,]*,', "", line)) for line in text.split("\n")[:-1]]


def checkpoints(run):
    return sorted(run.glob("checkpoint-*.safetensors"))


def iteration_of(path):
    return int(re.search(r"(\d+)\.safetensors", path.name).group(1))


class Chaos:
    def __init__(self, build, scratch, iterations, mounted):
        self.lopt, self.scratch, self.mounted = build / "lopt", scratch, mounted
        self.iterations = iterations
        self.settings = SETTINGS + [f"iterations={iterations}"]
        self.run = scratch / "disk" / "run"
        self.counts, self.restarts, self.recomputed, self.ends, self.faults = {}, [], [], [], []
        self.fruitless = 0 # starts in a row that failed by themselves, before anything was done to them
        self.shim = scratch / "failing_fsync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", ROOT / "tests/chaos/failing_fsync.c", "-o", self.shim], check=True)

    def command(self, run, resume):
        options = ["--resume", "--set", f"comm.deadline={DEADLINE}"] if resume else []
        settings = [] if resume else [w for s in self.settings + [f"comm.deadline={DEADLINE}"] for w in ("--set", s)]
        return [str(self.lopt), "train", "--out", str(run), *options, *settings]

    def fault(self, text):
        self.faults.append(text)
        print("FAULT:", text, flush=True)

    def kills(self):
        return sum(self.counts.get(k, 0) for k in ("kill a rank", "kill the launcher", "kill all"))

    def wait_ranks(self, pids):
        limit = time.time() + 20
        while time.time() < limit and any(pathlib.Path(f"/proc/{p}").exists() for p in pids):
            time.sleep(0.02)
        left = [p for p in pids if pathlib.Path(f"/proc/{p}").exists()]
        if left:
            self.fault(f"processes {left} outlive their job")
            for p in left:
                send(p, signal.SIGKILL)

    def strike(self, kind, job):
        """Does the harm; returns the ranks that were there, and the seconds in which the job must have ended."""
        ranks = ranks_of(job.pid)
        if kind in ("kill a rank", "freeze a rank") and not ranks:
            kind = "kill the launcher"
        if kind == "freeze a rank" and len(ranks) == 1: # nobody else is there to notice
            kind = "kill a rank"
        limit = DEADLINE + GRACE
        if kind == "kill a rank":
            send(random.choice(ranks), signal.SIGKILL)
        elif kind == "kill the launcher":
            send(job.pid, signal.SIGKILL)
        elif kind == "kill all":
            for p in [*ranks, job.pid]:
                send(p, signal.SIGKILL)
        elif kind == "freeze a rank":
            send(random.choice(ranks), signal.SIGSTOP)
        elif kind == "ask to stop":
            send(job.pid, random.choice((signal.SIGTERM, signal.SIGUSR1)))
        elif kind == "fill the disk":
            with open(self.scratch / "disk" / "filler", "wb", buffering=0) as f:
                try:
                    while True:
                        f.write(bytes(1 << 16))
                except OSError:
                    pass
            limit = 60.0
        elif kind == "fail fsync":
            limit = 60.0
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return ranks, limit, kind

    def cut_newest(self):
        newest = checkpoints(self.run)
        if len(newest) == 2:
            size = newest[1].stat().st_size
            os.truncate(newest[1], random.randrange(size))
            self.counts["cut the newest checkpoint"] = self.counts.get("cut the newest checkpoint", 0) + 1
            return True
        return False

    def log(self):
        return os.open(self.scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)

    def start(self, resume, extra):
        """The launcher of a job on a random number of ranks, without whatever LD_PRELOAD does to mpirun itself."""
        command = self.command(self.run, resume)
        if extra:
            command = ["env", *extra, *command]
        log = self.log()
        job = subprocess.Popen(["mpirun", "-n", str(random.choice(RANKS)), *command], stdout=subprocess.DEVNULL,
                                stderr=log, env=environment(random.choice((1, 1, 2))), start_new_session=True)
        os.close(log)
        return job

    def watch(self, job, until, base, resume):
        """Waits; notes when a resumed job has done its first meta-iteration. True: this job has done one."""
        started, seen = time.time(), False
        old = (self.run / "metrics.jsonl").stat().st_ino if (self.run / "metrics.jsonl").exists() else None
        while job.poll() is None and time.time() < until:
            if not seen and (self.run / "metrics.jsonl").exists() and (self.run / "metrics.jsonl").stat().st_ino != old:
                now = lines_of(self.run)
                if now and now[-1][0] > base:
                    seen = True
                    if resume:
                        self.restarts.append(time.time() - started)
            time.sleep(0.01)
        return seen

    def harm(self, job, kind):
        """Strikes, and waits for the end. Returns what was done."""
        struck = time.time()
        pids, limit, kind = self.strike(kind, job)
        slow = kind in ("fail fsync", "fill the disk") # these wait for the next checkpoint
        try:
            job.wait(limit)
            if not slow:
                self.ends.append(time.time() - struck)
        except subprocess.TimeoutExpired:
            self.fault(f"the job was still there {limit:g} s after: {kind}")
            for p in [*pids, job.pid]:
                send(p, signal.SIGKILL)
            job.wait()
        self.wait_ranks(pids)
        (self.scratch / "disk" / "filler").unlink(missing_ok=True)
        return kind if pids else "nobody there yet"

    def check(self, job, kind, base, cut, before):
        """What must hold after every end."""
        text = (self.scratch / "log").read_text()
        after, newest = lines_of(self.run), max([0, *map(iteration_of, checkpoints(self.run))])
        last = after[-1][0] if after else 0
        self.recomputed.append(max(0, last - newest))
        if kind == "freeze a rank" and job.returncode != 0 and "did not come to" not in text:
            self.fault(f"nobody named the frozen rank:\n{text}")
        if kind == "fail fsync" and job.returncode != 0 and text and "cannot synchronise" not in text and "could not be synchronised" not in text:
            self.fault(f"the failing fsync was not told of:\n{text}")
        if kind == "fill the disk" and job.returncode != 0 and "No space left" not in text:
            self.fault(f"the full disk was not told of:\n{text}")
        if cut and after != before and "passed over" not in text:
            self.fault(f"a cut checkpoint was not told of:\n{text}")
        if "another training is at work" in text:
            self.counts["found busy"] = self.counts.get("found busy", 0) + 1
        if re.search(r"AddressSanitizer|Segmentation|runtime error", text):
            self.fault(text)
        if last - newest > EVERY:
            self.fault(f"{last - newest} meta-iterations were done after the newest checkpoint")
        if newest < base and not cut:
            self.fault(f"checkpoint {base} is gone, the newest is {newest}")
        if job.returncode == 0 and kind is not None and last < self.iterations:
            self.fault("a broken job ended with status 0")

    def attempt(self, kind, cut):
        """One start and its end; kind None: no harm. True: the run is done."""
        before, resume = lines_of(self.run), (self.run / "config.json").exists()
        base = max([0, *map(iteration_of, checkpoints(self.run))])
        extra = [f"LD_PRELOAD={self.shim}", f"LOPT_FSYNC_GOOD={random.randrange(4, 30)}"] if kind == "fail fsync" else []
        job = self.start(resume, extra)
        try:
            return self.break_job(job, kind, cut, base, before, resume)
        finally: # Ctrl-C and SIGTERM leave nothing at work
            if job.poll() is None:
                for p in [*ranks_of(job.pid), job.pid]:
                    send(p, signal.SIGKILL)

    def break_job(self, job, kind, cut, base, before, resume):
        begun = self.watch(job, time.time() + (random.uniform(0.25, 1.2) if kind else 3600.0), base, resume and not cut)
        if kind == "freeze a rank" and not begun: # MPI itself waits for ever while it starts
            kind = "kill a rank"
        if job.poll() is None:
            kind, self.fruitless = self.harm(job, kind), 0
        else:
            self.fruitless = self.fruitless + 1 if job.returncode != 0 and not begun else 0
        if self.fruitless == FRUITLESS:
            sys.exit(f"{FRUITLESS} starts in a row failed by themselves; the last one said:\n{(self.scratch / 'log').read_text()}")
        self.check(job, kind, base, cut, before)
        return job.returncode == 0

    def digest(self, run):
        parts = {f.name: hashlib.sha256(f.read_bytes()).hexdigest()[:16] for f in [*checkpoints(run), run / "weights.safetensors"]}
        parts["metrics.jsonl"] = hashlib.sha256("\n".join(line for _, line in lines_of(run)).encode()).hexdigest()[:16]
        return parts


def mount(path):
    """A disk small enough to fill."""
    path.mkdir(parents=True)
    return os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path], capture_output=True).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="at least so many processes killed by SIGKILL (default 200)")
    parser.add_argument("--iterations", type=int, default=0, help="meta-iterations of the run (default 110 a kill)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--keep", action="store_true", help="leave the files there")
    o = parser.parse_args()
    for needed, how in (("mpirun", "apt-get install openmpi-bin"), ("cc", "apt-get install gcc"), (o.build / "lopt", "scripts/build.sh build")):
        if not shutil.which(needed):
            sys.exit(f"there is no {needed} here; get it with  {how}")
    random.seed(o.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="lopt-chaos-"))
    mounted = mount(scratch / "disk")
    began = time.time()
    try:
        c = Chaos(o.build.resolve(), scratch, o.iterations or 110 * o.kills, mounted)
        whole = scratch / "whole"
        alone = subprocess.run(c.command(whole, False), env=environment(2), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if alone.returncode:
            sys.exit(f"the unbroken run failed:\n{alone.stderr}")
        unbroken = time.time() - began
        print(f"unbroken run: {unbroken:.1f} s, one process of two threads", flush=True)
        kinds = ["kill a rank"] * 10 + ["kill the launcher"] * 4 + ["kill all"] * 4 + ["freeze a rank", "ask to stop"] + ["fail fsync"]
        kinds += ["fill the disk"] if mounted else []
        done, cut = False, False
        while not done:
            kills = c.kills()
            done = c.attempt(random.choice(kinds) if kills < o.kills else None, cut)
            cut = not done and random.random() < 0.05 and c.cut_newest()
            if len(c.recomputed) % 20 == 0:
                print(f"{len(c.recomputed)} starts, {kills} kills, meta-iteration {(lines_of(c.run) or [(0, '')])[-1][0]}", flush=True)
        kills = c.kills()
        same = c.digest(whole) == c.digest(c.run)
        print(f"{len(c.recomputed)} starts, {kills} SIGKILLs in {time.time() - began:.0f} s, seed {o.seed}")
        for kind in sorted(c.counts):
            print(f"  {c.counts[kind]:4d}  {kind}")
        print(f"recomputed meta-iterations: at most {max(c.recomputed)} (interval {EVERY})")
        if c.restarts:
            print(f"from start to the first new meta-iteration: median {statistics.median(c.restarts):.2f} s, most {max(c.restarts):.2f} s")
        if c.ends:
            print(f"from harm to the end of the job: median {statistics.median(c.ends):.2f} s, most {max(c.ends):.2f} s")
        print(f"final files {'identical to' if same else 'DIFFER from'} the unbroken run's: {c.digest(c.run)}")
        few = f"done after {kills} of {o.kills} kills: more --iterations are needed" if kills < o.kills else "passed"
        print(few if same and not c.faults else f"FAILED, {len(c.faults)} faults")
        return 0 if same and not c.faults and kills >= o.kills else 1
    finally:
        if not o.keep:
            if mounted:
                subprocess.run(["umount", "-l", scratch / "disk"], check=False)
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
