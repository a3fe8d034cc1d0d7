/** `segsort evaluate`: scores a run on held-out images. */
import { basename } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Dataset } from '../data/dataset.js';
import type { PrototypeTable } from '../segsort/prototype_table.js';
import { openList } from './data_folder.js';
import { UsageError } from './errors.js';
import { addCommonFlags, type CommonOptions } from './options.js';
import { addRetrievalFlags, firstOf, loadPrototypes, openRun } from './prototypes.js';
import { type EvaluationReport, evaluationReport, scoreTable } from './report.js';
import type { RunFolder } from './run_folder.js';
import { openSegmenter, type Scores, scoreDataset, type Weights, type Work, weightsOf } from './segmentation.js';
import { withGpu } from './session.js';
import { SheetBuilder, spread } from './sheet.js';
import { percent } from './table.js';

interface EvaluateOptions extends CommonOptions {
  readonly list?: string;
  readonly limit?: number;
  readonly sheet: number;
  readonly json?: boolean;
}

const HELP = `
Writes RUN/evaluation.json and RUN/contact-sheet.png. Run \`segsort prototypes RUN\` first.
The column "oracle" is the best that the clusters allow: every one of them given its commonest true label.

Example:
  segsort evaluate runs/photos --list val.txt --limit 100 --neighbours 21
`;

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('score a run on held-out images: IoU of every class, mean IoU, contact sheet')
    .argument('<run>', 'folder of the run')
    .addOption(new Option('--list <file>', "list of labelled images (default: the run's validation list)"))
    .addOption(new Option('--limit <n>', 'score only the first n images').argParser(wholeNumber(1)))
    .addOption(
      new Option('--sheet <n>', 'images on the contact sheet; 0 for no sheet').default(6).argParser(wholeNumber(0)),
    )
    .addOption(new Option('--json', 'print the scores as JSON'));
  addRetrievalFlags(command, ['neighbours', 'stride', 'batch']);
  return addCommonFlags(command)
    .addHelpText('after', HELP)
    .action(async (folder: string, options: EvaluateOptions) => {
      await evaluate(await openRun(folder, command), options);
    });
}

/** Parses an integer of at least `least`. */
export const wholeNumber = (least: number) => (text: string) => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least)
    throw new InvalidArgumentError(`It must be an integer of at least ${least}.`);
  return value;
};

async function evaluate(run: RunFolder, options: EvaluateOptions): Promise<void> {
  const { data } = run.config;
  const list = options.list ?? data.validation;
  if (!list) throw new UsageError(`${run.folder} has no validation list; --list names one`);
  const table = await loadPrototypes(run);
  const weights = await weightsOf(run);
  const heldOut = firstOf(await openList(data.root, list, 'list'), options.limit ?? null);
  await withGpu(options, async (session) => {
    const sheet = options.sheet > 0 ? { rows: options.sheet, title: `SegSort: ${basename(run.folder)}` } : null;
    const { report, scores, files } = await evaluateRun({ session, config: run.config }, run, {
      weights,
      table,
      heldOut,
      list,
      sheet,
    });
    if (options.json) return console.log(JSON.stringify(report, null, 2));
    const columns = [
      { title: 'trained', score: scores.score },
      { title: 'oracle', score: scores.oracle },
      { title: 'commonest class', score: scores.commonest },
    ];
    console.log(`${scoreTable(data.classes, columns)}\n`);
    console.log(`${scores.images} images, ${table.size} prototypes; written: ${files.join(', ')}`);
  });
}

export interface EvaluationRequest {
  readonly weights: NonNullable<Weights>;
  readonly table: PrototypeTable;
  readonly heldOut: Dataset;
  /** Name of the list, for the report. */
  readonly list: string;
  /** The contact sheet to draw, if any. `note` is put behind the score. */
  readonly sheet: { readonly rows: number; readonly title: string; readonly note?: string } | null;
}

/** Scores the run and writes `evaluation.json` and the contact sheet. `demo` calls it too. */
export async function evaluateRun(
  work: Work,
  run: RunFolder,
  { weights, table, heldOut, list, sheet }: EvaluationRequest,
): Promise<{ report: EvaluationReport; scores: Scores; files: string[] }> {
  const { data, retrieval } = work.config;
  using segmenter = await openSegmenter(work, weights, [heldOut]);
  segmenter.usePrototypes(table);
  const builder = sheet && new SheetBuilder(data.classes, spread(heldOut.length, sheet.rows));
  const scores = await scoreDataset(work, segmenter, heldOut, (image, accuracy) => builder?.visit(image, accuracy));
  const { neighbours } = retrieval;
  const report = evaluationReport(scores, data.classes, { list, prototypes: table.size, neighbours });
  const files = [await run.writeJson('evaluation.json', report)];
  if (builder && sheet) {
    const training = await openList(data.root, data.train, 'training list');
    const subtitle = `mean IoU ${percent(report.meanIou)}% on ${scores.images} images of ${list}${sheet.note ?? ''}`;
    files.push(await run.write('contact-sheet.png', await builder.finish(table, training, sheet.title, subtitle)));
  }
  return { report, scores, files };
}
