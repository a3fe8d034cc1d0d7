/** Where each image of a batch is placed under its crop: at random for training, whole for evaluation. */
import { resizedExtent } from '../tensor/ops/image.js';
import { Random, STREAM } from '../tensor/random.js';
import type { HostTensor } from '../tensor/types.js';
import { DataError } from './errors.js';

export interface CropSize {
  readonly height: number;
  readonly width: number;
}

export interface AugmentOptions {
  /** The image is resized by one factor, uniform between these two; `[1, 1]` for none. */
  readonly scale: readonly [number, number];
  /** Whether half of the images are mirrored left to right. */
  readonly mirror: boolean;
}

/** SegSort's augmentation (the released training settings): scales of 0.5 to 2, mirrored half of the time. */
export const SEGSORT_AUGMENTATION: AugmentOptions = { scale: [0.5, 2], mirror: true };

export interface Placement {
  readonly imageHeight: number;
  readonly imageWidth: number;
  readonly scaleY: number;
  readonly scaleX: number;
  /** Row and column of the resized image at the top left of the crop. */
  readonly offsetY: number;
  readonly offsetX: number;
  readonly mirror: boolean;
}

export interface NamedSize extends CropSize {
  readonly name: string;
}

/**
 * A random placement: the image is resized, mirrored, padded at the bottom and right to at least the crop, and the
 * crop is taken at any position of that, each as likely.
 */
export function randomPlacement(random: Random, image: CropSize, crop: CropSize, options: AugmentOptions): Placement {
  const [low, high] = options.scale;
  if (!(low > 0 && high >= low && Number.isFinite(high)))
    throw new RangeError(`augmentation: scale must be [low, high] with 0 < low <= high, got [${low}, ${high}]`);
  // Every number is drawn whether or not it is used, so that switching one option off leaves the others as they are.
  const scale = Math.fround(random.between(low, high));
  const mirror = random.boolean() && options.mirror;
  const spareY = Math.max(0, resizedExtent(image.height, scale) - crop.height);
  const spareX = Math.max(0, resizedExtent(image.width, scale) - crop.width);
  const offsetY = Math.floor(random.uniform() * (spareY + 1));
  const offsetX = Math.floor(random.uniform() * (spareX + 1));
  return { imageHeight: image.height, imageWidth: image.width, scaleY: scale, scaleX: scale, offsetY, offsetX, mirror };
}

/**
 * The whole image as it is, padded at the bottom and right.
 *
 * @throws DataError naming the image where it is larger than the crop
 */
export function wholePlacement(image: NamedSize, crop: CropSize): Placement {
  if (image.height > crop.height || image.width > crop.width)
    throw new DataError(
      image.name,
      `is ${image.height}x${image.width} (height x width) and does not fit a crop of ${crop.height}x${crop.width} whole; use a larger crop, or windows`,
    );
  return {
    imageHeight: image.height,
    imageWidth: image.width,
    scaleY: 1,
    scaleX: 1,
    offsetY: 0,
    offsetX: 0,
    mirror: false,
  };
}

/**
 * The placements of a training step. Those of image `i` depend on (seed, step, i) and on its size alone.
 *
 * @returns f32 `[N,8]`, as `sampleCrop` takes it
 */
export function trainingPlacements(
  images: readonly CropSize[],
  crop: CropSize,
  options: AugmentOptions,
  { seed, step }: { readonly seed: number; readonly step: number },
): HostTensor {
  return packPlacements(
    images.map((image, index) =>
      randomPlacement(new Random({ seed, stream: STREAM.placement, step, index }), image, crop, options),
    ),
    images.length,
  );
}

/** Placements of whole images; rows past their number, up to `batch`, hold no image (labels all 255). */
export function evaluationPlacements(images: readonly NamedSize[], crop: CropSize, batch = images.length): HostTensor {
  return packPlacements(
    images.map((image) => wholePlacement(image, crop)),
    batch,
  );
}

/** Rows of `sampleCrop`'s second input; rows past the given placements hold no image. */
export function packPlacements(placements: readonly Placement[], batch = placements.length): HostTensor {
  const data = new Float32Array(batch * 8);
  for (const [index, p] of placements.entries())
    data.set([p.imageHeight, p.imageWidth, p.scaleY, p.scaleX, p.offsetY, p.offsetX, p.mirror ? 1 : 0, 0], index * 8);
  return { shape: [batch, 8], dtype: 'f32', data };
}

/** The order in which an epoch visits the samples: a shuffle that depends on (seed, epoch, length) alone. */
export function epochOrder(seed: number, epoch: number, length: number): Uint32Array<ArrayBuffer> {
  return new Random({ seed, stream: STREAM.order, step: epoch }).permutation(length);
}
