"""Convolution, depthwise too, batch norm, resize and pooling of NHWC images."""
import numpy as np
import torch
import torch.nn.functional as F

from .common import EPSILON, backward, distinct, leaf, nchw, nhwc, normals, real, simple


def conv2d(x, weights, stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0)):
    top, bottom, left, right = padding
    x = F.pad(nchw(x), (left, right, top, bottom))
    return nhwc(F.conv2d(x, weights.permute(3, 2, 0, 1), stride=stride, dilation=dilation))


def convolutions(writer):
    cases = {
        "plain": ([2, 6, 7, 3], [3, 3, 3, 5], (1, 1), (1, 1), (1, 1, 1, 1)),
        "stem_7x7_stride2": ([1, 15, 16, 3], [7, 7, 3, 8], (2, 2), (1, 1), (3, 3, 3, 3)),
        "same_pads_uneven": ([2, 8, 10, 4], [3, 3, 4, 8], (2, 2), (1, 1), (0, 1, 0, 1)),
        "dilation2": ([2, 9, 11, 4], [3, 3, 4, 8], (1, 1), (2, 2), (2, 2, 2, 2)),
        "dilation4": ([1, 12, 10, 16], [3, 3, 16, 16], (1, 1), (4, 4), (4, 4, 4, 4)),
        "stride2_dilation3": ([1, 13, 12, 4], [3, 3, 4, 4], (2, 2), (3, 3), (3, 2, 1, 4)),
        "unequal_axes": ([2, 10, 9, 3], [3, 2, 3, 6], (2, 1), (1, 3), (2, 0, 0, 3)),
        "valid_even_filter": ([1, 9, 8, 5], [4, 2, 5, 3], (3, 2), (2, 1), (0, 0, 0, 0)),
        "pointwise_stride2": ([2, 7, 6, 8], [1, 1, 8, 12], (2, 2), (1, 1), (0, 0, 0, 0)),
        "wide_channels": ([1, 6, 6, 32], [3, 3, 32, 16], (1, 1), (2, 2), (2, 2, 2, 2)),
    }
    for seed, (name, (shape, filters, stride, dilation, padding)) in enumerate(cases.items(), 100):
        inputs = {"x": normals(seed, *shape), "filter": normals(seed + 50, *filters, scale=0.3)}
        params = {"stride": stride, "dilation": dilation, "padding": padding}
        function = lambda v, p=params: conv2d(v["x"], v["filter"], **p)
        simple(writer, f"conv2d_{name}", "conv2d", params, inputs, function, seed)


def depthwise_conv2d(x, weights, stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0)):
    """Filters [height, width, channels, multiplier], TensorFlow's order; PyTorch has a group a channel."""
    height, width, channels, multiplier = weights.shape
    top, bottom, left, right = padding
    x = F.pad(nchw(x), (left, right, top, bottom))
    weights = weights.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return nhwc(F.conv2d(x, weights, stride=stride, dilation=dilation, groups=channels))


def depthwise_convolutions(writer):
    cases = {
        "plain": ([2, 7, 6, 8], [3, 3, 8, 1], (1, 1), (1, 1), (1, 1, 1, 1)),
        "same_pads_uneven": ([2, 8, 10, 4], [3, 3, 4, 1], (2, 2), (1, 1), (0, 1, 0, 1)),
        "stride2": ([1, 9, 11, 8], [3, 3, 8, 1], (2, 2), (1, 1), (1, 1, 1, 1)),
        "dilation2": ([1, 11, 9, 4], [3, 3, 4, 1], (1, 1), (2, 2), (2, 2, 2, 2)),
        "dilation4_odd_channels": ([1, 12, 10, 6], [3, 3, 6, 1], (1, 1), (4, 4), (4, 4, 3, 5)),
        "stride2_dilation2": ([1, 13, 12, 4], [3, 3, 4, 1], (2, 2), (2, 2), (2, 1, 3, 2)),
        "multiplier2": ([2, 6, 7, 3], [3, 3, 3, 2], (1, 1), (1, 1), (1, 1, 1, 1)),
        "multiplier3_unequal_axes": ([1, 10, 9, 4], [3, 2, 4, 3], (2, 1), (1, 3), (2, 0, 0, 3)),
        "filter5x5": ([1, 9, 8, 4], [5, 5, 4, 1], (2, 1), (1, 1), (2, 2, 2, 2)),
    }
    for seed, (name, (shape, filters, stride, dilation, padding)) in enumerate(cases.items(), 150):
        inputs = {"x": normals(seed, *shape), "filter": normals(seed + 20, *filters, scale=0.5)}
        params = {"stride": stride, "dilation": dilation, "padding": padding}
        function = lambda v, p=params: depthwise_conv2d(v["x"], v["filter"], **p)
        simple(writer, f"depthwise_{name}", "depthwise_conv2d", params, inputs, function, seed)


def batch_norm(x, mean, variance, gamma, beta, epsilon=EPSILON):
    return (x - mean) / torch.sqrt(variance + epsilon) * gamma + beta


def moments(x):
    axes = tuple(range(x.dim() - 1))
    return x.mean(axes), x.var(axes, unbiased=False)


def batch_norms(writer):
    for seed, (name, shape, shift) in enumerate((("maps", [3, 5, 4, 6], 0.5), ("rows", [17, 8], 3.0)), 200):
        channels = shape[-1]
        inputs = {
            "x": normals(seed, *shape, scale=1.5, shift=shift),
            "gamma": normals(seed + 10, channels, scale=0.3, shift=1),
            "beta": normals(seed + 20, channels),
            "moving_mean": normals(seed + 30, channels),
            "moving_variance": np.abs(normals(seed + 40, channels)) + np.float32(0.5),
            "dy": normals(seed + 50, *shape),
        }

        def compute(given, training, decay=0.9):
            leaves = {key: leaf(given[key]) for key in ("x", "gamma", "beta")}
            old = [torch.tensor(given[key]).to(real()) for key in ("moving_mean", "moving_variance")]
            x, gamma, beta = leaves.values()
            statistics = moments(x) if training else old
            y = batch_norm(x, *statistics, gamma, beta)
            rows = x.reshape(-1, x.shape[-1])
            theirs = F.batch_norm(rows, old[0].clone(), old[1].clone(), gamma, beta, training, 0.0, EPSILON)
            assert torch.allclose(theirs.reshape(y.shape), y, atol=1e-5)
            outputs = {"y": y}
            if training:
                new = [decay * a + (1 - decay) * b.detach() for a, b in zip(old, statistics)]
                outputs.update(mean=statistics[0], variance=statistics[1], moving_mean=new[0], moving_variance=new[1])
            return outputs, backward(y, given["dy"], leaves)

        for mode, training in (("batch", True), ("running", False)):
            params = {"epsilon": EPSILON, "statistics": mode, **({"decay": 0.9} if training else {})}
            writer.save(
                f"batch_norm_{mode}_{name}", "batch_norm", params, inputs, lambda g, t=training: compute(g, t)
            )


def tf1_taps(extent, size, nearest):
    """Indices and weights of the sources dst * extent / size, in exact integer arithmetic."""
    first = np.arange(size) * extent // size
    fraction = np.zeros(size) if nearest else (np.arange(size) * extent % size) / size
    return torch.tensor(first), torch.tensor(np.minimum(first + 1, extent - 1)), torch.tensor(fraction).to(real())


def resize_tf1(x, size, nearest=False):
    for axis, extent in ((1, size[0]), (2, size[1])):
        low, high, fraction = tf1_taps(x.shape[axis], extent, nearest)
        fraction = fraction.reshape([-1 if a == axis else 1 for a in range(4)])
        x = x.index_select(axis, low) * (1 - fraction) + x.index_select(axis, high) * fraction
    return x


def resize(x, size, method, convention):
    if convention == "tf1":
        return resize_tf1(x, size, method == "nearest")
    options = {"mode": "nearest-exact"} if method == "nearest" else {"mode": "bilinear", "align_corners": False}
    return nhwc(F.interpolate(nchw(x), size=tuple(size), **options))


def resizes(writer):
    sizes = {
        "up": ([2, 4, 5, 3], [9, 7]),
        "up_integer": ([1, 3, 3, 4], [6, 12]),
        "down": ([1, 11, 9, 4], [4, 6]),
        "mixed": ([2, 5, 8, 3], [12, 3]),
        "from_one_pixel": ([3, 1, 1, 4], [6, 5]),
    }
    seed = 300
    for method in ("bilinear", "nearest"):
        for convention in ("tf1", "half-pixel"):
            for name, (shape, size) in sizes.items():
                seed += 1
                params = {"method": method, "convention": convention, "size": size}
                function = lambda v, p=params: resize(v["x"], **p)
                full = f"resize_{method}_{convention.replace('-', '_')}_{name}"
                simple(writer, full, "resize", params, {"x": normals(seed, *shape)}, function, seed)


def max_pool(x, size, stride, padding):
    top, bottom, left, right = padding
    x = F.pad(nchw(x), (left, right, top, bottom), value=-float("inf"))
    return nhwc(F.max_pool2d(x, size, stride))


def avg_pool(x, size, stride, padding, count_padding=False):
    top, bottom, left, right = padding
    pads = (left, right, top, bottom)
    sums = F.avg_pool2d(F.pad(nchw(x), pads), size, stride, divisor_override=1)
    covered = F.avg_pool2d(F.pad(torch.ones_like(nchw(x)), pads), size, stride, divisor_override=1)
    return nhwc(sums / (size[0] * size[1] if count_padding else covered))


def pools(writer):
    cases = {
        "stem_3x3_stride2": ([2, 9, 8, 4], (3, 3), (2, 2), (1, 1, 1, 1)),
        "same_pads_uneven": ([1, 8, 10, 3], (3, 3), (2, 2), (0, 1, 0, 1)),
        "overlapping_unequal": ([2, 7, 9, 5], (3, 2), (1, 2), (1, 1, 0, 1)),
        "tiles": ([2, 6, 6, 4], (2, 3), (2, 3), (0, 0, 0, 0)),
        "subsample": ([1, 7, 6, 4], (1, 1), (2, 2), (0, 0, 0, 0)),
        "global": ([3, 6, 6, 8], (6, 6), (6, 6), (0, 0, 0, 0)),
    }
    for seed, (name, (shape, size, stride, padding)) in enumerate(cases.items(), 400):
        params = {"size": size, "stride": stride, "padding": padding}
        function = lambda v, p=params: max_pool(v["x"], **p)
        simple(writer, f"max_pool_{name}", "max_pool", params, {"x": distinct(seed, *shape)}, function, seed)
        for count in (False, True) if any(padding) else (False,):
            function = lambda v, p=params, c=count: avg_pool(v["x"], **p, count_padding=c)
            full = f"avg_pool_{name}{'_count_padding' if count else ''}"
            extended = {**params, "countIncludePad": count}
            simple(writer, full, "avg_pool", extended, {"x": normals(seed + 50, *shape)}, function, seed)


FAMILIES = (convolutions, depthwise_convolutions, batch_norms, resizes, pools)
