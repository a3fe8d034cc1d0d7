/** `segsort convert`: any checkpoint as safetensors. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { streamSafetensors } from '../checkpoints/safetensors_writer.js';
import { writeFileStreamed } from '../platform/files.node.js';
import { openCheckpoint } from './checkpoint_file.js';
import { UsageError } from './errors.js';

const HELP = `
Names, types and layouts stay as they are: \`segsort train --weights\` knows them by their names, whatever the format. One
tensor is in memory at a time. Strings and objects, which safetensors cannot hold, are left out and listed.

Examples:
  segsort convert resnet_v1_101.ckpt resnet_v1_101.safetensors
  segsort convert model.ckpt-30000 segsort.safetensors
  segsort convert resnet101.pth resnet101.safetensors
`;

export function convertCommand(): Command {
  return new Command('convert')
    .description('write any checkpoint as safetensors')
    .argument('<in>', 'a checkpoint of any known format (see `segsort inspect --help`)')
    .argument('<out>', 'the safetensors file to write')
    .addHelpText('after', HELP)
    .action(convert);
}

async function convert(from: string, to: string): Promise<void> {
  if (!to.endsWith('.safetensors')) throw new UsageError(`${to}: safetensors is what can be written; name it so`);
  if (resolve(from) === resolve(to)) throw new UsageError(`${to} is the file to be read; name another`);
  await using file = await openCheckpoint(from);
  const entries = [...file.entries.values()];
  const heads = entries.flatMap(({ name, dtype, shape }) => (dtype ? [[name, { dtype, shape }] as const] : []));
  if (heads.length === 0) throw new UsageError(`${from} (${file.format}) has no tensors of numbers`);
  const metadata = { ...file.metadata, converted_from: file.format };
  await writeFileStreamed(
    to,
    streamSafetensors(heads, (name) => file.read(name), metadata),
  );
  const left = entries.filter(({ dtype }) => dtype === null).map(({ name, storedAs }) => `\n  ${name} (${storedAs})`);
  console.log(`${heads.length} tensors written to ${to}`);
  if (left.length > 0) console.log(`left out, because they are no numbers:${left.join('')}`);
}
