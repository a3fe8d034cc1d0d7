"""SegSort's clustering, segments and losses (Hwang et al., ICCV 2019), from their formulas."""
import numpy as np
import torch

from .common import leaf, normals, real

MARGIN = 1e-4  # least distance between the best and the second best cluster of a pixel
IGNORE = 255


def unit(x):
    return x / torch.sqrt((x * x).sum(-1, keepdim=True))


def grid(height, width, cells):
    """Ids of the initial cells: down the first column of cells, then the next. Cells are ceil(size / cells) pixels."""
    cell_height, cell_width = -(-height // cells[0]), -(-width // cells[1])
    rows = -(-height // cell_height)
    y, x = np.mgrid[0:height, 0:width]
    return (y // cell_height + rows * (x // cell_width)).astype(np.int64).reshape(-1)


def located(embedding):
    """Unit features [N, P, D + 2] of an embedding [N, h, w, D]: (unit embedding, y / h, x / w), normalised again."""
    images, height, width, _ = embedding.shape
    y = (torch.arange(height, dtype=real()) / height).reshape(1, height, 1, 1).expand(images, height, width, 1)
    x = (torch.arange(width, dtype=real()) / width).reshape(1, 1, width, 1).expand(images, height, width, 1)
    return unit(torch.cat([unit(embedding), y, x], 3)).reshape(images, height * width, -1)


def spherical_kmeans(features, initial, clusters, iterations):
    """Of one image [P, F]. Negative ids take no part. Gives ids and the smallest margin of any decision."""
    ids, margin = torch.tensor(initial), float("inf")
    valid = ids >= 0
    for _ in range(iterations):
        sums = torch.zeros(clusters, features.shape[1], dtype=real()).index_add(0, ids[valid], features[valid])
        present = torch.bincount(ids[valid], minlength=clusters) > 0
        centroids = torch.where(present[:, None], unit(sums + (~present[:, None]).to(real())), sums)
        similarity = (features @ centroids.T).masked_fill(~present[None], -2.0)
        best = similarity[valid].topk(2, dim=1).values
        margin = min(margin, float((best[:, 0] - best[:, 1]).min()))
        ids = torch.where(valid, similarity.argmax(1), ids)
    return ids, margin


def cluster(embedding, labels, cells, iterations):
    """Ids [N, P], -1 where the label is IGNORE; initial ids; features; smallest margin."""
    images, height, width, _ = embedding.shape
    features = located(embedding.detach())
    start = np.where(labels.reshape(images, -1) == IGNORE, -1, grid(height, width, cells)[None])
    found = [spherical_kmeans(features[n], start[n], cells[0] * cells[1], iterations) for n in range(images)]
    return torch.stack([ids for ids, _ in found]), start, features, min(margin for _, margin in found)


def segments_of(clusters, labels):
    """Local segment ids [N, P] (-1: none), global ones, (image, cluster, label) of each segment, ascending."""
    images, labels = clusters.shape[0], labels.reshape(clusters.shape)
    valid = (clusters >= 0) & (labels != IGNORE)
    triples = sorted(
        {(n, int(c), int(l)) for n in range(images) for c, l in zip(clusters[n][valid[n]], labels[n][valid[n]])}
    )
    row = {triple: i for i, triple in enumerate(triples)}
    first = [next((i for i, t in enumerate(triples) if t[0] == n), 0) for n in range(images)]
    everywhere = np.full(clusters.shape, -1)
    for n, p in zip(*np.nonzero(valid)):
        everywhere[n, p] = row[(n, int(clusters[n, p]), int(labels[n, p]))]
    local = np.where(everywhere >= 0, everywhere - np.array(first)[:, None], -1)
    return local, everywhere, np.array(triples)


def pixel_losses(embedding, own, labels, prototypes, prototype_labels, concentration, numerator):
    """-log(numerator / (numerator + different)) of each pixel [Q]; embedding and prototypes are unit vectors."""
    similarity = torch.exp(concentration * (embedding @ prototypes.T))
    mine = similarity.gather(1, own[:, None])[:, 0]
    same = labels[:, None] == prototype_labels[None]
    if numerator == "nca":
        others = same.clone()
        others[torch.arange(len(own)), own] = False
        favoured = torch.where(others.any(1), (similarity * others).sum(1), mine)
    else:
        favoured = mine
    different = (similarity * ~same).sum(1)
    return -torch.log(favoured / (favoured + different))


def prototypes_of(embedding, rows, count):
    return unit(torch.zeros(count, embedding.shape[1], dtype=real()).index_add(0, rows, embedding))


def scene(seed, images, height, width, channels, classes, blobs, ignored=0.0):
    """An embedding that follows blobs, and labels that follow them less closely, with some pixels ignored."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    centres = random.rand(images, blobs, 2) * [height, width]
    distance = (y[None, None] - centres[:, :, :1, None]) ** 2 + (x[None, None] - centres[:, :, 1:, None]) ** 2
    owner = distance.argmin(1)
    directions = random.standard_normal((images, blobs, channels))
    noise = random.standard_normal((images, height, width, channels))
    embedding = np.stack([directions[n][owner[n]] for n in range(images)]) + 0.45 * noise
    kinds = random.randint(0, classes, (images, blobs))
    labels = np.stack([kinds[n][owner[n]] for n in range(images)])
    labels = np.where(random.rand(*labels.shape) < 0.06, random.randint(0, classes, labels.shape), labels)
    labels = np.where(random.rand(*labels.shape) < ignored, IGNORE, labels)
    return embedding.astype(np.float32), labels.astype(np.int32)


def clear_scene(cells, iterations, seed, *, ignore_first_cell=False, **options):
    """The first scene from `seed` on without a near tie, and its margin."""
    for attempt in range(seed, seed + 5000):
        embedding, labels = scene(attempt, **options)
        if ignore_first_cell:
            labels[:, : -(-options["height"] // cells[0]), : -(-options["width"] // cells[1])] = IGNORE
        margin = cluster(torch.tensor(embedding).to(real()), labels, cells, iterations)[3]
        if margin > MARGIN:
            return embedding, labels, margin
    raise SystemExit("no scene without a near tie")


def clusterings(writer):
    keys = ("images", "height", "width", "channels", "classes", "blobs", "ignored")
    cases = {  # cells, iterations, whether the first cell is ignored, and the scene
        "square": ((3, 3), 10, False, (2, 12, 12, 6, 3, 5, 0.1)),
        "uneven_grid": ((4, 4), 10, False, (2, 9, 10, 8, 4, 6, 0.05)),
        "empty_cluster": ((3, 2), 10, True, (2, 9, 8, 5, 3, 4, 0.1)),
        "no_iterations": ((3, 4), 0, False, (1, 7, 9, 4, 2, 3, 0.2)),
    }
    for seed, (name, (cells, iterations, empty, values)) in enumerate(cases.items(), 6):
        options = dict(zip(keys, values))
        embedding, labels, margin = clear_scene(cells, iterations, seed * 10000, ignore_first_cell=empty, **options)

        def compute(given):
            x = torch.tensor(given["embedding"]).to(real())
            ids, start, features, _ = cluster(x, given["labels"], cells, iterations)
            local, everywhere, triples = segments_of(ids.numpy(), given["labels"])
            flat = unit(x).reshape(-1, x.shape[-1])
            rows = torch.tensor(everywhere.reshape(-1))
            prototypes = prototypes_of(flat[rows >= 0], rows[rows >= 0], len(triples))
            counts = np.bincount(triples[:, 0], minlength=len(x))
            return {
                "initial": start, "features": features, "clusters": ids, "segments": local, "segment_counts": counts,
                "prototypes": prototypes, "prototype_images": triples[:, 0], "prototype_clusters": triples[:, 1],
                "prototype_labels": triples[:, 2],
            }, {}

        params = {
            "cells": cells, "iterations": iterations, "ignore": IGNORE, "classes": options["classes"],
            **({"smallest_margin": round(margin, 6)} if iterations else {}),
        }
        about = "All of the first cell is ignored, so cluster 0 is empty from the start." if empty else ""
        given = {"embedding": embedding, "labels": labels}
        clustering_checks(name, compute(given)[0], cells, empty)
        writer.save(f"clustering_{name}", "clustering", params, given, compute, about)


def clustering_checks(name, outputs, cells, empty):
    """That a case shows what its name says."""
    used = [set(ids[ids >= 0].tolist()) for ids in outputs["clusters"].numpy()]
    if empty and any(0 in ids for ids in used):
        raise SystemExit(f"clustering_{name}: cluster 0 is not empty")
    if name == "uneven_grid" and max(outputs["initial"].reshape(-1)) >= cells[0] * cells[1] - 1:
        raise SystemExit("clustering_uneven_grid: all cells are in use")


def losses(writer):
    cells, iterations, classes, channels = (3, 3), 10, 5, 8
    options = dict(images=3, height=10, width=9, channels=channels, classes=classes, blobs=5, ignored=0.1)
    embedding, labels, _ = clear_scene(cells, iterations, 200000, **options)
    # One cluster of the first image gets a label that no other segment has: there the numerator is the own segment.
    ids = cluster(torch.tensor(embedding).to(real()), labels, cells, iterations)[0].numpy()
    lonely = classes
    chosen = np.zeros(ids.shape, bool)
    chosen[0] = ids[0] == ids[0].max()
    labels = np.where(chosen.reshape(labels.shape) & (labels != IGNORE), lonely, labels).astype(np.int32)
    alone = int((labels == lonely).sum())
    if alone == 0 or (segments_of(ids, labels)[2][:, 2] == lonely).sum() != 1:
        raise SystemExit("losses: no label with just one segment")
    embedding = embedding * np.float32(0.7) + normals(210, *embedding.shape, scale=0.05)
    bank = unit(torch.tensor(normals(211, 24, channels)).double()).numpy().astype(np.float32)
    bank_labels = np.random.RandomState(212).randint(0, classes, 24).astype(np.int32)
    bank_labels[[3, 10, 22, 23]] = -1
    bank[[3, 10]] = 0  # what an unused row holds is of no consequence
    base = {"embedding": embedding, "labels": labels, "clusters": ids.astype(np.int32)}
    banks = {"bank_prototypes": bank, "bank_labels": bank_labels}

    def compute(given, concentration, numerator):
        x = leaf(given["embedding"])
        clusters = given["clusters"]
        _, everywhere, triples = segments_of(clusters, given["labels"])
        flat = unit(x).reshape(-1, channels)
        rows = torch.tensor(everywhere.reshape(-1))
        valid = rows >= 0
        table = prototypes_of(flat[valid], rows[valid], len(triples))
        table_labels = torch.tensor(triples[:, 2])
        prototypes, prototype_labels = table, table_labels
        if "bank_labels" in given:
            used = given["bank_labels"] >= 0
            prototypes = torch.cat([table, torch.tensor(given["bank_prototypes"][used]).to(real())])
            prototype_labels = torch.cat([table_labels, torch.tensor(given["bank_labels"][used]).long()])
        own, pixel_labels = rows[valid], torch.tensor(given["labels"].reshape(-1)).long()[valid]
        values = pixel_losses(flat[valid], own, pixel_labels, prototypes, prototype_labels, concentration, numerator)
        loss = values.mean()
        loss.backward()
        everyone = torch.zeros(len(rows), dtype=real()).index_put((valid.nonzero()[:, 0],), values.detach())
        outputs = {
            "loss": loss, "pixel_losses": everyone.reshape(clusters.shape), "valid_pixels": np.array(int(valid.sum())),
            "prototypes": table, "prototype_images": triples[:, 0], "prototype_labels": table_labels,
        }
        return outputs, {"embedding": x.grad}

    cases = {
        "nca_banks": (10.0, "nca", {**base, **banks}),
        "nca_no_banks": (10.0, "nca", base),
        "self_banks": (10.0, "self", {**base, **banks}),
        "nca_concentration_30": (30.0, "nca", {**base, **banks}),
    }
    for name, (concentration, numerator, given) in cases.items():
        params = {
            "concentration": concentration, "numerator": numerator, "ignore": IGNORE, "classes": classes + 1,
            "cluster_ids": cells[0] * cells[1], "pixels_without_others": alone,
        }
        calculate = lambda g, c=concentration, m=numerator: compute(g, c, m)
        writer.save(f"segsort_loss_{name}", "segsort_loss", params, given, calculate)

    regions = np.where(labels.reshape(3, -1) == IGNORE, -1, ids).astype(np.int32)

    def unsupervised(given):
        x = leaf(given["embedding"])
        none = np.zeros_like(given["regions"])
        _, everywhere, triples = segments_of(given["regions"], none)
        flat = unit(x).reshape(-1, channels)
        rows = torch.tensor(everywhere.reshape(-1))
        valid = rows >= 0
        table = prototypes_of(flat[valid], rows[valid], len(triples))
        similarity = torch.exp(10.0 * (flat[valid] @ table.T))
        values = -torch.log(similarity.gather(1, rows[valid][:, None])[:, 0] / similarity.sum(1))
        loss = values.mean()
        loss.backward()
        return {"loss": loss, "valid_pixels": np.array(int(valid.sum())), "prototypes": table}, {"embedding": x.grad}

    params = {"concentration": 10.0, "regions": cells[0] * cells[1]}
    given = {"embedding": embedding, "regions": regions}
    writer.save("segsort_unsupervised_loss", "segsort_unsupervised_loss", params, given, unsupervised)


FAMILIES = (clusterings, losses)
