/** Matrix products and convolutions, forward and both gradients, checked by `probes`. */
import type { Shape } from '../../src/tensor/types.js';
import { relativeError } from '../../test/support/compare.js';
import type { Case, ConvShape } from '../harness/types.js';
import { bytesOfAll, heldOperands, noise } from './operands.js';
import { probes, timesVector } from './probes.js';

/** What each probe of the result should give; computed once. */
type Expected = (probe: Float64Array) => Float64Array;

function checkedByProbes(columns: number, expected: () => Expected): Case['errorOf'] {
  let known: { probe: Float64Array; value: Float64Array }[] | undefined;
  return ([result]) => {
    if (!known) {
      const reference = expected();
      known = probes(columns).map((probe) => ({ probe, value: reference(probe) }));
    }
    if (result!.length !== columns * known[0]!.value.length) return Number.POSITIVE_INFINITY;
    return Math.max(...known.map(({ probe, value }) => relativeError(timesVector(result!, probe), value)));
  };
}

export function matmulCase(m: number, n: number, k: number): Case {
  const operands = heldOperands(() => [noise([m, k], 1), noise([k, n], 2, 1 / Math.sqrt(k))]);
  return {
    name: m === n && n === k ? `matmul ${m}^3` : `matmul ${m}x${k} by ${k}x${n}`,
    computation: { kind: 'matmul', m, n, k },
    flops: 2 * m * n * k,
    bytes: bytesOfAll([m, k], [k, n], [m, n]),
    operands,
    tolerance: 1e-4,
    errorOf: checkedByProbes(n, () => {
      const [a, b] = operands();
      return (probe) => timesVector(a!.data, timesVector(b!.data, probe));
    }),
  };
}

export type ConvKind = 'conv2d' | 'conv2d-input-grad' | 'conv2d-filter-grad';

/** Extents of a convolution's output. */
export function outputSize({ height, width, kernel, stride, dilation, padding }: ConvShape): [number, number] {
  const extent = (size: number) => Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  return [extent(height), extent(width)];
}

/** Shapes of images, filter and outputs. */
export function convShapes(shape: ConvShape): Record<'images' | 'filter' | 'outputs', Shape> {
  const { batch, height, width, inputs, outputs, kernel } = shape;
  return {
    images: [batch, height, width, inputs],
    filter: [kernel, kernel, inputs, outputs],
    outputs: [batch, ...outputSize(shape), outputs],
  };
}

const TITLES = { conv2d: 'conv', 'conv2d-input-grad': 'input gradient of', 'conv2d-filter-grad': 'filter gradient of' };

/** `conv 3x3 d2 256->256, 42x42`; the size is that of the input. */
function titleOf(kind: ConvKind, shape: ConvShape): string {
  const { batch, height, width, inputs, outputs, kernel, stride, dilation } = shape;
  const options = `${stride > 1 ? ` s${stride}` : ''}${dilation > 1 ? ` d${dilation}` : ''}`;
  const size = `${batch > 1 ? `${batch}x` : ''}${height}x${width}`;
  return `${TITLES[kind]} ${kernel}x${kernel}${options} ${inputs}->${outputs}, ${size}`;
}

/** One convolution of an image, or one of its gradients. Multiply-adds with padding count, as everywhere. */
export function convCase(kind: ConvKind, shape: ConvShape): Case {
  const { images, filter, outputs } = convShapes(shape);
  const taps = shape.kernel ** 2;
  const pixels = outputs[0]! * outputs[1]! * outputs[2]!;
  const deviation = 1 / Math.sqrt(taps * (kind === 'conv2d-input-grad' ? shape.outputs : shape.inputs));
  const make = {
    conv2d: () => [noise(images, 1), noise(filter, 2, deviation)],
    'conv2d-input-grad': () => [noise(outputs, 3), noise(filter, 2, deviation)],
    'conv2d-filter-grad': () => [noise(images, 1), noise(outputs, 3, 1 / Math.sqrt(pixels))],
  }[kind];
  const operands = heldOperands(make);
  return {
    name: titleOf(kind, shape),
    computation: { kind, ...shape },
    flops: 2 * pixels * taps * shape.inputs * shape.outputs,
    bytes: bytesOfAll(images, filter, outputs),
    operands,
    tolerance: 1e-4,
    errorOf: checkedByProbes(kind === 'conv2d-input-grad' ? shape.inputs : shape.outputs, () => {
      const [first, second] = operands().map(({ data }) => data) as [Float32Array, Float32Array];
      return (probe) => EXPECTED[kind](shape, first, second, probe);
    }),
  };
}

/** Calls `visit` for every pixel of the output and every tap that lies in the image. */
function forEachTap(shape: ConvShape, visit: (output: number, tap: number, input: number) => void): void {
  const { batch, height, width, kernel, stride, dilation, padding } = shape;
  const [rows, columns] = outputSize(shape);
  for (let image = 0, output = 0; image < batch; image++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++, output++)
        for (let tap = 0; tap < kernel * kernel; tap++) {
          const y = row * stride + Math.floor(tap / kernel) * dilation - padding;
          const x = column * stride + (tap % kernel) * dilation - padding;
          if (y >= 0 && y < height && x >= 0 && x < width) visit(output, tap, (image * height + y) * width + x);
        }
}

function dot(a: ArrayLike<number>, at: number, b: ArrayLike<number>, bt: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[at + i]! * b[bt + i]!;
  return sum;
}

type Convolved = (shape: ConvShape, a: Float32Array, b: Float32Array, probe: Float64Array) => Float64Array;

const EXPECTED: Record<ConvKind, Convolved> = {
  /** A convolution to one channel. */
  conv2d(shape, images, filter, probe) {
    const { inputs } = shape;
    const reduced = timesVector(filter, probe); // [taps, inputs]
    const [rows, columns] = outputSize(shape);
    const result = new Float64Array(shape.batch * rows * columns);
    forEachTap(shape, (output, tap, input) => {
      result[output]! += dot(images, input * inputs, reduced, tap * inputs, inputs);
    });
    return result;
  },
  /** The gradient of an image of one channel. */
  'conv2d-input-grad'(shape, gradient, filter, probe) {
    const { batch, height, width, inputs, outputs, kernel } = shape;
    const reduced = new Float64Array(kernel ** 2 * outputs); // [taps, outputs]
    for (let at = 0; at < filter.length; at++)
      reduced[Math.floor(at / (inputs * outputs)) * outputs + (at % outputs)]! +=
        filter[at]! * probe[Math.floor(at / outputs) % inputs]!;
    const result = new Float64Array(batch * height * width);
    forEachTap(shape, (output, tap, input) => {
      result[input]! += dot(gradient, output * outputs, reduced, tap * outputs, outputs);
    });
    return result;
  },
  /** The gradient of a filter to one channel. */
  'conv2d-filter-grad'(shape, images, gradient, probe) {
    const { inputs, kernel } = shape;
    const reduced = timesVector(gradient, probe); // [pixels]
    const result = new Float64Array(kernel ** 2 * inputs); // [taps, inputs]
    forEachTap(shape, (output, tap, input) => {
      const factor = reduced[output]!;
      for (let c = 0; c < inputs; c++) result[tap * inputs + c]! += images[input * inputs + c]! * factor;
    });
    return result;
  },
};
