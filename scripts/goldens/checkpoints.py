#!/usr/bin/env python3
"""Writes test/goldens/checkpoints/: small files by torch.save and numpy.save, and what those libraries read of them.

Needs torch and numpy: python3 scripts/goldens/checkpoints.py [folder]. The files are committed. expected.json has for each
file its tensors by name: dtype, shape, and the bytes of the elements in row-major order, in hexadecimal. The names are
those under which the reader lists them: keys joined by dots. A file that holds the same as an earlier one has its name;
files that must be refused have the text to be named.
"""
import argparse
import collections
import io
import json
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import torch

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "goldens", "checkpoints")

TORCH_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}


def numbers(seed, *shape):
    return torch.tensor(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def of_torch(tensor):
    tensor = tensor.detach()
    if tensor.dtype not in TORCH_DTYPES or tensor.is_quantized:
        return {"dtype": None, "shape": list(tensor.shape)}
    dense = tensor.contiguous()
    raw = dense.view(torch.int16) if dense.dtype == torch.bfloat16 else dense
    return {"dtype": TORCH_DTYPES[tensor.dtype], "shape": list(tensor.shape), "hex": raw.numpy().tobytes().hex()}


def of_numpy(array):
    names = {"f": "F", "i": "I", "u": "U"}
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        dtype = "BOOL"
    elif kind in names:
        dtype = f"{names[kind]}{8 * size}"
    else:
        return {"dtype": None, "shape": list(array.shape)}
    little = array.astype(array.dtype.newbyteorder("<"))
    return {"dtype": dtype, "shape": list(array.shape), "hex": np.ascontiguousarray(little).tobytes().hex()}


def views():
    """Every element type, and every way in which a tensor can lie in a storage."""
    base = numbers(1, 60)
    image = numbers(2, 2, 3, 2, 3)
    wide = torch.arange(24, dtype=torch.int64).reshape(2, 3, 4)
    tensors = collections.OrderedDict(
        first=base[:12].view(3, 4), middle=base[20:32].view(2, 6), last=base[59], every_third=base[1::3],
        transposed=numbers(3, 3, 5).t(), channels_last=image.to(memory_format=torch.channels_last),
        column=numbers(4, 4, 6)[:, 2], window=numbers(5, 6, 7)[1:4, 2:6], permuted=wide.permute(2, 0, 1),
        one_row=numbers(6, 4, 6).t()[2:3], row_of_many=torch.arange(5).expand(1, 5), repeated=numbers(7, 3, 1).expand(3, 4),
        empty=torch.zeros(0, 4), scalar=torch.tensor(3),
    )
    for dtype, name in TORCH_DTYPES.items():
        values = torch.tensor([[0, 1, 0], [1, 1, 0]]) if dtype == torch.bool else numbers(8, 2, 3) * 5 + 20
        tensors[f"types.{name}"] = values.to(dtype)
        tensors[f"types.{name}.transposed"] = values.to(dtype).t()
    return tensors


def network():
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    net(numbers(9, 1, 2, 5, 5))
    return net


def training():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
    net(numbers(10, 1, 2, 5, 5)).sum().backward()
    optimizer.step()
    state = {
        "epoch": 7, "arch": "toy", "best": np.float64(0.25), "done": False, "none": None, "rng": np.arange(3),
        "args": argparse.Namespace(lr=0.5), "state_dict": net.state_dict(), "optimizer": optimizer.state_dict(),
        "sizes": torch.Size([1, 2]), "device": torch.device("cpu"), "key": b"\x00\xff", "losses": [1.5, 2.5],
    }
    tensors = dict(net.state_dict())
    for index, entry in optimizer.state_dict()["state"].items():
        tensors[f"optimizer.state.{index}.momentum_buffer"] = entry["momentum_buffer"]
    return state, tensors


class OldPickler(pickle.Pickler):
    """Writes parameters as PyTorch before 0.4 did, and ordered dictionaries as Python 2 did."""

    def reducer_override(self, obj):
        if isinstance(obj, torch.nn.Parameter):
            return torch.nn.Parameter, (obj.data,), (True, False, collections.OrderedDict())
        if isinstance(obj, collections.OrderedDict):
            return collections.OrderedDict, ([[key, value] for key, value in obj.items()],)
        return NotImplemented


class Harm:
    def __reduce__(self):
        return os.system, ("echo harm",)


class Writer:
    def __init__(self, folder):
        self.folder, self.expected, self.bytes = folder, {}, 0
        os.makedirs(folder, exist_ok=True)

    def write(self, name, data, expected):
        with open(os.path.join(self.folder, name), "wb") as out:
            out.write(data)
        self.expected[name] = expected
        self.bytes += len(data)

    def torch(self, name, value, tensors, **options):
        out = io.BytesIO()
        torch.save(value, out, **options)
        torch.load(io.BytesIO(out.getvalue()))
        self.write(name, out.getvalue(), {key: of_torch(tensor) for key, tensor in tensors.items()})

    def refused(self, name, data, says):
        self.write(name, data, {"refused": says})

    def npy(self, name, array, version=None):
        out = io.BytesIO()
        np.lib.format.write_array(out, array, version=version)
        self.write(name, out.getvalue(), {"tensor": of_numpy(array)})

    def npz(self, name, save, arrays):
        out = io.BytesIO()
        save(out, **arrays)
        self.write(name, out.getvalue(), {key: of_numpy(array) for key, array in arrays.items()})


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def write_torch(writer):
    net = network().state_dict()
    for protocol in (1, 4, 5):
        writer.torch(f"protocol{protocol}.pth", net, net, pickle_protocol=protocol)
    for protocol in (1, 4):
        legacy = dict(pickle_protocol=protocol, _use_new_zipfile_serialization=False)
        writer.torch(f"legacy_protocol{protocol}.pth", net, net, **legacy)
    tensors = views()
    writer.torch("views.pth", tensors, tensors)
    writer.torch("legacy_views.pth", tensors, tensors, _use_new_zipfile_serialization=False)
    state, tensors = training()
    writer.torch("training.pth", state, tensors)
    writer.torch("parameters.pth", dict(network().named_parameters()), dict(network().named_parameters()))
    module = types.SimpleNamespace(__name__="pickle", Pickler=OldPickler, dumps=pickle.dumps, dump=pickle.dump)
    old = collections.OrderedDict(network().named_parameters())
    writer.torch("old_parameters.pth", old, old, pickle_module=module, _use_new_zipfile_serialization=False)
    writer.torch("alone.pt", numbers(11, 2, 2), {"tensor": numbers(11, 2, 2)})
    listed = {"pair": [numbers(12, 2), (numbers(13, 1), {"deep": numbers(14, 3)})], 5: numbers(15, 1)}
    writer.torch("nested.pth", listed, {
        "pair.0": listed["pair"][0], "pair.1.0": listed["pair"][1][0], "pair.1.1.deep": listed["pair"][1][1]["deep"],
        "5": listed[5],
    })
    odd = {"quantised": torch.quantize_per_tensor(numbers(16, 3), 0.1, 0, torch.qint8),
           "complex": torch.ones(2, dtype=torch.complex64), "plain": numbers(17, 2)}
    writer.torch("odd.pth", odd, odd)
    writer.write("deflated.pth", deflated(saved(net)), {key: of_torch(tensor) for key, tensor in net.items()})

    writer.refused("model.pth", saved(torch.nn.Linear(1, 1)), "torch.nn.modules.linear.Linear")
    writer.refused("harm.pth", saved({"a": Harm()}), f"{os.system.__module__}.system")
    writer.refused("legacy_harm.pth", saved({"a": Harm()}, _use_new_zipfile_serialization=False),
                   f"{os.system.__module__}.system")
    writer.refused("sparse.pth", saved({"a": torch.eye(2).to_sparse()}), "torch._utils._rebuild_sparse_tensor")
    writer.refused("plain.pkl", pickle.dumps({"a": 1}), "a pickle, but not one that torch.save wrote")
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Identity()), script)
    writer.refused("script.pt", script.getvalue(), "TorchScript")


def deflated(data):
    """The same archive as a user's zip program would write it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def write_numpy(writer):
    random = np.random.RandomState(20)
    values = random.standard_normal((2, 3)) * 20 + 50
    for kind in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"):
        writer.npy(f"{kind}.npy", values.astype(f"<{kind}"))
    for kind in ("f8", "f2", "i4"):
        writer.npy(f"big_{kind}.npy", values.astype(f">{kind}"))
    cube = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    writer.npy("fortran.npy", np.asfortranarray(cube))
    writer.npy("big_fortran.npy", np.asfortranarray(cube.astype(">i8")))
    writer.npy("vector.npy", cube.ravel())
    writer.npy("scalar.npy", np.array(2.5))
    writer.npy("empty.npy", np.zeros((0, 3), np.float32))
    writer.npy("version2.npy", cube, (2, 0))
    writer.npy("version3.npy", cube, (3, 0))
    writer.npy("text.npy", np.array(["a", "bc"]))
    writer.npy("complex.npy", np.array([1j]))
    writer.npy("records.npy", np.zeros(2, [("a", "<f4"), ("b", "<i8")]))
    writer.npy("objects.npy", np.array([{"a": 1}], object))
    arrays = {"x": values.astype(np.float32), "nested/y": np.asfortranarray(cube), "zeros": np.zeros((100, 100), np.int32),
              "names": np.array(["a", "b"])}
    writer.npz("arrays.npz", np.savez, {key: array for key, array in arrays.items() if key != "zeros"})
    writer.npz("compressed.npz", np.savez_compressed, arrays)


def main():
    writer = Writer(sys.argv[1] if len(sys.argv) > 1 else FOLDER)
    write_torch(writer)
    write_numpy(writer)
    # The elements of the big array would fill a page.
    writer.expected["compressed.npz"]["zeros"].pop("hex")
    seen = {}
    for name, tensors in writer.expected.items():
        writer.expected[name] = seen.setdefault(json.dumps(tensors), name)
        if writer.expected[name] == name:
            writer.expected[name] = tensors
    with open(os.path.join(writer.folder, "expected.json"), "w") as out:
        json.dump(writer.expected, out, separators=(",", ":"))
        out.write("\n")
    print(f"{len(writer.expected)} files, {writer.bytes / 1e3:.1f} kB, {os.path.getsize(out.name) / 1e3:.1f} kB expected")


if __name__ == "__main__":
    main()
