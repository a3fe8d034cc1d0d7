/**
 * Whose weights a file holds, told by the names of its tensors, and what a parameter of ours is called there. Ours bear
 * TF-Slim's names; torchvision's state dicts have names, layouts and an input range of their own.
 */
import type { TensorFile } from '../checkpoints/tensor_file.js';
import { BACKBONES, type BackboneName } from './designs.js';

/** How a tensor of the file lies in comparison with the parameter. */
export type Layout =
  | 'same'
  /** Filters as PyTorch has them, [out,in,height,width]. */
  | 'oihw'
  /** PyTorch's filters of a depthwise convolution, [channels*multiplier,1,height,width]. */
  | 'depthwise-oihw';

export interface Source {
  readonly name: string;
  readonly layout: Layout;
  /**
   * What the file's network multiplies each channel of the image (0 to 255, less its mean) by before these filters, the
   * first; ours takes the image as it is, and the filters take the factors up. Null for all others.
   */
  readonly inputScale: readonly number[] | null;
}

export interface Naming {
  /** For messages: `torchvision's ResNet-101`. */
  readonly title: string;
  /** Family and variant of the backbone, as in `BackboneDescription`; null where its names do not tell. */
  readonly variant: string | null;
  /** Root of the names that the backbone has here: `resnet_v1_101`. */
  readonly root: string;
  /** The network of ours that these weights fit; null where there is none. */
  readonly fits: BackboneName | null;
  /** The tensor that holds a parameter of ours, given by its name below the root; null where this naming has none. */
  find(path: string): Source | null;
}

/** The naming of a file; null where it is not known. */
export function namingOf(file: TensorFile): Naming | null {
  const names = file.entries;
  for (const prefix of ['', 'module.', 'backbone.', 'module.backbone.']) {
    if (names.has(`${prefix}layer1.0.conv1.weight`)) return torchvisionResNet(names, prefix);
    if (names.has(`${prefix}features.0.0.weight`) && names.has(`${prefix}features.1.conv.0.0.weight`))
      return torchvisionMobileNet(names, prefix);
  }
  for (const name of names.keys()) {
    const root = /^([^/]+)\/(?:conv1|Conv)\/weights$/.exec(name)?.[1];
    if (root) return ownNaming(root);
  }
  return null;
}

const backboneNamed = (name: string): BackboneName | null => BACKBONES.find((known) => known === name) ?? null;

/** torchvision's `transforms.Normalize` for its ImageNet weights, after `ToTensor` divided by 255. */
const TORCHVISION_SCALE = [1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)] as const;

/** Our own names, which are TF-Slim's. */
function ownNaming(root: string): Naming {
  const slim = /^resnet_v1_(\d+)$/.exec(root);
  const torch = /^resnet(\d+)$/.exec(root);
  const mobile = /^MobilenetV2$/.test(root);
  return {
    title: slim ? `TF-Slim's ResNet-${slim[1]}` : torch ? `torchvision's ResNet-${torch[1]}, converted` : root,
    variant: slim || mobile ? 'tf-slim' : torch ? 'torchvision' : null,
    root,
    fits: backboneNamed(slim ? `resnet${slim[1]}` : `${root}-torchvision`),
    find: (path) => ({ name: `${root}/${path}`, layout: 'same', inputScale: null }),
  };
}

type Names = TensorFile['entries'];

function torchvisionResNet(names: Names, prefix: string): Naming {
  const units = [1, 2, 3, 4].map((layer) => {
    let count = 0;
    while (names.has(`${prefix}layer${layer}.${count}.conv1.weight`)) count++;
    return count;
  });
  const bottleneck = names.has(`${prefix}layer1.0.conv3.weight`);
  const head = headPrefix(prefix);
  const depth = 2 + units.reduce((sum, count) => sum + count, 0) * (bottleneck ? 3 : 2);
  return {
    title: `torchvision's ResNet-${depth}${headTitle(names, head)}`,
    variant: 'torchvision',
    root: `resnet${depth}`,
    fits: backboneNamed(`resnet${depth}-torchvision`),
    find: (path) => findIn(path, names, (module) => resNetModule(module, prefix) ?? deeplabModule(module, head)),
  };
}

function torchvisionMobileNet(names: Names, prefix: string): Naming {
  const head = headPrefix(prefix);
  return {
    title: `torchvision's MobileNetV2${headTitle(names, head)}`,
    variant: 'torchvision',
    root: 'mobilenet_v2',
    fits: 'mobilenet-v2',
    find: (path) => findIn(path, names, (module) => mobileNetModule(module, prefix) ?? deeplabModule(module, head)),
  };
}

/** Where the head stands of a network whose backbone has this prefix: beside it. */
const headPrefix = (prefix: string) => `${prefix.replace(/backbone\.$/, '')}classifier`;

const headTitle = (names: Names, head: string) =>
  names.has(`${head}.0.convs.0.0.weight`) ? ' with its DeepLabv3 head' : '';

/** A convolution of PyTorch's, and the batch norm behind it, by the names of their modules. */
interface Modules {
  readonly conv: string;
  readonly norm: string | null;
}

/** The filters that see the image. */
const FIRST = /^(conv1|Conv)\/weights$/;

/** Leaves of our names, and what PyTorch calls them. */
const LEAVES: Readonly<Record<string, readonly ['conv' | 'norm', string]>> = {
  weights: ['conv', 'weight'],
  depthwise_weights: ['conv', 'weight'],
  biases: ['conv', 'bias'],
  'BatchNorm/gamma': ['norm', 'weight'],
  'BatchNorm/beta': ['norm', 'bias'],
  'BatchNorm/moving_mean': ['norm', 'running_mean'],
  'BatchNorm/moving_variance': ['norm', 'running_var'],
};

/** `block1/unit_1/bottleneck_v1/conv1/BatchNorm/gamma` in terms of PyTorch's modules. */
function findIn(path: string, names: Names, modulesOf: (path: string) => Modules | null): Source | null {
  const [, unit, leaf] = /^(.+?)\/(weights|depthwise_weights|biases|BatchNorm\/\w+)$/.exec(path) ?? [];
  const known = leaf === undefined ? undefined : LEAVES[leaf];
  const modules = unit === undefined ? null : modulesOf(unit);
  if (!known || !modules) return null;
  const [kind, ending] = known;
  const module = modules[kind];
  if (module === null) return null;
  const name = `${module}.${ending}`;
  if (names.get(name)?.shape.length !== 4) return { name, layout: 'same', inputScale: null };
  const layout = leaf === 'depthwise_weights' ? 'depthwise-oihw' : 'oihw';
  return { name, layout, inputScale: FIRST.test(path) ? TORCHVISION_SCALE : null };
}

function resNetModule(path: string, prefix: string): Modules | null {
  if (path === 'conv1') return { conv: `${prefix}conv1`, norm: `${prefix}bn1` };
  const [, block, unit, part] = /^block(\d)\/unit_(\d+)\/\w+_v1\/(\w+)$/.exec(path) ?? [];
  if (block === undefined || Number(block) > 4) return null;
  const module = `${prefix}layer${block}.${Number(unit) - 1}`;
  if (part === 'shortcut') return { conv: `${module}.downsample.0`, norm: `${module}.downsample.1` };
  return { conv: `${module}.${part}`, norm: `${module}.${part!.replace('conv', 'bn')}` };
}

/** Units of each block of MobileNetV2 before the block: torchvision numbers them through. */
const UNITS_BEFORE = [0, 1, 3, 6, 10, 13, 16] as const;

function mobileNetModule(path: string, prefix: string): Modules | null {
  const features = `${prefix}features`;
  const pair = (module: string, conv: string, norm: string) => ({
    conv: `${module}.${conv}`,
    norm: `${module}.${norm}`,
  });
  if (path === 'conv1') return pair(`${features}.0`, '0', '1');
  if (path === 'conv_last') return pair(`${features}.18`, '0', '1');
  const [, block, unit, part] = /^block([1-7])\/unit_(\d+)\/(expand|depthwise|project)$/.exec(path) ?? [];
  if (block === undefined) return null;
  const module = `${features}.${UNITS_BEFORE[Number(block) - 1]! + Number(unit)}.conv`;
  // The first block has nothing to expand, so that everything behind stands one place earlier.
  const place = { expand: 0, depthwise: block === '1' ? 0 : 1, project: block === '1' ? 1 : 2 }[part as 'expand'];
  return part === 'project' ? pair(module, `${place}`, `${place + 1}`) : pair(`${module}.${place}`, '0', '1');
}

function deeplabModule(path: string, head: string): Modules | null {
  const branch = /^aspp(\d)$/.exec(path)?.[1];
  const found = branch === undefined ? DEEPLAB[path] : { conv: `0.convs.${branch}.0`, norm: `0.convs.${branch}.1` };
  return found ? { conv: `${head}.${found.conv}`, norm: found.norm && `${head}.${found.norm}` } : null;
}

/** torchvision's DeepLabv3 head behind its parallel convolutions. */
const DEEPLAB: Readonly<Record<string, Modules>> = {
  image_pooling: { conv: '0.convs.4.1', norm: '0.convs.4.2' },
  concat_projection: { conv: '0.project.0', norm: '0.project.1' },
  conv: { conv: '1', norm: '2' },
  output: { conv: '4', norm: null },
};
