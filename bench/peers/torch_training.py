"""A training step of ResNet + PSP head + SegSort loss in PyTorch, as fast as plain PyTorch makes it: images a second, peak memory.

  python3 bench/peers/torch_training.py [--depth 50 101] [--batch 8] [--crop 336] [--steps 20] [--modes fp32 tf32 amp]
    [--formats channels_last contiguous_format] [--device cuda] [--out results.json]

Prints a JSON object a line for each depth, mode and memory format; `--out` writes all of them as a list, after each. Ends with 1 if
nothing could be measured. The network is the engine's (`src/models/resnet.ts`, `pspnet.ts`):
TF-Slim's ResNet v1 at output stride 8, strides in the last unit of a block; embeddings of 32 channels. The loss is that of
`src/segsort`: spherical k-means on embedding and location from the 5x5 grid, segments numbered on the device, the NCA loss in
logarithms against the batch's prototypes and two memory banks. Tables have a fixed capacity, so that the host never waits for
the device in the middle of a step. Images and labels are made once: loading data is not measured.
"""

import argparse
import json
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

# The numbers of bench/cases/training.ts, which the engine's steps have: the two are compared.
CLASSES, IGNORE, CONCENTRATION, CELLS, ITERATIONS, BANKS, CAPACITY = 21, 255, 10.0, 5, 10, 2, 128
RATE = 1e-4
# What takes no part gets this logarithm: finite, so that gradients of empty sums are 0 and not NaN.
NOTHING = -1e4


def conv_unit(inputs, outputs, kernel, stride=1, dilation=1, relu=True):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False)
    layers = [conv, nn.BatchNorm2d(outputs, eps=1e-3, momentum=3e-4)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    def __init__(self, inputs, filters, stride, dilation):
        super().__init__()
        self.body = nn.Sequential(
            conv_unit(inputs, filters, 1),
            conv_unit(filters, filters, 3, stride, dilation),
            conv_unit(filters, 4 * filters, 1, relu=False),
        )
        if inputs != 4 * filters:
            self.shortcut = conv_unit(inputs, 4 * filters, 1, stride, relu=False)
        else:
            self.shortcut = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class ResNet(nn.Sequential):
    """Features at an eighth of the image's size: strides beyond that turn into dilation."""

    def __init__(self, units):
        layers = [conv_unit(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
        channels, stride, dilation = 64, 4, 1
        for filters, count, block_stride in zip((64, 128, 256, 512), units, (2, 2, 2, 1)):
            for unit in range(count):
                wanted = block_stride if unit == count - 1 else 1
                dilate = stride * wanted > 8
                layers.append(Bottleneck(channels, filters, 1 if dilate else wanted, dilation))
                channels = 4 * filters
                if dilate:
                    dilation *= wanted
                else:
                    stride *= wanted
        super().__init__(*layers)
        self.channels = channels


class PspHead(nn.Module):
    def __init__(self, channels, outputs, bins=(1, 2, 3, 6), filters=512):
        super().__init__()
        self.bins = bins
        self.branches = nn.ModuleList(conv_unit(channels, filters, 1) for _ in bins)
        self.conv2 = conv_unit(channels + len(bins) * filters, filters, 3)
        self.fc = nn.Conv2d(filters, outputs, 1)

    def forward(self, x):
        size = x.shape[2:]
        pooled = [
            F.interpolate(branch(F.adaptive_avg_pool2d(x, bins)), size, mode="bilinear", align_corners=False)
            for bins, branch in zip(self.bins, self.branches)
        ]
        return self.fc(self.conv2(torch.cat([*pooled, x], 1)))


def k_means(unit, height, width):
    """Clusters [N,P] of unit embeddings [N,P,D] and their locations; ties go to the lower id, empty clusters stay empty."""
    count, pixels, channels = unit.shape
    clusters = CELLS * CELLS
    y, x = torch.arange(height, device=unit.device), torch.arange(width, device=unit.device)
    located = torch.stack(torch.meshgrid(y / height, x / width, indexing="ij"), -1).reshape(1, pixels, 2)
    features = F.normalize(torch.cat([unit, located.expand(count, pixels, 2)], 2), dim=2)
    cell = lambda size, at: torch.div(at, -(-size // CELLS), rounding_mode="floor")
    ids = (cell(height, y)[:, None] + CELLS * cell(width, x)[None, :]).reshape(1, pixels).expand(count, pixels)
    for _ in range(ITERATIONS):
        members = F.one_hot(ids, clusters).to(features.dtype)
        centroids = F.normalize(torch.bmm(members.transpose(1, 2), features), dim=2)
        scores = torch.bmm(features, centroids.transpose(1, 2))
        empty = members.sum(1, keepdim=True) == 0
        ids = scores.masked_fill(empty, -2.0).argmax(2)
    return ids


def prototypes_of(unit, clusters, labels):
    """Rows of the pixels' segments [N*P], prototypes [N*CAPACITY,D] and their labels, -1 where unused, without asking the host."""
    count, pixels, channels = unit.shape
    device, per_image = unit.device, CELLS * CELLS * CLASSES
    valid = (labels != IGNORE).reshape(-1)
    image = torch.arange(count, device=device)[:, None]
    ids = (image * per_image + clusters * CLASSES + labels.clamp(max=CLASSES - 1)).reshape(-1)
    size = count * per_image
    # Ignored pixels go into a place of their own behind the others.
    present = torch.zeros(size + 1, dtype=torch.long, device=device).scatter_(0, torch.where(valid, ids, size), 1)[:size]
    rank = (present.cumsum(0) - 1).clamp(max=count * CAPACITY - 1)
    rows = torch.where(valid, rank[ids], count * CAPACITY)
    table = torch.zeros(count * CAPACITY + 1, channels, device=device).index_add_(0, rows, unit.reshape(-1, channels))
    row_labels = torch.full((count * CAPACITY + 1,), -1, dtype=torch.long, device=device)
    row_labels = row_labels.scatter_(0, rows, labels.reshape(-1))
    return rows, F.normalize(table[:-1], dim=1), row_labels[:-1], valid


class SegsortLoss(nn.Module):
    def __init__(self, images, channels):
        super().__init__()
        self.register_buffer("banks", torch.zeros(BANKS * images * CAPACITY, channels))
        self.register_buffer("bank_labels", torch.full((BANKS * images * CAPACITY,), -1))

    def forward(self, output, labels):
        """output [N,D,h,w], labels [N,h,w] -> the mean over valid pixels."""
        count, channels, height, width = output.shape
        unit = F.normalize(output.permute(0, 2, 3, 1).reshape(count, height * width, channels), dim=2)
        labels = labels.reshape(count, height * width)
        with torch.no_grad():
            clusters = k_means(unit, height, width)
        own, prototypes, prototype_labels, valid = prototypes_of(unit, clusters, labels)
        table = torch.cat([prototypes, self.banks])
        table_labels = torch.cat([prototype_labels, self.bank_labels])

        similarities = CONCENTRATION * (unit.reshape(-1, channels) @ table.t())
        own_column = own.clamp(max=len(prototypes) - 1)[:, None]
        same = labels.reshape(-1, 1) == table_labels[None, :]
        own_term = similarities.gather(1, own_column)[:, 0]
        used = table_labels[None, :] >= 0
        different = similarities.masked_fill(same | ~used, NOTHING).logsumexp(1)
        others = similarities.masked_fill(~same, NOTHING).scatter(1, own_column, NOTHING).logsumexp(1)
        favoured = torch.where(others < NOTHING / 2, own_term, others)
        losses = F.softplus(different - favoured)

        rows = len(prototypes)
        with torch.no_grad():
            self.banks = torch.cat([self.banks[rows:], prototypes])
            self.bank_labels = torch.cat([self.bank_labels[rows:], prototype_labels])
        return (losses * valid).sum() / valid.sum().clamp(min=1)


def optimiser_of(backbone, head, rate=RATE, decay=5e-4):
    """The head learns ten times as fast, and only weights decay."""
    groups = []
    for module, factor in ((backbone, 1), (head, 10)):
        weights = [p for p in module.parameters() if p.dim() > 1]
        rest = [p for p in module.parameters() if p.dim() <= 1]
        groups.append({"params": weights, "lr": rate * factor, "weight_decay": decay})
        groups.append({"params": rest, "lr": rate * factor, "weight_decay": 0.0})
    return torch.optim.SGD(groups, lr=rate, momentum=0.9)


def batch_of(images, crop, device):
    """Noise with four labels by quarter, and a border of ignored pixels."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(images, 3, crop, crop, generator=generator) * 60
    at = torch.arange(crop // 8)
    labels = (at >= crop // 16)[:, None] * 2 + (at >= crop // 16)[None, :] * 1
    labels = labels[None].repeat(images, 1, 1)
    labels[:, 0] = IGNORE
    return x.to(device), labels.to(device)


def measure(depth, mode, memory_format, options):
    device = torch.device(options.device)
    cuda = device.type == "cuda"
    tf32 = mode != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(1)
    wait = torch.cuda.synchronize if cuda else (lambda: None)

    backbone = ResNet({26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth])
    head = PspHead(backbone.channels, 32)
    network = nn.Sequential(backbone, head).to(device, memory_format=getattr(torch, memory_format)).train()
    objective = SegsortLoss(options.batch, 32).to(device)
    optimiser = optimiser_of(backbone, head)
    scaler = torch.cuda.amp.GradScaler(enabled=mode == "amp" and cuda)
    half = torch.float16 if cuda else torch.bfloat16
    images, labels = batch_of(options.batch, options.crop, device)
    images = images.contiguous(memory_format=getattr(torch, memory_format))

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=half, enabled=mode == "amp"):
            output = network(images)
        loss = objective(output.float(), labels)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        return loss.detach()

    losses = [step() for _ in range(options.warmup)]
    wait()
    if cuda:
        # What cuDNN's algorithms were tried in, and what networks before this one left, counts no more.
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(options.steps):
        begin = time.perf_counter()
        losses.append(step())
        wait()
        times.append((time.perf_counter() - begin) * 1000)
    # As a training loop runs: the host is steps ahead.
    begin = time.perf_counter()
    for _ in range(options.steps):
        losses.append(step())
    wait()
    together = (time.perf_counter() - begin) * 1000 / options.steps
    times.sort()
    return {
        "batch": options.batch,
        "crop": options.crop,
        "device": torch.cuda.get_device_name() if cuda else f"cpu ({torch.get_num_threads()} threads)",
        "torch": torch.__version__,
        "milliseconds": times[len(times) // 2],
        "millisecondsFreeRunning": together,
        "imagesPerSecond": options.batch * 1000 / min(times[len(times) // 2], together),
        "peakMemoryMiB": torch.cuda.max_memory_allocated() / 2**20 if cuda else None,
        "reservedMemoryMiB": torch.cuda.max_memory_reserved() / 2**20 if cuda else None,
        "losses": [round(loss.item(), 4) for loss in (losses[0], losses[len(losses) // 2], losses[-1])],
    }


def main():
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description="Times a training step of ResNet + PSP head + SegSort loss in PyTorch.")
    parser.add_argument("--depth", type=int, nargs="+", default=[50, 101], choices=[26, 50, 101])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=336, help="a multiple of 48")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--modes", nargs="+", choices=["fp32", "tf32", "amp"])
    parser.add_argument("--formats", nargs="+", default=["channels_last", "contiguous_format"])
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--out")
    options = parser.parse_args()
    if options.crop % 48:
        parser.error(f"--crop {options.crop}: the pyramid needs a multiple of 48")
    results = []
    for depth in options.depth:
        for mode in options.modes or (["fp32", "tf32", "amp"] if options.device == "cuda" else ["fp32"]):
            for memory_format in options.formats:
                which = {"network": f"resnet{depth} psp", "mode": mode, "format": memory_format}
                try:
                    results.append({**which, **measure(depth, mode, memory_format, options)})
                except Exception as error:  # out of memory: the others may fit
                    results.append({**which, "error": f"{type(error).__name__}: {error}"})
                print(json.dumps(results[-1]), flush=True)
                if options.out:
                    write(options.out, results)
                if options.device == "cuda":
                    torch.cuda.empty_cache()
    if all("error" in result for result in results):
        sys.exit("nothing could be measured")


def write(path, results):
    with open(f"{path}.tmp", "w") as file:
        json.dump(results, file, indent=1)
    os.replace(f"{path}.tmp", path)


if __name__ == "__main__":
    main()
