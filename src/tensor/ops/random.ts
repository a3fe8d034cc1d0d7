/**
 * Counter-based random numbers (Philox, see `../random.ts`): a function of seed, step, stream and position alone, so a run can be repeated,
 * resumed and split without any state of a generator.
 */
import source from '../../shaders/random.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { type Command, input, linearGrid, type Op, OpError, output } from '../op.js';
import { philox } from '../random.js';
import { ndarray, type Shape, showShape, sizeOf } from '../types.js';

export interface Random {
  readonly shape: Shape;
  /** Tells apart the uses of random numbers in one step; any u32. */
  readonly stream: number;
  readonly distribution: 'uniform' | 'normal';
}

/** The four numbers of a block: words to [0, 1) by their upper 24 bits, or pairs of them to normal ones. */
function numbersOf(words: Uint32Array, distribution: Random['distribution']): number[] {
  const [a, b, c, d] = Array.from(words, (word) => (word >>> 8) / 2 ** 24) as [number, number, number, number];
  if (distribution === 'uniform') return [a, b, c, d];
  return [
    [a, b],
    [c, d],
  ].flatMap(([u, v]) => {
    const radius = Math.sqrt(-2 * Math.log(u! + 2 ** -24));
    return [radius * Math.cos(2 * Math.PI * v!), radius * Math.sin(2 * Math.PI * v!)];
  });
}

const scalars = (seed: number, step: number) => [ndarray([], [seed], 'u32'), ndarray([], [step], 'u32')];

export const randomOp: Op<Random> = {
  name: 'random',
  infer(inputs, { shape, stream }) {
    if (inputs.some(({ dtype, shape }) => dtype !== 'u32' || shape.length !== 0))
      throw new OpError(
        'random',
        `seed and step must be u32 scalars, got ${inputs.map((t) => t.dtype + showShape(t.shape)).join(' and ')}`,
      );
    if (stream !== stream >>> 0) throw new OpError('random', `stream must be a u32, got ${stream}`);
    return [{ shape, dtype: 'f32' }];
  },
  reference([seed, step], { shape, stream, distribution }) {
    const y = ndarray(shape);
    const block = new Uint32Array(4);
    for (let at = 0; at < y.data.length; at += 4) {
      philox([at / 4, step!.data[0]!, stream, 0], [seed!.data[0]!, 0], block);
      y.data.set(numbersOf(block, distribution).slice(0, y.data.length - at), at);
    }
    return [y];
  },
  samples: () => [
    { inputs: scalars(0, 0), params: { shape: [7, 5], stream: 0, distribution: 'uniform' }, tolerance: 0 },
    {
      inputs: scalars(0xdeadbeef, 30000),
      params: { shape: [1030], stream: 0xffffffff, distribution: 'uniform' },
      tolerance: 0,
    },
    { inputs: scalars(1, 2), params: { shape: [], stream: 3, distribution: 'uniform' }, tolerance: 0 },
    { inputs: scalars(7, 1), params: { shape: [2, 2500], stream: 1, distribution: 'normal' }, tolerance: 1e-6 },
    {
      inputs: scalars(0xffffffff, 0xffffffff),
      params: { shape: [9], stream: 5, distribution: 'normal' },
      tolerance: 1e-6,
    },
  ],
  kernels: [
    {
      name: 'philox',
      commands({ params: { shape, stream, distribution } }): Command[] {
        const blocks = Math.ceil(sizeOf(shape) / 4);
        return [
          {
            source,
            constants: { NORMAL: distribution === 'normal' },
            uniforms: { blocks, stream },
            buffers: [input(0), input(1), output(0)],
            workgroups: linearGrid(blocks, 64),
          },
        ];
      },
    },
  ],
  flops: (_, [y]) => 60 * sizeOf(y!.shape),
};

export interface RandomOptions {
  /** Tells apart the uses of random numbers in one step; any u32. */
  readonly stream: number;
}

/**
 * Uniform numbers in [0, 1), multiples of 2^-24, from u32 scalars `seed` and `step`; exactly the same on every
 * adapter. Element `i` depends on seed, step, stream and `i` only.
 */
export function randomUniform(shape: Shape, { stream }: RandomOptions, seed: TensorLike, step: TensorLike): Tensor {
  return apply1(randomOp, [seed, step], { shape, stream, distribution: 'uniform' });
}

/** Normal numbers of mean 0 and variance 1, as `randomUniform`; adapters may differ in the last bits. */
export function randomNormal(shape: Shape, { stream }: RandomOptions, seed: TensorLike, step: TensorLike): Tensor {
  return apply1(randomOp, [seed, step], { shape, stream, distribution: 'normal' });
}

export const randomOps: Op[] = [randomOp];
