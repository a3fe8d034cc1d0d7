/** Settings to start from, by name. */
import { VOC2012 } from '../../data/builtin_descriptions.js';
import { classNames } from '../../data/description.js';
import type { ObjectiveName, PartialConfig } from './schema.js';

export const VOC_CLASSES: readonly string[] = classNames(VOC2012);

/** What all released settings have in common; the mean is ImageNet's, as the reference subtracts it. */
const RELEASED = {
  data: { validation: null, mean: [122.675, 116.669, 104.008] },
  network: { backbone: 'resnet101', embedding: 32 },
  training: {
    scale: [0.5, 2],
    mirror: true,
    learningRate: 2e-3,
    warmup: 0,
    power: 0.9,
    momentum: 0.9,
    weightDecay: 5e-4,
    headRateFactor: 10,
    seed: 1,
  },
  segments: { cells: [5, 5], kmeansIterations: 10, concentration: 10, banks: 2, capacity: 128, numerator: 'nca' },
  retrieval: { neighbours: 15, stride: 1, batch: 1, prototypeImages: null },
  run: { logEvery: 10, checkpointEvery: 500, workers: null, cacheMegabytes: 1024, tensorboard: true },
} as const satisfies PartialConfig;

/**
 * The released single-GPU settings for VOC 2012: from ImageNet's weights on VOC and SBD, then at a tenth of the rate on
 * VOC alone. Both stages start with a new head, as the script has it. Lists are named by what they are for.
 */
const VOC12_SUPERVISED = {
  ...RELEASED,
  data: { ...RELEASED.data, train: 'train+', classes: [...VOC_CLASSES] },
  network: { ...RELEASED.network, newHead: true },
  training: {
    ...RELEASED.training,
    objective: 'segsort',
    batch: 8,
    crop: [336, 336],
    steps: 30_000,
    stages: [{ list: 'train', learningRate: 2e-4, newHead: true }],
  },
  run: { ...RELEASED.run, validateEvery: 5000, validateImages: 200, validatePrototypes: 1000, keep: 2 },
} satisfies PartialConfig;

/**
 * The released settings for several GPUs: larger crops and batches, more steps, more neighbours; the second stage keeps
 * its head.
 */
const VOC12_MULTI = {
  ...VOC12_SUPERVISED,
  training: {
    ...VOC12_SUPERVISED.training,
    batch: 16,
    crop: [480, 480],
    steps: 100_000,
    stages: [{ list: 'train', steps: 30_000, learningRate: 2e-4 }],
  },
  retrieval: { ...RELEASED.retrieval, neighbours: 21 },
} satisfies PartialConfig;

/**
 * The released unsupervised settings: segments are the regions of HED's contours, in `hed` where labels are in
 * `segcls`.
 */
const VOC12_UNSUPERVISED = {
  ...VOC12_SUPERVISED,
  data: { ...VOC12_SUPERVISED.data, regions: 'segcls=hed' },
  training: { ...VOC12_SUPERVISED.training, objective: 'segsort-unsupervised', steps: 10_000, stages: [] },
  segments: { ...RELEASED.segments, banks: 0, capacity: 256 },
} satisfies PartialConfig;

/**
 * The predecessor's released settings (Ke et al., ECCV 2018): the same backbone and budget at half the rate; heads are
 * kept.
 */
const baseline = (objective: ObjectiveName) =>
  ({
    ...VOC12_SUPERVISED,
    training: {
      ...VOC12_SUPERVISED.training,
      objective,
      learningRate: 1e-3,
      stages: [{ list: 'train', learningRate: 1e-4 }],
    },
  }) satisfies PartialConfig;

/** A small residual network from random weights, for CPU adapters and first trials on photographs. */
const SMALL = {
  ...RELEASED,
  network: { backbone: 'small', embedding: 32 },
  training: {
    ...RELEASED.training,
    batch: 8,
    crop: [144, 144],
    steps: 2000,
    scale: [0.4, 1],
    learningRate: 0.05,
    headRateFactor: 1,
  },
  retrieval: { ...RELEASED.retrieval, stride: 2, batch: 4 },
  run: { ...RELEASED.run, checkpointEvery: 100 },
} satisfies PartialConfig;

/** The demonstration: scenes of one handwritten digit, in minutes on a CPU adapter. */
const DIGITS = {
  ...RELEASED,
  network: { backbone: 'digits', embedding: 16 },
  training: {
    ...RELEASED.training,
    batch: 32,
    crop: [32, 32],
    steps: 260,
    scale: [1, 1],
    mirror: false,
    learningRate: 0.3,
    headRateFactor: 1,
  },
  // A digit is one or two segments, so that others of its label lie in other images; two labels in each of four cells.
  // With 32 images a batch has enough of every label: a memory bank adds 0.02 of mIoU and a fifth of the time.
  segments: { ...RELEASED.segments, cells: [2, 2], kmeansIterations: 5, banks: 0, capacity: 8 },
  retrieval: { neighbours: 15, stride: 2, batch: 50, prototypeImages: 300 },
  run: { ...RELEASED.run, checkpointEvery: 100, tensorboard: false },
} satisfies PartialConfig;

/** Scenes of several overlapping digits, bright and dark, for a GPU. */
const DIGITS_HARD = {
  ...DIGITS,
  training: { ...DIGITS.training, batch: 32, crop: [64, 64], steps: 6000 },
  segments: { ...RELEASED.segments, capacity: 96 },
  retrieval: { ...DIGITS.retrieval, prototypeImages: 2000 },
} satisfies PartialConfig;

export interface Preset {
  /** Training lists go by what they are for, such as `train+`. */
  readonly config: PartialConfig;
  /** A line for the help. */
  readonly summary: string;
}

const TABLE = {
  'voc12-supervised': {
    config: VOC12_SUPERVISED,
    summary: 'released: ResNet-101, 8 crops of 336x336, 30,000 steps on train+ and 30,000 on train',
  },
  'voc12-multi': {
    config: VOC12_MULTI,
    summary: 'released, for several GPUs: 16 crops of 480x480, 100,000 steps and 30,000',
  },
  'voc12-unsupervised': {
    config: VOC12_UNSUPERVISED,
    summary: 'released: 10,000 steps on regions from contours, without labels',
  },
  'voc12-softmax': { config: baseline('softmax'), summary: 'baseline: softmax, of the same backbone and budget' },
  'voc12-affinity': { config: baseline('affinity'), summary: 'baseline: softmax with affinity fields' },
  'voc12-aaf': { config: baseline('aaf'), summary: 'baseline: softmax with adaptive affinity fields' },
  small: {
    config: SMALL,
    summary: 'a small network from random weights, for CPU adapters: 2,000 steps of 8 crops of 144x144',
  },
  digits: { config: DIGITS, summary: 'what `segsort demo` trains: 260 steps of 32 scenes of one digit' },
  'digits-hard': {
    config: DIGITS_HARD,
    summary: 'what `segsort demo --hard` trains: several overlapping digits, for a GPU',
  },
} satisfies Record<string, Preset>;

export type PresetName = keyof typeof TABLE;

export const PRESETS: Readonly<Record<PresetName, Preset>> = TABLE;
