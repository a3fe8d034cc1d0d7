/** The engine against PyTorch: operations, residual units and SegSort, as `scripts/make_goldens.py` computed them. */
import { afterAll, describe, expect, it } from 'vitest';
import { grad } from '../src/autograd/grad.js';
import { toHostTensor } from '../src/checkpoints/host_tensors.js';
import { parseSafetensors } from '../src/checkpoints/safetensors.js';
import type { StoredTensor } from '../src/checkpoints/tensor_file.js';
import { Pass } from '../src/models/layers.js';
import { allocateParameters, type Parameter, Scope } from '../src/models/parameter.js';
import { type ResidualUnitOptions, residualUnit } from '../src/models/resnet.js';
import { adaptiveAffinityLoss, affinityLoss } from '../src/segsort/affinity_loss.js';
import { clusterCount, clusterImages, clusteringFeatures, fullSizes } from '../src/segsort/clustering.js';
import { segsortLoss, segsortUnsupervisedLoss } from '../src/segsort/loss.js';
import { initialClusters } from '../src/segsort/ops/grid.js';
import { segmentsOf } from '../src/segsort/ops/segments.js';
import { prototypesOf } from '../src/segsort/prototypes.js';
import { scalar, type Tensor } from '../src/tensor/graph.js';
import { batchNorm, moments } from '../src/tensor/ops/batch_norm.js';
import { conv2d } from '../src/tensor/ops/conv.js';
import { depthwiseConv2d } from '../src/tensor/ops/depthwise.js';
import { add, mul, mulScalar, where } from '../src/tensor/ops/elementwise.js';
import { l2Normalize, softmax, validLabels } from '../src/tensor/ops/normalize.js';
import { avgPool, maxPool } from '../src/tensor/ops/pool.js';
import { sum } from '../src/tensor/ops/reduce.js';
import { resizeBilinear, resizeNearest } from '../src/tensor/ops/resize.js';
import { reshape } from '../src/tensor/ops/shape.js';
import { Runtime } from '../src/tensor/runtime.js';
import { type HostTensor, hostTensor } from '../src/tensor/types.js';
import { expectClose } from './support/compare.js';
import { readFixture, readJsonFixture } from './support/files.js';
import { testGpu } from './support/gpu.js';

type Tensors = Record<string, Tensor>;
type Params = Record<string, any>;

/** An operation of the goldens: its results by name, and the loss whose gradients the file has, if it is not sum(y * dy). */
type Model = (inputs: Tensors, params: Params) => { outputs: Tensors; loss?: Tensor };

const SEGMENT_CAPACITY = 48;

function normalized(
  { x, gamma, beta, moving_mean, moving_variance }: Tensors,
  { epsilon, statistics, decay }: Params,
): Tensors {
  if (statistics === 'running')
    return {
      y: batchNorm(x!, { mean: moving_mean!, variance: moving_variance!, gamma: gamma!, beta: beta!, epsilon }),
    };
  const { mean, variance } = moments(x!);
  const moved = (old: Tensor, batch: Tensor) => add(mulScalar(old, decay), mulScalar(batch, 1 - decay));
  return {
    y: batchNorm(x!, { mean, variance, gamma: gamma!, beta: beta!, epsilon }),
    mean,
    variance,
    moving_mean: moved(moving_mean!, mean),
    moving_variance: moved(moving_variance!, variance),
  };
}

const MODELS: Record<string, Model> = {
  conv2d: ({ x, filter }, params) => ({ outputs: { y: conv2d(x!, filter!, params) } }),
  depthwise_conv2d: ({ x, filter }, params) => ({ outputs: { y: depthwiseConv2d(x!, filter!, params) } }),
  batch_norm: (inputs, params) => ({ outputs: normalized(inputs, params) }),
  resize: ({ x }, { method, convention, size }) => {
    const resize = method === 'bilinear' ? resizeBilinear : resizeNearest;
    return { outputs: { y: resize(x!, size, { convention }) } };
  },
  max_pool: ({ x }, params) => ({ outputs: { y: maxPool(x!, params as Parameters<typeof maxPool>[1]) } }),
  avg_pool: ({ x }, params) => ({ outputs: { y: avgPool(x!, params as Parameters<typeof avgPool>[1]) } }),
  clustering: ({ embedding, labels }, { cells, iterations, ignore, classes }) => {
    const [images, height, width, channels] = embedding!.shape as [number, number, number, number];
    const canvas = { height, width };
    const mask = reshape(validLabels(labels!, { classes, ignoreLabel: ignore }), [images, height * width]);
    const masked = (ids: Tensor) => where(mask, ids, scalar(-1, 'i32'));
    const sizes = fullSizes(images, canvas);
    const unit = l2Normalize(reshape(embedding!, [images, height * width, channels]));
    const { clusters } = clusterImages({ embedding: embedding!, mask }, { cells, iterations });
    const pixelLabels = reshape(labels!, [images, height * width]);
    const { segments, counts } = segmentsOf(clusters, pixelLabels, {
      clusters: clusterCount({ cells }),
      classes,
      ignore,
      capacity: SEGMENT_CAPACITY,
    });
    const outputs = {
      initial: masked(initialClusters(sizes, { ...canvas, cells })),
      features: clusteringFeatures(unit, sizes, canvas),
      clusters,
      segments,
      segment_counts: counts,
      prototypes: prototypesOf(unit, segments, SEGMENT_CAPACITY),
    };
    return { outputs };
  },
  segsort_loss: ({ embedding, labels, clusters, bank_prototypes, bank_labels }, params) => {
    const banks = bank_prototypes ? { prototypes: bank_prototypes, labels: bank_labels! } : null;
    const { concentration, numerator, ignore, classes, cluster_ids } = params;
    const { loss, validPixels, prototypes } = segsortLoss(
      { embedding: embedding!, labels: labels!, clusters: clusters!, banks },
      { concentration, numerator, ignore, classes, clusters: cluster_ids, capacity: SEGMENT_CAPACITY },
    );
    return { outputs: { loss, valid_pixels: validPixels, prototypes }, loss };
  },
  affinity_loss: ({ logits, labels, edge_weights, not_edge_weights }, { margin, ignore, edge: ofEdge, not_edge }) => {
    const probabilities = softmax(logits!);
    const weights = edge_weights && { edge: edge_weights, notEdge: not_edge_weights! };
    const { edge, notEdge } = weights
      ? adaptiveAffinityLoss(probabilities, labels!, weights, { margin, ignore })
      : affinityLoss(probabilities, labels!, { margin, ignore });
    return { outputs: { edge, not_edge: notEdge }, loss: add(mulScalar(edge, ofEdge), mulScalar(notEdge, not_edge)) };
  },
  segsort_unsupervised_loss: ({ embedding, regions }, { concentration, regions: count }) => {
    const { loss, validPixels, prototypes } = segsortUnsupervisedLoss(
      { embedding: embedding!, regions: regions! },
      { concentration, regions: count, capacity: SEGMENT_CAPACITY },
    );
    return { outputs: { loss, valid_pixels: validPixels, prototypes }, loss };
  },
};

/** A residual unit of the goldens: declares its parameters and runs it. */
function unitOf(params: Params, channels: number) {
  const scope = new Scope(params.scope);
  const { layer } = residualUnit(scope, channels, params as ResidualUnitOptions);
  return { parameters: scope.declared.parameters, layer };
}

const runtimes: Runtime[] = [];
async function sharedRuntime(): Promise<Runtime> {
  if (runtimes.length === 0) runtimes.push(new Runtime(await testGpu()));
  return runtimes[0]!;
}
afterAll(() => runtimes[0]?.[Symbol.dispose]());

interface Case {
  readonly op: string;
  readonly params: Params;
  readonly inputs: Record<string, HostTensor>;
  readonly expected: Record<string, StoredTensor>;
}

async function load(name: string): Promise<Case> {
  const file = `goldens/${name}.safetensors`;
  const { tensors, metadata } = parseSafetensors(await readFixture(file), file);
  const inputs: Record<string, HostTensor> = {};
  const expected: Record<string, StoredTensor> = {};
  for (const [key, tensor] of tensors) {
    if (key.startsWith('inputs/')) inputs[key.slice('inputs/'.length)] = toHostTensor(tensor, file, key);
    else expected[key] = tensor;
  }
  return { op: metadata.op!, params: JSON.parse(metadata.params!), inputs, expected };
}

/** Traces a case and gives every value the file has an expectation of, by the file's names. */
async function run({ op, params, inputs, expected }: Case): Promise<Record<string, HostTensor>> {
  const runtime = await sharedRuntime();
  const names = Object.keys(inputs).filter((name) => !name.startsWith('parameters/'));
  let parameters: readonly Parameter[] = [];
  let model = MODELS[op];
  if (!model) {
    const network = unitOf(params, inputs.x!.shape[3]!);
    parameters = network.parameters;
    allocateParameters(runtime, parameters, () => ({}), 0);
    for (const parameter of parameters) runtime.write(parameter, inputs[`parameters/${parameter.name}`]!);
    model = ({ x }) => {
      const pass = new Pass({ batchStatistics: params.statistics === 'batch' });
      const y = network.layer(x!, pass);
      const observed = [...pass.observed].map(([{ name }, batch]): [string, Tensor] => [`batch/${name}`, batch]);
      return { outputs: { y, ...Object.fromEntries(observed) } };
    };
  }
  const traced = model;
  const step = runtime.compile((...args: Tensor[]) => {
    const tensors = Object.fromEntries(names.map((name, i) => [name, args[i]!]));
    const { outputs, loss = outputs.y && sum(mul(outputs.y, tensors.dy!)) } = traced(tensors, params);
    const results = Object.entries(outputs).map(([name, value]): [string, Tensor] => [`outputs/${name}`, value]);
    const wanted = Object.keys(expected).filter((key) => key.startsWith('grads/'));
    const sources = wanted.map((key) => {
      const name = key.slice('grads/'.length);
      return tensors[name] ?? parameters.find((parameter) => `parameters/${parameter.name}` === name)!;
    });
    const gradients = wanted.length > 0 ? grad(loss!, sources) : [];
    return Object.fromEntries([...results, ...wanted.map((key, i): [string, Tensor] => [key, gradients[i]!])]);
  }, op);
  const results = await step.run(...names.map((name) => inputs[name]!));
  const values: Record<string, HostTensor> = {};
  for (const [name, result] of Object.entries(results)) values[name] = await result.read();
  step[Symbol.dispose]();
  return values;
}

/** The goldens list the segments of the batch one after the other; the engine keeps a table an image. */
function compact(table: HostTensor, images: ArrayLike<number>): HostTensor {
  const [, capacity, channels] = table.shape as [number, number, number];
  const rows = Array.from(images, (image, i) => {
    const segment = i - Array.from(images).indexOf(image);
    const at = (image * capacity + segment) * channels;
    return [...table.data.subarray(at, at + channels)];
  });
  return hostTensor([rows.length, channels], rows.flat());
}

const index = await readJsonFixture<Record<string, string[]>>('goldens/index.json');
// Whole networks are compared in `models/designs.test.ts`.
const { design: _, ...operations } = index;
describe.for(Object.entries(operations))('%s', ([op, cases]) => {
  it.for(cases)('%s', async (name) => {
    const golden = await load(name);
    expect(golden.op).toBe(op);
    const actual = await run(golden);
    for (const [key, { dtype, shape, data }] of Object.entries(golden.expected)) {
      // Which image, cluster and label a prototype is of follows from the segments; single pixels' losses from their mean.
      if (/prototype_(images|clusters|labels)$|pixel_losses$/.test(key)) continue;
      let value = actual[key]!;
      expect(value, key).toBeDefined();
      const images = golden.expected['outputs/prototype_images'];
      if (key === 'outputs/prototypes') {
        if (!images) continue; // the unsupervised goldens don't say which image a row is of
        value = compact(value, images.data as Int32Array);
      }
      if (key === 'outputs/features') {
        // Filled up with zero channels, which change neither lengths nor products.
        const channels = shape[2]!;
        const wide = value.shape[2]!;
        value = hostTensor(
          shape,
          [...value.data].filter((_, i) => i % wide < channels),
        );
      }
      const exact = dtype !== 'F32';
      expectClose(
        value,
        { shape, data: data as Float32Array },
        exact ? 0 : key.startsWith('grads/') ? 1e-3 : 1e-4,
        `${name}: ${key}`,
      );
    }
  });
});
