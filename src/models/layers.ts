/** Layers: functions from tensor to tensor that declared their parameters when they were made. */
import { scope as named, type Tensor } from '../tensor/graph.js';
import { batchNorm, moments } from '../tensor/ops/batch_norm.js';
import { conv2d } from '../tensor/ops/conv.js';
import { add, relu } from '../tensor/ops/elementwise.js';
import { heUniform, type Parameter, type Scope } from './parameter.js';

/** How a network is run, and what the run leaves behind. */
export class Pass {
  /** True: batch norm normalises by the batch's own statistics, and records them. False: by the running statistics. */
  readonly batchStatistics: boolean;
  /** Batch statistics seen in this pass, for updating the running ones. */
  readonly observed = new Map<Parameter, Tensor>();

  constructor(options: { readonly batchStatistics: boolean }) {
    this.batchStatistics = options.batchStatistics;
  }
}

export type Layer = (x: Tensor, pass: Pass) => Tensor;

/** A layer and what the next one needs to know of it. */
export interface Built {
  readonly layer: Layer;
  readonly channels: number;
}

export interface ConvUnitOptions {
  readonly channels: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly dilation?: number;
  /** Default true: batch norm behind the convolution, and no bias. */
  readonly norm?: boolean;
  /** Default true. */
  readonly relu?: boolean;
}

/**
 * Convolution, then batch norm or a bias, then ReLU. Output size is ceil(input / stride): padding is (kernel - 1) *
 * dilation in all, the smaller half first, as TF-Slim pads strided convolutions (`conv2d_same`).
 */
export function convUnit(scope: Scope, inputChannels: number, options: ConvUnitOptions): Built {
  const { channels, kernel, stride = 1, dilation = 1, norm = true } = options;
  const fanIn = kernel * kernel * inputChannels;
  const weights = scope.declare('weights', [kernel, kernel, inputChannels, channels], 'weights', heUniform(fanIn));
  const biases = norm ? null : scope.declare('biases', [channels], 'biases', { constant: 0 });
  const normalize = norm ? batchNormUnit(scope.child('BatchNorm'), weights, channels) : null;
  const pad = (kernel - 1) * dilation;
  const begin = Math.floor(pad / 2);
  const end = pad - begin;
  const layer: Layer = (x, pass) =>
    named(scope.path, () => {
      let y = conv2d(x, weights, { stride, dilation, padding: [begin, end, begin, end] });
      if (normalize) y = normalize(y, pass);
      if (biases) y = add(y, biases);
      return (options.relu ?? true) ? relu(y) : y;
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
