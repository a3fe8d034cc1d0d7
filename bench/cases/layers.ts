/** Layers that cost little arithmetic, checked everywhere. */
import { relativeError } from '../../test/support/compare.js';
import type { Case } from '../harness/types.js';
import { bytesOfAll, heldOperands, heldReference, noise } from './operands.js';

/** A case whose results are all computed in float64. */
function checkedEverywhere(
  theCase: Omit<Case, 'errorOf' | 'tolerance'> & { readonly tolerance?: number },
  reference: (...operands: Float32Array[]) => Float64Array[],
): Case {
  const operands = heldOperands(theCase.operands);
  const expectedOf = heldReference(() => reference(...operands().map(({ data }) => data as Float32Array)));
  return {
    tolerance: 1e-4,
    ...theCase,
    operands,
    errorOf(results) {
      const expected = expectedOf();
      if (results.length !== expected.length) return Number.POSITIVE_INFINITY;
      return Math.max(
        ...expected.map((values, i) =>
          results[i]!.length === values.length ? relativeError(results[i]!, values) : Number.POSITIVE_INFINITY,
        ),
      );
    },
  };
}

const EPSILON = 1e-3;

/** Forward and backward (Ioffe and Szegedy 2015, section 3) of `rows` pixels. */
export function batchNormCase(rows: number, channels: number, of = `${rows}`): Case {
  const [maps, vector] = [[rows, channels], [channels]];
  return checkedEverywhere(
    {
      name: `batch norm train, forward + backward, ${of}x${channels}`,
      computation: { kind: 'batch-norm-train', rows, channels },
      // Statistics 4 an element, normalisation 3, the two sums 5, the gradient of x 5.
      flops: 17 * rows * channels,
      bytes: bytesOfAll(maps, maps, vector, vector, maps, maps, vector, vector),
      operands: () => [noise(maps, 1, 2), noise(maps, 2), noise(vector, 3), noise(vector, 4)],
    },
    (x, dy, gamma, beta) => {
      const mean = new Float64Array(channels);
      const variance = new Float64Array(channels);
      for (let i = 0; i < x!.length; i++) mean[i % channels]! += x![i]! / rows;
      for (let i = 0; i < x!.length; i++) variance[i % channels]! += (x![i]! - mean[i % channels]!) ** 2 / rows;
      const scale = variance.map((value) => 1 / Math.sqrt(value + EPSILON));
      const normalized = Float64Array.from(x!, (value, i) => (value - mean[i % channels]!) * scale[i % channels]!);
      const dGamma = new Float64Array(channels);
      const dBeta = new Float64Array(channels);
      for (let i = 0; i < x!.length; i++) {
        dGamma[i % channels]! += dy![i]! * normalized[i]!;
        dBeta[i % channels]! += dy![i]!;
      }
      const y = normalized.map((value, i) => value * gamma![i % channels]! + beta![i % channels]!);
      const dx = normalized.map((value, i) => {
        const c = i % channels;
        return gamma![c]! * scale[c]! * (dy![i]! - (dBeta[c]! + value * dGamma[c]!) / rows);
      });
      return [y, dx, dGamma, dBeta];
    },
  );
}

export function softmaxCase(rows: number, columns: number): Case {
  return checkedEverywhere(
    {
      name: `softmax ${rows}x${columns}`,
      computation: { kind: 'softmax', rows, columns },
      // Maximum, difference, exponential, sum and quotient.
      flops: 5 * rows * columns,
      bytes: bytesOfAll([rows, columns], [rows, columns]),
      operands: () => [noise([rows, columns], 1, 3)],
    },
    (x) => {
      const result = new Float64Array(x!.length);
      for (let row = 0; row < rows; row++) {
        const values = x!.subarray(row * columns, (row + 1) * columns);
        const largest = values.reduce((a, b) => Math.max(a, b));
        const exponentials = Float64Array.from(values, (value) => Math.exp(value - largest));
        const sum = exponentials.reduce((a, b) => a + b);
        result.set(
          exponentials.map((value) => value / sum),
          row * columns,
        );
      }
      return [result];
    },
  );
}

export function argmaxCase(rows: number, columns: number): Case {
  const operands = heldOperands(() => [noise([rows, columns], 1, 3)]);
  return {
    name: `argmax ${rows}x${columns}`,
    computation: { kind: 'argmax', rows, columns },
    flops: rows * columns,
    bytes: bytesOfAll([rows, columns], [rows]),
    operands,
    tolerance: 0,
    /** By how much what was chosen is less than the largest: which of equals is chosen is nobody's business. */
    errorOf([chosen]) {
      const { data } = operands()[0]!;
      if (chosen!.length !== rows) return Number.POSITIVE_INFINITY;
      let error = 0;
      for (let row = 0; row < rows; row++) {
        const values = data.subarray(row * columns, (row + 1) * columns);
        const found = values[chosen![row]!] ?? Number.NEGATIVE_INFINITY;
        error = Math.max(error, Math.max(...values) - found);
      }
      return error;
    },
  };
}

export interface MapShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export function maxPoolCase(map: MapShape, window: { size: number; stride: number; padding: number }): Case {
  const { batch, height, width, channels } = map;
  const { size, stride, padding } = window;
  const outputOf = (extent: number) => Math.floor((extent + 2 * padding - size) / stride) + 1;
  const [rows, columns] = [outputOf(height), outputOf(width)];
  const count = batch * rows * columns * channels;
  return checkedEverywhere(
    {
      name: `max pool ${size}x${size} s${stride}, ${titleOf(map)}`,
      computation: { kind: 'max-pool', ...map, ...window },
      flops: count * size ** 2,
      bytes: bytesOfAll([batch, height, width, channels], [count]),
      operands: () => [noise([batch, height, width, channels], 1)],
      tolerance: 0,
    },
    (x) => {
      const result = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
      for (let at = 0; at < count; at++) {
        const [c, pixel] = [at % channels, Math.floor(at / channels)];
        const [column, row] = [pixel % columns, Math.floor(pixel / columns) % rows];
        const image = Math.floor(pixel / columns / rows);
        for (let tap = 0; tap < size ** 2; tap++) {
          const i = row * stride + Math.floor(tap / size) - padding;
          const j = column * stride + (tap % size) - padding;
          if (i < 0 || i >= height || j < 0 || j >= width) continue;
          result[at] = Math.max(result[at]!, x![((image * height + i) * width + j) * channels + c]!);
        }
      }
      return [result];
    },
  );
}

export function resizeCase(map: MapShape, factor: number): Case {
  const { batch, height, width, channels } = map;
  const [rows, columns] = [height * factor, width * factor];
  const count = batch * rows * columns * channels;
  return checkedEverywhere(
    {
      name: `resize bilinear x${factor}, ${titleOf(map)}`,
      computation: { kind: 'resize-bilinear', ...map, factor },
      // Four products and three sums of pixels.
      flops: 7 * count,
      bytes: bytesOfAll([batch, height, width, channels], [count]),
      operands: () => [noise([batch, height, width, channels], 1)],
    },
    (x) => {
      const taps = (at: number, extent: number) => {
        const source = Math.min(Math.max((at + 0.5) / factor - 0.5, 0), extent - 1);
        const first = Math.floor(source);
        return { first, second: Math.min(first + 1, extent - 1), share: source - first };
      };
      const result = new Float64Array(count);
      for (let pixel = 0; pixel < count / channels; pixel++) {
        const down = taps(Math.floor(pixel / columns) % rows, height);
        const right = taps(pixel % columns, width);
        const image = Math.floor(pixel / columns / rows) * height;
        for (let c = 0; c < channels; c++) {
          const at = (i: number, j: number) => x![((image + i) * width + j) * channels + c]!;
          const top = at(down.first, right.first) * (1 - right.share) + at(down.first, right.second) * right.share;
          const bottom = at(down.second, right.first) * (1 - right.share) + at(down.second, right.second) * right.share;
          result[pixel * channels + c] = top * (1 - down.share) + bottom * down.share;
        }
      }
      return [result];
    },
  );
}

const titleOf = ({ batch, height, width, channels }: MapShape) =>
  `${batch > 1 ? `${batch}x` : ''}${height}x${width}x${channels}`;
