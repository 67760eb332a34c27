#!/usr/bin/env python3
"""Checks what the README's architecture section promises; prints file:line for each breach, and fails if there is one.

Floors: include <- base <- kernels <- tasks <- csrc <- csrc/cli. A file may include those of its own floor and of lower ones;
kernels/cell sees kernels/cell and the C library alone, csrc/cli sees include/lopt alone. No cycles of includes. Files have at most 600
lines (from 300 on they are noted), functions 60 (CUDA kernels' files 100). CUDA sources live in kernels/cuda, tasks/engine and csrc/comm,
C++ in tests. No unfinished-work marks.

Usage: scripts/check-architecture.py [ROOT]      (default: the tree that it stands in)"""
import pathlib
import posixpath
import re
import sys

FLOORS = ["include", "base", "kernels", "tasks", "csrc"]
FILE_LINES, NOTED_LINES, FUNCTION_LINES, KERNEL_LINES = 600, 300, 60, 100
CUDA_ROOMS = ("kernels/cuda/", "tasks/engine/", "csrc/comm/")
CPP_SUFFIXES = {".cpp", ".cc", ".cxx", ".hpp"}
SUFFIXES = {".c", ".h", ".cu", ".cuh"} | CPP_SUFFIXES
C_LIBRARY = {"assert.h", "float.h", "immintrin.h", "limits.h", "math.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}  # the cell's
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]')


def floor_of(path):
    top = path.split("/")[0]
    return FLOORS.index(top) if top in FLOORS else None


def resolve(root, path, included):
    """The project's file that an include names, or None for a system header."""
    for base in ("", "include", posixpath.dirname(path)):
        candidate = posixpath.normpath(posixpath.join(base, included))
        if (root / candidate).is_file():
            return candidate
    return None


def check_include(path, target):
    if path.startswith("kernels/cell/") and not target.startswith("kernels/cell/"):
        return "kernels/cell knows the C library alone"
    if path.startswith("csrc/cli/") and not target.startswith(("csrc/cli/", "include/")):
        return "the command line stands on the public headers alone"
    if target.startswith("csrc/cli/") and not path.startswith("csrc/cli/"):
        return "nothing may depend on the command line"
    mine, theirs = floor_of(path), floor_of(target)
    if mine is not None and (theirs is None or theirs > mine):
        return f"{path.split('/')[0]} may not depend on {target.split('/')[0]}"
    return None


def signature_start(lines, number):
    """The line where the signature that ends on line `number` begins, if it begins at column 0; None otherwise."""
    while not re.match(r"[A-Za-z_]", lines[number - 1]):
        number -= 1
        if number == 0 or re.search(r"[;{}:]$", lines[number - 1]):
            return None
    return number


def long_functions(path, lines):
    """A body ends with '}' at column 0; its signature begins at column 0 and ends in ') {', as the project is formatted."""
    limit = KERNEL_LINES if path.endswith((".cu", ".cuh")) else FUNCTION_LINES
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and re.search(r"\)\s*(const\s*)?\{$", line):
            start = signature_start(lines, number)
        elif line == "}" and start is not None:
            if number - start + 1 > limit:
                yield start, number - start + 1, limit
            start = None


def find_cycle(graph):
    state = {}

    def visit(node, trail):
        state[node] = 1
        for target in sorted(graph.get(node, ())):
            if state.get(target) == 1:
                return trail[trail.index(target):] + [target] if target in trail else [node, target]
            if target not in state:
                found = visit(target, trail + [target])
                if found:
                    return found
        state[node] = 2
        return None

    for node in sorted(graph):
        if node not in state:
            found = visit(node, [node])
            if found:
                return found
    return None


def check_size_and_place(path, lines):
    suffix = posixpath.splitext(path)[1]
    if len(lines) > FILE_LINES:
        yield FILE_LINES + 1, f"the file has {len(lines)} lines, more than {FILE_LINES}"
    if suffix in (".cu", ".cuh") and not path.startswith(CUDA_ROOMS + ("bench/", "tests/")):
        yield 1, f"CUDA sources live in {', '.join(CUDA_ROOMS)} alone"
    if suffix in CPP_SUFFIXES and not path.startswith(("bench/", "tests/")):
        yield 1, "the library is C; C++ lives in tests"
    for start, length, limit in long_functions(path, lines):
        yield start, f"the function has {length} lines, more than {limit}"


def check_lines(root, path, lines, graph):
    """Breaches of single lines; enters the includes into the graph."""
    for number, line in enumerate(lines, 1):
        if MARKS.search(line):
            yield number, "unfinished work is marked"
        match = INCLUDE.match(line)
        if not match:
            continue
        target = resolve(root, path, match.group(1))
        wrong = None
        if target:
            graph.setdefault(path, set()).add(target)
            wrong = check_include(path, target)
        elif path.startswith("kernels/cell/") and match.group(1) not in C_LIBRARY:
            wrong = "kernels/cell knows the C library alone"
        if wrong:
            yield number, f"includes {target or match.group(1)}: {wrong}"


def check(root):
    """(breaches, notes, number of files)"""
    breaches, notes, graph = [], [], {}
    rooms = FLOORS + ["tests", "bench"]
    files = sorted(f for room in rooms if (root / room).is_dir() for f in (root / room).rglob("*") if f.suffix in SUFFIXES)
    for file in files:
        path = file.relative_to(root).as_posix()
        lines = file.read_text(encoding="utf-8").splitlines()
        if NOTED_LINES < len(lines) <= FILE_LINES:
            notes.append(f"{path}:1: note: {len(lines)} lines; files of about 250 read best")
        found = [*check_size_and_place(path, lines), *check_lines(root, path, lines, graph)]
        breaches += [f"{path}:{number}: {wrong}" for number, wrong in found]
    cycle = find_cycle(graph)
    if cycle:
        breaches.append(f"{cycle[0]}:1: includes itself in a circle: {' -> '.join(cycle)}")
    return breaches, notes, len(files)


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    breaches, notes, count = check(root)
    for line in breaches + notes:
        print(line)
    if count == 0:
        print(f"{root}: no sources found")
    print(f"{count} files, {len(breaches)} breaches")
    return 1 if breaches or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
