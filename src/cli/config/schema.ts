/** Every setting that decides what a run computes: what it may hold, its flag, and its line in the help. */
import { z } from 'zod';
import { RECOMPUTE_MODES } from '../../autograd/recompute.js';
import { BACKBONES, type BackboneName, HEAD_NAMES, type HeadName } from '../../models/designs.js';
import { PRECISIONS } from '../../segsort/trainer.js';
import {
  added,
  choice,
  classNames,
  colour,
  extents,
  fieldsOf,
  integer,
  listOfSettings,
  orNull,
  type PlacedField,
  range,
  real,
  regionMasks,
  text,
  toggle,
} from './fields.js';

const ANY = Number.MAX_SAFE_INTEGER;
const FOREVER = Number.POSITIVE_INFINITY;
const described = (group: string) => (flag: string | null, help: string) => ({ flag, group, help });

const data = described('Data');
const network = described('Network');
const training = described('Training');
const segments = described('Segments and loss');
const affinity = described('Affinity losses');
const retrieval = described('Prototypes and retrieval');
const run = described('Logging and speed (the result does not depend on these)');
const watching = described('Validation and checkpoints (the result does not depend on these)');

const networkNames = BACKBONES as [BackboneName, ...BackboneName[]];
const headNames = HEAD_NAMES as [HeadName, ...HeadName[]];

export const OBJECTIVES = ['segsort', 'segsort-unsupervised', 'softmax', 'affinity', 'aaf'] as const;
export type ObjectiveName = (typeof OBJECTIVES)[number];

/** Settings of training that may change from stage to stage. */
const stageSettings = {
  steps: integer(1, ANY, training('--steps <n>', 'training steps; of a run of several stages, those of the first')),
  batch: integer(1, 1024, training('--batch <n>', 'images a step')),
  accumulate: added(
    1,
    integer(1, 1024, training('--accumulate <n>', 'batches a step, whose gradients make one update')),
  ),
  crop: extents(8, 8192, training('--crop <HxW>', 'size of the crops, in pixels')),
  scale: range(0.05, 20, training('--scale <low,high>', 'images are resized by a random factor between these')),
  mirror: toggle('--no-mirror', training('--mirror', 'mirror images at random; --no-mirror: do not')),
  learningRate: real(0, FOREVER, false, training('--learning-rate <x>', 'learning rate of the first step')),
  warmup: integer(0, ANY, training('--warmup <n>', 'steps over which the rate rises from 0')),
  power: real(0, 10, true, training('--power <x>', 'the rate falls as (1 - step / steps) to this power')),
  momentum: real(0, 0.9999, true, training('--momentum <x>', 'momentum of the gradient descent')),
  weightDecay: real(0, 1, true, training('--weight-decay <x>', 'factor of the L2 loss on the weights')),
  headRateFactor: real(0, 1000, false, training('--head-rate <x>', "factor on the head's learning rate")),
  batchNorm: added(
    'batch',
    choice(
      ['batch', 'global'],
      training(
        '--batch-norm <which>',
        "normalise by each batch's statistics (batch), or by running ones kept as they are",
      ),
    ),
  ),
};

export const retrievalSchema = z.strictObject({
  neighbours: integer(1, 64, retrieval('--neighbours <k>', 'nearest prototypes that vote on a segment')),
  stride: integer(1, 32, retrieval('--stride <n>', 'pixels of the image for one of the segmentation, each way')),
  batch: integer(1, 1024, retrieval('--eval-batch <n>', 'images at a time when segmenting')),
  prototypeImages: orNull(
    integer(1, ANY, retrieval('--prototype-images <n>', 'take prototypes from the first n training images; none: all')),
  ),
});

export const configSchema = z.strictObject({
  data: z.strictObject({
    root: text(data(null, 'folder of the data set')),
    train: text(data(null, 'list of training images')),
    validation: orNull(text(data(null, 'list of held-out images'))),
    classes: classNames(data(null, 'names of the classes, by index')),
    mean: colour(data('--mean <r,g,b>', 'colour that is subtracted from every pixel')),
    regions: added(
      null,
      orNull(
        regionMasks(data('--regions <where>', 'region masks: segcls=hed, hed/{name}.png, or photo; none: as found')),
      ),
    ),
    regionsPerImage: added(
      40,
      integer(2, 4096, data('--regions-per-image <n>', 'regions that a photo is divided into, where masks are made')),
    ),
  }),
  network: z.strictObject({
    backbone: choice(networkNames, network('--backbone <name>', `network: ${networkNames.join(', ')}`)),
    head: added(null, orNull(choice(headNames, network('--head <name>', `${headNames.join(', ')}; none: its own`)))),
    outputStride: added(
      null,
      orNull(
        integer(
          1,
          32,
          network('--output-stride <n>', 'pixels of the image for one of the last features; none: its own'),
        ),
      ),
    ),
    embedding: integer(2, 1024, network('--embedding <n>', 'dimensions of the embedding')),
    weights: added(
      null,
      orNull(text(network('--weights <file>', 'start from these weights: TensorFlow, PyTorch or safetensors'))),
    ),
    newHead: added(
      false,
      toggle(
        '--restore-head',
        network('--not-restore-head', 'the head starts anew, whatever the weights have; --restore-head: it does not'),
      ),
    ),
  }),
  training: z.strictObject({
    objective: added(
      'segsort',
      choice(OBJECTIVES, training('--objective <name>', `what is learnt: ${OBJECTIVES.join(', ')}`)),
    ),
    ...stageSettings,
    stages: added(
      [],
      listOfSettings(
        {
          list: text(training('--list <file>', 'its list of training images')),
          newHead: toggle('--restore-head', training('--not-restore-head', 'its head starts anew')),
          ...stageSettings,
        },
        training('--stage <settings>', 'a further stage, such as "list=train.txt steps=500 not-restore-head"; or none'),
      ),
    ),
    seed: integer(0, ANY, training('--seed <n>', 'seed of everything random')),
    precision: added(
      'f32',
      choice(
        PRECISIONS,
        training('--precision <which>', 'f32, or mixed: activations and gradients in half precision, weights in f32'),
      ),
    ),
  }),
  segments: z.strictObject({
    cells: extents(1, 64, segments('--cells <YxX>', 'cells of the grid that clustering starts from')),
    kmeansIterations: integer(0, 100, segments('--kmeans <n>', 'iterations of spherical k-means')),
    concentration: real(0, 1000, false, segments('--concentration <x>', 'concentration of the von Mises-Fisher loss')),
    banks: integer(0, 64, segments('--banks <n>', 'past batches whose prototypes are kept in memory banks')),
    capacity: integer(1, 65536, segments('--capacity <n>', 'most segments an image may have in training')),
    numerator: choice(
      ['nca', 'self'],
      segments('--numerator <which>', 'a pixel is drawn to the other segments of its label (nca) or its own (self)'),
    ),
  }),
  affinity: z.strictObject({
    margin: added(
      3,
      real(0, 1000, false, affinity('--affinity-margin <x>', 'divergence from which pixels at an edge are told apart')),
    ),
    edgeWeight: added(1, real(0, FOREVER, true, affinity('--affinity-edge <x>', 'factor of the term at edges'))),
    notEdgeWeight: added(
      1,
      real(0, FOREVER, true, affinity('--affinity-inside <x>', 'factor of the term away from edges')),
    ),
  }),
  retrieval: retrievalSchema,
  run: z.strictObject({
    logEvery: integer(1, ANY, run('--log-every <n>', 'steps between lines of metrics.jsonl')),
    checkpointEvery: integer(1, ANY, run('--checkpoint-every <n>', 'steps between checkpoints')),
    workers: orNull(integer(0, 64, run('--workers <n>', 'threads that decode images; none: as the machine has'))),
    cacheMegabytes: integer(0, ANY, run('--cache <MB>', 'memory for decoded images')),
    recompute: added(
      'none',
      choice(
        RECOMPUTE_MODES,
        run('--recompute <what>', `save memory by computing values twice: ${RECOMPUTE_MODES.join(', ')}`),
      ),
    ),
    tensorboard: added(
      false,
      toggle('--no-tensorboard', run('--tensorboard', 'write an event file for TensorBoard; --no-tensorboard: none')),
    ),
    validateEvery: added(
      null,
      orNull(integer(1, ANY, watching('--validate-every <n>', 'steps between scores on held-out images; none: never'))),
    ),
    validateImages: added(100, integer(1, ANY, watching('--validate-images <n>', 'held-out images that are scored'))),
    validatePrototypes: added(
      200,
      integer(1, ANY, watching('--validate-prototypes <n>', 'training images that give the prototypes for it')),
    ),
    keep: added(1, integer(1, ANY, watching('--keep <n>', 'checkpoints kept: the last n'))),
  }),
});

export type RunConfig = z.infer<typeof configSchema>;

/** A configuration in part, section by section. */
export type PartialConfig = { readonly [S in keyof RunConfig]?: Partial<RunConfig[S]> };

/** All settings, in their order. */
export const allFields: readonly PlacedField[] = fieldsOf(configSchema);

/** The settings that have a flag. */
export const flaggedFields: readonly PlacedField[] = allFields.filter(({ flag }) => flag !== null);
