/** Results on disk. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../../src/platform/files.node.js';
import { type BenchResults, entryOf, isMeasured } from './results.js';
import { rooflineSvg } from './roofline.js';

/** Writes the JSON and, where something was measured, a roofline beside it. Returns the names of what was written. */
export async function writeResults(file: string, results: BenchResults): Promise<string[]> {
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify(results, null, 1)}\n`);
  const measured = results.rows.some((row) => results.contenders.some(({ name }) => isMeasured(entryOf(row, name))));
  if (!measured) return [file];
  const picture = file.replace(/(\.json)?$/, '.svg');
  await writeFileAtomic(picture, rooflineSvg(results));
  return [file, picture];
}
