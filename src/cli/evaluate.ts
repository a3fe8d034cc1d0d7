/** `segsort evaluate`: scores a run on held-out images. */
import { basename } from 'node:path';
import { Command, Option } from 'commander';
import type { Dataset } from '../data/dataset.js';
import type { ObjectOptions } from '../segsort/panoptic.js';
import type { PrototypeTable } from '../segsort/prototype_table.js';
import { prototypeList } from './config/stages.js';
import { openList, requireLabels } from './data_folder.js';
import { UsageError } from './errors.js';
import { type AdapterOptions, addAdapterFlag, wholeNumber } from './options.js';
import { addPrototypesFlag, addRetrievalFlags, openRun, prototypesToSearch, RUN_ARGUMENT } from './prototypes.js';
import type { RunFolder } from './run_folder.js';
import { descriptionOf } from './segmenting/description.js';
import { addObjectFlags, type ObjectFlags, objectsOf } from './segmenting/objects.js';
import {
  confusionCsv,
  type EvaluationReport,
  evaluationReport,
  furtherTables,
  scoreTable,
} from './segmenting/report.js';
import { TrainingSegments } from './segmenting/retrieved.js';
import { type Scores, scoreDataset } from './segmenting/scoring.js';
import {
  firstOf,
  openSegmenter,
  type Weights,
  WITHOUT_REGIONS,
  type Work,
  weightsOf,
} from './segmenting/segmentation.js';
import { SheetBuilder, type SheetChoice } from './segmenting/sheet.js';
import { addViewFlags, type ViewFlags, viewsOf } from './segmenting/views.js';
import { withGpu } from './session.js';
import { percent } from './table.js';

interface EvaluateOptions extends AdapterOptions, ViewFlags, ObjectFlags {
  readonly list?: string;
  readonly limit?: number;
  readonly prototypes?: string;
  readonly boundaries?: boolean;
  readonly sheet: number;
  readonly sheetOf: SheetChoice;
  readonly json?: boolean;
}

const HELP = `
Writes RUN/evaluation.json with all that was measured, RUN/confusion.csv and RUN/contact-sheet.png. Run
\`segsort prototypes RUN\` first, unless the run was trained to classify pixels.
The column "oracle" is the best that the clusters allow: every one of them given its commonest true label.

Examples:
  segsort evaluate runs/photos --list val.txt --limit 100 --neighbours 21
  segsort evaluate runs/photos --boundaries --window 480 --window-stride 320 --scales 0.5,0.75,1,1.25,1.5,1.75 --flip
`;

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('score a run on held-out images: IoU of every class, mean IoU, contact sheet')
    .argument('<run>', RUN_ARGUMENT)
    .addOption(new Option('--list <file>', "list of labelled images (default: the run's validation list)"))
    .addOption(new Option('--limit <n>', 'score only the first n images').argParser(wholeNumber(1)))
    .addOption(new Option('--boundaries', 'also boundary F, and IoU near the true contours'))
    .addOption(
      new Option('--sheet <n>', 'images on the contact sheet; 0 for no sheet').default(6).argParser(wholeNumber(0)),
    )
    .addOption(
      new Option(
        '--sheet-of <which>',
        'images evenly spread over the list, or the best and the worst by their mean IoU',
      )
        .choices(['spread', 'extremes'])
        .default('spread'),
    )
    .addOption(new Option('--json', 'print the scores as JSON'));
  addPrototypesFlag(command);
  addObjectFlags(command, 'also panoptic quality; the list needs a column of instance maps');
  addViewFlags(command);
  addRetrievalFlags(command, ['neighbours', 'stride', 'batch']);
  return addAdapterFlag(command)
    .addHelpText('after', HELP)
    .action(async (folder: string, options: EvaluateOptions) => {
      await evaluate(await openRun(folder, command), options);
    });
}

async function evaluate(run: RunFolder, options: EvaluateOptions): Promise<void> {
  const { data } = run.config;
  const list = options.list ?? data.validation;
  if (!list) throw new UsageError(`${run.folder} has no validation list; --list names one`);
  const weights = await weightsOf(run);
  const searched = await prototypesToSearch(run, weights, options.prototypes);
  const table = searched?.table ?? null;
  const heldOut = firstOf(await openList(data.root, list, 'list', WITHOUT_REGIONS), options.limit ?? null);
  requireLabels(heldOut, ' to score by');
  const views = viewsOf(options);
  const panoptic = await objectsOf(options, run.config, table);
  if (panoptic && !heldOut.hasIds)
    throw new UsageError(
      `--panoptic: ${heldOut.list.file} has no instance maps; its lines would be \`image label.png instances.png\``,
    );
  await withGpu(options, async (session) => {
    const sheet =
      options.sheet > 0
        ? { rows: options.sheet, choice: options.sheetOf, title: `SegSort: ${basename(run.folder)}` }
        : null;
    const { report, scores, files } = await evaluateRun({ session, config: run.config, views }, run, {
      weights,
      table,
      ...(searched ? { prototypeList: searched.list } : {}),
      heldOut,
      list,
      sheet,
      boundaries: options.boundaries ?? false,
      panoptic,
    });
    if (options.json) return console.log(JSON.stringify(report, null, 2));
    const columns = [
      { title: 'trained', score: scores.score },
      { title: 'oracle', score: scores.oracle },
      { title: 'commonest class', score: scores.commonest },
    ];
    for (const text of [scoreTable(data.classes, columns), ...furtherTables(report)]) console.log(`${text}\n`);
    const prototypes = table ? `, ${table.size} prototypes` : '';
    console.log(`${scores.images} images${prototypes}; written: ${files.join(', ')}`);
  });
}

export interface EvaluationRequest {
  readonly weights: NonNullable<Weights>;
  /** Null for a run that retrieves nothing. */
  readonly table: PrototypeTable | null;
  /** The list of the images that the prototypes came from. Default: the training list. */
  readonly prototypeList?: string;
  readonly heldOut: Dataset;
  /** Name of the list, for the report. */
  readonly list: string;
  /** The contact sheet to draw, if any. `note` is put behind the score. */
  readonly sheet: {
    readonly rows: number;
    readonly choice?: SheetChoice;
    readonly title: string;
    readonly note?: string;
  } | null;
  readonly boundaries?: boolean;
  /** How to put objects together, if they are to be scored. */
  readonly panoptic?: ObjectOptions | null;
}

/** Scores the run and writes `evaluation.json`, `confusion.csv` and the contact sheet. `demo` calls it too. */
export async function evaluateRun(
  work: Work,
  run: RunFolder,
  request: EvaluationRequest,
): Promise<{ report: EvaluationReport; scores: Scores; files: string[] }> {
  const { weights, table, heldOut, list, sheet, boundaries = false, panoptic = null } = request;
  const { data, retrieval } = work.config;
  // Whether its images are at hand is found out before the work.
  const source =
    sheet &&
    table &&
    (await openList(data.root, request.prototypeList ?? prototypeList(run.config), 'training list', WITHOUT_REGIONS));
  using segmenter = await openSegmenter(work, weights, [heldOut]);
  if (table) segmenter.usePrototypes(table);
  const builder =
    sheet &&
    new SheetBuilder(await descriptionOf(work.config), table, {
      images: heldOut.length,
      rows: sheet.rows,
      choice: sheet.choice ?? 'spread',
    });
  const scores = await scoreDataset(work, segmenter, heldOut, (image, score) => builder?.visit(image, score), {
    boundaries,
    panoptic,
  });
  const setting = {
    list,
    classifier: segmenter.options.classifier ?? 'retrieval',
    prototypes: table?.size ?? null,
    neighbours: table ? retrieval.neighbours : null,
    stride: retrieval.stride,
    views: work.views ?? null,
  };
  const report = evaluationReport(scores, data.classes, setting, builder?.entries);
  const files = [
    await run.writeResult('evaluation.json', `${JSON.stringify(report, null, 2)}\n`),
    await run.writeResult('confusion.csv', confusionCsv(report)),
  ];
  if (builder && sheet) {
    const training = source && table && new TrainingSegments(table, source, data.classes);
    const subtitle = `mean IoU ${percent(report.meanIou)}% on ${scores.images} images of ${list}${sheet.note ?? ''}`;
    files.push(await run.writeResult('contact-sheet.png', await builder.finish(training, sheet.title, subtitle)));
  }
  return { report, scores, files };
}
