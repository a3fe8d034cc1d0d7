/**
 * How well the contours and regions found in photographs agree with those that humans drew, beside the gPb-owt-ucm hierarchies that
 * come with BSDS500 and beside the humans themselves, by one evaluator:
 *
 *   node scripts/run_bench.mjs contours [../shared/data/bsds500] [val.txt] [out=bench/results] [thresholds=99]
 *
 * Writes contours-bsds500-LIST.json, and the table in docs/contours.md where the list is val.txt.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { type ContourGrid, gridOfRegions } from '../src/contours/grid.js';
import { OVERSEGMENTATION, oversegment } from '../src/contours/oversegmentation.js';
import {
  BOUNDARY_TOLERANCE,
  BoundaryBenchmark,
  type BoundaryPoint,
  boundaryCounts,
  evenThresholds,
  humanAgreement,
} from '../src/evaluation/boundaries.js';
import { type HierarchyScore, RegionBenchmark, regionAgreements } from '../src/evaluation/boundaries_regions.js';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { openBsds } from './bsds.js';

const [folder = '../shared/data/bsds500', list = 'val.txt', out = 'bench/results', steps = '99'] =
  process.argv.slice(2);
const images = await openBsds(folder, list);
const thresholds = evenThresholds(Number(steps));

/** A hierarchy of regions, scored. */
class Method {
  readonly boundaries = new BoundaryBenchmark(thresholds);
  readonly regions = new RegionBenchmark(thresholds);

  add(contours: ContourGrid, humans: readonly Uint8Array[]): void {
    this.boundaries.add(boundaryCounts(contours, humans, thresholds));
    this.regions.add(regionAgreements(contours, humans, thresholds));
  }

  score() {
    return { boundaries: this.boundaries.score(), regions: this.regions.score() };
  }
}

const ours = new Method();
const theirs = new Method();
const humanRegions = new RegionBenchmark([0.5]);
const annotated: { width: number; height: number; humans: Uint8Array[] }[] = [];
let milliseconds = 0;
for (const [index, entry] of images.entries()) {
  const image = await entry.image();
  const { width, height } = image;
  const humans = await entry.humans();
  const start = process.cpuUsage();
  const hierarchy = oversegment(image);
  milliseconds += process.cpuUsage(start).user / 1e3;
  ours.add(hierarchy.grid(), humans);
  theirs.add(await entry.ucm(), humans);
  for (const [i, human] of humans.entries())
    if (humans.length > 1)
      humanRegions.add(
        regionAgreements(
          gridOfRegions(width, height, human),
          humans.filter((_, j) => j !== i),
          [0.5],
        ),
      );
  annotated.push({ width, height, humans });
  console.log(`${index + 1}/${images.length} ${entry.id}`);
}

const report = {
  list,
  images: images.length,
  humans: annotated.reduce((sum, { humans }) => sum + humans.length, 0),
  tolerance: BOUNDARY_TOLERANCE,
  thresholds: thresholds.length,
  settings: JSON.parse(OVERSEGMENTATION),
  /** CPU time of this process for one image, from pixels to hierarchy, on a machine that others used too. */
  cpuSecondsPerImage: milliseconds / 1e3 / images.length,
  machine: { cpu: cpus()[0]?.model ?? 'unknown', node: process.version },
  date: new Date().toISOString(),
  ours: ours.score(),
  gpbOwtUcm: theirs.score(),
  humanAgreement: { boundaries: humanAgreement(annotated), regions: humanRegions.score() },
};
await mkdir(out, { recursive: true });
const file = join(out, `contours-bsds500-${basename(list, '.txt')}.json`);
await writeFileAtomic(file, `${JSON.stringify(report, null, 2)}\n`);
const shown = table();
console.log(`${shown}\n\nwritten: ${file}`);
if (list === 'val.txt') await writeTable('docs/contours.md', shown);

function table(): string {
  const digits = (value: number) => value.toFixed(3);
  const row = (
    name: string,
    f: { ods: Pick<BoundaryPoint, 'f'>; ois?: { f: number }; averagePrecision?: number },
    { covering, rand, variation }: HierarchyScore,
    levels: boolean,
  ) => {
    const several = (value: number | undefined) => (levels && value !== undefined ? digits(value) : '');
    const cells = [
      ...[name, digits(f.ods.f), several(f.ois?.f), several(f.averagePrecision)],
      ...[digits(covering.ods), several(covering.ois), several(covering.best)],
      ...[digits(rand.ods), several(rand.ois), digits(variation.ods), several(variation.ois)],
    ];
    return `| ${cells.join(' | ')} |`;
  };
  const { ours, gpbOwtUcm, humanAgreement: human } = report;
  return [
    '| | F, ODS | F, OIS | AP | covering, ODS | OIS | best | PRI, ODS | OIS | VI, ODS | OIS |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    row('this project', ours.boundaries, ours.regions, true),
    row("gPb-owt-ucm, the data set's", gpbOwtUcm.boundaries, gpbOwtUcm.regions, true),
    row('humans, each against the others', { ods: human.boundaries }, human.regions, false),
  ].join('\n');
}

/** Replaces what stands between the two comments. */
async function writeTable(path: string, text: string): Promise<void> {
  const [from, to] = ['<!-- figures -->', '<!-- end of figures -->'];
  const page = await readFile(path, 'utf8');
  const [start, end] = [page.indexOf(from), page.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`${path}: the comments ${from} and ${to} are not there`);
  await writeFileAtomic(path, `${page.slice(0, start + from.length)}\n${text}\n${page.slice(end)}`);
}
