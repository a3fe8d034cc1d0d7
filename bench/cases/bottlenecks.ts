/** A stack of residual bottlenecks with its loss and all gradients, checked against plain float64. */
import { type HostTensor, type Shape, sizeOf } from '../../src/tensor/types.js';
import { relativeError } from '../../test/support/compare.js';
import type { Case, Computation } from '../harness/types.js';
import { bytesOfAll, heldOperands, noise } from './operands.js';
import { addOuterProducts, addProduct, addProductTransposed, type RowIndex } from './plain_products.js';

export type Bottlenecks = Extract<Computation, { kind: 'bottlenecks' }>;

const EPSILON = 1e-3;

/** Of x and of every block's filters. */
function shapesOf({ blocks, size, channels }: Omit<Bottlenecks, 'kind'>): Shape[] {
  const inner = channels / 4;
  const filters = Array.from({ length: blocks }, () => [
    [1, 1, channels, inner],
    [3, 3, inner, inner],
    [1, 1, inner, channels],
  ]);
  return [[1, size, size, channels], ...filters.flat()];
}

/** Filters are scaled by their fan-in. */
const operandsOf = (computation: Bottlenecks): HostTensor[] =>
  shapesOf(computation).map((shape, i) => noise(shape, i + 1, i === 0 ? 1 : 1 / Math.sqrt(sizeOf(shape.slice(0, 3)))));

/**
 * Results are the loss and the gradients. Gradients are compared by the length of their difference, relative to their own: where
 * an input of a ReLU is within rounding of zero, float32 may let a gradient through that float64 stops, so that single
 * elements differ by as much as they are large.
 */
export function bottlenecksCase(shape: Omit<Bottlenecks, 'kind'>): Case {
  const computation: Bottlenecks = { kind: 'bottlenecks', ...shape };
  const { blocks, size, channels, dilation } = shape;
  const pixels = size * size;
  const inner = channels / 4;
  if (channels % 16 !== 0) throw new Error(`bottlenecks: ${channels} channels are no multiple of 16`);
  const products = pixels * (2 * channels * inner + 9 * inner * inner);
  const operands = heldOperands(() => operandsOf(computation));
  let expected: Float64Array[] | undefined;
  return {
    name: `${blocks} bottlenecks d${dilation}, ${size}x${size}x${channels}, forward + backward`,
    computation,
    // Forward, and the gradients of each product's two operands.
    flops: blocks * 3 * 2 * products,
    bytes: 2 * bytesOfAll(...shapesOf(shape)) + 4,
    operands,
    tolerance: 1e-2,
    errorOf(results) {
      expected ??= bottlenecksReference(computation, operands());
      if (results.length !== expected.length) return Number.POSITIVE_INFINITY;
      return Math.max(
        // The loss has no such excuse.
        relativeError(results[0]!, expected[0]!) * 100,
        ...expected.slice(1).map((values, i) => relativeDistance(results[i + 1]!, values)),
      );
    },
  };
}

function relativeDistance(actual: ArrayLike<number>, expected: Float64Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [squares, total] = [0, 1e-60];
  for (let i = 0; i < expected.length; i++) {
    squares += (actual[i]! - expected[i]!) ** 2;
    total += expected[i]! ** 2;
  }
  return Number.isNaN(squares) ? Number.POSITIVE_INFINITY : Math.sqrt(squares / total);
}

/** Batch norm with gamma 1 and beta 0 of z [pixels, channels], in place, and what its gradient needs. */
function normalize(z: Float64Array, channels: number): { normalized: Float64Array; scale: Float64Array } {
  const rows = z.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let i = 0; i < z.length; i++) mean[i % channels]! += z[i]! / rows;
  for (let i = 0; i < z.length; i++) variance[i % channels]! += (z[i]! - mean[i % channels]!) ** 2 / rows;
  const scale = variance.map((value) => 1 / Math.sqrt(value + EPSILON));
  for (let i = 0; i < z.length; i++) z[i] = (z[i]! - mean[i % channels]!) * scale[i % channels]!;
  return { normalized: z, scale };
}

/** From the gradient of the normalised values to that of what was normalised. */
function normalizeGrad(
  { normalized, scale }: { normalized: Float64Array; scale: Float64Array },
  gradient: Float64Array,
): Float64Array {
  const channels = scale.length;
  const rows = normalized.length / channels;
  const sums = new Float64Array(channels);
  const products = new Float64Array(channels);
  for (let i = 0; i < gradient.length; i++) {
    sums[i % channels]! += gradient[i]!;
    products[i % channels]! += gradient[i]! * normalized[i]!;
  }
  return gradient.map((value, i) => {
    const c = i % channels;
    return scale[c]! * (value - (sums[c]! + normalized[i]! * products[c]!) / rows);
  });
}

const relu = (x: Float64Array) => x.map((value) => Math.max(value, 0));
const reluGrad = (gradient: Float64Array, x: Float64Array) => gradient.map((value, i) => (x[i]! > 0 ? value : 0));

/** The pixel that each pixel of a 3x3 convolution's output reads with each tap; -1 for padding. */
function tapIndices(size: number, dilation: number): Int32Array[] {
  return Array.from({ length: 9 }, (_, tap) =>
    Int32Array.from({ length: size * size }, (_, pixel) => {
      const y = Math.floor(pixel / size) + (Math.floor(tap / 3) - 1) * dilation;
      const x = (pixel % size) + ((tap % 3) - 1) * dilation;
      return y >= 0 && y < size && x >= 0 && x < size ? y * size + x : -1;
    }),
  );
}

/** The loss, and gradients of all operands. */
export function bottlenecksReference(
  { blocks, size, channels, dilation }: Bottlenecks,
  operands: readonly HostTensor[],
): Float64Array[] {
  const [input, ...filters] = operands.map(({ data }) => Float64Array.from(data));
  const rows = size * size;
  const inner = channels / 4;
  const extents: readonly { k: number; n: number; taps: readonly RowIndex[] }[] = [
    { k: channels, n: inner, taps: [null] },
    { k: inner, n: inner, taps: tapIndices(size, dilation) },
    { k: inner, n: channels, taps: [null] },
  ];
  const trace: { inputs: Float64Array[]; norms: ReturnType<typeof normalize>[]; sum: Float64Array }[] = [];
  let x: Float64Array = input!;
  for (let block = 0; block < blocks; block++) {
    const inputs: Float64Array[] = [];
    const norms: ReturnType<typeof normalize>[] = [];
    let y: Float64Array = x;
    for (const [layer, { k, n, taps }] of extents.entries()) {
      inputs.push(y);
      const z = new Float64Array(rows * n);
      for (const [tap, index] of taps.entries())
        addProduct(z, y, filters[3 * block + layer]!, { rows, k, n, at: tap * k * n, index });
      const norm = normalize(z, n);
      norms.push(norm);
      y = layer < 2 ? relu(norm.normalized) : norm.normalized;
    }
    const before = x;
    const sum = y.map((value, i) => value + before[i]!);
    trace.push({ inputs, norms, sum });
    x = relu(sum);
  }

  const loss = x.reduce((total, value) => total + value * value, 0) / x.length;
  const filterGrads = filters.map(({ length }) => new Float64Array(length));
  let gradient: Float64Array = x.map((value) => (2 * value) / x.length);
  for (let block = blocks - 1; block >= 0; block--) {
    const { inputs, norms, sum } = trace[block]!;
    const skipped = reluGrad(gradient, sum);
    gradient = skipped;
    for (let layer = 2; layer >= 0; layer--) {
      const { k, n, taps } = extents[layer]!;
      if (layer < 2) gradient = reluGrad(gradient, norms[layer]!.normalized);
      const dz = normalizeGrad(norms[layer]!, gradient);
      const dx = new Float64Array(rows * k);
      for (const [tap, index] of taps.entries()) {
        const at = tap * k * n;
        addOuterProducts(filterGrads[3 * block + layer]!, inputs[layer]!, dz, { rows, k, n, at, index });
        addProductTransposed(dx, dz, filters[3 * block + layer]!, { rows, k, n, at, index });
      }
      gradient = dx;
    }
    gradient = gradient.map((value, i) => value + skipped[i]!);
  }
  return [Float64Array.of(loss), gradient, ...filterGrads];
}
