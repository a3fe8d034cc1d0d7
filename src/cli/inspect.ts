/** `segsort inspect`: what a checkpoint holds. */
import { Command, Option } from 'commander';
import { type Summary, summarize } from '../checkpoints/summary.js';
import type { TensorEntry, TensorFile } from '../checkpoints/tensor_file.js';
import { recogniseWeights } from '../models/weights.js';
import { showShape, sizeOf } from '../tensor/types.js';
import { openCheckpoint } from './checkpoint_file.js';
import { UsageError } from './errors.js';
import { formatTable } from './table.js';

interface InspectOptions {
  readonly match?: string;
  readonly values: boolean;
  readonly json?: boolean;
}

interface Row extends TensorEntry {
  /** Null where the values were not read: strings, objects, or with `--no-values`. */
  readonly summary: Summary | null;
}

const HELP = `
Reads TensorFlow checkpoints (one file, or .index with its .data files), PyTorch's .pth and .pt, safetensors, .npy and
.npz; a file's contents say which it is, not its name.

Examples:
  segsort inspect resnet_v1_101.ckpt
  segsort inspect snapshots/model.ckpt-30000
  segsort inspect resnet101.pth --match layer4 --json
`;

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('list the tensors of a checkpoint: names, types, shapes, statistics')
    .argument('<file>', 'a checkpoint of any known format')
    .addOption(new Option('--match <text>', 'only tensors whose name contains this'))
    .addOption(new Option('--no-values', 'do not read the values, only the list'))
    .addOption(new Option('--json', 'print JSON'))
    .addHelpText('after', HELP)
    .action(inspect);
}

async function inspect(path: string, options: InspectOptions): Promise<void> {
  await using file = await openCheckpoint(path);
  const chosen = [...file.entries.values()].filter(({ name }) => name.includes(options.match ?? ''));
  if (chosen.length === 0 && options.match !== undefined)
    throw new UsageError(`${path}: none of its ${file.entries.size} tensors has ${options.match} in its name`);
  const rows: Row[] = [];
  for (const entry of chosen) {
    const summary = options.values && entry.dtype ? summarize(await file.read(entry.name)) : null;
    rows.push({ ...entry, summary });
  }
  console.log(options.json ? asJson(file, rows) : asText(file, rows));
}

function asJson(file: TensorFile, rows: readonly Row[]): string {
  const { format, metadata } = file;
  return JSON.stringify({ file: file.file, format, model: recogniseWeights(file), metadata, tensors: rows }, null, 2);
}

function asText(file: TensorFile, rows: readonly Row[]): string {
  const elements = rows.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  const model = recogniseWeights(file);
  const facts = [
    `${file.file}: ${file.format}${model ? `, ${model}` : ''}`,
    `${rows.length} tensors, ${elements.toLocaleString('en')} elements, ${bytes.toLocaleString('en')} bytes`,
    ...Object.entries(file.metadata).map(([key, value]) => `${key}: ${value}`),
  ];
  const heading = ['tensor', 'type', 'shape', 'mean', 'deviation', 'least', 'most', 'not finite'];
  const body = rows.map(({ name, dtype, storedAs, shape, summary }) => [
    name,
    dtype ?? storedAs,
    showShape(shape),
    ...[summary?.mean, summary?.deviation, summary?.least, summary?.most].map(brief),
    summary && summary.nonFinite > 0 ? String(summary.nonFinite) : '',
  ]);
  return `${facts.join('\n')}\n\n${formatTable(heading, body)}`;
}

const brief = (value: number | null | undefined): string =>
  value === null || value === undefined ? '' : Number.isInteger(value) ? String(value) : value.toPrecision(4);
