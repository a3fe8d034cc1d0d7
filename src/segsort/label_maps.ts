/** Maps of labels and ids at the resolution of a network's output. */
import type { Tensor } from '../tensor/graph.js';
import { resizeNearest } from '../tensor/ops/resize.js';
import { reshape } from '../tensor/ops/shape.js';

/** Label maps i32 [N,H,W] at another resolution, as the reference takes them (TF1's nearest-neighbour resize). */
export function shrinkLabels(labels: Tensor, size: readonly [number, number]): Tensor {
  const [images, height, width] = labels.shape as [number, number, number];
  return reshape(resizeNearest(reshape(labels, [images, height, width, 1]), size, { convention: 'tf1' }), [
    images,
    ...size,
  ]);
}
