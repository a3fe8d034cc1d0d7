/** Panoptic labels: pairs of a class and an instance, numbered anew in every image so that they can be counted. */
import { type HostTensor, hostTensor } from '../tensor/types.js';
import type { LabelOptions } from './prototypes.js';
import type { ImageBatch } from './segmented_image.js';
import type { Extents } from './views.js';

/** Most pairs that an image may have. */
export const PAIR_CAPACITY = 1024;

export interface LabelPair {
  readonly label: number;
  /** -1 for pixels of no instance. */
  readonly instance: number;
}

export interface LabelPairs {
  /** i32 [N,h,w]: number of each pixel's pair; `PAIR_CAPACITY` for pixels that are ignored, and outside of the image. */
  readonly map: HostTensor;
  /** For each image its pairs, by their numbers. */
  readonly pairs: readonly (readonly LabelPair[])[];
}

/**
 * The pairs at the pixels of maps of a batch.
 *
 * @param map height and width of the maps
 * @param extents what they stand for, in pixels of the images
 * @throws Error naming the image that has more than `PAIR_CAPACITY` pairs, or a batch without instances
 */
export function labelPairs(batch: ImageBatch, map: Extents, extents: Extents, options: LabelOptions): LabelPairs {
  const { canvas, ids, placement, names } = batch;
  if (!ids)
    throw new Error('panoptic prototypes need instances: a list whose lines are `image label.png instances.png`');
  const [images, canvasHeight, canvasWidth] = canvas.shape as [number, number, number];
  const data = new Int32Array(images * map[0] * map[1]).fill(PAIR_CAPACITY);
  const pairs = names.map((name, n) => {
    const numbers = new Map<number, number>();
    const [height, width] = [placement.data[n * 8]!, placement.data[n * 8 + 1]!];
    for (let y = 0; y < map[0]; y++) {
      const row = Math.floor((y * extents[0]) / map[0]);
      if (row >= height) break;
      for (let x = 0; x < map[1]; x++) {
        const column = Math.floor((x * extents[1]) / map[1]);
        if (column >= width) break;
        const at = (n * canvasHeight + row) * canvasWidth + column;
        const label = canvas.data[at]! >>> 24;
        if (label === options.ignore || label >= options.classes) continue;
        const key = label * 65536 + (ids.data[at]! >>> 16);
        const number = numbers.get(key) ?? numbers.size;
        numbers.set(key, number);
        data[(n * map[0] + y) * map[1] + x] = number;
      }
    }
    if (numbers.size > PAIR_CAPACITY)
      throw new Error(`${name} has ${numbers.size} pairs of class and instance, over ${PAIR_CAPACITY}`);
    return [...numbers.keys()].map((key): LabelPair => {
      const instance = key % 65536;
      return { label: Math.floor(key / 65536), instance: instance === NO_INSTANCE ? -1 : instance };
    });
  });
  return { map: hostTensor([images, ...map], data, 'i32'), pairs };
}

const NO_INSTANCE = 0xffff;
