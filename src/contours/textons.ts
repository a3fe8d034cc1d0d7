/** Textons: kinds of local texture, found in the image itself. */
import type { Plane } from './colour.js';
import { filterColumns, filterRows, gaussian } from './filters.js';

const SCALES = [1, 2];
const SAMPLES = 4096;
const ITERATIONS = 8;
/** Response at which a filter's answer has come half of the way to its limit. */
const SATURATION = 0.03;

/**
 * Assigns every pixel one of `count` textons (Malik, Belongie, Leung and Shi, IJCV 2001): responses to first and second
 * derivatives of Gaussians at two scales (which span the derivatives in every direction), saturated, and clustered by k-means
 * on samples of the image.
 *
 * @returns a number from 0 a pixel
 */
export function textons(brightness: Plane, count: number): Uint8Array {
  const { width, height } = brightness;
  const pixels = width * height;
  const responses = SCALES.flatMap((sigma) => derivatives(brightness, sigma));
  const size = responses.length;
  const features = new Float32Array(pixels * size);
  for (const [channel, { data }] of responses.entries())
    for (let pixel = 0; pixel < pixels; pixel++) {
      const value = data[pixel]!;
      features[pixel * size + channel] = value / (Math.abs(value) + SATURATION);
    }
  const centres = cluster(features, size, count);
  const assigned = new Uint8Array(pixels);
  for (let pixel = 0; pixel < pixels; pixel++) assigned[pixel] = nearest(features, pixel * size, centres, size);
  return assigned;
}

function derivatives(plane: Plane, sigma: number): Plane[] {
  const [smooth, first, second] = ([0, 1, 2] as const).map((order) => gaussian(sigma, order));
  const rows = {
    smooth: filterRows(plane, smooth!),
    first: filterRows(plane, first!),
    second: filterRows(plane, second!),
  };
  return [
    filterColumns(rows.first, smooth!),
    filterColumns(rows.smooth, first!),
    filterColumns(rows.second, smooth!),
    filterColumns(rows.first, first!),
    filterColumns(rows.smooth, second!),
  ];
}

/** Lloyd's algorithm on evenly spread samples, from centres evenly spread over the samples by their length. */
function cluster(features: Float32Array, size: number, count: number): Float64Array {
  const pixels = features.length / size;
  const step = Math.max(1, Math.floor(pixels / SAMPLES));
  const samples = Array.from({ length: Math.floor((pixels - 1) / step) + 1 }, (_, i) => i * step * size);
  const lengths = samples.map((at) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += features[at + i]! ** 2;
    return sum;
  });
  const order = [...samples.keys()].sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const centres = new Float64Array(count * size);
  for (let k = 0; k < count; k++) {
    const at = samples[order[Math.floor(((k + 0.5) * samples.length) / count)]!]!;
    for (let i = 0; i < size; i++) centres[k * size + i] = features[at + i]!;
  }
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const sums = new Float64Array(count * size);
    const members = new Float64Array(count);
    for (const at of samples) {
      const k = nearest(features, at, centres, size);
      members[k]! += 1;
      for (let i = 0; i < size; i++) sums[k * size + i]! += features[at + i]!;
    }
    for (let k = 0; k < count; k++)
      if (members[k]! > 0) for (let i = 0; i < size; i++) centres[k * size + i] = sums[k * size + i]! / members[k]!;
  }
  return centres;
}

/** Index of the nearest centre, the first of equally near ones. A sum that is too large already is not finished. */
function nearest(features: Float32Array, at: number, centres: Float64Array, size: number): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let c = 0; c < centres.length; c += size) {
    let distance = 0;
    for (let i = 0; i < size && distance < least; i++) {
      const difference = features[at + i]! - centres[c + i]!;
      distance += difference * difference;
    }
    if (distance < least) {
      least = distance;
      best = c;
    }
  }
  return best / size;
}
