/** `segsort contours`: region masks made from photos alone, for unsupervised training. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ContourGrid } from '../contours/grid.js';
import type { RegionHierarchy } from '../contours/hierarchy.js';
import { OVERSEGMENTATION } from '../contours/oversegmentation.js';
import { decodeImage, encodeGreyPng, encodeIdPng, encodePng, type RgbImage } from '../data/codecs.js';
import type { Dataset } from '../data/dataset.js';
import { DataError } from '../data/errors.js';
import { FileError } from '../platform/files.js';
import { writeFileAtomic } from '../platform/files.node.js';
import { boundaries, type IdMap } from '../viz/maps.js';
import { Manifest } from './contours_manifest.js';
import { openList } from './data_folder.js';
import { EXIT, UsageError } from './errors.js';
import { wholeNumber } from './options.js';
import { requireApart, requireNew } from './output_files.js';
import { Progress } from './progress.js';
import { exists } from './run_folder.js';
import { type BadImage, describeBadImages } from './segmenting/inputs.js';
import { WITHOUT_REGIONS } from './segmenting/segmentation.js';
import { maskPaths } from './training/region_masks.js';
import { type RegionMaker, startRegionMakers } from './training/region_threads.js';

interface ContoursOptions {
  readonly out: string;
  readonly regions?: number;
  readonly level?: number;
  readonly ucm?: boolean;
  readonly outlines?: boolean;
  readonly workers?: number;
}

const MANIFEST = 'contours.json';
const DEFAULT_REGIONS = 40;
/** Masks are made of 16 bits a pixel, and the last id says that there is none. */
const MOST_REGIONS = 65535;

const HELP = `
Writes OUT/PATH.png for every image PATH.jpg of the list, a 16-bit grey PNG of region numbers from 0. Images are
passed over whose masks are there already, made with the same settings from the same files. To train on the masks, name
them from the root on, as is printed at the end; other paths lie in the folder of the data set:
  segsort train --data DIR --preset voc12-unsupervised --regions "$PWD/OUT/{path}.png"

Examples:
  segsort contours VOCdevkit train+.txt --out regions
  segsort contours photos all.txt --out regions --level 0.2 --outlines
`;

export function contoursCommand(): Command {
  return new Command('contours')
    .description('divide photos into regions along their contours, for unsupervised training')
    .argument('<folder>', 'folder of the data set')
    .argument('<list>', 'list of images')
    .requiredOption('--out <folder>', 'where to write')
    .addOption(
      new Option('--regions <n>', `regions of an image (default: ${DEFAULT_REGIONS})`)
        .argParser(wholeNumber(1))
        .conflicts('level'),
    )
    .addOption(
      new Option('--level <p>', 'as many regions as contours of more than this probability enclose').argParser(share),
    )
    .option('--ucm', 'also write the hierarchy, PATH-ucm.png, as ultrametric contour map of twice the size')
    .option('--outlines', 'also write the image with its regions, PATH-outlines.png')
    .addOption(
      new Option('--workers <n>', 'threads (default: one less than the machine has)').argParser(wholeNumber(0)),
    )
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', HELP)
    .action(contours);
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new InvalidArgumentError('It must be from 0 to 1.');
  return value;
}

async function contours(folder: string, list: string, options: ContoursOptions): Promise<void> {
  const dataset = await openList(folder, list, 'list', WITHOUT_REGIONS);
  const out = resolve(options.out);
  if (out === resolve(folder))
    throw new UsageError('--out must not be the folder of the data set, whose images it could overwrite');
  const masks = maskPaths(dataset, out);
  const files = [...new Set(masks)].flatMap((mask) => [mask, ...besides(mask, options)]);
  await requireApart(files, out, dataset);
  if (!(await exists(join(out, MANIFEST)))) await requireNew(files, out);
  const known = await Manifest.open(join(out, MANIFEST), settingsOf(options));
  await known.save(); // from now on files of these settings may be there
  const bad: BadImage[] = [];
  const made = await divideAll(dataset, masks, known, options, bad);
  await known.save();
  const there = dataset.length - made - bad.length;
  console.log(`${made} images divided${there > 0 ? `, ${there} were already` : ''}; written to ${out}`);
  console.log(`region masks: ${join(out, '{path}.png')}`);
  if (bad.length === 0) return;
  console.error(describeBadImages(bad, dataset.length));
  process.exitCode = EXIT.failure;
}

/** Everything but the photos that the files depend on. */
function settingsOf({ regions = DEFAULT_REGIONS, level, ucm = false, outlines = false }: ContoursOptions): string {
  return JSON.stringify({
    method: OVERSEGMENTATION,
    ...(level === undefined ? { regions } : { level }),
    ucm,
    outlines,
  });
}

/** @returns how many images were divided */
async function divideAll(
  dataset: Dataset,
  masks: readonly string[],
  known: Manifest,
  options: ContoursOptions,
  bad: BadImage[],
): Promise<number> {
  const makers = await startRegionMakers(options.workers ?? null, dataset.length);
  using progress = new Progress({ label: 'dividing', total: dataset.length });
  let [next, done, made] = [0, 0, 0];
  const work = async (maker: RegionMaker) => {
    for (let index = next++; index < dataset.length; index = next++) {
      const entry = dataset.list.entries[index]!;
      try {
        const bytes = await dataset.source.read(entry.image);
        const mask = masks[index]!;
        if (!(await known.has(entry.image, bytes, mask))) {
          const image = decodeImage(bytes, entry.image);
          await write(mask, image, await maker.hierarchy(image), options);
          await known.add(entry.image, bytes);
          made++;
        }
      } catch (error) {
        if (!(error instanceof DataError) && !(error instanceof FileError)) throw error;
        bad.push({ name: entry.image, message: error.message });
      }
      progress.update(++done);
    }
  };
  try {
    await Promise.all(makers.map(work));
  } finally {
    await Promise.all(makers.map((maker) => maker[Symbol.asyncDispose]()));
  }
  return made;
}

async function write(
  mask: string,
  image: RgbImage,
  hierarchy: RegionHierarchy,
  { regions = DEFAULT_REGIONS, level, ucm, outlines }: ContoursOptions,
): Promise<void> {
  const { width, height, data, count } = level === undefined ? hierarchy.regions(regions) : hierarchy.regionsAt(level);
  const ids = { width, height, data: Uint16Array.from(data) };
  if (count > MOST_REGIONS) throw new DataError(null, `${mask}: ${count} regions do not fit in 16 bits; raise --level`);
  await mkdir(dirname(mask), { recursive: true });
  if (ucm) await writeFileAtomic(beside(mask, 'ucm'), encodeGreyPng(greyUcm(hierarchy.grid())));
  if (outlines) await writeFileAtomic(beside(mask, 'outlines'), encodePng(outlined(image, ids)));
  await writeFileAtomic(mask, encodeIdPng(ids));
}

const beside = (mask: string, suffix: 'ucm' | 'outlines') => mask.replace(/\.png$/, `-${suffix}.png`);

/** The files that are written with a mask. */
const besides = (mask: string, { ucm, outlines }: ContoursOptions): string[] => [
  ...(ucm ? [beside(mask, 'ucm')] : []),
  ...(outlines ? [beside(mask, 'outlines')] : []),
];

/** Strengths as whole numbers of 1/255, at twice the size of the image: the form that BSDS500's hierarchies are kept in. */
function greyUcm({ width, height, data }: ContourGrid) {
  return {
    width: 2 * width + 1,
    height: 2 * height + 1,
    data: Uint8Array.from(data, (value) => Math.round(255 * value)),
  };
}

const OUTLINE = [255, 40, 40] as const;

function outlined(image: RgbImage, ids: IdMap): RgbImage {
  const data = Uint8Array.from(image.data);
  for (const [pixel, edge] of Array.from(boundaries(ids).data).entries()) if (edge) data.set(OUTLINE, 3 * pixel);
  return { ...image, data };
}
