/**
 * ResNet v1 (He et al., 2016) at any output stride: where a stride would go beyond it, the unit keeps its own rate and what
 * follows is dilated by the stride instead (Chen et al., 2017, section 3.1; TF-Slim's `stack_blocks_dense` and
 * torchvision's `replace_stride_with_dilation` agree in this). Parameters bear TF-Slim's names.
 */
import { scope as named } from '../tensor/graph.js';
import { add, relu } from '../tensor/ops/elementwise.js';
import { maxPool } from '../tensor/ops/pool.js';
import { type BackboneBuilder, stagedBackbone } from './design.js';
import { type Built, type ConvUnitOptions, convUnit, type Layer, sequence } from './layers.js';
import { type BatchNormSettings, RELEASED_BATCH_NORM, type Scope, TORCHVISION_BATCH_NORM } from './parameter.js';

export type Unit = 'bottleneck' | 'basic';

/**
 * The two families of ResNet weights that are handed around. Their parameters have the same shapes, and they are different
 * networks:
 * - `tf-slim`: a block strides in its last unit, batch norm has epsilon 1e-3 as SegSort trains it; the released SegSort.
 * - `torchvision`: a block strides in its first unit, epsilon 1e-5.
 *
 * In both it is the 3x3 convolution of a bottleneck that strides, or the first convolution of a basic unit.
 */
export type ResNetVariant = 'tf-slim' | 'torchvision';

export interface BlockSpec {
  readonly units: number;
  /** Channels of the unit's inner convolutions; a bottleneck gives four times as many. */
  readonly filters: number;
  /** Stride of the block's last unit (TF-Slim) or first unit (torchvision). */
  readonly stride: number;
}

export interface ResNetSpec {
  /** Root of the parameter names, such as `resnet_v1_101`. */
  readonly name: string;
  readonly variant: ResNetVariant;
  readonly unit: Unit;
  readonly stem: { readonly filters: number; readonly kernel: number; readonly stride: number; readonly pool: boolean };
  readonly blocks: readonly BlockSpec[];
  /** Input pixels per feature: strides beyond this turn into dilation. */
  readonly outputStride: number;
  /** Default: the variant's. A run of a few hundred steps needs a lower decay than the released 0.9997. */
  readonly batchNorm?: Partial<BatchNormSettings>;
}

const STEM = { filters: 64, kernel: 7, stride: 2, pool: true } as const;
const FILTERS = [64, 128, 256, 512] as const;
const VARIANTS = {
  'tf-slim': { strides: [2, 2, 2, 1], batchNorm: RELEASED_BATCH_NORM },
  torchvision: { strides: [1, 2, 2, 2], batchNorm: TORCHVISION_BATCH_NORM },
} as const;

function standard(unit: Unit, units: readonly number[], depth: number) {
  return (outputStride = 8, variant: ResNetVariant = 'tf-slim'): ResNetSpec => {
    const { strides } = VARIANTS[variant];
    const blocks = units.map((count, i) => ({ units: count, filters: FILTERS[i]!, stride: strides[i]! }));
    // Different roots, so that a checkpoint of one variant is not mistaken for one of the other.
    const name = variant === 'tf-slim' ? `resnet_v1_${depth}` : `resnet${depth}`;
    return { name, variant, unit, stem: STEM, blocks, outputStride };
  };
}

/** The standard networks, at output stride 8 and as TF-Slim has them by default. */
export const resnet18 = standard('basic', [2, 2, 2, 2], 18);
export const resnet50 = standard('bottleneck', [3, 4, 6, 3], 50);
export const resnet101 = standard('bottleneck', [3, 4, 23, 3], 101);

/** The backbone of a spec: images [N,H,W,3] to [N,ceil(H/s),ceil(W/s),channels] with s the output stride. */
export const resNet =
  (spec: ResNetSpec): BackboneBuilder =>
  (root) => {
    const batchNorm = { ...VARIANTS[spec.variant].batchNorm, ...spec.batchNorm };
    const scope = root.child(spec.name).with({ batchNorm });
    const { filters, kernel, pool } = spec.stem;
    const stem = convUnit(scope.child('conv1'), 3, { channels: filters, kernel, stride: spec.stem.stride });
    const stages = [{ ...stem, stride: spec.stem.stride }];
    let stride = spec.stem.stride * (pool ? 2 : 1);
    if (pool) stages.push({ ...stemPool(scope, filters), stride });
    let channels = filters;
    let dilation = 1;
    for (const [b, block] of spec.blocks.entries()) {
      const strided = spec.variant === 'tf-slim' ? block.units - 1 : 0;
      for (let u = 0; u < block.units; u++) {
        const wanted = u === strided ? block.stride : 1;
        const dilate = stride * wanted > spec.outputStride;
        const unitScope = scope.child(`block${b + 1}/unit_${u + 1}/${spec.unit}_v1`);
        const unit = residualUnit(unitScope, channels, {
          unit: spec.unit,
          filters: block.filters,
          stride: dilate ? 1 : wanted,
          dilation,
        });
        if (dilate) dilation *= wanted;
        else stride *= wanted;
        stages.push({ ...unit, stride });
        channels = unit.channels;
      }
    }
    const { name, variant, outputStride } = spec;
    return stagedBackbone({ name, family: 'resnet-v1', variant, batchNorm, outputStride }, stages);
  };

function stemPool(scope: Scope, channels: number): Built {
  const layer: Layer = (x) =>
    named(`${scope.path}/pool1`, () => maxPool(x, { size: 3, stride: 2, padding: [1, 1, 1, 1] }));
  return { layer, channels };
}

export interface ResidualUnitOptions {
  readonly unit: Unit;
  readonly filters: number;
  readonly stride: number;
  readonly dilation: number;
}

/**
 * A bottleneck (1x1, 3x3, 1x1) or basic (3x3, 3x3) unit. The stride is the bottleneck's 3x3 convolution's and the basic
 * unit's first one's.
 */
export function residualUnit(
  scope: Scope,
  inputChannels: number,
  { unit, filters, stride, dilation }: ResidualUnitOptions,
): Built {
  const channels = unit === 'bottleneck' ? 4 * filters : filters;
  const shortcut = shortcutOf(scope, inputChannels, channels, stride);
  const inner: readonly ConvUnitOptions[] =
    unit === 'bottleneck'
      ? [
          { channels: filters, kernel: 1 },
          { channels: filters, kernel: 3, stride, dilation },
          { channels, kernel: 1, activation: 'none' },
        ]
      : [
          { channels: filters, kernel: 3, stride, dilation },
          { channels, kernel: 3, dilation, activation: 'none' },
        ];
  const convs: Built[] = [];
  for (const [i, options] of inner.entries())
    convs.push(convUnit(scope.child(`conv${i + 1}`), convs[i - 1]?.channels ?? inputChannels, options));
  const body = sequence(convs);
  const layer: Layer = (x, pass) => {
    const skipped = shortcut(x, pass);
    const y = body.layer(x, pass);
    return named(scope.path, () => relu(add(y, skipped)));
  };
  return { layer, channels };
}

/** Identity where shapes agree, every stride-th pixel where only the size differs, else a 1x1 convolution. */
function shortcutOf(scope: Scope, inputChannels: number, channels: number, stride: number): Layer {
  if (inputChannels !== channels)
    return convUnit(scope.child('shortcut'), inputChannels, { channels, kernel: 1, stride, activation: 'none' }).layer;
  if (stride === 1) return (x) => x;
  return (x) => named(`${scope.path}/shortcut`, () => maxPool(x, { size: 1, stride, padding: [0, 0, 0, 0] }));
}
