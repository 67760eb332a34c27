#!/usr/bin/env python3
"""The architecture checker must find each kind of breach in a small tree that has it, and none in one that has not."""
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "check-architecture.py"
GOOD = {
    "include/lopt/lopt.h": "int lopt(void);\n",
    "base/status.h": '#include "lopt/lopt.h"\n',
    "kernels/cell/vf.h": "#include <math.h>\n",
    "kernels/cpu/step.c": '#include "kernels/cell/vf.h"\n#include "base/status.h"\n',
    "csrc/train/train.c": '#include "kernels/cell/vf.h"\nstatic int f(void) {\n    return 1;\n}\n',
    "csrc/cli/main.c": '#include "lopt/lopt.h"\n',
}
LONG = "static int f(int a,\n             int b) {\n" + "    a++;\n" * 60 + "    return a + b;\n}\n"
BAD = {
    "upward": ("kernels/cpu/step.c", '#include "csrc/train/train.h"\n', {"csrc/train/train.h": "\n"}, "may not depend on csrc"),
    "cell": ("kernels/cell/vf.h", '#include "base/status.h"\n', {}, "C library alone"),
    "cell by a detour": ("kernels/cell/vf.h", '#include "../../base/status.h"\n', {}, "C library alone"),
    "cell and a system header": ("kernels/cell/vf.h", "#include <omp.h>\n", {}, "C library alone"),
    "cli": ("csrc/cli/main.c", '#include "base/status.h"\n', {}, "public headers alone"),
    "to cli": ("csrc/train/train.c", '#include "csrc/cli/cli.h"\n', {"csrc/cli/cli.h": "\n"}, "depend on the command line"),
    "cycle": ("base/a.h", '#include "base/b.h"\n', {"base/b.h": '#include "base/a.h"\n'}, "circle"),
    "long file": ("base/a.c", "int x;\n" * 601, {}, "601 lines"),
    "long function": ("base/a.c", LONG, {}, "function has 64 lines"),
    "mark": ("base/a.c", "/* TO" + "DO: later */\n", {}, "unfinished"),
    "C++": ("csrc/train/a.cpp", "\n", {}, "C++ lives in tests"),
    "long C++ function": ("tests/unit/a.cpp", "TEST(a, b) {\n" + "    f();\n" * 60 + "}\n", {}, "function has 62 lines"),
    "cuda": ("csrc/train/a.cu", "\n", {}, "CUDA sources"),
}


def run(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([sys.executable, str(SCRIPT), root], capture_output=True, text=True)
        return done.returncode, done.stdout


def main():
    failures = []
    status, output = run(GOOD)
    if status != 0:
        failures.append(f"a good tree is refused: {output}")
    if "base/a.c:1: note" not in run({**GOOD, "base/a.c": "int x;\n" * 301})[1]:
        failures.append("a file of 301 lines is not noted")
    if run({})[0] == 0:
        failures.append("an empty tree passes")
    for name, (path, text, more, says) in BAD.items():
        status, output = run({**GOOD, path: text, **more})
        if status == 0 or says not in output or path.split("/")[0] not in output:
            failures.append(f"{name}: not found: {output}")
    print("\n".join(failures) if failures else f"{len(BAD) + 3} trees, all judged rightly")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
