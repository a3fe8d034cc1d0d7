/** `segsort data check`: everything that would stop or spoil a long run, before it is started. */
import { basename } from 'node:path';
import { Command, Option } from 'commander';
import { DESCRIPTIONS } from '../data/builtin_descriptions.js';
import { checkDataset, type Extremes, type ListFinding, type ListReport } from '../data/check.js';
import type { Dataset } from '../data/dataset.js';
import { type DataDescription, datasetOptions } from '../data/description.js';
import { parseDescription } from '../data/description_file.js';
import { parseRegionRule } from '../data/region_rule.js';
import { findClasses, findDescription, findList, openList } from './data_folder.js';
import { EXIT, UsageError } from './errors.js';
import { wholeNumber } from './options.js';
import { Progress } from './progress.js';
import { exists } from './run_folder.js';
import { formatTable, percent } from './table.js';

interface CheckOptions {
  readonly as?: keyof typeof DESCRIPTIONS;
  readonly classes?: string;
  readonly regions?: string;
  readonly workers?: number;
  readonly show: number;
  readonly json?: boolean;
}

/** What `--json` prints. */
export interface CheckReport {
  readonly folder: string;
  /** Name of the description; null where label values were counted, not judged. */
  readonly description: string | null;
  readonly errors: number;
  readonly warnings: number;
  readonly lists: readonly ListReport[];
  /** What is wrong between the lists. */
  readonly findings: readonly ListFinding[];
}

export function dataCheckCommand(): Command {
  return new Command('check')
    .description(
      'read and decode every file of lists, report everything that is wrong, count the pixels of the classes',
    )
    .argument('<folder>', 'folder of the data set')
    .argument('[lists...]', 'lists to check (default: those of dataset.json, or train.txt and val.txt)')
    .addOption(
      new Option('--as <name>', "what the data set is (default: the folder's dataset.json)").choices(
        Object.keys(DESCRIPTIONS),
      ),
    )
    .option('--classes <file or n>', 'class names, or their number, where there is no dataset.json')
    .option('--regions <rule>', 'where region masks lie, such as segcls=hed or hed/{name}.png')
    .option('--workers <n>', 'threads that decode; 0: none', wholeNumber(0))
    .option('--show <n>', 'problems of a list that are printed; 0: all', wholeNumber(0), 20)
    .option('--json', 'print the report as JSON')
    .helpOption('-h, --help', 'print this help')
    .action(async (folder: string, lists: string[], options: CheckOptions) => {
      const report = await check(folder, lists, options);
      console.log(options.json ? JSON.stringify(report, null, 2) : describeCheck(report, options.show));
      if (report.errors > 0) process.exitCode = EXIT.failure;
    });
}

async function check(folder: string, lists: readonly string[], options: CheckOptions): Promise<CheckReport> {
  if (!(await exists(folder))) throw new UsageError(`there is no folder ${folder}`);
  const description = await descriptionFor(folder, options);
  const datasets: Dataset[] = [];
  for (const list of lists.length > 0 ? lists : await listsOf(folder, description))
    datasets.push(
      await openList(folder, list, 'list', {
        ...(description ? datasetOptions(description) : {}),
        ...(options.regions === undefined ? {} : { regions: parseRegionRule(options.regions) }),
      }),
    );
  const reports: ListReport[] = [];
  for (const dataset of datasets) {
    using progress = new Progress({ label: basename(dataset.list.file), total: dataset.length });
    const { workers } = options;
    const onProgress = (done: number) => progress.update(done);
    reports.push(
      await checkDataset(dataset, { description, onProgress, ...(workers === undefined ? {} : { workers }) }),
    );
  }
  const findings = [...overlaps(datasets)];
  const count = (severity: ListFinding['severity']) =>
    [...findings, ...reports.flatMap((report) => report.findings)].filter((each) => each.severity === severity).length;
  return {
    folder,
    description: description?.name ?? null,
    errors: count('error'),
    warnings: count('warning'),
    lists: reports,
    findings,
  };
}

async function descriptionFor(folder: string, { as, classes }: CheckOptions): Promise<DataDescription | null> {
  if (as && classes !== undefined) throw new UsageError('--as and --classes both say what the classes are');
  if (as) return DESCRIPTIONS[as];
  if (classes === undefined) return findDescription(folder);
  return parseDescription({ name: '--classes', classes: await findClasses(folder, classes) }, '--classes');
}

async function listsOf(folder: string, description: DataDescription | null): Promise<string[]> {
  const described = Object.values(description?.lists ?? {});
  if (described.length > 0) return described;
  const usual = await Promise.all((['train', 'val'] as const).map((kind) => findList(folder, kind)));
  const found = usual.filter((list) => list !== null);
  if (found.length === 0) throw new UsageError(`${folder} has neither train.txt nor val.txt; name the lists to check`);
  return found;
}

/** Images that a list to train on shares with one to be tested on. */
function* overlaps(datasets: readonly Dataset[]): Generator<ListFinding> {
  const named = (pattern: RegExp) => datasets.filter(({ list }) => pattern.test(basename(list.file)));
  for (const training of named(/^train(?!val)/))
    for (const held of named(/^(val|test)/)) {
      const images = new Set(training.names);
      const shared = held.names.filter((name) => images.has(name));
      if (shared.length > 0)
        yield {
          severity: 'warning',
          file: held.list.file,
          line: 0,
          reason: `${shared.length} of its images are in ${basename(training.list.file)} too, the first is ${shared[0]}`,
        };
    }
}

/** The report as text; `show` findings a list, 0 for all. */
export function describeCheck(report: CheckReport, show: number): string {
  const parts = report.lists.map((list) => describeList(list, show));
  if (report.findings.length > 0) parts.push(describeFindings(report.findings, show));
  if (report.description === null)
    parts.push('The folder has no dataset.json, so label values were counted, but not judged; see --as and --classes.');
  parts.push(`${counted(report.errors, 'error')}, ${counted(report.warnings, 'warning')}`);
  return parts.join('\n\n');
}

function describeList(list: ListReport, show: number): string {
  const { samples, labelled, palettes, unlabelled, classes } = list;
  const heading = [
    `${list.list}: ${counted(samples, 'image')}`,
    ...(list.heights && list.widths ? [`${span(list.heights)} x ${span(list.widths)} pixels (height x width)`] : []),
    ...(labelled > 0 ? [`${labelled} with labels (${labelled - palettes} grey, ${palettes} palette)`] : []),
    ...(unlabelled > 0 ? [`${unlabelled} without`] : []),
    ...(list.instances ? [`${span(list.instances)} objects an image`] : []),
    ...(list.regions ? [`${span(list.regions)} regions an image`] : []),
  ].join(', ');
  const all = classes.reduce((sum, { pixels }) => sum + pixels, 0);
  const rows = classes.map(({ name, pixels, images }) => [name, `${pixels}`, percent(pixels / all), `${images}`]);
  return [
    heading,
    ...(rows.length > 0 ? [formatTable(['class', 'pixels', '%', 'images'], rows)] : []),
    ...(list.findings.length > 0 ? [describeFindings(list.findings, show)] : []),
  ].join('\n\n');
}

/** Errors first, each with its line. */
function describeFindings(findings: readonly ListFinding[], show: number): string {
  const ordered = (['error', 'warning'] as const).flatMap((severity) =>
    findings.filter((each) => each.severity === severity),
  );
  const shown = show === 0 ? ordered : ordered.slice(0, show);
  const lines = shown.map(
    ({ severity, line, file, reason }) => `${severity}: ${line > 0 ? `line ${line}: ` : ''}${file}: ${reason}`,
  );
  if (shown.length < ordered.length) lines.push(`... and ${ordered.length - shown.length} more; --show 0 prints all`);
  return lines.join('\n');
}

const span = ({ least, most }: NonNullable<Extremes>): string => (least === most ? `${least}` : `${least}-${most}`);
/** `1 image`, `2 images` */
export const counted = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
