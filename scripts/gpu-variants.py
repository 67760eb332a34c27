#!/usr/bin/env python3
"""Times, on a GPU, what could be chosen otherwise in the step's kernels: builds lopt once for each choice, and runs `lopt bench step` of all of them in
turn, so that a clock that drifts is everyone's. Prints the median of each row, and how it differs from the code as it is.

A choice that is faster by more than the rounds differ among each other is worth its tests: make the change, then scripts/gpu-check.sh.

Usage: scripts/gpu-variants.py [--folder DIR] [--architecture 90-real] [--rounds N] [--seconds S] [--build | --run | --check] [NAME...]
       --build builds alone, which needs no GPU, --run runs what was built; --check only looks whether each choice's place is there
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
AS_IS = "as-is"
# name: (what it asks, [(file, what stands there once, what then stands there)])
VARIANTS = {
    AS_IS: ("the code as it is", []),
    "chunks-4096": ("does a large model gain by smaller pieces of work?", [("kernels/cuda/model.h", "GPU_CHUNK_MAX = 8192", "GPU_CHUNK_MAX = 4096"),
                                                                               ("csrc/optimizer/cuda_plan.c", "? GPU_CHUNK_MAX / 2 :", "? GPU_CHUNK_MAX :")]),
    "chunks-16384": ("or by larger ones?", [("kernels/cuda/model.h", "GPU_CHUNK_MAX = 8192", "GPU_CHUNK_MAX = 16384"),
                                             ("csrc/optimizer/cuda_plan.c", "? GPU_CHUNK_MAX / 2 :", "? GPU_CHUNK_MAX / 4 :"),
                                             ("csrc/optimizer/cuda_plan.c", "LARGE_TURNS = 16", "LARGE_TURNS = 8")]),
    "two-turns": ("small models: half as large chunks, of which each block has two", [("csrc/optimizer/cuda_plan.c", "at_once = 4 * 132;", "at_once = 8 * 132;"),
                                                                             ("csrc/optimizer/cuda_plan.c", "LARGE_TURNS = 16", "LARGE_TURNS = 8")]),
    "band-1": ("phase 1: each block through memory of its own, as before bands?", [("kernels/cuda/model.h", "GPU_BAND = 16,", "GPU_BAND = 1,")]),
    "band-64": ("or more blocks side by side?", [("kernels/cuda/model.h", "GPU_BAND = 16,", "GPU_BAND = 64,")]),
    "lag-8": ("may phase 2 follow phase 1 closer?", [("kernels/cuda/model.h", "GPU_WORK_LAG = 12 * 4096", "GPU_WORK_LAG = 8 * 4096")]),
    "lag-24": ("do blocks wait for tensors that are not ready?", [("kernels/cuda/model.h", "GPU_WORK_LAG = 12 * 4096", "GPU_WORK_LAG = 24 * 4096")]),
    "split-3": ("fp32 state: 12 warps with more registers", [("kernels/cuda/advance_split.cu", "SPLIT_RESIDENT = 4", "SPLIT_RESIDENT = 3")]),
    "subtracted": ("fp32 state: what rounding left by subtractions, 65 instructions more, or by tensor cores?", [
        ("kernels/cuda/mma_state.cuh", "    const mma_sums left = mma_left(numbers, s.rounded, minus_one);\n",
         "    mma_sums left;\n    (void)minus_one;\n    for (int i = 0; i < 4; i++) left.at[i] = numbers.at[i] - fp16_to_float((uint16_t)(s.rounded[i / 2] >> 16 * (i % 2)));\n")]),
    "not-ahead": ("tiles are not asked for ahead: slower, but for 1 M parameters of fp32 state in chunks of 512", [
        ("kernels/cuda/mma_tile.cuh", "    if (whole) tile_prefetch(lane, k, t, grad_size);\n    typename", "    typename")]),
    "fused-always": ("from how many parameters on is one launch faster?", [("csrc/optimizer/cuda.h", "CUDA_FUSED_FROM = 48 << 20", "CUDA_FUSED_FROM = 1")]),
}


def changed(root, name):
    """Files as the variant has them: {path: text}."""
    files = {}
    for file, old, new in VARIANTS[name][1]:
        path = os.path.join(root, file)
        text = files.get(path) or open(path).read()
        if text.count(old) != 1:
            sys.exit(f"{name}: {file} has {text.count(old)} places that read\n{old}\nand must have one; mend VARIANTS in {__file__}")
        files[path] = text.replace(old, new)
    return files


def build(folder, architecture, names):
    source, tree = folder + "/source", folder + "/build"
    if not os.path.isdir(source):
        subprocess.run(["git", "clone", "--quiet", ROOT, source], check=True)
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "-C", source, "fetch", "--quiet", ROOT, head], check=True)
    subprocess.run(["git", "-C", source, "checkout", "--quiet", "--force", head], check=True)
    subprocess.run(["cmake", "-S", source, "-B", tree, "-DLOPT_CUDA=ON", "-DLOPT_MPI=OFF", f"-DLOPT_CUDA_ARCHITECTURES={architecture}"],
                   check=True, stdout=subprocess.DEVNULL)
    for name in names:
        print(f"building {name}", flush=True)
        files = changed(source, name)
        before = {path: open(path).read() for path in files}
        for path, text in files.items():
            open(path, "w").write(text)
        try:
            made = subprocess.run(["cmake", "--build", tree, "--target", "lopt", "-j2"], capture_output=True, text=True)
        finally:
            for path, text in before.items():
                open(path, "w").write(text)
        if made.returncode:
            sys.exit(f"{name} does not build:\n{made.stdout[-3000:]}{made.stderr[-3000:]}")
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        shutil.copy(tree + "/lopt", f"{folder}/{name}/lopt")
        subprocess.run(["strip", f"{folder}/{name}/lopt"], check=True)


def rows_of(folder, name, bench):
    """{row: its numbers} of one run."""
    out = f"{folder}/{name}/step.json"
    if not os.path.exists(f"{folder}/{name}/lopt"):
        sys.exit(f"{folder} has no {name}: build it first, with --build")
    done = subprocess.run([f"{folder}/{name}/lopt", "bench", "step", "--json", out, *bench], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return {f"{r['model'] or int(r['parameters'])} {r['state']} {'graph' if r['graph'] else 'stream'}"
            + ("" if r["attention"] else ", no attention"): r for r in json.load(open(out))["rows"]}


def run(folder, rounds, bench, names):
    times, in_place = {}, {}
    for i in range(rounds):
        for name in names:
            print(f"round {i + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            for row, r in rows_of(folder, name, bench).items():
                times.setdefault(row, {}).setdefault(name, []).append(1e3 * r["seconds"])
                in_place.setdefault(name, []).append(r["bytes"] * r["parameters_per_second"] / r["share_of_in_place"] / 1e9)
    for row, by_name in times.items():
        print(f"\n{row}")
        for name, ms in by_name.items():
            median, base = statistics.median(ms), statistics.median(by_name.get(AS_IS, ms))
            print(f"  {name:18s} {median:9.4f} ms  {100 * (median / base - 1):+6.1f} %  ({min(ms):.4f} .. {max(ms):.4f})")
    print("\nreading and writing in place, GB/s: " + ", ".join(f"{name} {statistics.median(rates):.0f}" for name, rates in in_place.items()))


def main():
    arguments = argparse.ArgumentParser(description=__doc__ + "\nNames:\n" + "\n".join(f"  {n:18s} {v[0]}" for n, v in VARIANTS.items()),
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", default=ROOT + "/build-variants", help="where they are built (default build-variants)")
    arguments.add_argument("--architecture", default="90-real", help="as LOPT_CUDA_ARCHITECTURES (default 90-real: H100, H200)")
    arguments.add_argument("--rounds", type=int, default=3, help="default 3")
    arguments.add_argument("--seconds", default="0.3", help="for each row (default 0.3)")
    arguments.add_argument("--params", help="sizes of models instead of 1 M, ResNet-50, GPT-2 and 1 B")
    one = arguments.add_mutually_exclusive_group()
    for action in "build", "run", "check":
        one.add_argument("--" + action, action="store_true")
    arguments.add_argument("name", nargs="*", help="default: all")
    a = arguments.parse_args()
    unknown = [n for n in a.name if n not in VARIANTS]
    if unknown or a.rounds < 1:
        arguments.error(f"there is no {unknown[0]}; --help lists the names" if unknown else "--rounds: at least 1")
    names = [n for n in VARIANTS if not a.name or n in a.name or n == AS_IS]
    if a.check:
        for name in names:
            changed(ROOT, name)
        return
    if not a.run:
        build(os.path.abspath(a.folder), a.architecture, names)
    if not a.build:
        bench = ["--device", "cuda", "--attention", "on", "--seconds", a.seconds] + (["--params", a.params] if a.params else [])
        run(os.path.abspath(a.folder), a.rounds, bench, names)


try:
    main()
except subprocess.CalledProcessError as error:  # which has said what is wrong
    sys.exit(f"failed: {' '.join(error.cmd)}")
