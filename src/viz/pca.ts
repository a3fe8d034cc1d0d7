/** Principal components of feature maps, to show an embedding of many channels in three colours. */
import type { RgbImage } from '../data/image.js';

/** Features of an image, row-major, channels last: `data.length === height * width * channels`. */
export interface FeatureMap {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Float32Array;
}

export interface PrincipalComponents {
  readonly mean: Float64Array;
  /** Unit vectors, by falling variance. */
  readonly axes: readonly Float64Array[];
  readonly variances: readonly number[];
}

/**
 * The first `count` principal components of all pixels of the maps together. An axis points the way in which its
 * largest coordinate is positive, so that the same features give the same colours every time.
 */
export function principalComponents(maps: readonly FeatureMap[], count: number): PrincipalComponents {
  const channels = maps[0]?.channels ?? 0;
  for (const map of maps)
    if (map.channels !== channels)
      throw new RangeError(`principalComponents: maps of ${channels} and of ${map.channels} channels`);
  const { mean, covariance } = momentsOf(maps, channels);
  const { values, vectors } = symmetricEigen(covariance, channels);
  const order = Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
  const kept = order.slice(0, count);
  return { mean, axes: kept.map((i) => pointed(vectors[i]!)), variances: kept.map((i) => Math.max(0, values[i]!)) };
}

/** Deviations from the mean, in standard deviations, at which a colour channel is full. */
const RANGE = 2;

/** A feature map in the colours of three principal components; grey in a channel that has no variance. */
export function colourFeatures(map: FeatureMap, { mean, axes, variances }: PrincipalComponents): RgbImage {
  const { height, width, channels } = map;
  const data = new Uint8Array(height * width * 3).fill(128);
  for (const [component, axis] of axes.slice(0, 3).entries()) {
    const deviation = Math.sqrt(variances[component]!);
    if (!(deviation > 0)) continue;
    for (let pixel = 0; pixel < height * width; pixel++) {
      let projection = 0;
      for (let c = 0; c < channels; c++) projection += (map.data[pixel * channels + c]! - mean[c]!) * axis[c]!;
      const level = 0.5 + projection / (2 * RANGE * deviation);
      data[pixel * 3 + component] = Math.round(255 * Math.min(1, Math.max(0, level)));
    }
  }
  return { width, height, data };
}

function momentsOf(maps: readonly FeatureMap[], channels: number) {
  const mean = new Float64Array(channels);
  const covariance = new Float64Array(channels * channels);
  let pixels = 0;
  for (const { data } of maps) {
    pixels += data.length / channels;
    for (let i = 0; i < data.length; i++) mean[i % channels]! += data[i]!;
  }
  for (let c = 0; c < channels; c++) mean[c]! /= Math.max(1, pixels);
  const centred = new Float64Array(channels);
  for (const { data } of maps)
    for (let first = 0; first < data.length; first += channels) {
      for (let c = 0; c < channels; c++) centred[c] = data[first + c]! - mean[c]!;
      for (let a = 0; a < channels; a++)
        for (let b = 0; b <= a; b++) covariance[a * channels + b]! += centred[a]! * centred[b]!;
    }
  for (let a = 0; a < channels; a++)
    for (let b = 0; b <= a; b++) {
      covariance[a * channels + b]! /= Math.max(1, pixels);
      covariance[b * channels + a] = covariance[a * channels + b]!;
    }
  return { mean, covariance };
}

const MOST_SWEEPS = 50;

/**
 * Eigenvalues and unit eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, "Matrix
 * Computations", section 8.5).
 */
export function symmetricEigen(matrix: ArrayLike<number>, size: number): { values: number[]; vectors: Float64Array[] } {
  const a = Float64Array.from(matrix);
  const v = new Float64Array(size * size);
  for (let i = 0; i < size; i++) v[i * size + i] = 1;
  let scale = 0;
  for (const value of a) scale += value * value;
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    let off = 0;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) off += a[p * size + q]! ** 2;
    if (off <= 1e-24 * scale) break;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) rotate(a, v, size, p, q);
  }
  const vectors = Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length: size }, (_, k) => v[k * size + i]!),
  );
  return { values: Array.from({ length: size }, (_, i) => a[i * size + i]!), vectors };
}

/** Rotates the plane of axes p and q so that `a[p][q]` becomes zero. */
function rotate(a: Float64Array, v: Float64Array, size: number, p: number, q: number): void {
  const apq = a[p * size + q]!;
  if (apq === 0) return;
  const theta = (a[q * size + q]! - a[p * size + p]!) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const turn = (array: Float64Array, i: number, j: number) => {
    const [x, y] = [array[i]!, array[j]!];
    array[i] = c * x - s * y;
    array[j] = s * x + c * y;
  };
  for (let k = 0; k < size; k++) turn(a, k * size + p, k * size + q);
  for (let k = 0; k < size; k++) turn(a, p * size + k, q * size + k);
  for (let k = 0; k < size; k++) turn(v, k * size + p, k * size + q);
}

function pointed(axis: Float64Array): Float64Array {
  let largest = 0;
  for (let c = 1; c < axis.length; c++) if (Math.abs(axis[c]!) > Math.abs(axis[largest]!) + 1e-12) largest = c;
  return axis[largest]! < 0 ? axis.map((value) => -value) : axis;
}
