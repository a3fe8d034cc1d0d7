/** Scores as people and programs read them. */

import type { SegmentationScore } from '../../evaluation/confusion.js';
import type { PanopticScore } from '../../evaluation/panoptic.js';
import type { RegionScore } from '../../evaluation/regions.js';
import type { ViewOptions } from '../../segsort/views.js';
import { formatTable, percent } from '../table.js';
import type { ImageScore, Scores } from './scoring.js';
import type { SheetEntry } from './sheet.js';

/** How the images were segmented. */
export interface EvaluationSetting {
  readonly list: string;
  /** What gave pixels their labels. */
  readonly classifier: 'retrieval' | 'softmax';
  /** Prototypes searched, and how many of them voted; null where nothing was retrieved. */
  readonly prototypes: number | null;
  readonly neighbours: number | null;
  /** Pixels of an image for one of its segmentation, each way. */
  readonly stride: number;
  /** Null: each image as it is, whole. */
  readonly views: ViewOptions | null;
}

/** What `evaluation.json` holds. Shares are from 0 to 1; null where there was nothing to measure. */
export interface EvaluationReport extends EvaluationSetting {
  readonly images: number;
  readonly meanIou: number | null;
  readonly pixelAccuracy: number | null;
  readonly meanAccuracy: number | null;
  readonly frequencyWeightedIou: number | null;
  readonly classes: readonly ClassReport[];
  /** Had every cluster been given its best label; null where there are no clusters. */
  readonly oracle: { readonly meanIou: number | null; readonly pixelAccuracy: number | null } | null;
  /** Had the commonest class been answered everywhere. */
  readonly commonestClass: {
    readonly name: string;
    readonly meanIou: number | null;
    readonly pixelAccuracy: number | null;
  };
  /** The clusters, before they are labelled. */
  readonly regions: RegionScore | null;
  readonly boundaries: {
    /** How far contours may be off, as a share of the image's diagonal. */
    readonly tolerance: number;
    readonly meanF: number | null;
    readonly meanFOfImages: number | null;
    /** Within so many pixels of a true contour. */
    readonly trimap: readonly {
      readonly width: number;
      readonly meanIou: number | null;
      readonly pixelAccuracy: number | null;
    }[];
  } | null;
  readonly panoptic: {
    readonly all: PanopticScore | null;
    readonly things: PanopticScore | null;
    readonly stuff: PanopticScore | null;
  } | null;
  readonly perImage: readonly ImageScore[];
  /** What the contact sheet shows, in its order. */
  readonly sheet: readonly SheetEntry[];
  /** Pixels of each true class (rows) by their predicted class; the last column is of pixels without any. */
  readonly confusion: readonly (readonly number[])[];
}

interface ClassReport {
  readonly name: string;
  readonly iou: number | null;
  readonly oracleIou: number | null;
  /** Share of its pixels that were found. */
  readonly accuracy: number | null;
  readonly boundaryF?: number | null;
  readonly panoptic?: PanopticScore | null;
}

export function evaluationReport(
  scores: Scores,
  names: readonly string[],
  setting: EvaluationSetting,
  sheet: readonly SheetEntry[] = [],
): EvaluationReport {
  const { score, oracle, commonest, images, perImage, regions, boundaries, panoptic } = scores;
  const { meanIou, pixelAccuracy, meanAccuracy, frequencyWeightedIou } = score;
  return {
    ...setting,
    images,
    ...{ meanIou, pixelAccuracy, meanAccuracy, frequencyWeightedIou },
    classes: names.map((name, i) => ({
      name,
      iou: score.iou[i] ?? null,
      oracleIou: oracle?.iou[i] ?? null,
      accuracy: score.accuracy[i] ?? null,
      ...(boundaries ? { boundaryF: boundaries.f.classes[i] ?? null } : {}),
      ...(panoptic ? { panoptic: panoptic.classes[i] ?? null } : {}),
    })),
    oracle: oracle && { meanIou: oracle.meanIou, pixelAccuracy: oracle.pixelAccuracy },
    commonestClass: {
      name: names[commonest.label]!,
      meanIou: commonest.meanIou,
      pixelAccuracy: commonest.pixelAccuracy,
    },
    regions,
    boundaries: boundaries && {
      tolerance: boundaries.tolerance,
      meanF: boundaries.f.classMean,
      meanFOfImages: boundaries.f.imageMean,
      trimap: boundaries.trimap.map(({ width, meanIou, pixelAccuracy }) => ({ width, meanIou, pixelAccuracy })),
    },
    panoptic: panoptic && { all: panoptic.all, things: panoptic.things, stuff: panoptic.stuff },
    perImage,
    sheet,
    confusion: confusionRows(scores, names.length),
  };
}

function confusionRows({ confusion }: Scores, classes: number): number[][] {
  return Array.from({ length: classes }, (_, truth) =>
    Array.from({ length: classes + 1 }, (_, predicted) => confusion.count(truth, predicted)),
  );
}

/** The confusion matrix as a spreadsheet reads it: a row a true class, a column a predicted one (RFC 4180). */
export function confusionCsv({ confusion, classes }: Pick<EvaluationReport, 'confusion' | 'classes'>): string {
  const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const names = classes.map(({ name }) => quoted(name));
  const rows = confusion.map((counts, truth) => [names[truth], ...counts]);
  return [['true class / predicted', ...names, 'none'], ...rows].map((row) => `${row.join(',')}\r\n`).join('');
}

/** IoU of each class in percent, beside other columns of the same kind; those without a score are left out. */
export function scoreTable(
  names: readonly string[],
  columns: readonly { readonly title: string; readonly score: SegmentationScore | null }[],
): string {
  const shown = columns.flatMap(({ title, score }) => (score ? [{ title, score }] : []));
  const rows = names.flatMap((name, i) => {
    // Classes that occur nowhere have no line.
    if (shown.every(({ score }) => score.iou[i] === null)) return [];
    return [[name, ...shown.map(({ score }) => percent(score.iou[i] ?? null))]];
  });
  rows.push(['mean IoU', ...shown.map(({ score }) => percent(score.meanIou))]);
  rows.push(['pixels right', ...shown.map(({ score }) => percent(score.pixelAccuracy))]);
  return formatTable(['IoU in %', ...shown.map(({ title }) => title)], rows);
}

/** Widths of the bands around contours that are printed, in pixels. */
const BANDS = [1, 3, 5, 10, 20, 40];

/** What was measured beside the IoU, in tables; empty if nothing was. */
export function furtherTables({ classes, boundaries, panoptic, regions }: EvaluationReport): string[] {
  const tables: string[] = [];
  if (regions)
    tables.push(
      formatTable(
        ['clusters', ''],
        [
          ['an image', regions.segmentsPerImage.toFixed(1)],
          ['purity, mean over clusters, in %', percent(regions.segmentPurity)],
          ['achievable pixel accuracy, in %', percent(regions.achievableAccuracy)],
          ['undersegmentation error, in %', percent(regions.undersegmentation)],
          ['connected pieces a cluster', regions.piecesPerSegment?.toFixed(2) ?? '-'],
        ],
      ),
    );
  if (boundaries) {
    const scored = classes.filter(({ boundaryF }) => boundaryF != null);
    const rows = scored.map(({ name, boundaryF }) => [name, percent(boundaryF ?? null)]);
    tables.push(formatTable(['boundary F in %', ''], [...rows, ['mean', percent(boundaries.meanF)]]));
    const bands = boundaries.trimap.filter(({ width }) => BANDS.includes(width));
    tables.push(
      formatTable(
        ['near contours, in %', 'mean IoU', 'pixels right'],
        bands.map(({ width, meanIou, pixelAccuracy }) => [
          `within ${width} px`,
          percent(meanIou),
          percent(pixelAccuracy),
        ]),
      ),
    );
  }
  if (panoptic) {
    const line = (name: string, score: PanopticScore | null) =>
      score ? [[name, percent(score.pq), percent(score.sq), percent(score.rq)]] : [];
    tables.push(
      formatTable(
        ['panoptic, in %', 'PQ', 'SQ', 'RQ'],
        [
          ...classes.flatMap(({ name, panoptic: own }) => line(name, own ?? null)),
          ...(['things', 'stuff', 'all'] as const).flatMap((which) => line(which, panoptic[which])),
        ],
      ),
    );
  }
  return tables;
}
