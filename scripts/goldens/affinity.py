"""Affinity field losses (Ke et al., ECCV 2018), from their formulas: every ordered pair of neighbours, one by one."""
import numpy as np
import torch

from .common import leaf, normals, real

IGNORE = 255
MARGIN = 3.0
LEAST = 1e-4  # probabilities are clipped to this
EDGE_FACTOR, OTHER_FACTOR = 0.7, 1.3  # in the loss that the gradients are of: unequal, so that a mix-up shows


def divergence(neighbour, centre):
    """KL of two yes-or-no probabilities."""
    total = 0
    for p, q in ((neighbour, centre), (1 - neighbour, 1 - centre)):
        p, q = p.clamp(min=LEAST), q.clamp(min=LEAST)
        total = total + p * torch.log(p / q)
    return total


def patch_terms(probabilities, labels, size, edge_weights, other_weights):
    """Means over the entries (centre, corner, class) at edges and not; weights are of the centre's class."""
    images, height, width, classes = probabilities.shape
    edges, others = [], []
    for dy in (-size, 0, size):
        for dx in (-size, 0, size):
            rows = [y for y in range(height) if 0 <= y + dy < height]
            columns = [x for x in range(width) if 0 <= x + dx < width]
            if (dy, dx) == (0, 0) or not rows or not columns:
                continue
            at = np.ix_(range(images), rows, columns)
            there = np.ix_(range(images), [y + dy for y in rows], [x + dx for x in columns])
            centre_labels, other_labels = labels[at], labels[there]
            counts = (centre_labels != IGNORE) & (other_labels != IGNORE)
            divergences = divergence(probabilities[there], probabilities[at])[torch.tensor(counts)]
            centre, other = centre_labels[counts], other_labels[counts]
            is_edge = torch.tensor((centre[:, None] == np.arange(classes)) != (other[:, None] == np.arange(classes)))
            chosen = torch.tensor(centre).long()
            missing = torch.clamp(MARGIN - divergences, min=0)
            edges.append((missing * edge_weights[chosen][:, None])[is_edge])
            others.append((divergences * other_weights[chosen][:, None])[~is_edge])
    return torch.cat(edges), torch.cat(others)


def scene(seed, images, height, width, classes):
    """Logits that follow labels, wrongly in places; labels in blobs, some ignored."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    centres = random.rand(images, 6, 2) * [height, width]
    distance = (y[None, None] - centres[:, :, :1, None]) ** 2 + (x[None, None] - centres[:, :, 1:, None]) ** 2
    kinds = random.randint(0, classes, (images, 6))
    labels = np.stack([kinds[n][distance[n].argmin(0)] for n in range(images)])
    logits = normals(seed + 1, images, height, width, classes, scale=2.0) + 3.0 * (labels[..., None] == np.arange(classes))
    labels = np.where(random.rand(*labels.shape) < 0.1, IGNORE, labels)
    return logits.astype(np.float32), labels.astype(np.int32)


def affinities(writer):
    classes = 4
    logits, labels = scene(700, 2, 7, 6, classes)
    weights = {"edge_weights": normals(710, classes, 3), "not_edge_weights": normals(711, classes, 3)}
    uniform = np.full_like(labels, 2)

    def compute(given):
        leaves = {key: leaf(value) for key, value in given.items() if key != "labels"}
        probabilities = torch.softmax(leaves["logits"], 3)
        adaptive = "edge_weights" in leaves
        ones = torch.ones(classes, 3, dtype=real())
        tables = [torch.softmax(leaves[key], 1) if adaptive else ones for key in ("edge_weights", "not_edge_weights")]
        edge = other = torch.zeros((), dtype=real())
        for column, size in enumerate((1, 2, 3) if adaptive else (1,)):
            at_edges, elsewhere = patch_terms(
                probabilities, given["labels"], size, tables[0][:, column], tables[1][:, column]
            )
            edge = edge + (at_edges.mean() if len(at_edges) else 0)
            other = other + elsewhere.mean()
        (EDGE_FACTOR * edge + OTHER_FACTOR * other).backward()
        outputs = {"not_edge": other} if given["labels"] is uniform else {"edge": edge, "not_edge": other}
        return outputs, {key: value.grad for key, value in leaves.items()}

    probabilities = torch.softmax(torch.tensor(logits).double(), 3)
    missing, _ = patch_terms(probabilities, labels, 1, torch.ones(classes).double(), torch.ones(classes).double())
    if not (0.1 < float((missing > 0).double().mean()) < 0.95) or not (probabilities < LEAST).any():
        raise SystemExit("affinities: not both sides of the margin and of the clipping")
    params = {"classes": classes, "ignore": IGNORE, "margin": MARGIN, "edge": EDGE_FACTOR, "not_edge": OTHER_FACTOR}
    given = {"logits": logits, "labels": labels}
    writer.save("affinity_loss", "affinity_loss", params, given, compute)
    writer.save("affinity_loss_adaptive", "affinity_loss", params, {**given, **weights}, compute)
    about = "One label everywhere: there is no edge, and its term is 0."
    writer.save("affinity_loss_no_edge", "affinity_loss", params, {"logits": logits, "labels": uniform}, compute, about)


FAMILIES = (affinities,)
