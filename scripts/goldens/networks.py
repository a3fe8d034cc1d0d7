"""Residual units, and a small ResNet with a PSP head, under TF-Slim's parameter names."""
import numpy as np
import torch

from .common import EPSILON, backward, leaf, normals, real
from .operations import avg_pool, batch_norm, conv2d, max_pool, moments, resize_tf1

BACKBONE_DECAY, HEAD_DECAY = 0.9997, 0.99


class Network:
    """Functions over parameters by name. Parameters are drawn when first asked for, so that one pass declares them."""

    def __init__(self, seed, batch_statistics):
        self.random, self.batch_statistics = np.random.RandomState(seed), batch_statistics
        self.parameters, self.leaves, self.statistics = {}, {}, {}

    def draw(self, name, shape, mean, deviation, positive=False):
        if name not in self.parameters:
            values = self.random.standard_normal(shape) * deviation
            self.parameters[name] = (np.abs(values) + mean if positive else values + mean).astype(np.float32)
        return self.parameters[name]

    def parameter(self, name, *arguments):
        values = self.draw(name, *arguments)
        if name not in self.leaves:
            self.leaves[name] = leaf(values)
        return self.leaves[name]

    def conv(self, x, name, channels, kernel, stride=1, dilation=1, relu=True, norm=True, decay=BACKBONE_DECAY):
        fan_in = kernel * kernel * x.shape[-1]
        weights = self.parameter(f"{name}/weights", (kernel, kernel, x.shape[-1], channels), 0, (2 / fan_in) ** 0.5)
        total = (kernel - 1) * dilation
        begin, end = total // 2, total - total // 2
        y = conv2d(x, weights, (stride, stride), (dilation, dilation), (begin, end, begin, end))
        if norm:
            y = self.norm(y, f"{name}/BatchNorm", decay)
        else:
            y = y + self.parameter(f"{name}/biases", (channels,), 0, 0.1)
        return torch.relu(y) if relu else y

    def norm(self, x, name, decay):
        channels = (x.shape[-1],)
        gamma = self.parameter(f"{name}/gamma", channels, 1, 0.2)
        beta = self.parameter(f"{name}/beta", channels, 0, 0.2)
        old = {
            f"{name}/moving_mean": self.draw(f"{name}/moving_mean", channels, 0, 0.5),
            f"{name}/moving_variance": self.draw(f"{name}/moving_variance", channels, 0.5, 0.5, True),
        }
        running = [torch.tensor(values).to(real()) for values in old.values()]
        if not self.batch_statistics:
            return batch_norm(x, *running, gamma, beta)
        batch = moments(x)
        for key, a, b in zip(old, running, batch):
            self.statistics[key] = decay * a + (1 - decay) * b.detach()
        return batch_norm(x, *batch, gamma, beta)

    def unit(self, x, name, kind, filters, stride=1, dilation=1):
        channels = 4 * filters if kind == "bottleneck" else filters
        if x.shape[-1] != channels:
            shortcut = self.conv(x, f"{name}/shortcut", channels, 1, stride, relu=False)
        else:
            shortcut = max_pool(x, (1, 1), (stride, stride), (0, 0, 0, 0))
        if kind == "bottleneck":
            y = self.conv(x, f"{name}/conv1", filters, 1)
            y = self.conv(y, f"{name}/conv2", filters, 3, stride, dilation)
            y = self.conv(y, f"{name}/conv3", channels, 1, relu=False)
        else:
            y = self.conv(x, f"{name}/conv1", filters, 3, stride, dilation)
            y = self.conv(y, f"{name}/conv2", channels, 3, 1, dilation, relu=False)
        return torch.relu(y + shortcut)

    def psp(self, x, name, bins, filters, outputs):
        height, width = x.shape[1:3]
        branches = []
        for bin in bins:
            window = (height // bin, width // bin)
            pooled = avg_pool(x, window, window, (0, 0, 0, 0))
            pooled = self.conv(pooled, f"{name}/block5/pool{bin}/conv1", filters, 1, decay=HEAD_DECAY)
            branches.append(resize_tf1(pooled, (height, width)))
        x = torch.cat([*branches, x], 3)
        x = self.conv(x, f"{name}/block5/conv2", filters, 3, decay=HEAD_DECAY)
        return self.conv(x, f"{name}/block5/fc1_voc12", outputs, 1, relu=False, norm=False)


def network(writer, name, op, params, x, function, seed, batch_statistics, about=""):
    declared = Network(seed, batch_statistics)
    shape = function(declared, leaf(x)).shape
    inputs = {"x": x, "dy": normals(seed + 1, *shape)}
    inputs.update({f"parameters/{key}": value for key, value in declared.parameters.items()})

    def compute(given):
        net = Network(seed, batch_statistics)
        net.parameters = dict(declared.parameters)
        image = leaf(given["x"])
        y = function(net, image)
        leaves = {"x": image, **{f"parameters/{key}": value for key, value in net.leaves.items()}}
        outputs = {"y": y, **{f"statistics/{key}": value for key, value in net.statistics.items()}}
        return outputs, backward(y, given["dy"], leaves)

    extended = {**params, "epsilon": EPSILON, "statistics": "batch" if batch_statistics else "running"}
    writer.save(name, op, extended, inputs, compute, about)


def units(writer):
    cases = {
        "conv_shortcut": ("bottleneck", [2, 7, 6, 8], 4, 1, 1, True),
        "conv_shortcut_stride2": ("bottleneck", [2, 9, 8, 8], 4, 2, 1, True),
        "conv_shortcut_dilation4": ("bottleneck", [2, 10, 9, 8], 4, 1, 4, True),
        "identity": ("bottleneck", [2, 6, 7, 16], 4, 1, 1, True),
        "identity_dilation2": ("bottleneck", [2, 8, 7, 16], 4, 1, 2, True),
        "subsample_stride2": ("bottleneck", [2, 9, 7, 16], 4, 2, 1, True),
        "running_statistics": ("bottleneck", [2, 7, 6, 8], 4, 1, 2, False),
        "basic_stride2": ("basic", [2, 9, 8, 6], 8, 2, 1, True),
        "basic_identity_dilation2": ("basic", [2, 8, 9, 8], 8, 1, 2, True),
    }
    for seed, (name, (kind, shape, filters, stride, dilation, batch)) in enumerate(cases.items(), 500):
        params = {"unit": kind, "filters": filters, "stride": stride, "dilation": dilation, "decay": BACKBONE_DECAY}
        scope = f"resnet/block1/unit_1/{kind}_v1"
        function = lambda net, x, p=params, s=scope: net.unit(x, s, p["unit"], p["filters"], p["stride"], p["dilation"])
        params = {**params, "scope": scope}
        network(writer, f"unit_{name}", "residual_unit", params, normals(seed, *shape), function, seed + 50, batch)


def resnet_psp(writer):
    params = {
        "name": "resnet_v1_tiny",
        "variant": "tf-slim",
        "unit": "bottleneck",
        "stem": {"filters": 8, "kernel": 7, "stride": 2, "pool": True},
        "blocks": [
            {"units": 1, "filters": 4, "stride": 2},
            {"units": 1, "filters": 8, "stride": 2},
            {"units": 1, "filters": 8, "stride": 1},
        ],
        "outputStride": 8,
        "dilations": [1, 1, 2],
        "psp": {"bins": [1, 2, 3, 6], "filters": 8},
        "outputs": 5,
        "decay": {"backbone": BACKBONE_DECAY, "head": HEAD_DECAY},
    }

    def resnet(net, x):
        x = net.conv(x, "resnet_v1_tiny/conv1", 8, 7, 2)
        x = max_pool(x, (3, 3), (2, 2), (1, 1, 1, 1))
        x = net.unit(x, "resnet_v1_tiny/block1/unit_1/bottleneck_v1", "bottleneck", 4, 2, 1)
        x = net.unit(x, "resnet_v1_tiny/block2/unit_1/bottleneck_v1", "bottleneck", 8, 1, 1)
        x = net.unit(x, "resnet_v1_tiny/block3/unit_1/bottleneck_v1", "bottleneck", 8, 1, 2)
        return net.psp(x, "resnet_v1_tiny", (1, 2, 3, 6), 8, 5)

    about = "The stride of block 2 lies beyond the output stride: its unit keeps dilation 1, block 3 has dilation 2."
    network(writer, "resnet_psp", "resnet_psp", params, normals(560, 4, 48, 48, 3), resnet, 561, True, about)


FAMILIES = (units, resnet_psp)
