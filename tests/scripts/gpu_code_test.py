#!/usr/bin/env python3
"""The library holds machine code of every GPU that the README names, and PTX for later ones. Reads the fat binaries themselves (kinds: 1 PTX, 2 code).
Usage: gpu_code_test.py LIBRARY [ARCHITECTURE...]     (default: 80 90 100, and PTX of the last)"""
import struct
import sys

MAGIC = struct.pack("<IH", 0xBA55ED50, 1)


def entries(data):
    at = data.find(MAGIC)
    while at >= 0:
        header, size = struct.unpack_from("<HQ", data, at + 6)
        place, end = at + header, at + header + size
        while place + 32 <= end:
            kind, _, own, length = struct.unpack_from("<HHIQ", data, place)
            yield kind, struct.unpack_from("<I", data, place + 28)[0]
            place += own + length
        at = data.find(MAGIC, end)


def main():
    wanted = [int(a) for a in sys.argv[2:]] or [80, 90, 100]
    found = list(entries(open(sys.argv[1], "rb").read()))
    need = [(2, a) for a in wanted] + [(1, wanted[-1])]
    units = max(found.count(n) for n in set(found)) if found else 0
    bad = [n for n in need if found.count(n) != units or units < 3]  # one of each for each of the .cu files
    print(f"{units} fat binaries; code: {sorted({a for k, a in found if k == 2})}, PTX: {sorted({a for k, a in found if k == 1})}")
    for kind, architecture in bad:
        print(f"{'PTX' if kind == 1 else 'code'} of {architecture}: in {found.count((kind, architecture))} of them")
    return 1 if bad else 0


sys.exit(main())
