/** Region masks made from photos, for unsupervised training where there are none; kept on disk. */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { OVERSEGMENTATION } from '../../contours/oversegmentation.js';
import { decodeImage, encodeIdPng } from '../../data/codecs.js';
import { Dataset } from '../../data/dataset.js';
import { type RegionRule, regionPath } from '../../data/region_rule.js';
import { writeFileAtomic } from '../../platform/files.node.js';
import { Manifest } from '../contours_manifest.js';
import { UsageError } from '../errors.js';
import { requireApart } from '../output_files.js';
import { Progress } from '../progress.js';
import { divide, type RegionMaker, startRegionMakers } from './region_threads.js';

/**
 * Where the mask of each image of a data set is, or will be, in a folder of masks.
 *
 * @throws UsageError where two images would have one
 */
export function maskPaths({ list }: Dataset, folder: string): string[] {
  const rule = { template: join(folder, '{path}.png') };
  const images = new Map<string, string>();
  return list.entries.map((entry) => {
    const path = resolve(regionPath(rule, entry, list.file));
    const other = images.get(path);
    if (other !== undefined && other !== entry.image)
      throw new UsageError(`${list.file}: ${other} and ${entry.image} would share the region mask ${path}; rename one`);
    images.set(path, entry.image);
    return path;
  });
}

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
 * The rule for masks of so many regions of every photo of a data set. Those that are missing, or were made from another
 * photo of the same name, are made: a second or two of one thread each. An interrupted start goes on where it ended.
 */
export async function photoRegions(
  dataset: Dataset,
  { root, regionsPerImage, workers, cache = CACHE }: PhotoRegionOptions,
): Promise<RegionRule> {
  const settings = JSON.stringify({ method: OVERSEGMENTATION, root: resolve(root), regionsPerImage });
  const key = createHash('sha256').update(settings).digest('hex').slice(0, 12);
  const folder = resolve(cache, `${basename(root)}-${regionsPerImage}-${key}`);
  const rule: RegionRule = { template: `${folder}/{path}.png` };
  const masks = maskPaths(dataset, folder);
  await requireApart([...new Set(masks)], folder, dataset);
  const known = await Manifest.open(join(folder, 'contours.json'), settings);
  const photos = new Dataset(dataset.source, dataset.list, { labels: false });
  const photo = async (index: number) => (await photos.readFiles(index)).image;
  const missing: { readonly index: number; readonly path: string }[] = [];
  {
    using progress = new Progress({ label: 'looking for region masks', total: masks.length });
    for (const [index, path] of masks.entries()) {
      const { file, bytes } = await photo(index);
      if (!(await known.has(file, bytes, path))) missing.push({ index, path });
      progress.update(index + 1);
    }
  }
  if (missing.length === 0) return rule;
  using progress = new Progress({ label: 'making region masks', total: missing.length });
  const makers = await startRegionMakers(workers, missing.length);
  let next = 0;
  let done = 0;
  const work = async (maker: RegionMaker) => {
    for (let job = missing[next++]; job; job = missing[next++]) {
      const { file, bytes } = await photo(job.index);
      const image = decodeImage(bytes, file);
      const { width, height } = image;
      const data = await divide(maker, image, regionsPerImage);
      await mkdir(dirname(job.path), { recursive: true });
      await writeFileAtomic(job.path, encodeIdPng({ width, height, data }));
      await known.add(file, bytes);
      progress.update(++done);
    }
  };
  try {
    await Promise.all(makers.map(work));
  } finally {
    await Promise.all(makers.map((maker) => maker[Symbol.asyncDispose]()));
    await known.save();
  }
  return rule;
}
