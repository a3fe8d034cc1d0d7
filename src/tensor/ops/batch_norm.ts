/**
 * Batch normalisation (Ioffe and Szegedy, 2015), in pieces that fuse: `moments` reduces, `normalize` is elementwise
 * and melts into the ReLU and the residual sum behind it, and one reduction serves both parameter gradients. Training
 * with batch statistics and with running statistics differ only in where mean and variance come from.
 */
import momentsLanes from '../../shaders/moments_lanes.wgsl';
import mergeMoments from '../../shaders/moments_merge_lanes.wgsl';
import normSumsLanes from '../../shaders/norm_sums_lanes.wgsl';
import mergeNormSums from '../../shaders/norm_sums_merge_lanes.wgsl';
import { apply, apply1, type Tensor, type TensorLike } from '../graph.js';
import { input, type Kernel, linearGrid, type Op, OpError, output, type ShaderSource, scratch } from '../op.js';
import { type DType, isFloat, ndarray, type Shape, sameShape, showShape, sizeOf, type TensorType } from '../types.js';
import { add, addScalar, div, mul, mulScalar, neg, rsqrt, sub } from './elementwise.js';
import { type Chunks, chunkUniforms, mergeChunks, partialBytes } from './product_moments.js';
import { broadcastTo } from './shape.js';
import { reads1, reads4 } from './stored.js';

type None = Record<string, never>;
const NONE: None = {};

const areFloats32 = (types: readonly TensorType[]) => types.every(({ dtype }) => dtype === 'f32');

/** Up to so many rows are added up by one invocation a channel. */
const FEW_ROWS = 64;

function rowsAndChannels(shape: Shape): { rows: number; channels: number } {
  const channels = shape[shape.length - 1]!;
  return { rows: sizeOf(shape) / channels, channels };
}

/** Parameters for the first inputs, which may be halves and bear these names in the shaders. */
function storedParameters(
  inputs: readonly TensorType[],
  names: readonly string[],
  parametersOf: (dtype: DType, name: string, lower: string) => Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const all = names.map((name, i) => parametersOf(inputs[i]!.dtype, name, name.toLowerCase()));
  return Object.assign({}, ...all);
}

/** A pass over chunks of rows, and one that merges them. */
interface TwoPasses {
  readonly name: string;
  readonly cpu: boolean;
  readonly first: ShaderSource;
  readonly merge: ShaderSource;
  /** Rows of a chunk. */
  readonly chunk: number;
  /** The first pass takes so many channels of a chunk at once, and a workgroup does that so often. */
  readonly channels: number;
  readonly times: number;
  /** What the number of channels must divide by. */
  readonly multiple: number;
}

type Reduction = 'moments' | 'normSums';

/** An invocation goes down a chunk, sixteen channels in few and long reads, or four. */
function onCpu(op: Reduction): TwoPasses[] {
  const load = async () => (await import('./cpu_shaders.js'))[op];
  const common = { cpu: true, merge: async () => (await load()).merge, chunk: 64 };
  return [
    { ...common, name: 'wide', first: async () => (await load()).wide, channels: 16, times: 4, multiple: 16 },
    { ...common, name: 'chunked', first: async () => (await load()).narrow, channels: 4, times: 64, multiple: 4 },
  ];
}

/** A workgroup goes down a chunk, so that there are many invocations and little is left to merge. */
const onGpu = (first: ShaderSource, merge: ShaderSource): TwoPasses => ({
  ...{ name: 'lanes', cpu: false, first, merge, chunk: 256, channels: 32, times: 1, multiple: 4 },
});

function kernelOf(passes: TwoPasses, operands: readonly string[]): Kernel<None> {
  const chunksOf = ([x]: readonly TensorType[]): Chunks => {
    const { rows, channels } = rowsAndChannels(x!.shape);
    return { rows, columns: channels, chunk: passes.chunk };
  };
  return {
    name: passes.name,
    when: ({ inputs, adapter }) => {
      const { rows, channels } = rowsAndChannels(inputs[0]!.shape);
      return adapter.cpu === passes.cpu && rows > FEW_ROWS && channels % passes.multiple === 0;
    },
    scratch: ({ inputs }) => [partialBytes(chunksOf(inputs))],
    commands: ({ inputs }) => {
      const of = chunksOf(inputs);
      const uniforms = chunkUniforms(of);
      return [
        {
          source: passes.first,
          constants: storedParameters(inputs, operands, (dtype, name, lower) =>
            reads4(dtype, `Stored${name}`, `widen_${lower}`),
          ),
          uniforms,
          buffers: [...inputs.map((_, i) => input(i)), scratch(0)],
          workgroups: linearGrid(uniforms.chunks * Math.ceil(of.columns / passes.channels), passes.times),
        },
        mergeChunks(passes.merge, of, [output(0), output(1)]),
      ];
    },
  };
}

function oneThreadAChannel(op: Reduction, operands: readonly string[]): Kernel<None> {
  return {
    name: 'naive',
    commands: ({ inputs }) => {
      const { rows, channels } = rowsAndChannels(inputs[0]!.shape);
      return [
        {
          source: async () => (await import('./naive_shaders.js'))[op],
          constants: storedParameters(inputs, operands, (dtype, name, lower) =>
            reads1(dtype, `Stored${name}`, `load_${lower}`, name === 'G' ? 'grad' : 'x'),
          ),
          uniforms: { rows, channels },
          buffers: [...inputs.map((_, i) => input(i)), output(0), output(1)],
          workgroups: linearGrid(channels, 64),
        },
      ];
    },
  };
}

const wave = (shape: Shape, seed: number, offset = 0) =>
  ndarray(
    shape,
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 12.9898 + seed) * 1.5 + offset),
  );

/** x [..., C] to mean [C] and biased variance [C] over all other axes. */
export const momentsOp: Op<None> = {
  name: 'moments',
  infer([x]) {
    if (x!.shape.length < 2 || !isFloat(x!.dtype))
      throw new OpError('moments', `expects floats [..., channels], got ${x!.dtype}${showShape(x!.shape)}`);
    const { channels } = rowsAndChannels(x!.shape);
    return [
      { shape: [channels], dtype: 'f32' },
      { shape: [channels], dtype: 'f32' },
    ];
  },
  grad({ inputs, outputs, grads }) {
    const [x] = inputs;
    const { rows } = rowsAndChannels(x!.shape);
    const [gradMean, gradVariance] = grads;
    const fromMean = gradMean ? broadcastTo(mulScalar(gradMean, 1 / rows), x!.shape) : null;
    const fromVariance = gradVariance ? mul(sub(x!, outputs[0]!), mulScalar(gradVariance, 2 / rows)) : null;
    return [fromMean && fromVariance ? add(fromMean, fromVariance) : (fromMean ?? fromVariance)];
  },
  reference([x]) {
    const { rows, channels } = rowsAndChannels(x!.shape);
    const mean = ndarray([channels]);
    const variance = ndarray([channels]);
    for (let i = 0; i < x!.data.length; i++) mean.data[i % channels]! += x!.data[i]! / rows;
    for (let i = 0; i < x!.data.length; i++)
      variance.data[i % channels]! += (x!.data[i]! - mean.data[i % channels]!) ** 2 / rows;
    return [mean, variance];
  },
  samples: () => [
    { inputs: [wave([2, 3, 5, 6], 1)], params: NONE },
    { inputs: [wave([150, 8], 2)], params: NONE },
    { inputs: [wave([3, 50, 32], 4, 1)], params: NONE },
    { name: 'several large chunks', inputs: [wave([700, 36], 6, 1)], params: NONE, checkGrad: false },
    { name: 'mean far from zero, in wide rows', inputs: [wave([150, 16], 5, 100)], params: NONE, tolerance: 2e-5 },
    { name: 'mean far from zero', inputs: [wave([3, 7, 7, 4], 3, 100)], params: NONE, tolerance: 2e-5 },
  ],
  kernels: [
    ...[...onCpu('moments'), onGpu(momentsLanes, mergeMoments)].map((passes) => kernelOf(passes, ['X'])),
    oneThreadAChannel('moments', ['X']),
  ],
  halves: () => true,
  flops: ([x]) => 4 * sizeOf(x!.shape),
};

/** Mean and biased variance of every channel of x [..., C], f32. */
export function moments(x: TensorLike): { mean: Tensor; variance: Tensor } {
  const [mean, variance] = apply(momentsOp, [x], NONE);
  return { mean: mean!, variance: variance! };
}

/** (x - mean) * inverseDeviation * gamma + beta, stored as x is; x [..., C], the others [C]. Elementwise, so it fuses. */
export const normalizeOp: Op<None> = {
  name: 'normalize',
  infer([x, ...vectors]) {
    const { channels } = rowsAndChannels(x!.shape);
    for (const vector of vectors)
      if (!isFloat(x!.dtype) || vector.dtype !== 'f32' || !sameShape(vector.shape, [channels]))
        throw new OpError(
          'normalize',
          `x ${x!.dtype}${showShape(x!.shape)} must be floats, and needs vectors f32[${channels}], got ${vector.dtype}${showShape(vector.shape)}`,
        );
    return [{ shape: x!.shape, dtype: x!.dtype }];
  },
  halves: () => true,
  grad({ inputs, grads }) {
    const [x, mean, inverseDeviation, gamma] = inputs;
    const [grad] = grads;
    const [gradBeta, gradGamma] = apply(normSumsOp, [grad!, x!, mean!, inverseDeviation!], NONE);
    const scale = mul(inverseDeviation!, gamma!);
    return [
      mul(grad!, scale),
      neg(mul(gradBeta!, scale)),
      div(mul(gradGamma!, gamma!), inverseDeviation!),
      gradGamma!,
      gradBeta!,
    ];
  },
  reference(inputs) {
    const [x, mean, inverseDeviation, gamma, beta] = inputs.map(({ data }) => data);
    const channels = mean!.length;
    const data = x!.map((value, i) => {
      const c = i % channels;
      return (value - mean![c]!) * inverseDeviation![c]! * gamma![c]! + beta![c]!;
    });
    return [{ shape: inputs[0]!.shape, dtype: inputs[0]!.dtype, data }];
  },
  samples: () => [
    { inputs: [wave([2, 5, 4], 1), wave([4], 2), wave([4], 3, 3), wave([4], 4), wave([4], 5)], params: NONE },
    { inputs: [wave([3, 7], 1), wave([7], 2), wave([7], 3, 3), wave([7], 4), wave([7], 5)], params: NONE },
    {
      name: 'several rows an invocation',
      inputs: [wave([4, 32, 144], 1), wave([144], 2), wave([144], 3, 3), wave([144], 4), wave([144], 5)],
      params: NONE,
      checkGrad: false,
    },
  ],
  scalar: () => '(a - b) * (c * d) + e',
  flops: ([x]) => 3 * sizeOf(x!.shape),
};

/** Sums over rows of grad, and of grad * (x - mean) * inverseDeviation: the gradients of beta and gamma, [C] each. */
export const normSumsOp: Op<None> = {
  name: 'normSums',
  infer: ([grad]) => {
    const { channels } = rowsAndChannels(grad!.shape);
    return [
      { shape: [channels], dtype: 'f32' },
      { shape: [channels], dtype: 'f32' },
    ];
  },
  reference([grad, x, mean, inverseDeviation]) {
    const { channels } = rowsAndChannels(grad!.shape);
    const sums = ndarray([channels]);
    const products = ndarray([channels]);
    for (let i = 0; i < grad!.data.length; i++) {
      const c = i % channels;
      sums.data[c]! += grad!.data[i]!;
      products.data[c]! += grad!.data[i]! * (x!.data[i]! - mean!.data[c]!) * inverseDeviation!.data[c]!;
    }
    return [sums, products];
  },
  samples: () =>
    [
      [2, 3, 5, 6],
      [150, 8],
      [3, 50, 16],
      [700, 36],
    ].map((shape) => {
      const channels = shape[shape.length - 1]!;
      return { inputs: [wave(shape, 1, 1), wave(shape, 2), wave([channels], 3), wave([channels], 4, 3)], params: NONE };
    }),
  kernels: [
    ...[...onCpu('normSums'), onGpu(normSumsLanes, mergeNormSums)].map((passes) => kernelOf(passes, ['G', 'X'])),
    oneThreadAChannel('normSums', ['G', 'X']),
  ],
  halves: ([, , mean, inverseDeviation]) => areFloats32([mean!, inverseDeviation!]),
  flops: ([x]) => 5 * sizeOf(x!.shape),
};

export interface Normalization {
  readonly mean: TensorLike;
  readonly variance: TensorLike;
  readonly gamma: TensorLike;
  readonly beta: TensorLike;
  readonly epsilon: number;
}

/**
 * gamma * (x - mean) / sqrt(variance + epsilon) + beta, for x [..., C] and vectors [C]. With `moments(x)` the gradient
 * flows through the batch's statistics; with running statistics (residents) they are constants.
 */
export function batchNorm(x: TensorLike, { mean, variance, gamma, beta, epsilon }: Normalization): Tensor {
  const inverseDeviation = rsqrt(addScalar(variance, epsilon));
  return apply1(normalizeOp, [x, mean, inverseDeviation, gamma, beta], NONE);
}

export const batchNormOps: Op[] = [momentsOp, normalizeOp, normSumsOp];
