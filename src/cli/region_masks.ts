/** Region masks made from photos, for unsupervised training where there are none; kept on disk. */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { oversegment } from '../contours/oversegmentation.js';
import type { Dataset } from '../data/dataset.js';
import type { PackedImage } from '../data/decode.js';
import type { RgbImage } from '../data/image.js';
import { encodeIdPng } from '../data/png.js';
import { type RegionRule, regionPath } from '../data/region_rule.js';
import { writeFileAtomic } from '../platform/files.node.js';
import type { RunConfig } from './config_schema.js';
import { Progress } from './progress.js';
import { exists } from './run_folder.js';

/** To be raised whenever the same photo gives other regions: masks that were made before don't count then. */
const METHOD = 1;

/** Where masks are kept, below the current folder. */
const CACHE = join('runs', 'regions');

/**
 * The rule for masks of `regionsPerImage` regions of every photo of a data set. Those that are missing are made: a second or two each.
 * An interrupted start goes on where it ended.
 */
export async function photoRegions(
  dataset: Dataset,
  { root, regionsPerImage }: Pick<RunConfig['data'], 'root' | 'regionsPerImage'>,
  cache = CACHE,
): Promise<RegionRule> {
  const settings = JSON.stringify({ method: METHOD, root: resolve(root), regionsPerImage });
  const key = createHash('sha256').update(settings).digest('hex').slice(0, 12);
  const folder = resolve(cache, `${basename(root)}-${regionsPerImage}-${key}`);
  const rule: RegionRule = { template: `${folder}/{path}.png` };
  const paths = dataset.list.entries.map((entry) => regionPath(rule, entry, dataset.list.file));
  const missing: number[] = [];
  for (const [index, path] of paths.entries()) if (!(await exists(path))) missing.push(index);
  if (missing.length === 0) return rule;
  using progress = new Progress({ label: 'making region masks', total: missing.length });
  for (const [done, index] of missing.entries()) {
    const image = rgbOf(await dataset.load(index));
    const { width, height, data } = oversegment(image).regions(regionsPerImage);
    await mkdir(dirname(paths[index]!), { recursive: true });
    await writeFileAtomic(paths[index]!, encodeIdPng({ width, height, data: Uint16Array.from(data) }));
    progress.update(done + 1);
  }
  return rule;
}

/** The colours of a packed image. */
export function rgbOf({
  width,
  height,
  pixels,
}: Omit<PackedImage, 'ids' | 'pixels'> & { readonly pixels: Uint32Array }): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (const [pixel, word] of pixels.entries())
    for (let channel = 0; channel < 3; channel++) data[pixel * 3 + channel] = (word >>> (8 * channel)) & 255;
  return { width, height, data };
}
