#!/usr/bin/env python3
"""Breaks the GPU's code on purpose, one place at a time, and runs the tests that need no GPU: whatever none of them notices is listed, to be looked at.

Works on a clone of the last commit, in a folder of its own; a mutant takes half a minute on one core. Of the files it takes a share of all places, drawn
from the seed: an operator, a number, a condition or a statement. Some changes change nothing (a larger array, another size of a grid).

Usage: scripts/mutate.py [--tests cuda|ptx] [--per-mille N] [--seed N] [--keep DIR] [FILE...]
       scripts/mutate.py --tests ptx --again LIST    tries what LIST, the output of an earlier run, says was not noticed, by other tests"""
import argparse
import collections
import glob
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SWAPS = [(" + ", " - "), (" - ", " + "), (" * ", " + "), (" / ", " * "), (" % ", " / "), (" < ", " <= "), (" <= ", " < "), (" > ", " >= "),
         (" >= ", " > "), (" == ", " != "), (" != ", " == "), (" && ", " || "), (" || ", " && "), (" += ", " -= "), (" | ", " & "),
         (" & ", " | "), (" << ", " >> "), (" >> ", " << "), ("continue;", "break;"), (" ? ", " && 0 ? "), ("if (", "if (0 && ")]
NUMBER = re.compile(r'(?<![\w."])(\d+)(?![\w."])')
STATEMENT = re.compile(r"^\s+(?!const |static |return|using |(?:float|int|size_t|double|uint\w*|unsigned|char|struct \w+) )[\w>.\[\]*-]+(\(.*\)| [-+*|&]?= .*);$")
CONFIGURE = {"cuda": ["-DLOPT_CUDA=OFF"], "ptx": ["-DLOPT_CUDA=ON", "-DLOPT_CUDA_ARCHITECTURES=90-real"]}
Mutant = collections.namedtuple("Mutant", "file line begin end text")


def code_lines(path):
    """(index, line without its comments) of lines that hold code."""
    inside = False
    for i, line in enumerate(open(path).read().split("\n")):
        text = line.strip()
        if inside or text.startswith("/*"):
            inside = "*/" not in text
        elif text and not text.startswith(("//", "#", "static_assert", '"')):
            yield i, re.sub(r"/\*.*?\*/", lambda m: " " * len(m.group()), line.split("//")[0])


def places(root, file):
    """All mutants of a file."""
    for i, line in code_lines(os.path.join(root, file)):
        for old, new in SWAPS:
            for m in re.finditer(re.escape(old), line):
                if line[: m.start()].count('"') % 2 == 0:
                    yield Mutant(file, i, m.start(), m.end(), new)
        for m in NUMBER.finditer(line):
            if line[: m.start()].count('"') % 2 == 0:
                yield Mutant(file, i, m.start(), m.end(), str(int(m.group(1)) + 1))
        if STATEMENT.match(line):
            yield Mutant(file, i, len(line) - len(line.lstrip()), len(line.rstrip()), ";")


def not_noticed(root, path):
    """The mutants that an earlier run's output lists as not noticed, where their lines are still there."""
    for entry in (line.rstrip("\n").split("\t") for line in open(path)):
        if entry[0] != "NOT NOTICED":
            continue
        file, number = entry[1].rsplit(":", 1)
        lines = open(os.path.join(root, file)).read().split("\n")
        same = [i for i, line in enumerate(lines) if line.strip() == entry[2]]
        if not same:
            print(f"gone\t{entry[1]}\t{entry[2]}", flush=True)
            continue
        at = min(same, key=lambda i: abs(i + 1 - int(number)))
        yield Mutant(file, at, len(lines[at]) - len(lines[at].lstrip()), len(lines[at].rstrip()), entry[4])


def judge(root, tests):
    """"does not compile", "noticed by ..." or "NOT NOTICED"."""
    if subprocess.run(["cmake", "--build", root + "/build", "--target", tests], capture_output=True).returncode:
        return "does not compile"
    try:
        run = subprocess.run([f"{root}/build/tests/{tests}", "--gtest_fail_fast", "--gtest_brief=1"], capture_output=True, timeout=600)
    except subprocess.TimeoutExpired:
        return "noticed: it does not end"
    if run.returncode == 0:
        return "NOT NOTICED"
    failed = re.search(rb"\[  FAILED  \] (\S+)", run.stdout)
    return "noticed by " + failed.group(1).decode() if failed else "noticed: it crashes"


def try_mutant(root, tests, m):
    path = os.path.join(root, m.file)
    source = open(path).read()
    lines = source.split("\n")
    old = lines[m.line]
    lines[m.line] = old[: m.begin] + m.text + old[m.end :]
    open(path, "w").write("\n".join(lines))
    verdict = judge(root, tests)
    open(path, "w").write(source)
    print(f"{verdict}\t{m.file}:{m.line + 1}\t{old.strip()}\t->\t{lines[m.line].strip()}", flush=True)
    return verdict


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tests", choices=CONFIGURE, default="cuda")
    arguments.add_argument("--per-mille", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--keep", help="the clone's folder, to be used again")
    arguments.add_argument("--again", metavar="LIST")
    arguments.add_argument("file", nargs="*")
    a = arguments.parse_args()
    files = a.file or [f for p in ("kernels/cuda/*.cuh", "kernels/cuda/*.cu", "csrc/optimizer/cuda_*.c") for f in sorted(glob.glob(p, root_dir=ROOT))]
    missing = [f for f in a.file if not os.path.isfile(os.path.join(ROOT, f))]
    if missing:
        sys.exit(f"there is no {missing[0]} in {ROOT}")
    root, tests = a.keep or tempfile.mkdtemp(prefix="lopt-mutants-"), "test_" + a.tests
    if not os.path.isdir(root + "/.git"):
        subprocess.run(["git", "clone", "--quiet", ROOT, root], check=True)
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "-C", root, "fetch", "--quiet", ROOT, head], check=True)
    subprocess.run(["git", "-C", root, "checkout", "--quiet", "--force", head], check=True)  # without the mutant that Ctrl-C has left
    subprocess.run(["cmake", "-S", root, "-B", root + "/build", "-DLOPT_TESTS=ON", *CONFIGURE[a.tests]], check=True, stdout=subprocess.DEVNULL)
    if judge(root, tests) != "NOT NOTICED":
        sys.exit(f"{tests} does not pass as it is; see {root}")
    draw = random.Random(a.seed)
    drawn = (m for f in files for m in places(root, f) if draw.random() * 1000 < a.per_mille)
    mutants = list(not_noticed(root, a.again) if a.again else drawn)
    print(f"{len(mutants)} mutants of {len(files)} files, in {root}", flush=True)
    counts = collections.Counter(try_mutant(root, tests, m).split(" by ")[0].split(":")[0] for m in mutants)
    print(", ".join(f"{n} {what}" for what, n in counts.items()))


try:
    main()
except subprocess.CalledProcessError as error:  # which has said what is wrong
    sys.exit(f"failed: {' '.join(error.cmd)}")
