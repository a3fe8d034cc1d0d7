/** Region masks made from photos, for unsupervised training where there are none; kept on disk. */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { OVERSEGMENTATION } from '../../contours/oversegmentation.js';
import type { Dataset } from '../../data/dataset.js';
import { unpackPixels } from '../../data/decode.js';
import { encodeIdPng } from '../../data/png.js';
import { type RegionRule, regionPath } from '../../data/region_rule.js';
import { writeFileAtomic } from '../../platform/files.node.js';
import { Progress } from '../progress.js';
import { exists } from '../run_folder.js';
import { divide, type RegionMaker, startRegionMakers } from './region_threads.js';

/** Where masks are kept, below the current folder. */
const CACHE = join('runs', 'regions');

/** What masks depend on, and how many threads make them (null: as many as the machine has). */
export interface PhotoRegionOptions {
  readonly root: string;
  readonly regionsPerImage: number;
  readonly workers: number | null;
  readonly cache?: string;
}

/**
 * The rule for masks of so many regions of every photo of a data set. Those that are missing are made: a second or two
 * of one thread each. An interrupted start goes on where it ended.
 */
export async function photoRegions(
  dataset: Dataset,
  { root, regionsPerImage, workers, cache = CACHE }: PhotoRegionOptions,
): Promise<RegionRule> {
  const settings = JSON.stringify({ method: OVERSEGMENTATION, root: resolve(root), regionsPerImage });
  const key = createHash('sha256').update(settings).digest('hex').slice(0, 12);
  const folder = resolve(cache, `${basename(root)}-${regionsPerImage}-${key}`);
  const rule: RegionRule = { template: `${folder}/{path}.png` };
  const missing: { readonly index: number; readonly path: string }[] = [];
  for (const [index, entry] of dataset.list.entries.entries()) {
    const path = regionPath(rule, entry, dataset.list.file);
    if (!(await exists(path))) missing.push({ index, path });
  }
  if (missing.length === 0) return rule;
  using progress = new Progress({ label: 'making region masks', total: missing.length });
  const makers = await startRegionMakers(workers, missing.length);
  let next = 0;
  let done = 0;
  const work = async (maker: RegionMaker) => {
    for (let job = missing[next++]; job; job = missing[next++]) {
      const { image } = unpackPixels(await dataset.load(job.index));
      const { width, height } = image;
      const data = await divide(maker, image, regionsPerImage);
      await mkdir(dirname(job.path), { recursive: true });
      await writeFileAtomic(job.path, encodeIdPng({ width, height, data }));
      progress.update(++done);
    }
  };
  try {
    await Promise.all(makers.map(work));
  } finally {
    await Promise.all(makers.map((maker) => maker[Symbol.asyncDispose]()));
  }
  return rule;
}
