/** The exact segments that prototypes were made from, found again by segmenting their images as they were then. */
import type { Dataset } from '../../data/dataset.js';
import { Loader } from '../../data/loader.js';
import type { ExtractedImage, PrototypeTable } from '../../segsort/prototype_table.js';
import type { Segmenter } from '../../segsort/segmenter.js';
import type { IdMap, Size } from '../../viz/maps.js';
import { Recent } from './recent.js';
import { enlarge, entriesOf } from './segmentation.js';

/** Below this cosine a segment is not the one that a prototype was made from, but of other weights or settings. */
const SAME = 0.99;

/** Segmented images kept: neighbours of one segment often come from a few. */
const KEPT = 32;

/** Prototypes of an image, and whose member each of its pixels is. */
interface Found extends ExtractedImage {
  readonly height: number;
}

export class Outlines {
  readonly #segmenter: Segmenter;
  readonly #dataset: Dataset;
  readonly #table: PrototypeTable;
  readonly #panoptic: boolean;
  readonly #images: Recent<number, Found>;
  /** Segmentations wait for each other: steps keep what they compute in one place. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param segmenter for images as large as the largest of the data set */
  constructor(segmenter: Segmenter, dataset: Dataset, table: PrototypeTable) {
    this.#segmenter = segmenter;
    this.#dataset = dataset;
    this.#table = table;
    this.#panoptic = table.instances !== null;
    this.#images = new Recent(KEPT, (index) => this.#inTurn(index));
  }

  /** The segment of a prototype, from the image with this index; null where the image has none like it. */
  async of(row: number, index: number): Promise<IdMap | null> {
    const { label, instance } = this.#table.entry(row);
    const feature = this.#table.feature(row);
    const { prototypes, labels, instances, members, width, height } = await this.#images.get(index);
    let best = -1;
    let nearest = SAME;
    for (let cluster = 0; cluster < labels.length; cluster++) {
      if (labels[cluster] !== label || (instances && instances[cluster] !== instance)) continue;
      let cosine = 0;
      for (const [c, value] of feature.entries()) cosine += value * prototypes[cluster * feature.length + c]!;
      if (cosine >= nearest) [best, nearest] = [cluster, cosine];
    }
    if (best < 0) return null;
    return { width, height, data: Uint8Array.from(members, (member) => Number(member === best)) };
  }

  #inTurn(index: number): Promise<Found> {
    const found = this.#last.then(() => this.#segment(index));
    this.#last = found.catch(() => {});
    return found;
  }

  async #segment(index: number): Promise<Found> {
    const { canvas, stride } = this.#segmenter.options;
    const crop = { height: canvas[0], width: canvas[1] };
    await using loader = await Loader.open(entriesOf(this.#dataset, [index]), { batch: 1, crop, workers: 0 });
    const batch = await loader.batch(0);
    const [image] = await this.#segmenter.extractImages(batch, { panoptic: this.#panoptic });
    const [height, width] = [batch.placement.data[0]!, batch.placement.data[1]!];
    const map = { height: Math.ceil(height / stride), width: Math.ceil(width / stride) };
    const members = enlarge(cutOut(image!.members, image!.width, map), map, { height, width, stride });
    return { ...image!, members, width, height };
  }
}

/** The top left of a map. */
function cutOut(map: ArrayLike<number>, mapWidth: number, { height, width }: Size): Int32Array {
  return Int32Array.from({ length: height * width }, (_, p) => map[Math.floor(p / width) * mapWidth + (p % width)]!);
}
