/** Gathers what the contact sheet of a run shows: some images of an evaluation, and the segments retrieved for them. */
import { basename } from 'node:path';
import { encodePng, IGNORE_LABEL } from '../../data/codecs.js';
import { classNames, type DataDescription, paletteOf } from '../../data/description.js';
import type { SegmentedImage } from '../../segsort/segmenter.js';
import { contactSheet, type SheetRow } from '../../viz/contact_sheet.js';
import { maskOf } from '../../viz/maps.js';
import type { ShownSegment } from '../../viz/sheet_parts.js';
import type { TrainingSegments } from './retrieved.js';
import { imageOf, type Segmented, truthOf } from './segmentation.js';

/** Retrieved segments shown for a segment. */
const NEAREST = 5;

/** `count` indices of `length`, evenly spread. */
export function spread(length: number, count: number): Set<number> {
  const shown = Math.min(count, length);
  return new Set(Array.from({ length: shown }, (_, i) => Math.floor(((i + 0.5) * length) / shown)));
}

interface Gathered extends Omit<SheetRow, 'nearest'> {
  readonly retrieved: readonly { readonly row: number; readonly similarity: number }[];
}

export class SheetBuilder {
  readonly #description: DataDescription;
  readonly #chosen: ReadonlySet<number>;
  readonly #gathered: Gathered[] = [];

  /** @param chosen indices of the images to show */
  constructor(description: DataDescription, chosen: ReadonlySet<number>) {
    this.#description = description;
    this.#chosen = chosen;
  }

  /** Looks at a segmented image, and keeps what the sheet needs if it is to be shown. */
  visit(segmented: Segmented, accuracy: number | null): void {
    if (!this.#chosen.has(segmented.index)) return;
    const { found, height, width } = segmented;
    this.#gathered.push({
      caption: stem(found.name),
      detail: accuracy === null ? '' : `${(accuracy * 100).toFixed(1)}% right`,
      image: imageOf(segmented),
      truth: { height, width, data: truthOf(segmented) },
      prediction: { height, width, data: segmented.labels },
      ...this.#segmentsOf(segmented),
    });
  }

  #segmentsOf(segmented: Segmented): Pick<Gathered, 'embedding' | 'clusters' | 'query' | 'retrieved'> {
    const { found } = segmented;
    if (!found.segments) return { embedding: null, clusters: null, query: null, retrieved: [] };
    const clusters = clusterMap(found, found.segments);
    const cluster = querySegment(found, found.segments.clusters);
    const { rows, similarities } = found.segments.neighbours[cluster]!;
    const label = found.labels[found.segments.clusters.indexOf(cluster)]!;
    const caption = `${this.#description.classes[label]?.name ?? `class ${label}`}\n(predicted)`;
    return {
      embedding: embeddingMap(found, found.segments),
      clusters,
      query: { image: imageOf(segmented), mask: maskOf(clusters, cluster), label, caption },
      retrieved: rows.slice(0, NEAREST).map((row, i) => ({ row, similarity: similarities[i]! })),
    };
  }

  /** The sheet as a PNG file. Retrieved segments are read from the images that the prototypes were taken from. */
  async finish(training: TrainingSegments | null, title: string, subtitle: string): Promise<Uint8Array> {
    const rows: SheetRow[] = [];
    for (const { retrieved, ...row } of this.#gathered) {
      const nearest: ShownSegment[] = [];
      for (const { row: index, similarity } of retrieved) {
        // The prototypes may have been taken from images that are not at hand.
        const shown = await training?.shown(index, similarity);
        if (shown) nearest.push(shown);
      }
      rows.push({ ...row, nearest });
    }
    const classes = classNames(this.#description);
    return encodePng(contactSheet(rows, { title, subtitle, classes, palette: paletteOf(this.#description) }));
  }
}

type Found = Pick<SegmentedImage, 'height' | 'width' | 'labels' | 'truth'>;
type Segments = NonNullable<SegmentedImage['segments']>;

/** The clusters as viz takes them. */
const clusterMap = ({ height, width }: Found, { clusters }: Segments) => ({ height, width, data: clusters });

/** The largest segment predicted to be an object; where there is none the largest that is one; else the largest. */
function querySegment({ labels, truth }: Found, clusters: Int32Array): number {
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

/** Features of length one, as retrieval compares them. */
export function embeddingMap({ height, width }: Found, { embedding }: Segments) {
  const channels = embedding.length / (height * width);
  const data = new Float32Array(embedding.length);
  for (let first = 0; first < embedding.length; first += channels) {
    let square = 0;
    for (let c = 0; c < channels; c++) square += embedding[first + c]! ** 2;
    const length = Math.sqrt(square) || 1;
    for (let c = 0; c < channels; c++) data[first + c] = embedding[first + c]! / length;
  }
  return { height, width, channels, data };
}

/** File name without folder and ending. */
const stem = (path: string): string => basename(path).replace(/\.[^.]*$/, '');
