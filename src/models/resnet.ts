/**
 * ResNet v1 (He et al., 2016) as TF-Slim and the SegSort release have it: the stride of a block sits in its last unit,
 * and past the output stride a stride becomes dilation of what follows. Parameters bear TF-Slim's names.
 */
import { scope as named } from '../tensor/graph.js';
import { add, relu } from '../tensor/ops/elementwise.js';
import { maxPool } from '../tensor/ops/pool.js';
import { type Built, convUnit, type Layer, sequence } from './layers.js';
import type { Scope } from './parameter.js';

export type Unit = 'bottleneck' | 'basic';

export interface BlockSpec {
  readonly units: number;
  /** Channels of the unit's inner convolutions; a bottleneck gives four times as many. */
  readonly filters: number;
  /** Stride of the block's last unit. */
  readonly stride: number;
}

export interface ResNetSpec {
  /** Root of the parameter names, such as `resnet_v1_101`. */
  readonly name: string;
  readonly unit: Unit;
  readonly stem: { readonly filters: number; readonly kernel: number; readonly stride: number; readonly pool: boolean };
  readonly blocks: readonly BlockSpec[];
  /** Input pixels per feature: strides beyond this turn into dilation. */
  readonly outputStride: number;
  /** Decay of the running statistics; a run of a few hundred steps needs less than the reference's 0.9997. */
  readonly decay?: number;
}

/** The features of a ResNet, and those of its stem for heads that refine at a higher resolution. */
export interface ResNet {
  readonly stem: Built;
  /** From the stem's output to the features. */
  readonly body: Built;
}

const STEM = { filters: 64, kernel: 7, stride: 2, pool: true } as const;
const FILTERS = [64, 128, 256, 512] as const;
const STRIDES = [2, 2, 2, 1] as const;

function standard(name: string, unit: Unit, units: readonly number[], outputStride: number): ResNetSpec {
  const blocks = units.map((count, i) => ({ units: count, filters: FILTERS[i]!, stride: STRIDES[i]! }));
  return { name, unit, stem: STEM, blocks, outputStride };
}

/** The standard networks, at output stride 8 by default. */
export const resnet18 = (outputStride = 8) => standard('resnet_v1_18', 'basic', [2, 2, 2, 2], outputStride);
export const resnet50 = (outputStride = 8) => standard('resnet_v1_50', 'bottleneck', [3, 4, 6, 3], outputStride);
export const resnet101 = (outputStride = 8) => standard('resnet_v1_101', 'bottleneck', [3, 4, 23, 3], outputStride);

/**
 * Builds the features of a ResNet: [N, H, W, 3] to [N, ceil(H/s), ceil(W/s), channels] with s the output stride. `scope`
 * is the network's root, whose path is the spec's name.
 */
export function buildResNet(scope: Scope, spec: ResNetSpec): ResNet {
  const { stem, decay } = spec;
  const { filters, kernel } = stem;
  const first = convUnit(scope.child('conv1'), 3, { channels: filters, kernel, stride: stem.stride, decay });
  const parts: Built[] = [];
  if (stem.pool) parts.push(stemPool(scope, stem.filters));
  let channels = stem.filters;
  let stride = stem.stride * (stem.pool ? 2 : 1);
  if (stride > spec.outputStride)
    throw new Error(
      `${spec.name}: the stem alone has stride ${stride}, more than the output stride ${spec.outputStride}`,
    );
  let dilation = 1;
  for (const [b, block] of spec.blocks.entries()) {
    for (let u = 0; u < block.units; u++) {
      const wanted = u === block.units - 1 ? block.stride : 1;
      // TF-Slim's `stack_blocks_dense`: the unit that would stride keeps its own rate, those behind it are dilated.
      const dilate = stride * wanted > spec.outputStride;
      const unitScope = scope.child(`block${b + 1}/unit_${u + 1}/${spec.unit}_v1`);
      const part = residualUnit(unitScope, channels, spec.unit, block.filters, dilate ? 1 : wanted, dilation, decay);
      parts.push(part);
      channels = part.channels;
      if (dilate) dilation *= wanted;
      else stride *= wanted;
    }
  }
  if (stride !== spec.outputStride)
    throw new Error(
      `${spec.name}: its strides give ${stride} in all, less than the output stride ${spec.outputStride}`,
    );
  return { stem: first, body: sequence(parts) };
}

function stemPool(scope: Scope, channels: number): Built {
  const layer: Layer = (x) =>
    named(`${scope.path}/pool1`, () => maxPool(x, { size: 3, stride: 2, padding: [1, 1, 1, 1] }));
  return { layer, channels };
}

/**
 * A bottleneck (1x1, 3x3, 1x1) or basic (3x3, 3x3) unit. The stride is the bottleneck's 3x3 convolution's and the basic
 * unit's first one's.
 */
export function residualUnit(
  scope: Scope,
  inputChannels: number,
  unit: Unit,
  filters: number,
  stride: number,
  dilation: number,
  decay?: number,
): Built {
  const channels = unit === 'bottleneck' ? 4 * filters : filters;
  const shortcut = shortcutOf(scope, inputChannels, channels, stride, decay);
  const inner =
    unit === 'bottleneck'
      ? [
          { channels: filters, kernel: 1 },
          { channels: filters, kernel: 3, stride, dilation },
          { channels, kernel: 1, relu: false },
        ]
      : [
          { channels: filters, kernel: 3, stride, dilation },
          { channels, kernel: 3, dilation, relu: false },
        ];
  const convs: Built[] = [];
  for (const [i, options] of inner.entries())
    convs.push(convUnit(scope.child(`conv${i + 1}`), convs[i - 1]?.channels ?? inputChannels, { ...options, decay }));
  const body = sequence(convs);
  const layer: Layer = (x, pass) => {
    const skipped = shortcut(x, pass);
    const y = body.layer(x, pass);
    return named(scope.path, () => relu(add(y, skipped)));
  };
  return { layer, channels };
}

/** Identity where shapes agree, every stride-th pixel where only the size differs, else a 1x1 convolution. */
function shortcutOf(scope: Scope, inputChannels: number, channels: number, stride: number, decay?: number): Layer {
  if (inputChannels !== channels)
    return convUnit(scope.child('shortcut'), inputChannels, { channels, kernel: 1, stride, relu: false, decay }).layer;
  if (stride === 1) return (x) => x;
  return (x) => named(`${scope.path}/shortcut`, () => maxPool(x, { size: 1, stride, padding: [0, 0, 0, 0] }));
}
