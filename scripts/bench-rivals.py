#!/usr/bin/env python3
"""Times lopt's step on a GPU beside others on the same tensors in the same process: PyTorch's AdamW (fused, foreach, fused in a graph), the
same learned optimizer written in PyTorch (eager, compiled), and PyLO's CUDA optimizers where its package can be imported.

Usage: scripts/bench-rivals.py [--library build/liblopt.so] [--seconds S]
       scripts/bench-rivals.py --check [--device cpu]     only compares lopt with the PyTorch version, a second witness; needs no GPU

A measured step is the optimizer's alone, on gradients that are there. Medians over repeated batches; needs PyTorch."""
import argparse
import ctypes
import importlib
import json
import math
import pathlib
import statistics
import struct
import sys
import tempfile
import time

try:
    import torch
except ImportError:
    asked = {"-h", "--help"} & set(sys.argv)
    print(__doc__ if asked else "PyTorch is not on this machine, and there is nothing to compare with; install it with  pip install torch",
          file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 1)

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "weights/hrnn-10-30-20.safetensors"


# ---- The learned optimizer in PyTorch: the rules one by one, as one would write them there


def read_weights(path, device):
    data = pathlib.Path(path).read_bytes()
    size, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    weights = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = (8 + size + offset for offset in entry["data_offsets"])
            floats = torch.frombuffer(bytearray(data[first:last]), dtype=torch.float32)
            weights[name] = floats.reshape(entry["shape"]).to(device)
    return weights


def gru(weights, level, x, h, bias):
    """bias: reset, update and candidate part from above."""
    size = h.shape[-1]
    gates = torch.cat([x, h], -1) @ weights[level + ".gate_kernel"] + weights[level + ".gate_bias"]
    reset, update = torch.sigmoid(gates + bias[..., :2 * size]).split(size, -1)
    c = torch.cat([x, reset * h], -1) @ weights[level + ".candidate_kernel"] + weights[level + ".candidate_bias"] + bias[..., 2 * size:]
    return update * h + (1 - update) * torch.tanh(c)


class TorchHrnn:
    """State of tensors as lopt keeps it; default features. compiled: the work on one tensor goes through torch.compile."""

    def __init__(self, weights, params, log_lr, compiled=False):
        w, n = weights, [p.numel() for p in params]
        self.w, self.params, self.first = w, params, True
        self.theta = [p.detach().clone().flatten() for p in params]
        self.h = [w["param_rnn.initial_state"].repeat(k, 1) for k in n]
        self.gbar = [torch.zeros(k, 4, device=p.device) for k, p in zip(n, params)]
        self.lam = [torch.zeros_like(g) for g in self.gbar]
        self.alpha = [torch.full((k,), log_lr, device=p.device) for k, p in zip(n, params)]
        self.u = [w["tensor_rnn.initial_state"].clone() for _ in n]
        self.v = w["global_rnn.initial_state"].clone()
        self.tensor_step = torch.compile(self.plain_tensor_step, dynamic=True) if compiled else self.plain_tensor_step

    def decays(self, h):
        w = self.w
        if self.first:
            return torch.zeros_like(h[:, :1]), torch.zeros_like(h[:, :4])
        scale = torch.sigmoid(h @ w["scale_decay.kernel"] + w["scale_decay.bias"])[:, None]
        slowest = torch.sigmoid(h @ w["input_decay.kernel"] + w["input_decay.bias"])[:, None]
        return scale, torch.cat([slowest ** (0.5 ** s) for s in range(4)], 1)

    def plain_tensor_step(self, theta, g, h, gbar, lam, alpha, u, v, mean_alpha):
        w = self.w
        scale, decay = self.decays(h)
        gbar = decay * gbar + (1 - decay) * g[:, None]
        lam = scale * lam + (1 - scale) * (gbar * gbar + 1e-12)
        q = gbar / torch.sqrt(lam + 1e-16)
        m = torch.sign(q) * torch.log1p(q.abs() + q * q / (1 + torch.sqrt(q * q + 1)))
        gam = torch.log(lam + 1e-16)
        x = torch.cat([m, m[:, :-1] * m[:, 1:], gam - gam.mean(1, keepdim=True), (alpha - mean_alpha)[:, None]], 1)
        bias = u @ w["tensor_to_param.kernel"] + w["tensor_to_param.bias"] + v @ w["global_to_param.kernel"] + w["global_to_param.bias"]
        h = gru(w, "param_rnn", x, h, bias)
        d = h @ w["update.kernel"] + m @ w["update.gradient_kernel"]
        rate = (alpha + h @ w["learning_rate.kernel"] + w["learning_rate.bias"]).clamp(-33, 33)
        keep = torch.sigmoid(w["learning_rate.momentum_logit"])
        moved = theta - (rate + w["learning_rate.step_offset"]).exp() * d / torch.sqrt((d * d).mean() + 1e-16)
        phi = moved
        if "attention.kernel" in w:
            e = h @ w["attention.kernel"] + m @ w["attention.gradient_kernel"]
            phi = theta - rate.exp() * e / torch.sqrt((e * e).mean() + 1e-16)
        above = v @ w["global_to_tensor.kernel"] + w["global_to_tensor.bias"]
        u = gru(w, "tensor_rnn", torch.cat([h, x], 1).mean(0), u, above)
        return moved, phi, h, gbar, lam, keep * alpha + (1 - keep) * rate, u

    @torch.no_grad()
    def step(self, grads):
        mean_alpha = sum(a.sum() for a in self.alpha) / sum(a.numel() for a in self.alpha)
        for i, g in enumerate(grads):
            (self.theta[i], phi, self.h[i], self.gbar[i], self.lam[i], self.alpha[i], self.u[i]) = self.tensor_step(
                self.theta[i], g.flatten(), self.h[i], self.gbar[i], self.lam[i], self.alpha[i], self.u[i], self.v, mean_alpha)
            self.params[i].copy_(phi.view_as(self.params[i]))
        nothing = torch.zeros(3 * self.v.numel(), device=self.v.device)
        self.v = gru(self.w, "global_rnn", torch.stack(self.u).mean(0), self.v, nothing)
        self.first = False


# ---- lopt by its C API


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("device", ctypes.c_char_p), ("seed", ctypes.c_uint64), ("init_lr_min", ctypes.c_double),
                ("init_lr_max", ctypes.c_double), ("lr_scale", ctypes.c_double), ("weight_decay", ctypes.c_double),
                ("state_dtype", ctypes.c_char_p), ("param_dtype", ctypes.c_char_p), ("grad_dtype", ctypes.c_char_p),
                ("nonfinite", ctypes.c_char_p)]


def load_library(path):
    library = ctypes.CDLL(path)
    library.lopt_last_error.restype = ctypes.c_char_p
    return library


def fresh_weights(library, options, path):
    """Writes weights as lopt draws them."""
    lib, weights = load_library(library), ctypes.c_void_p()
    if lib.lopt_weights_init(options, ctypes.c_uint64(1), ctypes.byref(weights)) or lib.lopt_weights_save(weights, str(path).encode()):
        raise RuntimeError(lib.lopt_last_error().decode())
    lib.lopt_weights_free(weights)


class Lopt:
    def __init__(self, library, params, grads, init_lr, state=b"fp32", weights_file=WEIGHTS):
        self.lib, self.opt = load_library(library), None
        self.on_gpu = params[0].is_cuda
        device = b"cuda:%d" % params[0].device.index if self.on_gpu else b"cpu"
        options = Options(ctypes.sizeof(Options), device, 0, init_lr, init_lr, 1.0, 0.0, state if self.on_gpu else None, None, None, None)
        weights, self.opt = ctypes.c_void_p(), ctypes.c_void_p()
        self.tensors = params, grads  # whose memory the calls below are given
        counts = (ctypes.c_size_t * len(params))(*(p.numel() for p in params))
        self.params = (ctypes.c_void_p * len(params))(*(p.data_ptr() for p in params))
        self.grads = (ctypes.c_void_p * len(params))(*(g.data_ptr() for g in grads))
        self.call("lopt_weights_load", str(weights_file).encode(), ctypes.byref(weights))
        self.call("lopt_optimizer_create", weights, ctypes.byref(options), ctypes.c_size_t(len(params)), counts, self.params, self.stream(),
                  ctypes.byref(self.opt))
        self.lib.lopt_weights_free(weights)

    def stream(self):
        return ctypes.c_void_p(torch.cuda.current_stream().cuda_stream if self.on_gpu else None)

    def call(self, name, *arguments):
        if getattr(self.lib, name)(*arguments) != 0:
            raise RuntimeError(self.lib.lopt_last_error().decode())

    def step(self, grads=None):
        self.call("lopt_optimizer_step", self.opt, self.params, self.grads, self.stream())

    def __del__(self):
        self.lib.lopt_optimizer_free(self.opt)


# ---- Comparing and timing


def model(shapes, device, seed=0):
    torch.manual_seed(seed)
    params = [torch.randn(s, device=device) for s in shapes]
    return params, [torch.randn(s, device=device) * 0.1 for s in shapes]


def difference(library, device, weights_file):
    """The largest difference after 5 steps, as a share of the tensor's largest movement."""
    start, grads = model([(300,), (1,), (40, 33), (5000,)], device)
    by_lopt, by_torch = [p.clone() for p in start], [p.clone() for p in start]
    lopt = Lopt(library, by_lopt, grads, 1e-3, weights_file=weights_file)
    other = TorchHrnn(read_weights(weights_file, device), by_torch, math.log(1e-3))
    for _ in range(5):
        for g in grads:
            g.mul_(0.9).add_(torch.randn_like(g), alpha=0.01)
        lopt.step()
        other.step(grads)
    worst = max(float((a - b).abs().max() / (b - s).abs().max()) for a, b, s in zip(by_lopt, by_torch, start))
    return worst


def check(library, device):
    worst = difference(library, device, WEIGHTS)
    with tempfile.TemporaryDirectory() as scratch:
        for options in (b"attention=1", b"attention=0"):
            fresh_weights(library, options, pathlib.Path(scratch) / "w")
            worst = max(worst, difference(library, device, pathlib.Path(scratch) / "w"))
    print(f"lopt and PyTorch differ by {worst:.2g} of the largest movement after 5 steps on {device}")
    return 0 if worst < 2e-3 else 1


def timed(step, seconds):
    """Seconds of one step: median over batches that end with a wait."""
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    batch = max(1, int(0.02 / (time.perf_counter() - start)))
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < 5 or (time.perf_counter() < end and len(taken) < 200):
        start = time.perf_counter()
        for _ in range(batch):
            step()
        torch.cuda.synchronize()
        taken.append((time.perf_counter() - start) / batch)
    return statistics.median(taken)


def graphed(step):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        step()
    return lambda step=step: graph.replay()  # the graph uses memory that belongs to what steps


def adamw(params, grads, **kind):
    for p, g in zip(params, grads):
        p.requires_grad_(True)
        p.grad = g
    return torch.optim.AdamW(params, lr=1e-4, **kind).step


# module, class, what its step is given, and for each of its networks (module, class, sizes that its kernels are written for)
PYLO = [
    ("AdafacLO_cuda", "AdafacLO_CUDA", (), [("Meta_MLP", "MetaMLP", (39, 32, 1))]),
    ("velo_cuda", "VeLO_CUDA", (1.0,), [("VeLO_MLP", "VeLOMLP", ()), ("VeLO_RNN", "VeLORNN", ())]),
    ("ELO_cuda", "ELO_CUDA", (), [("Meta_MLP", "MetaMLP", (39, 32, 1))]),
    ("CELO2_cuda", "CELO2_CUDA", (), [("CELO2_MLP", "CELO2MLP", ())]),
]


def pylo(new):
    """PyLO's optimizers on CUDA kernels, as far as its package has them; {} where there is none. Their weights are drawn at random instead of
    fetched: what they are does not change the time."""
    found = {}
    for module, name, arguments, networks in PYLO:
        try:
            cls = getattr(importlib.import_module("pylo.optim." + module), name)
            for part, network, sizes in networks:
                drawn = getattr(importlib.import_module("pylo.models." + part), network)
                drawn.from_pretrained = classmethod(lambda c, *_, sizes=sizes, **__: c(*sizes))
        except (ImportError, AttributeError):
            continue

        def rival(cls=cls, arguments=arguments):
            params, grads = new()
            for p, g in zip(params, grads):
                p.requires_grad_(True)
                p.grad = g
            optimizer = cls(params)
            return lambda: optimizer.step(*(torch.tensor(a, device="cuda") for a in arguments))
        found["PyLO " + name] = rival
    return found


def contenders(library, shapes):
    """name -> what makes a step on tensors of its own"""
    new = lambda: model(shapes, "cuda")  # noqa: E731
    weights = read_weights(WEIGHTS, "cuda")
    rows = {}
    for state in (b"fp32", b"mixed"):
        rows[f"lopt {state.decode()}"] = lambda state=state: Lopt(library, *new(), 1e-3, state).step
        rows[f"lopt {state.decode()}, graph"] = lambda state=state: graphed(Lopt(library, *new(), 1e-3, state).step)
    rows["AdamW foreach"] = lambda: adamw(*new(), foreach=True)
    rows["AdamW fused"] = lambda: adamw(*new(), fused=True)
    rows["AdamW fused, graph"] = lambda: graphed(adamw(*new(), fused=True, capturable=True))
    rows.update(pylo(new))
    for compiled in (False, True):
        def rival(compiled=compiled):
            params, grads = new()
            other = TorchHrnn(weights, params, math.log(1e-3), compiled)
            return lambda: other.step(grads)
        rows["HRNN in PyTorch, " + ("compiled" if compiled else "eager")] = rival
    return rows


def gpt_2():
    d = 768
    layer = [(d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,), (d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,)]
    return [(50257, d), (1024, d)] + 12 * layer + [(d,), (d,)]


def compare(library, seconds):
    """Times all; 1 if lopt itself could not run."""
    failed = 0
    for name, shapes in {"1M, 1 tensor": [(1000000,)], "GPT-2, 148 tensors": gpt_2()}.items():
        n = sum(math.prod(s) for s in shapes)
        print(f"\n{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, {name}, {n:,} parameters")
        times = {}
        for row, make in contenders(library, shapes).items():
            keep = None
            try:
                keep = make()
                times[row] = timed(keep, seconds)
                against = f"  lopt fp32 takes {times['lopt fp32'] / times[row]:6.2f} x as long" if "lopt fp32" in times else ""
                print(f"  {row:28} {1e3 * times[row]:10.4f} ms  {1e-9 * n / times[row]:8.2f} G params/s{against}")
            except Exception as error:  # one rival that cannot run must not stop the others
                failed |= row.startswith("lopt")
                print(f"  {row:28} could not run: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            del keep
            torch.cuda.empty_cache()
    return int(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=str(ROOT / "build/liblopt.so"))
    parser.add_argument("--seconds", type=float, default=1.0, help="for each row")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="for --check")
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.library, torch.device(arguments.device, 0) if arguments.device == "cuda" else torch.device(arguments.device))
    if not torch.cuda.is_available():
        print("PyTorch sees no GPU here: nothing to time (--check compares on the CPU)", file=sys.stderr)
        return 1
    failed = check(arguments.library, torch.device("cuda", 0))
    return compare(arguments.library, arguments.seconds) or failed


if __name__ == "__main__":
    sys.exit(main())
