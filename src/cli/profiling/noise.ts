/** Images of noise to profile with: kernels take as long as with photographs, since no size depends on what is seen. */
import { packPlacements, wholePlacement } from '../../data/augment.js';
import { PrototypeTable } from '../../segsort/prototype_table.js';
import type { ImageBatch } from '../../segsort/segmenter.js';
import type { TrainingBatch } from '../../segsort/trainer.js';
import { Random } from '../../tensor/random.js';
import { hostTensor } from '../../tensor/types.js';
import type { RunConfig } from '../config/schema.js';

/** Prototypes that are searched: about as many as 200 images give. */
const PROTOTYPES = 8192;

/** A batch of a configuration's crops, of `images` of them. Upright stripes are labelled, and are the regions. */
export function noiseBatch(
  { training, segments, data }: RunConfig,
  images = training.batch,
): TrainingBatch & ImageBatch {
  const [height, width] = training.crop;
  const random = new Random({ seed: training.seed, stream: 0 });
  // Every cell of the clustering meets every label at most, and there is room for so many segments.
  const cells = segments.cells[0] * segments.cells[1];
  const most = training.objective === 'segsort' ? Math.floor(segments.capacity / cells) : segments.capacity;
  const stripes = Math.max(1, Math.min(most, 4, data.classes.length));
  const canvas = new Uint32Array(images * height * width);
  const ids = new Uint32Array(canvas.length);
  for (let at = 0; at < canvas.length; at++) {
    const stripe = Math.floor(((at % width) * stripes) / width);
    canvas[at] = ((random.uint32() & 0xffffff) | (stripe << 24)) >>> 0;
    ids[at] = (stripe | 0xffff0000) >>> 0;
  }
  const crop = { height, width };
  const names = Array.from({ length: images }, (_, n) => `noise ${n + 1}`);
  return {
    canvas: hostTensor([images, height, width], canvas, 'u32'),
    ids: training.objective === 'segsort-unsupervised' ? hostTensor([images, height, width], ids, 'u32') : null,
    placement: packPlacements(names.map((name) => wholePlacement({ name, ...crop }, crop))),
    names,
  };
}

/** Prototypes in random directions. */
export function noisePrototypes({ network, data, training }: RunConfig): PrototypeTable {
  const random = new Random({ seed: training.seed, stream: 1 });
  const table = new PrototypeTable(network.embedding);
  for (let row = 0; row < PROTOTYPES; row++) {
    const feature = Float32Array.from({ length: network.embedding }, () => random.between(-1, 1));
    const norm = Math.hypot(...feature);
    table.push(
      feature.map((value) => value / norm),
      { label: row % data.classes.length, instance: null, origin: null },
    );
  }
  return table;
}
