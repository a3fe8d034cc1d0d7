/** Gathers what the contact sheet of a run shows: some images of an evaluation, and the segments retrieved for them. */
import { basename } from 'node:path';
import { encodePng, IGNORE_LABEL } from '../../data/codecs.js';
import { classNames, type DataDescription, paletteOf } from '../../data/description.js';
import type { PrototypeTable } from '../../segsort/prototype_table.js';
import type { SegmentedImage } from '../../segsort/segmenter.js';
import { contactSheet, type SheetRow } from '../../viz/contact_sheet.js';
import { maskOf } from '../../viz/maps.js';
import type { ShownSegment } from '../../viz/sheet_parts.js';
import { type NearestSegment, nearestSegments } from './explanation.js';
import type { TrainingSegments } from './retrieved.js';
import type { ImageScore } from './scoring.js';
import { imageOf, type Segmented, truthOf } from './segmentation.js';

/** Retrieved segments shown for a segment. */
const NEAREST = 5;

/** Which images of an evaluation its sheet shows: some evenly spread over the list, or the best and the worst. */
export type SheetChoice = 'spread' | 'extremes';

/** An image of the sheet, as data: how it was labelled, and the segments retrieved for one of its own. */
export interface SheetEntry {
  readonly image: string;
  readonly meanIou: number | null;
  /** Null where nothing was retrieved. */
  readonly segment: { readonly class: string; readonly nearest: readonly NearestSegment[] } | null;
}

interface Gathered extends Omit<SheetRow, 'nearest'> {
  readonly score: ImageScore;
  readonly retrieved: readonly NearestSegment[];
}

export class SheetBuilder {
  readonly #description: DataDescription;
  readonly #table: PrototypeTable | null;
  readonly #rows: number;
  /** Indices of the images to show; null where their scores decide. */
  readonly #chosen: ReadonlySet<number> | null;
  /** Best first, where scores decide. */
  #gathered: Gathered[] = [];

  /** @param images how many images will be visited @param rows how many of them to show, at most */
  constructor(
    description: DataDescription,
    table: PrototypeTable | null,
    { images, rows, choice }: { readonly images: number; readonly rows: number; readonly choice: SheetChoice },
  ) {
    this.#description = description;
    this.#table = table;
    this.#rows = Math.min(rows, images);
    this.#chosen = choice === 'spread' ? evenlySpread(images, this.#rows) : null;
  }

  /** Looks at a segmented image, and keeps what the sheet needs if it is to be shown. */
  visit(segmented: Segmented, score: ImageScore): void {
    if (this.#chosen) {
      if (this.#chosen.has(segmented.index)) this.#gathered.push(this.#gather(segmented, score));
      return;
    }
    if (score.meanIou === null) return;
    const at = this.#gathered.filter(({ score: other }) => other.meanIou! >= score.meanIou!).length;
    const best = Math.ceil(this.#rows / 2);
    const full = this.#gathered.length === this.#rows;
    if (full && at === best) return; // neither among the best nor among the worst so far
    this.#gathered.splice(at, 0, this.#gather(segmented, score));
    if (full) this.#gathered.splice(best, 1);
  }

  #gather(segmented: Segmented, score: ImageScore): Gathered {
    const { found, height, width } = segmented;
    const { meanIou, pixelAccuracy } = score;
    return {
      score,
      caption: stem(found.name),
      detail: pixelAccuracy === null ? '' : `IoU ${rounded(meanIou)}%, ${rounded(pixelAccuracy)}% right`,
      image: imageOf(segmented),
      truth: { height, width, data: truthOf(segmented) },
      prediction: { height, width, data: segmented.labels },
      ...this.#segmentsOf(segmented),
    };
  }

  #segmentsOf(segmented: Segmented): Pick<Gathered, 'embedding' | 'clusters' | 'query' | 'retrieved'> {
    const { found } = segmented;
    if (!found.segments) return { embedding: null, clusters: null, query: null, retrieved: [] };
    const clusters = clusterMap(found, found.segments);
    const cluster = querySegment(found, found.segments.clusters);
    const neighbours = found.segments.neighbours[cluster]!;
    const label = found.labels[found.segments.clusters.indexOf(cluster)]!;
    const caption = `${this.#nameOf(label)}\n(predicted)`;
    return {
      embedding: embeddingMap(found, found.segments),
      clusters,
      query: { image: imageOf(segmented), mask: maskOf(clusters, cluster), label, caption },
      retrieved: this.#table ? nearestSegments(neighbours, this.#table, this.#nameOf).slice(0, NEAREST) : [],
    };
  }

  readonly #nameOf = (label: number): string => this.#description.classes[label]?.name ?? `class ${label}`;

  /** What the sheet shows, as data. */
  get entries(): SheetEntry[] {
    return this.#gathered.map(({ score: { name, meanIou }, query, retrieved }) => ({
      image: name,
      meanIou,
      segment: query && { class: this.#nameOf(query.label), nearest: retrieved },
    }));
  }

  /** The sheet as a PNG file. Retrieved segments are read from the images that the prototypes were taken from. */
  async finish(training: TrainingSegments | null, title: string, subtitle: string): Promise<Uint8Array> {
    const rows: SheetRow[] = [];
    for (const { retrieved, score: _, ...row } of this.#gathered) {
      const nearest: ShownSegment[] = [];
      for (const { prototype, similarity } of retrieved) {
        // The prototypes may have been taken from images that are not at hand.
        const shown = await training?.shown(prototype, similarity);
        if (shown) nearest.push(shown);
      }
      rows.push({ ...row, nearest });
    }
    const classes = classNames(this.#description);
    return encodePng(contactSheet(rows, { title, subtitle, classes, palette: paletteOf(this.#description) }));
  }
}

/** `count` indices of `length`, evenly spread. */
function evenlySpread(length: number, count: number): Set<number> {
  return new Set(Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * length) / count)));
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

const rounded = (share: number | null): string => ((share ?? 0) * 100).toFixed(0);

/** File name without folder and ending. */
const stem = (path: string): string => basename(path).replace(/\.[^.]*$/, '');
