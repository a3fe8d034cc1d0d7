/** SegSort in plain float64 loops, written from the formulas: what the tests of the traced version compare with. */
import type { NdArray } from '../../src/tensor/types.js';

type Vector = number[];

export const dot = (a: Vector, b: Vector): number => a.reduce((total, value, i) => total + value * b[i]!, 0);

export function unit(v: Vector): Vector {
  const norm = Math.sqrt(dot(v, v));
  return norm === 0 ? v : v.map((value) => value / norm);
}

/** The clusters that an image starts from: cells of `ceil(size / cells)` pixels, numbered down the columns. */
export function plainGrid(height: number, width: number, cells: readonly [number, number]): number[] {
  const [cellHeight, cellWidth] = [Math.ceil(height / cells[0]), Math.ceil(width / cells[1])];
  const rows = Math.ceil(height / cellHeight);
  return Array.from(
    { length: height * width },
    (_, p) => Math.floor(Math.floor(p / width) / cellHeight) + rows * Math.floor((p % width) / cellWidth),
  );
}

/** The vectors along the last axis. */
export function vectors(x: NdArray): Vector[] {
  const channels = x.shape.at(-1)!;
  return Array.from({ length: x.data.length / channels }, (_, i) =>
    Array.from(x.data.subarray(i * channels, (i + 1) * channels)),
  );
}

function meanDirection(members: Vector[]): Vector {
  return unit(members.reduce((total, v) => total.map((value, i) => value + v[i]!)));
}

interface Segment {
  readonly label: number;
  readonly pixels: number[];
}

/** Pixels of all images by a key; the key's first part is the image. */
function segmentsBy(
  count: number,
  key: (pixel: number) => { key: string; label: number } | null,
): Map<string, Segment> {
  const segments = new Map<string, Segment>();
  for (let pixel = 0; pixel < count; pixel++) {
    const found = key(pixel);
    if (!found) continue;
    const segment = segments.get(found.key) ?? { label: found.label, pixels: [] };
    segment.pixels.push(pixel);
    segments.set(found.key, segment);
  }
  return segments;
}

export function plainSegsortLoss(
  embedding: NdArray,
  labels: NdArray,
  clusters: NdArray,
  banks: { prototypes: NdArray; labels: NdArray } | null,
  { concentration, ignore, numerator: kind }: { concentration: number; ignore: number; numerator: 'nca' | 'self' },
): { loss: number; validPixels: number } {
  const v = vectors(embedding).map(unit);
  const pixels = labels.shape[1]!;
  const segments = segmentsBy(v.length, (p) => {
    const label = labels.data[p]!;
    const cluster = clusters.data[p]!;
    return label === ignore || cluster < 0 ? null : { key: `${Math.floor(p / pixels)} ${cluster} ${label}`, label };
  });
  const table = [...segments.values()].map(({ label, pixels: members }) => ({
    label,
    prototype: meanDirection(members.map((p) => v[p]!)),
    members: new Set(members),
  }));
  const stored = banks
    ? vectors(banks.prototypes).map((prototype, row) => ({
        label: banks.labels.data[row]!,
        prototype,
        members: new Set<number>(),
      }))
    : [];
  const all = [...table, ...stored.filter(({ label }) => label >= 0)];
  let total = 0;
  let count = 0;
  for (const { label, pixels: members } of segments.values())
    for (const p of members) {
      const term = ({ prototype }: { prototype: Vector }) => Math.exp(concentration * dot(v[p]!, prototype));
      const others = all.filter((other) => other.label === label && !other.members.has(p));
      const own = all.filter((other) => other.members.has(p));
      const favoured = kind === 'nca' && others.length > 0 ? others : own;
      const numerator = favoured.reduce((sum, other) => sum + term(other), 0);
      const rest = all.filter((other) => other.label !== label).reduce((sum, other) => sum + term(other), 0);
      total -= Math.log(numerator / (numerator + rest));
      count++;
    }
  return { loss: count > 0 ? total / count : 0, validPixels: count };
}

export function plainUnsupervisedLoss(embedding: NdArray, regions: NdArray, concentration: number): { loss: number } {
  const v = vectors(embedding).map(unit);
  const pixels = regions.shape[1]!;
  const segments = segmentsBy(v.length, (p) =>
    regions.data[p]! < 0 ? null : { key: `${Math.floor(p / pixels)} ${regions.data[p]}`, label: 0 },
  );
  const prototypes = [...segments.values()].map(({ pixels: members }) => meanDirection(members.map((p) => v[p]!)));
  let total = 0;
  let count = 0;
  for (const [own, { pixels: members }] of [...segments.values()].entries())
    for (const p of members) {
      const terms = prototypes.map((prototype) => Math.exp(concentration * dot(v[p]!, prototype)));
      total -= Math.log(terms[own]! / terms.reduce((a, b) => a + b));
      count++;
    }
  return { loss: total / count };
}

/** Spherical k-means of one image; empty clusters are never chosen, ties go to the lower id. */
export function plainKMeans(
  features: Vector[],
  initial: number[],
  clusters: number,
  iterations: number,
): { ids: number[]; objectives: number[] } {
  let ids = initial.slice();
  const objectives: number[] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    const centroids = Array.from({ length: clusters }, (_, k) => {
      const members = features.filter((_, p) => ids[p] === k);
      return members.length > 0 ? meanDirection(members) : null;
    });
    ids = ids.map((id, p) => {
      if (id < 0) return id;
      let best = id;
      let largest = Number.NEGATIVE_INFINITY;
      for (const [k, centroid] of centroids.entries()) {
        if (!centroid) continue;
        const similarity = dot(features[p]!, centroid);
        if (similarity > largest) [best, largest] = [k, similarity];
      }
      return best;
    });
    objectives.push(objective(features, ids, clusters));
  }
  return { ids, objectives };
}

/** Sum over pixels of the dot product with their cluster's mean direction: what k-means increases. */
export function objective(features: Vector[], ids: number[], clusters: number): number {
  let total = 0;
  for (let k = 0; k < clusters; k++) {
    const members = features.filter((_, p) => ids[p] === k);
    if (members.length === 0) continue;
    const direction = meanDirection(members);
    for (const member of members) total += dot(member, direction);
  }
  return total;
}
