"""Layers under TF-Slim's parameter names, and residual units."""
import numpy as np
import torch
import torch.nn.functional as F

from .common import EPSILON, backward, leaf, nchw, nhwc, normals, real
from .operations import batch_norm, conv2d, max_pool, moments


def same(kernel, dilation):
    total = (kernel - 1) * dilation
    begin, end = total // 2, total - total // 2
    return begin, end, begin, end


class Network:
    """Functions over parameters by name. Parameters are drawn when first asked for, so that one pass declares them."""

    def __init__(self, seed, batch_statistics, epsilon=EPSILON):
        self.random, self.batch_statistics, self.epsilon = np.random.RandomState(seed), batch_statistics, epsilon
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

    def conv(self, x, name, channels, kernel, stride=1, dilation=1, activation=torch.relu, norm=True):
        fan_in = kernel * kernel * x.shape[-1]
        weights = self.parameter(f"{name}/weights", (kernel, kernel, x.shape[-1], channels), 0, (2 / fan_in) ** 0.5)
        y = conv2d(x, weights, (stride, stride), (dilation, dilation), same(kernel, dilation))
        return self.behind(y, name, activation, norm)

    def depthwise(self, x, name, kernel, stride=1, dilation=1, activation=torch.relu):
        channels = x.shape[-1]
        shape = (kernel, kernel, channels, 1)
        weights = self.parameter(f"{name}/depthwise_weights", shape, 0, (2 / kernel**2) ** 0.5)
        padding = (kernel - 1) * dilation // 2
        y = F.conv2d(nchw(x), weights.permute(2, 3, 0, 1), None, stride, padding, dilation, groups=channels)
        return self.behind(nhwc(y), name, activation, True)

    def behind(self, y, name, activation, norm):
        if norm:
            y = self.norm(y, f"{name}/BatchNorm")
        else:
            y = y + self.parameter(f"{name}/biases", (y.shape[-1],), 0, 0.1)
        return activation(y) if activation else y

    def norm(self, x, name):
        channels = (x.shape[-1],)
        gamma = self.parameter(f"{name}/gamma", channels, 1, 0.2)
        beta = self.parameter(f"{name}/beta", channels, 0, 0.2)
        old = {
            f"{name}/moving_mean": self.draw(f"{name}/moving_mean", channels, 0, 0.5),
            f"{name}/moving_variance": self.draw(f"{name}/moving_variance", channels, 0.5, 0.5, True),
        }
        running = [torch.tensor(values).to(real()) for values in old.values()]
        if not self.batch_statistics:
            return batch_norm(x, *running, gamma, beta, self.epsilon)
        batch = moments(x)
        self.statistics.update(zip(old, (value.detach() for value in batch)))
        return batch_norm(x, *batch, gamma, beta, self.epsilon)

    def unit(self, x, name, kind, filters, stride=1, dilation=1):
        channels = 4 * filters if kind == "bottleneck" else filters
        if x.shape[-1] != channels:
            shortcut = self.conv(x, f"{name}/shortcut", channels, 1, stride, activation=None)
        else:
            shortcut = max_pool(x, (1, 1), (stride, stride), (0, 0, 0, 0))
        if kind == "bottleneck":
            y = self.conv(x, f"{name}/conv1", filters, 1)
            y = self.conv(y, f"{name}/conv2", filters, 3, stride, dilation)
            y = self.conv(y, f"{name}/conv3", channels, 1, activation=None)
        else:
            y = self.conv(x, f"{name}/conv1", filters, 3, stride, dilation)
            y = self.conv(y, f"{name}/conv2", channels, 3, 1, dilation, activation=None)
        return torch.relu(y + shortcut)


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
        outputs = {"y": y, **{f"batch/{key}": value for key, value in net.statistics.items()}}
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
        params = {"unit": kind, "filters": filters, "stride": stride, "dilation": dilation}
        scope = f"resnet/block1/unit_1/{kind}_v1"
        function = lambda net, x, p=params, s=scope: net.unit(x, s, p["unit"], p["filters"], p["stride"], p["dilation"])
        params = {**params, "scope": scope}
        network(writer, f"unit_{name}", "residual_unit", params, normals(seed, *shape), function, seed + 50, batch)


FAMILIES = (units,)
