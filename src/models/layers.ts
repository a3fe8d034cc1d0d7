/** Layers: functions from tensor to tensor that declared their parameters when they were made. */
import { scope as named, type Tensor, type TensorLike } from '../tensor/graph.js';
import { batchNorm, moments } from '../tensor/ops/batch_norm.js';
import { conv2d } from '../tensor/ops/conv.js';
import { depthwiseConv2d } from '../tensor/ops/depthwise.js';
import { add, relu, relu6 } from '../tensor/ops/elementwise.js';
import { heUniform, type Parameter, type Scope } from './parameter.js';

/** Weights and biases of a convolution that has its batch norm folded into it. */
export interface FoldedConvolution {
  readonly weights: TensorLike;
  readonly biases: TensorLike;
}

/** How a network is run, and what the run leaves behind. */
export class Pass {
  /** True: batch norm normalises by the batch's own statistics, and records them. False: by the running statistics. */
  readonly batchStatistics: boolean;
  /** Batch statistics seen in this pass, for updating the running ones. */
  readonly observed = new Map<Parameter, Tensor>();
  /** What takes the place of these weights and the batch norm behind them (see `foldBatchNorm`). */
  readonly folded: ReadonlyMap<Parameter, FoldedConvolution>;
  /** Copies of weights as f16: with them, the pass computes in mixed precision (see `halveWeights`). */
  readonly halves: ReadonlyMap<Parameter, Tensor>;

  constructor(options: {
    readonly batchStatistics: boolean;
    readonly folded?: ReadonlyMap<Parameter, FoldedConvolution>;
    readonly halves?: ReadonlyMap<Parameter, Tensor>;
  }) {
    this.batchStatistics = options.batchStatistics;
    this.folded = options.folded ?? new Map();
    this.halves = options.halves ?? new Map();
  }
}

export type Layer = (x: Tensor, pass: Pass) => Tensor;

/** A layer and what the next one needs to know of it. */
export interface Built {
  readonly layer: Layer;
  readonly channels: number;
}

const ACTIVATIONS = { relu, relu6, none: (x: Tensor) => x } as const;

interface UnitOptions {
  readonly kernel: number;
  readonly stride?: number;
  readonly dilation?: number;
  /** Default true: batch norm behind the convolution, and no bias. */
  readonly norm?: boolean;
  /** Default `relu`. */
  readonly activation?: keyof typeof ACTIVATIONS;
}

export interface ConvUnitOptions extends UnitOptions {
  readonly channels: number;
}

/** Convolution, then batch norm or a bias, then the activation. Output size is ceil(input / stride). */
export function convUnit(scope: Scope, inputChannels: number, options: ConvUnitOptions): Built {
  const { channels, kernel } = options;
  const fanIn = kernel * kernel * inputChannels;
  const weights = scope.declare('weights', [kernel, kernel, inputChannels, channels], 'weights', heUniform(fanIn));
  return unit(scope, weights, channels, conv2d, options);
}

/** Like `convUnit` with a depthwise convolution: one filter a channel. */
export function depthwiseUnit(scope: Scope, channels: number, options: UnitOptions): Built {
  const { kernel } = options;
  const fanIn = kernel * kernel;
  const weights = scope.declare('depthwise_weights', [kernel, kernel, channels, 1], 'weights', heUniform(fanIn));
  return unit(scope, weights, channels, depthwiseConv2d, options);
}

function unit(
  scope: Scope,
  weights: Parameter,
  channels: number,
  convolve: typeof conv2d,
  { kernel, stride = 1, dilation = 1, norm = true, activation = 'relu' }: UnitOptions,
): Built {
  const biases = norm ? null : scope.declare('biases', [channels], 'biases', { constant: 0 });
  const normalize = norm ? batchNormUnit(scope.child('BatchNorm'), weights, channels) : null;
  // As TF-Slim pads strided convolutions (`conv2d_same`) and PyTorch those with odd kernels: both sides alike.
  const pad = (kernel - 1) * dilation;
  const begin = Math.floor(pad / 2);
  const end = pad - begin;
  // What nothing normalises or activates is for the loss to read: it keeps its digits in mixed precision too.
  const dtype = norm || activation !== 'none' ? {} : ({ dtype: 'f32' } as const);
  const geometry = { stride, dilation, padding: [begin, end, begin, end], ...dtype } as const;
  const layer: Layer = (x, pass) =>
    named(scope.path, () => {
      const folded = pass.folded.get(weights);
      let y = convolve(x, folded?.weights ?? pass.halves.get(weights) ?? weights, geometry);
      if (folded) y = add(y, folded.biases);
      else if (normalize) y = normalize(y, pass);
      if (biases) y = add(y, biases);
      return ACTIVATIONS[activation](y);
    });
  return { layer, channels };
}

/** Batch norm of what a convolution with `weights` gives. */
function batchNormUnit(scope: Scope, weights: Parameter, channels: number): Layer {
  const { epsilon } = scope.batchNorm;
  const gamma = scope.declare('gamma', [channels], 'gamma', { constant: 1 });
  const beta = scope.declare('beta', [channels], 'beta', { constant: 0 });
  const movingMean = scope.declare('moving_mean', [channels], 'statistic', { constant: 0 });
  const movingVariance = scope.declare('moving_variance', [channels], 'statistic', { constant: 1 });
  scope.declared.normalized.push({ weights, gamma, beta, mean: movingMean, variance: movingVariance, epsilon });
  return (x, pass) => {
    if (!pass.batchStatistics)
      return batchNorm(x, { mean: movingMean, variance: movingVariance, gamma, beta, epsilon });
    const { mean, variance } = moments(x);
    if (pass.observed.has(movingMean)) throw new Error(`${scope.path} is used twice in one pass`);
    pass.observed.set(movingMean, mean).set(movingVariance, variance);
    return batchNorm(x, { mean, variance, gamma, beta, epsilon });
  };
}

/** Layers one after the other. */
export function sequence(parts: readonly Built[]): Built {
  const layer: Layer = (x, pass) => parts.reduce((value, part) => part.layer(value, pass), x);
  return { layer, channels: parts[parts.length - 1]!.channels };
}
