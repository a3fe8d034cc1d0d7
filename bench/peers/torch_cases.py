"""PyTorch's side of the benchmarks: one JSON request a line on standard input, one answer a line on standard output.

  {"request": "describe"}                                  -> version, device, modes
  {"request": "prepare", mode, computation, operands}      -> handle (null: it has no such operation), note
  {"request": "run", handle, count}                        -> milliseconds of `count` runs, waiting once at the end
  {"request": "read", handle}                              -> results of the last run, float32 as base64
  {"request": "release", handle}

Operands and results are NHWC and HWIO, as `bench/harness/types.ts` describes them. Each case is prepared in the memory formats
that PyTorch has, and the fastest of them is measured. Modes: `pytorch` is float32 throughout, `pytorch-tf32` lets products round
their factors to TF32, `pytorch-amp` is mixed precision: single operations on float16 operands, networks under autocast from
float32 weights.
"""

import base64
import ctypes
import json
import os
import sys
import time

import torch
import torch.nn.functional as F

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
EPSILON = 1e-3
# Largest relative errors to expect of operands with 10 bits behind the binary point.
TOLERANCES = {"pytorch": None, "pytorch-tf32": 5e-3, "pytorch-amp": 1e-2}
LAST, FIRST = torch.channels_last, torch.contiguous_format
TRIALS = 5


def set_mode(mode):
    tf32 = mode != "pytorch"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def wait():
    if CUDA:
        torch.cuda.synchronize()


def images(x, memory_format):
    """NHWC to PyTorch's axes."""
    return x.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)


def filters(w, memory_format):
    """HWIO to PyTorch's axes."""
    return w.permute(3, 2, 0, 1).contiguous(memory_format=memory_format)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def hwio(w):
    return w.permute(2, 3, 1, 0)


def same(x):
    return x


def conv2d(c, operands, memory_format):
    x, w = images(operands[0], memory_format), filters(operands[1], memory_format)
    return lambda: [F.conv2d(x, w, None, c["stride"], c["padding"], c["dilation"])], [nhwc]


def conv2d_gradient(c, operands, memory_format):
    """One of the two gradients alone."""
    of_input = c["kind"] == "conv2d-input-grad"
    if of_input:
        dy, w = images(operands[0], memory_format), filters(operands[1], memory_format)
        x = torch.empty(c["batch"], c["inputs"], c["height"], c["width"], device=dy.device, dtype=dy.dtype)
        x = x.contiguous(memory_format=memory_format)
    else:
        x, dy = images(operands[0], memory_format), images(operands[1], memory_format)
        w = torch.empty(c["outputs"], c["inputs"], c["kernel"], c["kernel"], device=x.device, dtype=x.dtype)
        w = w.contiguous(memory_format=memory_format)
    stride, padding, dilation = ([c[key]] * 2 for key in ("stride", "padding", "dilation"))
    mask = [of_input, not of_input, False]

    def run():
        gradients = torch.ops.aten.convolution_backward(
            dy, x, w, None, stride, padding, dilation, False, [0, 0], 1, mask
        )
        return [gradients[0 if of_input else 1]]

    return run, [nhwc if of_input else hwio]


def batch_norm(c, operands, memory_format):
    """`None` for a memory format leaves the rows as they are; else they are the pixels of one image."""
    x, dy, gamma, beta = operands
    if memory_format is not None:
        x, dy = (images(t[None, :, None, :], memory_format) for t in (x, dy))
    gamma, beta = gamma.float().requires_grad_(), beta.float().requires_grad_()
    x.requires_grad_()
    rows = same if memory_format is None else lambda t: nhwc(t).reshape(c["rows"], c["channels"])

    def run():
        y = F.batch_norm(x, None, None, gamma, beta, True, 0.0, EPSILON)
        return [y.detach(), *torch.autograd.grad(y, [x, gamma, beta], dy)]

    return run, [rows, rows, same, same]


def bottlenecks(c, operands, memory_format, autocast):
    x = images(operands[0], memory_format).requires_grad_()
    weights = [filters(w, memory_format).requires_grad_() for w in operands[1:]]

    def unit(z, w, dilation=0):
        z = F.conv2d(z, w, None, 1, dilation, max(dilation, 1))
        return F.batch_norm(z, None, None, None, None, True, 0.0, EPSILON)

    def run():
        with torch.autocast(DEVICE.type, dtype=torch.float16 if CUDA else torch.bfloat16, enabled=autocast):
            y = x
            for block in range(c["blocks"]):
                reduce, middle, expand = weights[3 * block : 3 * block + 3]
                inner = F.relu(unit(F.relu(unit(y, reduce)), middle, c["dilation"]))
                y = F.relu(unit(inner, expand) + y)
            loss = y.float().square().mean()
        # As in training: gradients that float16 would round to zero are scaled up and down again.
        factor = float(y.numel()) if autocast else 1.0
        gradients = torch.autograd.grad(loss * factor, [x, *weights])
        return [loss.detach(), *(g / factor for g in gradients)] if autocast else [loss.detach(), *gradients]

    return run, [same, nhwc] + [hwio] * len(weights)


def candidates(c, operands, mode):
    """(name, (run, what brings each result into the case's layout)) of every way to compute it."""
    kind = c["kind"]
    half = mode == "pytorch-amp"
    if half and kind != "bottlenecks":
        operands = [x.half() for x in operands]
    formats = [("channels_last", LAST), ("contiguous", FIRST)]
    if kind == "matmul":
        yield "", (lambda: [torch.matmul(operands[0], operands[1])], [same])
    elif kind == "softmax" and not half:
        yield "", (lambda: [torch.softmax(operands[0], -1)], [same])
    elif kind == "argmax" and not half:
        yield "", (lambda: [torch.argmax(operands[0], -1)], [same])
    elif kind == "batch-norm-train":
        for name, memory_format in [("rows", None), *formats]:
            # Afresh, since they become leaves of a graph.
            yield name, batch_norm(c, [x.clone() for x in operands], memory_format)
    else:
        for name, memory_format in formats:
            if kind == "conv2d":
                yield name, conv2d(c, operands, memory_format)
            elif kind in ("conv2d-input-grad", "conv2d-filter-grad"):
                yield name, conv2d_gradient(c, operands, memory_format)
            elif kind == "max-pool" and not half:
                x = images(operands[0], memory_format)
                yield name, (lambda x=x: [F.max_pool2d(x, c["size"], c["stride"], c["padding"])], [nhwc])
            elif kind == "resize-bilinear" and not half:
                x = images(operands[0], memory_format)
                size = (c["height"] * c["factor"], c["width"] * c["factor"])
                yield name, (lambda x=x: [F.interpolate(x, size, mode="bilinear", align_corners=False)], [nhwc])
            elif kind == "bottlenecks":
                yield name, bottlenecks(c, operands, memory_format, half)


def milliseconds(run, count):
    wait()
    begin = time.perf_counter()
    results = None
    for _ in range(count):
        results = run()
    wait()
    return (time.perf_counter() - begin) * 1000, results


def fastest(c, operands, mode):
    best = None
    for name, (run, layouts) in candidates(c, operands, mode):
        # The first one tries cuDNN's algorithms.
        first, _ = milliseconds(run, 1)
        trials = 1 if first > 500 and not CUDA else TRIALS
        least = min(milliseconds(run, 1)[0] for _ in range(trials))
        if best is None or least < best["least"]:
            best = {"least": least, "name": name, "run": run, "layouts": layouts, "results": None}
    return best


def bytes_of(x):
    """Of a contiguous tensor on the CPU. Its own way there, `numpy()`, needs a package that PyTorch does without."""
    return ctypes.string_at(x.data_ptr(), x.numel() * x.element_size())


class Cases:
    def __init__(self):
        self.open = {}
        self.next = 0

    def describe(self, _):
        modes = list(TOLERANCES) if CUDA else ["pytorch"]
        on = f"cuda ({torch.cuda.get_device_name()})" if CUDA else f"cpu ({torch.get_num_threads()} threads)"
        version = torch.__version__
        if CUDA:
            version += f", CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        return {"version": version, "on": on, "modes": [{"name": m, "tolerance": TOLERANCES[m]} for m in modes]}

    def prepare(self, request):
        set_mode(request["mode"])
        operands = [
            torch.frombuffer(bytearray(base64.b64decode(o["data"])), dtype=torch.float32).reshape(o["shape"]).to(DEVICE)
            for o in request["operands"]
        ]
        case = fastest(request["computation"], operands, request["mode"])
        if case is None:
            return {"handle": None, "note": ""}
        self.next += 1
        self.open[self.next] = {**case, "mode": request["mode"]}
        return {"handle": self.next, "note": case["name"]}

    def run(self, request):
        case = self.open[request["handle"]]
        set_mode(case["mode"])
        case["results"] = None
        took, case["results"] = milliseconds(case["run"], request["count"])
        return {"milliseconds": took}

    def read(self, request):
        case = self.open[request["handle"]]
        arrays = [layout(x).float().contiguous().cpu() for layout, x in zip(case["layouts"], case["results"])]
        return {"results": [base64.b64encode(bytes_of(x)).decode() for x in arrays]}

    def release(self, request):
        del self.open[request["handle"]]
        if CUDA:
            torch.cuda.empty_cache()
        return {}


def main():
    torch.set_num_threads(os.cpu_count() or 1)
    cases = Cases()
    requests = {name: getattr(cases, name) for name in ("describe", "prepare", "run", "read", "release")}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = requests[request["request"]](request)
        except Exception as error:  # the other side reports it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
