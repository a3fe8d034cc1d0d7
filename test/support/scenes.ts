/** Scenes to train on in tests: a coloured square on noise, made from (seed, step) alone. */

import type { TrainingBatch } from '../../src/segsort/trainer.js';
import { Random } from '../../src/tensor/random.js';

export interface SceneOptions {
  readonly batch: number;
  readonly size: number;
  /** What becomes of a label: 0 ground, 1 reddish square, 2 bluish square. */
  readonly relabel?: (label: number) => number;
}

/** A batch of scenes; the first row and column are ignored (255). */
export function sceneBatch(step: number, { batch, size, relabel = (label) => label }: SceneOptions): TrainingBatch {
  const random = new Random({ seed: 11, stream: 99, step });
  const side = Math.floor(size / 2) - 2;
  const canvas = new Uint32Array(batch * size * size);
  for (let n = 0; n < batch; n++) {
    const [top, left, kind] = [random.integer(size - side), random.integer(size - side), 1 + random.integer(2)];
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const inside = y >= top && y < top + side && x >= left && x < left + side;
        const noise = random.integer(60);
        const [r, g, b] = inside ? (kind === 1 ? [190, 40, 40] : [40, 40, 190]) : [90, 110, 90];
        const label = y === 0 || x === 0 ? 255 : relabel(inside ? kind : 0);
        const pixel = (r! + noise) | ((g! + noise) << 8) | ((b! + noise) << 16) | (label << 24);
        canvas[(n * size + y) * size + x] = pixel >>> 0;
      }
  }
  const placement = new Float32Array(batch * 8);
  for (let n = 0; n < batch; n++) placement.set([size, size, 1, 1, 0, 0, 0, 0], n * 8);
  return {
    canvas: { shape: [batch, size, size], dtype: 'u32', data: canvas },
    placement: { shape: [batch, 8], dtype: 'f32', data: placement },
  };
}
