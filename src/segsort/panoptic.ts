/**
 * From labelled segments to objects: a panoptic segmentation (Kirillov et al., Panoptic Segmentation, CVPR 2019), in which each
 * object of a countable class ("thing") has a number, and all of any other class ("stuff") is one.
 *
 * SegSort's paper segments semantically. Its release has the beginnings of panoptic prediction: clusters of a thing are
 * one object where the commonest training instance among their nearest prototypes is the same one. That is offered here as
 * `retrieved`, with the instances of different images told apart, which the release numbers alike. A network that was
 * trained on classes alone doesn't tell objects of a class apart, so the default is `touching`: what is connected and of
 * one class is one object.
 */
import { connectedPieces } from '../evaluation/label_map.js';
import type { PrototypeTable } from './prototype_table.js';
import type { SegmentedImage } from './segmented_image.js';

export interface ObjectOptions {
  /** The classes that have objects. */
  readonly things: Iterable<number>;
  /** Which segments of a thing are one object. Default `touching`. */
  readonly objects?: 'touching' | 'retrieved';
  /**
   * For `touching`: least cosine of the prototypes of two clusters that touch, for them to be one object. For networks that were
   * trained to tell objects apart. Default -1: they always are.
   */
  readonly similarity?: number;
  /** For `retrieved`: the prototypes that were searched; they must have instances. */
  readonly table?: PrototypeTable;
  /** Objects of fewer pixels of the segmentation are left out: their pixels become void. Default 0. */
  readonly leastPixels?: number;
}

export interface PanopticObject {
  readonly label: number;
  /** From 1 in each class, the largest first; 1 for stuff. */
  readonly instance: number;
  readonly pixels: number;
}

export interface PanopticSegmentation {
  readonly height: number;
  readonly width: number;
  /** Class of each pixel, -1 for void. */
  readonly semantic: Int32Array<ArrayBuffer>;
  /** Object of each pixel among those of its class, from 1; 0 for void. */
  readonly instance: Int32Array<ArrayBuffer>;
  /** By class, then by number. */
  readonly segments: readonly PanopticObject[];
}

/** Most objects of a class in an image, so that `class * 1000 + instance` is one object; smaller ones are left out. */
export const MOST_OBJECTS = 999;

/** @throws Error where objects are to be told apart by prototypes that there are not, or by instances that these don't have */
export function panopticOf(image: SegmentedImage, options: ObjectOptions): PanopticSegmentation {
  const { height, width, labels } = image;
  const things = new Set(options.things);
  const groups = options.objects === 'retrieved' ? retrievedObjects(image, options) : touchingObjects(image, options);
  const semantic = new Int32Array(labels.length).fill(-1);
  const instance = new Int32Array(labels.length);
  const byClass = new Map<number, Map<number, number>>();
  for (const [pixel, label] of labels.entries()) {
    if (label < 0) continue;
    const group = things.has(label) ? groups[pixel]! : 0;
    const sizes = byClass.get(label) ?? new Map<number, number>();
    sizes.set(group, (sizes.get(group) ?? 0) + 1);
    byClass.set(label, sizes);
  }
  const segments: PanopticObject[] = [];
  const numbers = new Map<number, Map<number, number>>();
  for (const [label, sizes] of [...byClass].sort(([a], [b]) => a - b)) {
    const least = things.has(label) ? (options.leastPixels ?? 0) : 0;
    // Groups are met in the order of their first pixels, which decides between equal sizes.
    const kept = [...sizes].filter(([, pixels]) => pixels >= least).sort(([, a], [, b]) => b - a);
    const own = new Map<number, number>();
    for (const [index, [group, pixels]] of kept.slice(0, MOST_OBJECTS).entries()) {
      own.set(group, index + 1);
      segments.push({ label, instance: index + 1, pixels });
    }
    numbers.set(label, own);
  }
  for (const [pixel, label] of labels.entries()) {
    const number = numbers.get(label)?.get(things.has(label) ? groups[pixel]! : 0);
    if (number === undefined) continue;
    semantic[pixel] = label;
    instance[pixel] = number;
  }
  return { height, width, semantic, instance, segments };
}

/** A number for each pixel that is the same in an object: pieces of clusters, joined where they touch and are alike. */
function touchingObjects({ height, width, labels, segments }: SegmentedImage, { similarity = -1 }: ObjectOptions) {
  if (!segments && similarity > -1)
    throw new Error(
      'objects are told apart by the prototypes of their clusters: that needs retrieval; leave out `similarity` (--object-similarity)',
    );
  const clusters = segments?.clusters;
  const count = segments?.neighbours.length ?? 1;
  const data = labels.map((label, pixel) => (label < 0 ? -1 : label * count + Math.max(0, clusters?.[pixel] ?? 0)));
  const { ids, sizes } = connectedPieces({ height, width, data });
  const parent = sizes.map((_, piece) => piece);
  const rootOf = (piece: number): number => {
    let root = piece;
    while (parent[root] !== root) root = parent[root]!;
    for (let at = piece; parent[at] !== root; ) [at, parent[at]] = [parent[at]!, root];
    return root;
  };
  const join = (a: number, b: number) => {
    if (ids[a] === ids[b] || labels[a] !== labels[b] || labels[a]! < 0) return;
    if (segments && similarity > -1 && cosine(segments, data[a]! % count, data[b]! % count) < similarity) return;
    const [first, second] = [rootOf(ids[a]!), rootOf(ids[b]!)];
    parent[Math.max(first, second)] = Math.min(first, second);
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const pixel = y * width + x;
      if (x + 1 < width) join(pixel, pixel + 1);
      if (y + 1 < height) join(pixel, pixel + width);
    }
  return ids.map((piece) => (piece < 0 ? -1 : rootOf(piece)));
}

/** Cosine of the prototypes of two clusters. */
function cosine({ prototypes, neighbours }: NonNullable<SegmentedImage['segments']>, a: number, b: number): number {
  const channels = prototypes.length / neighbours.length;
  let product = 0;
  for (let c = 0; c < channels; c++) product += prototypes[a * channels + c]! * prototypes[b * channels + c]!;
  return product;
}

/** A number for each pixel: of the training object that most of the prototypes of its class nearest to its cluster are parts of. */
function retrievedObjects({ labels, segments }: SegmentedImage, { table }: ObjectOptions): Int32Array {
  if (!segments || !table) throw new Error('objects are told apart by retrieval: that needs prototypes');
  const keys = new Map<string, number>();
  const objects = new Map<number, number>();
  const objectOf = (cluster: number, label: number): number => {
    const key = label * segments.neighbours.length + cluster;
    const known = objects.get(key);
    if (known !== undefined) return known;
    const name = commonest(segments.neighbours[cluster]!.rows, label, table) ?? `cluster ${cluster}`;
    const object = keys.get(name) ?? keys.size;
    keys.set(name, object);
    objects.set(key, object);
    return object;
  };
  return labels.map((label, pixel) => (label < 0 ? -1 : objectOf(Math.max(0, segments.clusters[pixel]!), label)));
}

/** The training object that most of these prototypes are parts of, the nearest of equals; null if none has the label. */
function commonest(rows: readonly number[], label: number, table: PrototypeTable): string | null {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const { label: own, instance, origin } = table.entry(row);
    if (instance === null)
      throw new Error('the prototypes have no instances: extract them anew with `segsort prototypes --panoptic`');
    if (own !== label) continue;
    const name = `${origin?.image ?? ''}#${instance}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const [best] = [...counts].sort(([, a], [, b]) => b - a);
  return best?.[0] ?? null;
}
