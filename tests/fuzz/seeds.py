#!/usr/bin/env python3
"""Writes small valid inputs for each fuzz target, DIR/TARGET/*, from the golden data and made up here. Usage: seeds.py DIR"""
import gzip
import json
import pathlib
import struct
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SMALL = 9000  # bytes; larger golden files would only slow the fuzzer
CHECKSUM = {"checksum": "0123456789abcdef"}
PARAM, TENSOR, GLOBAL, SCALES, COUNTS = 2, 2, 2, 2, (3, 1)  # of tests/fuzz/state.c


def safetensors(metadata, shapes):
    header, at = {"__metadata__": metadata}, 0
    for name, shape in shapes.items():
        size = 4
        for n in shape:
            size *= n
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + struct.pack("<f", 0.25) * (at // 4)


def state(swapped):
    shapes = {}
    for i, n in enumerate(COUNTS):
        shapes |= {f"hidden.{i}": (n, PARAM), f"gradient_average.{i}": (SCALES, n), f"mean_square.{i}": (SCALES, n), f"log_lr.{i}": (n,),
                   f"tensor_state.{i}": (TENSOR,), f"theta.{i}": (n,)}
        if swapped:
            shapes[f"attended.{i}"] = (n,)
    shapes["global_state"] = (GLOBAL,)
    return safetensors({"format": "lopt.state.v1", "step": "7", "skipped": "1", "seed": "3", "resting": "0,1"}, shapes)


def idx(shape):
    size = 1
    for n in shape:
        size *= n
    return bytes([0, 0, 8, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape) + bytes(i % 10 for i in range(size))


def image_seeds():
    images, labels = idx((2, 28, 28)), idx((2,))
    return [b"\0" + images, b"\1" + labels, b"\2" + gzip.compress(images), b"\3" + gzip.compress(labels),
            b"\2" + gzip.compress(images[:9]) + gzip.compress(images[9:])]


def main():
    golden = [f.read_bytes() for f in sorted((SOURCE / "tests/golden/data").glob("*.safetensors"))]
    specs = ["quadratic", "quadratic:n=20,noise=0.5", "bowl:c=5,angle=45,scale=3", "mlp:inputs=8,hidden=8x5,batch=10", "mnist_mlp:rows=100",
             "log_sum_exp:scale_spread=1.5e1"]
    configs = ['{"iterations": 5, "window": {"min": 5, "max": 9}, "tasks": ["bowl:*", "booth"]}', "window.mean=12.5",
               "tasks=bowl:c=5; quadratic:* ;booth", '{"meta_optimizer": {"kind": "adamw"}, "second_derivatives": true, "seed": 9}',
               (SOURCE / "configs/stage-1.json").read_text()]
    seeds = {
        "safetensors": [g for g in golden if len(g) < SMALL] + [state(False), safetensors(CHECKSUM, {"a": (1,)}),
                                                                safetensors({'my"checksum': "", **CHECKSUM}, {"a": (1,)})],
        "weights": [g for g in golden if len(g) < SMALL and b"lopt.hrnn" in g],
        "state": [state(False), state(True)],
        "spec": [s.encode() for s in specs],
        "config": [c.encode() for c in configs],
        "idx": image_seeds(),
        "cifar10": [bytes([k, 4]) + bytes(3072) for k in (0, 5)] + [bytes([1]) + (bytes([9]) + bytes(3072)) * 2],
    }
    for target, inputs in seeds.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for i, bytes_ in enumerate(inputs):
            (folder / f"seed-{i}").write_bytes(bytes_)


if __name__ == "__main__":
    main()
