/** Cases are NHWC and HWIO; some libraries have NCHW and OIHW. Operands are permuted before, results after, never while it is timed. */
import type { Computation } from '../harness/types.js';

export type Layout = 'images' | 'filter' | 'plain';

/** Layouts of operands and results, in the order of the computation. */
export function layoutsOf(computation: Computation): { readonly operands: Layout[]; readonly results: Layout[] } {
  switch (computation.kind) {
    case 'conv2d':
    case 'conv2d-input-grad':
      return { operands: ['images', 'filter'], results: ['images'] };
    case 'conv2d-filter-grad':
      return { operands: ['images', 'images'], results: ['filter'] };
    case 'max-pool':
    case 'resize-bilinear':
      return { operands: ['images'], results: ['images'] };
    case 'bottlenecks': {
      const filters = new Array<Layout>(3 * computation.blocks).fill('filter');
      return { operands: ['images', ...filters], results: ['plain', 'images', ...filters] };
    }
    case 'matmul':
      return { operands: ['plain', 'plain'], results: ['plain'] };
    case 'batch-norm-train':
      return { operands: ['plain', 'plain', 'plain', 'plain'], results: ['plain', 'plain', 'plain', 'plain'] };
    case 'softmax':
    case 'argmax':
      return { operands: ['plain'], results: ['plain'] };
  }
}

type Axes = readonly [number, number, number, number];
const CHANNELS_FIRST = { images: [0, 3, 1, 2], filter: [3, 2, 0, 1] } as const satisfies Record<string, Axes>;
const CHANNELS_LAST = { images: [0, 2, 3, 1], filter: [2, 3, 1, 0] } as const satisfies Record<string, Axes>;

interface Values {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** NHWC to NCHW, HWIO to OIHW. */
export const channelsFirst = (values: Values, layout: Layout): Values =>
  layout === 'plain' ? values : permuted(values, CHANNELS_FIRST[layout]);

/** NCHW to NHWC, OIHW to HWIO. */
export const channelsLast = (values: Values, layout: Layout): Values =>
  layout === 'plain' ? values : permuted(values, CHANNELS_LAST[layout]);

/** Axis `i` of the result is axis `axes[i]` of the values. */
function permuted({ shape, data }: Values, axes: Axes): Values {
  const strides = [shape[1]! * shape[2]! * shape[3]!, shape[2]! * shape[3]!, shape[3]!, 1];
  const extents = axes.map((axis) => shape[axis]!);
  const [a, b, c, d] = axes.map((axis) => strides[axis]!) as [number, number, number, number];
  const out = new Float32Array(data.length);
  let to = 0;
  for (let i = 0; i < extents[0]!; i++)
    for (let j = 0; j < extents[1]!; j++)
      for (let k = 0; k < extents[2]!; k++)
        for (let l = 0; l < extents[3]!; l++) out[to++] = data[i * a + j * b + k * c + l * d]!;
  return { shape: extents, data: out };
}
