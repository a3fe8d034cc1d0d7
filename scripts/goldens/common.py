"""What all goldens are made with: inputs, float types, and files that the float32 arithmetic can reproduce."""
import contextlib
import json
import os
import struct

import numpy as np
import torch

VALUE_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-3  # what the tests allow, relative to the largest element
EPSILON = 1e-3  # of batch norm


_dtype = torch.float64


def real():
    """The float type to compute in."""
    return _dtype


@contextlib.contextmanager
def precision(dtype):
    """Computes the block in another float type."""
    global _dtype
    before, _dtype = _dtype, dtype
    try:
        yield
    finally:
        _dtype = before


def normals(seed, *shape, scale=1.0, shift=0.0):
    values = np.random.RandomState(seed).standard_normal(shape) * scale + shift
    return values.astype(np.float32)


def distinct(seed, *shape):
    """Values at least 0.01 apart, for operations that compare."""
    count = int(np.prod(shape))
    return (np.random.RandomState(seed).permutation(count).reshape(shape) * 0.01 - count * 0.005).astype(np.float32)


def leaf(array):
    return torch.tensor(array).to(real()).requires_grad_()


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def safetensors(tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, array in tensors.items():
        kind = {"float32": "F32", "int32": "I32"}[array.dtype.name]
        raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def stored(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    value = np.asarray(value)
    return value.astype(np.int32 if value.dtype.kind in "iu" else np.float32)


def exact(value):
    return np.asarray(value.detach() if isinstance(value, torch.Tensor) else value, np.float64)


class Writer:
    def __init__(self, folder):
        self.folder, self.index, self.bytes = folder, {}, 0
        os.makedirs(folder, exist_ok=True)

    def save(self, name, op, params, inputs, compute, about=""):
        """`compute(inputs)` gives two dictionaries, outputs and gradients; it is run in float64 and in float32."""
        outputs, grads = compute(inputs)
        with precision(torch.float32):
            self.check(name, (outputs, grads), compute(inputs))
        tensors = {}
        for prefix, group in (("inputs", inputs), ("outputs", outputs), ("grads", grads)):
            tensors.update({f"{prefix}/{key}": stored(value) for key, value in group.items()})
        metadata = {"op": op, "params": json.dumps(params)}
        if about:
            metadata["about"] = about
        self.write(f"{name}.safetensors", safetensors(tensors, metadata))
        self.index.setdefault(op, []).append(name)

    @staticmethod
    def check(name, wide, narrow):
        for group, other, tolerance in zip(wide, narrow, (VALUE_TOLERANCE, GRADIENT_TOLERANCE)):
            for key, value in group.items():
                a, b = (exact(v) for v in (value, other[key]))
                if not np.isfinite(a).all() or (stored(value).dtype == np.float32 and np.abs(a).max() == 0):
                    raise SystemExit(f"{name}: {key} is not finite, or all zero: it would test nothing")
                error = np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)
                allowed = 0 if stored(value).dtype == np.int32 else tolerance / 4
                if error > allowed:
                    raise SystemExit(f"{name}: {key} differs by {error:.1e} in float32, {allowed:.1e} is allowed")

    def write(self, file, data):
        path = os.path.join(self.folder, file)
        with open(path + ".tmp", "wb") as out:
            out.write(data)
        os.replace(path + ".tmp", path)
        self.bytes += len(data)

    def finish(self):
        """Lists the files by operation, for tests that cannot read a folder."""
        self.write("index.json", (json.dumps(self.index, indent=2) + "\n").encode())
        print(f"{sum(map(len, self.index.values()))} goldens, {self.bytes / 1e6:.2f} MB")


def backward(y, dy, leaves):
    """Gradients of sum(y * dy)."""
    (y * torch.tensor(dy).to(real())).sum().backward()
    return {key: value.grad for key, value in leaves.items()}


def simple(writer, name, op, params, inputs, function, seed, about=""):
    """An operation of differentiable inputs with one output `y`; the gradient `dy` of `y` is drawn here."""
    probe = function({key: leaf(value) for key, value in inputs.items()})
    dy = normals(seed + 900, *probe.shape)

    def compute(given):
        leaves = {key: leaf(given[key]) for key in inputs}
        y = function(leaves)
        return {"y": y}, backward(y, given["dy"], leaves)

    writer.save(name, op, params, {**inputs, "dy": dy}, compute, about)
