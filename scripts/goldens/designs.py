"""Heads on each family of backbones, narrow but of full structure, with batch and with running statistics.

Parameters, image and the gradient of the output come from a formula, and of every gradient and batch statistic a file has
two numbers: its length, and its product with a vector of the formula's. A product that is right to a thousandth of the
length says as much as the elements would: an error of any direction but those at right angles to the vector changes it.
"""
import json

import numpy as np
import torch
from torchvision.models._utils import _make_divisible

from .common import GRADIENT_TOLERANCE, VALUE_TOLERANCE, backward, exact, leaf, precision, safetensors, stored
from .formula import between
from .networks import Network
from .operations import avg_pool, max_pool, resize, resize_tf1

OUTPUTS = 3
SIDE = 48  # of the images; features of stride 8 divide into six cells
NOISE = 4e-6  # in the image, larger than what rounding makes of it
RANGES = {
    "gamma": (0.6, 1.4),
    "beta": (-0.3, 0.3),
    "biases": (-0.3, 0.3),
    "moving_mean": (-0.3, 0.3),
    "moving_variance": (0.5, 1.5),
}


class Design(Network):
    def __init__(self, draw, batch_statistics, epsilon):
        super().__init__(draw, batch_statistics, epsilon)
        self.prefix = f"{draw} "

    def draw(self, name, shape, *_):
        if name not in self.parameters:
            role = name.rsplit("/", 1)[1]
            fan_in = np.prod(shape[:2] if role == "depthwise_weights" else shape[:3])
            limit = float(np.sqrt(6 / fan_in))
            self.parameters[name] = between(self.prefix + name, shape, *RANGES.get(role, (-limit, limit)))
        return self.parameters[name]

    def out(self, x, name, kernel=1, dilation=1):
        return self.conv(x, name, OUTPUTS, kernel, 1, dilation, None, norm=False)

    def separable(self, x, name, channels, dilation=1):
        x = self.depthwise(x, f"{name}_depthwise", 3, 1, dilation)
        return self.conv(x, f"{name}_pointwise", channels, 1)


def resnet(spec, strides, dilations):
    """`strides` and `dilations` of every unit of every block, written out."""

    def features(net, x):
        name, stem, unit = spec["name"], spec["stem"], spec["unit"]
        x = net.conv(x, f"{name}/conv1", stem["filters"], stem["kernel"], stem["stride"])
        levels, stride = {2: x}, 2
        if stem["pool"]:
            x, stride = max_pool(x, (3, 3), (2, 2), (1, 1, 1, 1)), 4
            levels[stride] = x
        for b, block in enumerate(spec["blocks"]):
            for u in range(block["units"]):
                scope = f"{name}/block{b + 1}/unit_{u + 1}/{unit}_v1"
                x = net.unit(x, scope, unit, block["filters"], strides[b][u], dilations[b][u])
                stride *= strides[b][u]
                levels[stride] = x
        return levels

    return features


def mobilenet(spec, strides, dilations):
    """`strides` and `dilations` of the first unit of each block, and of those behind it."""
    name, width, relu6 = f"mobilenet_v2_{spec['widthMultiplier']}", spec["widthMultiplier"], torch.nn.functional.relu6
    # Expansion, channels, units and stride, as the paper's table 2 has them; the shortcuts follow these strides.
    blocks = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)

    def features(net, x):
        x = net.conv(x, f"{name}/conv1", _make_divisible(32 * width, 8), 3, 2, activation=relu6)
        levels, stride = {2: x}, 2
        for b, (expansion, channels, units, stride_then) in enumerate(blocks):
            channels = _make_divisible(channels * width, 8)
            for u in range(units):
                scope, before = f"{name}/block{b + 1}/unit_{u + 1}", x
                if expansion > 1:
                    x = net.conv(x, f"{scope}/expand", x.shape[-1] * expansion, 1, activation=relu6)
                step, dilation = (strides[b] if u == 0 else 1), dilations[b][min(u, 1)]
                x = net.depthwise(x, f"{scope}/depthwise", 3, step, dilation, relu6)
                x = net.conv(x, f"{scope}/project", channels, 1, activation=None)
                if (u > 0 or stride_then == 1) and before.shape[-1] == channels:
                    x = x + before
                stride *= step
                levels[stride] = x
        if spec.get("lastChannels"):
            x = net.conv(x, f"{name}/conv_last", _make_divisible(spec["lastChannels"] * max(1, width), 8), 1, activation=relu6)
            levels[stride] = x
        return levels

    return features


def aspp(net, x, name, filters, dilations, separable):
    branches = [net.conv(x, f"{name}/aspp0", filters, 1)]
    for i, dilation in enumerate(dilations):
        branch = f"{name}/aspp{i + 1}"
        branches.append(
            net.separable(x, branch, filters, dilation)
            if separable
            else net.conv(x, branch, filters, 3, 1, dilation)
        )
    pooled = net.conv(x.mean((1, 2), keepdim=True), f"{name}/image_pooling", filters, 1)
    branches.append(resize(pooled, x.shape[1:3], "bilinear", "half-pixel"))
    return net.conv(torch.cat(branches, 3), f"{name}/concat_projection", filters, 1)


def pooled_context(net, x, name, bins, filters, up):
    height, width = x.shape[1:3]
    for bin in bins:
        window = (height // bin, width // bin)
        pooled = avg_pool(x, window, window, (0, 0, 0, 0))
        yield up(net.conv(pooled, f"{name}/block5/pool{bin}/conv1", filters, 1), (height, width))


def half_pixel(x, size):
    return resize(x, size, "bilinear", "half-pixel")


def psp(net, levels, name, bins, filters):
    x = levels[8]
    x = torch.cat([*pooled_context(net, x, name, bins, filters, resize_tf1), x], 3)
    return net.out(net.conv(x, f"{name}/block5/conv2", filters, 3), f"{name}/block5/fc1_voc12")


def deeplab_v2(net, levels, name, rates):
    return sum(net.out(levels[8], f"{name}/fc1_c{i}", 3, rate) for i, rate in enumerate(rates))


def fcn(net, levels, name):
    return net.out(levels[8], f"{name}/block5/fc1_voc12")


def deeplab_v3(net, levels, name, filters, rates):
    x = aspp(net, levels[8], name, filters, [2 * rate for rate in rates], False)
    return net.out(net.conv(x, f"{name}/conv", filters, 3), f"{name}/output")


def deeplab_v3plus(net, levels, name, filters, lowLevel, rates):
    x = aspp(net, levels[8], name, filters, [2 * rate for rate in rates], True)
    low = net.conv(levels[4], f"{name}/decoder/feature_projection0", lowLevel, 1)
    x = torch.cat([half_pixel(x, low.shape[1:3]), low], 3)
    x = net.separable(x, f"{name}/decoder/decoder_conv0", filters)
    x = net.separable(x, f"{name}/decoder/decoder_conv1", filters)
    return net.out(x, f"{name}/output")


def skip(net, levels, name, bins, context, filters):
    x = levels[8]
    x = torch.cat([*pooled_context(net, x, name, bins, context, half_pixel), x], 3)
    x = net.conv(x, f"{name}/block5/fuse", filters, 1)
    x = torch.cat([half_pixel(x, levels[2].shape[1:3]), levels[2]], 3)
    return net.conv(x, f"{name}/block5/embedding", OUTPUTS, 1, activation=None)


HEADS = {
    "psp": (psp, {"bins": [1, 2, 3, 6], "filters": 8}),
    "deeplab-v2": (deeplab_v2, {"rates": [1, 2, 3, 5]}),
    "fcn": (fcn, {}),
    "deeplab-v3": (deeplab_v3, {"filters": 8, "rates": [1, 2, 3]}),
    "deeplab-v3plus": (deeplab_v3plus, {"filters": 8, "lowLevel": 4, "rates": [1, 2, 3]}),
    "skip": (skip, {"bins": [1, 2], "context": 4, "filters": 8}),
}


def narrow(name, variant, strides, filters):
    blocks = [{"units": u, "filters": f, "stride": s} for u, f, s in zip((2, 3, 2, 2), filters, strides)]
    stem = {"filters": 8, "kernel": 7, "stride": 2, "pool": True}
    return {"name": name, "variant": variant, "unit": "bottleneck", "stem": stem, "blocks": blocks, "outputStride": 8}


BACKBONES = {
    # As the release has it: the strides of blocks 2 and 3 are gone, and blocks 3 and 4 have rates 2 and 4.
    "tf-slim": (
        "resnet",
        narrow("resnet_v1_narrow", "tf-slim", (2, 2, 2, 1), (4, 4, 6, 8)),
        resnet,
        ([[1, 2], [1, 1, 1], [1, 1], [1, 1]], [[1, 1], [1, 1, 1], [2, 2], [4, 4]]),
        {"decay": [0.9997, 0.99], "epsilon": 1e-3},
    ),
    # As torchvision's `replace_stride_with_dilation=[False, True, True]` leaves it.
    "torchvision": (
        "resnet",
        narrow("resnet_narrow", "torchvision", (1, 2, 2, 2), (4, 5, 6, 8)),
        resnet,
        ([[1, 1], [2, 1, 1], [1, 1], [1, 1]], [[1, 1], [1, 1, 1], [1, 2], [2, 4]]),
        {"decay": [0.9, 0.9], "epsilon": 1e-5},
    ),
    "mobilenet_v2": (
        "mobilenet-v2",
        {"widthMultiplier": 0.1, "outputStride": 8, "lastChannels": 24},
        mobilenet,
        ((1, 2, 2, 1, 1, 1, 1), ((1, 1), (1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4))),
        {"decay": [0.9, 0.9], "epsilon": 1e-5},
    ),
}


def measured(name, value):
    """Product with the formula's vector, and length."""
    value = exact(value).reshape(-1)
    return float(value @ between(f"{name} direction", value.shape, -1, 1).astype(np.float64)), float(np.linalg.norm(value))


# Each head with both kinds of statistics (but for FCN, which has none), each backbone too.
CASES = {
    "tf-slim": {"psp": "batch", "deeplab-v2": "running", "fcn": "batch", "deeplab-v3": "running", "deeplab-v3plus": "batch"}
    | {"skip": "running"},
    "torchvision": {"psp": "running", "deeplab-v3": "batch", "skip": "batch"},
    # So many layers have so many kinks that batch statistics are asked of one image alone, which has none of its mean.
    "mobilenet_v2": {"deeplab-v3plus": "running", "deeplab-v2": "batch"},
}


def designs(writer):
    for family, heads in CASES.items():
        kind, spec, build, placed, norm = BACKBONES[family]
        for head, statistics_of in heads.items():
            function, options = HEADS[head]
            batch_statistics = statistics_of == "batch"
            features = build(spec, *placed)
            root = spec.get("name", "mobilenet_v2_0.1")
            shape = (3 if batch_statistics and kind == "resnet" else 1, SIDE, SIDE, 3)

            def compute(draw, noise=0):
                net = Design(draw, batch_statistics, norm["epsilon"])
                x = between(f"{draw} x", shape, -2, 2).astype(np.float64)
                x = leaf(x + noise * between("noise", shape, -1, 1))
                y = function(net, features(net, x), root, **options)
                grads = backward(y, between(f"{draw} dy", y.shape, -1, 1), {"x": x, **net.leaves})
                return y, net.statistics, {key: grad for key, grad in grads.items() if not is_constant(key, grad)}

            name = f"design_{family}_{head}".replace("-", "_")
            draw, (y, statistics, grads) = reproducible(name, compute)
            params = {
                **{"backbone": {"kind": kind, "spec": spec}, "head": {"name": head, "options": options}, **norm},
                **{"draw": draw, "shape": shape, "outputs": OUTPUTS},
                **{"statistics": statistics_of},
                **{"batch": list(statistics), "gradients": list(grads)},
            }
            tensors = {"outputs/y": stored(y), "grads/all": table(grads)}
            if batch_statistics:
                tensors["outputs/batch"] = table(statistics)
            metadata = {"op": "design", "params": json.dumps(params)}
            writer.write(f"{name}.safetensors", safetensors(tensors, metadata))
            writer.index.setdefault("design", []).append(name)


def table(values):
    return np.array([measured(key, value) for key, value in values.items()], np.float32)


def reproducible(name, compute):
    """The first draw that float32 reproduces and that other roundings would: in others a value is too near to a kink."""
    for draw in range(400):
        wide = compute(draw)
        with precision(torch.float32):
            problem = difference(wide, compute(draw), 1 / 4)
        for noise in (NOISE, -NOISE, NOISE / 3):
            problem = problem or difference(wide, compute(draw, noise), 1)
        if problem is None:
            print(f"{name}: draw {draw}")
            return draw, wide
    raise SystemExit(f"{name}: no draw will do")


def difference(wide, narrow, share):
    """What differs by more than this share of the tests' tolerances, or says nothing."""
    for a, b, tolerance in zip(wide, narrow, (VALUE_TOLERANCE, VALUE_TOLERANCE, GRADIENT_TOLERANCE)):
        for key, value in (a if isinstance(a, dict) else {"y": a}).items():
            other = b[key] if isinstance(b, dict) else b
            length = np.linalg.norm(exact(value))
            error = np.linalg.norm(exact(value) - exact(other)) / max(length, 1e-30)
            if not np.isfinite(length) or length < 1e-6 or error > tolerance * share:
                return f"{key} has length {length:.1e} and differs by {error:.1e}"
    return None


def is_constant(name, values):
    """Whether a gradient is zero but for rounding: batch statistics take away what a linear bottleneck's shift adds."""
    return name.endswith("project/BatchNorm/beta") and np.linalg.norm(exact(values)) < 1e-9


FAMILIES = (designs,)
