/** The training segments that prototypes were made from, to be shown. */
import type { LabelImage, RgbImage } from '../../data/codecs.js';
import type { Dataset } from '../../data/dataset.js';
import { unpackPixels } from '../../data/decode.js';
import type { PrototypeOrigin, PrototypeTable } from '../../segsort/prototype_table.js';
import type { IdMap } from '../../viz/maps.js';
import type { ShownSegment } from '../../viz/sheet_parts.js';
import { Recent } from './recent.js';

/** Decoded images kept: neighbours of one segment often come from a few. */
const KEPT = 32;

export class TrainingSegments {
  readonly #table: PrototypeTable;
  readonly #classes: readonly string[];
  readonly #outline: (row: number, index: number) => Promise<IdMap | null> | null;
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #images: Recent<number, { image: RgbImage; labels: LabelImage }>;

  /**
   * @param dataset the images that the prototypes were taken from; null where none is at hand
   * @param outline the exact segment of a prototype, if it can be had; without it the pixels of its label in its box are shown
   */
  constructor(
    table: PrototypeTable,
    dataset: Dataset | null,
    classes: readonly string[],
    outline: (row: number, index: number) => Promise<IdMap | null> | null = () => null,
  ) {
    this.#outline = outline;
    this.#table = table;
    this.#classes = classes;
    this.#images = new Recent(KEPT, async (index) => unpackPixels(await dataset!.load(index)));
    this.#indexOf = new Map((dataset?.names ?? []).map((name, index) => [name, index]));
  }

  /** The segment of a prototype; null where its image is not known, or not in the data set. */
  async shown(row: number, similarity: number): Promise<ShownSegment | null> {
    const { label, origin } = this.#table.entry(row);
    const index = origin ? this.#indexOf.get(origin.image) : undefined;
    if (!origin || index === undefined) return null;
    const { image, labels } = await this.#images.get(index);
    return {
      image,
      mask: (await this.#outline(row, index)) ?? segmentOf(label, origin, labels),
      label,
      caption: `${this.#classes[label] ?? `class ${label}`}\n${similarity.toFixed(3)}`,
    };
  }
}

/** A prototype's segment: the pixels of its label in its box. */
function segmentOf(label: number, { box }: PrototypeOrigin, labels: LabelImage): IdMap {
  const { width, height } = labels;
  const data = new Uint8Array(width * height);
  for (let y = box.top; y < Math.min(height, box.bottom); y++)
    for (let x = box.left; x < Math.min(width, box.right); x++)
      if (labels.data[y * width + x] === label) data[y * width + x] = 1;
  return { width, height, data };
}
