#!/usr/bin/env python3
"""Holds the compiled GPU kernels to bench/gpu-code-sm_90.txt: registers, stack, spills, shared memory and instruction counts of sm_90 code.
Needs nvcc, no GPU. A kernel may not use more of anything than the file says, nor be there without a line in it.

Usage: scripts/gpu-budget.py           checks; status 1 and a line for each breach
       scripts/gpu-budget.py --write   writes the file anew, to be read and committed
       scripts/gpu-budget.py --bounds  what the file's counts allow phase 1 on an H200, as a prediction; needs nothing

`loop` is the number of instructions in the largest innermost loop, which for phase 1 is what a parameter takes; the columns after it count
some of them: multiply-adds, special functions, uniform loads, loads and stores of memory, tensor-core operations. `waits` is how often
that loop waits for memory: a multiprocessor goes past a load, but not past the first use of what it loads, so that loads together are one wait.
Counts of code are those of the compiler named in the file, and are checked with that one alone; spills, stack and registers are checked with any."""
import collections
import concurrent.futures
import math
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUDGET = ROOT / "bench/gpu-code-sm_90.txt"
FLAGS = ["-arch=sm_90", "-std=c++17", "-cubin", "-Xptxas=-v", "-DLOPT_CUDA_PTX=0"]  # besides those of the build
OPCODES = {0x023: "ffma", 0x108: "mufu", 0x0B9: "uldc", 0x181: "ldg", 0x186: "stg", 0x03C: "mma"}
BRANCH = 0x147
LOADS = (0x180, 0x181)  # of memory: by generic addresses, by global ones
COLUMNS = ["registers", "stack", "spills", "shared", "instructions", "loop"] + list(OPCODES.values()) + ["waits"]
ALWAYS = ["registers", "stack", "spills"]  # whatever the compiler


def build_flags():
    flags = re.search(r"set\(LOPT_CUDA_FLAGS ([^)]*)\)", (ROOT / "cmake/LoptCuda.cmake").read_text())
    if not flags:
        sys.exit("cmake/LoptCuda.cmake does not set LOPT_CUDA_FLAGS, which this has to compile with")
    return flags.group(1).split()


def find_nvcc():
    return shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def kernel_name(mangled):
    match = re.match(r"_Z(\d+)", mangled)
    return mangled[match.end():match.end() + int(match.group(1))] if match else mangled


def text_sections(cubin):
    """(kernel, its instructions as pairs of 64-bit words) of an ELF file."""
    start, = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names = struct.unpack_from("<HHH", cubin, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", cubin, start + i * size) for i in range(count)]
    for section in sections:
        at = sections[names][4] + section[0]
        name = cubin[at:cubin.index(b"\0", at)].decode()
        if name.startswith(".text."):
            code = cubin[section[4]:section[4] + section[5]]
            yield kernel_name(name[6:]), [struct.unpack_from("<QQ", code, i) for i in range(0, len(code), 16)]


def branch_target(index, low, high):
    """Where a relative branch goes, as an index; distances are in bits 34..81 and 16..23, in units of 4 bytes."""
    distance = ((low | high << 64) >> 34) & ((1 << 48) - 1)
    if distance >> 47:
        distance -= 1 << 48
    return index + 1 + ((distance << 8 | (low >> 16) & 0xFF) * 4) // 16


def largest_loop(code):
    """The instructions of the largest loop that has no other in it."""
    loops = []
    for index, (low, high) in enumerate(code):
        if low & 0x1FF == BRANCH:
            target = branch_target(index, low, high)
            if 0 <= target < index:
                loops.append((target, index))
    innermost = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    first, last = max(innermost, key=lambda loop: loop[1] - loop[0], default=(0, -1))
    return code[first:last + 1]


def waits(code):
    """How often code waits for loads. An instruction names the one of six counters that it will lower when it is done (bits 110 to 112, 7: none) and
    those that must be 0 before it begins (bits 116 to 121)."""
    pending, count = set(), 0
    for low, high in code:
        awaited = {i for i in range(6) if high >> 52 + i & 1}
        count += bool(pending & awaited)
        pending -= awaited
        if low & 0x1FF in LOADS:
            pending.add(high >> 46 & 7)
    return count


def resources(log):
    """{kernel: {registers, stack, spills, shared}} from what ptxas says."""
    found = collections.defaultdict(lambda: {"shared": 0})
    kernel = None
    for line in log.splitlines():
        if match := re.search(r"(?:Function properties for|Compiling entry function) '?(\w+)", line):
            kernel = kernel_name(match.group(1))
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            found[kernel].update(stack=int(match.group(1)), spills=int(match.group(2)) + int(match.group(3)))
        elif match := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[kernel].update(registers=int(match.group(1)), shared=int(shared.group(1)) if shared else 0)
    return found


def measure_source(nvcc, source):
    """{kernel: its counts} of one file."""
    kernels = {}
    with tempfile.TemporaryDirectory() as scratch:
        cubin = pathlib.Path(scratch) / "code.cubin"
        run = subprocess.run([nvcc, *FLAGS, *build_flags(), f"-I{ROOT}", f"-I{ROOT}/include", "-o", cubin, source], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"{source}: does not compile\n{run.stderr}")
        used = resources(run.stderr)
        for kernel, code in text_sections(cubin.read_bytes()):
            loop = largest_loop(code)
            counts = collections.Counter(OPCODES.get(low & 0x1FF) for low, _ in loop)
            kernels[kernel] = {**used[kernel], "instructions": len(code), "loop": len(loop), "waits": waits(loop),
                               **{n: counts[n] for n in OPCODES.values()}}
    return kernels


def measure(nvcc):
    sources = sorted((ROOT / "kernels/cuda").glob("*.cu"))
    kernels = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        for found in threads.map(lambda source: measure_source(nvcc, source), sources):
            kernels.update(found)
    return kernels


def table(compiler, kernels):
    width = max(map(len, kernels))
    lines = [f"# {compiler}", f"{'kernel':{width}} " + " ".join(f"{c:>12}" for c in COLUMNS)]
    lines += [f"{k:{width}} " + " ".join(f"{kernels[k][c]:>12}" for c in COLUMNS) for k in sorted(kernels)]
    return "\n".join(lines) + "\n"


def read_budget():
    lines = BUDGET.read_text(encoding="utf-8").splitlines()
    columns = lines[1].split()[1:]
    return lines[0][2:], {r[0]: dict(zip(columns, map(int, r[1:]))) for r in (line.split() for line in lines[2:])}


def phase_1_bytes(kernel):
    """Per parameter: state read and written, gradient, and what waits for phase 2."""
    mixed = kernel.endswith("_mma")
    return 2 * (40 if mixed else 76) + 4 + (2 if mixed else 4) * (2 if "attending" in kernel else 1)


def bounds(budget):
    """Lines: G parameters/s of phase 1 that each resource allows an H200. A multiprocessor issues 4 x 32 instructions in a clock, does 16 special
    functions and, by mma.sync, 0.62 of the tensor cores' 1 product of 16 x 16 by 16 x 8 (one of 16 x 8 by 8 x 8 is counted as whole); memory moves 3.85 TB/s, as measured where blocks
    read and write chunks in place, 2.5 KB of a warp at a time, beside three streams of gradients and updates (a copy: 4.26)."""
    multiprocessors, tensor_share, memory = 132, 0.62, 3850
    columns = ("issue", "special functions", "tensor cores", "memory")
    yield f"{'predicted, not measured: G parameters/s':44} " + " ".join(f"{c:>18}" for c in columns)
    for kernel in sorted(k for k in budget if re.match("lopt_advance_(attending|plain)", k)):
        of = budget[kernel]
        for clock in (1.755, 1.98):
            rates = [multiprocessors * each * clock / of[column] for each, column in ((4 * 32, "loop"), (16, "mufu"))]
            rates.append(multiprocessors * tensor_share * clock * 32 / of["mma"] if of["mma"] else math.inf)
            rates.append(memory / phase_1_bytes(kernel))
            yield f"{kernel + f' at {clock} GHz':44} " + " ".join(f"{r:>18.1f}" for r in rates)


def breaches(kernels, budget, same_compiler):
    for kernel in sorted(kernels.keys() | budget.keys()):
        if kernel not in kernels or kernel not in budget:
            yield f"{kernel}: {'not in the budget' if kernel in kernels else 'in the budget, but not there'}"
            continue
        for column in COLUMNS if same_compiler else ALWAYS:
            allowed = budget[kernel][column] if same_compiler or column != "registers" else 255
            if kernels[kernel][column] > allowed:
                yield f"{kernel}: {column} {kernels[kernel][column]}, the budget is {allowed}"
        if kernels[kernel]["spills"]:
            yield f"{kernel}: spills {kernels[kernel]['spills']} bytes"


def main():
    if sys.argv[1:] not in ([], ["--write"], ["--bounds"]):
        print(__doc__)
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    if sys.argv[1:] == ["--bounds"]:
        print("\n".join(bounds(read_budget()[1])))
        return 0
    nvcc = find_nvcc()
    if not nvcc:
        print("no nvcc on this machine: nothing was checked")
        return 2
    compiler = re.search(r"Cuda compilation tools, (.*)", subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout).group(1)
    kernels = measure(nvcc)
    if sys.argv[1:] == ["--write"]:
        BUDGET.write_text(table(compiler, kernels), encoding="utf-8")
        return 0
    written_by, budget = read_budget()
    found = list(breaches(kernels, budget, compiler == written_by))
    for line in found:
        print(line)
    counted = "instructions counted" if compiler == written_by else f"instructions not counted: this is {compiler}, the file is of {written_by}"
    print(f"{len(kernels)} kernels, {len(found)} breaches; {counted}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
