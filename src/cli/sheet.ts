/** Gathers what the contact sheet of a run shows: some images of an evaluation, and the segments retrieved for them. */
import { basename } from 'node:path';
import { encodePng, IGNORE_LABEL, type LabelImage, type RgbImage, vocPalette } from '../data/codecs.js';
import type { Dataset } from '../data/dataset.js';
import type { PackedImage } from '../data/decode.js';
import type { PrototypeTable, TableEntry } from '../segsort/prototype_table.js';
import type { SegmentedImage } from '../segsort/segmenter.js';
import { contactSheet, type SheetRow, type ShownSegment } from '../viz/contact_sheet.js';
import { type IdMap, maskOf } from '../viz/maps.js';
import { type Segmented, truthOf } from './segmentation.js';

/** Retrieved segments shown for a segment. */
const NEAREST = 5;

/** `count` indices of `length`, evenly spread. */
export function spread(length: number, count: number): Set<number> {
  const shown = Math.min(count, length);
  return new Set(Array.from({ length: shown }, (_, i) => Math.floor(((i + 0.5) * length) / shown)));
}

interface Gathered extends Omit<SheetRow, 'query' | 'nearest'> {
  readonly query: ShownSegment;
  readonly retrieved: readonly { readonly row: number; readonly similarity: number }[];
}

export class SheetBuilder {
  readonly #classes: readonly string[];
  readonly #chosen: ReadonlySet<number>;
  readonly #gathered: Gathered[] = [];

  /** @param chosen indices of the images to show */
  constructor(classes: readonly string[], chosen: ReadonlySet<number>) {
    this.#classes = classes;
    this.#chosen = chosen;
  }

  /** Looks at a segmented image, and keeps what the sheet needs if it is to be shown. */
  visit(segmented: Segmented, accuracy: number | null): void {
    if (!this.#chosen.has(segmented.index)) return;
    const { found, height, width } = segmented;
    const image = imageOf(segmented);
    const size = { height: found.height, width: found.width };
    const clusters: IdMap = { ...size, data: found.clusters };
    const cluster = querySegment(found);
    const { rows, similarities } = found.neighbours[cluster]!;
    const label = found.labels[found.clusters.indexOf(cluster)]!;
    this.#gathered.push({
      caption: stem(found.name),
      detail: accuracy === null ? '' : `${(accuracy * 100).toFixed(1)}% right`,
      image,
      truth: { height, width, data: truthOf(segmented) },
      embedding: { ...size, channels: found.embedding.length / found.labels.length, data: unit(found) },
      clusters,
      prediction: { height, width, data: segmented.labels },
      query: { image, mask: maskOf(clusters, cluster), label, caption: `${this.#name(label)}\n(predicted)` },
      retrieved: rows.slice(0, NEAREST).map((row, i) => ({ row, similarity: similarities[i]! })),
    });
  }

  /** The sheet as a PNG file. Retrieved segments are read from the images that the prototypes were taken from. */
  async finish(table: PrototypeTable, training: Dataset, title: string, subtitle: string): Promise<Uint8Array> {
    const indexOf = new Map(training.names.map((name, index) => [name, index]));
    const rows: SheetRow[] = [];
    for (const { retrieved, ...row } of this.#gathered) {
      const nearest: ShownSegment[] = [];
      for (const { row: index, similarity } of retrieved) {
        const entry = table.entry(index);
        const at = indexOf.get(entry.image);
        // The prototypes may have been taken from another list.
        if (at !== undefined) nearest.push(this.#shown(entry, await training.load(at), similarity));
      }
      rows.push({ ...row, nearest });
    }
    return encodePng(contactSheet(rows, { title, subtitle, classes: this.#classes, palette: vocPalette() }));
  }

  #shown(entry: TableEntry, sample: PackedImage, similarity: number): ShownSegment {
    const { image, labels } = unpack(sample);
    return {
      image,
      mask: segmentOf(entry, labels),
      label: entry.label,
      caption: `${this.#name(entry.label)}\n${similarity.toFixed(3)}`,
    };
  }

  #name(label: number): string {
    return this.#classes[label] ?? `class ${label}`;
  }
}

/** The largest segment predicted to be an object; where there is none the largest that is one; else the largest. */
function querySegment({ clusters, labels, truth }: Pick<SegmentedImage, 'clusters' | 'labels' | 'truth'>): number {
  const ranks = [0, 1, 2].map(() => new Map<number, number>());
  for (const [pixel, cluster] of clusters.entries()) {
    if (cluster < 0) continue;
    const isObject = truth[pixel]! > 0 && truth[pixel] !== IGNORE_LABEL;
    const rank = ranks[labels[pixel]! > 0 ? 0 : isObject ? 1 : 2]!;
    rank.set(cluster, (rank.get(cluster) ?? 0) + 1);
  }
  const [best] = [...(ranks.find((rank) => rank.size > 0) ?? [])].sort(([a, m], [b, n]) => n - m || a - b);
  return best?.[0] ?? 0;
}

/** A prototype's segment: the pixels of its label in its box. */
function segmentOf({ label, box }: TableEntry, labels: LabelImage): IdMap {
  const { width, height } = labels;
  const data = new Uint8Array(width * height);
  for (let y = box.top; y < Math.min(height, box.bottom); y++)
    for (let x = box.left; x < Math.min(width, box.right); x++)
      if (labels.data[y * width + x] === label) data[y * width + x] = 1;
  return { width, height, data };
}

/** Features of length one, as retrieval compares them. */
function unit({ embedding, labels }: { embedding: Float32Array; labels: Int32Array }): Float32Array {
  const channels = embedding.length / labels.length;
  const scaled = new Float32Array(embedding.length);
  for (let first = 0; first < embedding.length; first += channels) {
    let square = 0;
    for (let c = 0; c < channels; c++) square += embedding[first + c]! ** 2;
    const length = Math.sqrt(square) || 1;
    for (let c = 0; c < channels; c++) scaled[first + c] = embedding[first + c]! / length;
  }
  return scaled;
}

/** The pixels of an image in a batch. */
export function imageOf({ batch, place, height, width }: Segmented): RgbImage {
  const canvasWidth = batch.canvas.shape[2]!;
  const first = place * batch.canvas.shape[1]! * canvasWidth;
  const pixels = new Uint32Array(height * width);
  for (let y = 0; y < height; y++) {
    const from = first + y * canvasWidth;
    pixels.set((batch.canvas.data as Uint32Array).subarray(from, from + width), y * width);
  }
  return unpack({ height, width, pixels }).image;
}

function unpack({ height, width, pixels }: Omit<PackedImage, 'ids'>): { image: RgbImage; labels: LabelImage } {
  const data = new Uint8Array(height * width * 3);
  const labels = new Uint8Array(height * width);
  for (const [pixel, word] of pixels.entries()) {
    data[pixel * 3] = word & 255;
    data[pixel * 3 + 1] = (word >>> 8) & 255;
    data[pixel * 3 + 2] = (word >>> 16) & 255;
    labels[pixel] = word >>> 24;
  }
  return { image: { height, width, data }, labels: { height, width, data: labels } };
}

/** File name without folder and ending. */
export const stem = (path: string): string => basename(path).replace(/\.[^.]*$/, '');
