/** The Berkeley segmentation data set, laid out as `segsort data lists bsds500` expects it, with the segmentations that humans made. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ContourGrid } from '../src/contours/grid.js';
import { decodeImage, decodeLabels, type RgbImage } from '../src/data/codecs.js';
import { parseList } from '../src/data/lists.js';

export interface BsdsImage {
  readonly id: string;
  image(): Promise<RgbImage>;
  /** The data set's own hierarchy (gPb-owt-ucm). */
  ucm(): Promise<ContourGrid>;
  /** A map of regions for each annotator: `human/ID_*.png`. */
  humans(): Promise<Uint8Array[]>;
}

export async function openBsds(folder: string, list: string): Promise<BsdsImage[]> {
  const bytes = (path: string) => readFile(join(folder, path));
  const { entries } = parseList(await readFile(join(folder, list), 'utf8'), list);
  const annotations = await readdir(join(folder, 'human'));
  return entries.map(({ image, label }) => {
    const id = basename(image).replace(/\.[^.]*$/, '');
    return {
      id,
      image: async () => decodeImage(await bytes(image), image),
      ucm: async () => {
        if (label === null) throw new Error(`${list}: ${image} has no hierarchy beside it`);
        const { width, height, data } = decodeLabels(await bytes(label), label);
        return {
          width: (width - 1) / 2,
          height: (height - 1) / 2,
          data: Float32Array.from(data, (value) => value / 255),
        };
      },
      humans: async () => {
        const own = annotations.filter((name) => name.startsWith(`${id}_`)).sort();
        return Promise.all(own.map(async (name) => decodeLabels(await bytes(join('human', name)), name).data));
      },
    };
  });
}
