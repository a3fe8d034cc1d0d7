/** State dicts as torchvision's networks have them, with the weights of `scripts/goldens/torchvision_models.py`. */
import type { StoredTensor } from '../../src/checkpoints/tensor_file.js';
import type { Shape } from '../../src/tensor/types.js';
import { between } from './formula.js';

type StateDict = Map<string, StoredTensor>;

/** Collects tensors under a prefix; their values depend on the name without it. */
class Module {
  readonly state: StateDict;
  readonly #prefix: string;

  constructor(state: StateDict, prefix: string) {
    this.state = state;
    this.#prefix = prefix;
  }

  add(name: string, shape: Shape, low: number, high: number): void {
    this.state.set(`${this.#prefix}${name}`, { dtype: 'F32', shape, data: between(name, shape, low, high) });
  }

  conv(name: string, shape: readonly [number, number, number, number]): void {
    const limit = Math.sqrt(6 / (shape[1] * shape[2] * shape[3]));
    this.add(`${name}.weight`, shape, -limit, limit);
  }

  norm(name: string, channels: number): void {
    this.add(`${name}.weight`, [channels], 0.4, 0.8);
    this.add(`${name}.bias`, [channels], -0.2, 0.2);
    this.add(`${name}.running_mean`, [channels], -0.2, 0.2);
    this.add(`${name}.running_var`, [channels], 0.5, 1.5);
    this.state.set(`${this.#prefix}${name}.num_batches_tracked`, {
      dtype: 'I64',
      shape: [],
      data: new BigInt64Array(1),
    });
  }
}

/** `torchvision.models.resnet101` (units 3, 4, 23, 3) and its like; `width` is the stem's 64. */
export function resNetState(units: readonly number[], { prefix = '', width = 64, classes = 1000 } = {}): StateDict {
  const net = new Module(new Map(), prefix);
  net.conv('conv1', [width, 3, 7, 7]);
  net.norm('bn1', width);
  let channels = width;
  for (const [layer, count] of units.entries())
    for (let unit = 0; unit < count; unit++) {
      const name = `layer${layer + 1}.${unit}`;
      const inner = width * 2 ** layer;
      net.conv(`${name}.conv1`, [inner, channels, 1, 1]);
      net.norm(`${name}.bn1`, inner);
      net.conv(`${name}.conv2`, [inner, inner, 3, 3]);
      net.norm(`${name}.bn2`, inner);
      net.conv(`${name}.conv3`, [4 * inner, inner, 1, 1]);
      net.norm(`${name}.bn3`, 4 * inner);
      if (unit === 0) {
        net.conv(`${name}.downsample.0`, [4 * inner, channels, 1, 1]);
        net.norm(`${name}.downsample.1`, 4 * inner);
      }
      channels = 4 * inner;
    }
  if (classes > 0) {
    net.add('fc.weight', [classes, channels], -0.1, 0.1);
    net.add('fc.bias', [classes], -0.1, 0.1);
  }
  return net.state;
}

/** `torchvision.models.segmentation.deeplabv3_resnet101`, without its auxiliary classifier. */
export function deeplabV3State(units: readonly number[], { width = 64, filters = 256, outputs = 21 } = {}): StateDict {
  const { state } = new Module(resNetState(units, { prefix: 'backbone.', width, classes: 0 }), '');
  const net = new Module(state, '');
  const channels = 32 * width;
  net.conv('classifier.0.convs.0.0', [filters, channels, 1, 1]);
  net.norm('classifier.0.convs.0.1', filters);
  for (const branch of [1, 2, 3]) {
    net.conv(`classifier.0.convs.${branch}.0`, [filters, channels, 3, 3]);
    net.norm(`classifier.0.convs.${branch}.1`, filters);
  }
  net.conv('classifier.0.convs.4.1', [filters, channels, 1, 1]);
  net.norm('classifier.0.convs.4.2', filters);
  net.conv('classifier.0.project.0', [filters, 5 * filters, 1, 1]);
  net.norm('classifier.0.project.1', filters);
  net.conv('classifier.1', [filters, filters, 3, 3]);
  net.norm('classifier.2', filters);
  net.conv('classifier.4', [outputs, filters, 1, 1]);
  net.add('classifier.4.bias', [outputs], -0.2, 0.2);
  return state;
}

/** `torchvision.models.mobilenet_v2`. */
export function mobileNetV2State(): StateDict {
  const net = new Module(new Map(), '');
  net.conv('features.0.0', [32, 3, 3, 3]);
  net.norm('features.0.1', 32);
  const blocks = [
    [1, 16, 1],
    [6, 24, 2],
    [6, 32, 3],
    [6, 64, 4],
    [6, 96, 3],
    [6, 160, 3],
    [6, 320, 1],
  ] as const;
  let channels = 32;
  let index = 1;
  for (const [expansion, wide, units] of blocks)
    for (let unit = 0; unit < units; unit++, index++) {
      const hidden = channels * expansion;
      const name = `features.${index}.conv`;
      let place = 0;
      if (expansion !== 1) {
        net.conv(`${name}.${place}.0`, [hidden, channels, 1, 1]);
        net.norm(`${name}.${place++}.1`, hidden);
      }
      net.conv(`${name}.${place}.0`, [hidden, 1, 3, 3]);
      net.norm(`${name}.${place++}.1`, hidden);
      net.conv(`${name}.${place++}`, [wide, hidden, 1, 1]);
      net.norm(`${name}.${place}`, wide);
      channels = wide;
    }
  net.conv('features.18.0', [1280, channels, 1, 1]);
  net.norm('features.18.1', 1280);
  net.add('classifier.1.weight', [1000, 1280], -0.1, 0.1);
  net.add('classifier.1.bias', [1000], -0.1, 0.1);
  return net.state;
}
