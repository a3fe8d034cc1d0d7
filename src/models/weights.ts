/** Weights of other programs in a network of ours: which tensor goes where, what is left out, and why it may not be. */
import { toHostTensor } from '../checkpoints/host_tensors.js';
import type { TensorEntry, TensorFile } from '../checkpoints/tensor_file.js';
import type { Runtime } from '../tensor/runtime.js';
import { type HostTensor, type Shape, sameShape, showShape } from '../tensor/types.js';
import type { BackboneDescription } from './design.js';
import { type Layout, type Naming, namingOf, type Source } from './naming.js';
import type { Network } from './network.js';
import type { Parameter } from './parameter.js';

/** A file's weights are not those of the network. */
export class WeightsError extends Error {
  override readonly name = 'WeightsError';
}

export interface RestoreOptions {
  /** False: the head keeps its initial values, whatever the file has (the reference's `--not_restore_classifier`). */
  readonly head: boolean;
}

/** What `restoreWeights` did, by name. */
export interface RestoreReport {
  readonly file: string;
  /** Whose weights they are: `torchvision's ResNet-101`. */
  readonly title: string;
  readonly loaded: readonly { readonly parameter: string; readonly tensor: string }[];
  /** Parameters of the head that keep their initial values because `head` was false. */
  readonly skipped: readonly string[];
  /** Tensors of the file that the network has no place for: classifiers, momenta, counters. */
  readonly unused: readonly string[];
}

/** Whose weights a file holds, in words; null where that is not known. */
export const recogniseWeights = (file: TensorFile): string | null => namingOf(file)?.title ?? null;

/**
 * Writes a file's weights and running statistics into a network's parameters, one tensor at a time. Nothing is written
 * unless everything fits: every parameter is there (but the head's, if it is left out) and has the right shape.
 *
 * Filters of PyTorch are turned to HWIO. The first filters take up what a network multiplies its colours by, so that it is
 * given the colours themselves, 0 to 255, less their mean.
 *
 * @throws WeightsError that lists what is missing or misshaped, or says whose weights they are instead
 */
export async function restoreWeights(
  runtime: Runtime,
  network: Network,
  file: TensorFile,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { found, report } = matchWeights(network, file, options);
  for (const [parameter, source] of found) runtime.write(parameter, await readWeights(file, parameter, source));
  return report;
}

export interface WeightsMatch {
  readonly found: ReadonlyMap<Parameter, Source>;
  readonly report: RestoreReport;
}

/** Finds the tensor for every parameter, without reading any. Throws as `restoreWeights` does. */
export function matchWeights(network: Network, file: TensorFile, { head }: RestoreOptions): WeightsMatch {
  const naming = namingOf(file);
  if (!naming)
    throw new WeightsError(
      `${file.file} does not hold weights of a known network: ${list([...file.entries.keys()], 4)}. ` +
        'Known are the names of TF-Slim, of torchvision and of this program.',
    );
  refuseOtherNetwork(file, naming, network.backbone);
  const found = new Map<Parameter, Source>();
  const skipped: string[] = [];
  const missing: Parameter[] = [];
  const misfits: { readonly parameter: Parameter; readonly line: string }[] = [];
  for (const parameter of network.parameters) {
    if (parameter.part === 'head' && !head) {
      skipped.push(parameter.name);
      continue;
    }
    const source = naming.find(parameter.name.slice(network.backbone.name.length + 1));
    const entry = source && file.entries.get(source.name);
    if (!entry) missing.push(parameter);
    else if (!sameShape(shapeIn(entry, source.layout, parameter), parameter.shape)) {
      const line = `${entry.name} is ${showShape(entry.shape)}, ${parameter.name} has ${showShape(parameter.shape)}`;
      misfits.push({ parameter, line });
    } else found.set(parameter, source);
  }
  const problems = [...missing.map(({ name }) => `${name} is missing`), ...misfits.map(({ line }) => line)];
  if (problems.length > 0) {
    const onlyHead = [...missing, ...misfits.map(({ parameter }) => parameter)].every(({ part }) => part === 'head');
    throw new WeightsError(
      `${file.file} (${naming.title}) does not fit ${network.backbone.name} with the head ${network.head}:` +
        `\n  ${list(problems, 8, '\n  ')}${onlyHead ? HEAD_ADVICE : ''}`,
    );
  }
  const used = new Set([...found.values()].map(({ name }) => name));
  const report = {
    file: file.file,
    title: naming.title,
    loaded: [...found].map(([parameter, source]) => ({ parameter: parameter.name, tensor: source.name })),
    skipped,
    unused: [...file.entries.keys()].filter((name) => !used.has(name)),
  };
  return { found, report };
}

const HEAD_ADVICE = '\nOnly the head does not fit: leave it out (--not-restore-head) to start with a new one.';

/** Networks of the same shapes that compute different things are told apart here. */
function refuseOtherNetwork(file: TensorFile, naming: Naming, backbone: BackboneDescription): void {
  if (naming.root === backbone.name) return;
  const advice = naming.fits ? ` Choose the backbone ${naming.fits} for them.` : '';
  const variants =
    naming.variant !== null && naming.variant !== backbone.variant
      ? ` ${VARIANTS[backbone.family] ?? 'The two compute different things from the same shapes.'}`
      : '';
  throw new WeightsError(
    `${file.file} holds ${naming.title}, the network is ${backbone.name} (${backbone.variant}).${variants}${advice}`,
  );
}

/** What sets the variants of a family apart. */
const VARIANTS: Readonly<Record<string, string>> = {
  'resnet-v1':
    "TF-Slim's ResNet strides in the last unit of a block and torchvision's in the first, and their batch norms have different epsilons: the shapes are the same, the results are not.",
};

/** The shape a stored tensor has once it is laid out as the parameter is. */
function shapeIn({ shape }: TensorEntry, layout: Layout, parameter: Parameter): Shape {
  if (layout === 'same' || shape.length !== 4) return shape;
  const [out, inner, height, width] = shape as [number, number, number, number];
  if (layout === 'oihw') return [height, width, inner, out];
  const channels = parameter.shape[2]!;
  return [height, width, channels, (out * inner) / channels];
}

/** The value of a parameter, out of the file. */
export async function readWeights(
  file: TensorFile,
  parameter: Parameter,
  { name, layout, inputScale }: Source,
): Promise<HostTensor> {
  const stored = toHostTensor(await file.read(name), file.file, name);
  const data = stored.dtype === 'f32' ? stored.data : new Float32Array(stored.data);
  if (layout === 'same') return { shape: parameter.shape, dtype: 'f32', data };
  const [height, width, channels, filters] = parameter.shape as [number, number, number, number];
  const values = new Float32Array(data.length);
  const area = height * width;
  const strides =
    layout === 'oihw' ? { channel: area, filter: channels * area } : { channel: filters * area, filter: area };
  // Block by block, so that neither the reads nor the writes stray over the whole tensor.
  for (let c0 = 0; c0 < channels; c0 += BLOCK)
    for (let f0 = 0; f0 < filters; f0 += BLOCK)
      for (let c = c0; c < Math.min(c0 + BLOCK, channels); c++) {
        const scale = inputScale?.[c] ?? 1;
        for (let f = f0; f < Math.min(f0 + BLOCK, filters); f++) {
          const from = c * strides.channel + f * strides.filter;
          const to = c * filters + f;
          for (let at = 0; at < area; at++) values[at * channels * filters + to] = data[from + at]! * scale;
        }
      }
  return { shape: parameter.shape, dtype: 'f32', data: values };
}

const BLOCK = 16;

/** The first of some lines, and how many more there are. */
function list(lines: readonly string[], most: number, separator = ', '): string {
  const more = lines.length > most ? [`and ${lines.length - most} more`] : [];
  return [...lines.slice(0, most), ...more].join(separator);
}
