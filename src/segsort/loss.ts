/**
 * The SegSort loss ("segment sorting" in Hwang et al., SegSort, ICCV 2019). A pixel with embedding v belongs to
 * segment s with a probability proportional to exp(concentration * <v, prototype of s>), where v and prototypes are
 * unit vectors. The loss makes segments of the pixel's own label likely, leaving out its own segment, as neighbourhood
 * components analysis leaves out the point itself.
 */
import { recomputable } from '../autograd/recompute.js';
import { constant, scalar, scope, type Tensor, type TensorLike } from '../tensor/graph.js';
import { OpError } from '../tensor/op.js';
import { div, equal, greater, maximum, mul, mulScalar, sub, toFloat, toInt, where } from '../tensor/ops/elementwise.js';
import { matmul } from '../tensor/ops/matmul.js';
import { l2Normalize } from '../tensor/ops/normalize.js';
import { sum } from '../tensor/ops/reduce.js';
import { reshape } from '../tensor/ops/shape.js';
import { showShape, sizeOf } from '../tensor/types.js';
import { logAddExp, softplus } from './ops/log_add_exp.js';
import { type LogTerms, ncaTerms } from './ops/nca.js';
import { emptyLog } from './ops/nca_terms.js';
import { segmentsOf } from './ops/segments.js';
import { prototypesOf } from './prototypes.js';

export interface NcaLossOptions {
  /** What cosines are multiplied by. Reference: 10. */
  readonly concentration: number;
  /**
   * The favoured prototypes of a pixel: `nca`, all of its label but its own (its own where there is no other);
   * `self`, its own alone.
   */
  readonly numerator: 'nca' | 'self';
}

/** Prototypes that pixels are compared with. */
export interface PrototypeBlock {
  /** Cosines of every pixel with every prototype, f32 [Q,S]. */
  readonly similarities: TensorLike;
  /** i32 [S]; -1 for rows not in use. */
  readonly labels: TensorLike;
}

/**
 * Loss of each pixel, f32 [Q]: -log(n / (n + d)), with n the sum of exp(concentration * cosine) over the numerator's
 * prototypes and d the sum over the prototypes of other labels. 0 for ignored pixels. In logarithms throughout, so
 * nothing overflows, and the gradient of well classified pixels keeps its digits.
 *
 * @param pixels `labels` i32 [Q]; `own` i32 [Q], the row of `batch` that is the pixel's own segment, -1 if ignored
 * @param batch prototypes of the batch, which the pixels' own are among
 * @param banks prototypes of earlier batches
 */
export function ncaLoss(
  pixels: { readonly labels: TensorLike; readonly own: TensorLike },
  { concentration, numerator }: NcaLossOptions,
  batch: PrototypeBlock,
  banks?: PrototypeBlock | null,
): Tensor {
  const terms = (block: PrototypeBlock, owned: boolean): LogTerms =>
    ncaTerms(block.similarities, pixels.labels, pixels.own, block.labels, { concentration, owned });
  let { others, different, own } = terms(batch, true);
  if (banks) {
    const more = terms(banks, false);
    others = logAddExp(others, more.others);
    different = logAddExp(different, more.different);
  }
  // What an empty sum gives lies 100 below what any other can.
  const none = greater(scalar(emptyLog(concentration) + 50), others);
  const favoured = numerator === 'self' ? own : where(none, own, others);
  return softplus(sub(different, favoured));
}

export interface SegsortLossOptions extends NcaLossOptions {
  /** Number of cluster ids, as `clusterCount` gives it. */
  readonly clusters: number;
  /** Number of classes; labels are 0 to classes - 1, or `ignore`. */
  readonly classes: number;
  /** Label of pixels that belong to no class. Reference: 255. */
  readonly ignore: number;
  /** Most segments an image may have; give `segmentCounts` of the result to `checkCapacity`. */
  readonly capacity: number;
}

export interface SegsortLossInputs {
  /** f32 [N,P,D] or [N,h,w,D], of any length: it is normalised here, unless `unit` says that it is. */
  readonly embedding: TensorLike;
  /** True: the embedding is unit vectors. Default false. */
  readonly unit?: boolean;
  /** i32 [N,P] or [N,h,w]. */
  readonly labels: TensorLike;
  /** i32 [N,P]: -1 where a pixel is not clustered. */
  readonly clusters: TensorLike;
  /** Prototypes of earlier batches, f32 [M,D] and i32 [M], as `MemoryBanks.use` gives them. */
  readonly banks?: { readonly prototypes: TensorLike; readonly labels: TensorLike } | null;
}

export interface SegsortLoss {
  /** f32 scalar: mean over valid pixels; 0, with a gradient of 0, if there is none. */
  readonly loss: Tensor;
  /** f32 scalar: how many pixels the loss is the mean of. */
  readonly validPixels: Tensor;
  /** i32 [N], for `checkCapacity`. */
  readonly segmentCounts: Tensor;
  /** f32 [N,capacity,D]: unit vectors, zeros in unused rows. */
  readonly prototypes: Tensor;
  /** i32 [N,capacity]: -1 in unused rows. */
  readonly prototypeLabels: Tensor;
}

/**
 * The supervised loss of a batch: segments are (cluster, label) pairs. The gradient flows into the pixels' embeddings
 * directly and through the prototypes of the batch, not into clusters nor banks.
 */
export function segsortLoss(inputs: SegsortLossInputs, options: SegsortLossOptions): SegsortLoss {
  return scope('segsortLoss', () => {
    const { embedding, images, pixels, channels } = flatten('segsortLoss', inputs.embedding, inputs.unit);
    const labels = pixelMap('segsortLoss', 'labels', inputs.labels, images, pixels);
    const clusters = pixelMap('segsortLoss', 'clusters', inputs.clusters, images, pixels);
    const { concentration, numerator, capacity } = options;
    const {
      segments,
      rows,
      labels: prototypeLabels,
      counts,
    } = segmentsOf(clusters, labels, {
      clusters: options.clusters,
      classes: options.classes,
      ignore: options.ignore,
      capacity,
    });
    const prototypes = prototypesOf(embedding, segments, capacity);
    const queries = reshape(embedding, [images * pixels, channels]);
    const own = reshape(rows, [images * pixels]);
    const compare = (table: TensorLike, tableLabels: TensorLike): PrototypeBlock => ({
      similarities: matmul(queries, table, { transposeB: true }),
      labels: tableLabels,
    });
    // The similarities are large, and soon computed from their factors.
    const losses = recomputable(() =>
      ncaLoss(
        { labels: reshape(labels, [images * pixels]), own },
        { concentration, numerator },
        compare(reshape(prototypes, [images * capacity, channels]), reshape(prototypeLabels, [images * capacity])),
        inputs.banks && compare(inputs.banks.prototypes, inputs.banks.labels),
      ),
    );
    return { ...meanOverValid(losses, own), segmentCounts: counts, prototypes, prototypeLabels };
  });
}

export interface UnsupervisedLossOptions extends Pick<NcaLossOptions, 'concentration'> {
  /** Region ids are 0 to regions - 1; pixels of any other don't count. */
  readonly regions: number;
  /** Most regions an image may have. Default: `regions`. */
  readonly capacity?: number;
}

const REGION_RADIX = 256;

/**
 * The unsupervised loss: segments are the regions of a given oversegmentation, and a pixel's own segment is
 * favoured over all others of the batch. Pixels of a negative region (padding) don't count.
 *
 * @param inputs `embedding` f32 [N,P,D] or [N,h,w,D]; `regions` i32 [N,P] or [N,h,w]
 */
export function segsortUnsupervisedLoss(
  inputs: { readonly embedding: TensorLike; readonly regions: TensorLike },
  { concentration, regions, capacity = regions }: UnsupervisedLossOptions,
): Omit<SegsortLoss, 'prototypeLabels'> {
  return scope('segsortUnsupervisedLoss', () => {
    const { embedding, images, pixels, channels } = flatten('segsortUnsupervisedLoss', inputs.embedding);
    const ids = pixelMap('segsortUnsupervisedLoss', 'regions', inputs.regions, images, pixels);
    // Numbering looks through the clusters one by one: two digits, cluster and label, are faster than one large id.
    const none = scalar(-1, 'i32');
    const isRegion = mul(greater(ids, none), greater(scalar(regions, 'i32'), ids));
    const high = toInt(mulScalar(toFloat(ids), 1 / REGION_RADIX));
    const low = toInt(sub(toFloat(ids), mulScalar(toFloat(high), REGION_RADIX)));
    const { segments, rows, labels, counts } = segmentsOf(where(isRegion, high, none), where(isRegion, low, none), {
      clusters: Math.ceil(regions / REGION_RADIX),
      classes: REGION_RADIX,
      ignore: -1,
      capacity,
    });
    const prototypes = prototypesOf(embedding, segments, capacity);
    // Every segment is its own class.
    const size = images * capacity;
    const range = constant(
      [size],
      Int32Array.from({ length: size }, (_, row) => row),
      'i32',
    );
    const classes = where(equal(reshape(labels, [size]), none), none, range);
    const own = reshape(rows, [images * pixels]);
    const losses = recomputable(() => {
      const similarities = matmul(
        reshape(embedding, [images * pixels, channels]),
        reshape(prototypes, [size, channels]),
        { transposeB: true },
      );
      return ncaLoss({ labels: own, own }, { concentration, numerator: 'self' }, { similarities, labels: classes });
    });
    return { ...meanOverValid(losses, own), segmentCounts: counts, prototypes };
  });
}

function meanOverValid(losses: Tensor, own: Tensor): { loss: Tensor; validPixels: Tensor } {
  const validPixels = sum(greater(own, scalar(-1, 'i32')));
  return { loss: div(sum(losses), maximum(validPixels, scalar(1))), validPixels };
}

/** The embedding as unit vectors [N,P,D]. */
function flatten(op: string, x: TensorLike, unit = false) {
  if (x.dtype !== 'f32' || (x.shape.length !== 3 && x.shape.length !== 4))
    throw new OpError(op, `the embedding must be f32 [N,P,D] or [N,h,w,D], got ${x.dtype}${showShape(x.shape)}`);
  const images = x.shape[0]!;
  const channels = x.shape.at(-1)!;
  const pixels = sizeOf(x.shape) / (images * channels);
  const rows = reshape(x, [images, pixels, channels]);
  return { embedding: unit ? rows : l2Normalize(rows), images, pixels, channels };
}

function pixelMap(op: string, what: string, map: TensorLike, images: number, pixels: number): Tensor {
  if (map.dtype !== 'i32' || map.shape[0] !== images || sizeOf(map.shape) !== images * pixels)
    throw new OpError(
      op,
      `${what} must be i32 for ${images} images of ${pixels} pixels, as the embedding has, got ${map.dtype}${showShape(map.shape)}`,
    );
  return reshape(map, [images, pixels]);
}
