/** Settings to start from, by name. */
import { VOC2012 } from '../data/builtin_descriptions.js';
import { classNames } from '../data/description.js';
import type { PartialConfig } from './config.js';

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
  run: { logEvery: 10, checkpointEvery: 500, workers: null, cacheMegabytes: 1024 },
} as const satisfies PartialConfig;

/** The released single-GPU settings for VOC 2012. */
const VOC12_SUPERVISED = {
  ...RELEASED,
  data: { ...RELEASED.data, classes: [...VOC_CLASSES] },
  training: { ...RELEASED.training, batch: 8, crop: [336, 336], steps: 30_000 },
} satisfies PartialConfig;

/** The released settings for several GPUs: larger crops and batches, more steps, more neighbours. */
const VOC12_MULTI = {
  ...VOC12_SUPERVISED,
  training: { ...VOC12_SUPERVISED.training, batch: 16, crop: [480, 480], steps: 100_000 },
  retrieval: { ...RELEASED.retrieval, neighbours: 21 },
} satisfies PartialConfig;

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
  run: { ...RELEASED.run, checkpointEvery: 100 },
} satisfies PartialConfig;

/** Scenes of several overlapping digits, bright and dark, for a GPU. */
const DIGITS_HARD = {
  ...DIGITS,
  training: { ...DIGITS.training, batch: 32, crop: [64, 64], steps: 6000 },
  segments: { ...RELEASED.segments, capacity: 96 },
  retrieval: { ...DIGITS.retrieval, prototypeImages: 2000 },
} satisfies PartialConfig;

export type PresetName = 'voc12-supervised' | 'voc12-multi' | 'small' | 'digits' | 'digits-hard';

export const PRESETS: Readonly<Record<PresetName, PartialConfig>> = {
  'voc12-supervised': VOC12_SUPERVISED,
  'voc12-multi': VOC12_MULTI,
  small: SMALL,
  digits: DIGITS,
  'digits-hard': DIGITS_HARD,
};

/** A line each, for the help. */
export const PRESET_SUMMARIES: Readonly<Record<PresetName, string>> = {
  'voc12-supervised': 'the released single-GPU settings: ResNet-101, 30,000 steps of 8 crops of 336x336',
  'voc12-multi': 'the released settings for several GPUs: 100,000 steps of 16 crops of 480x480',
  small: 'a small network from random weights, for CPU adapters: 2,000 steps of 8 crops of 144x144',
  digits: 'what `segsort demo` trains: 260 steps of 32 scenes of one digit',
  'digits-hard': 'what `segsort demo --hard` trains: several overlapping digits, for a GPU',
};
